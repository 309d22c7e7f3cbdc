//! From a request to a backend, or to an answer: the rules of the frontend, then those of the backend.
//!
//! ```text
//!  content rules ─► monitor-uri ─► http-request ─► stats ─► redirect     (frontend)
//!    ─► use_backend / default_backend
//!    ─► content rules ─► http-request ─► stats ─► redirect               (backend)
//!    ─► fields that options add ─► dispatch
//! ```

use super::client::Client;
use super::http1::After;
use super::rules::{self as ruleset, Outcome};
use super::transaction::Transaction;
use super::{body, compress, content, reply};
use haproxy_config::model::{
    AddressHeader, BackendTarget, BalanceKey, CookieCapture, HttpConnection, Mode, Network, Proxy,
    RestrictNames,
};
use http::Version;
use rules::{Direction, Peer, ProxyId};
use std::net::IpAddr;
use std::rc::Rc;

/// Where a request goes.
pub enum Route {
    Backend(ProxyId),
    /// It was answered here.
    Answered(After),
}

/// Decides where the request goes.
pub async fn route(client: &mut Client, transaction: &mut Transaction) -> Route {
    let worker = Rc::clone(&client.worker);
    let plan = worker.plan();
    let front = plan.settings(client.frontend);
    capture_request(transaction, front);
    if let Some(format) = &front.unique_id_format {
        let mut id = Vec::new();
        client.write_text(transaction, Direction::Request, format, &mut id);
        transaction.facts.unique_id = Some(id);
    }
    if let Some(answered) = monitor(client, transaction, front).await {
        return Route::Answered(answered);
    }
    if let Some(answered) = section(client, transaction, front).await {
        return Route::Answered(answered);
    }
    let Some(backend) = choose(client, transaction, front) else {
        transaction.facts.termination.cause = b'S';
        transaction.facts.termination.phase = b'C';
        return Route::Answered(reply::answer_error(client, transaction, 503).await);
    };
    if plan.settings(backend).mode != Mode::Http {
        // Only a connection that changed from TCP to HTTP comes here: there is no way back.
        transaction.facts.termination.cause = b'S';
        transaction.facts.termination.phase = b'C';
        return Route::Answered(reply::answer_error(client, transaction, 503).await);
    }
    transaction.facts.backend = Some(backend);
    if backend != client.frontend {
        let back = plan.settings(backend);
        if let Some(answered) = section(client, transaction, back).await {
            return Route::Answered(answered);
        }
    }
    let back = plan.settings(backend);
    if wants_body(transaction, front, back)
        && let Some(status) = {
            let time = plan.proxy(client.frontend).timeouts.http_request.unwrap_or(std::time::Duration::MAX);
            body::wait(client, transaction, time.min(std::time::Duration::from_secs(86_400)), None).await
        }
    {
        return Route::Answered(reply::answer_error(client, transaction, status).await);
    }
    if !restrict_names(transaction, front, back) {
        transaction.facts.termination.cause = b'P';
        transaction.facts.termination.phase = b'R';
        return Route::Answered(reply::answer_error(client, transaction, 403).await);
    }
    prepare(transaction, front, back);
    compress::prepare(transaction, front, back);
    transaction.request_compression =
        compress::request(client, &transaction.request, transaction.request.request_framing(), back);
    Route::Backend(backend)
}

/// The rules of one section, statistics included.
async fn section(client: &mut Client, transaction: &mut Transaction, settings: &Proxy) -> Option<After> {
    if !settings.tcp_request_content.is_empty()
        && content::request(client, transaction, settings).await == content::Decision::Reject
    {
        hang_up(client);
        return Some(After::Close);
    }
    let mut outcome = Outcome::Next;
    if !settings.http_request.is_empty() {
        outcome = ruleset::http_request(client, transaction, settings, &settings.http_request).await;
    }
    if matches!(outcome, Outcome::Next)
        && let Some(stats) = &settings.stats
        && super::statistics::matches(&transaction.request, stats)
    {
        return Some(super::statistics::serve(client, transaction, settings, stats).await);
    }
    if matches!(outcome, Outcome::Next) && !settings.redirects.is_empty() {
        outcome = ruleset::http_request(client, transaction, settings, &settings.redirects).await;
    }
    match outcome {
        Outcome::Next => None,
        Outcome::Answer(answer) => Some(reply::answer(client, transaction, answer).await),
        Outcome::Error(status) => Some(reply::answer_error(client, transaction, status).await),
        Outcome::Close => {
            hang_up(client);
            Some(After::Close)
        }
    }
}

