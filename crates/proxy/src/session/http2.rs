//! HTTP/2 with the client: one task moves the frames and accepts streams, and each stream runs its transaction in a task
//! of its own, as a [`Client`] that has one request.

use super::client::Client;
use super::http1::begin;
use super::runner::{self, Job};
use super::tracking::{self, Trackers};
use super::transaction::Transaction;
use crate::http2::{Http2Stream, Link, Multiplexed, client_side, read_request};
use crate::net::buffers::Pending;
use crate::net::clock;
use crate::net::{Deadline, Stream};
use crate::registry::{Control, Phase};
use crate::state::counters::FrontendCounters;
use crate::thread::Seat;
use crate::upstream::ServerConnection;
use crate::worker::Worker;
use ::http2::{Connection, Counts, Opened, Reason, Role};
use rules::tls::TlsFacts;
use rules::{Peer, ProxyHeader, VariableSet, WallTime};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};

/// After GOAWAY the client has this long to read it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Streams that the client has reset but whose transactions have not ended yet may be this many times what it may have
/// open; what it opens beyond is refused.
const LEFTOVER_FACTOR: u32 = 2;

/// What the streams of a connection have in common.
pub struct Session {
    /// Where new streams belong; a reload moves it.
    seat: RefCell<Seat>,
    control: RefCell<Rc<Control>>,
    link: Rc<Link>,
    src: Option<Peer>,
    dst: Option<Peer>,
    accept: Instant,
    accept_wall: WallTime,
    handshake_done: Option<Instant>,
    proxy_header: Option<Arc<ProxyHeader>>,
    tls: Option<Arc<TlsFacts>>,
    variables: Rc<VariableSet>,
    trackers: Option<Box<Trackers>>,
    /// Server connections that no other client may use.
    // Boxed on purpose: they move between clients as they are.
    #[allow(clippy::vec_box)]
    private: RefCell<Vec<Box<ServerConnection>>>,
    /// The same over HTTP/2.
    multiplexed: RefCell<Rc<RefCell<Vec<Rc<Multiplexed>>>>>,
    /// A server authenticates the connection and not the request: all streams go to it.
    prefers_last_server: Cell<bool>,
    /// Streams whose transactions run.
    active: Cell<u32>,
    /// Streams so far.
    requests: Cell<u32>,
    upgraded: bool,
    counted: Cell<bool>,
    idle_since: Cell<Instant>,
}

/// Serves a connection to its end.
pub async fn serve(client: Client) {
    let Client {
        worker,
        control,
        stream,
        input,
        deadline,
        frontend,
        listener,
        src,
        dst,
        accept,
        accept_wall,
        handshake_done,
        requests,
        closed: _,
        private,
        multiplexed,
        prefers_last_server,
        upgraded,
        counted,
        trackers,
        proxy_header,
        variables,
        tls,
        error: _,
    } = client;
    let bounds = client_side(&worker.plan().model.global.tune);
    let link = Link::new(stream, input, Connection::new(Role::Server, bounds, accept));
    let session = Rc::new(Session {
        seat: RefCell::new(Seat { worker, frontend, index: listener }),
        control: RefCell::new(control),
        link,
        src,
        dst,
        accept,
        accept_wall,
        handshake_done,
        proxy_header,
        tls,
        variables: variables.unwrap_or_default(),
        trackers,
        private: RefCell::new(private.into_iter().collect()),
        multiplexed: RefCell::new(multiplexed.unwrap_or_default()),
        prefers_last_server: Cell::new(prefers_last_server),
        active: Cell::new(0),
        requests: Cell::new(requests),
        upgraded,
        counted: Cell::new(counted),
        idle_since: Cell::new(accept),
    });
    session.with_counters(|counters| counters.http2_connections_begun.add(1));
    streams(&session, deadline).await;
    session.note_counts();
    session.with_counters(|counters| counters.http2_connections_ended.add(1));
    let Seat { worker, frontend, index } = session.seat.borrow().clone();
    worker.sessions.borrow_mut().remove(&session.control.borrow());
    drop(session);
    worker.connection_ended(frontend, index);
}

