//! `balance roundrobin`: smooth weighted round robin whose weights may change at any time.
//!
//! Owns the positions of servers on an endless line; never knows connection limits or which group is in use.
//!
//! Each server wants its turns spread evenly: the next one `total weight / weight` places after the last. The line
//! is walked place by place. One walk ("window") is as long as the total weight was when it began:
//!
//! ```text
//!   position ──►  window (current_weight)          next window
//!   current       servers with a place ahead, by place
//!   waiting[init] servers without a place in this window yet, heaviest first: they fill holes
//!   waiting[next] servers whose place lies beyond: they become `init` at the switch
//! ```
//!
//! Every step is O(log n). Equal keys leave in the order they came, as they do in HAProxy's trees: this decides
//! ties, so it is part of the placement.

use std::collections::BTreeSet;

use crate::roster::{MAX_WEIGHT, Reweighing, ServerIndex, WEIGHT_SCALE};

/// Largest effective weight.
const MAX_EFFECTIVE: i64 = MAX_WEIGHT as i64 * WEIGHT_SCALE as i64;

/// One place on the line holds this many sorting keys, which order the servers that share it.
const KEYS_PER_PLACE: i64 = 256;

type Key = (i64, u64, ServerIndex);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Tree {
    #[default]
    None,
    Current,
    Waiting(usize),
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Effective weight; 0 while the server is unusable.
    weight: i64,
    /// Position of the next turn.
    next: i64,
    /// Position of the last turn.
    last: i64,
    /// What the division of the window by the weight has left over so far.
    remainder: i64,
    tree: Tree,
    /// Key in the tree, with the number of its insertion.
    key: (i64, u64),
}

/// The two groups of servers; one of them is in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoundRobin {
    places: Vec<Place>,
    active: Group,
    backup: Group,
}

#[derive(Clone, Debug, Default)]
struct Group {
    current: BTreeSet<Key>,
    waiting: [BTreeSet<Key>; 2],
    /// Which of `waiting` is `init`; the other one is `next`.
    init: usize,
    /// Total weight when this window began.
    current_weight: i64,
    /// Total weight now, which the next window will have.
    next_weight: i64,
    position: i64,
    insertions: u64,
}

impl RoundRobin {
    /// Starts with `servers` (index, backup, effective weight) in order of declaration.
    pub fn new(servers: impl Iterator<Item = (ServerIndex, bool, u32)>) -> RoundRobin {
        let mut line = RoundRobin::default();
        for (index, backup, weight) in servers {
            let (group, places) = line.parts(backup, index);
            places[index.position()].weight = weight.into();
            group.next_weight += i64::from(weight);
            group.wait(places, index, group.init);
        }
        for group in [&mut line.active, &mut line.backup] {
            group.current_weight = group.next_weight;
            group.position = group.current_weight;
        }
        line
    }

    fn parts(&mut self, backup: bool, index: ServerIndex) -> (&mut Group, &mut [Place]) {
        if self.places.len() <= index.position() {
            self.places.resize(index.position() + 1, Place::default());
        }
        (if backup { &mut self.backup } else { &mut self.active }, &mut self.places)
    }

    /// Follows a server that became usable, unusable, or changed its weight.
    pub fn reweigh(&mut self, change: Reweighing) {
        let (group, places) = self.parts(change.backup, change.index);
        group.next_weight += i64::from(change.after) - i64::from(change.before);
        let weight = i64::from(change.after);
        match (change.before > 0, change.after > 0) {
            (false, false) => {}
            (false, true) => group.join(places, change.index, weight),
            (true, false) => group.leave(places, change.index),
            (true, true) => group.adjust(places, change.index, weight),
        }
    }

    /// Forgets the turns of a server that is removed, so that a later one with its index starts afresh.
    pub fn forget(&mut self, index: ServerIndex) {
        if let Some(place) = self.places.get_mut(index.position()) {
            *place = Place::default();
        }
    }

    /// The next server of a group, `avoid` only when no other is left.
    pub fn pick(
        &mut self,
        backup: bool,
        avoid: Option<ServerIndex>,
        full: &dyn Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let group = if backup { &mut self.backup } else { &mut self.active };
        group.pick(&mut self.places, avoid, full)
    }
}

