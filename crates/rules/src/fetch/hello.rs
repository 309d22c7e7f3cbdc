//! TLS hello messages that pass through undeciphered: what a client asks for, before a backend is chosen.

use super::payload::{raw, too_short};
use super::{Fetch, Fetched, REQUEST, RESPONSE};
use crate::args::Arg;
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("req.ssl_sni", ValueType::Str, REQUEST, sni, "The server name in a TLS hello.")
        .also(&["req_ssl_sni"]),
    Fetch::new("req.ssl_alpn", ValueType::Str, REQUEST, alpn, "The first protocol that a TLS hello offers."),
    Fetch::new(
        "req.ssl_ec_ext",
        ValueType::Bool,
        REQUEST,
        elliptic,
        "Whether a TLS hello lists elliptic curves.",
    ),
    Fetch::new("req.ssl_st_ext", ValueType::Int, REQUEST, ticket, "Session tickets: 0 no, 1 empty, 2 sent."),
    Fetch::new(
        "req.ssl_hello_type",
        ValueType::Int,
        REQUEST,
        request_type,
        "Type of the TLS hello of a client.",
    )
    .also(&["req_ssl_hello_type"]),
    Fetch::new(
        "res.ssl_hello_type",
        ValueType::Int,
        RESPONSE,
        response_type,
        "Type of the TLS hello of a server.",
    )
    .also(&["rep_ssl_hello_type"]),
    Fetch::new(
        "req.ssl_ver",
        ValueType::Int,
        REQUEST,
        version,
        "TLS version of a hello: major × 65536 + minor.",
    )
    .also(&["req_ssl_ver"]),
];

/// Record type of handshake messages (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;
/// Bytes before a record's content.
const RECORD_HEADER: usize = 5;
/// Bytes before a handshake message's content.
const MESSAGE_HEADER: usize = 4;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nothing {
    TooShort,
    NotTls,
}

/// Takes bytes from the front of a message that is whole: running out of them means that it is malformed.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], Nothing> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Nothing::NotTls)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, length: usize) -> Result<usize, Nothing> {
        Ok(self.take(length)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// What a length of that many bytes says.
    fn counted(&mut self, length: usize) -> Result<&'b [u8], Nothing> {
        let length = self.number(length)?;
        self.take(length)
    }
}

/// Type and content of the handshake message at the start of the bytes; it must be whole and in one record.
fn message(bytes: &[u8]) -> Result<(u8, &[u8]), Nothing> {
    match bytes.first() {
        Some(&HANDSHAKE) => {}
        Some(_) => return Err(Nothing::NotTls),
        None => return Err(Nothing::TooShort),
    }
    let Some((header, rest)) = bytes.split_at_checked(RECORD_HEADER) else { return Err(Nothing::TooShort) };
    if header[1] < 3 {
        return Err(Nothing::NotTls);
    }
    let record = usize::from(header[3]) << 8 | usize::from(header[4]);
    let Some((header, _)) = rest.split_at_checked(MESSAGE_HEADER) else { return Err(Nothing::TooShort) };
    let length = usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
    if length + MESSAGE_HEADER > record {
        return Err(Nothing::NotTls);
    }
    match rest.get(MESSAGE_HEADER..MESSAGE_HEADER + length) {
        Some(content) => Ok((header[0], content)),
        None => Err(Nothing::TooShort),
    }
}

/// The content of an extension of a client's hello (RFC 8446 §4.1.2), if it is there.
fn extension(bytes: &[u8], wanted: usize) -> Result<Option<&[u8]>, Nothing> {
    let (kind, content) = message(bytes)?;
    if kind != 1 {
        return Err(Nothing::NotTls);
    }
    let mut reader = Reader(content);
    // Version and random.
    reader.take(2 + 32)?;
    let _session = reader.counted(1)?;
    let _ciphers = reader.counted(2)?;
    let _compressions = reader.counted(1)?;
    if reader.0.is_empty() {
        return Ok(None);
    }
    let mut extensions = Reader(reader.counted(2)?);
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let content = extensions.counted(2)?;
        if kind == wanted {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// Runs `read` on the bytes of a side; nothing becomes "missing" or "wait".
fn answer<'a>(
    scope: &Scope<'a>,
    side: Direction,
    read: impl FnOnce(&'a [u8]) -> Result<Option<Value<'a>>, Nothing>,
) -> Fetched<'a> {
    match raw(scope, side).map(read) {
        Ok(Ok(value)) => Fetched::of(value),
        Ok(Err(Nothing::NotTls)) => Fetched::Missing,
        Ok(Err(Nothing::TooShort)) => too_short(scope),
        Err(nothing) => nothing,
    }
}

/// RFC 6066 §3.
fn sni<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    answer(scope, Direction::Request, |bytes| {
        let Some(content) = extension(bytes, 0)? else { return Ok(None) };
        let mut names = Reader(Reader(content).counted(2)?);
        while !names.0.is_empty() {
            let kind = names.number(1)?;
            let name = names.counted(2)?;
            if kind == 0 {
                return Ok(Some(Value::str(name)));
            }
        }
        Ok(None)
    })
}

