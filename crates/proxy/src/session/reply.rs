//! Answers that the proxy gives itself: error messages, and whatever rules build.

use super::body;
use super::client::Client;
use super::compress;
use super::http1::After;
use super::transaction::{RequestBody, Transaction};
use crate::net::buffers;
use crate::net::clock;
use crate::plan::ProxyPlan;
use haproxy_config::model::{ErrorContent, HttpConnection};
use http::{Framing, Head, Limits, Parsed, Version};
use rules::Direction;
use rules::action::Written;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// A whole response, head and body, as it goes out.
#[derive(Debug, Clone)]
pub struct Answer {
    pub bytes: Arc<[u8]>,
    pub status: u16,
    /// Bytes of the head; a HEAD request gets no more.
    pub head_length: usize,
    /// What the head counts for, where rules have changed it since it came from its source.
    pub counted_head: Option<u64>,
    /// It closes the connection whatever else is said, and what says so counts.
    pub counts_close: bool,
}

/// Bytes and fields that the head of an answer of ours may have.
const ANSWER_HEAD_MAX: usize = 1 << 20;
const ANSWER_FIELDS_MAX: usize = 1000;

/// Bytes of `connection` and `close`.
const CLOSE_LENGTH: u64 = 15;

/// Where the body begins; error files may end their lines with LF alone.
fn head_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = memchr::memchr(b'\n', &bytes[at..]) {
        at += line + 1;
        match &bytes[at..] {
            [b'\n', ..] => return at + 1,
            [b'\r', b'\n', ..] => return at + 2,
            _ => {}
        }
    }
    bytes.len()
}

impl Answer {
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Answer {
        let bytes = bytes.into();
        let head_length = head_length(&bytes);
        let status = bytes
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        Answer { bytes, status, head_length, counted_head: None, counts_close: false }
    }
}

/// The error message of `status`, as the backend, else the frontend, configures it.
/// `raw`: in the shape of answers to requests that could not be read.
pub fn error_answer(client: &Client, transaction: &Transaction, status: u16, raw: bool) -> Answer {
    let plan = client.worker.plan();
    let (backend, frontend) = (transaction.facts.backend, client.frontend);
    let configured = |plan: &ProxyPlan| plan.errors.get(&status).cloned();
    let content = backend
        .and_then(|backend| configured(plan.proxy(backend)))
        .or_else(|| configured(plan.proxy(frontend)));
    match content {
        Some(ErrorContent::Raw(bytes)) => Answer::new(bytes),
        Some(ErrorContent::Redirect { status, location }) => Answer::new(
            format!(
                "HTTP/1.1 {status} {}\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: {location}\r\n\r\n",
                if status == 303 { "See Other" } else { "Found" }
            )
            .into_bytes(),
        ),
        Some(ErrorContent::Reply(made)) => {
            let mut bytes = Vec::with_capacity(256);
            let scope = client.scope(transaction, Direction::Response);
            let mut context = client.worker.log_context.borrow_mut();
            match made.write(&scope, &mut context, None, &mut bytes) {
                Written::Whole { .. } => Answer::new(bytes),
                Written::Raw(bytes) => Answer::new(bytes),
                Written::ErrorMessage { .. } => Answer::new(builtin(status, raw)),
            }
        }
        None => Answer::new(builtin(status, raw)),
    }
}

/// What `connection` says in an answer of ours.
pub fn connection_field(client: &Client, transaction: &Transaction) -> Option<&'static [u8]> {
    let lives = lives_on(client, transaction);
    match (lives, transaction.request.version()) {
        (false, _) => Some(b"close"),
        (true, Version::Http10) => Some(b"keep-alive"),
        (true, Version::Http11 | Version::Http2) => None,
    }
}

/// Whether the client's connection goes on after an answer of ours: nothing of the request may be left unread.
fn lives_on(client: &Client, transaction: &Transaction) -> bool {
    let mode = client.worker.plan().settings(client.frontend).http_connection;
    transaction.client_keeps_alive
        && unsent_body(client, transaction).is_some()
        && mode != HttpConnection::Close
        && !client.worker.state().is_closing()
}

