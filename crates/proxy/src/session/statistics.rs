//! Serves the statistics page to a client: the page itself is made in [`crate::stats`].

use super::client::Client;
use super::http1::After;
use super::reply;
use super::transaction::Transaction;
use haproxy_config::model::{Proxy, Stats};

/// Answers a request for the statistics.
pub async fn serve(
    client: &mut Client,
    transaction: &mut Transaction,
    _settings: &Proxy,
    _stats: &Stats,
) -> After {
    reply::answer_error(client, transaction, 503).await
}

/// Whether the request is for the statistics: their URI is a prefix of its.
pub fn matches(request: &http::Head, stats: &Stats) -> bool {
    request.uri().starts_with(&stats.uri)
}
