//! Connections to servers: the idle ones of this thread, and what is known of each.

use crate::http2::{Lease, Multiplexed};
use crate::net::Stream;
use crate::net::buffers::Pending;
use crate::state::{ServerState, State};
use rules::Peer;
use rules::tls::TlsFacts;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Idle connections that one thread keeps for one server when `pool-max-conn` sets no lower bound.
const IDLE_PER_SERVER_MAX: usize = 4096;

/// Multiplexed connections that one thread shares for one server.
const MULTIPLEXED_PER_SERVER_MAX: usize = 1024;

/// A connection to a server, busy or idle.
#[derive(Debug)]
pub struct ServerConnection {
    pub stream: Stream,
    /// Response bytes read ahead.
    pub input: Pending,
    pub server: Arc<ServerState>,
    /// Responses it has delivered.
    pub responses: u32,
    /// What is known of its TLS, and the server name it was opened for.
    pub tls: Option<Arc<TlsFacts>>,
    pub name: Option<Box<str>>,
    /// The PROXY protocol header went out already: it comes before TLS.
    pub announced: bool,
    /// Our end and theirs.
    pub local: Option<Peer>,
    pub peer: Option<Peer>,
    /// Belongs to one client, whatever `http-reuse` says.
    pub is_private: bool,
    idle_since: Option<Instant>,
}

impl ServerConnection {
    pub fn new(stream: Stream, server: Arc<ServerState>, peer: Option<Peer>) -> Box<ServerConnection> {
        Box::new(ServerConnection {
            stream,
            input: Pending::new(),
            server,
            responses: 0,
            tls: None,
            name: None,
            announced: false,
            local: None,
            peer,
            is_private: false,
            idle_since: None,
        })
    }

    /// It has served before: it may be closed by the server at any moment, which is nobody's error.
    pub fn is_reused(&self) -> bool {
        self.responses > 0
    }
}

/// The thread's idle connections, by server slot. Last in, first out: the warmest is used, the coldest die.
#[derive(Debug, Default)]
pub struct IdlePool {
    // Boxed on purpose: they move between pool, client and exchange as they are.
    #[allow(clippy::vec_box)]
    servers: Vec<Vec<Box<ServerConnection>>>,
    len: usize,
    /// Connections that carry several requests at a time, busy ones too.
    multiplexed: Vec<Vec<Rc<Multiplexed>>>,
}

/// Which connections of others a request may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// Those that carry no request now: what is slow for another client holds up nothing here.
    Idle,
    Any,
}

impl IdlePool {
    /// A live idle connection to `server`, opened for this server name. Ones that the server closed meanwhile are
    /// dropped on the way.
    pub async fn take(
        pool: &std::cell::RefCell<IdlePool>,
        server: &ServerState,
        name: Option<&str>,
    ) -> Option<Box<ServerConnection>> {
        poll_fn(|context| {
            let pool = &mut *pool.borrow_mut();
            let Some(list) = pool.servers.get_mut(server.slot as usize) else { return Poll::Ready(None) };
            while let Some(last) = list.iter().rposition(|connection| connection.name.as_deref() == name) {
                let mut connection = list.remove(last);
                server.idle_connections.decrement();
                pool.len -= 1;
                connection.idle_since = None;
                // Bytes, an end or an error while idle: in each case it cannot carry a request.
                if connection.stream.is_quiet(context) {
                    return Poll::Ready(Some(connection));
                }
            }
            Poll::Ready(None)
        })
        .await
    }

    /// Keeps `connection` for the next request, unless there are enough.
    pub fn put(&mut self, mut connection: Box<ServerConnection>, now: Instant) {
        let slot = connection.server.slot as usize;
        if self.servers.len() <= slot {
            self.servers.resize_with(slot + 1, Vec::new);
        }
        let settings = &connection.server.settings;
        let max = usize::try_from(settings.pool_max_conn).unwrap_or(IDLE_PER_SERVER_MAX);
        let worn_out = settings.max_reuse.is_some_and(|max| connection.responses > max);
        let list = &mut self.servers[slot];
        if list.len() >= max || worn_out || !connection.input.is_empty() || !connection.server.is_usable() {
            return;
        }
        connection.server.idle_connections.increment();
        self.len += 1;
        connection.idle_since = Some(now);
        list.push(connection);
    }

