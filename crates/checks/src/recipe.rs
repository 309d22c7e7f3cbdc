//! A recipe: the steps of one check, as the `tcp-check` and `http-check` rules describe them.
//!
//! Every protocol check (HTTP, SMTP, Redis, …) is a list of these steps and nothing else; a new protocol is a new
//! list, plus a [`Match`] where bytes need arithmetic. A recipe describes; [`crate::Conversation`] carries it out.

use crate::{BinaryReply, CheckStatus, Pattern};
use rules::{Expr, LogFormat, VariableName};
use std::net::IpAddr;

/// What a health check of a backend sends and expects. The default connects and closes (L4OK).
#[derive(Debug, Clone)]
pub struct Recipe {
    pub kind: RecipeKind,
    pub steps: Vec<Step>,
}

/// How bytes are read and what failures are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecipeKind {
    #[default]
    Tcp,
    /// Expectations see a parsed HTTP response.
    Http,
    /// A protocol's own list: reports name no steps, for nobody wrote them.
    Protocol,
    /// The auxiliary agent: failing to reach it says nothing about the server.
    Agent,
}

/// One rule of a ruleset.
#[derive(Debug, Clone)]
pub enum Step {
    Connect(Box<Connect>),
    Send(Send),
    HttpSend(Box<HttpSend>),
    Expect(Box<Expect>),
    SetVariable(SetVariable),
    UnsetVariable {
        name: VariableName,
    },
    /// Named in the report when a later rule without own comment fails.
    Comment(String),
}

/// `connect`: opens a connection; what is not given comes from the server line.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    pub port: Option<PortSource>,
    pub address: Option<IpAddr>,
    /// `default`: the server's own TLS and PROXY settings apply where this step says nothing.
    pub use_server_defaults: bool,
    pub send_proxy: bool,
    pub via_socks4: bool,
    pub tls: bool,
    pub sni: Option<String>,
    /// ALPN names in the order of preference.
    pub alpn: Vec<String>,
    /// `proto`: forced protocol name.
    pub protocol: Option<String>,
    /// Close cleanly rather than with a RST.
    pub linger: bool,
    pub comment: Option<String>,
    /// Not written in the configuration: `option httpchk` alone and plain TCP checks get one.
    pub implicit: bool,
}

/// Where `connect port …` finds the port.
#[derive(Debug, Clone)]
pub enum PortSource {
    Fixed(u16),
    Expr(Box<Expr>),
}

/// Bytes as written, or a log-format evaluated for each check.
#[derive(Debug, Clone)]
pub enum Text {
    Literal(Vec<u8>),
    Format(Box<LogFormat>),
    /// A log-format whose text is hexadecimal: `send-binary-lf`, `expect binary-lf`.
    HexFormat(Box<LogFormat>),
}

/// `tcp-check send`, `send-lf`, `send-binary`, `send-binary-lf`.
#[derive(Debug, Clone)]
pub struct Send {
    pub data: Text,
    pub comment: Option<String>,
}

/// `http-check send`. What is `None` comes from the `option httpchk` line, else `OPTIONS / HTTP/1.0`.
#[derive(Debug, Clone, Default)]
pub struct HttpSend {
    pub method: Option<String>,
    pub uri: Option<Text>,
    /// `HTTP/1.0`, `HTTP/1.1` …, as written.
    pub version: Option<String>,
    pub fields: Vec<SendField>,
    pub body: Option<Text>,
    pub comment: Option<String>,
}

/// `hdr <name> <fmt>`.
#[derive(Debug, Clone)]
pub struct SendField {
    pub name: String,
    pub value: Text,
}

/// `expect`: waits for bytes, then decides.
#[derive(Debug, Clone)]
pub struct Expect {
    pub test: Match,
    /// `!`.
    pub negated: bool,
    /// `min-recv`: bytes that must have come before this is decided; 0 makes whatever came conclusive.
    /// `None` (absent, or -1): a match that fails waits for more.
    pub min_receive: Option<u32>,
    pub comment: Option<String>,
    /// L4OK, L6OK, L7OK (default) or L7OKC, when it is the last rule.
    pub ok_status: Option<CheckStatus>,
    /// L4CON, L6RSP, L7RSP, L7STS or L7OKC.
    pub error_status: Option<CheckStatus>,
    /// L4TOUT, L6TOUT or L7TOUT (default).
    pub timeout_status: Option<CheckStatus>,
    pub on_success: Option<Text>,
    pub on_error: Option<Text>,
    pub status_code: Option<Expr>,
    /// Not written in the configuration: the "2xx or 3xx" of a ruleset that ends with a send.
    pub implicit: bool,
}

/// What an expectation looks for.
#[derive(Debug, Clone)]
pub enum Match {
    /// `string`: these bytes anywhere (TCP: in what was received; HTTP: in the body).
    String(Vec<u8>),
    /// `string-lf`.
    StringFormat(LogFormat),
    /// `rstring`.
    Regex(Pattern),
    /// `binary`.
    Binary(Vec<u8>),
    /// `binary-lf`: a log-format that gives hexadecimal text.
    BinaryFormat(LogFormat),
    /// `rbinary`: matched against the upper-case hexadecimal text of what was received.
    BinaryRegex(Pattern),
    /// `status`: HTTP only, like the next three.
    Status(StatusSet),
    /// `rstatus`.
    StatusRegex(Pattern),
    /// `hdr`: values are split at commas.
    Field(FieldPattern),
    /// `fhdr`: values are taken whole.
    FullField(FieldPattern),
    /// A reply that bytes alone do not tell.
    Reply(BinaryReply),
    /// The reply line of an agent.
    AgentReply,
}

