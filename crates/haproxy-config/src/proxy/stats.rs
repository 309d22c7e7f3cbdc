//! `stats …` in proxies: the statistics page.

use super::Draft;
use super::table::InDefaults::Yes;
use super::table::Side::Both;
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::Works;
use crate::keywords::unknown;
use crate::model::Stats;
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};

pub(super) static KEYWORDS: &[ProxyKeyword] =
    &[entry("stats", Both, Yes, Works, stats, "the statistics page")];

/// Where the page is unless `stats uri` says otherwise.
const URI_DEFAULT: &[u8] = b"/haproxy?stats";

const WORDS: [&str; 14] = [
    "enable",
    "uri",
    "realm",
    "auth",
    "refresh",
    "scope",
    "hide-version",
    "show-version",
    "show-legends",
    "show-node",
    "show-desc",
    "show-modules",
    "admin",
    "http-request",
];

fn new_stats() -> Stats {
    Stats {
        uri: URI_DEFAULT.to_vec(),
        realm: None,
        auth: Vec::new(),
        refresh: None,
        hide_version: false,
        show_legends: false,
        show_modules: false,
        show_node: None,
        show_description: None,
        scope: Vec::new(),
        admin: Vec::new(),
        http_request: Vec::new(),
    }
}

fn stats(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    draft.spans.stats.get_or_insert(arguments.span());
    let word = arguments.expect("a word such as enable or uri")?;
    if !WORDS.contains(&word.value.as_str()) {
        return Err(unknown("word", word, "after `stats`", WORDS));
    }
    match word.value.as_str() {
        "admin" => return super::rules::stats_admin(draft, arguments, context),
        "http-request" => return super::rulesets::stats_http_request(draft, arguments, context),
        _ => {}
    }
    let stats = draft.proxy.stats.get_or_insert_with(new_stats);
    match word.value.as_str() {
        "uri" => stats.uri = arguments.expect("a URI prefix")?.value.clone().into_bytes(),
        "realm" => {
            let realm = arguments.expect("a text")?;
            stats.realm = Some(realm.value.clone());
            if let Some(extra) = arguments.peek() {
                let message = format!("the realm is `{}`: what follows is ignored", realm.value);
                context.warn_old(extra.span, message, "escape spaces: stats realm HAProxy\\ Statistics");
                arguments.rest();
            }
        }
        "auth" => {
            let pair = arguments.expect("user:password")?;
            match pair.value.split_once(':') {
                Some((user, password)) => stats.auth.push((user.to_owned(), password.to_owned())),
                None => stats.auth.push((pair.value.clone(), String::new())),
            }
        }
        "refresh" => {
            let time = arguments.seconds()?;
            stats.refresh = (!time.is_zero()).then_some(time);
        }
        "scope" => {
            let scope = arguments.expect("the name of a proxy, or `.`")?;
            stats.scope.push(scope.value.clone());
        }
        "hide-version" => stats.hide_version = true,
        "show-version" => stats.hide_version = false,
        "show-legends" => stats.show_legends = true,
        "show-modules" => stats.show_modules = true,
        "show-node" => {
            let node = rest_of_line(arguments);
            if node.contains(' ') {
                return fail(arguments.span(), "a node name is one word");
            }
            stats.show_node = Some(node);
        }
        "show-desc" => stats.show_description = Some(rest_of_line(arguments)),
        _ => {}
    }
    if let Some(extra) = arguments.peek() {
        context.warn(extra.span, format!("`{}` after `{}` is ignored", extra.value, arguments.keyword()));
        arguments.rest();
    }
    Ok(())
}

fn rest_of_line(arguments: &mut Arguments<'_>) -> String {
    let words: Vec<&str> = arguments.rest().iter().map(|word| word.value.as_str()).collect();
    words.join(" ")
}

/// The page's settings, made when a line about it is the first.
pub(super) fn of(draft: &mut Draft) -> &mut Stats {
    draft.proxy.stats.get_or_insert_with(new_stats)
}

/// `stats admin` needs a condition.
pub(super) fn condition_missing<T>(arguments: &Arguments<'_>) -> Outcome<T> {
    fail_with_help(
        arguments.span(),
        "`stats admin` needs `if` or `unless` and a condition",
        "write `stats admin if TRUE`",
    )
}
