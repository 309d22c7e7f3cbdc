//! Patterns: what a value is compared with in ACLs and maps. Matching methods, compiled patterns, indexes for fast
//! look-ups, and the lists behind them that the runtime API can change.

mod file;
mod index;
mod list;
mod method;
mod parse;

pub use index::{Index, MapValue, Slot};
pub use list::{Entry, ListKind, Lookup, PatternList, PatternStore};
pub(crate) use list::{Matcher, map_value};
pub use method::MatchMethod;
pub(crate) use method::operator_range;
