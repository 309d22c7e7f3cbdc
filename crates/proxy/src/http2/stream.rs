//! One stream as the exchange sees it: a head, then bytes until the end, then perhaps trailers, in each direction.
//! Flow control is the peer's: bytes are acknowledged when they are taken, and sent when there is a window for them.

use super::convert;
use super::link::Link;
use super::multiplexed::Lease;
use ::http2::{Reason, StreamError, StreamKey, Unsendable};
use http::{Head, Limits};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

pub use ::http2::SendError;

/// What we still have to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Head,
    Body,
    /// END_STREAM went out, or the stream was reset.
    Ended,
}

/// What the peer still has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    /// The head of a response.
    Head,
    Body,
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
    /// `None`: the request to the server was not sent yet.
    key: Option<StreamKey>,
    sending: Sending,
    receiving: Receiving,
    /// Keeps the server connection's place for this stream.
    lease: Option<Lease>,
    websocket_accept: Option<Vec<u8>>,
}

fn broken(error: StreamError) -> io::Error {
    match error {
        StreamError::Closed => io::ErrorKind::BrokenPipe.into(),
        StreamError::Reset(reason) => io::Error::new(io::ErrorKind::ConnectionReset, reason.to_string()),
        StreamError::Broken(reason) => io::Error::new(io::ErrorKind::InvalidData, reason.to_string()),
    }
}

impl Http2Stream {
    /// A stream that a client opened. `ends`: the head ended the request.
    pub fn accepted(link: Rc<Link>, key: StreamKey, ends: bool) -> Http2Stream {
        Http2Stream {
            link,
            key: Some(key),
            sending: Sending::Head,
            receiving: if ends { Receiving::Ended } else { Receiving::Body },
            lease: None,
            websocket_accept: None,
        }
    }

    /// A stream to a server, to be opened by its request.
    pub fn leased(lease: Lease) -> Http2Stream {
        Http2Stream {
            link: Rc::clone(&lease.connection().link),
            key: None,
            sending: Sending::Head,
            receiving: Receiving::Head,
            lease: Some(lease),
            websocket_accept: None,
        }
    }

    /// Sends an interim response.
    ///
    /// # Errors
    /// It cannot be sent any more, or not over HTTP/2.
    pub fn send_interim(&mut self, head: &Head) -> Result<(), SendError> {
        let (Sending::Head, Some(key)) = (self.sending, self.key) else { return Err(SendError::Closed) };
        self.link.connection(|connection| {
            connection.respond(key, head.status(), convert::fields(head, |_| false), false)
        })
    }

    /// Sends the head of the response. `ends`: no body follows.
    ///
    /// # Errors
    /// It was sent already, the stream is gone, or HTTP/2 cannot carry it.
    pub fn send_response(&mut self, head: &Head, ends: bool) -> Result<(), SendError> {
        let (Sending::Head, Some(key)) = (self.sending, self.key) else { return Err(SendError::Closed) };
        let (status, fields) = convert::response(head);
        self.link.connection(|connection| connection.respond(key, status, fields, ends))?;
        self.sending = if ends { Sending::Ended } else { Sending::Body };
        Ok(())
    }

    /// Opens the stream with a request. `ends`: no body follows.
    ///
    /// # Errors
    /// HTTP/2 cannot carry it, or the connection takes no stream any more.
    pub fn send_request(&mut self, head: &Head, ends: bool) -> Result<(), SendError> {
        let lease = self.lease.as_ref().ok_or(SendError::Closed)?;
        let outgoing = convert::request(head, lease.connection().secure);
        let ends = ends && outgoing.websocket_accept.is_none();
        let is_head = head.method() == b"HEAD";
        let opened = self.link.connection(|connection| {
            if connection.takes_streams() {
                let opened = connection.open(outgoing.head(), outgoing.fields(head), ends, is_head);
                opened.map_err(|Unsendable| SendError::Unsendable)
            } else {
                Err(SendError::Closed)
            }
        });
        if opened == Err(SendError::Closed) {
            lease.connection().retire();
        }
        self.key = Some(opened?);
        self.websocket_accept = outgoing.websocket_accept;
        self.sending = if ends { Sending::Ended } else { Sending::Body };
        Ok(())
    }

