//! From a model to running threads, and back to silence.

use crate::cache::Caches;
use crate::control;
use crate::handover::{Handover, Place};
use crate::health::Health;
use crate::listen::{self, ListenOptions};
use crate::log_forward::{self, Forwarding};
use crate::logs::Logs;
use crate::mails::Mails;
use crate::net::{Namespaces, clock, pipe};
use crate::peers;
use crate::plan::Plan;
use crate::process_variables;
use crate::reload::{self, Asker, Loader, Outcome};
use crate::resolve::{self, Resolve};
use crate::state::{FrontendStatus, State};
use crate::state_file::StateFiles;
use crate::thread::{PlacedListener, Succession, Thread};
use crate::worker::{OpenListener, Shared};
use diag::Severity;
use haproxy_config::Model;
use haproxy_config::model::{Bind, CpuMap};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tls::Tls;
use tokio::sync::{mpsc, watch};

/// Connections the process takes when neither the configuration nor the descriptor limit says otherwise.
const MAXCONN_DEFAULT: u32 = 2000;

/// Threads at most, as HAProxy.
const WORKERS_MAX: usize = 64;

/// Orders waiting for one worker at most; more are refused to whoever asks.
const ORDERS_MAX: usize = 1024;

/// Reloads that a worker has not followed yet; the next one waits.
const SUCCESSIONS_MAX: usize = 4;

/// How often idle server connections are looked through.
const IDLE_PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// What the process says to the proxy.
#[derive(Debug)]
pub enum Command {
    /// Stop accepting; end when the last connection has ended, or after `hard-stop-after`.
    SoftStop,
    HardStop,
    /// Stop and resume accepting.
    Pause,
    Resume,
    /// Log the state of all proxies.
    DumpStatus,
    /// Read the configuration again, and tell who asked.
    Reload(Option<Asker>),
    /// Give all listeners to the process at the other end.
    HandOver(UnixStream),
    /// A connected client of the runtime API, with all rights: the master's, who relays to workers.
    RuntimeClient(UnixStream),
}

/// How far the proxy is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Running,
    Stopping,
    Stopped,
}

/// What the process gives to [`bind`].
#[derive(Default)]
pub struct BindOptions {
    /// Listening sockets of a process that is being replaced, by their address as `listen::display` writes it.
    pub inherited: Vec<(String, OwnedFd)>,
    /// Connections the descriptor limit allows.
    pub maxconn: Option<u32>,
    /// What was told while starting: `show startup-logs`.
    pub startup_log: String,
    /// The TLS of the configuration, when it is loaded already.
    pub tls: Option<Arc<Tls>>,
    /// There is a process that this one replaces: its peers teach ours.
    pub replaces: bool,
}

/// A proxy with all sockets open, that has not accepted anything yet. Privileges may be dropped now.
pub struct Bound {
    pub(crate) shared: Arc<Shared>,
    /// By worker.
    listeners: Vec<Vec<PlacedListener>>,
    cli: Vec<control::CliListener>,
    peers: Vec<peers::OpenSection>,
    log_sockets: log_forward::Opened,
    replaces: bool,
    /// What was wrong with state files; nothing of it keeps the proxy from serving.
    pub warnings: Vec<String>,
}

/// An order that a worker carries out between its other tasks.
pub type Order = Box<dyn FnOnce(&Thread) + Send>;

/// Threads to run: as configured, else one for each CPU that this process may use.
pub fn worker_count(model: &Model) -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let global = &model.global;
    let wanted = match (global.nbthread, global.nbproc) {
        // Old configurations said both; their product never meant more than the machine has.
        (Some(threads), Some(processes)) if processes > 1 => {
            ((threads * processes) as usize).min(cpus.max(1))
        }
        (Some(threads), _) => threads as usize,
        (None, Some(processes)) => processes as usize,
        (None, None) => cpus,
    };
    wanted.clamp(1, WORKERS_MAX)
}

