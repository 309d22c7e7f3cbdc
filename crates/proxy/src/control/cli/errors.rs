//! `show errors`: the last messages that could not be understood.

use super::session::{Outcome, Reply, Session, word};
use crate::state::errors::{Capture, Way};
use rules::log_format::DateCache;
use rules::{Peer, ProxyId, WallTime};
use std::fmt::Write;
use std::time::Instant;

/// Printed width of one line of a message, and of its continuation.
const LINE_WIDTH: usize = 70;

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let state = session.state();
    let wanted = match (word(words, 2), word(words, 2).parse::<u32>()) {
        ("" | "-1", _) => None,
        (_, Ok(number)) => Some(number),
        (name, Err(_)) => {
            let found = session.find_proxy(name, |_| true).ok_or_else(|| Reply::error("No such proxy.\n"))?;
            Some(state.model.proxies[found.index()].uuid)
        }
    };
    let ways: &[Way] = match word(words, 3) {
        "request" => &[Way::Request],
        "response" => &[Way::Response],
        _ => &[Way::Request, Way::Response],
    };
    let mut dates = DateCache::new(session.shared().logs.zone.clone());
    let now = state.clock.wall(Instant::now());
    let mut out =
        format!("Total events captured on [{}] : {}\n", date(&mut dates, now), state.captures.total());
    for proxy in state.model.proxies.iter().filter(|proxy| wanted.is_none_or(|number| proxy.uuid == number)) {
        for &way in ways {
            if let Some(capture) = state.captures.last(proxy.id, way) {
                describe(session, &capture, &mut dates, &mut out);
            }
        }
    }
    Ok(Reply::Dump(out))
}

fn date(dates: &mut DateCache, wall: WallTime) -> String {
    let mut bytes = Vec::new();
    dates.put_local_ms(wall, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn describe(session: &Session, capture: &Capture, dates: &mut DateCache, out: &mut String) {
    let state = session.state();
    let proxy = |id: ProxyId| {
        let proxy = &state.model.proxies[id.index()];
        format!("{} (#{})", proxy.name, proxy.uuid)
    };
    let server = capture.server.map_or_else(
        || "<NONE> (#-1)".to_owned(),
        |id| {
            let server = state.server(id);
            format!("{} (#{})", server.name(), server.settings.puid)
        },
    );
    let src = match capture.src {
        Some(Peer::Inet(address)) => address.to_string(),
        Some(Peer::Unix) | None => "unix".to_owned(),
    };
    let when = date(dates, capture.when);
    let number = capture.number;
    let _ = match (capture.way, capture.server) {
        (Way::Response, Some(id)) => write!(
            out,
            " \n[{when}] backend {}: invalid response\n  frontend {}, server {server}, event #{number}, src {src}\n",
            proxy(id.proxy),
            proxy(capture.frontend),
        ),
        (Way::Request, _) | (Way::Response, None) => write!(
            out,
            " \n[{when}] frontend {}: invalid request\n  backend <NONE> (#-1), server {server}, event #{number}, \
             src {src}\n",
            proxy(capture.frontend),
        ),
    };
    let _ = write!(
        out,
        "  len {}, error at position {} :\n \n",
        capture.bytes.len(),
        capture.position.min(capture.bytes.len()),
    );
    dump(&capture.bytes, out);
}

/// The bytes line by line with their offsets; a `+` marks the rest of a long line.
fn dump(bytes: &[u8], out: &mut String) {
    let mut at = 0;
    let mut continues = false;
    while at < bytes.len() {
        let _ = write!(out, "  {at:05}{} ", if continues { '+' } else { ' ' });
        let mut width = 0;
        continues = false;
        while let Some(&byte) = bytes.get(at) {
            let shown = escape(byte);
            if width + shown.len() > LINE_WIDTH {
                continues = true;
                break;
            }
            out.push_str(&shown);
            width += shown.len();
            at += 1;
            if byte == b'\n' {
                break;
            }
        }
        out.push('\n');
    }
}

fn escape(byte: u8) -> String {
    match byte {
        b'\r' => "\\r".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\t' => "\\t".to_owned(),
        0x1b => "\\e".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        other => format!("\\x{other:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_dumped_line_by_line() {
        let mut out = String::new();
        dump(b"GET / HTTP/1.1\r\nA: \x01\\\r\n\r\nrest", &mut out);
        assert_eq!(
            out,
            "  00000  GET / HTTP/1.1\\r\\n\n  00016  A: \\x01\\\\\\r\\n\n  00023  \\r\\n\n  00025  rest\n"
        );
        out.clear();
        dump(&[b'a'; 100], &mut out);
        assert_eq!(out, format!("  00000  {}\n  00070+ {}\n", "a".repeat(70), "a".repeat(30)));
    }
}
