//! What an operator can do to servers and frontends, for the runtime API and the statistics page alike.

use crate::health::Operator;
use crate::state::FrontendStatus;
use crate::worker::Shared;
use checks::{AdminCommand, AdminFlags, Turn};
use rules::{ProxyId, ServerId};
use std::time::Instant;

/// A change of a server's state that an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerAction {
    /// Take traffic as checks allow.
    Ready,
    /// Nothing new except by persistence.
    Drain,
    /// Nothing at all, no checks.
    Maintenance,
    /// Checks on or off.
    EnableHealth,
    DisableHealth,
    EnableAgent,
    DisableAgent,
    /// Pretend that a check or an agent said so.
    HealthUp,
    HealthStopping,
    HealthDown,
    AgentUp,
    AgentDown,
    /// End what the server's clients do now.
    ShutdownSessions,
    /// Words of forms before HAProxy 1.5: one flag on or off, maintenance and drain. They apply only when that is news.
    Disable,
    Enable,
    Stop,
    Start,
}

/// Does `action`. `false`: it does not apply to this server (no check or agent configured, health of a server that tracks
/// another, a flag that is as asked for). `operator`: who asks; the log says so where checks are overruled.
pub fn act_on_server(shared: &Shared, id: ServerId, action: ServerAction, operator: Operator) -> bool {
    let server = shared.state.server(id);
    let command = |command: AdminCommand| {
        shared.command_server(id, command);
        true
    };
    let health = |turn: Turn| {
        // Its state is another server's.
        let own = server.settings.track.is_none();
        if own {
            shared.force_health(id, turn, operator);
        }
        own
    };
    let agent = |up: bool| {
        let enabled = server.agent.lock().enabled;
        if enabled {
            shared.force_agent(id, up, operator);
        }
        enabled
    };
    let flags = AdminFlags::from(server.admin());
    let (maintenance, drain) = (AdminFlags::FORCED_MAINT, AdminFlags::FORCED_DRAIN);
    let set = |wanted: bool, next: AdminFlags| {
        if wanted {
            shared.set_server_flags(id, next);
        }
        wanted
    };
    match action {
        ServerAction::Ready => command(AdminCommand::Ready),
        ServerAction::Drain => command(AdminCommand::Drain),
        ServerAction::Maintenance => command(AdminCommand::Maintenance),
        ServerAction::EnableHealth => shared.enable_check(server, true),
        ServerAction::DisableHealth => shared.enable_check(server, false),
        ServerAction::EnableAgent => shared.enable_agent(server, true),
        ServerAction::DisableAgent => shared.enable_agent(server, false),
        ServerAction::HealthUp => health(Turn::Up),
        ServerAction::HealthStopping => health(Turn::Stopping),
        ServerAction::HealthDown => health(Turn::Down),
        ServerAction::AgentUp => agent(true),
        ServerAction::AgentDown => agent(false),
        ServerAction::ShutdownSessions => {
            shared.shut_sessions(id);
            true
        }
        ServerAction::Disable => set(!flags.contains(maintenance), flags.with(maintenance)),
        ServerAction::Enable => {
            let next = flags.without(maintenance).without(AdminFlags::CONFIG_MAINT);
            set(flags.contains(maintenance), next)
        }
        ServerAction::Stop => set(!flags.contains(drain), flags.with(drain)),
        ServerAction::Start => set(flags.contains(drain), flags.without(drain)),
    }
}

/// Stops accepting until it is resumed; connections that exist go on.
pub fn pause_frontend(shared: &Shared, id: ProxyId) {
    shared.state.proxy(id).frontend.set_status(FrontendStatus::Paused);
}

/// Accepts again.
pub fn resume_frontend(shared: &Shared, id: ProxyId) {
    shared.state.proxy(id).frontend.set_status(FrontendStatus::Open);
}

/// Stops accepting for good and closes the listening sockets.
pub fn stop_frontend(shared: &Shared, id: ProxyId) {
    let state = &shared.state;
    state.proxy(id).frontend.set_status(FrontendStatus::Stopped);
    // A successor must not get listeners that nobody accepts from.
    shared.handover.release_frontend(id);
    let totals = state.frontend_totals(id);
    let backend = state.backend_totals(id);
    let name = &state.model.proxies[id.index()].name;
    let text = format!(
        "Proxy {name} stopped (cumulated conns: FE: {}, BE: {}).",
        totals.connections, backend.sessions
    );
    shared.logs.event(Some(id), LEVEL_WARNING, &text, state.clock.wall(Instant::now()));
}

/// Syslog level of a stopped proxy.
const LEVEL_WARNING: u8 = 4;
