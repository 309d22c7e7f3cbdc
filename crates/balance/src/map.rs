//! The static map: `balance static-rr`, and hashes with `hash-type map-based`.
//!
//! Owns a table with one row for each unit of weight, and the row that round robin is at. Rebuilt as a whole when a
//! server comes or goes, in O(rows × servers); a pick is O(1).

use crate::roster::{Pool, Roster, ServerIndex};

#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    rows: Vec<ServerIndex>,
    /// Next row for round robin; past the end means the first one, unless the map has grown by then.
    turn: usize,
}

impl Map {
    /// Lays the servers out again: in each row the one that is owed most, the first declared among equals.
    pub fn rebuild(&mut self, roster: &Roster) {
        self.rows.clear();
        let backup = match roster.pool() {
            Pool::Active => false,
            // With one backup server to use, all of them compete for its rows, and it may lose some to a heavier
            // one; HAProxy does the same, and static-rr must take the same turns.
            Pool::OneBackup(_) | Pool::AllBackups => true,
            Pool::Empty => return,
        };
        let total = i64::try_from(roster.total_weight()).expect("weights are small");
        let mut servers: Vec<(ServerIndex, i64, i64)> = roster
            .in_order()
            .into_iter()
            .filter(|(_, entry)| entry.usable() && entry.server.backup == backup)
            .map(|(index, entry)| (index, i64::from(entry.effective), 0))
            .collect();
        self.rows.reserve(total as usize);
        for _ in 0..total {
            let mut most_owed = 0;
            let mut best = 0;
            for (place, (_, weight, score)) in servers.iter_mut().enumerate() {
                *score += *weight;
                let owed = (*score + total) / total;
                if place == 0 || owed > most_owed {
                    most_owed = owed;
                    best = place;
                }
                if total == 1 {
                    break;
                }
            }
            servers[best].2 -= total;
            self.rows.push(servers[best].0);
        }
    }

    /// The server of a hash, whatever its load.
    pub fn by_hash(&self, hash: u32) -> Option<ServerIndex> {
        if self.rows.is_empty() {
            return None;
        }
        Some(self.rows[hash as usize % self.rows.len()])
    }

    /// The next server that is not full, `avoid` only when no other is left.
    pub fn next(
        &mut self,
        avoid: Option<ServerIndex>,
        full: &dyn Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let rows = self.rows.len();
        let start = if self.turn < rows { self.turn } else { 0 };
        let mut avoided = None;
        for row in (start..rows).chain(0..start) {
            let server = self.rows[row];
            if full(server) {
                continue;
            }
            let after = row + 1;
            if avoid != Some(server) {
                self.turn = after;
                return Some(server);
            }
            avoided = Some((server, after));
        }
        let (server, after) = avoided?;
        self.turn = after;
        Some(server)
    }
}
