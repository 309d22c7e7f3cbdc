//! VRRP: packets, and a virtual router that hears whatever it likes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use vrrp::packet::{
    AddressCheck, AntiReplay, Audience, HmacConfig, HmacKey, HmacMode, Peer, internet_checksum,
};
use vrrp::router::AnnounceConfig;
use vrrp::{
    Action, Advert, Authentication, Datagram, Discard, Interval, Preempt, Router, RouterConfig, Start, State,
    Version, Vrid, WallTime, Wire, WireConfig, Witness,
};

/// When the packets arrive.
const CLOCK: WallTime = WallTime(Duration::from_secs(0x6b02_d4d0));

/// Bytes of an IPv4 header without options.
const IPV4_HEADER_LEN: usize = 20;

/// An input begins with a byte that chooses the receiver; the packet follows. It is refused with a reason, or it is an
/// advert that the same receiver writes and reads again alike.
pub fn advert(bytes: &[u8]) {
    let Some((choice, packet)) = bytes.split_first() else { return };
    let config = config(*choice);
    if config.addresses.first().is_some_and(IpAddr::is_ipv6) {
        let Some((addresses, rest)) = packet.split_at_checked(33) else { return };
        let address =
            |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&addresses[at..at + 16]).expect("16 bytes"));
        let datagram = Datagram::ipv6(address(0), address(16), addresses[32], rest);
        check(&config, &datagram);
        return;
    }
    receive_ipv4(&config, packet);
    // A checksum is hard to guess: the same again with a right one, so that what is behind it is reached.
    if packet.len() >= IPV4_HEADER_LEN + 8 {
        let mut fixed = packet.to_vec();
        fixed[0] = 0x45;
        let total = (fixed.len() as u16).to_be_bytes();
        fixed[2..4].copy_from_slice(&total);
        let at = if fixed[9] == 51 { IPV4_HEADER_LEN + 24 } else { IPV4_HEADER_LEN };
        if fixed.len() >= at + 8 {
            fixed[at + 6..at + 8].fill(0);
            let checksum = internet_checksum(&[&fixed[at..]]);
            fixed[at + 6..at + 8].copy_from_slice(&checksum.to_be_bytes());
        }
        receive_ipv4(&config, &fixed);
    }
}

fn receive_ipv4(config: &WireConfig, packet: &[u8]) {
    match Datagram::ipv4(packet) {
        Ok(datagram) => check(config, &datagram),
        Err(discard) => told(&discard),
    }
}

fn told(discard: &Discard) {
    assert!(!discard.to_string().is_empty());
    assert!(!discard.counter().name().is_empty());
}

fn check(config: &WireConfig, datagram: &Datagram<'_>) {
    let mut wire = Wire::new(config.clone());
    let received = match wire.receive(CLOCK, datagram) {
        Ok(received) => received.advert,
        Err(discard) => return told(&discard),
    };
    assert_eq!(datagram.vrid(), Some(config.vrid));
    assert_eq!(received.source, datagram.source);
    assert!(!received.interval.duration().is_zero());
    let mut again = Vec::new();
    let destination = datagram.destination;
    let config = WireConfig { hmac: None, ..config.clone() };
    Wire::new(config.clone())
        .write_advert(&mut again, CLOCK, received, destination)
        .expect("it was received");
    let datagram = match (received.source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Datagram::ipv6(source, destination, datagram.ttl, &again)
        }
        _ => {
            // TTL and checksum of the IP header are the kernel's; AH signs the TTL, and is not changed.
            if config.authentication == Authentication::None {
                again[8] = datagram.ttl;
            }
            Datagram::ipv4(&again).expect("we wrote it")
        }
    };
    let read = Wire::new(config).receive(CLOCK, &datagram).expect("what we write we read");
    assert_eq!(read.advert, received);
}

