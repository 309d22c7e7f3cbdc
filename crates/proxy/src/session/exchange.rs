//! A request to a server and its response: both heads, both bodies at the same time, both timeouts.

use super::activity::{Activity, Expired};
use super::client::{Client, Left};
use super::compress;
use super::dispatch::{Abort, Assigned, is_shareable};
use super::flow::{Flow, FlowError};
use super::http1::After;
use super::log;
use super::persist;
use super::reply;
use super::response_body::{Arriving, body_here};
use super::rules::Outcome;
use super::spelling;
use super::trace::{self, TracedBody};
use super::transaction::{RequestBody, Transaction};
use super::tunnel::{self, HalfClosed};
use crate::http2::{HeadError, SendError};
use crate::net::buffers;
use crate::net::clock;
use crate::state::errors::{Capture, Way};
use crate::upstream::ServerConnection;
use haproxy_config::model::{self, HttpConnection, HttpReuse};
use http::{Framing, ParseError, Parsed, Version};
use rules::Direction;
use std::future::poll_fn;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

/// Bytes read at once while a head is expected: small responses fit, of bulk ones little has to be copied.
const HEAD_READ: usize = 16 * 1024;

/// A body that is kept for another attempt is at most this long.
const RETAINED_MAX: usize = 16 * 1024;

/// Where a server failed a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Connect {
        timed_out: bool,
    },
    /// A reused connection was closed before any byte of the response.
    Stale,
    /// Closed or reset before any byte of the response.
    Empty,
    /// What it answered is not HTTP.
    Junk,
    ResponseTimeout,
    /// A status that `retry-on` names.
    Status(u16),
}

impl Stage {
    /// What `observe` makes of it. A stale connection is nobody's fault; a status was told when it came.
    pub fn observation(self) -> Option<checks::Observation> {
        match self {
            Stage::Connect { .. } => Some(checks::Observation::L4Error),
            Stage::Empty => Some(checks::Observation::HttpBrokenPipe),
            Stage::Junk => Some(checks::Observation::HttpResponse),
            Stage::ResponseTimeout => Some(checks::Observation::HttpReadTimeout),
            Stage::Stale | Stage::Status(_) => None,
        }
    }

    /// What the client and the log get when there is no further attempt.
    pub fn abort(self) -> Abort {
        let (status, cause, phase) = match self {
            Stage::Connect { timed_out: false } => (503, b'S', b'C'),
            Stage::Connect { timed_out: true } => (503, b's', b'C'),
            Stage::Stale | Stage::Empty => (502, b'S', b'H'),
            Stage::Junk => (502, b'P', b'H'),
            Stage::ResponseTimeout => (504, b's', b'H'),
            Stage::Status(_) => (502, b'S', b'H'),
        };
        Abort { status: Some(status), cause, phase }
    }
}

/// Why an exchange did not come to its response.
#[derive(Debug)]
pub enum Failure {
    /// Another attempt may help.
    Server(Stage),
    /// It would not.
    Abort(Abort),
}

