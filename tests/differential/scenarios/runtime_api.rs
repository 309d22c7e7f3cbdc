//! The admin socket: texts of replies, levels, and what commands do to traffic.

use std::time::Duration;

use differential::normalise::{numbers, rfc3164};
use differential::{Backend, Client, Instance, Program, Reply, pause, same};

use crate::support::get;

/// The tutorial's shape: backend `nginx` with two servers named by address.
fn nginx(program: Program) -> (Instance, [Backend; 2]) {
    let servers = ["111", "112"].map(Backend::named);
    let text = "listen nginx\n bind 127.0.0.1:$(web)\n log 127.0.0.1:$(log) local0\n \
                server 192.168.1.111 127.0.0.1:$(a) check inter 5s\n server 192.168.1.112 127.0.0.1:$(b) check inter 5s\n\
                frontend empty\n bind 127.0.0.1:$(empty)\n";
    let launch = program.http(text).with("a", servers[0].port()).with("b", servers[1].port());
    (launch.start(), servers)
}

/// Without what is each program's own: the list of commands behind a sentence, lists of patterns inside HAProxy, and
/// the tails of Debian's version and of ours.
fn without_own_things(reply: &str) -> String {
    let is_own =
        |line: &&str| line.contains("'httpclient'") || (line.starts_with("  ") && line.contains(": "));
    let kept: Vec<&str> = reply.lines().filter(|line| !is_own(line)).collect();
    kept.join("\n").replace("-1+deb12u4", "").replace(concat!("-hawser", env!("CARGO_PKG_VERSION")), "")
        + if reply.ends_with('\n') { "\n" } else { "" }
}

// row: 191, 192, 202
#[test]
fn disable_and_enable_take_a_server_out_and_back() {
    let (replies, served, states, log) = same(|program| {
        let (proxy, _servers) = nginx(program);
        let disable = proxy.cli("disable server nginx/192.168.1.111");
        let disabled = proxy.stat("nginx", "192.168.1.111", "status");
        let during = proxy.served_by("web", 3);
        let enable = proxy.cli("enable server nginx/192.168.1.111");
        let enabled = proxy.stat("nginx", "192.168.1.111", "status");
        let after = proxy.served_by("web", 4);
        pause(100);
        let log: Vec<_> = proxy.log().lines().iter().filter_map(|line| rfc3164(line)).collect();
        let log = log.into_iter().filter(|line| !line.message.starts_with("Connect from"));
        let log: Vec<_> = log.map(|line| (line.priority, line.message)).collect();
        ([disable, enable], (during, after), [disabled, enabled], log)
    });
    assert_eq!(replies, ["\n", "\n"]);
    assert_eq!(served.0, ["112"; 3]);
    assert!(served.1.contains(&"111".to_owned()));
    assert_eq!(states, ["MAINT", "UP 1/3"]);
    assert!(log[0].1.starts_with("Server nginx/192.168.1.111 is going DOWN for maintenance."), "{log:?}");
}

