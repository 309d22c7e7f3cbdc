//! The rows of `show stat`, computed from the state. Never formats them.

use super::fields::{Field, Tags};
use super::server_status::server_status;
use crate::state::counters::{Average, Gauge};
use crate::state::{CheckView, FrontendStatus, Running, ServerState, State, Target, WEIGHT_SCALE};
use balance::{Algorithm, HashType};
use haproxy_config::model::{Address, BalanceKey, Mode, Proxy, ServerPort};
use rules::ProxyId;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// 32 bits unsigned.
    Small(u32),
    /// 64 bits unsigned.
    Large(u64),
    Signed(i32),
    Text(String),
}

impl Value {
    /// The type's name in the typed and JSON forms.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Small(_) => "u32",
            Value::Large(_) => "u64",
            Value::Signed(_) => "s32",
            Value::Text(_) => "str",
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Small(number) => number.fmt(out),
            Value::Large(number) => number.fmt(out),
            Value::Signed(number) => number.fmt(out),
            Value::Text(text) => out.write_str(text),
        }
    }
}

/// What a row describes. The numbers are HAProxy's `type` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ObjectKind {
    Frontend = 0,
    Backend = 1,
    Server = 2,
    Listener = 3,
}

impl ObjectKind {
    /// Letter of the typed form.
    pub fn letter(self) -> char {
        match self {
            ObjectKind::Frontend => 'F',
            ObjectKind::Backend => 'B',
            ObjectKind::Server => 'S',
            ObjectKind::Listener => 'L',
        }
    }

    /// `objType` of the JSON form.
    pub fn word(self) -> &'static str {
        match self {
            ObjectKind::Frontend => "Frontend",
            ObjectKind::Backend => "Backend",
            ObjectKind::Server => "Server",
            ObjectKind::Listener => "Listener",
        }
    }

    /// Bit in the `type` argument of `show stat`.
    pub fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// One line of `show stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub kind: ObjectKind,
    /// Whose row it is.
    pub proxy: ProxyId,
    /// Number of the proxy.
    pub iid: u32,
    /// Number of the server or listener; 0 for a frontend or backend.
    pub sid: u32,
    values: Box<[Option<Value>]>,
}

impl Row {
    fn new(kind: ObjectKind, proxy: &Proxy, name: &str, sid: u32) -> Row {
        let values = vec![None; Field::ALL.len()].into();
        let mut row = Row { kind, proxy: proxy.id, iid: proxy.uuid, sid, values };
        row.text(Field::Pxname, &proxy.name);
        row.text(Field::Svname, name);
        row.text(
            Field::Mode,
            match proxy.mode {
                Mode::Tcp => "tcp",
                Mode::Http => "http",
                Mode::Health => "health",
            },
        );
        row.small(Field::Pid, 1);
        row.small(Field::Iid, row.iid);
        row.small(Field::Sid, sid);
        row.small(Field::Type, kind as u32);
        row
    }

    /// `None`: not applicable, an empty cell.
    pub fn get(&self, field: Field) -> Option<&Value> {
        self.values[field.position()].as_ref()
    }

    /// The fields that apply, in order.
    pub fn filled(&self) -> impl Iterator<Item = (Field, &Value)> {
        Field::ALL.iter().filter_map(|&field| Some((field, self.get(field)?)))
    }

    /// Tags of a field; a few differ by what the row describes.
    pub fn tags(&self, field: Field) -> Tags {
        match (self.kind, field) {
            (ObjectKind::Backend, Field::Act | Field::Bck | Field::Rate | Field::RateMax) => Tags::new("MGP"),
            (
                ObjectKind::Frontend | ObjectKind::Backend | ObjectKind::Server | ObjectKind::Listener,
                field,
            ) => field.usual_tags(),
        }
    }

    fn set(&mut self, field: Field, value: Value) {
        self.values[field.position()] = Some(value);
    }

    fn small(&mut self, field: Field, value: u32) {
        self.set(field, Value::Small(value));
    }

    fn large(&mut self, field: Field, value: u64) {
        self.set(field, Value::Large(value));
    }

    fn text(&mut self, field: Field, value: &str) {
        self.set(field, Value::Text(value.to_owned()));
    }

    fn larges(&mut self, values: impl IntoIterator<Item = (Field, u64)>) {
        for (field, value) in values {
            self.large(field, value);
        }
    }