    /// A place on a connection to `server` that has room, the warmest first.
    pub fn lease(&mut self, server: &ServerState, name: Option<&str>, join: Join) -> Option<Lease> {
        let list = self.multiplexed.get_mut(server.slot as usize)?;
        list.retain(|connection| !connection.has_ended());
        let found = list
            .iter()
            .rev()
            .find(|connection| connection.serves(name) && (join == Join::Any || connection.is_idle()))?;
        Some(found.lease())
    }

    /// Keeps a connection for others too, unless there are enough.
    pub fn share(&mut self, connection: &Rc<Multiplexed>) {
        let slot = connection.server.slot as usize;
        if self.multiplexed.len() <= slot {
            self.multiplexed.resize_with(slot + 1, Vec::new);
        }
        let list = &mut self.multiplexed[slot];
        if list.len() < MULTIPLEXED_PER_SERVER_MAX {
            list.push(Rc::clone(connection));
        }
    }

    /// Closes what has been idle longer than its `pool-purge-delay`; all of it when `everything`.
    pub fn purge(&mut self, now: Instant, everything: bool) {
        for list in &mut self.servers {
            let old = |connection: &ServerConnection| {
                everything
                    || !connection.server.is_usable()
                    || connection.idle_since.is_none_or(|since| {
                        now.saturating_duration_since(since)
                            >= purge_delay(connection.server.settings.pool_purge_delay)
                    })
            };
            list.retain(|connection| {
                let close = old(connection);
                if close {
                    connection.server.idle_connections.decrement();
                    self.len -= 1;
                }
                !close
            });
        }
        for list in &mut self.multiplexed {
            list.retain(|connection| {
                let old = connection.is_idle()
                    && now.saturating_duration_since(connection.idle_since())
                        >= purge_delay(connection.server.settings.pool_purge_delay);
                let keep = !everything && !old && connection.server.is_usable() && !connection.has_ended();
                if !keep {
                    // Streams that use it end in their time, and the connection with the last of them.
                    connection.retire();
                }
                keep
            });
        }
    }

    /// Takes over what `old` keeps for servers that are the same in another configuration; the rest is closed.
    pub fn adopt(&mut self, old: IdlePool, before: &State, after: &State) {
        let now = Instant::now();
        for mut connection in old.servers.into_iter().flatten() {
            connection.server.idle_connections.decrement();
            if let Some(server) = connection.server.same_in(before, after) {
                let since = connection.idle_since;
                connection.server = server;
                self.put(connection, since.unwrap_or(now));
            }
        }
        // Their streams end in their time, and they with the last of them.
        old.multiplexed.iter().flatten().for_each(|connection| connection.retire());
    }

    /// How many are kept for all servers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many are kept, by server slot.
    pub fn counts(&self) -> Vec<usize> {
        let slots = self.servers.len().max(self.multiplexed.len());
        let idle = |slot: usize| {
            let multiplexed = self.multiplexed.get(slot).into_iter().flatten();
            self.servers.get(slot).map_or(0, Vec::len)
                + multiplexed.filter(|connection| connection.is_idle()).count()
        };
        (0..slots).map(idle).collect()
    }

    /// Closes the idle connections of one server.
    pub fn close_server(&mut self, slot: u32) {
        if let Some(list) = self.servers.get_mut(slot as usize) {
            self.len -= list.len();
            for connection in list.drain(..) {
                connection.server.idle_connections.decrement();
            }
        }
        if let Some(list) = self.multiplexed.get_mut(slot as usize) {
            list.drain(..).for_each(|connection| connection.retire());
        }
    }
}

/// A delay of 0 would close a connection before its next use.
fn purge_delay(configured: Duration) -> Duration {
    configured.max(Duration::from_secs(1))
}
