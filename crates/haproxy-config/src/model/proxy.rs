//! One proxy section: `frontend`, `backend` or `listen`, with its `defaults` folded in.

use super::{Bind, LogTarget, Network, Server};
use diag::Span;
use rules::{Condition, Expr, HttpRule, LogFormat, ProxyId, ServerId, TableId, TcpRule};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Proxy {
    pub id: ProxyId,
    /// `id`, or given out in order: `iid` of the statistics.
    pub uuid: u32,
    pub name: String,
    pub span: Span,
    pub is_frontend: bool,
    pub is_backend: bool,
    pub mode: Mode,
    pub disabled: bool,
    pub description: Option<String>,

    // Frontend side.
    pub binds: Vec<Bind>,
    pub maxconn: Option<u32>,
    pub backlog: Option<u32>,
    /// `rate-limit sessions`, per second.
    pub session_rate_limit: Option<u32>,
    pub monitor_uri: Option<Vec<u8>>,
    pub monitor_fail: Vec<Condition>,
    pub request_captures: Vec<HeaderCapture>,
    pub response_captures: Vec<HeaderCapture>,
    pub cookie_capture: Option<CookieCapture>,
    pub use_backend: Vec<UseBackend>,
    pub default_backend: Option<ProxyId>,
    pub unique_id_format: Option<LogFormat>,
    pub unique_id_header: Option<String>,

    // Backend side.
    pub servers: Vec<Server>,
    pub balance: Balance,
    pub fullconn: Option<u32>,
    pub cookie: Option<CookiePersistence>,
    /// `dynamic-cookie-key`: the runtime API may enable dynamic cookies where `cookie` does not ask for them.
    pub dynamic_cookie_key: Option<String>,
    /// `persist rdp-cookie(name)`.
    pub rdp_persist: Option<String>,
    pub use_server: Vec<UseServer>,
    pub force_persist: Vec<Condition>,
    pub ignore_persist: Vec<Condition>,
    pub retries: u32,
    pub retry_on: RetryOn,
    /// `option redispatch [n]`: 0 is off; n > 0 at every n-th retry; n < 0 at the n-th from the end (default -1).
    pub redispatch: i32,
    pub http_reuse: HttpReuse,
    pub check: checks::Recipe,
    pub check_options: CheckOptions,
    /// `option external-check`: a program takes the place of `check`.
    pub external_check: Option<ExternalCheck>,
    /// Its own stick table, in [`Model::tables`](super::Model::tables).
    pub stick_table: Option<TableId>,
    pub stick_rules: Vec<StickRule>,
    pub source: Option<super::Source>,
    pub hash_balance_factor: u32,
    pub dispatch: Option<super::Address>,
    pub load_server_state: LoadServerState,
    pub server_state_file_name: Option<String>,

    // Both.
    pub timeouts: Timeouts,
    pub options: Options,
    pub http_connection: HttpConnection,
    pub forwardfor: Option<AddressHeader>,
    pub originalto: Option<AddressHeader>,
    pub tcp_request_connection: Vec<TcpRule>,
    pub tcp_request_session: Vec<TcpRule>,
    pub tcp_request_content: Vec<TcpRule>,
    pub tcp_request_inspect_delay: Option<Duration>,
    pub tcp_response_content: Vec<TcpRule>,
    pub tcp_response_inspect_delay: Option<Duration>,
    pub http_request: Vec<HttpRule>,
    pub http_response: Vec<HttpRule>,
    pub http_after_response: Vec<HttpRule>,
    /// `redirect` lines: evaluated after all `http-request` rules.
    pub redirects: Vec<HttpRule>,
    pub log_targets: Vec<LogTarget>,
    pub log_tag: Option<String>,
    /// What a stream's end logs; `None`: only connections are logged, when they are accepted.
    pub log_format: Option<LogFormat>,
    pub error_log_format: Option<LogFormat>,
    pub log_format_sd: Option<LogFormat>,
    pub errors: Vec<ErrorReply>,
    pub stats: Option<Stats>,
    pub email_alert: Option<EmailAlert>,
    /// `max-keep-alive-queue`; `None`: no limit.
    pub max_keep_alive_queue: Option<u32>,
    /// `http-send-name-header`: the header that tells the server its name.
    pub http_send_name_header: Option<String>,
    pub client_keepalive: KeepaliveTuning,
    pub server_keepalive: KeepaliveTuning,
    pub compression: Option<Compression>,
    /// In the order of their lines.
    pub filters: Vec<Filter>,
}

