//! Files → sections: follows conditional blocks, cuts lines into words, applies `setenv` and its kin.

use super::condition::{self, Facts};
use super::words::WordReader;
use super::{Ast, Environment, Line, Section, SectionKind, Word};
use diag::{Diagnostic, FileId, Report, Severity, Sources, Span};

/// Nested `.if` blocks, as in HAProxy's own limit.
const BLOCKS_MAX: usize = 32;
/// Bytes of one line. Longer ones are refused: nobody writes them, broken generators do.
const LINE_LENGTH_MAX: usize = 1 << 20;

/// What reading depends on besides the text.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    pub features: &'a [&'a str],
    pub version: &'a str,
    /// Is this word a keyword of some section? Decides whether an unknown word looks like a misspelt section.
    pub is_keyword: fn(&str) -> bool,
}

/// One level of `.if`.
struct Block {
    opened: Span,
    /// Lines of the current branch are read.
    active: bool,
    /// A branch was taken, or the block lies in text that is skipped: later branches are not read.
    decided: bool,
    after_else: bool,
}

/// Reads files one after the other into one [`Ast`].
pub struct Reader<'a> {
    settings: Settings<'a>,
    pub environment: Environment,
    ast: Ast,
    blocks: Vec<Block>,
    in_section: bool,
}

impl<'a> Reader<'a> {
    pub fn new(settings: Settings<'a>, environment: Environment) -> Self {
        Reader { settings, environment, ast: Ast::default(), blocks: Vec::new(), in_section: false }
    }

    /// The sections read, and the environment as the files left it.
    pub fn finish(self) -> (Ast, Environment) {
        (self.ast, self.environment)
    }