/// How many pipes may be open: `maxpipes`, else a quarter of the connections where a proxy asks for splicing.
pub(crate) fn pipes(model: &Model, maxconn: u32) -> usize {
    let global = &model.global;
    let mut options = model.proxies.iter().map(|proxy| &proxy.options);
    let is_asked =
        options.any(|options| options.splice_auto || options.splice_request || options.splice_response);
    match global.maxpipes {
        _ if global.nosplice => 0,
        Some(pipes) => pipes as usize,
        None if is_asked => maxconn as usize / 4,
        None => pipe::OPEN_UNASKED,
    }
}

/// Opens listeners, log targets and the sockets of the runtime API.
///
/// # Errors
/// Every socket that cannot be opened, one message each.
pub fn bind(model: Arc<Model>, options: BindOptions) -> Result<Bound, Vec<String>> {
    let workers = worker_count(&model);
    let mut errors = Vec::new();
    let mut inherited = options.inherited;
    let handover = Handover::default();
    let namespaces = Namespaces::open(&model, &mut errors);
    let mut listeners: Vec<Vec<PlacedListener>> = (0..workers).map(|_| Vec::new()).collect();
    let maxconn = maxconn(&model, options.maxconn);
    pipe::limit(pipes(&model, maxconn));
    for proxy in model.proxies.iter().filter(|proxy| !proxy.disabled) {
        let settings = ListenOptions::of(proxy, &model, workers, maxconn);
        for (index, bind) in proxy.binds.iter().enumerate() {
            let name = listen::display(&bind.address);
            // Several sockets share an address with SO_REUSEPORT: each has its own queue of clients.
            let adopted =
                inherited.extract_if(.., |(address, _)| *address == name).map(|(_, socket)| socket).collect();
            match listen::open(bind, adopted, settings, &namespaces) {
                Ok(sockets) => {
                    let line = Place::Frontend(proxy.id, index as u32);
                    place(sockets, line, bind, &handover, &mut listeners);
                }
                Err(error) => errors.push(format!("proxy `{}`: {error}", proxy.name)),
            }
        }
    }
    let cli = control::open_cli(&model, &namespaces, &mut errors);
    cli.iter().for_each(|open| handover.keep(Place::RuntimeApi(open.index), &open.bind, &open.socket));
    let peers = peers::open(&model, &namespaces, &mut inherited, &handover, &mut errors);
    let log_sockets =
        log_forward::open(&model, &namespaces, &mut inherited, &handover, |_| false, &mut errors);
    let logs = match Logs::open(&model) {
        Ok(logs) => Some(logs),
        Err(error) => {
            errors.push(error.to_string());
            None
        }
    };
    let tls = options.tls.unwrap_or_else(|| {
        let (tls, found) = Tls::load(&model);
        let alerts = found.into_iter().filter(|found| found.severity == Severity::Alert);
        errors.extend(alerts.map(|found| found.message));
        Arc::new(tls)
    });
    let Some(logs) = logs.filter(|_| errors.is_empty()) else { return Err(errors) };
    let seed = seed();
    let state = State::new(Arc::clone(&model), workers, maxconn, seed);
    process_variables::set(&state);
    let files = StateFiles::read(&state);
    let waiting = resolve::initialize(&state, &|server| files.address_of(server), &|_| false)?;
    resolve::wait(&state, &waiting);
    let health = Health::new(&state);
    let resolve = Resolve::new(&model);
    let caches = Caches::new(&model.caches);
    let mails = Mails::new(&model);
    let shared = Arc::new(Shared {
        plan: Plan::new(model),
        state,
        logs,
        health,
        resolve,
        caches,
        peers: Arc::default(),
        mails,
        handover,
        tls,
        namespaces,
        startup_log: options.startup_log,
        number: 1,
        since: Instant::now(),
        living: Arc::default(),
    });
    let warnings = files.apply(&shared);
    Ok(Bound { shared, listeners, cli, peers, log_sockets, replaces: options.replaces, warnings })
}

