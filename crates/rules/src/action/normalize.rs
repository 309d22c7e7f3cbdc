//! `normalize-uri`: pure rewrites of path and query, the same as HAProxy's for the same input.

use super::EditError;
use http::Head;

/// What is normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalizer {
    /// `#` becomes `%23`.
    FragmentEncode,
    /// `#` and what follows goes.
    FragmentStrip,
    PathMergeSlashes,
    PathStripDot,
    /// `full`: also those that climb above the root.
    PathStripDotDot {
        full: bool,
    },
    /// `strict`: a `%` without two hexadecimal digits is a bad request.
    PercentDecodeUnreserved {
        strict: bool,
    },
    PercentToUppercase {
        strict: bool,
    },
    QuerySortByName,
}

impl Normalizer {
    /// Names in configurations.
    pub const NAMES: [(&'static str, Normalizer); 8] = [
        ("fragment-encode", Normalizer::FragmentEncode),
        ("fragment-strip", Normalizer::FragmentStrip),
        ("path-merge-slashes", Normalizer::PathMergeSlashes),
        ("path-strip-dot", Normalizer::PathStripDot),
        ("path-strip-dotdot", Normalizer::PathStripDotDot { full: false }),
        ("percent-decode-unreserved", Normalizer::PercentDecodeUnreserved { strict: false }),
        ("percent-to-uppercase", Normalizer::PercentToUppercase { strict: false }),
        ("query-sort-by-name", Normalizer::QuerySortByName),
    ];

    /// Finds a normalizer by name.
    pub fn from_name(name: &str) -> Option<Normalizer> {
        Normalizer::NAMES.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// Normalizes the URI of a request.
    ///
    /// # Errors
    /// [`EditError::BadRequest`]: a malformed escape, when strict. The message is unchanged.
    pub fn apply(self, head: &mut Head) -> Result<(), EditError> {
        if !head.path().starts_with(b"/") {
            return Ok(());
        }
        match self {
            Normalizer::FragmentEncode => {
                if head.path_and_query().contains(&b'#') {
                    let new = fragment_encode(head.path_and_query());
                    head.set_path_and_query(&new);
                }
            }
            Normalizer::FragmentStrip => {
                if let Some(at) = memchr::memchr(b'#', head.path_and_query()) {
                    let new = head.path_and_query()[..at].to_vec();
                    head.set_path_and_query(&new);
                }
            }
            Normalizer::PathMergeSlashes => {
                let mut new = head.path().to_vec();
                new.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
                set_path(head, &new);
            }
            Normalizer::PathStripDot => {
                let new = strip_dot(head.path());
                set_path(head, &new);
            }
            Normalizer::PathStripDotDot { full } => {
                let new = strip_dot_dot(head.path(), full);
                set_path(head, &new);
            }
            Normalizer::PercentDecodeUnreserved { strict } => {
                let new = rewrite_escapes(head.path_and_query(), strict, |escape, byte, out| {
                    match byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                        true => out.push(byte),
                        false => out.extend_from_slice(escape),
                    }
                })?;
                set_path_and_query(head, &new);
            }
            Normalizer::PercentToUppercase { strict } => {
                let new = rewrite_escapes(head.path_and_query(), strict, |escape, _, out| {
                    out.extend(escape.iter().map(u8::to_ascii_uppercase));
                })?;
                set_path_and_query(head, &new);
            }
            Normalizer::QuerySortByName => {
                if let Some(query) = head.query() {
                    let mut parts: Vec<&[u8]> = query.split(|&byte| byte == b'&').collect();
                    parts.sort_by_key(|part| part.split(|&byte| byte == b'=').next());
                    let new = parts.join(&b'&');
                    if new != query {
                        head.set_query(&new);
                    }
                }
            }
        }
        Ok(())
    }
}

fn set_path(head: &mut Head, new: &[u8]) {
    if new != head.path() {
        head.set_path(new);
    }
}

fn set_path_and_query(head: &mut Head, new: &[u8]) {
    if new != head.path_and_query() {
        head.set_path_and_query(new);
    }
}

fn fragment_encode(target: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(target.len() + 2);
    for &byte in target {
        match byte {
            b'#' => out.extend_from_slice(b"%23"),
            _ => out.push(byte),
        }
    }
    out
}

fn strip_dot(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut parts = path[1..].split(|&byte| byte == b'/').peekable();
    while let Some(part) = parts.next() {
        match (part, parts.peek()) {
            (b".", Some(_)) => {}
            (b".", None) => kept.push(b""),
            (part, _) => kept.push(part),
        }
    }
    [b"/", &*kept.join(&b'/')].concat()
}

fn strip_dot_dot(path: &[u8], full: bool) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut parts = path[1..].split(|&byte| byte == b'/').peekable();
    while let Some(part) = parts.next() {
        if part != b".." {
            kept.push(part);
            continue;
        }
        match kept.last() {
            Some(last) if *last != b".." => {
                kept.pop();
            }
            Some(_) | None if full => {}
            Some(_) | None => kept.push(b".."),
        }
        if parts.peek().is_none() {
            kept.push(b"");
        }
    }
    [b"/", &*kept.join(&b'/')].concat()
}

/// Gives every `%XX` to `write`, with the byte it stands for.
fn rewrite_escapes(
    target: &[u8],
    strict: bool,
    write: impl Fn(&[u8], u8, &mut Vec<u8>),
) -> Result<Vec<u8>, EditError> {
    let digit = |at: usize| target.get(at).and_then(|&byte| crate::regex::hex_digit(byte));
    let mut out = Vec::with_capacity(target.len());
    let mut at = 0;
    while let Some(&byte) = target.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                write(&target[at..at + 3], high << 4 | low, &mut out);
                at += 3;
            }
            (b'%', _, _) if strict => return Err(EditError::BadRequest),
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(out)
}
