//! Every algorithm, by the servers that real requests reach.

use std::collections::BTreeMap;

use differential::{Backend, Instance, Launch, Program, Reply, pause, same};

use crate::support::get;

/// Servers of one backend and the configuration lines for them.
struct Farm {
    servers: Vec<Backend>,
}

impl Farm {
    /// One server `s1`, `s2` … that answers its name for each weight.
    fn new(count: usize) -> Self {
        Self { servers: (1..=count).map(|number| Backend::named(&format!("s{number}"))).collect() }
    }

    /// `server` lines, each with its own options.
    fn lines(&self, options: &[&str]) -> String {
        let line = |(position, (server, options)): (usize, (&Backend, &&str))| {
            format!(" server s{} 127.0.0.1:{} {options}\n", position + 1, server.port())
        };
        self.servers.iter().zip(options).enumerate().map(line).collect()
    }
}

fn farm(program: Program, lines: &str, options: &[&str]) -> (Instance, Farm) {
    let farm = Farm::new(options.len());
    let text = format!("listen web\n bind 127.0.0.1:$(web)\n{lines}\n{}", farm.lines(options));
    (program.http(&text).start(), farm)
}

fn digits(served: &[String]) -> String {
    served.iter().map(|name| name.trim_start_matches('s')).collect()
}

// row: 115, 117, 118, 100, 101, 116
#[test]
fn round_robins_and_first_take_servers_in_haproxys_order() {
    let cases: [(&str, &[&str]); 13] = [
        ("", &["", ""]),
        ("balance roundrobin", &["weight 2", "weight 1"]),
        ("balance roundrobin", &["weight 3", "weight 2", "weight 1"]),
        ("balance roundrobin", &["weight 10", "weight 30", "weight 7"]),
        ("balance roundrobin", &["weight 256", "weight 1"]),
        ("balance roundrobin", &["weight 0", "weight 1"]),
        ("balance static-rr", &["weight 2", "weight 1"]),
        ("balance static-rr", &["weight 3", "weight 2", "weight 1"]),
        ("balance static-rr", &["weight 5", "weight 0", "weight 3"]),
        ("balance first", &["", "", ""]),
        ("balance first", &["id 3", "id 2", "id 1"]),
        ("balance leastconn", &["weight 1", "weight 1", "weight 1"]),
        ("balance leastconn", &["weight 3", "weight 1", "weight 2"]),
    ];
    let orders = same(|program| {
        cases.map(|(lines, options)| {
            let (proxy, _farm) = farm(program, lines, options);
            (lines, options, digits(&proxy.served_by("web", 18)))
        })
    });
    assert_eq!(orders[0].2, "121212121212121212");
    assert_eq!(orders[5].2, "2".repeat(18));
}

// row: 119, 116, 105
#[test]
fn held_requests_steer_leastconn_and_first() {
    let cases: [(&str, &[&str]); 4] = [
        ("balance leastconn", &["", "", ""]),
        ("balance leastconn", &["weight 1", "weight 2", "weight 3"]),
        ("balance first", &["maxconn 2", "maxconn 1", "maxconn 4"]),
        ("balance roundrobin", &["maxconn 1", "maxconn 2", "maxconn 3"]),
    ];
    let orders = same(|program| {
        cases.map(|(lines, options)| {
            let servers: Vec<Backend> = (1..=options.len())
                .map(|number| Backend::http(move |_| Reply::ok(&format!("s{number}")).after(1_200)))
                .collect();
            let farm = Farm { servers };
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n {lines}\n{}", farm.lines(options));
            let proxy = program.http(&text).start();
            let mut clients = Vec::new();
            for _ in 0..6 {
                let mut client = proxy.client("web");
                client.send(get("/", &[]));
                clients.push(client);
                // One after the other: the order of arrival is the scenario.
                pause(30);
            }
            clients.iter_mut().map(|client| client.response().body).collect::<String>()
        })
    });
    assert_eq!(orders[2], "s1s1s2s3s3s3");
}

