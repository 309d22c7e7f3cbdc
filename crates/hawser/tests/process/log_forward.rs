//! `log-forward` across reloads: sockets and clients go on, and their messages go where the new configuration says.

use super::program::*;
use super::reload::Proxy;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

struct Sink(UdpSocket);

impl Sink {
    fn new() -> Sink {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Sink(socket)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("bound").port()
    }

    /// Everything up to the first message that ends so.
    fn until(&self, end: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let mut buffer = [0; 2048];
            let length = self.0.recv(&mut buffer).expect("a message");
            heard.push(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned());
            if heard.last().is_some_and(|last| last.ends_with(end)) {
                return heard;
            }
        }
    }
}

/// Inodes of the process's sockets that datagrams arrive at by this port.
fn datagram_sockets(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/udp").expect("the kernel's table");
    let local = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&local)).map(|row| row[9].to_owned()).collect()
}

#[test]
fn a_reload_keeps_the_sockets_and_clients_of_log_forward() {
    let (port, other, web) = (free_port(), free_port(), free_port());
    let (one, two) = (Sink::new(), Sink::new());
    let section = |sink: &Sink, format: &str| {
        format!(
            "listen web\n  bind 127.0.0.1:{web}\n  http-request return status 200\nlog-forward logs\n  bind 127.0.0.1:{port}\n  \
             dgram-bind 127.0.0.1:{port}\n  timeout client 20s\n  log 127.0.0.1:{} format {format} local0\n",
            sink.port()
        )
    };
    let proxy = Proxy::start("", &section(&one, "raw"));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let say = |text: &str| client.send_to(text.as_bytes(), address).expect("sent");
    let mut stream = TcpStream::connect(address).expect("connects");
    say("<13>datagram 1");
    one.until("datagram 1");
    stream.write_all(b"<13>stream 1\n").expect("sent");
    one.until("stream 1");
    let sockets = datagram_sockets(port);
    assert_eq!(sockets.len(), 1, "{sockets:?}");

    // Another target and format; another section beside it.
    let more =
        format!("log-forward more\n  dgram-bind 127.0.0.1:{other}\n  log 127.0.0.1:{} local0\n", two.port());
    proxy.write("", &(more.clone() + &section(&two, "priority")));
    proxy.reload();
    say("<13>datagram 2");
    assert_eq!(two.until("datagram 2"), ["<13>datagram 2"]);
    stream.write_all(b"<13>stream 2\n").expect("sent");
    assert_eq!(two.until("stream 2"), ["<13>stream 2"]);
    client.send_to(b"<13>beside", ("127.0.0.1", other)).expect("sent");
    two.until("beside");
    assert_eq!(datagram_sockets(port), sockets, "the socket stays");

    // A file with a mistake changes nothing.
    proxy.write("", &(section(&one, "raw") + "  nonsense\n"));
    let refused = proxy.say("reload");
    assert!(refused.starts_with("Success=0"), "{refused}");
    say("<13>datagram 3");
    assert_eq!(two.until("datagram 3"), ["<13>datagram 3"]);

    // The section goes: its sockets with it, the client that is connected goes on.
    proxy.write("", &format!("listen web\n  bind 127.0.0.1:{web}\n  http-request return status 200\n{more}"));
    proxy.reload();
    eventually("the sockets are closed", || {
        datagram_sockets(port).is_empty() && TcpStream::connect(address).is_err()
    });
    stream.write_all(b"<13>stream 3\n").expect("sent");
    two.until("stream 3");
    client.send_to(b"<13>still beside", ("127.0.0.1", other)).expect("sent");
    two.until("still beside");
    drop(stream);
    eventually("the old configuration is gone", || proxy.generations() == 1);

    // And comes again.
    proxy.write("", &section(&one, "raw"));
    proxy.reload();
    say("<13>datagram 4");
    one.until("datagram 4");
    let info = proxy.say("show info");
    assert!(info.contains("CumRecvLogs: 9\n"), "{info}");
}
