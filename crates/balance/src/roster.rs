//! The servers of a backend: who they are, who is usable, and which of them take part.
//!
//! Owns configuration, state, weights and load of each server, and the rule of active and backup servers. Never
//! orders servers for an algorithm: the structures beside it do.

use std::collections::BTreeSet;

/// Largest weight of a server (`weight`, manual section 5.2).
pub const MAX_WEIGHT: u16 = 256;

/// Effective weights of dynamic algorithms count in sixteenths, which makes room for slow start.
pub const WEIGHT_SCALE: u32 = 16;

/// A server as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// `id`: numbers from 1 in order of declaration unless set. Places the server on the ring and orders `first`.
    pub id: u32,
    /// `weight`: 0..=256, more counts as 256; with 0 the server gets no traffic from the picker.
    pub weight: u16,
    /// `backup`: used only when no active server is usable.
    pub backup: bool,
    /// Whether the server is usable from the start; false for `disabled`.
    pub up: bool,
}

impl Server {
    /// An active server of weight 1 that is up.
    pub fn new(id: u32) -> Server {
        Server { id, weight: 1, backup: false, up: true }
    }

    /// With another weight.
    pub fn weight(self, weight: u16) -> Server {
        Server { weight, ..self }
    }

    /// As a backup server.
    pub fn backup(self) -> Server {
        Server { backup: true, ..self }
    }

    /// Not usable until [`Picker::set_up`](crate::Picker::set_up) says so.
    pub fn down(self) -> Server {
        Server { up: false, ..self }
    }
}

/// A server within its picker. Servers given to [`Picker::new`](crate::Picker::new) have their position there;
/// the index of a removed server is given to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIndex(u32);

impl ServerIndex {
    /// The index of the server at `position`.
    pub fn at(position: usize) -> ServerIndex {
        ServerIndex(u32::try_from(position).expect("a picker holds fewer than 2^32 servers"))
    }

    /// The position of the server, for a table beside the picker.
    pub fn position(self) -> usize {
        self.0 as usize
    }
}

/// What a server has to do: requests (or connections in TCP mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Being served.
    pub served: u32,
    /// Waiting in the queue of this server.
    pub queued: u32,
}

impl Load {
    /// All of them.
    pub fn total(&self) -> u64 {
        u64::from(self.served) + u64::from(self.queued)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub server: Server,
    /// Place in the order of declaration; servers added later come last.
    pub order: u64,
    pub weight: u16,
    /// Share of the weight in force, in sixteenths; see slow start.
    pub ramp: u8,
    pub up: bool,
    pub load: Load,
    /// Effective weight in force, in the scale of the algorithm.
    pub effective: u32,
    /// Sum of the effective weights before this server in its group when the backend started.
    pub weight_before: u64,
}

impl Entry {
    pub fn usable(&self) -> bool {
        self.up && self.effective > 0
    }
}

/// Which servers a pick chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    Active,
    /// The first usable backup server, alone (no `option allbackups`).
    OneBackup(ServerIndex),
    AllBackups,
    Empty,
}

/// How weights of users become effective weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Sixteenths, so that slow start has steps.
    Dynamic,
    /// Divided by the greatest common divisor of all weights, which keeps the map small.
    Static { divisor: u16 },
}

