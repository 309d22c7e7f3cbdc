//! Diagnostics, and the list of them that one load makes.

use crate::{Sources, Span};

/// How bad a diagnostic is, in HAProxy's words. `Alert` makes a load fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Advice that is shown in diagnostic mode (`-dD`) only.
    Diag,
    Notice,
    Warning,
    Alert,
}

impl Severity {
    /// The word a renderer prints.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Diag => "diag",
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Alert => "error",
        }
    }
}

/// A remark below a diagnostic; with a span it names another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub message: String,
    pub span: Option<Span>,
}

/// One thing to tell about a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    /// `None`: about no place in particular (the command line, the whole configuration).
    pub span: Option<Span>,
    pub notes: Vec<Note>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(severity: Severity, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Diagnostic { severity, message: message.into(), span: span.into(), notes: Vec::new(), help: None }
    }

    pub fn alert(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Alert, span, message)
    }

    pub fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message)
    }

    pub fn notice(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Notice, span, message)
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a remark, about another place if a span is given.
    #[must_use]
    pub fn with_note(mut self, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        self.notes.push(Note { message: message.into(), span: span.into() });
        self
    }
}

/// Everything one load has to say.
#[derive(Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    alerts: usize,
    warnings: usize,
    dropped: usize,
}

impl Report {
    /// Diagnostics kept; a file of pure nonsense must not fill memory. Later ones are counted only.
    pub const DIAGNOSTICS_MAX: usize = 10_000;

    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Alert => self.alerts += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Notice | Severity::Diag => {}
        }
        if self.diagnostics.len() < Self::DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Takes over everything another report holds.
    pub fn append(&mut self, other: Report) {
        for diagnostic in other.diagnostics {
            self.push(diagnostic);
        }
        self.dropped += other.dropped;
    }

    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many alerts were pushed, kept or not. Not zero: the load failed.
    pub fn alerts(&self) -> usize {
        self.alerts
    }

    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// Diagnostics that were counted but not kept.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    pub fn has_alerts(&self) -> bool {
        self.alerts > 0
    }

    /// Orders by file, then position; those without a place come last, in the order they were made.
    pub fn sort(&mut self) {
        self.diagnostics.sort_by_key(|diagnostic| match diagnostic.span {
            Some(span) => (0, span.file.0, span.start),
            None => (1, 0, 0),
        });
    }

    /// All of it for people: see [`crate::render`].
    pub fn render(&self, sources: &Sources, least: Severity) -> String {
        crate::render(self, sources, least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileId;

    fn at(start: u32) -> Span {
        Span { file: FileId(0), start, end: start + 1 }
    }

    #[test]
    fn a_report_counts_and_sorts_by_place() {
        let mut report = Report::default();
        report.push(Diagnostic::warning(None, "no place"));
        report.push(Diagnostic::alert(at(30), "second"));
        report.push(Diagnostic::alert(at(4), "first"));
        report.sort();
        let messages: Vec<&str> = report.diagnostics().iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["first", "second", "no place"]);
        assert_eq!((report.alerts(), report.warnings()), (2, 1));
    }

    #[test]
    fn a_flood_of_diagnostics_is_counted_not_kept() {
        let mut report = Report::default();
        for _ in 0..Report::DIAGNOSTICS_MAX + 5 {
            report.push(Diagnostic::alert(None, "again"));
        }
        assert_eq!(report.diagnostics().len(), Report::DIAGNOSTICS_MAX);
        assert_eq!(report.dropped(), 5);
        assert_eq!(report.alerts(), Report::DIAGNOSTICS_MAX + 5);
    }
}
