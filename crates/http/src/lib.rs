//! HTTP messages and their HTTP/1 wire form: bytes in, bytes out. Owns the message model ([`Head`]), the strict parser,
//! body framing, chunked coding, and the small formats that live in messages (cookies, dates, URLs, base64).
//! Never opens a socket, never reads a clock, never decides policy.

#![forbid(unsafe_code)]

mod authority;
pub mod base64;
mod chunk;
pub mod cookie;
pub mod date;
mod error;
pub mod fuzz;
mod head;
mod kind;
mod list;
mod method;
pub mod page;
mod parse;
pub mod query;
mod scan;
pub mod status;
pub mod url;
mod verdict;

pub use chunk::{ChunkDecoder, Step, write_chunk_header};
pub use error::{ErrorKind, ParseError};
pub use head::{ConnectionTokens, Framing, Head, NAME_LEN_MAX, RequestLine, Version};
pub use kind::FieldKind;
pub use list::Values;
pub use method::Method;
pub use parse::{HTTP2_PREFACE, Limits, Parsed, is_http2_preface, parse_request, parse_response};
pub use scan::{is_token, is_token_bytes, trim};

/// Whether `value` may be written as a field value: no CR, LF or NUL, which would end the line or the message.
pub fn is_field_value(value: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, value).is_none()
}
