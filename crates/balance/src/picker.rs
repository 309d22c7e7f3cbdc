//! The picker: what a shell holds for each backend.
//!
//! Owns the roster and the one structure that its algorithm needs, and keeps them in step. Never locks and never
//! counts by itself: the shell reports load and state.

use crate::first::First;
use crate::least_conn::LeastConn;
use crate::map::Map;
use crate::ring::{self, Ring};
use crate::roster::{Entry, Load, MAX_WEIGHT, Pool, Reweighing, Roster, Server, ServerIndex, WEIGHT_SCALE};
use crate::round_robin::RoundRobin;
use crate::{Algorithm, HashMethod};

/// A weight was refused because the algorithm is static: only zero and the initial weight take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticWeight;

/// Chooses servers for one backend.
#[derive(Clone, Debug)]
pub struct Picker {
    algorithm: Algorithm,
    roster: Roster,
    structure: Structure,
    random: Random,
}

#[derive(Clone, Debug)]
enum Structure {
    RoundRobin(RoundRobin),
    LeastConn(LeastConn),
    First(First),
    Map(Map),
    Ring(Ring),
}

impl Picker {
    /// A picker over `servers` in order of declaration. `all_backups` is `option allbackups`; `seed` makes the
    /// draws of `random`, which are the same for the same seed.
    pub fn new(algorithm: Algorithm, servers: &[Server], all_backups: bool, seed: u64) -> Picker {
        let roster = Roster::new(servers, algorithm.is_dynamic(), all_backups);
        let structure = Structure::new(algorithm, &roster);
        Picker { algorithm, roster, structure, random: Random(seed) }
    }

    /// The algorithm it was made with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Adds a server behind all others. It takes part only after [`set_up`](Picker::set_up), as servers that are
    /// added at run time start in maintenance; its own `up` is not looked at.
    pub fn add(&mut self, server: Server) -> ServerIndex {
        self.roster.insert(server)
    }

    /// Removes a server; its index may be given to a server that is added later.
    pub fn remove(&mut self, index: ServerIndex) {
        self.set_up(index, false);
        self.structure.forget(index);
        self.roster.remove(index);
    }

    /// Says whether a server may take traffic: healthy, and neither in maintenance nor draining.
    pub fn set_up(&mut self, index: ServerIndex, up: bool) {
        self.change(index, |entry| entry.up = up);
    }

    /// Sets the weight of a server (0..=256, more counts as 256) and keeps its ramp.
    ///
    /// # Errors
    /// [`StaticWeight`] when the algorithm is static and the weight is neither zero nor the initial one.
    pub fn set_weight(&mut self, index: ServerIndex, weight: u16) -> Result<(), StaticWeight> {
        let weight = weight.min(MAX_WEIGHT);
        let initial = self.roster.get(index).map(|entry| entry.server.weight);
        if !self.algorithm.is_dynamic() && weight > 0 && initial != Some(weight) {
            return Err(StaticWeight);
        }
        self.change(index, |entry| entry.weight = weight);
        Ok(())
    }

    /// Sets the share of its weight that a server in slow start gets, in sixteenths (1..=16); set it before
    /// [`set_up`](Picker::set_up). Static algorithms ignore it.
    pub fn set_ramp(&mut self, index: ServerIndex, sixteenths: u8) {
        self.change(index, |entry| entry.ramp = sixteenths.clamp(1, WEIGHT_SCALE as u8));
    }

    fn change(&mut self, index: ServerIndex, change: impl FnOnce(&mut Entry)) {
        if let Some(reweighing) = self.roster.change(index, change) {
            self.structure.reweigh(reweighing, &self.roster);
        }
    }

    /// Sets the load of a server as a whole.
    pub fn set_load(&mut self, index: ServerIndex, load: Load) {
        self.roster.set_load(index, load);
        if let Structure::LeastConn(tree) = &mut self.structure {
            tree.reload(index, load);
        }
    }

    /// A server took a request. Tell a change of its queue first.
    pub fn taken(&mut self, index: ServerIndex) {
        let load = self.load(index);
        self.set_load(index, Load { served: load.served.saturating_add(1), ..load });
    }

