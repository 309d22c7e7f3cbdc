//! Lists of patterns that live as long as the process and can be changed while it runs: the references behind
//! `show map`, `add acl` and their like. Readers never wait for a writer: they use a snapshot.

use super::file;
use super::{Index, MapValue, MatchMethod, Slot};
use crate::context::ReadFile;
use crate::value::{Value, ValueType};
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Most entries of one list.
const ENTRIES_MAX: usize = 16_000_000;

/// What a list is used for; a list may be both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    Acl,
    Map,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Unique in the list for its life; the runtime API writes it as `#0x…`.
    pub id: u64,
    pub key: Box<[u8]>,
    /// In lists with values.
    pub value: Option<Box<[u8]>>,
    /// Line of the file, 0 for what the runtime API added.
    pub line: u32,
    /// Version of the list that the entry belongs to.
    pub generation: u32,
}

#[derive(Debug, Default)]
struct Entries {
    all: Vec<Entry>,
    next_id: u64,
    /// The version that is matched against.
    current: u32,
    /// The version given out last by `prepare`.
    next: u32,
    matchers: Vec<Arc<Matcher>>,
}

/// A named or numbered list.
pub struct PatternList {
    pub id: u32,
    /// The file it came from; inline patterns have none.
    pub file: Option<Box<[u8]>>,
    /// For people: where it is used.
    pub description: String,
    pub with_values: bool,
    /// Used by an ACL, by a map.
    pub is_acl: bool,
    pub is_map: bool,
    entries: Mutex<Entries>,
}

impl fmt::Debug for PatternList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PatternList({}, {})", self.id, self.description)
    }
}

/// A list compiled for one matching method; what ACLs and maps hold.
#[derive(Debug)]
pub(crate) struct Matcher {
    method: MatchMethod,
    ignore_case: bool,
    /// Type of the values of a map.
    output: Option<ValueType>,
    index: ArcSwap<Index>,
}

impl Matcher {
    /// The patterns as they are now.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Index>> {
        self.index.load()
    }

    /// Whether the value matches a pattern.
    pub(crate) fn matches(&self, value: &Value<'_>) -> bool {
        self.index.load().find(value).is_some()
    }

    fn slot(&self, entry: &Entry) -> Result<Slot, String> {
        let value = match (self.output, &entry.value) {
            (Some(output), Some(text)) => Some(map_value(output, text)?),
            (None, _) | (_, None) => None,
        };
        Ok(Slot { value })
    }

    fn build(&self, entries: &[Entry], generation: u32) -> Result<Index, String> {
        let mut index = Index::new(self.method, self.ignore_case);
        for entry in entries.iter().filter(|entry| entry.generation == generation) {
            let at_line = |reason| match entry.line {
                0 => reason,
                line => format!("line {line}: {reason}"),
            };
            index.insert(&entry.key, self.slot(entry).map_err(at_line)?).map_err(at_line)?;
        }
        Ok(index)
    }
}

/// A map's value in its output type.
pub(crate) fn map_value(output: ValueType, text: &[u8]) -> Result<MapValue, String> {
    match output {
        ValueType::Int => crate::args::parse_int(text)
            .map(MapValue::Int)
            .ok_or_else(|| format!("the value '{}' is not an integer", String::from_utf8_lossy(text))),
        ValueType::Address | ValueType::Ip4 | ValueType::Ip6 => crate::cast::parse_ip(text)
            .map(MapValue::Ip)
            .ok_or_else(|| format!("the value '{}' is not an IP address", String::from_utf8_lossy(text))),
        ValueType::Any | ValueType::Bool | ValueType::Str | ValueType::Bin | ValueType::Method => {
            Ok(MapValue::Str(text.into()))
        }
    }
}

