//! One direction of a body: bytes read from one connection, unframed where the coding demands it, and written to the
//! other. Reads into the thread's scratch buffer and writes straight from it; only what the peer does not take
//! waits in a pooled buffer, and then nothing more is read. A body that fills the scratch buffer goes on through a pipe
//! where nobody needs to see it (splice(2)).

use super::bandwidth::Bandwidth;
use super::compress::{Compressor, EncoderFailed};
use super::copies::Copies;
use crate::net::Stream;
use crate::net::buffers::{self, Pending};
use crate::net::pipe::{self, Pipe};
use http::{ChunkDecoder, Framing, Head, Limits, Step, write_chunk_header};
use rules::log_format::CHUNKED_END;
use std::task::{Context, Poll};

/// A read that makes a body wait for its peer keeps at most this much, beside one scratch buffer.
const PENDING_MAX: usize = 2 * buffers::SCRATCH_SIZE;

/// Reads from one connection in one go before others have their turn, in bytes.
const TURN_MAX: usize = 4 * buffers::SCRATCH_SIZE;

/// A pipe that takes less than this in one go is slower than copying: the flow goes back to that.
const SPLICED_MIN: usize = 32 * 1024;

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

/// What became of an attempt to move bytes through a pipe.
enum Spliced {
    Moved(usize),
    /// The source has nothing now.
    Nothing,
    /// These bytes must be read.
    NotHere,
}

