//! The words of one statement, and readers for every kind of value.

use crate::context::{Context, Outcome, fail};
use crate::language::{Node, Word};
use crate::model::{Family, Prefix};
use diag::{Diagnostic, Span};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Microseconds of the longest time a value can tell: what fits 32 bits, as keepalived reads them.
pub(crate) const TIMER_MAX: Duration = Duration::from_micros(u32::MAX as u64);

/// Words in order. Readers say what is wrong with the word they took, or that there is none.
pub(crate) struct Arguments<'n> {
    pub node: &'n Node,
    words: Vec<Word>,
    next: usize,
}

impl<'n> Arguments<'n> {
    pub fn new(node: &'n Node) -> Arguments<'n> {
        Arguments { node, words: node.words(), next: 0 }
    }

    /// The block after the words; empty when there is none.
    pub fn block(&self) -> &'n [Node] {
        self.node.block.as_deref().unwrap_or_default()
    }

    pub fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.next).cloned();
        self.next += usize::from(word.is_some());
        word
    }

    pub fn peek(&self) -> Option<&Word> {
        self.words.get(self.next)
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.value == wanted);
        self.next += usize::from(found);
        found
    }

    /// All that is left, without the others.
    pub fn rest(&mut self) -> Vec<Word> {
        let rest = self.words[self.next..].to_vec();
        self.next = self.words.len();
        rest
    }

    /// The words after the keyword, split as a shell does.
    pub fn quoted_rest(&mut self) -> Outcome<Vec<Word>> {
        let from = self.peek().map_or(usize::MAX, |word| word.at);
        self.next = self.words.len();
        match self.node.quoted_words() {
            Ok(words) => Ok(words.into_iter().filter(|word| word.at >= from).collect()),
            Err(span) => fail(span, "this quote is never closed"),
        }
    }

    /// Where a missing word would stand.
    pub fn end(&self) -> Span {
        let span = self.node.span();
        match self.words.last() {
            Some(last) => last.span,
            None => span,
        }
    }

    pub fn word(&mut self, what: &str) -> Outcome<Word> {
        let keyword = self.words.first().map_or("", |word| word.value.as_str()).to_owned();
        match self.next() {
            Some(word) => Ok(word),
            None => fail(self.end(), format!("`{keyword}` needs {what}")),
        }
    }

    pub fn string(&mut self, what: &str) -> Outcome<String> {
        Ok(self.word(what)?.value)
    }

    pub fn path(&mut self, what: &str) -> Outcome<std::path::PathBuf> {
        Ok(self.word(what)?.value.into())
    }

    pub fn integer(&mut self, range: RangeInclusive<i64>) -> Outcome<i64> {
        let word = self.word("a number")?;
        integer(&word, range)
    }

    /// A time in seconds with fractions down to microseconds.
    pub fn seconds(&mut self, least: Duration, most: Duration) -> Outcome<Duration> {
        let word = self.word("a time in seconds")?;
        seconds(&word, least, most)
    }

    pub fn timer(&mut self) -> Outcome<Duration> {
        self.seconds(Duration::ZERO, TIMER_MAX)
    }

    /// `on`, `off`, …; alone it means on.
    pub fn switch(&mut self) -> Outcome<bool> {
        match self.next() {
            Some(word) => boolean(&word),
            None => Ok(true),
        }
    }

    pub fn address(&mut self) -> Outcome<IpAddr> {
        let word = self.word("an address")?;
        address(&word)
    }

    pub fn port(&mut self) -> Outcome<u16> {
        Ok(self.integer(1..=65_535)? as u16)
    }

    /// The name of an interface.
    pub fn interface(&mut self) -> Outcome<String> {
        let word = self.word("the name of an interface")?;
        interface_name(&word)?;
        Ok(word.value)
    }

    /// `CHECK NAME {`: exactly one name.
    pub fn block_name(&mut self, keyword: &str) -> Outcome<Word> {
        let name = self.word("a name before its block")?;
        match self.next() {
            Some(extra) => {
                fail(extra.span, format!("`{keyword}` has one name; `{}` is a second one", extra.value))
            }
            None => Ok(name),
        }
    }

    /// Every word of every line in the block.
    pub fn block_words(&self, context: &mut Context<'_>) -> Vec<Word> {
        let mut words = Vec::new();
        for node in self.block() {
            if node.block.is_some() {
                context.push_alert(Diagnostic::alert(node.span(), "no block is expected here"));
                continue;
            }
            words.extend(node.words());
        }
        words
    }
}

/// Longest name of an interface, IFNAMSIZ − 1.
const INTERFACE_NAME_MAX: usize = 15;

