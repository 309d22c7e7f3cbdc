//! One small function for each action that works on a connection or a stream.

use super::keywords::Parsed;
use super::parse::{Line, stream};
use super::stream::*;
use super::{HttpAction, Ruleset, TcpAction};
use crate::convert;
use crate::log_format::Dialect;
use crate::units::{parse_size, parse_time};
use crate::{LoadError, VariableName, Word};
use std::time::Duration;

type Result<T = Parsed> = std::result::Result<T, LoadError>;

/// Counters that a stream can track.
const COUNTERS_MAX: i64 = 3;
/// Elements of `gpc` and `gpt` arrays.
const ARRAY_MAX: i64 = crate::stick_table::ARRAY_LEN_MAX as i64;

pub(super) fn accept(_: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Tcp(TcpAction::Accept))
}

pub(super) fn close(_: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Tcp(TcpAction::Close))
}

pub(super) fn reject(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(match line.ruleset {
        Ruleset::HttpRequest | Ruleset::HttpResponse | Ruleset::HttpAfterResponse => {
            Parsed::Http(HttpAction::Reject)
        }
        Ruleset::TcpRequestConnection
        | Ruleset::TcpRequestSession
        | Ruleset::TcpRequestContent
        | Ruleset::TcpResponseContent => Parsed::Tcp(TcpAction::Reject),
    })
}

pub(super) fn refused(line: &mut Line<'_, '_, '_>) -> Result {
    Err(match line.keyword.name {
        "send-spoe-group" => {
            line.refuse("there is no SPOE; rules, maps and variables cover most of its uses")
        }
        _ => line
            .refuse("there is no OpenTracing filter; log formats with a unique id can be joined into traces"),
    })
}

fn layer4(line: &mut Line<'_, '_, '_>) -> Result<()> {
    if line.accept("layer4") { Ok(()) } else { Err(line.error_here("'layer4' expected here")) }
}

pub(super) fn expect_proxy(line: &mut Line<'_, '_, '_>) -> Result {
    layer4(line)?;
    Ok(Parsed::Tcp(TcpAction::ExpectProxy))
}

pub(super) fn expect_netscaler_cip(line: &mut Line<'_, '_, '_>) -> Result {
    layer4(line)?;
    Ok(Parsed::Tcp(TcpAction::ExpectNetscalerCip))
}

pub(super) fn switch_mode(line: &mut Line<'_, '_, '_>) -> Result {
    if !line.accept("http") {
        return Err(line.error_here("'switch-mode' knows 'http' only"));
    }
    let proto = match line.accept("proto") {
        true => {
            let (word, name) = line.text("a protocol name")?;
            if !matches!(name, "h1" | "h2") {
                return Err(line.error(word.span, format!("'{name}' is not HTTP: h1 or h2 is expected")));
            }
            Some(name.into())
        }
        false => None,
    };
    Ok(Parsed::Tcp(TcpAction::SwitchModeHttp { proto }))
}

pub(super) fn silent_drop(_: &mut Line<'_, '_, '_>) -> Result {
    stream(StreamAction::SilentDrop)
}

fn variable(line: &Line<'_, '_, '_>, word: Word<'_>) -> Result<VariableName> {
    VariableName::parse(word.text).map_err(|message| line.error(word.span, message))
}

fn variable_argument(line: &Line<'_, '_, '_>) -> Result<(VariableName, Vec<VariableCondition>)> {
    let arguments = line.arguments();
    let Some((&name, words)) = arguments.split_first() else {
        return Err(line.error(line.name.span, "a variable name is expected between the parentheses"));
    };
    let mut conditions = Vec::new();
    for word in words {
        match VariableCondition::WORDS.iter().find(|(text, _)| text.as_bytes() == word.text) {
            Some((_, condition)) => conditions.push(*condition),
            None => {
                let known: Vec<&str> = VariableCondition::WORDS.iter().map(|(text, _)| *text).collect();
                let shown = String::from_utf8_lossy(word.text);
                let message = format!("unknown condition '{shown}': it must be one of {}", known.join(", "));
                return Err(line.error(word.span, message));
            }
        }
    }
    Ok((variable(line, name)?, conditions))
}