/// Connections of the process. `allowed`: what the descriptor limit says.
pub(crate) fn maxconn(model: &Model, allowed: Option<u32>) -> u32 {
    model.global.maxconn.or(allowed).unwrap_or(MAXCONN_DEFAULT)
}

/// Gives the sockets of one line to the workers in turn.
pub(crate) fn place(
    sockets: Vec<OpenListener>,
    line: Place,
    bind: &Bind,
    handover: &Handover,
    workers: &mut [Vec<PlacedListener>],
) {
    let Place::Frontend(frontend, index) = line else { return };
    let count = workers.len();
    for (turn, socket) in sockets.into_iter().enumerate() {
        handover.keep(line, bind, &socket);
        workers[turn % count].push(PlacedListener { socket, frontend, index });
    }
}

pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

impl Bound {
    /// What the runtime API says to these commands, with all rights, before anything runs: no worker answers for its
    /// sessions. For whoever embeds the proxy, and for fuzzing.
    ///
    /// # Errors
    /// The system gives no more descriptors or memory.
    pub fn answer(&self, commands: &[u8]) -> io::Result<Vec<u8>> {
        let (stage, _) = watch::channel(Stage::Running);
        let shared = Arc::clone(&self.shared);
        let control = control::Control { shared, orders: Arc::new([]), stage, commands: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(runtime.block_on(control::cli::answer(Rc::new(control), commands)))
    }

    /// Serves until told to stop; returns the process's exit code.
    pub fn run(self, commands: Receiver<Command>) -> i32 {
        self.run_with(commands, None)
    }

    /// The same, able to reload.
    pub fn run_with(self, commands: Receiver<Command>, reloading: Option<Reloading>) -> i32 {
        let (stage, _) = watch::channel(Stage::Running);
        let mut orders = Vec::new();
        let mut successions = Vec::new();
        let mut threads = Vec::new();
        for (index, listeners) in self.listeners.into_iter().enumerate() {
            let (sender, receiver) = mpsc::channel(ORDERS_MAX);
            let (successor, succession) = mpsc::channel(SUCCESSIONS_MAX);
            orders.push(sender);
            successions.push(successor);
            let shared = Arc::clone(&self.shared);
            let watch = stage.subscribe();
            let spawned = std::thread::Builder::new()
                .name(format!("worker-{}", index + 1))
                .spawn(move || run_worker(index, shared, listeners, receiver, succession, watch));
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    eprintln!("[ALERT] cannot start worker thread {}: {error}", index + 1);
                    return 1;
                }
            }
        }
        let orders: Arc<[mpsc::Sender<Order>]> = orders.into();
        self.shared.health.set_orders(Arc::clone(&orders));
        let (news, arriving) = mpsc::channel(control::CLIENTS_WAITING_MAX);
        let (commander, loader) = match reloading {
            Some(Reloading { commands, loader }) => (Some(commands), Some(loader)),
            None => (None, None),
        };
        let control = control::Control {
            shared: Arc::clone(&self.shared),
            orders: Arc::clone(&orders),
            stage: stage.clone(),
            commands: commander,
        };
        let control = control::spawn(control, self.cli, arriving);
        let peers = peers::spawn(&self.shared, self.peers, self.replaces, stage.subscribe());
        let mut forwarding = Forwarding::start(&self.shared, self.log_sockets, &stage);
        let mut supervisor = Supervisor {
            shared: self.shared,
            stage: &stage,
            threads: &threads,
            news: &news,
            orders: &orders,
            successions: &successions,
            forwarding: &mut forwarding,
            loader,
        };
        supervisor.follow(&commands);
        drop(supervisor);
        for thread in threads {
            if thread.join().is_err() {
                return 1;
            }
        }
        if !forwarding.join() {
            return 1;
        }
        // Tables go to the successor while the rest has ended already.
        if peers.is_some_and(|peers| peers.join().is_err()) {
            return 1;
        }
        let _ = stage.send(Stage::Stopped);
        match control.map(JoinHandle::join) {
            Some(Ok(())) => 0,
            Some(Err(_)) | None => 1,
        }
    }
}

