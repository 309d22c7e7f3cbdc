//! The log lines of health checks and state changes, as HAProxy 2.6 words them. Syslog levels are numbers: 0 emergency,
//! 1 alert, 5 notice. Never sends anything.

use crate::report::encode_info;
use crate::{CheckResult, CheckStatus, RiseFall};
use std::fmt::Write;
use std::time::Duration;

/// Syslog levels that the notices use.
pub const LEVEL_EMERGENCY: u8 = 0;
pub const LEVEL_ALERT: u8 = 1;
pub const LEVEL_NOTICE: u8 = 5;
/// The level of mails about single checks.
const LEVEL_INFO: u8 = 6;

/// One line for the logs of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub level: u8,
    pub text: String,
    /// The level of the mail that says it too (`email-alert`); `None`: no mail does.
    pub mail_level: Option<u8>,
}

impl Notice {
    fn new(level: u8, text: String) -> Notice {
        Notice { level, text, mail_level: None }
    }

    /// A mail says it too.
    pub(crate) fn mailed(self) -> Notice {
        Notice { mail_level: Some(self.level), ..self }
    }
}

/// Whom a notice is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub backend: &'a str,
    pub server: &'a str,
    pub is_backup: bool,
}

/// The backend after the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Usable active and backup servers.
    pub active: usize,
    pub backup: usize,
    /// Sessions at the server now.
    pub sessions: u32,
    /// Requests taken out of its queue.
    pub requeued: usize,
    /// Requests that wait in the backend.
    pub queued: u32,
}

/// A check result worth telling.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    pub status: CheckStatus,
    pub code: i64,
    pub description: &'a str,
    /// `None`: not from a check of its own (`observe`).
    pub duration: Option<Duration>,
}

/// Why a server changed its state.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    Check(Report<'a>),
    /// By a check, but `option log-health-checks` already told.
    Told,
    /// `set server … health …`.
    Cli,
    /// The statistics page.
    Web,
    /// The server it tracks: `backend/server`.
    Via(&'a str),
    /// Some other reason, in words.
    Because(&'a str),
    /// Nothing to add.
    Plain,
}

impl Subject<'_> {
    fn capital(&self) -> String {
        let kind = if self.is_backup { "Backup Server" } else { "Server" };
        format!("{kind} {}/{}", self.backend, self.server)
    }
}

/// `, reason: …` behind a state change.
pub(crate) fn write_cause(out: &mut String, cause: Cause<'_>) {
    match cause {
        Cause::Check(report) => write_report(out, report),
        Cause::Told | Cause::Plain => {}
        Cause::Cli => out.push_str(", changed from CLI"),
        Cause::Web => out.push_str(", changed from Web interface"),
        Cause::Via(tracked) => {
            let _ = write!(out, " via {tracked}");
        }
        Cause::Because(reason) => {
            let _ = write!(out, " ({reason})");
        }
    }
}

fn write_report(out: &mut String, report: Report<'_>) {
    let _ = write!(out, ", reason: {}", report.status.description());
    if report.status.has_code() {
        let _ = write!(out, ", code: {}", report.code);
    }
    if !report.description.is_empty() {
        let _ = write!(out, ", info: \"{}\"", encode_info(report.description));
    }
    if let Some(duration) = report.duration {
        let _ = write!(out, ", check duration: {}ms", duration.as_millis());
    }
}

/// The line of `option log-health-checks`.
pub fn check_notice(subject: Subject<'_>, is_agent: bool, report: Report<'_>, counter: RiseFall) -> Notice {
    let mut text = format!(
        "{} check for {}server {}/{} {}",
        if is_agent { "Agent" } else { "Health" },
        if subject.is_backup { "backup " } else { "" },
        subject.backend,
        subject.server,
        match report.status.result() {
            CheckResult::Failed => "failed",
            CheckResult::Conditional => "conditionally succeeded",
            CheckResult::Unknown | CheckResult::Neutral | CheckResult::Passed => "succeeded",
        }
    );
    write_report(&mut text, report);
    let _ = write!(text, ", status: {counter}.");
    Notice { mail_level: Some(LEVEL_INFO), ..Notice::new(LEVEL_NOTICE, text) }
}

/// `backend web has no server available!`; `kind` is `backend`, or `proxy` for a `listen` section.
pub fn no_server_notice(kind: &str, backend: &str) -> Notice {
    Notice::new(LEVEL_EMERGENCY, format!("{kind} {backend} has no server available!"))
}

/// A server's state after some event: `is` says what it now is or does.
pub(crate) fn state_notice(
    subject: Subject<'_>,
    level: u8,
    is: &str,
    cause: Cause<'_>,
    counts: Option<(Counts, bool)>,
) -> Notice {
    let mut text = format!("{} {is}", subject.capital());
    write_cause(&mut text, cause);
    if let Some((counts, is_down)) = counts {
        write_counts(&mut text, counts, is_down);
    }
    text.push('.');
    Notice::new(level, text)
}

fn write_counts(out: &mut String, counts: Counts, is_down: bool) {
    let Counts { active, backup, sessions, requeued, queued } = counts;
    let left = if is_down { "left" } else { "online" };
    let on_backup = if active == 0 && backup > 0 { " Running on backup." } else { "" };
    let _ = write!(out, ". {active} active and {backup} backup servers {left}.{on_backup}");
    let _ = if is_down {
        write!(out, " {sessions} sessions active, {requeued} requeued, {queued} remaining in queue")
    } else {
        write!(out, " {requeued} sessions requeued, {queued} total in queue")
    };
}
