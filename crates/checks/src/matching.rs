//! Looks for what an expectation names: bytes, hexadecimal text, header fields. Never decides what a match means.

use crate::{Environment, FieldMatch, FieldPattern, Pattern, Seen, Text};
use http::Head;

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

pub(crate) fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

pub(crate) fn field_matches(
    head: &Head,
    pattern: &FieldPattern,
    split: bool,
    seen: Seen<'_>,
    environment: &mut dyn Environment,
) -> bool {
    let Some(name) = Ready::new(&pattern.name, seen, environment) else { return false };
    let value = match &pattern.value {
        Some(value) => match Ready::new(value, seen, environment) {
            Some(value) => Some(value),
            None => return false,
        },
        None => None,
    };
    head.fields().filter(|(field, _)| name.matches(&field.to_ascii_lowercase(), true)).any(|(_, line)| {
        let Some(value) = &value else { return true };
        if split {
            http::Values::new(line).any(|item| value.matches(item, false))
        } else {
            value.matches(line, false)
        }
    })
}

/// A field test with its text evaluated.
enum Ready<'a> {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
    Contains(Vec<u8>),
    Regex(&'a Pattern),
}

impl<'a> Ready<'a> {
    fn new(test: &'a FieldMatch, seen: Seen<'_>, environment: &mut dyn Environment) -> Option<Ready<'a>> {
        let mut evaluate = |text: &Text| match text {
            Text::Literal(bytes) => Some(bytes.clone()),
            Text::Format(format) => environment.render(format, seen),
            Text::HexFormat(format) => decode_hex(&environment.render(format, seen)?),
        };
        Some(match test {
            FieldMatch::Exact(text) => Ready::Exact(evaluate(text)?),
            FieldMatch::Prefix(text) => Ready::Prefix(evaluate(text)?),
            FieldMatch::Suffix(text) => Ready::Suffix(evaluate(text)?),
            FieldMatch::Contains(text) => Ready::Contains(evaluate(text)?),
            FieldMatch::Regex(pattern) => Ready::Regex(pattern),
        })
    }

    // `subject` is in lower case when the case of the pattern's letters does not count.
    fn matches(&self, subject: &[u8], caseless: bool) -> bool {
        let fold = |text: &[u8]| if caseless { text.to_ascii_lowercase() } else { text.to_vec() };
        match self {
            Ready::Exact(text) => subject == fold(text),
            Ready::Prefix(text) => subject.starts_with(&fold(text)),
            Ready::Suffix(text) => subject.ends_with(&fold(text)),
            Ready::Contains(text) => contains(subject, &fold(text)),
            Ready::Regex(pattern) => pattern.is_match(subject),
        }
    }
}
