//! (skeleton)

use crate::context::{LoadError, ParseContext, Word};
use crate::{Scope, Value};

/// A fetch with its arguments and converters.
#[derive(Debug, Clone)]
pub struct Expr {}

impl Expr {
    /// (skeleton)
    pub fn parse(word: Word<'_>, _context: &mut ParseContext<'_>) -> Result<Expr, LoadError> {
        Err(LoadError::new(word.span, "expressions cannot be parsed yet"))
    }

    /// (skeleton)
    pub fn value<'a>(&'a self, _scope: &Scope<'a>) -> Option<Value<'a>> {
        None
    }
}
