//! Settings of proxies and servers that differ, by name where they have one.

use super::{Change, Kind, title, written};
use balance::{Algorithm, HashMethod};
use haproxy_config::Loaded;
use haproxy_config::model::{BalanceKey, Proxy, Server};
use std::collections::BTreeMap;

/// The differences of one proxy, its servers aside.
pub fn compare(was: &Proxy, old: &Loaded, is: &Proxy, new: &Loaded, changes: &mut Vec<Change>) {
    let mut found = Vec::new();
    let mut differ = |name: &str, was: String, is: String| {
        if was != is {
            found.push(format!("{name} {was} -> {is}"));
        }
    };
    differ("mode", format!("{:?}", was.mode).to_lowercase(), format!("{:?}", is.mode).to_lowercase());
    differ("balance", balance(was), balance(is));
    differ("maxconn", number(was.maxconn), number(is.maxconn));
    differ("retries", was.retries.to_string(), is.retries.to_string());
    for ((name, first), (_, second)) in timeouts(was).into_iter().zip(timeouts(is)) {
        differ(&format!("timeout {name}"), first, second);
    }
    let backend = |loaded: &Loaded, proxy: &Proxy| {
        let target = proxy.default_backend.and_then(|id| loaded.model.as_ref()?.proxies.get(id.0 as usize));
        target.map_or_else(|| "none".to_owned(), |target| target.name.clone())
    };
    differ("default_backend", backend(old, was), backend(new, is));
    differ("cookie", cookie(was), cookie(is));
    if !found.is_empty() {
        push(changes, Kind::Changed, title(is), found.join(", "));
    }
    let (before, after) = (rules(was, old), rules(is, new));
    for (line, count) in &before {
        for _ in after.get(line).copied().unwrap_or(0)..*count {
            push(changes, Kind::Removed, format!("{}, rule", title(is)), line.clone());
        }
    }
    for (line, count) in &after {
        for _ in before.get(line).copied().unwrap_or(0)..*count {
            push(changes, Kind::Added, format!("{}, rule", title(is)), line.clone());
        }
    }
    let same_rules = before == after;
    if found.is_empty() && same_rules && rest(was) != rest(is) {
        push(changes, Kind::Changed, title(is), "other settings".to_owned());
    }
}

fn push(changes: &mut Vec<Change>, kind: Kind, what: String, detail: String) {
    changes.push(Change { kind, what, detail, effect: String::new() });
}

fn number(value: Option<u32>) -> String {
    value.map_or_else(|| "automatic".to_owned(), |value| value.to_string())
}

/// In the words of `balance` and `hash-type`.
fn balance(proxy: &Proxy) -> String {
    let hash = match proxy.balance.algorithm {
        Algorithm::RoundRobin => return "roundrobin".to_owned(),
        Algorithm::StaticRoundRobin => return "static-rr".to_owned(),
        Algorithm::LeastConn => return "leastconn".to_owned(),
        Algorithm::First => return "first".to_owned(),
        Algorithm::Random { draws, .. } => return format!("random({draws})"),
        Algorithm::Hash(hash) => hash,
    };
    let key = match &proxy.balance.key {
        BalanceKey::None => "nothing".to_owned(),
        BalanceKey::Source => "source".to_owned(),
        BalanceKey::Uri { len, depth, whole, path_only } => {
            format!("uri len {len} depth {depth} whole {whole} path-only {path_only}")
        }
        BalanceKey::UrlParam { name, .. } => format!("url_param {name}"),
        BalanceKey::Header { name, .. } => format!("hdr({name})"),
        BalanceKey::RdpCookie { name } => format!("rdp-cookie({name})"),
        BalanceKey::Expr(expression) => format!("hash {}", String::from_utf8_lossy(expression.source())),
    };
    let method = match hash.method {
        HashMethod::MapBased => "map-based",
        HashMethod::Consistent => "consistent",
    };
    let function = format!("{:?}", hash.function).to_lowercase();
    let avalanche = if hash.avalanche { " avalanche" } else { "" };
    format!("{key} ({method} {function}{avalanche}, factor {})", hash.balance_factor)
}

fn cookie(proxy: &Proxy) -> String {
    proxy.cookie.as_ref().map_or_else(
        || "none".to_owned(),
        |cookie| {
            let whole = bare(&format!("{cookie:?}"));
            whole.strip_prefix("CookiePersistence ").unwrap_or(&whole).to_owned()
        },
    )
}

fn timeouts(proxy: &Proxy) -> Vec<(&'static str, String)> {
    let all = &proxy.timeouts;
    let text = |value: Option<std::time::Duration>| {
        value.map_or_else(|| "none".to_owned(), |value| format!("{}ms", value.as_millis()))
    };
    vec![
        ("connect", text(all.connect)),
        ("client", text(all.client)),
        ("server", text(all.server)),
        ("queue", text(all.queue)),
        ("tunnel", text(all.tunnel)),
        ("http-request", text(all.http_request)),
        ("http-keep-alive", text(all.http_keep_alive)),
        ("check", text(all.check)),
        ("tarpit", text(all.tarpit)),
    ]
}