// row: 193, 194, 205
#[test]
fn replies_have_haproxys_texts() {
    let commands = [
        "disable server nginx/nobody",
        "disable server nobody/s",
        "disable server nginx",
        "disable server",
        "enable server nginx/nobody",
        "enable server x",
        "set server nginx/192.168.1.111",
        "set server nginx/192.168.1.111 state",
        "set server nginx/192.168.1.111 state bogus",
        "set server nginx/192.168.1.111 state ready",
        "set server nginx/192.168.1.111 health up",
        "set server nginx/192.168.1.111 health bogus",
        "set server nginx/192.168.1.111 agent up",
        "set server nginx/192.168.1.111 check-port 99",
        "set server nginx/192.168.1.111 addr 127.0.0.1 port 99",
        "set server nginx/192.168.1.111 addr nonsense",
        "set server nginx/192.168.1.111 bogus",
        "set maxconn server nginx/192.168.1.111 10",
        "set maxconn server nginx/192.168.1.111",
        "set maxconn frontend nginx 100",
        "set maxconn frontend nobody 100",
        "set maxconn global 500",
        "set rate-limit connections global 100",
        "disable health nginx/192.168.1.111",
        "enable health nginx/192.168.1.111",
        "disable agent nginx/192.168.1.111",
        "enable agent nginx/192.168.1.111",
        "disable frontend empty",
        "disable frontend empty",
        "enable frontend empty",
        "shutdown frontend nobody",
        "shutdown sessions server nginx/192.168.1.111",
        "shutdown session 0x1",
        "clear counters",
        "clear counters all",
        "show backend",
        "show servers conn nobody",
        "show cli sockets nothing",
        "show map",
        "show acl",
        "show map nothing",
        "add map nothing a b",
        "show table nothing",
        "show errors",
        "show env HOME_NOT_SET",
        "get weight nginx/192.168.1.111",
        "foo",
        "show",
        "show foo",
        "set",
        "disable",
        "disable server nginx/192.168.1.111; enable server nginx/192.168.1.111; foo",
        ";;",
        "",
    ];
    let replies = same(|program| {
        let (proxy, servers) = nginx(program);
        proxy.wait_for_stat("nginx", "192.168.1.112", "check_status", "L4OK");
        commands.map(|command| {
            let ports = servers.iter().map(|server| (server.port().to_string(), "PORT"));
            let folder = (proxy.folder().display().to_string(), "DIR");
            let reply = ports
                .chain([folder])
                .fold(proxy.cli(command), |reply, (own, name)| reply.replace(&own, name));
            let reply = without_own_things(&reply);
            (command, if command == "show errors" { numbers(&reply) } else { reply })
        })
    });
    let reply =
        |command: &str| replies.iter().find(|(asked, _)| *asked == command).map(|(_, reply)| reply.as_str());
    assert_eq!(reply("disable server nginx/nobody"), Some("No such server.\n\n"));
    assert_eq!(reply("disable server nobody/s"), Some("No such backend.\n\n"));
    assert_eq!(reply("disable server nginx"), Some("Require 'backend/server'.\n\n"));
    assert!(
        reply("foo").is_some_and(|text| text.starts_with("Unknown command, but maybe one of the following"))
    );
}

// row: 195
#[test]
fn levels_bound_what_a_socket_may_do() {
    let replies = same(|program| {
        let text = "global\n stats socket $(dir)/user.sock level user\n stats socket $(dir)/operator.sock level operator\n\
                    listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1\n";
        let proxy = program.http(text).start();
        ["user.sock", "operator.sock", "cli.sock"].map(|socket| {
            let path = proxy.folder().join(socket);
            [
                "disable server web/s1",
                "clear counters",
                "clear counters all",
                "show cli level",
                "get weight web/s1",
                "show env",
                "operator",
                "user; disable server web/s1",
                "set server web/s1 weight 1",
            ]
            .map(|command| {
                (
                    command,
                    if command == "show env" {
                        String::from_iter(
                            proxy
                                .cli_at(&path, "show env\n")
                                .lines()
                                .take(1)
                                .filter(|line| line.contains("denied")),
                        )
                    } else {
                        proxy.cli_at(&path, &format!("{command}\n"))
                    },
                )
            })
        })
    });
    assert_eq!(replies[0][0].1, "Permission denied\n\n");
    assert_eq!(replies[2][0].1, "\n");
}

// row: 60, 196, 197
#[test]
fn every_stats_socket_controls_the_whole_instance() {
    let states = same(|program| {
        let text = "global\n stats socket $(dir)/admin.sock1 mode 660 level admin\n stats socket $(dir)/admin.sock2 mode 660 level admin\n\
                    listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1\n";
        let proxy = program.http(text).start();
        // The tutorial's script sends the same command to every socket in turn.
        let mut states = Vec::new();
        for command in ["disable", "enable"] {
            for socket in ["admin.sock1", "admin.sock2"] {
                let reply = proxy.cli_at(&proxy.folder().join(socket), &format!("{command} server web/s1\n"));
                states.push((reply, proxy.stat("web", "s1", "status")));
            }
        }
        states
    });
    assert_eq!(states[1], ("\n".to_owned(), "MAINT".to_owned()));
    assert_eq!(states[3], ("\n".to_owned(), "no check".to_owned()));
}

