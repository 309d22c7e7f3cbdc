//! "Did you mean": the tail of a message about a word that nobody knows.

/// `; did you mean 'x'?` or nothing.
pub fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    diag::nearest(word, known).map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}
