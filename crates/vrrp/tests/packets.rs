//! Packets, against those that keepalived put on the wire: `tests/vectors/vrrp.tsv`. Where a name has a point, it is one of
//! the 42 of the conformance list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use vrrp::frames::{ArpKind, gratuitous_arp, neighbour_advertisement, virtual_mac};
use vrrp::packet::{
    AddressCheck, AntiReplay, Audience, AuthKind, HmacConfig, HmacFault, HmacKey, HmacMode, Peer, Remark,
    SendError, V3Checksum, internet_checksum,
};
use vrrp::{
    Advert, Authentication, Counter, Datagram, Discard, Family, Interval, Version, Vrid, WallTime, Wire,
    WireConfig,
};

const VECTORS: &str = include_str!("../../../tests/vectors/vrrp.tsv");

/// When the recorded trailers were signed, and a bit.
const SIGNED_AT: WallTime = WallTime(Duration::from_secs(0x6b02_d4d0));

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2));

fn frame(name: &str) -> Vec<u8> {
    let line = VECTORS.lines().find(|line| line.split('\t').next() == Some(name)).expect("a known name");
    let hex = line.split('\t').nth(1).expect("bytes");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

/// Without the Ethernet header.
fn packet(name: &str) -> Vec<u8> {
    frame(name).split_off(14)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn vips(last: &[u8]) -> Vec<IpAddr> {
    last.iter().map(|last| IpAddr::V4(Ipv4Addr::new(10, 9, 0, *last))).collect()
}

fn secs(seconds: u8) -> Interval {
    Interval::seconds(seconds).expect("in range")
}

fn centis(centiseconds: u16) -> Interval {
    Interval::centiseconds(centiseconds).expect("in range")
}

fn v2(vrid: u8, authentication: Authentication, addresses: &[u8]) -> WireConfig {
    let vrid = Vrid::new(vrid).expect("not 0");
    WireConfig { authentication, ..WireConfig::new(Version::V2, vrid, secs(1), vips(addresses)) }
}

fn v3(interval: u16, addresses: Vec<IpAddr>) -> WireConfig {
    WireConfig::new(Version::V3, Vrid::new(52).expect("not 0"), centis(interval), addresses)
}

fn unicast(config: WireConfig, peer: &str) -> WireConfig {
    let audience = Audience::Unicast { peers: vec![Peer::new(ip(peer))], check_source: false, ttl: None };
    WireConfig { audience, ..config }
}

fn with_hmac(config: WireConfig) -> WireConfig {
    let hmac = HmacConfig {
        keys: vec![HmacKey { id: 1, secret: (0..32).collect() }],
        active: 1,
        mode: HmacMode::Enforce,
        anti_replay: AntiReplay::Time,
        time_window: Duration::from_secs(10),
    };
    WireConfig { hmac: Some(hmac), ..config }
}

fn advert(source: IpAddr, priority: u8, interval: Interval) -> Advert {
    Advert { source, priority, interval }
}

fn written(wire: &mut Wire, clock: WallTime, advert: Advert) -> Vec<u8> {
    let mut bytes = Vec::new();
    let destination = wire.config().destinations().next().expect("one destination");
    wire.write_advert(&mut bytes, clock, advert, destination).expect("it can be written");
    bytes
}

fn received(config: WireConfig, packet: &[u8]) -> Result<Advert, Discard> {
    let datagram = Datagram::ipv4(packet)?;
    Wire::new(config).receive(SIGNED_AT, &datagram).map(|received| received.advert)
}

fn received_v6(config: WireConfig, packet: &[u8]) -> Result<Advert, Discard> {
    Wire::new(config).receive(SIGNED_AT, &datagram_v6(packet)).map(|received| received.advert)
}

fn datagram_v6(packet: &[u8]) -> Datagram<'_> {
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).expect("16 bytes"));
    Datagram::ipv6(address(8), address(24), packet[7], &packet[40..])
}

