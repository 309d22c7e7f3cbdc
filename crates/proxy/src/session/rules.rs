//! Carries out the rules of a section: evaluates conditions, edits messages, and does to the stream what actions say.

use super::caching;
use super::client::Client;
use super::reply::{self, Answer};
use super::service;
use super::tracking::{self, Holder};
use super::transaction::Transaction;
use super::{bandwidth, body};
use crate::net::clock;
use haproxy_config::model::Proxy;
use http::Framing;
use rules::action::{
    AddressPart, Capture, CaptureSlot, CounterChange, Edit, EditError, HttpAction, HttpRule, ListChange,
    ListOperation, Redirect, Reply, Resolve, Service, StreamAction, TagValue, TimeoutValue, TimeoutWhich,
    Written, write_unauthorized,
};
use rules::stick_table::DataType;
use rules::{Direction, Peer, Value, ValueType};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

/// How a rule set ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every rule was looked at, or `allow` ended the set.
    Next,
    /// This is the answer.
    Answer(Answer),
    /// The error message of this status is the answer.
    Error(u16),
    /// Close without a word.
    Close,
}

/// Runs the `http-request` rules (and `redirect` lines) of a section.
pub async fn http_request(
    client: &mut Client,
    transaction: &mut Transaction,
    settings: &Proxy,
    list: &[HttpRule],
) -> Outcome {
    let mut strict = true;
    let mut rest = list;
    while let Some(rule) = next_rule(client, transaction, &mut rest, Direction::Request) {
        match &rule.action {
            HttpAction::Allow => return Outcome::Next,
            HttpAction::Deny(answer) => {
                denied_request(client, transaction, settings);
                tracking::count(client, transaction, &tracking::CLIENT_ERROR);
                return reply(client, transaction, answer, Direction::Request);
            }
            HttpAction::Tarpit(answer) => {
                tarpit(client, settings).await;
                denied_request(client, transaction, settings);
                tracking::count(client, transaction, &tracking::CLIENT_ERROR);
                transaction.facts.termination.phase = b'T';
                // The line shows the time in the tar as time in a queue.
                transaction.facts.times.queue_done = Some(clock::now());
                transaction.facts.times.request_done = None;
                return reply(client, transaction, answer, Direction::Request);
            }
            HttpAction::Return(answer) => {
                local(transaction);
                client.worker.frontend_counters(client.frontend).intercepted.add(1);
                return reply(client, transaction, answer, Direction::Request);
            }
            HttpAction::Redirect(redirect) => {
                if let Some(answer) = redirected(client, transaction, redirect, Direction::Request) {
                    local(transaction);
                    client.worker.frontend_counters(client.frontend).intercepted.add(1);
                    return Outcome::Answer(answer);
                }
            }
            HttpAction::Auth { realm } => {
                let realm = realm.as_deref().unwrap_or(settings.name.as_bytes());
                local(transaction);
                client.worker.frontend_counters(client.frontend).intercepted.add(1);
                tracking::count(client, transaction, &tracking::CLIENT_ERROR);
                return Outcome::Answer(unauthorized(client, transaction, realm));
            }
            HttpAction::Reject => {
                denied_request(client, transaction, settings);
                return Outcome::Close;
            }
            HttpAction::Edit(change) => {
                if let Some(status) = edit(client, transaction, change, Direction::Request, strict) {
                    return Outcome::Error(status);
                }
            }
            HttpAction::EarlyHint { name, value } => {
                let mut text = Vec::new();
                client.write_text(transaction, Direction::Request, value, &mut text);
                if http::is_field_value(&text) {
                    let mut hint = http::Head::new();
                    hint.start_response(103, None, http::Version::Http11);
                    hint.add(name, &text);
                    reply::send_interim(client, transaction, &hint).await;
                }
            }
            HttpAction::WaitForBody { time, at_least } => {
                if let Some(status) = body::wait(client, transaction, *time, *at_least).await {
                    return Outcome::Error(status);
                }
            }
            // Early data does not exist without TLS 1.3 0-RTT, which is never accepted.
            HttpAction::WaitForHandshake => {}
            HttpAction::DisableL7Retry => transaction.no_l7_retry = true,
            HttpAction::StrictMode(on) => strict = *on,
            HttpAction::CacheUse(name) => {
                if let Some(object) = caching::find(client, transaction, settings, name) {
                    return caching::answer(client, transaction, settings, &object);
                }
            }
            HttpAction::Stream(StreamAction::UseService(Service::PrometheusExporter)) => {
                return service::prometheus(client, transaction, settings);
            }
            HttpAction::Stream(StreamAction::Resolve(wanted)) => {
                resolve(client, transaction, wanted).await;
            }
            // Not in the table of requests.
            HttpAction::CacheStore(_) => {}
            HttpAction::Stream(action) => {
                if stream(client, transaction, action, Direction::Request, Holder::Stream)
                    == Ended::SilentDrop
                {
                    denied_request(client, transaction, settings);
                    return Outcome::Close;
                }
            }
        }
    }
    Outcome::Next
}

