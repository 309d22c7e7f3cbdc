//! `compression`: what is compressed, what is left alone, what the heads say, and what is counted.

use differential::{Backend, Coding, Instance, Program, Reply, Response, normalise, same};

use crate::support::{get, logging_web, traffic_line, web};

/// Long enough that every format makes it smaller.
fn text() -> String {
    "<p>A hawser is a rope for mooring or towing a ship.</p>\n".repeat(40)
}

/// A response of a server with this status and headers, and the text as its body.
fn reply(status: &str, headers: &[&str]) -> Reply {
    Reply::status(status, headers, &text())
}

/// Asks with each of the headers for the server's reply.
#[track_caller]
fn asked_with<const N: usize>(lines: &str, reply: Reply, headers: [&str; N]) -> [Response; N] {
    same(|program| {
        let reply = reply.clone();
        let backend = Backend::http(move |_| reply.clone());
        let proxy = web(program, lines, &backend);
        headers.map(|header| {
            let lines: Vec<&str> = header.split('\n').filter(|line| !line.is_empty()).collect();
            proxy.client("web").ask(get("/", &lines))
        })
    })
}

/// Asks for each of the server's replies with `Accept-Encoding: gzip`.
#[track_caller]
fn answered<const N: usize>(lines: &str, replies: [Reply; N]) -> [Response; N] {
    same(|program| {
        let by_target = replies.clone();
        let backend = Backend::http(move |request| {
            let index: usize = request.target.trim_start_matches('/').parse().expect("a number");
            by_target[index].clone()
        });
        let proxy = web(program, lines, &backend);
        std::array::from_fn(|index| {
            proxy.client("web").ask(get(&format!("/{index}"), &["Accept-Encoding: gzip"]))
        })
    })
}

// row: 176, 178
#[test]
fn the_client_chooses_among_the_algorithms() {
    let headers = [
        "Accept-Encoding: gzip",
        "Accept-Encoding: deflate",
        "Accept-Encoding: gzip, deflate, br",
        "Accept-Encoding: deflate, gzip",
        "Accept-Encoding: deflate;q=0.5, gzip;q=0.6",
        "Accept-Encoding: gzip;q=0.5, deflate;q=0.6",
        "Accept-Encoding: gzip;q=0",
        "Accept-Encoding: gzip;q=0.000, deflate;q=0.001",
        "Accept-Encoding: *",
        "Accept-Encoding: *;q=0",
        "Accept-Encoding: gzip;q=0, *",
        "Accept-Encoding: *;q=0.1, deflate",
        "Accept-Encoding: identity",
        "Accept-Encoding: GZIP",
        "Accept-Encoding: gzipped",
        "Accept-Encoding: x-gzip",
        "Accept-Encoding:",
        "Accept-Encoding: gzip ; q=1",
        "Accept-Encoding: gzip;level=1;q=0.1, deflate;q=0.2",
        "Accept-Encoding: gzip;q=1.5, deflate;q=0.9",
        "Accept-Encoding: gzip;q=x, deflate;q=0.1",
        "Accept-Encoding: gzip;Q=0, deflate",
        "Accept-Encoding: gzip; q=0.1; q=1, deflate;q=0.5",
        "Accept-Encoding: br\nAccept-Encoding: gzip",
        "",
    ];
    let responses = asked_with(" compression algo gzip deflate", reply("200 OK", &[]), headers);
    assert_eq!(responses[0].coding, Some(Coding::Gzip));
    assert_eq!(responses[0].header("transfer-encoding"), Some("chunked"));
    assert_eq!(responses[0].header("vary"), Some("Accept-Encoding"));
    assert_eq!(responses[0].header("content-length"), None);
    assert_eq!(responses[1].coding, Some(Coding::Zlib));
    assert_eq!(responses[6].coding, None);
    assert!(responses.iter().all(|response| response.body == text()));
}

// row: 176
#[test]
fn algorithms_are_tried_in_their_order_and_deflate_may_be_raw() {
    for lines in [
        " compression algo deflate gzip",
        " compression algo raw-deflate",
        " compression algo raw-deflate deflate",
        " compression algo identity",
        " compression algo identity gzip",
        " compression algo gzip identity",
        " compression algo gzip\n compression algo deflate",
        " compression type text/html",
        " filter compression",
        " filter compression\n compression algo gzip",
    ] {
        let headers = [
            "Accept-Encoding: gzip, deflate",
            "Accept-Encoding: deflate",
            "Accept-Encoding: *",
            "Accept: */*",
        ];
        asked_with(lines, reply("200 OK", &["Content-Type: text/html", "ETag: \"strong\""]), headers);
    }
}

