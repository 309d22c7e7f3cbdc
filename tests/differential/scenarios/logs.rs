//! Log lines: traffic in every format, targets, and the flags that tell how a session ended.

use std::time::Duration;

use differential::normalise::{rfc3164, timers_of};
use differential::{Backend, Instance, Program, Reply, ReservedPort, SaturatedPort, Sink, pause, same};

use crate::support::{get, logging_web, traffic_line};

// row: 64, 88, 89
#[test]
fn httplog_writes_haproxys_line() {
    let (line, priority, tag) = same(|program| {
        let backend = Backend::named("s1");
        let text = "global\n log 127.0.0.1:$(log) local3 info\n\
                    defaults\n log global\n option httplog\n mode http\n timeout connect 5s\n timeout client 5s\n \
                    timeout server 5s\n\
                    frontend fe\n bind 127.0.0.1:$(web)\n default_backend be\n\
                    backend be\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.config(text).with("s1", backend.port()).start();
        assert_eq!(proxy.get("web", "/some?query").status, 200);
        let sent = rfc3164(&proxy.log().expect("GET /some")).expect("an RFC 3164 line");
        (traffic_line(&proxy, "GET /some"), sent.priority, sent.tag)
    });
    assert_eq!(
        line,
        "127.0.0.1:PORT [DATE] fe be/s1 T/T/T/T/T 200 51 - - ---- 1/1/0/0/0 0/0 \"GET /some?query HTTP/1.1\""
    );
    // local3 is facility 19, info severity 6.
    assert_eq!((priority, tag.as_str()), (19 * 8 + 6, "haproxy"));
}

