//! (skeleton)

/// A parsed log-format string.
#[derive(Debug, Clone)]
pub struct LogFormat {}
