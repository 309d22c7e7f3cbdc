//! The HTTP/1 head parser: bytes → [`Head`], with HAProxy 2.6's verdicts. Owns the grammar and where it stopped; never
//! reads a socket and never answers.
//!
//! One pass, and it resumes: between calls the head keeps a [`Cursor`], so no byte is looked at twice however small the
//! pieces are. The usual line (`name: value\r\n`, nothing odd) takes a straight path; whatever is unusual falls
//! into the state machine, which is the whole truth.

use crate::error::{ErrorKind, ParseError};
use crate::head::{Field, Head, NAME_LEN_MAX, Side, StartLine, Version};
use crate::kind::FieldKind;
use crate::scan::{skip_text, skip_token, skip_visible};

/// Bounds and tolerance of the parser.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Room for a head in bytes: `tune.bufsize` − `tune.maxrewrite`. As in HAProxy a field costs 8 bytes beside its name
    /// and value, and a head 85 bytes beside its fields.
    pub max_head: usize,
    /// `tune.http.maxhdr`: one more than the most field lines allowed.
    pub max_fields: usize,
    /// `option accept-invalid-http-request` or `-response`.
    pub accept_invalid: bool,
}

impl Default for Limits {
    /// HAProxy's defaults: bufsize 16384, maxrewrite 1024, 101 fields, strict.
    fn default() -> Limits {
        Limits { max_head: 16384 - 1024, max_fields: 101, accept_invalid: false }
    }
}

/// Heads longer than this are refused whatever `Limits` says: offsets are 32 bits, and edits come behind the head.
const HEAD_LEN_MAX: usize = 1 << 30;

/// What HAProxy's representation of a head costs beside the texts in it, in bytes (measured).
const HEAD_COST: usize = 85;
/// The same for one field.
const FIELD_COST: usize = 8;
/// Longest version text that is tolerated.
const VERSION_LEN_MAX: usize = 16;

/// How far a parse came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head is whole; it took that many of the bytes, empty lines before it included.
    Complete { consumed: usize },
    /// More bytes are needed: call again with all bytes of the message so far and the same head.
    Partial,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    BeforeLf,
    Method,
    BeforeUri,
    Uri,
    BeforeVersion,
    Version,
    /// The LF that ends a request of HTTP/0.9.
    SimpleLf,
    StatusVersion,
    BeforeCode,
    Code,
    BeforeReason,
    Reason,
    LineLf,
    LineStart,
    Name,
    BeforeValue,
    Value,
    ValueLf,
    AfterLine,
    LastLf,
    Done,
}

/// Where a parse stopped. Offsets count from the start of the message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    state: State,
    /// Next byte to look at.
    at: u32,
    /// Start of the start line.
    line: u32,
    /// Start of the token or line being read.
    mark: u32,
    method_len: u32,
    /// URI, or reason.
    text: u32,
    text_len: u32,
    /// The start line has not the shape in which it is written.
    odd_line: bool,
    /// Some field line has not the shape in which it is written.
    odd_field: bool,
    /// The field being read: length of the name, start and end of the value, whether folded.
    name_len: u32,
    value: u32,
    value_end: u32,
    folded: bool,
}

