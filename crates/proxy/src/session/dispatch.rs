//! From a backend to a server that has answered: persistence, balancing, the queue, connecting, retries.

use super::client::{Client, Left};
use super::exchange::{self, Failure, Stage};
use super::http1::After;
use super::multiplex::{self, Speech};
use super::reply;
use super::secure_server;
use super::tcp;
use super::trace;
use super::transaction::Transaction;
use crate::net::clock;
use crate::net::{ConnectOptions, SocketTuning, connect};
use crate::state::{BackendState, Grant, ServerState, Target};
use crate::upstream::{IdlePool, ServerConnection};
use balance::Algorithm;
use haproxy_config::model::{self, HttpReuse, ServerPort};
use rules::{Peer, ProxyId};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};

/// A retry on the same server waits this long, so that a server that restarts gets its second.
const TURN_AROUND: Duration = Duration::from_secs(1);

/// A server with one of its slots taken; the slot goes back when this is dropped.
pub struct Assigned {
    shared: Arc<crate::worker::Shared>,
    pub server: Arc<ServerState>,
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.shared.state.backend(self.server.id.proxy).release(&self.server);
    }
}

/// Why a request ends without a response of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// Status to answer; `None`: the client is gone or must see nothing.
    pub status: Option<u16>,
    pub cause: u8,
    pub phase: u8,
}

/// Serves the request from `backend`.
pub async fn dispatch(client: &mut Client, transaction: &mut Transaction, backend: ProxyId) -> After {
    let worker = std::rc::Rc::clone(&client.worker);
    let state = worker.state();
    let live = state.backend(backend);
    transaction.facts.backend = Some(backend);
    trace::set_backend(client, transaction, worker.plan().settings(backend));
    live.current.increment();
    let now_ms = worker.millis(transaction.facts.times.request_done.unwrap_or(client.accept));
    live.sessions_rate.add(now_ms);
    live.last_session_ms.store(now_ms, Relaxed);
    let counters = worker.backend_counters(backend);
    counters.sessions.add(1);
    counters.requests.add(1);
    let result = with_server(client, transaction, backend).await;
    let after = match result {
        Ok(after) => after,
        Err(abort) => aborted(client, transaction, backend, abort).await,
    };
    live.current.decrement();
    // The line shows the others: this stream has left its backend by then.
    super::log::note_counts(client, transaction);
    after
}

async fn aborted(
    client: &mut Client,
    transaction: &mut Transaction,
    backend: ProxyId,
    abort: Abort,
) -> After {
    let counters = client.worker.backend_counters(backend);
    let termination = &mut transaction.facts.termination;
    termination.cause = abort.cause;
    termination.phase = abort.phase;
    if abort.cause == b'C' || abort.cause == b'c' {
        counters.client_aborts.add(1);
    }
    match abort.status {
        Some(status) => {
            if matches!(status, 502 | 504) && abort.phase == b'H' {
                super::tracking::count(client, transaction, &super::tracking::SERVER_FAILURE);
            }
            // Whatever the request's state is, the next one starts on a fresh connection.
            transaction.client_keeps_alive &= transaction.retained_body.is_empty();
            reply::answer_error(client, transaction, status).await
        }
        None => After::Close,
    }
}

