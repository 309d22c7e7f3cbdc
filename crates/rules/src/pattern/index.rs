//! Compiled patterns arranged for look-up. Exact text is hashed, prefixes and suffixes are hashed by length, networks by
//! mask, the rest is tried in the order of the list. A clone shares what it does not change, so a change is cheap and
//! readers keep the index that they have.

use super::MatchMethod;
use super::parse::{Pattern, compile};
use super::shards::Shards;
use crate::regex::Regex;
use crate::value::Value;
use std::borrow::Cow;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::BitAnd;
use std::sync::Arc;

/// What separates the parts of a path for `dir`.
pub(crate) const DIR_DELIMITERS: &[u8] = b"/";
/// What separates the parts of a URL for `dom`.
pub(crate) const DOM_DELIMITERS: &[u8] = b"/?.:";

/// A value of a map, in the map's output type.
#[derive(Debug, Clone, PartialEq)]
pub enum MapValue {
    Str(Arc<[u8]>),
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
pub(crate) struct Slot {
    /// The entry of the list; lower is earlier.
    pub(crate) id: u64,
    /// `None` in ACLs.
    pub(crate) value: Option<MapValue>,
}

/// The entries of one pattern, as duplicates are allowed: the first counts, and the next when it is deleted.
#[derive(Debug, Clone)]
struct Slots {
    first: Slot,
    others: Vec<Slot>,
}

/// Patterns that are looked up by a key.
#[derive(Debug, Clone)]
struct Keyed<K>(Shards<K, Slots>);

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(expected: usize) -> Keyed<K> {
        Keyed(Shards::new(expected))
    }

    fn insert(&mut self, key: K, slot: Slot) {
        let piece = self.0.piece(&key);
        match piece.get_mut(&key) {
            Some(slots) => slots.others.push(slot),
            None => {
                piece.insert(key, Slots { first: slot, others: Vec::new() });
            }
        }
    }

    fn remove(&mut self, key: &K, id: u64) {
        let piece = self.0.piece(key);
        let Some(slots) = piece.get_mut(key) else { return };
        if slots.first.id != id {
            slots.others.retain(|slot| slot.id != id);
        } else if slots.others.is_empty() {
            piece.remove(key);
        } else {
            slots.first = slots.others.remove(0);
        }
    }

    fn slot_mut(&mut self, key: &K, id: u64) -> Option<&mut Slot> {
        let slots = self.0.piece(key).get_mut(key)?;
        if slots.first.id == id {
            return Some(&mut slots.first);
        }
        slots.others.iter_mut().find(|slot| slot.id == id)
    }
}

/// Keyed patterns in groups of which several may match: masks, or lengths. The finest group comes first.
#[derive(Debug, Clone)]
struct Groups<G, K>(Vec<(G, Keyed<K>)>);

impl<G: Copy + Ord, K: Hash + Eq + Clone> Groups<G, K> {
    fn group(&mut self, group: G, expected: usize) -> &mut Keyed<K> {
        let at = match self.0.binary_search_by(|(known, _)| group.cmp(known)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (group, Keyed::new(expected)));
                at
            }
        };
        &mut self.0[at].1
    }

    fn remove(&mut self, group: G, key: &K, id: u64) {
        if let Some(at) = self.0.iter().position(|(known, _)| *known == group) {
            self.0[at].1.remove(key, id);
            if self.0[at].1.0.is_empty() {
                self.0.remove(at);
            }
        }
    }
}

/// Networks by mask.
type Networks<A> = Groups<A, A>;

impl<A: Copy + Ord + Hash + BitAnd<Output = A>> Networks<A> {
    fn find(&self, address: A) -> Option<&Slot> {
        self.0
            .iter()
            .find_map(|(mask, networks)| networks.0.get(&(address & *mask)))
            .map(|slots| &slots.first)
    }
}

/// The arranged patterns of one list for one matching method.
#[derive(Debug, Clone)]
pub struct Index {
    method: MatchMethod,
    ignore_case: bool,
    expected: usize,
    exact: Keyed<Arc<[u8]>>,
    /// Prefixes or suffixes by length.
    by_length: Groups<usize, Arc<[u8]>>,
    networks4: Networks<u32>,
    networks6: Networks<u128>,
    /// Tried in order.
    linear: Vec<(Pattern, Slot)>,
}

impl Index {
    /// An index without patterns that will hold about `expected`.
    pub fn new(method: MatchMethod, ignore_case: bool, expected: usize) -> Index {
        let is_exact = matches!(method, MatchMethod::Str | MatchMethod::Bin);
        Index {
            method,
            ignore_case,
            expected,
            exact: Keyed::new(if is_exact { expected } else { 0 }),
            by_length: Groups(Vec::new()),
            networks4: Groups(Vec::new()),
            networks6: Groups(Vec::new()),
            linear: Vec::new(),
        }
    }

    fn key(&self, bytes: Arc<[u8]>) -> Arc<[u8]> {
        match self.ignore_case && bytes.iter().any(u8::is_ascii_uppercase) {
            true => bytes.to_ascii_lowercase().into(),
            false => bytes,
        }
    }

