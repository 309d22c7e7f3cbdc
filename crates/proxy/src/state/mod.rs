//! Everything that lives: health, weights, counters, queues. Found by the ids of the model; changed by checks, the
//! runtime API and requests; carried over a reload by name.

mod admin;
mod backend;
mod carry;
mod clock;
pub mod counters;
mod dynamic_cookies;
pub mod errors;
pub mod host;
mod http2_counts;
mod kept;
mod queue;
mod server;

pub use admin::{Admin, Running};
pub use backend::BackendState;
pub use clock::Clock;
pub use kept::{Kept, is_same_socket};
pub use queue::Grant;
pub use server::{CheckView, ServerState, Target, WEIGHT_SCALE};

use counters::{BackendTotals, FrontendTotals, Gauge, ListenerTotals, Rate, ServerTotals, WorkerCounters};
use haproxy_config::Model;
use haproxy_config::model::{BackendTarget, Profiling, Proxy};
use rules::{ProxyId, ServerId};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;
use tokio::sync::Notify;

/// The live state of the whole process.
pub struct State {
    pub model: Arc<Model>,
    pub clock: Arc<Clock>,
    pub proxies: Box<[ProxyState]>,
    /// All servers by slot.
    pub servers: boxcar::Vec<Arc<ServerState>>,
    /// One block per worker thread.
    pub workers: Box<[Arc<WorkerCounters>]>,
    pub process: Arc<ProcessState>,
    /// What `show errors` shows.
    pub captures: errors::Captures,
    /// By `TableId`.
    pub tables: Box<[Arc<rules::StickTable>]>,
    /// Connections of the process, as configured.
    maxconn: u32,
}

/// The live side of one proxy section.
pub struct ProxyState {
    pub frontend: FrontendState,
    pub backend: Arc<BackendState>,
}

/// A frontend as one configuration has it. What it does is [`FrontendLive`], which it shares with the frontend of the same
/// name before and after a reload.
pub struct FrontendState {
    /// By the position of the `bind` line.
    pub listeners: Box<[ListenerState]>,
    pub live: Arc<FrontendLive>,
}

impl Deref for FrontendState {
    type Target = FrontendLive;

    fn deref(&self) -> &FrontendLive {
        &self.live
    }
}

/// The live side of a frontend.
#[derive(Default)]
pub struct FrontendLive {
    /// Connections.
    pub current: Gauge,
    pub maxconn: AtomicU32,
    pub connections_rate: Rate,
    pub sessions_rate: Rate,
    pub requests_rate: Rate,
    /// Lines logged (`%lc`).
    pub logged: AtomicU32,
    /// Sessions per second accepted at most; 0: no limit.
    pub rate_limit: AtomicU32,
    status: AtomicU8,
    /// Told when a connection ends while the frontend is full, or when it is resumed.
    pub room: Notify,
}

/// The live side of one `bind` line, all its sockets together.
#[derive(Debug, Default)]
pub struct ListenerState {
    pub current: Arc<Gauge>,
    /// Connections it may have; 0: as many as the frontend.
    pub maxconn: u32,
}

impl ListenerState {
    pub fn is_full(&self) -> bool {
        self.maxconn > 0 && self.current.get() >= self.maxconn
    }
}

/// Whether a frontend accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrontendStatus {
    Open = 0,
    Paused = 1,
    Stopped = 2,
}

impl FrontendLive {
    pub fn status(&self) -> FrontendStatus {
        match self.status.load(Relaxed) {
            0 => FrontendStatus::Open,
            1 => FrontendStatus::Paused,
            _ => FrontendStatus::Stopped,
        }
    }

    pub fn set_status(&self, status: FrontendStatus) {
        self.status.store(status as u8, Relaxed);
        self.room.notify_waiters();
    }
}

