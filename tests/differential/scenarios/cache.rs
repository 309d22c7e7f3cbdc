//! `cache` sections: what is kept, for whom, how it comes back, and what is counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use differential::{Backend, Instance, Program, Reply, Response, normalise, pause, same};

use crate::support::get;

const MAX_AGE: &str = "Cache-Control: max-age=30";

/// A cache before one server; both sections are given lines of their own.
fn cached(program: Program, cache: &str, lines: &str, backend: &Backend) -> Instance {
    let text = format!(
        "cache c\n total-max-size 4\n{cache}\nlisten web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n \
         option httplog\n http-request cache-use c\n{lines}\n http-response cache-store c\n server s1 127.0.0.1:$(s1)\n"
    );
    program.http(&text).with("s1", backend.port()).start()
}

/// A server that numbers its answers, so that one from the cache is known by its number.
fn numbered(headers: &[&str]) -> Backend {
    let headers: Vec<String> = headers.iter().map(|&header| header.to_owned()).collect();
    let count = AtomicUsize::new(0);
    Backend::http(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let body = if request.method == "HEAD" { String::new() } else { format!("answer {number}") };
        match request.target.as_str() {
            "/missing" => Reply::status("404 Not Found", &headers, &body),
            "/moved" => Reply::status("301 Moved", &headers, &body),
            _ => Reply::status("200 OK", &headers, &body),
        }
    })
}

/// Ages in whole tens: a second may begin between two requests.
fn settled(mut response: Response) -> Response {
    for (name, value) in &mut response.headers {
        if name == "age"
            && let Ok(seconds) = value.parse::<u64>()
        {
            *value = (seconds / 10 * 10).to_string();
        }
    }
    response
}

#[test]
fn responses_are_kept_as_long_as_they_say() {
    let cases: [&[&str]; 36] = [
        &[MAX_AGE],
        &[],
        &["ETag: \"a\""],
        &["ETag: W/\"a\""],
        &["Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"],
        &["Expires: Mon, 01 Jan 2035 00:00:00 GMT"],
        &["Expires: Mon, 01 Jan 2001 00:00:00 GMT"],
        &["Expires: 0", "ETag: \"a\""],
        &["Expires: Mon, 01 Jan 2001 00:00:00 GMT", MAX_AGE],
        &["Cache-Control: max-age=0"],
        &["Cache-Control: s-maxage=10, max-age=0"],
        &["Cache-Control: max-age=10, s-maxage=0"],
        &["Cache-Control: s-maxage=20, max-age=30"],
        &["Cache-Control: max-age=x", "ETag: \"a\""],
        &["Cache-Control: max-age=-5", "ETag: \"a\""],
        &["Cache-Control: max-age=\"30\""],
        &["Cache-Control: MAX-AGE=30"],
        &["Cache-Control: max-age=30abc"],
        &["Cache-Control: max-age=99999999999999999999"],
        &["Cache-Control: private, max-age=30"],
        &["Cache-Control: PRIVATE, max-age=30"],
        &["Cache-Control: private=\"x\", max-age=30"],
        &["Cache-Control: no-cache=\"x\", max-age=30"],
        &["Cache-Control: max-age=30", "Cache-Control: no-store"],
        &["Cache-Control: public"],
        &["Cache-Control: public", "ETag: \"a\""],
        &["Pragma: no-cache", MAX_AGE],
        &["Set-Cookie: a=b", MAX_AGE],
        &["Vary: Accept-Encoding", MAX_AGE],
        &["Age: 10", MAX_AGE],
        &["Age: 25", MAX_AGE],
        &["Age: 40", MAX_AGE],
        &["Age: x", MAX_AGE],
        &["Age: 5", "ETag: \"a\""],
        &["Content-Encoding: gzip", MAX_AGE],
        &["Date: Mon, 01 Jan 2024 00:00:00 GMT", MAX_AGE],
    ];
    let answers = same(|program| {
        cases.map(|headers| {
            let backend = numbered(headers);
            let proxy = cached(program, "", "", &backend);
            (headers, ["/", "/"].map(|target| settled(proxy.client("web").ask(get(target, &[])))))
        })
    });
    let [first, second] = &answers[0].1;
    assert_eq!((first.header("age"), second.header("age")), (None, Some("0")));
    assert_eq!(first.body, second.body);
}

