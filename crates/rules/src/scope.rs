//! What a rule sees while it runs: borrowed, read-only facts of one connection, one stream and its messages.

use crate::tls::TlsFacts;
use crate::{
    Captures, ProxyId, ServerId, StickTable, TableId, TaskCost, Tracked, UserlistId, Value, VariableName,
};
use http::{Head, Version};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
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

/// Which way the data that a rule looks at goes. Decides what `hdr`, `payload` and their like read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Request,
    /// From the server.
    Response,
}

/// The evaluation context. Cheap to build: references only.
pub struct Scope<'a> {
    pub direction: Direction,
    pub stream: &'a StreamFacts,
    pub request: Option<&'a Head>,
    pub response: Option<&'a Head>,
    /// In TCP rules: what the client (request rules) or the server (response rules) has sent so far.
    /// In HTTP rules: the part of the request body that has been buffered.
    pub payload: &'a [u8],
    /// Nobody will wait for more of `payload`: the peer closed, the buffer is full, the inspection delay is over; always
    /// true in HTTP rules. While it is false, expressions may ask to be evaluated again ([`Fetched`](crate::Fetched)).
    pub payload_final: bool,
    pub host: &'a dyn Host,
    /// `None`: there is no client.
    pub client: Option<&'a dyn ClientSocket>,
    pub variables: &'a dyn Variables,
    /// Keys tracked by `track-sc0` and its like, by number: the stream's, then those of its connection. May be shorter
    /// than what rules name.
    pub tracked: [&'a [Option<Tracked>]; 2],
    /// What `set-timeout` set.
    pub set_timeouts: SetTimeouts,
    pub now: Instant,
    pub wall: WallTime,
}

impl<'a> Scope<'a> {
    /// The key tracked under a number: the stream's hides that of its connection.
    pub fn tracked(&self, number: usize) -> Option<&'a Tracked> {
        self.tracked.iter().find_map(|tracked| tracked.get(number)?.as_ref())
    }
}

/// Timeouts that rules of the stream set, `None` for those they did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetTimeouts {
    pub server: Option<Duration>,
    pub tunnel: Option<Duration>,
}

/// What a PROXY protocol header tells beyond addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyHeader {
    /// TLV 0x02: the host name that the client asked for.
    pub authority: Option<Box<[u8]>>,
    /// TLV 0x05.
    pub unique_id: Option<Box<[u8]>>,
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
    /// Who answers instead of a server, as logs name it: `<STATS>`, `<CACHE>`.
    pub applet: Option<&'static str>,
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
    pub request_captures: Captures,
    pub response_captures: Captures,
    pub cookie_capture_request: Option<Vec<u8>>,
    pub cookie_capture_response: Option<Vec<u8>>,
    pub unique_id: Option<Vec<u8>>,
    /// The PROXY protocol header that came on the client's connection.
    pub proxy_header: Option<Arc<ProxyHeader>>,
    /// Why a connection failed, as HAProxy numbers it; 0: it did not.
    pub client_error: ConnectionError,
    pub server_error: ConnectionError,
    /// The algorithm that the response is compressed with.
    pub compression: Option<&'static str>,
    /// The cache that the response came from.
    pub cache: Option<Arc<str>>,
    /// HTTP version of the request and of the response, once known.
    pub request_version: Option<Version>,
    pub response_version: Option<Version>,
    /// `set-priority-class` and `set-priority-offset` (milliseconds) of the queue.
    pub priority_class: i32,
    pub priority_offset: i32,
    /// File and line of the last rule that ended a rule set.
    pub last_rule: Option<RulePlace>,
    /// TLS with the client, and with the server.
    pub client_tls: Option<Arc<TlsFacts>>,
    pub server_tls: Option<Arc<TlsFacts>>,
    /// The stream carries HTTP messages, not raw bytes.
    pub is_http: bool,
    /// The request is one to a proxy (`option http-use-proxy-header`): so are its credentials.
    pub via_proxy: bool,
    /// What its task had cost before it.
    pub task_before: TaskCost,
}

impl StreamFacts {
    /// A stream of which nothing is known yet but where and when it came in.
    pub fn new(frontend: ProxyId, times: Times) -> StreamFacts {
        StreamFacts {
            id: 0,
            frontend,
            backend: None,
            server: None,
            src: None,
            dst: None,
            server_src: None,
            server_dst: None,
            listener: 0,
            times,
            bytes_in: 0,
            bytes_out: 0,
            status: 0,
            retries: 0,
            redispatched: false,
            process_connections: 0,
            frontend_connections: 0,
            backend_connections: 0,
            server_connections: 0,
            server_queue: 0,
            backend_queue: 0,
            termination: Termination::default(),
            request_index: 0,
            captured_uri: Vec::new(),
            request_captures: Captures::default(),
            response_captures: Captures::default(),
            cookie_capture_request: None,
            cookie_capture_response: None,
            unique_id: None,
            proxy_header: None,
            client_error: ConnectionError::default(),
            server_error: ConnectionError::default(),
            compression: None,
            cache: None,
            request_version: None,
            response_version: None,
            priority_class: 0,
            priority_offset: 0,
            last_rule: None,
            client_tls: None,
            server_tls: None,
            is_http: false,
            via_proxy: false,
            task_before: TaskCost::default(),
            applet: None,
        }
    }
}

/// Variables where there are none: nothing is set, nothing can be.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoVariables;

impl Variables for NoVariables {
    fn get(&self, _: &VariableName) -> Option<Value<'static>> {
        None
    }

    fn set(&self, _: &VariableName, _: Value<'static>) -> bool {
        false
    }

    fn unset(&self, _: &VariableName) {}
}

