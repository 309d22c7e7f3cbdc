//! Bidirectional forwarding detection (RFC 5880) over one or more hops (RFC 5881, RFC 5883), in asynchronous mode: whether a
//! neighbour is there, within milliseconds. Owns packets and sessions; never a socket, a clock or a thread.
//!
//! Not done: authentication, the echo function, and asking the neighbour for demand mode. A neighbour that asks for it gets
//! what it wants.

#![forbid(unsafe_code)]

mod packet;
mod session;

pub use packet::{Diagnostic, LENGTH, Malformed, Packet, State};
pub use session::{Action, Config, Session};

/// Where control packets of one hop go (RFC 5881, section 4).
pub const PORT: u16 = 3784;
/// Where control packets over several hops go (RFC 5883, section 5).
pub const PORT_MULTIHOP: u16 = 4784;
/// Source ports of control packets (RFC 5881, section 4).
pub const SOURCE_PORTS: std::ops::RangeInclusive<u16> = 49152..=65535;
