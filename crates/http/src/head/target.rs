//! The parts of a request target (RFC 9112 §3.2): where scheme, authority, path and query stand in the URI.
//! Owns their offsets and the edits of the start line; never decodes.

use super::{Head, Side, StartLine, Version};
use crate::method::Method;
use crate::status;

/// Offsets of the parts inside the URI bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where the authority starts: behind `scheme://`, or 0 in authority form.
    authority: u32,
    /// Length of the authority; 0 when there is none.
    authority_len: u32,
    /// Where the path starts.
    path: u32,
    path_len: u32,
}

impl Target {
    /// Finds the parts of `uri`: a path starts with `/`, an asterisk stands for itself, and anything else is an
    /// authority, perhaps behind a scheme and before a path.
    pub(crate) fn of(method: Method, uri: &[u8]) -> Target {
        let all = uri.len();
        let (authority, path) = match uri.first() {
            Some(b'/') | None => (0..0, 0),
            Some(b'*') if method != Method::Connect => (0..0, 0),
            Some(_) => {
                let start = scheme_len(uri).map_or(0, |scheme| scheme + 3);
                let end = uri[start..].iter().position(|b| matches!(b, b'/' | b'?' | b'#'));
                let end = end.map_or(all, |length| start + length);
                (start..end, end)
            }
        };
        let query = memchr::memchr(b'?', &uri[path..]).map_or(all, |length| path + length);
        Target {
            authority: authority.start as u32,
            authority_len: authority.len() as u32,
            path: path as u32,
            path_len: (query - path) as u32,
        }
    }
}

/// Length of the scheme of an absolute URI: `http` in `http://x/`.
fn scheme_len(uri: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', uri)?;
    let scheme = &uri[..colon];
    let valid = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (valid && uri[colon..].starts_with(b"://")).then_some(colon)
}

impl Head {
    /// Request: the URI, as received.
    pub fn uri(&self) -> &[u8] {
        match self.side {
            Side::Request => {
                let start = self.line.start as usize + self.line.method_len as usize + 1;
                self.slice(start, self.line.text_len as usize)
            }
            Side::Response | Side::Trailers => b"",
        }
    }

    /// Request: the scheme of an absolute URI.
    pub fn scheme(&self) -> Option<&[u8]> {
        (self.target.authority >= 3).then(|| &self.uri()[..self.target.authority as usize - 3])
    }

    /// Request: the authority (`host:port`, perhaps with `user@`) of an absolute URI or of a `CONNECT`.
    pub fn authority(&self) -> Option<&[u8]> {
        let Target { authority, authority_len, .. } = self.target;
        (authority_len > 0).then(|| &self.uri()[authority as usize..(authority + authority_len) as usize])
    }

    /// Request: the path, without query, scheme and authority. Empty when there is none (`CONNECT`, `http://host`);
    /// `*` for `OPTIONS *`.
    pub fn path(&self) -> &[u8] {
        &self.uri()[self.target.path as usize..][..self.target.path_len as usize]
    }

    /// Request: path and query, without scheme and authority.
    pub fn path_and_query(&self) -> &[u8] {
        &self.uri()[self.target.path as usize..]
    }

    /// Request: what follows the first `?`.
    pub fn query(&self) -> Option<&[u8]> {
        self.uri().get((self.target.path + self.target.path_len) as usize + 1..)
    }

    pub(crate) fn retarget(&mut self) {
        let method = Method::from_bytes(self.method());
        self.method = Some(method);
        self.target = Target::of(method, self.uri());
    }

    /// For an absolute URI whose parts are known: where the authority starts, how long it is, and what follows it.
    pub(crate) fn target_is(&mut self, authority: usize, authority_len: usize, path_and_query: &[u8]) {
        let all = path_and_query.len();
        self.method = Some(Method::from_bytes(self.method()));
        self.target = Target {
            authority: authority as u32,
            authority_len: authority_len as u32,
            path: (authority + authority_len) as u32,
            path_len: memchr::memchr(b'?', path_and_query).unwrap_or(all) as u32,
        };
        debug_assert_eq!(self.target, Target::of(Method::from_bytes(self.method()), self.uri()));
    }

    /// Writes a new request line behind the arena from `parts` of the URI.
    pub(crate) fn rewrite_request_line(&mut self, method: Option<&[u8]>, uri: &[&[u8]], version: Version) {
        self.write_request_line(method, uri, version);
        self.retarget();
    }

    /// As [`rewrite_request_line`](Head::rewrite_request_line), but for where the parts of the URI are.
    pub(crate) fn write_request_line(&mut self, method: Option<&[u8]>, uri: &[&[u8]], version: Version) {
        let start = self.arena.len();
        match method {
            Some(method) => self.arena.extend_from_slice(method),
            None => {
                let old = self.line.start as usize;
                self.arena.extend_from_within(old..old + self.line.method_len as usize);
            }
        }
        let method_len = self.arena.len() - start;
        self.arena.push(b' ');
        for part in uri {
            self.arena.extend_from_slice(part);
        }
        let text_len = self.arena.len() - start - method_len - 1;
        self.arena.push(b' ');
        self.arena.extend_from_slice(version.as_bytes());
        self.arena.extend_from_slice(b"\r\n");
        self.line = StartLine {
            start: start as u32,
            len: (self.arena.len() - start) as u32,
            method_len: method_len as u32,
            text_len: text_len as u32,
        };
        self.version = version;
    }