    fn responses(&mut self, counts: &[u64; 6]) {
        use Field::{Hrsp1xx, Hrsp2xx, Hrsp3xx, Hrsp4xx, Hrsp5xx, HrspOther};
        let fields = [Hrsp1xx, Hrsp2xx, Hrsp3xx, Hrsp4xx, Hrsp5xx, HrspOther];
        self.larges(fields.into_iter().zip(counts.iter().copied()));
    }

    fn gauge(&mut self, now: Field, max: Field, gauge: &Gauge) {
        self.small(now, gauge.get());
        self.small(max, gauge.max());
    }

    fn average(&mut self, average: Field, max: Field, times: &Average) {
        self.small(average, times.get());
        self.small(max, times.max());
    }

    /// TLS sessions, those of them that were resumed, and handshakes that failed.
    fn tls(&mut self, counts: [u64; 3]) {
        let fields = [Field::SslSess, Field::SslReusedSess, Field::SslFailedHandshake];
        for (field, count) in fields.into_iter().zip(counts) {
            self.larges([(field, count)]);
        }
    }

    fn protocols(&mut self, http1: [u64; 6], http2: [u64; 13], tls: [u64; 3]) {
        self.tls(tls);
        let columns = Field::H2HeadersRcvd.position()..=Field::H2BackendTotalStreams.position();
        for (&field, count) in Field::ALL[columns].iter().zip(http2) {
            self.large(field, count);
        }
        let first = Field::H1OpenConnections.position();
        for (&field, count) in Field::ALL[first..].iter().zip(http1.into_iter().chain([0, 0])) {
            self.large(field, count);
        }
    }
}

/// What a row may show.
#[derive(Debug, Clone, Copy)]
pub struct RowOptions {
    /// Addresses, cookies and algorithms: level operator and above, or `stats show-legends`.
    pub legends: bool,
    pub now: Instant,
}

impl RowOptions {
    /// Everything, as of now.
    pub fn full() -> RowOptions {
        RowOptions { legends: true, now: Instant::now() }
    }
}

/// All rows of a proxy, in the order of `show stat`: frontend, listeners, servers, backend.
pub fn proxy_rows(state: &State, id: ProxyId, options: RowOptions) -> Vec<Row> {
    let proxy = &state.model.proxies[id.index()];
    let mut rows = Vec::new();
    if proxy.disabled {
        return rows;
    }
    if proxy.is_frontend {
        rows.push(frontend_row(state, id, options));
        rows.extend(listener_rows(state, id, options));
    }
    if proxy.is_backend {
        rows.extend(state.backend(id).servers().map(|server| server_row(state, server, options)));
        rows.push(backend_row(state, id, options));
    }
    rows
}

pub fn frontend_row(state: &State, id: ProxyId, options: RowOptions) -> Row {
    let proxy = &state.model.proxies[id.index()];
    let front = &state.proxy(id).frontend;
    let totals = state.frontend_totals(id);
    let now_ms = state.clock.millis(options.now);
    let mut row = Row::new(ObjectKind::Frontend, proxy, "FRONTEND", 0);
    row.gauge(Field::Scur, Field::Smax, &front.current);
    row.small(Field::Slim, front.maxconn.load(Relaxed));
    row.larges([
        (Field::Stot, totals.sessions),
        (Field::Bin, totals.bytes_in),
        (Field::Bout, totals.bytes_out),
        (Field::Dreq, totals.denied_requests),
        (Field::Dresp, totals.denied_responses),
        (Field::Ereq, totals.failed_requests),
        (Field::Dcon, totals.denied_connections),
        (Field::Dses, totals.denied_sessions),
        (Field::Wrew, totals.failed_rewrites),
        (Field::Eint, totals.internal_errors),
        (Field::ReqTot, totals.requests),
        (Field::CompIn, totals.compressed_in),
        (Field::CompOut, totals.compressed_out),
        (Field::CompByp, totals.compressed_bypass),
        (Field::CompRsp, totals.compressed_responses),
        (Field::ConnTot, totals.connections),
    ]);
    row.text(
        Field::Status,
        match front.status() {
            FrontendStatus::Open => "OPEN",
            FrontendStatus::Paused => "PAUSED",
            FrontendStatus::Stopped => "STOP",
        },
    );
    row.small(Field::Rate, front.sessions_rate.get(now_ms));
    row.small(Field::RateMax, front.sessions_rate.max());
    row.small(Field::RateLim, front.rate_limit.load(Relaxed));
    row.small(Field::ReqRate, front.requests_rate.get(now_ms));
    row.small(Field::ReqRateMax, front.requests_rate.max());
    row.small(Field::ConnRate, front.connections_rate.get(now_ms));
    row.small(Field::ConnRateMax, front.connections_rate.max());
    let is_http = proxy.mode == Mode::Http;
    if is_http {
        row.responses(&totals.responses);
        row.larges([
            (Field::Intercepted, totals.intercepted),
            (Field::CacheLookups, totals.cache_lookups),
            (Field::CacheHits, totals.cache_hits),
        ]);
    }
    let connections = u64::from(front.current.get());
    let http1 =
        [connections, connections, totals.connections, totals.requests, totals.bytes_in, totals.bytes_out];
    let tls = [totals.tls_sessions, totals.tls_resumed, totals.tls_failed];
    row.protocols(if is_http { http1 } else { [0; 6] }, totals.http2(), tls);
    row
}

