//! Values, and values with their names (RFC 2741, section 5.4).

use crate::oid::Oid;
use crate::wire::{Malformed, Reader, Writer};

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Integer(i32),
    Octets(Vec<u8>),
    Null,
    Name(Oid),
    IpAddress([u8; 4]),
    Counter32(u32),
    Gauge32(u32),
    /// Hundredths of a second.
    TimeTicks(u32),
    Opaque(Vec<u8>),
    Counter64(u64),
    NoSuchObject,
    NoSuchInstance,
    EndOfMibView,
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Octets(text.as_bytes().to_vec())
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Integer(_) => 2,
            Self::Octets(_) => 4,
            Self::Null => 5,
            Self::Name(_) => 6,
            Self::IpAddress(_) => 64,
            Self::Counter32(_) => 65,
            Self::Gauge32(_) => 66,
            Self::TimeTicks(_) => 67,
            Self::Opaque(_) => 68,
            Self::Counter64(_) => 70,
            Self::NoSuchObject => 128,
            Self::NoSuchInstance => 129,
            Self::EndOfMibView => 130,
        }
    }
}

/// A value and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub name: Oid,
    pub value: Value,
}

impl Binding {
    pub fn new(name: Oid, value: Value) -> Self {
        Self { name, value }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.u16()?;
        let _reserved = reader.u16()?;
        let (name, _) = Oid::read(reader)?;
        let value = match kind {
            // As C has it: the sign is the highest bit.
            2 => Value::Integer(reader.u32()?.cast_signed()),
            4 => Value::Octets(reader.octets()?.to_vec()),
            5 => Value::Null,
            6 => Value::Name(Oid::read(reader)?.0),
            64 => Value::IpAddress(reader.octets()?.try_into().map_err(|_| Malformed::Value(kind))?),
            65 => Value::Counter32(reader.u32()?),
            66 => Value::Gauge32(reader.u32()?),
            67 => Value::TimeTicks(reader.u32()?),
            68 => Value::Opaque(reader.octets()?.to_vec()),
            70 => Value::Counter64(reader.u64()?),
            128 => Value::NoSuchObject,
            129 => Value::NoSuchInstance,
            130 => Value::EndOfMibView,
            _ => return Err(Malformed::Value(kind)),
        };
        Ok(Self { name, value })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u16(self.value.kind());
        writer.u16(0);
        self.name.write(writer, false);
        match &self.value {
            Value::Integer(number) => writer.u32(number.cast_unsigned()),
            Value::Octets(octets) | Value::Opaque(octets) => writer.octets(octets),
            Value::Name(name) => name.write(writer, false),
            Value::IpAddress(address) => writer.octets(address),
            Value::Counter32(number) | Value::Gauge32(number) | Value::TimeTicks(number) => {
                writer.u32(*number);
            }
            Value::Counter64(number) => writer.u64(*number),
            Value::Null | Value::NoSuchObject | Value::NoSuchInstance | Value::EndOfMibView => {}
        }
    }
}