// row: 49
#[test]
fn the_stats_socket_gets_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let modes = same(|program| {
        let text = "global\n stats socket $(dir)/a.sock mode 600 level admin\n stats socket $(dir)/b.sock mode 660 level user\n";
        let proxy = program.http(&format!("{text}listen web\n bind 127.0.0.1:$(web)\n")).start();
        ["a.sock", "b.sock"].map(|socket| {
            std::fs::metadata(proxy.folder().join(socket)).expect("the socket exists").permissions().mode()
                & 0o777
        })
    });
    assert_eq!(modes, [0o600, 0o660]);
}

// row: 198
#[test]
fn show_servers_state_lists_every_server() {
    let (plain, admin_state) = same(|program| {
        let (proxy, servers) = nginx(program);
        proxy.wait_for_stat("nginx", "192.168.1.112", "check_status", "L4OK");
        proxy.cli("disable server nginx/192.168.1.111");
        let text = proxy.cli("show servers state nginx");
        let text = servers.iter().fold(text, |text, server| text.replace(&server.port().to_string(), "PORT"));
        let mut rows: Vec<Vec<String>> =
            text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect();
        for row in rows.iter_mut().skip(2).filter(|row| row.len() > 10) {
            // Seconds since the last change.
            row[9] = "TIME".to_owned();
        }
        let state = rows[2][6].clone();
        (rows, state)
    });
    assert_eq!(plain[0], ["1"]);
    assert_eq!(admin_state, "1");
}

// row: 199
#[test]
fn show_stat_gives_haproxys_table() {
    let (head, rows) = same(|program| {
        let (proxy, _servers) = nginx(program);
        for server in ["192.168.1.111", "192.168.1.112"] {
            proxy.wait_for_stat("nginx", server, "check_status", "L4OK");
        }
        for _ in 0..4 {
            proxy.get("web", "/");
            // The next one must not meet the end of this one: peaks are compared.
            proxy.wait_for_stat("nginx", "FRONTEND", "scur", "0");
            proxy.wait_for_stat("nginx", "BACKEND", "scur", "0");
        }
        let table = proxy.cli("show stat").replace(",* ", ",");
        let mut lines = table.lines();
        let head = lines.next().unwrap_or_default().to_owned();
        let names: Vec<&str> = head.trim_start_matches("# ").split(',').collect();
        let steady = [
            "pxname",
            "svname",
            "qcur",
            "qmax",
            "scur",
            "smax",
            "slim",
            "stot",
            "bin",
            "bout",
            "dreq",
            "dresp",
            "ereq",
            "econ",
            "eresp",
            "wretr",
            "wredis",
            "status",
            "weight",
            "act",
            "bck",
            "chkfail",
            "chkdown",
            "downtime",
            "qlimit",
            "pid",
            "iid",
            "sid",
            "throttle",
            "lbtot",
            "tracked",
            "type",
            "rate_lim",
            "check_status",
            "check_code",
            "hrsp_1xx",
            "hrsp_2xx",
            "hrsp_3xx",
            "hrsp_4xx",
            "hrsp_5xx",
            "hrsp_other",
            "req_tot",
            "cli_abrt",
            "srv_abrt",
            "mode",
            "algo",
            "conn_tot",
            "intercepted",
            "dcon",
            "dses",
            "wrew",
            "connect",
            "reuse",
            "cache_lookups",
            "cache_hits",
            "eint",
        ];
        let rows: Vec<Vec<String>> = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let fields = names.iter().zip(line.split(','));
                fields
                    .filter(|(name, _)| steady.contains(*name))
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect()
            })
            .collect();
        (head, rows)
    });
    assert!(head.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,"));
    assert!(head.split(',').count() > 100);
    assert_eq!(rows.len(), 5, "frontend, two servers and backend of the listen, and the lone frontend");
}

