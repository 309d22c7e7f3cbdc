//! What a whole head must satisfy beyond its grammar: framing, host and upgrade, as HAProxy 2.6 judges them.
//! Owns no state; takes out of the head what HAProxy does not send on.

use crate::error::{ErrorKind, ParseError};
use crate::head::{Body, Head, Refused, Side, Version};
use crate::kind::FieldKind;
use crate::method::Method;
use crate::{authority, list::Values};

/// Kinds that a verdict depends on.
const JUDGED: u64 =
    FieldKind::ContentLength.bit() | FieldKind::TransferEncoding.bit() | FieldKind::Upgrade.bit();

fn refuse<T>(kind: ErrorKind, offset: u32) -> Result<T, ParseError> {
    Err(ParseError { offset: offset as usize, kind })
}

/// Judges a received head, and drops the fields that must not be sent on.
pub(crate) fn judge(head: &mut Head, accept_invalid: bool) -> Result<(), ParseError> {
    if head.kinds & JUDGED != 0 {
        framing(head)?;
    }
    match head.side {
        Side::Request => {
            host(head, accept_invalid)?;
            if head.kinds & FieldKind::Upgrade.bit() != 0 {
                upgrade(head)?;
            }
            if head.method_kind() == Method::Connect {
                head.remove_kind(FieldKind::ContentLength);
                head.body.length = None;
            }
        }
        Side::Response => {
            if matches!(head.status, 100..=199 | 204) && head.kinds & JUDGED != 0 {
                head.remove_kind(FieldKind::ContentLength);
                head.remove_kind(FieldKind::TransferEncoding);
                head.body = Body { must_close: head.body.must_close, ..Body::default() };
            }
        }
        Side::Trailers => {}
    }
    Ok(())
}

/// Lengths and codings: RFC 9112 §6.1 and §6.3.
fn framing(head: &mut Head) -> Result<(), ParseError> {
    let mut body = Body::default();
    let mut repeated = false;
    let mut list = None;
    let mut coding = 0;
    for (index, field) in head.fields.iter().enumerate() {
        let value = head.value_of(field);
        let verdict = match field.kind {
            FieldKind::ContentLength => body.take_length(value).map(|new| {
                repeated |= !new;
                if new && memchr::memchr(b',', value).is_some() {
                    list = Some(index);
                }
            }),
            FieldKind::TransferEncoding => {
                coding = field.value;
                body.take_coding(value)
            }
            _ => Ok(()),
        };
        if let Err(refused) = verdict {
            let kind = match refused {
                Refused::Length => ErrorKind::ContentLength,
                Refused::Conflict => ErrorKind::ContentLengthConflict,
                Refused::Coding => ErrorKind::TransferEncoding,
            };
            return refuse(kind, field.value);
        }
    }
    if body.coded && !body.chunked {
        return refuse(ErrorKind::TransferEncoding, coding);
    }
    if body.coded && body.other_coding {
        return refuse(ErrorKind::UnsupportedCoding, coding);
    }
    if let Some(index) = list {
        let last = Values::new(head.value_of(&head.fields[index])).last().unwrap_or_default().to_vec();
        head.store_value(index, &last);
    }
    if body.coded {
        // A length beside a coding is what smuggling is made of: the coding wins, and the connection ends here.
        body.must_close = body.length.take().is_some() || head.version == Version::Http10;
        head.remove_kind(FieldKind::ContentLength);
    } else if repeated {
        keep_first(head, FieldKind::ContentLength);
    }
    head.body = body;
    Ok(())
}

fn keep_first(head: &mut Head, wanted: FieldKind) {
    let mut first = true;
    head.retain(|kind, _, _| kind != wanted || std::mem::take(&mut first));
}

/// One host only, and the one that the URI names (RFC 9112 §3.2).
fn host(head: &mut Head, accept_invalid: bool) -> Result<(), ParseError> {
    let mut hosts = head.fields.iter().filter(|field| field.kind == FieldKind::Host);
    let first = hosts.next();
    let mut repeated = false;
    if let Some(first) = first {
        for other in hosts {
            if !head.value_of(other).eq_ignore_ascii_case(head.value_of(first)) {
                return refuse(ErrorKind::Host, other.value);
            }
            repeated = true;
        }
    }
    let plain = matches!(head.uri().first(), Some(b'/')) && head.method_kind() != Method::Connect;
    if !plain {
        let offset = head.line.start + head.line.method_len + 1;
        let host = first.map(|field| head.value_of(field));
        match authority::agree(head.method_kind(), head.uri(), host) {
            authority::Agreement::Yes => {}
            authority::Agreement::DefaultPort(port) => authority::normalize(head, port),
            authority::Agreement::No if accept_invalid => {}
            authority::Agreement::No => return refuse(ErrorKind::Host, offset),
        }
    }
    if repeated {
        keep_first(head, FieldKind::Host);
    }
    Ok(())
}

fn upgrade(head: &mut Head) -> Result<(), ParseError> {
    let keyed = head.get_kind(FieldKind::WebSocketKey).is_some_and(|key| !key.is_empty());
    if !keyed && head.upgrades_to_websocket() {
        let offset =
            head.fields.iter().find(|field| field.kind == FieldKind::Upgrade).map_or(0, |field| field.value);
        return refuse(ErrorKind::Upgrade, offset);
    }
    // A switch in the middle of a body has no defined place (HAProxy does not offer it to the server).
    let has_body = head.body.chunked || head.body.length.is_some_and(|length| length > 0);
    if has_body && head.connection().upgrade {
        head.remove_kind(FieldKind::Upgrade);
    }
    Ok(())
}
