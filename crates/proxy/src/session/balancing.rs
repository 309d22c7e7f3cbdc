//! What of a request the balancing algorithm hashes.

use super::client::Client;
use super::transaction::Transaction;
use balance::{Algorithm, HashType, key};
use haproxy_config::model::{BalanceKey, Proxy};
use http::{ChunkDecoder, Framing, Step};
use rules::{Direction, Peer, Value};
use std::borrow::Cow;
use std::net::IpAddr;

/// The hash of this request's key; `None` when the algorithm needs none or the request has none (then the servers
/// take turns).
pub fn key(client: &Client, transaction: &Transaction, settings: &Proxy) -> Option<u32> {
    let Algorithm::Hash(hash) = settings.balance.algorithm else { return None };
    let request = &transaction.request;
    let is_http = !request.method().is_empty();
    match &settings.balance.key {
        BalanceKey::None => None,
        BalanceKey::Source => match transaction.facts.src {
            Some(Peer::Inet(address)) => Some(key::source(address.ip(), &hash)),
            Some(Peer::Unix) | None => None,
        },
        BalanceKey::Uri { len, depth, whole, path_only } => {
            let options = key::UriOptions {
                length_max: *len as usize,
                depth_max: *depth as usize,
                whole: *whole,
                path_only: *path_only,
            };
            let target = request.uri();
            is_http.then(|| key::uri(target, &options, &hash))
        }
        // As HAProxy: `check_post` waits for the body of a POST, without it what is there already is looked at.
        BalanceKey::UrlParam { name, check_post: _ } => key::url_param(request.uri(), name.as_bytes(), &hash)
            .or_else(|| {
                let form = request.method() == b"POST";
                let body = form.then(|| body(request.request_framing(), client.input.bytes()))?;
                key::url_param_in_body(&body, name.as_bytes(), &hash)
            }),
        BalanceKey::Header { name, use_domain_only } => {
            // The first line only: an empty one means turns, whatever a second one has.
            let value = request.nth_line(name.as_bytes(), 1)?;
            key::header(key::first_element(value), *use_domain_only, &hash)
        }
        BalanceKey::RdpCookie { name } => key::rdp_cookie(client.input.bytes(), name.as_bytes(), &hash),
        BalanceKey::Expr(expression) => {
            let scope = client.scope(transaction, Direction::Request);
            Some(digest(&expression.eval(&scope)?, &hash))
        }
    }
}

/// The data of a body as far as it is there.
fn body(framing: Framing, bytes: &[u8]) -> Cow<'_, [u8]> {
    match framing {
        Framing::None => Cow::Borrowed(b""),
        Framing::Length(length) => {
            Cow::Borrowed(&bytes[..bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX))])
        }
        Framing::UntilClose => Cow::Borrowed(bytes),
        Framing::Chunked => {
            let mut decoder = ChunkDecoder::new();
            let mut data = Vec::new();
            let mut at = 0;
            // A broken chunk ends what can be read; it is judged when the body is sent on.
            while let Ok(Step::Data { skip, len }) = decoder.next(&bytes[at..]) {
                data.extend_from_slice(&bytes[at + skip..at + skip + len]);
                at += skip + len;
            }
            Cow::Owned(data)
        }
    }
}

fn digest(value: &Value<'_>, hash: &HashType) -> u32 {
    match value {
        Value::Bool(flag) => key::expression_integer(i64::from(*flag), hash),
        Value::Int(number) => key::expression_integer(*number, hash),
        Value::Ip4(address) => key::expression_address(IpAddr::V4(*address), hash),
        Value::Ip6(address) => key::expression_address(IpAddr::V6(*address), hash),
        Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => key::expression(bytes, hash),
    }
}
