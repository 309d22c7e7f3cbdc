//! Scripted servers inside the test: owns their listeners, connections and the record of what they received.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::port::ReservedPort;
use crate::wait_until;
use crate::wire::{Reader, Request};

/// A server on a port of 127.0.0.1; stops listening when dropped.
#[derive(Debug)]
pub struct Backend {
    port: u16,
    shared: Arc<Shared>,
    reservation: Option<ReservedPort>,
    listening: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    streams: Mutex<Vec<(usize, TcpStream)>>,
}

/// What a server does with one connection; the second argument records a request.
type Script = dyn Fn(&mut Connection, &dyn Fn(Request)) -> io::Result<()> + Send + Sync;

/// One accepted connection, for servers that script every byte.
#[derive(Debug)]
pub struct Connection {
    /// Ordinal of the connection at this backend, from 0.
    pub number: usize,
    reader: Reader,
}

/// What an HTTP backend answers to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    bytes: Vec<u8>,
    delay: Duration,
    close: bool,
}

impl Reply {
    /// 200 with the body and its length.
    pub fn ok(body: &str) -> Self {
        Self::status("200 OK", &[], body)
    }

    /// Any status line and headers, Content-Length added.
    pub fn status(status: &str, headers: &[&str], body: &str) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        Self::raw(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// 200 with the body in the given chunks, then trailers (whole lines without line ends).
    pub fn chunked(chunks: &[&str], trailers: &[&str]) -> Self {
        let mut text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for chunk in chunks {
            text.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        }
        text.push_str("0\r\n");
        for trailer in trailers {
            text.push_str(&format!("{trailer}\r\n"));
        }
        Self::raw(text + "\r\n")
    }

    /// These bytes and nothing else.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), delay: Duration::ZERO, close: false }
    }

    /// Nothing but the close of the connection.
    pub fn nothing() -> Self {
        Self::raw("").close()
    }

    /// Waits so long before the first byte.
    pub fn after(mut self, milliseconds: u64) -> Self {
        self.delay = Duration::from_millis(milliseconds);
        self
    }

    /// Closes the connection after the bytes.
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }
}

impl Backend {
    /// A keep-alive HTTP/1 server that answers by the function.
    pub fn http(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::http_on(ReservedPort::new(), answer)
    }

    /// The same on a port chosen before, for servers that come and go.
    pub fn http_on(port: ReservedPort, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::raw_on(port, move |connection, record| {
            while let Some(request) = connection.request()? {
                let reply = answer(&request);
                record(request);
                thread::sleep(reply.delay);
                connection.send(&reply.bytes)?;
                if reply.close {
                    break;
                }
            }
            Ok(())
        })
    }

    /// A server that answers 200 with its own name: for scenarios that ask who got the request.
    pub fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self::http(move |_| Reply::ok(&name))
    }

    /// The same on a port chosen before.
    pub fn named_on(port: ReservedPort, name: &str) -> Self {
        let name = name.to_owned();
        Self::http_on(port, move |_| Reply::ok(&name))
    }

    /// Sends back every byte, half-closes when the peer did.
    pub fn tcp_echo() -> Self {
        Self::raw(|connection, _| {
            let mut buffer = [0; 65_536];
            loop {
                let length = connection.reader.stream.read(&mut buffer)?;
                if length == 0 {
                    return connection.finish_sending();
                }
                connection.send(&buffer[..length])?;
            }
        })
    }

    /// A server that runs the script for each connection and then closes it; errors of the socket end it too.
    ///
    /// The second argument records a request for [`Backend::requests`].
    pub fn raw(
        script: impl Fn(&mut Connection, &dyn Fn(Request)) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::raw_on(ReservedPort::new(), script)
    }

    /// The same on a port chosen before.
    pub fn raw_on(
        reservation: ReservedPort,
        script: impl Fn(&mut Connection, &dyn Fn(Request)) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let port = reservation.number();
        let listener = reservation.listen();
        let shared = Arc::new(Shared::default());
        let for_listener = shared.clone();
        let script = Arc::new(script);
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                if for_listener.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (shared, script) = (for_listener.clone(), script.clone());
                thread::spawn(move || serve(stream, &shared, &*script));
            }
        });
        Self { port, shared, reservation: Some(reservation), listening: Some(listening) }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Every request received whole so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no script panics").clone()
    }

    /// The last request received.
    #[track_caller]
    pub fn last(&self) -> Request {
        self.requests().pop().expect("the backend received a request")
    }

    /// Waits for so many requests.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        wait_until(&format!("{count} requests at the backend"), || self.requests().len() >= count);
    }

    /// Stops listening (connects are refused from now on) and gives the port back; connections go on.
    pub fn stop(mut self) -> ReservedPort {
        self.close_listener();
        self.reservation.take().expect("the reservation is there until the stop")
    }

    /// Stops listening and shuts every connection, as a killed server does.
    pub fn kill(mut self) -> ReservedPort {
        self.close_listener();
        for (_, stream) in self.shared.streams.lock().expect("no script panics").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.reservation.take().expect("the reservation is there until the stop")
    }

    fn close_listener(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(listening) = self.listening.take() {
            // Wakes the accept; the listener's thread sees the flag and drops the listener.
            let _ = TcpStream::connect(("127.0.0.1", self.port));
            listening.join().expect("the listener's thread only accepts");
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.close_listener();
    }
}

fn serve(stream: TcpStream, shared: &Shared, script: &Script) {
    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
    shared.open.fetch_add(1, Ordering::SeqCst);
    if let Ok(copy) = stream.try_clone() {
        shared.streams.lock().expect("no script panics").push((number, copy));
    }
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut connection = Connection { number, reader: Reader::new(stream) };
    connection.reader.timeout(Duration::from_secs(60));
    let record = |request| shared.requests.lock().expect("no script panics").push(request);
    // The peer's resets and timeouts are part of scenarios: they show at the client, not here.
    let _ = script(&mut connection, &record);
    // The copy goes first: a reset needs the last descriptor to be the one that closes.
    shared.streams.lock().expect("no script panics").retain(|(copied, _)| *copied != number);
    drop(connection);
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

impl Connection {
    /// Reads a whole request; `None` when the peer closed.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        let Some(mut request) = self.reader.request_head(self.number)? else { return Ok(None) };
        self.reader.request_body(&mut request)?;
        Ok(Some(request))
    }

    /// Reads a head alone, for scripts that answer before the body.
    pub fn request_head(&mut self) -> io::Result<Option<Request>> {
        self.reader.request_head(self.number)
    }

    /// Reads the body of a head read before.
    pub fn request_body(&mut self, request: &mut Request) -> io::Result<()> {
        self.reader.request_body(request)
    }

    /// Reads exactly so many bytes.
    pub fn exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.reader.exact(length)
    }

    /// Reads up to and with the delimiter.
    pub fn until(&mut self, delimiter: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.reader.until(delimiter)
    }

    /// Reads until the peer closes its side.
    pub fn rest(&mut self) -> Vec<u8> {
        self.reader.rest().0
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.stream.write_all(bytes.as_ref())
    }

    /// The other side's address and port.
    pub fn peer(&self) -> String {
        self.reader.stream.peer_addr().map(|address| address.to_string()).unwrap_or_default()
    }

    /// Half-closes.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.reader.stream.shutdown(Shutdown::Write)
    }

    /// Closes with a reset at the end of the script.
    pub fn reset(&mut self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(&self.reader.stream, Some(Duration::ZERO))?;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}