// row: 152, 199
#[test]
fn show_stat_can_be_narrowed_typed_or_json() {
    let replies = same(|program| {
        let (proxy, _servers) = nginx(program);
        proxy.wait_for_stat("nginx", "192.168.1.112", "check_status", "L4OK");
        let first_words = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",")).collect()
        };
        let narrowed = [
            "show stat 1 1 -1",
            "show stat 2 4 -1",
            "show stat -1 4 -1",
            "show stat 9 1 1",
            "show stat nginx 4 -1",
        ]
        .map(|command| (command, first_words(&proxy.cli(command))));
        let typed: Vec<String> = proxy
            .cli("show stat typed")
            .lines()
            .map(|line| line.split(':').take(3).collect::<Vec<_>>().join(":"))
            .take(60)
            .collect();
        let json = numbers(&proxy.cli("show stat json").chars().take(400).collect::<String>());
        (narrowed, typed, json)
    });
    assert_eq!(replies.0[4].1[1..3], ["nginx,192.168.1.111", "nginx,192.168.1.112"]);
    assert!(replies.2.starts_with("[["), "{}", replies.2);
}

// row: 200
#[test]
fn show_info_has_haproxys_fields() {
    let (names, values) = same(|program| {
        let (proxy, _servers) = nginx(program);
        let text = proxy.cli("show info");
        let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(": ")).collect();
        let names: Vec<String> = lines.iter().map(|(name, _)| (*name).to_owned()).collect();
        let steady = [
            "Nbproc",
            "Nbthread",
            "Process_num",
            "Maxconn",
            "Hard_maxconn",
            "MaxSslConns",
            "MaxPipes",
            "MaxConnRate",
            "Listeners",
            "Stopping",
        ];
        let values: Vec<String> = lines
            .iter()
            .filter(|(name, _)| steady.contains(name))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        (names, values)
    });
    for name in ["Nbproc", "Nbthread", "Maxconn", "Uptime", "Pid"] {
        assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
    }
    assert!(values.contains(&"Nbthread: 1".to_owned()));
}

// row: 201
#[test]
fn a_drained_server_keeps_its_clients_and_gets_no_new_ones() {
    let (fresh, kept, status) = same(|program| {
        let servers = ["s1", "s2"].map(Backend::named);
        let text = "listen web\n bind 127.0.0.1:$(web)\n cookie SRV insert\n server s1 127.0.0.1:$(a) cookie one\n server s2 127.0.0.1:$(b) cookie two\n";
        let proxy = program.http(text).with("a", servers[0].port()).with("b", servers[1].port()).start();
        proxy.cli("set server web/s1 state drain");
        let kept = proxy.client("web").ask(get("/", &["Cookie: SRV=one"])).body;
        (proxy.served_by("web", 3), kept, proxy.stat("web", "s1", "status"))
    });
    assert_eq!((fresh, kept.as_str(), status.as_str()), (vec!["s2".to_owned(); 3], "s1", "DRAIN"));
}

// row: 203, 321
#[test]
fn requests_in_flight_finish_when_their_server_is_disabled() {
    let (slow, failures) = same(|program| {
        let slow = Backend::http(|_| Reply::ok("finished").after(600));
        let other = Backend::named("other");
        let text = "listen web\n bind 127.0.0.1:$(web)\n balance first\n server s1 127.0.0.1:$(a)\n server s2 127.0.0.1:$(b)\n";
        let proxy = program.http(text).with("a", slow.port()).with("b", other.port()).start();
        let mut client = proxy.client("web");
        client.send(get("/", &[]));
        slow.wait_for_requests(1);
        proxy.cli("disable server web/s1");
        let during = proxy.served_by("web", 3);
        (client.response().body, during)
    });
    assert_eq!((slow.as_str(), failures), ("finished", vec!["other".to_owned(); 3]));
}

