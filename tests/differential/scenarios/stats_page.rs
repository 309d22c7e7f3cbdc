//! The statistics page: what scripts and exporters read of it.

use differential::{Instance, Program, Response, same};

use crate::support::get;

fn stats(program: Program, lines: &str) -> Instance {
    let text = format!(
        "listen stats\n bind 127.0.0.1:$(stats)\n stats enable\n{lines}\n\
         listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1\n server s2 127.0.0.1:2\n"
    );
    program.http(&text).start()
}

/// `Authorization` for user:password pairs of the tutorial.
const HAADMIN: &str = "Authorization: Basic aGFhZG1pbjoxMjM0NTY=";
const ADMIN: &str = "Authorization: Basic YWRtaW46MTIzNDU2";
const WRONG: &str = "Authorization: Basic YWRtaW46d3Jvbmc=";

/// Head without length, whose page is each program's own.
fn head(response: &Response) -> (u16, Vec<(String, String)>) {
    let headers = response
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "content-length" | "date" | "transfer-encoding"));
    (response.status, headers.cloned().collect())
}

// row: 142, 144, 145
#[test]
fn the_page_answers_at_its_address_with_its_headers() {
    let heads = same(|program| {
        let default = stats(program, "");
        let moved = stats(program, " stats uri /haproxy-status\n stats refresh 30s");
        let asked = [
            default.get("stats", "/haproxy?stats"),
            default.get("stats", "/haproxy"),
            default.get("stats", "/"),
            moved.get("stats", "/haproxy-status"),
            moved.get("stats", "/haproxy-status/longer"),
            moved.get("stats", "/haproxy-status;norefresh"),
            moved.get("stats", "/haproxy?stats"),
            moved.get("stats", "/haproxy-status;csv"),
        ];
        asked.each_ref().map(head)
    });
    assert_eq!(heads.each_ref().map(|(status, _)| *status), [200, 503, 503, 200, 200, 200, 503, 200]);
    assert!(heads[3].1.contains(&("refresh".to_owned(), "30".to_owned())), "{:?}", heads[3]);
}

// row: 142, 143
#[test]
fn the_page_has_the_title_that_scripts_look_for_and_hides_its_version() {
    let titles = same(|program| {
        let shown = stats(program, "").get("stats", "/haproxy?stats").body;
        let hidden = stats(program, " stats hide-version").get("stats", "/haproxy?stats").body;
        let has_version = |page: &str| {
            let heading =
                page.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next()).unwrap_or_default();
            heading.contains("version")
        };
        let title = shown.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
        (title.map(str::to_owned), has_version(&shown), has_version(&hidden))
    });
    assert_eq!(titles, (Some("Statistics Report for HAProxy".to_owned()), true, false));
}

// row: 146, 147
#[test]
fn users_and_realm_guard_the_page() {
    let answers = same(|program| {
        let lines = " stats uri /s\n stats realm HAProxy\\ Stats\\ Page\n stats auth haadmin:123456\n stats auth admin:123456";
        let proxy = stats(program, lines);
        let ask = |headers: &[&str]| proxy.client("stats").ask(get("/s;csv", headers));
        let refused = ask(&[]);
        let statuses = [HAADMIN, ADMIN, WRONG, "Authorization: Basic !!", "Authorization: Bearer x"]
            .map(|header| ask(&[header]).status);
        (refused, statuses)
    });
    assert_eq!(answers.0.header("www-authenticate"), Some("Basic realm=\"HAProxy Stats Page\""));
    assert_eq!((answers.0.status, answers.1), (401, [200, 200, 401, 401, 401]));
}

