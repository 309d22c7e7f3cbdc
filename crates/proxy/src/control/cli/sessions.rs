//! `show sess`, `shutdown session`, `shutdown sessions server`.

use super::modes::parse_delay;
use super::session::{Outcome, Reply, Session, word};
use super::workers::ask_all;
use crate::control::Control;
use crate::control::actions::{ServerAction, act_on_server};
use crate::health::Operator;
use crate::registry::Phase;
use crate::worker::Shared;
use rules::{Peer, ProxyId, ServerId};
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One client connection as its worker tells it.
struct Seen {
    id: u64,
    worker: usize,
    /// The configuration it runs under.
    shared: Arc<Shared>,
    frontend: ProxyId,
    backend: Option<ProxyId>,
    server: Option<ServerId>,
    src: Option<Peer>,
    accept: Instant,
    phase: Phase,
    requests: u32,
}

/// Which connections a `show sess` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selection {
    All { details: bool },
    One(u64),
    Older(Duration),
}

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let selection = match (word(words, 2), word(words, 3)) {
        ("all", _) => Selection::All { details: true },
        ("older", "") => return Err(Reply::error("show sess older: missing delay\n")),
        ("older", delay) => Selection::Older(
            parse_delay(delay).ok_or_else(|| Reply::error(format!("Unsupported delay: '{delay}'\n")))?,
        ),
        (text, _) => match parse_id(text) {
            Some(id) => Selection::One(id),
            None => Selection::All { details: false },
        },
    };
    Ok(Reply::Later(Box::pin(list(Rc::clone(&session.control), selection))))
}

async fn list(control: Rc<Control>, selection: Selection) -> Reply {
    let mut seen: Vec<Seen> = ask_all(&control, |worker| {
        let sessions = worker.sessions.borrow();
        let shared = &worker.shared;
        sessions
            .iter()
            .map(|connection| Seen {
                id: connection.id,
                worker: worker.index,
                shared: Arc::clone(shared),
                frontend: connection.frontend,
                backend: connection.backend.get(),
                server: connection.server.get(),
                src: connection.src,
                accept: connection.accept,
                phase: connection.phase.get(),
                requests: connection.requests.get(),
            })
            .collect::<Vec<_>>()
    })
    .await
    .into_iter()
    .flatten()
    .collect();
    seen.sort_by_key(|one| one.id);
    let now = Instant::now();
    let mut out = String::new();
    for one in &seen {
        match selection {
            Selection::All { details: false } => brief(one, now, &mut out),
            Selection::All { details: true } => detailed(one, now, &mut out),
            Selection::One(id) if id == one.id => detailed(one, now, &mut out),
            Selection::One(_) => {}
            Selection::Older(age) if now.duration_since(one.accept) >= age => {
                brief(one, now, &mut out);
            }
            Selection::Older(_) => {}
        }
    }
    if out.is_empty() && matches!(selection, Selection::One(_)) {
        return Reply::Dump("Session not found.\n".to_owned());
    }
    Reply::Dump(out)
}

fn brief(one: &Seen, now: Instant, out: &mut String) {
    let (frontend, backend, server) = names(one, "<NONE>", "<none>");
    let (proto, src) = source(one.src);
    let age = age(now.duration_since(one.accept));
    let _ = writeln!(
        out,
        "{:#x}: proto={proto} src={src} fe={frontend} be={backend} srv={server} ts={:02x} age={age} calls={} \
         phase={}",
        one.id,
        one.worker,
        one.requests,
        phase_name(one.phase),
    );
}

fn detailed(one: &Seen, now: Instant, out: &mut String) {
    let (frontend, backend, server) = names(one, "<NONE>", "<NONE>");
    let (proto, src) = source(one.src);
    let model = &one.shared.plan.model;
    let front = &model.proxies[one.frontend.index()];
    let mode = |id: ProxyId| match model.proxies[id.index()].mode {
        haproxy_config::model::Mode::Http => "http",
        haproxy_config::model::Mode::Tcp => "tcp",
        haproxy_config::model::Mode::Health => "health",
    };
    let _ = writeln!(out, "{:#x}: id={} proto={proto} source={src}", one.id, one.id);
    let _ = writeln!(out, "  phase={} requests={}", phase_name(one.phase), one.requests);
    let _ = writeln!(out, "  frontend={frontend} (id={} mode={})", front.uuid, mode(one.frontend));
    match one.backend {
        Some(id) => {
            let uuid = model.proxies[id.index()].uuid;
            let _ = writeln!(out, "  backend={backend} (id={uuid} mode={})", mode(id));
        }
        None => out.push_str("  backend=<NONE> (id=-1 mode=-)\n"),
    }
    match one.server {
        Some(id) => {
            let puid = one.shared.state.server(id).settings.puid;
            let _ = writeln!(out, "  server={server} (id={puid})");
        }
        None => out.push_str("  server=<NONE> (id=-1)\n"),
    }
    let _ = writeln!(out, "  thread={} age={}", one.worker + 1, age(now.duration_since(one.accept)));
}

fn names<'a>(one: &'a Seen, no_backend: &'a str, no_server: &'a str) -> (&'a str, &'a str, &'a str) {
    let state = &one.shared.state;
    let name = |id: ProxyId| state.model.proxies[id.index()].name.as_str();
    (
        name(one.frontend),
        one.backend.map_or(no_backend, name),
        one.server.map_or(no_server, |id| state.server(id).name()),
    )
}

fn source(src: Option<Peer>) -> (&'static str, String) {
    match src {
        Some(Peer::Inet(address)) => (if address.is_ipv4() { "tcpv4" } else { "tcpv6" }, address.to_string()),
        Some(Peer::Unix) => ("unix_stream", "unix".to_owned()),
        None => ("unknown", "unknown".to_owned()),
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Request => "request",
        Phase::Queued => "queued",
        Phase::Connecting => "connecting",
        Phase::Waiting => "waiting",
        Phase::Data => "data",
    }
}

// The two largest units, as HAProxy writes ages.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A connection's number as `show sess` writes it.
fn parse_id(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

pub fn shutdown_one(session: &mut Session, words: &[&str]) -> Outcome {
    let Some(id) = parse_id(word(words, 2)) else {
        return Err(Reply::error("Session pointer expected (use 'show sess').\n"));
    };
    let control = Rc::clone(&session.control);
    Ok(Reply::Later(Box::pin(async move {
        let found = ask_all(&control, move |worker| {
            let sessions = worker.sessions.borrow();
            let found = sessions.iter().find(|connection| connection.id == id);
            found.inspect(|connection| connection.kill()).is_some()
        })
        .await;
        if found.contains(&true) {
            return Reply::Done;
        }
        Reply::error("No such session (use 'show sess').\n")
    })))
}

pub fn shutdown_server(session: &mut Session, words: &[&str]) -> Outcome {
    let id = session.find_server(word(words, 3))?;
    act_on_server(session.shared(), id, ServerAction::ShutdownSessions, Operator::Cli);
    Ok(Reply::Done)
}
