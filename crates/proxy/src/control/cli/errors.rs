//! `show errors`: the last invalid request and response of each proxy, byte by byte.

use super::session::{Outcome, Reply, Session, word};
use crate::state::State;
use crate::state::errors::{Capture, Way};
use http::ErrorKind;
use rules::log_format::DateCache;
use rules::{Peer, ProxyId, WallTime};
use std::fmt::Write;
use std::time::Instant;

/// Columns of a line of the dump.
const LINE_COLUMNS: usize = 80;

/// What HAProxy's buffers reserve at their end.
const BUFFER_RESERVE: usize = 48;

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let name = word(words, 2);
    // A name, or a number; a negative number is everybody.
    let wanted = match session.find_proxy(name, |_| true) {
        Some(id) => Some(session.state().model.proxies[id.index()].uuid),
        None if name.is_empty() => None,
        None => match name.parse::<i64>().unwrap_or(0) {
            0 => return Err(Reply::error("No such proxy.\n")),
            number => u32::try_from(number).ok(),
        },
    };
    let ways = match word(words, 3) {
        "request" => &[Way::Request][..],
        "response" => &[Way::Response],
        _ => &[Way::Request, Way::Response],
    };
    let state = session.state();
    let mut dump =
        Dump { state, dates: DateCache::new(session.shared().logs.zone.clone()), out: String::new() };
    let now = dump.date(state.clock.wall(Instant::now()));
    let total = state.captures.total();
    let _ = writeln!(dump.out, "Total events captured on [{now}] : {total}");
    for proxy in &state.model.proxies {
        for capture in ways.iter().filter_map(|way| state.captures.last(proxy.id, *way)) {
            // Responses are also the business of the frontend whose client they were for.
            let other = state.model.proxies[capture.frontend.index()].uuid;
            if wanted.is_none_or(|wanted| wanted == proxy.uuid || wanted == other) {
                dump.capture(proxy.id, &capture);
            }
        }
    }
    Ok(Reply::Dump(dump.out))
}

struct Dump<'a> {
    state: &'a State,
    dates: DateCache,
    out: String,
}

