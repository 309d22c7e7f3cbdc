//! One stream's state (RFC 9113 §5.1), and the table of those that a connection has.

use crate::fields::Fields;
use crate::frame::Reason;
use std::collections::VecDeque;
use std::task::Waker;

/// Names a stream for as long as it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamKey(pub(crate) u32);

/// How a stream ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The peer said so.
    Theirs(Reason),
    /// We said so.
    Ours(Reason),
    /// Its connection ended.
    Lost,
}

#[derive(Debug, Default)]
pub struct Stream {
    pub id: u32,
    /// Somebody has its key.
    pub is_held: bool,
    /// Counts among the streams that are open.
    pub is_open: bool,
    pub cut: Option<Cut>,

    /// DATA that was not read yet, from `read` on.
    pub received: Vec<u8>,
    pub read: usize,
    /// END_STREAM came.
    pub is_received: bool,
    /// What the peer may still send.
    pub receive_window: i64,
    /// What was read and not given back to the peer's window.
    pub owed: u32,
    /// What `content-length` says of the DATA still to come.
    pub expected: Option<u64>,
    /// Heads of responses, interim ones first.
    pub heads: VecDeque<Fields>,
    /// The final head of the response came.
    pub has_head: bool,
    /// The response has no body whatever its `content-length` says.
    pub is_bodiless: bool,
    pub trailers: Option<Box<Fields>>,

    /// What we may still send; below 0 when the peer has made its windows smaller.
    pub send_window: i64,
    /// END_STREAM went out.
    pub is_sent: bool,
    /// Waits for the connection's window or for room in the output.
    pub is_waiting: bool,

    /// Somebody has looked at it.
    pub is_seen: bool,
    /// The peer reset it before anybody did.
    pub is_unseen_reset: bool,
    /// The task that reads and writes this.
    pub waker: Option<Waker>,
}

impl Stream {
    pub fn unread(&self) -> &[u8] {
        &self.received[self.read..]
    }

    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Remembers the task; the last one to ask is the one that is woken.
    pub fn park(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    pub fn is_over(&self) -> bool {
        self.cut.is_some() || (self.is_received && self.is_sent)
    }
}

/// Places that a connection without streams keeps.
const KEPT: usize = 4;

/// The streams of a connection.
#[derive(Debug, Default)]
pub struct Streams {
    slots: Vec<Stream>,
    free: Vec<u32>,
    /// Streams that are open, by number: new ones have the highest.
    ids: Vec<(u32, u32)>,
    /// Streams that have ended since this was asked last.
    ended: u32,
}

impl Streams {
    pub fn get(&self, key: StreamKey) -> &Stream {
        &self.slots[key.0 as usize]
    }

    pub fn get_mut(&mut self, key: StreamKey) -> &mut Stream {
        &mut self.slots[key.0 as usize]
    }

    /// The same for a key that may be an old one.
    pub fn try_get_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots.get_mut(key.0 as usize)
    }

    /// The stream of that number, where it is open.
    pub fn find(&self, id: u32) -> Option<StreamKey> {
        let place = self.ids.binary_search_by_key(&id, |entry| entry.0).ok()?;
        Some(StreamKey(self.ids[place].1))
    }

    /// Opens a stream; `stream.id` is above all others.
    pub fn insert(&mut self, mut stream: Stream) -> StreamKey {
        stream.is_held = true;
        stream.is_open = true;
        let id = stream.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = stream;
                slot
            }
            None => {
                self.slots.push(stream);
                self.slots.len() as u32 - 1
            }
        };
        self.ids.push((id, slot));
        StreamKey(slot)
    }

    /// Closes a stream that is over, and forgets it when nobody holds it.
    pub fn settle(&mut self, key: StreamKey) {
        let stream = self.get_mut(key);
        if stream.is_open && stream.is_over() {
            stream.is_open = false;
            let id = stream.id;
            if let Ok(place) = self.ids.binary_search_by_key(&id, |entry| entry.0) {
                self.ids.remove(place);
                self.ended += 1;
            }
        }
        let stream = self.get_mut(key);
        if !stream.is_open && !stream.is_held {
            *stream = Stream::default();
            self.free.push(key.0);
        }
        if self.free.len() == self.slots.len() && self.slots.len() > KEPT {
            // Nothing is left: an idle connection is a small one.
            *self = Streams { ended: self.ended, ..Streams::default() };
        }
    }

    /// How many have ended since this was asked last.
    pub fn take_ended(&mut self) -> u32 {
        std::mem::take(&mut self.ended)
    }

    /// Those that are open.
    pub fn open_count(&self) -> usize {
        self.ids.len()
    }

    pub fn open_keys(&self) -> impl Iterator<Item = StreamKey> {
        self.ids.iter().map(|entry| StreamKey(entry.1))
    }

    /// Those that somebody holds, open or not.
    pub fn held_count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn for_each_open(&mut self, mut visit: impl FnMut(&mut Stream)) {
        for (_, slot) in &self.ids {
            visit(&mut self.slots[*slot as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_only_when_nobody_holds_it() {
        let mut streams = Streams::default();
        let one = streams.insert(Stream { id: 1, ..Stream::default() });
        let three = streams.insert(Stream { id: 3, ..Stream::default() });
        assert_eq!((streams.find(1), streams.find(3), streams.find(2)), (Some(one), Some(three), None));
        streams.get_mut(one).cut = Some(Cut::Lost);
        streams.settle(one);
        assert_eq!((streams.find(1), streams.open_count(), streams.held_count()), (None, 1, 2));
        streams.get_mut(one).is_held = false;
        streams.settle(one);
        assert_eq!(streams.insert(Stream { id: 5, ..Stream::default() }), one);
        assert_eq!((streams.find(5), streams.held_count()), (Some(one), 2));
    }
}
