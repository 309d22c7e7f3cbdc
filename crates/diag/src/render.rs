//! Two renderings of a report: text with carets for people, JSON for machines.

use crate::{Diagnostic, Position, Report, Severity, Sources, Span};
use serde_json::{Value, json};
use std::fmt::Write;

/// Characters of a source line that are shown; longer lines are cut around the caret.
const LINE_WIDTH_MAX: usize = 160;
/// Characters shown before the caret when a line is cut.
const LINE_LEAD: usize = 60;

/// Every diagnostic of at least `least` severity, in the report's order.
///
/// ```text
/// web.cfg:42:33: error: weight must be 0..=256, found 300
///     server a 10.0.0.1:80 weight 300
///                                 ^^^
///   note: backend `app` starts here: web.cfg:38
///   help: weights above 256 …
/// ```
pub fn render(report: &Report, sources: &Sources, least: Severity) -> String {
    let mut out = String::new();
    for diagnostic in report.diagnostics().iter().filter(|diagnostic| diagnostic.severity >= least) {
        render_into(&mut out, diagnostic, sources, true);
    }
    if report.dropped() > 0 {
        let _ = writeln!(out, "… and {} more", report.dropped());
    }
    out
}

/// One diagnostic, as [`render`] shows it.
pub fn render_one(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut out = String::new();
    render_into(&mut out, diagnostic, sources, true);
    out
}

/// The same without the word for its severity, for lines that tell it in their own way.
pub fn render_unlabelled(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut out = String::new();
    render_into(&mut out, diagnostic, sources, false);
    out
}

fn render_into(out: &mut String, diagnostic: &Diagnostic, sources: &Sources, labelled: bool) {
    // Writing to a String cannot fail; `let _` keeps the lines short.
    let label = if labelled { format!("{}: ", diagnostic.severity.name()) } else { String::new() };
    match diagnostic.span {
        Some(span) => {
            let at = sources.locate(span.file, span.start);
            let name = sources.name(span.file);
            let _ = writeln!(out, "{name}:{}:{}: {label}{}", at.line, at.column, diagnostic.message);
            excerpt(out, sources, span, at);
        }
        None => {
            let _ = writeln!(out, "{label}{}", diagnostic.message);
        }
    }
    for note in &diagnostic.notes {
        match note.span {
            Some(span) => {
                let at = sources.locate(span.file, span.start);
                let _ = writeln!(out, "  note: {}: {}:{}", note.message, sources.name(span.file), at.line);
            }
            None => {
                let _ = writeln!(out, "  note: {}", note.message);
            }
        }
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "  help: {help}");
    }
}

/// The source line and, below it, carets under the span's first line.
fn excerpt(out: &mut String, sources: &Sources, span: Span, at: Position) {
    let line = String::from_utf8_lossy(sources.line_text(span.file, at.line)).into_owned();
    if line.trim().is_empty() {
        return;
    }
    let characters: Vec<char> = line.chars().map(printable).collect();
    let column = (at.column as usize - 1).min(characters.len());
    let indent = characters.iter().take_while(|character| character.is_whitespace()).count().min(column);
    let (from, cut_before) = if column - indent > LINE_WIDTH_MAX - LINE_LEAD {
        (column - LINE_LEAD, true)
    } else {
        (indent, false)
    };
    let to = characters.len().min(from + LINE_WIDTH_MAX);
    let last = sources.locate(span.file, span.end);
    let end = if last.line == at.line { last.column as usize - 1 } else { characters.len() };
    let carets = end.clamp(column, to.max(column)).saturating_sub(column).max(1);

    out.push_str("    ");
    out.push_str(if cut_before { "…" } else { "" });
    out.extend(&characters[from..to]);
    out.push_str(if to < characters.len() { "…\n    " } else { "\n    " });
    out.push_str(if cut_before { " " } else { "" });
    // Tabs are repeated so that the caret stays below its word however wide a tab is shown.
    out.extend(characters[from..column].iter().map(|character| if *character == '\t' { '\t' } else { ' ' }));
    out.extend(std::iter::repeat_n('^', carets));
    out.push('\n');
}

/// Control characters would move the cursor of a terminal.
fn printable(character: char) -> char {
    if character.is_control() && character != '\t' { '\u{fffd}' } else { character }
}

