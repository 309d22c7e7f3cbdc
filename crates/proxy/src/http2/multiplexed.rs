//! A connection to a server that carries many requests at a time.

use super::link::Link;
use super::settings;
use crate::net::buffers::Pending;
use crate::net::clock;
use crate::state::ServerState;
use crate::state::counters::BackendCounters;
use crate::upstream::ServerConnection;
use ::http2::{Connection, Reason, Role};
use haproxy_config::model::Tune;
use rules::Peer;
use rules::tls::TlsFacts;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the first SETTINGS of a server are waited for.
const SETTINGS_WAIT: Duration = Duration::from_secs(1);

/// One connection, shared by the streams that use it and by the pool.
pub struct Multiplexed {
    pub link: Rc<Link>,
    pub server: Arc<ServerState>,
    /// Encrypted: requests say `https`.
    pub secure: bool,
    pub tls: Option<Arc<TlsFacts>>,
    /// The name that TLS was told; requests for others do not go here.
    name: Option<Box<str>>,
    pub local: Option<Peer>,
    pub peer: Option<Peer>,
    /// Streams in use.
    active: Cell<u32>,
    /// Streams opened so far.
    opened: Cell<u32>,
    /// `tune.h2.be.max-concurrent-streams`.
    streams_max: u32,
    ended: Cell<bool>,
    idle_since: Cell<Instant>,
}

impl std::fmt::Debug for Multiplexed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Multiplexed")
            .field("server", &self.server.id)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl Multiplexed {
    /// Starts HTTP/2 on a connection that is established. Its frames are moved by a task of its own, which ends when the
    /// server closes, or when nobody holds this any more.
    pub fn start(opened: ServerConnection, tune: &Tune, counters: Arc<BackendCounters>) -> Rc<Multiplexed> {
        let ServerConnection { stream, server, local, peer, tls, name, .. } = opened;
        let secure = stream.is_secure();
        let connection = Connection::new(Role::Client, settings::server_side(tune), clock::now());
        let link = Link::new(stream, Pending::new(), connection);
        let multiplexed = Rc::new(Multiplexed {
            link: Rc::clone(&link),
            server,
            secure,
            tls,
            name,
            local,
            peer,
            active: Cell::new(0),
            opened: Cell::new(0),
            streams_max: tune.http2_backend.over(tune.http2).max_concurrent_streams,
            ended: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
        });
        let ended = Rc::downgrade(&multiplexed);
        tokio::task::spawn_local(async move {
            // How it ended is what each of its streams is told.
            counters.http2_connections_begun.add(1);
            poll_fn(|context| {
                let over = link.poll_move(context, |_| {});
                counters.note_http2(&link.connection(Connection::take_counts));
                over
            })
            .await;
            counters.http2_connections_ended.add(1);
            if let Some(ended) = ended.upgrade() {
                ended.ended.set(true);
            }
        });
        multiplexed
    }

    /// Whether it may carry one more request, of that name.
    pub fn serves(&self, name: Option<&str>) -> bool {
        self.name.as_deref() == name && self.has_room()
    }

    fn has_room(&self) -> bool {
        let worn_out = self.server.settings.max_reuse.is_some_and(|max| self.opened.get() > max);
        let max = self.link.connection(|connection| match connection.is_leaving() {
            true => 0,
            false => connection.streams_max().min(self.streams_max),
        });
        !self.ended.get() && !worn_out && self.active.get() < max
    }

    /// The server has closed, or told that it takes no more.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// No more streams on this one.
    pub fn retire(&self) {
        self.ended.set(true);
    }

    pub fn is_idle(&self) -> bool {
        self.active.get() == 0
    }

    pub fn idle_since(&self) -> Instant {
        self.idle_since.get()
    }

    /// Streams opened so far.
    pub fn opened(&self) -> u32 {
        self.opened.get()
    }

    /// Waits until the server has said whether it takes WebSockets (RFC 8441 §3), in its first SETTINGS.
    pub async fn takes_websockets(&self) -> bool {
        let says =
            poll_fn(|context| self.link.connection(|connection| connection.poll_connect_protocol(context)));
        tokio::time::timeout(SETTINGS_WAIT, says).await.unwrap_or(false)
    }

    /// Takes a place for a stream.
    pub fn lease(self: &Rc<Self>) -> Lease {
        self.active.set(self.active.get() + 1);
        self.opened.set(self.opened.get().saturating_add(1));
        Lease { connection: Rc::clone(self) }
    }
}

impl Drop for Multiplexed {
    fn drop(&mut self) {
        // No stream is left, and none will come.
        self.link.connection(|connection| connection.abort(Reason::NO_ERROR));
        self.link.hang_up();
    }
}

/// A stream's place on a connection; it is free again when this is dropped.
#[derive(Debug)]
pub struct Lease {
    connection: Rc<Multiplexed>,
}

impl Lease {
    pub fn connection(&self) -> &Rc<Multiplexed> {
        &self.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.active.set(connection.active.get() - 1);
        if connection.active.get() == 0 {
            connection.idle_since.set(Instant::now());
        }
    }
}
