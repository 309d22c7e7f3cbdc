//! What can be watched (`vrrp_script`, `track_file`, `vrrp_track_process`, `bfd_instance`, `track_group`), and the lists
//! that say who watches it.

use crate::arguments::{Arguments, integer};
use crate::command::{command_words, find_user, inspected};
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::{Old, Works};
use crate::keywords::{Keyword, Status, line, read_block, unknown};
use crate::language::Word;
use crate::model::{BfdSession, Command, ParameterMatch, ProxyTrack, RunAs, Script, TrackFile, TrackProcess};
use diag::{Diagnostic, Span};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// Weights of scripts, interfaces and BFD sessions.
pub(crate) const WEIGHT: RangeInclusive<i64> = -253..=253;
/// Weights of files and processes.
pub(crate) const WIDE_WEIGHT: RangeInclusive<i64> = -254..=254;

/// A line of a `track_*` list before names are known.
#[derive(Debug, Clone)]
pub(crate) struct TrackedDraft {
    pub name: Word,
    pub weight: Option<i32>,
    pub reverse: Option<bool>,
}

/// `weight N [reverse|noreverse]` after a name, or `N [reverse]` after the keyword itself.
fn weight_words(arguments: Args<'_, '_>, range: RangeInclusive<i64>) -> Outcome<(i32, bool)> {
    let weight = arguments.integer(range)? as i32;
    let reverse = arguments.take("reverse");
    Ok((weight, reverse && !arguments.take("noreverse")))
}

/// Reads a `track_*` list: each line a name, perhaps with its weight.
pub(crate) fn read_list(
    list: &mut Vec<TrackedDraft>,
    arguments: Args<'_, '_>,
    range: RangeInclusive<i64>,
    context: &mut Context<'_>,
) -> Outcome {
    for node in arguments.block() {
        match read_entry(&mut Arguments::new(node), range.clone()) {
            Ok(entry) => {
                if let Some(first) = list.iter().find(|other| other.name.value == entry.name.value) {
                    context.problem(
                        Diagnostic::warning(
                            entry.name.span,
                            format!("`{}` is in this list already", entry.name.value),
                        )
                        .with_note(first.name.span, "here"),
                    );
                } else {
                    list.push(entry);
                }
            }
            Err(error) => context.push_alert(*error),
        }
    }
    Ok(())
}

fn read_entry(arguments: Args<'_, '_>, range: RangeInclusive<i64>) -> Outcome<TrackedDraft> {
    let name = arguments.word("a name")?;
    let mut entry = TrackedDraft { name, weight: None, reverse: None };
    while let Some(word) = arguments.next() {
        match word.value.as_str() {
            "weight" => entry.weight = Some(arguments.integer(range.clone())? as i32),
            "reverse" => entry.reverse = Some(true),
            "noreverse" | "no_reverse" => entry.reverse = Some(false),
            _ => {
                let mut error = unknown("word", &word, "this list", ["weight", "reverse", "noreverse"]);
                error.help.get_or_insert_with(|| "each name needs a line of its own".to_owned());
                return Err(error);
            }
        }
    }
    Ok(entry)
}

/// `track_proxy { frontend NAME; backend NAME; }`, our extension: the health of proxies in the same program.
pub(crate) fn read_proxies(
    list: &mut Vec<(ProxyTrack, i32, bool, Span)>,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    for node in arguments.block() {
        match read_proxy(&mut Arguments::new(node)) {
            Ok(entry) => list.push(entry),
            Err(error) => context.push_alert(*error),
        }
    }
    Ok(())
}

fn read_proxy(arguments: Args<'_, '_>) -> Outcome<(ProxyTrack, i32, bool, Span)> {
    let kind = arguments.word("frontend or backend")?;
    let name = arguments.word("the name of a proxy")?;
    // Both `a;` and `a` are written: some like a mark at the end of a line.
    let text = name.value.trim_end_matches(';').to_owned();
    let what = match kind.value.as_str() {
        "frontend" => ProxyTrack::Frontend(text),
        "backend" => ProxyTrack::Backend(text),
        _ => return Err(unknown("word", &kind, "track_proxy", ["frontend", "backend"])),
    };
    let (mut weight, mut reverse) = (0, false);
    if arguments.take("weight") {
        (weight, reverse) = weight_words(arguments, WEIGHT)?;
    }
    match arguments.next() {
        Some(extra) => fail(extra.span, format!("`{}` is one word too many", extra.value)),
        None => Ok((what, weight, reverse, name.span)),
    }
}

