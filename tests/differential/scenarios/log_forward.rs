//! `log-forward` sections: syslog messages received in datagrams and streams, and sent on.

use differential::{Backend, Instance, PATIENCE, Program, ReservedPort, Sink, same, wait_until};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FORMATS: [&str; 9] = [
    "",
    "format local",
    "format rfc3164",
    "format rfc5424",
    "format priority",
    "format short",
    "format timed",
    "format iso",
    "format raw",
];

/// Well-formed, without parts, hostile: each is one datagram.
const MESSAGES: &[&str] = &[
    "<165>Oct  1 13:30:01 host.example app[123]: hello world",
    "<165>Oct 11 13:30:01 host app: hello\n",
    "<165>Oct  1 13:30:01 host no tag",
    "<165>Oct  1 13:30:01 host -- odd",
    "<165>Oct xx 13:30:01 host t: odd day",
    "<165>Oct-01 13:30:01 host t: odd blank",
    "<165>oct  1 13:30:01 host t: no month",
    "<165>Oct  1 13:30:01 host",
    "<165>Oct  1 13:30:01 host ",
    "<165>Oct  1 13:30:01  host t: two blanks",
    "<165>Oct  1 13:30:01 host  t: two blanks",
    "<165>Oct  1 13:30:01 host t:  two blanks",
    "<165>Oct  1 13:30:01 host tag[]: m",
    "<165>Oct  1 13:30:01 host tag[12] m",
    "<165>Oct  1 13:30:01 host tag[12]:m",
    "<165>Oct  1 13:30:01 host tag[1[2]: m",
    "<165>Oct  1 13:30:01 host tag[1]]: m",
    "<165>Oct  1 13:30:01 host a[1]x[2]: m",
    "<165>Oct  1 13:30:01 host a[b: m",
    "<165>Oct  1 13:30:01 host a:b: m",
    "<165>Oct  1 13:30:01 host [1]: m",
    "<165>Oct  1 13:30:01 host [1]x[2]: m",
    "<165>Oct  1 13:30:01 host a[1:]: m",
    "<165>Oct  1 13:30:01 host : m",
    "<165>Oct  1 13:30:01 host a[1]:",
    "<165>Oct  1 13:30:01 host my-app/x.y[77]: m\nwith\ttabs \u{0} and \u{1b} more",
    "<165>1 2003-10-11T22:14:15.003Z mymachine evntslog 77 ID47 [a@1 iut=\"3\" e=\"A\"][x@1 a=\"b\\]\"] \u{feff}event",
    "<165>1 2003-10-11T22:14:15.003Z mymachine evntslog 77 ID47 [a@1 e=\"]\"] event",
    "<165>1 2003-10-01T22:14:15+02:00 h a - ID47 - text",
    "<165>1 2003-10-11T22:14:15Z - a 1 i - m",
    "<165>1 2003-10-11T22:14:15Z h - 1 i - m",
    "<165>1 2003-10-11T22:14:15Z - - - - - m",
    "<165>1 - h a 1 i - m",
    "<165>1 - - a 1 - - m",
    "<165>1 - - - 7 - - m",
    "<165>1 - - - - - - m",
    "<165>1 2003-13-11T22:14:15Z h a 1 i - m",
    "<165>1 2003-00-11T22:14:15Z h a 1 i - m",
    "<165>1 2003-1x-11T22:14:15Z h a 1 i - m",
    "<165>1 2003-10-11T22:14:15.12x h a 1 i - m",
    "<165>1 2003-10-11T22:14:15 h a 1 i - m x - z",
    "<165>1 2003-10-11T22:14:15Z h  a 1 i - m",
    "<165>1 2003-10-11T22:14:15Z h a 1 i x m",
    "<165>1 2003-10-11T22:14:15Z h a 1 i -",
    "<165>1 2003-10-11T22:14:15Z h a 1 i - ",
    "<165>1 2003-10-11T22:14:15Z h a 1 i [a] [b] m",
    "<165>1 2003-10-11T22:14:15Z h a 1 i [a\\\\] m] n",
    "<165>1 2003-10-11T22:14:15Z host",
    "<165>1 nodate host app 1 2 - x",
    "<165>1 -",
    "<165>1 ",
    "<165>2 2003-10-11T22:14:15Z h a 1 i - m",
    "<165>just text",
    "just text",
    "<9>x",
    "<>x",
    "<999>x",
    "<1005>x",
    "<4294967295>x",
    "<99999999999>x",
    "<abc>x",
    "<13",
    "<13>",
    "<",
    "",
    "\n",
    "x\n\n",
    "<13>x\r\n",
    "Oct  1 13:30:01 host app[1]: no priority",
    "1 2003-10-11T22:14:15.003Z host app 1 2 - no priority",
];

