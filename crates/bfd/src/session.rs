//! One session: its state machine, its timers, when it speaks (RFC 5880, sections 6.2 to 6.8). Packets, events and `now` go
//! in; packets and changes come out.

use crate::packet::{Diagnostic, Packet, State};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is agreed on before the other end has said anything: it takes what comes (section 6.8.1).
const REMOTE_RECEIVE_FIRST: Duration = Duration::from_micros(1);
/// No interval is shorter, whatever a neighbour and a configuration agree on: at this rate one session takes a tenth of a
/// core.
const INTERVAL_MIN: Duration = Duration::from_micros(100);
/// Actions that wait to be carried out; the shell takes them after every call.
const ACTIONS_MAX: usize = 64;

/// One end's wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Least time between what we send while the session is up; up to 2³² − 1 µs, as all of them.
    pub send_interval: Duration,
    /// Least time between what we can take.
    pub receive_interval: Duration,
    /// Time between what we send while it is not up.
    pub idle_interval: Duration,
    /// Packets of ours that may be lost, 1..=255.
    pub multiplier: u8,
    /// Speaks only after the neighbour has spoken.
    pub passive: bool,
}

/// What the shell does, and tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Send(Packet),
    /// The neighbour was silent for too long; [`Action::Entered`] follows.
    Expired {
        after: Duration,
        overdue: Duration,
    },
    Entered(State),
}

/// A session with one neighbour.
#[derive(Debug)]
pub struct Session {
    config: Config,
    state: State,
    diagnostic: Diagnostic,
    discriminator: u32,
    remote_state: State,
    remote_diagnostic: Diagnostic,
    remote_discriminator: u32,
    remote_send: Duration,
    remote_receive: Duration,
    remote_multiplier: u8,
    remote_demand: bool,
    /// What the neighbour was told, and agreed to by ending a poll sequence: our least intervals.
    agreed_send: Duration,
    agreed_receive: Duration,
    /// A poll sequence goes on: it was told of other intervals and has not said that it knows.
    polling: bool,
    last_heard: Option<Instant>,
    next_send: Option<Instant>,
    expires: Option<Instant>,
    random: u64,
    actions: VecDeque<Action>,
}

