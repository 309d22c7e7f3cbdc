//! The client's side of a connection, and what happens to it before its first byte is looked at.

use super::tracking::{TRACKERS, Trackers};
use super::transaction::{Origin, Transaction};
use super::{body, handshake, http1, http2, tcp};
use crate::http2::Multiplexed;
use crate::net::buffers::{self, Pending};
use crate::net::clock;
use crate::net::{Deadline, Stream};
use crate::registry::Control;
use crate::state::counters::{Counter, ListenerCounters};
use crate::thread::Seat;
use crate::upstream::ServerConnection;
use crate::worker::Worker;
use haproxy_config::model::{Mode, Protocol};
use rules::ConnectionError;
use rules::stick_table::Tracked;
use rules::tls::TlsFacts;
use rules::{Direction, LogFormat, Peer, ProxyHeader, ProxyId, Scope, VariableSet, WallTime};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A client connection. Small: thousands of them idle at a time.
pub struct Client {
    pub worker: Rc<Worker>,
    pub control: Rc<Control>,
    pub stream: Stream,
    /// Bytes read and not yet used; owns no buffer while empty.
    pub input: Pending,
    pub deadline: Deadline,
    pub frontend: ProxyId,
    /// Index among the frontend's listeners.
    pub listener: u32,
    pub src: Option<Peer>,
    pub dst: Option<Peer>,
    pub accept: Instant,
    pub accept_wall: WallTime,
    pub handshake_done: Option<Instant>,
    /// Requests seen so far.
    pub requests: u32,
    /// The client sent FIN.
    pub closed: bool,
    /// The server connection of this session, when nobody else may use it.
    pub private: Option<Box<ServerConnection>>,
    /// HTTP/2 connections to servers that this client opened, shared by its streams.
    pub multiplexed: Option<Rc<RefCell<Vec<Rc<Multiplexed>>>>>,
    /// A server authenticates the connection and not the request: all of the session goes to it.
    pub prefers_last_server: bool,
    /// It began in TCP mode and carries HTTP now.
    pub upgraded: bool,
    /// The session was counted: it got past the connection rules.
    pub counted: bool,
    /// Entries of stick tables that the connection tracks; boxed, for few do.
    pub trackers: Option<Box<Trackers>>,
    /// The addresses are those of this header of the PROXY protocol.
    pub proxy_header: Option<Arc<ProxyHeader>>,
    /// What is known of its TLS; also of one that failed.
    pub tls: Option<Arc<TlsFacts>>,
    /// Why it failed before it became a session.
    pub error: ConnectionError,
    /// `sess.*`; made by the first transaction.
    pub variables: Option<Rc<VariableSet>>,
}

/// Whether the client left while it was not expected to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    No,
    /// It sent FIN: it may still read.
    Closed,
    Reset,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    Bytes,
    Closed,
    Failed(io::ErrorKind),
    TimedOut,
}

impl Client {
    pub fn origin(&self) -> Origin {
        Origin {
            frontend: self.frontend,
            listener: self.listener,
            src: self.src,
            dst: self.dst,
            accept: self.accept,
            accept_wall: self.accept_wall,
            handshake_done: self.handshake_done,
            request_index: self.requests,
            proxy_header: self.proxy_header.clone(),
            tls: self.tls.clone(),
            error: self.error,
        }
    }

    /// What rules and log formats see of `transaction` now.
    pub fn scope<'a>(&'a self, transaction: &'a Transaction, direction: Direction) -> Scope<'a> {
        let state = self.worker.state();
        let now = transaction.facts.times.end.unwrap_or_else(clock::now);
        let request = &transaction.request;
        let response = &transaction.response;
        Scope {
            client: Some(&self.stream),
            direction,
            stream: &transaction.facts,
            request: (!request.method().is_empty()).then_some(request),
            response: (response.status() != 0).then_some(response),
            payload: match direction {
                Direction::Request if transaction.facts.is_http => {
                    body::view(transaction, self.input.bytes())
                }
                Direction::Request => self.input.bytes(),
                Direction::Response => &transaction.inspected,
            },
            payload_final: transaction.payload_final,
            host: state,
            variables: &transaction.variables,
            tracked: [&transaction.trackers, self.trackers.as_deref().map_or(&[], |held| &held[..])],
            set_timeouts: transaction.timeouts.of_server(),
            now,
            wall: state.clock.wall(now),
        }
    }

