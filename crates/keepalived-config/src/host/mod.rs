//! What a configuration asks of the machine it is for: files, users, interfaces, names of tables.

mod memory;
mod system;

pub use memory::MemoryHost;
pub use system::SystemHost;

use crate::model::{Prefix, RunAs};
use std::path::{Path, PathBuf};

/// Why a file cannot be read.
pub type HostError = std::io::Error;

/// What is known of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfaceFacts {
    pub loopback: bool,
    /// Addresses with their masks, as far as known.
    pub networks: Vec<Prefix>,
}

/// What is known of a program that a script line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProgramFacts {
    /// Not looked for.
    Unknown,
    Runs,
    Missing,
    NotExecutable,
    /// Someone other than root may change it or a directory on its path.
    Insecure,
}

/// The names iproute2 knows for numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberNames {
    /// rt_tables
    Tables,
    /// rt_protos
    Protocols,
    /// rt_scopes
    Scopes,
    /// rt_realms
    Realms,
    /// rt_dsfield
    Dsfield,
    /// group
    Groups,
}

impl NumberNames {
    /// The name of its file.
    pub fn file(self) -> &'static str {
        match self {
            NumberNames::Tables => "rt_tables",
            NumberNames::Protocols => "rt_protos",
            NumberNames::Scopes => "rt_scopes",
            NumberNames::Realms => "rt_realms",
            NumberNames::Dsfield => "rt_dsfield",
            NumberNames::Groups => "group",
        }
    }
}

/// The machine a configuration is read for.
pub trait Host {
    /// The content of a file.
    ///
    /// # Errors
    /// It is not there, is a directory, is too long or may not be read.
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, HostError>;

    /// The files that a name with `*`, `?` and `[…]` stands for, sorted; the name itself if it has none and exists.
    fn glob(&self, pattern: &Path) -> Vec<PathBuf>;

    /// As uname(2) tells it.
    fn host_name(&self) -> String;

    /// A variable of the process.
    fn environment(&self, name: &str) -> Option<String>;

    /// A user by name or number, with the user's own group.
    fn user(&self, name: &str) -> Option<RunAs>;

    /// A group by name or number.
    fn group(&self, name: &str) -> Option<u32>;

    /// The user and group of this process.
    fn own_user(&self) -> RunAs;

    /// A program as it would be run by this user.
    fn program(&self, path: &str, run_as: RunAs) -> ProgramFacts;

    /// `None`: there is no such interface. `Some(None)`: nobody knows.
    fn interface(&self, name: &str) -> Option<Option<InterfaceFacts>>;

    /// A name in one of iproute2's files.
    fn number(&self, names: NumberNames, name: &str) -> Option<u32>;
}

/// A number under a name in a file of iproute2's form: `NUMBER NAME` lines with `#` comments.
pub fn find_number(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let line = line.split('#').next()?;
        let mut words = line.split_ascii_whitespace();
        let number = words.next()?;
        if words.next()? != name {
            return None;
        }
        match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        }
    })
}
