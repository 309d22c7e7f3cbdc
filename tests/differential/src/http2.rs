//! A client of HTTP/2 that sends the frames it is told to, right or wrong, and tells which came back. Knows just enough
//! of HPACK (RFC 7541) to write headers plainly and to read a status.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What a client says first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 §6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Error codes (RFC 9113 §7).
pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const COMPRESSION_ERROR: u32 = 9;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Header fields, each as a literal that no table remembers.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            // A prefix of seven bits (RFC 7541 §5.1); the tests need no more than two bytes.
            let length = text.len();
            match u8::try_from(length).ok().filter(|&length| length < 127) {
                Some(length) => bytes.push(length),
                None => {
                    let mut rest = length - 127;
                    bytes.push(127);
                    while rest >= 128 {
                        bytes.push((rest % 128) as u8 | 128);
                        rest /= 128;
                    }
                    bytes.push(rest as u8);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// The fields of a request, with more behind.
pub fn request<'a>(method: &'a str, path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<u8> {
    let mut fields =
        vec![(":method", method), (":scheme", "http"), (":authority", "test.example"), (":path", path)];
    fields.extend_from_slice(more);
    block(&fields)
}

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of RST_STREAM or GOAWAY.
    pub fn error_code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        let bytes: [u8; 4] = self.payload.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// The status of HEADERS that begin with one.
    pub fn status(&self) -> Option<u16> {
        // RFC 7541, Appendix A: indices 8 to 14.
        const KNOWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        let mut block = (self.kind == HEADERS).then_some(&self.payload[..])?;
        while let [0x20..=0x3f, rest @ ..] = block {
            // A change of the table's size.
            block = rest;
        }
        match block {
            [index @ 0x88..=0x8e, ..] => Some(KNOWN[usize::from(index - 0x88)]),
            [0x08 | 0x18 | 0x48, 3, digits @ ..] => std::str::from_utf8(digits.get(..3)?).ok()?.parse().ok(),
            [0x08 | 0x18 | 0x48, length, rest @ ..] if length & 0x80 != 0 => {
                digits(rest.get(..usize::from(length & 0x7f))?)
            }
            _ => None,
        }
    }
}

/// Three digits in the code of RFC 7541, Appendix B: 0 to 2 have five bits, 3 to 9 six.
fn digits(bytes: &[u8]) -> Option<u16> {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let mut take =
            |count: u32| -> Option<u16> { (0..count).try_fold(0, |value, _| Some(value * 2 + bits.next()?)) };
        let five = take(5)?;
        let digit = if five <= 2 { five } else { (five * 2 + take(1)?).checked_sub(0b01_1001)? + 3 };
        number = number * 10 + digit;
    }
    Some(number)
}

/// What a read brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    Frame(Frame),
    /// The other side has closed.
    End,
    /// Nothing in time.
    Nothing,
}

/// The client.
pub struct FrameClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl FrameClient {
    /// Connects and says nothing.
    pub fn silent(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a proxy that listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, buffer: Vec::new() }
    }

    /// Connects, and says the preface and empty SETTINGS.
    pub fn connect(port: u16) -> Self {
        Self::with_settings(port, &[])
    }

    /// The same with settings.
    pub fn with_settings(port: u16, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::silent(port);
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        client.send(PREFACE);
        client.send(&frame(SETTINGS, 0, 0, &payload));
        client
    }

    /// Sends bytes; whether they went out. A proxy that closed meanwhile is no error.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Opens a stream with a request that has no body.
    pub fn get(&mut self, stream: u32, path: &str) {
        self.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", path, &[])));
    }

    /// The next frame. SETTINGS are acknowledged.
    pub fn next(&mut self, within: Duration) -> Came {
        let end = Instant::now() + within;
        loop {
            if let Some(found) = self.take() {
                if found.kind == SETTINGS && found.flags & ACK == 0 {
                    self.send(&frame(SETTINGS, ACK, 0, b""));
                }
                return Came::Frame(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Came::Nothing;
            }
            self.stream.set_read_timeout(Some(left)).expect("a timeout above zero");
            let mut bytes = [0; 65_536];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Came::End,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Came::Nothing;
                }
                Err(_) => return Came::End,
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, s1, s2, s3, s4, ..] = *self.buffer.as_slice() else { return None };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if self.buffer.len() < 9 + length {
            return None;
        }
        let payload = self.buffer[9..9 + length].to_vec();
        self.buffer.drain(..9 + length);
        Some(Frame { kind, flags, stream: u32::from_be_bytes([s1, s2, s3, s4]), payload })
    }

    /// Reads until a frame satisfies `wanted`, within the patience of all scenarios; panics when it does not come.
    pub fn until(&mut self, what: &str, mut wanted: impl FnMut(&Frame) -> bool) -> Frame {
        let end = Instant::now() + crate::PATIENCE;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Came::Frame(found) if wanted(&found) => return found,
                Came::Frame(_) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    }

    /// The response on a stream: status, body, and the code of a reset, if that ended it.
    pub fn answer(&mut self, stream: u32) -> (Option<u16>, Vec<u8>, Option<u32>) {
        let (mut status, mut body) = (None, Vec::new());
        loop {
            let found = self.until("an answer", |frame| frame.stream == stream);
            match found.kind {
                HEADERS if status.is_none_or(|status| status < 200) => status = found.status(),
                DATA => body.extend_from_slice(&found.payload),
                RST_STREAM => return (status, body, found.error_code()),
                _ => {}
            }
            if matches!(found.kind, HEADERS | DATA) && found.flags & END_STREAM != 0 {
                return (status, body, None);
            }
        }
    }

    /// How the proxy ends what it was not meant to like: the code of the reset of a stream or of the connection, or
    /// `None` when it closed without a word. Panics when it goes on.
    pub fn complaint(&mut self) -> Option<u32> {
        let end = Instant::now() + crate::PATIENCE;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Came::Frame(found) => {
                    if let Some(code) = found.error_code() {
                        return Some(code);
                    }
                }
                Came::End => return None,
                Came::Nothing => panic!("the proxy took what it must not"),
            }
        }
    }
}
