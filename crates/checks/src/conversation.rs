//! Carries out one recipe: bytes and `now` come in, connections, sends and the outcome go out. Never opens a socket.
//! Owns the order of steps and their deadlines; whether an answer is as expected is `expect`'s.
//!
//! ```text
//!            Connect ──► handle_connected ─┐
//!  poll_action Send ───► handle_sent ──────┼─► next step … ─► Finish(Outcome)
//!            (none) ◄── handle_bytes/eof ──┘
//! ```

mod expect;

use crate::matching::decode_hex;
use crate::report::{self, DESCRIPTION_MAX};
use crate::request::Request;
use crate::response::Response;
use crate::{
    AgentReply, CheckStatus, Connect, HttpSend, PortSource, Recipe, RecipeKind, SetVariable, Step, Text,
};
use http::{Head, Method};
use rules::{Expr, LogFormat, VariableName};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a conversation needs to know of the world; filled in anew for each check.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `inter` in force when the check starts: bounds the whole check when there is no `timeout check`.
    pub interval: Duration,
    pub connect_timeout: Option<Duration>,
    pub check_timeout: Option<Duration>,
    /// `http-check disable-on-404`, and the server is up: then 404 means "no new sessions".
    pub disable_on_404: bool,
    /// Received bytes that are kept: `tune.bufsize`.
    pub receive_max: usize,
}

/// What has been received so far, for formats and expressions of a recipe.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub response: Option<&'a Head>,
    /// TCP: all bytes since the last send. HTTP: the decoded body.
    pub payload: &'a [u8],
    pub payload_final: bool,
}