/// Where requests with these targets and headers go.
fn placement(program: Program, lines: &str, requests: &[String]) -> String {
    let (proxy, _farm) = farm(program, lines, &["weight 1", "weight 2", "weight 1", "weight 5"]);
    let bodies: Vec<_> = requests.iter().map(|request| proxy.client("web").ask(request).body).collect();
    digits(&bodies)
}

fn gets(targets: impl IntoIterator<Item = String>) -> Vec<String> {
    targets.into_iter().map(|target| get(&target, &[])).collect()
}

// row: 120, 121, 122, 123, 124, 125, 127, 140
#[test]
fn uri_hashes_place_every_target_where_haproxy_does() {
    let targets = (0..24).map(|number| match number % 4 {
        0 => format!("/item/{number}"),
        1 => format!("/item/{}?session={number}", number / 8),
        2 => format!("/a/b/c/d/{number}/e?f=g"),
        _ => format!("http://host{number}.example/x"),
    });
    let requests = gets(targets);
    let types = [
        "",
        "hash-type map-based",
        "hash-type consistent",
        "hash-type consistent djb2 avalanche",
        "hash-type consistent wt6",
        "hash-type consistent crc32",
        "hash-type map-based sdbm avalanche",
        "hash-type map-based djb2",
        "hash-type map-based wt6 avalanche",
        "hash-type map-based crc32",
    ];
    let options = ["", " len 6", " depth 2", " whole", " path-only", " depth 3 len 9"];
    let placements = same(|program| {
        let by_type = types.map(|kind| {
            let lines = format!(" balance uri\n {kind}");
            (kind, placement(program, &lines, &requests))
        });
        let by_option = options.map(|option| {
            let lines = format!(" balance uri{option}\n hash-type consistent");
            (option, placement(program, &lines, &requests))
        });
        (by_type, by_option)
    });
    let distinct: std::collections::BTreeSet<_> = placements.0.iter().map(|(_, order)| order).collect();
    assert!(distinct.len() >= 8, "hash types differ: {placements:?}");
}

// row: 125
#[test]
fn uri_ignores_the_query() {
    let served = same(|program| {
        let requests = gets((0..6).map(|number| format!("/a?x={number}")));
        placement(program, " balance uri\n hash-type consistent", &requests)
    });
    assert_eq!(served.chars().collect::<std::collections::BTreeSet<_>>().len(), 1);
}

// row: 128, 129, 131, 132, 137, 139
#[test]
fn keys_of_requests_place_them_where_haproxy_does() {
    let with_parameter =
        gets(["a", "b", "c", "d", "e", "user-17", "%41"].map(|key| format!("/x?y=1&name={key}")));
    let without = gets(["/x", "/x?name", "/x?name=", "/x?names=a", "/x?a;name=b"].map(str::to_owned));
    let posts: Vec<String> = ["a", "b", "c", "longer-key"]
        .iter()
        .flat_map(|key| {
            let body = format!("first=1&name={key}&last=2");
            let head = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n";
            let length = body.len();
            let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
            [
                format!("{head}Content-Length: {length}\r\n\r\n{body}"),
                format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}"),
            ]
        })
        .collect();
    let headers: Vec<String> = ["Mozilla/5.0", "curl/8.0", "", "wget", "Mozilla/5.0", "x"]
        .iter()
        .map(|agent| get("/", &[&format!("User-Agent: {agent}"), "Cookie: clientid=7"]))
        .collect();
    // Shortest first: haproxy looks in front of a name with one dot, where a longer name before it left its bytes.
    let hosts: Vec<String> =
        ["example.com", "www.example.com", "a.b.example.org:8080", "localhost", "10.0.0.1"]
            .iter()
            .map(|host| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .collect();
    let cookies: Vec<String> = ["1", "2", "three", ""]
        .iter()
        .map(|id| get("/", &[&format!("Cookie: a=b; clientid={id}")]))
        .collect();
    let cases = [
        ("balance url_param name", &with_parameter),
        ("balance url_param name\n hash-type consistent", &with_parameter),
        ("balance url_param name", &without),
        ("balance url_param name check_post", &posts),
        ("balance url_param name check_post 64", &posts),
        ("balance url_param name", &posts),
        ("balance hdr(User-Agent)", &headers),
        ("balance hdr(user-agent)\n hash-type consistent", &headers),
        ("balance hdr(X-Absent)", &headers),
        ("balance hdr(host)", &hosts),
        ("balance hdr(host) use_domain_only", &hosts),
        ("balance hash req.cook(clientid)\n hash-type consistent", &cookies),
        ("balance hash req.cook(clientid)", &cookies),
        ("balance hash path,lower", &with_parameter),
        ("balance source", &with_parameter),
        ("balance source\n hash-type consistent", &with_parameter),
    ];
    let placements = same(|program| {
        cases.map(|(lines, requests)| (lines, placement(program, &format!(" {lines}"), requests)))
    });
    let sources = placements[14].1.chars().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sources.len(), 1, "one client, one server");
}

