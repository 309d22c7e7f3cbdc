//! `ring` sections: messages kept in memory, shown by the runtime API and sent on to syslog servers over TCP.

use super::frame::Segments;
use haproxy_config::model::{self, LogFormatKind, LogProtocol, Server};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;

/// What a message costs beside its bytes.
const OVERHEAD: usize = 8;

/// The messages of one ring, oldest first; the oldest make room for new ones.
#[derive(Debug)]
pub struct Ring {
    pub name: String,
    pub description: Option<String>,
    pub format: LogFormatKind,
    /// Bytes of a message.
    pub max_length: usize,
    /// Bytes of all.
    size: usize,
    pub servers: Vec<Receiver>,
    messages: Mutex<Messages>,
    /// The number of the next message.
    written: watch::Sender<u64>,
}

/// A syslog server that gets every message.
#[derive(Debug)]
pub struct Receiver {
    pub settings: Server,
    pub protocol: LogProtocol,
    /// `timeout connect` and `timeout server` of the ring.
    pub connect_timeout: Option<Duration>,
    pub server_timeout: Option<Duration>,
}

#[derive(Debug, Default)]
struct Messages {
    queue: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// The number of the oldest one.
    first: u64,
}

impl Ring {
    pub fn new(settings: &model::Ring) -> Ring {
        let receiver = |server: &Server| Receiver {
            settings: server.clone(),
            protocol: server.log_protocol,
            connect_timeout: settings.timeout_connect,
            server_timeout: settings.timeout_server,
        };
        Ring {
            name: settings.name.clone(),
            description: settings.description.clone(),
            format: settings.format,
            max_length: settings.max_length,
            size: settings.size,
            servers: settings.servers.iter().map(receiver).collect(),
            messages: Mutex::default(),
            written: watch::channel(0).0,
        }
    }

    /// Keeps a message, without the newline behind it. False: it is larger than the ring.
    pub(super) fn push(&self, message: &Segments<'_>) -> bool {
        let mut bytes = Vec::with_capacity(message.len());
        message.as_slices().iter().for_each(|slice| bytes.extend_from_slice(slice));
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        let cost = bytes.len() + OVERHEAD;
        if cost > self.size {
            return false;
        }
        let mut messages = self.messages.lock();
        while messages.bytes + cost > self.size {
            let Some(oldest) = messages.queue.pop_front() else { break };
            messages.bytes -= oldest.len() + OVERHEAD;
            messages.first += 1;
        }
        messages.bytes += cost;
        messages.queue.push_back(bytes.into());
        let next = messages.first + messages.queue.len() as u64;
        drop(messages);
        self.written.send_replace(next);
        true
    }

    /// Told of new messages.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Gives the messages from number `from` on to `each`, as long as it takes them; returns the number of the first that was
    /// not taken. What made room meanwhile is skipped.
    pub fn read(&self, from: u64, mut each: impl FnMut(&[u8]) -> bool) -> u64 {
        let messages = self.messages.lock();
        let mut next = from.max(messages.first);
        let skip = usize::try_from(next - messages.first).unwrap_or(usize::MAX);
        for message in messages.queue.iter().skip(skip) {
            if !each(message) {
                break;
            }
            next += 1;
        }
        next
    }
}

impl Receiver {
    /// Appends a message as this server wants it (RFC 6587).
    pub fn frame(&self, message: &[u8], out: &mut Vec<u8>) {
        match self.protocol {
            LogProtocol::Legacy => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
            LogProtocol::OctetCount => {
                out.extend_from_slice(format!("{} ", message.len()).as_bytes());
                out.extend_from_slice(message);
            }
        }
    }
}
