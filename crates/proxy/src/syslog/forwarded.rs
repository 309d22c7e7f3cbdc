//! The header of a message that is sent on: what its sender said, in the format of the target.

use super::frame::DateCache;
use super::received::{Date, Received};
use haproxy_config::model::LogFormatKind;

/// Digits of a priority at most; of larger ones HAProxy writes the last.
const PRIORITY_MODULUS: u32 = 1000;

/// Appends everything before the text. `facility`, `min_level`: of the `log` line.
pub fn header(
    kind: LogFormatKind,
    facility: u8,
    min_level: u8,
    received: &Received<'_>,
    now: &DateCache,
    out: &mut Vec<u8>,
) {
    use LogFormatKind::{Iso, Local, Priority, Raw, Rfc3164, Rfc5424, Short, Timed, Unspecified};
    let level = received.level().unwrap_or(0).max(min_level);
    let facility = received.facility().unwrap_or(i32::from(facility));
    let kind = match kind {
        Unspecified => as_received(received),
        named => named,
    };
    match kind {
        Local | Rfc3164 | Rfc5424 | Priority => write_priority(facility, level, out),
        // Neither has a facility.
        Short | Timed => out.extend_from_slice(&[b'<', b'0' + level, b'>']),
        Iso | Raw | Unspecified => {}
    }
    match kind {
        Local | Rfc3164 => {
            legacy_date(received.date, now, out);
            if kind == Rfc3164 {
                word(received.host, b"localhost", out);
            }
            if !received.tag.is_empty() {
                out.extend_from_slice(received.tag);
                if !received.pid.is_empty() {
                    out.push(b'[');
                    out.extend_from_slice(received.pid);
                    out.push(b']');
                }
                out.extend_from_slice(b": ");
            }
        }
        Rfc5424 => {
            out.extend_from_slice(b"1 ");
            match received.date {
                Date::Nil => out.extend_from_slice(b"- "),
                date => iso_date(date, now, out),
            }
            let Received { host, tag, pid, message_id, structured_data, .. } = *received;
            [host, tag, pid, message_id, structured_data].iter().for_each(|part| word(part, b"-", out));
        }
        Timed | Iso => iso_date(received.date, now, out),
        Priority | Short | Raw | Unspecified => {}
    }
}

/// The format that a message without one keeps.
fn as_received(received: &Received<'_>) -> LogFormatKind {
    let is_modern = matches!(received.date, Date::Iso(_) | Date::Nil);
    match received {
        Received { host: [_, ..], .. } if is_modern => LogFormatKind::Rfc5424,
        Received { host: [_, ..], .. } => LogFormatKind::Rfc3164,
        Received { tag: [_, ..], .. } => LogFormatKind::Local,
        Received { priority: Some(_), .. } => LogFormatKind::Priority,
        _ => LogFormatKind::Raw,
    }
}

fn write_priority(facility: i32, level: u8, out: &mut Vec<u8>) {
    let priority = facility.wrapping_mul(8).wrapping_add(i32::from(level)) as u32;
    let text = if priority < PRIORITY_MODULUS {
        format!("<{priority}>")
    } else {
        format!("<{:03}>", priority % PRIORITY_MODULUS)
    };
    out.extend_from_slice(text.as_bytes());
}

fn word(part: &[u8], otherwise: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(if part.is_empty() { otherwise } else { part });
    out.push(b' ');
}

/// RFC 3164's date and a blank.
fn legacy_date(date: Date<'_>, now: &DateCache, out: &mut Vec<u8>) {
    match date {
        Date::Legacy(text, _) => out.extend_from_slice(text),
        Date::Iso(text) => match legacy_of_iso(text) {
            Some(text) => out.extend_from_slice(&text),
            None => return out.extend_from_slice(now.short()),
        },
        Date::None | Date::Nil => return out.extend_from_slice(now.short()),
    }
    out.push(b' ');
}

/// `yyyy-mm-ddThh:mm:ss…` as `Mmm dd hh:mm:ss`; `None`: there is no such month.
fn legacy_of_iso(text: &[u8]) -> Option<[u8; 15]> {
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    let month = digit(text[5]) * 10 + digit(text[6]);
    let name = super::frame::MONTHS.get(month.saturating_sub(1))?;
    let mut out = [b' '; 15];
    out[..3].copy_from_slice(name.as_bytes());
    out[4..6].copy_from_slice(&text[8..10]);
    if out[4] == b'0' {
        out[4] = b' ';
    }
    out[7..].copy_from_slice(&text[11..19]);
    Some(out)
}

/// RFC 5424's date and a blank. Dates of RFC 3164 have no year and no zone: it is this year, somewhere.
fn iso_date(date: Date<'_>, now: &DateCache, out: &mut Vec<u8>) {
    match date {
        Date::Iso(text) => out.extend_from_slice(text),
        Date::Legacy(text, month) => {
            out.extend_from_slice(&now.iso()[..4]);
            out.extend_from_slice(format!("-{month:02}-").as_bytes());
            out.push(if text[4] == b' ' { b'0' } else { text[4] });
            out.push(text[5]);
            out.push(b'T');
            out.extend_from_slice(&text[7..]);
            out.extend_from_slice(b"-00:00");
        }
        Date::None | Date::Nil => return out.extend_from_slice(now.iso()),
    }
    out.push(b' ');
}
