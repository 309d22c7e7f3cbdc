//! HTTP/1 messages as a test sees them: owns the reading of whole messages from a socket, never judges them.

use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// No test sends a message longer than this.
const MESSAGE_LENGTH_MAX: usize = 64 << 20;

/// Names in lower case, values as received, in order.
pub type Headers = Vec<(String, String)>;

/// Bytes read from a socket beyond the message asked for stay here for the next one.
#[derive(Debug)]
pub(crate) struct Reader {
    pub stream: TcpStream,
    pending: Vec<u8>,
}

/// A request as a backend received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which connection of the backend it came on, from 0.
    pub connection: usize,
    pub method: String,
    pub target: String,
    pub version: String,
    /// Names in lower case, values as received, in order.
    pub headers: Headers,
    /// Decoded if it came in chunks.
    pub body: String,
    /// The compressed format that the body was in, where `content-encoding` announced one.
    pub coding: Option<Coding>,
    pub trailers: Headers,
}

/// A response as a client received it.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub version: String,
    pub status: u16,
    pub reason: String,
    /// Names in lower case, values as received, in order.
    pub headers: Headers,
    /// Decoded if it came in chunks, and from the compressed format.
    pub body: String,
    /// The compressed format that the body was in, where `content-encoding` announced one.
    pub coding: Option<Coding>,
    pub trailers: Headers,
}

/// What the bytes of a body are, whatever `content-encoding` calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Zlib,
    RawDeflate,
    /// Announced, and not there or not whole.
    Broken,
}

/// Finds out which format the body is in, and decodes it.
fn decoded(headers: &[(String, String)], body: Vec<u8>) -> (Vec<u8>, Option<Coding>) {
    let announced = find(headers, "content-encoding").is_some_and(|coding| coding != "identity");
    if !announced || body.is_empty() {
        return (body, None);
    }
    let gzip = || read_whole(GzDecoder::new(&body[..])).map(|plain| (plain, Some(Coding::Gzip)));
    let zlib = || read_whole(ZlibDecoder::new(&body[..])).map(|plain| (plain, Some(Coding::Zlib)));
    let raw = || read_whole(DeflateDecoder::new(&body[..])).map(|plain| (plain, Some(Coding::RawDeflate)));
    let found = gzip().or_else(|_| zlib()).or_else(|_| raw());
    found.unwrap_or_else(|_| (body.clone(), Some(Coding::Broken)))
}

fn read_whole(mut decoder: impl Read) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain)?;
    Ok(plain)
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
}

impl Request {
    /// The first value of the header (name in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Every value of the header, in order.
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Request line and headers as lines, for whole comparisons.
    pub fn head(&self) -> Vec<String> {
        let line = format!("{} {} {}", self.method, self.target, self.version);
        std::iter::once(line)
            .chain(self.headers.iter().map(|(name, value)| format!("{name}: {value}")))
            .collect()
    }
}

impl Response {
    /// The first value of the header (name in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Every value of the header, in order.
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} {} {}", self.version, self.status, self.reason)?;
        for (name, value) in &self.headers {
            writeln!(formatter, "{name}: {value}")?;
        }
        if let Some(coding) = self.coding {
            writeln!(formatter, "({coding:?})")?;
        }
        write!(formatter, "\n{}", self.body)?;
        for (name, value) in &self.trailers {
            write!(formatter, "\n(trailer) {name}: {value}")?;
        }
        Ok(())
    }
}

/// How the end of a response's body is known, besides its own headers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Head,
    Other,
}

