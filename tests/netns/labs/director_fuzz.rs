//! Any bytes through the director's XDP programs: passed on as they came, dropped, or sent where they belong.

use director::dataplane::Dataplane;
use director::table::Change;
use director::xdp::{Options, Xdp};
use netlink::ipvs::{ChecksumMode, Destination, Forward, Key, Service, TCP, Tunnel, UDP};
use netns::lab;
use netns::packet::{ACK, DROP, PASS, SEND_BACK, SYN, error, network, packet, segment, tcp, through, udp};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Seconds of a longer run: `cargo xtask fuzz-director SECONDS`.
const VARIABLE: &str = "HAWSER_FUZZ_SECONDS";
const SECONDS: u64 = 2;

/// The same packets in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.next() & 0xff).expect("a byte")
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn plane(forward: Forward) -> Xdp {
    let mut plane = Xdp::load(&Options { flows_max: 1024, ..Options::default() }).expect("loaded");
    for (protocol, scheduler) in [(TCP, "rr"), (UDP, "wlc")] {
        for (service, servers) in
            [("10.1.0.100:80", ["10.1.0.11", "10.1.0.12"]), ("[fd00:1::64]:80", ["fd00:1::b", "fd00:1::c"])]
        {
            let service = at(service);
            let key = Key::Address { protocol, address: service.ip(), port: service.port() };
            plane.apply(&Change::AddService(Service::new(key, scheduler))).expect("added");
            for server in servers {
                let address = server.parse().expect("an address");
                let port = if forward == Forward::Masquerade { 8080 } else { 80 };
                let server = Destination::new(address, port, forward, 1);
                plane.apply(&Change::AddServer(key, server)).expect("added");
            }
        }
    }
    plane
}

/// Packets that the programs know what to do with.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (client, service, real) in [
        ("10.1.0.2:4000", "10.1.0.100:80", "10.1.0.12:8080"),
        ("[fd00:1::2]:4000", "[fd00:1::64]:80", "[fd00:1::c]:8080"),
    ] {
        let (client, service, real) = (at(client), at(service), at(real));
        seeds.extend([tcp(SYN, client, service), tcp(ACK, client, service), udp(client, service)]);
        seeds.extend([tcp(ACK, real, client), udp(real, client)]);
        let about = |from: SocketAddr, to: SocketAddr| {
            packet(6, from.ip(), to.ip(), &segment(Some(ACK), from, to, b"x"))
        };
        // Fills the network: no tunnel has room beside it.
        let full = vec![7; if client.is_ipv4() { 1460 } else { 1440 }];
        seeds.push(packet(6, client.ip(), service.ip(), &segment(Some(ACK), client, service, &full)));
        let kind = if client.is_ipv4() { 3 } else { 1 };
        seeds.push(error(kind, client.ip(), service.ip(), &about(service, client)));
        seeds.push(error(kind, real.ip(), client.ip(), &about(client, real)));
    }
    seeds
}

/// Where a packet goes, by its header; `None`: too short for one.
fn destination(frame: &[u8]) -> Option<IpAddr> {
    match frame.get(12..14)? {
        [0x08, 0x00] => Some(<[u8; 4]>::try_from(frame.get(30..34)?).ok()?.into()),
        [0x86, 0xdd] => Some(<[u8; 16]>::try_from(frame.get(38..54)?).ok()?.into()),
        _ => None,
    }
}

fn last(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    }
}

/// Packets whose way the programs did not find.
fn unknown_ways(plane: &Xdp) -> u64 {
    let counters = plane.counters().expect("readable");
    counters
        .iter()
        .filter(|(name, _)| ["no_neighbour", "no_route"].contains(name))
        .map(|(_, count)| count)
        .sum()
}

/// What is sent must be for a service or a client of it, and go to whom its header names, or who serves it.
#[track_caller]
fn check(frame: &[u8], said: u32, sent: &[u8], is_routed: bool) {
    match said {
        PASS => assert_eq!(sent, frame, "passed on as it came"),
        DROP => {}
        SEND_BACK => {
            let came_for = destination(frame).expect("sent without a header");
            // A client's address that was mangled can be that of a real server, and answers go there.
            assert!([100, 2, 11, 12, 13].contains(&last(came_for)), "{came_for}: {frame:02x?}");
            assert_eq!(sent[..5], [2, 0, 0, 0, 0], "{frame:02x?}");
            let to = destination(sent).expect("a header");
            let expected: &[u8] = if is_routed { &[11, 12] } else { &[last(to)] };
            assert!(expected.contains(&sent[5]), "to {to} by {}: {frame:02x?}", sent[5]);
            assert!([2, 11, 12, 13].contains(&sent[5]), "to {}: {frame:02x?}", sent[5]);
        }
        other => panic!("the program said {other}: {frame:02x?}"),
    }
}

#[test]
fn no_bytes_are_sent_astray() {
    lab("director_fuzz::no_bytes_are_sent_astray", || {
        let lan = network();
        let seconds = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
        let tunnel = Tunnel::Gue { port: 6080, checksum: ChecksumMode::Checksum };
        let methods =
            [Forward::Masquerade, Forward::Route, Forward::Tunnel(Tunnel::IpInIp), Forward::Tunnel(tunnel)];
        let mut planes: Vec<Xdp> = methods.into_iter().map(plane).collect();
        let seeds = seeds();
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let end = Instant::now() + Duration::from_secs(seconds);
        let (mut count, mut sent) = (0_u64, 0_u64);
        while Instant::now() < end {
            let mut frame = seeds[random.next() % seeds.len()].clone();
            for _ in 0..random.next() % 5 {
                let place = random.next() % frame.len();
                frame[place] = match random.next() % 3 {
                    0 => frame[place] ^ (1 << (random.next() % 8)),
                    1 => [0, 1, 0x7f, 0x80, 0xff][random.next() % 5],
                    _ => random.byte(),
                };
            }
            match random.next() % 4 {
                0 => frame.truncate((15 + random.next() % frame.len()).min(frame.len())),
                1 => frame.extend((0..random.next() % 64).map(|_| 0)),
                _ => {}
            }
            for (plane, method) in planes.iter_mut().zip(methods) {
                let before = unknown_ways(plane);
                let out = through(plane, lan, &frame);
                if out.said == PASS && out.frame != frame {
                    // Translated, and the kernel finds the way to a client whose link address nobody knows.
                    assert_eq!(method, Forward::Masquerade, "{frame:02x?}");
                    assert_eq!(unknown_ways(plane), before + 1, "{frame:02x?}");
                    continue;
                }
                check(&frame, out.said, &out.frame, method == Forward::Route);
                count += 1;
                sent += u64::from(out.said == SEND_BACK);
            }
        }
        let told = |plane: &Xdp| {
            let counters = plane.counters().expect("readable");
            counters.iter().find(|(name, _)| *name == "too_big_told").map_or(0, |(_, count)| *count)
        };
        let told: u64 = planes.iter().map(told).sum();
        println!("{count} packets, {sent} sent, none astray; {told} were told what fits");
        assert!(told > 0, "nobody sent too much");
        assert!(sent * 20 > count, "most are no longer understood: {sent} of {count}");
    });
}
