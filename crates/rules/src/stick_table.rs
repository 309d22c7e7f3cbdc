//! (skeleton)

/// A stick-table line.
#[derive(Debug, Clone)]
pub struct StickTableConfig {}
