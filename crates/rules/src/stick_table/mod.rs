//! Stick tables: keys to counters, rates and servers. Owns the entries, their expiry and their bound; never reads a
//! clock (`now` comes in); tells peers' code what changed, and never sends or receives for it.
//!
//! ```text
//! StickTable ─ shard 0: Mutex ─ index: hash → slot
//!            ├ shard 1          slots: key, references, expiry, links oldest ⇄ … ⇄ newest
//!            └ …                words: the data of slot n at n × words per entry
//! ```
//!
//! Every entry of a table expires the same time after its last use, so the list by age is the list by expiry: purging
//! takes from its old end, and so does making room in a full table.

mod command;
mod config;
mod entry;
mod exchange;
mod key;
mod rate;
mod shard;

pub use command::{CommandError, Filter, Operator, TableAction};
pub use config::{
    ARRAY_LEN_MAX, DATA_TYPES, DataShape, DataType, KeyType, ServerKeySource, StickTableConfig, Stored,
    TableLineError,
};
pub use entry::{Entry, RateState};
pub use exchange::Shared;
pub use key::Key;

use entry::Layout;
use parking_lot::{Mutex, MutexGuard, RwLock};
use shard::Shard;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// Shards of a large table: enough that 64 threads rarely meet.
const SHARDS_MAX: usize = 64;
/// Below this size a table is one shard, and so drops exactly the oldest entry when full.
const SHARDED_SIZE_MIN: u32 = 4096;
/// What the clock of a table shows when it is made, in milliseconds: a rate that a peer tells may have begun before.
const EPOCH_MS: u64 = 1 << 40;
/// Most entries that one [`StickTable::expire`] looks at in each shard, so that it never holds a lock for long.
const EXPIRE_BATCH_MAX: usize = 1024;

/// What happens to an entry when it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only: its expiry stays.
    Peek,
    /// It is used: its expiry starts again. A missing one stays missing.
    Refresh,
    /// As `Refresh`; a missing one is created.
    Create,
}

/// A table: shared by all threads.
pub struct StickTable {
    config: StickTableConfig,
    layout: Layout,
    shards: Box<[Mutex<Shard>]>,
    used: AtomicUsize,
    hasher: hashbrown::DefaultHashBuilder,
    /// When the milliseconds in entries were [`EPOCH_MS`].
    epoch: Instant,
    /// Changes are kept in order, for peers.
    shared: bool,
    /// There are changes that nobody was called for yet.
    changed: AtomicBool,
    on_change: RwLock<Option<Box<dyn Fn() + Send + Sync>>>,
}

impl StickTable {
    /// An empty table; memory grows with its entries. `epoch` must not be later than any `now`.
    pub fn new(config: StickTableConfig, epoch: Instant) -> StickTable {
        let shards = if config.size < SHARDED_SIZE_MIN { 1 } else { SHARDS_MAX };
        let layout = Layout::new(&config.store);
        StickTable {
            layout,
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            used: AtomicUsize::new(0),
            hasher: hashbrown::DefaultHashBuilder::default(),
            epoch,
            shared: config.peers.is_some(),
            changed: AtomicBool::new(false),
            on_change: RwLock::default(),
            config,
        }
    }

    /// The line it was made from.
    pub fn config(&self) -> &StickTableConfig {
        &self.config
    }

    /// Entries in use; expired ones count until [`expire`](StickTable::expire) takes them.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether entries have this data type, by its own name.
    pub fn stores(&self, data: DataType) -> bool {
        self.config.store.iter().any(|item| item.data == data)
    }

    /// Casts a sample to a key of this table.
    pub fn key<'v>(&self, value: &'v crate::Value<'_>) -> Option<Key<'v>> {
        self.config.key.cast(value)
    }

    fn now_ms(&self, now: Instant) -> u64 {
        EPOCH_MS + now.saturating_duration_since(self.epoch).as_millis() as u64
    }

    fn instant(&self, ms: u64) -> Instant {
        self.epoch + std::time::Duration::from_millis(ms.saturating_sub(EPOCH_MS))
    }

    /// An entry of a locked shard was used or changed here: peers will be told.
    fn note_change(&self, shard: &mut Shard, slot: u32) {
        if !self.shared {
            return;
        }
        shard.changes.note(slot);
        if !self.changed.swap(true, Ordering::AcqRel)
            && let Some(call) = &*self.on_change.read()
        {
            call();
        }
    }

