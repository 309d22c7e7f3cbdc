//! The connection below all streams, as the `h2` crate wants it.

use super::meter::FrameMeter;
use crate::net::Stream;
use crate::net::buffers::{self, Pending};
use h2::Reason;
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The transport, shared by the task that moves its bytes and the streams that ask who is at its end.
#[derive(Debug)]
pub struct Link {
    stream: RefCell<Stream>,
    refused: Cell<Option<Reason>>,
    hung_up: Cell<bool>,
    has_room: Cell<bool>,
}

impl Link {
    pub fn new(stream: Stream) -> Rc<Link> {
        Rc::new(Link {
            stream: RefCell::new(stream),
            refused: Cell::new(None),
            hung_up: Cell::new(false),
            has_room: Cell::new(false),
        })
    }

    /// Looks at the transport.
    pub fn with<R>(&self, look: impl FnOnce(&Stream) -> R) -> R {
        look(&self.stream.borrow())
    }

    /// Closes the whole connection without a packet: nothing is read from it any more.
    pub fn forget(&self) {
        self.stream.borrow_mut().forget();
        self.hang_up();
    }

    /// Ends the connection at once.
    pub fn hang_up(&self) {
        self.hung_up.set(true);
    }

    /// Nothing more is to be said or heard on this connection.
    pub fn is_hung_up(&self) -> bool {
        self.hung_up.get()
    }

    /// Whether the peer's windows had room when a body asked last.
    pub fn has_room(&self) -> bool {
        self.has_room.get()
    }

    pub fn note_room(&self, has_room: bool) {
        self.has_room.set(has_room);
    }

    /// Why nothing is read from the peer any more: it sent more control frames than it may, or broken ones.
    pub fn refusal(&self) -> Option<Reason> {
        self.refused.get()
    }
}

/// The bytes of a connection: those that were read before HTTP/2 began come first.
#[derive(Debug)]
pub struct Wire {
    link: Rc<Link>,
    ahead: Pending,
    /// Judges what a client sends; servers are trusted.
    meter: Option<FrameMeter>,
}

impl Wire {
    pub fn new(link: Rc<Link>, ahead: Pending, meter: Option<FrameMeter>) -> Wire {
        Wire { link, ahead, meter }
    }

    /// Whether the bytes may go on to the crate.
    fn judge(&mut self, bytes: &[u8]) -> bool {
        let Some(Err(reason)) = self.meter.as_mut().map(|meter| meter.take(bytes)) else { return true };
        self.link.refused.set(Some(reason));
        false
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.link.refusal().is_some() {
            // The task that polls this looks at the link afterwards, and closes.
            return Poll::Pending;
        }
        let before = out.filled().len();
        if wire.ahead.is_empty() {
            // Through the scratch buffer: the room in `out` is not initialised, and clearing all of it would cost more
            // than copying what came.
            let polled = buffers::with_scratch(|scratch| {
                let most = out.remaining().min(scratch.len());
                let polled = wire.link.stream.borrow_mut().poll_read(context, &mut scratch[..most]);
                polled.map_ok(|count| out.put_slice(&scratch[..count]))
            });
            match polled {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        } else {
            let count = wire.ahead.len().min(out.remaining());
            out.put_slice(&wire.ahead.bytes()[..count]);
            wire.ahead.consume(count);
        }
        if wire.judge(&out.filled()[before..]) {
            return Poll::Ready(Ok(()));
        }
        out.set_filled(before);
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.link.stream.borrow_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.link.stream.borrow_mut().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.stream.borrow_mut().shutdown_write();
        Poll::Ready(Ok(()))
    }
}
