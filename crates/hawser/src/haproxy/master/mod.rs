//! The master: one thread that starts workers, reloads them, answers its socket, and ends with the last of them.
//!
//! ```text
//!                 ┌ SIGUSR2, SIGHUP, `reload` ─► start a worker ─ 'R' ─► it is current; the former one gets SIGUSR1
//!   poll ─────────┼ SIGCHLD ─► reap: a current worker that fails ends everything, unless told otherwise
//!                 ├ SIGTERM, SIGINT, SIGUSR1 ─► the same to all workers, wait for them, exit
//!                 └ clients of -S ─► runtime API of the master, or of a worker by prefix
//! ```
//! It keeps its rights and never touches traffic.

mod api;
mod client;
mod socket;
mod workers;

pub use api::command_names;

use super::arguments::Arguments;
use super::configuration::Loaded;
use super::{control, daemon, messages, notify, old_processes, pidfile, role};
use client::Client;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sys::signals::{Signal, SignalReader};
use workers::{Ended, Workers};

/// Clients of the master's socket at one time; more wait in the kernel's queue.
const CLIENTS_MAX: usize = 64;
/// How long the loop sleeps at most.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// The master's state.
struct Master<'a> {
    arguments: &'a Arguments,
    started: &'a role::Start,
    workers: Workers,
    clients: Vec<Client>,
    began: Instant,
    reloads: u32,
    failed_reloads: u32,
    /// Asked for while a worker was still starting.
    reload_pending: bool,
    /// Set once everything is to end.
    stopping: bool,
    exit_on_failure: bool,
    /// `mworker-max-reloads`, as it was when the master started.
    reloads_max: Option<u32>,
    exit_code: u8,
    /// First readiness is told once.
    announced: bool,
    /// Whom to tell, when in the background.
    parent: Option<OwnedFd>,
    background: bool,
    pidfile: Option<std::path::PathBuf>,
}

/// Runs the master until its last worker ended.
pub fn run(
    arguments: &Arguments,
    loaded: Loaded,
    signals: SignalReader,
    started: &role::Start,
    parent: Option<OwnedFd>,
) -> ExitCode {
    let listeners = match socket::open(&arguments.master_sockets) {
        Ok(listeners) => listeners,
        Err(reason) => {
            messages::alert(&reason);
            return ExitCode::FAILURE;
        }
    };
    let global = &loaded.model.global;
    let mut master = Master {
        arguments,
        started,
        workers: Workers::default(),
        clients: Vec::new(),
        began: Instant::now(),
        reloads: 0,
        failed_reloads: 0,
        reload_pending: false,
        stopping: false,
        exit_on_failure: !global.master_worker_no_exit_on_failure,
        reloads_max: global.mworker_max_reloads,
        exit_code: 0,
        announced: false,
        background: parent.is_some(),
        parent,
        pidfile: arguments.pidfile.clone().or_else(|| global.pidfile.clone()),
    };
    // Each worker reads the configuration itself.
    drop(loaded);
    if !master.start_worker() {
        return ExitCode::FAILURE;
    }
    master.follow(&signals, &listeners);
    ExitCode::from(master.exit_code)
}

