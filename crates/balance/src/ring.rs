//! The ring: hashes with `hash-type consistent`, and `balance random`.
//!
//! Owns the points of all usable servers, one for each unit of effective weight, sorted by their hash. A lookup is a
//! binary search; a change of a server merges its points in one pass over the ring.

use std::ops::Range;

use crate::hash;
use crate::roster::{MAX_WEIGHT, Reweighing, Roster, ServerIndex, WEIGHT_SCALE};

/// Points that one server may have: the hashes of `id × POINTS_PER_SERVER + 0, 1, 2 …`.
const POINTS_PER_SERVER: u32 = MAX_WEIGHT as u32 * WEIGHT_SCALE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    key: u32,
    server: ServerIndex,
    /// Which of the points of its server this is.
    replica: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ring {
    /// Sorted by key; equal keys in the order they were added.
    active: Vec<Point>,
    backup: Vec<Point>,
    /// Where round robin is, for requests without a key.
    last: Option<Point>,
    /// The most points each server has had, by index.
    heaviest: Vec<u32>,
}

impl Ring {
    /// Follows a server that became usable, unusable, or changed its weight. `initial` is the effective weight that
    /// it was declared with.
    pub fn reweigh(&mut self, change: Reweighing, id: u32, initial: u32) {
        let slot = change.index.position();
        if self.heaviest.len() <= slot {
            self.heaviest.resize(slot + 1, 0);
        }
        let heaviest = self.heaviest[slot].max(initial);
        self.heaviest[slot] = heaviest.max(change.after);
        // HAProxy has room for the points of the heaviest weight so far. To make more it takes all of them off the
        // ring first, which moves the place of round robin and puts them behind points with equal keys.
        let kept = if change.after > heaviest { 0 } else { change.before.min(change.after) };
        if kept < change.before {
            self.remove(change.backup, change.index, kept);
        }
        if kept < change.after {
            self.insert(change.backup, change.index, id, kept..change.after);
        }
    }

    /// Forgets how heavy a server was that is removed, so that a later one with its index starts afresh.
    pub fn forget(&mut self, index: ServerIndex) {
        if let Some(heaviest) = self.heaviest.get_mut(index.position()) {
            *heaviest = 0;
        }
    }

    /// Takes the points of a server off the ring, but for the first `kept`.
    fn remove(&mut self, backup: bool, index: ServerIndex, kept: u32) {
        let points = if backup { &mut self.backup } else { &mut self.active };
        let stays = |point: &Point| point.server != index || point.replica < kept;
        if let Some(last) = self.last.filter(|last| !stays(last)) {
            // Round robin moves on to the next point that stays, as if that one had just had its turn.
            let after = place_after(points, last);
            self.last = points[after..].iter().chain(&points[..after]).copied().find(stays);
        }
        points.retain(stays);
    }

    fn insert(&mut self, backup: bool, server: ServerIndex, id: u32, replicas: Range<u32>) {
        let points = if backup { &mut self.backup } else { &mut self.active };
        let base = id.wrapping_mul(POINTS_PER_SERVER);
        let mut added: Vec<Point> = replicas
            .map(|replica| Point { key: hash::avalanche(base.wrapping_add(replica)), server, replica })
            .collect();
        added.sort_by_key(|point| point.key);
        points.extend(added);
        // Stable, so points with equal keys stay in order of arrival; two sorted runs merge in one pass.
        points.sort_by_key(|point| point.key);
    }

    fn points(&self, backup: bool) -> &[Point] {
        if backup { &self.backup } else { &self.active }
    }

    /// The server whose point is nearest to `hash`, or one of the next points when `passed_over` says so.
    ///
    /// When every server is passed over, the search gives up on the last point of its second round.
    pub fn nearest(
        &self,
        backup: bool,
        hash: u32,
        passed_over: impl Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let points = self.points(backup);
        let after = points.partition_point(|point| point.key < hash) % points.len().max(1);
        let next = points.get(after)?;
        let before = (after + points.len() - 1) % points.len();
        let behind = hash.wrapping_sub(points[before].key);
        let ahead = next.key.wrapping_sub(hash);
        let start = if behind <= ahead { before } else { after };
        // To the end of the ring, then once around.
        (start..points.len())
            .chain(0..points.len())
            .map(|place| points[place].server)
            .find(|&server| !passed_over(server))
            .or(points.last().map(|point| point.server))
    }

    /// The server of the point after the last one used, skipping full ones, `avoid` only when no other is left.
    ///
    /// HAProxy 2.6 gives up when the very first point after a time without active servers belongs to a full one, and
    /// answers 503 until it is free; that is not followed either.
    pub fn next(
        &mut self,
        backup: bool,
        avoid: Option<ServerIndex>,
        full: &dyn Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let points = if backup { &self.backup } else { &self.active };
        let start = self.last.map_or(0, |last| place_after(points, last));
        let mut avoided = None;
        for place in (start..points.len()).chain(0..start) {
            let point = points[place];
            if full(point.server) {
                continue;
            }
            if avoid != Some(point.server) {
                self.last = Some(point);
                return Some(point.server);
            }
            avoided = Some(point);
        }
        self.last = avoided;
        avoided.map(|point| point.server)
    }
}

/// The place after `last` on the ring.
///
/// When active servers return while `last` lies among the backup servers, this finds the place that its key has
/// among the active ones. HAProxy 2.6 walks the ring of the backup servers to its end first; that sends requests to
/// backup servers while active ones are up, which nobody can want, so it is not followed.
fn place_after(points: &[Point], last: Point) -> usize {
    let first = points.partition_point(|point| point.key < last.key);
    points[first..].iter().position(|&point| point == last).map_or(0, |offset| first + offset + 1)
}

/// Whether the bounded load of `hash-balance-factor` lets a server take one more request.
///
/// The slots of the whole backend are `factor` percent of all requests, this one included. They are dealt out by
/// weight, remainders by the place of the server, and everyone gets one.
pub(crate) fn has_room(roster: &Roster, server: ServerIndex, factor: u32) -> bool {
    let Some(entry) = roster.get(server) else {
        return false;
    };
    let total_weight = roster.total_weight().max(1);
    let slots = ((roster.served() + 1) * u64::from(factor)).div_ceil(100);
    let (each, remainder) = (slots / total_weight, slots % total_weight);
    let weight = u64::from(entry.effective);
    let upto = (entry.weight_before + weight) * remainder / total_weight;
    let share = weight * each + upto - entry.weight_before * remainder / total_weight;
    u64::from(entry.load.served) < share.max(1)
}
