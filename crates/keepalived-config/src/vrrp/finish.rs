//! Drafts to instances and groups: defaults, names to ids, and the rules between keywords, as keepalived applies them.

use super::TrackingDraft;
use super::group::{self, GroupDraft};
use super::instance::InstanceDraft;
use crate::context::Context;
use crate::model::{
    Accept, Authentication, Family, Garp, Global, Instance, InstanceId, InstanceNotify, Model, OwnInterface,
    Peer, Tracked, Tracking, Transport, Version, WantedState,
};
use crate::network::Entry;
use crate::track::TrackedDraft;
use diag::{Diagnostic, Span};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

/// Priority of who owns the addresses, RFC 9568 §6.1.
const PRIORITY_OWNER: u8 = 255;
const PRIORITY_DEFAULT: u8 = 100;
/// Addresses one advert can tell: its count is a byte.
const ADDRESSES_MAX: usize = 255;
/// VRRPv3 counts intervals in 12 bits of centiseconds.
const INTERVAL_V3_MAX: Duration = Duration::from_millis(40_950);

/// Puts instances and groups into the model; what is wrong with them is told.
pub(crate) fn finish(
    instances: Vec<InstanceDraft>,
    groups: Vec<GroupDraft>,
    model: &mut Model,
    context: &mut Context<'_>,
) {
    let names = Names::of(model);
    let mut ids: HashMap<String, (InstanceId, Span)> = HashMap::new();
    let mut broken: HashSet<String> = HashSet::new();
    for draft in instances {
        if let Some((_, first)) = ids.get(&draft.name.value) {
            context.push_alert(
                Diagnostic::alert(
                    draft.name.span,
                    format!("vrrp_instance `{}` is defined twice", draft.name.value),
                )
                .with_note(*first, "first here"),
            );
            continue;
        }
        let id = InstanceId(model.instances.len() as u32);
        let draft_name = draft.name.value.clone();
        ids.insert(draft.name.value.clone(), (id, draft.name.span));
        if let Some(instance) = instance(draft, &model.global, &names, context) {
            model.instances.push(instance);
        } else {
            // The load has failed already; who names it must not be told that it is unknown.
            ids.remove(&draft_name);
            broken.insert(draft_name);
        }
    }
    for draft in groups {
        group::finish_group(draft, &ids, &broken, &names, model, context);
    }
}

/// Names of things to watch, with their default weights.
pub(super) struct Names {
    scripts: HashMap<String, (u32, i32, bool)>,
    files: HashMap<String, (u32, i32, bool)>,
    processes: HashMap<String, (u32, i32, bool)>,
    bfd: HashMap<String, (u32, i32, bool)>,
}

impl Names {
    fn of(model: &Model) -> Names {
        macro_rules! table {
            ($list:expr) => {
                $list
                    .iter()
                    .enumerate()
                    .map(|(index, item)| (item.name.clone(), (index as u32, item.weight, item.reverse)))
                    .collect()
            };
        }
        Names {
            scripts: table!(model.scripts),
            files: table!(model.track_files),
            processes: table!(model.track_processes),
            bfd: table!(model.bfd_sessions),
        }
    }
}

fn resolve<T>(
    list: Vec<TrackedDraft>,
    names: &HashMap<String, (u32, i32, bool)>,
    what: &str,
    id: fn(u32) -> T,
    context: &mut Context<'_>,
) -> Vec<Tracked<T>> {
    let mut resolved = Vec::new();
    for entry in list {
        match names.get(&entry.name.value) {
            Some((index, weight, reverse)) => resolved.push(Tracked {
                what: id(*index),
                weight: entry.weight.unwrap_or(*weight),
                reverse: entry.reverse.unwrap_or(*reverse),
            }),
            None if context.dropped_scripts.contains(&entry.name.value) => {}
            None => {
                let error = crate::keywords::unknown(
                    what,
                    &entry.name,
                    "this file",
                    names.keys().map(String::as_str),
                );
                context.push_alert(*error);
            }
        }
    }
    resolved
}

