//! What an instance holds on the host while it is master: addresses, routes, rules, filter entries. Adds and removes
//! them, and knows which of them somebody else took away.

use crate::interfaces::Interfaces;
use crate::kernel::{Kernel, gone_is_fine};
use keepalived_config::model::{self, TrackGroupId};
use netlink::address::{HOME, MANAGE_TEMPORARY, NO_DETECTION, NO_PREFIX_ROUTE};
use netlink::route::{Kind, NextHop};
use netlink::rule::action;
use netlink::{Address, Event, FAMILY_IPV4, FAMILY_IPV6, PROTOCOL_KEEPALIVED, Route, Rule};
use rustix::io::Errno;
use std::io;
use std::net::IpAddr;

/// One address of the configuration, on the interface where it belongs now.
#[derive(Debug, Clone)]
pub struct Held {
    pub address: Address,
    /// Its loss is noticed.
    pub track: bool,
    /// Told in adverts (not `virtual_ipaddress_excluded`).
    pub advertised: bool,
    presence: Presence,
    group: Option<TrackGroupId>,
}

/// What became of something that is to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Not added yet.
    Absent,
    Set,
    /// Somebody took it away.
    Lost,
    /// It could not be added, and that was told: it is tried again when interfaces change.
    Failed,
}

impl Presence {
    fn of(result: &io::Result<()>) -> Self {
        if result.is_ok() { Self::Set } else { Self::Failed }
    }

    fn is_to_be_added(self) -> bool {
        matches!(self, Self::Absent | Self::Failed)
    }
}

/// A route or a rule.
#[derive(Debug, Clone)]
struct Kept<T> {
    what: T,
    track: bool,
    presence: Presence,
    group: Option<TrackGroupId>,
}

impl<T> Kept<T> {
    fn new(what: T, track: bool, group: Option<TrackGroupId>) -> Self {
        Self { what, track, presence: Presence::Absent, group }
    }
}

/// What one instance holds.
#[derive(Debug, Default)]
pub struct Holdings {
    pub addresses: Vec<Held>,
    routes: Vec<Kept<Route>>,
    rules: Vec<Kept<Rule>>,
    pub is_held: bool,
}

/// Something that failed, for the log.
#[derive(Debug)]
pub struct Failure {
    pub what: String,
    pub error: io::Error,
}

impl Holdings {
    /// Resolves names to indexes. `interface` is where addresses without `dev` belong. What names an interface that is
    /// not there is left out and reported.
    pub fn resolve(
        interfaces: &Interfaces,
        instance: &model::Instance,
        interface: Option<u32>,
    ) -> (Self, Vec<String>) {
        let told = instance.addresses.iter().map(|address| (address, true));
        let addresses = told.chain(instance.excluded_addresses.iter().map(|one| (one, false)));
        Self::of(interfaces, interface, addresses, &instance.routes, &instance.rules)
    }

    /// What `static_ipaddress`, `static_routes` and `static_rules` hold.
    pub fn of_statics(interfaces: &Interfaces, model: &model::Model) -> (Self, Vec<String>) {
        let addresses = model.static_addresses.iter().map(|address| (address, false));
        Self::of(interfaces, None, addresses, &model.static_routes, &model.static_rules)
    }

    fn of<'a>(
        interfaces: &Interfaces,
        interface: Option<u32>,
        addresses: impl Iterator<Item = (&'a model::Address, bool)>,
        routes: &[model::Route],
        rules: &[model::Rule],
    ) -> (Self, Vec<String>) {
        let mut missing = Vec::new();
        let mut find = |name: &Option<String>| match name {
            None => interface,
            Some(name) => {
                let index = interfaces.index_of(name);
                if index.is_none() && !missing.contains(name) {
                    missing.push(name.clone());
                }
                index
            }
        };
        let mut holdings = Self::default();
        for (address, advertised) in addresses {
            if let Some(index) = find(&address.interface) {
                let (track, group) = (address.track, address.track_group);
                let address = kernel_address(address, index);
                holdings.addresses.push(Held {
                    address,
                    track,
                    advertised,
                    presence: Presence::Absent,
                    group,
                });
            }
        }
        for route in routes {
            if let Some(resolved) = kernel_route(route, &mut find) {
                holdings.routes.push(Kept::new(resolved, route.track, route.track_group));
            }
        }
        holdings.rules =
            rules.iter().map(|rule| Kept::new(kernel_rule(rule), rule.track, rule.track_group)).collect();
        (holdings, missing)
    }

