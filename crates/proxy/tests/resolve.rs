//! Servers whose names are resolved at run time by a name server inside the test.

use haproxy_config::{LoadOptions, load};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
const A: u16 = 1;
const SRV: u16 = 33;

#[derive(Clone)]
enum Zone {
    Addresses(Vec<Ipv4Addr>),
    /// Weight, port, target.
    Services(Vec<(u16, u16, &'static str)>),
    NoSuchName,
    Silence,
}

/// A name server that answers from a table.
struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<HashMap<String, Zone>>>,
}

impl NameServer {
    fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = NameServer { address: socket.local_addr().unwrap(), zone: Arc::default() };
        let zone = Arc::clone(&server.zone);
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((count, peer)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = answer(&buffer[..count], &zone.lock().unwrap()) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        server
    }

    fn set(&self, name: &str, zone: Zone) {
        self.zone.lock().unwrap().insert(name.to_owned(), zone);
    }

    fn addresses(&self, name: &str, last: &[u8]) {
        self.set(name, Zone::Addresses(last.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last)).collect()));
    }
}

fn encode(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn answer(query: &[u8], zone: &HashMap<String, Zone>) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let query_type = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let mut records: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut code = 0u16;
    match zone.get(&labels.join(".")) {
        Some(Zone::Silence) => return None,
        Some(Zone::Addresses(list)) if query_type == A => {
            records.extend(list.iter().map(|address| (A, address.octets().to_vec())));
        }
        Some(Zone::Services(list)) if query_type == SRV => {
            for (weight, port, target) in list {
                let mut data = vec![0, 1];
                data.extend_from_slice(&weight.to_be_bytes());
                data.extend_from_slice(&port.to_be_bytes());
                data.extend_from_slice(&encode(target));
                records.push((SRV, data));
            }
        }
        Some(Zone::Addresses(_) | Zone::Services(_)) => {}
        Some(Zone::NoSuchName) | None => code = 3,
    }
    let mut out = query[..2].to_vec();
    for word in [0x8180 | code, 1, records.len() as u16, 0, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&query[12..at + 5]);
    for (record_type, data) in records {
        out.extend_from_slice(&[0xc0, 0x0c]);
        out.extend_from_slice(&record_type.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 5]);
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(&data);
    }
    Some(out)
}

struct Proxy {
    log: UdpSocket,
    _commands: mpsc::Sender<proxy::Command>,
}

const HEAD: &str = "global\n    log @LOG@ local0 notice\ndefaults\n    log global\n    mode http\n    \
    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n";

impl Proxy {
    fn start(text: &str, names: &NameServer) -> Proxy {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let log = UdpSocket::bind("127.0.0.1:0").unwrap();
        log.set_read_timeout(Some(PATIENCE)).unwrap();
        let short = "resolvers d\n    timeout resolve 100ms\n    timeout retry 50ms\n    hold nx 150ms\n    \
                     hold timeout 150ms\n    hold obsolete 0s\n";
        let nameserver = format!("    nameserver n1 {}\n", names.address);
        let text = format!("{HEAD}{short}{nameserver}{text}")
            .replace("@LOG@", &log.local_addr().unwrap().to_string());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hawser-resolve-{}-{count}.cfg", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let loaded = load(&LoadOptions::new(vec![path.clone()]));
        std::fs::remove_file(&path).unwrap();
        let model = loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.report));
        let bound = proxy::bind(Arc::new(model), proxy::BindOptions::default()).unwrap();
        let (commands, receiver) = mpsc::channel();
        std::thread::spawn(move || bound.run(receiver));
        Proxy { log, _commands: commands }
    }

    fn line(&self) -> String {
        let mut buffer = [0; 2048];
        let count = self.log.recv(&mut buffer).expect("a log line in time");
        let line = String::from_utf8(buffer[..count].to_vec()).unwrap();
        let priority = &line[..=line.find('>').unwrap()];
        format!("{priority}{}", line[line.find("]: ").unwrap() + 3..].trim_end())
    }

    fn lines(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line()).collect()
    }

    /// Lines until nothing comes for a while.
    fn lines_until_quiet(&self) -> Vec<String> {
        self.log.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let mut lines = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok(count) = self.log.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
        self.log.set_read_timeout(Some(PATIENCE)).unwrap();
        lines
    }
}

