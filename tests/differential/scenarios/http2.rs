//! HTTP/2 with clients: requests, responses and log lines as haproxy's, and how streams and connections end.

use std::process::Command;
use std::time::Duration;

use differential::http2::{
    self, CANCEL, DATA, END_HEADERS, END_STREAM, FrameClient, GOAWAY, HEADERS, NO_ERROR, PING, RST_STREAM,
    SETTINGS, frame, request,
};
use differential::{Backend, Instance, Program, Reply, pause, same, wait_until};

use crate::support::{get, logging_web, traffic_line, web};

/// What curl shows of a response, with the fields in order of their names: HTTP/2 gives their order no meaning.
pub fn curl(arguments: &[&str], url: &str) -> Vec<String> {
    let output = Command::new("curl")
        .args(["-s", "-i", "-m", "10", "--http2-prior-knowledge"])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    lines[1..].sort();
    lines.push(body.to_owned());
    lines
}

fn url(proxy: &Instance, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", proxy.port("web"))
}

#[test]
fn requests_of_http2_reach_http1_servers_as_haproxy_forwards_them() {
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, " option forwardfor", &backend);
        let post = |body: &'static [u8], more: &[(&str, &str)]| {
            let mut bytes = frame(HEADERS, END_HEADERS, 1, &http2::request("POST", "/post", more));
            bytes.extend(frame(DATA, END_STREAM, 1, body));
            bytes
        };
        let plain = |method: &str, path: &str, more: &[(&str, &str)]| {
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &http2::request(method, path, more))
        };
        let fields =
            |fields: &[(&str, &str)]| frame(HEADERS, END_HEADERS | END_STREAM, 1, &http2::block(fields));
        let requests = [
            plain("GET", "/a?b=c", &[("x-one", "1"), ("x-two", "2")]),
            plain("GET", "/", &[("cookie", "a=1"), ("x-between", "1"), ("cookie", "b=2")]),
            plain("OPTIONS", "*", &[]),
            plain("DELETE", "/x", &[("te", "trailers")]),
            plain("GET", "/host", &[("host", "other.example")]),
            fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "only.example")]),
            fields(&[(":method", "GET"), (":scheme", "https"), (":authority", "s.example"), (":path", "/s")]),
            post(b"hello", &[]),
            post(b"hello", &[("content-length", "5")]),
            post(b"", &[("content-length", "0")]),
            [
                frame(HEADERS, END_HEADERS, 1, &http2::request("POST", "/trailers", &[("te", "trailers")])),
                frame(DATA, 0, 1, b"hello"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &http2::block(&[("x-sum", "1")])),
            ]
            .concat(),
        ];
        requests.map(|request| {
            let mut client = FrameClient::connect(proxy.port("web"));
            client.send(&request);
            let (status, body, reset) = client.answer(1);
            let seen = backend.last();
            (status, String::from_utf8(body), reset, seen.head(), seen.body)
        })
    });
    assert!(seen.iter().all(|(status, ..)| *status == Some(200)));
}

#[test]
fn responses_reach_clients_of_http2_as_haproxy_forwards_them() {
    let replies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=5\r\n\r\nuntil close",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 404 Anything At All\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "nonsense\r\n\r\n",
    ];
    same(|program| {
        replies.map(|reply| {
            let backend = Backend::http(move |_| Reply::raw(reply).close());
            let proxy = web(program, "", &backend);
            (curl(&[], &url(&proxy, "/")), curl(&["-I"], &url(&proxy, "/head")))
        })
    });
}