/// What the connection's task has to do next.
enum Event {
    /// The connection is over.
    Ended,
    /// Idle for too long, or told to end.
    TimedOut,
    /// A stream has begun or ended, the process is to stop, or another configuration is in force.
    Look,
}

/// Accepts streams until the connection ends.
async fn streams(session: &Rc<Session>, mut deadline: Deadline) {
    let (streams_max, mut left) = {
        let worker = session.worker();
        let tune = &worker.plan().model.global.tune;
        (tune.http2_frontend.over(tune.http2).max_concurrent_streams, tune.http2_total_streams_max)
    };
    let mut leaving = false;
    loop {
        session.settle(&mut deadline);
        let mut was_active = session.active.get();
        let event = poll_fn(|context| {
            if !leaving && session.is_retired() {
                return Poll::Ready(Event::Look);
            }
            let mut accepts = false;
            let over = session.link.poll_move(context, |opened| {
                left = left.map(|left| left.saturating_sub(1));
                accepted(session, opened, streams_max);
                accepts = true;
            });
            session.note_counts();
            if over.is_ready() || session.link.is_hung_up() {
                return Poll::Ready(Event::Ended);
            }
            let ends = !leaving && (left == Some(0) || accepts && session.is_stopping());
            if ends || was_active > 0 && session.active.get() == 0 {
                return Poll::Ready(Event::Look);
            }
            if accepts {
                was_active = session.active.get();
                session.settle(&mut deadline);
            }
            deadline.poll(context).map(|()| Event::TimedOut)
        })
        .await;
        match event {
            Event::Ended | Event::TimedOut => return goodbye(session).await,
            Event::Look => {}
        }
        let gone = !leaving && session.is_retired() && !session.follow(&mut deadline);
        if !leaving && (gone || session.is_stopping() || left == Some(0)) {
            leaving = true;
            session.link.connection(Connection::leave);
        }
    }
}

/// Says GOAWAY, if that was not done, and closes when the client has read it.
async fn goodbye(session: &Session) {
    if session.link.is_hung_up() || session.link.connection(|connection| connection.is_lost()) {
        return;
    }
    // One of its own: the connection's may have been told to end at once.
    let mut deadline = Deadline::new();
    deadline.set(Some(clock::now() + GOODBYE));
    poll_fn(|context| {
        if session.link.poll_end(context, Reason::NO_ERROR).is_ready() {
            return Poll::Ready(());
        }
        deadline.poll(context)
    })
    .await;
}

/// A stream began: its transaction runs in a task of its own.
fn accepted(session: &Rc<Session>, opened: Opened, streams_max: u32) {
    let Opened { stream, ends } = opened;
    if session.active.get() >= streams_max.saturating_mul(LEFTOVER_FACTOR) {
        session.link.connection(|connection| {
            connection.reset(stream, Reason::REFUSED_STREAM);
            connection.release(stream);
        });
        return;
    }
    let Seat { worker, frontend, .. } = session.seat.borrow().clone();
    let id = worker.state().process.next_session.fetch_add(1, Relaxed);
    let control = Control::new(id, frontend, session.src, clock::now());
    let stream = Http2Stream::accepted(Rc::clone(&session.link), stream, ends);
    let mut client = Box::new(session.client(Rc::clone(&control), Stream::Http2(Box::new(stream))));
    let mut transaction = begin(&mut client);
    let limits = &worker.plan().proxy(frontend).request_limits;
    let request = &mut transaction.request;
    let read = session.link.connection(|connection| read_request(connection.fields(), ends, limits, request));
    if read.is_err() {
        client.stream.reset_on_close();
        Transaction::give(transaction);
        return;
    }
    worker.sessions.borrow_mut().insert(&control);
    session.active.set(session.active.get() + 1);
    session.requests.set(session.requests.get().wrapping_add(1));
    runner::start(Job { session: Rc::clone(session), client, transaction });
}

impl Session {
    fn worker(&self) -> Rc<Worker> {
        Rc::clone(&self.seat.borrow().worker)
    }

