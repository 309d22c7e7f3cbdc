//! A header block as it was decoded: pseudo-header fields, then the others in their order, and what is wrong with them.

use crate::text;

/// What RFC 9113 §6.5.2 adds to the length of each field.
const FIELD_OVERHEAD: usize = 32;

/// Pseudo-header fields (RFC 9113 §8.3, RFC 8441 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pseudo {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    Status,
}

const PSEUDO_COUNT: usize = 6;

impl Pseudo {
    fn of(name: &[u8]) -> Option<Pseudo> {
        Some(match name {
            b":method" => Pseudo::Method,
            b":scheme" => Pseudo::Scheme,
            b":authority" => Pseudo::Authority,
            b":path" => Pseudo::Path,
            b":protocol" => Pseudo::Protocol,
            b":status" => Pseudo::Status,
            _ => return None,
        })
    }
}

/// Places in the bytes: of a name, and behind it of its value.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    name_end: u32,
    end: u32,
}

/// What a header block says, and may say of the body behind it.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    pseudo: [Option<(u32, u32)>; PSEUDO_COUNT],
    size: usize,
    is_malformed: bool,
    content_length: Option<u64>,
}

impl Fields {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.pseudo = [None; PSEUDO_COUNT];
        (self.size, self.is_malformed, self.content_length) = (0, false, None);
    }

    /// Fields that are none of HTTP/2's own, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|entry| {
            let name = &self.bytes[entry.start as usize..entry.name_end as usize];
            (name, &self.bytes[entry.name_end as usize..entry.end as usize])
        })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn pseudo(&self, which: Pseudo) -> Option<&[u8]> {
        self.pseudo[which as usize].map(|(start, end)| &self.bytes[start as usize..end as usize])
    }

    /// Bytes of memory.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The status of a response, 100 to 999.
    pub fn status(&self) -> Option<u16> {
        let [hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = self.pseudo(Pseudo::Status)?
        else {
            return None;
        };
        let digit = |byte: &u8| u16::from(byte - b'0');
        Some(digit(hundreds) * 100 + digit(tens) * 10 + digit(ones))
    }

    /// The size of the list as RFC 9113 §6.5.2 counts it.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Where the decoder writes; [`Fields::note`] makes a field of what it appended.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes from `start` as a field. `is_sound`: name and value have only bytes that they may have.
    pub(crate) fn note(&mut self, start: usize, name_len: usize, is_sound: bool) {
        let (name_end, end) = (start + name_len, self.bytes.len());
        self.size += end - start + FIELD_OVERHEAD;
        if self.bytes.get(start) == Some(&b':') {
            return self.note_pseudo(start, name_end, end, is_sound);
        }
        let (name, value) = (&self.bytes[start..name_end], &self.bytes[name_end..end]);
        if !is_sound || is_of_http1(name, value) {
            self.is_malformed = true;
        } else if name == b"content-length" {
            let length = parse_length(value);
            self.is_malformed |=
                length.is_none() || self.content_length.is_some_and(|known| Some(known) != length);
            self.content_length = length;
        }
        let value = text::trimmed(value);
        if value.len() != end - name_end {
            let kept = value.to_vec();
            self.bytes.truncate(name_end);
            self.bytes.extend_from_slice(&kept);
        }
        let end = self.bytes.len() as u32;
        self.entries.push(Entry { start: start as u32, name_end: name_end as u32, end });
    }

    fn note_pseudo(&mut self, start: usize, name_end: usize, end: usize, is_sound: bool) {
        match Pseudo::of(&self.bytes[start..name_end]) {
            // RFC 9113 §8.3: before the others, and once.
            Some(which) if is_sound && self.entries.is_empty() && self.pseudo[which as usize].is_none() => {
                self.pseudo[which as usize] = Some((name_end as u32, end as u32));
            }
            _ => self.is_malformed = true,
        }
    }

    fn has_only(&self, allowed: &[Pseudo]) -> bool {
        let count = self.pseudo.iter().flatten().count();
        count == allowed.iter().filter(|which| self.pseudo(**which).is_some()).count()
    }

    /// Whether this is a request (RFC 9113 §8.3.1 and §8.5, RFC 8441 §4).
    pub(crate) fn is_request(&self) -> bool {
        let has = |which| self.pseudo(which).is_some();
        let is_right = |which, judge: fn(&[u8]) -> bool| self.pseudo(which).is_none_or(judge);
        if self.is_malformed
            || has(Pseudo::Status)
            || !self.pseudo(Pseudo::Method).is_some_and(text::is_token)
            || !is_right(Pseudo::Path, text::is_path)
            || !is_right(Pseudo::Scheme, text::is_scheme)
            // An empty one is none: HTTP/1.0 clients behind a gateway had no `Host`.
            || !is_right(Pseudo::Authority, |name| name.is_empty() || text::is_authority(name))
        {
            return false;
        }
        let has_target = has(Pseudo::Scheme) && has(Pseudo::Path);
        match (self.pseudo(Pseudo::Method) == Some(b"CONNECT"), self.pseudo(Pseudo::Protocol)) {
            (true, Some(protocol)) => text::is_token(protocol) && has_target && has(Pseudo::Authority),
            (true, None) => has(Pseudo::Authority) && !has(Pseudo::Scheme) && !has(Pseudo::Path),
            (false, protocol) => has_target && protocol.is_none(),
        }
    }

    /// Whether this is a response (RFC 9113 §8.3.2).
    pub(crate) fn is_response(&self) -> bool {
        !self.is_malformed && self.status().is_some() && self.has_only(&[Pseudo::Status])
    }

    /// Whether these are trailers (RFC 9113 §8.1).
    pub(crate) fn are_trailers(&self) -> bool {
        !self.is_malformed && self.has_only(&[])
    }
}

