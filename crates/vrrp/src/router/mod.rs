//! One virtual router: RFC 3768 §6.4, RFC 9568 §6.4, and what keepalived adds.
//!
//! ```text
//!                start                        ┌── timer ran out, or the owner ──┐
//!  Initialize ─────────► Backup ◄─────────────┼─────────────────────────────────▼
//!       │ ▲                │ ▲                └────── a better advert ──────── Master
//!       │ └── stop ── any  │ │ mended                                            │
//!       │                  ▼ │                                                   │
//!       └─ at fault ────► Fault ◄────────────────── at fault: priority 0 ────────┘
//!       └─ addresses of a crashed master are in place: Master
//! ```
//!
//! Owns the states, the timers and the order of what is done. Never knows why it is at fault or what its priority is made
//! of: that is [`crate::tracking`]'s.

mod action;
mod announce;
mod config;
mod hearing;
mod peers;
mod state;

pub use action::{Action, Notice, Notification, NotifyEvent};
pub use config::{AnnounceConfig, InitialState, Preempt, RouterConfig};
pub use state::{State, Witness};

use crate::statistics::{Counter, Statistics};
use crate::types::{Interval, PRIORITY_RESIGN, Version, master_down_interval, skew_time};
use announce::Announcements;
use peers::Peers;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Time between the best and the worst successor when a master hands over: enough to keep their order on a link, and
/// well below what a client notices.
pub const HAND_OVER_SPREAD: Duration = Duration::from_millis(3);

/// Restorations of addresses that happen at once; further ones within [`RESTORE_WINDOW`] wait until it is over.
const RESTORES_MAX: u32 = 5;

/// See [`RESTORES_MAX`].
const RESTORE_WINDOW: Duration = Duration::from_secs(10);

/// How a virtual router starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As the RFC says.
    Fresh,
    /// The program died as master, and all addresses are still in place: it goes on as master.
    Adopt {
        /// Time since its last advert, when that is known. If others may have taken over since, it listens first.
        silent_for: Option<Duration>,
    },
}

/// Another master beside us.
#[derive(Clone, Copy, Debug)]
struct Rival {
    source: IpAddr,
    /// When it counts as silent.
    until: Instant,
}

/// One virtual router.
#[derive(Debug)]
pub struct Router {
    config: RouterConfig,
    state: State,
    /// Effective priority: 1 to 254, or 255 for the owner.
    priority: u8,
    at_fault: bool,
    /// Whether it becomes master only when told to, by its group.
    in_group: bool,
    /// In a group: the timer ran out, only the group keeps it from being master.
    is_ready: bool,
    witness: Witness,
    /// As backup: when the next advert is overdue; what a witness said before proves nothing. `None`: the master left.
    silent_from: Option<Instant>,
    /// The timer ran out and the witness had not been asked since.
    awaits_witness: bool,
    /// It handed over: lesser masters are left alone until it is master again.
    has_yielded: bool,
    /// As master: silent until the next advert is due, because others may have taken over.
    is_listening: bool,
    /// As backup: it listened once already since the last advert because its timer ran late.
    was_late: bool,
    /// As master: it took over from a better one that fell silent without a word.
    missed_better: bool,
    /// As backup: the sender of priority 0 whose leave the timer waits out.
    resigned: Option<IpAddr>,
    /// Interval of the master: ours until a better one said another.
    master_interval: Interval,
    start_at: Option<Instant>,
    down_at: Option<Instant>,
    advert_at: Option<Instant>,
    restore_at: Option<Instant>,
    preempt_at: Option<Instant>,
    last_advert: Option<Instant>,
    last_answer: Option<Instant>,
    master_since: Option<Instant>,
    restores: (Option<Instant>, u32),
    rival: Option<Rival>,
    /// The last lesser sender that was logged: one line for each, not for each advert.
    discarded: Option<(IpAddr, u8)>,
    warned_same_address: bool,
    /// Whether addresses that an earlier life left were removed.
    is_clear: bool,
    peers: Peers,
    announcements: Announcements,
    actions: VecDeque<Action>,
    statistics: Statistics,
}