/// Finds a server, connects, and runs the exchange (or, in TCP mode, the relay); tries again as `retries`, `retry-on`
/// and `redispatch` say.
pub async fn with_server(
    client: &mut Client,
    transaction: &mut Transaction,
    backend: ProxyId,
) -> Result<After, Abort> {
    let worker = std::rc::Rc::clone(&client.worker);
    let settings = worker.plan().settings(backend);
    let live = worker.state().backend(backend);
    let mut wanted = super::choice::wanted_server(client, transaction, backend)
        .or_else(|| live.implied())
        .or_else(|| super::choice::last_server(client, settings, live));
    let mut avoid = None;
    let http = settings.mode == model::Mode::Http;
    loop {
        let assigned = assign(client, transaction, backend, wanted, avoid).await?;
        let server = Arc::clone(&assigned.server);
        transaction.facts.server = Some(server.id);
        client.control.assign(server.id);
        if let Some(answer) = super::choice::redirection(transaction, &server) {
            transaction.client_keeps_alive = false;
            return Ok(reply::answer(client, transaction, answer).await);
        }
        let failure = match connection(client, transaction, &server, settings).await {
            Ok(connection) if http => {
                client.control.phase.set(crate::registry::Phase::Waiting);
                match exchange::exchange(client, transaction, connection, &assigned).await {
                    Ok(after) => return Ok(after),
                    Err(failure) => failure,
                }
            }
            Ok(connection) => {
                tcp::relay(client, transaction, connection, backend).await;
                return Ok(After::Close);
            }
            Err(failure) => failure,
        };
        let retry = match failure {
            Failure::Abort(abort) => return Err(abort),
            Failure::Server(stage) => stage,
        };
        drop(assigned);
        let decision = retry_decision(client, transaction, settings, live, &server, wanted.is_some(), retry)?;
        match decision {
            Retry::AnotherServer => {
                let counters = worker.backend_counters(backend);
                counters.redispatches.add(1);
                worker.server_counters(server.slot).redispatches.add(1);
                transaction.facts.redispatched = true;
                if transaction.presented.direct {
                    transaction.presented.direct = false;
                    transaction.facts.termination.cookie_request = b'D';
                }
                wanted = None;
                avoid = Some(server.id.index);
            }
            Retry::SameServer { wait } => {
                worker.backend_counters(backend).retries.add(1);
                worker.server_counters(server.slot).retries.add(1);
                wanted = Some(server.id.index);
                if wait {
                    turn_around(client, settings).await?;
                }
            }
        }
    }
}

enum Retry {
    SameServer { wait: bool },
    AnotherServer,
}

/// Decides what follows a server's failure, and counts it.
fn retry_decision(
    client: &Client,
    transaction: &mut Transaction,
    settings: &model::Proxy,
    live: &BackendState,
    server: &ServerState,
    persistent: bool,
    stage: Stage,
) -> Result<Retry, Abort> {
    let worker = &client.worker;
    let backend = settings.id;
    let on = &settings.retry_on;
    let allowed = match stage {
        Stage::Connect { .. } => on.conn_failure,
        // A connection that idled too long: the server did nothing wrong and saw nothing.
        Stage::Stale => true,
        Stage::Empty => on.empty_response,
        Stage::Junk => on.junk_response,
        Stage::ResponseTimeout => on.response_timeout,
        Stage::Status(_) => true,
    };
    if stage == Stage::Stale {
        return Ok(Retry::SameServer { wait: false });
    }
    if let Some(seen) = stage.observation() {
        worker.shared.observe(server, seen);
    }
    if let Stage::Connect { .. } = stage {
        worker.server_counters(server.slot).failed_connections.add(1);
    }
    let allowed = allowed && (matches!(stage, Stage::Connect { .. }) || !transaction.no_l7_retry);
    let facts = &mut transaction.facts;
    if !allowed || facts.retries >= settings.retries {
        if let Stage::Connect { .. } = stage {
            worker.backend_counters(backend).failed_connections.add(1);
        } else {
            worker.backend_counters(backend).failed_responses.add(1);
            worker.server_counters(server.slot).failed_responses.add(1);
        }
        return Err(stage.abort());
    }
    facts.retries += 1;
    let redispatch = settings.redispatch;
    let retries = facts.retries as i32;
    let due = (redispatch > 0 && retries % redispatch == 0)
        || (redispatch < 0 && {
            let every = settings.retries as i32 + 1 + redispatch;
            every > 0 && retries % every == 0
        });
    let several = live.usable_by_role().0 > 1;
    let turns = settings.balance.algorithm.redispatches_at_once();
    if redispatch != 0 && (!server.is_usable() || due || (!persistent && several && turns)) {
        return Ok(Retry::AnotherServer);
    }
    Ok(Retry::SameServer { wait: matches!(stage, Stage::Connect { timed_out: false }) })
}

/// Waits before the same server is tried again.
async fn turn_around(client: &mut Client, settings: &model::Proxy) -> Result<(), Abort> {
    let delay = settings.timeouts.connect.map_or(TURN_AROUND, |connect| connect.min(TURN_AROUND));
    client.expect_within(Some(delay), clock::now());
    let abort = settings.options.abortonclose;
    poll_fn(|context| {
        if client.deadline.poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if client_left(client, context, abort) {
            return Poll::Ready(Err(left_status(client, b'C')));
        }
        Poll::Pending
    })
    .await
}