/// Every kind of receiver.
fn config(choice: u8) -> WireConfig {
    let version = if choice & 1 == 0 { Version::V2 } else { Version::V3 };
    let is_v6 = version == Version::V3 && choice & 2 != 0;
    let addresses = if is_v6 {
        vec!["fe80::101".parse().expect("an address"), "fd09::101".parse().expect("an address")]
    } else {
        vec![IpAddr::V4(Ipv4Addr::new(10, 9, 0, 101))]
    };
    let interval = Interval::seconds(1).expect("in range");
    let mut config = WireConfig::new(version, Vrid::new(52).expect("not 0"), interval, addresses);
    config.authentication = match (version, choice >> 1 & 3) {
        (Version::V2, 1) => Authentication::password(b"s3cret12"),
        (Version::V2, 2) => Authentication::ah(b"s3cret12"),
        (Version::V2 | Version::V3, _) => Authentication::None,
    };
    if choice & 8 != 0 {
        let keys = vec![HmacKey { id: 1, secret: (0..32).collect() }];
        let time_window = Duration::from_secs(10);
        let (mode, anti_replay) = (HmacMode::Permissive, AntiReplay::Time);
        config.hmac = Some(HmacConfig { keys, active: 1, mode, anti_replay, time_window });
    }
    if choice & 16 != 0 {
        let peers = vec![Peer::new(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)))];
        config.audience = Audience::Unicast { peers, check_source: choice & 32 != 0, ttl: None };
    }
    if choice & 64 != 0 {
        config.address_check = AddressCheck::Drop;
    }
    config
}

/// An input is a router in its first two bytes, then a step in every four. Whatever happens, addresses are on the machine
/// exactly while it is master, its timer is set while it has one, and nothing happens without end.
pub fn virtual_router(bytes: &[u8]) {
    let Some(([choice, priority], steps)) = bytes.split_first_chunk() else { return };
    let mut router = Router::new(router_config(*choice, *priority));
    let mut now = Instant::now();
    let mut holds = false;
    for step in steps.chunks_exact(4) {
        now += Duration::from_micros(u64::from(step[1]) * u64::from(step[1]) * 100);
        act(&mut router, now, step);
        let mut count = 0;
        while let Some(action) = router.poll_action() {
            count += 1;
            assert!(count < 100, "it does not come to an end");
            match action {
                Action::AddAddresses { .. } => holds = true,
                Action::RemoveAddresses => holds = false,
                Action::Log(notice) => assert!(!notice.to_string().is_empty()),
                Action::SendAdvert { .. }
                | Action::Announce { .. }
                | Action::CancelAnnouncements
                | Action::Notify(_) => {}
            }
        }
        assert_eq!(holds, router.state() == State::Master);
        match router.state() {
            State::Backup | State::Master => assert!(router.poll_timeout().is_some()),
            State::Fault => assert_eq!(router.poll_timeout(), None),
            State::Initialize => {}
        }
    }
}

fn router_config(choice: u8, priority: u8) -> RouterConfig {
    let version = if choice & 1 == 0 { Version::V2 } else { Version::V3 };
    let mut config = RouterConfig::new("VI_1", version, Vrid::new(1).expect("not 0"), priority.max(1));
    config.source = Some(IpAddr::V4(Ipv4Addr::new(10, 9, 0, 100)));
    config.preempt = match choice >> 1 & 3 {
        0 => Preempt::Never,
        1 => Preempt::After(Duration::from_secs(2)),
        _ => Preempt::AT_ONCE,
    };
    config.lower_prio_no_advert = choice & 8 != 0;
    config.higher_prio_send_advert = choice & 16 != 0;
    config.owner_ignore_adverts = choice & 32 != 0;
    config.fast_hand_over = choice & 64 != 0;
    if choice & 128 != 0 {
        config.announce = AnnounceConfig { refresh: Duration::from_secs(1), ..AnnounceConfig::default() };
    }
    config
}

fn act(router: &mut Router, now: Instant, step: &[u8]) {
    match step[0] % 12 {
        0 => router.start(now, Start::Fresh),
        1 => {
            let silent_for = Some(Duration::from_millis(u64::from(step[2]) * 30));
            // Only what holds its addresses is adopted.
            if router.state() == State::Initialize && !router.is_at_fault() {
                router.start(now, Start::Adopt { silent_for });
            }
        }
        2 => router.stop(now),
        3 => router.set_fault(now, step[2] & 1 == 1),
        4 => router.set_priority(now, step[2].max(1)),
        5 => router.hand_over(now),
        6 => router.handle_addresses_lost(now),
        7 => {
            let witness = match step[2] % 3 {
                0 => Witness::None,
                1 => Witness::Silent,
                _ => Witness::Answers { asked: now },
            };
            router.set_witness(now, witness);
        }
        8 => router.set_source(None),
        9 | 10 => {
            let interval = Interval::centiseconds(u16::from(step[3] | 1)).expect("in range");
            let source = IpAddr::V4(Ipv4Addr::new(10, 9, 0, step[3]));
            router.handle_advert(now, &Advert { source, priority: step[2], interval });
        }
        _ => router.handle_timeout(router.poll_timeout().map_or(now, |at| at.max(now))),
    }
}
