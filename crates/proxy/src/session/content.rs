//! `tcp-request` and `tcp-response` rules: on the connection before a byte came, and on content as it comes.

use super::client::{Client, Filled};
use super::rules::{self as ruleset, Ended};
use super::tracking::Holder;
use super::transaction::Transaction;
use crate::net::clock;
use haproxy_config::model::Proxy;
use rules::{Direction, StreamAction, TcpAction, TcpRule, Verdict};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// How the rules of a section ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Accept,
    Reject,
    /// Of responses: the server's connection ends.
    Close,
    /// Of responses: the client was left alone without a word.
    Dropped,
    /// What follows on a TCP connection is HTTP.
    Http,
}

/// One pass over the rules.
enum Pass {
    Done(Decision),
    /// A rule does not know yet: more bytes are needed.
    Wait,
    /// The rule at this place asks for an address.
    Resolve(usize),
}

/// Runs `tcp-request content` rules, waiting for more of the client's bytes up to the inspection delay.
pub async fn request(client: &mut Client, transaction: &mut Transaction, settings: &Proxy) -> Decision {
    let worker = std::rc::Rc::clone(&client.worker);
    let tune = &worker.plan().model.global.tune;
    let delay = settings.tcp_request_inspect_delay.unwrap_or(Duration::ZERO);
    let http = transaction.request.is_request() && !transaction.request.method().is_empty();
    client.expect_within(Some(delay), clock::now());
    let mut is_final = http || delay.is_zero();
    let reads_http = !http
        && settings.tcp_request_content.iter().any(|rule| {
            rule.condition.as_ref().is_some_and(rules::Condition::uses_http) || acts_on_http(rule)
        });
    let mut first = 0;
    loop {
        if reads_http {
            look_at_http(client, transaction);
        }
        is_final |= client.closed || client.input.len() >= tune.bufsize;
        transaction.payload_final = is_final;
        let list = &settings.tcp_request_content;
        match pass(client, transaction, list, first, Direction::Request, Holder::Stream) {
            Pass::Resolve(place) => {
                if let TcpAction::Stream(StreamAction::Resolve(wanted)) = &list[place].action {
                    ruleset::resolve(client, transaction, wanted).await;
                }
                first = place + 1;
                continue;
            }
            Pass::Done(decision) => {
                if decision != Decision::Accept && decision != Decision::Http {
                    // The request was not looked at yet: lines say that there was none.
                    transaction.facts.captured_uri.clear();
                    worker.frontend_counters(client.frontend).denied_requests.add(1);
                    client.count_at_listener(|counters| &counters.denied_requests, 1);
                    transaction.facts.termination.cause = b'P';
                    transaction.facts.termination.phase = b'R';
                }
                transaction.payload_final = true;
                return match decision {
                    Decision::Accept | Decision::Http => decision,
                    Decision::Reject | Decision::Close | Decision::Dropped => Decision::Reject,
                };
            }
            Pass::Wait if is_final => return Decision::Accept,
            Pass::Wait => {}
        }
        let room = tune.bufsize.saturating_sub(client.input.len()).max(1);
        match poll_fn(|context| client.poll_fill(context, room)).await {
            Filled::Bytes => {}
            Filled::Closed | Filled::Failed(_) | Filled::TimedOut => is_final = true,
        }
    }
}

/// Whether what the rule does needs the request that may be in the bytes.
fn acts_on_http(rule: &TcpRule) -> bool {
    match &rule.action {
        TcpAction::Stream(action) => action.expression().is_some_and(rules::Expr::uses_http),
        TcpAction::Accept
        | TcpAction::Reject
        | TcpAction::Close
        | TcpAction::ExpectProxy
        | TcpAction::ExpectNetscalerCip
        | TcpAction::SwitchModeHttp { .. } => false,
    }
}

/// One pass of `tcp-response content` rules over what the server has sent so far.
pub fn response(client: &mut Client, transaction: &mut Transaction, settings: &Proxy) -> Poll<Decision> {
    let list = &settings.tcp_response_content;
    match pass(client, transaction, list, 0, Direction::Response, Holder::Stream) {
        Pass::Done(decision) => Poll::Ready(decision),
        Pass::Wait if transaction.payload_final => Poll::Ready(Decision::Accept),
        Pass::Wait => Poll::Pending,
        // Not in the table of responses.
        Pass::Resolve(_) => Poll::Ready(Decision::Accept),
    }
}

/// Reads a request in the client's bytes for the conditions that ask for one; the bytes stay where they are.
fn look_at_http(client: &Client, transaction: &mut Transaction) {
    let limits = client.worker.plan().proxy(client.frontend).request_limits;
    transaction.request.clear();
    if !matches!(
        http::parse_request(client.input.bytes(), &limits, &mut transaction.request),
        Ok(http::Parsed::Complete { .. })
    ) {
        transaction.request.clear();
    }
}

/// Runs the rules of `tcp-request connection` or `session`: nothing was received, nothing is waited for.
pub fn connection(client: &mut Client, transaction: &mut Transaction, list: &[TcpRule]) -> Decision {
    transaction.payload_final = true;
    match pass(client, transaction, list, 0, Direction::Request, Holder::Connection) {
        Pass::Done(Decision::Dropped) => Decision::Reject,
        Pass::Done(decision) => decision,
        // Nothing to wait for, and not in the table of connections.
        Pass::Wait | Pass::Resolve(_) => Decision::Accept,
    }
}

fn pass(
    client: &mut Client,
    transaction: &mut Transaction,
    list: &[TcpRule],
    first: usize,
    direction: Direction,
    holder: Holder,
) -> Pass {
    for (place, rule) in list.iter().enumerate().skip(first) {
        if let Some(condition) = &rule.condition {
            match condition.test(&client.scope(transaction, direction)) {
                Verdict::Pass => {}
                Verdict::Fail => continue,
                Verdict::Wait if transaction.payload_final => continue,
                Verdict::Wait => return Pass::Wait,
            }
        }
        match &rule.action {
            TcpAction::Accept => return Pass::Done(Decision::Accept),
            TcpAction::Reject => return Pass::Done(Decision::Reject),
            TcpAction::Close => return Pass::Done(Decision::Close),
            // Looked at when the connection was accepted.
            TcpAction::ExpectProxy | TcpAction::ExpectNetscalerCip => {}
            // On a connection that is HTTP already the rule only ends the set.
            TcpAction::SwitchModeHttp { .. } if transaction.facts.is_http => {
                return Pass::Done(Decision::Accept);
            }
            TcpAction::SwitchModeHttp { .. } => return Pass::Done(Decision::Http),
            TcpAction::Stream(StreamAction::Resolve(_)) => return Pass::Resolve(place),
            TcpAction::Stream(action) => {
                if ruleset::stream(client, transaction, action, direction, holder) == Ended::SilentDrop {
                    return Pass::Done(Decision::Dropped);
                }
            }
        }
    }
    Pass::Done(Decision::Accept)
}
