//! Pattern files: one pattern a line, in maps followed by its value.

/// A line that holds something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'f> {
    /// From 1.
    pub(super) number: u32,
    pub(super) key: &'f [u8],
    /// Empty in files of patterns alone.
    pub(super) value: &'f [u8],
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len())..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1)]
}

/// The lines of a file. `with_values`: a map, where the key ends at the first blank; else the whole line is the key,
/// which may then have blanks inside, and keeps those at its end. A `#` comments only at the very start of a line.
pub(super) fn lines(content: &[u8], with_values: bool) -> impl Iterator<Item = Line<'_>> {
    content.split(|byte| *byte == b'\n').enumerate().filter_map(move |(index, line)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'#') {
            return None;
        }
        let text = trim_start(line);
        if text.is_empty() {
            return None;
        }
        let number = index as u32 + 1;
        if !with_values {
            return Some(Line { number, key: text, value: b"" });
        }
        let end = text.iter().position(is_blank).unwrap_or(text.len());
        Some(Line { number, key: &text[..end], value: trim_end(trim_start(&text[end..])) })
    })
}
