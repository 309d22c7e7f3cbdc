//! Encodings: hexadecimal, base64, URL, JSON, big-endian numbers.

use super::Converter;
use super::text::text_of;
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast;
use crate::context::ParseContext;
use crate::regex::hex_digit;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use std::borrow::Cow;
use std::fmt::Write as _;

const CHUNKS: &[Param] = &[Param::Str, Param::Int, Param::Int];

/// Largest number that `be2dec` reads, in bytes.
const CHUNK_MAX: i64 = 8;

pub(super) const ROWS: &[Converter] = &[
    Converter::new("hex", ValueType::Bin, ValueType::Str, hex, "Upper-case hexadecimal."),
    Converter::new(
        "hex2i",
        ValueType::Str,
        ValueType::Int,
        hex2i,
        "The number that hexadecimal digits spell.",
    ),
    Converter::new("base64", ValueType::Bin, ValueType::Str, base64, "Base64, padded."),
    Converter::new("b64dec", ValueType::Str, ValueType::Bin, b64dec, "Decodes padded base64."),
    Converter::new("ub64enc", ValueType::Bin, ValueType::Str, ub64enc, "Base64 for URLs, not padded."),
    Converter::new("ub64dec", ValueType::Str, ValueType::Bin, ub64dec, "Decodes base64 for URLs."),
    Converter::new(
        "url_dec",
        ValueType::Str,
        ValueType::Str,
        url_dec,
        "Decodes %XX, and + in query strings.",
    )
    .takes(&[Param::Int], 0),
    Converter::new(
        "url_enc",
        ValueType::Str,
        ValueType::Str,
        url_enc,
        "Encodes as %XX what a query must not have.",
    )
    .takes(&[Param::Str], 1)
    .check(check_url_enc),
    Converter::new("json", ValueType::Str, ValueType::Str, json, "Escapes for a JSON string.")
        .takes(&[Param::Str], 1)
        .check(check_json),
    Converter::new("be2dec", ValueType::Bin, ValueType::Str, be2dec, "Decimal numbers of big-endian chunks.")
        .takes(CHUNKS, 2)
        .check(check_be2dec),
    Converter::new("be2hex", ValueType::Bin, ValueType::Str, be2hex, "Hexadecimal, in chunks.")
        .takes(CHUNKS, 1)
        .check(check_be2hex),
    Converter::new("htonl", ValueType::Int, ValueType::Bin, htonl, "The low 32 bits, in network order."),
];

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn hex<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    let mut out = Vec::with_capacity(bytes.len() * 2);
    push_hex(&bytes, &mut out);
    Some(Value::string(out))
}

/// Keeps the low 64 bits; a byte that is no digit makes the sample missing.
fn hex2i<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let mut number: i64 = 0;
    for &byte in text.iter() {
        number = number << 4 | i64::from(hex_digit(byte)?);
    }
    Some(Value::Int(number))
}

/// The 64 digits of base64 (RFC 4648 §4); those for URLs (§5) differ in the last two.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode64(bytes: &[u8], digits: &[u8; 64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let group = (0..4).map(|digit| digits[(bits >> (18 - 6 * digit) & 63) as usize]);
        out.extend(group.take(chunk.len() + 1));
    }
    out
}

/// Decodes what has no padding. `None`: another byte, or a length that cannot be.
pub(crate) fn decode64(text: &[u8], digits: &[u8; 64]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut bits = 0_u32;
        for byte in chunk {
            let digit = digits.iter().position(|known| known == byte)?;
            bits = bits << 6 | digit as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend(bits.to_be_bytes()[1..chunk.len()].iter());
    }
    Some(out)
}

/// Decodes padded base64: a multiple of four digits, the last one or two of which may be `=`.
pub(crate) fn decode_padded(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    decode64(&text[..text.len() - padding], DIGITS)
}

/// Decodes base64 for URLs, which has no padding.
pub(crate) fn decode_url(text: &[u8]) -> Option<Vec<u8>> {
    decode64(text, URL_DIGITS)
}

fn base64<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let mut out = encode64(&cast::to_bytes(value)?, DIGITS);
    out.resize(out.len().next_multiple_of(4), b'=');
    Some(Value::string(out))
}

fn ub64enc<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::string(encode64(&cast::to_bytes(value)?, URL_DIGITS)))
}

fn b64dec<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    decode_padded(&text_of(value)).map(|bytes| Value::Bin(bytes.into()))
}

fn ub64dec<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    decode_url(&text_of(value)).map(|bytes| Value::Bin(bytes.into()))
}

/// `+` is a blank behind the question mark, or everywhere in forms. A `%` without two digits makes the sample missing.
fn url_dec<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let mut in_query = args.int(0).unwrap_or(0) != 0;
    if memchr::memchr2(b'%', b'+', &text).is_none() {
        return Some(Value::Str(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'+' if in_query => out.push(b' '),
            b'%' => {
                let (high, low) = (hex_digit(*rest.next()?)?, hex_digit(*rest.next()?)?);
                out.push(high << 4 | low);
            }
            _other => {
                in_query |= byte == b'?';
                out.push(byte);
            }
        }
    }
    Some(Value::string(out))
}

fn check_url_enc(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    match args.text(0) {
        None | Some(b"" | b"query") => Ok(()),
        Some(other) => {
            Err(format!("unknown encoding '{}': only query is known", String::from_utf8_lossy(other)))
        }
    }
}

