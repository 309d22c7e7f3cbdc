//! HTTP/1 with the client: waits for requests, hands each to routing and dispatch, and decides whether the connection
//! lives on.

use super::client::{Client, Filled};
use super::transaction::Transaction;
use super::{dispatch, log, reply, route, trace, tracking};
use crate::net::buffers;
use crate::net::clock;
use crate::registry::Phase;
use crate::state::errors::{Capture, Way};
use haproxy_config::model::Protocol;
use http::{ParseError, Parsed};
use rules::WallTime;
use std::future::poll_fn;
use std::task::Poll;

/// Bytes read at once while a head is expected.
const HEAD_READ: usize = 16 * 1024;

/// What happens to the client connection after a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    KeepAlive,
    Close,
    /// The client may still be sending: see [`linger`].
    Linger,
}

/// How HTTP/1 ended on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    Over,
    /// The client began with the preface of HTTP/2, which is in `input`.
    Http2,
}

/// What came instead of, or as, the next request.
enum Next {
    Request(Box<Transaction>),
    /// The connection is over.
    Over,
    Http2,
    /// Another configuration is in force: the request belongs to it.
    Elsewhere,
}

/// Serves requests until the connection ends.
pub async fn serve(client: &mut Client) -> Served {
    loop {
        let mut transaction = match next_request(client).await {
            Next::Request(transaction) => transaction,
            Next::Over => return Served::Over,
            Next::Http2 => return Served::Http2,
            Next::Elsewhere if client.follow() => continue,
            // Its frontend is gone.
            Next::Elsewhere => return Served::Over,
        };
        // Boxed so that an idle connection's future stays small.
        let after = Box::pin(run(client, &mut transaction)).await;
        Transaction::give(transaction);
        client.requests += 1;
        match after {
            After::KeepAlive if !client.worker.state().is_closing() => client.control.phase.set(Phase::Idle),
            After::KeepAlive | After::Close => return Served::Over,
            After::Linger => {
                linger(client).await;
                return Served::Over;
            }
        }
    }
}

/// Runs one transaction to its log line.
pub(super) async fn run(client: &mut Client, transaction: &mut Transaction) -> After {
    let after = match route::route(client, transaction).await {
        route::Route::Backend(backend) => dispatch::dispatch(client, transaction, backend).await,
        route::Route::Answered(after) => after,
    };
    log::end(client, transaction);
    after
}

/// Why no request came.
enum NoRequest {
    /// The client closed before it sent anything, or between requests.
    Closed,
    Failed,
    TimedOut,
    Malformed(ParseError),
    Elsewhere,
}

