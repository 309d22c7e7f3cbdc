//! The backend of the benchmark: one thread, epoll, prepared responses. Owns its connections; never parses more of a
//! request than its path.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use rustix::event::epoll;

/// Sizes of bodies by path.
const SIZES: &[usize] = &[128, 10_240, 1 << 20];

/// The whole response to `/exact`, head included.
const EXACT_LENGTH: usize = 128;

/// Heads longer than this are no request of the load generator.
const HEAD_LENGTH_MAX: usize = 16 << 10;

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Option<(Rc<[u8]>, usize)>,
    close: bool,
}

/// Serves until killed; prints its port first.
pub fn serve() -> Result<(), String> {
    let error = |error: std::io::Error| error.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").map_err(error)?;
    // A longer queue than the standard library's: 9,500 clients may come at once. Accepted sockets inherit cubic.
    rustix::net::listen(&listener, 4_096).map_err(|error| error.to_string())?;
    super::load::use_cubic(&listener);
    println!("{}", listener.local_addr().map_err(error)?.port());
    listener.set_nonblocking(true).map_err(error)?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
    let listener_key = 0;
    add(&poll, &listener, listener_key, epoll::EventFlags::IN)?;
    let responses = responses();
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut events = Vec::with_capacity(1_024);
    let mut buffer = vec![0; 64 << 10];
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        for event in &events {
            let key = event.data.u64();
            if key == listener_key {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true).map_err(error)?;
                    stream.set_nodelay(true).map_err(error)?;
                    let key = stream.as_raw_fd() as u64;
                    add(&poll, &stream, key, epoll::EventFlags::IN)?;
                    let connection = Connection { stream, input: Vec::new(), output: None, close: false };
                    connections.insert(key, connection);
                }
            } else if let Some(connection) = connections.get_mut(&key) {
                let goes_on = connection.advance(&responses, &mut buffer);
                let interest = match (goes_on, &connection.output) {
                    (false, _) => {
                        connections.remove(&key);
                        continue;
                    }
                    (true, Some(_)) => epoll::EventFlags::OUT,
                    (true, None) => epoll::EventFlags::IN,
                };
                let flags = event.flags;
                if flags.contains(epoll::EventFlags::OUT) || interest == epoll::EventFlags::OUT {
                    let data = epoll::EventData::new_u64(key);
                    epoll::modify(&poll, &connection.stream, data, interest)
                        .map_err(|error| error.to_string())?;
                }
            }
        }
    }
}

fn add(
    poll: impl std::os::fd::AsFd,
    socket: impl std::os::fd::AsFd,
    key: u64,
    flags: epoll::EventFlags,
) -> Result<(), String> {
    epoll::add(poll, socket, epoll::EventData::new_u64(key), flags).map_err(|error| error.to_string())
}

/// 100 KB of a page of made-up words, some of which come often, as words do; always the same.
fn page() -> String {
    const LENGTH: usize = 100 * 1024;
    const SYLLABLES: [&str; 16] =
        ["ha", "ws", "er", "mo", "or", "tow", "li", "ne", "st", "and", "ro", "pe", "an", "ch", "in", "g"];
    let mut state = 42_u64;
    let mut next = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let words: Vec<String> =
        (0..1_500).map(|_| (0..next(4) + 1).map(|_| SYLLABLES[next(16) as usize]).collect()).collect();
    let mut page = "<!DOCTYPE html>\n<html><head><title>Bench</title></head><body>\n".to_owned();
    while page.len() < LENGTH {
        let class = next(40);
        page.push_str(&format!("<div class=\"c{class}\"><a href=\"/page/{}\">", next(100_000)));
        for _ in 0..next(25) + 3 {
            // The smaller of two numbers: words at the front come more often.
            page.push_str(&words[next(1_500).min(next(1_500)) as usize]);
            page.push(' ');
        }
        page.push_str("</a></div>\n");
    }
    page.truncate(LENGTH);
    page
}

fn responses() -> HashMap<Vec<u8>, Rc<[u8]>> {
    let mut responses = HashMap::new();
    for size in SIZES {
        let mut text = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
        text.resize(text.len() + size, b'x');
        responses.insert(format!("/{size}").into_bytes(), Rc::from(text));
    }
    responses.insert(super::rules::PATH.as_bytes().to_vec(), Rc::clone(&responses[b"/128".as_slice()]));
    let page = page();
    let mut html =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len())
            .into_bytes();
    html.extend_from_slice(page.as_bytes());
    responses.insert(b"/html".to_vec(), Rc::from(html));
    // Fixed point of head and body: the head has the same length for two-digit lengths.
    let head_length = "HTTP/1.1 200 OK\r\nContent-Length: 00\r\n\r\n".len();
    let body_length = EXACT_LENGTH - head_length;
    let mut text = format!("HTTP/1.1 200 OK\r\nContent-Length: {body_length}\r\n\r\n").into_bytes();
    text.resize(EXACT_LENGTH, b'x');
    responses.insert(b"/exact".to_vec(), Rc::from(text));
    responses
}

impl Connection {
    /// Writes what is pending, reads and answers requests; false when the connection is over.
    fn advance(&mut self, responses: &HashMap<Vec<u8>, Rc<[u8]>>, buffer: &mut [u8]) -> bool {
        if !self.flush() {
            return false;
        }
        if self.output.is_some() {
            return true;
        }
        match self.stream.read(buffer) {
            Ok(0) => return false,
            Ok(length) => self.input.extend_from_slice(&buffer[..length]),
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        while self.output.is_none() {
            let Some(end) = self.input.windows(4).position(|window| window == b"\r\n\r\n") else {
                return self.input.len() < HEAD_LENGTH_MAX;
            };
            let head: Vec<u8> = self.input.drain(..end + 4).collect();
            let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            let Some(response) = responses.get(path) else { return false };
            let head = head.to_ascii_lowercase();
            self.close = head.windows(17).any(|window| window == b"connection: close");
            self.output = Some((response.clone(), 0));
            if !self.flush() {
                return false;
            }
        }
        true
    }

    /// Writes pending output; false when the connection is over.
    fn flush(&mut self) -> bool {
        let Some((response, written)) = &mut self.output else { return true };
        while *written < response.len() {
            match self.stream.write(&response[*written..]) {
                Ok(length) => *written += length,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        self.output = None;
        !self.close
    }
}
