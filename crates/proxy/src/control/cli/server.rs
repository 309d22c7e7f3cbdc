//! Commands about one server: state, weight, checks, connections.

use super::server_address;
use super::session::{Outcome, Reply, Session, word};
use crate::control::actions::{ServerAction, act_on_server};
use crate::health::Operator;
use rules::ServerId;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Largest weight.
const WEIGHT_MAX: i64 = 256;

fn act(session: &Session, id: ServerId, action: ServerAction) -> bool {
    act_on_server(session.shared(), id, action, Operator::Cli)
}

pub fn disable(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    act(session, id, ServerAction::Maintenance);
    Ok(Reply::Done)
}

pub fn enable(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    act(session, id, ServerAction::Ready);
    Ok(Reply::Done)
}

pub fn disable_health(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    act(session, id, ServerAction::DisableHealth);
    Ok(Reply::Done)
}

pub fn enable_health(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    if act(session, id, ServerAction::EnableHealth) {
        return Ok(Reply::Done);
    }
    Err(Reply::error("Health check was not configured on this server, cannot enable.\n"))
}

pub fn disable_agent(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    act(session, id, ServerAction::DisableAgent);
    Ok(Reply::Done)
}

pub fn enable_agent(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    if act(session, id, ServerAction::EnableAgent) {
        return Ok(Reply::Done);
    }
    Err(Reply::error("Agent was not configured on this server, cannot enable.\n"))
}

pub fn get_weight(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    let server = session.state().server(id);
    Ok(Reply::Dump(format!("{} (initial {})\n", server.weight.load(Relaxed), server.settings.weight)))
}

pub fn set_weight(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    change_weight(session, id, word(words, 3))
}

fn change_weight(session: &Session, id: ServerId, text: &str) -> Outcome {
    if text.is_empty() {
        return Err(Reply::error("Require <weight> or <weight%>.\n"));
    }
    let state = session.state();
    let server = state.server(id);
    let (number, tail) = leading_number(text)
        .ok_or_else(|| Reply::error("Empty weight string empty or preceded by garbage"))?;
    let weight = if tail == "%" {
        if number < 0 {
            return Err(Reply::error("Relative weight must be positive.\n"));
        }
        (i64::from(server.settings.weight) * number / 100).min(WEIGHT_MAX)
    } else if !(0..=WEIGHT_MAX).contains(&number) {
        return Err(Reply::error("Absolute weight can only be between 0 and 256 inclusive.\n"));
    } else if tail.is_empty() {
        number
    } else {
        return Err(Reply::error("Trailing garbage in weight string"));
    };
    match state.backend(id.proxy).set_weight(server, weight as u32) {
        Ok(()) => {
            // Without any weight a backend is down.
            session.shared().note_backend(id, state.clock.millis(Instant::now()));
            Ok(Reply::Done)
        }
        Err(balance::StaticWeight) => Err(Reply::error(
            "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n",
        )),
    }
}

pub fn set_maxconn(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 3))?;
    let text = word(words, 4);
    if text.is_empty() {
        return Err(Reply::error("Require <maxconn>.\n"));
    }
    let (number, tail) =
        leading_number(text).ok_or_else(|| Reply::error("maxconn string empty or preceded by garbage"))?;
    if !tail.is_empty() {
        return Err(Reply::error("Trailing garbage in maxconn string"));
    }
    let limit = u32::try_from(number).map_err(|_| Reply::error("Value out of range.\n"))?;
    let state = session.state();
    let server = state.server(id);
    server.maxconn.store(limit, Relaxed);
    // More room: those who wait may go.
    state.backend(id.proxy).serve_queues(server);
    Ok(Reply::Done)
}

const SET_USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | \
                         check-addr | check-port | fqdn | health | ssl | state | weight\n";

pub fn set(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 2))?;
    let value = word(words, 4);
    match word(words, 3) {
        "weight" => change_weight(session, id, value),
        "state" => set_state(session, id, value),
        "health" => set_health(session, id, value),
        "agent" => set_agent(session, id, value),
        "addr" => server_address::set_address(session, id, &words[4..]),
        "check-addr" => server_address::set_check_address(session, id, &words[4..]),
        "check-port" => server_address::set_check_port(session, id, value),
        "agent-addr" => server_address::set_agent_address(session, id, &words[4..]),
        "agent-port" => server_address::set_agent_port(session, id, value),
        "agent-send" => server_address::set_agent_send(session, id, value),
        "fqdn" => server_address::set_fqdn(session, id, value),
        "ssl" => Err(Reply::error(
            "'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n",
        )),
        _ => Err(Reply::error(SET_USAGE)),
    }
}

fn set_state(session: &Session, id: ServerId, value: &str) -> Outcome {
    let action = match value {
        "ready" => ServerAction::Ready,
        "drain" => ServerAction::Drain,
        "maint" => ServerAction::Maintenance,
        _ => return Err(Reply::error("'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n")),
    };
    act(session, id, action);
    Ok(Reply::Done)
}

fn set_health(session: &Session, id: ServerId, value: &str) -> Outcome {
    if session.state().server(id).settings.track.is_some() {
        return Err(Reply::error("cannot change health on a tracking server.\n"));
    }
    let action = match value {
        "up" => ServerAction::HealthUp,
        "stopping" => ServerAction::HealthStopping,
        "down" => ServerAction::HealthDown,
        _ => return Err(Reply::error("'set server <srv> health' expects 'up', 'stopping', or 'down'.\n")),
    };
    act(session, id, action);
    Ok(Reply::Done)
}

fn set_agent(session: &Session, id: ServerId, value: &str) -> Outcome {
    if !session.state().server(id).agent.lock().enabled {
        return Err(Reply::error("agent checks are not enabled on this server.\n"));
    }
    let action = match value {
        "up" => ServerAction::AgentUp,
        "down" => ServerAction::AgentDown,
        _ => return Err(Reply::error("'set server <srv> agent' expects 'up' or 'down'.\n")),
    };
    act(session, id, action);
    Ok(Reply::Done)
}

/// A number and what follows it; `None` when it does not begin with one.
fn leading_number(text: &str) -> Option<(i64, &str)> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..sign + digits].parse().ok()?;
    Some((number, &text[sign + digits..]))
}
