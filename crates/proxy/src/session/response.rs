//! What is done to a response's head before it goes to the client: captures, rules, persistence cookies.

use super::client::Client;
use super::response_body::Arriving;
use super::rules::{self as ruleset, Outcome, ResponseRules, Step};
use super::transaction::Transaction;
use super::{content, persist, route, stick};
use crate::state::ServerState;
use haproxy_config::model::Proxy;
use http::cookie::SetCookie;
use std::rc::Rc;
use std::task::Poll;

/// Applies everything that changes the head, or finds another answer for the client.
pub async fn process(
    client: &mut Client,
    transaction: &mut Transaction,
    back: &Proxy,
    server: &ServerState,
    mut arriving: Arriving<'_>,
) -> Outcome {
    let worker = Rc::clone(&client.worker);
    let front = worker.plan().settings(client.frontend);
    transaction.variables.begin_response();
    capture(transaction, front);
    arriving.show(client, transaction);
    let sections = [back, front];
    let sections = if back.id == front.id { &sections[..1] } else { &sections[..] };
    if !back.tcp_response_content.is_empty()
        && let Poll::Ready(decision) = content::response(client, transaction, back)
    {
        let (cause, phase, outcome) = match decision {
            content::Decision::Accept | content::Decision::Http => (b'-', b'-', Outcome::Next),
            content::Decision::Close => (b'S', b'H', Outcome::Error(502)),
            content::Decision::Reject => (b'P', b'D', Outcome::Close),
            content::Decision::Dropped => (b'P', b'R', Outcome::Close),
        };
        if cause != b'-' {
            transaction.facts.termination.cause = cause;
            transaction.facts.termination.phase = phase;
            transaction.facts.status = 0;
            return outcome;
        }
    }
    for settings in sections {
        if settings.http_response.is_empty() {
            continue;
        }
        let mut rules = ResponseRules::new(&settings.http_response);
        loop {
            match rules.run(client, transaction) {
                Step::Over(Outcome::Next) => break,
                Step::Over(other) => return other,
                Step::WaitForBody { time, at_least } => {
                    // Boxed so that exchanges that wait for nothing stay small.
                    let lost = Box::pin(arriving.wait(client, transaction, time, at_least)).await;
                    if let Some(outcome) = lost {
                        return outcome;
                    }
                }
            }
        }
    }
    let leaks = back.options.checkcache && persist::leaks_cookie(transaction);
    persist::edit_response(client, transaction, back, server);
    if leaks {
        worker.backend_counters(back.id).denied_responses.add(1);
        worker.server_counters(server.slot).denied_responses.add(1);
        worker.frontend_counters(client.frontend).denied_responses.add(1);
        client.count_at_listener(|counters| &counters.denied_responses, 1);
        transaction.facts.termination.cause = b'P';
        transaction.facts.termination.phase = b'H';
        return Outcome::Error(502);
    }
    stick::store(client, transaction, back.id, server);
    for settings in sections {
        if !settings.http_after_response.is_empty() {
            ruleset::http_response(client, transaction, &settings.http_after_response);
        }
    }
    Outcome::Next
}

/// `capture response header` and `capture cookie`.
pub fn capture(transaction: &mut Transaction, front: &Proxy) {
    let captures = &transaction.facts.response_captures;
    captures.resize(front.response_captures.len());
    for (index, capture) in front.response_captures.iter().enumerate() {
        let name = capture.name.as_bytes();
        // Rules fill the slots that are only declared.
        if !name.is_empty() {
            let value = transaction.response.nth_line(name, -1);
            captures.set(index, value.map(|value| value[..value.len().min(capture.length)].to_vec()));
        }
    }
    if let Some(wanted) = &front.cookie_capture {
        let found = transaction
            .response
            .lines(b"set-cookie")
            .filter_map(SetCookie::parse)
            .find(|cookie| route::is_wanted(wanted, cookie.name));
        transaction.facts.cookie_capture_response =
            found.map(|cookie| route::keep(wanted, cookie.name, cookie.value));
    }
}
