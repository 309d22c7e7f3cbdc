//! The rule sets: `http-request` and its kin, `tcp-request`, `tcp-response`, `redirect`, `http-error`. The rules
//! themselves are the rule engine's; here is which lines make them, in which order they run, and what only the whole
//! section can tell about them.

use super::table::InDefaults::{Named, No, Yes};
use super::table::Side::{self, Backend, Both, Frontend};
use super::table::{ProxyKeyword, check_side, entry};
use super::{Draft, errors, stats};
use crate::keywords::Status::Works;
use crate::keywords::unknown;
use crate::language::{Line, Word};
use crate::model::{ErrorContent, ErrorReply, HeaderCapture};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use crate::scope;
use ::rules::Condition;
use ::rules::action::{
    self, CaptureSlot, HttpAction, HttpRule, Reply, ReplyBody, Ruleset, StreamAction, TcpAction, TcpRule,
};
use diag::Span;

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry(
        "http-after-response",
        Both,
        Named,
        Works,
        http_after_response,
        "rules for every response, ours included",
    ),
    entry("http-error", Both, Yes, Works, http_error, "what is sent instead of an error message"),
    entry("http-request", Both, Named, Works, http_request, "rules for requests"),
    entry("http-response", Both, Named, Works, http_response, "rules for responses of servers"),
    entry("redirect", Both, No, Works, redirect, "answer with another location"),
    entry(
        "tcp-request",
        Both,
        Named,
        Works,
        tcp_request,
        "rules for connections and what comes first on them",
    ),
    entry("tcp-response", Backend, Named, Works, tcp_response, "rules for what servers send first").strict(),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

/// The order in which the sets of a section run, whatever the order of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    TcpConnection,
    TcpSession,
    TcpContent,
    MonitorFail,
    HttpRequest,
    Redirect,
    UseBackend,
    UseServer,
}

impl Turn {
    fn name(self) -> &'static str {
        match self {
            Turn::TcpConnection => "tcp-request connection",
            Turn::TcpSession => "tcp-request session",
            Turn::TcpContent => "tcp-request content",
            Turn::MonitorFail => "monitor fail",
            Turn::HttpRequest => "http-request",
            Turn::Redirect => "redirect",
            Turn::UseBackend => "use_backend",
            Turn::UseServer => "use-server",
        }
    }
}

impl Draft {
    /// Warns when a line of this kind stands below lines that run later.
    pub(super) fn take_turn(&mut self, turn: Turn, span: Span, context: &mut Context<'_>) {
        match self.latest_turn {
            Some(latest) if latest > turn => {
                let message = format!(
                    "this `{}` rule stands below a `{}` rule and will still be processed before it",
                    turn.name(),
                    latest.name()
                );
                context.warn(span, message);
            }
            Some(latest) if latest == turn => {}
            Some(_) | None => self.latest_turn = Some(turn),
        }
    }
}

/// The line's words from `from` on, as the engine takes them; the line must have one.
fn rule_words<'l>(line: &'l Line, from: usize, what: &str) -> Outcome<Vec<::rules::Word<'l>>> {
    match line.words.get(from..) {
        Some(rest) if !rest.is_empty() => Ok(scope::words(rest)),
        _ => fail(line.span, format!("`{what}` needs an action")),
    }
}

