//! What every keyword parser is given: the words of its line, and a place to tell mistakes.

use crate::Names;
use crate::language::{Environment, Line, Word};
use crate::units::{self, TimeUnit};
use diag::{Diagnostic, Report, Sources, Span};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The result of reading one keyword. The error is reported and reading goes on with the next line.
pub(crate) type Outcome<T = ()> = Result<T, Box<Diagnostic>>;

/// An error about a place.
pub(crate) fn fail<T>(span: Span, message: impl Into<String>) -> Outcome<T> {
    Err(Box::new(Diagnostic::alert(span, message)))
}

/// An error about a place, and what to write instead.
pub(crate) fn fail_with_help<T>(
    span: Span,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Outcome<T> {
    Err(Box::new(Diagnostic::alert(span, message).with_help(help)))
}

/// What all parsers of a load share.
pub(crate) struct Context<'a> {
    pub report: &'a mut Report,
    pub sources: &'a Sources,
    pub names: &'a Names,
    /// The environment as the files left it.
    pub environment: &'a Environment,
    /// Every list of patterns and every map of the configuration.
    pub patterns: rules::PatternStore,
    /// What its expressions need.
    pub uses: rules::Uses,
    /// Stick tables as they are met.
    pub tables: Vec<(rules::TableId, crate::model::Table)>,
    pub unix_bind: crate::bind::UnixBind,
    /// What relative file names in the configuration start from (`default-path`); empty: the working directory.
    pub base_directory: std::path::PathBuf,
}

/// The word before a keyword that turns it off or back to its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    None,
    /// `no option …`
    No,
    /// `default option …`
    Default,
}

impl Context<'_> {
    pub fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.report.push(Diagnostic::warning(span, message));
    }

    /// A form of older versions: it still works, and this is how it is written today.
    pub fn warn_old(&mut self, span: Span, message: impl Into<String>, modern: impl Into<String>) {
        self.report.push(Diagnostic::warning(span, message).with_help(modern));
    }

    /// Names and texts are UTF-8 here: other bytes do not get through.
    pub fn warn_not_utf8(&mut self, line: &Line) {
        if let Some(word) = line.words.iter().find(|word| !word.is_utf8()) {
            self.warn(word.span, "this word is not UTF-8: its other bytes are replaced");
        }
    }

    pub fn report_error(&mut self, outcome: Outcome) {
        if let Err(diagnostic) = outcome {
            self.report.push(*diagnostic);
        }
    }

    /// The directory of the file that a span lies in.
    pub fn directory_of(&self, span: Span) -> std::path::PathBuf {
        let name = std::path::Path::new(self.sources.name(span.file));
        name.parent().map(std::path::Path::to_path_buf).unwrap_or_default()
    }

    /// A file name of the configuration as a path that can be opened.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.base_directory.join(name)
    }
}

/// The words of one line, taken one by one. The first word (the keyword) is already taken.
#[derive(Clone)]
pub(crate) struct Arguments<'l> {
    line: &'l Line,
    next: usize,
    pub prefix: Prefix,
}

impl<'l> Arguments<'l> {
    pub fn new(line: &'l Line) -> Self {
        let prefix = match line.text(0) {
            "no" => Prefix::No,
            "default" => Prefix::Default,
            _ => Prefix::None,
        };
        // A lone `no` is an unknown keyword, not a prefix.
        let prefix = if line.words.len() > 1 { prefix } else { Prefix::None };
        Arguments { line, next: if prefix == Prefix::None { 1 } else { 2 }, prefix }
    }

