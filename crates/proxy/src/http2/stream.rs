//! One stream as the exchange sees it: a head, then bytes until the end, then perhaps trailers, in each direction.
//! Flow control is the peer's: bytes are acknowledged when they are taken, and sent when there is a window for them.

use super::convert::{self, Unsendable};
use super::multiplexed::Lease;
use super::wire::Link;
use bytes::{Buf, Bytes};
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Head, Limits};
use http_types::HeaderMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The end of a body that is this short goes out without asking for room, where the peer has had room so far. If it has
/// none, so much is kept for each stream.
const SHORT_MAX: usize = 1024;

/// What we still have to say.
#[derive(Debug)]
enum Sending {
    /// The response to a client.
    Response(SendResponse<Bytes>),
    /// The request to a server, whose connection is leased.
    Request,
    Body(SendStream<Bytes>),
    /// END_STREAM went out, or the stream was reset. Dropping the handle would lose nothing, but it tells of resets.
    Ended,
}

/// What the peer still has to say.
#[derive(Debug)]
enum Receiving {
    /// The request was not sent yet.
    NotYet,
    Head(ResponseFuture),
    Body(RecvStream),
    Ended,
}

/// Why there is no response head.
#[derive(Debug)]
pub enum HeadError {
    /// The server never looked at the request: it may be sent again whatever it is.
    Refused,
    /// The stream or its connection ended.
    Closed,
    /// What came is no response.
    Junk,
}

/// A stream with a client or a server.
#[derive(Debug)]
pub struct Http2Stream {
    pub link: Rc<Link>,
    sending: Sending,
    receiving: Receiving,
    /// Received, acknowledged with each byte that is taken.
    unread: Bytes,
    trailers: Option<HeaderMap>,
    /// Keeps the server connection's place for this stream.
    lease: Option<Lease>,
    websocket_accept: Option<Vec<u8>>,
}

fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
    } else {
        io::Error::new(io::ErrorKind::ConnectionReset, error)
    }
}

impl Http2Stream {
    /// A stream that a client opened. `body`: `None` where the head ended the request.
    pub fn accepted(link: Rc<Link>, body: Option<RecvStream>, respond: SendResponse<Bytes>) -> Http2Stream {
        Http2Stream {
            link,
            sending: Sending::Response(respond),
            receiving: body.map_or(Receiving::Ended, Receiving::Body),
            unread: Bytes::new(),
            trailers: None,
            lease: None,
            websocket_accept: None,
        }
    }

    /// A stream to a server, to be opened by its request.
    pub fn leased(lease: Lease) -> Http2Stream {
        Http2Stream {
            link: Rc::clone(&lease.connection().link),
            sending: Sending::Request,
            receiving: Receiving::NotYet,
            unread: Bytes::new(),
            trailers: None,
            lease: Some(lease),
            websocket_accept: None,
        }
    }

    /// Sends an interim response.
    ///
    /// # Errors
    /// It cannot be sent any more, or not over HTTP/2.
    pub fn send_interim(&mut self, head: &Head) -> Result<(), SendError> {
        let Sending::Response(respond) = &mut self.sending else { return Err(SendError::Closed) };
        let response = convert::response(head).map_err(|Unsendable| SendError::Unsendable)?;
        respond.send_informational(response).map_err(|_| SendError::Closed)
    }

    /// Sends the head of the response. `ends`: no body follows.
    ///
    /// # Errors
    /// It was sent already, the stream is gone, or HTTP/2 cannot carry it.
    pub fn send_response(&mut self, head: &Head, ends: bool) -> Result<(), SendError> {
        let Sending::Response(respond) = &mut self.sending else { return Err(SendError::Closed) };
        let response = convert::response(head).map_err(|Unsendable| SendError::Unsendable)?;
        let body = respond.send_response(response, ends).map_err(|_| SendError::Closed)?;
        self.sending = if ends { Sending::Ended } else { Sending::Body(body) };
        Ok(())
    }

    /// Opens the stream with a request. `ends`: no body follows.
    ///
    /// # Errors
    /// HTTP/2 cannot carry it, or the connection takes no stream any more.
    pub fn send_request(&mut self, head: &Head, ends: bool) -> Result<(), SendError> {
        let lease = self.lease.as_ref().ok_or(SendError::Closed)?;
        let secure = lease.connection().secure;
        let outgoing = convert::request(head, secure).map_err(|Unsendable| SendError::Unsendable)?;
        let ends = ends && outgoing.websocket_accept.is_none();
        let sent = lease.connection().sender.borrow_mut().send_request(outgoing.request, ends);
        let (response, body) = sent.map_err(|_| {
            lease.connection().retire();
            SendError::Closed
        })?;
        self.websocket_accept = outgoing.websocket_accept;
        self.receiving = Receiving::Head(response);
        self.sending = if ends { Sending::Ended } else { Sending::Body(body) };
        Ok(())
    }

