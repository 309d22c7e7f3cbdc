//! `add server` and `del server`.

use super::session::{Outcome, Reply, Session, word};
use crate::state::{ServerState, State};
use balance::{Algorithm, HashMethod, HashType};
use haproxy_config::model::{Mode, Proxy, Server, ServerTarget};
use haproxy_config::{LoadOptions, load_text};
use rules::{ProxyId, ServerId};
use std::collections::HashSet;
use std::sync::Arc;

/// Servers of one backend at most, removed ones included: each keeps its index for life.
const SERVERS_MAX: usize = 65_536;

/// Words of a `server` line that a server added at run time cannot have.
const REFUSED: [&str; 8] =
    ["cookie", "disabled", "enabled", "init-addr", "namespace", "resolvers", "slowstart", "track"];

pub fn add(session: &mut Session, words: &[&str]) -> Outcome {
    let name = word(words, 2);
    let Some((backend, name)) = name.split_once('/') else {
        return Err(Reply::error("Require 'backend/server'."));
    };
    let found = session.find_proxy(backend, |proxy| proxy.is_backend);
    let backend = found.ok_or_else(|| Reply::error("No such backend."))?;
    let state = session.state();
    let proxy = &state.model.proxies[backend.index()];
    if !takes_dynamic_servers(proxy) {
        return Err(Reply::error("Backend must use a dynamic load balancing to support dynamic servers."));
    }
    if word(words, 3).is_empty() {
        return Err(Reply::error("'server' expects <name> and <addr>[:<port>] as arguments.\n"));
    }
    if state.backend(backend).server_by_name(name).is_some() {
        return Err(Reply::error("Already exists a server with the same name in backend.\n"));
    }
    if let Some(refused) = words[4..].iter().find(|word| REFUSED.contains(word)) {
        return Err(Reply::error(format!("'{refused}' option is not accepted for dynamic server\n")));
    }
    if state.backend(backend).servers.count() >= SERVERS_MAX {
        return Err(Reply::error("Too many servers in this backend.\n"));
    }
    let settings = read_server_line(proxy, name, &words[3..])?;
    let settings = numbered(state, backend, settings, words)?;
    let tls = &session.shared().tls;
    let connector = match &settings.tls {
        None => None,
        Some(own) => Some(tls.prepare(own).map_err(|fault| Reply::error(format!("{}\n", fault.message)))?),
    };
    let id = insert(state, backend, settings);
    if let Some(connector) = connector {
        // It is in maintenance: nobody has asked for it yet.
        tls.add_connector(id.proxy, id.index as usize, connector);
    }
    session.shared().watch_server(id);
    Ok(Reply::info("New server registered.\n"))
}

/// Fixed maps cannot grow at run time.
fn takes_dynamic_servers(proxy: &Proxy) -> bool {
    match &proxy.balance.algorithm {
        Algorithm::RoundRobin | Algorithm::LeastConn | Algorithm::First | Algorithm::Random { .. } => true,
        Algorithm::StaticRoundRobin => false,
        Algorithm::Hash(HashType { method, .. }) => *method == HashMethod::Consistent,
    }
}

/// Reads the words as the configuration would, in a backend of the same mode.
fn read_server_line(proxy: &Proxy, name: &str, words: &[&str]) -> Result<Server, Reply> {
    let mode = match proxy.mode {
        Mode::Http => "http",
        Mode::Tcp | Mode::Health => "tcp",
    };
    let quoted: Vec<String> = std::iter::once(&name).chain(words).map(|word| quote(word)).collect();
    let text = format!(
        "backend added\n  mode {mode}\n  timeout connect 1s\n  timeout server 1s\n  server {}\n",
        quoted.join(" ")
    );
    let loaded = load_text(&LoadOptions::new(Vec::new()), "runtime API", &text);
    let first_error = || {
        let mut found = loaded.report.diagnostics().iter();
        let error = found.find(|diagnostic| diagnostic.severity == diag::Severity::Alert);
        error.map_or_else(|| "invalid server line".to_owned(), |error| error.message.clone())
    };
    let mut model = loaded.model.ok_or_else(|| Reply::error(format!("{}\n", first_error())))?;
    let server = model.proxies.pop().and_then(|mut backend| backend.servers.pop());
    server.ok_or_else(|| Reply::error("invalid server line\n"))
}

/// A word that the configuration reads as it is.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// With the number that `id` gave, else the lowest free one.
fn numbered(state: &State, backend: ProxyId, mut settings: Server, words: &[&str]) -> Result<Server, Reply> {
    let taken: HashSet<u32> = state.backend(backend).servers().map(|server| server.settings.puid).collect();
    if words[4..].contains(&"id") {
        if taken.contains(&settings.puid) {
            return Err(Reply::error(format!("ID {} is already taken in this backend.\n", settings.puid)));
        }
        return Ok(settings);
    }
    let free = (1..).find(|number| !taken.contains(number));
    settings.puid = free.expect("a backend has fewer servers than there are numbers");
    Ok(settings)
}

fn insert(state: &State, backend: ProxyId, mut settings: Server) -> ServerId {
    // It starts in maintenance: `enable server` lets traffic in.
    settings.disabled = true;
    let now_ms = state.clock.millis(std::time::Instant::now());
    let added = state.backend(backend).add_server(|id| {
        let slot = state.servers.count() as u32;
        for worker in &state.workers {
            worker.grow(slot as usize + 1);
        }
        ServerState::new(id, slot, Arc::new(settings), now_ms)
    });
    state.servers.push(Arc::clone(&added));
    // The maintenance is an operator's, not the configuration's.
    state.backend(backend).change(&added, |server| {
        (server.admin().without(crate::state::Admin::CONFIG_MAINT), server.running())
    });
    added.id
}

pub fn delete(session: &mut Session, words: &[&str]) -> Outcome {
    let Some((backend, name)) = word(words, 2).split_once('/') else {
        return Err(Reply::error("Require 'backend/server'."));
    };
    let found = session.find_proxy(backend, |proxy| proxy.is_backend);
    let backend = found.ok_or_else(|| Reply::error("No such backend."))?;
    let state = session.state();
    let server =
        state.backend(backend).server_by_name(name).ok_or_else(|| Reply::error("No such server."))?;
    if is_referenced(state, server.id) {
        return Err(Reply::error(
            "This server cannot be removed at runtime due to other configuration elements pointing to it.",
        ));
    }
    if !server.admin().is_maintenance() {
        return Err(Reply::error("Only servers in maintenance mode can be deleted."));
    }
    if server.served.get() > 0 || server.queued.get() > 0 {
        return Err(Reply::error("Server still has connections attached to it, cannot remove it."));
    }
    session.shared().close_idle(server);
    server.check.lock().enabled = false;
    server.agent.lock().enabled = false;
    state.backend(backend).remove_server(server);
    Ok(Reply::notice("Server deleted."))
}

fn is_referenced(state: &State, id: ServerId) -> bool {
    let tracked = state.servers.iter().any(|(_, server)| server.settings.track == Some(id));
    let used = state.model.proxies[id.proxy.index()].use_server.iter().any(|rule| match &rule.target {
        ServerTarget::Static(target) => *target == id,
        ServerTarget::Dynamic(_) => false,
    });
    tracked || used
}
