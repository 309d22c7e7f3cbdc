//! Packets (RFC 2741, section 6).

use crate::oid::Oid;
use crate::value::Binding;
use crate::wire::{Malformed, Order, Reader, Writer};

/// Bytes of the header.
pub const HEADER_LENGTH: usize = 20;
/// Largest payload that is read: an SNMP message of 64 KiB, whose names take up to four times as much here.
pub const PAYLOAD_LENGTH_MAX: usize = 256 * 1024;

const VERSION: u8 = 1;
const FLAG_CONTEXT: u8 = 0x08;
const FLAG_BIG: u8 = 0x10;

/// `res.error` (section 6.2.16), and those of SNMP.
pub mod error {
    pub const NONE: u16 = 0;
    pub const TOO_BIG: u16 = 1;
    pub const GENERAL: u16 = 5;
    pub const COMMIT_FAILED: u16 = 14;
    pub const UNDO_FAILED: u16 = 15;
    pub const NOT_WRITABLE: u16 = 17;
    pub const NOT_OPEN: u16 = 257;
    pub const UNSUPPORTED_CONTEXT: u16 = 262;
    pub const DUPLICATE_REGISTRATION: u16 = 263;
}

/// From one name to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRange {
    pub start: Oid,
    /// The start itself counts too.
    pub include: bool,
    /// Not counted itself; empty: without an end.
    pub end: Oid,
}

/// What a packet is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pdu {
    Open { timeout: u8, id: Oid, description: Vec<u8> },
    Close { reason: u8 },
    Register { timeout: u8, priority: u8, subtree: Oid },
    Unregister { priority: u8, subtree: Oid },
    Get(Vec<SearchRange>),
    GetNext(Vec<SearchRange>),
    GetBulk { non_repeaters: u16, repetitions_max: u16, ranges: Vec<SearchRange> },
    TestSet(Vec<Binding>),
    CommitSet,
    UndoSet,
    CleanupSet,
    Notify(Vec<Binding>),
    Ping,
    AddAgentCaps { id: Oid, description: Vec<u8> },
    RemoveAgentCaps { id: Oid },
    Response { up_time: u32, error: u16, index: u16, bindings: Vec<Binding> },
}

impl Pdu {
    fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => 1,
            Self::Close { .. } => 2,
            Self::Register { .. } => 3,
            Self::Unregister { .. } => 4,
            Self::Get(_) => 5,
            Self::GetNext(_) => 6,
            Self::GetBulk { .. } => 7,
            Self::TestSet(_) => 8,
            Self::CommitSet => 9,
            Self::UndoSet => 10,
            Self::CleanupSet => 11,
            Self::Notify(_) => 12,
            Self::Ping => 13,
            Self::AddAgentCaps { .. } => 16,
            Self::RemoveAgentCaps { .. } => 17,
            Self::Response { .. } => 18,
        }
    }
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub session: u32,
    pub transaction: u32,
    pub packet: u32,
    /// Empty: the default one.
    pub context: Vec<u8>,
    pub pdu: Pdu,
}

/// Length of the payload behind a header, once the header is there.
///
/// # Errors
/// It is no header, or what follows is too long.
pub fn payload_length(header: &[u8; HEADER_LENGTH]) -> Result<usize, Malformed> {
    if header[0] != VERSION {
        return Err(Malformed::Version(header[0]));
    }
    let bytes = [header[16], header[17], header[18], header[19]];
    let length = match order(header[2]) {
        Order::Big => u32::from_be_bytes(bytes),
        Order::Little => u32::from_le_bytes(bytes),
    };
    match usize::try_from(length) {
        Ok(whole) if whole <= PAYLOAD_LENGTH_MAX && whole % 4 == 0 => Ok(whole),
        Ok(_) | Err(_) => Err(Malformed::Length(length)),
    }
}

fn order(flags: u8) -> Order {
    if flags & FLAG_BIG == 0 { Order::Little } else { Order::Big }
}

impl Message {
    /// Reads one packet: header and payload, nothing behind.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LENGTH] = bytes.first_chunk().ok_or(Malformed::Short)?;
        let length = payload_length(header)?;
        if bytes.len() - HEADER_LENGTH != length {
            return Err(if bytes.len() - HEADER_LENGTH < length {
                Malformed::Short
            } else {
                Malformed::Trailing
            });
        }
        let [_, kind, flags, _] = [header[0], header[1], header[2], header[3]];
        let mut reader = Reader::new(&bytes[4..], order(flags));
        let (session, transaction, packet) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let _length = reader.u32()?;
        let context = if flags & FLAG_CONTEXT == 0 { Vec::new() } else { reader.octets()?.to_vec() };
        let pdu = read(kind, &mut reader)?;
        if !reader.is_at_end() {
            return Err(Malformed::Trailing);
        }
        Ok(Self { session, transaction, packet, context, pdu })
    }

    /// The packet's bytes.
    pub fn encode(&self, order: Order) -> Vec<u8> {
        let mut writer = Writer::new(order);
        let big = match order {
            Order::Big => FLAG_BIG,
            Order::Little => 0,
        };
        let context = if self.context.is_empty() { 0 } else { FLAG_CONTEXT };
        writer.bytes(&[VERSION, self.pdu.kind(), big | context, 0]);
        writer.u32(self.session);
        writer.u32(self.transaction);
        writer.u32(self.packet);
        writer.u32(0);
        if !self.context.is_empty() {
            writer.octets(&self.context);
        }
        write(&self.pdu, &mut writer);
        let length = u32::try_from(writer.out.len() - HEADER_LENGTH).unwrap_or(u32::MAX);
        let length = match order {
            Order::Big => length.to_be_bytes(),
            Order::Little => length.to_le_bytes(),
        };
        writer.out[16..HEADER_LENGTH].copy_from_slice(&length);
        writer.out
    }
}

