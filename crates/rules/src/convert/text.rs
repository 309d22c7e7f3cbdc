//! Text in, text out: case, trimming, cutting by delimiters, joining with variables, substitution.

use super::Converter;
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast;
use crate::context::ParseContext;
use crate::regex::{Regex, expand};
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use crate::variable_name::VariableName;
use std::borrow::Cow;

const CUT: &[Param] = &[Param::Int, Param::Str, Param::Int];

/// Longest text that a substitution or join makes, in bytes; what is beyond is cut, as in a buffer.
const OUTPUT_MAX: usize = 16_384;

const fn text(name: &'static str, convert: super::Convert, doc: &'static str) -> Converter {
    Converter::new(name, ValueType::Str, ValueType::Str, convert, doc)
}

pub(super) const ROWS: &[Converter] = &[
    text("lower", lower, "Lower case."),
    text("upper", upper, "Upper case."),
    text("ltrim", ltrim, "Drops the given characters from the start.").takes(&[Param::Str], 1),
    text("rtrim", rtrim, "Drops the given characters from the end.").takes(&[Param::Str], 1),
    text("cut_crlf", cut_crlf, "Ends the text at the first CR or LF."),
    text("field", field, "The n-th field between delimiters; adjacent delimiters enclose empty fields.")
        .takes(CUT, 2)
        .check(check_index),
    text("word", word, "The n-th word between delimiters; adjacent delimiters count once.")
        .takes(CUT, 2)
        .check(check_index),
    text("regsub", regsub, "Replaces what a regular expression matches.")
        .takes(&[Param::Str, Param::Str, Param::Str], 2)
        .check(check_regsub),
    text("concat", concat, "Appends a text, a variable, a text.")
        .takes(&[Param::Str, Param::Str, Param::Str], 1)
        .check(check_concat),
    text("add_item", add_item, "Appends a variable and a text, with a delimiter where one is needed.")
        .takes(&[Param::Str, Param::Str, Param::Str], 2)
        .check(check_add_item),
    text("host_only", host_only, "The host of a Host header."),
    Converter::new(
        "port_only",
        ValueType::Str,
        ValueType::Int,
        port_only,
        "The port of a Host header, or 0.",
    ),
    Converter::new("length", ValueType::Str, ValueType::Int, length, "Length in bytes."),
    Converter::new(
        "strcmp",
        ValueType::Str,
        ValueType::Int,
        strcmp,
        "Compares with a variable: <0, 0 or >0.",
    )
    .takes(&[Param::Str], 1)
    .check(check_variable),
    Converter::new(
        "bytes",
        ValueType::Bin,
        ValueType::Bin,
        bytes,
        "Bytes from an offset on, at most a length.",
    )
    .takes(&[Param::Int, Param::Int], 1),
    Converter::new("iif", ValueType::Bool, ValueType::Str, iif, "One text for true, another for false.")
        .takes(&[Param::Str, Param::Str], 2),
    text("language", language, "The preferred of the given languages of an Accept-Language header.")
        .takes(&[Param::Str, Param::Str], 1),
    Converter::new(
        "secure_memcmp",
        ValueType::Bin,
        ValueType::Bool,
        secure_memcmp,
        "Compares with a variable, in constant time.",
    )
    .takes(&[Param::Str], 1)
    .check(check_variable),
    Converter::new(
        "set-var",
        ValueType::Any,
        ValueType::Any,
        set_var,
        "Sets a variable and passes the value on.",
    )
    .takes(&[Param::Str, Param::Str, Param::Str, Param::Str, Param::Str], 1)
    .check(check_set_var),
    Converter::new("unset-var", ValueType::Any, ValueType::Any, unset_var, "Unsets a variable.")
        .takes(&[Param::Str], 1)
        .check(check_variable),
    Converter::new("debug", ValueType::Any, ValueType::Any, debug, "Passes the value on.")
        .takes(&[Param::Str, Param::Str], 0),
];

/// The text inside; the caller declared `Str` as its input, so there is always one.
pub(super) fn text_of(value: Value<'_>) -> Cow<'_, [u8]> {
    cast::to_text(value).unwrap_or_default()
}

/// Narrows bytes without copying when they are borrowed.
pub(super) fn slice(bytes: Cow<'_, [u8]>, start: usize, end: usize) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[start..end]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(end);
            bytes.drain(..start);
            Cow::Owned(bytes)
        }
    }
}

fn lower<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    Some(Value::Str(match text.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => text,
    }))
}

