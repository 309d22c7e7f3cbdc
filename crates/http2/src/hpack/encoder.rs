//! Fields into header blocks. Names and values of the static table go out as numbers, all else as it is: like HAProxy and
//! nginx this keeps no table of the connection, so that an idle one costs no memory and secrets of one client are never
//! compressed against another's words (RFC 7541 §7.1).

use super::{integer, static_table};
use crate::text;

/// A byte that a field may not have over HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsendable;

/// First bytes of representations (RFC 7541 §6.1, §6.2).
const INDEXED: u8 = 0x80;
const WITHOUT_INDEXING: u8 = 0x00;
const NEVER_INDEXED: u8 = 0x10;

/// Says that the table is not used, as must be where the peer shrinks it (RFC 7541 §4.2).
const EMPTY_TABLE: u8 = 0x20;

/// Appends the announcement that no table is kept.
pub fn announce_empty_table(out: &mut Vec<u8>) {
    out.push(EMPTY_TABLE);
}

/// Appends `:status`.
pub fn status(status: u16, out: &mut Vec<u8>) {
    let index = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            let digit = |value: u16| b'0' + (value % 10) as u8;
            out.extend_from_slice(&[8, 3, digit(status / 100), digit(status / 10), digit(status)]);
            return;
        }
    };
    out.push(INDEXED | index);
}

/// Appends a field, its name in lower case. On an error `out` has part of it.
///
/// # Errors
/// The name is no token, or the value has a control byte.
pub fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Unsendable> {
    /// Longer names are in no table.
    const KNOWN_LEN_MAX: usize = 32;
    if !text::is_value(value) {
        return Err(Unsendable);
    }
    let mut lower = [0; KNOWN_LEN_MAX];
    let known = match lower.get_mut(..name.len()) {
        Some(lower) => {
            for (to, from) in lower.iter_mut().zip(name) {
                *to = text::lower(*from);
            }
            static_table::index_of(lower)
        }
        None => None,
    };
    match known {
        Some(index) => known_name(index, value, out),
        None => {
            out.push(WITHOUT_INDEXING);
            integer::encode(name.len(), 7, 0, out);
            let start = out.len();
            out.extend(name.iter().map(|byte| text::lower(*byte)));
            if name.is_empty() || out[start..].contains(&0) {
                return Err(Unsendable);
            }
            string(value, out);
        }
    }
    Ok(())
}

/// Appends a pseudo-header field of a request, whose value was judged before.
pub fn pseudo(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    match static_table::index_of(name) {
        Some(index) => known_name(index, value, out),
        None => {
            out.push(WITHOUT_INDEXING);
            string(name, out);
            string(value, out);
        }
    }
}

/// A field whose name is in the static table; its value perhaps, too.
fn known_name(index: usize, value: &[u8], out: &mut Vec<u8>) {
    let (name, _) = static_table::ENTRIES[index - 1];
    let same = static_table::ENTRIES[index - 1..].iter().take_while(|(other, _)| *other == name);
    let whole =
        (!value.is_empty()).then(|| same.map(|entry| entry.1).position(|known| known == value)).flatten();
    if let Some(offset) = whole {
        integer::encode(index + offset, 7, INDEXED, out);
        return;
    }
    // What is secret is to stay out of the tables of those behind us, too.
    let is_secret = matches!(name, b"authorization" | b"proxy-authorization" | b"cookie" | b"set-cookie");
    integer::encode(index, 4, if is_secret { NEVER_INDEXED } else { WITHOUT_INDEXING }, out);
    string(value, out);
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    integer::encode(bytes.len(), 7, 0, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;
    use crate::fields::{Fields, Pseudo};

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut block = Vec::new();
        let long = [b'v'; 300];
        let list: [(&[u8], &[u8]); 6] = [
            (b"Content-Type", b"text/html"),
            (b"X-Long", &long),
            (b"accept-encoding", b"gzip, deflate"),
            (b"set-cookie", b"a=b"),
            (b"x-empty", b""),
            (&[b'n'; 40], b"v"),
        ];
        announce_empty_table(&mut block);
        status(418, &mut block);
        for (name, value) in list {
            assert_eq!(field(name, value, &mut block), Ok(()));
        }
        let mut fields = Fields::default();
        assert_eq!(Decoder::default().decode(&block, usize::MAX, &mut fields), Ok(true));
        assert_eq!(fields.status(), Some(418));
        let wanted: Vec<_> =
            list.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
        let found: Vec<_> = fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn every_status_comes_back() {
        for number in 100..1000 {
            let (mut block, mut fields) = (Vec::new(), Fields::default());
            status(number, &mut block);
            assert_eq!(Decoder::default().decode(&block, 100, &mut fields), Ok(true));
            assert_eq!(fields.status(), Some(number));
        }
    }

    #[test]
    fn whole_entries_of_the_static_table_are_one_byte() {
        let (mut block, mut fields) = (Vec::new(), Fields::default());
        pseudo(b":method", b"POST", &mut block);
        pseudo(b":scheme", b"https", &mut block);
        pseudo(b":path", b"/", &mut block);
        assert_eq!(block, [0x83, 0x87, 0x84]);
        pseudo(b":protocol", b"websocket", &mut block);
        assert_eq!(Decoder::default().decode(&block, 1000, &mut fields), Ok(true));
        assert_eq!(fields.pseudo(Pseudo::Protocol), Some(&b"websocket"[..]));
    }

    #[test]
    fn bytes_that_would_break_the_next_message_are_not_sent() {
        for (name, value) in
            [(&b"x"[..], &b"a\r\nb"[..]), (b"x", b"\0"), (b"x y", b"1"), (b"", b"1"), (b"x:", b"1")]
        {
            assert_eq!(field(name, value, &mut Vec::new()), Err(Unsendable), "{name:?}");
        }
    }
}
