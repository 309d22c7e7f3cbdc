//! Reload inside the process: what goes on, what is carried over, what is refused, and nothing lost under load.

use super::program::*;
use super::storm::{self, Storm};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// hawser in the foreground with a runtime API, and its configuration.
pub struct Proxy {
    pub running: Running,
    pub folder: Folder,
}

impl Proxy {
    /// `text` goes behind a `global` section and `defaults` in HTTP mode.
    pub fn start(global: &str, text: &str) -> Proxy {
        let folder = Folder::new();
        let proxy_text = Proxy::text(&folder, global, text);
        folder.file("l.cfg", &proxy_text);
        let mut command = Program::Hawser.command();
        command.args(["-db", "-f", "l.cfg"]).current_dir(folder.path());
        let proxy = Proxy { running: Running::start(command), folder };
        eventually("the runtime API answers", || proxy.try_say("show version").is_some());
        proxy
    }

    fn text(folder: &Folder, global: &str, text: &str) -> String {
        format!(
            "global\n  nbthread 2\n  stats socket {}/s.sock level admin\n{global}\ndefaults\n  mode http\n  timeout client 20s\n  \
             timeout server 20s\n  timeout connect 2s\n{text}\n",
            folder.path().display()
        )
    }

    pub fn write(&self, global: &str, text: &str) {
        self.folder.file("l.cfg", &Proxy::text(&self.folder, global, text));
    }

