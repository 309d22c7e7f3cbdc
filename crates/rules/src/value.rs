//! A sample: what a fetch returns and a converter turns into another.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One sample. Bytes are borrowed from the message wherever possible.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Bool(bool),
    Int(i64),
    Ip4(Ipv4Addr),
    Ip6(Ipv6Addr),
    /// Text; any byte may occur, it is what the peer sent.
    Str(Cow<'a, [u8]>),
    /// Raw bytes. Where text is wanted they are taken as they are, up to the first NUL.
    Bin(Cow<'a, [u8]>),
    /// An HTTP method.
    Method(Cow<'a, [u8]>),
}

impl<'a> Value<'a> {
    /// Text that is borrowed.
    pub fn str(bytes: &'a [u8]) -> Value<'a> {
        Value::Str(Cow::Borrowed(bytes))
    }

    /// Text that was made.
    pub fn string(bytes: Vec<u8>) -> Value<'static> {
        Value::Str(Cow::Owned(bytes))
    }

    /// Raw bytes that are borrowed.
    pub fn bin(bytes: &'a [u8]) -> Value<'a> {
        Value::Bin(Cow::Borrowed(bytes))
    }

    /// An address of either family.
    pub fn ip(address: IpAddr) -> Value<'static> {
        match address {
            IpAddr::V4(address) => Value::Ip4(address),
            IpAddr::V6(address) => Value::Ip6(address),
        }
    }

    /// The exact type of this value; never `Any` or `Address`.
    #[inline]
    pub fn kind(&self) -> ValueType {
        match self {
            Value::Bool(_) => ValueType::Bool,
            Value::Int(_) => ValueType::Int,
            Value::Ip4(_) => ValueType::Ip4,
            Value::Ip6(_) => ValueType::Ip6,
            Value::Str(_) => ValueType::Str,
            Value::Bin(_) => ValueType::Bin,
            Value::Method(_) => ValueType::Method,
        }
    }

    /// The value with its bytes owned, for storing it beyond the message.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Bool(value) => Value::Bool(value),
            Value::Int(value) => Value::Int(value),
            Value::Ip4(value) => Value::Ip4(value),
            Value::Ip6(value) => Value::Ip6(value),
            Value::Str(bytes) => Value::Str(Cow::Owned(bytes.into_owned())),
            Value::Bin(bytes) => Value::Bin(Cow::Owned(bytes.into_owned())),
            Value::Method(bytes) => Value::Method(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// The type of a sample as declared in the fetch and converter tables; drives the implicit casts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Known only at run time (`var()`).
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

impl ValueType {
    /// The type's name in messages and in the generated documentation.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Any => "any",
            ValueType::Bool => "boolean",
            ValueType::Int => "integer",
            ValueType::Address => "address",
            ValueType::Ip4 => "IPv4",
            ValueType::Ip6 => "IPv6",
            ValueType::Str => "string",
            ValueType::Bin => "binary",
            ValueType::Method => "method",
        }
    }
}
