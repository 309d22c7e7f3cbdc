//! A short list as it was loaded, asked whether a value matches and nothing more: to compare a few patterns costs less
//! than to hash.

use super::index::bytes_of;
use super::parse::{Pattern, compile};
use super::{Index, MatchMethod};
use crate::value::Value;
use memchr::memmem::Finder;
use std::sync::Arc;

/// Most patterns that are kept a second time.
const KEPT_MAX: usize = 64;
/// Most patterns that are compared one after the other.
const COMPARED_MAX: usize = 8;

/// The patterns of a list when it was loaded.
#[derive(Debug)]
pub(super) enum Few {
    Exact(Box<[Arc<[u8]>]>),
    ExactAnyCase(Box<[Arc<[u8]>]>),
    Beginning(Box<[Arc<[u8]>]>),
    End(Box<[Arc<[u8]>]>),
    Inside(Box<[Finder<'static>]>),
    /// Any other method, or too many to compare.
    Arranged(Index),
}

impl Few {
    /// The patterns `keys`, which `index` has arranged. `None`: too many to keep a second time.
    pub(super) fn new(
        method: MatchMethod,
        ignore_case: bool,
        keys: &[&Arc<[u8]>],
        index: &Index,
    ) -> Option<Few> {
        if keys.len() > KEPT_MAX {
            return None;
        }
        let arranged = || Some(Few::Arranged(index.clone()));
        if keys.len() > COMPARED_MAX {
            return arranged();
        }
        let texts = || {
            let compiled = keys.iter().map(|key| match compile(method, key, ignore_case) {
                Ok(Pattern::Bytes(bytes)) => Some(bytes),
                Ok(_) | Err(_) => None,
            });
            compiled.collect::<Option<Box<[_]>>>()
        };
        match (method, ignore_case) {
            (MatchMethod::Str | MatchMethod::Bin, false) => texts().map(Few::Exact),
            (MatchMethod::Str | MatchMethod::Bin, true) => texts().map(Few::ExactAnyCase),
            (MatchMethod::Beg, false) => texts().map(Few::Beginning),
            (MatchMethod::End, false) => texts().map(Few::End),
            (MatchMethod::Sub, false) => texts().map(|texts| {
                Few::Inside(texts.iter().map(|text| Finder::new(&**text).into_owned()).collect())
            }),
            (_, _) => None,
        }
        .or_else(arranged)
    }

    /// Whether the value, which has the method's input type, matches a pattern.
    pub(super) fn matches(&self, value: &Value<'_>) -> bool {
        let Some(text) = bytes_of(value) else {
            return match self {
                Few::Arranged(index) => index.find(value).is_some(),
                _texts => false,
            };
        };
        match self {
            Few::Exact(patterns) => patterns.iter().any(|pattern| **pattern == *text),
            Few::ExactAnyCase(patterns) => patterns.iter().any(|pattern| pattern.eq_ignore_ascii_case(text)),
            Few::Beginning(patterns) => patterns.iter().any(|pattern| text.starts_with(pattern)),
            Few::End(patterns) => patterns.iter().any(|pattern| text.ends_with(pattern)),
            Few::Inside(patterns) => patterns.iter().any(|pattern| pattern.find(text).is_some()),
            Few::Arranged(index) => index.find(value).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Slot;

    /// What the arranged list finds is what the short one finds.
    #[test]
    fn a_short_list_answers_as_the_arranged_one() {
        use MatchMethod::{Beg, Bin, Dir, End, Len, Reg, Str, Sub};
        let keys: Vec<Arc<[u8]>> = ["/app", "/App/x", "", "b", "62"].map(|key| key.as_bytes().into()).into();
        let texts: [&[u8]; 9] =
            [b"", b"/app", b"/APP", b"/app/x", b"/App/x", b"xb", b"bx", b"abc\0", b"\xff/app"];
        for method in [Str, Bin, Beg, End, Sub, Dir, Reg, Len] {
            // Every part of the list, from nothing on.
            for keys in (0..=keys.len()).map(|count| &keys[keys.len() - count..]) {
                for ignore_case in [false, true] {
                    let mut index = Index::new(method, ignore_case, keys.len());
                    // Hexadecimal and numbers do not take every text.
                    let fits = |(id, key): &(u64, &Arc<[u8]>)| {
                        index.insert(key, Slot { id: *id, value: None }).is_ok()
                    };
                    let keys: Vec<_> = (0..).zip(keys).filter(fits).map(|(_, key)| key).collect();
                    let few = Few::new(method, ignore_case, &keys, &index).expect("few enough");
                    for text in texts {
                        let value = Value::str(text);
                        let wanted = index.find(&value).is_some();
                        assert_eq!(few.matches(&value), wanted, "{method:?} {ignore_case} {keys:?} {text:?}");
                    }
                }
            }
        }
    }
}
