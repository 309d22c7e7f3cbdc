//! Flows told to the other director, and taken from it, in the datagrams of the kernel's synchronisation daemons: two
//! directors of ours, or one of ours and one of the kernel's. Owns the sockets, when what is told, and what becomes of what
//! is heard.
//!
//! What had a packet since the last pass over the flows is told in this one; the others now and then, so that a datagram
//! that was lost is made good. Nothing is remembered between passes.

use super::connections::{Target, address};
use super::object::Maps;
use super::walk::{Rules, add};
use super::{Xdp, now_in_ticks, record};
use crate::kernel::Refusal;
use netlink::ipvs::sync::{self, Connection, GROUP, LENGTH_MAX, PORT, flag};
use netlink::ipvs::{Daemon, Key, Role};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use sys::bpf::Cursor;
use xdp_abi::{
    Address, Flow, FlowKey, TICK_SHIFT, Template, TemplateKey, direction, elapsed, forward, maps, state,
    ticks,
};

/// Entries of one look.
const LOOK: u32 = 4096;
/// Entries that are looked at between two turns of the loop.
const ENTRIES_MAX: u32 = 65_536;
/// Datagrams between two turns, each way: some ten thousand flows.
const DATAGRAMS_MAX: usize = 512;
/// One of so many flows is told in a pass though nothing came by.
const REST: u32 = 64;
/// Ticks that the programs' coarse clock may be behind ours.
const LAG: u32 = 2;
/// What the kernel keeps for us between two turns.
const BUFFER_LENGTH: usize = 4 << 20;
const DATAGRAM_LENGTH_MAX: usize = 65_536;
const HOPS: u8 = 1;
const TCP: u8 = 6;
const NO_SUCH_PROCESS: i32 = 3;
const EXISTS: i32 = 17;
const NO_SUCH_DEVICE: i32 = 19;

/// The kernel's numbers of our states.
const STATES: [u16; state::COUNT] = [
    0,
    sync::state::SYN_RECEIVED,
    sync::state::ESTABLISHED,
    sync::state::FIN_WAIT,
    sync::state::CLOSE_WAIT,
    sync::state::TIME_WAIT,
    sync::state::CLOSE,
    sync::state::NONE,
];

fn state_of(protocol: u8, number: u16) -> u8 {
    if protocol != TCP {
        return state::UDP;
    }
    match number {
        sync::state::ESTABLISHED => state::ESTABLISHED,
        sync::state::SYN_SENT | sync::state::SYN_RECEIVED => state::SYN_RECEIVED,
        sync::state::FIN_WAIT => state::FIN_WAIT,
        sync::state::TIME_WAIT => state::TIME_WAIT,
        sync::state::CLOSE => state::CLOSE,
        sync::state::CLOSE_WAIT | sync::state::LAST_ACK => state::CLOSE_WAIT,
        _ => state::NONE,
    }
}

/// Which table a pass is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Flows4,
    Flows6,
    Templates,
}

/// A daemon at work.
pub(super) struct Running {
    daemon: Daemon,
    socket: Socket,
    to: SockAddr,
    stage: Stage,
    cursor: Cursor,
    pass: u32,
    /// When this pass and the last one began.
    began: u32,
    began_last: u32,
}

