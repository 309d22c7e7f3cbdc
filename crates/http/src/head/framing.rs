//! How long the body is and whether the connection may be reused (RFC 9112 §6, §9). Owns what the fields of framing
//! said while they were parsed; never reads a body.

use super::{Head, Side, Version};
use crate::kind::FieldKind;
use crate::list::Values;
use crate::method::Method;

/// Where the body of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// That many bytes (may be 0).
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// Until the sender closes: responses, tunnels after 101 or `CONNECT`, and HTTP/2 requests that do not tell their
    /// length, which end with their stream.
    UntilClose,
}

/// What the fields of framing said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) length: Option<u64>,
    pub(crate) chunked: bool,
    /// A `Transfer-Encoding` was there.
    pub(crate) coded: bool,
    /// Another coding than `chunked` was there.
    pub(crate) other_coding: bool,
    /// The fields contradicted each other: the connection must not be reused after this message.
    pub(crate) must_close: bool,
    /// The message came in the frames of a stream: the stream's end is the end of the body, and it is not there yet.
    pub(crate) streamed: bool,
}

/// Why a list of lengths or codings was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Length,
    Conflict,
    Coding,
}

impl Body {
    /// Takes one `Content-Length` line. Returns whether the line says something new and must be kept.
    pub(crate) fn take_length(&mut self, line: &[u8]) -> Result<bool, Refused> {
        let first = self.length.is_none();
        for element in Values::new(line) {
            let length = decimal(element).ok_or(Refused::Length)?;
            if self.length.is_some_and(|known| known != length) {
                return Err(Refused::Conflict);
            }
            self.length = Some(length);
        }
        Ok(first)
    }

    /// Takes one `Transfer-Encoding` line. `chunked` may come once, and nothing behind it but one comma.
    pub(crate) fn take_coding(&mut self, line: &[u8]) -> Result<(), Refused> {
        self.coded = true;
        // An empty line has no element, and a comma at the very end opens none (but a lone comma is an empty one).
        let line = match line {
            [] => return Ok(()),
            [rest @ .., b','] if !rest.is_empty() => rest,
            all => all,
        };
        for element in Values::new(line) {
            if self.chunked {
                return Err(Refused::Coding);
            }
            self.chunked = element.eq_ignore_ascii_case(b"chunked");
            self.other_coding |= !self.chunked;
        }
        Ok(())
    }
}

/// Digits only, no sign, at most 2^63 − 1 (HAProxy's limit; it lets 2^64 − 1 and some above wrap, we do not).
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.wrapping_sub(b'0');
        let sum = if digit > 9 { return None } else { sum.checked_mul(10)?.checked_add(digit.into())? };
        (sum <= i64::MAX as u64).then_some(sum)
    })
}

impl Head {
    /// Framing of this request's body. A `CONNECT` has none: what follows belongs to the tunnel.
    pub fn request_framing(&self) -> Framing {
        let body = self.facts();
        match body {
            _ if self.method_kind() == Method::Connect => Framing::None,
            Body { chunked: true, .. } => Framing::Chunked,
            Body { length: Some(length), .. } => Framing::Length(length),
            Body { streamed: true, .. } => Framing::UntilClose,
            Body { .. } => Framing::None,
        }
    }

    /// Framing of this response's body, to a request of that method.
    pub fn response_framing(&self, request_method: Method) -> Framing {
        let body = self.facts();
        match (self.status, request_method) {
            (101, _) => Framing::UntilClose,
            (200..=299, Method::Connect) => Framing::UntilClose,
            (100..=199 | 204 | 304, _) | (_, Method::Head) => Framing::None,
            _ if body.chunked => Framing::Chunked,
            _ if body.coded => Framing::UntilClose,
            _ => body.length.map_or(Framing::UntilClose, Framing::Length),
        }
    }

    /// What the received fields said; for a message of our own, what its fields say now.
    fn facts(&self) -> Body {
        if self.cursor.is_done() {
            return self.body;
        }
        let mut body = Body { streamed: self.body.streamed, ..Body::default() };
        for (kind, _, value) in self.fields_with_kind() {
            // A message of our own with nonsense here keeps what could be read: it is our bug, not a peer's.
            if kind == FieldKind::ContentLength {
                let _ = body.take_length(value);
            } else if kind == FieldKind::TransferEncoding {
                let _ = body.take_coding(value);
            }
        }
        body
    }

    /// Whether the message's framing was contradictory (length and chunked, or chunked in HTTP/1.0), so that the
    /// connection it came on must close after it.
    pub fn must_close(&self) -> bool {
        self.body.must_close
    }

    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.version != Version::Http10
            && self.side == Side::Request
            && self
                .get_kind(FieldKind::Expect)
                .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }
}