/// What a proxy needs that can reload.
pub struct Reloading {
    /// The other end of its commands.
    pub commands: Sender<Command>,
    pub loader: Loader,
}

/// The thread that called [`Bound::run`].
struct Supervisor<'a> {
    /// The configuration in force.
    shared: Arc<Shared>,
    stage: &'a watch::Sender<Stage>,
    threads: &'a [JoinHandle<()>],
    news: &'a mpsc::Sender<control::News>,
    orders: &'a Arc<[mpsc::Sender<Order>]>,
    successions: &'a [mpsc::Sender<Succession>],
    forwarding: &'a mut Forwarding,
    loader: Option<Loader>,
}

impl Supervisor<'_> {
    /// Follows commands until every worker has ended.
    fn follow(&mut self, commands: &Receiver<Command>) {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let mut deadline: Option<Instant> = None;
        // The end of `grace`: until then everything goes on, only that `stopping` is true.
        let mut grace: Option<Instant> = None;
        loop {
            let may_forward = *self.stage.borrow() != Stage::Running && !self.forwarding.is_finished();
            if self.threads.iter().all(JoinHandle::is_finished) && !may_forward {
                return;
            }
            if grace.is_some_and(|grace| Instant::now() >= grace) {
                grace = None;
                self.stop(&mut deadline);
            }
            let stopping = *self.stage.borrow() != Stage::Running || grace.is_some();
            let received = if stopping {
                commands.recv_timeout(LOOK_AGAIN)
            } else {
                commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match received {
                Ok(Command::SoftStop) if !stopping => match self.shared.plan.model.global.grace {
                    Some(delay) if !delay.is_zero() => {
                        self.shared.state.process.stopping.store(true, Relaxed);
                        grace = Some(Instant::now() + delay);
                    }
                    Some(_) | None => self.stop(&mut deadline),
                },
                Ok(Command::SoftStop) => {}
                Ok(Command::HardStop) => {
                    grace = None;
                    self.end();
                }
                Ok(Command::Pause) => self.shared.state.set_all_frontends(FrontendStatus::Paused),
                Ok(Command::Resume) => self.shared.state.set_all_frontends(FrontendStatus::Open),
                Ok(Command::DumpStatus) => control::log_status(&self.shared),
                Ok(Command::Reload(asker)) => {
                    let outcome = if stopping { refused("the process stops") } else { self.reload() };
                    self.shared.tell_reload(&outcome);
                    if let Some(asker) = asker {
                        // The asker may have left.
                        let _ = asker.send(outcome);
                    }
                }
                Ok(Command::HandOver(successor)) => {
                    // The successor binds for itself when this fails.
                    let _ = self.shared.handover.serve(&successor);
                }
                // One client too many sees the end of its stream.
                Ok(Command::RuntimeClient(client)) => {
                    drop(self.news.try_send(control::News::Client(client)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        let _ = self.stage.send(Stage::Stopped);
                    }
                }
                Err(RecvTimeoutError::Disconnected) if stopping => std::thread::sleep(LOOK_AGAIN),
                Err(RecvTimeoutError::Disconnected) => self.end(),
            }
        }
    }

    fn stop(&self, deadline: &mut Option<Instant>) {
        self.shared.stop_accepting();
        *deadline = self.shared.plan.model.global.hard_stop_after.map(|after| Instant::now() + after);
        let _ = self.stage.send(Stage::Stopping);
    }

    fn end(&self) {
        self.shared.stop_accepting();
        let _ = self.stage.send(Stage::Stopped);
    }

    /// Reads the configuration again and puts it in force; when anything is wrong with it, everything stays as it is.
    fn reload(&mut self) -> Outcome {
        let Some(loader) = &mut self.loader else {
            return refused("this process does not read its configuration from files");
        };
        let replacement = match loader() {
            Ok(replacement) => replacement,
            Err(log) => return Outcome { succeeded: false, log },
        };
        let log = replacement.log.clone();
        let next = match reload::prepare(&self.shared, replacement) {
            Ok(next) => next,
            Err(reasons) => {
                let lines: String = reasons.iter().map(|reason| format!("[ALERT] {reason}\n")).collect();
                eprint!("{lines}");
                return Outcome { succeeded: false, log: log + &lines };
            }
        };
        next.shared.health.set_orders(Arc::clone(self.orders));
        let committed = next.commit(&self.shared);
        self.shared = Arc::clone(&committed.shared);
        for (worker, succession) in self.successions.iter().zip(committed.successions) {
            // A worker that takes no more has ended.
            let _ = worker.blocking_send(succession);
        }
        self.forwarding.succeed(&self.shared, Arc::clone(&committed.places), committed.log_sockets);
        let reign = control::Reign { shared: committed.shared, cli: committed.cli, places: committed.places };
        let _ = self.news.blocking_send(control::News::Reign(reign));
        Outcome { succeeded: true, log }
    }
}

fn refused(reason: &str) -> Outcome {
    Outcome { succeeded: false, log: format!("[ALERT] {reason}\n") }
}

fn run_worker(
    index: usize,
    shared: Arc<Shared>,
    listeners: Vec<PlacedListener>,
    mut orders: mpsc::Receiver<Order>,
    mut successions: mpsc::Receiver<Succession>,
    mut stage: watch::Receiver<Stage>,
) {
    pin_to_cpus(index, &shared.plan.model.global.cpu_maps);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_unpark(clock::turn)
        .build()
        .expect("a thread can have an epoll descriptor");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let thread = Thread::new(index);
        thread.begin(shared, listeners);
        let mut purge = tokio::time::interval(IDLE_PURGE_INTERVAL);
        loop {
            tokio::select! {
                changed = stage.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    match *stage.borrow_and_update() {
                        Stage::Running => {}
                        Stage::Stopping => thread.close_idle(),
                        Stage::Stopped => break,
                    }
                }
                order = orders.recv() => match order {
                    Some(order) => order(&thread),
                    None => break,
                },
                succession = successions.recv() => match succession {
                    Some(succession) => thread.succeed(succession),
                    None => break,
                },
                _ = purge.tick() => {
                    let now = Instant::now();
                    thread.workers().iter().for_each(|worker| worker.idle.borrow_mut().purge(now, false));
                }
            }
            if *stage.borrow() == Stage::Stopping {
                thread.close_idle();
                if thread.connections() == 0 {
                    break;
                }
                // The last connections end on their own; look again soon.
                tokio::time::sleep(Duration::from_millis(10)).await;
                purge.reset_immediately();
            }
        }
        thread.end();
    });
}

/// `cpu-map`: this thread runs on its CPUs only. The machine may have fewer than the configuration thinks: then it runs
/// anywhere, and says so.
fn pin_to_cpus(index: usize, maps: &[CpuMap]) {
    let Some(map) = maps.iter().rev().find(|map| map.thread as usize == index) else { return };
    if let Err(error) = sys::process::bind_thread_to_cpus(&map.cpus) {
        eprintln!("[WARNING] cpu-map: thread {} cannot run on CPUs {:?}: {error}", index + 1, map.cpus);
    }
}

impl Shared {
    fn stop_accepting(&self) {
        self.handover.release();
        self.state.stop_accepting();
    }
}

impl State {
    fn stop_accepting(&self) {
        self.process.stopping.store(true, Relaxed);
        self.process.closing.store(true, Relaxed);
        self.set_all_frontends(FrontendStatus::Stopped);
    }

    fn set_all_frontends(&self, status: FrontendStatus) {
        for proxy in &self.proxies {
            proxy.frontend.set_status(status);
        }
        self.process.room.notify_waiters();
    }
}
