//! The state of everything at one moment: what dumps, metrics and the runtime socket show.

use std::net::IpAddr;
use std::time::Duration;
use vrrp::{Counter, State, Statistics};

#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub instances: Vec<InstanceSnapshot>,
    pub groups: Vec<(String, State)>,
    /// Whether the sessions of BFD are up, by their place in the model.
    pub bfd: Vec<bool>,
    pub interfaces: crate::interfaces::Interfaces,
    /// Latest wake-up behind its deadline since the start.
    pub lateness_max: Duration,
    /// Adverts that could not be sent.
    pub send_errors: u64,
}

/// Why an instance is master (RFC 6527, vrrpv3StatisticsNewMasterReason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MasterReason {
    #[default]
    NotMaster,
    /// The master left.
    Priority,
    /// It took over from one of a lower priority.
    Preempted,
    /// The master was silent.
    MasterNoResponse,
}

impl MasterReason {
    pub fn number(self) -> i64 {
        match self {
            Self::NotMaster => 0,
            Self::Priority => 1,
            Self::Preempted => 2,
            Self::MasterNoResponse => 3,
        }
    }
}

/// What was last wrong with the protocol of a packet (RFC 6527, vrrpv3StatisticsProtoErrReason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProtocolError {
    #[default]
    None,
    Ttl,
    Version,
    Checksum,
    Vrid,
}

impl ProtocolError {
    /// `None`: wrong in another way.
    pub fn of(counter: Counter) -> Option<Self> {
        match counter {
            Counter::TtlErrors => Some(Self::Ttl),
            Counter::VersionErrors => Some(Self::Version),
            Counter::ChecksumErrors => Some(Self::Checksum),
            Counter::VridErrors => Some(Self::Vrid),
            Counter::AdvertsReceived
            | Counter::AdvertsSent
            | Counter::BecameMaster
            | Counter::ReleasedMaster
            | Counter::LengthErrors
            | Counter::IntervalErrors
            | Counter::TypeErrors
            | Counter::AddressListErrors
            | Counter::AuthTypeErrors
            | Counter::AuthTypeMismatches
            | Counter::AuthFailures
            | Counter::PriorityZeroReceived
            | Counter::PriorityZeroSent
            | Counter::SourceErrors
            | Counter::SplitBrains
            | Counter::AddressesRestored
            | Counter::Stalls => None,
        }
    }

    pub fn number(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Ttl => 1,
            Self::Version => 2,
            Self::Checksum => 3,
            Self::Vrid => 4,
        }
    }
}

/// One instance.
#[derive(Debug, Clone)]
pub struct InstanceSnapshot {
    pub name: String,
    pub state: State,
    /// With what is tracked.
    pub priority: u8,
    /// Priority in the last advert heard, 0: none yet.
    pub master_priority: u8,
    pub master_address: Option<IpAddr>,
    pub master_interval: Duration,
    pub source: Option<IpAddr>,
    pub interface: Option<String>,
    /// In use now: its own macvlan, if it has one.
    pub own_interface: Option<String>,
    pub addresses_set: bool,
    /// When the state changed: since 1970.
    pub last_transition: Duration,
    /// How long it was neither in fault nor stopped, and since when: from the start of the process.
    pub up_for: Duration,
    pub up_since: Duration,
    pub master_reason: MasterReason,
    pub protocol_error: ProtocolError,
    /// Tracked things that put it to fault, and that it waits for.
    pub faults: usize,
    pub waits: usize,
    /// How long a master may be silent.
    pub master_down: Duration,
    /// When the timer runs out, from now.
    pub timer: Option<Duration>,
    pub statistics: Statistics,
    pub in_maintenance: bool,
    pub split_with: Option<IpAddr>,
}
