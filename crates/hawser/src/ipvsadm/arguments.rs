//! Splits words into options and values the way ipvsadm's library does: clusters of short options, `--name=value`,
//! values that may be left out, and words that are no options kept for the end.

use super::Failure;
use super::option::{Meaning, OPTIONS, Row, Value};

/// The scanner over the words of one command.
#[derive(Debug)]
pub struct Arguments<'a> {
    words: &'a [String],
    /// The word to look at next.
    next: usize,
    /// What is left of a cluster, and the word that it is part of.
    cluster: Option<(&'a str, &'a str)>,
    /// Words that were no options.
    pub leftover: Vec<&'a str>,
}

/// One option as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    pub meaning: Meaning,
    pub value: Option<&'a str>,
    /// The word, for messages.
    pub word: &'a str,
}

impl<'a> Arguments<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Self { words, next: 0, cluster: None, leftover: Vec::new() }
    }

    /// The next option; `None` at the end.
    ///
    /// # Errors
    /// An option that nobody knows, or one with a value too many or too few.
    pub fn next_option(&mut self) -> Result<Option<Given<'a>>, Failure> {
        loop {
            if let Some((rest, word)) = self.cluster.take() {
                return self.short(rest, word).map(Some);
            }
            let Some(word) = self.words.get(self.next).map(String::as_str) else { return Ok(None) };
            self.next += 1;
            if word == "--" {
                self.leftover.extend(self.words[self.next..].iter().map(String::as_str));
                self.next = self.words.len();
            } else if let Some(name) = word.strip_prefix("--") {
                return self.long(name, word).map(Some);
            } else if let Some(rest) = word.strip_prefix('-')
                && !rest.is_empty()
            {
                self.cluster = Some((rest, word));
            } else {
                self.leftover.push(word);
            }
        }
    }

    fn long(&mut self, name: &'a str, word: &'a str) -> Result<Given<'a>, Failure> {
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let row = OPTIONS.iter().find(|row| row.long == name && !name.is_empty());
        let row = row.ok_or_else(|| Failure::bad_option(word, "unknown option"))?;
        if value.is_some() && row.value == Value::None {
            return Err(Failure::bad_option(word, "option does not take an argument"));
        }
        let value = match value {
            Some(value) => Some(value),
            None => self.following(row, word)?,
        };
        Ok(Given { meaning: row.meaning, value, word })
    }

    fn short(&mut self, rest: &'a str, word: &'a str) -> Result<Given<'a>, Failure> {
        let mut letters = rest.chars();
        let letter = letters.next().expect("clusters are never empty");
        let rest = letters.as_str();
        let row = OPTIONS.iter().find(|row| row.short == Some(letter));
        let row = row.ok_or_else(|| Failure::bad_option(word, "unknown option"))?;
        let value = match row.value {
            Value::None if rest.starts_with('=') => {
                return Err(Failure::bad_option(word, "option does not take an argument"));
            }
            Value::None => {
                if !rest.is_empty() {
                    self.cluster = Some((rest, word));
                }
                None
            }
            Value::Required | Value::Optional if !rest.is_empty() => {
                Some(rest.strip_prefix('=').unwrap_or(rest))
            }
            Value::Required | Value::Optional => self.following(row, word)?,
        };
        Ok(Given { meaning: row.meaning, value, word })
    }

    /// The next word as a value.
    fn following(&mut self, row: &Row, word: &str) -> Result<Option<&'a str>, Failure> {
        let next = self.words.get(self.next).map(String::as_str);
        match (row.value, next) {
            (Value::None, _) | (Value::Optional, None) => Ok(None),
            (Value::Optional, Some(next)) if next.starts_with('-') => Ok(None),
            (Value::Required | Value::Optional, Some(next)) => {
                self.next += 1;
                Ok(Some(next))
            }
            (Value::Required, None) => Err(Failure::bad_option(word, "missing argument")),
        }
    }
}
