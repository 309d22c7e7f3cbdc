//! Check recipes and the rise/fall machine.

/// What a health check of a backend sends and expects.
#[derive(Debug, Clone, Default)]
pub struct Recipe {}
