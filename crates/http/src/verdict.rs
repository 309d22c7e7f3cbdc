//! What a whole head must satisfy beyond its grammar: framing and host, as HAProxy 2.6 judges them.
//! Owns no state; removes what HAProxy removes.

use crate::error::{ErrorKind, ParseError};
use crate::head::{Head, Refused};
use crate::kind::FieldKind;

/// Judges the fields of framing of a received head, and drops the ones that must not be sent on.
pub(crate) fn judge(head: &mut Head) -> Result<(), ParseError> {
    let framing = FieldKind::ContentLength.bit() | FieldKind::TransferEncoding.bit() | FieldKind::Host.bit();
    if head.kinds & framing == 0 {
        return Ok(());
    }
    let mut body = head.body;
    let mut repeated = false;
    for field in &head.fields {
        let verdict = match field.kind {
            FieldKind::ContentLength => body.take_length(head.value_of(field)).map(|new| repeated |= !new),
            FieldKind::TransferEncoding => body.take_coding(head.value_of(field)),
            _ => Ok(()),
        };
        if let Err(refused) = verdict {
            let kind = match refused {
                Refused::Length => ErrorKind::ContentLength,
                Refused::Conflict => ErrorKind::ContentLengthConflict,
                Refused::Coding => ErrorKind::TransferEncoding,
            };
            return Err(ParseError { offset: field.value as usize, kind });
        }
    }
    if body.coded && body.length.is_some() {
        body.length = None;
        body.must_close = true;
        head.remove_kind(FieldKind::ContentLength);
    } else if repeated {
        let mut first = true;
        head.retain(|kind, _, _| kind != FieldKind::ContentLength || std::mem::take(&mut first));
    }
    head.body = body;
    Ok(())
}
