//! The static table (RFC 7541 Appendix A).

/// Entries by index - 1.
pub const ENTRIES: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// Places of the names by their hash; twice as many as needed, so that most are found at the first.
const SLOTS: usize = 128;

const fn hash(name: &[u8]) -> usize {
    let last = name.len() - 1;
    (name.len() * 37 + name[0] as usize * 5 + name[last] as usize * 17 + name[last / 2] as usize * 3) % SLOTS
}

/// The first index of each name; 0: none.
static BY_NAME: [u8; SLOTS] = {
    let mut slots = [0u8; SLOTS];
    let mut place = 0;
    while place < ENTRIES.len() {
        let name = ENTRIES[place].0;
        // Names with several values stand side by side.
        if place == 0 || !is_same(ENTRIES[place - 1].0, name) {
            let mut slot = hash(name);
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = place as u8 + 1;
        }
        place += 1;
    }
    slots
};

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut place = 0;
    while place < one.len() {
        if one[place] != other[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// The first entry with that name, which is in lower case.
pub fn index_of(name: &[u8]) -> Option<usize> {
    if name.is_empty() {
        return None;
    }
    let mut slot = hash(name);
    loop {
        match usize::from(BY_NAME[slot]) {
            0 => return None,
            index if ENTRIES[index - 1].0 == name => return Some(index),
            _ => slot = (slot + 1) % SLOTS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for (place, (name, _)) in ENTRIES.iter().enumerate() {
            let first = ENTRIES.iter().position(|(other, _)| other == name).expect("itself") + 1;
            assert_eq!(index_of(name), Some(first), "entry {}", place + 1);
        }
        for name in [&b""[..], b"x", b"x-forwarded-for", b"Host", b"acceptt"] {
            assert_eq!(index_of(name), None);
        }
    }
}