/// What a run of `http-response` rules has come to.
#[derive(Debug)]
pub enum Step {
    Over(Outcome),
    /// A rule wants more of the body: run the rest when it is here.
    WaitForBody {
        time: Duration,
        at_least: Option<u64>,
    },
}

/// `http-response` or `http-after-response` rules of a section, on their way through a response.
pub struct ResponseRules<'r> {
    rest: &'r [HttpRule],
    strict: bool,
}

impl<'r> ResponseRules<'r> {
    pub fn new(list: &'r [HttpRule]) -> ResponseRules<'r> {
        ResponseRules { rest: list, strict: true }
    }

    /// Runs until there is an outcome, or until something must be waited for.
    pub fn run(&mut self, client: &mut Client, transaction: &mut Transaction) -> Step {
        while let Some(rule) = next_rule(client, transaction, &mut self.rest, Direction::Response) {
            if let HttpAction::WaitForBody { time, at_least } = &rule.action {
                return Step::WaitForBody { time: *time, at_least: *at_least };
            }
            if let Some(outcome) = response_rule(client, transaction, &rule.action, &mut self.strict) {
                return Step::Over(outcome);
            }
        }
        Step::Over(Outcome::Next)
    }
}

/// Runs the rules over a response whose body is all here.
pub fn http_response(client: &mut Client, transaction: &mut Transaction, list: &[HttpRule]) -> Outcome {
    let mut rules = ResponseRules::new(list);
    loop {
        if let Step::Over(outcome) = rules.run(client, transaction) {
            return outcome;
        }
    }
}

/// Carries out one action; an outcome ends the set.
fn response_rule(
    client: &mut Client,
    transaction: &mut Transaction,
    action: &HttpAction,
    strict: &mut bool,
) -> Option<Outcome> {
    match action {
        HttpAction::Allow => return Some(Outcome::Next),
        HttpAction::Deny(answer) => {
            let worker = &client.worker;
            worker.frontend_counters(client.frontend).denied_responses.add(1);
            client.count_at_listener(|counters| &counters.denied_responses, 1);
            if let Some(backend) = transaction.facts.backend {
                worker.backend_counters(backend).denied_responses.add(1);
            }
            if let Some(server) = transaction.facts.server {
                worker.server_counters(worker.state().server(server).slot).denied_responses.add(1);
            }
            transaction.facts.termination.cause = b'P';
            transaction.facts.termination.phase = b'H';
            return Some(reply(client, transaction, answer, Direction::Response));
        }
        HttpAction::Return(answer) => {
            local(transaction);
            return Some(reply(client, transaction, answer, Direction::Response));
        }
        HttpAction::Redirect(redirect) => {
            if let Some(answer) = redirected(client, transaction, redirect, Direction::Response) {
                local(transaction);
                return Some(Outcome::Answer(answer));
            }
        }
        HttpAction::Edit(change) => {
            if edit(client, transaction, change, Direction::Response, *strict).is_some() {
                return Some(Outcome::Error(500));
            }
        }
        HttpAction::StrictMode(on) => *strict = *on,
        HttpAction::Stream(action) => {
            let ended = stream(client, transaction, action, Direction::Response, Holder::Stream);
            if ended == Ended::SilentDrop {
                transaction.facts.termination.cause = b'P';
                transaction.facts.termination.phase = b'R';
                return Some(Outcome::Close);
            }
        }
        HttpAction::CacheStore(name) => caching::store(client, transaction, name),
        // Whoever runs the rules waits; the others are not in the table of responses, or without a meaning there.
        HttpAction::Tarpit(_)
        | HttpAction::Auth { .. }
        | HttpAction::Reject
        | HttpAction::EarlyHint { .. }
        | HttpAction::WaitForBody { .. }
        | HttpAction::WaitForHandshake
        | HttpAction::DisableL7Retry
        | HttpAction::CacheUse(_) => {}
    }
    None
}

/// The first rule of `rest` that applies; `rest` is then what follows it. Conditions change nothing, so that all up to the
/// next action see one scope.
fn next_rule<'r>(
    client: &Client,
    transaction: &Transaction,
    rest: &mut &'r [HttpRule],
    direction: Direction,
) -> Option<&'r HttpRule> {
    let mut scope = None;
    let mut applies = |rule: &HttpRule| {
        let Some(condition) = &rule.condition else { return true };
        condition.matches(scope.get_or_insert_with(|| client.scope(transaction, direction)))
    };
    let list = *rest;
    let at = list.iter().position(&mut applies)?;
    *rest = &list[at + 1..];
    Some(&list[at])
}

