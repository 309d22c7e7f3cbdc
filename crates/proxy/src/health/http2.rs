//! Checks over HTTP/2: the conversation speaks HTTP/1, and this says the same in frames and back. One request at a time;
//! the connection ends with this.

use crate::http2::{Link, Wire, client_builder, write_request};
use crate::net::Stream;
use crate::net::buffers::Pending;
use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Connection, ResponseFuture, SendRequest};
use haproxy_config::model::Tune;
use http::{Head, Limits, Parsed};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What still comes of the response.
enum Expected {
    Nothing,
    Head(ResponseFuture),
    Body(RecvStream),
}

/// The connection of a check.
pub struct Http2Check {
    connection: Pin<Box<Connection<Wire, Bytes>>>,
    sender: SendRequest<Bytes>,
    expected: Expected,
    secure: bool,
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl Http2Check {
    /// Says the preface.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn start(stream: Stream, tune: &Tune) -> io::Result<Http2Check> {
        let secure = stream.is_secure();
        let wire = Wire::new(Link::new(stream), Pending::new(), None);
        let (sender, connection) = client_builder(tune).handshake::<_, Bytes>(wire).await.map_err(broken)?;
        Ok(Http2Check { connection: Box::pin(connection), sender, expected: Expected::Nothing, secure })
    }

    /// Sends the request that `bytes` are in HTTP/1.
    ///
    /// # Errors
    /// They are no whole request, or the connection failed.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut head = Head::new();
        let Ok(Parsed::Complete { consumed }) = http::parse_request(bytes, &Limits::default(), &mut head)
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let Ok(outgoing) = write_request(&head, self.secure) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let body = &bytes[consumed..];
        let sent = self.sender.send_request(outgoing.request, body.is_empty());
        let (response, mut out) = sent.map_err(broken)?;
        if !body.is_empty() {
            out.send_data(Bytes::copy_from_slice(body), true).map_err(broken)?;
        }
        self.expected = Expected::Head(response);
        poll_fn(|context| {
            // Moves the frames as far as they go; the rest goes out while the response is waited for.
            let _ = self.connection.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        Ok(())
    }

    /// The next bytes of the response in HTTP/1, without a length: its end is the end. `None`: that is it.
    pub fn poll_response(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        if let Poll::Ready(Err(error)) = self.connection.as_mut().poll(context) {
            return Poll::Ready(Err(broken(error)));
        }
        loop {
            match &mut self.expected {
                Expected::Nothing => return Poll::Ready(Ok(None)),
                Expected::Head(response) => {
                    let (parts, body) =
                        ready!(Pin::new(response).poll(context)).map_err(broken)?.into_parts();
                    self.expected = Expected::Body(body);
                    let mut head = Head::new();
                    head.start_streamed_response(parts.status.as_u16());
                    for (name, value) in &parts.headers {
                        head.add(name.as_str().as_bytes(), value.as_bytes());
                    }
                    let mut bytes = Vec::new();
                    head.write_http1(false, &mut bytes);
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Expected::Body(body) => match ready!(body.poll_data(context)) {
                    Some(Ok(bytes)) => {
                        // An error means that the stream is over: the next look says so.
                        let _ = body.flow_control().release_capacity(bytes.len());
                        return Poll::Ready(Ok(Some(bytes.to_vec())));
                    }
                    Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                    None => self.expected = Expected::Nothing,
                },
            }
        }
    }
}