impl Master<'_> {
    fn follow(&mut self, signals: &SignalReader, listeners: &[socket::MasterListener]) {
        let timeout = Timespec { tv_sec: POLL_TIMEOUT.as_secs().cast_signed(), tv_nsec: 0 };
        while !self.is_over() {
            let accepts = self.clients.len() < CLIENTS_MAX;
            let mut waiting = vec![PollFd::new(signals, PollFlags::IN)];
            let starting = self.workers.starting_channel();
            waiting.extend(starting.map(|channel| PollFd::from_borrowed_fd(channel, PollFlags::IN)));
            let clients_at = waiting.len();
            waiting.extend(self.clients.iter().map(Client::interest));
            let listeners_at = waiting.len();
            if accepts {
                waiting.extend(listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
            }
            if poll(&mut waiting, Some(&timeout)).is_err_and(|errno| errno != rustix::io::Errno::INTR) {
                return;
            }
            let fired: Vec<bool> = waiting.iter().map(|entry| !entry.revents().is_empty()).collect();
            drop(waiting);
            if clients_at == 2 && fired[1] {
                self.hear_starting_worker();
            }
            self.serve_clients(&fired[clients_at..listeners_at]);
            for (listener, _) in listeners.iter().zip(&fired[listeners_at..]).filter(|(_, fired)| **fired) {
                if let Some(stream) = listener.accept() {
                    self.clients.push(Client::new(stream, listener.level));
                }
            }
            while let Ok(Some(signal)) = signals.next() {
                self.handle(signal);
            }
            self.reap();
            if self.reload_pending && !self.stopping && !self.workers.is_starting() {
                self.reload_pending = false;
                self.reload();
            }
        }
    }

    fn is_over(&self) -> bool {
        self.workers.is_empty()
    }

    /// Starts a worker, which takes over the listeners of the current one. `false`: complained.
    fn start_worker(&mut self) -> bool {
        let transfer =
            self.workers.current().and_then(|worker| control::ask_listeners(worker.channel()).ok());
        let outcome = self.started.worker(self.background).and_then(|(child, channel)| {
            control::send_transfer(&channel, transfer.as_ref()).map(|()| (child, channel))
        });
        match outcome {
            Ok((child, channel)) => {
                messages::notice(&format!("New worker ({}) forked", child.id()));
                self.workers.add(child, channel);
                true
            }
            Err(error) => {
                messages::alert(&format!("[haproxy.main()] Cannot fork: {error}"));
                false
            }
        }
    }

    /// Ready, or ended: the latter is seen by [`Master::reap`].
    fn hear_starting_worker(&mut self) {
        let Some(channel) = self.workers.starting_channel() else { return };
        if !control::wait_ready(channel) {
            self.workers.starting_fell_silent();
            return;
        }
        self.workers.starting_is_current();
        messages::notice("Loading success.");
        if !self.announced {
            self.announced = true;
            if let Some(path) = &self.pidfile
                && let Err(error) = pidfile::write(path)
            {
                messages::alert(&format!(
                    "[haproxy.main()] Cannot create pidfile {} ({error})",
                    path.display()
                ));
                self.stop(Signal::TERM, 1);
                return;
            }
            old_processes::replace(self.arguments.old_processes.as_ref());
            if let Some(parent) = self.parent.take() {
                // The one who waits may have been killed; we serve all the same.
                let _ = control::report_ready(&parent);
                daemon::detach();
            }
        }
        self.workers.signal_former(Signal::USR1);
        if let Some(max) = self.reloads_max {
            self.workers.end_outlived(max);
        }
        notify::ready();
    }

    fn handle(&mut self, signal: Signal) {
        match signal {
            Signal::USR2 | Signal::HUP => self.ask_reload(),
            Signal::TERM => self.stop(signal, 0),
            Signal::USR1 => self.stop(signal, 0),
            Signal::INT => self.stop(signal, 130),
            Signal::TTIN | Signal::TTOU => self.workers.signal_all(signal),
            // SIGCHLD only wakes the loop.
            _ => {}
        }
    }

    fn stop(&mut self, signal: Signal, exit_code: u8) {
        if !self.stopping {
            self.stopping = true;
            self.exit_code = exit_code;
            messages::warning("Exiting Master process...");
            notify::stopping();
        }
        self.workers.signal_all(signal);
    }

    fn ask_reload(&mut self) {
        if !self.stopping {
            self.reload_pending = true;
        }
    }

    fn reload(&mut self) {
        messages::notice("Reloading HAProxy");
        notify::reloading();
        self.reloads += 1;
        if !self.start_worker() {
            self.reload_failed();
        }
    }

    fn reload_failed(&mut self) {
        self.failed_reloads += 1;
        messages::warning("Loading failure!");
        // The current worker goes on serving.
        notify::ready();
    }

    fn reap(&mut self) {
        for Ended { role, pid, status } in self.workers.reap() {
            let (code, name) = (status.code, status.name);
            match role {
                workers::Standing::Starting if self.announced => {
                    messages::warning(&format!("New worker ({pid}) exited with code {code} ({name})"));
                    self.reload_failed();
                }
                workers::Standing::Starting => {
                    // It said why; nothing ever served.
                    self.exit_code = 1;
                    self.stopping = true;
                }
                workers::Standing::Current => self.current_ended(pid, code, name),
                workers::Standing::Former => {
                    messages::warning(&format!("Former worker ({pid}) exited with code {code} ({name})"));
                }
            }
        }
        if self.announced && self.workers.is_empty() {
            messages::warning(&format!("All workers exited. Exiting... ({})", self.exit_code));
        }
    }

    fn current_ended(&mut self, pid: u32, code: u8, name: &str) {
        const INTERRUPTED: u8 = 130;
        const TERMINATED: u8 = 143;
        let text = format!("Current worker ({pid}) exited with code {code} ({name})");
        if code == 0 {
            messages::warning(&text);
        } else {
            messages::alert(&text);
        }
        if self.stopping {
            return;
        }
        // Somebody stopped it by hand, or it crashed.
        self.exit_code = if code == TERMINATED { 0 } else { code };
        let failed = !matches!(code, 0 | INTERRUPTED | TERMINATED);
        if failed && self.exit_on_failure {
            messages::alert("exit-on-failure: killing every processes with SIGTERM");
            self.stopping = true;
            self.workers.signal_all(Signal::TERM);
        }
    }

    fn serve_clients(&mut self, fired: &[bool]) {
        let mut clients = std::mem::take(&mut self.clients);
        let mut reload = false;
        for (client, _) in clients.iter_mut().zip(fired).filter(|(_, fired)| **fired) {
            let facts = api::Facts {
                workers: &self.workers,
                began: self.began,
                reloads: self.reloads,
                failed_reloads: self.failed_reloads,
            };
            reload |= client.progress(&facts);
        }
        clients.retain(|client| !client.is_over());
        self.clients = clients;
        if reload {
            self.ask_reload();
        }
    }
}
