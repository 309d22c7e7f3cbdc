//! All virtual routers of a machine, their groups, and what they track. Owns the order in which members of a group change
//! state; never the rules of a single one ([`crate::router`]).
//!
//! A group is as one: it is master when all its members are ready to be, backup when one of them must be, and at fault
//! while one of them is. The member that started it changes first, then the others in the order of the file, then the
//! group itself tells its scripts.

mod group;
mod reload;

pub use group::GroupNotice;
pub use reload::{Gone, Reloaded};

use crate::packet::Advert;
use crate::router::{Action, Notification, Router, RouterConfig, Start, State, Witness};
use crate::tracking::{Effect, Outcome, Status, effective_priority};
use group::Group;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

/// Position of a virtual router in [`NodeConfig::routers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouterId(pub usize);

/// Position of a group in [`NodeConfig::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub usize);

/// Position of a tracked thing in [`NodeConfig::trackers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackerId(pub usize);

/// A thing that is watched: an interface, a script, a process, a file. Only its name and its status matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// Its name: unique, so with the kind in it when kinds share names. A reload keeps the status by it.
    pub name: String,
    /// Before the first news; `Down` for `init_fail`.
    pub initial: Status,
}

/// A thing that a router or group tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// Which.
    pub tracker: TrackerId,
    /// How it counts.
    pub effect: Effect,
}

/// A virtual router and what it tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedRouter {
    /// The virtual router.
    pub router: RouterConfig,
    /// What it tracks; its own interface too, unless `dont_track_primary`.
    pub tracks: Vec<Track>,
}

/// A `vrrp_sync_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Its name.
    pub name: String,
    /// Its members, each in no other group.
    pub members: Vec<RouterId>,
    /// What is tracked for all members.
    pub tracks: Vec<Track>,
    /// Whether weights of single members count (`sync_group_tracking_weight`): then the members may be elected apart.
    pub tracking_weight: bool,
}

/// Everything on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// Virtual routers, of different names.
    pub routers: Vec<TrackedRouter>,
    /// Groups, of different names.
    pub groups: Vec<GroupConfig>,
    /// Things that are tracked, of different names.
    pub trackers: Vec<TrackerConfig>,
}

/// Why a configuration is refused: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeError {
    /// Two virtual routers, groups or tracked things have the same name.
    SameName(String),
    /// A group names a virtual router that is not there.
    NoRouter(RouterId),
    /// A track names a thing that is not there.
    NoTracker(TrackerId),
    /// A virtual router is in two groups, or twice in one.
    InTwoGroups(RouterId),
}

impl fmt::Display for NodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::SameName(name) => write!(out, "two things are called `{name}`"),
            NodeError::NoRouter(RouterId(number)) => write!(out, "there is no virtual router {number}"),
            NodeError::NoTracker(TrackerId(number)) => write!(out, "there is no tracked thing {number}"),
            NodeError::InTwoGroups(RouterId(number)) => {
                write!(out, "virtual router {number} is in more than one group")
            }
        }
    }
}

impl std::error::Error for NodeError {}

/// What the shell must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeAction {
    /// For a virtual router.
    Router(RouterId, Action),
    /// Run the scripts of a group.
    GroupNotify(GroupId, Notification),
    /// A line for the log, after `VRRP_Group(NAME) `.
    GroupLog(GroupId, GroupNotice),
}

#[derive(Debug)]
struct Member {
    router: Router,
    tracks: Vec<Track>,
    group: Option<GroupId>,
    /// Taken out of service by its operator.
    in_maintenance: bool,
    /// It starts as soon as all that may put it to fault is known.
    start: Option<Start>,
    /// Whether it was at fault itself, not by its group, when that was last looked at.
    own_fault: bool,
    /// Priority before anything is tracked, when the operator set another than the file.
    priority_override: Option<u8>,
}

/// All virtual routers of a machine.
#[derive(Debug)]
pub struct Node {
    members: Vec<Member>,
    groups: Vec<Group>,
    trackers: Vec<(String, Status)>,
    actions: VecDeque<NodeAction>,
}

impl Node {
    /// Nothing is started yet.
    ///
    /// # Errors
    /// The configuration contradicts itself.
    pub fn new(config: NodeConfig) -> Result<Node, NodeError> {
        config.check()?;
        let trackers = config.trackers.into_iter().map(|tracker| (tracker.name, tracker.initial)).collect();
        let members = config.routers.into_iter().map(Member::new).collect();
        let mut node = Node { members, groups: Vec::new(), trackers, actions: VecDeque::new() };
        node.set_groups(config.groups);
        Ok(node)
    }

    /// Starts every virtual router; `how` tells for each whether its addresses are still in place. A group is adopted only
    /// as a whole.
    pub fn start(&mut self, now: Instant, how: impl Fn(RouterId) -> Start) {
        for id in self.ids() {
            let start = self.start_of(id, &how);
            self.start_one(now, id, start);
        }
        self.settle_groups(now);
    }

