//! Lists of patterns that live as long as the process and can be changed while it runs: the references behind
//! `show map`, `add acl` and their like. Readers never wait for a writer: they use a snapshot.

use super::few::Few;
use super::{Index, MapValue, MatchMethod, Slot};
use crate::cast;
use crate::value::{Value, ValueType};
use arc_swap::{ArcSwap, Guard};
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

/// Most entries of one list.
const ENTRIES_MAX: usize = 16_000_000;

/// "No id yet": given out when everything is loaded.
const NO_ID: u32 = u32::MAX;

/// What a list is used for; a list may be both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    Acl,
    Map,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Unique in the list for its life, and in its order; the runtime API writes it as `#0x…`.
    pub id: u64,
    pub key: Arc<[u8]>,
    /// In lists with values.
    pub value: Option<Arc<[u8]>>,
    /// Line of the file, 0 for what the runtime API added.
    pub line: u32,
    /// Version of the list that the entry belongs to.
    pub generation: u32,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    all: BTreeMap<u64, Entry>,
    /// Hashes of keys with the ids, duplicates too.
    by_key: HashTable<(u64, u64)>,
    hasher: DefaultHashBuilder,
    next_id: u64,
    /// The version that is matched against.
    current: u32,
    /// The version given out last by `prepare`.
    next: u32,
    matchers: Vec<Arc<Matcher>>,
}

/// A named or numbered list.
pub struct PatternList {
    id: AtomicU32,
    /// The file it came from; inline patterns have none.
    pub file: Option<Box<[u8]>>,
    /// For people: what it is and where it is used.
    uses: Mutex<Vec<String>>,
    pub with_values: bool,
    is_acl: AtomicBool,
    is_map: AtomicBool,
    entries: Mutex<Entries>,
}

impl fmt::Debug for PatternList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PatternList({})", self.description())
    }
}

/// A list compiled for one matching method; what ACLs and maps hold.
#[derive(Debug)]
pub(crate) struct Matcher {
    method: MatchMethod,
    ignore_case: bool,
    /// Type of the values of a map.
    output: Option<ValueType>,
    /// The patterns of the configuration, where they are few: read without a shared counter until the list is changed.
    first: Option<Few>,
    /// The list is no longer what was loaded.
    changed: AtomicBool,
    index: ArcSwap<Index>,
}

impl Matcher {
    /// The patterns as they are now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Index>> {
        self.index.load()
    }

    /// Whether the value matches a pattern.
    pub(crate) fn matches(&self, value: &Value<'_>) -> bool {
        match &self.first {
            Some(first) if !self.changed.load(Acquire) => first.matches(value),
            Some(_) | None => self.index.load().find(value).is_some(),
        }
    }

    fn store(&self, index: Index) {
        self.index.store(Arc::new(index));
        self.changed.store(true, Release);
    }

    fn value_of(&self, entry: &Entry) -> Result<Option<MapValue>, String> {
        match (self.output, &entry.value) {
            (Some(output), Some(text)) => map_value(output, text).map(Some),
            (None, _) | (_, None) => Ok(None),
        }
    }

    fn insert(&self, index: &mut Index, entry: &Entry) -> Result<(), String> {
        let at_line = |reason| match entry.line {
            0 => reason,
            line => format!("line {line}: {reason}"),
        };
        let slot = Slot { id: entry.id, value: self.value_of(entry).map_err(at_line)? };
        index.insert(&entry.key, slot).map_err(at_line)
    }

    /// Everything anew.
    fn build(&self, entries: &Entries) -> Result<Index, String> {
        let mut index = Index::new(self.method, self.ignore_case, entries.all.len());
        for entry in entries.of(entries.current) {
            self.insert(&mut index, entry)?;
        }
        Ok(index)
    }

    /// One line of `get map` or `get acl`: how the list answers to a text.
    fn answer(&self, text: &[u8], kind: ListKind, entries: &Entries) -> String {
        let index = self.index.load();
        let value = cast::cast(Value::str(text), self.method.input());
        let found = value.and_then(|value| index.find(&value).map(|slot| (slot.id, slot.value.clone())));
        let case = if self.ignore_case { "insensitive" } else { "sensitive" };
        let (word, key) = match kind {
            ListKind::Acl => ("match", "pattern"),
            ListKind::Map => ("found", "key"),
        };
        let mut out = format!("type={}, case={case}, {word}=", self.method.name());
        let Some((entry, value)) = found.and_then(|(id, value)| Some((entries.all.get(&id)?, value))) else {
            out.push_str("no");
            return out;
        };
        let is_tree = matches!(self.method, MatchMethod::Str | MatchMethod::Beg | MatchMethod::Ip);
        let arrangement = if is_tree && !self.ignore_case { "tree" } else { "list" };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // Writing to a string cannot fail.
        let _written = write!(out, "yes, idx={arrangement}, {key}=\"{}\"", text(&entry.key));
        if kind == ListKind::Map {
            let _written = match (value, &entry.value) {
                (Some(value), Some(sample)) => {
                    let output = match value {
                        MapValue::Str(_) => "str",
                        MapValue::Int(_) => "sint",
                        MapValue::Ip(IpAddr::V4(_)) => "ipv4",
                        MapValue::Ip(IpAddr::V6(_)) => "ipv6",
                    };
                    write!(out, ", value=\"{}\", type=\"{output}\"", text(sample))
                }
                (None, _) | (_, None) => write!(out, ", value=none"),
            };
        }
        out
    }
}

