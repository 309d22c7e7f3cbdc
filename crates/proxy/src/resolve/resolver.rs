//! The task that resolves: timers, queries in flight, and who uses which name. Runs on the control thread.

use super::Order;
use super::assignment::{Seat, assign, is_in};
use super::initial::port_of;
use super::message::{QueryType, Reply, Service, read_answer, write_query};
use super::nameserver::{Link, Received};
use super::resolution::{Event, Kind, Resolution, Timing};
use crate::run::Stage;
use crate::state::{Admin, ServerState, Target};
use crate::worker::Shared;
use checks::{LEVEL_NOTICE, Notice};
use haproxy_config::model::{Address, Resolvers};
use rules::ServerId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Answers waiting to be read at most.
const RECEIVED_MAX: usize = 1024;
/// Free identifiers tried for a query.
const IDENTIFIER_TRIES: usize = 64;
/// "Never", for a timer.
const FAR: Duration = Duration::from_secs(3600);

/// A name in a section, and what it is resolved to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    section: usize,
    name: String,
    kind: Kind,
}

struct Entry {
    key: Key,
    resolution: Resolution,
    /// Servers that take their address, or their service, from it.
    users: Vec<ServerId>,
    /// Of the query in flight.
    identifier: Option<u16>,
    /// The timer in the heap; others are stale.
    due: Option<Instant>,
}

struct Section {
    timing: Timing,
    payload_size: u16,
    links: Vec<Option<Link>>,
}

struct Resolver {
    shared: Arc<Shared>,
    sections: Vec<Section>,
    entries: Vec<Option<Entry>>,
    by_key: HashMap<Key, usize>,
    in_flight: HashMap<u16, usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Where each server of an SRV label lives now.
    services: BTreeMap<ServerId, Service>,
    received: mpsc::Sender<Received>,
    random: RandomState,
    drawn: u64,
}

/// Resolves until `stage` says stop. Call on the control thread, in its `LocalSet`.
pub async fn run(shared: Arc<Shared>, mut stage: watch::Receiver<Stage>) {
    let Some(mut orders) = shared.resolve.receiver.lock().take() else { return };
    let (sender, mut received) = mpsc::channel(RECEIVED_MAX);
    let mut resolver = Resolver::new(shared, sender);
    resolver.register_all(Instant::now());
    if resolver.entries.is_empty() {
        return;
    }
    loop {
        let next = resolver.timers.peek().map(|Reverse((due, _))| *due);
        let next = next.unwrap_or_else(|| Instant::now() + FAR);
        tokio::select! {
            changed = stage.changed() => {
                if changed.is_err() || *stage.borrow_and_update() == Stage::Stopped {
                    return;
                }
            }
            Some(answer) = received.recv() => resolver.handle_answer(Instant::now(), &answer),
            Some(order) = orders.recv() => resolver.obey(Instant::now(), order),
            () = tokio::time::sleep_until(next.into()) => resolver.handle_timers(Instant::now()),
        }
    }
}

impl Resolver {
    fn new(shared: Arc<Shared>, received: mpsc::Sender<Received>) -> Resolver {
        let sections = shared
            .state
            .model
            .resolvers
            .iter()
            .enumerate()
            .map(|(index, settings)| open_section(&shared, index, settings, &received))
            .collect();
        Resolver {
            shared,
            sections,
            entries: Vec::new(),
            by_key: HashMap::new(),
            in_flight: HashMap::new(),
            timers: BinaryHeap::new(),
            services: BTreeMap::new(),
            received,
            random: RandomState::new(),
            drawn: 0,
        }
    }

    fn register_all(&mut self, now: Instant) {
        let servers: Vec<_> =
            self.shared.state.servers.iter().map(|(_, server)| Arc::clone(server)).collect();
        for server in servers {
            let (Some(section), Address::Host { name, .. }) =
                (self.section_of(&server), &server.settings.address)
            else {
                continue;
            };
            let kind = if name.starts_with('_') { Kind::Service } else { address_kind(&server) };
            self.join(Key { section, name: name.to_ascii_lowercase(), kind }, server.id, now);
        }
    }

    fn section_of(&self, server: &ServerState) -> Option<usize> {
        let name = server.settings.resolvers.as_ref()?;
        self.shared.state.model.resolvers.iter().position(|section| section.name == *name)
    }

    fn join(&mut self, key: Key, user: ServerId, now: Instant) -> usize {
        let index = match self.by_key.get(&key) {
            Some(&index) => index,
            None => {
                let resolution = Resolution::new(key.kind, self.sections[key.section].timing, now);
                let entry =
                    Entry { key: key.clone(), resolution, users: Vec::new(), identifier: None, due: None };
                let index = match self.entries.iter().position(Option::is_none) {
                    Some(free) => {
                        self.entries[free] = Some(entry);
                        free
                    }
                    None => {
                        self.entries.push(Some(entry));
                        self.entries.len() - 1
                    }
                };
                self.by_key.insert(key, index);
                self.set_timer(index);
                index
            }
        };
        if let Some(entry) = &mut self.entries[index]
            && !entry.users.contains(&user)
        {
            entry.users.push(user);
        }
        index
    }

