//! Sessions that servers gave us. Each ticket of TLS 1.3 is used once (RFC 8446 §C.4), so that as many connections resume at
//! a time as there are tickets: rustls keeps eight for a name, fewer than a backend opens in a burst.

use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use std::collections::{HashMap, VecDeque};

/// Names of one server whose sessions are kept.
const NAMES_MAX: usize = 256;

/// Tickets that are kept for a name; the oldest go first.
const TICKETS_MAX: usize = 64;

/// The sessions of one server, by its names.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Key exchanges that worked, and sessions of TLS 1.2, which are good for many connections.
    others: ClientSessionMemoryCache,
    tickets: Mutex<HashMap<ServerName<'static>, VecDeque<Tls13ClientSessionValue>>>,
}

impl Sessions {
    pub fn new() -> Sessions {
        Sessions { others: ClientSessionMemoryCache::new(NAMES_MAX), tickets: Mutex::default() }
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.others.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.others.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.others.set_tls12_session(name, session);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.others.tls12_session(name)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.others.remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut all = self.tickets.lock();
        if all.len() >= NAMES_MAX && !all.contains_key(&name) {
            // Names come and go with requests: which of them goes does not matter.
            let some = all.keys().next().cloned();
            some.map(|some| all.remove(&some));
        }
        let tickets = all.entry(name).or_default();
        if tickets.len() >= TICKETS_MAX {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tickets.lock().get_mut(name)?.pop_back()
    }
}
