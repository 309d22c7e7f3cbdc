//! Whether the URI of a request and its `Host` name the same place (RFC 9112 §3.2, RFC 3986 §6.2.3). Owns the comparison
//! and the removal of default ports; never resolves a name.

use crate::head::Head;
use crate::kind::FieldKind;
use crate::method::Method;

/// What the comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    Yes,
    No,
    /// They agree, and the URI spells out the default port: that text (`:80`, or `:` alone).
    DefaultPort(Port),
}

/// A default port in a URI, as text behind the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// Where the colon stands in the URI.
    at: usize,
    /// Length with the colon.
    len: usize,
    /// Whether the URI is rewritten too (not the one of a `CONNECT`).
    in_uri: bool,
}

/// The authority in a URI: where it starts, and its end. It ends at the first slash only, as HAProxy sees it.
fn place(uri: &[u8]) -> (usize, usize) {
    let scheme =
        memchr::memmem::find(uri, b"://").filter(|&end| uri[..end].iter().all(u8::is_ascii_alphanumeric));
    let start = scheme.map_or(0, |end| end + 3);
    let end = memchr::memchr(b'/', &uri[start..]).map_or(uri.len(), |length| start + length);
    let start = memchr::memrchr(b'@', &uri[start..end]).map_or(start, |at| start + at + 1);
    (start, end)
}

/// Host and port text with its colon (empty when there is none). The colons inside brackets are the address's.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let colon = authority.len() - digits;
    match authority[..colon].last() {
        Some(b':') => authority.split_at(colon - 1),
        Some(_) | None => (authority, b""),
    }
}

/// Compares the URI of a request that is no plain path with the value of its `Host`.
pub(crate) fn agree(method: Method, uri: &[u8], host: Option<&[u8]>) -> Agreement {
    if uri.first() == Some(&b'*') && method != Method::Connect {
        return Agreement::Yes;
    }
    let (start, end) = place(uri);
    let authority = &uri[start..end];
    let (name, port) = split_port(authority);
    if method == Method::Connect {
        // The port must be there; 80 and 443 need not stand in Host.
        if port.len() < 2 {
            return Agreement::No;
        }
        let default = port == b":80" || port == b":443";
        let Some(host) = host else { return Agreement::Yes };
        let (host_name, host_port) = split_port(host);
        let same_port = host_port == port || (default && host_port.len() < 2);
        if !same_port || !host_name.eq_ignore_ascii_case(name) {
            return Agreement::No;
        }
        let port = Port { at: start + name.len(), len: port.len(), in_uri: false };
        return if default { Agreement::DefaultPort(port) } else { Agreement::Yes };
    }
    let scheme = &uri[..uri.windows(3).position(|three| three == b"://").unwrap_or(0)];
    let default: &[u8] = match scheme {
        _ if scheme.eq_ignore_ascii_case(b"http") => b":80",
        _ if scheme.eq_ignore_ascii_case(b"https") => b":443",
        _ => b"",
    };
    let is_default = |port: &[u8]| !default.is_empty() && (port == b":" || port == default);
    if let Some(host) = host.filter(|host| !authority.is_empty() && !host.eq_ignore_ascii_case(authority)) {
        let (host_name, host_port) = split_port(host);
        let plain = |port: &[u8]| port.is_empty() || is_default(port);
        if !host_name.eq_ignore_ascii_case(name) || !plain(port) || !plain(host_port) {
            return Agreement::No;
        }
    }
    match is_default(port) {
        true => Agreement::DefaultPort(Port { at: start + name.len(), len: port.len(), in_uri: true }),
        false => Agreement::Yes,
    }
}

/// Takes the default port out of `Host`, and of the URI.
pub(crate) fn normalize(head: &mut Head, port: Port) {
    let text = head.uri()[port.at..port.at + port.len].to_vec();
    if let Some(index) = head.fields.iter().position(|field| field.kind == FieldKind::Host) {
        let value = head.value_of(&head.fields[index]);
        if let Some(name) = value.strip_suffix(&text[..]).filter(|_| text.len() > 1) {
            let name = name.to_vec();
            head.store_value(index, &name);
        }
    }
    if port.in_uri {
        let mut uri = head.uri().to_vec();
        uri.drain(port.at..port.at + port.len);
        head.rewrite_request_line(None, &[&uri], head.version());
    }
}
