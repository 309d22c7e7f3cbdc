//! The session with a master agent: opening, registering, answering, telling, and coming back after it was lost.
//!
//! ```text
//!   Away ──► wants_connection ──► Opening ──► Open ─┐
//!    ▲                               │              │ pings each 15 s
//!    └── lost: closed, silent, full, malformed ◄────┘
//! ```
//!
//! Bytes and `now` come in; bytes, events and a deadline go out. Everything that grows has a limit with a name: a master
//! that does not read, does not answer, or asks without end, is left and tried again.

use crate::oid::Oid;
use crate::pdu::{HEADER_LENGTH, Message, Pdu, SearchRange, error, payload_length};
use crate::tree::Tree;
use crate::value::{Binding, Value};
use crate::wire::Order;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A master that answers nothing for so long is left.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the master is asked whether it is there, as net-snmp's sub-agents do.
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Until a lost master is tried again, doubled each time.
pub const RETRY_MIN: Duration = Duration::from_secs(1);
pub const RETRY_MAX: Duration = Duration::from_secs(15);
/// Requests that wait for a tree.
pub const REQUESTS_MAX: usize = 64;
/// Bytes that the master has not read yet.
pub const OUTPUT_LENGTH_MAX: usize = 1024 * 1024;
/// Notifications that wait for a session.
pub const NOTIFICATIONS_MAX: usize = 1024;
/// A notification that waited longer is not sent any more: it is news no longer.
pub const NOTIFICATION_AGE_MAX: Duration = Duration::from_secs(10);
/// What we wait for the master to answer: registrations, pings and notifications.
const EXPECTED_MAX: usize = 2 * NOTIFICATIONS_MAX;
/// Largest answer, before an SNMP message of 64 KiB is made of it.
const ANSWER_LENGTH_MAX: usize = 128 * 1024;
/// Names and values in one answer.
const ANSWER_BINDINGS_MAX: usize = 4096;
/// Priority of a registration (section 6.2.3).
const PRIORITY: u8 = 127;
/// Events that nobody took.
const EVENTS_MAX: usize = 256;

/// `c.reason` (section 6.2.2)
const REASON_SHUTDOWN: u8 = 5;

/// Who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub description: String,
    /// What we answer for, each with what sysORTable says of it.
    pub subtrees: Vec<(Oid, String)>,
}

/// What the log may want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The master took us.
    Connected,
    /// It was there, or is not.
    Lost(String),
    /// It does not let us answer for that subtree; `error` as RFC 2741 numbers it.
    Refused { subtree: Oid, error: u16 },
    /// So many notifications were not sent.
    NotificationsLost(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away {
        until: Instant,
    },
    /// A connection is being made.
    Connecting {
        until: Instant,
    },
    Opening,
    Open {
        id: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Open,
    Registration(usize),
    Other,
}

/// One session after the other with the same master.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    retry: Duration,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Of the output, already taken.
    taken: usize,
    expected: VecDeque<(u32, Expected, Instant)>,
    requests: VecDeque<Message>,
    notifications: VecDeque<(Instant, Vec<Binding>)>,
    lost_notifications: u64,
    refused: Vec<usize>,
    next_ping: Instant,
    next_packet: u32,
    events: VecDeque<Event>,
}

