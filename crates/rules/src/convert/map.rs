//! Maps: looking a value up in a file of patterns and values.

use super::Converter;
use crate::args::{Arg, ArgList, Arguments, Param};
use crate::cast;
use crate::context::ParseContext;
use crate::pattern::{ListKind, MapValue, MatchMethod, Matcher, PatternList, Usage, map_value};
use crate::regex::expand;
use crate::scope::Scope;
use crate::value::{Value, ValueType};
use std::sync::Arc;

/// A map as an argument: the list, how it is matched, what is returned when nothing matches.
#[derive(Debug, Clone)]
pub struct MapUse {
    /// The list, for the runtime API.
    pub list: Arc<PatternList>,
    matcher: Arc<Matcher>,
    default: Option<MapValue>,
}

const MAP: &[Param] = &[Param::Str, Param::Str];

const fn row(name: &'static str, input: ValueType, output: ValueType) -> Converter {
    Converter::new(name, input, output, look_up, "Looks the value up in a map.").takes(MAP, 1).check(load)
}

use ValueType::{Address, Int, Str};

pub(super) const ROWS: &[Converter] = &[
    row("map", Str, Str),
    row("map_str", Str, Str),
    row("map_beg", Str, Str),
    row("map_sub", Str, Str),
    row("map_dir", Str, Str),
    row("map_dom", Str, Str),
    row("map_end", Str, Str),
    row("map_reg", Str, Str),
    Converter::new(
        "map_regm",
        Str,
        Str,
        replace,
        "Looks up in a map of expressions; the value may have \\1.",
    )
    .takes(MAP, 1)
    .check(load),
    row("map_int", Int, Str),
    row("map_ip", Address, Str),
    row("map_str_int", Str, Int),
    row("map_beg_int", Str, Int),
    row("map_sub_int", Str, Int),
    row("map_dir_int", Str, Int),
    row("map_dom_int", Str, Int),
    row("map_end_int", Str, Int),
    row("map_reg_int", Str, Int),
    row("map_int_int", Int, Int),
    row("map_ip_int", Address, Int),
    row("map_str_ip", Str, Address),
    row("map_beg_ip", Str, Address),
    row("map_sub_ip", Str, Address),
    row("map_dir_ip", Str, Address),
    row("map_dom_ip", Str, Address),
    row("map_end_ip", Str, Address),
    row("map_reg_ip", Str, Address),
    row("map_int_ip", Int, Address),
    row("map_ip_ip", Address, Address),
];

fn load(args: &mut ArgList, context: &mut ParseContext<'_>, row: &'static Converter) -> Result<(), String> {
    let method = match row.name.split('_').nth(1) {
        None => MatchMethod::Str,
        Some("regm") => MatchMethod::Reg,
        Some(name) => MatchMethod::find(name.as_bytes()).ok_or("a map needs a matching method")?,
    };
    let file = args.text(0).unwrap_or_default();
    let usage = Usage::new(ListKind::Map, context);
    let list = context.patterns.load(file, true, &usage, context.read_file)?;
    let matcher = list
        .matcher(method, false, Some(row.output))
        .map_err(|reason| format!("file '{}', {reason}", String::from_utf8_lossy(file)))?;
    let default = args.text(1).map(|text| map_value(row.output, text)).transpose()?;
    *args = vec![Arg::Map(Box::new(MapUse { list, matcher, default }))];
    Ok(())
}

fn map_of(args: &[Arg]) -> Option<&MapUse> {
    match args.first() {
        Some(Arg::Map(map)) => Some(map),
        Some(_) | None => None,
    }
}

fn look_up<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let map = map_of(args)?;
    let index = map.matcher.snapshot();
    match index.find(&value) {
        Some(slot) => slot.value.as_ref().map(MapValue::to_value),
        None => map.default.as_ref().map(MapValue::to_value),
    }
}

fn replace<'a>(value: Value<'a>, args: &'a [Arg], _: &Scope<'a>) -> Option<Value<'a>> {
    let map = map_of(args)?;
    let subject = cast::to_text(value)?;
    let index = map.matcher.snapshot();
    for (regex, slot) in index.regexes() {
        let mut groups = regex.locations();
        if regex.find(&subject, 0, &mut groups).is_none() {
            continue;
        }
        let Some(MapValue::Str(template)) = &slot.value else { return None };
        let mut out = Vec::new();
        expand(template, &subject, &groups, &mut out);
        return Some(Value::string(out));
    }
    map.default.as_ref().map(MapValue::to_value)
}
