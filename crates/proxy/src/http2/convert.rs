//! Between the fields of HTTP/2 and [`http::Head`]: pseudo-header fields, cookies in pieces, the fields that speak of an
//! HTTP/1 connection, and WebSocket (RFC 8441). Judges nothing that HTTP/1 would let pass.

use ::http2::{Fields, Pseudo, RequestHead};
use http::base64::Alphabet;
use http::{FieldKind, Head, Limits, NAME_LEN_MAX, RequestLine, Version};
use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Why a head that came over HTTP/2 is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// More fields than `tune.http.maxhdr`.
    TooManyFields,
    /// A name longer than [`NAME_LEN_MAX`].
    LongName,
}

/// What RFC 6455 §1.3 appends to a key.
const WEBSOCKET_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads a request into `head`; `ends` when nothing follows. An extended `CONNECT` is a `GET` that asks for an upgrade in
/// the model, as in HAProxy.
///
/// # Errors
/// Bounds of the message model.
pub fn read_request(fields: &Fields, ends: bool, limits: &Limits, head: &mut Head) -> Result<(), ReadError> {
    let protocol = fields.pseudo(Pseudo::Protocol);
    let authority = fields.pseudo(Pseudo::Authority).filter(|authority| !authority.is_empty());
    head.start_streamed_request(
        RequestLine {
            method: match protocol {
                Some(_) => b"GET",
                None => fields.pseudo(Pseudo::Method).unwrap_or_default(),
            },
            scheme: fields.pseudo(Pseudo::Scheme),
            authority,
            path: fields.pseudo(Pseudo::Path).unwrap_or_default(),
        },
        // What follows an extended CONNECT is no body but a tunnel.
        protocol.is_some() || ends,
    );
    if let Some(authority) = authority {
        head.add(b"host", authority);
    }
    add_fields(fields, limits, head, authority.is_some())?;
    if let Some(protocol) = protocol {
        head.add(b"connection", b"upgrade");
        head.add(b"upgrade", protocol);
        if head.upgrades_to_websocket() && !head.has(FieldKind::WebSocketKey) {
            head.add(b"sec-websocket-key", &websocket_key());
        }
    }
    Ok(())
}

/// Reads a response into `head`.
///
/// # Errors
/// Bounds of the message model.
pub fn read_response(fields: &Fields, limits: &Limits, head: &mut Head) -> Result<(), ReadError> {
    head.start_streamed_response(fields.status().unwrap_or_default());
    add_fields(fields, limits, head, false)
}

/// Reads the fields behind a body.
///
/// # Errors
/// Bounds of the message model.
pub fn read_trailers(fields: &Fields, limits: &Limits) -> Result<Box<Head>, ReadError> {
    let mut head = Box::new(Head::new());
    head.start_trailers();
    add_fields(fields, limits, &mut head, false)?;
    Ok(head)
}

fn add_fields(fields: &Fields, limits: &Limits, head: &mut Head, has_host: bool) -> Result<(), ReadError> {
    // HAProxy takes twice as many as over HTTP/1, where a field costs more.
    if fields.len() + head.field_count() >= 2 * limits.max_fields {
        return Err(ReadError::TooManyFields);
    }
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in fields.iter() {
        if name.len() > NAME_LEN_MAX {
            return Err(ReadError::LongName);
        }
        if head.is_request() && name == b"cookie" {
            // RFC 9113 §8.2.3: the pieces are one field outside of HTTP/2.
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value);
        } else if !(has_host && name == b"host") {
            head.add(name, value);
        }
    }
    if !cookies.is_empty() {
        head.add(b"cookie", &cookies);
    }
    Ok(())
}

/// Status and fields of the response that `head` is. A switch of protocols is a plain success here.
pub fn response(head: &Head) -> (u16, impl Iterator<Item = (&[u8], &[u8])>) {
    let switches = head.status() == 101;
    let fields = fields(head, move |kind| {
        switches && matches!(kind, FieldKind::WebSocketAccept | FieldKind::ContentLength)
    });
    (if switches { 200 } else { head.status() }, fields)
}

