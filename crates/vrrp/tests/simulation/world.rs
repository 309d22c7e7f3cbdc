//! Hosts with virtual routers, a network that loses, delays, reorders and repeats, and a clock that is only a number.
//! After every step the invariants of a host are checked.

use crate::random::Random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use vrrp::{Action, Advert, Node, NodeAction, NodeConfig, PRIORITY_RESIGN, RouterId, Start, State};

/// Nanoseconds since the beginning of a run.
pub type Time = u64;

/// Actions that one event may cause: more are a loop.
const ACTIONS_MAX: usize = 200;

/// Times that `handle_timeout` may be called at one moment: more are a loop.
const TIMEOUTS_MAX: usize = 10;

/// Where a host is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Runs,
    /// Its process sleeps until then; what comes in meanwhile waits, or is lost.
    Sleeps { until: Time, loses: bool },
    /// Its process died, and the addresses stay where they are.
    Dead { since: Time },
    /// Its process ended in order.
    Stopped,
}

pub struct Host {
    pub node: Node,
    pub config: NodeConfig,
    pub life: Life,
    /// Which part of the network it is in.
    pub part: u8,
    pub last_advert: Option<Time>,
    /// For each virtual router: whether its addresses are on the machine.
    holds: Vec<bool>,
    inbox: Vec<(RouterId, Advert)>,
}

