//! The parent: starts the VRRP child, passes signals on, starts it again when it dies, tells systemd.

use super::{Load, Settings, VRRP, again, version_text, write_pid_file};
use failover::log::{Level, Log};
use failover::office::signal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const SIGNAL_CHILD: i32 = 17;
/// A child that lives shorter than this failed to start; then the next one waits.
const LIFE_MIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(1);
/// Characters of the command line in one line of the log.
const COMMAND_LINE_LENGTH: usize = 100;

/// What the child says, one byte each.
pub(super) const READY: u8 = b'R';
pub(super) const RELOADING: u8 = b'L';
pub(super) const STOPPING: u8 = b'S';

pub(super) fn run(settings: &Settings, mut load: Load) -> io::Result<ExitCode> {
    let numbers: Vec<i32> = signal::ALL.iter().copied().chain([SIGNAL_CHILD]).collect();
    // Before anything else: signals to a process go to any thread that does not block them.
    let signals = sys::signals::read_numbers_instead_of_handling(&numbers)?;
    let mut log = Log::open(settings.log.clone());
    log.line(Level::Info, &format!("Starting {}", version_text()));
    say_kernel(&mut log);
    say_command_line(&mut log, settings);
    match load() {
        Ok((_, remarks)) => remarks.lines().for_each(|line| log.line(Level::Warning, line)),
        Err(report) => {
            report.lines().for_each(|line| log.line(Level::Error, line));
            return Ok(ExitCode::FAILURE);
        }
    }
    write_pid_file(&settings.pid_file)
        .map_err(|error| io::Error::other(format!("{}: {error}", settings.pid_file.display())))?;
    let mut child = Some(start(settings, &mut log)?);
    let mut stopping = false;
    loop {
        wait(&signals, child.as_ref())?;
        let mut died = false;
        while let Some(number) = signals.next_number()? {
            if number == SIGNAL_CHILD {
                died = true;
                continue;
            }
            if number == signal::INTERRUPT || number == signal::STOP {
                if !stopping {
                    log.line(Level::Info, "Stopping");
                }
                stopping = true;
            }
            pass_on(child.as_ref(), number);
        }
        if let Some(running) = &mut child {
            running.hear();
        }
        if died
            && let Some(status) = child.as_mut().and_then(|running| running.process.try_wait().ok().flatten())
        {
            let lived = child.take().map_or(Duration::ZERO, |running| running.started.elapsed());
            if stopping || settings.dont_respawn {
                break;
            }
            say_death(&mut log, status);
            if lived < LIFE_MIN {
                // It will most likely fail again; a machine that only starts processes helps nobody.
                std::thread::sleep(PAUSE);
            }
            child = Some(start(settings, &mut log)?);
        }
    }
    // It may be gone, or belong to a successor's directory.
    let _ = std::fs::remove_file(&settings.pid_file);
    log.line(Level::Info, &format!("Stopped {}", version_text()));
    Ok(ExitCode::SUCCESS)
}

struct Running {
    process: Child,
    started: Instant,
    channel: UnixStream,
}

impl Running {
    /// What the child told, on to systemd.
    fn hear(&mut self) {
        let mut bytes = [0; 64];
        let Ok(length) = self.channel.read(&mut bytes) else { return };
        for byte in &bytes[..length] {
            match *byte {
                READY => crate::haproxy::notify::ready(),
                RELOADING => crate::haproxy::notify::reloading(),
                STOPPING => crate::haproxy::notify::stopping(),
                _ => {}
            }
        }
    }
}

fn start(settings: &Settings, log: &mut Log) -> io::Result<Running> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let process = again(settings, VRRP)?.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    log.line(Level::Info, &format!("Starting VRRP child process, pid={}", process.id()));
    Ok(Running { process, started: Instant::now(), channel: ours })
}

fn wait(signals: &sys::signals::SignalReader, child: Option<&Running>) -> io::Result<()> {
    let mut waited = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
    if let Some(child) = child {
        waited.push(PollFd::from_borrowed_fd(child.channel.as_fd(), PollFlags::IN));
    }
    match poll(&mut waited, None) {
        // The child's end is closed: what follows is SIGCHLD, which comes in its own time.
        Ok(_) if waited.get(1).is_some_and(|end| end.revents().contains(PollFlags::HUP)) => {
            let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let _ = poll(&mut waited[..1], Some(&pause));
            Ok(())
        }
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn pass_on(child: Option<&Running>, number: i32) {
    let pid = child.and_then(|running| Pid::from_raw(running.process.id().cast_signed()));
    let Some(pid) = pid else { return };
    match Signal::from_named_raw(number) {
        // It may have died this moment.
        Some(signal) => drop(kill_process(pid, signal)),
        None => drop(sys::signals::send_number(pid, number)),
    }
}

fn say_death(log: &mut Log, status: ExitStatus) {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("died from signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    log.line(Level::Error, &format!("Keepalived_vrrp {how}. Respawning"));
}

fn say_kernel(log: &mut Log) {
    let name = rustix::system::uname();
    let text = format!(
        "Running on {} {} {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy(),
        name.version().to_string_lossy()
    );
    log.line(Level::Info, &text);
}

fn say_command_line(log: &mut Log, settings: &Settings) {
    let mut line = format!("Command line: '{}'", settings.program.to_string_lossy());
    for word in &settings.words {
        if line.len() > COMMAND_LINE_LENGTH {
            log.line(Level::Info, &line);
            line = " ".repeat("Command line:".len());
        }
        line.push_str(&format!(" '{}'", word.to_string_lossy()));
    }
    log.line(Level::Info, &line);
}
