//! State files (`server-state-file`, `load-server-state-from-file`): reads what `show servers state` wrote before a
//! restart, and puts servers back where they were. It never writes files.

mod line;

use crate::health;
use crate::state::{Admin, Running, ServerState, State, Target};
use crate::worker::Shared;
use checks::{AdminCommand, AdminFlags, Cause, Turn};
use haproxy_config::model::{Address, LoadServerState, Proxy, ServerPort};
use line::{Line, Saved};
use rules::ServerId;
use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Bytes of a state file at most: a quarter of a million servers.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The only version there is.
const VERSION: &str = "1";

/// Bits of a check's state in a file.
const CHECK_CONFIGURED: u32 = 0x02;
const CHECK_ENABLED: u32 = 0x04;

const CAUSE: &str = "changed from server-state after a reload";

/// Lines by backend and server.
type Lines = HashMap<(String, String), Line>;

/// What all state files of the configuration say of its servers.
#[derive(Debug, Default)]
pub struct StateFiles {
    servers: Vec<(ServerId, Result<Saved, String>)>,
    warnings: Vec<String>,
}

/// Why a file was not used. Then none of its lines is.
enum Unusable {
    CannotOpen(std::io::Error),
    NoVersion,
    Corrupted { line: usize },
}

impl StateFiles {
    /// Reads the files that the configuration names. What is wrong with one is a warning, told by
    /// [`StateFiles::apply`].
    pub fn read(state: &State) -> StateFiles {
        let model = &state.model;
        let mut files = StateFiles::default();
        let base = model.global.server_state_base.as_deref();
        let mut global = None;
        for proxy in model.proxies.iter().filter(|proxy| proxy.is_backend && !proxy.disabled) {
            match proxy.load_server_state {
                LoadServerState::None => {}
                LoadServerState::Global => {
                    let Some(path) = &model.global.server_state_file else { continue };
                    let warnings = &mut files.warnings;
                    let lines = global.get_or_insert_with(|| {
                        let path = located(base, path);
                        read_lines(&path).unwrap_or_else(|why| {
                            warnings.push(why.describe("config: ", "global ", &path));
                            Lines::new()
                        })
                    });
                    files.take(state, proxy, lines);
                }
                LoadServerState::Local => {
                    let name = proxy.server_state_file_name.as_deref().unwrap_or(&proxy.name);
                    let path = located(base, Path::new(name));
                    match read_lines(&path) {
                        Ok(lines) => files.take(state, proxy, &lines),
                        Err(why) => {
                            files.warnings.push(why.describe(
                                &format!("Proxy '{}': ", proxy.name),
                                "",
                                &path,
                            ));
                        }
                    }
                }
            }
        }
        files
    }

    fn take(&mut self, state: &State, proxy: &Proxy, lines: &Lines) {
        for server in state.backend(proxy.id).servers() {
            if let Some(line) = lines.get(&(proxy.name.clone(), server.name().to_owned())) {
                self.servers.push((server.id, line.read()));
            }
        }
    }

    /// The address a server had, for `init-addr last`.
    pub fn address_of(&self, server: ServerId) -> Option<IpAddr> {
        let (_, saved) = self.servers.iter().find(|(id, _)| *id == server)?;
        saved.as_ref().ok()?.address
    }

    /// Puts the servers where their lines say. Call before anything is served. Returns what was wrong with files and
    /// lines.
    pub fn apply(self, shared: &Shared) -> Vec<String> {
        let mut warnings = self.warnings;
        if !self.servers.is_empty() {
            shared.state.servers.iter().for_each(|(_, server)| health::prepare(server));
        }
        for (id, saved) in self.servers {
            match saved {
                Ok(saved) => apply_one(shared, shared.state.server(id), &saved),
                Err(why) => {
                    let backend = &shared.state.model.proxies[id.proxy.index()].name;
                    let server = shared.state.server(id).name();
                    warnings.push(format!(
                        "server-state application failed for server '{backend}/{server}', {why}"
                    ));
                }
            }
        }
        warnings
    }
}

impl Unusable {
    fn describe(&self, place: &str, kind: &str, path: &Path) -> String {
        let path = path.display();
        match self {
            Unusable::CannotOpen(error) => {
                let reason = error.to_string();
                let reason = reason.split(" (os error").next().unwrap_or_default();
                format!("{place}Can't open {kind}server state file '{path}': {reason}")
            }
            Unusable::NoVersion => {
                format!("{place}Can't get version of the {kind}server state file '{path}'.")
            }
            Unusable::Corrupted { line } => {
                format!("{place}corrupted {kind}server state file '{path}' at line {line}.")
            }
        }
    }
}

fn located(base: Option<&Path>, name: &Path) -> PathBuf {
    // An absolute name stays as it is.
    base.map_or_else(|| name.to_owned(), |base| base.join(name))
}

fn read_lines(path: &Path) -> Result<Lines, Unusable> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(Unusable::CannotOpen)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(Unusable::CannotOpen)?;
    let text = String::from_utf8_lossy(&bytes);
    let (version, rest) = text.split_once('\n').ok_or(Unusable::NoVersion)?;
    if version != VERSION {
        return Err(Unusable::NoVersion);
    }
    let mut lines = Lines::new();
    // Lines are counted from behind the version, as HAProxy's warnings do.
    for (index, text) in rest.lines().enumerate() {
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let line = Line::split(text).ok_or(Unusable::Corrupted { line: index + 1 })?;
        lines.entry((line.backend().to_owned(), line.server().to_owned())).or_insert(line);
    }
    Ok(lines)
}

