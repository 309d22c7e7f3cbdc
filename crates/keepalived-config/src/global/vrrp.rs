//! Keywords of `global_defs` that are defaults of instances or concern VRRP as a whole.

use super::GlobalDraft;
use crate::arguments::Arguments;
use crate::context::{Context, Outcome, fail};
use crate::keywords::Status::{NoEffect, Old, ParsedOnly, Works};
use crate::keywords::{Keyword, Status, assign, block, line, read};
use crate::model::{ExtraInterface, Nftables, Version};
use diag::Diagnostic;
use std::net::IpAddr;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

const NO_IPTABLES: Status = ParsedOnly("packets are filtered by nftables");

pub(super) static VRRP: &[Keyword<GlobalDraft>] = &[
    line(
        "disable_local_igmp",
        Works,
        assign!(global.disable_local_igmp = true),
        "no IGMP reports for 224.0.0.0/24",
    ),
    block(
        "vrrp_witness",
        Works,
        |draft, arguments, context| {
            draft.global.witness = Some(crate::vrrp::read_witness(arguments, context)?);
            Ok(())
        },
        "witness of instances without one of their own",
    ),
    line("vrrp_mcast_group4", Works, group4, "IPv4 group of adverts (224.0.0.18)"),
    line("vrrp_mcast_group6", Works, group6, "IPv6 group of adverts (ff02::12)"),
    line("vrrp_version", Works, version, "default version (2; IPv6 always has 3)"),
    line(
        "vrrp_garp_master_delay",
        Works,
        |draft, arguments, _| whole_seconds(&mut draft.garp_master_delay, arguments),
        "seconds until the second burst of gratuitous ARP (5)",
    ),
    line(
        "vrrp_garp_master_repeat",
        Works,
        |draft, arguments, context| repeat(&mut draft.garp_master_repeat, arguments, context),
        "size of a burst (5)",
    ),
    line(
        "vrrp_garp_master_refresh",
        Works,
        |draft, arguments, _| whole_seconds(&mut draft.garp_refresh, arguments),
        "period of further bursts while master (0: none)",
    ),
    line(
        "vrrp_garp_master_refresh_repeat",
        Works,
        |draft, arguments, context| repeat(&mut draft.garp_refresh_repeat, arguments, context),
        "size of those (1)",
    ),
    line(
        "vrrp_garp_lower_prio_delay",
        Works,
        |draft, arguments, _| whole_seconds(&mut draft.garp_lower_delay, arguments),
        "until the second burst after a lower priority was heard",
    ),
    line(
        "vrrp_garp_lower_prio_repeat",
        Works,
        read!(garp_lower_repeat = Some(integer(0..=4_294_967_295) as u32)),
        "size of that burst",
    ),
    line(
        "vrrp_garp_interval",
        Works,
        |draft, arguments, context| interval(&mut draft.global.garp_interval, arguments, context),
        "least gap between GARPs on an interface",
    ),
    line(
        "vrrp_gna_interval",
        Works,
        |draft, arguments, context| interval(&mut draft.global.gna_interval, arguments, context),
        "least gap between NAs on an interface",
    ),
    line("vrrp_min_garp", Works, read!(min_garp = switch()), "one GARP only, and no second burst"),
    line("vrrp_garp_extra_if", Works, extra_interface, "periodic GARPs on other interfaces"),
    line(
        "vrrp_vmac_garp_intvl",
        Old("vrrp_garp_extra_if"),
        old_extra_interface,
        "older `vrrp_garp_extra_if`",
    ),
    line(
        "vrrp_down_timer_adverts",
        Works,
        read!(global.down_timer_adverts = integer(1..=100) as u8),
        "missed adverts until take-over (3)",
    ),
    line(
        "vrrp_lower_prio_no_advert",
        Works,
        read!(global.lower_priority_no_advert = Some(switch())),
        "silent when a lower priority is heard",
    ),
    line(
        "vrrp_higher_prio_send_advert",
        Works,
        read!(global.higher_priority_send_advert = Some(switch())),
        "one more advert before yielding",
    ),
    line(
        "vrrp_owner_ignore_adverts",
        Works,
        assign!(global.owner_ignore_adverts = true),
        "an owner ignores adverts",
    ),
    line(
        "v3_checksum_as_v2",
        Works,
        read!(global.v3_checksum_as_v2 = switch()),
        "v3 over IPv4 without pseudo header",
    ),
    line(
        "vrrp_check_unicast_src",
        Works,
        assign!(global.check_unicast_source = true),
        "unicast adverts from peers only",
    ),
    line(
        "vrrp_skip_check_adv_addr",
        Works,
        assign!(global.skip_check_advert_addresses = true),
        "compare addresses only when the sender changed",
    ),
    line("vrrp_strict", Works, strict, "keep to the RFCs"),
    line(
        "vrrp_notify_priority_changes",
        Works,
        read!(global.notify_priority_changes = switch()),
        "changes of priority go to the pipes",
    ),
    // Where iptables writes nftables rules, keepalived too leaves these chains alone and makes a table of its own.
    line("vrrp_iptables", NoEffect, iptables, "chains of iptables for no_accept; nftables is used"),
    line("vrrp_ipsets", NO_IPTABLES, ipsets, "sets of iptables"),
    line("nftables", Works, nftables, "table for no_accept (keepalived)"),
    line("nftables_priority", Works, nftables_priority, "priority of its chains (−1)"),
    line("nftables_counters", Works, assign!(nftables_counters = true), "counters in its rules"),
    line("nftables_ifindex", Works, assign!(nftables_by_index = true), "sets by index rather than name"),
    line(
        "vrrp_netlink_cmd_rcv_bufs",
        Works,
        read!(global.receive_buffers.vrrp_command = Some(integer(1..=2_147_483_647) as u32)),
        "buffer for answers of netlink",
    ),
    line(
        "vrrp_netlink_cmd_rcv_bufs_force",
        Works,
        read!(global.receive_buffers.vrrp_command_force = switch()),
        "beyond rmem_max",
    ),
    line(
        "vrrp_netlink_monitor_rcv_bufs",
        Works,
        read!(global.receive_buffers.vrrp_monitor = Some(integer(1..=2_147_483_647) as u32)),
        "buffer for events of netlink",
    ),
    line(
        "vrrp_netlink_monitor_rcv_bufs_force",
        Works,
        read!(global.receive_buffers.vrrp_monitor_force = switch()),
        "beyond rmem_max",
    ),
    line("vrrp_rx_bufs_policy", NoEffect, receive_policy, "size of advert buffers"),
    line(
        "vrrp_rx_bufs_multiplier",
        NoEffect,
        |_, arguments, _| arguments.integer(1..=4_294_967_295).map(|_| ()),
        "their multiplier",
    ),
    line("vrrp_startup_delay", Works, read!(global.vrrp_startup_delay = timer()), "wait before VRRP starts"),
    line(
        "vrrp_delay_after_boot",
        Works,
        read!(global.vrrp_delay_after_boot = timer()),
        "wait after boot before VRRP starts",
    ),
    line(
        "log_unknown_vrids",
        Works,
        assign!(global.log_unknown_vrids = true),
        "log adverts of unknown routers",
    ),
    line(
        "vmac_prefix",
        Works,
        read!(global.vmac_prefix = string("a prefix")),
        "prefix of macvlans' names (vrrp)",
    ),
    line(
        "vmac_addr_prefix",
        Works,
        read!(global.vmac_address_prefix = string("a prefix")),
        "the same for macvlans of addresses",
    ),
    line("namespace_with_ipsets", NO_IPTABLES, |_, _, _| Ok(()), "sets in namespaces of old kernels"),
];