fn upper<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    Some(Value::Str(match text.iter().any(u8::is_ascii_lowercase) {
        true => Cow::Owned(text.to_ascii_uppercase()),
        false => text,
    }))
}

fn ltrim<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let (text, drop) = (text_of(value), args.text(0)?);
    let start = text.iter().position(|byte| !drop.contains(byte)).unwrap_or(text.len());
    let end = text.len();
    Some(Value::Str(slice(text, start, end)))
}

fn rtrim<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let (text, drop) = (text_of(value), args.text(0)?);
    let end = text.iter().rposition(|byte| !drop.contains(byte)).map_or(0, |last| last + 1);
    Some(Value::Str(slice(text, 0, end)))
}

fn cut_crlf<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let end = memchr::memchr2(b'\r', b'\n', &text).unwrap_or(text.len());
    Some(Value::Str(slice(text, 0, end)))
}

fn check_index(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    if args.int(0) == Some(0) {
        return Err("the index must not be 0: it counts from 1, or from -1 backwards".into());
    }
    if args.text(1) == Some(b"") {
        return Err("delimiters are expected".into());
    }
    Ok(())
}

/// Pieces of `text` between delimiters, as ranges.
fn pieces<'t>(text: &'t [u8], delimiters: &'t [u8]) -> impl DoubleEndedIterator<Item = (usize, usize)> + 't {
    let base = text.as_ptr() as usize;
    text.split(move |byte| delimiters.contains(byte)).map(move |piece| {
        let start = piece.as_ptr() as usize - base;
        (start, start + piece.len())
    })
}

/// The range from the `index`-th piece on, `count` pieces long in that direction; 0 is all the rest.
fn range_of(
    pieces: impl DoubleEndedIterator<Item = (usize, usize)>,
    index: i64,
    count: i64,
) -> Option<(usize, usize)> {
    let skip = usize::try_from(index.unsigned_abs()).ok()?.checked_sub(1)?;
    let take = match usize::try_from(count) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(count) => count,
    };
    let join = |range: Option<(usize, usize)>, (start, end): (usize, usize)| match range {
        None => Some((start, end)),
        Some((first, last)) => Some((first.min(start), last.max(end))),
    };
    if index > 0 {
        pieces.skip(skip).take(take).fold(None, join)
    } else {
        pieces.rev().skip(skip).take(take).fold(None, join)
    }
}

fn field<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let count = args.int(2).unwrap_or(1);
    let (start, end) = range_of(pieces(&text, args.text(1)?), args.int(0)?, count)?;
    Some(Value::Str(slice(text, start, end)))
}

fn word<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let count = args.int(2).unwrap_or(1);
    let (index, delimiters) = (args.int(0)?, args.text(1)?);
    let words = pieces(&text, delimiters).filter(|(start, end)| end > start);
    let (mut start, mut end) = range_of(words, index, count).unwrap_or((0, 0));
    if count == 0 && end > start {
        // All the rest, with the delimiters at its end.
        (start, end) = if index > 0 { (start, text.len()) } else { (0, end) };
    }
    Some(Value::Str(slice(text, start, end)))
}

fn check_regsub(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    let flags = args.text(2).unwrap_or_default();
    if let Some(&unknown) = flags.iter().find(|flag| !matches!(flag, b'i' | b'g')) {
        return Err(format!("unknown flag '{}': only i and g are known", char::from(unknown)));
    }
    let ignore_case = flags.contains(&b'i');
    let global = flags.contains(&b'g');
    let regex = Regex::new(args.text(0).unwrap_or_default(), ignore_case)?;
    args[0] = Arg::Regex(Box::new(regex));
    args.truncate(2);
    args.push(Arg::Int(i64::from(global)));
    Ok(())
}