/// `clitcpka-…`, `srvtcpka-…`: how TCP keep-alive probes are sent; `None` is the system's setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepaliveTuning {
    pub count: Option<u32>,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
}

/// `compression …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    pub response: CompressedSide,
    pub request: CompressedSide,
    /// `direction`: which of them are compressed.
    pub compresses_response: bool,
    pub compresses_request: bool,
    pub offload: bool,
}

impl Default for Compression {
    fn default() -> Self {
        Compression {
            response: CompressedSide::default(),
            request: CompressedSide::default(),
            compresses_response: true,
            compresses_request: false,
            offload: false,
        }
    }
}

/// What `compression` says of the messages in one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompressedSide {
    /// As they were named: responses try the last one first; requests have one at most.
    pub algorithms: Vec<CompressionAlgorithm>,
    /// How the MIME types begin; empty: all but multipart.
    pub types: Vec<String>,
    /// Bytes that a body of known length must have; 0: any.
    pub min_size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionAlgorithm {
    Identity,
    Gzip,
    Deflate,
    RawDeflate,
    Brotli,
    Zstd,
}

impl CompressionAlgorithm {
    /// As configurations and `res.comp_algo` name it.
    pub fn name(self) -> &'static str {
        match self {
            CompressionAlgorithm::RawDeflate => "raw-deflate",
            other => other.token(),
        }
    }

    /// As `accept-encoding` and `content-encoding` name it.
    pub fn token(self) -> &'static str {
        match self {
            CompressionAlgorithm::Identity => "identity",
            CompressionAlgorithm::Gzip => "gzip",
            CompressionAlgorithm::Deflate | CompressionAlgorithm::RawDeflate => "deflate",
            CompressionAlgorithm::Brotli => "br",
            CompressionAlgorithm::Zstd => "zstd",
        }
    }
}

/// A `filter` line.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Where compression stands among the others.
    Compression,
    Cache(String),
    Trace(TraceFilter),
    Bandwidth(Bandwidth),
}

/// `filter trace`: tells on standard error what streams go through.
#[derive(Debug, Clone)]
pub struct TraceFilter {
    pub name: String,
    /// With the bytes of bodies.
    pub hexdump: bool,
    pub quiet: bool,
}

/// `filter bwlim-in` and `filter bwlim-out`: a limit that rules turn on for a stream.
#[derive(Debug, Clone)]
pub struct Bandwidth {
    pub name: String,
    /// What clients send; else what they get.
    pub uploads: bool,
    /// Bytes that go on at once, at least.
    pub min_size: u64,
    pub limit: BandwidthLimit,
}

#[derive(Debug, Clone)]
pub enum BandwidthLimit {
    /// Each stream has its own: bytes in a period, where the rule names no others.
    Stream { limit: u64, period: Duration },
    /// All streams with the same key share it: bytes in the period of the table's rate of bytes.
    Shared { limit: u64, key: Expr, table: TableId },
}

