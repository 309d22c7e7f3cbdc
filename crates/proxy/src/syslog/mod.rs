//! Log sinks: what a `log` line sends, to where, and how it is framed.
//!
//! ```text
//!   Targets (per log owner)          Outlets (per process, Arc)          Scratch (per thread)
//!   line: filter, sample, framing ─► UDP addresses, UNIX sockets, fds ─► own UDP sockets, the second's date
//! ```
//! Sending allocates nothing, formats a date once a second, makes one system call per target and never waits: what
//! the other side does not take at once is dropped and counted. This module never decides what is logged.

mod forwarded;
mod frame;
mod outlet;
mod received;
mod ring;
mod sample;
mod targets;

pub use outlet::{Outlets, OutletsBuilder, Scratch};
pub use received::Received;
pub use ring::{Receiver, Ring};
pub use targets::{Identity, Targets};

use std::io;

/// The longest message taken from a `len` (as HAProxy).
pub const MESSAGE_LENGTH_MAX: usize = 65_535;

/// Why a log target cannot be opened. Our environment's or the configuration's fault.
#[derive(Debug)]
pub enum OpenError {
    /// A host name that does not resolve.
    Resolve {
        name: String,
        source: io::Error,
    },
    Socket {
        target: String,
        source: io::Error,
    },
    /// `log ring@NAME` without such a section.
    NoSuchRing {
        name: String,
    },
    /// More outlets than [`outlet::OUTLETS_MAX`].
    TooManyOutlets,
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Resolve { name, source } => {
                write!(formatter, "log server '{name}' does not resolve: {source}")
            }
            OpenError::Socket { target, source } => {
                write!(formatter, "cannot open log target '{target}': {source}")
            }
            OpenError::NoSuchRing { name } => {
                write!(formatter, "log to ring '{name}': there is no such ring")
            }
            OpenError::TooManyOutlets => {
                write!(formatter, "more than {} different log targets", outlet::OUTLETS_MAX)
            }
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests;
