//! Compiling one pattern, by matching method.

use super::MatchMethod;
use crate::args::{parse_int, parse_mask4};
use crate::regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// From, to, both included.
    Range(i64, i64),
    /// Address and mask.
    Net4(u32, u32),
    Net6(u128, u128),
    Bytes(Arc<[u8]>),
    Regex(Arc<Regex>),
}

/// Compiles `text`. Regular expressions take `ignore_case` in; for text the comparison does.
///
/// # Errors
/// One line that says what is wrong.
pub(crate) fn compile(method: MatchMethod, text: &Arc<[u8]>, ignore_case: bool) -> Result<Pattern, String> {
    let shown = || String::from_utf8_lossy(text);
    match method {
        MatchMethod::Int | MatchMethod::Len => {
            range(text, parse_int).ok_or_else(|| format!("'{}' is not a number or a range like 1:5", shown()))
        }
        MatchMethod::DottedVersion => range(text, dotted)
            .ok_or_else(|| format!("'{}' is not a version or a range like 3.1:3.3", shown())),
        MatchMethod::Ip => network(text)
            .ok_or_else(|| format!("'{}' is not an IPv4 or IPv6 address, alone or with a mask", shown())),
        MatchMethod::Bin => crate::fetch::parse_hex(text).map(|bytes| Pattern::Bytes(bytes.into())),
        MatchMethod::Reg => Regex::new(text, ignore_case).map(|regex| Pattern::Regex(Arc::new(regex))),
        MatchMethod::Dir => Ok(Pattern::Bytes(trim_delimiters(text, super::index::DIR_DELIMITERS).into())),
        MatchMethod::Dom => Ok(Pattern::Bytes(trim_delimiters(text, super::index::DOM_DELIMITERS).into())),
        MatchMethod::Found
        | MatchMethod::Bool
        | MatchMethod::Str
        | MatchMethod::Beg
        | MatchMethod::Sub
        | MatchMethod::End
        | MatchMethod::Method
        | MatchMethod::Group => Ok(Pattern::Bytes(text.clone())),
    }
}

fn trim_delimiters<'t>(text: &'t [u8], delimiters: &[u8]) -> &'t [u8] {
    let is_text = |byte: &u8| !delimiters.contains(byte);
    match (text.iter().position(is_text), text.iter().rposition(is_text)) {
        (Some(start), Some(end)) => &text[start..=end],
        (None, _) | (_, None) => b"",
    }
}

fn range(text: &[u8], number: fn(&[u8]) -> Option<i64>) -> Option<Pattern> {
    match memchr::memchr(b':', text) {
        None => number(text).map(|only| Pattern::Range(only, only)),
        Some(colon) => {
            let (from, to) = (&text[..colon], &text[colon + 1..]);
            if from.is_empty() && to.is_empty() {
                return None;
            }
            let from = if from.is_empty() { i64::MIN } else { number(from)? };
            let to = if to.is_empty() { i64::MAX } else { number(to)? };
            (from <= to).then_some(Pattern::Range(from, to))
        }
    }
}

/// `3.1` as the protocol's number: major in the high 16 bits, minor in the low ones.
fn dotted(text: &[u8]) -> Option<i64> {
    let part = |text| parse_int(text).filter(|number| (0..=0xffff).contains(number));
    match memchr::memchr(b'.', text) {
        None => part(text).map(|major| major << 16),
        Some(dot) => Some((part(&text[..dot])? << 16) + part(&text[dot + 1..])?),
    }
}

/// An address with or without a mask. Short IPv4 forms leave out zeros in the middle: `10.1` is `10.0.0.1`.
fn network(text: &[u8]) -> Option<Pattern> {
    let (address, mask) = match memchr::memchr(b'/', text) {
        None => (text, None),
        Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
    };
    if let Some(address) = short_ip4(address) {
        let mask = match mask {
            None => u32::MAX,
            Some(mask) => u32::from(parse_mask4(mask)?),
        };
        return Some(Pattern::Net4(u32::from(address) & mask, mask));
    }
    let address: Ipv6Addr = std::str::from_utf8(address).ok()?.parse().ok()?;
    let mask = match mask {
        None => u128::MAX,
        Some(bits) => match parse_int(bits)? {
            0 => 0,
            bits @ 1..=128 => u128::MAX << (128 - bits),
            _ => return None,
        },
    };
    Some(Pattern::Net6(u128::from(address) & mask, mask))
}

fn short_ip4(text: &[u8]) -> Option<Ipv4Addr> {
    let text = std::str::from_utf8(text).ok()?;
    let parts: Option<Vec<u8>> = text
        .split('.')
        .map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        })
        .collect();
    match parts?[..] {
        [a] => Some(Ipv4Addr::new(0, 0, 0, a)),
        [a, b] => Some(Ipv4Addr::new(a, 0, 0, b)),
        [a, b, c] => Some(Ipv4Addr::new(a, b, 0, c)),
        [a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_version_are_16_bits_wide() {
        // HAProxy 2.6.12 takes and refuses the same.
        let takes = |text: &[u8]| compile(MatchMethod::DottedVersion, &text.into(), false).is_ok();
        for text in ["3", "3.1:3.3", "3.65535", "65535.1"] {
            assert!(takes(text.as_bytes()), "{text}");
        }
        for text in ["3.65536", "65536.1", "3.", ".3", "-1.1", "3.-1", "3.1111111111111111111"] {
            assert!(!takes(text.as_bytes()), "{text}");
        }
    }
}
