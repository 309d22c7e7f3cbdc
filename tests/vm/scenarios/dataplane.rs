//! The director's table, brought into a real kernel and read back.

use director::dataplane::{Dataplane, Ipvs, bring_to};
use director::table::Table;
use netlink::ipvs::{Destination, Forward, Key, Service, TCP};
use std::collections::BTreeSet;
use std::time::Instant;

const SERVICES: u8 = 250;
const PORTS: u16 = 4;
const SERVERS: u8 = 10;

fn key(last: u8, port: u16) -> Key {
    Key::Address { protocol: TCP, address: [10, 9, 0, last].into(), port }
}

fn large_table() -> Table {
    let mut table = Table::default();
    for last in 1..=SERVICES {
        for port in 1..=PORTS {
            let servers = (1..=SERVERS)
                .map(|server| Destination::new([10, 8, last, server].into(), 80, Forward::Masquerade, 1));
            table.insert(Service::new(key(last, port), "rr"), servers);
        }
    }
    table
}

fn inside() {
    let mut plane = Ipvs::open().expect("this kernel has IPVS");
    let mut table = large_table();
    let owned: BTreeSet<Key> = table.0.keys().copied().collect();
    let foreign = Service::new(key(255, 99), "wlc");
    plane.apply(&director::table::Change::AddService(foreign.clone())).expect("added");

    let start = Instant::now();
    assert!(bring_to(&mut plane, &table, &owned).expect("readable").is_empty());
    println!("loaded {} services x {SERVERS} in {:?}", table.0.len(), start.elapsed());
    let start = Instant::now();
    assert!(bring_to(&mut plane, &table, &owned).expect("readable").is_empty());
    println!("compared in {:?}", start.elapsed());
    assert_eq!(director::table::difference(&plane.read().expect("readable"), &table, &owned), []);

    // One real server more, one service gone, and one that the kernel knows no scheduler for.
    let changed = table.0.get_mut(&key(1, 1)).expect("there");
    let address = [10, 7, 0, 1].into();
    changed.servers.insert((address, 80), Destination::new(address, 80, Forward::Masquerade, 3));
    table.0.remove(&key(2, 1));
    table.insert(Service::new(key(3, 99), "nosuch"), [Destination::new(address, 99, Forward::Route, 1)]);
    let failed = bring_to(&mut plane, &table, &owned).expect("readable");
    let texts: Vec<String> = failed.iter().map(|one| format!("{}: {}", one.change, one.refusal)).collect();
    assert_eq!(texts, ["add service [10.9.0.3]:tcp:99: No such file or directory"]);
    let there = plane.read().expect("readable");
    assert_eq!(there.0[&key(1, 1)].servers.len(), usize::from(SERVERS) + 1);
    assert!(!there.0.contains_key(&key(2, 1)));
    assert!(there.0.contains_key(&foreign.key), "a foreign service is left alone");
}

#[test]
fn a_thousand_services_are_loaded_compared_and_changed() {
    if vm::is_inside() {
        inside();
        return;
    }
    let outcome = vm::run_itself("dataplane::a_thousand_services_are_loaded_compared_and_changed");
    assert_eq!(outcome.status, 0, "{}", outcome.printed);
    println!("{}", outcome.printed);
}