    // A name without users is asked for no more.
    fn leave(&mut self, key: &Key, user: ServerId) {
        let Some(&index) = self.by_key.get(key) else { return };
        let Some(entry) = &mut self.entries[index] else { return };
        entry.users.retain(|other| *other != user);
        if entry.users.is_empty() {
            if let Some(identifier) = entry.identifier {
                self.in_flight.remove(&identifier);
            }
            self.entries[index] = None;
            self.by_key.remove(key);
        }
    }

    fn set_timer(&mut self, index: usize) {
        if let Some(entry) = &mut self.entries[index] {
            let due = entry.resolution.poll_timeout();
            if entry.due != Some(due) {
                entry.due = Some(due);
                self.timers.push(Reverse((due, index)));
            }
        }
    }

    fn obey(&mut self, now: Instant, order: Order) {
        match order {
            Order::Hasten(server) => self.hasten(now, server),
            Order::Rename(server, name) => self.rename(now, server, name),
        }
    }

    fn rename(&mut self, now: Instant, id: ServerId, name: String) {
        let server = Arc::clone(self.shared.state.server(id));
        let Some(section) = self.section_of(&server) else { return };
        let used = |entry: &Entry| entry.key.kind != Kind::Service && entry.users.contains(&id);
        let old: Vec<Key> = self
            .entries
            .iter()
            .flatten()
            .filter(|entry| used(entry))
            .map(|entry| entry.key.clone())
            .collect();
        for key in old {
            self.leave(&key, id);
        }
        *server.fqdn.write() = Some(name.clone());
        let index = self.join(Key { section, name, kind: address_kind(&server) }, id, now);
        self.place_addresses(index, None);
    }

    fn hasten(&mut self, now: Instant, user: ServerId) {
        for index in 0..self.entries.len() {
            if let Some(entry) = self.entries[index].as_mut().filter(|entry| entry.users.contains(&user)) {
                entry.resolution.hasten(now);
                self.set_timer(index);
            }
        }
    }

    fn handle_timers(&mut self, now: Instant) {
        while let Some(&Reverse((due, index))) = self.timers.peek() {
            if due > now {
                return;
            }
            self.timers.pop();
            let Some(entry) = &mut self.entries[index] else { continue };
            if entry.due != Some(due) {
                continue;
            }
            entry.due = None;
            let waited = entry.resolution.is_asking();
            let section = entry.key.section;
            let event = entry.resolution.handle_timeout(now);
            if waited {
                for nameserver in &self.shared.resolve.sections[section].nameservers {
                    nameserver.counters.timeouts.fetch_add(1, Relaxed);
                }
            }
            self.after(now, index, event, None);
        }
    }

    fn handle_answer(&mut self, now: Instant, received: &Received) {
        let shared = Arc::clone(&self.shared);
        let counters = &shared.resolve.sections[received.section].nameservers[received.nameserver].counters;
        let Some(answer) = read_answer(&received.bytes) else {
            counters.invalid.fetch_add(1, Relaxed);
            return;
        };
        let expected = self.in_flight.get(&answer.id).copied();
        let Some((index, entry)) = expected.and_then(|index| Some((index, self.entries[index].as_mut()?)))
        else {
            counters.outdated.fetch_add(1, Relaxed);
            return;
        };
        let query = [QueryType::A, QueryType::Aaaa, QueryType::Srv]
            .into_iter()
            .find(|query| *query as u16 == answer.query_type);
        let (Some(query), true) =
            (query, answer.name == entry.key.name && entry.key.section == received.section)
        else {
            counters.invalid.fetch_add(1, Relaxed);
            return;
        };
        let counter = match &answer.reply {
            Reply::Addresses(_) | Reply::Services(_) => &counters.valid,
            Reply::Empty => &counters.empty,
            Reply::NoSuchName => &counters.no_such_name,
            Reply::Refused => &counters.refused,
            Reply::Truncated => &counters.truncated,
            Reply::OtherError => &counters.other,
        };
        counter.fetch_add(1, Relaxed);
        let event = entry.resolution.handle_reply(now, query, answer.reply);
        self.after(now, index, event, Some(received.nameserver));
    }

