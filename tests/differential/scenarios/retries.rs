//! Retries, redispatch, aborts and how connections to servers are shared.

use std::time::Duration;

use differential::{Backend, Program, Reply, ReservedPort, pause, same};

use crate::support::{get, logging_web, traffic_line, web};

// row: 73
#[test]
fn redispatch_sends_the_last_retry_to_another_server() {
    let results = same(|program| {
        ["", " option redispatch", " option redispatch 1", " no option redispatch"].map(|option| {
            let nobody = ReservedPort::new();
            let backend = Backend::named("s2");
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n option httplog\n balance first\n \
                 retries 2\n{option}\n cookie SRV insert\n server s1 127.0.0.1:$(dead) cookie s1\n \
                 server s2 127.0.0.1:$(s2) cookie s2\n"
            );
            let launch = program.http(&text).with("dead", nobody.number()).with("s2", backend.port());
            let proxy = launch.start();
            let status = proxy.client("web").ask(get("/", &["Cookie: SRV=s1"])).status;
            (status, traffic_line(&proxy, "GET /"))
        })
    });
    assert_eq!(results.each_ref().map(|(status, _)| *status), [503, 200, 200, 503]);
    assert!(results[1].1.contains("web/s2") && results[1].1.contains("+"), "{}", results[1].1);
}

// row: 81
#[test]
fn retries_counts_attempts_and_zero_means_one_attempt() {
    let lines = same(|program| {
        [0, 1, 2].map(|retries| {
            let nobody = ReservedPort::new();
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n option httplog\n retries {retries}\n \
                 server s1 127.0.0.1:$(dead)\n"
            );
            let proxy = program.http(&text).with("dead", nobody.number()).start();
            assert_eq!(proxy.get("web", "/").status, 503);
            traffic_line(&proxy, "GET /")
        })
    });
    for (retries, line) in lines.iter().enumerate() {
        assert!(line.contains(&format!("/{retries} 0/0 ")), "{line}");
    }
}

