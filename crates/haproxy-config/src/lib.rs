//! haproxy.cfg → Ast with spans → [`Model`]: typed and valid, or a report of every mistake.
//!
//! Reads files and the environment only while loading; opens no socket, resolves no name.
//!
//! ```text
//! files ─► language: words, conditions, variables ─► Ast: sections of lines of spanned words
//!                                                     │ names: phase 1, every proxy, server and table gets its id
//!                                                     ▼
//!          global, proxy, sections: keyword tables ─► drafts ─► proxy::finish: names → ids ─► Model
//! ```
//!
//! ```
//! use haproxy_config::{LoadOptions, load_text};
//!
//! let loaded = load_text(&LoadOptions::new(Vec::new()), "web.cfg", "listen web\n bind *:8080\n");
//! assert_eq!(loaded.model.unwrap().proxies[0].name, "web");
//! ```

mod address;
mod bind;
mod files;
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
pub mod tls;
mod units;
mod users;

pub use keywords::{Listed, Status};
pub use load::{
    COMPATIBLE_VERSION, FEATURES, LoadOptions, Loaded, RELEASE_DATE, VERSION_TEXT, evaluate_condition, load,
    load_text,
};
pub use model::Model;
pub(crate) use names::Names;

/// Is this the first word of a line in some section?
fn is_keyword(word: &str) -> bool {
    proxy::find(word).is_some() || global::tables().any(|row| row.name == word)
}
