//! Sockets, buffers and timers of the workers. Knows nothing of HTTP.

pub mod buffers;
pub mod clock;
mod connect;
mod deadline;
mod namespace;
pub mod pipe;
mod socks4;
mod stream;
mod system;
mod tls;
mod tuning;

pub use connect::{ConnectOptions, connect};
pub use deadline::Deadline;
pub use namespace::Namespaces;
pub use stream::Stream;
pub use tls::TlsStream;
pub use tuning::SocketTuning;
