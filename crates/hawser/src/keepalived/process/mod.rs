//! keepalived's processes: the parent, which supervises, and the child, which is the virtual routers. Owns how they start,
//! what they tell each other and how they end; what the child does is the `failover` crate's.
//!
//! ```text
//!  started by the user ─(without -n)─► parent in the background, in its own session
//!  parent ─┬─► Keepalived_vrrp            where there are instances; started again it goes on as master
//!          └─► Keepalived_healthcheckers  where there are virtual servers
//!  signals pass through; a child that dies is started again at once
//! ```

mod checkers;
mod child;
mod news;
mod parent;
mod sync;
mod vrrp;

use failover::log::Wanted;
use keepalived_config::Model;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// What the command line says about running.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `-n`
    pub foreground: bool,
    /// Log options of the parent; the child's differ in the name alone.
    pub log: Wanted,
    /// `-p`
    pub pid_file: PathBuf,
    /// `-r`
    pub vrrp_pid_file: PathBuf,
    /// `-c`
    pub checkers_pid_file: PathBuf,
    /// `-C` starts no VRRP, `-P` no checkers; without either both run where there is something to run.
    pub parts: Parts,
    /// `-I`: services stay in the data plane at the end.
    pub keep_services: bool,
    /// `-d`
    pub dump: bool,
    /// `-V`: addresses stay at the end.
    pub keep_addresses: bool,
    /// `-R`: a child that dies is not started again.
    pub dont_respawn: bool,
    /// `-s`; the configuration may name one too.
    pub namespace: Option<String>,
    /// The words we were started with, for the log and for starting ourselves again.
    pub program: OsString,
    pub words: Vec<OsString>,
}

impl Settings {
    /// Where a pid file is: as the command line says, else with `use_pid_dir` in the folder of its own.
    fn place(&self, file: &std::path::Path, model: &Model) -> PathBuf {
        match file.strip_prefix("/run") {
            Ok(name) if model.global.use_pid_directory && DEFAULT_PID_FILES.contains(&file.to_str()) => {
                std::path::Path::new(PID_DIRECTORY).join(name)
            }
            Ok(_) | Err(_) => file.to_owned(),
        }
    }
}

/// What the command line says when it says nothing.
pub(super) const PID_FILE: &str = "/run/keepalived.pid";
pub(super) const VRRP_PID_FILE: &str = "/run/vrrp.pid";
pub(super) const CHECKERS_PID_FILE: &str = "/run/checkers.pid";
const DEFAULT_PID_FILES: [Option<&str>; 3] = [Some(PID_FILE), Some(VRRP_PID_FILE), Some(CHECKERS_PID_FILE)];
/// `use_pid_dir`
const PID_DIRECTORY: &str = "/run/keepalived";

/// Which children may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub vrrp: bool,
    pub checkers: bool,
    /// `--all`: even those without anything to do.
    pub idle_ones: bool,
}

/// Reads the configuration: with it come remarks for people, without it why there is none.
pub type Load = Box<dyn FnMut() -> Result<(Model, String), String>>;

const VARIABLE: &str = "HAWSER_KEEPALIVED_ROLE";
const DAEMON: &str = "daemon";
const VRRP: &str = "vrrp";
const CHECKERS: &str = "checkers";
/// Set for a child whose predecessor died.
const RESTARTED: &str = "HAWSER_KEEPALIVED_RESTARTED";

/// Version that is told, for scripts that look for it, and our own.
pub(super) fn version_text() -> String {
    format!("Keepalived v2.2.7 (Hawser {})", crate::version::HAWSER)
}

/// Runs as what we are to be.
pub fn run(settings: Settings, mut load: Load) -> ExitCode {
    let role = std::env::var(VARIABLE).ok();
    if role.is_some()
        && let Err(error) = sys::environment::remove(VARIABLE)
    {
        return fail(&format!("{VARIABLE}: {error}"));
    }
    // Without it everything works, only larger.
    let _ = sys::process::keep_pages_small();
    let result = match role.as_deref() {
        Some(VRRP) => vrrp::run(&settings, load),
        Some(CHECKERS) => checkers::run(&settings, load),
        Some(DAEMON) => {
            leave_terminal();
            parent::run(&settings, load)
        }
        Some(_) => Err(io::Error::other(format!("{VARIABLE} is set to something unknown"))),
        None if settings.foreground => parent::run(&settings, load),
        None => {
            // Before it goes to the background: mistakes are for the one who typed.
            load().map_err(io::Error::other).and_then(|_| {
                let mut command = again(&settings, DAEMON)?;
                command.stdin(Stdio::null()).spawn()?;
                Ok(ExitCode::SUCCESS)
            })
        }
    };
    result.unwrap_or_else(|error| fail(&error.to_string()))
}

/// Whether this child takes the place of one that died; its programs do not see the variable.
fn was_restarted() -> io::Result<bool> {
    let was_restarted = std::env::var_os(RESTARTED).is_some();
    if was_restarted {
        sys::environment::remove(RESTARTED)?;
    }
    Ok(was_restarted)
}

fn fail(text: &str) -> ExitCode {
    eprintln!("{}", text.trim_end());
    ExitCode::FAILURE
}

/// A command that starts ourselves again with the same words, in that role.
fn again(settings: &Settings, role: &str) -> io::Result<Command> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(std::env::current_exe()?);
    let base = std::path::Path::new(&settings.program).file_name().unwrap_or(&settings.program);
    command.arg0(&settings.program);
    // `hawser keepalived …` needs its word again.
    if !base.to_string_lossy().starts_with("keepalived") {
        command.arg("keepalived");
    }
    command.args(&settings.words).env(VARIABLE, role);
    crate::run::confine::pass_on(&mut command);
    Ok(command)
}

fn leave_terminal() {
    // Fails only for a process group leader, which a child of ours is not.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    let _ = rustix::stdio::dup2_stdin(&null);
    let _ = rustix::stdio::dup2_stdout(&null);
    let _ = rustix::stdio::dup2_stderr(&null);
}

/// Writes our process id; what is there is replaced, a link is not followed.
fn write_pid_file(path: &std::path::Path) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    writeln!(file, "{}", std::process::id())
}