/// Every recorded IPv4 advert of 10.9.0.1, with what wrote it.
fn recorded_v4() -> Vec<(&'static str, WireConfig, u8)> {
    let password = |password: &[u8]| Authentication::password(password);
    let ten = || v3(10, vips(&[101, 102]));
    vec![
        ("v2 none", v2(52, Authentication::None, &[101]), 150),
        ("v2 pass", v2(51, password(b"s3cret12"), &[100]), 150),
        ("v2 pass resign", v2(51, password(b"s3cret12"), &[100]), 0),
        ("v2 pass unicast", unicast(v2(52, password(b"abc"), &[101]), "10.9.0.2"), 150),
        ("v2 ah 1", v2(52, Authentication::ah(b"s3cret12"), &[101]), 150),
        ("v2 ah 2", v2(52, Authentication::ah(b"s3cret12"), &[101]), 150),
        ("v3 ipv4", ten(), 150),
        ("v3 ipv4 unicast", unicast(ten(), "10.9.0.2"), 150),
        ("v3 ipv4 message only", WireConfig { v3_checksum: V3Checksum::MessageOnly, ..ten() }, 150),
        ("v3 ipv4 vmac", v3(100, vips(&[101, 102])), 150),
        ("v2 hmac", with_hmac(v2(52, Authentication::None, &[101])), 150),
        ("v3 hmac", with_hmac(v3(100, vips(&[101]))), 150),
    ]
}

// row: 230, 231, 235
// Points 1, 3, 4, 5 and 6.
#[test]
fn point_01_what_we_write_is_what_keepalived_writes() {
    for (name, config, priority) in recorded_v4() {
        let expected = packet(name);
        let interval = config.interval;
        let mut wire = Wire::new(config);
        // The clock and the packets before are those of the recording.
        let before = u16::from_be_bytes([expected[4], expected[5]]);
        let clock = clock_of(&expected);
        for _ in 1..before {
            written(&mut wire, clock, advert(A, 150, interval));
        }
        assert_eq!(written(&mut wire, clock, advert(A, priority, interval)), expected, "{name}");
    }
}

/// The time in the trailer of `auth_hmac`; anything for packets without.
fn clock_of(packet: &[u8]) -> WallTime {
    let trailer = &packet[packet.len().saturating_sub(28)..];
    let seconds = u32::from_be_bytes([trailer[4], trailer[5], trailer[6], trailer[7]]);
    let fraction = u64::from(u16::from_be_bytes([trailer[8], trailer[9]]));
    // Rounded up, so that cutting it to 16 bits again gives the same number.
    let nanos = (fraction * 1_000_000_000).div_ceil(1 << 16);
    WallTime(Duration::new(u64::from(seconds), nanos as u32))
}

// Points 10 to 17: what is right is taken.
#[test]
fn point_11_what_keepalived_writes_is_taken() {
    for (name, config, priority) in recorded_v4() {
        let interval = config.interval;
        assert_eq!(received(config, &packet(name)), Ok(advert(A, priority, interval)), "{name}");
    }
    for (name, multicast) in [("v3 ipv6", true), ("v3 ipv6 unicast", false), ("v3 ipv6 vmac", true)] {
        let packet = packet(name);
        let config = v3(10, vec![ip("fe80::101"), ip("fd09::101")]);
        let config = if multicast { config } else { unicast(config, "fd09::1") };
        let source = datagram_v6(&packet).source;
        let interval = centis(u16::from_be_bytes([packet[44], packet[45]]));
        assert_eq!(received_v6(config, &packet), Ok(advert(source, packet[42], interval)), "{name}");
    }
}

// row: 235
// Points 1, 3 and 5, over IPv6.
#[test]
fn point_05_ipv6_adverts_have_the_checksum_of_the_kernel() {
    for (name, source, priority, interval) in [
        ("v3 ipv6", "fe80::ff:fe00:2", 100, 10),
        ("v3 ipv6 unicast", "fd09::1", 150, 10),
        ("v3 ipv6 vmac", "fe80::ff:fe00:1", 150, 100),
    ] {
        let expected = packet(name);
        let config = v3(interval, vec![ip("fe80::101"), ip("fd09::101")]);
        let config = if name == "v3 ipv6 unicast" { unicast(config, "fd09::2") } else { config };
        assert_eq!(config.ttl(), expected[7], "{name}: hop limit");
        let destination = datagram_v6(&expected).destination;
        assert_eq!(config.destinations().collect::<Vec<_>>(), [destination], "{name}");
        let bytes =
            written(&mut Wire::new(config), SIGNED_AT, advert(ip(source), priority, centis(interval)));
        assert_eq!(bytes, expected[40..], "{name}");
    }
}

