//! The rule engine: sample fetches, converters, ACLs, maps, log-format, actions and stick tables.
//!
//! Pure: bytes, facts and `now` come in; values, verdicts and bytes come out. Parsing happens once, at load, with
//! spans; evaluation borrows from the message and allocates only where a converter makes new bytes.
//! It never opens a socket or reads a clock.

mod acl;
mod action;
mod expr;
mod ids;
mod log_format;
mod scope;
pub mod stick_table;
pub mod units;
mod value;

pub use acl::Condition;
pub use action::{HttpRule, TcpRule};
pub use expr::Expr;
pub use ids::{ProxyId, ServerId};
pub use log_format::LogFormat;
pub use scope::{Host, Peer, Scope, StreamFacts, Termination, Times, WallTime};
pub use stick_table::{StickTable, StickTableConfig};
pub use value::{Value, ValueType};
