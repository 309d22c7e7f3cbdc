//! The one way a server changes its state: brings the picker, counters, trackers and logs in step. Any thread may call.

use crate::state::{Admin, Running, ServerState};
use crate::worker::Shared;
use checks::{AdminCommand, AdminFlags, Cause, Change, Counts, Operational, Standing, Subject, Turn};
use rules::ServerId;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// How long a chain of tracking servers may be; the configuration refuses loops.
const TRACK_DEPTH_MAX: usize = 64;

impl From<Admin> for AdminFlags {
    fn from(admin: Admin) -> AdminFlags {
        AdminFlags(admin.0)
    }
}

impl From<AdminFlags> for Admin {
    fn from(flags: AdminFlags) -> Admin {
        Admin(flags.0)
    }
}

impl From<Running> for Operational {
    fn from(running: Running) -> Operational {
        match running {
            Running::Stopped => Operational::Stopped,
            Running::Starting => Operational::Starting,
            Running::Up => Operational::Running,
            Running::Stopping => Operational::Stopping,
        }
    }
}

impl From<Operational> for Running {
    fn from(operational: Operational) -> Running {
        match operational {
            Operational::Stopped => Running::Stopped,
            Operational::Starting => Running::Starting,
            Operational::Running => Running::Up,
            Operational::Stopping => Running::Stopping,
        }
    }
}

impl Shared {
    /// Checks, an agent or an operator found a server up, down or stopping.
    pub fn turn_server(&self, id: ServerId, turn: Turn, cause: Cause<'_>) {
        self.turn_at_depth(id, turn, cause, 0);
    }

    fn turn_at_depth(&self, id: ServerId, turn: Turn, cause: Cause<'_>, depth: usize) {
        let server = self.state.server(id);
        let slow_start = server.settings.slowstart.is_some();
        let change = self.change(server, |standing| standing.turn(turn, slow_start));
        if !change.is_any() {
            return;
        }
        self.follow_up(server, change, cause, None);
        if depth < TRACK_DEPTH_MAX {
            let via = self.full_name(server);
            for &tracker in self.health.trackers_of(id) {
                self.turn_at_depth(tracker, turn, Cause::Via(&via), depth + 1);
            }
        }
    }

    /// `set server … state`, `enable server`, `disable server`, or an agent's words.
    pub fn command_server(&self, id: ServerId, command: AdminCommand) {
        let flags = AdminFlags::from(self.state.server(id).admin()).commanded(command);
        self.set_server_flags(id, flags);
    }

    /// The name of a server lost its address, for a `reason`.
    pub fn lose_server_address(&self, id: ServerId, reason: &str) {
        let flags = AdminFlags::from(self.state.server(id).admin()).with(AdminFlags::RESOLUTION_MAINT);
        self.administer_at_depth(id, flags, Cause::Because(reason), None, 0);
    }

    /// The `host` of a server resolves again.
    pub fn find_server_address(&self, id: ServerId, host: &str) {
        let flags = AdminFlags::from(self.state.server(id).admin()).without(AdminFlags::RESOLUTION_MAINT);
        self.administer_at_depth(id, flags, Cause::Plain, Some(host), 0);
    }

    /// Sets all administrative flags of a server.
    pub fn set_server_flags(&self, id: ServerId, flags: AdminFlags) {
        self.administer_at_depth(id, flags, Cause::Plain, None, 0);
    }

    fn administer_at_depth(
        &self,
        id: ServerId,
        flags: AdminFlags,
        cause: Cause<'_>,
        host: Option<&str>,
        depth: usize,
    ) {
        let server = self.state.server(id);
        let before = AdminFlags::from(server.admin());
        if before == flags {
            return;
        }
        if before.is_maintenance() != flags.is_maintenance() {
            self.reset_counters(server, flags.is_maintenance());
        }
        let healthy = self.is_healthy(server);
        let slow_start = server.settings.slowstart.is_some();
        let change = self.change(server, |standing| standing.administer(flags, healthy, slow_start));
        self.follow_up(server, change, cause, host);
        if depth >= TRACK_DEPTH_MAX {
            return;
        }
        let via = self.full_name(server);
        for &tracker in self.health.trackers_of(id) {
            let inherited = AdminFlags::from(self.state.server(tracker).admin()).inheriting(flags);
            self.administer_at_depth(tracker, inherited, Cause::Via(&via), None, depth + 1);
        }
    }

