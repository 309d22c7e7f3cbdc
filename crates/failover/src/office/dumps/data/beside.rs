//! What stands beside the instances: statics, groups of gratuitous ARP, routes and rules, what is tracked.

use super::super::View;
use crate::snapshot::InstanceSnapshot;
use keepalived_config::model::{
    Destination, Instance, Prefix, Route, RouteKind, RouteMode, Rule, RuleAction, Tracked, Tracking,
};
use std::fmt::Write;

/// `RT_TABLE_MAIN`.
const TABLE_MAIN: u32 = 254;

pub(super) fn garp_groups(text: &mut String, view: &View<'_>) {
    if view.model.garp_groups.is_empty() {
        return;
    }
    text.push_str("------< Gratuitous ARP delays >------\n");
    for (place, group) in view.model.garp_groups.iter().enumerate() {
        let _ = writeln!(text, "------< GARP delay group {} >------", place + 1);
        if let Some(interval) = group.garp_interval {
            let _ = writeln!(text, " GARP interval = {}", interval.as_secs_f64());
        }
        if let Some(interval) = group.gna_interval {
            let _ = writeln!(text, " GNA interval = {}", interval.as_secs_f64());
        }
        text.push_str(" Interfaces\n");
        group.interfaces.iter().for_each(|name| {
            let _ = writeln!(text, "  {name}");
        });
    }
}

pub(super) fn statics(text: &mut String, view: &View<'_>) {
    let model = view.model;
    if !model.static_addresses.is_empty() {
        text.push_str("------< Static Addresses >------\n");
        for address in &model.static_addresses {
            let name = address.interface.clone();
            let there = name.as_deref().and_then(|name| view.snapshot.interfaces.by_name(name));
            let is_set = there.is_some_and(|there| there.find(address.prefix.address).is_some());
            let line = super::address_line(address, name, is_set);
            let _ = writeln!(text, "     {line}");
        }
    }
    let mut put = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    routes(&mut put, "------< Static Routes >------", "     ", &model.static_routes);
    rules(&mut put, "------< Static Rules >------", "     ", &model.static_rules);
}

fn prefix(prefix: Prefix) -> String {
    let full = if prefix.address.is_ipv4() { 32 } else { 128 };
    if prefix.length == full {
        return prefix.address.to_string();
    }
    format!("{}/{}", prefix.address, prefix.length)
}

pub(super) fn routes(put: &mut impl FnMut(String), title: &str, indent: &str, all: &[Route]) {
    if all.is_empty() {
        return;
    }
    put(title.to_owned());
    all.iter().for_each(|route| put(format!("{indent}{}", route_line(route))));
}

/// `prepend 10.2.0.0/16 via inet 10.9.0.9 dev eth0 proto 18`
fn route_line(route: &Route) -> String {
    let mut line = String::new();
    match route.mode {
        RouteMode::Add => line.push_str("add "),
        RouteMode::Prepend => line.push_str("prepend "),
        RouteMode::Append => line.push_str("append "),
    }
    let kind = match route.kind {
        RouteKind::Unicast => "",
        RouteKind::Local => "local ",
        RouteKind::Broadcast => "broadcast ",
        RouteKind::Anycast => "anycast ",
        RouteKind::Multicast => "multicast ",
        RouteKind::Blackhole => "blackhole ",
        RouteKind::Unreachable => "unreachable ",
        RouteKind::Prohibit => "prohibit ",
        RouteKind::Throw => "throw ",
        RouteKind::Nat => "nat ",
    };
    line.push_str(kind);
    match route.destination {
        Destination::Default => line.push_str("default"),
        Destination::Prefix(destination) => line.push_str(&prefix(destination)),
    }
    if let Some(source) = route.preferred_source {
        let _ = write!(line, " src {source}");
    }
    if let Some(via) = route.via {
        let _ = write!(line, " via {} {via}", if via.is_ipv4() { "inet" } else { "inet6" });
    }
    if let Some(interface) = &route.interface {
        let _ = write!(line, " dev {interface}");
    }
    if route.table != TABLE_MAIN {
        let _ = write!(line, " table {}", route.table);
    }
    let _ = write!(line, " proto {}", route.protocol);
    if let Some(metric) = route.metric {
        let _ = write!(line, " metric {metric}");
    }
    for hop in &route.next_hops {
        line.push_str(" nexthop");
        if let Some(via) = hop.via {
            let _ = write!(line, " via {} {via}", if via.is_ipv4() { "inet" } else { "inet6" });
        }
        if let Some(interface) = &hop.interface {
            let _ = write!(line, " dev {interface}");
        }
        let _ = write!(line, " weight {}", hop.weight);
    }
    if !route.track {
        line.push_str(" no_track");
    }
    line
}

