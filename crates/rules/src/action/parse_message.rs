//! One small function for each action that works on an HTTP message or answers it.

use super::keywords::Parsed;
use super::normalize::Normalizer;
use super::parse::Line;
use super::{Edit, HttpAction, NameMatch, Redirect, RedirectTarget, Reply, ReplyBody, Ruleset};
use crate::log_format::Dialect;
use crate::units::{parse_size, parse_time};
use crate::{LoadError, LogFormat, Regex, Word};
use std::time::Duration;

type Result<T = Parsed> = std::result::Result<T, LoadError>;

/// Statuses that have an error message of their own.
const ERROR_STATUSES: [u16; 20] =
    [200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 421, 422, 425, 429, 500, 501, 502, 503, 504];
/// Fields that a reply sets itself.
const REPLY_FIELDS: [&[u8]; 4] = [b"connection", b"content-length", b"content-type", b"transfer-encoding"];
/// Largest body that a rule may return, in bytes.
const BODY_LEN_MAX: usize = 1 << 20;

fn edit(edit: Edit) -> Result {
    Ok(Parsed::Http(HttpAction::Edit(edit)))
}

pub(super) fn allow(_: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Http(HttpAction::Allow))
}

pub(super) fn add_header(line: &mut Line<'_, '_, '_>) -> Result {
    let name = line.header_name()?;
    edit(Edit::AddHeader { name, value: line.format("a value", Dialect::MESSAGE)? })
}

pub(super) fn set_header(line: &mut Line<'_, '_, '_>) -> Result {
    let name = line.header_name()?;
    edit(Edit::SetHeader { name, value: line.format("a value", Dialect::MESSAGE)? })
}

pub(super) fn early_hint(line: &mut Line<'_, '_, '_>) -> Result {
    let name = line.header_name()?;
    Ok(Parsed::Http(HttpAction::EarlyHint { name, value: line.format("a value", Dialect::MESSAGE)? }))
}

pub(super) fn del_header(line: &mut Line<'_, '_, '_>) -> Result {
    let name = line.word("a header name")?;
    if !line.accept("-m") {
        return edit(Edit::DelHeader(NameMatch::Exact(name.text.into())));
    }
    let (word, method) = line.text("a matching method")?;
    edit(Edit::DelHeader(match method {
        "str" => NameMatch::Exact(name.text.into()),
        "beg" => NameMatch::Begins(name.text.into()),
        "end" => NameMatch::Ends(name.text.into()),
        "sub" => NameMatch::Contains(name.text.into()),
        "reg" => NameMatch::Regex(Regex::new(name.text, false).map_err(|text| line.error(name.span, text))?),
        other => {
            let message = format!("unknown matching method '{other}': it must be str, beg, end, sub or reg");
            return Err(line.error(word.span, message));
        }
    }))
}

fn regex_and_format(line: &mut Line<'_, '_, '_>) -> Result<(Regex, LogFormat)> {
    Ok((line.regex()?, line.format("a replacement", Dialect::MESSAGE)?))
}

pub(super) fn replace_header(line: &mut Line<'_, '_, '_>) -> Result {
    let name = line.header_name()?;
    let (regex, value) = regex_and_format(line)?;
    edit(Edit::ReplaceHeader { name, regex, value })
}

pub(super) fn replace_value(line: &mut Line<'_, '_, '_>) -> Result {
    let name = line.header_name()?;
    let (regex, value) = regex_and_format(line)?;
    edit(Edit::ReplaceValue { name, regex, value })
}

pub(super) fn replace_path(line: &mut Line<'_, '_, '_>) -> Result {
    let (regex, value) = regex_and_format(line)?;
    edit(Edit::ReplacePath { regex, value })
}

pub(super) fn replace_path_query(line: &mut Line<'_, '_, '_>) -> Result {
    let (regex, value) = regex_and_format(line)?;
    edit(Edit::ReplacePathQuery { regex, value })
}

pub(super) fn replace_uri(line: &mut Line<'_, '_, '_>) -> Result {
    let (regex, value) = regex_and_format(line)?;
    edit(Edit::ReplaceUri { regex, value })
}

pub(super) fn set_method(line: &mut Line<'_, '_, '_>) -> Result {
    edit(Edit::SetMethod(line.format("a method", Dialect::MESSAGE)?))
}