/// A request as it goes to a server.
pub struct Outgoing<'h> {
    method: &'h [u8],
    scheme: Option<&'h [u8]>,
    authority: Option<&'h [u8]>,
    path: Option<Cow<'h, [u8]>>,
    /// The value of `Sec-WebSocket-Accept` that the client waits for, when this is an extended `CONNECT`.
    pub websocket_accept: Option<Vec<u8>>,
}

impl<'h> Outgoing<'h> {
    pub fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            scheme: self.scheme,
            authority: self.authority,
            path: self.path.as_deref(),
            protocol: self.websocket_accept.as_ref().map(|_| &b"websocket"[..]),
        }
    }

    /// The fields of `head`, the one that this is of.
    pub fn fields(&self, head: &'h Head) -> impl Iterator<Item = (&'h [u8], &'h [u8])> + use<'h> {
        let says_authority = self.authority.is_some();
        let is_websocket = self.websocket_accept.is_some();
        fields(head, move |kind| match kind {
            FieldKind::Host => says_authority,
            FieldKind::WebSocketKey => is_websocket,
            _ => false,
        })
    }
}

/// The request that `head` is. `secure`: the connection to the server is encrypted.
pub fn request(head: &Head, secure: bool) -> Outgoing<'_> {
    let is_websocket = head.upgrades_to_websocket();
    let websocket_accept =
        is_websocket.then(|| websocket_accept(head.get_kind(FieldKind::WebSocketKey).unwrap_or_default()));
    let method = if is_websocket { b"CONNECT" } else { head.method() };
    let is_tunnel = head.method() == b"CONNECT";
    let host = head.get_kind(FieldKind::Host).filter(|host| !host.is_empty());
    // HAProxy sends the `Host` of an HTTP/1 client as it is; only where the scheme has to be said, or a WebSocket needs
    // all of them, is it an authority.
    let authority = head.authority().or_else(|| host.filter(|_| secure || is_websocket));
    let scheme = match head.scheme() {
        _ if is_tunnel => None,
        Some(scheme) => Some(scheme),
        None if secure && authority.is_some() => Some(&b"https"[..]),
        None => Some(&b"http"[..]),
    };
    let path = match head.path_and_query() {
        _ if is_tunnel => None,
        b"" if head.method() == b"OPTIONS" => Some(Cow::Borrowed(&b"*"[..])),
        path if path.starts_with(b"/") || path == b"*" => Some(Cow::Borrowed(path)),
        path => Some(Cow::Owned([b"/", path].concat())),
    };
    Outgoing { method, scheme, authority, path, websocket_accept }
}

/// The fields that travel in HTTP/2: not those of an HTTP/1 connection (RFC 9113 §8.2.2).
pub fn fields(head: &Head, skip: impl Fn(FieldKind) -> bool) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.fields_with_kind().filter_map(move |(kind, name, value)| {
        let of_the_connection = matches!(
            kind,
            FieldKind::Connection
                | FieldKind::KeepAlive
                | FieldKind::ProxyConnection
                | FieldKind::TransferEncoding
                | FieldKind::Upgrade
                | FieldKind::Http2Settings
        );
        (!of_the_connection && !skip(kind)).then_some((name, value))
    })
}

/// Makes a response to an extended `CONNECT` the switch of protocols that it is in the model.
pub fn as_switch(head: &mut Head, accept: &[u8]) {
    let fields: Vec<(Vec<u8>, Vec<u8>)> =
        head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    head.start_response(101, None, Version::Http11);
    head.add(b"connection", b"upgrade");
    head.add(b"upgrade", b"websocket");
    head.add(b"sec-websocket-accept", accept);
    for (name, value) in &fields {
        head.add(name, value);
    }
}

