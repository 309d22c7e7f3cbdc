//! The language of a haproxy.cfg: bytes → words → lines → sections.
//!
//! Owns quoting, escapes, comments, environment variables and conditional blocks. It knows where a section starts,
//! and nothing of what a keyword means (`setenv` and its kin aside: they change how later lines read).

pub mod condition;
mod environment;
mod reader;
mod section;
mod words;

pub use environment::Environment;
pub use reader::{Reader, Settings};
pub use section::SectionKind;

use diag::Span;

/// One word after quotes, escapes and variables were resolved; the span covers what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Bytes that are not UTF-8 are replaced here; [`Word::bytes`] has them.
    pub value: String,
    pub span: Span,
    /// Only when the word is not UTF-8.
    raw: Option<Box<[u8]>>,
}

impl Word {
    /// A word from the bytes it stands for.
    pub fn new(bytes: Vec<u8>, span: Span) -> Word {
        match String::from_utf8(bytes) {
            Ok(value) => Word { value, span, raw: None },
            Err(error) => {
                let value = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Word { value, span, raw: Some(error.into_bytes().into()) }
            }
        }
    }

    /// Nothing at its start is a number: where HAProxy reads digits up to the first other character, it reads 0.
    pub fn is_no_number(&self) -> bool {
        !self.value.starts_with(|first: char| first.is_ascii_digit() || "+-".contains(first))
    }

    /// What the word stands for, byte by byte.
    pub fn bytes(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.value.as_bytes())
    }

    pub fn is_utf8(&self) -> bool {
        self.raw.is_none()
    }
}

/// One statement: at least one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub words: Vec<Word>,
    pub span: Span,
}

impl Line {
    /// The first word.
    pub fn keyword(&self) -> &Word {
        &self.words[0]
    }

    /// The text of word `index`; empty when the line is shorter.
    pub fn text(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |word| word.value.as_str())
    }
}

/// A section: its header line and the statements below it.
#[derive(Debug, Clone)]
pub struct Section {
    pub kind: SectionKind,
    pub header: Line,
    pub lines: Vec<Line>,
}

/// All sections of all files, in order.
#[derive(Debug, Default)]
pub struct Ast {
    pub sections: Vec<Section>,
}
