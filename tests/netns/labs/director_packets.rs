//! The director's XDP programs on single packets, without traffic: what comes out, byte for byte.

use aya::programs::{TestRun, TestRunOptions};
use director::dataplane::Dataplane;
use director::table::Change;
use director::xdp::{Options, Xdp};
use netlink::ipvs::{Destination, Forward, Key, Service, TCP, Tunnel, UDP};
use netns::{lab, run};

const PASS: u32 = 2;
const DROP: u32 = 1;
const SEND_BACK: u32 = 3;
const FLOWS: u32 = 1024;
const CLIENT: [u8; 4] = [10, 1, 0, 2];
const SERVICE: [u8; 4] = [10, 1, 0, 100];
const DIRECTOR_LINK: [u8; 6] = [2, 0, 0, 0, 0, 1];
const REAL_LINKS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 11], [2, 0, 0, 0, 0, 12]];
const CLIENT_LINK: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// One interface to a network with a client and two real servers, whose link addresses are known.
fn network() -> u32 {
    run("sysctl -qw net.ipv4.ip_forward=1");
    run("ip link add lan type veth peer name away && ip link set lan address 02:00:00:00:00:01");
    run("ip link set lan up && ip link set away up && ip addr add 10.1.0.1/24 dev lan");
    for (last, link) in [(2, 2), (11, 11), (12, 12)] {
        run(&format!("ip neigh add 10.1.0.{last} lladdr 02:00:00:00:00:{link:02x} dev lan nud permanent"));
    }
    run("ip -o link show lan | cut -d: -f1").trim().parse().expect("a number")
}

fn key(protocol: u16) -> Key {
    Key::Address { protocol, address: SERVICE.into(), port: 80 }
}

/// A plane with one service and two real servers on port 8080.
fn plane(protocol: u16, scheduler: &str, forward: Forward) -> Xdp {
    let mut plane =
        Xdp::load(&Options { flows_max: FLOWS, ..Options::default() }).expect("the programs are loaded");
    plane.apply(&Change::AddService(Service::new(key(protocol), scheduler))).expect("added");
    for last in [11, 12] {
        let port = if forward == Forward::Masquerade { 8080 } else { 80 };
        let server = Destination::new([10, 1, 0, last].into(), port, forward, 1);
        plane.apply(&Change::AddServer(key(protocol), server)).expect("added");
    }
    plane
}

fn sum(words: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in words.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum over a segment and the addresses before it; all ones where its checksum is right.
fn segment_sum(ip: &[u8]) -> u16 {
    let segment = &ip[20..];
    let ends = u32::from(sum(&ip[12..20], 0));
    let length = u32::try_from(segment.len()).expect("short");
    sum(segment, ends + u32::from(ip[9]) + length)
}

/// A frame with a TCP or UDP segment of some bytes, its checksums right.
fn frame(protocol: u8, from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
    let (head, checksum_at) = if protocol == 6 { (20, 16) } else { (8, 6) };
    let mut segment = vec![0; head];
    segment[..2].copy_from_slice(&from.1.to_be_bytes());
    segment[2..4].copy_from_slice(&to.1.to_be_bytes());
    if protocol == 6 {
        segment[12] = 0x50;
        segment[13] = 0x02;
    } else {
        segment[4..6].copy_from_slice(&13_u16.to_be_bytes());
    }
    segment.extend_from_slice(b"hello");
    let length = u16::try_from(20 + segment.len()).expect("short");
    let mut ip = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, protocol, 0, 0];
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip.extend_from_slice(&from.0);
    ip.extend_from_slice(&to.0);
    let checksum = !sum(&ip, 0);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    ip.extend_from_slice(&segment);
    let checksum = !segment_sum(&ip);
    ip[20 + checksum_at..22 + checksum_at].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = Vec::new();
    frame.extend_from_slice(&DIRECTOR_LINK);
    frame.extend_from_slice(&CLIENT_LINK);
    frame.extend_from_slice(&[0x08, 0x00]);
    frame.extend_from_slice(&ip);
    frame
}

