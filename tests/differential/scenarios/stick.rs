//! Stick tables.

use differential::normalise::numbers;
use differential::{Backend, Program, same};

use crate::support::get;

/// `0x55…:` is the entry's address and `exp=` its remaining time: both change.
fn dump(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let line =
            line.strip_prefix("0x").and_then(|rest| rest.split_once(": ")).map_or(line, |(_, rest)| rest);
        let words = line.split(' ').map(|word| match word.split_once('=') {
            Some(("exp", _)) => "exp=N".to_owned(),
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect()
}

// row: 181, 182, 183, 79
#[test]
fn stick_on_source_keeps_a_client_on_its_server() {
    let (served, table) = same(|program| {
        let servers = ["s1", "s2", "s3"].map(Backend::named);
        let text = "frontend tls\n bind 127.0.0.1:$(tls)\n default_backend web_server\n\
                    backend web_server\n balance roundrobin\n stick-table type ip size 200k expire 30m\n stick on src\n \
                    server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:$(s2)\n server s3 127.0.0.1:$(s3)\n";
        let launch = program.tcp(text).with("s1", servers[0].port()).with("s2", servers[1].port());
        let proxy = launch.with("s3", servers[2].port()).start();
        let served = proxy.served_by("tls", 5);
        let table = proxy.cli("show table web_server");
        let expiry: u64 = numbers_after(&table, "exp=");
        assert!((1_790_000..=1_800_000).contains(&expiry), "{table}");
        (served, dump(&table))
    });
    assert_eq!(served, ["s1"; 5]);
    assert_eq!(table[0], "# table: web_server, type: ip, size:204800, used:1");
    assert_eq!(table[1], "key=127.0.0.1 use=0 exp=N server_id=1 server_key=s1");
}

fn numbers_after(text: &str, marker: &str) -> u64 {
    let digits = text.split(marker).nth(1).unwrap_or_default();
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or_default()
}

// row: 183
#[test]
fn entries_expire_when_idle_and_hits_refresh_them() {
    let used = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web)\n stick-table type ip size 1k expire 1s\n stick on src\n \
                    server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let used = || proxy.cli("show table web").lines().next().map(str::to_owned);
        proxy.get("web", "/");
        differential::pause(600);
        proxy.get("web", "/");
        differential::pause(600);
        let refreshed = used();
        differential::pause(1_300);
        [refreshed, used()]
    });
    assert_eq!(used[0].as_deref(), Some("# table: web, type: ip, size:1024, used:1"));
    assert_eq!(used[1].as_deref(), Some("# table: web, type: ip, size:1024, used:0"));
}

// row: 181
#[test]
fn stick_rules_match_and_store_by_any_key() {
    let (served, tables) = same(|program| {
        let rules = [
            ("type string len 32", "stick on req.cook(id)"),
            ("type string len 32", "stick on hdr(x-user) if { path_beg /u }"),
            ("type integer", "stick on hdr_ip(x-ip),ipmask(16)"),
            ("type string len 4", "stick match urlp(id)\n stick store-request urlp(id)"),
            ("type string len 32", "stick match req.cook(id)\n stick store-response res.cook(id)"),
        ];
        let rows = rules.map(|(kind, rule)| {
            let servers = ["s1", "s2"].map(|name| {
                Backend::http(move |request| {
                    let id = request.header("x-user").unwrap_or("none").to_owned();
                    differential::Reply::status("200 OK", &[&format!("Set-Cookie: id={id}")], name)
                })
            });
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n stick-table {kind} size 1k expire 1m\n {rule}\n \
                 server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:$(s2)\n"
            );
            let launch = program.http(&text).with("s1", servers[0].port()).with("s2", servers[1].port());
            let Ok(proxy) = launch.try_start() else { return (String::new(), Vec::new()) };
            let users = ["a", "b", "a", "long-name", "b", "a"];
            let served = users.map(|user| {
                let (cookie, name) = (format!("Cookie: id={user}"), format!("X-User: {user}"));
                let headers: &[&str] = &[&cookie, &name, "X-Ip: 10.1.2.3"];
                proxy.client("web").ask(get(&format!("/u?id={user}"), headers)).body
            });
            let mut entries = dump(&proxy.cli("show table web"));
            entries[1..].sort();
            (served.concat(), entries)
        });
        let (served, tables): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        (served, tables)
    });
    assert_eq!(served[0], "s1s2s1s1s2s1");
    assert_eq!(tables[0].len(), 5, "a head, three entries and the empty line");
}