/// Sends the request over `connection` and the response to the client.
pub async fn exchange(
    client: &mut Client,
    transaction: &mut Transaction,
    mut connection: Box<ServerConnection>,
    assigned: &Assigned,
) -> Result<After, Failure> {
    let worker = std::rc::Rc::clone(&client.worker);
    let server = &assigned.server;
    let settings = worker.plan().settings(server.id.proxy);
    let front = worker.plan().settings(client.frontend);
    let timeouts = &worker.plan().proxy(server.id.proxy).timeouts;
    let connected = transaction.facts.times.connected.unwrap_or(client.accept);
    let sides = (worker.plan().proxy(client.frontend).timeouts.client, timeouts.server);
    let mut activity = Activity::new(connected, sides, front, settings, server.slot);
    let now_ms = worker.millis(connected);
    worker.server_counters(server.slot).sessions.add(1);
    worker.server_counters(server.slot).requests.add(1);
    server.sessions_rate.add(now_ms);
    server.last_session_ms.store(now_ms, Relaxed);
    transaction.facts.server_dst = connection.peer;
    transaction.facts.server_src = connection.local;
    transaction.facts.server_tls = connection.tls.clone();

    // The whole request that is here already, in one write.
    let framing = transaction.request.request_framing();
    let mut up = Flow::between(framing, &client.stream, &connection.stream, true);
    let fresh = !connection.is_reused();
    if fresh && !connection.announced && !connection.stream.is_http2() {
        super::proxy_header::write(transaction, &server.settings, up.pending.buffer());
    }
    persist::prepare_request(transaction, settings);
    transaction.request.filter_te();
    if let Some(name) = &settings.http_send_name_header {
        transaction.request.set(name.as_bytes(), server.name().as_bytes());
    }
    let coded = transaction.request_compression.and_then(|algorithm| {
        compress::begin_request(client, &transaction.request, framing, settings, algorithm)
    });
    let coded_head = coded.map(|(head, compressor)| {
        up.compress(compressor);
        head
    });
    let head = coded_head.as_ref().unwrap_or(&transaction.request);
    if let Some(tracer) = transaction.tracer.as_ref().filter(|_| transaction.facts.retries == 0) {
        trace::head(transaction, head, Direction::Request);
        up.copy(|copies| copies.traced = Some(TracedBody::new(tracer, Direction::Request)));
    }
    if !connection.stream.is_http2() {
        let start = up.pending.len();
        head.write_http1(up.is_chunked(), up.pending.buffer());
        if settings.options.h1_case_adjust_bogus_server {
            spelling::adjust(&worker.plan().model.global.h1_case_adjust, &mut up.pending.buffer()[start..]);
        }
    }
    let head_length = up.pending.len();
    transaction.body = RequestBody::Taken;
    if transaction.retained_body.is_empty() {
        take_buffered_body(client, &mut up).map_err(|error| request_failed(error, b'H', false))?;
        transaction.retained_chunked = up.is_chunked();
        if up.is_read() && up.pending.len() - head_length <= RETAINED_MAX {
            let (retained, pending) = (&mut transaction.retained_body, &up.pending);
            retained.extend_from_slice(&pending.bytes()[head_length..]);
        }
    } else {
        let body = std::mem::take(&mut transaction.retained_body);
        up.replay(&body, transaction.retained_chunked).map_err(|error| request_failed(error, b'H', false))?;
        transaction.retained_body = body;
    }
    up.limit(std::mem::take(&mut transaction.upload_limits));
    // Only what is complete here can be sent a second time.
    let repeatable = up.is_read() && up.pending.len() - head_length <= RETAINED_MAX;
    if let Some(stream) = connection.stream.as_http2() {
        let ends = up.is_done();
        stream.send_request(coded_head.as_ref().unwrap_or(&transaction.request), ends).map_err(|error| {
            match error {
                SendError::Closed if !fresh => Failure::Server(Stage::Stale),
                SendError::Closed => Failure::Server(Stage::Empty),
                SendError::Unsendable => {
                    Failure::Abort(Abort { status: Some(400), cause: b'P', phase: b'H' })
                }
            }
        })?;
    }

    let limits = worker.plan().proxy(server.id.proxy).response_limits;
    loop {
        let waited = response_head(
            client,
            transaction,
            &mut connection,
            &mut up,
            &mut activity,
            &limits,
            settings.options.abortonclose,
        )
        .await;
        let now = clock::now();
        activity.server = now;
        transaction.facts.bytes_in += std::mem::take(&mut up.data);
        if let Err(failed) = waited {
            return Err(classify(failed, transaction, &connection, repeatable));
        }
        let status = transaction.response.status();
        if (100..200).contains(&status) && status != 101 {
            let interim = std::mem::take(&mut transaction.response);
            reply::send_interim(client, transaction, &interim).await;
            transaction.response = interim;
            continue;
        }
        transaction.facts.times.response_done = Some(now);
        break;
    }
    let status = transaction.response.status();
    worker.shared.observe(server, checks::Observation::of_status(status));
    if repeatable
        && transaction.facts.retries < settings.retries
        && settings.retry_on.statuses.contains(&status)
    {
        return Err(Failure::Server(Stage::Status(status)));
    }
    let asked = transaction.request.upgrade().is_some();
    if status == 101 && !transaction.response.is_valid_switch(asked) {
        return Err(Failure::Abort(Stage::Junk.abort()));
    }
    super::tracking::count_status(client, transaction, status);
    log::count_answer(client, server, status);
    transaction.facts.status = status;
    transaction.facts.response_version = Some(transaction.response.version());
    let head_counted = super::counted_head(&transaction.response);

    if authenticates_connection(&transaction.response) {
        connection.is_private = true;
        client.prefers_last_server = true;
    }
    let method = transaction.request.method_kind();
    let framing = transaction.response.response_framing(method);
    let tunnels = status == 101 || (method == http::Method::Connect && (200..300).contains(&status));
    let old_client = transaction.request.version() == Version::Http10;
    // What follows a switch of protocols is no body: it goes as it comes.
    let chunks = !old_client && !tunnels;
    let mut down = Flow::between(framing, &connection.stream, &client.stream, chunks);
    let mode = connection_mode(front, settings);
    let server_lives = framing != Framing::UntilClose
        && !connection.stream.is_http2()
        && mode == HttpConnection::KeepAlive
        && transaction.response.keeps_alive();
    let ends_by_itself = framing != Framing::UntilClose || down.is_chunked() || client.stream.is_http2();
    let client_lives = ends_by_itself
        && mode != HttpConnection::Close
        && transaction.client_keeps_alive
        && !transaction.response.must_close()
        && !worker.state().is_closing();
    if up.is_done() {
        transaction.body = RequestBody::Sent;
    }
    let arriving = Arriving { connection: &mut connection, up: &mut up, framing };
    match super::response::process(client, transaction, settings, server, arriving).await {
        Outcome::Next => {}
        outcome @ (Outcome::Answer(_) | Outcome::Error(_)) => {
            // What the server sent counts too, and its response time does not.
            if transaction.facts.termination.cause != b'S' {
                transaction.facts.bytes_out += head_counted + body_here(framing, connection.input.bytes());
            }
            if matches!(outcome, Outcome::Answer(_)) && transaction.facts.termination.cause == b'L' {
                transaction.facts.termination.phase = b'H';
            }
            transaction.facts.times.response_done = None;
            return Ok(match outcome {
                Outcome::Answer(answer) => reply::answer(client, transaction, answer).await,
                Outcome::Error(status) => reply::answer_error(client, transaction, status).await,
                Outcome::Next | Outcome::Close => After::Close,
            });
        }
        Outcome::Close => {
            // Unless rules of TCP refused it, the server's answer counts as if it had gone out.
            if transaction.facts.status != 0 {
                log::count_response(client, transaction, status);
                transaction.facts.bytes_out += head_counted + body_here(framing, connection.input.bytes());
            }
            return Ok(After::Close);
        }
    }
    // Rules may have changed it: lines tell what the client got.
    transaction.facts.status = transaction.response.status();
    transaction.response.strip_connection_tokens();
    if !tunnels {
        transaction.response.set_response_connection(client_lives, transaction.request.version());
    }
    log::count_response(client, transaction, status);
    // A stream of HTTP/2 has an end of its own.
    let delimited = if connection.stream.is_http2() && framing == Framing::UntilClose {
        Framing::Chunked
    } else {
        framing
    };
    if !tunnels && let Some(compressor) = compress::response(client, transaction, delimited, settings) {
        down.compress(compressor);
    }
    if let Some(fill) = transaction.cache_fill.take().filter(|_| !tunnels) {
        down.copy(|copies| copies.fill = Some(fill));
    }
    if let Some(tracer) = &transaction.tracer {
        trace::head(transaction, &transaction.response, Direction::Response);
        down.copy(|copies| copies.traced = Some(TracedBody::new(tracer, Direction::Response)));
    }
    if !client.stream.is_http2() {
        transaction.response.write_http1(down.is_chunked(), down.pending.buffer());
        if front.options.h1_case_adjust_bogus_client {
            spelling::adjust(&worker.plan().model.global.h1_case_adjust, down.pending.buffer());
        }
    }
    if !connection.input.is_empty() {
        match down.take(connection.input.bytes()) {
            Ok(used) => connection.input.consume(used),
            Err(_) => return Err(Failure::Abort(Stage::Junk.abort())),
        }
    }
    down.limit(std::mem::take(&mut transaction.download_limits));
    down.notice_end(&connection.stream);
    if let Some(stream) = client.stream.as_http2() {
        let ends = !tunnels && down.is_finished();
        stream.send_response(&transaction.response, ends).map_err(|error| {
            Failure::Abort(match error {
                SendError::Closed => Abort { status: None, cause: b'C', phase: b'D' },
                SendError::Unsendable => Stage::Junk.abort(),
            })
        })?;
    }
    transaction.facts.bytes_out += head_counted + down.data;
    log::as_soon_as_possible(client, transaction);
    transaction.facts.bytes_out -= down.data;
    activity.client = transaction.facts.times.response_done.unwrap_or(connected);

    let ended = if tunnels {
        up.start_tunnel();
        activity.client_timeout = timeouts.tunnel.or(activity.client_timeout);
        activity.server_timeout = timeouts.tunnel.or(activity.server_timeout);
        let fins = HalfClosed {
            client_fin: worker.plan().proxy(client.frontend).timeouts.client_fin,
            server_fin: timeouts.server_fin,
        };
        tunnel::tunnel(client, &mut connection, &mut up, &mut down, &mut activity, fins, None).await
    } else {
        bodies(client, &mut connection, &mut up, &mut down, &mut activity, client_lives).await
    };
    transaction.counted = activity.counted();
    let facts = &mut transaction.facts;
    facts.bytes_in += up.data;
    // What was written of the body; framing is not counted.
    let framing_or_unsent = if down.is_done() { 0 } else { down.unsent() as u64 };
    facts.bytes_out += down.data.saturating_sub(framing_or_unsent);
    if let Err(end) = ended {
        let (cause, phase) = end.letters();
        facts.termination.cause = cause;
        facts.termination.phase = phase;
        let backend = worker.backend_counters(server.id.proxy);
        if cause == b'C' || cause == b'c' {
            backend.client_aborts.add(1);
            worker.server_counters(server.slot).client_aborts.add(1);
        } else {
            backend.server_aborts.add(1);
            worker.server_counters(server.slot).server_aborts.add(1);
        }
        return Ok(After::Close);
    }
    connection.responses += 1;
    let clean = up.is_done() && connection.input.is_empty();
    if server_lives && clean {
        keep(client, connection, settings);
    }
    Ok(match (client_lives, up.is_done()) {
        (true, true) => After::KeepAlive,
        (false, true) => After::Close,
        (_, false) => After::Linger,
    })
}