// row: 128
#[test]
fn two_servers_take_the_keys_measured_once() {
    let served = same(|program| {
        let (proxy, _farm) = farm(program, " balance url_param name\n hash-type consistent", &["", ""]);
        let keys = ["a", "b", "c", "d", "e"];
        keys.map(|key| proxy.get("web", &format!("/?name={key}")).body).concat()
    });
    assert_eq!(served, "s1s2s1s1s1");
}

// row: 120
#[test]
fn source_hash_places_client_addresses_where_haproxy_does() {
    let served = same(|program| {
        [
            "",
            "hash-type consistent",
            "hash-type consistent sdbm avalanche",
            "hash-type map-based wt6 avalanche",
        ]
        .map(|kind| {
            let (proxy, _farm) = {
                let farm = Farm::new(4);
                let options = ["", "weight 2", "", "weight 5"];
                let text = format!(
                    "listen web\n bind 127.0.0.1:$(web) accept-proxy\n balance source\n {kind}\n{}",
                    farm.lines(&options)
                );
                (program.http(&text).start(), farm)
            };
            let clients = [
                "10.0.0.1",
                "10.0.0.2",
                "192.168.7.44",
                "203.0.113.255",
                "1.2.3.4",
                "fe80::1",
                "2001:db8::7",
            ];
            clients.map(|address| {
                let (family, local) =
                    if address.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
                let header = format!("PROXY {family} {address} {local} 4242 80\r\n");
                proxy.client("web").ask(header + &get("/", &[])).body
            })
        })
    });
    assert_eq!(served.len(), 4);
}

// row: 122, 141
#[test]
fn a_server_that_goes_takes_its_keys_and_gets_them_back() {
    for kind in ["hash-type consistent", "hash-type map-based"] {
        let [before, during, after] = same(|program| {
            let (proxy, _farm) = farm(program, &format!(" balance uri\n {kind}"), &["", "", ""]);
            let round = || (0..20).map(|n| proxy.get("web", &format!("/k{n}")).body).collect::<Vec<_>>();
            let before = round();
            proxy.cli("disable server web/s2");
            let during = round();
            proxy.cli("enable server web/s2");
            [before, during, round()].map(|served| digits(&served))
        });
        assert_eq!(before, after);
        assert!(!during.contains('2'));
        if kind.contains("consistent") {
            let moved =
                before.chars().zip(during.chars()).filter(|(old, new)| *old != '2' && old != new).count();
            assert_eq!(moved, 0, "only the keys of s2 move");
        }
    }
}

// row: 138
#[test]
fn hash_balance_factor_bounds_the_load_of_a_hot_key() {
    let served = same(|program| {
        [0, 150].map(|factor| {
            let servers: Vec<Backend> =
                (1..=3).map(|number| Backend::http(move |_| Reply::ok(&format!("s{number}")).after(900))).collect();
            let farm = Farm { servers };
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n balance uri\n hash-type consistent\n hash-balance-factor {factor}\n{}",
                farm.lines(&["", "", ""])
            );
            let proxy = program.http(&text).start();
            let mut clients = Vec::new();
            for _ in 0..6 {
                let mut client = proxy.client("web");
                client.send(get("/hot", &[]));
                clients.push(client);
                pause(30);
            }
            clients.iter_mut().map(|client| client.response().body).collect::<String>()
        })
    });
    let spread = |served: &str| served.split('s').collect::<std::collections::BTreeSet<_>>().len() - 1;
    assert_eq!(spread(&served[0]), 1);
    assert!(spread(&served[1]) > 1, "{served:?}");
}

