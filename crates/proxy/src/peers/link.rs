//! A session on its socket: bytes in, bytes out, heartbeats.

use super::section::{Peer, Section};
use crate::net::Stream;
use peers::{Limit, Session, SessionError};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// Bytes made ready before the socket takes some of them.
const OUTPUT_LEN_MAX: usize = 64 * 1024;
/// Bytes received and not understood yet: a message of the longest kind and a read.
const INPUT_LEN_MAX: usize = 2 * 16_384 + 64;

/// Bytes read at once.
const READ_LEN: usize = 16_384;

/// Why a session is over.
pub enum Ended {
    Closed,
    Replaced,
    Stopped,
    Silent,
    Protocol,
}

struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of `output` that are sent.
    sent: usize,
    scratch: Box<[u8]>,
}

/// Exchanges until one side ends it.
pub async fn run(
    section: &Rc<Section>,
    peer: &Rc<Peer>,
    session: &Rc<RefCell<Session>>,
    stream: Stream,
    received: Vec<u8>,
) -> Ended {
    exchange(section, peer, session, stream, received, false).await
}

/// Exchanges until the other side has confirmed that it was taught.
pub async fn teach(
    section: &Rc<Section>,
    peer: &Rc<Peer>,
    session: &Rc<RefCell<Session>>,
    stream: Stream,
    received: Vec<u8>,
) {
    let _why = exchange(section, peer, session, stream, received, true).await;
}

async fn exchange(
    section: &Rc<Section>,
    peer: &Rc<Peer>,
    session: &Rc<RefCell<Session>>,
    mut stream: Stream,
    received: Vec<u8>,
    until_confirmed: bool,
) -> Ended {
    let mut buffers =
        Buffers { input: received, output: Vec::new(), sent: 0, scratch: vec![0; READ_LEN].into() };
    let mut changes = section.changes();
    if let Err(error) = understand(section, peer, session, &mut buffers.input) {
        return refuse(&mut stream, error).await;
    }
    loop {
        if until_confirmed && session.borrow().was_confirmed() {
            return Ended::Closed;
        }
        let now = Instant::now();
        let due = {
            let mut session = session.borrow_mut();
            if let Err(error) = session.handle_timeout(now) {
                return ended_by(error);
            }
            section.ask_if_due(peer, &mut session);
            if buffers.sent == buffers.output.len() {
                buffers.output.clear();
                buffers.sent = 0;
                let up_to_date = section.resync.borrow().is_done();
                let limit = Limit { bytes: OUTPUT_LEN_MAX, updates: section.updates_max };
                session.produce(&mut buffers.output, limit, up_to_date, now);
                peer.counters.heartbeats_sent.set(session.counters.heartbeats_sent);
            }
            session.poll_timeout()
        };
        let is_writing = buffers.sent < buffers.output.len();
        tokio::select! {
            biased;
            moved = transfer(&mut stream, &mut buffers) => match moved {
                Err(_) | Ok(Moved::End) => return Ended::Closed,
                Ok(Moved::Sent) => {}
                Ok(Moved::Received) => {
                    if let Err(error) = understand(section, peer, session, &mut buffers.input) {
                        return refuse(&mut stream, error).await;
                    }
                }
            },
            _ = changes.changed(), if !is_writing => {}
            () = tokio::time::sleep_until(due.into()) => {}
        }
    }
}

fn understand(
    section: &Section,
    peer: &Peer,
    session: &RefCell<Session>,
    input: &mut Vec<u8>,
) -> Result<(), SessionError> {
    let now = Instant::now();
    let mut session = session.borrow_mut();
    let understood = session.receive(input, now)?;
    input.drain(..understood);
    peer.counters.heartbeats_received.set(session.counters.heartbeats_received);
    if let Some(full) = session.take_taught() {
        peer.knows_not_all.set(!full);
        section.resync.borrow_mut().taught(full, now);
    }
    Ok(())
}

async fn refuse(stream: &mut Stream, error: SessionError) -> Ended {
    // It ends anyway; whether it hears why is its luck.
    let _heard = super::handshake::write(stream, error.message()).await;
    ended_by(error)
}

fn ended_by(error: SessionError) -> Ended {
    match error {
        SessionError::Dead => Ended::Silent,
        SessionError::Protocol | SessionError::TooLong | SessionError::Refused => Ended::Protocol,
    }
}

enum Moved {
    Sent,
    Received,
    End,
}

/// Sends and receives once, whatever is possible first; sending goes first.
async fn transfer(stream: &mut Stream, buffers: &mut Buffers) -> io::Result<Moved> {
    poll_fn(|context| {
        if buffers.sent < buffers.output.len()
            && let Poll::Ready(sent) = stream.poll_write(context, &buffers.output[buffers.sent..])
        {
            buffers.sent += sent?;
            return Poll::Ready(Ok(Moved::Sent));
        }
        let room = INPUT_LEN_MAX.saturating_sub(buffers.input.len()).min(buffers.scratch.len());
        match stream.poll_read(context, &mut buffers.scratch[..room]) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Moved::End)),
            Poll::Ready(Ok(received)) => {
                buffers.input.extend_from_slice(&buffers.scratch[..received]);
                Poll::Ready(Ok(Moved::Received))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
