//! From drafts to proxies: names become ids, and what only the whole configuration can tell is told.

use super::checks::CheckKind;
use super::{Draft, LogChoice, balance, rulesets};
use crate::language::Word;
use crate::model::{
    Address, BackendTarget, BalanceKey, BandwidthLimit, CookieMode, Filter, Global, Mode, Model, Proxy,
    ServerPort, ServerTarget, UseBackend, UseServer,
};
use crate::parse::{Context, Outcome, fail, fail_with_help};
use crate::scope;
use crate::server::resolve_track;
use ::rules::log_format::{BuiltIn, Dialect};
use ::rules::stick_table::{DataType, KeyType};
use ::rules::{
    AclSet, Expr, HttpAction, ParseContext, Place, PlaceSet, ProxyId, ServerId, StreamAction, TcpAction,
    TcpRule,
};
use ::rules::{ValueType, cast_exists};
use diag::{Diagnostic, Span};
use std::collections::{BTreeSet, HashMap};

/// Turns every draft into a proxy. Mistakes are reported; the result is only good when there were none.
pub(crate) fn finish(drafts: Vec<Draft>, model: &Model, context: &mut Context<'_>) -> Vec<Proxy> {
    let mut proxies: Vec<Proxy> = drafts.into_iter().map(|draft| finish_one(draft, model, context)).collect();
    number(&mut proxies, context);
    check_modes(&proxies, context);
    check_track_cycles(&proxies, context);
    proxies
}

fn finish_one(mut draft: Draft, model: &Model, context: &mut Context<'_>) -> Proxy {
    let is_frontend = draft.proxy.is_frontend;
    let is_backend = draft.proxy.is_backend;
    if is_frontend {
        let outcome = default_backend(&mut draft, context);
        context.report_error(outcome);
    }
    if is_backend {
        draft.proxy.check = super::checks::recipe(&draft.checks);
        let outcome = settle_balance(&mut draft, context);
        context.report_error(outcome);
        for (index, track) in std::mem::take(&mut draft.tracks) {
            match resolve_track(&track, draft.proxy.id, context) {
                Ok(server) => draft.proxy.servers[index].track = Some(server),
                Err(error) => context.report.push(*error),
            }
        }
        check_servers(&draft, context);
        implied_server(&mut draft, context);
        same_dynamic_cookies(&draft, context);
    }
    super::legacy::place(&mut draft);
    routing(&mut draft, context);
    error_sections(&mut draft, model);
    rulesets::resolve_error_files(&mut draft, &model.http_errors, context);
    rulesets::number_captures(&mut draft, context);
    check_rules(&draft, model, context);
    own_name(&mut draft);
    stick(&draft, context);
    log_targets(&mut draft, &model.global);
    if is_backend {
        super::checks::settle_external(&mut draft, &model.global, context);
        super::email_alert::settle(&mut draft, context);
    }
    limit_cookie_capture(&mut draft, &model.global, context);
    only_http(&mut draft, context);
    super::filters::check(&draft, context);
    check_filters(&draft, model, context);
    formats(&mut draft, context);
    advise(&draft, context);
    // What belongs to the other side came from defaults and means nothing here.
    if !is_frontend {
        draft.proxy.binds.clear();
        draft.proxy.default_backend = None;
    }
    draft.proxy
}

fn default_backend(draft: &mut Draft, context: &Context<'_>) -> Outcome {
    let Some(word) = &draft.default_backend else {
        return Ok(());
    };
    draft.proxy.default_backend = Some(backend_of(word, context)?);
    Ok(())
}

/// The backend a word names.
pub(super) fn backend_of(word: &Word, context: &Context<'_>) -> Outcome<ProxyId> {
    match context.names.backend(&word.value) {
        Some(id) => Ok(id),
        None => {
            let message = match context.names.frontend(&word.value) {
                Some(_) => format!("`{}` is a frontend: it has no servers", word.value),
                None => format!("there is no backend `{}`", word.value),
            };
            match diag::nearest(&word.value, context.names.backend_names()) {
                Some(near) => fail_with_help(word.span, message, format!("did you mean `{near}`?")),
                None => fail(word.span, message),
            }
        }
    }
}