fn url_enc<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let mut out = Vec::with_capacity(text.len());
    for byte in text.iter() {
        match is_plain(byte) {
            true => out.push(*byte),
            false => {
                out.push(b'%');
                push_hex(&[*byte], &mut out);
            }
        }
    }
    Some(Value::string(out))
}

/// How `json` reads its input.
#[derive(Clone, Copy, PartialEq, Eq)]
struct JsonInput {
    is_utf8: bool,
    /// Takes overlong sequences.
    is_permissive: bool,
    /// Leaves out what is wrong instead of failing.
    is_silent: bool,
}

fn json_input(word: &[u8]) -> Option<JsonInput> {
    let utf8 = |is_permissive, is_silent| JsonInput { is_utf8: true, is_permissive, is_silent };
    Some(match word {
        b"" | b"ascii" => JsonInput { is_utf8: false, is_permissive: false, is_silent: false },
        b"utf8" => utf8(false, false),
        b"utf8s" => utf8(false, true),
        b"utf8p" => utf8(true, false),
        b"utf8ps" => utf8(true, true),
        _other => return None,
    })
}

fn check_json(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    match json_input(args.text(0).unwrap_or_default()) {
        Some(_) => Ok(()),
        None => Err("the input code must be ascii, utf8, utf8s, utf8p or utf8ps".into()),
    }
}

/// The first code point of `text` and its length; `Err` with the length to skip when it is wrong.
fn next_code_point(text: &[u8], input: JsonInput) -> Result<(u32, usize), usize> {
    let first = text[0];
    if !input.is_utf8 || first < 0x80 {
        return Ok((u32::from(first), 1));
    }
    let (length, bits) = match first {
        0xc0..=0xdf => (2, first & 0x1f),
        0xe0..=0xef => (3, first & 0x0f),
        0xf0..=0xf7 => (4, first & 0x07),
        0xf8..=0xfb => (5, first & 0x03),
        0xfc..=0xfd => (6, first & 0x01),
        _lone => return Err(1),
    };
    let mut code = u32::from(bits);
    for at in 1..length {
        match text.get(at) {
            Some(byte) if byte & 0xc0 == 0x80 => code = code << 6 | u32::from(byte & 0x3f),
            Some(_) | None => return Err(at),
        }
    }
    let smallest = [0, 0, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000][length];
    let is_overlong = code < smallest;
    let is_forbidden = (0xd800..=0xdfff).contains(&code) || code == 0xfffe || code == 0xffff;
    match (is_overlong && !input.is_permissive) || is_forbidden {
        true => Err(length),
        false => Ok((code, length)),
    }
}

fn json<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let input = json_input(args.text(0).unwrap_or_default())?;
    let text = text_of(value);
    let mut out = String::with_capacity(text.len());
    let mut rest = &text[..];
    while !rest.is_empty() {
        let (code, length) = match next_code_point(rest, input) {
            Ok((code, length)) if code <= 0xffff => (code, length),
            Ok((_, length)) | Err(length) if input.is_silent => {
                rest = &rest[length..];
                continue;
            }
            Ok(_) | Err(_) => return None,
        };
        rest = &rest[length..];
        match code {
            0x22 => out.push_str("\\\""),
            0x5c => out.push_str("\\\\"),
            0x2f => out.push_str("\\/"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            0x0a => out.push_str("\\n"),
            0x0d => out.push_str("\\r"),
            0x09 => out.push_str("\\t"),
            0x20..=0x7e => out.push(char::from(code as u8)),
            other => write!(out, "\\u{other:04x}").ok()?,
        }
    }
    Some(Value::string(out.into_bytes()))
}

fn check_be2dec(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    match args.int(1) {
        Some(1..=CHUNK_MAX) => check_truncate(args),
        Some(_) | None => Err(format!("the chunk size must be 1..={CHUNK_MAX}")),
    }
}

fn check_be2hex(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    match args.int(1) {
        None if args.text(0).unwrap_or_default().is_empty() => Ok(()),
        Some(1..) => check_truncate(args),
        Some(_) | None => Err("the chunk size must be 1 or more".into()),
    }
}

fn check_truncate(args: &ArgList) -> Result<(), String> {
    match args.int(2) {
        None | Some(0 | 1) => Ok(()),
        Some(_) => Err("the third argument must be 0 or 1".into()),
    }
}

/// The chunks of `bytes` with separators between them; an incomplete last one is left out when asked.
fn in_chunks(bytes: &[u8], args: &[Arg], mut put: impl FnMut(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let size = args.int(1).and_then(|size| usize::try_from(size).ok()).unwrap_or(1).max(1);
    let (separator, truncate) = (args.text(0).unwrap_or_default(), args.int(2) == Some(1));
    let mut out = Vec::new();
    for (index, chunk) in bytes.chunks(size).enumerate() {
        if truncate && chunk.len() < size {
            break;
        }
        if index > 0 {
            out.extend_from_slice(separator);
        }
        put(chunk, &mut out);
    }
    out
}

fn be2dec<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    Some(Value::string(in_chunks(&bytes, args, |chunk, out| {
        let number = chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        out.extend_from_slice(number.to_string().as_bytes());
    })))
}

fn be2hex<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    Some(Value::string(in_chunks(&bytes, args, push_hex)))
}

fn htonl<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let number = cast::to_int(&value)? as u32;
    Some(Value::Bin(Cow::Owned(number.to_be_bytes().to_vec())))
}
