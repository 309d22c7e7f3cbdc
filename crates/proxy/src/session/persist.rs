//! Persistence by cookie (configuration manual, `cookie`): which server a request asks for, and how the client is told
//! to ask for it again.
//!
//! ```text
//!   insert    Set-Cookie: NAME=srv[|last[|first]]      ours beside the application's
//!   rewrite   Set-Cookie: NAME=(application) ─► NAME=srv
//!   prefix    Set-Cookie: NAME=value ─► NAME=srv~value, and back in requests
//! ```

use super::client::Client;
use super::transaction::Transaction;
use crate::state::ServerState;
use haproxy_config::model::{CookieMode, CookiePersistence, Proxy};
use http::Method;
use http::cookie::SetCookie;
use rules::{ProxyId, Termination, WallTime};

/// Between the server and the application's value in prefix mode.
const PREFIX_DELIMITER: u8 = b'~';
/// Before the dates of `maxidle` and `maxlife`.
const DATE_DELIMITER: u8 = b'|';
/// A clock that is this far ahead of ours made a date we do not believe, in seconds.
const FUTURE_MAX: i64 = 86_400;

/// What the request's cookie said, for the response's sake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presented {
    /// The server it names is the one that was used.
    pub direct: bool,
    /// Seconds since the epoch, of the last and the first use.
    pub last_date: Option<i64>,
    pub first_date: Option<i64>,
}

/// The server that the request's cookie names, if it may be used.
pub fn wanted_server(client: &Client, transaction: &mut Transaction, backend: ProxyId) -> Option<u32> {
    let worker = &client.worker;
    let settings = worker.plan().settings(backend);
    let persistence = settings.cookie.as_ref()?;
    let plan = worker.plan().proxy(backend);
    let live = worker.state().backend(backend);
    let termination = &mut transaction.facts.termination;
    termination.cookie_request = b'N';
    termination.cookie_response = b'N';
    let mut found = None;
    for value in transaction.request.cookies(persistence.name.as_bytes()) {
        let (key, presented) = dissect(value, persistence);
        let verdict =
            expired(&presented, persistence, worker.state().clock.wall(transaction.facts.times.accept));
        if let Some(letter) = verdict {
            termination.cookie_request = letter;
            continue;
        }
        transaction.presented = presented;
        let index = plan.server_by_cookie.get(key).copied().or_else(|| live.dynamic_cookies.server(key));
        let Some(index) = index else {
            termination.cookie_request = b'I';
            continue;
        };
        let usable = live.server(index).is_some_and(|server| server.is_usable());
        if usable || settings.options.persist || transaction.force_persist {
            termination.cookie_request = b'V';
            transaction.presented.direct = true;
            found = Some(index);
        } else {
            termination.cookie_request = b'D';
        }
        break;
    }
    if transaction.ignore_persist {
        transaction.presented = Presented::default();
        return None;
    }
    found
}

/// Splits a cookie's value into the server's key and the dates behind it.
fn dissect<'v>(value: &'v [u8], persistence: &CookiePersistence) -> (&'v [u8], Presented) {
    if persistence.mode == CookieMode::Prefix {
        // A value without the delimiter is a key alone.
        let end = memchr::memchr(PREFIX_DELIMITER, value).unwrap_or(value.len());
        return (&value[..end], Presented::default());
    }
    let mut parts = value.split(|&byte| byte == DATE_DELIMITER);
    let key = parts.next().unwrap_or_default();
    let date = |part: Option<&[u8]>| part.and_then(decode_date);
    let presented =
        Presented { direct: false, last_date: date(parts.next()), first_date: date(parts.next()) };
    (key, presented)
}

/// The letter of a cookie that is too old (or not of this world), if it is.
fn expired(presented: &Presented, persistence: &CookiePersistence, now: WallTime) -> Option<u8> {
    let now = now.0.as_secs() as i64;
    let old = |date: Option<i64>, max: Option<std::time::Duration>| {
        let (Some(date), Some(max)) = (date, max) else { return false };
        let age = now - date;
        age < -FUTURE_MAX || age > max.as_secs() as i64
    };
    if old(presented.last_date, persistence.max_idle) {
        return Some(b'E');
    }
    old(presented.first_date, persistence.max_life).then_some(b'O')
}

