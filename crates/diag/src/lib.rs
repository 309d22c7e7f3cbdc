//! Source files, spans and diagnostics: collected while a configuration is read, rendered once at the end, for
//! people (with carets) or for machines (JSON).
//!
//! Never reads a file and never prints: text comes in, text goes out.

mod nearest;
mod render;
mod report;
mod source;

pub use nearest::nearest;
pub use render::{render, render_one, render_unlabelled, to_json};
pub use report::{Diagnostic, Note, Report, Severity};
pub use source::{FileId, Position, Sources, Span, Spanned};
