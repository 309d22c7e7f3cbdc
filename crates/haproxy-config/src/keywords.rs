//! Keyword tables: one row is one keyword with its parser, what it means in one line, and how far it is implemented.
//! Parsing, "did you mean", `-dK` and the compatibility docs all read the same rows.

use crate::parse::{Arguments, Context, Outcome, fail};
use diag::{Diagnostic, Span};

/// How far a keyword is implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Works,
    /// Read and checked; the text says what it does not do. Using it is a warning.
    ParsedOnly(&'static str),
    /// Has no effect in this program by design, and needs none: accepted silently.
    NoEffect,
    /// Tunes something that is not implemented: accepted silently, but no keyword that works.
    Idle,
    /// A form of older versions that still works; the text is how it is written today. Using it is a warning.
    Old(&'static str),
    /// Known and not done: using it is an error; the text says why or what to use instead.
    Refused(&'static str),
}

/// Reads the words after the keyword into the draft.
pub(crate) type Parse<P> = fn(&mut P, &mut Arguments<'_>, &mut Context<'_>) -> Outcome;

/// One row of a keyword table. `P` is what the parser fills in.
pub(crate) struct Keyword<P: 'static> {
    pub name: &'static str,
    pub status: Status,
    pub parse: Parse<P>,
    /// A word follows.
    pub argument: bool,
    /// One line for the docs.
    pub summary: &'static str,
}

/// A row; a function keeps tables narrow.
pub(crate) const fn row<P>(
    name: &'static str,
    status: Status,
    parse: Parse<P>,
    summary: &'static str,
) -> Keyword<P> {
    Keyword { name, status, parse, argument: true, summary }
}

/// A row of a keyword that stands alone.
pub(crate) const fn flag<P>(
    name: &'static str,
    status: Status,
    parse: Parse<P>,
    summary: &'static str,
) -> Keyword<P> {
    Keyword { name, status, parse, argument: false, summary }
}

/// Reads keyword after keyword to the end of the line, as `bind` and `server` lines are made. Goes on after a mistake,
/// so that all of a line are told; the first one is returned, the others are reported here.
pub(crate) fn parse_words<P>(
    table: &[Keyword<P>],
    place: &str,
    draft: &mut P,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    let mut first_error = Ok(());
    while let Some(word) = arguments.next() {
        let outcome = match table.iter().find(|row| row.name == word.value) {
            Some(row) => check_status(context, row.name, row.status, word.span)
                .and_then(|()| (row.parse)(draft, arguments, context)),
            None => Err(unknown("keyword", word, place, table.iter().map(|row| row.name))),
        };
        match (outcome, &first_error) {
            (Ok(()), _) => {}
            (Err(error), Ok(())) => first_error = Err(error),
            (Err(error), Err(_)) => context.report.push(*error),
        }
    }
    first_error
}

/// A parser that only assigns: `assign!(tfo = true)`.
macro_rules! assign {
    ($($field:ident).+ = $value:expr) => {
        |draft, _, _| {
            draft.$($field).+ = $value;
            Ok(())
        }
    };
}

/// A parser that reads one value: `read!(backlog = Some(count))` calls `Arguments::count`.
macro_rules! read {
    ($($field:ident).+ = Some($method:ident)) => {
        |draft, arguments, _| {
            draft.$($field).+ = Some(arguments.$method()?);
            Ok(())
        }
    };
    ($($field:ident).+ = $method:ident) => {
        |draft, arguments, _| {
            draft.$($field).+ = arguments.$method()?;
            Ok(())
        }
    };
}

pub(crate) use {assign, read};

/// Says what a status has to say when its keyword is used; an error when it is refused.
pub(crate) fn check_status(context: &mut Context<'_>, name: &str, status: Status, span: Span) -> Outcome {
    match status {
        Status::Works | Status::NoEffect | Status::Idle => Ok(()),
        Status::ParsedOnly(lack) => {
            context.warn(span, format!("`{name}` is read but has no effect yet: {lack}"));
            Ok(())
        }
        Status::Old(modern) => {
            context.warn_old(span, format!("`{name}` is an old form"), format!("write {modern}"));
            Ok(())
        }
        Status::Refused(reason) => fail(span, format!("`{name}` is not supported: {reason}")),
    }
}

/// The error for a word that is in no table.
pub(crate) fn unknown<'k>(
    what: &str,
    word: &crate::language::Word,
    place: &str,
    candidates: impl IntoIterator<Item = &'k str>,
) -> Box<Diagnostic> {
    let mut diagnostic = Diagnostic::alert(word.span, format!("unknown {what} `{}` {place}", word.value));
    if let Some(near) = diag::nearest(&word.value, candidates) {
        // `modehttp`: texts copied from web pages lose their blanks.
        diagnostic = diagnostic.with_help(match word.value.strip_prefix(near) {
            Some(rest) if !rest.is_empty() => format!("did you mean `{near} {rest}`?"),
            Some(_) | None => format!("did you mean `{near}`?"),
        });
    }
    Box::new(diagnostic)
}

/// A row as the docs and `-dK` list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// `global`, `proxy`, `option`, `bind`, `server`, …
    pub class: &'static str,
    pub name: &'static str,
    pub status: Status,
    pub summary: &'static str,
}

pub(crate) fn list<P>(class: &'static str, table: &'static [Keyword<P>]) -> impl Iterator<Item = Listed> {
    table.iter().map(move |row| Listed { class, name: row.name, status: row.status, summary: row.summary })
}

/// Names as [`diag::nearest`] takes them.
pub(crate) fn list_names(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str)
}
