//! Fields of binary messages: protocol buffers and gRPC, FIX.

use super::Converter;
use crate::args::{Arg, ArgList, Arguments, Param, parse_int};
use crate::cast;
use crate::context::ParseContext;
use crate::scope::Scope;
use crate::value::{Value, ValueType};

/// Deepest path of field numbers.
const PATH_MAX: usize = 32;
/// Bytes before the message in a gRPC frame: a flag and the length.
const GRPC_HEADER: usize = 5;
/// Ends a field of a FIX message.
const FIX_END: u8 = 1;

const FIELD: &[Param] = &[Param::Str, Param::Str];

pub(super) const ROWS: &[Converter] = &[
    Converter::new("protobuf", ValueType::Bin, ValueType::Bin, protobuf, "A field of a protocol buffer.")
        .takes(FIELD, 1)
        .check(check_field),
    Converter::new("ungrpc", ValueType::Bin, ValueType::Bin, ungrpc, "A field of a gRPC message.")
        .takes(FIELD, 1)
        .check(check_field),
    Converter::new(
        "fix_is_valid",
        ValueType::Bin,
        ValueType::Bool,
        fix_is_valid,
        "Whether this is a FIX message.",
    ),
    Converter::new(
        "fix_tag_value",
        ValueType::Bin,
        ValueType::Bin,
        fix_tag_value,
        "A field of a FIX message.",
    )
    .takes(&[Param::Str], 1)
    .check(check_tag),
];

/// How the bytes of a field are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint,
    Fixed64,
    Counted,
    Fixed32,
}

/// Types by name, with their wire form and what makes a number of it.
type FieldType = (&'static str, Wire, fn(u64) -> i64);

const TYPES: &[FieldType] = &[
    ("int32", Wire::Varint, |bits| bits as i64),
    ("int64", Wire::Varint, |bits| bits as i64),
    ("uint32", Wire::Varint, |bits| bits as i64),
    ("uint64", Wire::Varint, |bits| bits as i64),
    ("sint32", Wire::Varint, zigzag),
    ("sint64", Wire::Varint, zigzag),
    ("bool", Wire::Varint, |bits| bits as i64),
    ("enum", Wire::Varint, |bits| bits as i64),
    ("fixed32", Wire::Fixed32, |bits| bits as i64),
    ("sfixed32", Wire::Fixed32, |bits| i64::from(bits as u32 as i32)),
    ("float", Wire::Fixed32, |bits| f32::from_bits(bits as u32) as i64),
    ("fixed64", Wire::Fixed64, |bits| bits as i64),
    ("sfixed64", Wire::Fixed64, |bits| bits as i64),
    ("double", Wire::Fixed64, |bits| f64::from_bits(bits) as i64),
];

fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

/// The arguments become: a type (or -1), then the numbers of the path.
fn check_field(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    let path = args.text(0).unwrap_or_default();
    let numbers: Option<Vec<i64>> =
        path.split(|byte| *byte == b'.').map(|part| parse_int(part).filter(|number| *number >= 0)).collect();
    let numbers = numbers.filter(|numbers| numbers.len() <= PATH_MAX).ok_or_else(|| {
        format!("'{}' is not a path of field numbers like 48.59.1", String::from_utf8_lossy(path))
    })?;
    let kind = match args.text(1) {
        None => -1,
        Some(name) => match TYPES.iter().position(|(known, _, _)| known.as_bytes() == name) {
            Some(index) => index as i64,
            None => {
                let known: Vec<&str> = TYPES.iter().map(|(name, _, _)| *name).collect();
                let name = String::from_utf8_lossy(name);
                return Err(format!("unknown type '{name}': one of {}", known.join(", ")));
            }
        },
    };
    *args = std::iter::once(kind).chain(numbers).map(Arg::Int).collect();
    Ok(())
}

/// A number in groups of seven bits, lowest first; one that breaks off is what came of it.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * index as u32).min(63);
        if byte & 0x80 == 0 {
            return (number, &bytes[index + 1..]);
        }
    }
    (number, &[])
}

/// The field's number, its wire form, its bytes, and the rest.
fn next_field(bytes: &[u8]) -> Option<(u64, Wire, &[u8], &[u8])> {
    let (key, rest) = varint(bytes);
    let (wire, length, rest) = match key & 7 {
        0 => {
            let (_, after) = varint(rest);
            (Wire::Varint, rest.len() - after.len(), rest)
        }
        1 => (Wire::Fixed64, 8, rest),
        2 => {
            let (length, rest) = varint(rest);
            (Wire::Counted, usize::try_from(length).ok()?, rest)
        }
        5 => (Wire::Fixed32, 4, rest),
        _unknown => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((key >> 3, wire, content, rest))
}

/// Finds a field by its path. The last number is the field, those before it are messages around it.
fn find<'b>(bytes: &'b [u8], path: &[Arg]) -> Option<(Wire, &'b [u8])> {
    let (first, deeper) = path.split_first()?;
    let Arg::Int(wanted) = first else { return None };
    let mut rest = bytes;
    while !rest.is_empty() {
        let (number, wire, content, after) = next_field(rest)?;
        if number == *wanted as u64 {
            match (deeper, wire) {
                ([], _) => return Some((wire, content)),
                (_, Wire::Counted) => return find(content, deeper),
                (_, Wire::Varint | Wire::Fixed32 | Wire::Fixed64) => return None,
            }
        }
        rest = after;
    }
    None
}

