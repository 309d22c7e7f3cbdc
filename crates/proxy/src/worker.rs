//! A worker thread: one current-thread runtime, its listeners, its tasks, its idle server connections.

use crate::busy::BusyMeter;
use crate::cache::Caches;
use crate::handover::Handover;
use crate::health::Health;
use crate::logs::Logs;
use crate::net::buffers::Pending;
use crate::net::clock;
use crate::net::{Deadline, Namespaces, Stream, TlsStream};
use crate::plan::Plan;
use crate::profile;
use crate::registry::{Control, Registry};
use crate::resolve::Resolve;
use crate::session::{Client, serve};
use crate::state::counters::{
    BackendCounters, FrontendCounters, ListenerCounters, ServerCounters, WorkerCounters,
};
use crate::state::{FrontendStatus, ListenerState, ProcessState, State};
use crate::syslog;
use crate::thread::{Endpoint, Seat, Thread};
use crate::upstream::IdlePool;
use haproxy_config::model;
use rules::log_format::LogContext;
use rules::{ConnectionError, Peer, ProxyId};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tls::Tls;
use tokio::net::{TcpListener, UnixListener};

/// How long a listener rests when the process is out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What all threads share.
pub struct Shared {
    pub plan: Plan,
    pub state: State,
    pub logs: Logs,
    pub health: Health,
    pub resolve: Resolve,
    pub caches: Caches,
    pub peers: Arc<crate::peers::Access>,
    pub mails: crate::mails::Mails,
    pub handover: Handover,
    pub tls: Arc<Tls>,
    pub namespaces: Namespaces,
    /// What was told while starting.
    pub startup_log: String,
    /// Configurations of this process so far, this one included.
    pub number: u64,
    pub since: Instant,
    /// One reference for each configuration that is still in memory.
    pub living: Arc<()>,
}

/// The thread's own things; tasks hold it by `Rc`.
pub struct Worker {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub counters: Arc<WorkerCounters>,
    pub idle: RefCell<IdlePool>,
    pub sessions: RefCell<Registry>,
    /// For text that is built and sent at once.
    pub text: RefCell<Vec<u8>>,
    /// The thread's log sockets; `None` when they could not be made.
    pub log: RefCell<Option<syslog::Scratch>>,
    pub log_context: RefCell<LogContext>,
    busy: BusyMeter,
    thread: Weak<Thread>,
    /// Another configuration is in force.
    retired: Cell<bool>,
}

impl Worker {
    pub fn new(index: usize, shared: Arc<Shared>, thread: &Rc<Thread>) -> Worker {
        let counters = Arc::clone(&shared.state.workers[index]);
        let log = RefCell::new(shared.logs.outlets.scratch().ok());
        let sessions = RefCell::default();
        let log_context = RefCell::new(LogContext::new(shared.logs.zone.clone(), std::process::id()));
        Worker {
            index,
            shared,
            counters,
            idle: RefCell::default(),
            sessions,
            text: RefCell::default(),
            log,
            log_context,
            busy: BusyMeter::default(),
            thread: Rc::downgrade(thread),
            retired: Cell::new(false),
        }
    }

    /// Whether connections that may should go over to another configuration.
    pub fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Another configuration takes over: it gets the idle connections to servers that are the same in it.
    pub fn retire(&self, successor: &Worker) {
        self.retired.set(true);
        let old = self.idle.replace(IdlePool::default());
        successor.idle.borrow_mut().adopt(old, self.state(), successor.state());
    }

    /// Where a client of `frontend` and its line goes on in the configuration in force; `None`: nowhere.
    pub fn successor(&self, frontend: ProxyId, listener: u32) -> Option<Seat> {
        let worker = self.thread.upgrade()?.current()?;
        let (before, settings) = (self.state().proxy(frontend), self.plan().settings(frontend));
        let id = *worker.plan().frontends_by_name.get(&settings.name)?;
        let (after, wanted) = (worker.state().proxy(id), worker.plan().settings(id));
        let gauge = &before.frontend.listeners.get(listener as usize)?.current;
        let lines = &after.frontend.listeners;
        let index = lines.iter().position(|line| Arc::ptr_eq(&line.current, gauge))?;
        let secure = |proxy: &model::Proxy, index: usize| proxy.binds[index].tls.is_some();
        let same = settings.mode == wanted.mode
            && secure(settings, listener as usize) == secure(wanted, index)
            && after.frontend.status() != FrontendStatus::Stopped;
        same.then_some(Seat { worker, frontend: id, index: index as u32 })
    }

    /// Ends all connections.
    pub fn end_all(&self) {
        self.sessions.borrow().iter().for_each(|control| control.kill());
    }

    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    pub fn state(&self) -> &State {
        &self.shared.state
    }

    pub fn frontend_counters(&self, proxy: ProxyId) -> &FrontendCounters {
        &self.counters.frontends[proxy.index()]
    }

    /// `None` without `option socket-stats`.
    pub fn listener_counters(&self, proxy: ProxyId, index: u32) -> Option<&ListenerCounters> {
        self.counters.listeners[proxy.index()].get(index as usize).map(|counters| &**counters)
    }

