//! Replies that rules make: `return`, `deny`, `tarpit`, `auth`. Owns their bytes; the built-in and configured error
//! messages are the engine's, and so is whether the connection goes on.

use crate::log_format::LogContext;
use crate::{LogFormat, Scope};
use std::sync::Arc;

/// A reply as a rule describes it.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: ReplyBody,
    pub content_type: Option<Box<[u8]>>,
    /// Names in lower case.
    pub headers: Vec<(Box<[u8]>, LogFormat)>,
}

/// What a reply carries.
#[derive(Debug, Clone)]
pub enum ReplyBody {
    Empty,
    /// The error message of the status, as the sections configure it or as it is built in.
    ErrorMessage,
    /// The error message of the status in that `http-errors` section; the configuration replaces it by `Raw` or
    /// `Empty` once all sections are read.
    ErrorFiles(Box<str>),
    /// A whole message from a file, head and body; its own status counts.
    Raw(Arc<[u8]>),
    Bytes(Arc<[u8]>),
    Format(LogFormat),
}

/// What [`Reply::write`] gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The response was appended.
    Whole { status: u16, head_len: usize },
    /// Nothing was appended: send the error message of this status.
    ErrorMessage { status: u16 },
    /// Nothing was appended: send this message as error files are sent.
    Raw(Arc<[u8]>),
}

impl Reply {
    /// A reply with the error message of a status.
    pub fn error_message(status: u16) -> Reply {
        Reply { status, body: ReplyBody::ErrorMessage, content_type: None, headers: Vec::new() }
    }

    /// Appends the response; `connection` is the value of its `connection` field, if it needs one.
    pub fn write(
        &self,
        scope: &Scope<'_>,
        context: &mut LogContext,
        connection: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Written {
        let mut text = Vec::new();
        let body: &[u8] = match &self.body {
            ReplyBody::ErrorMessage => return Written::ErrorMessage { status: self.status },
            ReplyBody::Raw(message) => return Written::Raw(Arc::clone(message)),
            ReplyBody::Empty | ReplyBody::ErrorFiles(_) => b"",
            ReplyBody::Bytes(bytes) => bytes,
            ReplyBody::Format(format) => {
                format.write(scope, context, &mut text);
                &text
            }
        };
        let start = out.len();
        out.extend_from_slice(
            format!("HTTP/1.1 {} {}\r\n", self.status, http::status::reason(self.status)).as_bytes(),
        );
        for (name, value) in &self.headers {
            let line = out.len();
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            let value_start = out.len();
            value.write(scope, context, out);
            match http::is_field_value(&out[value_start..]) {
                true => out.extend_from_slice(b"\r\n"),
                // A line break would let the value write headers of its own.
                false => out.truncate(line),
            }
        }
        let mut field = |name: &[u8], value: &[u8]| {
            for part in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        };
        field(b"content-length", body.len().to_string().as_bytes());
        if let Some(content_type) = self.content_type.as_deref().filter(|_| !body.is_empty()) {
            field(b"content-type", content_type);
        }
        if let Some(connection) = connection {
            field(b"connection", connection);
        }
        out.extend_from_slice(b"\r\n");
        let head_len = out.len() - start;
        out.extend_from_slice(body);
        Written::Whole { status: self.status, head_len }
    }
}

/// Appends what `auth` answers: `message` (a 401 or 407 as error messages are written, head and body) with the
/// challenge as its last field before `connection`. `via_proxy`: the request was made to a proxy (absolute URI), so the
/// challenge is `proxy-authenticate`.
pub fn write_unauthorized(
    message: &[u8],
    realm: &[u8],
    via_proxy: bool,
    connection: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    let head_end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    out.extend_from_slice(&message[..head_end]);
    let challenge: &[u8] =
        if via_proxy { b"proxy-authenticate: Basic realm=\"" } else { b"www-authenticate: Basic realm=\"" };
    for part in [challenge, realm, b"\"\r\n"] {
        out.extend_from_slice(part);
    }
    if let Some(connection) = connection {
        for part in [b"connection: ", connection, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(&message[head_end..]);
}
