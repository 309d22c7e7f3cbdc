//! Bytes both ways until both sides are done: TCP mode, `CONNECT`, and what follows 101.

use super::activity::{Activity, Expired};
use super::client::Client;
use super::content;
use super::exchange::Broken;
use super::flow::{Flow, FlowError};
use super::transaction::Transaction;
use crate::net::buffers;
use crate::upstream::ServerConnection;
use haproxy_config::model::Proxy;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Timeouts of the side that remains after the other has sent FIN.
#[derive(Debug, Clone, Copy, Default)]
pub struct HalfClosed {
    pub client_fin: Option<Duration>,
    pub server_fin: Option<Duration>,
}

/// `tcp-response content` rules: what the server sends first waits until they have decided.
pub struct Inspection<'a> {
    pub transaction: &'a mut Transaction,
    pub settings: &'a Proxy,
    pub timer: Pin<Box<tokio::time::Sleep>>,
}

impl Inspection<'_> {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        client: &mut Client,
        connection: &mut ServerConnection,
    ) -> Poll<content::Decision> {
        let max = client.worker.plan().model.global.tune.bufsize;
        let mut ended = self.timer.as_mut().poll(context).is_ready();
        while connection.input.len() < max {
            let polled = buffers::with_scratch(|scratch| {
                let room = (max - connection.input.len()).min(scratch.len());
                let polled = connection.stream.poll_read(context, &mut scratch[..room]);
                if let Poll::Ready(Ok(count)) = &polled {
                    connection.input.push(&scratch[..*count]);
                }
                polled
            });
            match polled {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => {
                    ended = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if connection.input.is_empty() && !ended {
            return Poll::Pending;
        }
        self.transaction.inspected.clear();
        self.transaction.inspected.extend_from_slice(connection.input.bytes());
        self.transaction.payload_final = ended || connection.input.len() >= max;
        content::response(client, self.transaction, self.settings)
    }
}

/// Moves bytes both ways; each FIN is passed on, and the tunnel ends when both directions have ended.
pub async fn tunnel(
    client: &mut Client,
    connection: &mut ServerConnection,
    up: &mut Flow,
    down: &mut Flow,
    activity: &mut Activity,
    half_closed: HalfClosed,
    mut inspection: Option<Inspection<'_>>,
) -> Result<(), Broken> {
    let mut up_over = false;
    let mut down_over = false;
    // The first side that was silent for too long, and was taken for done.
    let mut silent = None;
    poll_fn(|context| {
        let mut progressed = false;
        if !up_over {
            match up.poll(context, &mut client.stream, &mut client.input, &mut connection.stream) {
                Poll::Ready(Ok(())) => {
                    up_over = true;
                    connection.stream.shutdown_write();
                    // The server's connection is half closed from here on.
                    activity.server_timeout = half_closed.server_fin.or(activity.server_timeout);
                    progressed = true;
                }
                Poll::Ready(Err(FlowError::Source | FlowError::Framing | FlowError::Coding)) => {
                    return Poll::Ready(Err(Broken::ClientGone));
                }
                Poll::Ready(Err(FlowError::Destination)) => return Poll::Ready(Err(Broken::ServerGone)),
                Poll::Pending => {}
            }
            progressed |= up.progressed;
        }
        if let Some(inspected) = &mut inspection {
            match inspected.poll(context, client, connection) {
                // What a server sends switches nothing.
                Poll::Ready(content::Decision::Accept | content::Decision::Http) => inspection = None,
                Poll::Ready(
                    content::Decision::Reject | content::Decision::Close | content::Decision::Dropped,
                ) => return Poll::Ready(Err(Broken::Refused)),
                Poll::Pending => {}
            }
        }
        if !down_over && inspection.is_none() {
            match down.poll(context, &mut connection.stream, &mut connection.input, &mut client.stream) {
                Poll::Ready(Ok(())) => {
                    down_over = true;
                    client.stream.shutdown_write();
                    activity.client_timeout = half_closed.client_fin.or(activity.client_timeout);
                    progressed = true;
                }
                Poll::Ready(Err(FlowError::Source | FlowError::Framing | FlowError::Coding)) => {
                    return Poll::Ready(Err(Broken::ServerGone));
                }
                Poll::Ready(Err(FlowError::Destination)) => return Poll::Ready(Err(Broken::ClientGone)),
                Poll::Pending => {}
            }
            progressed |= down.progressed;
        }
        if up_over && down_over {
            return Poll::Ready(silent.take().map_or(Ok(()), Err));
        }
        if progressed {
            activity.moved(client, up, down);
        }
        let on_client = down.blocked_on_destination || (!up_over && !up.blocked_on_destination);
        let on_server = up.blocked_on_destination || (!down_over && !down.blocked_on_destination);
        let expired = ready!(activity.poll(client, context, on_client, on_server));
        let (over, broken, other_side) = match expired {
            Expired::Client => (&mut up_over, Broken::ClientTimeout, &mut connection.stream),
            Expired::Server => (&mut down_over, Broken::ServerTimeout, &mut client.stream),
        };
        if *over || !activity.ends_by_half(expired) {
            return Poll::Ready(Err(broken));
        }
        *over = true;
        other_side.shutdown_write();
        silent.get_or_insert(broken);
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
