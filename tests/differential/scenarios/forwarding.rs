//! What a request and a response look like on the far side of the proxy.

use std::time::Duration;

use differential::{Backend, Reply, Response, pause, same, wait_until};

use crate::support::{get, web};

const QUIET: Duration = Duration::from_millis(300);

// row: 77, 78, 189, 190
#[test]
fn forwardfor_adds_the_client_as_a_header_of_its_own() {
    let cases: [(&str, &str); 7] = [
        ("", ""),
        (" option forwardfor", ""),
        (" option forwardfor", "X-Forwarded-For: 10.0.0.1\r\n"),
        (" option forwardfor if-none", "X-Forwarded-For: 10.0.0.1\r\n"),
        (" option forwardfor header X-Client", ""),
        (" option forwardfor except 127.0.0.0/8", ""),
        (" option originalto\n http-request set-header X-Seen yes\n option forwardfor", ""),
    ];
    let heads = same(|program| {
        cases.map(|(option, header)| {
            let backend = Backend::named("s1");
            let proxy = web(program, option, &backend);
            let request = format!("GET /a?b HTTP/1.1\r\nHost: test.example\r\n{header}Accept: */*\r\n\r\n");
            assert_eq!(proxy.client("web").ask(request).status, 200);
            backend.last().head()
        })
    });
    assert!(heads[0].iter().all(|line| !line.starts_with("x-forwarded-for")));
    assert_eq!(heads[2].last().map(String::as_str), Some("x-forwarded-for: 127.0.0.1"));
}

// row: 78, 79
#[test]
fn request_heads_arrive_as_haproxy_forwards_them() {
    let requests = [
        "GET / HTTP/1.1\r\nHost: test.example\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /a%20b?c=d HTTP/1.1\r\nHost: test.example\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n",
        "GET http://test.example/path?q HTTP/1.1\r\nHost: test.example\r\n\r\n",
        "GET http://test.example:80/path HTTP/1.1\r\nHost: test.example\r\n\r\n",
        "GET /a#fragment HTTP/1.1\r\nHost: test.example\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: test.example\r\n\r\n",
        "DELETE /x HTTP/1.1\r\nHost: test.example\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: test.example\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /x HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: test.example\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: test.example\r\nX-Empty:\r\nX-Spaces:   a  b  \r\n\r\n",
        "PURGE /x HTTP/1.1\r\nhost: test.example\r\nCoNtEnT-lEnGtH: 0\r\n\r\n",
        "\r\nGET /after-an-empty-line HTTP/1.1\r\nHost: test.example\r\n\r\n",
    ];
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, "", &backend);
        requests.map(|request| {
            let response = proxy.client("web").ask(request);
            let seen = (response.status == 200).then(|| (backend.last().head(), backend.last().body));
            (seen, response)
        })
    });
    let answered = seen.iter().filter(|(seen, _)| seen.is_some()).count();
    assert_eq!(answered, requests.len() - 1, "all but the fragment reach the server");
}

