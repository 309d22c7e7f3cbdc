//! HTTP/2 (RFC 9113) without input and output: bytes of a connection go in, bytes to send come out, and between them are
//! streams that tasks read and write. Knows nothing of sockets, clocks or messages; [`Fields`] are what a head says.
//!
//! Where things are: `frame` has the layout of frames and the names of errors, `hpack` header blocks, `fields` what is
//! malformed in them, `streams` one stream's state and the table of them, `connection` what frames do (`receive`), what
//! streams say (`send`) and the bounds that a peer is held to (`meter`).

#![forbid(unsafe_code)]

mod connection;
mod fields;
mod frame;
pub mod hpack;
mod streams;
mod text;

pub use connection::{Bounds, Connection, Counts, Opened, RequestHead, Role, SendError, StreamError};
pub use fields::{Fields, Pseudo};
pub use frame::{PREFACE, Reason};
pub use hpack::Unsendable;
pub use streams::StreamKey;
