//! The keywords of `vrrp_instance`.

use super::notify::{NotifyDraft, set, set_deleted};
use super::travel::{peers, unicast_checksum, unicast_source, unicast_ttl, use_ipvlan, use_vmac};
use super::{TrackingDraft, authentication};
use crate::arguments::{Arguments, integer};
use crate::context::{Context, Outcome, fail};
use crate::global::{read_extra, read_version};
use crate::keywords::Status::{NoEffect, Old, ParsedOnly, Works};
use crate::keywords::{Keyword, assign, block, line, read, read_block, unknown};
use crate::language::Word;
use crate::model::{
    Address, Authentication, ExtraInterface, OwnInterface, Peer, Route, Rule, UnicastChecksum, Version,
    WantedState,
};
use crate::network::{self, Entry, Place, read_lines};
use crate::track::{WEIGHT, WIDE_WEIGHT, read_list, read_proxies};
use diag::{Diagnostic, Span};
use std::net::IpAddr;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

/// The block before defaults and rules between keywords are applied.
#[derive(Debug)]
pub(crate) struct InstanceDraft {
    pub name: Word,
    pub state: Option<(WantedState, Span)>,
    pub interface: Option<Word>,
    pub vrf: Option<Word>,
    pub own_interface: OwnInterface,
    /// The MAC address was given with five bytes: the VRID is the sixth.
    pub short_mac: bool,
    pub vmac_for_addresses: bool,
    pub transmit_on_base: Option<Span>,
    pub native_ipv6: Option<Span>,
    pub dont_track_primary: bool,
    pub tracking: TrackingDraft,
    pub multicast_source: Option<(IpAddr, Span)>,
    pub unicast_source: Option<(IpAddr, Span)>,
    pub multicast_group: Option<(IpAddr, Span)>,
    pub track_source: bool,
    pub version: Option<(Version, Span)>,
    pub check_unicast_source: Option<bool>,
    pub peers: Vec<(Peer, Span)>,
    /// A keyword that asks for unicast.
    pub unicast: Option<Span>,
    pub fault_without_peer: bool,
    pub unicast_ttl: Option<(u8, Span)>,
    pub unicast_checksum: UnicastChecksum,
    pub v3_checksum_as_v2: Option<bool>,
    pub garp_master_delay: Option<Duration>,
    pub garp_master_repeat: Option<u32>,
    pub garp_refresh: Option<Duration>,
    pub garp_refresh_repeat: Option<u32>,
    pub garp_lower_delay: Option<Duration>,
    pub garp_lower_repeat: Option<(u32, Span)>,
    pub garp_extra: Option<Option<ExtraInterface>>,
    pub down_timer_adverts: Option<(u8, Span)>,
    pub timer_expired_backup: bool,
    pub lower_priority_no_advert: Option<(bool, Span)>,
    pub higher_priority_send_advert: Option<(bool, Span)>,
    pub owner_ignore_adverts: Option<bool>,
    pub virtual_router_id: Option<Word>,
    pub priority: Option<(u8, Span)>,
    pub advert_interval: Option<(Duration, Span)>,
    pub authentication: Option<(Authentication, Span)>,
    pub witness: Option<crate::model::Witness>,
    pub addresses: Vec<Entry<Address>>,
    pub excluded: Vec<Entry<Address>>,
    pub no_addresses: bool,
    pub promote_secondaries: bool,
    pub routes: Vec<Entry<Route>>,
    pub rules: Vec<Entry<Rule>>,
    pub accept: Option<(bool, Span)>,
    pub nopreempt: Option<Span>,
    pub preempt_delay: Option<(Duration, Span)>,
    pub skip_check: Option<bool>,
    pub strict: Option<(bool, Span)>,
    pub notify: NotifyDraft,
    pub receive_buffer: Option<u32>,
    pub sync_daemon_interface: Option<String>,
    /// Some statement of it was wrong: what is missing is not told on top.
    pub broken: bool,
}

/// Advert intervals a file may give, before the version narrows them.
const ADVERT_INTERVAL_MIN: Duration = Duration::from_millis(10);
const ADVERT_INTERVAL_MAX: Duration = Duration::from_secs(255);
const PREEMPT_DELAY_MAX: Duration = Duration::from_secs(1000);

