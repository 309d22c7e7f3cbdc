//! Commands about the client itself: prompt, level, timeout, severity.

use super::session::{Outcome, Reply, Session, word};
use haproxy_config::model::{Level, SeverityOutput};
use std::time::Duration;

/// Longest idle time that can be set.
const TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

pub fn prompt(session: &mut Session, _: &[&str]) -> Outcome {
    session.prompt = !session.prompt;
    Ok(Reply::Done)
}

pub fn quit(session: &mut Session, _: &[&str]) -> Outcome {
    session.quits = true;
    Ok(Reply::Done)
}

pub fn user(session: &mut Session, _: &[&str]) -> Outcome {
    lower(session, Level::User)
}

pub fn operator(session: &mut Session, _: &[&str]) -> Outcome {
    lower(session, Level::Operator)
}

fn lower(session: &mut Session, level: Level) -> Outcome {
    session.level = level;
    // What the higher level allowed is gone with it.
    session.expert = false;
    session.experimental = false;
    Ok(Reply::Done)
}

pub fn show_level(session: &mut Session, _: &[&str]) -> Outcome {
    Ok(Reply::info(format!("{}\n", level_name(session.level))))
}

pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::User => "user",
        Level::Operator => "operator",
        Level::Admin => "admin",
    }
}

pub fn expert_mode(session: &mut Session, words: &[&str]) -> Outcome {
    let (mode, reply) = switch(session.expert, words);
    session.expert = mode;
    reply
}

pub fn experimental_mode(session: &mut Session, words: &[&str]) -> Outcome {
    let (mode, reply) = switch(session.experimental, words);
    session.experimental = mode;
    reply
}

fn switch(mode: bool, words: &[&str]) -> (bool, Outcome) {
    match word(words, 1) {
        "" => {
            let text = format!("{} is {}\n", words[0], if mode { "ON" } else { "OFF" });
            (mode, Ok(Reply::info(text)))
        }
        wanted => (wanted == "on", Ok(Reply::Done)),
    }
}

pub fn set_severity_output(session: &mut Session, words: &[&str]) -> Outcome {
    session.severity = match word(words, 2) {
        "none" => SeverityOutput::None,
        "number" => SeverityOutput::Number,
        "string" => SeverityOutput::String,
        _ => {
            return Err(Reply::error("one of 'none', 'number', 'string' is a required argument\n"));
        }
    };
    Ok(Reply::Done)
}

pub fn set_timeout(session: &mut Session, words: &[&str]) -> Outcome {
    if word(words, 2) != "cli" {
        return Err(Reply::error("'set timeout' only supports 'cli'.\n"));
    }
    if word(words, 3).is_empty() {
        return Err(Reply::error("Expects an integer value.\n"));
    }
    let timeout = parse_delay(word(words, 3)).filter(|delay| !delay.is_zero() && *delay <= TIMEOUT_MAX);
    session.timeout = timeout.ok_or_else(|| Reply::error("Invalid timeout value.\n"))?;
    Ok(Reply::Done)
}

/// A time; a number without a unit is seconds.
pub fn parse_delay(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        "d" => number.checked_mul(86_400).map(Duration::from_secs),
        _ => None,
    }
}
