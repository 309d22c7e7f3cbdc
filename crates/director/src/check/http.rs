//! HTTP_GET and SSL_GET: one URL over one connection, judged by status, digest and pattern.

use super::{Fault, Next};
use keepalived_config::model::{HttpProtocol, HttpUrl};
use md5::{Digest, Md5};
use pcre2::bytes::Regex;

/// Bytes of a head.
const HEAD_MAX: usize = 16 * 1024;
/// Bytes of a body that are kept for the pattern; a digest takes any length.
const BODY_MAX: usize = 256 * 1024;
/// Bytes of an answer, whatever it is for.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The request for one URL and its answer so far.
#[derive(Debug)]
pub struct HttpExchange<'a> {
    url: &'a HttpUrl,
    protocol: HttpProtocol,
    /// What `Host` says when the URL names none.
    host: String,
    pattern: Option<&'a Regex>,
    head: Vec<u8>,
    has_head: bool,
    body: Vec<u8>,
    body_length: usize,
    content_length: Option<usize>,
    digest: Md5,
}

impl<'a> HttpExchange<'a> {
    /// `host` is the server's address and port; `pattern` the URL's, compiled.
    pub fn new(url: &'a HttpUrl, protocol: HttpProtocol, host: &str, pattern: Option<&'a Regex>) -> Self {
        Self {
            url,
            protocol,
            host: host.to_owned(),
            pattern,
            head: Vec::new(),
            has_head: false,
            body: Vec::new(),
            body_length: 0,
            content_length: None,
            digest: Md5::new(),
        }
    }

    pub(super) fn connected(&self) -> Next {
        let (version, connection) = match self.protocol {
            HttpProtocol::Http10 => ("1.0", ""),
            HttpProtocol::Http10Close => ("1.0", "Connection: close\r\n"),
            HttpProtocol::Http11 => ("1.1", "Connection: close\r\n"),
        };
        let host = self.url.virtual_host.as_deref().unwrap_or(&self.host);
        let path = &self.url.path;
        let request = format!(
            "GET {path} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{connection}Host: {host}\r\n\r\n"
        );
        Next::Send(request.into_bytes())
    }

    pub(super) fn received(&mut self, bytes: &[u8]) -> Next {
        if self.has_head {
            return self.take_body(bytes);
        }
        let searched = self.head.len().saturating_sub(HEAD_END.len() - 1);
        self.head.extend_from_slice(bytes);
        let end = self.head[searched..].windows(HEAD_END.len()).position(|four| four == HEAD_END);
        let Some(end) = end else {
            return if self.head.len() > HEAD_MAX { Next::Failed(Fault::Closed) } else { Next::Wait };
        };
        let rest = self.head.split_off(searched + end + HEAD_END.len());
        self.has_head = true;
        self.content_length = self.field(b"content-length").and_then(|value| value.parse().ok());
        self.take_body(&rest)
    }

    fn take_body(&mut self, bytes: &[u8]) -> Next {
        self.digest.update(bytes);
        self.body_length += bytes.len();
        let room = BODY_MAX - self.body.len();
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.content_length.is_some_and(|length| self.body_length >= length) {
            return self.judge();
        }
        if self.body_length > ANSWER_MAX { Next::Failed(Fault::Closed) } else { Next::Wait }
    }

    /// The server has said all.
    pub(super) fn ended(&self) -> Next {
        if self.has_head { self.judge() } else { Next::Failed(Fault::Closed) }
    }

    pub(super) fn timed_out(&self) -> Next {
        Next::Failed(if self.head.is_empty() { Fault::Silent } else { Fault::Half })
    }

    fn judge(&self) -> Next {
        let status = self.status();
        // A URL with a digest or a pattern alone names no status: any will do.
        let is_wanted =
            |status: u16| self.url.status.iter().any(|(low, high)| (*low..=*high).contains(&status));
        let has_status = self.url.status.is_empty() || status.is_some_and(is_wanted);
        if !has_status {
            return Next::Failed(Fault::answer("HTTP status code error to"));
        }
        if let Some(wanted) = self.url.digest
            && <[u8; 16]>::from(self.digest.clone().finalize()) != wanted
        {
            return Next::Failed(Fault::answer("MD5 digest error to"));
        }
        if let Some(pattern) = self.pattern {
            let from = self.url.regex_min_offset.min(self.body.len());
            let to = self.url.regex_max_offset.unwrap_or(self.body.len()).clamp(from, self.body.len());
            // A pattern that costs too much finds nothing.
            let is_found = pattern.is_match(&self.body[from..to]).unwrap_or(false);
            if is_found == self.url.regex_no_match {
                return Next::Failed(Fault::answer("Regex match failed"));
            }
        }
        Next::Passed
    }

