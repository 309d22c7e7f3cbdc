//! HAProxy's peers protocol 2.1: stick tables exchanged between instances. Bytes and `now` come in; bytes, changes of
//! tables and a deadline go out. Owns the handshake's texts, the messages, and what a session knows of the other side;
//! never opens a socket or reads a clock.
//!
//! ```text
//!  Greeting ──────────► Session ─ Lessons: cursors into the tables, what the other side has acknowledged
//!  (hello, status)        │      └ Remote tables: their definitions, the dictionaries of server keys
//!                         ▼
//!                     Resync: is this instance up to date, and whom does it ask?   one for each section
//! ```
//!
//! Source: peers.txt of HAProxy 2.6, completed by captures of two instances of 2.6.12.

mod definition;
mod dictionary;
mod entry;
mod greeting;
mod message;
mod resync;
mod session;
mod wire;

pub use definition::SharedTable;
pub use greeting::{Greeting, GreetingError, STATUS_LEN_MAX, Status};
pub use resync::{Resync, Source};
pub use session::{Counters, Lesson, Limit, Session, SessionError, TableView};

/// Silence after which a heartbeat is sent.
pub const HEARTBEAT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(3);
/// Silence of the other side after which it is taken for dead.
pub const DEAD_AFTER: std::time::Duration = std::time::Duration::from_secs(5);
/// Rest before the next try to connect.
pub const RECONNECT_AFTER: std::time::Duration = std::time::Duration::from_secs(5);
/// How long an instance waits for somebody to learn from, for each kind of source.
pub const RESYNC_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
