//! Sockets, buffers and timers of the workers. Knows nothing of HTTP.

pub mod buffers;
mod deadline;
mod stream;

pub use deadline::Deadline;
pub use stream::Stream;