    /// A server is done with a request.
    pub fn dropped(&mut self, index: ServerIndex) {
        let load = self.load(index);
        self.set_load(index, Load { served: load.served.saturating_sub(1), ..load });
    }

    /// Sets how many requests wait for a server. As in HAProxy, leastconn weighs the queue when the server next takes
    /// or drops a request, not before: arrivals fill the queue of one server until it is full or gets a turn.
    pub fn set_queued(&mut self, index: ServerIndex, queued: u32) {
        let load = self.load(index);
        self.roster.set_load(index, Load { queued, ..load });
    }

    /// The load of a server as it was last reported.
    pub fn load(&self, index: ServerIndex) -> Load {
        self.roster.get(index).map_or(Load::default(), |entry| entry.load)
    }

    /// Whether a server is up and has a weight above zero.
    pub fn is_usable(&self, index: ServerIndex) -> bool {
        self.roster.get(index).is_some_and(Entry::usable)
    }

    /// The weight of a server as its administrator sees it, before slow start.
    pub fn weight(&self, index: ServerIndex) -> u16 {
        self.roster.get(index).map_or(0, |entry| entry.weight)
    }

    /// The weight in force: in sixteenths for dynamic algorithms, in rows of the map for static ones.
    pub fn effective_weight(&self, index: ServerIndex) -> u32 {
        self.roster.get(index).map_or(0, |entry| entry.effective)
    }

    /// Usable active servers.
    pub fn active(&self) -> usize {
        self.roster.active()
    }

    /// Usable backup servers.
    pub fn backups(&self) -> usize {
        self.roster.backups()
    }

    /// Servers that a pick chooses from: the active ones, else the first backup or all of them.
    pub fn usable(&self) -> usize {
        self.roster.usable()
    }

    /// Sum of the effective weights of these servers.
    pub fn total_weight(&self) -> u64 {
        self.roster.total_weight()
    }

    /// Chooses a server.
    ///
    /// `key` is the hash of the request for [`Algorithm::Hash`], without one the servers take turns; other
    /// algorithms ignore it. `avoid` is the server that just failed this request: another one is taken when there
    /// is one. `full` says which servers take no more, see [`Algorithm::is_full`]; a server that is chosen by
    /// its hash is chosen even then, and the request queues there.
    ///
    /// `None` means that no server is usable when [`usable`](Picker::usable) is 0, else that all are full.
    pub fn pick(
        &mut self,
        key: Option<u32>,
        avoid: Option<ServerIndex>,
        full: &dyn Fn(ServerIndex) -> bool,
    ) -> Option<ServerIndex> {
        let pool = self.roster.pool();
        let backup = match pool {
            Pool::Empty => return None,
            Pool::Active => false,
            Pool::OneBackup(_) | Pool::AllBackups => true,
        };
        let lone = match pool {
            Pool::OneBackup(server) => Some(server),
            Pool::Active | Pool::AllBackups | Pool::Empty => None,
        };
        let key = match self.algorithm {
            Algorithm::Hash(kind) if self.roster.usable() == 1 && !kind.looks_when_alone => Some(0),
            Algorithm::Hash(_)
            | Algorithm::RoundRobin
            | Algorithm::StaticRoundRobin
            | Algorithm::LeastConn
            | Algorithm::First
            | Algorithm::Random { .. } => key,
        };
        match &mut self.structure {
            Structure::RoundRobin(line) => lone.or_else(|| line.pick(backup, avoid, full)),
            Structure::LeastConn(tree) => lone.or_else(|| tree.pick(backup, avoid, full)),
            Structure::First(tree) => lone.or_else(|| tree.pick(backup, avoid, full)),
            Structure::Map(map) => match self.algorithm {
                Algorithm::Hash(_) => match key {
                    Some(hash) => map.by_hash(hash),
                    None => map.next(avoid, full),
                },
                Algorithm::StaticRoundRobin
                | Algorithm::RoundRobin
                | Algorithm::LeastConn
                | Algorithm::First
                | Algorithm::Random { .. } => map.next(avoid, full),
            },
            Structure::Ring(ring) => match self.algorithm {
                Algorithm::Random { draws, balance_factor } => {
                    let chosen = draw(draws, &self.roster, &mut self.random, |hash| {
                        lone.or_else(|| {
                            ring.nearest(backup, hash, |server| {
                                passed_over(&self.roster, server, avoid, balance_factor)
                            })
                        })
                    });
                    // The queue of the backend is the place to wait, not that of a server drawn by chance.
                    chosen.filter(|&server| !full(server))
                }
                Algorithm::Hash(kind) => lone.or_else(|| match key {
                    Some(hash) => ring.nearest(backup, hash, |server| {
                        passed_over(&self.roster, server, avoid, kind.balance_factor)
                    }),
                    None => ring.next(backup, avoid, full),
                }),
                Algorithm::RoundRobin
                | Algorithm::StaticRoundRobin
                | Algorithm::LeastConn
                | Algorithm::First => None,
            },
        }
    }
}

