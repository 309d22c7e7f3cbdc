//! Writes the HTTP request of a check. Never reads configuration text; [`crate::HttpSend`] is what it writes.

use http::Method;

/// Everything of a request, evaluated.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: Vec<u8>,
    pub(crate) version: &'a str,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Option<Vec<u8>>,
    /// Value of `X-Haproxy-Server-State`, with `http-check send-state`.
    pub(crate) server_state: Option<String>,
}

impl Request<'_> {
    pub(crate) fn method_kind(&self) -> Method {
        Method::from_bytes(self.method.as_bytes())
    }

    /// The bytes that go out. Names are in lower case; framing and connection fields come last and are ours.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.body.as_ref().map_or(0, Vec::len));
        // Versions beyond 1.1 are spoken as 1.1 on a plain connection, which we close ourselves.
        let is_1_0 = self.version == "HTTP/1.0";
        let is_1_1 = self.version == "HTTP/1.1";
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.uri_with_host());
        out.extend_from_slice(if is_1_0 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
        let mut connection: Option<String> = None;
        for (name, value) in &self.fields {
            match name.to_ascii_lowercase().as_str() {
                "content-length" | "transfer-encoding" => {}
                "connection" => connection = Some(String::from_utf8_lossy(value).to_ascii_lowercase()),
                lower => write_field(&mut out, lower, value),
            }
        }
        if let Some(state) = &self.server_state {
            write_field(&mut out, "x-haproxy-server-state", state.as_bytes());
        }
        if let Some(body) = &self.body {
            write_field(&mut out, "content-length", body.len().to_string().as_bytes());
        }
        // HTTP/1.0 closes by itself; a Connection field of the user's own decides instead of ours.
        let closes = connection.as_ref().is_none_or(|value| value.contains("close"));
        if is_1_1 && closes {
            write_field(&mut out, "connection", b"close");
        } else if is_1_0 && !closes {
            write_field(&mut out, "connection", b"keep-alive");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        out
    }

    // The authority of an absolute URI follows the Host field.
    fn uri_with_host(&self) -> Vec<u8> {
        let host =
            self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value);
        let scheme_end = self.uri.windows(3).position(|window| window == b"://");
        let (Some(host), Some(scheme_end)) = (host, scheme_end) else { return self.uri.clone() };
        let authority = scheme_end + 3;
        if self.uri[..scheme_end].contains(&b'/') {
            return self.uri.clone();
        }
        let path = self.uri[authority..].iter().position(|&byte| matches!(byte, b'/' | b'?'));
        let mut uri = self.uri[..authority].to_vec();
        uri.extend_from_slice(host);
        uri.extend_from_slice(path.map_or(&b""[..], |path| &self.uri[authority + path..]));
        uri
    }
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(version: &'a str, fields: &[(&str, &str)], body: Option<&str>) -> Request<'a> {
        Request {
            method: "GET",
            uri: b"/q".to_vec(),
            version,
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: body.map(|body| body.as_bytes().to_vec()),
            server_state: None,
        }
    }

    fn text(request: &Request<'_>) -> String {
        String::from_utf8(request.to_bytes()).unwrap()
    }

    // The wire forms below are those of haproxy 2.6.12.
    #[test]
    fn http_1_0_needs_no_connection_field() {
        assert_eq!(text(&request("HTTP/1.0", &[], None)), "GET /q HTTP/1.0\r\n\r\n");
        assert_eq!(
            text(&request("HTTP/1.0", &[("X-B", "b")], Some("hello there"))),
            "GET /q HTTP/1.0\r\nx-b: b\r\ncontent-length: 11\r\n\r\nhello there"
        );
    }

    #[test]
    fn http_1_1_asks_to_close() {
        assert_eq!(
            text(&request("HTTP/1.1", &[("Content-Length", "99"), ("host", "x")], Some("abc"))),
            "GET /q HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
        );
        assert_eq!(
            text(&request("HTTP/1.1", &[("Connection", "keep-alive"), ("host", "x")], None)),
            "GET /q HTTP/1.1\r\nhost: x\r\n\r\n"
        );
    }

    #[test]
    fn the_state_goes_behind_the_users_fields() {
        let mut request = request("HTTP/1.1", &[("host", "x")], Some("abc"));
        request.server_state = Some("UP 1/2; name=b/s".to_owned());
        assert_eq!(
            text(&request),
            "GET /q HTTP/1.1\r\nhost: x\r\nx-haproxy-server-state: UP 1/2; name=b/s\r\ncontent-length: 3\r\n\
             connection: close\r\n\r\nabc"
        );
    }

    #[test]
    fn an_absolute_uri_takes_the_host() {
        let mut request = request("HTTP/1.1", &[("host", "x")], None);
        request.uri = b"http://foo/bar".to_vec();
        assert!(text(&request).starts_with("GET http://x/bar HTTP/1.1\r\n"));
    }
}
