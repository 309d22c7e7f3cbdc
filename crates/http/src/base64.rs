//! Base64 (RFC 4648 §4 and §5) and the Basic credentials written in it (RFC 7617). Owns the two alphabets; never checks
//! a password.

/// Which two characters stand for 62 and 63, and whether there is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// `+` and `/`, padded with `=`.
    Standard,
    /// `-` and `_`, not padded (padding is taken when it comes).
    Url,
}

impl Alphabet {
    fn letters(self) -> &'static [u8; 64] {
        match self {
            Alphabet::Standard => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            Alphabet::Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        }
    }

    fn value(self, letter: u8) -> Option<u32> {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' if self == Alphabet::Standard => 62,
            b'/' if self == Alphabet::Standard => 63,
            b'-' if self == Alphabet::Url => 62,
            b'_' if self == Alphabet::Url => 63,
            _ => return None,
        };
        Some(value.into())
    }
}

/// Appends `bytes` in base64 to `out`.
pub fn encode(bytes: &[u8], alphabet: Alphabet, out: &mut Vec<u8>) {
    let letters = alphabet.letters();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(letters[(bits >> (18 - 6 * place) & 63) as usize]);
            } else if alphabet == Alphabet::Standard {
                out.push(b'=');
            }
        }
    }
}

/// Appends what `text` stands for to `out`; false (and `out` as before) when it is no base64. The standard alphabet must
/// come in whole groups of four, as HAProxy's `b64dec` wants it; the bits that padding leaves over are ignored.
pub fn decode(text: &[u8], alphabet: Alphabet, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    let padding = text.iter().rev().take_while(|&&letter| letter == b'=').count();
    let letters = &text[..text.len() - padding];
    let grouped = text.len().is_multiple_of(4) && padding <= 2;
    if (alphabet == Alphabet::Standard || padding > 0) && !grouped || letters.len() % 4 == 1 {
        return false;
    }
    for chunk in letters.chunks(4) {
        let mut bits = 0;
        for &letter in chunk {
            match alphabet.value(letter) {
                Some(value) => bits = bits << 6 | value,
                None => {
                    out.truncate(before);
                    return false;
                }
            }
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    true
}

/// User and password of an `Authorization: Basic …` value, appended to `out`; what is returned borrows from it.
/// None for another scheme, bad base64, or no colon.
pub fn basic_credentials<'a>(authorization: &[u8], out: &'a mut Vec<u8>) -> Option<(&'a [u8], &'a [u8])> {
    let space = memchr::memchr(b' ', authorization)?;
    let (scheme, rest) = authorization.split_at(space);
    let start = out.len();
    if !scheme.eq_ignore_ascii_case(b"basic") || !decode(crate::scan::trim(rest), Alphabet::Standard, out) {
        return None;
    }
    let text = &out[start..];
    let colon = memchr::memchr(b':', text)?;
    Some((&text[..colon], &text[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(bytes: &[u8], alphabet: Alphabet) -> String {
        let mut text = Vec::new();
        encode(bytes, alphabet, &mut text);
        let mut back = Vec::new();
        assert!(decode(&text, alphabet, &mut back));
        assert_eq!(back, bytes);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let texts = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, text) in texts.iter().enumerate() {
            assert_eq!(round(&b"foobar"[..length], Alphabet::Standard), *text);
            assert_eq!(round(&b"foobar"[..length], Alphabet::Url), text.trim_end_matches('='));
        }
        assert_eq!(round(b"\xfb\xff", Alphabet::Standard), "+/8=");
        assert_eq!(round(b"\xfb\xff", Alphabet::Url), "-_8");
    }

    #[test]
    fn what_haproxy_does_not_decode_is_refused() {
        for text in ["YQ", "YWJ", "Y", "YQ=", "Y Q==", "!!!!", "====", "Y==="] {
            let mut out = b"kept".to_vec();
            assert!(!decode(text.as_bytes(), Alphabet::Standard, &mut out), "{text}");
            assert_eq!(out, b"kept");
        }
        let mut out = Vec::new();
        assert!(decode(b"YR==", Alphabet::Standard, &mut out));
        assert_eq!(out, b"a");
    }

    #[test]
    fn credentials_are_split_at_the_first_colon() {
        let mut out = Vec::new();
        let expected: (&[u8], &[u8]) = (b"Aladdin", b"open:sesame");
        assert_eq!(basic_credentials(b"basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==", &mut out), Some(expected));
        assert_eq!(basic_credentials(b"Bearer QWxhZGRpbg==", &mut Vec::new()), None);
        assert_eq!(basic_credentials(b"Basic QWxhZGRpbg==", &mut Vec::new()), None);
        assert_eq!(basic_credentials(b"Basic", &mut Vec::new()), None);
    }
}
