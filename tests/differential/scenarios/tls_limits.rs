//! How many TLS connections there may be, and how long a handshake may take.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use differential::{Backend, Client, Instance, Program, pause, same, wait_until};

use crate::tls_lab::{curl, lab, start};

/// A number of `show info`.
fn info(proxy: &Instance, name: &str) -> u32 {
    let text = proxy.cli("show info");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.and_then(|number| number.parse().ok()).expect("a number")
}

// row: 58
#[test]
fn connections_to_clients_and_to_servers_count_against_maxsslconn() {
    let (answers, line) = same(|program| {
        let far = start(
            Program::Hawser,
            "listen far\n bind 127.0.0.1:$(far) ssl crt $(lab)/a.pem\n http-request return status 200\n",
        );
        let text = "global\n maxsslconn 1\nlisten web\n bind 127.0.0.1:$(plain)\n bind 127.0.0.1:$(tls) ssl crt $(lab)/a.pem\n \
                    log 127.0.0.1:$(log) local0\n option httplog\n retries 0\n server s1 127.0.0.1:$(far) ssl verify none pool-purge-delay 300ms\n";
        let proxy = program.http(text).with("lab", lab().display()).with("far", far.port("far")).start();
        let port = proxy.port("tls");
        let mut answers = Vec::new();
        let first = proxy.get("plain", "/first").status;
        answers.push((u32::from(first), info(&proxy, "CurrSslConns"), info(&proxy, "MaxSslConns")));
        // The connection to the server idles, and has the place.
        let (_, code) = curl(port, "a.example", "/refused", &["--max-time", "3"]);
        answers.push((u32::from(code == 0), 0, 0));
        wait_until("the idle connection to go", || info(&proxy, "CurrSslConns") == 0);
        // A client has the place now: there is none for the server.
        let held = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut held = held.expect("openssl");
        wait_until("the client", || info(&proxy, "CurrSslConns") == 1);
        answers.push((u32::from(proxy.get("plain", "/second").status), info(&proxy, "CurrSslConns"), 0));
        held.kill().expect("it runs");
        held.wait().expect("it ran");
        wait_until("the client to go", || info(&proxy, "CurrSslConns") == 0);
        let (_, code) = curl(port, "a.example", "/both", &["--http1.1"]);
        answers.push((u32::from(code == 0), 0, 0));
        (answers, crate::support::traffic_line(&proxy, "/second"))
    });
    assert_eq!(answers[0], (200, 1, 1));
    assert!(line.contains(" 500 "), "{line}");
}

/// A ClientHello that ends too early for a handshake.
const HELLO_BEGINS: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// Connects, and sends a byte of a hello each time it is asked.
struct Slow {
    client: Client,
    sent: usize,
}

impl Slow {
    fn connect(proxy: &Instance, name: &str) -> Self {
        Self { client: proxy.client(name), sent: 0 }
    }

    fn dribble(&mut self) {
        let byte = HELLO_BEGINS.get(self.sent).copied().unwrap_or(0);
        // A proxy that has closed meanwhile is seen at the next read.
        let _ = self.client.try_send([byte]);
        self.sent += 1;
    }
}

#[test]
fn a_slow_handshake_ends_by_the_clients_timeouts_however_it_dribbles() {
    let ends = same(|program| {
        ["timeout client 900ms", "timeout client 3s\n timeout http-request 900ms"].map(|timeouts| {
            let proxy = program
                .http(&format!(
                    "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem\n log 127.0.0.1:$(log) local0\n \
                     option httplog\n {timeouts}\n http-request return status 200\n"
                ))
                .with("lab", lab().display())
                .start();
            let begun = Instant::now();
            let mut slow = Slow::connect(&proxy, "web");
            let mut silent = proxy.client("web");
            let dribbled = loop {
                slow.dribble();
                if slow.client.read_for(Duration::from_millis(100)).1 != "open" {
                    break begun.elapsed();
                }
                if begun.elapsed() > Duration::from_secs(8) {
                    break begun.elapsed();
                }
            };
            silent.read_for(Duration::from_secs(4));
            let lines = proxy.log().wait_for(2, |line| line.contains("during SSL handshake"));
            let in_time = |time: Duration| time < Duration::from_millis(1_800);
            (timeouts, timeouts.starts_with("timeout client 3s") || in_time(dribbled), lines.len())
        })
    });
    assert!(ends.iter().all(|(_, in_time, lines)| *in_time && *lines == 2), "{ends:?}");
}

#[test]
fn slow_handshakes_take_the_places_of_their_bound_and_no_more() {
    const PLACES: u32 = 20;
    let backend = Backend::named("s1");
    let text = format!(
        "global\n maxsslconn {PLACES}\nlisten web\n bind 127.0.0.1:$(plain)\n bind 127.0.0.1:$(tls) ssl crt $(lab)/a.pem\n \
         timeout client 2s\n timeout http-request 1500ms\n log 127.0.0.1:$(log) local0\n server s1 127.0.0.1:$(s1)\n"
    );
    let proxy = Program::Hawser.http(&text).with("lab", lab().display()).with("s1", backend.port()).start();
    let before = memory(&proxy);
    let mut slow: Vec<Slow> = (0..200).map(|_| Slow::connect(&proxy, "tls")).collect();
    slow.iter_mut().for_each(Slow::dribble);
    wait_until("all places to be taken", || info(&proxy, "CurrSslConns") == PLACES);
    // Who is above the bound is let go at once; in the clear there is room.
    let refused = slow.iter_mut().filter_map(|slow| {
        let end = slow.client.read_for(Duration::from_millis(20)).1;
        (end != "open").then_some(())
    });
    assert_eq!(refused.count(), 200 - PLACES as usize);
    assert_ne!(curl(proxy.port("tls"), "a.example", "/", &[]).1, 0);
    assert_eq!(proxy.get("plain", "/").status, 200);
    let grown = memory(&proxy).saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes for {PLACES} handshakes");
    // And those that hold places lose them in time, though they send on.
    let begun = Instant::now();
    while info(&proxy, "CurrSslConns") > 0 {
        slow.iter_mut().for_each(Slow::dribble);
        pause(100);
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
    assert_eq!(curl(proxy.port("tls"), "a.example", "/", &[]).1, 0);
}

#[test]
fn who_comes_above_the_binds_maxconn_waits_for_slow_handshakes_to_end() {
    let proxy = start(
        Program::Hawser,
        "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem maxconn 5\n timeout client 1s\n http-request return status 200\n",
    );
    let mut slow: Vec<Slow> = (0..5).map(|_| Slow::connect(&proxy, "web")).collect();
    slow.iter_mut().for_each(Slow::dribble);
    wait_until("five connections", || info(&proxy, "CurrSslConns") == 5);
    let begun = Instant::now();
    assert_eq!(curl(proxy.port("web"), "a.example", "/", &[]).1, 0);
    let waited = begun.elapsed();
    assert!((400..3_000).contains(&waited.as_millis()), "{waited:?}");
}

/// Bytes that the proxy holds.
fn memory(proxy: &Instance) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}
