//! Health checks of a backend: `option …chk`, `http-check`, `tcp-check`.

use super::options::OptionRow;

/// `option` rows that choose a kind of check.
pub(crate) static OPTIONS: &[OptionRow] = &[];