/// How a request ends whose client left: one of HTTP/1 may still read, of HTTP/2 the stream is gone.
fn left_status(client: &Client, phase: u8) -> Abort {
    Abort { status: (!client.stream.is_http2()).then_some(503), cause: b'C', phase }
}

/// Whether the client left while we wait for something else: it closed, if that counts (`option abortonclose`), or it has
/// reset its stream, which always does.
pub fn client_left(client: &mut Client, context: &mut std::task::Context<'_>, abort_on_close: bool) -> bool {
    (abort_on_close || client.stream.is_http2()) && client.poll_left(context) != Left::No
}

/// Takes a slot of a server: the wanted one if it is usable, else the one the algorithm picks; waits in the queue when
/// there is none.
async fn assign(
    client: &mut Client,
    transaction: &mut Transaction,
    backend: ProxyId,
    wanted: Option<u32>,
    avoid: Option<u32>,
) -> Result<Assigned, Abort> {
    let worker = std::rc::Rc::clone(&client.worker);
    let live = worker.state().backend(backend);
    let settings = worker.plan().settings(backend);
    let assigned = |server: &Arc<ServerState>| Assigned {
        shared: Arc::clone(&worker.shared),
        server: Arc::clone(server),
    };
    let started = clock::now();
    let mut wanted = wanted;
    let mut is_counted = false;
    loop {
        let queue_at = match wanted.and_then(|index| live.server(index)) {
            Some(server) if server.is_usable() || settings.options.persist => {
                if server.queued.get() == 0 && live.take_slot(server) {
                    return Ok(took(transaction, started, assigned(server)));
                }
                let maxqueue = server.settings.maxqueue;
                if maxqueue > 0 && server.queued.get() >= maxqueue {
                    // The queue is bounded so that persistence gives way to service.
                    wanted = None;
                    continue;
                }
                Some(Arc::clone(server))
            }
            Some(_) | None => {
                let key = super::balancing::key(client, transaction, settings);
                if key.is_none() && matches!(settings.balance.algorithm, Algorithm::Hash(_)) && !is_counted {
                    is_counted = true;
                    live.keyless.fetch_add(1, Relaxed);
                }
                match live.pick(key, avoid) {
                    Some(server) => {
                        if live.take_slot(server) {
                            worker.backend_counters(backend).balanced.add(1);
                            worker.server_counters(server.slot).balanced.add(1);
                            return Ok(took(transaction, started, assigned(server)));
                        }
                        // Full, but its hash says that it must be this one.
                        Some(Arc::clone(server))
                    }
                    None if live.usable() == 0 => {
                        return Err(Abort { status: Some(503), cause: b'S', phase: b'C' });
                    }
                    None => None,
                }
            }
        };
        match wait_in_queue(client, transaction, live, settings, queue_at.as_ref()).await? {
            Grant::Server(index) => {
                let server = live.server(index).expect("a queue grants only servers that exist");
                return Ok(took(transaction, started, assigned(server)));
            }
            Grant::Retry => wanted = None,
        }
    }
}

fn took(transaction: &mut Transaction, started: Instant, assigned: Assigned) -> Assigned {
    transaction.facts.times.queue_done.get_or_insert(started);
    assigned
}

/// Waits for a slot of `server`, or of any.
async fn wait_in_queue(
    client: &mut Client,
    transaction: &mut Transaction,
    live: &BackendState,
    settings: &model::Proxy,
    server: Option<&Arc<ServerState>>,
) -> Result<Grant, Abort> {
    let now = clock::now();
    let due = client.worker.millis(now) as i64;
    let waiting = server.map_or(&live.queued, |server| &server.queued);
    waiting.increment();
    if let (Some(server), true) = (server, live.tracks_load()) {
        live.report_load(server);
    }
    let ticket = live.queues.enter(server.map(|server| server.id.index), 0, due);
    match server {
        Some(_) => transaction.facts.server_queue += ticket.position + 1,
        None => transaction.facts.backend_queue += ticket.position + 1,
    }
    // A slot may have become free between the look and the entry.
    match server {
        Some(server) => live.serve_queues(server),
        None => live.servers().for_each(|server| live.serve_queues(server)),
    }
    client.expect_within(client.worker.plan().proxy(settings.id).timeouts.queue, now);
    let abort = settings.options.abortonclose;
    let result = poll_fn(|context| {
        if let Poll::Ready(grant) = ticket.waiter.poll(context) {
            return Poll::Ready(Ok(grant));
        }
        if client_left(client, context, abort) {
            return Poll::Ready(Err(left_status(client, b'Q')));
        }
        client.deadline.poll(context).map(|()| Err(Abort { status: Some(503), cause: b's', phase: b'Q' }))
    })
    .await;
    if result.is_err()
        && let Some(Grant::Server(index)) = live.queues.leave(&ticket)
        && let Some(server) = live.server(index)
    {
        live.release(server);
    }
    waiting.decrement();
    transaction.facts.times.queue_done = Some(clock::now());
    result
}