// row: 179
#[test]
fn old_browsers_get_plain_text() {
    let agents = [
        "Mozilla/4.0 (compatible; MSIE 5.5; Windows NT 5.0)",
        "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
        "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)",
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0)",
        "Mozilla/4.7",
        "Mozilla/4",
        "Mozilla/5.0 (X11)",
        "Lynx Mozilla/4",
    ];
    let headers = agents.map(|agent| format!("Accept-Encoding: gzip\nUser-Agent: {agent}"));
    let headers: [&str; 9] = std::array::from_fn(|index| headers[index].as_str());
    let responses = asked_with(" compression algo gzip", reply("200 OK", &[]), headers);
    assert_eq!(responses[1].coding, None);
    assert_eq!(responses[2].coding, Some(Coding::Gzip));
}

// row: 179
#[test]
fn responses_that_must_not_change_are_left_alone() {
    let body = text();
    let length = body.len();
    let chunks = |headers: &str| {
        let raw =
            format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n");
        Reply::raw(format!("{raw}0\r\n\r\n"))
    };
    let replies = [
        reply("200 OK", &[]),
        reply("201 Created", &[]),
        reply("202 Accepted", &[]),
        reply("203 Non-Authoritative", &[]),
        reply("204 No Content", &["X: 1"]).close(),
        reply("205 Reset", &[]),
        reply("206 Partial Content", &["Content-Range: bytes 0-1/2"]),
        reply("304 Not Modified", &[]).close(),
        reply("404 Not Found", &[]),
        reply("500 Internal Server Error", &[]),
        reply("200 OK", &["Content-Encoding: br"]),
        reply("200 OK", &["Content-Encoding: identity"]),
        reply("200 OK", &["Cache-Control: no-transform"]),
        reply("200 OK", &["Cache-Control: public, No-Transform"]),
        reply("200 OK", &["Cache-Control: max-age=1", "Cache-Control: no-transform=1"]),
        reply("200 OK", &["Cache-Control: no-transform, private"]),
        reply("200 OK", &["Content-Type: multipart/mixed; boundary=x"]),
        reply("200 OK", &["Content-Type: Multipart"]),
        reply("200 OK", &["ETag: \"a\""]),
        reply("200 OK", &["ETag: W/\"a\""]),
        reply("200 OK", &["ETag: w/\"a\""]),
        reply("200 OK", &["ETag: a"]),
        reply("200 OK", &["ETag: \"a"]),
        reply("200 OK", &["ETag: \"a\"b\""]),
        reply("200 OK", &["ETag: \""]),
        reply("200 OK", &["ETag: \"\""]),
        reply("200 OK", &["ETag:"]),
        reply("200 OK", &["ETag: \"a\"", "ETag: \"b\""]),
        reply("200 OK", &["Vary: Accept-Encoding"]),
        reply("200 OK", &["Vary: Cookie", "Content-Type: text/plain", "Server: x"]),
        reply("200 OK", &["Content-MD5: abc", "Accept-Ranges: bytes", "Warning: 214"]),
        Reply::raw(format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")).close(),
        Reply::raw(format!("HTTP/1.1 200 OK\r\n\r\n{body}")).close(),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        Reply::chunked(&[], &[]),
        Reply::chunked(&["a", "bc", &body], &["X-Sum: 1"]),
        chunks(""),
        chunks("Content-Type: text/html\r\n"),
        Reply::ok("x"),
        reply("200 OK", &["Transfer-Encoding: gzip"]).close(),
    ];
    let responses = answered(" compression algo gzip", replies);
    assert_eq!(responses[18].header("etag"), Some("W/\"a\""));
    for left_alone in [5, 6, 8, 9, 10, 12, 16, 21, 27] {
        assert_ne!(responses[left_alone].coding, Some(Coding::Gzip), "{:?}", responses[left_alone]);
    }
}

// row: 177
#[test]
fn only_the_types_listed_are_compressed() {
    let replies = [
        reply("200 OK", &[]),
        reply("200 OK", &["Content-Type: text/html"]),
        reply("200 OK", &["Content-Type: text/html; charset=utf-8"]),
        reply("200 OK", &["Content-Type: TEXT/HTML"]),
        reply("200 OK", &["Content-Type: text/htmlx"]),
        reply("200 OK", &["Content-Type: text/htm"]),
        reply("200 OK", &["Content-Type: image/png"]),
        reply("200 OK", &["Content-Type: application/javascript"]),
        reply("200 OK", &["Content-Type: "]),
        reply("200 OK", &["Content-Type: image/png", "Content-Type: text/html"]),
        reply("200 OK", &["Content-Type: multipart/text"]),
    ];
    let lines = " compression algo gzip\n compression type text/html text/plain\n \
                 compression type application/javascript";
    let responses = answered(lines, replies);
    assert_eq!(responses[2].coding, Some(Coding::Gzip));
    assert_eq!(responses[6].coding, None);
}

// row: 176
#[test]
fn the_backend_comes_first_and_the_frontend_fills_in() {
    let sections = [
        ("compression algo gzip", ""),
        ("", "compression algo gzip"),
        ("compression algo gzip", "compression algo deflate"),
        ("compression algo gzip", "compression type text/html"),
        ("compression algo gzip\n compression type text/html", "compression algo deflate"),
        ("compression algo gzip\n compression type text/html", "compression type text/plain"),
        ("compression type text/html", "compression algo gzip"),
        ("compression algo gzip", "compression offload"),
        ("compression algo gzip\n compression offload", ""),
    ];
    for (front, back) in sections {
        same(|program| {
            let backend = Backend::http(|_| reply("200 OK", &["Content-Type: text/html"]));
            let text = format!(
                "frontend web\n bind 127.0.0.1:$(web)\n {front}\n default_backend app\n\
                 backend app\n {back}\n server s1 127.0.0.1:$(s1)\n"
            );
            let proxy = program.http(&text).with("s1", backend.port()).start();
            ["gzip", "deflate", "gzip, deflate", "br"].map(|accepted| {
                let asked = get("/", &[&format!("Accept-Encoding: {accepted}"), "Accept-Encoding: x"]);
                let response = proxy.client("web").ask(asked);
                (response, backend.last().head())
            })
        });
    }
}

// row: 180
#[test]
fn offload_hides_from_the_server_what_the_client_accepts() {
    let heads = same(|program| {
        let backend = Backend::http(|_| reply("200 OK", &[]));
        let lines = " compression algo gzip\n compression offload";
        let proxy = web(program, lines, &backend);
        ["gzip", "br", "gzip;q=0"].map(|accepted| {
            let response = proxy.client("web").ask(get("/", &[&format!("Accept-Encoding: {accepted}")]));
            (response, backend.last().head())
        })
    });
    assert!(heads[0].1.iter().all(|line| !line.starts_with("accept-encoding")), "{:?}", heads[0].1);
    assert!(heads[1].1.iter().any(|line| line == "accept-encoding: br"));
}

// row: 179
#[test]
fn http_1_0_and_head_get_no_compression() {
    same(|program| {
        let backend = Backend::http(|request| match request.method.as_str() {
            "HEAD" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
            _ => reply("200 OK", &[]),
        });
        let proxy = web(program, " compression algo gzip", &backend);
        let mut head = proxy.client("web");
        head.send("HEAD / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
        let head = head.response_to_head();
        let old = proxy.client("web").ask("GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
        let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n";
        let kept = proxy.client("web").ask(kept);
        let post = "POST / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc";
        (head, old, kept, proxy.client("web").ask(post))
    });
}

// row: 176
#[test]
fn what_was_compressed_is_counted_and_logged() {
    same(|program| {
        let backend = Backend::http(|request| match request.target.as_str() {
            "/image" => reply("200 OK", &["Content-Type: image/png"]),
            _ => reply("200 OK", &["Content-Type: text/plain"]),
        });
        let lines = " compression algo gzip\n compression type text/\n \
                     log-format \"%[res.comp] %[res.comp_algo] %B %ST\"";
        let proxy = logging_web(program, lines, &backend);
        let mut client = proxy.client("web");
        for target in ["/text", "/image", "/text"] {
            client.ask(get(target, &["Accept-Encoding: gzip"]));
        }
        let logged = proxy.log().wait_for(3, |_| true);
        let logged = logged.iter().map(|line| normalise::rfc3164(line).expect("RFC 3164").message);
        let lines: Vec<String> = logged.collect();
        let csv = proxy.cli("show stat");
        let mut rows = csv.lines();
        let names: Vec<&str> = rows.next().expect("names").split(',').collect();
        let columns: Vec<usize> = ["comp_in", "comp_byp", "comp_rsp", "bout"]
            .map(|wanted| names.iter().position(|name| *name == wanted).expect("a column"))
            .to_vec();
        let counted: Vec<Vec<String>> = rows
            .filter(|row| !row.is_empty())
            .map(|row| {
                let cells: Vec<&str> = row.split(',').collect();
                columns.iter().map(|&column| cells[column].to_owned()).collect()
            })
            .collect();
        (lines, counted)
    });
}

// row: 176
#[test]
fn a_streamed_response_does_not_wait_in_the_compressor() {
    same(|program| {
        let backend = Backend::raw(|connection, record| {
            record(connection.request_head()?.expect("a request"));
            let first = "The quick brown fox jumps over a lazy dog 0123456789.";
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            connection.send(format!("{head}{:x}\r\n{first}\r\n", first.len()))?;
            // The rest comes when the client has seen the beginning.
            let mut next = connection.exact(1)?;
            next.clear();
            connection.send("6\r\nsecond\r\n0\r\n\r\n")
        });
        let proxy = web(program, " compression algo gzip", &backend);
        let mut client = proxy.client("web");
        client.send("POST / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Length: 1\r\n\r\n");
        let begun = client.peek_body(50);
        assert!(begun, "the beginning comes before the end");
        client.send("x");
        (begun, client.response())
    });
}

#[test]
fn what_the_proxy_answers_itself() {
    same(|program| {
        let backend = Backend::http(|_| reply("200 OK", &[]));
        let lines = format!(
            " compression algo gzip\n stats uri /stats\n \
             http-request return status 200 content-type text/plain string \"{}\" if {{ path /own }}\n \
             http-request deny if {{ path /deny }}\n http-request redirect location /x if {{ path /away }}",
            "many words ".repeat(50)
        );
        let proxy = web(program, &lines, &backend);
        ["/own", "/deny", "/away", "/stats", "/stats;csv"].map(|target| {
            let response = proxy.client("web").ask(get(target, &["Accept-Encoding: gzip"]));
            let mut headers = response.headers.clone();
            headers.retain(|(name, _)| name != "content-length");
            (response.status, headers, response.coding)
        })
    });
}

#[test]
fn traffic_lines_count_what_the_server_sent() {
    same(|program| {
        let backend = Backend::http(|_| reply("200 OK", &[]));
        let proxy = logging_web(program, " compression algo gzip", &backend);
        proxy.client("web").ask(get("/counted", &["Accept-Encoding: gzip"]));
        traffic_line(&proxy, "/counted")
    });
}

/// `compression direction request` is younger than the haproxy at hand.
#[test]
fn requests_are_compressed_for_the_server_where_that_is_asked_for() {
    let backend = Backend::http(|_| Reply::ok("got it"));
    let lines = " compression direction request\n compression algo-req gzip\n compression type-req text/\n \
                 compression minsize-req 10";
    let proxy = web(Program::Hawser, lines, &backend);
    let post = |headers: &str, body: &str| {
        let length = body.len();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{headers}\r\n");
        let mut client = proxy.client("web");
        assert_eq!(client.ask(format!("{head}{body}")).body, "got it");
        // The connection goes on: the client's own framing was not touched.
        assert_eq!(client.ask(get("/", &[])).status, 200);
        backend.requests().into_iter().rev().nth(1).expect("the POST")
    };
    let compressed = post("Content-Type: text/plain\r\n", &text());
    assert_eq!((compressed.coding, compressed.body.as_str()), (Some(Coding::Gzip), text().as_str()));
    assert_eq!(compressed.header("content-length"), None);
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    for (headers, body) in [
        ("Content-Type: image/png\r\n", text()),
        ("", text()),
        ("Content-Type: text/plain\r\nContent-Encoding: br\r\n", text()),
        ("Content-Type: text/plain\r\n", "short".to_owned()),
    ] {
        let plain = post(headers, &body);
        assert_eq!((plain.coding.filter(|coding| *coding == Coding::Gzip), plain.body), (None, body));
    }
}

#[test]
fn a_rate_limit_and_a_command_stop_the_compressor() {
    let codings = same(|program| {
        let backend = Backend::http(|_| Reply::ok(&"0123456789abcdef".repeat(8_192)));
        let text = "global\n maxcomprate 100\ndefaults\n mode http\n timeout connect 8s\n timeout client 8s\n \
                    timeout server 8s\nlisten web\n bind 127.0.0.1:$(web)\n compression algo gzip\n \
                    server s1 127.0.0.1:$(s1)\n";
        let proxy = program.config(text).with("s1", backend.port()).start();
        let mut client = proxy.client("web");
        let mut ask = || client.ask(get("/", &["Accept-Encoding: gzip"])).coding;
        let limited = [ask(), ask()];
        let limit = |proxy: &Instance| {
            let info = proxy.cli("show info");
            info.lines().find(|line| line.starts_with("CompressBpsRateLim")).map(str::to_owned)
        };
        let before = limit(&proxy);
        proxy.cli("set rate-limit http-compression global 100000");
        (limited, before, limit(&proxy), ask())
    });
    assert_eq!(codings.0, [Some(Coding::Gzip), None]);
    assert_eq!(codings.3, Some(Coding::Gzip));
}