/// What speaks of an HTTP/1 connection, and is malformed here (RFC 9113 §8.2.2).
fn is_of_http1(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"te" => !value.eq_ignore_ascii_case(b"trailers"),
        b"upgrade" | b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" => true,
        _ => false,
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in list {
            let start = fields.bytes.len();
            fields.bytes.extend_from_slice(name.as_bytes());
            fields.bytes.extend_from_slice(value.as_bytes());
            fields.note(start, name.len(), true);
        }
        fields
    }

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "h"), (":path", "/")];

    #[test]
    fn a_request_has_each_pseudo_header_once_and_first() {
        assert!(fields(&GET).is_request());
        assert!(!fields(&[&GET[..], &[(":path", "/")]].concat()).is_request());
        assert!(!fields(&[&GET[..3], &[("x", "y"), GET[3]]].concat()).is_request());
        assert!(!fields(&[&GET[..], &[(":status", "200")]].concat()).is_request());
        for missing in [0, 1, 3] {
            let mut list = GET.to_vec();
            list.remove(missing);
            assert!(!fields(&list).is_request(), "without {}", GET[missing].0);
        }
    }

    #[test]
    fn connect_names_an_authority_and_extended_connect_all() {
        assert!(fields(&[(":method", "CONNECT"), (":authority", "h:1")]).is_request());
        assert!(!fields(&[(":method", "CONNECT")]).is_request());
        let extended = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", "/"),
            (":authority", "h"),
        ];
        assert!(fields(&extended).is_request());
        assert!(!fields(&extended[..4]).is_request());
        assert!(!fields(&[&GET[..], &[(":protocol", "websocket")]].concat()).is_request());
    }

    #[test]
    fn blanks_around_values_are_cut_off() {
        let fields = fields(&[("a", " x "), ("b", "y")]);
        assert_eq!(fields.iter().collect::<Vec<_>>(), [(&b"a"[..], &b"x"[..]), (b"b", b"y")]);
    }

    #[test]
    fn a_response_has_a_status_and_no_other() {
        assert_eq!(fields(&[(":status", "204")]).status(), Some(204));
        assert!(fields(&[(":status", "204"), ("a", "b")]).is_response());
        for status in ["", "20", "2000", "099", "2 0"] {
            assert!(!fields(&[(":status", status)]).is_response(), "{status}");
        }
        assert!(!fields(&[(":status", "200"), (":path", "/")]).is_response());
        assert!(!fields(&[(":status", "200")]).are_trailers());
    }

    #[test]
    fn lengths_that_differ_are_malformed() {
        let length = |values: &[&str]| {
            fields(&values.iter().map(|value| ("content-length", *value)).collect::<Vec<_>>()).is_malformed
        };
        assert!(!length(&["3"]) && !length(&["3", "3"]));
        assert!(
            length(&["3", "4"]) && length(&["+3"]) && length(&[""]) && length(&["99999999999999999999999"])
        );
    }
}