/// Changes what the server must not see, or must see otherwise.
pub fn prepare_request(transaction: &mut Transaction, settings: &Proxy) {
    let Some(persistence) = &settings.cookie else { return };
    let name = persistence.name.as_bytes();
    match persistence.mode {
        CookieMode::Insert if persistence.indirect => {
            transaction.request.remove_cookie(name);
        }
        CookieMode::Prefix => {
            transaction.request.edit_cookie(name, |value| {
                memchr::memchr(PREFIX_DELIMITER, value).map(|at| &value[at + 1..])
            });
        }
        CookieMode::Insert | CookieMode::Rewrite | CookieMode::Passive => {}
    }
}

/// Sets, rewrites or removes the persistence cookie.
pub fn edit_response(client: &Client, transaction: &mut Transaction, settings: &Proxy, server: &ServerState) {
    let Some(persistence) = &settings.cookie else { return };
    let key = client.worker.state().backend(server.id.proxy).cookie_of(server);
    let key = key.as_deref();
    let found = edit_application_cookie(transaction, persistence, key);
    let ignored = transaction.ignore_persist;
    let preserved = found && persistence.preserve;
    let post_only = persistence.postonly && transaction.request.method_kind() != Method::Post;
    if persistence.mode != CookieMode::Insert || preserved || post_only || ignored {
        return;
    }
    let now = client.worker.state().clock.wall(transaction.facts.times.accept).0.as_secs() as i64;
    if !must_insert(&transaction.presented, persistence, now) {
        return;
    }
    let mut text = std::mem::take(&mut transaction.scratch);
    write_cookie(&mut text, persistence, key, &transaction.presented, now);
    transaction.response.add(b"set-cookie", &text);
    transaction.scratch = text;
    let updated = key.is_some() && transaction.presented.direct;
    transaction.facts.termination.cookie_response = if updated { b'U' } else { b'I' };
    if persistence.nocache && is_cacheable(transaction) {
        transaction.response.add(b"cache-control", b"private");
    }
}

/// Removes, replaces or prefixes the cookie that the application sets under our name. Returns whether there was one.
fn edit_application_cookie(
    transaction: &mut Transaction,
    persistence: &CookiePersistence,
    key: Option<&str>,
) -> bool {
    let name = persistence.name.as_bytes();
    let termination: &mut Termination = &mut transaction.facts.termination;
    if termination.cookie_response == b'-' {
        termination.cookie_response = b'N';
    }
    let is_ours = |line: &[u8]| SetCookie::parse(line).is_some_and(|cookie| cookie.name == name);
    if !transaction.response.lines(b"set-cookie").any(is_ours) {
        return false;
    }
    termination.cookie_response = b'P';
    if persistence.preserve || transaction.ignore_persist {
        return true;
    }
    let direct_indirect = transaction.presented.direct && persistence.indirect;
    if persistence.mode == CookieMode::Insert || direct_indirect {
        // What stays empty is taken out below.
        transaction.response.replace_lines(b"set-cookie", &mut |line, _| is_ours(line));
        transaction
            .response
            .retain(|_, field, value| !(field.eq_ignore_ascii_case(b"set-cookie") && value.is_empty()));
        termination.cookie_response = b'D';
        return true;
    }
    let Some(key) = key else { return true };
    let prefix = match persistence.mode {
        CookieMode::Rewrite => false,
        CookieMode::Prefix => true,
        CookieMode::Insert | CookieMode::Passive => return true,
    };
    transaction.response.replace_lines(b"set-cookie", &mut |line, out| {
        let Some(cookie) = SetCookie::parse(line).filter(|cookie| cookie.name == name) else { return false };
        out.extend_from_slice(&line[..cookie.value_at]);
        out.extend_from_slice(key.as_bytes());
        let rest = cookie.value_at + if prefix { 0 } else { cookie.value.len() };
        if prefix {
            out.push(PREFIX_DELIMITER);
        }
        out.extend_from_slice(&line[rest..]);
        true
    });
    termination.cookie_response = b'R';
    true
}

