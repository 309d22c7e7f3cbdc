//! A syslog message that was received, taken apart as HAProxy 2.6 does: RFC 5424, RFC 3164, or only a text. Bytes only.
//!
//! Whatever a sender says is a message: what follows no format is text, with the priority if there is one. Each rule here is
//! recorded from HAProxy, its slips included, so that what comes out is the same.

/// Bytes of `Mmm dd hh:mm:ss`.
const LEGACY_DATE_LENGTH: usize = 15;
/// More bytes than this must be there for a date of RFC 5424 to be looked for.
const ISO_DATE_LENGTH: usize = 20;
/// Bytes of `yyyy-mm-ddThh:mm:ss`.
const ISO_SECONDS_LENGTH: usize = 19;
/// Bytes of `+hh:mm`.
const ZONE_LENGTH: usize = 6;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// When the sender says that it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Date<'a> {
    #[default]
    None,
    /// RFC 5424's `-`.
    Nil,
    Iso(&'a [u8]),
    /// `Mmm dd hh:mm:ss`, with the number of the month, 1..=12.
    Legacy(&'a [u8; LEGACY_DATE_LENGTH], u8),
}

/// One message and what is known of it; empty parts were not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// `<PRI>`, as the number that HAProxy makes of it.
    pub priority: Option<i32>,
    pub date: Date<'a>,
    pub host: &'a [u8],
    pub tag: &'a [u8],
    pub pid: &'a [u8],
    pub message_id: &'a [u8],
    pub structured_data: &'a [u8],
    pub message: &'a [u8],
}

impl<'a> Received<'a> {
    pub fn parse(bytes: &'a [u8]) -> Received<'a> {
        let Some((priority, rest)) = priority(bytes) else {
            return Received { message: bytes, ..Received::default() };
        };
        let plain = Received { priority: Some(priority), message: rest, ..Received::default() };
        if rest.len() > 2 && rest.starts_with(b"1 ") {
            // The version is taken off the length of what is no message of RFC 5424 after all, but not off its text.
            let broken = Received { message: &rest[..rest.len() - 2], ..plain };
            return modern(&rest[2..]).map_or(broken, |known| Received { priority: Some(priority), ..known });
        }
        legacy(rest).map_or(plain, |known| Received { priority: Some(priority), ..known })
    }

    /// 0 (emerg) ..= 7 (debug).
    pub fn level(&self) -> Option<u8> {
        self.priority.map(|priority| (priority & 7) as u8)
    }

    /// Not bounded by the 24 that have names.
    pub fn facility(&self) -> Option<i32> {
        self.priority.map(|priority| priority >> 3).filter(|facility| *facility != -1)
    }
}

/// `<N>` and what is behind it.
fn priority(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let digits = bytes.strip_prefix(b"<")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    if digits[end] != b'>' {
        return None;
    }
    let add = |number: i32, digit: &u8| number.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
    Some((digits[..end].iter().fold(0, add), &digits[end + 1..]))
}

/// What is behind the version of RFC 5424 §6.
fn modern(bytes: &[u8]) -> Option<Received<'_>> {
    let (date, mut rest) = modern_date(bytes)?;
    let mut fields = [&b""[..]; 4];
    for field in &mut fields {
        let end = rest.iter().position(|byte| *byte == b' ').filter(|end| *end > 0)?;
        *field = if &rest[..end] == b"-" { b"" } else { &rest[..end] };
        rest = &rest[end + 1..];
    }
    let [host, tag, pid, message_id] = fields;
    let (structured_data, message) = structured_data(rest)?;
    Some(Received { priority: None, date, host, tag, pid, message_id, structured_data, message })
}

/// The date and what is behind the blank after it.
fn modern_date(bytes: &[u8]) -> Option<(Date<'_>, &[u8])> {
    if bytes.len() > 2 && bytes.starts_with(b"- ") {
        return Some((Date::Nil, &bytes[2..]));
    }
    if bytes.len() <= ISO_DATE_LENGTH {
        return None;
    }
    let mut end = ISO_SECONDS_LENGTH;
    if bytes[end] == b'.' {
        end += 1;
        end += bytes[end..].iter().position(|byte| !byte.is_ascii_digit())?;
        if !matches!(bytes[end], b'Z' | b'+' | b'-') {
            return None;
        }
    }
    end += if bytes[end] == b'Z' { 1 } else { ZONE_LENGTH };
    (*bytes.get(end)? == b' ').then(|| (Date::Iso(&bytes[..end]), &bytes[end + 1..]))
}

/// The elements in brackets and the text behind the blank after them. Quotes are not looked at: a bracket ends an element
/// wherever it stands without a backslash before it.
fn structured_data(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(rest) = bytes.strip_prefix(b"-") {
        return Some((b"", rest.strip_prefix(b" ")?));
    }
    let mut end = 0;
    while *bytes.get(end)? == b'[' {
        let ends = |pair: &[u8]| pair[0] != b'\\' && pair[1] == b']';
        end += bytes[end..].windows(2).position(ends)? + 2;
    }
    (end > 0 && bytes[end] == b' ').then(|| (&bytes[..end], &bytes[end + 1..]))
}

