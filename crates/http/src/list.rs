//! Comma-separated field values (RFC 9110 §5.6.1), cut as HAProxy's `req.hdr` cuts them.
//! Owns the splitting; never unquotes nor judges an element.

use crate::scan::trim;

/// Iterator over the comma-separated elements of one field line, trimmed. Commas inside double quotes do not
/// split; a backslash inside quotes hides the next byte. Empty elements are given too; an empty line gives none.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    /// Elements of `line`.
    pub fn new(line: &'a [u8]) -> Values<'a> {
        Values { rest: (!line.is_empty()).then_some(line) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest?;
        let end = element_end(line);
        self.rest = line.get(end + 1..);
        Some(trim(&line[..end]))
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
        assert_eq!(split(""), Vec::<String>::new());
        assert_eq!(split("\"open, never closed"), ["\"open, never closed"]);
    }
}
