//! Options of sockets and of the end of a process that change what a client sees.

use differential::normalise::rfc3164;
use differential::{Backend, Client, Instance, Program, Reply, ReservedPort, pause, same, wait_until};
use rustix::process::Signal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{get, web};

/// The message of the first log line with this text.
fn message(proxy: &Instance, text: &str) -> String {
    rfc3164(&proxy.log().expect(text)).expect("an RFC 3164 line").message
}

#[test]
fn contstats_counts_bytes_while_the_connection_lasts() {
    let counted = same(|program| {
        ["", " option contstats\n"].map(|option| {
            let backend = Backend::tcp_echo();
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n{option} server s1 127.0.0.1:$(s1)\n");
            let proxy = program.tcp(&text).with("s1", backend.port()).start();
            let mut client = proxy.client("web");
            for _ in 0..4 {
                client.send("0123456789");
                client.exact(10);
                pause(50);
            }
            // HAProxy looks every five seconds.
            if !option.is_empty() {
                wait_until("bytes are counted", || proxy.stat("web", "FRONTEND", "bin") != "0");
            }
            let counted = proxy.stat("web", "FRONTEND", "bin") != "0";
            drop(client);
            proxy.wait_for_stat("web", "s1", "bin", "40");
            proxy.wait_for_stat("web", "BACKEND", "bout", "40");
            counted
        })
    });
    assert_eq!(counted, [false, true]);
}

#[test]
fn independent_streams_take_a_silent_client_for_done_while_it_is_written_to() {
    let ends = same(|program| {
        ["", " option independent-streams\n"].map(|option| {
            let backend = Backend::raw(|connection, _| {
                for _ in 0..8 {
                    connection.send(b"x")?;
                    std::thread::sleep(Duration::from_millis(300));
                }
                Ok(())
            });
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n{option} timeout client 1s\n \
                 log 127.0.0.1:$(log) local0\n log-format \"state %ts\"\n server s1 127.0.0.1:$(s1)\n"
            );
            let proxy = program.tcp(&text).with("s1", backend.port()).start();
            let (received, end) = proxy.client("web").read_for(Duration::from_secs(6));
            (received, end, message(&proxy, "state"))
        })
    });
    assert!(ends[0].2.ends_with("--") && ends[1].2.ends_with("cD"), "{ends:?}");
}

#[test]
fn nolinger_ends_the_clients_connection_with_a_reset() {
    let ends = same(|program| {
        ["", " option nolinger\n"].map(|option| {
            let backend = Backend::named("s1");
            let proxy = web(program, option, &backend);
            let mut client = proxy.client("web");
            client.send(get("/", &["Connection: close"]));
            pause(300);
            client.read_for(Duration::from_secs(3)).1
        })
    });
    assert_eq!(ends[0], "closed");
}

#[test]
fn grace_keeps_the_listeners_and_tells_the_monitor() {
    let (before, during, after, code) = same(|program| {
        let backend = Backend::named("s1");
        let text = "global\n grace 1500\nlisten web\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s\n \
                    bind 127.0.0.1:$(web)\n monitor-uri /alive\n monitor fail if { stopping }\n server s1 127.0.0.1:$(s1)\n";
        let mut proxy = program.config(text).with("s1", backend.port()).start();
        let port = proxy.port("web");
        let before = proxy.get("web", "/alive").status;
        proxy.signal(Signal::USR1);
        pause(300);
        let during = (proxy.get("web", "/alive").status, proxy.get("web", "/").body);
        let begin = Instant::now();
        let code = proxy.wait().code;
        assert!(begin.elapsed() > Duration::from_millis(700), "{program:?} waits");
        (before, during, std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), code)
    });
    assert_eq!((before, during), (200, (503, "s1".to_owned())));
    assert!(after && code == 0);
}

#[test]
fn idle_close_on_response_answers_one_more_request() {
    let answers = same(|program| {
        let backend = Backend::named("s1");
        let mut proxy = web(program, " option idle-close-on-response\n", &backend);
        let mut client = proxy.client("web");
        client.ask(get("/", &[]));
        proxy.signal(Signal::USR1);
        pause(500);
        let response = client.ask(get("/", &[]));
        let end = client.read_for(Duration::from_secs(3)).1;
        drop(client);
        (response.body.clone(), response.header("connection").map(str::to_owned), end, proxy.wait().code)
    });
    assert_eq!(answers.0, "s1");
}