/// One row for each listener, with `option socket-stats`.
pub fn listener_rows(state: &State, id: ProxyId, options: RowOptions) -> Vec<Row> {
    let proxy = &state.model.proxies[id.index()];
    if !proxy.options.socket_stats {
        return Vec::new();
    }
    let front = &state.proxy(id).frontend;
    proxy
        .binds
        .iter()
        .enumerate()
        .map(|(index, bind)| {
            let name = bind.name.clone().unwrap_or_else(|| format!("sock-{}", index + 1));
            let mut row = Row::new(ObjectKind::Listener, proxy, &name, bind.id);
            row.small(Field::Slim, bind.maxconn.unwrap_or(0));
            if let Some(listener) = front.listeners.get(index) {
                row.gauge(Field::Scur, Field::Smax, &listener.current);
            }
            row.text(
                Field::Status,
                match front.status() {
                    FrontendStatus::Open => "OPEN",
                    FrontendStatus::Paused | FrontendStatus::Stopped => "WAITING",
                },
            );
            if let Some(totals) = state.listener_totals(id, index) {
                row.larges([
                    (Field::Stot, totals.connections),
                    (Field::Bin, totals.bytes_in),
                    (Field::Bout, totals.bytes_out),
                    (Field::Dreq, totals.denied_requests),
                    (Field::Dresp, totals.denied_responses),
                    (Field::Ereq, totals.failed_requests),
                    (Field::Dcon, totals.denied_connections),
                    (Field::Dses, totals.denied_sessions),
                    (Field::Wrew, totals.failed_rewrites),
                    // Failures of our own are counted by frontend alone.
                    (Field::Eint, 0),
                ]);
            }
            if options.legends {
                row.text(
                    Field::Addr,
                    &match &bind.address {
                        Address::Inet { ip, port } => std::net::SocketAddr::new(*ip, *port).to_string(),
                        Address::Unix(_) | Address::Abstract(_) => "unix".to_owned(),
                        Address::Host { name, port } => format!("{name}:{port}"),
                        Address::Fd(number) => format!("fd@{number}"),
                    },
                );
            }
            row.tls([0; 3]);
            row
        })
        .collect()
}