// row: 182
#[test]
fn tables_are_shown_set_and_cleared_by_hand() {
    let commands = [
        "show table",
        "set table web key 10.0.0.1 data.gpc0 5 data.gpt0 7",
        "set table web key 10.0.0.2 data.gpc0 9",
        "show table web",
        "show table web key 10.0.0.1",
        "show table web data.gpc0 gt 6",
        "show table web data.gpc0 eq 5",
        "clear table web key 10.0.0.1",
        "show table web",
        "clear table web",
        "show table web",
        "show table nobody",
        "set table web key 10.0.0.1 data.nothing 1",
        "clear table web data.gpc0 gt",
    ];
    let replies = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n stick-table type ip size 1k expire 1m store gpc0,gpt0,conn_cnt,http_req_rate(10s)\n\
                    backend other\n stick-table type string len 20 size 100\n";
        let proxy = program.http(text).start();
        commands.map(|command| {
            let mut lines = dump(&proxy.cli(command));
            // Entries come in the order of a tree that time decides.
            lines.sort();
            (command, lines)
        })
    });
    assert!(replies[7].1.iter().all(String::is_empty));
}

#[test]
fn counters_track_clients_and_rules_read_them() {
    let (statuses, table) = same(|program| {
        let backend = Backend::named("s1");
        let text = "frontend web\n bind 127.0.0.1:$(web)\n stick-table type ip size 1k expire 1m store http_req_cnt,http_err_cnt,conn_cnt,bytes_out_cnt,gpc0\n \
                    http-request track-sc0 src\n http-request sc-inc-gpc0(0) if { path /mark }\n \
                    http-request deny deny_status 429 if { sc_http_req_cnt(0) gt 4 }\n \
                    http-request set-header X-Count %[sc0_http_req_cnt]\n default_backend app\n\
                    backend app\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let statuses: Vec<u16> =
            (0..6).map(|n| proxy.get("web", if n == 1 { "/mark" } else { "/" }).status).collect();
        ((statuses, backend.last().header("x-count").map(str::to_owned)), dump(&proxy.cli("show table web")))
    });
    assert_eq!(statuses, (vec![200, 200, 200, 200, 429, 429], Some("4".to_owned())));
    assert!(table[1].contains("http_req_cnt=6"), "{table:?}");
}

// row: 184
#[test]
fn mode_mismatches_between_frontend_and_backend_are_judged_alike() {
    let codes = same(|program: Program| {
        let text = |front: &str, back: &str| {
            format!(
                "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                 frontend f\n bind 127.0.0.1:$(f)\n mode {front}\n default_backend b\n\
                 backend b\n mode {back}\n server s 127.0.0.1:1\n"
            )
        };
        [("http", "tcp"), ("tcp", "http"), ("http", "http"), ("tcp", "tcp")]
            .map(|(front, back)| program.config(&text(front, back)).check().code)
    });
    assert_eq!(codes, [1, 0, 0, 0]);
}

#[test]
fn stick_table_declarations_are_checked_at_load() {
    let declarations = [
        "type ip size 1k",
        "type ip size 200k expire 30m",
        "type ipv6 size 10m nopurge",
        "type integer size 5",
        "type string size 5",
        "type string len 20 size 5",
        "type binary len 20 size 5 expire 5s",
        "type ip",
        "size 1k",
        "type floppy size 1k",
        "type ip size 1x",
        "type ip size 1k expire never",
        "type ip size 1k store gpc0,nothing",
        "type ip size 1k store http_req_rate(10s),conn_rate(1m)",
        "type ip size 1k store http_req_rate",
    ];
    let codes = same(|program| {
        declarations.map(|declaration| {
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n stick-table {declaration}\n");
            (declaration, program.http(&text).check().code)
        })
    });
    assert_eq!(codes[1].1, 0);
    assert_eq!(numbers("used:12"), "used:N");
}