fn regsub<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let Some(Arg::Regex(regex)) = args.first() else { return None };
    let (template, global) = (args.text(1)?, args.int(2) == Some(1));
    let text = text_of(value);
    let mut groups = regex.locations();
    // After the first replacement a part of its own is searched, in which `^` must not match.
    let is_anchored = regex.source().contains('^');
    let mut out = Vec::new();
    let mut at = 0;
    while at <= text.len() {
        let base = if is_anchored { 0 } else { at };
        let Some((start, end)) = regex.find(&text[base..], at - base, &mut groups) else { break };
        out.extend_from_slice(&text[at..base + start]);
        expand(template, &text[base..], &groups, &mut out);
        let was_at_end = at == text.len();
        at = base + end;
        if !global || was_at_end {
            break;
        }
        if start == end
            && let Some(&byte) = text.get(at)
        {
            // An empty match consumes one byte, or it would repeat for ever.
            out.push(byte);
            at += 1;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out.truncate(OUTPUT_MAX);
    Some(Value::string(out))
}

fn optional_variable(args: &mut [Arg], index: usize) -> Result<(), String> {
    match args.text(index) {
        None => {}
        Some(b"") => args[index] = Arg::Absent,
        Some(name) => args[index] = Arg::Variable(VariableName::parse(name)?),
    }
    Ok(())
}

fn check_concat(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    optional_variable(args, 1)
}

/// The variable of an argument as text; a variable that is not set has none.
pub(super) fn variable_text<'a>(
    args: &'a [Arg],
    index: usize,
    scope: &Scope<'a>,
) -> Option<Cow<'static, [u8]>> {
    match args.get(index) {
        Some(Arg::Variable(name)) => scope.variables.get(name).and_then(cast::to_text),
        Some(_) | None => None,
    }
}

fn concat<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let mut out = text_of(value).into_owned();
    out.extend_from_slice(args.text(0).unwrap_or_default());
    out.extend_from_slice(&variable_text(args, 1, scope).unwrap_or_default());
    out.extend_from_slice(args.text(2).unwrap_or_default());
    out.truncate(OUTPUT_MAX);
    Some(Value::string(out))
}

fn check_add_item(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    if args.text(1) == Some(b"") && args.text(2).unwrap_or_default().is_empty() {
        return Err("a variable or a text to append is expected".into());
    }
    optional_variable(args, 1)
}

fn add_item<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let mut out = text_of(value).into_owned();
    let variable = variable_text(args, 1, scope);
    let suffix = args.text(2).unwrap_or_default();
    if !out.is_empty() && (variable.is_some() || !suffix.is_empty()) {
        out.extend_from_slice(args.text(0).unwrap_or_default());
    }
    out.extend_from_slice(&variable.unwrap_or_default());
    out.extend_from_slice(suffix);
    out.truncate(OUTPUT_MAX);
    Some(Value::string(out))
}

/// Where the port of a Host header starts: after the last colon, unless that is inside of brackets.
fn port_at(host: &[u8]) -> Option<usize> {
    let last = host.iter().rposition(|byte| matches!(byte, b':' | b']'))?;
    (host[last] == b':').then_some(last + 1)
}

fn host_only<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let end = port_at(&text).map_or(text.len(), |port| port - 1);
    Some(Value::Str(slice(text, 0, end)))
}

fn port_only<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let text = text_of(value);
    let port = port_at(&text).map_or(&b""[..], |port| &text[port..]);
    // What is no digit is taken for one, as in HAProxy: the port of `a:b` is 50.
    let digit = |byte: &u8| u32::from(*byte).wrapping_sub(u32::from(b'0'));
    let number = port.iter().fold(0_u32, |number, byte| number.wrapping_mul(10).wrapping_add(digit(byte)));
    Some(Value::Int(i64::from(number)))
}

fn length<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(Value::Int(text_of(value).len() as i64))
}

fn check_variable(args: &mut ArgList, _: &mut ParseContext<'_>, _: &'static Converter) -> Result<(), String> {
    args[0] = Arg::Variable(VariableName::parse(args.text(0).unwrap_or_default())?);
    Ok(())
}

/// The sign of the first difference; else the difference of the lengths.
fn strcmp<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let other = variable_text(args, 0, scope)?;
    let text = text_of(value);
    let difference =
        text.iter().zip(other.iter()).map(|(a, b)| i64::from(*a) - i64::from(*b)).find(|d| *d != 0);
    Some(Value::Int(difference.unwrap_or(text.len() as i64 - other.len() as i64)))
}

fn bytes<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let bytes = cast::to_bytes(value)?;
    // Negative numbers are beyond any length.
    let start = usize::try_from(args.int(0)?).unwrap_or(usize::MAX);
    if start >= bytes.len() {
        return Some(Value::Bin(Cow::Borrowed(b"")));
    }
    let length = args.int(1).map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
    let end = start.saturating_add(length).min(bytes.len());
    Some(Value::Bin(slice(bytes, start, end)))
}

fn iif<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let index = match value {
        Value::Bool(true) => 0,
        Value::Bool(false) => 1,
        Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) | Value::Str(_) | Value::Bin(_) | Value::Method(_) => {
            return None;
        }
    };
    args.text(index).map(Value::str)
}

