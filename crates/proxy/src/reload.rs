//! Replaces the configuration of a running proxy: prepares all that may fail, and only then changes anything.
//!
//! ```text
//!  files ─► Replacement ─► prepare: obstacles, new sockets, names ─► Next ─► commit: State, control thread, workers
//!                             │ fails: nothing has changed
//!                             └► reasons, each with what it is about
//! ```

use crate::cache::Caches;
use crate::control::{self, CliListener};
use crate::handover::{Handover, Place};
use crate::health::Health;
use crate::listen::{self, ListenOptions};
use crate::log_forward;
use crate::logs::Logs;
use crate::mails::Mails;
use crate::net::{Namespaces, pipe};
use crate::plan::Plan;
use crate::process_variables;
use crate::resolve::{self, Resolve};
use crate::run::{self, worker_count};
use crate::state::{FrontendStatus, Kept, State, is_same_socket};
use crate::thread::{PlacedListener, Succession};
use crate::worker::Shared;
use haproxy_config::Model;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tls::Tls;
use tokio::sync::oneshot;

/// Syslog levels of what a reload tells.
const LEVEL_NOTICE: u8 = 5;
const LEVEL_WARNING: u8 = 4;

/// A valid configuration that is to be in force.
pub struct Replacement {
    pub model: Arc<Model>,
    pub tls: Arc<Tls>,
    /// Connections the descriptor limit allows.
    pub maxconn: Option<u32>,
    /// What was told while loading: the new `show startup-logs`.
    pub log: String,
}

/// Reads the configuration again.
///
/// # Errors
/// What is wrong with it, as it was told.
pub type Loader = Box<dyn FnMut() -> Result<Replacement, String> + Send>;

/// How a reload ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub succeeded: bool,
    /// What was told: lines.
    pub log: String,
}

/// Who waits for it.
pub type Asker = oneshot::Sender<Outcome>;

/// A configuration that can take over at once.
pub struct Next {
    pub shared: Arc<Shared>,
    kept: Kept,
    places: HashMap<Place, Place>,
    /// By worker.
    opened: Vec<Vec<PlacedListener>>,
    cli: Vec<CliListener>,
    log_sockets: log_forward::Opened,
    waiting: Vec<rules::ServerId>,
    maxconn: u32,
}

/// What is told to the other threads.
pub struct Committed {
    pub shared: Arc<Shared>,
    /// By worker.
    pub successions: Vec<Succession>,
    pub cli: Vec<CliListener>,
    pub log_sockets: log_forward::Opened,
    pub places: Arc<HashMap<Place, Place>>,
}

/// What a process cannot change while it runs, one line each: a new process has to.
pub fn obstacles(old: &Model, new: &Model) -> Vec<String> {
    let (was, is) = (&old.global, &new.global);
    let mut found = Vec::new();
    let mut refuse = |changed: bool, what: &str| {
        if changed {
            found.push(format!("{what} cannot be changed in a running process: start a new one"));
        }
    };
    refuse(worker_count(old) != worker_count(new), "`nbthread`");
    refuse(was.cpu_maps != is.cpu_maps, "`cpu-map`");
    refuse((was.uid, was.gid) != (is.uid, is.gid), "`user`, `uid`, `group` or `gid`");
    refuse(was.chroot != is.chroot, "`chroot`");
    refuse(was.daemon != is.daemon, "`daemon`");
    refuse(was.master_worker != is.master_worker, "`master-worker`");
    refuse(was.pidfile != is.pidfile, "`pidfile`");
    refuse(crate::peers::differ(old, new), "`peers` sections, and the form of tables that they exchange");
    refuse(was.insecure_setuid_wanted != is.insecure_setuid_wanted, "`insecure-setuid-wanted`");
    found
}

/// Opens and reads what the new configuration needs beyond the old one.
///
/// # Errors
/// One reason each; nothing has changed.
pub fn prepare(old: &Arc<Shared>, replacement: Replacement) -> Result<Next, Vec<String>> {
    let Replacement { model, tls, maxconn, log } = replacement;
    let mut errors = obstacles(&old.plan.model, &model);
    if !errors.is_empty() {
        return Err(errors);
    }
    let workers = worker_count(&model);
    let maxconn = run::maxconn(&model, maxconn);
    let kept = Kept::between(&old.state, &model);
    let namespaces = Namespaces::open(&model, &mut errors);
    let handover = Handover::default();
    let mut places = HashMap::new();
    let mut opened: Vec<Vec<PlacedListener>> = (0..workers).map(|_| Vec::new()).collect();
    for proxy in model.proxies.iter().filter(|proxy| !proxy.disabled) {
        let options = ListenOptions::of(proxy, &model, workers, maxconn);
        for (index, bind) in proxy.binds.iter().enumerate() {
            let place = Place::Frontend(proxy.id, index as u32);
            if let Some((frontend, before)) = kept.listeners[proxy.id.index()][index] {
                places.insert(Place::Frontend(frontend, before), place);
                continue;
            }
            match listen::open(bind, Vec::new(), options, &namespaces) {
                Ok(sockets) => run::place(sockets, place, bind, &handover, &mut opened),
                Err(error) => errors.push(format!("proxy `{}`: {error}", proxy.name)),
            }
        }
    }
    let sections = 0..model.peers.len();
    places.extend(sections.map(|index| (Place::Peers(index), Place::Peers(index))));
    let cli = open_cli(&old.plan.model, &model, &namespaces, &mut places, &mut errors);
    cli.iter().for_each(|open| handover.keep(Place::RuntimeApi(open.index), &open.bind, &open.socket));
    let same_sockets = log_forward::kept(&old.plan.model, &model);
    let is_kept = |place| same_sockets.values().any(|kept| *kept == place);
    let log_sockets =
        log_forward::open(&model, &namespaces, &mut Vec::new(), &handover, is_kept, &mut errors);
    places.extend(same_sockets);
    let logs = Logs::open(&model).map_err(|error| errors.push(error.to_string())).ok();
    let Some(logs) = logs.filter(|_| errors.is_empty()) else { return Err(errors) };
    let state = State::after(&old.state, &kept, Arc::clone(&model), maxconn, run::seed());
    let settled = |id| state.keeps_address(id, &old.state, &kept);
    let waiting = resolve::initialize(&state, &|_| None, &settled)?;
    tls.inherit_tickets(&old.tls, &|proxy, bind| {
        let (frontend, before) = (*kept.listeners[proxy.index()].get(bind)?)?;
        Some((frontend, before as usize))
    });
    handover.carry(&old.handover, |place| places.get(&place).copied());
    let caches = Caches::after(&old.caches, &old.plan.model.caches, &model.caches);
    let shared = Arc::new(Shared {
        health: Health::new(&state),
        resolve: Resolve::new(&model),
        caches,
        peers: Arc::clone(&old.peers),
        mails: Mails::new(&model),
        logs,
        handover,
        tls,
        namespaces,
        startup_log: log,
        number: old.number + 1,
        since: Instant::now(),
        living: Arc::clone(&old.living),
        state,
        plan: Plan::new(model),
    });
    Ok(Next { shared, kept, places, opened, cli, log_sockets, waiting, maxconn })
}