    fn try_say(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("s.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        stream.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub fn say(&self, command: &str) -> String {
        self.try_say(command).expect("the runtime API answers")
    }

    pub fn reload(&self) {
        let answer = self.say("reload");
        assert!(answer.starts_with("Success=1\n--\n"), "{answer}");
    }

    /// Configurations in memory.
    pub fn generations(&self) -> usize {
        let answer = self.say("show generations");
        let count = answer.lines().find_map(|line| line.strip_prefix("# in memory: "));
        count.and_then(|count| count.parse().ok()).expect("a number")
    }

    /// Kilobytes of memory.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid())).expect("runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// One column of `show stat`.
    fn stat(&self, proxy: &str, server: &str, column: usize) -> String {
        let table = self.say("show stat");
        let start = format!("{proxy},{server},");
        let row = table.lines().find(|line| line.starts_with(&start)).expect("a row");
        row.split(',').nth(column).expect("a column").to_owned()
    }
}

const SCUR: usize = 4;
const STOT: usize = 7;
const STATUS: usize = 17;
const WEIGHT: usize = 18;

/// One request on a connection; the status and the body.
fn request(stream: &mut TcpStream, path: &str) -> Option<(u16, String)> {
    storm::exchange(stream, path).ok()
}

fn get(port: u16, path: &str) -> Option<(u16, String)> {
    request(&mut TcpStream::connect(("127.0.0.1", port)).ok()?, path)
}

pub fn answering(port: u16, text: &str) -> String {
    format!(
        "frontend web\n  bind 127.0.0.1:{port}\n  http-request return status 200 content-type text/plain string {text}\n"
    )
}

#[test]
fn a_client_that_waits_gets_the_new_configuration_with_its_next_request() {
    let port = free_port();
    let proxy = Proxy::start("", &answering(port, "one"));
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    assert_eq!(request(&mut client, "/"), Some((200, "one".to_owned())));
    let mut silent = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    proxy.write("", &answering(port, "two"));
    proxy.reload();
    assert_eq!(request(&mut client, "/"), Some((200, "two".to_owned())), "on the same connection");
    assert_eq!(request(&mut silent, "/"), Some((200, "two".to_owned())), "it had not spoken yet");
    assert_eq!(get(port, "/"), Some((200, "two".to_owned())));
    eventually("nothing holds the former one", || proxy.generations() == 1);
    assert_eq!(proxy.stat("web", "FRONTEND", STOT), "3", "counters go on");
    eventually("the third connection is counted down", || proxy.stat("web", "FRONTEND", SCUR) == "2");
    // Nor does somebody at the prompt, who sees the one in force.
    let mut prompt = UnixStream::connect(proxy.folder.path().join("s.sock")).expect("connects");
    prompt.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    prompt.write_all(b"prompt\n").expect("sends");
    prompt.read_exact(&mut [0; 3]).expect("a prompt");
    proxy.reload();
    eventually("nothing holds it", || proxy.generations() == 1);
    prompt.write_all(b"show generations\n").expect("sends");
    // The answer may come in pieces; how old the third one is depends on the machine.
    let mut answer = Vec::new();
    while !answer.windows(3).any(|part| part == b"\n3 ") {
        let mut piece = [0; 200];
        let length = prompt.read(&mut piece).expect("an answer");
        assert_ne!(length, 0, "no third one in {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..length]);
    }
    drop(prompt);
    drop((client, silent));
    eventually("connections are counted down", || proxy.stat("web", "FRONTEND", SCUR) == "0");
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_its_place() {
    let port = free_port();
    let mut proxy = Proxy::start("", &answering(port, "one"));
    proxy.write("", &format!("{}  http-requesst deny\n", answering(port, "two")));
    let answer = proxy.say("reload");
    assert!(answer.starts_with("Success=0\n--\n"), "{answer}");
    assert!(
        answer.contains("l.cfg:") && answer.contains("http-requesst") && answer.contains("^^^"),
        "{answer}"
    );
    assert_eq!(get(port, "/"), Some((200, "one".to_owned())));
    // The same for what only the system refuses.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (taken, address.port())).expect("bound");
    proxy.write(
        "",
        &answering(port, "two").replace("  http", &format!("  bind 127.0.0.1:{}\n  http", taken.1)),
    );
    let answer = proxy.say("reload");
    assert!(answer.starts_with("Success=0\n--\n"), "{answer}");
    assert!(answer.contains(&format!("cannot bind 127.0.0.1:{}", taken.1)), "{answer}");
    assert_eq!(get(port, "/"), Some((200, "one".to_owned())));
    assert_eq!(proxy.generations(), 1);
    proxy.running.signal(Signal::TERM);
    proxy.running.wait();
    let told = proxy.running.output();
    assert!(told.contains("http-requesst") && told.contains("^^^"), "{told}");
}

#[test]
fn signals_reload_and_lines_come_and_go() {
    let (kept, gone, new) = (free_port(), free_port(), free_port());
    let proxy = Proxy::start(
        "",
        &answering(kept, "one").replace("  http", &format!("  bind 127.0.0.1:{gone}\n  http")),
    );
    let mut established = TcpStream::connect(("127.0.0.1", gone)).expect("connects");
    assert_eq!(get(kept, "/"), Some((200, "one".to_owned())));
    proxy.write("", &answering(kept, "two").replace("  http", &format!("  bind 127.0.0.1:{new}\n  http")));
    proxy.running.signal(Signal::USR2);
    eventually("the new line answers", || get(new, "/") == Some((200, "two".to_owned())));
    assert_eq!(get(kept, "/"), Some((200, "two".to_owned())));
    assert!(TcpStream::connect(("127.0.0.1", gone)).is_err(), "nobody listens there any more");
    let mut rest = String::new();
    established.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert_eq!(established.read_to_string(&mut rest).ok(), Some(0), "its line is gone: closed, not reset");
    proxy.write("", &answering(kept, "three"));
    proxy.running.signal(Signal::HUP);
    eventually("it reloads at a hang-up too", || get(kept, "/") == Some((200, "three".to_owned())));
    eventually("nothing holds the former ones", || proxy.generations() == 1);
}

#[test]
fn what_cannot_change_in_place_is_named() {
    let port = free_port();
    let proxy = Proxy::start("", &answering(port, "one"));
    proxy.write("  nbthread 3\n  pidfile p", &answering(port, "two"));
    let answer = proxy.say("reload");
    for name in ["nbthread", "pidfile"] {
        assert!(answer.contains(&format!("`{name}` cannot be changed in a running process")), "{answer}");
    }
    assert_eq!(get(port, "/"), Some((200, "one".to_owned())));
}

fn stateful(port: u16, server: u16, weight: u32, entry: &str) -> String {
    format!(
        "frontend web\n  bind 127.0.0.1:{port}\n  http-request track-sc0 src table seen\n  acl old path,map(m.map) -m found\n  \
         http-request return status 200 content-type text/plain string {entry} if old\n  default_backend app\n\
         backend app\n  server a 127.0.0.1:{server} weight {weight}\n  server b 127.0.0.1:{server} weight 7\n\
         backend seen\n  stick-table type ip size 100 expire 1h store http_req_cnt,gpc0\n"
    )
}

// row: 204
#[test]
fn what_operators_and_traffic_did_goes_on_and_maps_are_read_again() {
    let (port, server) = (free_port(), storm::origin());
    let proxy = Proxy::start("", &answering(free_port(), "none"));
    proxy.folder.file("m.map", "/from-file yes\n");
    proxy.write("", &stateful(port, server, 10, "mapped"));
    proxy.reload();
    assert_eq!(get(port, "/x"), Some((200, "ok".to_owned())));
    proxy.say("disable server app/b");
    proxy.say("set weight app/a 50%");
    proxy.say("set table seen key 9.9.9.9 data.gpc0 5");
    proxy.say("add map m.map /added yes");
    assert_eq!(get(port, "/added"), Some((200, "mapped".to_owned())));
    proxy.reload();
    assert!(proxy.stat("app", "b", STATUS).starts_with("MAINT"));
    assert_eq!(proxy.stat("app", "a", WEIGHT), "5");
    let table = proxy.say("show table seen");
    assert!(table.contains("key=9.9.9.9") && table.contains("gpc0=5"), "{table}");
    assert!(table.contains("key=127.0.0.1") && table.contains("http_req_cnt=2"), "{table}");
    assert_eq!(get(port, "/added"), Some((200, "ok".to_owned())), "the map is as its file says");
    assert_eq!(get(port, "/from-file"), Some((200, "mapped".to_owned())));
    // The file's own word, once it changes, wins.
    proxy.write("", &stateful(port, server, 20, "mapped"));
    proxy.reload();
    assert_eq!(proxy.stat("app", "a", WEIGHT), "20");
    assert!(proxy.stat("app", "b", STATUS).starts_with("MAINT"));
    proxy.say("enable server app/b");
    assert_eq!(proxy.stat("app", "a", STOT), "2");
}

#[test]
fn a_former_configuration_has_as_long_as_hard_stop_after_says() {
    let (port, server) = (free_port(), storm::origin());
    let text = format!("listen web\n  bind 127.0.0.1:{port}\n  server a 127.0.0.1:{server}\n");
    let proxy = Proxy::start("  hard-stop-after 1s", &text);
    let mut slow = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").expect("sends");
    let mut some = [0; 10];
    slow.read_exact(&mut some).expect("begins");
    proxy.reload();
    assert_eq!(proxy.generations(), 2);
    eventually("it is ended", || proxy.generations() == 1);
    slow.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < storm::SLOW_LENGTH, "cut");
}

/// Requests that wait for a slot of their server are served by whichever configuration gives one back.
#[test]
fn a_request_that_queued_before_a_reload_gets_its_turn_behind_it() {
    let (port, server) = (free_port(), storm::origin());
    let text = format!("listen web\n  bind 127.0.0.1:{port}\n  server a 127.0.0.1:{server} maxconn 1\n");
    let proxy = Proxy::start("", &text);
    let first = std::thread::spawn(move || get(port, "/wait"));
    eventually("it is at the server", || proxy.stat("web", "a", SCUR) == "1");
    let second = std::thread::spawn(move || get(port, "/second"));
    eventually("it waits", || proxy.stat("web", "BACKEND", 2) == "1" || proxy.stat("web", "a", 2) == "1");
    proxy.reload();
    let third = std::thread::spawn(move || get(port, "/third"));
    for client in [first, second, third] {
        assert_eq!(client.join().expect("ends"), Some((200, "ok".to_owned())));
    }
    eventually("nothing holds the former one", || proxy.generations() == 1);
}

#[test]
fn fifty_reloads_under_load_lose_nothing() {
    storm::reloads(50, Duration::from_millis(20));
}

/// The figure of the issue: `cargo xtask soak-reload`.
#[test]
#[ignore = "a thousand reloads: cargo xtask soak-reload"]
fn a_thousand_reloads_under_load_lose_nothing() {
    storm::reloads(1000, Duration::from_millis(50));
}

pub type Flag = Arc<AtomicBool>;

/// A tunnel through TCP mode that echoes until it is told to stop; whether it lived so long.
pub fn echo_through(port: u16, stop: Flag) -> std::thread::JoinHandle<Result<u64, String>> {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let mut turns = 0;
        while !stop.load(Relaxed) {
            stream.write_all(b"ping").map_err(|error| format!("tunnel: {error}"))?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).map_err(|error| format!("tunnel: {error}"))?;
            turns += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(turns)
    })
}