// Points 2 and 31.
#[test]
fn point_31_neighbours_are_told_in_keepaliveds_frames() {
    let physical = [2, 0, 0, 0, 0, 1];
    let vrid = Vrid::new(52).expect("not 0");
    let address = Ipv4Addr::new(10, 9, 0, 101);
    let request = |mac| gratuitous_arp(ArpKind::Request, mac, address).to_vec();
    assert_eq!(request(physical), frame("arp"));
    assert_eq!(request(virtual_mac(Family::V4, vrid)), frame("arp vmac"));
    let reply = gratuitous_arp(ArpKind::Reply, physical, address);
    assert_eq!(reply[21], 2);
}

#[test]
fn point_32_neighbours_of_ipv6_are_told_with_the_override_flag_and_the_router_flag_of_a_forwarder() {
    let physical = [2, 0, 0, 0, 0, 1];
    let vrid = Vrid::new(52).expect("not 0");
    let link_local = "fe80::101".parse().expect("an address");
    let global = "fd09::101".parse().expect("an address");
    let tell = |mac, address| neighbour_advertisement(mac, address, false).to_vec();
    assert_eq!(tell([2, 0, 0, 0, 0, 2], link_local), frame("na link-local"));
    assert_eq!(tell(virtual_mac(Family::V6, vrid), global), frame("na global vmac"));
    let router = neighbour_advertisement(physical, global, true);
    assert_eq!(router[58], 0xa0, "the flags of a router that overrides");
    assert_eq!(&router[..6], [0x33, 0x33, 0, 0, 0, 1], "to all nodes");
}

// Point 6: both readings of RFC 5798 are right, whichever we send.
#[test]
fn point_06_both_checksums_of_version_3_are_taken() {
    for v3_checksum in [V3Checksum::PseudoHeader, V3Checksum::MessageOnly] {
        let config = WireConfig { v3_checksum, ..v3(10, vips(&[101, 102])) };
        for name in ["v3 ipv4", "v3 ipv4 message only"] {
            assert!(received(config.clone(), &packet(name)).is_ok(), "{name} with {v3_checksum:?}");
        }
    }
}

/// A packet of ours with something changed in its message, and the checksum made right again.
fn changed(config: &WireConfig, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = written(&mut Wire::new(config.clone()), SIGNED_AT, advert(A, 150, config.interval));
    change(&mut bytes);
    fix_checksums(&mut bytes, config.v3_checksum);
    bytes
}

fn fix_checksums(bytes: &mut [u8], v3_checksum: V3Checksum) {
    let total = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&total);
    bytes[26..28].fill(0);
    let message = bytes[20..].to_vec();
    let mut pseudo = bytes[12..20].to_vec();
    pseudo.extend([0, 112]);
    pseudo.extend((message.len() as u16).to_be_bytes());
    let with_pseudo = bytes[20] >> 4 == 3 && v3_checksum == V3Checksum::PseudoHeader;
    let pseudo = if with_pseudo { pseudo.as_slice() } else { &[] };
    let checksum = internet_checksum(&[pseudo, &message]);
    bytes[26..28].copy_from_slice(&checksum.to_be_bytes());
}

fn none() -> WireConfig {
    v2(52, Authentication::None, &[101])
}

// Point 7: the count of version 2 and of version 3 is a byte; an advert without addresses is none.
#[test]
fn point_07_an_advert_has_1_to_255_addresses() {
    let many: Vec<IpAddr> = (0..=255).map(|last| IpAddr::V4(Ipv4Addr::new(10, 9, 1, last))).collect();
    let config = v3(100, many.clone());
    let mut bytes = Vec::new();
    let too_many =
        Wire::new(config.clone()).write_advert(&mut bytes, SIGNED_AT, advert(A, 1, centis(100)), B);
    assert_eq!(too_many, Err(SendError::Addresses));
    let config = WireConfig { addresses: many[..255].to_vec(), ..config };
    let bytes = written(&mut Wire::new(config.clone()), SIGNED_AT, advert(A, 1, centis(100)));
    assert!(received(config.clone(), &bytes).is_ok());

    let without = changed(&v3(100, vips(&[101])), |bytes| {
        bytes[23] = 0;
        bytes.truncate(28);
    });
    assert_eq!(received(v3(100, vips(&[101])), &without), Err(Discard::NoAddresses));
}

