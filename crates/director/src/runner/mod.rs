//! Runs virtual servers: a task for each checker, one loop that owns the pools and the data plane. Owns sockets, clocks
//! and programs; every decision is a pool's or a machine's.
//!
//! ```text
//!  checker tasks ── events ──► pools ──► wanted table ──► difference ──► data plane
//!  control ─────────────────┘        └─► log lines, programs
//! ```

mod ping;
mod probe;
mod program;
mod status;

use crate::check::{Machine, Verdict};
use crate::dataplane::Dataplane;
use crate::kernel::Refusal;
use crate::pool::{Action, Admin, Pool};
use crate::table::{Change, Table, difference};
use keepalived_config::model::{Check, CheckKind, Model};
use netlink::ipvs::Key;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Results that wait for the loop; checkers wait when it is full.
const EVENTS_MAX: usize = 1024;
/// How often connections of draining real servers are counted.
const DRAIN_INTERVAL: Duration = Duration::from_millis(500);

/// Who hears what happens.
pub type Log = Rc<dyn Fn(&str)>;

/// What the administrator asks of a running director.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Removes what is ours, and ends.
    Stop,
}

/// Why the virtual servers of a configuration cannot be run.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The keyword.
    pub what: &'static str,
    pub server: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of real server {} is not in this build yet", self.what, self.server)
    }
}

impl std::error::Error for Unsupported {}

/// What a checker found.
struct Event {
    pool: usize,
    server: usize,
    check: usize,
    /// Lines for the log, before what follows from the verdict.
    lines: Vec<String>,
    verdict: Option<bool>,
    /// What it adds to the weight.
    offset: Option<i64>,
}

/// The virtual servers of a configuration, ready to run.
pub struct Director {
    plane: Box<dyn Dataplane>,
    pools: Vec<Pool>,
    model: Rc<Model>,
    log: Log,
    /// What the plane has, as far as we know.
    believed: Table,
    owned: BTreeSet<Key>,
    /// Services that the plane refused; tried again when they change.
    refused: BTreeSet<Key>,
}

impl Director {
    /// # Errors
    /// A checker that this build cannot carry out.
    pub fn new(model: Rc<Model>, plane: Box<dyn Dataplane>, log: Log) -> Result<Self, Unsupported> {
        let groups = &model.virtual_server_groups;
        let pools: Vec<Pool> =
            model.virtual_servers.iter().map(|server| Pool::new(server.clone(), groups)).collect();
        for pool in &pools {
            for (at, real) in pool.virtual_server().real_servers.iter().enumerate() {
                if let Some(what) = real.checks.iter().find_map(unsupported) {
                    return Err(Unsupported { what, server: pool.server_name(at) });
                }
            }
        }
        let owned = pools.iter().flat_map(Pool::keys).copied().collect();
        let believed = Table::default();
        Ok(Self { plane, pools, model, log, believed, owned, refused: BTreeSet::new() })
    }

