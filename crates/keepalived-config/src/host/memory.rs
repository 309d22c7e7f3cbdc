//! A machine that exists in memory only: for tests, fuzzing and configurations given as text.

use super::{Host, HostError, InterfaceFacts, NumberNames, ProgramFacts, find_number};
use crate::model::RunAs;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Everything a [`Host`] is asked for, as plain data. Nothing is known of interfaces unless some are given.
#[derive(Debug, Clone, Default)]
pub struct MemoryHost {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub host_name: String,
    pub environment: BTreeMap<String, String>,
    pub users: BTreeMap<String, RunAs>,
    pub groups: BTreeMap<String, u32>,
    /// `None`: nobody knows which there are.
    pub interfaces: Option<BTreeMap<String, InterfaceFacts>>,
    /// Programs that are missing; the others run.
    pub missing_programs: BTreeSet<String>,
}

impl Host for MemoryHost {
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, HostError> {
        self.files.get(path).cloned().ok_or_else(|| HostError::from(std::io::ErrorKind::NotFound))
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let pattern = pattern.to_string_lossy();
        self.files
            .keys()
            .filter(|path| matches(pattern.as_bytes(), path.to_string_lossy().as_bytes()))
            .cloned()
            .collect()
    }

    fn host_name(&self) -> String {
        self.host_name.clone()
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn user(&self, name: &str) -> Option<RunAs> {
        match name {
            "root" => Some(RunAs { user: 0, group: 0 }),
            name => self.users.get(name).copied(),
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        if name == "root" { Some(0) } else { self.groups.get(name).copied() }
    }

    fn own_user(&self) -> RunAs {
        RunAs { user: 0, group: 0 }
    }

    fn program(&self, path: &str, _: RunAs) -> ProgramFacts {
        if self.missing_programs.contains(path) { ProgramFacts::Missing } else { ProgramFacts::Runs }
    }

    fn interface(&self, name: &str) -> Option<Option<InterfaceFacts>> {
        match &self.interfaces {
            Some(known) => known.get(name).cloned().map(Some),
            None => Some(None),
        }
    }

    fn number(&self, names: NumberNames, name: &str) -> Option<u32> {
        let file = self.files.get(&Path::new("/etc/iproute2").join(names.file()))?;
        find_number(&String::from_utf8_lossy(file), name)
    }
}

/// Does a name fit a pattern of `*`, `?` and `[…]`? `*` and `?` stop at slashes.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
                continue;
            }
            Some(b'?') => (name[n] != b'/').then_some(1),
            Some(b'[') => class(&pattern[p..], name[n]),
            Some(byte) => (*byte == name[n]).then_some(1),
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                p += length;
                n += 1;
            }
            (None, Some((star, from))) if name[from] != b'/' => {
                p = star + 1;
                n = from + 1;
                retry = Some((star, n));
            }
            (None, _) => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Length of a `[…]` that has this byte.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negative = matches!(pattern.get(1), Some(b'!' | b'^'));
    let start = if negative { 2 } else { 1 };
    let close = start + 1 + pattern.get(start + 1..)?.iter().position(|byte| *byte == b']')?;
    let set = &pattern[start..close];
    let mut found = false;
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == b'-' {
            found |= (set[at]..=set[at + 2]).contains(&byte);
            at += 3;
        } else {
            found |= set[at] == byte;
            at += 1;
        }
    }
    (found != negative && byte != b'/').then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_within_one_directory() {
        assert!(matches(b"/etc/*.conf", b"/etc/a.conf"));
        assert!(!matches(b"/etc/*.conf", b"/etc/d/a.conf"));
        assert!(matches(b"/etc/[a-c]?.conf", b"/etc/bx.conf"));
        assert!(!matches(b"/etc/[!a-c]?.conf", b"/etc/bx.conf"));
        assert!(matches(b"a*b*c", b"axbxbc"));
        assert!(!matches(b"a[", b"a["));
    }
}
