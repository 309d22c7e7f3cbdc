//! Keys of a table as bytes: addresses in network order, integers lowest byte first as HAProxy has them in memory, so
//! that byte order is the order in which `show table` lists them. Owns the casts from samples and from the text of the runtime API, and the way back.

use super::config::KeyType;
use crate::cast::cast;
use crate::{Value, ValueType};
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest key kept without an allocation of its own, in bytes.
const INLINE_MAX: usize = 22;

/// A key of a table's own type: short ones inline, long ones borrowed from the sample or owned.
#[derive(Debug, Clone)]
pub enum Key<'a> {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Borrowed(&'a [u8]),
    Owned(Box<[u8]>),
}

impl Key<'_> {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Key::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Key::Borrowed(bytes) => bytes,
            Key::Owned(bytes) => bytes,
        }
    }

    fn inline(from: &[u8]) -> Key<'static> {
        let mut bytes = [0; INLINE_MAX];
        bytes[..from.len()].copy_from_slice(from);
        Key::Inline { len: from.len() as u8, bytes }
    }

    pub(super) fn to_stored(&self) -> Key<'static> {
        match self.as_bytes() {
            short if short.len() <= INLINE_MAX => Key::inline(short),
            long => Key::Owned(long.into()),
        }
    }
}

fn cut(bytes: &[u8], len_max: u32) -> &[u8] {
    &bytes[..bytes.len().min(len_max as usize)]
}

impl KeyType {
    /// Casts a sample to a key of this type; `None` where HAProxy's casts give nothing.
    pub fn cast<'v>(self, value: &'v Value<'_>) -> Option<Key<'v>> {
        match self {
            // Only mapped addresses lead back to IPv4 here, although ACLs see more of them as the same.
            KeyType::Ip if matches!(value, Value::Ip6(address) if address.to_ipv4_mapped().is_none()) => None,
            KeyType::Ip => match cast(reborrow(value), ValueType::Ip4)? {
                Value::Ip4(address) => Some(Key::inline(&address.octets())),
                _ => None,
            },
            KeyType::Ipv6 => match cast(reborrow(value), ValueType::Ip6)? {
                Value::Ip6(address) => Some(Key::inline(&address.octets())),
                _ => None,
            },
            KeyType::Integer => match cast(reborrow(value), ValueType::Int)? {
                Value::Int(number) => Some(Key::inline(&(number as u32).to_le_bytes())),
                _ => None,
            },
            KeyType::String { len_max } => Some(match value {
                Value::Str(bytes) | Value::Method(bytes) | Value::Bin(bytes) => {
                    Key::Borrowed(cut(bytes, len_max))
                }
                Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) => {
                    let text = crate::cast::to_text(reborrow(value))?;
                    Key::Borrowed(cut(&text, len_max)).to_stored()
                }
            }),
            KeyType::Binary { len } => {
                let bytes = crate::cast::to_bytes(reborrow(value))?;
                let bytes = cut(&bytes, len);
                let mut block = vec![0; len as usize];
                block[..bytes.len()].copy_from_slice(bytes);
                Some(Key::Owned(block.into()))
            }
        }
    }

    /// Reads a key as the runtime API writes it; `None`: it is not one. Binary keys cannot be written.
    pub fn parse(self, text: &str) -> Option<Key<'static>> {
        match self {
            KeyType::Ip => Some(Key::inline(&lenient_ipv4(text).octets())),
            KeyType::Ipv6 => Some(Key::inline(&text.parse::<Ipv6Addr>().ok()?.octets())),
            KeyType::Integer => {
                Some(Key::inline(&u32::try_from(leading_int(text.as_bytes())?).ok()?.to_le_bytes()))
            }
            KeyType::String { len_max } => Some(Key::Borrowed(cut(text.as_bytes(), len_max)).to_stored()),
            KeyType::Binary { .. } => None,
        }
    }

    /// Appends a key as `show table` prints it.
    pub fn print(self, key: &[u8], out: &mut Vec<u8>) {
        match self {
            KeyType::Ip => {
                let address = <[u8; 4]>::try_from(key).map(Ipv4Addr::from).unwrap_or(Ipv4Addr::UNSPECIFIED);
                out.extend_from_slice(address.to_string().as_bytes());
            }
            KeyType::Ipv6 => {
                let address = <[u8; 16]>::try_from(key).map(Ipv6Addr::from).unwrap_or(Ipv6Addr::UNSPECIFIED);
                out.extend_from_slice(address.to_string().as_bytes());
            }
            KeyType::Integer => {
                let number = <[u8; 4]>::try_from(key).map(u32::from_le_bytes).unwrap_or(0);
                out.extend_from_slice(number.to_string().as_bytes());
            }
            KeyType::String { .. } => print_text(key, out),
            KeyType::Binary { .. } => out.extend_from_slice(&upper_hex(key)),
        }
    }
}

