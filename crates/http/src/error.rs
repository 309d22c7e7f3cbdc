//! Why a message was refused. Owns the closed list of reasons and the status that HAProxy answers for each.

use std::fmt;

/// Why a head or a chunked body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A byte that may not stand in a method, or none before the space.
    Method,
    /// A control or non-ASCII byte, or a fragment, in the URI.
    Uri,
    /// Not `HTTP/digit.digit`, or a major version that is not ours.
    Version,
    /// Not three digits.
    Status,
    /// A CR without LF behind it.
    LineEnd,
    /// A byte that may not stand in a field name, a space before the colon, or an empty name.
    FieldName,
    /// NUL or a control byte in a value.
    FieldValue,
    /// More fields than `Limits::max_fields`.
    TooManyFields,
    /// No end of the head within `Limits::max_head` bytes.
    HeadTooLong,
    /// A `Content-Length` that is no number, or too large a one.
    ContentLength,
    /// Several lengths that differ.
    ContentLengthConflict,
    /// A `Transfer-Encoding` where it may not stand, `chunked` twice or not last.
    TransferEncoding,
    /// `chunked` after another coding, which we could not undo.
    UnsupportedCoding,
    /// A switch to WebSocket without `Sec-WebSocket-Key`.
    Upgrade,
    /// Several `Host` that differ, or one that differs from the URI's authority.
    Host,
    /// A chunk size that is no hexadecimal number, or too large a one.
    ChunkSize,
    /// Something else than CR LF after a chunk's data or in its extension.
    ChunkEnd,
    /// A chunk extension longer than allowed.
    ChunkExtension,
    /// A bad trailer field, or trailers longer than allowed.
    Trailer,
}

impl ErrorKind {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Method => "invalid method",
            ErrorKind::Uri => "invalid character in URI",
            ErrorKind::Version => "invalid HTTP version",
            ErrorKind::Status => "invalid status code",
            ErrorKind::LineEnd => "CR not followed by LF",
            ErrorKind::FieldName => "invalid field name",
            ErrorKind::FieldValue => "invalid character in field value",
            ErrorKind::TooManyFields => "too many fields",
            ErrorKind::HeadTooLong => "head too long",
            ErrorKind::ContentLength => "invalid Content-Length",
            ErrorKind::ContentLengthConflict => "conflicting Content-Length values",
            ErrorKind::TransferEncoding => "invalid Transfer-Encoding",
            ErrorKind::UnsupportedCoding => "unsupported Transfer-Encoding",
            ErrorKind::Upgrade => "WebSocket upgrade without key",
            ErrorKind::Host => "conflicting Host or authority",
            ErrorKind::ChunkSize => "invalid chunk size",
            ErrorKind::ChunkEnd => "chunk not followed by CR LF",
            ErrorKind::ChunkExtension => "chunk extension too long",
            ErrorKind::Trailer => "invalid trailers",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused message: what, and at which byte (counted from the start of the message).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub offset: usize,
    pub kind: ErrorKind,
}

impl ParseError {
    /// Status to answer a client whose request was refused. (A refused response is always answered with 502.)
    pub fn status(&self) -> u16 {
        if self.kind == ErrorKind::UnsupportedCoding { 422 } else { 400 }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}", self.kind, self.offset)
    }
}

impl std::error::Error for ParseError {}