/// Dates of the day it is: all but those that messages have.
fn without_now(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut at = 0;
    let is_time = |at: usize| {
        let time = bytes.get(at..at + 8)?;
        let shaped = time.iter().enumerate().all(|(place, byte)| match place {
            2 | 5 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
        (shaped && time != b"13:30:01" && time != b"22:14:15").then_some(())
    };
    for (place, letter) in text.char_indices() {
        if place < at {
            continue;
        }
        if is_time(place).is_some() {
            out.push_str("NOW");
            at = place + 8;
            let fraction = bytes[at..].iter().take_while(|byte| **byte == b'.' || byte.is_ascii_digit());
            at += fraction.count();
        } else {
            out.push(letter);
        }
    }
    out
}

/// Where datagrams arrive: the UDP port of 127.0.0.1 is what reserves a number.
const DATAGRAMS: &str = "127.0.0.2";

fn datagram(proxy: &Instance, message: &[u8]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.send_to(message, (DATAGRAMS, proxy.port("in"))).expect("sent");
}

fn connect(proxy: &Instance) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port("in"))).expect("connects")
}

/// `lines` go into the section, which listens for both kinds.
fn forwarding(program: Program, global: &str, lines: &str) -> differential::Launch {
    program.config(&format!(
        "global\n{global}\nlog-forward logs\n bind 127.0.0.1:$(in)\n dgram-bind 127.0.0.2:$(in)\n \
         timeout client 20s\n{lines}\n"
    ))
}

// row: 64
#[test]
fn messages_are_sent_on_in_every_format() {
    let seen = same(|program| {
        let sinks = FORMATS.map(|_| Sink::udp());
        let line = |(format, sink): (&&str, &Sink)| {
            format!(" log 127.0.0.1:{} len 200 {format} local3\n", sink.port())
        };
        let lines: String = FORMATS.iter().zip(&sinks).map(line).collect();
        let proxy = forwarding(program, " log-send-hostname other\n log-tag other", &lines).start();
        for (count, message) in MESSAGES.iter().enumerate() {
            datagram(&proxy, message.as_bytes());
            // In order, and none lost in a queue.
            sinks.iter().for_each(|sink| drop(sink.wait_for(count + 1, |_| true)));
        }
        sinks.map(|sink| sink.lines().iter().map(|line| without_now(line)).collect::<Vec<_>>())
    });
    assert_eq!(seen[0].len(), MESSAGES.len());
    assert_eq!(
        seen[3][0].rsplit_once("-10-01T").expect("a date").1,
        "13:30:01-00:00 host.example app 123 - - hello world\n"
    );
    assert_eq!(seen[2][28], "<165>Oct  1 22:14:15 h a: text\n");
}

/// What a client sends, piece by piece.
const STREAMS: &[&[&str]] = &[
    &["<13>a\n<14>b\n"],
    &["<13>a\r\n"],
    &["5 <13>a7 <14>bcd"],
    &["5 <13>a<14>b\n6 <15>cc"],
    &["5 <1", "3>a", "<1", "4>b", "\n"],
    &["8 <13>a\nb\n5 <13>z"],
    &["5 hello4 abcd"],
    &["5 <13>a\n5 <13>b"],
    &["hello\n"],
    &["0 <13>a"],
    &["05 <13>a"],
    &["5x <13>a"],
    &["99999 <13>a"],
    &["1000000000000000000000000000005 <13>a"],
    &[" <13>a\n"],
    &["\n<13>a\n"],
    &["<13>one\n<14>half"],
];

// row: 64
#[test]
fn streams_are_counted_or_end_with_lines() {
    let seen = same(|program| {
        // HAProxy 2.6.12 never lets go of a client that closes.
        let proxy = forwarding(program, "", " log 127.0.0.1:$(log) local0\n maxconn 100\n").start();
        let mut ends = Vec::new();
        for (number, pieces) in STREAMS.iter().enumerate() {
            let mut client = connect(&proxy);
            for piece in *pieces {
                client.write_all(piece.as_bytes()).expect("sent");
                std::thread::sleep(Duration::from_millis(20));
            }
            client.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
            // A client that says nonsense is cut off, with or without a reset.
            ends.push(match client.read(&mut [0; 10]).map_err(|error| error.kind()) {
                Err(ErrorKind::WouldBlock) => "goes on",
                Ok(0) | Err(ErrorKind::ConnectionReset) => "is cut off",
                other => panic!("{other:?}"),
            });
            datagram(&proxy, format!("<15>end of {number}.").as_bytes());
            proxy.log().expect(&format!("end of {number}."));
        }
        (proxy.log().lines(), ends)
    });
    assert_eq!(seen.0[..4], ["<13>a\n", "<14>b\n", "<15>end of 0.\n", "<13>a\n"]);
    assert!(!seen.0.iter().any(|line| line.contains("half")), "{seen:?}");
    assert_eq!((seen.1[6], seen.1[7], seen.1[16]), ("goes on", "is cut off", "goes on"));
}

