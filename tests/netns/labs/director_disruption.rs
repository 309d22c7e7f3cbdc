//! What moves when a real server or a director goes: hashed flows stay where they are, on every director.

use director::dataplane::Dataplane;
use director::table::Change;
use director::xdp::{Options, Xdp};
use netlink::ipvs::{Destination, Forward, Key, Service, TCP};
use netns::lab;
use netns::packet::{ACK, SYN, network, tcp, through};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const SERVERS: u8 = 100;
const CLIENTS: u16 = 1000;

fn vip() -> SocketAddr {
    SocketAddr::new([10, 1, 0, 100].into(), 80)
}

fn key() -> Key {
    Key::Address { protocol: TCP, address: vip().ip(), port: 80 }
}

fn server(last: u8) -> Destination {
    // Beyond a gateway whose link address is known.
    Destination::new([10, 2, 0, last].into(), 80, Forward::Masquerade, 1)
}

fn load() -> Xdp {
    let mut plane = Xdp::load(&Options { flows_max: 1 << 14, ..Options::default() }).expect("loaded");
    let service = Change::AddService(Service::new(key(), "mh"));
    let servers = (1..=SERVERS).map(|last| Change::AddServer(key(), server(last)));
    let changes: Vec<Change> = std::iter::once(service).chain(servers).collect();
    assert!(plane.apply_all(&changes).is_empty());
    plane
}

/// The real server of each client's flow.
fn found(plane: &mut Xdp, lan: u32, flags: u8, port: u16) -> Vec<IpAddr> {
    let clients = (0..CLIENTS).map(|number| {
        let [high, low] = number.to_be_bytes();
        SocketAddr::new([10, 1, 8 + high, low].into(), port)
    });
    clients.map(|client| through(plane, lan, &tcp(flags, client, vip())).sent().destination).collect()
}

// row: 299, 300, 324
#[test]
fn one_of_a_hundred_leaves_and_a_director_fails() {
    lab("director_disruption::one_of_a_hundred_leaves_and_a_director_fails", || {
        let lan = network();
        netns::run("ip route add 10.2.0.0/16 via 10.1.0.13");
        let (mut plane, mut standby) = (load(), load());
        let before = found(&mut plane, lan, SYN, 4000);

        // The other director gets them in the middle: without having seen any, it finds each the same.
        assert_eq!(found(&mut standby, lan, ACK, 4000), before);

        // Of established flows, those of the real server that leaves alone move.
        let gone = before[0];
        let IpAddr::V4(address) = gone else { panic!("{gone}") };
        plane.apply(&Change::DeleteServer(key(), server(address.octets()[3]))).expect("removed");
        let moved = |now: &[IpAddr]| {
            before.iter().zip(now).filter(|(before, now)| **before != gone && before != now).count()
        };
        assert_eq!(moved(&found(&mut plane, lan, ACK, 4000)), 0);
        // Of new flows by the same keys, hardly any.
        let anew = moved(&found(&mut plane, lan, SYN, 4001));
        assert!(anew * 1000 <= 15 * usize::from(CLIENTS), "{anew} of {CLIENTS} moved");
    });
}

#[test]
fn a_thousand_services_are_loaded_and_compared_within_a_second() {
    lab("director_disruption::a_thousand_services_are_loaded_and_compared_within_a_second", || {
        let mut wanted = director::table::Table::default();
        for number in 0..1000_u16 {
            let [high, low] = number.to_be_bytes();
            let key = Key::Address { protocol: TCP, address: [10, 9, high, low].into(), port: 80 };
            let servers =
                (1..=10).map(|last| Destination::new([10, 8, 0, last].into(), 80, Forward::Route, 1));
            wanted.insert(Service::new(key, "rr"), servers);
        }
        let mut plane = Xdp::load(&Options::default()).expect("loaded");
        let start = Instant::now();
        let refused = director::dataplane::bring_to(&mut plane, &wanted, &std::collections::BTreeSet::new());
        assert!(refused.expect("readable").is_empty());
        let loaded = start.elapsed();
        let there = plane.read().expect("readable");
        assert_eq!(director::table::difference(&there, &wanted, &std::collections::BTreeSet::new()), []);
        let compared = start.elapsed() - loaded;
        println!("1,000 services x 10: loaded in {loaded:?}, compared in {compared:?}");
        // Built without optimisation, on a busy machine: ten times what must hold.
        assert!(loaded + compared < Duration::from_secs(10), "{loaded:?} {compared:?}");
    });
}
