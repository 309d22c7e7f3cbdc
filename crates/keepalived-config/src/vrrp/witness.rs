//! `witness` of an instance and `vrrp_witness` of `global_defs`, which keepalived has not: third parties that a node must
//! reach before it takes addresses over.

use crate::arguments::{Arguments, TIMER_MAX};
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, line, read_block};
use crate::model::{Witness, WitnessTarget};
use diag::Span;
use std::net::SocketAddr;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// Targets of one witness.
const TARGETS_MAX: usize = 16;
/// Between two rounds, and how long an answer may take.
const SECOND: Duration = Duration::from_secs(1);
const INTERVAL_MIN: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub(crate) struct WitnessDraft {
    targets: Vec<WitnessTarget>,
    quorum: Option<(usize, Span)>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
}

pub(crate) static WITNESS: &[Keyword<WitnessDraft>] = &[
    line("ping", Works, ping, "an address that answers echo requests"),
    line("tcp", Works, tcp, "an address and port that takes connections"),
    line("http", Works, http, "an address, port and path that answers with status 200 to 399"),
    line("quorum", Works, quorum, "how many must answer (more than half)"),
    line("interval", Works, interval, "seconds between rounds (1)"),
    line("timeout", Works, timeout, "longest wait for an answer (1 s)"),
];

fn push(draft: &mut WitnessDraft, arguments: &Arguments<'_>, target: WitnessTarget) -> Outcome {
    if draft.targets.len() == TARGETS_MAX {
        return fail(arguments.node.span(), format!("a witness has at most {TARGETS_MAX} targets"));
    }
    draft.targets.push(target);
    Ok(())
}

fn ping(draft: &mut WitnessDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let address = arguments.address()?;
    push(draft, arguments, WitnessTarget::Ping(address))
}

fn socket(arguments: Args<'_, '_>) -> Outcome<SocketAddr> {
    Ok(SocketAddr::new(arguments.address()?, arguments.port()?))
}

fn tcp(draft: &mut WitnessDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let socket = socket(arguments)?;
    push(draft, arguments, WitnessTarget::Tcp(socket))
}

fn http(draft: &mut WitnessDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let socket = socket(arguments)?;
    let path = match arguments.peek() {
        Some(_) => arguments.word("a path")?,
        None => return push(draft, arguments, WitnessTarget::Http { socket, path: "/".to_owned() }),
    };
    if !path.value.starts_with('/') || path.value.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return fail(path.span, "a path begins with `/` and has no blanks or control characters");
    }
    push(draft, arguments, WitnessTarget::Http { socket, path: path.value })
}

fn quorum(draft: &mut WitnessDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let number = arguments.integer(1..=TARGETS_MAX as i64)? as usize;
    draft.quorum = Some((number, arguments.node.span()));
    Ok(())
}

fn interval(draft: &mut WitnessDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.interval = Some(arguments.seconds(INTERVAL_MIN, TIMER_MAX)?);
    Ok(())
}

fn timeout(draft: &mut WitnessDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.timeout = Some(arguments.seconds(INTERVAL_MIN, TIMER_MAX)?);
    Ok(())
}

/// Reads the block.
pub(crate) fn read(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome<Witness> {
    let mut draft = WitnessDraft::default();
    read_block(arguments.block(), || WITNESS.iter(), "witness", &mut draft, context);
    if draft.targets.is_empty() {
        return fail(arguments.node.span(), "a witness needs a `ping`, `tcp` or `http` line");
    }
    let count = draft.targets.len();
    let quorum = match draft.quorum {
        Some((quorum, span)) if quorum > count => {
            return fail(span, format!("{quorum} answers are wanted of {count} targets"));
        }
        Some((quorum, _)) => quorum,
        None => count / 2 + 1,
    };
    Ok(Witness {
        targets: draft.targets,
        quorum,
        interval: draft.interval.unwrap_or(SECOND),
        timeout: draft.timeout.unwrap_or(SECOND),
    })
}
