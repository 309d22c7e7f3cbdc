//! Byte classes of HTTP/1 and the loops that look for the first byte outside of one.
//! Owns no state and never judges what a byte outside the class means: the parser does.

/// Class bit: may stand in a field name or a method (RFC 9110 §5.6.2 `tchar`).
const TOKEN: u8 = 1;
/// Class bit: decimal digit.
const DIGIT: u8 = 2;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() {
            table[byte] |= TOKEN;
        }
        if c.is_ascii_digit() {
            table[byte] |= DIGIT;
        }
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < marks.len() {
        table[marks[index] as usize] |= TOKEN;
        index += 1;
    }
    table
}

/// Whether `byte` may stand in a field name or a method.
#[inline]
pub fn is_token(byte: u8) -> bool {
    CLASS[byte as usize] & TOKEN != 0
}

/// Whether all of `bytes` are token characters and there is at least one.
pub fn is_token_bytes(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token(byte))
}

/// Index of the first byte at or after `from` that is no token character; `bytes.len()` if none.
#[inline]
pub(crate) fn skip_token(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        if CLASS[byte as usize] & TOKEN == 0 {
            break;
        }
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).map(|chunk| u64::from_le_bytes(chunk.try_into().expect("eight bytes were taken")))
}

/// Index of the first control character (0x00–0x1f) at or after `from`; `bytes.len()` if none.
#[inline]
pub(crate) fn skip_text(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    // Eight at a time: a byte below 0x20 borrows into its own top bit. Borrows only spill upwards, so the lowest
    // hit is exact.
    while let Some(word) = word(bytes, at) {
        let hits = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

/// Index of the first byte at or after `from` that is not visible ASCII (0x21–0x7e); `bytes.len()` if none.
#[inline]
pub(crate) fn skip_visible(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = word(bytes, at) {
        let below = word.wrapping_sub(ONES * 0x21) & !word;
        let above = word | word.wrapping_add(ONES);
        let hits = (below | above) & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if !(0x21..=0x7e).contains(&byte) {
            break;
        }
        at += 1;
    }
    at
}

/// `bytes` without the spaces and tabs at both ends (RFC 9110 `OWS`).
#[inline]
pub fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_scans_agree_with_byte_scans_for_every_byte_at_every_position() {
        for length in 0..20usize {
            for place in 0..length {
                for byte in 0..=255u8 {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let text = bytes.iter().position(|&b| b < 0x20).unwrap_or(length);
                    assert_eq!(skip_text(&bytes, 0), text, "text, byte {byte:#x} at {place} of {length}");
                    let visible = bytes.iter().position(|b| !(0x21..=0x7e).contains(b)).unwrap_or(length);
                    assert_eq!(skip_visible(&bytes, 0), visible, "visible, byte {byte:#x} at {place}");
                }
            }
        }
    }

    #[test]
    fn trim_takes_spaces_and_tabs_only() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b"\r\n"), b"\r\n");
        assert_eq!(trim(b"  "), b"");
    }
}
