//! What operators ask of checks and states: the runtime API and the statistics page. Texts of replies are theirs; this
//! changes the state and logs it.

use super::Event;
use crate::state::ServerState;
use crate::worker::Shared;
use checks::{Cause, Turn};
use rules::ServerId;

/// Who asks; logs say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Cli,
    Web,
}

impl Operator {
    fn cause(self) -> Cause<'static> {
        match self {
            Operator::Cli => Cause::Cli,
            Operator::Web => Cause::Web,
        }
    }
}

impl Shared {
    /// `set server … health up|stopping|down`. The next check may find otherwise. Refuse it for servers that track
    /// another before calling.
    pub fn force_health(&self, id: ServerId, turn: Turn, operator: Operator) {
        let server = self.state.server(id);
        force(server.check.lock(), turn);
        self.turn_server(id, turn, operator.cause());
    }

    /// `set server … agent up|down`. Refuse it for servers without an enabled agent before calling.
    pub fn force_agent(&self, id: ServerId, up: bool, operator: Operator) {
        let turn = if up { Turn::Up } else { Turn::Down };
        let server = self.state.server(id);
        force(server.agent.lock(), turn);
        self.turn_server(id, turn, operator.cause());
    }

    /// `enable health`, `disable health`. False when the server has no check.
    pub fn enable_check(&self, server: &ServerState, enabled: bool) -> bool {
        let configured = server.settings.check.is_some();
        if configured {
            server.check.lock().enabled = enabled;
        }
        configured
    }

    /// `enable agent`, `disable agent`. False when the server has no agent.
    pub fn enable_agent(&self, server: &ServerState, enabled: bool) -> bool {
        let configured = server.settings.agent.is_some();
        if configured {
            server.agent.lock().enabled = enabled;
        }
        configured
    }

    /// Starts the checks of a server that was added at run time.
    pub fn watch_server(&self, id: ServerId) {
        self.health.tell(Event::Watch(id));
    }
}

fn force(mut view: parking_lot::MutexGuard<'_, crate::state::CheckView>, turn: Turn) {
    let mut counter = view.counter();
    match turn {
        Turn::Up | Turn::Stopping => counter.force_up(),
        Turn::Down => counter.force_down(),
    }
    view.health = counter.health();
}
