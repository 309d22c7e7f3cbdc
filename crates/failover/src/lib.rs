//! VRRP on a host: sockets, addresses, scripts, notices.
//!
//! ```text
//!   engine (one real-time thread)                 office (ordinary threads)
//!   adverts, netlink, timers, ARP/NA    notices ►  logs, scripts, notify, mail, dumps, runtime socket
//!   the vrrp cores                     ◄ orders   configuration
//!     ▲ who is there
//!   bfd (one thread, when there are sessions)
//! ```
//!
//! Owns all input and output of failover; what is decided is the `vrrp` crate's.

#![forbid(unsafe_code)]

pub mod bfd;
pub mod channel;
pub mod engine;
pub mod interfaces;
pub mod kernel;
pub mod log;
pub mod office;
pub mod plan;
pub mod snapshot;
pub mod snmp;
pub mod vmac;
