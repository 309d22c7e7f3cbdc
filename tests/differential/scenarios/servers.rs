//! The `server` line: checks, weights, backup, queueing, redirection and what is told about state changes.

use std::time::Instant;

use differential::normalise::{numbers, rfc3164};
use differential::{Backend, Instance, Program, Reply, ReservedPort, pause, same, wait_until};

use crate::support::get;

/// A frontend before the server lines, logging to the run's sink.
fn listen(program: Program, lines: &str, values: &[(&str, u16)]) -> Instance {
    let text = format!("listen web\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n{lines}\n");
    let launch = program.http(&text);
    values.iter().fold(launch, |launch, (name, value)| launch.with(name, value)).start()
}

/// Log lines about servers and proxies so far, without numbers that change, with their priorities.
fn events(proxy: &Instance) -> Vec<(u16, String)> {
    let lines = proxy.log().lines().into_iter().filter_map(|line| rfc3164(&line));
    let lines = lines.filter(|line| !line.message.starts_with("Connect from"));
    lines.map(|line| (line.priority, numbers(&line.message))).collect()
}

// row: 93, 94, 107
#[test]
fn the_tutorials_listen_alternates_between_checked_servers_named_by_address() {
    let served = same(|program| {
        let [first, second] = ["s1", "s2"].map(Backend::named);
        let lines = " option forwardfor\n server 127.0.0.1 127.0.0.1:$(a) check inter 3000 fall 3 rise 5\n \
                     server 127.0.0.1.2 127.0.0.1:$(b) check inter 3000 fall 3 rise 5";
        let proxy = listen(program, lines, &[("a", first.port()), ("b", second.port())]);
        proxy.wait_for_stat("web", "127.0.0.1", "check_status", "L4OK");
        (proxy.served_by("web", 4), proxy.stat("web", "127.0.0.1", "status"))
    });
    assert_eq!(served.0, ["s1", "s2", "s1", "s2"]);
}

// row: 93
#[test]
fn two_servers_may_share_an_address() {
    let served = same(|program| {
        let backend = Backend::named("same");
        let lines = " server a 127.0.0.1:$(s)\n server b 127.0.0.1:$(s)";
        listen(program, lines, &[("s", backend.port())]).served_by("web", 2)
    });
    assert_eq!(served, ["same", "same"]);
}

// row: 97, 98, 99, 108, 110, 94
#[test]
fn checks_take_a_server_down_after_fall_and_up_after_rise_and_say_so() {
    let (served, log) = same(|program| {
        let [first, second] = ["s1", "s2"].map(Backend::named);
        let lines = " server s1 127.0.0.1:$(a) check inter 200 fall 3 rise 2\n server s2 127.0.0.1:$(b)";
        let proxy = listen(program, lines, &[("a", first.port()), ("b", second.port())]);
        proxy.wait_for_stat("web", "s1", "check_status", "L4OK");
        let stopped = Instant::now();
        let port = first.stop();
        proxy.wait_for_stat("web", "s1", "status", "DOWN");
        // Three failures at 200 ms: not before the second interval, not after the fifth.
        let fall = stopped.elapsed().as_millis();
        assert!((380..1_200).contains(&fall), "down after {fall} ms");
        let during = proxy.served_by("web", 3);
        let started = Instant::now();
        let _back = Backend::named_on(port, "s1");
        proxy.wait_for_stat("web", "s1", "status", "UP");
        let rise = started.elapsed().as_millis();
        assert!((150..1_000).contains(&rise), "up after {rise} ms");
        let _ = proxy.log().expect("is UP");
        ([during, proxy.served_by("web", 2)], events(&proxy))
    });
    assert_eq!(served[0], ["s2"; 3]);
    assert_eq!(
        log.iter().find(|(_, line)| line.contains("is DOWN")),
        Some(&(
            16 * 8 + 1,
            "Server web/sN is DOWN, reason: LayerN connection problem, info: \"Connection refused\", check duration: \
             Nms. N active and N backup servers left. N sessions active, N requeued, N remaining in queue."
                .to_owned()
        ))
    );
}

