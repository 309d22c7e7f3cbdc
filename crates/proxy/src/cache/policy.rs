//! What may be kept, for how long, and who may get it (RFC 9111, as far as HAProxy's cache goes). Pure: heads and seconds
//! come in, decisions go out.

use super::vary::{self, Variant, Varies};
use http::{FieldKind, Head, Method, Values, Version};

/// What a request asks of a cache.
#[derive(Debug, Clone)]
pub struct CacheRequest {
    pub key: super::Key,
    /// It may be answered from a cache.
    pub looks_up: bool,
    /// Its response may be kept.
    pub stores: bool,
    /// HTTP/1.1 or later.
    pub is_new: bool,
    /// It carries credentials: its response is for one person unless it says otherwise.
    pub authorized: bool,
    pub variant: Variant,
}

impl CacheRequest {
    pub fn of(request: &Head) -> CacheRequest {
        let method = request.method_kind();
        let is_new = request.version() >= Version::Http11;
        let authorized = request.has(FieldKind::Authorization);
        let mut looks_up = is_new && matches!(method, Method::Get | Method::Head) && !authorized;
        let mut stores = is_new && method == Method::Get;
        let mut controlled = false;
        for value in request.values(b"cache-control") {
            controlled = true;
            looks_up &= !starts_with(value, b"no-cache") && !starts_with(value, b"max-age");
            stores &= !value.eq_ignore_ascii_case(b"no-store");
        }
        let pragma = request.values(b"pragma").next();
        if !controlled && pragma.is_some_and(|value| value.eq_ignore_ascii_case(b"no-cache")) {
            looks_up = false;
        }
        CacheRequest {
            key: super::key(request),
            looks_up,
            stores,
            is_new,
            authorized,
            variant: Variant::of(request),
        }
    }
}

/// How a cache keeps a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Seconds from now on.
    pub lifetime: u64,
    /// Seconds that it had spent in caches before it came here.
    pub age: u64,
    pub varies: Varies,
}

/// What a cache's section says about that.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Seconds.
    pub max_age: u64,
    pub process_vary: bool,
}

/// Whether the response may be kept; `now`: seconds since 1970.
pub fn storage(request: &CacheRequest, response: &Head, limits: Limits, now: u64) -> Option<Storage> {
    if !request.stores || response.status() != 200 {
        return None;
    }
    let mut public = false;
    let mut max_age = None;
    let mut shared_max_age = None;
    for value in response.values(b"cache-control") {
        let is = |name: &[u8]| value.eq_ignore_ascii_case(name);
        let about_cookies = starts_with(value, b"no-cache=\"set-cookie");
        if is(b"private") || is(b"no-store") || is(b"no-cache") || about_cookies {
            return None;
        }
        public |= is(b"public");
        if let Some(seconds) = seconds(value, b"max-age") {
            max_age = Some(seconds);
        }
        if let Some(seconds) = seconds(value, b"s-maxage") {
            shared_max_age = Some(seconds);
        }
    }
    let pragma = response.values(b"pragma").next();
    if pragma.is_some_and(|value| value.eq_ignore_ascii_case(b"no-cache")) || (request.authorized && !public)
    {
        return None;
    }
    let expires =
        response.get(b"expires").map(|date| http::date::parse(date).unwrap_or(0).saturating_sub(now));
    let explicit = shared_max_age.or(max_age).or(expires);
    // Any of them at zero says that it is stale at once, whatever the others say.
    if [shared_max_age, max_age, explicit].contains(&Some(0)) {
        return None;
    }
    let can_be_validated = response.get(b"etag").is_some() || response.get(b"last-modified").is_some();
    if explicit.is_none() && !can_be_validated {
        return None;
    }
    let age = match response.get(b"age") {
        None => 0,
        Some(text) => {
            let age = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<u64>().ok())?;
            (1..=explicit?).contains(&age).then_some(age)?
        }
    };
    let varies = vary::of_response(response, request, limits.process_vary)?;
    Some(Storage { lifetime: explicit.unwrap_or(u64::MAX).min(limits.max_age), age, varies })
}