fn settle_balance(draft: &mut Draft, context: &mut Context<'_>) -> Outcome {
    if draft.proxy.mode != Mode::Http && draft.balance.needs_http() {
        // The words of HAProxy, which scripts look for.
        let message = format!(
            "Layer 7 hash not possible for {} (needs 'mode http'). Falling back to round robin.",
            title_of(&draft.proxy)
        );
        let span = draft.spans.balance.unwrap_or(draft.proxy.span);
        context.report.push(Diagnostic::warning(span, message).with_help("add `mode http`"));
        draft.balance.kind = balance::Kind::RoundRobin;
    }
    let choice = draft.balance.clone();
    draft.proxy.hash_balance_factor = choice.factor;
    let section = draft.rule_section();
    draft.proxy.balance = choice.settle(|word| {
        let places = Place::ServerChoice.only();
        let words = [scope::word(word)];
        let parse = |rules: &mut ParseContext<'_>| Expr::parse(&words, &mut 0, rules);
        scope::with_rules(context, section, &AclSet::new(), places, parse).map(BalanceKey::Expr)
    })?;
    Ok(())
}

/// Settings that stand for the name of their proxy, wherever they were written.
fn own_name(draft: &mut Draft) {
    let name = draft.proxy.name.clone();
    if let Some(file) = draft.proxy.server_state_file_name.as_mut().filter(|file| file.is_empty()) {
        file.clone_from(&name);
    }
    for scope in draft.proxy.stats.iter_mut().flat_map(|stats| &mut stats.scope) {
        if scope == "." {
            scope.clone_from(&name);
        }
    }
}

/// What `stick` lines find or store must fit the keys of their table, which then stores servers.
fn stick(draft: &Draft, context: &mut Context<'_>) {
    for (rule, span) in draft.proxy.stick_rules.iter().zip(&draft.stick_spans) {
        // Tables were met in the order of their ids.
        let Ok(at) = context.tables.binary_search_by_key(&rule.table, |(id, _)| *id) else { continue };
        let table = &mut context.tables[at].1;
        table.config.store_implicitly(DataType::ServerId);
        table.config.store_implicitly(DataType::ServerKey);
        let wanted = match table.config.key {
            KeyType::Ip => ValueType::Ip4,
            KeyType::Ipv6 => ValueType::Ip6,
            KeyType::Integer => ValueType::Int,
            KeyType::String { .. } => ValueType::Str,
            KeyType::Binary { .. } => ValueType::Bin,
        };
        let found = rule.key.output();
        if !cast_exists(found, wanted) {
            let message = format!(
                "`{}` cannot be a key of table `{}`, whose type is {}",
                String::from_utf8_lossy(rule.key.source()),
                table.name,
                table.config.key.name()
            );
            let note = table.span;
            context.report.push(Diagnostic::alert(*span, message).with_note(note, "the table is here"));
        }
    }
}

/// `errorfiles`: messages of http-errors sections, unless the proxy has one of its own.
fn error_sections(draft: &mut Draft, model: &Model) {
    for (index, wanted) in std::mem::take(&mut draft.error_sections) {
        let Some(section) = model.http_errors.get(index as usize) else { continue };
        for reply in &section.replies {
            let known = draft.proxy.errors.iter().any(|known| known.status == reply.status);
            if !known && (wanted.is_empty() || wanted.contains(&reply.status)) {
                draft.proxy.errors.push(reply.clone());
            }
        }
    }
}

