//! Log formats: `%ci`, `%{+Q}r`, `%[src]` and text, parsed once and written many times; also what `set-header`,
//! `redirect`, `use_backend` and their like take. Owns the syntax and the printing; never reads a clock and never
//! sends a line.

mod alias;
mod builtin;
mod date;
mod parse;
mod size;
mod text;
mod zone;

pub use alias::{ALIASES, Alias, Stage};
pub use builtin::{BuiltIn, put_default_line, put_error_line};
pub use date::{DateCache, internet_date};
pub use size::{CHUNKED_END, counted_size};
pub use zone::Zone;

use crate::cast;
use crate::scope::{Peer, Scope, StreamFacts, WallTime};
use crate::{Expr, Value};
use std::cell::OnceCell;
use std::time::Duration;
use text::{
    Encoding, put_encoded, put_hex, put_int, put_ip, put_ip_hex, put_message_text, put_text, put_uint,
};

/// What stands in a line for a request that could not be parsed.
const BAD_REQUEST: &[u8] = b"<BADREQ>";
/// What stands in a line for the server of a stream that has none.
const NO_SERVER: &[u8] = b"<NOSRV>";

/// Flags of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    /// Q: between quotes.
    pub(crate) const QUOTE: u8 = 1;
    /// X: hexadecimal.
    pub(crate) const HEX: u8 = 2;
    /// E: `"`, `\` and `]` behind a backslash.
    pub(crate) const ESCAPE: u8 = 4;
    /// M: `-` for what is missing.
    pub(crate) const MANDATORY: u8 = 8;

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// Where a format is used: decides about spaces, missing values and control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Runs of spaces count as one, and print only after something was printed.
    merges_spaces: bool,
    /// Missing values print `-`.
    mandatory: bool,
    /// Becomes part of a message: expressions print control characters as `%XX` and ignore quotes.
    message: bool,
}

impl Dialect {
    /// `log-format`, `error-log-format`, `log-format-sd`.
    pub const LOG: Dialect = Dialect { merges_spaces: true, mandatory: true, message: false };
    /// Header values, locations, paths, bodies: what becomes part of a message.
    pub const MESSAGE: Dialect = Dialect { merges_spaces: false, mandatory: false, message: true };
    /// `unique-id-format`.
    pub const UNIQUE_ID: Dialect = Dialect { merges_spaces: true, mandatory: false, message: true };
    /// Names and keys: `use_backend`, `use-server`, `set-var-fmt`.
    pub const PLAIN: Dialect = Dialect { merges_spaces: false, mandatory: false, message: false };
}

#[derive(Debug, Clone)]
enum Item {
    Text(Box<[u8]>),
    Space,
    Alias(Alias, Flags),
    Expr(Box<Expr>, Flags),
}

/// A parsed log-format string.
#[derive(Debug, Clone)]
pub struct LogFormat {
    items: Box<[Item]>,
    dialect: Dialect,
}

/// What a line needs beyond its scope: one for each thread.
#[derive(Debug)]
pub struct LogContext {
    pub dates: DateCache,
    /// `%pid`.
    pub process_id: u32,
    /// `%lc`: lines that this frontend has logged, this one included.
    pub log_counter: u32,
    /// `option logasap`: the stream goes on, so times and sizes print with `+`.
    pub is_early: bool,
}

impl LogContext {
    /// A context for the thread of a process, dates in `zone`.
    pub fn new(zone: Zone, process_id: u32) -> LogContext {
        LogContext { dates: DateCache::new(zone), process_id, log_counter: 0, is_early: false }
    }
}

impl LogFormat {
    /// A format that is only text.
    pub fn literal(text: &[u8]) -> LogFormat {
        LogFormat { items: Box::new([Item::Text(text.into())]), dialect: Dialect::PLAIN }
    }

