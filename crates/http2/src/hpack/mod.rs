//! HPACK (RFC 7541): header blocks of HTTP/2.

mod decoder;
pub mod encoder;
mod huffman;
mod integer;
mod static_table;

pub use decoder::{DEFAULT_TABLE_SIZE, Decoder, Undecodable};
pub use encoder::Unsendable;
