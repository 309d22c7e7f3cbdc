//! The live side of a backend: who may serve, who waits, and the one lock around the picker.

use super::counters::{Average, Gauge, Rate};
use super::dynamic_cookies::DynamicCookies;
use super::queue::Queues;
use super::{Admin, Running, ServerState, Target};
use balance::{Load, Picker, Server as Slot, ServerIndex};
use haproxy_config::model;
use parking_lot::Mutex;
use rules::{ProxyId, ServerId};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// A backend as one configuration has it. What it does is [`BackendLive`], which it shares with the backend of the same name
/// before and after a reload.
pub struct BackendState {
    pub id: ProxyId,
    /// Append-only: a server keeps its index for life, removed ones are marked.
    pub servers: boxcar::Vec<Arc<ServerState>>,
    picker: Mutex<Picker>,
    /// The picker wants to hear of every request (leastconn, first, random, bounded hash).
    tracks_load: bool,
    pub queues: Queues,
    pub dynamic_cookies: DynamicCookies,
    fullconn: u32,
    implied: Option<u32>,
    pub live: Arc<BackendLive>,
}

/// The live side of a backend.
#[derive(Default)]
pub struct BackendLive {
    /// Requests in this backend, waiting ones included.
    pub current: Gauge,
    /// Requests that wait for any server.
    pub queued: Gauge,
    /// Requests at its servers.
    pub served: Gauge,
    pub sessions_rate: Rate,
    pub queue_time: Average,
    pub connect_time: Average,
    pub response_time: Average,
    pub total_time: Average,
    /// Milliseconds of the process clock.
    pub last_session_ms: AtomicU64,
    pub last_change_ms: AtomicU64,
    pub down_seconds: AtomicU64,
    pub down_transitions: AtomicU64,
    /// Requests without the key that a hash wants: servers took turns instead.
    pub keyless: AtomicU64,
    /// Whether it has a usable server, as last reported.
    pub up: AtomicBool,
    /// Configurations with this backend, as long as one has connections; `crowded` when there are several.
    members: Mutex<Vec<Weak<BackendState>>>,
    crowded: AtomicBool,
}

impl Deref for BackendState {
    type Target = BackendLive;

    fn deref(&self) -> &BackendLive {
        &self.live
    }
}

impl BackendState {
    /// `fullconn`: the load at which servers get their full `maxconn`. `before`: the live side to go on with.
    pub fn new(
        proxy: &model::Proxy,
        servers: Vec<Arc<ServerState>>,
        fullconn: u32,
        now_ms: u64,
        seed: u64,
        before: Option<Arc<BackendLive>>,
    ) -> Arc<BackendState> {
        let slots: Vec<Slot> = servers
            .iter()
            .map(|server| {
                let slot = Slot::new(server.settings.puid).weight(server.settings.weight as u16);
                let slot = if server.settings.backup { slot.backup() } else { slot };
                if server.is_usable() && !server.settings.is_implied { slot } else { slot.down() }
            })
            .collect();
        let picker = Picker::new(proxy.balance.algorithm, &slots, proxy.options.allbackups, seed);
        let implied = servers.iter().find(|server| server.settings.is_implied).map(|server| server.id.index);
        let up = servers.is_empty() || implied.is_some() || picker.usable() > 0;
        let list = boxcar::Vec::with_capacity(servers.len());
        for server in servers {
            list.push(server);
        }
        let backend = BackendState {
            id: proxy.id,
            servers: list,
            tracks_load: picker.algorithm().tracks_load(),
            picker: Mutex::new(picker),
            queues: Queues::default(),
            dynamic_cookies: DynamicCookies::new(proxy),
            fullconn,
            implied,
            live: before.unwrap_or_else(|| Arc::new(BackendLive::new(now_ms, up))),
        };
        backend.refresh_cookies();
        Arc::new(backend)
    }

    /// `clear counters`, for the backend and its servers.
    pub(super) fn clear_counters(&self, all: bool) {
        self.current.reset_max();
        self.queued.reset_max();
        self.served.reset_max();
        self.sessions_rate.reset_max();
        for average in [&self.queue_time, &self.connect_time, &self.response_time, &self.total_time] {
            average.reset_max();
        }
        if all {
            self.keyless.store(0, Relaxed);
            self.down_transitions.store(0, Relaxed);
        }
        self.servers().for_each(|server| server.clear_counters(all));
    }

    /// What a cookie calls this server: its own `cookie`, else the dynamic one.
    pub fn cookie_of(&self, server: &ServerState) -> Option<Arc<str>> {
        server.settings.cookie.clone().or_else(|| self.dynamic_cookies.value(server.id.index))
    }

    /// Gives a server another address, or takes it away; what is made of addresses follows.
    pub fn move_server(&self, server: &ServerState, target: Option<Target>) {
        *server.target.write() = target;
        self.refresh_cookies();
    }