fn apply_one(shared: &Shared, server: &ServerState, saved: &Saved) {
    turn(shared, server, saved);
    administer(shared, server, saved);
    let now_ms = shared.state.clock.millis(Instant::now());
    let since_ms = saved.seconds_since_change.saturating_mul(1000);
    server.last_change_ms.store(now_ms.saturating_sub(since_ms), Relaxed);
    restore_checks(server, saved);
    // A weight that the configuration changed meanwhile wins.
    if saved.configured_weight == server.settings.weight {
        // A static algorithm takes no new weight; the server keeps its own then.
        let _ = shared.state.backend(server.id.proxy).set_weight(server, saved.weight);
    }
    restore_place(shared, server, saved);
}

/// The operational state. Health is what goes with it, whatever the line says.
fn turn(shared: &Shared, server: &ServerState, saved: &Saved) {
    let (rise, fall) = {
        let view = server.check.lock();
        (view.rise.max(1), view.fall.max(1))
    };
    let full = rise + fall - 1;
    let (turn, health) = match saved.running {
        Running::Stopped => (Turn::Down, 0),
        Running::Stopping if fall == 1 => (Turn::Down, 0),
        Running::Stopping if (rise..full).contains(&saved.health) => (Turn::Stopping, saved.health),
        Running::Stopping => (Turn::Stopping, rise),
        Running::Starting if rise == 1 => (Turn::Up, full),
        Running::Starting if (1..rise).contains(&saved.health) => (Turn::Up, saved.health),
        Running::Starting => (Turn::Up, rise - 1),
        Running::Up => (Turn::Up, full),
    };
    server.check.lock().health = health;
    shared.turn_server(server.id, turn, Cause::Because(CAUSE));
}

/// What an operator ordered stays, unless the configuration changed its own word on it.
fn administer(shared: &Shared, server: &ServerState, saved: &Saved) {
    let id = server.id;
    let was_disabled = saved.admin.contains(Admin::CONFIG_MAINT);
    let is_disabled = server.admin().contains(Admin::CONFIG_MAINT);
    let in_maintenance = saved.admin.contains(Admin::FORCED_MAINT);
    let command = match (was_disabled, is_disabled) {
        (false, true) => Some(AdminCommand::Maintenance),
        (true, false) => Some(AdminCommand::Ready),
        (false, false) if in_maintenance => Some(AdminCommand::Maintenance),
        (true, true) if !in_maintenance => Some(AdminCommand::Ready),
        (false, false) | (true, true) => None,
    };
    if let Some(command) = command {
        shared.command_server(id, command);
    }
    // A weight of 0 drains too: that ends with a configuration that gives it weight again.
    let by_weight = saved.configured_weight == 0 && server.settings.weight > 0;
    if saved.admin.contains(Admin::FORCED_DRAIN)
        && !by_weight
        && !server.admin().contains(Admin::FORCED_MAINT)
    {
        let flags = AdminFlags::from(server.admin()).with(AdminFlags::FORCED_DRAIN);
        shared.set_server_flags(id, flags);
    }
}

/// The last result, checks that an operator switched off, and where they go.
fn restore_checks(server: &ServerState, saved: &Saved) {
    let is_off = |bits: u32| bits & CHECK_CONFIGURED != 0 && bits & CHECK_ENABLED == 0;
    if server.settings.check.is_some() {
        let mut view = server.check.lock();
        if saved.check_status != checks::CheckStatus::Initializing {
            view.status = saved.check_status.word();
            view.status_description = saved.check_status.description();
        }
        view.enabled &= !is_off(saved.check);
        view.target.address = saved.check_address.or(view.target.address);
        view.target.port = saved.check_port.or(view.target.port);
    }
    if server.settings.agent.is_some() {
        let mut view = server.agent.lock();
        view.enabled &= !is_off(saved.agent);
        if view.enabled {
            view.target.address = saved.agent_address.or(view.target.address);
            view.target.port = saved.agent_port.or(view.target.port);
        }
    }
}

/// The port, and a host name that was set at run time. An address of the configuration stays; one that a name gave is
/// `init-addr last`.
fn restore_place(shared: &Shared, server: &ServerState, saved: &Saved) {
    if saved.admin.contains(Admin::HOST_MAINT)
        && server.settings.resolvers.is_some()
        && let (Some(saved), Address::Host { name, .. }) = (&saved.fqdn, &server.settings.address)
        && saved != name
    {
        // The resolver takes as many renames as it has servers to look up; a refused one keeps the configured name.
        shared.resolve.rename(server.id, saved);
    }
    // Before the condition, or the lock would be held over the body.
    let target = server.target.read().clone();
    if saved.port > 0
        && server.settings.port == ServerPort::Fixed
        && let Some(Target::Inet(address)) = target
    {
        let target = Target::Inet(SocketAddr::new(address.ip(), saved.port));
        shared.state.backend(server.id.proxy).move_server(server, Some(target));
    }
}
