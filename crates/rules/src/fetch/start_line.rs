//! Start lines: method, URI parts, versions, status; and what is kept of them.

use super::{Fetch, Fetched, KEPT, REQUEST, RESPONSE, SERVER_CONNECTION};
use crate::Captures;
use crate::args::{Arg, Arguments, Param};
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};
use http::{Head, Version};
use std::borrow::Cow;

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("method", ValueType::Method, KEPT, method, "The request's method.").http(),
    Fetch::new("path", ValueType::Str, REQUEST, path, "The path, without the query string.").http(),
    Fetch::new("pathq", ValueType::Str, REQUEST, pathq, "The path with the query string.").http(),
    Fetch::new("query", ValueType::Str, REQUEST, query, "The query string, without the question mark.")
        .http(),
    Fetch::new("url", ValueType::Str, REQUEST, url, "The URI as received.").http(),
    Fetch::new("req.ver", ValueType::Str, REQUEST, req_ver, "HTTP version of the request, `1.1`.")
        .also(&["req_ver"])
        .http(),
    Fetch::new("res.ver", ValueType::Str, RESPONSE, res_ver, "HTTP version of the response, `1.1`.")
        .also(&["resp_ver"])
        .http(),
    Fetch::new("status", ValueType::Int, SERVER_CONNECTION, status, "The response's status code.").http(),
    Fetch::new("req.proto_http", ValueType::Bool, KEPT, proto_http, "Whether the request is HTTP.")
        .also(&["req_proto_http"])
        .http(),
    Fetch::new("http_first_req", ValueType::Bool, KEPT, first_request, "First request of the connection.")
        .http(),
    Fetch::new(
        "fc_http_major",
        ValueType::Int,
        super::CLIENT,
        fc_http_major,
        "HTTP major version of the client.",
    ),
    Fetch::new("bc_http_major", ValueType::Int, SERVER_CONNECTION, bc_http_major, "The same of the server."),
    Fetch::new(
        "capture.req.hdr",
        ValueType::Str,
        KEPT,
        captured_request,
        "A captured request header, from 0.",
    )
    .takes(&[Param::Int], 1),
    Fetch::new(
        "capture.res.hdr",
        ValueType::Str,
        SERVER_CONNECTION,
        captured_response,
        "A captured response header.",
    )
    .takes(&[Param::Int], 1),
    Fetch::new("capture.req.method", ValueType::Str, KEPT, captured_method, "The request's method, kept."),
    Fetch::new("capture.req.uri", ValueType::Str, KEPT, captured_uri, "The request's path and query, kept."),
    Fetch::new(
        "capture.req.ver",
        ValueType::Str,
        KEPT,
        captured_request_version,
        "`HTTP/1.1` of the request.",
    ),
    Fetch::new(
        "capture.res.ver",
        ValueType::Str,
        KEPT,
        captured_response_version,
        "`HTTP/1.1` of the response.",
    ),
];

/// The request, or the reason that there is none. It is gone once the response is dealt with.
pub(super) fn request<'a>(scope: &Scope<'a>) -> Result<&'a Head, Fetched<'a>> {
    let request = match scope.direction {
        Direction::Request => scope.request,
        Direction::Response => None,
    };
    request.ok_or(if scope.payload_final { Fetched::Missing } else { Fetched::Wait })
}

/// The response, or the reason that there is none.
pub(super) fn response<'a>(scope: &Scope<'a>) -> Result<&'a Head, Fetched<'a>> {
    scope.response.ok_or(if scope.payload_final { Fetched::Missing } else { Fetched::Wait })
}

fn of_request<'a>(scope: &Scope<'a>, read: impl FnOnce(&'a Head) -> Option<Value<'a>>) -> Fetched<'a> {
    match request(scope) {
        Ok(head) => Fetched::of(read(head)),
        Err(nothing) => nothing,
    }
}

fn of_response<'a>(scope: &Scope<'a>, read: impl FnOnce(&'a Head) -> Option<Value<'a>>) -> Fetched<'a> {
    match response(scope) {
        Ok(head) => Fetched::of(read(head)),
        Err(nothing) => nothing,
    }
}