/// Runs the program on a frame that came in on the interface; what it said, and the frame then.
fn through(plane: &mut Xdp, interface: u32, frame: &[u8]) -> (u32, Vec<u8>) {
    let mut output = vec![0; 2048];
    let mut context = [0_u32; 6];
    context[1] = u32::try_from(frame.len()).expect("short");
    context[3] = interface;
    let context: Vec<u8> = context.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.data_out = Some(&mut output);
    options.ctx_in = Some(&context);
    let result = plane.program().expect("there").test_run(options).expect("it runs");
    output.truncate(usize::try_from(result.data_size_out).expect("short"));
    (result.return_value, output)
}

/// Bytes of the IP packet that [`frame`] makes.
fn request_length(protocol: u8) -> usize {
    frame(protocol, (CLIENT, 1), (SERVICE, 80)).len() - 14
}

fn counted(plane: &Xdp, name: &str) -> u64 {
    let counters = plane.counters().expect("readable");
    counters.into_iter().find(|(known, _)| *known == name).expect("a counter").1
}

fn assert_checksums(frame: &[u8]) {
    assert_eq!(sum(&frame[14..34], 0), 0xffff, "of the IP header");
    assert_eq!(segment_sum(&frame[14..]), 0xffff, "of the segment");
}

// row: 289, 292
#[test]
fn translated_packets_go_in_turns_and_their_answers_come_back() {
    lab("director_packets::translated_packets_go_in_turns_and_their_answers_come_back", || {
        let interface = network();
        for (protocol, number) in [(TCP, 6), (UDP, 17)] {
            let mut plane = plane(protocol, "rr", Forward::Masquerade);
            let mut reals = Vec::new();
            for port in [40_000, 40_001, 40_002, 40_003] {
                let request = frame(number, (CLIENT, port), (SERVICE, 80));
                let (said, sent) = through(&mut plane, interface, &request);
                assert_eq!(said, SEND_BACK);
                assert_checksums(&sent);
                let real: [u8; 4] = sent[30..34].try_into().expect("an address");
                assert_eq!(sent[..6], REAL_LINKS[usize::from(real[3] - 11)]);
                assert_eq!(sent[6..12], DIRECTOR_LINK);
                assert_eq!((sent[22], &sent[36..38]), (63, &8080_u16.to_be_bytes()[..]));
                reals.push(real[3]);
                // The same flow again finds the same real server.
                let (_, again) = through(&mut plane, interface, &request);
                assert_eq!(again, sent);

                let answer = frame(number, (real, 8080), (CLIENT, port));
                let (said, sent) = through(&mut plane, interface, &answer);
                assert_eq!(said, SEND_BACK);
                assert_checksums(&sent);
                assert_eq!((&sent[26..30], &sent[34..36]), (&SERVICE[..], &80_u16.to_be_bytes()[..]));
                assert_eq!(sent[..6], CLIENT_LINK);
            }
            assert_eq!(reals, [12, 11, 12, 11], "the newest first, as IPVS does");
            let counts = ["flow_new", "reply"].map(|name| counted(&plane, name));
            assert_eq!(counts, [4, 4]);
            let table = plane.read().expect("readable");
            let service = table.0[&key(protocol)].service.statistics;
            assert_eq!((service.connections, service.packets_in, service.packets_out), (4, 8, 4));
            assert_eq!(service.bytes_in, 8 * u64::try_from(request_length(number)).expect("short"));
        }
    });
}

// row: 290, 291
#[test]
fn routed_packets_change_their_link_header_alone_and_tunnelled_ones_are_wrapped() {
    let name =
        "director_packets::routed_packets_change_their_link_header_alone_and_tunnelled_ones_are_wrapped";
    lab(name, || {
        let interface = network();
        let request = frame(6, (CLIENT, 40_000), (SERVICE, 80));

        let mut routing = plane(TCP, "rr", Forward::Route);
        let (said, sent) = through(&mut routing, interface, &request);
        assert_eq!(said, SEND_BACK);
        assert_eq!(sent[14..], request[14..]);
        assert!(REAL_LINKS.contains(&sent[..6].try_into().expect("six bytes")));

        let mut tunnelling = plane(TCP, "rr", Forward::Tunnel(Tunnel::IpInIp));
        let (said, sent) = through(&mut tunnelling, interface, &request);
        assert_eq!(said, SEND_BACK);
        assert_eq!(sent.len(), request.len() + 20);
        assert_eq!(sent[34..], request[14..], "the packet inside is as it was");
        assert_eq!((sent[23], &sent[26..30]), (4, &[10, 1, 0, 1][..]));
        assert_eq!(sum(&sent[14..34], 0), 0xffff);
    });
}