// row: 108, 109
#[test]
fn the_last_server_going_down_is_an_emergency_and_requests_get_503() {
    let (status, traffic, log) = same(|program| {
        let backend = Backend::named("s1");
        let lines = " option httplog\n server s1 127.0.0.1:$(a) check inter 100 fall 1";
        let proxy = listen(program, lines, &[("a", backend.port())]);
        proxy.wait_for_stat("web", "s1", "check_status", "L4OK");
        backend.stop();
        proxy.log().expect("no server available");
        let status = proxy.get("web", "/x").status;
        let traffic = crate::support::traffic_line(&proxy, "GET /x");
        let mut log = events(&proxy);
        log.retain(|(_, line)| !line.contains("GET"));
        (status, traffic, log)
    });
    assert_eq!(status, 503);
    assert_eq!(
        traffic,
        "127.0.0.1:PORT [DATE] web web/<NOSRV> T/-1/-1/-1/T 503 217 - - SC-- 1/1/0/0/0 0/0 \"GET /x HTTP/1.1\""
    );
    assert!(log.contains(&(16 * 8, "proxy web has no server available!".to_owned())), "{log:?}");
}

// row: 97
#[test]
fn fastinter_and_downinter_set_the_pace_while_changing_and_while_down() {
    let paces = same(|program| {
        let nobody = ReservedPort::new();
        let backend = Backend::named("s1");
        let lines = " option httpchk\n server s1 127.0.0.1:$(a) check inter 1s fastinter 100 downinter 300 fall 4 rise 3\n \
                     server s2 127.0.0.1:$(b) check inter 250";
        let proxy = listen(program, lines, &[("a", nobody.number()), ("b", backend.port())]);
        let start = Instant::now();
        proxy.wait_for_stat("web", "s1", "status", "DOWN");
        let down = start.elapsed().as_millis();
        pause(1_600);
        // (within the slow-start of the first check, three more at 100 ms); checks of s2 in 1.6 s at 250 ms.
        (down < 1_600, (6..=14).contains(&backend.connections()))
    });
    assert_eq!(paces, (true, true));
}

/// How far apart 24 checks at 100 ms began, in milliseconds, shortest first.
fn paces(program: Program, percent: u32) -> Vec<u128> {
    let begun = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&begun);
    let backend = Backend::http(move |_| {
        seen.lock().expect("no script panics").push(Instant::now());
        Reply::ok("x")
    });
    let text = format!(
        "global\n spread-checks {percent}\nlisten web\n bind 127.0.0.1:$(web)\n option httpchk\n \
         server s1 127.0.0.1:$(s1) check inter 100\n"
    );
    let _proxy = program.http(&text).with("s1", backend.port()).start();
    wait_until("25 checks", || begun.lock().expect("no script panics").len() > 24);
    let begun = begun.lock().expect("no script panics");
    let mut paces: Vec<u128> = begun.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
    paces.sort_unstable();
    paces
}

// row: 62
#[test]
fn spread_checks_moves_checks_by_its_percentage() {
    same(|program| {
        let (even, spread) = (paces(program, 0), paces(program, 50));
        // The middle half: a busy machine is late now and then.
        let range = |paces: &[u128]| paces[18] - paces[6];
        assert!(range(&even) < 20, "{program:?} {even:?}");
        assert!(range(&spread) > 20 && spread[0] < 85 && spread[23] > 110, "{program:?} {spread:?}");
    });
}

