//! The HTTP response of a check, as it comes in: head, then the decoded body up to a bound. Never judges it.

use http::{ChunkDecoder, Framing, Head, Limits, Method, Parsed, Step, parse_response};

/// A response being received.
#[derive(Debug)]
pub(crate) struct Response {
    method: Method,
    raw: Vec<u8>,
    head: Head,
    /// The first interim (1xx) response, if there was one.
    interim: Option<Head>,
    pub(crate) body: Vec<u8>,
    stage: Stage,
    size_max: usize,
}

#[derive(Debug)]
enum Stage {
    Head,
    /// Bytes left; `None`: until the server closes.
    Body(Option<u64>),
    Chunked(Box<ChunkDecoder>),
    /// All is here, or no more fits.
    Complete,
    Malformed,
}

impl Response {
    /// Waits for the response to a `method` request; head and body are kept up to `size_max` bytes.
    pub(crate) fn new(method: Method, size_max: usize) -> Response {
        Response {
            method,
            raw: Vec::new(),
            head: Head::new(),
            interim: None,
            body: Vec::new(),
            stage: Stage::Head,
            size_max,
        }
    }

    pub(crate) fn has_head(&self) -> bool {
        !matches!(self.stage, Stage::Head | Stage::Malformed)
    }

    /// The head to judge, once [`Response::has_head`].
    pub(crate) fn head(&self) -> &Head {
        self.interim.as_ref().unwrap_or(&self.head)
    }

    pub(crate) fn is_malformed(&self) -> bool {
        matches!(self.stage, Stage::Malformed)
    }

    /// Nothing more will be taken.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Complete)
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        match self.stage {
            Stage::Head => self.take_head(bytes),
            Stage::Body(_) | Stage::Chunked(_) => self.take_body(bytes),
            Stage::Complete | Stage::Malformed => {}
        }
    }

    fn take_head(&mut self, bytes: &[u8]) {
        let room = self.size_max.saturating_sub(self.raw.len());
        let fits = &bytes[..bytes.len().min(room)];
        self.raw.extend_from_slice(fits);
        let limits = Limits { max_head: self.size_max, ..Limits::default() };
        // Each turn takes a whole head out of `raw`, which is bounded.
        loop {
            match parse_response(&self.raw, &limits, &mut self.head) {
                Ok(Parsed::Partial) if fits.len() == bytes.len() => return,
                Ok(Parsed::Partial) | Err(_) => {
                    self.stage = Stage::Malformed;
                    return;
                }
                Ok(Parsed::Complete { consumed }) => {
                    self.raw.drain(..consumed);
                    if !matches!(self.head.status(), 100 | 102..=199) {
                        break;
                    }
                    // An interim response comes through with the final one, and is then what gets judged.
                    let head = std::mem::take(&mut self.head);
                    self.interim.get_or_insert(head);
                }
            }
        }
        self.stage = match self.head.response_framing(self.method) {
            Framing::None | Framing::Length(0) => Stage::Complete,
            Framing::Length(length) => Stage::Body(Some(length)),
            Framing::UntilClose => Stage::Body(None),
            Framing::Chunked => Stage::Chunked(Box::default()),
        };
        let rest = std::mem::take(&mut self.raw);
        self.take_body(&rest);
        self.take_body(&bytes[fits.len()..]);
    }

    fn take_body(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.size_max.saturating_sub(self.raw.len() + self.body.len());
            let data = match &mut self.stage {
                Stage::Body(Some(left)) => {
                    let len = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= len as u64;
                    let ended = *left == 0;
                    let data = &bytes[..len];
                    bytes = if ended { &[] } else { &bytes[len..] };
                    if ended {
                        self.stage = Stage::Complete;
                    }
                    data
                }
                Stage::Body(None) => std::mem::take(&mut bytes),
                Stage::Chunked(decoder) => match decoder.next(bytes) {
                    Ok(Step::Data { skip, len }) => {
                        let data = &bytes[skip..skip + len];
                        bytes = &bytes[skip + len..];
                        data
                    }
                    Ok(Step::NeedMore) => return,
                    Ok(Step::End { .. }) => {
                        self.stage = Stage::Complete;
                        return;
                    }
                    Err(_) => {
                        self.stage = Stage::Malformed;
                        return;
                    }
                },
                Stage::Head | Stage::Complete | Stage::Malformed => return,
            };
            self.body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() >= room {
                self.stage = Stage::Complete;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(pieces: &[&[u8]]) -> Response {
        let mut response = Response::new(Method::Get, 16_384);
        pieces.iter().for_each(|piece| response.take(piece));
        response
    }

    #[test]
    fn a_body_of_known_length_ends_the_response() {
        let response = received(&[b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 5\r\n\r\nhel", b"lo, and more"]);
        assert!(response.is_complete());
        assert_eq!(response.body, b"hello");
    }

    #[test]
    fn chunks_are_joined() {
        let response = received(&[
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwor\r",
            b"\n2\r\nld\r\n0\r\n\r\n",
        ]);
        assert!(response.is_complete());
        assert_eq!(response.body, b"world");
    }

    #[test]
    fn a_body_without_length_goes_on_until_the_server_closes() {
        let response = received(&[b"HTTP/1.0 200 OK\r\n\r\nabc"]);
        assert!(response.has_head() && !response.is_complete());
        assert_eq!(response.body, b"abc");
    }

    #[test]
    fn what_exceeds_the_buffer_is_not_kept() {
        let mut response = Response::new(Method::Get, 100);
        response.take(b"HTTP/1.0 200 OK\r\n\r\n");
        response.take(&[b'a'; 1000]);
        assert!(response.is_complete());
        assert!(response.body.len() <= 100);
    }

    #[test]
    fn bad_chunks_and_bad_heads_are_malformed() {
        assert!(received(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]).is_malformed());
        assert!(received(&[b"garbage\r\n\r\n"]).is_malformed());
    }
}