impl Running {
    /// `daemon`: with all its settings.
    fn start(daemon: Daemon) -> io::Result<Self> {
        let group = daemon.group.unwrap_or(GROUP.into());
        let index = std::fs::read_to_string(format!("/sys/class/net/{}/ifindex", daemon.interface))
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok())
            .ok_or_else(|| io::Error::from_raw_os_error(NO_SUCH_DEVICE))?;
        let domain = if group.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        // Nothing goes by another interface, and nothing is heard there.
        socket.bind_device(Some(daemon.interface.as_bytes()))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        let any: IpAddr =
            if group.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let to = SocketAddr::new(group, daemon.port);
        match (daemon.role, group) {
            (Role::Master, _) => {
                socket.bind(&SockAddr::from(SocketAddr::new(any, 0)))?;
                match group {
                    IpAddr::V4(_) => {
                        socket.set_multicast_ttl_v4(daemon.hops.into())?;
                        socket.set_multicast_loop_v4(false)?;
                    }
                    IpAddr::V6(_) => {
                        socket.set_multicast_if_v6(index)?;
                        socket.set_multicast_hops_v6(daemon.hops.into())?;
                        socket.set_multicast_loop_v6(false)?;
                    }
                }
            }
            (Role::Backup, IpAddr::V4(group)) => {
                socket.bind(&SockAddr::from(to))?;
                socket.join_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(index))?;
            }
            (Role::Backup, IpAddr::V6(group)) => {
                socket.bind(&SockAddr::from(to))?;
                socket.join_multicast_v6(&group, index)?;
            }
        }
        // The kernel may give less: then some wait for the next pass.
        let _ = socket.set_recv_buffer_size(BUFFER_LENGTH);
        let _ = socket.set_send_buffer_size(BUFFER_LENGTH);
        let now = now_in_ticks();
        Ok(Self {
            daemon,
            socket,
            to: to.into(),
            stage: Stage::Flows4,
            cursor: Cursor::default(),
            pass: 0,
            began: now,
            began_last: now,
        })
    }

    fn id(&self) -> u8 {
        // As the kernel does: one byte of it goes over the wire.
        (self.daemon.sync_id & 0xff) as u8
    }

    /// Tells of the next flows.
    fn tell(&mut self, maps: &Maps, rules: &Rules, targets: &BTreeMap<u32, Target>) -> io::Result<()> {
        let now = now_in_ticks();
        let since = elapsed(now, self.began_last) + LAG;
        let told = Told { rules, targets, now, since, pass: self.pass };
        let mut connections = Vec::new();
        let mut left = ENTRIES_MAX;
        loop {
            let stage = self.stage;
            let name = match stage {
                Stage::Flows4 => maps::FLOWS_4,
                Stage::Flows6 => maps::FLOWS_6,
                Stage::Templates => maps::TEMPLATES,
            };
            let is_more = maps.get(name).walk(&mut self.cursor, LOOK, |key, value| {
                connections.extend(match stage {
                    Stage::Flows4 => told.flow::<u32>(key, value),
                    Stage::Flows6 => told.flow::<[u32; 4]>(key, value),
                    Stage::Templates => told.template(key, value),
                });
            })?;
            left = left.saturating_sub(LOOK);
            if !is_more {
                self.cursor = Cursor::default();
                self.stage = match self.stage {
                    Stage::Flows4 => Stage::Flows6,
                    Stage::Flows6 => Stage::Templates,
                    Stage::Templates => {
                        self.pass = self.pass.wrapping_add(1);
                        (self.began_last, self.began) = (self.began, now);
                        self.stage = Stage::Flows4;
                        break;
                    }
                };
            }
            if left == 0 {
                break;
            }
        }
        let datagrams = sync::write(self.id(), &connections, self.daemon.length_max);
        for datagram in datagrams.iter().take(DATAGRAMS_MAX) {
            // One that finds no room is made good by a later pass.
            let _ = self.socket.send_to(datagram, &self.to);
        }
        Ok(())
    }

    /// What has come since the last turn.
    fn hear(&mut self) -> Vec<Connection> {
        let mut heard = Vec::new();
        let mut datagram = vec![0; DATAGRAM_LENGTH_MAX];
        for _ in 0..DATAGRAMS_MAX {
            let Ok(length) = self.socket.read(&mut datagram) else { break };
            // What cannot be read is nobody's of ours.
            heard.extend(sync::read(self.id(), &datagram[..length]).unwrap_or_default());
        }
        heard
    }
}

/// What a pass tells of.
struct Told<'a> {
    rules: &'a Rules,
    targets: &'a BTreeMap<u32, Target>,
    now: u32,
    /// Ticks since the last pass began.
    since: u32,
    pass: u32,
}