fn field<'a>(bytes: &[u8], args: &[Arg]) -> Option<Value<'a>> {
    let (wire, content) = find(bytes, args.get(1..)?)?;
    let index = args.int(0)?;
    let Some((_, expected, number)) = usize::try_from(index).ok().and_then(|index| TYPES.get(index)) else {
        return Some(Value::Bin(content.to_vec().into()));
    };
    if wire != *expected {
        return None;
    }
    let bits = match wire {
        Wire::Varint => varint(content).0,
        Wire::Fixed32 | Wire::Fixed64 => {
            content.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
        }
        Wire::Counted => return None,
    };
    Some(Value::Int(number(bits)))
}

fn protobuf<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    field(&cast::to_bytes(value)?, args)
}

fn ungrpc<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    let (header, rest) = bytes.split_at_checked(GRPC_HEADER)?;
    let length = u32::from_be_bytes(header[1..].try_into().ok()?) as usize;
    field(rest.get(..length)?, args)
}

/// Tags that may be named.
const TAGS: [(&str, i64); 6] = [
    ("BeginString", 8),
    ("BodyLength", 9),
    ("MsgType", 35),
    ("SenderCompID", 49),
    ("TargetCompID", 56),
    ("CheckSum", 10),
];

fn check_tag(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    let text = args.text(0).unwrap_or_default();
    let named = TAGS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text)).map(|(_, tag)| *tag);
    let tag = named.or_else(|| parse_int(text).filter(|tag| *tag > 0)).ok_or_else(|| {
        let known: Vec<&str> = TAGS.iter().map(|(name, _)| *name).collect();
        format!("'{}' is not a tag: a number or one of {}", String::from_utf8_lossy(text), known.join(", "))
    })?;
    args[0] = Arg::Int(tag);
    Ok(())
}

/// The fields `tag=value` that are whole, with where each starts.
fn fix_fields(bytes: &[u8]) -> impl Iterator<Item = (usize, Option<i64>, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = start + memchr::memchr(FIX_END, &bytes[start..])?;
        let (at, text) = (start, &bytes[start..end]);
        start = end + 1;
        let equals = memchr::memchr(b'=', text).unwrap_or(text.len());
        let value = text.get(equals + 1..).unwrap_or_default();
        Some((at, parse_int(&text[..equals]), value))
    })
}

fn fix_tag_value<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let wanted = args.int(0)?;
    let bytes = cast::to_bytes(value)?;
    let found = fix_fields(&bytes).find(|(_, tag, _)| *tag == Some(wanted));
    found.map(|(_, _, value)| Value::Bin(value.to_vec().into()))
}

/// Versions that a message may begin with.
const FIX_VERSIONS: [&[u8]; 8] =
    [b"FIX.4.0", b"FIX.4.1", b"FIX.4.2", b"FIX.4.3", b"FIX.4.4", b"FIXT.1.1", b"FIX.5.0", b"FIX.2.7"];

/// Shortest message that has all it must have, in bytes.
const FIX_LENGTH_MIN: usize = 26;

/// Missing as long as the message is not whole.
fn fix_is_valid<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    if bytes.len() < FIX_LENGTH_MIN {
        return None;
    }
    let fields: Vec<(usize, Option<i64>, &[u8])> = fix_fields(&bytes).collect();
    let invalid = Some(Value::Bool(false));
    if fields.iter().any(|(_, tag, value)| tag.is_none() || value.is_empty()) {
        return invalid;
    }
    match fields.first()? {
        (_, Some(8), version) if FIX_VERSIONS.contains(version) => {}
        _other => return invalid,
    }
    let length = match fields.get(1)? {
        (_, Some(9), length) => match parse_int(length).and_then(|length| usize::try_from(length).ok()) {
            Some(length) => length,
            None => return invalid,
        },
        _other => return invalid,
    };
    match fields.get(2)? {
        (_, Some(35), _) => {}
        _other => return invalid,
    }
    let body = fields[2].0;
    let (at, _, sum) = fields.iter().find(|(_, tag, _)| *tag == Some(10))?;
    let computed = bytes[..*at].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let is_right = at - body == length && sum.len() == 3 && parse_int(sum) == Some(i64::from(computed));
    Some(Value::Bool(is_right))
}
