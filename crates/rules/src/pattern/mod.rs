//! Patterns: what a value is compared with in ACLs and maps. Matching methods, compiled patterns, indexes for fast
//! look-ups, and the lists behind them that the runtime API can change.

mod few;
mod file;
mod index;
mod list;
mod method;
mod parse;
mod shards;
mod store;

pub use index::MapValue;
pub(crate) use index::{Index, Slot};
pub use list::{Entry, ListKind, PatternList};
pub(crate) use list::{Matcher, map_value};
pub use method::MatchMethod;
pub(crate) use method::operator_range;
pub use store::PatternStore;
pub(crate) use store::Usage;