#[test]
fn only_whole_answers_to_get_are_kept() {
    same(|program| {
        let backend = numbered(&[MAX_AGE]);
        let proxy = cached(program, "", "", &backend);
        let ask = |request: &str| settled(proxy.client("web").ask(request));
        let mut seen = Vec::new();
        for target in ["/missing", "/missing", "/moved", "/moved"] {
            seen.push(ask(&get(target, &[])));
        }
        let old = "GET /old HTTP/1.0\r\nHost: h\r\n\r\n";
        seen.extend([old, &get("/old", &[]), old, &get("/old", &[])].map(ask));
        for host in ["h1", "h2", "h1", "H1", "h1:80"] {
            seen.push(ask(&format!("GET /host HTTP/1.1\r\nHost: {host}\r\n\r\n")));
        }
        for target in ["/query?a", "/query?b", "/query?a"] {
            seen.push(ask(&get(target, &[])));
        }
        let head = "HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n";
        for _ in 0..2 {
            let mut client = proxy.client("web");
            client.send(head);
            seen.push(settled(client.response_to_head()));
            seen.push(ask(&get("/head", &[])));
        }
        seen
    });
}

#[test]
fn requests_choose_whether_they_are_answered_from_the_cache() {
    let headers = [
        "Cache-Control: no-cache",
        "Cache-Control: NO-CACHE",
        "Cache-Control: no-cache=x",
        "Cache-Control: max-age=0",
        "Cache-Control: max-age=60",
        "Cache-Control: no-store",
        "Cache-Control: x, no-store",
        "Cache-Control: only-if-cached",
        "Pragma: no-cache",
        "Pragma: x, no-cache",
        "Cache-Control: x\r\nPragma: no-cache",
        "Authorization: Basic eA==",
        "Cookie: a=1",
        "Range: bytes=0-0",
    ];
    same(|program| {
        headers.map(|header| {
            let backend = numbered(&[MAX_AGE]);
            let proxy = cached(program, "", "", &backend);
            let plain = get("/", &[]);
            let asked = get("/", &[header]);
            let bodies =
                [&asked, &plain, &plain, &asked, &plain].map(|request| proxy.client("web").ask(request).body);
            let row = ["req_tot", "cache_lookups", "cache_hits", "intercepted"]
                .map(|field| proxy.stat("web", "FRONTEND", field));
            (header, bodies, row)
        })
    });
}

#[test]
fn credentials_need_a_public_response() {
    same(|program| {
        ["Cache-Control: max-age=30", "Cache-Control: public, max-age=30", "Cache-Control: s-maxage=30"].map(
            |control| {
                let backend = numbered(&[control]);
                let proxy = cached(program, "", "", &backend);
                let asked = get("/", &["Authorization: Basic eA=="]);
                let plain = get("/", &[]);
                [&asked, &asked, &plain, &plain, &asked].map(|request| proxy.client("web").ask(request).body)
            },
        )
    });
}

#[test]
fn clients_that_have_it_get_304() {
    let conditions = [
        "If-None-Match: \"a\"",
        "If-None-Match: W/\"a\"",
        "If-None-Match: \"b\", \"a\"",
        "If-None-Match: \"b\"",
        "If-None-Match: *",
        "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT",
        "If-Modified-Since: Sun, 31 Dec 2023 00:00:00 GMT",
        "If-Modified-Since: Mon, 01 Jan 2040 00:00:00 GMT",
        "If-Modified-Since: junk",
        "If-None-Match: \"b\"\r\nIf-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT",
    ];
    let responses = same(|program| {
        [&["ETag: \"a\"", "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT", MAX_AGE][..], &[MAX_AGE]].map(
            |headers| {
                let backend = numbered(headers);
                let proxy = cached(program, "", "", &backend);
                proxy.get("web", "/");
                conditions.map(|condition| settled(proxy.client("web").ask(get("/", &[condition]))))
            },
        )
    });
    assert_eq!(responses[0][0].status, 304);
    assert_eq!(responses[0][3].status, 200);
}

#[test]
fn requests_that_change_things_make_the_cache_forget() {
    same(|program| {
        ["POST", "PUT", "DELETE", "PATCH", "PURGE", "OPTIONS"].map(|method| {
            let backend = numbered(&[MAX_AGE]);
            let proxy = cached(program, "", "", &backend);
            let change = |target: &str, version: &str| {
                format!("{method} {target} HTTP/{version}\r\nHost: test.example\r\nContent-Length: 0\r\n\r\n")
            };
            let plain = get("/", &[]);
            let bodies = [
                &plain,
                &change("/", "1.0"),
                &plain,
                &change("/other", "1.1"),
                &plain,
                &change("/", "1.1"),
                &plain,
            ]
            .map(|request| proxy.client("web").ask(request).body);
            (method, bodies)
        })
    });
}