impl Session {
    /// `discriminator`: not 0, and that of no other session of this host. `seed` spreads the times of sending.
    pub fn new(now: Instant, config: Config, discriminator: u32, seed: u64) -> Self {
        let mut session = Self {
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            discriminator: discriminator.max(1),
            remote_state: State::Down,
            remote_diagnostic: Diagnostic::NONE,
            remote_discriminator: 0,
            remote_send: Duration::ZERO,
            remote_receive: REMOTE_RECEIVE_FIRST,
            remote_multiplier: 0,
            remote_demand: false,
            agreed_send: config.idle_interval,
            agreed_receive: config.receive_interval,
            polling: false,
            last_heard: None,
            next_send: None,
            expires: None,
            random: seed | 1,
            actions: VecDeque::new(),
            config,
        };
        session.next_send = session.may_speak().then_some(now);
        session
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    pub fn remote_state(&self) -> State {
        self.remote_state
    }

    pub fn remote_diagnostic(&self) -> Diagnostic {
        self.remote_diagnostic
    }

    pub fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// The neighbour's; 0 while it is not known.
    pub fn remote_discriminator(&self) -> u32 {
        self.remote_discriminator
    }

    /// What the neighbour said last: desired send interval, required receive interval, multiplier.
    pub fn remote_wishes(&self) -> (Duration, Duration, u8) {
        (self.remote_send, self.remote_receive, self.remote_multiplier)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Time between packets that we send (section 6.8.7).
    pub fn send_interval(&self) -> Duration {
        self.agreed_send.max(self.remote_receive).max(INTERVAL_MIN)
    }

    /// How long the neighbour may be silent (section 6.8.4).
    pub fn detection_time(&self) -> Duration {
        self.agreed_receive.max(self.remote_send).max(INTERVAL_MIN) * u32::from(self.remote_multiplier)
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_send.into_iter().chain(self.expires).min()
    }

    /// A packet for this session came: by its `your_discriminator`, or from its neighbour's address while that is 0.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet) {
        self.remote_discriminator = packet.my_discriminator;
        self.remote_state = packet.state;
        self.remote_diagnostic = packet.diagnostic;
        self.remote_demand = packet.demand;
        self.remote_send = packet.desired_send;
        self.remote_receive = packet.required_receive;
        self.remote_multiplier = packet.multiplier;
        if self.polling && packet.is_final {
            self.polling = false;
            self.agree();
        }
        if self.state == State::AdminDown {
            return;
        }
        self.last_heard = Some(now);
        match (self.state, packet.state) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.enter(now, State::Down, Diagnostic::NEIGHBOUR_SAYS_DOWN);
            }
            (State::Down, State::Down) => self.enter(now, State::Init, Diagnostic::NONE),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.enter(now, State::Up, Diagnostic::NONE);
            }
            (State::Down, State::AdminDown | State::Up)
            | (State::Init, State::Down)
            | (State::Up, State::Init | State::Up)
            | (State::AdminDown, _) => {}
        }
        self.expires = Some(now + self.detection_time());
        if packet.poll {
            // As soon as practicable, whatever the timer says.
            self.send(now, true);
        }
        self.keep_pace(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(expires) = self.expires.filter(|at| *at <= now) {
            self.expires = None;
            self.remote_discriminator = 0;
            self.remote_receive = REMOTE_RECEIVE_FIRST;
            match self.state {
                State::Init | State::Up => {
                    let after = self.last_heard.map_or(Duration::ZERO, |heard| now - heard);
                    self.push(Action::Expired { after, overdue: now - expires });
                    self.remote_state = State::Down;
                    self.enter(now, State::Down, Diagnostic::TIME_EXPIRED);
                }
                State::Down | State::AdminDown => self.keep_pace(now),
            }
        }
        if self.next_send.is_some_and(|at| at <= now) {
            self.send(now, false);
        }
    }

    /// Other wishes: the neighbour is told by a poll sequence, and the session goes on.
    pub fn reconfigure(&mut self, now: Instant, config: Config) {
        if self.config == config {
            return;
        }
        self.config = config;
        self.wish();
        self.keep_pace(now);
    }

    /// The end, told to the neighbour (section 6.8.16): it is not to be taken for a failure of the path.
    pub fn stop(&mut self, now: Instant) {
        let was_met = self.remote_discriminator != 0;
        self.state = State::AdminDown;
        self.diagnostic = Diagnostic::ADMINISTRATIVELY_DOWN;
        self.polling = false;
        if was_met {
            self.send(now, false);
        }
        (self.next_send, self.expires) = (None, None);
    }

    fn enter(&mut self, now: Instant, next: State, why: Diagnostic) {
        let was = self.state;
        self.state = next;
        self.diagnostic = why;
        self.push(Action::Entered(next));
        if (was == State::Up) != (next == State::Up) {
            self.wish();
        }
        // The neighbour learns of it at once (section 6.8.7).
        if self.may_speak() {
            self.send(now, false);
        }
    }

    /// What we want while the state is this one.
    fn wished_send(&self) -> Duration {
        match self.state {
            State::Up => self.config.send_interval,
            State::AdminDown | State::Down | State::Init => {
                self.config.idle_interval.max(self.config.send_interval)
            }
        }
    }

    /// Our wishes changed. Between ends that are up, slower sending and faster receiving wait until the neighbour knows
    /// (section 6.8.3).
    fn wish(&mut self) {
        let is_up = self.state == State::Up;
        let (send, receive) = (self.wished_send(), self.config.receive_interval);
        self.polling = is_up && (send != self.agreed_send || receive != self.agreed_receive);
        if !is_up {
            self.agree();
            return;
        }
        self.agreed_send = self.agreed_send.min(send);
        self.agreed_receive = self.agreed_receive.max(receive);
    }

    fn agree(&mut self) {
        self.agreed_send = self.wished_send();
        self.agreed_receive = self.config.receive_interval;
    }

    /// Whether packets are sent by the clock (section 6.8.7).
    fn may_speak(&self) -> bool {
        let waits = self.config.passive && self.remote_discriminator == 0;
        let demand =
            self.remote_demand && self.state == State::Up && self.remote_state == State::Up && !self.polling;
        !waits && !self.remote_receive.is_zero() && !demand && self.state != State::AdminDown
    }

    /// The next packet follows the interval as it is now, from the last one.
    fn keep_pace(&mut self, now: Instant) {
        if !self.may_speak() {
            self.next_send = None;
            return;
        }
        let latest = now + self.send_interval();
        if self.next_send.is_none_or(|at| at > latest) {
            self.next_send = Some(now + self.jittered());
        }
    }

    fn send(&mut self, now: Instant, is_final: bool) {
        let packet = Packet {
            state: self.state,
            diagnostic: self.diagnostic,
            // Never both (section 6.5).
            poll: self.polling && !is_final,
            is_final,
            demand: false,
            multiplier: self.config.multiplier,
            my_discriminator: self.discriminator,
            your_discriminator: self.remote_discriminator,
            desired_send: self.wished_send(),
            required_receive: self.config.receive_interval,
            required_echo: Duration::ZERO,
        };
        self.push(Action::Send(packet));
        self.next_send = self.may_speak().then(|| now + self.jittered());
    }

    /// 75 to 100 % of the interval; with a multiplier of 1, to 90 %, as one late packet is the end then.
    fn jittered(&mut self) -> Duration {
        const LEAST: u64 = 750;
        let most = if self.config.multiplier == 1 { 900 } else { 1000 };
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = LEAST + self.random % (most - LEAST + 1);
        let nanoseconds = self.send_interval().as_nanos() * u128::from(part) / 1000;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    fn push(&mut self, action: Action) {
        if self.actions.len() < ACTIONS_MAX {
            self.actions.push_back(action);
        }
    }
}
