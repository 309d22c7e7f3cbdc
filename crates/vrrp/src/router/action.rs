//! What a virtual router wants done, and what it has to say.

use super::State;
use crate::types::Interval;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What the shell must do, in this order and before it waits again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send one advert to the group, or to each peer.
    SendAdvert {
        /// Priority in it: 0 says that we leave.
        priority: u8,
        /// Interval in it.
        interval: Interval,
    },
    /// Add the virtual addresses, routes and rules; those that are there already stay as they are.
    AddAddresses {
        /// Whether packets to them are taken; else the firewall drops them.
        accept: bool,
    },
    /// Remove the virtual addresses, routes and rules.
    RemoveAddresses,
    /// Tell neighbours where the addresses live: this many rounds over all addresses, in order.
    Announce {
        /// Rounds, at least 1.
        rounds: u32,
    },
    /// Forget announcements that still wait to be sent.
    CancelAnnouncements,
    /// Run the scripts, write to the pipes, send the mail.
    Notify(Notification),
    /// Write a line to the log, after the instance's name in parentheses.
    Log(Notice),
}

/// What scripts and pipes hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What happened.
    pub event: NotifyEvent,
    /// Effective priority; 0 for groups.
    pub priority: u8,
}

/// What happened, in the words that scripts and pipes get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotifyEvent {
    /// It is master.
    Master,
    /// It is backup.
    Backup,
    /// It is in fault.
    Fault,
    /// The program stops.
    Stop,
    /// A reload took it away.
    Deleted,
    /// A master heard a lesser one: pipes and `notify_master_rx_lower_pri` only.
    MasterRxLowerPriority,
    /// The priority of a master changed: pipes only.
    MasterPriority,
    /// The priority of a backup changed: pipes only.
    BackupPriority,
}

impl NotifyEvent {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            NotifyEvent::Master => "MASTER",
            NotifyEvent::Backup => "BACKUP",
            NotifyEvent::Fault => "FAULT",
            NotifyEvent::Stop => "STOP",
            NotifyEvent::Deleted => "DELETED",
            NotifyEvent::MasterRxLowerPriority => "MASTER_RX_LOWER_PRI",
            NotifyEvent::MasterPriority => "MASTER_PRIORITY",
            NotifyEvent::BackupPriority => "BACKUP_PRIORITY",
        }
    }
}