impl Group {
    fn pick(
        &mut self,
        places: &mut [Place],
        avoid: Option<ServerIndex>,
        full: &dyn Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let mut switched = false;
        let mut avoided = None;
        // Servers that had their turn but cannot take it; bounded by the number of servers.
        let mut passed_over = Vec::new();
        let chosen = loop {
            if self.current_weight == 0 {
                self.current_weight = self.next_weight;
                self.position = self.next_weight;
            }
            let mut candidate = self.candidate(places);
            if candidate.is_none() && !switched {
                switched = true;
                self.switch_windows();
                candidate = self.candidate(places);
            }
            let Some(server) = candidate else {
                break avoided;
            };
            self.advance(&mut places[server.position()]);
            self.unlink(places, server);
            self.position += 1;
            if !full(server) {
                if avoid != Some(server) {
                    break Some(server);
                }
                avoided = Some(server);
            }
            passed_over.push(server);
        };
        if let Some(server) = chosen {
            self.place(places, server);
        }
        for server in passed_over.into_iter().rev().filter(|&server| Some(server) != chosen) {
            if switched {
                // Its place belonged to the window before; only its weight counts now.
                self.wait(places, server, self.init);
            } else {
                self.place(places, server);
            }
        }
        chosen
    }

    /// The server whose turn it is; in a hole between turns, the heaviest one that waits for a place.
    fn candidate(&self, places: &mut [Place]) -> Option<ServerIndex> {
        let ahead = self.current.first().map(|&(_, _, server)| server);
        if let Some(server) = ahead
            && places[server.position()].next <= self.position
        {
            return ahead;
        }
        if let Some(&(_, _, server)) = self.waiting[self.init].first() {
            let place = &mut places[server.position()];
            place.next = 0;
            place.remainder = 0;
            return Some(server);
        }
        ahead
    }

    /// Moves a server that takes its turn on to its next one.
    fn advance(&self, place: &mut Place) {
        if place.next == 0 {
            // Without a place so far: this is the first turn of the window.
            place.next = self.position;
        }
        place.last = place.next;
        place.next += self.next_weight / place.weight;
        place.remainder += self.next_weight % place.weight;
        if place.remainder >= place.weight {
            place.remainder -= place.weight;
            place.next += 1;
        }
    }

    fn switch_windows(&mut self) {
        self.init = 1 - self.init;
        self.current_weight = self.next_weight;
        self.position = self.current_weight;
    }

    fn join(&mut self, places: &mut [Place], server: ServerIndex, weight: i64) {
        let place = &mut places[server.position()];
        place.weight = weight;
        // HAProxy divides without signs in 32 bits. So in a window that is overrun, because weights have shrunk since it
        // began, the first turn comes to lie far away, and a change of weight before the switch does not bring it near.
        let ahead = (self.next_weight + self.current_weight - self.position) as u32 / weight as u32;
        place.next = i64::from((self.position as u32).wrapping_add(ahead) as i32);
        self.place(places, server);
    }

    fn leave(&mut self, places: &mut [Place], server: ServerIndex) {
        self.unlink(places, server);
        let place = &mut places[server.position()];
        place.tree = Tree::None;
        place.weight = 0;
    }

    fn adjust(&mut self, places: &mut [Place], server: ServerIndex, weight: i64) {
        self.unlink(places, server);
        let place = &mut places[server.position()];
        place.weight = weight;
        if place.tree == Tree::Waiting(self.init) {
            self.wait(places, server, self.init);
            return;
        }
        if place.tree == Tree::Waiting(1 - self.init) {
            place.next += self.current_weight;
        }
        // A heavier server comes earlier, a lighter one keeps the turn it was promised.
        let step = self.next_weight / weight;
        place.next = place.next.min(place.last + step);
        if place.next < self.position + 2 {
            place.next = self.position + step;
        }
        place.remainder = 0;
        self.place(places, server);
    }

    /// Files a server by its next turn: within reach on the line, else behind the switch.
    fn place(&mut self, places: &mut [Place], server: ServerIndex) {
        let place = &mut places[server.position()];
        if place.next >= 2 * self.current_weight || place.next >= self.current_weight + self.next_weight {
            place.next -= self.current_weight;
            self.wait(places, server, 1 - self.init);
            return;
        }
        let within = (MAX_EFFECTIVE + place.remainder - place.weight) / i64::from(WEIGHT_SCALE);
        place.tree = Tree::Current;
        place.key = (KEYS_PER_PLACE * place.next + within, self.insertions);
        self.insertions += 1;
        self.current.insert((place.key.0, place.key.1, server));
    }

    /// Files a server among those without a place, heaviest first.
    fn wait(&mut self, places: &mut [Place], server: ServerIndex, tree: usize) {
        let place = &mut places[server.position()];
        place.tree = Tree::Waiting(tree);
        place.key = (MAX_EFFECTIVE - place.weight, self.insertions);
        self.insertions += 1;
        self.waiting[tree].insert((place.key.0, place.key.1, server));
    }

    fn unlink(&mut self, places: &[Place], server: ServerIndex) {
        let place = &places[server.position()];
        let key = (place.key.0, place.key.1, server);
        match place.tree {
            Tree::None => false,
            Tree::Current => self.current.remove(&key),
            Tree::Waiting(tree) => self.waiting[tree].remove(&key),
        };
    }
}
