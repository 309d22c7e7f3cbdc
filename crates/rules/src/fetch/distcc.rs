//! Messages of distcc: tokens of four letters with a number in hexadecimal; some are followed by that many bytes.
//! Source: distcc's protocol documentation.

use super::payload::{raw, too_short};
use super::{Fetch, Fetched, REQUEST};
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::context::ParseContext;
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};

/// Bytes of a token and of its number.
const TOKEN_LEN: usize = 4;
const NUMBER_LEN: usize = 8;
/// Tokens whose number is the length of what follows.
const WITH_BODY: [&[u8; 4]; 8] = [b"ARGV", b"CDIR", b"DOTI", b"DOTO", b"LINK", b"NAME", b"SERR", b"SOUT"];

const ARGUMENTS: &[Param] = &[Param::Str, Param::Int];

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("distcc_param", ValueType::Int, REQUEST, param, "The number of a token of distcc.")
        .takes(ARGUMENTS, 1)
        .check(check_token),
    Fetch::new("distcc_body", ValueType::Bin, REQUEST, body, "The bytes behind a token of distcc.")
        .takes(ARGUMENTS, 1)
        .check(check_token),
];

fn check_token(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match args.text(0) {
        Some(token) if token.len() == TOKEN_LEN => {}
        _ => return Err("a token of distcc has 4 letters".to_owned()),
    }
    match args.int(1) {
        None | Some(0..) => Ok(()),
        Some(_) => Err("the occurrence must be 1 or more".to_owned()),
    }
}

/// The number of a token, and what follows if that is whole. `Err(true)`: more bytes may tell.
fn find<'b>(mut bytes: &'b [u8], wanted: &[u8], occurrence: i64) -> Result<(u32, Option<&'b [u8]>), bool> {
    let mut left = occurrence.max(1);
    loop {
        let Some((head, rest)) = bytes.split_at_checked(TOKEN_LEN + NUMBER_LEN) else { return Err(true) };
        let (token, digits) = head.split_at(TOKEN_LEN);
        let number = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or(false)?;
        let len = if WITH_BODY.iter().any(|known| known[..] == *token) { number as usize } else { 0 };
        let whole = rest.split_at_checked(len);
        if token == wanted {
            left -= 1;
            if left == 0 {
                return Ok((number, whole.map(|(body, _)| body)));
            }
        }
        bytes = whole.ok_or(true)?.1;
    }
}

fn param<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    look(args, scope, |number, _| Some(Value::Int(i64::from(number))))
}

fn body<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    look(args, scope, |_, body| body.map(|body| Value::Bin(body.into())))
}

fn look<'a>(
    args: &'a [Arg],
    scope: &Scope<'a>,
    read: impl FnOnce(u32, Option<&'a [u8]>) -> Option<Value<'a>>,
) -> Fetched<'a> {
    let bytes = match raw(scope, Direction::Request) {
        Ok(bytes) => bytes,
        Err(nothing) => return nothing,
    };
    match find(bytes, args.text(0).unwrap_or_default(), args.int(1).unwrap_or(1)) {
        Ok((number, body)) => read(number, body).map_or_else(|| too_short(scope), Fetched::Ready),
        Err(true) => too_short(scope),
        Err(false) => Fetched::Missing,
    }
}
