//! Sessions that are resumed: by tickets and from the cache, with clients and with servers, between processes.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use differential::{Instance, Program, same};

use crate::tls_lab::{lab, start};

/// One connection of `openssl s_client` with a request: whether its session was new, and the answer's last line.
fn connect(port: u16, arguments: &[&str]) -> (String, String) {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "a.example"])
        .args(arguments)
        .current_dir(lab())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl");
    let mut input = child.stdin.take().expect("piped");
    // Its end of input would end it before the answer: the proxy closes first.
    std::io::Write::write_all(&mut input, b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        .expect("openssl reads");
    let output = child.wait_with_output().expect("openssl");
    drop(input);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kind = text.lines().find(|line| line.starts_with("New, ") || line.starts_with("Reused, "));
    let kind = kind.and_then(|line| line.split(',').next()).unwrap_or("no session").to_owned();
    let answer = text.lines().find_map(|line| line.strip_prefix("resumed: ")).unwrap_or("none").to_owned();
    (kind, answer)
}

/// A file for a session, of this name.
fn file(name: &str) -> PathBuf {
    lab().join(format!("session-{name}-{:?}", std::thread::current().id()))
}

/// A connection that keeps its session, then one to `second` that offers it.
fn twice(first: u16, second: u16, arguments: &[&str]) -> [(String, String); 2] {
    let path = file(&first.to_string());
    let path = path.to_str().expect("a name of ours");
    let one = connect(first, &[arguments, &["-sess_out", path]].concat());
    // A server that offers no session leaves no file.
    let offered = std::fs::exists(path).expect("a folder of ours");
    let two = if offered { connect(second, &[arguments, &["-sess_in", path]].concat()) } else { one.clone() };
    let _ = std::fs::remove_file(path);
    [one, two]
}

const ANSWER: &str = " http-request return status 200 content-type text/plain lf-string \
                      \"resumed: %[ssl_fc_is_resumed] %[ssl_c_used] %[ssl_c_s_dn(CN)] %[ssl_fc_sni]\\n\"\n";

/// Clients of both versions, with tickets and without.
const CLIENTS: [&[&str]; 4] =
    [&["-tls1_2"], &["-tls1_2", "-no_ticket"], &["-tls1_3"], &["-tls1_3", "-no_ticket"]];

#[test]
fn clients_resume_by_ticket_and_from_the_cache_as_with_haproxy() {
    let found = same(|program| {
        let text = format!(
            "listen plain\n bind 127.0.0.1:$(plain) ssl crt $(lab)/a.pem\n{ANSWER}\
             listen stateful\n bind 127.0.0.1:$(stateful) ssl crt $(lab)/a.pem no-tls-tickets\n{ANSWER}"
        );
        let proxy = start(program, &text);
        ["plain", "stateful"]
            .map(|name| CLIENTS.map(|arguments| twice(proxy.port(name), proxy.port(name), arguments)))
    });
    for (name, clients) in ["plain", "stateful"].iter().zip(&found) {
        for (arguments, [one, two]) in CLIENTS.iter().zip(clients) {
            assert_eq!((&*one.0, &*two.0), ("New", "Reused"), "{name} {arguments:?}");
            assert!(two.1.starts_with("1 "), "{}", two.1);
        }
    }
}

#[test]
fn without_a_cache_only_tickets_resume() {
    same(|program| {
        let text = format!(
            "global\n tune.ssl.cachesize 0\nlisten web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem\n{ANSWER}\
             listen none\n bind 127.0.0.1:$(none) ssl crt $(lab)/a.pem no-tls-tickets\n{ANSWER}"
        );
        let proxy = start(program, &text);
        let of = |name: &str| {
            CLIENTS.map(|arguments| twice(proxy.port(name), proxy.port(name), arguments)[1].0.clone())
        };
        [of("web"), of("none")]
    });
}

#[test]
fn who_showed_a_certificate_is_known_when_the_session_is_resumed() {
    let found = same(|program| {
        let text = format!(
            "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem ca-file $(lab)/ca.crt verify required\n{ANSWER}"
        );
        let proxy = start(program, &text);
        ["-tls1_2", "-tls1_3"].map(|version| {
            let arguments = [version, "-cert", "client.crt", "-key", "client.key"];
            twice(proxy.port("web"), proxy.port("web"), &arguments)
        })
    });
    assert!(found.iter().all(|[_, two]| two.0 == "Reused" && two.1.contains("client one")), "{found:?}");
}

/// Ticket keys as `openssl rand -base64 80` makes them, three of them.
fn keys(seed: &str) -> String {
    let script = format!("for number in 1 2 3; do printf '{seed}%077d' $number | base64 -w0; echo; done");
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    String::from_utf8(output.stdout).expect("base64")
}

fn with_keys(program: Program, keys: &str) -> Instance {
    let text = format!(
        "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem tls-ticket-keys $(dir)/keys\n{ANSWER}"
    );
    program.http(&text).with("lab", lab().display()).file("keys", keys).start()
}

