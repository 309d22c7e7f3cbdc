//! Parts of the URI beyond the path: host and path together, parameters, addresses.

use super::start_line::{path_and_query, path_of, request};
use super::{Fetch, Fetched, REQUEST, Visitor, Walk};
use crate::args::{Arg, Arguments, Param};
use crate::cast::{leading_int32, loose_int32};
use crate::scope::{Peer, Scope};
use crate::value::{Value, ValueType};
use balance::hash::{avalanche, sdbm};
use http::Head;
use std::net::{IpAddr, Ipv4Addr};

const PARAMETER: &[Param] = &[Param::Str, Param::Str];

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("base", ValueType::Str, REQUEST, base, "Host header and path, without the query string.")
        .http(),
    Fetch::new("baseq", ValueType::Str, REQUEST, baseq, "Host header, path and query string.").http(),
    Fetch::new("base32", ValueType::Int, REQUEST, base32, "A 32-bit hash of `base`.").http(),
    Fetch::new("base32+src", ValueType::Bin, REQUEST, base32_src, "`base32` and the client's address.")
        .http(),
    Fetch::new(
        "url32",
        ValueType::Int,
        REQUEST,
        url32,
        "A 32-bit hash of Host header, path and query string.",
    )
    .http(),
    Fetch::new("url32+src", ValueType::Bin, REQUEST, url32_src, "`url32` and the client's address.").http(),
    Fetch::new("url_ip", ValueType::Ip4, REQUEST, url_ip, "The address in an absolute URI.").http(),
    Fetch::new("url_port", ValueType::Int, REQUEST, url_port, "The port in an absolute URI.").http(),
    Fetch::new(
        "url_param",
        ValueType::Str,
        REQUEST,
        url_param,
        "A parameter of the query string, not decoded.",
    )
    .also(&["urlp"])
    .takes(PARAMETER, 0)
    .each(each_url_param)
    .http(),
    Fetch::new("urlp_val", ValueType::Int, REQUEST, urlp_val, "Such a parameter as a number.")
        .takes(PARAMETER, 0)
        .each(each_urlp_val)
        .http(),
];

fn host(head: &Head) -> Option<&[u8]> {
    head.nth_value(b"host", 1).filter(|host| !host.is_empty())
}

/// Host and `tail`; borrowed when there is no host.
fn with_host<'a>(head: &'a Head, tail: Option<&'a [u8]>) -> Option<Value<'a>> {
    match host(head) {
        None => tail.map(Value::str),
        Some(host) => Some(Value::string([host, tail.unwrap_or_default()].concat())),
    }
}

fn of_request<'a>(scope: &Scope<'a>, read: impl FnOnce(&'a Head) -> Option<Value<'a>>) -> Fetched<'a> {
    match request(scope) {
        Ok(head) => Fetched::of(read(head)),
        Err(nothing) => nothing,
    }
}

fn base<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| with_host(head, path_of(head)))
}

fn baseq<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| with_host(head, path_and_query(head)))
}

/// Hash of the Host header with `tail` behind it.
fn hash_with_host(head: &Head, tail: &[u8]) -> u32 {
    avalanche(sdbm(&[host(head).unwrap_or_default(), tail].concat()))
}

fn hash_of_base(head: &Head) -> u32 {
    hash_with_host(head, path_of(head).unwrap_or_default())
}

fn hash_of_url(head: &Head) -> u32 {
    hash_with_host(head, path_and_query(head).unwrap_or_default())
}

fn base32<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| Some(Value::Int(i64::from(hash_of_base(head)))))
}

fn url32<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| Some(Value::Int(i64::from(hash_of_url(head)))))
}

/// The hash in network order, then the 4 or 16 bytes of the client's address.
fn with_source<'a>(hash: u32, source: Option<Peer>) -> Option<Value<'a>> {
    let mut out = hash.to_be_bytes().to_vec();
    match source {
        Some(Peer::Inet(socket)) => match socket.ip() {
            IpAddr::V4(address) => out.extend(address.octets()),
            IpAddr::V6(address) => out.extend(address.octets()),
        },
        Some(Peer::Unix) | None => return None,
    }
    Some(Value::Bin(out.into()))
}

fn base32_src<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| with_source(hash_of_base(head), scope.stream.src))
}

fn url32_src<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| with_source(hash_of_url(head), scope.stream.src))
}

/// Address and port of `http://10.0.0.1:80/…`.
fn url_address(uri: &[u8]) -> Option<(Ipv4Addr, u16)> {
    let colon = memchr::memmem::find(uri, b"://")?;
    let rest = &uri[colon + 3..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(rest.len());
    let address: Ipv4Addr = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let port = match rest.get(end) {
        Some(b':') => leading_int32(&rest[end + 1..]) as u16,
        Some(_) | None if uri[..colon].eq_ignore_ascii_case(b"https") => 443,
        Some(_) | None => 80,
    };
    Some((address, port))
}

fn url_ip<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| url_address(head.uri()).map(|(address, _)| Value::Ip4(address)))
}

fn url_port<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of_request(scope, |head| url_address(head.uri()).map(|(_, port)| Value::Int(i64::from(port))))
}

/// Values of the parameters of that name (any, when empty), until the visitor has enough.
pub(super) fn visit_parameters<'a>(
    list: &'a [u8],
    name: &[u8],
    delimiter: u8,
    visit: &mut dyn FnMut(&'a [u8]) -> bool,
) {
    for pair in list.split(|&byte| byte == b'&' || byte == b';' || byte == delimiter) {
        let Some(equals) = memchr::memchr(b'=', pair) else { continue };
        if (name.is_empty() || &pair[..equals] == name) && !visit(&pair[equals + 1..]) {
            return;
        }
    }
}

fn walk<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: &mut dyn FnMut(&'a [u8]) -> bool) -> Walk {
    let head = match request(scope) {
        Ok(head) => head,
        Err(Fetched::Wait) => return Walk::Wait,
        Err(Fetched::Ready(_) | Fetched::Early(_) | Fetched::Missing) => return Walk::Done,
    };
    let delimiter = args.text(1).and_then(|text| text.first()).copied().unwrap_or(b'?');
    let uri = head.uri();
    if let Some(mark) = memchr::memchr(delimiter, uri) {
        visit_parameters(&uri[mark + 1..], args.text(0).unwrap_or_default(), delimiter, visit);
    }
    Walk::Done
}

fn first<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Result<&'a [u8], Fetched<'a>> {
    let mut found = None;
    match walk(args, scope, &mut |value| {
        found = Some(value);
        false
    }) {
        Walk::Done => found.ok_or(Fetched::Missing),
        Walk::Wait => Err(Fetched::Wait),
    }
}

fn url_param<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    first(args, scope).map_or_else(|nothing| nothing, |bytes| Fetched::Ready(Value::str(bytes)))
}

fn each_url_param<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, &mut |bytes| visit(Value::str(bytes)))
}

fn urlp_val<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    first(args, scope).map_or_else(|nothing| nothing, |bytes| Fetched::int(loose_int32(bytes)))
}

fn each_urlp_val<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, &mut |bytes| visit(Value::Int(loose_int32(bytes))))
}
