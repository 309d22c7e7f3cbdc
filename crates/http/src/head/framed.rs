//! Heads of messages that travel in frames (HTTP/2): how pseudo-header fields become a start line, and how such a head is
//! written on an HTTP/1 wire. Never reads or writes a frame.

use super::{Head, Side, Version};

/// The pseudo-header fields of a request (RFC 9113 §8.3.1).
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    pub method: &'a [u8],
    pub scheme: Option<&'a [u8]>,
    pub authority: Option<&'a [u8]>,
    /// Path and query; empty for `CONNECT`.
    pub path: &'a [u8],
}

impl Head {
    /// Starts a request that came over HTTP/2; any earlier content is cleared. As in HAProxy its URI is the absolute one
    /// where scheme and authority are there, and goes to HTTP/1 servers as a path. `ends`: no body follows.
    pub fn start_streamed_request(&mut self, line: RequestLine<'_>, ends: bool) {
        self.clear();
        self.side = Side::Request;
        self.body.streamed = !ends;
        let RequestLine { method, scheme, authority, path } = line;
        match (scheme, authority) {
            (_, Some(authority)) if path.is_empty() => {
                self.rewrite_request_line(Some(method), &[authority], Version::Http2);
            }
            (Some(scheme), Some(authority)) => {
                // The server as a whole has no path.
                let path = if path == b"*" { b"" } else { path };
                self.write_request_line(Some(method), &[scheme, b"://", authority, path], Version::Http2);
                self.target_is(scheme.len() + 3, authority.len(), path);
                self.assembled = scheme == b"http" || scheme == b"https";
            }
            (_, _) => self.rewrite_request_line(Some(method), &[path], Version::Http2),
        }
    }

    /// Starts a response that came over HTTP/2, where responses have no reason; any earlier content is cleared.
    pub fn start_streamed_response(&mut self, status: u16) {
        self.clear();
        self.side = Side::Response;
        self.rewrite_status_line(Version::Http2, status, b"");
    }

    /// Starts the fields behind a body; any earlier content is cleared.
    pub fn start_trailers(&mut self) {
        self.clear();
        self.side = Side::Trailers;
    }

    /// Appends the head in the words of HTTP/1: as [`write_to`](Head::write_to), and what came over HTTP/2 as
    /// HTTP/1.1. `chunked`: the body goes out in chunks, which the head does not say yet.
    pub fn write_http1(&self, chunked: bool, out: &mut Vec<u8>) {
        if self.version != Version::Http2 {
            return self.write_to(out);
        }
        match self.side {
            Side::Request => {
                out.extend_from_slice(self.method());
                out.push(b' ');
                out.extend_from_slice(self.wire_uri());
                out.extend_from_slice(b" HTTP/1.1\r\n");
            }
            Side::Response => {
                let line = &self.arena[self.line.start as usize..][..self.line.len as usize];
                out.extend_from_slice(b"HTTP/1.1");
                out.extend_from_slice(&line[Version::Http2.as_bytes().len()..]);
            }
            Side::Trailers => {}
        }
        for field in &self.fields {
            out.extend_from_slice(&self.arena[field.start as usize..field.end()]);
        }
        if chunked {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Request: the URI as it stands in the request line of an HTTP/1 message.
    fn wire_uri(&self) -> &[u8] {
        if !self.assembled {
            return self.uri();
        }
        match self.path_and_query() {
            b"" if self.method() == b"OPTIONS" => b"*",
            b"" => b"/",
            path => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Framing;

    fn written(head: &Head, chunked: bool) -> String {
        let mut out = Vec::new();
        head.write_http1(chunked, &mut out);
        String::from_utf8(out).expect("text")
    }

    fn get(path: &[u8]) -> RequestLine<'_> {
        RequestLine { method: b"GET", scheme: Some(b"https"), authority: Some(b"a.example:8443"), path }
    }

    #[test]
    fn a_request_of_http2_has_an_absolute_uri_and_goes_to_http1_as_a_path() {
        let mut head = Head::new();
        head.start_streamed_request(get(b"/x?y=1"), true);
        head.add(b"host", b"a.example:8443");
        assert_eq!(head.uri(), b"https://a.example:8443/x?y=1");
        assert_eq!(head.path(), b"/x");
        assert_eq!(head.version(), Version::Http2);
        assert_eq!(head.request_framing(), Framing::None);
        assert_eq!(written(&head, false), "GET /x?y=1 HTTP/1.1\r\nhost: a.example:8443\r\n\r\n");
    }

    #[test]
    fn a_uri_that_a_rule_wrote_goes_to_http1_as_it_is() {
        let mut head = Head::new();
        head.start_streamed_request(get(b"/x"), true);
        head.set_uri(b"http://b.example/z");
        assert_eq!(written(&head, false), "GET http://b.example/z HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn a_body_of_unknown_length_ends_with_its_stream_and_goes_to_http1_in_chunks() {
        let mut head = Head::new();
        head.start_streamed_request(RequestLine { method: b"PUT", ..get(b"/") }, false);
        assert_eq!(head.request_framing(), Framing::UntilClose);
        assert_eq!(written(&head, true), "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
        head.add(b"content-length", b"3");
        assert_eq!(head.request_framing(), Framing::Length(3));
    }

    #[test]
    fn connect_and_options_for_the_server_keep_their_forms() {
        let mut head = Head::new();
        let line = RequestLine { method: b"CONNECT", scheme: None, authority: Some(b"h:1"), path: b"" };
        head.start_streamed_request(line, false);
        assert_eq!(written(&head, false), "CONNECT h:1 HTTP/1.1\r\n\r\n");
        head.start_streamed_request(RequestLine { method: b"OPTIONS", ..get(b"*") }, true);
        assert_eq!(written(&head, false), "OPTIONS * HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn a_response_of_http2_has_no_reason() {
        let mut head = Head::new();
        head.start_streamed_response(200);
        head.add(b"x", b"y");
        assert_eq!(written(&head, false), "HTTP/1.1 200 \r\nx: y\r\n\r\n");
    }
}