#[test]
fn weight_zero_takes_no_new_flows_and_keeps_its_own() {
    lab("director_packets::weight_zero_takes_no_new_flows_and_keeps_its_own", || {
        let interface = network();
        let mut plane = plane(TCP, "rr", Forward::Masquerade);
        let first = frame(6, (CLIENT, 40_000), (SERVICE, 80));
        let real = through(&mut plane, interface, &first).1[33];
        let mut server = Destination::new([10, 1, 0, real].into(), 8080, Forward::Masquerade, 0);
        plane.apply(&Change::EditServer(key(TCP), server.clone())).expect("changed");
        for port in 41_000..41_010 {
            let other = frame(6, (CLIENT, port), (SERVICE, 80));
            assert_ne!(through(&mut plane, interface, &other).1[33], real, "port {port}");
        }
        assert_eq!(through(&mut plane, interface, &first).1[33], real, "its flow stays");
        server.weight = 1;
        plane.apply(&Change::DeleteServer(key(TCP), server)).expect("removed");
        assert_ne!(through(&mut plane, interface, &first).1[33], real, "a server that is gone has no flows");
    });
}

// row: 299
#[test]
fn hashed_flows_find_the_same_server_on_every_director() {
    lab("director_packets::hashed_flows_find_the_same_server_on_every_director", || {
        let interface = network();
        let (mut one, mut other) = (plane(TCP, "mh", Forward::Route), plane(TCP, "mh", Forward::Route));
        let mut found = [0; 2];
        for last in 1..=100 {
            let request = frame(6, ([10, 1, 7, last], 40_000), (SERVICE, 80));
            let links =
                [through(&mut one, interface, &request).1, through(&mut other, interface, &request).1];
            assert_eq!(links[0][..6], links[1][..6]);
            found[usize::from(links[0][5] - 11)] += 1;
        }
        assert!(found[0] > 25 && found[1] > 25, "{found:?}");
    });
}

#[test]
fn what_the_programs_do_not_handle_goes_on_as_it_came() {
    lab("director_packets::what_the_programs_do_not_handle_goes_on_as_it_came", || {
        let interface = network();
        let mut plane = plane(TCP, "rr", Forward::Masquerade);
        let request = frame(6, (CLIENT, 40_000), (SERVICE, 80));
        let changed = |at: usize, byte: u8| {
            let mut frame = request.clone();
            frame[at] = byte;
            frame
        };
        let cases = [
            ("foreign", frame(6, (CLIENT, 40_000), (SERVICE, 81))),
            ("foreign", changed(12, 0x86)),
            ("foreign", changed(23, 1)),
            ("ip_options", changed(14, 0x46)),
            ("fragment", changed(20, 0x20)),
            ("fragment", changed(21, 1)),
            ("ttl_expired", changed(22, 1)),
            ("malformed", changed(14, 0x65)),
            ("malformed", request[..36].to_vec()),
        ];
        for (name, case) in cases {
            let before = counted(&plane, name);
            let (said, sent) = through(&mut plane, interface, &case);
            assert_eq!((said, &sent), (PASS, &case), "{name}");
            assert_eq!(counted(&plane, name), before + 1, "{name}");
        }
        for last in [11, 12] {
            let server = Destination::new([10, 1, 0, last].into(), 8080, Forward::Masquerade, 1);
            plane.apply(&Change::DeleteServer(key(TCP), server)).expect("removed");
        }
        assert_eq!(through(&mut plane, interface, &request).0, DROP);
        assert_eq!(counted(&plane, "no_real_server"), 1);
    });
}

/// Any bytes: passed or dropped, or sent to a real server with everything right.
#[test]
fn mangled_packets_are_never_sent_astray() {
    lab("director_packets::mangled_packets_are_never_sent_astray", || {
        let interface = network();
        let mut plane = plane(TCP, "rr", Forward::Masquerade);
        let request = frame(6, (CLIENT, 40_000), (SERVICE, 80));
        // A generator of its own: the same packets in every run.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).expect("31 bits")
        };
        for _ in 0..20_000 {
            let mut packet = request.clone();
            for _ in 0..=random() % 4 {
                let at = random() % packet.len();
                packet[at] = (random() & 0xff) as u8;
            }
            packet.truncate((14 + random() % packet.len()).min(packet.len()).max(15));
            let (said, sent) = through(&mut plane, interface, &packet);
            match said {
                PASS => assert_eq!(sent, packet),
                DROP => {}
                SEND_BACK => {
                    assert_eq!(packet[30..34], SERVICE, "only the service's packets are sent");
                    assert!(REAL_LINKS.contains(&sent[..6].try_into().expect("six bytes")));
                }
                other => panic!("the program said {other}"),
            }
        }
    });
}

