//! Bytes both ways until both sides are done: TCP mode, `CONNECT`, and what follows 101.

use super::client::Client;
use super::exchange::{Activity, Broken, Expired};
use super::flow::{Flow, FlowError};
use crate::upstream::ServerConnection;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Timeouts of the side that remains after the other has sent FIN.
#[derive(Debug, Clone, Copy, Default)]
pub struct HalfClosed {
    pub client_fin: Option<Duration>,
    pub server_fin: Option<Duration>,
}

/// Moves bytes both ways; each FIN is passed on, and the tunnel ends when both directions have ended.
pub async fn tunnel(
    client: &mut Client,
    connection: &mut ServerConnection,
    up: &mut Flow,
    down: &mut Flow,
    activity: &mut Activity,
    half_closed: HalfClosed,
) -> Result<(), Broken> {
    let mut up_over = false;
    let mut down_over = false;
    poll_fn(|context| {
        let mut progressed = false;
        if !up_over {
            match up.poll(context, &mut client.stream, &mut client.input, &mut connection.stream) {
                Poll::Ready(Ok(())) => {
                    up_over = true;
                    connection.stream.shutdown_write();
                    activity.client_timeout = half_closed.client_fin.or(activity.client_timeout);
                    activity.server_timeout = half_closed.client_fin.or(activity.server_timeout);
                    progressed = true;
                }
                Poll::Ready(Err(FlowError::Source(_) | FlowError::Framing(_))) => {
                    return Poll::Ready(Err(Broken::ClientGone));
                }
                Poll::Ready(Err(FlowError::Destination(_))) => return Poll::Ready(Err(Broken::ServerGone)),
                Poll::Pending => {}
            }
            progressed |= up.progressed;
        }
        if !down_over {
            match down.poll(context, &mut connection.stream, &mut connection.input, &mut client.stream) {
                Poll::Ready(Ok(())) => {
                    down_over = true;
                    client.stream.shutdown_write();
                    activity.client_timeout = half_closed.server_fin.or(activity.client_timeout);
                    activity.server_timeout = half_closed.server_fin.or(activity.server_timeout);
                    progressed = true;
                }
                Poll::Ready(Err(FlowError::Source(_) | FlowError::Framing(_))) => {
                    return Poll::Ready(Err(Broken::ServerGone));
                }
                Poll::Ready(Err(FlowError::Destination(_))) => return Poll::Ready(Err(Broken::ClientGone)),
                Poll::Pending => {}
            }
            progressed |= down.progressed;
        }
        if up_over && down_over {
            return Poll::Ready(Ok(()));
        }
        if progressed {
            let now = Instant::now();
            activity.client = now;
            activity.server = now;
        }
        let on_client = down.blocked_on_destination || (!up_over && !up.blocked_on_destination);
        let on_server = up.blocked_on_destination || (!down_over && !down.blocked_on_destination);
        activity.poll(client, context, on_client, on_server).map(|expired| {
            Err(match expired {
                Expired::Client => Broken::ClientTimeout,
                Expired::Server => Broken::ServerTimeout,
            })
        })
    })
    .await
}
