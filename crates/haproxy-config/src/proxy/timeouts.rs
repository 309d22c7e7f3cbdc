//! `timeout …`, and the old keywords that set one.

use super::Draft;
use super::table::InDefaults::Yes;
use super::table::Side::{self, Backend, Both, Frontend};
use super::table::{ProxyKeyword, check_side, entry};
use crate::keywords::Status::{Old, Works};
use crate::keywords::read;
use crate::model::Timeouts;
use crate::parse::{Arguments, Context, Outcome, fail_with_help};
use std::time::Duration;

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("timeout", Both, Yes, Works, timeout, "longest waits"),
    entry(
        "clitimeout",
        Frontend,
        Yes,
        Old("`timeout client`"),
        read!(proxy.timeouts.client = Some(duration)),
        "old",
    ),
    entry(
        "contimeout",
        Backend,
        Yes,
        Old("`timeout connect`"),
        read!(proxy.timeouts.connect = Some(duration)),
        "old",
    ),
    entry(
        "srvtimeout",
        Backend,
        Yes,
        Old("`timeout server`"),
        read!(proxy.timeouts.server = Some(duration)),
        "old",
    ),
];

/// One kind of timeout.
pub(crate) struct Timeout {
    pub name: &'static str,
    pub side: Side,
    pub field: fn(&mut Timeouts) -> &mut Option<Duration>,
}

pub(crate) static TIMEOUTS: [Timeout; 12] = [
    Timeout { name: "client", side: Frontend, field: |t| &mut t.client },
    Timeout { name: "server", side: Backend, field: |t| &mut t.server },
    Timeout { name: "connect", side: Backend, field: |t| &mut t.connect },
    Timeout { name: "check", side: Backend, field: |t| &mut t.check },
    Timeout { name: "queue", side: Backend, field: |t| &mut t.queue },
    Timeout { name: "http-keep-alive", side: Both, field: |t| &mut t.http_keep_alive },
    Timeout { name: "http-request", side: Both, field: |t| &mut t.http_request },
    Timeout { name: "tunnel", side: Backend, field: |t| &mut t.tunnel },
    Timeout { name: "tarpit", side: Both, field: |t| &mut t.tarpit },
    Timeout { name: "client-fin", side: Frontend, field: |t| &mut t.client_fin },
    Timeout { name: "server-fin", side: Backend, field: |t| &mut t.server_fin },
    Timeout { name: "client-hs", side: Frontend, field: |t| &mut t.client_hs },
];

fn timeout(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.expect("a kind, such as `connect`, and a time")?;
    let Some(row) = TIMEOUTS.iter().find(|row| row.name == word.value) else {
        let names = TIMEOUTS.iter().map(|row| row.name);
        let mut error = crate::keywords::unknown("timeout", word, "", names);
        error.message = format!("unknown timeout `{}`", word.value);
        if error.help.is_none() {
            let names: Vec<&str> = TIMEOUTS.iter().map(|row| row.name).collect();
            return fail_with_help(word.span, error.message, format!("use one of {}", names.join(", ")));
        }
        return Err(error);
    };
    let time = arguments.duration()?;
    if check_side(draft, row.side, &format!("timeout {}", row.name), word, false, context)? {
        // 0 is how configurations write "no limit".
        *(row.field)(&mut draft.proxy.timeouts) = (!time.is_zero()).then_some(time);
    }
    Ok(())
}
