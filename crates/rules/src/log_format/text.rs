//! Writing numbers, addresses and texts with the flags of a log format: quotes, escapes, hexadecimal, `-` for what is
//! missing. Owns the encodings; never allocates beyond `out`.

use super::Flags;
use std::net::IpAddr;

/// Which bytes are replaced, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is, up to the first NUL.
    None,
    /// `#XX` for what is not printable ASCII, for `"` and `#`: request lines.
    Uri,
    /// As `Uri`, and `{ | }` too: captured headers.
    Header,
}

const URI: u8 = 1;
const HEADER: u8 = 2;
const ESCAPED: u8 = 4;

/// Which encodings replace a byte, and whether the flag E escapes it.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte < 0x20 || byte >= 0x7f || byte == b'"' as usize || byte == b'#' as usize {
            table[byte] = URI | HEADER;
        }
        byte += 1;
    }
    table[b'{' as usize] |= HEADER;
    table[b'|' as usize] |= HEADER;
    table[b'}' as usize] |= HEADER;
    table[b'"' as usize] |= ESCAPED;
    table[b'\\' as usize] |= ESCAPED;
    table[b']' as usize] |= ESCAPED;
    table
}

impl Encoding {
    fn class(self) -> u8 {
        match self {
            Encoding::None => 0,
            Encoding::Uri => URI,
            Encoding::Header => HEADER,
        }
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn put_hex_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

fn up_to_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

/// Appends bytes encoded, and with the flag E `"`, `\` and `]` behind a backslash.
pub(super) fn put_encoded(bytes: &[u8], encoding: Encoding, flags: Flags, out: &mut Vec<u8>) {
    let bytes = up_to_nul(bytes);
    let replaced = encoding.class();
    let special = replaced | if flags.has(Flags::ESCAPE) { ESCAPED } else { 0 };
    let mut rest = bytes;
    while !rest.is_empty() {
        let is_special = |&byte: &u8| CLASSES[usize::from(byte)] & special != 0;
        let plain = rest.iter().position(is_special).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        let Some(&byte) = rest.get(plain) else { break };
        if CLASSES[usize::from(byte)] & replaced != 0 {
            out.push(b'#');
            put_hex_byte(byte, out);
        } else {
            out.extend_from_slice(&[b'\\', byte]);
        }
        rest = &rest[plain + 1..];
    }
}

/// Appends a text: quoted with the flag Q, `-` when it is missing or empty where a value is mandatory.
pub(super) fn put_text(text: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    let text = text.unwrap_or(b"");
    if flags.has(Flags::QUOTE) {
        out.push(b'"');
        put_encoded(text, Encoding::None, flags, out);
        out.push(b'"');
    } else if !up_to_nul(text).is_empty() {
        put_encoded(text, Encoding::None, flags, out);
    } else if flags.has(Flags::MANDATORY) {
        out.push(b'-');
    }
}

/// Appends what an expression gave where it becomes part of a message: control characters but tab as `%XX`.
pub(super) fn put_message_text(text: &[u8], flags: Flags, out: &mut Vec<u8>) {
    let escape = flags.has(Flags::ESCAPE);
    for &byte in text {
        match byte {
            0..=8 | 0x0a..=0x1f | 0x7f => {
                out.push(b'%');
                put_hex_byte(byte, out);
            }
            b'"' | b'\\' | b']' if escape => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
}

/// Appends an unsigned number in decimal.
pub(super) fn put_uint(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a signed number in decimal.
pub(super) fn put_int(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    put_uint(number.unsigned_abs(), out);
}

/// Appends a number in upper-case hexadecimal, padded with zeros to `width` digits.
pub(super) fn put_hex(number: u64, width: u32, out: &mut Vec<u8>) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(width).max(1);
    for place in (0..digits).rev() {
        out.push(HEX[(number >> (4 * place)) as usize & 15]);
    }
}

/// Appends an address.
pub(super) fn put_ip(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            for (index, octet) in [a, b, c, d].into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                put_uint(u64::from(octet), out);
            }
        }
        IpAddr::V6(address) => {
            use std::io::Write;
            // Writing to a `Vec` cannot fail.
            let _ = write!(out, "{address}");
        }
    }
}

/// Appends an address in hexadecimal, all bytes in network order.
pub(super) fn put_ip_hex(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => address.octets().into_iter().for_each(|byte| put_hex_byte(byte, out)),
        IpAddr::V6(address) => address.octets().into_iter().for_each(|byte| put_hex_byte(byte, out)),
    }
}