    pub(crate) fn rewrite_status_line(&mut self, version: Version, code: u16, reason: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(version.as_bytes());
        let digits = |code: u16| {
            [b'0' + (code / 100 % 10) as u8, b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8]
        };
        self.arena.push(b' ');
        self.arena.extend_from_slice(&digits(code));
        self.arena.push(b' ');
        self.arena.extend_from_slice(reason);
        self.arena.extend_from_slice(b"\r\n");
        self.line = StartLine {
            start: start as u32,
            len: (self.arena.len() - start) as u32,
            method_len: 0,
            text_len: reason.len() as u32,
        };
        self.version = version;
        self.status = code;
    }

    /// Rebuilds the URI from the old one's head (up to `keep`), `middle`, and the old one's tail (from `resume`).
    fn splice_uri(&mut self, keep: usize, middle: &[&[u8]], resume: usize) {
        let mut uri = std::mem::take(&mut self.scratch);
        uri.clear();
        uri.extend_from_slice(&self.uri()[..keep]);
        for part in middle {
            uri.extend_from_slice(part);
        }
        uri.extend_from_slice(&self.uri()[resume..]);
        self.rewrite_request_line(None, &[&uri], self.version);
        self.scratch = uri;
    }

    /// Request: replaces the method.
    pub fn set_method(&mut self, method: &[u8]) {
        let mut uri = std::mem::take(&mut self.scratch);
        uri.clear();
        uri.extend_from_slice(self.uri());
        self.rewrite_request_line(Some(method), &[&uri], self.version);
        self.scratch = uri;
    }

    /// Request: replaces the whole URI. An absolute one changes the value of `Host` too (RFC 9112 §3.2.2), as in HAProxy.
    pub fn set_uri(&mut self, uri: &[u8]) {
        self.assembled = false;
        self.rewrite_request_line(None, &[uri], self.version);
        let Some(authority) = self.scheme().and(self.authority()) else { return };
        let host = authority.rsplit(|&byte| byte == b'@').next().unwrap_or_default().to_vec();
        self.replace_lines(b"host", &mut |old, out| {
            out.extend_from_slice(&host);
            old != host
        });
    }

    /// Request: replaces the path; scheme, authority and query stay.
    pub fn set_path(&mut self, path: &[u8]) {
        let Target { path: start, path_len, .. } = self.target;
        self.splice_uri(start as usize, &[path], (start + path_len) as usize);
    }

    /// Request: replaces path and query; scheme and authority stay.
    pub fn set_path_and_query(&mut self, path_and_query: &[u8]) {
        self.splice_uri(self.target.path as usize, &[path_and_query], self.line.text_len as usize);
    }

    /// Request: replaces the query (`query` comes without `?`). An empty one leaves a bare `?` where there was a query, as
    /// in HAProxy.
    pub fn set_query(&mut self, query: &[u8]) {
        let path_end = (self.target.path + self.target.path_len) as usize;
        let mark: &[u8] = if query.is_empty() && self.query().is_none() { b"" } else { b"?" };
        self.splice_uri(path_end, &[mark, query], self.line.text_len as usize);
    }

    /// Response: replaces status and reason; without a reason the usual one of the code is used.
    pub fn set_status(&mut self, code: u16, reason: Option<&[u8]>) {
        let reason = reason.unwrap_or_else(|| status::reason(code).as_bytes());
        self.rewrite_status_line(self.version, code, reason);
    }

    /// Replaces the version in the start line.
    pub fn set_version(&mut self, version: Version) {
        if version == self.version {
            return;
        }
        // The version has the same length in every start line, so it is changed where it stands.
        let start = match self.side {
            Side::Request => (self.line.start + self.line.len) as usize - 10,
            Side::Response => self.line.start as usize,
            Side::Trailers => return,
        };
        self.arena[start..start + 8].copy_from_slice(version.as_bytes());
        self.version = version;
    }

    /// Starts a request of our own; any earlier content is cleared.
    pub fn start_request(&mut self, method: &[u8], uri: &[u8], version: Version) {
        self.clear();
        self.side = Side::Request;
        self.rewrite_request_line(Some(method), &[uri], version);
    }

    /// Starts a response of our own; any earlier content is cleared.
    pub fn start_response(&mut self, code: u16, reason: Option<&[u8]>, version: Version) {
        self.clear();
        self.side = Side::Response;
        self.rewrite_status_line(version, code, reason.unwrap_or_else(|| status::reason(code).as_bytes()));
    }
}
