//! What frames do (RFC 9113 §6, §8.1).

use super::{Connection, FAREWELL, Farewell, Opened, Role};
use crate::frame::{self, FrameHead, HEADER_LEN, PREFACE, Reason, WINDOW_MAX, flag, kind};
use crate::hpack::{Undecodable, encoder};
use crate::streams::{Cut, Stream, StreamKey};
use std::task::Waker;
use std::time::Instant;

/// Pieces that a header block may come in (CVE-2024-27316 and its like).
const CONTINUATIONS_MAX: u32 = 64;

/// Interim responses that nobody has read yet.
const INTERIM_MAX: usize = 16;

/// Streams that the peer reset before anybody looked at them: more of them close the connection (CVE-2023-44487).
const UNSEEN_RESETS_MAX: u32 = 50;

/// Bytes of a frame that came in pieces, whose buffer is kept.
const HELD_KEPT: usize = 1024;

/// Where the reading stands.
#[derive(Debug)]
pub struct Input {
    /// Bytes of the preface that are still to come.
    preface: usize,
    /// The first frame has not come.
    begins: bool,
    /// The beginning of a frame.
    held: Vec<u8>,
    data: Option<Data>,
    block: Option<Block>,
    unseen_resets: u32,
}

/// A DATA frame whose payload is on its way.
#[derive(Debug, Clone, Copy)]
struct Data {
    stream: u32,
    body: usize,
    padding: usize,
    ends: bool,
}

/// A header block in pieces.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends: bool,
    depends_on_itself: bool,
    bytes: Vec<u8>,
    pieces: u32,
}

impl Input {
    pub fn new(role: Role) -> Input {
        Input {
            preface: if role == Role::Server { PREFACE.len() } else { 0 },
            begins: true,
            held: Vec::new(),
            data: None,
            block: None,
            unseen_resets: 0,
        }
    }
}

impl Connection {
    /// Takes bytes of the connection, in pieces of any size, until a stream has opened or none are left.
    ///
    /// # Errors
    /// What the connection has been ended for; GOAWAY is in the output.
    pub fn receive(&mut self, input: &mut &[u8], now: Instant) -> Result<Option<Opened>, Reason> {
        if self.farewell == Farewell::Aborted || self.is_lost {
            *input = &[];
            return Ok(None);
        }
        let received = self.advance(input, now);
        if let Err(reason) = received {
            *input = &[];
            self.counts.connection_errors += 1;
            self.abort(reason);
        }
        received
    }