/// `vrrp_script`
#[derive(Debug)]
pub(crate) struct ScriptDraft {
    name: Word,
    words: Option<(Vec<String>, Span)>,
    interval: Duration,
    timeout: Option<Duration>,
    weight: i32,
    reverse: bool,
    rise: u32,
    fall: u32,
    user: Option<RunAs>,
    init_fail: bool,
}

pub(crate) static SCRIPT: &[Keyword<ScriptDraft>] = &[
    line(
        "script",
        Works,
        |draft, arguments, context| {
            draft.words = Some(command_words(arguments, context)?);
            Ok(())
        },
        "command to run",
    ),
    line(
        "interval",
        Works,
        |draft, arguments, context| {
            draft.interval = positive(arguments, context)?;
            Ok(())
        },
        "seconds between runs (1)",
    ),
    line(
        "timeout",
        Works,
        |draft, arguments, context| {
            draft.timeout = Some(positive(arguments, context)?);
            Ok(())
        },
        "longest run (the interval); longer is a failure",
    ),
    line(
        "weight",
        Works,
        |draft, arguments, _| {
            (draft.weight, draft.reverse) = weight_words(arguments, WEIGHT)?;
            Ok(())
        },
        "change of priority; 0: failure is FAULT",
    ),
    line(
        "rise",
        Works,
        |draft, arguments, _| {
            draft.rise = arguments.integer(1..=i64::from(i32::MAX))? as u32;
            Ok(())
        },
        "successes until up (1)",
    ),
    line(
        "fall",
        Works,
        |draft, arguments, _| {
            draft.fall = arguments.integer(1..=i64::from(i32::MAX))? as u32;
            Ok(())
        },
        "failures until down (1)",
    ),
    line(
        "user",
        Works,
        |draft, arguments, context| {
            let user = arguments.word("a user")?;
            let group = arguments.next();
            draft.user = Some(find_user(&user, group.as_ref(), context)?);
            Ok(())
        },
        "user and group of the script",
    ),
    line(
        "init_fail",
        Works,
        |draft, _, _| {
            draft.init_fail = true;
            Ok(())
        },
        "starts as failed",
    ),
];