impl PatternList {
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
        let index = ArcSwap::from_pointee(Index::new(method, ignore_case));
        let matcher = Arc::new(Matcher { method, ignore_case, output, index });
        matcher.index.store(Arc::new(matcher.build(&entries.all, entries.current)?));
        entries.matchers.push(matcher.clone());
        Ok(matcher)
    }

    /// All entries of a version, in order.
    pub fn entries(&self, generation: u32) -> Vec<Entry> {
        let entries = self.entries.lock();
        entries.all.iter().filter(|entry| entry.generation == generation).cloned().collect()
    }

    /// The version that is matched against, and the one given out last by [`prepare`](PatternList::prepare).
    pub fn generations(&self) -> (u32, u32) {
        let entries = self.entries.lock();
        (entries.current, entries.next)
    }

    /// Number of entries, of all versions.
    pub fn len(&self) -> usize {
        self.entries.lock().all.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry to the current version, or to a prepared one.
    ///
    /// # Errors
    /// The pattern or value does not fit one of the uses of this list, or the list is full.
    pub fn add(&self, key: &[u8], value: Option<&[u8]>, generation: Option<u32>) -> Result<u64, String> {
        let mut entries = self.entries.lock();
        let generation = generation.unwrap_or(entries.current);
        let id = entries.push(key, value, 0, generation)?;
        if let Err(reason) = entries.rebuild() {
            entries.all.pop();
            return Err(reason);
        }
        Ok(id)
    }

    /// Changes the value of all entries of that key; returns how many.
    ///
    /// # Errors
    /// The value does not fit one of the uses of this list.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<usize, String> {
        self.set_where(value, |entry| *entry.key == *key)
    }

    /// Changes the value of one entry; returns 1, or 0 when there is none of that id.
    ///
    /// # Errors
    /// The value does not fit one of the uses of this list.
    pub fn set_by_id(&self, id: u64, value: &[u8]) -> Result<usize, String> {
        self.set_where(value, |entry| entry.id == id)
    }

    fn set_where(&self, value: &[u8], wanted: impl Fn(&Entry) -> bool) -> Result<usize, String> {
        let mut entries = self.entries.lock();
        for matcher in &entries.matchers {
            if let Some(output) = matcher.output {
                map_value(output, value)?;
            }
        }
        let current = entries.current;
        let mut changed = 0;
        for entry in entries.all.iter_mut().filter(|entry| entry.generation == current && wanted(entry)) {
            entry.value = Some(value.into());
            changed += 1;
        }
        entries.rebuild()?;
        Ok(changed)
    }

    /// Removes all entries of that key from the current version; returns how many.
    pub fn delete(&self, key: &[u8]) -> usize {
        self.delete_where(|entry, current| entry.generation == current && *entry.key == *key)
    }

    /// Removes one entry; returns 1, or 0 when there is none of that id.
    pub fn delete_by_id(&self, id: u64) -> usize {
        self.delete_where(|entry, _| entry.id == id)
    }

    /// Removes all entries of a version, or of the current one.
    pub fn clear(&self, generation: Option<u32>) -> usize {
        self.delete_where(|entry, current| entry.generation == generation.unwrap_or(current))
    }

    fn delete_where(&self, wanted: impl Fn(&Entry, u32) -> bool) -> usize {
        let mut entries = self.entries.lock();
        let (before, current) = (entries.all.len(), entries.current);
        entries.all.retain(|entry| !wanted(entry, current));
        let removed = before - entries.all.len();
        if removed > 0 {
            // What is left was compiled before, so it compiles.
            let _compiled = entries.rebuild();
        }
        removed
    }

    /// Gives out the number of a new version to fill beside the current one.
    pub fn prepare(&self) -> u32 {
        let mut entries = self.entries.lock();
        entries.next = entries.next.max(entries.current).wrapping_add(1);
        entries.next
    }

    /// Makes a prepared version the current one and drops all older entries.
    ///
    /// # Errors
    /// The version was not given out.
    pub fn commit(&self, generation: u32) -> Result<(), String> {
        let mut entries = self.entries.lock();
        if generation > entries.next || generation < entries.current {
            return Err("Version number out of range.".into());
        }
        entries.all.retain(|entry| entry.generation >= generation);
        entries.current = generation;
        entries.rebuild()
    }
}

impl Entries {
    fn push(&mut self, key: &[u8], value: Option<&[u8]>, line: u32, generation: u32) -> Result<u64, String> {
        if self.all.len() >= ENTRIES_MAX {
            return Err(format!("a list holds at most {ENTRIES_MAX} entries"));
        }
        self.next_id += 1;
        let id = self.next_id;
        self.all.push(Entry { id, key: key.into(), value: value.map(Into::into), line, generation });
        Ok(id)
    }

    /// Compiles everything anew, then shows it to readers; on error nothing changed for them.
    fn rebuild(&mut self) -> Result<(), String> {
        let built: Result<Vec<Index>, String> =
            self.matchers.iter().map(|matcher| matcher.build(&self.all, self.current)).collect();
        for (matcher, index) in self.matchers.iter().zip(built?) {
            matcher.index.store(Arc::new(index));
        }
        Ok(())
    }
}

/// All lists of the process.
#[derive(Debug, Default)]
pub struct PatternStore {
    lists: Vec<Arc<PatternList>>,
    next_id: u32,
}

impl PatternStore {
    /// No list yet.
    pub fn new() -> PatternStore {
        PatternStore::default()
    }

    /// All lists, in order of their ids.
    pub fn lists(&self) -> &[Arc<PatternList>] {
        &self.lists
    }

    /// The list of that id.
    pub fn by_id(&self, id: u32) -> Option<&Arc<PatternList>> {
        self.lists.iter().find(|list| list.id == id)
    }

    /// The list loaded from that file.
    pub fn by_file(&self, file: &[u8]) -> Option<&Arc<PatternList>> {
        self.lists.iter().find(|list| list.file.as_deref() == Some(file))
    }

    /// A list of inline patterns.
    pub(crate) fn inline(
        &mut self,
        description: String,
        id: Option<u32>,
        keys: &[Vec<u8>],
    ) -> Result<Arc<PatternList>, String> {
        let mut entries = Entries::default();
        for key in keys {
            entries.push(key, None, 0, 0)?;
        }
        self.push(None, description, id, false, ListKind::Acl, entries)
    }

