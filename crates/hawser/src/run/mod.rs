//! `hawser run`: the proxy and failover under one supervisor. Owns starting, watching, reloading and stopping them; the work
//! is theirs, in processes of their own with rights of their own.
//!
//! ```text
//!   hawser run ─┬─► hawser haproxy -Ws -f … ─► worker (gives up its rights)      health of proxies, every 100 ms
//!               │                                   └──────────────► supervisor ──────────────► runtime socket
//!               └─► hawser keepalived -n -f … ─► VRRP child (keeps CAP_NET_ADMIN and CAP_NET_RAW)
//! ```
//! A strand that ends is started again, after a pause that doubles up to a bound; the other one goes on. Both end with the
//! supervisor, however that ends.

pub mod arguments;
pub mod confine;
mod health;
mod strand;

use arguments::Arguments;
use keepalived_config::SystemHost;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strand::{Kind, Strand};
use sys::signals::{Signal, SignalReader};

/// Set for strands that a supervisor started; each takes it away at its start.
pub const STRAND: &str = "HAWSER_STRAND";
/// Names the file with the health of proxies, for the VRRP child.
pub const PROXIES: &str = "HAWSER_PROXIES";

/// The longest that the first start of a strand may take.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// The longest that failover may take to give the addresses away.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How often the loop looks by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

const SIGNALS: &[Signal] =
    &[Signal::INT, Signal::TERM, Signal::HUP, Signal::USR1, Signal::USR2, Signal::CHILD, Signal::QUIT];

/// A strand that was started by a supervisor ends with it. Call first of all.
pub fn follow_supervisor() {
    confine::take();
    if std::env::var_os(STRAND).is_some() && sys::environment::remove(STRAND).is_ok() {
        // Without it a killed supervisor leaves us behind, and its successor cannot bind.
        let _ = sys::process::die_with_parent(rustix::process::Signal::TERM);
        // The supervisor reads its signals from a descriptor, and what it blocks its children block too.
        let _ = sys::signals::unblock(&[Signal::TERM, Signal::INT]);
    }
}

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    let arguments = match arguments::parse(words) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("hawser run: {reason}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    match supervise(&arguments) {
        Ok(code) => code,
        Err(reason) => {
            say(&reason);
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    for line in text.trim_end().lines() {
        eprintln!("hawser run: {line}");
    }
}

/// How it is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// Connections are cut.
    Hard,
    /// Connections end by themselves.
    Soft,
}

struct Supervisor<'a> {
    arguments: &'a Arguments,
    strands: Vec<Strand>,
    ending: Ending,
    /// Until then failover may take its time.
    deadline: Option<Instant>,
    announced: bool,
    health: Option<Arc<health::Proxy>>,
}