/// A connection to `server`: an idle one where reuse allows it, else a new one.
async fn connection(
    client: &mut Client,
    transaction: &mut Transaction,
    server: &Arc<ServerState>,
    settings: &model::Proxy,
) -> Result<Box<ServerConnection>, Failure> {
    let speech = multiplex::speech(transaction, server, settings);
    match speech {
        Speech::Http1 => {}
        Speech::Http2 => return multiplex::connection(client, transaction, server, settings).await,
        Speech::Either => {
            if let Some(connection) = multiplex::join(client, transaction, server, settings).await {
                return Ok(connection);
            }
        }
    }
    let worker = std::rc::Rc::clone(&client.worker);
    let name = secure_server::name(client, transaction, server);
    if let Some(mut private) = client.private.take()
        && private.server.slot == server.slot
        && private.name == name
        && poll_fn(|context| Poll::Ready(private.stream.is_quiet(context))).await
    {
        reused(client, transaction, server);
        return Ok(private);
    }
    if may_share(client, server, settings)
        && let Some(connection) = IdlePool::take(&worker.idle, server, name.as_deref()).await
    {
        reused(client, transaction, server);
        return Ok(connection);
    }
    // Boxed: rare beside reuse, and large with its TLS.
    let opened = Box::pin(open(client, transaction, server, settings, name, speech)).await?;
    if speech == Speech::Either && opened.stream.alpn() == Some(b"h2") {
        return multiplex::over(client, transaction, settings, opened).await;
    }
    Ok(opened)
}

/// Whether this request may go over a connection that another client opened.
pub fn may_share(client: &Client, server: &ServerState, settings: &model::Proxy) -> bool {
    is_shareable(server)
        && match settings.http_reuse {
            HttpReuse::Never => false,
            // The first request of a client goes over a fresh connection: if that breaks, it is not our reuse. A client
            // of HTTP/2 sends its request again by itself.
            HttpReuse::Safe => client.requests > 0 || client.stream.is_http2(),
            HttpReuse::Aggressive | HttpReuse::Always => true,
        }
}

/// Counts that a request goes over a connection that was there.
pub fn reused(client: &Client, transaction: &mut Transaction, server: &ServerState) {
    client.worker.backend_counters(server.id.proxy).reused.add(1);
    client.worker.server_counters(server.slot).reused.add(1);
    let times = &mut transaction.facts.times;
    times.connected = times.queue_done;
}

/// Connections that carry something of one client cannot serve another.
pub fn is_shareable(server: &ServerState) -> bool {
    let settings = &server.settings;
    settings.send_proxy.is_none()
        && settings.source.as_ref().is_none_or(|source| !source.use_client_ip)
        && matches!(settings.port, ServerPort::Fixed)
}

/// Where `server` is for this client: a relative port follows the client's.
pub fn target_of(server: &ServerState, dst: Option<Peer>) -> Option<Target> {
    let target = server.target.read().clone()?;
    // The unspecified address is the one that the client meant, or that `set-dst` made of it.
    let target = match (target, dst) {
        (Target::Inet(address), Some(Peer::Inet(dst))) if address.ip().is_unspecified() => {
            Target::Inet(SocketAddr::new(dst.ip(), address.port()))
        }
        (target, _) => target,
    };
    match (target, server.settings.port, dst) {
        // A port that came later (an SRV record, the runtime API) is meant as it is.
        (Target::Inet(mut address), ServerPort::Relative(offset), Some(Peer::Inet(dst)))
            if address.port() == 0 =>
        {
            address.set_port((i32::from(dst.port()) + offset) as u16);
            Some(Target::Inet(address))
        }
        (target, ServerPort::Fixed | ServerPort::Relative(_), _) => Some(target),
    }
}