// row: 136
#[test]
fn random_spreads_by_weight() {
    let differential::Both { haproxy, hawser } = differential::both(|program| {
        ["balance random", "balance random(1)", "balance random(5)"].map(|lines| {
            let (proxy, _farm) = farm(program, lines, &["weight 30", "weight 10", "weight 0"]);
            let mut counts = BTreeMap::new();
            let mut client = proxy.client("web");
            for _ in 0..200 {
                *counts.entry(client.ask(get("/", &[])).body).or_insert(0) += 1;
            }
            counts
        })
    });
    for counts in [haproxy, hawser].into_iter().flatten().flatten() {
        assert!(!counts.contains_key("s3"), "{counts:?}");
        assert!(counts["s1"] > counts["s2"] && counts["s2"] > 5, "{counts:?}");
    }
}

// row: 126, 130
#[test]
fn layer_7_hashes_fall_back_to_round_robin_in_tcp_mode_with_a_warning() {
    let results = same(|program| {
        ["uri", "url_param name", "hdr(host)"].map(|algorithm| {
            let farm = Farm::new(2);
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web)\n balance {algorithm}\n{}",
                farm.lines(&["", ""])
            );
            let checked = program.tcp(&text).check();
            let served = program.tcp(&text).start().served_by("web", 4);
            let text =
                "Layer 7 hash not possible for proxy 'web' (needs 'mode http'). Falling back to round robin.";
            (algorithm, checked.code, checked.stderr.contains(text), digits(&served))
        })
    });
    assert_eq!(results[0], ("uri", 0, true, "1212".to_owned()));
}

// row: 133, 79
#[test]
fn rdp_cookies_hash_the_user() {
    let served = same(|program| {
        let rdp = |user: &str| {
            // TPKT and X.224 connection request around the cookie line.
            let cookie = format!("Cookie: mstshash={user}\r\n");
            let length = u8::try_from(cookie.len() + 11).expect("a short cookie");
            let mut packet = vec![3, 0, 0, length, length - 5, 0xe0, 0, 0, 0, 0, 0];
            packet.extend(cookie.bytes());
            packet
        };
        ["", "hash-type consistent"].map(|kind| {
            let servers: Vec<Backend> = (1..=3)
                .map(|number| {
                    Backend::raw(move |connection, _| {
                        connection.until(b"\r\n")?;
                        connection.send(format!("s{number}"))
                    })
                })
                .collect();
            let farm = Farm { servers };
            let text = format!(
                "listen rdp\n bind 127.0.0.1:$(rdp)\n balance rdp-cookie\n {kind}\n tcp-request inspect-delay 2s\n \
                 tcp-request content accept if RDP_COOKIE\n{}",
                farm.lines(&["", "", ""])
            );
            let proxy = program.tcp(&text).start();
            ["alice", "bob", "carol", "dave", "alice", "bob"]
                .map(|user| proxy.client("rdp").send(rdp(user)).read_to_close())
                .concat()
        })
    });
    assert_eq!(served[0][0..2], served[0][8..10], "the same user, the same server");
}

// row: 139
#[test]
fn requests_without_a_key_are_counted_once_each() {
    let exporter = " http-request use-service prometheus-exporter if { path /metrics }\n";
    let lines = format!("{exporter} balance url_param id\n");
    let (proxy, _farm) = farm(Program::Hawser, &lines, &["", "", ""]);
    let counted = |proxy: &Instance| {
        let body = proxy.get("web", "/metrics?scope=backend").body;
        let line = body.lines().find_map(|line| line.strip_prefix("hawser_backend_keyless_requests_total"));
        line.map(str::to_owned)
    };
    assert_eq!(counted(&proxy).as_deref(), Some("{proxy=\"web\"} 0"));
    for target in ["/?id=a", "/", "/?ID=b", "/?id=b", "/x"] {
        assert_eq!(proxy.get("web", target).status, 200);
    }
    assert_eq!(counted(&proxy).as_deref(), Some("{proxy=\"web\"} 3"));
    proxy.cli("clear counters all");
    assert_eq!(counted(&proxy).as_deref(), Some("{proxy=\"web\"} 0"));
    // Who takes turns by his own choice misses no key.
    let (proxy, _farm) = farm(Program::Hawser, &format!("{exporter} balance roundrobin\n"), &[""]);
    proxy.get("web", "/");
    assert_eq!(counted(&proxy), None);
}