pub(super) fn tracking(
    draft: TrackingDraft,
    own_interface: Option<&str>,
    names: &Names,
    context: &mut Context<'_>,
) -> Tracking {
    use crate::model::{BfdId, ScriptId, TrackFileId, TrackProcessId};
    let mut interfaces = Vec::new();
    for entry in draft.interfaces {
        let name = entry.name.value;
        if own_interface == Some(name.as_str()) {
            context.adjust(
                entry.name.span,
                format!("`{name}` is the instance's own interface and watched anyway"),
            );
            continue;
        }
        if context.host.interface(&name).is_none() {
            crate::network::address::missing_interface(&name, entry.name.span, context);
        }
        interfaces.push(Tracked {
            what: name,
            weight: entry.weight.unwrap_or(0),
            reverse: entry.reverse.unwrap_or(false),
        });
    }
    Tracking {
        interfaces,
        scripts: resolve(draft.scripts, &names.scripts, "vrrp_script", ScriptId, context),
        files: resolve(draft.files, &names.files, "track_file", TrackFileId, context),
        processes: resolve(draft.processes, &names.processes, "vrrp_track_process", TrackProcessId, context),
        bfd: resolve(draft.bfd, &names.bfd, "bfd_instance", BfdId, context),
        proxies: draft
            .proxies
            .into_iter()
            .map(|(what, weight, reverse, _)| Tracked { what, weight, reverse })
            .collect(),
    }
}

fn entries<T>(list: Vec<Entry<T>>) -> Vec<T> {
    list.into_iter().map(|entry| entry.value).collect()
}

fn family_of(draft: &InstanceDraft) -> Family {
    let first = draft.addresses.first().map(|entry| entry.value.prefix.address);
    let address = first
        .or(draft.unicast_source.map(|(address, _)| address))
        .or(draft.peers.first().map(|(peer, _)| peer.address))
        .or(draft.multicast_source.map(|(address, _)| address));
    match address {
        Some(address) => Family::of(address),
        None if draft.native_ipv6.is_some() => Family::Ipv6,
        None => Family::Ipv4,
    }
}

