//! The message head: start line and fields of one request or response, in one arena of bytes.
//! Owns the bytes, the order and the case of what was received, and the edits made since; never does I/O and never
//! decides policy (which field to add, which connection to close).
//!
//! ```text
//! arena:  | received head, as it came                       | edits, appended                      |
//!         | GET /a HTTP/1.1\r\nHost: x\r\nAccept: *\r\n\r\n | X-Forwarded-For: 10.0.0.1\r\n        |
//! line ----^               ^         ^                        ^
//! fields ------------------0---------1------------------------2
//! ```
//!
//! Every live line is stored as it will be written (`name: value\r\n`): lines that came in another shape are rewritten
//! behind the received bytes when the head is complete. So writing is a copy of as few runs as there are edits.

mod connection;
mod edit;
mod framed;
mod framing;
mod target;

pub use connection::ConnectionTokens;
pub use framed::RequestLine;
pub use framing::Framing;
pub(crate) use framing::{Body, Refused};

use crate::kind::FieldKind;
use crate::list::Values;
use crate::method::Method;
use crate::parse::Cursor;

/// Longest field name, in bytes: HAProxy keeps name lengths in one byte and refuses longer ones.
pub const NAME_LEN_MAX: usize = u8::MAX as usize;

/// HTTP version of a message, as far as it changes how it is handled. Any 1.x above 1.1 counts as 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}

impl Version {
    /// The version as it stands in a start line.
    pub fn as_bytes(self) -> &'static [u8; 8] {
        match self {
            Version::Http10 => b"HTTP/1.0",
            Version::Http11 => b"HTTP/1.1",
            Version::Http2 => b"HTTP/2.0",
        }
    }
}

/// One field line in the arena: `name: value\r\n` at `start`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) start: u32,
    /// Where the value starts: `start + name_len + 2`, except for lines that still wait to be rewritten.
    pub(crate) value: u32,
    pub(crate) value_len: u32,
    pub(crate) name_len: u8,
    pub(crate) kind: FieldKind,
    /// The received line has another shape than `name: value\r\n`.
    pub(crate) odd: bool,
}

impl Field {
    fn end(&self) -> usize {
        self.value as usize + self.value_len as usize + 2
    }
}

/// The start line in the arena, `\r\n` included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StartLine {
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Request: length of the method. Response: unused.
    pub(crate) method_len: u32,
    /// Request: length of the URI. Response: length of the reason.
    pub(crate) text_len: u32,
}

/// Which kind of message a head holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Side {
    #[default]
    Request,
    Response,
    /// No start line: the fields behind a chunked body.
    Trailers,
}

/// A message head whose bytes live in one arena: received bytes first, edits appended behind.
/// Reusable: [`clear`](Head::clear) keeps capacity, so a head that is reused does not allocate.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub(crate) arena: Vec<u8>,
    pub(crate) fields: Vec<Field>,
    pub(crate) side: Side,
    pub(crate) line: StartLine,
    pub(crate) method: Option<Method>,
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) target: target::Target,
    /// Kinds that have stood in `fields` since the last `clear`, as a set of bits.
    pub(crate) kinds: u64,
    pub(crate) body: framing::Body,
    pub(crate) cursor: Cursor,
    /// The URI was put together from pseudo-header fields: on an HTTP/1 wire it is a path and a `Host` again.
    pub(crate) assembled: bool,
    /// Spare buffers for edits that compute a line, and a value in it.
    scratch: Vec<u8>,
    scratch_value: Vec<u8>,
}

impl Head {
    /// An empty head; holds no memory until used.
    pub fn new() -> Head {
        Head::default()
    }