    pub fn backend_counters(&self, proxy: ProxyId) -> &BackendCounters {
        &self.counters.backends[proxy.index()]
    }

    pub fn server_counters(&self, slot: u32) -> &ServerCounters {
        if self.counters.servers.count() <= slot as usize {
            self.counters.grow(slot as usize + 1);
        }
        &self.counters.servers[slot as usize]
    }

    /// How much of the last half second or more this thread was busy.
    pub fn busy_percent(&self) -> u32 {
        self.busy.percent()
    }

    /// Whether a connection to a server may be kept idle: not while the descriptors in use reach
    /// `tune.pool-high-fd-ratio`. Counts two for each client, and for idle ones takes all threads to be like this one.
    pub fn has_room_for_idle(&self) -> bool {
        if self.is_retired() {
            return false;
        }
        let process = &self.state().process;
        let idle = self.idle.borrow().len() as u64 * self.state().workers.len() as u64;
        let max = process.idle_descriptors_max.load(Relaxed);
        max == 0 || 2 * u64::from(process.connections.get()) + idle < max
    }

    /// Milliseconds of the process clock.
    pub fn millis(&self, at: Instant) -> u64 {
        self.state().clock.millis(at)
    }

    /// A client connection of `frontend` is over: others may have its place. `listener` is the position of its `bind`
    /// line.
    pub fn connection_ended(&self, frontend: ProxyId, listener: u32) {
        let state = self.state();
        let process = &state.process;
        let front = &state.proxy(frontend).frontend;
        let maxconn = front.maxconn.load(Relaxed);
        let was_full = front.listeners.get(listener as usize).is_some_and(|listener| {
            let was_full = listener.is_full();
            listener.current.decrement();
            was_full
        });
        if (front.current.decrement() + 1 >= maxconn && maxconn > 0) || was_full {
            front.room.notify_waiters();
        }
        let maxconn = process.maxconn.load(Relaxed);
        if process.connections.decrement() + 1 >= maxconn && maxconn > 0 {
            process.room.notify_waiters();
        }
    }
}

/// A place among the TLS connections of the process; given back when this is dropped.
pub struct TlsSlot(Arc<ProcessState>);

impl std::fmt::Debug for TlsSlot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsSlot")
    }
}

impl TlsSlot {
    /// `None`: all are taken.
    pub fn take(shared: &Arc<Shared>) -> Option<TlsSlot> {
        let process = &shared.state.process;
        let max = process.max_tls_connections.load(Relaxed);
        process.tls_connections.increment();
        // Of the process, not of a configuration, which the connection may outlive.
        let slot = TlsSlot(Arc::clone(process));
        (max == 0 || process.tls_connections.get() <= max).then_some(slot)
    }
}

impl Drop for TlsSlot {
    fn drop(&mut self) {
        self.0.tls_connections.decrement();
    }
}

