//! One checker: a task that waits, looks, and tells the loop what it means.

use super::secure::Secure;
use super::standing::Shared;
use super::words::Words;
use super::{ping, probe, program, random_u32};
use crate::check::{Fault, Machine, Verdict};
use keepalived_config::model::{Check, CheckKind, Model};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// What a checker found.
pub(super) struct Event {
    pub generation: u64,
    pub pool: usize,
    pub server: usize,
    pub check: usize,
    /// Lines for the log, before what follows from the verdict.
    pub lines: Vec<String>,
    pub verdict: Option<bool>,
    /// For the mail about it.
    pub reason: String,
    /// What it adds to the weight.
    pub offset: Option<i64>,
}

/// One check of one real server.
pub(super) struct Checker {
    pub generation: u64,
    pub place: (usize, usize, usize),
    pub name: String,
    pub pool_name: String,
    pub address: std::net::SocketAddr,
    pub weight: i64,
    pub is_alpha: bool,
    /// What the last configuration's checker had found: up or down.
    pub known: Option<bool>,
    /// False while `ha_suspend` holds it back.
    pub active: watch::Receiver<bool>,
    pub check: Check,
    pub model: Rc<Model>,
    pub standing: Shared,
}

/// What one run of a check came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub passed: bool,
    /// The next URL is to be asked before this is a result.
    pub is_part: bool,
    pub offset: Option<i64>,
    pub failure: Option<Failure>,
    /// When a program was started, since 1970.
    pub started: Option<Duration>,
    /// How a program ended.
    pub exit_code: Option<i32>,
}

impl Found {
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection was not made, or broke: what the kernel says, if it was the kernel.
    Connection(Option<i32>),
    NotConnected,
    /// The connection broke.
    Broken(Option<i32>),
    Fault(Fault),
    /// `exited with status 1`
    Program(String),
    ProgramTimedOut,
}

impl Checker {
    pub async fn run(mut self, sender: mpsc::Sender<Event>) {
        let random = f64::from(random_u32()) / f64::from(u32::MAX);
        let mut machine = match self.known {
            Some(is_up) => Machine::resume(self.check.timing, is_up, Instant::now(), random),
            None => Machine::new(self.check.timing, self.is_alpha, Instant::now(), random),
        };
        if matches!(self.check.kind, CheckKind::Smtp { .. }) {
            machine.retry_first();
        }
        let mut urls = probe::Urls::new(&self.check.kind);
        let secure = match Secure::new(&self.check, self.model.ssl.as_ref()) {
            Ok(secure) => secure,
            Err(error) => {
                // Nothing can be found out: the server stays as it is, and the log says so.
                let line = format!("SSL_GET of service {} cannot run: {error}", self.name);
                self.send(&sender, vec![line], None, String::new(), None).await;
                return;
            }
        };
        let mut offset = 0;
        while let Some(due) = machine.poll_timeout() {
            tokio::time::sleep_until(due.into()).await;
            // Without a director there is nobody to check for.
            if self.active.wait_for(|is_active| *is_active).await.is_err() {
                return;
            }
            let has_run = machine.has_run();
            machine.begin();
            let mut found = self.look(&mut urls, secure.as_ref()).await;
            found.offset = found.offset.filter(|now| std::mem::replace(&mut offset, *now) != *now);
            let mut lines = Vec::new();
            let recovers = has_run && !machine.is_up();
            let mut is_part = found.is_part;
            if found.passed && recovers {
                lines.extend(urls.passed_lines(&self.check.kind, &self.name));
                // A server that comes back passes every URL once more behind the first success.
                is_part |= urls.begin_recovery(&self.check.kind);
            }
            if found.passed && is_part {
                machine.handle_part(Instant::now(), self.is_fast(recovers));
                if !self.send(&sender, lines, None, String::new(), None).await {
                    return;
                }
                continue;
            }
            urls.restart(found.passed);
            let (is_open, retries) = (machine.is_open(), machine.retries());
            let verdict = machine.handle_result(Instant::now(), found.passed);
            self.note(&machine, &found, offset);
            let words = self.words();
            if let (Some(failure), true, true) = (&found.failure, is_open, self.logs_all()) {
                lines.extend(words.of_failure(failure, verdict == Verdict::Down, retries));
            }
            let (is_up, reason) = match verdict {
                Verdict::Up => {
                    lines.extend(words.of_success());
                    (Some(true), words.reason(true, None))
                }
                Verdict::Down => {
                    lines.extend(words.of_end(found.failure.as_ref(), has_run));
                    (Some(false), words.reason(false, found.failure.as_ref()))
                }
                Verdict::Retrying | Verdict::Same => (None, String::new()),
            };
            if !self.send(&sender, lines, is_up, reason, found.offset).await {
                return;
            }
        }
    }

    /// `fast_recovery`: the URLs of a server that comes back are asked without a pause.
    fn is_fast(&self, recovers: bool) -> bool {
        recovers && matches!(self.check.kind, CheckKind::Http { fast_recovery: true, .. })
    }

    /// False: nobody listens any more.
    async fn send(
        &self,
        sender: &mpsc::Sender<Event>,
        lines: Vec<String>,
        verdict: Option<bool>,
        reason: String,
        offset: Option<i64>,
    ) -> bool {
        if lines.is_empty() && verdict.is_none() && offset.is_none() {
            return true;
        }
        let ((pool, server, check), generation) = (self.place, self.generation);
        let event = Event { generation, pool, server, check, lines, verdict, reason, offset };
        sender.send(event).await.is_ok()
    }

    async fn look(&self, urls: &mut probe::Urls, secure: Option<&Secure>) -> Found {
        match &self.check.kind {
            CheckKind::Misc { command, timeout, dynamic } => {
                program::check(command, timeout.unwrap_or(self.check.timing.delay_loop), *dynamic, self.weight).await
            }
            CheckKind::Ping => ping::check(self.address.ip(), self.check.timing.connect_timeout).await,
            CheckKind::Tcp
            | CheckKind::Http { .. }
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Udp { .. }
            // These two are told of changes, and have no task.
            | CheckKind::File { .. }
            | CheckKind::Bfd { .. } => {
                probe::check(self.address, &self.check, urls, secure).await
            }
        }
    }

    fn logs_all(&self) -> bool {
        self.check.timing.log_all_failures || self.model.global.checker_log_all_failures
    }

    fn words(&self) -> Words<'_> {
        Words {
            kind: &self.check.kind,
            server: &self.name,
            pool: &self.pool_name,
            at: probe::target(self.address, &self.check),
            retry: self.check.timing.retry,
        }
    }

    /// For those who ask where it stands.
    fn note(&self, machine: &Machine, found: &Found, offset: i64) {
        let mut standing = self.standing.borrow_mut();
        standing.has_run = machine.has_run();
        standing.retries = machine.retries();
        standing.offset = offset;
        standing.started = found.started.unwrap_or(standing.started);
        standing.exit_code = found.exit_code.unwrap_or(standing.exit_code);
        // keepalived remembers it of this kind alone.
        let is_udp = matches!(self.check.kind, CheckKind::Udp { .. });
        standing.errno = match found.failure {
            Some(Failure::Connection(errno) | Failure::Broken(errno)) if is_udp => errno,
            _ => None,
        };
    }
}