    /// Forgets the message, keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.fields.clear();
        self.side = Side::Request;
        self.line = StartLine::default();
        self.method = None;
        self.version = Version::Http11;
        self.status = 0;
        self.target = target::Target::default();
        self.kinds = 0;
        self.body = framing::Body::default();
        self.cursor = Cursor::default();
        self.assembled = false;
    }

    /// Bytes of memory that the head keeps: to decide whether a pooled head is worth keeping.
    pub fn capacity(&self) -> usize {
        self.arena.capacity()
            + self.scratch.capacity()
            + self.scratch_value.capacity()
            + self.fields.capacity() * size_of::<Field>()
    }

    /// Whether this is a request; else it is a response.
    pub fn is_request(&self) -> bool {
        self.side == Side::Request
    }

    fn slice(&self, start: usize, len: usize) -> &[u8] {
        &self.arena[start..start + len]
    }

    /// Request: the method, as received.
    pub fn method(&self) -> &[u8] {
        match self.side {
            Side::Request => self.slice(self.line.start as usize, self.line.method_len as usize),
            Side::Response | Side::Trailers => b"",
        }
    }

    /// Request: the method as a kind.
    pub fn method_kind(&self) -> Method {
        self.method.unwrap_or_else(|| Method::from_bytes(self.method()))
    }

    /// HTTP version of the message.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Response: the status code; 0 for a request.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Response: the reason phrase, maybe empty.
    pub fn reason(&self) -> &[u8] {
        match self.side {
            Side::Request | Side::Trailers => b"",
            Side::Response => {
                let end = (self.line.start + self.line.len) as usize - 2;
                &self.arena[end - self.line.text_len as usize..end]
            }
        }
    }

    pub(crate) fn name_of(&self, field: &Field) -> &[u8] {
        self.slice(field.start as usize, field.name_len as usize)
    }

    pub(crate) fn value_of(&self, field: &Field) -> &[u8] {
        self.slice(field.value as usize, field.value_len as usize)
    }

    /// Number of field lines.
    pub fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// All fields: name and trimmed value, in received order with received case.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> + ExactSizeIterator {
        self.fields.iter().map(|field| (self.name_of(field), self.value_of(field)))
    }

    /// All fields with their kinds.
    pub fn fields_with_kind(&self) -> impl Iterator<Item = (FieldKind, &[u8], &[u8])> {
        self.fields.iter().map(|field| (field.kind, self.name_of(field), self.value_of(field)))
    }

    /// Whether a line of this kind is there.
    pub fn has(&self, kind: FieldKind) -> bool {
        self.kinds & kind.bit() != 0 && self.fields.iter().any(|field| field.kind == kind)
    }

    /// First full line of this kind.
    pub fn get_kind(&self, kind: FieldKind) -> Option<&[u8]> {
        if self.kinds & kind.bit() == 0 {
            return None;
        }
        self.fields.iter().find(|field| field.kind == kind).map(|field| self.value_of(field))
    }

    fn wanted<'h, 'n>(&'h self, name: &'n [u8]) -> Wanted<'h, 'n> {
        let kind = FieldKind::of(name);
        let fields = match self.kinds & kind.bit() {
            0 => &[][..],
            _ => &self.fields[..],
        };
        Wanted { head: self, fields: fields.iter(), name, kind }
    }

    /// First full line of that name (any case).
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.wanted(name).next()
    }

    /// Full lines of that name, in order.
    pub fn lines<'h>(&'h self, name: &[u8]) -> impl DoubleEndedIterator<Item = &'h [u8]> {
        self.wanted(name)
    }

    /// Comma-separated values of all lines of that name, in order, trimmed.
    pub fn values<'h>(&'h self, name: &[u8]) -> impl Iterator<Item = &'h [u8]> {
        self.wanted(name).flat_map(Values::new)
    }

    /// Number of comma-separated values under that name (`req.hdr_cnt`).
    pub fn count(&self, name: &[u8]) -> usize {
        self.values(name).count()
    }

    /// Number of full lines of that name (`req.fhdr_cnt`).
    pub fn line_count(&self, name: &[u8]) -> usize {
        self.wanted(name).count()
    }

    /// One comma-separated value of that name, as HAProxy's `req.hdr(name,occurrence)`: 1 is the first, -1 the last.
    /// 0 gives nothing.
    pub fn nth_value(&self, name: &[u8], occurrence: i32) -> Option<&[u8]> {
        let index = occurrence.unsigned_abs() as usize;
        match occurrence {
            0 => None,
            1.. => self.wanted(name).flat_map(Values::new).nth(index - 1),
            ..0 => {
                let mut left = index;
                for line in self.wanted(name).rev() {
                    let inside = Values::new(line).count();
                    if left <= inside {
                        return Values::new(line).nth(inside - left);
                    }
                    left -= inside;
                }
                None
            }
        }
    }

    /// One full line of that name, as HAProxy's `req.fhdr(name,occurrence)`: 1 is the first, -1 the last.
    /// 0 gives nothing.
    pub fn nth_line(&self, name: &[u8], occurrence: i32) -> Option<&[u8]> {
        let index = occurrence.unsigned_abs() as usize;
        match occurrence {
            0 => None,
            1.. => self.wanted(name).nth(index - 1),
            ..0 => self.wanted(name).rev().nth(index - 1),
        }
    }

    /// Length of what [`write_to`](Head::write_to) appends, in bytes.
    pub fn wire_len(&self) -> usize {
        let fields: usize = self.fields.iter().map(|field| field.end() - field.start as usize).sum();
        self.line.len as usize + fields + 2
    }

    /// Appends start line, fields and the empty line to `out`. Copies only: neighbouring lines that are contiguous in
    /// the arena go out in one piece, so an unedited head is one copy.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut from = self.line.start as usize;
        let mut to = from + self.line.len as usize;
        for field in &self.fields {
            if field.start as usize != to {
                out.extend_from_slice(&self.arena[from..to]);
                from = field.start as usize;
            }
            to = field.end();
        }
        out.extend_from_slice(&self.arena[from..to]);
        out.extend_from_slice(b"\r\n");
    }
}

/// Full lines of one name.
struct Wanted<'h, 'n> {
    head: &'h Head,
    fields: std::slice::Iter<'h, Field>,
    name: &'n [u8],
    kind: FieldKind,
}

#[inline]
fn is_wanted(head: &Head, field: &Field, kind: FieldKind, name: &[u8]) -> bool {
    field.kind == kind
        && (kind != FieldKind::Other
            || (field.name_len as usize == name.len() && head.name_of(field).eq_ignore_ascii_case(name)))
}

impl<'h> Iterator for Wanted<'h, '_> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let Wanted { head, fields, name, kind } = self;
        fields.find(|field| is_wanted(head, field, *kind, name)).map(|field| head.value_of(field))
    }
}

impl<'h> DoubleEndedIterator for Wanted<'h, '_> {
    fn next_back(&mut self) -> Option<&'h [u8]> {
        let Wanted { head, fields, name, kind } = self;
        fields.rfind(|field| is_wanted(head, field, *kind, name)).map(|field| head.value_of(field))
    }
}