/// A rejected request ends the whole connection, not its stream alone.
fn hang_up(client: &mut Client) {
    if let Some(stream) = client.stream.as_http2() {
        stream.link.hang_up();
    }
}

/// Where a TCP connection goes.
pub enum TcpRoute {
    Backend(ProxyId),
    /// A rule or the mode of the backend says that it carries HTTP.
    Http,
    Closed,
}

/// The backend of a TCP connection.
pub async fn route_tcp(client: &mut Client, transaction: &mut Transaction) -> TcpRoute {
    let worker = Rc::clone(&client.worker);
    let plan = worker.plan();
    let front = plan.settings(client.frontend);
    if !front.tcp_request_content.is_empty() {
        match content::request(client, transaction, front).await {
            content::Decision::Accept => {}
            content::Decision::Reject | content::Decision::Close | content::Decision::Dropped => {
                return TcpRoute::Closed;
            }
            content::Decision::Http => return TcpRoute::Http,
        }
    }
    let Some(backend) = choose(client, transaction, front) else {
        transaction.facts.termination.cause = b'S';
        transaction.facts.termination.phase = b'C';
        return TcpRoute::Closed;
    };
    let back = plan.settings(backend);
    if back.mode == Mode::Http {
        return TcpRoute::Http;
    }
    transaction.facts.backend = Some(backend);
    if backend != client.frontend
        && !back.tcp_request_content.is_empty()
        && content::request(client, transaction, back).await == content::Decision::Reject
    {
        return TcpRoute::Closed;
    }
    TcpRoute::Backend(backend)
}

fn choose(client: &Client, transaction: &Transaction, front: &Proxy) -> Option<ProxyId> {
    for rule in &front.use_backend {
        if let Some(condition) = &rule.condition
            && !condition.matches(&client.scope(transaction, Direction::Request))
        {
            continue;
        }
        match &rule.target {
            BackendTarget::Static(backend) => return Some(*backend),
            BackendTarget::Dynamic(format) => {
                let mut name = Vec::new();
                client.write_text(transaction, Direction::Request, format, &mut name);
                let known = std::str::from_utf8(&name).ok();
                if let Some(backend) = known.and_then(|name| client.worker.plan().by_name.get(name)) {
                    return Some(*backend);
                }
                // A name that no backend has: the default one, as HAProxy.
                break;
            }
        }
    }
    front.default_backend.or(front.is_backend.then_some(client.frontend))
}

/// `monitor-uri`: 200, or 503 when a `monitor fail` condition holds. Not logged as a request of anybody.
async fn monitor(client: &mut Client, transaction: &mut Transaction, front: &Proxy) -> Option<After> {
    let uri = front.monitor_uri.as_deref()?;
    let request = &transaction.request;
    // Over HTTP/2 the URI is absolute, and what is meant is its path.
    let asked = if request.version() == Version::Http2 { request.path_and_query() } else { request.uri() };
    if asked != uri {
        return None;
    }
    let failing =
        front.monitor_fail.iter().any(|rule| rule.matches(&client.scope(transaction, Direction::Request)));
    let status = if failing { 503 } else { 200 };
    transaction.facts.termination.cause = b'L';
    transaction.facts.termination.phase = b'R';
    client.worker.frontend_counters(client.frontend).intercepted.add(1);
    // Whoever monitors asks too often for the log.
    transaction.log_level = Some(None);
    Some(reply::answer_error(client, transaction, status).await)
}

/// `capture request header` and `capture cookie`; the places for what responses bring are empty from now on.
fn capture_request(transaction: &mut Transaction, front: &Proxy) {
    transaction.facts.response_captures.resize(front.response_captures.len());
    if front.request_captures.is_empty() && front.cookie_capture.is_none() {
        return;
    }
    for capture in &front.request_captures {
        let value = if capture.name.is_empty() {
            None
        } else {
            transaction.request.nth_line(capture.name.as_bytes(), -1)
        };
        let kept = value.map(|value| value[..value.len().min(capture.length)].to_vec());
        transaction.facts.request_captures.push(kept);
    }
    if let Some(wanted) = &front.cookie_capture {
        let found = transaction
            .request
            .lines(b"cookie")
            .flat_map(http::cookie::Cookies::new)
            .find(|cookie| is_wanted(wanted, cookie.name));
        transaction.facts.cookie_capture_request =
            found.map(|cookie| keep(wanted, cookie.name, cookie.value));
    }
}

