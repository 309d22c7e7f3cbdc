//! `mode tcp`: one connection, one stream, one server.

use super::activity::Activity;
use super::client::Client;
use super::dispatch::{self, Abort};
use super::flow::Flow;
use super::http1::session_begins;
use super::log;
use super::route::{TcpRoute, route_tcp};
use super::trace::{self, TracedBody};
use super::transaction::Transaction;
use super::tunnel::{HalfClosed, Inspection, tunnel};
use crate::upstream::ServerConnection;
use http::Framing;
use rules::Direction;
use rules::ProxyId;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

/// How TCP ended on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    Over,
    /// What the client has sent, and what follows, is HTTP.
    Http,
}

/// Serves one TCP connection.
pub async fn serve(client: &mut Client) -> Served {
    let worker = Rc::clone(&client.worker);
    let mut transaction = client.begin();
    let begin = client.handshake_done.unwrap_or(client.accept);
    let times = &mut transaction.facts.times;
    times.request_start = Some(begin);
    times.request_start_wall = client.accept_wall;
    times.request_done = Some(begin);
    transaction.facts.id = worker.state().process.next_stream.fetch_add(1, Relaxed) + 1;
    session_begins(client, worker.millis(begin));
    trace::begin(client, &mut transaction);
    // Boxed: the future of a long-lived tunnel is one allocation, its client another.
    let served = Box::pin(run(client, &mut transaction)).await;
    if served == Served::Over {
        log::end(client, &mut transaction);
    }
    Transaction::give(transaction);
    served
}

async fn run(client: &mut Client, transaction: &mut Transaction) -> Served {
    let backend = match route_tcp(client, transaction).await {
        TcpRoute::Backend(backend) => backend,
        TcpRoute::Http => return Served::Http,
        TcpRoute::Closed => return Served::Over,
    };
    let worker = Rc::clone(&client.worker);
    let live = worker.state().backend(backend);
    let begin = transaction.facts.times.request_done.unwrap_or(client.accept);
    let now_ms = worker.millis(begin);
    transaction.facts.backend = Some(backend);
    trace::set_backend(client, transaction, worker.plan().settings(backend));
    live.current.increment();
    live.sessions_rate.add(now_ms);
    live.last_session_ms.store(now_ms, Relaxed);
    worker.backend_counters(backend).sessions.add(1);
    let result = dispatch::with_server(client, transaction, backend).await;
    if let Err(Abort { cause, phase, .. }) = result {
        transaction.facts.termination.cause = cause;
        transaction.facts.termination.phase = phase;
    }
    live.current.decrement();
    log::note_counts(client, transaction);
    Served::Over
}

/// Copies both ways over a connection that is established.
pub async fn relay(
    client: &mut Client,
    transaction: &mut Transaction,
    mut connection: Box<ServerConnection>,
    backend: ProxyId,
) {
    let worker = Rc::clone(&client.worker);
    let front = worker.plan().proxy(client.frontend).timeouts;
    let back = worker.plan().proxy(backend).timeouts;
    let connected = transaction.facts.times.connected.unwrap_or(client.accept);
    let now_ms = worker.millis(connected);
    let server = std::sync::Arc::clone(&connection.server);
    worker.server_counters(server.slot).sessions.add(1);
    server.sessions_rate.add(now_ms);
    server.last_session_ms.store(now_ms, Relaxed);
    super::stick::store(client, transaction, backend, &server);
    transaction.facts.server_dst = connection.peer;
    transaction.facts.server_src = connection.local;
    transaction.facts.server_tls = connection.tls.clone();
    let settings = worker.plan().settings(backend);
    let sides = (back.tunnel.or(front.client), back.tunnel.or(back.server));
    let mut activity =
        Activity::new(connected, sides, worker.plan().settings(client.frontend), settings, server.slot);
    client.control.phase.set(crate::registry::Phase::Data);
    log::as_soon_as_possible(client, transaction);
    let mut up = Flow::new(Framing::UntilClose);
    let mut down = Flow::new(Framing::UntilClose);
    if let Some(tracer) = &transaction.tracer {
        up.copy(|copies| copies.traced = Some(TracedBody::new(tracer, Direction::Request)));
        down.copy(|copies| copies.traced = Some(TracedBody::new(tracer, Direction::Response)));
    }
    up.limit(std::mem::take(&mut transaction.upload_limits));
    down.limit(std::mem::take(&mut transaction.download_limits));
    if !connection.announced {
        super::proxy_header::write(transaction, &server.settings, up.pending.buffer());
    }
    let header = up.pending.len() as u64;
    let fins = HalfClosed { client_fin: front.client_fin, server_fin: back.server_fin };
    let inspection = (!settings.tcp_response_content.is_empty()).then(|| Inspection {
        transaction: &mut *transaction,
        settings,
        timer: Box::pin(tokio::time::sleep(settings.tcp_response_inspect_delay.unwrap_or_default())),
    });
    let result = tunnel(client, &mut connection, &mut up, &mut down, &mut activity, fins, inspection).await;
    transaction.counted = activity.counted();
    let facts = &mut transaction.facts;
    facts.bytes_in += up.written.saturating_sub(header);
    facts.bytes_out += down.written;
    if let Err(broken) = result {
        let (cause, phase) = broken.letters();
        facts.termination.cause = cause;
        facts.termination.phase = phase;
    }
}