/// Waits for the head of the next request. When the connection is over, whatever had to be said to the client or the log
/// was said.
async fn next_request(client: &mut Client) -> Next {
    let worker = std::rc::Rc::clone(&client.worker);
    let plan = worker.plan().proxy(client.frontend);
    let first = client.requests == 0;
    let started_waiting = clock::now();
    let wait = if first { plan.timeouts.http_request } else { plan.timeouts.http_keep_alive };
    client.expect_within(wait, started_waiting);
    let mut transaction: Option<Box<Transaction>> = None;
    let result = poll_fn(|context| {
        if worker.is_retired() && transaction.is_none() {
            return Poll::Ready(Err(NoRequest::Elsewhere));
        }
        loop {
            if !client.input.is_empty() || transaction.is_some() {
                let begun = transaction.get_or_insert_with(|| begin(client));
                match http::parse_request(client.input.bytes(), &plan.request_limits, &mut begun.request) {
                    Ok(Parsed::Complete { consumed }) => {
                        client.input.consume(consumed);
                        // It came in pieces, so its end is later than its beginning.
                        begun.facts.times.request_done = Some(clock::now());
                        return Poll::Ready(Ok(()));
                    }
                    Ok(Parsed::Partial) if client.closed => return Poll::Ready(Err(NoRequest::Closed)),
                    Ok(Parsed::Partial) => {}
                    Err(error) => return Poll::Ready(Err(NoRequest::Malformed(error))),
                }
            }
            // Straight from the scratch buffer when the whole head came in one piece: the usual case.
            let polled = buffers::with_scratch(|scratch| {
                match client.stream.poll_read(context, &mut scratch[..HEAD_READ]) {
                    Poll::Ready(Ok(0)) => Poll::Ready(Err(NoRequest::Closed)),
                    Poll::Ready(Err(_)) => Poll::Ready(Err(NoRequest::Failed)),
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(count)) => {
                        let fresh = transaction.is_none();
                        let begun = transaction.get_or_insert_with(|| begin(client));
                        if !fresh {
                            client.input.push(&scratch[..count]);
                            return Poll::Ready(Ok(false));
                        }
                        let bytes = &scratch[..count];
                        match http::parse_request(bytes, &plan.request_limits, &mut begun.request) {
                            Ok(Parsed::Complete { consumed }) => {
                                client.input.push(&bytes[consumed..]);
                                Poll::Ready(Ok(true))
                            }
                            Ok(Parsed::Partial) => {
                                client.input.push(bytes);
                                // From the first byte on it is `timeout http-request` that counts.
                                let now = begun.facts.times.request_start.unwrap_or(started_waiting);
                                let from = if first { started_waiting } else { now };
                                client.deadline.set(plan.timeouts.http_request.map(|timeout| from + timeout));
                                Poll::Ready(Ok(false))
                            }
                            Err(error) => {
                                client.input.push(bytes);
                                Poll::Ready(Err(NoRequest::Malformed(error)))
                            }
                        }
                    }
                }
            });
            match polled {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(reason)) => {
                    client.closed |= matches!(reason, NoRequest::Closed | NoRequest::Failed);
                    return Poll::Ready(Err(reason));
                }
                Poll::Pending => {
                    return client.deadline.poll(context).map(|()| Err(NoRequest::TimedOut));
                }
            }
        }
    })
    .await;
    match result {
        Ok(()) => {
            let mut transaction = transaction.expect("a parsed head has a transaction");
            arrived(client, &mut transaction);
            Next::Request(transaction)
        }
        // Only looked at here, where HTTP/1 has failed: it costs nothing where it has not.
        Err(NoRequest::Malformed(_)) if first && speaks_http2(client) => {
            transaction.into_iter().for_each(Transaction::give);
            Next::Http2
        }
        Err(NoRequest::Elsewhere) => Next::Elsewhere,
        Err(reason) => {
            no_request(client, transaction, reason).await;
            Next::Over
        }
    }
}

/// Whether the client, with prior knowledge, begins with HTTP/2.
fn speaks_http2(client: &Client) -> bool {
    let settings = client.worker.plan().settings(client.frontend);
    settings.binds[client.listener as usize].protocol != Protocol::Http1
        && http::is_http2_preface(client.input.bytes())
}

/// The first byte of a request is here.
pub(super) fn begin(client: &mut Client) -> Box<Transaction> {
    client.control.begin_request();
    let mut transaction = client.begin();
    let now = clock::now();
    let times = &mut transaction.facts.times;
    times.request_start = Some(now);
    times.request_start_wall = client.worker.state().clock.wall(now);
    transaction
}

/// The head of a request is complete.
pub(super) fn arrived(client: &mut Client, transaction: &mut Transaction) {
    let worker = &client.worker;
    let state = worker.state();
    let now = transaction.facts.times.request_start.unwrap_or(client.accept);
    let done = *transaction.facts.times.request_done.get_or_insert(now);
    transaction.client_keeps_alive = transaction.request.keeps_alive();
    transaction.facts.bytes_in += super::counted_head(&transaction.request);
    transaction.facts.id = state.process.next_stream.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
    if worker.plan().settings(client.frontend).options.http_use_proxy_header {
        let starts = transaction.request.uri().first();
        transaction.facts.via_proxy = !matches!(starts, None | Some(b'/' | b'*'));
    }
    let now_ms = worker.millis(done);
    let front = &state.proxy(client.frontend).frontend;
    let counters = worker.frontend_counters(client.frontend);
    counters.requests.add(1);
    worker.counters.requests.add(1);
    front.requests_rate.add(now_ms);
    if client.requests == 0 {
        session_begins(client, now_ms);
    }
    if !client.input.is_empty() {
        super::body::decode(client, transaction);
    }
    log::capture_request(client, transaction);
    trace::begin(client, transaction);
    tracking::count_on_connection(client, &tracking::REQUEST);
}