    fn expire_ms(&self) -> Option<u64> {
        self.config.expire.map(|time| time.as_millis() as u64)
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard_of(&self, hash: u64) -> usize {
        // The index inside a shard uses the low bits and the top seven; these are in between.
        (hash >> 40) as usize & (self.shards.len() - 1)
    }

    fn lock(&self, place: usize) -> MutexGuard<'_, Shard> {
        self.shards[place].lock()
    }

    /// Runs `with` on the entry of `key` while its shard is locked; `None`: there is none, or no room for one.
    pub fn access<R>(
        &self,
        key: &Key<'_>,
        now: Instant,
        access: Access,
        with: impl FnOnce(&mut Entry<'_>) -> R,
    ) -> Option<R> {
        let now_ms = self.now_ms(now);
        let (mut shard, slot) = self.locate(key, now_ms, access)?;
        Some(with(&mut shard.entry(slot, &self.layout, now_ms)))
    }

    /// Finds or creates an entry; its shard comes back locked. But for a look alone, it is used by that.
    fn locate(&self, key: &Key<'_>, now_ms: u64, access: Access) -> Option<(MutexGuard<'_, Shard>, u32)> {
        let (mut shard, slot) = match access {
            Access::Peek => return self.find(key, now_ms).ok(),
            Access::Refresh => self.find(key, now_ms).ok()?,
            Access::Create => self.obtain(key, now_ms)?,
        };
        shard.touch(slot, now_ms, self.expire_ms());
        self.note_change(&mut shard, slot);
        Some((shard, slot))
    }

    /// The entry of that key if it has not expired, else its place: shard and hash.
    fn find(
        &self,
        key: &Key<'_>,
        now_ms: u64,
    ) -> Result<(MutexGuard<'_, Shard>, u32), (MutexGuard<'_, Shard>, u64)> {
        let hash = self.hash(key.as_bytes());
        let mut shard = self.lock(self.shard_of(hash));
        match shard.find(hash, key.as_bytes()) {
            Some(slot) if !shard.is_expired(slot, now_ms) => Ok((shard, slot)),
            Some(slot) => {
                self.remove_slot(&mut shard, slot);
                Err((shard, hash))
            }
            None => Err((shard, hash)),
        }
    }

    /// Finds an entry or makes one, of which the expiry is not set yet. `None`: there is no room.
    fn obtain(&self, key: &Key<'_>, now_ms: u64) -> Option<(MutexGuard<'_, Shard>, u32)> {
        let (mut shard, hash) = match self.find(key, now_ms) {
            Ok(found) => return Some(found),
            Err(missing) => missing,
        };
        let place = self.shard_of(hash);
        while self.used.load(Ordering::Relaxed) >= self.config.size as usize {
            if let Some(oldest) = self.expendable(&shard, now_ms) {
                self.remove_slot(&mut shard, oldest);
                continue;
            }
            // Ours has nothing to give: take from the others, never holding two locks.
            drop(shard);
            let made_room = self.make_room(place, now_ms);
            shard = self.lock(place);
            if let Some(slot) = shard.find(hash, key.as_bytes()) {
                return Some((shard, slot));
            }
            if !made_room {
                return None;
            }
        }
        self.used.fetch_add(1, Ordering::Relaxed);
        let slot = shard.insert(hash, key.to_stored(), self.layout.words, |key| self.hash(key));
        Some((shard, slot))
    }

    /// What may go to make room: the oldest; with `nopurge` only what has expired.
    fn expendable(&self, shard: &Shard, now_ms: u64) -> Option<u32> {
        shard.oldest_unused().filter(|&slot| !self.config.nopurge || shard.is_expired(slot, now_ms))
    }

    fn make_room(&self, except: usize, now_ms: u64) -> bool {
        let count = self.shards.len();
        for step in 1..count {
            let mut shard = self.lock((except + step) % count);
            if let Some(oldest) = self.expendable(&shard, now_ms) {
                self.remove_slot(&mut shard, oldest);
                return true;
            }
        }
        false
    }

    fn remove_slot(&self, shard: &mut Shard, slot: u32) {
        let hash = self.hash(shard.key(slot));
        shard.remove(hash, slot, self.layout.words);
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many track that key (`table_trackers`); `None`: it has no entry.
    pub fn trackers(&self, key: &Key<'_>, now: Instant) -> Option<u32> {
        let (shard, slot) = self.locate(key, self.now_ms(now), Access::Peek)?;
        Some(shard.references(slot))
    }

    /// Time until the entry of that key expires; `None`: it has none, or it never does.
    pub fn remaining(&self, key: &Key<'_>, now: Instant) -> Option<std::time::Duration> {
        let now_ms = self.now_ms(now);
        let (shard, slot) = self.locate(key, now_ms, Access::Peek)?;
        let at = shard.expires_at(slot)?;
        Some(std::time::Duration::from_millis(at.saturating_sub(now_ms)))
    }

    /// Takes out what has expired; call it now and then. Returns when the next entry expires, if any will.
    pub fn expire(&self, now: Instant) -> Option<Instant> {
        let now_ms = self.now_ms(now);
        let mut next: Option<u64> = None;
        for place in 0..self.shards.len() {
            let mut shard = self.lock(place);
            for _ in 0..EXPIRE_BATCH_MAX {
                match shard.oldest_unused() {
                    Some(slot) if shard.is_expired(slot, now_ms) => self.remove_slot(&mut shard, slot),
                    Some(_) | None => break,
                }
            }
            if let Some(at) = shard.oldest_unused().and_then(|slot| shard.expires_at(slot)) {
                next = Some(next.map_or(at, |known| known.min(at)));
            }
        }
        next.map(|at| self.instant(at))
    }

    /// Tracks a key (`track-sc0` …): the entry is created when missing and stays while the handle lives. Counts the
    /// connection in `conn_cur`, `conn_cnt` and `conn_rate` is the caller's part.
    pub fn track(self: &Arc<Self>, key: &Key<'_>, now: Instant) -> Option<Tracked> {
        let now_ms = self.now_ms(now);
        let (mut shard, slot) = self.locate(key, now_ms, Access::Create)?;
        shard.hold(slot);
        drop(shard);
        let place = self.shard_of(self.hash(key.as_bytes()));
        Some(Tracked { table: Arc::clone(self), shard: place as u32, slot, touch_ms: now_ms })
    }
}

/// A tracked entry: cannot expire, be purged or be cleared while this lives.
pub struct Tracked {
    table: Arc<StickTable>,
    shard: u32,
    slot: u32,
    /// Latest use, in milliseconds of the table: what its expiry counts from once it is released.
    touch_ms: u64,
}

impl Tracked {
    /// The table it is in.
    pub fn table(&self) -> &Arc<StickTable> {
        &self.table
    }

    /// Runs `with` on the entry while its shard is locked, and counts as a use of it.
    pub fn update<R>(&mut self, now: Instant, with: impl FnOnce(&mut Entry<'_>) -> R) -> R {
        self.touch_ms = self.table.now_ms(now);
        let mut shard = self.table.lock(self.shard as usize);
        self.table.note_change(&mut shard, self.slot);
        with(&mut shard.entry(self.slot, &self.table.layout, self.touch_ms))
    }

    /// Reads from the entry; not a use of it.
    pub fn read<R>(&self, now: Instant, with: impl FnOnce(&Entry<'_>) -> R) -> R {
        let mut shard = self.table.lock(self.shard as usize);
        with(&shard.entry(self.slot, &self.table.layout, self.table.now_ms(now)))
    }

    /// Runs `with` on the entry while its shard is locked; its expiry stays as it was. For expressions, which see the
    /// handle only by reference.
    pub fn change<R>(&self, now: Instant, with: impl FnOnce(&mut Entry<'_>) -> R) -> R {
        let mut shard = self.table.lock(self.shard as usize);
        self.table.note_change(&mut shard, self.slot);
        with(&mut shard.entry(self.slot, &self.table.layout, self.table.now_ms(now)))
    }

    /// Runs `with` on a copy of the key: nothing is locked meanwhile, so it may look the key up in any table.
    pub fn with_key<R>(&self, with: impl FnOnce(&Key<'_>) -> R) -> R {
        let key = self.table.lock(self.shard as usize).stored_key(self.slot);
        with(&key)
    }

    /// How many handles this entry has (`sc_trackers`).
    pub fn trackers(&self) -> u32 {
        self.table.lock(self.shard as usize).references(self.slot)
    }

    /// Another handle to the same entry: a stream inherits those of its connection.
    pub fn share(&self) -> Tracked {
        self.table.lock(self.shard as usize).hold(self.slot);
        Tracked { table: Arc::clone(&self.table), ..*self }
    }

    /// Ends tracking; the expiry of the entry counts from `now`.
    pub fn release(mut self, now: Instant) {
        self.touch_ms = self.table.now_ms(now);
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let mut shard = self.table.lock(self.shard as usize);
        shard.release(self.slot);
        shard.touch(self.slot, self.touch_ms, self.table.expire_ms());
        self.table.note_change(&mut shard, self.slot);
    }
}

#[cfg(test)]
mod tests;