    /// Reads one file. A section never goes on in the next file.
    pub fn read(&mut self, sources: &Sources, file: FileId, report: &mut Report) {
        self.in_section = false;
        self.blocks.clear();
        let text = sources.text(file);
        let mut offset = 0;
        let mut number = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            number += 1;
            let complete = line.ends_with(b"\n");
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            self.line(sources, file, number, offset, content, report);
            if !complete && !content.is_empty() {
                let end = (offset + content.len()) as u32;
                report.push(
                    Diagnostic::warning(
                        Span { file, start: end.saturating_sub(1), end },
                        "the last line has no line feed: the file may have been cut off",
                    )
                    .with_help("end the file with a line feed; HAProxy 2.4 and later refuse it"),
                );
            }
            offset += line.len();
        }
        for block in &self.blocks {
            report.push(Diagnostic::alert(block.opened, "this conditional block has no `.endif`"));
        }
    }

    fn line(
        &mut self,
        sources: &Sources,
        file: FileId,
        number: u32,
        offset: usize,
        content: &[u8],
        report: &mut Report,
    ) {
        if content.len() > LINE_LENGTH_MAX {
            let span = Span { file, start: offset as u32, end: offset as u32 + 1 };
            report
                .push(Diagnostic::alert(span, format!("a line may be {LINE_LENGTH_MAX} bytes long at most")));
            return;
        }
        let first = content.iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(first) = first else { return };
        let directive = content[first] == b'.';
        let active = self.blocks.last().is_none_or(|block| block.active);
        // Text that is skipped need not even be well quoted.
        if !active && !directive {
            return;
        }
        let section = self.ast.sections.last().filter(|_| self.in_section);
        let variable = |name: &str| match name {
            ".FILE" => Some(sources.name(file).to_owned()),
            ".LINE" => Some(number.to_string()),
            ".SECTION" => Some(section.map_or_else(String::new, section_name)),
            _ => self.environment.get(name).map(str::to_owned),
        };
        let reader = WordReader { file, offset, variable: &variable };
        let words = match reader.read(content) {
            Ok(read) => read,
            Err(error) => {
                report.push(Diagnostic::alert(error.span, error.message));
                return;
            }
        };
        let (Some(head), Some(tail)) = (words.first(), words.last()) else {
            return;
        };
        let span = head.span.to(tail.span);
        let line = Line { words, span };
        if directive && self.directive(&line, report) {
            return;
        }
        if active {
            self.statement(line, first == 0, report);
        }
    }

    /// Handles a line that starts with a dot; false when it is no directive.
    fn directive(&mut self, line: &Line, report: &mut Report) -> bool {
        let keyword = line.keyword();
        let active = self.blocks.last().is_none_or(|block| block.active);
        match keyword.value.as_str() {
            ".if" => {
                if self.blocks.len() == BLOCKS_MAX {
                    let message = format!("conditional blocks may nest {BLOCKS_MAX} deep at most");
                    report.push(Diagnostic::alert(keyword.span, message));
                }
                let value = active && self.evaluate(line, report);
                self.blocks.push(Block {
                    opened: line.span,
                    active: value,
                    decided: value || !active,
                    after_else: false,
                });
            }
            ".elif" => {
                let evaluated = match self.blocks.last() {
                    None => return lone(keyword, report),
                    Some(block) if block.after_else => {
                        report.push(Diagnostic::alert(keyword.span, "`.elif` after `.else`"));
                        false
                    }
                    Some(block) => !block.decided && self.evaluate(line, report),
                };
                if let Some(block) = self.blocks.last_mut() {
                    block.active = evaluated;
                    block.decided |= evaluated;
                }
            }
            ".else" => {
                self.no_arguments(line, report);
                match self.blocks.last_mut() {
                    None => return lone(keyword, report),
                    Some(block) if block.after_else => {
                        report.push(Diagnostic::alert(keyword.span, "a second `.else` in the same block"));
                        block.active = false;
                    }
                    Some(block) => {
                        block.active = !block.decided;
                        block.decided = true;
                        block.after_else = true;
                    }
                }
            }
            ".endif" => {
                self.no_arguments(line, report);
                if self.blocks.pop().is_none() {
                    return lone(keyword, report);
                }
            }
            ".notice" => self.message(line, Severity::Notice, active, report),
            ".warning" => self.message(line, Severity::Warning, active, report),
            ".alert" => self.message(line, Severity::Alert, active, report),
            ".diag" => self.message(line, Severity::Diag, active, report),
            other => {
                if !active {
                    return true;
                }
                let known = [".if", ".elif", ".else", ".endif", ".notice", ".warning", ".alert", ".diag"];
                let mut diagnostic = Diagnostic::alert(keyword.span, format!("unknown directive `{other}`"));
                if let Some(near) = diag::nearest(other, known) {
                    diagnostic = diagnostic.with_help(format!("did you mean `{near}`?"));
                }
                report.push(diagnostic);
            }
        }
        true
    }

    fn evaluate(&self, line: &Line, report: &mut Report) -> bool {
        // Words are joined again: a condition is one expression however it is spaced.
        let parts: Vec<&str> = line.words[1..].iter().map(|word| word.value.as_str()).collect();
        let text = parts.join(" ");
        let facts = Facts {
            environment: &self.environment,
            features: self.settings.features,
            version: self.settings.version,
        };
        condition::evaluate(&text, &facts).unwrap_or_else(|error| {
            let whole = line.words.get(1).map_or(line.span, |word| word.span.to(line.span));
            report.push(Diagnostic::alert(whole.part(error.offset, whole.end as usize), error.message));
            false
        })
    }

    fn message(&self, line: &Line, severity: Severity, active: bool, report: &mut Report) {
        if !active {
            return;
        }
        if let Some(extra) = line.words.get(2) {
            let message = format!("`{}` takes one message", line.keyword().value);
            report.push(
                Diagnostic::alert(extra.span, message).with_help("put a message with spaces into quotes"),
            );
            return;
        }
        report.push(Diagnostic::new(severity, line.span, line.text(1)));
    }

    fn no_arguments(&self, line: &Line, report: &mut Report) {
        if let Some(extra) = line.words.get(1) {
            let message = format!("`{}` takes no argument", line.keyword().value);
            report.push(Diagnostic::alert(extra.span, message));
        }
    }

    fn statement(&mut self, line: Line, unindented: bool, report: &mut Report) {
        let keyword = line.keyword();
        if let Some(kind) = SectionKind::from_keyword(&keyword.value) {
            self.open(kind, line);
            return;
        }
        if SectionKind::LATER.contains(&keyword.value.as_str()) {
            let message = format!("`{}` sections are not implemented", keyword.value);
            report.push(Diagnostic::alert(keyword.span, message));
            self.in_section = false;
            return;
        }
        let may_be_section = !self.in_section || (unindented && !(self.settings.is_keyword)(&keyword.value));
        if may_be_section {
            let names = SectionKind::ALL.iter().map(|(_, name)| *name);
            if let Some(near) = diag::nearest(&keyword.value, names) {
                let message = format!("unknown section `{}`", keyword.value);
                report.push(
                    Diagnostic::alert(keyword.span, message).with_help(format!("did you mean `{near}`?")),
                );
                // Read on as if it were right, or every line below would be reported too.
                if let Some(kind) = SectionKind::from_keyword(near) {
                    self.open(kind, line);
                }
                return;
            }
        }
        if !self.in_section {
            let message = format!("`{}` stands outside of any section", keyword.value);
            report.push(
                Diagnostic::alert(keyword.span, message)
                    .with_help("a file starts with a section such as `global`, `defaults` or `listen NAME`"),
            );
            return;
        }
        if let Some(section) = self.ast.sections.last_mut() {
            if section.kind == SectionKind::Global {
                change_environment(&mut self.environment, &line);
            }
            section.lines.push(line);
        }
    }

    fn open(&mut self, kind: SectionKind, header: Line) {
        self.in_section = true;
        self.ast.sections.push(Section { kind, header, lines: Vec::new() });
    }
}

/// `setenv` and its kin take effect for the very next line. Their arity is checked with the other keywords.
fn change_environment(environment: &mut Environment, line: &Line) {
    let names: Vec<&str> = line.words[1..].iter().map(|word| word.value.as_str()).collect();
    match (line.text(0), names.as_slice()) {
        ("setenv", [name, value]) => environment.set(*name, *value),
        ("presetenv", [name, value]) => environment.preset(name, value),
        ("resetenv", names) => environment.reset(names),
        ("unsetenv", names) => names.iter().for_each(|name| environment.unset(name)),
        ("localpeer", [name]) => environment.set("HAPROXY_LOCALPEER", *name),
        _ => {}
    }
}

