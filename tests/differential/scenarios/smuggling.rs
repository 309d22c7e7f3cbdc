//! Requests that two parsers could read differently: the verdict must be haproxy's.

use std::time::Duration;

use differential::{Backend, same};

use crate::support::web;

const CASES: &[&str] = &[
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded: yes\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\tfolded\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nNoColon\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-A: nul\0byte\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-A: bare\rcr\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: 1\r\n\r\n",
    "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "GET / http/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.15\r\nHost: a\r\n\r\n",
    "GET /\r\n\r\n",
    "GET\r\n\r\n",
    "get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET nopath HTTP/1.1\r\nHost: a\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\x7c",
];

// row: 175
#[test]
fn doubtful_requests_meet_the_same_verdict() {
    let verdicts = same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, "", &backend);
        CASES
            .iter()
            .map(|case| {
                let before = backend.requests().len();
                let mut client = proxy.client("web").patience(Duration::from_millis(800));
                client.send(case);
                let answer = client.try_response().map(|response| response.status);
                // A refusal closes; an answered connection stays open.
                let patience = if answer == Ok(200) { 50 } else { 800 };
                let end = client.read_for(Duration::from_millis(patience)).1;
                drop(client);
                let seen: Vec<_> =
                    backend.requests().split_off(before).iter().map(|request| request.head()).collect();
                ((*case).to_owned(), answer, end, seen)
            })
            .collect::<Vec<_>>()
    });
    assert_eq!((&verdicts[0].1, &verdicts[1].1), (&Ok(400), &Ok(200)));
}

#[test]
fn a_head_over_the_limits_is_refused() {
    let statuses = same(|program| {
        let backend = Backend::named("s1");
        let text = "global\n tune.http.maxhdr 20\n\
                    listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let headers = |count: usize| "X-A: 1\r\n".repeat(count);
        let requests = [
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", headers(10)),
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", headers(40)),
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(10_000)),
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(20_000)),
        ];
        requests.map(|request| {
            let mut client = proxy.client("web");
            let _ = client.try_send(&request);
            client.try_response().map(|response| response.status)
        })
    });
    assert_eq!(statuses[0], Ok(200));
    assert_eq!(statuses[1], Ok(400));
}
