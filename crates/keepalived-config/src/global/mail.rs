//! Keywords of `global_defs` that concern alert mails.

use super::GlobalDraft;
use crate::arguments::Arguments;
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, assign, block, line, read};
use crate::model::SmtpSecurity;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

pub(super) static MAIL: &[Keyword<GlobalDraft>] = &[
    block("notification_email", Works, notification_email, "recipients of alert mails"),
    line(
        "notification_email_from",
        Works,
        read!(global.smtp.from = Some(string("an address"))),
        "sender of alert mails",
    ),
    line("smtp_server", Works, smtp_server, "mail relay and its port (25)"),
    line(
        "smtp_helo_name",
        Works,
        read!(global.smtp.helo_name = Some(string("a name"))),
        "name given in HELO",
    ),
    line("smtp_auth", Works, smtp_auth, "user and password for the mail relay"),
    line(
        "smtp_starttls",
        Works,
        assign!(global.smtp.security = SmtpSecurity::StartTls),
        "STARTTLS before mails, or none are sent",
    ),
    line(
        "smtp_tls",
        Works,
        assign!(global.smtp.security = SmtpSecurity::Tls),
        "TLS from the first byte, as on port 465",
    ),
    line("smtp_ca_file", Works, smtp_ca_file, "authorities for the relay's certificate (the system's)"),
    line("smtp_connect_timeout", Works, smtp_connect_timeout, "longest wait for the mail relay (30 s)"),
    line("smtp_alert", Works, read!(global.smtp.alert = Some(switch())), "default of mail alerts everywhere"),
    line(
        "smtp_alert_vrrp",
        Works,
        read!(global.smtp.alert_vrrp = Some(switch())),
        "default of mail alerts of VRRP",
    ),
    line(
        "smtp_alert_checker",
        Works,
        read!(global.smtp.alert_checker = Some(switch())),
        "default of mail alerts of checkers",
    ),
    line("no_email_faults", Works, assign!(global.smtp.no_faults = true), "no mail for FAULT"),
    line(
        "no_checker_emails",
        Works,
        assign!(global.smtp.no_checker_emails = true),
        "mail only when a real server comes or goes",
    ),
];

fn notification_email(
    draft: &mut GlobalDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    let words = arguments.block_words(context);
    if words.is_empty() {
        context.adjust(arguments.end(), "this list of recipients is empty");
    }
    draft.global.smtp.to.extend(words.into_iter().map(|word| word.value));
    Ok(())
}

fn smtp_server(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.smtp.server = Some(arguments.string("the name or address of a mail relay")?);
    draft.global.smtp.port = if arguments.peek().is_some() { Some(arguments.port()?) } else { None };
    Ok(())
}

fn smtp_auth(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let words = arguments.quoted_rest()?;
    let [user, password] = &words[..] else {
        return fail(arguments.end(), "`smtp_auth` needs a user and a password");
    };
    draft.global.smtp.credentials = Some((user.value.clone(), password.value.clone()));
    Ok(())
}

fn smtp_ca_file(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.smtp.ca_file = Some(arguments.string("a file")?.into());
    Ok(())
}

fn smtp_connect_timeout(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.smtp.connect_timeout = Some(Duration::from_secs(arguments.integer(1..=4294)? as u64));
    Ok(())
}