    fn with_counters(&self, count: impl FnOnce(&FrontendCounters)) {
        let seat = self.seat.borrow();
        count(seat.worker.frontend_counters(seat.frontend));
    }

    fn note_counts(&self) {
        let counts = self.link.connection(Connection::take_counts);
        if counts != Counts::default() {
            self.with_counters(|counters| counters.note_http2(&counts));
        }
    }

    fn is_retired(&self) -> bool {
        self.seat.borrow().worker.is_retired()
    }

    fn is_stopping(&self) -> bool {
        self.seat.borrow().worker.state().is_stopping()
    }

    /// New streams go on under the configuration in force, where it still has this frontend and line; those that run end
    /// under theirs.
    fn follow(&self, deadline: &mut Deadline) -> bool {
        let before = self.seat.borrow().clone();
        let Some(seat) = before.worker.successor(before.frontend, before.index) else { return false };
        let control = self.control.borrow().moved(seat.frontend);
        before.worker.sessions.borrow_mut().remove(&self.control.replace(Rc::clone(&control)));
        seat.worker.sessions.borrow_mut().insert(&control);
        deadline.control(control);
        self.seat.replace(seat);
        self.private.borrow_mut().clear();
        self.multiplexed.replace(Rc::default());
        true
    }

    /// Tells what the connection does, and for how long it may.
    fn settle(&self, deadline: &mut Deadline) {
        let phase = if self.active.get() == 0 { Phase::Idle } else { Phase::Data };
        self.control.borrow().phase.set(phase);
        self.arm(deadline);
    }

    /// Sets the time that the connection may be without a stream.
    fn arm(&self, deadline: &mut Deadline) {
        let seat = self.seat.borrow();
        let timeouts = &seat.worker.plan().proxy(seat.frontend).timeouts;
        let timeout = match (self.active.get(), self.requests.get()) {
            (0, 0) => timeouts.http_request,
            (0, _) => timeouts.http_keep_alive,
            (_, _) => None,
        };
        deadline.set(timeout.map(|timeout| self.idle_since.get() + timeout));
    }

    /// The client of one stream.
    fn client(&self, control: Rc<Control>, stream: Stream) -> Client {
        let trackers = self.trackers.as_ref().map(|held| {
            Box::new(std::array::from_fn(|index| {
                held[index].as_ref().map(rules::stick_table::Tracked::share)
            }))
        });
        let Seat { worker, frontend, index } = self.seat.borrow().clone();
        Client {
            worker,
            // The runner brings one that is used again.
            deadline: Deadline::new(),
            control,
            stream,
            input: Pending::new(),
            frontend,
            listener: index,
            src: self.src,
            dst: self.dst,
            accept: self.accept,
            accept_wall: self.accept_wall,
            handshake_done: self.handshake_done,
            requests: self.requests.get(),
            closed: false,
            private: self.private.borrow_mut().pop(),
            multiplexed: Some(Rc::clone(&self.multiplexed.borrow())),
            prefers_last_server: self.prefers_last_server.get(),
            upgraded: self.upgraded,
            counted: self.counted.get(),
            trackers,
            proxy_header: self.proxy_header.clone(),
            variables: Some(Rc::clone(&self.variables)),
            tls: self.tls.clone(),
            error: rules::ConnectionError::default(),
        }
    }

    /// The client of a stream has been counted.
    pub fn note_counted(&self, client: &Client) {
        self.counted.set(client.counted);
    }

    /// The transaction of a stream is over.
    pub fn ended(&self, mut client: Box<Client>) {
        client.worker.sessions.borrow_mut().remove(&client.control);
        if let Some(private) = client.private.take()
            && Rc::ptr_eq(&client.worker, &self.seat.borrow().worker)
        {
            self.private.borrow_mut().push(private);
        }
        self.prefers_last_server.set(self.prefers_last_server.get() || client.prefers_last_server);
        drop(client);
        self.active.set(self.active.get() - 1);
        if self.active.get() == 0 {
            self.idle_since.set(clock::now());
        }
        if self.active.get() == 0 || self.link.is_hung_up() {
            self.link.wake();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(trackers) = &mut self.trackers {
            tracking::release(trackers);
        }
    }
}
