//! MQTT: whether bytes are a packet, and the fields of CONNECT and CONNACK (versions 3.1, 3.1.1 and 5.0). Numbers come out
//! as decimal text; what a packet of version 5.0 does not say is 0 or empty.

use super::Converter;
use crate::args::{Arg, ArgList, Arguments, Param, parse_int};
use crate::cast;
use crate::context::ParseContext;
use crate::scope::Scope;
use crate::value::{Value, ValueType};

pub(super) const ROWS: &[Converter] = &[
    Converter::new(
        "mqtt_is_valid",
        ValueType::Bin,
        ValueType::Bool,
        is_valid,
        "Whether this is an MQTT packet.",
    ),
    Converter::new(
        "mqtt_field_value",
        ValueType::Bin,
        ValueType::Str,
        field_value,
        "A field or property of an MQTT CONNECT or CONNACK packet.",
    )
    .takes(&[Param::Str, Param::Str], 2)
    .check(check_field),
];

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
/// Packet types that need flags of their own: publish any, three of them 2, the rest 0.
const PUBLISH: u8 = 3;
const FLAGS_TWO: [u8; 3] = [6, 8, 10];
/// The highest type; 15 came with version 5.0.
const TYPE_MAX: u8 = 15;

/// Numbers of named fields: beyond those of properties.
const FLAGS: i64 = 0x100;
const PROTOCOL_NAME: i64 = 0x101;
const PROTOCOL_VERSION: i64 = 0x102;
const CLIENT_IDENTIFIER: i64 = 0x103;
const WILL_TOPIC: i64 = 0x104;
const WILL_PAYLOAD: i64 = 0x105;
const USERNAME: i64 = 0x106;
const PASSWORD: i64 = 0x107;
const KEEPALIVE: i64 = 0x108;
const REASON_CODE: i64 = 0x109;

const CONNECT_FIELDS: &[(&str, i64)] = &[
    ("flags", FLAGS),
    ("protocol_name", PROTOCOL_NAME),
    ("protocol_version", PROTOCOL_VERSION),
    ("client_identifier", CLIENT_IDENTIFIER),
    ("will_topic", WILL_TOPIC),
    ("will_payload", WILL_PAYLOAD),
    ("username", USERNAME),
    ("password", PASSWORD),
    ("keepalive", KEEPALIVE),
];
const CONNACK_FIELDS: &[(&str, i64)] =
    &[("flags", FLAGS), ("protocol_version", PROTOCOL_VERSION), ("reason_code", REASON_CODE)];

/// Properties of the packets: those of CONNECT itself, of its will, of CONNACK (MQTT 5.0 §2.2.2.2).
const CONNECT_PROPERTIES: &[u8] = &[17, 33, 39, 34, 25, 23, 38, 21, 22];
const WILL_PROPERTIES: &[u8] = &[24, 1, 2, 3, 8, 9, 38];
const CONNACK_PROPERTIES: &[u8] = &[17, 33, 36, 37, 39, 18, 34, 31, 38, 40, 41, 42, 19, 26, 28, 21, 22];
const USER_PROPERTY: u8 = 38;
/// Properties that are 0 or 1.
const YES_OR_NO: [u8; 5] = [36, 37, 40, 41, 42];

/// Length of a CONNACK before version 5.0.
const CONNACK_LEN: usize = 2;

/// How the value of a property is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A number of so many bytes.
    Number(usize),
    /// Text or bytes with their length before.
    Counted,
    Pair,
}

fn form(property: u8) -> Form {
    match property {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Form::Number(1),
        19 | 33 | 34 => Form::Number(2),
        2 | 17 | 24 | 39 => Form::Number(4),
        USER_PROPERTY => Form::Pair,
        _ => Form::Counted,
    }
}