/// Whether the client lacks our cookie, or its dates have to be brought up to date.
fn must_insert(presented: &Presented, persistence: &CookiePersistence, now: i64) -> bool {
    let idle = persistence.max_idle.is_some() || presented.last_date.is_some();
    let life = persistence.max_life.is_some();
    !presented.direct
        || (idle && presented.last_date.is_none_or(|last| last < now))
        || (life && presented.first_date.is_none())
        || (!life && presented.first_date.is_some())
}

fn write_cookie(
    out: &mut Vec<u8>,
    persistence: &CookiePersistence,
    key: Option<&str>,
    presented: &Presented,
    now: i64,
) {
    out.clear();
    out.extend_from_slice(persistence.name.as_bytes());
    out.push(b'=');
    match key {
        // A backup server without a key: the client must forget the server it knew.
        None => out.extend_from_slice(b"; Expires=Thu, 01-Jan-1970 00:00:01 GMT"),
        Some(key) => {
            out.extend_from_slice(key.as_bytes());
            if persistence.max_idle.is_some() || persistence.max_life.is_some() {
                out.push(DATE_DELIMITER);
                encode_date(now + 3, out);
                if persistence.max_life.is_some() {
                    out.push(DATE_DELIMITER);
                    encode_date(presented.first_date.unwrap_or(now + 3), out);
                }
            }
        }
    }
    out.extend_from_slice(b"; path=/");
    for domain in &persistence.domains {
        out.extend_from_slice(b"; domain=");
        out.extend_from_slice(domain.as_bytes());
    }
    if persistence.httponly {
        out.extend_from_slice(b"; HttpOnly");
    }
    if persistence.secure {
        out.extend_from_slice(b"; Secure");
    }
    for attribute in &persistence.attributes {
        out.extend_from_slice(b"; ");
        out.extend_from_slice(attribute.as_bytes());
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Dates are quarters of 2^30 units of four seconds: five characters.
fn encode_date(seconds: i64, out: &mut Vec<u8>) {
    let units = (seconds >> 2) as u64;
    for shift in [24, 18, 12, 6, 0] {
        out.push(DIGITS[(units >> shift) as usize & 63]);
    }
}

fn decode_date(text: &[u8]) -> Option<i64> {
    if text.len() < 5 {
        return None;
    }
    let mut units = 0i64;
    for byte in &text[..5] {
        let digit = DIGITS.iter().position(|known| known == byte)?;
        units = units << 6 | digit as i64;
    }
    Some(units << 2)
}

/// `option checkcache`: a response that shared caches keep must not hand one client's cookie to the next.
pub fn leaks_cookie(transaction: &Transaction) -> bool {
    // The server may exclude the cookie alone from what is kept.
    let excludes = |value: &[u8]| {
        starts_with(value, b"no-cache=\"set-cookie\"") || starts_with(value, b"no-cache=\"set-cookie,")
    };
    let response = &transaction.response;
    response.get(b"set-cookie").is_some()
        && is_cacheable(transaction)
        && !response.values(b"cache-control").any(excludes)
}

fn starts_with(value: &[u8], name: &[u8]) -> bool {
    value.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// Whether a shared cache would keep this response (RFC 9111 §3), by the signs HAProxy looks at.
fn is_cacheable(transaction: &Transaction) -> bool {
    let response = &transaction.response;
    let status = matches!(response.status(), 200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501);
    if !status || transaction.request.method() != b"GET" {
        return false;
    }
    let mut fresh = response.get(b"etag").is_some()
        || response.get(b"last-modified").is_some()
        || response.get(b"expires").is_some();
    for value in response.values(b"cache-control") {
        const FORBIDDING: [&[u8]; 5] = [b"private", b"no-cache", b"no-store", b"max-age=0", b"s-maxage=0"];
        if FORBIDDING.iter().any(|name| value.eq_ignore_ascii_case(name)) {
            return false;
        }
        fresh |= starts_with(value, b"max-age=") || starts_with(value, b"s-maxage=");
    }
    fresh && !response.values(b"pragma").any(|value| value.eq_ignore_ascii_case(b"no-cache"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_their_five_characters() {
        let mut text = Vec::new();
        encode_date(1_795_369_200, &mut text);
        assert_eq!(text.len(), 5);
        assert_eq!(decode_date(&text), Some(1_795_369_200));
        assert_eq!(decode_date(b"ab"), None);
        assert_eq!(decode_date(b"a*aaa"), None);
    }
}
