//! `errorfile`, `errorfiles`, `errorloc…`: what is sent instead of the built-in error messages.

use super::Draft;
use super::error_file::{self, Problem};
use super::table::InDefaults::Yes;
use super::table::Side::Both;
use super::table::{ProxyKeyword, entry};
use crate::keywords::Status::Works;
use crate::language::Word;
use crate::model::{ErrorContent, ErrorReply};
use crate::parse::{Arguments, Context, Outcome, fail, fail_with_help};
use std::sync::Arc;

pub(super) static KEYWORDS: &[ProxyKeyword] = &[
    entry("errorfile", Both, Yes, Works, errorfile, "file sent for a status"),
    entry("errorfiles", Both, Yes, Works, errorfiles, "files of an http-errors section"),
    entry("errorloc", Both, Yes, Works, errorloc302, "redirection (302) sent for a status"),
    entry("errorloc302", Both, Yes, Works, errorloc302, "redirection (302) sent for a status"),
    entry("errorloc303", Both, Yes, Works, errorloc303, "redirection (303) sent for a status"),
];

/// Statuses that have an error message to replace.
pub(crate) const STATUSES: [u16; 19] =
    [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504];

/// Bytes an error file may have: it must fit a buffer.
const FILE_LENGTH_MAX: usize = 1 << 20;

/// Whether a status has an error message.
pub(crate) fn is_error_status(status: u16) -> bool {
    STATUSES.contains(&status)
}

/// The next word as a status that has an error message.
pub(crate) fn status(arguments: &mut Arguments<'_>) -> Outcome<u16> {
    let word = arguments.expect("a status")?;
    match word.value.parse::<u16>() {
        Ok(status) if is_error_status(status) => Ok(status),
        _ => {
            let known: Vec<String> = STATUSES.iter().map(ToString::to_string).collect();
            let message = format!("status `{}` has no error message", word.value);
            fail_with_help(word.span, message, format!("use one of {}", known.join(", ")))
        }
    }
}

/// Reads an error file: a whole response. A file that is only a page gets a head, with a warning.
pub(crate) fn read_file(word: &Word, status: u16, context: &mut Context<'_>) -> Outcome<Arc<[u8]>> {
    let path = context.path(&word.value);
    let bytes = match crate::files::read_at_most(&path, FILE_LENGTH_MAX + 1) {
        Ok(bytes) => bytes,
        Err(error) => return fail(word.span, format!("cannot read `{}`: {error}", path.display())),
    };
    if bytes.len() > FILE_LENGTH_MAX {
        return fail(word.span, format!("`{}` is larger than {FILE_LENGTH_MAX} bytes", path.display()));
    }
    match error_file::normalize(&bytes) {
        Ok(response) => return Ok(response.into()),
        Err(Problem::Broken(message)) => return fail(word.span, format!("`{}`: {message}", path.display())),
        Err(Problem::NotAResponse) => {}
    }
    context.report.push(
        diag::Diagnostic::warning(
            word.span,
            format!("`{}` is a page and not a whole response: a head is added", path.display()),
        )
        .with_help("start the file with a status line such as `HTTP/1.1 503 Service Unavailable` and headers, or use `http-error`"),
    );
    Ok(with_head(status, &bytes))
}

/// A response around a page.
fn with_head(status: u16, page: &[u8]) -> Arc<[u8]> {
    let reason = http::status::reason(status);
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html\r\n\r\n",
        page.len()
    );
    let mut whole = head.into_bytes();
    whole.extend_from_slice(page);
    whole.into()
}

/// Sets the reply of a status; the last line counts.
pub(crate) fn set(errors: &mut Vec<ErrorReply>, reply: ErrorReply) {
    errors.retain(|known| known.status != reply.status);
    errors.push(reply);
}

fn errorfile(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let status = status(arguments)?;
    let word = arguments.expect("a file")?;
    let content = ErrorContent::Raw(read_file(word, status, context)?);
    set(&mut draft.proxy.errors, ErrorReply { status, content });
    Ok(())
}

fn errorfiles(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let section = arguments.expect("the name of an http-errors section")?;
    let Some(index) = context.names.other(crate::language::SectionKind::HttpErrors, &section.value) else {
        return fail(section.span, format!("there is no http-errors section `{}`", section.value));
    };
    let mut wanted = Vec::new();
    while arguments.peek().is_some() {
        wanted.push(status(arguments)?);
    }
    draft.error_sections.push((index, wanted));
    Ok(())
}

fn errorloc(
    draft: &mut Draft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
    code: u16,
) -> Outcome {
    let status = status(arguments)?;
    let location = arguments.expect("a URL")?.value.clone();
    if let Some(extra) = arguments.peek() {
        context.warn(extra.span, format!("`{}` after the URL is ignored", extra.value));
        arguments.rest();
    }
    set(
        &mut draft.proxy.errors,
        ErrorReply { status, content: ErrorContent::Redirect { status: code, location } },
    );
    Ok(())
}

fn errorloc302(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    errorloc(draft, arguments, context, 302)
}

fn errorloc303(draft: &mut Draft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    errorloc(draft, arguments, context, 303)
}
