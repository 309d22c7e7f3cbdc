//! Sockets, buffers and timers of the workers. Knows nothing of HTTP.

pub mod buffers;
mod connect;
mod deadline;
mod stream;
mod tls;

pub use connect::{ConnectOptions, connect};
pub use deadline::Deadline;
pub use stream::Stream;
pub use tls::TlsStream;
