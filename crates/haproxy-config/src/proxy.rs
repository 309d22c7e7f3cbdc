//! `defaults`, `frontend`, `backend` and `listen` sections (configuration manual §4): one set of keywords, filled
//! into a [`Draft`] each; a `defaults` section is a draft that others start from.

mod balance;
mod basics;
mod checks;
mod cookie;
mod email_alert;
mod error_file;
pub(crate) mod errors;
mod filters;
mod finish;
mod legacy;
mod logs;
mod options;
mod rules;
pub(crate) mod rulesets;
mod stats;
mod table;
mod timeouts;

pub(crate) use finish::finish;
pub(crate) use options::{SWITCHES, option_rows};
pub(crate) use rules::parse_table;
pub(crate) use table::{Side, find, names, rows};
pub(crate) use timeouts::TIMEOUTS;

use crate::keywords;
use crate::language::{Section, SectionKind, Word};
use crate::model::{Mode, Proxy};
use crate::parse::{Arguments, Context, Outcome, Prefix, fail, fail_with_help};
use crate::server::{ParsedServer, ServerDraft, invalid_character};
use ::rules::{AclSet, Condition, PlaceSet, ProxyId};
use diag::{Diagnostic, Severity, Span};
use std::collections::{HashMap, HashSet};

/// What a stream's end logs, as the last of the log options said.
#[derive(Debug, Clone, Default)]
pub(crate) enum LogChoice {
    /// Only the connection is logged.
    #[default]
    Connection,
    Tcp(Span),
    Http(Span),
    HttpClf(Span),
    Https(Span),
    Format(Word),
}

/// A proxy while its section is read.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub kind: SectionKind,
    pub proxy: Proxy,
    pub default_server: ServerDraft,
    /// Names that are resolved when all sections are read.
    pub default_backend: Option<Word>,
    pub tracks: Vec<(usize, Word)>,
    /// There was a `bind` line, good or not.
    pub has_bind_line: bool,
    pub balance: balance::Choice,
    pub log_global: bool,
    pub log_choice: LogChoice,
    pub log_format_sd: Option<Word>,
    pub error_log_format: Option<Word>,
    pub unique_id_format: Option<Word>,
    /// ACLs of the section.
    pub acls: AclSet,
    /// `use_backend` and `use-server` lines: their targets are resolved when all sections are read.
    pub use_backend: Vec<Routing>,
    pub use_server: Vec<Routing>,
    pub checks: DraftChecks,
    /// Places of the `stick` lines.
    pub stick_spans: Vec<Span>,
    /// The rule set that runs last of those seen so far.
    pub latest_turn: Option<rulesets::Turn>,
    /// `errorfiles`: position of an http-errors section, and which statuses of it (none: all).
    pub error_sections: Vec<(u32, Vec<u16>)>,
    /// Rules made of old lines, which ran before and after all rules of today.
    pub old_rules: legacy::OldRules,
    /// Where settings stand that [`finish`] may have something to say about.
    pub spans: Spans,
}

/// The check lines of a section.
#[derive(Debug, Clone)]
pub(crate) struct DraftChecks {
    pub kind: checks::CheckKind,
    /// `external-check` lines.
    pub command: Option<String>,
    pub path: Option<String>,
    pub external_line: Option<Span>,
    /// The request of `option httpchk`.
    pub request: Option<::checks::HttpSend>,
    pub http: ::checks::Ruleset,
    pub tcp: ::checks::Ruleset,
    /// The recipe of `option smtpchk` and its kin.
    pub protocol: ::checks::Ruleset,
    /// The latest `http-check` and `tcp-check` lines: without the option that uses them they are idle.
    pub http_line: Option<Span>,
    pub tcp_line: Option<Span>,
    /// The rulesets came from defaults: the first line of the section's own replaces them.
    pub inherits_http: bool,
    pub inherits_tcp: bool,
}

impl Default for DraftChecks {
    fn default() -> Self {
        DraftChecks {
            kind: checks::CheckKind::default(),
            command: None,
            path: None,
            external_line: None,
            request: None,
            http_line: None,
            tcp_line: None,
            inherits_http: false,
            inherits_tcp: false,
            http: ::checks::Ruleset::new(::checks::RecipeKind::Http),
            protocol: ::checks::Ruleset::new(::checks::RecipeKind::Tcp),
            tcp: ::checks::Ruleset::new(::checks::RecipeKind::Tcp),
        }
    }
}

/// A line that sends what matches somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Routing {
    /// A name, or a log-format that makes one.
    pub target: Word,
    pub condition: Option<Condition>,
    pub span: Span,
}

