//! What is dropped in the mode of a proxy, and warnings about what is valid and still surprises.

use super::super::checks::CheckKind;
use super::super::{Draft, LogChoice};
use crate::model::{BalanceKey, CookieMode, Global, Mode, Proxy};
use crate::parse::Context;
use ::rules::{TcpAction, TcpRule};
use diag::{Diagnostic, Span};
use std::collections::HashMap;

/// `tune.http.cookielen` bounds what `capture cookie` keeps.
pub(super) fn limit_cookie_capture(draft: &mut Draft, global: &Global, context: &mut Context<'_>) {
    let Some(capture) = draft.proxy.cookie_capture.as_mut() else { return };
    let max = global.tune.http_cookielen;
    if capture.length > max {
        capture.length = max;
        let message = format!("truncating capture length to {max} bytes for {}", title_of(&draft.proxy));
        context.warn(draft.proxy.span, message);
    }
}

/// Servers that a dynamic cookie cannot tell apart.
pub(super) fn same_dynamic_cookies(draft: &Draft, context: &mut Context<'_>) {
    let proxy = &draft.proxy;
    if !proxy.cookie.as_ref().is_some_and(|cookie| cookie.dynamic) || proxy.dynamic_cookie_key.is_none() {
        return;
    }
    let mut seen: HashMap<(std::net::IpAddr, u16), Span> = HashMap::new();
    for server in proxy.servers.iter().filter(|server| server.cookie.is_none() && !server.disabled) {
        let crate::model::Address::Inet { ip, port } = server.address else { continue };
        if let Some(first) = seen.insert((ip, port), server.span) {
            let message = format!("server `{}` has the dynamic cookie of another server", server.name);
            context.report.push(
                Diagnostic::warning(server.span, message).with_note(first, "this one has the same address"),
            );
        }
    }
}

/// Settings that only HTTP mode understands are dropped elsewhere, with a warning where HAProxy gives one.
pub(super) fn only_http(draft: &mut Draft, context: &mut Context<'_>) {
    let switches = |rule: &TcpRule| matches!(rule.action, TcpAction::SwitchModeHttp { .. });
    if draft.proxy.mode == Mode::Http || draft.proxy.tcp_request_content.iter().any(switches) {
        return;
    }
    let title = title_of(&draft.proxy);
    let section_span = draft.proxy.span;
    let mut ignored = |span: Option<Span>, what: &str| {
        let message = format!("'{what}' ignored for {title} as it requires HTTP mode");
        let span = span.unwrap_or(section_span);
        context.report.push(Diagnostic::warning(span, message).with_help("add `mode http`"));
    };
    if draft.proxy.forwardfor.take().is_some() {
        ignored(draft.spans.forwardfor, "option forwardfor");
    }
    if draft.proxy.originalto.take().is_some() {
        ignored(None, "option originalto");
    }
    if draft.proxy.cookie.take().is_some() && draft.proxy.is_backend {
        ignored(draft.spans.cookie, "cookie");
    }
    if draft.proxy.stats.take().is_some() {
        ignored(draft.spans.stats, "stats");
    }
    let mut rules_dropped = |name: &str, first: Option<Span>| {
        if let Some(span) = first {
            ignored(Some(span), name);
        }
    };
    let proxy = &mut draft.proxy;
    rules_dropped("http-request", proxy.http_request.first().map(|rule| rule.span));
    rules_dropped("http-response", proxy.http_response.first().map(|rule| rule.span));
    rules_dropped("http-after-response", proxy.http_after_response.first().map(|rule| rule.span));
    rules_dropped("redirect", proxy.redirects.first().map(|rule| rule.span));
    proxy.http_request.clear();
    proxy.http_response.clear();
    proxy.http_after_response.clear();
    proxy.redirects.clear();
    match draft.log_choice {
        LogChoice::Http(span) | LogChoice::HttpClf(span) | LogChoice::Https(span)
            if draft.proxy.is_frontend =>
        {
            let message = format!(
                "'option httplog' not usable with {title} (needs 'mode http'). Falling back to 'option tcplog'."
            );
            context.report.push(Diagnostic::warning(span, message).with_help("write `option tcplog`"));
            draft.log_choice = LogChoice::Tcp(span);
        }
        LogChoice::Http(span) | LogChoice::HttpClf(span) | LogChoice::Https(span) => {
            draft.log_choice = LogChoice::Tcp(span);
        }
        LogChoice::Connection | LogChoice::Tcp(_) | LogChoice::Format(_) => {}
    }
}

