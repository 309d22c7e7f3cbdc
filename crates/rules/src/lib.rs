//! The rule engine: sample fetches, converters, ACLs, maps, log-format, actions and stick tables.
//!
//! Pure: bytes, facts and `now` come in; values, verdicts and bytes come out. Parsing happens once, at load, with
//! spans; evaluation borrows from the message and allocates only where a converter makes new bytes.
//! It never opens a socket or reads a clock.

mod acl;
mod action;
mod cast;
mod context;
mod expr;
mod fetch;
mod ids;
pub mod log_format;
mod pattern;
mod place;
mod regex;
mod scope;
pub mod stick_table;
mod suggest;
pub mod units;
mod value;
mod variable_name;

pub use acl::{AclSet, Condition};
pub use action::{HttpRule, TcpRule};
pub use context::{LoadError, Names, ParseContext, Word};
pub use expr::Expr;
pub use ids::{ProxyId, ServerId, TableId, UserlistId};
pub use log_format::{LogContext, LogFormat};
pub use pattern::PatternStore;
pub use place::{Place, PlaceSet, Section};
pub use scope::{
    BackendNumber, Direction, FrontendNumber, Host, Peer, ProcessNumber, RulePlace, Scope, ServerNumber,
    StreamFacts, StreamTimeout, Termination, Times, Variables, WallTime,
};
pub use stick_table::{StickTable, StickTableConfig};
pub use value::{Value, ValueType};
pub use variable_name::{VariableName, VariableScope};
