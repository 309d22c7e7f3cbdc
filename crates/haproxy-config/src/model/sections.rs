//! The sections beside `global` and the proxies.

use super::{Address, Bind, BindTls, ErrorReply, LogFormatKind, LogTarget, Server, ServerTls};
use diag::Span;
use rules::{ProxyId, StickTableConfig};
use std::path::PathBuf;
use std::time::Duration;

/// A stick table: a `stick-table` line of a proxy, or a `table` line of a peers section.
#[derive(Debug, Clone)]
pub struct Table {
    /// The proxy's name, or `section/table`.
    pub name: String,
    pub proxy: Option<ProxyId>,
    pub config: StickTableConfig,
    pub span: Span,
}

/// `userlist NAME`.
#[derive(Debug, Clone, Default)]
pub struct Userlist {
    pub name: String,
    pub users: Vec<User>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// `None`: nobody can log in with this name.
    pub password: Option<Password>,
    /// Of `groups` on the user's line and of `users` on the groups' lines.
    pub groups: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// `insecure-password`: as it is.
    Plain(String),
    /// `password`: in the form of crypt(3).
    Crypt(String),
}

/// `resolvers NAME`.
#[derive(Debug, Clone)]
pub struct Resolvers {
    pub name: String,
    pub nameservers: Vec<Nameserver>,
    /// `parse-resolv-conf`.
    pub system_nameservers: bool,
    pub resolve_retries: u32,
    pub timeout_resolve: Duration,
    pub timeout_retry: Duration,
    /// Bytes; 512..=8192.
    pub accepted_payload_size: u32,
    pub hold: Hold,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nameserver {
    pub name: String,
    pub address: Address,
    /// `tcp@`: DNS over TCP.
    pub over_tcp: bool,
}

/// How long an answer of each kind is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub valid: Duration,
    pub nx: Duration,
    pub refused: Duration,
    pub timeout: Duration,
    pub other: Duration,
    pub obsolete: Duration,
}

impl Default for Hold {
    fn default() -> Self {
        let long = Duration::from_secs(30);
        Hold {
            valid: Duration::from_secs(10),
            nx: long,
            refused: long,
            timeout: long,
            other: long,
            obsolete: Duration::ZERO,
        }
    }
}

/// `peers NAME`.
#[derive(Debug, Clone)]
pub struct Peers {
    pub name: String,
    pub span: Span,
    pub disabled: bool,
    pub peers: Vec<Peer>,
    /// `bind` lines: where the local peer listens.
    pub binds: Vec<Bind>,
    /// `default-bind … ssl`: what listeners speak whose lines say nothing of it.
    pub default_tls: Option<Box<BindTls>>,
}

#[derive(Debug, Clone)]
pub struct Peer {
    pub name: String,
    /// `None`: the local peer, which listens where `bind` says.
    pub address: Option<Address>,
    /// What connections to it speak.
    pub tls: Option<Box<ServerTls>>,
}

/// `mailers NAME`.
#[derive(Debug, Clone)]
pub struct Mailers {
    pub name: String,
    pub mailers: Vec<(String, Address)>,
    pub timeout: Duration,
}

/// `ring NAME`.
#[derive(Debug, Clone)]
pub struct Ring {
    pub name: String,
    pub description: Option<String>,
    /// Bytes.
    pub size: usize,
    pub max_length: usize,
    pub format: LogFormatKind,
    pub backing_file: Option<PathBuf>,
    pub servers: Vec<Server>,
    pub timeout_connect: Option<Duration>,
    pub timeout_server: Option<Duration>,
}

/// `log-forward NAME`: syslog messages that are received and sent on.
#[derive(Debug, Clone)]
pub struct LogForward {
    pub name: String,
    pub span: Span,
    /// `bind`: streams of messages (RFC 6587).
    pub binds: Vec<Bind>,
    /// `dgram-bind`: a message in each datagram.
    pub datagram_binds: Vec<Bind>,
    /// Those of `log global` included.
    pub log_targets: Vec<LogTarget>,
    /// Connections at once; 0: no bound of its own.
    pub maxconn: u32,
    pub backlog: Option<u32>,
    pub timeout_client: Option<Duration>,
}

impl LogForward {
    /// Every line that receives: whether it is for datagrams, its position among those, and what it says.
    pub fn lines(&self) -> impl Iterator<Item = (bool, u32, &Bind)> {
        let streams = self.binds.iter().zip(0..).map(|(bind, index)| (false, index, bind));
        let datagrams = self.datagram_binds.iter().zip(0..).map(|(bind, index)| (true, index, bind));
        streams.chain(datagrams)
    }
}

/// `cache NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    pub name: String,
    /// Megabytes.
    pub total_max_size: u32,
    /// Bytes; `None`: 1/256 of the whole.
    pub max_object_size: Option<u32>,
    pub max_age: Duration,
    pub process_vary: bool,
    pub max_secondary_entries: u32,
}

/// `http-errors NAME`.
#[derive(Debug, Clone, Default)]
pub struct HttpErrors {
    pub name: String,
    pub replies: Vec<ErrorReply>,
}

/// `program NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub name: String,
    pub command: Vec<String>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub start_on_reload: bool,
}