/// Warnings about what is valid and still surprises.
pub(super) fn advise(draft: &Draft, context: &mut Context<'_>) {
    let proxy = &draft.proxy;
    if proxy.disabled {
        return;
    }
    let title = draft.title();
    if proxy.is_frontend && !draft.has_bind_line {
        let help = if proxy.is_backend { "add `bind`, or make it a backend" } else { "add `bind`" };
        let message = format!("{title} has no `bind`: nothing reaches it");
        context.report.push(Diagnostic::warning(proxy.span, message).with_help(help));
    }
    let mut missing = Vec::new();
    if proxy.is_frontend && proxy.timeouts.client.is_none() {
        missing.push("`timeout client`");
    }
    if proxy.is_backend && !(proxy.servers.is_empty() && proxy.dispatch.is_none()) {
        if proxy.timeouts.connect.is_none() {
            missing.push("`timeout connect`");
        }
        if proxy.timeouts.server.is_none() {
            missing.push("`timeout server`");
        }
    }
    if !missing.is_empty() {
        // The words of HAProxy, which scripts look for.
        let message = format!(
            "missing timeouts for {}: without {} dead peers hold connections for ever",
            title_of(proxy),
            missing.join(", ")
        );
        context.report.push(
            Diagnostic::warning(proxy.span, message)
                .with_help("set them in `defaults`, such as `timeout client 50s`"),
        );
    }
    let lines = [
        (draft.checks.http_line, CheckKind::Http, "http-check", "httpchk"),
        (draft.checks.tcp_line, CheckKind::Tcp, "tcp-check", "tcp-check"),
    ];
    for (line, kind, keyword, option) in lines {
        if let Some(span) = line.filter(|_| proxy.is_backend && draft.checks.kind != kind) {
            let message = format!("`{keyword}` lines of {title} are not used: there is no `option {option}`");
            context
                .report
                .push(Diagnostic::warning(span, message).with_help(format!("add `option {option}`")));
        }
    }
    let format = match &draft.log_choice {
        LogChoice::Connection => None,
        LogChoice::Tcp(span) | LogChoice::Http(span) | LogChoice::HttpClf(span) | LogChoice::Https(span) => {
            Some(*span)
        }
        LogChoice::Format(word) => Some(word.span),
    };
    if let Some(span) = format.filter(|_| proxy.is_frontend && proxy.log_targets.is_empty()) {
        let message = format!("the log format of {title} is not used: it logs nowhere");
        context.report.push(
            Diagnostic::warning(span, message).with_help("add `log global`, or `log ADDRESS FACILITY`"),
        );
    }
    let reads_rdp = matches!(proxy.balance.key, BalanceKey::RdpCookie { .. }) || proxy.rdp_persist.is_some();
    if proxy.is_backend && reads_rdp && proxy.tcp_request_inspect_delay.is_none() && proxy.mode == Mode::Tcp {
        let message =
            format!("{title} reads RDP cookies but does not wait for them: connections may come without");
        let span = draft.spans.balance.unwrap_or(proxy.span);
        let help = "add `tcp-request inspect-delay 5s` and `tcp-request content accept if RDP_COOKIE`";
        context.report.push(Diagnostic::notice(span, message).with_help(help));
    }
    let uses_cookie =
        proxy.cookie.as_ref().is_some_and(|cookie| !cookie.dynamic && cookie.mode != CookieMode::Passive);
    if proxy.is_backend
        && proxy.mode == Mode::Http
        && proxy.cookie.is_none()
        && let Some(server) = proxy.servers.iter().find(|server| server.cookie.is_some())
    {
        let message =
            format!("the cookie of server `{}` is never used: {title} has no `cookie` line", server.name);
        context.report.push(Diagnostic::new(diag::Severity::Diag, server.span, message));
    }
    if proxy.is_backend && uses_cookie && !proxy.servers.iter().any(|server| server.cookie.is_some()) {
        let message = format!("no server of {title} has a `cookie` value: the cookie is never set");
        context.report.push(Diagnostic::new(diag::Severity::Diag, draft.spans.cookie, message));
    }
}

/// A proxy as HAProxy's messages name it.
pub(super) fn title_of(proxy: &Proxy) -> String {
    let kind = match (proxy.is_frontend, proxy.is_backend) {
        (true, false) => "frontend",
        (false, true) => "backend",
        (true, true) | (false, false) => "proxy",
    };
    format!("{kind} '{}'", proxy.name)
}
