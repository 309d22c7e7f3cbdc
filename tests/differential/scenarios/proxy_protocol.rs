//! The PROXY protocol, sent and accepted, and a real nginx as its reader.

use std::process::{Child, Command};
use std::time::Duration;

use differential::normalise::rfc3164;
use differential::{Backend, Client, Instance, Program, ReservedPort, pause, same, wait_until};

use crate::support::get;

/// A server that records the first bytes of each connection and closes.
fn recorder() -> (Backend, std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>) {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let for_script = seen.clone();
    let backend = Backend::raw(move |connection, _| {
        let first = connection.rest();
        for_script.lock().expect("no script panics").push(first);
        Ok(())
    });
    (backend, seen)
}

/// The header as text with ports replaced, or the bytes of a version 2 header with ports zeroed.
fn readable(bytes: &[u8], ports: &[(u16, &str)]) -> String {
    if bytes.starts_with(b"PROXY ") {
        let text = String::from_utf8_lossy(bytes).into_owned();
        return ports.iter().fold(text, |text, (port, name)| text.replace(&port.to_string(), name));
    }
    let mut bytes = bytes.to_vec();
    if bytes.get(13) == Some(&0x11) && bytes.len() >= 28 {
        bytes[24..28].fill(0);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// row: 185, 186
#[test]
fn send_proxy_writes_the_header_before_the_bytes_of_the_client() {
    let headers = same(|program| {
        [
            "send-proxy",
            "send-proxy-v2",
            "send-proxy-v2 proxy-v2-options unique-id",
            "send-proxy-v2 proxy-v2-options crc32c",
            "send-proxy-v2 set-proxy-v2-tlv-fmt(0xE1) %[src]",
        ]
        .map(|option| {
            let (backend, seen) = recorder();
            let text = format!("listen tcp\n bind 127.0.0.1:$(tcp)\n server s 127.0.0.1:$(s) {option}\n");
            let Ok(proxy) = program.tcp(&text).with("s", backend.port()).try_start() else {
                return "refused".to_owned();
            };
            let mut client = proxy.client("tcp");
            let ports = [(client.local_port(), "CLIENT"), (proxy.port("tcp"), "FRONT")];
            client.send("hello").finish_sending();
            client.read_to_close();
            wait_until("the bytes", || !seen.lock().expect("no script panics").is_empty());
            let bytes = seen.lock().expect("no script panics")[0].clone();
            // A checksum covers the ports: only the shape can be compared.
            if option.contains("crc32c") { bytes.len().to_string() } else { readable(&bytes, &ports) }
        })
    });
    assert_eq!(headers[0], "PROXY TCP4 127.0.0.1 127.0.0.1 CLIENT FRONT\r\nhello");
    assert!(headers[1].starts_with("0d0a0d0a000d0a515549540a2111000c7f0000017f000001"), "{}", headers[1]);
}

// row: 185, 186
#[test]
fn checks_carry_the_header_too() {
    let headers = same(|program| {
        ["send-proxy", "send-proxy-v2", "check-send-proxy", "port $(s) send-proxy", "port $(s) send-proxy check-send-proxy"]
            .map(|option| {
                let (backend, seen) = recorder();
                let text = format!(
                    "listen tcp\n bind 127.0.0.1:$(tcp)\n option tcp-check\n tcp-check connect default\n tcp-check send ping\n \
                     tcp-check expect string pong\n timeout check 200\n server s 127.0.0.1:$(s) {option} check inter 500\n"
                );
                let proxy = program.tcp(&text).with("s", backend.port()).start();
                wait_until("a check", || !seen.lock().expect("no script panics").is_empty());
                drop(proxy);
                let bytes = seen.lock().expect("no script panics")[0].clone();
                let text = readable(&bytes, &[(backend.port(), "SERVER")]);
                differential::normalise::numbers(&text)
            })
    });
    assert!(headers[0].starts_with("PROXY TCPN N.N.N.N N.N.N.N N SERVER\r\nping"), "{headers:?}");
}

/// A frontend that accepts the header, logging to the run's sink.
fn accepting(program: Program, lines: &str, backend: &Backend) -> Instance {
    let text = format!(
        "listen web\n bind 127.0.0.1:$(web) accept-proxy\n log 127.0.0.1:$(log) local0\n option httplog\n \
         option forwardfor\n{lines}\n server s1 127.0.0.1:$(s1)\n"
    );
    program.http(&text).with("s1", backend.port()).start()
}

fn v2(command: u8, family: u8, addresses: &[u8], tlvs: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len() + tlvs.len()).expect("a short header");
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(addresses);
    bytes.extend(tlvs);
    bytes
}

// row: 187
#[test]
fn accept_proxy_takes_the_clients_address_from_the_header() {
    let addresses = [203, 0, 113, 7, 198, 51, 100, 1, 0x30, 0x39, 0, 80];
    let six = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]; 2].concat();
    let six = [six, vec![0x30, 0x39, 0, 80]].concat();
    // Not here: an octet above 255, which haproxy folds into another address and hawser refuses.
    let headers: [Vec<u8>; 12] = [
        b"PROXY TCP4 203.0.113.7 198.51.100.1 12345 80\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::9 2001:db8::1 12345 80\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        v2(0x21, 0x11, &addresses, &[]),
        v2(0x21, 0x11, &addresses, &[0x04, 0, 1, 0]),
        v2(0x21, 0x11, &addresses, &[0x02, 0, 3, b'a', b'.', b'b']),
        v2(0x21, 0x21, &six, &[]),
        v2(0x20, 0x00, &[], &[]),
        v2(0x20, 0x11, &addresses, &[]),
        b"PROXY TCP4 203.0.113.7 198.51.100.1 12345 80 \r\n".to_vec(),
        b"PROXY TCP5 203.0.113.7 198.51.100.1 12345 80\r\n".to_vec(),
    ];
    let seen = same(|program| {
        headers.each_ref().map(|header| {
            let backend = Backend::named("s1");
            let proxy = accepting(program, " http-request set-header X-Dst %[dst]:%[dst_port]", &backend);
            let mut client = proxy.client("web");
            client.send([header.clone(), get("/", &["Connection: close"]).into_bytes()].concat());
            let status = client.try_response().map(|response| response.status);
            let line = proxy.log().wait_for(1, |_| true).remove(0);
            let line = rfc3164(&line).expect("an RFC 3164 line").message;
            let source = line.split(' ').next().unwrap_or_default().to_owned();
            let source = source.replace(&client.local_port().to_string(), "CLIENT");
            let destination = backend.requests().last().and_then(|request| {
                let header = |name: &str| request.header(name).map(str::to_owned);
                Some((
                    header("x-forwarded-for")?,
                    header("x-dst")?.replace(&proxy.port("web").to_string(), "FRONT"),
                ))
            });
            (status, source, destination)
        })
    });
    assert_eq!(seen[0].1, "203.0.113.7:12345");
    assert_eq!(seen[0].2, Some(("203.0.113.7".to_owned(), "198.51.100.1:80".to_owned())));
}

