//! Header names as a bogus peer wants them spelled (`h1-case-adjust`): HTTP/1 names have no case, and some programs do not
//! know it. Works on a head that is written already, for the length stays.

use std::collections::HashMap;

/// Spells the names of a head's fields as `spellings`, by their lower case, has them.
pub fn adjust(spellings: &HashMap<String, String>, head: &mut [u8]) {
    let mut line = 0;
    while let Some(length) = memchr::memchr(b'\n', &head[line..]) {
        let end = line + length;
        if let Some(colon) = memchr::memchr(b':', &head[line..end]) {
            let name = &mut head[line..line + colon];
            let lower = name.to_ascii_lowercase();
            let wanted = std::str::from_utf8(&lower).ok().and_then(|lower| spellings.get(lower));
            if let Some(wanted) = wanted {
                name.copy_from_slice(wanted.as_bytes());
            }
        }
        line = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_names_alone_are_respelled() {
        let spellings = HashMap::from([("content-length".to_owned(), "Content-LENGTH".to_owned())]);
        let mut head =
            b"GET /content-length:1 HTTP/1.1\r\ncontent-length: 3\r\nx: content-length\r\n\r\n".to_vec();
        adjust(&spellings, &mut head);
        let expected: &[u8] =
            b"GET /content-length:1 HTTP/1.1\r\nContent-LENGTH: 3\r\nx: content-length\r\n\r\n";
        assert_eq!(head, expected);
    }
}