pub(super) fn set_variable(line: &mut Line<'_, '_, '_>) -> Result {
    let (variable, conditions) = variable_argument(line)?;
    let source = match line.keyword.name {
        "set-var-fmt" => VariableSource::Format(line.format("a format", Dialect::PLAIN)?),
        _ => VariableSource::Expr(line.expr("a sample expression")?),
    };
    stream(StreamAction::SetVariable(VariableWrite { variable, conditions, source }))
}

pub(super) fn unset_variable(line: &mut Line<'_, '_, '_>) -> Result {
    let (variable, conditions) = variable_argument(line)?;
    if !conditions.is_empty() {
        return Err(line.error(line.name.span, "'unset-var' takes a variable name only"));
    }
    stream(StreamAction::UnsetVariable(variable))
}

pub(super) fn set_address(line: &mut Line<'_, '_, '_>) -> Result {
    let part = match line.keyword.name {
        "set-src" => AddressPart::Source,
        "set-src-port" => AddressPart::SourcePort,
        "set-dst" => AddressPart::Destination,
        _ => AddressPart::DestinationPort,
    };
    let wanted = match part {
        AddressPart::Source | AddressPart::Destination => &convert::AS_ADDRESS,
        AddressPart::SourcePort | AddressPart::DestinationPort => &convert::AS_NUMBER,
    };
    let value = line.expr("a sample expression")?.ending_as(wanted);
    stream(StreamAction::SetAddress { part, value })
}

pub(super) fn set_log_level(line: &mut Line<'_, '_, '_>) -> Result {
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    let (word, text) = line.text("a log level")?;
    if text == "silent" {
        return stream(StreamAction::SetLogLevel(None));
    }
    match LEVELS.iter().position(|level| *level == text) {
        Some(level) => stream(StreamAction::SetLogLevel(Some(level as u8))),
        None => {
            let message =
                format!("unknown log level '{text}': it must be silent or one of {}", LEVELS.join(", "));
            Err(line.error(word.span, message))
        }
    }
}

pub(super) fn set_nice(line: &mut Line<'_, '_, '_>) -> Result {
    // Out of range is cut, as HAProxy does.
    let nice = line.number("a nice value", i32::MIN.into()..=i32::MAX.into())?;
    stream(StreamAction::SetNice(nice.clamp(-1024, 1024) as i32))
}

pub(super) fn set_tos(line: &mut Line<'_, '_, '_>) -> Result {
    let tos = line.number("a TOS value", 0..=u32::MAX.into())?;
    if tos > 255 {
        let message = format!("a TOS value has 8 bits: {tos} is taken as {}", tos & 255);
        line.context.warnings.push(LoadError::new(line.name.span, message));
    }
    stream(StreamAction::SetTos(tos as u8))
}

pub(super) fn set_mark(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Stream(StreamAction::SetMark(line.number("a mark", 0..=u32::MAX.into())? as u32)))
}

pub(super) fn set_timeout(line: &mut Line<'_, '_, '_>) -> Result {
    let (word, text) = line.text("'client', 'server' or 'tunnel'")?;
    let which = match text {
        "client" => TimeoutWhich::Client,
        "server" => TimeoutWhich::Server,
        "tunnel" => TimeoutWhich::Tunnel,
        other => {
            let message = format!("unknown timeout '{other}': it must be client, server or tunnel");
            return Err(line.error(word.span, message));
        }
    };
    let is_of_server = matches!(which, TimeoutWhich::Server | TimeoutWhich::Tunnel);
    if is_of_server && !line.context.section.is_backend {
        let message = format!("the {text} timeout belongs to backends: set it in one");
        return Err(line.error(word.span, message));
    }
    let fixed = line.peek().filter(|word| word.text.first().is_some_and(u8::is_ascii_digit));
    let value = match fixed {
        Some(_) => {
            let (word, text) = line.text("a time")?;
            let time = parse_time(text, Duration::from_millis(1))
                .map_err(|error| line.error(word.span, format!("invalid time '{text}': {error}")))?;
            if time.is_zero() {
                return Err(line.error(word.span, "the timeout must be greater than 0"));
            }
            TimeoutValue::Fixed(time)
        }
        None => TimeoutValue::Expr(line.expr("a time or a sample expression")?),
    };
    stream(StreamAction::SetTimeout { which, value })
}

