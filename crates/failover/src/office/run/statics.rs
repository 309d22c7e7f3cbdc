//! What is on the host whatever state instances are in: static addresses, routes and rules, and macvlans. Somebody takes
//! them away, or their interfaces come and go: they are put back, and who depends on them (`track_group`) is told.

use super::{Office, say_macvlans};
use crate::channel::Order;
use crate::engine::holdings::Holdings;
use crate::log::Level;
use keepalived_config::model::TrackGroupId;
use netlink::Event;
use vrrp::tracking::Status;

impl Office {
    /// What the kernel told since it was last asked.
    pub(super) fn read_kernel(&mut self) {
        let (mut links, mut lost) = (false, Vec::new());
        let statics = &mut self.statics;
        let whole = self.kernel.notifications(|event| {
            let is_link = matches!(event, Event::LinkThere(_) | Event::LinkGone(_));
            links |= is_link;
            if !is_link && statics.loses(event) {
                lost.push(describe(event));
            }
        });
        match whole {
            Ok(true) => {}
            // Some notifications were lost: everything is looked at.
            Ok(false) => links = true,
            Err(error) => self.log.line(Level::Error, &format!("Netlink: {error}")),
        }
        let is_quiet = !links && lost.is_empty();
        if self.stopped.is_some() || is_quiet {
            return;
        }
        for what in lost {
            self.log.line(Level::Info, &format!("Restoring deleted static {what}"));
        }
        if links {
            self.make_macvlans_again();
        }
        self.restore_statics();
    }

    fn restore_statics(&mut self) {
        let (fresh, _) = Holdings::of_statics(&self.kernel.interfaces, &self.options.model);
        for failure in self.statics.restore(&mut self.kernel, fresh) {
            self.log.line(Level::Error, &format!("static {}: {}", failure.what, failure.error));
        }
        self.tell_track_groups();
    }

    /// Who depends on statics is at fault while one of them is absent.
    pub(super) fn tell_track_groups(&mut self) {
        let generation = self.plan.generation;
        for (place, (tracker, wanted)) in self.plan.track_groups.iter().enumerate() {
            let id = TrackGroupId(u32::try_from(place).unwrap_or(u32::MAX));
            let status = if self.statics.set_of(id) == *wanted { Status::Up } else { Status::Down };
            self.orders.send(Order::Track { generation, tracker: *tracker, status });
        }
    }

    /// A macvlan goes with the interface below it, and comes back with it.
    fn make_macvlans_again(&mut self) {
        let wanted = self.plan.macvlans();
        let interfaces = &self.kernel.interfaces;
        let is_to_be_made = wanted.iter().any(|macvlan| {
            interfaces.index_of(&macvlan.base).is_some() && interfaces.index_of(&macvlan.name).is_none()
        });
        if is_to_be_made && self.reloading.is_none() {
            let there = |name: &str| interfaces.index_of(name).is_some();
            self.macvlans.forget(|macvlan| !there(&macvlan.name));
            let plan = self.plan.clone();
            let makeable: Vec<_> = wanted.into_iter().filter(|macvlan| there(&macvlan.base)).collect();
            let outcomes = self.macvlans.apply(&mut self.kernel, &makeable);
            say_macvlans(&mut self.log, &plan, outcomes);
        }
    }
}

fn describe(event: &Event) -> String {
    let prefix = |destination: Option<(std::net::IpAddr, u8)>| match destination {
        Some((address, length)) => format!("{address}/{length}"),
        None => "default".to_owned(),
    };
    match event {
        Event::AddressGone(gone) => format!("address {}/{}", gone.local, gone.prefix_length),
        Event::RouteGone(gone) => format!("route {}", prefix(gone.destination)),
        Event::RuleGone(gone) => format!("rule of table {}", gone.table),
        Event::LinkThere(_)
        | Event::LinkGone(_)
        | Event::AddressThere(_)
        | Event::RouteThere(_)
        | Event::RuleThere(_) => String::new(),
    }
}
