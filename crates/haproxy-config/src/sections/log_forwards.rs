//! `log-forward`: listeners for syslog messages, and where they are sent on (configuration manual §3.10).

use crate::bind;
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, row};
use crate::language::Section;
use crate::log;
use crate::model::{Global, LogForward, LogTarget, Protocol};
use crate::parse::{Arguments, Context, Outcome, Prefix, fail};

/// Connections at once unless `maxconn` says otherwise.
const MAXCONN_DEFAULT: u32 = 10;

pub(crate) struct Draft {
    forward: LogForward,
    /// What `log global` stands for.
    global: Vec<LogTarget>,
}

pub(super) static KEYWORDS: &[Keyword<Draft>] = &[
    row("backlog", Works, backlog, "length of the kernel's queue of connections"),
    row("bind", Works, bind, "where streams of messages are received"),
    row("dgram-bind", Works, datagram_bind, "where datagrams are received"),
    row("log", Works, log, "where messages are sent"),
    row("maxconn", Works, maxconn, "connections at once"),
    row("timeout", Works, timeout, "how long a client may say nothing"),
];

/// Reads the section. `global`: read already, for `log global`.
pub(super) fn read(section: &Section, global: &Global, context: &mut Context<'_>) -> LogForward {
    let name = super::name(section, context);
    if let Some(proxy) = context.names.frontend(&name) {
        let message = format!("log-forward section `{name}` has the same name as a frontend");
        let other = context.names.proxies[proxy.index()].span;
        context.report.push(
            diag::Diagnostic::alert(section.header.span, message).with_note(other, "the frontend is here"),
        );
    }
    let forward = LogForward {
        name,
        span: section.header.span,
        binds: Vec::new(),
        datagram_binds: Vec::new(),
        log_targets: Vec::new(),
        maxconn: MAXCONN_DEFAULT,
        backlog: None,
        timeout_client: None,
    };
    let mut draft = Draft { forward, global: global.log_targets.clone() };
    super::read_lines(KEYWORDS, section, &mut draft, context);
    let forward = draft.forward;
    if forward.binds.is_empty() && forward.datagram_binds.is_empty() {
        let message = format!("log-forward section `{}` has neither `bind` nor `dgram-bind`", forward.name);
        context.warn(section.header.span, message);
    }
    forward
}

fn bind(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let binds = bind::parse(arguments, context)?;
    if binds.iter().any(|bind| bind.protocol == Protocol::Http2) {
        return fail(arguments.span(), "`proto h2` is no protocol of logs");
    }
    draft.forward.binds.extend(binds);
    Ok(())
}

fn datagram_bind(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    draft.forward.datagram_binds.extend(bind::parse_datagram(arguments, context)?);
    Ok(())
}

fn log(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    if arguments.prefix == Prefix::No {
        draft.forward.log_targets.clear();
    } else if arguments.take("global") {
        draft.forward.log_targets.extend(draft.global.iter().cloned());
    } else {
        draft.forward.log_targets.push(log::parse(arguments, context)?);
    }
    Ok(())
}

fn maxconn(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.forward.maxconn = arguments.count()?;
    Ok(())
}

fn backlog(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.forward.backlog = arguments.limit()?;
    Ok(())
}

fn timeout(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let Some(word) = arguments.next() else {
        return fail(arguments.span(), "`timeout` takes `client` and a time");
    };
    if word.value != "client" {
        let message = format!("unknown timeout `{}` in the `log-forward` section", word.value);
        return crate::parse::fail_with_help(word.span, message, "there is `timeout client`");
    }
    let time = arguments.duration()?;
    // As HAProxy: 0 is no timeout.
    draft.forward.timeout_client = (!time.is_zero()).then_some(time);
    Ok(())
}
