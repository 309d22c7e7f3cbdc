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

use diag::{Span, Spanned};

/// One word after quotes, escapes and variables were resolved; the span covers what was written.
pub type Word = Spanned<String>;

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
