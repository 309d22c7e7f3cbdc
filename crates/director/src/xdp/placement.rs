//! Which real server a new flow gets from a scheduler that hashes: what the programs do with the slots, said beforehand.
//! Pure; held against the programs themselves in the lab `director_plane`.

use super::record::{self, slots_of, wide};
use crate::pool::Pool;
use crate::table::{Entry, Table};
use keepalived_config::model::{VirtualServer, VirtualServerGroup};
use netlink::ipvs::Destination;
use std::net::SocketAddr;
use xdp_abi::{IPV4, choice};

/// The real server for a flow between these ends while all of them are up and below their thresholds. `None`: the scheduler
/// goes by turns or by load, or there is no such service.
pub fn placed(
    server: &VirtualServer,
    groups: &[VirtualServerGroup],
    protocol: u16,
    source: SocketAddr,
    destination: SocketAddr,
) -> Option<SocketAddr> {
    let mut table = Table::default();
    Pool::new(server.clone(), groups, &[]).wanted(&mut table);
    let of_port = |port: u16| {
        let key = netlink::ipvs::Key::Address { protocol, address: destination.ip(), port };
        table.0.get(&key)
    };
    by_hash(of_port(destination.port()).or_else(|| of_port(0))?, source, destination)
}

fn by_hash(entry: &Entry, source: SocketAddr, destination: SocketAddr) -> Option<SocketAddr> {
    let choice = record::service(&entry.service, 0).ok()?.choice;
    let hash = match choice {
        choice::SOURCE => hash(word(source), 0),
        choice::SOURCE_PORT => hash(word(source), u32::from(source.port())),
        choice::DESTINATION => hash(word(destination), 0),
        _ => return None,
    };
    let servers: Vec<(u32, Destination)> = (0..).zip(entry.servers.values().cloned()).collect();
    let slots = slots_of(choice, &entry.service.scheduler, &servers);
    let length = u32::try_from(slots.len()).ok().filter(|length| *length > 0)?;
    let slot = usize::try_from(hash % length).ok()?;
    let (_, chosen) = servers.get(usize::try_from(*slots.get(slot)?).ok()?)?;
    Some(SocketAddr::new(chosen.address, chosen.port))
}

/// As `xdp/src/family.rs` makes one word of an address.
fn word(end: SocketAddr) -> u32 {
    let ([one, two, three, four], family) = wide(end.ip());
    if family == IPV4 {
        return one;
    }
    (one ^ two.rotate_left(9)).wrapping_mul(0x9e37_79b1) ^ three ^ four.rotate_left(17)
}

/// As `xdp/src/flow.rs`: the finaliser of MurmurHash3 over both words.
fn hash(one: u32, other: u32) -> u32 {
    let mut mixed = one.wrapping_mul(0xcc9e_2d51).rotate_left(15) ^ other.wrapping_mul(0x1b87_3593);
    mixed ^= mixed >> 16;
    mixed = mixed.wrapping_mul(0x85eb_ca6b);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}