pub fn server_row(state: &State, server: &ServerState, options: RowOptions) -> Row {
    let proxy = &state.model.proxies[server.id.proxy.index()];
    let totals = state.server_totals(server.slot);
    let now_ms = state.clock.millis(options.now);
    let settings = &server.settings;
    let mut row = Row::new(ObjectKind::Server, proxy, server.name(), settings.puid);
    row.gauge(Field::Qcur, Field::Qmax, &server.queued);
    row.gauge(Field::Scur, Field::Smax, &server.served);
    let maxconn = server.maxconn.load(Relaxed);
    if maxconn > 0 {
        row.small(Field::Slim, maxconn);
    }
    if settings.maxqueue > 0 {
        row.small(Field::Qlimit, settings.maxqueue);
    }
    if let Ok(limit) = u32::try_from(settings.pool_max_conn) {
        row.small(Field::ServerIdleLimit, limit);
    }
    row.larges([
        (Field::Stot, totals.sessions),
        (Field::Bin, totals.bytes_in),
        (Field::Bout, totals.bytes_out),
        (Field::Dresp, totals.denied_responses),
        (Field::Econ, totals.failed_connections),
        (Field::Eresp, totals.failed_responses),
        (Field::Wretr, totals.retries),
        (Field::Wredis, totals.redispatches),
        (Field::Lbtot, totals.balanced),
        (Field::CliAbrt, totals.client_aborts),
        (Field::SrvAbrt, totals.server_aborts),
        (Field::Wrew, totals.failed_rewrites),
        (Field::Eint, totals.internal_errors),
        (Field::Connect, totals.connects),
        (Field::Reuse, totals.reused),
    ]);
    row.text(Field::Status, &server_status(state, server));
    let effective = server.effective_weight.load(Relaxed);
    let weight = server.weight.load(Relaxed);
    // A static algorithm counts rows of its map, not sixteenths, and knows no slow start.
    let is_dynamic = state.backend(server.id.proxy).is_dynamic();
    row.small(Field::Weight, if is_dynamic { effective.div_ceil(WEIGHT_SCALE) } else { weight });
    row.small(Field::Uweight, weight);
    row.small(Field::Act, u32::from(!settings.backup));
    row.small(Field::Bck, u32::from(settings.backup));
    let since_change = seconds_since(now_ms, server.last_change_ms.load(Relaxed));
    row.small(Field::Lastchg, since_change);
    if server.running() == Running::Starting && !server.is_draining() {
        row.small(Field::Throttle, (100 * effective).div_ceil((WEIGHT_SCALE * weight).max(1)));
    }
    if let Some(tracked) = settings.track {
        let via = state.server(tracked);
        let owner = &state.model.proxies[tracked.proxy.index()];
        row.text(Field::Tracked, &format!("{}/{}", owner.name, via.name()));
    }
    row.small(Field::Rate, server.sessions_rate.get(now_ms));
    row.small(Field::RateMax, server.sessions_rate.max());
    if settings.observe.is_some() {
        row.large(Field::Hanafail, u64::from(server.observed_failures.load(Relaxed)));
    }
    let check = server.check.lock().clone();
    if check.enabled {
        row.large(Field::Chkfail, u64::from(server.failed_checks.load(Relaxed)));
        row.large(Field::Chkdown, u64::from(server.down_transitions.load(Relaxed)));
        let down = server.down_seconds.load(Relaxed) as u32;
        let now_down = if server.running() == Running::Stopped { since_change } else { 0 };
        row.small(Field::Downtime, down + now_down);
        if !server.admin().is_maintenance() {
            check_fields(&mut row, &check, &HEALTH_FIELDS);
        }
    }
    let agent = server.agent.lock().clone();
    // An agent goes on in maintenance: it may end it.
    if agent.enabled {
        check_fields(&mut row, &agent, &AGENT_FIELDS);
    }
    if proxy.mode == Mode::Http {
        row.responses(&totals.responses);
        row.large(Field::ReqTot, totals.requests);
    }
    row.set(Field::Lastsess, last_session(now_ms, server.last_session_ms.load(Relaxed)));
    row.average(Field::Qtime, Field::QtimeMax, &server.queue_time);
    row.average(Field::Ctime, Field::CtimeMax, &server.connect_time);
    row.average(Field::Rtime, Field::RtimeMax, &server.response_time);
    row.average(Field::Ttime, Field::TtimeMax, &server.total_time);
    let idle = server.idle_connections.get();
    row.small(Field::SrvIcur, idle);
    row.small(Field::IdleConnCur, 0);
    row.small(Field::SafeConnCur, idle);
    row.small(Field::UsedConnCur, server.served.get());
    row.small(Field::NeedConnEst, server.served.max());
    if options.legends {
        row.text(Field::Addr, &server_address(server));
        if let Some(cookie) = state.backend(server.id.proxy).cookie_of(server) {
            row.text(Field::Cookie, &cookie);
        }
    }
    row.tls([totals.tls_sessions, totals.tls_resumed, totals.tls_failed]);
    row
}

/// The columns of one of a server's checks.
struct CheckFields {
    status: Field,
    code: Field,
    duration: Field,
    meaning: Field,
    report: Field,
    levels: [Field; 3],
}

const HEALTH_FIELDS: CheckFields = CheckFields {
    status: Field::CheckStatus,
    code: Field::CheckCode,
    duration: Field::CheckDuration,
    meaning: Field::CheckDesc,
    report: Field::LastChk,
    levels: [Field::CheckRise, Field::CheckFall, Field::CheckHealth],
};