/// RFC 7301 §3.1.
fn alpn<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    answer(scope, Direction::Request, |bytes| {
        let Some(content) = extension(bytes, 16)? else { return Ok(None) };
        let mut names = Reader(Reader(content).counted(2)?);
        Ok(Some(Value::str(names.counted(1)?)))
    })
}

fn elliptic<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    answer(scope, Direction::Request, |bytes| Ok(extension(bytes, 10)?.map(|_| Value::Bool(true))))
}

fn ticket<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    answer(scope, Direction::Request, |bytes| {
        Ok(Some(Value::Int(match extension(bytes, 35)? {
            None => 0,
            Some([]) => 1,
            Some(_) => 2,
        })))
    })
}

fn hello_type(bytes: &[u8]) -> Result<Option<Value<'_>>, Nothing> {
    message(bytes).map(|(kind, _)| Some(Value::Int(i64::from(kind))))
}

fn request_type<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    answer(scope, Direction::Request, hello_type)
}

fn response_type<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    answer(scope, Direction::Response, hello_type)
}

/// The version that the client's hello names, not that of the record around it.
fn version<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    answer(scope, Direction::Request, |bytes| match bytes.first() {
        None => Err(Nothing::TooShort),
        Some(0x14..=0x17 | 0xff) => {
            let (_, content) = message(bytes)?;
            let mut reader = Reader(content);
            let (major, minor) = (reader.number(1)?, reader.number(1)?);
            Ok(Some(Value::Int((major << 16 | minor) as i64)))
        }
        Some(_) => version_of_old_hello(bytes).map(|version| Some(Value::Int(version))),
    })
}

/// The version in a hello in the form of SSL 2.0, which clients of old begin with whatever they speak (RFC 5246 appendix
/// E.2): a length of 15 bits or of 14 with padding, then type, version, and three lengths.
fn version_of_old_hello(bytes: &[u8]) -> Result<i64, Nothing> {
    const SHORT_LENGTH: u8 = 0x80;
    const CLIENT_HELLO: u8 = 1;
    /// Type, version and the three lengths.
    const FIXED: usize = 9;
    let is_short = bytes[0] & SHORT_LENGTH != 0;
    let (header, mask) = if is_short { (2, 0x7f) } else { (3, 0x3f) };
    let Some((header, rest)) = bytes.split_at_checked(header) else { return Err(Nothing::TooShort) };
    let length = usize::from(header[0] & mask) << 8 | usize::from(header[1]);
    let padding = header.get(2).copied().map_or(0, usize::from);
    match rest.first() {
        Some(&CLIENT_HELLO) => {}
        Some(_) => return Err(Nothing::NotTls),
        None => return Err(Nothing::TooShort),
    }
    let Some((fixed, rest)) = rest.split_at_checked(FIXED) else { return Err(Nothing::TooShort) };
    let number = |at: usize| usize::from(fixed[at]) << 8 | usize::from(fixed[at + 1]);
    let (ciphers, session, challenge) = (number(3), number(5), number(7));
    let is_sound = ciphers % 3 == 0 && matches!(session, 0 | 16) && (16..=32).contains(&challenge);
    if !is_sound || length != FIXED + ciphers + session + challenge {
        return Err(Nothing::NotTls);
    }
    match rest.len() >= ciphers + session + challenge + padding {
        true => Ok(i64::from(fixed[1]) << 16 | i64::from(fixed[2])),
        false => Err(Nothing::TooShort),
    }
}
