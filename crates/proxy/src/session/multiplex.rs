//! A place for a request on an HTTP/2 connection to a server: one that this client or another opened, or a new one.

use super::client::Client;
use super::dispatch::{is_shareable, may_share, open, reused};
use super::exchange::{Failure, Stage};
use super::proxy_header;
use super::transaction::Transaction;
use crate::http2::{Http2Stream, Lease, Multiplexed};
use crate::net::Stream;
use crate::net::buffers::Pending;
use crate::state::ServerState;
use crate::upstream::{Join, ServerConnection};
use haproxy_config::model::{self, HttpReuse};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// A stream to `server`: on a connection that is there where reuse allows it, else on a new one.
pub async fn connection(
    client: &mut Client,
    transaction: &mut Transaction,
    server: &Arc<ServerState>,
    settings: &model::Proxy,
) -> Result<ServerConnection, Failure> {
    let lease = match established(client, server, settings) {
        Some(lease) => {
            reused(client, transaction, server);
            lease
        }
        None => start(client, transaction, server, settings).await?.lease(),
    };
    let multiplexed = Rc::clone(lease.connection());
    if transaction.request.upgrades_to_websocket() && !multiplexed.takes_websockets().await {
        return Err(Failure::Server(Stage::Connect { timed_out: false }));
    }
    let stream = Stream::Http2(Box::new(Http2Stream::leased(lease)));
    let mut connection = ServerConnection::new(stream, Arc::clone(server), multiplexed.peer);
    connection.local = multiplexed.local;
    connection.responses = multiplexed.opened() - 1;
    Ok(connection)
}

/// Room on a connection that is established.
fn established(client: &Client, server: &ServerState, settings: &model::Proxy) -> Option<Lease> {
    let own = client.multiplexed.as_ref().and_then(|list| {
        let mut list = list.borrow_mut();
        list.retain(|connection| !connection.has_ended());
        let usable =
            |connection: &&Rc<Multiplexed>| connection.server.slot == server.slot && connection.has_room();
        list.iter().find(usable).map(Multiplexed::lease)
    });
    if own.is_some() || !may_share(client, server, settings) {
        return own;
    }
    // `safe`: a slow response of another client must not be in the way of this one's.
    let join = if settings.http_reuse == HttpReuse::Safe { Join::Idle } else { Join::Any };
    client.worker.idle.borrow_mut().lease(server, join)
}

/// Opens a connection, and keeps it for whom it may serve.
async fn start(
    client: &mut Client,
    transaction: &mut Transaction,
    server: &Arc<ServerState>,
    settings: &model::Proxy,
) -> Result<Rc<Multiplexed>, Failure> {
    let worker = Rc::clone(&client.worker);
    let opened = open(client, transaction, server, settings).await?;
    let failed = || Failure::Server(Stage::Connect { timed_out: false });
    let (mut stream, peer) = (opened.stream, opened.peer);
    let mut header = Pending::new();
    proxy_header::write(transaction, &server.settings, header.buffer());
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
    let started = Multiplexed::start(stream, Arc::clone(server), peer, tune).await;
    let multiplexed = started.map_err(|_| failed())?;
    let shared = is_shareable(server) && settings.http_reuse != HttpReuse::Never;
    if shared {
        worker.idle.borrow_mut().share(&multiplexed);
    }
    if !shared || settings.http_reuse == HttpReuse::Safe {
        let own = client.multiplexed.get_or_insert_default();
        own.borrow_mut().push(Rc::clone(&multiplexed));
    }
    Ok(multiplexed)
}
