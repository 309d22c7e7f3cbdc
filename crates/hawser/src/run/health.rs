//! How the proxy's frontends and backends are, told to failover. Asks the proxy over its master's socket, and tells what
//! changed over failover's; what draining and reloading do is no news.

use crate::runtime_socket::ask;
use keepalived_config::model::{Model, ProxyTrack, Tracking};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(100);
/// An answer that does not come.
const PATIENCE: Duration = Duration::from_secs(1);
/// The proxy may be gone so long, while it is started again, before its proxies count as down.
const GONE_AFTER: Duration = Duration::from_millis(200);
/// A proxy that is there and does not answer so long hangs.
const HUNG_AFTER: Duration = Duration::from_secs(3);
/// Everything is told again after so many rounds: failover may have started anew.
const TELL_AGAIN: u32 = 10;
/// Columns of `show stat`: section, object, state.
const SECTION: usize = 0;
const OBJECT: usize = 1;
const STATE: usize = 17;

/// Sockets and files.
pub struct Places {
    pub master: PathBuf,
    pub vrrp: PathBuf,
    /// What is known, for a failover that starts.
    pub file: PathBuf,
}

/// What the supervisor knows of the proxy's process.
pub struct Proxy {
    inner: Mutex<Inner>,
}

struct Inner {
    /// `frontend web`
    tracked: Vec<String>,
    gone_since: Option<Instant>,
}

impl Proxy {
    pub fn new(tracked: Vec<String>) -> Self {
        Proxy { inner: Mutex::new(Inner { tracked, gone_since: None }) }
    }

    /// The process has ended.
    pub fn is_gone(&self, now: Instant) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.gone_since.get_or_insert(now);
        }
    }

    /// It was started again.
    pub fn is_there(&self) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.gone_since = None;
        }
    }

    /// After a reload.
    pub fn track(&self, tracked: Vec<String>) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.tracked = tracked;
        }
    }

    fn snapshot(&self) -> (Vec<String>, Option<Instant>) {
        self.inner
            .lock()
            .map_or_else(|_| (Vec::new(), None), |inner| (inner.tracked.clone(), inner.gone_since))
    }
}

/// The proxies that instances and groups track, each once: `frontend web`.
pub fn tracked(model: &Model) -> Vec<String> {
    let of = |tracking: &Tracking| -> Vec<String> {
        tracking
            .proxies
            .iter()
            .map(|one| match &one.what {
                ProxyTrack::Frontend(name) => format!("frontend {name}"),
                ProxyTrack::Backend(name) => format!("backend {name}"),
            })
            .collect()
    };
    let mut names: Vec<String> = model.instances.iter().flat_map(|one| of(&one.tracking)).collect();
    names.extend(model.sync_groups.iter().flat_map(|one| of(&one.tracking)));
    names.sort();
    names.dedup();
    names
}

/// Runs as long as the process.
pub fn watch(proxy: &Proxy, places: &Places) {
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut told: BTreeMap<String, bool> = BTreeMap::new();
    let mut answered = Instant::now();
    for round in 0u32.. {
        let began = Instant::now();
        let (tracked, gone_since) = proxy.snapshot();
        let before = known.clone();
        known.retain(|name, _| tracked.contains(name));
        match states(places, &tracked) {
            Ok(states) => {
                answered = Instant::now();
                for (name, state) in states {
                    let entry = known.entry(name).or_insert(true);
                    match state {
                        State::Up => *entry = true,
                        State::Down => *entry = false,
                        // On its way out because somebody wants it so: what it was stays.
                        State::Draining => {}
                    }
                }
            }
            Err(_) => {
                let is_gone = gone_since.is_some_and(|since| since.elapsed() > GONE_AFTER);
                let hangs = gone_since.is_none() && answered.elapsed() > HUNG_AFTER;
                if is_gone || hangs {
                    known = tracked.iter().map(|name| (name.clone(), false)).collect();
                }
            }
        }
        if known != before {
            // Failover that starts later asks again; one that runs is told below.
            let _ = write_file(&places.file, &known);
        }
        if round % TELL_AGAIN == 0 {
            told.clear();
        }
        for (name, is_up) in &known {
            if told.get(name) != Some(is_up) && tell(&places.vrrp, name, *is_up).is_ok() {
                told.insert(name.clone(), *is_up);
            }
        }
        std::thread::sleep(INTERVAL.saturating_sub(began.elapsed()));
    }
}

