//! The states, by their names and numbers, and what a witness says.

use std::time::Instant;

/// What a third party says about our own link, so that a node that is cut off takes nothing over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// Nobody is asked.
    None,
    /// It does not answer, or has not yet.
    Silent,
    /// It answered what was asked then.
    Answers { asked: Instant },
}

/// State of a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not started, or stopped.
    Initialize,
    /// Someone else is master, or soon will be.
    Backup,
    /// We hold the addresses.
    Master,
    /// Something that must work does not.
    Fault,
}

impl State {
    /// The word in logs.
    pub fn word(self) -> &'static str {
        match self {
            State::Initialize => "INIT",
            State::Backup => "BACKUP",
            State::Master => "MASTER",
            State::Fault => "FAULT",
        }
    }

    /// The number in keepalived's dumps.
    pub fn number(self) -> u8 {
        match self {
            State::Initialize => 0,
            State::Backup => 1,
            State::Master => 2,
            State::Fault => 3,
        }
    }
}