/// Refuses what is known by name and done by no session: a rule that silently does nothing is worse than none.
/// Caches are warned of where they are declared.
fn refuse_undone(words: &[::rules::Word<'_>]) -> Outcome {
    let Some(word) = words.first() else { return Ok(()) };
    let name = word.text.split(|byte| *byte == b'(').next().unwrap_or_default();
    let known = action::keywords().iter().find(|row| row.name.as_bytes() == name);
    match known {
        Some(row) if !row.works() => fail(word.span, format!("`{}` is not implemented", row.name)),
        Some(_) | None => Ok(()),
    }
}

/// Reads one rule of an HTTP set from words that may be made up.
pub(super) fn http_rule(
    draft: &Draft,
    ruleset: Ruleset,
    words: &[::rules::Word<'_>],
    context: &mut Context<'_>,
) -> Outcome<HttpRule> {
    let section = draft.rule_section();
    let rule = scope::with_rules(context, section, &draft.acls, ::rules::PlaceSet::NONE, |rules| {
        action::parse_http_rule(ruleset, words, rules)
    })?;
    refuse_undone(words)?;
    Ok(rule)
}

fn read_http(
    draft: &mut Draft,
    ruleset: Ruleset,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<HttpRule> {
    let words = rule_words(arguments.line(), arguments.position(), ruleset.name())?;
    arguments.rest();
    http_rule(draft, ruleset, &words, context)
}

fn is_final(action: &HttpAction) -> bool {
    matches!(
        action,
        HttpAction::Allow
            | HttpAction::Deny(_)
            | HttpAction::Tarpit(_)
            | HttpAction::Return(_)
            | HttpAction::Redirect(_)
            | HttpAction::Auth { .. }
            | HttpAction::Reject
    )
}

/// A rule behind one that always ends the set is never reached.
fn warn_unreachable(
    previous: Option<(bool, &Option<Condition>)>,
    name: &str,
    span: Span,
    context: &mut Context<'_>,
) {
    if let Some((true, None)) = previous {
        let message = format!("the `{name}` rule above always ends the rule set: this one is never reached");
        context.warn(span, message);
    }
}

fn push_http(rules: &mut Vec<HttpRule>, rule: HttpRule, name: &str, context: &mut Context<'_>) {
    let previous = rules.last().map(|last| (is_final(&last.action), &last.condition));
    warn_unreachable(previous, name, rule.span, context);
    rules.push(rule);
}

fn http_request(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.take_turn(Turn::HttpRequest, arguments.span(), context);
    let rule = read_http(draft, Ruleset::HttpRequest, arguments, context)?;
    push_http(&mut draft.proxy.http_request, rule, "http-request", context);
    Ok(())
}

fn http_response(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let rule = read_http(draft, Ruleset::HttpResponse, arguments, context)?;
    push_http(&mut draft.proxy.http_response, rule, "http-response", context);
    Ok(())
}

fn http_after_response(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let rule = read_http(draft, Ruleset::HttpAfterResponse, arguments, context)?;
    push_http(&mut draft.proxy.http_after_response, rule, "http-after-response", context);
    Ok(())
}

fn redirect(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    draft.take_turn(Turn::Redirect, arguments.span(), context);
    let words = scope::words(&arguments.line().words);
    arguments.rest();
    let section = draft.rule_section();
    let rule = scope::with_rules(context, section, &draft.acls, ::rules::PlaceSet::NONE, |rules| {
        action::parse_redirect_line(&words, rules)
    })?;
    draft.proxy.redirects.push(rule);
    Ok(())
}

fn read_tcp(
    draft: &Draft,
    ruleset: Ruleset,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<TcpRule> {
    let words = rule_words(arguments.line(), arguments.position(), ruleset.name())?;
    arguments.rest();
    let section = draft.rule_section();
    let rule = scope::with_rules(context, section, &draft.acls, ::rules::PlaceSet::NONE, |rules| {
        action::parse_tcp_rule(ruleset, &words, rules)
    })?;
    refuse_undone(&words)?;
    Ok(rule)
}

fn push_tcp(rules: &mut Vec<TcpRule>, rule: TcpRule, name: &str, context: &mut Context<'_>) {
    let ends =
        |action: &TcpAction| matches!(action, TcpAction::Accept | TcpAction::Reject | TcpAction::Close);
    let previous = rules.last().map(|last| (ends(&last.action), &last.condition));
    warn_unreachable(previous, name, rule.span, context);
    rules.push(rule);
}

fn tcp_request(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("connection, session, content or inspect-delay")?;
    let on_side = |draft: &Draft, side: Side, context: &mut Context<'_>| {
        check_side(draft, side, &format!("tcp-request {}", word.value), word, true, context)
    };
    match word.value.as_str() {
        "connection" => {
            on_side(draft, Frontend, context)?;
            draft.take_turn(Turn::TcpConnection, arguments.span(), context);
            let rule = read_tcp(draft, Ruleset::TcpRequestConnection, arguments, context)?;
            push_tcp(&mut draft.proxy.tcp_request_connection, rule, "tcp-request connection", context);
        }
        "session" => {
            on_side(draft, Frontend, context)?;
            draft.take_turn(Turn::TcpSession, arguments.span(), context);
            let rule = read_tcp(draft, Ruleset::TcpRequestSession, arguments, context)?;
            push_tcp(&mut draft.proxy.tcp_request_session, rule, "tcp-request session", context);
        }
        "content" => {
            draft.take_turn(Turn::TcpContent, arguments.span(), context);
            let rule = read_tcp(draft, Ruleset::TcpRequestContent, arguments, context)?;
            push_tcp(&mut draft.proxy.tcp_request_content, rule, "tcp-request content", context);
        }
        "inspect-delay" => draft.proxy.tcp_request_inspect_delay = Some(arguments.duration()?),
        _ => {
            let known = ["connection", "session", "content", "inspect-delay"];
            return Err(unknown("word", word, "after `tcp-request`", known));
        }
    }
    Ok(())
}

fn tcp_response(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("content or inspect-delay")?;
    match word.value.as_str() {
        "content" => {
            let rule = read_tcp(draft, Ruleset::TcpResponseContent, arguments, context)?;
            push_tcp(&mut draft.proxy.tcp_response_content, rule, "tcp-response content", context);
        }
        "inspect-delay" => draft.proxy.tcp_response_inspect_delay = Some(arguments.duration()?),
        _ => return Err(unknown("word", word, "after `tcp-response`", ["content", "inspect-delay"])),
    }
    Ok(())
}

/// `stats http-request …`: who may see the page.
pub(super) fn stats_http_request(
    draft: &mut Draft,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    if draft.is_defaults() {
        return fail(arguments.span(), "`stats http-request` cannot stand in `defaults`");
    }
    let rule = read_http(draft, Ruleset::HttpRequest, arguments, context)?;
    match rule.action {
        HttpAction::Allow | HttpAction::Deny(_) | HttpAction::Auth { .. } => {}
        _ => return fail(rule.span, "`stats http-request` knows allow, deny and auth"),
    }
    stats::of(draft).http_request.push(rule);
    Ok(())
}

/// `http-error status N …`: the words of a `return` action.
fn http_error(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let reply = error_reply(draft.rule_section(), arguments, context)?;
    errors::set(&mut draft.proxy.errors, reply);
    Ok(())
}

/// Reads the words of `http-error`, in proxies and in `http-errors` sections.
pub(crate) fn error_reply(
    section: ::rules::Section,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome<ErrorReply> {
    let line = arguments.line();
    let at = arguments.position();
    let Some(status) = line.words.iter().skip(at).position(|word| word.value == "status") else {
        return fail_with_help(line.span, "`http-error` needs a status", "write http-error status 503 …");
    };
    let mut probe = arguments.clone();
    probe.seek(at + status + 1);
    let status_span = probe.peek().map_or(line.span, |word| word.span);
    let status = errors::status(&mut probe)?;
    let head = Word::new(b"return".to_vec(), line.words[0].span);
    let mut words = vec![scope::word(&head)];
    words.extend(scope::words(arguments.rest()));
    let none = ::rules::AclSet::new();
    let rule = scope::with_rules(context, section, &none, ::rules::PlaceSet::NONE, |rules| {
        action::parse_http_rule(Ruleset::HttpRequest, &words, rules)
    })?;
    if rule.condition.is_some() {
        return fail(rule.span, "`http-error` takes no condition");
    }
    match rule.action {
        HttpAction::Return(reply) => Ok(ErrorReply { status, content: content_of(reply) }),
        _ => fail(status_span, "`http-error` makes a reply"),
    }
}

fn content_of(reply: Reply) -> ErrorContent {
    match reply.body {
        ReplyBody::Raw(bytes) => ErrorContent::Raw(bytes),
        ReplyBody::Empty
        | ReplyBody::ErrorMessage
        | ReplyBody::ErrorFiles(_)
        | ReplyBody::Bytes(_)
        | ReplyBody::Format(_) => ErrorContent::Reply(std::sync::Arc::new(reply)),
    }
}

/// Gives out slots to captures that make their own, and checks the others.
pub(super) fn number_captures(draft: &mut Draft, context: &mut Context<'_>) {
    let is_frontend = draft.proxy.is_frontend;
    let has_frontend = is_frontend;
    let mut requests = std::mem::take(&mut draft.proxy.request_captures);
    let responses = draft.proxy.response_captures.len() as u32;
    let mut one = |action: &mut StreamAction, span: Span, is_request: bool, context: &mut Context<'_>| {
        let StreamAction::Capture(capture) = action else { return };
        match &mut capture.slot {
            CaptureSlot::Own { length, index } if has_frontend && is_request => {
                *index = requests.len() as u32;
                requests.push(HeaderCapture { name: String::new(), length: *length as usize });
            }
            CaptureSlot::Own { .. } => {
                let message = "a capture with `len` makes a slot in its frontend: here is none";
                let help = "write `declare capture request len N` in the frontend and use `id N` here";
                context.report.push(diag::Diagnostic::alert(span, message).with_help(help));
            }
            // A backend does not know which frontend's slots it will fill.
            CaptureSlot::Declared(index) if is_frontend => {
                let slots = if is_request { requests.len() as u32 } else { responses };
                if *index >= slots {
                    let message = format!("there is no capture slot {index} in this frontend");
                    context.report.push(
                        diag::Diagnostic::alert(span, message)
                            .with_help("slots are made by `declare capture` and counted from 0"),
                    );
                }
            }
            CaptureSlot::Declared(_) => {}
        }
    };
    for rule in &mut draft.proxy.tcp_request_content {
        if let TcpAction::Stream(action) = &mut rule.action {
            one(action, rule.span, true, context);
        }
    }
    for (rules, is_request) in [
        (&mut draft.proxy.http_request, true),
        (&mut draft.proxy.http_response, false),
        (&mut draft.proxy.http_after_response, false),
    ] {
        for rule in rules {
            if let HttpAction::Stream(action) = &mut rule.action {
                one(action, rule.span, is_request, context);
            }
        }
    }
    draft.proxy.request_captures = requests;
}

/// Every stream action of a proxy's rules, with its place.
pub(super) fn stream_actions(draft: &Draft) -> impl Iterator<Item = (&StreamAction, Span)> {
    let proxy = &draft.proxy;
    let http = [&proxy.http_request, &proxy.http_response, &proxy.http_after_response]
        .into_iter()
        .flatten()
        .filter_map(|rule| match &rule.action {
            HttpAction::Stream(action) => Some((action, rule.span)),
            _ => None,
        });
    let tcp = [
        &proxy.tcp_request_connection,
        &proxy.tcp_request_session,
        &proxy.tcp_request_content,
        &proxy.tcp_response_content,
    ]
    .into_iter()
    .flatten()
    .filter_map(|rule| match &rule.action {
        TcpAction::Stream(action) => Some((action, rule.span)),
        _ => None,
    });
    http.chain(tcp)
}

/// Replies that send a message of an `http-errors` section get that message.
pub(super) fn resolve_error_files(
    draft: &mut Draft,
    sections: &[crate::model::HttpErrors],
    context: &mut Context<'_>,
) {
    let proxy = &mut draft.proxy;
    for rules in [&mut proxy.http_request, &mut proxy.http_response, &mut proxy.http_after_response] {
        for rule in rules {
            let (HttpAction::Deny(reply) | HttpAction::Tarpit(reply) | HttpAction::Return(reply)) =
                &mut rule.action
            else {
                continue;
            };
            let ReplyBody::ErrorFiles(name) = &reply.body else { continue };
            let Some(section) = sections.iter().find(|section| *section.name == **name) else {
                let message = format!("there is no http-errors section `{name}`");
                context.report.push(diag::Diagnostic::alert(rule.span, message));
                continue;
            };
            let found = section.replies.iter().find(|known| known.status == reply.status);
            reply.body = match found.map(|known| &known.content) {
                Some(ErrorContent::Raw(bytes)) => ReplyBody::Raw(bytes.clone()),
                Some(ErrorContent::Reply(_) | ErrorContent::Redirect { .. }) | None => {
                    ReplyBody::ErrorMessage
                }
            };
        }
    }
}
