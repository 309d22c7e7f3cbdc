//! One check on a socket: connects, sends and receives as the conversation says, and keeps its deadline.

use super::environment::CheckEnvironment;
use super::external;
use super::http2::Http2Check;
use super::outcome::Probe;
use crate::net::{ConnectOptions, SocketTuning, Stream, TlsStream, connect};
use crate::proxy_protocol::{Announcement, Endpoints, write_v1, write_v2};
use crate::state::{Running, ServerState, Target};
use crate::worker::{Shared, TlsSlot};
use checks::{Action, ConnectTo, Conversation, Outcome, Recipe, Settings};
use haproxy_config::model::{Protocol, ProxyProtocol};
use rules::Peer;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes read from a server at once.
const READ_SIZE: usize = 4096;

/// Why no connection was tried.
enum Unreachable {
    /// The server has no address now, or no port.
    NoAddress,
}

/// The connection of a check.
enum Wire {
    None,
    Open(Stream),
    /// The same of a check that speaks HTTP/2.
    Http2(Box<Http2Check>),
    /// Was established and reset before we looked; the system's words for it.
    Reset(String),
}

/// Runs one check of `server` to its end. `interval` is the one in force.
pub(super) async fn probe(
    shared: &Arc<Shared>,
    server: &ServerState,
    probe: Probe,
    recipe: Arc<Recipe>,
    interval: Duration,
) -> Outcome {
    let proxy = &shared.state.model.proxies[server.id.proxy.index()];
    if let (Probe::Health, Some(check)) = (probe, &proxy.external_check) {
        return external::probe(shared, server, check, interval).await;
    }
    let options = &proxy.check_options;
    let settings = Settings {
        interval,
        connect_timeout: proxy.timeouts.connect,
        check_timeout: proxy.timeouts.check,
        disable_on_404: options.disable_on_404 && server.running() != Running::Stopped,
        receive_max: shared.state.model.global.tune.bufsize,
    };
    let mut environment = CheckEnvironment::new(shared, server, options.send_state);
    let mut conversation = Conversation::new(recipe, settings, Instant::now());
    let mut wire = Wire::None;
    let mut ended = false;
    loop {
        match conversation.poll_action(Instant::now(), &mut environment) {
            Some(Action::Connect(to)) => {
                ended = false;
                wire = open(shared, server, probe, &to, &mut conversation).await;
            }
            Some(Action::Send(bytes)) => send(&mut conversation, &mut wire, &bytes).await,
            Some(Action::Close { linger }) => {
                if let Wire::Open(mut stream) = std::mem::replace(&mut wire, Wire::None)
                    && !linger
                {
                    stream.reset_on_close();
                }
            }
            Some(Action::Finish(outcome)) => return outcome,
            None => ended |= receive(&mut conversation, &mut wire, ended).await,
        }
    }
}

async fn open(
    shared: &Arc<Shared>,
    server: &ServerState,
    probe: Probe,
    to: &ConnectTo,
    conversation: &mut Conversation,
) -> Wire {
    let target = match target(server, probe, to) {
        Ok(target) => target,
        Err(Unreachable::NoAddress) => {
            conversation.handle_no_socket(Instant::now(), "No address");
            return Wire::None;
        }
    };
    let proxy = &shared.state.model.proxies[server.id.proxy.index()];
    let options = ConnectOptions {
        source: server.settings.source.as_ref().or(proxy.source.as_ref()),
        tuning: SocketTuning { delayed_ack: to.is_silent, ..SocketTuning::default() },
        socks4: server.settings.socks4.filter(|_| {
            let check = server.settings.check.as_ref().filter(|_| probe == Probe::Health);
            to.via_socks4 || check.is_some_and(|check| check.via_socks4)
        }),
        namespace: server.settings.namespace.as_deref().map(|name| (&shared.namespaces, name)),
        ..ConnectOptions::default()
    };
    match bounded(conversation, connect(&target, options)).await {
        Some(Ok(mut stream)) => {
            let greeting =
                greeting(server, probe, to, &stream, shared.state.model.global.pp2_never_send_local);
            if !greeting.is_empty() {
                match bounded(conversation, write_all(&mut stream, &greeting)).await {
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        conversation.handle_error(Instant::now(), &words(&error));
                        return Wire::None;
                    }
                    None => return Wire::None,
                }
            }
            let connector = speaks_tls(server, probe, to)
                .then(|| shared.tls.connector(server.id.proxy, server.id.index as usize))
                .flatten();
            if let Some(connector) = connector {
                conversation.handle_handshaking(Instant::now());
                match bounded(conversation, handshake(shared, stream, server, to, &connector)).await {
                    Some(Ok(secured)) => stream = secured,
                    Some(Err(error)) => {
                        conversation.handle_error(Instant::now(), &error);
                        return Wire::None;
                    }
                    None => return Wire::None,
                }
            }
            let http2 = conversation.speaks_http() && speaks_http2(server, probe, to, &stream);
            conversation.handle_connected(Instant::now());
            if !http2 {
                return Wire::Open(stream);
            }
            let tune = &shared.state.model.global.tune;
            Wire::Http2(Box::new(Http2Check::start(stream, tune)))
        }
        // A SYN is refused, never reset: the server accepted, and hung up before this task ran.
        Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
            conversation.handle_connected(Instant::now());
            Wire::Reset(words(&error))
        }
        Some(Err(error)) if is_our_fault(&error) => {
            conversation.handle_no_socket(Instant::now(), &words(&error));
            Wire::None
        }
        Some(Err(error)) => {
            conversation.handle_error(Instant::now(), &words(&error));
            Wire::None
        }
        None => Wire::None,
    }
}

