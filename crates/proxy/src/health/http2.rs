//! Checks over HTTP/2: the conversation speaks HTTP/1, and this says the same in frames and back. One request at a time;
//! the connection ends with this.

use crate::http2::{Link, outgoing, server_side};
use crate::net::buffers::Pending;
use crate::net::{Stream, clock};
use ::http2::{Connection, Role, StreamError, StreamKey};
use haproxy_config::model::Tune;
use http::{Head, Limits, Parsed};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Bytes of a body that are looked at in one turn.
const PIECE: usize = 16 * 1024;

/// What still comes of the response.
#[derive(Clone, Copy)]
enum Expected {
    Nothing,
    Head(StreamKey),
    Body(StreamKey),
}

/// The connection of a check.
pub struct Http2Check {
    link: Rc<Link>,
    /// What of the request's body found no room in the server's window yet.
    unsent: Vec<u8>,
    expected: Expected,
}

fn broken(error: StreamError) -> io::Error {
    match error {
        StreamError::Reset(reason) | StreamError::Broken(reason) => {
            io::Error::new(io::ErrorKind::ConnectionReset, reason.to_string())
        }
        StreamError::Closed => io::ErrorKind::ConnectionReset.into(),
    }
}

impl Http2Check {
    /// Says the preface.
    pub fn start(stream: Stream, tune: &Tune) -> Http2Check {
        let connection = Connection::new(Role::Client, server_side(tune), clock::now());
        let link = Link::new(stream, Pending::new(), connection);
        Http2Check { link, unsent: Vec::new(), expected: Expected::Nothing }
    }

    /// Says the request that `bytes` are in HTTP/1; what does not go out at once does while the response is waited for.
    ///
    /// # Errors
    /// They are no whole request, or the connection takes none.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut head = Head::new();
        let Ok(Parsed::Complete { consumed }) = http::parse_request(bytes, &Limits::default(), &mut head)
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let outgoing = outgoing(&head, self.link.with(Stream::is_secure));
        self.unsent = bytes[consumed..].to_vec();
        let (ends, is_head) = (self.unsent.is_empty(), head.method() == b"HEAD");
        let opened = self.link.connection(|connection| {
            let fields = outgoing.fields(&head);
            connection.takes_streams().then(|| connection.open(outgoing.head(), fields, ends, is_head))
        });
        let stream = opened.ok_or(io::ErrorKind::ConnectionReset)?;
        let key = stream.map_err(|_| io::ErrorKind::InvalidInput)?;
        self.expected = Expected::Head(key);
        poll_fn(|context| {
            let sent = self.poll_body(key, context);
            // Whether the connection has ended is heard with the response.
            let _ = self.link.poll_move(context, |_| {});
            Poll::Ready(sent)
        })
        .await
    }

    /// The next bytes of the response in HTTP/1, without a length: its end is the end. `None`: that is it.
    pub fn poll_response(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        let over = self.link.poll_move(context, |_| {});
        let polled = self.poll_stream(context);
        if polled.is_pending() && over.is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        polled
    }

    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
        match self.expected {
            Expected::Nothing => Poll::Ready(Ok(None)),
            Expected::Head(key) => {
                self.poll_body(key, context)?;
                let came = ready!(self.link.connection(|connection| connection.poll_head(key, context)));
                let fields = came.map_err(broken)?;
                let mut head = Head::new();
                let status = fields.status().unwrap_or_default();
                head.start_streamed_response(status);
                for (name, value) in fields.iter() {
                    head.add(name, value);
                }
                if status >= 200 {
                    self.expected = Expected::Body(key);
                }
                let mut bytes = Vec::new();
                head.write_http1(false, &mut bytes);
                Poll::Ready(Ok(Some(bytes)))
            }
            Expected::Body(key) => {
                let mut piece = vec![0; PIECE];
                let read =
                    ready!(self.link.connection(|connection| connection.poll_read(key, context, &mut piece)));
                match read.map_err(broken)? {
                    0 => {
                        self.expected = Expected::Nothing;
                        Poll::Ready(Ok(None))
                    }
                    count => {
                        piece.truncate(count);
                        Poll::Ready(Ok(Some(piece)))
                    }
                }
            }
        }
    }

    /// Sends the body of the request as far as it goes.
    fn poll_body(&mut self, key: StreamKey, context: &mut Context<'_>) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let written =
                self.link.connection(|connection| connection.poll_write(key, context, &self.unsent, true));
            match written {
                Poll::Ready(Ok(count)) => drop(self.unsent.drain(..count)),
                Poll::Ready(Err(error)) => return Err(broken(error)),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }
}
