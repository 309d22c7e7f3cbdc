//! `do-resolve`: names from requests, asked at a name server of the scenario.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use differential::{Backend, Program, Reply, same};

use crate::support::get;

/// A name server that knows `app.test` (both families), `six.test` (IPv6 alone), and nothing else.
pub struct NameServer {
    pub port: u16,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NameServer {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("bound").port();
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, ended) = (asked.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while !ended.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = socket.send_to(&answer(&buffer[..length]), from);
            }
        });
        Self { port, asked, stop, thread: Some(thread) }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it only answers");
        }
    }
}

/// The answer to a query of one question.
fn answer(query: &[u8]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).expect("a name");
    let question = &query[12..end + 5];
    let (name, kind) = (&query[12..end], query[end + 2]);
    let data: Option<&[u8]> = match (name, kind) {
        (b"\x03app\x04test", 1) => Some(&[127, 0, 0, 1]),
        (b"\x03app\x04test" | b"\x03six\x04test", 28) => {
            Some(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        }
        _ => None,
    };
    let is_known = matches!(name, b"\x03app\x04test" | b"\x03six\x04test");
    let status = if is_known { 0 } else { 3 };
    let mut message = query[..2].to_vec();
    message.extend([0x81, 0x80 | status, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    message.extend(question);
    if let Some(data) = data {
        message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        message.extend(data);
    }
    message
}

const RESOLVERS: &str = "resolvers dns\n nameserver one 127.0.0.1:$(dns)\n resolve_retries 2\n timeout retry 300ms\n \
                         timeout resolve 300ms\n hold valid 30s\n";

#[test]
fn requests_go_where_their_name_says() {
    let (found, statuses) = same(|program| {
        let dns = NameServer::start();
        let backend = Backend::http(|_| Reply::ok("found"));
        let text = format!(
            "{RESOLVERS}listen web\n bind 127.0.0.1:$(web)\n \
             http-request do-resolve(txn.four,dns,ipv4) req.hdr(host),host_only\n \
             http-request do-resolve(txn.six,dns,ipv6) req.hdr(host),host_only\n \
             http-request return status 200 content-type text/plain lf-string %[var(txn.four)]-%[var(txn.six)] if {{ path /show }}\n \
             http-request deny deny_status 503 unless {{ var(txn.four) -m found }}\n \
             http-request set-dst var(txn.four)\n server any 0.0.0.0:$(s1)\n"
        );
        let proxy = program.http(&text).with("dns", dns.port).with("s1", backend.port()).start();
        let ask = |target: &str, host: &str| {
            proxy.client("web").ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        };
        let found = ["app.test", "APP.test", "six.test", "none.test", "127.0.0.1", "-", "bad name"]
            .map(|host| (host, ask("/show", host).body));
        let statuses = ["app.test", "app.test:80", "none.test"].map(|host| ask("/", host).status);
        (found, statuses)
    });
    assert_eq!(found[0].1, "127.0.0.1-::1");
    assert_eq!(statuses, [200, 200, 503]);
}

#[test]
fn answers_hold_and_a_silent_name_server_costs_the_retries() {
    let dns = NameServer::start();
    let text = format!(
        "{RESOLVERS}resolvers silent\n nameserver one 127.0.0.1:1\n resolve_retries 2\n timeout retry 200ms\n\
         listen web\n bind 127.0.0.1:$(web)\n http-request do-resolve(txn.a,dns,ipv4) str(app.test) if {{ path /dns }}\n \
         http-request do-resolve(txn.a,silent,ipv4) str(app.test) if {{ path /silent }}\n \
         http-request return status 200 content-type text/plain lf-string <%[var(txn.a)]>\n"
    );
    let proxy = Program::Hawser.http(&text).with("dns", dns.port).start();
    for _ in 0..5 {
        assert_eq!(proxy.client("web").ask(get("/dns", &[])).body, "<127.0.0.1>");
    }
    assert_eq!(dns.asked.load(Ordering::SeqCst), 1, "the first answer holds");
    let start = std::time::Instant::now();
    assert_eq!(proxy.client("web").ask(get("/silent", &[])).body, "<>");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn connections_go_where_their_first_bytes_say() {
    same(|program| {
        let dns = NameServer::start();
        let backend = Backend::tcp_echo();
        let text = format!(
            "{RESOLVERS}listen tcp\n bind 127.0.0.1:$(tcp)\n tcp-request inspect-delay 2s\n \
             tcp-request content do-resolve(txn.ip,dns,ipv4) req.payload(0,8) if {{ req.len ge 8 }}\n \
             tcp-request content reject unless {{ var(txn.ip) -m found }}\n \
             tcp-request content set-dst var(txn.ip)\n server any 0.0.0.0:$(s1)\n"
        );
        let proxy = program.tcp(&text).with("dns", dns.port).with("s1", backend.port()).start();
        ["app.test", "bad.test"].map(|name| {
            let mut client = proxy.client("tcp");
            let _ = client.try_send(name);
            let (got, end) = client.read_for(Duration::from_secs(1));
            (got, end == "open")
        })
    });
}