    /// The text, when there is nothing else: no evaluation needed.
    pub fn as_literal(&self) -> Option<&[u8]> {
        match &*self.items {
            [] => Some(b""),
            [Item::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// What has to be known before a line can be written in full.
    pub fn stage(&self) -> Stage {
        let stage = |item: &Item| match item {
            Item::Text(_) | Item::Space => Stage::Connection,
            Item::Alias(wanted, _) => {
                ALIASES.iter().find(|row| row.0 == *wanted).map_or(Stage::End, |row| row.3)
            }
            Item::Expr(..) => Stage::End,
        };
        self.items.iter().map(stage).max().unwrap_or(Stage::Connection)
    }

    /// Appends the line, without a newline. Does not allocate beyond `out`, except where an expression does.
    pub fn write(&self, scope: &Scope<'_>, context: &mut LogContext, out: &mut Vec<u8>) {
        let mut after_space = true;
        let timers = OnceCell::new();
        for item in &self.items {
            match item {
                Item::Text(text) => out.extend_from_slice(text),
                Item::Space => {
                    if !after_space {
                        out.push(b' ');
                    }
                    after_space = true;
                    continue;
                }
                Item::Alias(alias, flags) => {
                    if !put_alias(*alias, *flags, scope, &timers, context, out) {
                        continue;
                    }
                }
                Item::Expr(expr, flags) => put_expr(expr, *flags, self.dialect, scope, out),
            }
            after_space = false;
        }
    }
}

fn put_expr(expr: &Expr, flags: Flags, dialect: Dialect, scope: &Scope<'_>, out: &mut Vec<u8>) {
    let value = expr.eval(scope);
    if !dialect.message {
        return match value {
            Some(Value::Int(number)) if !flags.has(Flags::QUOTE) => put_int(number, out),
            Some(value) => put_text(cast::to_text(value).as_deref(), flags, out),
            None => put_text(None, flags, out),
        };
    }
    match value {
        Some(Value::Int(number)) => put_int(number, out),
        Some(Value::Ip4(address)) => put_ip(address.into(), out),
        Some(Value::Ip6(address)) => put_ip(address.into(), out),
        Some(Value::Str(text) | Value::Method(text)) => put_message_text(&text, flags, out),
        Some(value @ (Value::Bool(_) | Value::Bin(_))) => {
            if let Some(text) = cast::to_text(value) {
                put_message_text(&text, flags, out);
            }
        }
        None => {}
    }
}

/// Milliseconds from the accept date to an instant, rounded down, as all timers of a line are made.
fn offset_ms(stream: &StreamFacts, at: Option<std::time::Instant>) -> i64 {
    at.map_or(-1, |at| at.saturating_duration_since(stream.times.accept).as_millis() as i64)
}

/// The timers of a line in HAProxy's own terms: each the time since the accept date, -1 where the stream never came.
struct Timers {
    handshake: i64,
    idle: i64,
    request: i64,
    queue: i64,
    connect: i64,
    response: i64,
    close: i64,
}

impl Timers {
    fn of(scope: &Scope<'_>) -> Timers {
        let stream = scope.stream;
        let times = &stream.times;
        let handshake = offset_ms(stream, times.handshake_done).max(0);
        let idle = match times.request_start {
            Some(_) => (offset_ms(stream, times.request_start) - handshake).max(0),
            None => -1,
        };
        Timers {
            handshake,
            idle,
            request: offset_ms(stream, times.request_done),
            queue: offset_ms(stream, times.queue_done),
            connect: offset_ms(stream, times.connected),
            response: offset_ms(stream, times.response_done),
            close: offset_ms(stream, Some(times.end.unwrap_or(scope.now))),
        }
    }

    fn step(from: i64, to: i64) -> i64 {
        if to >= 0 { to - from } else { -1 }
    }

    /// Before the request: handshake and idle time.
    fn before_request(&self) -> i64 {
        if self.idle >= 0 { self.idle + self.handshake } else { 0 }
    }
}

/// The date of the request: the accept date and what passed before its first byte.
fn request_date(accepted: WallTime, timers: &Timers) -> WallTime {
    WallTime(accepted.0 + Duration::from_millis(timers.before_request() as u64))
}

/// Appends one variable; false: it is not there at all (captures of a stream that has none), so that the spaces
/// around it are one. What is merely empty keeps both.
fn put_alias(
    alias: Alias,
    flags: Flags,
    scope: &Scope<'_>,
    timers: &OnceCell<Timers>,
    context: &mut LogContext,
    out: &mut Vec<u8>,
) -> bool {
    let timers = || timers.get_or_init(|| Timers::of(scope));
    let stream = scope.stream;
    let accepted = stream.times.accept_wall;
    let is_hex = flags.has(Flags::HEX);
    let number = |number: u64, width: u32, out: &mut Vec<u8>| match is_hex {
        true => put_hex(number, width, out),
        false => put_uint(number, out),
    };
    let early = |out: &mut Vec<u8>| {
        if context.is_early {
            out.push(b'+');
        }
    };
    match alias {
        Alias::BytesRead => {
            early(out);
            put_uint(stream.bytes_out, out);
        }
        Alias::BytesUploaded => {
            early(out);
            put_uint(stream.bytes_in, out);
        }
        Alias::CapturedRequestCookie => put_text(stream.cookie_capture_request.as_deref(), flags, out),
        Alias::CapturedResponseCookie => put_text(stream.cookie_capture_response.as_deref(), flags, out),
        Alias::Hostname => put_text(Some(scope.host.hostname().as_bytes()), flags, out),
        Alias::HttpMethod => put_request(request_method(&stream.captured_uri), flags, out),
        Alias::HttpPath => put_request(request_target(stream).map(without_query), flags, out),
        Alias::HttpPathOnly => put_request(request_target(stream).map(path_only), flags, out),
        Alias::HttpQuery => put_request(request_target(stream).map(query), flags, out),
        Alias::HttpUri => put_request(request_target(stream), flags, out),
        Alias::HttpVersion => put_request(request_version(&stream.captured_uri), flags, out),
        Alias::Request => {
            let line = Some(&*stream.captured_uri).filter(|line| !line.is_empty());
            put_request(line, flags, out);
        }
        Alias::UniqueId => put_text(stream.unique_id.as_deref(), flags, out),
        Alias::Status => put_int(if stream.status == 0 { -1 } else { i64::from(stream.status) }, out),
        Alias::DateGmt => context.dates.put_gmt(accepted, out),
        Alias::DateLocal => context.dates.put_local(accepted, out),
        Alias::DateMs => context.dates.put_local_ms(accepted, out),
        Alias::RequestDateMs => context.dates.put_local_ms(request_date(accepted, timers()), out),
        Alias::RequestDateGmt => context.dates.put_gmt(request_date(accepted, timers()), out),
        Alias::RequestDateLocal => context.dates.put_local(request_date(accepted, timers()), out),
        Alias::Timestamp => number(accepted.0.as_secs(), 4, out),
        Alias::Milliseconds => {
            let ms = u64::from(accepted.0.subsec_millis());
            match is_hex {
                true => put_hex(ms, 2, out),
                false => out.extend([ms / 100, ms / 10 % 10, ms % 10].map(|digit| b'0' + digit as u8)),
            }
        }
        Alias::ActiveTime => {
            early(out);
            let timers = timers();
            put_int(timers.close - timers.before_request(), out);
        }
        Alias::TotalTime => {
            early(out);
            put_int(timers().close, out);
        }
        Alias::UserTime => {
            early(out);
            let timers = timers();
            put_int(timers.close - timers.idle.max(0), out);
        }
        Alias::ConnectTime => {
            let timers = timers();
            put_int(Timers::step(timers.queue, timers.connect), out);
        }
        Alias::DataTime => {
            let timers = timers();
            put_int(if timers.response >= 0 { timers.close - timers.response } else { -1 }, out);
        }
        Alias::HandshakeTime => put_int(timers().handshake, out),
        Alias::IdleTime => put_int(timers().idle.max(0), out),
        Alias::RequestTotalTime => put_int(timers().request, out),
        Alias::RequestTime => {
            let timers = timers();
            put_int(Timers::step(timers.before_request(), timers.request), out);
        }
        Alias::ResponseTime => {
            let timers = timers();
            put_int(Timers::step(timers.connect, timers.response), out);
        }
        // Without a request (TCP mode) HAProxy counts from -1, so that a connection that never waited shows 1.
        Alias::QueueTime => {
            let timers = timers();
            put_int(Timers::step(timers.request, timers.queue), out);
        }
        Alias::ProcessConnections => put_uint(stream.process_connections.into(), out),
        Alias::FrontendConnections => put_uint(stream.frontend_connections.into(), out),
        Alias::BackendConnections => put_uint(stream.backend_connections.into(), out),
        Alias::ServerConnections => put_uint(stream.server_connections.into(), out),
        Alias::BackendQueue => put_uint(stream.backend_queue.into(), out),
        Alias::ServerQueue => put_uint(stream.server_queue.into(), out),
        Alias::Retries => {
            if stream.redispatched {
                out.push(b'+');
            }
            put_uint(stream.retries.into(), out);
        }
        Alias::BackendName => {
            let backend = stream.backend.unwrap_or(stream.frontend);
            put_text(Some(scope.host.proxy_name(backend).as_bytes()), flags, out);
        }
        Alias::FrontendName => put_text(Some(scope.host.proxy_name(stream.frontend).as_bytes()), flags, out),
        Alias::FrontendNameTransport => put_transport_name(scope, flags, out),
        Alias::ServerName => {
            let name = match (stream.server, stream.applet) {
                (Some(server), _) => scope.host.server_name(server).as_bytes(),
                (None, Some(applet)) => applet.as_bytes(),
                (None, None) => NO_SERVER,
            };
            put_text(Some(name), flags, out);
        }
        Alias::ClientIp => put_address(stream.src, flags, out),
        Alias::ClientPort => put_port(stream.src, scope, flags, out),
        Alias::FrontendIp => put_address(stream.dst, flags, out),
        Alias::FrontendPort => put_port(stream.dst, scope, flags, out),
        Alias::BackendSourceIp => put_address(stream.server_src, flags, out),
        Alias::BackendSourcePort => put_port(stream.server_src, scope, flags, out),
        Alias::ServerIp => put_address(stream.server_dst, flags, out),
        Alias::ServerPort => put_port(stream.server_dst, scope, flags, out),
        Alias::RequestHeaders => return put_captures(&stream.request_captures.slots(), flags, out),
        Alias::ResponseHeaders => return put_captures(&stream.response_captures.slots(), flags, out),
        Alias::RequestHeadersList => return put_capture_list(&stream.request_captures.slots(), flags, out),
        Alias::ResponseHeadersList => return put_capture_list(&stream.response_captures.slots(), flags, out),
        Alias::LogCounter => number(context.log_counter.into(), 4, out),
        Alias::ProcessId => number(context.process_id.into(), 4, out),
        Alias::RequestCounter => number(stream.id & u64::from(u32::MAX), 4, out),
        Alias::TlsCiphers => {
            let cipher = stream.client_tls.as_ref().and_then(|tls| tls.cipher);
            put_text(cipher.map(str::as_bytes), flags, out);
        }
        Alias::TlsVersion => {
            let version = stream.client_tls.as_ref().and_then(|tls| tls.version);
            put_text(version.map(str::as_bytes), flags, out);
        }
        Alias::TerminationState => out.extend([stream.termination.cause, stream.termination.phase]),
        Alias::TerminationStateCookie => out.extend([
            stream.termination.cause,
            stream.termination.phase,
            stream.termination.cookie_request,
            stream.termination.cookie_response,
        ]),
    }
    true
}

fn put_transport_name(scope: &Scope<'_>, flags: Flags, out: &mut Vec<u8>) {
    let name = scope.host.proxy_name(scope.stream.frontend).as_bytes();
    if scope.stream.client_tls.is_none() {
        return put_text(Some(name), flags, out);
    }
    let quote: &[u8] = if flags.has(Flags::QUOTE) { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    put_encoded(name, Encoding::None, flags, out);
    out.push(b'~');
    out.extend_from_slice(quote);
}

/// Between quotes when asked, `<BADREQ>` when there is none.
fn put_request(text: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    let quote: &[u8] = if flags.has(Flags::QUOTE) { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    put_encoded(text.unwrap_or(BAD_REQUEST), Encoding::Uri, flags, out);
    out.extend_from_slice(quote);
}

fn put_address(peer: Option<Peer>, flags: Flags, out: &mut Vec<u8>) {
    match peer {
        None => put_text(None, flags, out),
        Some(Peer::Unix) => put_text(Some(b"unix"), flags, out),
        Some(Peer::Inet(address)) if flags.has(Flags::HEX) => put_ip_hex(address.ip(), out),
        Some(Peer::Inet(address)) => {
            let quote: &[u8] = if flags.has(Flags::QUOTE) { b"\"" } else { b"" };
            out.extend_from_slice(quote);
            put_ip(address.ip(), out);
            out.extend_from_slice(quote);
        }
    }
}

fn put_port(peer: Option<Peer>, scope: &Scope<'_>, flags: Flags, out: &mut Vec<u8>) {
    match peer {
        None => put_text(None, flags, out),
        Some(Peer::Inet(address)) if flags.has(Flags::HEX) => put_hex(address.port().into(), 4, out),
        Some(Peer::Inet(address)) => put_uint(address.port().into(), out),
        // A UNIX socket has no port: the listener's number tells sockets apart.
        Some(Peer::Unix) => {
            put_uint(scope.host.listener(scope.stream.frontend, scope.stream.listener).1.into(), out);
        }
    }
}

fn put_captures(captures: &[Option<Vec<u8>>], flags: Flags, out: &mut Vec<u8>) -> bool {
    if captures.is_empty() {
        return false;
    }
    let quote: &[u8] = if flags.has(Flags::QUOTE) { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    out.push(b'{');
    for (index, capture) in captures.iter().enumerate() {
        if index > 0 {
            out.push(b'|');
        }
        put_encoded(capture.as_deref().unwrap_or(b""), Encoding::Header, flags, out);
    }
    out.push(b'}');
    out.extend_from_slice(quote);
    true
}

fn put_capture_list(captures: &[Option<Vec<u8>>], flags: Flags, out: &mut Vec<u8>) -> bool {
    let quote: &[u8] = if flags.has(Flags::QUOTE) { b"\"" } else { b"" };
    for (index, capture) in captures.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        match capture {
            Some(value) => {
                out.extend_from_slice(quote);
                put_encoded(value, Encoding::Header, flags, out);
                out.extend_from_slice(quote);
            }
            None => put_text(None, flags, out),
        }
    }
    !captures.is_empty()
}

// Parts of the captured request line: `None` where the line ends before them.

fn request_method(line: &[u8]) -> Option<&[u8]> {
    line.split(|&byte| byte == b' ').next().filter(|method| !method.is_empty())
}

fn request_target(stream: &StreamFacts) -> Option<&[u8]> {
    let line = &stream.captured_uri;
    let start = memchr::memchr(b' ', line)? + 1;
    let rest = &line[start..];
    Some(&rest[..memchr::memchr(b' ', rest).unwrap_or(rest.len())]).filter(|target| !target.is_empty())
}

fn request_version(line: &[u8]) -> Option<&[u8]> {
    line.splitn(3, |&byte| byte == b' ').nth(2).filter(|version| !version.is_empty())
}

fn without_query(target: &[u8]) -> &[u8] {
    &target[..memchr::memchr(b'?', target).unwrap_or(target.len())]
}

fn query(target: &[u8]) -> &[u8] {
    &target[memchr::memchr(b'?', target).unwrap_or(target.len())..]
}

/// The path of a target in origin or absolute form; empty for `*` and authorities.
fn path_only(target: &[u8]) -> &[u8] {
    let target = without_query(target);
    let path = match memchr::memmem::find(target, b"://") {
        Some(at) if !target.starts_with(b"/") => &target[at + 3..],
        Some(_) | None => target,
    };
    match memchr::memchr(b'/', path) {
        Some(at) => &path[at..],
        None => b"",
    }
}

#[cfg(test)]
pub(crate) mod tests;
