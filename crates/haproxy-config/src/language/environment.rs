//! The environment that variables are read from: the process's own at first, then changed by `setenv` and its kin.

use std::collections::BTreeMap;

/// Variables by name. `resetenv` goes back to an empty set but for the names it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// A copy of the running process's environment; variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.variables.insert(name.into(), value.into());
    }

    /// Sets a variable that is not there yet.
    pub fn preset(&mut self, name: &str, value: &str) {
        self.variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Drops everything but the given names.
    pub fn reset(&mut self, keep: &[&str]) {
        self.variables.retain(|name, _| keep.contains(&name.as_str()));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Environment { variables: pairs.into_iter().collect() }
    }
}
