//! The plane of our own XDP programs, for kernels without IPVS: IPv4, TCP and UDP, by translation, direct routing or
//! IP-in-IP. Owns their maps; the programs are in `xdp/`, the layouts in `xdp-abi`.
//!
//! What these programs do not do is refused by name, so that nobody believes in a service that is not there.

mod slots;

use crate::dataplane::Dataplane;
use crate::kernel::Refusal;
use crate::table::{Change, Entry, Table};
use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use aya::programs::{Xdp as Program, XdpMode};
use netlink::ipvs::{Destination, Flags, Forward, Key, Service, TCP, Tunnel, UDP};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use xdp_abi::{
    NO_REAL, PROGRAM, REALS_MAX, Real, SERVICES_MAX, SLOTS_MAX, ServiceKey, choice, counter, forward, maps,
};

/// Built by `cargo xtask xdp`, and checked in.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../xdp/director.bpf.o");

/// Where a service's slots are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    length: u32,
}

/// The programs and their maps.
pub struct Xdp {
    ebpf: Ebpf,
    /// The director's address, the outer source of tunnels.
    source: Ipv4Addr,
    table: Table,
    services: BTreeMap<Key, (u32, Range)>,
    /// By service: two services may forward to one real server in two ways.
    reals: BTreeMap<(Key, Ipv4Addr, u16), u32>,
    real_numbers: Numbers,
    service_numbers: Numbers,
    ranges: Vec<Range>,
}

/// Numbers that are given out and come back.
#[derive(Debug)]
struct Numbers {
    next: u32,
    max: u32,
    returned: Vec<u32>,
}

impl Numbers {
    fn new(max: u32) -> Self {
        Self { next: 0, max, returned: Vec::new() }
    }

    fn take(&mut self) -> Option<u32> {
        if self.next < self.max {
            self.next += 1;
            return Some(self.next - 1);
        }
        // Only when no other is left: flows may still know the number of a real server that has gone.
        if self.returned.is_empty() { None } else { Some(self.returned.remove(0)) }
    }

    fn give_back(&mut self, number: u32) {
        self.returned.push(number);
    }
}

fn unsupported(what: &'static str) -> Refusal {
    Refusal::Unsupported(what)
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Socket(std::io::Error::other(error.to_string()))
}

impl Xdp {
    /// Loads programs and maps. `flows_max` bounds each of the two flow tables; `source` is the outer source of tunnels.
    ///
    /// # Errors
    /// The kernel refuses the programs, or we may not load any (CAP_BPF, CAP_NET_ADMIN).
    pub fn load(source: Ipv4Addr, flows_max: u32) -> Result<Self, Refusal> {
        let mut loader = aya::EbpfLoader::new();
        loader.map_max_entries(maps::FLOWS, flows_max).map_max_entries(maps::REPLIES, flows_max);
        let mut ebpf = loader.load(OBJECT).map_err(failed)?;
        program(&mut ebpf)?.load().map_err(failed)?;
        Ok(Self {
            ebpf,
            source,
            table: Table::default(),
            services: BTreeMap::new(),
            reals: BTreeMap::new(),
            real_numbers: Numbers::new(REALS_MAX),
            service_numbers: Numbers::new(SERVICES_MAX),
            ranges: Vec::new(),
        })
    }

    /// Takes the packets of an interface, until the plane is dropped. In the kernel's generic mode, which every
    /// interface has.
    ///
    /// # Errors
    /// The interface is not there, or has a program already.
    pub fn attach(&mut self, interface: &str) -> Result<(), Refusal> {
        program(&mut self.ebpf)?.attach(interface, XdpMode::Skb).map(drop).map_err(failed)
    }

    /// The program, for runs without traffic.
    ///
    /// # Errors
    /// The object has no such program.
    pub fn program(&mut self) -> Result<&mut Program, Refusal> {
        program(&mut self.ebpf)
    }

