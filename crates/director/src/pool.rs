//! One virtual server and the health of its real servers: which of them are in the data plane, with what weight, and
//! what is said and run about it. Pure: results of checks come in, actions and the wanted table go out.
//!
//! ```text
//!  check results ─► real server alive? ─► sum of weights ─► quorum ─► alive servers, or the sorry server
//! ```

mod services;
mod told;

pub use told::{About, Changed, Phase, Told};

use crate::table::{ServerKey, Table};
use keepalived_config::model::{
    Check, CheckKind, Command, Forwarding, RealServer, TransportProtocol, VirtualAddress, VirtualServer,
    VirtualServerGroup,
};
use netlink::ipvs::{Destination, Flags, Key, Service};
use services::{forward, keys, netmask, server_port};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// The kernel's largest weight that schedulers compute with.
pub const WEIGHT_MAX: i64 = 65_535;
/// IPVS keeps weights as signed numbers of 32 bits: what checks add may come so far, as with keepalived.
const SUM_MAX: i64 = 2_147_483_647;
/// Actions that wait to be taken out; each event makes a handful.
const ACTIONS_MAX: usize = 4096;
const SORRY_WEIGHT: u32 = 1;

/// Something to do for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A line for the log, in keepalived's words.
    Log(String),
    /// A program to run.
    Run(Command),
    /// For pipes and mails.
    Tell(Told),
    /// For SNMP managers.
    Show(Changed),
}

/// What the administrator wants of a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admin {
    #[default]
    Ready,
    /// Weight 0: keeps its connections, takes no new ones; out of the table at the deadline, or as soon as none is left.
    Draining { until: Option<Instant> },
    /// Out of the table.
    Drained,
}

/// A real server as it is now.
#[derive(Debug, Clone)]
struct Health {
    /// Checks that fail, by their place.
    failed: BTreeSet<usize>,
    /// What each check adds to the weight.
    offsets: Vec<i64>,
    /// Set by the administrator in place of the configured one.
    weight: Option<u32>,
    admin: Admin,
}

/// One virtual server.
#[derive(Debug)]
pub struct Pool {
    server: VirtualServer,
    keys: Vec<Key>,
    name: String,
    health: Vec<Health>,
    has_quorum: bool,
    /// The sorry server serves in place of the others.
    is_sorry: bool,
    actions: VecDeque<Action>,
}

impl Pool {
    /// As the program starts: servers are up unless they are to be proven first (`alpha`).
    /// `numbers` are those in the configuration's files, by place.
    pub fn new(server: VirtualServer, groups: &[VirtualServerGroup], numbers: &[i64]) -> Self {
        let (keys, name) = keys(&server, groups);
        // What is only told of changes is good until then, but for sessions.
        let is_alpha = |real: &RealServer, check: usize| {
            let check = &real.checks[check];
            check.timing.alpha && !matches!(check.kind, CheckKind::File { .. })
        };
        let health = server
            .real_servers
            .iter()
            .map(|real| Health {
                failed: (0..real.checks.len()).filter(|check| is_alpha(real, *check)).collect(),
                offsets: real
                    .checks
                    .iter()
                    .map(|check| file_offset(&check.kind, numbers).unwrap_or(0))
                    .collect(),
                weight: None,
                admin: Admin::Ready,
            })
            .collect();
        let mut pool =
            Self { server, keys, name, health, has_quorum: false, is_sorry: false, actions: VecDeque::new() };
        pool.weigh("Starting with quorum up");
        if !pool.has_quorum {
            pool.start_down();
        }
        pool
    }

    /// Tells of every real server that is up at the start (`rs_init_notifies`).
    pub fn tell_all(&mut self) {
        // Before what is said of the quorum.
        let later = std::mem::take(&mut self.actions);
        for server in (0..self.health.len()).filter(|server| self.is_alive(*server)).collect::<Vec<_>>() {
            self.actions.extend(self.server.real_servers[server].notify_up.clone().map(Action::Run));
            self.tell_of(server, true, None);
        }
        self.actions.extend(later);
    }