/// Places of lines that are judged once the whole section is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spans {
    pub balance: Option<Span>,
    pub forwardfor: Option<Span>,
    pub cookie: Option<Span>,
    pub stats: Option<Span>,
}

impl Draft {
    fn new(kind: SectionKind, id: ProxyId, name: &str, span: Span) -> Draft {
        Draft {
            kind,
            proxy: Proxy::new(id, name, span),
            default_server: ServerDraft::new(span, id),
            default_backend: None,
            tracks: Vec::new(),
            has_bind_line: false,
            balance: balance::Choice::default(),
            log_global: false,
            log_choice: LogChoice::default(),
            log_format_sd: None,
            error_log_format: None,
            unique_id_format: None,
            acls: AclSet::new(),
            use_backend: Vec::new(),
            use_server: Vec::new(),
            checks: DraftChecks::default(),
            stick_spans: Vec::new(),
            latest_turn: None,
            error_sections: Vec::new(),
            old_rules: legacy::OldRules::default(),
            spans: Spans::default(),
        }
    }

    pub fn is_defaults(&self) -> bool {
        self.kind == SectionKind::Defaults
    }

    pub fn has_frontend(&self) -> bool {
        matches!(self.kind, SectionKind::Frontend | SectionKind::Listen)
    }

    pub fn has_backend(&self) -> bool {
        matches!(self.kind, SectionKind::Backend | SectionKind::Listen)
    }

    /// The section as the rule engine sees it. A defaults section stands for every proxy that starts from it.
    pub fn rule_section(&self) -> ::rules::Section {
        ::rules::Section {
            proxy: (!self.is_defaults()).then_some(self.proxy.id),
            is_frontend: self.has_frontend() || self.is_defaults(),
            is_backend: self.has_backend() || self.is_defaults(),
            is_http: self.proxy.mode == Mode::Http,
        }
    }

    /// Where `http-request` rules of this section run.
    pub fn request_places(&self) -> PlaceSet {
        PlaceSet::http_request(self.rule_section())
    }

    /// `backend 'web'`, for messages.
    pub fn title(&self) -> String {
        if self.proxy.name.is_empty() {
            return format!("`{}`", self.kind.keyword());
        }
        format!("{} `{}`", self.kind.keyword(), self.proxy.name)
    }

    pub fn add_server(&mut self, parsed: ParsedServer) {
        if let Some(track) = parsed.track {
            self.tracks.push((self.proxy.servers.len(), track));
        }
        self.proxy.servers.push(parsed.server);
    }
}

/// Reads proxies and their defaults in order.
#[derive(Default)]
pub(crate) struct ProxyReader {
    /// The latest defaults section: what an unnamed reference means.
    latest: Option<Draft>,
    named: HashMap<String, Draft>,
    /// Names that several defaults sections have: nobody can start from them.
    ambiguous: HashSet<String>,
    pub drafts: Vec<Draft>,
}

impl ProxyReader {
    /// Reads one section; mistakes are reported and reading goes on.
    pub fn read(&mut self, section: &Section, context: &mut Context<'_>) {
        let mut draft = self.start(section, context);
        // Other lines are read in the light of these, wherever they stand: first the mode, then the ACLs.
        for first in ["mode", "acl"] {
            for line in section.lines.iter().filter(|line| line.text(0) == first) {
                let outcome = read_line(&mut draft, &mut Arguments::new(line), context);
                context.report_error(outcome);
            }
        }
        for line in section.lines.iter().filter(|line| !["mode", "acl"].contains(&line.text(0))) {
            let outcome = read_line(&mut draft, &mut Arguments::new(line), context);
            context.report_error(outcome);
        }
        if draft.is_defaults() {
            if !draft.proxy.name.is_empty() {
                let name = draft.proxy.name.clone();
                if self.named.insert(name.clone(), draft.clone()).is_some() {
                    self.ambiguous.insert(name);
                }
            }
            self.latest = Some(draft);
        } else {
            self.drafts.push(draft);
        }
    }

