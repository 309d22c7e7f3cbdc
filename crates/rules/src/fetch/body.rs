//! Bodies of HTTP messages, as far as they are buffered.

use super::start_line::{request, response};
use super::url::visit_parameters;
use super::{Fetch, Fetched, REQUEST, RESPONSE, Visitor, Walk};
use crate::args::{Arg, Arguments, Param};
use crate::cast::leading_int;
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};
use http::{Framing, Head, Method};

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("req.body", ValueType::Bin, REQUEST, req_body, "The request's body, as far as it is here.")
        .http(),
    Fetch::new("req.body_len", ValueType::Int, REQUEST, req_body_len, "Its length so far.").http(),
    Fetch::new("req.body_size", ValueType::Int, REQUEST, req_body_size, "Its announced length.").http(),
    Fetch::new(
        "req.body_param",
        ValueType::Bin,
        REQUEST,
        req_body_param,
        "A parameter of a form in the body.",
    )
    .takes(&[Param::Str], 0)
    .each(each_req_body_param)
    .http(),
    Fetch::new("res.body", ValueType::Bin, RESPONSE, res_body, "The response's body, as far as it is here.")
        .response_body()
        .http(),
    Fetch::new("res.body_len", ValueType::Int, RESPONSE, res_body_len, "Its length so far.")
        .response_body()
        .http(),
    Fetch::new("res.body_size", ValueType::Int, RESPONSE, res_body_size, "Its announced length.")
        .response_body()
        .http(),
];

/// The buffered body of the message of that side; in rules of the other direction there is none.
fn body<'a>(scope: &Scope<'a>, side: Direction) -> Result<(&'a Head, &'a [u8]), Fetched<'a>> {
    let head = match side {
        Direction::Request => request(scope)?,
        Direction::Response => response(scope)?,
    };
    Ok((head, if scope.direction == side { scope.payload } else { b"" }))
}

fn bytes<'a>(scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    body(scope, side).map_or_else(|nothing| nothing, |(_, bytes)| Fetched::Ready(Value::bin(bytes)))
}

fn length<'a>(scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    body(scope, side).map_or_else(|nothing| nothing, |(_, bytes)| Fetched::int(bytes.len() as i64))
}

/// `Content-Length` if there is one, else what is buffered. A response that cannot have a body announces none.
fn size<'a>(scope: &Scope<'a>, side: Direction) -> Fetched<'a> {
    match body(scope, side) {
        Ok((head, _)) if side == Direction::Response && has_no_body(scope, head) => Fetched::int(0),
        Ok((head, bytes)) => {
            Fetched::int(head.get(b"content-length").map_or(bytes.len() as i64, leading_int))
        }
        Err(nothing) => nothing,
    }
}

fn has_no_body(scope: &Scope<'_>, response: &Head) -> bool {
    let method = scope.request.map_or(Method::Get, Head::method_kind);
    response.response_framing(method) == Framing::None
}

fn req_body<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    bytes(scope, Direction::Request)
}

fn req_body_len<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    length(scope, Direction::Request)
}

fn req_body_size<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    size(scope, Direction::Request)
}

fn res_body<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    bytes(scope, Direction::Response)
}

fn res_body_len<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    length(scope, Direction::Response)
}

fn res_body_size<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    size(scope, Direction::Response)
}

fn walk<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: &mut dyn FnMut(&'a [u8]) -> bool) -> Walk {
    match body(scope, Direction::Request) {
        Ok((_, bytes)) => {
            visit_parameters(bytes, args.text(0).unwrap_or_default(), b'&', visit);
            Walk::Done
        }
        Err(Fetched::Wait) => Walk::Wait,
        Err(Fetched::Ready(_) | Fetched::Early(_) | Fetched::Missing) => Walk::Done,
    }
}

fn req_body_param<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let mut found = None;
    let walked = walk(args, scope, &mut |value| {
        found = Some(value);
        false
    });
    match walked {
        Walk::Done => Fetched::of(found.map(Value::str)),
        Walk::Wait => Fetched::Wait,
    }
}

fn each_req_body_param<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(args, scope, &mut |bytes| visit(Value::str(bytes)))
}
