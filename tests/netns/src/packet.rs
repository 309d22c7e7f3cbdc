//! Frames for runs of the director's programs without traffic: built with right checksums, sent through, looked at.

use director::xdp::{TestRun, TestRunOptions, Xdp};
use std::net::{IpAddr, SocketAddr};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
pub const FIN: u8 = 1;
pub const RST: u8 = 4;

/// What the program said.
pub const DROP: u32 = 1;
pub const PASS: u32 = 2;
pub const SEND_BACK: u32 = 3;

const ETHERNET_LENGTH: usize = 14;
const IPV6_LENGTH: usize = 40;
const FRAME_MAX: usize = 2048;

/// The one's complement sum of some bytes.
pub fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A TCP segment with these flags, or a datagram where `flags` is `None`.
pub fn segment(flags: Option<u8>, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let (head, checksum_at, protocol) = if flags.is_some() { (20, 16, TCP) } else { (8, 6, UDP) };
    let mut segment = vec![0; head];
    segment[..2].copy_from_slice(&from.port().to_be_bytes());
    segment[2..4].copy_from_slice(&to.port().to_be_bytes());
    let length = u16::try_from(head + payload.len()).expect("short");
    match flags {
        Some(flags) => segment[12..14].copy_from_slice(&[0x50, flags]),
        None => segment[4..6].copy_from_slice(&length.to_be_bytes()),
    }
    segment.extend_from_slice(payload);
    let mut pseudo = [octets(from.ip()), octets(to.ip())].concat();
    pseudo.extend_from_slice(&[0, protocol]);
    pseudo.extend_from_slice(&length.to_be_bytes());
    let checksum = !sum(&segment, u32::from(sum(&pseudo, 0)));
    segment[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
    segment
}

/// An IP packet of the family of its ends.
pub fn packet(protocol: u8, from: IpAddr, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short");
    let mut ip;
    if from.is_ipv4() {
        ip = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, protocol, 0, 0];
        ip[2..4].copy_from_slice(&(length + 20).to_be_bytes());
        ip.extend([octets(from), octets(to)].concat());
        let checksum = !sum(&ip, 0);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        ip = vec![0x60, 0, 0, 0];
        ip.extend_from_slice(&length.to_be_bytes());
        ip.extend_from_slice(&[protocol, 64]);
        ip.extend([octets(from), octets(to)].concat());
    }
    ip.extend_from_slice(payload);
    ip
}

/// An Ethernet frame from the client to the director around a packet.
pub fn frame(packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend_from_slice(&kind);
    frame.extend_from_slice(packet);
    frame
}

/// A frame with a segment.
pub fn tcp(flags: u8, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    frame(&packet(TCP, from.ip(), to.ip(), &segment(Some(flags), from, to, b"hello")))
}

/// A frame with a datagram.
pub fn udp(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    frame(&packet(UDP, from.ip(), to.ip(), &segment(None, from, to, b"hello")))
}

/// A frame with an ICMP error of this type, about a packet.
pub fn error(kind: u8, from: IpAddr, to: IpAddr, about: &[u8]) -> Vec<u8> {
    let mut icmp = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend_from_slice(about);
    let (protocol, mut start) = if from.is_ipv4() { (1, 0) } else { (58, 0) };
    if from.is_ipv6() {
        let mut pseudo = [octets(from), octets(to)].concat();
        pseudo.extend_from_slice(&u32::try_from(icmp.len()).expect("short").to_be_bytes());
        pseudo.extend_from_slice(&[0, 0, 0, protocol]);
        start = u32::from(sum(&pseudo, 0));
    }
    let checksum = !sum(&icmp, start);
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    frame(&packet(protocol, from, to, &icmp))
}

/// A packet taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    pub protocol: u8,
    pub hops: u8,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub payload: Vec<u8>,
}

