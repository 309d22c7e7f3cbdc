//! The connection below all streams, as the `h2` crate wants it.

use super::meter::{FrameMeter, Verdict};
use crate::net::Stream;
use crate::net::buffers::Pending;
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
    flooded: Cell<bool>,
    forgotten: Cell<bool>,
}

impl Link {
    pub fn new(stream: Stream) -> Rc<Link> {
        Rc::new(Link { stream: RefCell::new(stream), flooded: Cell::new(false), forgotten: Cell::new(false) })
    }

    /// Looks at the transport.
    pub fn with<R>(&self, look: impl FnOnce(&Stream) -> R) -> R {
        look(&self.stream.borrow())
    }

    /// Closes the whole connection without a packet: nothing is read from it any more.
    pub fn forget(&self) {
        self.stream.borrow_mut().forget();
        self.forgotten.set(true);
    }

    /// Nothing more is to be said or heard on this connection.
    pub fn is_forgotten(&self) -> bool {
        self.forgotten.get()
    }

    /// The peer sent more control frames than it may: nothing is read from it any more.
    pub fn is_flooded(&self) -> bool {
        self.flooded.get()
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

    /// Lets the bytes through, unless they are the drop too much.
    fn judge(&mut self, bytes: &[u8]) {
        match self.meter.as_mut().map(|meter| meter.take(bytes)) {
            None | Some(Verdict::Fine) => {}
            Some(Verdict::Flood) => self.link.flooded.set(true),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.link.is_flooded() {
            // The task that polls this looks at the link afterwards, and closes.
            return Poll::Pending;
        }
        let before = out.filled().len();
        if wire.ahead.is_empty() {
            let room = out.initialize_unfilled();
            match wire.link.stream.borrow_mut().poll_read(context, room) {
                Poll::Ready(Ok(count)) => out.advance(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        } else {
            let count = wire.ahead.len().min(out.remaining());
            out.put_slice(&wire.ahead.bytes()[..count]);
            wire.ahead.consume(count);
        }
        wire.judge(&out.filled()[before..]);
        Poll::Ready(Ok(()))
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
