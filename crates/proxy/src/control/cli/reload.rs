//! `reload` and `show generations`: the configuration in force is replaced, and what of former ones still lives.

use super::session::{Outcome, Reply, Session};
use super::workers::ask_all;
use crate::run::Command;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// `reload`: reads the files again. The reply is in the form of HAProxy's master from 2.7 on: whether it succeeded, then
/// what was told.
pub fn reload(session: &mut Session, _: &[&str]) -> Outcome {
    let Some(commands) = &session.control.commands else {
        return Err(Reply::error("This process does not read its configuration from files.\n"));
    };
    let (asker, outcome) = oneshot::channel();
    if commands.send(Command::Reload(Some(asker))).is_err() {
        return Err(Reply::error("The process stops.\n"));
    }
    Ok(Reply::Later(Box::pin(async move {
        match outcome.await {
            Ok(outcome) => {
                Reply::Dump(format!("Success={}\n--\n{}", u8::from(outcome.succeeded), outcome.log))
            }
            Err(_) => Reply::error("The process stops.\n"),
        }
    })))
}

/// `show generations`: every configuration that has connections, the one in force first.
pub fn show_generations(session: &mut Session, _: &[&str]) -> Outcome {
    let control = Rc::clone(&session.control);
    Ok(Reply::Later(Box::pin(async move {
        let seen = ask_all(&control, |worker| {
            let shared = &worker.shared;
            (shared.number, shared.since, worker.sessions.borrow().len(), worker.is_retired())
        })
        .await;
        let mut generations: BTreeMap<u64, (Instant, usize, bool)> = BTreeMap::new();
        let current = &control.shared;
        generations.insert(current.number, (current.since, 0, false));
        for (number, since, sessions, retired) in seen {
            let row = generations.entry(number).or_insert((since, 0, retired));
            row.1 += sessions;
        }
        let mut out = String::from("# generation age sessions state\n");
        for (number, (since, sessions, retired)) in generations.iter().rev() {
            let state = if *retired { "former" } else { "current" };
            let _ = writeln!(out, "{number} {}s {sessions} {state}", since.elapsed().as_secs());
        }
        let _ = writeln!(out, "# in memory: {}", Arc::strong_count(&current.living));
        Reply::Dump(out)
    })))
}
