//! Which of the processes of one start this is, and how it is started.
//!
//! A child learns its role from [`VARIABLE`]; its channel to the parent is its standard input. Both are put away at once,
//! so that programs which the child itself starts see neither.

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const VARIABLE: &str = "HAWSER_ROLE";
const DAEMON: &str = "daemon";
const WORKER: &str = "worker";
/// A worker whose master goes to the background.
const BACKGROUND_WORKER: &str = "background-worker";

/// What this process is.
#[derive(Debug)]
pub enum Role {
    /// Started by the user or a supervisor.
    First,
    /// In the background; reports readiness to the process that the user started.
    Daemon(OwnedFd),
    /// Serves; talks with its master, and leaves the terminal with it if that is in the background.
    Worker { channel: OwnedFd, background: bool },
}

/// Reads our role, once.
///
/// # Errors
/// When the variable was set by somebody who gave no channel.
pub fn take() -> io::Result<Role> {
    let Some(role) = std::env::var_os(VARIABLE) else { return Ok(Role::First) };
    sys::environment::remove(VARIABLE)?;
    let make = match role.to_str() {
        Some(DAEMON) => Role::Daemon,
        Some(WORKER) => |channel| Role::Worker { channel, background: false },
        Some(BACKGROUND_WORKER) => |channel| Role::Worker { channel, background: true },
        Some(_) | None => return Err(io::Error::other(format!("{VARIABLE} is set to something unknown"))),
    };
    let channel = sys::descriptor::duplicate(0)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::net::sockopt::socket_type(&channel)
        .map_err(|_| io::Error::other(format!("{VARIABLE} is set, but standard input is no channel")))?;
    Ok(make(channel))
}

/// How this process was started: what its children are started with.
#[derive(Debug)]
pub struct Start {
    executable: PathBuf,
    program: OsString,
    words: Vec<OsString>,
    directory: PathBuf,
}

impl Start {
    /// Call before changing the directory.
    ///
    /// # Errors
    /// When the program's own file or the directory is not known.
    pub fn new(program: &OsStr, words: &[OsString]) -> io::Result<Start> {
        Ok(Start {
            // Resolved now, so that a reload after an upgrade starts the new file at the old place.
            executable: std::env::current_exe()?,
            program: program.to_owned(),
            words: words.to_vec(),
            directory: std::env::current_dir()?,
        })
    }

    /// Starts ourselves again with the same words. Gives the child, and our end of the channel to it.
    fn again(&self, role: &str) -> io::Result<(Child, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let mut command = Command::new(&self.executable);
        crate::run::confine::pass_on(&mut command);
        let child = command
            .arg0(&self.program)
            // `hawser haproxy …` needs its word again.
            .args(self.personality_word())
            .args(&self.words)
            .current_dir(&self.directory)
            .env(VARIABLE, role)
            .stdin(Stdio::from(theirs))
            .spawn()?;
        Ok((child, ours))
    }

    fn personality_word(&self) -> Option<&'static str> {
        let base = std::path::Path::new(&self.program).file_name().unwrap_or(&self.program);
        (!base.to_string_lossy().starts_with("haproxy")).then_some("haproxy")
    }

    /// # Errors
    /// When no process can be started.
    pub fn daemon(&self) -> io::Result<(Child, OwnedFd)> {
        self.again(DAEMON)
    }

    /// # Errors
    /// When no process can be started.
    pub fn worker(&self, background: bool) -> io::Result<(Child, OwnedFd)> {
        self.again(if background { BACKGROUND_WORKER } else { WORKER })
    }
}