pub(super) fn set_path(line: &mut Line<'_, '_, '_>) -> Result {
    edit(Edit::SetPath(line.format("a path", Dialect::MESSAGE)?))
}

pub(super) fn set_path_query(line: &mut Line<'_, '_, '_>) -> Result {
    edit(Edit::SetPathQuery(line.format("a path", Dialect::MESSAGE)?))
}

pub(super) fn set_query(line: &mut Line<'_, '_, '_>) -> Result {
    edit(Edit::SetQuery(line.format("a query", Dialect::MESSAGE)?))
}

pub(super) fn set_uri(line: &mut Line<'_, '_, '_>) -> Result {
    edit(Edit::SetUri(line.format("a URI", Dialect::MESSAGE)?))
}

pub(super) fn set_status(line: &mut Line<'_, '_, '_>) -> Result {
    let status = line.number("a status", 100..=999)? as u16;
    let reason = match line.accept("reason") {
        true => Some(line.word("a reason")?.text.into()),
        false => None,
    };
    edit(Edit::SetStatus { status, reason })
}

pub(super) fn normalize_uri(line: &mut Line<'_, '_, '_>) -> Result {
    let (word, name) = line.text("a normalizer")?;
    let Some(normalizer) = Normalizer::from_name(name) else {
        let hint = crate::suggest(name, Normalizer::NAMES.iter().map(|row| row.0));
        return Err(line.error(word.span, format!("unknown normalizer '{name}'{hint}")));
    };
    let normalizer = match normalizer {
        Normalizer::PathStripDotDot { .. } => Normalizer::PathStripDotDot { full: line.accept("full") },
        Normalizer::PercentToUppercase { .. } => {
            Normalizer::PercentToUppercase { strict: line.accept("strict") }
        }
        Normalizer::PercentDecodeUnreserved { .. } => {
            Normalizer::PercentDecodeUnreserved { strict: line.accept("strict") }
        }
        other => other,
    };
    edit(Edit::Normalize(normalizer))
}

pub(super) fn disable_l7_retry(_: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Http(HttpAction::DisableL7Retry))
}

pub(super) fn wait_for_handshake(_: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Http(HttpAction::WaitForHandshake))
}

pub(super) fn strict_mode(line: &mut Line<'_, '_, '_>) -> Result {
    let (word, text) = line.text("'on' or 'off'")?;
    match text {
        "on" => Ok(Parsed::Http(HttpAction::StrictMode(true))),
        "off" => Ok(Parsed::Http(HttpAction::StrictMode(false))),
        other => Err(line.error(word.span, format!("strict-mode is 'on' or 'off', found '{other}'"))),
    }
}

pub(super) fn cache_use(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Http(HttpAction::CacheUse(line.text("the name of a cache")?.1.into())))
}

pub(super) fn cache_store(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Http(HttpAction::CacheStore(line.text("the name of a cache")?.1.into())))
}

pub(super) fn auth(line: &mut Line<'_, '_, '_>) -> Result {
    let realm = match line.accept("realm") {
        true => Some(line.word("a realm")?.text.into()),
        false => None,
    };
    Ok(Parsed::Http(HttpAction::Auth { realm }))
}

pub(super) fn wait_for_body(line: &mut Line<'_, '_, '_>) -> Result {
    let mut time = None;
    let mut at_least = None;
    while let Some(word) = line.option() {
        match word.text {
            b"time" => {
                let (word, text) = line.text("a time")?;
                let parsed = parse_time(text, Duration::from_millis(1))
                    .map_err(|error| line.error(word.span, format!("invalid time '{text}': {error}")))?;
                time = Some(parsed);
            }
            b"at-least" => {
                let (word, text) = line.text("a size")?;
                let parsed = parse_size(text)
                    .map_err(|error| line.error(word.span, format!("invalid size '{text}': {error}")))?;
                at_least = Some(u64::from(parsed));
            }
            other => {
                let shown = String::from_utf8_lossy(other);
                return Err(line.error(word.span, format!("'time' or 'at-least' expected, found '{shown}'")));
            }
        }
    }
    let time = time.ok_or_else(|| line.error(line.name.span, "'wait-for-body' needs 'time <time>'"))?;
    Ok(Parsed::Http(HttpAction::WaitForBody { time, at_least }))
}