/// How much of the client's bytes is the request's body, when all of it is here. What went to a server is not: the bytes
/// behind it are another request's.
fn unsent_body(client: &Client, transaction: &Transaction) -> Option<usize> {
    match transaction.request.request_framing() {
        Framing::None | Framing::Length(0) => Some(0),
        framing => match transaction.body {
            RequestBody::Here => body::whole_length(framing, client.input.bytes()),
            RequestBody::Taken => None,
            RequestBody::Sent => Some(0),
        },
    }
}

/// Answers with the error message of `status` and counts it.
pub async fn answer_error(client: &mut Client, transaction: &mut Transaction, status: u16) -> After {
    let answer = error_answer(client, transaction, status, false);
    self::answer(client, transaction, answer).await
}

/// Sends an answer of ours instead of a server's, after the `http-after-response` rules.
pub async fn answer(client: &mut Client, transaction: &mut Transaction, mut answer: Answer) -> After {
    super::log::count_response(client, transaction, answer.status);
    transaction.facts.status = answer.status;
    let lives = after_response(client, transaction, &mut answer) && lives_on(client, transaction);
    let unread = unsent_body(client, transaction).filter(|_| lives);
    if transaction.facts.times.response_done.is_none() && transaction.facts.applet.is_none() {
        transaction.facts.times.end = None;
    }
    send(client, transaction, &answer).await;
    client.input.consume(unread.unwrap_or(0));
    match (lives && !client.closed, transaction.request.request_framing()) {
        (true, _) => After::KeepAlive,
        (false, Framing::None | Framing::Length(0)) => After::Close,
        (false, Framing::Length(_) | Framing::Chunked | Framing::UntilClose) => After::Linger,
    }
}

/// Runs the `http-after-response` rules of both sections over the answer's head, and sets its `connection`. Returns
/// whether the answer itself lets the connection live.
fn after_response(client: &mut Client, transaction: &mut Transaction, answer: &mut Answer) -> bool {
    let worker = std::rc::Rc::clone(&client.worker);
    let plan = worker.plan();
    transaction.response.clear();
    let limits = Limits { max_head: ANSWER_HEAD_MAX, max_fields: ANSWER_FIELDS_MAX, accept_invalid: true };
    if !matches!(
        http::parse_response(&answer.bytes[..answer.head_length], &limits, &mut transaction.response),
        Ok(Parsed::Complete { .. })
    ) {
        // An error file that is no HTTP goes out as it is, and says so by closing.
        return false;
    }
    transaction.variables.begin_response();
    transaction.inspected.clear();
    if plan.model.uses.response_body {
        let body = &answer.bytes[answer.head_length..];
        let seen = body.len().min(plan.model.global.tune.bufsize);
        transaction.inspected.extend_from_slice(&body[..seen]);
    }
    let front = plan.settings(client.frontend);
    let back = transaction.facts.backend.filter(|backend| *backend != client.frontend);
    for settings in back.map(|backend| plan.settings(backend)).into_iter().chain([front]) {
        super::rules::http_response(client, transaction, &settings.http_after_response);
    }
    let lives = transaction.response.keeps_alive() && transaction.response.version() != Version::Http10;
    let keep = lives && lives_on(client, transaction);
    transaction.response.strip_connection_tokens();
    transaction.counted_head =
        answer.counted_head.unwrap_or_else(|| super::counted_head(&transaction.response));
    if answer.counts_close {
        transaction.counted_head += CLOSE_LENGTH;
    }
    transaction.response.set_response_connection(keep, transaction.request.version());
    let body = &answer.bytes[answer.head_length..];
    let compressor = if transaction.facts.applet.is_some() {
        let back = plan.settings(back.unwrap_or(client.frontend));
        compress::response(client, transaction, Framing::Length(body.len() as u64), back)
    } else {
        // Error messages and what rules answer are not worth it.
        None
    };
    let mut bytes = Vec::with_capacity(answer.bytes.len() + 64);
    transaction.response.write_to(&mut bytes);
    if front.options.h1_case_adjust_bogus_client && !client.stream.is_http2() {
        super::spelling::adjust(&plan.model.global.h1_case_adjust, &mut bytes);
    }
    let head_length = bytes.len();
    match compressor {
        Some(mut compressor) => {
            compressor.frame(!client.stream.is_http2());
            if compressor.write_whole(body, &mut bytes).is_err() {
                return false;
            }
        }
        None => bytes.extend_from_slice(body),
    }
    *answer = Answer { status: transaction.response.status(), head_length, ..Answer::new(bytes) };
    lives
}