/// The lines of its rules, each with how often it is there.
fn rules(proxy: &Proxy, loaded: &Loaded) -> BTreeMap<String, usize> {
    let tcp = [
        &proxy.tcp_request_connection,
        &proxy.tcp_request_session,
        &proxy.tcp_request_content,
        &proxy.tcp_response_content,
    ];
    let http = [&proxy.http_request, &proxy.http_response, &proxy.http_after_response, &proxy.redirects];
    let spans = tcp.into_iter().flatten().map(|rule| rule.span);
    let spans = spans.chain(http.into_iter().flatten().map(|rule| rule.span));
    let spans = spans.chain(proxy.use_backend.iter().map(|rule| rule.span));
    let mut lines = acls(proxy, loaded);
    for span in spans {
        let number = loaded.sources.locate(span.file, span.start).line;
        let line = String::from_utf8_lossy(loaded.sources.line_text(span.file, number)).into_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        *lines.entry(words.join(" ")).or_insert(0) += 1;
    }
    lines
}

/// The `acl` lines of its section: conditions hold what they name, and their own text does not show it.
fn acls(proxy: &Proxy, loaded: &Loaded) -> BTreeMap<String, usize> {
    let text = String::from_utf8_lossy(loaded.sources.text(proxy.span.file)).into_owned();
    let first = loaded.sources.locate(proxy.span.file, proxy.span.start).line as usize;
    let mut lines = BTreeMap::new();
    let inside = text.lines().skip(first).take_while(|line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        !matches!(word, "global" | "defaults" | "frontend" | "backend" | "listen")
    });
    for line in inside {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"acl") {
            *lines.entry(words.join(" ")).or_insert(0) += 1;
        }
    }
    lines
}

/// Everything that has no name above, without places in files.
fn rest(proxy: &Proxy) -> String {
    let mut proxy = proxy.clone();
    proxy.servers.clear();
    proxy.binds.clear();
    proxy.default_backend = None;
    // Compared by their lines, ACLs as well.
    proxy.tcp_request_connection.clear();
    proxy.tcp_request_session.clear();
    proxy.tcp_request_content.clear();
    proxy.tcp_response_content.clear();
    proxy.http_request.clear();
    proxy.http_response.clear();
    proxy.http_after_response.clear();
    proxy.redirects.clear();
    proxy.use_backend.clear();
    bare(&format!("{proxy:?}"))
}

/// What two servers of one name have different.
pub fn servers(was: &Server, is: &Server) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |name: &str, was: String, is: String| {
        if was != is {
            found.push(format!("{name} {was} -> {is}"));
        }
    };
    differ("address", written(&was.address), written(&is.address));
    differ("weight", was.weight.to_string(), is.weight.to_string());
    differ("backup", was.backup.to_string(), is.backup.to_string());
    differ("disabled", was.disabled.to_string(), is.disabled.to_string());
    differ("maxconn", was.maxconn.to_string(), is.maxconn.to_string());
    let text = |value: &Option<std::sync::Arc<str>>| value.as_deref().unwrap_or("none").to_owned();
    differ("cookie", text(&was.cookie), text(&is.cookie));
    let check = |server: &Server| {
        server.check.as_ref().map_or("none".to_owned(), |check| bare(&format!("{check:?}")))
    };
    differ("check", check(was), check(is));
    if found.is_empty() && bare(&format!("{was:?}")) != bare(&format!("{is:?}")) {
        found.push("other settings".to_owned());
    }
    found
}

/// A debugging text without places in files and numbers that follow from the order of sections.
pub fn bare(text: &str) -> String {
    const NUMBERED: &[&str] = &[
        "Span { ",
        "ProxyId(",
        "TableId(",
        "ServerId { ",
        "UserlistId(",
        "uuid: ",
        "puid: ",
        "per_hasher_seed: ",
    ];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, mark)) =
        NUMBERED.iter().filter_map(|mark| Some((rest.find(mark)?, *mark))).min_by_key(|(at, _)| *at)
    {
        out.push_str(&rest[..at]);
        let tail = &rest[at + mark.len()..];
        let end = match mark {
            "uuid: " | "puid: " | "per_hasher_seed: " => tail.find([',', ' ', '}']),
            // `Span { file: FileId(0), start: 1, end: 2 }`: nothing inside has a brace.
            mark if mark.ends_with("{ ") => tail.find('}').map(|end| end + 1),
            _ => tail.find(')').map(|end| end + 1),
        };
        rest = &tail[end.unwrap_or(tail.len())..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_numbers_are_no_difference() {
        let text =
            "Proxy { id: ProxyId(3), uuid: 7, span: Span { file: FileId(0), start: 1, end: 9 }, mode: Http }";
        let other =
            "Proxy { id: ProxyId(4), uuid: 8, span: Span { file: FileId(1), start: 2, end: 3 }, mode: Http }";
        assert_eq!(bare(text), bare(other));
        assert!(bare(text).contains("mode: Http"));
        assert_ne!(bare(text), bare(&other.replace("Http", "Tcp")));
    }
}
