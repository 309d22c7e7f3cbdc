//! Health: runs the checks and agents of all servers, and turns their results, orders of the runtime API and
//! observations of traffic into states of servers. Decisions are the `checks` crate's; this is their shell.
//!
//! ```text
//!  scheduler (control thread) ─► prober: sockets ⇄ Conversation ─► outcome ─► transition ─► State, logs
//!  workers ── observe ──────────► scheduler                                       ▲
//!  runtime API, statistics page ──────────────────────────────────────────────────┘
//! ```

mod environment;
mod external;
mod http2;
mod observe;
mod operator;
mod outcome;
mod prober;
mod scheduler;
#[cfg(test)]
mod tests;
mod transition;

pub use operator::Operator;
pub use scheduler::{prepare, run};

use crate::run::Order;
use crate::state::State;
use parking_lot::Mutex;
use rules::ServerId;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// Events waiting for the scheduler at most; observations beyond are dropped, for more will follow.
const EVENTS_MAX: usize = 4096;

/// What the scheduler is told from outside.
#[derive(Debug)]
pub(crate) enum Event {
    /// A server was added at run time.
    Watch(ServerId),
    /// So many errors in a row were seen in its traffic.
    Observed { server: ServerId, errors: u32, last: checks::Observation },
}

/// The part of the health machinery that all threads see.
pub struct Health {
    /// Who tracks a server.
    trackers: HashMap<ServerId, Vec<ServerId>>,
    events: mpsc::Sender<Event>,
    receiver: Mutex<Option<mpsc::Receiver<Event>>>,
    /// One sender per worker, once they run.
    orders: OnceLock<Arc<[mpsc::Sender<Order>]>>,
}

impl Health {
    pub fn new(state: &State) -> Health {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let mut trackers: HashMap<ServerId, Vec<ServerId>> = HashMap::new();
        for (_, server) in &state.servers {
            if let Some(tracked) = server.settings.track {
                trackers.entry(tracked).or_default().push(server.id);
            }
        }
        Health { trackers, events, receiver: Mutex::new(Some(receiver)), orders: OnceLock::new() }
    }

    /// Lets transitions reach the workers (`on-marked-down shutdown-sessions`).
    pub fn set_orders(&self, orders: Arc<[mpsc::Sender<Order>]>) {
        // Set once, by the one who starts the workers.
        let _ = self.orders.set(orders);
    }

    fn trackers_of(&self, server: ServerId) -> &[ServerId] {
        self.trackers.get(&server).map_or(&[], Vec::as_slice)
    }

    fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }
}
