//! What one entry stores: its words, where each data type lies in them, and how to read and count them. An entry
//! exists only while its shard is locked; nothing here locks.

use super::config::{DATA_TYPES, DataShape, DataType, Stored};
use super::rate::{self, RATE_WORDS};
use parking_lot::RwLock;
use std::sync::Arc;

/// Most distinct server keys of a table; more are not stored.
const SERVER_KEYS_MAX: usize = 1 << 16;

/// Where one data type lies in an entry.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Number of elements; 0: not stored.
    count: u32,
    /// First word.
    offset: u32,
    period_ms: u64,
}

/// Where the data types lie, for all entries of a table, and the server keys that entries refer to by number.
#[derive(Debug)]
pub(super) struct Layout {
    places: [Place; DATA_TYPES.len()],
    /// Words per entry.
    pub(super) words: usize,
    server_keys: RwLock<Vec<Arc<str>>>,
}

fn words_each(data: DataType) -> usize {
    match data.shape() {
        DataShape::Counter | DataShape::Counter64 | DataShape::Array | DataShape::ServerKey => 1,
        DataShape::Rate | DataShape::RateArray => RATE_WORDS,
    }
}

/// The array that takes the place of the numbered form: `gpc0` reads `gpc(0)` when the table stores the array.
fn in_array(data: DataType) -> Option<(DataType, u32)> {
    match data {
        DataType::Gpt0 => Some((DataType::Gpt, 0)),
        DataType::Gpc0 => Some((DataType::Gpc, 0)),
        DataType::Gpc1 => Some((DataType::Gpc, 1)),
        DataType::Gpc0Rate => Some((DataType::GpcRate, 0)),
        DataType::Gpc1Rate => Some((DataType::GpcRate, 1)),
        DataType::ServerId
        | DataType::ConnCnt
        | DataType::ConnRate
        | DataType::ConnCur
        | DataType::SessCnt
        | DataType::SessRate
        | DataType::HttpReqCnt
        | DataType::HttpReqRate
        | DataType::HttpErrCnt
        | DataType::HttpErrRate
        | DataType::BytesInCnt
        | DataType::BytesInRate
        | DataType::BytesOutCnt
        | DataType::BytesOutRate
        | DataType::ServerKey
        | DataType::HttpFailCnt
        | DataType::HttpFailRate
        | DataType::Gpt
        | DataType::Gpc
        | DataType::GpcRate => None,
    }
}

impl Layout {
    pub(super) fn new(store: &[Stored]) -> Layout {
        let mut layout =
            Layout { places: [Place::default(); DATA_TYPES.len()], words: 0, server_keys: RwLock::default() };
        for item in store {
            layout.places[item.data as usize] = Place {
                count: item.count,
                offset: layout.words as u32,
                period_ms: item.period.as_millis() as u64,
            };
            layout.words += words_each(item.data) * item.count as usize;
        }
        layout
    }

    /// How many elements of this data type an entry has; 0: not stored.
    pub(super) fn element_count(&self, data: DataType) -> u32 {
        self.places[data as usize].count
    }

    /// The place of one element, by its own name only.
    fn exact(&self, data: DataType, index: u32) -> Option<(DataType, usize, u64)> {
        let place = self.places[data as usize];
        (index < place.count)
            .then(|| (data, place.offset as usize + index as usize * words_each(data), place.period_ms))
    }

    /// The place of one element; numbered forms also find the array.
    fn find(&self, data: DataType, index: u32) -> Option<(DataType, usize, u64)> {
        self.exact(data, index).or_else(|| {
            let (array, index) = in_array(data)?;
            self.exact(array, index)
        })
    }

    fn server_key_number(&self, key: &str) -> u64 {
        let position = |keys: &[Arc<str>]| keys.iter().position(|known| &**known == key);
        if let Some(at) = position(&self.server_keys.read()) {
            return at as u64 + 1;
        }
        let mut keys = self.server_keys.write();
        match position(&keys) {
            Some(at) => at as u64 + 1,
            None if keys.len() >= SERVER_KEYS_MAX => 0,
            None => {
                keys.push(key.into());
                keys.len() as u64
            }
        }
    }

    fn server_key(&self, number: u64) -> Option<Arc<str>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.server_keys.read().get(index).cloned()
    }
}

/// A rate as it is counted, to tell it to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// Since the running period began, in milliseconds.
    pub age_ms: u32,
    /// Events in the running period.
    pub running: u32,
    /// Events in the one before.
    pub before: u32,
}

/// One entry of a locked shard.
pub struct Entry<'a> {
    pub(super) layout: &'a Layout,
    pub(super) words: &'a mut [u64],
    pub(super) now_ms: u64,
}

