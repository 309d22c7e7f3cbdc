//! haproxy.cfg → Ast with spans → [`Model`]: typed and valid, or a report of every mistake.
//!
//! Reads files and the environment only while loading; opens no socket.

pub mod language;
pub mod model;

pub use model::Model;