#[test]
fn answers_of_the_proxy_and_their_log_lines_are_the_same_over_http2() {
    let lines = " monitor-uri /alive\n capture request header host len 20\n \
                 http-request redirect location /there if { path /redirect }\n \
                 http-request deny deny_status 429 if { path /deny }\n \
                 http-request return status 200 content-type text/plain lf-string \
                 \"%[req.ver] %[url] %[path] %[base] %[query] %[fc_http_major] %[req.hdr_names]\" \
                 if { path /return }\n \
                 http-request set-path /set if { path /path }\n \
                 http-request set-uri /uri if { path /uri }\n \
                 http-response set-header x-version %[res.ver] if { status 200 }";
    let paths = ["/plain?x", "/alive", "/redirect", "/deny", "/return?q=1", "/path", "/uri"];
    same(|program| {
        let backend = Backend::named("s1");
        let proxy = logging_web(program, lines, &backend);
        paths.map(|path| {
            let answer = curl(&["-H", "Host: test.example"], &url(&proxy, path));
            let logged = (path != "/alive").then(|| traffic_line(&proxy, &path.replace("?x", "")));
            (answer, logged)
        })
    });
}

#[test]
fn streams_that_end_early_are_logged_as_haproxy_logs_them() {
    let lines = " timeout server 1s\n timeout tarpit 500ms\n http-request tarpit if { path /tarpit }";
    same(|program| {
        let backend = Backend::http(|request| match request.target.as_str() {
            "/slow" | "/reset" => Reply::ok("late").after(3_000),
            "/cut" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").close(),
            _ => Reply::ok("ok"),
        });
        let proxy = logging_web(program, lines, &backend);
        let mut ends = Vec::new();
        for path in ["/slow", "/tarpit"] {
            let mut client = FrameClient::connect(proxy.port("web"));
            client.get(1, path);
            let (status, _, reset) = client.answer(1);
            ends.push((status, reset, traffic_line(&proxy, path)));
        }
        let mut client = FrameClient::connect(proxy.port("web"));
        client.get(1, "/reset");
        pause(300);
        client.send(&frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()));
        ends.push((None, None, traffic_line(&proxy, "/reset")));
        let mut client = FrameClient::connect(proxy.port("web"));
        client.get(1, "/cut");
        // haproxy ends the body as if it were whole; we say that it is not.
        let (status, ..) = client.answer(1);
        ends.push((status, None, traffic_line(&proxy, "/cut")));
        ends
    });
}

#[test]
fn a_response_that_a_server_cuts_is_reset_behind_what_came() {
    let backend = Backend::http(|_| Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").close());
    let proxy = web(differential::Program::Hawser, "", &backend);
    let mut client = FrameClient::connect(proxy.port("web"));
    client.get(1, "/");
    assert_eq!(client.answer(1), (Some(200), b"abc".to_vec(), Some(CANCEL)));
}

#[test]
fn streams_of_one_connection_choose_their_own_servers() {
    same(|program| {
        let backends = [Backend::named("s1"), Backend::named("s2")];
        let text = "frontend web\n bind 127.0.0.1:$(web) proto h2\n use_backend b2 if { path_beg /2 }\n \
                    default_backend b1\nbackend b1\n server s 127.0.0.1:$(s1)\n\
                    backend b2\n server s 127.0.0.1:$(s2)\n";
        let proxy = program.http(text).with("s1", backends[0].port()).with("s2", backends[1].port()).start();
        let mut client = FrameClient::connect(proxy.port("web"));
        for (stream, path) in [(1, "/1"), (3, "/2"), (5, "/1"), (7, "/2")] {
            client.get(stream, path);
        }
        let mut bodies = vec![(0, Vec::new()); 4];
        let mut open = 4;
        while open > 0 {
            let found = client.until("answers", |frame| frame.stream > 0);
            if found.kind == DATA {
                let at = (found.stream as usize - 1) / 2;
                bodies[at].0 = found.stream;
                bodies[at].1.extend(found.payload);
            }
            open -= usize::from(matches!(found.kind, DATA | HEADERS) && found.flags & END_STREAM != 0);
        }
        bodies
    });
}

#[test]
fn idle_connections_end_with_goaway_in_their_time() {
    same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, " timeout http-request 600ms\n timeout http-keep-alive 300ms", &backend);
        let mut silent = FrameClient::connect(proxy.port("web"));
        let begun = std::time::Instant::now();
        let first = silent.until("GOAWAY", |frame| frame.kind == GOAWAY).error_code();
        let waited = begun.elapsed() >= Duration::from_millis(550);
        let mut client = FrameClient::connect(proxy.port("web"));
        client.get(1, "/");
        let answer = client.answer(1);
        let goodbye = client.until("GOAWAY", |frame| frame.kind == GOAWAY);
        assert_eq!(goodbye.error_code(), Some(NO_ERROR));
        (first, waited, answer.0, goodbye.payload)
    });
}

