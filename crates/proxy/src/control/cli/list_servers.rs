//! `show servers state`, `show servers conn`, `show backend`.

use super::server_address::host_name;
use super::session::{Outcome, Reply, Session, word};
use super::workers::ask;
use crate::state::{CheckView, ServerState, State, Target};
use checks::{CheckResult, CheckStatus};
use haproxy_config::model::{Address, ServerPort};
use rules::ProxyId;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

pub fn backends(session: &mut Session, _: &[&str]) -> Outcome {
    let mut out = String::from("# name\n");
    for proxy in session.state().model.proxies.iter().filter(|proxy| proxy.is_backend) {
        let _ = writeln!(out, "{}", proxy.name);
    }
    Ok(Reply::Dump(out))
}

fn wanted_backends(session: &Session, name: &str) -> Result<Vec<ProxyId>, Reply> {
    let proxies = session.state().model.proxies.iter();
    if name.is_empty() {
        return Ok(proxies
            .filter(|proxy| proxy.is_backend && !proxy.disabled)
            .map(|proxy| proxy.id)
            .collect());
    }
    let found = session.find_proxy(name, |proxy| proxy.is_backend);
    found.map(|id| vec![id]).ok_or_else(|| Reply::error("Can't find backend.\n"))
}

pub fn states(session: &mut Session, words: &[&str]) -> Outcome {
    let backends = wanted_backends(session, word(words, 3))?;
    let mut out = String::new();
    write_states(session.state(), &backends, &mut out);
    Ok(Reply::Dump(out))
}

/// The dump of `show servers state`, which is also the form of state files.
fn write_states(state: &State, backends: &[ProxyId], out: &mut String) {
    out.push_str(
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
         srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
         srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port \
         srv_check_addr srv_agent_addr srv_agent_port\n",
    );
    let now_ms = state.clock.millis(Instant::now());
    for &backend in backends {
        for server in state.backend(backend).servers() {
            write_state(state, server, now_ms, out);
        }
    }
}

/// Bits of a check's state: runs, is configured, is enabled, pauses for maintenance, is an agent's.
const CHECK_RUNNING: u32 = 0x01;
const CHECK_CONFIGURED: u32 = 0x02;
const CHECK_ENABLED: u32 = 0x04;
const CHECK_PAUSED: u32 = 0x08;
const CHECK_AGENT: u32 = 0x10;

/// Health of a server that nobody checks, while it is up.
const UNCHECKED_HEALTH: u32 = 2;

fn check_bits(view: &CheckView, is_configured: bool, is_paused: bool, kind: u32) -> u32 {
    let mut bits = if is_paused { CHECK_PAUSED } else { 0 };
    if is_configured {
        bits |= CHECK_CONFIGURED | kind;
    }
    if view.enabled {
        bits |= CHECK_ENABLED;
    }
    if view.running {
        bits |= CHECK_RUNNING;
    }
    bits
}

fn write_state(state: &State, server: &ServerState, now_ms: u64, out: &mut String) {
    let proxy = &state.model.proxies[server.id.proxy.index()];
    let settings = &server.settings;
    let check = server.check.lock().clone();
    let agent = server.agent.lock().clone();
    let status = CheckStatus::from_word(check.status).unwrap_or(CheckStatus::Initializing);
    let result = match status.result() {
        CheckResult::Unknown => 0,
        CheckResult::Neutral => 1,
        CheckResult::Failed => 2,
        CheckResult::Passed => 3,
        CheckResult::Conditional => 4,
    };
    let in_maintenance = server.admin().is_maintenance();
    let health = match &settings.check {
        Some(_) => check.health,
        None if in_maintenance => 0,
        None => UNCHECKED_HEALTH,
    };
    let check_state = check_bits(&check, settings.check.is_some(), in_maintenance, 0);
    let agent_state = check_bits(&agent, settings.agent.is_some(), false, CHECK_AGENT);
    let (address, port) = address_and_port(server);
    let fqdn = host_name(server);
    let dash = || "-".to_owned();
    let configured = settings.check.as_ref();
    let check_addr = check.target.address.or_else(|| configured.and_then(|check| check.addr));
    let check_port = check.target.port.or_else(|| configured.and_then(|check| check.port)).unwrap_or(0);
    let configured = settings.agent.as_ref();
    let agent_addr = agent.target.address.or_else(|| configured.and_then(|agent| agent.addr));
    let agent_port = agent.target.port.or_else(|| configured.map(|agent| agent.port)).unwrap_or(0);
    let _ = writeln!(
        out,
        "{} {} {} {} {address} {} {} {} {} {} {} {result} {health} {check_state} {agent_state} 0 0 {} {port} - 0 \
         {check_port} {} {} {agent_port}",
        proxy.uuid,
        proxy.name,
        settings.puid,
        server.name(),
        server.running() as u8,
        server.admin().0,
        server.weight.load(Relaxed),
        settings.weight,
        now_ms.saturating_sub(server.last_change_ms.load(Relaxed)) / 1000,
        status.number(),
        fqdn.unwrap_or_else(dash),
        check_addr.map_or_else(dash, |address| address.to_string()),
        agent_addr.map_or_else(dash, |address| address.to_string()),
    );
}

// A port that follows the client's is written as its offset.
fn address_and_port(server: &ServerState) -> (String, u16) {
    let configured_port = match &server.settings.address {
        Address::Host { port, .. } => *port,
        Address::Inet { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => 0,
    };
    match &*server.target.read() {
        Some(Target::Inet(address)) => {
            let port = match server.settings.port {
                ServerPort::Fixed => address.port(),
                ServerPort::Relative(offset) => offset as u16,
            };
            (address.ip().to_string(), port)
        }
        Some(Target::Unix(_) | Target::Abstract(_)) => ("-".to_owned(), 0),
        None => ("-".to_owned(), configured_port),
    }
}

pub fn connections(session: &mut Session, words: &[&str]) -> Outcome {
    let backends = wanted_backends(session, word(words, 3))?;
    let control = Rc::clone(&session.control);
    Ok(Reply::Later(Box::pin(async move {
        let idle = ask(&control, |worker| worker.idle.borrow().counts()).await;
        let mut out = String::new();
        write_connections(&control.shared.state, &backends, &idle, &mut out);
        Reply::Dump(out)
    })))
}

// `idle`: idle connections by worker and server slot.
fn write_connections(state: &State, backends: &[ProxyId], idle: &[Vec<usize>], out: &mut String) {
    let _ = writeln!(
        out,
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim \
         idle_cur idle_per_thr[{}]",
        idle.len(),
    );
    for &backend in backends {
        let proxy = &state.model.proxies[backend.index()];
        for server in state.backend(backend).servers() {
            let (address, port) = address_and_port(server);
            let by_worker = idle.iter().map(|counts| counts.get(server.slot as usize).copied().unwrap_or(0));
            let total: usize = by_worker.clone().sum();
            let _ = write!(
                out,
                "{}/{} {}/{} {address} {port} - {} {} {} {} 0 {total} {} {total}",
                proxy.name,
                server.name(),
                proxy.uuid,
                server.settings.puid,
                server.settings.pool_purge_delay.as_millis(),
                server.served.get(),
                server.served.max(),
                server.served.max(),
                server.settings.pool_max_conn,
            );
            for held in by_worker {
                let _ = write!(out, " {held}");
            }
            out.push('\n');
        }
    }
}