/// Whether a lookup on the ring goes on: past the server to avoid, and past those at their bound.
fn passed_over(roster: &Roster, server: ServerIndex, avoid: Option<ServerIndex>, factor: u32) -> bool {
    // With one server left there is nothing to go on to.
    roster.usable() > 1 && (avoid == Some(server) || (factor > 0 && !ring::has_room(roster, server, factor)))
}

/// The least loaded for its weight of `draws` servers, the later one among equals.
fn draw(
    draws: u32,
    roster: &Roster,
    random: &mut Random,
    lookup: impl Fn(u32) -> Option<ServerIndex>,
) -> Option<ServerIndex> {
    let mut best = lookup(random.next())?;
    for _ in 1..draws {
        let other = lookup(random.next())?;
        if let (Some(a), Some(b)) = (roster.get(best), roster.get(other))
            && u64::from(b.load.served) * u64::from(a.effective)
                <= u64::from(a.load.served) * u64::from(b.effective)
        {
            best = other;
        }
    }
    Some(best)
}

impl Structure {
    fn new(algorithm: Algorithm, roster: &Roster) -> Structure {
        let mut structure = match algorithm {
            Algorithm::RoundRobin => {
                let servers = roster.in_order().into_iter().filter(|(_, entry)| entry.usable());
                let servers = servers.map(|(index, entry)| (index, entry.server.backup, entry.effective));
                return Structure::RoundRobin(RoundRobin::new(servers));
            }
            Algorithm::StaticRoundRobin => Structure::Map(Map::default()),
            Algorithm::LeastConn => Structure::LeastConn(LeastConn::default()),
            Algorithm::First => Structure::First(First::default()),
            Algorithm::Random { .. } => Structure::Ring(Ring::default()),
            Algorithm::Hash(kind) => match kind.method {
                HashMethod::MapBased => Structure::Map(Map::default()),
                HashMethod::Consistent => Structure::Ring(Ring::default()),
            },
        };
        if let Structure::Map(map) = &mut structure {
            map.rebuild(roster);
            return structure;
        }
        for (index, entry) in roster.in_order().into_iter().filter(|(_, entry)| entry.usable()) {
            let backup = entry.server.backup;
            structure.reweigh(Reweighing { index, backup, before: 0, after: entry.effective }, roster);
        }
        structure
    }

    /// Forgets the history of a server that is removed and unusable already.
    fn forget(&mut self, index: ServerIndex) {
        match self {
            Structure::RoundRobin(line) => line.forget(index),
            Structure::Ring(ring) => ring.forget(index),
            Structure::LeastConn(_) | Structure::First(_) | Structure::Map(_) => {}
        }
    }

    fn reweigh(&mut self, change: Reweighing, roster: &Roster) {
        let Some(entry) = roster.get(change.index) else {
            return;
        };
        match self {
            Structure::RoundRobin(line) => line.reweigh(change),
            Structure::LeastConn(tree) => tree.reweigh(change, entry.load),
            Structure::First(tree) => tree.reweigh(change, entry.server.id),
            Structure::Map(map) => map.rebuild(roster),
            Structure::Ring(ring) => {
                let initial = u32::from(entry.server.weight) * WEIGHT_SCALE;
                ring.reweigh(change, entry.server.id, initial);
            }
        }
    }
}

/// A small generator of numbers that look random (splitmix64): good for drawing servers, never for secrets.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    }
}