fn whole_seconds(target: &mut Option<Duration>, arguments: Args<'_, '_>) -> Outcome {
    *target = Some(Duration::from_secs(arguments.integer(0..=4294)? as u64));
    Ok(())
}

fn repeat(target: &mut Option<u32>, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let span = arguments.peek().map_or(arguments.end(), |word| word.span);
    let value = arguments.integer(0..=i64::from(u32::MAX))? as u32;
    if value == 0 {
        context.adjust(span, "0 bursts cannot be: 1 is taken");
    }
    *target = Some(value.max(1));
    Ok(())
}

fn interval(target: &mut Duration, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let span = arguments.peek().map_or(arguments.end(), |word| word.span);
    *target = arguments.timer()?;
    if target.is_zero() {
        // row: 220, 221
        context.advise(
            Diagnostic::notice(span, "0 means no gap, which is the default")
                .with_note(None, "keepalived 2.x calls it an error, 1.3 accepts it"),
        );
    }
    Ok(())
}

/// A day.
const EXTRA_INTERVAL_MAX: i64 = 86_400;

/// `[all] SECONDS`; 0 turns it off.
pub(crate) fn read_extra(arguments: Args<'_, '_>) -> Outcome<Option<ExtraInterface>> {
    let all = arguments.take("all");
    let seconds = arguments.integer(0..=EXTRA_INTERVAL_MAX)? as u64;
    Ok((seconds > 0).then_some(ExtraInterface { interval: Duration::from_secs(seconds), all }))
}