    /// Adds everything, addresses first: routes may need them.
    pub fn add(&mut self, kernel: &mut Kernel) -> Vec<Failure> {
        self.add_where(kernel, |_| true).0
    }

    /// Adds what is chosen. The failures that are news, and whether an address was added.
    fn add_where(&mut self, kernel: &mut Kernel, chosen: impl Fn(Presence) -> bool) -> (Vec<Failure>, bool) {
        let mut failures = Vec::new();
        let mut added = false;
        self.is_held = true;
        let mut set = |presence: &mut Presence, result: io::Result<()>, what: &dyn Fn() -> String| {
            let was = std::mem::replace(presence, Presence::of(&result));
            if was != Presence::Failed {
                note(&mut failures, result, what);
            }
        };
        for held in self.addresses.iter_mut().filter(|held| chosen(held.presence)) {
            let result = kernel.add_address(&held.address);
            added |= result.is_ok();
            set(&mut held.presence, result, &|| format!("address {}", held.address.local));
        }
        for kept in self.routes.iter_mut().filter(|kept| chosen(kept.presence)) {
            let result = there_is_fine(kernel.request(|sequence| kept.what.add(sequence)));
            set(&mut kept.presence, result, &|| format!("route {:?}", kept.what.destination));
        }
        for kept in self.rules.iter_mut().filter(|kept| chosen(kept.presence)) {
            let result = there_is_fine(kernel.request(|sequence| kept.what.add(sequence)));
            set(&mut kept.presence, result, &|| format!("rule of table {}", kept.what.table));
        }
        (failures, added)
    }

    /// Goes over to `fresh`, which is the same configuration on the interfaces as they are now: what belongs to an
    /// interface that came, and what could not be added before, is added. The failures that are news, and whether
    /// an address was added.
    pub fn follow(&mut self, kernel: &mut Kernel, mut fresh: Self) -> (Vec<Failure>, bool) {
        for held in &mut fresh.addresses {
            if let Some(old) = self.addresses.iter().find(|old| old.address == held.address) {
                held.presence = old.presence;
            }
        }
        carry_over(&self.routes, &mut fresh.routes);
        carry_over(&self.rules, &mut fresh.rules);
        *self = fresh;
        self.add_where(kernel, Presence::is_to_be_added)
    }

    /// As [`Holdings::follow`], for what is to be there whatever happens: what somebody took away is added again too.
    pub fn restore(&mut self, kernel: &mut Kernel, fresh: Self) -> Vec<Failure> {
        let lost = |presence: &mut Presence| {
            if *presence == Presence::Lost {
                *presence = Presence::Absent;
            }
        };
        self.addresses.iter_mut().for_each(|held| lost(&mut held.presence));
        self.routes.iter_mut().for_each(|kept| lost(&mut kept.presence));
        self.rules.iter_mut().for_each(|kept| lost(&mut kept.presence));
        self.doubt_routes();
        self.follow(kernel, fresh).0
    }

    /// A link that goes takes routes of IPv4 along without a word of the kernel: they are added again, which is nothing
    /// where they are there.
    pub fn doubt_routes(&mut self) {
        for kept in &mut self.routes {
            if kept.presence == Presence::Set {
                kept.presence = Presence::Absent;
            }
        }
    }