// row: 95, 96
#[test]
fn checks_go_to_another_address_and_port_when_told() {
    let states = same(|program| {
        let [traffic, checked] = ["traffic", "checked"].map(Backend::named);
        let nobody = ReservedPort::new();
        // A check that speaks: a bare connect is reset before the server's accept.
        let lines = " option httpchk\n server other-port 127.0.0.1:$(a) check inter 100 fall 1 port $(c)\n \
                     server other-addr 127.0.0.1:$(a) check inter 100 fall 1 addr 127.0.0.1 port $(c)\n \
                     server dead-port 127.0.0.1:$(a) check inter 100 fall 1 port $(n)";
        let values = [("a", traffic.port()), ("c", checked.port()), ("n", nobody.number())];
        let proxy = listen(program, lines, &values);
        proxy.wait_for_stat("web", "dead-port", "status", "DOWN");
        wait_until("checks at the other port", || checked.connections() >= 2);
        assert_eq!(traffic.connections(), 0, "no check goes to the traffic's port");
        ["other-port", "other-addr", "dead-port"].map(|server| proxy.stat("web", server, "status"))
    });
    assert_eq!(states, ["UP", "UP", "DOWN"]);
}

// row: 85
#[test]
fn timeout_check_bounds_the_wait_for_a_response() {
    let (status, code) = same(|program| {
        let silent = Backend::raw(|connection, _| {
            connection.rest();
            Ok(())
        });
        let lines = " option httpchk\n timeout check 200ms\n server s1 127.0.0.1:$(a) check inter 2s fall 1";
        let proxy = listen(program, lines, &[("a", silent.port())]);
        let start = Instant::now();
        proxy.wait_for_stat("web", "s1", "status", "DOWN");
        assert!(start.elapsed().as_millis() < 3_000);
        (proxy.stat("web", "s1", "check_status"), proxy.stat("web", "s1", "last_chk"))
    });
    assert_eq!((status.as_str(), code.as_str()), ("L7TOUT", ""));
}

/// The states that one check of the kind leads to for a server answering the bytes.
fn verdict(program: Program, lines: &str, answer: &'static str) -> (String, String, String, Vec<String>) {
    let backend = Backend::raw(move |connection, record| {
        if let Some(request) = connection.request()? {
            record(request);
            connection.send(answer)?;
        }
        Ok(())
    });
    let lines = format!("{lines}\n server s1 127.0.0.1:$(a) check inter 10s fall 1 rise 1");
    let proxy = listen(program, &lines, &[("a", backend.port())]);
    backend.wait_for_requests(1);
    wait_until("a verdict", || {
        let status = proxy.stat("web", "s1", "check_status");
        status.starts_with("L7") || status.starts_with("L6")
    });
    let stat = |field: &str| proxy.stat("web", "s1", field);
    let port = backend.port().to_string();
    let head = backend.last().head().iter().map(|line| line.replace(&port, "PORT")).collect();
    (stat("check_status"), stat("check_code"), stat("status"), head)
}

// row: 94
#[test]
fn http_checks_ask_and_judge_as_haproxy_does() {
    let ok = "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello";
    let cases = [
        (" option httpchk", ok),
        (" option httpchk /alive", ok),
        (" option httpchk GET /alive", ok),
        (" option httpchk GET /alive HTTP/1.1\\r\\nHost:\\ example.com", ok),
        (" option httpchk", "HTTP/1.0 302 Found\r\n\r\n"),
        (" option httpchk", "HTTP/1.0 404 Not Found\r\n\r\n"),
        (" option httpchk", "HTTP/1.0 500 Oops\r\n\r\n"),
        (" option httpchk", "nonsense\r\n\r\n"),
        (" option httpchk\n http-check disable-on-404", "HTTP/1.0 404 Not Found\r\n\r\n"),
        (" option httpchk\n http-check expect status 404", "HTTP/1.0 404 Not Found\r\n\r\n"),
        (" option httpchk\n http-check expect status 404", ok),
        (" option httpchk\n http-check expect status 200-299,404", ok),
        (" option httpchk\n http-check expect string hello", ok),
        (" option httpchk\n http-check expect ! string hello", ok),
        (" option httpchk\n http-check expect string absent", ok),
        (" option httpchk\n http-check expect rstring ^h.*o$", ok),
        (" option httpchk\n http-check expect rstatus ^2", ok),
        (" option httpchk\n http-check expect hdr name x-a value b", ok),
        (" option httpchk\n http-check expect hdr name x-a value -m beg c", ok),
        (
            " option httpchk\n http-check send meth POST uri /c ver HTTP/1.1 hdr Host a.example hdr X-B c body data",
            ok,
        ),
        (
            " option httpchk\n http-check connect\n http-check send meth HEAD uri /h\n http-check expect status 200",
            ok,
        ),
    ];
    let verdicts = same(|program| cases.map(|(lines, answer)| (lines, verdict(program, lines, answer))));
    assert_eq!(verdicts[0].1.0, "L7OK");
    assert_eq!(verdicts[0].1.3[0], "OPTIONS / HTTP/1.0");
    assert_eq!((verdicts[5].1.0.as_str(), verdicts[5].1.2.as_str()), ("L7STS", "DOWN"));
    assert_eq!(verdicts[8].1.2, "NOLB");
}

