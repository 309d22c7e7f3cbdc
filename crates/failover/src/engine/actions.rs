//! Carrying out what the cores want: adverts, addresses, announcements, notices.

use super::announcer::Place;
use super::holdings::Holdings;
use super::{Engine, wall_time};
use crate::channel::Notice;
use crate::log::Level;
use crate::office::notify::{Happening, Mastership, Subject, Told};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use vrrp::node::NodeAction;
use vrrp::router::{Action, Notification, NotifyEvent};
use vrrp::{Advert, Interval, RouterId};

/// How long one that left holds its addresses for a successor that takes over at once: longer than the `vrrp` crate's
/// spread of successors and what a busy machine adds, shorter than anybody else's skew.
const HAND_OVER_PATIENCE: Duration = Duration::from_millis(30);

/// Actions of one round. Each event makes a handful; this is for a core that never stops.
const ACTIONS_MAX: usize = 100_000;

impl Engine {
    pub(super) fn carry_out(&mut self, now: Instant) {
        for _ in 0..ACTIONS_MAX {
            let Some(action) = self.node.poll_action() else { break };
            match action {
                NodeAction::Router(id, action) => self.act(now, id, action),
                NodeAction::GroupNotify(id, notification) => {
                    let subject = Subject::Group(self.plan.groups[id.0].clone());
                    self.tell(subject, notification, None);
                }
                NodeAction::GroupLog(id, notice) => {
                    let line = format!("VRRP_Group({}) {notice}", self.plan.groups[id.0]);
                    self.log(Level::Info, line);
                }
            }
        }
        for slot in &mut self.slots {
            slot.resigned = false;
        }
    }

