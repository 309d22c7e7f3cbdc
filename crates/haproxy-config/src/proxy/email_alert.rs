//! `email-alert`: mails about servers.

use super::Draft;
use super::table::InDefaults::Yes;
use super::table::Side::Both;
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::Works;
use crate::language::SectionKind;
use crate::model::EmailAlert;
use crate::parse::{Arguments, Context, Outcome};
use diag::Diagnostic;

type Words<'a, 'l> = &'a mut Arguments<'l>;

pub(super) static KEYWORDS: &[ProxyKeyword] =
    &[entry("email-alert", Both, Yes, Works, email_alert, "mail about changes of servers")];

fn email_alert(draft: &mut Draft, arguments: Words<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("from, to, mailers, level or myhostname")?;
    let alert = draft.proxy.email_alert.get_or_insert_with(|| EmailAlert {
        mailers: String::new(),
        from: String::new(),
        to: String::new(),
        level: 1,
        myhostname: None,
    });
    match word.value.as_str() {
        "from" => alert.from = arguments.string()?,
        "to" => alert.to = arguments.string()?,
        "mailers" => alert.mailers = arguments.string()?,
        "myhostname" => alert.myhostname = Some(arguments.string()?),
        "level" => alert.level = crate::log::level(arguments.expect("a log level")?)?,
        _ => {
            let known = ["from", "to", "mailers", "level", "myhostname"];
            return Err(crate::keywords::unknown("word", word, "after `email-alert`", known));
        }
    }
    Ok(())
}

/// An alert has to say from whom, to whom and by whom; one that does not is dropped, in HAProxy's words.
pub(super) fn settle(draft: &mut Draft, context: &mut Context<'_>) {
    let Some(alert) = &draft.proxy.email_alert else { return };
    let span = draft.proxy.span;
    if alert.from.is_empty() || alert.to.is_empty() || alert.mailers.is_empty() {
        let message = format!(
            "'email-alert' will be ignored for {} (the presence any of 'email-alert from', 'email-alert level' \
             'email-alert mailers', 'email-alert myhostname', or 'email-alert to' requires each of 'email-alert \
             from', 'email-alert mailers' and 'email-alert to' to be present).",
            draft.title()
        );
        context.warn(span, message);
        draft.proxy.email_alert = None;
    } else if context.names.other(SectionKind::Mailers, &alert.mailers).is_none() {
        let message = format!("Proxy '{}': unable to find mailers '{}'.", draft.proxy.name, alert.mailers);
        context.report.push(Diagnostic::alert(span, message));
    }
}
