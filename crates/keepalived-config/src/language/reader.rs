//! Files to lines: comments, multi-line definitions and includes.

use super::expand::Expander;
use super::{Node, Text, Tree, expand_braces, glob};
use crate::Host;
use diag::{Diagnostic, FileId, Report, Sources, Span};
use std::path::{Path, PathBuf};

/// Includes within includes.
const INCLUDE_DEPTH_MAX: usize = 32;
/// Files of one load.
const FILES_MAX: usize = 65_536;

/// What a load may be told from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReaderOptions {
    /// `-i`; `None`: the short host name.
    pub config_id: Option<String>,
    /// Every include must find something readable (`-e`).
    pub check_includes: bool,
    /// Of `${_RANDOM}`.
    pub seed: u64,
    /// Lines after all substitutions.
    pub lines_max: usize,
}

/// Which problems of an include are errors.
#[derive(Debug, Clone, Copy, Default)]
struct IncludeChecks {
    readable: bool,
    matches: bool,
    wildcard: bool,
    brace: bool,
}

impl IncludeChecks {
    const ALL: IncludeChecks = IncludeChecks { readable: true, matches: true, wildcard: true, brace: true };

    /// Those of this keyword; `None`: no include at all.
    fn of_keyword(word: &str, current: IncludeChecks) -> Option<IncludeChecks> {
        Some(match word {
            "include" => current,
            "includer" => IncludeChecks { readable: true, ..current },
            "includem" => IncludeChecks { readable: true, matches: true, ..current },
            "includew" => IncludeChecks { readable: true, wildcard: true, ..current },
            "includeb" => IncludeChecks { readable: true, brace: true, ..current },
            "includea" => IncludeChecks::ALL,
            _ => return None,
        })
    }

    /// `include_check [+|-]name …`
    fn apply(&mut self, words: &[&str]) {
        if words.is_empty() {
            *self = IncludeChecks::ALL;
            return;
        }
        if !words[0].starts_with(['+', '-']) {
            *self = IncludeChecks::default();
        }
        for word in words {
            let (value, name) = match word.strip_prefix('-') {
                Some(name) => (false, name),
                None => (true, word.strip_prefix('+').unwrap_or(word)),
            };
            match name {
                "readable" => self.readable = value,
                "match" => self.matches = value,
                "wildcard_match" => self.wildcard = value,
                "brace_match" => self.brace = value,
                _ => {}
            }
        }
    }
}

/// Reads files into one tree.
pub(crate) struct Reader<'h> {
    host: &'h dyn Host,
    expander: Expander<'h>,
    checks: IncludeChecks,
    tree: Tree,
    files: usize,
    /// An include was refused: keepalived's test ends with another code then.
    pub include_failed: bool,
}