    /// `HTTP/1.1 200 OK`.
    fn status(&self) -> Option<u16> {
        let line = self.head.split(|byte| *byte == b'\r').next()?;
        let code = line.strip_prefix(b"HTTP/")?.split(|byte| *byte == b' ').nth(1)?;
        std::str::from_utf8(code).ok()?.parse().ok()
    }

    fn field(&self, name: &[u8]) -> Option<String> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        let value = lines.into_iter().find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
        })?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> HttpUrl {
        HttpUrl {
            path: "/index.html".to_owned(),
            digest: None,
            status: vec![(200, 299)],
            virtual_host: None,
            is_virtual_host_inherited: false,
            regex: None,
            regex_options: Vec::new(),
            regex_no_match: false,
            regex_min_offset: 0,
            regex_max_offset: None,
            tls_compliant: false,
        }
    }

    fn judged(url: &HttpUrl, pattern: Option<&Regex>, answer: &[u8]) -> Next {
        let mut exchange = HttpExchange::new(url, HttpProtocol::Http10, "10.5.0.1:80", pattern);
        for byte in answer {
            match exchange.received(&[*byte]) {
                Next::Wait => {}
                next => return next,
            }
        }
        exchange.ended()
    }

    // row: 275
    #[test]
    fn the_request_is_keepaliveds() {
        let mut url = url();
        let sent = |url: &HttpUrl, protocol| {
            let Next::Send(bytes) = HttpExchange::new(url, protocol, "10.5.0.1:80", None).connected() else {
                panic!("a request")
            };
            String::from_utf8(bytes).expect("text")
        };
        let expected = "GET /index.html HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 10.5.0.1:80\r\n\r\n";
        assert_eq!(sent(&url, HttpProtocol::Http10), expected);
        url.virtual_host = Some("www.example.com".to_owned());
        let expected = "GET /index.html HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n\
                        Host: www.example.com\r\n\r\n";
        assert_eq!(sent(&url, HttpProtocol::Http11), expected);
    }

    // row: 278
    #[test]
    fn the_status_must_be_one_of_those_wanted() {
        let mut url = url();
        assert_eq!(judged(&url, None, b"HTTP/1.1 204 No Content\r\n\r\n"), Next::Passed);
        assert!(matches!(
            judged(&url, None, b"HTTP/1.1 404 Not Found\r\n\r\n"),
            Next::Failed(Fault::Answer(_))
        ));
        assert!(matches!(judged(&url, None, b"SSH-2.0\r\n\r\n"), Next::Failed(Fault::Answer(_))));
        assert_eq!(
            judged(&url, None, b"HTTP/1.1 200 OK\r\n"),
            Next::Failed(Fault::Closed),
            "no end of the head"
        );
        url.status = vec![(404, 404)];
        assert_eq!(judged(&url, None, b"HTTP/1.1 404 Not Found\r\n\r\nno"), Next::Passed);
    }

    // row: 277
    #[test]
    fn the_digest_is_of_the_body() {
        let mut url = url();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
        // `printf 'hello\n' | md5sum`, as in keepalived's configuration.
        let digest = 0xb194_6ac9_2492_d234_7c62_35b4_d261_1184_u128.to_be_bytes();
        url.digest = Some(digest);
        assert_eq!(judged(&url, None, answer), Next::Passed);
        url.digest = Some([0; 16]);
        assert_eq!(judged(&url, None, answer), Next::Failed(Fault::answer("MD5 digest error to")));
    }

    #[test]
    fn a_pattern_is_sought_between_its_offsets() {
        let mut url = url();
        let pattern = Regex::new("h[ae]llo").expect("a pattern");
        let answer = b"HTTP/1.1 200 OK\r\n\r\nxx hello";
        assert_eq!(judged(&url, Some(&pattern), answer), Next::Passed);
        url.regex_min_offset = 4;
        assert!(matches!(judged(&url, Some(&pattern), answer), Next::Failed(Fault::Answer(_))));
        url.regex_no_match = true;
        assert_eq!(judged(&url, Some(&pattern), answer), Next::Passed);
        url.regex_min_offset = 999;
        assert_eq!(judged(&url, Some(&pattern), answer), Next::Passed);
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let url = url();
        let mut exchange = HttpExchange::new(&url, HttpProtocol::Http10, "10.5.0.1:80", None);
        assert_eq!(exchange.received(&[b'x'; HEAD_MAX + 1]), Next::Failed(Fault::Closed));
    }
}