/// Sends the message of a request that could not be read; the connection closes afterwards.
pub async fn send_raw_error(client: &mut Client, transaction: &mut Transaction, status: u16) {
    let answer = error_answer(client, transaction, status, true);
    transaction.facts.status = answer.status;
    super::log::count_response(client, transaction, answer.status);
    // No stream came of it: the line counts nothing, as HAProxy's.
    write_all(client, &answer.bytes).await;
}

/// Tells a client that waits for it to send the body.
pub async fn send_continue(client: &mut Client) {
    match client.stream.as_http2() {
        Some(stream) => {
            let mut head = Head::new();
            head.start_response(100, None, Version::Http2);
            // A client that is gone meanwhile is noticed when its body does not come.
            let _ = stream.send_interim(&head);
        }
        None => _ = write_all(client, b"HTTP/1.1 100 Continue\r\n\r\n").await,
    }
}

/// Sends a head of 1xx, where the client knows such; best effort, the final response follows.
pub async fn send_interim(client: &mut Client, transaction: &mut Transaction, head: &Head) {
    if transaction.request.version() == Version::Http10 {
        return;
    }
    let sent = match client.stream.as_http2() {
        Some(stream) => stream.send_interim(head).is_ok(),
        None => {
            let mut bytes = buffers::take();
            head.write_http1(false, &mut bytes);
            let sent = write_all(client, &bytes).await == bytes.len();
            buffers::give(bytes);
            sent
        }
    };
    // A client that is gone is noticed with the final response.
    if sent {
        transaction.facts.bytes_out += super::counted_head(head);
    }
}

/// Sends bytes, each piece within `timeout client`; gives up silently. On a stream of HTTP/2 they are the rest of the body.
pub async fn write_all(client: &mut Client, bytes: &[u8]) -> usize {
    let timeout = client.worker.plan().proxy(client.frontend).timeouts.client;
    client.expect_within(timeout, clock::now());
    let mut sent = 0;
    poll_fn(|context| {
        while sent < bytes.len() {
            match client.stream.poll_write_body(context, &bytes[sent..], true) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    sent += count;
                    // A slow reader of much is not a client that went away.
                    client.expect_within(timeout, clock::now());
                }
                Poll::Ready(_) => {
                    client.closed = true;
                    return Poll::Ready(());
                }
                Poll::Pending => return client.deadline.poll(context),
            }
        }
        Poll::Ready(())
    })
    .await;
    sent
}

/// Sends `answer`; the facts count what went out.
async fn send(client: &mut Client, transaction: &mut Transaction, answer: &Answer) {
    let head_only = transaction.request.method() == b"HEAD";
    let bytes = if head_only { &answer.bytes[..answer.head_length] } else { &answer.bytes[..] };
    let sent = match client.stream.as_http2() {
        Some(stream) => {
            let ends = bytes.len() == answer.head_length;
            // What is no HTTP, or cannot be said in HTTP/2, ends the stream with an error.
            match stream.send_response(&transaction.response, ends) {
                Ok(()) => answer.head_length + write_all(client, &bytes[answer.head_length..]).await,
                Err(_) => {
                    stream.reset(::http2::Reason::INTERNAL_ERROR);
                    0
                }
            }
        }
        None => write_all(client, bytes).await,
    };
    let body = sent.saturating_sub(answer.head_length) as u64;
    let head = if sent == 0 { 0 } else { transaction.counted_head };
    transaction.facts.bytes_out += head + body;
}

/// The message that is built in. `raw`: in the shape of answers to requests that could not be read.
fn builtin(status: u16, raw: bool) -> Vec<u8> {
    let page = http::page::of(status).or_else(|| http::page::of(500)).expect("500 has a page");
    let mut bytes = Vec::with_capacity(512);
    if raw {
        page.write_raw(&mut bytes);
    } else {
        let mut head = Head::new();
        page.start(&mut head);
        head.write_to(&mut bytes);
        page.write_body(&mut bytes);
    }
    bytes
}
