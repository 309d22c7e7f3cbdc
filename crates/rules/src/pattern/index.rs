//! Compiled patterns arranged for look-up. Exact text is hashed, networks are found by longest prefix, the rest is
//! tried in the order of the list. Immutable: a change makes a new index, readers keep the one they have.

use super::MatchMethod;
use super::parse::{Pattern, compile};
use crate::regex::Regex;
use crate::value::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What separates the parts of a path for `dir`.
pub(crate) const DIR_DELIMITERS: &[u8] = b"/";
/// What separates the parts of a URL for `dom`.
pub(crate) const DOM_DELIMITERS: &[u8] = b"/?.:";

/// A value of a map, in the map's output type.
#[derive(Debug, Clone, PartialEq)]
pub enum MapValue {
    Str(Box<[u8]>),
    Int(i64),
    Ip(IpAddr),
}

impl MapValue {
    /// The value as a sample of its own.
    pub fn to_value(&self) -> Value<'static> {
        match self {
            MapValue::Str(text) => Value::string(text.to_vec()),
            MapValue::Int(number) => Value::Int(*number),
            MapValue::Ip(address) => Value::ip(*address),
        }
    }
}

/// What a pattern leads to.
#[derive(Debug, Clone)]
pub struct Slot {
    /// `None` in ACLs.
    pub value: Option<MapValue>,
}

/// The arranged patterns of one list for one matching method.
#[derive(Debug)]
pub struct Index {
    method: MatchMethod,
    ignore_case: bool,
    exact: HashMap<Box<[u8]>, Slot>,
    networks4: Networks<u32>,
    networks6: Networks<u128>,
    /// Tried in order.
    linear: Vec<(Pattern, Slot)>,
}

/// Networks by mask, longest first.
#[derive(Debug)]
struct Networks<A> {
    by_mask: Vec<(A, HashMap<A, Slot>)>,
}

impl<A: Copy + Ord + std::hash::Hash + std::ops::BitAnd<Output = A>> Networks<A> {
    fn insert(&mut self, address: A, mask: A, slot: Slot) {
        let at = match self.by_mask.binary_search_by(|(known, _)| mask.cmp(known)) {
            Ok(at) => at,
            Err(at) => {
                self.by_mask.insert(at, (mask, HashMap::new()));
                at
            }
        };
        self.by_mask[at].1.entry(address).or_insert(slot);
    }

    fn find(&self, address: A) -> Option<&Slot> {
        self.by_mask.iter().find_map(|(mask, networks)| networks.get(&(address & *mask)))
    }
}

impl Index {
    /// An index without patterns.
    pub fn new(method: MatchMethod, ignore_case: bool) -> Index {
        Index {
            method,
            ignore_case,
            exact: HashMap::new(),
            networks4: Networks { by_mask: Vec::new() },
            networks6: Networks { by_mask: Vec::new() },
            linear: Vec::new(),
        }
    }

    /// Adds a pattern. Of equal patterns the first counts.
    ///
    /// # Errors
    /// The pattern does not fit the method.
    pub fn insert(&mut self, text: &[u8], slot: Slot) -> Result<(), String> {
        match (compile(self.method, text, self.ignore_case)?, self.method) {
            (Pattern::Net4(address, mask), _) => self.networks4.insert(address, mask, slot),
            (Pattern::Net6(address, mask), _) => self.networks6.insert(address, mask, slot),
            (Pattern::Bytes(bytes), MatchMethod::Str | MatchMethod::Bin) => {
                let key = if self.ignore_case { bytes.to_ascii_lowercase().into() } else { bytes };
                self.exact.entry(key).or_insert(slot);
            }
            (pattern, _) => self.linear.push((pattern, slot)),
        }
        Ok(())
    }

    /// The pattern that matches, if one does. The value has the method's input type.
    pub fn find(&self, value: &Value<'_>) -> Option<&Slot> {
        match self.method {
            MatchMethod::Found | MatchMethod::Bool | MatchMethod::Group => None,
            MatchMethod::Int | MatchMethod::DottedVersion => match value {
                Value::Int(number) => self.find_number(*number),
                other => self.find_number(crate::cast::to_int(other)?),
            },
            MatchMethod::Ip => match value {
                Value::Ip4(address) => self.find_ip4(*address),
                Value::Ip6(address) => self.find_ip6(*address),
                Value::Bool(_) | Value::Int(_) | Value::Str(_) | Value::Bin(_) | Value::Method(_) => None,
            },
            MatchMethod::Len => self.find_number(bytes_of(value)?.len() as i64),
            MatchMethod::Bin | MatchMethod::Str => {
                let bytes = bytes_of(value)?;
                let key = if self.ignore_case {
                    Cow::Owned(bytes.to_ascii_lowercase())
                } else {
                    Cow::Borrowed(bytes)
                };
                self.exact.get(&*key)
            }
            MatchMethod::Beg => {
                // Of several prefixes the longest wins, unless case is ignored: then the first of the list.
                if self.ignore_case {
                    self.first(value, begins)
                } else {
                    self.longest_prefix(bytes_of(value)?)
                }
            }
            MatchMethod::End => self.first(value, ends),
            MatchMethod::Sub => self.first(value, contains),
            MatchMethod::Dir => {
                self.first(value, |text, part, fold| has_part(text, part, DIR_DELIMITERS, fold))
            }
            MatchMethod::Dom => {
                self.first(value, |text, part, fold| has_part(text, part, DOM_DELIMITERS, fold))
            }
            MatchMethod::Method => self.first(value, same_method),
            MatchMethod::Reg => {
                let subject = bytes_of(value)?;
                self.regexes().find(|(regex, _)| regex.is_match(subject)).map(|(_, slot)| slot)
            }
        }
    }

