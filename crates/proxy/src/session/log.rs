//! The end of a transaction: what is counted, and its log line.

use super::client::Client;
use super::transaction::Transaction;
use crate::net::clock;
use crate::state::ServerState;
use crate::state::counters::response_class;
use haproxy_config::model::{Mode, Proxy};
use rules::Direction;
use rules::log_format::{put_default_line, put_error_line};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Syslog levels.
const ERROR: u8 = 3;
const INFO: u8 = 6;

/// Remembers the request line for the log and for formats in rules, cut at `tune.http.logurilen`. Rules may change the
/// request afterwards.
pub fn capture_request(client: &Client, transaction: &mut Transaction) {
    let plan = client.worker.plan();
    let facts = &mut transaction.facts;
    let request = &transaction.request;
    facts.request_version = Some(request.version());
    if !plan.proxy(client.frontend).captures {
        return;
    }
    let max = plan.model.global.tune.http_logurilen;
    let line = &mut facts.captured_uri;
    for part in [request.method(), b" ", request.uri(), b" ", request.version().as_bytes()] {
        let room = max.saturating_sub(line.len() + 1);
        line.extend_from_slice(&part[..part.len().min(room)]);
    }
}

/// Counts the class of a response's status on both sides.
pub fn count_response(client: &Client, transaction: &Transaction, status: u16) {
    let class = response_class(status);
    let worker = &client.worker;
    worker.frontend_counters(client.frontend).responses[class].add(1);
    // What an applet answers in a frontend came to no backend, not even that of the same section.
    let answered_before = transaction.facts.applet.is_some();
    let backend = transaction.facts.backend.filter(|backend| !answered_before || *backend != client.frontend);
    if let Some(backend) = backend {
        worker.backend_counters(backend).responses[class].add(1);
    }
}

/// Counts what a server answered, whatever rules make of it.
pub fn count_answer(client: &Client, server: &ServerState, status: u16) {
    client.worker.server_counters(server.slot).responses[response_class(status)].add(1);
}

/// Notes the connection counts of the log line while this stream is still among them.
pub fn note_counts(client: &Client, transaction: &mut Transaction) {
    let state = client.worker.state();
    let facts = &mut transaction.facts;
    facts.process_connections = state.process.connections.get();
    facts.frontend_connections = state.proxy(client.frontend).frontend.current.get();
    if let Some(backend) = facts.backend {
        facts.backend_connections = state.backend(backend).current.get();
    }
    if let Some(server) = facts.server {
        facts.server_connections = state.server(server).served.get();
    }
}

/// Counts the finished transaction and logs it.
pub fn end(client: &mut Client, transaction: &mut Transaction) {
    super::tracking::count_bytes(client, transaction);
    count(client, transaction, clock::now());
    if !transaction.logged {
        if transaction.facts.backend.is_none() {
            note_counts(client, transaction);
        }
        emit(client, transaction, false);
    }
}

/// `option logasap`: the line goes out when the response begins; times and sizes that are not final say so.
pub fn as_soon_as_possible(client: &Client, transaction: &mut Transaction) {
    if client.worker.plan().settings(client.frontend).options.logasap {
        note_counts(client, transaction);
        emit(client, transaction, true);
        transaction.logged = true;
    }
}

fn emit(client: &Client, transaction: &Transaction, is_early: bool) {
    let worker = &client.worker;
    let settings = worker.plan().settings(client.frontend);
    let Some(format) = &settings.log_format else { return };
    let Some(targets) = worker.shared.logs.of(client.frontend) else { return };
    let facts = &transaction.facts;
    let failed = facts.termination.cause != b'-' || facts.status >= 500;
    if settings.options.dontlog_normal && !failed {
        return;
    }
    let level = match transaction.log_level {
        Some(None) => return,
        Some(Some(level)) => level,
        None if settings.options.log_separate_errors && failed => ERROR,
        None => INFO,
    };
    if !targets.wants(level) {
        return;
    }
    let mut text = worker.text.borrow_mut();
    text.clear();
    let scope = client.scope(transaction, Direction::Response);
    let mut context = worker.log_context.borrow_mut();
    context.log_counter = worker.state().proxy(client.frontend).frontend.logged.fetch_add(1, Relaxed);
    context.is_early = is_early;
    format.write(&scope, &mut context, &mut text);
    let mut structured = Vec::new();
    if let Some(format) = &settings.log_format_sd {
        format.write(&scope, &mut context, &mut structured);
    }
    if let Some(log) = worker.log.borrow_mut().as_mut() {
        targets.send_structured(level, &structured, &text, scope.wall, log);
    }
}