pub(crate) static INSTANCE: &[Keyword<InstanceDraft>] = &[
    line("state", Works, state, "MASTER or BACKUP: the state wished at start"),
    line("interface", Works, interface, "interface of the adverts"),
    line(
        "vrf",
        Works,
        |draft, arguments, _| {
            draft.vrf = Some(arguments.word("the name of a VRF")?);
            Ok(())
        },
        "VRF of unicast without interface",
    ),
    line("use_vmac", Works, use_vmac, "own macvlan with the virtual MAC"),
    line("use_vmac_addr", Works, assign!(vmac_for_addresses = true), "macvlans for addresses elsewhere"),
    line(
        "vmac_xmit_base",
        Works,
        |draft, arguments, _| mark(&mut draft.transmit_on_base, arguments),
        "adverts from the base interface",
    ),
    line("use_ipvlan", Works, use_ipvlan, "own ipvlan"),
    line(
        "native_ipv6",
        Old("IPv6 addresses: the family follows from them"),
        |draft, arguments, _| mark(&mut draft.native_ipv6, arguments),
        "IPv6 by force",
    ),
    line(
        "dont_track_primary",
        Works,
        assign!(dont_track_primary = true),
        "ignore the state of the interface",
    ),
    block(
        "track_interface",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.interfaces, arguments, WEIGHT, context),
        "other interfaces to watch",
    ),
    block(
        "track_script",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.scripts, arguments, WEIGHT, context),
        "scripts to watch",
    ),
    block(
        "track_file",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.files, arguments, WIDE_WEIGHT, context),
        "files to watch",
    ),
    block(
        "track_process",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.processes, arguments, WIDE_WEIGHT, context),
        "processes to watch",
    ),
    block(
        "track_bfd",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.bfd, arguments, WEIGHT, context),
        "BFD sessions to watch",
    ),
    block(
        "track_proxy",
        Works,
        |draft, arguments, context| read_proxies(&mut draft.tracking.proxies, arguments, context),
        "proxies of this program to watch",
    ),
    line(
        "mcast_src_ip",
        Works,
        |draft, arguments, _| spanned_address(&mut draft.multicast_source, arguments),
        "source of multicast adverts",
    ),
    line("unicast_src_ip", Works, unicast_source, "source of unicast adverts"),
    line(
        "mcast_dst_ip",
        Works,
        |draft, arguments, _| spanned_address(&mut draft.multicast_group, arguments),
        "other multicast group",
    ),
    line("track_src_ip", Works, assign!(track_source = true), "FAULT while the source address is missing"),
    line("version", Works, version, "2 or 3"),
    line(
        "check_unicast_src",
        Works,
        |draft, arguments, _| {
            draft.unicast = Some(arguments.node.span());
            draft.check_unicast_source = Some(true);
            Ok(())
        },
        "unicast adverts from peers only",
    ),
    block("unicast_peer", Works, peers, "peers of unicast"),
    line(
        "unicast_fault_no_peer",
        Works,
        assign!(fault_without_peer = true),
        "FAULT, not multicast, without peers",
    ),
    line("unicast_ttl", Works, unicast_ttl, "TTL of unicast adverts (255)"),
    line("old_unicast_checksum", Works, unicast_checksum, "checksum of v3 before 1.3.7"),
    line(
        "v3_checksum_as_v2",
        Works,
        read!(v3_checksum_as_v2 = Some(switch())),
        "v3 over IPv4 without pseudo header",
    ),
    line(
        "garp_master_delay",
        Works,
        |draft, arguments, _| whole_seconds(&mut draft.garp_master_delay, arguments),
        "as vrrp_garp_master_delay",
    ),
    line(
        "garp_master_repeat",
        Works,
        |draft, arguments, context| repeat(&mut draft.garp_master_repeat, arguments, context),
        "as vrrp_garp_master_repeat",
    ),
    line(
        "garp_master_refresh",
        Works,
        |draft, arguments, _| whole_seconds(&mut draft.garp_refresh, arguments),
        "as vrrp_garp_master_refresh",
    ),
    line(
        "garp_master_refresh_repeat",
        Works,
        |draft, arguments, context| repeat(&mut draft.garp_refresh_repeat, arguments, context),
        "as vrrp_garp_master_refresh_repeat",
    ),
    line(
        "garp_lower_prio_delay",
        Works,
        |draft, arguments, _| whole_seconds(&mut draft.garp_lower_delay, arguments),
        "as vrrp_garp_lower_prio_delay",
    ),
    line("garp_lower_prio_repeat", Works, lower_repeat, "as vrrp_garp_lower_prio_repeat"),
    line(
        "garp_extra_if",
        Works,
        |draft, arguments, _| {
            draft.garp_extra = Some(read_extra(arguments)?);
            Ok(())
        },
        "as vrrp_garp_extra_if",
    ),
    line(
        "vmac_garp_intvl",
        Old("garp_extra_if"),
        |draft, arguments, context| {
            context.problems += 1;
            draft.garp_extra = Some(read_extra(arguments)?);
            Ok(())
        },
        "older `garp_extra_if`",
    ),
    line("down_timer_adverts", Works, down_timer_adverts, "missed adverts until take-over (3)"),
    line(
        "timer_expired_backup",
        Works,
        assign!(timer_expired_backup = true),
        "yield when own timers ran too late",
    ),
    line(
        "thread_timer_expired",
        Works,
        assign!(timer_expired_backup = true),
        "the same, as release notes name it",
    ),
    line(
        "lower_prio_no_advert",
        Works,
        |draft, arguments, _| spanned_switch(&mut draft.lower_priority_no_advert, arguments),
        "as vrrp_lower_prio_no_advert",
    ),
    line(
        "higher_prio_send_advert",
        Works,
        |draft, arguments, _| spanned_switch(&mut draft.higher_priority_send_advert, arguments),
        "as vrrp_higher_prio_send_advert",
    ),
    line(
        "owner_ignore_adverts",
        Works,
        read!(owner_ignore_adverts = Some(switch())),
        "an owner ignores adverts",
    ),
    line("virtual_router_id", Works, virtual_router_id, "1 to 255"),
    line("priority", Works, priority, "1 to 254, 255 for the owner of the addresses"),
    line("advert_int", Works, advert_interval, "seconds between adverts (1)"),
    block(
        "authentication",
        Works,
        |draft, arguments, context| {
            let span = arguments.node.span();
            draft.authentication = Some((authentication::read(arguments, context), span));
            Ok(())
        },
        "secret of VRRPv2",
    ),
    block(
        "auth_hmac",
        Works,
        |draft, arguments, context| {
            let span = arguments.node.span();
            draft.authentication = Some((authentication::read_hmac(arguments, context)?, span));
            Ok(())
        },
        "signature of adverts",
    ),
    block(
        "witness",
        Works,
        |draft, arguments, context| {
            draft.witness = Some(super::read_witness(arguments, context)?);
            Ok(())
        },
        "third parties to reach before a takeover",
    ),
    block(
        "virtual_ipaddress",
        Works,
        |draft, arguments, context| {
            draft.addresses.extend(read_lines(arguments, Place::Virtual, context, network::address::read));
            Ok(())
        },
        "addresses that move, told in adverts",
    ),
    block(
        "virtual_ipaddress_excluded",
        Works,
        |draft, arguments, context| {
            draft.excluded.extend(read_lines(arguments, Place::Virtual, context, network::address::read));
            Ok(())
        },
        "addresses that move, not told",
    ),
    line("no_virtual_ipaddress", Works, assign!(no_addresses = true), "no address is meant"),
    line(
        "promote_secondaries",
        Works,
        assign!(promote_secondaries = true),
        "set promote_secondaries on the interface",
    ),
    block(
        "virtual_routes",
        Works,
        |draft, arguments, context| {
            draft.routes.extend(read_lines(arguments, Place::Virtual, context, network::route::read));
            Ok(())
        },
        "routes that move",
    ),
    block(
        "virtual_rules",
        Works,
        |draft, arguments, context| {
            draft.rules.extend(read_lines(arguments, Place::Virtual, context, network::rule::read));
            Ok(())
        },
        "policy rules that move",
    ),
    line(
        "accept",
        Works,
        |draft, arguments, _| {
            draft.accept = Some((true, arguments.node.span()));
            Ok(())
        },
        "answer on the addresses without owning them",
    ),
    line(
        "no_accept",
        Works,
        |draft, arguments, _| {
            draft.accept = Some((false, arguments.node.span()));
            Ok(())
        },
        "drop packets to the addresses",
    ),
    line(
        "nopreempt",
        Works,
        |draft, arguments, _| mark(&mut draft.nopreempt, arguments),
        "leave a running master with a lower priority",
    ),
    line(
        "preempt",
        Works,
        |draft, _, _| {
            draft.nopreempt = None;
            Ok(())
        },
        "the default",
    ),
    line(
        "preempt_delay",
        Works,
        |draft, arguments, _| {
            let span = arguments.peek().map_or(arguments.end(), |word| word.span);
            draft.preempt_delay = Some((arguments.seconds(Duration::ZERO, PREEMPT_DELAY_MAX)?, span));
            Ok(())
        },
        "wait before taking over from a lower priority",
    ),
    line("skip_check_adv_addr", Works, read!(skip_check = Some(switch())), "as vrrp_skip_check_adv_addr"),
    line(
        "strict_mode",
        Works,
        |draft, arguments, _| spanned_switch(&mut draft.strict, arguments),
        "as vrrp_strict",
    ),
    line(
        "debug",
        NoEffect,
        |_, arguments, _| arguments.integer(0..=4).map(|_| ()),
        "read by keepalived and unused there",
    ),
    line(
        "notify_master",
        Works,
        |draft, arguments, context| set(&mut draft.notify.notify.master, arguments, context),
        "script on MASTER",
    ),
    line(
        "notify_backup",
        Works,
        |draft, arguments, context| set(&mut draft.notify.notify.backup, arguments, context),
        "script on BACKUP",
    ),
    line(
        "notify_fault",
        Works,
        |draft, arguments, context| set(&mut draft.notify.notify.fault, arguments, context),
        "script on FAULT",
    ),
    line(
        "notify_stop",
        Works,
        |draft, arguments, context| set(&mut draft.notify.notify.stop, arguments, context),
        "script at the end",
    ),
    line(
        "notify_deleted",
        Works,
        |draft, arguments, context| set_deleted(&mut draft.notify, arguments, context),
        "tell DELETED when a reload removes the instance",
    ),
    line(
        "notify",
        Works,
        |draft, arguments, context| set(&mut draft.notify.notify.any, arguments, context),
        "script on any change",
    ),
    line(
        "notify_master_rx_lower_pri",
        Works,
        |draft, arguments, context| set(&mut draft.notify.notify.master_hears_lower, arguments, context),
        "script when a master hears a lower priority",
    ),
    line(
        "notify_priority_changes",
        Works,
        read!(notify.priority_changes = Some(switch())),
        "changes of priority go to the pipes",
    ),
    line("smtp_alert", Works, read!(notify.smtp_alert = Some(switch())), "mail on change"),
    line(
        "kernel_rx_buf_size",
        Works,
        |draft, arguments, _| {
            draft.receive_buffer = Some(arguments.integer(0..=i64::from(u32::MAX))? as u32);
            Ok(())
        },
        "receive buffer in bytes",
    ),
    line(
        "linkbeat_use_polling",
        ParsedOnly("links are watched by netlink events"),
        |_, _, context| {
            context.problems += 1;
            Ok(())
        },
        "old: poll the link",
    ),
    line(
        "lvs_sync_daemon_interface",
        Old("lvs_sync_daemon in global_defs"),
        |draft, arguments, context| {
            context.problems += 1;
            draft.sync_daemon_interface = Some(arguments.interface()?);
            Ok(())
        },
        "old: bind the sync daemon of IPVS to the instance",
    ),
];