/// Why a connection failed: `fc_err` and `fc_err_str` (configuration manual §7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionError {
    /// 0: no error.
    pub code: u32,
    pub text: &'static str,
}

impl Default for ConnectionError {
    fn default() -> Self {
        ConnectionError { code: 0, text: "Success" }
    }
}

/// What the kernel knows of the client's TCP connection (`TCP_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpNumber {
    /// Round-trip time and its variance, in microseconds.
    RoundTrip,
    RoundTripVariance,
    /// Segments: sent and not acknowledged, acknowledged selectively, lost, retransmitted now, acknowledged forward.
    Unacknowledged,
    Sacked,
    Lost,
    Retransmitted,
    ForwardAcknowledged,
    Reordering,
}

/// The client's connection, as far as rules ask the system about it.
pub trait ClientSocket {
    /// `None`: not TCP, or the kernel does not say.
    fn tcp(&self, which: TcpNumber) -> Option<i64>;
    /// The other end (`false`) or ours (`true`), whatever a PROXY header or rules said; `None`: the system does not say.
    fn address(&self, ours: bool) -> Option<SocketAddr>;
}

/// Where a rule is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePlace {
    pub file: Arc<str>,
    pub line: u32,
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

/// The variables that an expression can reach, of all scopes. Implemented by the stream's variable store, which has
/// interior mutability because converters (`set-var`) change it while an expression is evaluated.
pub trait Variables {
    /// A copy of the variable; `None` when it is not set.
    fn get(&self, name: &VariableName) -> Option<Value<'static>>;
    /// Sets it; false when there is no room or its scope does not exist here.
    fn set(&self, name: &VariableName, value: Value<'static>) -> bool;
    /// Forgets it.
    fn unset(&self, name: &VariableName);
}

/// Live numbers of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendNumber {
    /// Usable servers (`nbsrv`).
    UsableServers,
    /// Established connections (`be_conn`).
    Connections,
    /// Free connections over all usable servers; -1 when a server has no limit (`be_conn_free`).
    FreeConnections,
    /// New sessions during the last second (`be_sess_rate`).
    SessionRate,
    /// Free connections and queue slots; -1 when a server has no limit (`connslots`).
    FreeSlots,
    /// Requests in the backend's queue and in its servers' (`queue`).
    Queued,
}

/// Live numbers of a frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontendNumber {
    Connections,
    /// Requests during the last second.
    RequestRate,
    /// Sessions during the last second.
    SessionRate,
}

/// Live numbers of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerNumber {
    Connections,
    /// -1 without `maxconn`.
    FreeConnections,
    Queued,
    SessionRate,
    /// Effective weight, as the balancing uses it now, in the user's unit.
    Weight,
    /// Weight as set by configuration.
    InitialWeight,
    /// Weight as set by configuration or the runtime API.
    UserWeight,
}

/// Numbers of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessNumber {
    /// Position of the calling worker thread.
    Thread,
}

/// Timeouts in force for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamTimeout {
    Client,
    /// As configured in the backend.
    Server,
    Tunnel,
}

/// The running proxy as rules see it: live numbers by id. Implemented by the proxy's State.
pub trait Host {
    fn proxy_name(&self, proxy: ProxyId) -> &str;
    /// `id` of a proxy, as `be_id`, `fe_id` and statistics show it.
    fn proxy_number(&self, proxy: ProxyId) -> u32;
    fn server_name(&self, server: ServerId) -> &str;
    /// `id` of a server.
    fn server_number(&self, server: ServerId) -> u32;
    fn server_is_up(&self, server: ServerId) -> bool;
    /// Name and `id` of a frontend's listener.
    fn listener(&self, frontend: ProxyId, index: u32) -> (Option<&str>, u32);
    /// Established connections of a listener (`dst_conn`).
    fn listener_connections(&self, frontend: ProxyId, index: u32) -> u32;
    fn default_backend(&self, frontend: ProxyId) -> Option<ProxyId>;
    /// Most bytes that a capture slot of the frontend keeps; `None`: it has no such slot.
    fn capture_length(&self, frontend: ProxyId, direction: Direction, slot: usize) -> Option<usize>;
    /// What the task that is running has cost; zeros where nobody counts.
    fn task_cost(&self) -> TaskCost {
        TaskCost::default()
    }
    fn backend(&self, backend: ProxyId, which: BackendNumber) -> i64;
    fn frontend(&self, frontend: ProxyId, which: FrontendNumber) -> i64;
    fn server(&self, server: ServerId, which: ServerNumber) -> i64;
    fn process(&self, which: ProcessNumber) -> i64;
    /// `None`: no limit.
    fn timeout(&self, stream: &StreamFacts, which: StreamTimeout) -> Option<Duration>;
    fn backend_by_name(&self, name: &[u8]) -> Option<ProxyId>;
    fn server_by_name(&self, backend: ProxyId, name: &[u8]) -> Option<ServerId>;
    fn table(&self, table: TableId) -> Option<&Arc<StickTable>>;
    /// Soft stop is on.
    fn is_stopping(&self) -> bool;
    fn hostname(&self) -> &str;
    /// Whether the address is one of this machine's.
    fn is_local(&self, address: IpAddr) -> bool;
    /// Offset of local time from GMT at that second since the epoch, in seconds.
    fn local_offset(&self, second: i64) -> i32;
    /// 64 random bits; not for secrets.
    fn random(&self) -> u64;
    /// Whether a userlist has this user with this password.
    fn user_is_valid(&self, list: UserlistId, user: &[u8], password: &[u8]) -> bool;
    /// Whether a user of a userlist belongs to a group.
    fn user_in_group(&self, list: UserlistId, user: &[u8], group: &[u8]) -> bool;
}
