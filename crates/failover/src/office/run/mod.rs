//! The office at work: one loop over signals, the engine's notices, programs that end, files that change, and the runtime
//! socket. Owns what of these belongs together; nothing here waits for anything but all of them at once.

mod proxies;
mod reload;
mod snmp;
mod statics;
mod tracking;
mod wishes;

use super::control::{Control, Request};
use super::dumps::Dump;
use super::fifo::Fifo;
use super::files::Files;
use super::mail::{self, Mailer, Relay};
use super::notify::{self, Queue, Subject, Told};
use super::processes::Tracked;
use super::programs::Programs;
use super::scripts::Course;
use super::witness::Witnesses;
use crate::bfd;
use crate::channel::{self, Notice, Order, Receiving, Sending};
use crate::engine::confine;
use crate::engine::holdings::Holdings;
use crate::engine::memory::{self, Memory};
use crate::engine::{Engine, Setup};
use crate::kernel::Kernel;
use crate::log::{Level, Log};
use crate::plan::Plan;
use crate::vmac::{Macvlans, Outcome};
use keepalived_config::model::{InstanceNotify, Model, ProcessTuning};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use sys::signals::SignalReader;

/// Signals as keepalived numbers them.
pub mod signal {
    pub const RELOAD: i32 = 1;
    pub const INTERRUPT: i32 = 2;
    pub const DATA: i32 = 10;
    pub const STATS: i32 = 12;
    pub const STOP: i32 = 15;
    /// SIGRTMIN + 2
    pub const JSON: i32 = 36;
    /// SIGRTMAX - 1
    pub const STATS_CLEAR: i32 = 63;
    pub const ALL: [i32; 7] = [RELOAD, INTERRUPT, DATA, STATS, STOP, JSON, STATS_CLEAR];
}

/// At the end, notices that are still told have this long.
const FAREWELL: Duration = Duration::from_secs(3);
/// The engine answers an order within one wake-up; this is for one that hangs.
const ENGINE_PATIENCE: Duration = Duration::from_secs(10);

/// What the binary brings: everything that is its business.
pub struct Options {
    pub model: Model,
    /// Reads the configuration anew, with remarks on it; an error is the report of what is wrong with it.
    pub reload: Box<dyn FnMut() -> Result<(Model, String), String>>,
    /// Told to a supervisor (systemd).
    pub say: Box<dyn FnMut(Say)>,
    pub log: crate::log::Wanted,
    pub signals: SignalReader,
    /// Where what survives a crash is kept; `None`: nothing is.
    pub memory_directory: Option<PathBuf>,
    /// The socket for `hawser vrrp`; `None`: none.
    pub control: Option<PathBuf>,
    /// Where dumps go.
    pub dump_directory: PathBuf,
    /// `-V`: addresses stay at the end.
    pub keep_addresses: bool,
    pub host_name: String,
    /// `-d`: the configuration to the log at the start.
    pub dump_at_start: bool,
    /// Whether another process shows SNMP managers what there is of the daemon as a whole.
    pub is_shown_elsewhere: Box<dyn Fn(&Model) -> bool>,
    /// Where a supervisor keeps how proxies are (lines of `frontend web up`), for a start; changes come over the runtime
    /// socket. `None`: there is none, and `track_proxy` counts proxies as up.
    pub proxies: Option<PathBuf>,
}

/// How we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// Started, or reloaded.
    Ready,
    Reloading,
    /// A reload changed nothing.
    Refused,
    /// The runtime socket was asked to reload: what runs beside us is to follow.
    WantsReload,
    /// An instance is master, or is none.
    State {
        instance: String,
        is_master: bool,
    },
    /// A session of BFD has gone up or down, or begins.
    Session {
        name: String,
        is_up: bool,
    },
    Stopping,
    /// All has been given up.
    Stopped,
}

/// Whose a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    Script { generation: u64, index: usize },
    Notify(Subject),
    Reader,
}

/// Who wants the next snapshot.
#[derive(Debug)]
enum Wish {
    Dump(Dump),
    Answer(usize, Request),
    /// The pipes, after a reload.
    Pipes,
    /// SNMP managers.
    Managers,
}

