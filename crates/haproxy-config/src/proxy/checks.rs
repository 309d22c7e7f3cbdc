//! Health checks of a backend: `option httpchk` and its kin choose what a check is, `http-check` and `tcp-check`
//! lines say its steps.

mod expect;
mod protocols;
mod steps;

use super::options::{OptionRow, plain};
use super::table::InDefaults::Yes;
use super::table::Side::Backend;
use super::table::{ProxyKeyword, entry};
use super::{Draft, DraftChecks};
use crate::keywords::Status::{self, Refused, Works};
use crate::keywords::unknown;
use crate::model::{ExternalCheck, Global};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use ::checks::{LegacyHttpRequest, RecipeKind, Ruleset, RulesetError, Step};

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("http-check", Backend, Yes, Works, http_check, "steps of HTTP health checks"),
    entry(
        "external-check",
        Backend,
        Yes,
        Works,
        external_check,
        "program of external checks, and its folders",
    ),
    entry("tcp-check", Backend, Yes, Works, tcp_check, "steps of TCP health checks"),
];

const NO_AGENTS: Status =
    Refused("there are no stream processing agents; say it with `option tcp-check` and `tcp-check` lines");

/// `option` rows that choose a kind of check.
pub(crate) static OPTIONS: &[OptionRow] = &[
    plain("external-check", Backend, Works, option_external_check),
    plain("httpchk", Backend, Works, httpchk),
    plain("ldap-check", Backend, Works, protocols::ldap),
    plain("mysql-check", Backend, Works, protocols::mysql),
    plain("pgsql-check", Backend, Works, protocols::pgsql),
    plain("redis-check", Backend, Works, protocols::redis),
    plain("smtpchk", Backend, Works, protocols::smtp),
    plain("spop-check", Backend, NO_AGENTS, rest),
    plain("ssl-hello-chk", Backend, Works, protocols::ssl_hello),
    plain("tcp-check", Backend, Works, option_tcp_check),
];

/// Which ruleset is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CheckKind {
    /// Connect and close.
    #[default]
    Connect,
    Http,
    Tcp,
    /// One of the protocols with a recipe of its own.
    Protocol,
    External,
}

type Words<'a, 'l> = &'a mut Arguments<'l>;

