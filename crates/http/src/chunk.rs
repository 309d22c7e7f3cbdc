//! Chunked transfer coding (RFC 9112 §7.1), both ways. Owns the state between pieces of input and the trailers; never
//! copies data: it says where in the caller's bytes the data is.

use crate::error::{ErrorKind, ParseError};
use crate::head::Head;
use crate::parse::{Limits, Parsed, parse_trailers};

/// Longest chunk-size line (size, blanks and extension), in bytes: what fits HAProxy's default buffer.
pub const SIZE_LINE_MAX: u32 = 16384;

/// Longest trailer section, in bytes: what fits HAProxy's default buffer.
pub const TRAILERS_MAX: usize = 16384 - 1024;

/// Bits above a chunk size that still may grow by one digit: HAProxy refuses sizes of 2^52 and more.
const SIZE_SHIFT_MAX: u32 = 48;

/// What the decoder found at the start of a piece of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `len` bytes of data, behind `skip` bytes of framing. Go on at `skip + len`.
    Data { skip: usize, len: usize },
    /// All of the piece was taken; it holds no more data. Go on with the next piece.
    NeedMore,
    /// The body ended after `consumed` bytes of the piece.
    End { consumed: usize },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    SizeStart,
    Size,
    /// Blanks behind the size.
    SizeBlank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    End,
}

/// Trailers as they come in; boxed, for few bodies have any.
#[derive(Clone, Debug, Default)]
struct Trailers {
    bytes: Vec<u8>,
    head: Head,
}

/// Incremental decoder of a chunked body. Feed it pieces of any size.
#[derive(Clone, Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    /// The size read so far, then the data bytes left of this chunk.
    left: u64,
    /// Bytes of the size line so far.
    line_len: u32,
    /// Bytes of the body taken, framing included.
    taken: u64,
    tolerant: bool,
    trailers: Option<Box<Trailers>>,
}

impl ChunkDecoder {
    /// A decoder at the start of a body.
    pub fn new() -> ChunkDecoder {
        ChunkDecoder::default()
    }

    /// The same, forgiving odd names in trailers (`option accept-invalid-http-request` or `-response`).
    pub fn tolerant() -> ChunkDecoder {
        ChunkDecoder { tolerant: true, ..ChunkDecoder::default() }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::End
    }

    /// Data bytes of the current chunk that are still to come.
    pub fn chunk_left(&self) -> u64 {
        if self.state == State::Data { self.left } else { 0 }
    }

    /// The trailer fields, once the body has ended and if there were any.
    pub fn trailers(&self) -> Option<&Head> {
        self.trailers.as_ref().filter(|_| self.is_done()).map(|trailers| &trailers.head)
    }

    /// Looks at the next piece. After `Data` call again with what is behind the data.
    ///
    /// # Errors
    /// Framing that HAProxy refuses; the offset counts from the start of the body.
    pub fn next(&mut self, piece: &[u8]) -> Result<Step, ParseError> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            match self.state {
                State::SizeStart => match digit(byte) {
                    Some(value) => {
                        (self.left, self.state) = (value, State::Size);
                        at += 1;
                    }
                    None => return self.fail(at, ErrorKind::ChunkSize),
                },
                State::Size => match (digit(byte), byte) {
                    (Some(value), _) => {
                        if self.left >> SIZE_SHIFT_MAX != 0 {
                            return self.fail(at, ErrorKind::ChunkSize);
                        }
                        self.left = self.left << 4 | value;
                        at += 1;
                    }
                    (None, b' ' | b'\t' | b';' | b'\r' | b'\n') => self.state = State::SizeBlank,
                    (None, _) => return self.fail(at, ErrorKind::ChunkSize),
                },
                State::SizeBlank => {
                    at += 1;
                    match byte {
                        b' ' | b'\t' => {}
                        b';' => self.state = State::Extension,
                        b'\r' => self.state = State::SizeLf,
                        b'\n' => self.size_done(),
                        _ => return self.fail(at - 1, ErrorKind::ChunkSize),
                    }
                }
                State::Extension => {
                    let rest = &piece[at..];
                    let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                    if self.line_len as usize + length > SIZE_LINE_MAX as usize {
                        let room = SIZE_LINE_MAX - self.line_len;
                        return self.fail(at + room as usize, ErrorKind::ChunkExtension);
                    }
                    self.line_len += length as u32;
                    at += length;
                    match piece.get(at) {
                        Some(b'\r') => (at, self.state) = (at + 1, State::SizeLf),
                        Some(_) => {
                            at += 1;
                            self.size_done();
                        }
                        None => {}
                    }
                }
                State::SizeLf => {
                    if byte != b'\n' {
                        return self.fail(at, ErrorKind::ChunkEnd);
                    }
                    at += 1;
                    self.size_done();
                }
                State::Data => {
                    let len = (piece.len() - at).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    self.left -= len as u64;
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    self.taken += (at + len) as u64;
                    return Ok(Step::Data { skip: at, len });
                }
                State::DataCr => {
                    at += 1;
                    match byte {
                        b'\r' => self.state = State::DataLf,
                        b'\n' => self.state = State::SizeStart,
                        _ => return self.fail(at - 1, ErrorKind::ChunkEnd),
                    }
                }
                State::DataLf => {
                    if byte != b'\n' {
                        return self.fail(at, ErrorKind::ChunkEnd);
                    }
                    at += 1;
                    self.state = State::SizeStart;
                }
                State::Trailers => {
                    at += self.take_trailers(&piece[at..], at)?;
                    if self.state == State::End {
                        self.taken += at as u64;
                        return Ok(Step::End { consumed: at });
                    }
                }
                State::End => return Ok(Step::End { consumed: at }),
            }
            if matches!(self.state, State::Size | State::SizeBlank) {
                self.line_len += 1;
                if self.line_len > SIZE_LINE_MAX {
                    return self.fail(at, ErrorKind::ChunkExtension);
                }
            }
        }
        self.taken += at as u64;
        Ok(if self.state == State::End { Step::End { consumed: at } } else { Step::NeedMore })
    }

    fn size_done(&mut self) {
        self.line_len = 0;
        self.state = if self.left == 0 { State::Trailers } else { State::Data };
    }

    /// Takes trailer bytes up to the end of the section; returns how many.
    fn take_trailers(&mut self, bytes: &[u8], at: usize) -> Result<usize, ParseError> {
        if self.trailers.is_none() && bytes.starts_with(b"\r\n") {
            self.state = State::End;
            return Ok(2);
        }
        let end_before = self.taken as usize + at;
        let trailers = self.trailers.get_or_insert_default();
        let before = trailers.bytes.len();
        trailers.bytes.extend_from_slice(&bytes[..bytes.len().min(TRAILERS_MAX - before + 1)]);
        let limits = Limits { max_head: TRAILERS_MAX, accept_invalid: self.tolerant, ..Limits::default() };
        match parse_trailers(&trailers.bytes, &limits, &mut trailers.head) {
            Ok(Parsed::Partial) => Ok(trailers.bytes.len() - before),
            Ok(Parsed::Complete { consumed }) => {
                let empty = trailers.head.field_count() == 0;
                if empty {
                    self.trailers = None;
                }
                self.state = State::End;
                Ok(consumed - before)
            }
            // Its offset counts from the first trailer, which an earlier piece may have brought.
            Err(error) => {
                Err(ParseError { offset: end_before - before + error.offset, kind: ErrorKind::Trailer })
            }
        }
    }

    fn fail<T>(&self, at: usize, kind: ErrorKind) -> Result<T, ParseError> {
        Err(ParseError { offset: self.taken as usize + at, kind })
    }
}

