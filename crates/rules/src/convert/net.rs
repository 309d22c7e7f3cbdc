//! Addresses and names of the proxy: masks, backends and servers by name.

use super::Converter;
use super::text::text_of;
use crate::args::{Arg, Param};
use crate::scope::{BackendNumber, Scope, ServerNumber};
use crate::value::{Value, ValueType};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) const ROWS: &[Converter] = &[
    Converter::new(
        "ipmask",
        ValueType::Address,
        ValueType::Ip4,
        ipmask,
        "Masks an address; IPv6 by its own mask.",
    )
    .takes(&[Param::Mask4, Param::Mask6], 1),
    Converter::new(
        "nbsrv",
        ValueType::Str,
        ValueType::Int,
        nbsrv,
        "Usable servers of the backend of that name.",
    ),
    Converter::new(
        "srv_queue",
        ValueType::Str,
        ValueType::Int,
        srv_queue,
        "Queue of the server `[backend/]name`.",
    ),
];

/// Without a mask for IPv6 an address of it must carry an IPv4 one.
fn ipmask<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let mask4 = |address: Ipv4Addr| match args.first() {
        Some(Arg::Ip4(mask)) => Some(Value::Ip4(address & *mask)),
        Some(_) | None => None,
    };
    match (value, args.get(1)) {
        (Value::Ip4(address), _) => mask4(address),
        (Value::Ip6(address), Some(Arg::Ip6(mask))) => {
            Some(Value::Ip6(Ipv6Addr::from(u128::from(address) & u128::from(*mask))))
        }
        (Value::Ip6(address), _) => mask4(address.to_ipv4_mapped()?),
        (Value::Bool(_) | Value::Int(_) | Value::Str(_) | Value::Bin(_) | Value::Method(_), _) => None,
    }
}

fn nbsrv<'a>(value: Value<'a>, _: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let backend = scope.host.backend_by_name(&text_of(value))?;
    Some(Value::Int(scope.host.backend(backend, BackendNumber::UsableServers)))
}

/// Without a backend's name the server is looked for in the chosen one.
fn srv_queue<'a>(value: Value<'a>, _: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let (backend, name) = match memchr::memchr(b'/', &text) {
        Some(slash) => (scope.host.backend_by_name(&text[..slash])?, &text[slash + 1..]),
        None => (scope.stream.backend.unwrap_or(scope.stream.frontend), &text[..]),
    };
    let server = scope.host.server_by_name(backend, name)?;
    Some(Value::Int(scope.host.server(server, ServerNumber::Queued)))
}
