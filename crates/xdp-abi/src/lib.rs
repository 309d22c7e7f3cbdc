//! The maps between the director and its XDP programs: what lies in them, byte for byte. Owns layouts and names, and the
//! states of a connection; both sides are built from this crate.
//!
//! ```text
//!  packet ─► FLOWS_4, FLOWS_6 (5-tuple) ─ hit ─► REALS [number] ─► address, port, forward
//!               │ miss                             ▲      └─► STATISTICS, LOADS [number]
//!               ▼                                  │
//!            SERVICES (address, port, protocol) ─► RECORDS [number] ─► slots, choice, persistence
//!                                                  └─► TEMPLATES (client, service), SLOTS, LOCALITIES
//! ```
//!
//! Addresses and ports are in network order, numbers in the host's. IPv4 addresses are the first four of sixteen bytes
//! where both families share a map. A service changes by a new record beside the old one and then the number in
//! `SERVICES`, one word: a packet sees the old service or the new one, whole.

#![no_std]
#![forbid(unsafe_code)]

pub mod layout;
pub mod state;

pub use layout::{
    Address, Flow, FlowKey, Load, Real, Service, ServiceKey, Settings, Statistics, Template, TemplateKey,
    bytes_of, words_of,
};

/// Of all this: maps of another layout, left by another version, are not taken over.
pub const LAYOUT: u32 = 3;

pub const SERVICES_MAX: u32 = 4096;
/// A service that changes has two for a moment.
pub const RECORDS_MAX: u32 = 2 * SERVICES_MAX;
pub const REALS_MAX: u32 = 16_384;
/// Slots of all services together, the ranges that replace others included.
pub const SLOTS_MAX: u32 = 1 << 22;
/// What the flow tables hold unless the loader says otherwise.
pub const FLOWS_MAX: u32 = 1 << 16;
/// Clients that a persistent service remembers, unless the loader says otherwise.
pub const TEMPLATES_MAX: u32 = 1 << 16;
/// In a slot: no real server.
pub const NO_REAL: u32 = u32::MAX;

/// Time is counted in ticks of 2²⁰ ns (1.048576 ms) of the monotonic clock, and wraps around after 52 days.
pub const TICK_SHIFT: u32 = 20;

/// Whole seconds in ticks, rounded up; at most half of what the count can hold.
pub const fn ticks(seconds: u32) -> u32 {
    let ticks = ((seconds as u64 * 1_000_000_000) >> TICK_SHIFT) + 1;
    if ticks > u32::MAX as u64 / 2 { u32::MAX / 2 } else { ticks as u32 }
}

/// Ticks from `then` to `now`. The programs' clock is some milliseconds behind the director's: what is a moment ahead was
/// just now.
pub const fn elapsed(now: u32, then: u32) -> u32 {
    let ticks = now.wrapping_sub(then);
    if ticks > u32::MAX / 2 { 0 } else { ticks }
}

/// Names of the maps.
pub mod maps {
    pub const SETTINGS: &str = "SETTINGS";
    pub const SERVICES: &str = "SERVICES";
    pub const RECORDS: &str = "RECORDS";
    pub const SLOTS: &str = "SLOTS";
    pub const REALS: &str = "REALS";
    pub const FLOWS_4: &str = "FLOWS_4";
    pub const FLOWS_6: &str = "FLOWS_6";
    pub const TEMPLATES: &str = "TEMPLATES";
    pub const LOCALITIES: &str = "LOCALITIES";
    pub const MEMBERS: &str = "MEMBERS";
    pub const LOADS: &str = "LOADS";
    pub const SETTLED: &str = "SETTLED";
    pub const TURNS: &str = "TURNS";
    pub const STATISTICS: &str = "STATISTICS";
    pub const COUNTERS: &str = "COUNTERS";

    /// Those that are kept for the next director.
    pub const ALL: [&str; 15] = [
        SETTINGS, SERVICES, RECORDS, SLOTS, REALS, FLOWS_4, FLOWS_6, TEMPLATES, LOCALITIES, MEMBERS, LOADS,
        SETTLED, TURNS, STATISTICS, COUNTERS,
    ];
}

