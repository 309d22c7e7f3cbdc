//! What goes over from the configuration before: the rule is that what an operator, an agent or a check set at run time
//! stays, unless the file's own word on it has changed; that is how HAProxy reads a state file after a reload.

use super::{Admin, CheckView, Kept, Running, ServerState, State};
use checks::AdminCommand;
use haproxy_config::model::{Address, Proxy};
use rules::ServerId;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// What to order of servers once all is in place: it has consequences, and is logged.
#[derive(Debug, Default)]
pub struct Orders {
    pub commands: Vec<(ServerId, AdminCommand)>,
    /// Have an address of their own now, and wait for no name.
    pub addressed: Vec<ServerId>,
}

impl State {
    /// Whether the server's address, and what was found out about it, stays as before.
    pub fn keeps_address(&self, id: ServerId, old: &State, kept: &Kept) -> bool {
        let server = self.server(id);
        let before = kept.servers[server.slot as usize].and_then(|slot| old.servers.get(slot as usize));
        before.is_some_and(|before| has_same_address(server, before))
    }

    /// Takes the place of `old`: from here on what both share is as this configuration says.
    pub fn take_over(&self, old: &State, kept: &Kept) -> Orders {
        let mut orders = Orders::default();
        let (maxconn, before) = (self.maxconn, old.maxconn);
        if maxconn != before {
            self.process.maxconn.store(maxconn, Relaxed);
            self.process.hard_maxconn.store(maxconn, Relaxed);
        }
        self.process.adopt(&self.model, &old.model);
        for (proxy, was) in self.model.proxies.iter().zip(&kept.frontends) {
            let live = &self.proxy(proxy.id).frontend;
            if let Some(was) = was {
                live.adopt(proxy, &old.model.proxies[was.index()], maxconn, before);
            }
            live.set_status(super::FrontendStatus::Open);
        }
        for (slot, was) in kept.servers.iter().enumerate() {
            let (Some(server), Some(was)) = (self.servers.get(slot), was) else { continue };
            if let Some(before) = old.servers.get(*was as usize) {
                carry(self, server, before, &mut orders);
            }
        }
        self.proxies.iter().for_each(|proxy| proxy.backend.take_over());
        orders
    }
}

fn has_same_address(server: &ServerState, before: &ServerState) -> bool {
    server.settings.address == before.settings.address && server.settings.port == before.settings.port
}

fn carry(state: &State, server: &Arc<ServerState>, before: &Arc<ServerState>, orders: &mut Orders) {
    let (now, then) = (&server.settings, &before.settings);
    if has_same_address(server, before) {
        let target = before.target.read().clone();
        state.backend(server.id.proxy).move_server(server, target);
        server.fqdn.write().clone_from(&before.fqdn.read());
    } else if !matches!(now.address, Address::Host { .. }) {
        orders.addressed.push(server.id);
    }
    if now.weight != then.weight {
        server.weight.store(now.weight, Relaxed);
    }
    if now.maxconn != then.maxconn {
        server.maxconn.store(now.maxconn, Relaxed);
    }
    carry_view(
        &mut server.check.lock(),
        then.check.is_some(),
        now.check.as_ref().map(|check| (check.rise, check.fall)),
    );
    carry_view(&mut server.agent.lock(), then.agent.is_some(), now.agent.as_ref().map(|_| (1, 1)));
    let lost_its_judge = then.check.is_some() && now.check.is_none() && now.track.is_none();
    if lost_its_judge && server.running() == Running::Stopped && !server.admin().is_maintenance() {
        server.set_running(Running::Up);
    }
    if then.track.is_some() && now.track.is_none() {
        let own = server.admin().0 & !(Admin::INHERITED_MAINT.0 | Admin::INHERITED_DRAIN.0);
        server.set_admin(Admin(own));
    }
    match (then.disabled, now.disabled) {
        (false, true) => orders.commands.push((server.id, AdminCommand::Maintenance)),
        (true, false) => orders.commands.push((server.id, AdminCommand::Ready)),
        (true, true) | (false, false) => {}
    }
}

/// `wanted`: rise and fall, where the file asks for such checks.
fn carry_view(view: &mut CheckView, existed: bool, wanted: Option<(u32, u32)>) {
    let Some((rise, fall)) = wanted.filter(|_| existed) else {
        *view = CheckView::default();
        return;
    };
    let (rise, fall) = (rise.max(1), fall.max(1));
    if view.running {
        // Nobody waits for its result any more: again, at once.
        view.running = false;
        view.due = Some(Instant::now());
    }
    if view.rise > 0 && (view.rise, view.fall) != (rise, fall) {
        let is_up = view.health >= view.rise;
        view.health = if is_up { rise + fall - 1 } else { view.health.min(rise - 1) };
        (view.rise, view.fall) = (rise, fall);
    }
}

impl super::ProcessState {
    /// Sets what the configuration says differently.
    fn adopt(&self, model: &haproxy_config::Model, old: &haproxy_config::Model) {
        let (now, then) = (&model.global, &old.global);
        let limits = [
            (&self.max_connection_rate, now.maxconnrate, then.maxconnrate),
            (&self.max_session_rate, now.maxsessrate, then.maxsessrate),
            (&self.max_tls_connections, now.tls.maxsslconn, then.tls.maxsslconn),
            (&self.max_compression_rate, now.max_compression_rate, then.max_compression_rate),
        ];
        for (limit, now, then) in limits {
            if now != then {
                limit.store(now.unwrap_or(0), Relaxed);
            }
        }
        self.limit_idle(model);
    }
}

impl super::FrontendLive {
    /// Sets what the configuration says differently. `maxconn`, `maxconn_before`: those of the process.
    fn adopt(&self, now: &Proxy, then: &Proxy, maxconn: u32, maxconn_before: u32) {
        let (wanted, before) = (now.maxconn.unwrap_or(maxconn), then.maxconn.unwrap_or(maxconn_before));
        if wanted != before {
            self.maxconn.store(wanted, Relaxed);
        }
        if now.session_rate_limit != then.session_rate_limit {
            self.rate_limit.store(now.session_rate_limit.unwrap_or(0), Relaxed);
        }
    }
}