impl Scale {
    fn effective(self, weight: u16, ramp: u8) -> u32 {
        match self {
            Scale::Dynamic => u32::from(weight) * u32::from(ramp),
            Scale::Static { divisor } => u32::from(weight).div_ceil(u32::from(divisor)),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    usable: usize,
    weight: u64,
}

/// A change of a server as the structures must follow it: effective weights before and after, 0 for unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reweighing {
    pub index: ServerIndex,
    pub backup: bool,
    pub before: u32,
    pub after: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Roster {
    entries: Vec<Option<Entry>>,
    vacant: Vec<ServerIndex>,
    next_order: u64,
    scale: Scale,
    all_backups: bool,
    active: Group,
    backup: Group,
    /// Usable backup servers in order of declaration.
    backups: BTreeSet<(u64, ServerIndex)>,
    served: u64,
}

impl Roster {
    pub fn new(servers: &[Server], dynamic: bool, all_backups: bool) -> Roster {
        let scale = if dynamic { Scale::Dynamic } else { Scale::Static { divisor: common_divisor(servers) } };
        let mut roster = Roster {
            entries: Vec::with_capacity(servers.len()),
            vacant: Vec::new(),
            next_order: 0,
            scale,
            all_backups,
            active: Group::default(),
            backup: Group::default(),
            backups: BTreeSet::new(),
            served: 0,
        };
        for &server in servers {
            let index = roster.insert(server);
            let before = roster.group(server.backup).weight;
            roster.change(index, |entry| {
                entry.up = server.up;
                entry.weight_before = before;
            });
        }
        roster
    }

    /// Adds a server that is not usable yet.
    pub fn insert(&mut self, server: Server) -> ServerIndex {
        let weight = server.weight.min(MAX_WEIGHT);
        let ramp = WEIGHT_SCALE as u8;
        let entry = Entry {
            server: Server { weight, ..server },
            order: self.next_order,
            weight,
            ramp,
            up: false,
            load: Load::default(),
            effective: self.scale.effective(weight, ramp),
            weight_before: 0,
        };
        self.next_order += 1;
        match self.vacant.pop() {
            Some(index) => {
                self.entries[index.position()] = Some(entry);
                index
            }
            None => {
                self.entries.push(Some(entry));
                ServerIndex::at(self.entries.len() - 1)
            }
        }
    }

    /// Forgets a server, which must not be usable any more.
    pub fn remove(&mut self, index: ServerIndex) {
        self.set_load(index, Load::default());
        if let Some(slot) = self.entries.get_mut(index.position())
            && slot.take().is_some()
        {
            self.vacant.push(index);
        }
    }

    pub fn get(&self, index: ServerIndex) -> Option<&Entry> {
        self.entries.get(index.position())?.as_ref()
    }

    /// Servers in order of declaration.
    pub fn in_order(&self) -> Vec<(ServerIndex, &Entry)> {
        let mut servers: Vec<_> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(position, entry)| Some((ServerIndex::at(position), entry.as_ref()?)))
            .collect();
        servers.sort_unstable_by_key(|(_, entry)| entry.order);
        servers
    }

    /// Changes a server and keeps the totals; `None` when nothing that matters to a structure changed.
    pub fn change(&mut self, index: ServerIndex, change: impl FnOnce(&mut Entry)) -> Option<Reweighing> {
        let entry = self.entries.get_mut(index.position())?.as_mut()?;
        let before = if entry.usable() { entry.effective } else { 0 };
        change(entry);
        entry.effective = self.scale.effective(entry.weight, entry.ramp);
        let after = if entry.usable() { entry.effective } else { 0 };
        let backup = entry.server.backup;
        if before == after {
            return None;
        }
        if backup {
            let key = (entry.order, index);
            if after > 0 {
                self.backups.insert(key)
            } else {
                self.backups.remove(&key)
            };
        }
        let group = if backup { &mut self.backup } else { &mut self.active };
        group.weight = group.weight - u64::from(before) + u64::from(after);
        group.usable = group.usable + usize::from(after > 0) - usize::from(before > 0);
        Some(Reweighing { index, backup, before, after })
    }

    pub fn set_load(&mut self, index: ServerIndex, load: Load) {
        if let Some(Some(entry)) = self.entries.get_mut(index.position()) {
            self.served = self.served - u64::from(entry.load.served) + u64::from(load.served);
            entry.load = load;
        }
    }

    fn group(&self, backup: bool) -> &Group {
        if backup { &self.backup } else { &self.active }
    }

    pub fn pool(&self) -> Pool {
        if self.active.usable > 0 {
            return Pool::Active;
        }
        match self.backups.first() {
            None => Pool::Empty,
            Some(_) if self.all_backups => Pool::AllBackups,
            Some(&(_, first)) => Pool::OneBackup(first),
        }
    }

    /// Usable active servers.
    pub fn active(&self) -> usize {
        self.active.usable
    }

    /// Usable backup servers.
    pub fn backups(&self) -> usize {
        self.backup.usable
    }

    /// Servers that a pick chooses from.
    pub fn usable(&self) -> usize {
        match self.pool() {
            Pool::Active => self.active.usable,
            Pool::OneBackup(_) => 1,
            Pool::AllBackups => self.backup.usable,
            Pool::Empty => 0,
        }
    }

    /// Sum of the effective weights of the servers that a pick chooses from.
    pub fn total_weight(&self) -> u64 {
        match self.pool() {
            Pool::Active => self.active.weight,
            Pool::OneBackup(index) => self.get(index).map_or(0, |entry| u64::from(entry.effective)),
            Pool::AllBackups => self.backup.weight,
            Pool::Empty => 0,
        }
    }

    /// Requests being served by all servers.
    pub fn served(&self) -> u64 {
        self.served
    }
}

/// The greatest common divisor of all weights above zero, backup servers included; 1 when there is none.
fn common_divisor(servers: &[Server]) -> u16 {
    let divisor = servers.iter().map(|server| server.weight.min(MAX_WEIGHT)).fold(0, |mut a, mut b| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    });
    divisor.max(1)
}