struct Office {
    options: Options,
    log: Log,
    plan: Plan,
    orders: Sending<Order>,
    notices: Receiving<Notice>,
    /// For the thread of BFD, which starts with the first session.
    notices_of_bfd: Sending<Notice>,
    bfd: Option<bfd::Handle>,
    courses: Vec<Course>,
    programs: Programs<Owner>,
    files: Files,
    processes: Vec<Tracked>,
    /// What a supervisor told of the proxies that are tracked.
    proxies: BTreeMap<String, bool>,
    next_look: Instant,
    queues: BTreeMap<Subject, Queue>,
    fifos: Vec<Fifo>,
    mailer: Mailer,
    mail_reports: Receiving<(bool, String)>,
    wishes: Vec<Wish>,
    kernel: Kernel,
    macvlans: Macvlans,
    /// Addresses, routes and rules that do not move.
    statics: Holdings,
    control: Control,
    witnesses: Witnesses,
    managers: Option<snmp::Managers>,
    /// A model that the engine was told of, and did not confirm yet.
    reloading: Option<(Model, Plan)>,
    /// Told to stop: by then it ends, whatever still runs.
    stopped: Option<Instant>,
    engine_thread: Option<rustix::thread::Pid>,
    /// What its real-time priority was raised to.
    raised: Option<u8>,
    /// The engine has sent its last.
    engine_stopped: bool,
    notices_lost: u64,
}

/// Runs failover until it is told to stop.
///
/// # Errors
/// What keeps it from starting: sockets, a plan that cannot be.
pub fn run(options: Options) -> io::Result<()> {
    let (mut office, engine) = Office::start(options)?;
    office.work()?;
    // It ended, or it said why not.
    if let Ok(Err(error)) = engine.join() {
        office.log.line(Level::Error, &format!("VRRP thread: {error}"));
    }
    office.farewell();
    Ok(())
}

fn forwards_ipv6() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/forwarding").is_ok_and(|text| text.trim() == "1")
}