/// The name of the program that balances.
pub const PROGRAM: &str = "director";

pub const TCP: u32 = 6;
pub const UDP: u32 = 17;
pub const IPV4: u8 = 4;
pub const IPV6: u8 = 6;

/// How a new flow finds its real server.
pub mod choice {
    /// One slot after the other.
    pub const TURNS: u8 = 0;
    /// A slot by the client's address.
    pub const SOURCE: u8 = 1;
    /// A slot by the client's address and port.
    pub const SOURCE_PORT: u8 = 2;
    /// A slot by the service's address.
    pub const DESTINATION: u8 = 3;
    /// Those above know a flow by its hash alone; those below look at every real server in the slots.
    pub const LEAST: u8 = 4;
    pub const LEAST_WEIGHTED: u8 = 5;
    pub const SHORTEST_DELAY: u8 = 6;
    pub const NEVER_QUEUE: u8 = 7;
    pub const FAILOVER: u8 = 8;
    pub const OVERFLOW: u8 = 9;
    pub const LOCALITY: u8 = 10;
    pub const LOCALITY_REPLICATED: u8 = 11;
}

/// Bits of a service.
pub mod service_flag {
    /// Each packet finds its real server anew.
    pub const ONE_PACKET: u8 = 1;
    /// A hashed flow whose real server takes no more goes to another.
    pub const FALLBACK: u8 = 2;
}

/// How a packet gets to its real server.
pub mod forward {
    /// Not in use: flows that point here find another.
    pub const NONE: u8 = 0;
    pub const NAT: u8 = 1;
    pub const ROUTE: u8 = 2;
    /// RFC 2003, RFC 2473.
    pub const IP_IN_IP: u8 = 3;
    /// Generic UDP encapsulation, variant 0.
    pub const GUE: u8 = 4;
    /// RFC 2784, without a checksum.
    pub const GRE: u8 = 5;
}

/// What an entry of the flow tables is.
pub mod direction {
    /// From the client to the service.
    pub const REQUEST: u8 = 0;
    /// From the real server to the client.
    pub const ANSWER: u8 = 1;
}

/// What is counted, by place in `COUNTERS`.
pub mod counter {
    /// A new flow.
    pub const FLOW_NEW: u32 = 0;
    /// Answers whose source was translated back.
    pub const REPLY: u32 = 1;
    /// Passed on: no service of ours.
    pub const FOREIGN: u32 = 2;
    /// Passed on: has IP options or extension headers.
    pub const OPTIONS: u32 = 3;
    /// Passed on: a fragment.
    pub const FRAGMENT: u32 = 4;
    /// Passed on: cut short, or lengths at odds.
    pub const MALFORMED: u32 = 5;
    /// Dropped: no real server serves.
    pub const NO_REAL: u32 = 6;
    /// The way to the real server is not known yet.
    pub const NO_NEIGHBOUR: u32 = 7;
    /// Passed on: its time to live ends here.
    pub const EXPIRED: u32 = 8;
    /// Passed on: a segment in the middle of a connection that nobody knows.
    pub const NO_FLOW: u32 = 9;
    /// ICMP errors that were brought to the end of a flow.
    pub const ICMP: u32 = 10;
    /// Dropped: the kernel knows no way.
    pub const NO_ROUTE: u32 = 11;
    /// Dropped: larger than the way to the real server takes, with its tunnel; and may be cut, which is the kernel's art.
    pub const TOO_BIG: u32 = 12;
    /// As before, and its sender was told what fits.
    pub const TOO_BIG_TOLD: u32 = 13;
    pub const COUNT: u32 = 14;

    /// What each is called in statistics.
    pub const NAMES: [&str; COUNT as usize] = [
        "flow_new",
        "reply",
        "foreign",
        "ip_options",
        "fragment",
        "malformed",
        "no_real_server",
        "no_neighbour",
        "ttl_expired",
        "no_flow",
        "icmp_error",
        "no_route",
        "too_big",
        "too_big_told",
    ];
}