impl Session {
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            state: State::Away { until: now },
            retry: RETRY_MIN,
            input: Vec::new(),
            output: Vec::new(),
            taken: 0,
            expected: VecDeque::new(),
            requests: VecDeque::new(),
            notifications: VecDeque::new(),
            lost_notifications: 0,
            refused: Vec::new(),
            next_ping: now,
            next_packet: 1,
            events: VecDeque::new(),
        }
    }

    /// Whether the shell is to connect now; it says how that went.
    pub fn wants_connection(&mut self, now: Instant) -> bool {
        match self.state {
            State::Away { until } if until <= now => {
                self.state = State::Connecting { until: now + ANSWER_TIMEOUT };
                true
            }
            State::Away { .. } | State::Connecting { .. } | State::Opening | State::Open { .. } => false,
        }
    }

    /// Whether the shell is to hold a connection, one being made included.
    pub fn holds_connection(&self) -> bool {
        !matches!(self.state, State::Away { .. })
    }

    /// The connection is made.
    pub fn handle_connected(&mut self, now: Instant) {
        self.state = State::Opening;
        let description = self.settings.description.as_bytes().to_vec();
        self.send(now, 0, Expected::Open, Pdu::Open { timeout: 0, id: Oid::default(), description });
    }

    /// The connection was refused, closed or broken.
    pub fn handle_lost(&mut self, now: Instant, why: &str) {
        if matches!(self.state, State::Away { .. }) {
            return;
        }
        self.state = State::Away { until: now + self.retry };
        self.retry = (self.retry * 2).min(RETRY_MAX);
        self.input.clear();
        self.output.clear();
        self.taken = 0;
        self.expected.clear();
        self.requests.clear();
        self.refused.clear();
        self.event(Event::Lost(why.to_owned()));
    }

    /// Bytes of the master.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        if !self.holds_connection() {
            return;
        }
        self.input.extend_from_slice(bytes);
        let mut input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some(header) = input[at..].first_chunk::<HEADER_LENGTH>() {
            let length = match payload_length(header) {
                Ok(length) => HEADER_LENGTH + length,
                Err(malformed) => return self.handle_lost(now, &format!("the master sent {malformed}")),
            };
            let Some(packet) = input[at..].get(..length) else { break };
            match Message::decode(packet) {
                Ok(message) => self.handle_message(now, message),
                Err(malformed) => return self.handle_lost(now, &format!("the master sent {malformed}")),
            }
            if !self.holds_connection() {
                return;
            }
            at += length;
        }
        input.drain(..at);
        self.input = input;
    }

    fn handle_message(&mut self, now: Instant, message: Message) {
        match message.pdu {
            Pdu::Response { error, .. } => self.handle_response(now, message.session, message.packet, error),
            Pdu::Close { reason } => {
                self.handle_lost(now, &format!("the master closed the session, reason {reason}"));
            }
            Pdu::Get(_) | Pdu::GetNext(_) | Pdu::GetBulk { .. } => {
                if !message.context.is_empty() {
                    self.respond(now, &message, error::UNSUPPORTED_CONTEXT, 1, Vec::new());
                } else if self.requests.len() < REQUESTS_MAX {
                    self.requests.push_back(message);
                } else {
                    self.respond(now, &message, error::GENERAL, 1, Vec::new());
                }
            }
            Pdu::TestSet(_) => self.respond(now, &message, error::NOT_WRITABLE, 1, Vec::new()),
            Pdu::CommitSet => self.respond(now, &message, error::COMMIT_FAILED, 1, Vec::new()),
            Pdu::UndoSet => self.respond(now, &message, error::UNDO_FAILED, 1, Vec::new()),
            // It has no answer.
            Pdu::CleanupSet => {}
            Pdu::Open { .. }
            | Pdu::Register { .. }
            | Pdu::Unregister { .. }
            | Pdu::Notify(_)
            | Pdu::Ping
            | Pdu::AddAgentCaps { .. }
            | Pdu::RemoveAgentCaps { .. } => {
                self.handle_lost(now, "the master sent what only sub-agents send");
            }
        }
    }

    fn handle_response(&mut self, now: Instant, session: u32, packet: u32, error: u16) {
        let Some(place) = self.expected.iter().position(|(known, ..)| *known == packet) else {
            // Of something whose answer nobody waits for.
            return;
        };
        let Some((_, expected, _)) = self.expected.remove(place) else { return };
        match (expected, error) {
            (_, error::NOT_OPEN) => self.handle_lost(now, "the master does not know the session"),
            (Expected::Open, error::NONE) => self.opened(now, session),
            (Expected::Open, error) => {
                self.handle_lost(now, &format!("the master refused the session, error {error}"));
            }
            (Expected::Registration(place), error) if error != error::NONE => {
                let Some((subtree, _)) = self.settings.subtrees.get(place) else { return };
                let subtree = subtree.clone();
                // A predecessor may hold it that is about to end: asked again with the next ping.
                self.refused.push(place);
                self.event(Event::Refused { subtree, error });
            }
            (Expected::Registration(_) | Expected::Other, _) => {}
        }
    }

    fn opened(&mut self, now: Instant, id: u32) {
        self.state = State::Open { id };
        self.retry = RETRY_MIN;
        self.next_ping = now + PING_INTERVAL;
        for place in 0..self.settings.subtrees.len() {
            self.register(now, id, place);
        }
        self.event(Event::Connected);
        let waiting = std::mem::take(&mut self.notifications);
        for (since, bindings) in waiting {
            if since + NOTIFICATION_AGE_MAX >= now {
                self.send(now, id, Expected::Other, Pdu::Notify(bindings));
            } else {
                self.lost_notifications += 1;
            }
        }
        let lost = std::mem::take(&mut self.lost_notifications);
        if lost > 0 {
            self.event(Event::NotificationsLost(lost));
        }
    }

    fn register(&mut self, now: Instant, id: u32, place: usize) {
        let Some((subtree, description)) = self.settings.subtrees.get(place).cloned() else { return };
        let caps = Pdu::AddAgentCaps { id: subtree.clone(), description: description.into_bytes() };
        let register = Pdu::Register { timeout: 0, priority: PRIORITY, subtree };
        self.send(now, id, Expected::Registration(place), register);
        self.send(now, id, Expected::Other, caps);
    }

    /// Pings, and what is late.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let State::Connecting { until } = self.state
            && until <= now
        {
            return self.handle_lost(now, "the connection was not made in time");
        }
        if self.expected.front().is_some_and(|(_, _, until)| *until <= now) {
            return self.handle_lost(now, "the master does not answer");
        }
        if let State::Open { id } = self.state
            && self.next_ping <= now
        {
            self.next_ping = now + PING_INTERVAL;
            for place in std::mem::take(&mut self.refused) {
                self.register(now, id, place);
            }
            self.send(now, id, Expected::Other, Pdu::Ping);
        }
    }

    /// When [`Session::handle_timeout`] or [`Session::wants_connection`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let of_state = match self.state {
            State::Away { until } | State::Connecting { until } => Some(until),
            State::Opening => None,
            State::Open { .. } => Some(self.next_ping),
        };
        let of_answers = self.expected.front().map(|(_, _, until)| *until);
        of_state.into_iter().chain(of_answers).min()
    }

    /// Whether requests wait for a tree.
    pub fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Answers what was asked until now, all of it by one tree.
    pub fn answer(&mut self, now: Instant, tree: &Tree) {
        for message in std::mem::take(&mut self.requests) {
            if !self.holds_connection() {
                return;
            }
            let bindings = match &message.pdu {
                Pdu::Get(ranges) => get(tree, ranges),
                Pdu::GetNext(ranges) => get_next(tree, ranges),
                Pdu::GetBulk { non_repeaters, repetitions_max, ranges } => {
                    get_bulk(tree, usize::from(*non_repeaters), usize::from(*repetitions_max), ranges)
                }
                _ => continue,
            };
            match bindings {
                Some(bindings) => self.respond(now, &message, error::NONE, 0, bindings),
                None => self.respond(now, &message, error::TOO_BIG, 1, Vec::new()),
            }
        }
    }

    /// Tells managers, at once or as soon as there is a session; what finds no room is counted.
    pub fn notify(&mut self, now: Instant, bindings: Vec<Binding>) {
        match self.state {
            State::Open { id } if self.expected.len() < EXPECTED_MAX => {
                self.send(now, id, Expected::Other, Pdu::Notify(bindings));
            }
            State::Open { .. } => self.lost_notifications += 1,
            State::Away { .. } | State::Connecting { .. } | State::Opening => {
                if self.notifications.len() == NOTIFICATIONS_MAX {
                    self.notifications.pop_front();
                    self.lost_notifications += 1;
                }
                self.notifications.push_back((now, bindings));
            }
        }
    }

    /// Says good-bye; what is in the output is all that comes.
    pub fn close(&mut self, now: Instant) {
        if let State::Open { id } = self.state {
            self.send(now, id, Expected::Other, Pdu::Close { reason: REASON_SHUTDOWN });
        }
    }

    /// What is to be written.
    pub fn output(&self) -> &[u8] {
        &self.output[self.taken..]
    }

    /// So many bytes of it were written.
    pub fn wrote(&mut self, length: usize) {
        self.taken = (self.taken + length).min(self.output.len());
        if self.taken == self.output.len() {
            self.output.clear();
            self.taken = 0;
        }
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn event(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        }
    }

    fn send(&mut self, now: Instant, session: u32, expected: Expected, pdu: Pdu) {
        if !self.holds_connection() {
            return;
        }
        let packet = self.next_packet;
        self.next_packet = self.next_packet.wrapping_add(1);
        self.expected.push_back((packet, expected, now + ANSWER_TIMEOUT));
        self.put(now, &Message { session, transaction: packet, packet, context: Vec::new(), pdu });
    }

    fn respond(&mut self, now: Instant, request: &Message, error: u16, index: u16, bindings: Vec<Binding>) {
        let pdu = Pdu::Response { up_time: 0, error, index, bindings };
        let Message { session, transaction, packet, .. } = *request;
        self.put(now, &Message { session, transaction, packet, context: Vec::new(), pdu });
    }

    fn put(&mut self, now: Instant, message: &Message) {
        if !self.holds_connection() {
            // It was lost by what was put in before this.
            return;
        }
        let bytes = message.encode(Order::Big);
        if self.output.len() - self.taken + bytes.len() > OUTPUT_LENGTH_MAX {
            return self.handle_lost(now, "the master does not read");
        }
        self.output.drain(..self.taken);
        self.taken = 0;
        self.output.extend_from_slice(&bytes);
    }
}