// Point 10.
#[test]
fn point_10_an_advert_that_a_router_forwarded_is_dropped() {
    let mut packet = packet("v2 none");
    packet[8] = 254;
    assert_eq!(received(none(), &packet), Err(Discard::Ttl { received: 254 }));
    let v6 = self::packet("v3 ipv6");
    let mut datagram = datagram_v6(&v6);
    datagram.ttl = 64;
    let mut wire = Wire::new(v3(10, vec![ip("fe80::101"), ip("fd09::101")]));
    assert_eq!(wire.receive(SIGNED_AT, &datagram), Err(Discard::Ttl { received: 64 }));
}

// Point 10, for peers: keepalived looks only when told to.
#[test]
fn point_10_peers_have_the_distance_that_the_file_gives_them() {
    let config = unicast(v2(52, Authentication::password(b"abc"), &[101]), "10.9.0.1");
    let mut packet = packet("v2 pass unicast");
    packet[8] = 60;
    assert!(received(config.clone(), &packet).is_ok());
    let limited = |min_ttl, max_ttl| {
        let peers = vec![Peer { address: A, min_ttl, max_ttl }];
        WireConfig { audience: Audience::Unicast { peers, check_source: false, ttl: None }, ..config.clone() }
    };
    assert!(received(limited(Some(60), None), &packet).is_ok());
    let far = Err(Discard::TtlRange { received: 60, min: 61, max: 255 });
    assert_eq!(received(limited(Some(61), None), &packet), far);
    let near = Err(Discard::TtlRange { received: 60, min: 0, max: 59 });
    assert_eq!(received(limited(None, Some(59)), &packet), near);

    let strangers = WireConfig {
        audience: Audience::Unicast { peers: vec![Peer::new(B)], check_source: true, ttl: Some(7) },
        ..config
    };
    assert_eq!(strangers.ttl(), 7);
    assert_eq!(received(strangers, &packet), Err(Discard::NotAPeer { source: A }));
}

// Point 11.
#[test]
fn point_11_version_type_and_length_must_be_right() {
    let expected = Version::V2;
    let other = changed(&none(), |bytes| bytes[20] = 0x31);
    assert_eq!(received(none(), &other), Err(Discard::Version { received: 3, expected }));
    let other = changed(&none(), |bytes| bytes[20] = 0x22);
    assert_eq!(received(none(), &other), Err(Discard::Type { received: 2 }));
    let whole = packet("v2 none");
    for len in 0..whole.len() {
        let cut = received(none(), &whole[..len]).expect_err("it is cut off");
        let is_length = matches!(cut, Discard::Length { .. } | Discard::TotalLength { .. });
        assert!(is_length, "{len}: {cut:?}");
        assert_eq!(cut.counter(), Counter::LengthErrors);
    }
    let long = changed(&none(), |bytes| bytes[23] = 2);
    assert_eq!(received(none(), &long), Err(Discard::Length { length: 20, expected: 24 }));
}

// Point 12: nothing may stand behind the advert but what fills up the frame, behind the IP packet.
#[test]
fn point_12_trailing_bytes_are_refused() {
    let long = changed(&none(), |bytes| bytes.push(0));
    assert_eq!(received(none(), &long), Err(Discard::Length { length: 21, expected: 20 }));
    let mut padded = packet("v2 none");
    padded.resize(46, 0);
    assert!(received(none(), &padded).is_ok());
    padded.push(0);
    assert_eq!(received(none(), &padded), Err(Discard::TotalLength { header: 40, received: 47 }));
}

// Point 13: whatever the option says, a wrong checksum is wrong.
#[test]
fn point_13_a_wrong_or_empty_checksum_is_refused() {
    for (name, config, _) in recorded_v4() {
        if name.starts_with("v2 ah") || name.ends_with("hmac") {
            continue;
        }
        let version = config.version;
        let mut packet = packet(name);
        packet[27] ^= 1;
        assert_eq!(received(config.clone(), &packet), Err(Discard::Checksum { version }), "{name}");
        packet[26..28].fill(0);
        assert_eq!(received(config, &packet), Err(Discard::Checksum { version }), "{name}");
    }
    let mut packet = packet("v3 ipv6");
    packet[46] ^= 0x80;
    let config = v3(10, vec![ip("fe80::101"), ip("fd09::101")]);
    assert_eq!(received_v6(config, &packet), Err(Discard::Checksum { version: Version::V3 }));
}

