//! Runs virtual servers: a task for each checker, one loop that owns the pools and the data plane. Owns sockets, clocks
//! and programs; every decision is a pool's or a machine's.
//!
//! ```text
//!  checker tasks ── events ──► pools ──► wanted table ──► difference ──► data plane
//!  control ─────────────────┘        └─► log lines, programs
//! ```

mod checker;
mod command;
mod draining;
mod ping;
mod probe;
mod program;
mod reload;
mod secure;
mod standing;
pub mod status;
mod tracked;
mod words;

pub use command::REFUSED;
pub use probe::{HELO_NAME, target};
pub use standing::{Checking, Standing};

use crate::dataplane::Dataplane;
use crate::kernel::Refusal;
use crate::pool::{Action, Admin, Changed, Pool, Told};
use crate::table::{Change, Table, difference};
use checker::{Checker, Event};
use keepalived_config::model::{CheckKind, Model};
use netlink::ipvs::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Results that wait for the loop; checkers wait when it is full.
const EVENTS_MAX: usize = 1024;
/// How often connections of draining real servers are counted.
const DRAIN_INTERVAL: Duration = Duration::from_millis(500);

/// What happens.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// A line for the log, in keepalived's words.
    Line(&'a str),
    /// For pipes and mails.
    Told(&'a Told),
    /// What [`Control::Tell`] asked for.
    State(&'a State<'a>),
    /// For SNMP managers.
    Changed(&'a Pool, Changed),
    /// What [`Control::Count`] asked for; without the plane's table where none was wanted, or there is none to be had.
    Counted(&'a [Pool], Option<&'a Table>),
}

/// All that is known of the virtual servers now.
#[derive(Debug)]
pub struct State<'a> {
    pub pools: &'a [Pool],
    /// By place.
    pub checks: Vec<Checking>,
    /// The numbers in the configuration's files.
    pub files: Vec<i64>,
}

/// Who hears what happens.
pub type Listener = Rc<dyn Fn(News<'_>)>;

/// What is asked of a running director.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    Drain {
        pool: usize,
        server: usize,
        until: Option<Instant>,
    },
    Ready {
        pool: usize,
        server: usize,
    },
    Weight {
        pool: usize,
        server: usize,
        weight: Option<u32>,
    },
    /// Another configuration with the numbers in its files; what is known of its real servers stays known.
    Reload(Rc<Model>, Vec<i64>),
    /// The addresses that this host has now, for `ha_suspend`.
    Addresses(BTreeSet<IpAddr>),
    /// A session of BFD.
    Session {
        name: String,
        is_up: bool,
    },
    /// The numbers in the configuration's files, by their place.
    Numbers(Vec<i64>),
    /// The listener is to hear the state of everything.
    Tell,
    /// The listener is to hear of the pools; of the plane's counters, if wanted.
    Count {
        reads_table: bool,
    },
    Stop(Stop),
}

/// How a director ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// What is ours is removed from the plane.
    Release,
    /// It stays (`-I`).
    Leave,
    /// The whole plane is flushed behind us: nothing is to be removed or said one by one.
    Flush,
}

/// The virtual servers of a configuration, ready to run.
pub struct Director {
    plane: Box<dyn Dataplane>,
    pools: Vec<Pool>,
    model: Rc<Model>,
    listener: Listener,
    /// What this host has, as far as we were told.
    addresses: BTreeSet<IpAddr>,
    /// One to a pool: whether its checkers run.
    active: Vec<watch::Sender<bool>>,
    /// Where its checkers stand, by pool, real server and check.
    standings: BTreeMap<(usize, usize, usize), standing::Shared>,
    /// Of the configuration; results of an older one's checkers are nobody's.
    generation: u64,
    /// What the plane has, as far as we know.
    believed: Table,
    owned: BTreeSet<Key>,
    /// Services that the plane refused; tried again when they change.
    refused: BTreeSet<Key>,
    socket: Option<PathBuf>,
    /// As far as we were told.
    sessions: BTreeMap<String, bool>,
    numbers: Vec<i64>,
    /// When connections that are only remembered are looked for again.
    next_look: Instant,
}