pub(crate) fn interface_name(word: &Word) -> Outcome {
    let name = &word.value;
    if name.is_empty() || name.len() > INTERFACE_NAME_MAX || name.contains('/') {
        return fail(
            word.span,
            format!(
                "`{name}` cannot be the name of an interface: 1..={INTERFACE_NAME_MAX} letters without `/`"
            ),
        );
    }
    Ok(())
}

pub(crate) fn integer(word: &Word, range: RangeInclusive<i64>) -> Outcome<i64> {
    match word.value.strip_prefix('+').unwrap_or(&word.value).parse::<i64>() {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(value) => {
            fail(word.span, format!("{value} is out of range: {}..={} is valid", range.start(), range.end()))
        }
        Err(_) => fail(word.span, format!("`{}` is not a number", word.value)),
    }
}

/// A number that may be hexadecimal (0x) or octal (0), as iproute2 reads it.
pub(crate) fn any_base(word: &Word, range: RangeInclusive<i64>) -> Outcome<i64> {
    let digits = word.value.as_str();
    let value = if let Some(digits) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        i64::from_str_radix(digits, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    match value {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(value) => {
            fail(word.span, format!("{value} is out of range: {}..={} is valid", range.start(), range.end()))
        }
        Err(_) => fail(word.span, format!("`{}` is not a number", word.value)),
    }
}

/// Digits of a fraction that count.
const FRACTION_DIGITS: usize = 6;

/// Seconds with a fraction; further digits round.
pub(crate) fn decimal_micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if (whole.is_empty() && fraction.is_empty())
        || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut micros = 0u64;
    for place in 0..FRACTION_DIGITS {
        micros = micros * 10 + fraction.as_bytes().get(place).map_or(0, |digit| u64::from(digit - b'0'));
    }
    if fraction.as_bytes().get(FRACTION_DIGITS).is_some_and(|digit| *digit >= b'5') {
        micros += 1;
    }
    whole.checked_mul(1_000_000)?.checked_add(micros)
}

pub(crate) fn seconds(word: &Word, least: Duration, most: Duration) -> Outcome<Duration> {
    match decimal_micros(&word.value).map(Duration::from_micros) {
        Some(value) if value >= least && value <= most => Ok(value),
        Some(_) => fail(
            word.span,
            format!(
                "{} s is out of range: {}..={} is valid",
                word.value,
                least.as_secs_f64(),
                most.as_secs_f64()
            ),
        ),
        None => fail(word.span, format!("`{}` is not a time in seconds", word.value)),
    }
}

pub(crate) fn boolean(word: &Word) -> Outcome<bool> {
    match word.value.as_str() {
        "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        other => fail(word.span, format!("`{other}` is neither on, true, yes nor off, false, no")),
    }
}

pub(crate) fn address(word: &Word) -> Outcome<IpAddr> {
    match word.value.parse() {
        Ok(address) => Ok(address),
        Err(_) => fail(word.span, format!("`{}` is not an IP address", word.value)),
    }
}

/// `ADDRESS[/LENGTH]`, and the words for all of a family.
pub(crate) fn prefix(word: &Word, family: Option<Family>) -> Outcome<Prefix> {
    let everything = |family: Option<Family>| match family {
        Some(Family::Ipv6) => Prefix { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 },
        Some(Family::Ipv4) | None => Prefix { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 0 },
    };
    match word.value.as_str() {
        "default" | "any" | "all" => return Ok(everything(family)),
        "default6" => return Ok(everything(Some(Family::Ipv6))),
        _ => {}
    }
    let (text, length) = match word.value.split_once('/') {
        Some((text, length)) => (text, Some(length)),
        None => (word.value.as_str(), None),
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        return fail(word.span, format!("`{text}` is not an IP address"));
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(digits) => match digits.parse::<u8>() {
            Ok(length) if length <= most => length,
            Ok(_) | Err(_) => {
                return fail(word.span, format!("`/{digits}` is no mask: /0 to /{most} is valid"));
            }
        },
    };
    Ok(Prefix { address, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond() {
        assert_eq!(decimal_micros("0.01"), Some(10_000));
        assert_eq!(decimal_micros("2.71828"), Some(2_718_280));
        assert_eq!(decimal_micros("1"), Some(1_000_000));
        assert_eq!(decimal_micros(".5"), Some(500_000));
        assert_eq!(decimal_micros("1.0000005"), Some(1_000_001));
        for wrong in ["", ".", "-1", "1s", "1.2.3", "99999999999999999999"] {
            assert_eq!(decimal_micros(wrong), None, "{wrong}");
        }
    }
}
