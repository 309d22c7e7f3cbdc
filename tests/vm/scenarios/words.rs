//! What checkers say of every kind of success and failure, and at which level of syslog: the real keepalived and ours.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const NAME: &str = "words::checkers_speak_as_keepalived_at_its_levels";
/// Longer than any check waits.
const SILENCE: Duration = Duration::from_secs(8);

/// Whether the servers are to fail, each in its own way.
fn is_bad() -> bool {
    std::fs::read_to_string("/run/mode").is_ok_and(|mode| mode.trim() == "bad")
}

fn request(stream: &TcpStream) {
    for line in BufReader::new(stream).lines() {
        if line.map_or(true, |line| line.is_empty()) {
            return;
        }
    }
}

fn web(mut stream: TcpStream, status: &str, body: &str) {
    request(&stream);
    let _ = write!(stream, "HTTP/1.0 {status}\r\nContent-Type: text/plain\r\n\r\n{body}\n");
}

/// Greeting, then an answer to each line.
fn mail(mut stream: TcpStream, says: [&str; 3]) {
    let _ = write!(stream, "{}\r\n", says[0]);
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    for answer in &says[1..] {
        if !matches!(lines.next(), Some(Ok(_))) {
            return;
        }
        let _ = write!(stream, "{answer}\r\n");
    }
}

fn converse(name: &str, mut stream: TcpStream) {
    match (name, is_bad()) {
        ("web-status", true) => web(stream, "404 Not Found", "no"),
        ("web-digest" | "web-pattern" | "web-offset", true) => web(stream, "200 OK", "other"),
        ("web-against", true) => web(stream, "200 OK", "hello"),
        ("web-silent" | "mail-silent", true) => std::thread::sleep(SILENCE),
        ("web-closed" | "mail-closed", true) => {}
        ("web-garbage", true) => {
            request(&stream);
            let _ = stream.write_all(b"nonsense\r\n\r\n");
        }
        ("web-half", true) => {
            request(&stream);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n");
            std::thread::sleep(SILENCE);
        }
        ("mail-greeting", true) => mail(stream, ["554 no", "250 ok", "221 bye"]),
        ("mail-hello", true) => mail(stream, ["220 hi", "500 what", "221 bye"]),
        ("mail-quit", true) => mail(stream, ["220 hi", "250 ok", "500 what"]),
        ("web-against", false) => web(stream, "200 OK", "other"),
        (name, _) if name.starts_with("web-") => web(stream, "200 OK", "hello"),
        (name, _) if name.starts_with("mail-") => mail(stream, ["220 hi", "250 ok", "221 bye"]),
        _ => {}
    }
}

fn answer(name: &str, question: &[u8]) -> Option<Vec<u8>> {
    let dns = |code: u8| {
        let identifier = question.get(..2).unwrap_or(b"\0\0");
        [identifier, &[0x81, 0x80 | code, 0, 0, 0, 0, 0, 0, 0, 0]].concat()
    };
    match (name, is_bad()) {
        ("dns-silent" | "udp-silent", true) => None,
        ("dns-error", true) => Some(dns(3)),
        ("udp-wrong", true) => Some(b"xx".to_vec()),
        ("udp-long", true) => Some(b"okokokokok".to_vec()),
        (name, _) if name.starts_with("dns-") => Some(dns(0)),
        _ => Some(b"ok".to_vec()),
    }
}

/// In the guest: the sockets behind the names that the script has written.
fn serve() {
    while !Path::new("/run/ready").exists() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let names = std::fs::read_to_string("/run/names").expect("written");
    for line in names.lines() {
        let mut words = line.split(' ').map(str::to_owned);
        let [port, name, kind] = [(); 3].map(|()| words.next().unwrap_or_default());
        let at = ("10.5.0.1", port.parse::<u16>().expect("a port"));
        match kind.as_str() {
            "tcp" => {
                let listener = TcpListener::bind(at).expect("bound");
                std::thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        let name = name.clone();
                        std::thread::spawn(move || converse(&name, stream));
                    }
                });
            }
            "udp" => {
                let socket = UdpSocket::bind(at).expect("bound");
                std::thread::spawn(move || {
                    let mut buffer = [0; 512];
                    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                        if let Some(bytes) = answer(&name, &buffer[..length]) {
                            let _ = socket.send_to(&bytes, from);
                        }
                    }
                });
            }
            _ => {}
        }
    }
    std::fs::write("/run/served", "").expect("written");
}

fn inside() {
    std::fs::write("/run/words.sh", include_str!("words.sh")).expect("written");
    let mut script = Command::new("bash").arg("/run/words.sh").spawn().expect("bash is there");
    serve();
    assert!(script.wait().expect("ended").success());
}

/// Level and words of the checkers' lines, without those that chance counts.
fn lines(log: &str) -> Vec<String> {
    let mut lines: Vec<String> = log
        .lines()
        .filter_map(|line| {
            let (before, words) = line.split_once("]: ")?;
            let level = before.split_once(" daemon.")?.1.split(' ').next()?;
            let is_theirs =
                before.contains("Keepalived_healthcheckers") && !words.starts_with("Stopped - used");
            // A server that closes at once is seen to have closed, or to have reset, as it comes.
            let words = words.replace("Read error with server", "Read, no data received from  server");
            is_theirs.then(|| format!("{level} {words}"))
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

// row: 280, 281
#[test]
fn checkers_speak_as_keepalived_at_its_levels() {
    if vm::is_inside() {
        return inside();
    }
    let outcome = vm::run_itself(NAME);
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    assert!(!outcome.printed.contains("never:"), "{}", outcome.printed);
    for kind in ["all", "some"] {
        let [real, ours] = ["real", "ours"].map(|whose| lines(&outcome.file(&format!("{whose}-{kind}"))));
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>()
        };
        let (missing, more) = (only(&real, &ours), only(&ours, &real));
        assert!(missing.is_empty() && more.is_empty(), "{kind}: missing {missing:#?}, more {more:#?}");
        assert!(real.len() > 100 && real.iter().any(|line| line.starts_with("debug ")), "{kind}: {real:#?}");
    }
}
