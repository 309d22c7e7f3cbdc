//! Mistakes in sysctl.conf(5) and limits.conf(5), with file and line. What the machine has now is not looked at here.

use super::{limits, machine::Machine, sysctl};
use diag::{Diagnostic, FileId, Report, Sources, Span};
use std::collections::BTreeMap;

/// Which language a file is in, by its name and where that does not tell by its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sysctl,
    Limits,
}

/// Recognises the two kinds by name.
pub fn kind(name: &str) -> Option<Kind> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let is_below = |folder: &str| name.contains(&format!("{folder}/"));
    if base.contains("sysctl") || is_below("sysctl.d") {
        Some(Kind::Sysctl)
    } else if base.contains("limits") || is_below("limits.d") {
        Some(Kind::Limits)
    } else {
        None
    }
}

/// Reports every mistake of one file that is in `sources`.
pub fn lint(kind: Kind, file: FileId, sources: &Sources, machine: &Machine, report: &mut Report) {
    let text = String::from_utf8_lossy(sources.text(file)).into_owned();
    let mut pairs = BTreeMap::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let line_of_file = Line { file, start, text: line.trim_end_matches(['\n', '\r']) };
        let is_comment = line.trim_start().starts_with(['#', ';']) || line.trim().is_empty();
        if !is_comment {
            match kind {
                Kind::Sysctl => lint_sysctl(&line_of_file, machine, report),
                Kind::Limits => lint_limit(&line_of_file, &mut pairs, report),
            }
        }
        start += line.len();
    }
}

struct Line<'t> {
    file: FileId,
    start: usize,
    text: &'t str,
}

impl Line<'_> {
    /// The place of a part of the line.
    fn span(&self, part: &str) -> Span {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let at = |offset: usize| u32::try_from(self.start + offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: at(offset), end: at(offset + part.len()) }
    }
}

fn lint_sysctl(line: &Line<'_>, machine: &Machine, report: &mut Report) {
    let Some((name, value)) = line.text.split_once('=') else {
        let message = "a setting is `name = value`";
        report.push(Diagnostic::alert(line.span(line.text.trim()), message));
        return;
    };
    let (name, value) = (name.trim().trim_start_matches('-'), value.trim());
    let dotted = name.replace('/', ".");
    if let Some(complaint) = sysctl::complaint(&dotted, value, machine) {
        let message = format!("{dotted} = {value}: {}", complaint.reason);
        let help = format!("wanted: {}", complaint.wanted);
        report.push(Diagnostic::warning(line.span(value), message).with_help(help));
    }
}

/// The values of one user and item, with the place of the soft one.
#[derive(Default)]
struct Pair {
    soft: Option<(u64, Span)>,
    hard: Option<u64>,
    is_reported: bool,
}

const UNLIMITED: u64 = u64::MAX;
const KINDS: &[&str] = &["soft", "hard", "-"];

fn lint_limit(line: &Line<'_>, pairs: &mut BTreeMap<(String, String), Pair>, report: &mut Report) {
    let words: Vec<&str> = line.text.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    let [domain, kind, item, value] = words[..] else {
        let message =
            format!("a limit is `domain soft|hard|- item value`, this line has {} words", words.len());
        let mut finding = Diagnostic::alert(line.span(line.text.trim()), message);
        if let Some(second) = words.iter().skip(1).position(|word| glued(word)) {
            let word = words[second + 1];
            finding =
                finding.with_help(format!("two lines run into one at `{word}`: put a line break there"));
        }
        report.push(finding);
        return;
    };
    if !KINDS.contains(&kind) {
        report.push(Diagnostic::alert(line.span(kind), format!("`{kind}` is not soft, hard or -")));
        return;
    }
    if !limits::is_item(item) {
        report.push(Diagnostic::alert(line.span(item), format!("no limit is called `{item}`")));
        return;
    }
    let Some(number) = number(value) else {
        let mut finding =
            Diagnostic::alert(line.span(value), format!("`{value}` is not a number, unlimited or infinity"));
        if glued(value) {
            let message = format!("two lines run into one at `{value}`: put a line break after the number");
            finding = finding.with_help(message);
        }
        report.push(finding);
        return;
    };
    let pair = pairs.entry((domain.to_owned(), item.to_owned())).or_default();
    if kind != "hard" {
        pair.soft = Some((number, line.span(value)));
    }
    if kind != "soft" {
        pair.hard = Some(number);
    }
    if let (Some((soft, span)), Some(hard)) = (pair.soft, pair.hard)
        && soft > hard
        && !pair.is_reported
    {
        pair.is_reported = true;
        let message = format!("the soft limit of {item} for {domain} is above the hard one, {hard}");
        report.push(
            Diagnostic::warning(span, message).with_help(format!("PAM clamps it: {hard} is what counts")),
        );
    }
}

fn number(value: &str) -> Option<u64> {
    match value {
        "unlimited" | "infinity" | "-1" => Some(UNLIMITED),
        digits => digits.parse().ok(),
    }
}

/// A number with a word after it without a blank, as in `8192000*` or `8192000root`.
fn glued(word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && digits < word.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;
    use diag::Severity;

    fn lines(name: &str, text: &str) -> String {
        let laboratory = Laboratory::new();
        laboratory.write("/proc/meminfo", "MemTotal:       4194304 kB\n");
        let mut sources = Sources::default();
        let file = sources.add(name, text.as_bytes().to_vec());
        let mut report = Report::default();
        lint(kind(name).expect("by name"), file, &sources, &laboratory.machine(&[]), &mut report);
        report.render(&sources, Severity::Warning)
    }

    // row: 5
    #[test]
    fn a_soft_limit_above_the_hard_one_is_reported_where_it_stands() {
        let text =
            lines("limits.conf", "root soft nofile 648576\nroot hard nofile 600000\n* soft nofile 600000\n");
        assert!(text.contains("limits.conf:1:18"), "{text}");
        assert!(text.contains("PAM clamps it: 600000 is what counts"), "{text}");
    }

    // row: 7
    #[test]
    fn lines_that_were_glued_are_recognised() {
        let text = lines("limits.conf", "root hard msgqueue 8192000* soft core unlimited\n");
        assert!(text.contains("two lines run into one at `8192000*`"), "{text}");
        let text = lines("limits.conf", "root hard msgqueue 8192000*\n");
        assert!(text.contains("two lines run into one at `8192000*`"), "{text}");
    }

    // row: 31
    #[test]
    fn outdated_advice_in_a_sysctl_file_is_named() {
        let text = lines("sysctl.conf", "# tuned\nnet.ipv4.tcp_timestamps = 0\nnet.ipv4.tcp_sack = 1\n");
        assert!(text.contains("sysctl.conf:2:27") && text.contains("outdated"), "{text}");
        assert!(!text.contains("tcp_sack"), "{text}");
    }

    #[test]
    fn words_of_no_meaning_are_errors() {
        for wrong in
            ["root soft nofile\n", "root middle nofile 1\n", "root soft files 1\n", "root soft nofile few\n"]
        {
            assert!(lines("limits.conf", wrong).contains("limits.conf:1"), "{wrong}");
        }
        assert!(lines("sysctl.conf", "net.ipv4.ip_forward\n").contains("name = value"));
    }
}