impl Told<'_> {
    fn is_due(&self, seen: u32, key: &[u8]) -> bool {
        let sum = key.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        elapsed(self.now, seen) <= self.since || sum % REST == self.pass % REST
    }

    fn flow<A: Address>(&self, key: &[u8], value: &[u8]) -> Option<Connection> {
        let flow = Flow::<A>::read(value).filter(|flow| flow.direction == direction::REQUEST)?;
        if !self.is_due(flow.seen, key) {
            return None;
        }
        let key = FlowKey::<A>::read(key)?;
        let target = self.targets.get(&flow.real)?;
        let limit = self.rules.timeouts.get(usize::from(flow.state)).copied()?;
        let port = u16::from_be(key.destination_port);
        let inactive =
            if flow.state == state::ESTABLISHED || flow.state == state::UDP { 0 } else { flag::INACTIVE };
        Some(Connection {
            protocol: key.protocol as u8,
            flags: self.method(flow.real) | inactive,
            state: STATES.get(usize::from(flow.state)).copied()?,
            client: SocketAddr::new(address::<A>(key.source), u16::from_be(key.source_port)),
            service: SocketAddr::new(address::<A>(key.destination), port),
            server: SocketAddr::new(target.address, if target.port == 0 { port } else { target.port }),
            mark: 0,
            seconds: seconds(limit.saturating_sub(elapsed(self.now, flow.seen))),
        })
    }

    fn template(&self, key: &[u8], value: &[u8]) -> Option<Connection> {
        let (client, template) = (TemplateKey::read(key)?, Template::read(value)?);
        if !self.is_due(template.seen, key) {
            return None;
        }
        let target = self.targets.get(&template.real)?;
        let (_, persistence, _) = self.rules.reals.get(&template.real)?;
        let Key::Address { protocol, address: service, port } = target.key else { return None };
        let from = match service {
            IpAddr::V4(_) => address::<u32>(client.address[0]),
            IpAddr::V6(_) => address::<[u32; 4]>(client.address),
        };
        Some(Connection {
            protocol: u8::try_from(protocol).ok()?,
            flags: self.method(template.real) | flag::TEMPLATE,
            state: 0,
            client: SocketAddr::new(from, 0),
            service: SocketAddr::new(service, port),
            server: SocketAddr::new(target.address, target.port),
            mark: 0,
            seconds: seconds(ticks(*persistence).saturating_sub(elapsed(self.now, template.seen))),
        })
    }

    fn method(&self, real: u32) -> u32 {
        match self.rules.reals.get(&real).map(|(real, ..)| real.forward) {
            Some(forward::NAT) => flag::MASQUERADE,
            Some(forward::ROUTE) => flag::ROUTE,
            _ => flag::TUNNEL,
        }
    }
}

fn seconds(ticks: u32) -> u32 {
    u32::try_from((u64::from(ticks) << TICK_SHIFT) / 1_000_000_000).unwrap_or(u32::MAX)
}

impl Xdp {
    /// The daemons that run, with what they go by.
    pub fn daemons(&self) -> impl Iterator<Item = Daemon> {
        self.daemons.iter().map(|running| running.daemon.clone())
    }

    /// Begins to tell the other director of flows, or to hear of its.
    ///
    /// # Errors
    /// One of that role runs (`EEXIST`), there is no such interface (`ENODEV`), or the socket cannot be had.
    pub fn start_daemon(&mut self, daemon: Daemon) -> Result<(), Refusal> {
        if self.daemons.iter().any(|running| running.daemon.role == daemon.role) {
            return Err(Refusal::Kernel(EXISTS));
        }
        let or = |value: u16, default: u16| if value == 0 { default } else { value };
        let daemon = Daemon {
            length_max: or(daemon.length_max, LENGTH_MAX),
            group: Some(daemon.group.unwrap_or(GROUP.into())),
            port: or(daemon.port, PORT),
            hops: daemon.hops.max(HOPS),
            ..daemon
        };
        self.daemons.push(Running::start(daemon)?);
        Ok(())
    }

    /// # Errors
    /// None of that role runs (`ESRCH`).
    pub fn stop_daemon(&mut self, role: Role) -> Result<(), Refusal> {
        let before = self.daemons.len();
        self.daemons.retain(|running| running.daemon.role != role);
        if self.daemons.len() == before { Err(Refusal::Kernel(NO_SUCH_PROCESS)) } else { Ok(()) }
    }

    /// Tells and hears what is due.
    pub(super) fn synchronise(&mut self) -> Result<(), Refusal> {
        if self.daemons.is_empty() {
            return Ok(());
        }
        let (rules, targets) = (self.rules(), self.targets());
        let mut heard = Vec::new();
        for running in &mut self.daemons {
            match running.daemon.role {
                Role::Master => running.tell(&self.object.maps, &rules, &targets)?,
                Role::Backup => heard.extend(running.hear()),
            }
        }
        for connection in heard {
            self.take(&connection, &rules)?;
        }
        Ok(())
    }

