//! Stick tables exchanged between instances: ours with the real one, in both roles, and what strangers are told.

use std::collections::BTreeMap;
use std::time::Duration;

use differential::{Client, Instance, Launch, Program, ReservedPort, pause, same, wait_until};
use rustix::process::Signal;

use crate::support::get;

/// Two instances, `a` and `b`, on ports known to both.
struct Pair {
    peers: [ReservedPort; 2],
}

const TABLES: &str = "backend counts
    stick-table type string len 40 size 100k expire 10m peers cluster store gpc0,http_req_cnt,http_req_rate(1h),gpt(2)
backend addresses
    stick-table type ip size 1k expire 10m peers cluster store conn_cnt,bytes_in_cnt
backend servers
    stick-table type binary len 8 size 1k expire 10m peers cluster
    stick on path
    server first 127.0.0.1:1
    server second 127.0.0.1:1
frontend web
    bind 127.0.0.1:$(web)
    http-request track-sc0 path table counts
    http-request track-sc1 src table addresses
    http-request sc-inc-gpc0(0)
    http-request sc-set-gpt(1,0) 7 if FALSE
    http-request return status 200
";

impl Pair {
    fn new() -> Pair {
        Pair { peers: [ReservedPort::new(), ReservedPort::new()] }
    }

    fn launch(&self, program: Program, name: &str) -> Launch {
        let text = format!(
            "peers cluster\n peer a 127.0.0.1:$(pa)\n peer b 127.0.0.1:$(pb)\n \
             table own type integer size 100 expire 10m store gpc0\n{TABLES}"
        );
        let launch = program.http(&text).argument("-L").argument(name);
        launch.with("pa", self.peers[0].number()).with("pb", self.peers[1].number())
    }

    fn start(&self, program: Program, name: &str) -> Instance {
        self.launch(program, name).start()
    }
}

/// Key to counters of every entry: what is the same on two instances that have told each other all.
fn contents(proxy: &Instance, table: &str) -> BTreeMap<String, String> {
    let dump = proxy.cli(&format!("show table {table}"));
    let entries = dump.lines().filter_map(|line| line.split_once("key=")).map(|(_, entry)| {
        let (key, rest) = entry.split_once(' ').expect("a key and data");
        let data = rest.split(' ').filter(|word| !word.starts_with("exp=") && !word.starts_with("use="));
        // Rates fade while one looks.
        let data: Vec<_> = data.filter(|word| !word.contains("_rate(")).collect();
        (key.to_owned(), data.join(" "))
    });
    entries.collect()
}

fn wait_for_count(proxy: &Instance, table: &str, count: usize) {
    let what = format!("{count} entries in {table} of {}", proxy.program().name());
    wait_until(&what, || contents(proxy, table).len() == count);
}

/// Requests for `count` paths, twice each, over connections of a hundred.
fn load(port: u16, prefix: &str, count: usize) {
    for block in (0..count).collect::<Vec<_>>().chunks(50) {
        let mut client = Client::connect(port);
        for _ in 0..2 {
            for number in block {
                assert_eq!(client.ask(get(&format!("/{prefix}-{number}"), &[])).status, 200);
            }
        }
    }
}

fn exchange_under_load(ours: &str, theirs: &str) {
    const KEYS: usize = 3_000;
    let pair = Pair::new();
    let hawser = pair.start(Program::Hawser, ours);
    let haproxy = pair.start(Program::Haproxy, theirs);
    std::thread::scope(|scope| {
        scope.spawn(|| load(hawser.port("web"), "ours", KEYS));
        scope.spawn(|| load(haproxy.port("web"), "theirs", KEYS));
    });
    wait_for_count(&haproxy, "counts", 2 * KEYS);
    wait_for_count(&hawser, "counts", 2 * KEYS);
    wait_until("both have the same counters", || contents(&hawser, "counts") == contents(&haproxy, "counts"));
    let counts = contents(&hawser, "counts");
    assert!(counts.values().all(|data| data.contains("gpc0=2") && data.contains("http_req_cnt=2")));
}

#[test]
fn tables_are_exchanged_both_ways_under_load_and_none_is_lost() {
    exchange_under_load("a", "b");
    exchange_under_load("b", "a");
}

