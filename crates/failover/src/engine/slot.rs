//! One instance on the host: its wire, its socket, where it sends from and what it holds.

use super::holdings::Holdings;
use super::memory::Slot as MemorySlot;
use super::sockets::{Ear, Mouth};
use crate::interfaces::Interfaces;
use crate::office::notify::{Mastership, Refused};
use crate::plan::InstancePlan;
use crate::snapshot::{MasterReason, ProtocolError};
use keepalived_config::model::Transport;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use sys::raw::Family;
use vrrp::packet::{PROTOCOL_AH, PROTOCOL_VRRP};
use vrrp::router::NotifyEvent;
use vrrp::{Advert, Authentication, Counter, Discard, Wire};

#[derive(Debug)]
pub struct Slot {
    pub plan: InstancePlan,
    pub wire: Wire,
    pub holdings: Holdings,
    pub mouth: Option<Mouth>,
    pub memory: MemorySlot,
    /// The interface of the configuration.
    pub base: Option<u32>,
    /// Where adverts pass and addresses belong: the macvlan, else the base.
    pub own: Option<u32>,
    pub source: Option<IpAddr>,
    pub ears: Vec<Ear>,
    /// The last advert heard.
    pub heard: Option<Advert>,
    /// Since 1970, when the state last changed.
    pub last_transition: Duration,
    /// Neither in fault nor stopped since then.
    pub up_since: Option<Instant>,
    /// Why it is master.
    pub master_reason: MasterReason,
    /// The last one.
    pub protocol_error: ProtocolError,
    /// Reasons that were logged in this state: one line each.
    pub logged: Vec<Counter>,
    pub send_failed: bool,
    /// It said that it leaves, in this round of actions.
    pub resigned: bool,
    /// It left, and holds its addresses until a successor speaks, or until then.
    pub release_at: Option<Instant>,
    /// Whether the filter drops packets to its addresses.
    pub filtered: bool,
}

impl Slot {
    pub fn new(plan: InstancePlan, memory: MemorySlot) -> Self {
        Self {
            wire: Wire::new(plan.wire.clone()),
            plan,
            holdings: Holdings::default(),
            mouth: None,
            memory,
            base: None,
            own: None,
            source: None,
            ears: Vec::new(),
            heard: None,
            last_transition: Duration::ZERO,
            up_since: None,
            master_reason: MasterReason::NotMaster,
            protocol_error: ProtocolError::None,
            logged: Vec::new(),
            send_failed: false,
            resigned: false,
            release_at: None,
            filtered: false,
        }
    }

    pub fn name(&self) -> &str {
        &self.plan.model.name
    }

    pub fn family(&self) -> Family {
        match self.plan.wire.family {
            vrrp::Family::V4 => Family::Ipv4,
            vrrp::Family::V6 => Family::Ipv6,
        }
    }

    /// Keeps what managers ask about a change of state; tells of whom a new master is.
    pub fn enters(&mut self, now: Instant, event: NotifyEvent) -> Option<Mastership> {
        match event {
            NotifyEvent::Master => {
                self.up_since.get_or_insert(now);
                self.master_reason = match self.heard {
                    Some(advert) if advert.priority == 0 => MasterReason::Priority,
                    Some(advert) if advert.priority < self.plan.model.priority => MasterReason::Preempted,
                    Some(_) | None => MasterReason::MasterNoResponse,
                };
                let (interface, source) = (self.base?, self.source?);
                Some(Mastership { interface, source, reason: self.master_reason })
            }
            NotifyEvent::Backup => {
                self.up_since.get_or_insert(now);
                self.master_reason = MasterReason::NotMaster;
                None
            }
            NotifyEvent::Fault | NotifyEvent::Stop | NotifyEvent::Deleted => {
                self.up_since = None;
                self.master_reason = MasterReason::NotMaster;
                None
            }
            NotifyEvent::MasterRxLowerPriority
            | NotifyEvent::MasterPriority
            | NotifyEvent::BackupPriority => None,
        }
    }

    /// What managers are told of a packet that was refused.
    pub fn refuses(&self, source: IpAddr, discard: &Discard) -> Option<Refused> {
        let instance = self.name().to_owned();
        Some(Refused { instance, interface: self.base?, source, counter: discard.counter() })
    }

    /// Looks for its interfaces. True: the one that adverts pass is another than before.
    pub fn locate(&mut self, interfaces: &Interfaces) -> bool {
        let name = self.plan.model.interface.as_deref();
        self.base = name.and_then(|name| interfaces.index_of(name));
        let own = match &self.plan.macvlan {
            Some(macvlan) => interfaces.index_of(&macvlan.name),
            None => self.base,
        };
        let changed = own != self.own;
        self.own = own;
        changed
    }

    /// Where multicast adverts leave and arrive: with `vmac_xmit_base` not by the macvlan.
    pub fn wire_interface(&self) -> Option<u32> {
        if self.plan.model.transmit_on_base { self.base } else { self.own }
    }

    pub fn is_multicast(&self) -> bool {
        matches!(self.plan.model.transport, Transport::Multicast { .. })
    }

    /// What it listens to.
    pub fn wanted_ears(&self) -> Vec<Ear> {
        let interface = if self.is_multicast() {
            match self.wire_interface() {
                Some(index) => Some(index),
                None => return Vec::new(),
            }
        } else {
            None
        };
        let protocol = match self.plan.wire.authentication {
            Authentication::Ah(_) => PROTOCOL_AH,
            Authentication::None | Authentication::Password(_) => PROTOCOL_VRRP,
        };
        vec![Ear { interface, family: self.family(), protocol }]
    }

    /// The address to send from, as things are.
    pub fn wanted_source(&self, interfaces: &Interfaces) -> Option<IpAddr> {
        if let Some(source) = self.plan.model.source {
            // Without `track_src_ip` adverts leave with it even while it is absent.
            return (!self.plan.model.track_source || interfaces.has_address(source)).then_some(source);
        }
        let virtual_ones = self.holdings.locals();
        let base = interfaces.by_index(self.base?)?;
        base.primary(self.family() == Family::Ipv6, &virtual_ones)
    }

    /// The name of the interface that a virtual address is to be on.
    pub fn interface_of(&self, address: IpAddr) -> &str {
        let model = &self.plan.model;
        let mut all = model.addresses.iter().chain(&model.excluded_addresses);
        let named = all.find(|one| one.prefix.address == address).and_then(|one| one.interface.as_deref());
        named.or(model.interface.as_deref()).unwrap_or("?")
    }

    /// Whether a discarded packet is worth a line: each reason once in a state.
    pub fn first_time(&mut self, discard: &Discard) -> bool {
        let counter = discard.counter();
        if self.logged.contains(&counter) {
            return false;
        }
        self.logged.push(counter);
        true
    }
}