fn digit(byte: u8) -> Option<u64> {
    (byte as char).to_digit(16).map(u64::from)
}

/// Appends the size line of a chunk of `len` bytes (`1a\r\n`). A `len` of 0 would end the body; write
/// `0\r\n` + trailers + `\r\n` for that.
pub fn write_chunk_header(len: u64, out: &mut Vec<u8>) {
    let digits = (64 - len.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(len >> (place * 4) & 15) as usize]);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), ErrorKind> {
        let mut decoder = ChunkDecoder::new();
        let mut data = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() && !decoder.is_done() {
                match decoder.next(rest).map_err(|error| error.kind)? {
                    Step::Data { skip, len } => {
                        data.extend_from_slice(&rest[skip..skip + len]);
                        rest = &rest[skip + len..];
                    }
                    Step::NeedMore | Step::End { .. } => break,
                }
            }
        }
        Ok((data, decoder.is_done()))
    }

    #[test]
    fn data_comes_out_whatever_the_pieces() {
        let whole = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
        assert_eq!(decode(&[whole]), Ok((b"hello world".to_vec(), true)));
        let single: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(decode(&single), Ok((b"hello world".to_vec(), true)));
    }

    #[test]
    fn trailers_are_kept() {
        let mut decoder = ChunkDecoder::new();
        let body = b"0\r\nX-Sum: 1\r\nY: 2\r\n\r\nGET";
        assert_eq!(decoder.next(body), Ok(Step::End { consumed: body.len() - 3 }));
        assert_eq!(decoder.trailers().unwrap().get(b"x-sum"), Some(&b"1"[..]));
    }

    #[test]
    fn an_error_lies_at_the_same_byte_however_the_body_is_cut() {
        let refused = |body: &[u8], size: usize| {
            let mut decoder = ChunkDecoder::new();
            body.chunks(size).find_map(|piece| decoder.next(piece).err())
        };
        let long = [&b"1;"[..], &[b'x'; SIZE_LINE_MAX as usize], b"\r\n"].concat();
        for body in [b"0\r\nTransfer-Encoding: gzip\r\n\r\n", &long[..]] {
            assert!(refused(body, body.len()).is_some());
            assert_eq!(refused(body, body.len()), refused(body, 1));
        }
    }

    #[test]
    fn header_of_a_chunk_is_hexadecimal_without_leading_zeros() {
        let text = |len| {
            let mut out = Vec::new();
            write_chunk_header(len, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(1), "1\r\n");
        assert_eq!(text(0x1a0), "1a0\r\n");
        assert_eq!(text(u64::MAX), "ffffffffffffffff\r\n");
        assert_eq!(text(0), "0\r\n");
    }
}
