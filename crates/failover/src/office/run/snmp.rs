//! SNMP at the office: one sub-agent, told of changes, answering with snapshots of the engine.

use super::{Office, Wish};
use crate::log::Level;
use crate::office::notify::{Refused, Told};
use crate::snapshot::Snapshot;
use crate::snmp::{Agent, mib, traps};
use agentx::Oid;
use std::time::Instant;

/// The sub-agent, and what it was made for.
#[derive(Debug)]
pub(super) struct Managers {
    agent: Agent,
    subtrees: Vec<(Oid, String)>,
    /// A snapshot is on its way.
    pub(super) is_asked: bool,
}

impl Office {
    /// As the configuration has it: a sub-agent that is still right goes on.
    pub(super) fn configure_snmp(&mut self) {
        let snmp = &self.options.model.global.snmp;
        let shows_daemon = !(self.options.is_shown_elsewhere)(&self.options.model);
        let subtrees = mib::subtrees(snmp, shows_daemon);
        let socket = snmp.socket.clone().filter(|_| !subtrees.is_empty());
        let is_right = match (&self.managers, &socket) {
            (Some(managers), Some(socket)) => {
                managers.agent.socket() == socket && managers.subtrees == subtrees
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_right {
            if let Some(managers) = &mut self.managers {
                managers.agent.changed();
            }
            return;
        }
        if let Some(mut managers) = self.managers.take() {
            managers.agent.close();
        }
        if let Some(socket) = socket {
            self.log.line(Level::Info, "Starting SNMP subagent");
            let agent = Agent::new(socket, subtrees.clone(), Instant::now());
            self.managers = Some(Managers { agent, subtrees, is_asked: false });
        }
    }

    /// Reads and writes what can be, and asks for a snapshot where one is needed.
    pub(super) fn run_snmp(&mut self, now: Instant) {
        let Some(managers) = &mut self.managers else { return };
        for line in managers.agent.run(now) {
            self.log.line(Level::Info, &line);
        }
        if managers.agent.wants_tree() && !managers.is_asked {
            managers.is_asked = self.orders.send(crate::channel::Order::Snapshot);
            if managers.is_asked {
                self.wishes.push(Wish::Managers);
            }
        }
    }

    /// A snapshot came for them.
    pub(super) fn answer_managers(&mut self, snapshot: &Snapshot) {
        if self.managers.is_none() {
            return;
        }
        let tree = mib::tree(&self.view(snapshot));
        if let Some(managers) = &mut self.managers {
            managers.is_asked = false;
            managers.agent.answer(Instant::now(), tree);
        }
    }

    /// Traps on a change, where they are wanted.
    pub(super) fn tell_managers(&mut self, told: &Told, now: Instant) {
        let Some(managers) = &mut self.managers else { return };
        managers.agent.changed();
        let models = [Some(&self.options.model), self.reloading.as_ref().map(|(model, _)| model)];
        let knows = |model: &&keepalived_config::model::Model| {
            model.instances.iter().any(|one| one.name == told.subject.name())
        };
        let model = models.into_iter().flatten().find(knows).unwrap_or(&self.options.model);
        let all = traps::of(model, &self.options.host_name, told);
        if all.is_empty() {
            return;
        }
        if self.log.detail() {
            let line = match &told.subject {
                crate::office::notify::Subject::Instance(name) => {
                    format!("({name}) Sending SNMP notification")
                }
                crate::office::notify::Subject::Group(name) => {
                    format!("VRRP_Group({name}): Sending SNMP notification")
                }
            };
            self.log.line(Level::Info, &line);
        }
        for bindings in all {
            managers.agent.notify(now, bindings);
        }
    }

    /// Traps on a packet that was refused.
    pub(super) fn tell_refused(&mut self, refused: &Refused, now: Instant) {
        let Some(managers) = &mut self.managers else { return };
        for bindings in traps::of_refused(&self.options.model, refused) {
            managers.agent.notify(now, bindings);
        }
    }

    pub(super) fn leave_managers(&mut self) {
        if let Some(mut managers) = self.managers.take() {
            managers.agent.close();
        }
    }
}

impl Managers {
    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }
}
