//! `log`, `log-format` and their kin in proxies.

use super::table::InDefaults::Yes;
use super::table::Side::{Both, Frontend};
use super::table::{ProxyKeyword, entry};
use super::{Draft, LogChoice};
use crate::keywords::Status::Works;
use crate::keywords::read;
use crate::log;
use crate::parse::{Arguments, Context, Outcome, Prefix};

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry(
        "error-log-format",
        Frontend,
        Yes,
        Works,
        error_log_format,
        "format of logs about failed connections",
    ),
    entry("log", Both, Yes, Works, log, "where logs go").negatable(),
    entry("log-format", Frontend, Yes, Works, log_format, "format of logs"),
    entry("log-format-sd", Both, Yes, Works, log_format_sd, "structured data of RFC 5424 logs"),
    entry("log-tag", Both, Yes, Works, read!(proxy.log_tag = Some(string)), "program name in log headers"),
];

fn log(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    if arguments.prefix == Prefix::No {
        draft.proxy.log_targets.clear();
        draft.log_global = false;
        return Ok(());
    }
    if arguments.take("global") {
        draft.log_global = true;
        return Ok(());
    }
    draft.proxy.log_targets.push(log::parse(arguments, context)?);
    Ok(())
}

fn log_format(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.log_choice = LogChoice::Format(arguments.expect("a format")?.clone());
    Ok(())
}

fn log_format_sd(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.log_format_sd = Some(arguments.expect("a format")?.clone());
    Ok(())
}

fn error_log_format(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.error_log_format = Some(arguments.expect("a format")?.clone());
    Ok(())
}