fn starts_with(value: &[u8], name: &[u8]) -> bool {
    value.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// The number of `name=number` or `name="number"`: as many digits as there are, 0 without any.
fn seconds(value: &[u8], name: &[u8]) -> Option<u64> {
    if !starts_with(value, name) {
        return None;
    }
    let rest = value[name.len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    let add = |sum: u64, byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    Some(digits.fold(0, add))
}

/// Whether the client has it already (RFC 9110 §13.2.2): 304 instead of the body. `modified`: seconds since 1970.
pub fn is_not_modified(request: &Head, etag: Option<&[u8]>, modified: u64) -> bool {
    let mut wanted = request.lines(b"if-none-match").peekable();
    if wanted.peek().is_some() {
        let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
        let own = etag.map(opaque);
        return wanted
            .flat_map(Values::new)
            .any(|tag| tag == b"*" || own.as_ref().is_some_and(|own| opaque(tag) == *own));
    }
    let since = request.get(b"if-modified-since").and_then(http::date::parse);
    since.is_some_and(|since| modified <= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Limits as HeadLimits, parse_request, parse_response};

    const NOW: u64 = 1_700_000_000;
    const LIMITS: Limits = Limits { max_age: 60, process_vary: false };

    fn request(fields: &str) -> CacheRequest {
        let mut head = Head::new();
        let text = format!("GET /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        parse_request(text.as_bytes(), &HeadLimits::default(), &mut head).expect("a request");
        CacheRequest::of(&head)
    }

    fn kept(request_fields: &str, fields: &str) -> Option<(u64, u64)> {
        let mut head = Head::new();
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        parse_response(text.as_bytes(), &HeadLimits::default(), &mut head).expect("a response");
        storage(&request(request_fields), &head, LIMITS, NOW).map(|kept| (kept.lifetime, kept.age))
    }

    #[test]
    fn lifetimes_come_from_the_most_specific_word() {
        assert_eq!(kept("", "Cache-Control: max-age=30\r\n"), Some((30, 0)));
        assert_eq!(kept("", "Cache-Control: s-maxage=10, max-age=30\r\n"), Some((10, 0)));
        assert_eq!(kept("", "Cache-Control: max-age=\"3000\"\r\n"), Some((60, 0)));
        assert_eq!(kept("", "ETag: \"a\"\r\n"), Some((60, 0)));
        assert_eq!(kept("", "Expires: Tue, 14 Nov 2023 22:13:50 GMT\r\n"), Some((30, 0)));
        assert_eq!(kept("", "Age: 10\r\nCache-Control: max-age=30\r\n"), Some((30, 10)));
    }

    #[test]
    fn what_says_no_is_not_kept() {
        for fields in [
            "",
            "Cache-Control: public\r\n",
            "Cache-Control: private, max-age=30\r\n",
            "Cache-Control: no-cache=\"set-cookie\", max-age=30\r\n",
            "Cache-Control: max-age=0, s-maxage=5\r\n",
            "Cache-Control: max-age=x\r\nETag: \"a\"\r\n",
            "Expires: 0\r\nETag: \"a\"\r\n",
            "Pragma: no-cache\r\nCache-Control: max-age=30\r\n",
            "Age: 31\r\nCache-Control: max-age=30\r\n",
            "Vary: Cookie\r\nCache-Control: max-age=30\r\n",
        ] {
            assert_eq!(kept("", fields), None, "{fields}");
        }
        assert_eq!(kept("Cache-Control: no-store\r\n", "ETag: \"a\"\r\n"), None);
        assert_eq!(kept("Authorization: x\r\n", "ETag: \"a\"\r\n"), None);
        assert!(kept("Authorization: x\r\n", "ETag: \"a\"\r\nCache-Control: public\r\n").is_some());
    }

    #[test]
    fn requests_that_want_the_server_get_the_server() {
        let looks_up = |fields: &str| request(fields).looks_up;
        assert!(looks_up("") && looks_up("Cache-Control: no-store\r\n"));
        assert!(looks_up("Cache-Control: x\r\nPragma: no-cache\r\n"));
        assert!(!looks_up("Pragma: no-cache\r\n") && !looks_up("Cache-Control: max-age=1\r\n"));
        assert!(!looks_up("Cache-Control: NO-CACHE\r\n") && !looks_up("Authorization: x\r\n"));
    }
}
