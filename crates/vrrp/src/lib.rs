//! VRRP, versions 2 and 3: the packets, the state machine of a virtual router, groups of them, and tracking.
//!
//! Owns what is decided and what the bytes are. Never opens a socket, reads a clock, starts a thread or runs a script:
//! `now` and bytes come in, actions and a deadline go out.
//!
//! ```text
//!  socket ─► Datagram ─► Wire::receive    ─► Advert ─► Node::handle_advert ─┐      ┌─► poll_action ─► shell
//!  netlink, scripts, files ──────────────────────────► Node::set_tracker ────┼─► … ─┤
//!  timer ─────────────────────────────────────────────► Node::handle_timeout ┘      └─► poll_timeout
//!  Action::SendAdvert ─► Wire::write_advert ─► bytes
//! ```
//!
//! What a shell must keep to:
//! - After waking up, read the sockets empty *before* `handle_timeout`: an advert that waits in a buffer is no silence.
//! - Carry out all actions in the order they come, then wait until `poll_timeout`.
//! - `now` never goes back.

#![forbid(unsafe_code)]

pub mod frames;
pub mod node;
pub mod packet;
pub mod router;
mod statistics;
pub mod tracking;
mod types;

pub use node::{
    GroupConfig, GroupId, Node, NodeAction, NodeConfig, NodeError, RouterId, Track, TrackedRouter,
    TrackerConfig, TrackerId,
};
pub use packet::{Advert, Authentication, Datagram, Discard, Wire, WireConfig};
pub use router::{Action, InitialState, Notice, Preempt, Router, RouterConfig, Start, State, Witness};
pub use statistics::{Counter, Statistics};
pub use types::{
    Family, Interval, PRIORITY_OWNER, PRIORITY_RESIGN, Version, Vrid, WallTime, master_down_interval,
    skew_time,
};