impl Director {
    /// `numbers` are those in the model's files, by their place.
    pub fn new(model: Rc<Model>, numbers: Vec<i64>, plane: Box<dyn Dataplane>, listener: Listener) -> Self {
        let mut pools = pools(&model, &numbers);
        if model.global.real_server_init_notifies {
            pools.iter_mut().for_each(Pool::tell_all);
        }
        Self {
            plane,
            owned: pools.iter().flat_map(Pool::keys).copied().collect(),
            pools,
            model,
            listener,
            addresses: BTreeSet::new(),
            active: Vec::new(),
            standings: BTreeMap::new(),
            generation: 0,
            believed: Table::default(),
            refused: BTreeSet::new(),
            socket: None,
            sessions: BTreeMap::new(),
            numbers,
            next_look: Instant::now(),
        }
    }

    /// The addresses that this host has at the start.
    pub fn set_addresses(&mut self, addresses: BTreeSet<IpAddr>) {
        self.addresses = addresses;
    }

    /// Where `hawser director show` and its like ask.
    pub fn set_socket(&mut self, path: PathBuf) {
        self.socket = Some(path);
    }

    /// Runs until told to stop. Needs a local task set.
    ///
    /// # Errors
    /// The data plane cannot be read at the start.
    pub async fn run(mut self, mut control: mpsc::Receiver<Control>) -> Result<(), Refusal> {
        self.believed = self.plane.read()?;
        self.settle();
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let mut checkers = self.start_checkers(&sender, &[]);
        let (mut door, refusal) = status::Door::open(self.socket.as_deref());
        refusal.iter().for_each(|line| (self.listener)(News::Line(line)));
        // Outside of the loop: events must not put it off.
        let mut counting = tokio::time::interval(DRAIN_INTERVAL);
        counting.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stop = loop {
            let is_draining = self.pools.iter().any(Pool::is_draining);
            tokio::select! {
                Some(event) = events.recv() => self.handle_event(event),
                asked = control.recv() => match asked {
                    Some(Control::Stop(stop)) => break stop,
                    None => break Stop::Release,
                    Some(Control::Reload(model, numbers)) => {
                        checkers.iter().for_each(JoinHandle::abort);
                        let before = self.reload(model, numbers);
                        self.settle();
                        checkers = self.start_checkers(&sender, &before);
                    }
                    Some(control) => self.handle_control(control),
                },
                _ = counting.tick(), if is_draining => self.count_connections(),
                asked = door.next() => {
                    // Whoever has left needs no answer.
                    let _ = asked.answer.send(self.answer(&asked.line));
                }
            }
            self.settle();
        };
        checkers.iter().for_each(JoinHandle::abort);
        match stop {
            Stop::Release => {
                self.pools.iter_mut().for_each(Pool::shut_down);
                self.act();
                self.change(&Table::default());
            }
            Stop::Leave | Stop::Flush => {}
        }
        Ok(())
    }

