//! How the members of a group follow each other.

use super::{GroupConfig, GroupId, Node, NodeAction, RouterId, Track};
use crate::router::{Notification, NotifyEvent, State};
use std::fmt;
use std::time::Instant;

/// A line for the log about a group; keepalived's, after `VRRP_Group(NAME) `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupNotice {
    /// The members follow one of them into this state.
    Syncing(State),
}

impl fmt::Display for GroupNotice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupNotice::Syncing(state) => write!(out, "Syncing instances to {} state", state.word()),
        }
    }
}

/// A group at work.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: Vec<RouterId>,
    pub(super) tracks: Vec<Track>,
    pub(super) tracking_weight: bool,
    /// State of the members when they last agreed.
    pub(super) state: State,
}

impl Node {
    /// Makes these the groups; those of a name that was there before keep their state.
    pub(super) fn set_groups(&mut self, groups: Vec<GroupConfig>) {
        let before = std::mem::take(&mut self.groups);
        for member in &mut self.members {
            member.group = None;
        }
        for (position, config) in groups.into_iter().enumerate() {
            for id in &config.members {
                self.members[id.0].group = Some(GroupId(position));
            }
            let known = before.iter().find(|group| group.name == config.name);
            self.groups.push(Group {
                name: config.name,
                members: config.members,
                tracks: config.tracks,
                tracking_weight: config.tracking_weight,
                state: known.map_or(State::Initialize, |group| group.state),
            });
        }
        for member in &mut self.members {
            member.router.set_in_group(member.group.is_some());
        }
    }

    /// The group of a virtual router does what it did.
    pub(super) fn follow(&mut self, now: Instant, id: RouterId, before: State) {
        let Some(group) = self.members[id.0].group else { return };
        let after = self.members[id.0].router.state();
        match (before, after) {
            (State::Master | State::Fault, State::Backup) => self.sync(now, group, id, State::Backup),
            (State::Initialize | State::Backup | State::Master, State::Fault) => {
                self.sync(now, group, id, State::Fault);
            }
            (
                State::Initialize | State::Backup | State::Master | State::Fault,
                State::Initialize | State::Backup | State::Master | State::Fault,
            ) => {}
        }
        if self.members[id.0].router.is_ready() {
            self.promote_if_all_ready(now, group, id);
        }
        self.settle(group);
    }

    /// All groups, after something that may have changed several members.
    pub(super) fn settle_groups(&mut self, now: Instant) {
        for group in (0..self.groups.len()).map(GroupId) {
            if let Some(first) = self.groups[group.0].members.first().copied() {
                self.promote_if_all_ready(now, group, first);
            }
            self.settle(group);
        }
    }

    pub(super) fn group_stopped(&mut self, group: GroupId) {
        self.groups[group.0].state = State::Initialize;
        self.group_notify(group, NotifyEvent::Stop);
    }

    fn promote_if_all_ready(&mut self, now: Instant, group: GroupId, first: RouterId) {
        let routers = self.groups[group.0].members.iter().map(|id| &self.members[id.0].router);
        let is_ready = routers.clone().all(|router| router.is_ready() || router.state() == State::Master);
        if !is_ready || !routers.clone().any(|router| router.is_ready()) {
            return;
        }
        self.members[first.0].router.promote(now);
        self.collect(first);
        self.sync(now, group, first, State::Master);
    }

    /// Brings the other members into the state of the one that changed first.
    fn sync(&mut self, now: Instant, group: GroupId, first: RouterId, state: State) {
        let others: Vec<RouterId> = self.groups[group.0]
            .members
            .iter()
            .copied()
            .filter(|id| *id != first && self.members[id.0].router.state() != state)
            .collect();
        if !others.is_empty() {
            self.actions.push_back(NodeAction::GroupLog(group, GroupNotice::Syncing(state)));
        }
        for id in others {
            let router = &mut self.members[id.0].router;
            match state {
                State::Master => router.promote(now),
                // Who is at fault with the group is mended with it, by `track`.
                State::Backup => router.demote(now),
                State::Fault => router.set_fault(now, true),
                State::Initialize => {}
            }
            self.collect(id);
        }
    }

    /// When all members agree on a new state, the scripts of the group hear it.
    fn settle(&mut self, group: GroupId) {
        let mut states = self.groups[group.0].members.iter().map(|id| self.members[id.0].router.state());
        let Some(state) = states.next() else { return };
        if states.any(|other| other != state) || state == self.groups[group.0].state {
            return;
        }
        self.groups[group.0].state = state;
        match state {
            State::Initialize => {}
            State::Backup => self.group_notify(group, NotifyEvent::Backup),
            State::Master => self.group_notify(group, NotifyEvent::Master),
            State::Fault => self.group_notify(group, NotifyEvent::Fault),
        }
    }

    fn group_notify(&mut self, group: GroupId, event: NotifyEvent) {
        self.actions.push_back(NodeAction::GroupNotify(group, Notification { event, priority: 0 }));
    }
}
