//! `cache-use` and `cache-store`: answers from a cache, and responses on their way into one.

use super::client::Client;
use super::reply::Answer;
use super::rules::{self as ruleset, Outcome};
use super::transaction::Transaction;
use super::{compress, statistics};
use crate::cache::{CacheRequest, Fill, Object, policy};
use crate::net::clock;
use haproxy_config::model::Proxy;
use http::{FieldKind, Limits, Method, Parsed};
use std::rc::Rc;
use std::sync::Arc;

/// How logs name who answers.
const APPLET: &str = "<CACHE>";

/// What was kept was within the limits of its time; rules may have made it longer.
const HEAD_MAX: usize = 1 << 20;
const FIELDS_MAX: usize = 1000;

fn now(client: &Client) -> u64 {
    client.worker.state().clock.wall(clock::now()).0.as_secs()
}

/// `cache-use`: what is kept for this request. Remembers the request's key for `cache-store` too.
pub fn find(
    client: &Client,
    transaction: &mut Transaction,
    settings: &Proxy,
    name: &str,
) -> Option<Arc<Object>> {
    let worker = &client.worker;
    let cache = worker.shared.caches.by_name(name)?;
    let request = transaction.cache_request.insert(Box::new(CacheRequest::of(&transaction.request)));
    if !request.looks_up {
        return None;
    }
    // A rule of a backend counts there, even in a `listen` section.
    let in_backend = settings.id != client.frontend;
    let front = worker.frontend_counters(client.frontend);
    let back = worker.backend_counters(settings.id);
    let (lookups, hits) = if in_backend {
        (&back.cache_lookups, &back.cache_hits)
    } else {
        (&front.cache_lookups, &front.cache_hits)
    };
    lookups.add(1);
    let object = cache.find(request, now(client))?;
    hits.add(1);
    transaction.facts.cache = Some(Arc::clone(&cache.name));
    Some(object)
}

/// The answer made of a kept response, after the response rules.
pub fn answer(
    client: &mut Client,
    transaction: &mut Transaction,
    settings: &Proxy,
    object: &Object,
) -> Outcome {
    let worker = Rc::clone(&client.worker);
    let front = worker.plan().settings(client.frontend);
    worker.frontend_counters(client.frontend).intercepted.add(1);
    statistics::answered_here(client, transaction, settings, APPLET);
    compress::prepare(transaction, front, settings);
    transaction.response.clear();
    let limits = Limits { max_head: HEAD_MAX, max_fields: FIELDS_MAX, accept_invalid: true };
    if !matches!(
        http::parse_response(&object.head, &limits, &mut transaction.response),
        Ok(Parsed::Complete { .. })
    ) {
        return Outcome::Error(500);
    }
    let head = &mut transaction.response;
    if !head.has(FieldKind::ContentLength) {
        head.add(b"content-length", object.body.len().to_string().as_bytes());
    }
    let has_it = policy::is_not_modified(&transaction.request, object.etag.as_deref(), object.modified);
    if has_it {
        head.set_status(304, None);
    }
    head.add(b"age", object.age(now(client)).to_string().as_bytes());
    let counted_head = Some(super::counted_head(&transaction.response));
    transaction.facts.status = transaction.response.status();
    transaction.variables.begin_response();
    transaction.facts.response_version = Some(transaction.response.version());
    super::response::capture(transaction, front);
    let sections = [settings, front];
    let sections = if settings.id == front.id { &sections[..1] } else { &sections[..] };
    for section in sections {
        match ruleset::http_response(client, transaction, &section.http_response) {
            Outcome::Next => {}
            other @ (Outcome::Answer(_) | Outcome::Error(_) | Outcome::Close) => return other,
        }
    }
    let body = if has_it { &[][..] } else { &object.body[..] };
    let mut bytes = Vec::with_capacity(transaction.response.wire_len() + body.len());
    transaction.response.write_to(&mut bytes);
    bytes.extend_from_slice(body);
    Outcome::Answer(Answer { counted_head, ..Answer::new(bytes) })
}

/// `cache-store`: begins to keep the response that is here, or forgets what it outdates.
pub fn store(client: &Client, transaction: &mut Transaction, name: &str) {
    let Some(request) = &transaction.cache_request else { return };
    let Some(cache) = client.worker.shared.caches.by_name(name) else { return };
    if transaction.facts.cache.is_some() {
        return;
    }
    match transaction.request.method_kind() {
        Method::Get => {
            transaction.cache_fill = Fill::begin(cache, request, &mut transaction.response, now(client));
        }
        // Safe methods change nothing (RFC 9110 §9.2.1).
        Method::Head | Method::Options | Method::Trace => {}
        // The others do, where they succeed (RFC 9111 §4.4).
        Method::Post | Method::Put | Method::Delete | Method::Connect | Method::Other
            if matches!(transaction.response.status(), 200..=399) && request.is_new =>
        {
            cache.forget(&request.key);
        }
        Method::Post | Method::Put | Method::Delete | Method::Connect | Method::Other => {}
    }
}
