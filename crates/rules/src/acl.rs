//! (skeleton)

/// An ACL condition: a disjunction of conjunctions, possibly negated.
#[derive(Debug, Clone)]
pub struct Condition {}

/// (skeleton)
#[derive(Debug, Default)]
pub struct AclSet {}