/// What is behind the priority of RFC 3164 §4.
fn legacy(bytes: &[u8]) -> Option<Received<'_>> {
    let (date, rest) = bytes.split_first_chunk::<LEGACY_DATE_LENGTH>()?;
    let month = MONTHS.iter().position(|month| date.starts_with(*month))?;
    let rest = rest.strip_prefix(b" ")?;
    let end = rest.iter().position(|byte| *byte == b' ').filter(|end| *end > 0)?;
    let (host, text) = (&rest[..end], &rest[end + 1..]);
    let (tag, pid, message) = tag(text);
    let date = Date::Legacy(date, month as u8 + 1);
    Some(Received { date, host, tag, pid, message, ..Received::default() })
}

/// `tag: `, `tag[pid]: ` and the text behind them; without them all is text.
fn tag(text: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let none = (&b""[..], &b""[..], text);
    // Where the last bracket opened.
    let mut open = None;
    for (at, byte) in text.iter().enumerate() {
        match (byte, open) {
            (b' ', _) => return none,
            (b'[', _) => open = Some(at),
            (b':', _) if text.get(at + 1) != Some(&b' ') => return none,
            (b':', _) => {
                let end = open.filter(|open| *open > 0).unwrap_or(at);
                return (&text[..end], b"", &text[at + 2..]);
            }
            (b']', Some(open)) => match &text[at + 1..] {
                [b':', b' ', message @ ..] => {
                    let end = if open > 0 { open } else { at + 1 };
                    return (&text[..end], &text[open + 1..at], message);
                }
                [] | [b' ' | b':', ..] => return none,
                _ => return (&text[..open], b"", text),
            },
            _ => {}
        }
    }
    none
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Host, tag, pid and message.
    fn parts(line: &str) -> [String; 4] {
        let received = Received::parse(line.as_bytes());
        [received.host, received.tag, received.pid, received.message].map(text)
    }

    #[test]
    fn messages_of_both_documents_are_taken_apart() {
        let line = b"<165>1 2003-10-11T22:14:15.003Z h app 77 ID47 [a@1 b=\"c\"][d@2] text";
        let received = Received::parse(line);
        assert_eq!((received.level(), received.facility()), (Some(5), Some(20)));
        assert_eq!(received.date, Date::Iso(b"2003-10-11T22:14:15.003Z"));
        assert_eq!(
            (received.message_id, received.structured_data),
            (&b"ID47"[..], &b"[a@1 b=\"c\"][d@2]"[..])
        );
        assert_eq!(parts(std::str::from_utf8(line).expect("ASCII")), ["h", "app", "77", "text"]);
        let old = Received::parse(b"<13>Oct  1 13:30:01 host app[12]: text");
        assert_eq!(old.date, Date::Legacy(b"Oct  1 13:30:01", 10));
        assert_eq!(
            (old.host, old.tag, old.pid, old.message),
            (&b"host"[..], &b"app"[..], &b"12"[..], &b"text"[..])
        );
    }

    #[test]
    fn tags_are_found_where_haproxy_finds_them() {
        for (given, expected) in [
            ("t[1[2]: m", ["t[1", "2", "m"]),
            ("t[1]]: m", ["t", "", "t[1]]: m"]),
            ("a[1]x[2]: m", ["a", "", "a[1]x[2]: m"]),
            ("a:b: m", ["", "", "a:b: m"]),
            ("[1]: m", ["[1]", "1", "m"]),
            ("[1: m", ["[1", "", "m"]),
            ("a[b: m", ["a", "", "m"]),
            ("a]: m", ["a]", "", "m"]),
            ("a[1] m", ["", "", "a[1] m"]),
            ("a[1]:m", ["", "", "a[1]:m"]),
            ("a[1]:", ["", "", "a[1]:"]),
            (": m", ["", "", "m"]),
            ("", ["", "", ""]),
        ] {
            let found = parts(&format!("<13>Oct  1 13:30:01 h {given}"));
            assert_eq!(found[1..], expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_message_of_rfc_5424_loses_two_bytes_as_in_haproxy() {
        assert_eq!(
            Received::parse(b"<165>1 2003-10-11T22:14:15.003Z host").message,
            b"1 2003-10-11T22:14:15.003Z ho"
        );
        assert_eq!(Received::parse(b"<165>1 ").message, b"1 ");
        assert_eq!(Received::parse(b"<165>2 x").message, b"2 x");
    }

    #[test]
    fn priorities_are_any_number() {
        for (given, priority) in
            [("<>x", Some(0)), ("<999>x", Some(999)), ("<4294967301>x", Some(5)), ("<1", None), ("<a>", None)]
        {
            assert_eq!(Received::parse(given.as_bytes()).priority, priority, "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_message(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
                                   head in proptest::sample::select(vec!["", "<13>", "<13>1 ", "<13>1 - ", "<13>1 2003-10-11T22:14:15", "<13>Oct  1 13:30:01 ", "<13>1 - h t p i "])) {
            let line = [head.as_bytes(), &bytes].concat();
            let received = Received::parse(&line);
            proptest::prop_assert!(received.message.len() <= line.len());
        }
    }
}
