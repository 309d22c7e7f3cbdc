//! The master's children: which of them serves, which one starts, which ones finish.

use rustix::process::{Pid, Signal, kill_process};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Instant;

/// A worker's place in the order of reloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Starting,
    Current,
    Former,
}

/// One child.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    /// `None` once it ended its side without being ready.
    channel: Option<OwnedFd>,
    pub standing: Standing,
    pub began: Instant,
    /// Reloads since it started.
    pub reloads: u32,
}

impl Worker {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Panics
    /// Never for a current worker: only a starting one loses its channel.
    pub fn channel(&self) -> BorrowedFd<'_> {
        self.channel.as_ref().expect("a worker that serves keeps its channel").as_fd()
    }

    fn signal(&self, signal: Signal) {
        // A child that we have not reaped keeps its number, so this reaches nobody else.
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// How a child ended, as HAProxy tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Exit code, or 128 and the signal.
    pub code: u8,
    pub name: &'static str,
}

/// A child that ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub role: Standing,
    pub pid: u32,
    pub status: Status,
}

#[derive(Debug, Default)]
pub struct Workers {
    /// In the order they were started.
    list: Vec<Worker>,
}

impl Workers {
    pub fn add(&mut self, child: Child, channel: OwnedFd) {
        for worker in &mut self.list {
            worker.reloads += 1;
        }
        self.list.push(Worker {
            child,
            channel: Some(channel),
            standing: Standing::Starting,
            began: Instant::now(),
            reloads: 0,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn find(&self, standing: Standing) -> Option<&Worker> {
        self.list.iter().find(|worker| worker.standing == standing)
    }

    pub fn current(&self) -> Option<&Worker> {
        self.find(Standing::Current)
    }

    pub fn is_starting(&self) -> bool {
        self.find(Standing::Starting).is_some()
    }

    pub fn starting_channel(&self) -> Option<BorrowedFd<'_>> {
        self.find(Standing::Starting)?.channel.as_ref().map(AsFd::as_fd)
    }

    /// Workers that serve or finish, the current one first.
    pub fn serving(&self) -> impl Iterator<Item = &Worker> {
        self.list.iter().rev().filter(|worker| worker.standing != Standing::Starting)
    }

    pub fn by_pid(&self, pid: u32) -> Option<&Worker> {
        self.serving().find(|worker| worker.pid() == pid)
    }

    pub fn starting_is_current(&mut self) {
        for worker in &mut self.list {
            worker.standing = match worker.standing {
                Standing::Starting => Standing::Current,
                Standing::Current | Standing::Former => Standing::Former,
            };
        }
    }

    /// The starting worker closed its channel: it is about to end, and SIGCHLD will say so.
    pub fn starting_fell_silent(&mut self) {
        for worker in self.list.iter_mut().filter(|worker| worker.standing == Standing::Starting) {
            worker.channel = None;
        }
    }

    pub fn signal_all(&self, signal: Signal) {
        self.list.iter().for_each(|worker| worker.signal(signal));
    }

    pub fn signal_former(&self, signal: Signal) {
        let former = |worker: &&Worker| worker.standing == Standing::Former;
        self.list.iter().filter(former).for_each(|worker| worker.signal(signal));
    }

    /// `mworker-max-reloads`: ends workers that have seen more reloads than that.
    pub fn end_outlived(&self, reloads_max: u32) {
        let outlived = |worker: &&Worker| worker.standing == Standing::Former && worker.reloads > reloads_max;
        self.list.iter().filter(outlived).for_each(|worker| worker.signal(Signal::TERM));
    }

    /// Children that ended since the last call.
    pub fn reap(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        self.list.retain_mut(|worker| match worker.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                ended.push(Ended { role: worker.standing, pid: worker.pid(), status: describe(status) });
                false
            }
            // Nobody else waits for our children; if somebody did, it is gone.
            Err(_) => false,
        });
        ended
    }
}

fn describe(status: ExitStatus) -> Status {
    match (status.code(), status.signal()) {
        (Some(code), _) => Status { code: u8::try_from(code).unwrap_or(u8::MAX), name: "Exit" },
        (None, Some(signal)) => {
            Status { code: u8::try_from(128 + signal).unwrap_or(u8::MAX), name: signal_name(signal) }
        }
        (None, None) => Status { code: u8::MAX, name: "Unknown" },
    }
}

/// As strsignal(3) names them.
fn signal_name(signal: i32) -> &'static str {
    match Signal::from_named_raw(signal) {
        Some(Signal::HUP) => "Hangup",
        Some(Signal::INT) => "Interrupt",
        Some(Signal::QUIT) => "Quit",
        Some(Signal::ILL) => "Illegal instruction",
        Some(Signal::ABORT) => "Aborted",
        Some(Signal::BUS) => "Bus error",
        Some(Signal::FPE) => "Floating point exception",
        Some(Signal::KILL) => "Killed",
        Some(Signal::SEGV) => "Segmentation fault",
        Some(Signal::TERM) => "Terminated",
        Some(_) | None => "Signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::process::Command;

    fn add(workers: &mut Workers, script: &str) {
        let child = Command::new("sh").args(["-c", script]).spawn().expect("a shell");
        let (channel, _) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("pair");
        workers.add(child, channel);
    }

    fn reap_one(workers: &mut Workers) -> Ended {
        for _ in 0..200 {
            if let Some(ended) = workers.reap().pop() {
                return ended;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("nobody ended")
    }

    #[test]
    fn a_reload_makes_the_current_worker_a_former_one() {
        let mut workers = Workers::default();
        add(&mut workers, "sleep 5");
        assert!(workers.is_starting() && workers.current().is_none());
        workers.starting_is_current();
        let first = workers.current().expect("ready").pid();
        add(&mut workers, "sleep 5");
        assert_eq!(workers.current().map(Worker::pid), Some(first), "it serves until the new one is ready");
        workers.starting_is_current();
        assert_ne!(workers.current().map(Worker::pid), Some(first));
        assert_eq!(
            workers.by_pid(first).map(|worker| (worker.standing, worker.reloads)),
            Some((Standing::Former, 1))
        );
        workers.signal_former(Signal::TERM);
        let ended = reap_one(&mut workers);
        assert_eq!((ended.role, ended.pid), (Standing::Former, first));
        assert_eq!(ended.status, Status { code: 143, name: "Terminated" });
        workers.signal_all(Signal::KILL);
        assert_eq!(reap_one(&mut workers).status, Status { code: 137, name: "Killed" });
        assert!(workers.is_empty());
    }

    #[test]
    fn an_exit_code_is_told_as_it_is() {
        let mut workers = Workers::default();
        add(&mut workers, "exit 3");
        let ended = reap_one(&mut workers);
        assert_eq!((ended.role, ended.status), (Standing::Starting, Status { code: 3, name: "Exit" }));
    }
}