impl Router {
    /// A virtual router that is not started.
    pub fn new(config: RouterConfig) -> Router {
        Router {
            state: State::Initialize,
            priority: config.priority,
            at_fault: false,
            in_group: false,
            is_ready: false,
            witness: Witness::None,
            silent_from: None,
            awaits_witness: false,
            has_yielded: false,
            is_listening: false,
            was_late: false,
            missed_better: false,
            resigned: None,
            master_interval: config.interval,
            start_at: None,
            down_at: None,
            advert_at: None,
            restore_at: None,
            preempt_at: None,
            last_advert: None,
            last_answer: None,
            master_since: None,
            restores: (None, 0),
            rival: None,
            discarded: None,
            warned_same_address: false,
            is_clear: false,
            peers: Peers::default(),
            announcements: Announcements::default(),
            actions: VecDeque::new(),
            statistics: Statistics::default(),
            config,
        }
    }

    /// What it was made with.
    pub fn config(&self) -> &RouterConfig {
        &self.config
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its effective priority.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Interval of the master it listens to; its own as master.
    pub fn master_interval(&self) -> Interval {
        self.master_interval
    }

    /// Whether something that must work does not.
    pub fn is_at_fault(&self) -> bool {
        self.at_fault
    }

    /// Whether only its group keeps it from being master.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// As master: whether it is silent for now, because others may have taken over while it slept.
    pub fn is_listening(&self) -> bool {
        self.is_listening
    }

    /// The other master, while there is one beside us.
    pub fn split_with(&self) -> Option<IpAddr> {
        self.rival.map(|rival| rival.source)
    }

    /// Its numbers.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Its numbers, for what the shell counts: packets that were dropped.
    pub fn statistics_mut(&mut self) -> &mut Statistics {
        &mut self.statistics
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When `handle_timeout` must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.start_at,
            self.down_at,
            self.advert_at,
            self.restore_at,
            self.announcements.deadline(),
            self.rival.map(|rival| rival.until),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Leaves Initialize. Does nothing in another state.
    pub fn start(&mut self, now: Instant, start: Start) {
        match self.state {
            State::Initialize => {}
            State::Backup | State::Master | State::Fault => return,
        }
        match start {
            Start::Fresh if self.config.start_delay.is_zero() => self.begin(now, true),
            Start::Fresh => {
                self.clear();
                self.start_at = Some(now + self.config.start_delay);
            }
            Start::Adopt { .. } if self.at_fault => self.begin(now, true),
            Start::Adopt { silent_for } => self.adopt(now, silent_for),
        }
    }

    /// Leaves every state for Initialize: a master says so first.
    pub fn stop(&mut self, now: Instant) {
        self.start_at = None;
        self.enter(now, State::Initialize, false);
        self.notify(NotifyEvent::Stop);
    }

    /// Something that must work does not, or does again.
    pub fn set_fault(&mut self, now: Instant, at_fault: bool) {
        self.at_fault = at_fault;
        match (self.state, at_fault) {
            (State::Backup, true) => self.enter(now, State::Fault, false),
            (State::Master, true) => self.enter(now, State::Fault, false),
            (State::Fault, false) => self.begin(now, false),
            (State::Initialize | State::Fault, true) => {}
            (State::Initialize | State::Backup | State::Master, false) => {}
        }
    }

    /// Its effective priority, from now on.
    pub fn set_priority(&mut self, now: Instant, priority: u8) {
        if priority == self.priority {
            return;
        }
        self.log(match self.state {
            State::Backup | State::Master => Notice::EffectivePriority { from: self.priority, to: priority },
            State::Initialize | State::Fault => Notice::EffectivePrioritySet { to: priority },
        });
        // The part of the wait that is the skew changes with the priority, the rest goes on.
        let before = self.skew();
        self.priority = priority;
        let after = self.skew();
        if self.resigned.is_none() {
            self.down_at = self.down_at.map(|at| (at + after - before).max(now));
        }
        match self.state {
            State::Master => self.notify(NotifyEvent::MasterPriority),
            State::Backup => self.notify(NotifyEvent::BackupPriority),
            State::Initialize | State::Fault => {}
        }
    }

    /// Our address on the link changed.
    pub fn set_source(&mut self, source: Option<IpAddr>) {
        self.config.source = source;
    }

    /// What the witness says: without it nothing is taken over, and what is held is kept.
    pub fn set_witness(&mut self, now: Instant, witness: Witness) {
        self.witness = witness;
        if self.awaits_witness && self.is_vouched_for() && self.down_at.is_some() {
            self.down_at = Some(now);
        }
    }

    /// Whether the witness has heard us since the master fell silent.
    fn is_vouched_for(&self) -> bool {
        match self.witness {
            Witness::None => true,
            Witness::Silent => false,
            Witness::Answers { asked } => self.silent_from.is_none_or(|from| asked >= from),
        }
    }

    /// A master leaves by order of its operator, and does not come back by itself while a lesser one works.
    pub fn hand_over(&mut self, now: Instant) {
        match self.state {
            State::Master => {
                self.resign(now);
                self.log(Notice::SentPriorityZero);
                self.enter(now, State::Backup, false);
                self.has_yielded = true;
            }
            State::Initialize | State::Backup | State::Fault => {}
        }
    }

    /// Someone took addresses of ours away. A master puts them back, at first at once.
    pub fn handle_addresses_lost(&mut self, now: Instant) {
        match self.state {
            State::Master => {}
            State::Initialize | State::Backup | State::Fault => return,
        }
        let (since, count) = self.restores;
        let since = since.filter(|since| now < *since + RESTORE_WINDOW);
        self.restores = (since.or(Some(now)), if since.is_some() { count + 1 } else { 1 });
        match since {
            // Someone fights for them: not faster than this.
            Some(since) if count >= RESTORES_MAX => {
                self.restore_at.get_or_insert(since + RESTORE_WINDOW);
            }
            Some(_) | None => self.restore(),
        }
    }

    /// What is due by now is done.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.start_at.take_if(|at| *at <= now).is_some() {
            self.begin(now, true);
        }
        if let Some(at) = self.down_at.take_if(|at| *at <= now) {
            self.master_is_down(now, now - at);
        }
        if self.advert_at.take_if(|at| *at <= now).is_some() {
            self.advert_is_due(now);
        }
        if self.restore_at.take_if(|at| *at <= now).is_some() {
            self.restore();
        }
        if let Some(rival) = self.rival.take_if(|rival| rival.until <= now) {
            self.log(Notice::SplitBrainEnded { with: rival.source });
        }
        let rounds = self.announcements.due(now, &self.config.announce);
        self.announce(rounds);
    }

