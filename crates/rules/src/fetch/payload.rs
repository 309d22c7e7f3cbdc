//! Raw bytes of TCP streams, while they are inspected: lengths, slices, RDP cookies. In HTTP mode there are none.

use super::{Fetch, Fetched, MESSAGE, REQUEST, RESPONSE};
use crate::args::{Arg, ArgList, Arguments, Param, parse_int};
use crate::context::ParseContext;
use crate::place::PlaceSet;
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};

/// A status code as it is written.
const STATUS_DIGITS: usize = 3;

/// Beyond this no buffer holds bytes: such offsets never match.
const OFFSET_MAX: i64 = 1 << 24;

const SLICE: &[Param] = &[Param::Int, Param::Int];
const COUNTED: &[Param] = &[Param::Int, Param::Int, Param::Str];

const fn slice(name: &'static str, places: PlaceSet, eval: super::Eval) -> Fetch {
    Fetch::new(name, ValueType::Bin, places, eval, "Bytes from an offset on, of a length; 0 is all the rest.")
        .takes(SLICE, 2)
        .check(check_slice)
}

const fn counted(name: &'static str, places: PlaceSet, eval: super::Eval) -> Fetch {
    Fetch::new(name, ValueType::Bin, places, eval, "Bytes whose length is in the data, at an offset.")
        .takes(COUNTED, 2)
        .check(check_counted)
}

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("req.len", ValueType::Int, REQUEST, req_len, "Bytes of the request so far.")
        .also(&["req_len"]),
    Fetch::new("res.len", ValueType::Int, RESPONSE, res_len, "Bytes of the response so far.").response_body(),
    slice("req.payload", REQUEST, req_payload),
    slice("res.payload", RESPONSE, res_payload),
    slice("payload", MESSAGE, payload),
    counted("req.payload_lv", REQUEST, req_payload_lv),
    counted("res.payload_lv", RESPONSE, res_payload_lv),
    counted("payload_lv", MESSAGE, payload_lv),
    Fetch::new("req.rdp_cookie", ValueType::Str, REQUEST, rdp_cookie, "A cookie of the RDP protocol.")
        .takes(&[Param::Str], 0)
        .also(&["rdp_cookie"]),
    Fetch::new(
        "req.rdp_cookie_cnt",
        ValueType::Int,
        REQUEST,
        rdp_cookie_count,
        "Whether there is one, 1 or 0.",
    )
    .takes(&[Param::Str], 0)
    .also(&["rdp_cookie_cnt"]),
];

/// The raw bytes of that side; HTTP messages have none.
pub(super) fn raw<'a>(scope: &Scope<'a>, side: Direction) -> Result<&'a [u8], Fetched<'a>> {
    match !scope.stream.is_http && scope.direction == side {
        true => Ok(scope.payload),
        false => Err(Fetched::Missing),
    }
}

/// "More bytes may tell", as long as more may come.
pub(super) fn too_short<'a>(scope: &Scope<'a>) -> Fetched<'a> {
    if scope.payload_final { Fetched::Missing } else { Fetched::Wait }
}

fn length<'a>(scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    if scope.direction != side {
        return Fetched::Missing;
    }
    let head = match side {
        Direction::Request => scope.request,
        Direction::Response => scope.response,
    };
    let head_length = match head {
        Some(head) if scope.stream.is_http => internal_length(head, side),
        Some(_) | None => 0,
    };
    Fetched::Early(Value::Int((head_length + scope.payload.len()) as i64))
}

/// What HAProxy counts of a head: the bytes of its internal form. A start line has a header of 20 bytes before its three
/// parts, a field is name and value, the end of the head one byte. Rules that people wrote compare with such numbers.
pub fn internal_length(head: &http::Head, side: Direction) -> usize {
    const START_LINE: usize = 20;
    const END_OF_HEAD: usize = 1;
    let line = match side {
        Direction::Request => head.method().len() + head.uri().len(),
        Direction::Response => STATUS_DIGITS + head.reason().len(),
    };
    let fields: usize = head.fields().map(|(name, value)| name.len() + value.len()).sum();
    START_LINE + line + head.version().as_bytes().len() + fields + END_OF_HEAD
}

fn req_len<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    length(scope, Direction::Request)
}

fn res_len<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    length(scope, Direction::Response)
}

fn check_slice(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match (args.int(0), args.int(1)) {
        (Some(0..=OFFSET_MAX), Some(0..=OFFSET_MAX)) => Ok(()),
        _outside => Err(format!("offset and length must be 0..={OFFSET_MAX}")),
    }
}