/// What belongs to the process as a whole.
pub struct ProcessState {
    pub connections: Gauge,
    /// Connections the process may have; 0: no limit.
    pub maxconn: AtomicU32,
    /// What the configuration says; no command goes beyond.
    pub hard_maxconn: AtomicU32,
    pub max_connection_rate: AtomicU32,
    pub max_session_rate: AtomicU32,
    pub connections_rate: Rate,
    pub sessions_rate: Rate,
    /// TLS connections of clients, and how many there may be; 0: no limit.
    pub tls_connections: Gauge,
    pub max_tls_connections: AtomicU32,
    /// Handshakes, and those that were not resumed.
    pub tls_rate: Rate,
    pub tls_keys_rate: Rate,
    pub tls_server_keys_rate: Rate,
    /// Bytes into the compressors and out of them.
    pub compressed_in_rate: Rate,
    pub compressed_out_rate: Rate,
    /// `maxcomprate`: kilobytes per second into the compressors at most; 0: no limit.
    pub max_compression_rate: AtomicU32,
    /// The end has been asked for.
    pub stopping: AtomicBool,
    /// No new connections; those that exist finish. Later than `stopping` by `grace`.
    pub closing: AtomicBool,
    /// `profiling.tasks`: whether tasks are timed.
    profiling: AtomicU8,
    pub next_stream: AtomicU64,
    pub next_session: AtomicU64,
    pub dropped_logs: AtomicU64,
    /// Messages that `log-forward` sections received.
    pub received_logs: AtomicU64,
    /// `proc.*`.
    pub variables: Arc<rules::ProcessVariables>,
    /// Descriptors in use from which no connection to a server is kept idle; 0: no limit.
    pub idle_descriptors_max: AtomicU64,
    /// Told when the process has room for a connection again.
    pub room: Notify,
}

/// A tenth of the connections that the frontends of a backend may have together, as the manual promises.
fn default_fullconn(model: &Model, backend: ProxyId, process_maxconn: u32) -> u32 {
    let sends_here = |proxy: &Proxy| {
        proxy.default_backend == Some(backend)
            || (proxy.id == backend && proxy.is_frontend)
            || proxy.use_backend.iter().any(|rule| match rule.target {
                BackendTarget::Static(target) => target == backend,
                BackendTarget::Dynamic(_) => false,
            })
    };
    let frontends = model.proxies.iter().filter(|proxy| proxy.is_frontend && sends_here(proxy));
    let total: u32 = frontends.map(|proxy| proxy.maxconn.unwrap_or(process_maxconn)).sum();
    total.div_ceil(10).max(1)
}

impl ProcessState {
    fn new(model: &Model, maxconn: u32) -> ProcessState {
        let process = ProcessState {
            connections: Gauge::default(),
            maxconn: AtomicU32::new(0),
            hard_maxconn: AtomicU32::new(0),
            max_connection_rate: AtomicU32::new(0),
            max_session_rate: AtomicU32::new(0),
            connections_rate: Rate::default(),
            tls_connections: Gauge::default(),
            max_tls_connections: AtomicU32::new(0),
            tls_rate: Rate::default(),
            tls_keys_rate: Rate::default(),
            tls_server_keys_rate: Rate::default(),
            sessions_rate: Rate::default(),
            compressed_in_rate: Rate::default(),
            compressed_out_rate: Rate::default(),
            max_compression_rate: AtomicU32::new(0),
            stopping: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            profiling: AtomicU8::new(0),
            next_stream: AtomicU64::new(0),
            next_session: AtomicU64::new(0),
            dropped_logs: AtomicU64::new(0),
            received_logs: AtomicU64::new(0),
            idle_descriptors_max: AtomicU64::new(0),
            variables: Arc::new(rules::ProcessVariables::new(0)),
            room: Notify::new(),
        };
        process.configure(model, maxconn);
        process
    }

    /// Whether tasks are timed.
    pub fn profiling(&self) -> Profiling {
        match self.profiling.load(Relaxed) {
            0 => Profiling::Off,
            1 => Profiling::Auto,
            _ => Profiling::On,
        }
    }

    pub fn set_profiling(&self, profiling: Profiling) {
        self.profiling.store(profiling as u8, Relaxed);
    }

    pub fn profiles_tasks(&self) -> bool {
        self.profiling() == Profiling::On
    }

    /// Sets what the configuration says.
    fn configure(&self, model: &Model, maxconn: u32) {
        let global = &model.global;
        self.maxconn.store(maxconn, Relaxed);
        self.hard_maxconn.store(maxconn, Relaxed);
        self.max_connection_rate.store(global.maxconnrate.unwrap_or(0), Relaxed);
        self.max_session_rate.store(global.maxsessrate.unwrap_or(0), Relaxed);
        self.max_tls_connections.store(global.tls.maxsslconn.unwrap_or(0), Relaxed);
        self.set_profiling(global.profiling_tasks);
        self.max_compression_rate.store(global.max_compression_rate.unwrap_or(0), Relaxed);
        self.limit_idle(model);
    }

