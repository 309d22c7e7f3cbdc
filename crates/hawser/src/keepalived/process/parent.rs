//! The parent: starts the children, passes signals on, starts a child again when it dies, tells systemd.

use super::news::{Hearing, News, Session, Word};
use super::{CHECKERS, Load, RESTARTED, Settings, VRRP, again, version_text, write_pid_file};
use failover::log::{Level, Log};
use failover::office::programs::{Ended, Programs};
use failover::office::signal;
use keepalived_config::Model;
use keepalived_config::model::Command;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const SIGNAL_CHILD: i32 = 17;
/// How often a script that is waited for is looked at.
const SCRIPT_LOOK: Duration = Duration::from_millis(10);
/// A child that lives shorter than this failed to start; then the next one waits.
const LIFE_MIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(1);
/// Characters of the command line in one line of the log.
const COMMAND_LINE_LENGTH: usize = 100;

/// The two kinds of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Checkers,
    Vrrp,
}

impl Kind {
    /// In the order they are started.
    const ALL: [Kind; 2] = [Kind::Checkers, Kind::Vrrp];

    /// As the log calls it.
    fn name(self) -> &'static str {
        match self {
            Kind::Checkers => "Healthcheck",
            Kind::Vrrp => "VRRP",
        }
    }

    fn role(self) -> &'static str {
        match self {
            Kind::Checkers => CHECKERS,
            Kind::Vrrp => VRRP,
        }
    }

    /// Whether this configuration has something for it to do.
    fn is_wanted(self, settings: &Settings, model: &Model) -> bool {
        match self {
            Kind::Checkers => {
                settings.parts.checkers && (settings.parts.idle_ones || !model.virtual_servers.is_empty())
            }
            Kind::Vrrp => {
                let has_work = !model.instances.is_empty()
                    || !model.static_addresses.is_empty()
                    || !model.static_routes.is_empty()
                    || !model.static_rules.is_empty()
                    // The thread of BFD is its own.
                    || !model.bfd_sessions.is_empty();
                // Without anything at all there is a daemon all the same, which a reload gives something to do.
                let is_only = !settings.parts.checkers || model.virtual_servers.is_empty();
                settings.parts.vrrp && (settings.parts.idle_ones || has_work || is_only)
            }
        }
    }
}

/// Whether a VRRP child runs with this configuration.
pub(super) fn runs_vrrp(settings: &Settings, model: &Model) -> bool {
    Kind::Vrrp.is_wanted(settings, model)
}

/// Whether the checkers' child runs with this configuration.
pub(super) fn runs_checkers(settings: &Settings, model: &Model) -> bool {
    Kind::Checkers.is_wanted(settings, model)
}

/// One child, whether it runs or not.
struct Slot {
    kind: Kind,
    is_wanted: bool,
    has_run: bool,
    running: Option<Running>,
    /// It died at once: not before this.
    start_at: Option<Instant>,
}

struct Running {
    process: Child,
    started: Instant,
    channel: UnixStream,
    hearing: Hearing,
    is_starting: bool,
    is_reloading: bool,
}

/// How far all of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Settled,
    Reloading { refused: bool },
    Stopping { until: Instant },
}

struct Parent<'a> {
    settings: &'a Settings,
    load: Load,
    log: Log,
    signals: sys::signals::SignalReader,
    slots: Vec<Slot>,
    phase: Phase,
    /// How the sessions of BFD are, for a checkers' child that begins anew.
    sessions: BTreeMap<String, bool>,
    child_wait_time: Duration,
    reload_check_log: Option<PathBuf>,
    shutdown_script: Option<(Command, Duration)>,
}