/// A listening socket registered with this thread's runtime.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Peer::Inet(peer)))
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix))
            }
        }
    }

    /// A connection that is there already.
    async fn accept_waiting(&self) -> Option<(Stream, Peer)> {
        let mut accept = std::pin::pin!(self.accept());
        std::future::poll_fn(|context| match accept.as_mut().poll(context) {
            std::task::Poll::Ready(accepted) => std::task::Poll::Ready(accepted.ok()),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }

    /// The address every connection of this listener has on our side, unless it listens on a wildcard.
    fn fixed_local(&self) -> Option<Peer> {
        match self {
            Listener::Tcp(listener) => {
                listener.local_addr().ok().filter(|address| !address.ip().is_unspecified()).map(Peer::Inet)
            }
            Listener::Unix(_) => Some(Peer::Unix),
        }
    }
}

/// Accepts connections of one listener until its frontend stops, or a reload takes its line away.
pub async fn accept_loop(endpoint: Rc<Endpoint>, listener: Listener) {
    let local = listener.fixed_local();
    let mut last: Option<Seat> = None;
    loop {
        let Some(Seat { worker, frontend, index }) = endpoint.seat() else {
            // Those who are connected already are served.
            if let Some(Seat { worker, frontend, index }) = last {
                while let Some((stream, peer)) = listener.accept_waiting().await {
                    accepted_one(&worker, stream, peer, local, frontend, index);
                }
            }
            return;
        };
        last = Some(Seat { worker: Rc::clone(&worker), frontend, index });
        match look_for_room(&worker, frontend, index).await {
            Room::Free => {}
            Room::Waited => continue,
            Room::Stopped => return,
        }
        let stopped = worker.state().proxy(frontend).frontend.room.notified();
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = stopped => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                accepted_one(&worker, stream, peer, local, frontend, index);
                if worker.state().proxy(frontend).frontend.rate_limit.load(Relaxed) > 0 {
                    // Its request makes it a session, which counts before the next one is let in.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_exhausted(&error) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
            // The client left the queue before it was accepted: its own business.
            Err(_) => {}
        }
    }
}

fn accepted_one(
    worker: &Rc<Worker>,
    stream: Stream,
    peer: Peer,
    local: Option<Peer>,
    frontend: ProxyId,
    index: u32,
) {
    let state = worker.state();
    let now = clock::now();
    let now_ms = worker.millis(now);
    state.process.connections.increment();
    state.process.connections_rate.add(now_ms);
    state.process.sessions_rate.add(now_ms);
    let front = &state.proxy(frontend).frontend;
    front.current.increment();
    if let Some(listener) = front.listeners.get(index as usize) {
        listener.current.increment();
        if listener.is_full() {
            // Other threads wait for the same line's clients: they look again before they take one.
            front.room.notify_waiters();
        }
    }
    front.connections_rate.add(now_ms);
    worker.counters.connections.add(1);
    worker.frontend_counters(frontend).connections.add(1);
    if let Some(counters) = worker.listener_counters(frontend, index) {
        counters.connections.add(1);
    }
    let dst = local.or_else(|| stream.local());
    let stream = match worker.shared.tls.listener(frontend, index as usize) {
        Some(_) => {
            // `maxsslrate` bounds handshakes, whatever becomes of them.
            state.process.tls_rate.add(now_ms);
            Stream::Tls(Box::new(TlsStream::new(stream)))
        }
        None => stream,
    };
    let id = state.process.next_session.fetch_add(1, Relaxed);
    let control = Control::new(id, frontend, Some(peer), now);
    worker.sessions.borrow_mut().insert(&control);
    let client = Client {
        worker: Rc::clone(worker),
        control: Rc::clone(&control),
        stream,
        input: Pending::new(),
        deadline: Deadline::controlled(control),
        frontend,
        listener: index,
        src: Some(peer),
        dst,
        accept: now,
        accept_wall: state.clock.wall(now),
        handshake_done: None,
        requests: 0,
        closed: false,
        private: None,
        multiplexed: None,
        prefers_last_server: false,
        upgraded: false,
        counted: false,
        trackers: None,
        proxy_header: None,
        tls: None,
        error: ConnectionError::default(),
        variables: None,
    };
    if worker.plan().model.uses.task_cost {
        let process = Arc::clone(&worker.shared.state.process);
        tokio::task::spawn_local(profile::counted(serve(client), move || process.profiles_tasks()));
    } else {
        tokio::task::spawn_local(serve(client));
    }
}

/// What a look for room found.
enum Room {
    Free,
    /// There was none, and a while has passed.
    Waited,
    Stopped,
}

/// Looks whether another connection may be taken; waits a little while the process or the frontend is full, over its rate,
/// or paused.
async fn look_for_room(worker: &Worker, frontend: ProxyId, listener: u32) -> Room {
    let state = worker.state();
    let process = &state.process;
    let front = &state.proxy(frontend).frontend;
    {
        // Registered before the conditions are looked at, so that no wake is lost.
        let front_room = front.room.notified();
        let process_room = process.room.notified();
        let status = front.status();
        if status == FrontendStatus::Stopped {
            return Room::Stopped;
        }
        let full = |now: u32, max: u32| max > 0 && now >= max;
        let frontend_full = full(front.current.get(), front.maxconn.load(Relaxed));
        let process_full = full(process.connections.get(), process.maxconn.load(Relaxed));
        let listener_full = front.listeners.get(listener as usize).is_some_and(ListenerState::is_full);
        if status == FrontendStatus::Paused || frontend_full || listener_full || process_full {
            tokio::select! {
                () = front_room => {}
                () = process_room => {}
                // A wake-up between the look and the wait costs at most this.
                () = tokio::time::sleep(EXHAUSTED_PAUSE) => {}
            }
            return Room::Waited;
        }
        let now_ms = worker.millis(clock::now());
        let over = |rate: u32, max: u32| max > 0 && rate >= max;
        let frontend_limit = front.rate_limit.load(Relaxed);
        let process_limit = process.max_connection_rate.load(Relaxed);
        let session_limit = process.max_session_rate.load(Relaxed);
        let secure = worker.shared.tls.listener(frontend, listener as usize).is_some();
        let secure_limit = state.model.global.tls.maxsslrate.filter(|_| secure).unwrap_or(0);
        if over(process.tls_rate.get(now_ms), secure_limit)
            || (frontend_limit > 0 && over(front.sessions_rate.get(now_ms), frontend_limit))
            || (process_limit > 0 && over(process.connections_rate.get(now_ms), process_limit))
            || (session_limit > 0 && over(process.sessions_rate.get(now_ms), session_limit))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
            return Room::Waited;
        }
        Room::Free
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// A socket that was opened while the process still had its privileges, not yet tied to a thread.
#[derive(Debug)]
pub enum OpenListener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl OpenListener {
    /// Ties it to the runtime of the calling thread.
    ///
    /// # Errors
    /// The descriptor cannot be watched.
    pub fn register(self) -> io::Result<Listener> {
        match self {
            OpenListener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Listener::Tcp(TcpListener::from_std(listener)?))
            }
            OpenListener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Listener::Unix(UnixListener::from_std(listener)?))
            }
        }
    }
}

impl AsFd for OpenListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            OpenListener::Tcp(listener) => listener.as_fd(),
            OpenListener::Unix(listener) => listener.as_fd(),
        }
    }
}