async fn send(conversation: &mut Conversation, wire: &mut Wire, bytes: &[u8]) {
    let stream = match wire {
        Wire::Open(stream) => stream,
        Wire::Http2(check) => {
            return match bounded(conversation, check.send(bytes)).await {
                Some(Ok(())) => conversation.handle_sent(Instant::now()),
                Some(Err(error)) => conversation.handle_error(Instant::now(), &words(&error)),
                None => {}
            };
        }
        Wire::Reset(words) => return conversation.handle_error(Instant::now(), words),
        Wire::None => {
            return conversation.handle_error(Instant::now(), "Transport endpoint is not connected");
        }
    };
    match bounded(conversation, write_all(stream, bytes)).await {
        Some(Ok(())) => conversation.handle_sent(Instant::now()),
        Some(Err(error)) => conversation.handle_error(Instant::now(), &words(&error)),
        None => {}
    }
}

/// Waits for bytes or the deadline. Returns whether the stream has ended.
async fn receive(conversation: &mut Conversation, wire: &mut Wire, ended: bool) -> bool {
    let mut buffer = [0; READ_SIZE];
    let stream = match wire {
        Wire::Open(stream) if !ended => stream,
        Wire::Http2(check) if !ended => {
            return match bounded(conversation, poll_fn(|context| check.poll_response(context))).await {
                Some(Ok(Some(bytes))) => {
                    conversation.handle_bytes(&bytes);
                    false
                }
                Some(Ok(None)) => {
                    conversation.handle_eof();
                    true
                }
                Some(Err(error)) => {
                    conversation.handle_error(Instant::now(), &words(&error));
                    true
                }
                None => true,
            };
        }
        Wire::Reset(words) if !ended => {
            conversation.handle_error(Instant::now(), words);
            return true;
        }
        Wire::Open(_) | Wire::Http2(_) | Wire::Reset(_) | Wire::None => {
            let _: Option<()> = bounded(conversation, std::future::pending()).await;
            return true;
        }
    };
    match bounded(conversation, poll_fn(|context| stream.poll_read(context, &mut buffer))).await {
        Some(Ok(0)) => {
            conversation.handle_eof();
            true
        }
        Some(Ok(count)) => {
            conversation.handle_bytes(&buffer[..count]);
            false
        }
        Some(Err(error)) => {
            conversation.handle_error(Instant::now(), &words(&error));
            true
        }
        None => true,
    }
}

/// What `future` yields, or `None` when the conversation's deadline came first (it has been told).
async fn bounded<T>(conversation: &mut Conversation, future: impl Future<Output = T>) -> Option<T> {
    let Some(deadline) = conversation.poll_timeout() else { return Some(future.await) };
    match tokio::time::timeout_at(deadline.into(), future).await {
        Ok(done) => Some(done),
        Err(_) => {
            // The timer may fire a moment early; the conversation would not believe it.
            conversation.handle_timeout(Instant::now().max(deadline));
            None
        }
    }
}

/// As HAProxy: a check speaks TLS where requests do, unless it goes elsewhere; `check-ssl` and `connect ssl` ask for it.
fn speaks_tls(server: &ServerState, probe: Probe, to: &ConnectTo) -> bool {
    let Probe::Health = probe else { return false };
    let settings = &server.settings;
    let Some(check) = &settings.check else { return false };
    let requests = settings.tls.is_some() && !settings.tls_checks_only;
    let elsewhere = check.port.is_some() || check.addr.is_some();
    to.tls || (to.use_server_defaults && (check.tls || (requests && !elsewhere)))
}

/// As HAProxy: a check speaks what requests do, unless it goes elsewhere; `check-proto`, `connect proto` and ALPN decide
/// before that.
fn speaks_http2(server: &ServerState, probe: Probe, to: &ConnectTo, stream: &Stream) -> bool {
    let Probe::Health = probe else { return false };
    let settings = &server.settings;
    let Some(check) = &settings.check else { return false };
    let named = to.protocol.as_deref().or(check.proto.as_deref().filter(|_| to.use_server_defaults));
    let elsewhere = check.port.is_some() || check.addr.is_some();
    match (named, stream.alpn()) {
        (Some(protocol), _) => protocol == "h2",
        (None, Some(agreed)) => agreed == b"h2",
        (None, None) => to.use_server_defaults && !elsewhere && settings.protocol == Protocol::Http2,
    }
}

