//! Regular expressions of recipes, compiled once at load. PCRE syntax, like everywhere in the configuration.

use std::fmt;

/// A compiled expression and the text it came from.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    regex: pcre2::bytes::Regex,
}

/// An expression that does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// The compiler's words.
    pub message: String,
    /// Byte of the expression where it stopped.
    pub offset: Option<usize>,
}

impl Pattern {
    /// Compiles `source`, case-sensitive.
    pub fn new(source: &str) -> Result<Pattern, PatternError> {
        Pattern::build(source, false)
    }

    fn build(source: &str, caseless: bool) -> Result<Pattern, PatternError> {
        pcre2::bytes::RegexBuilder::new()
            .caseless(caseless)
            .jit_if_available(true)
            .build(source)
            .map(|regex| Pattern { source: source.to_owned(), regex })
            .map_err(|error| PatternError { message: error.to_string(), offset: error.offset() })
    }

    /// The same expression for letters of both cases.
    pub fn caseless(&self) -> Pattern {
        Pattern::build(&self.source, true).expect("what compiles once compiles again")
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches anywhere in `subject`. A match that exceeds the engine's own limits counts as none.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        self.regex.is_match(subject).unwrap_or(false)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "/{}/", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for PatternError {}
