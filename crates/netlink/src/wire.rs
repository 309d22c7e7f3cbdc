//! The envelope: `nlmsghdr`, attributes, nesting, padding. Knows no message kind beyond the control ones.
//!
//! ```text
//! | length u32 | kind u16 | flags u16 | sequence u32 | port u32 | fixed header of the kind | attributes … |
//! attribute: | length u16 | kind u16 | value | 0–3 bytes of padding |
//! ```

use std::fmt;

pub const HEADER_LENGTH: usize = 16;

/// Message flags, `NLM_F_*`.
pub const REQUEST: u16 = 0x1;
pub const ACKNOWLEDGE: u16 = 0x4;
pub const DUMP: u16 = 0x300;
pub const REPLACE: u16 = 0x100;
pub const EXCLUSIVE: u16 = 0x200;
pub const CREATE: u16 = 0x400;
pub const APPEND: u16 = 0x800;

pub(crate) const KIND_ERROR: u16 = 2;
pub(crate) const KIND_DONE: u16 = 3;
const KIND_OVERRUN: u16 = 4;
/// The lowest kind that is not one of netlink's own.
pub const KIND_MIN: u16 = 0x10;

/// Set in an attribute's kind when it holds attributes.
pub const NESTED: u16 = 0x8000;
const KIND_MASK: u16 = 0x3fff;

/// Bytes that are no netlink message, or one cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("malformed netlink message")
    }
}

impl std::error::Error for Malformed {}

/// A request being written.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    start: usize,
}

impl Message {
    /// Begins a message with the fixed header of its kind.
    pub fn new(kind: u16, flags: u16, sequence: u32, fixed: &[u8]) -> Self {
        Self::append(Vec::with_capacity(256), kind, flags, sequence, fixed)
    }

    /// Begins a message behind those already in `bytes` (nftables batches).
    pub fn append(mut bytes: Vec<u8>, kind: u16, flags: u16, sequence: u32, fixed: &[u8]) -> Self {
        let start = bytes.len();
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut message = Self { bytes, start };
        message.pad();
        message
    }

    fn pad(&mut self) {
        while !(self.bytes.len() - self.start).is_multiple_of(4) {
            self.bytes.push(0);
        }
    }

    /// Adds an attribute. Values beyond 64 KiB do not exist in the messages written here.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).expect("attributes are short");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    pub fn attribute_u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.attribute(kind, &[value])
    }

    pub fn attribute_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// nftables counts in network order.
    pub fn attribute_be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// A string with its closing zero byte.
    pub fn attribute_text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = [0_u8; TEXT_MAX];
        let length = value.len().min(TEXT_MAX - 1);
        bytes[..length].copy_from_slice(&value.as_bytes()[..length]);
        self.attribute(kind, &bytes[..=length])
    }

    pub fn attribute_address(&mut self, kind: u16, address: std::net::IpAddr) -> &mut Self {
        let mut buffer = [0; 16];
        let length = crate::octets(address, &mut buffer).len();
        self.attribute(kind, &buffer[..length])
    }

    /// Writes attributes inside of an attribute.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        inside(self);
        let length = u16::try_from(self.bytes.len() - at).expect("attributes are short");
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// The bytes to send, the lengths filled in.
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len() - self.start).expect("messages are short");
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
        self.bytes
    }
}

/// Names of interfaces, tables, sets: the kernel's longest is 256.
const TEXT_MAX: usize = 256;

/// One message that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// What a message is, before its kind is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control<'a> {
    /// The answer to a request: 0, or an `errno`.
    Answer {
        sequence: u32,
        errno: i32,
    },
    /// The end of a dump.
    Done {
        sequence: u32,
    },
    /// Messages were lost: everything must be asked for again.
    Overrun,
    Data(Received<'a>),
}

/// The messages of one datagram.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Control<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = split_message(&mut self.rest);
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

fn split_message<'a>(rest: &mut &'a [u8]) -> Result<Control<'a>, Malformed> {
    let length = usize::try_from(u32_at(rest, 0)?).map_err(|_| Malformed)?;
    if length < HEADER_LENGTH || length > rest.len() {
        return Err(Malformed);
    }
    let (kind, flags, sequence) = (u16_at(rest, 4)?, u16_at(rest, 6)?, u32_at(rest, 8)?);
    let payload = &rest[HEADER_LENGTH..length];
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Ok(match kind {
        KIND_ERROR => Control::Answer { sequence, errno: u32_at(payload, 0)?.cast_signed().wrapping_neg() },
        KIND_DONE => Control::Done { sequence },
        KIND_OVERRUN => Control::Overrun,
        _ => Control::Data(Received { kind, flags, sequence, payload }),
    })
}

/// The attributes in `bytes`: kind (without its flag bits) and value.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let attribute = split_attribute(&mut self.rest);
        if attribute.is_err() {
            self.rest = &[];
        }
        Some(attribute)
    }
}

fn split_attribute<'a>(rest: &mut &'a [u8]) -> Result<(u16, &'a [u8]), Malformed> {
    let length = usize::from(u16_at(rest, 0)?);
    let kind = u16_at(rest, 2)? & KIND_MASK;
    let value = rest.get(4..length).ok_or(Malformed)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Ok((kind, value))
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    let two = bytes.get(at..at + 2).and_then(|two| <[u8; 2]>::try_from(two).ok());
    two.map(u16::from_ne_bytes).ok_or(Malformed)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    four.map(u32::from_ne_bytes).ok_or(Malformed)
}

/// Text up to its zero byte.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut message = Message::new(20, REQUEST | ACKNOWLEDGE, 7, &[1, 2, 3, 4]);
        message.attribute_text(3, "eth0").nest(NESTED | 4, |inner| {
            inner.attribute_u8(1, 9).attribute_u32(2, 0x0102_0304);
        });
        let bytes = message.finish();
        let mut messages = Messages::new(&bytes);
        let Some(Ok(Control::Data(received))) = messages.next() else { panic!("data") };
        assert_eq!((received.kind, received.flags, received.sequence), (20, 5, 7));
        let mut attributes = Attributes::new(&received.payload[4..]);
        assert_eq!(attributes.next(), Some(Ok((3, &b"eth0\0"[..]))));
        let Some(Ok((4, inner))) = attributes.next() else { panic!("nested") };
        let inner: Vec<_> = Attributes::new(inner).map(|one| one.expect("whole")).collect();
        assert_eq!(inner, [(1, &[9_u8][..]), (2, &0x0102_0304_u32.to_ne_bytes()[..])]);
        assert_eq!(messages.next(), None);
    }

    #[test]
    fn every_cut_of_a_message_is_an_error_and_none_a_panic() {
        let mut message = Message::new(20, 0, 7, &[0; 8]);
        message.attribute_text(3, "eth0");
        let bytes = message.finish();
        for cut in 1..bytes.len() {
            assert_eq!(Messages::new(&bytes[..cut]).next(), Some(Err(Malformed)), "{cut}");
        }
        assert_eq!(Attributes::new(&[3, 0, 1, 0]).next(), Some(Err(Malformed)));
    }

    #[test]
    fn an_answer_carries_the_error_number() {
        let mut fixed = (-17_i32).to_ne_bytes().to_vec();
        fixed.extend_from_slice(&[0; 16]);
        let bytes = Message::new(KIND_ERROR, 0, 9, &fixed).finish();
        assert_eq!(Messages::new(&bytes).next(), Some(Ok(Control::Answer { sequence: 9, errno: 17 })));
    }
}
