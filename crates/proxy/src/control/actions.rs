//! What an operator can do to servers and frontends, for the runtime API and the statistics page alike.

use crate::health::Operator;
use crate::registry::Control as Connection;
use crate::run::Order;
use crate::state::FrontendStatus;
use crate::worker::{Shared, Worker};
use checks::{AdminCommand, Turn};
use rules::{ProxyId, ServerId};
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::mpsc;

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
}

/// Does `action`. `false`: it does not apply to this server (no check or agent configured, or health of a server that
/// tracks another). `operator`: who asks; the log says so where checks are overruled.
pub fn act_on_server(shared: &Shared, id: ServerId, action: ServerAction, operator: Operator) -> bool {
    let server = shared.state.server(id);
    match action {
        ServerAction::Ready => shared.command_server(id, AdminCommand::Ready),
        ServerAction::Drain => shared.command_server(id, AdminCommand::Drain),
        ServerAction::Maintenance => shared.command_server(id, AdminCommand::Maintenance),
        ServerAction::EnableHealth => return shared.enable_check(server, true),
        ServerAction::DisableHealth => {
            shared.enable_check(server, false);
        }
        ServerAction::EnableAgent => return shared.enable_agent(server, true),
        ServerAction::DisableAgent => {
            shared.enable_agent(server, false);
        }
        ServerAction::HealthUp | ServerAction::HealthStopping | ServerAction::HealthDown => {
            if server.settings.track.is_some() {
                return false;
            }
            let turn = match action {
                ServerAction::HealthDown => Turn::Down,
                ServerAction::HealthStopping => Turn::Stopping,
                _ => Turn::Up,
            };
            shared.force_health(id, turn, operator);
        }
        ServerAction::AgentUp | ServerAction::AgentDown => {
            if !server.agent.lock().enabled {
                return false;
            }
            shared.force_agent(id, action == ServerAction::AgentUp, operator);
        }
    }
    true
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

/// Ends all connections on every worker that `wanted` takes.
pub fn end_connections(
    orders: &[mpsc::Sender<Order>],
    wanted: impl Fn(&Connection) -> bool + Clone + Send + 'static,
) {
    for sender in orders {
        let wanted = wanted.clone();
        // A worker too busy to take an order keeps its connections; they end by their timeouts.
        let _ = sender.try_send(Box::new(move |worker: &Rc<Worker>| {
            for connection in worker.sessions.borrow().iter().filter(|connection| wanted(connection)) {
                connection.kill();
            }
        }));
    }
}