// row: 205
#[test]
fn several_commands_on_a_line_are_all_answered_and_the_half_close_does_not_lose_any() {
    let replies = same(|program| {
        let (proxy, _servers) = nginx(program);
        let path = proxy.folder().join("cli.sock");
        [
            "get weight nginx/192.168.1.111;get weight nginx/192.168.1.112\n",
            "get weight nginx/192.168.1.111\nget weight nginx/192.168.1.112\n",
            "get weight nginx/192.168.1.111; foo; get weight nginx/192.168.1.112",
            "get weight nginx/192.168.1.111",
            "show cli level\n\n\nshow cli level\n",
            "  show   cli    level  \n",
            "get weight nginx/192\\.168.1.111\n",
            "# a comment\nshow cli level\n",
            "set server nginx/192.168.1.111 weight 3;get weight nginx/192.168.1.111;quit;show cli level\n",
        ]
        .map(|bytes| (bytes, without_own_things(&proxy.cli_at(&path, bytes))))
    });
    assert_eq!(replies[0].1, "1 (initial 1)\n\n1 (initial 1)\n\n");
}

// row: 206, 61
#[test]
fn the_interactive_prompt_and_its_timeout() {
    let (dialogue, ends) = same(|program| {
        let text =
            "global\n stats timeout 500ms\nlisten web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1\n";
        let proxy = program.http(text).start();
        let path = proxy.folder().join("cli.sock");
        let mut client = Client::connect_unix(&path);
        let mut dialogue = Vec::new();
        for command in ["prompt\n", "get weight web/s1\n", "foo\n", "\n", "prompt\n"] {
            let said = client.send(command).read_for(Duration::from_millis(150)).0;
            let said = without_own_things(&said);
            dialogue.push((command, said));
        }
        let mut idle = Client::connect_unix(&path);
        let early = idle.read_for(Duration::from_millis(250)).1;
        let late = idle.read_for(Duration::from_millis(1_000)).1;
        (dialogue, [early, late])
    });
    assert!(dialogue[0].1.contains('>'));
    assert_eq!(ends, ["open", "closed"]);
}

#[test]
fn maps_and_acls_change_at_run_time() {
    let replies = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n acl blocked path -f $(dir)/blocked\n http-request deny if blocked\n \
                    http-request return status 200 content-type text/plain lf-string %[path,map($(dir)/names,none)]\n";
        let proxy = program.http(text).file("blocked", "/bad\n").file("names", "/a one\n/b two\n").start();
        let folder = proxy.folder().display().to_string();
        let ask = |path: &str| {
            let response = proxy.get("web", path);
            (response.status, response.body)
        };
        let run = |command: &str| {
            let reply = proxy.cli(&command.replace("DIR", &folder)).replace(&folder, "DIR");
            let reply = without_own_things(&reply);
            // Entries begin with their address.
            reply
                .lines()
                .map(|line| {
                    line.split_once(' ')
                        .filter(|(start, _)| start.starts_with("0x"))
                        .map_or(line, |(_, rest)| rest)
                        .to_owned()
                })
                .collect::<Vec<_>>()
        };
        let mut seen =
            vec![("start".to_owned(), vec![format!("{:?}{:?}{:?}", ask("/a"), ask("/c"), ask("/bad"))])];
        for command in [
            "show map",
            "show acl",
            "show map DIR/names",
            "show acl DIR/blocked",
            "get map DIR/names /a",
            "get acl DIR/blocked /bad",
            "add map DIR/names /c three",
            "set map DIR/names /a uno",
            "del map DIR/names /b",
            "del map DIR/names /nothing",
            "add acl DIR/blocked /worse",
            "del acl DIR/blocked /bad",
            "show map DIR/names",
            "clear map DIR/names",
            "show map DIR/names",
            "set map DIR/names /a x",
        ] {
            let reply = run(command);
            seen.push((command.to_owned(), reply));
            seen.push((
                "then".to_owned(),
                vec![format!("{:?}{:?}{:?}{:?}", ask("/a"), ask("/c"), ask("/bad"), ask("/worse"))],
            ));
        }
        seen
    });
    assert!(replies[0].1[0].contains("one") && replies[0].1[0].contains("403"), "{replies:?}");
}

