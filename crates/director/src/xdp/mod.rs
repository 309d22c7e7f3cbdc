//! The plane of our own XDP programs, for kernels without IPVS: TCP and UDP over IPv4 and IPv6, by translation, direct
//! routing or a tunnel. Owns the table that is in their maps; the programs are in `xdp/`, the layouts in `xdp-abi`.
//!
//! What these programs do not do is refused by name, so that nobody believes in a service that is not there. Errors
//! that IPVS knows have IPVS's numbers.

mod connections;
mod numbers;
mod object;
mod placement;
mod rates;
mod record;
mod restore;
mod slots;
mod sync;
mod walk;

pub use aya::programs::XdpMode;
pub use aya::programs::{TestRun, TestRunOptions, Xdp as Program};
pub use placement::placed;

use crate::dataplane::Dataplane;
use crate::kernel::Refusal;
use crate::table::{Change, Entry, Table};
use connections::Listing;
use netlink::ipvs::{Destination, Forward, Key, Service, Statistics, Timeouts};
use numbers::{Numbers, Range, Ranges};
use object::Object;
use rates::Rates;
use rustix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use walk::{Rules, Walk};
use xdp_abi::state::{self, ESTABLISHED, FIN_WAIT, UDP};
use xdp_abi::{NO_REAL, Real, SERVICES_MAX, Settings, TICK_SHIFT, counter, maps, ticks};

const NO_SUCH_ENTRY: i32 = 2;
const NO_SUCH_SERVICE: i32 = 3;
const EXISTS: i32 = 17;
const INVALID: i32 = 22;

/// How the plane is loaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// What each flow table holds; a translated flow takes two places.
    pub flows_max: u32,
    /// Clients that persistent services remember.
    pub templates_max: u32,
    /// Where maps and links are pinned, a folder of a bpffs: what is there is taken over.
    pub pins: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { flows_max: xdp_abi::FLOWS_MAX, templates_max: xdp_abi::TEMPLATES_MAX, pins: None }
    }
}

type Place = (Key, IpAddr, u16);

/// A real server's number.
#[derive(Debug, Clone, Copy)]
struct Known {
    number: u32,
    /// Of coming; later ones come first.
    order: u32,
    /// As it was written last; its `forward` is [`xdp_abi::forward::NONE`] once it has left.
    record: Real,
}

/// Where a service is.
#[derive(Debug, Clone)]
struct Published {
    number: u32,
    record: u32,
    range: Range,
    /// Counted for real servers that have left.
    past: [u64; 5],
}

/// The programs, their maps, and what is in these.
pub struct Xdp {
    object: Object,
    table: Table,
    services: BTreeMap<Key, Published>,
    /// By service: two services may forward to one real server in two ways. Those that left stay while flows know them.
    reals: BTreeMap<Place, Known>,
    real_numbers: Numbers,
    service_numbers: Numbers,
    records: Ranges,
    ranges: Ranges,
    next_order: u32,
    timeouts: Timeouts,
    rates: BTreeMap<u32, Rates>,
    next_rates: Instant,
    walk: Walk,
    /// Services that are written at the end of several changes.
    waiting: Option<BTreeSet<Key>>,
    /// Those that tell another director of flows, and hear of its.
    daemons: Vec<sync::Running>,
}

fn unsupported(what: &'static str) -> Refusal {
    Refusal::Unsupported(what)
}

/// The time of the programs.
fn now_in_ticks() -> u32 {
    let time = clock_gettime(ClockId::Monotonic);
    let nanoseconds = time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned();
    (nanoseconds >> TICK_SHIFT) as u32
}

impl Xdp {
    /// Loads programs and maps, or takes over those that are pinned.
    ///
    /// # Errors
    /// The kernel refuses the programs, or we may not load any (CAP_BPF, CAP_NET_ADMIN).
    pub fn load(options: &Options) -> Result<Self, Refusal> {
        let object = Object::load(options.flows_max, options.templates_max, options.pins.as_deref())?;
        restore::plane(object)
    }

    /// Takes the packets of an interface, until the plane is dropped, or for good where it is pinned.
    ///
    /// # Errors
    /// The interface is not there, has a program already, or its driver does not do this mode.
    pub fn attach(&mut self, interface: &str, mode: XdpMode) -> Result<(), Refusal> {
        self.object.attach(interface, mode)
    }

    /// Removes what is pinned: all ends when the plane is dropped.
    ///
    /// # Errors
    /// The pins cannot be removed.
    pub fn remove(&mut self) -> Result<(), Refusal> {
        self.object.unpin()
    }