const AGENT_FIELDS: CheckFields = CheckFields {
    status: Field::AgentStatus,
    code: Field::AgentCode,
    duration: Field::AgentDuration,
    meaning: Field::AgentDesc,
    report: Field::LastAgt,
    levels: [Field::AgentRise, Field::AgentFall, Field::AgentHealth],
};

fn check_fields(row: &mut Row, check: &CheckView, fields: &CheckFields) {
    let (word, meaning) = match check.status {
        "" => ("INI", "Initializing"),
        word => (word, check.status_description),
    };
    row.text(fields.status, &format!("{}{word}", if check.running { "* " } else { "" }));
    if let Some(code) = check.code {
        row.small(fields.code, u32::from(code));
    }
    if let Some(duration) = check.duration_ms {
        row.large(fields.duration, duration);
    }
    row.text(fields.meaning, meaning);
    row.text(fields.report, &check.description);
    for (field, value) in fields.levels.into_iter().zip([check.rise, check.fall, check.health]) {
        row.small(field, value);
    }
}

pub fn backend_row(state: &State, id: ProxyId, options: RowOptions) -> Row {
    let proxy = &state.model.proxies[id.index()];
    let back = state.backend(id);
    let totals = state.backend_totals(id);
    let now_ms = state.clock.millis(options.now);
    let mut row = Row::new(ObjectKind::Backend, proxy, "BACKEND", 0);
    row.gauge(Field::Qcur, Field::Qmax, &back.queued);
    row.gauge(Field::Scur, Field::Smax, &back.current);
    row.small(Field::Slim, back.fullconn());
    row.larges([
        (Field::Stot, totals.sessions),
        (Field::Bin, totals.bytes_in),
        (Field::Bout, totals.bytes_out),
        (Field::Dreq, totals.denied_requests),
        (Field::Dresp, totals.denied_responses),
        (Field::Econ, totals.failed_connections),
        (Field::Eresp, totals.failed_responses),
        (Field::Wretr, totals.retries),
        (Field::Wredis, totals.redispatches),
        (Field::Lbtot, totals.balanced),
        (Field::CliAbrt, totals.client_aborts),
        (Field::SrvAbrt, totals.server_aborts),
        (Field::Wrew, totals.failed_rewrites),
        (Field::Eint, totals.internal_errors),
        (Field::Connect, totals.connects),
        (Field::Reuse, totals.reused),
        (Field::CompIn, totals.compressed_in),
        (Field::CompOut, totals.compressed_out),
        (Field::CompByp, totals.compressed_bypass),
        (Field::CompRsp, totals.compressed_responses),
        (Field::Chkdown, back.down_transitions.load(Relaxed)),
    ]);
    let (active, backups) = back.usable_by_role();
    let has_servers = back.servers().next().is_some();
    let is_up = back.total_weight() > 0 || !has_servers;
    row.text(Field::Status, if is_up { "UP" } else { "DOWN" });
    let weight = user_weight(state, id, active);
    let effective = (back.total_weight() as u32).div_ceil(WEIGHT_SCALE);
    row.small(Field::Weight, if back.is_dynamic() { effective } else { weight });
    row.small(Field::Uweight, weight);
    row.small(Field::Act, active as u32);
    row.small(Field::Bck, backups as u32);
    let since_change = seconds_since(now_ms, back.last_change_ms.load(Relaxed));
    row.small(Field::Lastchg, since_change);
    if has_servers {
        let down = back.down_seconds.load(Relaxed) as u32;
        row.small(Field::Downtime, down + if is_up { 0 } else { since_change });
    }
    row.small(Field::Rate, back.sessions_rate.get(now_ms));
    row.small(Field::RateMax, back.sessions_rate.max());
    let is_http = proxy.mode == Mode::Http;
    if is_http {
        row.responses(&totals.responses);
        row.larges([
            (Field::ReqTot, totals.requests),
            (Field::CacheLookups, totals.cache_lookups),
            (Field::CacheHits, totals.cache_hits),
        ]);
    }
    row.set(Field::Lastsess, last_session(now_ms, back.last_session_ms.load(Relaxed)));
    row.average(Field::Qtime, Field::QtimeMax, &back.queue_time);
    row.average(Field::Ctime, Field::CtimeMax, &back.connect_time);
    row.average(Field::Rtime, Field::RtimeMax, &back.response_time);
    row.average(Field::Ttime, Field::TtimeMax, &back.total_time);
    for field in [Field::AggServerStatus, Field::AggServerCheckStatus, Field::AggCheckStatus] {
        row.small(field, 0);
    }
    if options.legends {
        if let Some(cookie) = &proxy.cookie {
            row.text(Field::Cookie, &cookie.name);
        }
        row.text(Field::Algo, algorithm_name(proxy));
    }
    let open = u64::from(back.served.get());
    let http1 =
        [open, open, totals.connects, totals.connects + totals.reused, totals.bytes_out, totals.bytes_in];
    let tls = [totals.tls_sessions, totals.tls_resumed, totals.tls_failed];
    row.protocols(if is_http { http1 } else { [0; 6] }, totals.http2(), tls);
    row
}

