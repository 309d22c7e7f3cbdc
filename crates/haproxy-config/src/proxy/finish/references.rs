//! Names that rules, filters and routes use: each must be there, and becomes an id.

use super::super::{Draft, rulesets};
use crate::language::Word;
use crate::model::{BackendTarget, BandwidthLimit, Filter, Model, ServerTarget, UseBackend, UseServer};
use crate::parse::{Context, Outcome, fail, fail_with_help};
use crate::scope;
use ::rules::log_format::Dialect;
use ::rules::stick_table::DataType;
use ::rules::{HttpAction, Place, ProxyId, ServerId, StreamAction};
use diag::Diagnostic;

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

/// What rules name must be there.
pub(super) fn check_rules(draft: &Draft, model: &Model, context: &mut Context<'_>) {
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
pub(super) fn check_filters(draft: &Draft, model: &Model, context: &mut Context<'_>) {
    let limits = || {
        draft.proxy.filters.iter().filter_map(|filter| match filter {
            Filter::Bandwidth(limit) => Some(limit),
            Filter::Compression | Filter::Cache(_) | Filter::Trace(_) => None,
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
pub(super) fn routing(draft: &mut Draft, context: &mut Context<'_>) {
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