#[test]
fn an_instance_that_starts_learns_what_the_other_one_knows() {
    for (teacher, pupil) in [(Program::Haproxy, Program::Hawser), (Program::Hawser, Program::Haproxy)] {
        let pair = Pair::new();
        let teacher = pair.start(teacher, "a");
        load(teacher.port("web"), "known", 500);
        teacher.cli("set table cluster/own key 4711 data.gpc0 9");
        // Until it knows that there is nobody to learn from, its lessons are partial.
        pause(Duration::from_secs(6).as_millis() as u64);
        let pupil = pair.start(pupil, "b");
        wait_for_count(&pupil, "counts", 500);
        for table in ["counts", "addresses", "cluster/own"] {
            assert_eq!(contents(&pupil, table), contents(&teacher, table), "{table}");
        }
        let left = |proxy: &Instance| {
            let dump = proxy.cli("show table cluster/own");
            let digits = dump.split("exp=").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
            digits.and_then(|digits| digits.parse::<i64>().ok()).expect("an expiry")
        };
        // The real one tells all once more when the lesson is over, and without the time.
        if teacher.program() == Program::Hawser {
            let difference = left(&teacher) - left(&pupil);
            assert!(difference.abs() < 1_000, "the time left is told too: {difference} ms apart");
        }
        // And it is known again on the side that forgets.
        let name = teacher.program();
        drop(teacher);
        let teacher = pair.start(name, "a");
        wait_for_count(&teacher, "counts", 500);
        assert_eq!(contents(&teacher, "counts"), contents(&pupil, "counts"));
    }
}

#[test]
fn a_process_that_is_replaced_teaches_its_successor() {
    // Debian's 2.6.12 loses its tables here: the old process never connects to its successor.
    let (pair, web) = (Pair::new(), ReservedPort::new());
    let launch = || pair.launch(Program::Hawser, "a").with("web", web.number());
    let mut old = launch().start();
    load(web.number(), "kept", 300);
    let new = launch().argument("-sf").argument(&old.pid().to_string()).start();
    wait_for_count(&new, "counts", 300);
    wait_until("the old process has ended", || !old.is_running());
    let learned = contents(&new, "counts");
    assert_eq!(learned.len(), 300);
    assert_eq!(learned["/kept-7"], "gpc0=2 http_req_cnt=2 gpt0=0 gpt1=0");
}

#[test]
fn set_table_is_told_and_clear_table_is_not() {
    for (one, other) in [(Program::Haproxy, Program::Hawser), (Program::Hawser, Program::Haproxy)] {
        let pair = Pair::new();
        let (one, other) = (pair.start(one, "a"), pair.start(other, "b"));
        wait_until("they are connected", || other.cli("show peers").contains("remote,active"));
        one.cli("set table counts key k data.gpc0 5");
        wait_for_count(&other, "counts", 1);
        one.cli("set table counts key k data.gpc0 6 data.http_req_cnt 4294967295");
        wait_until("the second one arrives", || {
            contents(&other, "counts")["k"] == "gpc0=6 http_req_cnt=4294967295 gpt0=0 gpt1=0"
        });
        one.cli("clear table counts");
        pause(300);
        assert_eq!((contents(&one, "counts").len(), contents(&other, "counts").len()), (0, 1));
    }
}

#[test]
fn strangers_are_told_the_same_and_a_friend_is_asked() {
    let heard = same(|program| {
        let pair = Pair::new();
        let proxy = pair.start(program, "a");
        let port = pair.peers[0].number();
        let answers = [
            "GET / HTTP/1.1\n\n\n",
            "HAProxyS 1.0\na\nb 1 1\n",
            "HAProxyS 2.1\nx\nb 1 1\n",
            "HAProxyS 2.1\na\nx 1 1\n",
            "HAProxyS 2.1\na\nb\n",
        ]
        .map(|greeting| Client::connect(port).send(greeting).read_to_close());
        let mut friend = Client::connect(port);
        friend.send("HAProxyS 2.1\na\nb 1 1\n");
        let welcome = friend.exact(6);
        drop(proxy);
        (answers, welcome)
    });
    assert_eq!(heard.0[0], "501\n");
    assert_eq!(heard.1, "200\n\0\0");
}

