//! When to check whom: one heap of timers for all servers, so that ten thousand cost nothing while they wait.

use super::Event;
use super::outcome::Probe;
use super::prober::probe;
use crate::run::Stage;
use crate::state::{Running, ServerState};
use crate::worker::Shared;
use balance::slow_start::{STEP, SlowStart};
use checks::{Intervals, Outcome, Recipe, first_delay, jittered};
use rules::{ProxyId, ServerId};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Checks that run at once; more wait, and run late.
const RUNNING_MAX: usize = 1000;

/// How far away "never" is for a timer.
const FAR: Duration = Duration::from_secs(3600);

/// One check or agent of one server.
struct Task {
    server: Arc<ServerState>,
    probe: Probe,
    recipe: Arc<Recipe>,
    intervals: Intervals,
    /// When it is due; older entries of the heap are stale.
    due: Option<Instant>,
    running: bool,
}

struct Scheduler {
    shared: Arc<Shared>,
    tasks: Vec<Task>,
    by_server: HashMap<(ServerId, Probe), usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Due, but too many run.
    waiting: VecDeque<usize>,
    running: usize,
    recipes: HashMap<ProxyId, Arc<Recipe>>,
    finished: mpsc::UnboundedSender<(usize, Outcome)>,
    random: RandomState,
    drawn: u64,
}

/// Runs all checks until `stage` says stop. Call on the control thread, in its `LocalSet`.
pub async fn run(shared: Arc<Shared>, mut stage: watch::Receiver<Stage>) {
    let Some(mut events) = shared.health.receiver.lock().take() else { return };
    // Bounded by RUNNING_MAX: each running check sends once.
    let (finished, mut results) = mpsc::unbounded_channel();
    let mut scheduler = Scheduler::new(shared, finished);
    scheduler.watch_all();
    let mut ramps = tokio::time::interval(STEP);
    loop {
        let next = scheduler.timers.peek().map(|Reverse((due, _))| *due);
        let next = next.unwrap_or_else(|| Instant::now() + FAR);
        tokio::select! {
            changed = stage.changed() => {
                // A process that stops checks no more: its servers belong to the next one.
                if changed.is_err() || *stage.borrow_and_update() != Stage::Running {
                    return;
                }
            }
            Some((task, outcome)) = results.recv() => scheduler.finish(task, &outcome),
            Some(event) = events.recv() => scheduler.handle(event),
            () = tokio::time::sleep_until(next.into()) => scheduler.start_due(Instant::now()),
            _ = ramps.tick() => scheduler.advance_ramps(Instant::now()),
        }
    }
}

/// Gives a server the counters of its check and agent, as they are before any result. A state file may have changed
/// them since; they are made only once.
pub fn prepare(server: &ServerState) {
    if let Some(check) = &server.settings.check {
        let mut view = server.check.lock();
        if view.rise == 0 {
            view.enabled = true;
            (view.rise, view.fall) = (check.rise.max(1), check.fall.max(1));
            if server.running() != Running::Stopped {
                view.health = view.rise;
            }
        }
    }
    if server.settings.agent.is_some() {
        let mut view = server.agent.lock();
        if view.rise == 0 {
            view.enabled = true;
            (view.rise, view.fall, view.health) = (1, 1, 1);
        }
    }
}

impl Scheduler {
    fn new(shared: Arc<Shared>, finished: mpsc::UnboundedSender<(usize, Outcome)>) -> Scheduler {
        Scheduler {
            shared,
            tasks: Vec::new(),
            by_server: HashMap::new(),
            timers: BinaryHeap::new(),
            waiting: VecDeque::new(),
            running: 0,
            recipes: HashMap::new(),
            finished,
            random: RandomState::new(),
            drawn: 0,
        }
    }

    // Places the first checks of all servers over their intervals.
    fn watch_all(&mut self) {
        let servers: Vec<_> =
            self.shared.state.servers.iter().map(|(_, server)| Arc::clone(server)).collect();
        for server in servers {
            self.add(&server);
        }
        self.shared.inherit_at_start();
        let count = self.tasks.len();
        let max_spread = self.shared.state.model.global.max_spread_checks;
        let now = Instant::now();
        for index in 0..count {
            let delay = first_delay(self.interval(index), index, count, max_spread);
            let due = {
                let task = &self.tasks[index];
                task.probe.view(&task.server).due
            };
            // A check that was due before a reload keeps its time.
            self.schedule(index, due.unwrap_or(now + delay).max(now));
        }
    }

    /// Adds the tasks of a server; returns the new ones.
    fn add(&mut self, server: &Arc<ServerState>) -> std::ops::Range<usize> {
        let first = self.tasks.len();
        let disabled = self.shared.state.model.proxies[server.id.proxy.index()].disabled;
        if !disabled {
            prepare(server);
        }
        if let Some(check) = server.settings.check.as_ref().filter(|_| !disabled) {
            let intervals =
                Intervals { inter: check.inter, fastinter: check.fastinter, downinter: check.downinter };
            let recipe = self.recipe_of(server.id.proxy);
            self.push(server, Probe::Health, recipe, intervals);
        }
        if let Some(agent) = server.settings.agent.as_ref().filter(|_| !disabled) {
            let intervals = Intervals { inter: agent.inter, fastinter: None, downinter: None };
            let recipe = Arc::new(Recipe::agent(agent.send.as_deref()));
            self.push(server, Probe::Agent, recipe, intervals);
        }
        first..self.tasks.len()
    }

