//! `hawser check`, `explain` and `diff` as people call them.

use super::program::*;
use std::path::PathBuf;
use std::process::{Command, Output};

fn hawser(folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hawser"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .expect("it starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Explains files of the tutorial together.
fn explained(files: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hawser"));
    command.arg("explain").current_dir(root());
    command.args(files.iter().map(|file| format!("tests/vectors/tutorial/{file}")));
    text(&command.output().expect("it starts"))
}

// row: 285, 330
#[test]
fn explain_names_every_mistake_of_the_tutorial() {
    let literal = explained(&[
        "haproxy.cfg",
        "keepalived-lvs-1.conf",
        "keepalived-lvs-2.conf",
        "limits.conf",
        "sysctl.conf",
        "lvs_rs.sh",
        "updatecode.sh",
    ]);
    let multicast = explained(&["keepalived-multicast.conf"]);
    let nopreempt = explained(&["keepalived-haproxy.conf"]);
    let printed = explained(&["as-printed.cfg", "as-printed.conf", "as-printed.sh", "glued-limits.conf"]);
    for (row, where_, expected) in [
        (5, &literal, "the soft limit of nofile for root is above the hard one"),
        (7, &printed, "two lines run into one at `8192000*`"),
        (31, &literal, "outdated"),
        (44, &printed, "adverts do not go to 192.168.1.114 unless it is a unicast_peer"),
        (48, &printed, "did you mean `daemon`?"),
        (62, &printed, "`5` is 5 %, not 50 %"),
        (75, &printed, "`option http-keep-alive` takes no argument"),
        (76, &printed, "that is persistence, by `cookie` or a stick table"),
        (84, &printed, "it does not tie the client to a server"),
        (104, &printed, "did you mean `redir`?"),
        (106, &printed, "did you mean `maxqueue`?"),
        (143, &literal, "add `stats hide-version`"),
        (146, &printed, "the realm is `:`"),
        (162, &printed, "did you mean `http-request`?"),
        (163, &printed, "did you mean `X-Forwarded-Proto`?"),
        (173, &printed, "is a page and not a whole response"),
        (177, &printed, "`compression` is no MIME type"),
        (196, &literal, "the loop asks one socket for each CPU"),
        (219, &multicast, "strict mode has no authentication: it is ignored"),
        (220, &multicast, "0 means no gap"),
        (227, &printed, "0 is out of range: 1..=255 is valid"),
        (241, &nopreempt, "under nopreempt, priority 99 decides a start only if the other node's is 50 away"),
        (268, &printed, "a line break is missing before `real_server`"),
        (271, &literal, "`nb_get_retry` is taken for `retry` here"),
        (285, &literal, "has lb_algo rr on one node and wlc on the other"),
        (303, &printed, "`-w` is the weight of a real server; NAT is `-m`"),
        (314, &literal, "`route add` needs `dev` before `lo:0`"),
    ] {
        assert!(where_.contains(expected), "row {row}: '{expected}' is not in\n{where_}");
    }
}

// row: 76
#[test]
fn explain_tells_keep_alive_from_persistence() {
    let folder = Folder::new();
    folder.file("a.cfg", "defaults\n    option http-keep-alive\n");
    let said = text(&hawser(&folder, &["explain", "a.cfg"]));
    assert!(said.contains("it does not tie a client to a server: that is persistence"), "{said}");
}

// row: 177, 178
#[test]
fn explain_points_at_algorithms_and_words_that_compress_badly() {
    let folder = Folder::new();
    let lines = "frontend f\n    compression algo gzip deflate\n    compression type text/plain compression type text/css\n";
    folder.file("a.cfg", lines);
    let said = text(&hawser(&folder, &["explain", "a.cfg"]));
    assert!(said.contains("many clients misread `deflate`, and all of them read `gzip`"), "{said}");
    assert!(
        said.contains("`compression` is no MIME type") && said.contains("`type` is no MIME type"),
        "{said}"
    );
    folder.file("a.cfg", "frontend f\n    compression algo gzip\n    compression type text/plain text/css\n");
    let said = text(&hawser(&folder, &["explain", "a.cfg"]));
    assert!(!said.contains("misread") && !said.contains("no MIME type"), "{said}");
}

// row: 135
#[test]
fn explain_says_whether_balancing_is_static_or_dynamic() {
    let folder = Folder::new();
    for (line, expected) in [
        ("balance roundrobin", "dynamic: weights may change"),
        ("balance leastconn", "dynamic: "),
        ("balance static-rr", "static: while it runs a weight is either its first value or 0"),
        ("balance source", "static: "),
        ("balance source\n    hash-type consistent", "dynamic: "),
    ] {
        folder.file("a.cfg", &format!("backend app\n    {line}\n    server a 10.0.0.1:80\n"));
        let said = text(&hawser(&folder, &["explain", "a.cfg"]));
        let of_section = said.lines().nth(2).unwrap_or_default();
        assert!(of_section.contains(expected), "{line}: {said}");
    }
}

const WEB: &str = "defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend web
    bind 192.0.2.200:80
    tcp-request connection reject if { src 10.66.0.0/16 }
    http-request deny deny_status 429 if { path /secret } !{ src 10.0.0.0/8 }
    http-request set-header X-Real-IP %[src]
    http-request redirect location /b if { path /old }
    use_backend fixed if { path_beg /static }
    default_backend app
backend fixed
    server s1 10.1.0.1:80 check
backend app
    balance uri
    cookie SRV insert indirect nocache
    http-request set-path /app%[path]
    use-server a3 if { hdr(x-debug) 1 }
    server a1 10.2.0.1:80 check cookie a1
    server a2 10.2.0.2:80 check cookie a2
    server a3 10.2.0.3:80 check cookie a3
";

/// The course of one request, as the JSON says it.
fn course(folder: &Folder, arguments: &[&str]) -> String {
    let fixed = ["explain", "-f", "web.cfg", "--json"];
    let output = hawser(folder, &[&fixed[..], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

#[test]
fn explain_follows_a_request_through_the_rules_to_its_server() {
    let folder = Folder::new();
    folder.file("web.cfg", WEB);
    for (arguments, expected) in [
        (
            &["--request", "/a", "--src", "10.0.0.9"][..],
            &["X-Real-IP: 10.0.0.9", "GET /app/a HTTP/1.1", "by default_backend"][..],
        ),
        (
            &["--request", "/static/x"],
            &["web.cfg:14 by the use_backend rule at web.cfg:12", "\"name\":\"s1\""],
        ),
        (
            &["--request", "/secret", "--src", "192.0.2.9"],
            &["429", "web.cfg:9: http-request deny", "\"server\":null"],
        ),
        (&["--request", "/old"], &["location: /b", "web.cfg:11: http-request redirect"]),
        (
            &["--request", "/a", "--header", "x-debug: 1"],
            &["by the use-server rule at web.cfg:20", "\"name\":\"a3\""],
        ),
        (
            &["--request", "/a", "--header", "Cookie: SRV=a2"],
            &["by the cookie of the request", "\"name\":\"a2\""],
        ),
        (
            &["--request", "/a", "--header", "Cookie: SRV=a2", "--down", "app/a2"],
            &["the cookie's server is down"],
        ),
        (
            &["--request", "/a", "--src", "10.66.1.1"],
            &["web.cfg:8: tcp-request connection reject", "\"answer\":null"],
        ),
    ] {
        let said = course(&folder, arguments);
        for part in expected {
            assert!(said.contains(part), "{arguments:?}: '{part}' is not in {said}");
        }
    }
}

#[test]
fn explain_runs_connection_rules_by_themselves() {
    let folder = Folder::new();
    let rules = "    tcp-request connection accept if { src 10.1.0.0/16 }\n    \
                 tcp-request connection set-var(sess.seen) int(1)\n    \
                 tcp-request session reject if { src 10.1.66.0/24 }\n    \
                 http-request set-header X-Seen %[var(sess.seen)]\n";
    folder
        .file("web.cfg", &WEB.replace("    tcp-request connection reject if { src 10.66.0.0/16 }\n", rules));
    let accepted = course(&folder, &["--request", "/a", "--src", "10.1.0.9"]);
    assert!(accepted.contains("web.cfg:8: tcp-request connection accept"), "{accepted}");
    assert!(!accepted.contains("X-Seen: 1"), "the rule behind it is not reached: {accepted}");
    let refused = course(&folder, &["--request", "/a", "--src", "10.1.66.9"]);
    assert!(refused.contains("web.cfg:8: tcp-request connection accept"), "{refused}");
    assert!(
        refused.contains("web.cfg:10: tcp-request session reject") && refused.contains("\"answer\":null"),
        "an accepted connection still meets session rules: {refused}"
    );
    let other = course(&folder, &["--request", "/a", "--src", "10.2.0.9"]);
    assert!(other.contains("X-Seen: 1") && !other.contains("web.cfg:8:"), "{other}");
}

#[test]
fn explain_speaks_tls_where_the_client_would() {
    let folder = Folder::new();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=www.example"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .expect("openssl is there");
    assert!(made.status.success());
    folder
        .file("site.pem", &(folder.read("cert.pem").expect("made") + &folder.read("key.pem").expect("made")));
    let text = "defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend web
    bind 192.0.2.200:80
    bind 192.0.2.200:443 ssl crt site.pem
    http-request redirect scheme https unless { ssl_fc }
    http-request set-header X-Name %[ssl_fc_sni] if { src 10.0.0.9 }
    default_backend app
backend app
    server a1 10.2.0.1:80
";
    folder.file("web.cfg", text);
    let common = ["--request", "/a", "--header", "Host: www.example", "--src", "10.0.0.9", "--to"];
    let clear = course(&folder, &[&common[..], &["192.0.2.200:80"]].concat());
    assert!(clear.contains("location: https://www.example/a"), "{clear}");
    let secure = course(&folder, &[&common[..], &["192.0.2.200:443"]].concat());
    assert!(secure.contains("X-Name: www.example") && !secure.contains("location:"), "{secure}");
    assert!(secure.contains("\"name\":\"a1\""), "{secure}");
    folder.file("web.cfg", &text.replace("192.0.2.200:443 ssl crt site.pem", "192.0.2.200:443"));
    let plain = course(&folder, &[&common[..], &["192.0.2.200:443"]].concat());
    assert!(plain.contains("location: https://www.example/a"), "{plain}");
}

#[test]
fn explain_chooses_the_server_that_the_proxy_chooses() {
    // The same key, the same hash: followed here, and served by HAProxy before three servers.
    let folder = Folder::new();
    folder.file("web.cfg", WEB);
    let name = |path: &str| {
        let said = course(&folder, &["--request", path]);
        let at = said.find("\"server\":{\"name\":\"").expect("a server") + 18;
        said[at..at + 2].to_owned()
    };
    // sdbm of the URI over three servers of weight 1, as HAProxy 2.6.12 places them.
    let sdbm = |text: &str| {
        text.bytes().fold(0u32, |hash, byte| {
            u32::from(byte).wrapping_add(hash << 6).wrapping_add(hash << 16).wrapping_sub(hash)
        })
    };
    for path in ["/a", "/b", "/c", "/index", "/static-not"] {
        let number = sdbm(&format!("/app{path}")) % 3 + 1;
        let expected = format!("a{number}");
        if path.starts_with("/static") {
            assert_eq!(name(path), "s1");
        } else {
            assert_eq!(name(path), expected, "{path}");
        }
    }
}

#[test]
fn explain_says_what_it_cannot_follow() {
    let folder = Folder::new();
    folder.file("web.cfg", WEB);
    for (arguments, code, expected) in [
        (&["--request", "/a", "--frontend", "nobody"][..], 1, "no frontend listens there"),
        (&["--request", "/a", "--to", "192.0.2.200:81"], 1, "no frontend listens there"),
        (&["--request", "/a", "--down", "app/zz"], 1, "there is no server `app/zz`"),
        (&["--request", "a b c d"], 2, "is no request line"),
        (&["--request", "/a", "--header", "nonsense"], 2, "is no header"),
        (&["--request", "/a", "--src", "nobody"], 2, "is not ADDRESS"),
    ] {
        let output = hawser(&folder, &[&["explain", "-f", "web.cfg"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output).contains(expected), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn explain_tells_which_virtual_server_takes_a_packet() {
    let said = {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hawser"));
        command.current_dir(root()).args(["explain", "--packet", "tcp", "--to", "192.168.1.200:80"]);
        text(
            &command
                .args(["-k", "tests/vectors/tutorial/keepalived-lvs-1.conf"])
                .output()
                .expect("it starts"),
        )
    };
    for part in [
        "moved by VI_1",
        "virtual_server 192.168.1.200:80",
        "lb_algo rr",
        "192.168.1.112:80",
        "direct routing",
    ] {
        assert!(said.contains(part), "'{part}' is not in {said}");
    }
}

#[test]
fn check_tells_files_apart_and_every_mistake_in_them() {
    let folder = Folder::new();
    folder.file(
        "web",
        &WEB.replace("default_backend app", "default_backend appp").replace("balance uri", "balanse uri"),
    );
    folder.file("vip", "vrrp_instance VI_1 {\n    interface lo\n    virtual_router_id 300\n}\n");
    let output = hawser(&folder, &["check", "web", "vip"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("web:13") && said.contains("web:17") && said.contains("vip:3"), "{said}");
    assert!(said.contains("    balanse uri\n    ^^^^^^^"), "{said}");
    let output = hawser(&folder, &["check", "--json", "web", "vip"]);
    let said = text(&output);
    assert!(said.starts_with("{\"diagnostics\":[{"), "{said}");
    assert!(said.contains("\"file\":\"vip\"") && said.contains("\"line\":13"), "{said}");
}

#[test]
fn check_ends_with_0_when_there_is_nothing_to_mend() {
    let folder = Folder::new();
    folder.file("web.cfg", WEB);
    let output = hawser(&folder, &["check", "web.cfg"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("1 file: 0 errors, 0 warnings"), "{}", text(&output));
    assert_eq!(hawser(&folder, &["check"]).status.code(), Some(2));
    assert_eq!(hawser(&folder, &["check", "missing"]).status.code(), Some(2));
}

#[test]
fn diff_says_what_a_reload_would_change() {
    let folder = Folder::new();
    folder.file("old.cfg", WEB);
    let moved = format!("# a comment\n\n{WEB}");
    folder.file("same.cfg", &moved);
    let output = hawser(&folder, &["diff", "old.cfg", "same.cfg"]);
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), "nothing changes\n"));
    let new = WEB
        .replace("    server a3 10.2.0.3:80 check cookie a3\n", "")
        .replace("    use-server a3 if { hdr(x-debug) 1 }\n", "")
        .replace("10.2.0.2:80 check", "10.2.0.2:8080 check weight 5")
        .replace("bind 192.0.2.200:80", "bind 192.0.2.200:80\n    bind 192.0.2.200:81")
        .replace("redirect location /b if { path /old }", "redirect location /c if { path /old }")
        .replace("timeout server 1s", "timeout server 2s")
        .replace("balance uri", "balance source\n    hash-type consistent")
        + "backend more\n    server m1 10.3.0.1:80\n";
    folder.file("new.cfg", &new);
    let output = hawser(&folder, &["diff", "old.cfg", "new.cfg"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "+ bind 192.0.2.200:81: of frontend web",
        "~ backend app: balance uri len 0 depth 0 whole false path-only false (map-based sdbm, factor 0) -> source (consistent sdbm avalanche, factor 0), timeout server 1000ms -> 2000ms",
        "- server app/a3: 10.2.0.3:80\n    its established connections go on to their end; clients with cookie a3 are balanced anew",
        "~ server app/a2: address 10.2.0.2:80 -> 10.2.0.2:8080, weight 1 -> 5",
        "- frontend web, rule: http-request redirect location /b if { path /old }",
        "+ frontend web, rule: http-request redirect location /c if { path /old }",
        "of all keys move to another server",
        "+ backend more: servers m1",
    ] {
        assert!(said.contains(part), "'{part}' is not in\n{said}");
    }
    folder.file("wrong.cfg", "listen l\n  bogus\n");
    assert_eq!(hawser(&folder, &["diff", "old.cfg", "wrong.cfg"]).status.code(), Some(2));
}

/// The blocks of the tutorial's snippets, each a configuration of its own; names, files and hosts that a test machine has.
fn snippets(folder: &Folder) -> Vec<String> {
    let text =
        std::fs::read_to_string(root().join("tests/vectors/tutorial/snippets.cfg")).expect("it is there");
    let (blocks, lines) = text.split_once("# lines of their own\n").expect("both parts");
    let pem = folder.path().join("servername.pem").display().to_string();
    let fit = |text: &str| {
        text.replace("/etc/ssl/certs/servername.pem", &pem)
            .replace("blogs.studylinux.net", "127.0.0.1")
            .replace("/usr/local/haproxy/html/500.html", "page.html")
    };
    // Without these every proxy is warned of, in every version.
    const TIMES: &str = "defaults\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n";
    let mut all: Vec<String> = Vec::new();
    for block in blocks.split("\n\n").filter(|block| block.contains("bind")) {
        all.push(format!("{TIMES}{}\n", fit(block)));
    }
    for line in lines.lines().map(|line| line.trim_start_matches('#').trim()).filter(|line| !line.is_empty())
    {
        let line = fit(line);
        all.push(format!(
            "{TIMES}    mode http\nlisten web\n    bind 127.0.0.1:1\n    {line}\n    server a 127.0.0.1:2\n"
        ));
    }
    all
}

// row: 326
#[test]
fn literal_configurations_of_every_version_are_accepted() {
    let folder = Folder::new();
    folder.file("page.html", "<html><body>Sorry.</body></html>\n");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=servername"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .expect("openssl is there");
    assert!(made.status.success());
    let pem = folder.read("cert.pem").expect("made") + &folder.read("key.pem").expect("made");
    folder.file("servername.pem", &pem);
    let mut all = snippets(&folder);
    assert!(all.len() > 12, "{}", all.len());
    all.push(
        std::fs::read_to_string(root().join("tests/vectors/tutorial/haproxy.cfg")).expect("it is there"),
    );
    // Forms that one version alone takes: 1.8, 2.6, 3.x.
    const TIMES: &str =
        "    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n";
    for line in [
        "option forceclose",
        "option http-tunnel",
        "reqadd X-A:\\ b",
        "rspadd X-A:\\ b",
        "reqidel ^x-b:",
        "block if { path /a }",
        "monitor-net 10.0.0.0/8",
        "redispatch",
        "contimeout 5000",
        "http-request return status 200",
        "http-request set-var-fmt(txn.a) %[src]",
        "http-after-response set-header a b",
        "option accept-unsafe-violations-in-http-request",
        "filter compression",
    ] {
        all.push(format!("listen web\n{TIMES}    bind 127.0.0.1:1\n    {line}\n    server a 127.0.0.1:2\n"));
    }
    for (number, text) in all.iter().enumerate() {
        let name = format!("{number}.cfg");
        folder.file(&name, text);
        let output = hawser(&folder, &["haproxy", "-c", "-f", &name]);
        assert_eq!(output.status.code(), Some(0), "{text}\n{}", self::text(&output));
    }
    // The directors' files: accepted, and what is odd in them is told.
    for (file, remark) in [
        ("keepalived-haproxy.conf", "under nopreempt"),
        ("keepalived-lvs-1.conf", "`nb_get_retry` is taken for `retry` here"),
        ("keepalived-multicast.conf", "strict mode has no authentication"),
    ] {
        let path = root().join("tests/vectors/tutorial").join(file);
        folder.file(file, &std::fs::read_to_string(path).expect("it is there"));
        let output = hawser(&folder, &["keepalived", "-t", "-f", file]);
        let said = text(&output);
        assert!(said.contains(remark) && !said.contains("error:"), "{file}: {said}");
    }
}
