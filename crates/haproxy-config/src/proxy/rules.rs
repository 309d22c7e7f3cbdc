//! ACLs and everything with a condition that is no rule of a rule set: routing, persistence, redirects, captures.

use super::rulesets::Turn;
use super::table::InDefaults::{Named, No, Yes};
use super::table::Side::{Backend, Both, Frontend};
use super::table::{ProxyKeyword, entry};
use super::{Draft, stats};
use crate::keywords::Status::Works;
use crate::keywords::{list_names, unknown};
use crate::language::Word;
use crate::model::{CookieCapture, HeaderCapture, StickRule, Table};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use crate::scope;
use ::rules::{AclSet, Condition, Place, PlaceSet, StickTableConfig};

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("acl", Both, Named, Works, acl, "a named test"),
    entry("capture", Frontend, No, Works, capture, "parts of messages that logs show"),
    entry("declare", Frontend, No, Works, declare, "slots for captures by rules").strict(),
    entry(
        "force-persist",
        Backend,
        No,
        Works,
        force_persist,
        "use a server that is down if the cookie names it",
    ),
    entry("ignore-persist", Backend, No, Works, ignore_persist, "forget the cookie"),
    entry("monitor", Frontend, No, Works, monitor, "when `monitor-uri` answers 503"),
    entry("stick", Backend, No, Works, stick, "persistence by stick table"),
    entry("stick-table", Both, No, Works, stick_table, "table of keys that rules and `stick` use"),
    entry(
        "unique-id-format",
        Frontend,
        Yes,
        Works,
        unique_id_format,
        "how the unique id of a request is made",
    ),
    entry("use-server", Backend, No, Works, use_server, "server for what matches"),
    entry("use_backend", Frontend, No, Works, use_backend, "backend for what matches"),
    entry(
        "use-fcgi-app",
        Backend,
        No,
        crate::keywords::Status::Refused("FastCGI is not implemented"),
        skip,
        "FastCGI application",
    ),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

fn skip(_: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

/// Reads `if …`/`unless …` and nothing else from here to the end of the line.
pub(super) fn condition(
    draft: &Draft,
    arguments: Words<'_, '_>,
    places: PlaceSet,
    context: &mut Context<'_>,
) -> Outcome<Option<Condition>> {
    let at = arguments.position();
    if let Some(word) = arguments.peek().filter(|word| word.value != "if" && word.value != "unless") {
        let message = format!("expected `if` or `unless`, found `{}`", word.value);
        return fail(word.span, message);
    }
    let condition =
        scope::condition(context, draft.rule_section(), &draft.acls, places, arguments.line(), at)?;
    arguments.rest();
    Ok(condition)
}

/// A condition that must be there.
fn needed_condition(
    draft: &Draft,
    arguments: Words<'_, '_>,
    places: PlaceSet,
    context: &mut Context<'_>,
) -> Outcome<Condition> {
    arguments.clone().expect("`if` or `unless` and a condition")?;
    match condition(draft, arguments, places, context)? {
        Some(condition) => Ok(condition),
        None => fail(arguments.span(), "a condition is missing: `if` or `unless`"),
    }
}

fn acl(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("a name and a test")?;
    let words = scope::words(arguments.rest());
    let section = draft.rule_section();
    let line = scope::with_rules(context, section, &draft.acls, PlaceSet::ALL, |rules| {
        AclSet::parse(&words, rules)
    })?;
    draft.acls.insert(line);
    Ok(())
}

fn use_backend(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let target = arguments.expect("the name of a backend")?.clone();
    let places = Place::UseBackend.only();
    let condition = condition(draft, arguments, places, context)?;
    draft.take_turn(Turn::UseBackend, arguments.span(), context);
    draft.use_backend.push(super::Routing { target, condition, span: arguments.span() });
    Ok(())
}

fn use_server(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let target = arguments.expect("the name of a server")?.clone();
    let places = Place::ServerChoice.only();
    let condition = needed_condition(draft, arguments, places, context)?;
    draft.take_turn(Turn::UseServer, arguments.span(), context);
    draft.use_server.push(super::Routing { target, condition: Some(condition), span: arguments.span() });
    Ok(())
}

fn force_persist(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let places = draft.request_places();
    let condition = needed_condition(draft, arguments, places, context)?;
    draft.proxy.force_persist.push(condition);
    Ok(())
}

fn ignore_persist(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let places = draft.request_places();
    let condition = needed_condition(draft, arguments, places, context)?;
    draft.proxy.ignore_persist.push(condition);
    Ok(())
}

fn monitor(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("fail", ())])?;
    let condition = needed_condition(draft, arguments, Place::FrontendHttpRequest.only(), context)?;
    draft.take_turn(Turn::MonitorFail, arguments.span(), context);
    draft.proxy.monitor_fail.push(condition);
    Ok(())
}

/// `stats admin if …`.
pub(super) fn stats_admin(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    if arguments.peek().is_none() {
        return stats::condition_missing(arguments);
    }
    if draft.is_defaults() {
        return fail(arguments.span(), "`stats admin` cannot stand in `defaults`");
    }
    let places = draft.request_places();
    let condition = needed_condition(draft, arguments, places, context)?;
    stats::of(draft).admin.push(condition);
    Ok(())
}

