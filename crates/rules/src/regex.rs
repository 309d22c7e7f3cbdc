//! Regular expressions: PCRE2 with JIT and bounded matching, as HAProxy compiles them.
//! Owns the compile options and the limits; an expression that runs into a limit does not match.

use pcre2::bytes::{CaptureLocations, RegexBuilder};
use std::fmt;

/// Backtracking steps before a match gives up; protects a worker from expressions that explode on hostile input.
const MATCH_LIMIT: u32 = 100_000;

/// Nested backtracking before a match gives up.
const DEPTH_LIMIT: u32 = 10_000;

/// A compiled expression over bytes.
#[derive(Clone)]
pub struct Regex {
    compiled: pcre2::bytes::Regex,
    source: Box<str>,
}

impl fmt::Debug for Regex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "/{}/", self.source)
    }
}

impl Regex {
    /// Compiles.
    ///
    /// # Errors
    /// What PCRE2 says is wrong, and where.
    pub fn new(source: &[u8], ignore_case: bool) -> Result<Regex, String> {
        let text = &escape_invalid(source);
        let limited = format!("(*LIMIT_MATCH={MATCH_LIMIT})(*LIMIT_DEPTH={DEPTH_LIMIT}){text}");
        let compiled = RegexBuilder::new()
            .caseless(ignore_case)
            .jit_if_available(true)
            .build(&limited)
            .map_err(|error| format!("regular expression '{text}' is invalid: {error}"))?;
        Ok(Regex { compiled, source: text.as_str().into() })
    }

    /// Whether it matches anywhere in `subject`. Running into a limit is no match.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        self.compiled.is_match(subject).unwrap_or(false)
    }

    /// Room for the positions of one match.
    pub fn locations(&self) -> CaptureLocations {
        self.compiled.capture_locations()
    }

    /// First match at or after `start`: fills the groups and returns the whole match.
    pub fn find(
        &self,
        subject: &[u8],
        start: usize,
        groups: &mut CaptureLocations,
    ) -> Option<(usize, usize)> {
        let found = self.compiled.captures_read_at(groups, subject, start).ok()??;
        Some((found.start(), found.end()))
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// The expression as UTF-8: other bytes become `\xHH`, which means the same.
fn escape_invalid(source: &[u8]) -> String {
    let mut text = String::with_capacity(source.len());
    for chunk in source.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Appends `template` with `\0`–`\9` replaced by the groups of a match; `\xHH` is that byte; another escaped byte is
/// itself.
pub fn expand(template: &[u8], subject: &[u8], groups: &CaptureLocations, out: &mut Vec<u8>) {
    let mut rest = template.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            None => break,
            Some(digit @ b'0'..=b'9') => {
                if let Some((start, end)) = groups.get(usize::from(digit - b'0')) {
                    out.extend_from_slice(&subject[start..end]);
                }
            }
            Some(b'x') => {
                let pair = rest
                    .as_slice()
                    .get(..2)
                    .and_then(|pair| Some((hex_digit(pair[0])?, hex_digit(pair[1])?)));
                if let Some((high, low)) = pair {
                    rest.nth(1);
                    out.push(high << 4 | low);
                }
            }
            Some(&other) => out.push(other),
        }
    }
}

/// The value of one hexadecimal digit.
pub fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