/// What rules name must be there.
fn check_rules(draft: &Draft, model: &Model, context: &mut Context<'_>) {
    for (action, span) in rulesets::stream_actions(draft) {
        if let StreamAction::Track(track) = action
            && track.table.is_none()
            && draft.proxy.stick_table.is_none()
        {
            let message = format!("this rule tracks into the table of {}, which has none", draft.title());
            context.report.push(
                Diagnostic::alert(span, message).with_help("add `stick-table`, or name one with `table`"),
            );
        }
    }
    for (action, span) in rulesets::stream_actions(draft) {
        if let StreamAction::Resolve(wanted) = action
            && !model.resolvers.iter().any(|section| *section.name == *wanted.resolvers)
        {
            let message = format!("there is no resolvers section `{}`", wanted.resolvers);
            context.report.push(Diagnostic::alert(span, message));
        }
    }
    for rule in draft.proxy.http_request.iter().chain(&draft.proxy.http_response) {
        let (HttpAction::CacheUse(name) | HttpAction::CacheStore(name)) = &rule.action else { continue };
        if !model.caches.iter().any(|cache| *cache.name == **name) {
            context.report.push(Diagnostic::alert(rule.span, format!("there is no cache `{name}`")));
        }
    }
}

/// `filter` lines name caches and tables, and rules name filters.
fn check_filters(draft: &Draft, model: &Model, context: &mut Context<'_>) {
    let limits = || {
        draft.proxy.filters.iter().filter_map(|filter| match filter {
            Filter::Bandwidth(limit) => Some(limit),
            Filter::Compression | Filter::Cache(_) | Filter::Trace => None,
        })
    };
    for (action, span) in rulesets::stream_actions(draft) {
        let StreamAction::SetBandwidthLimit(wanted) = action else { continue };
        let Some(limit) = limits().find(|limit| *limit.name == *wanted.filter) else {
            let message = format!("{} has no bandwidth limit `{}`", draft.title(), wanted.filter);
            let help = "add `filter bwlim-out NAME default-limit 1m default-period 1s`";
            context.report.push(Diagnostic::alert(span, message).with_help(help));
            continue;
        };
        let is_shared = matches!(limit.limit, BandwidthLimit::Shared { .. });
        if is_shared && (wanted.limit.is_some() || wanted.period.is_some()) {
            let message = format!("`{}` is shared by streams: no rule can change it for one", wanted.filter);
            context.report.push(Diagnostic::alert(span, message));
        }
    }
    for limit in limits() {
        let BandwidthLimit::Shared { table, .. } = &limit.limit else { continue };
        let Ok(at) = context.tables.binary_search_by_key(table, |(id, _)| *id) else { continue };
        let rate = if limit.uploads { DataType::BytesInRate } else { DataType::BytesOutRate };
        let table = &context.tables[at].1;
        if !table.config.store.iter().any(|stored| stored.data == rate) {
            let message = format!("table `{}` does not store {}", table.name, rate.name());
            let help = format!("add `store {}(1s)` to it", rate.name());
            context.report.push(Diagnostic::alert(table.span, message).with_help(help));
        }
    }
    for filter in &draft.proxy.filters {
        if let Filter::Cache(name) = filter
            && !model.caches.iter().any(|cache| cache.name == *name)
        {
            context.report.push(Diagnostic::alert(draft.proxy.span, format!("there is no cache `{name}`")));
        }
    }
}

