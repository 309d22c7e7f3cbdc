//! One session with another instance, once the handshake is over: what it tells goes into the tables, what changed here is
//! told. Owns the cursors; the caller owns the bytes between this and the socket.

use crate::definition::{self, Definition, SharedTable};
use crate::dictionary::{Received, Sent};
use crate::entry::{Form, Learner, put as put_entry};
use crate::message::{Front, Kind, front, put_control, put_message};
use crate::wire::{Reader, WireError, put_number};
use crate::{DEAD_AFTER, HEARTBEAT_INTERVAL};
use std::sync::Arc;
use std::time::Instant;

/// Entries told while a shard is locked.
const BATCH_MAX: usize = 64;
/// Definitions of the other side that are remembered; a definition more ends the session.
const DEFINITIONS_MAX: usize = 4096;

/// What another instance has acknowledged of one table: the number of the change in each shard. Outlives a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lesson {
    acknowledged: Vec<u64>,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionError {
    /// What it sent has no meaning.
    Protocol,
    /// A message is longer than we take.
    TooLong,
    /// It refused what we sent.
    Refused,
    /// It was silent for too long.
    Dead,
}

/// What happened in a session, for `show peers`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub heartbeats_sent: u32,
    pub heartbeats_received: u32,
}

/// Where telling of one table is.
#[derive(Debug)]
struct Told {
    /// By shard: the other side was sent all changes up to this one.
    sent: Vec<u64>,
    acknowledged: Vec<u64>,
    /// An update and where `sent` stood when it went out: once it is acknowledged, so is all that.
    checkpoint: Option<(u32, Vec<u64>)>,
    /// Number of the last update.
    last_number: u32,
    last_acknowledged: u32,
}

/// A table as the other side defined it.
struct Remote {
    definition: Definition,
    /// Which of ours it is.
    ours: Option<usize>,
    last_number: u32,
    last_acknowledged: u32,
}

/// Where a full lesson is.
#[derive(Debug, Clone, Copy)]
struct Teaching {
    table: usize,
    shard: usize,
    place: u32,
}

/// One table of a session, for `show peers`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TableView {
    pub local_number: usize,
    pub remote_number: u64,
    pub remote_types: u64,
    pub last_acknowledged: u32,
    pub last_pushed: u32,
    pub last_received: u32,
}

/// What one turn may make ready: so many bytes (and one message more), and so many updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub bytes: usize,
    pub updates: usize,
}

impl Limit {
    fn is_left(&self, out: &[u8]) -> bool {
        self.updates > 0 && out.len() < self.bytes
    }
}

/// A session after its handshake.
pub struct Session {
    tables: Arc<[SharedTable]>,
    told: Vec<Told>,
    remotes: Vec<Remote>,
    /// Which of `remotes` the next updates are about.
    current: Option<usize>,
    /// Which table we defined last.
    defined: Option<usize>,
    sent_keys: Sent,
    received_keys: Received,
    learner: Learner,
    scratch: Vec<u8>,
    teaching: Option<Teaching>,
    is_learning: bool,
    taught: Option<bool>,
    was_confirmed: bool,
    /// Control messages to send before anything else.
    controls: Vec<Kind>,
    last_sent: Instant,
    last_received: Instant,
    pub counters: Counters,
}

impl Session {
    /// `lessons`: what the last session with that instance left; a table more or less there does no harm.
    pub fn new(tables: Arc<[SharedTable]>, mut lessons: Vec<Lesson>, now: Instant) -> Session {
        lessons.resize(tables.len(), Lesson::default());
        let told = tables
            .iter()
            .zip(lessons)
            .map(|(shared, lesson)| {
                let mut acknowledged = lesson.acknowledged;
                acknowledged.resize(shared.table.shards(), 0);
                Told {
                    sent: acknowledged.clone(),
                    acknowledged,
                    checkpoint: None,
                    last_number: 0,
                    last_acknowledged: 0,
                }
            })
            .collect();
        Session {
            tables,
            told,
            remotes: Vec::new(),
            current: None,
            defined: None,
            sent_keys: Sent::default(),
            received_keys: Received::default(),
            learner: Learner::default(),
            scratch: Vec::new(),
            teaching: None,
            is_learning: false,
            taught: None,
            was_confirmed: false,
            controls: Vec::new(),
            last_sent: now,
            last_received: now,
            counters: Counters::default(),
        }
    }