/// The letters of an answer that rules gave instead of a server.
fn local(transaction: &mut Transaction) {
    transaction.facts.termination.cause = b'L';
    transaction.facts.termination.phase = b'R';
}

fn denied_request(client: &Client, transaction: &mut Transaction, settings: &Proxy) {
    let worker = &client.worker;
    worker.frontend_counters(client.frontend).denied_requests.add(1);
    client.count_at_listener(|counters| &counters.denied_requests, 1);
    if settings.is_backend && settings.id != client.frontend {
        worker.backend_counters(settings.id).denied_requests.add(1);
    }
    transaction.facts.termination.cause = b'P';
    transaction.facts.termination.phase = b'R';
}

/// Holds the client for `timeout tarpit`, or until it leaves.
async fn tarpit(client: &mut Client, settings: &Proxy) {
    let timeout = client.worker.plan().proxy(settings.id).timeouts.tarpit;
    client.expect_within(timeout, clock::now());
    poll_fn(|context| {
        if super::dispatch::client_left(client, context, true) {
            return Poll::Ready(());
        }
        client.deadline.poll(context)
    })
    .await;
}

fn reply(client: &Client, transaction: &Transaction, answer: &Reply, direction: Direction) -> Outcome {
    let scope = client.scope(transaction, direction);
    let mut bytes = Vec::with_capacity(256);
    let mut context = client.worker.log_context.borrow_mut();
    let connection = reply::connection_field(client, transaction);
    match answer.write(&scope, &mut context, connection, &mut bytes) {
        Written::Whole { status, head_len } => {
            Outcome::Answer(Answer { status, head_length: head_len, ..Answer::new(bytes) })
        }
        Written::ErrorMessage { status } => Outcome::Error(status),
        Written::Raw(bytes) => Outcome::Answer(Answer::new(bytes)),
    }
}

/// `None`: the rule says to go on.
fn redirected(
    client: &Client,
    transaction: &Transaction,
    redirect: &Redirect,
    direction: Direction,
) -> Option<Answer> {
    let scope = client.scope(transaction, Direction::Request);
    let mut bytes = Vec::with_capacity(256);
    let mut context = client.worker.log_context.borrow_mut();
    // HAProxy sends a client that has a body to send away with a close.
    let has_body = !matches!(transaction.request.request_framing(), Framing::None | Framing::Length(0));
    let closes = has_body && direction == Direction::Request;
    let connection = if closes { Some(&b"close"[..]) } else { reply::connection_field(client, transaction) };
    let is_written = redirect.write(&scope, &mut context, connection, &mut bytes);
    is_written.then(|| Answer { counts_close: closes, ..Answer::new(bytes) })
}

