//! The thread with deadlines: adverts in and out, netlink, timers, ARP and NA. It runs the `vrrp` cores and carries out
//! what they want. It opens no file, resolves no name, starts no program, and while nothing changes allocates nothing.
//!
//! ```text
//!  wait ─► read every advert socket ─► netlink ─► orders ─► timers ─► carry out actions ─► wait until the next deadline
//! ```
//! Sockets are read before timers are looked at: an advert that waits in a buffer is no silence.

mod actions;
pub mod announcer;
pub mod confine;
pub mod filter;
pub mod holdings;
pub mod memory;
pub mod orders;
mod slot;
pub mod sockets;

use crate::channel::{Notice, Order, Receiving, Sending};
use crate::kernel::Kernel;
use crate::log::Level;
use crate::plan::Plan;
use crate::snapshot::ProtocolError;
use announcer::{Announcer, Pace};
use filter::Filter;
use holdings::Holdings;
use memory::Memory;
use rustix::event::{Timespec, epoll};
use slot::Slot;
use sockets::{Ear, Listeners, Mouth};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::raw::{Family, Packet};
use vrrp::router::Action;
use vrrp::tracking::Status;
use vrrp::{Datagram, Node, RouterId, Start, WallTime};

/// The longest packet that is read: an advert of 255 IPv6 addresses and everything around it.
const PACKET_LENGTH_MAX: usize = 8192;
/// Packets taken from one socket before the others have their turn: a flood must not hold up timers.
const PACKETS_AT_ONCE: usize = 256;
/// Events of one wait.
const EVENTS_MAX: usize = 64;
/// Marks in epoll; listeners have their place in the list.
const TOKEN_NETLINK: u64 = u64::MAX;
const TOKEN_ORDERS: u64 = u64::MAX - 1;
/// Changes of interfaces, addresses, routes of one wake-up that are looked at one by one.
const LOST_MAX: usize = 1024;

pub struct Engine {
    kernel: Kernel,
    plan: Plan,
    node: Node,
    slots: Vec<Slot>,
    listeners: Listeners,
    /// Interfaces that ran when they were last looked at.
    running: BTreeSet<u32>,
    announcer: Announcer,
    filter: Filter,
    memory: Memory,
    epoll: OwnedFd,
    orders: Receiving<Order>,
    notices: Sending<Notice>,
    detail: bool,
    /// What adverts are written into.
    packet: Vec<u8>,
    lateness_max: Duration,
    started: Instant,
    send_errors: u64,
    stopping: Option<bool>,
}

/// What the engine is started with.
#[derive(Debug)]
pub struct Setup {
    pub plan: Plan,
    pub orders: Receiving<Order>,
    pub notices: Sending<Notice>,
    /// Whether lines of detail are wanted.
    pub detail: bool,
    /// Where it is remembered when each instance spoke.
    pub memory: Memory,
}

impl Engine {
    /// Opens everything. Nothing is sent and no address is touched yet.
    ///
    /// # Errors
    /// What the sockets say; a plan that contradicts itself.
    pub fn new(setup: Setup) -> io::Result<Self> {
        let kernel = Kernel::open()?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = |token| epoll::EventData::new_u64(token);
        epoll::add(&epoll, kernel.as_fd(), data(TOKEN_NETLINK), epoll::EventFlags::IN)?;
        epoll::add(&epoll, setup.orders.as_fd(), data(TOKEN_ORDERS), epoll::EventFlags::IN)?;
        let node = Node::new(setup.plan.node.clone()).map_err(io::Error::other)?;
        let memory = setup.memory;
        let slots = setup.plan.instances.iter().map(|instance| {
            let model = &instance.model;
            let interface = model.interface.as_deref().unwrap_or_default();
            let place = memory.slot(&model.name, interface, model.virtual_router_id);
            Slot::new(instance.clone(), place)
        });
        let mut engine = Self {
            slots: slots.collect(),
            kernel,
            node,
            plan: setup.plan,
            listeners: Listeners::default(),
            running: BTreeSet::new(),
            announcer: Announcer::open()?,
            filter: Filter::default(),
            memory,
            epoll,
            orders: setup.orders,
            notices: setup.notices,
            detail: setup.detail,
            packet: Vec::with_capacity(PACKET_LENGTH_MAX),
            lateness_max: Duration::ZERO,
            started: Instant::now(),
            send_errors: 0,
            stopping: None,
        };
        engine.settle();
        Ok(engine)
    }

