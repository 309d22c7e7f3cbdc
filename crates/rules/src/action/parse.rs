//! From the words of a line to a rule: finding the keyword, its argument in parentheses, its words, and the condition
//! behind them. Owns the errors that all actions share.

use super::keywords::{Keyword, Parsed, keywords};
use super::{HttpAction, HttpRule, RedirectTarget, Ruleset, StreamAction, TcpAction, TcpRule};
use crate::log_format::Dialect;
use crate::{Condition, Expr, LoadError, LogFormat, ParseContext, Place, PlaceSet, Regex, Word, suggest};
use diag::{FileId, Span};

/// A rule while its words are read.
pub(super) struct Line<'l, 'w, 'c> {
    pub(super) ruleset: Ruleset,
    pub(super) keyword: &'static Keyword,
    /// The keyword as written.
    pub(super) name: Word<'w>,
    /// What stood between parentheses.
    pub(super) argument: Option<Word<'w>>,
    words: &'l [Word<'w>],
    at: usize,
    pub(super) context: &'l mut ParseContext<'c>,
}

impl<'w> Line<'_, 'w, '_> {
    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> LoadError {
        LoadError::new(span, message)
    }

    /// An error at the word that comes next, or at the keyword when none does.
    pub(super) fn error_here(&self, message: impl Into<String>) -> LoadError {
        LoadError::new(self.words.get(self.at).unwrap_or(&self.name).span, message)
    }

    pub(super) fn peek(&self) -> Option<Word<'w>> {
        self.words.get(self.at).copied()
    }

    /// The next word, unless a condition begins there.
    pub(super) fn option(&mut self) -> Option<Word<'w>> {
        let word = self.peek().filter(|word| !is_condition(*word))?;
        self.at += 1;
        Some(word)
    }

    /// The next word if it is this one.
    pub(super) fn accept(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.text == text.as_bytes());
        self.at += usize::from(found);
        found
    }

    /// The next word, whatever it says. `what` completes "… expected".
    pub(super) fn word(&mut self, what: &str) -> Result<Word<'w>, LoadError> {
        let name = String::from_utf8_lossy(self.name.text);
        match self.peek() {
            Some(word) if word.text.is_empty() => {
                Err(self.error(word.span, format!("'{name}' needs {what}, found an empty text")))
            }
            Some(word) => {
                self.at += 1;
                Ok(word)
            }
            None => Err(self.error(self.name.span, format!("'{name}' needs {what}"))),
        }
    }

    pub(super) fn text(&mut self, what: &str) -> Result<(Word<'w>, &'w str), LoadError> {
        let word = self.word(what)?;
        let text = std::str::from_utf8(word.text)
            .map_err(|_| LoadError::new(word.span, format!("{what} must be UTF-8 text")))?;
        Ok((word, text))
    }

    pub(super) fn format(&mut self, what: &str, dialect: Dialect) -> Result<LogFormat, LoadError> {
        let word = self.word(what)?;
        LogFormat::parse(word, dialect, self.context)
    }

    pub(super) fn expr(&mut self, what: &str) -> Result<Expr, LoadError> {
        if self.peek().is_none_or(is_condition) {
            return Err(self.error_here(format!("{what} expected here")));
        }
        Expr::parse(self.words, &mut self.at, self.context)
    }

    pub(super) fn regex(&mut self) -> Result<Regex, LoadError> {
        let word = self.word("a regular expression")?;
        Regex::new(word.text, false).map_err(|message| LoadError::new(word.span, message))
    }

    /// A header name: a token.
    pub(super) fn header_name(&mut self) -> Result<Box<[u8]>, LoadError> {
        let word = self.word("a header name")?;
        if !http::is_token_bytes(word.text) {
            let shown = String::from_utf8_lossy(word.text);
            return Err(self.error(word.span, format!("'{shown}' is not a valid header name")));
        }
        Ok(word.text.into())
    }

    /// A number inside a range.
    pub(super) fn number(
        &mut self,
        what: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64, LoadError> {
        let (word, text) = self.text(what)?;
        parse_number(text).filter(|number| range.contains(number)).ok_or_else(|| {
            LoadError::new(
                word.span,
                format!("{what} must be {}..={}, found '{text}'", range.start(), range.end()),
            )
        })
    }

    /// The items between the parentheses, cut at commas.
    pub(super) fn arguments(&self) -> Vec<Word<'w>> {
        let Some(argument) = self.argument else { return Vec::new() };
        let mut start = 0;
        let cut = |part: &'w [u8]| {
            let word = Word::new(part, argument.span_of(start, start + part.len()));
            start += part.len() + 1;
            word
        };
        argument.text.split(|&byte| byte == b',').map(cut).collect()
    }

    /// What is left must be a condition or nothing.
    fn condition(&mut self) -> Result<Option<Condition>, LoadError> {
        match self.peek() {
            None => Ok(None),
            Some(word) if is_condition(word) => {
                Condition::parse(&self.words[self.at..], self.context).map(Some)
            }
            Some(word) => {
                let shown = String::from_utf8_lossy(word.text);
                let name = String::from_utf8_lossy(self.name.text);
                Err(self.error(
                    word.span,
                    format!(
                        "'{shown}' is not expected after '{name}': 'if', 'unless' or the end of the line"
                    ),
                ))
            }
        }
    }
}

