//! `hawser diff OLD NEW`: what a reload of haproxy.cfg would change, and what that does to clients. Compares models, not
//! texts: the order of lines, comments and `defaults` that say the same are no difference.

mod keys;
mod settings;

use haproxy_config::model::{Address, Global, Model, Proxy};
use haproxy_config::{LoadOptions, Loaded};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

pub const HELP: &str = "Usage: hawser diff [--json] OLD NEW

What changes when a program that runs OLD is reloaded with NEW (haproxy.cfg, or folders of them): listeners, backends, servers,
rules, the share of keys that move to another server, and which connections are kept.

Exit code: 0 nothing changes, 1 something does, 2 when a file has errors or cannot be read.";

const TROUBLE: u8 = 2;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: Kind,
    /// `frontend web`, `server app/s1`
    pub what: String,
    /// From what to what; empty where the kind says it.
    pub detail: String,
    /// What it does to clients; empty where it does nothing to them.
    pub effect: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

impl Kind {
    fn sign(self) -> char {
        match self {
            Kind::Added => '+',
            Kind::Removed => '-',
            Kind::Changed => '~',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Removed => "removed",
            Kind::Changed => "changed",
        }
    }
}

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut is_json = false;
    for word in words {
        match &*word.to_string_lossy() {
            "-h" | "--help" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            "--json" => is_json = true,
            option if option.starts_with('-') => {
                return trouble(&format!("unknown option {option}\n\n{HELP}"));
            }
            _ => files.push(PathBuf::from(word)),
        }
    }
    let [old, new] = &files[..] else { return trouble(&format!("two files are compared\n\n{HELP}")) };
    let (old, new) = (load(old), load(new));
    let (Some(first), Some(second)) = (&old.model, &new.model) else {
        for loaded in [&old, &new] {
            eprint!("{}", diag::render(&loaded.report, &loaded.sources, diag::Severity::Alert));
        }
        return ExitCode::from(TROUBLE);
    };
    let changes = compare(first, &old, second, &new);
    if is_json {
        println!("{}", to_json(&changes));
    } else {
        print!("{}", to_text(&changes));
    }
    if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn trouble(reason: &str) -> ExitCode {
    eprintln!("hawser diff: {reason}");
    ExitCode::from(TROUBLE)
}

fn load(path: &std::path::Path) -> Loaded {
    haproxy_config::load(&LoadOptions::new(vec![path.to_path_buf()]))
}

fn compare(old: &Model, old_texts: &Loaded, new: &Model, new_texts: &Loaded) -> Vec<Change> {
    let mut changes = Vec::new();
    binds(old, new, &mut changes);
    global(old, new, &mut changes);
    let names = |model: &Model| -> BTreeSet<(String, bool)> {
        model
            .proxies
            .iter()
            .map(|proxy| (proxy.name.clone(), proxy.is_frontend && !proxy.is_backend))
            .collect()
    };
    let mut all: Vec<(String, bool)> = names(old).into_iter().collect();
    all.extend(names(new).difference(&names(old)).cloned());
    for (name, is_frontend) in all {
        let find = |model: &'_ Model| {
            let wanted = |proxy: &&Proxy| {
                proxy.name == name && (proxy.is_frontend && !proxy.is_backend) == is_frontend
            };
            model.proxies.iter().position(|proxy| wanted(&proxy))
        };
        match (find(old), find(new)) {
            (Some(was), Some(is)) => {
                let (was, is) = (&old.proxies[was], &new.proxies[is]);
                settings::compare(was, old_texts, is, new_texts, &mut changes);
                servers(was, is, &mut changes);
            }
            (Some(was), None) => changes.push(gone(&old.proxies[was])),
            (None, Some(is)) => changes.push(come(&new.proxies[is])),
            (None, None) => {}
        }
    }
    tables(old, new, &mut changes);
    changes
}

fn title(proxy: &Proxy) -> String {
    let kind = match (proxy.is_frontend, proxy.is_backend) {
        (true, true) => "listen",
        (true, false) => "frontend",
        (false, _) => "backend",
    };
    format!("{kind} {}", proxy.name)
}

