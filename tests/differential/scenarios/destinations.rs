//! Where a connection goes when no server's address decides, and where it came from when a header says so.

use differential::{Backend, Client, pause, same};
use std::io::Write;

use crate::support::{get, traffic_line, web};

// row: 93
#[test]
fn dispatch_and_transparent_proxies_go_where_no_server_stands() {
    let seen = same(|program| {
        let backend = Backend::named("there");
        let port = backend.port();
        let text = format!(
            "listen dispatched\n bind 127.0.0.1:$(dispatched)\n dispatch 127.0.0.1:{port}\n option httplog\n \
             log 127.0.0.1:$(log) local0\n\
             listen transparent\n bind 127.0.0.1:$(transparent)\n option transparent\n \
             http-request set-dst ipv4(127.0.0.1)\n http-request set-dst-port int({port})\n\
             listen any\n bind 127.0.0.1:$(any)\n server s1 0.0.0.0:0\n \
             http-request set-dst ipv4(127.0.0.2)\n http-request set-dst-port int({port})\n\
             listen balanced\n bind 127.0.0.1:$(balanced)\n balance roundrobin\n dispatch 127.0.0.1:{port}\n"
        );
        let proxy = program.http(&text).start();
        let names = ["dispatched", "transparent", "balanced"];
        let answers = names.map(|name| {
            let response = proxy.get(name, "/");
            (response.status, if response.status == 200 { response.body } else { String::new() })
        });
        let states: Vec<String> = proxy
            .cli("show stat")
            .lines()
            .filter(|line| names.iter().any(|name| line.starts_with(name)))
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                format!("{} {} {} {}", fields[0], fields[1], fields[17], fields[7])
            })
            .collect();
        let servers = proxy.cli("show servers state dispatched");
        (answers, states, servers, traffic_line(&proxy, "GET /"))
    });
    assert_eq!(seen.0[0], (200, "there".to_owned()));
    assert_eq!(seen.0[1], (200, "there".to_owned()));
    assert_eq!(seen.0[2].0, 503);
    assert!(seen.3.contains("dispatched/<NOSRV>"), "{}", seen.3);
}

// row: 93
#[test]
fn a_server_without_an_address_is_the_one_that_set_dst_names() {
    let body = same(|program| {
        let backend = Backend::named("there");
        let text = format!(
            "listen any\n bind 127.0.0.1:$(any)\n server s1 0.0.0.0:0\n \
             http-request set-dst ipv4(127.0.0.1)\n http-request set-dst-port int({})\n",
            backend.port()
        );
        program.http(&text).start().get("any", "/").body
    });
    assert_eq!(body, "there");
}

#[test]
fn a_socks4_proxy_is_asked_for_the_server_and_for_its_checks() {
    let (request, answer, check) = same(|program| {
        let socks = Backend::raw(|connection, _| {
            let request = connection.exact(16)?;
            if request[7] == 3 {
                return connection.send(b"\0\x5b\0\0\0\0\0\0");
            }
            connection.send(b"\0\x5a\0\0\0\0\0\0")?;
            if let Some(head) = connection.request()? {
                let asked = format!("{request:?}{}", head.target);
                connection
                    .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{asked}", asked.len()))?;
            }
            Ok(())
        });
        let text = "listen web\n bind 127.0.0.1:$(web)\n option httpchk GET /check\n \
                    server s1 127.0.0.1:4242 socks4 127.0.0.1:$(socks) check check-via-socks4 inter 200\n\
                    listen refused\n bind 127.0.0.1:$(refused)\n retries 0\n \
                    server s1 127.0.0.3:4242 socks4 127.0.0.1:$(socks)\n";
        let proxy = program.http(text).with("socks", socks.port()).start();
        proxy.wait_for_stat("web", "s1", "check_status", "L7OK");
        (proxy.get("web", "/x").body, proxy.get("refused", "/").status, proxy.stat("web", "s1", "status"))
    });
    assert!(request.starts_with("[4, 1, 16, 146, 127, 0, 0, 1, 72, 65"), "{request}");
    assert_eq!((answer, check.as_str()), (503, "UP"));
}

#[test]
fn netscalers_tell_the_client_by_the_headers_they_saw() {
    let mut inner = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, 2, 3, 192, 0, 2, 9];
    inner.extend_from_slice(&[0x10, 0xe1, 0x1f, 0x90]);
    inner.extend_from_slice(&[0; 16]);
    let old = [&[0, 0, 0x12, 0x34, 0, 0, 0, 40][..], &inner].concat();
    let new = [&[0, 0, 0x12, 0x34, 0, 0, 0, 52, 0, 1, 0, 40][..], &inner].concat();
    let wrong = [&[0, 0, 0, 1, 0, 0, 0, 40][..], &inner].concat();
    let answers = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web) accept-netscaler-cip 4660\n \
                    http-request return status 200 content-type a/b lf-string \"%[src]:%[src_port] %[dst]:%[dst_port]\"\n";
        let proxy = program.http(text).start();
        [&old, &new, &wrong].map(|header| {
            let mut client = proxy.client("web");
            let mut bytes = header.clone();
            write!(bytes, "{}", get("/", &[])).expect("memory takes it");
            client.send(bytes).try_response().map(|response| response.body)
        })
    });
    assert_eq!(answers[0], Ok("10.1.2.3:4321 192.0.2.9:8080".to_owned()));
    assert_eq!(answers[0], answers[1]);
    assert!(answers[2].is_err());
}