// row: 89
#[test]
fn httplog_shows_captures_errors_and_methods() {
    let lines = same(|program| {
        let backend = Backend::http(|request| match request.target.as_str() {
            "/missing" => Reply::status("404 Not Found", &["Server: tiny"], "none"),
            _ => Reply::status("200 OK", &["Server: tiny", "Set-Cookie: SESSION=abcdef; path=/"], "hello"),
        });
        let lines = " capture request header User-Agent len 5\n capture request header Host len 20\n \
                     capture response header Server len 20\n capture cookie SESSION len 12\n";
        let proxy = logging_web(program, lines, &backend);
        let mut client = proxy.client("web");
        client.ask(get("/a", &["User-Agent: curl/8", "Cookie: SESSION=old"]));
        client.ask(get("/missing", &[]));
        client.ask("POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
        client.ask("GET /quote\"s HTTP/1.1\r\nHost: a\r\n\r\n");
        drop(client);
        ["GET /a ", "/missing", "/post", "/quote"].map(|text| traffic_line(&proxy, text))
    });
    assert!(lines[0].contains("{curl/|test.example} {tiny}"), "{}", lines[0]);
    assert!(lines[1].contains(" 404 "));
}

/// Starts a logging frontend before a server that does nothing but the script.
fn ending(program: Program, lines: &str, server: &str, port: u16) -> Instance {
    let text = format!(
        "listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n option httplog\n retries 1\n\
         {lines}\n server s1 127.0.0.1:$(s1) {server}\n"
    );
    program.http(&text).with("s1", port).start()
}

/// The only line logged: without what changes, and its timers.
fn only_line(proxy: &Instance) -> (String, Vec<i64>) {
    let line = proxy.log().wait_for(1, |line| line.contains(" web ")).remove(0);
    let timers = timers_of(&rfc3164(&line).expect("an RFC 3164 line").message);
    (traffic_line(proxy, " web "), timers)
}

// row: 81
#[test]
fn a_refused_connect_is_retried_then_503_with_flags_sc() {
    let (line, _) = same(|program| {
        let nobody = ReservedPort::new();
        let proxy = ending(program, "", "", nobody.number());
        let response = proxy.get("web", "/");
        let (line, timers) = only_line(&proxy);
        // Between two attempts at the same server haproxy pauses for a second.
        assert!((900..1_900).contains(&timers[4]), "{timers:?}");
        (line, response)
    });
    assert!(line.contains("web/s1 T/T/-1/-1/T 503 "), "{line}");
    assert!(line.contains(" SC-- ") && line.contains("/1 0/0 "), "{line}");
}

// row: 81, 86
#[test]
fn timeout_connect_in_plain_milliseconds_ends_in_503_with_flags_sc_in_lower_case() {
    let (line, response) = same(|program| {
        let saturated = SaturatedPort::new();
        let lines = " timeout connect 300\n retries 0";
        let proxy = ending(program, lines, "", saturated.number());
        let response = proxy.get("web", "/");
        let (line, timers) = only_line(&proxy);
        assert!((290..800).contains(&timers[4]), "{timers:?}");
        (line, response)
    });
    assert_eq!(response.status, 503);
    assert!(line.contains(" sC-- "), "{line}");
}

// row: 82
#[test]
fn timeout_server_before_the_response_is_504_with_flags_sh() {
    let (line, response) = same(|program| {
        let backend = Backend::http(|_| Reply::ok("late").after(2_000));
        let proxy = ending(program, " timeout server 300ms", "", backend.port());
        let response = proxy.get("web", "/");
        let (line, timers) = only_line(&proxy);
        assert!((290..900).contains(&timers[4]), "{timers:?}");
        (line, response)
    });
    assert_eq!(response.status, 504);
    assert!(line.contains(" sH-- "), "{line}");
}

// row: 82
#[test]
fn timeout_server_inside_the_body_ends_the_connection_with_flags_sd() {
    let (line, got, end) = same(|program| {
        let backend = Backend::raw(|connection, _| {
            connection.request_head()?;
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")?;
            connection.rest();
            Ok(())
        });
        let proxy = ending(program, " timeout server 300ms", "", backend.port());
        let mut client = proxy.client("web");
        let (got, end) = client.send(get("/", &[])).read_for(Duration::from_secs(3));
        (only_line(&proxy).0, got.to_ascii_lowercase(), end)
    });
    assert!(got.ends_with("\r\n\r\nsome"), "{got}");
    assert_eq!(end, "closed");
    assert!(line.contains(" sD-- "), "{line}");
}

// row: 83
#[test]
fn timeout_client_inside_the_request_body_ends_as_with_haproxy() {
    let seen = same(|program| {
        let backend = Backend::raw(|connection, _| {
            connection.request()?;
            Ok(())
        });
        let proxy = ending(program, " timeout client 300ms", "", backend.port());
        let mut client = proxy.client("web");
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome");
        let (got, end) = client.read_for(Duration::from_secs(3));
        (only_line(&proxy).0, got.to_ascii_lowercase(), end)
    });
    // haproxy 2.6 blames the server, whose response cannot come before the body.
    assert!(seen.0.contains(" 504 ") && seen.0.contains(" sH-- "), "{}", seen.0);
}

// row: 83
#[test]
fn timeout_http_request_is_408_with_flags_cr() {
    let (line, got) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = ending(program, " timeout http-request 300ms", "", backend.port());
        let mut client = proxy.client("web");
        let (got, _) = client.send("GET / HTTP/1.1\r\nHost").read_for(Duration::from_secs(3));
        (only_line(&proxy).0, got.to_ascii_lowercase())
    });
    assert!(got.starts_with("http/1.1 408 request time-out\r\n"), "{got}");
    assert!(line.contains(" cR-- ") && line.contains("<BADREQ>"), "{line}");
}

