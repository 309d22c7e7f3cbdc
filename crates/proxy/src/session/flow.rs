//! One direction of a body: bytes read from one connection, unframed where the coding demands it, and written to the
//! other. Reads into the thread's scratch buffer and writes straight from it; only what the peer does not take
//! waits in a pooled buffer, and then nothing more is read.

use super::compress::{Compressor, EncoderFailed};
use crate::cache::Fill;
use crate::net::Stream;
use crate::net::buffers::{self, Pending};
use http::{ChunkDecoder, Framing, Step, write_chunk_header};
use rules::log_format::CHUNKED_END;
use std::task::{Context, Poll};

/// A read that makes a body wait for its peer keeps at most this much, beside one scratch buffer.
const PENDING_MAX: usize = 2 * buffers::SCRATCH_SIZE;

/// Reads from one connection in one go before others have their turn, in bytes.
const TURN_MAX: usize = 4 * buffers::SCRATCH_SIZE;

/// How the bytes that are still to come are framed.
#[derive(Debug)]
enum Source {
    /// That many bytes.
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
    /// All was read.
    Done,
}

/// Which side ended a flow before its time, and how.
#[derive(Debug)]
pub enum FlowError {
    /// The source closed or failed before the end of the body.
    Source,
    /// The source broke the framing.
    Framing,
    /// The destination failed.
    Destination,
    /// The compressor failed.
    Coding,
}

impl From<EncoderFailed> for FlowError {
    fn from(EncoderFailed: EncoderFailed) -> FlowError {
        FlowError::Coding
    }
}

/// One direction.
#[derive(Debug)]
pub struct Flow {
    source: Source,
    /// What is written is framed in chunks too.
    chunked_out: bool,
    /// What the body goes through on its way.
    compressor: Option<Box<Compressor>>,
    /// The cache that gets a copy, as it comes from the source.
    fill: Option<Box<Fill>>,
    /// Bytes ready for the destination.
    pub pending: Pending,
    /// Bytes read from the source, framing included.
    pub read: u64,
    /// Bytes of the body proper, without framing, taken from the source.
    pub data: u64,
    /// Bytes written to the destination.
    pub written: u64,
    /// The last poll stopped because the destination takes no more (else: because the source has no more).
    pub blocked_on_destination: bool,
    /// The source ended with FIN where that is a regular end.
    pub source_closed: bool,
    /// The last poll moved bytes.
    pub progressed: bool,
}

impl Flow {
    pub fn new(framing: Framing) -> Flow {
        let (source, chunked_out) = match framing {
            Framing::None | Framing::Length(0) => (Source::Done, false),
            Framing::Length(length) => (Source::Length(length), false),
            Framing::Chunked => (Source::Chunked(Box::default()), true),
            Framing::UntilClose => (Source::UntilClose, false),
        };
        Flow {
            source,
            chunked_out,
            compressor: None,
            fill: None,
            pending: Pending::new(),
            read: 0,
            data: 0,
            written: 0,
            blocked_on_destination: false,
            source_closed: false,
            progressed: false,
        }
    }

    /// A flow whose whole body is `body`, framed already: another attempt of a request that was kept.
    pub fn with_pending(mut self, body: &[u8]) -> Flow {
        self.pending.push(body);
        self.source = Source::Done;
        self
    }

    /// Compresses the body, which is framed in chunks from here on.
    pub fn compress(&mut self, compressor: Compressor) {
        self.chunked_out = true;
        self.compressor = Some(Box::new(compressor));
    }

    /// Gives a copy of the body to a cache.
    pub fn record(&mut self, fill: Fill) {
        self.fill = Some(Box::new(fill));
        if self.is_read() {
            self.recorded();
        }
    }

    /// The body is whole.
    fn recorded(&mut self) {
        if let Some(fill) = self.fill.take() {
            fill.commit();
        }
    }

    /// What follows a switch of protocols is bytes until the end.
    pub fn start_tunnel(&mut self) {
        self.source = Source::UntilClose;
        self.chunked_out = false;
    }

