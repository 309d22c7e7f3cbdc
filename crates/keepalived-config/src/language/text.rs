//! A line of text that remembers where each part of it was written, through every substitution.

use diag::{FileId, Span};

/// A stretch of text with one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// First byte in the text.
    at: u32,
    /// First byte in the file.
    start: u32,
    /// Bytes of the file it stands for: all of them for each byte of a substituted value, else one by one.
    replaced: Option<u32>,
}

/// One line after substitutions.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub file: FileId,
    pub value: String,
    segments: Vec<Segment>,
}

impl Text {
    /// Text as it stands in a file from byte `start` on.
    pub fn verbatim(file: FileId, start: usize, value: impl Into<String>) -> Text {
        let segment = Segment { at: 0, start: clamp(start), replaced: None };
        Text { file, value: value.into(), segments: vec![segment] }
    }

    /// Text that stands for what is written at `span`.
    pub fn substituted(span: Span, value: impl Into<String>) -> Text {
        let segment = Segment { at: 0, start: span.start, replaced: Some(span.end - span.start) };
        Text { file: span.file, value: value.into(), segments: vec![segment] }
    }

    /// Where the bytes `from..to` of this text were written.
    pub fn span(&self, from: usize, to: usize) -> Span {
        let (start, first_end) = self.origin(from);
        let (_, end) = if to > from + 1 { self.origin(to - 1) } else { (start, first_end) };
        Span { file: self.file, start, end: end.max(start) }
    }

    /// Where the whole text was written.
    pub fn whole(&self) -> Span {
        self.span(0, self.value.len())
    }

    fn origin(&self, at: usize) -> (u32, u32) {
        let index = self.segments.partition_point(|segment| segment.at as usize <= at).max(1) - 1;
        let Some(segment) = self.segments.get(index) else {
            return (0, 0);
        };
        match segment.replaced {
            Some(length) => (segment.start, segment.start + length),
            None => {
                let start = segment.start + clamp(at) - segment.at.min(clamp(at));
                (start, start + 1)
            }
        }
    }

    /// The part from byte `from` to byte `to`.
    pub fn slice(&self, from: usize, to: usize) -> Text {
        let mut part = Text { file: self.file, value: String::new(), segments: Vec::new() };
        part.push_part(self, from, to);
        part
    }

    /// Appends a part of another text of the same file.
    pub fn push_part(&mut self, other: &Text, from: usize, to: usize) {
        let first = other.segments.partition_point(|segment| segment.at as usize <= from).max(1) - 1;
        for (index, segment) in other.segments.iter().enumerate().skip(first) {
            let begin = (segment.at as usize).max(from);
            if begin >= to {
                break;
            }
            let end = other.segments.get(index + 1).map_or(to, |next| (next.at as usize).min(to));
            let start = match segment.replaced {
                Some(_) => segment.start,
                None => segment.start + clamp(begin) - segment.at,
            };
            let at = clamp(self.value.len());
            self.segments.push(Segment { at, start, replaced: segment.replaced });
            self.value.push_str(&other.value[begin..end]);
        }
    }

    /// Without blanks at both ends.
    pub fn trimmed(&self) -> Text {
        let start = self.value.len() - self.value.trim_start().len();
        let end = self.value.trim_end().len().max(start);
        if (start, end) == (0, self.value.len()) { self.clone() } else { self.slice(start, end) }
    }
}

fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_know_where_they_were_written() {
        let file = FileId(0);
        let line = Text::verbatim(file, 100, "a ${X} b");
        let mut expanded = line.slice(0, 2);
        let value = Text::substituted(line.span(2, 6), "value");
        expanded.push_part(&value, 0, 5);
        expanded.push_part(&line, 6, 8);
        assert_eq!(expanded.value, "a value b");
        assert_eq!(expanded.span(2, 7), Span { file, start: 102, end: 106 });
        assert_eq!(expanded.span(8, 9), Span { file, start: 107, end: 108 });
        assert_eq!(expanded.slice(8, 9).whole(), Span { file, start: 107, end: 108 });
    }
}
