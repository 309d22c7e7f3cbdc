//! Header fields of requests and responses: by comma-separated value (`hdr`) or by full line (`fhdr`).

use super::start_line::{request, response};
use super::{Fetch, Fetched, MESSAGE, REQUEST, RESPONSE, Visitor, Walk};
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast::loose_int32;
use crate::context::ParseContext;
use crate::place::PlaceSet;
use crate::scope::{Direction, Scope};
use crate::value::{Value, ValueType};
use http::{Head, Values};
use std::net::{Ipv4Addr, Ipv6Addr};

/// How far back from the end an occurrence may be counted.
const OCCURRENCE_MIN: i64 = -10;

const OCCURRENCE: &[Param] = &[Param::Str, Param::Int];
const NAME: &[Param] = &[Param::Str];

const fn text(
    name: &'static str,
    places: PlaceSet,
    eval: super::Eval,
    each: super::Each,
    doc: &'static str,
) -> Fetch {
    Fetch::new(name, ValueType::Str, places, eval, doc)
        .takes(OCCURRENCE, 0)
        .check(check_occurrence)
        .each(each)
        .http()
}

const fn count(name: &'static str, places: PlaceSet, eval: super::Eval, doc: &'static str) -> Fetch {
    Fetch::new(name, ValueType::Int, places, eval, doc).takes(NAME, 0).http()
}

pub(super) const ROWS: &[Fetch] = &[
    text("req.hdr", REQUEST, req_hdr, each_req_hdr, "A comma-separated value of a request header."),
    text("req.fhdr", REQUEST, req_fhdr, each_req_fhdr, "A full line of a request header."),
    text("res.hdr", RESPONSE, res_hdr, each_res_hdr, "A comma-separated value of a response header.")
        .also(&["shdr"]),
    text("res.fhdr", RESPONSE, res_fhdr, each_res_fhdr, "A full line of a response header."),
    text("hdr", MESSAGE, hdr, each_hdr, "`req.hdr` or `res.hdr`, by the direction of the rule."),
    count("req.hdr_cnt", REQUEST, req_hdr_cnt, "Number of comma-separated values of a request header.")
        .also(&["hdr_cnt"]),
    count("req.fhdr_cnt", REQUEST, req_fhdr_cnt, "Number of lines of a request header."),
    count("res.hdr_cnt", RESPONSE, res_hdr_cnt, "Number of comma-separated values of a response header.")
        .also(&["shdr_cnt"]),
    count("res.fhdr_cnt", RESPONSE, res_fhdr_cnt, "Number of lines of a response header."),
    Fetch::new("req.hdr_ip", ValueType::Ip4, REQUEST, req_hdr_ip, "An address in a request header.")
        .takes(OCCURRENCE, 0)
        .check(check_occurrence)
        .each(each_req_hdr_ip)
        .also(&["hdr_ip"])
        .http(),
    Fetch::new("res.hdr_ip", ValueType::Ip4, RESPONSE, res_hdr_ip, "An address in a response header.")
        .takes(OCCURRENCE, 0)
        .check(check_occurrence)
        .each(each_res_hdr_ip)
        .also(&["shdr_ip"])
        .http(),
    Fetch::new("req.hdr_val", ValueType::Int, REQUEST, req_hdr_val, "A number in a request header.")
        .takes(OCCURRENCE, 0)
        .check(check_occurrence)
        .each(each_req_hdr_val)
        .also(&["hdr_val"])
        .http(),
    Fetch::new("res.hdr_val", ValueType::Int, RESPONSE, res_hdr_val, "A number in a response header.")
        .takes(OCCURRENCE, 0)
        .check(check_occurrence)
        .each(each_res_hdr_val)
        .also(&["shdr_val"])
        .http(),
    Fetch::new("req.hdr_names", ValueType::Str, REQUEST, req_hdr_names, "Names of all request headers.")
        .takes(NAME, 0)
        .http(),
    Fetch::new("res.hdr_names", ValueType::Str, RESPONSE, res_hdr_names, "Names of all response headers.")
        .takes(NAME, 0)
        .http(),
    Fetch::new(
        "req.hdrs",
        ValueType::Bin,
        REQUEST,
        req_hdrs,
        "All request headers as text, with the last line.",
    )
    .http(),
    Fetch::new(
        "res.hdrs",
        ValueType::Bin,
        RESPONSE,
        res_hdrs,
        "All response headers as text, with the last line.",
    )
    .http(),
    Fetch::new(
        "req.hdrs_bin",
        ValueType::Bin,
        REQUEST,
        req_hdrs_bin,
        "All request headers, length-prefixed.",
    )
    .http(),
    Fetch::new(
        "res.hdrs_bin",
        ValueType::Bin,
        RESPONSE,
        res_hdrs_bin,
        "All response headers, length-prefixed.",
    )
    .http(),
];