    /// `tune.pool-high-fd-ratio` of the descriptors there may be.
    fn limit_idle(&self, model: &Model) {
        let descriptors = sys::process::file_limits().0.unwrap_or(0);
        let idle_max = descriptors * u64::from(model.global.tune.pool_high_fd_ratio) / 100;
        self.idle_descriptors_max.store(idle_max, Relaxed);
    }
}

fn frontend_state(proxy: &Proxy, maxconn: u32, before: Option<(&State, &Kept)>) -> FrontendState {
    let known = before.and_then(|(old, kept)| {
        let before = kept.frontends[proxy.id.index()]?;
        Some(Arc::clone(&old.proxy(before).frontend.live))
    });
    let gauge = |index: usize| {
        let (old, kept) = before?;
        let (frontend, place) = kept.listeners[proxy.id.index()][index]?;
        // Connections count where their frontend does.
        if kept.frontends[proxy.id.index()] != Some(frontend) {
            return None;
        }
        Some(Arc::clone(&old.proxy(frontend).frontend.listeners.get(place as usize)?.current))
    };
    let listener = |(index, bind): (usize, &haproxy_config::model::Bind)| ListenerState {
        maxconn: bind.maxconn.unwrap_or(0),
        current: gauge(index).unwrap_or_default(),
    };
    FrontendState {
        listeners: proxy.binds.iter().enumerate().map(listener).collect(),
        live: known.unwrap_or_else(|| {
            let live = FrontendLive::default();
            live.configure(proxy, maxconn);
            Arc::new(live)
        }),
    }
}

impl FrontendLive {
    /// Sets what the configuration says.
    fn configure(&self, proxy: &Proxy, maxconn: u32) {
        self.maxconn.store(proxy.maxconn.unwrap_or(maxconn), Relaxed);
        self.rate_limit.store(proxy.session_rate_limit.unwrap_or(0), Relaxed);
    }
}

impl State {
    /// `seed` makes the draws of `balance random`.
    pub fn new(model: Arc<Model>, workers: usize, maxconn: u32, seed: u64) -> State {
        let state = State::build(model, workers, maxconn, seed, None);
        state.proxies.iter().for_each(|proxy| proxy.backend.enter());
        state
    }

    /// The state of a configuration that may come after `old`: what has the same name there is shared. Nothing of it is
    /// touched before [`State::take_over`].
    pub fn after(old: &State, kept: &Kept, model: Arc<Model>, maxconn: u32, seed: u64) -> State {
        State::build(model, old.workers.len(), maxconn, seed, Some((old, kept)))
    }

