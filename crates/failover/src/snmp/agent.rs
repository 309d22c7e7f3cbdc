//! The connection to the master agent: a socket that never blocks, below a session of `agentx`.

use agentx::{Binding, Event, Oid, Session, Settings, Tree, error};
use keepalived_config::model::AgentSocket;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt::socket_error,
};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one read, and how many reads follow each other before others have their turn.
const READ_LENGTH: usize = 16 * 1024;
const READS_MAX: usize = 8;
/// Answers are made of a tree that is not older; a change of state makes a new one at once.
const TREE_AGE_MAX: Duration = Duration::from_secs(1);
/// How long a good-bye may take.
const FAREWELL: Duration = Duration::from_millis(100);

/// A sub-agent.
#[derive(Debug)]
pub struct Agent {
    socket: AgentSocket,
    session: Session,
    stream: Option<OwnedFd>,
    is_connecting: bool,
    tree: Option<(Instant, Tree)>,
    /// A line about a master that is not there was written.
    is_missed: bool,
}

impl Agent {
    /// A sub-agent for these subtrees, each with what sysORTable says of it.
    pub fn new(socket: AgentSocket, subtrees: Vec<(Oid, String)>, now: Instant) -> Self {
        let settings = Settings { description: "Keepalived".to_owned(), subtrees };
        let session = Session::new(settings, now);
        Self { socket, session, stream: None, is_connecting: false, tree: None, is_missed: false }
    }

    pub fn socket(&self) -> &AgentSocket {
        &self.socket
    }

