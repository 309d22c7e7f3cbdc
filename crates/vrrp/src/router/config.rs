//! What a virtual router is told to be.

use crate::types::{Family, Interval, PRIORITY_OWNER, Version, Vrid};
use std::net::IpAddr;
use std::time::Duration;

/// What the file says about the first state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialState {
    /// Nothing: the owner of the addresses is master at once (RFC 9568 §6.4.1), others start as backup.
    #[default]
    Unset,
    /// `state MASTER`: as `Unset`; who does not own the addresses listens first all the same.
    Master,
    /// `state BACKUP`: even the owner listens first.
    Backup,
}

/// Whether a better priority takes over from a master that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// Yes, after hearing the lesser master for this long (`preempt_delay`).
    After(Duration),
    /// No (`nopreempt`).
    Never,
}

impl Preempt {
    /// Yes, at once.
    pub const AT_ONCE: Preempt = Preempt::After(Duration::ZERO);
}

/// When, and how often, neighbours are told where the addresses live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnounceConfig {
    /// Rounds on becoming master (`garp_master_repeat`).
    pub repeat: u32,
    /// Time until as many rounds follow; zero: none do (`garp_master_delay`).
    pub delay: Duration,
    /// Time between repetitions while master; zero: none (`garp_master_refresh`).
    pub refresh: Duration,
    /// Rounds of such a repetition (`garp_master_refresh_repeat`).
    pub refresh_repeat: u32,
    /// Rounds after a lesser master was heard; 0: none (`garp_lower_prio_repeat`).
    pub lower_priority_repeat: u32,
    /// Time until as many rounds follow; zero: none do (`garp_lower_prio_delay`).
    pub lower_priority_delay: Duration,
}

impl Default for AnnounceConfig {
    /// keepalived's.
    fn default() -> AnnounceConfig {
        AnnounceConfig {
            repeat: 5,
            delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_priority_repeat: 5,
            lower_priority_delay: Duration::from_secs(5),
        }
    }
}

/// A virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Its name in the file: what groups, logs and a reload know it by.
    pub name: String,
    /// Version of the protocol.
    pub version: Version,
    /// Family of its addresses.
    pub family: Family,
    /// Its number.
    pub vrid: Vrid,
    /// Its priority before anything is tracked, 1 to 255; 255 owns the addresses.
    pub priority: u8,
    /// Time between its adverts as master.
    pub interval: Interval,
    /// Our address on the link, which decides between equals. `None` until it is known: then it loses to anyone.
    pub source: Option<IpAddr>,
    /// What the file says about the first state.
    pub initial_state: InitialState,
    /// Whether it takes over from a lesser master.
    pub preempt: Preempt,
    /// Adverts that must be missing before a master is down (`down_timer_adverts`), 1 to 100.
    pub down_timer_adverts: u32,
    /// Whether packets to the addresses are taken when we do not own them (`accept`).
    pub accept: bool,
    /// As master, say nothing to a lesser one (`lower_prio_no_advert`, RFC 5798). Else it hears an advert at once (RFC
    /// 9568).
    pub lower_prio_no_advert: bool,
    /// As master that yields, send one more advert, so that the better one tells neighbours again
    /// (`higher_prio_send_advert`).
    pub higher_prio_send_advert: bool,
    /// The same, but only as a master that took over because a better one was silent: see
    /// `docs/decisions/0018-last-word-after-a-split.md`.
    pub last_word_after_silence: bool,
    /// As master whose timer ran so late that another must have taken over, be backup (`timer_expired_backup`). Else it
    /// listens and keeps its addresses: `docs/decisions/0011-listen-after-a-stall.md`.
    pub backup_when_late: bool,
    /// As owner, do not look at adverts (`owner_ignore_adverts`, RFC 5798 §7.1).
    pub owner_ignore_adverts: bool,
    /// Time between `start` and the first state (`vrrp_startup_delay`).
    pub start_delay: Duration,
    /// A master that leaves sends its priority 0 twice, and a backup that hears both takes over at once: see
    /// `docs/decisions/0010-hand-over-without-skew.md`.
    pub fast_hand_over: bool,
    /// When neighbours are told.
    pub announce: AnnounceConfig,
}

impl RouterConfig {
    /// keepalived's defaults.
    pub fn new(name: &str, version: Version, vrid: Vrid, priority: u8) -> RouterConfig {
        RouterConfig {
            name: name.to_owned(),
            version,
            family: Family::V4,
            vrid,
            priority,
            interval: Interval::seconds(1).expect("1 is an interval"),
            source: None,
            initial_state: InitialState::Unset,
            preempt: Preempt::AT_ONCE,
            down_timer_adverts: 3,
            accept: true,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            last_word_after_silence: false,
            backup_when_late: false,
            owner_ignore_adverts: false,
            start_delay: Duration::ZERO,
            fast_hand_over: true,
            announce: AnnounceConfig::default(),
        }
    }

    /// Whether it owns the addresses.
    pub fn is_owner(&self) -> bool {
        self.priority == PRIORITY_OWNER
    }

    /// Whether it is master without listening first.
    pub(super) fn starts_as_master(&self) -> bool {
        match self.initial_state {
            InitialState::Unset | InitialState::Master => self.is_owner(),
            InitialState::Backup => false,
        }
    }
}
