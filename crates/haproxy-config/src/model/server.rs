//! One `server` line (or one slot of a `server-template`), with `default-server` folded in.

use super::{Address, Protocol, ServerTls};
use diag::Span;
use rules::ServerId;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Server {
    pub name: String,
    pub span: Span,
    /// `id`, or given out in order from 1: what the consistent ring and the state file key on.
    pub puid: u32,
    pub address: Address,
    /// What the port of `address` means.
    pub port: ServerPort,
    /// 0..=256, default 1.
    pub weight: u32,
    pub backup: bool,
    pub disabled: bool,
    pub maxconn: u32,
    pub minconn: u32,
    pub maxqueue: u32,
    pub cookie: Option<Arc<str>>,
    pub redir: Option<String>,
    pub slowstart: Option<Duration>,
    pub track: Option<ServerId>,
    pub check: Option<ServerCheck>,
    pub agent: Option<AgentCheck>,
    pub observe: Option<Observe>,
    pub error_limit: u32,
    pub on_error: OnError,
    pub on_marked_down_shutdown_sessions: bool,
    pub on_marked_up_shutdown_backup_sessions: bool,
    pub send_proxy: Option<ProxyProtocol>,
    /// Idle connections: `pool-max-conn` (-1 is unlimited), `pool-purge-delay`, `max-reuse`.
    pub pool_max_conn: i32,
    pub pool_purge_delay: Duration,
    pub max_reuse: Option<u32>,
    pub source: Option<Source>,
    pub init_addr: Vec<InitAddress>,
    pub resolvers: Option<String>,
    pub resolve_prefer_ipv6: bool,
    pub resolve_nets: Vec<super::Network>,
    pub resolve_opts: ResolveOptions,
    pub tcp_user_timeout_ms: Option<u32>,
    pub tfo: bool,
    pub mss: Option<i32>,
    pub namespace: Option<String>,
    /// A SOCKS4 proxy that connects in our place.
    pub socks4: Option<SocketAddr>,
    /// Made for `dispatch` or `transparent`: it is where requests go, and no server that anybody sees.
    pub is_implied: bool,
    pub non_stick: bool,
    pub protocol: Protocol,
    /// `ws`: what WebSockets go over.
    pub websocket: WebSocketProtocol,
    pub tls: Option<Box<ServerTls>>,
    /// `check-ssl` without `ssl`: requests go in the clear.
    pub tls_checks_only: bool,
    /// Of a ring's server: how messages are framed.
    pub log_protocol: LogProtocol,
}

/// `log-proto`: how messages are told apart on a stream (RFC 6587).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogProtocol {
    /// A newline behind each.
    #[default]
    Legacy,
    /// The number of bytes before each.
    OctetCount,
}

/// How the server's port is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPort {
    Fixed,
    /// `server s 1.2.3.4` or `:+10`: the port the client connected to, plus this.
    Relative(i32),
}

/// `check` and its settings. The recipe itself belongs to the backend.
#[derive(Debug, Clone)]
pub struct ServerCheck {
    /// `addr`, `port`: when they differ from the server's.
    pub addr: Option<IpAddr>,
    pub port: Option<u16>,
    pub inter: Duration,
    pub fastinter: Option<Duration>,
    pub downinter: Option<Duration>,
    pub rise: u32,
    pub fall: u32,
    pub send_proxy: bool,
    pub via_socks4: bool,
    pub tls: bool,
    pub sni: Option<String>,
    pub alpn: Option<Vec<Vec<u8>>>,
    pub proto: Option<String>,
}

/// `agent-check`.
#[derive(Debug, Clone)]
pub struct AgentCheck {
    pub addr: Option<IpAddr>,
    pub port: u16,
    pub inter: Duration,
    pub send: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observe {
    Layer4,
    Layer7,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    FastInter,
    FailCheck,
    SuddenDeath,
    MarkDown,
}

/// `send-proxy`, `send-proxy-v2` and the TLVs of `proxy-v2-options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    V1,
    V2 { tlvs: ProxyTlvs },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProxyTlvs {
    pub ssl: bool,
    pub cert_cn: bool,
    pub ssl_cipher: bool,
    pub cert_sig: bool,
    pub cert_key: bool,
    pub authority: bool,
    pub crc32c: bool,
    pub unique_id: bool,
}

/// `source addr[:port[-port]] [usesrc …] [interface …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub address: Option<IpAddr>,
    pub ports: Option<(u16, u16)>,
    pub interface: Option<String>,
    /// `usesrc client` / `clientip`: transparent proxying.
    pub use_client_ip: bool,
    pub use_client_port: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitAddress {
    Last,
    Libc,
    None,
    Ip(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResolveOptions {
    pub allow_dup_ip: bool,
    pub ignore_weight: bool,
}

/// `ws` of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WebSocketProtocol {
    /// HTTP/1.1, or what `proto` fixes.
    #[default]
    Auto,
    Http1,
    /// The extended `CONNECT` of RFC 8441.
    Http2,
}