// row: 152, 155, 156
#[test]
fn csv_has_haproxys_columns_and_scope_limits_its_rows() {
    let tables = same(|program| {
        ["", " stats scope .", " stats scope web", " stats scope web\n stats scope stats"].map(|scope| {
            let response = stats(program, scope).get("stats", "/haproxy?stats;csv");
            let head = response.body.lines().next().unwrap_or_default().to_owned();
            let rows = response.body.lines().skip(1).filter(|line| !line.is_empty());
            let names: Vec<String> =
                rows.map(|row| row.split(',').take(2).collect::<Vec<_>>().join("/")).collect();
            (response.header("content-type").map(str::to_owned), head, names)
        })
    });
    assert_eq!(tables[0].0.as_deref(), Some("text/plain"));
    assert_eq!(tables[2].2, ["web/FRONTEND", "web/s1", "web/s2", "web/BACKEND"]);
    assert!(tables[0].1.split(',').count() > 90);
}

// row: 153
#[test]
fn json_is_typed_and_the_schema_is_there() {
    let starts = same(|program| {
        let proxy = stats(program, "");
        ["/haproxy?stats;json", "/haproxy?stats;json-schema"].map(|target| {
            let response = proxy.get("stats", target);
            let start = response.body.chars().take(150).collect::<String>();
            (
                response.status,
                response.header("content-type").map(str::to_owned),
                differential::normalise::numbers(&start),
            )
        })
    });
    assert_eq!(starts[0].1.as_deref(), Some("application/json"));
}

/// A list of JSON fields without their values: what each is called, its place, tags and type.
fn shape_of(json: &str) -> Vec<Vec<String>> {
    let parsed: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let objects = parsed.as_array().expect("objects").iter();
    objects
        .map(|object| {
            let fields = object.as_array().expect("fields").iter();
            fields
                .map(|field| {
                    let kind = field["value"]["type"].as_str().expect("a type");
                    let value = &field["value"]["value"];
                    assert_eq!(value.is_string(), kind == "str", "{field}");
                    assert!(value.is_string() || value.is_number(), "{field}");
                    format!("{} {} {} {kind}", field["objType"], field["field"], field["tags"])
                })
                .collect()
        })
        .collect()
}

// row: 153
#[test]
fn every_field_of_the_json_has_haproxys_name_place_tags_and_type() {
    let (page, by_hand, kinds) = same(|program| {
        let proxy = stats(program, "");
        let page = shape_of(&proxy.get("stats", "/haproxy?stats;json").body);
        let schema = proxy.get("stats", "/haproxy?stats;json-schema").body;
        let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
        // HAProxy's forgets a few `properties`, and calls the value by its type: what is required is said right.
        let kinds = schema["oneOf"].as_array().expect("kinds").iter();
        let kinds: Vec<_> = kinds
            .map(|kind| [&kind["title"], &kind["required"], &kind["items"]["required"]].map(Clone::clone))
            .collect();
        let values = schema["definitions"]["typedValue"]["oneOf"].clone();
        (page, shape_of(&proxy.cli("show stat json")), (kinds, values))
    });
    assert!(page.len() >= 4 && page.len() == by_hand.len(), "{} objects", page.len());
    assert!(page.iter().all(|object| object.len() > 50));
    assert_eq!(kinds.0.len(), 3);
}

