//! TLS with the client: the hello, the choice of a certificate, the handshake, and what is said of one that fails.

use super::client::{Client, Filled};
use crate::net::clock;
use crate::worker::TlsSlot;
use haproxy_config::model::{Mode, Proxy};
use rules::ConnectionError;
use rules::tls::{HelloCapture, TlsError, TlsFacts};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tls::hello::{self, Hello, Parsed};
use tls::{Listener, Session};

/// Bytes read at once while a hello is expected: with post-quantum keys it has about 1800.
const READ: usize = 4096;

/// Alerts of RFC 8446 §6.2.
const UNRECOGNIZED_NAME: u8 = 112;

/// Failures as HAProxy numbers and words them.
const CLOSED: ConnectionError = ConnectionError { code: 24, text: "Connection closed during SSL handshake" };
const BROKEN: ConnectionError = ConnectionError { code: 25, text: "Connection error during SSL handshake" };
const TIMEOUT: ConnectionError = ConnectionError { code: 26, text: "Timeout during SSL handshake" };
const TOO_MANY: ConnectionError = ConnectionError { code: 27, text: "Too many SSL connections" };
const AUTHORITY: ConnectionError =
    ConnectionError { code: 30, text: "SSL client CA chain cannot be verified" };
const CERTIFICATE: ConnectionError = ConnectionError { code: 31, text: "SSL client certificate not trusted" };
const FAILURE: ConnectionError = ConnectionError { code: 34, text: "SSL handshake failure" };

/// Why there is no TLS.
struct Refusal {
    error: ConnectionError,
    /// What is known beyond HAProxy's words.
    detail: Option<String>,
}

impl From<ConnectionError> for Refusal {
    fn from(error: ConnectionError) -> Refusal {
        Refusal { error, detail: None }
    }
}

/// Does the handshake; returns whether the connection goes on.
pub async fn accept(client: &mut Client, settings: &Proxy, listener: &Arc<Listener>) -> bool {
    let worker = Rc::clone(&client.worker);
    let process = &worker.state().process;
    let now = clock::now();
    let timeouts = worker.plan().proxy(client.frontend).timeouts;
    // Whoever waits for a request only so long waits no longer for what comes before it.
    let request = timeouts.http_request.filter(|_| settings.mode == Mode::Http);
    let timeout = match (timeouts.handshake, request) {
        (Some(handshake), Some(request)) => Some(handshake.min(request)),
        (one, other) => one.or(other),
    };
    client.expect_within(timeout, now);
    let result = match (TlsSlot::take(&worker.shared), client.stream.tls_mut()) {
        (Some(slot), Some(stream)) => {
            stream.hold(slot);
            handshake(client, listener).await
        }
        (None, _) => Err(TOO_MANY.into()),
        (Some(_), None) => Err(FAILURE.into()),
    };
    let counters = worker.frontend_counters(client.frontend);
    match result {
        Ok(facts) => {
            // A session is counted once, however often it is resumed.
            if facts.is_resumed {
                counters.tls_resumed.add(1)
            } else {
                counters.tls_sessions.add(1)
            }
            worker.counters.tls_connections.add(1);
            if !facts.is_resumed {
                process.tls_keys_rate.add(worker.millis(now));
            }
            client.tls = Some(Arc::new(facts));
            client.handshake_done = Some(clock::now());
            true
        }
        Err(refusal) => {
            counters.failed_requests.add(1);
            counters.tls_failed.add(1);
            refused(client, settings, refusal);
            false
        }
    }
}