    /// Adds a pattern. Of equal patterns the first counts.
    ///
    /// # Errors
    /// The pattern does not fit the method.
    pub(crate) fn insert(&mut self, text: &Arc<[u8]>, slot: Slot) -> Result<(), String> {
        match (compile(self.method, text, self.ignore_case)?, self.method) {
            (Pattern::Net4(address, mask), _) => {
                self.networks4.group(mask, self.expected).insert(address, slot);
            }
            (Pattern::Net6(address, mask), _) => {
                self.networks6.group(mask, self.expected).insert(address, slot);
            }
            (Pattern::Bytes(bytes), MatchMethod::Str | MatchMethod::Bin) => {
                let key = self.key(bytes);
                self.exact.insert(key, slot);
            }
            (Pattern::Bytes(bytes), MatchMethod::Beg | MatchMethod::End) => {
                let key = self.key(bytes);
                self.by_length.group(key.len(), self.expected / 4).insert(key, slot);
            }
            (pattern, _) => self.linear.push((pattern, slot)),
        }
        Ok(())
    }

    /// Takes out the pattern of an entry.
    pub(crate) fn remove(&mut self, text: &Arc<[u8]>, id: u64) {
        match (compile(self.method, text, self.ignore_case), self.method) {
            (Ok(Pattern::Net4(address, mask)), _) => self.networks4.remove(mask, &address, id),
            (Ok(Pattern::Net6(address, mask)), _) => self.networks6.remove(mask, &address, id),
            (Ok(Pattern::Bytes(bytes)), MatchMethod::Str | MatchMethod::Bin) => {
                let key = self.key(bytes);
                self.exact.remove(&key, id);
            }
            (Ok(Pattern::Bytes(bytes)), MatchMethod::Beg | MatchMethod::End) => {
                let key = self.key(bytes);
                self.by_length.remove(key.len(), &key, id);
            }
            (Ok(_) | Err(_), _) => self.linear.retain(|(_, slot)| slot.id != id),
        }
    }

    /// Changes the value of an entry.
    pub(crate) fn set(&mut self, text: &Arc<[u8]>, id: u64, value: Option<MapValue>) {
        let slot = match (compile(self.method, text, self.ignore_case), self.method) {
            (Ok(Pattern::Net4(address, mask)), _) => self.networks4.group(mask, 0).slot_mut(&address, id),
            (Ok(Pattern::Net6(address, mask)), _) => self.networks6.group(mask, 0).slot_mut(&address, id),
            (Ok(Pattern::Bytes(bytes)), MatchMethod::Str | MatchMethod::Bin) => {
                let key = self.key(bytes);
                self.exact.slot_mut(&key, id)
            }
            (Ok(Pattern::Bytes(bytes)), MatchMethod::Beg | MatchMethod::End) => {
                let key = self.key(bytes);
                self.by_length.group(key.len(), 0).slot_mut(&key, id)
            }
            (Ok(_) | Err(_), _) => {
                self.linear.iter_mut().find(|(_, slot)| slot.id == id).map(|(_, slot)| slot)
            }
        };
        if let Some(slot) = slot {
            slot.value = value;
        }
    }

    /// The pattern that matches, if one does. The value has the method's input type.
    pub(crate) fn find(&self, value: &Value<'_>) -> Option<&Slot> {
        match self.method {
            MatchMethod::Found | MatchMethod::Bool | MatchMethod::Group => None,
            MatchMethod::Int | MatchMethod::DottedVersion => self.find_number(crate::cast::to_int(value)?),
            MatchMethod::Ip => match value {
                Value::Ip4(address) => self.find_ip4(*address),
                Value::Ip6(address) => self.find_ip6(*address),
                Value::Bool(_) | Value::Int(_) | Value::Str(_) | Value::Bin(_) | Value::Method(_) => None,
            },
            MatchMethod::Len => self.find_number(bytes_of(value)?.len() as i64),
            MatchMethod::Bin | MatchMethod::Str => {
                self.exact.0.get(&*self.folded(bytes_of(value)?)).map(|slots| &slots.first)
            }
            MatchMethod::Beg | MatchMethod::End => self.find_end(&self.folded(bytes_of(value)?)),
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

    fn folded<'v>(&self, bytes: &'v [u8]) -> Cow<'v, [u8]> {
        match self.ignore_case && bytes.iter().any(u8::is_ascii_uppercase) {
            true => Cow::Owned(bytes.to_ascii_lowercase()),
            false => Cow::Borrowed(bytes),
        }
    }

    /// Of several prefixes the longest wins, unless case is ignored: then, and of suffixes, the first of the list.
    fn find_end(&self, text: &[u8]) -> Option<&Slot> {
        let matching = self.by_length.0.iter().filter(|(length, _)| *length <= text.len()).filter_map(
            |(length, patterns)| {
                let part = match self.method {
                    MatchMethod::End => &text[text.len() - length..],
                    _beg => &text[..*length],
                };
                patterns.0.get(part).map(|slots| &slots.first)
            },
        );
        let mut matching = matching;
        match self.method == MatchMethod::Beg && !self.ignore_case {
            true => matching.next(),
            false => matching.min_by_key(|slot| slot.id),
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
}

pub(super) fn bytes_of<'v>(value: &'v Value<'_>) -> Option<&'v [u8]> {
    match value {
        Value::Str(bytes) | Value::Bin(bytes) | Value::Method(bytes) => Some(bytes),
        Value::Bool(_) | Value::Int(_) | Value::Ip4(_) | Value::Ip6(_) => None,
    }
}

fn same(left: &[u8], right: &[u8], fold: bool) -> bool {
    if fold { left.eq_ignore_ascii_case(right) } else { left == right }
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