impl Proxy {
    /// A section before its first line is read: every setting at its default.
    pub fn new(id: ProxyId, name: impl Into<String>, span: Span) -> Proxy {
        Proxy {
            id,
            uuid: 0,
            name: name.into(),
            span,
            is_frontend: false,
            is_backend: false,
            mode: Mode::Tcp,
            disabled: false,
            description: None,
            binds: Vec::new(),
            maxconn: None,
            backlog: None,
            session_rate_limit: None,
            monitor_uri: None,
            monitor_fail: Vec::new(),
            request_captures: Vec::new(),
            response_captures: Vec::new(),
            cookie_capture: None,
            use_backend: Vec::new(),
            default_backend: None,
            unique_id_format: None,
            unique_id_header: None,
            servers: Vec::new(),
            balance: Balance { algorithm: balance::Algorithm::RoundRobin, key: BalanceKey::None },
            fullconn: None,
            cookie: None,
            dynamic_cookie_key: None,
            rdp_persist: None,
            use_server: Vec::new(),
            force_persist: Vec::new(),
            ignore_persist: Vec::new(),
            retries: 3,
            retry_on: RetryOn::default(),
            redispatch: 0,
            http_reuse: HttpReuse::default(),
            check: checks::Recipe::default(),
            check_options: CheckOptions::default(),
            external_check: None,
            stick_table: None,
            stick_rules: Vec::new(),
            source: None,
            hash_balance_factor: 0,
            dispatch: None,
            load_server_state: LoadServerState::default(),
            server_state_file_name: None,
            timeouts: Timeouts::default(),
            options: Options::default(),
            http_connection: HttpConnection::default(),
            forwardfor: None,
            originalto: None,
            tcp_request_connection: Vec::new(),
            tcp_request_session: Vec::new(),
            tcp_request_content: Vec::new(),
            tcp_request_inspect_delay: None,
            tcp_response_content: Vec::new(),
            tcp_response_inspect_delay: None,
            http_request: Vec::new(),
            http_response: Vec::new(),
            http_after_response: Vec::new(),
            redirects: Vec::new(),
            log_targets: Vec::new(),
            log_tag: None,
            log_format: None,
            error_log_format: None,
            log_format_sd: None,
            errors: Vec::new(),
            stats: None,
            email_alert: None,
            max_keep_alive_queue: None,
            http_send_name_header: None,
            client_keepalive: KeepaliveTuning::default(),
            server_keepalive: KeepaliveTuning::default(),
            compression: None,
            filters: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Tcp,
    Http,
    /// Historic: answers "OK" and closes.
    Health,
}

/// All `timeout` keywords; `None` is "no limit" (or, for the ones that say so, "as another").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub client: Option<Duration>,
    pub server: Option<Duration>,
    /// Falls back to `connect`.
    pub queue: Option<Duration>,
    /// Falls back to client and server.
    pub tunnel: Option<Duration>,
    /// Falls back to `client`.
    pub http_request: Option<Duration>,
    /// Falls back to `http_request`, then `client`.
    pub http_keep_alive: Option<Duration>,
    pub client_fin: Option<Duration>,
    pub server_fin: Option<Duration>,
    /// Falls back to `connect`.
    pub tarpit: Option<Duration>,
    pub check: Option<Duration>,
    pub client_hs: Option<Duration>,
}

/// Boolean `option` keywords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    pub abortonclose: bool,
    pub accept_invalid_http_request: bool,
    pub accept_invalid_http_response: bool,
    pub allbackups: bool,
    pub checkcache: bool,
    pub clitcpka: bool,
    pub srvtcpka: bool,
    pub contstats: bool,
    pub disable_h2_upgrade: bool,
    pub dontlog_normal: bool,
    pub dontlognull: bool,
    pub h1_case_adjust_bogus_client: bool,
    pub h1_case_adjust_bogus_server: bool,
    pub http_buffer_request: bool,
    pub http_ignore_probes: bool,
    pub http_no_delay: bool,
    pub http_pretend_keepalive: bool,
    pub http_use_proxy_header: bool,
    pub http_restrict_req_hdr_names: Option<RestrictNames>,
    pub idle_close_on_response: bool,
    pub independent_streams: bool,
    pub log_health_checks: bool,
    pub log_separate_errors: bool,
    pub logasap: bool,
    pub nolinger: bool,
    pub persist: bool,
    pub prefer_last_server: bool,
    pub socket_stats: bool,
    pub splice_auto: bool,
    pub splice_request: bool,
    pub splice_response: bool,
    pub tcp_smart_accept: bool,
    pub tcp_smart_connect: bool,
    pub transparent: bool,
}

/// `option http-restrict-req-hdr-names`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestrictNames {
    Preserve,
    Delete,
    Reject,
}

/// What happens to the connections after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpConnection {
    #[default]
    KeepAlive,
    ServerClose,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpReuse {
    Never,
    #[default]
    Safe,
    Aggressive,
    Always,
}

/// `option forwardfor` / `originalto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressHeader {
    pub header: String,
    pub except: Option<Network>,
    pub if_none: bool,
}

/// `balance` with `hash-type`.
#[derive(Debug, Clone)]
pub struct Balance {
    pub algorithm: balance::Algorithm,
    /// What is hashed, when the algorithm is `Hash`.
    pub key: BalanceKey,
}

