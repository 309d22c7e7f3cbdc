//! Users and groups by name, from /etc/passwd and /etc/group: no name service is asked.

use crate::parse::{Arguments, Outcome, fail};
use std::path::Path;

/// Bytes of either file that are looked at.
const FILE_LENGTH_MAX: usize = 16 << 20;

/// The number of a user.
pub(crate) fn user(name: &str) -> Option<u32> {
    lookup(Path::new("/etc/passwd"), name)
}

/// The number of a group.
pub(crate) fn group(name: &str) -> Option<u32> {
    lookup(Path::new("/etc/group"), name)
}

/// The next word as a user name.
pub(crate) fn expect_user(arguments: &mut Arguments<'_>) -> Outcome<u32> {
    let word = arguments.expect("a user name")?;
    user(&word.value).map_or_else(|| fail(word.span, format!("there is no user `{}` here", word.value)), Ok)
}

/// The next word as a group name.
pub(crate) fn expect_group(arguments: &mut Arguments<'_>) -> Outcome<u32> {
    let word = arguments.expect("a group name")?;
    group(&word.value).map_or_else(|| fail(word.span, format!("there is no group `{}` here", word.value)), Ok)
}

fn lookup(path: &Path, name: &str) -> Option<u32> {
    let text = crate::files::read_at_most(path, FILE_LENGTH_MAX).ok()?;
    number_of(&String::from_utf8_lossy(&text), name)
}

/// Both files have the name first and the number third.
fn number_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_its_number() {
        let text = "root:x:0:0::/root:/bin/sh\nhaproxy:x:99:98::/:/bin/false\n";
        assert_eq!(number_of(text, "haproxy"), Some(99));
        assert_eq!(number_of(text, "hap"), None);
    }
}
