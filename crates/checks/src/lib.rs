//! Check recipes, the conversation that carries one out, and the machine that turns results into server states.
//!
//! Pure: bytes and `now` come in, actions and a deadline go out. It never opens a socket, reads a clock or draws
//! a random number; the shell (the proxy's health tasks, the director's checkers) does that.

#![forbid(unsafe_code)]

mod pattern;
mod recipe;
mod ruleset;
mod status;

pub use pattern::{Pattern, PatternError};
pub use recipe::{
    Connect, Expect, FieldMatch, FieldPattern, HttpSend, Match, PortSource, Recipe, RecipeKind, Send,
    SendField, SetVariable, StatusSet, Step, Text, VariableValue,
};
pub use ruleset::{LegacyHttpRequest, Ruleset, RulesetError};
pub use status::{CheckResult, CheckStatus};
