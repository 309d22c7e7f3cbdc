//! HTTP/2 below the message model: the crate `http2` speaks the frames, this module turns its fields into [`http::Head`]
//! and its streams into byte streams, so that everything above runs as over HTTP/1. Knows nothing of rules or servers'
//! health.
//!
//! ```text
//!  client ══ Link (one task) ══╦══ Http2Stream ── Client, transaction, exchange (a task for each request)
//!                              ╠══ Http2Stream ── …
//!  server ══ Link (one task) ══╩══ Http2Stream ── ServerConnection of one exchange
//! ```

mod convert;
mod link;
mod multiplexed;
mod settings;
mod stream;

pub use convert::{read_request, request as outgoing};
pub use link::Link;
pub use multiplexed::{Lease, Multiplexed};
pub use settings::{client_side, server_side};
pub use stream::{HeadError, Http2Stream, SendError};