/// The packet type and the field become numbers.
fn check_field(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    let kind = args.text(0).unwrap_or_default();
    let (kind, fields, properties) = match (kind.to_ascii_lowercase().as_slice(), parse_int(kind)) {
        (b"connect", _) | (_, Some(1)) => (CONNECT, CONNECT_FIELDS, [CONNECT_PROPERTIES, WILL_PROPERTIES]),
        (b"connack", _) | (_, Some(2)) => (CONNACK, CONNACK_FIELDS, [CONNACK_PROPERTIES, &[]]),
        _ => {
            let kind = String::from_utf8_lossy(kind);
            return Err(format!("'{kind}' is not supported as a packet type: connect (1) or connack (2)"));
        }
    };
    let text = args.text(1).unwrap_or_default();
    let named = fields.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text)).map(|row| row.1);
    let property = |number: i64| {
        let is_known =
            |number: &u8| *number != USER_PROPERTY && properties.iter().any(|list| list.contains(number));
        u8::try_from(number).ok().filter(is_known).map(i64::from)
    };
    let field = named.or_else(|| parse_int(text).and_then(property)).ok_or_else(|| {
        let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let text = String::from_utf8_lossy(text);
        format!("'{text}' is no field of this packet: {} or the number of a property", known.join(", "))
    })?;
    args[0] = Arg::Int(i64::from(kind));
    args[1] = Arg::Int(field);
    Ok(())
}

/// Why bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// They end too early.
    Short,
    Invalid,
}

/// Reads from the front of bytes. Behind the fixed header nothing may be missing.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], Trouble> {
        let (front, rest) = self.0.split_at_checked(len).ok_or(Trouble::Invalid)?;
        self.0 = rest;
        Ok(front)
    }

    fn byte(&mut self) -> Result<u8, Trouble> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self, len: usize) -> Result<u32, Trouble> {
        Ok(self.take(len)?.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    fn counted(&mut self) -> Result<&'b [u8], Trouble> {
        let len = self.number(2)?;
        self.take(len as usize)
    }

    /// A number of at most four bytes of seven bits, lowest first.
    fn varint(&mut self, when_short: Trouble) -> Result<u32, Trouble> {
        let mut value = 0;
        for place in 0..4 {
            let byte = self.byte().map_err(|_| when_short)?;
            value |= u32::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Trouble::Invalid)
    }
}

/// A field that is looked for while a packet is read.
struct Wanted {
    field: i64,
    found: Option<Vec<u8>>,
}

impl Wanted {
    fn number(&mut self, field: i64, value: u32) {
        if self.field == field {
            self.found = Some(value.to_string().into_bytes());
        }
    }

    fn bytes(&mut self, field: i64, value: &[u8]) {
        if self.field == field {
            self.found = Some(value.to_vec());
        }
    }
}

/// `trouble`: what a property that makes no sense means.
fn properties(
    reader: &mut Reader<'_>,
    known: &[u8],
    trouble: Trouble,
    wanted: &mut Wanted,
) -> Result<(), Trouble> {
    // What is not there is 0 or empty.
    for &property in known {
        match form(property) {
            Form::Number(_) => wanted.number(i64::from(property), 0),
            Form::Counted => wanted.bytes(i64::from(property), b""),
            Form::Pair => {}
        }
    }
    let len = reader.varint(Trouble::Invalid)?;
    let inside = Reader(reader.take(len as usize)?);
    each_property(inside, known, trouble, wanted)
}

fn each_property(
    mut inside: Reader<'_>,
    known: &[u8],
    trouble: Trouble,
    wanted: &mut Wanted,
) -> Result<(), Trouble> {
    let mut seen = 0u64;
    while !inside.0.is_empty() {
        let property = inside.byte()?;
        if !known.contains(&property) {
            return Err(trouble);
        }
        let bit = 1u64 << property;
        if property != USER_PROPERTY && seen & bit != 0 {
            return Err(Trouble::Invalid);
        }
        seen |= bit;
        match form(property) {
            Form::Number(len) => {
                let value = inside.number(len)?;
                if YES_OR_NO.contains(&property) && value > 1 {
                    return Err(Trouble::Invalid);
                }
                wanted.number(i64::from(property), value);
            }
            Form::Counted => wanted.bytes(i64::from(property), inside.counted()?),
            Form::Pair => {
                inside.counted()?;
                inside.counted()?;
            }
        }
    }
    Ok(())
}

