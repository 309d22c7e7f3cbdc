//! Addresses, routes and rules, as iproute2 words describe them.

use super::{Family, TrackGroupId};
use std::net::{IpAddr, Ipv4Addr};

/// An address with the length of its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

/// Rare flags of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressFlags {
    pub home: bool,
    /// Written as `-nodad`. keepalived sets it on every IPv6 VIP anyway.
    pub no_dad: bool,
    pub manage_temporary: bool,
    pub no_prefix_route: bool,
    pub auto_join: bool,
}

/// One address that is set on an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As written; 32 or 128 without a mask.
    pub prefix: Prefix,
    /// `None`: the instance's interface (its own macvlan if it has one). Always there in static addresses.
    pub interface: Option<String>,
    /// rt_scope: 0 global, 200 site, 253 link, 254 host, 255 nowhere.
    pub scope: u8,
    pub broadcast: Option<Ipv4Addr>,
    pub label: Option<String>,
    pub peer: Option<Prefix>,
    pub flags: AddressFlags,
    /// Seconds; `None`: forever. 0 (deprecated) is the default of an IPv6 VIP with /128.
    pub preferred_lifetime: Option<u32>,
    /// Its loss is noticed.
    pub track: bool,
    /// Static addresses only.
    pub track_group: Option<TrackGroupId>,
    /// On a macvlan of its own.
    pub use_vmac: bool,
}

/// RTN_*
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteKind {
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
    Nat,
}

/// How a route is put among equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteMode {
    /// Fails when there is one.
    Add,
    Prepend,
    Append,
}

/// Where a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    Default,
    Prefix(Prefix),
}

/// A metric that the kernel may be forbidden to adapt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    pub value: u32,
    pub lock: bool,
}

/// RTAX_*
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteMetrics {
    pub mtu: Option<Metric>,
    pub hop_limit: Option<u32>,
    pub advertised_mss: Option<Metric>,
    /// 1/8 ms, as the kernel counts.
    pub rtt: Option<Metric>,
    /// 1/4 ms.
    pub rtt_variance: Option<Metric>,
    pub reordering: Option<Metric>,
    pub window: Option<u32>,
    pub congestion_window: Option<Metric>,
    pub slow_start_threshold: Option<Metric>,
    /// ms
    pub rto_min: Option<Metric>,
    pub initial_congestion_window: Option<u32>,
    pub initial_receive_window: Option<u32>,
    pub ecn: bool,
    pub quick_ack: Option<bool>,
    pub congestion_control: Option<(String, bool)>,
    pub fastopen_no_cookie: Option<bool>,
}

/// One leg of a multipath route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    pub via: Option<IpAddr>,
    pub interface: Option<String>,
    /// 1..=256
    pub weight: u16,
    pub onlink: bool,
    pub realms: Option<u32>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub family: Family,
    pub destination: Destination,
    pub kind: RouteKind,
    pub mode: RouteMode,
    /// RT_TABLE_*; 254 (main) when not given.
    pub table: u32,
    /// rtm_protocol; 18 (keepalived) when not given.
    pub protocol: u8,
    /// `None`: as the kernel's tools choose (link without a gateway, host for local, else global).
    pub scope: Option<u8>,
    pub tos: u8,
    pub metric: Option<u32>,
    /// IPv6 only.
    pub from: Option<Prefix>,
    pub preferred_source: Option<IpAddr>,
    pub via: Option<IpAddr>,
    pub interface: Option<String>,
    pub onlink: bool,
    /// Not empty: multipath; `via` and `interface` are empty then.
    pub next_hops: Vec<NextHop>,
    pub realms: Option<u32>,
    pub metrics: RouteMetrics,
    /// Seconds.
    pub expires: Option<u32>,
    /// RFC 4191: 0 medium, 1 high, 3 low.
    pub preference: Option<u8>,
    pub ttl_propagate: Option<bool>,
    pub track: bool,
    pub track_group: Option<TrackGroupId>,
}

/// What a rule does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// Routing table.
    Lookup(u32),
    /// The table of the VRF.
    L3mdev,
    Goto(u32),
    Nop,
    Blackhole,
    Unreachable,
    Prohibit,
}

/// One policy rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub family: Family,
    pub not: bool,
    pub from: Option<Prefix>,
    pub to: Option<Prefix>,
    /// Given one when the file has none.
    pub priority: Option<u32>,
    pub action: RuleAction,
    pub tos: u8,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    pub realms: Option<u32>,
    pub suppress_prefix_length: Option<i32>,
    pub suppress_interface_group: Option<u32>,
    pub input_interface: Option<String>,
    pub output_interface: Option<String>,
    pub tunnel_id: Option<u64>,
    pub user_range: Option<(u32, u32)>,
    /// FRA_PROTOCOL; 18 when not given.
    pub protocol: u8,
    pub ip_protocol: Option<u8>,
    pub source_ports: Option<(u16, u16)>,
    pub destination_ports: Option<(u16, u16)>,
    pub track: bool,
    pub track_group: Option<TrackGroupId>,
}