    // What follows a step of a resolution: a query to send, servers to move, a new timer.
    fn after(&mut self, now: Instant, index: usize, event: Option<Event>, nameserver: Option<usize>) {
        self.send_due(index);
        self.set_timer(index);
        let Some(entry) = &self.entries[index] else { return };
        let is_service = entry.key.kind == Kind::Service;
        match event {
            None => {}
            Some(Event::Answered) if is_service => self.place_services(now, index),
            Some(Event::Answered) => self.place_addresses(index, nameserver),
            Some(Event::Lost(_)) if is_service => self.place_services(now, index),
            Some(Event::Lost(failure)) => {
                for user in entry.users.clone() {
                    self.drop_address(user, failure.reason());
                }
            }
        }
    }

    fn send_due(&mut self, index: usize) {
        let Some(entry) = &mut self.entries[index] else { return };
        let Some(query_type) = entry.resolution.poll_query() else { return };
        if let Some(old) = entry.identifier.take() {
            self.in_flight.remove(&old);
        }
        let mut free = None;
        for _ in 0..IDENTIFIER_TRIES {
            self.drawn += 1;
            let identifier = self.random.hash_one(self.drawn) as u16;
            if !self.in_flight.contains_key(&identifier) {
                free = Some(identifier);
                break;
            }
        }
        // Sixty thousand names in flight: this one times out and tries again.
        let Some(identifier) = free else { return };
        let number = entry.key.section;
        let section = &self.sections[number];
        let Some(query) = write_query(identifier, &entry.key.name, query_type, section.payload_size) else {
            return;
        };
        entry.identifier = Some(identifier);
        self.in_flight.insert(identifier, index);
        for (position, link) in section.links.iter().enumerate() {
            let counters = &self.shared.resolve.sections[number].nameservers[position].counters;
            let sent = link
                .as_ref()
                .map(|link| link.send(&query, (number, position), section.timing.retry, &self.received));
            match sent {
                Some(Ok(())) => counters.sent.fetch_add(1, Relaxed),
                Some(Err(_)) | None => counters.send_errors.fetch_add(1, Relaxed),
            };
        }
    }

    // Deals the addresses of a name to its servers, backend by backend.
    fn place_addresses(&mut self, index: usize, mut nameserver: Option<usize>) {
        let Some(entry) = &self.entries[index] else { return };
        let addresses: Vec<IpAddr> = entry.resolution.addresses().collect();
        // Nothing is known yet: everybody stays where they are.
        if addresses.is_empty() {
            return;
        }
        let mut by_backend: BTreeMap<rules::ProxyId, Vec<ServerId>> = BTreeMap::new();
        for user in &entry.users {
            by_backend.entry(user.proxy).or_default().push(*user);
        }
        let host = entry.key.name.clone();
        let section = &self.shared.resolve.sections[entry.key.section];
        // The first change is the name server's doing; the rest comes from what is now known.
        let mut source = match nameserver {
            Some(position) => format!("{}/{}", section.name, section.nameservers[position].name),
            None => "DNS cache".to_owned(),
        };
        for users in by_backend.into_values() {
            let servers: Vec<Arc<ServerState>> =
                users.iter().map(|user| Arc::clone(self.shared.state.server(*user))).collect();
            let seats: Vec<Seat<IpAddr>> = servers
                .iter()
                .map(|server| Seat {
                    current: address_of(server),
                    allow_duplicate: server.settings.resolve_opts.allow_dup_ip
                        || self.services.contains_key(&server.id),
                })
                .collect();
            let given = assign(&seats, &addresses, |seat, address| {
                is_in(&servers[seat].settings.resolve_nets, *address)
            });
            for (server, address) in servers.iter().zip(given) {
                match address {
                    Some(address) => {
                        if self.move_server(server, address, &host, &source) {
                            if let Some(position) = nameserver.take() {
                                section.nameservers[position].counters.updates.fetch_add(1, Relaxed);
                            }
                            "DNS cache".clone_into(&mut source);
                        }
                    }
                    None => self.drop_address(server.id, "No IP for server "),
                }
            }
        }
    }

    // Deals the services of an SRV label to its servers; each then resolves the target it got.
    fn place_services(&mut self, now: Instant, index: usize) {
        let Some(entry) = &self.entries[index] else { return };
        let section = entry.key.section;
        let records: Vec<Service> = entry.resolution.services().cloned().collect();
        // Weight and priority may change while a service stays where it is.
        let places: Vec<(String, u16)> =
            records.iter().map(|record| (record.target.clone(), record.port)).collect();
        let users = entry.users.clone();
        let mut by_backend: BTreeMap<rules::ProxyId, Vec<ServerId>> = BTreeMap::new();
        for user in users {
            by_backend.entry(user.proxy).or_default().push(user);
        }
        for users in by_backend.into_values() {
            let seats: Vec<Seat<(String, u16)>> = users
                .iter()
                .map(|user| Seat {
                    current: self.services.get(user).map(|service| (service.target.clone(), service.port)),
                    allow_duplicate: false,
                })
                .collect();
            let given = assign(&seats, &places, |_, _| false);
            for (user, place) in users.into_iter().zip(given) {
                let service = place.and_then(|(target, port)| {
                    records.iter().find(|record| record.target == target && record.port == port).cloned()
                });
                self.set_service(now, section, user, service);
            }
        }
    }