// row: 84
#[test]
fn timeout_http_keep_alive_closes_the_idle_connection_silently() {
    let (ends, logged) = same(|program| {
        let backend = Backend::named("s1");
        let lines = " timeout http-keep-alive 300ms\n timeout http-request 3s";
        let proxy = logging_web(program, lines, &backend);
        let mut client = proxy.client("web");
        client.ask(get("/", &[]));
        let early = client.read_for(Duration::from_millis(150));
        let late = client.read_for(Duration::from_millis(800));
        pause(100);
        ([early, late], proxy.log().lines().len())
    });
    assert_eq!(ends, [(String::new(), "open".to_owned()), (String::new(), "closed".to_owned())]);
    assert_eq!(logged, 1);
}

// row: 105
#[test]
fn timeout_queue_is_503_with_flags_sq() {
    let (line, status) = same(|program| {
        let backend =
            Backend::http(|request| Reply::ok("x").after(if request.target == "/slow" { 1_500 } else { 0 }));
        let proxy = ending(program, " timeout queue 300ms", "maxconn 1", backend.port());
        let mut slow = proxy.client("web");
        slow.send(get("/slow", &[]));
        backend.wait_for_requests(1);
        let status = proxy.get("web", "/queued").status;
        (traffic_line(&proxy, "/queued"), status)
    });
    assert_eq!(status, 503);
    assert!(line.contains(" sQ-- "), "{line}");
}

#[test]
fn a_client_that_leaves_is_logged_by_the_phase_it_left_in() {
    let lines = same(|program| {
        let during_headers = {
            let backend = Backend::http(|_| Reply::ok("late").after(800));
            let proxy = ending(program, " option abortonclose", "", backend.port());
            let mut client = proxy.client("web");
            client.send(get("/", &[]));
            backend.wait_for_requests(1);
            client.reset();
            only_line(&proxy).0
        };
        let during_body = {
            let backend = Backend::raw(|connection, record| {
                record(connection.request_head()?.expect("a request"));
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")?;
                // haproxy notices the reset when it writes again.
                for _ in 0..10 {
                    pause(100);
                    connection.send("more")?;
                }
                Ok(())
            });
            let proxy = ending(program, "", "", backend.port());
            let mut client = proxy.client("web");
            client.send(get("/", &[]));
            backend.wait_for_requests(1);
            pause(50);
            client.reset();
            // How many bytes went out before the reset was seen is chance.
            only_line(&proxy)
                .0
                .split(' ')
                .skip(6)
                .filter(|word| word.parse::<u32>().is_err())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let during_request = {
            let backend = Backend::named("s1");
            let proxy = ending(program, "", "", backend.port());
            let mut client = proxy.client("web");
            client.send("GET / HT");
            pause(100);
            client.reset();
            only_line(&proxy).0
        };
        [during_headers, during_body, during_request]
    });
    assert!(lines[0].contains(" CD-- "), "{}", lines[0]);
    assert!(lines[1].contains("CD-- "), "{}", lines[1]);
    assert!(lines[2].contains(" CR-- "), "{}", lines[2]);
}

#[test]
fn a_server_that_fails_is_logged_by_the_phase_it_failed_in() {
    let lines = same(|program| {
        ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"].map(|reply| {
            let backend = Backend::http(move |_| Reply::raw(reply).close());
            let proxy = ending(program, "", "", backend.port());
            let mut client = proxy.client("web");
            client.send(get("/", &["Connection: close"]));
            client.read_to_close();
            only_line(&proxy).0
        })
    });
    assert!(lines[0].contains(" 502 ") && lines[0].contains(" SH-- "), "{}", lines[0]);
    assert!(lines[1].contains(" 502 ") && lines[1].contains(" PH-- "), "{}", lines[1]);
    assert!(lines[2].contains(" 200 ") && lines[2].contains(" SD-- "), "{}", lines[2]);
}