/// Seconds above zero. keepalived takes whole ones; fractions are finer here.
fn positive(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome<Duration> {
    let span = arguments.peek().map_or(arguments.end(), |word| word.span);
    let time = arguments.timer()?;
    if time.is_zero() {
        context.adjust(span, "this must be more than 0: 1 s is taken");
        return Ok(Duration::from_secs(1));
    }
    if time.subsec_nanos() != 0 {
        context.problem(Diagnostic::notice(span, "keepalived takes whole seconds only here"));
    }
    Ok(time)
}

pub(crate) fn read_script(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome<Option<Script>> {
    let name = arguments.block_name("vrrp_script")?;
    let mut draft = ScriptDraft {
        name,
        words: None,
        interval: Duration::from_secs(1),
        timeout: None,
        weight: 0,
        reverse: false,
        rise: 1,
        fall: 1,
        user: None,
        init_fail: false,
    };
    let alerts = context.report.alerts();
    read_block(arguments.block(), || SCRIPT.iter(), "vrrp_script", &mut draft, context);
    let Some((words, span)) = draft.words else {
        return if context.report.alerts() > alerts {
            Ok(None)
        } else {
            fail(draft.name.span, format!("vrrp_script `{}` has no `script`", draft.name.value))
        };
    };
    if draft.user.is_none() && context.script_user_missing {
        context.no_script_user(span);
        context.dropped_scripts.push(draft.name.value);
        return Ok(None);
    }
    let run_as = draft.user.unwrap_or(context.script_user);
    Ok(Some(Script {
        name: draft.name.value,
        span,
        command: Command { words, run_as },
        interval: draft.interval,
        timeout: draft.timeout.unwrap_or(draft.interval),
        weight: draft.weight,
        reverse: draft.reverse,
        rise: draft.rise,
        fall: draft.fall,
        init_fail: draft.init_fail,
    }))
}

/// Looks at the program of a script that is used.
pub(crate) fn inspect_script(script: &Script, context: &mut Context<'_>) {
    if inspected(script.command.clone(), script.span, context).is_none() {
        context.adjust(script.span, format!("script `{}` never runs", script.name));
    }
}

/// `track_file`
pub(crate) struct FileDraft {
    path: Option<PathBuf>,
    weight: i32,
    reverse: bool,
    initial: Option<i64>,
    overwrite: bool,
}

pub(crate) static FILE: &[Keyword<FileDraft>] = &[
    line(
        "file",
        Works,
        |draft, arguments, _| {
            draft.path = Some(arguments.path("a path")?);
            Ok(())
        },
        "the file",
    ),
    line(
        "weight",
        Works,
        |draft, arguments, _| {
            (draft.weight, draft.reverse) = weight_words(arguments, -2_147_483_647..=2_147_483_647)?;
            Ok(())
        },
        "factor on its number (1); 0: not zero is FAULT",
    ),
    line(
        "init_file",
        Works,
        |draft, arguments, _| {
            draft.initial = Some(0);
            while let Some(word) = arguments.next() {
                if word.value == "overwrite" {
                    draft.overwrite = true;
                } else if word.value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                    draft.initial = Some(integer(&word, -2_147_483_648..=2_147_483_647)?);
                } else {
                    return fail(word.span, format!("`{}` is neither a number nor `overwrite`", word.value));
                }
            }
            Ok(())
        },
        "write a number to it at start",
    ),
];

pub(crate) fn read_file(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome<Option<TrackFile>> {
    let name = arguments.block_name("track_file")?;
    let mut draft = FileDraft { path: None, weight: 1, reverse: false, initial: None, overwrite: false };
    read_block(arguments.block(), || FILE.iter(), "track_file", &mut draft, context);
    let Some(path) = draft.path else {
        return fail(name.span, format!("track_file `{}` has no `file`", name.value));
    };
    Ok(Some(TrackFile {
        name: name.value,
        span: name.span,
        path,
        weight: draft.weight,
        reverse: draft.reverse,
        initial: draft.initial,
        overwrite: draft.overwrite,
    }))
}

/// `vrrp_track_process`
pub(crate) struct ProcessDraft {
    process: Vec<String>,
    parameters: Option<ParameterMatch>,
    weight: i32,
    reverse: bool,
    quorum: u32,
    quorum_max: Option<(u32, Span)>,
    fork_delay: Duration,
    terminate_delay: Duration,
    full_command: bool,
}

/// Longest delay of a process, an hour.
const PROCESS_DELAY_MAX: Duration = Duration::from_secs(3600);
const QUORUM_MAX: i64 = 65_535;

pub(crate) static PROCESS: &[Keyword<ProcessDraft>] = &[
    line(
        "process",
        Works,
        |draft, arguments, _| {
            let keyword_end = arguments.end();
            draft.process = arguments.quoted_rest()?.into_iter().map(|word| word.value).collect();
            if draft.process.is_empty() { fail(keyword_end, "`process` needs a name") } else { Ok(()) }
        },
        "name and parameters of the process",
    ),
    line(
        "param_match",
        Works,
        |draft, arguments, _| {
            let word = arguments.word("initial or partial")?;
            draft.parameters = Some(match word.value.as_str() {
                "initial" => ParameterMatch::Initial,
                "partial" => ParameterMatch::Partial,
                other => return fail(word.span, format!("`{other}` is neither initial nor partial")),
            });
            Ok(())
        },
        "how parameters are compared",
    ),
    line(
        "weight",
        Works,
        |draft, arguments, _| {
            (draft.weight, draft.reverse) = weight_words(arguments, WIDE_WEIGHT)?;
            Ok(())
        },
        "change of priority; 0: FAULT",
    ),
    line(
        "quorum",
        Works,
        |draft, arguments, _| {
            draft.quorum = arguments.integer(1..=QUORUM_MAX)? as u32;
            Ok(())
        },
        "fewest processes (1)",
    ),
    line(
        "quorum_max",
        Works,
        |draft, arguments, _| {
            let span = arguments.peek().map_or(arguments.end(), |word| word.span);
            draft.quorum_max = Some((arguments.integer(0..=QUORUM_MAX)? as u32, span));
            Ok(())
        },
        "most processes",
    ),
    line(
        "fork_delay",
        Works,
        |draft, arguments, _| {
            draft.fork_delay = arguments.seconds(Duration::from_micros(1), PROCESS_DELAY_MAX)?;
            Ok(())
        },
        "wait before a gained quorum counts",
    ),
    line(
        "terminate_delay",
        Works,
        |draft, arguments, _| {
            draft.terminate_delay = arguments.seconds(Duration::from_micros(1), PROCESS_DELAY_MAX)?;
            Ok(())
        },
        "wait before a lost quorum counts",
    ),
    line(
        "delay",
        Works,
        |draft, arguments, _| {
            draft.fork_delay = arguments.seconds(Duration::from_micros(1), PROCESS_DELAY_MAX)?;
            draft.terminate_delay = draft.fork_delay;
            Ok(())
        },
        "both delays",
    ),
    line(
        "full_command",
        Works,
        |draft, _, _| {
            draft.full_command = true;
            Ok(())
        },
        "compare the whole command line",
    ),
];

pub(crate) fn read_process(
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<Option<TrackProcess>> {
    let name = arguments.block_name("vrrp_track_process")?;
    let mut draft = ProcessDraft {
        process: Vec::new(),
        parameters: None,
        weight: 0,
        reverse: false,
        quorum: 1,
        quorum_max: None,
        fork_delay: Duration::ZERO,
        terminate_delay: Duration::ZERO,
        full_command: false,
    };
    read_block(arguments.block(), || PROCESS.iter(), "vrrp_track_process", &mut draft, context);
    if draft.process.is_empty() {
        return fail(name.span, format!("vrrp_track_process `{}` has no `process`", name.value));
    }
    if let Some((most, span)) = draft.quorum_max
        && most != 0
        && most < draft.quorum
    {
        return fail(span, format!("quorum_max {most} is less than quorum {}", draft.quorum));
    }
    let has_parameters = draft.process.len() > 1;
    Ok(Some(TrackProcess {
        name: name.value,
        span: name.span,
        process: draft.process,
        parameters: match draft.parameters {
            Some(given) => given,
            None if has_parameters => ParameterMatch::Exact,
            None => ParameterMatch::Ignored,
        },
        weight: draft.weight,
        reverse: draft.reverse,
        quorum: draft.quorum,
        quorum_max: draft.quorum_max.map(|(most, _)| most),
        fork_delay: draft.fork_delay,
        terminate_delay: draft.terminate_delay,
        // Parameters are in the command line only.
        full_command: draft.full_command || has_parameters || draft.parameters.is_some(),
    }))
}

/// `bfd_instance`
pub(crate) struct BfdDraft {
    session: BfdSession,
    neighbor_given: bool,
    for_one: bool,
}

pub(crate) static BFD: &[Keyword<BfdDraft>] = &[
    line("neighbor_ip", Works, bfd_neighbor, "the peer"),
    line("neighbour_ip", Works, bfd_neighbor, "the same in British spelling"),
    line(
        "source_ip",
        Works,
        |draft, arguments, _| {
            draft.session.source = Some(arguments.address()?);
            Ok(())
        },
        "local address",
    ),
    line(
        "min_rx",
        Works,
        |draft, arguments, _| bfd_interval(&mut draft.session.receive_interval, arguments),
        "least receive interval in ms (10)",
    ),
    line(
        "min_tx",
        Works,
        |draft, arguments, _| bfd_interval(&mut draft.session.send_interval, arguments),
        "least send interval in ms (10)",
    ),
    line(
        "idle_tx",
        Works,
        |draft, arguments, _| bfd_interval(&mut draft.session.idle_interval, arguments),
        "send interval while down in ms (1000)",
    ),
    line(
        "multiplier",
        Works,
        |draft, arguments, _| {
            draft.session.multiplier = arguments.integer(1..=255)? as u8;
            Ok(())
        },
        "missed packets until down (5)",
    ),
    line(
        "passive",
        Works,
        |draft, _, _| {
            draft.session.passive = true;
            Ok(())
        },
        "wait for the peer",
    ),
    line("ttl", Works, |draft, arguments, _| bfd_ttl(draft, arguments), "TTL of packets"),
    line("hoplimit", Works, |draft, arguments, _| bfd_ttl(draft, arguments), "hop limit of packets"),
    line(
        "max_hops",
        Works,
        |draft, arguments, _| {
            draft.session.hops_max = arguments.integer(0..=255)? as u8;
            Ok(())
        },
        "largest loss of TTL",
    ),
    line(
        "multihop",
        Works,
        |draft, _, _| {
            draft.session.multihop = true;
            Ok(())
        },
        "RFC 5883",
    ),
    line(
        "weight",
        Works,
        |draft, arguments, _| {
            (draft.session.weight, draft.session.reverse) = weight_words(arguments, WEIGHT)?;
            Ok(())
        },
        "change of priority",
    ),
    line(
        "vrrp",
        Works,
        |draft, _, _| {
            draft.session.for_vrrp = true;
            draft.for_one = true;
            Ok(())
        },
        "events for VRRP only",
    ),
    line(
        "checker",
        Works,
        |draft, _, _| {
            draft.session.for_checkers = true;
            draft.for_one = true;
            Ok(())
        },
        "events for checkers only",
    ),
];

/// The status of `vrrp_track_file`.
pub(crate) const OLD_TRACK_FILE: Status = Old("track_file");

fn bfd_neighbor(draft: &mut BfdDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.session.neighbor = arguments.address()?;
    draft.neighbor_given = true;
    Ok(())
}

fn bfd_ttl(draft: &mut BfdDraft, arguments: Args<'_, '_>) -> Outcome {
    draft.session.ttl = arguments.integer(1..=255)? as u8;
    Ok(())
}

/// Milliseconds with a fraction down to microseconds.
fn bfd_interval(target: &mut Duration, arguments: Args<'_, '_>) -> Outcome {
    // Read as seconds, then a thousandth of it.
    let most = Duration::from_secs(4_294_967);
    *target = arguments.seconds(Duration::from_secs(1), most)? / 1000;
    Ok(())
}

pub(crate) fn read_bfd(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome<Option<BfdSession>> {
    let name = arguments.block_name("bfd_instance")?;
    let mut draft = BfdDraft {
        session: BfdSession {
            name: name.value.clone(),
            span: name.span,
            neighbor: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            source: None,
            receive_interval: Duration::from_millis(10),
            send_interval: Duration::from_millis(10),
            idle_interval: Duration::from_secs(1),
            multiplier: 5,
            passive: false,
            ttl: 0,
            hops_max: 0,
            multihop: false,
            weight: 0,
            reverse: false,
            for_vrrp: false,
            for_checkers: false,
        },
        neighbor_given: false,
        for_one: false,
    };
    read_block(arguments.block(), || BFD.iter(), "bfd_instance", &mut draft, context);
    if !draft.neighbor_given {
        return fail(name.span, format!("bfd_instance `{}` has no `neighbor_ip`", name.value));
    }
    let session = &mut draft.session;
    if session.source.is_some_and(|source| source.is_ipv4() != session.neighbor.is_ipv4()) {
        return fail(name.span, "source_ip and neighbor_ip are of different families");
    }
    if session.ttl == 0 {
        session.ttl = if session.neighbor.is_ipv4() { 255 } else { 64 };
    }
    session.for_vrrp |= !draft.for_one;
    session.for_checkers |= !draft.for_one;
    Ok(Some(draft.session))
}