    /// `before` is what the checkers of the last configuration found out.
    fn start_checkers(&mut self, sender: &mpsc::Sender<Event>, before: &[Pool]) -> Vec<JoinHandle<()>> {
        self.active = self.pools.iter().map(|pool| watch::channel(self.is_active(pool)).0).collect();
        let mut tasks = Vec::new();
        let old_standings = std::mem::take(&mut self.standings);
        for (pool, server, check) in self.checks() {
            let one = &self.pools[pool];
            let virtual_server = one.virtual_server();
            let real = &virtual_server.real_servers[server];
            let checked = real.checks[check].clone();
            // What has not run yet has nothing to hand on.
            let known = before.iter().enumerate().find(|(_, old)| old.name() == one.name());
            let known = known.and_then(|(old_pool, old)| {
                let (old_server, old_check, is_up) = one.known_result(old, server, check)?;
                let old = old_standings.get(&(old_pool, old_server, old_check))?;
                old.borrow().has_run.then_some(is_up)
            });
            let standing = standing::Shared::new(Standing::new(&checked, known.is_some()).into());
            self.standings.insert((pool, server, check), Rc::clone(&standing));
            if is_told(&checked.kind) {
                continue;
            }
            let checker = Checker {
                generation: self.generation,
                place: (pool, server, check),
                name: one.server_name(server),
                pool_name: one.name().to_owned(),
                address: real.address,
                weight: i64::from(real.weight),
                is_alpha: checked.timing.alpha,
                known,
                standing,
                active: self.active[pool].subscribe(),
                check: checked,
                model: Rc::clone(&self.model),
            };
            let verb = if *checker.active.borrow() { "Activating" } else { "Deactivating" };
            self.say_of_checker(verb, &checker.name, &checker.pool_name);
            tasks.push(tokio::task::spawn_local(checker.run(sender.clone())));
        }
        self.say("Activating BFD healthchecker");
        self.note_offsets();
        self.apply_sessions();
        tasks
    }

    fn say_of_checker(&self, verb: &str, server: &str, pool: &str) {
        self.say(&format!("{verb} healthchecker for service {server} for VS {pool}"));
    }

    fn say(&self, line: &str) {
        (self.listener)(News::Line(line));
    }

    /// Whether its checkers run: without `ha_suspend` always, with it while one of its addresses is here.
    fn is_active(&self, pool: &Pool) -> bool {
        pool.suspending_addresses()
            .is_none_or(|mut addresses| addresses.any(|address| self.addresses.contains(&address)))
    }

    fn handle_addresses(&mut self, addresses: BTreeSet<IpAddr>) {
        let before = std::mem::replace(&mut self.addresses, addresses);
        let watched = self.pools.iter().filter_map(Pool::suspending_addresses).flatten();
        let watched: BTreeSet<IpAddr> = watched.collect();
        for address in watched.intersection(&before.symmetric_difference(&self.addresses).copied().collect())
        {
            let verb = if self.addresses.contains(address) { "added" } else { "removed" };
            self.say(&format!("Netlink reflector reports IP {address} {verb}"));
        }
        for (pool, active) in self.pools.iter().zip(&self.active) {
            let is_active = self.is_active(pool);
            if *active.borrow() == is_active {
                continue;
            }
            active.send_replace(is_active);
            let verb = if is_active { "Activating" } else { "Suspending" };
            for (server, real) in pool.virtual_server().real_servers.iter().enumerate() {
                for _ in real.checks.iter().filter(|check| !is_told(&check.kind)) {
                    self.say_of_checker(verb, &pool.server_name(server), pool.name());
                }
            }
        }
    }

    fn checks(&self) -> Vec<(usize, usize, usize)> {
        let mut places = Vec::new();
        for (pool, one) in self.pools.iter().enumerate() {
            for (server, real) in one.virtual_server().real_servers.iter().enumerate() {
                places.extend((0..real.checks.len()).map(|check| (pool, server, check)));
            }
        }
        places
    }

    fn handle_event(&mut self, event: Event) {
        if event.generation != self.generation {
            return;
        }
        for line in &event.lines {
            self.say(line);
        }
        let pool = &mut self.pools[event.pool];
        if let Some(offset) = event.offset {
            pool.handle_offset(event.server, event.check, offset);
        }
        if let Some(is_up) = event.verdict {
            pool.handle_verdict(event.server, event.check, is_up, &event.reason);
        }
    }

    fn handle_control(&mut self, control: Control) {
        match control {
            Control::Drain { pool, server, until } => self.pools[pool].drain(server, until),
            Control::Ready { pool, server } => self.pools[pool].make_ready(server),
            Control::Weight { pool, server, weight } => self.pools[pool].set_weight(server, weight),
            Control::Addresses(addresses) => self.handle_addresses(addresses),
            // The loop's own.
            Control::Reload(..) | Control::Stop(_) => {}
            Control::Session { name, is_up } => self.handle_session(name, is_up),
            Control::Numbers(numbers) => self.handle_numbers(numbers),
            Control::Tell => self.tell_state(),
            Control::Count { reads_table } => {
                let table = if reads_table { self.plane.read().ok() } else { None };
                (self.listener)(News::Counted(&self.pools, table.as_ref()));
            }
        }
    }