impl Dump<'_> {
    fn date(&mut self, wall: WallTime) -> String {
        let mut bytes = Vec::new();
        self.dates.put_local_ms(wall, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn proxy(&self, id: ProxyId) -> (&str, u32) {
        let proxy = &self.state.model.proxies[id.index()];
        (&proxy.name, proxy.uuid)
    }

    fn capture(&mut self, id: ProxyId, message: &Capture) {
        let date = self.date(message.when);
        let (name, number) = self.proxy(id);
        let (kind, other) = match message.way {
            Way::Request => {
                (format!("frontend {name} (#{number}): invalid request"), "backend <NONE> (#-1)".to_owned())
            }
            Way::Response => {
                let (front, front_number) = self.proxy(message.frontend);
                (
                    format!("backend {name} (#{number}): invalid response"),
                    format!("frontend {front} (#{front_number})"),
                )
            }
        };
        let server = message.server.map_or_else(
            || "<NONE> (#-1)".to_owned(),
            |id| {
                let server = self.state.server(id);
                format!("{} (#{})", server.name(), server.settings.puid)
            },
        );
        let source = match message.src {
            Some(Peer::Inet(address)) => format!("{}:{}", address.ip(), address.port()),
            Some(Peer::Unix) | None => "unix:1".to_owned(),
        };
        let bufsize = self.state.model.global.tune.bufsize;
        // The flags are HAProxy's own inner state: these are theirs for a message that was refused at once. One bit says
        // that the first line was read.
        let too_long = if message.error.kind == ErrorKind::HeadTooLong { 0x20 } else { 0 };
        let first_line = match message.error.kind {
            ErrorKind::Method | ErrorKind::Uri | ErrorKind::Version | ErrorKind::Status => 0,
            ErrorKind::LineEnd
            | ErrorKind::FieldName
            | ErrorKind::FieldValue
            | ErrorKind::TooManyFields
            | ErrorKind::HeadTooLong
            | ErrorKind::ContentLength
            | ErrorKind::ContentLengthConflict
            | ErrorKind::TransferEncoding
            | ErrorKind::UnsupportedCoding
            | ErrorKind::Upgrade
            | ErrorKind::Host
            | ErrorKind::ChunkSize
            | ErrorKind::ChunkEnd
            | ErrorKind::ChunkExtension
            | ErrorKind::Trailer => 0x10,
        };
        let (connection_flags, stream_flags, message_flags) = match message.way {
            Way::Request => (0x100 | too_long, 0x810, 0x1400 | first_line),
            Way::Response => (0x8000_2200_u32 | too_long, 0x4810, 0x1404 | first_line),
        };
        let (state, state_number) = parser_state(message);
        let _ = write!(
            self.out,
            " \n[{date}] {kind}\n  {other}, server {server}, event #{}, src {source}\n  \
             buffer starts at 0 (including 0 out), {} free,\n  \
             len {}, wraps at {}, error at position {}\n  \
             H1 connection flags 0x{connection_flags:08x}, H1 stream flags 0x{stream_flags:08x}\n  \
             H1 msg state {state}({state_number}), H1 msg flags 0x{message_flags:08x}\n  \
             H1 chunk len 0 bytes, H1 body len 0 bytes :\n  \n",
            message.number,
            bufsize.saturating_sub(message.bytes.len()),
            message.bytes.len(),
            bufsize.saturating_sub(BUFFER_RESERVE),
            message.error.offset,
        );
        put_bytes(&message.bytes, &mut self.out);
    }
}

/// Where HAProxy's parser stands when it refuses a message for this reason.
fn parser_state(message: &Capture) -> (&'static str, u8) {
    match message.error.kind {
        ErrorKind::Method if message.error.offset == 0 => ("MSG_RQBEFORE", 0),
        ErrorKind::Method => ("MSG_RQMETH", 2),
        ErrorKind::Uri => ("MSG_RQURI", 4),
        ErrorKind::Version => match message.way {
            Way::Request => ("MSG_RQVER", 6),
            Way::Response => ("MSG_RPVER", 10),
        },
        ErrorKind::Status => ("MSG_RPCODE", 12),
        ErrorKind::LineEnd => ("MSG_HDR_L2_LF", 23),
        ErrorKind::FieldName | ErrorKind::Trailer => ("MSG_HDR_NAME", 17),
        ErrorKind::FieldValue | ErrorKind::HeadTooLong => ("MSG_HDR_VAL", 22),
        ErrorKind::TooManyFields
        | ErrorKind::ContentLength
        | ErrorKind::ContentLengthConflict
        | ErrorKind::TransferEncoding
        | ErrorKind::UnsupportedCoding => ("MSG_HDR_L2_LWS", 24),
        ErrorKind::Upgrade | ErrorKind::Host => ("MSG_LAST_LF", 25),
        ErrorKind::ChunkSize | ErrorKind::ChunkExtension => ("MSG_CHUNK_SIZE", 26),
        ErrorKind::ChunkEnd => ("MSG_CHUNK_CRLF", 28),
    }
}

/// Writes `bytes` in lines of the message, long ones in several, with offsets and escapes.
fn put_bytes(bytes: &[u8], out: &mut String) {
    let mut at = 0;
    let mut line_start = 0;
    while at < bytes.len() {
        let begin = out.len();
        let _ = write!(out, "  {at:05}{} ", if at == line_start { ' ' } else { '+' });
        while let Some(&byte) = bytes.get(at) {
            let escaped = escape(byte);
            if out.len() - begin + escaped.len() >= LINE_COLUMNS {
                break;
            }
            out.push_str(&escaped);
            at += 1;
            if byte == b'\n' {
                line_start = at;
                break;
            }
        }
        out.push('\n');
    }
}

fn escape(byte: u8) -> String {
    match byte {
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        b'\n' => "\\n".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'\r' => "\\r".to_owned(),
        0x1b => "\\e".to_owned(),
        _ => format!("\\x{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_dumped_by_line_with_what_cannot_be_printed_escaped() {
        let mut out = String::new();
        put_bytes(b"GET /\xe9\x01 HTTP/1.1\r\nA: \\\x1b\t\r\n\r\nbody", &mut out);
        assert_eq!(
            out,
            "  00000  GET /\\xE9\\x01 HTTP/1.1\\r\\n\n  00018  A: \\\\\\e\\t\\r\\n\n  00026  \\r\\n\n  00028  body\n"
        );
    }

    #[test]
    fn long_lines_go_on_below_with_a_mark() {
        let mut out = String::new();
        put_bytes(&[b'z'; 100], &mut out);
        assert_eq!(out, format!("  00000  {}\n  00070+ {}\n", "z".repeat(70), "z".repeat(30)));
    }
}
