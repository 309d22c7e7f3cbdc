//! What holds of every packet and every priority, not only of recorded ones.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use vrrp::packet::{AntiReplay, Audience, HmacConfig, HmacKey, HmacMode, Peer, V3Checksum};
use vrrp::tracking::{Effect, Outcome, Status, effective_priority};
use vrrp::{
    Advert, Authentication, Datagram, Discard, Interval, Version, Vrid, WallTime, Wire, WireConfig,
    master_down_interval, skew_time,
};

const CLOCK: WallTime = WallTime(Duration::from_secs(1_800_000_000));

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    // Unicast: what a machine can have.
    (1_u8..=223, any::<[u8; 3]>()).prop_map(|(first, [b, c, d])| Ipv4Addr::new(first, b, c, d))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u8; 14]>().prop_map(|rest| {
        let mut octets = [0xfd; 16];
        octets[2..].copy_from_slice(&rest);
        Ipv6Addr::from(octets)
    })
}

fn authentication() -> impl Strategy<Value = Authentication> {
    prop_oneof![
        Just(Authentication::None),
        any::<[u8; 8]>().prop_map(Authentication::Password),
        any::<[u8; 8]>().prop_map(Authentication::Ah),
    ]
}

fn hmac() -> impl Strategy<Value = Option<HmacConfig>> {
    prop::option::of((any::<u8>(), prop::collection::vec(any::<u8>(), 32..64)).prop_map(|(id, secret)| {
        HmacConfig {
            keys: vec![HmacKey { id, secret }],
            active: id,
            mode: HmacMode::Enforce,
            anti_replay: AntiReplay::Time,
            time_window: Duration::from_secs(5),
        }
    }))
}

fn interval(version: Version) -> BoxedStrategy<Interval> {
    match version {
        Version::V2 => (1_u8..=255).prop_map(|n| Interval::seconds(n).expect("in range")).boxed(),
        Version::V3 => (1_u16..=4095).prop_map(|n| Interval::centiseconds(n).expect("in range")).boxed(),
    }
}

/// A receiver over IPv4 and one of its adverts.
fn over_ipv4() -> impl Strategy<Value = (WireConfig, Advert)> {
    prop_oneof![Just(Version::V2), Just(Version::V3)].prop_flat_map(|version| {
        let addresses = prop::collection::vec(v4().prop_map(IpAddr::V4), 1..30);
        let wire = (1_u8..=255, interval(version), addresses, authentication(), hmac());
        let rest = (any::<bool>(), prop::option::of(v4()), v4(), any::<u8>());
        (wire, rest).prop_map(move |(wire, (message_only, peer, source, priority))| {
            let (vrid, interval, addresses, authentication, hmac) = wire;
            let vrid = Vrid::new(vrid).expect("not 0");
            let mut config = WireConfig::new(version, vrid, interval, addresses);
            if version == Version::V2 {
                config.authentication = authentication;
            }
            config.hmac = hmac;
            if message_only {
                config.v3_checksum = V3Checksum::MessageOnly;
            }
            if let Some(peer) = peer {
                let peers = vec![Peer::new(peer.into())];
                config.audience = Audience::Unicast { peers, check_source: false, ttl: None };
            }
            (config, Advert { source: source.into(), priority, interval })
        })
    })
}

fn written(config: &WireConfig, advert: Advert) -> Vec<u8> {
    let mut packet = Vec::new();
    let destination = config.destinations().next().expect("one");
    Wire::new(config.clone()).write_advert(&mut packet, CLOCK, advert, destination).expect("it fits");
    packet
}

fn received(config: &WireConfig, packet: &[u8]) -> Result<Advert, Discard> {
    let datagram = Datagram::ipv4(packet)?;
    let received = Wire::new(config.clone()).receive(CLOCK, &datagram)?;
    assert_eq!(received.remark, None);
    Ok(received.advert)
}

proptest! {
    #[test]
    fn what_is_written_over_ipv4_is_read_alike((config, advert) in over_ipv4()) {
        prop_assert_eq!(received(&config, &written(&config, advert)), Ok(advert));
    }

    #[test]
    fn what_is_written_over_ipv6_is_read_alike(
        addresses in prop::collection::vec(v6().prop_map(IpAddr::V6), 1..20),
        source in v6(),
        priority in any::<u8>(),
        interval in interval(Version::V3),
        hmac in hmac(),
    ) {
        let vrid = Vrid::new(9).expect("not 0");
        let config = WireConfig { hmac, ..WireConfig::new(Version::V3, vrid, interval, addresses) };
        let advert = Advert { source: source.into(), priority, interval };
        let packet = written(&config, advert);
        let datagram = Datagram::ipv6(source, vrrp::packet::MULTICAST_GROUP_V6, 255, &packet);
        let received = Wire::new(config).receive(CLOCK, &datagram).map(|received| received.advert);
        prop_assert_eq!(received, Ok(advert));
    }

    /// The checksum, or a signature, sees every single bit of a message of version 2.
    #[test]
    fn no_flipped_bit_of_a_version_2_message_is_taken(
        (config, advert) in over_ipv4().prop_filter("version 2", |(config, _)| config.version == Version::V2),
        position in any::<prop::sample::Index>(),
    ) {
        let mut packet = written(&config, advert);
        // The IP header is the kernel's to check.
        let bit = 20 * 8 + position.index((packet.len() - 20) * 8);
        packet[bit / 8] ^= 1 << (bit % 8);
        let taken = received(&config, &packet);
        // Two bytes of AH are reserved, and its length says nothing new; the signature covers them all the same.
        prop_assert!(taken.is_err(), "bit {} gave {:?}", bit, taken);
    }

    #[test]
    fn a_cut_packet_is_refused((config, advert) in over_ipv4(), keep in any::<prop::sample::Index>()) {
        let packet = written(&config, advert);
        let keep = keep.index(packet.len());
        prop_assert!(received(&config, &packet[..keep]).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), (config, _) in over_ipv4()) {
        if let Err(discard) = received(&config, &bytes) {
            prop_assert!(!discard.to_string().is_empty());
        }
    }

    /// The higher the priority, the sooner; and never as late as one interval more (version 3).
    #[test]
    fn the_better_priority_is_always_sooner(priority in 1_u8..=254, interval in interval(Version::V3)) {
        let of = |priority| master_down_interval(Version::V3, priority, interval, 3);
        prop_assert!(of(priority + 1) < of(priority));
        prop_assert!(skew_time(Version::V3, priority, interval) < interval.duration());
        prop_assert!(skew_time(Version::V2, priority, interval) < Duration::from_secs(1));
    }

    #[test]
    fn weights_never_leave_the_range_of_priorities(
        configured in 1_u8..=254,
        weights in prop::collection::vec((-254_i32..=254, any::<bool>(), any::<i64>()), 0..20),
    ) {
        let amounts = weights.iter().map(|(weight, reverse, value)| {
            let effect = Effect { weight: *weight, reverse: *reverse };
            match effect.of(Status::Value(*value)) {
                Outcome::Weight(amount) => amount,
                Outcome::Hold | Outcome::Fault => 0,
            }
        });
        let sum: i64 = amounts.inspect(|amount| assert!(amount.abs() <= 253)).sum();
        let priority = effective_priority(configured, sum);
        prop_assert!((1..=254).contains(&priority));
        prop_assert_eq!(effective_priority(255, sum), 255);
    }
}
