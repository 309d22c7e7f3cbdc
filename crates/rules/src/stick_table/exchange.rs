//! What peers need of a table: which entries changed here since they were last told, every entry in turn, and entries
//! that they tell. Owns the order of changes in a shard; knows nothing of connections or of how entries are written.
//!
//! ```text
//!  Changes ─ order: number of the change → slot     a slot is in it at most once, under its latest change
//!          └ latest: slot → number                  0: never changed here
//! ```
//!
//! Each shard counts its own changes, so a peer remembers one number for each shard.

use super::{Entry, Key, Shard, StickTable};
use crate::stick_table::KeyType;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The changes of one shard, latest last.
#[derive(Debug, Default)]
pub(super) struct Changes {
    order: BTreeMap<u64, u32>,
    latest: Vec<u64>,
    last: u64,
    /// Some peer was told of changes up to this one; those after it are pending for all.
    told: u64,
}

impl Changes {
    /// An entry that waits to be told stays where it is: under load it would never be its turn otherwise.
    pub(super) fn note(&mut self, slot: u32) {
        let at = slot as usize;
        if self.latest.len() <= at {
            self.latest.resize(at + 1, 0);
        }
        let before = self.latest[at];
        if before > self.told {
            return;
        }
        if before > 0 {
            self.order.remove(&before);
        }
        self.last += 1;
        self.order.insert(self.last, slot);
        self.latest[at] = self.last;
    }

    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(before) = self.latest.get_mut(slot as usize) {
            self.order.remove(before);
            *before = 0;
        }
    }

    fn next_after(&self, number: u64) -> Option<(u64, u32)> {
        self.order.range(number + 1..).next().map(|(&number, &slot)| (number, slot))
    }
}

/// One entry as peers are told of it.
pub struct Shared<'a> {
    /// As the table keeps it: integers lowest byte first.
    pub key: &'a [u8],
    /// Milliseconds until it expires; `None`: never.
    pub remaining_ms: Option<u64>,
    pub entry: Entry<'a>,
}

impl StickTable {
    /// How many shards number their changes.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Sets what is called, by any thread and under a lock, when entries changed after a call of
    /// [`take_changed`](StickTable::take_changed). It takes the place of the one before.
    pub fn on_change(&self, call: impl Fn() + Send + Sync + 'static) {
        *self.on_change.write() = Some(Box::new(call));
        // What changed before must not keep the first call from coming.
        self.changed.store(false, Ordering::Release);
    }

    /// Whether anything changed since the last call.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// How many changes there were.
    pub fn latest_change(&self) -> u64 {
        (0..self.shards()).map(|shard| self.last_change(shard)).sum()
    }

    /// The number of the latest change in a shard; 0: none yet.
    pub fn last_change(&self, shard: usize) -> u64 {
        self.lock(shard).changes.last
    }

    /// Whoever is shown all entries of a shard from now on knows all changes up to the number that this returns. What changes
    /// again from here on is a new change, even if nobody was told of the one before.
    pub fn begin_lesson(&self, shard: usize) -> u64 {
        let mut shard = self.lock(shard);
        shard.changes.told = shard.changes.last;
        shard.changes.last
    }