impl Office {
    fn start(options: Options) -> io::Result<(Self, JoinHandle<io::Result<()>>)> {
        let plan = Plan::new(&options.model, 1, forwards_ipv6()).map_err(io::Error::other)?;
        let mut log = Log::open(options.log.clone());
        let mut kernel = Kernel::open()?;
        let mut macvlans = Macvlans::default();
        let outcomes = macvlans.apply(&mut kernel, &plan.macvlans());
        say_macvlans(&mut log, &plan, outcomes);
        let (orders, engine_orders) = channel::orders()?;
        let (engine_notices, notices) = channel::notices()?;
        let directory = options.memory_directory.as_deref();
        let instance = options.model.global.instance.as_deref();
        let place = directory.map(|directory| memory::path(directory, instance));
        let notices_of_bfd = engine_notices.clone();
        let setup = Setup {
            plan: plan.clone(),
            orders: engine_orders,
            notices: engine_notices,
            detail: log.detail(),
            memory: Memory::open(place.as_deref()),
        };
        let engine = Engine::new(setup)?;
        let now = Instant::now();
        let (mail_report, mail_reports) = channel::queue(MAIL_REPORTS_MAX)?;
        let mailer = Mailer::start(move |is_error, line| {
            mail_report.send((is_error, line));
        })?;
        let control = Control::open(options.control.as_deref()).or_else(|error| {
            // Without rights for its directory everything else works.
            log.line(Level::Warning, &format!("No runtime socket: {error}"));
            Control::open(None)
        })?;
        let mut office = Self {
            log,
            orders,
            notices,
            notices_of_bfd,
            bfd: None,
            courses: courses(&options.model, now),
            programs: Programs::default(),
            files: Files::watch(&options.model.track_files)?,
            processes: options.model.track_processes.iter().cloned().map(Tracked::new).collect(),
            proxies: options.proxies.as_deref().map(proxies::read).unwrap_or_default(),
            next_look: now,
            queues: BTreeMap::new(),
            fifos: Vec::new(),
            mailer,
            mail_reports,
            wishes: Vec::new(),
            kernel,
            macvlans,
            statics: Holdings::default(),
            control,
            witnesses: Witnesses::new()?,
            managers: None,
            reloading: None,
            stopped: None,
            engine_thread: None,
            raised: None,
            engine_stopped: false,
            notices_lost: 0,
            plan,
            options,
        };
        office.open_fifos();
        office.apply_beside_instances();
        office.configure_snmp();
        office.tell_all_tracked();
        let tuning = office.options.model.global.vrrp_process.clone();
        // What reading the configuration took; memory that is locked, as it will be, cannot be given back.
        sys::allocator::give_back();
        // Before the engine runs: what is not allowed must not happen first.
        office.configure_witnesses();
        let engine = std::thread::Builder::new().name("vrrp".to_owned()).spawn(move || {
            become_punctual(&tuning);
            let confined = confine::confine();
            engine.run(confined)
        })?;
        office.configure_bfd();
        if office.options.dump_at_start {
            office.wish(Wish::Dump(Dump::Log));
        }
        (office.options.say)(Say::Ready);
        Ok((office, engine))
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            self.wait()?;
            let now = Instant::now();
            self.read_signals(now)?;
            self.read_notices(now);
            self.read_mail_reports();
            self.reap(now);
            self.read_files();
            self.read_kernel();
            self.run_due(now);
            self.look_at_processes(now);
            self.read_control();
            self.read_witnesses();
            self.run_snmp(Instant::now());
            for fifo in &mut self.fifos {
                fifo.flush();
            }
            if let Some(at) = self.stopped
                && (at <= now || (self.engine_stopped && self.queues.values().all(Queue::is_idle)))
            {
                return Ok(());
            }
        }
    }

    /// Waits until something happens, or is due.
    fn wait(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let mut deadline = self.programs.deadline();
        let due = self.courses.iter().filter_map(Course::deadline);
        let of_managers = self.managers.as_ref().and_then(|managers| managers.agent().deadline());
        let due = due.chain(of_managers);
        for at in due.chain(self.stopped).chain((!self.processes.is_empty()).then_some(self.next_look)) {
            deadline = Some(deadline.map_or(at, |deadline| deadline.min(at)));
        }
        if self.fifos.iter().any(Fifo::has_waiting) {
            let again = now + FIFO_AGAIN;
            deadline = Some(deadline.map_or(again, |deadline| deadline.min(again)));
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(now);
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut waited: Vec<PollFd<'_>> = Vec::with_capacity(8 + self.programs.len());
        let readable = [
            self.options.signals.as_fd(),
            self.notices.as_fd(),
            self.mail_reports.as_fd(),
            self.files.as_fd(),
            self.kernel.as_fd(),
            self.witnesses.as_fd(),
        ];
        for descriptor in readable.into_iter().chain(self.programs.descriptors()) {
            waited.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        }
        self.control.watch(&mut waited);
        if let Some((stream, flags)) = self.managers.as_ref().and_then(|managers| managers.agent().watched())
        {
            waited.push(PollFd::from_borrowed_fd(stream, flags));
        }
        match poll(&mut waited, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn read_signals(&mut self, now: Instant) -> io::Result<()> {
        while let Some(number) = self.options.signals.next_number()? {
            match number {
                signal::RELOAD => self.reload(),
                signal::INTERRUPT | signal::STOP => self.stop(now),
                signal::DATA => self.wish(Wish::Dump(Dump::Data)),
                signal::STATS => self.wish(Wish::Dump(Dump::Statistics)),
                signal::JSON => self.wish(Wish::Dump(Dump::Json)),
                signal::STATS_CLEAR => {
                    self.wish(Wish::Dump(Dump::Statistics));
                    self.orders.send(Order::ClearStatistics);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `max_auto_priority`: the thread with deadlines was late, and goes before more of what runs beside it. Only we can do
    /// it: it has no right to.
    fn raise_priority(&mut self, late: Duration) {
        let global = &self.options.model.global;
        let most = u8::try_from(global.max_auto_priority).unwrap_or(0).min(PRIORITY_MAX);
        let now = self.raised.or(global.vrrp_process.realtime_priority).unwrap_or(REALTIME_PRIORITY);
        let (Some(thread), true) = (self.engine_thread, now < most) else { return };
        let next = now + 1;
        let line = format!("VRRP timer ran {} ms late: real-time priority is {next}", late.as_millis());
        match sys::realtime::schedule_round_robin_of(Some(thread), next) {
            Ok(()) => self.log.line(Level::Info, &line),
            Err(error) => self.log.line(Level::Warning, &format!("{line}: {error}")),
        }
        self.raised = Some(next);
    }

    fn wish(&mut self, wish: Wish) {
        if self.orders.send(Order::Snapshot) {
            self.wishes.push(wish);
        }
    }

    fn stop(&mut self, now: Instant) {
        if self.stopped.is_some() {
            return;
        }
        (self.options.say)(Say::Stopping);
        self.orders.send(Order::Stop { release: !self.options.keep_addresses });
        if let Some(mut bfd) = self.bfd.take() {
            bfd.stop();
        }
        // Should the engine not answer, we end all the same.
        self.stopped = Some(now + ENGINE_PATIENCE);
    }

    fn read_notices(&mut self, now: Instant) {
        self.notices.quieten();
        while let Some(notice) = self.notices.next() {
            match notice {
                Notice::Log(level, line) => self.log.line(level, &line),
                Notice::Detail(line) => {
                    if self.log.detail() {
                        self.log.line(Level::Info, &line);
                    }
                }
                Notice::Told(told) => self.told(&told, now),
                Notice::Refused(refused) => self.tell_refused(&refused, now),
                Notice::Session { name, is_up } => (self.options.say)(Say::Session { name, is_up }),
                Notice::Runs(thread) => self.engine_thread = Some(thread),
                Notice::Late(late) => self.raise_priority(late),
                Notice::Snapshot(snapshot) => self.show(&snapshot),
                Notice::Stopped => {
                    self.engine_stopped = true;
                    self.stopped = Some(now + FAREWELL);
                }
                Notice::Reloaded(result) => self.reloaded(result),
            }
        }
        let lost = self.notices.lost();
        if lost != self.notices_lost {
            let line = format!("{} notices of the VRRP thread were lost", lost - self.notices_lost);
            self.notices_lost = lost;
            self.log.line(Level::Error, &line);
        }
    }

    fn read_mail_reports(&mut self) {
        self.mail_reports.quieten();
        while let Some((is_error, line)) = self.mail_reports.next() {
            self.log.line(if is_error { Level::Error } else { Level::Info }, &line);
        }
    }

    /// Somebody changed state: pipes, programs, mail.
    fn told(&mut self, told: &Told, now: Instant) {
        if let (Subject::Instance(instance), Some(is_master)) = (&told.subject, told.what.is_master()) {
            (self.options.say)(Say::State { instance: instance.clone(), is_master });
        }
        self.tell_managers(told, now);
        let Some(notify) = self.notify_of(&told.subject).cloned() else { return };
        let is_priority = matches!(
            told.what,
            notify::Happening::MasterPriority
                | notify::Happening::BackupPriority
                | notify::Happening::FaultPriority
        );
        let wanted = notify.priority_changes || self.options.model.global.notify_priority_changes;
        if !is_priority || wanted {
            let line = told.line();
            for fifo in &mut self.fifos {
                fifo.line(&line);
            }
        }
        let runs = notify::programs(&notify, told);
        let queue = self.queues.entry(told.subject.clone()).or_default();
        let refused = queue.push(runs);
        if refused > 0 {
            let line = format!("({}) {refused} notify scripts not run: too many wait", told.subject.name());
            self.log.line(Level::Warning, &line);
        }
        self.start_next(&told.subject, now);
        if notify.smtp_alert {
            self.mail(told);
        }
    }

    fn mail(&mut self, told: &Told) {
        let global = &self.options.model.global;
        let host_name = &self.options.host_name;
        let Some(relay) = Relay::of(&global.smtp, host_name) else { return };
        let router_id = global.router_id.as_deref().unwrap_or(host_name);
        let seconds = i64::try_from(crate::engine::orders::since_epoch().as_secs()).unwrap_or(0);
        let date = mail::date(sys::clock::local_time(seconds));
        let mail = mail::compose(&global.smtp, relay, router_id, &date, &told.subject, told.what);
        if mail.is_some_and(|mail| !self.mailer.send(mail)) {
            self.log.line(Level::Warning, "SMTP alert not sent: too many wait");
        }
    }

    fn notify_of(&self, subject: &Subject) -> Option<&InstanceNotify> {
        // What a reload takes away is told by what it was until then.
        let models = [Some(&self.options.model), self.reloading.as_ref().map(|(model, _)| model)];
        models.into_iter().flatten().find_map(|model| match subject {
            Subject::Instance(name) => {
                model.instances.iter().find(|one| one.name == *name).map(|one| &one.notify)
            }
            Subject::Group(name) => {
                model.sync_groups.iter().find(|one| one.name == *name).map(|one| &one.notify)
            }
        })
    }

    fn start_next(&mut self, subject: &Subject, now: Instant) {
        while let Some(run) = self.queues.get_mut(subject).and_then(Queue::take_next) {
            let more: Vec<&str> = run.more.iter().map(String::as_str).collect();
            let owner = Owner::Notify(subject.clone());
            match self.programs.start(owner, &run.command, &more, None, now) {
                Ok(()) => return,
                Err(error) => {
                    let line = format!("Error running notify script `{}`: {error}", run.command.words[0]);
                    self.log.line(Level::Error, &line);
                    if let Some(queue) = self.queues.get_mut(subject) {
                        queue.ended();
                    }
                }
            }
        }
    }

    fn reap(&mut self, now: Instant) {
        self.programs.handle_timeout(now);
        for (owner, how) in self.programs.reap() {
            match owner {
                Owner::Script { generation, index } if generation == self.plan.generation => {
                    self.script_ended(index, how);
                }
                Owner::Script { .. } | Owner::Reader => {}
                Owner::Notify(subject) => {
                    if let Some(queue) = self.queues.get_mut(&subject) {
                        queue.ended();
                    }
                    self.start_next(&subject, now);
                }
            }
        }
    }

    fn read_control(&mut self) {
        for (client, request) in self.control.requests() {
            match request {
                Request::Status { .. } | Request::Metrics => self.wish(Wish::Answer(client, request)),
                Request::Reload => {
                    (self.options.say)(Say::WantsReload);
                    self.reload();
                    self.control.answer(client, "reloading\n");
                }
                Request::HandOver { instance } => {
                    self.command(client, &instance.clone(), Order::HandOver { instance })
                }
                Request::Maintenance { instance, on } => {
                    self.command(client, &instance.clone(), Order::Maintenance { instance, on });
                }
                Request::Priority { instance, priority } => {
                    self.command(client, &instance.clone(), Order::Priority { instance, priority });
                }
                Request::Proxy { name, is_up } => {
                    let answer = self.proxy_is(&name, is_up);
                    self.control.answer(client, answer);
                }
                Request::Unknown(text) => {
                    self.control.answer(client, &format!("error: {text}\n"));
                }
            }
        }
    }

    fn command(&mut self, client: usize, instance: &str, order: Order) {
        let known = self.options.model.instances.iter().any(|one| one.name == instance);
        let answer = match (known, known && self.orders.send(order)) {
            (false, _) => format!("error: there is no instance '{instance}'\n"),
            (true, true) => "ok\n".to_owned(),
            (true, false) => "error: busy\n".to_owned(),
        };
        self.control.answer(client, &answer);
    }

    /// The last things: macvlans, pipes.
    fn farewell(&mut self) {
        let now = Instant::now();
        self.read_notices(now);
        self.leave_managers();
        (self.options.say)(Say::Stopped);
        self.witnesses.stop();
        self.programs.stop(|owner| matches!(owner, Owner::Script { .. } | Owner::Reader), now);
        if !self.options.keep_addresses {
            // The interfaces may have changed since the start.
            if let Err(error) = self.kernel.read_all() {
                self.log.line(Level::Error, &format!("Netlink: {error}"));
            }
            for failure in self.statics.remove(&mut self.kernel) {
                self.log.line(Level::Error, &format!("static {}: {}", failure.what, failure.error));
            }
            let plan = self.plan.clone();
            let outcomes = self.macvlans.remove_all(&mut self.kernel);
            say_macvlans(&mut self.log, &plan, outcomes);
        }
        for fifo in std::mem::take(&mut self.fifos) {
            fifo.remove();
        }
        self.control.remove();
    }
}

/// Lines about mails that wait to be logged.
const MAIL_REPORTS_MAX: usize = 256;
/// A pipe that was full is tried again after this.
const FIFO_AGAIN: Duration = Duration::from_millis(100);
/// Without one in the configuration: above ordinary threads, below those of the kernel.
const REALTIME_PRIORITY: u8 = 2;

/// The highest of SCHED_RR.
const PRIORITY_MAX: u8 = 99;

/// What the thread with deadlines gets if it may: a real-time class, no slack in its timers.
fn become_punctual(tuning: &ProcessTuning) {
    // Without the rights for it everything works, only later under load.
    let _ = sys::realtime::schedule_round_robin(tuning.realtime_priority.unwrap_or(REALTIME_PRIORITY));
    let _ = sys::realtime::lock_memory();
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    if let Some(nice) = tuning.nice {
        let _ = sys::realtime::set_nice(nice);
    }
    if !tuning.cpus.is_empty() {
        let _ = sys::process::bind_thread_to_cpus(&tuning.cpus);
    }
}

fn courses(model: &Model, now: Instant) -> Vec<Course> {
    model.scripts.iter().cloned().map(|script| Course::new(script, now)).collect()
}

fn say_macvlans(log: &mut Log, plan: &Plan, outcomes: Vec<Outcome>) {
    for (what, result) in outcomes {
        let name = plan.instances.iter().find_map(|instance| {
            let macvlan = instance.macvlan.as_ref()?;
            what.ends_with(&format!(" {}", macvlan.name)).then(|| instance.model.name.clone())
        });
        let name = name.unwrap_or_default();
        match result {
            Ok(()) => log.line(Level::Info, &format!("({name}): Success {what}")),
            Err(error) => log.line(Level::Error, &format!("({name}): Error {what}: {error}")),
        }
    }
}