fn unauthorized(client: &Client, transaction: &Transaction, realm: &[u8]) -> Answer {
    let via_proxy = transaction.facts.via_proxy;
    let status = if via_proxy { 407 } else { 401 };
    let message = reply::error_answer(client, transaction, status, false);
    let mut bytes = Vec::with_capacity(512);
    let connection = reply::connection_field(client, transaction);
    write_unauthorized(&message.bytes, realm, via_proxy, connection, &mut bytes);
    Answer::new(bytes)
}

/// Changes the message; a status when that ends it.
fn edit(
    client: &mut Client,
    transaction: &mut Transaction,
    change: &Edit,
    direction: Direction,
    strict: bool,
) -> Option<u16> {
    let mut text = std::mem::take(&mut transaction.scratch);
    {
        let scope = client.scope(transaction, direction);
        change.evaluate(&scope, &mut client.worker.log_context.borrow_mut(), &mut text);
    }
    let head = match direction {
        Direction::Request => &mut transaction.request,
        Direction::Response => &mut transaction.response,
    };
    let result = change.apply(head, &text);
    transaction.scratch = text;
    match result {
        Ok(()) => None,
        Err(EditError::BadRequest) => {
            transaction.facts.termination.cause = b'P';
            transaction.facts.termination.phase = b'R';
            Some(400)
        }
        Err(EditError::Invalid) => {
            let worker = &client.worker;
            worker.frontend_counters(client.frontend).failed_rewrites.add(1);
            client.count_at_listener(|counters| &counters.failed_rewrites, 1);
            if let Some(backend) = transaction.facts.backend {
                worker.backend_counters(backend).failed_rewrites.add(1);
            }
            if !strict {
                return None;
            }
            transaction.facts.termination.cause = b'I';
            transaction.facts.termination.phase = if direction == Direction::Request { b'R' } else { b'H' };
            Some(500)
        }
    }
}

/// Whether an action ended the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    No,
    SilentDrop,
}

/// Does to the stream what `action` says.
pub fn stream(
    client: &mut Client,
    transaction: &mut Transaction,
    action: &StreamAction,
    direction: Direction,
    holder: Holder,
) -> Ended {
    match action {
        StreamAction::SetVariable(write) => {
            let scope = client.scope(transaction, direction);
            write.run(&scope, &mut client.worker.log_context.borrow_mut());
        }
        StreamAction::UnsetVariable(name) => {
            rules::Variables::unset(&transaction.variables, name);
        }
        StreamAction::SetAddress { part, value } => {
            let found = value.eval(&client.scope(transaction, direction)).map(Value::into_owned);
            if let Some(value) = found {
                set_address(client, transaction, *part, &value, holder);
            }
        }
        StreamAction::SetLogLevel(level) => transaction.log_level = Some(*level),
        // Tasks of one thread have no priorities among them.
        StreamAction::SetNice(_) => {}
        StreamAction::SetTos(tos) => {
            let is_ipv6 = matches!(client.dst, Some(Peer::Inet(address)) if address.is_ipv6());
            let _ = client
                .stream
                .with_socket(|socket| sys::socket_options::set_type_of_service(socket, *tos, is_ipv6));
        }
        StreamAction::SetMark(mark) => {
            let _ = client.stream.with_socket(|socket| sys::socket_options::set_mark(socket, *mark));
        }
        StreamAction::SetTimeout { which, value } => {
            let timeout = match value {
                TimeoutValue::Fixed(timeout) => Some(*timeout),
                TimeoutValue::Expr(expr) => int(client, transaction, expr, direction)
                    .and_then(|milliseconds| u64::try_from(milliseconds).ok())
                    .map(Duration::from_millis),
            };
            match which {
                TimeoutWhich::Client => transaction.timeouts.client = timeout,
                TimeoutWhich::Server => transaction.timeouts.server = timeout,
                TimeoutWhich::Tunnel => transaction.timeouts.tunnel = timeout,
            }
        }
        StreamAction::SetPriorityClass(expr) => {
            if let Some(class) = int(client, transaction, expr, direction) {
                transaction.facts.priority_class = class.clamp(-2047, 2047) as i32;
            }
        }
        StreamAction::SetPriorityOffset(expr) => {
            if let Some(offset) = int(client, transaction, expr, direction) {
                transaction.facts.priority_offset = offset.clamp(-524_287, 524_287) as i32;
            }
        }
        StreamAction::Capture(wanted) => capture(client, transaction, wanted, direction),
        StreamAction::Track(wanted) => {
            let section = if holder == Holder::Stream { transaction.facts.backend } else { None };
            let own = client.worker.plan().settings(section.unwrap_or(client.frontend)).stick_table;
            let value = wanted.key.eval(&client.scope(transaction, direction)).map(Value::into_owned);
            if let (Some(table), Some(value)) = (wanted.table.or(own), value) {
                tracking::track(client, transaction, wanted.counter, table, &value, holder);
            }
        }
        StreamAction::Counter(change) => counter(client, transaction, change, direction),
        StreamAction::List(change) => list(client, transaction, change, direction),
        // An answer: nothing is done to the stream.
        StreamAction::UseService(_) => {}
        StreamAction::SetBandwidthLimit(wanted) => bandwidth::set(client, transaction, wanted, direction),
        // Whoever runs the rules waits for the answer: see `resolve`.
        StreamAction::Resolve(_) => {}
        StreamAction::SilentDrop => {
            client.silent_drop();
            return Ended::SilentDrop;
        }
    }
    Ended::No
}

