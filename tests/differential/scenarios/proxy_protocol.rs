//! The PROXY protocol, sent and accepted, and a real nginx as its reader.

use std::time::Duration;

use differential::normalise::rfc3164;
use differential::{Backend, Client, Instance, Program, ReservedPort, pause, same, wait_until};

use crate::nginx::Nginx;
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

/// CRC-32C (RFC 3720 §12.1), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

/// The TLVs of a version 2 header over TCP and IPv4. A checksum is replaced by whether it is right.
fn tlvs(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    const CRC32C: u8 = 3;
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let header = &bytes[..16 + length];
    let mut found = Vec::new();
    let mut place = 28;
    while let [kind, high, low, ..] = header[place..] {
        let value = place + 3..place + 3 + usize::from(u16::from_be_bytes([high, low]));
        if kind == CRC32C {
            let mut zeroed = header.to_vec();
            zeroed[value.clone()].fill(0);
            let right = crc32c(&zeroed).to_be_bytes() == header[value.clone()];
            found.push((kind, vec![u8::from(right)]));
        } else {
            found.push((kind, header[value.clone()].to_vec()));
        }
        place = value.end;
    }
    found
}

// row: 186
#[test]
fn what_is_known_of_the_clients_tls_is_told_to_the_server() {
    let options = [
        "send-proxy-v2",
        "send-proxy-v2-ssl",
        "send-proxy-v2-ssl-cn",
        "send-proxy-v2 proxy-v2-options ssl",
        "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key",
        "send-proxy-v2 proxy-v2-options authority",
        "send-proxy-v2 proxy-v2-options crc32c",
        "send-proxy-v2 proxy-v2-options unique-id",
        "send-proxy-v2 proxy-v2-options crc32c,ssl,authority,unique-id,cert-cn",
    ];
    let clients: [&[&str]; 4] = [
        &[],
        &["--tls-max", "1.2"],
        &["--cert", "client.crt", "--key", "client.key"],
        &["--cert", "expired.crt", "--key", "expired.key", "--http1.1"],
    ];
    let told = same(|program| {
        options.map(|option| {
            let (backend, seen) = recorder();
            let text = format!(
                "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem ca-file $(lab)/ca.crt verify optional \
                 crt-ignore-err all alpn http/1.1 ciphers ECDHE-RSA-AES128-GCM-SHA256 ciphersuites TLS_AES_128_GCM_SHA256\n \
                 unique-id-format id-%[ssl_fc_sni]\n timeout server 200ms\n server s 127.0.0.1:$(s) {option}\n"
            );
            let lab = crate::tls_lab::lab();
            let proxy = program.http(&text).with("lab", lab.display()).with("s", backend.port()).start();
            clients.map(|arguments| {
                let before = seen.lock().expect("no script panics").len();
                let arguments = [arguments, &["--max-time", "1"]].concat();
                crate::tls_lab::curl(proxy.port("web"), "a.example", "/", &arguments);
                wait_until("the bytes", || seen.lock().expect("no script panics").len() > before);
                let bytes = seen.lock().expect("no script panics")[before].clone();
                let found = tlvs(&bytes).into_iter().map(|(kind, value)| (kind, value.escape_ascii().to_string()));
                (option, found.collect::<Vec<_>>())
            })
        })
    });
    // PP2_TYPE_AUTHORITY and PP2_TYPE_CRC32C.
    assert!(told[5][0].1.contains(&(2, "a.example".to_owned())), "{:?}", told[5]);
    assert!(told[6][0].1.contains(&(3, "\\x01".to_owned())), "{:?}", told[6]);
}

// row: 187
#[test]
fn names_of_the_header_are_known_behind_it() {
    let found = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web) ssl crt $(lab)/a.pem alpn h2,http/1.1\n unique-id-format id-%[ssl_fc_sni]\n \
                    use-server clear if { path_beg /clear }\n use-server tls if { path_beg /tls }\n use-server h2 if { path_beg /h2 }\n \
                    use-server bare if { path_beg /bare }\n \
                    server clear 127.0.0.1:$(clear) send-proxy-v2 proxy-v2-options authority,unique-id\n \
                    server tls 127.0.0.1:$(tls) ssl verify none send-proxy-v2 proxy-v2-options authority,unique-id\n \
                    server h2 127.0.0.1:$(tls) ssl verify none alpn h2 send-proxy-v2 proxy-v2-options authority,unique-id\n \
                    server bare 127.0.0.1:$(clear) send-proxy-v2\n\
                    listen far\n bind 127.0.0.1:$(clear) accept-proxy\n bind 127.0.0.1:$(tls) accept-proxy ssl crt $(lab)/a.pem alpn h2,http/1.1\n \
                    http-request return status 200 content-type text/plain lf-string \
                    \"%[fc_rcvd_proxy] [%[fc_pp_authority]] [%[fc_pp_unique_id]] %[ssl_fc] %[fc_http_major]\"\n";
        let proxy = program.http(text).with("lab", crate::tls_lab::lab().display()).start();
        ["/clear", "/tls", "/h2", "/bare"]
            .map(|path| crate::tls_lab::curl(proxy.port("web"), "a.example", path, &[]).0)
    });
    assert_eq!(found[2], "1 [a.example] [id-a.example] 1 2");
}
