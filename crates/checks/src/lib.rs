//! Check recipes, the conversation that carries one out, and the machine that turns results into server states.
//!
//! Pure: bytes and `now` come in, actions and a deadline go out. It never opens a socket, reads a clock or draws
//! a random number; the shell (the proxy's health tasks, the director's checkers) does that.

#![forbid(unsafe_code)]

mod agent;
mod conversation;
mod pattern;
mod recipe;
mod report;
mod request;
mod response;
mod ruleset;
mod status;

pub use agent::{AgentAdmin, AgentReply, AgentState, AgentWeight};
pub use conversation::{Action, ConnectTo, Conversation, Environment, LiteralOnly, Outcome, Seen, Settings};
pub use pattern::{Pattern, PatternError};
pub use recipe::{
    Connect, Expect, FieldMatch, FieldPattern, HttpSend, Match, PortSource, Recipe, RecipeKind, Send,
    SendField, SetVariable, StatusSet, Step, Text, VariableValue,
};
pub use report::encode_info;
pub use ruleset::{LegacyHttpRequest, Ruleset, RulesetError};
pub use status::{CheckResult, CheckStatus};
