//! Serves the statistics page to a client: the page itself is made in [`crate::stats::page`].

use super::client::Client;
use super::http1::After;
use super::reply::{self, Answer};
use super::rules::{self as ruleset, Outcome};
use super::transaction::Transaction;
use super::{body, log};
use crate::net::clock;
use crate::stats::page::{Access, Release, Visit, Visitor, respond};
use haproxy_config::model::{Proxy, Stats};
use http::{ChunkDecoder, Framing, Method, Step};
use rules::Direction;
use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

pub use crate::stats::page::matches;

/// How logs name who answers.
const APPLET: &str = "<STATS>";

/// How long a form is waited for when `timeout http-request` says nothing.
const FORM_TIME_MAX: Duration = Duration::from_secs(86_400);

/// HAProxy's number first, so that scripts compare it, then who we are.
const RELEASE: Release<'static> =
    Release { version: haproxy_config::VERSION_TEXT, date: haproxy_config::RELEASE_DATE };

/// Answers a request for the statistics: `stats http-request` rules first, then the page.
pub async fn serve(
    client: &mut Client,
    transaction: &mut Transaction,
    settings: &Proxy,
    stats: &Stats,
) -> After {
    let worker = Rc::clone(&client.worker);
    match ruleset::http_request(client, transaction, settings, &stats.http_request).await {
        Outcome::Next => {}
        Outcome::Answer(answer) => return reply::answer(client, transaction, answer).await,
        Outcome::Error(status) => return reply::answer_error(client, transaction, status).await,
        Outcome::Close => return After::Close,
    }
    worker.frontend_counters(client.frontend).intercepted.add(1);
    answered_here(client, transaction, settings, APPLET);
    super::compress::prepare(transaction, worker.plan().settings(client.frontend), settings);
    if transaction.request.method_kind() == Method::Post {
        let time = worker.plan().proxy(client.frontend).timeouts.http_request.unwrap_or(FORM_TIME_MAX);
        if let Some(status) = body::wait(client, transaction, time, None).await {
            return reply::answer_error(client, transaction, status).await;
        }
    }
    let page = {
        let scope = client.scope(transaction, Direction::Request);
        let admin = stats.admin.iter().any(|condition| condition.matches(&scope));
        let form = form(transaction.request.request_framing(), client.input.bytes());
        let visit = Visit {
            request: &transaction.request,
            body: form.as_deref(),
            settings: stats,
            access: if admin { Access::Admin } else { Access::Look },
            connection: None,
            release: RELEASE,
        };
        respond(&visit, worker.state(), &mut Visitor { shared: &worker.shared })
    };
    reply::answer(client, transaction, Answer::new(page.bytes)).await
}

/// The facts of a request that no server sees.
pub fn answered_here(client: &Client, transaction: &mut Transaction, settings: &Proxy, applet: &'static str) {
    let now = clock::now();
    let facts = &mut transaction.facts;
    facts.applet = Some(applet);
    facts.termination.cause = b'L';
    facts.termination.phase = b'R';
    if settings.is_backend {
        facts.backend = Some(settings.id);
    }
    facts.times.queue_done = Some(now);
    facts.times.connected = Some(now);
    facts.times.response_done = Some(now);
    log::note_counts(client, transaction);
}

/// The whole body in `bytes`; `None` when it did not fit the buffer.
fn form(framing: Framing, bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    match framing {
        Framing::None => Some(Cow::Borrowed(b"")),
        Framing::UntilClose => Some(Cow::Borrowed(bytes)),
        Framing::Length(length) => bytes.get(..usize::try_from(length).ok()?).map(Cow::Borrowed),
        Framing::Chunked => {
            let mut decoder = ChunkDecoder::new();
            let (mut at, mut form) = (0, Vec::new());
            loop {
                match decoder.next(&bytes[at..]) {
                    Ok(Step::Data { skip, len }) => {
                        form.extend_from_slice(bytes.get(at + skip..at + skip + len)?);
                        at += skip + len;
                    }
                    Ok(Step::End { .. }) => return Some(Cow::Owned(form)),
                    Ok(Step::NeedMore) | Err(_) => return None,
                }
            }
        }
    }
}
