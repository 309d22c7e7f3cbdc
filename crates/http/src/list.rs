//! Comma-separated field values (RFC 9110 §5.6.1), cut as HAProxy's `req.hdr` cuts them.
//! Owns the splitting; never unquotes nor judges an element.

use crate::scan::trim;

/// Iterator over the comma-separated elements of one field line, with the blanks around them. Commas inside double quotes
/// do not split; a backslash inside quotes hides the next byte. Empty elements are given too; an empty line is one.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Elements<'a> {
        Elements { rest: Some(line) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let end = element_end(line);
        self.rest = line.get(end + 1..);
        Some(&line[..end])
    }
}

/// Iterator over the comma-separated values of one field line: its elements, trimmed. Commas inside double quotes do not
/// split. Empty values are given too; an empty line is one.
#[derive(Clone, Debug)]
pub struct Values<'a>(Elements<'a>);

impl<'a> Values<'a> {
    /// Values of `line`.
    pub fn new(line: &'a [u8]) -> Values<'a> {
        Values(Elements::new(line))
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next().map(trim)
    }
}

/// Length of the first element of `line`: up to its first comma outside of quotes.
fn element_end(line: &[u8]) -> usize {
    let Some(first) = memchr::memchr2(b',', b'"', line) else { return line.len() };
    if line[first] == b',' {
        return first;
    }
    let mut quoted = false;
    let mut at = first;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b',' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        Values::new(line.as_bytes()).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
    }

    #[test]
    fn elements_are_trimmed_and_quotes_hide_commas() {
        assert_eq!(split("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(split("a=\"x,y\", b"), ["a=\"x,y\"", "b"]);
        assert_eq!(split("\"a\\\",b\",c"), ["\"a\\\",b\"", "c"]);
        assert_eq!(split("a,,b,"), ["a", "", "b", ""]);
        assert_eq!(split(""), [""]);
        assert_eq!(split(","), ["", ""]);
        assert_eq!(split("a\"b,c\",d"), ["a\"b,c\"", "d"]);
        assert_eq!(split("\"open, never closed"), ["\"open, never closed"]);
    }
}