#[test]
fn a_clear_bind_of_proto_h1_takes_no_preface_and_one_of_h2_nothing_else() {
    same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web)\n bind 127.0.0.1:$(h2) proto h2\n \
                    server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let mut both = FrameClient::connect(proxy.port("web"));
        both.get(1, "/");
        let mut only = FrameClient::connect(proxy.port("h2"));
        only.get(1, "/");
        (
            both.answer(1).0,
            only.answer(1).0,
            proxy.client("web").ask(get("/", &[])).status,
            proxy.client("h2").send(get("/", &[])).read_to_close().contains("HTTP/1"),
        )
    });
}

#[test]
fn a_server_of_proto_h2_gets_the_request_as_haproxy_sends_it() {
    let text = "listen web\n bind 127.0.0.1:$(web)\n http-reuse always\n server s 127.0.0.1:$(far) proto h2\n\
                listen far\n bind 127.0.0.1:$(far) proto h2\n server s1 127.0.0.1:$(s1)\n";
    same(|program| {
        let backend = Backend::http(|request| match request.target.as_str() {
            "/chunked" => Reply::chunked(&["hel", "lo"], &["X-Sum: 1"]),
            _ => Reply::ok("ok"),
        });
        let proxy = program.http(text).with("s1", backend.port()).start();
        let requests = [
            get("/a?b", &["X-A: 1", "Cookie: a=1; b=2"]),
            get("/chunked", &["Connection: close"]),
            "POST /p HTTP/1.1\r\nHost: test.example\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            "POST /q HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                .to_owned(),
            "HEAD /h HTTP/1.1\r\nHost: test.example\r\n\r\n".to_owned(),
            "GET http://absolute.example/x HTTP/1.1\r\nHost: absolute.example\r\n\r\n".to_owned(),
        ];
        let over_http1 = requests.map(|request| {
            let head = request.starts_with("HEAD");
            let mut client = proxy.client("web");
            client.send(&request);
            let response = if head { client.response_to_head() } else { client.response() };
            let seen = backend.last();
            (response, seen.head(), seen.body)
        });
        let over_http2 = curl(&["-d", "body", "-H", "Host: test.example"], &url(&proxy, "/h2"));
        (over_http1, over_http2, backend.last().head())
    });
}

/// A server that grants WebSockets and echoes what comes then; other requests get 200.
fn websocket_server() -> Backend {
    Backend::raw(|connection, record| {
        let Some(request) = connection.request()? else { return Ok(()) };
        let granted = request.header("upgrade") == Some("websocket");
        record(request.clone());
        if !granted {
            return connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
        }
        let key = request.header("sec-websocket-key").unwrap_or_default();
        let accept = websocket_accept(key);
        connection.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ))?;
        while let Ok(bytes) = connection.exact(4) {
            connection.send(bytes)?;
        }
        Ok(())
    })
}