    /// Runs until it is told to stop. `confined`: whether the thread was, for the log.
    ///
    /// # Errors
    /// What epoll says: nothing that can be gone on from.
    pub fn run(mut self, confined: io::Result<()>) -> io::Result<()> {
        if let Err(error) = confined {
            // Kernels without it exist; it guards against mistakes of ours.
            self.log(Level::Warning, format!("VRRP thread is not confined: {error}"));
        }
        self.notices.send(Notice::Runs(rustix::thread::gettid()));
        self.start();
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut buffer = vec![0; PACKET_LENGTH_MAX];
        while self.stopping.is_none() {
            let releases = self.slots.iter().filter_map(|slot| slot.release_at).min();
            let deadline = earliest(earliest(self.node.poll_timeout(), self.announcer.deadline()), releases);
            let timeout = deadline.map(|deadline| until(deadline, Instant::now()));
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            self.read_adverts(&mut buffer);
            if events.iter().any(|event| event.data.u64() == TOKEN_NETLINK) {
                self.read_netlink();
            }
            if events.iter().any(|event| event.data.u64() == TOKEN_ORDERS) {
                self.read_orders();
            }
            let now = Instant::now();
            if let Some(late) = deadline.and_then(|deadline| now.checked_duration_since(deadline)) {
                self.lateness_max = self.lateness_max.max(late);
                if self.plan.late.is_some_and(|limit| late >= limit) {
                    self.notices.send(Notice::Late(late));
                }
            }
            self.node.handle_timeout(now);
            self.release_due(now);
            if let Err(error) = self.announcer.handle_timeout(now) {
                self.log(Level::Info, format!("Error sending gratuitous ARP/NA: {error}"));
            }
            self.carry_out(now);
        }
        Ok(())
    }

    /// The first states: routers whose addresses a predecessor left in place go on as masters.
    fn start(&mut self) {
        let now = Instant::now();
        let starts: Vec<Start> = self
            .slots
            .iter_mut()
            .map(|slot| {
                let spoke = self.memory.last_spoke(slot.memory);
                if !slot.holdings.is_in_place(&self.kernel.interfaces) {
                    return Start::Fresh;
                }
                if let Some((_, sequence)) = spoke {
                    slot.wire.set_ah_sequence(sequence);
                }
                Start::Adopt { silent_for: spoke.map(|(ago, _)| ago) }
            })
            .collect();
        self.node.start(now, |RouterId(index)| starts[index]);
        self.carry_out(now);
    }

    /// After a change of plan or interfaces: where each instance sends from, what it holds, which sockets there are, and
    /// which interfaces work.
    fn settle(&mut self) {
        let now = Instant::now();
        let mut needed: Vec<Ear> = Vec::new();
        for index in 0..self.slots.len() {
            self.settle_slot(index);
            needed.extend(&self.slots[index].ears);
        }
        let kernel = &self.kernel;
        needed.retain(|ear| sockets::is_there(kernel, *ear));
        self.listeners.keep(&needed);
        for (name, tracker) in &self.plan.interfaces {
            let running =
                self.kernel.interfaces.by_name(name).is_some_and(|interface| interface.link.is_running());
            if running != (self.node.tracker(*tracker) == Status::Up)
                && self.node.tracker(*tracker) != Status::Unknown
            {
                let word = if running { "up" } else { "down" };
                self.notices.send(Notice::Log(Level::Info, format!("Netlink reports {name} {word}")));
            }
            self.node.set_tracker(now, *tracker, if running { Status::Up } else { Status::Down });
        }
        let running = self.kernel.interfaces.iter().filter(|interface| interface.link.is_running());
        self.running = running.map(|interface| interface.link.index).collect();
        let paces = self.plan.paces.iter().filter_map(|(name, arp, advertisement)| {
            let index = self.kernel.interfaces.index_of(name)?;
            Some((index, Pace { arp: *arp, advertisement: *advertisement }))
        });
        let paces: BTreeMap<u32, Pace> = paces.collect();
        let pace = Pace { arp: self.plan.arp_interval, advertisement: self.plan.advertisement_interval };
        self.announcer.set_pace(pace, paces);
        self.filter.configure(&self.plan.filter_table, self.plan.filter_priority);
    }

