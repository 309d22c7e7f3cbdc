//! Commands about frontends and the limits of the whole process.

use super::session::{Outcome, Reply, Session, word};
use crate::control::actions;
use crate::state::FrontendStatus;
use std::sync::atomic::Ordering::Relaxed;

pub fn disable(session: &mut Session, words: &[&str]) -> Outcome {
    let frontend = session.find_frontend(word(words, 2))?;
    match session.state().proxy(frontend).frontend.status() {
        FrontendStatus::Stopped => Err(Reply::error("Frontend was previously shut down, cannot disable.\n")),
        FrontendStatus::Paused => Err(Reply::error("All sockets are already disabled.\n")),
        FrontendStatus::Open => {
            actions::pause_frontend(session.shared(), frontend);
            Ok(Reply::Done)
        }
    }
}

pub fn enable(session: &mut Session, words: &[&str]) -> Outcome {
    let frontend = session.find_frontend(word(words, 2))?;
    match session.state().proxy(frontend).frontend.status() {
        FrontendStatus::Stopped => Err(Reply::error("Frontend was previously shut down, cannot enable.\n")),
        FrontendStatus::Open => Err(Reply::error("All sockets are already enabled.\n")),
        FrontendStatus::Paused => {
            actions::resume_frontend(session.shared(), frontend);
            Ok(Reply::Done)
        }
    }
}

pub fn shutdown(session: &mut Session, words: &[&str]) -> Outcome {
    let frontend = session.find_frontend(word(words, 2))?;
    if session.state().proxy(frontend).frontend.status() == FrontendStatus::Stopped {
        return Err(Reply::error("Frontend was already shut down.\n"));
    }
    actions::stop_frontend(session.shared(), frontend);
    Ok(Reply::Done)
}

pub fn set_maxconn(session: &mut Session, words: &[&str]) -> Outcome {
    let frontend = session.find_frontend(word(words, 3))?;
    // A word that is no number would mean 0, "no limit", to the original: refused here.
    let limit: i64 = word(words, 4).parse().map_err(|_| Reply::error("Integer value expected.\n"))?;
    let limit = u32::try_from(limit).map_err(|_| Reply::error("Value out of range.\n"))?;
    let live = &session.state().proxy(frontend).frontend;
    live.maxconn.store(limit, Relaxed);
    live.room.notify_waiters();
    Ok(Reply::Done)
}

pub fn set_maxconn_global(session: &mut Session, words: &[&str]) -> Outcome {
    let limit: i64 = word(words, 3).parse().map_err(|_| Reply::error("Expects an integer value.\n"))?;
    let process = &session.state().process;
    let limit = u32::try_from(limit).ok().filter(|limit| *limit <= process.hard_maxconn.load(Relaxed));
    let limit = limit.ok_or_else(|| Reply::error("Value out of range.\n"))?;
    // 0 goes back to what the process started with.
    process.maxconn.store(if limit == 0 { process.hard_maxconn.load(Relaxed) } else { limit }, Relaxed);
    process.room.notify_waiters();
    Ok(Reply::Done)
}

const RATE_LIMIT_USAGE: &str = "'set rate-limit' only supports :\n   \
    - 'connections global' to set the per-process maximum connection rate\n   \
    - 'sessions global' to set the per-process maximum session rate\n   \
    - 'ssl-sessions global' to set the per-process maximum SSL session rate\n   \
    - 'http-compression global' to set the per-process maximum compression speed in kB/s\n";

pub fn set_rate_limit(session: &mut Session, words: &[&str]) -> Outcome {
    let process = &session.state().process;
    let limit = match (word(words, 2), word(words, 3)) {
        ("connections", "global") => &process.max_connection_rate,
        ("sessions", "global") => &process.max_session_rate,
        // What is never done needs no limit.
        ("http-compression", "global") => &process.max_compression_rate,
        (name @ "ssl-sessions", "global") => {
            return Err(Reply::error(format!("'{name}' cannot be limited: this version does none.\n")));
        }
        _ => return Err(Reply::error(RATE_LIMIT_USAGE)),
    };
    let rate = word(words, 4).parse().map_err(|_| Reply::error("Expects an integer value.\n"))?;
    limit.store(rate, Relaxed);
    Ok(Reply::Done)
}