    /// Another configuration of the same virtual router, after a reload: state and timers go on.
    pub fn reconfigure(&mut self, now: Instant, config: RouterConfig) {
        let interval_changed = config.interval != self.config.interval;
        self.config = config;
        match self.state {
            State::Master => {
                self.announcements.reconfigure(now, &self.config.announce);
                if interval_changed {
                    self.master_interval = self.config.interval;
                    let next = now + self.config.interval.duration();
                    self.advert_at = self.advert_at.map(|at| at.min(next));
                }
            }
            State::Backup => {
                if interval_changed {
                    self.master_interval = self.config.interval;
                    self.wait_for_master(now);
                }
            }
            State::Initialize | State::Fault => self.master_interval = self.config.interval,
        }
    }

    /// Puts it into a group, or takes it out: in a group the timer makes it ready, and [`Router::promote`] master.
    pub(crate) fn set_in_group(&mut self, in_group: bool) {
        self.in_group = in_group;
    }

    /// Every member of its group is ready: it becomes master.
    pub(crate) fn promote(&mut self, now: Instant) {
        match self.state {
            State::Backup => self.enter(now, State::Master, false),
            State::Initialize | State::Master | State::Fault => {}
        }
    }

    /// A member of its group is backup: so is it.
    pub(crate) fn demote(&mut self, now: Instant) {
        match self.state {
            State::Master => self.enter(now, State::Backup, false),
            State::Initialize | State::Backup | State::Fault => {}
        }
    }

    /// Its effective priority before it starts.
    pub(crate) fn preset_priority(&mut self, priority: u8) {
        self.priority = priority;
    }

    /// The first state after a start or a fault.
    fn begin(&mut self, now: Instant, initial: bool) {
        let is_master = self.config.starts_as_master() && !self.in_group && !self.at_fault;
        if initial && !is_master {
            self.clear();
        }
        if self.at_fault {
            self.enter(now, State::Fault, initial);
        } else if is_master {
            self.enter(now, State::Master, initial);
        } else {
            self.enter(now, State::Backup, initial);
            if self.config.starts_as_master() {
                self.down_at = Some(now);
            }
        }
    }

