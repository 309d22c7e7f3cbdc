//! Bytes ↔ netlink messages: links, addresses, routes, rules and nftables batches. Owns the formats; opens no socket and
//! keeps no state.
//!
//! Requests are written into byte vectors that a socket sends as they are; what comes back is read by [`Messages`], and
//! rtnetlink's notifications and dumps by [`Event::read`]. The kernel's bytes are trusted no more than a peer's: whatever
//! is cut short or malformed is an error, never a panic.

#![forbid(unsafe_code)]

pub mod address;
pub mod event;
pub mod ipvs;
pub mod link;
pub mod nftables;
pub mod route;
pub mod rule;
pub mod wire;

pub use address::Address;
pub use event::Event;
pub use link::Link;
pub use route::Route;
pub use rule::Rule;
pub use wire::{Malformed, Message, Messages};

/// Address families as the kernel numbers them.
pub const FAMILY_IPV4: u8 = 2;
pub const FAMILY_IPV6: u8 = 10;

/// `RTPROT_KEEPALIVED`: marks routes, rules and addresses that failover owns.
pub const PROTOCOL_KEEPALIVED: u8 = 18;

use std::net::IpAddr;

/// The family number of an address.
pub fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => FAMILY_IPV4,
        IpAddr::V6(_) => FAMILY_IPV6,
    }
}

/// The bytes of an address in network order, without allocating.
pub(crate) fn octets(address: IpAddr, buffer: &mut [u8; 16]) -> &[u8] {
    match address {
        IpAddr::V4(address) => {
            buffer[..4].copy_from_slice(&address.octets());
            &buffer[..4]
        }
        IpAddr::V6(address) => {
            buffer.copy_from_slice(&address.octets());
            &buffer[..]
        }
    }
}

/// An address from 4 or 16 bytes in network order.
pub(crate) fn address_from(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