    /// The program, for runs without traffic.
    ///
    /// # Errors
    /// The object has no such program.
    pub fn program(&mut self) -> Result<&mut Program, Refusal> {
        self.object.program()
    }

    /// What the programs counted, by name.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn counters(&self) -> Result<Vec<(&'static str, u64)>, Refusal> {
        let map = self.object.maps.get(maps::COUNTERS);
        let mut all = Vec::new();
        for (at, name) in (0..counter::COUNT).zip(counter::NAMES) {
            let values = map.get(&at.to_ne_bytes())?.unwrap_or_default();
            all.push((name, values.chunks_exact(8).map(word).sum()));
        }
        Ok(all)
    }

    /// Goes on with what must be done all the time, some milliseconds at most: silent flows are forgotten, rates
    /// estimated. To be called several times a second.
    ///
    /// # Errors
    /// A map cannot be read or written.
    pub fn tick(&mut self, now: Instant) -> Result<(), Refusal> {
        if now >= self.next_rates {
            self.next_rates = now + Duration::from_secs(rates::INTERVAL_SECONDS);
            let numbers: Vec<u32> = self.alive().map(|(_, known)| known.number).collect();
            for number in numbers {
                let counted = self.counted(number)?;
                self.rates.entry(number).or_default().look(counted);
            }
        }
        self.synchronise()?;
        let rules = self.rules();
        if let Some(round) = self.walk.go_on(&self.object.maps, &rules, now_in_ticks())? {
            let gone: Vec<(Place, u32)> = self
                .reals
                .iter()
                .filter(|(_, known)| !known.is_alive() && !round.numbers.contains(&known.number))
                .map(|(place, known)| (*place, known.number))
                .collect();
            for (place, number) in gone {
                self.reals.remove(&place);
                self.rates.remove(&number);
                self.clear(number)?;
                self.real_numbers.give_back(number);
            }
        }
        Ok(())
    }

    /// A whole round over the flows, for tests and tools that cannot wait.
    ///
    /// # Errors
    /// As [`Xdp::tick`].
    pub fn walk(&mut self) -> Result<(), Refusal> {
        let rules = self.rules();
        while self.walk.go_on(&self.object.maps, &rules, now_in_ticks())?.is_none() {}
        Ok(())
    }

    /// Real servers whose link address the kernel should know: those that packets are sent to as they are, or in tunnels.
    pub fn next_hops(&self) -> BTreeSet<IpAddr> {
        let servers = self.table.0.values().flat_map(|entry| entry.servers.values());
        servers.filter(|server| server.forward != Forward::Masquerade).map(|server| server.address).collect()
    }

    /// Every real server of every service.
    pub fn servers(&self) -> impl Iterator<Item = &Destination> + Clone {
        self.table.0.values().flat_map(|entry| entry.servers.values())
    }

    /// Every connection and every client of a persistent service, as lines of `/proc/net/ip_vs_conn`: a list that
    /// [`Xdp::next_connections`] tells.
    pub fn connections(&self) -> Listing {
        Listing::new(self.rules(), self.targets(), now_in_ticks())
    }

    /// Some more of them, possibly none; `None` at the end.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn next_connections(&self, listing: &mut Listing) -> Result<Option<Vec<String>>, Refusal> {
        Ok(listing.next(&self.object.maps)?)
    }

    /// Real servers by their numbers, those that have left included.
    fn targets(&self) -> BTreeMap<u32, connections::Target> {
        let target =
            |(key, address, port): &Place| connections::Target { key: *key, address: *address, port: *port };
        self.reals.iter().map(|(place, known)| (known.number, target(place))).collect()
    }

    /// What each flow table holds.
    pub fn flows_max(&self) -> u32 {
        self.object.maps.get(maps::FLOWS_4).entries_max()
    }

    /// Seconds until silent flows are forgotten.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Sets those that are not 0.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), Refusal> {
        let set = |old: &mut u32, new: u32| {
            if new > 0 {
                *old = new;
            }
        };
        set(&mut self.timeouts.tcp, timeouts.tcp);
        set(&mut self.timeouts.tcp_fin, timeouts.tcp_fin);
        set(&mut self.timeouts.udp, timeouts.udp);
        self.write_settings()
    }

    /// Sets the counters of a service, or of all, back to zero.
    ///
    /// # Errors
    /// There is no such service.
    pub fn zero(&mut self, key: Option<&Key>) -> Result<(), Refusal> {
        if let Some(key) = key
            && !self.table.0.contains_key(key)
        {
            return Err(Refusal::Kernel(NO_SUCH_SERVICE));
        }
        let of_it = |place: &Place| key.is_none_or(|key| place.0 == *key);
        let numbers: Vec<u32> =
            self.alive().filter(|(place, _)| of_it(place)).map(|(_, known)| known.number).collect();
        let map = self.object.maps.get(maps::STATISTICS);
        for number in numbers {
            map.set(&number.to_ne_bytes(), &vec![0; map.value_length()])?;
            self.rates.remove(&number);
        }
        for (service, published) in &mut self.services {
            if key.is_none_or(|key| service == key) {
                published.past = [0; 5];
            }
        }
        Ok(())
    }

    fn alive(&self) -> impl Iterator<Item = (&Place, &Known)> {
        self.reals.iter().filter(|(_, known)| known.is_alive())
    }

    fn rules(&self) -> Rules {
        let mut timeouts = state::SECONDS;
        timeouts[usize::from(ESTABLISHED)] = self.timeouts.tcp;
        timeouts[usize::from(FIN_WAIT)] = self.timeouts.tcp_fin;
        timeouts[usize::from(UDP)] = self.timeouts.udp;
        let mut rules = Rules { timeouts: timeouts.map(ticks), reals: BTreeMap::new() };
        for ((key, ..), known) in &self.reals {
            let service = self.table.0.get(key).and_then(|entry| record::service(&entry.service, 0).ok());
            let (persistence, netmask) =
                service.map_or((0, [0; 4]), |service| (service.persistence, service.netmask));
            rules.reals.insert(known.number, (known.record, persistence, netmask));
        }
        rules
    }

    /// Connections, packets and bytes of a real server.
    fn counted(&self, number: u32) -> Result<[u64; 5], Refusal> {
        let values = self.object.maps.get(maps::STATISTICS).get(&number.to_ne_bytes())?.unwrap_or_default();
        let mut sums = [0_u64; 5];
        for (at, one) in values.chunks_exact(8).enumerate() {
            sums[at % 5] += word(one);
        }
        Ok(sums)
    }

    fn write_settings(&self) -> Result<(), Refusal> {
        let every_port = |key: &Key| matches!(key, Key::Address { port: 0, .. });
        let settings = Settings {
            has_every_port: u32::from(self.table.0.keys().any(every_port)),
            layout: xdp_abi::LAYOUT,
            timeout_tcp: self.timeouts.tcp,
            timeout_tcp_fin: self.timeouts.tcp_fin,
            timeout_udp: self.timeouts.udp,
        };
        Ok(self.object.maps.get(maps::SETTINGS).set(&0_u32.to_ne_bytes(), &settings.bytes())?)
    }

    /// Everything that is counted for a number begins anew.
    fn clear(&self, number: u32) -> Result<(), Refusal> {
        for name in [maps::LOADS, maps::SETTLED, maps::MEMBERS, maps::STATISTICS] {
            let map = self.object.maps.get(name);
            map.set(&number.to_ne_bytes(), &vec![0; map.value_length()])?;
        }
        Ok(())
    }

    /// The number of a real server, with what the programs shall know of it.
    fn real(&mut self, key: &Key, service: u32, server: &Destination) -> Result<Known, Refusal> {
        let place = (*key, server.address, server.port);
        let is_tunnel = matches!(server.forward, Forward::Tunnel(_));
        let known = self.reals.get(&place).copied();
        let order = match known {
            Some(known) if known.is_alive() => known.order,
            _ => {
                self.next_order += 1;
                self.next_order
            }
        };
        let source = if is_tunnel { Some(source_towards(server.address)?) } else { None };
        let record = record::real(key, server, source, service, order)?;
        let number = match known {
            Some(known) if known.record == record => return Ok(known),
            Some(known) => known.number,
            None => {
                let number = self.real_numbers.take().ok_or_else(|| unsupported("more real servers"))?;
                self.clear(number)?;
                number
            }
        };
        self.object.maps.get(maps::REALS).set(&number.to_ne_bytes(), &record.bytes())?;
        let known = Known { number, order, record };
        self.reals.insert(place, known);
        Ok(known)
    }

    /// Writes a service anew: slots and record beside those in use, then the word that leads to them.
    fn publish(&mut self, key: &Key) -> Result<(), Refusal> {
        let Some(Entry { service, servers }) = self.table.0.get(key).cloned() else { return Ok(()) };
        let there = self.services.get(key).cloned();
        let number = match &there {
            Some(there) => there.number,
            None => self.service_numbers.take().ok_or_else(|| unsupported("more services"))?,
        };
        let result = self.write(key, &service, &servers, number, there.clone());
        if result.is_err() && there.is_none() {
            self.service_numbers.give_back(number);
        }
        result
    }

    fn write(
        &mut self,
        key: &Key,
        service: &Service,
        servers: &BTreeMap<(IpAddr, u16), Destination>,
        number: u32,
        there: Option<Published>,
    ) -> Result<(), Refusal> {
        let now = Instant::now();
        let mut known = Vec::new();
        for server in servers.values() {
            let real = self.real(key, number, server)?;
            known.push((real, server.clone()));
        }
        known.sort_by_key(|(real, _)| std::cmp::Reverse(real.order));
        let known: Vec<(u32, Destination)> =
            known.into_iter().map(|(real, server)| (real.number, server)).collect();
        let mut record = record::service(service, number)?;
        let slots = record::slots_of(record.choice, &service.scheduler, &known);
        let length = u32::try_from(slots.len()).map_err(|_| unsupported("more slots"))?;
        let range = self.ranges.take(now, length).ok_or_else(|| unsupported("more slots"))?;
        let Some(place) = self.records.take(now, 1) else {
            self.ranges.give_back(now, range);
            return Err(unsupported("more services"));
        };
        (record.first_slot, record.slots) = (range.first, range.length);
        let keys: Vec<u8> = (range.first..range.first + length).flat_map(u32::to_ne_bytes).collect();
        let values: Vec<u8> = slots.iter().flat_map(|slot| slot.to_ne_bytes()).collect();
        let maps = &self.object.maps;
        maps.get(maps::SLOTS).set_all(&keys, &values)?;
        maps.get(maps::RECORDS).set(&place.first.to_ne_bytes(), &record.bytes())?;
        if there.is_none() {
            maps.get(maps::LOCALITIES).set(&number.to_ne_bytes(), &NO_REAL.to_ne_bytes())?;
        }
        maps.get(maps::SERVICES).set(&record::service_key(key)?.bytes(), &place.first.to_ne_bytes())?;
        let past = there.as_ref().map_or([0; 5], |there| there.past);
        if let Some(old) = there {
            self.ranges.give_back(now, old.range);
            self.records.give_back(now, Range { first: old.record, length: 1 });
        }
        self.services.insert(*key, Published { number, record: place.first, range, past });
        Ok(())
    }

    /// Takes a real server out of use: its flows find another. Its number stays with it while they know it.
    fn forget(&mut self, key: &Key, server: &Destination) -> Result<(), Refusal> {
        let Some(known) = self.reals.get_mut(&(*key, server.address, server.port)) else { return Ok(()) };
        known.record.forward = xdp_abi::forward::NONE;
        let (number, record) = (known.number, known.record);
        self.object.maps.get(maps::REALS).set(&number.to_ne_bytes(), &record.bytes())?;
        let counted = self.counted(number)?;
        if let Some(published) = self.services.get_mut(key) {
            for (sum, one) in published.past.iter_mut().zip(counted) {
                *sum += one;
            }
        }
        let map = self.object.maps.get(maps::STATISTICS);
        map.set(&number.to_ne_bytes(), &vec![0; map.value_length()])?;
        self.rates.remove(&number);
        Ok(())
    }

    /// Changes the table, then the maps; the table goes back where the maps refuse.
    fn change(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut Entry) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let entry = self.table.0.get_mut(key).ok_or(Refusal::Kernel(NO_SUCH_SERVICE))?;
        let before = entry.clone();
        if let Err(refusal) = change(entry) {
            *entry = before;
            return Err(refusal);
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.insert(*key);
            return Ok(());
        }
        let result = self.publish(key);
        if result.is_err() {
            self.table.0.insert(*key, before);
        }
        result
    }

    fn delete_service(&mut self, key: &Key) -> Result<(), Refusal> {
        let entry = self.table.0.remove(key).ok_or(Refusal::Kernel(NO_SUCH_SERVICE))?;
        if let Some(waiting) = &mut self.waiting {
            waiting.remove(key);
        }
        self.object.maps.get(maps::SERVICES).remove(&record::service_key(key)?.bytes())?;
        for server in entry.servers.values() {
            self.forget(key, server)?;
        }
        if let Some(published) = self.services.remove(key) {
            let now = Instant::now();
            self.service_numbers.give_back(published.number);
            self.ranges.give_back(now, published.range);
            self.records.give_back(now, Range { first: published.record, length: 1 });
        }
        self.write_settings()
    }
}

