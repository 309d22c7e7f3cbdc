//! Which bytes names, values and targets may have (RFC 9110 §5, RFC 9113 §8.2.1 and §8.3.1).

/// Each byte of a token in lower case, 0 for what no token has.
static TOKEN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let one = byte as u8;
        let is_token = one.is_ascii_alphanumeric()
            || matches!(
                one,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        if is_token {
            table[byte] = one.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// A byte of a name in lower case; 0 where no name has it.
pub fn lower(byte: u8) -> u8 {
    TOKEN[usize::from(byte)]
}

pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| lower(*byte) != 0)
}

/// Whether HTTP/2 may carry a field of that name: a token without upper case.
pub fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| *byte != 0 && lower(*byte) == *byte)
}

/// Whether a value has no control byte but tabs.
pub fn is_value(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| !may_have_control(u64::from_ne_bytes(*word)) || is_value_slowly(word))
        && is_value_slowly(rest)
}

fn is_value_slowly(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| !matches!(byte, 0..=8 | 10..=31 | 127))
}

/// Whether one of eight bytes is below a blank, or DEL; wrong only by saying so too often.
fn may_have_control(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let below_blank = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (below_blank | is_delete) & HIGH != 0
}

/// `:path`: what a request line can carry between its blanks, without a fragment.
pub fn is_path(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'/')) && has_no_blank(bytes) && !bytes.contains(&b'#') || bytes == b"*"
}

/// `:authority`: a host and perhaps a port.
pub fn is_authority(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && has_no_blank(bytes)
        && !bytes
            .iter()
            .any(|byte| matches!(byte, b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>' | 0x80..))
}

/// `:scheme` (RFC 3986 §3.1).
pub fn is_scheme(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn has_no_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| !matches!(byte, 0..=32 | 127))
}

/// A value without the blanks around it.
pub fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_found_wherever_they_stand() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                let mut value = *b"abcdefgh\xffjklmnop\x80rst";
                value[place] = byte;
                let wanted = byte == b'\t' || (byte >= 32 && byte != 127);
                assert_eq!(is_value(&value), wanted, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn blanks_around_a_value_are_not_of_it() {
        assert_eq!(trimmed(b" \ta b\t "), b"a b");
        assert_eq!(trimmed(b" \t"), b"");
    }

    #[test]
    fn targets() {
        assert!(is_path(b"/a?b") && is_path(b"*"));
        for path in [&b""[..], b"a", b"/a b", b"/a#b", b"/\r\n", b"**"] {
            assert!(!is_path(path), "{path:?}");
        }
        assert!(is_authority(b"h:1") && is_authority(b"[::1]:80"));
        for authority in [&b""[..], b"u@h", b"h/", b"h ", b"h\0"] {
            assert!(!is_authority(authority), "{authority:?}");
        }
    }
}
