//! What parsers share: the report, the machine, and what the whole file decides.

use crate::Host;
use crate::model::RunAs;
use diag::{Diagnostic, Report, Span};

/// A parser's result; the error is told by its caller.
pub(crate) type Outcome<T = ()> = Result<T, Box<Diagnostic>>;

/// An error about a place.
pub(crate) fn fail<T>(span: Span, message: impl Into<String>) -> Outcome<T> {
    Err(Box::new(Diagnostic::alert(span, message)))
}

/// State of one load.
pub(crate) struct Context<'a> {
    pub report: &'a mut Report,
    pub host: &'a dyn Host,
    /// The keyword being read.
    pub keyword: &'static str,
    /// Things that `keepalived -t` counts as problems while the daemon runs on with a changed value.
    pub problems: usize,
    /// Programs that run as root without protection, or do not run because they have none.
    pub insecure_scripts: usize,
    /// Whom programs run as that name no user.
    pub script_user: RunAs,
    pub script_security: bool,
    /// Nobody may run scripts that name no user: security was asked for, and there is no `keepalived_script`.
    pub script_user_missing: bool,
    /// Scripts left out for that reason.
    pub dropped_scripts: Vec<String>,
    /// An interface is missing: keepalived gives up before it looks at scripts.
    pub interface_missing: bool,
    /// Interfaces may come and go.
    pub dynamic_interfaces: bool,
}

impl Context<'_> {
    pub fn push_alert(&mut self, diagnostic: Diagnostic) {
        self.report.push(diagnostic);
    }

    /// Something that goes on with a changed value: a warning, and a configuration test does not end with 0.
    pub fn problem(&mut self, diagnostic: Diagnostic) {
        self.problems += 1;
        self.report.push(diagnostic);
    }

    /// Advice: told, and counted by nobody.
    pub fn advise(&mut self, diagnostic: Diagnostic) {
        self.report.push(diagnostic);
    }

    /// A problem in short.
    pub fn adjust(&mut self, span: Span, message: impl Into<String>) {
        self.problem(Diagnostic::warning(span, message));
    }

    /// A program has no user to run as: it is left out.
    pub fn no_script_user(&mut self, span: Span) {
        self.problem(
            Diagnostic::warning(
                span,
                "this program never runs: it has no user, and there is no `keepalived_script`",
            )
            .with_help("set `script_user` in global_defs, or make that user"),
        );
    }

    /// A program runs as root while nobody checks who may change it: told once.
    pub fn root_script(&mut self, span: Span) {
        if self.insecure_scripts == 0 {
            self.advise(
                Diagnostic::warning(span, "programs run as root, and nothing checks who may change them")
                    .with_help("set `enable_script_security` in global_defs, or give them another user by `script_user`"),
            );
        }
        self.insecure_scripts += 1;
    }
}
