//! One listening address of a frontend: each address and port of a `bind` line becomes one of these.

use super::{Address, BindTls, Level};
use diag::Span;
use rules::ProxyId;

#[derive(Debug, Clone)]
pub struct Bind {
    pub address: Address,
    pub span: Span,
    /// `name`; shown on the statistics page and in logs (`%fi` aside).
    pub name: Option<String>,
    /// `id`, or given out in order.
    pub id: u32,
    pub accept_proxy: bool,
    /// The PROXY header comes before `tcp-request connection` rules, which then know the client. No file says so: it is for
    /// who follows a request through the rules.
    pub header_before_rules: bool,
    /// `accept-netscaler-cip`, `expect-proxy layer4 if …` rules live with the frontend.
    pub backlog: Option<u32>,
    pub maxconn: Option<u32>,
    /// `mode 660` and owners of a UNIX socket.
    pub unix_mode: Option<u32>,
    pub unix_uid: Option<u32>,
    pub unix_gid: Option<u32>,
    pub transparent: bool,
    pub v4v6: bool,
    pub v6only: bool,
    pub interface: Option<String>,
    pub mss: Option<i32>,
    pub tcp_user_timeout_ms: Option<u32>,
    pub tfo: bool,
    pub defer_accept: bool,
    /// `level`: only on sockets of the runtime API.
    pub level: Level,
    pub severity_output: Option<SeverityOutput>,
    pub expose_fd_listeners: bool,
    pub namespace: Option<String>,
    pub tls: Option<Box<BindTls>>,
    pub protocol: Protocol,
    /// `accept-netscaler-cip MAGIC`.
    pub netscaler_cip: Option<u32>,
    /// The frontend that owns it; the runtime API's own sockets have none.
    pub proxy: Option<ProxyId>,
}

impl Bind {
    /// A listener with every setting at its default.
    pub fn new(address: Address, span: Span) -> Bind {
        Bind {
            address,
            span,
            name: None,
            id: 0,
            accept_proxy: false,
            header_before_rules: false,
            backlog: None,
            maxconn: None,
            unix_mode: None,
            unix_uid: None,
            unix_gid: None,
            transparent: false,
            v4v6: false,
            v6only: false,
            interface: None,
            mss: None,
            tcp_user_timeout_ms: None,
            tfo: false,
            defer_accept: false,
            level: Level::default(),
            severity_output: None,
            expose_fd_listeners: false,
            namespace: None,
            tls: None,
            protocol: Protocol::Negotiated,
            proxy: None,
            netscaler_cip: None,
        }
    }
}

/// `severity-output` of a runtime API socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeverityOutput {
    None,
    Number,
    String,
}

/// `proto` of a `bind` or `server` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// What ALPN agrees on; without it HTTP/1, and for clients HTTP/2 when they begin with its preface.
    #[default]
    Negotiated,
    Http1,
    /// HTTP/2 without negotiation.
    Http2,
}