fn rest(_: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

fn httpchk(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let span = arguments.span();
    let words: Vec<&str> = arguments.rest().iter().map(|word| word.value.as_str()).collect();
    if words.len() > 3 {
        return fail(span, "`option httpchk` takes a method, a URI and a version at most");
    }
    let request = LegacyHttpRequest::from_words(&words);
    if request.has_hidden_fields {
        let help = "write `http-check send meth GET uri / ver HTTP/1.1 hdr Host www.example.com`";
        context.warn_old(span, "headers behind the version of `option httpchk` are an old form", help);
    }
    draft.checks.kind = CheckKind::Http;
    draft.checks.own_http();
    draft.checks.request = Some(request.request);
    Ok(())
}

fn option_tcp_check(draft: &mut Draft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.checks.kind = CheckKind::Tcp;
    Ok(())
}

fn option_external_check(draft: &mut Draft, _: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.checks.kind = CheckKind::External;
    Ok(())
}

/// `external-check command PROGRAM`, `external-check path FOLDERS`.
fn external_check(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.checks.external_line = Some(arguments.span());
    let word = arguments.expect("command or path")?;
    match word.value.as_str() {
        "command" => draft.checks.command = Some(arguments.string()?),
        "path" => draft.checks.path = Some(arguments.string()?),
        _ => return Err(unknown("word", word, "after `external-check`", ["command", "path"])),
    }
    Ok(())
}

/// What external checks need, in HAProxy's words.
pub(super) fn settle_external(draft: &mut Draft, global: &Global, context: &mut Context<'_>) {
    let span = draft.proxy.span;
    let name = draft.proxy.name.clone();
    let checks = &draft.checks;
    if checks.kind != CheckKind::External {
        if let Some(line) = checks.external_line {
            let title = draft.title();
            context.warn(
                line,
                format!("'external-check' will be ignored for {title} (requires 'option external-check')."),
            );
        }
        return;
    }
    let mut missing = |what: &str| {
        let message = format!("Proxy '{name}' : 'option external-check' unable to find required '{what}'.");
        context.report.push(diag::Diagnostic::alert(span, message));
    };
    if !global.external_check {
        missing("global.external-check");
    }
    let Some(command) = checks.command.clone() else {
        missing("external-check command");
        return;
    };
    if !command.starts_with('/') && checks.path.is_none() {
        let message = format!(
            "Proxy '{name}': 'external-check command' does not have a leading '/' and 'external-check path' is not set."
        );
        context.report.push(diag::Diagnostic::alert(span, message));
    }
    if !global.insecure_fork_wanted {
        let message = format!(
            "Proxy '{name}' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will likely fail."
        );
        context.warn(span, message);
    }
    draft.proxy.external_check = Some(ExternalCheck { command, path: checks.path.clone() });
}

impl DraftChecks {
    /// The section says something of its own about HTTP checks: the steps of its defaults go.
    fn own_http(&mut self) {
        if std::mem::take(&mut self.inherits_http) {
            self.http = Ruleset::new(RecipeKind::Http);
        }
    }
}

/// The recipe of a section once all of its lines are read.
pub(super) fn recipe(checks: &DraftChecks) -> ::checks::Recipe {
    match checks.kind {
        // The program decides; nothing of the recipe is done.
        CheckKind::Connect | CheckKind::External => ::checks::Recipe::connect_only(),
        CheckKind::Http => {
            let mut ruleset = checks.http.clone();
            if let Some(request) = checks.request.clone() {
                ruleset.set_http_request(request);
            }
            ruleset.finish()
        }
        CheckKind::Tcp => checks.tcp.clone().finish(),
        CheckKind::Protocol => checks.protocol.clone().finish(),
    }
}

fn http_check(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a step such as send or expect")?;
    let name = word.value.split('(').next().unwrap_or("");
    let step = match name {
        "disable-on-404" => {
            draft.proxy.check_options.disable_on_404 = true;
            return Ok(());
        }
        "send-state" => {
            draft.proxy.check_options.send_state = true;
            return Ok(());
        }
        "comment" => Step::Comment(arguments.string()?),
        "connect" => steps::connect(draft, arguments, context)?,
        "send" => steps::http_send(draft, arguments, context)?,
        "expect" => expect::http(draft, arguments, context)?,
        "set-var" | "set-var-fmt" => steps::set_variable(draft, arguments, context)?,
        "unset-var" => steps::unset_variable(word)?,
        _ => {
            let known = [
                "disable-on-404",
                "send-state",
                "comment",
                "connect",
                "send",
                "expect",
                "set-var",
                "unset-var",
            ];
            return Err(unknown("step", word, "after `http-check`", known));
        }
    };
    arguments.end()?;
    if let (Step::HttpSend(_), true) = (&step, draft.checks.inherits_http) {
        // Its own request takes nothing from that of the defaults.
        draft.checks.request = None;
    }
    draft.checks.own_http();
    draft.checks.http_line = Some(arguments.span());
    push(&mut draft.checks.http, step, arguments)
}

fn tcp_check(draft: &mut Draft, arguments: Words<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a step such as send or expect")?;
    let name = word.value.split('(').next().unwrap_or("");
    let step = match name {
        "comment" => Step::Comment(arguments.string()?),
        "connect" => steps::connect(draft, arguments, context)?,
        "send" | "send-lf" | "send-binary" | "send-binary-lf" => {
            steps::tcp_send(name, draft, arguments, context)?
        }
        "expect" => expect::tcp(draft, arguments, context)?,
        "set-var" | "set-var-fmt" => steps::set_variable(draft, arguments, context)?,
        "unset-var" => steps::unset_variable(word)?,
        _ => {
            let known = [
                "comment",
                "connect",
                "send",
                "send-lf",
                "send-binary",
                "send-binary-lf",
                "expect",
                "set-var",
                "unset-var",
            ];
            return Err(unknown("step", word, "after `tcp-check`", known));
        }
    };
    arguments.end()?;
    if std::mem::take(&mut draft.checks.inherits_tcp) {
        draft.checks.tcp = Ruleset::new(RecipeKind::Tcp);
    }
    draft.checks.tcp_line = Some(arguments.span());
    push(&mut draft.checks.tcp, step, arguments)
}

fn push(ruleset: &mut Ruleset, step: Step, arguments: &Arguments<'_>) -> Outcome {
    let span = arguments.span();
    ruleset.push(step).or_else(|error| match error {
        RulesetError::ConnectMustComeFirst => fail_with_help(
            span,
            "a ruleset with a `connect` must start with one",
            "put a `connect` before the first send or expect",
        ),
        RulesetError::SendWithoutConnect(step) => fail_with_help(
            span,
            format!("step {step} sends without a `connect` before it"),
            "put the `send` before the `expect`, or a `connect` between two exchanges",
        ),
        RulesetError::ExpectWithoutSend(step) => {
            fail(span, format!("step {step} expects without a `send` before it"))
        }
        RulesetError::ConnectWithoutExpect(step) => {
            fail(span, format!("step {step} connects while a `send` waits for its `expect`"))
        }
        RulesetError::TooLong => fail(span, "too many steps in this check"),
    })
}