/// RFC 6455 §4.2.2.
fn websocket_accept(key: &[u8]) -> Vec<u8> {
    use sha1::{Digest, Sha1};
    let digest = Sha1::new().chain_update(key).chain_update(WEBSOCKET_SUFFIX).finalize();
    let mut text = Vec::with_capacity(28);
    http::base64::encode(&digest, Alphabet::Standard, &mut text);
    text
}

/// A key for a server that gets the WebSocket of an HTTP/2 client, which has none.
fn websocket_key() -> Vec<u8> {
    // It tells a confused server apart, no more: unpredictable is enough.
    let half = || RandomState::new().build_hasher().finish().to_le_bytes();
    let mut text = Vec::with_capacity(24);
    http::base64::encode(&[half(), half()].concat(), Alphabet::Standard, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(fields: &[(&[u8], &[u8])]) -> Head {
        let mut head = Head::new();
        head.start_request(b"GET", b"/chat?x", Version::Http11);
        for (name, value) in fields {
            head.add(name, value);
        }
        head
    }

    fn names(outgoing: &Outgoing<'_>, head: &Head) -> Vec<String> {
        outgoing.fields(head).map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase()).collect()
    }

    #[test]
    fn what_speaks_of_the_connection_stays_behind() {
        let head = get(&[(b"Host", b"h"), (b"Connection", b"close"), (b"Keep-Alive", b"1"), (b"X-A", b"1")]);
        let outgoing = request(&head, false);
        assert_eq!(names(&outgoing, &head), ["host", "x-a"]);
        let said = outgoing.head();
        assert_eq!(
            (said.scheme, said.authority, said.path),
            (Some(&b"http"[..]), None, Some(&b"/chat?x"[..]))
        );
        let secure = request(&head, true);
        assert_eq!(names(&secure, &head), ["x-a"]);
        assert_eq!((secure.head().scheme, secure.head().authority), (Some(&b"https"[..]), Some(&b"h"[..])));
    }

    #[test]
    fn a_websocket_becomes_an_extended_connect() {
        let head = get(&[
            (b"Host", b"h:1"),
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"websocket"),
            (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"Sec-WebSocket-Version", b"13"),
        ]);
        let outgoing = request(&head, false);
        let said = outgoing.head();
        assert_eq!((said.method, said.protocol), (&b"CONNECT"[..], Some(&b"websocket"[..])));
        assert_eq!(
            (said.scheme, said.authority, said.path),
            (Some(&b"http"[..]), Some(&b"h:1"[..]), Some(&b"/chat?x"[..]))
        );
        assert_eq!(names(&outgoing, &head), ["sec-websocket-version"]);
        // The example of RFC 6455 §1.3.
        assert_eq!(outgoing.websocket_accept.as_deref(), Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..]));
    }

    #[test]
    fn targets_of_every_form() {
        let target = |method: &[u8], uri: &[u8]| {
            let mut head = Head::new();
            head.start_request(method, uri, Version::Http11);
            let outgoing = request(&head, false);
            let said = outgoing.head();
            let text = |part: Option<&[u8]>| part.map(|part| String::from_utf8_lossy(part).into_owned());
            [text(said.scheme), text(said.authority), text(said.path)]
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(target(b"GET", b"http://h:1/a?b"), [some("http"), some("h:1"), some("/a?b")]);
        assert_eq!(target(b"GET", b"http://h?b"), [some("http"), some("h"), some("/?b")]);
        assert_eq!(target(b"GET", b"https://h"), [some("https"), some("h"), some("/")]);
        assert_eq!(target(b"OPTIONS", b"http://h"), [some("http"), some("h"), some("*")]);
        assert_eq!(target(b"OPTIONS", b"*"), [some("http"), None, some("*")]);
        assert_eq!(target(b"CONNECT", b"h:443"), [None, some("h:443"), None]);
    }
}
