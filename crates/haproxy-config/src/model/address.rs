//! Addresses as `bind`, `server`, `log`, `source` and sockets of the runtime API take them.

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// Where to listen or connect to. Port 0 means "not given".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Inet {
        ip: IpAddr,
        port: u16,
    },
    /// A host name that is resolved at start (`init-addr`) or at run time (`resolvers`).
    Host {
        name: String,
        port: u16,
    },
    Unix(PathBuf),
    Abstract(Vec<u8>),
    /// An inherited descriptor: `fd@N`.
    Fd(RawFd),
}

/// An address block, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub ip: IpAddr,
    pub prefix: u8,
}