fn read(kind: u8, reader: &mut Reader<'_>) -> Result<Pdu, Malformed> {
    Ok(match kind {
        1 => {
            let [timeout, ..] = reader.array::<4>()?;
            let id = Oid::read(reader)?.0;
            Pdu::Open { timeout, id, description: reader.octets()?.to_vec() }
        }
        2 => {
            let [reason, ..] = reader.array::<4>()?;
            Pdu::Close { reason }
        }
        3 | 4 => {
            let [timeout, priority, range, _] = reader.array()?;
            let subtree = Oid::read(reader)?.0;
            if range != 0 {
                // A master never sends these; ranges of subtrees are read past.
                reader.u32()?;
            }
            if kind == 3 {
                Pdu::Register { timeout, priority, subtree }
            } else {
                Pdu::Unregister { priority, subtree }
            }
        }
        5 => Pdu::Get(ranges(reader)?),
        6 => Pdu::GetNext(ranges(reader)?),
        7 => {
            let (non_repeaters, repetitions_max) = (reader.u16()?, reader.u16()?);
            Pdu::GetBulk { non_repeaters, repetitions_max, ranges: ranges(reader)? }
        }
        8 => Pdu::TestSet(bindings(reader)?),
        9 => Pdu::CommitSet,
        10 => Pdu::UndoSet,
        11 => Pdu::CleanupSet,
        12 => Pdu::Notify(bindings(reader)?),
        13 => Pdu::Ping,
        16 => {
            let id = Oid::read(reader)?.0;
            Pdu::AddAgentCaps { id, description: reader.octets()?.to_vec() }
        }
        17 => Pdu::RemoveAgentCaps { id: Oid::read(reader)?.0 },
        18 => {
            let (up_time, error, index) = (reader.u32()?, reader.u16()?, reader.u16()?);
            Pdu::Response { up_time, error, index, bindings: bindings(reader)? }
        }
        _ => return Err(Malformed::Type(kind)),
    })
}

/// The payload bounds how many there are.
fn ranges(reader: &mut Reader<'_>) -> Result<Vec<SearchRange>, Malformed> {
    let mut ranges = Vec::new();
    while !reader.is_at_end() {
        let (start, include) = Oid::read(reader)?;
        let (end, _) = Oid::read(reader)?;
        ranges.push(SearchRange { start, include, end });
    }
    Ok(ranges)
}

fn bindings(reader: &mut Reader<'_>) -> Result<Vec<Binding>, Malformed> {
    let mut bindings = Vec::new();
    while !reader.is_at_end() {
        bindings.push(Binding::read(reader)?);
    }
    Ok(bindings)
}

fn write(pdu: &Pdu, writer: &mut Writer) {
    let put_ranges = |writer: &mut Writer, ranges: &[SearchRange]| {
        for range in ranges {
            range.start.write(writer, range.include);
            range.end.write(writer, false);
        }
    };
    match pdu {
        Pdu::Open { timeout, id, description } => {
            writer.bytes(&[*timeout, 0, 0, 0]);
            id.write(writer, false);
            writer.octets(description);
        }
        Pdu::Close { reason } => writer.bytes(&[*reason, 0, 0, 0]),
        Pdu::Register { timeout, priority, subtree } => {
            writer.bytes(&[*timeout, *priority, 0, 0]);
            subtree.write(writer, false);
        }
        Pdu::Unregister { priority, subtree } => {
            writer.bytes(&[0, *priority, 0, 0]);
            subtree.write(writer, false);
        }
        Pdu::Get(ranges) | Pdu::GetNext(ranges) => put_ranges(writer, ranges),
        Pdu::GetBulk { non_repeaters, repetitions_max, ranges } => {
            writer.u16(*non_repeaters);
            writer.u16(*repetitions_max);
            put_ranges(writer, ranges);
        }
        Pdu::TestSet(bindings) | Pdu::Notify(bindings) => {
            bindings.iter().for_each(|binding| binding.write(writer));
        }
        Pdu::CommitSet | Pdu::UndoSet | Pdu::CleanupSet | Pdu::Ping => {}
        Pdu::AddAgentCaps { id, description } => {
            id.write(writer, false);
            writer.octets(description);
        }
        Pdu::RemoveAgentCaps { id } => id.write(writer, false),
        Pdu::Response { up_time, error, index, bindings } => {
            writer.u32(*up_time);
            writer.u16(*error);
            writer.u16(*index);
            bindings.iter().for_each(|binding| binding.write(writer));
        }
    }
}