pub(super) fn redirect(line: &mut Line<'_, '_, '_>) -> Result {
    let mut target = None;
    let mut rule = Redirect {
        target: RedirectTarget::Location(LogFormat::literal(b"")),
        code: 302,
        drop_query: false,
        append_slash: false,
        ignore_empty: false,
        cookie: None,
    };
    while let Some(word) = line.option() {
        match word.text {
            b"location" => target = Some(RedirectTarget::Location(location(line)?)),
            b"prefix" => target = Some(RedirectTarget::Prefix(location(line)?)),
            b"scheme" => target = Some(RedirectTarget::Scheme(location(line)?)),
            b"set-cookie" => {
                let cookie = line.word("a cookie")?;
                rule.cookie = Some([cookie.text, b"; path=/;"].concat().into());
            }
            b"clear-cookie" => {
                let cookie = line.word("a cookie")?;
                rule.cookie = Some([cookie.text, b"; path=/; Max-Age=0;"].concat().into());
            }
            b"code" => {
                let (word, text) = line.text("a status")?;
                rule.code = match text {
                    "301" => 301,
                    "302" => 302,
                    "303" => 303,
                    "307" => 307,
                    "308" => 308,
                    other => {
                        let message =
                            format!("unsupported code '{other}': it must be 301, 302, 303, 307 or 308");
                        return Err(line.error(word.span, message));
                    }
                };
            }
            b"drop-query" => rule.drop_query = true,
            b"append-slash" => rule.append_slash = true,
            b"ignore-empty" => rule.ignore_empty = true,
            other => {
                let shown = String::from_utf8_lossy(other);
                let known = [
                    "location",
                    "prefix",
                    "scheme",
                    "code",
                    "set-cookie",
                    "clear-cookie",
                    "drop-query",
                    "append-slash",
                    "ignore-empty",
                ];
                let hint = crate::suggest(&shown, known.into_iter());
                let known = known.join(", ");
                return Err(line.error(word.span, format!("'{shown}' is none of {known}{hint}")));
            }
        }
    }
    rule.target = target
        .ok_or_else(|| line.error(line.name.span, "'redirect' needs 'location', 'prefix' or 'scheme'"))?;
    Ok(Parsed::Http(HttpAction::Redirect(rule)))
}

fn location(line: &mut Line<'_, '_, '_>) -> Result<LogFormat> {
    line.format("where to redirect to", Dialect::MESSAGE)
}

pub(super) fn deny(line: &mut Line<'_, '_, '_>) -> Result {
    let status = if line.ruleset == Ruleset::HttpResponse { 502 } else { 403 };
    Ok(Parsed::Http(HttpAction::Deny(reply(line, status, true)?)))
}

pub(super) fn tarpit(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Http(HttpAction::Tarpit(reply(line, 500, true)?)))
}

pub(super) fn return_reply(line: &mut Line<'_, '_, '_>) -> Result {
    Ok(Parsed::Http(HttpAction::Return(reply(line, 200, false)?)))
}