fn mark(target: &mut Option<Span>, arguments: Args<'_, '_>) -> Outcome {
    *target = Some(arguments.node.span());
    Ok(())
}

pub(super) fn next_span(arguments: &Arguments<'_>) -> Span {
    arguments.peek().map_or(arguments.end(), |word| word.span)
}

fn spanned_switch(target: &mut Option<(bool, Span)>, arguments: Args<'_, '_>) -> Outcome {
    let span = arguments.node.span();
    *target = Some((arguments.switch()?, span));
    Ok(())
}

pub(super) fn spanned_address(target: &mut Option<(IpAddr, Span)>, arguments: Args<'_, '_>) -> Outcome {
    let span = next_span(arguments);
    *target = Some((arguments.address()?, span));
    Ok(())
}

fn whole_seconds(target: &mut Option<Duration>, arguments: Args<'_, '_>) -> Outcome {
    *target = Some(Duration::from_secs(arguments.integer(0..=4294)? as u64));
    Ok(())
}

fn repeat(target: &mut Option<u32>, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let span = next_span(arguments);
    let value = arguments.integer(0..=i64::from(u32::MAX))? as u32;
    if value == 0 {
        context.adjust(span, "0 bursts cannot be: 1 is taken");
    }
    *target = Some(value.max(1));
    Ok(())
}

