//! Converters that keep the value in a capture slot, and hand it on as it is.

use super::Converter;
use super::text::text_of;
use crate::Captures;
use crate::args::{Arg, Arguments, Param};
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};

const SLOT: &[Param] = &[Param::Int];

pub(super) const ROWS: &[Converter] = &[
    Converter::new("capture-req", ValueType::Str, ValueType::Str, request, "Keeps it in a request slot.")
        .takes(SLOT, 1),
    Converter::new("capture-res", ValueType::Str, ValueType::Str, response, "Keeps it in a response slot.")
        .takes(SLOT, 1),
];

/// Without such a slot there is no value any more.
fn keep<'a>(
    value: Value<'a>,
    args: &[Arg],
    scope: &Scope<'_>,
    direction: Direction,
    slots: &Captures,
) -> Option<Value<'a>> {
    let slot = usize::try_from(args.int(0)?).ok()?;
    let length = scope.host.capture_length(scope.stream.frontend, direction, slot)?;
    let text = text_of(value.clone());
    slots.set(slot, Some(text[..text.len().min(length)].to_vec()));
    Some(value)
}

fn request<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    keep(value, args, scope, Direction::Request, &scope.stream.request_captures)
}

fn response<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    keep(value, args, scope, Direction::Response, &scope.stream.response_captures)
}