    fn push(&mut self, server: &Arc<ServerState>, probe: Probe, recipe: Arc<Recipe>, intervals: Intervals) {
        self.by_server.insert((server.id, probe), self.tasks.len());
        let server = Arc::clone(server);
        self.tasks.push(Task { server, probe, recipe, intervals, due: None, running: false });
    }

    fn recipe_of(&mut self, proxy: ProxyId) -> Arc<Recipe> {
        let model = &self.shared.state.model;
        let recipe =
            self.recipes.entry(proxy).or_insert_with(|| Arc::new(model.proxies[proxy.index()].check.clone()));
        Arc::clone(recipe)
    }

    fn interval(&self, index: usize) -> Duration {
        let task = &self.tasks[index];
        task.intervals.current(task.probe.view(&task.server).counter())
    }

    fn schedule(&mut self, index: usize, due: Instant) {
        let task = &mut self.tasks[index];
        task.due = Some(due);
        task.probe.view(&task.server).due = Some(due);
        self.timers.push(Reverse((due, index)));
    }

    fn start_due(&mut self, now: Instant) {
        while let Some(&Reverse((due, index))) = self.timers.peek() {
            if due > now {
                return;
            }
            self.timers.pop();
            let task = &mut self.tasks[index];
            if task.due != Some(due) || task.running {
                continue;
            }
            task.due = None;
            if task.server.deleted.load(Relaxed) {
                continue;
            }
            if !self.may_run(index) {
                let interval = self.interval(index);
                self.schedule(index, now + interval);
            } else if self.running < RUNNING_MAX {
                self.start(index);
            } else {
                self.waiting.push_back(index);
            }
        }
    }

    // Health checks pause in maintenance; agents do not, for they may end it.
    fn may_run(&self, index: usize) -> bool {
        let task = &self.tasks[index];
        task.probe.view(&task.server).enabled
            && (task.probe == Probe::Agent || !task.server.admin().is_maintenance())
    }

    fn start(&mut self, index: usize) {
        let interval = self.interval(index);
        let task = &mut self.tasks[index];
        task.running = true;
        self.running += 1;
        {
            let mut view = task.probe.view(&task.server);
            view.running = true;
            view.due = None;
            view.description.clear();
        }
        let request = task.probe.view(&task.server).target.request.clone();
        let recipe = match request.filter(|_| task.probe == Probe::Agent) {
            Some(request) => Arc::new(Recipe::agent(Some(&request))),
            None => Arc::clone(&task.recipe),
        };
        let (shared, server) = (Arc::clone(&self.shared), Arc::clone(&task.server));
        let (kind, finished) = (task.probe, self.finished.clone());
        tokio::task::spawn_local(async move {
            let outcome = probe(&shared, &server, kind, recipe, interval).await;
            // The scheduler is gone when the process stops: nobody wants the result.
            let _ = finished.send((index, outcome));
        });
    }

    fn finish(&mut self, index: usize, outcome: &Outcome) {
        self.running -= 1;
        self.tasks[index].running = false;
        let (server, kind) = (Arc::clone(&self.tasks[index].server), self.tasks[index].probe);
        self.shared.apply_outcome(&server, kind, outcome);
        let percent = self.shared.state.model.global.spread_checks;
        let delay = jittered(self.interval(index), percent, self.draw());
        self.schedule(index, Instant::now() + delay);
        while self.running < RUNNING_MAX
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.start(waiting);
        }
    }

    fn draw(&mut self) -> u32 {
        self.drawn += 1;
        self.random.hash_one(self.drawn) as u32
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Watch(id) => {
                let server = Arc::clone(self.shared.state.server(id));
                let now = Instant::now();
                let added = self.add(&server);
                // The checks of a server that was added wait until they are enabled.
                server.check.lock().enabled = false;
                server.agent.lock().enabled = false;
                for index in added {
                    let interval = self.interval(index);
                    self.schedule(index, now + interval);
                }
            }
            Event::Observed { server, errors, last } => {
                self.shared.apply_observed(server, errors, last);
                self.hasten(server);
            }
        }
    }

    fn hasten(&mut self, id: ServerId) {
        let Some(&index) = self.by_server.get(&(id, Probe::Health)) else { return };
        let intervals = self.tasks[index].intervals;
        let Some(fast) = intervals.fastinter else { return };
        let soon = Instant::now() + fast;
        if !self.tasks[index].running && self.tasks[index].due.is_some_and(|due| due > soon) {
            self.schedule(index, soon);
        }
    }

    // Servers in slow start get a little more each second.
    fn advance_ramps(&self, now: Instant) {
        let state = &self.shared.state;
        let now_ms = state.clock.millis(now);
        for (_, server) in &state.servers {
            if server.running() != Running::Starting {
                continue;
            }
            let elapsed = now_ms.saturating_sub(server.last_change_ms.load(Relaxed));
            let elapsed = Duration::from_millis(elapsed);
            let ramp = server.settings.slowstart.and_then(SlowStart::new);
            let backend = state.backend(server.id.proxy);
            match ramp {
                Some(ramp) if !ramp.is_over(elapsed) => backend.set_ramp(server, ramp.ramp(elapsed)),
                Some(_) | None => {
                    backend.set_ramp(server, balance::WEIGHT_SCALE as u8);
                    self.shared.end_slow_start(server);
                }
            }
        }
    }
}

impl Shared {
    fn end_slow_start(&self, server: &ServerState) {
        self.state.backend(server.id.proxy).change(server, |server| {
            let running = match server.running() {
                Running::Starting => Running::Up,
                other => other,
            };
            (server.admin(), running)
        });
    }
}