/// An argument that its check has found in range.
fn position(args: &[Arg], index: usize) -> usize {
    args.int(index).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

fn part<'a>(args: &'a [Arg], scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    let bytes = match raw(scope, side) {
        Ok(bytes) => bytes,
        Err(nothing) => return nothing,
    };
    let (offset, length) = (position(args, 0), position(args, 1));
    match (bytes.get(offset..), length) {
        (Some(rest), 0) if scope.payload_final => Fetched::Ready(Value::bin(rest)),
        (Some(rest), 0) => Fetched::Early(Value::bin(rest)),
        (Some(rest), length) if rest.len() >= length => Fetched::Ready(Value::bin(&rest[..length])),
        (Some(_) | None, _) => too_short(scope),
    }
}

fn req_payload<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    part(args, scope, Direction::Request)
}

fn res_payload<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    part(args, scope, Direction::Response)
}

fn payload<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    part(args, scope, scope.direction)
}

/// The third argument becomes two: the number, and 1 when it counts from behind the length.
fn check_counted(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match (args.int(0), args.int(1)) {
        (Some(0..=OFFSET_MAX), Some(1..=8)) => {}
        _outside => return Err(format!("the offset must be 0..={OFFSET_MAX}, the size of the length 1..=8")),
    }
    let (number, is_relative) = match args.text(2) {
        None => (0, true),
        Some(text) => {
            let number =
                parse_int(text).ok_or("the third argument must be a number, with a sign if relative")?;
            (number, text.starts_with(b"+") || text.starts_with(b"-"))
        }
    };
    args.truncate(2);
    args.extend([Arg::Int(number), Arg::Int(i64::from(is_relative))]);
    Ok(())
}

fn counted_part<'a>(args: &'a [Arg], scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    let bytes = match raw(scope, side) {
        Ok(bytes) => bytes,
        Err(nothing) => return nothing,
    };
    let (offset, size) = (position(args, 0), position(args, 1));
    let Some(length) = bytes.get(offset..offset + size) else { return too_short(scope) };
    let length = length.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    let base = if args.int(3) == Some(1) { (offset + size) as i64 } else { 0 };
    let start = usize::try_from(base.saturating_add(args.int(2).unwrap_or(0)));
    match (start, usize::try_from(length)) {
        (Ok(start), Ok(length @ 1..)) if length as i64 <= OFFSET_MAX && start as i64 <= OFFSET_MAX => {
            match bytes.get(start..start + length) {
                Some(part) => Fetched::Ready(Value::bin(part)),
                None => too_short(scope),
            }
        }
        _nowhere => Fetched::Missing,
    }
}

fn req_payload_lv<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    counted_part(args, scope, Direction::Request)
}

fn res_payload_lv<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    counted_part(args, scope, Direction::Response)
}

fn payload_lv<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    counted_part(args, scope, scope.direction)
}

/// Length of TPKT and X.224 headers before the cookie of a connection request ([MS-RDPBCGR] §2.2.1.1).
const RDP_HEADER: usize = 11;

/// Finds `Cookie: name=value\r\n`. `Err(true)`: more bytes may tell.
fn find_rdp_cookie<'b>(bytes: &'b [u8], name: &[u8]) -> Result<&'b [u8], bool> {
    if bytes.len() <= RDP_HEADER {
        return Err(true);
    }
    if bytes[0] != 3 || bytes[5] != 0xe0 {
        return Err(false);
    }
    let text = &bytes[RDP_HEADER..];
    let common = text.len().min(7);
    if !text[..common].eq_ignore_ascii_case(&b"Cookie:"[..common]) {
        return Err(false);
    }
    if common < 7 {
        return Err(true);
    }
    let text = &text[7..];
    let text = &text[text.iter().position(|byte| *byte != b' ').unwrap_or(text.len())..];
    let Some(end) = memchr::memchr(b'\r', text) else { return Err(true) };
    match text.get(end + 1) {
        None => return Err(true),
        Some(b'\n') => {}
        Some(_) => return Err(false),
    }
    let pair = &text[..end];
    let equals = memchr::memchr(b'=', pair).ok_or(false)?;
    match name.is_empty() || pair[..equals].eq_ignore_ascii_case(name) {
        true => Ok(&pair[equals + 1..]),
        false => Err(false),
    }
}

fn rdp_cookie<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let bytes = match raw(scope, Direction::Request) {
        Ok(bytes) => bytes,
        Err(nothing) => return nothing,
    };
    match find_rdp_cookie(bytes, args.text(0).unwrap_or_default()) {
        Ok(value) => Fetched::Ready(Value::str(value)),
        Err(true) => too_short(scope),
        Err(false) => Fetched::Missing,
    }
}

fn rdp_cookie_count<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match rdp_cookie(args, scope) {
        Fetched::Ready(_) | Fetched::Early(_) => Fetched::int(1),
        // Bytes that never came are no answer; others are "none".
        Fetched::Missing if raw(scope, Direction::Request).is_ok_and(|bytes| bytes.len() <= RDP_HEADER) => {
            Fetched::Missing
        }
        Fetched::Missing => Fetched::int(0),
        Fetched::Wait => Fetched::Early(Value::Int(0)),
    }
}