// Point 14: the shell finds the virtual router by this number, and the reader looks again.
#[test]
fn point_14_an_advert_of_another_virtual_router_is_none_of_ours() {
    let packet = packet("v2 none");
    let datagram = Datagram::ipv4(&packet).expect("a packet");
    assert_eq!(datagram.vrid(), Vrid::new(52));
    let config = v2(53, Authentication::None, &[101]);
    assert_eq!(received(config, &packet), Err(Discard::Vrid { received: 52, expected: 53 }));
}

// row: 230, 231
// Point 16.
#[test]
fn point_16_authentication_must_be_equal() {
    let password = |text: &[u8]| v2(52, Authentication::password(text), &[101]);
    let right = changed(&password(b"1111qwer"), |_| {});
    assert!(received(password(b"1111qwer"), &right).is_ok());
    assert!(received(password(b"1111qwer and more"), &right).is_ok(), "8 bytes count");
    assert_eq!(received(password(b"1111qwes"), &right), Err(Discard::Password));
    let (none_kind, password_kind) = (AuthKind::None, AuthKind::Password);
    let mismatch = Discard::AuthMismatch { received: password_kind, expected: none_kind };
    assert_eq!(received(none(), &right), Err(mismatch));
    assert_eq!(mismatch.to_string(), "received a 1 auth, expecting 0!");
    let unknown = changed(&none(), |bytes| bytes[24] = 7);
    let expected = Err(Discard::AuthUnknown { received: 7, expected: none_kind });
    assert_eq!(received(none(), &unknown), expected);
}

// row: 231
// Point 16, for AH.
#[test]
fn point_16_an_authentication_header_must_be_right() {
    let config = || v2(52, Authentication::ah(b"s3cret12"), &[101]);
    let (first, second) = (packet("v2 ah 1"), packet("v2 ah 2"));
    assert_eq!(received(none(), &first).unwrap_err().counter(), Counter::AuthTypeMismatches);
    let other_key = v2(52, Authentication::ah(b"s3cret13"), &[101]);
    assert_eq!(received(other_key, &first), Err(Discard::AhSignature));
    // The header covers the id of the IP packet, the AH header and the message.
    for at in [5, 24 + 7, 44 + 2] {
        let mut forged = first.clone();
        forged[at] ^= 1;
        assert!(received(config(), &forged).is_err(), "byte {at}");
    }
    // What changes on the way is not covered, but the TTL of a group is.
    let mut class = first.clone();
    class[1] = 0;
    assert!(received(config(), &class).is_ok());

    let mut wire = Wire::new(config());
    let mut receive = |packet: &[u8]| wire.receive(SIGNED_AT, &Datagram::ipv4(packet).expect("a packet"));
    assert!(receive(&second).is_ok());
    assert_eq!(receive(&second), Err(Discard::AhReplay { received: 2, seen: 2 }));
    assert_eq!(receive(&first), Err(Discard::AhReplay { received: 1, seen: 2 }));
    // Who takes over goes on from there.
    let ours = written(&mut wire, SIGNED_AT, advert(B, 100, secs(1)));
    assert_eq!(ours[28..32], [0, 0, 0, 3]);
    assert_eq!(wire.ah_sequence(), 3);

    let mut ours = Wire::new(config());
    let plain = changed(&none(), |bytes| bytes[24] = 2);
    let datagram = Datagram::ipv4(&plain).expect("a packet");
    assert_eq!(ours.receive(SIGNED_AT, &datagram), Err(Discard::AhMissing));
}

#[test]
fn an_authentication_header_to_a_peer_is_signed_over_a_ttl_of_0() {
    let config = unicast(v2(52, Authentication::ah(b"s3cret12"), &[101]), "10.9.0.2");
    let mut packet = changed_nothing(&config);
    packet[8] = 17;
    assert!(received(config, &packet).is_ok(), "any TTL on the way");
}

