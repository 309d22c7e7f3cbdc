//! The bridge to the rule engine: makes its parse context from ours, and diagnostics from its errors.

use crate::language::{Environment, Line, SectionKind, Word};
use crate::names::Names;
use crate::parse::{Context, Outcome};
use diag::{Diagnostic, Span};
use rules::log_format::Dialect;
use rules::{
    AclSet, Condition, LoadError, LogFormat, ParseContext, PlaceSet, ProxyId, Section, ServerId, TableId,
    UserlistId,
};

/// Largest file of patterns or map that is read.
const FILE_LENGTH_MAX: u64 = 256 << 20;

/// Names as the rule engine asks for them.
struct RuleNames<'a> {
    names: &'a Names,
    environment: &'a Environment,
}

fn text(name: &[u8]) -> &str {
    // Names of sections and servers are ASCII: other bytes name nothing.
    std::str::from_utf8(name).unwrap_or("")
}

impl rules::Names for RuleNames<'_> {
    fn frontend(&self, name: &[u8]) -> Option<ProxyId> {
        self.names.frontend(text(name))
    }

    fn backend(&self, name: &[u8]) -> Option<ProxyId> {
        self.names.backend(text(name))
    }

    fn server(&self, backend: ProxyId, name: &[u8]) -> Option<ServerId> {
        self.names.server(backend, text(name))
    }

    fn table(&self, name: &[u8]) -> Option<TableId> {
        self.names.table(text(name))
    }

    fn own_table(&self, proxy: ProxyId) -> Option<TableId> {
        self.names.table(&self.names.proxies.get(proxy.index())?.name)
    }

    fn userlist(&self, name: &[u8]) -> Option<UserlistId> {
        self.names.other(SectionKind::Userlist, text(name)).map(UserlistId)
    }

    fn environment(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.environment.get(text(name)).map(|value| value.as_bytes().to_vec())
    }
}

/// The words of a line as the rule engine takes them.
pub(crate) fn words(words: &[Word]) -> Vec<rules::Word<'_>> {
    words.iter().map(|word| rules::Word::new(word.bytes(), word.span)).collect()
}

pub(crate) fn word(word: &Word) -> rules::Word<'_> {
    rules::Word::new(word.bytes(), word.span)
}

fn diagnostic(error: LoadError) -> Box<Diagnostic> {
    Box::new(Diagnostic::alert(error.span, error.message))
}

/// Runs a parser of the rule engine; its warnings go to the report, its error comes back as ours.
pub(crate) fn with_rules<T>(
    context: &mut Context<'_>,
    section: Section,
    acls: &AclSet,
    places: PlaceSet,
    parse: impl FnOnce(&mut ParseContext<'_>) -> Result<T, LoadError>,
) -> Outcome<T> {
    let names = RuleNames { names: context.names, environment: context.environment };
    let base = context.base_directory.clone();
    let mut warnings = Vec::new();
    let mut read_file = |name: &[u8]| read_file(&base, name);
    let sources = context.sources;
    let locate = |span: Span| {
        let line = sources.locate(span.file, span.start).line;
        (sources.name(span.file).to_owned(), line)
    };
    let result = parse(&mut ParseContext {
        names: &names,
        locate: &locate,
        at: Span { file: diag::FileId(0), start: 0, end: 0 },
        read_file: &mut read_file,
        patterns: &mut context.patterns,
        acls,
        section,
        places,
        uses: &mut context.uses,
        warnings: &mut warnings,
    });
    for warning in warnings {
        context.report.push(Diagnostic::warning(warning.span, warning.message));
    }
    result.map_err(diagnostic)
}

fn read_file(base: &std::path::Path, name: &[u8]) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let path = base.join(text(name));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).map_err(|error| error.to_string())?;
    let length = file.take(FILE_LENGTH_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if length as u64 > FILE_LENGTH_MAX {
        return Err(format!("larger than {FILE_LENGTH_MAX} bytes"));
    }
    Ok(bytes)
}

/// A log-format in a word.
pub(crate) fn log_format(
    context: &mut Context<'_>,
    section: Section,
    places: PlaceSet,
    format: &Word,
    dialect: Dialect,
) -> Outcome<LogFormat> {
    let none = AclSet::new();
    with_rules(context, section, &none, places, |rules| LogFormat::parse(word(format), dialect, rules))
}

/// `if …` or `unless …` from word `at` to the end of the line; `None` when the line ends there.
pub(crate) fn condition(
    context: &mut Context<'_>,
    section: Section,
    acls: &AclSet,
    places: PlaceSet,
    line: &Line,
    at: usize,
) -> Outcome<Option<Condition>> {
    let rest = words(&line.words[at.min(line.words.len())..]);
    if rest.is_empty() {
        return Ok(None);
    }
    with_rules(context, section, acls, places, |rules| Condition::parse(&rest, rules)).map(Some)
}

/// Where a condition starts on a line: the first `if` or `unless` from word `from` on, or the end of the line.
pub(crate) fn condition_start(line: &Line, from: usize) -> usize {
    line.words
        .iter()
        .enumerate()
        .skip(from)
        .find(|(_, word)| word.value == "if" || word.value == "unless")
        .map_or(line.words.len(), |(index, _)| index)
}

/// A section outside of proxies.
pub(crate) const NO_SECTION: Section =
    Section { proxy: None, is_frontend: false, is_backend: false, is_http: false };

/// An error of a parser that knows words by position.
pub(crate) fn span_of_word(line: &Line, index: usize) -> Span {
    line.words.get(index).or(line.words.last()).map_or(line.span, |word| word.span)
}