    /// Goes on as the master that died.
    fn adopt(&mut self, now: Instant, silent_for: Option<Duration>) {
        let listening = silent_for.is_none_or(|silent| silent >= self.patience());
        self.log(Notice::Adopted { listening });
        if listening {
            self.state = State::Master;
            self.became_master(now);
            self.listen(now);
            self.push(Action::AddAddresses { accept: self.accepts() });
            self.notify(NotifyEvent::Master);
        } else {
            self.enter(now, State::Master, true);
        }
    }

    /// The one place where the state changes, but for [`Router::adopt`].
    fn enter(&mut self, now: Instant, next: State, initial: bool) {
        let before = self.state;
        // Who stops or fails says so before anything else, who yields does not.
        let resigns = match (before, next) {
            (State::Master, State::Initialize | State::Fault) => true,
            (State::Master, State::Backup | State::Master)
            | (State::Initialize | State::Backup | State::Fault, _) => false,
        };
        if resigns {
            self.resign(now);
        }
        self.state = next;
        match before {
            State::Master => self.leave_master(),
            State::Backup => self.leave_backup(),
            State::Initialize | State::Fault => {}
        }
        match next {
            State::Initialize => {
                if resigns {
                    self.log(Notice::SentPriorityZero);
                }
                self.remove_addresses(before);
                self.discard_memory();
            }
            State::Backup => {
                self.log(Notice::Entering { state: next, initial });
                self.remove_addresses(before);
                self.wait_for_master(now);
                self.notify(NotifyEvent::Backup);
            }
            State::Master => {
                self.send_advert(now, self.priority);
                self.log(Notice::Entering { state: next, initial: false });
                self.restore_interval();
                self.became_master(now);
                self.push(Action::AddAddresses { accept: self.accepts() });
                let rounds = self.announcements.start(now, &self.config.announce);
                self.announce(rounds);
                self.notify(NotifyEvent::Master);
            }
            State::Fault => {
                self.log(Notice::Entering { state: next, initial });
                if resigns {
                    self.log(Notice::SentPriorityZero);
                }
                self.remove_addresses(before);
                self.discard_memory();
                self.notify(NotifyEvent::Fault);
            }
        }
    }

    fn remove_addresses(&mut self, before: State) {
        match before {
            State::Master => self.push(Action::RemoveAddresses),
            State::Initialize | State::Backup | State::Fault => {}
        }
    }

    /// Removes addresses that an earlier life left, once: also before a start that has to wait.
    pub(crate) fn clear(&mut self) {
        if !std::mem::replace(&mut self.is_clear, true) {
            self.push(Action::RemoveAddresses);
        }
    }

    fn leave_master(&mut self) {
        self.statistics.count(Counter::ReleasedMaster);
        self.announcements.stop();
        self.push(Action::CancelAnnouncements);
        self.advert_at = None;
        self.restore_at = None;
        self.restores = (None, 0);
        self.master_since = None;
        self.is_listening = false;
        self.warned_same_address = false;
        self.missed_better = false;
        self.discarded = None;
        if let Some(rival) = self.rival.take() {
            self.log(Notice::SplitBrainEnded { with: rival.source });
        }
    }

    fn leave_backup(&mut self) {
        self.down_at = None;
        self.preempt_at = None;
        self.resigned = None;
        self.is_ready = false;
        self.was_late = false;
        self.discarded = None;
    }

    fn discard_memory(&mut self) {
        self.master_interval = self.config.interval;
        self.peers = Peers::default();
    }

    fn became_master(&mut self, now: Instant) {
        self.statistics.count(Counter::BecameMaster);
        self.master_since = Some(now);
        self.has_yielded = false;
        self.last_answer = None;
    }

    /// Tells the others that we leave. Twice: a backup that hears the second one needs not wait, all others see the
    /// same again.
    fn resign(&mut self, now: Instant) {
        let times = if self.config.fast_hand_over { 2 } else { 1 };
        for _ in 0..times {
            self.statistics.count(Counter::PriorityZeroSent);
            self.send_advert(now, PRIORITY_RESIGN);
        }
    }

    fn send_advert(&mut self, now: Instant, priority: u8) {
        self.statistics.count(Counter::AdvertsSent);
        self.last_advert = Some(now);
        self.advert_at = Some(now + self.config.interval.duration());
        self.push(Action::SendAdvert { priority, interval: self.config.interval });
    }