    /// A member starts fresh when another of its group does.
    fn start_of(&self, id: RouterId, how: &impl Fn(RouterId) -> Start) -> Start {
        let group = self.members[id.0].group.map(|group| &self.groups[group.0]);
        let all_adopt = group.is_none_or(|group| {
            group.members.iter().all(|member| matches!(how(*member), Start::Adopt { .. }))
        });
        if all_adopt { how(id) } else { Start::Fresh }
    }

    fn start_one(&mut self, now: Instant, id: RouterId, start: Start) {
        let must_wait = self.tracks_of(id).any(|track| self.outcome(track) == Outcome::Hold);
        // Who goes on as master does not wait for the first run of a script.
        if must_wait && start == Start::Fresh {
            self.members[id.0].start = Some(start);
            self.members[id.0].router.clear();
            self.collect(id);
            return;
        }
        let at_fault = self.is_at_fault(id) || self.is_group_at_fault(id);
        self.members[id.0].own_fault = self.is_at_fault(id);
        let priority = self.tracked_priority(id);
        let router = &mut self.members[id.0].router;
        // Before it starts nothing is announced: these are its first values.
        router.set_fault(now, at_fault);
        router.preset_priority(priority);
        router.start(now, start);
        self.collect(id);
    }

    /// Stops every virtual router.
    pub fn stop(&mut self, now: Instant) {
        for id in self.ids() {
            self.members[id.0].start = None;
            self.members[id.0].router.stop(now);
            self.collect(id);
        }
        for group in 0..self.groups.len() {
            self.group_stopped(GroupId(group));
        }
    }

    /// A valid advert came for that virtual router.
    pub fn handle_advert(&mut self, now: Instant, id: RouterId, advert: &Advert) {
        self.with(now, id, |router| router.handle_advert(now, advert));
    }

    /// What is due by now is done.
    pub fn handle_timeout(&mut self, now: Instant) {
        for id in self.ids() {
            if self.members[id.0].router.poll_timeout().is_some_and(|at| at <= now) {
                self.with(now, id, |router| router.handle_timeout(now));
            }
        }
    }

    /// News of a tracked thing.
    pub fn set_tracker(&mut self, now: Instant, tracker: TrackerId, status: Status) {
        let known = &mut self.trackers[tracker.0].1;
        if *known == status {
            return;
        }
        *known = status;
        self.track(now);
    }

    /// Our address on the link of that virtual router changed.
    pub fn set_source(&mut self, id: RouterId, source: Option<IpAddr>) {
        self.members[id.0].router.set_source(source);
    }

    /// What the witness of that virtual router says.
    pub fn set_witness(&mut self, now: Instant, id: RouterId, witness: Witness) {
        self.members[id.0].router.set_witness(now, witness);
    }

    /// Someone took addresses of that virtual router away.
    pub fn handle_addresses_lost(&mut self, now: Instant, id: RouterId) {
        self.with(now, id, |router| router.handle_addresses_lost(now));
    }

    /// A master leaves by order of its operator, with its whole group.
    pub fn hand_over(&mut self, now: Instant, id: RouterId) {
        let members = match self.members[id.0].group {
            Some(group) => self.groups[group.0].members.clone(),
            None => vec![id],
        };
        // Each says that it leaves; by following the first one the others would go silently.
        for id in members {
            self.members[id.0].router.hand_over(now);
            self.collect(id);
        }
        self.settle_groups(now);
    }

    /// Takes a virtual router out of service, which is a fault, or puts it back.
    pub fn set_maintenance(&mut self, now: Instant, id: RouterId, in_maintenance: bool) {
        self.members[id.0].in_maintenance = in_maintenance;
        self.track(now);
    }

    /// Another priority than the file's, before anything is tracked; `None`: the file's again. Owners keep theirs.
    pub fn set_priority(&mut self, now: Instant, id: RouterId, priority: Option<u8>) {
        self.members[id.0].priority_override = priority;
        self.track(now);
    }

    /// How many virtual routers there are.
    pub fn router_count(&self) -> usize {
        self.members.len()
    }

    /// A virtual router.
    pub fn router(&self, id: RouterId) -> &Router {
        &self.members[id.0].router
    }

    /// Its numbers, for what the shell counts: packets that were dropped.
    pub fn statistics_mut(&mut self, id: RouterId) -> &mut crate::Statistics {
        self.members[id.0].router.statistics_mut()
    }

    /// Whether its operator took it out of service.
    pub fn is_in_maintenance(&self, id: RouterId) -> bool {
        self.members[id.0].in_maintenance
    }

    /// State of a group: that of its members when they last agreed.
    pub fn group_state(&self, id: GroupId) -> State {
        self.groups[id.0].state
    }

    /// What is known of a tracked thing.
    pub fn tracker(&self, id: TrackerId) -> Status {
        self.trackers[id.0].1
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<NodeAction> {
        self.actions.pop_front()
    }

    /// When `handle_timeout` must be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.members.iter().filter_map(|member| member.router.poll_timeout()).min()
    }

    fn ids(&self) -> impl Iterator<Item = RouterId> + use<> {
        (0..self.members.len()).map(RouterId)
    }