    /// Whether that route was added and is there.
    pub fn has_route(&self, interfaces: &Interfaces, route: &model::Route) -> bool {
        let mut find = |name: &Option<String>| name.as_deref().and_then(|name| interfaces.index_of(name));
        let Some(wanted) = kernel_route(route, &mut find) else { return false };
        self.routes.iter().any(|kept| kept.what == wanted && kept.presence == Presence::Set)
    }

    pub fn has_rule(&self, rule: &model::Rule) -> bool {
        let wanted = kernel_rule(rule);
        self.rules.iter().any(|kept| kept.what == wanted && kept.presence == Presence::Set)
    }

    /// How many things of that `track_group` are in place.
    pub fn set_of(&self, group: TrackGroupId) -> usize {
        let addresses = self.addresses.iter().map(|held| (held.group, held.presence));
        let routes = self.routes.iter().map(|kept| (kept.group, kept.presence));
        let rules = self.rules.iter().map(|kept| (kept.group, kept.presence));
        let all = addresses.chain(routes).chain(rules);
        all.filter(|one| *one == (Some(group), Presence::Set)).count()
    }

    /// Removes everything, the other way round.
    pub fn remove(&mut self, kernel: &mut Kernel) -> Vec<Failure> {
        let mut failures = Vec::new();
        self.is_held = false;
        for kept in &mut self.rules {
            let result = gone_is_fine(kernel.request(|sequence| kept.what.remove(sequence)));
            kept.presence = Presence::Absent;
            note(&mut failures, result, || format!("rule of table {}", kept.what.table));
        }
        for kept in &mut self.routes {
            let result = gone_is_fine(kernel.request(|sequence| kept.what.remove(sequence)));
            kept.presence = Presence::Absent;
            note(&mut failures, result, || format!("route {:?}", kept.what.destination));
        }
        for held in &mut self.addresses {
            let result = kernel.remove_address(&held.address);
            held.presence = Presence::Absent;
            note(&mut failures, result, || format!("address {}", held.address.local));
        }
        failures
    }

    /// Removes what `next` does not hold.
    pub fn remove_except(&mut self, kernel: &mut Kernel, next: &Self) -> Vec<Failure> {
        let mut failures = Vec::new();
        let rule_stays = |rule: &Rule| next.rules.iter().any(|other| other.what == *rule);
        for rule in self.rules.iter().map(|kept| &kept.what).filter(|rule| !rule_stays(rule)) {
            let result = gone_is_fine(kernel.request(|sequence| rule.remove(sequence)));
            note(&mut failures, result, || format!("rule of table {}", rule.table));
        }
        let route_stays = |route: &Route| next.routes.iter().any(|other| other.what == *route);
        for route in self.routes.iter().map(|kept| &kept.what).filter(|route| !route_stays(route)) {
            let result = gone_is_fine(kernel.request(|sequence| route.remove(sequence)));
            note(&mut failures, result, || format!("route {:?}", route.destination));
        }
        let stays = |held: &Held| {
            next.addresses.iter().any(|other| {
                other.address.local == held.address.local
                    && other.address.interface == held.address.interface
                    && other.address.prefix_length == held.address.prefix_length
            })
        };
        for held in self.addresses.iter().filter(|held| !stays(held)) {
            let result = kernel.remove_address(&held.address);
            note(&mut failures, result, || format!("address {}", held.address.local));
        }
        failures
    }