// Sum of the weights that users gave to the servers that a pick chooses from.
fn user_weight(state: &State, id: ProxyId, active: usize) -> u32 {
    let proxy = &state.model.proxies[id.index()];
    let mut sum = 0;
    for server in state.backend(id).servers().filter(|server| server.is_eligible()) {
        if !server.settings.backup {
            sum += server.weight.load(Relaxed);
        } else if active == 0 {
            sum += server.weight.load(Relaxed);
            if !proxy.options.allbackups {
                break;
            }
        }
    }
    sum
}

/// The address as the statistics show it; a relative port is shown as its offset.
fn server_address(server: &ServerState) -> String {
    match &*server.target.read() {
        Some(Target::Inet(address)) => {
            let mut address = *address;
            if let ServerPort::Relative(offset) = server.settings.port {
                address.set_port(offset as u16);
            }
            address.to_string()
        }
        Some(Target::Unix(_) | Target::Abstract(_)) => "unix".to_owned(),
        None => String::new(),
    }
}

fn algorithm_name(proxy: &Proxy) -> &'static str {
    match &proxy.balance.algorithm {
        Algorithm::RoundRobin => "roundrobin",
        Algorithm::StaticRoundRobin => "static-rr",
        Algorithm::LeastConn => "leastconn",
        Algorithm::First => "first",
        // The original does not know the name of this one either, and dashboards learned it so.
        Algorithm::Random { .. } => "unknown",
        Algorithm::Hash(HashType { .. }) => match &proxy.balance.key {
            BalanceKey::None => "unknown",
            BalanceKey::Source => "source",
            BalanceKey::Uri { .. } => "uri",
            BalanceKey::UrlParam { .. } => "url_param",
            BalanceKey::Header { .. } => "hdr",
            BalanceKey::RdpCookie { .. } => "rdp-cookie",
            BalanceKey::Expr(_) => "hash",
        },
    }
}

fn seconds_since(now_ms: u64, then_ms: u64) -> u32 {
    (now_ms.saturating_sub(then_ms) / 1000) as u32
}

fn last_session(now_ms: u64, then_ms: u64) -> Value {
    Value::Signed(if then_ms == 0 { -1 } else { seconds_since(now_ms, then_ms) as i32 })
}

impl Row {
    fn server<'a>(&self, state: &'a State) -> Option<&'a std::sync::Arc<ServerState>> {
        let is_mine = |server: &&std::sync::Arc<ServerState>| {
            self.kind == ObjectKind::Server && server.settings.puid == self.sid
        };
        state.backend(self.proxy).servers().find(is_mine)
    }

    /// Whether `show stat up` lists the row: no server that is down.
    pub fn is_up(&self, state: &State) -> bool {
        self.server(state)
            .is_none_or(|server| server.running() != Running::Stopped && !server.admin().is_maintenance())
    }

    /// Whether `show stat no-maint` leaves the row out.
    pub fn is_in_maintenance(&self, state: &State) -> bool {
        self.server(state).is_some_and(|server| server.admin().is_maintenance())
    }

    /// The row with `(usable/all)` behind a backend's status: what a listing says that leaves servers out.
    pub fn with_server_counts(mut self, state: &State) -> Row {
        if let (ObjectKind::Backend, Some(Value::Text(status))) = (self.kind, self.get(Field::Status)) {
            let backend = state.backend(self.proxy);
            let (active, backups) = backend.usable_by_role();
            let usable = if active > 0 { active } else { backups };
            let status = format!("{status} ({usable}/{})", backend.servers().count());
            self.text(Field::Status, &status);
        }
        self
    }
}