// row: 148, 149, 157
#[test]
fn posted_admin_actions_change_servers_and_redirect() {
    let actions = [
        "ready", "drain", "maint", "ready", "dhlth", "ehlth", "hrunn", "hnolb", "hdown", "dagent", "eagent",
        "arunn", "adown", "shutdown", "bogus",
    ];
    let results = same(|program| {
        let text = "listen stats\n bind 127.0.0.1:$(stats)\n stats enable\n stats uri /s\n stats admin if TRUE\n\
                    listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1 check inter 1h agent-check agent-port 1 agent-inter 1h\n server s2 127.0.0.1:2\n";
        let proxy = program.http(text).start();
        let post = |body: &str| {
            let length = body.len();
            let port = proxy.port("stats");
            let origin = format!("Origin: http://127.0.0.1:{port}\r\nReferer: http://127.0.0.1:{port}/s\r\n");
            proxy.client("stats").ask(format!(
                "POST /s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{origin}Content-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            ))
        };
        differential::pause(300);
        let by_action = actions.map(|action| {
            let response = post(&format!("s=s1&action={action}&b=web"));
            let location = response.header("location").map(str::to_owned);
            let status = proxy.stat("web", "s1", "status");
            (action, response.status, location, status)
        });
        let odd = [
            "s=s1&s=s2&action=maint&b=web",
            "s=nobody&action=maint&b=web",
            "s=s1&action=maint&b=nobody",
            "s=s1&action=maint",
            "",
            "nonsense",
            "b=web&action=ready",
        ]
        .map(|body| {
            (body, post(body).header("location").map(str::to_owned), proxy.stat("web", "s2", "status"))
        });
        (by_action.to_vec(), odd)
    });
    assert_eq!(results.0[2].1, 303);
    assert_eq!(results.0[2].2.as_deref(), Some("/s;st=DONE"));
    assert_eq!(results.0[2].3, "MAINT");
}

// row: 148
#[test]
fn without_admin_a_post_changes_nothing() {
    let answers = same(|program| {
        [" stats uri /s", " stats uri /s\n stats admin if FALSE"].map(|lines| {
            let proxy = stats(program, lines);
            let body = "s=s1&action=maint&b=web";
            let request =
                format!("POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let response = proxy.client("stats").ask(request);
            (
                response.status,
                response.header("location").map(str::to_owned),
                proxy.stat("web", "s1", "status"),
            )
        })
    });
    assert!(answers.iter().all(|(_, _, status)| status == "no check"), "{answers:?}");
}

// row: 150, 151, 148, 156
#[test]
fn the_tutorials_statistics_sections_are_valid() {
    let codes = same(|program| {
        [
            "listen stats\n bind 127.0.0.1:$(a)\n stats enable\n stats uri /haproxy-status\n stats realm HAProxy\\ Stats\\ Page\n \
             stats auth haadmin:123456\n stats auth admin:123456\n stats refresh 30s\n stats admin if TRUE\n",
            "listen stats\n mode http\n bind 127.0.0.1:$(a)\n stats enable\n log global\n stats uri /haproxy-status\n stats auth haadmin:123123\n",
            "defaults\n mode http\n timeout client 1s\n stats enable\n stats admin if TRUE\nlisten a\n bind 127.0.0.1:$(a)\n",
            "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n stats enable\n stats uri /x\nlisten a\n bind 127.0.0.1:$(a)\n",
            "listen a\n bind 127.0.0.1:$(a)\n stats realm : X\n",
            "listen a\n bind 127.0.0.1:$(a)\n stats bogus\n",
            "listen a\n bind 127.0.0.1:$(a)\n stats auth\n",
            "backend b\n stats enable\n server s 127.0.0.1:1\nfrontend f\n bind 127.0.0.1:$(a)\n default_backend b\n",
        ]
        .map(|text| program.http(text).check().code)
    });
    assert_eq!(codes[0], 0);
    assert_eq!(codes[5], 1);
}

// row: 71
#[test]
fn a_listen_section_shows_its_frontend_servers_and_backend() {
    let rows = same(|program| {
        let csv = stats(program, "").get("stats", "/haproxy?stats;csv").body;
        csv.lines()
            .filter(|line| line.starts_with("web,"))
            .filter_map(|line| line.split(',').nth(1).map(str::to_owned))
            .collect::<Vec<_>>()
    });
    assert_eq!(rows, ["FRONTEND", "s1", "s2", "BACKEND"]);
}

// row: 148, 149
#[test]
fn every_action_does_the_same_to_every_kind_of_server() {
    let actions = [
        "ready", "drain", "maint", "ready", "dhlth", "ehlth", "hrunn", "hnolb", "hdown", "dagent", "eagent",
        "arunn", "adown", "shutdown", "ready", "hrunn", "drain", "hdown", "ready", "hrunn", "disable",
        "enable", "stop", "start", "drain", "maint", "hrunn", "ready", "arunn",
    ];
    let results = same(|program| {
        let text = "listen stats\n bind 127.0.0.1:$(stats)\n stats enable\n stats uri /s\n stats admin if TRUE\n\
                    listen web\n bind 127.0.0.1:$(web)\n \
                    server checked 127.0.0.1:1 check inter 1h agent-check agent-port 1 agent-inter 1h\n \
                    server plain 127.0.0.1:2\n server spare 127.0.0.1:3 backup\n server follower 127.0.0.1:4 track plain2/up\n\
                    backend plain2\n server up 127.0.0.1:$(up) check inter 1h\n";
        let backend = differential::Backend::tcp_echo();
        let proxy = program.http(text).with("up", backend.port()).start();
        proxy.wait_for_stat("plain2", "up", "status", "UP");
        proxy.wait_for_stat("web", "checked", "status", "DOWN");
        let mut seen = Vec::new();
        for server in ["checked", "plain", "spare", "follower"] {
            for action in actions {
                let body = format!("s={server}&action={action}&b=web");
                let request =
                    format!("POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let location = proxy.client("stats").ask(request).header("location").map(str::to_owned);
                seen.push((server, action, location, proxy.stat("web", server, "status")));
            }
        }
        seen
    });
    assert_eq!(results.len(), 4 * actions.len());
}

// row: 148
#[test]
fn forms_come_in_every_framing_and_long_ones_are_refused() {
    let answers = same(|program| {
        let text = "listen stats\n bind 127.0.0.1:$(stats)\n stats enable\n stats uri /s\n stats admin if TRUE\n\
                    listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:2\n";
        let proxy = program.http(text).start();
        let form = "s=s1&action=maint&b=web";
        let with_length = |body: &str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let long = format!("{form}&x={}", "a".repeat(20_000));
        [
            ("/s", with_length(form)),
            ("/s", format!("Transfer-Encoding: chunked\r\n\r\n17\r\n{form}\r\n0\r\n\r\n")),
            ("/s", with_length(&long)),
            ("/s", "\r\n".to_owned()),
            ("/s;up;norefresh;csv;no-maint;scope=web", with_length(form)),
            ("/s;st=NONE?scope=a%22", with_length(form)),
        ]
        .map(|(target, rest)| {
            let response = proxy.client("stats").ask(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{rest}"));
            let mut head = head(&response);
            // Whether the connection lives on behind a form is each program's own.
            head.1.retain(|(name, _)| name != "connection");
            head
        })
    });
    assert_eq!(answers.each_ref().map(|(status, _)| *status), [303; 6]);
}

// row: 152, 155
#[test]
fn words_in_the_uri_leave_out_what_haproxy_leaves_out() {
    let tables = same(|program| {
        let text = "listen stats\n bind 127.0.0.1:$(stats)\n stats enable\n stats uri /s\n stats refresh 9s\n\
                    listen web\n bind 127.0.0.1:$(web)\n server plain 127.0.0.1:2\n server off 127.0.0.1:3 disabled\n \
                    server lost 127.0.0.1:1 check inter 1h\nbackend Webby\n server w 127.0.0.1:4\n";
        let proxy = program.http(text).start();
        proxy.wait_for_stat("web", "lost", "status", "DOWN");
        [
            "/s;csv",
            "/s;csv;up",
            "/s;csv;no-maint",
            "/s;csv;up;no-maint",
            "/s;csv?scope=web",
            "/s;csv;scope=WEB;up",
            "/s;csv?scope=eb&x",
            "/s;csv?scope=%77eb",
            "/s;csv?scope=nothing",
            "/s;up;json;csv",
            "/s;csv;typed",
            "/sxyz;csv",
            "/s/;csv/scope=stats",
        ]
        .map(|target| {
            let response = proxy.get("stats", target);
            let rows = response.body.lines().filter_map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                (fields.len() > 18).then(|| [fields[0], fields[1], fields[17]].join(" "))
            });
            let start: String = response.body.chars().take(8).collect();
            (target, response.header("content-type").map(str::to_owned), start, rows.collect::<Vec<_>>())
        })
    });
    assert_eq!(tables[1].3.last().map(String::as_str), Some("Webby BACKEND UP (1/1)"));
}