/// Decimal, or hexadecimal behind `0x`.
fn parse_number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn is_condition(word: Word<'_>) -> bool {
    matches!(word.text, b"if" | b"unless")
}

/// Where the expressions of a rule set run.
fn places(ruleset: Ruleset, context: &ParseContext<'_>) -> PlaceSet {
    match ruleset {
        Ruleset::HttpRequest => PlaceSet::http_request(context.section),
        Ruleset::HttpResponse | Ruleset::HttpAfterResponse => PlaceSet::http_response(context.section),
        Ruleset::TcpRequestConnection => Place::FrontendConnection.only(),
        Ruleset::TcpRequestSession => Place::FrontendSession.only(),
        Ruleset::TcpRequestContent => PlaceSet::tcp_request_content(context.section),
        Ruleset::TcpResponseContent => PlaceSet::tcp_response_content(context.section),
    }
}

/// Names the actions of a rule set that look like this one.
fn unknown(ruleset: Ruleset, word: Word<'_>, written: &str) -> LoadError {
    let elsewhere: Vec<&str> = match keywords().iter().find(|row| row.name == written) {
        Some(row) => {
            Ruleset::ALL.into_iter().filter(|ruleset| row.is_valid_in(*ruleset)).map(Ruleset::name).collect()
        }
        None => Vec::new(),
    };
    if !elsewhere.is_empty() {
        let message = format!(
            "'{written}' is not an action of '{}'; it is one of {}",
            ruleset.name(),
            elsewhere.join(", ")
        );
        return LoadError::new(word.span, message);
    }
    if written.starts_with("lua.") {
        let message = "Lua is not supported: use variables, maps and converters, or an external service";
        return LoadError::new(word.span, message);
    }
    let known = keywords().iter().filter(|row| row.is_valid_in(ruleset)).map(|row| row.name);
    let hint = suggest(written, known);
    LoadError::new(word.span, format!("unknown '{}' action '{written}'{hint}", ruleset.name()))
}

