//! A sample: what a fetch returns and a converter turns into another.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// One sample. Bytes are borrowed from the message wherever possible.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Bool(bool),
    Int(i64),
    Ip4(Ipv4Addr),
    Ip6(Ipv6Addr),
    /// Text; any byte may occur, it is what the peer sent.
    Str(Cow<'a, [u8]>),
    /// Raw bytes: printed as upper-case hex where text is wanted.
    Bin(Cow<'a, [u8]>),
    /// An HTTP method.
    Method(Cow<'a, [u8]>),
}

/// The type of a sample as declared in the fetch and converter tables; drives the implicit casts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    Any,
    Bool,
    Int,
    /// IPv4 or IPv6, whichever the connection has.
    Address,
    Ip4,
    Ip6,
    Str,
    Bin,
    Method,
}