fn lone(keyword: &Word, report: &mut Report) -> bool {
    let message = format!("`{}` without an `.if`", keyword.value);
    report.push(Diagnostic::alert(keyword.span, message));
    true
}

fn section_name(section: &Section) -> String {
    section
        .header
        .words
        .get(1)
        .map_or_else(|| section.kind.keyword().to_owned(), |name: &Word| name.value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Ast, Environment, Report) {
        let mut sources = Sources::default();
        let file = sources.add("t.cfg", text.as_bytes().to_vec());
        let settings = Settings {
            features: &["THREAD"],
            version: "2.6.12",
            is_keyword: |word| word == "mode" || word == "log",
        };
        let mut reader = Reader::new(settings, Environment::default());
        let mut report = Report::default();
        reader.read(&sources, file, &mut report);
        let (ast, environment) = reader.finish();
        (ast, environment, report)
    }

    fn lines(ast: &Ast) -> Vec<String> {
        let words =
            |line: &Line| line.words.iter().map(|word| word.value.as_str()).collect::<Vec<_>>().join(" ");
        ast.sections
            .iter()
            .flat_map(|section| std::iter::once(&section.header).chain(&section.lines))
            .map(words)
            .collect()
    }

    fn messages(report: &Report) -> Vec<&str> {
        report.diagnostics().iter().map(|diagnostic| diagnostic.message.as_str()).collect()
    }

    #[test]
    fn sections_hold_their_lines_and_carriage_returns_vanish() {
        let (ast, _, report) = read("global\r\n  daemon # x\r\n\r\nlisten a\r\n\tmode http\r\n");
        assert_eq!(lines(&ast), ["global", "daemon", "listen a", "mode http"]);
        assert!(report.diagnostics().is_empty());
    }

    #[test]
    fn conditional_blocks_choose_one_branch() {
        let (ast, _, report) = read(
            "global\n.if 0\n a \"\n.elif feature(THREAD)\n b\n .if 0\n c\n .else\n d\n .endif\n.else\n e\n.endif\n f\n",
        );
        assert_eq!(messages(&report), [""; 0]);
        assert_eq!(lines(&ast), ["global", "b", "d", "f"]);
    }

    #[test]
    fn skipped_blocks_are_not_evaluated() {
        let (ast, _, report) = read("global\n.if 0\n.if nonsense(\n.elif more(\n.endif\n.alert no\n.endif\n");
        assert_eq!(messages(&report), [""; 0]);
        assert_eq!(lines(&ast), ["global"]);
    }

    #[test]
    fn unbalanced_blocks_are_errors() {
        let (_, _, report) = read(".else\n.endif\n.elif 1\n.if 1\n.else x\n.else\n");
        assert_eq!(report.alerts(), 6, "{:?}", messages(&report));
    }

    #[test]
    fn messages_have_their_severity() {
        let (_, _, report) = read(".notice \"a b\"\n.warning w\n.alert x\n.diag d\n.notice a b\n");
        let severities: Vec<Severity> = report.diagnostics().iter().map(|d| d.severity).collect();
        assert_eq!(
            severities,
            [Severity::Notice, Severity::Warning, Severity::Alert, Severity::Diag, Severity::Alert]
        );
        assert_eq!(report.diagnostics()[0].message, "a b");
    }

    #[test]
    fn setenv_changes_the_lines_below_it() {
        let (ast, environment, _) =
            read("global\n setenv A 1\n presetenv A 2\n x \"$A\"\n unsetenv A\n y \"[$A]\"\n");
        assert_eq!(lines(&ast)[3..], ["x 1", "unsetenv A", "y []"]);
        assert_eq!(environment.get("A"), None);
    }

    #[test]
    fn pseudo_variables_name_the_place() {
        let (ast, _, _) = read("listen web\n x \"${.FILE}:${.LINE}:${.SECTION}\"\n");
        assert_eq!(lines(&ast)[1], "x t.cfg:2:web");
    }

    #[test]
    fn a_missing_last_line_feed_is_a_warning() {
        // row: 72
        let (ast, _, report) = read("global\n  daemon");
        assert_eq!(lines(&ast), ["global", "daemon"]);
        assert_eq!((report.alerts(), report.warnings()), (0, 1));
    }

    #[test]
    fn a_misspelt_section_is_one_error_with_a_hint() {
        // row: 68
        let (ast, _, report) = read("global\nlsiten web\n mode http\n log x\n");
        assert_eq!(messages(&report), ["unknown section `lsiten`"]);
        assert_eq!(report.diagnostics()[0].help.as_deref(), Some("did you mean `listen`?"));
        assert_eq!(ast.sections[1].kind, SectionKind::Listen);
    }

    #[test]
    fn statements_outside_of_sections_are_errors() {
        let (_, _, report) = read("daemon\n");
        assert_eq!(messages(&report), ["`daemon` stands outside of any section"]);
    }
}