/// Does the handshake of a check; the error is HAProxy's word for it.
async fn handshake(
    shared: &Arc<Shared>,
    stream: Stream,
    server: &ServerState,
    to: &ConnectTo,
    connector: &tls::Connector,
) -> Result<Stream, String> {
    let check = server.settings.check.as_ref();
    let name = to.sni.as_deref().or_else(|| check.and_then(|check| check.sni.as_deref()));
    let own: Vec<Vec<u8>> = to.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let alpn = if own.is_empty() { check.and_then(|check| check.alpn.clone()) } else { Some(own) };
    // Checks speak HTTP/1 or less: what requests offer is not for them.
    let session =
        connector.connect(name, Some(&alpn.unwrap_or_default())).map_err(|error| error.to_string())?;
    let mut secured = TlsStream::new(stream);
    secured.hold(TlsSlot::take(shared).ok_or("Too many SSL connections")?);
    secured.begin(session, &[]);
    match poll_fn(|context| secured.poll_handshake(context)).await {
        Ok(()) => Ok(Stream::Tls(Box::new(secured))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err("Connection closed during SSL handshake".to_owned())
        }
        Err(_) if secured.failure().is_some() => Err("SSL handshake failure".to_owned()),
        Err(error) => Err(words(&error)),
    }
}

async fn write_all(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        match poll_fn(|context| stream.poll_write(context, left)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => left = &left[count..],
        }
    }
    Ok(())
}

fn target(server: &ServerState, probe: Probe, to: &ConnectTo) -> Result<Target, Unreachable> {
    let check = server.settings.check.as_ref().filter(|_| probe == Probe::Health);
    let (address, port): (Option<IpAddr>, Option<u16>) = match probe {
        Probe::Health => (check.and_then(|check| check.addr), check.and_then(|check| check.port)),
        Probe::Agent => {
            let agent = server.settings.agent.as_ref();
            (agent.and_then(|agent| agent.addr), agent.map(|agent| agent.port))
        }
    };
    let (set_address, set_port) = {
        let view = probe.view(server);
        (view.target.address, view.target.port)
    };
    let address = to.address.or(set_address).or(address);
    let port = to.port.or(set_port).or(port);
    let own = server.target.read().clone();
    match (own, address, port) {
        (Some(Target::Inet(own)), address, port) => {
            // "The client's port plus this" is port 0 here: there is no client, so only a port of the check's own helps.
            match port.unwrap_or(own.port()) {
                0 => Err(Unreachable::NoAddress),
                port => Ok(Target::Inet(SocketAddr::new(address.unwrap_or(own.ip()), port))),
            }
        }
        (_, Some(address), Some(port)) => Ok(Target::Inet(SocketAddr::new(address, port))),
        (Some(other), _, _) => Ok(other),
        (None, _, _) => Err(Unreachable::NoAddress),
    }
}

/// The PROXY header of a check: our own connection in version 1, `LOCAL` in version 2. A check that goes elsewhere than
/// the traffic does not inherit `send-proxy`.
fn greeting(
    server: &ServerState,
    probe: Probe,
    to: &ConnectTo,
    stream: &Stream,
    never_local: bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(check) = server.settings.check.as_ref().filter(|_| probe == Probe::Health) else { return out };
    let same_place =
        check.addr.is_none() && check.port.is_none() && to.address.is_none() && to.port.is_none();
    let inherits = same_place && server.settings.send_proxy.is_some();
    let wanted = to.send_proxy || (to.use_server_defaults && (check.send_proxy || inherits));
    if !wanted {
        return out;
    }
    match server.settings.send_proxy {
        Some(ProxyProtocol::V2 { .. }) => {
            // Without TLVs a header always fits.
            let told = |peer: Option<Peer>| match peer {
                Some(Peer::Inet(address)) => Some(address),
                Some(Peer::Unix) | None => None,
            };
            let ends = told(stream.local()).zip(told(stream.peer()));
            let endpoints =
                ends.filter(|_| never_local).map(|(source, destination)| Endpoints { source, destination });
            let _ = write_v2(&mut out, &Announcement { endpoints, ..Announcement::default() });
        }
        Some(ProxyProtocol::V1) | None => {
            let endpoints = match (stream.local(), stream.peer()) {
                (Some(Peer::Inet(source)), Some(Peer::Inet(destination))) => {
                    Some(Endpoints { source, destination })
                }
                (Some(Peer::Inet(_) | Peer::Unix) | None, _) => None,
            };
            write_v1(&mut out, endpoints);
        }
    }
    out
}

/// Errors before anything reached the network.
fn is_our_fault(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
        Some(
            rustix::io::Errno::MFILE
                | rustix::io::Errno::NFILE
                | rustix::io::Errno::NOBUFS
                | rustix::io::Errno::NOMEM
                | rustix::io::Errno::ADDRNOTAVAIL
        )
    )
}

/// The system's words for an error, without the number that Rust adds.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
