//! The language below the keywords: includes, conditions, variables, sequences, quotes, comments and braces. Turns
//! files into a tree of statements and never knows what a keyword means.

mod expand;
mod glob;
mod reader;
mod sequence;
mod text;
mod tree;
mod words;

pub(crate) use reader::{Reader, ReaderOptions};
pub(crate) use text::Text;
pub(crate) use tree::{Node, Tree};
pub(crate) use words::{Word, split_quoted};

pub use glob::expand_braces;
