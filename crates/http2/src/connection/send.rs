//! What streams say and read. All of it goes into the output at once or waits for a window: nothing is kept between.

use super::{Connection, StreamError};
use crate::fields::Fields;
use crate::frame::{FrameHead, HEADER_LEN, Reason, flag, kind, put};
use crate::hpack::{Unsendable, encoder};
use crate::streams::{Cut, Stream, StreamKey};
use std::task::{Context, Poll};

/// The pseudo-header fields of a request (RFC 9113 §8.3.1, RFC 8441 §4).
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestHead<'a> {
    pub method: &'a [u8],
    pub scheme: Option<&'a [u8]>,
    pub authority: Option<&'a [u8]>,
    pub path: Option<&'a [u8]>,
    pub protocol: Option<&'a [u8]>,
}

/// Why a head was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The stream is over, or its connection.
    Closed,
    /// A field has bytes that HTTP/2 cannot carry.
    Unsendable,
}

impl From<Unsendable> for SendError {
    fn from(Unsendable: Unsendable) -> SendError {
        SendError::Unsendable
    }
}

impl RequestHead<'_> {
    fn is_sendable(&self) -> bool {
        let is_clean = |value: Option<&[u8]>| {
            value.is_none_or(|value| !value.iter().any(|byte| matches!(byte, 0..=32 | 127)))
        };
        crate::text::is_token(self.method)
            && is_clean(self.scheme)
            && is_clean(self.authority)
            && is_clean(self.path)
            && is_clean(self.protocol)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encoder::pseudo(b":method", self.method, out);
        for (name, value) in [
            (&b":protocol"[..], self.protocol),
            (b":scheme", self.scheme),
            (b":authority", self.authority),
            (b":path", self.path),
        ] {
            if let Some(value) = value {
                encoder::pseudo(name, value, out);
            }
        }
    }
}

impl Stream {
    pub(super) fn new(receive_window: i64, send_window: u32) -> Stream {
        Stream { receive_window, send_window: send_window.into(), ..Stream::default() }
    }

    fn cut_error(&self) -> Option<StreamError> {
        self.cut.map(|cut| match cut {
            Cut::Theirs(reason) => StreamError::Reset(reason),
            Cut::Ours(reason) => StreamError::Broken(reason),
            Cut::Lost => StreamError::Closed,
        })
    }
}

impl Connection {
    /// A stream that somebody looks at.
    fn seen(&mut self, key: StreamKey) -> &mut Stream {
        let stream = self.streams.get_mut(key);
        stream.is_seen = true;
        stream
    }