fn changed_nothing(config: &WireConfig) -> Vec<u8> {
    written(&mut Wire::new(config.clone()), SIGNED_AT, advert(A, 150, config.interval))
}

// Point 17.
#[test]
fn point_17_version_2_takes_its_own_interval_only() {
    let other = changed(&none(), |bytes| bytes[25] = 2);
    let discard = Discard::Interval { received: 2, expected: 1 };
    assert_eq!(received(none(), &other), Err(discard));
    assert_eq!(discard.to_string(), "advertisement interval mismatch mine=1 sec rcv'd=2 sec");
}

// Point 18.
#[test]
fn point_18_version_3_takes_any_interval() {
    let other = changed(&v3(100, vips(&[101])), |bytes| bytes[25] = 10);
    assert_eq!(received(v3(100, vips(&[101])), &other), Ok(advert(A, 150, centis(10))));
}

// Point 19: keepalived takes it and flaps.
#[test]
fn point_19_an_interval_of_0_is_refused() {
    let zero = changed(&v3(100, vips(&[101])), |bytes| bytes[25] = 0);
    assert_eq!(received(v3(100, vips(&[101])), &zero), Err(Discard::IntervalZero));
    let zero = changed(&none(), |bytes| bytes[25] = 0);
    assert_eq!(received(none(), &zero), Err(Discard::IntervalZero));
}

// Points 4 and 20.
#[test]
fn point_20_reserved_bits_are_0_when_sent_and_ignored_when_received() {
    let config = v3(100, vips(&[101]));
    assert_eq!(changed_nothing(&config)[24], 0);
    let reserved = changed(&config, |bytes| bytes[24] = 0xf0);
    assert_eq!(received(config, &reserved), Ok(advert(A, 150, centis(100))));
}

// row: 218
// Point 21.
#[test]
fn point_21_other_addresses_are_reported_or_dropped() {
    let config = v2(52, Authentication::None, &[101]);
    let ours = v2(52, Authentication::None, &[102]);
    let packet = changed_nothing(&config);
    let datagram = Datagram::ipv4(&packet).expect("a packet");
    let missing = Discard::AddressMissing { address: ip("10.9.0.102"), vrid: 52 };
    assert_eq!(
        missing.to_string(),
        "ip address associated with VRID 52 not present in MASTER advert: 10.9.0.102"
    );
    let received = Wire::new(ours.clone()).receive(SIGNED_AT, &datagram).expect("taken");
    assert_eq!(received.remark, Some(Remark::Addresses(missing)));

    let strict = WireConfig { address_check: AddressCheck::Drop, ..ours };
    assert_eq!(Wire::new(strict.clone()).receive(SIGNED_AT, &datagram), Err(missing));
    let owner = changed(&config, |bytes| bytes[22] = 255);
    assert!(self::received(strict, &owner).is_ok(), "the owner knows best");

    let more = v2(52, Authentication::None, &[101, 102]);
    let received = Wire::new(more).receive(SIGNED_AT, &datagram).expect("taken");
    let count = Discard::AddressCount { received: 1, expected: 2 };
    assert_eq!(received.remark, Some(Remark::Addresses(count)));
    assert_eq!(count.to_string(), "expected 2 VIPs but received 1");
}

// row: 218
#[test]
fn addresses_are_compared_in_any_order_and_once_for_each_sender_when_asked() {
    let two = |first, second| v2(52, Authentication::None, &[first, second]);
    let packet = changed_nothing(&two(102, 101));
    let mut wire = Wire::new(WireConfig { skip_same_sender: true, ..two(101, 102) });
    let receive = |wire: &mut Wire, packet: &[u8]| {
        wire.receive(SIGNED_AT, &Datagram::ipv4(packet).expect("a packet")).expect("taken").remark
    };
    assert_eq!(receive(&mut wire, &packet), None);
    let other = changed_nothing(&two(103, 101));
    assert_eq!(receive(&mut wire, &other), None, "the same sender as before");
    let mut wrong = Wire::new(WireConfig { skip_same_sender: true, ..two(101, 102) });
    for _ in 0..2 {
        assert!(receive(&mut wrong, &other).is_some(), "until it was right once");
    }
    let mut looks = Wire::new(two(101, 102));
    assert!(receive(&mut looks, &other).is_some());
}

