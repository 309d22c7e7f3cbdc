//! Waits until (enough of) a request's body is in the buffer: `option http-buffer-request`, `wait-for-body`, and what
//! hashes a POST body.

use super::client::{Client, Filled};
use super::transaction::Transaction;
use crate::net::clock;
use http::{ChunkDecoder, Framing, Step};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// Waits for the whole body, for `at_least` bytes of it, for a full buffer, or for the end of `time`. A status when the
/// request is lost: 408 after the time only if nothing at all could be judged is HAProxy's choice too.
pub async fn wait(
    client: &mut Client,
    transaction: &mut Transaction,
    time: Duration,
    at_least: Option<u64>,
) -> Option<u16> {
    let framing = transaction.request.request_framing();
    if matches!(framing, Framing::None | Framing::Length(0)) {
        return None;
    }
    let worker = std::rc::Rc::clone(&client.worker);
    let tune = &worker.plan().model.global.tune;
    let room = tune.bufsize.saturating_sub(tune.maxrewrite);
    if transaction.request.expects_continue() && client.input.is_empty() {
        super::reply::send_continue(client).await;
        transaction.request.remove(b"expect");
    }
    client.expect_within(Some(time), clock::now());
    let filled = poll_fn(|context| {
        loop {
            if is_enough(framing, client.input.bytes(), at_least) || client.input.len() >= room {
                return Poll::Ready(Filled::Bytes);
            }
            match client.poll_fill(context, room.saturating_sub(client.input.len()).max(1)) {
                Poll::Ready(Filled::Bytes) => {}
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    decode(client, transaction);
    let facts = &mut transaction.facts;
    match filled {
        Filled::Bytes => None,
        // The whole request of a stream of HTTP/2.
        Filled::Closed if client.stream.is_http2() => None,
        Filled::TimedOut => {
            facts.termination.cause = b'c';
            facts.termination.phase = b'D';
            Some(408)
        }
        Filled::Closed | Filled::Failed(_) => {
            facts.termination.cause = b'C';
            facts.termination.phase = b'D';
            Some(400)
        }
    }
}

/// What of `bytes`, which follow the head, is the request's body: without its framing, and without the next request.
pub fn view<'b>(transaction: &'b Transaction, bytes: &'b [u8]) -> &'b [u8] {
    if transaction.request.method().is_empty() {
        // There is no head yet: rules of the content look at everything.
        return bytes;
    }
    match transaction.request.request_framing() {
        Framing::None => &[],
        Framing::Length(length) => &bytes[..usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len())],
        Framing::UntilClose => bytes,
        Framing::Chunked => &transaction.decoded,
    }
}

/// Takes the framing from what has come of a chunked body, for rules to look at.
pub fn decode(client: &Client, transaction: &mut Transaction) {
    if transaction.request.request_framing() != Framing::Chunked {
        return;
    }
    transaction.decoded.clear();
    unchunk(client.input.bytes(), &mut transaction.decoded);
}

/// Appends the data of the chunks at the front of `bytes`, as far as they are whole or have begun.
pub fn unchunk(bytes: &[u8], out: &mut Vec<u8>) {
    let mut decoder = ChunkDecoder::new();
    let mut at = 0;
    while let Ok(Step::Data { skip, len }) = decoder.next(&bytes[at..]) {
        out.extend_from_slice(&bytes[at + skip..at + skip + len]);
        at += skip + len;
    }
}

/// The bytes of a body at the front of `bytes`, when all of it is there.
pub fn whole_length(framing: Framing, bytes: &[u8]) -> Option<usize> {
    match framing {
        Framing::None => Some(0),
        Framing::Length(length) => usize::try_from(length).ok().filter(|length| *length <= bytes.len()),
        Framing::UntilClose => None,
        Framing::Chunked => {
            let mut decoder = ChunkDecoder::new();
            let mut at = 0;
            loop {
                match decoder.next(&bytes[at..]) {
                    Ok(Step::Data { skip, len }) => at += skip + len,
                    Ok(Step::End { consumed }) => return Some(at + consumed),
                    Ok(Step::NeedMore) | Err(_) => return None,
                }
            }
        }
    }
}

/// Whether `bytes` hold the whole body, or `at_least` bytes of it.
fn is_enough(framing: Framing, bytes: &[u8], at_least: Option<u64>) -> bool {
    let have = bytes.len() as u64;
    match framing {
        Framing::None => true,
        Framing::Length(length) => have >= at_least.map_or(length, |least| least.min(length)),
        Framing::UntilClose => at_least.is_some_and(|least| have >= least),
        Framing::Chunked => {
            let mut decoder = ChunkDecoder::new();
            let mut at = 0;
            let mut data = 0;
            loop {
                match decoder.next(&bytes[at..]) {
                    Ok(Step::Data { skip, len }) => {
                        data += len as u64;
                        at += skip + len;
                    }
                    Ok(Step::NeedMore) => return at_least.is_some_and(|least| data >= least),
                    // A broken body is judged when it is sent on.
                    Ok(Step::End { .. }) | Err(_) => return true,
                }
            }
        }
    }
}
