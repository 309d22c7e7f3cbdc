//! The implicit casts between sample types: which exist (checked at load) and what they do (at run time).
//! Owns the matrix; the explicit conversions are the converters' (`convert`).

use crate::value::{Value, ValueType};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a sample of type `from` may be used where `to` is wanted.
///
/// `Any` is accepted on both sides: the real type shows at run time, and a cast that does not exist then makes the
/// sample missing.
pub fn exists(from: ValueType, to: ValueType) -> bool {
    use ValueType::{Address, Any, Bin, Bool, Int, Ip4, Ip6, Method, Str};
    match (from, to) {
        (Any, _) | (_, Any) => true,
        (Bool, Bool | Int | Str | Bin) => true,
        (Bool, Address | Ip4 | Ip6 | Method) => false,
        (Int, Bool | Int | Address | Ip4 | Ip6 | Str | Bin) => true,
        (Int, Method) => false,
        (Address, Bool | Int | Address | Ip4 | Ip6 | Str | Bin | Method) => false,
        (Ip4, Int | Address | Ip4 | Ip6 | Str | Bin) => true,
        (Ip4, Bool | Method) => false,
        (Ip6, Address | Ip4 | Ip6 | Str | Bin) => true,
        (Ip6, Bool | Int | Method) => false,
        (Str, Bool | Int | Address | Ip4 | Ip6 | Str | Bin | Method) => true,
        (Bin, Str | Bin | Method) => true,
        (Bin, Bool | Int | Address | Ip4 | Ip6) => false,
        (Method, Str | Bin | Method) => true,
        (Method, Bool | Int | Address | Ip4 | Ip6) => false,
    }
}

/// Casts at run time. `None`: there is no such cast, or this value does not survive it (text that is no address).
#[inline]
pub fn cast(value: Value<'_>, to: ValueType) -> Option<Value<'_>> {
    match value.kind() == to {
        true => Some(value),
        false => cast_to_another(value, to),
    }
}

fn cast_to_another(value: Value<'_>, to: ValueType) -> Option<Value<'_>> {
    match to {
        ValueType::Any => Some(value),
        ValueType::Bool => to_bool(value).map(Value::Bool),
        ValueType::Int => to_int(&value).map(Value::Int),
        ValueType::Address => to_address(value),
        ValueType::Ip4 => to_ip4(&value).map(Value::Ip4),
        ValueType::Ip6 => to_ip6(&value).map(Value::Ip6),
        ValueType::Str => to_text(value).map(Value::Str),
        ValueType::Bin => to_bytes(value).map(Value::Bin),
        ValueType::Method => match value {
            Value::Method(bytes) | Value::Str(bytes) | Value::Bin(bytes) => Some(Value::Method(bytes)),
            Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) => None,
        },
    }
}

fn to_bool(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(value),
        Value::Int(value) => Some(value != 0),
        Value::Str(text) => (!text.is_empty()).then(|| leading_int(&text) != 0),
        Value::Ip4(_) | Value::Ip6(_) | Value::Bin(_) | Value::Method(_) => None,
    }
}

/// The integer that a value is as a number: what arithmetic and integer matches see.
pub fn to_int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Int(value) => Some(*value),
        Value::Ip4(address) => Some(i64::from(u32::from(*address))),
        Value::Str(text) => (!text.is_empty()).then(|| leading_int(text)),
        Value::Ip6(_) | Value::Bin(_) | Value::Method(_) => None,
    }
}

fn to_address(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Ip4(_) | Value::Ip6(_) => Some(value),
        Value::Int(number) => Some(Value::Ip4(Ipv4Addr::from(number as u32))),
        Value::Str(text) => parse_ip4(&text).map(Value::Ip4).or_else(|| parse_ip(&text).map(Value::ip)),
        Value::Bool(_) | Value::Bin(_) | Value::Method(_) => None,
    }
}

fn to_ip4(value: &Value<'_>) -> Option<Ipv4Addr> {
    match value {
        Value::Ip4(address) => Some(*address),
        Value::Ip6(address) => address.to_ipv4_mapped(),
        Value::Int(number) => Some(Ipv4Addr::from(*number as u32)),
        Value::Str(text) => parse_ip4(text),
        Value::Bool(_) | Value::Bin(_) | Value::Method(_) => None,
    }
}