fn gone(proxy: &Proxy) -> Change {
    Change {
        kind: Kind::Removed,
        what: title(proxy),
        detail: String::new(),
        effect: "its established connections go on to their end".to_owned(),
    }
}

fn come(proxy: &Proxy) -> Change {
    let servers: Vec<&str> = proxy.servers.iter().map(|server| server.name.as_str()).collect();
    let detail = if servers.is_empty() { String::new() } else { format!("servers {}", servers.join(", ")) };
    Change { kind: Kind::Added, what: title(proxy), detail, effect: String::new() }
}

fn written(address: &Address) -> String {
    match address {
        Address::Inet { ip, port } => std::net::SocketAddr::new(*ip, *port).to_string(),
        Address::Host { name, port } => format!("{name}:{port}"),
        Address::Unix(path) => path.display().to_string(),
        Address::Abstract(name) => format!("abns@{}", String::from_utf8_lossy(name)),
        Address::Fd(number) => format!("fd@{number}"),
    }
}

/// Listeners: those of the same address are handed over with what waits in their queues.
fn binds(old: &Model, new: &Model, changes: &mut Vec<Change>) {
    let all = |model: &Model| -> BTreeSet<(String, String)> {
        let enabled = model.proxies.iter().filter(|proxy| !proxy.disabled);
        let of = |proxy: &Proxy| {
            let title = title(proxy);
            proxy.binds.iter().map(move |bind| (written(&bind.address), title.clone())).collect::<Vec<_>>()
        };
        enabled.flat_map(of).collect()
    };
    let (was, is) = (all(old), all(new));
    for (address, owner) in was.difference(&is) {
        let other = is.iter().find(|(same, _)| same == address);
        let (kind, detail, effect) = match other {
            Some((_, new_owner)) => (
                Kind::Changed,
                format!("{owner} -> {new_owner}"),
                "the listener is handed over: no client is refused",
            ),
            None => (
                Kind::Removed,
                format!("of {owner}"),
                "new clients are refused; established connections go on to their end",
            ),
        };
        changes.push(Change { kind, what: format!("bind {address}"), detail, effect: effect.to_owned() });
    }
    for (address, owner) in is.difference(&was) {
        if was.iter().any(|(same, _)| same == address) {
            continue;
        }
        changes.push(Change {
            kind: Kind::Added,
            what: format!("bind {address}"),
            detail: format!("of {owner}"),
            effect: String::new(),
        });
    }
}

fn global(old: &Model, new: &Model, changes: &mut Vec<Change>) {
    let bare = |model: &Model| {
        let text = settings::bare(&format!("{:?}", model.global));
        // The environment has the names of the files.
        match text.split_once("environment: [") {
            Some((head, tail)) => format!("{head}{}", tail.split_once(']').map_or("", |(_, rest)| rest)),
            None => text,
        }
    };
    let mut push = |what: &str, was: String, is: String, effect: &str| {
        if was != is {
            changes.push(Change {
                kind: Kind::Changed,
                what: format!("global {what}"),
                detail: format!("{was} -> {is}"),
                effect: effect.to_owned(),
            });
        }
    };
    let count = changes_of(&old.global.nbthread);
    push("nbthread", count, changes_of(&new.global.nbthread), "threads are started anew");
    push("maxconn", changes_of(&old.global.maxconn), changes_of(&new.global.maxconn), "");
    // Words of people who wrote a file: a number for a user, a path, or that nothing is said.
    fn said(value: &Option<impl std::fmt::Display>) -> String {
        value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    }
    const DROPPED: &str = "takes a restart: rights that were dropped do not come back";
    push("user", said(&old.global.uid), said(&new.global.uid), DROPPED);
    push("group", said(&old.global.gid), said(&new.global.gid), DROPPED);
    let root = |global: &Global| said(&global.chroot.as_ref().map(|path| path.display()));
    push("chroot", root(&old.global), root(&new.global), DROPPED);
    if bare(old) != bare(new) && changes.iter().all(|change| !change.what.starts_with("global ")) {
        changes.push(Change {
            kind: Kind::Changed,
            what: "global".to_owned(),
            detail: "other settings".to_owned(),
            effect: String::new(),
        });
    }
}

