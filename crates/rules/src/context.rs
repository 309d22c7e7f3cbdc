//! What parsing an expression or a condition needs to know: names that become ids, files that are read for it, where
//! in the configuration it stands. Plain data and callbacks; this crate does no I/O itself.

use crate::acl::AclSet;
use crate::place::{PlaceSet, Section};
use crate::{PatternStore, ProxyId, ServerId, TableId, UserlistId};
use diag::Span;

/// What costs something only where an expression of the configuration asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// The body of a response, kept while rules run.
    pub response_body: bool,
    /// How often tasks are called, and what they cost.
    pub task_cost: bool,
}

impl Uses {
    pub(crate) const NOTHING: Uses = Uses { response_body: false, task_cost: false };

    fn add(&mut self, other: Uses) {
        self.response_body |= other.response_body;
        self.task_cost |= other.task_cost;
    }
}

impl ParseContext<'_> {
    pub(crate) fn note_use(&mut self, uses: Uses) {
        self.uses.add(uses);
    }
}

/// A word of a configuration line: its text after quotes and escapes are gone, and where it was written.
#[derive(Debug, Clone, Copy)]
pub struct Word<'w> {
    pub text: &'w [u8],
    pub span: Span,
}

impl<'w> Word<'w> {
    /// A word and its place.
    pub fn new(text: &'w [u8], span: Span) -> Word<'w> {
        Word { text, span }
    }

    /// Where `self.text[start..end]` was written: exact when the word has no quotes or escapes, else the whole word.
    pub fn span_of(&self, start: usize, end: usize) -> Span {
        let written = (self.span.end - self.span.start) as usize;
        if written == self.text.len() && start <= end && end <= written {
            let base = self.span.start;
            return Span { file: self.span.file, start: base + start as u32, end: base + end as u32 };
        }
        self.span
    }
}

/// Why an expression or condition cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// One line: what is wrong and what would be right.
    pub message: String,
    pub span: Span,
}

impl LoadError {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> LoadError {
        LoadError { message: message.into(), span }
    }
}

/// Resolves names to positions in the model. The configuration must know all section, server and table names before
/// the first expression is parsed.
pub trait Names {
    /// A proxy with frontend side.
    fn frontend(&self, name: &[u8]) -> Option<ProxyId>;
    /// A proxy with backend side.
    fn backend(&self, name: &[u8]) -> Option<ProxyId>;
    /// A server of that backend.
    fn server(&self, backend: ProxyId, name: &[u8]) -> Option<ServerId>;
    /// A stick table: of a proxy of that name, or `peers/table`.
    fn table(&self, name: &[u8]) -> Option<TableId>;
    /// The stick table of a proxy itself, for `src_conn_rate` without a table.
    fn own_table(&self, proxy: ProxyId) -> Option<TableId>;
    fn userlist(&self, name: &[u8]) -> Option<UserlistId>;
    /// An environment variable, as of the point in the configuration that is being parsed.
    fn environment(&self, name: &[u8]) -> Option<Vec<u8>>;
}

/// Reads a file named in the configuration; on error says why in one line.
pub type ReadFile<'c> = dyn FnMut(&[u8]) -> Result<Vec<u8>, String> + 'c;

/// Everything that parsing needs.
pub struct ParseContext<'c> {
    pub names: &'c dyn Names,
    /// Reads a file named in the configuration (`acl -f`, maps).
    pub read_file: &'c mut ReadFile<'c>,
    /// All pattern lists of the process; lists loaded here are added.
    pub patterns: &'c mut PatternStore,
    /// ACLs declared so far in this section.
    pub acls: &'c AclSet,
    /// The section that is being parsed.
    pub section: Section,
    /// Where the expression will run.
    pub places: PlaceSet,
    /// File and line of a place: lists of patterns tell where they are used.
    pub locate: &'c dyn Fn(Span) -> (String, u32),
    /// What is being parsed; the parsers keep it up to date.
    pub at: Span,
    /// What the expressions so far need.
    pub uses: &'c mut Uses,
    /// What loads but should be looked at: an ACL that can never match where it is used.
    pub warnings: &'c mut Vec<LoadError>,
}
