//! What a rule sees while it runs: borrowed, read-only facts of one connection, one stream and its messages.

use crate::{ProxyId, ServerId};
use http::Head;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Wall-clock time since the Unix epoch: for logs, cookies and dates. Never used for timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WallTime(pub Duration);

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Inet(SocketAddr),
    /// A UNIX socket: has no address worth printing; HAProxy logs it as `unix:1`.
    Unix,
}

/// The evaluation context. Cheap to build: references only.
pub struct Scope<'a> {
    pub stream: &'a StreamFacts,
    pub request: Option<&'a Head>,
    pub response: Option<&'a Head>,
    /// In TCP rules: what the client (request rules) or the server (response rules) has sent so far.
    /// In HTTP rules: the part of the request body that has been buffered.
    pub payload: &'a [u8],
    /// No more bytes will come into `payload` (the peer closed, or the buffer is full).
    pub payload_final: bool,
    pub host: &'a dyn Host,
    pub now: Instant,
    pub wall: WallTime,
}

/// Facts about one stream, filled in as it goes on; also what log formats print.
///
/// A stream is one request and its response in HTTP mode, one connection in TCP mode.
#[derive(Debug, Clone)]
pub struct StreamFacts {
    /// Unique in the process; the runtime API prints it.
    pub id: u64,
    pub frontend: ProxyId,
    /// Set once a backend was chosen.
    pub backend: Option<ProxyId>,
    pub server: Option<ServerId>,
    /// Client address: as accepted, or as PROXY protocol, `set-src` say.
    pub src: Option<Peer>,
    /// Address the client connected to.
    pub dst: Option<Peer>,
    /// Our address and the server's on the server-side connection.
    pub server_src: Option<Peer>,
    pub server_dst: Option<Peer>,
    /// Index of the `bind` line's listener in the frontend, and its name if it has one.
    pub listener: u32,
    pub times: Times,
    /// Bytes received from the client (`%U`) and sent to it (`%B`).
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Response status; 0 before one is known (logged as -1).
    pub status: u16,
    pub retries: u32,
    pub redispatched: bool,
    /// Connection counts at the time of logging: process, frontend, backend, server.
    pub process_connections: u32,
    pub frontend_connections: u32,
    pub backend_connections: u32,
    pub server_connections: u32,
    pub server_queue: u32,
    pub backend_queue: u32,
    pub termination: Termination,
    /// Request counter of this client connection, from 0.
    pub request_index: u32,
    /// The request line as it was received, cut at the bound of the log line.
    pub captured_uri: Vec<u8>,
    pub request_captures: Vec<Option<Vec<u8>>>,
    pub response_captures: Vec<Option<Vec<u8>>>,
    pub cookie_capture_request: Option<Vec<u8>>,
    pub cookie_capture_response: Option<Vec<u8>>,
    pub unique_id: Option<Vec<u8>>,
    pub tls: bool,
}

/// The instants that the timers of a log line are made of (configuration manual §8.4).
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub accept: Instant,
    pub accept_wall: WallTime,
    /// End of the handshakes (PROXY protocol, TLS).
    pub handshake_done: Option<Instant>,
    /// First byte of the request.
    pub request_start: Option<Instant>,
    pub request_start_wall: WallTime,
    /// The head is complete.
    pub request_done: Option<Instant>,
    /// Left the queue.
    pub queue_done: Option<Instant>,
    /// Connected to the server.
    pub connected: Option<Instant>,
    /// The response's head is complete.
    pub response_done: Option<Instant>,
    /// The stream ended.
    pub end: Option<Instant>,
}

/// The four letters of a log line's termination state (configuration manual §8.5). `b'-'` is "normal".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Termination {
    /// First event: C, S, P, L, R, I, D, U, K, c, s, `-`.
    pub cause: u8,
    /// State of the session: R, Q, C, H, D, L, T, `-`.
    pub phase: u8,
    /// Persistence cookie in the request: N, I, D, V, E, O, U, `-`.
    pub cookie_request: u8,
    /// What was done with it in the response: N, I, U, P, R, D, `-`.
    pub cookie_response: u8,
}

impl Default for Termination {
    fn default() -> Self {
        Termination { cause: b'-', phase: b'-', cookie_request: b'-', cookie_response: b'-' }
    }
}

/// The running proxy as rules see it: live numbers by id. Implemented by the proxy's State.
pub trait Host {
    fn proxy_name(&self, proxy: ProxyId) -> &str;
    fn server_name(&self, server: ServerId) -> &str;
    /// Usable servers of a backend (`nbsrv`).
    fn usable_servers(&self, backend: ProxyId) -> u32;
    fn server_is_up(&self, server: ServerId) -> bool;
}