/// Whether `capture cookie` means a cookie of that name.
pub fn is_wanted(wanted: &CookieCapture, name: &[u8]) -> bool {
    if wanted.prefix { name.starts_with(wanted.name.as_bytes()) } else { name == wanted.name.as_bytes() }
}

/// What the log keeps of a cookie: `name=value`, cut.
pub fn keep(wanted: &CookieCapture, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut kept = [name, b"=", value].concat();
    kept.truncate(wanted.length);
    kept
}

fn wants_body(transaction: &Transaction, front: &Proxy, back: &Proxy) -> bool {
    front.options.http_buffer_request
        || back.options.http_buffer_request
        // Looked for in the body of a POST with and without `check_post`, as measured.
        || (matches!(back.balance.key, BalanceKey::UrlParam { .. })
            && transaction.request.method_kind() == http::Method::Post)
}

/// `option http-restrict-req-hdr-names`: false when a name outside of letters, digits and `-` refuses the request.
fn restrict_names(transaction: &mut Transaction, front: &Proxy, back: &Proxy) -> bool {
    let options = [front.options.http_restrict_req_hdr_names, back.options.http_restrict_req_hdr_names];
    let is_odd = |name: &[u8]| !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    if options.contains(&Some(RestrictNames::Reject)) {
        return !transaction.request.fields().any(|(name, _)| is_odd(name));
    }
    if options.contains(&Some(RestrictNames::Delete)) {
        transaction.request.remove_matching(&mut |name| is_odd(name));
    }
    true
}

/// Fields that the options of both proxies add or take away.
fn prepare(transaction: &mut Transaction, front: &Proxy, back: &Proxy) {
    if let (Some(header), Some(id)) = (&front.unique_id_header, &transaction.facts.unique_id) {
        transaction.request.set(header.as_bytes(), id);
    }
    let facts = &transaction.facts;
    add_address(&mut transaction.request, front.forwardfor.as_ref(), back.forwardfor.as_ref(), facts.src);
    add_address(&mut transaction.request, front.originalto.as_ref(), back.originalto.as_ref(), facts.dst);
    let pretend = front.options.http_pretend_keepalive || back.options.http_pretend_keepalive;
    let keep = pretend || super::exchange::connection_mode(front, back) == HttpConnection::KeepAlive;
    let old = transaction.request.version() == Version::Http10;
    if old && transaction.request.must_close() {
        transaction.request.strip_connection_tokens();
    } else {
        transaction.request.set_request_connection(keep);
    }
}

/// `option forwardfor` and `option originalto`: one line more, behind those that are there.
fn add_address(
    request: &mut http::Head,
    front: Option<&AddressHeader>,
    back: Option<&AddressHeader>,
    peer: Option<Peer>,
) {
    let (Some(settings), Some(Peer::Inet(address))) = (back.or(front), peer) else { return };
    let name = settings.header.as_bytes();
    let if_none = front.is_some_and(|front| front.if_none) || back.is_some_and(|back| back.if_none);
    if if_none && request.get(name).is_some() {
        return;
    }
    let excepted = |settings: Option<&AddressHeader>| {
        settings.and_then(|settings| settings.except).is_some_and(|network| contains(network, address.ip()))
    };
    if excepted(front) || excepted(back) {
        return;
    }
    let mut text = [0u8; 48];
    let length = {
        use std::io::Write;
        let mut rest = &mut text[..];
        // 45 characters are the longest address.
        let _ = write!(rest, "{}", address.ip());
        48 - rest.len()
    };
    request.add(name, &text[..length]);
}

/// Whether an address is in a network; an IPv4 client on an IPv6 socket counts as IPv4.
pub fn contains(network: Network, address: IpAddr) -> bool {
    let bits = |prefix: u8, width: u8| u32::from(width - prefix.min(width));
    match (network.ip, address.to_canonical()) {
        (IpAddr::V4(wanted), IpAddr::V4(address)) => {
            let shift = bits(network.prefix, 32);
            shift == 32 || u32::from(wanted) >> shift == u32::from(address) >> shift
        }
        (IpAddr::V6(wanted), IpAddr::V6(address)) => {
            let shift = bits(network.prefix, 128);
            shift == 128 || u128::from(wanted) >> shift == u128::from(address) >> shift
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