/// A line for the log. Its text is keepalived's, without the name in parentheses before it, where keepalived has the
/// line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Another state; `initial` for the first one after a start.
    Entering {
        /// The state.
        state: State,
        /// Whether it is the first one.
        initial: bool,
    },
    /// The master is silent.
    AdvertTimeout,
    /// The master left.
    BackupPriorityZero,
    /// Another master left while we are one.
    MasterPriorityZero,
    /// We said that we leave.
    SentPriorityZero,
    /// A better master is there.
    HigherPriority {
        /// Who.
        from: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: u8,
    },
    /// An equal master with the greater address is there.
    SamePriorityHigherAddress {
        /// Who.
        from: IpAddr,
        /// Priority of both.
        priority: u8,
    },
    /// A lesser master is there.
    LowerPriority {
        /// Who.
        from: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: u8,
        /// Whether it hears an advert at once.
        answered: bool,
    },
    /// A backup hears a lesser master and lets its own timer run out.
    DiscardLowerPriority {
        /// Who.
        from: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Someone sends adverts with our address and our priority.
    SameAddress,
    /// Two machines own the addresses.
    TwoOwners,
    /// The master has another interval.
    IntervalLearned {
        /// Before.
        from: Interval,
        /// From now on.
        to: Interval,
    },
    /// We are master and go back to our own interval.
    IntervalRestored {
        /// Before.
        from: Interval,
        /// From now on.
        to: Interval,
    },
    /// The priority changed.
    EffectivePriority {
        /// Before.
        from: u8,
        /// From now on.
        to: u8,
    },
    /// The priority changed while it plays no part.
    EffectivePrioritySet {
        /// From now on.
        to: u8,
    },
    /// A lesser master is let be for this long.
    PreemptDelayStarted {
        /// How long.
        delay: Duration,
    },
    /// The lesser master is no longer there.
    PreemptDelayStopped,
    /// Another master was heard while we were an established one.
    SplitBrain {
        /// Who.
        with: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The other master is silent again.
    SplitBrainEnded {
        /// Who.
        with: IpAddr,
    },
    /// Addresses that were there at the start are kept: we go on as master.
    Adopted {
        /// Whether we listen before the first advert.
        listening: bool,
    },
    /// We slept through our timers and listen before we claim anything.
    Stalled {
        /// How late we were.
        late: Duration,
    },
    /// The same, and the file says to yield then.
    StalledAndYields {
        /// How late we were.
        late: Duration,
    },
    /// The master left by the double priority 0: we are next and do not wait.
    FastHandOver,
    /// The timer ran out, but the witness does not answer.
    PromotionRefused,
    /// Someone took addresses away: they come back.
    AddressesRestored,
}

/// Milliseconds, as in keepalived's lines about intervals.
fn millis(interval: Interval) -> u128 {
    interval.duration().as_millis()
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Notice::Entering { state, initial } => {
                let state = state.word();
                let initial = if initial { " (init)" } else { "" };
                write!(out, "Entering {state} STATE{initial}")
            }
            Notice::AdvertTimeout => write!(out, "Receive advertisement timeout"),
            Notice::BackupPriorityZero => write!(out, "Backup received priority 0 advertisement"),
            Notice::MasterPriorityZero => write!(out, "Master received priority 0 message"),
            Notice::SentPriorityZero => write!(out, "sent 0 priority"),
            Notice::HigherPriority { from, priority, ours } => {
                write!(out, "Master received advert from {from} with higher priority {priority}, ours {ours}")
            }
            Notice::SamePriorityHigherAddress { from, priority } => write!(
                out,
                "Master received advert from {from} with same priority {priority} but higher IP address than ours"
            ),
            Notice::LowerPriority { from, priority, ours, answered } => {
                let answered = if answered { ", forcing new election" } else { "" };
                write!(
                    out,
                    "Received advert from {from} with lower priority {priority}, ours {ours}{answered}"
                )
            }
            Notice::DiscardLowerPriority { from, priority } => {
                write!(out, "received lower priority ({priority}) advert from {from} - discarding")
            }
            Notice::SameAddress => {
                write!(out, "WARNING - equal priority advert received from remote host with our IP address.")
            }
            Notice::TwoOwners => write!(
                out,
                "CONFIGURATION ERROR: local instance and a remote instance are both configured as address \
                 owner, please fix - reducing local priority"
            ),
            Notice::IntervalLearned { from, to } => write!(
                out,
                "advertisement interval updated from {}ms to {}ms by master",
                millis(from),
                millis(to)
            ),
            Notice::IntervalRestored { from, to } => write!(
                out,
                "changing advert interval from {}ms to locally configured {}ms",
                millis(from),
                millis(to)
            ),
            Notice::EffectivePriority { from, to } => {
                write!(out, "Changing effective priority from {from} to {to}")
            }
            Notice::EffectivePrioritySet { to } => write!(out, "Setting effective priority to {to}"),
            Notice::PreemptDelayStarted { delay } => {
                write!(out, "start preempt delay ({}.{:06})", delay.as_secs(), delay.subsec_micros())
            }
            Notice::PreemptDelayStopped => write!(out, "stop preempt delay"),
            Notice::SplitBrain { with, priority } => {
                write!(out, "split brain: {with} is master too, with priority {priority}")
            }
            Notice::SplitBrainEnded { with } => write!(out, "split brain ended: {with} is silent"),
            Notice::Adopted { listening: false } => write!(out, "addresses are in place, going on as master"),
            Notice::Adopted { listening: true } => {
                write!(out, "addresses are in place, listening before going on as master")
            }
            Notice::StalledAndYields { late } => {
                write!(out, "timer ran {} ms late, another must have taken over", late.as_millis())
            }
            Notice::Stalled { late } => {
                write!(out, "timer ran {} ms late, listening before claiming anything", late.as_millis())
            }
            Notice::FastHandOver => write!(out, "master handed over, taking over at once"),
            Notice::PromotionRefused => write!(out, "not taking over: the witness does not answer"),
            Notice::AddressesRestored => {
                write!(out, "addresses were removed by someone else, restoring them")
            }
        }
    }
}