/// How much of an answer there is room for.
struct Room {
    bindings: usize,
    bytes: usize,
}

impl Room {
    fn new() -> Self {
        Self { bindings: ANSWER_BINDINGS_MAX, bytes: ANSWER_LENGTH_MAX }
    }

    fn takes(&mut self, binding: &Binding) -> bool {
        // Headers of binding, name and value.
        const BESIDE: usize = 16;
        let length = match &binding.value {
            Value::Octets(octets) | Value::Opaque(octets) => octets.len(),
            Value::Name(name) => 4 * name.sub_ids().len(),
            _ => 8,
        };
        let bytes = BESIDE + 4 * binding.name.sub_ids().len() + length;
        let fits = self.bindings > 0 && self.bytes >= bytes;
        if fits {
            self.bindings -= 1;
            self.bytes -= bytes;
        }
        fits
    }
}

/// All of them, or nothing when they do not fit.
fn fitting(bindings: impl Iterator<Item = Binding>) -> Option<Vec<Binding>> {
    let mut room = Room::new();
    bindings.map(|binding| room.takes(&binding).then_some(binding)).collect()
}

fn get(tree: &Tree, ranges: &[SearchRange]) -> Option<Vec<Binding>> {
    fitting(ranges.iter().map(|range| Binding::new(range.start.clone(), tree.get(&range.start))))
}