// row: 187
#[test]
fn a_missing_header_closes_the_connection_and_is_logged() {
    let (end, log) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = accepting(program, "", &backend);
        let mut client = proxy.client("web");
        client.send(get("/", &[]));
        let (got, end) = client.read_for(Duration::from_secs(2));
        assert_eq!(got, "");
        let line = rfc3164(&proxy.log().wait_for(1, |_| true)[0]).expect("an RFC 3164 line");
        let message = line.message.replace(&client.local_port().to_string(), "CLIENT");
        // The date stands in brackets.
        let message = message
            .split(['[', ']'])
            .enumerate()
            .filter(|(n, _)| *n != 1)
            .map(|(_, part)| part)
            .collect::<String>();
        ((end != "open", backend.connections()), message)
    });
    assert_eq!(end, (true, 0));
    assert!(log.contains("Received something which does not look like a PROXY protocol header"), "{log}");
}

// row: 187
#[test]
fn a_header_that_does_not_come_is_waited_for_no_longer_than_the_client_timeout() {
    let end = same(|program| {
        let backend = Backend::named("s1");
        let proxy = accepting(program, " timeout client 300\n timeout http-request 300", &backend);
        let mut client = proxy.client("web");
        client.read_for(Duration::from_secs(3))
    });
    assert_ne!(end.1, "open");
}

// row: 187
#[test]
fn a_header_in_pieces_is_refused_as_truncated() {
    let (end, log) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = accepting(program, "", &backend);
        let mut client = proxy.client("web");
        // haproxy looks once: what the first segment does not hold is not waited for.
        client.send("PROXY TCP4 203.0.113.7 198.51");
        let end = client.read_for(Duration::from_secs(2)).1;
        let line = rfc3164(&proxy.log().wait_for(1, |_| true)[0]).expect("an RFC 3164 line");
        (end != "open", line.message.rsplit_once("web/1: ").map(|(_, reason)| reason.to_owned()))
    });
    assert_eq!((end, log.as_deref()), (true, Some("Truncated PROXY protocol header received")));
}

/// nginx with its own folder, killed when dropped.
struct Nginx {
    child: Child,
    folder: std::path::PathBuf,
}

impl Nginx {
    fn start(port: u16, server: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("hawser-nginx-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let directory = folder.display();
        let text = format!(
            "daemon off; master_process off; pid {directory}/pid; error_log {directory}/error;\n\
             events {{ worker_connections 64; }}\n\
             http {{ log_format p '$proxy_protocol_addr:$proxy_protocol_port $request'; access_log {directory}/access p;\n\
             client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;\n\
             uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n server {{ {server} }} }}\n"
        );
        std::fs::write(folder.join("conf"), text).expect("nginx's configuration");
        let child =
            Command::new("nginx").arg("-c").arg(folder.join("conf")).spawn().expect("nginx is installed");
        wait_until("nginx", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, folder }
    }

    fn access_log(&self) -> String {
        std::fs::read_to_string(self.folder.join("access")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

// row: 188
#[test]
fn nginx_reads_the_real_client_from_the_header() {
    let logged = same(|program| {
        ["send-proxy", "send-proxy-v2"].map(|option| {
            let port = ReservedPort::new();
            let number = port.number();
            let server = format!("listen 127.0.0.1:{number} proxy_protocol; location / {{ return 200 hi; }}");
            let nginx = Nginx::start(number, &server);
            let text = format!(
                "listen tcp\n bind 127.0.0.1:$(tcp)\n server n 127.0.0.1:{number} {option} check inter 200\n"
            );
            let proxy = program.tcp(&text).start();
            let mut client: Client = proxy.client("tcp");
            let from = client.local_port();
            let response = client.ask(get("/seen", &["Connection: close"]));
            let expected = format!("127.0.0.1:{from} GET /seen HTTP/1.1");
            wait_until("nginx's log line", || nginx.access_log().contains(&expected));
            pause(300);
            (response.status, response.body, proxy.stat("tcp", "n", "status"))
        })
    });
    assert_eq!(logged[0], (200, "hi".to_owned(), "UP".to_owned()));
}
