//! Redirects: the location and the whole response, byte for byte as HAProxy writes it.

use crate::log_format::LogContext;
use crate::{LogFormat, Scope};
use http::{Head, Method};

/// A `redirect` rule.
#[derive(Debug, Clone)]
pub struct Redirect {
    pub target: RedirectTarget,
    /// 301, 302, 303, 307 or 308.
    pub code: u16,
    pub drop_query: bool,
    pub append_slash: bool,
    /// No redirect when the location comes out empty.
    pub ignore_empty: bool,
    /// The whole value of a `set-cookie` field.
    pub cookie: Option<Box<[u8]>>,
}

/// What the location is made of.
#[derive(Debug, Clone)]
pub enum RedirectTarget {
    Location(LogFormat),
    /// Goes before the path and query of the request.
    Prefix(LogFormat),
    /// Goes before `://`, the host and the path and query of the request.
    Scheme(LogFormat),
}

impl Redirect {
    fn reason(&self) -> &'static str {
        match self.code {
            301 => "Moved Permanently",
            303 => "See Other",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            _ => "Found",
        }
    }

    /// Whether clients may keep the redirect without being told so.
    fn is_permanent(&self) -> bool {
        matches!(self.code, 301 | 308)
    }

    /// Appends the location.
    pub fn write_location(&self, scope: &Scope<'_>, context: &mut LogContext, out: &mut Vec<u8>) {
        let start = out.len();
        match &self.target {
            RedirectTarget::Location(location) => location.write(scope, context, out),
            RedirectTarget::Prefix(prefix) => {
                // "/" stands for "no prefix", or every path would begin with two slashes.
                if prefix.as_literal() != Some(b"/") {
                    prefix.write(scope, context, out);
                }
                self.put_path(scope, out);
            }
            RedirectTarget::Scheme(scheme) => {
                scheme.write(scope, context, out);
                out.extend_from_slice(b"://");
                out.extend_from_slice(scope.request.and_then(|request| request.get(b"host")).unwrap_or(b""));
                self.put_path(scope, out);
            }
        }
        if self.append_slash && out.len() > start && out.last() != Some(&b'/') {
            out.push(b'/');
        }
    }

    fn put_path(&self, scope: &Scope<'_>, out: &mut Vec<u8>) {
        let path = scope.request.map_or(&b""[..], |request| match self.drop_query {
            true => request.path(),
            false => request.path_and_query(),
        });
        // `*` and authorities have no path.
        out.extend_from_slice(if path.starts_with(b"/") { path } else { b"/" });
    }

    /// Appends the response; `connection` is the value of its `connection` field, if it needs one. False, with nothing
    /// appended: the location is empty and the rule says to go on then, or it cannot stand in a field.
    pub fn write(
        &self,
        scope: &Scope<'_>,
        context: &mut LogContext,
        connection: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        out.extend_from_slice(
            format!("HTTP/1.1 {} {}\r\ncontent-length: 0\r\nlocation: ", self.code, self.reason()).as_bytes(),
        );
        let location = out.len();
        self.write_location(scope, context, out);
        if (self.ignore_empty && out.len() == location) || !http::is_field_value(&out[location..]) {
            out.truncate(start);
            return false;
        }
        out.extend_from_slice(b"\r\n");
        if !self.is_permanent() {
            out.extend_from_slice(b"cache-control: no-cache\r\n");
        }
        let mut field = |name: &[u8], value: &[u8]| {
            for part in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        };
        if let Some(cookie) = &self.cookie {
            field(b"set-cookie", cookie);
        }
        if let Some(connection) = connection {
            field(b"connection", connection);
        }
        out.extend_from_slice(b"\r\n");
        true
    }
}

/// Appends what a server with `redir <prefix>` answers in its place: only GET and HEAD are sent away. False, with
/// nothing appended: the request goes to the server.
pub fn write_server_redirect(prefix: &[u8], request: &Head, out: &mut Vec<u8>) -> bool {
    if !matches!(request.method_kind(), Method::Get | Method::Head) || !request.path().starts_with(b"/") {
        return false;
    }
    out.extend_from_slice(
        b"HTTP/1.1 302 Found\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: ",
    );
    out.extend_from_slice(prefix);
    out.extend_from_slice(request.path_and_query());
    out.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
    true
}
