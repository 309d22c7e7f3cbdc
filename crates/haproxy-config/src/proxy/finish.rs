//! From drafts to proxies: names become ids, and what only the whole configuration can tell is told.

mod advice;
mod references;
mod together;

use super::{Draft, LogChoice, balance, rulesets};
use crate::language::Word;
use crate::model::{Address, BalanceKey, Global, Mode, Model, Proxy, ServerPort};
use crate::parse::{Context, Outcome};
use crate::scope;
use crate::server::resolve_track;
use ::rules::log_format::{BuiltIn, Dialect};
use ::rules::stick_table::{DataType, KeyType};
use ::rules::{AclSet, Expr, ParseContext, Place, PlaceSet, ValueType, cast_exists};
use advice::{advise, limit_cookie_capture, only_http, same_dynamic_cookies, title_of};
use diag::{Diagnostic, Span};
use references::{backend_of, check_filters, check_rules, routing};
use std::collections::HashMap;
use together::{check_modes, check_track_cycles, number};

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
