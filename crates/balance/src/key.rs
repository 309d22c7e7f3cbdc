//! What a request is hashed by: from an address, a URI, a header, a cookie or a sample to 32 bits.
//!
//! Owns the cutting that comes before the hash function, exactly as HAProxy 2.6 cuts. Never looks at servers:
//! `None` means that the request has no such key, and that the picker falls back to round robin.

use std::net::IpAddr;

use crate::HashType;

/// Options of `balance uri`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UriOptions {
    /// `len`: hash no more than this many bytes; 0 means no limit.
    pub length_max: usize,
    /// `depth`: hash no more than this many directories; 0 means no limit.
    pub depth_max: usize,
    /// `whole`: hash the query string too.
    pub whole: bool,
    /// `path-only`: skip scheme and authority of an absolute URI.
    pub path_only: bool,
}

/// `balance source`: the address in words of 32 bits, network order, combined by exclusive or.
///
/// The hash function takes no part in it, the avalanche does. An IPv4 client on an IPv6 socket is hashed in its
/// mapped form (`::ffff:a.b.c.d`), as it was accepted: do not canonicalise the address first.
pub fn source(address: IpAddr, hash_type: &HashType) -> u32 {
    let folded = match address {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            let word = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
            word(a, b) ^ word(c, d) ^ word(e, f) ^ word(g, h)
        }
    };
    hash_type.finish(folded)
}

/// `balance uri`: the request target as it came, cut by `options`.
pub fn uri(target: &[u8], options: &UriOptions, hash_type: &HashType) -> u32 {
    let target = if options.path_only { path_and_query(target) } else { target };
    let target = match options.length_max {
        0 => target,
        length_max => &target[..target.len().min(length_max)],
    };
    let mut slashes = 0;
    let end = target.iter().position(|&byte| match byte {
        b'/' => {
            slashes += 1;
            // The first slash opens the first directory, so `depth 1` stops at the second one.
            options.depth_max > 0 && slashes == options.depth_max + 1
        }
        b'?' => !options.whole,
        _ => false,
    });
    hash_type.digest(&target[..end.unwrap_or(target.len())])
}

/// Path and query of a request target in origin or absolute form; empty in the other forms (`*`, an authority).
fn path_and_query(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let scheme_length = target.iter().take_while(|&&byte| is_scheme_byte(byte)).count();
    let Some(after_scheme) = target[scheme_length..].strip_prefix(b"://") else {
        return b"";
    };
    match after_scheme.iter().position(|&byte| byte == b'/') {
        Some(start) => &after_scheme[start..],
        None => b"",
    }
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// `balance url_param`: the value of the first parameter called `name` in the query string, not decoded.
pub fn url_param(target: &[u8], name: &[u8], hash_type: &HashType) -> Option<u32> {
    let query_start = target.iter().position(|&byte| byte == b'?')? + 1;
    parameter(&target[query_start..], name).map(|value| hash_type.digest(value))
}

/// `balance url_param` on the body of a POST, tried when the query string has no such parameter.
///
/// `body` is what has been buffered of it. A value that begins with a byte that no URL-encoded form can hold means
/// that this is no form, hence no key.
pub fn url_param_in_body(body: &[u8], name: &[u8], hash_type: &HashType) -> Option<u32> {
    let value = parameter(body, name)?;
    match value.first() {
        None => Some(hash_type.digest(b"")),
        Some(b' ' | b'\t' | b'\r' | b'\n') => Some(hash_type.digest(b"")),
        Some(&byte) if is_token_byte(byte) => Some(hash_type.digest(value)),
        Some(_) => None,
    }
}

/// Bytes of a token (RFC 9110 section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Value of the first `name=value` of a list separated by `&`; names are compared with their case.
fn parameter<'a>(list: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    list.split(|&byte| byte == b'&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// `balance hdr(name)`: the first element of the first header of that name, as [`first_element`] cuts it.
///
/// With `use_domain_only` (meant for `Host`) only the label before the last dot counts: `app.example.com:80`
/// is hashed as `example`.
pub fn header(element: &[u8], use_domain_only: bool, hash_type: &HashType) -> Option<u32> {
    if element.is_empty() {
        return None;
    }
    Some(hash_type.digest(if use_domain_only { main_domain(element) } else { element }))
}

/// The label before the last dot; the whole value when there is no dot.
///
/// Exactly as HAProxy searches: a dot in front of all others does not end a label, and the byte before the last dot
/// belongs to the label whatever it is, so `.com` stays whole and `a..b` gives `a.`.
fn main_domain(host: &[u8]) -> &[u8] {
    let last_dot = host.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0);
    let Some(end) = last_dot else {
        return host;
    };
    let start = host[..end - 1].iter().rposition(|&byte| byte == b'.').map_or(0, |dot| dot + 1);
    &host[start..end]
}

/// The first element of a header value that is a list separated by commas, without the blanks around it; a comma
/// within double quotes separates nothing.
pub fn first_element(value: &[u8]) -> &[u8] {
    let mut quoted = false;
    let mut escaped = false;
    let end = value.iter().position(|&byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return true,
            _ => {}
        }
        false
    });
    value[..end.unwrap_or(value.len())].trim_ascii()
}

/// `balance rdp-cookie(name)`: the value that [`rdp_cookie_value`] finds, if it is not empty.
pub fn rdp_cookie(payload: &[u8], name: &[u8], hash_type: &HashType) -> Option<u32> {
    let value = rdp_cookie_value(payload, name)?;
    if value.is_empty() { None } else { Some(hash_type.digest(value)) }
}

/// Length of the TPKT and X.224 headers before the cookie of an RDP connection request (MS-RDPBCGR 2.2.1.1).
const RDP_COOKIE_OFFSET: usize = 11;

/// The value of the cookie `name` in an RDP connection request, `None` when it is absent or not complete yet.
///
/// Names are compared without case; an empty name takes whichever cookie there is.
pub fn rdp_cookie_value<'a>(payload: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let cookie = strip_prefix_ignoring_case(payload.get(RDP_COOKIE_OFFSET..)?, b"Cookie:")?;
    let start = cookie.iter().position(|&byte| byte != b' ')?;
    let cookie = &cookie[start..];
    let line = &cookie[..cookie.iter().position(|&byte| byte == b'\r')?];
    if cookie.get(line.len() + 1) != Some(&b'\n') {
        return None;
    }
    if name.is_empty() {
        let equals = line.iter().position(|&byte| byte == b'=')?;
        Some(&line[equals + 1..])
    } else {
        strip_prefix_ignoring_case(line, name)?.strip_prefix(b"=")
    }
}

fn strip_prefix_ignoring_case<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// `balance hash <expression>` on a sample of bytes or text, which may be empty.
pub fn expression(sample: &[u8], hash_type: &HashType) -> u32 {
    hash_type.digest(sample)
}

/// `balance hash <expression>` on an integer or a boolean: its eight bytes in network order.
pub fn expression_integer(sample: i64, hash_type: &HashType) -> u32 {
    hash_type.digest(&sample.to_be_bytes())
}

/// `balance hash <expression>` on an address: its bytes in network order.
pub fn expression_address(sample: IpAddr, hash_type: &HashType) -> u32 {
    match sample {
        IpAddr::V4(address) => hash_type.digest(&address.octets()),
        IpAddr::V6(address) => hash_type.digest(&address.octets()),
    }
}
