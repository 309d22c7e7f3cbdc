//! Between the messages of the `h2` crate and [`http::Head`]: pseudo-header fields, cookies in pieces, the fields that
//! speak of an HTTP/1 connection, and WebSocket (RFC 8441). Judges nothing that HTTP/1 would let pass.

use bytes::Bytes;
use h2::ext::Protocol;
use http::base64::Alphabet;
use http::{FieldKind, Head, Limits, NAME_LEN_MAX, RequestLine, Version};
use http_types::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, SERVER};
use http_types::request::Parts;
use http_types::uri::PathAndQuery;
use http_types::{Method, Request, Response, StatusCode, Uri};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Why a head that came over HTTP/2 is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// More fields than `tune.http.maxhdr`.
    TooManyFields,
    /// A name longer than [`NAME_LEN_MAX`].
    LongName,
    /// `CONNECT` that does not say whereto (RFC 9113 §8.5).
    NoAuthority,
}

/// Why a head cannot go out over HTTP/2: a byte that a field or a URI may not have there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsendable;

/// What RFC 6455 §1.3 appends to a key.
const WEBSOCKET_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads a request into `head`; `ends` when nothing follows. An extended `CONNECT` is a `GET` that asks for an upgrade in
/// the model, as in HAProxy.
///
/// # Errors
/// Bounds of the message model.
pub fn read_request(request: &Parts, ends: bool, limits: &Limits, head: &mut Head) -> Result<(), ReadError> {
    let protocol = request.extensions.get::<Protocol>();
    let uri = &request.uri;
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    if request.method == Method::CONNECT && authority.is_none() {
        return Err(ReadError::NoAuthority);
    }
    head.start_streamed_request(
        RequestLine {
            method: if protocol.is_some() { b"GET" } else { request.method.as_str().as_bytes() },
            scheme: uri.scheme_str().map(str::as_bytes),
            authority,
            path: uri.path_and_query().map_or(b"", |path| path.as_str().as_bytes()),
        },
        // What follows an extended CONNECT is no body but a tunnel.
        protocol.is_some() || ends,
    );
    if let Some(authority) = authority {
        head.add(b"host", authority);
    }
    add_fields(&request.headers, limits, head, authority.is_some())?;
    if let Some(protocol) = protocol {
        head.add(b"connection", b"upgrade");
        head.add(b"upgrade", protocol.as_str().as_bytes());
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
pub fn read_response(
    status: StatusCode,
    fields: &HeaderMap,
    limits: &Limits,
    head: &mut Head,
) -> Result<(), ReadError> {
    head.start_streamed_response(status.as_u16());
    add_fields(fields, limits, head, false)
}

/// Reads the fields behind a body.
///
/// # Errors
/// Bounds of the message model.
pub fn read_trailers(fields: &HeaderMap, limits: &Limits) -> Result<Box<Head>, ReadError> {
    let mut head = Box::new(Head::new());
    head.start_trailers();
    add_fields(fields, limits, &mut head, false)?;
    Ok(head)
}

fn add_fields(fields: &HeaderMap, limits: &Limits, head: &mut Head, has_host: bool) -> Result<(), ReadError> {
    // HAProxy takes twice as many as over HTTP/1, where a field costs more.
    if fields.len() + head.field_count() >= 2 * limits.max_fields {
        return Err(ReadError::TooManyFields);
    }
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in fields {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
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

/// The response that `head` is. A switch of protocols is a plain success here.
///
/// # Errors
/// A field that HTTP/2 cannot carry.
pub fn response(head: &Head) -> Result<Response<()>, Unsendable> {
    let mut response = Response::new(());
    let switches = head.status() == 101;
    let status = if switches { 200 } else { head.status() };
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| Unsendable)?;
    *response.headers_mut() = fields(head, |kind| {
        switches && matches!(kind, FieldKind::WebSocketAccept | FieldKind::ContentLength)
    })?;
    Ok(response)
}

/// A request as it goes to a server.
pub struct Outgoing {
    pub request: Request<()>,
    /// The value of `Sec-WebSocket-Accept` that the client waits for, when this is an extended `CONNECT`.
    pub websocket_accept: Option<Vec<u8>>,
}

/// The request that `head` is. `secure`: the connection to the server is encrypted.
///
/// # Errors
/// A field or a URI that HTTP/2 cannot carry.
pub fn request(head: &Head, secure: bool) -> Result<Outgoing, Unsendable> {
    let websocket = head.upgrades_to_websocket();
    let mut request = Request::new(());
    *request.method_mut() = match head.method() {
        _ if websocket => Method::CONNECT,
        method => Method::from_bytes(method).map_err(|_| Unsendable)?,
    };
    let host = head.get_kind(FieldKind::Host).filter(|host| !host.is_empty());
    let scheme: &[u8] = if secure { b"https" } else { b"http" };
    let uri = match (head.scheme(), head.authority()) {
        // An absolute URI, or the authority of a CONNECT.
        (_, Some(_)) if head.method() == b"OPTIONS" && head.path_and_query().is_empty() => {
            Uri::try_from([head.uri(), b"/*"].concat()).and_then(as_asterisk)
        }
        (_, Some(_)) => Uri::try_from(head.uri()),
        // HAProxy sends the `Host` of an HTTP/1 client as it is; only where the scheme has to be said, or a WebSocket
        // needs all three, is it an authority.
        (_, None) => match host.filter(|_| secure || websocket) {
            Some(host) => Uri::try_from([scheme, b"://", host, head.path_and_query()].concat()),
            None => Uri::try_from(head.uri()),
        },
    }
    .map_err(|_| Unsendable)?;
    let says_authority = uri.authority().is_some();
    // The crate asks for an authority in requests that say to be HTTP/2's own; this one was forwarded.
    *request.version_mut() =
        if says_authority { http_types::Version::HTTP_2 } else { http_types::Version::HTTP_11 };
    *request.uri_mut() = uri;
    *request.headers_mut() = fields(head, |kind| match kind {
        FieldKind::Host => says_authority,
        FieldKind::WebSocketKey => websocket,
        _ => false,
    })?;
    let websocket_accept = websocket.then(|| {
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        websocket_accept(head.get_kind(FieldKind::WebSocketKey).unwrap_or_default())
    });
    Ok(Outgoing { request, websocket_accept })
}

/// The URI of the server as a whole.
fn as_asterisk(uri: Uri) -> Result<Uri, http_types::uri::InvalidUri> {
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("*"));
    Ok(Uri::from_parts(parts).expect("scheme and authority are there"))
}

/// The trailers that `head` is.
///
/// # Errors
/// A field that HTTP/2 cannot carry.
pub fn trailers(head: &Head) -> Result<HeaderMap, Unsendable> {
    fields(head, |_| false)
}

/// The fields that travel in HTTP/2: not those of an HTTP/1 connection (RFC 9113 §8.2.2).
fn fields(head: &Head, skip: impl Fn(FieldKind) -> bool) -> Result<HeaderMap, Unsendable> {
    let mut map = HeaderMap::with_capacity(head.field_count());
    let length = head.fields().map(|(_, value)| value.len()).sum();
    // One allocation holds all values.
    let mut values = Vec::with_capacity(length);
    head.fields().for_each(|(_, value)| values.extend_from_slice(value));
    let mut values = Bytes::from(values);
    for (kind, name, value) in head.fields_with_kind() {
        let value = values.split_to(value.len());
        let of_the_connection = matches!(
            kind,
            FieldKind::Connection
                | FieldKind::KeepAlive
                | FieldKind::ProxyConnection
                | FieldKind::TransferEncoding
                | FieldKind::Upgrade
                | FieldKind::Http2Settings
        );
        if of_the_connection || skip(kind) {
            continue;
        }
        let name = match kind {
            FieldKind::ContentLength => CONTENT_LENGTH,
            FieldKind::ContentType => CONTENT_TYPE,
            FieldKind::Date => DATE,
            FieldKind::Server => SERVER,
            _ => HeaderName::from_bytes(name).map_err(|_| Unsendable)?,
        };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Unsendable)?;
        map.try_append(name, value).map_err(|_| Unsendable)?;
    }
    Ok(map)
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

    #[test]
    fn what_speaks_of_the_connection_stays_behind() {
        let head = get(&[(b"Host", b"h"), (b"Connection", b"close"), (b"Keep-Alive", b"1"), (b"X-A", b"1")]);
        let request = request(&head, false).expect("sendable").request;
        let names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "x-a"]);
        assert_eq!(request.uri(), "/chat?x");
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
        let outgoing = request(&head, false).expect("sendable");
        assert_eq!(outgoing.request.method(), Method::CONNECT);
        assert_eq!(outgoing.request.uri(), "http://h:1/chat?x");
        let names: Vec<&str> = outgoing.request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["sec-websocket-version"]);
        // The example of RFC 6455 §1.3.
        assert_eq!(outgoing.websocket_accept.as_deref(), Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..]));
    }

    #[test]
    fn a_field_with_a_control_byte_is_not_sent() {
        assert_eq!(request(&get(&[(b"X", b"a\x01b")]), false).err(), Some(Unsendable));
    }
}