// row: 243
// Point 22.
#[test]
fn point_22_unicast_and_multicast_do_not_mix() {
    let config = v2(52, Authentication::password(b"abc"), &[101]);
    let packet = packet("v2 pass unicast");
    let discard = Discard::Cast { multicast: false };
    assert_eq!(received(config.clone(), &packet), Err(discard));
    assert_eq!(discard.to_string(), "discarding unicast packet on multicast instance");
    let multicast = changed_nothing(&config);
    let refused = received(unicast(config, "10.9.0.1"), &multicast);
    assert_eq!(refused, Err(Discard::Cast { multicast: true }));
}

#[test]
fn signed_adverts_must_be_right_fresh_and_new() {
    let config = || with_hmac(v3(100, vips(&[101])));
    let packet = packet("v3 hmac");
    let receive = |config: WireConfig, packet: &[u8], clock: WallTime| {
        Wire::new(config).receive(clock, &Datagram::ipv4(packet).expect("a packet"))
    };
    let fault = |fault| Err(Discard::Hmac(fault));
    assert!(receive(config(), &packet, SIGNED_AT).is_ok());
    let late = WallTime(SIGNED_AT.0 + Duration::from_secs(60));
    assert_eq!(receive(config(), &packet, late), fault(HmacFault::Stale { age_seconds: 54 }));
    for at in packet.len() - 28..packet.len() {
        let mut forged = packet.clone();
        forged[at] ^= 0x40;
        assert!(receive(config(), &forged, SIGNED_AT).is_err(), "byte {at}");
    }
    let plain = v3(100, vips(&[101]));
    assert_eq!(receive(plain.clone(), &packet, SIGNED_AT), fault(HmacFault::Unexpected));
    let unsigned = changed_nothing(&plain);
    assert_eq!(receive(config(), &unsigned, SIGNED_AT), fault(HmacFault::Missing));
    let permissive = |mode| {
        let mut config = config();
        config.hmac.as_mut().expect("there is one").mode = mode;
        config
    };
    let taken = receive(permissive(HmacMode::Permissive), &unsigned, SIGNED_AT).expect("taken");
    assert_eq!(taken.remark, Some(Remark::NotSigned));
    assert_eq!(changed_nothing(&permissive(HmacMode::Permissive)).len(), unsigned.len() + 28);
    assert_eq!(changed_nothing(&permissive(HmacMode::ReceiveOnly)), unsigned);

    let mut wire = Wire::new(config());
    let datagram = Datagram::ipv4(&packet).expect("a packet");
    assert!(wire.receive(SIGNED_AT, &datagram).is_ok());
    assert_eq!(wire.receive(SIGNED_AT, &datagram), fault(HmacFault::Replay));
}

#[test]
fn a_key_is_found_by_its_number_and_never_printed() {
    let key = HmacKey { id: 7, secret: b"very secret".to_vec() };
    assert!(!format!("{key:?}").contains("secret"));
    let mut config = with_hmac(v3(100, vips(&[101])));
    config.hmac.as_mut().expect("there is one").keys = vec![key];
    let refused = received(config.clone(), &packet("v3 hmac"));
    assert_eq!(refused, Err(Discard::Hmac(HmacFault::UnknownKey { id: 1 })));
    let mut bytes = Vec::new();
    let written = Wire::new(config).write_advert(&mut bytes, SIGNED_AT, advert(A, 1, centis(100)), B);
    assert_eq!(written, Err(SendError::NoActiveKey));
}

#[test]
fn what_does_not_fit_the_version_is_not_written() {
    let mut bytes = Vec::new();
    let mut write =
        |config: WireConfig, advert, to| Wire::new(config).write_advert(&mut bytes, SIGNED_AT, advert, to);
    let half = advert(A, 1, centis(50));
    assert_eq!(write(none(), half, B), Err(SendError::Interval(centis(50))));
    let v6 = advert(ip("fe80::1"), 1, secs(1));
    assert_eq!(write(none(), v6, ip("ff02::12")), Err(SendError::Family));
    assert_eq!(write(none(), v6, B), Err(SendError::Family));
    let mixed = v3(100, vec![ip("10.9.0.1"), ip("fe80::1")]);
    assert_eq!(write(mixed, advert(A, 1, centis(100)), B), Err(SendError::Addresses));
}
