//! `vrrp_instance` and `vrrp_sync_group`.

use super::{
    Address, ExtraInterface, Family, InstanceId, InstanceNotify, Route, Rule, SyncGroupId, Tracking,
};
use diag::Span;
use std::net::IpAddr;
use std::time::Duration;

/// VRRP version on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 3768: IPv4 only.
    V2,
    /// RFC 5798, RFC 9568.
    V3,
}

/// `state`, after the rules that clear it (`nopreempt`, AH, …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WantedState {
    Master,
    Backup,
}

/// A unicast peer and the TTLs its adverts may arrive with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub address: IpAddr,
    pub ttl_min: u8,
    pub ttl_max: u8,
}

/// How adverts travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    Multicast {
        group: IpAddr,
    },
    /// `peers` may be empty only with `unicast_fault_no_peer`: the instance is in FAULT then.
    Unicast {
        peers: Vec<Peer>,
        ttl: u8,
        check_source: bool,
    },
}

/// Secrets of the adverts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    None,
    /// VRRPv2 type 1, padded with zeros.
    Password([u8; 8]),
    /// VRRPv2 type 2: IPSEC AH, HMAC-MD5-96.
    Header([u8; 8]),
    /// keepalived 2.4's trailer, HMAC-SHA256.
    Hmac {
        keys: Vec<HmacKey>,
        /// Id of the key that signs.
        active: u8,
        mode: HmacMode,
        anti_replay: AntiReplay,
    },
}

/// A key of `auth_hmac`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacKey {
    pub id: u8,
    /// 32..=64 bytes.
    pub secret: Vec<u8>,
}

/// What happens to adverts without a valid trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HmacMode {
    /// Dropped.
    Enforce,
    /// Accepted without trailer, dropped with a wrong one.
    Permissive,
    /// Checked as `Permissive`, but own adverts carry none.
    ReceiveOnly,
}

/// How old adverts are told from fresh ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AntiReplay {
    /// By wall clock within this window.
    Time { window: Duration },
    /// By a counter that only rises.
    Monotonic,
}

/// The interface an instance makes for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnInterface {
    None,
    /// `use_vmac`
    Macvlan {
        /// `None`: made of the prefix and the VRID.
        name: Option<String>,
        /// `None`: 00:00:5e:00:01:VRID or 00:00:5e:00:02:VRID.
        mac: Option<[u8; 6]>,
        /// Announce the interface's changes by netlink.
        netlink_notify: bool,
        group: Option<u32>,
    },
    /// `use_ipvlan`
    Ipvlan {
        name: Option<String>,
        address: Option<IpAddr>,
        mode: IpvlanMode,
        group: Option<u32>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpvlanMode {
    Bridge,
    Private,
    Vepa,
}

/// Who answers on the addresses while not their owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accept {
    /// The host answers.
    Yes,
    /// Packets to and from the addresses are dropped.
    No,
}

/// The v3 checksum of unicast adverts before keepalived 1.3.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnicastChecksum {
    /// New, and the old form is recognised by itself.
    Auto,
    /// `old_unicast_checksum`
    Old,
    /// `old_unicast_checksum never`
    Never,
}

/// Gratuitous ARP and unsolicited NA of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garp {
    /// Until the second burst; zero: none.
    pub master_delay: Duration,
    /// Size of a burst; 0: none.
    pub master_repeat: u32,
    /// Zero: no refresh.
    pub refresh: Duration,
    pub refresh_repeat: u32,
    pub lower_priority_delay: Duration,
    pub lower_priority_repeat: u32,
    pub extra_interface: Option<ExtraInterface>,
}

impl Default for Garp {
    fn default() -> Self {
        Garp {
            master_delay: Duration::from_secs(5),
            master_repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_priority_delay: Duration::from_secs(5),
            lower_priority_repeat: 5,
            extra_interface: None,
        }
    }
}

/// Third parties that a node must reach before it becomes master. Ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// At least one.
    pub targets: Vec<WitnessTarget>,
    /// How many must answer; 1..=targets.
    pub quorum: usize,
    pub interval: Duration,
    pub timeout: Duration,
}

/// What is asked, and what counts as an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessTarget {
    /// An echo reply.
    Ping(IpAddr),
    /// A connection.
    Tcp(std::net::SocketAddr),
    /// A status of 200 to 399.
    Http { socket: std::net::SocketAddr, path: String },
}

/// One virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    /// Of the name.
    pub span: Span,
    pub version: Version,
    pub family: Family,
    pub state: WantedState,
    /// `None` only with unicast.
    pub interface: Option<String>,
    pub vrf: Option<String>,
    pub own_interface: OwnInterface,
    /// `use_vmac_addr`: macvlans also for addresses elsewhere.
    pub vmac_for_addresses: bool,
    /// `vmac_xmit_base`
    pub transmit_on_base: bool,
    /// False with `dont_track_primary`.
    pub track_primary: bool,
    /// `mcast_src_ip` or `unicast_src_ip`.
    pub source: Option<IpAddr>,
    pub track_source: bool,
    pub transport: Transport,
    /// `unicast_fault_no_peer`
    pub fault_without_peer: bool,
    /// 1..=255
    pub virtual_router_id: u8,
    /// 1..=255; 255 is the address owner.
    pub priority: u8,
    pub advert_interval: Duration,
    pub authentication: Authentication,
    /// `vrrp_strict` or `strict_mode`.
    pub strict: bool,
    pub accept: Accept,
    pub preempt: bool,
    pub preempt_delay: Duration,
    /// Missed adverts until a backup takes over (3).
    pub down_timer_adverts: u8,
    /// Silent when a lower priority is heard.
    pub lower_priority_no_advert: bool,
    /// One more advert before yielding to a higher priority.
    pub higher_priority_send_advert: bool,
    /// The file says so, or says not: no default of ours.
    pub higher_priority_send_advert_is_given: bool,
    pub owner_ignore_adverts: bool,
    /// Yield when own timers ran so late that another must have taken over. keepalived: only when asked for.
    pub timer_expired_backup: bool,
    pub skip_check_advert_addresses: bool,
    pub unicast_checksum: UnicastChecksum,
    /// v3 over IPv4 without the pseudo header.
    pub v3_checksum_as_v2: bool,
    pub garp: Garp,
    /// Told in adverts, in this order. Not more than 255.
    pub addresses: Vec<Address>,
    /// Moved but not told.
    pub excluded_addresses: Vec<Address>,
    pub routes: Vec<Route>,
    pub rules: Vec<Rule>,
    pub promote_secondaries: bool,
    pub tracking: Tracking,
    pub notify: InstanceNotify,
    /// Bytes.
    pub receive_buffer: Option<u32>,
    /// Its own, or that of all.
    pub witness: Option<Witness>,
    /// `lvs_sync_daemon_interface`
    pub sync_daemon_interface: Option<String>,
    pub sync_group: Option<SyncGroupId>,
}

/// Instances that change state together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup {
    pub name: String,
    pub span: Span,
    /// Never empty.
    pub members: Vec<InstanceId>,
    pub tracking: Tracking,
    pub notify: InstanceNotify,
    /// Weighted trackers of members count.
    pub tracking_weight: bool,
}
