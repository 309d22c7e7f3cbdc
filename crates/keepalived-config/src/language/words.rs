//! Words of a statement: plain, as most keywords take them, and quoted, as programs with arguments are written.

use super::Text;
use diag::Span;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub value: String,
    pub span: Span,
    /// Byte of the statement at which the word starts, with its quote.
    pub at: usize,
}

/// Splits at blanks. A double quote starts a word of its own that runs to the next one.
pub(crate) fn split(text: &Text) -> Vec<Word> {
    let value = text.value.as_str();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(skip) = value[at..].find(|c: char| !c.is_ascii_whitespace()) {
        at += skip;
        let rest = &value[at..];
        let (word, length) = match rest.strip_prefix('"') {
            Some(inner) => match inner.find('"') {
                Some(end) => (&inner[..end], end + 2),
                None => (inner, rest.len()),
            },
            None => {
                let end = rest.find(|c: char| c == '"' || c.is_ascii_whitespace()).unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        words.push(Word { value: word.to_owned(), span: text.span(at, at + length), at });
        at += length;
    }
    words
}

/// Splits as a shell does: both kinds of quotes anywhere, and backslashes.
///
/// # Errors
/// The place of a quote that never ends.
pub(crate) fn split_quoted(text: &Text) -> Result<Vec<Word>, Span> {
    let bytes = text.value.as_bytes();
    let mut words: Vec<Word> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        let mut value = Vec::new();
        let mut quote: Option<(u8, usize)> = None;
        while at < bytes.len() {
            let byte = bytes[at];
            match (byte, quote) {
                (b'\\', _) if at + 1 < bytes.len() => {
                    at += escape(&bytes[at + 1..], &mut value) + 1;
                    continue;
                }
                (b'"' | b'\'', None) => quote = Some((byte, at)),
                (_, Some((open, _))) if byte == open => quote = None,
                (_, None) if byte.is_ascii_whitespace() => break,
                (_, None | Some(_)) => value.push(byte),
            }
            at += 1;
        }
        if let Some((_, opened)) = quote {
            return Err(text.span(opened, text.value.len()));
        }
        let value = String::from_utf8_lossy(&value).into_owned();
        words.push(Word { value, span: text.span(start, at), at: start });
    }
    Ok(words)
}

/// Longest octal escape.
const OCTAL_DIGITS_MAX: usize = 3;

/// Reads what follows a backslash; returns how many bytes that were.
fn escape(rest: &[u8], value: &mut Vec<u8>) -> usize {
    let simple = match rest[0] {
        b'a' => 0x07,
        b'b' => 0x08,
        b'E' => 0x1b,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'x' if rest.get(1).is_some_and(u8::is_ascii_hexdigit) => {
            let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let number = rest[1..=digits].iter().fold(0u8, |number, digit| {
                number.wrapping_mul(16).wrapping_add((*digit as char).to_digit(16).unwrap_or(0) as u8)
            });
            value.push(number);
            return digits + 1;
        }
        b'0'..=b'7' => {
            let digits =
                rest.iter().take(OCTAL_DIGITS_MAX).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let number = rest[..digits]
                .iter()
                .fold(0u8, |number, digit| number.wrapping_mul(8).wrapping_add(*digit - b'0'));
            value.push(number);
            return digits;
        }
        b'c' if rest.len() > 1 => {
            value.push(rest[1] & 0x1f);
            return 2;
        }
        other => other,
    };
    value.push(simple);
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag::FileId;

    fn line(text: &str) -> Text {
        Text::verbatim(FileId(0), 0, text)
    }

    fn plain(text: &str) -> Vec<String> {
        split(&line(text)).into_iter().map(|word| word.value).collect()
    }

    fn quoted(text: &str) -> Vec<String> {
        split_quoted(&line(text)).expect("quotes match").into_iter().map(|word| word.value).collect()
    }

    #[test]
    fn a_double_quote_starts_a_word_wherever_it_stands() {
        assert_eq!(plain("fo\"o b\"ar  'x y'"), ["fo", "o b", "ar", "'x", "y'"]);
    }

    #[test]
    fn programs_are_split_as_a_shell_does() {
        assert_eq!(quoted(r#"abcd" efg h jkl "mnop"#), ["abcd efg h jkl mnop"]);
        assert_eq!(quoted(r#"abcd "efg h jkl" 'mn "op'"#), ["abcd", "efg h jkl", "mn \"op"]);
        assert_eq!(quoted(r#"a\x41\101\tb\cA \" \\"#), ["aAA\tb\u{1}", "\"", "\\"]);
    }

    #[test]
    fn an_open_quote_is_told() {
        assert!(split_quoted(&line("a 'b")).is_err());
    }
}
