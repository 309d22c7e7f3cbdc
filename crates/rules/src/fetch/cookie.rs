//! Cookies of requests (`Cookie`) and responses (`Set-Cookie`).

use super::start_line::{request, response};
use super::{Fetch, Fetched, MESSAGE, REQUEST, RESPONSE, Visitor, Walk};
use crate::args::{Arg, Arguments, Param};
use crate::cast::loose_int32;
use crate::place::PlaceSet;
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};
use http::Head;

const NAME: &[Param] = &[Param::Str];

const fn row(
    name: &'static str,
    output: ValueType,
    places: PlaceSet,
    eval: super::Eval,
    doc: &'static str,
) -> Fetch {
    Fetch::new(name, output, places, eval, doc).takes(NAME, 0).http()
}

pub(super) const ROWS: &[Fetch] = &[
    row("req.cook", ValueType::Str, REQUEST, req_cook, "Value of a cookie of the request.")
        .each(each_req_cook)
        .also(&["cook"]),
    row("req.cook_cnt", ValueType::Int, REQUEST, req_cook_cnt, "Number of such cookies of the request.")
        .also(&["cook_cnt"]),
    row("req.cook_val", ValueType::Int, REQUEST, req_cook_val, "Value of such a cookie as a number.")
        .each(each_req_cook_val)
        .also(&["cook_val"]),
    row("res.cook", ValueType::Str, RESPONSE, res_cook, "Value of a cookie set by the response.")
        .each(each_res_cook)
        .also(&["scook"]),
    row("res.cook_cnt", ValueType::Int, RESPONSE, res_cook_cnt, "Number of such cookies of the response.")
        .also(&["scook_cnt"]),
    row("res.cook_val", ValueType::Int, RESPONSE, res_cook_val, "Value of such a cookie as a number.")
        .each(each_res_cook_val)
        .also(&["scook_val"]),
    row("cookie", ValueType::Str, MESSAGE, cookie, "`req.cook` or `res.cook`, by the direction of the rule.")
        .each(each_cookie),
];

/// Values of the cookies of that name (any, when empty), in order, until the visitor has enough.
///
/// A `Set-Cookie` value has one cookie; what follows are its attributes.
fn visit_cookies<'a>(head: &'a Head, side: Direction, name: &[u8], visit: &mut dyn FnMut(&'a [u8]) -> bool) {
    let (header, is_list): (&[u8], bool) = match side {
        Direction::Request => (b"cookie", true),
        Direction::Response => (b"set-cookie", false),
    };
    // Attributes are taken for cookies when any cookie will do, as in HAProxy.
    let takes_all = is_list || name.is_empty();
    for line in head.values(header) {
        let mut rest = line;
        while !rest.is_empty() {
            let (pair, after) = next_pair(rest, is_list);
            if let Some((found, value)) = pair
                && found.first() != Some(&b'$')
                && (name.is_empty() || found == name)
                && !visit(value)
            {
                return;
            }
            if !takes_all {
                break;
            }
            rest = after;
        }
    }
}

/// Name and value of one cookie.
type Pair<'l> = (&'l [u8], &'l [u8]);

/// The first `name=value` of a line and what follows its delimiter. No pair: there was no equals sign.
fn next_pair(line: &[u8], is_list: bool) -> (Option<Pair<'_>>, &[u8]) {
    let is_end = |byte: &u8| *byte == b';' || (is_list && *byte == b',');
    let Some(stop) = line.iter().position(|byte| *byte == b'=' || is_end(byte)) else { return (None, b"") };
    if line[stop] != b'=' {
        return (None, &line[stop + 1..]);
    }
    let name = http::trim(&line[..stop]);
    let text = &line[stop + 1..];
    let end = value_end(text);
    (Some((name, http::trim(&text[..end]))), text.get(end + 1..).unwrap_or_default())
}

/// Where a cookie's value ends: at the first `;` or `,` outside of quotes.
fn value_end(text: &[u8]) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' | b',' if !quoted => return at,
            _other => {}
        }
    }
    text.len()
}

fn side_of<'a>(scope: &Scope<'a>, side: Direction) -> Result<&'a Head, Fetched<'a>> {
    match side {
        Direction::Request => request(scope),
        Direction::Response => response(scope),
    }
}

/// Without a name the first cookie counts, with one the last.
fn read<'a>(args: &'a [Arg], scope: &Scope<'a>, side: Direction) -> Result<&'a [u8], Fetched<'a>> {
    let head = side_of(scope, side)?;
    let name = args.text(0).unwrap_or_default();
    let mut found = None;
    visit_cookies(head, side, name, &mut |value| {
        found = Some(value);
        !name.is_empty()
    });
    found.ok_or(Fetched::Missing)
}

fn text<'a>(args: &'a [Arg], scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    read(args, scope, side).map_or_else(|nothing| nothing, |bytes| Fetched::Ready(Value::str(bytes)))
}

fn number<'a>(args: &'a [Arg], scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    read(args, scope, side).map_or_else(|nothing| nothing, |bytes| Fetched::int(loose_int32(bytes)))
}

fn count<'a>(args: &'a [Arg], scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    match side_of(scope, side) {
        Ok(head) => {
            let mut count = 0;
            visit_cookies(head, side, args.text(0).unwrap_or_default(), &mut |_| {
                count += 1;
                true
            });
            Fetched::int(count)
        }
        Err(nothing) => nothing,
    }
}

fn walk<'a>(
    args: &'a [Arg],
    scope: &Scope<'a>,
    side: Direction,
    visit: &mut dyn FnMut(&'a [u8]) -> bool,
) -> Walk {
    match side_of(scope, side) {
        Ok(head) => {
            visit_cookies(head, side, args.text(0).unwrap_or_default(), visit);
            Walk::Done
        }
        Err(Fetched::Wait) => Walk::Wait,
        Err(Fetched::Ready(_) | Fetched::Early(_) | Fetched::Missing) => Walk::Done,
    }
}

fn req_cook<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    text(args, scope, Direction::Request)
}

fn each_req_cook<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, Direction::Request, &mut |bytes| visit(Value::str(bytes)))
}

fn req_cook_cnt<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    count(args, scope, Direction::Request)
}

fn req_cook_val<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    number(args, scope, Direction::Request)
}

fn each_req_cook_val<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, Direction::Request, &mut |bytes| visit(Value::Int(loose_int32(bytes))))
}

fn res_cook<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    text(args, scope, Direction::Response)
}

fn each_res_cook<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, Direction::Response, &mut |bytes| visit(Value::str(bytes)))
}

fn res_cook_cnt<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    count(args, scope, Direction::Response)
}

fn res_cook_val<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    number(args, scope, Direction::Response)
}

fn each_res_cook_val<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, Direction::Response, &mut |bytes| visit(Value::Int(loose_int32(bytes))))
}

fn cookie<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    text(args, scope, scope.direction)
}

fn each_cookie<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, scope.direction, &mut |bytes| visit(Value::str(bytes)))
}
