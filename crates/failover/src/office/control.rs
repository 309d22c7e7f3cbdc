//! The runtime socket of `hawser vrrp`: one line in, an answer out, then the end. Owns clients and their bytes; what a
//! command does is the office's.

use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Clients at one time; more wait in the listener's queue.
const CLIENTS_MAX: usize = 32;
const REQUEST_LENGTH_MAX: usize = 512;
/// A client that does not read its answer is left after this.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Status {
        json: bool,
    },
    Metrics,
    Reload,
    HandOver {
        instance: String,
    },
    Maintenance {
        instance: String,
        on: bool,
    },
    /// `None`: the configuration's again.
    Priority {
        instance: String,
        priority: Option<u8>,
    },
    /// A supervisor tells how a proxy of the same program is: `frontend web`.
    Proxy {
        name: String,
        is_up: bool,
    },
    /// With what is wrong with it.
    Unknown(String),
}

impl Request {
    /// Reads a line. `GET /metrics` is what a Prometheus server says first.
    pub fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["status"] => Self::Status { json: false },
            ["status", "json"] => Self::Status { json: true },
            ["metrics"] => Self::Metrics,
            ["reload"] => Self::Reload,
            ["handover", instance] => Self::HandOver { instance: (*instance).to_owned() },
            ["maintenance", instance, word @ ("on" | "off")] => {
                Self::Maintenance { instance: (*instance).to_owned(), on: *word == "on" }
            }
            ["proxy", kind @ ("frontend" | "backend"), name, word @ ("up" | "down")] => {
                Self::Proxy { name: format!("{kind} {name}"), is_up: *word == "up" }
            }
            ["priority", instance, "default"] => {
                Self::Priority { instance: (*instance).to_owned(), priority: None }
            }
            ["priority", instance, number] => match number.parse() {
                Ok(priority @ 1..=254) => {
                    Self::Priority { instance: (*instance).to_owned(), priority: Some(priority) }
                }
                Ok(_) | Err(_) => Self::Unknown(format!("priority must be 1..=254, found '{number}'")),
            },
            _ => Self::Unknown(
                "commands: status [json], metrics, reload, handover INSTANCE, maintenance INSTANCE on|off, \
                 priority INSTANCE 1..254|default"
                    .to_owned(),
            ),
        }
    }
}

#[derive(Debug)]
struct Client {
    id: usize,
    stream: UnixStream,
    input: Vec<u8>,
    /// Its command is being answered.
    asked: bool,
}

#[derive(Debug)]
pub struct Control {
    listener: Option<(UnixListener, PathBuf)>,
    clients: Vec<Client>,
    next_id: usize,
}

impl Control {
    /// # Errors
    /// What `bind(2)` says.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let listener = match path {
            None => None,
            Some(path) => {
                if let Some(directory) = path.parent() {
                    std::fs::create_dir_all(directory)?;
                }
                // One left by a predecessor that was killed.
                let _ = std::fs::remove_file(path);
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                listener.set_nonblocking(true)?;
                Some((listener, path.to_owned()))
            }
        };
        Ok(Self { listener, clients: Vec::new(), next_id: 0 })
    }

    /// Adds what is to be waited for.
    pub fn watch<'a>(&'a self, waited: &mut Vec<PollFd<'a>>) {
        if let Some((listener, _)) = &self.listener
            && self.clients.len() < CLIENTS_MAX
        {
            waited.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        }
        for client in self.clients.iter().filter(|client| !client.asked) {
            waited.push(PollFd::from_borrowed_fd(client.stream.as_fd(), PollFlags::IN));
        }
    }

    /// The commands that came, each with its client.
    pub fn requests(&mut self) -> Vec<(usize, Request)> {
        if let Some((listener, _)) = &self.listener {
            while self.clients.len() < CLIENTS_MAX {
                let Ok((stream, _)) = listener.accept() else { break };
                if stream.set_nonblocking(true).is_ok() {
                    self.clients.push(Client { id: self.next_id, stream, input: Vec::new(), asked: false });
                    self.next_id += 1;
                }
            }
        }
        let mut requests = Vec::new();
        self.clients.retain_mut(|client| {
            if client.asked {
                return true;
            }
            let mut buffer = [0; REQUEST_LENGTH_MAX];
            let closed = match client.stream.read(&mut buffer) {
                Ok(0) => true,
                Ok(length) => {
                    client.input.extend_from_slice(&buffer[..length]);
                    false
                }
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            };
            let end = client.input.iter().position(|byte| *byte == b'\n');
            let end =
                end.or((closed || client.input.len() >= REQUEST_LENGTH_MAX).then_some(client.input.len()));
            match end {
                Some(0) if closed => false,
                Some(end) => {
                    let line = String::from_utf8_lossy(&client.input[..end]).into_owned();
                    client.asked = true;
                    requests.push((client.id, Request::parse(&line)));
                    true
                }
                None => !closed,
            }
        });
        requests
    }

    /// Writes the answer and lets the client go.
    pub fn answer(&mut self, id: usize, text: &str) {
        let Some(at) = self.clients.iter().position(|client| client.id == id) else { return };
        let mut client = self.clients.swap_remove(at);
        // Answers are small and clients local: it fits the socket's buffer, or the client is gone.
        let ready = client.stream.set_nonblocking(false);
        if ready.and_then(|()| client.stream.set_write_timeout(Some(WRITE_TIMEOUT))).is_ok() {
            let _ = client.stream.write_all(text.as_bytes());
        }
    }

    pub fn remove(&mut self) {
        if let Some((_, path)) = self.listener.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_what_is_none_is_told_which_there_are() {
        let instance = || "VI_1".to_owned();
        assert_eq!(Request::parse("status\n"), Request::Status { json: false });
        assert_eq!(Request::parse("handover VI_1"), Request::HandOver { instance: instance() });
        let maintenance = Request::Maintenance { instance: instance(), on: true };
        assert_eq!(Request::parse("maintenance VI_1 on"), maintenance);
        let priority = Request::Priority { instance: instance(), priority: Some(7) };
        assert_eq!(Request::parse("priority VI_1 7"), priority);
        assert!(matches!(Request::parse("priority VI_1 255"), Request::Unknown(_)));
        assert!(matches!(Request::parse("nonsense"), Request::Unknown(text) if text.contains("handover")));
    }

    #[test]
    fn a_client_gets_its_answer() {
        let path = std::env::temp_dir().join(format!("hawser-control-{}", std::process::id()));
        let mut control = Control::open(Some(&path)).expect("opens");
        let mut client = UnixStream::connect(&path).expect("connects");
        client.write_all(b"status json\n").expect("writes");
        let requests = control.requests();
        assert_eq!(requests, [(0, Request::Status { json: true })]);
        control.answer(0, "hello\n");
        let mut text = String::new();
        client.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "hello\n");
        control.remove();
        assert!(!path.exists());
    }
}