    fn set_service(&mut self, now: Instant, section: usize, id: ServerId, service: Option<Service>) {
        let server = Arc::clone(self.shared.state.server(id));
        let kind = address_kind(&server);
        let before = self.services.get(&id).cloned();
        let key = |service: &Service| Key { section, name: service.target.clone(), kind };
        let moved = before.as_ref().map(|old| (&old.target, old.port))
            != service.as_ref().map(|new| (&new.target, new.port));
        if let (Some(old), true) = (&before, moved) {
            self.services.remove(&id);
            self.leave(&key(old), id);
            *server.fqdn.write() = None;
            self.drop_address(id, "entry removed from SRV record");
        }
        let Some(service) = service else { return };
        if !server.settings.resolve_opts.ignore_weight {
            // Any weight above zero serves: 1..=256 is one, 65535 is 256.
            let weight = u32::from(service.weight).div_ceil(256);
            // Static algorithms keep their weights.
            let _ = self.shared.state.backend(id.proxy).set_weight(&server, weight);
        }
        if moved {
            let text = format!(
                "{} changed its FQDN from (null) to {} by 'SRV record'",
                self.full_name(&server),
                service.target
            );
            self.notice(id, text);
            *server.fqdn.write() = Some(service.target.clone());
            let key = key(&service);
            self.services.insert(id, service);
            let entry = self.join(key, id, now);
            // Another server may have resolved the same target already.
            if self.entries[entry].as_ref().is_some_and(|entry| entry.resolution.addresses().next().is_some())
            {
                self.place_addresses(entry, None);
            }
        } else {
            self.services.insert(id, service);
        }
    }

    /// Gives a server its address; returns whether it changed.
    fn move_server(&self, server: &ServerState, address: IpAddr, host: &str, source: &str) -> bool {
        let port = self.services.get(&server.id).map_or(port_of(&server.settings), |service| service.port);
        let target = Target::Inet(SocketAddr::new(address, port));
        let before = address_of(server);
        let changed = server.target.read().as_ref() != Some(&target);
        if changed {
            self.shared.state.backend(server.id.proxy).move_server(server, Some(target));
            self.shared.close_idle(server);
        }
        if before != Some(address) {
            let from = before.map_or("(none)".to_owned(), |address| address.to_string());
            let name = self.full_name(server);
            self.notice(server.id, format!("{name} changed its IP from {from} to {address} by {source}."));
        }
        if server.admin().contains(Admin::RESOLUTION_MAINT) {
            self.shared.find_server_address(server.id, host);
            let text = format!(
                "Server {} administratively READY thanks to valid DNS answer.",
                self.full_name(server)
            );
            self.notice(server.id, text);
        }
        before != Some(address)
    }

    fn drop_address(&self, id: ServerId, reason: &str) {
        let server = self.shared.state.server(id);
        if server.target.read().is_some() {
            self.shared.state.backend(id.proxy).move_server(server, None);
            self.shared.close_idle(server);
        }
        if !server.admin().contains(Admin::RESOLUTION_MAINT) {
            self.shared.lose_server_address(id, reason);
        }
    }

    fn full_name(&self, server: &ServerState) -> String {
        format!("{}/{}", self.shared.state.model.proxies[server.id.proxy.index()].name, server.name())
    }

    fn notice(&self, id: ServerId, text: String) {
        self.shared.log_notice(id, &Notice { level: LEVEL_NOTICE, text, mail_level: None });
    }
}

fn open_section(
    shared: &Shared,
    index: usize,
    settings: &Resolvers,
    received: &mpsc::Sender<Received>,
) -> Section {
    let view = &shared.resolve.sections[index];
    let payload_size = u16::try_from(settings.accepted_payload_size).unwrap_or(u16::MAX);
    let links = view
        .nameservers
        .iter()
        .enumerate()
        .map(|(position, nameserver)| {
            let size = usize::from(payload_size);
            Link::open(nameserver.target, (index, position), size, received.clone()).ok()
        })
        .collect();
    Section { timing: Timing::of(settings, view.nameservers.len()), payload_size, links }
}

fn address_kind(server: &ServerState) -> Kind {
    Kind::Address { prefer_ipv6: server.settings.resolve_prefer_ipv6 }
}

fn address_of(server: &ServerState) -> Option<IpAddr> {
    match &*server.target.read() {
        Some(Target::Inet(address)) => Some(address.ip()),
        Some(Target::Unix(_) | Target::Abstract(_)) | None => None,
    }
}