/// Quality of a language range, in thousandths; 1 without a q-factor.
fn quality(parameters: &[u8]) -> u32 {
    let text = http::trim(parameters);
    let Some(number) = text.strip_prefix(b"q").map(http::trim).and_then(|rest| rest.strip_prefix(b"="))
    else {
        return 1000;
    };
    let number = http::trim(number);
    let (whole, fraction) = match number.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&number[..dot], &number[dot + 1..]),
        None => (number, &b""[..]),
    };
    let mut thousandths = cast::leading_int(whole).clamp(0, 1) as u32 * 1000;
    for (digit, unit) in fraction.iter().take_while(|byte| byte.is_ascii_digit()).zip([100, 10, 1]) {
        thousandths += u32::from(digit - b'0') * unit;
    }
    thousandths
}

fn language<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let known = args.text(0)?;
    let text = text_of(value);
    let mut best: Option<(u32, &'a [u8])> = None;
    for range in text.split(|byte| *byte == b',') {
        let mut parts = range.splitn(2, |byte| *byte == b';');
        let tag = http::trim(parts.next().unwrap_or_default());
        let quality = parts.next().map_or(1000, quality);
        if quality == 0 || best.is_some_and(|(found, _)| found >= quality) {
            continue;
        }
        let base = tag.split(|byte| *byte == b'-').next().unwrap_or_default();
        let found = known.split(|byte| *byte == b';').find(|name| *name == tag || *name == base);
        if let Some(name) = found {
            best = Some((quality, name));
        }
    }
    best.map(|(_, name)| name).or(args.text(1)).map(Value::str)
}

/// Takes as long whatever the bytes are; only a difference in length shows in the time.
fn secure_memcmp<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let Some(Arg::Variable(name)) = args.first() else { return None };
    let other = cast::to_bytes(scope.variables.get(name)?)?;
    let bytes = cast::to_bytes(value)?;
    let same_length = bytes.len() == other.len();
    let difference = bytes.iter().zip(other.iter()).fold(0, |seen, (a, b)| seen | (a ^ b));
    Some(Value::Bool(same_length && difference == 0))
}

fn check_set_var(
    args: &mut ArgList,
    context: &mut ParseContext<'_>,
    row: &'static Converter,
) -> Result<(), String> {
    check_variable(args, context, row)?;
    for index in 1..args.len() {
        let word = args.text(index).unwrap_or_default();
        if !CONDITIONS.iter().any(|(name, _)| name.as_bytes() == word) {
            return Err(format!("unknown condition '{}'", String::from_utf8_lossy(word)));
        }
    }
    Ok(())
}

/// Whether a variable may be set, by its present value and the new one.
type SetCondition = fn(Option<&Value<'_>>, &Value<'_>) -> bool;

const CONDITIONS: &[(&str, SetCondition)] = &[
    ("ifexists", |present, _| present.is_some()),
    ("ifnotexists", |present, _| present.is_none()),
    ("ifset", |present, _| present.is_some()),
    ("ifnotset", |present, _| present.is_none()),
    ("ifempty", |_, new| is_empty(new)),
    ("ifnotempty", |_, new| !is_empty(new)),
    ("ifgt", |present, new| compared(present, new).is_none_or(|(present, new)| present > new)),
    ("iflt", |present, new| compared(present, new).is_none_or(|(present, new)| present < new)),
];

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Str(bytes) | Value::Bin(bytes) => bytes.is_empty(),
        Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) | Value::Method(_) => false,
    }
}

fn compared(present: Option<&Value<'_>>, new: &Value<'_>) -> Option<(i64, i64)> {
    match (present, new) {
        (Some(Value::Int(present)), Value::Int(new)) => Some((*present, *new)),
        (Some(_) | None, _) => None,
    }
}

fn set_var<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    let Some(Arg::Variable(name)) = args.first() else { return None };
    let present = if args.len() > 1 { scope.variables.get(name) } else { None };
    let holds = |word: &[u8]| {
        let condition = CONDITIONS.iter().find(|(name, _)| name.as_bytes() == word);
        condition.is_none_or(|(_, holds)| holds(present.as_ref(), &value))
    };
    if !(1..args.len()).filter_map(|index| args.text(index)).all(holds) {
        return None;
    }
    scope.variables.set(name, value.clone().into_owned()).then_some(value)
}

fn unset_var<'a>(value: Value<'a>, args: &'a [Arg], scope: &Scope<'a>) -> Option<Value<'a>> {
    if let Some(Arg::Variable(name)) = args.first() {
        scope.variables.unset(name);
    }
    Some(value)
}

fn debug<'a>(value: Value<'a>, _: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    Some(value)
}