// row: 94
#[test]
fn tcp_checks_follow_their_script() {
    let verdicts = same(|program| {
        [
            " option tcp-check\n tcp-check connect\n tcp-check send PING\\r\\n\n tcp-check expect string +PONG",
            " option tcp-check\n tcp-check send PING\\r\\n\n tcp-check expect rstring ^.PO",
            " option tcp-check\n tcp-check send-binary 50494e470d0a\n tcp-check expect binary 2b504f",
            " option tcp-check\n tcp-check send PING\\r\\n\n tcp-check expect string nothing",
            " option tcp-check\n tcp-check send PING\\r\\n\n tcp-check expect ! string PONG",
            " option tcp-check\n tcp-check comment named\\ step\n tcp-check send PING\\r\\n\n tcp-check expect comment pong string nothing",
        ]
        .map(|lines| {
            let backend = Backend::raw(|connection, _| {
                connection.until(b"\r\n")?;
                connection.send("+PONG\r\n")?;
                pause(50);
                Ok(())
            });
            let lines = format!("{lines}\n server s1 127.0.0.1:$(a) check inter 10s fall 1");
            let proxy = listen(program, &lines, &[("a", backend.port())]);
            wait_until("a verdict", || proxy.stat("web", "s1", "check_status").starts_with("L7"));
            ["check_status", "status", "last_chk", "check_desc"].map(|field| proxy.stat("web", "s1", field))
        })
    });
    assert_eq!((verdicts[0][0].as_str(), verdicts[3][1].as_str()), ("L7OK", "DOWN"));
}

// row: 94, 100
#[test]
fn an_agent_sets_weight_and_state() {
    let answers = [
        "50%\n",
        "drain\n",
        "maint\n",
        "down #reason\n",
        "stopped\n",
        "ready up 80%\n",
        "maxconn:7\n",
        "nonsense\n",
        "",
    ];
    let states = same(|program| {
        answers.map(|answer| {
            let agent = Backend::raw(move |connection, _| connection.send(answer));
            let backend = Backend::named("s1");
            let lines = " server s1 127.0.0.1:$(a) weight 10 agent-check agent-port $(g) agent-inter 100";
            let proxy = listen(program, lines, &[("a", backend.port()), ("g", agent.port())]);
            wait_until("two agent checks", || agent.connections() >= 3);
            let fields = ["status", "weight", "agent_status", "agent_code", "slim"];
            (answer, fields.map(|field| proxy.stat("web", "s1", field)))
        })
    });
    assert_eq!(states[0].1[1], "5");
    assert_eq!(states[2].1[0], "MAINT");
}

#[test]
fn log_health_checks_tells_every_change_of_a_check() {
    let log = same(|program| {
        let backend = Backend::named("s1");
        let lines =
            " option log-health-checks\n option httpchk\n server s1 127.0.0.1:$(a) check inter 100 fall 2";
        let proxy = listen(program, lines, &[("a", backend.port())]);
        proxy.log().expect("succeeded");
        backend.stop();
        proxy.log().expect("is DOWN");
        let mut events = events(&proxy);
        // Checks go on; the story ends here.
        let down = events.iter().position(|(_, line)| line.contains("is DOWN"));
        events.truncate(down.map_or(0, |position| position + 1));
        events
    });
    assert!(
        log[0].1.starts_with("Health check for server web/sN succeeded, reason: LayerN check passed"),
        "{log:?}"
    );
}