pub fn path_of(proxy: &Proxy, name: &str) -> PathBuf {
    proxy.folder.path().join(name)
}

#[test]
fn the_storm_notices_a_lost_connection() {
    // The harness itself: a proxy that closes in the middle is seen.
    let port = greeter("not HTTP");
    let storm = Storm::begin(&[port], &[]);
    std::thread::sleep(Duration::from_millis(200));
    assert!(!storm.end().failures.is_empty());
}

/// A TLS client that keeps its connection: openssl, which is told what to send.
struct Secure(std::process::Child);

impl Secure {
    fn connect(proxy: &Proxy, port: u16, more: &[&str]) -> Secure {
        let child = std::process::Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", "localhost"])
            .args(more)
            .current_dir(proxy.folder.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        Secure(child)
    }

    /// Sends a request and reads until `expected` has come.
    fn ask(&mut self, expected: &str) -> String {
        let input = self.0.stdin.as_mut().expect("piped");
        input.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("sends");
        input.flush().expect("sends");
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&received).contains(expected) {
            match self.0.stdout.as_mut().expect("piped").read(&mut buffer) {
                Ok(count) if count > 0 => received.extend_from_slice(&buffer[..count]),
                _ => panic!("no {expected} in {}", String::from_utf8_lossy(&received)),
            }
        }
        String::from_utf8_lossy(&received).into_owned()
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_tls_client_follows_and_its_session_resumes_behind_a_reload() {
    let port = free_port();
    let proxy = Proxy::start("", &answering(free_port(), "none"));
    storm::certificate(&proxy);
    let pem = path_of(&proxy, "tls.pem").display().to_string();
    let text = |body: &str| {
        answering(port, body).replacen('\n', &format!("\n  bind 127.0.0.1:{port} ssl crt {pem}\n"), 1)
    };
    let text = |body: &str| text(body).replacen(&format!("  bind 127.0.0.1:{port}\n"), "", 1);
    proxy.write("", &text("body-one"));
    proxy.reload();
    let mut client = Secure::connect(&proxy, port, &["-sess_out", "session"]);
    client.ask("body-one");
    proxy.write("", &text("body-two"));
    proxy.reload();
    eventually("an idle TLS connection holds nothing of the former one", || proxy.generations() == 1);
    client.ask("body-two");
    drop(client);
    let mut again = Secure::connect(&proxy, port, &["-sess_in", "session"]);
    assert!(again.ask("body-two").contains("Reused, TLSv1.3"), "the ticket opens behind a reload");
}