    /// What the other side has acknowledged, for the next session with it.
    pub fn lessons(&self) -> Vec<Lesson> {
        self.told.iter().map(|told| Lesson { acknowledged: told.acknowledged.clone() }).collect()
    }

    /// Asks the other side for all it knows; [`take_taught`](Session::take_taught) tells when that is over.
    pub fn request_resync(&mut self) {
        self.is_learning = true;
        self.controls.push(Kind::ResyncRequest);
    }

    /// Whether a lesson that was asked for is still awaited.
    pub fn is_learning(&self) -> bool {
        self.is_learning
    }

    /// The lesson that was asked for is over; `true`: the teacher knew all itself.
    pub fn take_taught(&mut self) -> Option<bool> {
        self.taught.take()
    }

    /// Whether the other side has confirmed the end of our lesson.
    pub fn was_confirmed(&self) -> bool {
        self.was_confirmed
    }

    /// When [`handle_timeout`](Session::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Instant {
        (self.last_received + DEAD_AFTER).min(self.last_sent + HEARTBEAT_INTERVAL)
    }

    /// Sends a heartbeat when it is time.
    ///
    /// # Errors
    /// `Dead`: the other side was silent for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        if now >= self.last_received + DEAD_AFTER {
            return Err(SessionError::Dead);
        }
        if now >= self.last_sent + HEARTBEAT_INTERVAL && !self.controls.contains(&Kind::Heartbeat) {
            self.controls.push(Kind::Heartbeat);
        }
        Ok(())
    }

    /// Takes whole messages from the front of `received`; returns how many bytes they were.
    ///
    /// # Errors
    /// The session ends; [`error_message`](SessionError::message) says what to send before.
    pub fn receive(&mut self, received: &[u8], now: Instant) -> Result<usize, SessionError> {
        self.last_received = now;
        let mut at = 0;
        loop {
            match front(&received[at..]) {
                Front::Incomplete => return Ok(at),
                Front::TooLong => return Err(SessionError::TooLong),
                Front::Malformed => return Err(SessionError::Protocol),
                Front::Message { kind, content, len } => {
                    self.handle(kind, content, now)?;
                    at += len;
                }
            }
        }
    }

    fn handle(&mut self, kind: Kind, content: &[u8], now: Instant) -> Result<(), SessionError> {
        match kind {
            Kind::ResyncRequest => {
                self.teaching = Some(Teaching { table: 0, shard: 0, place: 0 });
                self.was_confirmed = false;
            }
            Kind::ResyncFinished | Kind::ResyncPartial => {
                if std::mem::take(&mut self.is_learning) {
                    self.taught = Some(kind == Kind::ResyncFinished);
                    self.controls.push(Kind::ResyncConfirmed);
                }
            }
            Kind::ResyncConfirmed => self.was_confirmed = true,
            Kind::Heartbeat => self.counters.heartbeats_received += 1,
            Kind::ProtocolError | Kind::SizeLimitError => return Err(SessionError::Refused),
            Kind::Update { numbered, timed } => self.learn(content, numbered, timed, now)?,
            Kind::Definition => self.define(content)?,
            Kind::Switch => self.switch(content)?,
            Kind::Acknowledgement => self.acknowledge(content)?,
            Kind::Unknown => {}
        }
        Ok(())
    }

    fn define(&mut self, content: &[u8]) -> Result<(), SessionError> {
        let definition = Definition::parse(content)?;
        let known = self.remotes.iter().position(|remote| remote.definition.number == definition.number);
        if let Some(place) = known.filter(|&place| self.remotes[place].definition == definition) {
            self.current = Some(place);
            return Ok(());
        }
        let ours = self
            .tables
            .iter()
            .position(|shared| shared.name == definition.name && definition.has_keys_of(&shared.table));
        let remote = Remote { definition, ours, last_number: 0, last_acknowledged: 0 };
        let place = match known {
            Some(place) => {
                self.remotes[place] = remote;
                place
            }
            None if self.remotes.len() >= DEFINITIONS_MAX => return Err(SessionError::Protocol),
            None => {
                self.remotes.push(remote);
                self.remotes.len() - 1
            }
        };
        self.current = Some(place);
        Ok(())
    }

    fn switch(&mut self, content: &[u8]) -> Result<(), SessionError> {
        let number = Reader::new(content).number()?;
        let place = self.remotes.iter().position(|remote| remote.definition.number == number);
        self.current = Some(place.ok_or(SessionError::Protocol)?);
        Ok(())
    }

    fn learn(
        &mut self,
        content: &[u8],
        numbered: bool,
        timed: bool,
        now: Instant,
    ) -> Result<(), SessionError> {
        let remote = &mut self.remotes[self.current.ok_or(SessionError::Protocol)?];
        let table = remote.ours.map(|place| &*self.tables[place].table);
        let form = (numbered, timed);
        let number =
            self.learner.learn(content, form, &remote.definition, table, &mut self.received_keys, now)?;
        remote.last_number = number.unwrap_or(remote.last_number.wrapping_add(1));
        Ok(())
    }

    fn acknowledge(&mut self, content: &[u8]) -> Result<(), SessionError> {
        let mut reader = Reader::new(content);
        let (table, number) = (reader.number()?, reader.word()?);
        let told = usize::try_from(table)
            .ok()
            .and_then(|table| table.checked_sub(1))
            .and_then(|place| self.told.get_mut(place))
            .ok_or(SessionError::Protocol)?;
        told.last_acknowledged = number;
        let is_reached = |checkpoint: &u32| number.wrapping_sub(*checkpoint) as i32 >= 0;
        if told.checkpoint.as_ref().is_some_and(|(checkpoint, _)| is_reached(checkpoint)) {
            told.acknowledged = told.checkpoint.take().expect("it was there").1;
        }
        Ok(())
    }

    /// Appends what there is to send until `out` has `limit` bytes or a little more. `up_to_date`: whether a lesson that
    /// ends now was a full one. Returns whether there is more to send.
    pub fn produce(&mut self, out: &mut Vec<u8>, limit: Limit, up_to_date: bool, now: Instant) -> bool {
        let before = out.len();
        let mut room = limit;
        for kind in self.controls.drain(..) {
            if kind == Kind::Heartbeat {
                self.counters.heartbeats_sent += 1;
            }
            put_control(kind, out);
        }
        self.acknowledge_received(out);
        while room.is_left(out) && self.teaching.is_some() {
            self.teach_some(out, &mut room, up_to_date, now);
        }
        for table in 0..self.tables.len() {
            if !room.is_left(out) {
                break;
            }
            self.tell_changes(table, out, &mut room, now);
        }
        if out.len() > before {
            self.last_sent = now;
        }
        !room.is_left(out)
    }

    fn acknowledge_received(&mut self, out: &mut Vec<u8>) {
        for remote in &mut self.remotes {
            if remote.last_number != remote.last_acknowledged {
                remote.last_acknowledged = remote.last_number;
                self.scratch.clear();
                put_number(remote.definition.number, &mut self.scratch);
                self.scratch.extend_from_slice(&remote.last_number.to_be_bytes());
                put_message(Kind::Acknowledgement, &self.scratch, out);
            }
        }
    }

    /// Defines a table before its updates, unless it is the one that was defined last.
    fn define_ours(&mut self, table: usize, out: &mut Vec<u8>) -> bool {
        if self.defined == Some(table) {
            return false;
        }
        self.defined = Some(table);
        self.scratch.clear();
        definition::put(table as u64 + 1, &self.tables[table], &mut self.scratch);
        put_message(Kind::Definition, &self.scratch, out);
        true
    }

    /// A batch of the full lesson. Its updates have the number of the last one of a change: they need no acknowledgement.
    fn teach_some(&mut self, out: &mut Vec<u8>, room: &mut Limit, up_to_date: bool, now: Instant) {
        let Some(at) = self.teaching else { return };
        let Some(shared) = self.tables.get(at.table).cloned() else {
            put_control(if up_to_date { Kind::ResyncFinished } else { Kind::ResyncPartial }, out);
            self.teaching = None;
            return;
        };
        if at.place == 0 {
            // The lesson has the latest of all that changed before it.
            self.told[at.table].sent[at.shard] = shared.table.begin_lesson(at.shard);
        }
        // An empty table is not worth a definition.
        if shared.table.used() > 0 {
            self.define_ours(at.table, out);
        }
        let number = self.told[at.table].last_number;
        let form = Form { number, numbered: true, timed: true };
        let config = shared.table.config();
        let (dictionary, scratch) = (&mut self.sent_keys, &mut self.scratch);
        let next = shared.table.walk(at.shard, at.place, BATCH_MAX as u32, now, |shared| {
            if !room.is_left(out) {
                return false;
            }
            room.updates -= 1;
            put_entry(shared, config, form, dictionary, scratch, out);
            true
        });
        self.teaching = Some(match next {
            Some(place) => Teaching { place, ..at },
            None if at.shard + 1 < shared.table.shards() => Teaching { shard: at.shard + 1, place: 0, ..at },
            None => Teaching { table: at.table + 1, shard: 0, place: 0 },
        });
    }

    fn tell_changes(&mut self, table: usize, out: &mut Vec<u8>, room: &mut Limit, now: Instant) {
        let shared = self.tables[table].clone();
        let config = shared.table.config();
        let mut numbered = None;
        for shard in 0..shared.table.shards() {
            loop {
                let after = self.told[table].sent[shard];
                if !room.is_left(out) || shared.table.last_change(shard) <= after {
                    break;
                }
                let defined_now = self.define_ours(table, out);
                let needs_number = numbered.unwrap_or(true) || defined_now;
                let mut first = needs_number;
                let told = &mut self.told[table];
                let (dictionary, scratch) = (&mut self.sent_keys, &mut self.scratch);
                let known = shared.table.changes(shard, after, BATCH_MAX, now, |shared| {
                    if !room.is_left(out) {
                        return false;
                    }
                    room.updates -= 1;
                    told.last_number = told.last_number.wrapping_add(1);
                    let form = Form { number: told.last_number, numbered: first, timed: false };
                    first = false;
                    put_entry(shared, config, form, dictionary, scratch, out);
                    true
                });
                numbered = Some(first);
                told.sent[shard] = known;
            }
        }
        let told = &mut self.told[table];
        if told.checkpoint.is_none() && told.sent != told.acknowledged {
            told.checkpoint = Some((told.last_number, told.sent.clone()));
        }
    }

    /// The tables of this session.
    pub fn views(&self) -> impl Iterator<Item = TableView> {
        self.told.iter().enumerate().map(|(place, told)| {
            let remote = self.remotes.iter().find(|remote| remote.ours == Some(place));
            TableView {
                local_number: place + 1,
                remote_number: remote.map_or(0, |remote| remote.definition.number),
                remote_types: remote.map_or(0, |remote| remote.definition.types),
                last_acknowledged: told.last_acknowledged,
                last_pushed: told.last_number,
                last_received: remote.map_or(0, |remote| remote.last_number),
            }
        })
    }

    /// The server keys this side has sent, by number.
    pub fn sent_keys(&self) -> &[Arc<str>] {
        self.sent_keys.list()
    }

    /// The server keys the other side has sent, by number.
    pub fn received_keys(&self) -> &[Option<Arc<str>>] {
        self.received_keys.list()
    }

    /// Which table the other side's updates are about, and which one ours are.
    pub fn current_tables(&self) -> (Option<usize>, Option<usize>) {
        (self.current.and_then(|place| self.remotes[place].ours), self.defined)
    }
}

impl SessionError {
    /// The message that tells the other side why, if one does.
    pub fn message(self) -> &'static [u8] {
        match self {
            SessionError::Protocol => &[1, 0],
            SessionError::TooLong => &[1, 1],
            SessionError::Refused | SessionError::Dead => &[],
        }
    }
}

impl From<WireError> for SessionError {
    fn from(_: WireError) -> SessionError {
        SessionError::Protocol
    }
}

#[cfg(test)]
mod tests;