/// `use_backend` and `use-server`: a name becomes an id, a format stays one.
fn routing(draft: &mut Draft, context: &mut Context<'_>) {
    let section = draft.rule_section();
    for line in std::mem::take(&mut draft.use_backend) {
        let places = Place::UseBackend.only();
        let target = scope::log_format(context, section, places, &line.target, Dialect::PLAIN);
        let target = target.and_then(|format| match format.as_literal() {
            Some(_) => backend_of(&line.target, context).map(BackendTarget::Static),
            None => Ok(BackendTarget::Dynamic(format)),
        });
        match target {
            Ok(target) => {
                draft.proxy.use_backend.push(UseBackend {
                    target,
                    condition: line.condition,
                    span: line.span,
                });
            }
            Err(error) => context.report.push(*error),
        }
    }
    for line in std::mem::take(&mut draft.use_server) {
        let places = Place::ServerChoice.only();
        let target = scope::log_format(context, section, places, &line.target, Dialect::PLAIN);
        let target = target.and_then(|format| match format.as_literal() {
            Some(_) => server_of(draft, &line.target, context).map(ServerTarget::Static),
            None => Ok(ServerTarget::Dynamic(format)),
        });
        match target {
            Ok(target) => {
                let (condition, span) = (line.condition, line.span);
                draft.proxy.use_server.push(UseServer { target, condition, span });
            }
            Err(error) => context.report.push(*error),
        }
    }
}

fn server_of(draft: &Draft, word: &Word, context: &Context<'_>) -> Outcome<ServerId> {
    match context.names.server(draft.proxy.id, &word.value) {
        Some(server) => Ok(server),
        None => {
            let message = format!("{} has no server `{}`", draft.title(), word.value);
            let names = draft.proxy.servers.iter().map(|server| server.name.as_str());
            match diag::nearest(&word.value, names) {
                Some(near) => fail_with_help(word.span, message, format!("did you mean `{near}`?")),
                None => fail(word.span, message),
            }
        }
    }
}

/// Log formats, parsed for the section that uses them.
fn formats(draft: &mut Draft, context: &mut Context<'_>) {
    if !draft.proxy.is_frontend {
        return;
    }
    let section = draft.rule_section();
    let log = Place::Log.only();
    let built_in = |kind: BuiltIn, span: Span, context: &mut Context<'_>| {
        scope::with_rules(context, section, &AclSet::new(), log, |rules| kind.parse(span, rules))
    };
    let format = match draft.log_choice.clone() {
        LogChoice::Connection => Ok(None),
        LogChoice::Tcp(span) => built_in(BuiltIn::Tcp, span, context).map(Some),
        LogChoice::Http(span) => built_in(BuiltIn::Http, span, context).map(Some),
        LogChoice::HttpClf(span) => built_in(BuiltIn::Clf, span, context).map(Some),
        LogChoice::Https(span) => built_in(BuiltIn::Https, span, context).map(Some),
        LogChoice::Format(word) => scope::log_format(context, section, log, &word, Dialect::LOG).map(Some),
    };
    draft.proxy.log_format = format.unwrap_or_else(|error| {
        context.report.push(*error);
        None
    });
    let mut parse = |word: &Option<Word>, places: PlaceSet, dialect: Dialect| {
        let word = word.as_ref()?;
        match scope::log_format(context, section, places, word, dialect) {
            Ok(format) => Some(format),
            Err(error) => {
                context.report.push(*error);
                None
            }
        }
    };
    draft.proxy.error_log_format = parse(&draft.error_log_format, log, Dialect::LOG);
    draft.proxy.log_format_sd = parse(&draft.log_format_sd, log, Dialect::LOG);
    let request = PlaceSet::http_request(section).with(PlaceSet::tcp_request_content(section));
    draft.proxy.unique_id_format = parse(&draft.unique_id_format, request, Dialect::UNIQUE_ID);
}