fn changes_of<T: std::fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "automatic".to_owned(), ToString::to_string)
}

fn servers(was: &Proxy, is: &Proxy, changes: &mut Vec<Change>) {
    let cookie = |server: &haproxy_config::model::Server| {
        server.cookie.as_ref().map(|cookie| format!("; clients with cookie {cookie} are balanced anew"))
    };
    let mut changed = false;
    for server in &was.servers {
        let what = format!("server {}/{}", was.name, server.name);
        let Some(other) = is.servers.iter().find(|other| other.name == server.name) else {
            changed = true;
            changes.push(Change {
                kind: Kind::Removed,
                what,
                detail: written(&server.address),
                effect: format!(
                    "its established connections go on to their end{}",
                    cookie(server).unwrap_or_default()
                ),
            });
            continue;
        };
        let differences = settings::servers(server, other);
        if differences.is_empty() {
            continue;
        }
        changed = true;
        let moves = server.address != other.address || server.port != other.port;
        let effect = if moves {
            "connections to the old address go on to their end, new ones go to the new address"
        } else if other.weight == 0 && server.weight != 0 || (other.disabled && !server.disabled) {
            "it gets no new clients; established connections go on"
        } else {
            ""
        };
        changes.push(Change {
            kind: Kind::Changed,
            what,
            detail: differences.join(", "),
            effect: effect.to_owned(),
        });
    }
    for server in &is.servers {
        if !was.servers.iter().any(|other| other.name == server.name) {
            changed = true;
            changes.push(Change {
                kind: Kind::Added,
                what: format!("server {}/{}", is.name, server.name),
                detail: format!("{} weight {}", written(&server.address), server.weight),
                effect: String::new(),
            });
        }
    }
    if let Some(moved) = keys::moved(was, is).filter(|moved| changed || moved.moved > 0) {
        let share = |count: usize| format!("{:.1} %", count as f64 * 100.0 / keys::KEYS as f64);
        let mut effect = format!("{} had to: their server is gone", share(moved.forced));
        if moved.moved > moved.forced + keys::KEYS / 100
            && let Some(advice) = keys::advice(is)
        {
            effect = format!("{effect}; {advice}");
        }
        changes.push(Change {
            kind: Kind::Changed,
            what: format!("keys of {}", is.name),
            detail: format!("{} of all keys move to another server", share(moved.moved)),
            effect,
        });
    }
}

fn tables(old: &Model, new: &Model, changes: &mut Vec<Change>) {
    for table in &old.tables {
        let what = format!("stick-table {}", table.name);
        match new.tables.iter().find(|other| other.name == table.name) {
            None => changes.push(Change {
                kind: Kind::Removed,
                what,
                detail: String::new(),
                effect: "its entries are lost".to_owned(),
            }),
            Some(other) => {
                let bare =
                    |table: &haproxy_config::model::Table| settings::bare(&format!("{:?}", table.config));
                if bare(table) != bare(other) {
                    changes.push(Change {
                        kind: Kind::Changed,
                        what,
                        detail: "its definition".to_owned(),
                        effect: "its entries are lost".to_owned(),
                    });
                }
            }
        }
    }
    for table in &new.tables {
        if !old.tables.iter().any(|other| other.name == table.name) {
            let what = format!("stick-table {}", table.name);
            changes.push(Change { kind: Kind::Added, what, detail: String::new(), effect: String::new() });
        }
    }
}

fn to_text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing changes\n".to_owned();
    }
    let mut out = String::new();
    for change in changes {
        out.push_str(&format!("{} {}", change.kind.sign(), change.what));
        if !change.detail.is_empty() {
            out.push_str(&format!(": {}", change.detail));
        }
        out.push('\n');
        if !change.effect.is_empty() {
            out.push_str(&format!("    {}\n", change.effect));
        }
    }
    out
}

fn to_json(changes: &[Change]) -> Value {
    let one = |change: &Change| {
        json!({
            "kind": change.kind.name(),
            "what": change.what,
            "detail": change.detail,
            "effect": change.effect,
        })
    };
    json!({ "changes": changes.iter().map(one).collect::<Vec<_>>() })
}