// row: 100
#[test]
fn weights_are_checked_at_load() {
    let codes = same(|program| {
        ["0", "1", "256", "257", "-1", "x", ""].map(|weight| {
            let text =
                format!("listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1 weight {weight}\n");
            (weight, program.http(&text).check().code)
        })
    });
    // haproxy reads what is no number as 0.
    assert_eq!(codes.map(|(_, code)| code), [0, 0, 0, 1, 1, 0, 0]);
}

// row: 101
#[test]
fn weight_zero_takes_no_new_request_but_keeps_its_clients() {
    let (served, kept) = same(|program| {
        let [first, second] = ["s1", "s2"].map(Backend::named);
        let lines = " cookie SRV insert\n server s1 127.0.0.1:$(a) weight 0 cookie one\n server s2 127.0.0.1:$(b) cookie two";
        let proxy = listen(program, lines, &[("a", first.port()), ("b", second.port())]);
        (proxy.served_by("web", 4), proxy.client("web").ask(get("/", &["Cookie: SRV=one"])).body)
    });
    assert_eq!((served, kept.as_str()), (vec!["s2".to_owned(); 4], "s1"));
}

// row: 102
#[test]
fn backups_serve_only_when_the_others_are_gone() {
    let served = same(|program| {
        ["", " option allbackups\n"].map(|option| {
            let servers = ["s1", "s2", "b1", "b2"].map(Backend::named);
            let lines = format!(
                "{option} server s1 127.0.0.1:$(s1)\n server s2 127.0.0.1:$(s2)\n server b1 127.0.0.1:$(b1) backup\n \
                 server b2 127.0.0.1:$(b2) backup"
            );
            let ports = [("s1", 0), ("s2", 1), ("b1", 2), ("b2", 3)].map(|(name, n)| (name, servers[n].port()));
            let proxy = listen(program, &lines, &ports);
            let normal = proxy.served_by("web", 4);
            proxy.cli("disable server web/s1; disable server web/s2");
            let fallen = proxy.served_by("web", 4);
            proxy.cli("disable server web/b1");
            let further = proxy.served_by("web", 2);
            proxy.cli("enable server web/s2");
            [normal, fallen, further, proxy.served_by("web", 2)]
        })
    });
    assert_eq!(served[0][1], ["b1"; 4]);
    assert_eq!(served[1][1], ["b1", "b2", "b1", "b2"]);
    assert_eq!(served[0][3], ["s2"; 2]);
}

// row: 103
#[test]
fn a_disabled_server_starts_in_maintenance() {
    let (status, served, enabled) = same(|program| {
        let [first, second] = ["s1", "s2"].map(Backend::named);
        let lines = " server s1 127.0.0.1:$(a) disabled\n server s2 127.0.0.1:$(b)";
        let proxy = listen(program, lines, &[("a", first.port()), ("b", second.port())]);
        let before = (proxy.stat("web", "s1", "status"), proxy.served_by("web", 3));
        proxy.cli("enable server web/s1");
        (before.0, before.1, proxy.served_by("web", 2))
    });
    assert_eq!((status.as_str(), served, enabled.len()), ("MAINT", vec!["s2".to_owned(); 3], 2));
}

