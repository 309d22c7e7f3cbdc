//! A TLS connection on a socket. The machine is [`tls::Session`]; this moves its bytes, through buffers of the thread.
//!
//! ```text
//!   read:  socket ─► the thread's buffer ─► Session, decrypts ─► the caller's buffer
//!                      └ the start of a record waits in `received`; what the caller has no room for in `plain`
//!   write: the caller's bytes ─► Session, encrypts into the thread's buffer ─► socket
//!                                              └ what the socket does not take waits in `unsent`
//! ```
//! An idle connection holds its keys and no buffer.

use super::Stream;
use super::buffers::{Pending, SCRATCH_SIZE};
use crate::worker::TlsSlot;
use rules::tls::TlsFacts;
use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};
use tls::{Plain, RECORD_MAX, Session};

/// Plaintext that is encrypted and written in one go.
const WRITE_MAX: usize = SCRATCH_SIZE;

/// Bytes read beyond what the caller has room for: headers and tags.
const READ_SLACK: usize = 1024;

/// Records that wait for their end at most: one, or a handshake message over several.
const HELD_MAX: usize = 128 * 1024;

thread_local! {
    static RECORDS: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; SCRATCH_SIZE + READ_SLACK + HELD_MAX].into_boxed_slice());
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub struct TlsStream {
    /// What carries it; never TLS itself.
    transport: Stream,
    /// `None`: the handshake has not begun, and bytes pass as they are (the PROXY protocol comes before TLS).
    session: Option<Session>,
    /// Records that are not whole yet.
    received: Pending,
    /// `received` may hold whole records: they come before anything is read.
    more: bool,
    /// Decrypted and not yet asked for.
    plain: Pending,
    /// Encrypted and not yet taken by the socket.
    unsent: Pending,
    /// Plaintext bytes that went into `unsent` with the last write; its caller asks again and then hears of them.
    promised: usize,
    /// The peer sends no more.
    ended: bool,
    /// The connection failed; nothing may be read or written.
    failed: Option<tls::Error>,
    /// Its place among the TLS connections of the process.
    slot: Option<TlsSlot>,
}

impl TlsStream {
    /// A connection on which TLS will begin.
    pub fn new(transport: Stream) -> TlsStream {
        TlsStream {
            transport,
            session: None,
            received: Pending::new(),
            more: false,
            plain: Pending::new(),
            unsent: Pending::new(),
            promised: 0,
            ended: false,
            failed: None,
            slot: None,
        }
    }

    /// Keeps a place of the process for as long as this connection lives.
    pub fn hold(&mut self, slot: TlsSlot) {
        self.slot = Some(slot);
    }

    /// TLS begins; `bytes` were read already.
    pub fn begin(&mut self, session: Session, bytes: &[u8]) {
        self.session = Some(session);
        self.received.push(bytes);
        self.more = true;
    }

    pub fn transport_mut(&mut self) -> &mut Stream {
        &mut self.transport
    }

    pub fn transport(&self) -> &Stream {
        &self.transport
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        self.session.as_ref()?.alpn()
    }

    /// Facts for rules and logs; what only the handshake knew is given away.
    pub fn take_facts(&mut self) -> TlsFacts {
        self.session.as_mut().map(Session::take_facts).unwrap_or_default()
    }

    /// Why the connection failed.
    pub fn failure(&self) -> Option<&tls::Error> {
        self.failed.as_ref()
    }

