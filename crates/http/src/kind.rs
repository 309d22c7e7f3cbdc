//! Field names that the proxy looks for on every message, as one byte each.
//! Owns the name ↔ kind table; never looks at values.

/// One row per well-known name: variant, lower-case name.
macro_rules! kinds {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What a field name is known as; `Other` for every name without a row here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum FieldKind { Other, $($variant),+ }

        /// Every row: kind and lower-case name.
        const KINDS: &[(FieldKind, &[u8])] = &[$((FieldKind::$variant, $name)),+];
    };
}

kinds! {
    Accept = b"accept",
    AcceptEncoding = b"accept-encoding",
    Authorization = b"authorization",
    CacheControl = b"cache-control",
    Connection = b"connection",
    ContentEncoding = b"content-encoding",
    ContentLength = b"content-length",
    ContentType = b"content-type",
    Cookie = b"cookie",
    Date = b"date",
    ETag = b"etag",
    Expect = b"expect",
    Host = b"host",
    Http2Settings = b"http2-settings",
    KeepAlive = b"keep-alive",
    Location = b"location",
    Pragma = b"pragma",
    ProxyConnection = b"proxy-connection",
    Referer = b"referer",
    Server = b"server",
    SetCookie = b"set-cookie",
    Te = b"te",
    Trailer = b"trailer",
    TransferEncoding = b"transfer-encoding",
    Upgrade = b"upgrade",
    UserAgent = b"user-agent",
    Vary = b"vary",
    WebSocketAccept = b"sec-websocket-accept",
    WebSocketKey = b"sec-websocket-key",
    XForwardedFor = b"x-forwarded-for",
    XForwardedProto = b"x-forwarded-proto",
}

/// Longest name with a row.
const NAME_MAX: usize = 20;
/// Most rows that share length and first letter.
const BUCKET_MAX: usize = 2;

/// A name as three words that cover all its bytes, overlapping: to compare names in three steps instead of twenty.
type Words = [u64; 3];

/// Eight bytes of a name that has them.
const fn eight(name: &[u8], from: usize) -> u64 {
    match name.split_at(from).1.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

/// Four bytes of a name that has them.
const fn four(name: &[u8], from: usize) -> u64 {
    match name.split_at(from).1.first_chunk() {
        Some(bytes) => u32::from_le_bytes(*bytes) as u64,
        None => 0,
    }
}

/// Words of a name of 1 to 24 bytes.
const fn words(name: &[u8]) -> Words {
    let len = name.len();
    match len {
        0 => [0; 3],
        1..4 => [name[0] as u64 | (name[len / 2] as u64) << 8 | (name[len - 1] as u64) << 16, 0, 0],
        4..8 => [four(name, 0) | four(name, len - 4) << 32, 0, 0],
        8..=16 => [eight(name, 0), eight(name, len - 8), 0],
        _ => [eight(name, 0), eight(name, len - 8), eight(name, 8)],
    }
}

/// A row ready to compare.
#[derive(Clone, Copy)]
struct Row {
    kind: FieldKind,
    words: Words,
    /// Bits in which a name may differ: 0x20 where a letter stands.
    case: Words,
}

const EMPTY: Row = Row { kind: FieldKind::Other, words: [u64::MAX; 3], case: [0; 3] };

/// Rows by length and first letter: name lengths are spread well enough that a bucket holds at most two.
static BUCKETS: [[[Row; BUCKET_MAX]; 32]; NAME_MAX + 1] = buckets();

const fn buckets() -> [[[Row; BUCKET_MAX]; 32]; NAME_MAX + 1] {
    let mut table = [[[EMPTY; BUCKET_MAX]; 32]; NAME_MAX + 1];
    let mut row = 0;
    while row < KINDS.len() {
        let (kind, name) = KINDS[row];
        let mut case = [0u8; NAME_MAX];
        let mut at = 0;
        while at < name.len() {
            case[at] = if name[at].is_ascii_alphabetic() { 0x20 } else { 0 };
            at += 1;
        }
        let letter = (name[0] & 0x1f) as usize;
        let mut place = 0;
        while table[name.len()][letter][place].kind as u8 != FieldKind::Other as u8 {
            place += 1;
        }
        let case = words(case.split_at(name.len()).0);
        table[name.len()][letter][place] = Row { kind, words: words(name), case };
        row += 1;
    }
    table
}

impl FieldKind {
    /// The kind of a field name in any case.
    #[inline]
    pub fn of(name: &[u8]) -> FieldKind {
        let Some(&first) = name.first() else { return FieldKind::Other };
        if name.len() > NAME_MAX {
            return FieldKind::Other;
        }
        let [one, two] = &BUCKETS[name.len()][(first & 0x1f) as usize];
        if one.kind == FieldKind::Other {
            return FieldKind::Other;
        }
        let found = words(name);
        // Exact: where no letter stands, no bit may differ; where one stands, only its case.
        let same = |row: &Row| {
            (0..3).fold(0, |differ, at| differ | (row.words[at] ^ found[at]) & !row.case[at]) == 0
        };
        match (same(one), same(two)) {
            (true, _) => one.kind,
            (false, true) => two.kind,
            (false, false) => FieldKind::Other,
        }
    }

    /// The bit of this kind in a set of kinds.
    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        1 << (self as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_in_any_case() {
        for &(kind, name) in KINDS {
            assert_eq!(FieldKind::of(name), kind);
            assert_eq!(FieldKind::of(&name.to_ascii_uppercase()), kind);
        }
    }

    #[test]
    fn a_byte_that_differs_in_one_bit_makes_another_name() {
        for &(kind, name) in KINDS {
            for at in 0..name.len() {
                for bit in 0..8 {
                    let mut other = name.to_vec();
                    other[at] ^= 1 << bit;
                    let same = other.eq_ignore_ascii_case(name);
                    assert_eq!(FieldKind::of(&other) == kind, same, "{:?}", String::from_utf8_lossy(&other));
                }
            }
        }
    }

    #[test]
    fn other_names_are_other() {
        for name in [&b""[..], b"x", b"hos", b"hosts", b"content-lengths", b"\xff\xff\xff\xff", b"1234"] {
            assert_eq!(FieldKind::of(name), FieldKind::Other, "{name:?}");
        }
    }
}