/// Whether what the server asks for makes the connection itself a user's: nobody else may ever send over it.
fn authenticates_connection(response: &http::Head) -> bool {
    let field: &[u8] = match response.status() {
        401 => b"www-authenticate",
        407 => b"proxy-authenticate",
        _ => return false,
    };
    let starts = |value: &[u8], name: &[u8]| {
        value.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    response.lines(field).any(|value| starts(value, b"negotiate") || starts(value, b"ntlm"))
}

/// The stricter of what frontend and backend say.
pub fn connection_mode(frontend: &model::Proxy, backend: &model::Proxy) -> HttpConnection {
    use HttpConnection::{Close, KeepAlive, ServerClose};
    match (frontend.http_connection, backend.http_connection) {
        (Close, _) | (_, Close) => Close,
        (ServerClose, _) | (_, ServerClose) => ServerClose,
        (KeepAlive, KeepAlive) => KeepAlive,
    }
}

/// Gives the connection to the thread's pool, or keeps it for this client alone.
fn keep(client: &mut Client, connection: Box<ServerConnection>, settings: &model::Proxy) {
    if connection.is_private || settings.http_reuse == HttpReuse::Never || !is_shareable(&connection.server) {
        client.private = Some(connection);
        return;
    }
    let worker = &client.worker;
    if !worker.has_room_for_idle() {
        return;
    }
    worker.idle.borrow_mut().put(connection, clock::now());
}

/// What of the body came with the head goes out with it.
fn take_buffered_body(client: &mut Client, up: &mut Flow) -> Result<(), FlowError> {
    if !client.input.is_empty() && !up.is_read() {
        let used = up.take(client.input.bytes())?;
        client.input.consume(used);
    }
    if client.input.is_empty() {
        up.notice_end(&client.stream);
    }
    Ok(())
}

fn request_failed(error: FlowError, phase: u8, streamed: bool) -> Failure {
    let (status, cause) = match error {
        // A stream that was reset has nobody to answer to.
        FlowError::Source if streamed => {
            return Failure::Abort(Abort { status: None, cause: b'C', phase: b'D' });
        }
        FlowError::Framing => (Some(400), b'P'),
        FlowError::Coding => (Some(500), b'I'),
        FlowError::Source => (Some(400), b'C'),
        FlowError::Destination => (Some(502), b'S'),
    };
    Failure::Abort(Abort { status, cause, phase })
}

/// Why no head came.
enum NoHead {
    Request(FlowError),
    Closed,
    Failed,
    Junk,
    Truncated,
    TimedOut,
    /// The client is gone: nobody waits for the response.
    ClientGone,
    /// The server says that it never looked at the request.
    Refused,
}

/// Whether and how a failure before the response may be repaired by another attempt.
fn classify(
    failed: NoHead,
    transaction: &Transaction,
    connection: &ServerConnection,
    repeatable: bool,
) -> Failure {
    let idempotent = transaction.request.method_kind().is_idempotent();
    let server = |stage: Stage| {
        if repeatable { Failure::Server(stage) } else { Failure::Abort(stage.abort()) }
    };
    match failed {
        NoHead::Closed | NoHead::Failed if connection.is_reused() && connection.input.is_empty() => {
            // RFC 9112 §9.3.1: only idempotent requests are sent again by themselves; the others are the client's to
            // repeat, which it does when its connection closes without an answer.
            if repeatable && idempotent {
                Failure::Server(Stage::Stale)
            } else {
                Failure::Abort(Abort { status: None, cause: b'S', phase: b'H' })
            }
        }
        NoHead::Refused => server(if connection.is_reused() { Stage::Stale } else { Stage::Empty }),
        NoHead::Closed | NoHead::Failed => server(Stage::Empty),
        NoHead::Truncated => Failure::Abort(Stage::Empty.abort()),
        NoHead::Junk => server(Stage::Junk),
        NoHead::TimedOut => server(Stage::ResponseTimeout),
        NoHead::ClientGone => Failure::Abort(Abort { status: None, cause: b'C', phase: b'D' }),
        NoHead::Request(error) => {
            request_failed(error, b'H', transaction.request.version() == Version::Http2)
        }
    }
}

/// Keeps a response that makes no sense for `show errors`.
fn keep_junk(client: &Client, connection: &ServerConnection, error: ParseError) {
    let state = client.worker.state();
    state.captures.keep(Capture {
        way: Way::Response,
        when: state.clock.wall(clock::now()),
        frontend: client.frontend,
        server: Some(connection.server.id),
        src: client.src,
        number: 0,
        bytes: connection.input.bytes().into(),
        error,
    });
}

/// Sends what is left of the request while waiting for the head of the response.
async fn response_head(
    client: &mut Client,
    transaction: &mut Transaction,
    connection: &mut ServerConnection,
    up: &mut Flow,
    activity: &mut Activity,
    limits: &http::Limits,
    abort_on_close: bool,
) -> Result<(), NoHead> {
    // After a failed write the response may still be on its way: the server answered early.
    let mut write_failed = false;
    poll_fn(|context| {
        if !up.is_done() && !write_failed {
            match up.poll(context, &mut client.stream, &mut client.input, &mut connection.stream) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(FlowError::Destination)) => write_failed = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(NoHead::Request(error))),
                Poll::Pending => {}
            }
            if up.progressed {
                let now = clock::now();
                activity.client = now;
                activity.server = now;
            }
        }
        if let Some(stream) = connection.stream.as_http2() {
            match stream.poll_response(context, limits, &mut transaction.response) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(HeadError::Refused)) => return Poll::Ready(Err(NoHead::Refused)),
                Poll::Ready(Err(HeadError::Closed)) => return Poll::Ready(Err(NoHead::Closed)),
                Poll::Ready(Err(HeadError::Junk)) => return Poll::Ready(Err(NoHead::Junk)),
                Poll::Pending => {}
            }
        }
        while !connection.stream.is_http2() {
            if !connection.input.is_empty() {
                match http::parse_response(connection.input.bytes(), limits, &mut transaction.response) {
                    Ok(Parsed::Complete { consumed }) => {
                        connection.input.consume(consumed);
                        return Poll::Ready(Ok(()));
                    }
                    Ok(Parsed::Partial) => {}
                    Err(error) => {
                        keep_junk(client, connection, error);
                        return Poll::Ready(Err(NoHead::Junk));
                    }
                }
            }
            let polled = buffers::with_scratch(|scratch| {
                match connection.stream.poll_read(context, &mut scratch[..HEAD_READ]) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(0)) if connection.input.is_empty() => Poll::Ready(Err(NoHead::Closed)),
                    Poll::Ready(Ok(0)) => Poll::Ready(Err(NoHead::Truncated)),
                    Poll::Ready(Err(_)) => Poll::Ready(Err(NoHead::Failed)),
                    Poll::Ready(Ok(count)) => {
                        let bytes = &scratch[..count];
                        if !connection.input.is_empty() {
                            connection.input.push(bytes);
                            return Poll::Ready(Ok(false));
                        }
                        match http::parse_response(bytes, limits, &mut transaction.response) {
                            Ok(Parsed::Complete { consumed }) => {
                                connection.input.push(&bytes[consumed..]);
                                Poll::Ready(Ok(true))
                            }
                            Ok(Parsed::Partial) => {
                                connection.input.push(bytes);
                                Poll::Ready(Ok(false))
                            }
                            Err(error) => {
                                connection.input.push(bytes);
                                keep_junk(client, connection, error);
                                Poll::Ready(Err(NoHead::Junk))
                            }
                        }
                    }
                }
            });
            match polled {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(reason)) => return Poll::Ready(Err(reason)),
                Poll::Pending => break,
            }
        }
        if up.is_done() {
            match client.poll_left(context) {
                Left::Reset => return Poll::Ready(Err(NoHead::ClientGone)),
                Left::Closed if abort_on_close => return Poll::Ready(Err(NoHead::ClientGone)),
                Left::Closed | Left::No => {}
            }
        }
        // The client's time does not count here: a body that does not come is a response that does not come.
        activity.poll(client, context, false, true).map(|_| Err(NoHead::TimedOut))
    })
    .await
}

