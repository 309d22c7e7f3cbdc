//! Answers that the proxy gives itself: error messages, and whatever rules build.

use super::client::Client;
use super::transaction::Transaction;
use crate::plan::ProxyPlan;
use crate::worker::Worker;
use haproxy_config::model::ErrorContent;
use rules::ProxyId;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// A whole response, head and body, as it goes out.
#[derive(Debug, Clone)]
pub struct Answer {
    pub bytes: Arc<[u8]>,
    pub status: u16,
    /// Bytes of the head; a HEAD request gets no more.
    pub head_length: usize,
}

impl Answer {
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Answer {
        let bytes = bytes.into();
        let head_length = memchr::memmem::find(&bytes, b"\r\n\r\n").map_or(bytes.len(), |end| end + 4);
        let status = bytes
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        Answer { bytes, status, head_length }
    }
}

/// The error message of `status`, as the backend, else the frontend, configures it.
pub fn error_answer(
    worker: &Worker,
    backend: Option<ProxyId>,
    frontend: ProxyId,
    status: u16,
    raw: bool,
) -> Answer {
    let plan = worker.plan();
    let configured = |plan: &ProxyPlan| plan.errors.get(&status).cloned();
    let content = backend
        .and_then(|backend| configured(plan.proxy(backend)))
        .or_else(|| configured(plan.proxy(frontend)));
    match content {
        Some(ErrorContent::Raw(bytes)) => Answer::new(bytes),
        Some(ErrorContent::Redirect { status, location }) => Answer::new(
            format!(
                "HTTP/1.1 {status} {}\r\ncontent-length: 0\r\ncache-control: no-cache\r\nconnection: close\r\nlocation: {location}\r\n\r\n",
                if status == 303 { "See Other" } else { "Found" }
            )
            .into_bytes(),
        ),
        None => Answer::new(builtin(status, raw)),
    }
}

/// Sends the error message of `status`; the connection closes afterwards.
pub async fn send_error(client: &mut Client, transaction: &mut Transaction, status: u16) {
    let worker = std::rc::Rc::clone(&client.worker);
    let raw = !transaction.request.is_request() || transaction.request.method().is_empty();
    let answer = error_answer(&worker, transaction.facts.backend, client.frontend, status, raw);
    transaction.facts.status = answer.status;
    send(client, transaction, &answer).await;
}

/// Sends `answer` within `timeout client`; the facts count what went out.
pub async fn send(client: &mut Client, transaction: &mut Transaction, answer: &Answer) {
    let head_only = transaction.request.is_request() && transaction.request.method() == b"HEAD";
    let bytes = if head_only { &answer.bytes[..answer.head_length] } else { &answer.bytes[..] };
    let timeout = client.worker.plan().proxy(client.frontend).timeouts.client;
    client.expect_within(timeout, Instant::now());
    let mut sent = 0;
    poll_fn(|context| {
        while sent < bytes.len() {
            match client.stream.poll_write(context, &bytes[sent..]) {
                Poll::Ready(Ok(count)) if count > 0 => sent += count,
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
    transaction.facts.bytes_out += sent as u64;
}

/// The message that is built in. `raw`: in the shape of answers to requests that could not be read.
fn builtin(status: u16, raw: bool) -> Vec<u8> {
    let page = http::page::of(status).or_else(|| http::page::of(500)).expect("500 has a page");
    let mut bytes = Vec::with_capacity(512);
    if raw {
        page.write_raw(&mut bytes);
    } else {
        let mut head = http::Head::new();
        page.start(&mut head);
        head.write_to(&mut bytes);
        page.write_body(&mut bytes);
    }
    bytes
}