    /// Runs until told to stop, then removes what is ours. Needs a local task set.
    ///
    /// # Errors
    /// The data plane cannot be read at the start.
    pub async fn run(mut self, mut control: mpsc::Receiver<Control>) -> Result<(), Refusal> {
        self.believed = self.plane.read()?;
        self.settle();
        let (sender, mut events) = mpsc::channel(EVENTS_MAX);
        let checkers = self.start_checkers(&sender);
        let (door, refusal) = status::Door::from_environment();
        refusal.iter().for_each(|line| (self.log)(line));
        // Outside of the loop: events must not put it off.
        let mut counting = tokio::time::interval(DRAIN_INTERVAL);
        counting.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_draining = self.pools.iter().any(Pool::is_draining);
            tokio::select! {
                Some(event) = events.recv() => self.handle_event(event),
                asked = control.recv() => match asked {
                    Some(Control::Stop) | None => break,
                    Some(control) => self.handle_control(control),
                },
                _ = counting.tick(), if is_draining => self.count_connections(),
                client = door.next() => self.tell_status(client),
            }
            self.settle();
        }
        for checker in checkers {
            checker.abort();
        }
        for pool in &mut self.pools {
            pool.shut_down();
        }
        self.act();
        self.change(&Table::default());
        Ok(())
    }

    fn start_checkers(&self, sender: &mpsc::Sender<Event>) -> Vec<tokio::task::JoinHandle<()>> {
        let mut tasks = Vec::new();
        for (pool, server, check) in self.checks() {
            let virtual_server = self.pools[pool].virtual_server();
            let real = &virtual_server.real_servers[server];
            let checked = real.checks[check].clone();
            let checker = Checker {
                place: (pool, server, check),
                name: self.pools[pool].server_name(server),
                pool_name: self.pools[pool].name().to_owned(),
                address: real.address,
                weight: i64::from(real.weight),
                is_alpha: virtual_server.alpha || real.alpha || checked.timing.alpha,
                check: checked,
                model: Rc::clone(&self.model),
            };
            (self.log)(&format!(
                "Activating healthchecker for service {} for VS {}",
                checker.name, checker.pool_name
            ));
            tasks.push(tokio::task::spawn_local(checker.run(sender.clone())));
        }
        tasks
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
        let pool = &mut self.pools[event.pool];
        for line in &event.lines {
            (self.log)(line);
        }
        if let Some(offset) = event.offset {
            pool.handle_offset(event.server, event.check, offset);
        }
        if let Some(is_up) = event.verdict {
            pool.handle_verdict(event.server, event.check, is_up);
        }
    }

    fn handle_control(&mut self, control: Control) {
        match control {
            Control::Drain { pool, server, until } => self.pools[pool].drain(server, until),
            Control::Ready { pool, server } => self.pools[pool].make_ready(server),
            Control::Weight { pool, server, weight } => self.pools[pool].set_weight(server, weight),
            Control::Stop => {}
        }
    }

    /// A plane that cannot be asked now has no counters.
    fn tell_status(&mut self, client: tokio::net::UnixStream) {
        let table = self.plane.read().unwrap_or_default();
        status::answer(client, status::document(&self.pools, &table));
    }

    /// Looks how many connections draining real servers have left.
    fn count_connections(&mut self) {
        let Ok(table) = self.plane.read() else { return };
        let now = Instant::now();
        for pool in self.pools.iter_mut().filter(|pool| pool.is_draining()) {
            let keys = pool.keys().to_vec();
            let addresses: Vec<_> =
                pool.virtual_server().real_servers.iter().map(|real| real.address).collect();
            let connections = |server: usize| {
                let of_service = |key: &Key| {
                    let servers = table.0.get(key).map(|entry| entry.servers.values());
                    let of_server = servers.into_iter().flatten().filter(|one| {
                        one.address == addresses[server].ip()
                            && (one.port == addresses[server].port() || addresses[server].port() == 0)
                    });
                    of_server.map(|one| one.active + one.inactive).sum::<u32>()
                };
                keys.iter().map(of_service).sum()
            };
            pool.handle_timeout(now, connections);
        }
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
        for pool in &mut self.pools {
            while let Some(action) = pool.poll_action() {
                match action {
                    Action::Log(line) => (self.log)(&line),
                    Action::Run(command) => program::start(command),
                }
            }
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
                (self.log)(&format!("cannot {change}: {refusal}"));
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

fn unsupported(check: &Check) -> Option<&'static str> {
    match &check.kind {
        CheckKind::Http { tls: true, .. } => Some("SSL_GET"),
        CheckKind::Bfd { .. } => Some("BFD_CHECK"),
        CheckKind::Tcp
        | CheckKind::Http { tls: false, .. }
        | CheckKind::Smtp { .. }
        | CheckKind::Dns { .. }
        | CheckKind::Misc { .. }
        | CheckKind::Udp { .. }
        | CheckKind::Ping
        | CheckKind::File { .. } => None,
    }
}

/// One check of one real server.
struct Checker {
    place: (usize, usize, usize),
    name: String,
    pool_name: String,
    address: std::net::SocketAddr,
    weight: i64,
    is_alpha: bool,
    check: Check,
    model: Rc<Model>,
}

/// What one run of a check came to.
#[derive(Debug, Default)]
struct Found {
    passed: bool,
    /// The next URL is to be asked before this is a result.
    is_part: bool,
    offset: Option<i64>,
    /// A line of its own for a failure.
    line: Option<String>,
    /// `exited with status 1`.
    detail: Option<String>,
}

impl Checker {
    async fn run(self, sender: mpsc::Sender<Event>) {
        let random = f64::from(random_u32()) / f64::from(u32::MAX);
        let mut machine = Machine::new(self.check.timing, self.is_alpha, Instant::now(), random);
        let mut urls = probe::Urls::new(&self.check.kind);
        let mut offset = 0;
        while let Some(due) = machine.poll_timeout() {
            tokio::time::sleep_until(due.into()).await;
            machine.begin();
            let mut found = self.look(&mut urls).await;
            found.offset = found.offset.filter(|now| std::mem::replace(&mut offset, *now) != *now);
            if found.is_part {
                machine.handle_part(Instant::now());
                continue;
            }
            urls.restart();
            let verdict = machine.handle_result(Instant::now(), found.passed);
            if let Some(event) = self.event(verdict, found)
                && sender.send(event).await.is_err()
            {
                return;
            }
        }
    }

    async fn look(&self, urls: &mut probe::Urls) -> Found {
        match &self.check.kind {
            CheckKind::Misc { command, timeout, dynamic } => {
                program::check(command, *timeout, *dynamic, self.weight).await
            }
            CheckKind::Ping => ping::check(self.address.ip(), self.check.timing.connect_timeout).await,
            CheckKind::File { file, weight } => {
                let file = &self.model.track_files[file.index()];
                probe::file(&file.path, i64::from(weight.weight), weight.reverse)
            }
            CheckKind::Tcp
            | CheckKind::Http { .. }
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Udp { .. }
            | CheckKind::Bfd { .. } => probe::check(self.address, &self.check, urls).await,
        }
    }

    fn event(&self, verdict: Verdict, found: Found) -> Option<Event> {
        let (pool, server, check) = self.place;
        let mut lines = Vec::new();
        let is_up = match verdict {
            Verdict::Up => {
                lines.extend(self.success_line());
                Some(true)
            }
            Verdict::Down { retries } => {
                lines.extend(found.line.clone());
                lines.extend(self.failure_line(retries, &found));
                Some(false)
            }
            Verdict::Retrying | Verdict::Same => None,
        };
        if is_up.is_none() && found.offset.is_none() {
            return None;
        }
        Some(Event { pool, server, check, lines, verdict: is_up, offset: found.offset })
    }

    fn success_line(&self) -> Option<String> {
        let name = &self.name;
        match &self.check.kind {
            CheckKind::Tcp => Some(format!("TCP connection to {name} success.")),
            CheckKind::Http { .. } => Some(format!("Remote Web server {name} succeed on service.")),
            CheckKind::Smtp { .. } => Some(format!("Remote SMTP server {name} succeed on service.")),
            CheckKind::Ping => Some(format!("ICMP connection to {name} success.")),
            CheckKind::Misc { command, .. } => {
                let (pool, script) = (&self.pool_name, &command.words[0]);
                Some(format!("Misc check for [{name} VS {pool}] by [{script}] succeeded."))
            }
            // keepalived says nothing of these.
            CheckKind::Dns { .. }
            | CheckKind::Udp { .. }
            | CheckKind::File { .. }
            | CheckKind::Bfd { .. } => None,
        }
    }

    fn failure_line(&self, retries: u32, found: &Found) -> Option<String> {
        let name = &self.name;
        let word = match &self.check.kind {
            CheckKind::Tcp => "TCP_CHECK",
            CheckKind::Http { .. } => "HTTP_CHECK",
            CheckKind::Smtp { .. } => "SMTP_CHECK",
            CheckKind::Ping => "ICMP_CHECK",
            CheckKind::Udp { .. } => "UDP_CHECK",
            CheckKind::Misc { command, .. } => {
                let (pool, script) = (&self.pool_name, &command.words[0]);
                let after = match retries {
                    0 => "with retry disabled".to_owned(),
                    retries => format!("after {retries} retries"),
                };
                let detail = found.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                let line = format!("Misc check for [{name} VS {pool}] by [{script}] failed {after}{detail}.");
                return Some(line);
            }
            CheckKind::Dns { .. } => "DNS_CHECK",
            CheckKind::File { .. } | CheckKind::Bfd { .. } => return None,
        };
        Some(match retries {
            0 => format!("{word} on service {name} failed."),
            retries => format!("{word} on service {name} failed after {retries} retries."),
        })
    }
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
