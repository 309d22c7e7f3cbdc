//! One shard: slots, their index by hash, and the list from the oldest to the newest use. Owns the links; the caller
//! keeps the count of all shards and decides what goes.

use super::entry::{Entry, Layout};
use super::exchange::Changes;
use super::key::Key;
use hashbrown::HashTable;

/// No slot.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    key: Key<'static>,
    references: u32,
    /// Milliseconds of the table; `u64::MAX`: never.
    expires_ms: u64,
    older: u32,
    newer: u32,
}

#[derive(Debug)]
pub(super) struct Shard {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    words: Vec<u64>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    /// Stays empty in tables without peers.
    pub(super) changes: Changes,
}

impl Default for Shard {
    fn default() -> Self {
        Shard {
            index: HashTable::new(),
            slots: Vec::new(),
            words: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            changes: Changes::default(),
        }
    }
}

impl Shard {
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |&slot| self.slots[slot as usize].key.as_bytes() == key).copied()
    }

    pub(super) fn key(&self, slot: u32) -> &[u8] {
        self.slots[slot as usize].key.as_bytes()
    }

    /// A copy of the key, to use while nothing is locked.
    pub(super) fn stored_key(&self, slot: u32) -> Key<'static> {
        self.slots[slot as usize].key.clone()
    }

    pub(super) fn insert(
        &mut self,
        hash: u64,
        key: Key<'static>,
        words: usize,
        rehash: impl Fn(&[u8]) -> u64,
    ) -> u32 {
        let new = Slot { key, references: 0, expires_ms: u64::MAX, older: NONE, newer: NONE };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                self.words[slot as usize * words..][..words].fill(0);
                slot
            }
            None => {
                self.slots.push(new);
                self.words.resize(self.slots.len() * words, 0);
                self.slots.len() as u32 - 1
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, slot, |&other| rehash(slots[other as usize].key.as_bytes()));
        self.link_newest(slot);
        slot
    }

    pub(super) fn remove(&mut self, hash: u64, slot: u32, words: usize) {
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        self.unlink(slot);
        self.changes.forget(slot);
        self.slots[slot as usize].key = Key::Borrowed(b"");
        if self.index.is_empty() {
            // An emptied table gives its memory back.
            self.slots = Vec::new();
            self.words = Vec::new();
            self.free = Vec::new();
        } else {
            self.words[slot as usize * words..][..words].fill(0);
            self.free.push(slot);
        }
    }

    /// Marks a use: to the new end of the list, expiry from `now_ms` on.
    pub(super) fn touch(&mut self, slot: u32, now_ms: u64, expire_ms: Option<u64>) {
        self.slots[slot as usize].expires_ms = expire_ms.map_or(u64::MAX, |time| now_ms + time);
        if self.slots[slot as usize].references == 0 && self.newest != slot {
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    fn link_newest(&mut self, slot: u32) {
        let before = std::mem::replace(&mut self.newest, slot);
        self.slots[slot as usize].older = before;
        self.slots[slot as usize].newer = NONE;
        match before {
            NONE => self.oldest = slot,
            before => self.slots[before as usize].newer = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { older, newer, .. } = self.slots[slot as usize];
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
    }

    /// The oldest entry that nobody tracks.
    pub(super) fn oldest_unused(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    pub(super) fn is_expired(&self, slot: u32, now_ms: u64) -> bool {
        let slot = &self.slots[slot as usize];
        slot.references == 0 && slot.expires_ms <= now_ms
    }

    /// When it expires, in milliseconds of the table; `None`: never.
    pub(super) fn expires_at(&self, slot: u32) -> Option<u64> {
        Some(self.slots[slot as usize].expires_ms).filter(|&at| at != u64::MAX)
    }

    /// Sets when it expires; its place in the list stays that of its last use.
    pub(super) fn set_expiry(&mut self, slot: u32, expires_ms: u64) {
        self.slots[slot as usize].expires_ms = expires_ms;
    }

    /// Slots there ever were at once; some are free.
    pub(super) fn slots_len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Whether the slot holds an entry: a free one has lost its links in the index.
    pub(super) fn is_in_use(&self, hash: u64, slot: u32) -> bool {
        self.index.find(hash, |&other| other == slot).is_some()
    }

    /// Takes an entry out of the list while it is tracked, so that looking for the oldest never meets it.
    pub(super) fn hold(&mut self, slot: u32) {
        if self.slots[slot as usize].references == 0 {
            self.unlink(slot);
        }
        self.slots[slot as usize].references += 1;
    }

    pub(super) fn release(&mut self, slot: u32) {
        self.slots[slot as usize].references -= 1;
        if self.slots[slot as usize].references == 0 {
            self.link_newest(slot);
        }
    }

    pub(super) fn references(&self, slot: u32) -> u32 {
        self.slots[slot as usize].references
    }

    pub(super) fn entry<'a>(&'a mut self, slot: u32, layout: &'a Layout, now_ms: u64) -> Entry<'a> {
        let at = slot as usize * layout.words;
        Entry { layout, words: &mut self.words[at..at + layout.words], now_ms }
    }

    /// Every slot in use, in no order.
    pub(super) fn slots_in_use(&self) -> impl Iterator<Item = u32> {
        self.index.iter().copied()
    }
}
