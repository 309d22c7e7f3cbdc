//! The director's XDP programs over the life of flows: both families, tunnels, states and counts, schedulers by counts,
//! persistence, errors.

use director::dataplane::Dataplane;
use director::table::Change;
use director::xdp::{Options, Xdp};
use netlink::ipvs::{
    ChecksumMode, Destination, Flags, Forward, Key, Netmask, Service, TCP as TCP_SERVICE, Timeouts, Tunnel,
    UDP as UDP_SERVICE,
};
use netns::lab;
use netns::packet::{
    ACK, DROP, FIN, Out, PASS, Parts, RST, SYN, error, network, packet, segment, tcp, through, udp,
};
use std::net::{IpAddr, SocketAddr};

const FLOWS: u32 = 4096;

fn load() -> Xdp {
    Xdp::load(&Options { flows_max: FLOWS, ..Options::default() }).expect("the programs are loaded")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn key(protocol: u16, service: SocketAddr) -> Key {
    Key::Address { protocol, address: service.ip(), port: service.port() }
}

/// Adds a service with real servers and their weights.
fn serve(plane: &mut Xdp, service: Service, forward: Forward, servers: &[(&str, u32)]) {
    let key = service.key;
    plane.apply(&Change::AddService(service)).expect("added");
    for (server, weight) in servers {
        let at = address(server);
        let server = Destination::new(at.ip(), at.port(), forward, *weight);
        plane.apply(&Change::AddServer(key, server)).expect("added");
    }
}

/// Active and inactive connections of the real servers, in the order of their addresses.
fn counts(plane: &mut Xdp, key: &Key) -> Vec<(u32, u32)> {
    let table = plane.read().expect("readable");
    table.0[key].servers.values().map(|server| (server.active, server.inactive)).collect()
}

fn client(port: u16) -> SocketAddr {
    SocketAddr::new([10, 1, 0, 2].into(), port)
}

const V4: &str = "10.1.0.100:80";
const V6: &str = "[fd00:1::64]:80";

// row: 289, 290, 291
#[test]
fn both_families_are_translated_routed_and_tunnelled() {
    lab("director_flows::both_families_are_translated_routed_and_tunnelled", || {
        let lan = network();
        for (service, from, real, other) in [
            (V4, "10.1.0.2:4000", "10.1.0.11:8080", "[fd00:1::c]:80"),
            (V6, "[fd00:1::2]:4000", "[fd00:1::b]:8080", "10.1.0.12:80"),
        ] {
            let (service, from, real) = (address(service), address(from), address(real));
            for (protocol, request) in
                [(TCP_SERVICE, tcp(SYN, from, service)), (UDP_SERVICE, udp(from, service))]
            {
                let key = key(protocol, service);
                let mut plane = load();
                serve(&mut plane, Service::new(key, "rr"), Forward::Masquerade, &[(&real.to_string(), 1)]);
                let sent = through(&mut plane, lan, &request).sent();
                assert_eq!((sent.ends(), sent.hops), ((from, real), 63));
                let answer =
                    if protocol == TCP_SERVICE { tcp(SYN | ACK, real, from) } else { udp(real, from) };
                let out = through(&mut plane, lan, &answer);
                assert_eq!((out.sent().ends(), out.link()), ((service, from), 2));

                // Each tunnel, to a real server of each family.
                let tunnels = [
                    Tunnel::IpInIp,
                    Tunnel::Gre { checksum: ChecksumMode::None },
                    Tunnel::Gue { port: 6080, checksum: ChecksumMode::None },
                    Tunnel::Gue { port: 6080, checksum: ChecksumMode::Checksum },
                ];
                let routed = SocketAddr::new(real.ip(), 80);
                for (server, tunnel) in
                    tunnels.iter().flat_map(|tunnel| [(routed, *tunnel), (address(other), *tunnel)])
                {
                    let mut plane = load();
                    let forward = Forward::Tunnel(tunnel);
                    serve(&mut plane, Service::new(key, "rr"), forward, &[(&server.to_string(), 1)]);
                    let outer = through(&mut plane, lan, &request).sent();
                    let own: IpAddr =
                        if server.is_ipv4() { "10.1.0.1" } else { "fd00:1::1" }.parse().expect("one");
                    assert_eq!((outer.source, outer.destination, outer.hops), (own, server.ip(), 64));
                    let inner = unwrapped(&outer, tunnel, service.is_ipv4());
                    assert_eq!(inner, request[14..], "{tunnel:?} to {server}");
                }

                let mut plane = load();
                serve(&mut plane, Service::new(key, "rr"), Forward::Route, &[(&routed.to_string(), 1)]);
                let out = through(&mut plane, lan, &request);
                assert_eq!((out.link(), &out.frame[14..]), (11, &request[14..]));
            }
        }
    });
}

/// The packet within, its wrapping looked at.
#[track_caller]
fn unwrapped(outer: &Parts, tunnel: Tunnel, is_ipv4: bool) -> Vec<u8> {
    let inner_protocol = if is_ipv4 { 4 } else { 41 };
    match tunnel {
        Tunnel::IpInIp => {
            assert_eq!(outer.protocol, inner_protocol);
            outer.payload.clone()
        }
        Tunnel::Gre { .. } => {
            let kind = if is_ipv4 { [0x08, 0x00] } else { [0x86, 0xdd] };
            assert_eq!((outer.protocol, &outer.payload[..4]), (47, &[0, 0, kind[0], kind[1]][..]));
            outer.payload[4..].to_vec()
        }
        Tunnel::Gue { port, checksum } => {
            assert_eq!(outer.protocol, 17);
            if checksum == ChecksumMode::Checksum {
                outer.ends();
            } else {
                assert_eq!(outer.payload[6..8], [0, 0], "without a checksum");
            }
            let (source, destination) = outer.ends_unchecked();
            assert!(source.port() >= 0xc000 && destination.port() == port, "{source} {destination}");
            let length = u16::from_be_bytes([outer.payload[4], outer.payload[5]]);
            assert_eq!(usize::from(length), outer.payload.len());
            assert_eq!(outer.payload[8..12], [0, inner_protocol, 0, 0]);
            outer.payload[12..].to_vec()
        }
    }
}

#[test]
fn connections_are_active_while_they_are_established() {
    lab("director_flows::connections_are_active_while_they_are_established", || {
        let lan = network();
        let service = address(V4);
        let (key, real) = (key(TCP_SERVICE, service), address("10.1.0.11:80"));
        let mut plane = load();
        serve(&mut plane, Service::new(key, "rr"), Forward::Masquerade, &[("10.1.0.11:80", 1)]);
        let from = client(4000);
        let steps = [
            (tcp(SYN, from, service), (0, 1)),
            (tcp(SYN | ACK, real, from), (0, 1)),
            (tcp(ACK, from, service), (1, 0)),
            (tcp(ACK, real, from), (1, 0)),
            (tcp(FIN | ACK, from, service), (0, 1)),
            (tcp(FIN | ACK, real, from), (0, 1)),
            // The same ports again: another connection, the old one is forgotten.
            (tcp(SYN, from, service), (0, 1)),
            (tcp(ACK, from, service), (1, 0)),
            (tcp(RST, from, service), (0, 1)),
        ];
        for (step, (frame, expected)) in steps.iter().enumerate() {
            through(&mut plane, lan, frame).sent();
            assert_eq!(counts(&mut plane, &key), [*expected], "after step {step}");
        }
        // A segment in the middle of a connection that nobody knows is the kernel's to refuse.
        assert_eq!(through(&mut plane, lan, &tcp(ACK, client(4001), service)).said, PASS);

        // A second, and what was silent longer is forgotten; the counts follow.
        plane.set_timeouts(Timeouts { tcp: 1, tcp_fin: 1, udp: 1 }).expect("set");
        through(&mut plane, lan, &tcp(SYN, client(4002), service)).sent();
        through(&mut plane, lan, &tcp(ACK, client(4002), service)).sent();
        assert_eq!(counts(&mut plane, &key), [(1, 1)]);
        std::thread::sleep(std::time::Duration::from_millis(2200));
        plane.walk().expect("walked");
        assert_eq!(counts(&mut plane, &key), [(0, 1)], "closed connections have ten seconds of their own");
        assert_eq!(through(&mut plane, lan, &tcp(ACK, client(4002), service)).said, PASS);
    });
}

/// Connects from a port on: the last number of the real server's address.
fn connect(plane: &mut Xdp, lan: u32, port: u16, service: SocketAddr) -> u8 {
    let out = through(plane, lan, &tcp(SYN, client(port), service));
    if out.said == DROP {
        return 0;
    }
    through(plane, lan, &tcp(ACK, client(port), service)).sent();
    out.link()
}

// row: 294, 295, 296, 297, 300
#[test]
fn schedulers_by_counts_choose_as_they_are_defined() {
    lab("director_flows::schedulers_by_counts_choose_as_they_are_defined", || {
        let lan = network();
        let service = address(V4);
        let cases: [(&str, [u32; 3], &[u8]); 8] = [
            // Equal counts: the newest first.
            ("lc", [1, 1, 1], &[13, 12, 11, 13, 12, 11]),
            ("wlc", [1, 1, 2], &[13, 12, 11, 13, 13, 12, 11, 13]),
            ("sed", [1, 1, 2], &[13, 13, 12, 11, 13, 13]),
            ("nq", [1, 1, 4], &[13, 12, 11, 13, 13, 13]),
            ("fo", [1, 3, 2], &[12, 12, 12]),
            ("ovf", [1, 2, 1], &[12, 12, 13, 11, 0]),
            // One address is one locality: it stays until it has more connections than weight and another is idle.
            ("lblc", [4, 4, 4], &[13, 13, 13, 13, 13, 12]),
            ("lblcr", [4, 4, 4], &[13, 13, 13, 13, 13, 12, 12]),
        ];
        for (scheduler, weights, expected) in cases {
            let mut plane = load();
            let servers =
                [("10.1.0.11:80", weights[0]), ("10.1.0.12:80", weights[1]), ("10.1.0.13:80", weights[2])];
            serve(&mut plane, Service::new(key(TCP_SERVICE, service), scheduler), Forward::Route, &servers);
            let found: Vec<u8> =
                (4000..).zip(expected).map(|(port, _)| connect(&mut plane, lan, port, service)).collect();
            assert_eq!(found, expected, "{scheduler}");
        }
    });
}

#[test]
fn a_real_server_at_its_threshold_takes_no_more() {
    lab("director_flows::a_real_server_at_its_threshold_takes_no_more", || {
        let lan = network();
        let service = address(V4);
        let key = key(TCP_SERVICE, service);
        for scheduler in ["rr", "wlc"] {
            let mut plane = load();
            serve(&mut plane, Service::new(key, scheduler), Forward::Route, &[("10.1.0.11:80", 1)]);
            let mut limited = Destination::new([10, 1, 0, 12].into(), 80, Forward::Route, 1);
            limited.upper_threshold = 2;
            plane.apply(&Change::AddServer(key, limited)).expect("added");
            let found: Vec<u8> = (4000..4006).map(|port| connect(&mut plane, lan, port, service)).collect();
            assert_eq!(found.iter().filter(|last| **last == 12).count(), 2, "{scheduler}: {found:?}");
        }
    });
}

// row: 267, 306
#[test]
fn persistent_clients_stay_and_masks_group_them() {
    lab("director_flows::persistent_clients_stay_and_masks_group_them", || {
        let lan = network();
        let at = address(V4);
        let mut service = Service::new(key(TCP_SERVICE, SocketAddr::new(at.ip(), 0)), "rr");
        service.flags = Flags(Flags::PERSISTENT);
        service.timeout = 1;
        service.netmask = Netmask::Ipv4([255, 255, 255, 0].into());
        let key = service.key;
        let mut plane = load();
        serve(&mut plane, service, Forward::Route, &[("10.1.0.11:0", 1), ("10.1.0.12:0", 1)]);
        let mut links = |client: &str, port: u16| {
            let to = SocketAddr::new(at.ip(), port);
            let out = through(&mut plane, lan, &tcp(SYN, address(client), to));
            assert_eq!(Parts::of(&out.frame[14..]).ends(), (address(client), to));
            out.link()
        };
        // Every port, and every client of a network.
        let first = links("10.1.7.1:4000", 80);
        assert_eq!([links("10.1.7.9:4000", 443), links("10.1.7.1:4001", 22)], [first; 2]);
        assert_ne!(links("10.1.8.1:4000", 80), first);
        // Flows that live keep their client with its real server.
        std::thread::sleep(std::time::Duration::from_millis(1300));
        plane.walk().expect("walked");
        let persistent: u32 =
            plane.read().expect("readable").0[&key].servers.values().map(|server| server.persistent).sum();
        assert_eq!(persistent, 2);
        let out = through(&mut plane, lan, &tcp(SYN, address("10.1.7.77:4000"), at));
        assert_eq!(out.link(), first);
    });
}

#[test]
fn one_packet_datagrams_go_in_turns_and_leave_nothing() {
    lab("director_flows::one_packet_datagrams_go_in_turns_and_leave_nothing", || {
        let lan = network();
        let at = SocketAddr::new([10, 1, 0, 100].into(), 53);
        let mut service = Service::new(key(UDP_SERVICE, at), "rr");
        service.flags = Flags(Flags::ONE_PACKET);
        let key = service.key;
        let mut plane = load();
        serve(&mut plane, service, Forward::Masquerade, &[("10.1.0.11:53", 1), ("10.1.0.12:53", 1)]);
        let from = client(4000);
        let links: Vec<u8> = (0..4).map(|_| through(&mut plane, lan, &udp(from, at)).link()).collect();
        assert_eq!(links, [12, 11, 12, 11]);
        assert_eq!(counts(&mut plane, &key), [(0, 0), (0, 0)]);
        let answer = through(&mut plane, lan, &udp(address("10.1.0.11:53"), from));
        assert_eq!(answer.sent().ends(), (at, from));
    });
}

#[test]
fn errors_find_both_ends_of_a_flow() {
    lab("director_flows::errors_find_both_ends_of_a_flow", || {
        let lan = network();
        let kinds = [
            (V4, "10.1.0.2:4000", "10.1.0.11:8080", "10.1.0.13", 3),
            (V6, "[fd00:1::2]:4000", "[fd00:1::b]:8080", "fd00:1::d", 2),
        ];
        for (service, from, real, router, kind) in kinds {
            let (service, from, real) = (address(service), address(from), address(real));
            let router: IpAddr = router.parse().expect("an address");
            let key = key(TCP_SERVICE, service);
            let mut plane = load();
            serve(&mut plane, Service::new(key, "rr"), Forward::Masquerade, &[(&real.to_string(), 1)]);
            through(&mut plane, lan, &tcp(SYN, from, service)).sent();
            let whole = |from: SocketAddr, to: SocketAddr| {
                packet(6, from.ip(), to.ip(), &segment(Some(ACK), from, to, b"large"))
            };
            // A router on the way to the client says of an answer that it is too big: the real server must hear it.
            let told = error(kind, router, service.ip(), &whole(service, from));
            let sent = through(&mut plane, lan, &told).sent();
            assert_eq!((sent.source, sent.destination), (router, real.ip()));
            assert_eq!(sent.about().ends_unchecked(), (real, from));
            // The real server says of a request that nobody takes it: the client must hear it of the service.
            let told = error(1 + u8::from(kind == 3) * 2, real.ip(), from.ip(), &whole(from, real));
            let sent = through(&mut plane, lan, &told).sent();
            assert_eq!((sent.source, sent.destination), (service.ip(), from.ip()));
            assert_eq!(sent.about().ends_unchecked(), (from, service));

            // Routed, the packet within is as the real server knows it.
            let mut plane = load();
            let server = SocketAddr::new(real.ip(), 80).to_string();
            serve(&mut plane, Service::new(key, "rr"), Forward::Route, &[(&server, 1)]);
            through(&mut plane, lan, &tcp(SYN, from, service)).sent();
            let told = error(kind, router, service.ip(), &whole(service, from));
            let Out { said, frame } = through(&mut plane, lan, &told);
            assert_eq!((said, frame[5], &frame[14..]), (3, 11, &told[14..]));
            // Errors of somebody else's flows, and echoes, are the kernel's.
            let foreign = error(kind, router, service.ip(), &whole(service, SocketAddr::new(from.ip(), 9)));
            assert_eq!(through(&mut plane, lan, &foreign).said, PASS);
            let counters = plane.counters().expect("readable");
            assert!(counters.contains(&("icmp_error", 1)), "{counters:?}");
        }
    });
}