impl<'h> Reader<'h> {
    pub fn new(host: &'h dyn Host, options: &ReaderOptions) -> Reader<'h> {
        Reader {
            host,
            expander: Expander::new(host, options.config_id.as_deref(), options.seed, options.lines_max),
            checks: if options.check_includes { IncludeChecks::ALL } else { IncludeChecks::default() },
            tree: Tree::new(),
            files: 0,
            include_failed: false,
        }
    }

    /// Reads one file and what it includes.
    pub fn read(&mut self, path: &Path, text: Vec<u8>, sources: &mut Sources, report: &mut Report) {
        self.read_text(path, text, sources, report, 0);
    }

    pub fn finish(self, report: &mut Report) -> Vec<Node> {
        self.tree.finish(report)
    }

    fn read_text(
        &mut self,
        path: &Path,
        text: Vec<u8>,
        sources: &mut Sources,
        report: &mut Report,
        depth: usize,
    ) {
        self.files += 1;
        let file = sources.add(path.display().to_string(), text);
        let directory = path.parent().map(|parent| parent.display().to_string()).unwrap_or_default();
        let directory = if directory.is_empty() { ".".to_owned() } else { directory };
        let outer = std::mem::replace(&mut self.expander.directory, directory);
        let outer_checks = self.checks;
        self.lines(path, file, sources, report, depth);
        self.checks = outer_checks;
        self.expander.directory = outer;
    }

    fn lines(&mut self, path: &Path, file: FileId, sources: &mut Sources, report: &mut Report, depth: usize) {
        // The text is copied: the table of sources grows while includes are read.
        let bytes = sources.text(file).to_vec();
        let text = printable_text(&bytes, file, report);
        let mut definition: Option<(String, String)> = None;
        let mut at = 0;
        for raw in text.split_inclusive('\n') {
            let line = Text::verbatim(file, at, without_comment(raw));
            at += raw.len();
            let line = line.trimmed();
            if let Some((name, mut value)) = definition.take() {
                let (part, goes_on) = continued(&line.value);
                value.push('\n');
                value.push_str(part);
                if goes_on {
                    definition = Some((name, value));
                } else {
                    self.expander.define(&name, value);
                }
                continue;
            }
            if line.value.is_empty() {
                continue;
            }
            if self.directive(path, &line, sources, report, depth) {
                continue;
            }
            let (_, goes_on) = continued(&line.value);
            if goes_on && let Some(conditional) = self.expander.condition(&line) {
                if let Some((name, start)) = Expander::definition(&conditional.value) {
                    let (value, _) = continued(&conditional.value[start..]);
                    definition = Some((name.to_owned(), value.trim().to_owned()));
                    continue;
                }
                report.push(
                    Diagnostic::warning(
                        line.whole(),
                        "a `\\` at the end of a line continues definitions only",
                    )
                    .with_help("write the whole statement on one line"),
                );
            }
            self.check_quotes(&line, report);
            let tree = &mut self.tree;
            self.expander.expand(&line, report, &mut |line, report| tree.push(line, report));
        }
        if let Some((name, value)) = definition {
            self.expander.define(&name, value);
        }
    }

    fn check_quotes(&self, line: &Text, report: &mut Report) {
        if line.value.matches('"').count() % 2 == 1 {
            let at = line.value.rfind('"').unwrap_or(0);
            report.push(Diagnostic::alert(line.span(at, line.value.len()), "this quote is never closed"));
        }
    }

    /// Lines that concern reading itself; seen before conditions and variables, as keepalived sees them.
    fn directive(
        &mut self,
        path: &Path,
        line: &Text,
        sources: &mut Sources,
        report: &mut Report,
        depth: usize,
    ) -> bool {
        let mut words = line.value.split_ascii_whitespace();
        let Some(first) = words.next() else {
            return false;
        };
        match first {
            "include_check" => self.checks.apply(&words.collect::<Vec<_>>()),
            "random_seed" => {
                if let Some(seed) = words.next().and_then(|word| word.parse().ok()) {
                    self.expander.seed(seed);
                }
            }
            _ => {}
        }
        let Some(checks) = IncludeChecks::of_keyword(first, self.checks) else {
            return false;
        };
        let name = line.value[first.len()..].trim().trim_matches('"');
        let span = line.span(first.len(), line.value.len());
        if name.is_empty() {
            report.push(Diagnostic::alert(line.whole(), format!("`{first}` needs the name of a file")));
        } else if depth >= INCLUDE_DEPTH_MAX || self.files >= FILES_MAX {
            report.push(Diagnostic::alert(
                span,
                format!(
                    "more than {INCLUDE_DEPTH_MAX} includes within each other: does a file include itself?"
                ),
            ));
        } else {
            self.include(path, name, span, checks, sources, report, depth);
        }
        true
    }

    #[allow(clippy::too_many_arguments)] // One call; a struct would only name them twice.
    fn include(
        &mut self,
        path: &Path,
        name: &str,
        span: Span,
        checks: IncludeChecks,
        sources: &mut Sources,
        report: &mut Report,
        depth: usize,
    ) {
        let alternatives = expand_braces(name);
        let mut found_any = false;
        for alternative in &alternatives {
            let pattern = match path.parent() {
                Some(parent) if !Path::new(alternative).is_absolute() => parent.join(alternative),
                Some(_) | None => PathBuf::from(alternative),
            };
            let paths = self.host.glob(&pattern);
            found_any |= !paths.is_empty();
            if paths.is_empty() && alternatives.len() > 1 && checks.brace {
                self.refuse(span, format!("`{alternative}` matches no file"), true, report);
            }
            for path in paths {
                match self.host.read_file(&path) {
                    Ok(text) => self.read_text(&path, text, sources, report, depth + 1),
                    Err(error) => self.refuse(
                        span,
                        format!("cannot read `{}`: {error}", path.display()),
                        checks.readable,
                        report,
                    ),
                }
            }
        }
        if !found_any {
            let wild = glob::is_pattern(name);
            let refuse = if wild { checks.wildcard } else { checks.matches };
            if refuse || !wild {
                self.refuse(span, format!("`{name}` matches no file"), refuse, report);
            }
        }
    }

    fn refuse(&mut self, span: Span, message: String, is_error: bool, report: &mut Report) {
        if is_error {
            self.include_failed = true;
            report.push(Diagnostic::alert(span, message));
        } else {
            report.push(
                Diagnostic::notice(span, message).with_help("write `includea` where the file must be there"),
            );
        }
    }
}

/// The line up to its comment: `#` or `!` outside of double quotes.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'#' | b'!' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

/// A line without its `\` at the end, and whether it had one.
fn continued(line: &str) -> (&str, bool) {
    match line.trim_end().strip_suffix('\\') {
        Some(rest) => (rest.trim_end(), true),
        None => (line.trim_end(), false),
    }
}

/// The text as UTF-8 of the same length: bytes that are none become `?`.
fn printable_text(bytes: &[u8], file: FileId, report: &mut Report) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            let span = Span { file, start: at as u32, end: (at + chunk.invalid().len()) as u32 };
            report.push(Diagnostic::warning(span, "this is not UTF-8"));
            text.extend(std::iter::repeat_n('?', chunk.invalid().len()));
            at += chunk.invalid().len();
        }
    }
    text
}
