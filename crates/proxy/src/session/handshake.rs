//! Before the first byte of the application: `tcp-request connection` rules, the PROXY protocol, TLS, session rules.

use super::client::{Client, Filled};
use super::content::{self, Decision};
use super::transaction::Transaction;
use crate::net::clock;
use crate::proxy_protocol::{self, NETSCALER_TEXTS, PROXY_TEXTS, Parsed};
use haproxy_config::model::Proxy;
use rules::{Direction, Peer, ProxyHeader, TcpAction};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes read at once while a header is expected.
const READ: usize = 2048;

/// Returns whether the connection goes on.
pub async fn handshake(client: &mut Client) -> bool {
    let worker = Rc::clone(&client.worker);
    let settings = worker.plan().settings(client.frontend);
    let bind = &settings.binds[client.listener as usize];
    let connection_rules = !settings.tcp_request_connection.is_empty();
    let accepts_behind_rules = bind.accept_proxy && !bind.header_before_rules;
    if bind.header_before_rules && !header(client, settings, Kind::Proxy).await {
        return false;
    }
    if connection_rules {
        let mut transaction = client.begin();
        let decision = content::connection(client, &mut transaction, &settings.tcp_request_connection);
        let expects = |wanted: fn(&TcpAction) -> bool| expects(client, &transaction, settings, wanted);
        let expects_proxy = expects(|action| matches!(action, TcpAction::ExpectProxy));
        let expects_netscaler = expects(|action| matches!(action, TcpAction::ExpectNetscalerCip));
        Transaction::give(transaction);
        if decision == Decision::Reject {
            worker.frontend_counters(client.frontend).denied_connections.add(1);
            client.count_at_listener(|counters| &counters.denied_connections, 1);
            // A rejected connection leaves no trace: RST, and no state in the kernel.
            client.stream.reset_on_close();
            return false;
        }
        if (expects_proxy || accepts_behind_rules) && !header(client, settings, Kind::Proxy).await {
            return false;
        }
        // Without a number on the `bind` line it is zero, as in HAProxy.
        let magic = bind.netscaler_cip.or(expects_netscaler.then_some(0));
        if let Some(magic) = magic
            && !header(client, settings, Kind::Netscaler { magic }).await
        {
            return false;
        }
    } else {
        if accepts_behind_rules && !header(client, settings, Kind::Proxy).await {
            return false;
        }
        if let Some(magic) = bind.netscaler_cip
            && !header(client, settings, Kind::Netscaler { magic }).await
        {
            return false;
        }
    }
    if let Some(listener) = worker.shared.tls.listener(client.frontend, client.listener as usize)
        && !super::secure::accept(client, settings, listener).await
    {
        return false;
    }
    if !settings.tcp_request_session.is_empty() {
        let mut transaction = client.begin();
        let decision = content::connection(client, &mut transaction, &settings.tcp_request_session);
        Transaction::give(transaction);
        if decision == Decision::Reject {
            worker.frontend_counters(client.frontend).denied_sessions.add(1);
            client.count_at_listener(|counters| &counters.denied_sessions, 1);
            return false;
        }
    }
    true
}

/// A header before the application's first byte.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Proxy,
    Netscaler { magic: u32 },
}

/// Whether an `expect-… layer4` rule applies to this connection.
fn expects(
    client: &Client,
    transaction: &Transaction,
    settings: &Proxy,
    wanted: fn(&TcpAction) -> bool,
) -> bool {
    settings.tcp_request_connection.iter().any(|rule| {
        wanted(&rule.action)
            && rule
                .condition
                .as_ref()
                .is_none_or(|condition| condition.matches(&client.scope(transaction, Direction::Request)))
    })
}

/// Reads the header: from here on the client is who it says. Logs and refuses what is none.
async fn header(client: &mut Client, settings: &Proxy, kind: Kind) -> bool {
    let texts = match kind {
        Kind::Proxy => PROXY_TEXTS,
        Kind::Netscaler { .. } => NETSCALER_TEXTS,
    };
    let worker = Rc::clone(&client.worker);
    let timeouts = worker.plan().proxy(client.frontend).timeouts;
    client.expect_within(timeouts.handshake, client.accept);
    let failure = loop {
        if !client.input.is_empty() {
            let parsed = match kind {
                Kind::Proxy => proxy_protocol::parse(client.input.bytes()),
                Kind::Netscaler { magic } => proxy_protocol::parse_netscaler(client.input.bytes(), magic),
            };
            match parsed {
                Ok(Parsed::Complete { consumed, header }) => {
                    if let Some(endpoints) = header.endpoints {
                        client.src = Some(Peer::Inet(endpoints.source));
                        client.dst = Some(Peer::Inet(endpoints.destination));
                    }
                    if let Kind::Proxy = kind {
                        client.proxy_header = Some(Arc::new(ProxyHeader {
                            authority: header.authority().map(Into::into),
                            unique_id: header.unique_id().map(Into::into),
                        }));
                    }
                    client.input.consume(consumed);
                    client.handshake_done = Some(clock::now());
                    return true;
                }
                // The sender writes it in one go, so that it comes in one piece.
                Ok(Parsed::Partial) => break texts.truncated,
                Err(error) => {
                    client.stream.reset_on_close();
                    break error.log_text();
                }
            }
        }
        match poll_fn(|context| client.poll_fill(context, READ)).await {
            Filled::Bytes => {}
            Filled::Closed | Filled::Failed(_) if client.input.is_empty() => break texts.closed,
            Filled::Closed | Filled::Failed(_) => break texts.truncated,
            Filled::TimedOut => break texts.timeout,
        }
    };
    let silent = settings.options.dontlognull && client.input.is_empty();
    if !silent {
        super::log::connection_error(client, settings, failure);
    }
    client.input.clear();
    false
}