pub(super) fn rules(put: &mut impl FnMut(String), title: &str, indent: &str, all: &[Rule]) {
    if all.is_empty() {
        return;
    }
    put(title.to_owned());
    all.iter().for_each(|rule| put(format!("{indent}{}", rule_line(rule))));
}

/// `from 10.7.0.1 priority 900 tos 0x0 protocol 18 lookup 100`
fn rule_line(rule: &Rule) -> String {
    let mut line = String::new();
    if rule.not {
        line.push_str("not ");
    }
    line.push_str(&rule.from.map_or_else(|| "from all".to_owned(), |from| format!("from {}", prefix(from))));
    if let Some(to) = rule.to {
        let _ = write!(line, " to {}", prefix(to));
    }
    if let Some(priority) = rule.priority {
        let _ = write!(line, " priority {priority}");
    }
    if let Some((mark, mask)) = rule.mark {
        let _ = write!(line, " fwmark 0x{mark:x}/0x{mask:x}");
    }
    let _ = write!(line, " tos 0x{:x}", rule.tos);
    if let Some(name) = &rule.input_interface {
        let _ = write!(line, " iif {name}");
    }
    if let Some(name) = &rule.output_interface {
        let _ = write!(line, " oif {name}");
    }
    let _ = write!(line, " protocol {}", rule.protocol);
    let _ = match rule.action {
        RuleAction::Lookup(table) => write!(line, " lookup {table}"),
        RuleAction::L3mdev => write!(line, " l3mdev"),
        RuleAction::Goto(target) => write!(line, " goto {target}"),
        RuleAction::Nop => write!(line, " nop"),
        RuleAction::Blackhole => write!(line, " blackhole"),
        RuleAction::Unreachable => write!(line, " unreachable"),
        RuleAction::Prohibit => write!(line, " prohibit"),
    };
    line
}

/// Instances that watch one thing: `     VI_1, weight 3`.
fn watchers<T>(
    text: &mut String,
    view: &View<'_>,
    list: impl Fn(&Tracking) -> &[Tracked<T>],
    is_it: impl Fn(&T) -> bool,
) {
    for instance in &view.model.instances {
        for tracked in list(&instance.tracking).iter().filter(|tracked| is_it(&tracked.what)) {
            let _ = writeln!(text, "     {}, weight {}", instance.name, tracked.weight);
        }
    }
}

pub(super) fn track_files(text: &mut String, view: &View<'_>) {
    if view.model.track_files.is_empty() {
        return;
    }
    text.push_str("------< VRRP Track files >------\n");
    for (place, file) in view.model.track_files.iter().enumerate() {
        let _ = writeln!(text, " Track file = {}\n   File = {}", file.name, file.path.display());
        let _ = writeln!(text, "   Status = {}", view.files.value(place));
        let _ = writeln!(text, "   Weight = {}{}", file.weight, if file.reverse { " reverse" } else { "" });
        text.push_str("   Tracking instances :\n");
        watchers(text, view, |tracking| &tracking.files, |id| id.index() == place);
    }
}

