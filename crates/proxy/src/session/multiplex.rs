//! HTTP/2 to servers: which requests go over it, and a place for each on a connection that this client or another opened,
//! or on a new one.

use super::client::Client;
use super::dispatch::{is_shareable, may_share, open, reused};
use super::exchange::{Failure, Stage};
use super::transaction::Transaction;
use super::{proxy_header, secure_server};
use crate::http2::{Http2Stream, Lease, Multiplexed};
use crate::net::Stream;
use crate::net::buffers::Pending;
use crate::state::ServerState;
use crate::upstream::{Join, ServerConnection};
use haproxy_config::model::{self, HttpReuse, Mode, Protocol, WebSocketProtocol};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// What a request goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1, or the bytes of TCP mode.
    Http1,
    Http2,
    /// What ALPN agrees on.
    Either,
}

/// What this request goes over: `proto`, `alpn` and, for WebSockets, `ws`.
pub fn speech(transaction: &Transaction, server: &ServerState, settings: &model::Proxy) -> Speech {
    let line = &server.settings;
    if settings.mode != Mode::Http {
        return Speech::Http1;
    }
    let usual = match line.protocol {
        Protocol::Http1 => Speech::Http1,
        Protocol::Http2 => Speech::Http2,
        Protocol::Negotiated if offers_http2(server) => Speech::Either,
        Protocol::Negotiated => return Speech::Http1,
    };
    if !transaction.request.upgrades_to_websocket() {
        return usual;
    }
    match (line.websocket, usual) {
        (WebSocketProtocol::Http1, _) | (WebSocketProtocol::Auto, Speech::Http1 | Speech::Either) => {
            Speech::Http1
        }
        (WebSocketProtocol::Http2, _) | (WebSocketProtocol::Auto, Speech::Http2) => Speech::Http2,
    }
}

fn offers_http2(server: &ServerState) -> bool {
    let line = &server.settings;
    let offered =
        line.tls.as_ref().filter(|_| !line.tls_checks_only).and_then(|tls| tls.options.alpn.as_ref());
    offered.is_some_and(|offered| offered.iter().any(|protocol| protocol == b"h2"))
}

/// What is offered by ALPN instead of what the line says, where only one of its protocols will do.
pub fn alpn(server: &ServerState, settings: &model::Proxy, speech: Speech) -> Option<Vec<Vec<u8>>> {
    if settings.mode != Mode::Http || !offers_http2(server) {
        return None;
    }
    match speech {
        Speech::Http1 => Some(vec![b"http/1.1".to_vec()]),
        Speech::Http2 => Some(vec![b"h2".to_vec()]),
        Speech::Either => None,
    }
}

/// A stream to `server`: on a connection that is there where reuse allows it, else on a new one.
pub async fn connection(
    client: &mut Client,
    transaction: &mut Transaction,
    server: &Arc<ServerState>,
    settings: &model::Proxy,
) -> Result<Box<ServerConnection>, Failure> {
    if let Some(connection) = join(client, transaction, server, settings).await {
        return Ok(connection);
    }
    let name = secure_server::name(client, transaction, server);
    let opened = Box::pin(open(client, transaction, server, settings, name, Speech::Http2)).await?;
    over(client, transaction, settings, opened).await
}

/// A stream on a connection that is established, where there is one with room.
pub async fn join(
    client: &mut Client,
    transaction: &mut Transaction,
    server: &Arc<ServerState>,
    settings: &model::Proxy,
) -> Option<Box<ServerConnection>> {
    let name = secure_server::name(client, transaction, server);
    let lease = established(client, server, settings, name.as_deref())?;
    let connection = stream(transaction, lease).await.ok()?;
    reused(client, transaction, server);
    Some(connection)
}

/// A stream on a connection that was opened for it, which is kept for whom else it may serve.
pub async fn over(
    client: &mut Client,
    transaction: &mut Transaction,
    settings: &model::Proxy,
    opened: Box<ServerConnection>,
) -> Result<Box<ServerConnection>, Failure> {
    let multiplexed = start(client, transaction, settings, opened).await?;
    stream(transaction, multiplexed.lease()).await
}

async fn stream(transaction: &Transaction, lease: Lease) -> Result<Box<ServerConnection>, Failure> {
    let multiplexed = Rc::clone(lease.connection());
    if transaction.request.upgrades_to_websocket() && !multiplexed.takes_websockets().await {
        return Err(Failure::Server(Stage::Connect { timed_out: false }));
    }
    let stream = Stream::Http2(Box::new(Http2Stream::leased(lease)));
    let mut connection = ServerConnection::new(stream, Arc::clone(&multiplexed.server), multiplexed.peer);
    connection.local = multiplexed.local;
    connection.tls = multiplexed.tls.clone();
    connection.responses = multiplexed.opened() - 1;
    Ok(connection)
}

/// Room on a connection that is established, under the name that TLS was told.
fn established(
    client: &Client,
    server: &ServerState,
    settings: &model::Proxy,
    name: Option<&str>,
) -> Option<Lease> {
    let own = client.multiplexed.as_ref().and_then(|list| {
        let mut list = list.borrow_mut();
        list.retain(|connection| !connection.has_ended());
        let usable =
            |connection: &&Rc<Multiplexed>| connection.server.slot == server.slot && connection.serves(name);
        list.iter().find(usable).map(Multiplexed::lease)
    });
    if own.is_some() || !may_share(client, server, settings) {
        return own;
    }
    // `safe`: a slow response of another client must not be in the way of this one's.
    let join = if settings.http_reuse == HttpReuse::Safe { Join::Idle } else { Join::Any };
    client.worker.idle.borrow_mut().lease(server, name, join)
}

/// Starts HTTP/2 on a connection, and keeps it for whom it may serve.
async fn start(
    client: &mut Client,
    transaction: &mut Transaction,
    settings: &model::Proxy,
    mut opened: Box<ServerConnection>,
) -> Result<Rc<Multiplexed>, Failure> {
    let worker = Rc::clone(&client.worker);
    let failed = || Failure::Server(Stage::Connect { timed_out: false });
    let mut header = Pending::new();
    if !opened.announced {
        proxy_header::write(transaction, &opened.server.settings, header.buffer());
    }
    let stream = &mut opened.stream;
    poll_fn(|context| {
        while !header.is_empty() {
            match stream.poll_write(context, header.bytes()) {
                Poll::Ready(Ok(count)) if count > 0 => header.consume(count),
                Poll::Ready(_) => return Poll::Ready(Err(failed())),
                Poll::Pending => return client.deadline.poll(context).map(|()| Err(failed())),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    header.clear();
    let tune = &worker.plan().model.global.tune;
    let counters = Arc::clone(&worker.counters.backends[opened.server.id.proxy.index()]);
    let multiplexed = Multiplexed::start(*opened, tune, counters);
    let shared = is_shareable(&multiplexed.server) && settings.http_reuse != HttpReuse::Never;
    if shared {
        worker.idle.borrow_mut().share(&multiplexed);
    }
    if !shared || settings.http_reuse == HttpReuse::Safe {
        let own = client.multiplexed.get_or_insert_default();
        own.borrow_mut().push(Rc::clone(&multiplexed));
    }
    Ok(multiplexed)
}