fn instance(
    mut draft: InstanceDraft,
    global: &Global,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<Instance> {
    let name = draft.name.value.clone();
    let at = draft.name.span;
    let family = family_of(&draft);
    check_families(&mut draft, family, context);
    let (router_id, complete) = required(&draft, context);

    let version = version(&draft, family, global, context);
    let strict = draft.strict.map_or(global.strict, |(strict, _)| strict);
    let strict_at = draft.strict.map_or(at, |(_, span)| span);
    if draft.addresses.is_empty() && !draft.no_addresses && !draft.broken {
        let needed = if strict { "is required in strict mode" } else { "is what an instance is for" };
        context.problem(
            Diagnostic::warning(at, format!("instance `{name}` has no virtual address; one {needed}"))
                .with_help("write `no_virtual_ipaddress` if that is meant"),
        );
    }
    let wanted = draft.state.map_or(WantedState::Backup, |(state, _)| state);
    let priority = match draft.priority {
        Some((priority, _)) => priority,
        // An owner by what it wishes: keepalived does the same.
        None if wanted == WantedState::Master && !draft.broken => PRIORITY_OWNER,
        None => PRIORITY_DEFAULT,
    };
    if let (None, Some((WantedState::Master, span)), false) = (draft.priority, draft.state, draft.broken) {
        context.advise(
            Diagnostic::warning(
                span,
                format!("without `priority`, MASTER makes `{name}` the owner of its addresses (255)"),
            )
            .with_help("set a priority, 150 for example"),
        );
    }
    if strict {
        apply_strict(&mut draft, version, family, wanted, priority, strict_at, context);
    }
    let state = start_state(&mut draft, wanted, priority, context);
    let authentication = authentication(&mut draft, version, strict, context);
    let advert_interval = interval(&draft, version, &name, context);
    let transport = transport(&draft, family, global, context);
    let garp = garp(&draft, global, strict);
    let lower_default = global.lower_priority_no_advert.unwrap_or(strict);
    let own_name = draft.interface.as_ref().map(|word| word.value.clone());
    let tracking = tracking(std::mem::take(&mut draft.tracking), own_name.as_deref(), names, context);
    if !complete {
        return None;
    }
    let own_interface = own_interface(&draft, router_id, family, context);
    if draft.own_interface == OwnInterface::None
        && let Some(span) = draft.transmit_on_base.take()
    {
        context.adjust(span, "`vmac_xmit_base` means nothing without `use_vmac`");
    }
    let interface = draft.interface.map(|word| word.value);
    let excluded = entries(draft.excluded);
    let addresses = entries(draft.addresses);
    Some(Instance {
        name,
        span: at,
        version,
        family,
        state,
        vrf: draft.vrf.map(|word| word.value),
        own_interface,
        vmac_for_addresses: draft.vmac_for_addresses,
        transmit_on_base: draft.transmit_on_base.is_some(),
        track_primary: !draft.dont_track_primary,
        source: draft.unicast_source.or(draft.multicast_source).map(|(address, _)| address),
        track_source: draft.track_source,
        transport,
        fault_without_peer: draft.fault_without_peer,
        virtual_router_id: router_id,
        priority,
        advert_interval,
        authentication,
        strict,
        accept: match draft.accept {
            Some((true, _)) => Accept::Yes,
            Some((false, _)) => Accept::No,
            None if strict && priority != PRIORITY_OWNER => Accept::No,
            None => Accept::Yes,
        },
        preempt: draft.nopreempt.is_none(),
        preempt_delay: draft.preempt_delay.map_or(Duration::ZERO, |(delay, _)| delay),
        down_timer_adverts: draft
            .down_timer_adverts
            .map_or(global.down_timer_adverts, |(adverts, _)| adverts),
        lower_priority_no_advert: draft.lower_priority_no_advert.map_or(lower_default, |(value, _)| value),
        higher_priority_send_advert: draft
            .higher_priority_send_advert
            .map_or(global.higher_priority_send_advert == Some(true) && !strict, |(value, _)| value),
        higher_priority_send_advert_is_given: draft.higher_priority_send_advert.is_some()
            || global.higher_priority_send_advert.is_some(),
        owner_ignore_adverts: draft.owner_ignore_adverts.unwrap_or(global.owner_ignore_adverts),
        timer_expired_backup: draft.timer_expired_backup,
        skip_check_advert_addresses: draft.skip_check.unwrap_or(global.skip_check_advert_addresses),
        unicast_checksum: draft.unicast_checksum,
        v3_checksum_as_v2: draft.v3_checksum_as_v2.unwrap_or(global.v3_checksum_as_v2),
        garp,
        addresses,
        excluded_addresses: excluded,
        routes: entries(draft.routes),
        rules: entries(draft.rules),
        promote_secondaries: draft.promote_secondaries,
        tracking,
        notify: notify(draft.notify, global, false),
        receive_buffer: draft.receive_buffer,
        witness: draft.witness.or_else(|| global.witness.clone()),
        sync_daemon_interface: draft.sync_daemon_interface,
        sync_group: None,
        interface,
    })
}

pub(super) fn notify(draft: super::notify::NotifyDraft, global: &Global, group: bool) -> InstanceNotify {
    let smtp = &global.smtp;
    // keepalived mails for groups as soon as there is a recipient to mail to; instances have to ask.
    let default =
        smtp.alert_vrrp.or(smtp.alert).unwrap_or(group && !smtp.to.is_empty() && draft.smtp_alert.is_some());
    InstanceNotify {
        priority_changes: draft.priority_changes.unwrap_or(global.notify_priority_changes),
        smtp_alert: draft.smtp_alert.unwrap_or(default),
        ..draft.notify
    }
}

/// What no instance works without; `false` when something is missing.
fn required(draft: &InstanceDraft, context: &mut Context<'_>) -> (u8, bool) {
    let name = &draft.name.value;
    let router_id = draft.virtual_router_id.as_ref().and_then(|word| word.value.parse().ok());
    if draft.broken {
        return (router_id.unwrap_or(1), false);
    }
    let mut complete = true;
    if router_id.is_none() {
        context.push_alert(
            Diagnostic::alert(draft.name.span, format!("instance `{name}` has no virtual_router_id"))
                .with_help("all nodes that share its addresses need the same number, 1 to 255"),
        );
        complete = false;
    }
    match (&draft.interface, &draft.vrf) {
        (None, _) if draft.peers.is_empty() => {
            context.push_alert(Diagnostic::alert(
                draft.name.span,
                format!("instance `{name}` has no interface; only unicast does without one"),
            ));
            complete = false;
        }
        (Some(interface), Some(vrf)) => {
            context.push_alert(
                Diagnostic::alert(vrf.span, "`vrf` is for instances without interface")
                    .with_note(interface.span, "the interface"),
            );
            complete = false;
        }
        (None, _) | (Some(_), None) => {}
    }
    (router_id.unwrap_or(1), complete)
}

/// Addresses of the other family cannot be told in adverts; sources and peers have to match.
fn check_families(draft: &mut InstanceDraft, family: Family, context: &mut Context<'_>) {
    let other = |address: IpAddr| Family::of(address) != family;
    for entry in &draft.addresses {
        if other(entry.value.prefix.address) {
            context.push_alert(
                Diagnostic::alert(
                    entry.span,
                    "adverts tell addresses of one family only, and the first one here is of the other",
                )
                .with_help("move it to virtual_ipaddress_excluded, or to an instance of its own"),
            );
        }
    }
    if draft.addresses.len() > ADDRESSES_MAX {
        let span = draft.addresses[ADDRESSES_MAX].span;
        context.push_alert(
            Diagnostic::alert(span, format!("an advert has room for {ADDRESSES_MAX} addresses"))
                .with_help("move the others to virtual_ipaddress_excluded"),
        );
    }
    for (address, span, what) in [
        draft.unicast_source.map(|(address, span)| (address, span, "unicast_src_ip")),
        draft.multicast_source.map(|(address, span)| (address, span, "mcast_src_ip")),
        draft.multicast_group.map(|(address, span)| (address, span, "mcast_dst_ip")),
    ]
    .into_iter()
    .flatten()
    {
        if other(address) {
            context.push_alert(Diagnostic::alert(span, format!("{what} is not of the addresses' family")));
        }
    }
    if let Some((group, span)) = draft.multicast_group
        && !group.is_multicast()
    {
        context.push_alert(Diagnostic::alert(span, format!("{group} is not a multicast address")));
    }
    for (peer, span) in &draft.peers {
        if other(peer.address) {
            context.push_alert(Diagnostic::alert(*span, "this peer is not of the addresses' family"));
        }
    }
    if let Some(span) = draft.native_ipv6
        && family == Family::Ipv4
    {
        context.adjust(span, "`native_ipv6` contradicts the addresses, which are IPv4");
    }
}

fn version(draft: &InstanceDraft, family: Family, global: &Global, context: &mut Context<'_>) -> Version {
    match (draft.version, family) {
        (Some((Version::V2, span)), Family::Ipv6) => {
            context.adjust(span, "VRRPv2 knows no IPv6: version 3 is taken");
            Version::V3
        }
        (Some((version, _)), _) => version,
        (None, Family::Ipv6) => Version::V3,
        (None, Family::Ipv4) => global.version,
    }
}

/// Clears what strict mode forbids, telling each.
fn apply_strict(
    draft: &mut InstanceDraft,
    version: Version,
    family: Family,
    wanted: WantedState,
    priority: u8,
    strict_at: Span,
    context: &mut Context<'_>,
) {
    let mut clear = |span: Span, message: &str| {
        context.problem(
            Diagnostic::warning(span, format!("strict mode: {message}"))
                .with_note(strict_at, "strict mode is on"),
        );
    };
    if (wanted == WantedState::Master) != (priority == PRIORITY_OWNER) {
        let span = draft.state.map_or(draft.name.span, |(_, span)| span);
        clear(span, "only the owner of the addresses (priority 255) has `state MASTER`, and it must have it");
        draft.state = None;
    }
    if let Some((_, span)) = draft.preempt_delay.take() {
        clear(span, "there is no preempt_delay");
    }
    if version == Version::V2
        && let Some((true, span)) = draft.accept
    {
        clear(span, "`accept` is not for VRRPv2");
        draft.accept = None;
    }
    if let Some((repeat, span)) = draft.garp_lower_repeat
        && repeat > 0
    {
        clear(span, "no gratuitous ARP follows a lower priority");
        draft.garp_lower_repeat = None;
    }
    if let Some((false, span)) = draft.lower_priority_no_advert {
        clear(span, "a lower priority is never answered");
        draft.lower_priority_no_advert = None;
    }
    if let Some((true, span)) = draft.higher_priority_send_advert {
        clear(span, "no advert follows a higher priority");
        draft.higher_priority_send_advert = None;
    }
    if let Some(span) = draft.transmit_on_base.take() {
        clear(span, "adverts leave from the virtual MAC");
    }
    if let Some((adverts, span)) = draft.down_timer_adverts
        && adverts != 3
    {
        clear(span, "take-over follows 3 missed adverts");
        draft.down_timer_adverts = None;
    }
    let first = draft.addresses.first().map(|entry| (entry.value.prefix.address, entry.span));
    if let (Family::Ipv6, Some((IpAddr::V6(address), span))) = (family, first)
        && !address.is_unicast_link_local()
    {
        clear(span, "the first IPv6 address must be link-local (RFC 9568 §5.2.9)");
    }
}

/// The state to start in, after what contradicts it is cleared. row: 240, 242
fn start_state(
    draft: &mut InstanceDraft,
    wanted: WantedState,
    priority: u8,
    context: &mut Context<'_>,
) -> WantedState {
    if priority == PRIORITY_OWNER
        && let Some(span) = draft.nopreempt.take()
    {
        context.adjust(
            span,
            "the owner of the addresses (priority 255) always preempts: `nopreempt` is cleared",
        );
    }
    if wanted == WantedState::Master {
        if let Some(span) = draft.nopreempt.take() {
            context.problem(
                Diagnostic::warning(span, "`nopreempt` does not go with `state MASTER`: it is cleared")
                    .with_help("write `state BACKUP` on every node; the priority decides at start"),
            );
        }
        if let Some((delay, span)) = draft.preempt_delay
            && !delay.is_zero()
        {
            context.adjust(span, "`preempt_delay` does not go with `state MASTER`: it is cleared");
            draft.preempt_delay = None;
        }
    }
    if draft.nopreempt.is_some()
        && let Some((delay, span)) = draft.preempt_delay
        && !delay.is_zero()
    {
        context.adjust(span, "`preempt_delay` means nothing with `nopreempt`: it is cleared");
        draft.preempt_delay = None;
    }
    if let (WantedState::Master, Some((Authentication::Header(_), span))) = (wanted, &draft.authentication) {
        // row: 231
        if priority != PRIORITY_OWNER {
            context.adjust(*span, "AH counts its adverts from a start as backup: `state MASTER` is cleared");
        }
        return WantedState::Backup;
    }
    draft.state.map_or(WantedState::Backup, |(state, _)| state)
}

fn authentication(
    draft: &mut InstanceDraft,
    version: Version,
    strict: bool,
    context: &mut Context<'_>,
) -> Authentication {
    let Some((authentication, span)) = draft.authentication.take() else {
        return Authentication::None;
    };
    let plain = matches!(authentication, Authentication::Password(_) | Authentication::Header(_));
    if plain && version == Version::V3 {
        context.problem(
            Diagnostic::warning(span, "VRRPv3 has no such authentication: it is ignored")
                .with_help("between nodes of this program use `auth_hmac { … }`"),
        );
        return Authentication::None;
    }
    if plain && strict {
        // row: 219
        context.problem(
            Diagnostic::warning(span, "strict mode has no authentication: it is ignored")
                .with_note(
                    None,
                    "RFC 3768 removed it; a peer that does check it drops our adverts, and both are master",
                )
                .with_help("remove vrrp_strict, or the authentication on all nodes"),
        );
        return Authentication::None;
    }
    authentication
}

fn interval(draft: &InstanceDraft, version: Version, name: &str, context: &mut Context<'_>) -> Duration {
    let Some((interval, span)) = draft.advert_interval else {
        return Duration::from_secs(1);
    };
    match version {
        Version::V2 => {
            if interval.subsec_nanos() == 0 {
                return interval;
            }
            let rounded = Duration::from_secs((interval.as_micros() as u64 + 500_000) / 1_000_000)
                .max(Duration::from_secs(1));
            context.problem(
                Diagnostic::warning(
                    span,
                    format!("VRRPv2 counts whole seconds: `{name}` sends every {} s", rounded.as_secs()),
                )
                .with_help("write `version 3` on all nodes for shorter intervals"),
            );
            rounded
        }
        Version::V3 => {
            if interval > INTERVAL_V3_MAX {
                context.adjust(span, "VRRPv3 has intervals up to 40.95 s: that is taken");
                return INTERVAL_V3_MAX;
            }
            let hundredths = (interval.as_micros() as u64 + 5_000) / 10_000;
            let rounded = Duration::from_millis(hundredths * 10);
            if rounded != interval {
                context.adjust(
                    span,
                    format!("VRRPv3 counts hundredths of a second: {} s is taken", rounded.as_secs_f64()),
                );
            }
            rounded
        }
    }
}

fn transport(draft: &InstanceDraft, family: Family, global: &Global, context: &mut Context<'_>) -> Transport {
    let peers: Vec<Peer> = draft.peers.iter().map(|(peer, _)| *peer).collect();
    if peers.is_empty() && !draft.fault_without_peer {
        if let Some((_, span)) = draft.unicast_ttl {
            context.adjust(span, "`unicast_ttl` means nothing without unicast_peer");
        }
        if let (Some(span), false) = (draft.unicast, draft.broken) {
            context.problem(
                Diagnostic::warning(span, "there is no unicast peer: adverts go to the multicast group")
                    .with_help("add `unicast_peer { … }`, or `unicast_fault_no_peer` if peers may be absent"),
            );
        }
        let group = match (draft.multicast_group, family) {
            (Some((group, _)), _) => group,
            (None, Family::Ipv4) => IpAddr::V4(global.multicast_group4),
            (None, Family::Ipv6) => IpAddr::V6(global.multicast_group6),
        };
        return Transport::Multicast { group };
    }
    Transport::Unicast {
        peers,
        ttl: draft.unicast_ttl.map_or(255, |(ttl, _)| ttl),
        check_source: draft.check_unicast_source.unwrap_or(global.check_unicast_source),
    }
}

fn garp(draft: &InstanceDraft, global: &Global, strict: bool) -> Garp {
    let default = global.garp;
    let lower_repeat = draft.garp_lower_repeat.map(|(repeat, _)| repeat);
    Garp {
        master_delay: draft.garp_master_delay.unwrap_or(default.master_delay),
        master_repeat: draft.garp_master_repeat.unwrap_or(default.master_repeat),
        refresh: draft.garp_refresh.unwrap_or(default.refresh),
        refresh_repeat: draft.garp_refresh_repeat.unwrap_or(default.refresh_repeat),
        lower_priority_delay: if strict {
            Duration::ZERO
        } else {
            draft.garp_lower_delay.unwrap_or(default.lower_priority_delay)
        },
        lower_priority_repeat: if strict { 0 } else { lower_repeat.unwrap_or(default.lower_priority_repeat) },
        extra_interface: draft.garp_extra.unwrap_or(default.extra_interface),
    }
}

fn own_interface(
    draft: &InstanceDraft,
    router_id: u8,
    family: Family,
    context: &mut Context<'_>,
) -> OwnInterface {
    let mut own = draft.own_interface.clone();
    match &mut own {
        OwnInterface::Macvlan { mac: Some(mac), .. } if draft.short_mac => mac[5] = router_id,
        OwnInterface::Ipvlan { address: None, .. }
            if family == Family::Ipv4 && draft.unicast_source.is_none() =>
        {
            context.adjust(
                draft.name.span,
                "an ipvlan needs an IPv4 address of its own: write `use_ipvlan NAME ADDRESS`",
            );
        }
        OwnInterface::None | OwnInterface::Macvlan { .. } | OwnInterface::Ipvlan { .. } => {}
    }
    own
}
