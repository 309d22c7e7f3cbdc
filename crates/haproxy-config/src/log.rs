//! `log` lines of the global section and of proxies (configuration manual §4.2 `log`).

use crate::address::{self, Wanted};
use crate::language::{SectionKind, Word};
use crate::model::{Address, LogFormatKind, LogTarget, LogTargetAddress};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};

const ADDRESS: Wanted =
    Wanted { port_required: false, port_range: false, port_offset: false, datagram: true, stream: true };

/// Port of syslog over UDP.
const SYSLOG_PORT: u16 = 514;
/// Bytes of a message unless `len` says otherwise.
const LENGTH_DEFAULT: usize = 1024;
/// Shortest and longest `len`.
const LENGTH_RANGE: std::ops::RangeInclusive<i64> = 80..=65_535;

pub(crate) const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp",
    "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

pub(crate) const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Reads `ADDRESS [len N] [format F] [sample RANGES:SIZE] FACILITY [MAX [MIN]]`.
pub(crate) fn parse(arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome<LogTarget> {
    let word = arguments.expect("an address, such as 127.0.0.1:514 or /dev/log")?;
    let address = target(word, context)?;
    let mut log = LogTarget {
        format: LogFormatKind::Unspecified,
        address,
        max_length: LENGTH_DEFAULT,
        sample: None,
        facility: 0,
        max_level: 7,
        min_level: 0,
    };
    loop {
        if arguments.take("len") {
            log.max_length = arguments.integer(LENGTH_RANGE)? as usize;
        } else if arguments.take("format") {
            log.format = format(arguments)?;
        } else if arguments.take("sample") {
            log.sample = Some(sample(arguments.expect("ranges and a size, such as 1-3:10")?)?);
        } else {
            break;
        }
    }
    let facility = arguments.expect("a facility, such as local0")?;
    log.facility = position(&FACILITIES, facility, "facility")?;
    if let Some(level) = arguments.next() {
        log.max_level = position(&LEVELS, level, "level")?;
    }
    if let Some(level) = arguments.next() {
        log.min_level = position(&LEVELS, level, "level")?;
    }
    arguments.end()?;
    Ok(log)
}

/// The next word as the name of a message format.
pub(crate) fn format(arguments: &mut Arguments<'_>) -> Outcome<LogFormatKind> {
    arguments.choice(&[
        ("local", LogFormatKind::Local),
        ("rfc3164", LogFormatKind::Rfc3164),
        ("rfc5424", LogFormatKind::Rfc5424),
        ("priority", LogFormatKind::Priority),
        ("short", LogFormatKind::Short),
        ("timed", LogFormatKind::Timed),
        ("iso", LogFormatKind::Iso),
        ("raw", LogFormatKind::Raw),
    ])
}

/// The number of a log level by name.
pub(crate) fn level(word: &Word) -> Outcome<u8> {
    position(&LEVELS, word, "level")
}

fn position(names: &[&'static str], word: &Word, what: &str) -> Outcome<u8> {
    match names.iter().position(|name| *name == word.value) {
        Some(position) => Ok(position as u8),
        None => {
            let message = format!("unknown log {what} `{}`", word.value);
            match diag::nearest(&word.value, names.iter().copied()) {
                Some(near) => fail_with_help(word.span, message, format!("did you mean `{near}`?")),
                None => fail_with_help(word.span, message, format!("use one of {}", names.join(", "))),
            }
        }
    }
}

fn target(word: &Word, context: &mut Context<'_>) -> Outcome<LogTargetAddress> {
    let text = address::expand_variables(&word.value, context.environment);
    match text.as_str() {
        "stdout" => return Ok(LogTargetAddress::Stdout),
        "stderr" => return Ok(LogTargetAddress::Stderr),
        _ => {}
    }
    if let Some(name) = text.strip_prefix("ring@") {
        if context.names.other(SectionKind::Ring, name).is_none() {
            // The real one says so when it starts, and not when it checks.
            context.warn(word.span, format!("there is no ring `{name}`: nothing will start"));
        }
        return Ok(LogTargetAddress::Ring(name.to_owned()));
    }
    let endpoint = address::endpoint(word, context.environment, ADDRESS)?;
    if endpoint.is_stream {
        return fail(word.span, "logs over TCP are not implemented: use UDP or a UNIX datagram socket");
    }
    Ok(match endpoint.address {
        Address::Fd(number) => LogTargetAddress::Fd(number),
        Address::Inet { ip, port: 0 } => LogTargetAddress::Datagram(Address::Inet { ip, port: SYSLOG_PORT }),
        Address::Host { name, port: 0 } => {
            LogTargetAddress::Datagram(Address::Host { name, port: SYSLOG_PORT })
        }
        other @ (Address::Inet { .. } | Address::Host { .. } | Address::Unix(_) | Address::Abstract(_)) => {
            LogTargetAddress::Datagram(other)
        }
    })
}

/// `1-3,5:10`: of every 10 messages the first to third and the fifth.
fn sample(word: &Word) -> Outcome<(Vec<(u32, u32)>, u32)> {
    let wrong =
        || fail(word.span, format!("`{}` is no sample: expected RANGES:SIZE, such as 1-3,5:10", word.value));
    let Some((ranges, size)) = word.value.split_once(':') else { return wrong() };
    let Ok(size) = size.parse::<u32>() else { return wrong() };
    let mut parsed: Vec<(u32, u32)> = Vec::new();
    for range in ranges.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        match (low.parse::<u32>(), high.parse::<u32>()) {
            (Ok(low), Ok(high)) if 1 <= low && low <= high && high <= size => parsed.push((low, high)),
            _ => return wrong(),
        }
    }
    parsed.sort_unstable();
    if parsed.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
        return fail(word.span, "the ranges of a sample must not overlap");
    }
    Ok((parsed, size))
}
