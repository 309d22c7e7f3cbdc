//! keepalived.conf → [`Model`]: typed and valid, or a report of every mistake.
//!
//! Pure: text of files, users, interfaces and scripts come through the [`Host`] trait.

pub mod model;

pub use model::Model;