/// The first request (or connection in TCP mode) makes a session.
pub fn session_begins(client: &mut Client, now_ms: u64) {
    if std::mem::replace(&mut client.counted, true) {
        return;
    }
    let state = client.worker.state();
    client.worker.frontend_counters(client.frontend).sessions.add(1);
    state.proxy(client.frontend).frontend.sessions_rate.add(now_ms);
    log::connection(client);
}

/// Answers and logs what there is to say when no request came.
async fn no_request(client: &mut Client, transaction: Option<Box<Transaction>>, reason: NoRequest) {
    let worker = std::rc::Rc::clone(&client.worker);
    let settings = worker.plan().settings(client.frontend);
    let started = transaction.is_some();
    if !started {
        let idle = client.requests > 0;
        let silent = idle || settings.options.http_ignore_probes;
        match reason {
            NoRequest::Closed | NoRequest::Failed | NoRequest::TimedOut if silent => return,
            NoRequest::Closed | NoRequest::Failed if settings.options.dontlognull => return,
            NoRequest::Closed | NoRequest::Failed | NoRequest::TimedOut => {}
            NoRequest::Malformed(_) | NoRequest::Elsewhere => {}
        }
    }
    let mut transaction = transaction.unwrap_or_else(|| {
        let mut empty = client.begin();
        empty.facts.times.request_start_wall =
            if client.requests == 0 { client.accept_wall } else { WallTime::default() };
        empty
    });
    let now_ms = worker.millis(clock::now());
    session_begins(client, now_ms);
    let counters = worker.frontend_counters(client.frontend);
    counters.requests.add(u64::from(started));
    counters.failed_requests.add(1);
    client.count_at_listener(|counters| &counters.failed_requests, 1);
    let facts = &mut transaction.facts;
    facts.termination.phase = b'R';
    let status = match reason {
        NoRequest::Closed | NoRequest::Failed => {
            facts.termination.cause = b'C';
            400
        }
        NoRequest::TimedOut | NoRequest::Elsewhere => {
            facts.termination.cause = b'c';
            408
        }
        NoRequest::Malformed(error) => {
            worker.state().captures.keep(Capture {
                way: Way::Request,
                when: worker.state().clock.wall(clock::now()),
                frontend: client.frontend,
                server: None,
                src: client.src,
                number: 0,
                bytes: client.input.bytes().into(),
                error,
            });
            facts.termination.cause = b'P';
            error.status()
        }
    };
    facts.status = status;
    if started {
        tracking::count_on_connection(client, &tracking::REQUEST);
    }
    if let NoRequest::Malformed(_) = reason {
        tracking::count_on_connection(client, &tracking::CLIENT_ERROR);
    }
    client.input.clear();
    // A client that closed its side may still read; one that is gone costs a failed write.
    reply::send_raw_error(client, &mut transaction, status).await;
    log::end(client, &mut transaction);
    Transaction::give(transaction);
    linger(client).await;
}

/// Closes so that the client still gets what was sent: FIN first, then what it still sends is read and dropped for a
/// moment, since a close with unread bytes would send RST and destroy the response on its way.
async fn linger(client: &mut Client) {
    if client.closed {
        return;
    }
    client.stream.shutdown_write();
    let plan = client.worker.plan().proxy(client.frontend);
    let limit = std::time::Duration::from_secs(1);
    let timeout =
        plan.timeouts.client_fin.or(plan.timeouts.client).map_or(limit, |timeout| timeout.min(limit));
    client.expect_within(Some(timeout), clock::now());
    let mut left = DRAIN_MAX;
    while left > 0 {
        let filled = poll_fn(|context| client.poll_fill(context, HEAD_READ)).await;
        left = left.saturating_sub(client.input.len());
        client.input.clear();
        match filled {
            Filled::Bytes => {}
            Filled::Closed | Filled::Failed(_) | Filled::TimedOut => return,
        }
    }
}

/// Bytes read and dropped from a client whose response is complete.
const DRAIN_MAX: usize = 1 << 20;
