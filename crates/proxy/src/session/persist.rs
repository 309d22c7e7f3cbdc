//! Persistence: which server a request asks for, and how the client is told to ask for it again.

use super::client::Client;
use super::transaction::Transaction;
use crate::state::ServerState;
use haproxy_config::model::Proxy;
use rules::ProxyId;

/// The server that the request's cookie or a stick table names.
pub fn wanted_server(_client: &Client, _transaction: &mut Transaction, _backend: ProxyId) -> Option<u32> {
    None
}

/// What the server must not see, or must see otherwise.
pub fn prepare_request(
    _client: &Client,
    _transaction: &mut Transaction,
    _settings: &Proxy,
    _server: &ServerState,
) {
}

/// Sets, rewrites or removes the persistence cookie.
pub fn edit_response(
    _client: &Client,
    _transaction: &mut Transaction,
    _settings: &Proxy,
    _server: &ServerState,
) {
}