#[test]
fn variants_by_accepted_coding() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["Vary: Accept-Encoding"], &["gzip", "gzip", "br", "identity", "", "identity;q=0, gzip"]),
        (
            &["Vary: Accept-Encoding", "Content-Encoding: gzip"],
            &["gzip", "br, gzip", "br", "", "gzip;q=0", "*"],
        ),
        (&["Vary: accept-encoding", "Content-Encoding: br"], &["br", "gzip", "gzip", "*;q=0, br", "x-gzip"]),
        (&["Vary: Accept-Encoding", "Content-Encoding: foo"], &["foo", "foo"]),
        (&["Vary: Cookie"], &["", ""]),
        (&["Vary: *"], &["", ""]),
    ];
    same(|program| {
        cases.map(|(headers, accepted)| {
            let headers: Vec<&str> = headers.iter().copied().chain([MAX_AGE]).collect();
            let backend = numbered(&headers);
            let proxy = cached(program, " process-vary on\n max-secondary-entries 3", "", &backend);
            let bodies: Vec<String> = accepted
                .iter()
                .map(|accepted| {
                    let header = format!("Accept-Encoding: {accepted}");
                    let lines: &[&str] = if accepted.is_empty() { &[] } else { &[&header] };
                    proxy.client("web").ask(get("/", lines)).body
                })
                .collect();
            (headers.join(", "), bodies)
        })
    });
}

#[test]
fn rules_see_where_the_response_comes_from_and_the_log_tells() {
    let (responses, lines, fields) = same(|program| {
        let backend = numbered(&[MAX_AGE]);
        let rules = " http-response set-header X-Before %[res.cache_hit]\n \
                     http-after-response set-header X-After %[res.cache_name]";
        let proxy = cached(program, "", rules, &backend);
        let responses = [(); 2].map(|()| settled(proxy.client("web").ask(get("/logged", &[]))));
        let lines: Vec<String> = proxy
            .log()
            .wait_for(2, |line| line.contains("/logged"))
            .iter()
            .map(|line| normalise::traffic(&normalise::rfc3164(line).expect("RFC 3164").message))
            .collect();
        let fields = ["bin", "bout", "intercepted", "cache_lookups", "cache_hits", "hrsp_2xx"]
            .map(|field| [proxy.stat("web", "FRONTEND", field), proxy.stat("web", "BACKEND", field)]);
        (responses, lines, fields)
    });
    assert_eq!(responses[1].header("x-before"), Some("1"));
    assert!(lines[1].contains("web/<CACHE>") && lines[1].contains(" LR-- "), "{lines:?} {fields:?}");
}

#[test]
fn large_objects_and_broken_ones_are_not_kept() {
    same(|program| {
        let sizes = [100, 15_900, 16_500, 40_000];
        let kept = sizes.map(|size| {
            let count = AtomicUsize::new(0);
            let backend = Backend::http(move |_| {
                let number = count.fetch_add(1, Ordering::SeqCst);
                Reply::status("200 OK", &[MAX_AGE], &format!("{number}{}", "x".repeat(size)))
            });
            let proxy = cached(program, "", "", &backend);
            [(); 2].map(|()| proxy.get("web", "/").body[..1].to_owned())
        });
        let backend = Backend::http(|_| {
            Reply::raw(format!("HTTP/1.1 200 OK\r\n{MAX_AGE}\r\nContent-Length: 100\r\n\r\ncut")).close()
        });
        let proxy = cached(program, "", "", &backend);
        for _ in 0..2 {
            let mut client = proxy.client("web");
            client.send(get("/", &["Connection: close"]));
            client.read_to_close();
        }
        (kept, backend.requests().len())
    });
}

#[test]
fn chunked_bodies_come_back_whole_and_compressed_ones_for_whom_they_are() {
    same(|program| {
        let backend = Backend::http(|_| {
            let body = "some words that repeat, ".repeat(50);
            Reply::raw(format!(
                "HTTP/1.1 200 OK\r\n{MAX_AGE}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n3\r\nend\r\n0\r\n\r\n",
                body.len()
            ))
        });
        let proxy = cached(program, "", " compression algo gzip", &backend);
        let bodies = ["gzip", "identity", "gzip"].map(|accepted| {
            let response = proxy.client("web").ask(get("/", &[&format!("Accept-Encoding: {accepted}")]));
            // The client may see the end of a response before the cache does.
            pause(50);
            (response.body.clone(), response.coding, response.header("age").is_some())
        });
        (bodies, backend.requests().len())
    });
}

#[test]
fn show_cache_lists_what_is_kept() {
    same(|program| {
        let backend = numbered(&[MAX_AGE]);
        let proxy = cached(program, "", "", &backend);
        for target in ["/a", "/b"] {
            proxy.get("web", target);
        }
        let shown = proxy.cli("show cache");
        // Addresses, sizes of heads of its own kind, and how free blocks are counted are the program's.
        let fields = |line: &str| {
            let words = line.split(' ').filter(|word| word.starts_with("hash:") || word.starts_with("vary:"));
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        shown.lines().map(fields).collect::<Vec<_>>()
    });
}
