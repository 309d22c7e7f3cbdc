//! Timeouts of the rarer phases, and the options that shape a connection.

use std::time::{Duration, Instant};

use differential::{Backend, Reply, pause, same};

use crate::support::{get, traffic_line, web};

#[test]
fn timeout_tunnel_replaces_the_others_once_upgraded() {
    let (end, line) = same(|program| {
        let backend = Backend::raw(|connection, _| {
            connection.request_head()?;
            connection
                .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")?;
            connection.rest();
            Ok(())
        });
        let lines = " timeout tunnel 400ms\n timeout client 8s\n timeout server 8s";
        let proxy = crate::support::logging_web(program, lines, &backend);
        let mut client = proxy.client("web");
        client.send(get("/chat", &["Connection: Upgrade", "Upgrade: echo"]));
        assert_eq!(client.response().status, 101);
        let start = Instant::now();
        let end = client.read_for(Duration::from_secs(4)).1;
        assert!((350..1_500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        // The bytes of the head are counted, its flags tell who was waited for.
        (end, traffic_line(&proxy, "GET /chat"))
    });
    assert_eq!(end, "closed");
    assert!(line.contains(" 101 "), "{line}");
}

#[test]
fn half_closed_connections_end_by_their_own_timeouts() {
    let ends = same(|program| {
        ["timeout client-fin 300ms", "timeout server-fin 300ms", "timeout tunnel 6s"].map(|line| {
            let backend = Backend::raw(|connection, _| {
                connection.rest();
                pause(2_000);
                Ok(())
            });
            let text = format!(
                "listen tcp\n bind 127.0.0.1:$(tcp)\n timeout client 6s\n timeout server 6s\n {line}\n server s 127.0.0.1:$(s)\n"
            );
            let proxy = program.tcp(&text).with("s", backend.port()).start();
            let mut client = proxy.client("tcp");
            client.send("x").finish_sending();
            let start = Instant::now();
            let end = client.read_for(Duration::from_secs(5)).1;
            (line, end, start.elapsed() < Duration::from_millis(1_500))
        })
    });
    assert!(ends.iter().any(|(_, _, early)| *early), "{ends:?}");
    assert!(!ends[2].2, "the tunnel's timeout is long: {ends:?}");
}

#[test]
fn timeout_tarpit_holds_a_refused_client() {
    let (status, held) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, " timeout tarpit 500ms\n http-request tarpit deny_status 429", &backend);
        let start = Instant::now();
        let status = proxy.get("web", "/").status;
        (status, (450..2_000).contains(&start.elapsed().as_millis()))
    });
    assert_eq!((status, held), (429, true));
}

#[test]
fn http_buffer_request_keeps_slow_bodies_from_servers() {
    let connections = same(|program| {
        ["", " option http-buffer-request"].map(|option| {
            let backend = Backend::named("s1");
            let proxy = web(program, option, &backend);
            let mut client = proxy.client("web");
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
            pause(300);
            let early = backend.connections();
            let status = client.ask("67890").status;
            (early, status, backend.last().body)
        })
    });
    assert_eq!(connections[0], (1, 200, "1234567890".to_owned()));
    assert_eq!(connections[1], (0, 200, "1234567890".to_owned()));
}

#[test]
fn source_addresses_reach_the_server() {
    let peers = same(|program| {
        ["", "source 127.0.0.2", "source 127.0.0.3:$(from)"].map(|option| {
            let backend = Backend::raw(|connection, _| {
                connection.request()?;
                let peer = connection.peer();
                connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{peer}", peer.len()))
            });
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(s1) {option}\n");
            let from = differential::ReservedPort::new();
            let proxy = program.http(&text).with("s1", backend.port()).with("from", from.number()).start();
            let peer = proxy.get("web", "/").body;
            if option.contains("from") {
                peer.replace(&from.number().to_string(), "FROM")
            } else {
                only_address(&peer)
            }
        })
    });
    assert_eq!(peers, ["127.0.0.1", "127.0.0.2", "127.0.0.3:FROM"]);
}

fn only_address(peer: &str) -> String {
    peer.rsplit_once(':').map(|(address, _)| address.to_owned()).unwrap_or_default()
}

#[test]
fn bind_lines_take_lists_ranges_and_their_own_limits() {
    let (statuses, waiting) = same(|program| {
        let backend = Backend::http(|_| Reply::ok("x"));
        let text = "listen web\n bind 127.0.0.1:$(a),127.0.0.1:$(b)\n bind 127.0.0.2:$(a) name second\n \
                    bind 127.0.0.1:$(c) maxconn 1\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let mut other = differential::Client::connect_to(&format!("127.0.0.2:{}", proxy.port("a")));
        let statuses =
            [proxy.get("a", "/").status, proxy.get("b", "/").status, other.ask(get("/", &[])).status];
        let mut first = proxy.client("c");
        first.ask(get("/", &[]));
        let mut second = proxy.client("c");
        second.send(get("/", &[]));
        let waiting = second.read_for(Duration::from_millis(300)).1;
        drop(first);
        (statuses, (waiting, second.response().status))
    });
    assert_eq!((statuses, waiting), ([200; 3], ("open".to_owned(), 200)));
}

#[test]
fn frontend_limits_slow_clients_down_without_refusing_them() {
    let (statuses, held) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, " rate-limit sessions 5", &backend);
        let start = Instant::now();
        let statuses: Vec<u16> = (0..10).map(|_| proxy.get("web", "/").status).collect();
        (statuses, start.elapsed() > Duration::from_millis(400))
    });
    assert_eq!((statuses, held), (vec![200; 10], true));
}