#[test]
fn requests_that_the_proxy_answers_itself_are_logged_so() {
    let lines = same(|program| {
        let rules = [
            " http-request deny",
            " http-request deny deny_status 429",
            " http-request return status 200 content-type text/plain string hi",
            " redirect prefix https://other.example",
            " http-request tarpit if TRUE\n timeout tarpit 200ms",
            " monitor-uri /",
            " http-response deny",
            " use_backend nothing if TRUE\nbackend nothing\n",
        ];
        rules.map(|rule| {
            let backend = Backend::named("s1");
            let proxy = logging_web(program, rule, &backend);
            let status = proxy.get("web", "/").status;
            if rule.contains("monitor") {
                return (status.to_string(), proxy.log().lines().len().to_string());
            }
            (status.to_string(), traffic_line(&proxy, " web "))
        })
    });
    assert!(lines[0].1.contains("web/<NOSRV>") && lines[0].1.contains(" PR-- "), "{:?}", lines[0]);
    assert_eq!(lines[5], ("200".to_owned(), "0".to_owned()));
}

// row: 89
#[test]
fn tcplog_writes_haproxys_line() {
    let lines = same(|program| {
        let backend = Backend::tcp_echo();
        let nobody = ReservedPort::new();
        let text = "defaults\n mode tcp\n log 127.0.0.1:$(log) local0\n option tcplog\n retries 0\n timeout connect 5s\n \
                    timeout client 300ms\n timeout server 5s\n\
                    listen good\n bind 127.0.0.1:$(good)\n server s 127.0.0.1:$(s)\n\
                    listen bad\n bind 127.0.0.1:$(bad)\n server s 127.0.0.1:$(nobody)\n";
        let launch = program.config(text).with("s", backend.port()).with("nobody", nobody.number());
        let proxy = launch.start();
        let mut client = proxy.client("good");
        client.send("1234567").finish_sending();
        assert_eq!(client.read_to_close(), "1234567");
        let finished = traffic_line(&proxy, " good ");
        assert_eq!(proxy.client("bad").read_to_close(), "");
        let refused = traffic_line(&proxy, " bad ");
        let mut idle = proxy.client("good");
        idle.send("x");
        idle.exact(1);
        idle.read_to_close();
        let timed_out = proxy.log().wait_for(2, |line| line.contains(" good ")).remove(1);
        let timed_out = rfc3164(&timed_out).expect("an RFC 3164 line").message;
        [finished, refused, differential::normalise::traffic(&timed_out)].map(|line| {
            // tcplog has three timers in the fifth word and the bytes after it.
            line.split(' ').map(str::to_owned).collect::<Vec<_>>().join(" ")
        })
    });
    assert_eq!(lines[0], "127.0.0.1:PORT [DATE] good good/s T/T/T 7 -- 1/1/0/0/0 0/0");
    assert!(lines[1].contains(" SC "), "{}", lines[1]);
    assert!(lines[2].contains(" cD "), "{}", lines[2]);
}

// row: 90
#[test]
fn dontlognull_hides_connections_without_data() {
    let counts = same(|program| {
        ["", " option dontlognull"].map(|option| {
            let backend = Backend::named("s1");
            let proxy = logging_web(program, option, &backend);
            drop(proxy.client("web"));
            pause(150);
            let empty = proxy.log().lines().len();
            proxy.get("web", "/");
            proxy.log().expect("GET /");
            (empty, proxy.log().lines().len())
        })
    });
    assert_eq!(counts, [(1, 2), (0, 1)]);
}

#[test]
fn options_choose_which_requests_are_logged() {
    let logged = same(|program| {
        let options = [
            "",
            " option dontlog-normal",
            " option log-separate-errors",
            " http-request set-log-level silent if { path /quiet }",
            " http-request set-log-level err if { path /quiet }",
            " no log",
            " option logasap",
        ];
        options.map(|option| {
            let backend = Backend::http(|request| match request.target.as_str() {
                "/error" => Reply::status("500 Oops", &[], ""),
                _ => Reply::ok("fine"),
            });
            let proxy = logging_web(program, option, &backend);
            for target in ["/fine", "/quiet", "/error"] {
                proxy.get("web", target);
            }
            pause(200);
            let lines = proxy.log().lines();
            let lines = lines.iter().map(|line| rfc3164(line).expect("an RFC 3164 line"));
            lines
                .map(|line| (line.priority, differential::normalise::traffic(&line.message)))
                .collect::<Vec<_>>()
        })
    });
    assert_eq!(logged.each_ref().map(Vec::len), [3, 1, 3, 2, 3, 0, 3]);
}