/// How one proxy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Draining,
}

fn states(places: &Places, tracked: &[String]) -> io::Result<Vec<(String, State)>> {
    let mut found = parse(&ask(&places.master, "@1 show stat -1 3 -1", PATIENCE)?, tracked);
    if found.is_empty() && !tracked.is_empty() {
        return Err(io::Error::other("no worker answers"));
    }
    // Why a backend is down is with its servers; they are asked for only then.
    if found.iter().any(|(name, state)| name.starts_with("backend ") && *state == State::Down) {
        let servers = ask(&places.master, "@1 show stat -1 4 -1", PATIENCE)?;
        for (name, state) in &mut found {
            if *state == State::Down
                && let Some(backend) = name.strip_prefix("backend ")
                && is_drained(&servers, backend)
            {
                *state = State::Draining;
            }
        }
    }
    Ok(found)
}

/// The rows of `show stat` that are tracked.
fn parse(csv: &str, tracked: &[String]) -> Vec<(String, State)> {
    let mut found = Vec::new();
    for line in csv.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(',').collect();
        let (Some(section), Some(object), Some(state)) =
            (columns.get(SECTION), columns.get(OBJECT), columns.get(STATE))
        else {
            continue;
        };
        let (name, state) = match *object {
            "FRONTEND" => {
                let state = match *state {
                    "OPEN" | "FULL" => State::Up,
                    // The process stops softly.
                    "STOP" => State::Draining,
                    _ => State::Down,
                };
                (format!("frontend {section}"), state)
            }
            "BACKEND" => {
                let state = if state.starts_with("UP") { State::Up } else { State::Down };
                (format!("backend {section}"), state)
            }
            _ => continue,
        };
        if tracked.contains(&name) {
            found.push((name, state));
        }
    }
    found
}

/// Whether somebody took every server of the backend out, rather than a check.
fn is_drained(csv: &str, backend: &str) -> bool {
    let mut any = false;
    for line in csv.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(',').collect();
        if columns.get(SECTION) != Some(&backend) {
            continue;
        }
        any = true;
        let state = columns.get(STATE).copied().unwrap_or_default();
        if !(state.starts_with("MAINT") || state.starts_with("DRAIN")) {
            return false;
        }
    }
    any
}

fn tell(socket: &Path, name: &str, is_up: bool) -> io::Result<()> {
    let state = if is_up { "up" } else { "down" };
    let answer = ask(socket, &format!("proxy {name} {state}"), PATIENCE)?;
    if answer.starts_with("ok") { Ok(()) } else { Err(io::Error::other(answer)) }
}

/// Whole or not at all.
fn write_file(path: &Path, known: &BTreeMap<String, bool>) -> io::Result<()> {
    let mut text = String::new();
    for (name, is_up) in known {
        text.push_str(&format!("{name} {}\n", if *is_up { "up" } else { "down" }));
    }
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(section: &str, object: &str, state: &str) -> String {
        format!("{section},{object},{}{state},1\n", ",".repeat(15))
    }

    fn states_of(rows: &[String]) -> Vec<(String, State)> {
        let tracked = ["frontend web".to_owned(), "backend app".to_owned()];
        parse(&rows.concat(), &tracked)
    }

    #[test]
    fn what_is_tracked_is_read_from_the_statistics() {
        let rows =
            [row("web", "FRONTEND", "OPEN"), row("app", "BACKEND", "DOWN"), row("other", "BACKEND", "UP")];
        let expected = [("frontend web".to_owned(), State::Up), ("backend app".to_owned(), State::Down)];
        assert_eq!(states_of(&rows), expected);
    }

    #[test]
    fn a_soft_stop_and_servers_taken_out_by_hand_are_draining() {
        assert_eq!(states_of(&[row("web", "FRONTEND", "STOP")])[0].1, State::Draining);
        assert_eq!(states_of(&[row("web", "FRONTEND", "PAUSED")])[0].1, State::Down);
        let drained = [row("app", "s1", "MAINT"), row("app", "s2", "DRAIN")].concat();
        assert!(is_drained(&drained, "app"));
        let failed = [row("app", "s1", "MAINT"), row("app", "s2", "DOWN")].concat();
        assert!(!is_drained(&failed, "app"));
        assert!(!is_drained("", "app"), "a backend without servers is not drained");
    }
}
