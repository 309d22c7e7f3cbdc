//! AgentX (RFC 2741), the sub-agent's side: a program's numbers under a master agent that speaks SNMP. Owns packets, the
//! ordered tree of what is shown, and the session with the master; never a socket, a clock or a thread.
//!
//! Not done: allocation of indexes, contexts other than the default one, and writes: what a manager wants to set is refused
//! as not writable (docs/decisions/0021-snmp.md).

#![forbid(unsafe_code)]

mod oid;
mod pdu;
mod session;
mod tree;
mod value;
mod wire;

pub use oid::{Oid, SUB_IDS_MAX};
pub use pdu::{HEADER_LENGTH, Message, PAYLOAD_LENGTH_MAX, Pdu, SearchRange, error, payload_length};
pub use session::{
    ANSWER_TIMEOUT, Event, NOTIFICATION_AGE_MAX, NOTIFICATIONS_MAX, OUTPUT_LENGTH_MAX, PING_INTERVAL,
    REQUESTS_MAX, RETRY_MAX, RETRY_MIN, Session, Settings,
};
pub use tree::Tree;
pub use value::{Binding, Value};
pub use wire::{Malformed, Order};