fn following(tree: &Tree, range: &SearchRange) -> Binding {
    tree.next(range).cloned().unwrap_or_else(|| Binding::new(range.start.clone(), Value::EndOfMibView))
}

fn get_next(tree: &Tree, ranges: &[SearchRange]) -> Option<Vec<Binding>> {
    fitting(ranges.iter().map(|range| following(tree, range)))
}

/// Section 7.2.3.3: the first ones once, the others again and again until all are at their end or there is no room.
fn get_bulk(tree: &Tree, non_repeaters: usize, times: usize, ranges: &[SearchRange]) -> Option<Vec<Binding>> {
    let (once, again) = ranges.split_at(non_repeaters.min(ranges.len()));
    let mut bindings = get_next(tree, once)?;
    let mut room = Room::new();
    bindings.iter().for_each(|binding| {
        room.takes(binding);
    });
    let mut again = again.to_vec();
    for _ in 0..times {
        let mut is_more = false;
        for range in &mut again {
            let binding = following(tree, range);
            if !room.takes(&binding) {
                return Some(bindings);
            }
            is_more |= binding.value != Value::EndOfMibView;
            range.start = binding.name.clone();
            range.include = false;
            bindings.push(binding);
        }
        if !is_more {
            break;
        }
    }
    Some(bindings)
}