#[test]
fn responses_arrive_as_haproxy_forwards_them() {
    let replies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\n\r\nuntil close",
        "HTTP/1.1 200 OK\r\n\r\nuntil close",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 299 Anything At All\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n",
        "",
    ];
    same(|program| {
        replies.map(|reply| {
            let backend = Backend::http(move |_| Reply::raw(reply).close());
            let proxy = web(program, "", &backend);
            let mut client = proxy.client("web");
            client.send(get("/", &["Connection: close"]));
            let mut text = client.read_to_close();
            // Names may differ in case, in interim heads and trailers too.
            text.make_ascii_lowercase();
            text
        })
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let bodies = same(|program| {
        let backend = Backend::http(|request| Reply::ok(&request.target));
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        let third = "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        client.send(format!("{}{}{third}{}", get("/1", &[]), get("/2", &[]), get("/4", &[])));
        [(); 4].map(|()| client.response().body)
    });
    assert_eq!(bodies, ["/1", "/2", "/3", "/4"]);
}

#[test]
fn head_is_answered_without_a_body_and_the_connection_goes_on() {
    let [head, next] = same(|program| {
        let backend = Backend::http(|request| match request.method.as_str() {
            "HEAD" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
            _ => Reply::ok("body"),
        });
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.response_to_head();
        [head, client.ask(get("/", &[]))]
    });
    assert_eq!(head.header("content-length"), Some("1234"));
    assert_eq!(next.body, "body");
}

#[test]
fn a_server_that_wants_to_continue_is_heard_before_the_body() {
    let responses = same(|program| {
        let backend = Backend::raw(|connection, record| {
            let mut request = connection.request_head()?.expect("a request");
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            connection.request_body(&mut request)?;
            record(request);
            connection.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        });
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        let interim = client.response();
        client.send("body");
        let last = client.response();
        (interim.status, last.status, backend.last().body, backend.last().header("expect").map(str::to_owned))
    });
    assert_eq!(responses, (100, 201, "body".to_owned(), Some("100-continue".to_owned())));
}

#[test]
fn upgrade_becomes_a_tunnel_in_both_directions() {
    let seen = same(|program| {
        let backend = Backend::raw(|connection, record| {
            record(connection.request_head()?.expect("a request"));
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nwelcome",
            )?;
            let ping = connection.exact(4)?;
            connection.send(ping)
        });
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        client.send(get("/chat", &["Connection: Upgrade", "Upgrade: echo"]));
        let response = client.response();
        let welcome = client.exact(7);
        client.send("ping");
        (response, welcome, client.exact(4), backend.last().head())
    });
    assert_eq!((seen.0.status, seen.1.as_str(), seen.2.as_str()), (101, "welcome", "ping"));
}

#[test]
fn a_refused_upgrade_stays_http() {
    let [first, second] = same(|program| {
        let backend = Backend::named("plain");
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        let first = client.ask(get("/chat", &["Connection: Upgrade", "Upgrade: echo"]));
        [first, client.ask(get("/", &[]))]
    });
    assert_eq!((first.status, second.status), (200, 200));
}

#[test]
fn connect_becomes_a_tunnel_after_200() {
    let seen = same(|program| {
        let backend = Backend::raw(|connection, record| {
            record(connection.request_head()?.expect("a request"));
            connection.send("HTTP/1.1 200 Connection established\r\n\r\n")?;
            let ping = connection.exact(4)?;
            connection.send(ping)
        });
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        client.send("CONNECT test.example:443 HTTP/1.1\r\nHost: test.example:443\r\n\r\n");
        let (head, _) = client.read_for(QUIET);
        client.send("ping");
        (head.to_ascii_lowercase(), client.exact(4), backend.last().head())
    });
    assert!(seen.0.starts_with("http/1.1 200"));
    assert_eq!(seen.1, "ping");
}

#[test]
fn an_early_response_reaches_the_client_before_its_body_ends() {
    let (response, _) = same(|program| {
        let backend = Backend::raw(|connection, _| {
            connection.request_head()?;
            connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")?;
            pause(300);
            Ok(())
        });
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome of it");
        let response = client.response();
        (response, client.read_for(Duration::from_secs(1)).1)
    });
    assert_eq!(response.status, 413);
}

#[test]
fn large_bodies_pass_unchanged_both_ways() {
    let sent: String = (0..300_000).map(|number| char::from(b'a' + (number % 26) as u8)).collect();
    let same_body = same(|program| {
        let backend = Backend::http(|request| Reply::ok(&request.body));
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        let length = sent.len();
        let counted =
            client.ask(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{sent}"));
        let mut chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for chunk in sent.as_bytes().chunks(7_777) {
            chunked.push_str(&format!("{:X}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)));
        }
        let chunked = client.ask(chunked + "0\r\n\r\n");
        [counted.body == sent, chunked.body == sent]
    });
    assert_eq!(same_body, [true, true]);
}

#[test]
fn request_trailers_reach_the_server() {
    let trailers = same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, "", &backend);
        let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                       3\r\nabc\r\n0\r\nX-Sum: 294\r\n\r\n";
        assert_eq!(proxy.client("web").ask(request).status, 200);
        backend.last().trailers
    });
    assert_eq!(trailers, [("x-sum".to_owned(), "294".to_owned())]);
}