// row: 66
#[test]
fn logs_reach_unix_datagram_sockets_and_standard_output() {
    let lines = same(|program| {
        let backend = Backend::named("s1");
        let folder =
            std::env::temp_dir().join(format!("hawser-sink-{}-{}", std::process::id(), program.name()));
        let _ = std::fs::remove_file(&folder);
        let sink = Sink::unix(&folder);
        let lines = format!(
            " log {} local1 notice\n log {} local2\n log stdout format raw daemon\n option httplog",
            folder.display(),
            folder.display()
        );
        let proxy = crate::support::web(program, &lines, &backend);
        proxy.get("web", "/seen");
        let line = rfc3164(&sink.expect("/seen")).expect("an RFC 3164 line");
        differential::wait_until("a line on stdout", || proxy.stdout().contains("/seen"));
        let _ = std::fs::remove_file(&folder);
        let stdout = differential::normalise::traffic(proxy.stdout().trim_end());
        (line.priority, differential::normalise::traffic(&line.message), stdout, sink.lines().len())
    });
    // local2 alone: the first target wants notice and above, traffic is info.
    assert_eq!((lines.0, lines.3), (18 * 8 + 6, 1));
    assert_eq!(lines.1, lines.2);
}

// row: 65
#[test]
fn any_number_of_log_targets_gets_every_line() {
    let counts = same(|program| {
        let backend = Backend::named("s1");
        let sinks = [(); 4].map(|()| Sink::udp());
        let lines: String =
            sinks.iter().map(|sink| format!(" log 127.0.0.1:{} local0\n", sink.port())).collect();
        let proxy = crate::support::web(program, &(lines + " option httplog"), &backend);
        proxy.get("web", "/");
        sinks.each_ref().map(|sink| sink.wait_for(1, |line| line.contains("GET /")).len())
    });
    assert_eq!(counts, [1; 4]);
}

#[test]
fn log_formats_print_their_variables() {
    let formats = [
        "%ci|%fi|%bi|%si|%b|%f|%ft|%s|%H",
        "%ST|%B|%U|%ts|%tsc|%rc|%sq|%bq|%ac|%fc|%bc|%sc",
        "%HM|%HP|%HPO|%HQ|%HU|%HV|%r|%{+Q}r",
        "%CC|%CS|%hr|%hs|%hrl|%hsl|%lc|%rt",
        "%[src]|%[dst]|%[method]|%[capture.req.method]|%[capture.req.uri]|%[status]",
        "%{+Q}o%ci|%HM|%HP|%ST",
        "%{+X}o%ci|%ST|%fp",
        "%[var(txn.a),upper]|%[var(txn.a),lower,length]|%[str(x.y),field(1,.)]|%[str(a b),url_enc]|%[int(5),add(3),mul(2)]",
        "%{+E}o%[var(txn.q)]|%{+Q}[var(txn.q)]|%%",
        "%[var(txn.a)]|%[var(txn.none)]|%[fc_http_major]|%[fe_name]|%[be_name]|%[srv_name]",
        "literal \\\"quoted\\\" and\\ spaces %ST",
    ];
    let lines = same(|program| {
        formats.map(|format| {
            let backend = Backend::http(|_| Reply::status("200 OK", &["X-A: 1"], "hello"));
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n log-format \"{format}\"\n \
                 http-request set-var(txn.a) path\n http-request set-var(txn.q) req.hdr(x-q)\n server s1 127.0.0.1:$(s1)\n"
            );
            let proxy = program.http(&text).with("s1", backend.port()).start();
            let headers = ["X-Q: say \"hi\"", "Cookie: c=1; d=2", "Connection: close"];
            assert_eq!(proxy.client("web").ask(get("/Some/Path?q=1&r=2", &headers)).status, 200);
            let line = proxy.log().wait_for(1, |_| true).remove(0);
            let message = rfc3164(&line).expect("an RFC 3164 line").message;
            let ports = [proxy.port("web"), backend.port()];
            let mut message = ports.iter().fold(message, |text, port| text.replace(&port.to_string(), "PORT"));
            if format.contains("%fp") {
                message = message.rsplit_once('|').map_or(message.clone(), |(start, _)| start.to_owned());
            }
            if format.contains("%H\"") || format.ends_with("%H") {
                message = message.rsplit_once('|').map_or(message.clone(), |(start, _)| start.to_owned());
            }
            message
        })
    });
    assert_eq!(lines[2].split('|').next(), Some("GET"));
}

