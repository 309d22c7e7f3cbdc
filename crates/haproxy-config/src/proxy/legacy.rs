//! Rules of versions before 2.1, translated into the rules of today: `reqadd`, `reqrep`, `block` … Where the old form
//! says something that no modern rule says in the same way, the line is an error that names what to write.

use super::Draft;
use super::rulesets::http_rule;
use super::table::InDefaults::{No, Yes};
use super::table::Side::{Backend, Both, Frontend};
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::{Refused, Works};
use crate::language::Word;
use crate::model::Mode;
use crate::parse::{Arguments, Context, Outcome, fail_with_help};
use crate::scope::{condition_start, word};
use ::rules::{HttpRule, Ruleset};

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("block", Both, No, Works, block, "old: http-request deny"),
    entry("monitor-net", Frontend, Yes, Works, monitor_net, "old: http-request return status 200"),
    entry("reqadd", Both, No, Works, reqadd, "old: http-request add-header"),
    entry("reqallow", Both, No, Works, reqallow, "old: http-request allow"),
    entry("reqdel", Both, No, Works, reqdel, "old: http-request del-header"),
    entry("reqdeny", Both, No, Works, reqdeny, "old: http-request deny"),
    entry("reqiallow", Both, No, Works, reqallow, "old: http-request allow"),
    entry("reqidel", Both, No, Works, reqdel, "old: http-request del-header"),
    entry("reqideny", Both, No, Works, reqdeny, "old: http-request deny"),
    entry(
        "reqipass",
        Both,
        No,
        Refused("rules that do not match change nothing: drop the line"),
        skip,
        "old",
    ),
    entry("reqirep", Both, No, Works, reqrep, "old: http-request replace-header"),
    entry("reqisetbe", Frontend, No, Refused("write `use_backend NAME if { … }`"), skip, "old"),
    entry("reqitarpit", Both, No, Works, reqtarpit, "old: http-request tarpit"),
    entry("reqpass", Both, No, Refused("rules that do not match change nothing: drop the line"), skip, "old"),
    entry("reqrep", Both, No, Works, reqrep, "old: http-request replace-header"),
    entry("reqsetbe", Frontend, No, Refused("write `use_backend NAME if { … }`"), skip, "old"),
    entry("reqtarpit", Both, No, Works, reqtarpit, "old: http-request tarpit"),
    entry("rspadd", Both, No, Works, rspadd, "old: http-response add-header"),
    entry("rspdel", Both, No, Works, rspdel, "old: http-response del-header"),
    entry("rspdeny", Both, No, Works, rspdeny, "old: http-response deny"),
    entry("rspidel", Both, No, Works, rspdel, "old: http-response del-header"),
    entry("rspideny", Both, No, Works, rspdeny, "old: http-response deny"),
    entry("rspirep", Both, No, Works, rsprep, "old: http-response replace-header"),
    entry("rsprep", Both, No, Works, rsprep, "old: http-response replace-header"),
    entry("appsession", Backend, No, Refused("use `cookie` or `stick on req.cook(NAME)`"), skip, "old"),
];

type Words<'a, 'l> = &'a mut Arguments<'l>;