/// How the transfer of the bodies ended before its time.
#[derive(Debug)]
pub enum Broken {
    ClientGone,
    ServerGone,
    ClientTimeout,
    ServerTimeout,
    BadRequestBody,
    BadResponseBody,
    /// A rule refused what the server sent.
    Refused,
    Compressor,
}

impl Broken {
    /// Cause and phase of the log line.
    pub fn letters(&self) -> (u8, u8) {
        match self {
            Broken::ClientGone => (b'C', b'D'),
            Broken::ServerGone | Broken::BadResponseBody => (b'S', b'D'),
            Broken::ClientTimeout => (b'c', b'D'),
            Broken::ServerTimeout => (b's', b'D'),
            Broken::Compressor => (b'I', b'D'),
            Broken::BadRequestBody | Broken::Refused => (b'P', b'D'),
        }
    }
}

/// Moves both bodies until the response is complete.
async fn bodies(
    client: &mut Client,
    connection: &mut ServerConnection,
    up: &mut Flow,
    down: &mut Flow,
    activity: &mut Activity,
    client_lives: bool,
) -> Result<(), Broken> {
    let mut up_broken = false;
    poll_fn(|context| {
        let mut again = false;
        if !up.is_done() && !up_broken {
            match up.poll(context, &mut client.stream, &mut client.input, &mut connection.stream) {
                Poll::Ready(Ok(())) | Poll::Pending => {}
                // The server need not read all of the request to answer it.
                Poll::Ready(Err(FlowError::Destination)) => up_broken = true,
                Poll::Ready(Err(FlowError::Source)) => return Poll::Ready(Err(Broken::ClientGone)),
                Poll::Ready(Err(FlowError::Framing)) => return Poll::Ready(Err(Broken::BadRequestBody)),
                Poll::Ready(Err(FlowError::Coding)) => return Poll::Ready(Err(Broken::Compressor)),
            }
            again |= up.progressed;
        }
        if !down.is_done() {
            match down.poll(context, &mut connection.stream, &mut connection.input, &mut client.stream) {
                Poll::Ready(Ok(())) | Poll::Pending => {}
                Poll::Ready(Err(FlowError::Destination)) => return Poll::Ready(Err(Broken::ClientGone)),
                Poll::Ready(Err(FlowError::Source)) => return Poll::Ready(Err(Broken::ServerGone)),
                Poll::Ready(Err(FlowError::Framing)) => return Poll::Ready(Err(Broken::BadResponseBody)),
                Poll::Ready(Err(FlowError::Coding)) => return Poll::Ready(Err(Broken::Compressor)),
            }
            again |= down.progressed;
        }
        // An early response does not end the request: what the client still sends, the server still gets.
        if down.is_done() && (up.is_done() || up_broken || !client_lives) {
            return Poll::Ready(Ok(()));
        }
        if again {
            activity.moved(client, up, down);
        }
        let on_client = down.blocked_on_destination || (!up.is_done() && !up.blocked_on_destination);
        let on_server = !down.blocked_on_destination && !down.is_done();
        activity.poll(client, context, on_client, on_server).map(|expired| {
            Err(match expired {
                Expired::Client => Broken::ClientTimeout,
                Expired::Server => Broken::ServerTimeout,
            })
        })
    })
    .await
}