/// A map's value in its output type.
pub(crate) fn map_value(output: ValueType, text: &[u8]) -> Result<MapValue, String> {
    match output {
        ValueType::Int => crate::args::parse_int(text)
            .map(MapValue::Int)
            .ok_or_else(|| format!("the value '{}' is not an integer", String::from_utf8_lossy(text))),
        ValueType::Address | ValueType::Ip4 | ValueType::Ip6 => cast::parse_ip(text)
            .map(MapValue::Ip)
            .ok_or_else(|| format!("the value '{}' is not an IP address", String::from_utf8_lossy(text))),
        ValueType::Any | ValueType::Bool | ValueType::Str | ValueType::Bin | ValueType::Method => {
            Ok(MapValue::Str(text.into()))
        }
    }
}

impl PatternList {
    pub(super) fn new(
        file: Option<Box<[u8]>>,
        description: String,
        id: Option<u32>,
        with_values: bool,
        entries: Entries,
    ) -> PatternList {
        PatternList {
            id: AtomicU32::new(id.unwrap_or(NO_ID)),
            file,
            uses: Mutex::new(vec![description]),
            with_values,
            is_acl: AtomicBool::new(false),
            is_map: AtomicBool::new(false),
            entries: Mutex::new(entries),
        }
    }

    /// The id that the runtime API shows; `None` while the configuration is being loaded.
    pub fn id(&self) -> Option<u32> {
        Some(self.id.load(Relaxed)).filter(|id| *id != NO_ID)
    }

    pub(super) fn set_id(&self, id: u32) {
        self.id.store(id, Relaxed);
    }

    /// What `show acl` and `show map` say of it: what it is, then where it is used.
    pub fn description(&self) -> String {
        self.uses.lock().join(", ")
    }

    pub(super) fn used(&self, kind: ListKind, by: Option<String>) {
        match kind {
            ListKind::Acl => self.is_acl.store(true, Relaxed),
            ListKind::Map => self.is_map.store(true, Relaxed),
        }
        let mut uses = self.uses.lock();
        if let Some(by) = by {
            match uses.len() {
                // The first use belongs to the sentence that says what the list is.
                1 if self.file.is_some() && !uses[0].contains(" by ") => {
                    let first = format!("{} {by}", uses[0]);
                    uses[0] = first;
                }
                _more => uses.push(by),
            }
        }
    }

    /// Whether ACLs, or maps, use it.
    pub fn is_used_by(&self, kind: ListKind) -> bool {
        match kind {
            ListKind::Acl => self.is_acl.load(Relaxed),
            ListKind::Map => self.is_map.load(Relaxed),
        }
    }

    /// The list compiled for a method; an equal one that exists is shared.
    ///
    /// # Errors
    /// A pattern that does not fit the method, with its line.
    pub(crate) fn matcher(
        &self,
        method: MatchMethod,
        ignore_case: bool,
        output: Option<ValueType>,
    ) -> Result<Arc<Matcher>, String> {
        let mut entries = self.entries.lock();
        let known = entries.matchers.iter().find(|matcher| {
            matcher.method == method && matcher.ignore_case == ignore_case && matcher.output == output
        });
        if let Some(matcher) = known {
            return Ok(matcher.clone());
        }
        let index = ArcSwap::from_pointee(Index::new(method, ignore_case, 0));
        let changed = AtomicBool::new(false);
        let mut matcher = Matcher { method, ignore_case, output, first: None, changed, index };
        let index = matcher.build(&entries)?;
        let keys: Vec<_> = entries.of(entries.current).map(|entry| &entry.key).collect();
        matcher.first = Few::new(method, ignore_case, &keys, &index);
        matcher.index.store(Arc::new(index));
        let matcher = Arc::new(matcher);
        entries.matchers.push(matcher.clone());
        Ok(matcher)
    }