#[test]
fn a_captured_cookie_is_cut_at_the_tuned_length() {
    let lines = same(|program| {
        let backend = Backend::named("s1");
        let text = "global\n tune.http.cookielen 8\nlisten web\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s\n \
                    bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n log-format \"cookie %CC\"\n capture cookie sid= len 40\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.config(text).with("s1", backend.port()).start();
        Client::connect(proxy.port("web")).ask(get("/", &["Cookie: sid=abcdefghij"]));
        message(&proxy, "cookie")
    });
    assert!(lines.contains("sid=abcd"), "{lines}");
}

// row: 142
#[test]
fn socket_stats_count_by_listener() {
    let rows = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(one) name one\n bind 127.0.0.1:$(two)\n bind 127.0.0.1:$(three) name three\n \
                    option socket-stats\n tcp-request connection reject if { dst_port $(three) }\n \
                    http-request deny if { path /deny }\n http-response deny if { res.hdr(x) -m found }\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let mut kept = proxy.client("one");
        kept.ask(get("/", &[]));
        kept.ask(get("/", &[]));
        for target in ["/", "/deny"] {
            proxy.client("two").ask(get(target, &["Connection: close"]));
        }
        proxy.client("two").send("BAD\r\n\r\n").response();
        let rejected = proxy.client("three").read_for(Duration::from_secs(2));
        assert_eq!(rejected.0, "");
        pause(200);
        let rows = proxy.cli("show stat web -1 -1");
        rows.lines()
            .filter(|line| {
                line.starts_with("web,one") || line.starts_with("web,sock") || line.starts_with("web,three")
            })
            .map(|line| line.split(',').take(19).collect::<Vec<_>>().join(","))
            .collect::<Vec<_>>()
    });
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].starts_with("web,one,,,1,1,0,1,"), "{rows:?}");
}

#[test]
fn header_names_are_spelled_as_bogus_peers_want_them() {
    let seen = same(|program| {
        let backend = Backend::raw(|connection, _| {
            let head = connection.until(b"\r\n\r\n")?.unwrap_or_default();
            let text = String::from_utf8_lossy(&head).into_owned();
            let names: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
            let names = names.join(",");
            connection.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nx-listed: 1\r\n\r\n{names}",
                names.len()
            ))
        });
        let text = "global\n h1-case-adjust host hOST\n h1-case-adjust x-listed X-Listed\n h1-case-adjust content-length CONTENT-length\n\
                    listen web\n mode http\n bind 127.0.0.1:$(web)\n timeout client 5s\n timeout connect 5s\n timeout server 5s\n \
                    option h1-case-adjust-bogus-client\n option h1-case-adjust-bogus-server\n \
                    http-request return status 200 content-type a/b string own if { path /own }\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.config(text).with("s1", backend.port()).start();
        ["/", "/own"].map(|target| {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-LISTED: 1\r\nConnection: close\r\n\r\n");
            let raw = proxy.client("web").send(request).read_to_close();
            ["hOST", "X-Listed", "CONTENT-length"].map(|name| raw.matches(name).count())
        })
    });
    assert_eq!(seen, [[1, 2, 1], [0, 0, 1]]);
}

/// What `shutdown frontend` leaves: connections that are there, and nothing else.
#[test]
fn a_frontend_that_is_shut_down_is_gone_for_new_clients() {
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(s1)\n\
                    listen other\n bind 127.0.0.1:$(other)\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let mut before = proxy.client("web");
        let first = before.ask(get("/", &[])).body;
        let replies = ["nobody", "web", "web"].map(|name| proxy.cli(&format!("shutdown frontend {name}")));
        wait_until("nobody listens", || {
            std::net::TcpStream::connect(("127.0.0.1", proxy.port("web"))).is_err()
        });
        let rows = proxy.cli("show stat").lines().filter(|line| line.starts_with("web,FRONTEND")).count();
        let commands = ["enable frontend web", "disable frontend web", "set maxconn frontend web 10"]
            .map(|command| proxy.cli(command));
        let goes_on = before.ask(get("/", &[])).body;
        (first, replies, rows, commands, goes_on, proxy.get("other", "/").body)
    });
    assert_eq!((seen.0.as_str(), seen.4.as_str(), seen.5.as_str()), ("s1", "s1", "s1"));
}