fn check_occurrence(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match args.int(1) {
        Some(occurrence) if occurrence < OCCURRENCE_MIN => {
            Err(format!("the occurrence must be {OCCURRENCE_MIN} or more, found {occurrence}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// What counts as one value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Commas,
    Lines,
}

/// Gives all values under a name, or of all fields when the name is empty, until the visitor has enough. An explicit
/// occurrence leaves one.
fn walk<'a>(
    head: Result<&'a Head, Fetched<'a>>,
    args: &'a [Arg],
    cut: Cut,
    visit: &mut dyn FnMut(&'a [u8]) -> bool,
) -> Walk {
    let head = match head {
        Ok(head) => head,
        Err(Fetched::Wait) => return Walk::Wait,
        Err(Fetched::Ready(_) | Fetched::Early(_) | Fetched::Missing) => return Walk::Done,
    };
    if args.int(1).is_some_and(|occurrence| occurrence != 0) {
        if let Ok(value) = read(Ok(head), args, cut) {
            visit(value);
        }
        return Walk::Done;
    }
    let Some(name) = args.text(0) else { return Walk::Done };
    match (cut, name) {
        (Cut::Commas, b"") => all_values(head).into_iter().all(visit),
        (Cut::Lines, b"") => head.fields().map(|(_, line)| line).all(visit),
        (Cut::Commas, name) => head.values(name).all(visit),
        (Cut::Lines, name) => head.lines(name).all(visit),
    };
    Walk::Done
}

fn read<'a>(head: Result<&'a Head, Fetched<'a>>, args: &'a [Arg], cut: Cut) -> Result<&'a [u8], Fetched<'a>> {
    let head = head?;
    let name = args.text(0).ok_or(Fetched::Missing)?;
    let occurrence = match args.int(1) {
        // Without an occurrence the last one counts.
        None | Some(0) => -1,
        Some(occurrence) => i32::try_from(occurrence).unwrap_or(i32::MAX),
    };
    let found = match (cut, name) {
        (Cut::Commas, b"") => pick(&all_values(head), occurrence),
        (Cut::Lines, b"") => pick(&head.fields().map(|(_, value)| value).collect::<Vec<_>>(), occurrence),
        (Cut::Commas, name) => head.nth_value(name, occurrence),
        (Cut::Lines, name) => head.nth_line(name, occurrence),
    };
    found.ok_or(Fetched::Missing)
}

fn all_values(head: &Head) -> Vec<&[u8]> {
    head.fields().flat_map(|(_, line)| Values::new(line)).collect()
}

fn pick<'a>(values: &[&'a [u8]], occurrence: i32) -> Option<&'a [u8]> {
    let index = occurrence.unsigned_abs() as usize;
    match occurrence {
        0 => None,
        1.. => values.get(index - 1).copied(),
        ..0 => values.len().checked_sub(index).map(|index| values[index]),
    }
}

fn of<'a>(found: Result<&'a [u8], Fetched<'a>>, convert: fn(&'a [u8]) -> Option<Value<'a>>) -> Fetched<'a> {
    match found {
        Ok(bytes) => Fetched::of(convert(bytes)),
        Err(nothing) => nothing,
    }
}

fn as_text(bytes: &[u8]) -> Option<Value<'_>> {
    Some(Value::str(bytes))
}

fn as_int(bytes: &[u8]) -> Option<Value<'_>> {
    Some(Value::Int(loose_int32(bytes)))
}

/// The message that a rule of this direction reads.
pub(super) fn message<'a>(scope: &Scope<'a>) -> Result<&'a Head, Fetched<'a>> {
    match scope.direction {
        Direction::Request => request(scope),
        Direction::Response => response(scope),
    }
}

fn req_hdr<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(request(scope), args, Cut::Commas), as_text)
}

fn each_req_hdr<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(request(scope), args, Cut::Commas, &mut |bytes| visit(Value::str(bytes)))
}

fn req_fhdr<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(request(scope), args, Cut::Lines), as_text)
}

fn each_req_fhdr<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(request(scope), args, Cut::Lines, &mut |bytes| visit(Value::str(bytes)))
}

fn res_hdr<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(response(scope), args, Cut::Commas), as_text)
}

fn each_res_hdr<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(response(scope), args, Cut::Commas, &mut |bytes| visit(Value::str(bytes)))
}

fn res_fhdr<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(response(scope), args, Cut::Lines), as_text)
}

fn each_res_fhdr<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(response(scope), args, Cut::Lines, &mut |bytes| visit(Value::str(bytes)))
}

fn hdr<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(message(scope), args, Cut::Commas), as_text)
}

fn each_hdr<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(message(scope), args, Cut::Commas, &mut |bytes| visit(Value::str(bytes)))
}

fn req_hdr_val<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(request(scope), args, Cut::Commas), as_int)
}

fn each_req_hdr_val<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(request(scope), args, Cut::Commas, &mut |bytes| visit(Value::Int(loose_int32(bytes))))
}