    /// All entries of a version (the current one by default), in order.
    pub fn entries(&self, generation: Option<u32>) -> Vec<Entry> {
        let entries = self.entries.lock();
        entries.of(generation.unwrap_or(entries.current)).cloned().collect()
    }

    /// The version that is matched against, and the one given out last by [`prepare`](PatternList::prepare).
    pub fn generations(&self) -> (u32, u32) {
        let entries = self.entries.lock();
        (entries.current, entries.next)
    }

    /// Number of compiled entries, as `entry_cnt` counts them: each use of the list by another method counts anew.
    pub fn len(&self) -> usize {
        let entries = self.entries.lock();
        entries.all.len() * entries.matchers.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.lock().all.is_empty()
    }

    /// Adds one entry; as [`add_all`](PatternList::add_all).
    ///
    /// # Errors
    /// As [`add_all`](PatternList::add_all).
    pub fn add(&self, key: &[u8], value: Option<&[u8]>, generation: Option<u32>) -> Result<(), String> {
        self.add_all(&[(key, value)], generation)
    }

    /// Adds entries to the current version, or to a prepared one: all of them or none.
    ///
    /// # Errors
    /// A pattern or value does not fit one of the uses of this list, the version does not exist, or the list is full.
    pub fn add_all(&self, lines: &[(&[u8], Option<&[u8]>)], generation: Option<u32>) -> Result<(), String> {
        let mut entries = self.entries.lock();
        let generation = generation.unwrap_or(entries.current);
        if generation.wrapping_sub(entries.current) > entries.next.wrapping_sub(entries.current) {
            let kind = if self.is_used_by(ListKind::Map) { "map" } else { "acl" };
            return Err(format!("Version number in the future, please use 'prepare {kind}' before."));
        }
        let first = entries.next_id;
        let added = lines.iter().try_for_each(|(key, value)| entries.push(key, *value, 0, generation));
        let compiled = added.and_then(|()| {
            entries.change(|matcher, index, entries| {
                let new = entries.all.range(first..).map(|(_, entry)| entry);
                // What is prepared is only tried: it counts once it is committed.
                let mut trial = Index::new(matcher.method, matcher.ignore_case, 0);
                let target = if generation == entries.current { index } else { &mut trial };
                new.into_iter().try_for_each(|entry| matcher.insert(target, entry))
            })
        });
        if compiled.is_err() {
            entries.retain(|entry| entry.id < first);
        }
        compiled
    }

    /// Changes the value of all entries of that key; returns how many.
    ///
    /// # Errors
    /// The value does not fit one of the uses of this list.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<usize, String> {
        let mut entries = self.entries.lock();
        let ids = entries.ids_of(key);
        entries.set(&ids, value)
    }

    /// Changes the value of one entry; returns 1, or 0 when there is none of that id.
    ///
    /// # Errors
    /// The value does not fit one of the uses of this list.
    pub fn set_by_id(&self, id: u64, value: &[u8]) -> Result<usize, String> {
        let mut entries = self.entries.lock();
        let ids: Vec<u64> = entries.all.contains_key(&id).then_some(id).into_iter().collect();
        entries.set(&ids, value)
    }

    /// Removes all entries of that key from the current version; returns how many.
    pub fn delete(&self, key: &[u8]) -> usize {
        let mut entries = self.entries.lock();
        let ids = entries.ids_of(key);
        entries.delete(&ids)
    }

    /// Removes one entry; returns 1, or 0 when there is none of that id.
    pub fn delete_by_id(&self, id: u64) -> usize {
        self.entries.lock().delete(&[id])
    }

    /// Removes all entries of a version, or of the current one.
    pub fn clear(&self, generation: Option<u32>) {
        let mut entries = self.entries.lock();
        let generation = generation.unwrap_or(entries.current);
        entries.retain(|entry| entry.generation != generation);
        if generation == entries.current {
            entries.rebuild();
        }
    }

    /// Gives out the number of a new version to fill beside the current one.
    pub fn prepare(&self) -> u32 {
        let mut entries = self.entries.lock();
        entries.next = entries.next.wrapping_add(1);
        entries.next
    }

    /// Makes a prepared version the current one and drops all other entries that are not newer.
    ///
    /// # Errors
    /// The version was not given out.
    pub fn commit(&self, generation: u32) -> Result<(), String> {
        let mut entries = self.entries.lock();
        if generation.wrapping_sub(entries.current) > entries.next.wrapping_sub(entries.current) {
            return Err("Version number out of range.".into());
        }
        entries.retain(|entry| entry.generation >= generation);
        entries.current = generation;
        entries.rebuild();
        Ok(())
    }

    /// The lines of `get map` or `get acl`: how each use of the list answers to a text.
    pub fn answers(&self, text: &[u8], kind: ListKind) -> Vec<String> {
        let entries = self.entries.lock();
        entries.matchers.iter().map(|matcher| matcher.answer(text, kind, &entries)).collect()
    }
}

