//! The static map: `balance static-rr`, and hashes with `hash-type map-based`.
//!
//! Owns a table with one row for each unit of weight, and the row that round robin is at. A pick is O(1). The table
//! is rebuilt as a whole when a server comes or goes, in O(rows × log servers).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

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
        let (indexes, weights): (Vec<ServerIndex>, Vec<u64>) = roster
            .in_order()
            .into_iter()
            .filter(|(_, entry)| entry.usable() && entry.server.backup == backup)
            .map(|(index, entry)| (index, u64::from(entry.effective)))
            .unzip();
        self.rows.extend(deal(&weights, roster.total_weight()).into_iter().map(|server| indexes[server]));
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

/// Deals `rows` rows to servers by their weights: each row to the one that is owed most whole turns, the first one
/// among equals.
///
/// After `n` rows a server of weight `w` has been promised `1 + n × w / rows` turns, rounded down. It is owed those it
/// has not had. So only the rows where a promise grows need a look, not all servers in every row.
fn deal(weights: &[u64], rows: u64) -> Vec<usize> {
    if rows == 1 {
        return vec![0];
    }
    let mut owed: Vec<u64> = vec![1; weights.len()];
    let mut waiting: BTreeSet<(Reverse<u64>, usize)> =
        (0..weights.len()).map(|server| (Reverse(1), server)).collect();
    // Number of rows at which the next promise to a server is made, with the number of the promise.
    let mut promises: BinaryHeap<Reverse<(u64, usize, u64)>> = weights
        .iter()
        .enumerate()
        .map(|(server, weight)| Reverse((rows.div_ceil(*weight), server, 1)))
        .collect();
    let mut dealt = Vec::with_capacity(rows as usize);
    for row in 1..=rows {
        while let Some(&Reverse((due, server, number))) = promises.peek()
            && due <= row
        {
            promises.pop();
            promises.push(Reverse((((number + 1) * rows).div_ceil(weights[server]), server, number + 1)));
            waiting.remove(&(Reverse(owed[server]), server));
            owed[server] += 1;
            waiting.insert((Reverse(owed[server]), server));
        }
        let Some((_, server)) = waiting.pop_first() else {
            // Promises made by now exceed the rows before this one, so somebody waits.
            break;
        };
        owed[server] -= 1;
        if owed[server] > 0 {
            waiting.insert((Reverse(owed[server]), server));
        }
        dealt.push(server);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, spelled out: scores that grow by the weights, and a turn costs as much as there are rows.
    fn deal_by_definition(weights: &[u64], rows: u64) -> Vec<usize> {
        let rows = i64::try_from(rows).expect("few rows");
        let mut scores = vec![0i64; weights.len()];
        (0..rows)
            .map(|_| {
                let mut best = 0;
                let mut most = i64::MIN;
                for (server, weight) in weights.iter().enumerate() {
                    scores[server] += i64::try_from(*weight).expect("small weights");
                    let turns = (scores[server] + rows) / rows;
                    if turns > most {
                        (best, most) = (server, turns);
                    }
                    if rows == 1 {
                        break;
                    }
                }
                scores[best] -= rows;
                best
            })
            .collect()
    }

    proptest! {
        // row: 115, 121
        #[test]
        fn rows_are_dealt_as_defined(weights in prop::collection::vec(1u64..=256, 1..20)) {
            let rows = weights.iter().sum();
            prop_assert_eq!(deal(&weights, rows), deal_by_definition(&weights, rows));
        }

        #[test]
        fn rows_of_one_backup_server_are_dealt_as_defined(weights in prop::collection::vec(1u64..=256, 1..20)) {
            prop_assert_eq!(deal(&weights, weights[0]), deal_by_definition(&weights, weights[0]));
        }
    }
}