/// Reads a whole packet; gives its type.
fn packet(bytes: &[u8], wanted: &mut Wanted) -> Result<u8, Trouble> {
    let mut reader = Reader(bytes);
    if bytes.len() < 2 {
        return Err(Trouble::Short);
    }
    let first = reader.byte()?;
    let (kind, flags) = (first >> 4, first & 15);
    let flags_fit = match kind {
        0 => false,
        PUBLISH => true,
        _ if FLAGS_TWO.contains(&kind) => flags == 2,
        1..=TYPE_MAX => flags == 0,
        _ => false,
    };
    if !flags_fit {
        return Err(Trouble::Invalid);
    }
    let len = reader.varint(Trouble::Short)? as usize;
    if reader.0.len() < len {
        return Err(Trouble::Short);
    }
    match kind {
        CONNECT => connect(&mut Reader(reader.take(len)?), wanted)?,
        // As HAProxy: what stands behind a short packet refutes it.
        CONNACK if len == CONNACK_LEN && reader.0.len() > len => return Err(Trouble::Invalid),
        CONNACK => connack(&mut Reader(reader.take(len)?), wanted)?,
        // Only the first packet of each side is ever looked at, and that is one of these.
        _ => return Err(Trouble::Invalid),
    }
    Ok(kind)
}

fn connect(reader: &mut Reader<'_>, wanted: &mut Wanted) -> Result<(), Trouble> {
    let name = reader.counted()?;
    let version = reader.byte()?;
    match (name, version) {
        (b"MQIsdp", 3) | (b"MQTT", 4 | 5) => {}
        _ => return Err(Trouble::Invalid),
    }
    let flags = reader.byte()?;
    let has = |bit: u8| flags & bit != 0;
    let (user, password, will) = (has(0x80), has(0x40), has(0x04));
    // As HAProxy, which looks at the quality only where there is no will.
    let quality = flags >> 3 & 3;
    if has(0x01) || (!will && quality == 3) {
        return Err(Trouble::Invalid);
    }
    wanted.bytes(PROTOCOL_NAME, name);
    wanted.number(PROTOCOL_VERSION, version.into());
    wanted.number(FLAGS, flags.into());
    wanted.number(KEEPALIVE, reader.number(2)?);
    if version == 5 {
        properties(reader, CONNECT_PROPERTIES, Trouble::Invalid, wanted)?;
    }
    wanted.bytes(CLIENT_IDENTIFIER, reader.counted()?);
    if will {
        if version == 5 {
            properties(reader, WILL_PROPERTIES, Trouble::Invalid, wanted)?;
        }
        wanted.bytes(WILL_TOPIC, reader.counted()?);
        wanted.bytes(WILL_PAYLOAD, reader.counted()?);
    }
    if user {
        wanted.bytes(USERNAME, reader.counted()?);
    }
    if password {
        wanted.bytes(PASSWORD, reader.counted()?);
    }
    if reader.0.is_empty() { Ok(()) } else { Err(Trouble::Invalid) }
}

fn connack(reader: &mut Reader<'_>, wanted: &mut Wanted) -> Result<(), Trouble> {
    let (flags, reason) = (reader.byte()?, reader.byte()?);
    if flags & 0xfe != 0 {
        return Err(Trouble::Invalid);
    }
    wanted.number(FLAGS, flags.into());
    wanted.number(REASON_CODE, reason.into());
    // Before 5.0 nothing follows.
    wanted.number(PROTOCOL_VERSION, if reader.0.is_empty() { 4 } else { 5 });
    if !reader.0.is_empty() {
        // As HAProxy, which waits for better ones.
        properties(reader, CONNACK_PROPERTIES, Trouble::Short, wanted)?;
    }
    if reader.0.is_empty() { Ok(()) } else { Err(Trouble::Invalid) }
}

/// Missing as long as the packet is not whole.
fn is_valid<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    match packet(&bytes, &mut Wanted { field: -1, found: None }) {
        Ok(_) => Some(Value::Bool(true)),
        Err(Trouble::Invalid) => Some(Value::Bool(false)),
        Err(Trouble::Short) => None,
    }
}

fn field_value<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let (kind, field) = (args.int(0)?, args.int(1)?);
    let bytes = cast::to_bytes(value)?;
    let mut wanted = Wanted { field, found: None };
    match packet(&bytes, &mut wanted) {
        Ok(found) if i64::from(found) == kind => wanted.found.map(|bytes| Value::Str(bytes.into())),
        Ok(_) | Err(_) => None,
    }
}