#[test]
fn log_tag_format_and_length_follow_the_configuration() {
    let lines = same(|program| {
        let targets = [
            "global\n log-tag other\n",
            "global\n log-send-hostname box\n",
            "global\n log 127.0.0.1:$(log) len 80 local0\n",
        ];
        let rfc3164 = targets.map(|global| {
            let backend = Backend::named("s1");
            let text = format!(
                "{global}defaults\n log 127.0.0.1:$(log) local0\n mode http\n log global\n option httplog\n timeout client 5s\n \
                 timeout connect 5s\n timeout server 5s\n\
                 listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(s1)\n"
            );
            let proxy = program.config(&text).with("s1", backend.port()).start();
            proxy.get("web", &format!("/{}", "x".repeat(100)));
            let line = proxy.log().wait_for(1, |_| true).remove(0);
            // Dates, pid and port have the same width each time but for the pid's and the port's digits.
            let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            (words.len() > 4).then(|| differential::normalise::numbers(&words[3..5].join(" ")))
        });
        let rfc5424 = {
            let backend = Backend::named("s1");
            let lines = " log 127.0.0.1:$(log) format rfc5424 local0\n option httplog";
            let proxy = crate::support::web(program, lines, &backend);
            proxy.get("web", "/");
            differential::normalise::numbers(&proxy.log().expect("GET /"))
        };
        let short = {
            let backend = Backend::named("s1");
            let lines = " log 127.0.0.1:$(log) format short local0\n option httplog";
            let proxy = crate::support::web(program, lines, &backend);
            proxy.get("web", "/");
            differential::normalise::numbers(&proxy.log().expect("GET /"))
        };
        (rfc3164, rfc5424, short)
    });
    assert!(lines.2.starts_with("<N>N.N.N.N:N ["), "{}", lines.2);
}

#[test]
fn tasks_are_timed_where_that_is_asked_for() {
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let text = "global\n profiling.tasks on\n\
                    defaults\n mode http\n timeout connect 8s\n timeout client 8s\n timeout server 8s\n\
                    listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n \
                    log-format 'cost@ %[cpu_calls,bool] %[cpu_ns_tot,bool] %[cpu_ns_avg,bool] %[lat_ns_tot,bool]'\n \
                    server s1 127.0.0.1:$(s1)\n";
        let proxy = program.config(text).with("s1", backend.port()).start();
        let cost = |number: usize| {
            proxy.get("web", "/");
            let lines = proxy.log().wait_for(number, |line| line.contains("cost@"));
            lines[number - 1].split_once("cost@ ").expect("the mark").1.trim_end().to_owned()
        };
        let timed = cost(1);
        let status = |proxy: &differential::Instance| {
            proxy.cli("show profiling status").lines().next().map(str::to_owned)
        };
        let on = status(&proxy);
        proxy.cli("set profiling tasks off");
        (timed, on, status(&proxy), cost(2))
    });
    assert_eq!((seen.0.as_str(), seen.3.as_str()), ("1 1 1 1", "1 0 0 0"));
}
