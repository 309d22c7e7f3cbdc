//! The state as rules see it: live numbers by id.

use super::{ServerState, State, WEIGHT_SCALE};
use haproxy_config::model::{Password, User};
use rules::{
    BackendNumber, Direction, FrontendNumber, Host, ProcessNumber, ProxyId, ServerId, ServerNumber,
    StickTable, StreamFacts, StreamTimeout, TableId, UserlistId,
};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

thread_local! {
    /// Position of this worker thread; set when the worker starts.
    pub static WORKER: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl State {
    fn user(&self, list: UserlistId, name: &[u8]) -> Option<&User> {
        self.model.userlists.get(list.0 as usize)?.users.iter().find(|user| user.name.as_bytes() == name)
    }

    fn now_ms(&self) -> u64 {
        self.clock.millis(Instant::now())
    }

    /// Free connections and queue slots over the usable servers; `None` when one of them has no limit. Backup servers
    /// count only while no other is usable.
    fn free(&self, backend: ProxyId, with_queue: bool) -> Option<i64> {
        let (active, _) = self.backend(backend).usable_by_role();
        let mut free = 0;
        for server in self.backend(backend).servers() {
            // Nobody new gets to a server that drains: only its queue slots count.
            let counts = if with_queue { server.is_usable() } else { server.is_eligible() };
            if !counts || (server.settings.backup && active > 0) {
                continue;
            }
            let maxconn = server.maxconn.load(Relaxed);
            if maxconn == 0 || (with_queue && server.settings.maxqueue == 0) {
                return None;
            }
            free += i64::from(maxconn.saturating_sub(server.served.get()));
            if with_queue {
                free += i64::from(server.settings.maxqueue.saturating_sub(server.queued.get()));
            }
        }
        Some(free)
    }
}

fn free_of(server: &ServerState) -> i64 {
    match server.maxconn.load(Relaxed) {
        0 => -1,
        maxconn => i64::from(maxconn.saturating_sub(server.served.get())),
    }
}

impl Host for State {
    fn proxy_name(&self, proxy: ProxyId) -> &str {
        &self.model.proxies[proxy.index()].name
    }

    fn proxy_number(&self, proxy: ProxyId) -> u32 {
        self.model.proxies[proxy.index()].uuid
    }

    fn server_name(&self, server: ServerId) -> &str {
        &self.server(server).settings.name
    }

    fn server_number(&self, server: ServerId) -> u32 {
        self.server(server).settings.puid
    }

    fn server_is_up(&self, server: ServerId) -> bool {
        self.server(server).is_usable()
    }

    fn listener(&self, frontend: ProxyId, index: u32) -> (Option<&str>, u32) {
        match self.model.proxies[frontend.index()].binds.get(index as usize) {
            Some(bind) => (bind.name.as_deref(), bind.id),
            None => (None, 0),
        }
    }

    fn listener_connections(&self, frontend: ProxyId, index: u32) -> u32 {
        let listener = self.proxy(frontend).frontend.listeners.get(index as usize);
        listener.map_or(0, |listener| listener.current.get())
    }

    fn capture_length(&self, frontend: ProxyId, direction: Direction, slot: usize) -> Option<usize> {
        let settings = &self.model.proxies[frontend.index()];
        let slots = match direction {
            Direction::Request => &settings.request_captures,
            Direction::Response => &settings.response_captures,
        };
        slots.get(slot).map(|capture| capture.length)
    }

    fn task_cost(&self) -> rules::TaskCost {
        crate::profile::current()
    }

    fn default_backend(&self, frontend: ProxyId) -> Option<ProxyId> {
        self.model.proxies[frontend.index()].default_backend
    }

    fn backend(&self, backend: ProxyId, which: BackendNumber) -> i64 {
        let live = State::backend(self, backend);
        match which {
            BackendNumber::UsableServers => live.usable() as i64,
            BackendNumber::Connections => i64::from(live.current.get()),
            BackendNumber::FreeConnections => self.free(backend, false).unwrap_or(-1),
            BackendNumber::FreeSlots => self.free(backend, true).unwrap_or(-1),
            BackendNumber::SessionRate => i64::from(live.sessions_rate.get(self.now_ms())),
            BackendNumber::Queued => {
                let servers: i64 = live.servers().map(|server| i64::from(server.queued.get())).sum();
                i64::from(live.queued.get()) + servers
            }
        }
    }

    fn frontend(&self, frontend: ProxyId, which: FrontendNumber) -> i64 {
        let live = &self.proxy(frontend).frontend;
        i64::from(match which {
            FrontendNumber::Connections => live.current.get(),
            FrontendNumber::RequestRate => live.requests_rate.get(self.now_ms()),
            FrontendNumber::SessionRate => live.sessions_rate.get(self.now_ms()),
        })
    }

    fn server(&self, server: ServerId, which: ServerNumber) -> i64 {
        let live = State::server(self, server);
        match which {
            ServerNumber::Connections => i64::from(live.served.get()),
            ServerNumber::FreeConnections => free_of(live),
            ServerNumber::Queued => i64::from(live.queued.get()),
            ServerNumber::SessionRate => i64::from(live.sessions_rate.get(self.now_ms())),
            ServerNumber::Weight => i64::from(live.effective_weight.load(Relaxed).div_ceil(WEIGHT_SCALE)),
            ServerNumber::InitialWeight => i64::from(live.settings.weight),
            ServerNumber::UserWeight => i64::from(live.weight.load(Relaxed)),
        }
    }

    fn process(&self, which: ProcessNumber) -> i64 {
        match which {
            ProcessNumber::Thread => i64::from(WORKER.get()),
        }
    }

    /// As configured: what `set-timeout` changed is kept with the stream.
    fn timeout(&self, stream: &StreamFacts, which: StreamTimeout) -> Option<Duration> {
        let frontend = &self.model.proxies[stream.frontend.index()].timeouts;
        let backend = stream.backend.map_or(frontend, |id| &self.model.proxies[id.index()].timeouts);
        match which {
            StreamTimeout::Client => frontend.client,
            StreamTimeout::Server => backend.server,
            StreamTimeout::Tunnel => backend.tunnel,
        }
    }

    fn backend_by_name(&self, name: &[u8]) -> Option<ProxyId> {
        let found = self.model.proxies.iter().find(|proxy| proxy.is_backend && proxy.name.as_bytes() == name);
        found.map(|proxy| proxy.id)
    }

    fn server_by_name(&self, backend: ProxyId, name: &[u8]) -> Option<ServerId> {
        let name = std::str::from_utf8(name).ok()?;
        State::backend(self, backend).server_by_name(name).map(|server| server.id)
    }

    fn table(&self, table: TableId) -> Option<&Arc<StickTable>> {
        self.tables.get(table.0 as usize)
    }

    fn is_stopping(&self) -> bool {
        State::is_stopping(self)
    }

    fn hostname(&self) -> &str {
        static NAME: OnceLock<String> = OnceLock::new();
        NAME.get_or_init(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
    }

    /// Asks the kernel: only an address of this machine can be bound.
    fn is_local(&self, address: IpAddr) -> bool {
        UdpSocket::bind((address, 0)).is_ok()
    }

    fn local_offset(&self, second: i64) -> i32 {
        static ZONE: OnceLock<rules::log_format::Zone> = OnceLock::new();
        let zone = ZONE.get_or_init(|| {
            let named = std::env::var("TZ").ok().and_then(|text| rules::log_format::Zone::from_posix(&text));
            let read = || rules::log_format::Zone::from_tzif(&std::fs::read("/etc/localtime").ok()?);
            named.or_else(read).unwrap_or_else(rules::log_format::Zone::utc)
        });
        zone.offset(second)
    }

    fn random(&self) -> u64 {
        RandomState::new().hash_one(0_u8)
    }

    fn user_is_valid(&self, list: UserlistId, user: &[u8], password: &[u8]) -> bool {
        match self.user(list, user).and_then(|user| user.password.as_ref()) {
            Some(Password::Plain(known)) => known.as_bytes() == password,
            Some(Password::Crypt(hash)) => pwhash::unix::verify(password, hash),
            None => false,
        }
    }

    fn user_in_group(&self, list: UserlistId, user: &[u8], group: &[u8]) -> bool {
        self.user(list, user).is_some_and(|user| user.groups.iter().any(|known| known.as_bytes() == group))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn passwords_in_the_forms_of_crypt_are_checked() {
        for hash in [
            "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
            "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
            "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
            "abNANd1rDfiNc",
        ] {
            assert!(pwhash::unix::verify("secret", hash), "{hash}");
            assert!(!pwhash::unix::verify("wrong", hash), "{hash}");
        }
    }
}