// row: 168
#[test]
fn checkcache_blocks_cookies_that_caches_would_keep() {
    let answers = same(|program| {
        let backend = Backend::http(|request| {
            let headers: &[&str] = match request.target.as_str() {
                "/plain" => &["Set-Cookie: a=b"],
                "/public" => &["Set-Cookie: a=b", "Cache-Control: public"],
                "/private" => &["Set-Cookie: a=b", "Cache-Control: private"],
                "/age" => &["Set-Cookie: a=b", "Cache-Control: max-age=10"],
                "/etag" => &["Set-Cookie: a=b", "ETag: \"1\""],
                "/no-cookie" => &["Cache-Control: public"],
                "/except" => &["Set-Cookie: a=b", "Cache-Control: no-cache=\"set-cookie\", max-age=10"],
                _ => &["Set-Cookie: a=b", "Pragma: no-cache", "ETag: \"1\""],
            };
            differential::Reply::status("200 OK", headers, "x")
        });
        let proxy = web(program, " option checkcache\n", &backend);
        let answers = ["/plain", "/public", "/private", "/age", "/etag", "/no-cookie", "/except", "/pragma"]
            // HAProxy 2.6 blocks by the built-in page of the server's status; the manual says 502, and so do we.
            .map(|target| proxy.get("web", target).header("set-cookie").is_some());
        (answers, proxy.stat("web", "BACKEND", "dresp"), proxy.stat("web", "s1", "dresp"))
    });
    assert_eq!(answers.0[2..5], [true, false, false]);
}

#[test]
fn a_connection_that_authenticates_stays_with_its_client_and_its_server() {
    let bodies = same(|program| {
        let servers = ["s1", "s2"].map(|name| {
            Backend::http(move |request| match request.target.as_str() {
                "/ntlm" => differential::Reply::status("401 Unauthorized", &["WWW-Authenticate: NTLM"], name),
                _ => differential::Reply::ok(name),
            })
        });
        let text = "listen web\n bind 127.0.0.1:$(web)\n balance roundrobin\n http-reuse always\n \
                    server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:$(s2)\n";
        let proxy = program.http(text).with("s1", servers[0].port()).with("s2", servers[1].port()).start();
        let mut first = proxy.client("web");
        let mut seen = vec![first.ask(get("/ntlm", &[])).body];
        for _ in 0..3 {
            seen.push(first.ask(get("/", &[])).body);
        }
        let mut second = proxy.client("web");
        for _ in 0..3 {
            second.ask(get("/", &[]));
        }
        // s1's authenticated connection and one that others share; s2's.
        (seen, servers.map(|server| server.connections()))
    });
    assert_eq!(bodies.0, ["s1"; 4]);
}

#[test]
fn prefer_last_server_keeps_a_client_on_its_connection() {
    let bodies = same(|program| {
        ["", " option prefer-last-server\n"].map(|option| {
            let servers = ["s1", "s2"].map(Backend::named);
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n balance roundrobin\n http-reuse never\n{option} \
                 server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:$(s2)\n"
            );
            let proxy =
                program.http(&text).with("s1", servers[0].port()).with("s2", servers[1].port()).start();
            let mut client = proxy.client("web");
            [0, 1, 2].map(|_| client.ask(get("/", &[])).body)
        })
    });
    assert_eq!(bodies, [["s1", "s2", "s1"], ["s1", "s1", "s1"]]);
}

#[test]
fn a_connection_outlives_the_answer_to_a_body_that_was_read() {
    let answers = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n option http-buffer-request\n \
                    http-request wait-for-body time 1s if METH_POST\n \
                    http-request return status 200 content-type a/b lf-string \"%[path] %[req.body]\"\n";
        let proxy = program.http(text).start();
        let mut client = proxy.client("web");
        let mut answers = Vec::new();
        for request in [
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
            "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
                .to_owned(),
            format!("POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx{}", get("/4", &[])),
        ] {
            let response = client.ask(request);
            answers.push((response.body.clone(), response.header("connection").map(str::to_owned)));
        }
        answers.push((client.response().body, None));
        answers
    });
    assert_eq!(answers[3].0, "/4 ");
}

#[test]
fn the_kernels_figures_of_the_clients_connection_are_there() {
    let figures = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n http-request return status 200 content-type a/b \
                    lf-string \"%[fc_rtt(us),bool] %[fc_rttvar(us),bool] %[fc_unacked] %[fc_lost] %[fc_sacked] %[fc_retrans]\"\n";
        let proxy = program.http(text).start();
        Client::connect(proxy.port("web")).ask(get("/", &[])).body
    });
    pause(0);
    assert!(figures.starts_with("1 1 "), "{figures}");
}