#[test]
fn a_client_that_resets_takes_its_server_connection_along() {
    same(|program| {
        let backend = Backend::raw(|connection, record| {
            record(connection.request_head()?.expect("a request"));
            connection.rest();
            Ok(())
        });
        let proxy = web(program, "", &backend);
        let mut client = proxy.client("web");
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome");
        backend.wait_for_requests(1);
        client.reset();
        wait_until("the server connection to close", || backend.open() == 0);
    });
}

#[test]
fn tcp_mode_carries_half_closes_both_ways() {
    let (answer, reply) = same(|program| {
        let backend = Backend::raw(|connection, _| {
            let question = connection.rest();
            connection.send(format!("got {}", String::from_utf8_lossy(&question)))?;
            connection.finish_sending()
        });
        let server_first = Backend::raw(|connection, _| {
            connection.send("banner")?;
            connection.finish_sending()?;
            connection.rest();
            Ok(())
        });
        let text = "listen a\n bind 127.0.0.1:$(a)\n server s 127.0.0.1:$(sa)\n\
                    listen b\n bind 127.0.0.1:$(b)\n server s 127.0.0.1:$(sb)\n";
        let proxy = program.tcp(text).with("sa", backend.port()).with("sb", server_first.port()).start();
        let mut client = proxy.client("a");
        client.send("question").finish_sending();
        (client.read_to_close(), proxy.client("b").read_to_close())
    });
    assert_eq!((answer.as_str(), reply.as_str()), ("got question", "banner"));
}

// row: 79
#[test]
fn tcp_mode_carries_bytes_unchanged() {
    let echoed = same(|program| {
        let backend = Backend::tcp_echo();
        let text = "listen a\n bind 127.0.0.1:$(a)\n server s 127.0.0.1:$(s)\n";
        let proxy = program.tcp(text).with("s", backend.port()).start();
        let mut client = proxy.client("a");
        client.send("\0\r\n\r\nnot http");
        client.exact(13)
    });
    assert_eq!(echoed, "\0\r\n\r\nnot http");
}

#[test]
fn unix_sockets_work_on_both_sides() {
    let body = same(|program| {
        let backend = Backend::named("s1");
        let text = "frontend outer\n bind unix@$(dir)/outer.sock mode 600\n default_backend inner\n\
                    backend inner\n server s unix@$(dir)/inner.sock\n\
                    listen inner_side\n bind unix@$(dir)/inner.sock accept-proxy\n server s1 127.0.0.1:$(s1)\n";
        let text = text.replace("inner.sock\nlisten", "inner.sock send-proxy\nlisten");
        let proxy = program.http(&text).with("s1", backend.port()).start();
        let mut client = differential::Client::connect_unix(&proxy.folder().join("outer.sock"));
        client.ask(get("/", &[])).body
    });
    assert_eq!(body, "s1");
}

#[test]
fn connection_headers_follow_the_mode_of_each_side() {
    let modes = ["", " option http-server-close", " option httpclose", " option http-keep-alive"];
    let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n",
    ];
    // row: 75, 165
    let seen = same(|program| {
        modes.map(|mode| {
            requests.map(|request| {
                let backend = Backend::named("s1");
                let proxy = web(program, mode, &backend);
                let mut client = proxy.client("web");
                let response: Response = client.ask(request);
                let end = client.read_for(QUIET).1;
                (backend.last().head(), response, end)
            })
        })
    });
    let (head, response, end) = &seen[2][0];
    assert!(head.contains(&"connection: close".to_owned()));
    assert_eq!((response.header("connection"), end.as_str()), (Some("close"), "closed"));
}