/// Evaluates what is not literal in a recipe. The shell implements it with the rule engine.
pub trait Environment {
    /// Renders a log-format; `None` when it cannot be.
    fn render(&mut self, format: &LogFormat, seen: Seen<'_>) -> Option<Vec<u8>>;
    /// Evaluates an expression to a number; `None` when it gives none.
    fn number(&mut self, expr: &Expr, seen: Seen<'_>) -> Option<i64>;
    fn set_variable(&mut self, variable: &SetVariable, seen: Seen<'_>);
    fn unset_variable(&mut self, name: &VariableName);
    /// Value of `X-Haproxy-Server-State`; `None` without `http-check send-state`.
    fn server_state(&mut self) -> Option<String>;
}

/// For recipes that are literal throughout.
#[derive(Debug, Clone, Copy, Default)]
pub struct LiteralOnly;

impl Environment for LiteralOnly {
    fn render(&mut self, _: &LogFormat, _: Seen<'_>) -> Option<Vec<u8>> {
        None
    }

    fn number(&mut self, _: &Expr, _: Seen<'_>) -> Option<i64> {
        None
    }

    fn set_variable(&mut self, _: &SetVariable, _: Seen<'_>) {}

    fn unset_variable(&mut self, _: &VariableName) {}

    fn server_state(&mut self) -> Option<String> {
        None
    }
}

/// What the shell does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection. What is `None` or unset comes from the server line when `use_server_defaults` says so.
    Connect(ConnectTo),
    Send(Vec<u8>),
    /// Close the connection, cleanly when `linger`, else with a RST.
    Close {
        linger: bool,
    },
    Finish(Outcome),
}

/// A connection to open; see [`Connect`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectTo {
    pub port: Option<u16>,
    pub address: Option<IpAddr>,
    pub use_server_defaults: bool,
    pub send_proxy: bool,
    pub via_socks4: bool,
    pub tls: bool,
    pub sni: Option<String>,
    pub alpn: Vec<String>,
    /// `proto`: what is spoken, whatever the server's line says.
    pub protocol: Option<String>,
    /// Nothing will be said on it: that it comes about is all.
    pub is_silent: bool,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub status: CheckStatus,
    /// Layer 5-7 code; 0 when there is none.
    pub code: i64,
    /// `last_chk` of the statistics, `info` of the logs; at most [`DESCRIPTION_MAX`] bytes.
    pub description: String,
    pub duration: Duration,
    /// What an agent asked for.
    pub agent: Option<AgentReply>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The step at `step` is to be started.
    Ready,
    /// An open connection must go before the `connect` at `step`.
    Reconnecting,
    Connecting,
    Handshaking,
    Sending,
    Expecting,
    /// The outcome is known; the connection is still to be closed.
    Closing,
    Done,
}

/// One run of a recipe.
#[derive(Debug)]
pub struct Conversation {
    recipe: Arc<Recipe>,
    settings: Settings,
    started: Instant,
    step: usize,
    phase: Phase,
    deadline: Option<Instant>,
    connected: bool,
    linger: bool,
    /// TLS was used on the present connection.
    secure: bool,
    input: Input,
    eof: bool,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Input {
    Bytes(Vec<u8>),
    Http(Box<Response>),
}

impl Input {
    fn seen(&self, is_final: bool) -> Seen<'_> {
        match self {
            Input::Bytes(bytes) => Seen { response: None, payload: bytes, payload_final: is_final },
            Input::Http(response) => Seen {
                response: response.has_head().then(|| response.head()),
                payload: &response.body,
                payload_final: is_final || response.is_complete(),
            },
        }
    }
}

impl Conversation {
    /// Starts a check at `now`.
    pub fn new(recipe: Arc<Recipe>, settings: Settings, now: Instant) -> Conversation {
        Conversation {
            deadline: Some(now + settings.interval),
            recipe,
            settings,
            started: now,
            step: 0,
            phase: Phase::Ready,
            connected: false,
            linger: false,
            secure: false,
            input: Input::Bytes(Vec::new()),
            eof: false,
            outcome: None,
        }
    }

    /// TCP is up and the TLS handshake begins.
    pub fn handle_handshaking(&mut self, _now: Instant) {
        if self.phase == Phase::Connecting {
            self.phase = Phase::Handshaking;
        }
    }

    /// What is said on the connection is HTTP.
    pub fn speaks_http(&self) -> bool {
        self.recipe.kind == RecipeKind::Http
    }

    /// The connection is up, handshakes included.
    pub fn handle_connected(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Connecting | Phase::Handshaking) {
            self.secure = self.phase == Phase::Handshaking;
            self.connected = true;
            if let Some(timeout) = self.settings.check_timeout {
                self.deadline = Some(now + timeout);
            }
            self.next_step();
        }
    }

    /// The bytes of the last [`Action::Send`] are written.
    pub fn handle_sent(&mut self, _now: Instant) {
        if self.phase == Phase::Sending {
            self.next_step();
        }
    }

    /// The server sent `bytes`. What does not fit is dropped, and counts as the end of what will come.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        match &mut self.input {
            Input::Bytes(received) => {
                let room = self.settings.receive_max.saturating_sub(received.len());
                received.extend_from_slice(&bytes[..bytes.len().min(room)]);
                self.eof |= bytes.len() >= room;
            }
            Input::Http(response) => response.take(bytes),
        }
    }

    /// The server closed its side.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// The connection failed or could not be opened; `text` is the system's word for it: `Connection refused`.
    pub fn handle_error(&mut self, now: Instant, text: &str) {
        let status = match self.phase {
            Phase::Ready | Phase::Reconnecting | Phase::Connecting => CheckStatus::L4Connection,
            Phase::Handshaking => CheckStatus::L6Response,
            Phase::Sending | Phase::Expecting => CheckStatus::SocketError,
            Phase::Closing | Phase::Done => return,
        };
        let description = format!("{text}{}", report::at_step(&self.recipe, self.step));
        self.conclude(now, status, 0, description);
    }

    /// No connection could even be tried, for lack of sockets or ports.
    pub fn handle_no_socket(&mut self, now: Instant, text: &str) {
        let description = format!("{text}{}", report::at_step(&self.recipe, self.step));
        self.conclude(now, CheckStatus::SocketError, 0, description);
    }

    /// The deadline of [`Conversation::poll_timeout`] has passed; earlier calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        let status = match self.phase {
            Phase::Ready | Phase::Reconnecting | Phase::Connecting => CheckStatus::L4Timeout,
            Phase::Handshaking => CheckStatus::L6Timeout,
            Phase::Sending => CheckStatus::L7Timeout,
            Phase::Expecting => match self.recipe.steps.get(self.step) {
                Some(Step::Expect(expect)) => expect.timeout_status.unwrap_or(CheckStatus::L7Timeout),
                _ => CheckStatus::L7Timeout,
            },
            Phase::Closing | Phase::Done => return,
        };
        let description = report::at_step(&self.recipe, self.step);
        self.conclude(now, status, 0, description);
    }

    /// When [`Conversation::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closing | Phase::Done => None,
            Phase::Ready
            | Phase::Reconnecting
            | Phase::Connecting
            | Phase::Handshaking
            | Phase::Sending
            | Phase::Expecting => self.deadline,
        }
    }

    /// What to do next; `None`: wait for the network or the deadline. After `Finish` there is nothing more.
    pub fn poll_action(&mut self, now: Instant, environment: &mut dyn Environment) -> Option<Action> {
        // Each turn starts a later step or returns, so the recipe's length bounds the loop.
        for _ in 0..=self.recipe.steps.len() + 2 {
            match self.phase {
                Phase::Connecting | Phase::Handshaking | Phase::Sending | Phase::Done => return None,
                Phase::Reconnecting => {
                    self.connected = false;
                    self.phase = Phase::Ready;
                    return Some(Action::Close { linger: self.linger });
                }
                Phase::Closing => {
                    if std::mem::take(&mut self.connected) {
                        return Some(Action::Close { linger: self.linger });
                    }
                    self.phase = Phase::Done;
                    return self.outcome.take().map(Action::Finish);
                }
                Phase::Expecting => {
                    self.expect(now, environment);
                    if self.phase == Phase::Expecting {
                        return None;
                    }
                }
                Phase::Ready => {
                    if let Some(action) = self.start_step(now, environment) {
                        return Some(action);
                    }
                }
            }
        }
        None
    }

    fn next_step(&mut self) {
        self.step += 1;
        self.phase = Phase::Ready;
    }

    fn start_step(&mut self, now: Instant, environment: &mut dyn Environment) -> Option<Action> {
        let recipe = Arc::clone(&self.recipe);
        match recipe.steps.get(self.step) {
            None => {
                self.succeed(now, environment);
                None
            }
            Some(Step::Connect(connect)) => self.connect(now, connect, environment),
            Some(Step::Send(send)) => match self.render(&send.data, environment) {
                Some(bytes) => {
                    self.input = Input::Bytes(Vec::new());
                    self.phase = Phase::Sending;
                    Some(Action::Send(bytes))
                }
                None => self.fail_to_build(now, "log-format string"),
            },
            Some(Step::HttpSend(send)) => match self.build_request(send, environment) {
                Some((bytes, method)) => {
                    self.input = Input::Http(Box::new(Response::new(method, self.settings.receive_max)));
                    self.phase = Phase::Sending;
                    Some(Action::Send(bytes))
                }
                None => self.fail_to_build(now, "HTTP request"),
            },
            Some(Step::Expect(_)) => {
                self.phase = Phase::Expecting;
                None
            }
            Some(Step::SetVariable(variable)) => {
                environment.set_variable(variable, self.input.seen(self.eof));
                self.next_step();
                None
            }
            Some(Step::UnsetVariable { name }) => {
                environment.unset_variable(name);
                self.next_step();
                None
            }
            Some(Step::Comment(_)) => {
                self.next_step();
                None
            }
        }
    }

    fn connect(
        &mut self,
        now: Instant,
        connect: &Connect,
        environment: &mut dyn Environment,
    ) -> Option<Action> {
        if self.connected {
            self.phase = Phase::Reconnecting;
            return None;
        }
        let port = match &connect.port {
            None => None,
            Some(PortSource::Fixed(port)) => Some(*port),
            Some(PortSource::Expr(expr)) => {
                environment.number(expr, self.input.seen(self.eof)).and_then(|port| u16::try_from(port).ok())
            }
        };
        self.input = Input::Bytes(Vec::new());
        self.eof = false;
        self.secure = false;
        self.linger = connect.linger;
        // A connection may take `timeout connect`, but only when `timeout check` bounds the rest: configurations
        // without it expect the interval to cover everything.
        if let (Some(_), Some(timeout)) = (self.settings.check_timeout, self.settings.connect_timeout) {
            self.deadline = Some(now + timeout.min(self.settings.interval));
        }
        self.phase = Phase::Connecting;
        Some(Action::Connect(ConnectTo {
            port,
            address: connect.address,
            use_server_defaults: connect.use_server_defaults,
            send_proxy: connect.send_proxy,
            via_socks4: connect.via_socks4,
            tls: connect.tls,
            sni: connect.sni.clone(),
            alpn: connect.alpn.clone(),
            protocol: connect.protocol.clone(),
            is_silent: self.is_silent_after(self.step),
        }))
    }

    fn is_silent_after(&self, step: usize) -> bool {
        let next = self.recipe.steps[step + 1..].iter().find(|step| {
            matches!(step, Step::Connect(_) | Step::Send(_) | Step::HttpSend(_) | Step::Expect(_))
        });
        next.is_none_or(|step| matches!(step, Step::Connect(_)))
    }

    fn fail_to_build(&mut self, now: Instant, what: &str) -> Option<Action> {
        let number = report::number(&self.recipe, self.step);
        let text = format!("tcp-check send : failed to build {what} at step {number}");
        self.conclude(now, CheckStatus::L7Response, 0, text);
        None
    }

    fn render(&self, text: &Text, environment: &mut dyn Environment) -> Option<Vec<u8>> {
        let seen = self.input.seen(self.eof);
        match text {
            Text::Literal(bytes) => Some(bytes.clone()),
            Text::Format(format) => environment.render(format, seen),
            Text::HexFormat(format) => decode_hex(&environment.render(format, seen)?),
        }
    }

    fn build_request(&self, send: &HttpSend, environment: &mut dyn Environment) -> Option<(Vec<u8>, Method)> {
        let mut request = Request {
            method: send.method.as_deref().unwrap_or("OPTIONS"),
            uri: match &send.uri {
                Some(uri) => self.render(uri, environment)?,
                None => b"/".to_vec(),
            },
            version: send.version.as_deref().unwrap_or("HTTP/1.0"),
            server_state: environment.server_state(),
            ..Request::default()
        };
        for field in &send.fields {
            request.fields.push((field.name.clone(), self.render(&field.value, environment)?));
        }
        if let Some(body) = &send.body {
            request.body = Some(self.render(body, environment)?);
        }
        Some((request.to_bytes(), request.method_kind()))
    }

    // All steps passed: the last one that talks to the server says how to call that.
    fn succeed(&mut self, now: Instant, environment: &mut dyn Environment) {
        let recipe = Arc::clone(&self.recipe);
        let last = recipe.steps.iter().rev().find(|step| {
            matches!(step, Step::Connect(_) | Step::Send(_) | Step::HttpSend(_) | Step::Expect(_))
        });
        let written_tcp = recipe.kind == RecipeKind::Tcp
            && !recipe.steps.iter().all(|step| matches!(step, Step::Connect(connect) if connect.implicit));
        let mut description = if written_tcp { "(tcp-check)".to_owned() } else { String::new() };
        let mut code = 0;
        let status = match last {
            None | Some(Step::Connect(_)) if self.secure => CheckStatus::L6Ok,
            None | Some(Step::Connect(_)) => CheckStatus::L4Ok,
            Some(Step::Expect(expect)) => {
                code = self.code_of(expect, environment);
                if let Some(bytes) =
                    expect.on_success.as_ref().and_then(|format| self.render(format, environment))
                {
                    description = String::from_utf8_lossy(&bytes).into_owned();
                }
                expect.ok_status.unwrap_or(CheckStatus::L7Ok)
            }
            Some(
                Step::Send(_)
                | Step::HttpSend(_)
                | Step::SetVariable(_)
                | Step::UnsetVariable { .. }
                | Step::Comment(_),
            ) => CheckStatus::L7Ok,
        };
        self.conclude(now, status, code, description);
    }

    fn conclude(&mut self, now: Instant, status: CheckStatus, code: i64, mut description: String) {
        if self.outcome.is_some() || self.phase == Phase::Done {
            return;
        }
        let mut end = DESCRIPTION_MAX.min(description.len());
        while !description.is_char_boundary(end) {
            end -= 1;
        }
        description.truncate(end);
        self.outcome = Some(Outcome {
            status,
            code,
            description,
            duration: now.saturating_duration_since(self.started),
            agent: None,
        });
        self.phase = Phase::Closing;
    }
}
