//! The kernel's IP virtual server in generic netlink: family `IPVS`, version 1. Owns what its messages say; which
//! services there should be is the director's.
//!
//! A [`Request`] becomes bytes with the family's number, which [`resolve`] asks for. Each answer of a dump or a single
//! get is one [`Reply`].

mod daemon;
mod destination;
mod request;
pub mod server;
mod service;
mod statistics;
pub mod sync;
#[cfg(test)]
mod tests;

pub use daemon::{Daemon, Role};
pub use destination::{ChecksumMode, Destination, Forward, Tunnel};
pub use request::{Information, Reply, Request, Timeouts, family_number, resolve};
pub use service::{Flags, Key, Netmask, Service};
pub use statistics::Statistics;

use crate::wire::Malformed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IP protocols that IPVS balances.
pub const TCP: u16 = 6;
pub const UDP: u16 = 17;
pub const SCTP: u16 = 132;

/// Addresses are a union of 16 bytes; IPv4 takes the first four.
fn address_bytes(address: IpAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    crate::octets(address, &mut bytes);
    bytes
}

fn read_address(family: u16, value: &[u8]) -> Result<IpAddr, Malformed> {
    if family == u16::from(crate::FAMILY_IPV6) {
        let bytes: [u8; 16] = value.get(..16).and_then(|part| part.try_into().ok()).ok_or(Malformed)?;
        Ok(Ipv6Addr::from(bytes).into())
    } else {
        let bytes: [u8; 4] = value.get(..4).and_then(|part| part.try_into().ok()).ok_or(Malformed)?;
        Ok(Ipv4Addr::from(bytes).into())
    }
}

/// A number in network order.
fn be16_at(value: &[u8]) -> Result<u16, Malformed> {
    let bytes: [u8; 2] = value.get(..2).and_then(|part| part.try_into().ok()).ok_or(Malformed)?;
    Ok(u16::from_be_bytes(bytes))
}
