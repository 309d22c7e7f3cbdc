//! (skeleton)

/// An ACL condition: a disjunction of conjunctions, possibly negated.
#[derive(Debug, Clone)]
pub struct Condition {}
