//! Encodings: hexadecimal, base64, URL.

use super::Converter;
use crate::args::Arg;
use crate::cast;
use crate::scope::Scope;
use crate::value::{Value, ValueType};

pub(super) const ROWS: &[Converter] = &[
    Converter::new("hex", ValueType::Bin, ValueType::Str, hex, "Upper-case hexadecimal."),
    Converter::new(
        "hex2i",
        ValueType::Str,
        ValueType::Int,
        hex2i,
        "The number that hexadecimal digits spell.",
    ),
];

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn hex<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    let mut out = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes.iter() {
        out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    Some(Value::string(out))
}

/// Keeps the low 64 bits; a byte that is no digit makes the sample missing.
fn hex2i<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = super::text::text_of(value);
    let mut number: i64 = 0;
    for &byte in text.iter() {
        number = number << 4 | i64::from(crate::regex::hex_digit(byte)?);
    }
    Some(Value::Int(number))
}