    /// Whether the addresses are the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.addresses.iter().map(|held| &held.address).eq(other.addresses.iter().map(|held| &held.address))
    }

    /// Whether every advertised address is on the host, marked as failover's: a predecessor left it.
    pub fn is_in_place(&self, interfaces: &Interfaces) -> bool {
        !self.addresses.is_empty()
            && self.addresses.iter().all(|held| {
                let interface = interfaces.by_index(held.address.interface);
                let there = interface.and_then(|interface| interface.find(held.address.local));
                there.is_some_and(|there| there.protocol == PROTOCOL_KEEPALIVED)
            })
    }

    /// Whether the event takes away something of ours that is watched. It is marked as gone.
    pub fn loses(&mut self, event: &Event) -> bool {
        if !self.is_held {
            return false;
        }
        self.loses_what(event)
    }

    fn loses_what(&mut self, event: &Event) -> bool {
        match event {
            Event::AddressGone(gone) => self.addresses.iter_mut().any(|held| {
                let same = held.address.interface == gone.interface
                    && held.address.local == gone.local
                    && held.address.prefix_length == gone.prefix_length;
                let lost = same && held.presence == Presence::Set;
                if lost {
                    held.presence = Presence::Lost;
                }
                lost && held.track
            }),
            Event::RouteGone(gone) => lose(&mut self.routes, |route| route.is_same(gone)),
            Event::RuleGone(gone) => lose(&mut self.rules, |rule| rule.is_same(gone)),
            Event::LinkThere(_)
            | Event::LinkGone(_)
            | Event::AddressThere(_)
            | Event::RouteThere(_)
            | Event::RuleThere(_) => false,
        }
    }

    /// Whether one of the held addresses is absent from the host.
    pub fn is_incomplete(&self, interfaces: &Interfaces) -> bool {
        self.is_held
            && self.addresses.iter().filter(|held| held.track).any(|held| {
                let interface = interfaces.by_index(held.address.interface);
                interface.is_some_and(|interface| interface.find(held.address.local).is_none())
            })
    }

    /// The virtual addresses, for telling them from the host's own.
    pub fn locals(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(|held| held.address.local).collect()
    }
}

/// What stays as it is keeps what became of it.
fn carry_over<T: PartialEq>(old: &[Kept<T>], fresh: &mut [Kept<T>]) {
    for kept in fresh {
        if let Some(old) = old.iter().find(|old| old.what == kept.what) {
            kept.presence = old.presence;
        }
    }
}

/// Marks what is gone. Whether something of it is watched.
fn lose<T>(all: &mut [Kept<T>], is_gone: impl Fn(&T) -> bool) -> bool {
    let mut watched = false;
    for kept in all.iter_mut().filter(|kept| is_gone(&kept.what)) {
        kept.presence = Presence::Lost;
        watched |= kept.track;
    }
    watched
}

fn note(failures: &mut Vec<Failure>, result: io::Result<()>, what: impl FnOnce() -> String) {
    if let Err(error) = result {
        failures.push(Failure { what: what(), error });
    }
}

fn there_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => Ok(()),
        other => other,
    }
}

/// An address of the configuration as the kernel takes it.
pub fn kernel_address(address: &model::Address, interface: u32) -> Address {
    let mut result = Address::new(interface, address.prefix.address, address.prefix.length);
    result.scope = address.scope;
    result.broadcast = address.broadcast.map(IpAddr::V4);
    result.label = address.label.clone();
    result.peer = address.peer.map(|peer| peer.address);
    if let Some(peer) = address.peer {
        result.prefix_length = peer.length;
    }
    result.protocol = PROTOCOL_KEEPALIVED;
    let flags = [
        // The address is ours to use at once; who else has it is VRRP's business.
        (address.prefix.address.is_ipv6(), NO_DETECTION),
        (address.flags.home, HOME),
        (address.flags.manage_temporary, MANAGE_TEMPORARY),
        (address.flags.no_prefix_route, NO_PREFIX_ROUTE),
    ];
    result.flags = flags.iter().filter(|(wanted, _)| *wanted).fold(0, |flags, (_, flag)| flags | flag);
    if let Some(seconds) = address.preferred_lifetime {
        result.preferred_lifetime = seconds;
    }
    result
}

fn prefix(prefix: model::Prefix) -> (IpAddr, u8) {
    (prefix.address, prefix.length)
}

fn family_number(family: model::Family) -> u8 {
    match family {
        model::Family::Ipv4 => FAMILY_IPV4,
        model::Family::Ipv6 => FAMILY_IPV6,
    }
}

/// `RT_SCOPE_*`.
const SCOPE_HOST: u8 = 254;

