//! The checkers' child: runs the director on the virtual servers, and tells pipes, people and programs what it finds.

mod dump;
mod managers;
mod notices;
mod plane;
mod watch;

use super::child::{Child, Word, enter};
use super::news::{Session, monotonic};
use super::{Load, Settings};
use crate::numbers::{self, Numbers};
use director::plane::Tended;
use director::runner::{Control, Director, News, Stop};
use failover::log::{Level, Log};
use failover::office::signal;
use keepalived_config::Model;
use keepalived_config::model::{CheckKind, LvsFlush, ProcessTuning};
use managers::Managers;
use notices::Notices;
use plane::Services;
use std::cell::RefCell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use sys::signals::SignalReader;
use tokio::sync::mpsc;
use watch::Event;

/// Requests that wait for the director.
const CONTROLS_MAX: usize = 64;
/// Signals and changes of addresses that wait for the loop.
const EVENTS_MAX: usize = 64;
/// The exit status of a child that would fail again, and is not started again.
pub(super) const PERMANENT: u8 = 3;

pub(super) fn run(settings: &Settings, mut load: Load) -> io::Result<ExitCode> {
    let was_restarted = super::was_restarted()?;
    let Child { signals, mut channel, model, pid_file } =
        enter(settings, &mut load, &settings.checkers_pid_file)?;
    let mut log = settings.log.clone();
    let name = model.global.checker_process.name.clone();
    log.name = name.unwrap_or_else(|| "Keepalived_healthcheckers".to_owned());
    let log = Rc::new(RefCell::new(Log::open(log)));
    be_tuned(&model.global.checker_process);
    if let Err(error) = crate::run::confine::failover(&model, false) {
        log.borrow_mut().line(Level::Warning, &format!("not confined as it should be: {error}"));
    }
    if runs_insecurely(&model) {
        let line = "SECURITY VIOLATION - check scripts are being executed but script_security not enabled.";
        log.borrow_mut().line(Level::Info, line);
    }
    let mut services = match Services::open(&model) {
        Ok(services) => services,
        Err(error) => {
            let line = format!("IPVS: {error}: the virtual servers do not run");
            log.borrow_mut().line(Level::Error, &line);
            channel.say(Word::Ready);
            let _ = std::fs::remove_file(&pid_file);
            return Ok(ExitCode::from(PERMANENT));
        }
    };
    if services.own().is_none() {
        log.borrow_mut().line(Level::Debug, "Initializing ipvs");
    }
    services.start(&model, was_restarted, &mut log.borrow_mut());
    let model = Rc::new(model);
    let notices = Rc::new(RefCell::new(Notices::start(settings, Rc::clone(&model), Rc::clone(&log))?));
    let managers = Rc::new(RefCell::new(Managers::start(Rc::clone(&model), Rc::clone(&log))));
    let shown = Rc::clone(&managers);
    let heard = Rc::clone(&notices);
    let written = Rc::clone(&log);
    let listener = Rc::new(move |news: News<'_>| match news {
        News::Line(line) => written.borrow_mut().line(Level::Info, line),
        News::Told(told) => heard.borrow_mut().tell(told),
        News::State(state) => heard.borrow().dump(state),
        News::Changed(pool, changed) => shown.borrow_mut().tell(pool, changed),
        News::Counted(pools, table) => shown.borrow_mut().answer(pools, table),
    });
    let plane = services.plane().map_err(io::Error::other)?;
    let mut director = Director::new(Rc::clone(&model), numbers::read(&model)?, plane, listener);
    director.set_socket(crate::director::status_socket());
    let tended_log = Rc::clone(&log);
    let mut loop_ = Loop { load, log, notices, managers, services, channel, model };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let own = loop_.services.own();
    if own.is_some() {
        loop_.say(Level::Info, "IPVS is not in this kernel: packets are carried by XDP programs");
    }
    let result = tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            result = loop_.run(director, signals, settings) => result,
            result = tend(own.as_deref(), Rc::clone(&tended_log)) => result,
        }
    });
    // Programs that were told of changes may go on; they are nobody's to wait for.
    runtime.shutdown_background();
    loop_.services.stop(&loop_.model, settings.keep_services, &mut loop_.log.borrow_mut());
    loop_.managers.borrow_mut().close();
    loop_.notices.borrow_mut().stop();
    let _ = std::fs::remove_file(&pid_file);
    result.map(|()| ExitCode::SUCCESS)
}

/// Keeps our own programs going, where the packets are theirs. Ends only with an error.
async fn tend(own: Option<&Tended>, log: Rc<RefCell<Log>>) -> io::Result<()> {
    let Some(own) = own else { return std::future::pending().await };
    own.tend(Rc::new(move |line: &str| log.borrow_mut().line(Level::Info, line))).await
}

/// What runs beside the director.
struct Loop {
    load: Load,
    log: Rc<RefCell<Log>>,
    notices: Rc<RefCell<Notices>>,
    managers: Rc<RefCell<Managers>>,
    services: Services,
    channel: super::child::Channel,
    model: Rc<Model>,
}