fn lower_repeat(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let span = next_span(arguments);
    draft.garp_lower_repeat = Some((arguments.integer(0..=i64::from(u32::MAX))? as u32, span));
    Ok(())
}

fn state(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("MASTER or BACKUP")?;
    let state = match word.value.as_str() {
        "MASTER" => WantedState::Master,
        "BACKUP" => WantedState::Backup,
        _ => return Err(unknown("state", &word, "vrrp_instance", ["MASTER", "BACKUP"])),
    };
    draft.state = Some((state, word.span));
    Ok(())
}

fn interface(draft: &mut InstanceDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    // row: 226
    let word = arguments.word("the name of an interface")?;
    crate::arguments::interface_name(&word)?;
    match context.host.interface(&word.value) {
        None => network::address::missing_interface(&word.value, word.span, context),
        Some(Some(facts)) if facts.loopback => {
            return fail(word.span, format!("`{}` is a loopback interface: adverts go nowhere", word.value));
        }
        Some(_) => {}
    }
    draft.interface = Some(word);
    Ok(())
}

fn version(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let span = next_span(arguments);
    draft.version = Some((read_version(arguments)?, span));
    Ok(())
}

fn down_timer_adverts(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let span = next_span(arguments);
    draft.down_timer_adverts = Some((arguments.integer(1..=100)? as u8, span));
    Ok(())
}

