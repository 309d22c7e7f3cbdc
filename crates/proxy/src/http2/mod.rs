//! HTTP/2 below the message model: the `h2` crate speaks the frames, this module turns its messages into [`http::Head`]
//! and its streams into byte streams, so that everything above runs as over HTTP/1. Knows nothing of rules or servers'
//! health.
//!
//! ```text
//!  client ══ Wire ══ h2 (one task) ══╦══ Http2Stream ── Client, transaction, exchange (a task for each request)
//!                                    ╠══ Http2Stream ── …
//!  server ══ Wire ══ h2 (one task) ══╩══ Http2Stream ── ServerConnection of one exchange
//! ```

mod convert;
mod meter;
mod multiplexed;
mod settings;
mod stream;
mod wire;

pub use convert::{ReadError, read_request, request as write_request};
pub use meter::FrameMeter;
pub use multiplexed::{Lease, Multiplexed};
pub use settings::{client_builder, server_builder};
pub use stream::{HeadError, Http2Stream, SendError};
pub use wire::{Link, Wire};