struct Message {
    at: Time,
    /// Keeps the order of messages of the same moment the same in every run.
    number: u64,
    to: usize,
    router: RouterId,
    advert: Advert,
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Message {}

impl PartialOrd for Message {
    fn partial_cmp(&self, other: &Message) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Message {
    fn cmp(&self, other: &Message) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What the network does to a message.
#[derive(Clone, Copy)]
pub struct Weather {
    pub loss_percent: u64,
    pub repeat_percent: u64,
    pub delay_max: Time,
}

pub struct World {
    pub hosts: Vec<Host>,
    pub now: Time,
    pub weather: Weather,
    pub random: Random,
    /// Changes of state so far, of all virtual routers.
    pub changes: u64,
    /// Whether everything is told: for a single seed.
    pub tells: bool,
    begin: Instant,
    messages: BinaryHeap<Reverse<Message>>,
    sent: u64,
}

impl World {
    pub fn new(begin: Instant, random: Random, configs: Vec<NodeConfig>, weather: Weather) -> World {
        let hosts = configs.into_iter().map(|config| Host {
            node: Node::new(config.clone()).expect("it is in order"),
            holds: vec![false; config.routers.len()],
            config,
            life: Life::Runs,
            part: 0,
            last_advert: None,
            inbox: Vec::new(),
        });
        World {
            hosts: hosts.collect(),
            now: 0,
            weather,
            random,
            changes: 0,
            tells: false,
            begin,
            messages: BinaryHeap::new(),
            sent: 0,
        }
    }

    pub fn instant(&self) -> Instant {
        self.begin + Duration::from_nanos(self.now)
    }

    /// Runs until that moment.
    pub fn run_until(&mut self, until: Time) {
        loop {
            let message = self.messages.peek().map(|Reverse(message)| message.at);
            let next = (0..self.hosts.len()).filter_map(|host| self.wakes_at(host)).chain(message).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            assert!(next >= self.now, "a deadline in the past");
            self.now = next;
            self.deliver();
            for host in 0..self.hosts.len() {
                if self.wakes_at(host).is_some_and(|at| at <= self.now) {
                    self.wake(host);
                }
            }
        }
        self.now = until;
    }

    /// When a host has something to do.
    fn wakes_at(&self, host: usize) -> Option<Time> {
        let host = &self.hosts[host];
        match host.life {
            Life::Runs => {
                let at = host.node.poll_timeout()?;
                Some(at.saturating_duration_since(self.begin).as_nanos() as Time)
            }
            Life::Sleeps { until, .. } => Some(until),
            Life::Dead { .. } | Life::Stopped => None,
        }
    }

    fn deliver(&mut self) {
        while self.messages.peek().is_some_and(|Reverse(message)| message.at <= self.now) {
            let Some(Reverse(message)) = self.messages.pop() else { return };
            match self.hosts[message.to].life {
                Life::Runs => self.receive(message.to, message.router, message.advert),
                Life::Sleeps { loses: false, .. } => {
                    self.hosts[message.to].inbox.push((message.router, message.advert));
                }
                Life::Sleeps { loses: true, .. } | Life::Dead { .. } | Life::Stopped => {}
            }
        }
    }

    /// As a shell must: first what waits in the sockets, then the timers.
    pub fn wake(&mut self, host: usize) {
        if matches!(self.hosts[host].life, Life::Sleeps { .. }) {
            self.hosts[host].life = Life::Runs;
            for (router, advert) in std::mem::take(&mut self.hosts[host].inbox) {
                self.receive(host, router, advert);
            }
        }
        let now = self.instant();
        for _ in 0..TIMEOUTS_MAX {
            if self.hosts[host].node.poll_timeout().is_none_or(|at| at > now) {
                return;
            }
            self.act(host, |node| node.handle_timeout(now));
        }
        panic!("host {host} has a deadline that does not pass");
    }

    fn receive(&mut self, host: usize, router: RouterId, advert: Advert) {
        let now = self.instant();
        self.act(host, |node| node.handle_advert(now, router, &advert));
    }

    /// Runs something on the node of a host, carries its actions out, and checks what must hold.
    pub fn act(&mut self, host: usize, run: impl FnOnce(&mut Node)) {
        let states = self.states(host);
        let is_owner = self.hosts[host].config.routers[0].router.is_owner();
        let may_skip_backup = is_owner || self.hosts[host].holds.iter().all(|holds| *holds);
        run(&mut self.hosts[host].node);
        let after = self.states(host);
        for (before, after) in states.iter().zip(&after) {
            assert!(is_legal(*before, *after, may_skip_backup), "host {host}: {before:?} to {after:?}");
            self.changes += u64::from(before != after);
        }
        for count in 0.. {
            let Some(action) = self.hosts[host].node.poll_action() else { break };
            assert!(count < ACTIONS_MAX, "host {host} does not come to an end");
            if self.tells {
                println!("{:>12} host {host} {action:?}", self.now / 1000);
            }
            if let NodeAction::Router(router, action) = action {
                self.carry_out(host, router, &action, after[router.0]);
            }
        }
        self.check(host);
    }

    fn carry_out(&mut self, host: usize, router: RouterId, action: &Action, state: State) {
        match action {
            Action::SendAdvert { priority, interval } => {
                assert!(
                    *priority == PRIORITY_RESIGN || state == State::Master || self.yields_loudly(host),
                    "host {host} sends an advert as {state:?}"
                );
                self.hosts[host].last_advert = Some(self.now);
                let advert = Advert { source: address(host), priority: *priority, interval: *interval };
                self.send(host, router, advert);
            }
            Action::AddAddresses { .. } => self.hosts[host].holds[router.0] = true,
            Action::RemoveAddresses => self.hosts[host].holds[router.0] = false,
            Action::Announce { rounds } => assert!(*rounds > 0 && self.hosts[host].holds[router.0]),
            Action::CancelAnnouncements | Action::Notify(_) | Action::Log(_) => {}
        }
    }

    /// A last advert of who yields, by `higher_prio_send_advert`.
    fn yields_loudly(&self, host: usize) -> bool {
        let config = &self.hosts[host].config.routers[0].router;
        config.higher_prio_send_advert || config.last_word_after_silence
    }

    fn send(&mut self, from: usize, router: RouterId, advert: Advert) {
        for to in 0..self.hosts.len() {
            if to == from || self.hosts[to].part != self.hosts[from].part {
                continue;
            }
            let copies = 1 + u64::from(self.random.chance(self.weather.repeat_percent));
            for _ in 0..copies {
                if self.random.chance(self.weather.loss_percent) {
                    continue;
                }
                let at = self.now + self.random.below(self.weather.delay_max + 1);
                self.sent += 1;
                self.messages.push(Reverse(Message { at, number: self.sent, to, router, advert }));
            }
        }
    }

    fn check(&self, host: usize) {
        let deadline = self.hosts[host].node.poll_timeout();
        for (position, holds) in self.hosts[host].holds.iter().enumerate() {
            let router = self.hosts[host].node.router(RouterId(position));
            let state = router.state();
            assert_eq!(*holds, state == State::Master, "host {host}: addresses as {state:?}");
            let needs_timer = match state {
                State::Master => true,
                State::Backup => !router.is_ready(),
                State::Initialize | State::Fault => false,
            };
            assert!(!needs_timer || deadline.is_some(), "host {host} waits for nothing as {state:?}");
        }
    }

    pub fn states(&self, host: usize) -> Vec<State> {
        let node = &self.hosts[host].node;
        (0..node.router_count()).map(|router| node.router(RouterId(router)).state()).collect()
    }

    /// The process dies; its addresses stay.
    pub fn kill(&mut self, host: usize) {
        self.hosts[host].life = Life::Dead { since: self.now };
        self.hosts[host].inbox.clear();
    }

    /// The process ends in order.
    pub fn stop(&mut self, host: usize) {
        let now = self.instant();
        self.act(host, |node| node.stop(now));
        self.hosts[host].life = Life::Stopped;
    }

    /// A new process; it finds the addresses that are there.
    pub fn start(&mut self, host: usize, knows_last_advert: bool) {
        let config = self.hosts[host].config.clone();
        self.hosts[host].node = Node::new(config).expect("it is in order");
        self.hosts[host].life = Life::Runs;
        let silent_for = self.hosts[host]
            .last_advert
            .filter(|_| knows_last_advert)
            .map(|last| Duration::from_nanos(self.now - last));
        let held = self.hosts[host].holds.clone();
        let now = self.instant();
        self.act(host, |node| {
            node.start(now, |router| if held[router.0] { Start::Adopt { silent_for } } else { Start::Fresh });
        });
    }
}

pub fn address(host: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 9, 0, 10 + host as u8))
}

/// Whether one event may lead from one state to the other. To be master, one must have been backup; but the owner of the
/// addresses and who goes on after a crash need not.
fn is_legal(before: State, after: State, may_skip_backup: bool) -> bool {
    match (before, after) {
        (State::Initialize | State::Fault, State::Master) => may_skip_backup,
        (State::Initialize, State::Initialize | State::Backup | State::Fault)
        | (State::Fault, State::Initialize | State::Backup | State::Fault)
        | (State::Backup | State::Master, _) => true,
    }
}