/// A server that fails the first attempts as told, then answers.
fn failing_first(attempts: usize, failure: &'static str) -> Backend {
    Backend::raw(move |connection, record| {
        while let Some(request) = connection.request()? {
            record(request);
            if connection.number < attempts {
                match failure {
                    "close" => return Ok(()),
                    "reset" => return connection.reset(),
                    "timeout" => pause(1_000),
                    reply => return connection.send(reply),
                }
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    })
}

#[test]
fn retry_on_repeats_requests_that_failed_in_the_ways_named() {
    let close = "close";
    let reply_503 = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let reply_404 = "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n";
    let junk = "junk\r\n\r\n";
    let cases = [
        ("", close, "GET"),
        (" retry-on empty-response", close, "GET"),
        (" retry-on empty-response", close, "POST"),
        (" retry-on empty-response", close, "DELETE"),
        (" retry-on empty-response\n http-request disable-l7-retry if METH_POST", close, "POST"),
        (" retry-on conn-failure", close, "GET"),
        (" retry-on response-timeout\n timeout server 300", "timeout", "GET"),
        (" retry-on 503", reply_503, "GET"),
        (" retry-on 503", reply_404, "GET"),
        (" retry-on 404 503", reply_404, "GET"),
        (" retry-on junk-response", junk, "GET"),
        (" retry-on all-retryable-errors", junk, "GET"),
        (" retry-on all-retryable-errors", "reset", "GET"),
        (" retry-on none", close, "GET"),
    ];
    let results = same(|program| {
        cases.map(|(option, failure, method)| {
            let backend = failing_first(1, failure);
            let proxy = web(program, option, &backend);
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
            let status = proxy.client("web").ask(request).status;
            (option, method, status, backend.requests().len())
        })
    });
    assert_eq!((results[0].2, results[0].3), (502, 1));
    assert_eq!((results[1].2, results[1].3), (200, 2));
    assert_eq!((results[7].2, results[7].3), (200, 2));
}

#[test]
fn a_killed_backend_fails_no_request_with_redispatch() {
    let failures = same(|program| {
        let [first, second] = ["s1", "s2"].map(Backend::named);
        let text = "listen web\n bind 127.0.0.1:$(web)\n option redispatch\n retries 3\n retry-on all-retryable-errors\n \
                    server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:$(s2)\n";
        let proxy = program.http(text).with("s1", first.port()).with("s2", second.port()).start();
        let mut client = proxy.client("web");
        let mut failures = 0;
        let mut first = Some(first);
        for number in 0..12 {
            if number == 4 {
                first.take().map(Backend::kill);
            }
            failures += usize::from(client.ask(get("/", &[])).status != 200);
        }
        failures
    });
    assert_eq!(failures, 0);
}

// row: 74
#[test]
fn abortonclose_drops_a_queued_request_whose_client_left() {
    let served = same(|program| {
        ["", " option abortonclose"].map(|option| {
            let backend = Backend::http(|request| {
                Reply::ok("x").after(if request.target == "/slow" { 700 } else { 0 })
            });
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n{option}\n server s1 127.0.0.1:$(s1) maxconn 1\n"
            );
            let proxy = program.http(&text).with("s1", backend.port()).start();
            let mut slow = proxy.client("web");
            slow.send(get("/slow", &[]));
            backend.wait_for_requests(1);
            let mut queued = proxy.client("web");
            queued.send(get("/queued", &[]));
            pause(100);
            drop(queued);
            assert_eq!(slow.response().status, 200);
            pause(300);
            backend.requests().iter().map(|request| request.target.clone()).collect::<Vec<_>>()
        })
    });
    assert_eq!(served, [vec!["/slow", "/queued"], vec!["/slow"]]);
}

/// Connections a backend saw, by mode: three clients in turn with two requests each.
fn connections_by_mode(program: Program, lines: &str) -> usize {
    let backend = Backend::named("s1");
    let proxy = web(program, lines, &backend);
    for _ in 0..3 {
        let mut client = proxy.client("web");
        client.ask(get("/1", &[]));
        client.ask(get("/2", &[]));
        drop(client);
        pause(50);
    }
    backend.connections()
}

// row: 75
#[test]
fn server_connections_are_reused_as_each_mode_says() {
    let counts = same(|program| {
        [
            "",
            " http-reuse never",
            " http-reuse safe",
            " http-reuse aggressive",
            " http-reuse always",
            " option http-server-close",
            " option http-server-close\n http-reuse always",
            " option httpclose",
            " option prefer-last-server",
            " default-server pool-max-conn 0",
            " default-server max-reuse 1",
        ]
        .map(|lines| {
            let effective = if lines.contains("httpclose") {
                // Each response closes the client's connection: one request per client.
                let backend = Backend::named("s1");
                let proxy = web(program, lines, &backend);
                for _ in 0..3 {
                    proxy.client("web").ask(get("/", &[]));
                }
                backend.connections()
            } else {
                connections_by_mode(program, lines)
            };
            (lines, effective)
        })
    });
    assert_eq!(counts[1].1, 3, "never: one server connection per client");
    assert_eq!(counts[4].1, 1, "always: one for all");
}

#[test]
fn an_idle_server_connection_that_died_is_replaced_without_an_error() {
    let statuses = same(|program| {
        let backend = Backend::raw(|connection, record| {
            // Answers once with keep-alive, then closes while idle.
            if let Some(request) = connection.request()? {
                record(request);
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
                pause(100);
            }
            Ok(())
        });
        let proxy = web(program, " http-reuse always", &backend);
        let mut client = proxy.client("web");
        [(); 3].map(|()| {
            let status = client.ask(get("/", &[])).status;
            pause(250);
            status
        })
    });
    assert_eq!(statuses, [200; 3]);
}

// row: 165
#[test]
fn httpclose_closes_both_sides_after_each_response() {
    let (head, response, end, connections) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = logging_web(program, " option httpclose", &backend);
        let mut client = proxy.client("web");
        let response = client.ask(get("/", &[]));
        let end = client.read_for(Duration::from_millis(300)).1;
        proxy.get("web", "/");
        (backend.last().head(), response, end, backend.connections())
    });
    assert!(head.contains(&"connection: close".to_owned()), "{head:?}");
    assert_eq!((response.header("connection"), end.as_str(), connections), (Some("close"), "closed", 2));
}

#[test]
fn monitor_uri_answers_by_itself_and_can_fail() {
    let responses = same(|program| {
        let backend = Backend::named("s1");
        let lines = " monitor-uri /alive\n acl down nbsrv(web) lt 2\n monitor fail if { path /never }";
        let proxy = web(program, lines, &backend);
        let failing = web(program, " monitor-uri /alive\n monitor fail if TRUE", &backend);
        let responses =
            [proxy.get("web", "/alive"), proxy.get("web", "/alive?x"), failing.get("web", "/alive")];
        assert!(backend.requests().iter().all(|request| request.target == "/alive?x"));
        responses
    });
    assert_eq!((responses[0].status, responses[2].status), (200, 503));
}

// row: 83
#[test]
fn slow_headers_are_cut_while_others_are_served() {
    let (cut, served) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = web(program, " timeout http-request 1500ms", &backend);
        let mut slow: Vec<_> = (0..1_000).map(|_| proxy.client("web")).collect();
        for client in &mut slow {
            client.send("GET / HTTP/1.1\r\nX-Slow: ");
        }
        let served = proxy.served_by("web", 10);
        pause(1_600);
        let cut =
            slow.iter_mut().filter_map(|client| client.try_response().ok()).map(|response| response.status);
        (cut.collect::<Vec<_>>(), served)
    });
    assert_eq!(cut, vec![408; 1_000]);
    assert_eq!(served, ["s1"; 10]);
}
