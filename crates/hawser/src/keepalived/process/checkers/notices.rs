//! Who hears of virtual servers: notify pipes and their readers, and people by mail.

use super::super::child::DUMP_DIRECTORY;
use super::super::{Settings, parent};
use super::dump;
use director::pool::Told;
use director::runner::State;
use failover::log::{Level, Log};
use failover::office::fifo::Fifo;
use failover::office::mail::{self, Mailer, Relay};
use failover::office::programs::Programs;
use keepalived_config::Model;
use keepalived_config::model::Fifo as WantedFifo;
use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// Lines about mails that wait to be logged.
const MAIL_REPORTS_MAX: usize = 256;

pub(super) struct Notices {
    model: Rc<Model>,
    log: Rc<RefCell<Log>>,
    fifos: Vec<Fifo>,
    /// Readers of the pipes.
    readers: Programs<()>,
    mailer: Mailer,
    mail_reports: Receiver<(bool, String)>,
    host_name: String,
    /// No VRRP child runs that would start the reader of `notify_fifo`.
    is_alone: bool,
}

impl Notices {
    /// # Errors
    /// The mailer's thread cannot be started.
    pub fn start(settings: &Settings, model: Rc<Model>, log: Rc<RefCell<Log>>) -> io::Result<Self> {
        let (report, mail_reports) = sync_channel(MAIL_REPORTS_MAX);
        // Lines beyond the bound are lost; the mails are not.
        let mailer = Mailer::start(move |is_error, line| drop(report.try_send((is_error, line))))?;
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let is_alone = !parent::runs_vrrp(settings, &model);
        let readers = Programs::default();
        let mut notices =
            Self { model, log, fifos: Vec::new(), readers, mailer, mail_reports, host_name, is_alone };
        notices.open_fifos();
        Ok(notices)
    }

    pub fn reload(&mut self, model: Rc<Model>) {
        self.model = model;
        self.open_fifos();
    }

    pub fn tell(&mut self, told: &Told) {
        self.say_mail_reports();
        if told.is_transition {
            let line = told.line();
            for fifo in &mut self.fifos {
                fifo.line(&line);
            }
        }
        if let Some(text) = &told.mail
            && (told.is_transition || !self.model.global.smtp.no_checker_emails)
        {
            self.mail(&told.subject(), text);
        }
    }

    /// Writes what SIGUSR1 asks for.
    pub fn dump(&self, state: &State<'_>) {
        let pid = std::process::id();
        self.say(Level::Info, &format!("Printing checker data for process({pid}) on signal"));
        let directory = Path::new(DUMP_DIRECTORY);
        if let Err((path, error)) = dump::write(&self.model, state, &self.host_name, directory) {
            self.say(Level::Error, &format!("Can't open dump file {}: {error}", path.display()));
        }
    }

    fn mail(&mut self, subject: &str, text: &str) {
        let global = &self.model.global;
        let Some(relay) = Relay::of(&global.smtp, &self.host_name) else { return };
        let router_id = global.router_id.as_deref().unwrap_or(&self.host_name);
        let seconds = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        let date = mail::date(sys::clock::local_time(seconds));
        let mail = mail::letter(&global.smtp, relay, &date, &format!("[{router_id}] {subject}"), text);
        if !self.mailer.send(mail) {
            self.say(Level::Warning, "SMTP alert not sent: too many wait");
        }
    }

    fn say(&self, level: Level, line: &str) {
        self.log.borrow_mut().line(level, line);
    }

    fn say_mail_reports(&self) {
        while let Ok((is_error, line)) = self.mail_reports.try_recv() {
            self.say(if is_error { Level::Error } else { Level::Info }, &line);
        }
    }

    /// Pipes of the same path stay open.
    fn open_fifos(&mut self) {
        let global = &self.model.global;
        let wanted = [(&global.notify_fifo, self.is_alone), (&global.lvs_notify_fifo, true)];
        let wanted: Vec<(WantedFifo, bool)> = wanted
            .into_iter()
            .filter_map(|(fifo, has_reader)| fifo.clone().map(|fifo| (fifo, has_reader)))
            .collect();
        for fifo in std::mem::take(&mut self.fifos) {
            if wanted.iter().any(|(one, _)| one.path == fifo.path()) {
                self.fifos.push(fifo);
            } else {
                fifo.remove();
            }
        }
        for (one, has_reader) in wanted {
            if self.fifos.iter().any(|fifo| fifo.path() == one.path) {
                continue;
            }
            let path = one.path.display().to_string();
            match Fifo::open(&one.path, one.owner.map(|owner| (owner.user, owner.group))) {
                Ok(fifo) => self.fifos.push(fifo),
                Err(error) => {
                    self.say(Level::Error, &format!("Unable to open notify fifo {path}: {error}"));
                    continue;
                }
            }
            if let Some(script) = one.script.as_ref().filter(|_| has_reader)
                && let Err(error) = self.readers.start_tied((), script, &[&path], Instant::now())
            {
                self.say(Level::Error, &format!("Error running the script of fifo {path}: {error}"));
            }
        }
    }

    pub fn stop(&mut self) {
        self.say_mail_reports();
        self.readers.stop(|()| true, Instant::now());
        for fifo in std::mem::take(&mut self.fifos) {
            fifo.remove();
        }
    }
}
