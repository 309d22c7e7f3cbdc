//! The timers of both sides of a stream, and what is counted while it runs.

use super::client::Client;
use super::flow::Flow;
use crate::net::clock;
use haproxy_config::model::Proxy;
use rules::ProxyId;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The timers of both sides: each moves with its side's activity.
#[derive(Debug, Clone, Copy)]
pub struct Activity {
    pub client: Instant,
    pub server: Instant,
    pub client_timeout: Option<Duration>,
    pub server_timeout: Option<Duration>,
    /// `option independent-streams`: bytes written to a side do not excuse its silence.
    independent_client: bool,
    independent_server: bool,
    live: Option<LiveCounts>,
}

/// `option contstats`: bytes are counted as they pass, and not when the stream ends.
#[derive(Debug, Clone, Copy)]
struct LiveCounts {
    backend: ProxyId,
    server_slot: u32,
    counted: Counted,
}

/// Bytes of both directions that the counters have already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Which side let its time pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    Client,
    Server,
}

impl Activity {
    /// Both sides were active at `now`.
    pub fn new(
        now: Instant,
        timeouts: (Option<Duration>, Option<Duration>),
        front: &Proxy,
        back: &Proxy,
        server_slot: u32,
    ) -> Activity {
        let live = || LiveCounts { backend: back.id, server_slot, counted: Counted::default() };
        Activity {
            client: now,
            server: now,
            client_timeout: timeouts.0,
            server_timeout: timeouts.1,
            independent_client: front.options.independent_streams,
            independent_server: back.options.independent_streams,
            live: front.options.contstats.then(live),
        }
    }

    /// Bytes moved in the last poll of a flow. A side that is waited for to send has been active only if it sent, where
    /// streams are independent.
    pub fn moved(&mut self, client: &Client, up: &Flow, down: &Flow) {
        let now = clock::now();
        let waits_for = |flow: &Flow| !flow.is_read() && !flow.blocked_on_destination;
        if !self.independent_client || up.progressed || !waits_for(up) {
            self.client = now;
        }
        if !self.independent_server || down.progressed || !waits_for(down) {
            self.server = now;
        }
        if let Some(live) = &mut self.live {
            live.count(client, up.data, down.data);
        }
    }

    /// Whether a side that is silent for too long is taken for done, while the other side goes on.
    pub fn ends_by_half(&self, expired: Expired) -> bool {
        match expired {
            Expired::Client => self.independent_client,
            Expired::Server => self.independent_server,
        }
    }

    /// What the counters have already of this stream.
    pub fn counted(&self) -> Counted {
        self.live.map_or_else(Counted::default, |live| live.counted)
    }

    /// Arms the deadline for the sides that are waited for; tells which one has expired when it fires.
    pub fn poll(
        &self,
        client: &mut Client,
        context: &mut Context<'_>,
        on_client: bool,
        on_server: bool,
    ) -> Poll<Expired> {
        let at = |waits: bool, since: Instant, timeout: Option<Duration>| {
            timeout.filter(|_| waits).map(|timeout| since + timeout)
        };
        let client_at = at(on_client, self.client, self.client_timeout);
        let server_at = at(on_server, self.server, self.server_timeout);
        let (first, who) = match (client_at, server_at) {
            (Some(client), Some(server)) if server < client => (Some(server), Expired::Server),
            (Some(client), _) => (Some(client), Expired::Client),
            (None, server) => (server, Expired::Server),
        };
        client.deadline.set(first);
        client.deadline.poll(context).map(|()| who)
    }
}

impl LiveCounts {
    fn count(&mut self, client: &Client, bytes_in: u64, bytes_out: u64) {
        let worker = &client.worker;
        let (more_in, more_out) = (
            bytes_in.saturating_sub(self.counted.bytes_in),
            bytes_out.saturating_sub(self.counted.bytes_out),
        );
        self.counted.bytes_in += more_in;
        self.counted.bytes_out += more_out;
        let front = worker.frontend_counters(client.frontend);
        front.bytes_in.add(more_in);
        front.bytes_out.add(more_out);
        client.count_at_listener(|counters| &counters.bytes_in, more_in);
        client.count_at_listener(|counters| &counters.bytes_out, more_out);
        worker.counters.bytes_out.add(more_out);
        let back = worker.backend_counters(self.backend);
        back.bytes_in.add(more_in);
        back.bytes_out.add(more_out);
        let server = worker.server_counters(self.server_slot);
        server.bytes_in.add(more_in);
        server.bytes_out.add(more_out);
    }
}