// row: 104
#[test]
fn redir_answers_get_and_head_with_a_redirect() {
    let (answers, code) = same(|program| {
        let backend = Backend::named("s1");
        let lines = " server s1 127.0.0.1:$(a) redir http://www.magedu.com";
        let proxy = listen(program, lines, &[("a", backend.port())]);
        let get = proxy.get("web", "/path?query=1");
        let mut client = proxy.client("web");
        client.send("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.response_to_head();
        let post = proxy.client("web").ask("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let wrong = "listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1 redirect prefix http://x\n";
        ([get, head, post], program.http(wrong).check().code)
    });
    assert_eq!(
        (answers[0].status, answers[0].header("location")),
        (302, Some("http://www.magedu.com/path?query=1"))
    );
    assert_eq!((answers[1].status, answers[2].status, code), (302, 200, 1));
}

// row: 105
#[test]
fn maxconn_bounds_concurrency_and_queues_the_rest() {
    let (peak, statuses, queued) = same(|program| {
        let backend = Backend::http(|_| Reply::ok("x").after(700));
        let lines = " http-reuse always\n server s1 127.0.0.1:$(a) maxconn 2";
        let proxy = listen(program, lines, &[("a", backend.port())]);
        let mut clients: Vec<_> = (0..6).map(|_| proxy.client("web")).collect();
        for client in &mut clients {
            client.send(get("/", &[]));
        }
        pause(300);
        let queued = proxy.stat("web", "BACKEND", "qcur");
        let open = backend.open();
        (open, clients.iter_mut().map(|client| client.response().status).collect::<Vec<_>>(), queued)
    });
    assert_eq!((peak, statuses, queued.as_str()), (2, vec![200; 6], "4"));
}

// row: 106
#[test]
fn maxqueue_overflows_to_other_servers_and_backlog_is_no_server_keyword() {
    let (served, code) = same(|program| {
        let slow = |name: &'static str| Backend::http(move |_| Reply::ok(name).after(500));
        let [first, second] = ["s1", "s2"].map(slow);
        let lines = " option redispatch\n cookie SRV insert\n server s1 127.0.0.1:$(a) cookie one maxconn 1 maxqueue 1\n \
                     server s2 127.0.0.1:$(b) cookie two";
        let proxy = listen(program, lines, &[("a", first.port()), ("b", second.port())]);
        let mut clients: Vec<_> = (0..4).map(|_| proxy.client("web")).collect();
        for client in &mut clients {
            client.send(get("/", &["Cookie: SRV=one"]));
            pause(40);
        }
        let served = clients.iter_mut().map(|client| client.response().body).collect::<Vec<_>>();
        let wrong = "listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1 backlog 5\n";
        (served, program.http(wrong).check().code)
    });
    assert_eq!((served, code), (["s1", "s1", "s2", "s2"].map(str::to_owned).to_vec(), 1));
}

// row: 111
#[test]
fn slowstart_ramps_the_weight_after_recovery_not_at_boot() {
    let (at_boot, ramping) = same(|program| {
        let [first, second] = ["s1", "s2"].map(Backend::named);
        let lines = " server s1 127.0.0.1:$(a) weight 100 slowstart 20s check inter 100 fall 1 rise 1\n \
                     server s2 127.0.0.1:$(b) weight 100";
        let proxy = listen(program, lines, &[("a", first.port()), ("b", second.port())]);
        proxy.wait_for_stat("web", "s1", "check_status", "L4OK");
        let at_boot = proxy.stat("web", "s1", "weight");
        let port = first.stop();
        proxy.wait_for_stat("web", "s1", "status", "DOWN");
        let _back = Backend::named_on(port, "s1");
        proxy.wait_for_stat("web", "s1", "status", "UP");
        pause(300);
        let served = proxy.served_by("web", 20);
        let share = served.iter().filter(|name| *name == "s1").count();
        (at_boot, share <= 5)
    });
    assert_eq!((at_boot.as_str(), ramping), ("100", true));
}

// row: 113
#[test]
fn duplicate_server_names_are_fatal() {
    let codes = same(|program| {
        let lines = "listen web\n bind 127.0.0.1:$(web)\n server a 127.0.0.1:1\n server a 127.0.0.1:2\n";
        let backend = "listen web\n bind 127.0.0.1:$(web)\nbackend web\n";
        [lines, backend].map(|text| program.http(text).check().code)
    });
    assert_eq!(codes, [1, 1]);
}

// row: 114
#[test]
fn host_names_resolve_at_start_or_are_fatal_unless_init_addr_says_otherwise() {
    let results = same(|program| {
        [
            "localhost:1",
            "no-such-host.invalid:80",
            "no-such-host.invalid:80 init-addr none",
            "no-such-host.invalid:80 init-addr last,libc,none",
            "no-such-host.invalid:80 init-addr last,libc,127.0.0.1",
            "no-such-host.invalid:80 init-addr bogus",
        ]
        .map(|server| {
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n server s1 {server}\n");
            (server, program.http(&text).check().code)
        })
    });
    assert_eq!(results.map(|(_, code)| code), [0, 1, 0, 0, 0, 1]);
}

// row: 114
#[test]
fn a_server_without_an_address_is_down_until_given_one() {
    let seen = same(|program| {
        let backend = Backend::named("s1");
        let lines = " server s1 no-such-host.invalid:$(a) init-addr none";
        let proxy = listen(program, lines, &[("a", backend.port())]);
        let before = (proxy.stat("web", "s1", "status"), proxy.get("web", "/").status);
        let reply =
            proxy.cli("set server web/s1 addr 127.0.0.1").replace(&backend.port().to_string(), "PORT");
        proxy.cli("set server web/s1 state ready");
        (before, reply, proxy.get("web", "/").status, proxy.stat("web", "s1", "status"))
    });
    assert_eq!(seen.0, ("MAINT (resolution)".to_owned(), 503));
}

#[test]
fn observe_and_on_error_react_to_traffic() {
    let states = same(|program| {
        ["on-error mark-down", "on-error fail-check", "on-error sudden-death", "on-error fastinter"].map(|reaction| {
            let backend = Backend::http(|request| match request.target.as_str() {
                "/bad" => Reply::status("500 Oops", &[], ""),
                _ => Reply::ok("fine"),
            });
            let lines = format!(
                " option httpchk GET /check\n server s1 127.0.0.1:$(a) check inter 20s fall 3 observe layer7 error-limit 2 {reaction}"
            );
            let proxy = listen(program, &lines, &[("a", backend.port())]);
            proxy.wait_for_stat("web", "s1", "check_status", "L7OK");
            for _ in 0..2 {
                proxy.get("web", "/bad");
            }
            pause(150);
            (reaction, proxy.stat("web", "s1", "status"), proxy.stat("web", "s1", "check_status"))
        })
    });
    assert!(states[0].1.starts_with("DOWN"), "{states:?}");
}

#[test]
fn track_and_server_template_follow() {
    let states = same(|program| {
        let backend = Backend::named("s1");
        let text = "listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(a) check inter 100 fall 1 rise 1\n\
                    listen other\n bind 127.0.0.1:$(other)\n server t 127.0.0.1:$(a) track web/s1\n\
                    backend many\n server-template t 1-3 127.0.0.1:$(a) weight 3\n";
        let proxy = program.http(text).with("a", backend.port()).start();
        proxy.wait_for_stat("web", "s1", "check_status", "L4OK");
        backend.stop();
        proxy.wait_for_stat("web", "s1", "status", "DOWN");
        let tracked = proxy.stat("other", "t", "status");
        let template = ["t1", "t2", "t3"].map(|name| proxy.stat("many", name, "weight"));
        (tracked, template)
    });
    assert_eq!(states.0, "DOWN");
}

#[test]
fn on_marked_down_shuts_the_sessions_of_the_server() {
    let ends = same(|program| {
        ["", "on-marked-down shutdown-sessions"].map(|option| {
            let backend = Backend::tcp_echo();
            let text = format!(
                "listen tunnel\n bind 127.0.0.1:$(tunnel)\n server s1 127.0.0.1:$(a) {option} check inter 100 fall 1\n"
            );
            let proxy = program.tcp(&text).with("a", backend.port()).start();
            proxy.wait_for_stat("tunnel", "s1", "check_status", "L4OK");
            let mut client = proxy.client("tunnel");
            client.send("x");
            client.exact(1);
            let _port = backend.stop();
            proxy.wait_for_stat("tunnel", "s1", "status", "DOWN");
            client.read_for(std::time::Duration::from_millis(400)).1
        })
    });
    assert_eq!(ends.map(|end| end == "open"), [true, false]);
}