/// A frame that fills the interface, so that no tunnel's header has room beside it.
fn full_frame(may_be_cut: bool) -> Vec<u8> {
    let mut full = frame(6, (CLIENT, 40_000), (SERVICE, 80));
    full.resize(14 + 1500, 7);
    full[16..18].copy_from_slice(&1500_u16.to_be_bytes());
    if may_be_cut {
        full[20] = 0;
    }
    full[24..26].fill(0);
    let checksum = !sum(&full[14..34], 0);
    full[24..26].copy_from_slice(&checksum.to_be_bytes());
    full
}

#[test]
fn who_sends_more_than_a_tunnel_takes_is_told_what_fits() {
    lab("director_packets::who_sends_more_than_a_tunnel_takes_is_told_what_fits", || {
        let interface = network();
        let mut plane = plane(TCP, "rr", Forward::Tunnel(Tunnel::IpInIp));
        let full = full_frame(false);
        let (said, sent) = through(&mut plane, interface, &full);
        assert_eq!(said, SEND_BACK);
        assert_eq!(sent[..12], [CLIENT_LINK, DIRECTOR_LINK].concat());
        assert_eq!((sent[23], &sent[26..30], &sent[30..34]), (1, &SERVICE[..], &CLIENT[..]));
        assert_eq!(sum(&sent[14..34], 0), 0xffff, "of the IP header");
        // RFC 1191, section 4: unreachable, would have to be cut, and the size in the last half.
        assert_eq!((&sent[34..36], &sent[38..42]), (&[3, 4][..], &[0, 0, 0x05, 0xc8][..]), "1480 bytes fit");
        assert_eq!(sum(&sent[34..], 0), 0xffff, "of the error");
        assert_eq!(sent[42..], full[14..14 + 64], "and the packet that it is about");
        let (said, sent) = through(&mut plane, interface, &full_frame(true));
        assert_eq!(said, DROP, "it is not ours to cut it: {sent:?}");
        let counts = ["too_big_told", "too_big"].map(|name| counted(&plane, name));
        assert_eq!(counts, [1, 1]);
    });
}

#[test]
fn connections_are_listed_in_pieces_while_the_plane_goes_on() {
    lab("director_packets::connections_are_listed_in_pieces_while_the_plane_goes_on", || {
        const CONNECTIONS: u16 = 9000;
        /// Of one look at a map.
        const PIECE_MAX: usize = 4096;
        let interface = network();
        let mut plane = Xdp::load(&Options { flows_max: 65_536, ..Options::default() }).expect("loaded");
        plane.apply(&Change::AddService(Service::new(key(TCP), "rr"))).expect("added");
        let server = |weight| Destination::new([10, 1, 0, 11].into(), 80, Forward::Route, weight);
        plane.apply(&Change::AddServer(key(TCP), server(1))).expect("added");
        for port in 0..CONNECTIONS {
            let (said, _) = through(&mut plane, interface, &frame(6, (CLIENT, 20_000 + port), (SERVICE, 80)));
            assert_eq!(said, SEND_BACK);
        }
        let mut listing = plane.connections();
        let mut pieces = Vec::new();
        while let Some(lines) = plane.next_connections(&mut listing).expect("readable") {
            // Between two pieces the plane is anybody's.
            plane.apply(&Change::EditServer(key(TCP), server(2))).expect("changed");
            pieces.push(lines);
        }
        assert!(pieces.iter().all(|lines| lines.len() <= PIECE_MAX), "{:?}", pieces.iter().map(Vec::len));
        let mut all: Vec<String> = pieces.concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), usize::from(CONNECTIONS));
        assert!(all.iter().all(|line| line.contains(" 0A01000B 0050 SYN_RECV ")), "{:?}", all.first());
    });
}