/// Logs a connection that was accepted, where no format says what a stream's end logs.
pub fn connection(client: &mut Client) {
    let worker = std::rc::Rc::clone(&client.worker);
    let settings = worker.plan().settings(client.frontend);
    let Some(targets) = worker.shared.logs.of(client.frontend) else { return };
    if settings.log_format.is_some() || !targets.wants(INFO) {
        return;
    }
    let transaction = client.begin();
    let mut text = worker.text.borrow_mut();
    text.clear();
    let scope = client.scope(&transaction, Direction::Request);
    put_default_line(&scope, settings.mode == Mode::Http, &mut text);
    if let Some(log) = worker.log.borrow_mut().as_mut() {
        targets.send(INFO, &text, scope.wall, log);
    }
    Transaction::give(transaction);
}

fn count(client: &Client, transaction: &mut Transaction, now: Instant) {
    let worker = &client.worker;
    let state = worker.state();
    let facts = &mut transaction.facts;
    facts.times.end = Some(now);
    let bytes_in = facts.bytes_in.saturating_sub(transaction.counted.bytes_in);
    let bytes_out = facts.bytes_out.saturating_sub(transaction.counted.bytes_out);
    let front = worker.frontend_counters(client.frontend);
    front.bytes_in.add(bytes_in);
    front.bytes_out.add(bytes_out);
    client.count_at_listener(|counters| &counters.bytes_in, bytes_in);
    client.count_at_listener(|counters| &counters.bytes_out, bytes_out);
    worker.counters.bytes_out.add(bytes_out);
    let Some(backend) = facts.backend else { return };
    let back = worker.backend_counters(backend);
    back.bytes_in.add(bytes_in);
    back.bytes_out.add(bytes_out);
    let Some(server) = facts.server else { return };
    let live = state.backend(backend);
    let server = state.server(server);
    let counters = worker.server_counters(server.slot);
    counters.bytes_in.add(bytes_in);
    counters.bytes_out.add(bytes_out);
    let times = &facts.times;
    let begin = times.request_start.unwrap_or(times.accept);
    let millis = |from: Instant, to: Instant| to.saturating_duration_since(from).as_millis() as u32;
    let total = millis(begin, now);
    server.total_time.add(total);
    live.total_time.add(total);
    let (Some(routed), Some(queued)) = (times.request_done, times.queue_done) else { return };
    let queue = millis(routed, queued);
    server.queue_time.add(queue);
    live.queue_time.add(queue);
    let Some(connected) = times.connected else { return };
    let connect = millis(queued, connected);
    server.connect_time.add(connect);
    live.connect_time.add(connect);
    let Some(responded) = times.response_done else { return };
    let response = millis(connected, responded);
    server.response_time.add(response);
    live.response_time.add(response);
}

/// Logs a connection that failed before it became a stream; nothing where only connections are logged that were accepted.
pub fn connection_error(client: &mut Client, settings: &Proxy, reason: &str) {
    let worker = std::rc::Rc::clone(&client.worker);
    if settings.log_format.is_none() && settings.error_log_format.is_none() {
        return;
    }
    let Some(targets) = worker.shared.logs.of(client.frontend) else { return };
    let level = if settings.options.log_separate_errors { ERROR } else { INFO };
    if !targets.wants(level) {
        return;
    }
    let transaction = client.begin();
    let scope = client.scope(&transaction, Direction::Request);
    let mut text = worker.text.borrow_mut();
    text.clear();
    let mut context = worker.log_context.borrow_mut();
    match &settings.error_log_format {
        Some(format) => format.write(&scope, &mut context, &mut text),
        None => put_error_line(&scope, reason, &mut context.dates, &mut text),
    }
    if let Some(log) = worker.log.borrow_mut().as_mut() {
        targets.send(level, &text, scope.wall, log);
    }
    Transaction::give(transaction);
}
