//! What instances and groups watch, and how that changes their priority.

use super::{BfdId, Command, InstanceId, ScriptId, TrackFileId, TrackProcessId};
use diag::Span;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Something watched, and with which weight. Weight 0: its failure is a FAULT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked<T> {
    pub what: T,
    /// −254..=254; the default of what is watched is applied.
    pub weight: i32,
    /// Good is bad.
    pub reverse: bool,
}

/// Everything one instance or one sync group watches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tracking {
    pub interfaces: Vec<Tracked<String>>,
    pub scripts: Vec<Tracked<ScriptId>>,
    pub files: Vec<Tracked<TrackFileId>>,
    pub processes: Vec<Tracked<TrackProcessId>>,
    pub bfd: Vec<Tracked<BfdId>>,
    /// `track_proxy`, our extension: the health of proxies in the same program.
    pub proxies: Vec<Tracked<ProxyTrack>>,
}

/// A proxy of haproxy.cfg, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyTrack {
    /// Up while it listens.
    Frontend(String),
    /// Up while a server of it is.
    Backend(String),
}

/// `vrrp_script`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub name: String,
    pub span: Span,
    pub command: Command,
    pub interval: Duration,
    /// Zero in the file means the interval: that is applied.
    pub timeout: Duration,
    /// −253..=253; 0: failure is a FAULT.
    pub weight: i32,
    pub reverse: bool,
    pub rise: u32,
    pub fall: u32,
    /// Starts as failed.
    pub init_fail: bool,
}

/// `track_file` at the top of the file: a file with a number in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackFile {
    pub name: String,
    pub span: Span,
    pub path: PathBuf,
    pub weight: i32,
    pub reverse: bool,
    /// Written at start; see `overwrite`.
    pub initial: Option<i64>,
    /// Written even when the file exists.
    pub overwrite: bool,
}

/// How the parameters of a process are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterMatch {
    /// Not compared: the name alone counts.
    Ignored,
    Exact,
    /// The first ones equal.
    Partial,
    /// The first ones equal, and the last may go on.
    Initial,
}

/// `vrrp_track_process`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackProcess {
    pub name: String,
    pub span: Span,
    /// Program first.
    pub process: Vec<String>,
    pub parameters: ParameterMatch,
    pub weight: i32,
    pub reverse: bool,
    /// Fewest matching processes.
    pub quorum: u32,
    /// Most matching processes.
    pub quorum_max: Option<u32>,
    pub fork_delay: Duration,
    pub terminate_delay: Duration,
    /// /proc/PID/cmdline is compared, not the name.
    pub full_command: bool,
}

/// `bfd_instance`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BfdSession {
    pub name: String,
    pub span: Span,
    pub neighbor: IpAddr,
    pub source: Option<IpAddr>,
    pub receive_interval: Duration,
    pub send_interval: Duration,
    pub idle_interval: Duration,
    pub multiplier: u8,
    pub passive: bool,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Largest loss of TTL on the way; 255: not checked.
    pub hops_max: u8,
    pub multihop: bool,
    pub weight: i32,
    pub reverse: bool,
    pub for_vrrp: bool,
    pub for_checkers: bool,
}

/// `track_group`: instances that depend on a static address, route or rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackGroup {
    pub name: String,
    pub span: Span,
    pub instances: Vec<InstanceId>,
}