fn virtual_router_id(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // row: 227
    let word = arguments.word("a number")?;
    integer(&word, 1..=255)?;
    draft.virtual_router_id = Some(word);
    Ok(())
}

fn priority(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // row: 228
    let span = next_span(arguments);
    draft.priority = Some((arguments.integer(1..=255)? as u8, span));
    Ok(())
}

fn advert_interval(draft: &mut InstanceDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    // row: 229
    let span = next_span(arguments);
    draft.advert_interval = Some((arguments.seconds(ADVERT_INTERVAL_MIN, ADVERT_INTERVAL_MAX)?, span));
    Ok(())
}

pub(crate) fn read_instance(arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome<InstanceDraft> {
    let name = arguments.block_name("vrrp_instance")?;
    let mut draft = InstanceDraft {
        name,
        state: None,
        interface: None,
        vrf: None,
        own_interface: OwnInterface::None,
        short_mac: false,
        vmac_for_addresses: false,
        transmit_on_base: None,
        native_ipv6: None,
        dont_track_primary: false,
        tracking: TrackingDraft::default(),
        multicast_source: None,
        unicast_source: None,
        multicast_group: None,
        track_source: false,
        version: None,
        check_unicast_source: None,
        peers: Vec::new(),
        unicast: None,
        fault_without_peer: false,
        unicast_ttl: None,
        unicast_checksum: UnicastChecksum::Auto,
        v3_checksum_as_v2: None,
        garp_master_delay: None,
        garp_master_repeat: None,
        garp_refresh: None,
        garp_refresh_repeat: None,
        garp_lower_delay: None,
        garp_lower_repeat: None,
        garp_extra: None,
        down_timer_adverts: None,
        timer_expired_backup: false,
        lower_priority_no_advert: None,
        higher_priority_send_advert: None,
        owner_ignore_adverts: None,
        virtual_router_id: None,
        priority: None,
        advert_interval: None,
        authentication: None,
        witness: None,
        addresses: Vec::new(),
        excluded: Vec::new(),
        no_addresses: false,
        promote_secondaries: false,
        routes: Vec::new(),
        rules: Vec::new(),
        accept: None,
        nopreempt: None,
        preempt_delay: None,
        skip_check: None,
        strict: None,
        notify: NotifyDraft::default(),
        receive_buffer: None,
        sync_daemon_interface: None,
        broken: false,
    };
    let alerts = context.report.alerts();
    read_block(arguments.block(), || INSTANCE.iter(), "vrrp_instance", &mut draft, context);
    draft.broken = context.report.alerts() > alerts;
    if let (Some((_, first)), Some((_, second))) = (draft.multicast_source, draft.unicast_source) {
        context.advise(
            Diagnostic::warning(first, "both mcast_src_ip and unicast_src_ip are given: the latter counts")
                .with_note(second, "here"),
        );
    }
    Ok(draft)
}