/// The report as one JSON object:
/// `{"errors":1,"warnings":0,"diagnostics":[{"severity","message","file","line","column","end_line","end_column",
/// "notes":[{"message","file","line"}],"help"}]}`. Lines and columns count from 1; absent places are `null`.
pub fn to_json(report: &Report, sources: &Sources) -> String {
    let diagnostics: Vec<Value> =
        report.diagnostics().iter().map(|diagnostic| diagnostic_json(diagnostic, sources)).collect();
    json!({
        "errors": report.alerts(),
        "warnings": report.warnings(),
        "dropped": report.dropped(),
        "diagnostics": diagnostics,
    })
    .to_string()
}

fn diagnostic_json(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let notes: Vec<Value> = diagnostic
        .notes
        .iter()
        .map(|note| {
            let place =
                note.span.map(|span| (sources.name(span.file), sources.locate(span.file, span.start).line));
            json!({
                "message": note.message,
                "file": place.map(|(file, _)| file),
                "line": place.map(|(_, line)| line),
            })
        })
        .collect();
    let from = diagnostic.span.map(|span| sources.locate(span.file, span.start));
    let to = diagnostic.span.map(|span| sources.locate(span.file, span.end));
    json!({
        "severity": diagnostic.severity.name(),
        "message": diagnostic.message,
        "file": diagnostic.span.map(|span| sources.name(span.file)),
        "line": from.map(|at| at.line),
        "column": from.map(|at| at.column),
        "end_line": to.map(|at| at.line),
        "end_column": to.map(|at| at.column),
        "notes": notes,
        "help": diagnostic.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileId;
    use proptest::prelude::*;

    fn span_of(sources: &Sources, file: FileId, needle: &str) -> Span {
        let text = String::from_utf8_lossy(sources.text(file)).into_owned();
        let start = text.find(needle).expect("the needle is in the text") as u32;
        Span { file, start, end: start + needle.len() as u32 }
    }

    #[test]
    fn a_diagnostic_shows_the_line_and_carets_below_the_word() {
        let mut sources = Sources::default();
        let file =
            sources.add("web.cfg", b"backend app\n    server a 10.0.0.1:80 weight 300 # heavy\n".to_vec());
        let backend = span_of(&sources, file, "backend");
        let diagnostic =
            Diagnostic::alert(span_of(&sources, file, "300"), "weight must be 0..=256, found 300")
                .with_note(backend, "backend `app` starts here");
        assert_eq!(
            render_one(&diagnostic, &sources),
            "web.cfg:2:33: error: weight must be 0..=256, found 300\n\
             \x20   server a 10.0.0.1:80 weight 300 # heavy\n\
             \x20                               ^^^\n\
             \x20 note: backend `app` starts here: web.cfg:1\n"
        );
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_caret() {
        let mut sources = Sources::default();
        let text = format!("{} bad {}\n", "a".repeat(500), "b".repeat(500));
        let file = sources.add("long.cfg", text.into_bytes());
        let rendered = render_one(&Diagnostic::alert(span_of(&sources, file, "bad"), "no"), &sources);
        let lines: Vec<&str> = rendered.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() < LINE_WIDTH_MAX + 10), "{rendered}");
        assert_eq!(lines[1].find("bad").map(|at| lines[1][..at].chars().count()), lines[2].find('^'));
    }

    #[test]
    fn json_names_file_line_and_help() {
        let mut sources = Sources::default();
        let file = sources.add("a.cfg", b"global\n  deamon\n".to_vec());
        let mut report = Report::default();
        report.push(
            Diagnostic::alert(span_of(&sources, file, "deamon"), "unknown keyword")
                .with_help("did you mean `daemon`?"),
        );
        let value: Value = serde_json::from_str(&to_json(&report, &sources)).expect("the output is JSON");
        assert_eq!(value["errors"], 1);
        assert_eq!(value["diagnostics"][0]["line"], 2);
        assert_eq!(value["diagnostics"][0]["column"], 3);
        assert_eq!(value["diagnostics"][0]["help"], "did you mean `daemon`?");
    }

    proptest! {
        #[test]
        fn any_text_and_any_span_render(
            text in proptest::collection::vec(any::<u8>(), 0..600), start in 0u32..700, length in 0u32..700,
        ) {
            let mut sources = Sources::default();
            let file = sources.add("any", text);
            let diagnostic = Diagnostic::alert(Span { file, start, end: start + length }, "x");
            prop_assert!(render_one(&diagnostic, &sources).starts_with("any:"));
        }
    }
}