    fn advance(&mut self, input: &mut &[u8], now: Instant) -> Result<Option<Opened>, Reason> {
        while !input.is_empty() {
            if self.input.preface > 0 {
                self.preface(input)?;
            } else if self.input.data.is_some() {
                self.data(input)?;
            } else if let Some(opened) = self.frames(input, now)? {
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }

    fn preface(&mut self, input: &mut &[u8]) -> Result<(), Reason> {
        let wanted = &PREFACE[PREFACE.len() - self.input.preface..];
        let count = wanted.len().min(input.len());
        if wanted[..count] != input[..count] {
            return Err(Reason::PROTOCOL_ERROR);
        }
        self.input.preface -= count;
        *input = &input[count..];
        Ok(())
    }

    /// One frame, or the beginning of one.
    fn frames(&mut self, input: &mut &[u8], now: Instant) -> Result<Option<Opened>, Reason> {
        if !self.input.held.is_empty() {
            return self.held_frame(input, now);
        }
        let Some(head) = input.first_chunk::<HEADER_LEN>().map(FrameHead::parse) else {
            return Ok(self.hold(input, HEADER_LEN));
        };
        self.judge(head)?;
        let needed = needed(head);
        let Some(payload) = input.get(HEADER_LEN..needed) else { return Ok(self.hold(input, needed)) };
        *input = &input[needed..];
        self.frame(head, payload, now)
    }

    /// Keeps what there is of the first `needed` bytes.
    fn hold<T>(&mut self, input: &mut &[u8], needed: usize) -> Option<T> {
        let count = (needed - self.input.held.len()).min(input.len());
        self.input.held.extend_from_slice(&input[..count]);
        *input = &input[count..];
        None
    }

    fn held_frame(&mut self, input: &mut &[u8], now: Instant) -> Result<Option<Opened>, Reason> {
        let Some(head) = self.input.held.first_chunk::<HEADER_LEN>().map(FrameHead::parse) else {
            self.hold::<()>(input, HEADER_LEN);
            if let Some(head) = self.input.held.first_chunk::<HEADER_LEN>().map(FrameHead::parse) {
                self.judge(head)?;
                return self.whole_frame(head, now);
            }
            return Ok(None);
        };
        self.hold::<()>(input, needed(head));
        self.whole_frame(head, now)
    }

    /// Takes what is held, if it is a frame by now.
    fn whole_frame(&mut self, head: FrameHead, now: Instant) -> Result<Option<Opened>, Reason> {
        if self.input.held.len() < needed(head) {
            return Ok(None);
        }
        let mut held = std::mem::take(&mut self.input.held);
        let opened = self.frame(head, &held[HEADER_LEN..], now);
        if held.capacity() <= HELD_KEPT {
            held.clear();
            self.input.held = held;
        }
        opened
    }

    /// What a frame header says already.
    fn judge(&mut self, head: FrameHead) -> Result<(), Reason> {
        // RFC 9113 §3.4: SETTINGS follow the preface.
        if self.input.begins && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        if head.length > self.bounds.max_frame_size as usize || !head.has_right_size() {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        let continues = self.input.block.as_ref().map(|block| block.stream);
        if (head.kind == kind::CONTINUATION || continues.is_some())
            && (head.kind != kind::CONTINUATION || continues != Some(head.stream))
        {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let is_of_connection = match head.kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => true,
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM => false,
            // Nobody is promised anything: a client has nothing to push, a server was told not to.
            kind::PUSH_PROMISE => return Err(Reason::PROTOCOL_ERROR),
            _ => return Ok(()),
        };
        if is_of_connection == (head.stream == 0) { Ok(()) } else { Err(Reason::PROTOCOL_ERROR) }
    }

    fn frame(&mut self, head: FrameHead, payload: &[u8], now: Instant) -> Result<Option<Opened>, Reason> {
        let begins = std::mem::take(&mut self.input.begins);
        match head.kind {
            kind::DATA => {
                self.counts.data += 1;
                self.begin_data(head, payload, now)?;
            }
            kind::HEADERS => {
                self.counts.headers += 1;
                return self.headers(head, payload, now);
            }
            kind::CONTINUATION => return self.continuation(head, payload, now),
            kind::SETTINGS => {
                if !begins {
                    self.meter.count(now)?;
                }
                self.counts.settings += 1;
                self.settings(head, payload)?;
            }
            kind::WINDOW_UPDATE => self.window_update(head.stream, word(payload, 0) & WINDOW_MAX)?,
            kind::RST_STREAM => {
                self.meter.count(now)?;
                self.counts.resets += 1;
                self.reset_came(head.stream, Reason(word(payload, 0)))?;
            }
            kind::PING => {
                self.meter.count(now)?;
                if !head.has(flag::ACK) {
                    frame::put(&mut self.output, kind::PING, flag::ACK, 0, payload);
                } else if payload == FAREWELL {
                    self.farewell_was_heard();
                }
            }
            kind::PRIORITY => {
                self.meter.count(now)?;
                // Priorities are advice that is not followed; a stream cannot depend on itself.
                if word(payload, 0) & WINDOW_MAX == head.stream && self.streams.find(head.stream).is_some() {
                    self.break_stream(head.stream, Reason::PROTOCOL_ERROR)?;
                }
            }
            kind::GOAWAY => {
                self.counts.goaways += 1;
                self.goaway_came(word(payload, 0) & WINDOW_MAX);
            }
            _ => self.meter.count(now)?,
        }
        Ok(None)
    }

    /// Whether nobody has opened that stream yet.
    fn is_idle(&self, id: u32) -> bool {
        let is_ours = id % 2 == 1 && self.role == Role::Client;
        let is_theirs = id % 2 == 1 && self.role == Role::Server;
        !(is_ours && id < self.next_id || is_theirs && id <= self.last_id)
    }

    fn begin_data(&mut self, head: FrameHead, payload: &[u8], now: Instant) -> Result<(), Reason> {
        let id = head.stream;
        if self.is_idle(id) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        // Of a padded frame the length of the padding is here, the rest follows.
        let overhead = payload.first().map_or(0, |padding| usize::from(*padding) + 1);
        let body = head.length.checked_sub(overhead).ok_or(Reason::PROTOCOL_ERROR)?;
        self.receive_window -= head.length as i64;
        if self.receive_window < 0 {
            return Err(Reason::FLOW_CONTROL_ERROR);
        }
        self.give_back(overhead);
        let ends = head.has(flag::END_STREAM);
        if body == 0 && !ends {
            self.meter.count(now)?;
        }
        match self.streams.find(id) {
            Some(key) => {
                let stream = self.streams.get_mut(key);
                stream.receive_window -= head.length as i64;
                stream.owed += overhead as u32;
                let expected = stream.expected.map(|expected| expected.checked_sub(body as u64));
                let broken = if stream.is_received {
                    Some(Reason::STREAM_CLOSED)
                } else if stream.receive_window < 0 {
                    Some(Reason::FLOW_CONTROL_ERROR)
                } else if expected == Some(None) || (self.role == Role::Client && !stream.has_head) {
                    Some(Reason::PROTOCOL_ERROR)
                } else {
                    stream.expected = expected.flatten();
                    None
                };
                if let Some(reason) = broken {
                    self.break_stream(id, reason)?;
                }
            }
            None => {
                self.meter.count(now)?;
                if !self.resets.contains(&id) {
                    self.break_stream(id, Reason::STREAM_CLOSED)?;
                }
            }
        }
        let padding = overhead.saturating_sub(1);
        self.input.data = Some(Data { stream: id, body, padding, ends });
        self.end_data()
    }

    fn data(&mut self, input: &mut &[u8]) -> Result<(), Reason> {
        let Some(data) = &mut self.input.data else { return Ok(()) };
        let (body, rest) = input.split_at(data.body.min(input.len()));
        let padding = data.padding.min(rest.len());
        *input = &rest[padding..];
        data.body -= body.len();
        data.padding -= padding;
        if !body.is_empty() {
            match self.streams.find(data.stream) {
                Some(key) => {
                    let stream = self.streams.get_mut(key);
                    stream.received.extend_from_slice(body);
                    stream.wake();
                }
                // Reset meanwhile, by either side.
                None => self.give_back(body.len()),
            }
        }
        self.end_data()
    }

    fn end_data(&mut self) -> Result<(), Reason> {
        let Some(data) = self.input.data.take_if(|data| data.body + data.padding == 0) else { return Ok(()) };
        match self.streams.find(data.stream) {
            Some(key) if data.ends => self.end_received(key),
            _ => Ok(()),
        }
    }

    fn end_received(&mut self, key: StreamKey) -> Result<(), Reason> {
        let stream = self.streams.get_mut(key);
        if stream.expected.is_some_and(|expected| expected > 0) {
            let id = stream.id;
            return self.break_stream(id, Reason::PROTOCOL_ERROR);
        }
        stream.is_received = true;
        stream.wake();
        self.streams.settle(key);
        Ok(())
    }

    fn headers(
        &mut self,
        head: FrameHead,
        mut payload: &[u8],
        now: Instant,
    ) -> Result<Option<Opened>, Reason> {
        if head.has(flag::PADDED) {
            let (padding, rest) = payload.split_first().ok_or(Reason::PROTOCOL_ERROR)?;
            let length = rest.len().checked_sub(usize::from(*padding)).ok_or(Reason::PROTOCOL_ERROR)?;
            payload = &rest[..length];
        }
        let mut depends_on_itself = false;
        if head.has(flag::PRIORITY) {
            let (priority, rest) = payload.split_at_checked(5).ok_or(Reason::FRAME_SIZE_ERROR)?;
            depends_on_itself = word(priority, 0) & WINDOW_MAX == head.stream;
            payload = rest;
        }
        let ends = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.block(head.stream, ends, depends_on_itself, payload, now);
        }
        let bytes = payload.to_vec();
        self.input.block = Some(Block { stream: head.stream, ends, depends_on_itself, bytes, pieces: 1 });
        Ok(None)
    }

    fn continuation(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Opened>, Reason> {
        let block = self.input.block.as_mut().ok_or(Reason::PROTOCOL_ERROR)?;
        block.pieces += 1;
        // No list that is short enough has a block longer than itself.
        let length_max = 2 * self.bounds.max_header_list_size as usize + self.bounds.max_frame_size as usize;
        if block.pieces > CONTINUATIONS_MAX || block.bytes.len() + payload.len() > length_max {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        block.bytes.extend_from_slice(payload);
        if !head.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let Some(Block { stream, ends, depends_on_itself, bytes, .. }) = self.input.block.take() else {
            return Ok(None);
        };
        self.block(stream, ends, depends_on_itself, &bytes, now)
    }

    /// A whole header block.
    fn block(
        &mut self,
        id: u32,
        ends: bool,
        depends_on_itself: bool,
        block: &[u8],
        now: Instant,
    ) -> Result<Option<Opened>, Reason> {
        self.fields.clear();
        let fits = self
            .decoder
            .decode(block, self.bounds.max_header_list_size as usize, &mut self.fields)
            .map_err(|Undecodable| Reason::COMPRESSION_ERROR)?;
        let is_new = self.is_idle(id);
        if id.is_multiple_of(2) || (is_new && self.role == Role::Client) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        if is_new {
            return self.request(id, ends, depends_on_itself, fits, now);
        }
        let Some(key) = self.streams.find(id) else {
            self.meter.count(now)?;
            return if self.resets.contains(&id) { Ok(None) } else { Err(Reason::STREAM_CLOSED) };
        };
        let stream = self.streams.get(key);
        if stream.is_received {
            self.break_stream(id, Reason::STREAM_CLOSED)?;
        } else if self.role == Role::Client && !stream.has_head {
            self.response(key, ends, fits)?;
        } else if depends_on_itself || !ends || !fits || !self.fields.are_trailers() {
            self.break_stream(id, Reason::PROTOCOL_ERROR)?;
        } else {
            if !self.fields.is_empty() {
                self.streams.get_mut(key).trailers = Some(Box::new(self.fields.clone()));
            }
            self.end_received(key)?;
        }
        Ok(None)
    }

    fn request(
        &mut self,
        id: u32,
        ends: bool,
        depends_on_itself: bool,
        fits: bool,
        now: Instant,
    ) -> Result<Option<Opened>, Reason> {
        self.last_id = id;
        if self.streams.open_count() >= self.bounds.max_concurrent_streams as usize
            || self.farewell == Farewell::Said
        {
            self.meter.count(now)?;
            self.counts.resets_sent += 1;
            self.put_reset(id, Reason::REFUSED_STREAM);
            return Ok(None);
        }
        if !fits {
            return self.refuse_long_list(id, ends).map(|()| None);
        }
        let is_tunnel = self.fields.pseudo(crate::Pseudo::Method) == Some(b"CONNECT");
        let expected = self.fields.content_length().filter(|_| !is_tunnel);
        let is_right = self.fields.is_request() && !(ends && expected.is_some_and(|length| length > 0));
        if depends_on_itself || !is_right {
            return self.break_stream(id, Reason::PROTOCOL_ERROR).map(|()| None);
        }
        self.counts.streams_begun += 1;
        let stream = self.streams.insert(Stream {
            id,
            is_received: ends,
            expected,
            ..Stream::new(self.initial_receive_window(), self.theirs.initial_window_size)
        });
        Ok(Some(Opened { stream, ends }))
    }

    /// Until the peer has confirmed our SETTINGS, it may not know them.
    pub(super) fn initial_receive_window(&self) -> i64 {
        let ours = self.bounds.initial_window_size;
        i64::from(if self.is_confirmed { ours } else { ours.max(frame::DEFAULT_WINDOW) })
    }

    /// Answers 431 (RFC 6585 §5) to a list that nobody holds.
    fn refuse_long_list(&mut self, id: u32, ends: bool) -> Result<(), Reason> {
        self.count_broken()?;
        let mut block = Vec::with_capacity(8);
        encoder::status(431, &mut block);
        let flags = flag::END_HEADERS | flag::END_STREAM;
        frame::put(&mut self.output, kind::HEADERS, flags, id, &block);
        if !ends {
            self.put_reset(id, Reason::NO_ERROR);
        }
        Ok(())
    }

    fn response(&mut self, key: StreamKey, ends: bool, fits: bool) -> Result<(), Reason> {
        let stream = self.streams.get_mut(key);
        let id = stream.id;
        let status = self.fields.status().filter(|_| fits && self.fields.is_response());
        let Some(status) = status else { return self.break_stream(id, Reason::PROTOCOL_ERROR) };
        if status < 200 {
            if ends || status == 101 || stream.heads.len() == INTERIM_MAX {
                return self.break_stream(id, Reason::PROTOCOL_ERROR);
            }
        } else {
            stream.has_head = true;
            let has_body = !stream.is_bodiless && !matches!(status, 204 | 304);
            stream.expected = self.fields.content_length().filter(|_| has_body);
        }
        stream.heads.push_back(std::mem::take(&mut self.fields));
        stream.wake();
        if ends { self.end_received(key) } else { Ok(()) }
    }

    fn settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Reason> {
        if head.has(flag::ACK) {
            self.is_confirmed = true;
            self.decoder.set_ceiling(self.bounds.header_table_size as usize);
            return Ok(());
        }
        let before = self.theirs;
        self.theirs.take(payload)?;
        let change = i64::from(self.theirs.initial_window_size) - i64::from(before.initial_window_size);
        let mut is_too_large = false;
        if change != 0 {
            self.streams.for_each_open(|stream| {
                stream.send_window += change;
                is_too_large |= stream.send_window > i64::from(WINDOW_MAX);
                stream.wake();
            });
        }
        if is_too_large {
            return Err(Reason::FLOW_CONTROL_ERROR);
        }
        self.announces_table |= self.theirs.header_table_size < before.header_table_size;
        frame::put(&mut self.output, kind::SETTINGS, flag::ACK, 0, &[]);
        self.settings_wakers.drain(..).for_each(Waker::wake);
        Ok(())
    }

    fn window_update(&mut self, id: u32, increment: u32) -> Result<(), Reason> {
        if id == 0 {
            self.send_window += i64::from(increment);
            if increment == 0 {
                return Err(Reason::PROTOCOL_ERROR);
            }
            if self.send_window > i64::from(WINDOW_MAX) {
                return Err(Reason::FLOW_CONTROL_ERROR);
            }
            if self.send_window > 0 && self.has_room() {
                self.wake_waiting();
            }
            return Ok(());
        }
        if self.is_idle(id) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        // On a stream that is over it was on its way.
        let Some(key) = self.streams.find(id) else { return Ok(()) };
        let stream = self.streams.get_mut(key);
        stream.send_window += i64::from(increment);
        if increment == 0 {
            return self.break_stream(id, Reason::PROTOCOL_ERROR);
        }
        if stream.send_window > i64::from(WINDOW_MAX) {
            return self.break_stream(id, Reason::FLOW_CONTROL_ERROR);
        }
        stream.wake();
        Ok(())
    }

    fn reset_came(&mut self, id: u32, reason: Reason) -> Result<(), Reason> {
        if self.is_idle(id) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let Some(key) = self.streams.find(id) else { return Ok(()) };
        let stream = self.streams.get_mut(key);
        if !stream.is_seen && self.role == Role::Server {
            stream.is_unseen_reset = true;
            self.input.unseen_resets += 1;
            if self.input.unseen_resets > UNSEEN_RESETS_MAX {
                return Err(Reason::ENHANCE_YOUR_CALM);
            }
        }
        self.cut(key, Cut::Theirs(reason));
        Ok(())
    }

    /// Somebody has looked at a stream that was reset before.
    pub(super) fn unseen_reset_was_seen(&mut self) {
        self.input.unseen_resets -= 1;
    }

    fn goaway_came(&mut self, last: u32) {
        self.peer_leaves = Some(last);
        if self.role == Role::Client {
            let keys: Vec<StreamKey> = self.streams.open_keys().collect();
            for key in keys {
                if self.streams.get(key).id > last {
                    // The peer never looked at it: it may be sent again (RFC 9113 §6.8).
                    self.cut(key, Cut::Theirs(Reason::REFUSED_STREAM));
                }
            }
        }
    }
}

/// Bytes that must be there before a frame is looked at. Of DATA only the length of its padding: the rest goes on as it
/// comes.
fn needed(head: FrameHead) -> usize {
    match head.kind {
        kind::DATA => HEADER_LEN + usize::from(head.has(flag::PADDED) && head.length > 0),
        _ => HEADER_LEN + head.length,
    }
}

/// The 32-bit number at `start`, of a payload whose length was judged.
fn word(payload: &[u8], start: usize) -> u32 {
    payload[start..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
