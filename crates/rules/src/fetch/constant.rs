//! Constants, clocks, chance, variables and the process itself.

use super::{ANYWHERE, Fetch, Fetched, INTERNAL};
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::context::ParseContext;
use crate::regex::hex_digit;
use crate::scope::{ProcessNumber, Scope};
use crate::value::{Value, ValueType};
use crate::variable_name::VariableName;
use std::borrow::Cow;

/// Range of `rand` without an argument: 2^32.
const RANDOM_RANGE: u64 = 1 << 32;

pub(super) const ROWS: &[Fetch] = &[
    Fetch::new("always_true", ValueType::Bool, ANYWHERE, always_true, "Always true."),
    Fetch::new("always_false", ValueType::Bool, ANYWHERE, always_false, "Always false."),
    Fetch::new("str", ValueType::Str, ANYWHERE, constant_text, "The text given.").takes(&[Param::Str], 1),
    Fetch::new("int", ValueType::Int, ANYWHERE, constant_int, "The integer given.").takes(&[Param::Int], 1),
    Fetch::new("bool", ValueType::Bool, ANYWHERE, constant_bool, "The boolean given: true, false, 1 or 0.")
        .takes(&[Param::Str], 1)
        .check(check_bool),
    Fetch::new("bin", ValueType::Bin, ANYWHERE, constant_bytes, "The bytes given in hexadecimal.")
        .takes(&[Param::Str], 1)
        .check(check_bytes),
    Fetch::new("ipv4", ValueType::Ip4, ANYWHERE, constant_address, "The IPv4 address given.")
        .takes(&[Param::Ip4], 1),
    Fetch::new("ipv6", ValueType::Ip6, ANYWHERE, constant_address, "The IPv6 address given.")
        .takes(&[Param::Ip6], 1),
    Fetch::new("meth", ValueType::Method, ANYWHERE, constant_method, "The method given.")
        .takes(&[Param::Str], 1),
    Fetch::new(
        "date",
        ValueType::Int,
        ANYWHERE,
        date,
        "Time since the epoch plus an offset, in s, ms or us.",
    )
    .takes(&[Param::Int, Param::Str], 0)
    .check(check_date),
    Fetch::new("date_us", ValueType::Int, ANYWHERE, date_us, "Microseconds within the current second."),
    Fetch::new("rand", ValueType::Int, ANYWHERE, rand, "A random number below the range given (2^32).")
        .takes(&[Param::Int], 0),
    Fetch::new("uuid", ValueType::Str, ANYWHERE, uuid, "A random UUID (version 4).")
        .takes(&[Param::Int], 0)
        .check(check_uuid),
    Fetch::new("hostname", ValueType::Str, ANYWHERE, hostname, "The machine's host name."),
    Fetch::new(
        "env",
        ValueType::Str,
        ANYWHERE,
        constant_text_or_missing,
        "An environment variable, as of load.",
    )
    .takes(&[Param::Str], 1)
    .check(check_env),
    Fetch::new("nbproc", ValueType::Int, ANYWHERE, one, "Always 1: there is one process."),
    Fetch::new("proc", ValueType::Int, ANYWHERE, one, "Always 1: there is one process."),
    Fetch::new("thread", ValueType::Int, ANYWHERE, thread, "Position of the worker thread, from 0."),
    Fetch::new("stopping", ValueType::Bool, INTERNAL, stopping, "Whether the process is stopping softly."),
    Fetch::new("var", ValueType::Any, ANYWHERE, variable, "A variable, or the default given.")
        .takes(&[Param::Str, Param::Str], 1)
        .check(check_variable),
    Fetch::new("unique-id", ValueType::Str, ANYWHERE, unique_id, "The request's unique id."),
    Fetch::new(
        "internal.strm.is_htx",
        ValueType::Bool,
        INTERNAL,
        is_http,
        "Whether the stream is in HTTP mode.",
    ),
    Fetch::new("wait_end", ValueType::Bool, INTERNAL, wait_end, "True once nobody waits for more data."),
];

fn always_true<'a>(_: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(true)
}

fn always_false<'a>(_: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(false)
}

fn constant_text<'a>(args: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(args.text(0).map(Value::str))
}

fn constant_text_or_missing<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    constant_text(args, scope)
}

fn constant_int<'a>(args: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(args.int(0).map(Value::Int))
}

fn constant_bool<'a>(args: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(args.int(0).map(|number| Value::Bool(number != 0)))
}

