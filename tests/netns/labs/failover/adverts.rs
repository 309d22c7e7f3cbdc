//! Crafted adverts, sent to a master of keepalived and to one of ours: what each makes of them. Where the two differ, ours
//! is the one that the RFC or its errata ask for, or the one that avoids two masters.

use netns::hosts::{Net, Vrrp, thread_on};
use netns::lab;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use sys::raw::{FrameSocket, RawSocket};
use vrrp::packet::{
    AntiReplay, Audience, HmacConfig, HmacKey, HmacMode, Peer, V3Checksum, internet_checksum,
};
use vrrp::{Advert, Authentication, Interval, Version, Vrid, WallTime, Wire, WireConfig};

/// Priority of the masters.
const PRIORITY: u8 = 150;

/// Bytes before the message.
const IPV4: usize = 20;
const IPV6: usize = 40;

/// What a master does within two intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// It goes on as if nothing were.
    Ignores,
    /// It sends an advert at once.
    Answers,
    /// It falls silent.
    Yields,
}
use Reaction::{Answers, Ignores, Yields};

/// A master under test.
#[derive(Clone, Copy)]
struct Target {
    version: Version,
    is_ipv6: bool,
    vrid: u8,
    /// Number of its host.
    host: u8,
    interval: Duration,
}

impl Target {
    fn addresses(&self) -> Vec<IpAddr> {
        let virtual_router = self.vrid;
        let texts = if self.is_ipv6 {
            vec![format!("fe80::{virtual_router}")]
        } else {
            vec![format!("10.9.0.{virtual_router}")]
        };
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    fn config(&self) -> WireConfig {
        let interval = Interval::new(self.version, self.interval).expect("an interval");
        let vrid = Vrid::new(self.vrid).expect("not 0");
        WireConfig::new(self.version, vrid, interval, self.addresses())
    }

    /// An attacker's address: below that of every host, or above.
    fn source(&self, above: bool) -> IpAddr {
        let text = match (self.is_ipv6, above) {
            (false, false) => "10.9.0.1",
            (false, true) => "10.9.0.250",
            (true, false) => "fe80::1",
            (true, true) => "fe80::ffff:0:0:1",
        };
        text.parse().expect("an address")
    }

    /// A right advert of that priority, as a whole IP packet.
    fn packet(&self, config: WireConfig, priority: u8, above: bool) -> Vec<u8> {
        let interval = config.interval;
        let advert = Advert { source: self.source(above), priority, interval };
        let to = config.destinations().next().expect("one");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let mut message = Vec::new();
        Wire::new(config).write_advert(&mut message, WallTime(now), advert, to).expect("it fits");
        let (IpAddr::V6(source), IpAddr::V6(to)) = (advert.source, to) else { return message };
        let mut packet = vec![0x6c, 0, 0, 0];
        packet.extend((message.len() as u16).to_be_bytes());
        packet.extend([112, 255]);
        packet.extend(source.octets());
        packet.extend(to.octets());
        packet.extend(message);
        packet
    }

    fn good(&self, priority: u8) -> Vec<u8> {
        self.packet(self.config(), priority, false)
    }

    fn header_len(&self) -> usize {
        if self.is_ipv6 { IPV6 } else { IPV4 }
    }

    /// A better advert with something changed, and its lengths and checksums right again.
    fn changed(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let packet = self.good(200);
        let (header, message) = packet.split_at(self.header_len());
        let mut message = message.to_vec();
        change(&mut message);
        self.joined(header, message)
    }

    fn joined(&self, header: &[u8], mut message: Vec<u8>) -> Vec<u8> {
        let mut packet = header.to_vec();
        let pseudo = if self.is_ipv6 {
            packet[4..6].copy_from_slice(&(message.len() as u16).to_be_bytes());
            [&header[8..40], &(message.len() as u32).to_be_bytes(), &[0, 0, 0, 112]].concat()
        } else {
            let total = (IPV4 + message.len()) as u16;
            packet[2..4].copy_from_slice(&total.to_be_bytes());
            packet[10..12].fill(0);
            let checksum = internet_checksum(&[&packet]);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            [&header[12..20], &[0, 112], &(message.len() as u16).to_be_bytes()].concat()
        };
        message[6..8].fill(0);
        let pseudo = if self.version == Version::V2 { &[] } else { pseudo.as_slice() };
        let checksum = internet_checksum(&[pseudo, &message]);
        message[6..8].copy_from_slice(&checksum.to_be_bytes());
        packet.extend(message);
        packet
    }
}

/// Name, keepalived's reaction, ours, the packet.
type Case = (&'static str, Reaction, Reaction, fn(&Target) -> Vec<u8>);

/// For every version and family.
const COMMON: &[Case] = &[
    ("lesser priority", Answers, Answers, |target| target.good(100)),
    ("better priority", Yields, Yields, |target| target.good(200)),
    ("priority 0", Answers, Answers, |target| target.good(0)),
    ("owner", Yields, Yields, |target| target.good(255)),
    ("equal priority, higher address", Yields, Yields, |target| {
        target.packet(target.config(), PRIORITY, true)
    }),
    ("equal priority, lower address", Answers, Answers, |target| target.good(PRIORITY)),
    ("TTL 254", Ignores, Ignores, |target| {
        let mut packet = target.good(200);
        if target.is_ipv6 {
            packet[7] = 254;
            return packet;
        }
        packet[8] = 254;
        let message = packet.split_off(IPV4);
        target.joined(&packet, message)
    }),
    ("version 4", Ignores, Ignores, |target| target.changed(|message| message[0] = 0x41)),
    ("type 2", Ignores, Ignores, |target| target.changed(|message| message[0] += 1)),
    ("last byte cut off", Ignores, Ignores, |target| {
        target.changed(|message| message.truncate(message.len() - 1))
    }),
    ("a byte too many", Ignores, Ignores, |target| target.changed(|message| message.push(0))),
    ("28 bytes too many", Ignores, Ignores, |target| target.changed(|message| message.extend([1; 28]))),
    ("header only", Ignores, Ignores, |target| target.changed(|message| message.truncate(8))),
    ("count of 2, one address", Ignores, Ignores, |target| target.changed(|message| message[3] = 2)),
    ("count of 0", Ignores, Ignores, |target| target.changed(|message| message[3] = 0)),
    ("wrong checksum", Ignores, Ignores, |target| {
        let mut packet = target.good(200);
        packet[target.header_len() + 7] ^= 0x10;
        packet
    }),
    ("checksum 0", Ignores, Ignores, |target| {
        let mut packet = target.good(200);
        let at = target.header_len() + 6;
        packet[at..at + 2].fill(0);
        packet
    }),
    ("another virtual router", Ignores, Ignores, |target| target.changed(|message| message[1] = 99)),
    // keepalived 2.2.7 drops it, and so there are two masters for ever; 2.3.3 and later take it.
    ("another address", Ignores, Yields, |target| {
        let last = target.config().family.address_len() + 7;
        target.changed(|message| message[last] ^= 1)
    }),
];

const V2_ONLY: &[Case] = &[
    ("interval of 2 s", Ignores, Ignores, |target| target.changed(|message| message[5] = 2)),
    ("interval of 0", Ignores, Ignores, |target| target.changed(|message| message[5] = 0)),
    ("password", Ignores, Ignores, |target| target.changed(|message| message[4] = 1)),
    ("AH without its header", Ignores, Ignores, |target| target.changed(|message| message[4] = 2)),
    ("unknown authentication", Ignores, Ignores, |target| target.changed(|message| message[4] = 9)),
    ("AH", Ignores, Ignores, |target| {
        let config = WireConfig { authentication: Authentication::ah(b"secret"), ..target.config() };
        target.packet(config, 200, false)
    }),
    ("signed", Ignores, Ignores, signed),
    ("unicast", Ignores, Ignores, unicast),
];

const V3_ONLY: &[Case] = &[
    ("twice the interval", Yields, Yields, |target| {
        let interval = Interval::new(Version::V3, target.interval * 2).expect("an interval");
        target.packet(WireConfig { interval, ..target.config() }, 200, false)
    }),
    ("reserved bits", Yields, Yields, |target| target.changed(|message| message[4] |= 0xf0)),
    // RFC 9568 erratum 8301. keepalived takes it, gives up, and is master again in the same moment.
    ("interval of 0", Answers, Ignores, |target| target.changed(|message| message[4..6].fill(0))),
];

const V3_IPV4_ONLY: &[Case] = &[
    // RFC 9568 §5.2.8.
    ("checksum of the message alone", Ignores, Yields, |target| {
        let config = WireConfig { v3_checksum: V3Checksum::MessageOnly, ..target.config() };
        target.packet(config, 200, false)
    }),
    ("signed", Ignores, Ignores, signed),
    ("unicast", Ignores, Ignores, unicast),
];

fn signed(target: &Target) -> Vec<u8> {
    let hmac = HmacConfig {
        keys: vec![HmacKey { id: 1, secret: vec![7; 32] }],
        active: 1,
        mode: HmacMode::Enforce,
        anti_replay: AntiReplay::Time,
        time_window: Duration::from_secs(10),
    };
    target.packet(WireConfig { hmac: Some(hmac), ..target.config() }, 200, false)
}

fn unicast(target: &Target) -> Vec<u8> {
    let host = format!("10.9.0.{}", target.host).parse().expect("an address");
    let audience = Audience::Unicast { peers: vec![Peer::new(host)], check_source: false, ttl: None };
    target.packet(WireConfig { audience, ..target.config() }, 200, false)
}

/// The attacker: what it sends with, and what it hears the masters by.
struct Attacker {
    frames: FrameSocket,
    adverts: RawSocket,
    interface: u32,
    target: Target,
}

impl Attacker {
    fn new(target: Target, interface: u32) -> Attacker {
        let family = if target.is_ipv6 { sys::raw::Family::Ipv6 } else { sys::raw::Family::Ipv4 };
        let adverts = RawSocket::open(family, 112).expect("we are root");
        let group = target.config().destinations().next().expect("one");
        adverts.join(group, interface).expect("it can");
        Attacker { frames: FrameSocket::open().expect("we are root"), adverts, interface, target }
    }

    fn send(&self, packet: &[u8]) {
        let group: [u8; 6] = if self.target.is_ipv6 {
            [0x33, 0x33, 0, 0, 0, 0x12]
        } else if packet[16] >= 224 {
            [1, 0, 0x5e, 0, 0, 0x12]
        } else {
            [2, 0, 0, 0, 0, self.target.host]
        };
        let kind: [u8; 2] = if self.target.is_ipv6 { [0x86, 0xdd] } else { [8, 0] };
        let frame = [group.as_slice(), &[2, 0, 0, 0, 0, 1], &kind, packet].concat();
        self.frames.send(self.interface, &frame).expect("it is sent");
    }

    /// When the next advert of the target comes, until then.
    fn next(&self, until: Instant) -> Option<Instant> {
        let mut buffer = [0; 2048];
        loop {
            while let Some(packet) = self.adverts.receive(&mut buffer).expect("it can") {
                let at = if self.target.is_ipv6 { 0 } else { IPV4 };
                let message = &buffer[at..packet.length.max(at)];
                if message.get(1) == Some(&self.target.vrid) && message.get(2) == Some(&PRIORITY) {
                    return Some(Instant::now());
                }
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn reaction(&self, case: &Case) -> Reaction {
        let interval = self.target.interval;
        // After it yielded the target needs three intervals, or six when it learned a longer one.
        let patience = Instant::now() + interval * 12 + Duration::from_secs(3);
        let forget = Instant::now();
        while self.next(forget).is_some() {}
        self.next(patience).unwrap_or_else(|| panic!("no master before `{}`", case.0));
        std::thread::sleep(interval.mul_f32(0.25));
        self.send(&case.3(&self.target));
        let sent = Instant::now();
        let first = self.next(sent + interval * 2);
        match first.map(|first| first - sent) {
            None => Yields,
            Some(wait) if wait < interval.mul_f32(0.35) => Answers,
            Some(_) => Ignores,
        }
    }
}

fn instance(target: &Target) -> String {
    let Target { vrid, version, interval, .. } = target;
    let address = target.addresses()[0];
    // Without our default of a last word after a split, which is what this attacker plays.
    format!(
        "vrrp_instance VI_{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n priority {PRIORITY}\n \
         version {}\n advert_int {}\n higher_prio_send_advert off\n virtual_ipaddress {{\n {address}\n }}\n}}\n",
        version.number(),
        interval.as_secs_f32()
    )
}

// row: 235, 239, 262
#[test]
fn crafted_adverts_move_our_master_as_they_move_keepaliveds() {
    lab("failover::adverts::crafted_adverts_move_our_master_as_they_move_keepaliveds", || {
        let net = Net::new(&["c", "a", "b"]);
        let target = |host: u8, version, is_ipv6, millis| {
            let number = match (version, is_ipv6) {
                (Version::V2, _) => 50,
                (Version::V3, false) => 60,
                (Version::V3, true) => 70,
            };
            Target { version, is_ipv6, vrid: number + host, host, interval: Duration::from_millis(millis) }
        };
        let targets = [2, 3].map(|host| {
            [
                target(host, Version::V2, false, 1000),
                target(host, Version::V3, false, 400),
                target(host, Version::V3, true, 400),
            ]
        });
        let configurations = targets.map(|targets| targets.iter().map(instance).collect::<String>());
        let daemons = [
            net.start(Vrrp::Keepalived, "a", &configurations[0]),
            net.start(Vrrp::Hawser, "b", &configurations[1]),
        ];
        let index = net.on("c", "ip -o link show eth0");
        let index: u32 = index.split(':').next().and_then(|text| text.trim().parse().ok()).expect("a number");
        let threads: Vec<_> = targets
            .into_iter()
            .flatten()
            .map(|target| thread_on("c", move || (target, reactions(target, index))))
            .collect();
        let mut wrong = Vec::new();
        for thread in threads {
            let (target, reactions) = thread.join().expect("it does not panic");
            for (case, seen) in reactions {
                let (who, expected) =
                    if target.host == 2 { ("keepalived", case.1) } else { ("hawser", case.2) };
                if seen != expected {
                    let family = if target.is_ipv6 { 6 } else { 4 };
                    wrong.push(format!(
                        "{who} v{} IPv{family}, {}: {seen:?}, not {expected:?}",
                        target.version.number(),
                        case.0
                    ));
                }
            }
        }
        drop(daemons);
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

fn reactions(target: Target, interface: u32) -> Vec<(Case, Reaction)> {
    let attacker = Attacker::new(target, interface);
    let special: [&[Case]; 2] = match (target.version, target.is_ipv6) {
        (Version::V2, _) => [V2_ONLY, &[]],
        (Version::V3, false) => [V3_ONLY, V3_IPV4_ONLY],
        (Version::V3, true) => [V3_ONLY, &[]],
    };
    let cases = [COMMON, special[0], special[1]].concat();
    cases.into_iter().map(|case| (case, attacker.reaction(&case))).collect()
}