    /// Runs something on a virtual router, takes its actions, and lets its group follow.
    fn with(&mut self, now: Instant, id: RouterId, run: impl FnOnce(&mut Router)) {
        let before = self.members[id.0].router.state();
        run(&mut self.members[id.0].router);
        self.collect(id);
        self.follow(now, id, before);
    }

    fn collect(&mut self, id: RouterId) {
        while let Some(action) = self.members[id.0].router.poll_action() {
            self.actions.push_back(NodeAction::Router(id, action));
        }
    }

    /// Priorities and faults follow what is tracked.
    fn track(&mut self, now: Instant) {
        for id in self.ids() {
            let priority = self.tracked_priority(id);
            self.with(now, id, |router| router.set_priority(now, priority));
        }
        // Whose own fault it is goes first; its group follows it.
        let (first, rest): (Vec<RouterId>, Vec<RouterId>) =
            self.ids().partition(|id| self.is_at_fault(*id) != self.members[id.0].own_fault);
        for id in first.iter().copied() {
            self.members[id.0].own_fault = self.is_at_fault(id);
        }
        for id in first.into_iter().chain(rest) {
            let at_fault = self.is_at_fault(id) || self.is_group_at_fault(id);
            if at_fault != self.members[id.0].router.is_at_fault() {
                self.with(now, id, |router| router.set_fault(now, at_fault));
            }
        }
        for id in self.ids() {
            if let Some(start) = self.members[id.0].start.take() {
                self.start_one(now, id, start);
            }
        }
        self.settle_groups(now);
    }

    /// What may put a virtual router to fault, by itself or by its group.
    fn tracks_of(&self, id: RouterId) -> impl Iterator<Item = &Track> {
        let group = self.members[id.0].group.map(|group| &self.groups[group.0]);
        self.members[id.0].tracks.iter().chain(group.into_iter().flat_map(|group| &group.tracks))
    }

    fn outcome(&self, track: &Track) -> Outcome {
        track.effect.of(self.trackers[track.tracker.0].1)
    }

    /// How many of the things that the virtual router tracks do that to it now.
    pub fn count_of(&self, id: RouterId, outcome: Outcome) -> usize {
        self.members[id.0].tracks.iter().filter(|track| self.outcome(track) == outcome).count()
    }

    /// Whether the virtual router itself must be at fault.
    fn is_at_fault(&self, id: RouterId) -> bool {
        let member = &self.members[id.0];
        member.in_maintenance || member.tracks.iter().any(|track| self.outcome(track) == Outcome::Fault)
    }

    /// Whether its group must be, by what the group tracks or by another member.
    fn is_group_at_fault(&self, id: RouterId) -> bool {
        let Some(group) = self.members[id.0].group else { return false };
        let group = &self.groups[group.0];
        group.tracks.iter().any(|track| self.outcome(track) == Outcome::Fault)
            || group.members.iter().any(|member| self.is_at_fault(*member))
    }

    fn tracked_priority(&self, id: RouterId) -> u8 {
        let member = &self.members[id.0];
        let group = member.group.map(|group| &self.groups[group.0]);
        let own =
            if group.is_none_or(|group| group.tracking_weight) { member.tracks.as_slice() } else { &[] };
        let shared = group.map_or([].as_slice(), |group| &group.tracks);
        let weights = own
            .iter()
            .chain(shared)
            .map(|track| match self.outcome(track) {
                Outcome::Hold | Outcome::Fault => 0,
                Outcome::Weight(weight) => weight,
            })
            .sum();
        let configured = member.router.config().priority;
        let base = match member.priority_override {
            Some(priority) if !member.router.config().is_owner() => priority,
            Some(_) | None => configured,
        };
        effective_priority(base, weights)
    }
}

impl Member {
    fn new(config: TrackedRouter) -> Member {
        Member {
            router: Router::new(config.router),
            tracks: config.tracks,
            group: None,
            in_maintenance: false,
            start: None,
            own_fault: false,
            priority_override: None,
        }
    }
}

impl NodeConfig {
    fn check(&self) -> Result<(), NodeError> {
        let names: [Vec<&str>; 3] = [
            self.routers.iter().map(|router| router.router.name.as_str()).collect(),
            self.groups.iter().map(|group| group.name.as_str()).collect(),
            self.trackers.iter().map(|tracker| tracker.name.as_str()).collect(),
        ];
        for mut names in names {
            names.sort_unstable();
            if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(NodeError::SameName(pair[0].to_owned()));
            }
        }
        let mut grouped = vec![false; self.routers.len()];
        for member in self.groups.iter().flat_map(|group| &group.members) {
            let taken = grouped.get_mut(member.0).ok_or(NodeError::NoRouter(*member))?;
            if std::mem::replace(taken, true) {
                return Err(NodeError::InTwoGroups(*member));
            }
        }
        let tracks = self.routers.iter().flat_map(|router| &router.tracks);
        let tracks = tracks.chain(self.groups.iter().flat_map(|group| &group.tracks));
        match tracks.map(|track| track.tracker).find(|tracker| tracker.0 >= self.trackers.len()) {
            Some(tracker) => Err(NodeError::NoTracker(tracker)),
            None => Ok(()),
        }
    }
}
