//! `balance first`: fill one server before the next is touched.
//!
//! Owns the usable servers in order of their ids; weights play no part beyond being above zero.

use std::collections::BTreeSet;

use crate::roster::{Reweighing, ServerIndex};

#[derive(Clone, Debug, Default)]
pub(crate) struct First {
    active: BTreeSet<(u32, ServerIndex)>,
    backup: BTreeSet<(u32, ServerIndex)>,
}

impl First {
    /// Follows a server that became usable or unusable.
    pub fn reweigh(&mut self, change: Reweighing, id: u32) {
        let tree = if change.backup { &mut self.backup } else { &mut self.active };
        let key = (id, change.index);
        if change.after > 0 {
            tree.insert(key)
        } else {
            tree.remove(&key)
        };
    }

    /// The server with the lowest id that is not full, `avoid` only when no other is left.
    pub fn pick(
        &self,
        backup: bool,
        avoid: Option<ServerIndex>,
        full: &dyn Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let tree = if backup { &self.backup } else { &self.active };
        let mut avoided = None;
        for &(_, server) in tree {
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
}