#[test]
fn nodes_with_the_same_ticket_keys_resume_each_others_sessions() {
    let found = same(|program| {
        let [one, two, other] = ["abc", "abc", "xyz"].map(|seed| with_keys(program, &keys(seed)));
        let kinds = |first: &Instance, second: &Instance| {
            ["-tls1_2", "-tls1_3"]
                .map(|version| twice(first.port("web"), second.port("web"), &[version])[1].0.clone())
        };
        [kinds(&one, &two), kinds(&two, &one), kinds(&one, &other)]
    });
    let (reused, new) = (["Reused", "Reused"], ["New", "New"]);
    assert_eq!(found, [reused, reused, new]);
}

#[test]
fn a_new_process_with_the_same_ticket_keys_resumes() {
    let found = same(|program| {
        let one = with_keys(program, &keys("abc"));
        let path = file("restart");
        let path = path.to_str().expect("a name of ours");
        connect(one.port("web"), &["-tls1_3", "-sess_out", path]);
        drop(one);
        let two = with_keys(program, &keys("abc"));
        connect(two.port("web"), &["-tls1_3", "-sess_in", path]).0
    });
    assert_eq!(found, "Reused");
}

#[test]
fn sessions_with_servers_are_resumed_unless_the_line_forbids() {
    let found = same(|program| {
        let versions = ["force-tlsv12", "force-tlsv12 no-tls-tickets", "force-tlsv13"];
        let mut text = String::new();
        for (number, version) in versions.iter().enumerate() {
            text.push_str(&format!(
                "listen web{number}\n bind 127.0.0.1:$(web{number})\n http-reuse never\n \
                 http-response set-header x-resumed %[ssl_bc_is_resumed]\n \
                 server s1 127.0.0.1:$(far{number}) ssl verify none\n\
                 listen again{number}\n bind 127.0.0.1:$(again{number})\n http-reuse never\n \
                 http-response set-header x-resumed %[ssl_bc_is_resumed]\n \
                 server s1 127.0.0.1:$(far{number}) ssl verify none no-ssl-reuse\n\
                 listen far{number}\n bind 127.0.0.1:$(far{number}) ssl crt $(lab)/a.pem {version}\n \
                 http-request return status 200\n"
            ));
        }
        let proxy = start(program, &text);
        let resumed = |name: String| {
            [(); 3].map(|()| proxy.get(&name, "/").header("x-resumed").unwrap_or_default().to_owned())
        };
        let sessions =
            [0, 1, 2].map(|number| [resumed(format!("web{number}")), resumed(format!("again{number}"))]);
        let stats = proxy.cli("show stat typed");
        let counts: Vec<String> = stats
            .lines()
            .filter(|line| line.contains("ssl_sess") || line.contains("ssl_reused_sess"))
            .map(|line| line.split_once('.').map_or("", |(_, rest)| rest).to_owned())
            .collect();
        (sessions, counts)
    });
    for [reusing, forbidden] in &found.0 {
        assert_eq!(reusing[1..], ["1", "1"]);
        assert_eq!(forbidden[..], ["0", "0", "0"]);
    }
}

#[test]
fn a_burst_of_connections_to_a_server_resumes() {
    const CLIENTS: usize = 30;
    let counts = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n http-reuse never\n server s1 127.0.0.1:$(far) ssl verify none\n\
                    listen far\n bind 127.0.0.1:$(far) ssl crt $(lab)/a.pem\n http-request return status 200\n";
        let proxy = start(program, text);
        let burst = || {
            let mut clients: Vec<_> = (0..CLIENTS).map(|_| proxy.client("web")).collect();
            for client in &mut clients {
                client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
            }
            clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
        };
        let resumed = || {
            let text = proxy.cli("show stat typed");
            let line = text.lines().find(|line| line.starts_with("S.") && line.contains("ssl_reused_sess"));
            line.and_then(|line| line.rsplit(':').next()?.parse::<usize>().ok()).expect("a number")
        };
        burst();
        let before = resumed();
        burst();
        resumed() - before
    });
    assert_eq!(counts, CLIENTS);
}

/// What the runtime API counts of the cache: sessions without tickets alone are looked up in it.
#[test]
fn lookups_in_the_cache_are_counted() {
    let counted = same(|program| {
        let text = format!(
            "listen plain\n bind 127.0.0.1:$(plain) ssl crt $(lab)/a.pem\n{ANSWER}\
             listen stateful\n bind 127.0.0.1:$(stateful) ssl crt $(lab)/a.pem no-tls-tickets\n{ANSWER}"
        );
        let proxy = start(program, &text);
        let counts = || {
            let info = proxy.cli("show info");
            let of = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            (of("SslCacheLookups: "), of("SslCacheMisses: "))
        };
        let mut seen = vec![counts()];
        for name in ["plain", "stateful"] {
            for arguments in CLIENTS {
                twice(proxy.port(name), proxy.port(name), arguments);
                seen.push(counts());
            }
        }
        seen
    });
    assert_ne!(counted[8], (Some("0".to_owned()), Some("0".to_owned())));
}
