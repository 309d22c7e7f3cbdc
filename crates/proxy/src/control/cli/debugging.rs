//! `debug dev …`: tries out what the process and its supervisor do when something goes wrong. Those that would write to
//! arbitrary memory or descriptors are left out.

use super::session::{Outcome, Reply, Session, word};
use std::time::{Duration, Instant};

/// The control thread is blocked or the client kept waiting at most this long.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// Bytes that `debug dev write` gives at most.
const WRITE_MAX: usize = 16 << 20;

/// Syslog level of `debug dev log`.
const LEVEL_INFO: u8 = 6;

/// Exit code of `debug dev exit` without one.
const EXIT_CODE: i32 = 0;

fn milliseconds(words: &[&str], default: u64) -> Duration {
    Duration::from_millis(word(words, 3).parse().unwrap_or(default)).min(DELAY_MAX)
}

/// A check that holds: nothing to say.
pub fn check(_: &mut Session, _: &[&str]) -> Outcome {
    Ok(Reply::Done)
}

pub fn warn(_: &mut Session, _: &[&str]) -> Outcome {
    eprintln!("[WARNING] debug dev warn: asked for by the runtime API");
    Ok(Reply::Done)
}

/// Ends the process as a broken invariant would.
pub fn abort(_: &mut Session, words: &[&str]) -> Outcome {
    eprintln!("[ALERT] {}: asked for by the runtime API", words.join(" "));
    std::process::abort()
}

pub fn exit(_: &mut Session, words: &[&str]) -> Outcome {
    std::process::exit(word(words, 3).parse().unwrap_or(EXIT_CODE))
}

/// Answers later; others are served meanwhile.
pub fn delay(_: &mut Session, words: &[&str]) -> Outcome {
    let delay = milliseconds(words, 100);
    Ok(Reply::Later(Box::pin(async move {
        tokio::time::sleep(delay).await;
        Reply::Done
    })))
}

/// Keeps the control thread busy.
pub fn busy(_: &mut Session, words: &[&str]) -> Outcome {
    let end = Instant::now() + milliseconds(words, 100);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    Ok(Reply::Done)
}

/// Sends the text to the logs of the `global` section.
pub fn log(session: &mut Session, words: &[&str]) -> Outcome {
    let text = words.get(3..).unwrap_or_default().join(" ");
    let state = session.state();
    session.shared().logs.event(None, LEVEL_INFO, &text, state.clock.wall(Instant::now()));
    Ok(Reply::Done)
}

/// Dots, 64 in a line.
pub fn write(_: &mut Session, words: &[&str]) -> Outcome {
    const LINE: usize = 65;
    if word(words, 3).is_empty() {
        return Err(Reply::error("Missing output size.\n"));
    }
    let size = word(words, 3).parse::<usize>().unwrap_or(0).min(WRITE_MAX);
    let mut out = String::with_capacity(size);
    for at in 1..=size {
        out.push(if at % LINE == 0 { '\n' } else { '.' });
    }
    Ok(Reply::Dump(out))
}
