//! Another configuration while everything runs: what has the same name and is the same virtual router goes on, what is
//! new starts, what is gone stops.

use super::{Member, Node, NodeConfig, NodeError, RouterId, TrackedRouter};
use crate::router::{Router, Start};
use std::time::Instant;

/// What became of the virtual routers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// For each virtual router of the new configuration: which one it was. `None`: it is new and has started.
    pub before: Vec<Option<RouterId>>,
    /// Those that are gone, by their old position. Each was master or not; its last actions come with it.
    pub gone: Vec<Gone>,
}

/// A virtual router that a reload took away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its old position.
    pub was: RouterId,
    /// What must be done for it still: priority 0, addresses removed. Its `Stop` is for the shell to turn into `DELETED` or
    /// `FAULT`, as the file says.
    pub actions: Vec<crate::router::Action>,
}

impl Node {
    /// Takes another configuration. Adverts go on as if nothing were; positions in later actions are those of the new
    /// configuration. Actions not yet taken belong to the old one: take them first.
    ///
    /// # Errors
    /// The configuration contradicts itself; nothing changed.
    pub fn reload(&mut self, now: Instant, config: NodeConfig) -> Result<Reloaded, NodeError> {
        config.check()?;
        let mut old: Vec<Option<Member>> = std::mem::take(&mut self.members).into_iter().map(Some).collect();
        let mut before = Vec::with_capacity(config.routers.len());
        for new in config.routers {
            let known = old
                .iter()
                .position(|member| member.as_ref().is_some_and(|member| is_same(&member.router, &new)));
            let member = match known.and_then(|position| old[position].take()) {
                Some(mut member) => {
                    member.router.reconfigure(now, new.router);
                    member.tracks = new.tracks;
                    member
                }
                None => Member::new(new),
            };
            self.members.push(member);
            before.push(known.map(RouterId));
        }
        let gone = old.into_iter().enumerate().filter_map(|(was, member)| {
            let mut router = member?.router;
            router.stop(now);
            let actions = std::iter::from_fn(|| router.poll_action()).collect();
            Some(Gone { was: RouterId(was), actions })
        });
        let gone = gone.collect();
        let trackers = std::mem::take(&mut self.trackers);
        for tracker in config.trackers {
            let known = trackers.iter().find(|(name, _)| *name == tracker.name);
            let status = known.map_or(tracker.initial, |(_, status)| *status);
            self.trackers.push((tracker.name, status));
        }
        self.set_groups(config.groups);
        let fresh = before.iter().enumerate().filter(|(_, known)| known.is_none());
        for id in fresh.map(|(position, _)| RouterId(position)) {
            self.start_one(now, id, Start::Fresh);
        }
        self.track(now);
        Ok(Reloaded { before, gone })
    }
}

/// Whether it is the same virtual router: another number, version or family makes another one.
fn is_same(router: &Router, new: &TrackedRouter) -> bool {
    let (old, new) = (router.config(), &new.router);
    (&old.name, old.vrid, old.version, old.family) == (&new.name, new.vrid, new.version, new.family)
}
