//! A connection: what both ends have said of themselves, its streams, and what waits to be sent.

mod meter;
mod receive;
mod send;
mod settings;

pub use send::{RequestHead, SendError};

use crate::fields::Fields;
use crate::frame::{self, Reason, WINDOW_MAX, flag, kind};
use crate::hpack::Decoder;
use crate::streams::{Cut, StreamKey, Streams};
use meter::Meter;
use receive::Input;
use settings::Theirs;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Streams that we reset and still remember, so that late frames are told from wrong ones.
const REMEMBERED_RESETS_MAX: usize = 256;

/// Streams that break the protocol before the connection is closed (CVE-2019-9514, CVE-2025-8671).
const BROKEN_STREAMS_MAX: u32 = 512;

/// Bytes that wait for the transport: beyond it streams are told to wait.
const OUTPUT_MAX: usize = 128 * 1024;

/// What may wait beyond that: answers to what the peer says, which is read all the while. Two ends that read nothing
/// until they have written would wait for each other.
const ANSWERS_MAX: usize = 128 * 1024;

/// What a connection without streams keeps of its output buffer.
const OUTPUT_KEPT: usize = 4 * 1024;

/// The PING behind the first GOAWAY: what comes back tells that the peer has read both.
const FAREWELL: [u8; 8] = *b"farewell";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// What we say in SETTINGS, and hold the peer to.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of the table that the peer's encoder may fill.
    pub header_table_size: u32,
    /// Streams that the peer may have open.
    pub max_concurrent_streams: u32,
    /// Unread bytes of a stream.
    pub initial_window_size: u32,
    /// Unread bytes of all streams.
    pub connection_window: u32,
    /// Bytes of a frame.
    pub max_frame_size: u32,
    /// Bytes of a header list.
    pub max_header_list_size: u32,
}

/// A stream that a client opened; what it asks for is in [`Connection::fields`] until more is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    pub stream: StreamKey,
    /// Nothing follows its head.
    pub ends: bool,
}

/// What a connection has counted since it was asked last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that came, CONTINUATION not among them.
    pub headers: u32,
    pub data: u32,
    pub settings: u32,
    pub resets: u32,
    pub goaways: u32,
    /// What the peer did against the protocol: to the connection, to a stream.
    pub connection_errors: u32,
    pub stream_errors: u32,
    /// RST_STREAM for what the peer did, and GOAWAY.
    pub resets_sent: u32,
    pub goaways_sent: u32,
    /// Streams that began, and that ended.
    pub streams_begun: u32,
    pub streams_ended: u32,
}

/// Why a stream can be neither read nor written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamError {
    /// The peer ended it with this code.
    Reset(Reason),
    /// We ended it, since the peer broke the protocol.
    Broken(Reason),
    /// The connection is gone, or this direction has ended.
    Closed,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    bounds: Bounds,
    theirs: Theirs,
    /// The peer has confirmed our SETTINGS.
    is_confirmed: bool,
    decoder: Decoder,
    fields: Fields,
    input: Input,
    meter: Meter,
    counts: Counts,

    streams: Streams,
    /// The highest number of a peer's stream so far.
    last_id: u32,
    /// The number of our next stream.
    next_id: u32,
    resets: VecDeque<u32>,
    broken: u32,

    receive_window: i64,
    owed: u32,
    send_window: i64,
    /// Streams that wait for `send_window` or for room in `output`, the first to be served first.
    waiting: Vec<StreamKey>,

    output: Vec<u8>,
    /// Of `output`, what the transport has taken.
    sent: usize,
    /// The peer's encoder has to hear that we keep no table.
    announces_table: bool,

    farewell: Farewell,
    /// The last of our streams that the peer looks at.
    peer_leaves: Option<u32>,
    is_lost: bool,
    /// Tasks that wait for the peer's first SETTINGS, or for the end.
    settings_wakers: Vec<Waker>,
}

/// How far GOAWAY has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    None,
    /// Said that it ends, without a number: what is on its way is still taken.
    Announced,
    /// New streams are refused.
    Said,
    /// Ended at once.
    Aborted,
}

