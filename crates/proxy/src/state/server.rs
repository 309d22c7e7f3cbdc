//! The live side of one server: what checks, the runtime API and requests change. Its settings stay in the model.

use super::counters::{Average, Gauge, Rate};
use super::{Admin, Running, State};
use haproxy_config::model;
use parking_lot::{Mutex, RwLock};
use rules::ServerId;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Scale of effective weights, as HAProxy's: 16 steps per unit of weight.
pub const WEIGHT_SCALE: u32 = 16;

/// Where to connect. A server whose name is not resolved has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Port 0 with a relative port: the port the client connected to.
    Inet(SocketAddr),
    Unix(PathBuf),
    Abstract(Vec<u8>),
}

/// A server as one configuration has it. What it does and how it fares is [`ServerLive`], which it shares with the server of
/// the same name before and after a reload.
#[derive(Debug)]
pub struct ServerState {
    pub id: ServerId,
    /// Position among all servers of the configuration: index of counters and idle pools.
    pub slot: u32,
    pub settings: Arc<model::Server>,
    pub target: RwLock<Option<Target>>,
    /// The host name now in use, when it was set at run time (`set server … fqdn`).
    pub fqdn: RwLock<Option<String>>,
    /// Removed at run time; the slot is never used again.
    pub deleted: AtomicBool,
    pub live: Arc<ServerLive>,
}

impl Deref for ServerState {
    type Target = ServerLive;

    fn deref(&self) -> &ServerLive {
        &self.live
    }
}

/// The live side of a server.
#[derive(Debug)]
pub struct ServerLive {
    admin: AtomicU32,
    running: AtomicU8,
    /// Configured or set by the runtime API or an agent, 0..=256.
    pub weight: AtomicU32,
    /// `weight` × [`WEIGHT_SCALE`] after slow start.
    pub effective_weight: AtomicU32,
    pub maxconn: AtomicU32,
    /// Requests being served.
    pub served: Gauge,
    /// Requests waiting for this very server.
    pub queued: Gauge,
    pub sessions_rate: Rate,
    pub queue_time: Average,
    pub connect_time: Average,
    pub response_time: Average,
    pub total_time: Average,
    /// Milliseconds of the process clock of the last request; 0: none yet.
    pub last_session_ms: AtomicU64,
    /// Milliseconds of the process clock of the last change of state.
    pub last_change_ms: AtomicU64,
    /// Seconds spent down before the present state.
    pub down_seconds: AtomicU64,
    pub down_transitions: AtomicU32,
    pub failed_checks: AtomicU32,
    /// Idle connections over all threads.
    pub idle_connections: Gauge,
    /// Consecutive errors seen by `observe`.
    pub observed_errors: AtomicU32,
    /// How often those errors reached `error-limit`.
    pub observed_failures: AtomicU32,
    pub check: Mutex<CheckView>,
    pub agent: Mutex<CheckView>,
}

/// The last result of a check, as the statistics show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckView {
    pub enabled: bool,
    pub running: bool,
    /// Short name: `L4OK`, `L7STS` …; empty before the first result ("INI").
    pub status: &'static str,
    pub status_description: &'static str,
    pub code: Option<u16>,
    pub duration_ms: Option<u64>,
    pub description: String,
    /// Where the check goes and what the agent is sent, when set at run time.
    pub target: CheckTarget,
    /// HAProxy's `health`: 0 ..= rise + fall - 1.
    pub health: u32,
    pub rise: u32,
    pub fall: u32,
    /// When the next one begins: kept over a reload, or frequent reloads would mean that nothing is checked.
    pub due: Option<Instant>,
}

/// `set server … check-addr`, `check-port`, `agent-addr`, `agent-port`, `agent-send`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckTarget {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    pub request: Option<Vec<u8>>,
}

impl ServerState {
    pub fn new(id: ServerId, slot: u32, settings: Arc<model::Server>, now_ms: u64) -> ServerState {
        let live = Arc::new(ServerLive::new(&settings, now_ms));
        ServerState::with(id, slot, settings, live)
    }

    /// The server of another configuration whose live side goes on.
    pub fn with(id: ServerId, slot: u32, settings: Arc<model::Server>, live: Arc<ServerLive>) -> ServerState {
        let target = match &settings.address {
            model::Address::Inet { ip, port } => Some(Target::Inet(SocketAddr::new(*ip, *port))),
            model::Address::Unix(path) => Some(Target::Unix(path.clone())),
            model::Address::Abstract(name) => Some(Target::Abstract(name.clone())),
            model::Address::Host { .. } | model::Address::Fd(_) => None,
        };
        ServerState {
            id,
            slot,
            target: RwLock::new(target),
            fqdn: RwLock::new(None),
            deleted: AtomicBool::new(false),
            live,
            settings,
        }
    }