/// One direction.
#[derive(Debug)]
pub struct Flow {
    source: Source,
    /// What is written is framed in chunks.
    chunked_out: bool,
    /// The destination is a stream of HTTP/2, which has its own end and takes trailers apart.
    streamed: bool,
    /// Trailers for such a destination.
    trailers: Option<Box<Head>>,
    /// What the body goes through on its way.
    compressor: Option<Box<Compressor>>,
    /// Who gets a copy, as it comes from the source.
    copies: Option<Box<Copies>>,
    /// How fast it may go.
    limits: Vec<Bandwidth>,
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
    /// The last read filled its buffer: more of the same kind will follow.
    is_bulk: bool,
    /// Bytes that are on their way through the kernel, after those of `pending`.
    pipe: Option<Box<Pipe>>,
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
            streamed: false,
            trailers: None,
            compressor: None,
            copies: None,
            limits: Vec::new(),
            pending: Pending::new(),
            read: 0,
            data: 0,
            written: 0,
            blocked_on_destination: false,
            source_closed: false,
            progressed: false,
            is_bulk: false,
            pipe: None,
        }
    }

    /// The flow of a body from one connection to another. What comes over HTTP/2 ends with its stream, whatever its length
    /// (which the codec checks); what goes to HTTP/1 without a length goes in chunks, if `chunks` are understood there.
    pub fn between(framing: Framing, from: &Stream, to: &Stream, chunks: bool) -> Flow {
        let mut flow = Flow::new(framing);
        if from.is_http2() {
            flow.chunked_out = chunks && framing == Framing::UntilClose;
            if framing != Framing::None {
                flow.source = Source::UntilClose;
            }
        }
        if to.is_http2() {
            flow.chunked_out = false;
            flow.streamed = true;
        }
        flow
    }

    /// Nothing will come any more, not even trailers.
    pub fn is_finished(&self) -> bool {
        self.is_done() && self.trailers.is_none()
    }

    /// What is written is framed in chunks.
    pub fn is_chunked(&self) -> bool {
        self.chunked_out
    }

    /// Takes the whole body from `body`, which went out before, in chunks if `was_chunked`: another attempt of a request
    /// that was kept.
    ///
    /// # Errors
    /// Never: it was framed by a flow.
    pub fn replay(&mut self, body: &[u8], was_chunked: bool) -> Result<(), FlowError> {
        // It went through the compressor then.
        self.compressor = None;
        if was_chunked == self.chunked_out {
            self.pending.push(body);
        } else if was_chunked {
            self.source = Source::Chunked(Box::default());
            self.take(body)?;
        } else {
            self.source = Source::UntilClose;
            self.take(body)?;
            self.end_source(None);
        }
        self.source = Source::Done;
        Ok(())
    }

    /// The source has ended regularly, with trailers perhaps.
    fn end_source(&mut self, trailers: Option<Box<Head>>) {
        self.source = Source::Done;
        self.recorded();
        if self.chunked_out {
            self.data += CHUNKED_END;
            push_last_chunk(&mut self.pending, &mut self.data, trailers.as_deref());
        } else if self.streamed {
            self.trailers = trailers;
        }
    }

    /// Looks whether a stream has nothing more to give, so that its end need not be read apart.
    pub fn notice_end(&mut self, source: &Stream) {
        if let (Source::UntilClose, Stream::Http2(stream)) = (&self.source, source)
            && self.compressor.is_none()
            && stream.is_read()
        {
            self.source_closed = true;
            self.end_source(None);
        }
    }

    /// Compresses the body, whose length nobody knows from here on: in chunks, or to the end of the stream.
    pub fn compress(&mut self, mut compressor: Compressor) {
        self.chunked_out = !self.streamed;
        compressor.frame(self.chunked_out);
        self.compressor = Some(Box::new(compressor));
    }

    /// Lets no more through than these limits say; what was taken already counts.
    pub fn limit(&mut self, limits: Vec<Bandwidth>) {
        self.limits = limits;
        self.note_passed(self.data);
    }

    /// Bytes that may be taken from the source now.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        let left = if let Source::Length(left) = self.source { left } else { u64::MAX };
        let mut room = u64::MAX;
        for limit in &mut self.limits {
            match limit.poll_room(context, left) {
                Poll::Ready(one) => room = room.min(one),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(usize::try_from(room).unwrap_or(usize::MAX))
    }

    fn note_passed(&mut self, bytes: u64) {
        for limit in &mut self.limits {
            limit.note(bytes);
        }
    }

    /// Shows the body to whom `add` names.
    pub fn copy(&mut self, add: impl FnOnce(&mut Copies)) {
        add(self.copies.get_or_insert_default());
        if self.is_read() {
            self.recorded();
        }
    }

    /// The body is whole.
    fn recorded(&mut self) {
        if let Some(copies) = self.copies.take() {
            copies.end();
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
        self.is_read() && self.unsent() == 0
    }

    /// Bytes taken from the source and not yet written.
    pub fn unsent(&self) -> usize {
        self.pending.len() + self.pipe.as_ref().map_or(0, |pipe| pipe.waiting())
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
                if let Some(copies) = &mut self.copies {
                    copies.take(&bytes[..count]);
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
                    if self.chunked_out {
                        self.pending.push(b"0\r\n\r\n");
                    }
                    self.source = Source::Done;
                }
                Ok((count, None))
            }
            Source::UntilClose => {
                self.data += bytes.len() as u64;
                if let Some(copies) = &mut self.copies {
                    copies.take(bytes);
                }
                if !self.chunked_out && self.compressor.is_none() {
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
                            if let Some(copies) = &mut self.copies {
                                copies.take(data);
                            }
                            match &mut self.compressor {
                                Some(compressor) => compressor.write(data, &mut self.pending)?,
                                None if self.chunked_out => push_chunk(&mut self.pending, data),
                                None => self.pending.push(data),
                            }
                            at += skip + len;
                        }
                        Step::NeedMore => return Ok((bytes.len(), None)),
                        Step::End { consumed } => {
                            at += consumed;
                            if let Some(compressor) = &mut self.compressor {
                                compressor.finish(&mut self.pending)?;
                            }
                            self.data += CHUNKED_END;
                            if self.chunked_out {
                                push_last_chunk(&mut self.pending, &mut self.data, decoder.trailers());
                            } else if let Some(trailers) = decoder.trailers() {
                                self.data += trailers
                                    .fields()
                                    .map(|(name, value)| (name.len() + value.len()) as u64)
                                    .sum::<u64>();
                                self.trailers = Some(Box::new(trailers.clone()));
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
                if let Some(stream) = destination.as_http2() {
                    stream.finish(self.trailers.take().as_deref());
                }
                return Poll::Ready(Ok(()));
            }
            if moved >= TURN_MAX {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Poll::Ready(room) = self.poll_room(context) else {
                if self.flush_compressor()? {
                    continue;
                }
                return Poll::Pending;
            };
            if !input.is_empty() {
                let waiting = input.bytes();
                let used = self.take(&waiting[..waiting.len().min(room)])?;
                input.consume(used);
                self.note_passed(used as u64);
                continue;
            }
            let spliced = match self.splice_once(context, source, destination)? {
                Spliced::Moved(count) => Some(Some(count)),
                Spliced::Nothing => Some(None),
                Spliced::NotHere => None,
            };
            let count = match spliced {
                Some(count) => count,
                None => self.read_once(context, source, input, destination, room)?,
            };
            match count {
                Some(count) => moved += count,
                None if self.flush_compressor()? => {}
                None => return Poll::Pending,
            }
        }
    }

    /// Writes `pending`; false when the destination would block.
    fn flush(&mut self, context: &mut Context<'_>, destination: &mut Stream) -> Result<bool, FlowError> {
        let last = self.is_read() && self.trailers.is_none();
        while !self.pending.is_empty() {
            match destination.poll_write_body(context, self.pending.bytes(), last) {
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
        while let Some(pipe) = &mut self.pipe {
            match destination.poll_drain(context, pipe) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.written += count as u64;
                    self.progressed = true;
                    if pipe.waiting() == 0
                        && let Some(empty) = self.pipe.take()
                    {
                        pipe::give(empty);
                    }
                }
                Poll::Ready(Ok(_) | Err(_)) => return Err(FlowError::Destination),
                Poll::Pending => {
                    self.blocked_on_destination = true;
                    return Ok(false);
                }
            }
        }
        self.blocked_on_destination = false;
        Ok(true)
    }

    /// Moves bytes into a pipe, where the last read was a full one and nobody needs to see what follows.
    fn splice_once(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        destination: &Stream,
    ) -> Result<Spliced, FlowError> {
        let is_watched = self.compressor.is_some() || self.copies.is_some() || !self.limits.is_empty();
        if !self.is_bulk || is_watched || !destination.takes_pipes() {
            return Ok(Spliced::NotHere);
        }
        let most = match self.source {
            Source::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
            Source::UntilClose if !self.chunked_out => usize::MAX,
            Source::UntilClose | Source::Chunked(_) | Source::Done => return Ok(Spliced::NotHere),
        };
        let Some(mut pipe) = pipe::take() else { return Ok(Spliced::NotHere) };
        let polled = source.poll_fill(context, &mut pipe, most);
        let Some(Poll::Ready(result)) = polled else {
            pipe::give(pipe);
            return Ok(if polled.is_some() { Spliced::Nothing } else { Spliced::NotHere });
        };
        let Ok(count) = result else {
            pipe::give(pipe);
            return Err(FlowError::Source);
        };
        self.progressed = true;
        if count == 0 {
            pipe::give(pipe);
            return self.end_of_source(source).map(Spliced::Moved);
        }
        self.is_bulk = count >= SPLICED_MIN;
        self.read += count as u64;
        self.data += count as u64;
        if let Source::Length(left) = &mut self.source {
            *left -= count as u64;
            if *left == 0 {
                self.source = Source::Done;
            }
        }
        self.pipe = Some(pipe);
        Ok(Spliced::Moved(count))
    }

    /// The source closed: the regular end where nothing else marks it. Returns 0, the bytes moved.
    fn end_of_source(&mut self, source: &mut Stream) -> Result<usize, FlowError> {
        match self.source {
            Source::UntilClose => {
                self.source = Source::Done;
                self.source_closed = true;
                let trailers = source.as_http2().and_then(|stream| stream.take_trailers(&Limits::default()));
                self.end_data()?;
                self.end_source(trailers);
                Ok(0)
            }
            Source::Length(_) | Source::Chunked(_) | Source::Done => Err(FlowError::Source),
        }
    }

    /// One read, forwarded at once. `None`: the source has nothing now.
    fn read_once(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        input: &mut Pending,
        destination: &mut Stream,
        room: usize,
    ) -> Result<Option<usize>, FlowError> {
        debug_assert!(self.pending.len() <= PENDING_MAX);
        buffers::with_scratch(|scratch| {
            // As much as there is, even beyond the body: a short read tells that the kernel has no more, and saves the
            // read that would find out. What is beyond waits in `input`.
            let length = scratch.len().min(room);
            let count = match source.poll_read(context, &mut scratch[..length]) {
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(_)) => return Err(FlowError::Source),
                Poll::Pending => return Ok(None),
            };
            self.progressed = true;
            if count == 0 {
                return self.end_of_source(source).map(Some);
            }
            self.is_bulk = count == scratch.len();
            let bytes = &scratch[..count];
            let (used, direct) = self.unframe(bytes)?;
            self.read += used as u64;
            self.note_passed(used as u64);
            self.notice_end(source);
            if let Some(direct) = direct {
                let mut rest = direct;
                let last = self.is_read() && self.trailers.is_none();
                while !rest.is_empty() {
                    match destination.poll_write_body(context, rest, last) {
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

impl Drop for Flow {
    fn drop(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe::give(pipe);
        }
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

/// Appends the end of a chunked body; `count` grows by what trailers count.
fn push_last_chunk(pending: &mut Pending, count: &mut u64, trailers: Option<&Head>) {
    let out = pending.buffer();
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flat_map(Head::fields) {
        *count += (name.len() + value.len()) as u64;
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    const BODY_LENGTH: usize = 16 << 20;

    /// One end for the flow, the other for a thread.
    fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
        let (theirs, _) = listener.accept().expect("connected");
        ours.set_nonblocking(true).expect("a socket");
        (Stream::Tcp(tokio::net::TcpStream::from_std(ours).expect("in a runtime")), theirs)
    }

    fn body() -> Vec<u8> {
        // No period that divides a buffer: bytes out of order are seen.
        (0..BODY_LENGTH).map(|index| (index % 251) as u8).collect()
    }

    #[tokio::test]
    async fn a_bulk_body_arrives_whole_in_order_and_through_a_pipe() {
        let (mut source, mut sender) = pair();
        let (mut destination, mut receiver) = pair();
        let writer = std::thread::spawn(move || sender.write_all(&body()).map(|()| sender));
        let reader = std::thread::spawn(move || {
            let mut read = vec![0; BODY_LENGTH];
            // Slow at first, so that bytes wait on both sides of the pipe.
            receiver.read_exact(&mut read[..1]).expect("bytes");
            std::thread::sleep(Duration::from_millis(200));
            receiver.read_exact(&mut read[1..]).expect("bytes");
            read
        });
        let mut flow = Flow::new(Framing::Length(BODY_LENGTH as u64));
        let mut input = Pending::new();
        let moved = poll_fn(|context| flow.poll(context, &mut source, &mut input, &mut destination)).await;
        assert!(moved.is_ok() && flow.is_done());
        assert_eq!((flow.read, flow.data, flow.written), (16 << 20, 16 << 20, 16 << 20));
        assert!(reader.join().expect("read") == body(), "the same bytes in the same order");
        assert_eq!(pipe::pooled(), 1, "a pipe was used and given back");
        drop(writer.join());
    }

    #[tokio::test]
    async fn a_body_that_ends_early_inside_a_pipe_is_the_sources_fault() {
        let (mut source, mut sender) = pair();
        let (mut destination, mut receiver) = pair();
        std::thread::spawn(move || sender.write_all(&body()));
        let reader = std::thread::spawn(move || receiver.read_to_end(&mut Vec::new()));
        let mut flow = Flow::new(Framing::Length(2 * BODY_LENGTH as u64));
        let mut input = Pending::new();
        let moved = poll_fn(|context| flow.poll(context, &mut source, &mut input, &mut destination)).await;
        assert!(matches!(moved, Err(FlowError::Source)), "{moved:?}");
        drop(destination);
        assert_eq!(reader.join().expect("ended").expect("no reset"), BODY_LENGTH);
    }
}
