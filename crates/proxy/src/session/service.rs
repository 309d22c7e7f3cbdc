//! Services that answer instead of a server (`use-service`).

use super::client::Client;
use super::reply::Answer;
use super::rules::Outcome;
use super::transaction::Transaction;
use super::{compress, statistics};
use crate::stats::prometheus::{self, Wanted};
use haproxy_config::model::Proxy;
use http::{Head, Version};

/// How logs name who answers.
const APPLET: &str = "<PROMEX>";

/// `prometheus-exporter`: the statistics for Prometheus, whatever the method.
pub fn prometheus(client: &mut Client, transaction: &mut Transaction, settings: &Proxy) -> Outcome {
    let worker = std::rc::Rc::clone(&client.worker);
    worker.frontend_counters(client.frontend).intercepted.add(1);
    statistics::answered_here(client, transaction, settings, APPLET);
    compress::prepare(transaction, worker.plan().settings(client.frontend), settings);
    let Some(wanted) = Wanted::of(transaction.request.query().unwrap_or_default()) else {
        return Outcome::Error(400);
    };
    let body = prometheus::write(worker.state(), wanted);
    let mut head = Head::new();
    head.start_response(200, None, Version::Http11);
    head.add(b"cache-control", b"no-cache");
    head.add(b"content-type", b"text/plain; version=0.0.4");
    head.add(b"content-length", body.len().to_string().as_bytes());
    let mut bytes = Vec::with_capacity(head.wire_len() + body.len());
    head.write_to(&mut bytes);
    bytes.extend_from_slice(body.as_bytes());
    Outcome::Answer(Answer::new(bytes))
}