    fn settle_slot(&mut self, index: usize) {
        let now = Instant::now();
        let slot = &mut self.slots[index];
        let moved = slot.locate(&self.kernel.interfaces);
        let (holdings, missing) = Holdings::resolve(&self.kernel.interfaces, &slot.plan.model, slot.own);
        if moved {
            for name in missing {
                let line = format!("WARNING - interface {name} for ip address doesn't exist");
                self.notices.send(Notice::Log(Level::Info, line));
            }
        }
        if !slot.holdings.is_held {
            slot.holdings = holdings;
        } else if slot.release_at.is_none() {
            self.follow_interfaces(now, index, holdings);
        }
        let slot = &mut self.slots[index];
        let source = slot.wanted_source(&self.kernel.interfaces);
        if source != slot.source {
            slot.source = source;
            self.node.set_source(RouterId(index), source);
        }
        let status = if source.is_some() { Status::Up } else { Status::Down };
        let tracker = slot.plan.source_tracker;
        let ears = slot.wanted_ears();
        let (family, multicast) = (slot.family(), slot.is_multicast());
        let wire_interface = slot.wire_interface();
        if moved || slot.mouth.is_none() {
            let interface = wire_interface.or(slot.base).unwrap_or(0);
            slot.mouth = if multicast && wire_interface.is_none() {
                None
            } else {
                match Mouth::open(family, interface, multicast) {
                    Ok(mouth) => Some(mouth),
                    Err(error) => {
                        let line =
                            format!("({}) cannot open a socket to send by: {error}", slot.plan.model.name);
                        self.notices.send(Notice::Log(Level::Error, line));
                        None
                    }
                }
            };
        }
        let group = match slot.plan.model.transport {
            keepalived_config::model::Transport::Multicast { group } => Some(group),
            keepalived_config::model::Transport::Unicast { .. } => None,
        };
        slot.ears.clone_from(&ears);
        for ear in ears {
            if let Err(error) = self.listen(ear, group) {
                let name = self.slots[index].name().to_owned();
                self.log(Level::Error, format!("({name}) cannot listen for adverts: {error}"));
            }
        }
        self.node.set_tracker(now, tracker, status);
    }

    /// A master's addresses are where the interfaces are now; what could not be added before is tried again. They are told
    /// anew where a link came: who is behind it may have learnt of another master meanwhile.
    fn follow_interfaces(&mut self, now: Instant, index: usize, holdings: Holdings) {
        let slot = &mut self.slots[index];
        let mut interfaces = holdings.addresses.iter().map(|held| held.address.interface).chain(slot.own);
        let came = interfaces.any(|interface| {
            let runs = self.kernel.interfaces.by_index(interface).is_some_and(|one| one.link.is_running());
            runs && !self.running.contains(&interface)
        });
        if came {
            slot.holdings.doubt_routes();
        }
        let (failures, added) = slot.holdings.follow(&mut self.kernel, holdings);
        for failure in failures {
            let line = format!("({}) cannot add {}: {}", slot.plan.model.name, failure.what, failure.error);
            self.notices.send(Notice::Log(Level::Error, line));
        }
        if added || came {
            let rounds = slot.plan.model.garp.master_repeat;
            self.act(now, RouterId(index), Action::Announce { rounds });
        }
    }