#[test]
fn heartbeats_go_both_ways_and_silence_is_the_end() {
    let pair = Pair::new();
    let (hawser, haproxy) = (pair.start(Program::Hawser, "a"), pair.start(Program::Haproxy, "b"));
    for proxy in [&hawser, &haproxy] {
        let field = |name: &str| {
            let report = proxy.cli("show peers");
            let counters =
                report.lines().find(|line| line.contains(name) && !line.contains(&format!("{name}=0")));
            counters.is_some()
        };
        wait_until("a heartbeat is sent and one heard", || field("tx_hbt") && field("rx_hbt"));
    }
    // A friend that says nothing more is taken for dead.
    drop(haproxy);
    let mut friend = Client::connect(pair.peers[0].number());
    friend.send("HAProxyS 2.1\na\nb 1 1\n");
    let start = std::time::Instant::now();
    let heard = friend.read_to_close();
    assert!(heard.starts_with("200\n") && heard.ends_with("\0\u{4}"), "{heard:?}");
    assert!((4_500..6_500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn show_peers_has_haproxys_lines() {
    let lines = same(|program| {
        let pair = Pair::new();
        let (one, _other) = (pair.start(program, "a"), pair.start(program, "b"));
        wait_until("they are connected", || one.cli("show peers").contains("remote,active"));
        let shape = |text: &str| {
            let names = |line: &str| {
                let words = line.split(' ').filter(|word| !word.is_empty());
                let names = words.map(|word| word.split(['=', ':']).next().unwrap_or_default().to_owned());
                names.filter(|word| !word.starts_with("0x")).collect::<Vec<_>>().join(" ")
            };
            // Who connected to whom is chance.
            let lines =
                text.lines().filter(|line| !line.contains("xprt=") && !line.starts_with("        flags="));
            lines.map(names).collect::<Vec<_>>()
        };
        let of_all = shape(&one.cli("show peers"));
        let unknown = one.cli("show peers nobody");
        let of_one = shape(&one.cli("show peers cluster"));
        let local = of_one.iter().take(3).cloned().collect::<Vec<_>>();
        (of_all.len() > 10, local, unknown)
    });
    assert_eq!(lines.2, "No such peers\n\n");
}

#[test]
fn the_end_of_one_is_noticed_and_it_is_found_again() {
    for (stays, goes) in [(Program::Hawser, Program::Haproxy), (Program::Haproxy, Program::Hawser)] {
        let pair = Pair::new();
        let stays = pair.start(stays, "a");
        let gone = pair.start(goes, "b");
        wait_until("they are connected", || stays.cli("show peers").contains("remote,active"));
        gone.stop(Signal::INT);
        wait_until("the end is noticed", || stays.cli("show peers").contains("remote,inactive"));
        load(stays.port("web"), "meanwhile", 50);
        let back = pair.start(goes, "b");
        wait_for_count(&back, "counts", 50);
    }
}

/// Sections that speak TLS, each as one can write them; the address of the local instance is its `bind` line's, or its own.
fn encrypted(form: &str, local: &str) -> String {
    let other = if local == "a" { ("b", "$(pb)") } else { ("a", "$(pa)") };
    let own = if local == "a" { "$(pa)" } else { "$(pb)" };
    let verified = "ssl ca-file $(lab)/ca.crt verify required";
    match form {
        "lines" => format!(
            "peers cluster\n bind 127.0.0.1:{own} ssl crt $(lab)/a.pem\n default-server {verified}\n \
             server {local}\n server {} 127.0.0.1:{}\n",
            other.0, other.1
        ),
        _ => format!(
            "peers cluster\n default-bind ssl crt $(lab)/a.pem\n default-server {verified}\n \
             peer {local} 127.0.0.1:{own}\n peer {} 127.0.0.1:{}\n",
            other.0, other.1
        ),
    }
}

#[test]
fn tables_are_exchanged_over_tls() {
    for (form, ours, theirs) in [("lines", "a", "b"), ("lines", "b", "a"), ("defaults", "a", "b")] {
        let pair = Pair::new();
        let start = |program: Program, name: &str| {
            let text = format!("{}{TABLES}", encrypted(form, name));
            let launch = program.http(&text).argument("-L").argument(name);
            let launch = launch.with("pa", pair.peers[0].number()).with("pb", pair.peers[1].number());
            launch.with("lab", crate::tls_lab::lab().display()).start()
        };
        let hawser = start(Program::Hawser, ours);
        let haproxy = start(Program::Haproxy, theirs);
        load(hawser.port("web"), "ours", 300);
        load(haproxy.port("web"), "theirs", 300);
        wait_for_count(&haproxy, "counts", 600);
        wait_for_count(&hawser, "counts", 600);
        wait_until("both have the same counters", || {
            contents(&hawser, "counts") == contents(&haproxy, "counts")
        });
        // Who speaks in the clear is not understood.
        let own = pair.peers[usize::from(ours == "b")].number();
        let mut stranger = Client::connect(own);
        stranger.send(format!("HAProxyS 2.1\n{ours}\n{theirs} 1 1\n"));
        let (heard, _end) = stranger.read_for(Duration::from_millis(500));
        assert!(!heard.starts_with("200"), "{heard:?}");
    }
}

/// A certificate that the authority did not sign ends the handshake: nothing is told.
#[test]
fn peers_that_cannot_prove_who_they_are_are_told_nothing() {
    let pair = Pair::new();
    let start = |name: &str, certificate: &str| {
        let text = format!("{}{TABLES}", encrypted("lines", name)).replace("a.pem", certificate);
        let launch = Program::Hawser.http(&text).argument("-L").argument(name);
        let launch = launch.with("pa", pair.peers[0].number()).with("pb", pair.peers[1].number());
        launch.with("lab", crate::tls_lab::lab().display()).start()
    };
    let (one, other) = (start("a", "self.pem"), start("b", "self.pem"));
    load(one.port("web"), "secret", 20);
    wait_until("both have tried", || {
        [&one, &other].iter().all(|proxy| proxy.cli("show peers").contains("reconnect="))
    });
    pause(500);
    assert_eq!(contents(&other, "counts").len(), 0);
}

/// A reload inside the process: tables stay, the session with the real one goes on, and what changes meanwhile is told.
#[test]
fn a_reload_inside_the_process_loses_no_update() {
    const KEYS: usize = 1_000;
    let pair = Pair::new();
    let hawser = pair.start(Program::Hawser, "a");
    let haproxy = pair.start(Program::Haproxy, "b");
    load(hawser.port("web"), "before", 100);
    wait_for_count(&haproxy, "counts", 100);
    let sessions = |proxy: &Instance| {
        let text = proxy.cli("show peers");
        let counts =
            text.split("new_conn=").skip(1).map(|rest| rest.split(' ').next().unwrap_or_default().to_owned());
        counts.collect::<Vec<_>>()
    };
    let before = sessions(&hawser);
    let file = hawser.folder().join("test.cfg");
    let text = std::fs::read_to_string(&file).expect("its configuration");
    std::thread::scope(|scope| {
        scope.spawn(|| load(hawser.port("web"), "ours", KEYS));
        scope.spawn(|| load(haproxy.port("web"), "theirs", KEYS));
        for number in 0..5 {
            // Something else changes each time.
            let more = format!("{text}backend more{number}\n server s 127.0.0.1:1\n");
            std::fs::write(&file, more).expect("the configuration is written");
            let answer = hawser.cli("reload");
            assert!(answer.starts_with("Success=1"), "{answer}");
            pause(100);
        }
    });
    wait_for_count(&haproxy, "counts", 100 + 2 * KEYS);
    wait_for_count(&hawser, "counts", 100 + 2 * KEYS);
    wait_until("both have the same counters", || contents(&hawser, "counts") == contents(&haproxy, "counts"));
    assert!(
        contents(&hawser, "counts").values().all(|data| data.contains("gpc0=2")),
        "nothing was counted twice"
    );
    assert_eq!(sessions(&hawser), before, "the session went on");
}

/// The other instance goes away and comes back between two reloads: the session is made again, and nothing is missing.
#[test]
fn a_session_is_made_again_after_a_reload() {
    let pair = Pair::new();
    let hawser = pair.start(Program::Hawser, "a");
    let haproxy = pair.start(Program::Haproxy, "b");
    load(hawser.port("web"), "one", 50);
    wait_for_count(&haproxy, "counts", 50);
    haproxy.stop(Signal::TERM);
    assert!(hawser.cli("reload").starts_with("Success=1"));
    load(hawser.port("web"), "two", 50);
    let back = pair.start(Program::Haproxy, "b");
    wait_for_count(&back, "counts", 100);
    assert!(hawser.cli("reload").starts_with("Success=1"));
    load(back.port("web"), "three", 50);
    wait_for_count(&hawser, "counts", 150);
    wait_until("both have the same counters", || contents(&hawser, "counts") == contents(&back, "counts"));
}
