//! A small HTTP/1.1 server: one request to a connection, heads and bodies bounded, every step with a time limit. Owns the
//! bytes; what is answered is the handler's.

use http::{Head, Limits, Parsed, parse_request};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Clients at one time; more wait in the listener's queue.
const CLIENTS_MAX: usize = 64;
const HEAD_LENGTH_MAX: usize = 16 * 1024;
const BODY_LENGTH_MAX: usize = 4 * 1024;
/// What a request, and what its answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rest after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub struct Request {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Request {
    /// The URI without its query.
    pub fn path(&self) -> &[u8] {
        let uri = self.head.uri();
        uri.split(|byte| *byte == b'?').next().unwrap_or_default()
    }
}

/// An answer; all of them forbid caches, frames and guesses of types.
pub struct Response {
    pub status: u16,
    pub kind: &'static str,
    /// More fields, each with its line end.
    pub fields: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, kind, fields: String::new(), body: body.into() }
    }

    fn bytes(&self, with_body: bool) -> Vec<u8> {
        let reason = http::status::reason(self.status);
        let mut bytes = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n{}\r\n",
            self.status,
            self.kind,
            self.body.len(),
            self.fields,
        )
        .into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Serves clients one by one, each in a task of its own; never ends. Needs a local task set.
pub async fn serve<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Request) -> A + 'static,
    A: Future<Output = Response> + 'static,
{
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    let answer = Rc::new(answer);
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let answer = Rc::clone(&answer);
                tokio::task::spawn_local(async move {
                    // How a client leaves is its own business.
                    let _ = converse(stream, &*answer).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn converse<F, A>(mut stream: TcpStream, answer: &F) -> io::Result<()>
where
    F: Fn(Request) -> A,
    A: Future<Output = Response>,
{
    let received = tokio::time::timeout(PATIENCE, receive(&mut stream)).await?;
    let (response, with_body) = match received {
        Ok(request) => {
            let with_body = request.head.method() != b"HEAD";
            (answer(request).await, with_body)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            (Response::new(400, "text/plain", "bad request\n"), true)
        }
        Err(error) => return Err(error),
    };
    let send = async {
        stream.write_all(&response.bytes(with_body)).await?;
        stream.shutdown().await
    };
    tokio::time::timeout(PATIENCE, send).await?
}

async fn receive(stream: &mut TcpStream) -> io::Result<Request> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let limits = Limits { max_head: HEAD_LENGTH_MAX, ..Limits::default() };
    let mut head = Head::new();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let consumed = loop {
        match parse_request(&received, &limits, &mut head) {
            Ok(Parsed::Complete { consumed }) => break consumed,
            Ok(Parsed::Partial) => {}
            Err(_) => return Err(bad()),
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&buffer[..count]),
        }
    };
    let length = match head.get(b"content-length") {
        None if head.get(b"transfer-encoding").is_some() => return Err(bad()),
        None => 0,
        Some(text) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse::<usize>().ok()).ok_or_else(bad)?
        }
    };
    if length > BODY_LENGTH_MAX {
        return Err(bad());
    }
    let mut body = received.split_off(consumed);
    while body.len() < length {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
    body.truncate(length);
    Ok(Request { head, body })
}
