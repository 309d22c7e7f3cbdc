//! What the office wants of the engine: news of tracked things, reloads, operators' commands, the end.

use super::holdings::Holdings;
use super::slot::Slot;
use super::{Engine, wall_time};
use crate::channel::{Notice, Order};
use crate::log::Level;
use crate::office::notify::{Happening, Subject, Told};
use crate::plan::Plan;
use crate::snapshot::{InstanceSnapshot, Snapshot};
use std::time::{Duration, Instant};
use vrrp::node::GroupId;
use vrrp::router::{Action, NotifyEvent};
use vrrp::tracking::Status;
use vrrp::{RouterId, State};

impl Engine {
    pub(super) fn read_orders(&mut self) {
        self.orders.quieten();
        while let Some(order) = self.orders.next() {
            self.obey(order);
            if self.stopping.is_some() {
                return;
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Instant::now();
        match order {
            Order::Track { generation, tracker, status } => {
                if generation == self.plan.generation {
                    self.node.set_tracker(now, tracker, status);
                }
            }
            Order::Reload(plan) => {
                let result = self.reload(now, *plan);
                self.notices.send(Notice::Reloaded(result));
            }
            Order::Snapshot => {
                let snapshot = Box::new(self.snapshot(now));
                self.notices.send(Notice::Snapshot(snapshot));
            }
            Order::ClearStatistics => {
                for index in 0..self.slots.len() {
                    self.node.statistics_mut(RouterId(index)).clear();
                }
            }
            Order::HandOver { instance } => self.of(&instance, |engine, id| engine.node.hand_over(now, id)),
            Order::Maintenance { instance, on } => {
                self.of(&instance, |engine, id| engine.node.set_maintenance(now, id, on));
            }
            Order::Priority { instance, priority } => {
                self.of(&instance, |engine, id| engine.node.set_priority(now, id, priority));
            }
            Order::Witness { instances, witness } => {
                for instance in instances {
                    self.of(&instance, |engine, id| engine.node.set_witness(now, id, witness));
                }
            }
            Order::Stop { release } => self.stop(now, release),
        }
        self.carry_out(now);
    }

    fn of(&mut self, instance: &str, run: impl FnOnce(&mut Self, RouterId)) {
        if let Some(index) = self.slots.iter().position(|slot| slot.name() == instance) {
            run(self, RouterId(index));
        }
    }

    fn stop(&mut self, now: Instant, release: bool) {
        self.stopping = Some(release);
        self.node.stop(now);
        self.carry_out(now);
        self.wait_for_successors();
        if release {
            self.filter.remove(&mut self.kernel);
        }
        self.notices.send(Notice::Stopped);
    }

    /// At the end: until each successor has spoken, or none has in time.
    fn wait_for_successors(&mut self) {
        let mut buffer = vec![0; super::PACKET_LENGTH_MAX];
        while let Some(at) = self.slots.iter().filter_map(|slot| slot.release_at).min() {
            let mut events = Vec::with_capacity(super::EVENTS_MAX);
            let timeout = super::until(at, Instant::now());
            let space = rustix::buffer::spare_capacity(&mut events);
            if rustix::event::epoll::wait(&self.epoll, space, Some(&timeout)).is_err() {
                break;
            }
            self.read_adverts(&mut buffer);
            // The readable things that are nobody's now end no wait: the deadline does.
            self.release_due(Instant::now());
            self.read_netlink();
        }
    }

    /// Takes another plan: instances of the same name go on, their adverts without a gap.
    fn reload(&mut self, now: Instant, plan: Plan) -> Result<(), String> {
        // Macvlans may have been made meanwhile, and their notifications not read yet.
        self.kernel.read_all().map_err(|error| error.to_string())?;
        self.carry_out(now);
        let reloaded = self.node.reload(now, plan.node.clone()).map_err(|error| error.to_string())?;
        for gone in reloaded.gone {
            let deleted = self.slots[gone.was.0].plan.model.notify.deleted_event;
            for action in gone.actions {
                let last = matches!(&action, Action::Notify(told) if told.event == NotifyEvent::Stop);
                if last {
                    let what = if deleted { Happening::Deleted } else { Happening::Fault };
                    let subject = Subject::Instance(self.slots[gone.was.0].name().to_owned());
                    self.notices.send(Notice::Told(Told { subject, what, priority: 0, mastership: None }));
                } else {
                    self.act(now, gone.was, action);
                }
            }
        }
        let mut old: Vec<Option<Slot>> = std::mem::take(&mut self.slots).into_iter().map(Some).collect();
        for (instance, before) in plan.instances.iter().zip(&reloaded.before) {
            let known = before.and_then(|RouterId(was)| old[was].take());
            let slot = match known {
                Some(mut slot) => {
                    slot.wire.reconfigure(instance.wire.clone());
                    slot.plan = instance.clone();
                    slot
                }
                None => {
                    let model = &instance.model;
                    let interface = model.interface.as_deref().unwrap_or_default();
                    let place = self.memory.slot(&model.name, interface, model.virtual_router_id);
                    Slot::new(instance.clone(), place)
                }
            };
            self.slots.push(slot);
        }
        self.plan = plan;
        for index in 0..self.slots.len() {
            self.replace_holdings(now, index);
        }
        self.settle();
        self.carry_out(now);
        Ok(())
    }

    /// A master's addresses follow the new plan: what is gone is removed, what is new is added and announced.
    fn replace_holdings(&mut self, now: Instant, index: usize) {
        let slot = &mut self.slots[index];
        if !slot.holdings.is_held {
            return;
        }
        slot.locate(&self.kernel.interfaces);
        let (mut fresh, _) = Holdings::resolve(&self.kernel.interfaces, &slot.plan.model, slot.own);
        let name = slot.plan.model.name.clone();
        let is_same = fresh.is_same(&slot.holdings);
        let failures = slot.holdings.remove_except(&mut self.kernel, &fresh);
        let more = fresh.add(&mut self.kernel);
        slot.holdings = fresh;
        for failure in failures.into_iter().chain(more) {
            let line = format!("({name}) cannot change {}: {}", failure.what, failure.error);
            self.notices.send(Notice::Log(Level::Error, line));
        }
        if !is_same {
            let rounds = self.slots[index].plan.model.garp.master_repeat;
            self.act(now, RouterId(index), Action::Announce { rounds });
        }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let instances = self.slots.iter().enumerate().map(|(index, slot)| {
            let router = self.node.router(RouterId(index));
            let interface = |index: Option<u32>| {
                let found = index.and_then(|index| self.kernel.interfaces.by_index(index));
                found.map(|interface| interface.link.name.clone())
            };
            InstanceSnapshot {
                name: slot.name().to_owned(),
                state: router.state(),
                priority: router.priority(),
                master_priority: slot.heard.map_or(0, |advert| advert.priority),
                master_address: slot.heard.map(|advert| advert.source),
                master_interval: router.master_interval().duration(),
                source: slot.source,
                interface: interface(slot.base),
                own_interface: interface(slot.own),
                addresses_set: slot.holdings.is_held,
                last_transition: slot.last_transition,
                up_for: slot.up_since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)),
                up_since: slot
                    .up_since
                    .map_or(Duration::ZERO, |at| at.saturating_duration_since(self.started)),
                master_reason: slot.master_reason,
                protocol_error: slot.protocol_error,
                faults: self.node.count_of(RouterId(index), vrrp::tracking::Outcome::Fault),
                waits: self.node.count_of(RouterId(index), vrrp::tracking::Outcome::Hold),
                master_down: router.master_down_interval(),
                timer: router.poll_timeout().map(|at| at.saturating_duration_since(now)),
                statistics: router.statistics().clone(),
                in_maintenance: self.node.is_in_maintenance(RouterId(index)),
                split_with: router.split_with(),
            }
        });
        let group = |(index, name): (usize, &String)| -> (String, State) {
            (name.clone(), self.node.group_state(GroupId(index)))
        };
        Snapshot {
            instances: instances.collect(),
            groups: self.plan.groups.iter().enumerate().map(group).collect(),
            bfd: self.plan.bfd.iter().map(|one| self.node.tracker(one.tracker) == Status::Up).collect(),
            interfaces: self.kernel.interfaces.clone(),
            lateness_max: self.lateness_max,
            send_errors: self.send_errors,
        }
    }
}

/// For the text of dumps: now, since 1970.
pub fn since_epoch() -> Duration {
    wall_time().0
}