pub(super) fn track_processes(text: &mut String, view: &View<'_>) {
    if view.processes.is_empty() {
        return;
    }
    text.push_str("------< VRRP Track processes >------\n");
    for (place, tracked) in view.processes.iter().enumerate() {
        let wanted = &tracked.wanted;
        let _ = writeln!(text, " VRRP Track process = {}", wanted.name);
        let mut put = |line: String| {
            let _ = writeln!(text, "   {line}");
        };
        put(format!("Process = {}", wanted.process.join(" ")));
        put(format!("Min processes = {}", wanted.quorum));
        if let Some(most) = wanted.quorum_max {
            put(format!("Max processes = {most}"));
        }
        put(format!("Current processes = {}", tracked.count));
        put(format!("Have quorum = {}", tracked.is_good == Some(true)));
        put(format!("Weight = {}{}", wanted.weight, if wanted.reverse { " reverse" } else { "" }));
        put(format!("Terminate delay = {:.6}s", wanted.terminate_delay.as_secs_f64()));
        put(format!("Fork delay = {:.6}s", wanted.fork_delay.as_secs_f64()));
        let runs = |runs: bool| if runs { "running" } else { "not running" };
        put(format!("Fork delay timer {}", runs(tracked.waits_for() == Some(true))));
        put(format!("Terminate delay timer {}", runs(tracked.waits_for() == Some(false))));
        put(format!("Full command = {}", wanted.full_command));
        put("Tracking instances :".to_owned());
        watchers(text, view, |tracking| &tracking.processes, |id| id.index() == place);
    }
}

pub(super) fn track_bfd(text: &mut String, view: &View<'_>) {
    if view.model.bfd_sessions.is_empty() {
        return;
    }
    text.push_str("------< VRRP Track BFDs >------\n");
    for (place, session) in view.model.bfd_sessions.iter().enumerate() {
        let is_up = view.snapshot.bfd.get(place) == Some(&true);
        let reverse = if session.reverse { " reverse" } else { "" };
        let _ = writeln!(text, " VRRP Track BFD = {}\n   Weight = {}{reverse}", session.name, session.weight);
        let _ = writeln!(text, "   Bfd is {}", if is_up { "up" } else { "down" });
        text.push_str("   Tracking VRRP instances :\n   Tracking instances :\n");
        watchers(text, view, |tracking| &tracking.bfd, |id| id.index() == place);
    }
}

/// Whose interface it is, and how fast gratuitous ARP may follow on it.
pub(super) fn of_interface(put: &mut impl FnMut(String), view: &View<'_>, name: &str) {
    for (place, group) in view.model.garp_groups.iter().enumerate() {
        if group.interfaces.iter().any(|known| known == name) {
            if let Some(interval) = group.garp_interval {
                put(format!("Gratuitous ARP interval {}ms", interval.as_millis()));
            }
            if let Some(interval) = group.gna_interval {
                put(format!("Gratuitous NA interval {}ms", interval.as_millis()));
            }
            put(format!("Gratuitous ARP aggregation group {}", place + 1));
        }
    }
    let weight = |instance: &Instance, one: &InstanceSnapshot| {
        let mut tracked = instance.tracking.interfaces.iter();
        if let Some(tracked) = tracked.find(|tracked| tracked.what == name) {
            return Some(tracked.weight);
        }
        let is_own =
            one.own_interface.as_deref() == Some(name) || instance.interface.as_deref() == Some(name);
        (instance.track_primary && is_own).then_some(0)
    };
    let all = view.model.instances.iter().zip(&view.snapshot.instances);
    let watching: Vec<String> = all
        .filter_map(|(instance, one)| {
            weight(instance, one).map(|weight| format!("  {}, weight {weight}", instance.name))
        })
        .collect();
    if !watching.is_empty() {
        put("Tracking VRRP instances :".to_owned());
        watching.into_iter().for_each(put);
    }
}