    /// Shows up to `most` entries of one shard that changed here after change number `after`, in that order, until `each`
    /// says `false`: that one was not taken. Returns the number up to which the caller now knows all.
    pub fn changes(
        &self,
        shard: usize,
        after: u64,
        most: usize,
        now: Instant,
        mut each: impl FnMut(&Shared<'_>) -> bool,
    ) -> u64 {
        let now_ms = self.now_ms(now);
        let mut shard = self.lock(shard);
        let mut known = after;
        for _ in 0..most {
            let Some((number, slot)) = shard.changes.next_after(known) else {
                known = known.max(shard.changes.last);
                break;
            };
            if !self.show(&mut shard, slot, now_ms, &mut each) {
                break;
            }
            known = number;
        }
        shard.changes.told = shard.changes.told.max(known);
        known
    }

    /// Shows up to `most` places of one shard from place `from` on, until `each` says `false`. Returns the place to go on
    /// from; `None`: that was all.
    pub fn walk(
        &self,
        shard: usize,
        from: u32,
        most: u32,
        now: Instant,
        mut each: impl FnMut(&Shared<'_>) -> bool,
    ) -> Option<u32> {
        let now_ms = self.now_ms(now);
        let mut shard = self.lock(shard);
        let end = shard.slots_len().min(from.saturating_add(most));
        for slot in from..end {
            let in_use = shard.is_in_use(self.hash(shard.key(slot)), slot);
            if in_use && !shard.is_expired(slot, now_ms) && !self.show(&mut shard, slot, now_ms, &mut each) {
                return Some(slot);
            }
        }
        (end < shard.slots_len()).then_some(end)
    }

    fn show(
        &self,
        shard: &mut Shard,
        slot: u32,
        now_ms: u64,
        each: &mut impl FnMut(&Shared<'_>) -> bool,
    ) -> bool {
        let key = shard.stored_key(slot);
        let remaining_ms = shard.expires_at(slot).map(|at| at.saturating_sub(now_ms));
        let entry = shard.entry(slot, &self.layout, now_ms);
        each(&Shared { key: key.as_bytes(), remaining_ms, entry })
    }

    /// Takes over what a peer tells of a key, in the form that [`Shared::key`] has: the entry is made when missing, and is
    /// not told to peers in turn. `expires_in`: what it has left there; `None`: the table's own time. Returns whether
    /// there was room.
    pub fn learn(
        &self,
        key: &[u8],
        expires_in: Option<Duration>,
        now: Instant,
        with: impl FnOnce(&mut Entry<'_>),
    ) -> bool {
        let key = match self.config().key {
            KeyType::String { len_max } => &key[..key.len().min(len_max as usize)],
            KeyType::Ip | KeyType::Ipv6 | KeyType::Integer | KeyType::Binary { .. } => key,
        };
        let now_ms = self.now_ms(now);
        let Some((mut shard, slot)) = self.obtain(&Key::Borrowed(key), now_ms) else { return false };
        shard.touch(slot, now_ms, self.expire_ms());
        if let (Some(left), Some(own)) = (expires_in, self.expire_ms()) {
            shard.set_expiry(slot, now_ms + (left.as_millis() as u64).min(own));
        }
        with(&mut shard.entry(slot, &self.layout, now_ms));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stick_table::{Access, DataType, StickTableConfig};

    fn table(epoch: Instant) -> StickTable {
        let words: Vec<&str> = "type string size 10 expire 1m peers p store gpc0".split(' ').collect();
        StickTable::new(StickTableConfig::parse(&words, &mut Vec::new()).expect("valid line"), epoch)
    }

    fn count(table: &StickTable, key: &'static [u8], now: Instant) {
        table.access(&Key::Borrowed(key), now, Access::Create, |entry| entry.add(DataType::Gpc0, 0, 1));
    }

    fn changed(table: &StickTable, after: u64, most: usize, now: Instant) -> (u64, Vec<String>) {
        let mut seen = Vec::new();
        let known = table.changes(0, after, most, now, |shared| {
            let count = shared.entry.number(DataType::Gpc0, 0).unwrap_or(0);
            seen.push(format!("{}={count}", String::from_utf8_lossy(shared.key)));
            true
        });
        (known, seen)
    }

    #[test]
    fn changes_come_once_in_order_and_with_their_latest_value() {
        let now = Instant::now();
        let table = table(now);
        count(&table, b"a", now);
        count(&table, b"b", now);
        count(&table, b"a", now);
        let (known, seen) = changed(&table, 0, 10, now);
        assert_eq!(seen, ["a=2", "b=1"]);
        count(&table, b"a", now);
        assert_eq!(changed(&table, known, 10, now).1, ["a=3"]);
        // Somebody who knows nothing is told everything.
        assert_eq!(changed(&table, 0, 10, now).1, ["b=1", "a=3"]);
    }

    #[test]
    fn what_peers_tell_is_walked_but_is_no_change() {
        let now = Instant::now();
        let table = table(now);
        assert!(table.learn(b"x", Some(Duration::from_secs(5)), now, |entry| {
            entry.set_number(DataType::Gpc0, 0, 9);
        }));
        assert_eq!(changed(&table, 0, 10, now).1, [] as [String; 0]);
        let mut seen = Vec::new();
        let next = table.walk(0, 0, 100, now, |shared| {
            seen.push((shared.key.to_vec(), shared.remaining_ms));
            true
        });
        assert_eq!((next, seen), (None, vec![(b"x".to_vec(), Some(5000))]));
    }

    #[test]
    fn a_removed_entry_is_no_change_any_more() {
        let now = Instant::now();
        let table = table(now);
        count(&table, b"a", now);
        count(&table, b"b", now);
        table.expire(now + Duration::from_secs(61));
        assert_eq!(changed(&table, 0, 10, now).1, [] as [String; 0]);
    }
}