impl Known {
    fn is_alive(&self) -> bool {
        self.record.forward != xdp_abi::forward::NONE
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}

fn statistics_of(counted: [u64; 5]) -> Statistics {
    let [connections, packets_in, packets_out, bytes_in, bytes_out] = counted;
    Statistics { connections, packets_in, packets_out, bytes_in, bytes_out, ..Statistics::default() }
}

/// Our address that the kernel would use to get there: the outer source of a tunnel.
fn source_towards(address: IpAddr) -> Result<IpAddr, Refusal> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A datagram socket that is connected looks its way up, and sends nothing.
    const DISCARD: u16 = 9;
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(SocketAddr::new(address, DISCARD))?;
    Ok(socket.local_addr()?.ip())
}

impl Dataplane for Xdp {
    fn read(&mut self) -> Result<Table, Refusal> {
        let mut table = self.table.clone();
        for (key, entry) in &mut table.0 {
            let Some(published) = self.services.get(key) else { continue };
            let mut sums = published.past;
            let mut rates = Statistics::default();
            for server in entry.servers.values_mut() {
                let Some(known) = self.reals.get(&(*key, server.address, server.port)) else { continue };
                let counted = self.counted(known.number)?;
                sums.iter_mut().zip(counted).for_each(|(sum, one)| *sum += one);
                server.statistics = statistics_of(counted);
                if let Some(estimated) = self.rates.get(&known.number) {
                    estimated.fill(&mut server.statistics);
                    estimated.fill(&mut rates);
                }
                (server.active, server.inactive) = walk::connections(&self.object.maps, known.number)?;
                server.persistent = self.walk.persistent(known.number);
            }
            let Statistics { connections, packets_in, packets_out, bytes_in, bytes_out, .. } =
                statistics_of(sums);
            entry.service.statistics =
                Statistics { connections, packets_in, packets_out, bytes_in, bytes_out, ..rates };
        }
        Ok(table)
    }