/// Reads the options of a reply. Without any of them a denial sends the error message of its status, a `return` nothing.
fn reply(line: &mut Line<'_, '_, '_>, default_status: u16, is_denial: bool) -> Result<Reply> {
    let mut status = default_status;
    let mut body: Option<(Word<'_>, ReplyBody)> = None;
    let mut reply = Reply { status, body: ReplyBody::Empty, content_type: None, headers: Vec::new() };
    while let Some(word) = line.option() {
        let new_body = match word.text {
            b"status" => {
                status = line.number("a status", 200..=599)? as u16;
                continue;
            }
            b"deny_status" if is_denial => {
                status = line.number("a status", 200..=599)? as u16;
                continue;
            }
            b"content-type" => {
                reply.content_type = Some(line.word("a content type")?.text.into());
                continue;
            }
            b"hdr" => {
                let name = line.header_name()?.to_ascii_lowercase();
                let value = line.format("a value", Dialect::MESSAGE)?;
                if REPLY_FIELDS.contains(&&*name) {
                    let shown = String::from_utf8_lossy(&name);
                    let message = format!("header '{shown}' is left out: the reply sets it itself");
                    line.context.warnings.push(LoadError::new(word.span, message));
                    continue;
                }
                reply.headers.push((name.into(), value));
                continue;
            }
            b"default-errorfiles" => ReplyBody::ErrorMessage,
            b"errorfiles" => ReplyBody::ErrorFiles(line.text("the name of an http-errors section")?.1.into()),
            b"errorfile" => {
                let file = line.word("a file name")?;
                ReplyBody::Raw(read(line, file)?.into())
            }
            b"file" => {
                let file = line.word("a file name")?;
                ReplyBody::Bytes(read(line, file)?.into())
            }
            b"lf-file" => {
                let file = line.word("a file name")?;
                let text = read(line, file)?;
                // Places inside the file have no span of their own: the name stands for them.
                ReplyBody::Format(LogFormat::parse(
                    Word::new(&text, file.span),
                    Dialect::MESSAGE,
                    line.context,
                )?)
            }
            b"string" => ReplyBody::Bytes(line.word("a text")?.text.into()),
            b"lf-string" => ReplyBody::Format(line.format("a text", Dialect::MESSAGE)?),
            other => {
                let shown = String::from_utf8_lossy(other);
                let known = [
                    "status",
                    "content-type",
                    "errorfile",
                    "errorfiles",
                    "default-errorfiles",
                    "file",
                    "lf-file",
                    "string",
                    "lf-string",
                    "hdr",
                ];
                let hint = crate::suggest(&shown, known.into_iter());
                let known = known.join(", ");
                return Err(line.error(word.span, format!("'{shown}' is none of {known}{hint}")));
            }
        };
        if body.is_some() {
            return Err(line.error(word.span, "a reply has one body: this is the second"));
        }
        body = Some((word, new_body));
    }
    reply.status = status;
    let is_described = reply.content_type.is_some() || !reply.headers.is_empty();
    reply.body = match body {
        Some((word, body)) => {
            check_body(line, word, &body, &mut reply)?;
            body
        }
        None if is_denial && !is_described && ERROR_STATUSES.contains(&status) => ReplyBody::ErrorMessage,
        None => ReplyBody::Empty,
    };
    Ok(reply)
}

fn check_body(
    line: &mut Line<'_, '_, '_>,
    word: Word<'_>,
    body: &ReplyBody,
    reply: &mut Reply,
) -> Result<()> {
    let has_payload = match body {
        ReplyBody::Bytes(bytes) => !bytes.is_empty(),
        ReplyBody::Format(format) => format.as_literal() != Some(b""),
        ReplyBody::ErrorMessage if !ERROR_STATUSES.contains(&reply.status) => {
            let message = format!("there is no error message for status {}", reply.status);
            return Err(line.error(word.span, message));
        }
        ReplyBody::Empty | ReplyBody::ErrorMessage | ReplyBody::ErrorFiles(_) | ReplyBody::Raw(_) => {
            if reply.content_type.take().is_some() {
                let message = "'content-type' has no effect: the error message has its own".to_owned();
                line.context.warnings.push(LoadError::new(word.span, message));
            }
            if !reply.headers.is_empty() {
                reply.headers.clear();
                let message = "'hdr' has no effect: the error message has its own headers".to_owned();
                line.context.warnings.push(LoadError::new(word.span, message));
            }
            return Ok(());
        }
    };
    if has_payload && matches!(reply.status, 204 | 304) {
        return Err(line.error(word.span, format!("a response {} has no body", reply.status)));
    }
    if has_payload && reply.content_type.is_none() {
        return Err(line.error(word.span, "a body needs a 'content-type'"));
    }
    Ok(())
}

fn read(line: &mut Line<'_, '_, '_>, file: Word<'_>) -> Result<Vec<u8>> {
    let shown = String::from_utf8_lossy(file.text);
    let bytes = (line.context.read_file)(file.text)
        .map_err(|error| line.error(file.span, format!("unable to read '{shown}': {error}")))?;
    match bytes.len() {
        len if len > BODY_LEN_MAX => {
            Err(line
                .error(file.span, format!("'{shown}' has {len} bytes, at most {BODY_LEN_MAX} are possible")))
        }
        _ => Ok(bytes),
    }
}