fn method<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match (scope.request, kept_method(scope)) {
        (Some(head), _) => Fetched::Ready(Value::Method(Cow::Borrowed(head.method()))),
        (None, b"") => request(scope).map_or_else(|nothing| nothing, |_| Fetched::Missing),
        (None, kept) => Fetched::Ready(Value::Method(Cow::Borrowed(kept))),
    }
}

/// The path with query when there is one: `*` and an authority have none.
pub(super) fn path_and_query(head: &Head) -> Option<&[u8]> {
    Some(head.path_and_query()).filter(|path| path.first() == Some(&b'/'))
}

/// The path when there is one.
pub(super) fn path_of(head: &Head) -> Option<&[u8]> {
    Some(head.path()).filter(|path| path.first() == Some(&b'/'))
}

fn path<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| path_of(head).map(Value::str))
}

fn pathq<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| path_and_query(head).map(Value::str))
}

fn query<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| {
        let uri = head.uri();
        memchr::memchr(b'?', uri).map(|mark| Value::str(&uri[mark + 1..]))
    })
}

fn url<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| Some(Value::str(head.uri())))
}

fn number(version: Version) -> &'static [u8] {
    &version.as_bytes()[5..]
}

fn req_ver<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| Some(Value::str(number(head.version()))))
}

fn res_ver<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_response(scope, |head| Some(Value::str(number(head.version()))))
}

fn status<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_response(scope, |head| Some(Value::Int(i64::from(head.status()))))
}

fn proto_http<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match scope.request {
        Some(_) => Fetched::bool(true),
        None => request(scope).map_or_else(|nothing| nothing, |_| Fetched::Missing),
    }
}

fn first_request<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(scope.stream.request_index == 0)
}

fn major(version: Option<Version>) -> i64 {
    match version {
        Some(Version::Http2) => 2,
        Some(Version::Http10 | Version::Http11) | None => 1,
    }
}

fn fc_http_major<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(major(scope.stream.request_version))
}

fn bc_http_major<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match scope.stream.server_dst.is_some() || scope.stream.response_version.is_some() {
        true => Fetched::int(major(scope.stream.response_version)),
        false => Fetched::Missing,
    }
}

fn slot<'a>(slots: &Captures, args: &'a [Arg]) -> Fetched<'a> {
    let index = args.int(0).and_then(|index| usize::try_from(index).ok());
    Fetched::of(index.and_then(|index| slots.get(index)).map(Value::string))
}

fn captured_request<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    slot(&scope.stream.request_captures, args)
}

fn captured_response<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    slot(&scope.stream.response_captures, args)
}

/// The method of the kept request line; empty without one.
fn kept_method<'a>(scope: &Scope<'a>) -> &'a [u8] {
    scope.stream.captured_uri.split(|&byte| byte == b' ').next().unwrap_or_default()
}

fn captured_method<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let method = kept_method(scope);
    Fetched::of((!method.is_empty()).then(|| Value::str(method)))
}

/// The URI of the kept request line, from its first slash on; a URI without one gives nothing.
fn captured_uri<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let uri = scope.stream.captured_uri.split(|&byte| byte == b' ').nth(1).unwrap_or(b"");
    let path = match uri.first() {
        None => return Fetched::Missing,
        Some(b'/') => uri,
        Some(_) => match memchr::memmem::find(uri, b"://") {
            Some(scheme) => match memchr::memchr(b'/', &uri[scheme + 3..]) {
                Some(slash) => &uri[scheme + 3 + slash..],
                None => return Fetched::Missing,
            },
            None => return Fetched::Missing,
        },
    };
    Fetched::Ready(Value::str(path))
}

/// Only two answers: 1.0 is told apart, anything else counts as 1.1.
fn kept_version<'a>(version: Option<Version>) -> Fetched<'a> {
    match version {
        Some(Version::Http10) => Fetched::Ready(Value::str(b"HTTP/1.0")),
        Some(Version::Http11 | Version::Http2) => Fetched::Ready(Value::str(b"HTTP/1.1")),
        None => Fetched::Missing,
    }
}

fn captured_request_version<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    kept_version(scope.stream.request_version)
}

fn captured_response_version<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    kept_version(scope.stream.response_version)
}
