//! The maps between the director and its XDP programs: what lies in them, byte for byte. Owns layouts and names; both
//! sides are built from this file.
//!
//! ```text
//!  packet ─► SERVICES (address, port, protocol) ─► Service { first slot, slots, choice }
//!               │ hit                                  │ new flow: slot = turn or hash
//!               ▼                                      ▼
//!            FLOWS (5-tuple) ────────────────────► REALS [number] ─► address, port, forward
//!            REPLIES (5-tuple of the answer, NAT) ─► address and port of the service
//! ```
//!
//! Addresses and ports are in network order, numbers in the host's. A table of slots is replaced by writing another
//! range of `SLOTS` and then the service that points to it: a packet sees the old range or the new one.

#![no_std]
#![forbid(unsafe_code)]

pub const SERVICES_MAX: u32 = 4096;
pub const REALS_MAX: u32 = 16_384;
/// Slots of all services together, the ranges that replace others included.
pub const SLOTS_MAX: u32 = 1 << 20;
/// What the flow tables hold unless the loader says otherwise.
pub const FLOWS_MAX: u32 = 1 << 16;
/// In a slot: no real server.
pub const NO_REAL: u32 = u32::MAX;

/// Names of the maps.
pub mod maps {
    pub const SERVICES: &str = "SERVICES";
    pub const SLOTS: &str = "SLOTS";
    pub const REALS: &str = "REALS";
    pub const FLOWS: &str = "FLOWS";
    pub const REPLIES: &str = "REPLIES";
    pub const TURNS: &str = "TURNS";
    pub const COUNTERS: &str = "COUNTERS";
}

/// The name of the program that balances.
pub const PROGRAM: &str = "director";

macro_rules! bytes {
    ($type:ty, $length:literal, |$value:ident| $parts:expr) => {
        impl $type {
            /// As it lies in the map.
            pub fn bytes(&self) -> [u8; $length] {
                let $value = self;
                let mut bytes = [0; $length];
                let mut at = 0;
                for part in $parts {
                    bytes[at..at + part.len()].copy_from_slice(part);
                    at += part.len();
                }
                bytes
            }
        }
        const _: () = assert!(core::mem::size_of::<$type>() == $length);
    };
}

/// Which packets a service takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct ServiceKey {
    pub address: [u8; 4],
    pub port: [u8; 2],
    pub protocol: u8,
    pub nothing: u8,
}

bytes!(ServiceKey, 8, |key| [&key.address[..], &key.port, &[key.protocol, key.nothing]]);

/// How a new flow finds its slot.
pub mod choice {
    /// One after the other.
    pub const TURNS: u32 = 0;
    /// By the client's address.
    pub const SOURCE: u32 = 1;
    /// By the client's address and port.
    pub const SOURCE_PORT: u32 = 2;
    /// By the service's address.
    pub const DESTINATION: u32 = 3;
}

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Service {
    /// Its place in `TURNS`.
    pub number: u32,
    pub first_slot: u32,
    /// 0: no real server serves.
    pub slots: u32,
    /// One of [`choice`].
    pub choice: u32,
}

bytes!(Service, 16, |service| [
    &service.number.to_ne_bytes()[..],
    &service.first_slot.to_ne_bytes(),
    &service.slots.to_ne_bytes(),
    &service.choice.to_ne_bytes()
]);

/// How a packet gets to its real server.
pub mod forward {
    /// Not in use: flows that point here find another.
    pub const NONE: u8 = 0;
    pub const NAT: u8 = 1;
    pub const ROUTE: u8 = 2;
    pub const IP_IN_IP: u8 = 3;
}

/// A real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Real {
    pub address: [u8; 4],
    /// The outer source of a tunnel.
    pub source: [u8; 4],
    pub port: [u8; 2],
    /// One of [`forward`].
    pub forward: u8,
    pub nothing: u8,
}

bytes!(Real, 12, |real| [&real.address[..], &real.source, &real.port, &[real.forward, real.nothing]]);

/// The ends of a flow, in the direction that the packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FlowKey {
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub source_port: [u8; 2],
    pub destination_port: [u8; 2],
    pub protocol: u8,
    pub nothing: [u8; 3],
}

bytes!(FlowKey, 16, |key| [
    &key.source[..],
    &key.destination,
    &key.source_port,
    &key.destination_port,
    &[key.protocol],
    &key.nothing
]);

/// What is known of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Its place in `REALS`.
    pub real: u32,
    /// Packets that came, for the statistics.
    pub packets: u32,
}

bytes!(Flow, 8, |flow| [&flow.real.to_ne_bytes()[..], &flow.packets.to_ne_bytes()]);

/// The service that answers of a flow come from, as the client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Reply {
    pub address: [u8; 4],
    pub port: [u8; 2],
    pub nothing: [u8; 2],
}

bytes!(Reply, 8, |reply| [&reply.address[..], &reply.port, &reply.nothing]);

/// What is counted, by place in `COUNTERS`.
pub mod counter {
    pub const FLOW_HIT: u32 = 0;
    pub const FLOW_NEW: u32 = 1;
    /// Answers whose source was translated back.
    pub const REPLY: u32 = 2;
    /// Passed on: no service of ours.
    pub const FOREIGN: u32 = 3;
    /// Passed on: has IP options.
    pub const OPTIONS: u32 = 4;
    /// Passed on: a fragment.
    pub const FRAGMENT: u32 = 5;
    /// Passed on: cut short, or lengths at odds.
    pub const MALFORMED: u32 = 6;
    /// Dropped: no real server serves.
    pub const NO_REAL: u32 = 7;
    /// The way to the real server is not known yet.
    pub const NO_NEIGHBOUR: u32 = 8;
    /// Passed on: its time to live ends here.
    pub const EXPIRED: u32 = 9;
    pub const COUNT: u32 = 10;

    /// What each is called in statistics.
    pub const NAMES: [&str; COUNT as usize] = [
        "flow_hit",
        "flow_new",
        "reply",
        "foreign",
        "ip_options",
        "fragment",
        "malformed",
        "no_real_server",
        "no_neighbour",
        "ttl_expired",
    ];
}