    pub fn line(&self) -> &'l Line {
        self.line
    }

    /// The words taken so far, for messages: `timeout client`.
    pub fn keyword(&self) -> String {
        let taken: Vec<&str> = self.line.words[..self.next].iter().map(|word| word.value.as_str()).collect();
        taken.join(" ")
    }

    pub fn span(&self) -> Span {
        self.line.span
    }

    pub fn peek(&self) -> Option<&'l Word> {
        self.line.words.get(self.next)
    }

    pub fn next(&mut self) -> Option<&'l Word> {
        let word = self.line.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.value == word);
        if found {
            self.next += 1;
        }
        found
    }

    /// The next word, or an error that says what was expected after the words so far.
    pub fn expect(&mut self, what: &str) -> Outcome<&'l Word> {
        let last = &self.line.words[self.next.min(self.line.words.len()) - 1];
        match self.next() {
            Some(word) => Ok(word),
            None => fail(last.span, format!("`{}` expects {what}", last.value)),
        }
    }

    /// All words not yet taken; they count as taken now.
    pub fn rest(&mut self) -> &'l [Word] {
        let rest = &self.line.words[self.next.min(self.line.words.len())..];
        self.next = self.line.words.len();
        rest
    }

    /// Where the next word is in [`Line::words`].
    pub fn position(&self) -> usize {
        self.next
    }

    /// The word taken last.
    pub fn last(&self) -> &'l Word {
        &self.line.words[self.next - 1]
    }

    /// Goes on at another word.
    pub fn seek(&mut self, position: usize) {
        self.next = position;
    }

    /// Nothing may follow.
    pub fn end(&self) -> Outcome {
        match self.peek() {
            None => Ok(()),
            Some(extra) => fail(
                extra.span,
                format!("`{}` takes no further argument, found `{}`", self.keyword(), extra.value),
            ),
        }
    }

    pub fn time(&mut self, unit: TimeUnit) -> Outcome<Duration> {
        let word = self.expect("a time, such as 30s or 500ms")?;
        units::time(&word.value, unit).or_else(|message| fail(word.span, message))
    }

    /// Any word.
    pub fn string(&mut self) -> Outcome<String> {
        Ok(self.expect("a value")?.value.clone())
    }

    /// A time; without a unit it is milliseconds.
    pub fn duration(&mut self) -> Outcome<Duration> {
        self.time(TimeUnit::Milliseconds)
    }

    /// A time; without a unit it is seconds.
    pub fn seconds(&mut self) -> Outcome<Duration> {
        self.time(TimeUnit::Seconds)
    }

    /// A time that is not zero.
    pub fn interval(&mut self) -> Outcome<Duration> {
        let word = self.peek().cloned();
        match (self.duration()?, word) {
            (Duration::ZERO, Some(word)) => fail(word.span, "a time of 0 is not possible here"),
            (time, _) => Ok(time),
        }
    }

    /// A time in whole milliseconds.
    pub fn milliseconds(&mut self) -> Outcome<u32> {
        Ok(self.time(TimeUnit::Milliseconds)?.as_millis() as u32)
    }

    pub fn size(&mut self) -> Outcome<u64> {
        let word = self.expect("a size")?;
        units::size(&word.value).or_else(|message| fail(word.span, message))
    }

    pub fn integer(&mut self, range: RangeInclusive<i64>) -> Outcome<i64> {
        let keyword = self.line.words[self.next - 1].value.as_str();
        let word = self.expect("a number")?;
        units::integer(&word.value, range).or_else(|message| fail(word.span, format!("{keyword} {message}")))
    }

    /// A number that fits 32 bits and is not negative.
    pub fn count(&mut self) -> Outcome<u32> {
        Ok(self.integer(0..=i64::from(i32::MAX))? as u32)
    }

    /// A limit; 0 is how configurations write "none" or "the default".
    pub fn limit(&mut self) -> Outcome<Option<u32>> {
        Ok(Some(self.count()?).filter(|limit| *limit > 0))
    }

    /// A number from 1.
    pub fn positive(&mut self) -> Outcome<u32> {
        Ok(self.integer(1..=i64::from(i32::MAX))? as u32)
    }

    pub fn port(&mut self) -> Outcome<u16> {
        Ok(self.integer(1..=65_535)? as u16)
    }

    /// 0..=100.
    pub fn percent(&mut self) -> Outcome<u32> {
        Ok(self.integer(0..=100)? as u32)
    }

    /// `on` or `off`.
    pub fn switch(&mut self) -> Outcome<bool> {
        self.choice(&[("on", true), ("off", false)])
    }

    /// One of several words, each with its meaning.
    pub fn choice<T: Copy>(&mut self, choices: &[(&str, T)]) -> Outcome<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let word = self.expect(&format!("one of {}", names.join(", ")))?;
        match choices.iter().find(|(name, _)| *name == word.value) {
            Some((_, value)) => Ok(*value),
            None => {
                let message = format!("unknown value `{}`: expected one of {}", word.value, names.join(", "));
                match diag::nearest(&word.value, names) {
                    Some(near) => fail_with_help(word.span, message, format!("did you mean `{near}`?")),
                    None => fail(word.span, message),
                }
            }
        }
    }
}