#[test]
fn maxconn_and_rate_limits_change_at_run_time() {
    let seen = same(|program| {
        let backend = Backend::http(|_| Reply::ok("x").after(300));
        let text = "listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:$(a)\n";
        let proxy = program.http(text).with("a", backend.port()).start();
        proxy.cli("set maxconn server web/s1 1");
        let limit = proxy.stat("web", "s1", "slim");
        let mut clients: Vec<_> = (0..3).map(|_| proxy.client("web")).collect();
        for client in &mut clients {
            client.send(get("/", &[]));
        }
        pause(150);
        let queued = proxy.stat("web", "BACKEND", "qcur");
        let statuses: Vec<u16> = clients.iter_mut().map(|client| client.response().status).collect();
        (limit, queued, statuses)
    });
    assert_eq!(seen, ("1".to_owned(), "2".to_owned(), vec![200; 3]));
}

#[test]
fn servers_are_added_and_deleted_at_run_time() {
    let replies = same(|program| {
        let servers = ["s1", "s2"].map(Backend::named);
        let text = "listen web\n bind 127.0.0.1:$(web)\n balance roundrobin\n server s1 127.0.0.1:$(a)\n";
        let proxy = program.http(text).with("a", servers[0].port()).start();
        let port = servers[1].port();
        let mut seen = Vec::new();
        for command in [
            format!("add server web/s2 127.0.0.1:{port}"),
            format!("add server web/s2 127.0.0.1:{port}"),
            "enable server web/s2".to_owned(),
            "del server web/s2".to_owned(),
            "disable server web/s2".to_owned(),
            "del server web/s2".to_owned(),
            "del server web/s2".to_owned(),
            "add server web/s3".to_owned(),
        ] {
            let reply = proxy.cli(&command);
            let mut served = proxy.served_by("web", 2);
            served.sort();
            seen.push((command.replace(&port.to_string(), "PORT"), reply, served));
        }
        seen
    });
    assert_eq!(replies[0].1, "New server registered.\n\n");
    assert_eq!(replies[2].2, ["s1", "s2"]);
}

#[test]
fn sessions_are_shown_and_shut() {
    let seen = same(|program| {
        let backend = Backend::tcp_echo();
        let text = "listen tunnel\n bind 127.0.0.1:$(tunnel)\n server s1 127.0.0.1:$(a)\n";
        let proxy = program.tcp(text).with("a", backend.port()).start();
        let mut client = proxy.client("tunnel");
        client.send("x");
        client.exact(1);
        let sessions = proxy.cli("show sess");
        let line = sessions.lines().find(|line| line.contains("fe=tunnel")).unwrap_or_default().to_owned();
        let words: Vec<_> = line
            .split(' ')
            .filter(|word| word.contains("fe=") || word.contains("be=") || word.contains("srv="))
            .map(str::to_owned)
            .collect();
        let reply = proxy.cli("shutdown sessions server tunnel/s1");
        (words, reply, client.read_for(Duration::from_millis(500)).1)
    });
    assert_eq!(
        seen,
        (
            vec!["fe=tunnel".to_owned(), "be=tunnel".to_owned(), "srv=s1".to_owned()],
            "\n".to_owned(),
            "closed".to_owned()
        )
    );
}

#[test]
fn help_lists_every_command() {
    let differential::Both { haproxy, hawser } = differential::both(|program| {
        let (proxy, _servers) = nginx(program);
        let text = proxy.cli("help");
        let commands = text.lines().filter_map(|line| line.split_once(" : ")).map(|(command, _)| {
            command.split(['[', '<', '{', '(']).next().unwrap_or_default().trim().to_owned()
        });
        commands.collect::<std::collections::BTreeSet<String>>()
    });
    if let (Some(haproxy), Some(hawser)) = (haproxy, hawser) {
        let everyday = [
            "disable server",
            "enable server",
            "set server",
            "show servers state",
            "show info",
            "show sess",
            "show table",
            "prompt",
            "quit",
        ];
        for command in everyday {
            assert!(
                hawser.iter().any(|listed| listed.starts_with(command)),
                "{command} is missing: {hawser:?}"
            );
            assert!(
                haproxy.iter().any(|listed| listed.starts_with(command)),
                "{command} is not haproxy's: {haproxy:?}"
            );
        }
    }
}
