//! `internal.htx_blk.*`: the start line and the headers of a message by their number, as HAProxy numbers the blocks of its
//! internal form: 0 is the start line, headers follow from 1, one more ends them. Sizes and places in memory have no
//! counterpart here, so that the rest of `internal.*` does not exist.

use super::start_line::{request, response};
use super::{Fetch, Fetched, MESSAGE};
use crate::args::{Arg, ArgList, Arguments, Param, parse_int};
use crate::context::ParseContext;
use crate::place::PlaceSet;
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};
use http::Head;

const fn block(name: &'static str, eval: super::Eval, doc: &'static str) -> Fetch {
    const PLACES: PlaceSet = MESSAGE;
    Fetch::new(name, ValueType::Str, PLACES, eval, doc).takes(&[Param::Str], 1).check(check_number).http()
}

pub(super) const ROWS: &[Fetch] = &[
    block("internal.htx_blk.type", kind, "What the block of that number is."),
    block("internal.htx_blk.start_line", start_line, "The start line, of block 0."),
    block("internal.htx_blk.hdrname", name, "The name of the header of that number, in lower case."),
    block("internal.htx_blk.hdrval", value, "The value of the header of that number."),
];

/// `head` and `first` are the start line. Where the last block stands depends on the buffer, which ours do not share.
fn check_number(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    let number = match args.text(0).unwrap_or_default() {
        b"head" | b"first" => Some(0),
        text => parse_int(text).filter(|number| *number >= 0),
    };
    let number = number.ok_or("a number from 0 on, `head` or `first` (`tail` is not implemented)")?;
    args[0] = Arg::Int(number);
    Ok(())
}

fn message<'a>(scope: &Scope<'a>) -> Result<&'a Head, Fetched<'a>> {
    match scope.direction {
        Direction::Request => request(scope),
        Direction::Response => response(scope),
    }
}

fn read<'a>(
    args: &'a [Arg],
    scope: &Scope<'a>,
    read: impl FnOnce(&'a Head, usize) -> Option<Vec<u8>>,
) -> Fetched<'a> {
    let head = match message(scope) {
        Ok(head) => head,
        Err(nothing) => return nothing,
    };
    let number = args.int(0).and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX);
    Fetched::of(read(head, number).map(|text| Value::Str(text.into())))
}

fn kind<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    read(args, scope, |head, number| {
        let fields = head.field_count();
        let name = match number {
            0 if head.is_request() => "HTX_BLK_REQ_SL",
            0 => "HTX_BLK_RES_SL",
            number if number <= fields => "HTX_BLK_HDR",
            number if number == fields + 1 => "HTX_BLK_EOH",
            _ => "HTX_BLK_UNUSED",
        };
        Some(name.as_bytes().to_vec())
    })
}

fn start_line<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    read(args, scope, |head, number| {
        if number > 0 {
            return None;
        }
        let mut wire = Vec::with_capacity(head.wire_len());
        head.write_to(&mut wire);
        wire.split(|byte| *byte == b'\r').next().map(<[u8]>::to_vec)
    })
}

fn name<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    read(args, scope, |head, number| {
        head.fields().nth(number.checked_sub(1)?).map(|(name, _)| name.to_ascii_lowercase())
    })
}

fn value<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    read(args, scope, |head, number| {
        head.fields().nth(number.checked_sub(1)?).map(|(_, value)| value.to_vec())
    })
}