/// A route of the configuration; `None` when one of its interfaces is not there.
pub fn kernel_route(
    route: &model::Route,
    find: &mut impl FnMut(&Option<String>) -> Option<u32>,
) -> Option<Route> {
    let destination = match route.destination {
        model::Destination::Default => None,
        model::Destination::Prefix(destination) => Some(prefix(destination)),
    };
    let mut result = Route::new(family_number(route.family), destination);
    result.kind = match route.kind {
        model::RouteKind::Unicast => Kind::Unicast,
        model::RouteKind::Local => Kind::Local,
        model::RouteKind::Broadcast => Kind::Broadcast,
        model::RouteKind::Anycast => Kind::Other(4),
        model::RouteKind::Multicast => Kind::Other(5),
        model::RouteKind::Blackhole => Kind::Blackhole,
        model::RouteKind::Unreachable => Kind::Unreachable,
        model::RouteKind::Prohibit => Kind::Prohibit,
        model::RouteKind::Throw => Kind::Throw,
        model::RouteKind::Nat => Kind::Other(10),
    };
    result.gateway = route.via;
    result.preferred_source = route.preferred_source;
    if route.interface.is_some() {
        result.interface = Some(find(&route.interface)?);
    }
    result.table = route.table;
    result.metric = route.metric;
    // As keepalived: global even without a gateway, where ip(8) would say link.
    result.scope = route.scope.unwrap_or(match (route.family, route.kind) {
        (model::Family::Ipv4, model::RouteKind::Local | model::RouteKind::Nat) => SCOPE_HOST,
        (model::Family::Ipv4 | model::Family::Ipv6, _) => 0,
    });
    result.type_of_service = route.tos;
    result.on_link = route.onlink;
    result.mtu = route.metrics.mtu.map(|mtu| mtu.value);
    result.protocol = route.protocol;
    for hop in &route.next_hops {
        let interface = if hop.interface.is_some() { find(&hop.interface)? } else { 0 };
        result.next_hops.push(NextHop {
            gateway: hop.via,
            interface,
            weight: hop.weight,
            on_link: hop.onlink,
        });
    }
    Some(result)
}

/// A rule of the configuration.
pub fn kernel_rule(rule: &model::Rule) -> Rule {
    let (code, table, goto) = match rule.action {
        model::RuleAction::Lookup(table) => (action::TO_TABLE, table, None),
        model::RuleAction::L3mdev => (action::TO_TABLE, 0, None),
        model::RuleAction::Goto(target) => (action::GOTO, 0, Some(target)),
        model::RuleAction::Nop => (action::NOTHING, 0, None),
        model::RuleAction::Blackhole => (action::BLACKHOLE, 0, None),
        model::RuleAction::Unreachable => (action::UNREACHABLE, 0, None),
        model::RuleAction::Prohibit => (action::PROHIBIT, 0, None),
    };
    let mut result = Rule::new(family_number(rule.family), table);
    result.action = code;
    result.goto = goto;
    result.source = rule.from.map(prefix);
    result.destination = rule.to.map(prefix);
    result.priority = rule.priority;
    result.mark = rule.mark.map(|(mark, _)| mark);
    result.mark_mask = rule.mark.map(|(_, mask)| mask);
    result.input = rule.input_interface.clone();
    result.output = rule.output_interface.clone();
    result.type_of_service = rule.tos;
    result.inverted = rule.not;
    result.suppress_prefix_length =
        rule.suppress_prefix_length.filter(|length| *length >= 0).map(i32::cast_unsigned);
    result.suppress_group = rule.suppress_interface_group;
    result.realms = rule.realms;
    result.tunnel = rule.tunnel_id;
    result.users = rule.user_range;
    result.ip_protocol = rule.ip_protocol;
    result.source_ports = rule.source_ports;
    result.destination_ports = rule.destination_ports;
    result.l3mdev = rule.action == model::RuleAction::L3mdev;
    result
}
