//! Who is told of a change: which programs with which words, in which order. One queue per instance or group: the next
//! program starts when the one before has ended, so that a script sees changes in the order they happened, each once.

use crate::snapshot::MasterReason;
use keepalived_config::model::{Command, InstanceNotify};
use std::collections::VecDeque;
use std::net::IpAddr;
use vrrp::Counter;

/// Programs that wait for one instance. A script that hangs while the state flaps must not fill memory.
pub const QUEUE_LENGTH_MAX: usize = 64;

/// Instance or group, as scripts and pipes name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Instance(String),
    Group(String),
}

impl Subject {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Instance(_) => "INSTANCE",
            Self::Group(_) => "GROUP",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Instance(name) | Self::Group(name) => name,
        }
    }
}

/// What happened, in the words that scripts and pipes get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    Master,
    Backup,
    Fault,
    Stop,
    Deleted,
    /// A master heard one of a lower priority.
    MasterHearsLower,
    /// The priority changed in that state.
    MasterPriority,
    BackupPriority,
    FaultPriority,
}

impl Happening {
    /// Whether the instance is master behind it; `None`: its state is as before.
    pub fn is_master(self) -> Option<bool> {
        match self {
            Self::Master => Some(true),
            Self::Backup | Self::Fault | Self::Stop | Self::Deleted => Some(false),
            Self::MasterHearsLower | Self::MasterPriority | Self::BackupPriority | Self::FaultPriority => {
                None
            }
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
            Self::Deleted => "DELETED",
            Self::MasterHearsLower => "MASTER_RX_LOWER_PRI",
            Self::MasterPriority => "MASTER_PRIORITY",
            Self::BackupPriority => "BACKUP_PRIORITY",
            Self::FaultPriority => "FAULT_PRIORITY",
        }
    }
}

/// A change that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub subject: Subject,
    pub what: Happening,
    /// Of groups 0.
    pub priority: u8,
    /// Of an instance that became master.
    pub mastership: Option<Mastership>,
}

/// A packet that was refused, for a reason that is new in this state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub instance: String,
    /// Index of the interface of the configuration.
    pub interface: u32,
    pub source: IpAddr,
    /// What counts it.
    pub counter: Counter,
}

/// Whose, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mastership {
    /// Index of the interface of the configuration.
    pub interface: u32,
    pub source: IpAddr,
    pub reason: MasterReason,
}

impl Told {
    /// The line for pipes, without its end.
    pub fn line(&self) -> String {
        let (kind, name) = (self.subject.kind(), self.subject.name());
        format!("{kind} \"{name}\" {} {}", self.what.word(), self.priority)
    }
}

/// A program to run, with the words that come behind its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub command: Command,
    pub more: Vec<String>,
}

/// The programs that `told` starts, in order: the one for the state, then the one for any change.
pub fn programs(notify: &InstanceNotify, told: &Told) -> Vec<Run> {
    let plain = |command: &Option<Command>| command.clone().map(|command| Run { command, more: Vec::new() });
    let specific = match told.what {
        Happening::Master => plain(&notify.master),
        Happening::Backup => plain(&notify.backup),
        Happening::Fault => plain(&notify.fault),
        Happening::Stop => plain(&notify.stop),
        Happening::Deleted => plain(&notify.deleted),
        Happening::MasterHearsLower => plain(&notify.master_hears_lower),
        Happening::MasterPriority | Happening::BackupPriority | Happening::FaultPriority => None,
    };
    let any = match told.what {
        Happening::Master | Happening::Backup | Happening::Fault | Happening::Stop | Happening::Deleted => {
            notify.any.clone()
        }
        Happening::MasterHearsLower
        | Happening::MasterPriority
        | Happening::BackupPriority
        | Happening::FaultPriority => None,
    };
    let any = any.map(|command| Run {
        command,
        more: vec![
            told.subject.kind().to_owned(),
            told.subject.name().to_owned(),
            told.what.word().to_owned(),
            told.priority.to_string(),
        ],
    });
    specific.into_iter().chain(any).collect()
}

/// The queue of one subject.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Run>,
    is_running: bool,
}

impl Queue {
    /// Puts programs at the end. The number that found no room is returned.
    pub fn push(&mut self, runs: Vec<Run>) -> usize {
        let mut refused = 0;
        for run in runs {
            if self.waiting.len() < QUEUE_LENGTH_MAX {
                self.waiting.push_back(run);
            } else {
                refused += 1;
            }
        }
        refused
    }

    /// The program to start now, if none runs.
    pub fn take_next(&mut self) -> Option<Run> {
        if self.is_running {
            return None;
        }
        let run = self.waiting.pop_front()?;
        self.is_running = true;
        Some(run)
    }

    /// The one that ran has ended, or did not start.
    pub fn ended(&mut self) {
        self.is_running = false;
    }

    pub fn is_idle(&self) -> bool {
        !self.is_running && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepalived_config::model::RunAs;

    fn command(word: &str) -> Option<Command> {
        Some(Command { words: vec![word.to_owned()], run_as: RunAs { user: 0, group: 0 } })
    }

    fn told(what: Happening) -> Told {
        Told { subject: Subject::Instance("VI_1".to_owned()), what, priority: 150, mastership: None }
    }

    // row: 247, 248, 249, 250
    #[test]
    fn each_state_has_its_program_then_the_one_for_all_with_its_words() {
        let notify = InstanceNotify {
            master: command("m"),
            backup: command("b"),
            fault: command("f"),
            stop: command("s"),
            any: command("a"),
            master_hears_lower: command("l"),
            ..InstanceNotify::default()
        };
        let words = |what| -> Vec<String> {
            let runs = programs(&notify, &told(what)).into_iter();
            runs.map(|run| [run.command.words, run.more].concat().join(" ")).collect()
        };
        assert_eq!(words(Happening::Master), ["m", "a INSTANCE VI_1 MASTER 150"]);
        assert_eq!(words(Happening::Backup), ["b", "a INSTANCE VI_1 BACKUP 150"]);
        assert_eq!(words(Happening::Fault), ["f", "a INSTANCE VI_1 FAULT 150"]);
        assert_eq!(words(Happening::Stop), ["s", "a INSTANCE VI_1 STOP 150"]);
        assert_eq!(words(Happening::Deleted), ["a INSTANCE VI_1 DELETED 150"]);
        assert_eq!(words(Happening::MasterHearsLower), ["l"]);
        assert!(words(Happening::MasterPriority).is_empty());
        assert_eq!(told(Happening::MasterPriority).line(), "INSTANCE \"VI_1\" MASTER_PRIORITY 150");
    }

    #[test]
    fn one_program_at_a_time_and_a_full_queue_says_so() {
        let run = Run { command: command("a").expect("some"), more: Vec::new() };
        let mut queue = Queue::default();
        assert_eq!(queue.push(vec![run.clone(); QUEUE_LENGTH_MAX + 2]), 2);
        assert!(queue.take_next().is_some());
        assert!(queue.take_next().is_none());
        queue.ended();
        assert!(queue.take_next().is_some());
    }
}
