//! The table of source files, and where in them a byte is.

/// A file (or `-` for standard input, or an environment value) that text was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of bytes in one source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The smallest span that holds both; `self` alone when they lie in different files.
    pub fn to(self, other: Span) -> Span {
        if self.file != other.file {
            return self;
        }
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The part of this span from byte `offset` on, `length` bytes long, cut at the end of the span.
    pub fn part(self, offset: usize, length: usize) -> Span {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let start = self.start.saturating_add(clamp(offset)).min(self.end);
        let end = start.saturating_add(clamp(length)).min(self.end);
        Span { file: self.file, start, end }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// A place as people count: both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

#[derive(Debug)]
struct SourceFile {
    name: String,
    text: Vec<u8>,
    /// Offset of the first byte of each line; the first entry is 0.
    line_starts: Vec<u32>,
}

/// All texts of one load. A [`FileId`] made by one table means nothing in another.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Longest text a span can address; a caller refuses longer files.
    pub const TEXT_LENGTH_MAX: usize = u32::MAX as usize - 1;

    /// Adds a text under the name shown in diagnostics.
    ///
    /// Text beyond [`Sources::TEXT_LENGTH_MAX`] bytes is dropped: spans are 32 bits wide.
    pub fn add(&mut self, name: impl Into<String>, mut text: Vec<u8>) -> FileId {
        text.truncate(Self::TEXT_LENGTH_MAX);
        let mut line_starts = vec![0];
        for (offset, byte) in text.iter().enumerate() {
            if *byte == b'\n' {
                line_starts.push(offset as u32 + 1);
            }
        }
        self.files.push(SourceFile { name: name.into(), text, line_starts });
        FileId(self.files.len() as u32 - 1)
    }

    /// The name given to [`Sources::add`]; `?` for an id of another table.
    pub fn name(&self, file: FileId) -> &str {
        self.file(file).map_or("?", |file| file.name.as_str())
    }

    /// The whole text of a file; empty for an id of another table.
    pub fn text(&self, file: FileId) -> &[u8] {
        self.file(file).map_or(&[], |file| file.text.as_slice())
    }

    /// Line and column of a byte offset.
    pub fn locate(&self, file: FileId, offset: u32) -> Position {
        let Some(source) = self.file(file) else {
            return Position { line: 1, column: 1 };
        };
        let line = source.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = source.line_starts[line - 1] as usize;
        let end = (offset as usize).clamp(start, source.text.len());
        let column = count_characters(&source.text[start..end]) + 1;
        Position { line: line as u32, column }
    }

    /// A line (from 1) without its line ending; empty when there is no such line.
    pub fn line_text(&self, file: FileId, line: u32) -> &[u8] {
        let Some(source) = self.file(file) else {
            return &[];
        };
        let index = (line as usize).saturating_sub(1);
        let Some(start) = source.line_starts.get(index) else {
            return &[];
        };
        let end = source.line_starts.get(index + 1).map_or(source.text.len(), |next| *next as usize - 1);
        let line = &source.text[*start as usize..end];
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    fn file(&self, file: FileId) -> Option<&SourceFile> {
        self.files.get(file.0 as usize)
    }
}

/// Characters in a text that may not be UTF-8: every byte that does not continue a character counts.
fn count_characters(text: &[u8]) -> u32 {
    text.iter().filter(|byte| (**byte & 0xc0) != 0x80).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_offset_becomes_line_and_column_counted_in_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a.cfg", "one\nzwö drei\r\nvier".as_bytes().to_vec());
        assert_eq!(sources.locate(file, 0), Position { line: 1, column: 1 });
        // `ö` is two bytes and one column.
        assert_eq!(sources.locate(file, 4 + 5), Position { line: 2, column: 5 });
        assert_eq!(sources.line_text(file, 2), "zwö drei".as_bytes());
        assert_eq!(sources.line_text(file, 3), b"vier");
        assert_eq!(sources.line_text(file, 4), b"");
    }

    #[test]
    fn offsets_past_the_end_point_at_the_last_line() {
        let mut sources = Sources::default();
        let file = sources.add("a.cfg", b"one\n".to_vec());
        assert_eq!(sources.locate(file, 900), Position { line: 2, column: 1 });
    }

    #[test]
    fn part_of_a_span_never_leaves_it() {
        let span = Span { file: FileId(0), start: 10, end: 14 };
        assert_eq!(span.part(1, 2), Span { file: FileId(0), start: 11, end: 13 });
        assert_eq!(span.part(9, 9), Span { file: FileId(0), start: 14, end: 14 });
    }
}
