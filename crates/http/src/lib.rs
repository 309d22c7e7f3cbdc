//! HTTP/1 parsing and writing, and the message model.

/// A message head (see the `http` branch).
#[derive(Debug, Default)]
pub struct Head {}
