//! `virtual_server`, `virtual_server_group`, `real_server` and the checkers.

use super::{BfdId, Command, Family, TrackFileId, VirtualServerGroupId};
use diag::Span;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// IPVS schedulers, under the kernel's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheduler {
    RoundRobin,
    WeightedRoundRobin,
    LeastConnections,
    WeightedLeastConnections,
    LocalityLeastConnections,
    LocalityReplicated,
    SourceHash,
    Maglev,
    DestinationHash,
    Failover,
    Overflow,
    ShortestDelay,
    NeverQueue,
    TwoChoices,
}

impl Scheduler {
    /// The word in configuration and kernel.
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::RoundRobin => "rr",
            Scheduler::WeightedRoundRobin => "wrr",
            Scheduler::LeastConnections => "lc",
            Scheduler::WeightedLeastConnections => "wlc",
            Scheduler::LocalityLeastConnections => "lblc",
            Scheduler::LocalityReplicated => "lblcr",
            Scheduler::SourceHash => "sh",
            Scheduler::Maglev => "mh",
            Scheduler::DestinationHash => "dh",
            Scheduler::Failover => "fo",
            Scheduler::Overflow => "ovf",
            Scheduler::ShortestDelay => "sed",
            Scheduler::NeverQueue => "nq",
            Scheduler::TwoChoices => "twos",
        }
    }
}

/// `flag-1` (`sh-fallback`, `mh-fallback`), `flag-2` (`sh-port`, `mh-port`), `flag-3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedulerFlags {
    pub flag1: bool,
    pub flag2: bool,
    pub flag3: bool,
    pub one_packet: bool,
    pub hashed: bool,
}

/// Checksums of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TunnelChecksum {
    #[default]
    None,
    Checksum,
    Remote,
}

/// What a packet is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    IpIp,
    Gue { port: u16, checksum: TunnelChecksum },
    Gre { checksum: TunnelChecksum },
}

/// How a packet gets to a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forwarding {
    Nat,
    DirectRouting,
    Tunnel(TunnelKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportProtocol {
    Tcp,
    Udp,
    Sctp,
}

/// Which packets a virtual server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VirtualAddress {
    Socket(SocketAddr),
    Mark { mark: u32, family: Family },
    Group(VirtualServerGroupId),
}

/// Consecutive addresses with one port. `port` 0: every port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    pub first: IpAddr,
    /// Not below `first`, same family.
    pub last: IpAddr,
    pub port: u16,
}

/// `virtual_server_group`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServerGroup {
    pub name: String,
    pub span: Span,
    pub addresses: Vec<PortRange>,
    /// Mark and, if given, its family.
    pub marks: Vec<(u32, Option<Family>)>,
}

/// When a check runs and when its result counts; inherited values are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckTiming {
    pub delay_loop: Duration,
    pub connect_timeout: Duration,
    /// Extra tries before down.
    pub retry: u32,
    pub delay_before_retry: Duration,
    /// Bound of the random first delay; zero: none.
    pub warmup: Duration,
    /// Starts as failed.
    pub alpha: bool,
    /// Of this check; `checker_log_all_failures` is for all of them.
    pub log_all_failures: bool,
}

/// What a virtual or a real server says for the checks below it; `None`: each kind of check has its own default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckDefaults {
    pub delay_loop: Duration,
    pub connect_timeout: Duration,
    pub retry: Option<u32>,
    pub delay_before_retry: Option<Duration>,
    pub warmup: Option<Duration>,
    pub virtual_host: Option<String>,
    pub inhibit_on_failure: bool,
}

impl Default for CheckDefaults {
    /// Of a file that says nothing.
    fn default() -> Self {
        Self {
            delay_loop: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            retry: None,
            delay_before_retry: None,
            warmup: None,
            virtual_host: None,
            inhibit_on_failure: false,
        }
    }
}

/// Where a check connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectOptions {
    /// `None`: the real server's address.
    pub address: Option<IpAddr>,
    /// `None`: the real server's port.
    pub port: Option<u16>,
    pub bind_address: Option<IpAddr>,
    pub bind_port: Option<u16>,
    pub bind_interface: Option<String>,
    pub mark: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpProtocol {
    Http10,
    /// 1.0 with `Connection: close`.
    Http10Close,
    Http11,
}