    /// Remembers what another director told. A service or a real server that is not here has no flows here.
    fn take(&mut self, told: &Connection, rules: &Rules) -> io::Result<()> {
        let Some((number, service)) = self.target_of(told) else { return Ok(()) };
        let now = now_in_ticks();
        if told.flags & flag::TEMPLATE != 0 {
            let (client, _) = record::wide(told.client.ip());
            let limit = rules.reals.get(&number).map_or(0, |(_, persistence, _)| ticks(*persistence));
            let key = TemplateKey { address: client, service };
            let template = Template { real: number, seen: seen(now, limit, told.seconds) };
            return self.object.maps.get(maps::TEMPLATES).set(&key.bytes(), &template.bytes());
        }
        match told.client.ip() {
            IpAddr::V4(_) => self.take_flow::<u32>(maps::FLOWS_4, told, number, rules, now),
            IpAddr::V6(_) => self.take_flow::<[u32; 4]>(maps::FLOWS_6, told, number, rules, now),
        }
    }

    fn target_of(&self, told: &Connection) -> Option<(u32, u32)> {
        let key =
            |port: u16| Key::Address { protocol: told.protocol.into(), address: told.service.ip(), port };
        let (server, port) = (told.server.ip(), told.server.port());
        let places = [(key(told.service.port()), server, port), (key(0), server, 0), (key(0), server, port)];
        let known = places.iter().find_map(|place| self.reals.get(place).filter(|known| known.is_alive()))?;
        Some((known.number, known.record.service))
    }

    fn take_flow<A: Address>(
        &self,
        name: &'static str,
        told: &Connection,
        number: u32,
        rules: &Rules,
        now: u32,
    ) -> io::Result<()> {
        let maps = &self.object.maps;
        let map = maps.get(name);
        let word = |address: IpAddr| A::narrow(record::wide(address).0);
        let (client, service) = (word(told.client.ip()), word(told.service.ip()));
        let key = FlowKey {
            source: client,
            destination: service,
            source_port: told.client.port().to_be(),
            destination_port: told.service.port().to_be(),
            protocol: u32::from(told.protocol),
        };
        let state = state_of(told.protocol, told.state);
        let limit = rules.timeouts.get(usize::from(state)).copied().unwrap_or(0);
        let mut flow = Flow {
            seen: seen(now, limit, told.seconds),
            real: number,
            state,
            direction: direction::REQUEST,
            port: key.destination_port,
            address: service,
        };
        let (mut key_bytes, mut flow_bytes) = ([0; 40], [0; 28]);
        key.write(&mut key_bytes);
        flow.write(&mut flow_bytes);
        let (key_part, flow_length) = (&key_bytes[..FlowKey::<A>::LENGTH], Flow::<A>::LENGTH);
        let there = map.get(key_part)?.and_then(|bytes| Flow::<A>::read(&bytes));
        map.set(key_part, &flow_bytes[..flow_length])?;
        // The programs have not counted it: what is settled goes below what they have.
        if let Some(there) = there {
            count(maps, there.real, there.state, 1)?;
        }
        count(maps, number, state, -1)?;
        if rules.reals.get(&number).is_some_and(|(real, ..)| real.forward == forward::NAT) {
            let answer = FlowKey {
                source: word(told.server.ip()),
                destination: client,
                source_port: told.server.port().to_be(),
                destination_port: key.source_port,
                protocol: key.protocol,
            };
            flow.direction = direction::ANSWER;
            answer.write(&mut key_bytes);
            flow.write(&mut flow_bytes);
            map.set(&key_bytes[..FlowKey::<A>::LENGTH], &flow_bytes[..flow_length])?;
        }
        Ok(())
    }
}

/// When a flow was seen that has so many seconds left of its time.
fn seen(now: u32, limit: u32, seconds: u32) -> u32 {
    now.wrapping_sub(limit.saturating_sub(ticks(seconds)))
}

fn count(maps: &Maps, number: u32, state: u8, step: i32) -> io::Result<()> {
    add(maps.get(maps::SETTLED), number, |load| {
        let place = if state == state::ESTABLISHED { &mut load.active } else { &mut load.inactive };
        *place = place.wrapping_add_signed(step);
    })
}