/// By openssl: what RFC 6455 §4.2.2 makes of a key.
fn websocket_accept(key: &str) -> String {
    let script = format!(
        "printf %s '{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11' | openssl dgst -sha1 -binary | openssl base64"
    );
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_websocket_of_http2_reaches_a_server_of_http1() {
    same(|program| {
        let backend = websocket_server();
        let proxy = logging_web(program, "", &backend);
        let mut client = FrameClient::connect(proxy.port("web"));
        let settings = client.until("SETTINGS", |frame| frame.kind == http2::SETTINGS);
        let offered = settings.payload.chunks(6).any(|setting| setting == [0, 8, 0, 0, 0, 1]);
        let fields = http2::request(
            "CONNECT",
            "/chat",
            &[(":protocol", "websocket"), ("sec-websocket-version", "13"), ("origin", "http://o")],
        );
        client.send(&frame(HEADERS, END_HEADERS, 1, &fields));
        let head = client.until("an answer", |frame| frame.kind == HEADERS);
        client.send(&frame(DATA, 0, 1, b"ping"));
        let echo = client.until("an echo", |frame| frame.kind == DATA);
        client.send(&frame(DATA, END_STREAM, 1, b"last"));
        let last = client.until("an echo", |frame| frame.kind == DATA);
        let mut seen = backend.last().head();
        seen.retain(|line| !line.starts_with("sec-websocket-key"));
        // Where haproxy puts the fields of the upgrade has no meaning.
        seen[1..].sort();
        (offered, head.status(), echo.payload, last.payload, seen, traffic_line(&proxy, "/chat"))
    });
}

#[test]
fn a_websocket_of_http1_crosses_http2_and_back() {
    let text = "listen web\n bind 127.0.0.1:$(web)\n server s 127.0.0.1:$(far) proto h2 ws h2\n\
                listen far\n bind 127.0.0.1:$(far) proto h2\n server s1 127.0.0.1:$(s1)\n";
    same(|program| {
        let backend = websocket_server();
        let proxy = program.http(text).with("s1", backend.port()).start();
        let mut client = proxy.client("web");
        client.send(get(
            "/chat",
            &[
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ],
        ));
        let head = client.response_to_head();
        client.send("ping");
        let echo = client.exact(4);
        let seen = backend.last();
        (
            head.status,
            head.header("upgrade").map(str::to_owned),
            head.header("sec-websocket-accept").map(str::to_owned),
            echo,
            seen.target.clone(),
            seen.header("sec-websocket-version").map(str::to_owned),
        )
    });
}

#[test]
fn connect_opens_a_tunnel_over_http2() {
    same(|program| {
        let backend = Backend::raw(|connection, record| {
            let Some(request) = connection.request_head()? else { return Ok(()) };
            record(request);
            connection.send("HTTP/1.1 200 OK\r\n\r\n")?;
            while let Ok(bytes) = connection.exact(4) {
                connection.send(bytes)?;
            }
            Ok(())
        });
        let proxy = web(program, "", &backend);
        let mut client = FrameClient::connect(proxy.port("web"));
        let fields = http2::block(&[(":method", "CONNECT"), (":authority", "far.example:443")]);
        client.send(&frame(HEADERS, END_HEADERS, 1, &fields));
        let head = client.until("an answer", |frame| frame.kind == HEADERS);
        client.send(&frame(DATA, 0, 1, b"ping"));
        let echo = client.until("an echo", |frame| frame.kind == DATA && !frame.payload.is_empty());
        (head.status(), echo.payload, backend.last().head())
    });
}

#[test]
fn checks_speak_http2_where_requests_do_or_words_say() {
    let text = "backend app\n timeout check 5s\n option httpchk\n http-check send meth POST uri /health hdr x-a 1 body hello\n \
                http-check expect string fine\n default-server inter 200ms rise 1 fall 1\n \
                server as-requests 127.0.0.1:$(far) proto h2 check\n \
                server by-word 127.0.0.1:$(far) check check-proto h2\n \
                server http1 127.0.0.1:$(far) check\n\
                backend stepped\n timeout check 5s\n option httpchk\n http-check connect proto h2\n \
                http-check send meth GET uri /health\n http-check expect status 200\n \
                server s 127.0.0.1:$(far) check inter 200ms\n\
                listen far\n bind 127.0.0.1:$(far) proto h2\n \
                http-request return status 200 content-type text/plain string fine\n";
    let seen = same(|program| {
        let proxy = program.http(text).start();
        let servers = [("app", "as-requests"), ("app", "by-word"), ("app", "http1"), ("stepped", "s")];
        proxy.wait_for_stat("app", "http1", "status", "DOWN");
        for (backend, server) in [servers[0], servers[1], servers[3]] {
            proxy.wait_for_stat(backend, server, "check_status", "L7OK");
        }
        servers.map(|(backend, server)| {
            let field = |name: &str| proxy.stat(backend, server, name);
            (field("status"), field("check_status"), field("check_code"))
        })
    });
    assert_eq!(seen[0].0, "UP");
}

/// Answers at once, then sends back each piece of the body as it comes, and trailers.
fn echo_in_pieces() -> Backend {
    Backend::raw(|connection, _| {
        connection.request_head()?;
        connection.send(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: application/grpc\r\ntrailer: grpc-status\r\n\r\n",
        )?;
        while let Some(size) = connection.until(b"\r\n")? {
            let size = String::from_utf8_lossy(&size).trim().to_owned();
            let length = usize::from_str_radix(&size, 16).expect("the size of a chunk");
            if length == 0 {
                break;
            }
            let piece = connection.exact(length + 2)?;
            connection.send([format!("{size}\r\n").as_bytes(), &piece].concat())?;
        }
        connection.send("0\r\ngrpc-status: 0\r\n\r\n")
    })
}

#[test]
fn both_sides_of_a_stream_go_on_at_a_time_through_http2_on_both_sides() {
    let text = "listen web\n bind 127.0.0.1:$(web)\n server s 127.0.0.1:$(far) proto h2\n\
                listen far\n bind 127.0.0.1:$(far) proto h2\n server s1 127.0.0.1:$(s1)\n";
    let seen = same(|program| {
        let backend = echo_in_pieces();
        let proxy = program.http(text).with("s1", backend.port()).start();
        let mut client = FrameClient::connect(proxy.port("web"));
        let fields =
            http2::request("POST", "/svc/Call", &[("te", "trailers"), ("content-type", "application/grpc")]);
        client.send(&frame(HEADERS, END_HEADERS, 1, &fields));
        let head = client.until("the head before any DATA", |frame| frame.kind == HEADERS);
        let mut echoes = vec![head.status().map(|status| status.to_string())];
        for piece in ["one", "two", "three"] {
            client.send(&frame(DATA, 0, 1, piece.as_bytes()));
            let echo = client.until("an echo", |frame| frame.kind == DATA && !frame.payload.is_empty());
            echoes.push(String::from_utf8(echo.payload).ok());
        }
        client.send(&frame(DATA, END_STREAM, 1, b""));
        let end = client.until("trailers", |frame| frame.flags & END_STREAM != 0);
        (echoes, end.kind)
    });
    assert_eq!(seen.1, HEADERS);
    assert_eq!(seen.0[3].as_deref(), Some("three"));
}

#[test]
fn a_client_that_expects_100_continue_gets_it_from_the_server() {
    let seen = same(|program| {
        let backend = Backend::raw(|connection, _| {
            let mut request = connection.request_head()?.expect("a request");
            assert_eq!(request.header("expect"), Some("100-continue"));
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            connection.request_body(&mut request)?;
            connection.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
                request.body.len(),
                request.body
            ))
        });
        let proxy = web(program, "", &backend);
        let mut client = FrameClient::connect(proxy.port("web"));
        let fields = http2::request("POST", "/", &[("expect", "100-continue"), ("content-length", "5")]);
        client.send(&frame(HEADERS, END_HEADERS, 1, &fields));
        let interim = client.until("100", |frame| frame.kind == HEADERS);
        client.send(&frame(DATA, END_STREAM, 1, b"hello"));
        (interim.status(), interim.flags & END_STREAM, client.answer(1))
    });
    assert_eq!(seen, (Some(100), 0, (Some(200), b"hello".to_vec(), None)));
}