/// The sockets of the runtime API that are new.
fn open_cli(
    old: &Model,
    model: &Model,
    namespaces: &Namespaces,
    places: &mut HashMap<Place, Place>,
    errors: &mut Vec<String>,
) -> Vec<CliListener> {
    let mut free: Vec<usize> = (0..old.global.stats_sockets.len()).collect();
    let mut opened = Vec::new();
    for (index, socket) in model.global.stats_sockets.iter().enumerate() {
        let same = |before: &usize| is_same_socket(&old.global.stats_sockets[*before].bind, &socket.bind);
        match free.iter().position(same) {
            Some(at) => {
                let before = free.swap_remove(at);
                places.insert(Place::RuntimeApi(before), Place::RuntimeApi(index));
            }
            None => opened.extend(control::open_cli_socket(index, &socket.bind, namespaces, errors)),
        }
    }
    opened
}

impl Next {
    /// Puts the configuration in force as far as all threads share it. Cannot fail.
    pub fn commit(self, old: &Arc<Shared>) -> Committed {
        let Next { shared, kept, places, mut opened, cli, log_sockets, waiting, maxconn } = self;
        let state = &shared.state;
        let model = &shared.plan.model;
        // Nothing of the old configuration is kept listening by it.
        old.handover.release();
        pipe::limit(run::pipes(model, maxconn));
        let orders = state.take_over(&old.state, &kept);
        resolve::wait(state, &waiting);
        for id in orders.addressed {
            let flags = checks::AdminFlags::from(state.server(id).admin());
            shared.set_server_flags(id, flags.without(checks::AdminFlags::RESOLUTION_MAINT));
        }
        for (id, command) in orders.commands {
            shared.command_server(id, command);
        }
        process_variables::set(state);
        retune(&shared, &kept, maxconn);
        close_frontends(old, &kept);
        let now_ms = state.clock.millis(Instant::now());
        for proxy in model.proxies.iter().filter(|proxy| proxy.is_backend) {
            if let Some(server) = state.backend(proxy.id).servers().next() {
                shared.note_backend(server.id, now_ms);
            }
        }
        let places = Arc::new(places);
        let successions = (opened.drain(..))
            .map(|opened| Succession { shared: Arc::clone(&shared), places: Arc::clone(&places), opened })
            .collect();
        Committed { shared, successions, cli, log_sockets, places }
    }
}

/// Sockets that go on get what their lines say now.
fn retune(shared: &Shared, kept: &Kept, maxconn: u32) {
    let model = &shared.plan.model;
    for proxy in &model.proxies {
        let options = ListenOptions::of(proxy, model, shared.state.workers.len(), maxconn);
        for (index, bind) in proxy.binds.iter().enumerate() {
            if kept.listeners[proxy.id.index()][index].is_none() {
                continue;
            }
            shared.handover.with(Place::Frontend(proxy.id, index as u32), |socket| {
                if let Err(error) = listen::retune(socket, bind, options) {
                    let address = listen::display(&bind.address);
                    shared.tell(LEVEL_WARNING, &format!("{address}: options stay as they were: {error}"));
                }
            });
        }
    }
}

/// Frontends that are gone accept no more; what they have goes on.
fn close_frontends(old: &Shared, kept: &Kept) {
    for proxy in old.plan.model.proxies.iter().filter(|proxy| proxy.is_frontend && !proxy.disabled) {
        let live = &old.state.proxy(proxy.id).frontend;
        if !kept.frontends.contains(&Some(proxy.id)) && live.status() != FrontendStatus::Stopped {
            live.set_status(FrontendStatus::Stopped);
            old.tell(LEVEL_WARNING, &format!("Proxy {} stopped: a reload removed it.", proxy.name));
        }
    }
}

impl Shared {
    /// Logs an event of the process.
    pub fn tell(&self, level: u8, text: &str) {
        self.logs.event(None, level, text, self.state.clock.wall(Instant::now()));
    }

    pub fn tell_reload(&self, outcome: &Outcome) {
        if outcome.succeeded {
            return self.tell(LEVEL_NOTICE, "Configuration reloaded.");
        }
        self.tell(LEVEL_WARNING, "Reload failed: the configuration stays as it was.");
        for line in outcome.log.lines() {
            self.tell(LEVEL_WARNING, line);
        }
    }
}