impl Cursor {
    /// Whether a received head is whole.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

/// Parses a request head from the start of `bytes`. On `Partial` call again with the same `head` and all bytes so far;
/// a head that is complete (or was refused) is cleared first.
///
/// # Errors
/// What HAProxy 2.6 refuses, with the offset of the byte; [`ParseError::status`] is the answer due.
pub fn parse_request(bytes: &[u8], limits: &Limits, head: &mut Head) -> Result<Parsed, ParseError> {
    parse(bytes, limits, head, Side::Request)
}

/// Parses a response head from the start of `bytes`; as [`parse_request`].
///
/// # Errors
/// What HAProxy 2.6 refuses; the client is then answered with 502.
pub fn parse_response(bytes: &[u8], limits: &Limits, head: &mut Head) -> Result<Parsed, ParseError> {
    parse(bytes, limits, head, Side::Response)
}

/// What a client with prior knowledge of HTTP/2 sends first (RFC 9113 §3.4).
pub const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether `bytes` start the HTTP/2 preface, or are the start of one: then HTTP/1 must not read them.
/// (`parse_request` refuses the preface.)
pub fn is_http2_preface(bytes: &[u8]) -> bool {
    let len = bytes.len().min(HTTP2_PREFACE.len());
    len > 0 && bytes[..len] == HTTP2_PREFACE[..len]
}

/// Parses the field lines behind the last chunk, up to and with the empty line; as [`parse_request`].
pub(crate) fn parse_trailers(bytes: &[u8], limits: &Limits, head: &mut Head) -> Result<Parsed, ParseError> {
    if head.cursor.state == State::Before {
        head.cursor.state = State::LineStart;
    }
    parse(bytes, limits, head, Side::Trailers)
}

fn parse(bytes: &[u8], limits: &Limits, head: &mut Head, side: Side) -> Result<Parsed, ParseError> {
    if head.cursor.is_done() || head.line.len > 0 {
        head.clear();
    }
    let max = limits.max_head.min(HEAD_LEN_MAX);
    let bytes = &bytes[..bytes.len().min(max)];
    head.side = side;
    let cursor = head.cursor;
    let mut parser = Parser { bytes, limits, cursor, head };
    match parser.run() {
        Ok(true) => match parser.complete() {
            Ok(consumed) => Ok(Parsed::Complete { consumed }),
            Err(error) => {
                head.clear();
                Err(error)
            }
        },
        Ok(false) if bytes.len() == max => {
            head.clear();
            Err(ParseError { offset: max, kind: ErrorKind::HeadTooLong })
        }
        Ok(false) => {
            head.cursor = parser.cursor;
            Ok(Parsed::Partial)
        }
        Err(error) => {
            head.clear();
            Err(error)
        }
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    limits: &'a Limits,
    cursor: Cursor,
    head: &'a mut Head,
}

/// A space or tab.
fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The code of three decimal digits.
fn status_of(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

impl Parser<'_> {
    fn fail<T>(&self, offset: usize, kind: ErrorKind) -> Result<T, ParseError> {
        Err(ParseError { offset, kind })
    }

    /// Runs until the head is whole (true) or the bytes are used up (false).
    fn run(&mut self) -> Result<bool, ParseError> {
        let bytes = self.bytes;
        let mut at = self.cursor.at as usize;
        let mut state = self.cursor.state;
        if at == 0
            && let Some(next) = self.usual_start()
        {
            (at, state) = (next, State::LineStart);
        }
        let whole = loop {
            let Some(&byte) = bytes.get(at) else { break false };
            // Each arm leaves `at` on the next byte to look at, and `state` for it.
            match state {
                State::Before => match byte {
                    b'\r' => (at, state) = (at + 1, State::BeforeLf),
                    b'\n' => at += 1,
                    _ => {
                        (self.cursor.line, self.cursor.mark) = (at as u32, at as u32);
                        state = match self.head.side {
                            Side::Request => State::Method,
                            Side::Response => State::StatusVersion,
                            Side::Trailers => State::LineStart,
                        };
                    }
                },
                State::BeforeLf => {
                    self.expect_lf(byte, at)?;
                    (at, state) = (at + 1, State::Before);
                }
                State::Method => {
                    at = skip_token(bytes, at);
                    let Some(&end) = bytes.get(at) else { break false };
                    if !is_blank(end) || at == self.cursor.line as usize {
                        return self.fail(at, ErrorKind::Method);
                    }
                    self.cursor.odd_line |= end != b' ';
                    self.cursor.method_len = at as u32 - self.cursor.line;
                    (at, state) = (at + 1, State::BeforeUri);
                }
                State::BeforeUri => {
                    if is_blank(byte) {
                        self.cursor.odd_line = true;
                        at += 1;
                    } else {
                        self.cursor.text = at as u32;
                        state = State::Uri;
                    }
                }
                State::Uri => {
                    at = skip_visible(bytes, at);
                    let Some(&end) = bytes.get(at) else { break false };
                    self.cursor.text_len = at as u32 - self.cursor.text;
                    if is_blank(end) && self.cursor.text_len > 0 {
                        self.check_fragment()?;
                        self.cursor.odd_line |= end != b' ';
                        (at, state) = (at + 1, State::BeforeVersion);
                    } else if matches!(end, b'\r' | b'\n') {
                        self.simple_request(at)?;
                        (at, state) = (at + 1, State::SimpleLf);
                        if end == b'\n' {
                            self.cursor.at = at as u32;
                            break true;
                        }
                    } else if end >= 0x80 && self.limits.accept_invalid {
                        at += 1;
                    } else {
                        return self.fail(at, ErrorKind::Uri);
                    }
                }
                State::BeforeVersion => {
                    if is_blank(byte) {
                        self.cursor.odd_line = true;
                        at += 1;
                    } else if matches!(byte, b'\r' | b'\n') {
                        self.simple_request(at)?;
                        (at, state) = (at + 1, State::SimpleLf);
                        if byte == b'\n' {
                            self.cursor.at = at as u32;
                            break true;
                        }
                    } else {
                        self.cursor.mark = at as u32;
                        state = State::Version;
                    }
                }
                State::Version => match byte {
                    b'\r' | b'\n' => {
                        self.take_version(at)?;
                        (at, state) = self.line_end(byte, at);
                    }
                    _ => at = self.version_byte(byte, at)?,
                },
                State::StatusVersion => match byte {
                    b' ' | b'\t' => {
                        self.cursor.odd_line |= byte != b' ';
                        self.take_version(at)?;
                        (at, state) = (at + 1, State::BeforeCode);
                    }
                    _ => at = self.version_byte(byte, at)?,
                },
                State::SimpleLf => {
                    self.expect_lf(byte, at)?;
                    self.cursor.at = at as u32 + 1;
                    break true;
                }
                State::BeforeCode => {
                    if is_blank(byte) {
                        self.cursor.odd_line = true;
                        at += 1;
                    } else {
                        self.cursor.mark = at as u32;
                        state = State::Code;
                    }
                }
                State::Code => match byte {
                    b'0' if at == self.cursor.mark as usize => return self.fail(at, ErrorKind::Status),
                    b'0'..=b'9' if at - (self.cursor.mark as usize) < 3 => at += 1,
                    b' ' | b'\t' | b'\r' | b'\n' if at - self.cursor.mark as usize == 3 => {
                        let digits = &bytes[self.cursor.mark as usize..at];
                        self.head.status = status_of(digits);
                        self.cursor.odd_line |= byte != b' ';
                        if is_blank(byte) {
                            (at, state) = (at + 1, State::BeforeReason);
                        } else {
                            self.cursor.text = at as u32;
                            (at, state) = self.line_end(byte, at);
                        }
                    }
                    _ => return self.fail(at, ErrorKind::Status),
                },
                State::BeforeReason => {
                    if is_blank(byte) {
                        self.cursor.odd_line = true;
                        at += 1;
                    } else {
                        self.cursor.text = at as u32;
                        state = State::Reason;
                    }
                }
                State::Reason => match byte {
                    b'\r' | b'\n' => {
                        self.cursor.text_len = at as u32 - self.cursor.text;
                        (at, state) = self.line_end(byte, at);
                    }
                    _ => at = skip_text(bytes, at + 1),
                },
                State::LineLf => {
                    self.expect_lf(byte, at)?;
                    (at, state) = (at + 1, State::LineStart);
                }
                State::LineStart => match byte {
                    b'\r' => (at, state) = (at + 1, State::LastLf),
                    b'\n' => {
                        self.cursor.at = at as u32 + 1;
                        break true;
                    }
                    _ => {
                        self.cursor.mark = at as u32;
                        match self.usual_line(at)? {
                            Some(next) => at = next,
                            None => state = State::Name,
                        }
                    }
                },
                State::Name => {
                    at = skip_token(bytes, at);
                    let Some(&end) = bytes.get(at) else { break false };
                    let start = self.cursor.mark as usize;
                    if end != b':' {
                        // A name that starts with a blank is never tolerated: behind another line it would be
                        // read as a continuation of that.
                        let odd_start = at == start && is_blank(end);
                        let tolerated =
                            self.limits.accept_invalid && !odd_start && !matches!(end, b'\r' | b'\n');
                        if !tolerated {
                            return self.fail(at, ErrorKind::FieldName);
                        }
                        at += 1;
                        continue;
                    }
                    if at == start || at - start > NAME_LEN_MAX {
                        return self.fail(at, ErrorKind::FieldName);
                    }
                    self.cursor.name_len = (at - start) as u32;
                    self.cursor.folded = false;
                    (at, state) = (at + 1, State::BeforeValue);
                }
                State::BeforeValue => {
                    if is_blank(byte) {
                        at += 1;
                    } else {
                        (self.cursor.value, self.cursor.value_end) = (at as u32, at as u32);
                        state = State::Value;
                    }
                }
                State::Value => {
                    at = skip_text(bytes, at);
                    let Some(&end) = bytes.get(at) else { break false };
                    match end {
                        b'\r' => {
                            self.cursor.value_end = at as u32;
                            (at, state) = (at + 1, State::ValueLf);
                        }
                        b'\n' => {
                            self.cursor.value_end = at as u32;
                            (at, state) = (at + 1, State::AfterLine);
                        }
                        // HAProxy 2.6 passes every other control byte on, NUL too.
                        _ => at += 1,
                    }
                }
                State::ValueLf => {
                    self.expect_lf(byte, at)?;
                    (at, state) = (at + 1, State::AfterLine);
                }
                State::AfterLine => {
                    if is_blank(byte) {
                        self.cursor.folded = true;
                        let empty = self.cursor.value == self.cursor.value_end;
                        state = if empty { State::BeforeValue } else { State::Value };
                    } else {
                        self.slow_field(at)?;
                        state = State::LineStart;
                    }
                }
                State::LastLf => {
                    self.expect_lf(byte, at)?;
                    self.cursor.at = at as u32 + 1;
                    break true;
                }
                State::Done => break true,
            }
        };
        if !whole {
            self.cursor.at = at as u32;
        }
        self.cursor.state = state;
        Ok(whole)
    }

    /// Reads a start line of HTTP/1.1 that is whole and of the usual shape, and returns where the next line starts; None
    /// leaves it to the state machine.
    #[inline]
    fn usual_start(&mut self) -> Option<usize> {
        match self.head.side {
            Side::Request => self.usual_request_line(),
            Side::Response => self.usual_status_line(),
            Side::Trailers => None,
        }
    }

    fn usual_request_line(&mut self) -> Option<usize> {
        const END: &[u8; 11] = b" HTTP/1.1\r\n";
        let bytes = self.bytes;
        let space = skip_token(bytes, 0);
        let text = space + 1;
        let end = skip_visible(bytes, text.min(bytes.len()));
        let uri = bytes.get(text..end)?;
        let usual = space > 0
            && bytes[space] == b' '
            && bytes.get(end..end + END.len()) == Some(END)
            && !uri.is_empty()
            && memchr::memchr(b'#', uri).is_none();
        if !usual {
            return None;
        }
        self.head.version = Version::Http11;
        (self.cursor.method_len, self.cursor.text) = (space as u32, text as u32);
        self.cursor.text_len = uri.len() as u32;
        Some(end + END.len())
    }

    fn usual_status_line(&mut self) -> Option<usize> {
        const TEXT: usize = "HTTP/1.1 200 ".len();
        let bytes = self.bytes;
        let [digits @ .., b' '] = bytes.get(..TEXT)?.strip_prefix(b"HTTP/1.1 ")? else { return None };
        if digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let end = skip_text(bytes, TEXT);
        if bytes.get(end..end + 2) != Some(b"\r\n") || is_blank(bytes[TEXT]) {
            return None;
        }
        self.head.version = Version::Http11;
        self.head.status = status_of(digits);
        (self.cursor.text, self.cursor.text_len) = (TEXT as u32, (end - TEXT) as u32);
        Some(end + 2)
    }

    fn expect_lf(&self, byte: u8, at: usize) -> Result<(), ParseError> {
        if byte == b'\n' { Ok(()) } else { self.fail(at, ErrorKind::LineEnd) }
    }

    /// After the start line: its CR or LF is at `at`.
    fn line_end(&mut self, byte: u8, at: usize) -> (usize, State) {
        self.cursor.odd_line |= byte == b'\n';
        (at + 1, if byte == b'\r' { State::LineLf } else { State::LineStart })
    }

    /// A byte of a version that is not its end.
    fn version_byte(&self, byte: u8, at: usize) -> Result<usize, ParseError> {
        let len = at - self.cursor.mark as usize;
        let len_max = if self.limits.accept_invalid { VERSION_LEN_MAX } else { 8 };
        let valid = byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'/' | b'.');
        if valid && len < len_max { Ok(at + 1) } else { self.fail(at, ErrorKind::Version) }
    }

    /// Judges the version: `HTTP/digit.digit`; responses may bring other letters. What is above 1.1 is
    /// written on as HTTP/1.1, what is below stays as it is and counts as 1.0.
    fn take_version(&mut self, end: usize) -> Result<(), ParseError> {
        let start = self.cursor.mark as usize;
        let text = &self.bytes[start..end];
        if text == b"HTTP/1.1" {
            self.head.version = Version::Http11;
            return Ok(());
        }
        let numbered = match text {
            [_, _, _, _, b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
                Some((*major, *minor))
            }
            _ => None,
        };
        let known = text.starts_with(b"HTTP/") || self.head.side != Side::Request;
        let preface = text == b"HTTP/2.0" && self.bytes[self.cursor.line as usize..].starts_with(b"PRI * ");
        match numbered {
            Some(_) if preface || !(known || self.limits.accept_invalid) => {
                self.fail(start, ErrorKind::Version)
            }
            Some(version) if version >= (b'1', b'1') => {
                self.head.version = Version::Http11;
                self.cursor.odd_line = true;
                Ok(())
            }
            Some(_) => {
                self.head.version = Version::Http10;
                Ok(())
            }
            None if self.limits.accept_invalid && !text.is_empty() => {
                self.head.version = Version::Http10;
                self.cursor.odd_line = true;
                Ok(())
            }
            None => self.fail(start, ErrorKind::Version),
        }
    }

    /// A fragment never travels in a request (RFC 9112 §3.2).
    fn check_fragment(&self) -> Result<(), ParseError> {
        let start = self.cursor.text as usize;
        let uri = &self.bytes[start..start + self.cursor.text_len as usize];
        match memchr::memchr(b'#', uri) {
            Some(at) if !self.limits.accept_invalid => self.fail(start + at, ErrorKind::Uri),
            Some(_) | None => Ok(()),
        }
    }

    /// A request line without version (HTTP/0.9): only `GET`, and only when invalid requests are accepted. It has no
    /// fields and is sent on as HTTP/1.0.
    fn simple_request(&mut self, at: usize) -> Result<(), ParseError> {
        let line = self.cursor.line as usize;
        let method = &self.bytes[line..line + self.cursor.method_len as usize];
        if !self.limits.accept_invalid || method != b"GET" || self.cursor.text_len == 0 {
            return self.fail(at, ErrorKind::Version);
        }
        self.head.version = Version::Http10;
        self.cursor.odd_line = true;
        Ok(())
    }

    /// Reads a line of the usual shape that is whole, and returns where the next one starts; None leaves it to the
    /// state machine.
    #[inline]
    fn usual_line(&mut self, start: usize) -> Result<Option<usize>, ParseError> {
        let bytes = self.bytes;
        let colon = skip_token(bytes, start);
        let value = colon + 2;
        let end = skip_text(bytes, value.min(bytes.len()));
        let Some(&[b'\r', b'\n', next]) = bytes.get(end..end + 3) else { return Ok(None) };
        let usual = !is_blank(next)
            && colon > start
            && colon - start <= NAME_LEN_MAX
            && bytes[colon..value] == *b": "
            && !(end > value && (is_blank(bytes[value]) || is_blank(bytes[end - 1])));
        if !usual {
            return Ok(None);
        }
        let kind = FieldKind::of(&bytes[start..colon]);
        self.push(Field {
            start: start as u32,
            value: value as u32,
            value_len: (end - value) as u32,
            name_len: (colon - start) as u8,
            kind,
            odd: false,
        })?;
        Ok(Some(end + 2))
    }

    /// Takes the field that the state machine read; `next` is where the line after it starts.
    fn slow_field(&mut self, next: usize) -> Result<(), ParseError> {
        let Cursor { mark, name_len, value, mut value_end, folded, .. } = self.cursor;
        while value_end > value && matches!(self.bytes[value_end as usize - 1], b' ' | b'\t' | b'\r' | b'\n')
        {
            value_end -= 1;
        }
        let odd = folded
            || value != mark + name_len + 2
            || self.bytes[(mark + name_len) as usize + 1] != b' '
            || next != value_end as usize + 2
            || self.bytes[value_end as usize] != b'\r';
        self.cursor.odd_field |= odd;
        let kind = FieldKind::of(&self.bytes[mark as usize..(mark + name_len) as usize]);
        self.push(Field {
            start: mark,
            value,
            value_len: value_end - value,
            name_len: name_len as u8,
            kind,
            odd,
        })
    }

    #[inline]
    fn push(&mut self, field: Field) -> Result<(), ParseError> {
        if self.head.fields.len() + 1 >= self.limits.max_fields {
            return self.fail(field.start as usize, ErrorKind::TooManyFields);
        }
        self.head.kinds |= field.kind.bit();
        self.head.fields.push(field);
        Ok(())
    }

    /// Moves the bytes into the arena, brings odd lines into shape and judges the framing.
    fn complete(&mut self) -> Result<usize, ParseError> {
        let consumed = self.cursor.at as usize;
        let head = &mut *self.head;
        head.arena.clear();
        head.arena.extend_from_slice(&self.bytes[..consumed]);
        let Cursor { line, method_len, text, text_len, .. } = self.cursor;
        match head.side {
            Side::Trailers => {}
            Side::Request if self.cursor.odd_line => {
                let method = &self.bytes[line as usize..(line + method_len) as usize];
                let uri = &self.bytes[text as usize..(text + text_len) as usize];
                head.rewrite_request_line(Some(method), &[uri], head.version);
            }
            Side::Request => {
                head.line = StartLine { start: line, len: method_len + text_len + 12, method_len, text_len };
                head.retarget();
            }
            Side::Response if self.cursor.odd_line => {
                let reason = &self.bytes[text as usize..(text + text_len) as usize];
                head.rewrite_status_line(head.version, head.status, reason);
            }
            Side::Response => {
                head.line = StartLine { start: line, len: text_len + 15, method_len: 0, text_len };
            }
        }
        if self.cursor.odd_field {
            head.straighten();
        }
        self.cursor.state = State::Done;
        head.cursor = self.cursor;
        self.check_room(consumed)?;
        crate::verdict::judge(self.head, self.limits.accept_invalid)?;
        Ok(consumed)
    }

    /// Whether HAProxy would have room for the head.
    fn check_room(&self, consumed: usize) -> Result<(), ParseError> {
        let fields = self.head.fields.len();
        // Most heads are far away from the limit: no need to add up what each costs.
        if consumed + HEAD_COST + 2 * FIELD_COST * fields <= self.limits.max_head {
            return Ok(());
        }
        // On the wire a line has two spaces and its end, a field a colon, a space and its end, a head its end.
        let texts = self.head.wire_len().saturating_sub(6 + 4 * fields);
        if texts + FIELD_COST * fields + HEAD_COST > self.limits.max_head {
            return self.fail(consumed, ErrorKind::HeadTooLong);
        }
        Ok(())
    }
}