    /// Opens a stream to a server. `ends`: no body follows. `is_bodiless`: no response to this has a body.
    ///
    /// # Errors
    /// A field that HTTP/2 cannot carry. Whether the peer takes a stream is asked before.
    pub fn open<'f>(
        &mut self,
        head: RequestHead<'_>,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
        ends: bool,
        is_bodiless: bool,
    ) -> Result<StreamKey, Unsendable> {
        if !head.is_sendable() {
            return Err(Unsendable);
        }
        let id = self.next_id;
        self.put_headers(id, ends, |out| {
            head.encode(out);
            encode_fields(fields, out)
        })?;
        self.next_id += 2;
        self.counts.streams_begun += 1;
        let window = self.initial_receive_window();
        Ok(self.streams.insert(Stream {
            id,
            is_sent: ends,
            is_bodiless,
            is_seen: true,
            ..Stream::new(window, self.theirs.initial_window_size)
        }))
    }

    /// Says the head of a response, or of an interim one. `ends`: no body follows.
    ///
    /// # Errors
    /// The stream is over, or a field that HTTP/2 cannot carry.
    pub fn respond<'f>(
        &mut self,
        key: StreamKey,
        status: u16,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
        ends: bool,
    ) -> Result<(), SendError> {
        let stream = self.seen(key);
        if stream.is_over() || stream.is_sent {
            return Err(SendError::Closed);
        }
        let id = stream.id;
        self.put_headers(id, ends, |out| {
            encoder::status(status, out);
            encode_fields(fields, out)
        })?;
        if ends {
            self.end_sent(key);
        }
        Ok(())
    }

    /// Ends a body with trailers.
    ///
    /// # Errors
    /// A field that HTTP/2 cannot carry; the body has not ended then.
    pub fn put_trailers<'f>(
        &mut self,
        key: StreamKey,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<(), Unsendable> {
        let stream = self.streams.get(key);
        if stream.is_over() || stream.is_sent {
            return Ok(());
        }
        let id = stream.id;
        self.put_headers(id, true, |out| encode_fields(fields, out))?;
        self.end_sent(key);
        Ok(())
    }

    /// Ends a body.
    pub fn finish(&mut self, key: StreamKey) {
        let stream = self.streams.get(key);
        if !stream.is_over() && !stream.is_sent {
            let id = stream.id;
            put(&mut self.output, kind::DATA, flag::END_STREAM, id, &[]);
            self.end_sent(key);
        }
    }

    fn end_sent(&mut self, key: StreamKey) {
        self.streams.get_mut(key).is_sent = true;
        self.streams.settle(key);
    }

    /// Appends HEADERS, and CONTINUATION where the peer's frames are too small.
    fn put_headers(
        &mut self,
        id: u32,
        ends: bool,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Unsendable>,
    ) -> Result<(), Unsendable> {
        let start = self.output.len();
        self.output.extend_from_slice(&[0; HEADER_LEN]);
        if self.announces_table {
            encoder::announce_empty_table(&mut self.output);
        }
        if let Err(error) = encode(&mut self.output) {
            self.output.truncate(start);
            return Err(error);
        }
        self.announces_table = false;
        let length = self.output.len() - start - HEADER_LEN;
        let first = length.min(self.theirs.max_frame_size as usize);
        let end_headers = |is_last| if is_last { flag::END_HEADERS } else { 0 };
        let head = FrameHead {
            length: first,
            kind: kind::HEADERS,
            flags: Connection::end_flag(ends) | end_headers(first == length),
            stream: id,
        };
        self.output[start..start + HEADER_LEN].copy_from_slice(&head.bytes());
        if first < length {
            let rest = self.output.split_off(start + HEADER_LEN + first);
            let mut pieces = rest.chunks(self.theirs.max_frame_size as usize).peekable();
            while let Some(piece) = pieces.next() {
                let flags = end_headers(pieces.peek().is_none());
                put(&mut self.output, kind::CONTINUATION, flags, id, piece);
            }
        }
        Ok(())
    }

    /// Writes to a body as much as windows and output take. `last`: nothing follows `bytes`.
    ///
    /// # Errors
    /// The stream is over.
    pub fn poll_write(
        &mut self,
        key: StreamKey,
        context: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<Result<usize, StreamError>> {
        let room = super::OUTPUT_MAX.saturating_sub(self.output.len() - self.sent);
        let shared = self.send_window.min(room as i64);
        let stream = self.seen(key);
        if let Some(error) = stream.cut_error() {
            return Poll::Ready(Err(error));
        }
        if stream.is_sent {
            return Poll::Ready(Err(StreamError::Closed));
        }
        let count = stream.send_window.min(shared).clamp(0, bytes.len() as i64) as usize;
        if count == 0 && !bytes.is_empty() {
            stream.park(context.waker());
            if shared <= 0 && !stream.is_waiting {
                stream.is_waiting = true;
                self.waiting.push(key);
            }
            return Poll::Pending;
        }
        let ends = last && count == bytes.len();
        if count == 0 && !ends {
            return Poll::Ready(Ok(0));
        }
        stream.send_window -= count as i64;
        let id = stream.id;
        self.send_window -= count as i64;
        let mut rest = &bytes[..count];
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(self.theirs.max_frame_size as usize));
            rest = behind;
            let is_last = rest.is_empty();
            put(&mut self.output, kind::DATA, Connection::end_flag(ends && is_last), id, piece);
            if is_last {
                break;
            }
        }
        if ends {
            self.end_sent(key);
        }
        Poll::Ready(Ok(count))
    }

    /// Reads from a body. `Ok(0)` is its regular end.
    ///
    /// # Errors
    /// The stream was cut.
    pub fn poll_read(
        &mut self,
        key: StreamKey,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        let owed_min = self.bounds.initial_window_size / 2;
        let stream = self.seen(key);
        let unread = stream.unread();
        let count = unread.len().min(buffer.len());
        if count == 0 {
            if let Some(error) = stream.cut_error() {
                return Poll::Ready(Err(error));
            }
            if stream.is_received || buffer.is_empty() {
                return Poll::Ready(Ok(0));
            }
            stream.park(context.waker());
            return Poll::Pending;
        }
        buffer[..count].copy_from_slice(&unread[..count]);
        stream.read += count;
        if stream.read == stream.received.len() {
            stream.read = 0;
            stream.received.clear();
        }
        if !stream.is_received {
            stream.owed += count as u32;
            if stream.owed >= owed_min {
                let (id, owed) = (stream.id, std::mem::take(&mut stream.owed));
                stream.receive_window += i64::from(owed);
                put(&mut self.output, kind::WINDOW_UPDATE, 0, id, &owed.to_be_bytes());
            }
        }
        self.give_back(count);
        Poll::Ready(Ok(count))
    }

    /// The head of a response, or of an interim one before it.
    ///
    /// # Errors
    /// The stream was cut.
    pub fn poll_head(
        &mut self,
        key: StreamKey,
        context: &mut Context<'_>,
    ) -> Poll<Result<Fields, StreamError>> {
        let stream = self.streams.get_mut(key);
        if let Some(head) = stream.heads.pop_front() {
            return Poll::Ready(Ok(head));
        }
        if let Some(error) = stream.cut_error() {
            return Poll::Ready(Err(error));
        }
        stream.park(context.waker());
        Poll::Pending
    }

    /// The fields behind a body that was read to its end.
    pub fn take_trailers(&mut self, key: StreamKey) -> Option<Box<Fields>> {
        self.streams.get_mut(key).trailers.take()
    }

    /// Whether nothing of a body is left, nor behind it.
    pub fn is_read(&self, key: StreamKey) -> bool {
        let stream = self.streams.get(key);
        stream.is_received && stream.unread().is_empty() && stream.trailers.is_none()
    }

    /// Whether the stream was cut; its task is woken when it is.
    pub fn poll_cut(&mut self, key: StreamKey, context: &mut Context<'_>) -> Poll<()> {
        let stream = self.seen(key);
        if stream.cut.is_some() {
            return Poll::Ready(());
        }
        stream.park(context.waker());
        Poll::Pending
    }

    /// Ends a stream at once, in both directions.
    pub fn reset(&mut self, key: StreamKey, reason: Reason) {
        let stream = self.streams.get(key);
        if stream.is_over() {
            return;
        }
        let id = stream.id;
        self.put_reset(id, reason);
        self.cut(key, Cut::Ours(reason));
    }

    /// Nobody has the key any more. A stream that is not over is reset: the peer need not go on with it.
    pub fn release(&mut self, key: StreamKey) {
        let reason = if self.streams.get(key).is_sent { Reason::NO_ERROR } else { Reason::CANCEL };
        self.reset(key, reason);
        let stream = self.streams.get_mut(key);
        stream.is_held = false;
        let unread = stream.unread().len();
        let was_unseen = stream.is_unseen_reset;
        self.give_back(unread);
        if was_unseen {
            self.unseen_reset_was_seen();
        }
        self.streams.settle(key);
    }
}

fn encode_fields<'f>(
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    out: &mut Vec<u8>,
) -> Result<(), Unsendable> {
    for (name, value) in fields {
        encoder::field(name, value, out)?;
    }
    Ok(())
}
