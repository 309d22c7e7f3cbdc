//! `stick` rules: a table remembers which server a key was sent to (configuration manual, `stick on` and its family).

use super::client::Client;
use super::transaction::Transaction;
use crate::net::clock;
use crate::state::ServerState;
use haproxy_config::model::StickRule;
use rules::stick_table::Access;
use rules::{Direction, ProxyId, Value};

/// The server that a table knows for this request, if it may be used.
pub fn wanted_server(client: &Client, transaction: &mut Transaction, backend: ProxyId) -> Option<u32> {
    let worker = &client.worker;
    let rules = &worker.plan().settings(backend).stick_rules;
    let live = worker.state().backend(backend);
    let mut wanted = None;
    for (position, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.matches || rule.stores_request) {
        let scope = client.scope(transaction, Direction::Request);
        if rule.condition.as_ref().is_some_and(|condition| !condition.matches(&scope)) {
            continue;
        }
        let Some(value) = rule.key.eval(&scope).map(Value::into_owned) else { continue };
        if rule.matches
            && wanted.is_none()
            && let Some(id) = lookup(client, rule, &value)
        {
            wanted = live
                .servers()
                .find(|server| server.settings.puid == id)
                .filter(|server| server.is_usable() || transaction.force_persist)
                .map(|server| server.id.index);
        }
        if rule.stores_request {
            transaction.stick_stores.push((position, value));
        }
    }
    wanted
}

fn lookup(client: &Client, rule: &StickRule, value: &Value<'_>) -> Option<u32> {
    let table = client.worker.state().tables.get(rule.table.0 as usize)?;
    let key = table.key(value)?;
    let id = table.access(&key, clock::now(), Access::Refresh, |entry| entry.server_id())?;
    (id != 0).then_some(id)
}

/// The server has answered (or was connected to, in TCP mode): remembers it for the keys of the request, and for those
/// of the response.
pub fn store(client: &Client, transaction: &mut Transaction, backend: ProxyId, server: &ServerState) {
    let rules = &client.worker.plan().settings(backend).stick_rules;
    if rules.is_empty() || server.settings.non_stick {
        return;
    }
    let mut stores = std::mem::take(&mut transaction.stick_stores);
    for (position, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.stores_response) {
        let scope = client.scope(transaction, Direction::Response);
        if rule.condition.as_ref().is_some_and(|condition| !condition.matches(&scope)) {
            continue;
        }
        if let Some(value) = rule.key.eval(&scope).map(Value::into_owned) {
            stores.push((position, value));
        }
    }
    let now = clock::now();
    for (position, value) in &stores {
        let Some(table) = client.worker.state().tables.get(rules[*position].table.0 as usize) else {
            continue;
        };
        if let Some(key) = table.key(value) {
            let cookie = client.worker.state().backend(server.id.proxy).cookie_of(server);
            let name = cookie.as_deref().unwrap_or(server.name());
            table.access(&key, now, Access::Create, |entry| entry.set_server(server.settings.puid, name));
        }
    }
    stores.clear();
    transaction.stick_stores = stores;
}