fn check_servers(draft: &Draft, context: &mut Context<'_>) {
    let mut first: HashMap<&str, Span> = HashMap::new();
    let mut ids: HashMap<u32, Span> = HashMap::new();
    for server in &draft.proxy.servers {
        if let Some(other) = first.get(server.name.as_str()) {
            let message = format!("{} has two servers named `{}`", draft.title(), server.name);
            context
                .report
                .push(Diagnostic::alert(server.span, message).with_note(*other, "the first one is here"));
        }
        first.entry(&server.name).or_insert(server.span);
        if server.puid > 0
            && let Some(other) = ids.insert(server.puid, server.span)
        {
            let message = format!("id {} of server `{}` is taken", server.puid, server.name);
            context.report.push(Diagnostic::alert(server.span, message).with_note(other, "it is used here"));
        }
        if let Some(check) = &server.check {
            let no_port = server.port != crate::model::ServerPort::Fixed && check.port.is_none();
            let local = matches!(
                server.address,
                crate::model::Address::Unix(_)
                    | crate::model::Address::Abstract(_)
                    | crate::model::Address::Fd(_)
            );
            if no_port && !local && !draft.proxy.check.first_connect_has_port() && server.track.is_none() {
                let message = format!("server `{}` has `check` but no port to check", server.name);
                context.report.push(
                    Diagnostic::alert(server.span, message)
                        .with_help("give the server a port, or add `port N`"),
                );
            }
        }
    }
}

/// `dispatch` and `transparent` send requests where no server stands. Where `balance` is said, that decides.
fn implied_server(draft: &mut Draft, context: &mut Context<'_>) {
    let transparent = draft.proxy.options.transparent;
    if draft.spans.balance.is_some() && draft.proxy.dispatch.take().is_some() {
        let message =
            format!("dispatch address of {} will be ignored in balance mode.", title_of(&draft.proxy));
        context.warn(draft.proxy.span, message);
    }
    let (address, port) = match draft.proxy.dispatch.clone() {
        Some(address) => (address, ServerPort::Fixed),
        None if transparent && draft.spans.balance.is_none() => {
            (Address::Inet { ip: std::net::Ipv4Addr::UNSPECIFIED.into(), port: 0 }, ServerPort::Relative(0))
        }
        None => return,
    };
    let mut server = crate::server::implied(draft.proxy.span, draft.proxy.id);
    (server.address, server.port) = (address, port);
    draft.proxy.servers.push(server);
}

/// `tune.http.cookielen` bounds what `capture cookie` keeps.
fn limit_cookie_capture(draft: &mut Draft, global: &Global, context: &mut Context<'_>) {
    let Some(capture) = draft.proxy.cookie_capture.as_mut() else { return };
    let max = global.tune.http_cookielen;
    if capture.length > max {
        capture.length = max;
        let message = format!("truncating capture length to {max} bytes for {}", title_of(&draft.proxy));
        context.warn(draft.proxy.span, message);
    }
}