    /// Goes on where `before`, the same virtual server of the last configuration, has come to: the health of checks that
    /// are the same, the administrator's wishes, the quorum. What follows from other settings is said as a change.
    pub fn carry_over(&mut self, before: &Pool) {
        for server in 0..self.health.len() {
            let name = self.server_name(server);
            let Some(old) = (0..before.health.len()).find(|old| before.server_name(*old) == name) else {
                continue;
            };
            self.health[server].weight = before.health[old].weight;
            self.health[server].admin = before.health[old].admin;
            for check in 0..self.health[server].offsets.len() {
                let Some(old_check) = self.same_check(before, (server, check), old) else { continue };
                // A file says itself what it adds.
                if !matches!(self.server.real_servers[server].checks[check].kind, CheckKind::File { .. }) {
                    self.health[server].offsets[check] = before.health[old].offsets[old_check];
                }
                if before.health[old].failed.contains(&old_check) {
                    self.health[server].failed.insert(check);
                } else {
                    self.health[server].failed.remove(&check);
                }
            }
        }
        self.actions.clear();
        self.has_quorum = before.has_quorum;
        self.is_sorry = !before.has_quorum && self.server.sorry_server.is_some();
        self.weigh("Gained quorum");
    }

    fn same_check(&self, before: &Pool, (server, check): (usize, usize), old: usize) -> Option<usize> {
        let checks = &self.server.real_servers[server].checks;
        let old_checks = &before.server.real_servers[old].checks;
        let is_same = |one: &Check| one.kind == checks[check].kind && one.connect == checks[check].connect;
        old_checks.iter().position(is_same)
    }

    /// The check of `before` that is this one: its real server and place, and whether it passed.
    pub fn known_result(&self, before: &Pool, server: usize, check: usize) -> Option<(usize, usize, bool)> {
        let name = self.server_name(server);
        let old = (0..before.health.len()).find(|old| before.server_name(*old) == name)?;
        let old_check = self.same_check(before, (server, check), old)?;
        Some((old, old_check, !before.health[old].failed.contains(&old_check)))
    }

    /// The addresses whose presence on this host `ha_suspend` waits for; `None`: checks always run.
    pub fn suspending_addresses(&self) -> Option<impl Iterator<Item = IpAddr>> {
        self.server.ha_suspend.then(|| {
            self.keys.iter().filter_map(|key| match key {
                Key::Address { address, .. } => Some(*address),
                Key::Mark { .. } => None,
            })
        })
    }

    pub fn virtual_server(&self) -> &VirtualServer {
        &self.server
    }