    /// `enable dynamic-cookie backend` and `disable …`.
    pub fn enable_dynamic_cookies(&self, enabled: bool) {
        self.dynamic_cookies.enable(enabled);
        self.refresh_cookies();
    }

    /// `set dynamic-cookie-key backend`.
    pub fn set_dynamic_cookie_key(&self, key: &str) {
        self.dynamic_cookies.set_key(key);
        self.refresh_cookies();
    }

    fn refresh_cookies(&self) {
        self.dynamic_cookies.refresh(self.servers());
    }

    /// Whether weights may take any value at run time.
    pub fn is_dynamic(&self) -> bool {
        self.picker.lock().algorithm().is_dynamic()
    }

    pub fn fullconn(&self) -> u32 {
        self.fullconn
    }

    pub fn server(&self, index: u32) -> Option<&Arc<ServerState>> {
        self.servers.get(index as usize)
    }

    pub fn server_by_name(&self, name: &str) -> Option<&Arc<ServerState>> {
        self.servers().find(|server| server.name() == name)
    }

    /// Where requests go instead of servers (`dispatch`, `option transparent`).
    pub fn implied(&self) -> Option<u32> {
        self.implied
    }

    /// Servers that were not removed, in configuration order.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<ServerState>> {
        let is_there =
            |server: &&Arc<ServerState>| !server.deleted.load(Relaxed) && !server.settings.is_implied;
        self.servers.iter().map(|(_, server)| server).filter(is_there)
    }

    /// Chooses a server; `None` when none is usable or all are full (see [`BackendState::usable`]).
    pub fn pick(&self, key: Option<u32>, avoid: Option<u32>) -> Option<&Arc<ServerState>> {
        let avoid = avoid.map(|index| ServerIndex::at(index as usize));
        let mut picker = self.picker.lock();
        let algorithm = picker.algorithm();
        let full = |index: ServerIndex| {
            self.servers.get(index.position()).is_none_or(|server| {
                let load = Load { served: server.served.get(), queued: server.queued.get() };
                algorithm.is_full(load, self.limit_of(server), server.settings.maxqueue)
            })
        };
        let index = picker.pick(key, avoid, &full)?;
        drop(picker);
        self.servers.get(index.position())
    }

    /// Servers that a pick chooses from.
    pub fn usable(&self) -> usize {
        self.picker.lock().usable()
    }

    /// Usable active and backup servers.
    pub fn usable_by_role(&self) -> (usize, usize) {
        let picker = self.picker.lock();
        (picker.active(), picker.backups())
    }

    pub fn total_weight(&self) -> u64 {
        self.picker.lock().total_weight()
    }

    /// Requests `server` may serve at once now; 0 is unlimited.
    pub fn limit_of(&self, server: &ServerState) -> u32 {
        server.dynamic_maxconn(self.current.get(), self.fullconn)
    }

    /// Takes a slot of `server` if it has one free; must be given back by [`BackendState::release`].
    pub fn take_slot(&self, server: &ServerState) -> bool {
        let limit = self.limit_of(server);
        if limit > 0 && server.served.get() >= limit {
            return false;
        }
        // Two threads may both see the last slot; the one that overshoots gives it back.
        let served = server.served.increment();
        if limit > 0 && served > limit {
            server.served.decrement();
            return false;
        }
        self.served.increment();
        if self.tracks_load {
            self.report_load(server);
        }
        true
    }

    /// Takes a slot whatever the limit (`force-persist`, unlimited servers, the last retry).
    pub fn release(&self, server: &ServerState) {
        server.served.decrement();
        self.served.decrement();
        if self.tracks_load {
            self.report_load(server);
        }
        if server.queued.get() > 0 || self.queued.get() > 0 {
            self.serve_queues(server);
        }
    }

    /// Gives the free slots of `server` to those who wait, first to those of configurations before this one.
    pub fn serve_queues(&self, server: &ServerState) {
        let eligible = server.is_eligible();
        if !server.is_usable() {
            return;
        }
        self.live.each_other(self, server, |member, server| {
            member.queues.serve(server.id.index, eligible, || member.take_slot(server));
        });
        self.queues.serve(server.id.index, eligible, || self.take_slot(server));
    }

    /// Tells the picker how busy `server` is.
    pub fn report_load(&self, server: &ServerState) {
        let load = Load { served: server.served.get(), queued: server.queued.get() };
        let index = ServerIndex::at(server.id.index as usize);
        let mut picker = self.picker.lock();
        if picker.load(index).served == load.served {
            // As HAProxy: an arrival in the queue weighs only when the server next takes or drops a request.
            picker.set_queued(index, load.queued);
        } else {
            picker.set_load(index, load);
        }
    }

    pub fn tracks_load(&self) -> bool {
        self.tracks_load
    }

    /// Changes the administrative or operational state of a server, and brings the picker in step. Returns whether
    /// its eligibility changed.
    pub fn change(
        &self,
        server: &ServerState,
        change: impl FnOnce(&ServerState) -> (Admin, Running),
    ) -> bool {
        let mut picker = self.picker.lock();
        let before = server.is_eligible();
        let (admin, running) = change(server);
        server.set_admin(admin);
        server.set_running(running);
        let index = ServerIndex::at(server.id.index as usize);
        picker.set_up(index, is_up(server));
        server.effective_weight.store(picker.effective_weight(index), Relaxed);
        drop(picker);
        let changed = before != server.is_eligible();
        self.live.each_other(self, server, |member, server| {
            let index = ServerIndex::at(server.id.index as usize);
            member.picker.lock().set_up(index, is_up(server));
        });
        changed
    }

    /// Sets the weight of a server, 0..=256.
    ///
    /// # Errors
    /// The algorithm is static and takes only 0 and the initial weight.
    pub fn set_weight(&self, server: &ServerState, weight: u32) -> Result<(), balance::StaticWeight> {
        let mut picker = self.picker.lock();
        let index = ServerIndex::at(server.id.index as usize);
        picker.set_weight(index, weight as u16)?;
        server.weight.store(weight, Relaxed);
        server.effective_weight.store(picker.effective_weight(index), Relaxed);
        drop(picker);
        self.live.each_other(self, server, |member, server| {
            let index = ServerIndex::at(server.id.index as usize);
            // An algorithm that takes no new weight keeps the one it has.
            let _ = member.picker.lock().set_weight(index, weight as u16);
        });
        Ok(())
    }

    /// Brings the picker of a new configuration in step with servers that were there before.
    pub fn take_over(self: &Arc<BackendState>) {
        for server in self.servers() {
            let index = ServerIndex::at(server.id.index as usize);
            let mut picker = self.picker.lock();
            // As above.
            if picker.set_weight(index, server.weight.load(Relaxed) as u16).is_err() {
                server.weight.store(server.settings.weight, Relaxed);
            }
            picker.set_up(index, is_up(server));
            picker.set_load(index, Load { served: server.served.get(), queued: server.queued.get() });
            server.effective_weight.store(picker.effective_weight(index), Relaxed);
        }
        self.enter();
    }

    /// Shares what happens to servers with other configurations' members, while there are some.
    pub fn enter(self: &Arc<BackendState>) {
        self.live.enter(self);
    }

    /// Sets the share of its weight that a server in slow start gets, in sixteenths.
    pub fn set_ramp(&self, server: &ServerState, sixteenths: u8) {
        let mut picker = self.picker.lock();
        let index = ServerIndex::at(server.id.index as usize);
        picker.set_ramp(index, sixteenths);
        server.effective_weight.store(picker.effective_weight(index), Relaxed);
    }

    /// Adds a server at run time; it starts in maintenance.
    pub fn add_server(&self, make: impl FnOnce(ServerId) -> ServerState) -> Arc<ServerState> {
        let mut picker = self.picker.lock();
        let index = self.servers.count() as u32;
        let server = Arc::new(make(ServerId { proxy: self.id, index }));
        let slot = Slot::new(server.settings.puid).weight(server.settings.weight as u16);
        picker.add(if server.settings.backup { slot.backup() } else { slot }.down());
        self.servers.push(Arc::clone(&server));
        self.refresh_cookies();
        server
    }

    /// Removes a server that is in maintenance and idle; its index is never used again.
    pub fn remove_server(&self, server: &ServerState) {
        self.picker.lock().set_up(ServerIndex::at(server.id.index as usize), false);
        server.deleted.store(true, Relaxed);
        self.refresh_cookies();
    }
}

