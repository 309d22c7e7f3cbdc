//! What the page's form does to the servers of the running proxy.

use super::form::{Action, Effect, Servers};
use crate::health::Operator;
use crate::state::ServerState;
use crate::worker::Shared;
use checks::{AdminCommand, AdminFlags, Turn};
use rules::ProxyId;

/// The running proxy, as the form sees it.
pub struct Visitor<'a> {
    pub shared: &'a Shared,
}

impl Servers for Visitor<'_> {
    type Backend = ProxyId;

    fn backend(&self, name: &str) -> Option<ProxyId> {
        let number = name.strip_prefix('#').and_then(|number| number.parse::<u32>().ok());
        let mut backends = self.shared.state.model.proxies.iter().filter(|proxy| proxy.is_backend);
        let found = backends.find(|proxy| number.map_or(proxy.name == name, |number| proxy.uuid == number));
        found.map(|proxy| proxy.id)
    }

    fn act(&mut self, backend: ProxyId, server: &str, action: Action) -> Effect {
        match self.shared.state.backend(backend).server_by_name(server) {
            Some(server) if perform(self.shared, server, action) => Effect::Applied,
            Some(_) => Effect::NotApplicable,
            None => Effect::Unknown,
        }
    }
}

/// Does the action; false when the server has nothing that it could apply to.
fn perform(shared: &Shared, server: &ServerState, action: Action) -> bool {
    let id = server.id;
    let flags = AdminFlags::from(server.admin());
    let forced = AdminFlags::FORCED_MAINT;
    // The old words change one flag, and only when that is news.
    let set = |wanted: bool, next: AdminFlags| {
        if wanted {
            shared.set_server_flags(id, next);
        }
        wanted
    };
    let command = |command: AdminCommand| {
        shared.command_server(id, command);
        true
    };
    let health = |turn: Turn| {
        // Its state is another server's.
        let own = server.settings.track.is_none();
        if own {
            shared.force_health(id, turn, Operator::Web);
        }
        own
    };
    let agent = |up: bool| {
        let enabled = server.agent.lock().enabled;
        if enabled {
            shared.force_agent(id, up, Operator::Web);
        }
        enabled
    };
    match action {
        Action::Ready => command(AdminCommand::Ready),
        Action::Drain => command(AdminCommand::Drain),
        Action::Maintenance => command(AdminCommand::Maintenance),
        Action::DisableChecks => shared.enable_check(server, false),
        Action::EnableChecks => shared.enable_check(server, true),
        Action::ForceUp => health(Turn::Up),
        Action::ForceStopping => health(Turn::Stopping),
        Action::ForceDown => health(Turn::Down),
        Action::DisableAgent => shared.enable_agent(server, false),
        Action::EnableAgent => shared.enable_agent(server, true),
        Action::ForceAgentUp => agent(true),
        Action::ForceAgentDown => agent(false),
        Action::ShutdownSessions => {
            shared.shut_sessions(id);
            true
        }
        Action::Disable => set(!flags.contains(forced), flags.with(forced)),
        Action::Enable => {
            set(flags.contains(forced), flags.without(forced).without(AdminFlags::CONFIG_MAINT))
        }
        Action::Stop => set(!flags.contains(AdminFlags::FORCED_DRAIN), flags.with(AdminFlags::FORCED_DRAIN)),
        Action::Start => {
            set(flags.contains(AdminFlags::FORCED_DRAIN), flags.without(AdminFlags::FORCED_DRAIN))
        }
    }
}