impl Entries {
    fn of(&self, generation: u32) -> impl Iterator<Item = &Entry> {
        self.all.values().filter(move |entry| entry.generation == generation)
    }

    pub(super) fn push(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        line: u32,
        generation: u32,
    ) -> Result<(), String> {
        if self.all.len() >= ENTRIES_MAX {
            return Err(format!("a list holds at most {ENTRIES_MAX} entries"));
        }
        let id = self.next_id;
        self.next_id += 1;
        let entry = Entry { id, key: key.into(), value: value.map(Into::into), line, generation };
        self.all.insert(id, entry);
        let hash = self.hasher.hash_one(key);
        self.by_key.insert_unique(hash, (hash, id), |(hash, _)| *hash);
        Ok(())
    }

    /// The entries of that key in the current version, in order.
    fn ids_of(&self, key: &[u8]) -> Vec<u64> {
        let is_wanted = |entry: &Entry| *entry.key == *key && entry.generation == self.current;
        let hashed = self.by_key.iter_hash(self.hasher.hash_one(key)).map(|(_, id)| *id);
        let mut ids: Vec<u64> = hashed.filter(|id| self.all.get(id).is_some_and(is_wanted)).collect();
        ids.sort_unstable();
        ids
    }

    /// Changes the index of every matcher, then shows all of them to readers; on error nothing changed for them.
    fn change(
        &self,
        mut with: impl FnMut(&Matcher, &mut Index, &Entries) -> Result<(), String>,
    ) -> Result<(), String> {
        let changed: Result<Vec<Index>, String> = self
            .matchers
            .iter()
            .map(|matcher| {
                let mut index = Index::clone(&matcher.index.load());
                with(matcher, &mut index, self).map(|()| index)
            })
            .collect();
        for (matcher, index) in self.matchers.iter().zip(changed?) {
            matcher.store(index);
        }
        Ok(())
    }

    fn set(&mut self, ids: &[u64], value: &[u8]) -> Result<usize, String> {
        self.change(|matcher, index, entries| {
            let value = matcher.output.map(|output| map_value(output, value)).transpose()?;
            for id in ids {
                index.set(&entries.all[id].key, *id, value.clone());
            }
            Ok(())
        })?;
        for id in ids {
            if let Some(entry) = self.all.get_mut(id) {
                entry.value = Some(value.into());
            }
        }
        Ok(ids.len())
    }

    fn delete(&mut self, ids: &[u64]) -> usize {
        let removed = self.change(|_, index, entries| {
            for entry in ids.iter().filter_map(|id| entries.all.get(id)) {
                index.remove(&entry.key, entry.id);
            }
            Ok(())
        });
        debug_assert!(removed.is_ok(), "taking out cannot fail");
        ids.iter().filter(|id| self.forget(**id)).count()
    }

    /// Takes an entry out of the list; the indexes are the caller's part.
    fn forget(&mut self, id: u64) -> bool {
        let Some(entry) = self.all.remove(&id) else { return false };
        let hash = self.hasher.hash_one(&*entry.key);
        if let Ok(found) = self.by_key.find_entry(hash, |(_, known)| *known == id) {
            found.remove();
        }
        true
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let gone: Vec<u64> = self.all.values().filter(|entry| !keep(entry)).map(|entry| entry.id).collect();
        for id in gone {
            self.forget(id);
        }
    }

    /// Compiles everything anew. Entries were compiled once when they were added, so none fails now; one that did
    /// would be left out.
    fn rebuild(&mut self) {
        for matcher in &self.matchers {
            let mut index = Index::new(matcher.method, matcher.ignore_case, self.all.len());
            for entry in self.of(self.current) {
                let _fits = matcher.insert(&mut index, entry);
            }
            matcher.store(index);
        }
    }
}
