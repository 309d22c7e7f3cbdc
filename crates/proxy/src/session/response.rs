//! What is done to a response's head before it goes to the client: rules, persistence cookies, added fields.

use super::client::Client;
use super::transaction::Transaction;
use crate::state::ServerState;
use haproxy_config::model::Proxy;

/// Applies everything that changes the head.
pub fn finish_head(
    client: &mut Client,
    transaction: &mut Transaction,
    settings: &Proxy,
    server: &ServerState,
) {
    super::persist::edit_response(client, transaction, settings, server);
}
