//! `ring`: a buffer of messages that the runtime API shows.

use crate::keywords::Status::{ParsedOnly, Works};
use crate::keywords::{Keyword, row};
use crate::language::Section;
use crate::log;
use crate::model::{LogFormatKind, Ring};
use crate::parse::{Arguments, Context, Outcome, fail};
use crate::server::{self, ServerDraft};
use rules::ProxyId;

/// Smallest and largest `size`.
const SIZE_MIN: usize = 16_384;
const SIZE_MAX: u64 = 1 << 31;

pub(crate) struct Draft {
    ring: Ring,
    default_server: ServerDraft,
}

pub(super) static KEYWORDS: &[Keyword<Draft>] = &[
    row(
        "backing-file",
        ParsedOnly("the ring is kept in memory only"),
        backing_file,
        "file the ring lives in",
    ),
    row("description", Works, description, "a text"),
    row("format", Works, format, "how messages are written"),
    row("maxlen", Works, maxlen, "bytes of a message"),
    row("server", Works, server, "where messages are sent"),
    row("size", Works, size, "bytes of the ring"),
    row("timeout", Works, timeout, "waits: connect, server"),
];

pub(super) fn read(section: &Section, context: &mut Context<'_>) -> Ring {
    let ring = Ring {
        name: super::name(section, context),
        description: None,
        size: SIZE_MIN,
        max_length: 1024,
        format: LogFormatKind::Raw,
        backing_file: None,
        servers: Vec::new(),
        timeout_connect: None,
        timeout_server: None,
    };
    let default_server = ServerDraft::new(section.header.span, ProxyId(0));
    let mut draft = Draft { ring, default_server };
    super::read_lines(KEYWORDS, section, &mut draft, context);
    draft.ring
}

fn backing_file(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.ring.backing_file = Some(arguments.string()?.into());
    Ok(())
}

fn description(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let words: Vec<&str> = arguments.rest().iter().map(|word| word.value.as_str()).collect();
    draft.ring.description = Some(words.join(" "));
    Ok(())
}

fn format(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.ring.format = log::format(arguments)?;
    Ok(())
}

fn maxlen(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    draft.ring.max_length = arguments.positive()? as usize;
    Ok(())
}

fn size(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let size = arguments.size()?;
    let span = arguments.last().span;
    if size > SIZE_MAX {
        return fail(span, format!("a ring has {SIZE_MAX} bytes at most"));
    }
    if (size as usize) < SIZE_MIN {
        return fail(span, format!("a ring has at least {SIZE_MIN} bytes"));
    }
    draft.ring.size = size as usize;
    Ok(())
}

fn server(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let parsed = server::parse_server(&draft.default_server, arguments, context)?;
    if parsed.server.tls.is_some() {
        return fail(arguments.span(), "`ssl` is not implemented for servers of rings");
    }
    draft.ring.servers.push(parsed.server);
    Ok(())
}

fn timeout(draft: &mut Draft, arguments: &mut Arguments<'_>, _: &mut Context<'_>) -> Outcome {
    let is_connect = arguments.choice(&[("connect", true), ("server", false)])?;
    let time = Some(arguments.duration()?);
    if is_connect {
        draft.ring.timeout_connect = time;
    } else {
        draft.ring.timeout_server = time;
    }
    Ok(())
}
