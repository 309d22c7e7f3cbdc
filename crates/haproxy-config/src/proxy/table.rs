//! The table of all keywords of proxy sections, and which sections each belongs to.

use super::{
    Draft, balance, basics, checks, cookie, email_alert, errors, filters, legacy, logs, options, rules,
    rulesets, stats, timeouts,
};
use crate::keywords::{Keyword, Parse, Status};
use crate::language::Word;
use crate::parse::{Context, Outcome, fail};

/// The side of a proxy that a keyword concerns. `listen` has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Frontend,
    Backend,
    Both,
}

/// Whether a keyword may stand in `defaults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InDefaults {
    Yes,
    /// Only in a section with a name: rules, which must not spread by accident.
    Named,
    No,
}

/// One row of the proxy table.
pub(crate) struct ProxyKeyword {
    pub keyword: Keyword<Draft>,
    pub side: Side,
    pub defaults: InDefaults,
    /// `no` and `default` may stand before it.
    pub negatable: bool,
    /// On the wrong side it is an error and not only ignored.
    pub strict: bool,
}

pub(super) const fn entry(
    name: &'static str,
    side: Side,
    defaults: InDefaults,
    status: Status,
    parse: Parse<Draft>,
    summary: &'static str,
) -> ProxyKeyword {
    let keyword = Keyword { name, status, parse, argument: true, summary };
    ProxyKeyword { keyword, side, defaults, negatable: false, strict: false }
}

impl ProxyKeyword {
    pub(super) const fn negatable(mut self) -> Self {
        self.negatable = true;
        self
    }

    pub(super) const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Its words go to the rule engine or to checks, which take any bytes.
    pub fn takes_bytes(&self) -> bool {
        const NAMES: [&str; 16] = [
            "acl",
            "http-after-response",
            "http-check",
            "http-error",
            "http-request",
            "http-response",
            "log-format",
            "log-format-sd",
            "error-log-format",
            "redirect",
            "stick",
            "tcp-check",
            "tcp-request",
            "tcp-response",
            "unique-id-format",
            "use_backend",
        ];
        NAMES.contains(&self.keyword.name)
    }

    /// Whether the line counts in this section; a warning if it is ignored, an error where HAProxy refuses it.
    pub fn belongs(&self, draft: &Draft, word: &Word, context: &mut Context<'_>) -> Outcome<bool> {
        let name = self.keyword.name;
        if draft.is_defaults() {
            return match self.defaults {
                InDefaults::Yes => Ok(true),
                InDefaults::Named if !draft.proxy.name.is_empty() => Ok(true),
                InDefaults::Named => fail(
                    word.span,
                    format!("`{name}` may stand in `defaults` only if the section has a name"),
                ),
                InDefaults::No => fail(word.span, format!("`{name}` cannot stand in `defaults`")),
            };
        }
        check_side(draft, self.side, name, word, self.strict, context)
    }
}

/// Whether the section has the side that a keyword needs.
pub(super) fn check_side(
    draft: &Draft,
    side: Side,
    name: &str,
    word: &Word,
    strict: bool,
    context: &mut Context<'_>,
) -> Outcome<bool> {
    let (fits, missing) = match side {
        Side::Frontend => (draft.has_frontend() || draft.is_defaults(), "frontend"),
        Side::Backend => (draft.has_backend() || draft.is_defaults(), "backend"),
        Side::Both => (true, ""),
    };
    if fits {
        return Ok(true);
    }
    let message = format!("`{name}` needs a {missing} side, which {} has not", draft.title());
    if strict {
        return fail(word.span, message);
    }
    context.warn(word.span, format!("{message}: it is ignored"));
    Ok(false)
}

/// All rows, group by group.
pub(crate) fn rows() -> impl Iterator<Item = &'static ProxyKeyword> {
    basics::KEYWORDS
        .iter()
        .chain(balance::KEYWORDS)
        .chain(checks::KEYWORDS)
        .chain(cookie::KEYWORDS)
        .chain(email_alert::KEYWORDS)
        .chain(filters::KEYWORDS)
        .chain(errors::KEYWORDS)
        .chain(logs::KEYWORDS)
        .chain(options::KEYWORDS)
        .chain(rules::KEYWORDS)
        .chain(rulesets::KEYWORDS)
        .chain(legacy::KEYWORDS)
        .chain(stats::KEYWORDS)
        .chain(timeouts::KEYWORDS)
}

pub(crate) fn find(name: &str) -> Option<&'static ProxyKeyword> {
    rows().find(|row| row.keyword.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    rows().map(|row| row.keyword.name)
}