    /// Servers that track one which the configuration disables start as it does; nothing is logged.
    pub(super) fn inherit_at_start(&self) {
        // Chains are short; each round carries the flags one link further.
        for _ in 0..TRACK_DEPTH_MAX {
            let mut changed = false;
            for (_, server) in &self.state.servers {
                let Some(tracked) = server.settings.track else { continue };
                let before = AdminFlags::from(server.admin());
                let flags = before.inheriting(self.state.server(tracked).admin().into());
                if flags != before {
                    self.change(server, |standing| standing.administer(flags, true, false));
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    // Checks pause in maintenance, and start over behind it: up, one failure from down.
    fn reset_counters(&self, server: &ServerState, enters: bool) {
        let mut view = server.check.lock();
        view.health = if enters { 0 } else { view.rise };
    }

    /// What checks, the agent and the tracked server say of a server, maintenance aside.
    fn is_healthy(&self, server: &ServerState) -> bool {
        let passes = |view: &crate::state::CheckView| !view.enabled || view.health >= view.rise;
        let tracked_up = server
            .settings
            .track
            .is_none_or(|tracked| self.state.server(tracked).running() != Running::Stopped);
        tracked_up && passes(&server.check.lock()) && passes(&server.agent.lock())
    }

    /// Whether nothing keeps a server from being up: both its check and its agent agree, and whom it tracks.
    pub(super) fn may_be_up(&self, server: &ServerState) -> bool {
        !server.admin().is_maintenance() && self.is_healthy(server)
    }

    fn change(&self, server: &ServerState, apply: impl FnOnce(&mut Standing) -> Change) -> Change {
        let mut done = None;
        self.state.backend(server.id.proxy).change(server, |server| {
            let mut standing =
                Standing { operational: server.running().into(), admin: server.admin().into() };
            done = Some(apply(&mut standing));
            (standing.admin.into(), standing.operational.into())
        });
        done.expect("change calls its closure")
    }

    // Counters, queues, sessions and logs behind a change.
    fn follow_up(&self, server: &ServerState, change: Change, cause: Cause<'_>, host: Option<&str>) {
        let now = Instant::now();
        let now_ms = self.state.clock.millis(now);
        let backend = self.state.backend(server.id.proxy);
        // Orders of operators count as changes too, whatever checks found.
        if change.is_any() {
            let since = server.last_change_ms.swap(now_ms, Relaxed);
            if change.went_up() {
                server.down_seconds.fetch_add(now_ms.saturating_sub(since) / 1000, Relaxed);
            }
        }
        if change.went_down() {
            server.down_transitions.fetch_add(1, Relaxed);
        }
        let mut requeued = 0;
        if change.before.is_usable() && !change.after.is_usable() {
            requeued = backend.queues.flush(server.id.index) as usize;
            if server.settings.on_marked_down_shutdown_sessions {
                self.shut_sessions(server.id);
            }
        }
        if change.went_up() {
            if let Some(duration) = server.settings.slowstart {
                start_ramp(backend, server, duration);
            }
            let before = backend.queued.get();
            backend.serve_queues(server);
            requeued = before.saturating_sub(backend.queued.get()) as usize;
            if server.settings.on_marked_up_shutdown_backup_sessions
                && !server.settings.backup
                && server.is_eligible()
            {
                for backup in backend.servers().filter(|server| server.settings.backup) {
                    self.shut_sessions(backup.id);
                }
            }
        }
        self.log_change(server, change, cause, host, requeued);
        self.note_backend(server.id, now_ms);
    }

    fn log_change(
        &self,
        server: &ServerState,
        change: Change,
        cause: Cause<'_>,
        host: Option<&str>,
        requeued: usize,
    ) {
        let (active, backup) = self.state.backend(server.id.proxy).usable_by_role();
        let counts =
            Counts { active, backup, sessions: server.served.get(), requeued, queued: server.queued.get() };
        for notice in change.notices(self.subject(server), cause, counts, host) {
            self.log_notice(server.id, &notice);
        }
    }

    // Tells when a backend loses its last server; counts its ups and downs.
    pub fn note_backend(&self, id: ServerId, now_ms: u64) {
        let backend = self.state.backend(id.proxy);
        let up = backend.usable() > 0;
        if backend.up.swap(up, Relaxed) == up {
            return;
        }
        let since = backend.last_change_ms.swap(now_ms, Relaxed);
        if up {
            backend.down_seconds.fetch_add(now_ms.saturating_sub(since) / 1000, Relaxed);
            return;
        }
        backend.down_transitions.fetch_add(1, Relaxed);
        let proxy = &self.state.model.proxies[id.proxy.index()];
        let kind = if proxy.is_frontend { "proxy" } else { "backend" };
        self.log_notice(id, &checks::no_server_notice(kind, &proxy.name));
    }

    pub(crate) fn log_notice(&self, id: ServerId, notice: &checks::Notice) {
        let wall = self.state.clock.wall(Instant::now());
        self.logs.event(Some(id.proxy), notice.level, &notice.text, wall);
        if let Some(level) = notice.mail_level {
            self.mails.send(id.proxy, level, &notice.text, wall, &self.logs.zone);
        }
    }

    pub(super) fn subject<'a>(&'a self, server: &'a ServerState) -> Subject<'a> {
        Subject {
            backend: &self.state.model.proxies[server.id.proxy.index()].name,
            server: server.name(),
            is_backup: server.settings.backup,
        }
    }

    fn full_name(&self, server: &ServerState) -> String {
        let subject = self.subject(server);
        format!("{}/{}", subject.backend, subject.server)
    }

    /// Closes the idle connections to a server: it lives elsewhere now.
    pub fn close_idle(&self, server: &ServerState) {
        let live = Arc::clone(&server.live);
        self.order_all(move |worker| {
            let servers = &worker.state().servers;
            if let Some((_, server)) = servers.iter().find(|(_, server)| Arc::ptr_eq(&server.live, &live)) {
                worker.idle.borrow_mut().close_server(server.slot);
            }
        });
    }

    /// Ends all sessions at a server.
    pub fn shut_sessions(&self, id: ServerId) {
        let live = Arc::clone(&self.state.server(id).live);
        self.order_all(move |worker| {
            for session in worker.sessions.borrow().iter() {
                let at = session.server.get().map(|id| worker.state().server(id));
                if at.is_some_and(|server| Arc::ptr_eq(&server.live, &live)) {
                    session.kill();
                }
            }
        });
    }

    /// Orders it of every worker thread, for all configurations that it has connections of.
    fn order_all(&self, order: impl Fn(&std::rc::Rc<crate::worker::Worker>) + Clone + Send + 'static) {
        let Some(orders) = self.health.orders.get() else { return };
        for sender in orders.iter() {
            // A worker too busy to take an order keeps what it has; that ends by its timeouts.
            let order = order.clone();
            let _ = sender.try_send(Box::new(move |thread| thread.workers().iter().for_each(&order)));
        }
    }
}

fn start_ramp(backend: &crate::state::BackendState, server: &ServerState, duration: std::time::Duration) {
    if let Some(ramp) = balance::slow_start::SlowStart::new(duration) {
        backend.set_ramp(server, ramp.ramp(std::time::Duration::ZERO));
    }
}