pub(super) fn run(settings: &Settings, mut load: Load) -> io::Result<ExitCode> {
    let numbers: Vec<i32> = signal::ALL.iter().copied().chain([SIGNAL_CHILD]).collect();
    // Before anything else: signals to a process go to any thread that does not block them.
    let signals = sys::signals::read_numbers_instead_of_handling(&numbers)?;
    let mut log = Log::open(settings.log.clone());
    log.line(Level::Info, &format!("Starting {}", version_text()));
    say_kernel(&mut log);
    say_command_line(&mut log, settings);
    let model = match load() {
        Ok((model, remarks)) => {
            remarks.lines().for_each(|line| log.line(Level::Warning, line));
            model
        }
        Err(report) => {
            report.lines().for_each(|line| log.line(Level::Error, line));
            return Ok(ExitCode::FAILURE);
        }
    };
    confine(&model, &mut log);
    let pid_file = settings.place(&settings.pid_file, &model);
    write_pid_file(&pid_file)
        .map_err(|error| io::Error::other(format!("{}: {error}", pid_file.display())))?;
    let slots =
        Kind::ALL.map(|kind| Slot { kind, is_wanted: false, has_run: false, running: None, start_at: None });
    let mut parent = Parent {
        settings,
        load,
        log,
        signals,
        slots: slots.into(),
        phase: Phase::Starting,
        sessions: BTreeMap::new(),
        child_wait_time: Duration::ZERO,
        reload_check_log: None,
        shutdown_script: None,
    };
    parent.adopt(&model);
    let (script, limit) = (model.global.startup_script.clone(), model.global.startup_script_timeout);
    drop(model);
    sys::allocator::give_back();
    parent.run_script("startup_script", script.as_ref(), limit);
    parent.start_missing()?;
    parent.work()?;
    let (script, limit) = parent.shutdown_script.take().unzip();
    parent.run_script("shutdown_script", script.as_ref(), limit.unwrap_or_default());
    // It may be gone, or belong to a successor's directory.
    let _ = std::fs::remove_file(&pid_file);
    parent.log.line(Level::Info, &format!("Stopped {}", version_text()));
    Ok(ExitCode::SUCCESS)
}

/// Under `hawser run` alone.
fn confine(model: &Model, log: &mut Log) {
    if let Err(error) = crate::run::confine::failover(model, true) {
        log.line(Level::Warning, &format!("not confined as it should be: {error}"));
    }
}