    /// What the programs counted, by name.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn counters(&self) -> Result<Vec<(&'static str, u64)>, Refusal> {
        let map = self.ebpf.map(maps::COUNTERS).ok_or_else(|| unsupported("counters"))?;
        let counters: PerCpuArray<&MapData, u64> = PerCpuArray::try_from(map).map_err(failed)?;
        let mut all = Vec::new();
        for (at, name) in (0..counter::COUNT).zip(counter::NAMES) {
            let each = counters.get(&at, 0).map_err(failed)?;
            all.push((name, each.iter().sum()));
        }
        Ok(all)
    }

    fn map(&mut self, name: &str) -> Result<&mut Map, Refusal> {
        self.ebpf.map_mut(name).ok_or_else(|| unsupported("this object"))
    }

    fn write_service(&mut self, key: &Key, service: Option<[u8; 16]>) -> Result<(), Refusal> {
        let key = service_key(key)?.bytes();
        let mut map: HashMap<_, [u8; 8], [u8; 16]> =
            HashMap::try_from(self.map(maps::SERVICES)?).map_err(failed)?;
        match service {
            Some(value) => map.insert(key, value, 0).map_err(failed),
            None => map.remove(&key).map_err(failed),
        }
    }

    fn write_real(&mut self, number: u32, real: &Real) -> Result<(), Refusal> {
        let mut map: Array<_, [u8; 12]> = Array::try_from(self.map(maps::REALS)?).map_err(failed)?;
        map.set(number, real.bytes(), 0).map_err(failed)
    }

    /// The number of a real server, with what the programs shall know of it.
    fn real(&mut self, key: &Key, server: &Destination) -> Result<u32, Refusal> {
        let IpAddr::V4(address) = server.address else { return Err(unsupported("IPv6")) };
        let place = (*key, address, server.port);
        let number = match self.reals.get(&place) {
            Some(number) => *number,
            None => {
                let number = self.real_numbers.take().ok_or_else(|| unsupported("more real servers"))?;
                self.reals.insert(place, number);
                number
            }
        };
        let real = Real {
            address: address.octets(),
            source: self.source.octets(),
            port: server.port.to_be_bytes(),
            forward: forward_of(server.forward)?,
            nothing: 0,
        };
        self.write_real(number, &real)?;
        Ok(number)
    }

    /// Writes a service anew: its slots beside those in use, then the service that points to them.
    fn publish(&mut self, key: &Key) -> Result<(), Refusal> {
        let Some(Entry { service, servers }) = self.table.0.get(key).cloned() else { return Ok(()) };
        let mut numbers = Vec::new();
        let (mut weights, mut names) = (Vec::new(), Vec::new());
        for server in servers.values() {
            numbers.push(self.real(key, server)?);
            weights.push(server.weight);
            names.push(name_of(server));
        }
        let (how, slots) = slots_of(&service, &names, &weights)?;
        let range = self.reserve(slots.len())?;
        {
            let mut map: Array<_, u32> = Array::try_from(self.map(maps::SLOTS)?).map_err(failed)?;
            for (slot, server) in (range.first..).zip(&slots) {
                let number = numbers.get(*server).copied().unwrap_or(NO_REAL);
                map.set(slot, number, 0).map_err(failed)?;
            }
        }
        let number = match self.services.get(key) {
            Some((number, _)) => *number,
            None => self.service_numbers.take().ok_or_else(|| unsupported("more services"))?,
        };
        let value = xdp_abi::Service { number, first_slot: range.first, slots: range.length, choice: how };
        self.write_service(key, Some(value.bytes()))?;
        if let Some((_, old)) = self.services.insert(*key, (number, range)) {
            self.ranges.retain(|range| *range != old);
        }
        Ok(())
    }

    /// The first gap that is long enough.
    fn reserve(&mut self, length: usize) -> Result<Range, Refusal> {
        let length = u32::try_from(length).map_err(|_| unsupported("more slots"))?;
        let mut first = 0;
        self.ranges.sort_unstable_by_key(|range| range.first);
        for range in &self.ranges {
            if range.first - first >= length {
                break;
            }
            first = range.first + range.length;
        }
        if SLOTS_MAX - first < length {
            return Err(unsupported("more slots"));
        }
        let range = Range { first, length };
        if length > 0 {
            self.ranges.push(range);
        }
        Ok(range)
    }

    /// Takes a real server out of use: its flows find another.
    fn forget(&mut self, key: &Key, server: &Destination) -> Result<(), Refusal> {
        let IpAddr::V4(address) = server.address else { return Ok(()) };
        if let Some(number) = self.reals.remove(&(*key, address, server.port)) {
            let none =
                Real { address: [0; 4], source: [0; 4], port: [0; 2], forward: forward::NONE, nothing: 0 };
            self.write_real(number, &none)?;
            self.real_numbers.give_back(number);
        }
        Ok(())
    }

    /// Changes the table, then the maps; the table goes back where the maps refuse.
    fn change(&mut self, key: &Key, change: impl FnOnce(&mut Entry)) -> Result<(), Refusal> {
        const NO_SUCH_SERVICE: i32 = 3;
        let entry = self.table.0.get_mut(key).ok_or(Refusal::Kernel(NO_SUCH_SERVICE))?;
        let before = entry.clone();
        change(entry);
        let result = self.publish(key);
        if result.is_err() {
            self.table.0.insert(*key, before);
        }
        result
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut Program, Refusal> {
    let program = ebpf.program_mut(PROGRAM).ok_or_else(|| unsupported("this object"))?;
    program.try_into().map_err(failed)
}

fn service_key(key: &Key) -> Result<ServiceKey, Refusal> {
    match *key {
        Key::Address { protocol, address: IpAddr::V4(address), port } => {
            if port == 0 {
                return Err(unsupported("a service of every port"));
            }
            let protocol = match protocol {
                TCP => 6,
                UDP => 17,
                _ => return Err(unsupported("SCTP")),
            };
            Ok(ServiceKey { address: address.octets(), port: port.to_be_bytes(), protocol, nothing: 0 })
        }
        Key::Address { address: IpAddr::V6(_), .. } => Err(unsupported("IPv6")),
        Key::Mark { .. } => Err(unsupported("a service by firewall mark")),
    }
}

fn forward_of(method: Forward) -> Result<u8, Refusal> {
    match method {
        Forward::Masquerade => Ok(forward::NAT),
        Forward::Route => Ok(forward::ROUTE),
        Forward::Tunnel(Tunnel::IpInIp) => Ok(forward::IP_IN_IP),
        Forward::Tunnel(Tunnel::Gue { .. }) => Err(unsupported("a GUE tunnel")),
        Forward::Tunnel(Tunnel::Gre { .. }) => Err(unsupported("a GRE tunnel")),
        Forward::Local | Forward::Bypass => Err(unsupported("a real server on the director")),
    }
}

/// What a real server's place among the slots is computed from.
fn name_of(server: &Destination) -> u64 {
    match server.address {
        IpAddr::V4(address) => u64::from(address.to_bits()) << 16 | u64::from(server.port),
        IpAddr::V6(address) => address.to_bits() as u64 ^ u64::from(server.port),
    }
}

fn slots_of(service: &Service, names: &[u64], weights: &[u32]) -> Result<(u32, Vec<usize>), Refusal> {
    if service.flags.has(Flags::PERSISTENT) {
        return Err(unsupported("persistence"));
    }
    if service.flags.has(Flags::ONE_PACKET) {
        return Err(unsupported("one-packet scheduling"));
    }
    let has_port = service.flags.has(Flags::SCHEDULER[1]);
    let by_source = if has_port { choice::SOURCE_PORT } else { choice::SOURCE };
    match service.scheduler.as_str() {
        "rr" => {
            let equal: Vec<u32> = weights.iter().map(|weight| u32::from(*weight > 0)).collect();
            Ok((choice::TURNS, slots::turns(&equal)))
        }
        "wrr" => Ok((choice::TURNS, slots::turns(weights))),
        "sh" | "mh" => Ok((by_source, slots::maglev(names, weights))),
        "dh" => Ok((choice::DESTINATION, slots::maglev(names, weights))),
        _ => Err(unsupported("this scheduler")),
    }
}

impl Dataplane for Xdp {
    fn read(&mut self) -> Result<Table, Refusal> {
        Ok(self.table.clone())
    }

    fn apply(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::AddService(service) => {
                service_key(&service.key)?;
                slots_of(service, &[], &[])?;
                self.table.insert(service.clone(), []);
                self.publish(&service.key)
            }
            Change::EditService(service) => {
                self.change(&service.key, |entry| entry.service = service.clone())
            }
            Change::DeleteService(key) => {
                if let Some(entry) = self.table.0.remove(key) {
                    self.write_service(key, None)?;
                    if let Some((number, range)) = self.services.remove(key) {
                        self.service_numbers.give_back(number);
                        self.ranges.retain(|other| *other != range);
                    }
                    for server in entry.servers.values() {
                        self.forget(key, server)?;
                    }
                }
                Ok(())
            }
            Change::AddServer(key, server) | Change::EditServer(key, server) => {
                forward_of(server.forward)?;
                self.change(key, |entry| {
                    entry.servers.insert((server.address, server.port), server.clone());
                })
            }
            Change::DeleteServer(key, server) => {
                // The slots first: a new flow must not find a server that is gone.
                self.change(key, |entry| {
                    entry.servers.remove(&(server.address, server.port));
                })?;
                self.forget(key, server)
            }
        }
    }
}