    fn advert_is_due(&mut self, now: Instant) {
        if self.is_listening {
            self.is_listening = false;
            return self.claim(now);
        }
        let silent = self.last_advert.map_or(Duration::ZERO, |last| now - last);
        if silent >= self.patience() {
            // Others had the time to take over, and what they said may not have reached us yet.
            self.statistics.count(Counter::Stalls);
            let late = silent - self.config.interval.duration();
            if self.config.backup_when_late {
                self.log(Notice::StalledAndYields { late });
                return self.enter(now, State::Backup, false);
            }
            self.log(Notice::Stalled { late });
            self.listen(now);
        } else {
            self.send_advert(now, self.priority);
        }
    }

    /// A master keeps its addresses and says nothing for as long as another one would let pass between two adverts.
    fn listen(&mut self, now: Instant) {
        self.is_listening = true;
        self.advert_at = Some(now + self.config.interval.duration() + self.skew());
    }

    /// A master says that it is one, and tells neighbours.
    fn claim(&mut self, now: Instant) {
        self.send_advert(now, self.priority);
        let rounds = self.announcements.start(now, &self.config.announce);
        self.announce(rounds);
    }

    fn master_is_down(&mut self, now: Instant, late: Duration) {
        if late > self.master_interval.duration() && !self.was_late {
            // Adverts may have been lost while nobody read them: one more chance for the master.
            self.was_late = true;
            self.statistics.count(Counter::Stalls);
            self.log(Notice::Stalled { late });
            self.down_at = Some(now + self.master_interval.duration() + self.skew());
            return;
        }
        if !self.is_vouched_for() {
            if self.witness == Witness::Silent {
                self.log(Notice::PromotionRefused);
            }
            self.awaits_witness = true;
            self.down_at = Some(now + self.master_interval.duration());
            return;
        }
        self.awaits_witness = false;
        self.missed_better = self.peers.any_above((self.priority, self.config.source));
        self.log(Notice::AdvertTimeout);
        if self.in_group {
            self.is_ready = true;
        } else {
            self.enter(now, State::Master, false);
        }
    }

    /// How long the master may be silent before we take its place.
    pub fn master_down_interval(&self) -> Duration {
        let config = &self.config;
        master_down_interval(config.version, self.priority, self.master_interval, config.down_timer_adverts)
    }

    /// How long others of our priority wait for us: who was silent for less is still the master.
    fn patience(&self) -> Duration {
        let RouterConfig { version, interval, down_timer_adverts, .. } = self.config;
        master_down_interval(version, self.priority, interval, down_timer_adverts)
    }

    /// The timer of a backup starts again.
    fn wait_for_master(&mut self, now: Instant) {
        let RouterConfig { version, down_timer_adverts, .. } = self.config;
        let wait = master_down_interval(version, self.priority, self.master_interval, down_timer_adverts);
        self.down_at = Some(now + wait);
        self.silent_from = Some(now + self.master_interval.duration());
        self.awaits_witness = false;
        self.resigned = None;
        self.is_ready = false;
        self.was_late = false;
    }

    fn learn_interval(&mut self, interval: Interval) {
        match self.config.version {
            Version::V2 => {}
            Version::V3 => {
                if interval != self.master_interval {
                    self.log(Notice::IntervalLearned { from: self.master_interval, to: interval });
                    self.master_interval = interval;
                }
            }
        }
    }

    fn restore_interval(&mut self) {
        let (from, to) = (self.master_interval, self.config.interval);
        if from != to {
            self.log(Notice::IntervalRestored { from, to });
            self.master_interval = to;
        }
    }

    fn restore(&mut self) {
        self.statistics.count(Counter::AddressesRestored);
        self.log(Notice::AddressesRestored);
        self.push(Action::AddAddresses { accept: self.accepts() });
        self.announce(self.config.announce.repeat);
    }

    fn accepts(&self) -> bool {
        self.config.accept || self.config.is_owner()
    }

    fn skew(&self) -> Duration {
        skew_time(self.config.version, self.priority, self.master_interval)
    }

    fn announce(&mut self, rounds: u32) {
        if rounds > 0 {
            self.push(Action::Announce { rounds });
        }
    }

    fn notify(&mut self, event: NotifyEvent) {
        self.push(Action::Notify(Notification { event, priority: self.priority }));
    }

    fn log(&mut self, notice: Notice) {
        self.push(Action::Log(notice));
    }

    fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}