/// Whether a pick may give it.
fn is_up(server: &ServerState) -> bool {
    server.is_usable() && !server.admin().is_drain() && !matches!(server.running(), Running::Stopping)
}

impl BackendLive {
    fn new(now_ms: u64, up: bool) -> BackendLive {
        BackendLive {
            last_change_ms: AtomicU64::new(now_ms),
            up: AtomicBool::new(up),
            ..BackendLive::default()
        }
    }

    fn enter(&self, member: &Arc<BackendState>) {
        let mut members = self.members.lock();
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
        self.crowded.store(members.len() > 1, Relaxed);
    }

    /// Calls `act` with every other configuration's backend that has `server`, and its side of that server.
    fn each_other(
        &self,
        own: &BackendState,
        server: &ServerState,
        act: impl Fn(&BackendState, &ServerState),
    ) {
        if !self.crowded.load(Relaxed) {
            return;
        }
        let members: Vec<Arc<BackendState>> = self.members.lock().iter().filter_map(Weak::upgrade).collect();
        for member in members.iter().filter(|member| !std::ptr::eq(&raw const ***member, own)) {
            let theirs = member.servers.iter().find(|(_, theirs)| Arc::ptr_eq(&theirs.live, &server.live));
            if let Some((_, theirs)) = theirs {
                act(member, theirs);
            }
        }
    }
}