    fn build(
        model: Arc<Model>,
        workers: usize,
        maxconn: u32,
        seed: u64,
        before: Option<(&State, &Kept)>,
    ) -> State {
        let clock = before.map_or_else(|| Arc::new(Clock::start()), |(old, _)| Arc::clone(&old.clock));
        let now_ms = clock.millis(Instant::now());
        let servers = boxcar::Vec::new();
        let proxies: Box<[ProxyState]> = model
            .proxies
            .iter()
            .map(|proxy| {
                let states = proxy
                    .servers
                    .iter()
                    .enumerate()
                    .map(|(index, settings)| {
                        let id = ServerId { proxy: proxy.id, index: index as u32 };
                        let slot = servers.count() as u32;
                        let settings = Arc::new(settings.clone());
                        let known = before
                            .and_then(|(old, kept)| old.servers.get(kept.servers[slot as usize]? as usize));
                        let state = Arc::new(match known {
                            Some(known) => ServerState::with(id, slot, settings, Arc::clone(&known.live)),
                            None => ServerState::new(id, slot, settings, now_ms),
                        });
                        servers.push(Arc::clone(&state));
                        state
                    })
                    .collect();
                let frontend = frontend_state(proxy, maxconn, before);
                let seed = seed.wrapping_add(u64::from(proxy.id.0));
                let fullconn = proxy.fullconn.unwrap_or_else(|| default_fullconn(&model, proxy.id, maxconn));
                let live = before.and_then(|(old, kept)| {
                    Some(Arc::clone(&old.backend(kept.backends[proxy.id.index()]?).live))
                });
                let backend = BackendState::new(proxy, states, fullconn, now_ms, seed, live);
                ProxyState { frontend, backend }
            })
            .collect();
        let counted = |proxy: &Proxy| if proxy.options.socket_stats { proxy.binds.len() } else { 0 };
        let listeners: Vec<usize> = model.proxies.iter().map(counted).collect();
        let workers = match before {
            None => {
                (0..workers).map(|_| Arc::new(WorkerCounters::new(&listeners, servers.count()))).collect()
            }
            Some((old, kept)) => (old.workers.iter())
                .map(|counters| Arc::new(WorkerCounters::after(counters, &listeners, kept)))
                .collect(),
        };
        let table = |(position, table): (usize, &haproxy_config::model::Table)| {
            let known = before.and_then(|(old, kept)| old.tables.get(kept.tables[position]?));
            known.map_or_else(
                || Arc::new(rules::StickTable::new(table.config.clone(), clock.started())),
                Arc::clone,
            )
        };
        State {
            process: before.map_or_else(
                || Arc::new(ProcessState::new(&model, maxconn)),
                |(old, _)| Arc::clone(&old.process),
            ),
            captures: errors::Captures::new(model.proxies.len()),
            tables: model.tables.iter().enumerate().map(table).collect(),
            model,
            clock,
            proxies,
            servers,
            workers,
            maxconn,
        }
    }

    pub fn proxy(&self, id: ProxyId) -> &ProxyState {
        &self.proxies[id.index()]
    }

    pub fn backend(&self, id: ProxyId) -> &BackendState {
        &self.proxies[id.index()].backend
    }

    pub fn server(&self, id: ServerId) -> &Arc<ServerState> {
        self.backend(id.proxy).server(id.index).expect("an id is made only for a server that exists")
    }

    pub fn frontend_totals(&self, id: ProxyId) -> FrontendTotals {
        let mut sum = FrontendTotals::default();
        self.workers.iter().for_each(|worker| worker.frontends[id.index()].add_to(&mut sum));
        sum
    }

    /// What one listener counted; `None` without `option socket-stats`.
    pub fn listener_totals(&self, id: ProxyId, index: usize) -> Option<ListenerTotals> {
        let mut sum = ListenerTotals::default();
        for worker in &self.workers {
            worker.listeners[id.index()].get(index)?.add_to(&mut sum);
        }
        Some(sum)
    }

    pub fn backend_totals(&self, id: ProxyId) -> BackendTotals {
        let mut sum = BackendTotals::default();
        self.workers.iter().for_each(|worker| worker.backends[id.index()].add_to(&mut sum));
        sum
    }

    pub fn server_totals(&self, slot: u32) -> ServerTotals {
        let mut sum = ServerTotals::default();
        for worker in &self.workers {
            if let Some(counters) = worker.servers.get(slot as usize) {
                counters.add_to(&mut sum);
            }
        }
        sum
    }

    /// `clear counters`: peaks start again from the present values; with `all` totals start from zero. Racing requests
    /// may keep a few of their counts.
    pub fn clear_counters(&self, all: bool) {
        self.process.connections.reset_max();
        self.process.connections_rate.reset_max();
        self.process.sessions_rate.reset_max();
        for proxy in &self.proxies {
            proxy.frontend.current.reset_max();
            proxy.frontend.listeners.iter().for_each(|listener| listener.current.reset_max());
            proxy.frontend.connections_rate.reset_max();
            proxy.frontend.sessions_rate.reset_max();
            proxy.frontend.requests_rate.reset_max();
            proxy.backend.clear_counters(all);
        }
        if !all {
            return;
        }
        for worker in &self.workers {
            worker.frontends.iter().for_each(|counters| counters.reset());
            worker.backends.iter().for_each(|counters| counters.reset());
            worker.listeners.iter().flatten().for_each(|counters| counters.reset());
            worker.servers.iter().for_each(|(_, counters)| counters.reset());
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.process.stopping.load(Relaxed)
    }

    pub fn is_closing(&self) -> bool {
        self.process.closing.load(Relaxed)
    }
}