    fn tell_state(&self) {
        let checks = self.standings.iter().map(|(place, standing)| Checking {
            place: *place,
            is_active: *self.active[place.0].borrow(),
            standing: standing.borrow().clone(),
        });
        let state = State { pools: &self.pools, checks: checks.collect(), files: self.numbers.clone() };
        (self.listener)(News::State(&state));
    }

    /// Says and runs what the pools want, and brings the plane to what they want.
    fn settle(&mut self) {
        self.act();
        let mut wanted = Table::default();
        for pool in &self.pools {
            pool.wanted(&mut wanted);
        }
        self.change(&wanted);
    }

    fn act(&mut self) {
        while let Some((place, action)) = self.next_action() {
            self.take(&self.pools[place], action);
        }
    }

    fn next_action(&mut self) -> Option<(usize, Action)> {
        let mut pools = self.pools.iter_mut().enumerate();
        pools.find_map(|(place, pool)| pool.poll_action().map(|action| (place, action)))
    }

    fn take(&self, pool: &Pool, action: Action) {
        match action {
            Action::Log(line) => self.say(&line),
            Action::Run(command) => program::start(command),
            Action::Tell(told) => (self.listener)(News::Told(&told)),
            Action::Show(changed) => (self.listener)(News::Changed(pool, changed)),
        }
    }

    /// A refused step is named; the others are taken.
    fn change(&mut self, wanted: &Table) {
        for change in difference(&self.believed, wanted, &self.owned) {
            let key = *change.key();
            match &change {
                Change::AddService(_) => {
                    self.refused.remove(&key);
                }
                Change::EditService(_)
                | Change::DeleteService(_)
                | Change::AddServer(..)
                | Change::EditServer(..)
                | Change::DeleteServer(..) => {
                    if self.refused.contains(&key) {
                        continue;
                    }
                }
            }
            if let Err(refusal) = self.plane.apply(&change) {
                self.say(&format!("cannot {change}: {refusal}"));
                if matches!(change, Change::AddService(_)) {
                    self.refused.insert(key);
                }
            }
        }
        // Steps that were refused are not asked for again at each event: what is believed is what was wanted.
        self.believed.0.retain(|key, _| !self.owned.contains(key));
        self.believed.0.extend(wanted.0.iter().map(|(key, entry)| (*key, entry.clone())));
    }

    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }
}

/// Whether a real server serves, for a view of it.
pub fn state_word(pool: &Pool, server: usize) -> &'static str {
    match (pool.admin(server), pool.is_alive(server)) {
        (Admin::Drained, _) => "drained",
        (Admin::Draining { .. }, _) => "draining",
        (Admin::Ready, true) => "up",
        (Admin::Ready, false) => "down",
    }
}

/// The virtual servers of a configuration as they are at the start.
fn pools(model: &Model, numbers: &[i64]) -> Vec<Pool> {
    let groups = &model.virtual_server_groups;
    model.virtual_servers.iter().map(|server| Pool::new(server.clone(), groups, numbers)).collect()
}

/// Whether a check has no turn of its own: it is told of changes.
fn is_told(kind: &CheckKind) -> bool {
    matches!(kind, CheckKind::File { .. } | CheckKind::Bfd { .. })
}

/// Whether a check runs over datagrams.
fn is_datagram(check: &CheckKind) -> bool {
    matches!(check, CheckKind::Dns { .. } | CheckKind::Udp { .. })
}

/// Of the system's generator; the clock's low bits where it has none.
fn random_u32() -> u32 {
    let mut bytes = [0; 4];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(4) => u32::from_ne_bytes(bytes),
        Ok(_) | Err(_) => Instant::now().elapsed().subsec_nanos(),
    }
}