    /// Lets go of addresses whose successor did not speak in time.
    pub(super) fn release_due(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            if self.slots[index].release_at.is_some_and(|at| at <= now) {
                self.release(index);
            }
        }
    }

    /// Lets go of addresses that were held for a successor.
    pub(super) fn release(&mut self, index: usize) {
        if self.slots[index].release_at.take().is_some() {
            self.remove_addresses(index);
        }
    }

    pub(super) fn act(&mut self, now: Instant, id: RouterId, action: Action) {
        match action {
            Action::SendAdvert { priority, interval } => self.send_advert(id.0, priority, interval),
            Action::AddAddresses { accept } => self.add_addresses(id.0, accept),
            Action::RemoveAddresses => {
                let slot = &mut self.slots[id.0];
                let hands_over = slot.resigned && self.node.router(id).config().fast_hand_over;
                if hands_over && slot.holdings.is_held && !slot.holdings.addresses.is_empty() {
                    // Clients find us until the successor has told them where it is: no packet is lost between.
                    slot.release_at = Some(now + HAND_OVER_PATIENCE);
                } else {
                    slot.release_at = None;
                    self.remove_addresses(id.0);
                }
            }
            Action::Announce { rounds } => self.announce(now, id.0, rounds),
            Action::CancelAnnouncements => self.announcer.cancel(id.0),
            Action::Notify(notification) => {
                let slot = &mut self.slots[id.0];
                match notification.event {
                    NotifyEvent::Master | NotifyEvent::Backup | NotifyEvent::Fault => {
                        slot.last_transition = wall_time().0;
                        slot.logged.clear();
                    }
                    NotifyEvent::Stop
                    | NotifyEvent::Deleted
                    | NotifyEvent::MasterRxLowerPriority
                    | NotifyEvent::MasterPriority
                    | NotifyEvent::BackupPriority => {}
                }
                let mastership = slot.enters(now, notification.event);
                let subject = Subject::Instance(slot.name().to_owned());
                self.tell(subject, notification, mastership);
            }
            Action::Log(notice) => {
                let line = format!("({}) {notice}", self.slots[id.0].name());
                self.log(Level::Info, line);
            }
        }
    }

    fn tell(&self, subject: Subject, notification: Notification, mastership: Option<Mastership>) {
        let what = match notification.event {
            NotifyEvent::Master => Happening::Master,
            NotifyEvent::Backup => Happening::Backup,
            NotifyEvent::Fault => Happening::Fault,
            NotifyEvent::Stop => Happening::Stop,
            NotifyEvent::Deleted => Happening::Deleted,
            NotifyEvent::MasterRxLowerPriority => Happening::MasterHearsLower,
            NotifyEvent::MasterPriority => Happening::MasterPriority,
            NotifyEvent::BackupPriority => Happening::BackupPriority,
        };
        let priority = notification.priority;
        self.notices.send(Notice::Told(Told { subject, what, priority, mastership }));
    }

    fn send_advert(&mut self, index: usize, priority: u8, interval: Interval) {
        let slot = &mut self.slots[index];
        let (Some(source), Some(mouth)) = (slot.source, slot.mouth.as_mut()) else { return };
        let advert = Advert { source, priority, interval };
        let clock = wall_time();
        let hops = slot.plan.wire.ttl();
        let mut failure = None;
        for destination in slot.plan.wire.destinations() {
            if let Err(error) = slot.wire.write_advert(&mut self.packet, clock, advert, destination) {
                failure = Some(error.to_string());
                continue;
            }
            if let Err(error) = mouth.send(&self.packet, source, destination, hops) {
                self.send_errors += 1;
                failure = Some(error.to_string());
            }
        }
        let failed = failure.is_some();
        if priority == 0 {
            // Who was not told waits for nobody.
            slot.resigned = !failed;
            self.memory.forget(slot.memory);
        } else {
            self.memory.spoke(slot.memory, slot.wire.ah_sequence());
        }
        // One line when it begins, not one each interval.
        if let (Some(failure), false) = (failure, slot.send_failed) {
            let line = format!("({}) cannot send adverts: {failure}", slot.plan.model.name);
            self.notices.send(Notice::Log(Level::Warning, line));
        }
        slot.send_failed = failed;
    }

    fn add_addresses(&mut self, index: usize, accept: bool) {
        let slot = &mut self.slots[index];
        slot.release_at = None;
        // What was held for a successor until now may be of interfaces that are gone.
        slot.holdings = Holdings::resolve(&self.kernel.interfaces, &slot.plan.model, slot.own).0;
        let name = slot.plan.model.name.clone();
        if !accept && !slot.filtered {
            let locals = slot.holdings.locals();
            match self.filter.set(&mut self.kernel, &locals, true) {
                Ok(()) => slot.filtered = true,
                Err(error) => {
                    let line =
                        format!("({name}) cannot make nftables drop packets to its addresses: {error}");
                    self.notices.send(Notice::Log(Level::Error, line));
                }
            }
        }
        if self.detail && !slot.holdings.addresses.is_empty() {
            self.notices.send(Notice::Detail(format!("({name}) setting VIPs.")));
        }
        for failure in slot.holdings.add(&mut self.kernel) {
            let line = format!("({name}) cannot add {}: {}", failure.what, failure.error);
            self.notices.send(Notice::Log(Level::Error, line));
        }
    }

    fn remove_addresses(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let name = slot.plan.model.name.clone();
        if self.detail && !slot.holdings.addresses.is_empty() {
            self.notices.send(Notice::Detail(format!("({name}) removing VIPs.")));
        }
        if self.stopping == Some(false) {
            // `-V`: they stay.
            return;
        }
        for failure in slot.holdings.remove(&mut self.kernel) {
            let line = format!("({name}) cannot remove {}: {}", failure.what, failure.error);
            self.notices.send(Notice::Log(Level::Error, line));
        }
        if std::mem::take(&mut slot.filtered) {
            let locals = slot.holdings.locals();
            if let Err(error) = self.filter.set(&mut self.kernel, &locals, false) {
                let line = format!("({name}) nftables: {error}");
                self.notices.send(Notice::Log(Level::Error, line));
            }
        }
    }

    fn announce(&mut self, now: Instant, index: usize, rounds: u32) {
        let slot = &self.slots[index];
        let mut places = Vec::with_capacity(slot.holdings.addresses.len());
        for held in &slot.holdings.addresses {
            let Some(interface) = self.kernel.interfaces.by_index(held.address.interface) else { continue };
            let Some(mac) = interface.link.ethernet_address() else { continue };
            places.push(Place {
                interface: interface.link.index,
                mac,
                address: held.address.local,
                is_router: self.plan.is_router,
            });
            if self.detail {
                let line = announcement(slot.name(), &interface.link.name, held.address.local);
                self.notices.send(Notice::Detail(line));
            }
        }
        if let Err(error) = self.announcer.announce(now, index, &places, rounds) {
            let line = format!("({}) Error sending gratuitous ARP/NA: {error}", self.slots[index].name());
            self.log(Level::Info, line);
        }
    }
}

fn announcement(name: &str, interface: &str, address: IpAddr) -> String {
    let what = match address {
        IpAddr::V4(_) => "gratuitous ARPs",
        IpAddr::V6(_) => "Unsolicited Neighbour Adverts",
    };
    format!("({name}) Sending/queueing {what} on {interface} for {address}")
}