    /// Everything was read from the source (perhaps not yet written).
    pub fn is_read(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    /// Everything was read and written.
    pub fn is_done(&self) -> bool {
        self.is_read() && self.pending.is_empty()
    }

    /// Takes what of `bytes` belongs to the body, unframes it into `pending`, and returns how much that was.
    ///
    /// # Errors
    /// The bytes break the framing.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, FlowError> {
        let (used, direct) = self.unframe(bytes)?;
        self.read += used as u64;
        if let Some(direct) = direct {
            self.pending.push(direct);
        }
        Ok(used)
    }

    /// Consumes body bytes from the front of `bytes`. Either returns the slice to be written as it is, or has put
    /// framed bytes into `pending`.
    fn unframe<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, Option<&'b [u8]>), FlowError> {
        match &mut self.source {
            Source::Done => Ok((0, None)),
            Source::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                let ended = *left == 0;
                self.data += count as u64;
                if let Some(fill) = &mut self.fill {
                    fill.take(&bytes[..count]);
                    if ended {
                        self.recorded();
                    }
                }
                if self.compressor.is_none() {
                    if ended {
                        self.source = Source::Done;
                    }
                    return Ok((count, Some(&bytes[..count])));
                }
                self.put(&bytes[..count])?;
                if ended {
                    self.end_data()?;
                    self.pending.push(b"0\r\n\r\n");
                    self.source = Source::Done;
                }
                Ok((count, None))
            }
            Source::UntilClose => {
                self.data += bytes.len() as u64;
                if let Some(fill) = &mut self.fill {
                    fill.take(bytes);
                }
                if !self.chunked_out {
                    return Ok((bytes.len(), Some(bytes)));
                }
                self.put(bytes)?;
                Ok((bytes.len(), None))
            }
            Source::Chunked(decoder) => {
                let mut at = 0;
                loop {
                    match decoder.next(&bytes[at..]).map_err(|_| FlowError::Framing)? {
                        Step::Data { skip, len } => {
                            self.data += len as u64;
                            let data = &bytes[at + skip..at + skip + len];
                            if let Some(fill) = &mut self.fill {
                                fill.take(data);
                            }
                            match &mut self.compressor {
                                Some(compressor) => compressor.write(data, &mut self.pending)?,
                                None => push_chunk(&mut self.pending, data),
                            }
                            at += skip + len;
                        }
                        Step::NeedMore => return Ok((bytes.len(), None)),
                        Step::End { consumed } => {
                            at += consumed;
                            if let Some(compressor) = &mut self.compressor {
                                compressor.finish(&mut self.pending)?;
                            }
                            let out = self.pending.buffer();
                            out.extend_from_slice(b"0\r\n");
                            self.data += CHUNKED_END;
                            match decoder.trailers() {
                                Some(trailers) => {
                                    for (name, value) in trailers.fields() {
                                        self.data += (name.len() + value.len()) as u64;
                                        out.extend_from_slice(name);
                                        out.extend_from_slice(b": ");
                                        out.extend_from_slice(value);
                                        out.extend_from_slice(b"\r\n");
                                    }
                                    out.extend_from_slice(b"\r\n");
                                }
                                None => out.extend_from_slice(b"\r\n"),
                            }
                            self.source = Source::Done;
                            self.recorded();
                            return Ok((at, None));
                        }
                    }
                }
            }
        }
    }

    /// Hands on a piece of the body, in a chunk.
    fn put(&mut self, data: &[u8]) -> Result<(), FlowError> {
        match &mut self.compressor {
            Some(compressor) => compressor.write(data, &mut self.pending)?,
            None => push_chunk(&mut self.pending, data),
        }
        Ok(())
    }

    /// The body is complete: what was held back follows.
    fn end_data(&mut self) -> Result<(), FlowError> {
        if let Some(compressor) = &mut self.compressor {
            compressor.finish(&mut self.pending)?;
        }
        Ok(())
    }

    /// The source pauses: the client gets all that was read. False when nothing was held back.
    fn flush_compressor(&mut self) -> Result<bool, FlowError> {
        let Some(compressor) = self.compressor.as_mut().filter(|compressor| compressor.is_dirty()) else {
            return Ok(false);
        };
        compressor.flush(&mut self.pending)?;
        Ok(true)
    }

    /// Moves bytes until one side would block or the body ends. `input` holds bytes read from the source before.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        input: &mut Pending,
        destination: &mut Stream,
    ) -> Poll<Result<(), FlowError>> {
        let mut moved = 0;
        self.progressed = false;
        loop {
            if !self.flush(context, destination)? {
                return Poll::Pending;
            }
            if self.is_read() {
                return Poll::Ready(Ok(()));
            }
            if moved >= TURN_MAX {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !input.is_empty() {
                let used = self.take(input.bytes())?;
                input.consume(used);
                continue;
            }
            let count = match self.read_once(context, source, input, destination)? {
                Some(count) => count,
                None if self.flush_compressor()? => continue,
                None => return Poll::Pending,
            };
            moved += count;
        }
    }

    /// Writes `pending`; false when the destination would block.
    fn flush(&mut self, context: &mut Context<'_>, destination: &mut Stream) -> Result<bool, FlowError> {
        while !self.pending.is_empty() {
            match destination.poll_write(context, self.pending.bytes()) {
                Poll::Ready(Ok(0)) => return Err(FlowError::Destination),
                Poll::Ready(Ok(count)) => {
                    self.pending.consume(count);
                    self.written += count as u64;
                    self.progressed = true;
                }
                Poll::Ready(Err(_)) => return Err(FlowError::Destination),
                Poll::Pending => {
                    self.blocked_on_destination = true;
                    return Ok(false);
                }
            }
        }
        self.blocked_on_destination = false;
        Ok(true)
    }

    /// One read, forwarded at once. `None`: the source has nothing now.
    fn read_once(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        input: &mut Pending,
        destination: &mut Stream,
    ) -> Result<Option<usize>, FlowError> {
        debug_assert!(self.pending.len() <= PENDING_MAX);
        buffers::with_scratch(|scratch| {
            // As much as there is, even beyond the body: a short read tells that the kernel has no more, and saves the
            // read that would find out. What is beyond waits in `input`.
            let count = match source.poll_read(context, scratch) {
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(_)) => return Err(FlowError::Source),
                Poll::Pending => return Ok(None),
            };
            self.progressed = true;
            if count == 0 {
                return match self.source {
                    Source::UntilClose => {
                        self.source = Source::Done;
                        self.source_closed = true;
                        self.recorded();
                        self.end_data()?;
                        if self.chunked_out {
                            self.pending.push(b"0\r\n\r\n");
                        }
                        Ok(Some(0))
                    }
                    Source::Length(_) | Source::Chunked(_) | Source::Done => Err(FlowError::Source),
                };
            }
            let bytes = &scratch[..count];
            let (used, direct) = self.unframe(bytes)?;
            self.read += used as u64;
            if let Some(direct) = direct {
                let mut rest = direct;
                while !rest.is_empty() {
                    match destination.poll_write(context, rest) {
                        Poll::Ready(Ok(0)) => return Err(FlowError::Destination),
                        Poll::Ready(Ok(written)) => {
                            self.written += written as u64;
                            rest = &rest[written..];
                        }
                        Poll::Ready(Err(_)) => return Err(FlowError::Destination),
                        Poll::Pending => break,
                    }
                }
                self.pending.push(rest);
            }
            if used < count {
                input.push(&bytes[used..]);
            }
            Ok(Some(count))
        })
    }
}

/// Appends one chunk; an empty one would end the body, so it is left out.
pub fn push_chunk(pending: &mut Pending, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let out = pending.buffer();
    write_chunk_header(data.len() as u64, out);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}