#[test]
fn options_of_odd_cases_behave_alike() {
    let seen = same(|program| {
        let checked = [
            "X-None: 1",
            "Cache-Control: public",
            "Cache-Control: private",
            "Cache-Control: no-cache=\"set-cookie\"",
        ]
        .map(|header| {
            let cookie = Backend::http(move |_| Reply::status("200 OK", &["Set-Cookie: A=b", header], "x"));
            web(program, " option checkcache", &cookie).get("web", "/").status
        });
        let backend = Backend::named("s1");
        let pretending = web(program, " option httpclose\n option http-pretend-keepalive", &backend);
        pretending.get("web", "/");
        let pretended = backend.last().header("connection").map(str::to_owned);
        let probes = crate::support::logging_web(
            program,
            " option http-ignore-probes\n timeout http-request 200",
            &backend,
        );
        let silent = probes.client("web").read_for(Duration::from_millis(900));
        let proxied = web(program, " option http-use-proxy-header", &backend);
        let answer =
            proxied.client("web").ask("GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n");
        (checked, pretended, silent, probes.log().lines().len(), answer)
    });
    assert_eq!(seen.2, (String::new(), "closed".to_owned()));
}

#[test]
fn invalid_messages_pass_only_where_accepted() {
    let statuses = same(|program| {
        let lines = ["", " option accept-invalid-http-request", " option accept-invalid-http-response"];
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /bad-response HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        lines.map(|line| {
            let backend = Backend::http(|request| match request.target.as_str() {
                "/bad-response" => Reply::raw("HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n"),
                _ => Reply::ok("x"),
            });
            let proxy = web(program, line, &backend);
            requests.map(|request| proxy.client("web").ask(request).status)
        })
    });
    assert_eq!(statuses[0], [400, 400, 200, 502]);
}

#[test]
fn show_errors_keeps_the_last_invalid_message() {
    let shown = same(|program| {
        let backend = Backend::http(|_| Reply::raw("HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n").close());
        let proxy = web(program, "", &backend);
        proxy.client("web").ask("GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n");
        proxy.get("web", "/");
        let text = proxy.cli("show errors");
        let kept = text.replace(&proxy.port("web").to_string(), "WEB");
        let lines: Vec<String> = kept.lines().map(without_time_and_port).collect();
        (text.contains("Bad Name"), lines)
    });
    assert!(shown.0);
    assert!(shown.1.iter().any(|line| line.ends_with("frontend web (#2): invalid request")), "{shown:?}");
    assert!(shown.1.iter().any(|line| line.ends_with("backend web (#2): invalid response")), "{shown:?}");
}

/// When it happened and from which port the client came differ between runs; the flags of a stream tell how far its
/// other tasks were.
fn without_time_and_port(line: &str) -> String {
    let cut = |line, mark| str::split_once(line, mark).map_or(line, |(before, _)| before);
    let line = cut(cut(line, "src 127.0.0.1:"), "H1 stream flags");
    match (line.find('['), line.find(']')) {
        (Some(open), Some(close)) => format!("{}[TIME{}", &line[..open], &line[close..]),
        _ => line.to_owned(),
    }
}

/// How many of eight clients that come at once are served within half a second, and how many at last.
fn served_at_once(program: differential::Program, global: &str, line: &str) -> (usize, usize) {
    let text = format!(
        "global\n nbthread 1\n{global}listen web\n bind 127.0.0.1:$(web)\n{line} http-request return status 200\n"
    );
    let proxy = program.http(&text).start();
    let mut clients: Vec<_> = (0..8).map(|_| proxy.client("web").patience(Duration::from_secs(9))).collect();
    for client in &mut clients {
        client.send(get("/", &["Connection: close"]));
    }
    pause(500);
    let is_served = |text: &str| text.starts_with("HTTP/1.1 200");
    let mut waiting = Vec::new();
    let mut early = 0;
    for mut client in clients {
        if is_served(&client.read_for(Duration::from_millis(1)).0) {
            early += 1;
        } else {
            waiting.push(client);
        }
    }
    let late = waiting.iter_mut().filter_map(|client| client.try_response().ok());
    (early, early + late.filter(|response| response.status == 200).count())
}

// row: 59
#[test]
fn rates_hold_clients_back_and_lose_none() {
    let seen = same(|program| {
        [("", ""), (" maxconnrate 3\n", ""), (" maxsessrate 3\n", ""), ("", " rate-limit sessions 3\n")].map(
            |(global, line)| {
                let (early, all) = served_at_once(program, global, line);
                // The second slides: one more may fit.
                (global, line, early > 4, early > 0, all)
            },
        )
    });
    assert_eq!(seen.map(|(_, _, many, some, all)| (many, some, all)), {
        let held = (false, true, 8);
        [(true, true, 8), held, held, held]
    });
}

// row: 59
#[test]
fn maxsslrate_holds_handshakes_back() {
    let served = same(|program| {
        ["", " maxsslrate 2\n"].map(|global| {
            let text = format!(
                "global\n nbthread 1\n{global}listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem\n \
                 http-request return status 200\n"
            );
            let lab = crate::tls_lab::lab();
            let proxy = program.http(&text).with("lab", lab.display()).start();
            let port = proxy.port("web");
            let codes: Vec<i32> = std::thread::scope(|scope| {
                let ask = || crate::tls_lab::curl(port, "a.example", "/", &["--max-time", "0.8"]).1;
                let all: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
                all.into_iter().map(|one| one.join().expect("curl ran")).collect()
            });
            let good = codes.iter().filter(|code| **code == 0).count();
            (global, good > 3, good > 0)
        })
    });
    assert_eq!(served.map(|(_, many, some)| (many, some)), [(true, true), (false, true)]);
}
