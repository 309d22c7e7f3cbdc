//! TLS with the server: its name, the handshake within `timeout connect`, and what becomes known by it.

use super::client::Client;
use super::dispatch::{Abort, client_left};
use super::exchange::{Failure, Stage};
use super::transaction::Transaction;
use crate::net::{Stream, TlsStream};
use crate::state::ServerState;
use crate::worker::TlsSlot;
use rules::tls::{TlsError, TlsFacts};
use rules::{ConnectionError, Direction};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tls::Connector;

/// Longest host name (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;

/// Failures as HAProxy numbers and words them.
const CLOSED: ConnectionError = ConnectionError { code: 24, text: "Connection closed during SSL handshake" };
const BROKEN: ConnectionError = ConnectionError { code: 25, text: "Connection error during SSL handshake" };
const TOO_MANY: ConnectionError = ConnectionError { code: 27, text: "Too many SSL connections" };
const MISMATCH: ConnectionError =
    ConnectionError { code: 33, text: "Server presented an SSL certificate different from the expected one" };
const FAILURE: ConnectionError = ConnectionError { code: 34, text: "SSL handshake failure" };

/// OpenSSL's number of a name that does not match.
const HOSTNAME_MISMATCH: u16 = 62;

/// The name that `sni` gives for this request. Connections with different names are never mixed.
pub fn name(client: &Client, transaction: &Transaction, server: &ServerState) -> Option<Box<str>> {
    let tls = server.settings.tls.as_ref().filter(|_| !server.settings.tls_checks_only)?;
    let expression = tls.sni.as_ref()?;
    let scope = client.scope(transaction, Direction::Request);
    let value = expression.eval_text(&scope)?;
    let text = std::str::from_utf8(&value).ok()?;
    (!text.is_empty() && text.len() <= NAME_MAX).then(|| text.to_ascii_lowercase().into())
}

/// What speaks TLS with `server`, where requests to it do.
pub fn connector(client: &Client, server: &ServerState) -> Option<Arc<Connector>> {
    let encrypted = server.settings.tls.is_some() && !server.settings.tls_checks_only;
    encrypted.then(|| client.worker.shared.tls.connector(server.id.proxy, server.id.index as usize)).flatten()
}

/// Does the handshake over `stream`, which begins with `greeting` in the clear. The client's deadline bounds it. `alpn`
/// replaces what the server's line offers.
#[allow(clippy::too_many_arguments)] // each is one thing of the connection that is opened
pub async fn connect(
    client: &mut Client,
    transaction: &mut Transaction,
    stream: Stream,
    connector: &Connector,
    name: Option<&str>,
    greeting: &[u8],
    alpn: Option<&[Vec<u8>]>,
    abort_on_close: bool,
) -> Result<(Stream, TlsFacts), Failure> {
    let failed = Failure::Server(Stage::Connect { timed_out: false });
    let Ok(session) = connector.connect(name, alpn) else { return Err(failed) };
    let worker = Rc::clone(&client.worker);
    let mut tls = TlsStream::new(stream);
    match TlsSlot::take(&worker.shared) {
        Some(slot) => tls.hold(slot),
        None => {
            transaction.facts.server_error = TOO_MANY;
            return Err(Failure::Abort(Abort { status: Some(500), cause: b'I', phase: b'C' }));
        }
    }
    let mut begin = Some(session);
    let mut sent = 0;
    let result = poll_fn(|context| {
        while sent < greeting.len() {
            match tls.poll_write(context, &greeting[sent..]) {
                Poll::Ready(Ok(count)) if count > 0 => sent += count,
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Err(error)) => return Poll::Ready(Ok(Err(error))),
                Poll::Pending => return client.deadline.poll(context).map(|()| Err(timed_out())),
            }
        }
        if let Some(session) = begin.take() {
            tls.begin(session, &[]);
        }
        if let Poll::Ready(done) = tls.poll_handshake(context) {
            return Poll::Ready(Ok(done));
        }
        if client_left(client, context, abort_on_close) {
            let abort = Abort { status: Some(503), cause: b'C', phase: b'C' };
            return Poll::Ready(Err(Failure::Abort(abort)));
        }
        client.deadline.poll(context).map(|()| Err(timed_out()))
    })
    .await?;
    let mut facts = tls.take_facts();
    facts.server_name = name.map(Into::into);
    let counted = transaction.facts.server.map(|server| {
        (worker.server_counters(worker.state().server(server).slot), worker.backend_counters(server.proxy))
    });
    match result {
        Ok(()) => {
            worker.counters.tls_connections.add(1);
            if !facts.is_resumed {
                worker.state().process.tls_server_keys_rate.add(worker.millis(Instant::now()));
            }
            if let Some((server, backend)) = counted {
                if facts.is_resumed {
                    server.tls_resumed.add(1);
                    backend.tls_resumed.add(1);
                } else {
                    server.tls_sessions.add(1);
                    backend.tls_sessions.add(1);
                }
            }
            Ok((Stream::Tls(Box::new(tls)), facts))
        }
        Err(error) => {
            transaction.facts.server_error = match (error.kind(), tls.failure()) {
                (io::ErrorKind::UnexpectedEof, _) => CLOSED,
                (_, Some(failure)) => {
                    let text = failure.to_string().into();
                    facts.error = Some(TlsError { code: tls::error_code(failure), text });
                    if facts.verify == HOSTNAME_MISMATCH { MISMATCH } else { FAILURE }
                }
                (_, None) => BROKEN,
            };
            transaction.facts.server_tls = Some(Arc::new(facts));
            if let Some((server, backend)) = counted {
                server.tls_failed.add(1);
                backend.tls_failed.add(1);
            }
            Err(failed)
        }
    }
}

fn timed_out() -> Failure {
    Failure::Server(Stage::Connect { timed_out: true })
}
