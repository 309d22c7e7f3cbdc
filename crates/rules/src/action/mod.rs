//! Actions of all rule sets: what a rule does, as typed data. Owns the keyword table, the parsers, and the parts that
//! are pure: edits of a message, replies, redirects. What needs a connection, a table or a clock is left as data for
//! the engine.
//!
//! ```text
//! words ─► parse_http_rule ─► HttpRule { action, condition, span }
//!                               ├ HttpAction::Edit        edit.evaluate(scope) → bytes; edit.apply(head, bytes)
//!                               ├ HttpAction::Return …    reply.write(scope) → bytes
//!                               ├ HttpAction::Redirect    redirect.write(scope) → bytes
//!                               └ HttpAction::Stream      data: variables, tracking, addresses, marks
//! ```

mod edit;
mod keywords;
mod normalize;
mod parse;
mod parse_message;
mod parse_stream;
mod redirect;
mod reply;
mod stream;

pub use edit::{Edit, EditError, NameMatch};
pub use keywords::{Keyword, Ruleset, keywords};
pub use normalize::Normalizer;
pub use parse::{parse_http_rule, parse_redirect_line, parse_tcp_rule};
pub use redirect::{Redirect, RedirectTarget, write_server_redirect};
pub use reply::{Reply, ReplyBody, Written, write_unauthorized};
pub use stream::{
    AddressPart, BandwidthLimit, Capture, CaptureSlot, CounterChange, ListChange, ListOperation, Quantity,
    Resolve, Service, StreamAction, TagValue, TimeoutValue, TimeoutWhich, Track, VariableCondition,
    VariableSource, VariableWrite,
};

use crate::{Condition, LogFormat};
use diag::Span;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// One `http-request`, `http-response` or `http-after-response` rule.
#[derive(Debug, Clone)]
pub struct HttpRule {
    pub action: HttpAction,
    pub condition: Option<Condition>,
    pub span: Span,
}

/// One `tcp-request` or `tcp-response` rule.
#[derive(Debug, Clone)]
pub struct TcpRule {
    pub action: TcpAction,
    pub condition: Option<Condition>,
    pub span: Span,
}

/// What an HTTP rule does.
#[derive(Debug, Clone)]
pub enum HttpAction {
    /// Ends the rule set of this section.
    Allow,
    /// Answers instead of the server; the rule sets end. Default status 403; in responses 502.
    Deny(Reply),
    /// As `Deny` after `timeout tarpit`. Default status 500.
    Tarpit(Reply),
    /// Answers instead of the server; counts as served.
    Return(Reply),
    /// Answers with another location, unless [`Redirect::write`] says there is none.
    Redirect(Redirect),
    /// Asks for a user name: [`write_unauthorized`]. `None`: the realm is the section's name.
    Auth {
        realm: Option<Box<[u8]>>,
    },
    /// Closes without an answer.
    Reject,
    /// Changes the message.
    Edit(Edit),
    /// Sends a 103 with this header now; those that follow each other go out as one.
    EarlyHint {
        name: Box<[u8]>,
        value: LogFormat,
    },
    /// Waits for the body, at most that long.
    WaitForBody {
        time: Duration,
        at_least: Option<u64>,
    },
    /// Waits until early data was confirmed.
    WaitForHandshake,
    /// No retry after the request was sent, whatever `retry-on` says.
    DisableL7Retry,
    /// Whether a failed rewrite ends the request with 500 (default) or is only counted.
    StrictMode(bool),
    CacheUse(Box<str>),
    CacheStore(Box<str>),
    /// What TCP rules can do as well.
    Stream(StreamAction),
}

/// What a TCP rule does.
#[derive(Debug, Clone)]
pub enum TcpAction {
    /// Ends the rule set.
    Accept,
    /// Closes the connection.
    Reject,
    /// Response rules: closes the server side.
    Close,
    /// A PROXY protocol header must come first.
    ExpectProxy,
    /// A NetScaler client IP header must come first.
    ExpectNetscalerCip,
    /// The connection speaks HTTP from here on; with `proto`, that one.
    SwitchModeHttp { proto: Option<Box<str>> },
    /// What HTTP rules can do as well.
    Stream(StreamAction),
}
