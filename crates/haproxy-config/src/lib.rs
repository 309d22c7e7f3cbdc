//! haproxy.cfg → Ast with spans → [`Model`]: typed and valid, or a report of every mistake.
//!
//! Reads files and the environment only while loading; opens no socket.

mod address;
mod bind;
mod global;
mod keywords;
pub mod language;
pub mod listing;
mod load;
mod log;
pub mod model;
mod names;
mod parse;
mod proxy;
mod scope;
mod sections;
mod server;
mod units;
mod users;

pub use keywords::{Listed, Status};
pub use load::{COMPATIBLE_VERSION, FEATURES, LoadOptions, Loaded, evaluate_condition, load, load_text};
pub use model::Model;
pub(crate) use names::Names;

/// Is this the first word of a line in some section?
fn is_keyword(word: &str) -> bool {
    proxy::find(word).is_some() || global::tables().any(|row| row.name == word)
}