fn extra_interface(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.garp_extra = read_extra(arguments)?;
    Ok(())
}

fn old_extra_interface(
    draft: &mut GlobalDraft,
    arguments: Args<'_, '_>,
    context: &mut Context<'_>,
) -> Outcome {
    context.problems += 1;
    extra_interface(draft, arguments, context)
}

fn group4(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a multicast address")?;
    match crate::arguments::address(&word)? {
        IpAddr::V4(group) if group.is_multicast() => {
            draft.global.multicast_group4 = group;
            Ok(())
        }
        _ => fail(word.span, format!("`{}` is not an IPv4 multicast address: 224.0.0.0/4", word.value)),
    }
}

fn group6(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("a multicast address")?;
    match crate::arguments::address(&word)? {
        IpAddr::V6(group) if group.is_multicast() => {
            draft.global.multicast_group6 = group;
            Ok(())
        }
        _ => fail(word.span, format!("`{}` is not an IPv6 multicast address: ff00::/8", word.value)),
    }
}

fn version(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.version = read_version(arguments)?;
    Ok(())
}

pub(crate) fn read_version(arguments: Args<'_, '_>) -> Outcome<Version> {
    Ok(if arguments.integer(2..=3)? == 2 { Version::V2 } else { Version::V3 })
}

fn strict(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.strict = true;
    draft.strict_span = Some(arguments.node.span());
    Ok(())
}

fn iptables(draft: &mut GlobalDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let span = arguments.node.span();
    let input = arguments.next().map_or_else(|| "INPUT".to_owned(), |word| word.value);
    let output = arguments.next().map(|word| word.value);
    draft.global.iptables = Some((input, output));
    context.problem(Diagnostic::warning(span, "packets are filtered by nftables, not by these chains"));
    Ok(())
}

fn ipsets(_: &mut GlobalDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    arguments.rest();
    context.problem(Diagnostic::warning(
        arguments.node.span(),
        "there are no sets: packets are filtered by nftables",
    ));
    Ok(())
}

/// Longest name of a table, NFT_TABLE_MAXNAMELEN − 1 as keepalived has it.
const TABLE_NAME_MAX: usize = 31;

fn nftables(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let table = match arguments.next() {
        Some(word) if word.value.len() > TABLE_NAME_MAX => {
            return fail(word.span, format!("the name of a table has at most {TABLE_NAME_MAX} letters"));
        }
        Some(word) => word.value,
        None => "keepalived".to_owned(),
    };
    draft.global.nftables = Some(Nftables { table, priority: -1, counters: false, by_index: false });
    Ok(())
}

fn nftables_priority(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.nftables_priority = Some(arguments.integer(-2_147_483_648..=2_147_483_647)? as i32);
    Ok(())
}

fn receive_policy(_: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    let word = arguments.word("MTU, ADVERT or a number of bytes")?;
    match word.value.as_str() {
        "MTU" | "ADVERT" => Ok(()),
        _ => crate::arguments::integer(&word, 1..=i64::from(u32::MAX)).map(|_| ()),
    }
}