/// Either program takes over the listeners of the other one: the new one cannot open them itself.
#[test]
fn listeners_are_handed_over_between_the_programs() {
    for (old, new) in [
        (Program::Haproxy, Program::Hawser),
        (Program::Hawser, Program::Haproxy),
        (Program::Hawser, Program::Hawser),
    ] {
        let port = ReservedPort::new();
        let launch = |program: Program, name: &str| {
            let text = format!(
                "global\n noreuseport\n stats socket $(dir)/fd.sock level admin expose-fd listeners\n\
                 defaults\n mode http\n timeout client 8s\n timeout connect 8s\n timeout server 8s\n\
                 frontend web\n bind 127.0.0.1:$(here)\n \
                 http-request return status 200 content-type a/b string {name}\n"
            );
            program.config(&text).with("here", port.number())
        };
        let ask = || Client::connect(port.number()).ask(get("/", &["Connection: close"])).body;
        let mut before = launch(old, "old").start();
        assert_eq!(ask(), "old");
        let socket = before.folder().join("fd.sock").display().to_string();
        let pid = before.pid().to_string();
        let after = launch(new, "new");
        let after = ["-x", &socket, "-sf", &pid].iter().fold(after, |launch, word| launch.argument(word));
        let after = after.start();
        wait_until("the old one is gone", || !before.is_running());
        assert_eq!(ask(), "new", "from {} to {}", old.name(), new.name());
        drop(after);
    }
}

/// The command byte of the header that a check sends: LOCAL, or PROXY as before 2.2.
#[test]
fn checks_say_local_unless_they_are_told_never_to() {
    let commands = same(|program| {
        ["", "global\n pp2-never-send-local\n"].map(|global| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&seen);
            let server = Backend::raw(move |connection, _| {
                let header = connection.exact(16)?;
                heard.lock().expect("no script panics").push(header[12]);
                Ok(())
            });
            let text = format!(
                "{global}defaults\n mode tcp\n timeout client 8s\n timeout connect 8s\n timeout server 8s\n\
                 listen web\n bind 127.0.0.1:$(web)\n option tcp-check\n tcp-check connect default\n tcp-check send x\n \
                 server s1 127.0.0.1:$(s1) send-proxy-v2 check check-send-proxy inter 100ms\n"
            );
            let _proxy = program.config(&text).with("s1", server.port()).start();
            wait_until("a check", || !seen.lock().expect("no script panics").is_empty());
            let seen = seen.lock().expect("no script panics");
            seen[0]
        })
    });
    assert_eq!(commands, [0x20, 0x21]);
}

/// Whether the first bytes go with the SYN is the kernel's choice; that requests arrive whole is not.
#[test]
fn requests_arrive_whole_over_fast_opened_connections() {
    let seen = same(|program| {
        let backend = Backend::http(|request| Reply::ok(&request.body.len().to_string()));
        let text = "listen web\n bind 127.0.0.1:$(web) tfo\n http-reuse never\n option httpclose\n \
                    retry-on conn-failure empty-response\n server s1 127.0.0.1:$(s1) tfo\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        [0, 10, 100_000].map(|length| {
            let body = "x".repeat(length);
            let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
            (0..3).map(|_| proxy.client("web").ask(&request).body).collect::<Vec<_>>()
        })
    });
    assert_eq!(seen[2], ["100000"; 3]);
}

// row: 26
#[test]
fn the_backlog_is_the_files_or_the_most_connections_and_the_kernel_caps_it() {
    let lengths = same(|program| {
        [
            ("", " backlog 50", ""),
            ("", "", " backlog 70\n"),
            ("", "", " maxconn 30\n"),
            ("", " backlog 50", " backlog 70\n maxconn 30\n"),
            (" maxconn 90\n", "", ""),
            ("", " backlog 1000000", ""),
        ]
        .map(|(global, bind, line)| {
            let text = format!(
                "global\n nbthread 1\n{global}listen web\n bind 127.0.0.1:$(web){bind}\n{line} \
                 http-request return status 200\n"
            );
            let proxy = program.http(&text).start();
            let filter = format!("sport = :{}", proxy.port("web"));
            let output =
                std::process::Command::new("ss").args(["-Hltn", &filter]).output().expect("ss is there");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            // State, Recv-Q, Send-Q: how many may wait.
            (global, bind, line, text.split_whitespace().nth(2).map(str::to_owned))
        })
    });
    assert_eq!(lengths[0].3.as_deref(), Some("50"));
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("/proc");
    assert_eq!(lengths[5].3.as_deref(), Some(most.trim()));
}
