//! Advice on what is valid and still surprises: each with its reason. Never changes the model, never fails a load.

use crate::context::Context;
use crate::model::{Authentication, Family, Instance, Model, Transport, Version, WantedState};
use diag::{Diagnostic, Span};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Gap of priorities that a start within the same second cannot bridge: 50/256 s.
const PRIORITY_GAP: u8 = 50;

/// Looks at one whole configuration.
pub(crate) fn lint(model: &Model, context: &mut Context<'_>) {
    duplicate_router_ids(model, context);
    duplicate_addresses(model, context);
    for instance in &model.instances {
        for advice in
            [priority_ties, strict_answers, strict_unicast, labels, foreign_subnets, cleartext, tiny_interval]
        {
            advice(instance, context);
        }
    }
    unused(model, context);
}

/// Adverts of both arrive at both: keepalived refuses the second.
fn duplicate_router_ids(model: &Model, context: &mut Context<'_>) {
    type Key<'m> = (Option<&'m str>, u8, Family, Option<IpAddr>);
    let mut seen: HashMap<Key<'_>, &Instance> = HashMap::new();
    for instance in &model.instances {
        let group = match &instance.transport {
            Transport::Multicast { group } => Some(*group),
            Transport::Unicast { .. } => None,
        };
        let key = (instance.interface.as_deref(), instance.virtual_router_id, instance.family, group);
        let Some(first) = seen.insert(key, instance) else {
            continue;
        };
        let overlap = match (&first.transport, &instance.transport) {
            (Transport::Unicast { peers: one, .. }, Transport::Unicast { peers: other, .. }) => {
                one.iter().any(|peer| other.iter().any(|same| same.address == peer.address))
            }
            _ => true,
        };
        if overlap {
            context.problem(
                Diagnostic::warning(
                    instance.span,
                    format!(
                        "`{}` and `{}` share virtual_router_id {} on one interface",
                        first.name, instance.name, instance.virtual_router_id
                    ),
                )
                .with_note(first.span, format!("`{}` is here", first.name))
                .with_note(None, "each would take the other's adverts for its own peers'"),
            );
        }
    }
}

fn duplicate_addresses(model: &Model, context: &mut Context<'_>) {
    let mut seen: HashMap<(IpAddr, Option<&str>), (&str, Span)> = HashMap::new();
    for instance in &model.instances {
        for address in instance.addresses.iter().chain(&instance.excluded_addresses) {
            let interface = address.interface.as_deref().or(instance.interface.as_deref());
            let entry = (instance.name.as_str(), instance.span);
            if let Some((owner, span)) = seen.insert((address.prefix.address, interface), entry) {
                context.advise(
                    Diagnostic::warning(
                        instance.span,
                        format!(
                            "{} is moved twice: by `{owner}` and by `{}`",
                            address.prefix.address, instance.name
                        ),
                    )
                    .with_note(span, format!("`{owner}` is here")),
                );
            }
        }
    }
}

/// row: 241
fn priority_ties(instance: &Instance, context: &mut Context<'_>) {
    let near =
        (100 - PRIORITY_GAP..=100 + PRIORITY_GAP).contains(&instance.priority) && instance.priority != 100;
    let usual = matches!(instance.priority, 90..=110);
    if !instance.preempt && near && usual {
        context.advise(
            Diagnostic::notice(
                instance.span,
                format!(
                    "under nopreempt, priority {} decides a start only if the other node's is {PRIORITY_GAP} away",
                    instance.priority
                ),
            )
            .with_note(None, "a difference of one is 4 ms of waiting: whichever daemon starts first becomes master")
            .with_help("give the nodes priorities such as 150 and 100"),
        );
    }
}

/// row: 219
fn strict_answers(instance: &Instance, context: &mut Context<'_>) {
    if instance.strict && instance.accept == crate::model::Accept::No && !instance.addresses.is_empty() {
        context.advise(
            Diagnostic::notice(
                instance.span,
                format!("strict mode drops every packet to the addresses of `{}`, pings too", instance.name),
            )
            .with_help("remove vrrp_strict, or write `accept` with `version 3`"),
        );
    }
}

/// row: 243
fn strict_unicast(instance: &Instance, context: &mut Context<'_>) {
    if instance.strict && matches!(instance.transport, Transport::Unicast { .. }) {
        context.advise(Diagnostic::warning(
            instance.span,
            format!("`{}` has unicast peers, which strict mode does not know: other strict routers drop its adverts", instance.name),
        ));
    }
}

fn labels(instance: &Instance, context: &mut Context<'_>) {
    for address in &instance.addresses {
        let interface = address.interface.as_deref().or(instance.interface.as_deref());
        if let (Some(label), Some(interface)) = (&address.label, interface)
            && label.split(':').next() != Some(interface)
        {
            context.advise(
                Diagnostic::notice(
                    instance.span,
                    format!("label `{label}` does not start with its interface `{interface}`: old tools do not show it"),
                )
                .with_help(format!("write `{interface}:1`")),
            );
        }
    }
}