fn unique_id_format(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.unique_id_format = Some(arguments.expect("a format")?.clone());
    Ok(())
}

/// Bytes a capture may keep.
const CAPTURE_LENGTH_MAX: i64 = 65_535;

fn capture_length(arguments: Words<'_, '_>) -> Outcome<usize> {
    arguments.choice(&[("len", ())])?;
    Ok(arguments.integer(1..=CAPTURE_LENGTH_MAX)? as usize)
}

fn capture(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("cookie, request or response")?;
    match word.value.as_str() {
        "cookie" => {
            let name = arguments.expect("a cookie name")?.value.clone();
            let length = capture_length(arguments)?;
            // `name=` is that name, `name` is whatever begins with it.
            let exact = name.strip_suffix('=');
            draft.proxy.cookie_capture = Some(CookieCapture {
                name: exact.unwrap_or(&name).to_owned(),
                prefix: exact.is_none(),
                length,
            });
        }
        side @ ("request" | "response") => {
            arguments.choice(&[("header", ())])?;
            let name = arguments.expect("a header name")?.value.clone();
            let length = capture_length(arguments)?;
            let capture = HeaderCapture { name, length };
            match side {
                "request" => draft.proxy.request_captures.push(capture),
                _ => draft.proxy.response_captures.push(capture),
            }
        }
        _ => return Err(unknown("word", word, "after `capture`", ["cookie", "request", "response"])),
    }
    Ok(())
}

fn declare(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.choice(&[("capture", ())])?;
    let is_request = arguments.choice(&[("request", true), ("response", false)])?;
    let capture = HeaderCapture { name: String::new(), length: capture_length(arguments)? };
    if is_request {
        draft.proxy.request_captures.push(capture);
    } else {
        draft.proxy.response_captures.push(capture);
    }
    Ok(())
}

fn stick_table(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let Some(id) = context.names.table(&draft.proxy.name) else {
        return fail(arguments.span(), "this table has no name");
    };
    if draft.proxy.stick_table.is_some() {
        return fail(arguments.span(), "a proxy has one stick table: this is a second one");
    }
    let config = parse_table(arguments, context)?;
    if let Some(peers) = &config.peers
        && context.names.other(crate::language::SectionKind::Peers, peers).is_none()
    {
        return fail(arguments.span(), format!("there is no peers section `{peers}`"));
    }
    draft.proxy.stick_table = Some(id);
    context.tables.push((
        id,
        Table { name: draft.proxy.name.clone(), proxy: Some(draft.proxy.id), config, span: arguments.span() },
    ));
    Ok(())
}

/// The words of a table from here to the end of the line.
pub(crate) fn parse_table(arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome<StickTableConfig> {
    let first = arguments.position();
    let line = arguments.line();
    let words: Vec<&str> = arguments.rest().iter().map(|word| word.value.as_str()).collect();
    let mut warnings = Vec::new();
    let parsed = StickTableConfig::parse(&words, &mut warnings);
    for warning in warnings {
        context.warn(scope::span_of_word(line, first + warning.word), warning.message);
    }
    parsed.or_else(|error| fail(scope::span_of_word(line, first + error.word), error.message))
}

fn stick(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let (matches, stores_request, stores_response) = arguments.choice(&[
        ("on", (true, true, false)),
        ("match", (true, false, false)),
        ("store-request", (false, true, false)),
        ("store-response", (false, false, true)),
    ])?;
    let places = if stores_response { Place::StickStore.only() } else { Place::ServerChoice.only() };
    arguments.clone().expect("an expression, such as src")?;
    let line = arguments.line();
    let words = scope::words(&line.words);
    let mut at = arguments.position();
    let section = draft.rule_section();
    let key = scope::with_rules(context, section, &draft.acls, places, |rules| {
        ::rules::Expr::parse(&words, &mut at, rules)
    })?;
    arguments.seek(at);
    let table =
        if arguments.take("table") { Some(arguments.expect("the name of a table")?.clone()) } else { None };
    let condition = condition(draft, arguments, places, context)?;
    let table = table_of(draft, table.as_ref(), arguments, context)?;
    draft.stick_spans.push(arguments.span());
    let rule = StickRule { key, table, matches, stores_request, stores_response, condition };
    draft.proxy.stick_rules.push(rule);
    Ok(())
}

/// The table a line names, or the section's own.
fn table_of(
    draft: &Draft,
    name: Option<&Word>,
    arguments: &Arguments<'_>,
    context: &Context<'_>,
) -> Outcome<::rules::TableId> {
    match name {
        Some(word) => match context.names.table(&word.value) {
            Some(table) => Ok(table),
            None => {
                let message = format!("there is no stick table `{}`", word.value);
                let near = diag::nearest(&word.value, list_names(context.names.table_names()));
                match near {
                    Some(near) => fail_with_help(word.span, message, format!("did you mean `{near}`?")),
                    None => fail_with_help(
                        word.span,
                        message,
                        "a table has the name of its proxy: add `stick-table` there",
                    ),
                }
            }
        },
        None => match context.names.table(&draft.proxy.name) {
            Some(table) => Ok(table),
            None => {
                let message = format!("{} has no `stick-table`", draft.title());
                fail_with_help(
                    arguments.span(),
                    message,
                    "add `stick-table type ip size 100k expire 30m`, or name one with `table`",
                )
            }
        },
    }
}
