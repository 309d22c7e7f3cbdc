//! Advice on haproxy.cfg that loads and does something else than its writer thinks. Works on the text, line by line, so
//! that it speaks of files that do not load as well.

use diag::{Diagnostic, FileId, Report, Sources, Span};

/// Headers that are written by hand; a name one letter off is nobody's.
const HEADERS: &[&str] = &[
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Host",
    "X-Real-IP",
    "X-Request-ID",
    "Strict-Transport-Security",
    "Content-Security-Policy",
    "Access-Control-Allow-Origin",
    "Cache-Control",
];
/// Actions whose next word is a header's name.
const HEADER_ACTIONS: &[&str] =
    &["set-header", "add-header", "del-header", "replace-header", "replace-value"];

struct Line<'t> {
    file: FileId,
    start: usize,
    text: &'t str,
    words: Vec<&'t str>,
}

impl Line<'_> {
    fn span(&self, part: &str) -> Span {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let at = |offset: usize| u32::try_from(self.start + offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: at(offset), end: at(offset + part.len()) }
    }
}

/// Adds advice on every file of the table.
pub fn judge(sources: &Sources, report: &mut Report) {
    for index in 0.. {
        let file = FileId(index);
        // An id of no file has no name of its own.
        if sources.name(file) == "?" && sources.text(file).is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(sources.text(file)).into_owned();
        let mut start = 0;
        let mut statistics: Option<(Span, bool)> = None;
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end();
            let words: Vec<&str> =
                bare.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
            let line_of_file = Line { file, start, text: bare, words };
            start += line.len();
            if line_of_file.words.is_empty() {
                continue;
            }
            header_name(&line_of_file, report);
            crowded_cookie(&line_of_file, report);
            if !bare.starts_with([' ', '\t']) {
                shown_version(statistics.take(), report);
            }
            match line_of_file.words[..] {
                ["stats", "enable" | "uri" | "auth", ..] => {
                    let (_, hides) = statistics.unwrap_or((line_of_file.span(line_of_file.words[0]), false));
                    statistics = Some((line_of_file.span(bare.trim_start()), hides));
                }
                ["stats", "hide-version", ..] => {
                    let (span, _) = statistics.unwrap_or((line_of_file.span(line_of_file.words[0]), false));
                    statistics = Some((span, true));
                }
                _ => {}
            }
        }
        shown_version(statistics, report);
    }
}

/// row 163: `X-Forwared-Proto`.
fn header_name(line: &Line<'_>, report: &mut Report) {
    let Some(at) = line.words.iter().position(|word| HEADER_ACTIONS.contains(word)) else { return };
    let Some(name) = line.words.get(at + 1) else { return };
    if HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return;
    }
    let lower = name.to_ascii_lowercase();
    let near = HEADERS.iter().find(|known| is_one_off(&known.to_ascii_lowercase(), &lower));
    if let Some(near) = near {
        report.push(
            Diagnostic::warning(line.span(name), format!("no program reads a header `{name}`"))
                .with_help(format!("did you mean `{near}`?")),
        );
    }
}

/// Whether one letter is missing, too many, changed, or two are swapped.
fn is_one_off(known: &str, word: &str) -> bool {
    let (known, word) = (known.as_bytes(), word.as_bytes());
    let head = known.iter().zip(word).take_while(|(one, other)| one == other).count();
    let (known, word) = (&known[head..], &word[head..]);
    let tail = known.iter().rev().zip(word.iter().rev()).take_while(|(one, other)| one == other).count();
    let (known, word) = (&known[..known.len() - tail], &word[..word.len() - tail]);
    match (known.len(), word.len()) {
        (0, 1) | (1, 0 | 1) => true,
        (2, 2) => known[0] == word[1] && known[1] == word[0],
        _ => false,
    }
}

/// A cookie value that two servers share sends the clients of one to the other.
fn crowded_cookie(line: &Line<'_>, report: &mut Report) {
    if line.words[0] != "server" {
        return;
    }
    let count = line.words.iter().filter(|word| **word == "cookie").count();
    if count > 1 {
        report.push(Diagnostic::warning(
            line.span(line.words[0]),
            "this server has two cookies: the last one counts",
        ));
    }
}

/// row 143: the page tells which version to attack.
fn shown_version(statistics: Option<(Span, bool)>, report: &mut Report) {
    if let Some((span, false)) = statistics {
        report.push(
            Diagnostic::notice(span, "the statistics page shows the version to everybody who reads it")
                .with_help("add `stats hide-version`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag::Severity;

    fn judged(text: &str) -> String {
        let mut sources = Sources::default();
        sources.add("a.cfg", text.as_bytes().to_vec());
        let mut report = Report::default();
        judge(&sources, &mut report);
        diag::render(&report, &sources, Severity::Notice)
    }

    // row: 163
    #[test]
    fn a_header_one_letter_off_is_asked_about() {
        let text = judged("listen a\n    http-request add-header X-Forwared-Proto https if { ssl_fc }\n");
        assert!(text.contains("a.cfg:2:29") && text.contains("did you mean `X-Forwarded-Proto`?"), "{text}");
        assert_eq!(judged("listen a\n    http-request set-header X-Forwarded-Port %[dst_port]\n"), "");
        assert_eq!(judged("listen a\n    http-request set-header X-Tenant a\n"), "");
    }

    // row: 143
    #[test]
    fn a_page_that_shows_its_version_is_told_once() {
        let text = judged(
            "listen a\n    stats enable\n    stats uri /s\nlisten b\n    stats uri /s\n    stats hide-version\n",
        );
        assert_eq!(text.matches("stats hide-version").count(), 1, "{text}");
    }
}