    /// The expressions of a `reg` index, in order.
    pub(crate) fn regexes(&self) -> impl Iterator<Item = (&Regex, &Slot)> {
        self.linear.iter().filter_map(|(pattern, slot)| match pattern {
            Pattern::Regex(regex) => Some((&**regex, slot)),
            Pattern::Range(..) | Pattern::Net4(..) | Pattern::Net6(..) | Pattern::Bytes(_) => None,
        })
    }

    /// The texts of a list that is tried in order.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.linear.iter().filter_map(|(pattern, _)| match pattern {
            Pattern::Bytes(bytes) => Some(&**bytes),
            Pattern::Range(..) | Pattern::Net4(..) | Pattern::Net6(..) | Pattern::Regex(_) => None,
        })
    }

    fn find_number(&self, number: i64) -> Option<&Slot> {
        let holds = |pattern: &Pattern| match pattern {
            Pattern::Range(from, to) => (*from..=*to).contains(&number),
            Pattern::Net4(..) | Pattern::Net6(..) | Pattern::Bytes(_) | Pattern::Regex(_) => false,
        };
        self.linear.iter().find(|(pattern, _)| holds(pattern)).map(|(_, slot)| slot)
    }

    /// IPv4 networks first, then the address as IPv6 sees it.
    fn find_ip4(&self, address: Ipv4Addr) -> Option<&Slot> {
        let mapped = || self.networks6.find(u128::from(address.to_ipv6_mapped()));
        self.networks4.find(u32::from(address)).or_else(mapped)
    }

    fn find_ip6(&self, address: Ipv6Addr) -> Option<&Slot> {
        let inner = || self.networks4.find(u32::from(crate::cast::ip6_to_ip4(address)?));
        self.networks6.find(u128::from(address)).or_else(inner)
    }

    fn first(&self, value: &Value<'_>, holds: fn(&[u8], &[u8], bool) -> bool) -> Option<&Slot> {
        let text = bytes_of(value)?;
        let matches = |pattern: &Pattern| match pattern {
            Pattern::Bytes(bytes) => holds(text, bytes, self.ignore_case),
            Pattern::Range(..) | Pattern::Net4(..) | Pattern::Net6(..) | Pattern::Regex(_) => false,
        };
        self.linear.iter().find(|(pattern, _)| matches(pattern)).map(|(_, slot)| slot)
    }

    fn longest_prefix(&self, text: &[u8]) -> Option<&Slot> {
        let mut best: Option<(usize, &Slot)> = None;
        for (pattern, slot) in &self.linear {
            let Pattern::Bytes(bytes) = pattern else { continue };
            if text.starts_with(bytes) && best.is_none_or(|(length, _)| bytes.len() > length) {
                best = Some((bytes.len(), slot));
            }
        }
        best.map(|(_, slot)| slot)
    }
}

fn bytes_of<'v>(value: &'v Value<'_>) -> Option<&'v [u8]> {
    match value {
        Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => Some(bytes),
        Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) => None,
    }
}

fn same(left: &[u8], right: &[u8], fold: bool) -> bool {
    if fold { left.eq_ignore_ascii_case(right) } else { left == right }
}

fn begins(text: &[u8], prefix: &[u8], fold: bool) -> bool {
    text.len() >= prefix.len() && same(&text[..prefix.len()], prefix, fold)
}

fn ends(text: &[u8], suffix: &[u8], fold: bool) -> bool {
    text.len() >= suffix.len() && same(&text[text.len() - suffix.len()..], suffix, fold)
}

fn contains(text: &[u8], part: &[u8], fold: bool) -> bool {
    match fold {
        false => memchr::memmem::find(text, part).is_some(),
        true => part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part)),
    }
}

/// Known methods are told apart by case; of the others `-i` ignores it.
fn same_method(method: &[u8], pattern: &[u8], fold: bool) -> bool {
    let known = |name| http::Method::from_bytes(name) != http::Method::Other;
    same(method, pattern, fold && !known(method) && !known(pattern))
}

/// Whether `part` stands in `text` between delimiters or ends.
fn has_part(text: &[u8], part: &[u8], delimiters: &[u8], fold: bool) -> bool {
    if part.is_empty() {
        return false;
    }
    let is_delimiter = |at: usize| text.get(at).is_none_or(|byte| delimiters.contains(byte));
    let mut at = 0;
    while at + part.len() <= text.len() {
        let starts = at == 0 || is_delimiter(at - 1);
        if starts && same(&text[at..at + part.len()], part, fold) && is_delimiter(at + part.len()) {
            return true;
        }
        at += 1;
    }
    false
}