impl Connection {
    /// Says SETTINGS, and as a client the preface before them.
    pub fn new(role: Role, mut bounds: Bounds, now: Instant) -> Connection {
        // None of these can be made smaller than it is without SETTINGS.
        bounds.connection_window = bounds.connection_window.clamp(frame::DEFAULT_WINDOW, WINDOW_MAX);
        bounds.max_frame_size = bounds.max_frame_size.clamp(frame::DEFAULT_FRAME_SIZE, frame::FRAME_SIZE_MAX);
        bounds.initial_window_size = bounds.initial_window_size.min(WINDOW_MAX);
        let mut connection = Connection {
            role,
            bounds,
            theirs: Theirs::default(),
            is_confirmed: false,
            decoder: Decoder::default(),
            fields: Fields::default(),
            input: Input::new(role),
            meter: Meter::new(now),
            counts: Counts::default(),
            streams: Streams::default(),
            last_id: 0,
            next_id: 1,
            resets: VecDeque::new(),
            broken: 0,
            receive_window: bounds.connection_window.into(),
            owed: 0,
            send_window: i64::from(frame::DEFAULT_WINDOW),
            waiting: Vec::new(),
            output: Vec::new(),
            sent: 0,
            announces_table: false,
            farewell: Farewell::None,
            peer_leaves: None,
            is_lost: false,
            settings_wakers: Vec::new(),
        };
        connection.greet();
        connection
    }

