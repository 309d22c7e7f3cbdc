//! A client of raw bytes: owns one connection to a program, never hides what went over it.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::PATIENCE;
use crate::wire::{Asked, Reader, Response};

/// One connection; closed when dropped.
#[derive(Debug)]
pub struct Client {
    reader: Reader,
}

impl Client {
    /// Connects to the port of 127.0.0.1.
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        Self::connect_to(&format!("127.0.0.1:{port}"))
    }

    /// Connects to `address:port`.
    #[track_caller]
    pub fn connect_to(address: &str) -> Self {
        let stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self::over(stream)
    }

    /// Connects to a UNIX socket.
    #[track_caller]
    pub fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("connect to {path:?}: {error}"));
        // The standard library's two stream types differ in addresses only, of which this client asks none.
        Self::over(TcpStream::from(OwnedFd::from(stream)))
    }

    fn over(stream: TcpStream) -> Self {
        let reader = Reader::new(stream);
        reader.timeout(PATIENCE);
        Self { reader }
    }

    /// Changes how long reads wait.
    pub fn patience(self, patience: Duration) -> Self {
        self.reader.timeout(patience);
        self
    }

    /// The client's own port.
    pub fn local_port(&self) -> u16 {
        self.reader.stream.local_addr().expect("a local address").port()
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.reader.stream.write_all(bytes.as_ref()).expect("the program takes the bytes");
        self
    }

    /// Sends where a reset by the program is part of the scenario.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.stream.write_all(bytes.as_ref())
    }

    /// Reads one response with its body.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.reader.response(Asked::Other).expect("a whole response").expect("a response before the close")
    }

    /// Reads the response to a HEAD request.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.reader.response(Asked::Head).expect("a whole response").expect("a response before the close")
    }

    /// Reads one response, or tells how the connection ended instead.
    pub fn try_response(&mut self) -> Result<Response, String> {
        match self.reader.response(Asked::Other) {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err("closed".to_owned()),
            Err(error) => Err(end_name(&error)),
        }
    }

    /// Sends the bytes and reads one response.
    #[track_caller]
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.send(bytes);
        self.response()
    }

    /// Exactly so many bytes, as text.
    #[track_caller]
    pub fn exact(&mut self, length: usize) -> String {
        let bytes = self.reader.exact(length).expect("that many bytes");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Everything until the program closes; panics if it does not within the patience.
    #[track_caller]
    pub fn read_to_close(&mut self) -> String {
        let (bytes, end) = self.reader.rest();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match end {
            Ok(()) => text,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => text,
            Err(error) => panic!("no close, {error}, after {text:?}"),
        }
    }

    /// Everything that arrives within the time, and how it ended: `open`, `closed` or `reset`.
    pub fn read_for(&mut self, time: Duration) -> (String, String) {
        self.reader.timeout(time);
        let (bytes, end) = self.reader.rest();
        self.reader.timeout(PATIENCE);
        let end = end.map_or_else(|error| end_name(&error), |()| "closed".to_owned());
        (String::from_utf8_lossy(&bytes).into_owned(), end)
    }

    /// Waits until at least so many bytes of a body have come behind the head; takes nothing.
    pub fn peek_body(&mut self, length: usize) -> bool {
        self.reader.has_body(length)
    }

    /// Half-closes: no more bytes from here, reading goes on.
    pub fn finish_sending(&mut self) -> &mut Self {
        // A program that already reset the connection is the scenario's matter, seen at the next read.
        let _ = self.reader.stream.shutdown(Shutdown::Write);
        self
    }

    /// Closes with a TCP reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.reader.stream, Some(Duration::ZERO))
            .expect("SO_LINGER");
    }
}

fn end_name(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "open".to_owned(),
        io::ErrorKind::ConnectionReset => "reset".to_owned(),
        _ => error.to_string(),
    }
}