/// The columns of HTTP/2 in `show stat`. Not among them: `h2_settings_rcvd`, where haproxy counts the first twice,
/// `h2_data_rcvd`, as what comes together goes on in one frame or two, and `h2_detected_strm_protocol_errors`, which leaves out malformed requests there.
const COUNTERS: [&str; 10] = [
    "h2_headers_rcvd",
    "h2_rst_stream_rcvd",
    "h2_goaway_rcvd",
    "h2_detected_conn_protocol_errors",
    "h2_rst_stream_resp",
    "h2_goaway_resp",
    "h2_open_connections",
    "h2_backend_open_streams",
    "h2_total_connections",
    "h2_backend_total_streams",
];

#[test]
fn frames_streams_and_errors_of_http2_are_counted() {
    let text = "listen web\n bind 127.0.0.1:$(web)\n server s 127.0.0.1:$(far) proto h2\n\
                listen far\n bind 127.0.0.1:$(far) proto h2\n server s1 127.0.0.1:$(s1)\n";
    same(|program| {
        let backend = Backend::http(|request| match request.target.as_str() {
            "/late" => Reply::ok("late").after(2_000),
            _ => Reply::ok("ok"),
        });
        let proxy = program.http(text).with("s1", backend.port()).start();
        let counted = |row: (&str, &str)| COUNTERS.map(|name| proxy.stat(row.0, row.1, name));
        let read = || {
            [("web", "FRONTEND"), ("web", "BACKEND"), ("far", "FRONTEND"), ("far", "BACKEND")].map(counted)
        };
        // What a client has seen may not be counted yet: they are read until they stand still.
        let rows = || {
            let mut rows = read();
            for _ in 0..20 {
                pause(100);
                let before = std::mem::replace(&mut rows, read());
                if before == rows {
                    break;
                }
            }
            rows
        };
        let mut seen = vec![rows()];
        let mut client = FrameClient::connect(proxy.port("web"));
        client.get(1, "/");
        client.answer(1);
        seen.push(rows());
        client.send(&frame(HEADERS, END_HEADERS, 3, &request("POST", "/", &[("content-length", "6")])));
        client.send(&frame(DATA, 0, 3, b"abc"));
        client.send(&frame(DATA, END_STREAM, 3, b"def"));
        client.answer(3);
        client.send(&frame(SETTINGS, 0, 0, &[]));
        client.send(&frame(PING, 0, 0, b"12345678"));
        client.until("PONG", |frame| frame.kind == PING);
        seen.push(rows());
        client.get(5, "/late");
        wait_until("the request at the server", || backend.requests().len() == 3);
        seen.push(rows());
        client.send(&frame(RST_STREAM, 0, 5, &CANCEL.to_be_bytes()));
        client.send(&frame(PING, 0, 0, b"12345678"));
        client.until("PONG", |frame| frame.kind == PING);
        seen.push(rows());
        client.send(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            7,
            &request("GET", "/", &[("connection", "close")]),
        ));
        client.answer(7);
        seen.push(rows());
        client.send(&frame(PING, 0, 7, b"12345678"));
        client.until("GOAWAY", |frame| frame.kind == GOAWAY);
        drop(client);
        seen.push(rows());
        if program == Program::Hawser {
            let frames = |row, name| proxy.stat(row, "FRONTEND", name);
            assert_eq!(
                (frames("web", "h2_settings_rcvd"), frames("web", "h2_data_rcvd")),
                ("3".into(), "2".into())
            );
            assert_eq!(frames("web", "h2_detected_strm_protocol_errors"), "1");
        }
        seen
    });
}