    fn greet(&mut self) {
        if self.role == Role::Client {
            self.output.extend_from_slice(frame::PREFACE);
        }
        settings::announce(&self.bounds, self.role, &mut self.output);
        let more = self.bounds.connection_window.saturating_sub(frame::DEFAULT_WINDOW);
        if more > 0 {
            frame::put(&mut self.output, kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
        }
    }

    /// What the stream that was opened last asks for.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// What waits for the transport.
    pub fn output(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The transport took so many bytes of [`Connection::output`].
    pub fn consume_output(&mut self, count: usize) {
        self.sent += count;
        if self.sent >= self.output.len() {
            self.sent = 0;
            self.output.clear();
            if self.streams.open_count() == 0 && self.output.capacity() > OUTPUT_KEPT {
                self.output = Vec::new();
            }
        }
        if count > 0 && self.send_window > 0 && self.has_room() {
            self.wake_waiting();
        }
    }

    /// Whether more should be read: not from a peer that asks for answers and does not read them.
    pub fn takes_input(&self) -> bool {
        self.output().len() < OUTPUT_MAX + ANSWERS_MAX
    }

    fn has_room(&self) -> bool {
        self.output().len() < OUTPUT_MAX
    }

    fn wake_waiting(&mut self) {
        for key in std::mem::take(&mut self.waiting) {
            // A place may belong to another stream by now: it asks once too often.
            if let Some(stream) = self.streams.try_get_mut(key) {
                stream.is_waiting = false;
                stream.wake();
            }
        }
    }

    /// What was counted since this was asked last.
    pub fn take_counts(&mut self) -> Counts {
        let ended = self.streams.take_ended();
        Counts { streams_ended: ended, ..std::mem::take(&mut self.counts) }
    }

    /// Streams that are open.
    pub fn open_count(&self) -> usize {
        self.streams.open_count()
    }

    /// Streams whose keys somebody has.
    pub fn held_count(&self) -> usize {
        self.streams.held_count()
    }

    /// Whether both sides have said all that they will.
    pub fn is_over(&self) -> bool {
        match self.farewell {
            _ if self.is_lost => true,
            Farewell::Aborted => self.output().is_empty(),
            Farewell::Said => self.streams.open_count() == 0 && self.output().is_empty(),
            Farewell::None | Farewell::Announced => {
                self.peer_leaves.is_some() && self.streams.open_count() == 0 && self.output().is_empty()
            }
        }
    }

    /// Whether we may open a stream, as far as the peer has said.
    pub fn takes_streams(&self) -> bool {
        !self.is_lost
            && self.farewell == Farewell::None
            && self.peer_leaves.is_none()
            && self.next_id < WINDOW_MAX
            && self.streams.open_count() < self.theirs.max_concurrent_streams as usize
    }

    /// Whether the transport has ended.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Streams that the peer lets us have open.
    pub fn streams_max(&self) -> u32 {
        self.theirs.max_concurrent_streams
    }

    /// Whether the peer will look at no more streams than it has.
    pub fn is_leaving(&self) -> bool {
        self.is_lost || self.farewell != Farewell::None || self.peer_leaves.is_some()
    }

    /// Whether the peer takes extended CONNECT (RFC 8441 §3): known when its first SETTINGS have come.
    pub fn poll_connect_protocol(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if self.theirs.came || self.is_lost {
            return Poll::Ready(self.theirs.connect_protocol);
        }
        if !self.settings_wakers.iter().any(|known| known.will_wake(context.waker())) {
            self.settings_wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Tells the peer to open no more streams; those that are on their way are served still.
    pub fn leave(&mut self) {
        if self.farewell == Farewell::None {
            self.farewell = Farewell::Announced;
            self.put_goaway(WINDOW_MAX, Reason::NO_ERROR);
            frame::put(&mut self.output, kind::PING, 0, 0, &FAREWELL);
        }
    }

    /// The peer has read the first GOAWAY.
    fn farewell_was_heard(&mut self) {
        if self.farewell == Farewell::Announced {
            self.farewell = Farewell::Said;
            self.put_goaway(self.last_id, Reason::NO_ERROR);
        }
    }

    /// Ends everything at once, saying why.
    pub fn abort(&mut self, reason: Reason) {
        if self.farewell != Farewell::Aborted && !self.is_lost {
            self.put_goaway(self.last_id, reason);
            self.farewell = Farewell::Aborted;
            self.cut_all();
        }
    }

    /// The transport has ended.
    pub fn lose(&mut self) {
        self.is_lost = true;
        self.cut_all();
        self.settings_wakers.drain(..).for_each(Waker::wake);
    }

    fn cut_all(&mut self) {
        let keys: Vec<StreamKey> = self.streams.open_keys().collect();
        for key in keys {
            let stream = self.streams.get_mut(key);
            stream.cut = Some(Cut::Lost);
            stream.wake();
            self.streams.settle(key);
        }
    }

    fn put_goaway(&mut self, last: u32, reason: Reason) {
        self.counts.goaways_sent += 1;
        let mut payload = [0; 8];
        payload[..4].copy_from_slice(&last.to_be_bytes());
        payload[4..].copy_from_slice(&reason.0.to_be_bytes());
        frame::put(&mut self.output, kind::GOAWAY, 0, 0, &payload);
    }

    fn put_reset(&mut self, id: u32, reason: Reason) {
        frame::put(&mut self.output, kind::RST_STREAM, 0, id, &reason.0.to_be_bytes());
        if self.resets.len() == REMEMBERED_RESETS_MAX {
            self.resets.pop_front();
        }
        self.resets.push_back(id);
    }

    /// The peer broke the protocol on a stream.
    fn break_stream(&mut self, id: u32, reason: Reason) -> Result<(), Reason> {
        self.count_broken()?;
        self.counts.resets_sent += 1;
        self.put_reset(id, reason);
        if let Some(key) = self.streams.find(id) {
            self.cut(key, Cut::Ours(reason));
        }
        Ok(())
    }

    fn count_broken(&mut self) -> Result<(), Reason> {
        self.counts.stream_errors += 1;
        self.broken += 1;
        if self.broken > BROKEN_STREAMS_MAX { Err(Reason::ENHANCE_YOUR_CALM) } else { Ok(()) }
    }

    fn cut(&mut self, key: StreamKey, cut: Cut) {
        let stream = self.streams.get_mut(key);
        stream.cut = Some(cut);
        stream.wake();
        let unread = stream.unread().len();
        stream.received = Vec::new();
        stream.read = 0;
        self.give_back(unread);
        self.streams.settle(key);
    }

    /// DATA was taken: the connection's window opens again.
    fn give_back(&mut self, count: usize) {
        self.owed += count as u32;
        if self.owed >= self.bounds.connection_window / 2 && self.owed > 0 {
            frame::put(&mut self.output, kind::WINDOW_UPDATE, 0, 0, &self.owed.to_be_bytes());
            self.receive_window += i64::from(self.owed);
            self.owed = 0;
        }
    }

    /// END_STREAM, where nothing follows.
    fn end_flag(ends: bool) -> u8 {
        if ends { flag::END_STREAM } else { 0 }
    }
}