    /// Ready once both sides have keys.
    ///
    /// # Errors
    /// The socket's; `UnexpectedEof` when the peer leaves; `InvalidData` for what [`TlsStream::failure`] tells.
    pub fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.session.as_ref().is_some_and(|session| !session.is_handshaking()) {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.step(context, &mut []))?;
        }
    }

    /// Decrypts; `Ok(0)` is the end.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.session.is_none() {
            return self.transport.poll_read(context, buffer);
        }
        loop {
            if !self.plain.is_empty() {
                let count = self.plain.len().min(buffer.len());
                buffer[..count].copy_from_slice(&self.plain.bytes()[..count]);
                self.plain.consume(count);
                return Poll::Ready(Ok(count));
            }
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            if !self.unsent.is_empty() {
                // Tickets and the like; a write that fails is told to whoever writes.
                let _ = self.poll_flush(context);
            }
            let count = ready!(self.step(context, buffer))?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
    }

    /// Reads once, if there is anything to wait for, and follows what came. Returns the plaintext bytes in `buffer`;
    /// none is no end.
    fn step(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(session) = &mut self.session else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if self.failed.is_some() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let result = RECORDS.with_borrow_mut(|records| {
            let held = self.received.len();
            if held > HELD_MAX {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let mut filled = held;
            if !self.more {
                let room = (buffer.len().max(RECORD_MAX) + READ_SLACK).min(records.len() - held);
                match ready!(self.transport.poll_read(context, &mut records[held..held + room])) {
                    Ok(0) => {
                        self.ended = true;
                        return Poll::Ready(Ok(0));
                    }
                    Ok(count) => filled += count,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            records[..held].copy_from_slice(self.received.bytes());
            let mut overflow = Vec::new();
            let mut plain = Plain { buffer, filled: 0, overflow: &mut overflow };
            let mut out = Vec::new();
            let received = session.receive(&mut records[..filled], &mut plain, &mut out);
            let count = plain.filled;
            self.plain.push(&overflow);
            self.unsent.push(&out);
            self.received.clear();
            self.received.push(&records[received.used..filled]);
            self.more = received.full && received.used < filled;
            self.ended |= session.is_peer_closed();
            if let Some(error) = received.error {
                self.failed = Some(error);
                return Poll::Ready(if count > 0 {
                    Ok(count)
                } else {
                    Err(io::ErrorKind::InvalidData.into())
                });
            }
            Poll::Ready(Ok(count))
        });
        if !self.unsent.is_empty() {
            let _ = self.poll_flush(context);
        }
        result
    }

    /// Encrypts and writes. After `Pending` the same bytes must come first in the next call: they are encrypted already,
    /// and are acknowledged once the socket has taken them.
    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.unsent.is_empty() {
            ready!(self.poll_flush(context))?;
        }
        if self.promised > 0 {
            return Poll::Ready(Ok(std::mem::take(&mut self.promised).min(bytes.len())));
        }
        let Some(session) = &mut self.session else { return self.transport.poll_write(context, bytes) };
        if self.failed.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let bytes = &bytes[..bytes.len().min(WRITE_MAX)];
        OUT.with_borrow_mut(|out| {
            let mut plain = Vec::new();
            let sent = session
                .encrypt(self.received.bytes_mut(), &mut plain, bytes, out)
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.received.consume(sent.used);
            self.plain.push(&plain);
            let mut written = 0;
            while written < sent.end {
                match self.transport.poll_write(context, &out[written..sent.end]) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        self.unsent.push(&out[written..sent.end]);
                        self.promised = bytes.len();
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(bytes.len()))
        })
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(self.transport.poll_write(context, self.unsent.bytes()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.unsent.consume(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when a read would not block.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.plain.is_empty() || self.more || self.ended {
            return Poll::Ready(Ok(()));
        }
        self.transport.poll_read_ready(context)
    }

    /// Says that we send no more, if the socket takes it now: nobody waits for it.
    pub fn close(&mut self) {
        let Some(session) = &mut self.session else { return };
        if self.failed.is_some() || session.is_handshaking() || !self.unsent.is_empty() {
            return;
        }
        OUT.with_borrow_mut(|out| {
            let mut plain = Vec::new();
            if let Ok(sent) = session.close(self.received.bytes_mut(), &mut plain, out) {
                self.received.consume(sent.used);
                self.plain.push(&plain);
                // The peer may be gone: then there is nobody to tell.
                let _ = self.transport.try_write(&out[..sent.end]);
            }
        });
    }

    /// Closes without a word.
    pub fn forget(&mut self) {
        self.session = None;
        self.transport.forget();
    }

    /// Sends a fatal alert in the clear, before there are keys.
    pub fn refuse(&self, description: u8) {
        const FATAL: u8 = 2;
        let _ = self.transport.try_write(&[21, 3, 1, 0, 2, FATAL, description]);
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.close();
    }
}
