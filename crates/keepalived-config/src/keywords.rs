//! Keyword tables: one row is one keyword with its parser, what it means in one line, and how far it is implemented.
//! Parsing, "did you mean" and the compatibility docs all read the same rows.

use crate::arguments::Arguments;
use crate::context::{Context, Outcome, fail};
use crate::language::Node;
use diag::{Diagnostic, Severity};

/// How far a keyword is implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Works,
    /// Read and checked; the text says what it does not do. Using it is a notice.
    ParsedOnly(&'static str),
    /// Has no effect in this program by design, and needs none: accepted silently.
    NoEffect,
    /// Not done, because something else does it better: accepted with a warning that says what.
    Instead(&'static str),
    /// A form of older versions that still works; the text is how it is written today.
    Old(&'static str),
    /// Known and not done: using it is an error; the text says why or what to use instead.
    Refused(&'static str),
}

/// What may follow the words of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Line,
    Block,
}

/// Reads a statement into the draft.
pub(crate) type Parse<D> = fn(&mut D, &mut Arguments<'_>, &mut Context<'_>) -> Outcome;

/// One row of a keyword table. `D` is what the parser fills in.
pub(crate) struct Keyword<D: 'static> {
    pub name: &'static str,
    pub status: Status,
    pub shape: Shape,
    pub parse: Parse<D>,
    /// One line for the docs.
    pub summary: &'static str,
}

/// A row of a statement on one line; a function keeps tables narrow.
pub(crate) const fn line<D>(
    name: &'static str,
    status: Status,
    parse: Parse<D>,
    summary: &'static str,
) -> Keyword<D> {
    Keyword { name, status, shape: Shape::Line, parse, summary }
}

/// A row of a statement with a block.
pub(crate) const fn block<D>(
    name: &'static str,
    status: Status,
    parse: Parse<D>,
    summary: &'static str,
) -> Keyword<D> {
    Keyword { name, status, shape: Shape::Block, parse, summary }
}

/// A parser that only assigns: `assign!(preempt = false)`.
macro_rules! assign {
    ($($field:ident).+ = $value:expr) => {
        |draft, _, _| {
            draft.$($field).+ = $value;
            Ok(())
        }
    };
}

/// A parser that reads one value: `read!(name = Some(string))` calls `Arguments::string`.
macro_rules! read {
    ($($field:ident).+ = Some($method:ident($($argument:expr),*))) => {
        |draft, arguments, _| {
            draft.$($field).+ = Some(arguments.$method($($argument),*)?);
            Ok(())
        }
    };
    ($($field:ident).+ = $method:ident($($argument:expr),*) as $type:ty) => {
        |draft, arguments, _| {
            draft.$($field).+ = arguments.$method($($argument),*)? as $type;
            Ok(())
        }
    };
    ($($field:ident).+ = Some($method:ident($($argument:expr),*) as $type:ty)) => {
        |draft, arguments, _| {
            draft.$($field).+ = Some(arguments.$method($($argument),*)? as $type);
            Ok(())
        }
    };
    ($($field:ident).+ = $method:ident($($argument:expr),*)) => {
        |draft, arguments, _| {
            draft.$($field).+ = arguments.$method($($argument),*)?;
            Ok(())
        }
    };
}

pub(crate) use {assign, read};

/// Reads every statement of a block by its table. `place` completes "unknown keyword … in".
pub(crate) fn read_block<D: 'static, I: Iterator<Item = &'static Keyword<D>>>(
    nodes: &[Node],
    rows: impl Fn() -> I,
    place: &str,
    draft: &mut D,
    context: &mut Context<'_>,
) {
    for node in nodes {
        if let Err(error) = read_statement(node, &rows, place, draft, context) {
            context.push_alert(*error);
        }
    }
}

fn read_statement<D: 'static, I: Iterator<Item = &'static Keyword<D>>>(
    node: &Node,
    rows: &impl Fn() -> I,
    place: &str,
    draft: &mut D,
    context: &mut Context<'_>,
) -> Outcome {
    let mut arguments = Arguments::new(node);
    let Some(keyword) = arguments.next() else {
        return Ok(());
    };
    let Some(row) = rows().find(|row| row.name == keyword.value) else {
        return Err(unknown("keyword", &keyword, place, rows().map(|row| row.name)));
    };
    context.keyword = row.name;
    check_status(row.name, effective(place, row.name, row.status), keyword.span, context)?;
    match (row.shape, &node.block) {
        (Shape::Line, Some(_)) => {
            let mut error = Diagnostic::alert(node.span(), format!("`{}` takes no block", row.name));
            let glued = rows()
                .filter(|other| other.shape == Shape::Block)
                .find(|other| node.words().iter().skip(1).any(|word| word.value.ends_with(other.name)));
            if let Some(glued) = glued {
                error = error.with_help(format!("a line break is missing before `{}`", glued.name));
            }
            return Err(Box::new(error));
        }
        (Shape::Block, None) => {
            return fail(node.span(), format!("`{}` needs a block: `{{` is missing", row.name));
        }
        (Shape::Line, None) | (Shape::Block, Some(_)) => {}
    }
    (row.parse)(draft, &mut arguments, context)?;
    if let (Shape::Line, Some(rest)) = (row.shape, arguments.next()) {
        // keepalived reads no further either; a lost line break hides a keyword here.
        let mut diagnostic = Diagnostic::warning(
            rest.span,
            format!(
                "`{}` and what follows on this line is ignored: `{}` needs no more words",
                rest.value, row.name
            ),
        );
        if rows().any(|row| row.name == rest.value) {
            diagnostic = diagnostic.with_help("each keyword needs a line of its own");
        }
        context.report.push(diagnostic);
    }
    Ok(())
}

/// The status of a row with what the rest of the program does not do yet.
fn effective(block: &str, name: &str, status: Status) -> Status {
    match (status, crate::unfinished::lack(block, name)) {
        (Status::Works | Status::Old(_), Some(lack)) => Status::ParsedOnly(lack),
        (status, _) => status,
    }
}

/// Tells of a word on a line what [`effective`] tells of a keyword.
pub(crate) fn advise_unfinished(block: &str, word: &crate::language::Word, context: &mut Context<'_>) {
    if let Some(lack) = crate::unfinished::lack(block, &word.value) {
        // A rule without one of its selectors takes more packets than it should.
        let severity = if block == "rule line" { Severity::Warning } else { Severity::Notice };
        let message = format!("`{}` is read but has no effect yet: {lack}", word.value);
        context.advise(Diagnostic::new(severity, word.span, message));
    }
}

fn check_status(name: &str, status: Status, span: diag::Span, context: &mut Context<'_>) -> Outcome {
    match status {
        Status::Works | Status::NoEffect => Ok(()),
        Status::ParsedOnly(lack) => {
            context
                .advise(Diagnostic::notice(span, format!("`{name}` is read but has no effect yet: {lack}")));
            Ok(())
        }
        Status::Instead(other) => {
            context.advise(
                Diagnostic::warning(span, format!("`{name}` has no effect"))
                    .with_help(format!("use {other} instead")),
            );
            Ok(())
        }
        Status::Old(modern) => {
            context.advise(
                Diagnostic::notice(span, format!("`{name}` is an old form"))
                    .with_help(format!("write {modern}")),
            );
            Ok(())
        }
        Status::Refused(reason) => fail(span, format!("`{name}` is not supported: {reason}")),
    }
}

/// Letters after a keyword that are a word of their own rather than a slip of the finger.
const GLUED_LENGTH_MIN: usize = 2;

/// The error for a word that is in no table.
pub(crate) fn unknown<'k>(
    what: &str,
    word: &crate::language::Word,
    place: &str,
    candidates: impl IntoIterator<Item = &'k str>,
) -> Box<Diagnostic> {
    let mut diagnostic = Diagnostic::alert(word.span, format!("unknown {what} `{}` in {place}", word.value));
    if let Some(near) = diag::nearest(&word.value, candidates) {
        diagnostic = diagnostic.with_help(match word.value.strip_prefix(near) {
            // `TCPreal_server`: texts copied from web pages lose their line breaks.
            Some(rest) if rest.len() >= GLUED_LENGTH_MIN => format!("did you mean `{near} {rest}`?"),
            Some(_) | None => format!("did you mean `{near}`?"),
        });
    }
    Box::new(diagnostic)
}

/// A row as the docs list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The block it stands in; `root` for the file itself.
    pub block: &'static str,
    pub name: &'static str,
    pub status: Status,
    pub summary: &'static str,
}

pub(crate) fn list<D>(block: &'static str, table: &'static [Keyword<D>]) -> impl Iterator<Item = Listed> {
    table.iter().map(move |row| Listed {
        block,
        name: row.name,
        status: effective(block, row.name, row.status),
        summary: row.summary,
    })
}