/// Escapes what would break the line apart, as HAProxy's dumps do.
fn print_text(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b' ' | b'=' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x1b => out.extend_from_slice(b"\\e"),
            0x20..=0x7e => out.push(byte),
            _ => {
                out.extend_from_slice(b"\\x");
                out.extend_from_slice(&upper_hex(&[byte]));
            }
        }
    }
}

fn upper_hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// The integer that text starts with; `None` when it starts with none.
fn leading_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let mut number: i64 = 0;
    for &digit in &digits[..len] {
        number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(if negative { -number } else { number })
}

/// The same value without owning its bytes.
fn reborrow<'v>(value: &'v Value<'_>) -> Value<'v> {
    match value {
        Value::Bool(truth) => Value::Bool(*truth),
        Value::Int(number) => Value::Int(*number),
        Value::Ip4(address) => Value::Ip4(*address),
        Value::Ip6(address) => Value::Ip6(*address),
        Value::Str(bytes) => Value::Str(Cow::Borrowed(bytes)),
        Value::Bin(bytes) => Value::Bin(Cow::Borrowed(bytes)),
        Value::Method(bytes) => Value::Method(Cow::Borrowed(bytes)),
    }
}

/// An IPv4 address as HAProxy's tables read it: numbers between dots, added at their places, up to the first other
/// character. What is missing is 0, so that `10.1` is 10.1.0.0 and a word 0.0.0.0.
fn lenient_ipv4(text: &str) -> Ipv4Addr {
    let (mut sum, mut number, mut shift) = (0u32, 0u32, 24);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => number = number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')),
            b'.' if shift > 0 => {
                sum = sum.wrapping_add(number << shift);
                shift -= 8;
                number = 0;
            }
            _ => break,
        }
    }
    Ipv4Addr::from(sum.wrapping_add(number << shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(kind: KeyType, value: Value<'_>) -> Option<String> {
        let key = kind.cast(&value)?;
        let mut out = Vec::new();
        kind.print(key.as_bytes(), &mut out);
        Some(String::from_utf8(out).expect("printed keys are ASCII"))
    }

    #[test]
    fn samples_become_keys_of_the_tables_type() {
        let text = |text: &'static str| Value::Str(Cow::Borrowed(text.as_bytes()));
        let mapped = Value::Ip6("::ffff:10.0.0.1".parse().expect("address"));
        assert_eq!(printed(KeyType::Ip, mapped), Some("10.0.0.1".into()));
        assert_eq!(printed(KeyType::Ip, Value::Ip6(Ipv6Addr::LOCALHOST)), None);
        assert_eq!(printed(KeyType::Ipv6, Value::Ip4(Ipv4Addr::LOCALHOST)), Some("::ffff:127.0.0.1".into()));
        assert_eq!(printed(KeyType::Integer, text("5abc")), Some("5".into()));
        assert_eq!(printed(KeyType::Integer, text("abc")), Some("0".into()));
        assert_eq!(printed(KeyType::Integer, text("-5")), Some("4294967291".into()));
        assert_eq!(printed(KeyType::Integer, text("99999999999")), Some("1215752191".into()));
        assert_eq!(printed(KeyType::Ip, text("10.0.0.300")), None);
        assert_eq!(printed(KeyType::Ip, Value::Int(167_772_161)), Some("10.0.0.1".into()));
        let raw = Value::Bin(Cow::Borrowed(b"\x01\x02\xff"));
        assert_eq!(printed(KeyType::String { len_max: 31 }, raw), Some("\\x01\\x02\\xFF".into()));
        let number = Value::Int(-5);
        assert_eq!(printed(KeyType::Binary { len: 10 }, number), Some("FFFFFFFFFFFFFFFB0000".into()));
        assert_eq!(printed(KeyType::String { len_max: 8 }, text("abcdefghijkl")), Some("abcdefgh".into()));
        assert_eq!(printed(KeyType::Binary { len: 4 }, text("/a")), Some("2F610000".into()));
        assert_eq!(printed(KeyType::Binary { len: 4 }, text("/=%20")), Some("2F3D2532".into()));
    }

    #[test]
    fn keys_print_with_haproxys_escapes() {
        let mut out = Vec::new();
        KeyType::String { len_max: 31 }.print(b"a b=\\\"\x01\xff", &mut out);
        assert_eq!(out, br#"a\ b\=\\"\x01\xFF"#);
    }

    #[test]
    fn integers_of_the_runtime_api_are_32_bit_and_unsigned() {
        for (text, valid) in
            [("7", true), ("+5", true), ("0005", true), ("-5", false), ("4294967296", false), ("abc", false)]
        {
            assert_eq!(KeyType::Integer.parse(text).is_some(), valid, "{text}");
        }
    }
}
