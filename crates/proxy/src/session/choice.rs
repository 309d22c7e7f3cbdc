//! Which server a request must go to, before any balancing: `use-server`, cookies, RDP cookies, stick tables.

use super::client::Client;
use super::reply::Answer;
use super::transaction::Transaction;
use super::{persist, stick};
use crate::state::{BackendState, ServerState, Target};
use balance::key;
use haproxy_config::model::{Proxy, ServerTarget};
use http::Method;
use rules::{Direction, ProxyId};
use std::net::{Ipv4Addr, SocketAddr};

/// The server that something names for this request, if it may be used. The first of: `use-server`, the cookie, the RDP
/// cookie, the stick table.
pub fn wanted_server(client: &Client, transaction: &mut Transaction, backend: ProxyId) -> Option<u32> {
    let worker = &client.worker;
    let settings = worker.plan().settings(backend);
    let holds = |rules: &[rules::Condition], transaction: &Transaction| {
        !rules.is_empty() && {
            let scope = client.scope(transaction, Direction::Request);
            rules.iter().any(|rule| rule.matches(&scope))
        }
    };
    transaction.force_persist = holds(&settings.force_persist, transaction);
    transaction.ignore_persist = !transaction.force_persist && holds(&settings.ignore_persist, transaction);
    let by_rule = use_server(client, transaction, settings);
    let by_cookie = persist::wanted_server(client, transaction, backend);
    if by_rule.is_some() {
        if by_cookie.is_some() {
            transaction.facts.termination.cookie_request = b'U';
        }
        return by_rule;
    }
    let wanted = by_cookie.or_else(|| rdp(client, settings));
    if settings.stick_rules.is_empty() {
        return wanted;
    }
    // Evaluated in any case: the rules also note what is to be stored.
    let by_table = stick::wanted_server(client, transaction, backend);
    wanted.or(by_table)
}

fn use_server(client: &Client, transaction: &Transaction, settings: &Proxy) -> Option<u32> {
    let live = client.worker.state().backend(settings.id);
    for rule in &settings.use_server {
        if let Some(condition) = &rule.condition
            && !condition.matches(&client.scope(transaction, Direction::Request))
        {
            continue;
        }
        let server = match &rule.target {
            ServerTarget::Static(id) => live.server(id.index),
            ServerTarget::Dynamic(format) => {
                let mut name = Vec::new();
                client.write_text(transaction, Direction::Request, format, &mut name);
                std::str::from_utf8(&name).ok().and_then(|name| live.server_by_name(name))
            }
        };
        // A server that is down leaves the choice to the rules behind, and to balancing.
        if let Some(server) = server
            && (server.is_usable() || settings.options.persist || transaction.force_persist)
        {
            return Some(server.id.index);
        }
    }
    None
}

/// `persist rdp-cookie`: the cookie holds the server's address as the terminal server wrote it,
/// `address.port.0000`, both as little-endian numbers.
fn rdp(client: &Client, settings: &Proxy) -> Option<u32> {
    let name = settings.rdp_persist.as_deref()?;
    let value = key::rdp_cookie_value(client.input.bytes(), name.as_bytes())?;
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split('.');
    let address: u32 = parts.next()?.parse().ok()?;
    let port: u16 = parts.next()?.parse().ok()?;
    let wanted = SocketAddr::from((Ipv4Addr::from(address.swap_bytes()), port.swap_bytes()));
    let live = client.worker.state().backend(settings.id);
    live.servers()
        .find(|server| *server.target.read() == Some(Target::Inet(wanted)))
        .filter(|server| server.is_usable() || settings.options.persist)
        .map(|server| server.id.index)
}

/// The server of the connection that this client alone uses, when the backend or the server's way of authentication
/// prefers it to balancing, and its queue is not too long (`max-keep-alive-queue`).
pub fn last_server(client: &Client, settings: &Proxy, live: &BackendState) -> Option<u32> {
    if !settings.options.prefer_last_server && !client.prefers_last_server {
        return None;
    }
    let server = &client.private.as_ref()?.server;
    let limit = live.limit_of(server);
    let has_room = limit == 0 || server.served.get() < limit;
    let is_short = |max: u32| has_room || server.queued.get() < max;
    let waits = client.prefers_last_server || settings.max_keep_alive_queue.is_none_or(is_short);
    (server.id.proxy == settings.id && server.is_usable() && waits).then_some(server.id.index)
}

/// `redir`: the client is told to ask the server itself.
pub fn redirection(transaction: &Transaction, server: &ServerState) -> Option<Answer> {
    let prefix = server.settings.redir.as_deref()?;
    let request = &transaction.request;
    if !matches!(request.method_kind(), Method::Get | Method::Head) {
        return None;
    }
    let mut bytes =
        b"HTTP/1.1 302 Found\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: ".to_vec();
    bytes.extend_from_slice(prefix.as_bytes());
    bytes.extend_from_slice(request.path_and_query());
    bytes.extend_from_slice(b"\r\n\r\n");
    Some(Answer::new(bytes))
}
