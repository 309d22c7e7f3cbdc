//! Everything that lives: health, weights, counters, queues. Found by the ids of the model; changed by checks, the
//! runtime API and requests; carried over a reload by name.

mod admin;
mod backend;
mod clock;
pub mod counters;
mod dynamic_cookies;
pub mod errors;
pub mod host;
mod queue;
mod server;

pub use admin::{Admin, Running};
pub use backend::BackendState;
pub use clock::Clock;
pub use queue::Grant;
pub use server::{CheckView, ServerState, Target, WEIGHT_SCALE};

use counters::{BackendTotals, FrontendTotals, Gauge, ListenerTotals, Rate, ServerTotals, WorkerCounters};
use haproxy_config::Model;
use haproxy_config::model::{BackendTarget, Proxy};
use rules::{ProxyId, ServerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use tokio::sync::Notify;

/// The live state of the whole process.
pub struct State {
    pub model: Arc<Model>,
    pub clock: Clock,
    pub proxies: Box<[ProxyState]>,
    /// All servers by slot.
    pub servers: boxcar::Vec<Arc<ServerState>>,
    /// One block per worker thread.
    pub workers: Box<[Arc<WorkerCounters>]>,
    pub process: ProcessState,
    /// What `show errors` shows.
    pub captures: errors::Captures,
    /// By `TableId`.
    pub tables: Box<[Arc<rules::StickTable>]>,
}

/// The live side of one proxy section.
pub struct ProxyState {
    pub frontend: FrontendState,
    pub backend: BackendState,
}

/// The live side of a frontend.
#[derive(Default)]
pub struct FrontendState {
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
    /// By the position of the `bind` line.
    pub listeners: Box<[ListenerState]>,
    /// Told when a connection ends while the frontend is full, or when it is resumed.
    pub room: Notify,
}

/// The live side of one `bind` line, all its sockets together.
#[derive(Debug, Default)]
pub struct ListenerState {
    pub current: Gauge,
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

impl FrontendState {
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
    /// What the process started with; no command goes beyond.
    pub hard_maxconn: u32,
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
    pub next_stream: AtomicU64,
    pub next_session: AtomicU64,
    pub dropped_logs: AtomicU64,
    /// `proc.*`.
    pub variables: Arc<rules::ProcessVariables>,
    /// Descriptors in use from which no connection to a server is kept idle; 0: no limit.
    pub idle_descriptors_max: u64,
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

impl State {
    /// `seed` makes the draws of `balance random`.
    pub fn new(model: Arc<Model>, workers: usize, maxconn: u32, seed: u64) -> State {
        let clock = Clock::start();
        let now_ms = clock.millis(clock.started());
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
                        let state = Arc::new(ServerState::new(id, slot, Arc::new(settings.clone()), now_ms));
                        servers.push(Arc::clone(&state));
                        state
                    })
                    .collect();
                let frontend = FrontendState {
                    maxconn: AtomicU32::new(proxy.maxconn.unwrap_or(maxconn)),
                    listeners: proxy
                        .binds
                        .iter()
                        .map(|bind| ListenerState {
                            maxconn: bind.maxconn.unwrap_or(0),
                            ..ListenerState::default()
                        })
                        .collect(),
                    rate_limit: AtomicU32::new(proxy.session_rate_limit.unwrap_or(0)),
                    ..FrontendState::default()
                };
                let seed = seed.wrapping_add(u64::from(proxy.id.0));
                let fullconn = proxy.fullconn.unwrap_or_else(|| default_fullconn(&model, proxy.id, maxconn));
                let backend = BackendState::new(proxy, states, fullconn, now_ms, seed);
                ProxyState { frontend, backend }
            })
            .collect();
        let counted = |proxy: &Proxy| if proxy.options.socket_stats { proxy.binds.len() } else { 0 };
        let listeners: Vec<usize> = model.proxies.iter().map(counted).collect();
        let counters = || Arc::new(WorkerCounters::new(&listeners, servers.count()));
        let workers = (0..workers).map(|_| counters()).collect();
        State {
            process: ProcessState {
                connections: Gauge::default(),
                maxconn: AtomicU32::new(maxconn),
                hard_maxconn: maxconn,
                max_connection_rate: AtomicU32::new(model.global.maxconnrate.unwrap_or(0)),
                max_session_rate: AtomicU32::new(model.global.maxsessrate.unwrap_or(0)),
                connections_rate: Rate::default(),
                tls_connections: Gauge::default(),
                max_tls_connections: AtomicU32::new(model.global.tls.maxsslconn.unwrap_or(0)),
                tls_rate: Rate::default(),
                tls_keys_rate: Rate::default(),
                tls_server_keys_rate: Rate::default(),
                sessions_rate: Rate::default(),
                compressed_in_rate: Rate::default(),
                compressed_out_rate: Rate::default(),
                max_compression_rate: AtomicU32::new(model.global.max_compression_rate.unwrap_or(0)),
                stopping: AtomicBool::new(false),
                closing: AtomicBool::new(false),
                next_stream: AtomicU64::new(0),
                next_session: AtomicU64::new(0),
                dropped_logs: AtomicU64::new(0),
                idle_descriptors_max: sys::process::file_limits().0.unwrap_or(0)
                    * u64::from(model.global.tune.pool_high_fd_ratio)
                    / 100,
                variables: Arc::new(rules::ProcessVariables::new(0)),
                room: Notify::new(),
            },
            captures: errors::Captures::new(model.proxies.len()),
            tables: model
                .tables
                .iter()
                .map(|table| Arc::new(rules::StickTable::new(table.config.clone(), clock.started())))
                .collect(),
            model,
            clock,
            proxies,
            servers,
            workers,
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