impl Parent<'_> {
    /// What the parent itself needs of a configuration.
    fn adopt(&mut self, model: &Model) {
        for slot in &mut self.slots {
            slot.is_wanted = slot.kind.is_wanted(self.settings, model);
        }
        self.sessions.retain(|name, _| model.bfd_sessions.iter().any(|session| session.name == *name));
        self.child_wait_time = model.global.child_wait_time;
        self.reload_check_log.clone_from(&model.global.reload_check_log);
        let script = model.global.shutdown_script.clone();
        self.shutdown_script = script.map(|script| (script, model.global.shutdown_script_timeout));
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            self.wait()?;
            while let Some(number) = self.signals.next_number()? {
                self.handle_signal(number)?;
            }
            for slot in 0..self.slots.len() {
                self.hear(slot)?;
            }
            self.settle();
            if let Phase::Stopping { until } = self.phase {
                if self.slots.iter().all(|slot| slot.running.is_none()) {
                    return Ok(());
                }
                if Instant::now() >= until {
                    self.kill();
                }
            } else {
                self.start_missing()?;
            }
        }
    }

    /// Before the children start, or after they have ended: waits for the script, but not longer than its limit.
    fn run_script(&mut self, name: &str, script: Option<&Command>, limit: Duration) {
        let Some(script) = script else { return };
        let mut programs = Programs::default();
        if let Err(error) = programs.start((), script, &[], Some(limit), Instant::now()) {
            self.log.line(Level::Error, &format!("{name}: {error}"));
            return;
        }
        loop {
            std::thread::sleep(SCRIPT_LOOK);
            programs.handle_timeout(Instant::now());
            let Some((_, how)) = programs.reap().into_iter().next() else { continue };
            let what = match how {
                Ended::Exited(0) => return,
                Ended::Exited(code) => format!("exited with status {code}"),
                Ended::Signalled(number) => format!("ended by signal {number}"),
                Ended::TimedOut => "took too long, and was stopped".to_owned(),
            };
            self.log.line(Level::Error, &format!("{name} {what}"));
            return;
        }
    }

    fn handle_signal(&mut self, number: i32) -> io::Result<()> {
        match number {
            SIGNAL_CHILD => self.reap(),
            signal::INTERRUPT | signal::STOP => self.stop(number),
            signal::RELOAD => self.reload()?,
            number => self.pass_on(number),
        }
        Ok(())
    }

    fn stop(&mut self, number: i32) {
        if !matches!(self.phase, Phase::Stopping { .. }) {
            self.log.line(Level::Info, "Stopping");
            crate::haproxy::notify::stopping();
            self.phase = Phase::Stopping { until: Instant::now() + self.child_wait_time };
        }
        self.pass_on(number);
    }

    /// A configuration with a mistake reaches no child.
    fn reload(&mut self) -> io::Result<()> {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return Ok(());
        }
        self.log.line(Level::Info, "Reloading ...");
        crate::haproxy::notify::reloading();
        match (self.load)() {
            Ok((model, remarks)) => {
                remarks.lines().for_each(|line| self.log.line(Level::Warning, line));
                if crate::run::confine::failover_lacks(&model) {
                    self.log.line(
                        Level::Warning,
                        "the new configuration needs rights that were given up: programs and users of it work after a restart",
                    );
                }
                self.pass_reload_on(&model, None)?;
                drop(model);
                sys::allocator::give_back();
                Ok(())
            }
            Err(report) => {
                report.lines().for_each(|line| self.log.line(Level::Error, line));
                self.log.line(Level::Error, "Configuration not changed: the new one has errors");
                if let Some(path) = &self.reload_check_log {
                    // Where it cannot be written, the log has it.
                    let _ = std::fs::write(path, report);
                }
                crate::haproxy::notify::ready();
                Ok(())
            }
        }
    }

    /// A child was asked to reload over its socket, and does so by itself: the others follow.
    fn reload_others(&mut self, asked: Kind) -> io::Result<()> {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return Ok(());
        }
        match (self.load)() {
            Ok((model, _)) => self.pass_reload_on(&model, Some(asked)),
            // That child says what is wrong.
            Err(_) => Ok(()),
        }
    }

    fn pass_reload_on(&mut self, model: &Model, except: Option<Kind>) -> io::Result<()> {
        self.adopt(model);
        self.phase = Phase::Reloading { refused: false };
        for slot in &mut self.slots {
            let Some(running) = slot.running.as_mut().filter(|_| Some(slot.kind) != except) else { continue };
            running.is_reloading = slot.is_wanted;
            send(running, if slot.is_wanted { signal::RELOAD } else { signal::STOP });
        }
        self.start_missing()
    }

    fn start_missing(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for slot in &mut self.slots {
            let may_start = slot.start_at.is_none_or(|at| at <= now);
            if slot.is_wanted && slot.running.is_none() && may_start {
                slot.start_at = None;
                let is_again = std::mem::replace(&mut slot.has_run, true);
                let mut running = start(self.settings, slot.kind, is_again, &mut self.log)?;
                if slot.kind == Kind::Checkers {
                    for (name, is_up) in &self.sessions {
                        let _ = running.channel.write_all(&Session::now(name.clone(), *is_up).write());
                    }
                }
                slot.running = Some(running);
            }
        }
        Ok(())
    }

    fn hear(&mut self, slot: usize) -> io::Result<()> {
        let Some(running) = &mut self.slots[slot].running else { return Ok(()) };
        let mut bytes = [0; 64];
        let Ok(length) = running.channel.read(&mut bytes) else { return Ok(()) };
        for news in running.hearing.take(&bytes[..length]) {
            let Some(running) = &mut self.slots[slot].running else { return Ok(()) };
            let word = match news {
                News::Word(word) => word,
                News::Session(session) => {
                    self.hear_of(&session);
                    continue;
                }
            };
            match word {
                Word::Ready => (running.is_starting, running.is_reloading) = (false, false),
                Word::Refused => {
                    running.is_reloading = false;
                    if let Phase::Reloading { refused } = &mut self.phase {
                        *refused = true;
                    }
                }
                Word::Reloading => {
                    running.is_reloading = true;
                    if self.phase == Phase::Settled {
                        self.phase = Phase::Reloading { refused: false };
                    }
                }
                // Everybody is told when the parent stops; a child that ends alone is started again.
                Word::Stopping => {}
                Word::WantsReload => self.reload_others(self.slots[slot].kind)?,
            }
            self.settle();
        }
        Ok(())
    }

    /// A session of BFD: the checkers' child hears of it, now or when it is there.
    fn hear_of(&mut self, session: &Session) {
        self.sessions.insert(session.name.clone(), session.is_up);
        let checkers = self.slots.iter_mut().find(|slot| slot.kind == Kind::Checkers);
        if let Some(running) = checkers.and_then(|slot| slot.running.as_mut()) {
            // It reads all the time; one that does not is as good as gone.
            let _ = running.channel.write_all(&session.write());
        }
    }

    /// The child that had the sessions has died: nobody knows of the neighbours.
    fn lose_sessions(&mut self) {
        let up = self.sessions.iter().filter(|(_, is_up)| **is_up);
        let lost: Vec<Session> = up.map(|(name, _)| Session::now(name.clone(), false)).collect();
        lost.iter().for_each(|session| self.hear_of(session));
    }

    /// Says that all are there, once they are.
    fn settle(&mut self) {
        let is_busy = |slot: &Slot| match &slot.running {
            Some(running) => running.is_starting || running.is_reloading,
            None => slot.is_wanted,
        };
        if self.slots.iter().any(is_busy) {
            return;
        }
        match self.phase {
            Phase::Starting => self.log.line(Level::Info, "Startup complete"),
            Phase::Reloading { refused: false } => self.log.line(Level::Info, "Reload complete"),
            Phase::Reloading { refused: true } => {}
            Phase::Settled | Phase::Stopping { .. } => return,
        }
        crate::haproxy::notify::ready();
        self.phase = Phase::Settled;
        // From here on it waits for its children: what its start took is not kept.
        sys::allocator::give_back();
        let _ = sys::process::forget_code();
    }

    fn reap(&mut self) {
        let had_vrrp = self.runs(Kind::Vrrp);
        self.reap_all();
        if had_vrrp && !self.runs(Kind::Vrrp) {
            self.lose_sessions();
        }
    }

    fn runs(&self, kind: Kind) -> bool {
        self.slots.iter().any(|slot| slot.kind == kind && slot.running.is_some())
    }

    fn reap_all(&mut self) {
        for slot in &mut self.slots {
            let status = slot.running.as_mut().and_then(|running| running.process.try_wait().ok().flatten());
            let (Some(status), Some(running)) = (status, slot.running.as_ref()) else { continue };
            let (pid, lived) = (running.process.id(), running.started.elapsed());
            slot.running = None;
            if !slot.is_wanted {
                // A reload took it away; should the next bring it back, it begins anew.
                slot.has_run = false;
            }
            if matches!(self.phase, Phase::Stopping { .. }) || !slot.is_wanted {
                continue;
            }
            if status.code() == Some(i32::from(super::checkers::PERMANENT)) {
                let line = format!(
                    "{} child process({pid}) cannot run here: not started again before a reload",
                    slot.kind.name()
                );
                self.log.line(Level::Error, &line);
                slot.is_wanted = false;
                continue;
            }
            say_death(&mut self.log, slot.kind, pid, status);
            if self.settings.dont_respawn {
                slot.is_wanted = false;
                continue;
            }
            if lived < LIFE_MIN {
                // It will most likely fail again; a machine that only starts processes helps nobody.
                slot.start_at = Some(Instant::now() + PAUSE);
            }
        }
        if self.settings.dont_respawn && self.slots.iter().all(|slot| slot.running.is_none()) {
            self.phase = Phase::Stopping { until: Instant::now() };
        }
    }

    fn wait(&self) -> io::Result<()> {
        let mut waited = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
        for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
            waited.push(PollFd::from_borrowed_fd(running.channel.as_fd(), PollFlags::IN));
        }
        let mut deadline =
            self.slots.iter().filter(|slot| slot.is_wanted).filter_map(|slot| slot.start_at).min();
        if let Phase::Stopping { until } = self.phase {
            deadline = Some(until);
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        match poll(&mut waited, timeout.as_ref()) {
            // A child's end is closed: what follows is SIGCHLD, which comes in its own time.
            Ok(_) if waited[1..].iter().any(|end| end.revents().contains(PollFlags::HUP)) => {
                let pause = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
                let _ = poll(&mut waited[..1], Some(&pause));
                Ok(())
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn pass_on(&self, number: i32) {
        self.slots.iter().filter_map(|slot| slot.running.as_ref()).for_each(|running| send(running, number));
    }

    /// `child_wait_time` is over.
    fn kill(&mut self) {
        for slot in &mut self.slots {
            let Some(running) = &mut slot.running else { continue };
            let line = format!(
                "{} child process({}) killed: it did not stop",
                slot.kind.name(),
                running.process.id()
            );
            self.log.line(Level::Error, &line);
            let _ = running.process.kill();
            let _ = running.process.wait();
            slot.running = None;
        }
    }
}

fn start(settings: &Settings, kind: Kind, is_again: bool, log: &mut Log) -> io::Result<Running> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = again(settings, kind.role())?;
    if is_again {
        command.env(RESTARTED, "1");
    }
    let process = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    log.line(Level::Info, &format!("Starting {} child process, pid={}", kind.name(), process.id()));
    Ok(Running {
        process,
        started: Instant::now(),
        channel: ours,
        hearing: Hearing::default(),
        is_starting: true,
        is_reloading: false,
    })
}

fn send(running: &Running, number: i32) {
    let Some(pid) = Pid::from_raw(running.process.id().cast_signed()) else { return };
    match Signal::from_named_raw(number) {
        // It may have died this moment.
        Some(signal) => drop(kill_process(pid, signal)),
        None => drop(sys::signals::send_number(pid, number)),
    }
}

fn say_death(log: &mut Log, kind: Kind, pid: u32, status: ExitStatus) {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("exited due to signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    log.line(Level::Error, &format!("pid {pid} {how}"));
    log.line(Level::Error, &format!("{} child process({pid}) died: Respawning", kind.name()));
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