    /// `[10.0.0.1]:tcp:80`, `FWM 7`, `[group]:0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The services in the data plane that are this virtual server.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub fn has_quorum(&self) -> bool {
        self.has_quorum
    }

    /// Whether the sorry server serves in place of the others.
    pub fn is_sorry(&self) -> bool {
        self.is_sorry
    }

    /// `[10.1.0.1]:tcp:80`.
    pub fn server_name(&self, server: usize) -> String {
        let address = self.server.real_servers[server].address;
        format!("[{}]:{}:{}", address.ip(), self.protocol_word(), self.port_of(server))
    }

    fn protocol_word(&self) -> &'static str {
        match (self.server.address, self.server.protocol) {
            (VirtualAddress::Mark { .. }, _) => "none",
            (_, TransportProtocol::Tcp) => "tcp",
            (_, TransportProtocol::Udp) => "udp",
            (_, TransportProtocol::Sctp) => "sctp",
        }
    }

    /// Of the real server, where the packet's own is not kept.
    pub fn port_of(&self, server: usize) -> u16 {
        let real = &self.server.real_servers[server];
        match self.server.address {
            VirtualAddress::Mark { .. } if real.forwarding == Forwarding::Nat => real.address.port(),
            // The packet's own.
            VirtualAddress::Mark { .. } => 0,
            VirtualAddress::Socket(service) => match real.address.port() {
                0 => service.port(),
                port => port,
            },
            VirtualAddress::Group(_) => real.address.port(),
        }
    }

    pub fn is_alive(&self, server: usize) -> bool {
        self.health[server].failed.is_empty()
    }

    /// Whether one of its checks passes.
    pub fn is_passing(&self, server: usize, check: usize) -> bool {
        !self.health[server].failed.contains(&check)
    }

    /// What the real server weighs, alive or not.
    pub fn weight(&self, server: usize) -> u32 {
        let health = &self.health[server];
        if health.admin != Admin::Ready {
            return 0;
        }
        if let Some(weight) = health.weight {
            return weight;
        }
        u32::try_from(self.unbounded_weight(server).clamp(0, SUM_MAX)).expect("clamped")
    }

    /// The configured weight and what its checks add.
    pub fn unbounded_weight(&self, server: usize) -> i64 {
        let configured = i64::from(self.server.real_servers[server].weight);
        configured + self.health[server].offsets.iter().sum::<i64>()
    }

    /// Whether the real server is in the plane, with whatever weight.
    pub fn is_set(&self, server: usize) -> bool {
        let is_inhibited = self.server.real_servers[server].inhibit_on_failure;
        self.health[server].admin != Admin::Drained
            && (is_inhibited || self.is_alive(server) && !self.is_sorry)
    }

    /// A check's verdict; `reason` is for the mail: `=> TCP CHECK failed on service <=`.
    pub fn handle_verdict(&mut self, server: usize, check: usize, is_up: bool, reason: &str) {
        let was_alive = self.is_alive(server);
        let failed = &mut self.health[server].failed;
        let has_changed = if is_up { failed.remove(&check) } else { failed.insert(check) };
        match (was_alive, self.is_alive(server)) {
            (false, true) => self.went_up(server, reason),
            (true, false) => self.went_down(server, reason),
            // A server that is to be proven has failed for the first time.
            (false, false) if !is_up && !has_changed => self.failed_first(server),
            (false, false) | (true, true) if has_changed => self.tell(server, is_up, false, Some(reason)),
            (false, false) | (true, true) => {}
        }
    }

    fn went_up(&mut self, server: usize, reason: &str) {
        let real = &self.server.real_servers[server];
        let (verb, preposition) = if real.inhibit_on_failure { ("Enabling", "of") } else { ("Adding", "to") };
        let notify = real.notify_up.clone();
        let name = self.server_name(server);
        self.log(format!("{verb} service {name} {preposition} VS {}", self.name));
        self.actions.extend(notify.map(Action::Run));
        self.tell_of(server, true, Some(reason));
        self.weigh("Gained quorum");
    }

    fn went_down(&mut self, server: usize, reason: &str) {
        let real = &self.server.real_servers[server];
        let (verb, preposition) =
            if real.inhibit_on_failure { ("Disabling", "of") } else { ("Removing", "from") };
        let notify = real.notify_down.clone();
        let name = self.server_name(server);
        self.log(format!("{verb} service {name} {preposition} VS {}", self.name));
        self.actions.extend(notify.map(Action::Run));
        self.tell_of(server, false, Some(reason));
        self.weigh("Gained quorum");
    }

    /// It was down before and nobody's: pipes and managers hear of it.
    fn failed_first(&mut self, server: usize) {
        self.actions.extend(self.server.real_servers[server].notify_down.clone().map(Action::Run));
        self.tell_of(server, false, None);
    }

    fn tell_of(&mut self, server: usize, is_up: bool, reason: Option<&str>) {
        self.tell(server, is_up, true, reason);
        let phase = if is_up { Phase::Up } else { Phase::Down };
        self.show(Some(server), phase, self.count_alive());
    }

    fn show(&mut self, server: Option<usize>, phase: Phase, up: usize) {
        self.push(Action::Show(Changed { server, phase, up }));
    }

    /// Real servers that are up.
    pub fn count_alive(&self) -> usize {
        (0..self.health.len()).filter(|server| self.is_alive(*server)).count()
    }

    fn tell(&mut self, server: usize, is_up: bool, is_transition: bool, reason: Option<&str>) {
        let mail = reason.filter(|_| self.server.real_servers[server].smtp_alert).map(str::to_owned);
        let about = About::Server { server: self.server_name(server), service: self.name.clone() };
        self.push(Action::Tell(Told { about, is_up, is_transition, mail }));
    }

    /// What a check adds to the real server's weight: of a script's exit status, of a number in a file.
    pub fn handle_offset(&mut self, server: usize, check: usize, offset: i64) {
        self.change_weight(server, |health| health.offsets[check] = offset);
    }

    /// The administrator's weight; `None` is the configured one again.
    pub fn set_weight(&mut self, server: usize, weight: Option<u32>) {
        let weight = weight.map(|weight| weight.min(WEIGHT_MAX as u32));
        self.change_weight(server, |health| health.weight = weight);
    }

    /// Takes no new connections; out when the last has ended, or at the deadline.
    pub fn drain(&mut self, server: usize, until: Option<Instant>) {
        self.change_weight(server, |health| health.admin = Admin::Draining { until });
    }

    /// Serves again.
    pub fn make_ready(&mut self, server: usize) {
        self.change_weight(server, |health| health.admin = Admin::Ready);
    }

    fn change_weight(&mut self, server: usize, change: impl FnOnce(&mut Health)) {
        let before = self.weight(server);
        change(&mut self.health[server]);
        let after = self.weight(server);
        if before != after {
            let state = if self.is_alive(server) { "active" } else { "inactive" };
            let (name, of) = (self.server_name(server), &self.name);
            self.log(format!(
                "Changing weight from {before} to {after} for {state} service {name} of VS {of}"
            ));
            self.weigh("Gained quorum");
        }
    }

    /// Ends drains that are over. `connections` tells how many a real server has.
    pub fn handle_timeout(&mut self, now: Instant, connections: impl Fn(usize) -> u32) {
        for server in 0..self.health.len() {
            if let Admin::Draining { until } = self.health[server].admin {
                let is_late = until.is_some_and(|until| now >= until);
                if is_late || connections(server) == 0 {
                    self.health[server].admin = Admin::Drained;
                    let why = if is_late { "deadline passed" } else { "no connection left" };
                    let name = self.server_name(server);
                    self.log(format!("Drained service {name} of VS {}: {why}", self.name));
                }
            }
        }
    }

    /// Whether this one drains.
    pub fn is_draining_at(&self, server: usize) -> bool {
        matches!(self.health[server].admin, Admin::Draining { .. })
    }

    /// Whether some real server drains: its connections must be looked at.
    pub fn is_draining(&self) -> bool {
        self.health.iter().any(|health| matches!(health.admin, Admin::Draining { .. }))
    }

    pub fn admin(&self, server: usize) -> Admin {
        self.health[server].admin
    }

    /// Compares what is alive with the quorum; `gained` is how a mail calls gaining it.
    fn weigh(&mut self, gained: &str) {
        let sum = self.sum();
        let (quorum, hysteresis) = (i64::from(self.server.quorum), i64::from(self.server.hysteresis));
        if !self.has_quorum && sum >= quorum + hysteresis {
            self.has_quorum = true;
            let up = quorum + hysteresis;
            self.log(format!("Gained quorum {quorum}+{hysteresis}={up} <= {sum} for VS {}", self.name));
            if self.is_sorry {
                self.is_sorry = false;
                self.log_sorry(if self.keeps_sorry() { "Disabling" } else { "Removing" }, "from");
                self.log(format!("Adding alive servers to the pool for VS {}", self.name));
            }
            self.actions.extend(self.server.quorum_up.clone().map(Action::Run));
            self.tell_of_quorum(format!("=> {gained} {quorum}+{hysteresis}={up} <= {sum} <="));
        } else if self.has_quorum && (sum == 0 || sum < quorum - hysteresis) {
            self.has_quorum = false;
            let down = quorum - hysteresis;
            self.log(format!("Lost quorum {quorum}-{hysteresis}={down} > {sum} for VS {}", self.name));
            self.actions.extend(self.server.quorum_down.clone().map(Action::Run));
            // keepalived's mail adds where its log subtracts.
            let shown = quorum + hysteresis;
            self.tell_of_quorum(format!("=> Lost quorum {quorum}+{hysteresis}={shown} <= {sum} <="));
            self.replace_by_sorry();
        }
    }

    fn start_down(&mut self) {
        let (quorum, hysteresis) = (self.server.quorum, self.server.hysteresis);
        let (down, sum) = (i64::from(quorum) - i64::from(hysteresis), self.sum());
        self.log(format!(
            "Starting with quorum down {quorum}-{hysteresis}={down} > {sum} for VS {}",
            self.name
        ));
        self.tell_of_quorum(format!("=> Starting with quorum down {quorum}-{hysteresis}={down} > {sum} <="));
        self.replace_by_sorry();
    }

    /// The sorry server takes the place of the others.
    fn replace_by_sorry(&mut self) {
        if self.server.sorry_server.is_some() {
            self.is_sorry = true;
            self.log_sorry(if self.keeps_sorry() { "Enabling" } else { "Adding" }, "to");
            self.log(format!("Removing alive servers from the pool for VS {}", self.name));
        }
    }

    /// It stays in the table, without weight.
    fn keeps_sorry(&self) -> bool {
        self.server.sorry_server.is_some_and(|sorry| sorry.inhibit)
    }

    /// The weights of those that are up.
    fn sum(&self) -> i64 {
        let alive = (0..self.health.len()).filter(|server| self.is_alive(*server));
        alive.map(|server| i64::from(self.weight(server))).sum()
    }

    fn tell_of_quorum(&mut self, text: String) {
        let mail = self.server.smtp_alert.then_some(text);
        let about = About::Service(self.name.clone());
        self.push(Action::Tell(Told { about, is_up: self.has_quorum, is_transition: true, mail }));
        let phase = if self.has_quorum { Phase::Up } else { Phase::Down };
        self.show(None, phase, self.count_alive());
    }

    fn log_sorry(&mut self, verb: &str, preposition: &str) {
        if let Some(sorry) = self.server.sorry_server {
            let (address, word) = (sorry.address, self.protocol_word());
            let server = format!("[{}]:{word}:{}", address.ip(), address.port());
            self.log(format!("{verb} sorry server {server} {preposition} VS {}", self.name));
        }
    }

    /// A reload takes this real server away.
    pub fn remove_server(&mut self, server: usize) {
        if !self.is_alive(server) {
            return;
        }
        let name = self.server_name(server);
        self.log(format!("Removing service {name} from VS {}", self.name));
        self.actions.extend(self.server.real_servers[server].notify_down.clone().map(Action::Run));
        self.tell_of(server, false, Some("=> Removing <="));
    }

    /// A reload takes all of it away.
    pub fn remove(&mut self) {
        self.log(format!("Removing Virtual Server {}", self.name));
        for server in 0..self.health.len() {
            self.remove_server(server);
        }
        if std::mem::replace(&mut self.has_quorum, false) {
            self.actions.extend(self.server.quorum_down.clone().map(Action::Run));
            self.tell_of_quorum("=> Removing <=".to_owned());
        }
    }

    /// The end of the program: says what leaves, and with `omega` tells the programs.
    pub fn shut_down(&mut self) {
        let mut up = self.count_alive();
        for server in 0..self.health.len() {
            let is_inhibited = self.server.real_servers[server].inhibit_on_failure && !self.is_alive(server);
            let inhibited = if is_inhibited { "(inhibited) " } else { "" };
            let name = self.server_name(server);
            self.log(format!("Shutting down {inhibited}service {name} from VS {}", self.name));
            if self.server.omega && self.is_alive(server) {
                self.actions.extend(self.server.real_servers[server].notify_down.clone().map(Action::Run));
            }
            if self.is_alive(server) {
                up -= 1;
                self.show(Some(server), Phase::Down, up);
            }
        }
        self.show(None, Phase::ShutDown, up);
        if self.is_sorry {
            self.log_sorry("Removing", "from");
        }
        if self.server.omega && self.has_quorum {
            self.actions.extend(self.server.quorum_down.clone().map(Action::Run));
        }
    }

    fn log(&mut self, line: String) {
        self.push(Action::Log(line));
    }

    fn push(&mut self, action: Action) {
        if self.actions.len() < ACTIONS_MAX {
            self.actions.push_back(action);
        }
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The key of a real server in one of its services.
    pub fn server_key(&self, key: &Key, server: usize) -> ServerKey {
        let real = &self.server.real_servers[server];
        (real.address.ip(), server_port(key, real.address.port(), real.forwarding))
    }

    /// The key of the sorry server in one of its services.
    pub fn sorry_key(&self, key: &Key) -> Option<ServerKey> {
        let sorry = self.server.sorry_server?;
        Some((sorry.address.ip(), server_port(key, sorry.address.port(), sorry.forwarding)))
    }

    /// Adds this virtual server to the table as it should be now.
    pub fn wanted(&self, table: &mut Table) {
        for key in &self.keys {
            let mut servers: Vec<Destination> = Vec::new();
            for (at, real) in self.server.real_servers.iter().enumerate() {
                if self.health[at].admin == Admin::Drained {
                    continue;
                }
                let serves = self.is_alive(at) && !self.is_sorry;
                if serves || real.inhibit_on_failure {
                    let weight = if serves { self.weight(at) } else { 0 };
                    servers.push(self.destination(key, at, weight));
                }
            }
            if let Some(sorry) = self.server.sorry_server
                && (self.is_sorry || sorry.inhibit)
            {
                let weight = if self.is_sorry { SORRY_WEIGHT } else { 0 };
                let port = server_port(key, sorry.address.port(), sorry.forwarding);
                let (address, forward) = (sorry.address.ip(), forward(sorry.forwarding));
                servers.push(Destination::new(address, port, forward, weight));
            }
            table.insert(self.service(*key), servers);
        }
    }

    fn destination(&self, key: &Key, server: usize, weight: u32) -> Destination {
        let real = &self.server.real_servers[server];
        let port = server_port(key, real.address.port(), real.forwarding);
        let mut one = Destination::new(real.address.ip(), port, forward(real.forwarding), weight);
        one.upper_threshold = real.upper_threshold;
        one.lower_threshold = real.lower_threshold;
        one
    }

    fn service(&self, key: Key) -> Service {
        let mut service = Service::new(key, self.server.scheduler.name());
        let flags = self.server.flags;
        let set = [
            (flags.flag1, Flags::SCHEDULER[0]),
            (flags.flag2, Flags::SCHEDULER[1]),
            (flags.flag3, Flags::SCHEDULER[2]),
            (flags.one_packet, Flags::ONE_PACKET),
        ];
        service.flags = Flags(set.iter().filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum());
        if let Some(seconds) = self.server.persistence_timeout {
            service.flags.0 |= Flags::PERSISTENT;
            service.timeout = seconds;
        }
        if let Some(length) = self.server.persistence_granularity {
            service.netmask = netmask(key.is_ipv6(), length);
        }
        service.engine = self.server.persistence_engine.clone().unwrap_or_default();
        service
    }
}

/// What the number in its file makes a check add to the weight; `None`: it reads none.
pub fn file_offset(check: &CheckKind, numbers: &[i64]) -> Option<i64> {
    match check {
        CheckKind::File { file, weight } => {
            let number = numbers.get(file.index()).copied().unwrap_or(0);
            let factor = i64::from(weight.weight);
            Some(number.saturating_mul(if weight.reverse { -factor } else { factor }))
        }
        CheckKind::Tcp
        | CheckKind::Http { .. }
        | CheckKind::Smtp { .. }
        | CheckKind::Dns { .. }
        | CheckKind::Misc { .. }
        | CheckKind::Udp { .. }
        | CheckKind::Ping
        | CheckKind::Bfd { .. } => None,
    }
}

#[cfg(test)]
mod tests;