fn to_ip6(value: &Value<'_>) -> Option<Ipv6Addr> {
    match value {
        Value::Ip6(address) => Some(*address),
        Value::Ip4(address) => Some(address.to_ipv6_mapped()),
        Value::Int(number) => Some(Ipv4Addr::from(*number as u32).to_ipv6_mapped()),
        Value::Str(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        Value::Bool(_) | Value::Bin(_) | Value::Method(_) => None,
    }
}

/// The text form: numbers in decimal, booleans as 0 and 1, raw bytes up to the first NUL.
pub fn to_text(value: Value<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Str(text) | Value::Method(text) => Some(text),
        Value::Bool(value) => Some(Cow::Borrowed(if value { b"1" } else { b"0" })),
        Value::Int(value) => Some(Cow::Owned(value.to_string().into_bytes())),
        Value::Ip4(address) => Some(Cow::Owned(address.to_string().into_bytes())),
        Value::Ip6(address) => Some(Cow::Owned(address.to_string().into_bytes())),
        Value::Bin(bytes) => Some(until_nul(bytes)),
    }
}

/// The bytes that hashes, table keys and binary matches see.
pub fn to_bytes(value: Value<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => Some(bytes),
        Value::Int(value) => Some(Cow::Owned(value.to_be_bytes().to_vec())),
        Value::Bool(value) => Some(Cow::Owned(i64::from(value).to_be_bytes().to_vec())),
        Value::Ip4(address) => Some(Cow::Owned(address.octets().to_vec())),
        Value::Ip6(address) => Some(Cow::Owned(address.octets().to_vec())),
    }
}

fn until_nul(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match memchr::memchr(0, &bytes) {
        None => bytes,
        Some(end) => match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..end]),
            Cow::Owned(mut bytes) => {
                bytes.truncate(end);
                Cow::Owned(bytes)
            }
        },
    }
}

/// The number at the start of a text: optional sign, digits until something else; saturates; no digits give 0.
pub fn leading_int(text: &[u8]) -> i64 {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) | None => (false, text),
    };
    let mut number: i64 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            break;
        }
        let digit = i64::from(byte - b'0');
        number = if negative {
            number.saturating_mul(10).saturating_sub(digit)
        } else {
            number.saturating_mul(10).saturating_add(digit)
        };
    }
    number
}

/// How HAProxy reads numbers in headers, cookies and parameters: in 32 bits that wrap, up to the first character behind
/// `9`. What stands before `0` counts by its distance from it, so that `10.1` is 981.
pub fn loose_int32(text: &[u8]) -> i64 {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) | None => (false, text),
    };
    let digits =
        digits.iter().map(|byte| i32::from(*byte as i8) - i32::from(b'0')).take_while(|digit| *digit <= 9);
    let number = digits.fold(0_i32, |number, digit| number.wrapping_mul(10).wrapping_add(digit));
    i64::from(if negative { number.wrapping_neg() } else { number })
}

/// As [`leading_int`], in 32 bits that wrap.
pub fn leading_int32(text: &[u8]) -> i64 {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) | None => (false, text),
    };
    let digits = digits.iter().map_while(|byte| byte.is_ascii_digit().then(|| i32::from(byte - b'0')));
    let number = digits.fold(0_i32, |number, digit| number.wrapping_mul(10).wrapping_add(digit));
    i64::from(if negative { number.wrapping_neg() } else { number })
}

/// An address in text, IPv4 first.
pub fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok()
}

/// An IPv4 address at the start of a text; what follows the fourth number does not matter.
fn parse_ip4(text: &[u8]) -> Option<Ipv4Addr> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let end = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// The IPv4 address inside an IPv6 one that only carries it: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`) or
/// 6to4 (`2002:abcd::`).
pub fn ip6_to_ip4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let tail = || Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]);
    if octets[..10].iter().all(|&byte| byte == 0) {
        match (octets[10], octets[11]) {
            (0, 0) | (0xff, 0xff) => return Some(tail()),
            _other_prefix => return None,
        }
    }
    if octets[..2] == [0x20, 0x02] {
        return Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5]));
    }
    None
}
