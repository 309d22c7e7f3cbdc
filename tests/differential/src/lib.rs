//! Differential tests: one scenario, run against the real haproxy and against hawser, results compared.
//!
//! This library owns what every scenario needs: starting and stopping either program ([`Program`], [`Instance`]),
//! scripted backends ([`Backend`]), raw clients ([`Client`]), log sinks ([`Sink`]) and the few normalisations that
//! two honest runs need ([`normalise`]). It never decides what is right: haproxy does, and the scenario's own
//! assertions.
//!
//! `HAWSER_DIFF=haproxy-only` (or `hawser-only`) runs one side alone, for writing scenarios; `HAWSER_BIN` and
//! `HAPROXY_BIN` choose the binaries.

#![forbid(unsafe_code)]

mod backend;
mod client;
pub mod http2;
pub mod normalise;
mod port;
mod program;
mod sink;
mod wire;

pub use backend::{Backend, Connection, Reply};
pub use client::Client;
pub use port::{ReservedPort, SaturatedPort};
pub use program::{Exit, Instance, Launch, Program, hawser_binary};
pub use sink::Sink;
pub use wire::{Coding, Headers, Request, Response};

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// The longest a scenario waits for anything single. A program that needs longer is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What each program answered to the same scenario; a side that was not run is `None`.
#[derive(Debug)]
pub struct Both<T> {
    pub haproxy: Option<T>,
    pub hawser: Option<T>,
}

/// Runs the scenario against both programs at the same time.
///
/// The scenario starts its own backends, so that the two runs share nothing.
pub fn both<T: Send>(scenario: impl Fn(Program) -> T + Sync) -> Both<T> {
    let only = std::env::var("HAWSER_DIFF").unwrap_or_default();
    thread::scope(|scope| {
        let run = |program: Program| {
            let wanted = match program {
                Program::Haproxy => only != "hawser-only",
                Program::Hawser => only != "haproxy-only",
            };
            let scenario = &scenario;
            wanted.then(|| {
                thread::Builder::new()
                    .name(program.name().to_owned())
                    .spawn_scoped(scope, move || scenario(program))
                    .expect("a thread for the scenario")
            })
        };
        let (haproxy, hawser) = (run(Program::Haproxy), run(Program::Hawser));
        let haproxy = haproxy.map(|thread| thread.join());
        let hawser = hawser.map(|thread| thread.join());
        let unwrap = |side: Option<thread::Result<T>>, name: &str| {
            side.map(|result| result.unwrap_or_else(|_| panic!("the scenario failed on {name} (see above)")))
        };
        Both { haproxy: unwrap(haproxy, "haproxy"), hawser: unwrap(hawser, "hawser") }
    })
}

/// Runs the scenario against both programs, asserts that they gave the same result, and returns it.
#[track_caller]
pub fn same<T: Send + PartialEq + Debug>(scenario: impl Fn(Program) -> T + Sync) -> T {
    match both(scenario) {
        Both { haproxy: Some(haproxy), hawser: Some(hawser) } => {
            assert!(haproxy == hawser, "hawser differs from haproxy\n{}", difference(&haproxy, &hawser));
            haproxy
        }
        Both { haproxy: Some(result), hawser: None } | Both { haproxy: None, hawser: Some(result) } => result,
        Both { haproxy: None, hawser: None } => panic!("HAWSER_DIFF left no program to run"),
    }
}

/// Lines of the two results that differ: `-` is haproxy's, `+` hawser's.
fn difference(haproxy: &impl Debug, hawser: &impl Debug) -> String {
    const LINES_SHOWN: usize = 120;
    let (old, new) = (format!("{haproxy:#?}"), format!("{hawser:#?}"));
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut shown = Vec::new();
    let (mut left, mut right) = (0, 0);
    while (left < old.len() || right < new.len()) && shown.len() < LINES_SHOWN {
        if left < old.len() && right < new.len() && old[left] == new[right] {
            (left, right) = (left + 1, right + 1);
            continue;
        }
        // The nearest place where both sides agree again.
        let (skip_left, skip_right) = (0..LINES_SHOWN)
            .flat_map(|sum| (0..=sum).map(move |part| (part, sum - part)))
            .find(|(skip_left, skip_right)| {
                old.get(left + skip_left).is_some_and(|line| new.get(right + skip_right) == Some(line))
            })
            .unwrap_or((old.len() - left, new.len() - right));
        shown.extend(old[left..left + skip_left].iter().map(|line| format!("- {line}")));
        shown.extend(new[right..right + skip_right].iter().map(|line| format!("+ {line}")));
        (left, right) = (left + skip_left, right + skip_right);
    }
    shown.truncate(LINES_SHOWN);
    shown.join("\n")
}

/// Polls until the condition holds; panics with `what` after [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A pause of the scenario itself.
pub fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