/// `do-resolve`: the client waits. Without an answer the variable stays as it was.
pub async fn resolve(client: &Client, transaction: &mut Transaction, wanted: &Resolve) {
    let worker = std::rc::Rc::clone(&client.worker);
    let name = wanted.name.eval_as(&client.scope(transaction, Direction::Request), ValueType::Str);
    let Some(Value::Str(name)) = name.map(Value::into_owned) else { return };
    let Ok(name) = String::from_utf8(name.to_vec()) else { return };
    let sections = &worker.state().model.resolvers;
    // As servers: IPv6 where nothing is said.
    let prefer_ipv6 = wanted.prefer_ipv6.unwrap_or(true);
    let resolvers = &worker.shared.resolve;
    if let Some(address) =
        crate::resolve::ask(resolvers, sections, &wanted.resolvers, &name, prefer_ipv6).await
    {
        let value = match address {
            IpAddr::V4(address) => Value::Ip4(address),
            IpAddr::V6(address) => Value::Ip6(address),
        };
        rules::Variables::set(&transaction.variables, &wanted.variable, value);
    }
}

pub fn int(
    client: &Client,
    transaction: &Transaction,
    expr: &rules::Expr,
    direction: Direction,
) -> Option<i64> {
    match expr.eval_as(&client.scope(transaction, direction), ValueType::Int)? {
        Value::Int(number) => Some(number),
        Value::Bool(_) | Value::Ip4(_) | Value::Ip6(_) | Value::Str(_) | Value::Bin(_) | Value::Method(_) => {
            None
        }
    }
}

fn set_address(
    client: &mut Client,
    transaction: &mut Transaction,
    part: AddressPart,
    value: &Value<'_>,
    holder: Holder,
) {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let facts = &mut transaction.facts;
    let place = match part {
        AddressPart::Source | AddressPart::SourcePort => &mut facts.src,
        AddressPart::Destination | AddressPart::DestinationPort => &mut facts.dst,
    };
    let mut address = match place {
        Some(Peer::Inet(address)) => *address,
        Some(Peer::Unix) | None => unknown,
    };
    match (part, value) {
        (AddressPart::Source | AddressPart::Destination, Value::Ip4(ip)) => address.set_ip(IpAddr::V4(*ip)),
        (AddressPart::Source | AddressPart::Destination, Value::Ip6(ip)) => address.set_ip(IpAddr::V6(*ip)),
        (AddressPart::SourcePort | AddressPart::DestinationPort, Value::Int(port)) => {
            address.set_port(*port as u16);
        }
        (
            AddressPart::Source
            | AddressPart::SourcePort
            | AddressPart::Destination
            | AddressPart::DestinationPort,
            _,
        ) => return,
    }
    *place = Some(Peer::Inet(address));
    if holder == Holder::Connection {
        client.src = transaction.facts.src;
        client.dst = transaction.facts.dst;
    }
}