impl Reader {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, pending: Vec::new() }
    }

    pub fn timeout(&self, timeout: Duration) {
        // Zero would mean "for ever" to the kernel's interface.
        let timeout = timeout.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(timeout)).expect("a read timeout");
    }

    /// Reads more bytes into `pending`; false at end of stream.
    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 65_536];
        let length = self.stream.read(&mut buffer)?;
        self.pending.extend_from_slice(&buffer[..length]);
        if self.pending.len() > MESSAGE_LENGTH_MAX {
            return Err(io::Error::other("message too long for a test"));
        }
        Ok(length > 0)
    }

    /// Takes everything that was read already and arrives until close, reset or the read timeout.
    pub fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let end = loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (std::mem::take(&mut self.pending), end)
    }

    /// Exactly so many bytes.
    pub fn exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.pending.len() < length {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.pending.drain(..length).collect())
    }

    /// Reads until so many bytes have come behind an empty line; false when the stream ends or fails before.
    pub fn has_body(&mut self, length: usize) -> bool {
        loop {
            let head = self.pending.windows(4).position(|window| window == b"\r\n\r\n");
            if head.is_some_and(|head| self.pending.len() >= head + 4 + length) {
                return true;
            }
            if !matches!(self.fill(), Ok(true)) {
                return false;
            }
        }
    }

    /// Up to and with the delimiter; `None` when the stream ended before its first byte.
    pub fn until(&mut self, delimiter: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let found =
                self.pending[searched..].windows(delimiter.len()).position(|window| window == delimiter);
            if let Some(position) = found {
                let end = searched + position + delimiter.len();
                return Ok(Some(self.pending.drain(..end).collect()));
            }
            searched = self.pending.len().saturating_sub(delimiter.len() - 1);
            if !self.fill()? {
                return if self.pending.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::other(format!(
                        "stream ended inside: {:?}",
                        String::from_utf8_lossy(&self.pending)
                    )))
                };
            }
        }
    }

    fn head(&mut self) -> io::Result<Option<(String, Headers)>> {
        let Some(bytes) = self.until(b"\r\n\r\n")? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        Ok(Some((first, lines.map(split_header).collect())))
    }

    fn chunked(&mut self) -> io::Result<(Vec<u8>, Headers)> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n")?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let size = line.trim().split(';').next().unwrap_or_default().trim().to_owned();
            let size = usize::from_str_radix(&size, 16)
                .map_err(|_| io::Error::other(format!("not a chunk size: {line:?}")))?;
            if size == 0 {
                break;
            }
            body.extend(self.exact(size)?);
            self.exact(2)?;
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.until(b"\r\n")?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let line = line.trim_end();
            if line.is_empty() {
                return Ok((body, trailers));
            }
            trailers.push(split_header(line));
        }
    }

    /// Reads the head of the next request; `None` when the client closed.
    pub fn request_head(&mut self, connection: usize) -> io::Result<Option<Request>> {
        let Some((first, headers)) = self.head()? else { return Ok(None) };
        let mut words = first.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (method, target, version) = (word(), word(), word());
        let (body, trailers) = (String::new(), Vec::new());
        Ok(Some(Request { connection, method, target, version, headers, body, coding: None, trailers }))
    }

    /// Reads the body that the head announces into the request.
    pub fn request_body(&mut self, request: &mut Request) -> io::Result<()> {
        let chunked = request.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
        let length = request.header("content-length").map(str::parse::<usize>);
        let body = match length {
            _ if chunked => {
                let (body, trailers) = self.chunked()?;
                request.trailers = trailers;
                body
            }
            Some(Ok(length)) => self.exact(length)?,
            Some(Err(error)) => return Err(io::Error::other(error)),
            None => Vec::new(),
        };
        let (body, coding) = decoded(&request.headers, body);
        request.body = String::from_utf8_lossy(&body).into_owned();
        request.coding = coding;
        Ok(())
    }

    /// Reads a whole response; `None` when the server closed before its first byte.
    pub fn response(&mut self, asked: Asked) -> io::Result<Option<Response>> {
        let Some((first, headers)) = self.head()? else { return Ok(None) };
        let mut words = first.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (version, status, reason) = (word(), word(), word());
        let status = status.parse().map_err(|_| io::Error::other(format!("not a status line: {first:?}")))?;
        let mut trailers = Vec::new();
        let bodiless = asked == Asked::Head || matches!(status, 100..200 | 204 | 304);
        let body = if bodiless {
            Vec::new()
        } else if find(&headers, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            let (body, received) = self.chunked()?;
            trailers = received;
            body
        } else if let Some(length) = find(&headers, "content-length") {
            self.exact(length.parse().map_err(io::Error::other)?)?
        } else {
            let (body, end) = self.rest();
            end?;
            body
        };
        let (body, coding) = decoded(&headers, body);
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Some(Response { version, status, reason, headers, body, coding, trailers }))
    }
}

fn split_header(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_ascii_lowercase(), value.trim().to_owned())
}
