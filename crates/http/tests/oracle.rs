//! Plays every case of `tests/vectors/http1` through the real haproxy and compares with what is recorded.
//!
//! Needs haproxy 2.6 in the path (Debian 12's package). To record anew after adding cases:
//! `HAWSER_RECORD=1 cargo test -p hawser-http --test oracle`. Without haproxy the test fails, unless
//! `HAWSER_ORACLE=off` says that this machine has none; `tests/verdicts.rs` needs only the recordings.

mod vectors;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vectors::{Case, Outcome};

/// Pairs of listener and server: cases run that many at a time.
const LANES: usize = 32;
/// What a case is played with, times the pace of the try.
mod times {
    use std::time::Duration;

    /// A server takes a message as whole after that much silence.
    pub const SERVER_QUIET: Duration = Duration::from_millis(120);
    /// A server closes that long after it has answered with a case's bytes.
    pub const SERVER_LINGER: Duration = Duration::from_millis(150);
    /// The client stops listening after that much silence.
    pub const CLIENT_QUIET: Duration = Duration::from_millis(450);
    /// HAProxy's `timeout http-request`, below `CLIENT_PATIENCE`.
    pub const HEAD_TIMEOUT: Duration = Duration::from_millis(500);
    /// How long the client waits for the first byte.
    pub const CLIENT_PATIENCE: Duration = Duration::from_millis(1500);
    /// HAProxy's other timeouts.
    pub const PROXY_PATIENCE: Duration = Duration::from_secs(3);
}
/// What differs in the crowd is played again alone, all times so many fold: a slow machine differs at the first pace,
/// a wrong answer at every one.
const PACES_ALONE: [u32; 4] = [1, 2, 4, 8];
/// More that differ alone are no matter of pace: the slower ones are not played.
const SLOW_MAX: usize = 60;
/// Ports that were free may be taken when HAProxy binds them: so often it starts anew with others.
const STARTS: usize = 5;
/// How long HAProxy may take until it listens.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Cases on which HAProxy changes its mind from one run to the next (its trailer parser looks at an option that was
/// never set): recorded as the strict answer, and not compared.
const UNSTEADY: &[&str] = &[
    "chunk: trailer with bad name",
    "chunk: trailer with space before the colon",
    "chunk: trailer folded first",
];

struct Oracle(Child);