    /// Reads the header: a name, and which defaults to start from.
    fn start(&mut self, section: &Section, context: &mut Context<'_>) -> Draft {
        let header = &section.header;
        let mut arguments = Arguments::new(header);
        let kind = section.kind;
        let id = ProxyId(self.drafts.len() as u32);
        let outcome = self.header(kind, &mut arguments, context);
        let (name, base) = outcome.unwrap_or_else(|error| {
            context.report.push(*error);
            (header.words.get(1).cloned(), self.latest.clone())
        });
        let name_text = name.as_ref().map_or("", |name| name.value.as_str());
        let mut draft = match base {
            Some(base) => {
                let mut draft = base;
                draft.kind = kind;
                draft.proxy.id = id;
                draft.proxy.name = name_text.to_owned();
                draft.proxy.span = header.span;
                draft.default_server.proxy = id;
                draft
            }
            None => Draft::new(kind, id, name_text, header.span),
        };
        // Rules of defaults ran their turns there.
        draft.latest_turn = None;
        (draft.checks.inherits_http, draft.checks.inherits_tcp) = (true, true);
        (draft.checks.http_line, draft.checks.tcp_line) = (None, None);
        draft.checks.external_line = None;
        draft.proxy.is_frontend = draft.has_frontend();
        draft.proxy.is_backend = draft.has_backend();
        if let Some(name) = name.as_ref().filter(|_| !draft.is_defaults()) {
            self.check_name(&draft, name, context);
        }
        draft
    }

    fn header(
        &self,
        kind: SectionKind,
        arguments: &mut Arguments<'_>,
        context: &mut Context<'_>,
    ) -> Outcome<(Option<Word>, Option<Draft>)> {
        let is_defaults = kind == SectionKind::Defaults;
        let name = match arguments.peek() {
            Some(word) if word.value == "from" && is_defaults => None,
            Some(_) => arguments.next().cloned(),
            None if is_defaults => None,
            None => {
                let message = format!("`{}` needs a name", kind.keyword());
                return fail(arguments.span(), message);
            }
        };
        let base = if arguments.take("from") {
            let from = arguments.expect("the name of a defaults section")?;
            match self.named.get(&from.value) {
                Some(_) if self.ambiguous.contains(&from.value) => {
                    return fail(from.span, format!("there are several defaults sections `{}`", from.value));
                }
                Some(draft) => Some(draft.clone()),
                None => {
                    let near = diag::nearest(&from.value, self.named.keys().map(String::as_str));
                    let message = format!("there is no defaults section `{}` above", from.value);
                    return match near {
                        Some(near) => fail_with_help(from.span, message, format!("did you mean `{near}`?")),
                        None => fail(from.span, message),
                    };
                }
            }
        } else if is_defaults {
            None
        } else {
            self.latest.clone()
        };
        if let Some(extra) = arguments.peek() {
            let message = format!("unexpected `{}` after the name", extra.value);
            let help = if extra.value.contains(':') {
                format!("write the address on a line of its own: bind {}", extra.value)
            } else {
                "only `from DEFAULTS` may follow".to_owned()
            };
            let severity = if is_defaults { Severity::Warning } else { Severity::Alert };
            context.report.push(Diagnostic::new(severity, extra.span, message).with_help(help));
        }
        Ok((name, base))
    }

    fn check_name(&self, draft: &Draft, name: &Word, context: &mut Context<'_>) {
        if let Some(character) = invalid_character(&name.value) {
            let message = format!(
                "character `{character}` is not permitted in a name: use letters, digits, `-`, `_`, `.` and `:`"
            );
            context.report.push(Diagnostic::alert(name.span, message));
        }
        let names = context.names;
        let other = [
            names.frontend(&name.value).filter(|_| draft.has_frontend()),
            names.backend(&name.value).filter(|_| draft.has_backend()),
        ];
        // The table keeps the first of each name and side; being another one means being a duplicate.
        if let Some(first) = other.into_iter().flatten().find(|first| *first != draft.proxy.id) {
            let first = &names.proxies[first.index()];
            let message =
                format!("{} has the same name as {} `{}`", draft.title(), first.kind.keyword(), first.name);
            context
                .report
                .push(Diagnostic::alert(name.span, message).with_note(first.span, "the first one is here"));
        }
    }
}

/// Reads one line of a proxy section.
fn read_line(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let keyword = arguments.last();
    let Some(row) = find(&keyword.value) else {
        return Err(keywords::unknown(
            "keyword",
            keyword,
            &format!("in {}", draft.title()),
            names().chain(SectionKind::ALL.iter().map(|(_, name)| *name)),
        ));
    };
    if arguments.prefix != Prefix::None && !row.negatable {
        return fail(keyword.span, format!("`no` and `default` cannot stand before `{}`", row.keyword.name));
    }
    if !row.belongs(draft, keyword, context)? {
        return Ok(());
    }
    keywords::check_status(context, row.keyword.name, row.keyword.status, keyword.span)?;
    if !row.takes_bytes() {
        context.warn_not_utf8(arguments.line());
    }
    (row.keyword.parse)(draft, arguments, context)?;
    arguments.end()
}
