//! Programs that run beside us: started in a process group of their own, watched by pid descriptors, stopped when they
//! overrun. Never waits for one.

use keepalived_config::model::Command as Wanted;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Signalled(i32),
    /// It overran and was stopped.
    TimedOut,
}

/// Programs at one time; more are refused.
pub const PROGRAMS_MAX: usize = 1024;

/// After SIGTERM a program has this long before SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Running<K> {
    key: K,
    child: Child,
    descriptor: OwnedFd,
    /// When it is to be signalled, and by what.
    deadline: Option<(Instant, Signal)>,
    overran: bool,
}

/// The programs that run, each under a key of the caller's.
#[derive(Debug)]
pub struct Programs<K> {
    running: Vec<Running<K>>,
}

impl<K> Default for Programs<K> {
    fn default() -> Self {
        Self { running: Vec::new() }
    }
}

impl<K: Clone> Programs<K> {
    /// Starts a program that is of use only while we run, as the reader of a pipe: it ends when we do, even by SIGKILL.
    /// Call it on a thread that lives as long as the process.
    ///
    /// # Errors
    /// As [`Programs::start`].
    pub fn start_tied(&mut self, key: K, command: &Wanted, more: &[&str], now: Instant) -> io::Result<()> {
        self.start_as(key, command, more, None, true, now)
    }

    /// Starts `command` with more words behind its own; `timeout` from now it is stopped with all its children.
    ///
    /// # Errors
    /// What `execve(2)` or `setuid(2)` say, or that too many run.
    pub fn start(
        &mut self,
        key: K,
        command: &Wanted,
        more: &[&str],
        timeout: Option<Duration>,
        now: Instant,
    ) -> io::Result<()> {
        self.start_as(key, command, more, timeout, false, now)
    }

    fn start_as(
        &mut self,
        key: K,
        command: &Wanted,
        more: &[&str],
        timeout: Option<Duration>,
        is_tied: bool,
        now: Instant,
    ) -> io::Result<()> {
        if self.running.len() >= PROGRAMS_MAX {
            return Err(io::Error::other(format!("{PROGRAMS_MAX} programs run already")));
        }
        let Some((program, arguments)) = command.words.split_first() else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        let mut process = Command::new(program);
        process.args(arguments).args(more);
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if command.run_as.group != group || command.run_as.user != user {
            process.gid(command.run_as.group).uid(command.run_as.user);
        }
        // The office reads its signals; what it starts is to be ended by them.
        sys::process::unblock_signals(&mut process);
        if is_tied {
            sys::process::tie_to_this_thread(&mut process, Signal::TERM);
        }
        let mut child = process.spawn()?;
        let opened = Pid::from_raw(child.id().cast_signed())
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let descriptor = match opened {
            Ok(descriptor) => descriptor,
            Err(errno) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(errno.into());
            }
        };
        let deadline = timeout.map(|timeout| (now + timeout, Signal::TERM));
        self.running.push(Running { key, child, descriptor, deadline, overran: false });
        Ok(())
    }

    /// Descriptors that become readable when a program ends.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.running.iter().map(|running| running.descriptor.as_fd())
    }

    pub fn len(&self) -> usize {
        self.running.len()
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub fn is_running(&self, mut wanted: impl FnMut(&K) -> bool) -> bool {
        self.running.iter().any(|running| wanted(&running.key))
    }

    /// Takes those that ended.
    pub fn reap(&mut self) -> Vec<(K, Ended)> {
        let mut ended = Vec::new();
        self.running.retain_mut(|running| match running.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                let how = match (running.overran, status.code(), status.signal()) {
                    (true, _, _) => Ended::TimedOut,
                    (false, Some(code), _) => Ended::Exited(code),
                    (false, None, signal) => Ended::Signalled(signal.unwrap_or(0)),
                };
                ended.push((running.key.clone(), how));
                false
            }
            // Somebody else reaped it: how it ended is not known.
            Err(_) => {
                ended.push((running.key.clone(), Ended::Signalled(0)));
                false
            }
        });
        ended
    }

    /// When [`Programs::handle_timeout`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.running.iter().filter_map(|running| running.deadline.map(|(at, _)| at)).min()
    }

    /// Stops those that overran.
    pub fn handle_timeout(&mut self, now: Instant) {
        for running in &mut self.running {
            let Some((at, signal)) = running.deadline else { continue };
            if at > now {
                continue;
            }
            running.overran = true;
            running.deadline = (signal == Signal::TERM).then_some((now + GRACE, Signal::KILL));
            signal_group(&running.child, signal);
        }
    }

    /// Stops those whose key `chosen` says.
    pub fn stop(&mut self, mut chosen: impl FnMut(&K) -> bool, now: Instant) {
        for running in self.running.iter_mut().filter(|running| chosen(&running.key)) {
            signal_group(&running.child, Signal::TERM);
            running.deadline = Some((now + GRACE, Signal::KILL));
        }
    }
}

fn signal_group(child: &Child, signal: Signal) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // It may have ended this moment.
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepalived_config::model::RunAs;

    fn command(words: &[&str]) -> Wanted {
        let run_as =
            RunAs { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() };
        Wanted { words: words.iter().map(|word| (*word).to_owned()).collect(), run_as }
    }

    fn wait(programs: &mut Programs<u32>, limit: Duration) -> Vec<(u32, Ended)> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            programs.handle_timeout(Instant::now());
            let ended = programs.reap();
            if !ended.is_empty() {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Vec::new()
    }

    #[test]
    fn an_exit_code_comes_back_under_its_key() {
        let mut programs = Programs::default();
        programs.start(7, &command(&["/bin/sh", "-c"]), &["exit 3"], None, Instant::now()).expect("starts");
        assert_eq!(wait(&mut programs, Duration::from_secs(10)), [(7, Ended::Exited(3))]);
        assert!(programs.is_empty());
    }

    #[test]
    fn a_program_that_overruns_is_stopped_with_its_children() {
        let mut programs = Programs::default();
        let timeout = Some(Duration::from_millis(50));
        let line = command(&["/bin/sh", "-c", "sleep 60 & wait"]);
        programs.start(1, &line, &[], timeout, Instant::now()).expect("starts");
        assert_eq!(wait(&mut programs, Duration::from_secs(10)), [(1, Ended::TimedOut)]);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let mut programs = Programs::default();
        assert!(programs.start(1, &command(&["/no/such"]), &[], None, Instant::now()).is_err());
    }
}
