//! What a keepalived.conf means: typed, valid, names resolved to ids and every default filled in.
//!
//! Owns no text of the file except what the user may see again (names, scripts). Never reads anything.

mod address;
mod commands;
mod global;
mod instance;
mod notify;
mod snmp;
mod track;
mod virtual_server;

pub use address::{
    Address, AddressFlags, Destination, Metric, NextHop, Prefix, Route, RouteKind, RouteMetrics, RouteMode,
    Rule, RuleAction,
};
pub use global::{
    ExtraInterface, Fifo, GarpGroup, Global, InterfaceDelay, LvsFlush, LvsTimeouts, Nftables, ProcessTuning,
    ReceiveBuffers, Smtp, SmtpSecurity, SyncDaemon,
};
pub use instance::{
    Accept, AntiReplay, Authentication, Garp, HmacKey, HmacMode, Instance, IpvlanMode, OwnInterface, Peer,
    SyncGroup, Transport, UnicastChecksum, Version, WantedState, Witness, WitnessTarget,
};
pub use notify::{Command, InstanceNotify, RunAs};
pub use snmp::{AgentSocket, Snmp};
pub use track::{
    BfdSession, ParameterMatch, ProxyTrack, Script, TrackFile, TrackGroup, TrackProcess, Tracked, Tracking,
};
pub use virtual_server::{
    Check, CheckDefaults, CheckKind, CheckTiming, ConnectOptions, DnsType, FileWeight, Forwarding,
    HttpProtocol, HttpUrl, PortRange, RealServer, Scheduler, SchedulerFlags, SorryServer, SslMaterial,
    TransportProtocol, TunnelChecksum, TunnelKind, VirtualAddress, VirtualServer, VirtualServerGroup,
};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The place in the model's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(/// Into [`Model::instances`].
    InstanceId);
id!(/// Into [`Model::sync_groups`].
    SyncGroupId);
id!(/// Into [`Model::scripts`].
    ScriptId);
id!(/// Into [`Model::track_files`].
    TrackFileId);
id!(/// Into [`Model::track_processes`].
    TrackProcessId);
id!(/// Into [`Model::bfd_sessions`].
    BfdId);
id!(/// Into [`Model::track_groups`].
    TrackGroupId);
id!(/// Into [`Model::virtual_server_groups`].
    VirtualServerGroupId);

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub fn of(address: std::net::IpAddr) -> Family {
        if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

/// One configuration. Ids of one model mean nothing in another: carry state over by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    pub global: Global,
    pub static_addresses: Vec<Address>,
    pub static_routes: Vec<Route>,
    pub static_rules: Vec<Rule>,
    pub track_groups: Vec<TrackGroup>,
    pub scripts: Vec<Script>,
    pub track_files: Vec<TrackFile>,
    pub track_processes: Vec<TrackProcess>,
    pub bfd_sessions: Vec<BfdSession>,
    pub garp_groups: Vec<GarpGroup>,
    pub interface_delays: Vec<InterfaceDelay>,
    /// Interfaces whose link is polled rather than listened to.
    pub polled_interfaces: Vec<String>,
    pub sync_groups: Vec<SyncGroup>,
    pub instances: Vec<Instance>,
    pub virtual_server_groups: Vec<VirtualServerGroup>,
    pub virtual_servers: Vec<VirtualServer>,
    pub ssl: Option<SslMaterial>,
}