    /// How many requests it may serve now: `maxconn`, lowered towards `minconn` while the backend is far from
    /// `fullconn`. 0 is unlimited.
    pub fn dynamic_maxconn(&self, backend_sessions: u32, fullconn: u32) -> u32 {
        scaled_maxconn(self.settings.minconn, self.maxconn.load(Relaxed), backend_sessions, fullconn)
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The server of another configuration that is reached in the same way. Certificates may have changed in their files: one
    /// with TLS counts as another.
    pub fn same_in(&self, before: &State, after: &State) -> Option<Arc<ServerState>> {
        if self.settings.tls.is_some() {
            return None;
        }
        let backend = &before.model.proxies[self.id.proxy.index()].name;
        let theirs = after.model.proxies.iter().find(|proxy| proxy.is_backend && proxy.name == *backend)?;
        let server = after.backend(theirs.id).server_by_name(self.name())?;
        let form = |settings: &model::Server| {
            format!("{:?}", model::Server { span: self.settings.span, ..settings.clone() })
        };
        let same =
            *server.target.read() == *self.target.read() && form(&server.settings) == form(&self.settings);
        same.then(|| Arc::clone(server))
    }
}

impl ServerLive {
    fn new(settings: &model::Server, now_ms: u64) -> ServerLive {
        let admin =
            if settings.disabled { Admin::FORCED_MAINT.with(Admin::CONFIG_MAINT) } else { Admin::empty() };
        let weight = settings.weight;
        ServerLive {
            admin: AtomicU32::new(admin.0),
            running: AtomicU8::new(if settings.disabled { Running::Stopped } else { Running::Up } as u8),
            weight: AtomicU32::new(weight),
            effective_weight: AtomicU32::new(weight * WEIGHT_SCALE),
            maxconn: AtomicU32::new(settings.maxconn),
            served: Gauge::default(),
            queued: Gauge::default(),
            sessions_rate: Rate::default(),
            queue_time: Average::default(),
            connect_time: Average::default(),
            response_time: Average::default(),
            total_time: Average::default(),
            last_session_ms: AtomicU64::new(0),
            last_change_ms: AtomicU64::new(now_ms),
            down_seconds: AtomicU64::new(0),
            down_transitions: AtomicU32::new(0),
            failed_checks: AtomicU32::new(0),
            idle_connections: Gauge::default(),
            observed_errors: AtomicU32::new(0),
            observed_failures: AtomicU32::new(0),
            check: Mutex::new(CheckView::default()),
            agent: Mutex::new(CheckView::default()),
        }
    }

    pub fn admin(&self) -> Admin {
        Admin(self.admin.load(Relaxed))
    }

    /// Called under the backend's lock only.
    pub(super) fn set_admin(&self, admin: Admin) {
        self.admin.store(admin.0, Relaxed);
    }

    pub fn running(&self) -> Running {
        Running::from_u8(self.running.load(Relaxed))
    }

    /// Called under the backend's lock only.
    pub(super) fn set_running(&self, running: Running) {
        self.running.store(running as u8, Relaxed);
    }

    /// May take traffic that persistence sends here: up (or stopping), and not in maintenance.
    pub fn is_usable(&self) -> bool {
        !matches!(self.running(), Running::Stopped) && !self.admin().is_maintenance()
    }

    /// May be chosen by the balancing algorithm.
    pub fn is_eligible(&self) -> bool {
        self.is_usable()
            && !self.admin().is_drain()
            && !matches!(self.running(), Running::Stopping)
            && self.effective_weight.load(Relaxed) > 0
    }

    pub fn is_draining(&self) -> bool {
        self.admin().is_drain() || self.weight.load(Relaxed) == 0
    }

    /// `clear counters`: peaks start again; with `all` the rest of what is counted here does too.
    pub(super) fn clear_counters(&self, all: bool) {
        self.served.reset_max();
        self.queued.reset_max();
        self.sessions_rate.reset_max();
        for average in [&self.queue_time, &self.connect_time, &self.response_time, &self.total_time] {
            average.reset_max();
        }
        if all {
            self.failed_checks.store(0, Relaxed);
            self.down_transitions.store(0, Relaxed);
            self.observed_failures.store(0, Relaxed);
        }
    }
}

fn scaled_maxconn(minconn: u32, maxconn: u32, backend_sessions: u32, fullconn: u32) -> u32 {
    if maxconn == 0 || minconn == 0 || minconn >= maxconn || fullconn == 0 || backend_sessions >= fullconn {
        return maxconn;
    }
    let scaled = u64::from(maxconn) * u64::from(backend_sessions) / u64::from(fullconn);
    (scaled as u32).max(minconn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minconn_grows_to_maxconn_with_the_load_of_the_backend() {
        assert_eq!(scaled_maxconn(10, 100, 0, 1000), 10);
        assert_eq!(scaled_maxconn(10, 100, 500, 1000), 50);
        assert_eq!(scaled_maxconn(10, 100, 1000, 1000), 100);
    }
}