fn req_hdr_ip<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(request(scope), args, Cut::Commas), forwarded_address)
}

fn each_req_hdr_ip<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(request(scope), args, Cut::Commas, &mut |bytes| forwarded_address(bytes).is_none_or(&mut *visit))
}

fn req_hdr_cnt<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    number_of(request(scope), args, Cut::Commas)
}

fn req_fhdr_cnt<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    number_of(request(scope), args, Cut::Lines)
}

fn req_hdr_names<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    names(request(scope), args)
}

fn req_hdrs<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    block(request(scope))
}

fn req_hdrs_bin<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    binary_block(request(scope))
}

fn res_hdr_val<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(response(scope), args, Cut::Commas), as_int)
}

fn each_res_hdr_val<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(response(scope), args, Cut::Commas, &mut |bytes| visit(Value::Int(loose_int32(bytes))))
}

fn res_hdr_ip<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    of(read(response(scope), args, Cut::Commas), forwarded_address)
}

fn each_res_hdr_ip<'a>(args: &'a [Arg], scope: &Scope<'a>, visit: Visitor<'_, 'a>) -> Walk {
    walk(response(scope), args, Cut::Commas, &mut |bytes| forwarded_address(bytes).is_none_or(&mut *visit))
}

fn res_hdr_cnt<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    number_of(response(scope), args, Cut::Commas)
}

fn res_fhdr_cnt<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    number_of(response(scope), args, Cut::Lines)
}

fn res_hdr_names<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    names(response(scope), args)
}

fn res_hdrs<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    block(response(scope))
}

fn res_hdrs_bin<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    binary_block(response(scope))
}

/// An address as proxies write it: IPv4 with or without a port, IPv6 without brackets.
fn forwarded_address(text: &[u8]) -> Option<Value<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(Value::Ip4(address));
    }
    if let Some((address, port)) = text.split_once(':')
        && let Ok(address) = address.parse::<Ipv4Addr>()
    {
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        return (digits && port.parse::<u16>().is_ok()).then_some(Value::Ip4(address));
    }
    text.parse::<Ipv6Addr>().ok().map(Value::Ip6)
}

fn number_of<'a>(head: Result<&'a Head, Fetched<'a>>, args: &'a [Arg], cut: Cut) -> Fetched<'a> {
    let head = match head {
        Ok(head) => head,
        Err(nothing) => return nothing,
    };
    let name = args.text(0).unwrap_or_default();
    let count = match (cut, name) {
        (Cut::Commas, b"") => head.fields().map(|(_, line)| Values::new(line).count()).sum(),
        (Cut::Lines, b"") => head.field_count(),
        (Cut::Commas, name) => head.count(name),
        (Cut::Lines, name) => head.line_count(name),
    };
    Fetched::int(count as i64)
}

fn names<'a>(head: Result<&'a Head, Fetched<'a>>, args: &'a [Arg]) -> Fetched<'a> {
    let head = match head {
        Ok(head) => head,
        Err(nothing) => return nothing,
    };
    // An empty argument is the NUL that ends it in HAProxy.
    let separator = args.text(0).map_or(b',', |text| text.first().copied().unwrap_or(0));
    let mut out = Vec::new();
    for (index, (name, _)) in head.fields().enumerate() {
        if index > 0 {
            out.push(separator);
        }
        out.extend(name.iter().map(u8::to_ascii_lowercase));
    }
    Fetched::Ready(Value::string(out))
}

fn block<'a>(head: Result<&'a Head, Fetched<'a>>) -> Fetched<'a> {
    let head = match head {
        Ok(head) => head,
        Err(nothing) => return nothing,
    };
    let mut out = Vec::new();
    for (name, value) in head.fields() {
        out.extend(name.iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Fetched::Ready(Value::Bin(out.into()))
}

fn binary_block<'a>(head: Result<&'a Head, Fetched<'a>>) -> Fetched<'a> {
    let head = match head {
        Ok(head) => head,
        Err(nothing) => return nothing,
    };
    let mut out = Vec::new();
    for (name, value) in head.fields() {
        push_counted(&name.to_ascii_lowercase(), &mut out);
        push_counted(value, &mut out);
    }
    out.extend_from_slice(&[0, 0]);
    Fetched::Ready(Value::Bin(out.into()))
}

/// The length as SPOE's variable-length integer, then the bytes: below 240 one byte, else four bits, then seven at a
/// time.
fn push_counted(bytes: &[u8], out: &mut Vec<u8>) {
    let mut length = bytes.len() as u64;
    if length < 240 {
        out.push(length as u8);
    } else {
        out.push(length as u8 | 240);
        length = (length - 240) >> 4;
        while length >= 128 {
            out.push(length as u8 | 128);
            length = (length - 128) >> 7;
        }
        out.push(length as u8);
    }
    out.extend_from_slice(bytes);
}