pub(super) fn set_priority_class(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Stream(StreamAction::SetPriorityClass(line.expr("a sample expression")?)))
}

pub(super) fn set_priority_offset(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Stream(StreamAction::SetPriorityOffset(line.expr("a sample expression")?)))
}

pub(super) fn capture(line: &mut Line<'_, '_, '_>) -> Result {
    let sample = line.expr("a sample expression")?;
    let is_request = matches!(line.ruleset, Ruleset::HttpRequest | Ruleset::TcpRequestContent);
    let slot = if line.accept("id") {
        CaptureSlot::Declared(line.number("the id of a capture", 0..=i32::MAX.into())? as u32)
    } else if !line.accept("len") {
        return Err(line.error_here(match is_request {
            true => "'len' or 'id' expected here",
            false => "'id' expected here: 'len' is for requests",
        }));
    } else if !is_request {
        return Err(line.error(line.name.span, "'len' is for requests: declare a capture and use its 'id'"));
    } else if !line.context.section.is_frontend {
        let message = "'len' needs a frontend: declare the capture there and use its 'id'";
        return Err(line.error(line.name.span, message));
    } else {
        CaptureSlot::Own { length: line.number("a length", 1..=i32::MAX.into())? as u32, index: 0 }
    };
    stream(StreamAction::Capture(Capture { sample, slot }))
}

pub(super) fn track(line: &mut Line<'_, '_, '_>) -> Result {
    let counter = line.keyword.name.as_bytes()["track-sc".len()] - b'0';
    let key = line.expr("the key to track")?;
    let table = match line.accept("table") {
        false => None,
        true => {
            let word = line.word("the name of a table")?;
            let shown = String::from_utf8_lossy(word.text);
            let found = line.context.names.table(word.text);
            Some(found.ok_or_else(|| {
                line.error(
                    word.span,
                    format!("unable to find table '{shown}': no section of that name has one"),
                )
            })?)
        }
    };
    stream(StreamAction::Track(Track { counter, key, table }))
}

/// `(index,counter)` of the arrays, `(counter)` of the numbered forms.
fn counter_argument(line: &Line<'_, '_, '_>) -> Result<(u32, u8)> {
    let arguments = line.arguments();
    let fixed_index = match line.keyword.name {
        "sc-inc-gpc0" | "sc-set-gpt0" => Some(0),
        "sc-inc-gpc1" => Some(1),
        _ => None,
    };
    let number =
        |word: &Word<'_>, what: &str, end: i64| {
            let text = String::from_utf8_lossy(word.text);
            text.trim().parse().ok().filter(|number| (0..end).contains(number)).ok_or_else(|| {
                line.error(word.span, format!("{what} must be 0..={}, found '{text}'", end - 1))
            })
        };
    match (fixed_index, &*arguments) {
        (Some(index), [counter]) => {
            Ok((index, number(counter, "the number of the tracked counter", COUNTERS_MAX)? as u8))
        }
        (None, [index, counter]) => {
            let index = number(index, "the index", ARRAY_MAX)? as u32;
            Ok((index, number(counter, "the number of the tracked counter", COUNTERS_MAX)? as u8))
        }
        (Some(_), _) => {
            Err(line.error(line.name.span, "one argument is expected: the number of a tracked counter"))
        }
        (None, _) => Err(line.error(
            line.name.span,
            "two arguments are expected: an index and the number of a tracked counter",
        )),
    }
}

pub(super) fn counter_increment(line: &mut Line<'_, '_, '_>) -> Result {
    let (index, counter) = counter_argument(line)?;
    stream(StreamAction::Counter(CounterChange::Increment { index, counter }))
}

fn tag_value(line: &mut Line<'_, '_, '_>) -> Result<TagValue> {
    match line.peek().filter(|word| word.text.first().is_some_and(u8::is_ascii_digit)) {
        Some(_) => Ok(TagValue::Fixed(line.number("a value", 0..=u32::MAX.into())? as u32)),
        None => Ok(TagValue::Expr(line.expr("a number or a sample expression")?)),
    }
}

pub(super) fn counter_add(line: &mut Line<'_, '_, '_>) -> Result {
    let (index, counter) = counter_argument(line)?;
    let value = tag_value(line)?;
    stream(StreamAction::Counter(CounterChange::Add { index, counter, value }))
}