/// Parses action and condition. `words` follow the rule set's name.
fn parse(
    ruleset: Ruleset,
    words: &[Word<'_>],
    context: &mut ParseContext<'_>,
) -> Result<(Parsed, Option<Condition>, Span), LoadError> {
    let Some(&first) = words.first() else {
        let nowhere = Span { file: FileId(0), start: 0, end: 0 };
        return Err(LoadError::new(nowhere, format!("'{}' needs an action", ruleset.name())));
    };
    let open = memchr::memchr(b'(', first.text);
    let written = String::from_utf8_lossy(&first.text[..open.unwrap_or(first.text.len())]);
    let row = keywords()
        .iter()
        .find(|row| row.name == written && row.is_valid_in(ruleset))
        .ok_or_else(|| unknown(ruleset, first, &written))?;
    let argument = match (row.has_argument, open) {
        (false, None) => None,
        (true, Some(open)) if first.text.ends_with(b")") => {
            let (start, end) = (open + 1, first.text.len() - 1);
            Some(Word::new(&first.text[start..end], first.span_of(start, end)))
        }
        (true, Some(_)) => return Err(LoadError::new(first.span, format!("missing ')' after '{written}('"))),
        (true, None) => {
            return Err(LoadError::new(first.span, format!("'{written}' needs its argument: {written}(…)")));
        }
        (false, Some(_)) => {
            return Err(LoadError::new(first.span, format!("'{written}' takes no argument in parentheses")));
        }
    };
    let here = places(ruleset, context);
    let before = std::mem::replace(&mut context.places, here);
    let mut line = Line { ruleset, keyword: row, name: first, argument, words: &words[1..], at: 0, context };
    let parsed = (row.parse)(&mut line).and_then(|action| Ok((action, line.condition()?)));
    context.places = before;
    let (action, condition) = parsed?;
    let end = words.last().map_or(first.span.end, |word| word.span.end);
    Ok((action, condition, Span { file: first.span.file, start: first.span.start, end }))
}

/// Parses the words after `http-request`, `http-response` or `http-after-response`.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse_http_rule(
    ruleset: Ruleset,
    words: &[Word<'_>],
    context: &mut ParseContext<'_>,
) -> Result<HttpRule, LoadError> {
    let (action, condition, span) = parse(ruleset, words, context)?;
    let action = match action {
        Parsed::Http(action) => action,
        Parsed::Stream(action) => HttpAction::Stream(action),
        Parsed::Tcp(_) => return Err(LoadError::new(span, "this action is for TCP rules")),
    };
    Ok(HttpRule { action, condition, span })
}

/// Parses the words after `tcp-request connection`, `tcp-request session`, `tcp-request content` or
/// `tcp-response content`.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse_tcp_rule(
    ruleset: Ruleset,
    words: &[Word<'_>],
    context: &mut ParseContext<'_>,
) -> Result<TcpRule, LoadError> {
    let (action, condition, span) = parse(ruleset, words, context)?;
    let action = match action {
        Parsed::Tcp(action) => action,
        Parsed::Stream(action) => TcpAction::Stream(action),
        Parsed::Http(_) => return Err(LoadError::new(span, "this action is for HTTP rules")),
    };
    Ok(TcpRule { action, condition, span })
}

/// Parses a `redirect` line; `words` begin with the keyword itself.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse_redirect_line(
    words: &[Word<'_>],
    context: &mut ParseContext<'_>,
) -> Result<HttpRule, LoadError> {
    // Unlike `http-request redirect`, the line takes its text as it is: no log-format.
    let kinds: [&[u8]; 3] = [b"location", b"prefix", b"scheme"];
    let place = words.iter().position(|word| kinds.contains(&word.text)).map(|kind| kind + 1);
    let Some((place, text)) = place.and_then(|place| Some((place, words.get(place)?.text))) else {
        return parse_http_rule(Ruleset::HttpRequest, words, context);
    };
    let mut plain = words.to_vec();
    plain[place].text = b"/";
    let mut rule = parse_http_rule(Ruleset::HttpRequest, &plain, context)?;
    if let HttpAction::Redirect(redirect) = &mut rule.action {
        let literal = LogFormat::literal(text);
        redirect.target = match redirect.target {
            RedirectTarget::Location(_) => RedirectTarget::Location(literal),
            RedirectTarget::Prefix(_) => RedirectTarget::Prefix(literal),
            RedirectTarget::Scheme(_) => RedirectTarget::Scheme(literal),
        };
    }
    Ok(rule)
}

impl Line<'_, '_, '_> {
    /// The action is known by name, but not implemented.
    pub(super) fn refuse(&self, instead: &str) -> LoadError {
        let name = String::from_utf8_lossy(self.name.text);
        LoadError::new(self.name.span, format!("'{name}' is not supported: {instead}"))
    }
}

/// Wraps an action for a rule of either kind.
pub(super) fn stream(action: StreamAction) -> Result<Parsed, LoadError> {
    Ok(Parsed::Stream(action))
}