    /// The head of the response, or of an interim one before it.
    pub fn poll_response(
        &mut self,
        context: &mut Context<'_>,
        limits: &Limits,
        head: &mut Head,
    ) -> Poll<Result<(), HeadError>> {
        let (Receiving::Head, Some(key)) = (self.receiving, self.key) else {
            return Poll::Ready(Err(HeadError::Closed));
        };
        let came = ready!(self.link.connection(|connection| connection.poll_head(key, context)));
        let fields = match came {
            Ok(fields) => fields,
            Err(StreamError::Reset(Reason::REFUSED_STREAM)) => {
                if let Some(lease) = &self.lease {
                    lease.connection().retire();
                }
                return Poll::Ready(Err(HeadError::Refused));
            }
            Err(StreamError::Broken(_)) => return Poll::Ready(Err(HeadError::Junk)),
            Err(StreamError::Reset(_) | StreamError::Closed) => return Poll::Ready(Err(HeadError::Closed)),
        };
        if convert::read_response(&fields, limits, head).is_err() {
            return Poll::Ready(Err(HeadError::Junk));
        }
        let status = head.status();
        if status >= 200 {
            self.receiving = Receiving::Body;
            if let Some(accept) = self.websocket_accept.take()
                && (200..300).contains(&status)
            {
                convert::as_switch(head, &accept);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads from the body. `Ok(0)` is its regular end.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let (Receiving::Body, Some(key)) = (self.receiving, self.key) else { return Poll::Ready(Ok(0)) };
        let read = ready!(self.link.connection(|connection| connection.poll_read(key, context, buffer)));
        if read == Ok(0) && !buffer.is_empty() {
            self.receiving = Receiving::Ended;
        }
        Poll::Ready(read.map_err(broken))
    }

    /// Writes to the body as much as the peer's window takes. `last`: nothing follows `bytes`.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        let (Sending::Body, Some(key)) = (self.sending, self.key) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written =
            ready!(self.link.connection(|connection| connection.poll_write(key, context, bytes, last)));
        if last && written == Ok(bytes.len()) {
            self.sending = Sending::Ended;
        }
        Poll::Ready(written.map_err(broken))
    }

    /// Ends the body, with trailers perhaps. Does nothing when it has ended already.
    pub fn finish(&mut self, trailers: Option<&Head>) {
        let (Sending::Body, Some(key)) = (self.sending, self.key) else { return };
        self.link.connection(|connection| {
            let trailers = trailers.filter(|trailers| trailers.field_count() > 0);
            // Trailers that HTTP/2 cannot carry are left out: the body is whole without them.
            let put =
                trailers.map(|trailers| connection.put_trailers(key, convert::fields(trailers, |_| false)));
            if put != Some(Ok(())) {
                connection.finish(key);
            }
        });
        self.sending = Sending::Ended;
    }

    /// The trailers of the body that has ended.
    pub fn take_trailers(&mut self, limits: &Limits) -> Option<Box<Head>> {
        let key = self.key?;
        let trailers = self.link.connection(|connection| connection.take_trailers(key))?;
        convert::read_trailers(&trailers, limits).ok()
    }

    /// Whether the head went out, and the body is not whole.
    pub fn is_cut(&self) -> bool {
        self.key.is_some() && self.sending == Sending::Body
    }

    /// Whether the whole body was read.
    pub fn is_read(&self) -> bool {
        match (self.receiving, self.key) {
            (Receiving::Body, Some(key)) => self.link.connection(|connection| connection.is_read(key)),
            (Receiving::Ended, _) => true,
            _ => false,
        }
    }

    /// Whether the peer has reset the stream, or its connection is gone.
    pub fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match (self.sending, self.key) {
            (Sending::Head | Sending::Body, Some(key)) => {
                self.link.connection(|connection| connection.poll_cut(key, context))
            }
            _ => Poll::Pending,
        }
    }

    /// Ends the stream at once, in both directions.
    pub fn reset(&mut self, reason: Reason) {
        if let (Sending::Head | Sending::Body, Some(key)) = (self.sending, self.key) {
            self.link.connection(|connection| connection.reset(key, reason));
            self.sending = Sending::Ended;
        }
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        // A message that was begun and not ended is cut: the peer must not take it for whole.
        let reason = match self.sending {
            Sending::Head => Reason::INTERNAL_ERROR,
            Sending::Body => Reason::CANCEL,
            // The response is whole; what the client still sends is for nobody.
            Sending::Ended => Reason::NO_ERROR,
        };
        self.link.connection(|connection| {
            connection.reset(key, reason);
            connection.release(key);
        });
    }
}