pub(super) fn counter_set_tag(line: &mut Line<'_, '_, '_>) -> Result {
    let (index, counter) = counter_argument(line)?;
    let value = tag_value(line)?;
    stream(StreamAction::Counter(CounterChange::SetTag { index, counter, value }))
}

pub(super) fn list_change(line: &mut Line<'_, '_, '_>) -> Result {
    let operation = match line.keyword.name {
        "add-acl" => ListOperation::AddAcl,
        "del-acl" => ListOperation::DelAcl,
        "set-map" => ListOperation::SetMap,
        _ => ListOperation::DelMap,
    };
    let list = match line.argument {
        Some(word) if !word.text.is_empty() => word.text.into(),
        Some(_) | None => {
            return Err(line.error(line.name.span, "the name of a file is expected in parentheses"));
        }
    };
    let key = line.format("a key", Dialect::MESSAGE)?;
    let value = match operation {
        ListOperation::SetMap => Some(line.format("a value", Dialect::MESSAGE)?),
        ListOperation::AddAcl | ListOperation::DelAcl | ListOperation::DelMap => None,
    };
    stream(StreamAction::List(ListChange { operation, list, key, value }))
}

pub(super) fn do_resolve(line: &mut Line<'_, '_, '_>) -> Result {
    let arguments = line.arguments();
    let (name, resolvers, family) = match &*arguments {
        [name, resolvers] => (*name, *resolvers, None),
        [name, resolvers, family] => (*name, *resolvers, Some(*family)),
        _ => {
            let message =
                "a variable, a resolvers section and maybe 'ipv4' or 'ipv6' are expected in parentheses";
            return Err(line.error(line.name.span, message));
        }
    };
    let prefer_ipv6 = match family.map(|word| word.text) {
        None => None,
        Some(b"ipv4") => Some(false),
        Some(b"ipv6") => Some(true),
        Some(_) => return Err(line.error(line.name.span, "the third argument must be ipv4 or ipv6")),
    };
    let variable = variable(line, name)?;
    let resolvers = String::from_utf8_lossy(resolvers.text).into_owned().into();
    let name = line.expr("a sample expression")?;
    stream(StreamAction::Resolve(Box::new(Resolve { variable, resolvers, prefer_ipv6, name })))
}

pub(super) fn use_service(line: &mut Line<'_, '_, '_>) -> Result {
    let (word, text) = line.text("the name of a service")?;
    match text {
        "prometheus-exporter" if line.ruleset != Ruleset::HttpRequest => {
            Err(line.error(word.span, "this service speaks HTTP: use it in an 'http-request' rule"))
        }
        "prometheus-exporter" => stream(StreamAction::UseService(Service::PrometheusExporter)),
        other if other.starts_with("lua.") => {
            Err(line.error(word.span, "Lua is not supported: let a server answer these requests"))
        }
        other => {
            Err(line.error(word.span, format!("unknown service '{other}': prometheus-exporter is known")))
        }
    }
}

/// A number with its unit, or an expression.
fn quantity(
    line: &mut Line<'_, '_, '_>,
    fixed: impl Fn(&str) -> Option<u64>,
) -> std::result::Result<Quantity, LoadError> {
    let known = line.peek().and_then(|word| std::str::from_utf8(word.text).ok()).and_then(fixed);
    match known {
        Some(number) => {
            line.option();
            Ok(Quantity::Fixed(number))
        }
        None => line.expr("a number or a sample expression").map(Quantity::Expr),
    }
}

pub(super) fn bandwidth_limit(line: &mut Line<'_, '_, '_>) -> Result {
    let filter = line.text("the name of a bandwidth limitation filter")?.1.into();
    let mut action = BandwidthLimit { filter, limit: None, period: None };
    loop {
        if line.accept("limit") {
            action.limit = Some(quantity(line, |text| parse_size(text).ok().map(u64::from))?);
        } else if line.accept("period") {
            let milliseconds = |text: &str| {
                parse_time(text, Duration::from_millis(1)).ok().map(|time| time.as_millis() as u64)
            };
            action.period = Some(quantity(line, milliseconds)?);
        } else {
            return stream(StreamAction::SetBandwidthLimit(Box::new(action)));
        }
    }
}
