//! The connection below all streams: its transport, and the frames that go over it.

use crate::net::buffers::{self, Pending};
use crate::net::{Stream, clock};
use ::http2::{Connection, Opened, Reason};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Reads of the transport in one turn of the task: others are served between.
const READS_MAX: usize = 16;

/// Shared by the task that moves its bytes and by the tasks of its streams.
#[derive(Debug)]
pub struct Link {
    stream: RefCell<Stream>,
    connection: RefCell<Connection>,
    /// Bytes that were read before HTTP/2 began.
    ahead: RefCell<Pending>,
    hung_up: Cell<bool>,
    /// The transport takes no more for now, and will say when it does.
    blocked: Cell<bool>,
    /// The moving task was woken and has not run since.
    woken: Cell<bool>,
    mover: RefCell<Option<Waker>>,
}

impl Link {
    pub fn new(stream: Stream, ahead: Pending, connection: Connection) -> Rc<Link> {
        Rc::new(Link {
            stream: RefCell::new(stream),
            connection: RefCell::new(connection),
            ahead: RefCell::new(ahead),
            hung_up: Cell::new(false),
            blocked: Cell::new(false),
            woken: Cell::new(false),
            mover: RefCell::new(None),
        })
    }

    /// Looks at the transport.
    pub fn with<R>(&self, look: impl FnOnce(&Stream) -> R) -> R {
        look(&self.stream.borrow())
    }

    /// Looks at the frames, or says something; what is to be sent then is sent when the moving task runs, for all streams
    /// at once.
    pub fn connection<R>(&self, with: impl FnOnce(&mut Connection) -> R) -> R {
        let mut connection = self.connection.borrow_mut();
        let result = with(&mut connection);
        if !connection.output().is_empty() && !self.blocked.get() {
            self.wake();
        }
        result
    }

    /// Closes the whole connection without a packet: nothing is read from it any more.
    pub fn forget(&self) {
        self.stream.borrow_mut().forget();
        self.connection.borrow_mut().lose();
        self.hang_up();
    }

    /// Waits for nothing any more: what the transport does not take at once is lost.
    pub fn hang_up(&self) {
        self.hung_up.set(true);
        self.wake();
    }

    /// Nothing more is to be said or heard on this connection.
    pub fn is_hung_up(&self) -> bool {
        self.hung_up.get()
    }

    /// Lets the moving task run.
    pub fn wake(&self) {
        if !self.woken.get()
            && let Some(waker) = self.mover.borrow().as_ref()
        {
            self.woken.set(true);
            waker.wake_by_ref();
        }
    }

    /// Moves bytes both ways as far as they go; `opened` takes the streams that a client opens. Ready when the connection
    /// is over. Must be polled by one task only.
    pub fn poll_move(&self, context: &mut Context<'_>, mut opened: impl FnMut(Opened)) -> Poll<()> {
        self.attach(context);
        let ahead = std::mem::take(&mut *self.ahead.borrow_mut());
        if !ahead.is_empty() {
            self.take(ahead.bytes(), &mut opened);
        }
        for _ in 0..READS_MAX {
            if self.is_hung_up() || !self.connection.borrow().takes_input() {
                return self.poll_flush(context);
            }
            // The scratch buffer is the thread's, and nothing below keeps it.
            let read = buffers::with_scratch(|scratch| {
                let polled = self.stream.borrow_mut().poll_read(context, scratch);
                match polled {
                    Poll::Ready(Ok(count)) if count > 0 => self.take(&scratch[..count], &mut opened),
                    Poll::Ready(_) => self.connection.borrow_mut().lose(),
                    Poll::Pending => {}
                }
                polled.is_ready()
            });
            if !read {
                return self.poll_flush(context);
            }
        }
        context.waker().wake_by_ref();
        self.poll_flush(context)
    }

    fn take(&self, mut bytes: &[u8], opened: &mut impl FnMut(Opened)) {
        let now = clock::now();
        loop {
            // An error has ended the connection, which then says so in its output.
            let Ok(Some(stream)) = self.connection.borrow_mut().receive(&mut bytes, now) else { return };
            opened(stream);
        }
    }

    /// Sends what there is. Ready when all is over.
    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut connection = self.connection.borrow_mut();
        self.blocked.set(false);
        while !connection.is_lost() && !connection.output().is_empty() {
            match self.stream.borrow_mut().poll_write(context, connection.output()) {
                Poll::Ready(Ok(count)) if count > 0 => connection.consume_output(count),
                Poll::Ready(_) => connection.lose(),
                Poll::Pending if self.is_hung_up() => return Poll::Ready(()),
                Poll::Pending => {
                    self.blocked.set(true);
                    return Poll::Pending;
                }
            }
        }
        if connection.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Says why the connection ends, and waits until the peer has read it: what a peer still sends would otherwise make
    /// the system throw away what we said last.
    pub fn poll_end(&self, context: &mut Context<'_>, reason: Reason) -> Poll<()> {
        self.attach(context);
        self.connection.borrow_mut().abort(reason);
        if self.poll_flush(context).is_pending() {
            return Poll::Pending;
        }
        let mut stream = self.stream.borrow_mut();
        stream.shutdown_write();
        for _ in 0..READS_MAX {
            let more = buffers::with_scratch(|scratch| match stream.poll_read(context, scratch) {
                Poll::Ready(Ok(count)) => Some(count > 0),
                Poll::Ready(Err(_)) => Some(false),
                Poll::Pending => None,
            });
            match more {
                Some(true) => {}
                Some(false) => return Poll::Ready(()),
                None => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn attach(&self, context: &Context<'_>) {
        self.woken.set(false);
        let mut mover = self.mover.borrow_mut();
        if !mover.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *mover = Some(context.waker().clone());
        }
    }
}