fn capture(client: &mut Client, transaction: &mut Transaction, wanted: &Capture, direction: Direction) {
    let scope = client.scope(transaction, direction);
    let Some(text) = wanted.sample.eval_text(&scope).map(std::borrow::Cow::into_owned) else { return };
    let settings = client.worker.plan().settings(client.frontend);
    let (declared, slots) = match direction {
        Direction::Request => (&settings.request_captures, &transaction.facts.request_captures),
        Direction::Response => (&settings.response_captures, &transaction.facts.response_captures),
    };
    let (index, length) = match wanted.slot {
        CaptureSlot::Own { length, index } => (index as usize, length as usize),
        CaptureSlot::Declared(index) => {
            (index as usize, declared.get(index as usize).map_or(0, |capture| capture.length))
        }
    };
    slots.set(index, Some(text[..text.len().min(length)].to_vec()));
}

fn counter(client: &mut Client, transaction: &mut Transaction, change: &CounterChange, direction: Direction) {
    let fixed = |client: &Client, transaction: &Transaction, value: &TagValue| match value {
        TagValue::Fixed(number) => Some(u64::from(*number)),
        TagValue::Expr(expr) => int(client, transaction, expr, direction).map(|number| number as u64),
    };
    let (index, counter) = match change {
        CounterChange::Increment { index, counter }
        | CounterChange::Add { index, counter, .. }
        | CounterChange::SetTag { index, counter, .. } => (*index, usize::from(*counter)),
    };
    let value = match change {
        CounterChange::Increment { .. } => Some(1),
        CounterChange::Add { value, .. } | CounterChange::SetTag { value, .. } => {
            fixed(client, transaction, value)
        }
    };
    let Some(value) = value else { return };
    let is_tag = matches!(change, CounterChange::SetTag { .. });
    let held = match transaction.trackers.get_mut(counter) {
        Some(Some(tracked)) => Some(tracked),
        Some(None) => client.tracker_mut(counter),
        None => None,
    };
    let Some(tracked) = held else { return };
    tracked.update(clock::now(), |entry| {
        if is_tag {
            if !entry.set(DataType::Gpt, index, value) && index == 0 {
                entry.set(DataType::Gpt0, 0, value);
            }
            return;
        }
        if entry.add(DataType::Gpc, index, value).is_none() {
            let old = if index == 0 { DataType::Gpc0 } else { DataType::Gpc1 };
            entry.add(old, 0, value);
        }
        if entry.add(DataType::GpcRate, index, value).is_none() {
            let old = if index == 0 { DataType::Gpc0Rate } else { DataType::Gpc1Rate };
            entry.add(old, 0, value);
        }
    });
}

fn list(client: &mut Client, transaction: &mut Transaction, change: &ListChange, direction: Direction) {
    let mut key = Vec::new();
    client.write_text(transaction, direction, &change.key, &mut key);
    let mut value = Vec::new();
    if let Some(format) = &change.value {
        client.write_text(transaction, direction, format, &mut value);
    }
    let patterns = &client.worker.plan().model.patterns;
    let Some(list) = patterns.by_file(&change.list) else { return };
    // A full list or a pattern that does not parse leaves the list as it was; the request goes on.
    match change.operation {
        ListOperation::AddAcl => {
            let _ = list.add(&key, None, None);
        }
        ListOperation::DelAcl | ListOperation::DelMap => {
            list.delete(&key);
        }
        ListOperation::SetMap => {
            if !matches!(list.set(&key, &value), Ok(changed) if changed > 0) {
                let _ = list.add(&key, Some(&value), None);
            }
        }
    }
}