    /// What to wait for.
    pub fn watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let stream = self.stream.as_ref()?;
        let writes = self.is_connecting || !self.session.output().is_empty();
        let flags = if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        Some((stream.as_fd(), flags))
    }

    /// When [`Agent::run`] has something to do by itself.
    pub fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// Whether requests wait for a fresh tree.
    pub fn wants_tree(&self) -> bool {
        self.session.has_requests()
    }

    /// What is shown has changed: the next request gets a fresh tree.
    pub fn changed(&mut self) {
        self.tree = None;
    }

    /// Connects, reads, answers what the tree at hand can answer, writes. Lines for the log come out.
    pub fn run(&mut self, now: Instant) -> Vec<String> {
        self.session.handle_timeout(now);
        if self.tree.as_ref().is_some_and(|(since, _)| now.saturating_duration_since(*since) > TREE_AGE_MAX) {
            self.tree = None;
        }
        if self.session.wants_connection(now) {
            match open(&self.socket) {
                Ok((stream, is_connected)) => {
                    self.stream = Some(stream);
                    self.is_connecting = !is_connected;
                    if is_connected {
                        self.session.handle_connected(now);
                    }
                }
                Err(error) => self.session.handle_lost(now, &io::Error::from(error).to_string()),
            }
        }
        self.see_connected(now);
        self.read(now);
        self.answer_at_hand(now);
        self.write(now);
        if !self.session.holds_connection() {
            self.stream = None;
        }
        self.lines()
    }

    /// Answers all that waits.
    pub fn answer(&mut self, now: Instant, tree: Tree) {
        self.session.answer(now, &tree);
        self.tree = Some((now, tree));
        self.write(now);
    }

    /// Tells managers.
    pub fn notify(&mut self, now: Instant, bindings: Vec<Binding>) {
        self.session.notify(now, bindings);
        self.write(now);
    }

    /// Says good-bye, as far as the socket takes it.
    pub fn close(&mut self) {
        let now = Instant::now();
        self.session.close(now);
        let end = now + FAREWELL;
        while self.stream.is_some() {
            self.write(now);
            let left = end.saturating_duration_since(Instant::now());
            if self.session.output().is_empty() || left.is_zero() {
                return;
            }
            let Some(stream) = self.stream.as_ref() else { return };
            let mut waited = [rustix::event::PollFd::new(stream, PollFlags::OUT)];
            let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
            if rustix::event::poll(&mut waited, Some(&timeout)).is_err() {
                return;
            }
        }
    }

    fn answer_at_hand(&mut self, now: Instant) {
        if let Some((since, tree)) = &self.tree
            && now.saturating_duration_since(*since) <= TREE_AGE_MAX
            && self.session.has_requests()
        {
            self.session.answer(now, tree);
        }
    }

    fn see_connected(&mut self, now: Instant) {
        let Some(stream) = self.stream.as_ref().filter(|_| self.is_connecting) else { return };
        let mut waited = [rustix::event::PollFd::new(stream, PollFlags::OUT)];
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        if rustix::event::poll(&mut waited, Some(&at_once)) != Ok(1) {
            return;
        }
        self.is_connecting = false;
        match socket_error(stream) {
            Ok(Ok(())) => self.session.handle_connected(now),
            Ok(Err(errno)) | Err(errno) => self.session.handle_lost(now, &io::Error::from(errno).to_string()),
        }
    }

    fn read(&mut self, now: Instant) {
        let mut buffer = [0; READ_LENGTH];
        for _ in 0..READS_MAX {
            let Some(stream) = self.stream.as_ref().filter(|_| !self.is_connecting) else { return };
            match rustix::io::read(stream, &mut buffer) {
                Ok(0) => self.session.handle_lost(now, "the master closed the connection"),
                Ok(length) => self.session.handle_input(now, &buffer[..length]),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(errno) => self.session.handle_lost(now, &io::Error::from(errno).to_string()),
            }
            if !self.session.holds_connection() {
                self.stream = None;
            }
        }
    }

    fn write(&mut self, now: Instant) {
        while let Some(stream) = self.stream.as_ref().filter(|_| !self.is_connecting) {
            if self.session.output().is_empty() {
                return;
            }
            match rustix::net::send(stream, self.session.output(), rustix::net::SendFlags::NOSIGNAL) {
                Ok(length) => self.session.wrote(length),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    self.session.handle_lost(now, &io::Error::from(errno).to_string());
                    self.stream = None;
                }
            }
        }
    }

    /// A master that is not there is told once, until it was there again.
    fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Connected => {
                    self.is_missed = false;
                    lines.push(format!("SNMP: AgentX subagent connected to {}", self.socket));
                }
                Event::Lost(_) if self.is_missed => {}
                Event::Lost(why) => {
                    self.is_missed = true;
                    lines.push(format!("SNMP: no session with the master agent at {}: {why}", self.socket));
                }
                Event::Refused { subtree, error: error::DUPLICATE_REGISTRATION } => {
                    lines.push(format!("SNMP: another sub-agent answers for {subtree}; asked again later"));
                }
                Event::Refused { subtree, error } => {
                    lines.push(format!("SNMP: the master refused {subtree}, error {error}"));
                }
                Event::NotificationsLost(count) => lines.push(format!("SNMP: {count} traps were not sent")),
            }
        }
        lines
    }
}

/// A socket, and whether it is connected already.
fn open(socket: &AgentSocket) -> Result<(OwnedFd, bool), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    match socket {
        AgentSocket::Unix(path) => open_unix(path, flags),
        AgentSocket::Tcp(address) => {
            let family = match address {
                SocketAddr::V4(_) => AddressFamily::INET,
                SocketAddr::V6(_) => AddressFamily::INET6,
            };
            let stream = socket_with(family, SocketType::STREAM, flags, None)?;
            match connect(&stream, address) {
                Ok(()) => Ok((stream, true)),
                Err(Errno::INPROGRESS) => Ok((stream, false)),
                Err(errno) => Err(errno),
            }
        }
    }
}

fn open_unix(path: &Path, flags: SocketFlags) -> Result<(OwnedFd, bool), Errno> {
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // A full backlog is an error here, and a later attempt: nobody waits.
    connect(&stream, &SocketAddrUnix::new(path)?)?;
    Ok((stream, true))
}
