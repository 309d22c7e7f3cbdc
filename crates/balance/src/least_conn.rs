//! `balance leastconn`: the server with the fewest requests for its weight.
//!
//! Owns servers sorted by load; the load itself is kept in the roster. Among equals the one that has waited longest
//! since its load changed comes first, which makes idle servers take turns. Every step is O(log n).

use std::collections::BTreeSet;

use crate::roster::{Load, MAX_WEIGHT, Reweighing, ServerIndex, WEIGHT_SCALE};

/// Keys count load in units of the largest effective weight, so that weights divide without loss.
const KEY_SCALE: u64 = MAX_WEIGHT as u64 * WEIGHT_SCALE as u64;

type Key = (u64, u64, ServerIndex);

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Effective weight; 0 while the server is unusable and in no tree.
    weight: u32,
    backup: bool,
    key: (u64, u64),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LeastConn {
    positions: Vec<Position>,
    active: BTreeSet<Key>,
    backup: BTreeSet<Key>,
    insertions: u64,
}

impl LeastConn {
    /// Follows a server that became usable, unusable, or changed its weight; it goes behind its equals.
    pub fn reweigh(&mut self, change: Reweighing, load: Load) {
        let slot = change.index.position();
        if self.positions.len() <= slot {
            self.positions.resize(slot + 1, Position::default());
        }
        if change.before > 0 {
            self.unlink(change.index);
        }
        let position = &mut self.positions[slot];
        position.weight = change.after;
        position.backup = change.backup;
        if change.after > 0 {
            self.link(change.index, sorting_key(load, change.after));
        }
    }

    /// Follows the load of a server; it keeps its place among its equals when the key stays the same.
    pub fn reload(&mut self, index: ServerIndex, load: Load) {
        let Some(position) = self.positions.get(index.position()).filter(|position| position.weight > 0)
        else {
            return;
        };
        let key = sorting_key(load, position.weight);
        if key != position.key.0 {
            self.unlink(index);
            self.link(index, key);
        }
    }

    /// The least loaded server of a group that is not full, `avoid` only when no other is left.
    pub fn pick(
        &self,
        backup: bool,
        avoid: Option<ServerIndex>,
        full: &dyn Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let tree = if backup { &self.backup } else { &self.active };
        let mut avoided = None;
        for &(_, _, server) in tree {
            if full(server) {
                continue;
            }
            if avoid != Some(server) {
                return Some(server);
            }
            avoided = Some(server);
        }
        avoided
    }

    fn tree(&mut self, backup: bool) -> &mut BTreeSet<Key> {
        if backup { &mut self.backup } else { &mut self.active }
    }

    fn link(&mut self, index: ServerIndex, key: u64) {
        let insertion = self.insertions;
        self.insertions += 1;
        let position = &mut self.positions[index.position()];
        position.key = (key, insertion);
        let backup = position.backup;
        self.tree(backup).insert((key, insertion, index));
    }

    fn unlink(&mut self, index: ServerIndex) {
        let Position { key, backup, .. } = self.positions[index.position()];
        self.tree(backup).remove(&(key.0, key.1, index));
    }
}

/// Load per weight as it would be with one more request; idle servers are equal whatever their weight.
fn sorting_key(load: Load, weight: u32) -> u64 {
    match load.total() {
        0 => 0,
        total => (total + 1) * KEY_SCALE / u64::from(weight),
    }
}