fn check_bool(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    let truth = match args.text(0) {
        Some(word) if word.eq_ignore_ascii_case(b"true") || word == b"1" => 1,
        Some(word) if word.eq_ignore_ascii_case(b"false") || word == b"0" => 0,
        Some(_) | None => return Err("expected true, false, 1 or 0".into()),
    };
    args[0] = Arg::Int(truth);
    Ok(())
}

fn constant_bytes<'a>(args: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(args.text(0).map(Value::bin))
}

fn check_bytes(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    let text = args.text(0).filter(|text| !text.is_empty()).ok_or("hexadecimal digits are expected")?;
    args[0] = Arg::Str(parse_hex(text)?.into());
    Ok(())
}

/// Bytes from pairs of hexadecimal digits.
pub(crate) fn parse_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err("an even number of hexadecimal digits is expected".into());
    }
    text.chunks_exact(2)
        .map(|pair| match (hex_digit(pair[0]), hex_digit(pair[1])) {
            (Some(high), Some(low)) => Ok(high << 4 | low),
            (None, _) | (_, None) => Err(format!("'{}' is not hexadecimal", String::from_utf8_lossy(pair))),
        })
        .collect()
}

fn constant_address<'a>(args: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    match args.first() {
        Some(Arg::Ip4(address)) => Fetched::Ready(Value::Ip4(*address)),
        Some(Arg::Ip6(address)) => Fetched::Ready(Value::Ip6(*address)),
        Some(_) | None => Fetched::Missing,
    }
}

fn constant_method<'a>(args: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(args.text(0).map(|name| Value::Method(Cow::Borrowed(name))))
}

fn date<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let now = match args.text(1) {
        Some(b"ms") => scope.wall.0.as_millis() as i64,
        Some(b"us") => scope.wall.0.as_micros() as i64,
        Some(_) | None => scope.wall.0.as_secs() as i64,
    };
    Fetched::int(now.wrapping_add(args.int(0).unwrap_or(0)))
}

fn check_date(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match args.text(1) {
        None | Some(b"s" | b"ms" | b"us") => Ok(()),
        Some(_) => Err("the unit must be s, ms or us".into()),
    }
}

fn date_us<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(i64::from(scope.wall.0.subsec_micros()))
}

fn rand<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let range = args.int(0).map_or(RANDOM_RANGE, |range| range.unsigned_abs());
    let wide = u128::from(scope.host.random() as u32) * u128::from(range);
    Fetched::int((wide >> 32) as i64)
}

fn uuid<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let (high, low) = (scope.host.random(), scope.host.random());
    // RFC 9562 §5.4: version 4 in the 13th digit, variant 10 in the 17th.
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let text = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    );
    Fetched::Ready(Value::string(text.into_bytes()))
}

fn check_uuid(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    match args.int(0) {
        None | Some(4) => Ok(()),
        Some(_) => Err("only version 4 of UUIDs is supported".into()),
    }
}

fn hostname<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::Ready(Value::str(scope.host.hostname().as_bytes()))
}

fn check_env(args: &mut ArgList, context: &mut ParseContext<'_>) -> Result<(), String> {
    let name = args.text(0).unwrap_or_default();
    args[0] = match context.names.environment(name) {
        Some(value) => Arg::Str(value.into()),
        None => Arg::Absent,
    };
    Ok(())
}

fn one<'a>(_: &'a [Arg], _: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(1)
}

fn thread<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::int(scope.host.process(ProcessNumber::Thread))
}

fn stopping<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(scope.host.is_stopping())
}

fn variable<'a>(args: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    let Some(Arg::Variable(name)) = args.first() else { return Fetched::Missing };
    match scope.variables.get(name) {
        Some(value) => Fetched::Ready(value),
        None => Fetched::of(args.text(1).map(Value::str)),
    }
}

fn check_variable(args: &mut ArgList, _: &mut ParseContext<'_>) -> Result<(), String> {
    args[0] = Arg::Variable(VariableName::parse(args.text(0).unwrap_or_default())?);
    Ok(())
}

fn unique_id<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::of(scope.stream.unique_id.as_deref().map(Value::str))
}

fn is_http<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    Fetched::bool(scope.stream.is_http)
}

fn wait_end<'a>(_: &'a [Arg], scope: &Scope<'a>) -> Fetched<'a> {
    match scope.payload_final {
        true => Fetched::bool(true),
        false => Fetched::Wait,
    }
}