#[derive(Debug, Clone)]
pub enum BalanceKey {
    None,
    Source,
    /// Limits of 0 mean "none".
    Uri {
        len: u32,
        depth: u32,
        whole: bool,
        path_only: bool,
    },
    UrlParam {
        name: String,
        check_post: bool,
    },
    Header {
        name: String,
        use_domain_only: bool,
    },
    RdpCookie {
        name: String,
    },
    Expr(Expr),
}

/// `cookie NAME …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookiePersistence {
    pub name: String,
    pub mode: CookieMode,
    pub indirect: bool,
    pub nocache: bool,
    pub postonly: bool,
    pub preserve: bool,
    pub httponly: bool,
    pub secure: bool,
    pub domains: Vec<String>,
    pub max_idle: Option<Duration>,
    pub max_life: Option<Duration>,
    pub dynamic: bool,
    pub attributes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieMode {
    /// The application sets it; we only read it.
    Passive,
    Insert,
    Rewrite,
    Prefix,
}

#[derive(Debug, Clone)]
pub struct UseBackend {
    pub target: BackendTarget,
    pub condition: Option<Condition>,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum BackendTarget {
    Static(ProxyId),
    /// A log-format whose text names the backend.
    Dynamic(LogFormat),
}

#[derive(Debug, Clone)]
pub struct UseServer {
    pub target: ServerTarget,
    pub condition: Option<Condition>,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub enum ServerTarget {
    Static(ServerId),
    Dynamic(LogFormat),
}

/// `retry-on` words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    pub conn_failure: bool,
    pub empty_response: bool,
    pub junk_response: bool,
    pub response_timeout: bool,
    pub zero_rtt_rejected: bool,
    /// Among 401, 403, 404, 408, 425, 500, 501, 502, 503, 504.
    pub statuses: Vec<u16>,
}

impl Default for RetryOn {
    fn default() -> Self {
        RetryOn {
            conn_failure: true,
            empty_response: false,
            junk_response: false,
            response_timeout: false,
            zero_rtt_rejected: false,
            statuses: Vec::new(),
        }
    }
}

/// Settings beside the recipe that concern all checks of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// `http-check disable-on-404`.
    pub disable_on_404: bool,
    /// `http-check send-state`.
    pub send_state: bool,
}

/// `external-check command` and `external-check path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalCheck {
    pub command: String,
    /// Folders with colons between them; PATH of the command.
    pub path: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderCapture {
    /// Empty for a slot that `declare capture` made: rules fill it.
    pub name: String,
    pub length: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieCapture {
    /// A name, or with `prefix` its first bytes.
    pub name: String,
    pub prefix: bool,
    pub length: usize,
}

/// One `stick on/match/store-request/store-response`.
#[derive(Debug, Clone)]
pub struct StickRule {
    pub key: Expr,
    pub table: TableId,
    pub matches: bool,
    pub stores_request: bool,
    pub stores_response: bool,
    pub condition: Option<Condition>,
}

/// What is sent instead of a built-in error message of this status.
#[derive(Debug, Clone)]
pub struct ErrorReply {
    pub status: u16,
    pub content: ErrorContent,
}

#[derive(Debug, Clone)]
pub enum ErrorContent {
    /// A whole response, head and body, as it goes out.
    Raw(std::sync::Arc<[u8]>),
    /// `errorloc302` / `errorloc303`.
    Redirect { status: u16, location: String },
    /// `http-error` that is made of parts; its status is that of the error.
    Reply(std::sync::Arc<rules::action::Reply>),
}

/// `stats …` of one proxy.
#[derive(Debug, Clone)]
pub struct Stats {
    pub uri: Vec<u8>,
    pub realm: Option<String>,
    /// `user:password` pairs; empty: no authentication.
    pub auth: Vec<(String, String)>,
    /// Seconds.
    pub refresh: Option<Duration>,
    pub hide_version: bool,
    pub show_legends: bool,
    pub show_modules: bool,
    pub show_node: Option<String>,
    pub show_description: Option<String>,
    /// Proxies listed; empty: all. `.` is already resolved.
    pub scope: Vec<String>,
    /// `stats admin if …`: one must match (an entry without condition always does).
    pub admin: Vec<Condition>,
    pub http_request: Vec<HttpRule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAlert {
    pub mailers: String,
    pub from: String,
    pub to: String,
    /// 0 (emerg) ..= 7 (debug); default 1 (alert).
    pub level: u8,
    pub myhostname: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadServerState {
    #[default]
    None,
    Local,
    Global,
}
