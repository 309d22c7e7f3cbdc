//! The body of a response before it goes on: what rules see of it, and `http-response wait-for-body`.

use super::body;
use super::client::{Client, Left};
use super::flow::{Flow, FlowError};
use super::rules::Outcome;
use super::transaction::{RequestBody, Transaction};
use crate::net::buffers;
use crate::net::clock;
use crate::upstream::ServerConnection;
use http::{ChunkDecoder, Framing, Step};
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

/// A response whose head is here, on its way to the client; the request may still be on its way to the server.
pub struct Arriving<'x> {
    pub connection: &'x mut ServerConnection,
    pub up: &'x mut Flow,
    pub framing: Framing,
}

/// How a wait ended.
enum Waited {
    Enough,
    TimedOut,
    /// The body's framing is broken.
    Junk,
    ClientGone,
}

impl Arriving<'_> {
    /// Shows rules what of the body is here. Costs nothing where no expression of the configuration looks at bodies.
    pub fn show(&self, client: &Client, transaction: &mut Transaction) {
        transaction.inspected.clear();
        let model = &client.worker.plan().model;
        if !model.uses.response_body {
            return;
        }
        let room = room(client, transaction);
        unframe(self.framing, self.connection.input.bytes(), &mut transaction.inspected);
        transaction.inspected.truncate(room);
    }

    /// Waits for the whole body, for `at_least` bytes of it (0: for all), for a full buffer, or for the end of `time`; an
    /// outcome where the response is lost. A server that closes early has sent all that there is.
    pub async fn wait(
        &mut self,
        client: &mut Client,
        transaction: &mut Transaction,
        time: Duration,
        at_least: Option<u64>,
    ) -> Option<Outcome> {
        if matches!(self.framing, Framing::None | Framing::Length(0)) || is_tunnel(transaction) {
            return None;
        }
        let at_least = at_least.filter(|least| *least > 0);
        let room = room(client, transaction);
        client.expect_within(Some(time), clock::now());
        let mut write_failed = false;
        let waited = poll_fn(|context| {
            if !self.up.is_done() && !write_failed {
                let up =
                    self.up.poll(context, &mut client.stream, &mut client.input, &mut self.connection.stream);
                match up {
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                    // The server has answered: it need not read the rest.
                    Poll::Ready(Err(FlowError::Destination)) => write_failed = true,
                    Poll::Ready(Err(FlowError::Source | FlowError::Framing | FlowError::Coding)) => {
                        return Poll::Ready(Waited::ClientGone);
                    }
                }
            }
            if let Poll::Ready(read) = self.poll_body(context, at_least, room) {
                return Poll::Ready(read);
            }
            if self.up.is_done() && client.poll_left(context) == Left::Reset {
                return Poll::Ready(Waited::ClientGone);
            }
            client.deadline.poll(context).map(|()| Waited::TimedOut)
        })
        .await;
        if self.up.is_done() {
            transaction.body = RequestBody::Sent;
        }
        let termination = &mut transaction.facts.termination;
        let (cause, phase, outcome) = match waited {
            Waited::Enough => {
                self.show(client, transaction);
                return None;
            }
            Waited::TimedOut => (b's', b'R', Outcome::Error(504)),
            Waited::Junk => {
                let server = &self.connection.server;
                let worker = &client.worker;
                worker.backend_counters(server.id.proxy).failed_responses.add(1);
                worker.server_counters(server.slot).failed_responses.add(1);
                (b'P', b'H', Outcome::Error(502))
            }
            Waited::ClientGone => (b'C', b'D', Outcome::Close),
        };
        termination.cause = cause;
        termination.phase = phase;
        Some(outcome)
    }

    /// Reads until there is enough.
    fn poll_body(&mut self, context: &mut Context<'_>, at_least: Option<u64>, room: usize) -> Poll<Waited> {
        loop {
            let input = &mut self.connection.input;
            let arrived = arrived(self.framing, input.bytes());
            match arrived {
                Arrived::Broken => return Poll::Ready(Waited::Junk),
                Arrived::Whole => return Poll::Ready(Waited::Enough),
                Arrived::Part(length) if at_least.is_some_and(|least| length >= least) => {
                    return Poll::Ready(Waited::Enough);
                }
                Arrived::Part(_) if input.len() >= room => return Poll::Ready(Waited::Enough),
                Arrived::Part(_) => {}
            }
            let stream = &mut self.connection.stream;
            let polled = buffers::with_scratch(|scratch| {
                let room = (room - input.len()).min(scratch.len());
                let polled = stream.poll_read(context, &mut scratch[..room]);
                if let Poll::Ready(Ok(count)) = &polled {
                    input.push(&scratch[..*count]);
                }
                polled
            });
            match polled {
                Poll::Ready(Ok(count)) if count > 0 => {}
                // Whoever sends the body on finds out the same.
                Poll::Ready(_) => return Poll::Ready(Waited::Enough),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What follows a switch of protocols is no body.
fn is_tunnel(transaction: &Transaction) -> bool {
    transaction.response.status() == 101 || transaction.request.method_kind() == http::Method::Connect
}

/// The body that HAProxy's buffer holds beside this head: rules and waits that count bytes see as many.
fn room(client: &Client, transaction: &Transaction) -> usize {
    /// The description of a buffer of blocks, and of one block: of the start line, of the end of the head, of the data,
    /// of each field.
    const DESCRIPTION: usize = 48;
    const BLOCK: usize = 8;
    let tune = &client.worker.plan().model.global.tune;
    let head = &transaction.response;
    let taken = DESCRIPTION
        + BLOCK * (3 + head.field_count())
        + rules::internal_length(head, rules::Direction::Response);
    tune.bufsize.saturating_sub(tune.maxrewrite + taken).max(1)
}

/// Bytes of the body proper among those that came behind the head.
pub fn body_here(framing: Framing, bytes: &[u8]) -> u64 {
    match framing {
        Framing::None => 0,
        Framing::Length(length) => length.min(bytes.len() as u64),
        Framing::UntilClose => bytes.len() as u64,
        Framing::Chunked => {
            let mut data = Vec::new();
            body::unchunk(bytes, &mut data);
            data.len() as u64
        }
    }
}

enum Arrived {
    /// So many bytes, and more to come.
    Part(u64),
    Whole,
    Broken,
}

fn arrived(framing: Framing, bytes: &[u8]) -> Arrived {
    let have = bytes.len() as u64;
    match framing {
        Framing::None => Arrived::Whole,
        Framing::Length(length) if have >= length => Arrived::Whole,
        Framing::Length(_) | Framing::UntilClose => Arrived::Part(have),
        Framing::Chunked => {
            let mut decoder = ChunkDecoder::new();
            let (mut at, mut data) = (0, 0);
            loop {
                match decoder.next(&bytes[at..]) {
                    Ok(Step::Data { skip, len }) => {
                        data += len as u64;
                        at += skip + len;
                    }
                    Ok(Step::NeedMore) => return Arrived::Part(data),
                    Ok(Step::End { .. }) => return Arrived::Whole,
                    Err(_) => return Arrived::Broken,
                }
            }
        }
    }
}

/// Appends what of `bytes` is the body, without its framing.
fn unframe(framing: Framing, bytes: &[u8], out: &mut Vec<u8>) {
    match framing {
        Framing::Chunked => body::unchunk(bytes, out),
        Framing::None => {}
        Framing::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            out.extend_from_slice(&bytes[..length.min(bytes.len())]);
        }
        Framing::UntilClose => out.extend_from_slice(bytes),
    }
}
