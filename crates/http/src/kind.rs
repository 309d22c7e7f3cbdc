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

/// Rows by length and first letter: name lengths are spread well enough that a bucket holds at most two.
static BUCKETS: [[[u8; BUCKET_MAX]; 26]; NAME_MAX + 1] = buckets();

const fn buckets() -> [[[u8; BUCKET_MAX]; 26]; NAME_MAX + 1] {
    // A row is stored as its index + 1; 0 is an empty place.
    let mut table = [[[0u8; BUCKET_MAX]; 26]; NAME_MAX + 1];
    let mut row = 0;
    while row < KINDS.len() {
        let name = KINDS[row].1;
        let letter = (name[0] - b'a') as usize;
        let mut place = 0;
        while table[name.len()][letter][place] != 0 {
            place += 1;
        }
        table[name.len()][letter][place] = row as u8 + 1;
        row += 1;
    }
    table
}

impl FieldKind {
    /// The kind of a field name in any case.
    #[inline]
    pub fn of(name: &[u8]) -> FieldKind {
        let Some(&first) = name.first() else { return FieldKind::Other };
        let letter = (first | 0x20).wrapping_sub(b'a') as usize;
        if letter >= 26 || name.len() > NAME_MAX {
            return FieldKind::Other;
        }
        for &place in &BUCKETS[name.len()][letter] {
            if place == 0 {
                break;
            }
            let (kind, known) = KINDS[place as usize - 1];
            if name.eq_ignore_ascii_case(known) {
                return kind;
            }
        }
        FieldKind::Other
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
    fn other_names_are_other() {
        for name in [&b""[..], b"x", b"hos", b"hosts", b"content-lengths", b"\xff\xff\xff\xff", b"1234"] {
            assert_eq!(FieldKind::of(name), FieldKind::Other, "{name:?}");
        }
    }
}