impl Drop for Oracle {
    fn drop(&mut self) {
        // Errors mean that it has gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the server of a lane does with the connections of the current case.
#[derive(Clone)]
struct Script {
    /// Bytes to answer with before closing; None: `200` with no body, and on.
    answer: Option<Vec<u8>>,
    pace: u32,
    captured: Arc<Mutex<Vec<Vec<u8>>>>,
}

struct Lane {
    port: u16,
    tolerant_port: u16,
    script: Arc<Mutex<Script>>,
}

/// Ports that were free a moment ago, all different (HAProxy shares a port silently when two of its own clash).
fn free_ports(count: usize) -> Vec<u16> {
    let bind = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listeners: Vec<TcpListener> = std::iter::repeat_with(bind).take(count).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("a bound address").port()).collect()
}

/// A running HAProxy with so many lanes, whose timeouts are `pace` fold.
fn start(name: &str, lanes: usize, pace: u32) -> (Oracle, Vec<Lane>) {
    let started = (0..STARTS).find_map(|_| try_start(name, lanes, pace));
    started.unwrap_or_else(|| panic!("haproxy did not start {STARTS} times, each on ports that were free"))
}

/// The same; None when HAProxy ended, as it does when one of its ports was taken meanwhile.
fn try_start(name: &str, count: usize, pace: u32) -> Option<(Oracle, Vec<Lane>)> {
    let patience = (times::PROXY_PATIENCE * pace).as_millis();
    let head = (times::HEAD_TIMEOUT * pace).as_millis();
    let mut config = format!(
        "global\n maxconn 400\n nbthread 1\ndefaults\n mode http\n timeout connect {patience}\n \
         timeout client {patience}\n timeout server {patience}\n timeout http-request {head}\n \
         timeout http-keep-alive {patience}\n http-reuse never\n"
    );
    let bind = || TcpListener::bind("127.0.0.1:0").expect("a port for the server");
    let servers: Vec<TcpListener> = std::iter::repeat_with(bind).take(count).collect();
    let ports = free_ports(2 * count);
    let mut lanes = Vec::new();
    for (index, server) in servers.into_iter().enumerate() {
        let server_port = server.local_addr().expect("a bound address").port();
        let (port, tolerant_port) = (ports[2 * index], ports[2 * index + 1]);
        for (kind, port) in [("strict", port), ("tolerant", tolerant_port)] {
            config += &format!("listen {kind}{index}\n bind 127.0.0.1:{port}\n");
            if kind == "tolerant" {
                config += " option accept-invalid-http-request\n option accept-invalid-http-response\n";
            }
            config += &format!(" server s 127.0.0.1:{server_port} pool-max-conn 0\n");
        }
        let script = Arc::new(Mutex::new(Script { answer: None, pace, captured: Arc::default() }));
        let for_server = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in server.incoming().flatten() {
                let script = for_server.lock().unwrap().clone();
                std::thread::spawn(move || serve(stream, &script));
            }
        });
        lanes.push(Lane { port, tolerant_port, script });
    }
    let file = std::env::temp_dir().join(format!("hawser-oracle-{}-{name}.cfg", std::process::id()));
    std::fs::write(&file, config).expect("a configuration file");
    let child = Command::new("haproxy")
        .args(["-db", "-q", "-f"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("haproxy starts");
    let mut oracle = Oracle(child);
    let deadline = Instant::now() + START_PATIENCE;
    for lane in &lanes {
        // A port that another process took answers too: whether HAProxy runs is asked behind the last one again.
        while TcpStream::connect(("127.0.0.1", lane.tolerant_port)).is_err() {
            if oracle.0.try_wait().expect("a child of ours").is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "haproxy does not listen after {START_PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let _ = std::fs::remove_file(file);
    let runs = oracle.0.try_wait().expect("a child of ours").is_none();
    runs.then_some((oracle, lanes))
}

/// One connection to a lane's server.
fn serve(mut stream: TcpStream, script: &Script) {
    let mut message = Vec::new();
    let mut piece = [0; 65536];
    stream.set_read_timeout(Some(times::SERVER_QUIET * script.pace)).expect("a timeout");
    // Bounded by the client's patience: HAProxy closes this connection with the client's.
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => message.extend_from_slice(&piece[..length]),
            Err(_) if message.is_empty() => {}
            Err(_) => {
                script.captured.lock().unwrap().push(std::mem::take(&mut message));
                // A write fails when HAProxy has given up: that is part of the case.
                match &script.answer {
                    None => drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
                    Some(answer) => {
                        let _ = stream.write_all(answer);
                        std::thread::sleep(times::SERVER_LINGER * script.pace);
                        return;
                    }
                }
            }
        }
    }
    if !message.is_empty() {
        script.captured.lock().unwrap().push(message);
    }
}

fn play(case: &Case, lane: &Lane, responses: bool, pace: u32) -> Outcome {
    let captured: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let answer = responses.then(|| case.send.clone());
    *lane.script.lock().unwrap() = Script { answer, pace, captured: Arc::clone(&captured) };
    let port = if case.accept_invalid { lane.tolerant_port } else { lane.port };
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("haproxy accepts");
    let default = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
    let sent = if responses { case.request.clone().unwrap_or(default) } else { case.send.clone() };
    // Fails when HAProxy refuses before all is sent: the answer is read all the same.
    let _ = client.write_all(&sent);
    let mut got = Vec::new();
    let mut piece = [0; 65536];
    client.set_read_timeout(Some(times::CLIENT_PATIENCE * pace)).expect("a timeout");
    let closed = loop {
        match client.read(&mut piece) {
            Ok(0) => break true,
            Ok(length) => {
                got.extend_from_slice(&piece[..length]);
                client.set_read_timeout(Some(times::CLIENT_QUIET * pace)).expect("a timeout");
            }
            Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    drop(client);
    std::thread::sleep(times::SERVER_QUIET * pace);
    let status = got
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok())
        .unwrap_or(0);
    let mut outcome = Outcome { status, closed, ..Outcome::default() };
    if responses {
        if status != 502 {
            outcome.client = got;
        }
    } else if status < 400 && status != 0 {
        outcome.backend = std::mem::take(&mut *captured.lock().unwrap());
    }
    outcome
}

/// The two tests take turns: each keeps the machine busy enough, and neither must steal the other's ports.
static TURN: Mutex<()> = Mutex::new(());

/// Writes the cases with what HAProxy made of them.
fn save(file: &str, comment: &str, cases: &[Case]) {
    let mut text = String::from(comment);
    let mut line = |key: &str, value: &str| {
        text.push_str(key);
        if !value.is_empty() {
            text.push_str(": ");
            text.push_str(value);
        }
        text.push('\n');
    };
    for case in cases {
        line("", "");
        line("case", &case.name);
        if case.accept_invalid {
            line("options", "accept-invalid");
        }
        if let Some(request) = &case.request {
            line("request", &vectors::escape(request));
        }
        line("send", &vectors::escape(&case.send));
        let Outcome { status, closed, backend, client } = &case.outcome;
        line("status", &if *status == 0 { "none".to_owned() } else { status.to_string() });
        line("closed", if *closed { "yes" } else { "no" });
        for message in backend {
            line("backend", &vectors::escape(message));
        }
        if !client.is_empty() {
            line("client", &vectors::escape(client));
        }
    }
    std::fs::write(vectors::path(file), text).expect("the vectors can be written");
}

fn differences(file: &str, responses: bool, comment: &str) -> Vec<String> {
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let record = std::env::var_os("HAWSER_RECORD").is_some();
    let cases = vectors::load(file);
    let (oracle, lanes) = start(file, LANES, 1);
    let results = Mutex::new(vec![Outcome::default(); cases.len()]);
    let next = Mutex::new(0..cases.len());
    std::thread::scope(|scope| {
        for lane in &lanes {
            let (cases, results, next) = (&cases, &results, &next);
            scope.spawn(move || {
                loop {
                    let Some(index) = next.lock().unwrap().next() else { break };
                    let outcome = play(&cases[index], lane, responses, 1);
                    results.lock().unwrap()[index] = outcome;
                }
            });
        }
    });
    drop((oracle, lanes));
    let mut results = results.into_inner().unwrap();
    let steady = |case: &Case| !UNSTEADY.contains(&&case.name[..]);
    for pace in PACES_ALONE {
        let differ = |index: &usize| steady(&cases[*index]) && cases[*index].outcome != results[*index];
        let again: Vec<usize> = (0..cases.len()).filter(differ).collect();
        if again.is_empty() || (pace > 1 && again.len() > SLOW_MAX) {
            break;
        }
        println!("{file}: {} of {} again alone at pace {pace}", again.len(), cases.len());
        let (_oracle, lanes) = start(file, 1, pace);
        for index in again {
            results[index] = play(&cases[index], &lanes[0], responses, pace);
        }
    }
    let differ = cases.iter().zip(&results).filter(|(case, now)| steady(case) && case.outcome != **now);
    let lines = differ.map(|(case, now)| format!("{}: recorded {:?}, now {now:?}", case.name, case.outcome));
    let lines = lines.collect();
    if record {
        let now = cases.iter().zip(results).map(|(case, outcome)| match steady(case) {
            true => Case { outcome, ..case.clone() },
            false => case.clone(),
        });
        save(file, comment, &now.collect::<Vec<_>>());
        return Vec::new();
    }
    lines
}

/// Whether this machine says that it has no haproxy to ask.
fn switched_off() -> bool {
    std::env::var("HAWSER_ORACLE").is_ok_and(|value| value == "off")
}

#[test]
fn haproxy_treats_every_request_as_recorded() {
    if switched_off() {
        return;
    }
    let comment =
        "# Requests, and what HAProxy 2.6.12 made of them. Format and recorder: crates/http/tests.\n";
    let differences = differences("requests.txt", false, comment);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn haproxy_treats_every_response_as_recorded() {
    if switched_off() {
        return;
    }
    let comment =
        "# Responses, and what HAProxy 2.6.12 made of them. Format and recorder: crates/http/tests.\n";
    let differences = differences("responses.txt", true, comment);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}