impl Loop {
    async fn run(
        &mut self,
        mut director: Director,
        signals: SignalReader,
        settings: &Settings,
    ) -> io::Result<()> {
        let (happens, mut happened) = mpsc::channel(EVENTS_MAX);
        watch::signals(signals, happens.clone())?;
        watch::parent(self.channel.ear()?, happens.clone())?;
        let mut watches_addresses = false;
        if needs_addresses(&self.model) {
            director.set_addresses(watch::addresses(happens.clone())?);
            watches_addresses = true;
        }
        let (sender, receiver) = mpsc::channel(CONTROLS_MAX);
        let mut numbers = Numbers::watch(&self.model)?;
        // What has changed since they were read.
        ask(&sender, Control::Numbers(numbers.all())).await;
        tokio::task::spawn_local(managers::serve(Rc::clone(&self.managers), sender.clone()));
        let mut running = tokio::task::spawn_local(director.run(receiver));
        self.channel.say(Word::Ready);
        loop {
            let event = tokio::select! {
                ended = &mut running => {
                    let ended = ended.map_err(io::Error::other)?;
                    return ended.map_err(|refusal| io::Error::other(refusal.to_string()));
                }
                Some(event) = happened.recv() => event,
                changed = numbers.changed() => {
                    ask(&sender, Control::Numbers(changed)).await;
                    continue;
                }
            };
            match event {
                Event::Addresses(addresses) => ask(&sender, Control::Addresses(addresses)).await,
                Event::Session(session) => self.hear_of(session, &sender).await,
                Event::Failed(what) => return Err(io::Error::other(what)),
                Event::Signal(signal::RELOAD) => {
                    let Some(model) = self.reload() else { continue };
                    if !watches_addresses && needs_addresses(&model) {
                        let addresses = watch::addresses(happens.clone())?;
                        ask(&sender, Control::Addresses(addresses)).await;
                        watches_addresses = true;
                    }
                    numbers = Numbers::watch(&model)?;
                    ask(&sender, Control::Reload(model, numbers.all())).await;
                    self.channel.say(Word::Ready);
                }
                Event::Signal(signal::INTERRUPT | signal::STOP) => {
                    ask(&sender, Control::Stop(self.how_to_stop(settings))).await;
                }
                Event::Signal(signal::DATA) => ask(&sender, Control::Tell).await,
                // keepalived's checkers have no other dumps.
                Event::Signal(_) => {}
            }
        }
    }

    fn say(&self, level: Level, line: &str) {
        self.log.borrow_mut().line(level, line);
    }

    /// A session of BFD has gone up or down.
    async fn hear_of(&self, session: Session, sender: &mpsc::Sender<Control>) {
        let Session { name, is_up, at } = session;
        if self.has_check_of(&name) {
            let (state, late) =
                (if is_up { "Up" } else { "Down" }, monotonic().saturating_sub(at).as_micros());
            self.say(
                Level::Info,
                &format!(
                    "Received BFD event: instance {name} is in state {state} (delivered in {late} usec)"
                ),
            );
        }
        ask(sender, Control::Session { name, is_up }).await;
    }

    fn has_check_of(&self, name: &str) -> bool {
        let servers = self.model.virtual_servers.iter().flat_map(|server| &server.real_servers);
        let mut kinds = servers.flat_map(|real| &real.checks).map(|check| &check.kind);
        kinds.any(|kind| match kind {
            CheckKind::Bfd { session } => self.model.bfd_sessions[session.index()].name == name,
            _ => false,
        })
    }

    fn how_to_stop(&self, settings: &Settings) -> Stop {
        match (settings.keep_services, self.model.global.lvs_flush_on_stop) {
            (true, _) => Stop::Leave,
            (false, LvsFlush::All) => Stop::Flush,
            (false, LvsFlush::No | LvsFlush::VirtualServers) => Stop::Release,
        }
    }

    fn reload(&mut self) -> Option<Rc<Model>> {
        self.say(Level::Info, "Reloading");
        self.channel.say(Word::Reloading);
        match (self.load)() {
            Ok((model, _)) => {
                let model = Rc::new(model);
                self.services.reload(&model, &mut self.log.borrow_mut());
                self.notices.borrow_mut().reload(Rc::clone(&model));
                self.managers.borrow_mut().configure(Rc::clone(&model));
                self.model = Rc::clone(&model);
                Some(model)
            }
            Err(report) => {
                report.lines().for_each(|line| self.say(Level::Error, line));
                self.channel.say(Word::Refused);
                None
            }
        }
    }
}

/// A director that has ended hears nothing, and its end is seen.
async fn ask(sender: &mpsc::Sender<Control>, control: Control) {
    let _ = sender.send(control).await;
}

/// Whether programs of others than root may be run as root.
fn runs_insecurely(model: &Model) -> bool {
    let servers = model.virtual_servers.iter().flat_map(|server| &server.real_servers);
    let mut checks = servers.flat_map(|real| &real.checks);
    !model.global.script_security && checks.any(|check| matches!(check.kind, CheckKind::Misc { .. }))
}

/// Only `ha_suspend` wants to know which addresses are here.
fn needs_addresses(model: &Model) -> bool {
    model.virtual_servers.iter().any(|server| server.ha_suspend)
}

/// Only what is asked for: checks need no real time.
fn be_tuned(tuning: &ProcessTuning) {
    // Without the rights for it everything works, only later under load.
    if let Some(priority) = tuning.realtime_priority {
        let _ = sys::realtime::schedule_round_robin(priority);
    }
    if tuning.no_swap {
        let _ = sys::realtime::lock_memory();
    }
    if let Some(nice) = tuning.nice {
        let _ = sys::realtime::set_nice(nice);
    }
    if !tuning.cpus.is_empty() {
        let _ = sys::process::bind_thread_to_cpus(&tuning.cpus);
    }
}
