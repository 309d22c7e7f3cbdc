//! Check recipes, the conversation that carries one out, and the machine that turns results into server states.
//!
//! Pure: bytes and `now` come in, actions and a deadline go out. It never opens a socket, reads a clock or draws
//! a random number; the shell (the proxy's health tasks, the director's checkers) does that.

#![forbid(unsafe_code)]

mod agent;
mod binary_reply;
mod conversation;
mod matching;
mod notice;
mod observe;
mod pattern;
mod recipe;
mod report;
mod request;
mod response;
mod rise_fall;
mod ruleset;
mod schedule;
mod standing;
mod status;

pub use agent::{AgentAdmin, AgentReply, AgentState, AgentWeight};
pub use binary_reply::BinaryReply;
pub use conversation::{Action, ConnectTo, Conversation, Environment, LiteralOnly, Outcome, Seen, Settings};
pub use notice::{
    Cause, Counts, LEVEL_ALERT, LEVEL_EMERGENCY, LEVEL_NOTICE, Notice, Report, Subject, check_notice,
    no_server_notice,
};
pub use observe::{Layer, Observation, observed_report};
pub use pattern::{Pattern, PatternError};
pub use recipe::{
    Connect, Expect, FieldMatch, FieldPattern, HttpSend, Match, PortSource, Recipe, RecipeKind, Send,
    SendField, SetVariable, StatusSet, Step, Text, VariableValue,
};
pub use report::encode_info;
pub use rise_fall::{RiseFall, Step as HealthStep};
pub use ruleset::{LegacyHttpRequest, Ruleset, RulesetError};
pub use schedule::{Intervals, first_delay, jittered};
pub use standing::{AdminCommand, AdminFlags, Change, Operational, Standing, Turn};
pub use status::{CheckResult, CheckStatus};