impl Parts {
    /// Of a packet whose header is right.
    #[track_caller]
    pub fn of(packet: &[u8]) -> Self {
        if packet[0] >> 4 == 4 {
            assert_eq!(sum(&packet[..20], 0), 0xffff, "the checksum of the IP header");
            let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            assert_eq!(length, packet.len(), "the length in the IP header");
            let address = |at: usize| {
                let bytes: [u8; 4] = packet[at..at + 4].try_into().expect("four bytes");
                IpAddr::from(bytes)
            };
            return Self {
                protocol: packet[9],
                hops: packet[8],
                source: address(12),
                destination: address(16),
                payload: packet[20..].to_vec(),
            };
        }
        let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        assert_eq!(length + IPV6_LENGTH, packet.len(), "the length in the IP header");
        let address = |at: usize| {
            let bytes: [u8; 16] = packet[at..at + 16].try_into().expect("sixteen bytes");
            IpAddr::from(bytes)
        };
        Self {
            protocol: packet[6],
            hops: packet[7],
            source: address(8),
            destination: address(24),
            payload: packet[IPV6_LENGTH..].to_vec(),
        }
    }

    fn pseudo(&self) -> u32 {
        let mut pseudo = [octets(self.source), octets(self.destination)].concat();
        pseudo.extend_from_slice(&u32::try_from(self.payload.len()).expect("short").to_be_bytes());
        pseudo.extend_from_slice(&[0, 0, 0, self.protocol]);
        u32::from(sum(&pseudo, 0))
    }

    /// Source and destination with the ports of a segment whose checksum is right.
    #[track_caller]
    pub fn ends(&self) -> (SocketAddr, SocketAddr) {
        assert_eq!(sum(&self.payload, self.pseudo()), 0xffff, "the checksum of the segment");
        self.ends_unchecked()
    }

    /// Of a segment that may have lost its end or its checksum.
    pub fn ends_unchecked(&self) -> (SocketAddr, SocketAddr) {
        let port = |at: usize| u16::from_be_bytes([self.payload[at], self.payload[at + 1]]);
        (SocketAddr::new(self.source, port(0)), SocketAddr::new(self.destination, port(2)))
    }

    /// What an ICMP error is about; its checksum is right.
    #[track_caller]
    pub fn about(&self) -> Self {
        let start = if self.protocol == 58 { self.pseudo() } else { 0 };
        assert_eq!(sum(&self.payload, start), 0xffff, "the checksum of the error");
        Self::of(&self.payload[8..])
    }
}

/// What came out of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    /// [`PASS`], [`DROP`], [`SEND_BACK`], or 4 for another interface.
    pub said: u32,
    pub frame: Vec<u8>,
}

impl Out {
    /// The packet that was sent.
    #[track_caller]
    pub fn sent(&self) -> Parts {
        assert_eq!(self.said, SEND_BACK, "{:02x?}", self.frame);
        Parts::of(&self.frame[ETHERNET_LENGTH..])
    }

    /// The last byte of the link address that it was sent to.
    #[track_caller]
    pub fn link(&self) -> u8 {
        assert_eq!(self.said, SEND_BACK, "{:02x?}", self.frame);
        self.frame[5]
    }
}

/// Runs the program on a frame that came in on the interface.
#[track_caller]
pub fn through(plane: &mut Xdp, interface: u32, frame: &[u8]) -> Out {
    let mut output = vec![0; FRAME_MAX];
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
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
    Out { said: result.return_value, frame: output }
}

/// One interface to a network with a client (2) and real servers (11, 12, 13), whose link addresses are known, in both
/// families: 10.1.0.0/24 and fd00:1::/64. Its number.
#[track_caller]
pub fn network() -> u32 {
    // Not the shell's own `ip`, which some small ones have.
    let run = |line: &str| crate::run(&format!("exec bash -c '{line}'"));
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    run("ip link add lan type veth peer name away && ip link set lan address 02:00:00:00:00:01");
    run("ip link set lan up && ip link set away up && ip addr add 10.1.0.1/24 dev lan");
    run("ip addr add fd00:1::1/64 dev lan nodad");
    for last in [2, 11, 12, 13] {
        for address in [format!("10.1.0.{last}"), format!("fd00:1::{last:x}")] {
            let link = format!("lladdr 02:00:00:00:00:{last:02x}");
            run(&format!("ip neigh add {address} {link} dev lan nud permanent"));
        }
    }
    run("ip -o link show lan | cut -d: -f1").trim().parse().expect("a number")
}