    /// `option socket-stats`: adds to what the client's listener counts.
    pub fn count_at_listener(&self, counter: impl Fn(&ListenerCounters) -> &Counter, amount: u64) {
        if let Some(counters) = self.worker.listener_counters(self.frontend, self.listener) {
            counter(counters).add(amount);
        }
    }

    /// A transaction for what this client does next.
    pub fn begin(&mut self) -> Box<Transaction> {
        let session = self.variables.get_or_insert_default();
        let session = Rc::clone(session);
        let mut transaction = Transaction::take(&self.worker, self.origin(), &session);
        let mode = self.worker.state().model.proxies[transaction.facts.frontend.index()].mode;
        transaction.facts.is_http = mode == Mode::Http || self.upgraded;
        transaction
    }

    /// Appends what `format` gives.
    pub fn write_text(
        &self,
        transaction: &Transaction,
        direction: Direction,
        format: &LogFormat,
        out: &mut Vec<u8>,
    ) {
        match format.as_literal() {
            Some(text) => out.extend_from_slice(text),
            None => {
                let scope = self.scope(transaction, direction);
                format.write(&scope, &mut self.worker.log_context.borrow_mut(), out);
            }
        }
    }

    pub fn tracker(&self, index: usize) -> Option<&Tracked> {
        self.trackers.as_ref()?.get(index)?.as_ref()
    }

    pub fn tracker_mut(&mut self, index: usize) -> Option<&mut Tracked> {
        self.trackers.as_mut()?.get_mut(index)?.as_mut()
    }

    pub fn set_tracker(&mut self, index: usize, tracked: Tracked) {
        self.trackers.get_or_insert_with(|| Box::new([const { None }; TRACKERS]))[index] = Some(tracked);
    }

    /// `silent-drop`: the kernel forgets the connection; the client learns it from its own timeouts.
    pub fn silent_drop(&mut self) {
        self.stream.forget();
        self.closed = true;
    }

    /// Reads once, appending to `input`. `limit` bounds what is read.
    pub fn poll_fill(&mut self, context: &mut Context<'_>, limit: usize) -> Poll<Filled> {
        let polled = buffers::with_scratch(|scratch| {
            let limit = limit.min(scratch.len());
            match self.stream.poll_read(context, &mut scratch[..limit]) {
                Poll::Ready(Ok(0)) => Poll::Ready(Filled::Closed),
                Poll::Ready(Ok(count)) => {
                    self.input.push(&scratch[..count]);
                    Poll::Ready(Filled::Bytes)
                }
                Poll::Ready(Err(error)) => Poll::Ready(Filled::Failed(error.kind())),
                Poll::Pending => Poll::Pending,
            }
        });
        match polled {
            Poll::Ready(filled) => {
                // The end of a request on a stream of HTTP/2 is no end of anything else.
                self.closed |=
                    filled != Filled::Bytes && !(self.stream.is_http2() && filled == Filled::Closed);
                Poll::Ready(filled)
            }
            Poll::Pending => self.deadline.poll(context).map(|()| Filled::TimedOut),
        }
    }

