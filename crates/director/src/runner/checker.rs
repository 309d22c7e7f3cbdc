//! One checker: a task that waits, looks, and tells the loop what it means.

use super::secure::Secure;
use super::{ping, probe, program, random_u32};
use crate::check::{Machine, Verdict};
use keepalived_config::model::{Check, CheckKind, Model};
use std::rc::Rc;
use std::time::Instant;
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
}

/// What one run of a check came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub passed: bool,
    /// The next URL is to be asked before this is a result.
    pub is_part: bool,
    pub offset: Option<i64>,
    /// A line of its own for a failure.
    pub line: Option<String>,
    /// What keepalived says of each failure where all are to be logged.
    pub remark: Option<String>,
    /// `exited with status 1`.
    pub detail: Option<String>,
}

impl Checker {
    pub async fn run(mut self, sender: mpsc::Sender<Event>) {
        let random = f64::from(random_u32()) / f64::from(u32::MAX);
        let mut machine = match self.known {
            Some(is_up) => Machine::resume(self.check.timing, is_up, Instant::now(), random),
            None => Machine::new(self.check.timing, self.is_alpha, Instant::now(), random),
        };
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
            if !found.passed && self.check.timing.log_all_failures && machine.is_up() && has_run {
                lines.extend(found.remark.clone());
            }
            let verdict = machine.handle_result(Instant::now(), found.passed);
            let (is_up, reason) = match verdict {
                Verdict::Up => {
                    lines.extend(self.success_line());
                    (Some(true), self.reason(true, &found))
                }
                Verdict::Down { retries } => {
                    lines.extend(found.line.clone());
                    lines.extend(self.failure_line(retries, &found));
                    (Some(false), self.reason(false, &found))
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
                program::check(command, *timeout, *dynamic, self.weight).await
            }
            CheckKind::Ping => ping::check(self.address.ip(), self.check.timing.connect_timeout).await,
            CheckKind::File { file, weight } => {
                let file = &self.model.track_files[file.index()];
                probe::file(&file.path, i64::from(weight.weight), weight.reverse)
            }
            CheckKind::Tcp
            | CheckKind::Http { .. }
            | CheckKind::Smtp { .. }
            | CheckKind::Dns { .. }
            | CheckKind::Udp { .. }
            | CheckKind::Bfd { .. } => {
                probe::check(self.address, &self.name, &self.check, urls, secure).await
            }
        }
    }

    /// What a mail says of a change.
    fn reason(&self, is_up: bool, found: &Found) -> String {
        let line = found.line.as_deref().and_then(|line| line.strip_prefix("SMTP_CHECK "));
        match (&self.check.kind, is_up, line) {
            (CheckKind::Tcp, true, _) => "=> TCP CHECK succeed on service <=",
            (CheckKind::Tcp, false, _) => "=> TCP CHECK failed on service <=",
            (CheckKind::Misc { .. }, true, _) => "=> MISC CHECK succeed on service <=",
            (CheckKind::Misc { .. }, false, _) => "=> MISC CHECK failed on service <=",
            (CheckKind::Http { .. }, false, _) => "=> CHECK failed on service : HTTP request failed <=",
            (CheckKind::Smtp { .. }, false, Some(why)) => {
                return format!("=> CHECK failed on service : {why} <=");
            }
            (_, true, _) => "=> CHECK succeed on service <=",
            (_, false, _) => "=> CHECK failed on service <=",
        }
        .to_owned()
    }

    fn success_line(&self) -> Option<String> {
        let name = &self.name;
        match &self.check.kind {
            CheckKind::Tcp => Some(format!("TCP connection to {name} success.")),
            CheckKind::Http { .. } => Some(format!("Remote Web server {name} succeed on service.")),
            CheckKind::Smtp { .. } => Some(format!("Remote SMTP server {name} succeed on service.")),
            CheckKind::Ping => Some(format!("ICMP connection to {name} success.")),
            CheckKind::Misc { command, .. } => {
                let (pool, script) = (&self.pool_name, &command.words[0]);
                Some(format!("Misc check for [{name} VS {pool}] by [{script}] succeeded."))
            }
            // keepalived says nothing of these.
            CheckKind::Dns { .. }
            | CheckKind::Udp { .. }
            | CheckKind::File { .. }
            | CheckKind::Bfd { .. } => None,
        }
    }

    fn failure_line(&self, retries: u32, found: &Found) -> Option<String> {
        let name = &self.name;
        let word = match &self.check.kind {
            CheckKind::Tcp => "TCP_CHECK",
            CheckKind::Http { .. } => "HTTP_CHECK",
            // Its line says why, and nothing follows it.
            CheckKind::Smtp { .. } if found.line.is_some() => return None,
            CheckKind::Smtp { .. } => "SMTP_CHECK",
            CheckKind::Ping => "ICMP_CHECK",
            CheckKind::Udp { .. } => "UDP_CHECK",
            CheckKind::Misc { command, .. } => {
                let (pool, script) = (&self.pool_name, &command.words[0]);
                let after = match retries {
                    0 => "with retry disabled".to_owned(),
                    retries => format!("after {retries} retries"),
                };
                let detail = found.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                let line = format!("Misc check for [{name} VS {pool}] by [{script}] failed {after}{detail}.");
                return Some(line);
            }
            CheckKind::Dns { .. } => "DNS_CHECK",
            CheckKind::File { .. } | CheckKind::Bfd { .. } => return None,
        };
        Some(match retries {
            0 => format!("{word} on service {name} failed."),
            retries => format!("{word} on service {name} failed after {retries} retries."),
        })
    }
}