    /// The head of the response, or of an interim one before it.
    pub fn poll_response(
        &mut self,
        context: &mut Context<'_>,
        limits: &Limits,
        head: &mut Head,
    ) -> Poll<Result<(), HeadError>> {
        let Receiving::Head(response) = &mut self.receiving else {
            return Poll::Ready(Err(HeadError::Closed));
        };
        let lease = self.lease.as_ref();
        let why = |error: h2::Error| match error.reason() {
            Some(Reason::REFUSED_STREAM) => {
                if let Some(lease) = lease {
                    lease.connection().retire();
                }
                HeadError::Refused
            }
            Some(Reason::PROTOCOL_ERROR) if !error.is_remote() => HeadError::Junk,
            Some(_) | None => HeadError::Closed,
        };
        match response.poll_informational(context) {
            Poll::Ready(Some(Ok(interim))) => {
                let read = convert::read_response(interim.status(), interim.headers(), limits, head);
                return Poll::Ready(read.map_err(|_| HeadError::Junk));
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(why(error))),
            Poll::Ready(None) | Poll::Pending => {}
        }
        let (parts, body) = match ready!(Pin::new(response).poll(context)) {
            Ok(response) => response.into_parts(),
            Err(error) => return Poll::Ready(Err(why(error))),
        };
        if convert::read_response(parts.status, &parts.headers, limits, head).is_err() {
            return Poll::Ready(Err(HeadError::Junk));
        }
        if let Some(accept) = self.websocket_accept.take()
            && parts.status.is_success()
        {
            convert::as_switch(head, &accept);
        }
        self.receiving = Receiving::Body(body);
        Poll::Ready(Ok(()))
    }

    /// Reads from the body. `Ok(0)` is its regular end.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Receiving::Body(body) = &mut self.receiving else { return Poll::Ready(Ok(0)) };
        while self.unread.is_empty() {
            match body.poll_data(context) {
                Poll::Ready(Some(Ok(bytes))) => self.unread = bytes,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(error))),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    match ready!(body.poll_trailers(context)) {
                        Ok(trailers) => self.trailers = trailers,
                        Err(error) => return Poll::Ready(Err(broken(error))),
                    }
                    self.receiving = Receiving::Ended;
                    return Poll::Ready(Ok(0));
                }
            }
        }
        let count = self.unread.len().min(buffer.len());
        self.unread.copy_to_slice(&mut buffer[..count]);
        // An error means that the stream is over: the next read says so.
        let _ = body.flow_control().release_capacity(count);
        Poll::Ready(Ok(count))
    }

    /// Writes to the body as much as the peer's window takes. `last`: nothing follows `bytes`.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        let Sending::Body(body) = &mut self.sending else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if last && bytes.len() <= SHORT_MAX && self.link.has_room() {
            body.send_data(Bytes::copy_from_slice(bytes), true).map_err(broken)?;
            self.sending = Sending::Ended;
            return Poll::Ready(Ok(bytes.len()));
        }
        body.reserve_capacity(bytes.len());
        let mut room = body.capacity();
        self.link.note_room(room > 0);
        while room == 0 {
            match ready!(body.poll_capacity(context)) {
                Some(Ok(capacity)) => room = capacity,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = room.min(bytes.len());
        let ends = last && count == bytes.len();
        body.send_data(Bytes::copy_from_slice(&bytes[..count]), ends).map_err(broken)?;
        if ends {
            self.sending = Sending::Ended;
        }
        Poll::Ready(Ok(count))
    }

    /// Ends the body, with trailers perhaps. Does nothing when it has ended already.
    pub fn finish(&mut self, trailers: Option<&Head>) {
        let Sending::Body(body) = &mut self.sending else { return };
        // Trailers that HTTP/2 cannot carry are left out: the body is whole without them.
        let trailers = trailers.and_then(|trailers| convert::trailers(trailers).ok());
        let _ = match trailers {
            Some(trailers) if !trailers.is_empty() => body.send_trailers(trailers),
            Some(_) | None => body.send_data(Bytes::new(), true),
        };
        self.sending = Sending::Ended;
    }

    /// The trailers of the body that has ended.
    pub fn take_trailers(&mut self, limits: &Limits) -> Option<Box<Head>> {
        convert::read_trailers(&self.trailers.take()?, limits).ok()
    }

    /// Whether the head went out, and the body is not whole.
    pub fn is_cut(&self) -> bool {
        matches!(self.sending, Sending::Body(_))
    }

    /// Whether the whole body was read.
    pub fn is_read(&self) -> bool {
        match &self.receiving {
            Receiving::NotYet | Receiving::Head(_) => false,
            Receiving::Body(body) => self.unread.is_empty() && body.is_end_stream(),
            Receiving::Ended => true,
        }
    }

    /// Whether the peer has reset the stream, or its connection is gone.
    pub fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.sending {
            Sending::Response(respond) => respond.poll_reset(context).map(|_| ()),
            Sending::Body(body) => body.poll_reset(context).map(|_| ()),
            Sending::Request | Sending::Ended => Poll::Pending,
        }
    }

    /// Ends the stream at once, in both directions.
    pub fn reset(&mut self, reason: Reason) {
        match &mut self.sending {
            Sending::Response(respond) => respond.send_reset(reason),
            Sending::Body(body) => body.send_reset(reason),
            Sending::Request | Sending::Ended => {}
        }
        self.sending = Sending::Ended;
    }
}

/// Why a head was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The peer, or its connection, takes it no more.
    Closed,
    Unsendable,
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        // A message that was begun and not ended is cut: the peer must not take it for whole.
        match &self.sending {
            Sending::Body(_) => self.reset(Reason::CANCEL),
            Sending::Response(_) => self.reset(Reason::INTERNAL_ERROR),
            Sending::Request | Sending::Ended => {}
        }
    }
}