async fn handshake(client: &mut Client, listener: &Arc<Listener>) -> Result<TlsFacts, Refusal> {
    let hello = read_hello(client).await?;
    let name = hello.as_ref().and_then(|hello| hello.server_name.clone());
    let entry = hello.as_ref().and_then(|hello| listener.choose(hello));
    if let (Some(_), None) = (&hello, &entry) {
        if let Some(tls) = client.stream.tls() {
            tls.refuse(UNRECOGNIZED_NAME);
        }
        let name = name.as_deref().unwrap_or("none");
        return Err(Refusal {
            error: FAILURE,
            detail: Some(format!("no certificate for the server name {name}")),
        });
    }
    let own = entry.as_ref().map(|entry| Arc::clone(&entry.certificate.chain));
    let config = match (&entry, &hello) {
        (Some(entry), Some(hello)) => Some(entry.config_for(hello)),
        _ => listener.any(),
    };
    let session = match config.map(Session::server) {
        Some(Ok(session)) => session,
        Some(Err(_)) | None => return Err(FAILURE.into()),
    };
    let Some(stream) = client.stream.tls_mut() else { return Err(FAILURE.into()) };
    stream.begin(session, client.input.bytes());
    client.input.clear();
    let result = poll_fn(|context| {
        let Some(stream) = client.stream.tls_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match stream.poll_handshake(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => client.deadline.poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    })
    .await;
    let Some(stream) = client.stream.tls_mut() else { return Err(FAILURE.into()) };
    let mut facts = stream.take_facts();
    facts.own = own;
    facts.server_name = name.map(Into::into);
    facts.sent_name = hello.as_ref().and_then(|hello| hello.sent_name.as_deref().map(Into::into));
    facts.client_random = hello.as_ref().map(|hello| hello.random);
    facts.capture =
        hello.filter(|_| listener.capture_size > 0).map(|hello| capture(hello, listener.capture_size));
    match result {
        Ok(()) => Ok(facts),
        Err(error) => {
            let refusal = match (error.kind(), stream.failure()) {
                (io::ErrorKind::TimedOut, _) => TIMEOUT.into(),
                (io::ErrorKind::UnexpectedEof, _) => CLOSED.into(),
                (_, Some(failure)) => reason(failure, &mut facts),
                (_, None) => BROKEN.into(),
            };
            client.tls = Some(Arc::new(facts));
            Err(refusal)
        }
    }
}

/// Reads until the hello is whole. `None`: what came is none, and TLS says so to whoever sent it.
async fn read_hello(client: &mut Client) -> Result<Option<Box<Hello>>, Refusal> {
    loop {
        if !client.input.is_empty() {
            match hello::parse(client.input.bytes()) {
                Parsed::Complete(hello) => return Ok(Some(hello)),
                Parsed::NotTls => return Ok(None),
                Parsed::Partial => {}
            }
        }
        match poll_fn(|context| client.poll_fill(context, READ)).await {
            Filled::Bytes => {}
            Filled::Closed => return Err(CLOSED.into()),
            Filled::Failed(_) => return Err(BROKEN.into()),
            Filled::TimedOut => return Err(TIMEOUT.into()),
        }
    }
}

/// HAProxy's number and words for a failure of the protocol, and ours beside them.
fn reason(failure: &tls::Error, facts: &mut TlsFacts) -> Refusal {
    let text = failure.to_string();
    facts.error = Some(TlsError { code: tls::error_code(failure), text: text.as_str().into() });
    let error = match failure {
        tls::Error::InvalidCertificate(_) if facts.verify != 0 && facts.ca_error_depth > 0 => AUTHORITY,
        tls::Error::InvalidCertificate(_) => CERTIFICATE,
        _ => FAILURE,
    };
    Refusal { error, detail: Some(text) }
}

fn capture(hello: Box<Hello>, max: usize) -> Box<HelloCapture> {
    let cut = |mut list: Vec<u8>| {
        list.truncate(max);
        list
    };
    Box::new(HelloCapture {
        version: hello.version,
        ciphers: cut(hello.ciphers),
        extensions: cut(hello.extensions),
        groups: cut(hello.groups),
        point_formats: cut(hello.point_formats),
    })
}

fn refused(client: &mut Client, settings: &Proxy, refusal: Refusal) {
    client.error = refusal.error;
    // Probes that connect and leave are not worth a line, where lines of nothing are not wanted.
    let probe = refusal.error == CLOSED && client.input.is_empty() && client.tls.is_none();
    if probe && settings.options.dontlognull {
        return;
    }
    match refusal.detail {
        None => super::log::connection_error(client, settings, refusal.error.text),
        Some(detail) => {
            super::log::connection_error(client, settings, &format!("{} ({detail})", refusal.error.text));
        }
    }
}