    fn apply(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::AddService(service) => {
                if self.table.0.contains_key(&service.key) {
                    return Err(Refusal::Kernel(EXISTS));
                }
                if self.table.0.len() >= usize::try_from(SERVICES_MAX).expect("32 bits") {
                    return Err(unsupported("more services"));
                }
                record::service(service, 0)?;
                self.table.insert(service.clone(), []);
                let result = self.change(&service.key, |_| Ok(()));
                if result.is_err() {
                    self.table.0.remove(&service.key);
                }
                result?;
                self.write_settings()
            }
            Change::EditService(service) => self.change(&service.key, |entry| {
                record::service(service, 0)?;
                entry.service = service.clone();
                Ok(())
            }),
            Change::DeleteService(key) => self.delete_service(key),
            Change::AddServer(key, server) => self.change(key, |entry| {
                record::real(key, server, None, 0, 0)?;
                // Packets that are not translated keep their port.
                let is_translated = server.forward == Forward::Masquerade;
                if !is_translated && !matches!(key, Key::Address { port, .. } if *port == server.port) {
                    return Err(Refusal::Kernel(INVALID));
                }
                let place = (server.address, server.port);
                if entry.servers.contains_key(&place) {
                    return Err(Refusal::Kernel(EXISTS));
                }
                entry.servers.insert(place, server.clone());
                Ok(())
            }),
            Change::EditServer(key, server) => self.change(key, |entry| {
                record::real(key, server, None, 0, 0)?;
                let there = entry.servers.get_mut(&(server.address, server.port));
                *there.ok_or(Refusal::Kernel(NO_SUCH_ENTRY))? = server.clone();
                Ok(())
            }),
            Change::DeleteServer(key, server) => {
                // The slots first: a new flow must not find a server that is gone.
                self.change(key, |entry| {
                    let gone = entry.servers.remove(&(server.address, server.port));
                    gone.map(drop).ok_or(Refusal::Kernel(NO_SUCH_ENTRY))
                })?;
                if self.waiting.is_some() {
                    self.publish(key)?;
                }
                self.forget(key, server)
            }
        }
    }

    fn apply_all(&mut self, changes: &[Change]) -> Vec<(usize, Refusal)> {
        self.waiting = Some(BTreeSet::new());
        let mut refused = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            if let Err(refusal) = self.apply(change) {
                refused.push((at, refusal));
            }
        }
        for key in self.waiting.take().unwrap_or_default() {
            let Err(refusal) = self.publish(&key) else { continue };
            if let Some(at) = changes.iter().rposition(|change| *change.key() == key) {
                refused.push((at, refusal));
            }
        }
        refused
    }
}
