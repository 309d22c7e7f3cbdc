//! The formats behind `option httplog` and its like, and the two lines that no format makes. Owns their texts.

use super::{DateCache, Dialect, LogFormat};
use crate::context::{LoadError, ParseContext, Word};
use crate::scope::{Peer, Scope};
use diag::Span;

/// A format that an option names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// `option tcplog`.
    Tcp,
    /// `option httplog`.
    Http,
    /// `option httplog clf`.
    Clf,
    /// `option httpslog`.
    Https,
}

impl BuiltIn {
    /// The format as a `log-format` line would give it.
    pub fn text(self) -> &'static str {
        match self {
            BuiltIn::Tcp => "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
            BuiltIn::Http => concat!(
                "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc ",
                "%sq/%bq %hr %hs %{+Q}r"
            ),
            BuiltIn::Clf => concat!(
                "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta ",
                "%tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl"
            ),
            BuiltIn::Https => concat!(
                "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc ",
                "%sq/%bq %hr %hs %{+Q}r ",
                "%[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] ",
                "%[ssl_fc_sni]/%sslv/%sslc"
            ),
        }
    }

    /// Parses the format; `span` is the option's place.
    ///
    /// # Errors
    /// An expression of it that is not known yet.
    pub fn parse(self, span: Span, context: &mut ParseContext<'_>) -> Result<LogFormat, LoadError> {
        LogFormat::parse(Word::new(self.text().as_bytes(), span), Dialect::LOG, context)
    }
}

fn put_endpoint(peer: Option<Peer>, listener_number: u32, out: &mut Vec<u8>) {
    match peer {
        Some(Peer::Inet(address)) => {
            super::text::put_ip(address.ip(), out);
            out.push(b':');
            super::text::put_uint(address.port().into(), out);
        }
        Some(Peer::Unix) | None => {
            out.extend_from_slice(b"unix:");
            super::text::put_uint(listener_number.into(), out);
        }
    }
}

/// Appends the line of a frontend that logs without any format: written when the connection is accepted.
pub fn put_default_line(scope: &Scope<'_>, is_http: bool, out: &mut Vec<u8>) {
    let stream = scope.stream;
    let listener = scope.host.listener(stream.frontend, stream.listener).1;
    match stream.src {
        Some(Peer::Inet(_)) => {
            out.extend_from_slice(b"Connect from ");
            put_endpoint(stream.src, listener, out);
            out.extend_from_slice(b" to ");
            put_endpoint(stream.dst, listener, out);
        }
        Some(Peer::Unix) | None => {
            out.extend_from_slice(b"Connect to ");
            put_endpoint(stream.src, listener, out);
        }
    }
    out.extend_from_slice(b" (");
    out.extend_from_slice(scope.host.proxy_name(stream.frontend).as_bytes());
    out.extend_from_slice(if is_http { b"/HTTP)" } else { b"/TCP)" });
}

/// Appends the line of a connection that failed before it became a stream, for a frontend without
/// `error-log-format`. `reason` is HAProxy's text (`Connection closed during SSL handshake` …).
pub fn put_error_line(scope: &Scope<'_>, reason: &str, dates: &mut DateCache, out: &mut Vec<u8>) {
    let stream = scope.stream;
    let (name, number) = scope.host.listener(stream.frontend, stream.listener);
    put_endpoint(stream.src, number, out);
    out.extend_from_slice(b" [");
    dates.put_local_ms(stream.times.accept_wall, out);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(scope.host.proxy_name(stream.frontend).as_bytes());
    out.push(b'/');
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => super::text::put_uint(number.into(), out),
    }
    out.extend_from_slice(b": ");
    out.extend_from_slice(reason.as_bytes());
}
