//! (skeleton)

/// A fetch with its arguments and converters.
#[derive(Debug, Clone)]
pub struct Expr {}