/// Servers that a dynamic cookie cannot tell apart.
fn same_dynamic_cookies(draft: &Draft, context: &mut Context<'_>) {
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

fn log_targets(draft: &mut Draft, global: &Global) {
    if draft.log_global {
        // In the order of HAProxy: a proxy's own targets come after those it shares.
        draft.proxy.log_targets.splice(0..0, global.log_targets.iter().cloned());
    }
    if draft.proxy.log_tag.is_none() {
        draft.proxy.log_tag.clone_from(&global.log_tag);
    }
    if let LogChoice::Connection = draft.log_choice {
        draft.proxy.log_format = None;
    }
}

/// Settings that only HTTP mode understands are dropped elsewhere, with a warning where HAProxy gives one.
fn only_http(draft: &mut Draft, context: &mut Context<'_>) {
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
fn advise(draft: &Draft, context: &mut Context<'_>) {
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
fn title_of(proxy: &Proxy) -> String {
    let kind = match (proxy.is_frontend, proxy.is_backend) {
        (true, false) => "frontend",
        (false, true) => "backend",
        (true, true) | (false, false) => "proxy",
    };
    format!("{kind} '{}'", proxy.name)
}

/// Gives ids to proxies, listeners and servers that were given none: the lowest free one, in order.
fn number(proxies: &mut [Proxy], context: &mut Context<'_>) {
    let mut taken: HashMap<u32, Span> = HashMap::new();
    for proxy in proxies.iter().filter(|proxy| proxy.uuid > 0) {
        if let Some(other) = taken.insert(proxy.uuid, proxy.span) {
            let message = format!("id {} of `{}` is taken", proxy.uuid, proxy.name);
            context.report.push(Diagnostic::alert(proxy.span, message).with_note(other, "it is used here"));
        }
    }
    // HAProxy counts a proxy of its own first, and counts on at every proxy, whether or not it takes the number.
    let mut free = Free::new(2, taken.into_keys());
    for proxy in proxies.iter_mut() {
        free.give(&mut proxy.uuid);
        let mut binds = Free::new(1, proxy.binds.iter().map(|bind| bind.id));
        for bind in &mut proxy.binds {
            binds.give(&mut bind.id);
        }
        let mut servers = Free::new(1, proxy.servers.iter().map(|server| server.puid));
        for server in &mut proxy.servers {
            servers.give(&mut server.puid);
        }
    }
}

/// Numbers that are not taken, counted up.
struct Free {
    taken: BTreeSet<u32>,
    next: u32,
}

impl Free {
    fn new(first: u32, taken: impl Iterator<Item = u32>) -> Self {
        Free { taken: taken.collect(), next: first }
    }

    /// Fills in an id that is 0, and counts.
    fn give(&mut self, id: &mut u32) {
        if *id == 0 {
            while self.taken.contains(&self.next) {
                self.next += 1;
            }
            *id = self.next;
        }
        self.next += 1;
    }
}

/// A frontend and the backends it names must speak the same way.
fn check_modes(proxies: &[Proxy], context: &mut Context<'_>) {
    for proxy in proxies.iter().filter(|proxy| proxy.is_frontend) {
        let named = proxy.use_backend.iter().filter_map(|line| match &line.target {
            BackendTarget::Static(id) => Some((*id, line.span)),
            BackendTarget::Dynamic(_) => None,
        });
        for (id, span) in proxy.default_backend.map(|id| (id, proxy.span)).into_iter().chain(named) {
            let target = &proxies[id.index()];
            if id == proxy.id {
                let message = format!("requests of `{}` would go round in it for ever", proxy.name);
                context.report.push(Diagnostic::alert(span, message));
            }
            if let Some(problem) = mode_mismatch(proxy, target) {
                context
                    .report
                    .push(Diagnostic::alert(span, problem).with_note(target.span, "the backend is here"));
            }
        }
    }
}

/// Why a frontend cannot use a backend. A TCP frontend may hand over to an HTTP backend (the stream is upgraded).
pub(super) fn mode_mismatch(frontend: &Proxy, backend: &Proxy) -> Option<String> {
    match (frontend.mode, backend.mode) {
        (Mode::Http, Mode::Tcp) => Some(format!(
            "frontend `{}` is in HTTP mode and its backend `{}` in TCP mode",
            frontend.name, backend.name
        )),
        (Mode::Http | Mode::Tcp | Mode::Health, Mode::Http | Mode::Tcp | Mode::Health) => None,
    }
}

fn check_track_cycles(proxies: &[Proxy], context: &mut Context<'_>) {
    for proxy in proxies {
        for server in proxy.servers.iter().filter(|server| server.track.is_some()) {
            let mut seen = BTreeSet::new();
            let mut at = server.track;
            while let Some(id) = at {
                let Some(next) = proxies.get(id.proxy.index()).and_then(|p| p.servers.get(id.index as usize))
                else {
                    break;
                };
                if !seen.insert(id) || std::ptr::eq(next, server) {
                    let message = format!("server `{}` tracks itself in the end", server.name);
                    context.report.push(Diagnostic::alert(server.span, message));
                    break;
                }
                if next.track.is_none() && next.check.is_none() && next.agent.is_none() {
                    let message = format!(
                        "server `{}` tracks `{}`, which is neither checked nor tracks another",
                        server.name, next.name
                    );
                    context
                        .report
                        .push(Diagnostic::alert(server.span, message).with_help("add `check` there"));
                    break;
                }
                at = next.track;
            }
        }
    }
}