// row: 134, 115, 120
#[test]
fn weights_change_at_run_time_where_the_algorithm_allows_it() {
    let algorithms = [
        "balance roundrobin",
        "balance static-rr",
        "balance leastconn",
        "balance source",
        "balance source\n hash-type consistent",
        "balance first",
        "balance random",
        "balance uri",
    ];
    let commands = [
        "set weight web/s1 50%",
        "get weight web/s1",
        "set weight web/s1 0",
        "get weight web/s1",
        "set weight web/s1 0%",
        "set weight web/s1 100%",
        "set server web/s1 weight 3",
        "get weight web/s1",
        "set server web/s1 weight 300",
        "set weight web/s1 -1",
        "set weight web/s1 101%",
        "set weight web/s1 1000%",
        "set weight web/s1 x",
        "set weight web/s1",
        "get weight web/nobody",
        "set weight nobody/s1 1",
    ];
    let replies = same(|program| {
        algorithms.map(|algorithm| {
            let (proxy, _farm) = farm(program, &format!(" {algorithm}"), &["weight 1", "weight 4"]);
            let replies = commands.map(|command| (command, proxy.cli(command)));
            (algorithm, replies.to_vec())
        })
    });
    assert_eq!(replies[0].1[1].1, "0 (initial 1)\n\n");
}

// row: 134, 117
#[test]
fn traffic_follows_a_weight_set_at_run_time() {
    let served = same(|program| {
        let (proxy, _farm) = farm(program, " balance roundrobin", &["weight 10", "weight 10"]);
        let before = digits(&proxy.served_by("web", 6));
        proxy.cli("set server web/s1 weight 20");
        let heavier = digits(&proxy.served_by("web", 9));
        proxy.cli("set server web/s1 weight 0%");
        [before, heavier, digits(&proxy.served_by("web", 4))]
    });
    assert_eq!(served[2], "2222");
}

// row: 112
#[test]
fn roundrobin_refuses_nothing_below_4095_servers_and_static_rr_above() {
    let results = same(|program: Program| {
        [("roundrobin", 4_095), ("roundrobin", 4_096), ("static-rr", 4_100)].map(|(algorithm, count)| {
            let servers: String =
                (0..count).map(|number| format!(" server s{number} 127.0.0.1:1\n")).collect();
            let launch: Launch =
                program.http(&format!("listen web\n bind 127.0.0.1:$(web)\n balance {algorithm}\n{servers}"));
            let exit = launch.check();
            (algorithm, count, exit.code)
        })
    });
    assert_eq!(results[0].2, 0);
}

// row: 123
#[test]
fn hash_types_and_algorithms_are_checked_at_load() {
    let cases = [
        "balance uri\n hash-type avalanche",
        "balance uri\n hash-type consistent djb2 avalanche",
        "balance uri\n hash-type map-based md5",
        "balance nothing",
        "balance url_param",
        "balance hdr()",
        "balance hash",
        "balance hash req.cookie(clientid)",
        "balance random(0)",
        "balance random(x)",
        "balance random(3)",
        "balance rdp-cookie(name)",
        "balance uri len",
        "balance uri depth x",
        "hash-balance-factor 50",
        "hash-balance-factor 101",
    ];
    let codes = same(|program| {
        cases.map(|lines| {
            let text = format!("listen web\n bind 127.0.0.1:$(web)\n {lines}\n server s1 127.0.0.1:1\n");
            (lines, program.http(&text).check().code)
        })
    });
    assert_eq!(codes[0].1, 1);
    assert_eq!(codes[1].1, 0);
}