fn foreign_subnets(instance: &Instance, context: &mut Context<'_>) {
    for address in &instance.addresses {
        let Some(name) = address.interface.as_deref().or(instance.interface.as_deref()) else {
            continue;
        };
        let Some(Some(facts)) = context.host.interface(name) else {
            continue;
        };
        let same_family: Vec<_> = facts
            .networks
            .iter()
            .filter(|network| network.address.is_ipv4() == address.prefix.address.is_ipv4())
            .collect();
        // Only a bare address relies on a network that is there already.
        let bare = address.prefix.length == if address.prefix.address.is_ipv4() { 32 } else { 128 };
        if bare
            && !same_family.is_empty()
            && !same_family.iter().any(|network| contains(network, address.prefix.address))
        {
            context.advise(
                Diagnostic::notice(
                    instance.span,
                    format!(
                        "{} lies in no network of `{name}`: hosts there do not ask for it",
                        address.prefix.address
                    ),
                )
                .with_help("add its mask (/24), or a route on the clients' side"),
            );
        }
    }
}

fn contains(network: &crate::model::Prefix, address: IpAddr) -> bool {
    match (network.address, address) {
        (IpAddr::V4(network_address), IpAddr::V4(address)) => {
            let shift = 32 - u32::from(network.length.min(32));
            u32::from(network_address).checked_shr(shift) == u32::from(address).checked_shr(shift)
        }
        (IpAddr::V6(network_address), IpAddr::V6(address)) => {
            let shift = 128 - u32::from(network.length.min(128));
            u128::from(network_address).checked_shr(shift) == u128::from(address).checked_shr(shift)
        }
        _ => false,
    }
}

fn cleartext(instance: &Instance, context: &mut Context<'_>) {
    if matches!(instance.authentication, Authentication::Password(_)) {
        context.advise(
            Diagnostic::new(
                diag::Severity::Diag,
                instance.span,
                format!(
                    "the secret of `{}` travels in clear text: it guards against mistakes only",
                    instance.name
                ),
            )
            .with_help("between nodes of this program use `auth_hmac { … }`"),
        );
    }
}

fn tiny_interval(instance: &Instance, context: &mut Context<'_>) {
    if instance.version == Version::V2
        && instance.advert_interval > Duration::from_secs(10)
        && instance.state == WantedState::Backup
    {
        context.advise(Diagnostic::notice(
            instance.span,
            format!(
                "a lost master of `{}` is noticed after {} s",
                instance.name,
                instance.advert_interval.as_secs() * u64::from(instance.down_timer_adverts)
            ),
        ));
    }
}

/// Scripts nobody watches are never run.
fn unused(model: &Model, context: &mut Context<'_>) {
    let trackings = || {
        model
            .instances
            .iter()
            .map(|instance| &instance.tracking)
            .chain(model.sync_groups.iter().map(|group| &group.tracking))
    };
    for (index, script) in model.scripts.iter().enumerate() {
        if !trackings().any(|tracking| tracking.scripts.iter().any(|tracked| tracked.what.index() == index)) {
            context.advise(Diagnostic::notice(
                script.span,
                format!("nothing tracks script `{}`: it never runs", script.name),
            ));
        }
    }
}

/// What two nodes of one pair disagree about. Spans of the second model lie in the first's table only if both were
/// loaded together, so all texts name what they mean.
pub fn compare_nodes(one: &Model, other: &Model) -> Vec<String> {
    let mut found = Vec::new();
    if one.global.router_id.is_some() && one.global.router_id == other.global.router_id {
        found.push(format!(
            "both nodes have router_id `{}`: mails do not tell them apart",
            one.global.router_id.as_deref().unwrap_or_default()
        ));
    }
    for instance in &one.instances {
        let Some(peer) = other.instances.iter().find(|peer| {
            peer.virtual_router_id == instance.virtual_router_id && peer.family == instance.family
        }) else {
            found.push(format!(
                "virtual_router_id {} (`{}`) is on one node only",
                instance.virtual_router_id, instance.name
            ));
            continue;
        };
        compare_instances(instance, peer, &mut found);
    }
    found
}

fn compare_instances(one: &Instance, other: &Instance, found: &mut Vec<String>) {
    let name = &one.name;
    let addresses = |instance: &Instance| {
        let mut list: Vec<IpAddr> = instance.addresses.iter().map(|address| address.prefix.address).collect();
        list.sort();
        list
    };
    if addresses(one) != addresses(other) {
        found.push(format!("`{name}`: the nodes list different addresses; each drops the other's adverts"));
    }
    if one.version != other.version {
        found.push(format!("`{name}`: the nodes speak different versions of VRRP"));
    }
    if one.advert_interval != other.advert_interval {
        found.push(format!("`{name}`: the nodes have different advert intervals"));
    }
    if one.authentication != other.authentication {
        found.push(format!("`{name}`: the nodes have different secrets; each drops the other's adverts"));
    }
    if one.priority == other.priority {
        found.push(format!("`{name}`: both nodes have priority {}; the higher address wins", one.priority));
    } else if (!one.preempt || !other.preempt) && one.priority.abs_diff(other.priority) < PRIORITY_GAP {
        // row: 241
        found.push(format!(
            "`{name}`: priorities {} and {} are too close under nopreempt: whichever node starts first is master",
            one.priority, other.priority
        ));
    }
}
