//! One strand: a process of our own program, its readiness, and when it is started again.

use super::arguments::{Arguments, RUN_DIRECTORY};
use super::{PROXIES, STRAND, confine};
use rustix::process::{Pid, kill_process};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use sys::signals::Signal;

/// The first pause before a strand that ended is started again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A strand that lived so long is well: its next pause is the first one again.
const LIFE_MIN: Duration = Duration::from_secs(10);
const MESSAGE_LENGTH_MAX: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Proxy,
    Failover,
    Dashboard,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Proxy => "proxy",
            Kind::Failover => "failover",
            Kind::Dashboard => "dashboard",
        }
    }
}

pub struct Strand {
    pub kind: Kind,
    arguments: Arguments,
    child: Option<Child>,
    started: Instant,
    /// When it is started again.
    due: Option<Instant>,
    pause: Duration,
    /// What it tells a supervisor comes here, as systemd's datagrams.
    inbox: UnixDatagram,
    inbox_name: Vec<u8>,
    is_ready: bool,
    /// How it was told to end.
    told: Option<Signal>,
}

/// A directory of sockets that only we may enter.
///
/// # Errors
/// What `mkdir(2)` says.
pub fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

impl Strand {
    pub fn new(kind: Kind, arguments: &Arguments) -> Self {
        let (inbox, inbox_name) = inbox(kind);
        Strand {
            kind,
            arguments: arguments.clone(),
            child: None,
            started: Instant::now(),
            due: None,
            pause: PAUSE_MIN,
            inbox,
            inbox_name,
            is_ready: false,
            told: None,
        }
    }

    /// # Errors
    /// No process can be started.
    pub fn start(&mut self) -> io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        let directory = &self.arguments.run_directory;
        match self.kind {
            Kind::Proxy => {
                command.args(["haproxy", "-Ws", "-S"]);
                command.arg(format!("{},mode,600", self.arguments.master_socket().display()));
                for file in &self.arguments.proxy {
                    command.arg("-f").arg(file);
                }
            }
            Kind::Failover => {
                command.args(["keepalived", "-n", "-l", "-f"]).args(&self.arguments.keepalived);
                if directory != Path::new(RUN_DIRECTORY) {
                    // Several on one machine, in namespaces: each has its own.
                    command.arg("-p").arg(directory.join("keepalived.pid"));
                    command.arg("-r").arg(directory.join("vrrp.pid"));
                    command.arg("-c").arg(directory.join("checkers.pid"));
                }
                command.env("HAWSER_VRRP_SOCKET", self.arguments.vrrp_socket());
                command.env(PROXIES, self.arguments.proxies_file());
                command.env("HAWSER_DIRECTOR_STATUS", directory.join("director-status.sock"));
            }
            Kind::Dashboard => {
                let listen = self.arguments.dashboard.map(|address| address.to_string());
                command.args(["dashboard", "--listen"]).args(listen);
                command.arg("--master").arg(self.arguments.master_socket());
                command.arg("--vrrp").arg(self.arguments.vrrp_socket());
                command.arg("--director").arg(directory.join("director-status.sock"));
                command.args(&self.arguments.dashboard_options);
            }
        }
        confine::ask(&mut command);
        command.env(STRAND, "1").env("NOTIFY_SOCKET", name_of(&self.inbox_name)).stdin(Stdio::null());
        self.due = None;
        // What its predecessor told last is not about this one.
        self.hear();
        self.is_ready = false;
        self.started = Instant::now();
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Reads what it told; whether it is ready.
    pub fn hear(&mut self) -> bool {
        let mut buffer = [0; MESSAGE_LENGTH_MAX];
        while let Ok(length) = self.inbox.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            if text.lines().any(|line| line == "READY=1") {
                self.is_ready = true;
            }
        }
        self.is_ready
    }

    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// When it is to be started again.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Its end, once; as words that follow its name.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.child = None;
        self.is_ready = false;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        })
    }

    /// Whether there is no process, as far as was looked.
    pub fn is_gone(&self) -> bool {
        self.child.is_none()
    }

    /// Plans its next start; how long until then.
    pub fn plan_restart(&mut self, now: Instant) -> Duration {
        if self.started.elapsed() >= LIFE_MIN {
            self.pause = PAUSE_MIN;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        self.due = Some(now + pause);
        pause
    }

    pub fn signal(&mut self, signal: Signal) {
        let pid = self.child.as_ref().and_then(|child| Pid::from_raw(child.id().cast_signed()));
        if let Some(pid) = pid {
            // It may have ended this moment.
            let _ = kill_process(pid, signal);
        }
    }

    /// Tells it to end, each way once: a soft end may be followed by a hard one.
    pub fn end(&mut self, signal: Signal) {
        if self.told != Some(signal) {
            self.told = Some(signal);
            self.signal(signal);
        }
    }

    pub fn reload(&mut self) {
        match self.kind {
            Kind::Proxy => self.signal(Signal::USR2),
            Kind::Failover => self.signal(Signal::HUP),
            // It has no file.
            Kind::Dashboard => {}
        }
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.inbox.as_fd()
    }
}

/// As `NOTIFY_SOCKET` spells an abstract name.
fn name_of(name: &[u8]) -> String {
    format!("@{}", String::from_utf8_lossy(name))
}

/// A socket for what the strand tells; one that nobody can write to when there is none to be had.
fn inbox(kind: Kind) -> (UnixDatagram, Vec<u8>) {
    let name = format!("hawser-run-{}-{}", std::process::id(), kind.name()).into_bytes();
    let bound = SocketAddr::from_abstract_name(&name).and_then(|address| UnixDatagram::bind_addr(&address));
    let socket = bound.or_else(|_| UnixDatagram::unbound()).expect("a socket needs a descriptor only");
    // Nothing of ours blocks on it.
    let _ = socket.set_nonblocking(true);
    (socket, name)
}