// row: 64
#[test]
fn levels_samples_lengths_and_lists_of_targets() {
    let seen = same(|program| {
        let sinks: [Sink; 5] = std::array::from_fn(|_| Sink::udp());
        let ports = sinks.each_ref().map(Sink::port);
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let server = {
            let heard = Arc::clone(&heard);
            Backend::raw_on(ReservedPort::new(), move |connection, _| {
                loop {
                    match connection.exact(1) {
                        Ok(byte) => heard.lock().expect("no script panics").extend(byte),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            })
        };
        let lines = format!(
            " log 127.0.0.1:{} local0\n no log\n log global\n log 127.0.0.1:{} local0 notice err\n \
             log 127.0.0.1:{} len 80 sample 1-2,4:5 local0\n log 127.0.0.1:{} sample 2:3 local0\n \
             log ring@r local0\nring r\n format priority\n maxlen 60\n server a 127.0.0.1:{} log-proto octet-count\n",
            ports[0],
            ports[2],
            ports[3],
            ports[4],
            server.port()
        );
        let global = format!(" log 127.0.0.1:{} format rfc5424 local5 info", ports[1]);
        let proxy = forwarding(program, &global, &lines).start();
        let mut client = connect(&proxy);
        let long = "l".repeat(100);
        for number in 0..10 {
            writeln!(client, "<{}>Oct  1 13:30:01 h t: m{number} {long}", 160 + number % 8).expect("sent");
        }
        client.write_all(b"4 last").expect("sent");
        // All but the one that is below `info`.
        sinks[1].wait_for(9, |line| line.contains(" m"));
        wait_until("the ring's server has all", || {
            heard.lock().expect("no script panics").ends_with(b"last")
        });
        let heard = String::from_utf8_lossy(&heard.lock().expect("no script panics")).into_owned();
        let logged = sinks.map(|sink| sink.lines().iter().map(|line| without_now(line)).collect::<Vec<_>>());
        (logged, heard)
    });
    let counts = seen.0.each_ref().map(Vec::len);
    assert_eq!((counts[0], counts[3], counts[4]), (0, 7, 4));
    assert!(seen.0[2].iter().all(|line| !line.contains("m6") && !line.contains("m7")));
    assert!(seen.1.starts_with("60 <160>m0 lll"), "{}", seen.1);
}

// row: 64
#[test]
fn maxconn_bounds_clients_and_silence_ends_them() {
    same(|program| {
        let lines = " log 127.0.0.1:$(log) local0\n maxconn 3\n timeout client 4s\n";
        let proxy = forwarding(program, "", lines).start();
        let mut clients: Vec<_> = (0..4)
            .map(|number| {
                let mut client = connect(&proxy);
                writeln!(client, "<13>client {number}").expect("sent");
                client
            })
            .collect();
        proxy.log().wait_for(3, |_| true);
        datagram(&proxy, b"<13>datagrams are no clients");
        proxy.log().expect("no clients");
        assert!(!proxy.log().lines().iter().any(|line| line.contains("client 3")));
        let info = proxy.cli("show info");
        let received = info.lines().find(|line| line.starts_with("CumRecvLogs")).map(str::to_owned);
        if program == Program::Hawser {
            // HAProxy 2.6.12 never lets go of a client: neither when it closes nor when it says nothing.
            drop(clients.remove(0));
            proxy.log().expect("client 3");
            clients[0].set_read_timeout(Some(PATIENCE)).expect("a timeout");
            assert_eq!(clients[0].read(&mut [0; 10]).expect("closed"), 0);
        }
        received
    });
}

// row: 64
#[test]
fn a_soft_stop_closes_the_sockets_and_clients_go_on() {
    same(|program| {
        let mut proxy = forwarding(program, "", " log 127.0.0.1:$(log) local0\n").start();
        let mut client = connect(&proxy);
        client.write_all(b"<13>before\n").expect("sent");
        proxy.log().expect("before");
        proxy.signal(rustix::process::Signal::USR1);
        let address = ("127.0.0.1", proxy.port("in"));
        wait_until("nobody accepts", || TcpStream::connect(address).is_err());
        // A closed port is told to a connected socket.
        let late = UdpSocket::bind("127.0.0.1:0").expect("a port");
        late.connect((DATAGRAMS, address.1)).expect("an address");
        wait_until("nobody takes datagrams", || {
            late.send(b"<13>late").and_then(|_| late.send(b"<13>late")).is_err()
        });
        client.write_all(b"<13>behind\n").expect("sent");
        proxy.log().expect("behind");
        assert!(proxy.is_running());
    });
}