/// Status codes and inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(Vec<(u16, u16)>);

/// `hdr name … [value …]`.
#[derive(Debug, Clone)]
pub struct FieldPattern {
    pub name: FieldMatch,
    /// `None`: the field only has to be there.
    pub value: Option<FieldMatch>,
}

/// `[-m <method>] <pattern>` of `hdr` and `fhdr`. Names match in any case, values as written.
#[derive(Debug, Clone)]
pub enum FieldMatch {
    Exact(Text),
    Prefix(Text),
    Suffix(Text),
    Contains(Text),
    Regex(Pattern),
}

/// `set-var(name) expr`, `set-var-fmt(name) fmt`.
#[derive(Debug, Clone)]
pub struct SetVariable {
    /// In scope `check`, `sess` or `proc`.
    pub name: VariableName,
    pub value: VariableValue,
}

#[derive(Debug, Clone)]
pub enum VariableValue {
    Expr(Box<Expr>),
    Format(Box<LogFormat>),
}

impl Default for Recipe {
    fn default() -> Recipe {
        Recipe { kind: RecipeKind::Tcp, steps: vec![Step::Connect(Box::new(Connect::implicit()))] }
    }
}

impl Connect {
    /// The connection that nobody wrote: as the server line says.
    pub fn implicit() -> Connect {
        Connect { implicit: true, use_server_defaults: true, ..Connect::default() }
    }
}

impl Recipe {
    /// Connects and closes: what `check` does with no `option …chk`.
    pub fn connect_only() -> Recipe {
        Recipe::default()
    }

    /// The agent's recipe: connects, sends `request` when there is one, reads a line.
    pub fn agent(request: Option<&[u8]>) -> Recipe {
        let mut steps = vec![Step::Connect(Box::new(Connect {
            implicit: true,
            use_server_defaults: false,
            ..Connect::default()
        }))];
        if let Some(bytes) = request.filter(|bytes| !bytes.is_empty()) {
            steps.push(Step::Send(Send { data: Text::Literal(bytes.to_vec()), comment: None }));
        }
        steps.push(Step::Expect(Box::new(Expect::new(Match::AgentReply))));
        Recipe { kind: RecipeKind::Agent, steps }
    }

    /// Whether some `connect` names a port of its own, so that the server line need not.
    pub fn first_connect_has_port(&self) -> bool {
        self.steps
            .iter()
            .find_map(|step| match step {
                Step::Connect(connect) => Some(connect.port.is_some()),
                Step::Send(_)
                | Step::HttpSend(_)
                | Step::Expect(_)
                | Step::SetVariable(_)
                | Step::UnsetVariable { .. }
                | Step::Comment(_) => None,
            })
            .unwrap_or(false)
    }
}

impl Expect {
    /// An expectation with every option at its default.
    pub fn new(test: Match) -> Expect {
        Expect {
            test,
            negated: false,
            min_receive: None,
            comment: None,
            ok_status: None,
            error_status: None,
            timeout_status: None,
            on_success: None,
            on_error: None,
            status_code: None,
            implicit: false,
        }
    }
}

impl Text {
    /// Text that is the same for every check.
    pub fn literal(bytes: impl Into<Vec<u8>>) -> Text {
        Text::Literal(bytes.into())
    }
}

impl StatusSet {
    /// The "2xx or 3xx" of `option httpchk`.
    pub fn two_or_three_hundred() -> StatusSet {
        StatusSet(vec![(200, 399)])
    }

    /// Parses `200,201,300-310`. The error says what is wrong, in a user's words.
    pub fn parse(text: &str) -> Result<StatusSet, String> {
        let mut ranges = Vec::new();
        for item in text.split(',') {
            if let Some(wrong) = item.chars().find(|c| !c.is_ascii_digit() && *c != '-') {
                return Err(format!("invalid character '{wrong}' in the list of status codes"));
            }
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            let invalid = || format!("invalid range of status codes '{item}'");
            let low: u16 = low.parse().map_err(|_| invalid())?;
            let high: u16 = high.parse().map_err(|_| invalid())?;
            if low > high {
                return Err(invalid());
            }
            ranges.push((low, high));
        }
        Ok(StatusSet(ranges))
    }

    /// Whether `status` is listed.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|&(low, high)| (low..=high).contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_sets_take_codes_and_ranges() {
        let set = StatusSet::parse("200,201,300-310").unwrap();
        assert!(set.contains(200) && set.contains(201) && set.contains(310));
        assert!(!set.contains(202) && !set.contains(311));
    }

    #[test]
    fn a_wrong_status_set_is_named() {
        assert_eq!(StatusSet::parse("2xx").unwrap_err(), "invalid character 'x' in the list of status codes");
        assert_eq!(StatusSet::parse("300-200").unwrap_err(), "invalid range of status codes '300-200'");
    }
}