fn skip(_: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

/// Adds the rule that `made` says, with the condition of the old line behind it.
fn translate(
    draft: &mut Draft,
    ruleset: Ruleset,
    made: &[&str],
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    let line = arguments.line();
    let mut texts: Vec<Word> =
        made.iter().map(|text| Word::new(text.as_bytes().to_vec(), line.span)).collect();
    texts.extend(line.words[condition_start(line, 1)..].iter().cloned());
    arguments.rest();
    let words: Vec<::rules::Word<'_>> = texts.iter().map(word).collect();
    let rule = http_rule(draft, ruleset, &words, context)?;
    let shown: Vec<String> = texts.iter().map(|word| quoted(&word.value)).collect();
    let help = format!("write `{} {}`", ruleset.name(), shown.join(" "));
    context.warn_old(line.span, format!("`{}` is an old form", line.text(0)), help);
    match ruleset {
        Ruleset::HttpResponse => draft.old_rules.response.push(rule),
        Ruleset::HttpRequest
        | Ruleset::HttpAfterResponse
        | Ruleset::TcpRequestConnection
        | Ruleset::TcpRequestSession
        | Ruleset::TcpRequestContent
        | Ruleset::TcpResponseContent => draft.old_rules.request.push(rule),
    }
    Ok(())
}

/// Rules made of old lines, until it is known which rules of today stand between them.
#[derive(Debug, Clone, Default)]
pub(crate) struct OldRules {
    /// Before everything: `monitor-net`, then `block`.
    first: Vec<HttpRule>,
    /// After all `http-request` rules, and before `redirect`.
    request: Vec<HttpRule>,
    /// After all `http-response` rules.
    response: Vec<HttpRule>,
}

/// Puts the old rules where they ran.
pub(super) fn place(draft: &mut Draft) {
    let OldRules { first, request, response } = std::mem::take(&mut draft.old_rules);
    draft.proxy.http_request.splice(0..0, first);
    draft.proxy.http_request.extend(request);
    draft.proxy.http_response.extend(response);
}

/// The expression of a value, where the old one was about the whole line: what follows the name is the beginning.
fn value_pattern(keyword: &str, value: &str) -> String {
    let ignores_case = keyword.starts_with("reqi") || keyword.starts_with("rspi");
    let case = if ignores_case { "(?i)" } else { "" };
    let free = [".*", "(.*", "^"].iter().any(|start| value.starts_with(start));
    let anchor = if free { "" } else { "^" };
    if value.is_empty() { ".*".to_owned() } else { format!("{case}{anchor}{value}") }
}

/// A word as it would have to be written.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#' | b'$');
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { format!("'{text}'") }
}

/// `%` starts a variable in modern values; old ones were plain text.
fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

/// `Name: value`.
fn header_line<'l>(arguments: Words<'_, 'l>) -> Outcome<(&'l str, &'l str)> {
    let line = arguments.expect("a header line, such as X-Proto:\\ https")?;
    match line.value.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name, value.trim_start())),
        _ => {
            fail_with_help(line.span, format!("`{}` is no header line", line.value), "expected `Name: value`")
        }
    }
}

/// A regular expression over `Name: value` lines, when it names one header: the name and the expression of the value.
fn header_pattern(pattern: &str) -> Option<(&str, &str)> {
    let rest = pattern.strip_prefix('^')?;
    let length =
        rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count();
    let (name, rest) = rest.split_at(length);
    let value = rest.strip_prefix(':')?;
    if name.is_empty() {
        return None;
    }
    let value = ["[ ]*", "\\s*", " *", "\\ ", " "]
        .iter()
        .find_map(|blank| value.strip_prefix(blank))
        .unwrap_or(value);
    Some((name, value))
}

/// Takes the expression of an old line, which must be about one header.
fn expect_header_pattern<'l>(arguments: Words<'_, 'l>, modern: &str) -> Outcome<(&'l str, &'l str)> {
    let pattern = arguments.expect("a regular expression")?;
    match header_pattern(&pattern.value) {
        Some(found) => Ok(found),
        None => fail_with_help(
            pattern.span,
            format!(
                "`{}` is an old form that cannot be translated: its expression names no single header",
                arguments.line().text(0)
            ),
            format!("write `{modern}`"),
        ),
    }
}

fn reqadd(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let (name, value) = header_line(arguments)?;
    translate(draft, Ruleset::HttpRequest, &["add-header", name, &literal(value)], arguments, context)
}

fn rspadd(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let (name, value) = header_line(arguments)?;
    translate(draft, Ruleset::HttpResponse, &["add-header", name, &literal(value)], arguments, context)
}

fn delete(
    draft: &mut Draft,
    ruleset: Ruleset,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    let modern = format!("{} del-header NAME", ruleset.name());
    let span = arguments.span();
    let (name, value) = expect_header_pattern(arguments, &modern)?;
    if !matches!(value, "" | ".*" | ".*$") {
        let help = format!("write `{} replace-header {name} {} ''`", ruleset.name(), quoted(value));
        return fail_with_help(span, "headers cannot be deleted by their value", help);
    }
    translate(draft, ruleset, &["del-header", name], arguments, context)
}