/// One request of an HTTP check and what its answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    pub path: String,
    /// MD5 of the body.
    pub digest: Option<[u8; 16]>,
    /// Inclusive ranges; 200..=299 when the file gives none.
    pub status: Vec<(u16, u16)>,
    /// Inherited values are applied.
    pub virtual_host: Option<String>,
    /// Of the check or a server above it.
    pub is_virtual_host_inherited: bool,
    pub regex: Option<String>,
    pub regex_options: Vec<String>,
    pub regex_no_match: bool,
    pub regex_min_offset: usize,
    /// Exclusive; `None`: to the end.
    pub regex_max_offset: Option<usize>,
    pub tls_compliant: bool,
}

/// Question of a DNS check, RFC 1035 §3.2.2 and RFC 3596.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DnsType {
    A,
    Ns,
    Cname,
    Soa,
    Mx,
    Txt,
    Aaaa,
}

/// Factor on the number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileWeight {
    pub weight: i32,
    pub reverse: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    Tcp,
    /// Also SSL_GET, with `tls`.
    Http {
        tls: bool,
        sni: bool,
        sni_name: Option<String>,
        protocol: HttpProtocol,
        fast_recovery: bool,
        /// The check's own; its URLs have it already.
        virtual_host: Option<String>,
        urls: Vec<HttpUrl>,
    },
    Smtp {
        helo_name: Option<String>,
    },
    Dns {
        question: DnsType,
        name: String,
    },
    Misc {
        command: Command,
        /// `None`: the time between checks.
        timeout: Option<Duration>,
        dynamic: bool,
    },
    /// Hex digits; `None` in the reply: any value of these four bits.
    Udp {
        payload: Option<Vec<u8>>,
        require_reply: Option<Vec<Option<u8>>>,
        reply_length: (u16, u16),
    },
    Ping,
    File {
        file: TrackFileId,
        weight: FileWeight,
    },
    Bfd {
        session: BfdId,
    },
}

/// One checker of a real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub span: Span,
    pub kind: CheckKind,
    pub connect: ConnectOptions,
    pub timing: CheckTiming,
}

/// `real_server`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealServer {
    pub span: Span,
    /// Port 0: as the virtual server's.
    pub address: SocketAddr,
    pub weight: u32,
    pub forwarding: Forwarding,
    pub upper_threshold: u32,
    pub lower_threshold: u32,
    pub inhibit_on_failure: bool,
    pub notify_up: Option<Command>,
    pub notify_down: Option<Command>,
    pub smtp_alert: bool,
    pub alpha: bool,
    pub snmp_name: Option<String>,
    pub check_defaults: CheckDefaults,
    pub checks: Vec<Check>,
}

/// `sorry_server`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SorryServer {
    pub address: SocketAddr,
    pub forwarding: Forwarding,
    pub inhibit: bool,
}

/// `virtual_server`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServer {
    pub span: Span,
    pub address: VirtualAddress,
    pub protocol: TransportProtocol,
    pub scheduler: Scheduler,
    pub flags: SchedulerFlags,
    /// Default of its real servers.
    pub forwarding: Forwarding,
    /// Default of its real servers.
    pub weight: u32,
    /// Seconds; `None`: no persistence.
    pub persistence_timeout: Option<u32>,
    /// Length of the mask.
    pub persistence_granularity: Option<u8>,
    pub persistence_engine: Option<String>,
    pub ha_suspend: bool,
    pub alpha: bool,
    pub omega: bool,
    pub quorum: u32,
    pub hysteresis: u32,
    pub quorum_up: Option<Command>,
    pub quorum_down: Option<Command>,
    pub smtp_alert: bool,
    pub snmp_name: Option<String>,
    pub check_defaults: CheckDefaults,
    pub sorry_server: Option<SorryServer>,
    pub real_servers: Vec<RealServer>,
}

/// `SSL`: what an SSL_GET check shows to servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SslMaterial {
    pub password: Option<String>,
    pub ca: Option<PathBuf>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}