impl Entry<'_> {
    /// Reads a counter, a tag or a rate; `None`: the table does not store it. `index` is 0 but for arrays.
    pub fn get(&self, data: DataType, index: u32) -> Option<u64> {
        let (data, at, period_ms) = self.layout.find(data, index)?;
        Some(match data.shape() {
            DataShape::Rate | DataShape::RateArray => {
                rate::read(&self.words[at..at + RATE_WORDS], period_ms, self.now_ms)
            }
            DataShape::Counter | DataShape::Counter64 | DataShape::Array | DataShape::ServerKey => {
                self.words[at]
            }
        })
    }

    /// Counts `events` more and returns the new value; `None`: the table does not store it.
    pub fn add(&mut self, data: DataType, index: u32, events: u64) -> Option<u64> {
        let (data, at, period_ms) = self.layout.find(data, index)?;
        match data.shape() {
            DataShape::Rate | DataShape::RateArray => {
                let words = &mut self.words[at..at + RATE_WORDS];
                rate::add(words, period_ms, self.now_ms, events);
                return Some(rate::read(words, period_ms, self.now_ms));
            }
            DataShape::Counter64 => self.words[at] = self.words[at].wrapping_add(events),
            DataShape::Counter | DataShape::Array => {
                self.words[at] = u64::from((self.words[at] as u32).wrapping_add(events as u32));
            }
            DataShape::ServerKey => {}
        }
        Some(self.words[at])
    }

    /// Takes one from a gauge (`conn_cur`), not below zero.
    pub fn decrement(&mut self, data: DataType) {
        if let Some((_, at, _)) = self.layout.find(data, 0) {
            self.words[at] = self.words[at].saturating_sub(1);
        }
    }

    /// Sets a counter, a tag, or the events of a rate's running period. Returns whether the table stores it.
    pub fn set(&mut self, data: DataType, index: u32, value: u64) -> bool {
        match self.layout.find(data, index) {
            Some((data, at, _)) => {
                self.store(data, at, value);
                true
            }
            None => false,
        }
    }

    /// As [`set`](Entry::set), but `gpc0` does not stand for the first of an array: what `set table` does.
    pub(super) fn set_exact(&mut self, data: DataType, value: u64) -> bool {
        match self.layout.exact(data, 0) {
            Some((data, at, _)) => {
                self.store(data, at, value);
                true
            }
            None => false,
        }
    }

    fn store(&mut self, data: DataType, at: usize, value: u64) {
        match data.shape() {
            DataShape::Rate | DataShape::RateArray => {
                rate::set(&mut self.words[at..at + RATE_WORDS], self.now_ms, value);
            }
            DataShape::Counter64 => self.words[at] = value,
            DataShape::Counter | DataShape::Array => self.words[at] = u64::from(value as u32),
            DataShape::ServerKey => {}
        }
    }

    /// A stored number as it is; `None`: the table does not store that, or it is a rate.
    pub fn number(&self, data: DataType, index: u32) -> Option<u64> {
        let (data, at, _) = self.layout.exact(data, index)?;
        match data.shape() {
            DataShape::Counter | DataShape::Counter64 | DataShape::Array => Some(self.words[at]),
            DataShape::Rate | DataShape::RateArray | DataShape::ServerKey => None,
        }
    }

    /// Stores a number that a peer told. No effect where the table does not store it.
    pub fn set_number(&mut self, data: DataType, index: u32, value: u64) {
        if let Some((data, at, _)) = self.layout.exact(data, index)
            && !matches!(data.shape(), DataShape::Rate | DataShape::RateArray)
        {
            self.store(data, at, value);
        }
    }

    /// How a rate stands; `None`: the table does not store it, or it is none.
    pub fn rate(&self, data: DataType, index: u32) -> Option<RateState> {
        let (data, at, _) = self.layout.exact(data, index)?;
        match data.shape() {
            DataShape::Rate | DataShape::RateArray => {
                Some(rate::state(&self.words[at..at + RATE_WORDS], self.now_ms))
            }
            DataShape::Counter | DataShape::Counter64 | DataShape::Array | DataShape::ServerKey => None,
        }
    }

    /// Takes over a rate as a peer has it. No effect where the table does not store it.
    pub fn set_rate(&mut self, data: DataType, index: u32, state: RateState) {
        if let Some((data, at, _)) = self.layout.exact(data, index)
            && matches!(data.shape(), DataShape::Rate | DataShape::RateArray)
        {
            rate::restore(&mut self.words[at..at + RATE_WORDS], self.now_ms, state);
        }
    }

    /// Stores the key of a server alone.
    pub fn set_server_key(&mut self, key: &str) {
        if let Some((_, at, _)) = self.layout.exact(DataType::ServerKey, 0) {
            self.words[at] = self.layout.server_key_number(key);
        }
    }

    /// The server stored by `stick`: its `id` of the configuration; 0 is none.
    pub fn server_id(&self) -> u32 {
        self.get(DataType::ServerId, 0).unwrap_or(0) as u32
    }

    /// The key of the server stored by `stick`: its name, or its address where the table says so.
    pub fn server_key(&self) -> Option<Arc<str>> {
        self.layout.server_key(self.get(DataType::ServerKey, 0)?)
    }

    /// Stores the server that a key sticks to.
    pub fn set_server(&mut self, id: u32, key: &str) {
        self.set(DataType::ServerId, 0, u64::from(id));
        self.set_server_key(key);
    }
}
