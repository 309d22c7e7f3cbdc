//! TLS for the proxy: certificates and who gets which, verification, tickets, and the TLS machine itself, without a
//! socket: records and plaintext come in, plaintext and records go out.
//!
//! Reads files while a configuration is loaded or changed; never while a connection is served.

mod certificate;
mod connector;
mod crt_list;
mod describe;
mod files;
mod fixed;
pub mod hello;
pub mod inspect;
mod kept;
mod listener;
mod ocsp;
mod ocsp_text;
mod registry;
mod runtime;
mod session;
mod sessions;
pub mod suites;
pub mod tickets;
mod verify;

pub use certificate::{Certificate, Fault};
pub use connector::Connector;
pub use kept::{CacheUse, cache_use};
pub use listener::{Entry, Listener};
pub use registry::Tls;
pub use runtime::{Answer, Trust};
pub use rustls::Error;
pub use session::{Plain, RECORD_MAX, Received, SendError, Sent, Session, error_code};
