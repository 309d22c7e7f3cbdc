//! The rule engine: sample fetches, converters, ACLs, maps, log-format, actions and stick tables.
//!
//! Pure: bytes, facts and `now` come in; values, verdicts and bytes come out. Parsing happens once, at load, with
//! spans; evaluation borrows from the message and allocates only where a converter makes new bytes.
//! It never opens a socket or reads a clock.

mod acl;
pub mod action;
mod args;
mod captures;
mod cast;
mod context;
mod convert;
mod expr;
mod fetch;
mod ids;
pub mod log_format;
mod pattern;
mod place;
mod refused;
mod regex;
mod scope;
pub mod stick_table;
mod suggest;
mod task_cost;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod units;
mod value;
mod variable_name;
mod variables;

pub use acl::{Acl, AclSet, Condition, NamedCriterion, Polarity, Verdict, derived_names as acl_names};
pub use action::{HttpAction, HttpRule, Ruleset, StreamAction, TcpAction, TcpRule};
pub use args::{Arg, Param};
pub use captures::Captures;
pub use cast::{cast, exists as cast_exists};
pub use context::{LoadError, Names, ParseContext, Uses, Word};
pub use convert::{Converter, all as all_converters};
pub use expr::Expr;
pub use fetch::{Fetch, Fetched, Walk, all as all_fetches, internal_length};
pub use ids::{ProxyId, ServerId, TableId, UserlistId};
pub use log_format::{LogContext, LogFormat};
pub use pattern::{Entry, ListKind, MatchMethod, PatternList, PatternStore};
pub use place::{Place, PlaceSet, Section};
pub use regex::{Regex, expand as expand_groups};
pub use scope::{
    BackendNumber, ClientSocket, ConnectionError, Direction, FrontendNumber, Host, NoVariables, Peer,
    ProcessNumber, ProxyHeader, RulePlace, Scope, ServerNumber, SetTimeouts, StreamFacts, StreamTimeout,
    TcpNumber, Termination, Times, Variables, WallTime,
};
pub use stick_table::{StickTable, StickTableConfig, Tracked};
pub use suggest::hint as suggest;
pub use task_cost::TaskCost;
pub use value::{Value, ValueType};
pub use variable_name::{VariableName, VariableScope};
pub use variables::{CheckVariables, ProcessVariables, StreamVariables, VariableLimits, VariableSet};
