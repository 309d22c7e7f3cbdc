//! Whole pages, made from a state with traffic.

use super::form::Effect;
use super::testing::{busy_state, model, request, settings};
use super::*;
use crate::control::actions::ServerAction;

/// Knows every server, remembers what was done.
#[derive(Default)]
struct Recorder(Vec<(String, ServerAction)>);

impl Servers for Recorder {
    type Backend = ();

    fn backend(&self, name: &str) -> Option<()> {
        (name == "shop").then_some(())
    }

    fn act(&mut self, (): (), server: &str, action: ServerAction) -> Effect {
        self.0.push((server.to_owned(), action));
        Effect::Applied
    }
}

fn visit<'a>(request: &'a Head, settings: &'a Stats) -> Visit<'a> {
    let release = Release { version: "2.6.12-test", date: "2026/11/22" };
    Visit { request, body: None, settings, access: Access::Admin, connection: None, release }
}

/// Status, head and body of an answer to GET.
fn get(uri: &str, lines: &str) -> (u16, String, String) {
    let (request, settings) = (request("GET", uri, &[("Host", "a")]), settings(lines));
    split(respond(&visit(&request, &settings), &busy_state(), &mut Recorder::default()))
}

fn split(page: Page) -> (u16, String, String) {
    let text = String::from_utf8(page.bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (page.status, head.to_owned(), body.to_owned())
}

/// The same, posted.
fn post(uri: &str, body: &[u8], lines: &str, fields: &[(&str, &str)], access: Access) -> (Page, Recorder) {
    let length = body.len().to_string();
    let mut all = vec![("Host", "lb:9009"), ("Content-Length", &length)];
    all.extend_from_slice(fields);
    let (request, settings) = (request("POST", uri, &all), settings(lines));
    let mut recorder = Recorder::default();
    let visit = Visit { body: Some(body), access, ..visit(&request, &settings) };
    let page = respond(&visit, &busy_state(), &mut recorder);
    (page, recorder)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split(start).nth(1).and_then(|rest| rest.split(end).next()).unwrap_or_default()
}

// row: 142, 144
#[test]
fn heads_are_those_of_haproxy() {
    let lines = "stats uri /s\n stats refresh 30s";
    for (uri, kind) in [
        ("/s", "text/html"),
        ("/s;csv", "text/plain"),
        ("/s;typed", "text/plain"),
        ("/s;json", "application/json"),
        ("/s;json-schema", "application/json"),
    ] {
        let (status, head, body) = get(uri, lines);
        let expected = format!(
            "HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: {kind}\r\nrefresh: 30\r\ncontent-length: {}",
            body.len()
        );
        assert_eq!((status, head), (200, expected), "{uri}");
    }
    assert!(!get("/s;norefresh", lines).1.contains("refresh"));
    assert!(!get("/s", "stats uri /s").1.contains("refresh"));
}

// row: 142, 143
#[test]
fn title_and_heading_are_what_scrapers_look_for() {
    let page = get("/haproxy?stats", "stats enable").2;
    assert_eq!(between(&page, "<title>", "</title>"), "Statistics Report for HAProxy");
    let heading = between(&page, "<h1>", "</h1>");
    assert!(heading.starts_with("HAProxy version 2.6.12-test") && heading.contains("released 2026/11/22"));
    let hidden = get("/haproxy?stats", "stats hide-version").2;
    assert_eq!(between(&hidden, "<h1>", "</h1>"), "HAProxy");
    assert!(!hidden.contains("2.6.12"));
    assert!(page.contains(&format!("Statistics Report for pid <b>{}</b>", std::process::id())));
}

// row: 146, 147
#[test]
fn visitors_without_credentials_are_asked_for_them() {
    let lines =
        "stats uri /s\n stats realm HAProxy\\ Stats\\ Page\n stats auth haadmin:123456\n stats auth admin:1";
    let (status, head, body) = get("/s", lines);
    assert_eq!(status, 401);
    assert_eq!(
        head,
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 112\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\
         www-authenticate: Basic realm=\"HAProxy Stats Page\""
    );
    assert_eq!(
        body,
        "<html><body><h1>401 Unauthorized</h1>\nYou need a valid user and password to access this content.\n\
         </body></html>\n"
    );
    let (page, recorder) = post("/s", b"s=web1&action=maint&b=shop", lines, &[], Access::Admin);
    assert_eq!((page.status, recorder.0.len()), (401, 0));
    assert!(get("/s", "stats uri /s\n stats auth a:b").1.ends_with("realm=\"HAProxy Statistics\""));
    assert!(get("/s", "stats uri /s\n stats auth a:b\n stats realm x\\\"y").1.ends_with("realm=\"x\\\"y\""));
}

// row: 148, 149
#[test]
fn forms_act_and_lead_back_to_the_page() {
    let act = |body: &[u8], fields: &[(&str, &str)], access| {
        let (page, recorder) = post("/s;up", body, "stats uri /s", fields, access);
        let head = split(page.clone()).1;
        (page.status, between(&(head + "\r"), "location: ", "\r").to_owned(), recorder.0.len())
    };
    let form = b"s=web1&s=web2&action=drain&b=shop";
    assert_eq!(act(form, &[], Access::Admin), (303, "/s;st=DONE;up".to_owned(), 2));
    assert_eq!(act(form, &[("Origin", "http://lb:9009")], Access::Admin).1, "/s;st=DONE;up");
    assert_eq!(act(form, &[("Origin", "http://evil")], Access::Admin), (303, "/s;st=DENY;up".to_owned(), 0));
    assert_eq!(act(form, &[], Access::Look), (303, "/s;st=DENY;up".to_owned(), 0));
    assert_eq!(act(b"s=web1&action=x&b=shop", &[], Access::Admin).1, "/s;st=ERRP;up");
    let head = split(post("/s", form, "stats uri /s", &[], Access::Admin).0).1;
    let expected = "HTTP/1.1 303 See Other\r\ncache-control: no-cache\r\ncontent-type: text/plain\r\n\
                    content-length: 0\r\nlocation: /s;st=DONE";
    assert_eq!(head, expected);
}

// row: 148, 149
#[test]
fn admins_get_boxes_and_a_list_of_actions_and_others_do_not() {
    let (request, settings) = (request("GET", "/s;up", &[]), settings("stats uri /s"));
    let page = |access| {
        let visit = Visit { access, ..visit(&request, &settings) };
        split(respond(&visit, &busy_state(), &mut Recorder::default())).2
    };
    let admin = page(Access::Admin);
    assert!(admin.contains("<input type=\"checkbox\" name=\"s\" value=\"web1\""));
    assert!(admin.contains("<form method=\"post\" action=\"/s;up\">"));
    assert!(admin.contains("<input type=\"hidden\" name=\"b\" value=\"shop\">"));
    let words = between(&admin, "<select name=\"action\"", "</select>");
    let words: Vec<&str> =
        words.split("<option value=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(
        words,
        [
            "", "ready", "drain", "maint", "dhlth", "ehlth", "hrunn", "hnolb", "hdown", "dagent", "eagent",
            "arunn", "adown", "shutdown"
        ]
    );
    let look = page(Access::Look);
    assert!(!look.contains("method=\"post\"") && !look.contains("checkbox\" name"));
}

// row: 71, 142
#[test]
fn every_proxy_shows_its_frontend_servers_and_backend_in_order() {
    let page = get("/s", "stats uri /s").2;
    let rows: Vec<&str> =
        page.split("class=\"lfsb\" href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(rows[..3], ["www/Frontend", "www/plain", "shop/web1"]);
    assert_eq!(rows[8..10], ["shop/spare", "shop/Backend"]);
    let before = |name: &str| page.split(&format!("data-name=\"{name} ")).next().unwrap_or_default();
    for (name, expected) in [
        ("web1", "active_up"),
        ("spare", "backup_up"),
        ("web4", "active_going_down"),
        ("web5", "active_down"),
        ("db1", "active_going_up"),
        ("api-b", "active_draining"),
        ("api-c", "active_no_check"),
        ("web6", "maintain"),
    ] {
        assert!(before(name).ends_with(&format!("<tr class=\"{expected}\" ")), "{name}");
    }
}

// row: 155
#[test]
fn scopes_limit_what_is_listed() {
    let names = |uri: &str, lines: &str| {
        let csv = get(uri, lines).2;
        let mut names: Vec<String> =
            csv.lines().skip(1).filter_map(|line| line.split(',').next()).map(str::to_owned).collect();
        names.dedup();
        names
    };
    assert_eq!(names("/s;csv", "stats uri /s"), ["www", "shop", "api", "postgres", "stats"]);
    assert_eq!(names("/s;csv", "stats uri /s\n stats scope ."), ["stats"]);
    assert_eq!(names("/s;csv", "stats uri /s\n stats scope api\n stats scope sho"), ["api"]);
    assert_eq!(names("/s;csv?scope=P", "stats uri /s"), ["shop", "api", "postgres"]);
    assert_eq!(names("/s;csv?scope=nothing", "stats uri /s").len(), 0);
}

// row: 152
#[test]
fn servers_that_are_down_or_in_maintenance_can_be_left_out() {
    let count =
        |uri: &str| get(uri, "stats uri /s").2.lines().filter(|line| line.starts_with("shop,")).count();
    assert_eq!([count("/s;csv"), count("/s;csv;up"), count("/s;csv;no-maint")], [8, 6, 7]);
    let csv = get("/s;csv", "stats uri /s").2;
    assert!(csv.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,"));
    assert!(!csv.contains("\n\n") && csv.ends_with('\n'));
}

// row: 153
#[test]
fn json_is_a_list_of_lists_of_fields() {
    let first = busy_state().model.proxies[0].uuid;
    let json = get("/s;json", "stats uri /s").2;
    let start = format!("[[{{\"objType\":\"Frontend\",\"proxyId\":{first},\"id\":0,\"field\":{{\"pos\":0,");
    assert!(json.starts_with(&start), "{}", &json[..200]);
    assert!(json.ends_with("}}]]\n") && json.contains("}}],[{"));
    let typed = get("/s;typed", "stats uri /s").2;
    assert!(typed.starts_with(&format!("F.{first}.0.0.pxname.1:KNS:str:www\n")) && !typed.contains("\n\n"));
}

#[test]
fn addresses_are_shown_to_those_who_ask_for_legends() {
    let page = |lines: &str| get("/s", lines).2;
    assert!(!page("stats uri /s").contains("10.0.0.11"));
    let legends = page("stats uri /s\n stats show-legends");
    assert!(legends.contains("10.0.0.11:8080") && legends.contains("<dd>leastconn</dd>"));
    assert!(page("stats uri /s\n stats show-node lb-1").contains(" on <b>lb-1</b>"));
    assert!(page("stats uri /s\n stats show-desc").contains("Berlin, rack 12 &lt;primary&gt;"));
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let page = get("/s", "stats uri /s\n stats show-legends\n stats show-desc <script>alert(1)</script>").2;
    assert!(page.contains("Connection refused &lt;by peer&gt;"), "reports of checks come from servers");
    assert!(page.contains("Shop &amp; API") && !page.contains("alert(1)</script>"));
    // A scope with other letters than names have is none, so nothing of it comes back.
    assert!(!get("/s?scope=%22><script>", "stats uri /s").2.contains("><script>%"));
    let odd = get("/s\"onload;up", "stats uri /s\\\"onload").2;
    assert!(odd.contains("/s&quot;onload") && !odd.contains("/s\"onload"));
}

// row: 148
#[test]
fn the_outcome_of_an_action_is_told_and_can_be_removed() {
    for (code, class) in [
        ("DONE", "active_up"),
        ("PART", "going_down"),
        ("NONE", "going_down"),
        ("ERRP", "active_down"),
        ("EXCD", "active_down"),
        ("DENY", "active_down"),
        ("WHAT", "no_check"),
    ] {
        let page = get(&format!("/s;up;st={code}"), "stats uri /s").2;
        let note = between(&page, "<div class=\"note ", "</div>");
        assert!(note.starts_with(class), "{code}: {note}");
        assert!(note.contains("href=\"/s;up\" title=\"Remove this message\""), "{note}");
    }
    assert!(!get("/s", "stats uri /s").2.contains("class=\"note"));
}

#[test]
fn a_filter_without_scripts_keeps_the_query_of_the_uri() {
    let page = get("/haproxy?stats", "stats enable").2;
    let form = between(&page, "role=\"search\">", "</form>");
    assert!(page.contains("<form method=\"get\" action=\"/haproxy\" role=\"search\">"));
    assert!(form.starts_with("<input type=\"hidden\" name=\"stats\" value=\"\">"), "{form}");
}

#[test]
fn a_head_request_gets_no_body() {
    let (request, settings) = (request("HEAD", "/s", &[]), settings("stats uri /s"));
    let visit = Visit { connection: Some(b"close"), ..visit(&request, &settings) };
    let page = respond(&visit, &busy_state(), &mut Recorder::default());
    assert!(page.bytes.ends_with(b"connection: close\r\n\r\n"));
}

#[test]
fn the_column_of_names_is_as_wide_as_the_longest_name() {
    let widths = |server: &str| {
        let text = format!("backend b\n server {server} 127.0.0.1:1\n");
        let state = State::new(std::sync::Arc::new(model(&text)), 1, 10, 0);
        let rows = proxy_rows(&state, state.model.proxies[0].id, RowOptions::full());
        table::Widths::of(rows.iter(), false).sum()
    };
    let usual = widths("web1");
    assert_eq!(widths("a-name-of-20-letters"), usual + 44 + 20 * 8 - 146);
    assert_eq!(widths(&"long".repeat(50)), usual + 380 - 146);
}

// row: 157
#[test]
fn the_page_stands_alone() {
    let page = get("/s", "stats uri /s").2;
    for outside in ["src=", "url(", "@import", "http://", "https://"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Every table of 15 servers costs less than this: an admin on a phone reads it too.
    assert!(page.len() < 100_000, "{} bytes", page.len());
}

#[test]
fn modules_have_columns_where_they_are_asked_for() {
    let page = |text: &str| get("/s", text).2;
    let (without, with) = (page("stats uri /s"), page("stats uri /s\n stats show-modules"));
    let heading = "colspan=\"3\" scope=\"colgroup\">Extra modules</th>";
    let number = "<dt>h1_total_connections</dt><dd>";
    assert!(!without.contains(heading) && !without.contains(number));
    assert!(with.contains(heading) && with.contains(number), "{with}");
}
