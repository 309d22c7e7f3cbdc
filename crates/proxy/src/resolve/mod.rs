//! Run-time name resolution (`resolvers`): asks name servers for the addresses and services of server names, and moves
//! servers with the answers.
//!
//! ```text
//!  name ─► Resolution (pure: when to ask, what is known) ─► Answered ─► assign (pure: who gets what) ─► State, logs
//!                 ▲ replies                                 Lost ─────► maintenance "resolution"
//!  name servers ──┘  (one UDP socket each)
//! ```

mod ask;
mod assignment;
mod initial;
mod message;
mod nameserver;
mod resolution;
mod resolver;

pub use ask::ask;
pub use initial::{initialize, unresolved, wait};
pub use nameserver::Counters;
pub use resolver::run;

use haproxy_config::Model;
use parking_lot::Mutex;
use rules::ServerId;
use tokio::sync::mpsc;

/// Orders waiting for the resolver at most.
const ORDERS_MAX: usize = 1024;

/// What the resolver is told from outside.
#[derive(Debug)]
enum Order {
    /// Resolve the name of this server soon.
    Hasten(ServerId),
    /// This server has another name now.
    Rename(ServerId, String),
}

/// What other threads see of name resolution: `show resolvers` reads it.
#[derive(Debug)]
pub struct Resolve {
    pub sections: Vec<SectionView>,
    orders: mpsc::Sender<Order>,
    receiver: Mutex<Option<mpsc::Receiver<Order>>>,
    /// What `do-resolve` found.
    kept: Mutex<ask::Kept>,
}

/// One `resolvers` section.
#[derive(Debug)]
pub struct SectionView {
    pub name: String,
    pub nameservers: Vec<NameserverView>,
}

#[derive(Debug)]
pub struct NameserverView {
    pub name: String,
    pub target: nameserver::Server,
    pub counters: Counters,
}

impl Resolve {
    /// Lists the name servers; reads `/etc/resolv.conf` for the sections that want it. Call before a chroot.
    pub fn new(model: &Model) -> Resolve {
        let sections = model
            .resolvers
            .iter()
            .map(|section| SectionView {
                name: section.name.clone(),
                nameservers: nameserver::list(section)
                    .into_iter()
                    .map(|(name, target)| NameserverView { name, target, counters: Counters::default() })
                    .collect(),
            })
            .collect();
        let (orders, receiver) = mpsc::channel(ORDERS_MAX);
        Resolve { sections, orders, receiver: Mutex::new(Some(receiver)), kept: Mutex::default() }
    }

    /// Resolves the name of a server soon: it cannot be reached, so it may have moved.
    pub fn hasten(&self, server: ServerId) {
        // When so many wait already, this one is resolved in its turn.
        let _ = self.orders.try_send(Order::Hasten(server));
    }

    /// `set server … fqdn`: the server keeps its address until the new name resolves. False when the resolver has too
    /// much to do; refuse it for servers without `resolvers` before calling.
    pub fn rename(&self, server: ServerId, name: &str) -> bool {
        self.orders.try_send(Order::Rename(server, name.to_ascii_lowercase())).is_ok()
    }
}