fn supervise(arguments: &Arguments) -> Result<ExitCode, String> {
    check(arguments)?;
    // Before any thread exists: threads inherit the mask.
    let signals = sys::signals::read_instead_of_handling(SIGNALS)
        .map_err(|error| format!("cannot watch signals: {error}"))?;
    let directory = &arguments.run_directory;
    strand::make_directory(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut strands = Vec::new();
    if !arguments.proxy.is_empty() {
        strands.push(Strand::new(Kind::Proxy, arguments));
    }
    if arguments.keepalived.is_some() {
        strands.push(Strand::new(Kind::Failover, arguments));
    }
    if arguments.dashboard.is_some() {
        strands.push(Strand::new(Kind::Dashboard, arguments));
    }
    let mut supervisor =
        Supervisor { arguments, strands, ending: Ending::No, deadline: None, announced: false, health: None };
    if !supervisor.start_in_order(&signals)? {
        return Ok(ExitCode::SUCCESS);
    }
    supervisor.follow(&signals).map_err(|error| error.to_string())?;
    let _ = std::fs::remove_file(arguments.proxies_file());
    Ok(ExitCode::SUCCESS)
}

/// Reads all files as the strands will.
fn check(arguments: &Arguments) -> Result<(), String> {
    if !arguments.proxy.is_empty() {
        let loaded = haproxy_config::load(&haproxy_config::LoadOptions::new(arguments.proxy.clone()));
        if loaded.model.is_none() {
            return Err(diag::render(&loaded.report, &loaded.sources, diag::Severity::Alert));
        }
    }
    if let Some(file) = &arguments.keepalived {
        let options = keepalived_config::LoadOptions::new(file.clone());
        let loaded = keepalived_config::load(&options, &SystemHost);
        if loaded.model.is_none() {
            return Err(diag::render(&loaded.report, &loaded.sources, diag::Severity::Alert));
        }
    }
    Ok(())
}

impl Supervisor<'_> {
    /// The proxy first: an address comes only to a node that can serve it. `false`: told to stop meanwhile.
    fn start_in_order(&mut self, signals: &SignalReader) -> Result<bool, String> {
        for index in 0..self.strands.len() {
            if self.strands[index].kind == Kind::Failover && self.health.is_none() {
                self.health = self.watch_health();
            }
            let strand = &mut self.strands[index];
            strand.start().map_err(|error| format!("{}: {error}", strand.kind.name()))?;
            let end = Instant::now() + START_PATIENCE;
            while !self.strands[index].hear() {
                if let Some(how) = self.strands[index].ended() {
                    self.end_all();
                    return Err(format!("{} {how}", self.strands[index].kind.name()));
                }
                if Instant::now() > end {
                    self.end_all();
                    return Err(format!("{} does not get ready", self.strands[index].kind.name()));
                }
                while let Ok(Some(signal)) = signals.next() {
                    if matches!(signal, Signal::INT | Signal::TERM | Signal::USR1) {
                        self.end_all();
                        return Ok(false);
                    }
                }
                wait(signals, &self.strands, Duration::from_millis(20));
            }
        }
        Ok(true)
    }

    /// Nothing is left behind by a start that failed.
    fn end_all(&mut self) {
        for strand in &mut self.strands {
            strand.signal(Signal::TERM);
        }
        let end = Instant::now() + STOP_PATIENCE;
        while self.strands.iter().any(|strand| !strand.is_gone()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
            // How they end is no news.
            self.strands.iter_mut().for_each(|strand| drop(strand.ended()));
        }
    }

    /// Watches proxies when something tracks them.
    fn watch_health(&self) -> Option<Arc<health::Proxy>> {
        let tracked = self.tracked();
        let is_running = self.strands.iter().any(|strand| strand.kind == Kind::Proxy);
        if tracked.is_empty() || !is_running {
            return None;
        }
        let proxy = Arc::new(health::Proxy::new(tracked));
        let places = health::Places {
            master: self.arguments.master_socket(),
            vrrp: self.arguments.vrrp_socket(),
            file: self.arguments.proxies_file(),
        };
        let shared = Arc::clone(&proxy);
        let thread = std::thread::Builder::new().name("health".to_owned());
        match thread.spawn(move || health::watch(&shared, &places)) {
            Ok(_) => Some(proxy),
            Err(error) => {
                say(&format!("cannot watch proxies: {error}"));
                None
            }
        }
    }

    /// The proxies that a vrrp_instance or group tracks.
    fn tracked(&self) -> Vec<String> {
        let Some(file) = &self.arguments.keepalived else { return Vec::new() };
        let options = keepalived_config::LoadOptions::new(file.clone());
        let Some(model) = keepalived_config::load(&options, &SystemHost).model else { return Vec::new() };
        health::tracked(&model)
    }

    fn follow(&mut self, signals: &SignalReader) -> io::Result<()> {
        loop {
            self.announce();
            wait(signals, &self.strands, self.timeout());
            while let Some(signal) = signals.next()? {
                self.handle(signal);
            }
            for strand in &mut self.strands {
                strand.hear();
            }
            self.reap();
            if self.ending != Ending::No && self.step_to_the_end() {
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> Duration {
        let now = Instant::now();
        let due = self.strands.iter().filter_map(|strand| strand.due()).min();
        due.map_or(LOOK_AGAIN, |due| due.saturating_duration_since(now).min(LOOK_AGAIN))
    }

    /// Ready once every strand is.
    fn announce(&mut self) {
        if self.ending == Ending::No && !self.announced && self.strands.iter().all(Strand::is_ready) {
            self.announced = true;
            crate::haproxy::notify::ready();
        }
    }

    fn handle(&mut self, signal: Signal) {
        match signal {
            Signal::HUP | Signal::USR2 => self.reload(),
            Signal::TERM | Signal::INT => self.end(Ending::Hard),
            Signal::USR1 => self.end(Ending::Soft),
            // SIGCHLD only wakes the loop.
            _ => {}
        }
    }

    /// A mistake in either file changes nothing.
    fn reload(&mut self) {
        if self.ending != Ending::No {
            return;
        }
        crate::haproxy::notify::reloading();
        match check(self.arguments) {
            Ok(()) => {
                if let Some(health) = &self.health {
                    health.track(self.tracked());
                } else {
                    self.health = self.watch_health();
                }
                for strand in &mut self.strands {
                    strand.reload();
                }
                say("reloading");
            }
            Err(report) => {
                say(&report);
                say("nothing is changed: the files have errors");
            }
        }
        crate::haproxy::notify::ready();
    }

    fn end(&mut self, ending: Ending) {
        if self.ending == Ending::No {
            crate::haproxy::notify::stopping();
            self.deadline = Some(Instant::now() + STOP_PATIENCE);
            // The addresses leave first: clients are elsewhere when connections end.
            for strand in self.strands.iter_mut().filter(|strand| strand.kind == Kind::Failover) {
                strand.signal(Signal::TERM);
            }
        }
        if self.ending != Ending::Hard {
            self.ending = ending;
        }
        // Told twice: the proxy may have its own end already.
        if self.failover_is_gone() {
            self.end_proxy();
        }
    }

    fn failover_is_gone(&self) -> bool {
        self.strands.iter().filter(|strand| strand.kind == Kind::Failover).all(Strand::is_gone)
    }

    fn end_proxy(&mut self) {
        let signal = if self.ending == Ending::Soft { Signal::USR1 } else { Signal::TERM };
        for strand in &mut self.strands {
            match strand.kind {
                Kind::Proxy => strand.end(signal),
                Kind::Dashboard => strand.end(Signal::TERM),
                Kind::Failover => {}
            }
        }
    }

    /// `true`: everything has ended.
    fn step_to_the_end(&mut self) -> bool {
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() > deadline);
        let kills = |kind: Kind| is_late && (kind != Kind::Proxy || self.ending == Ending::Hard);
        for index in 0..self.strands.len() {
            let kind = self.strands[index].kind;
            if kills(kind) && !self.strands[index].is_gone() {
                say(&format!("{} does not end: it is killed", kind.name()));
                self.strands[index].end(Signal::KILL);
            }
        }
        if self.failover_is_gone() && !(is_late && self.ending == Ending::Hard) {
            self.end_proxy();
        }
        self.strands.iter().all(Strand::is_gone)
    }

    /// Strands that have ended start again in their time.
    fn reap(&mut self) {
        let now = Instant::now();
        let is_ending = self.ending != Ending::No;
        for strand in &mut self.strands {
            if let Some(how) = strand.ended() {
                if strand.kind == Kind::Proxy
                    && let Some(health) = &self.health
                {
                    health.is_gone(now);
                }
                if !is_ending {
                    let pause = strand.plan_restart(now);
                    say(&format!("{} {how}; again in {} ms", strand.kind.name(), pause.as_millis()));
                }
            }
            if !is_ending && strand.due().is_some_and(|due| due <= now) {
                match strand.start() {
                    Ok(()) => {
                        if strand.kind == Kind::Proxy
                            && let Some(health) = &self.health
                        {
                            health.is_there();
                        }
                    }
                    Err(error) => {
                        let pause = strand.plan_restart(now);
                        say(&format!("{}: {error}; again in {} ms", strand.kind.name(), pause.as_millis()));
                    }
                }
            }
        }
    }
}

/// Until a signal, a word of a strand, or the time.
fn wait(signals: &SignalReader, strands: &[Strand], longest: Duration) {
    let timeout = Timespec {
        tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(longest.subsec_nanos()),
    };
    let mut waited = vec![PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
    waited.extend(strands.iter().map(|strand| PollFd::from_borrowed_fd(strand.as_fd(), PollFlags::IN)));
    // Interrupted or not: everything is looked at afterwards.
    let _ = poll(&mut waited, Some(&timeout));
}

/// Where things are below the directory; also where `hawser vrrp` looks.
impl Arguments {
    fn master_socket(&self) -> PathBuf {
        self.run_directory.join("proxy.sock")
    }

    fn vrrp_socket(&self) -> PathBuf {
        self.run_directory.join("vrrp.sock")
    }

    fn proxies_file(&self) -> PathBuf {
        self.run_directory.join("proxies")
    }
}