    /// The list of a file, loaded at its first use.
    pub(crate) fn load(
        &mut self,
        file: &[u8],
        with_values: bool,
        kind: ListKind,
        id: Option<u32>,
        read: &mut ReadFile<'_>,
    ) -> Result<Arc<PatternList>, String> {
        let shown = String::from_utf8_lossy(file).into_owned();
        if let Some(at) = self.lists.iter().position(|list| list.file.as_deref() == Some(file)) {
            let list = &self.lists[at];
            if list.with_values != with_values {
                let columns = |map| if map { "a map with values" } else { "a list of patterns" };
                return Err(format!(
                    "file '{shown}' is already used as {}, it cannot be {} too",
                    columns(list.with_values),
                    columns(with_values)
                ));
            }
            return Ok(list.clone());
        }
        let content = read(file).map_err(|reason| format!("cannot read file '{shown}': {reason}"))?;
        let mut entries = Entries::default();
        for line in file::lines(&content, with_values) {
            if with_values && line.value.is_empty() && matches!(kind, ListKind::Map) {
                return Err(format!(
                    "file '{shown}', line {}: a value is missing after the key",
                    line.number
                ));
            }
            entries.push(line.key, with_values.then_some(line.value), line.number, 0)?;
        }
        let used_by = match kind {
            ListKind::Acl => "acl",
            ListKind::Map => "map",
        };
        let description = format!("pattern loaded from file '{shown}' used by {used_by}");
        self.push(Some(file.into()), description, id, with_values, kind, entries)
    }

    fn push(
        &mut self,
        file: Option<Box<[u8]>>,
        description: String,
        id: Option<u32>,
        with_values: bool,
        kind: ListKind,
        entries: Entries,
    ) -> Result<Arc<PatternList>, String> {
        if let Some(id) = id
            && self.by_id(id).is_some()
        {
            return Err(format!("the id {id} is already used by another list"));
        }
        while id.is_none() && self.by_id(self.next_id).is_some() {
            self.next_id += 1;
        }
        let list = Arc::new(PatternList {
            id: id.unwrap_or(self.next_id),
            file,
            description,
            with_values,
            is_acl: kind == ListKind::Acl,
            is_map: kind == ListKind::Map,
            entries: Mutex::new(entries),
        });
        self.lists.push(list.clone());
        Ok(list)
    }
}

/// What a text leads to in one use of a list: `get map`, `get acl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The matching method's name.
    pub method: &'static str,
    pub ignore_case: bool,
    /// The entry that matches.
    pub entry: Option<Entry>,
    /// It was found by its place rather than by trying one pattern after the other.
    pub in_tree: bool,
    /// Type of the values, in maps.
    pub value_type: Option<&'static str>,
}

impl PatternList {
    /// Looks `text` up as each use of this list would, read as the type that the use compares.
    pub fn lookup(&self, text: &[u8]) -> Vec<Lookup> {
        let entries = self.entries.lock();
        let current = || entries.all.iter().filter(|entry| entry.generation == entries.current);
        let mut found = Vec::new();
        for matcher in &entries.matchers {
            let value = crate::cast::cast(Value::str(text), matcher.method.input());
            let entry = value.filter(|value| matcher.matches(value)).and_then(|value| {
                // Of all entries that match, the one with the most exact pattern: the longest.
                current().filter(|entry| matcher.matches_entry(entry, &value)).max_by_key(|entry| {
                    if matcher.prefers_longest() { entry.key.len() } else { 0 }
                })
            });
            found.push(Lookup {
                method: matcher.method.name(),
                ignore_case: matcher.ignore_case,
                entry: entry.cloned(),
                in_tree: matcher.is_tree(),
                value_type: matcher.output.map(ValueType::name),
            });
        }
        found
    }
}

impl Matcher {
    /// Whether this entry alone matches.
    fn matches_entry(&self, entry: &Entry, value: &Value<'_>) -> bool {
        let mut index = Index::new(self.method, self.ignore_case);
        index.insert(&entry.key, Slot { value: None }).is_ok() && index.find(value).is_some()
    }

    fn prefers_longest(&self) -> bool {
        matches!(self.method, MatchMethod::Ip | MatchMethod::Beg)
    }

    fn is_tree(&self) -> bool {
        match self.method {
            MatchMethod::Ip | MatchMethod::Int | MatchMethod::Bin => true,
            MatchMethod::Str | MatchMethod::Beg => !self.ignore_case,
            MatchMethod::Found
            | MatchMethod::Bool
            | MatchMethod::Len
            | MatchMethod::Sub
            | MatchMethod::Dir
            | MatchMethod::Dom
            | MatchMethod::End
            | MatchMethod::Reg
            | MatchMethod::Method
            | MatchMethod::DottedVersion
            | MatchMethod::Group => false,
        }
    }
}