#[test]
fn a_server_follows_its_name_and_waits_while_there_is_none() {
    let names = NameServer::start();
    names.addresses("h.test", &[10]);
    let proxy = Proxy::start(
        "backend web\n    server a h.test:80 resolvers d init-addr none resolve-prefer ipv4\n",
        &names,
    );
    assert_eq!(
        proxy.lines(3),
        [
            "<133>web/a changed its IP from (none) to 127.0.0.10 by d/n1.",
            "<133>Server web/a ('h.test') is UP/READY (resolves again).",
            "<133>Server web/a administratively READY thanks to valid DNS answer.",
        ]
    );
    names.addresses("h.test", &[11]);
    assert_eq!(proxy.line(), "<133>web/a changed its IP from 127.0.0.10 to 127.0.0.11 by d/n1.");
    names.set("h.test", Zone::NoSuchName);
    assert_eq!(
        proxy.lines(2),
        [
            "<129>Server web/a is going DOWN for maintenance (DNS NX status). 0 active and 0 backup servers left. \
             0 sessions active, 0 requeued, 0 remaining in queue.",
            "<128>backend web has no server available!",
        ]
    );
    names.addresses("h.test", &[12]);
    assert_eq!(proxy.line(), "<133>web/a changed its IP from (none) to 127.0.0.12 by d/n1.");
    assert_eq!(proxy.lines(2)[0], "<133>Server web/a ('h.test') is UP/READY (resolves again).");
    names.set("h.test", Zone::Silence);
    assert!(
        proxy.line().starts_with("<129>Server web/a is going DOWN for maintenance (DNS timeout status). 0 a")
    );
}

// Users' complaint number 5: after everything was replaced at once, slots stayed in maintenance until a reload.
#[test]
fn a_template_survives_the_replacement_of_all_its_addresses() {
    let names = NameServer::start();
    names.addresses("h.test", &[10, 11, 12, 13]);
    let proxy = Proxy::start(
        "backend web\n    server-template s 4 h.test:80 resolvers d init-addr none resolve-prefer ipv4\n",
        &names,
    );
    assert_eq!(proxy.lines(12).len(), 12, "four servers come up with three lines each");
    for round in 1..4u8 {
        let first = 20 * round;
        names.addresses("h.test", &[first, first + 1, first + 2, first + 3]);
        let lines = proxy.lines(4);
        for (line, server) in lines.iter().zip(1..) {
            assert!(line.starts_with(&format!("<133>web/s{server} changed its IP from 127.0.0.")), "{line}");
        }
    }
    names.addresses("h.test", &[99]);
    let lines = proxy.lines(4);
    assert_eq!(lines[0], "<133>web/s1 changed its IP from 127.0.0.60 to 127.0.0.99 by d/n1.");
    for line in &lines[1..] {
        assert!(line.contains("is going DOWN for maintenance (No IP for server )."), "{line}");
    }
    names.addresses("h.test", &[99, 100, 101, 102]);
    assert_eq!(proxy.lines_until_quiet().len(), 9, "three servers come back");
}

#[test]
fn services_give_servers_their_targets_and_ports() {
    let backends: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = backends.iter().map(|backend| backend.local_addr().unwrap().port()).collect();
    for backend in backends {
        std::thread::spawn(move || {
            for stream in backend.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 1024]);
                let text = format!("{}", backend.local_addr().unwrap().port());
                let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            }
        });
    }
    let names = NameServer::start();
    names.set("_http._tcp.test", Zone::Services(vec![(10, ports[0], "x1.test")]));
    names.addresses("x1.test", &[1]);
    names.addresses("x2.test", &[1]);
    let front = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::start(
        &format!(
            "listen web\n    bind {front}\n    no log\n    log @LOG@ local0 notice\n    \
             server-template s 2 _http._tcp.test resolvers d init-addr none resolve-prefer ipv4\n"
        ),
        &names,
    );
    assert_eq!(
        proxy.lines(4),
        [
            "<133>web/s1 changed its FQDN from (null) to x1.test by 'SRV record'",
            "<133>web/s1 changed its IP from (none) to 127.0.0.1 by d/n1.",
            "<133>Server web/s1 ('x1.test') is UP/READY (resolves again).",
            "<133>Server web/s1 administratively READY thanks to valid DNS answer.",
        ]
    );
    assert_eq!(get(front), ports[0].to_string());
    names.set("_http._tcp.test", Zone::Services(vec![(10, ports[1], "x2.test")]));
    let lines = proxy.lines_until_quiet();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("is going DOWN for maintenance (entry removed from SRV record).")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.contains("to x2.test by 'SRV record'")), "{lines:?}");
    assert_eq!(get(front), ports[1].to_string());
}

fn get(front: SocketAddr) -> String {
    let mut client = TcpStream::connect(front).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text.rsplit("\r\n").next().unwrap().to_owned()
}

// row: 114
#[test]
fn a_name_that_nobody_knows_stops_the_start_unless_it_may_wait() {
    let check = |line: &str| {
        let path =
            std::env::temp_dir().join(format!("hawser-names-{}-{}.cfg", std::process::id(), line.len()));
        std::fs::write(&path, format!("{HEAD}backend web\n    {line}\n").replace("@LOG@", "127.0.0.1:514"))
            .unwrap();
        let loaded = load(&LoadOptions::new(vec![path.clone()]));
        std::fs::remove_file(&path).unwrap();
        proxy::unresolved(&loaded.model.unwrap_or_else(|| panic!("{:?}", loaded.report)))
    };
    assert_eq!(
        check("server a nowhere.invalid:80"),
        ["'server web/a' : could not resolve address 'nowhere.invalid'."]
    );
    assert!(check("server a nowhere.invalid:80 init-addr libc,none").is_empty());
    assert!(check("server a nowhere.invalid:80 init-addr last,libc,192.0.2.1").is_empty());
    assert!(check("server a localhost:80").is_empty());
}