fn reqdel(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    delete(draft, Ruleset::HttpRequest, arguments, context)
}

fn rspdel(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    delete(draft, Ruleset::HttpResponse, arguments, context)
}

fn replace(
    draft: &mut Draft,
    ruleset: Ruleset,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    let modern = format!("{} replace-header NAME REGEX FORMAT", ruleset.name());
    let help = match ruleset {
        Ruleset::HttpRequest => format!("{modern}` or `http-request replace-path REGEX FORMAT"),
        _ => modern,
    };
    let (name, value) = expect_header_pattern(arguments, &help)?;
    let replacement = arguments.expect("a replacement")?;
    let Some((new_name, new_value)) = replacement.value.split_once(':') else {
        return fail_with_help(
            replacement.span,
            "the replacement is no header line",
            format!("write `{help}`"),
        );
    };
    if !new_name.eq_ignore_ascii_case(name) {
        let help = format!("delete `{name}` and add `{new_name}` by two rules");
        return fail_with_help(replacement.span, "a replacement cannot change the name of a header", help);
    }
    let value = value_pattern(arguments.line().text(0), value);
    translate(
        draft,
        ruleset,
        &["replace-header", name, &value, &literal(new_value.trim_start())],
        arguments,
        context,
    )
}

fn reqrep(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    replace(draft, Ruleset::HttpRequest, arguments, context)
}

fn rsprep(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    replace(draft, Ruleset::HttpResponse, arguments, context)
}

/// `reqdeny REGEX` and its like, when the expression is about one header.
fn judge(
    draft: &mut Draft,
    ruleset: Ruleset,
    action: &str,
    arguments: Words<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    let side = if ruleset == Ruleset::HttpResponse { "res" } else { "req" };
    let modern = format!("{} {action} if {{ {side}.hdr(NAME) -m reg REGEX }}", ruleset.name());
    let line = arguments.line();
    let (name, value) = expect_header_pattern(arguments, &modern)?;
    if condition_start(line, 2) < line.words.len() {
        let message = format!("`{}` with a condition of its own cannot be translated", line.text(0));
        return fail_with_help(line.span, message, format!("write `{modern}`"));
    }
    let test = format!("{side}.fhdr({name})");
    let value = value_pattern(line.text(0), value);
    translate(draft, ruleset, &[action, "if", "{", &test, "-m", "reg", &value, "}"], arguments, context)
}

fn reqdeny(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    judge(draft, Ruleset::HttpRequest, "deny", arguments, context)
}

fn reqallow(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    judge(draft, Ruleset::HttpRequest, "allow", arguments, context)
}

fn reqtarpit(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    judge(draft, Ruleset::HttpRequest, "tarpit", arguments, context)
}

fn rspdeny(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    judge(draft, Ruleset::HttpResponse, "deny", arguments, context)
}

fn block(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    arguments.clone().expect("`if` or `unless` and a condition")?;
    translate(draft, Ruleset::HttpRequest, &["deny"], arguments, context)?;
    draft.old_rules.first.extend(draft.old_rules.request.pop());
    Ok(())
}

/// `monitor-net NETWORK`: these clients were answered before any rule, so the new rule goes first.
fn monitor_net(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let network = arguments.expect("a network")?;
    crate::address::network(network)?;
    if draft.proxy.mode != Mode::Http && !draft.is_defaults() {
        let help = "write `tcp-request connection reject if { src NETWORK }`, or let the monitor use HTTP";
        return fail_with_help(
            network.span,
            "`monitor-net` in TCP mode is an old form without a successor",
            help,
        );
    }
    let made = ["return", "status", "200", "if", "{", "src", &network.value, "}"];
    translate(draft, Ruleset::HttpRequest, &made, arguments, context)?;
    if let Some(rule) = draft.old_rules.request.pop() {
        draft.old_rules.first.insert(0, rule);
    }
    Ok(())
}