/// Opens a connection within `timeout connect`.
pub async fn open(
    client: &mut Client,
    transaction: &mut Transaction,
    server: &Arc<ServerState>,
    settings: &model::Proxy,
    name: Option<Box<str>>,
    speech: Speech,
) -> Result<Box<ServerConnection>, Failure> {
    let worker = std::rc::Rc::clone(&client.worker);
    worker.backend_counters(settings.id).connects.add(1);
    worker.server_counters(server.slot).connects.add(1);
    let Some(target) = target_of(server, transaction.facts.dst) else {
        return Err(Failure::Server(Stage::Connect { timed_out: false }));
    };
    // Where it goes is known also when nobody is there; from where is not yet.
    if let Target::Inet(address) = target {
        let ours =
            if address.is_ipv4() { [0, 0, 0, 0].into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
        transaction.facts.server_dst = Some(Peer::Inet(address));
        transaction.facts.server_src = Some(Peer::Inet(SocketAddr::new(ours, 0)));
    }
    let tune = &worker.plan().model.global.tune;
    let has_data = settings.mode == model::Mode::Http || !client.input.is_empty();
    let options = ConnectOptions {
        source: server.settings.source.as_ref().or(settings.source.as_ref()),
        client: transaction.facts.src,
        tuning: SocketTuning {
            keepalive: settings.options.srvtcpka.then_some(settings.server_keepalive),
            receive_buffer: tune.rcvbuf_server,
            send_buffer: tune.sndbuf_server,
            mss: server.settings.mss,
            user_timeout_ms: server.settings.tcp_user_timeout_ms,
            delayed_ack: settings.options.tcp_smart_connect && has_data,
        },
        fast_open: server.settings.tfo && has_data,
        no_linger: settings.options.nolinger,
        socks4: server.settings.socks4,
        namespace: server.settings.namespace.as_deref().map(|name| (&worker.shared.namespaces, name)),
    };
    let now = clock::now();
    client.expect_within(worker.plan().proxy(settings.id).timeouts.connect, now);
    let abort = settings.options.abortonclose;
    let mut connecting = pin!(connect(&target, options));
    let result = poll_fn(|context| {
        if let Poll::Ready(result) = connecting.as_mut().poll(context) {
            return Poll::Ready(result.map_err(|error| {
                // No descriptor or no port left: ours, not the server's.
                if error.kind() == io::ErrorKind::AddrNotAvailable || is_resource(&error) {
                    Failure::Abort(Abort { status: Some(503), cause: b'R', phase: b'C' })
                } else {
                    Failure::Server(Stage::Connect { timed_out: false })
                }
            }));
        }
        if client_left(client, context, abort) {
            return Poll::Ready(Err(Failure::Abort(left_status(client, b'C'))));
        }
        client.deadline.poll(context).map(|()| Err(Failure::Server(Stage::Connect { timed_out: true })))
    })
    .await;
    let mut stream = result?;
    let mut facts = None;
    let connector = secure_server::connector(client, server);
    if let Some(connector) = &connector {
        let mut greeting = Vec::new();
        super::proxy_header::write(transaction, &server.settings, &mut greeting);
        let (name, alpn) = (name.as_deref(), multiplex::alpn(server, settings, speech));
        let (greeting, alpn) = (&greeting[..], alpn.as_deref());
        let secured =
            secure_server::connect(client, transaction, stream, connector, name, greeting, alpn, abort)
                .await?;
        (stream, facts) = (secured.0, Some(Arc::new(secured.1)));
    }
    worker.shared.observe(server, checks::Observation::L4Ok);
    transaction.facts.times.connected = Some(clock::now());
    let peer = match &target {
        Target::Inet(address) => Some(Peer::Inet(*address)),
        Target::Unix(_) | Target::Abstract(_) => Some(Peer::Unix),
    };
    let mut connection = ServerConnection::new(stream, Arc::clone(server), peer);
    connection.local = connection.stream.local();
    connection.announced = connector.is_some();
    (connection.tls, connection.name) = (facts, name);
    Ok(connection)
}

fn is_resource(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