    /// Looks whether the client left while something else is waited for. What it sends ahead is kept, up to a bound.
    pub fn poll_left(&mut self, context: &mut Context<'_>) -> Left {
        const AHEAD_MAX: usize = 16 * 1024;
        if let Some(stream) = self.stream.as_http2() {
            return match stream.poll_reset(context) {
                Poll::Ready(()) => Left::Reset,
                Poll::Pending => Left::No,
            };
        }
        while !self.closed && self.input.len() < AHEAD_MAX {
            let polled = buffers::with_scratch(|scratch| {
                let polled = self.stream.poll_read(context, &mut scratch[..AHEAD_MAX]);
                if let Poll::Ready(Ok(count)) = &polled {
                    self.input.push(&scratch[..*count]);
                }
                polled
            });
            match polled {
                Poll::Pending => return Left::No,
                Poll::Ready(Ok(0)) => self.closed = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => {
                    self.closed = true;
                    return Left::Reset;
                }
            }
        }
        if self.closed { Left::Closed } else { Left::No }
    }

    /// Goes on under the configuration in force, where it still has this frontend and line. False: there is nothing to go on
    /// under.
    pub fn follow(&mut self) -> bool {
        let Some(seat) = self.worker.successor(self.frontend, self.listener) else { return false };
        let Seat { worker, frontend, index } = seat;
        self.worker.sessions.borrow_mut().remove(&self.control);
        self.control = self.control.moved(frontend);
        worker.sessions.borrow_mut().insert(&self.control);
        self.deadline.control(Rc::clone(&self.control));
        // Its server may be another one now; the next request opens what it needs.
        self.private = None;
        self.multiplexed = None;
        (self.worker, self.frontend, self.listener) = (worker, frontend, index);
        true
    }

    /// The deadline `timeout` from now, none when it is unlimited.
    pub fn expect_within(&mut self, timeout: Option<Duration>, now: Instant) {
        self.deadline.set(timeout.map(|timeout| now + timeout));
    }
}

/// Serves one accepted connection to its end.
pub async fn serve(mut client: Client) {
    if handshake::handshake(&mut client).await {
        super::tracking::count_on_connection(&mut client, &super::tracking::SESSION);
        let (mode, agreed) = {
            let settings = client.worker.plan().settings(client.frontend);
            (settings.mode, settings.binds[client.listener as usize].protocol)
        };
        match mode {
            Mode::Http => {
                let http2 = agreed == Protocol::Http2 || client.stream.alpn() == Some(b"h2");
                if http2 || http1::serve(&mut client).await == http1::Served::Http2 {
                    // Boxed so that other connections' futures stay small.
                    return Box::pin(http2::serve(client)).await;
                }
            }
            Mode::Health => answer_health(&mut client).await,
            Mode::Tcp => {
                if tcp::serve(&mut client).await == tcp::Served::Http {
                    client.upgraded = true;
                    if http1::serve(&mut client).await == http1::Served::Http2 {
                        return Box::pin(http2::serve(client)).await;
                    }
                }
            }
        }
    }
    end(client);
}

/// `mode health` (HAProxy 1.8 manual, 4.2 `mode`): a word to whoever connects, before he says any. Nothing is logged.
async fn answer_health(client: &mut Client) {
    let is_http = client.worker.plan().settings(client.frontend).check.kind == checks::RecipeKind::Http;
    let word: &[u8] = if is_http { b"HTTP/1.0 200 OK\r\n\r\n" } else { b"OK\n" };
    super::reply::write_all(client, word).await;
    // What he did say is read, so that the end is no reset that overtakes the word.
    client.stream.shutdown_write();
}

/// The connection is over.
fn end(mut client: Client) {
    if let Some(trackers) = &mut client.trackers {
        super::tracking::release(trackers);
    }
    let worker = Rc::clone(&client.worker);
    if worker.plan().settings(client.frontend).options.nolinger {
        // What was sent is said to be over; what is lost on its way stays lost.
        client.stream.shutdown_write();
        client.stream.reset_on_close();
    }
    worker.sessions.borrow_mut().remove(&client.control);
    let (frontend, listener) = (client.frontend, client.listener);
    drop(client);
    worker.connection_ended(frontend, listener);
}
