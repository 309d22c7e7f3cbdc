//! Messages in a stream (RFC 6587): each is counted in octets, or ends with its line. Bytes only.

/// What a stream begins with.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message, and the bytes of the stream that it took.
    Message { message: &'a [u8], consumed: usize },
    /// There is more to come.
    Partial,
    /// No message can begin like this; the stream is of no use any more.
    Broken,
}

/// Looks for the first message. `length_max`: bytes of a message, and of what says where it ends.
pub fn first(bytes: &[u8], length_max: usize) -> Frame<'_> {
    match bytes.first() {
        None => Frame::Partial,
        Some(b'<') => line(bytes, length_max),
        Some(b'1'..=b'9') => counted(bytes, length_max),
        Some(_) => Frame::Broken,
    }
}

/// §3.4.2; a carriage return before the line feed is none of the message.
fn line(bytes: &[u8], length_max: usize) -> Frame<'_> {
    match bytes.iter().take(length_max).position(|byte| *byte == b'\n') {
        Some(end) => {
            let message = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
            Frame::Message { message, consumed: end + 1 }
        }
        None if bytes.len() >= length_max => Frame::Broken,
        None => Frame::Partial,
    }
}

/// §3.4.1: `LENGTH SP MESSAGE`.
fn counted(bytes: &[u8], length_max: usize) -> Frame<'_> {
    let Some(end) = bytes.iter().take(length_max).position(|byte| *byte == b' ') else {
        return if bytes.len() >= length_max { Frame::Broken } else { Frame::Partial };
    };
    let length = std::str::from_utf8(&bytes[..end]).ok().and_then(|digits| digits.parse::<usize>().ok());
    let Some(length) = length.filter(|length| *length <= length_max) else { return Frame::Broken };
    match bytes[end + 1..].get(..length) {
        Some(message) => Frame::Message { message, consumed: end + 1 + length },
        None => Frame::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> (Vec<String>, &'static str) {
        let mut messages = Vec::new();
        loop {
            match first(bytes, 32) {
                Frame::Message { message, consumed } => {
                    messages.push(String::from_utf8_lossy(message).into_owned());
                    bytes = &bytes[consumed..];
                }
                Frame::Partial => return (messages, "partial"),
                Frame::Broken => return (messages, "broken"),
            }
        }
    }

    #[test]
    fn both_framings_may_be_mixed() {
        let found = all(b"5 <13>a<14>b\r\n<15>c\n8 <13>d\nef6 hello!<1>x");
        let expected = ["<13>a", "<14>b", "<15>c", "<13>d\nef", "hello!"].map(str::to_owned);
        assert_eq!(found, (expected.to_vec(), "partial"));
    }

    #[test]
    fn what_begins_otherwise_is_broken() {
        for given in ["hello\n", "0 x", "05 <13>a", "5x <13>a", "33 x", "\n<13>a\n", " <13>a\n", "1e1 x"] {
            assert_eq!(all(given.as_bytes()), (Vec::new(), "broken"), "{given:?}");
        }
    }

    #[test]
    fn what_does_not_end_is_bounded() {
        assert_eq!(all(format!("<13>{}", "a".repeat(27)).as_bytes()).1, "partial");
        assert_eq!(all(format!("<13>{}", "a".repeat(28)).as_bytes()).1, "broken");
        assert_eq!(all("1".repeat(32).as_bytes()).1, "broken");
    }
}