    /// Interfaces that are gone take their sockets along, and who sent by one is at fault: even when another of the same
    /// name, or of the same index, is there already.
    fn leave(&mut self, gone: &[netlink::Link]) {
        let now = Instant::now();
        let is_gone = |index: u32| gone.iter().any(|link| link.index == index);
        self.listeners.list.retain(|listener| !listener.ear.interface.is_some_and(is_gone));
        let mut left = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if !slot.base.into_iter().chain(slot.own).any(is_gone) {
                continue;
            }
            (slot.base, slot.own, slot.mouth, slot.source) = (None, None, None, None);
            left.push(index);
            self.node.set_source(RouterId(index), None);
            self.node.set_tracker(now, slot.plan.source_tracker, Status::Down);
        }
        for (name, tracker) in &self.plan.interfaces {
            let was_up = self.node.tracker(*tracker) == Status::Up;
            if was_up && gone.iter().any(|link| link.name == *name) {
                self.notices.send(Notice::Log(Level::Info, format!("Netlink reports {name} down")));
                self.node.set_tracker(now, *tracker, Status::Down);
            }
        }
        self.carry_out(now);
        // Nobody finds us there any more, successor or not.
        left.into_iter().for_each(|index| self.release(index));
    }

    fn listen(&mut self, ear: Ear, group: Option<IpAddr>) -> io::Result<()> {
        let (listener, is_new) = self.listeners.get(ear)?;
        if let (Some(group), Some(interface)) = (group, ear.interface) {
            listener.join(group, interface)?;
        }
        if is_new {
            // The mark is not used: after every wait all of them are read, in order.
            let data = epoll::EventData::new_u64(0);
            epoll::add(&self.epoll, listener.as_fd(), data, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    fn read_adverts(&mut self, buffer: &mut [u8]) {
        for index in 0..self.listeners.list.len() {
            for _ in 0..PACKETS_AT_ONCE {
                let listener = &self.listeners.list[index];
                let ear = listener.ear;
                match listener.receive(buffer) {
                    Ok(Some(packet)) => self.packet_came(ear, packet, buffer),
                    Ok(None) => break,
                    // "Network is down" and its like are told once, and say nothing new: netlink does.
                    Err(_) => break,
                }
            }
        }
    }

    fn packet_came(&mut self, ear: Ear, packet: Packet, buffer: &[u8]) {
        let bytes = &buffer[..packet.length.min(buffer.len())];
        let datagram = match (ear.family, packet.from, packet.to) {
            (Family::Ipv4, _, _) => match Datagram::ipv4(bytes) {
                Ok(datagram) => datagram,
                // Without a sound header nobody knows which instance it was for.
                Err(_) => return,
            },
            (Family::Ipv6, IpAddr::V6(from), to) => {
                let to = match to {
                    Some(IpAddr::V6(to)) => to,
                    Some(IpAddr::V4(_)) | None => Ipv6Addr::UNSPECIFIED,
                };
                Datagram::ipv6(from, to, packet.hop_limit.unwrap_or(0), bytes)
            }
            (Family::Ipv6, IpAddr::V4(_), _) => return,
        };
        let Some(vrid) = datagram.vrid() else { return };
        let found = self.slots.iter().position(|slot| {
            slot.plan.wire.vrid == vrid
                && slot.ears.contains(&ear)
                && (slot.is_multicast() || slot.source == Some(datagram.destination))
        });
        let Some(index) = found else {
            if self.plan.log_unknown_vrids {
                self.log(Level::Info, format!("Unknown VRID({}) received", vrid.get()));
            }
            return;
        };
        let now = Instant::now();
        let slot = &mut self.slots[index];
        // Our own adverts, heard again on a bridge that reflects them.
        if slot.source == Some(datagram.source) && slot.mouth.is_some() && !slot.is_multicast() {
            return;
        }
        match slot.wire.receive(wall_time(), &datagram) {
            Ok(received) => {
                slot.heard = Some(received.advert);
                let successor = slot.release_at.is_some() && received.advert.priority > 0;
                if let Some(vrrp::packet::Remark::Addresses(what)) = received.remark
                    && slot.first_time(&what)
                {
                    let line = format!("({}) {what}", slot.name());
                    self.log(Level::Info, line);
                }
                self.node.handle_advert(now, RouterId(index), &received.advert);
                if successor {
                    self.release(index);
                }
                // At once: an answer to a lesser master does not wait for the other sockets.
                self.carry_out(now);
            }
            Err(discard) => {
                self.node.statistics_mut(RouterId(index)).count(discard.counter());
                slot.protocol_error = ProtocolError::of(discard.counter()).unwrap_or(slot.protocol_error);
                if slot.first_time(&discard) {
                    let line = format!("({}) {discard}", slot.name());
                    let refused = slot.refuses(datagram.source, &discard);
                    self.log(Level::Info, line);
                    if let Some(refused) = refused {
                        self.notices.send(Notice::Refused(refused));
                    }
                }
            }
        }
    }

    fn read_netlink(&mut self) {
        let mut links = false;
        let mut gone: Vec<netlink::Link> = Vec::new();
        let mut lost: Vec<usize> = Vec::new();
        let slots = &mut self.slots;
        let notices = &self.notices;
        let whole = self.kernel.notifications(|event| {
            match event {
                netlink::Event::LinkGone(link) => {
                    links = true;
                    gone.push(link.clone());
                }
                netlink::Event::LinkThere(_)
                | netlink::Event::AddressThere(_)
                | netlink::Event::AddressGone(_) => links = true,
                netlink::Event::RouteThere(_)
                | netlink::Event::RouteGone(_)
                | netlink::Event::RuleThere(_)
                | netlink::Event::RuleGone(_) => {}
            }
            for (index, slot) in slots.iter_mut().enumerate() {
                if slot.holdings.loses(event) && lost.len() < LOST_MAX {
                    if let netlink::Event::AddressGone(gone) = event {
                        let interface = slot.interface_of(gone.local);
                        let line =
                            format!("Netlink reflector reports IP {} removed from {interface}", gone.local);
                        notices.send(Notice::Log(Level::Info, line));
                    }
                    lost.push(index);
                }
            }
        });
        if !gone.is_empty() {
            self.leave(&gone);
        }
        match whole {
            Ok(true) => {}
            Ok(false) => {
                links = true;
                for (index, slot) in self.slots.iter().enumerate() {
                    if slot.holdings.is_incomplete(&self.kernel.interfaces) {
                        lost.push(index);
                    }
                }
            }
            Err(error) => self.log(Level::Error, format!("Netlink: {error}")),
        }
        if links {
            self.settle();
        }
        lost.dedup();
        let now = Instant::now();
        for index in lost {
            // An interface that is down takes its addresses along: that is a fault, and told as one.
            self.node.handle_addresses_lost(now, RouterId(index));
        }
        self.carry_out(now);
    }

    fn log(&self, level: Level, line: String) {
        self.notices.send(Notice::Log(level, line));
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// How long until then.
fn until(deadline: Instant, now: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(now);
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}

/// Time since 1970.
fn wall_time() -> WallTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    WallTime(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
}
