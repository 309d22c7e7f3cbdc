//! Keywords of `global_defs` that concern SNMP, and D-Bus beside it.

use super::GlobalDraft;
use crate::arguments::Arguments;
use crate::context::{Context, Outcome};
use crate::keywords::Status::{ParsedOnly, Works};
use crate::keywords::{Keyword, Status, assign, line};
use crate::model::AgentSocket;
use diag::Diagnostic;
use std::time::Duration;

type Args<'a, 'n> = &'a mut Arguments<'n>;

const NO_DBUS: Status = ParsedOnly("there is no D-Bus service; use the runtime API");

/// Longest time between two looks at the counters of IPVS, in seconds.
const INTERVAL_MAX: Duration = Duration::from_secs(30);

pub(super) static SNMP: &[Keyword<GlobalDraft>] = &[
    line("snmp_socket", Works, socket, "socket of the SNMP master (unix:/var/agentx/master)"),
    line("enable_snmp_vrrp", Works, assign!(global.snmp.vrrp = true), "KEEPALIVED-MIB, VRRP's part"),
    line("enable_snmp_keepalived", Works, assign!(global.snmp.vrrp = true), "older `enable_snmp_vrrp`"),
    line(
        "enable_snmp_checker",
        Works,
        assign!(global.snmp.checker = true),
        "KEEPALIVED-MIB, the checkers' part",
    ),
    line("enable_snmp_rfc", Works, rfc, "both RFC MIBs"),
    line("enable_snmp_rfcv2", Works, assign!(global.snmp.rfc_v2 = true), "the MIB of RFC 2787"),
    line("enable_snmp_rfcv3", Works, assign!(global.snmp.rfc_v3 = true), "the MIB of RFC 6527"),
    line("enable_traps", Works, assign!(global.snmp.traps = true), "SNMP traps"),
    line(
        "snmp_vs_stats_update_interval",
        Works,
        of_virtual_servers,
        "age of virtual servers' counters (5 s)",
    ),
    line("snmp_rs_stats_update_interval", Works, of_real_servers, "age of real servers' counters (5 s)"),
    line("enable_dbus", NO_DBUS, assign!(global.dbus = true), "objects on D-Bus"),
    line("dbus_service_name", NO_DBUS, ignore_words, "name on D-Bus"),
    line("dbus_no_interface_name", NO_DBUS, ignore_words, "path of instances without interface"),
];

fn ignore_words(_: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    arguments.rest();
    Ok(())
}

fn rfc(draft: &mut GlobalDraft, _: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.snmp.rfc_v2 = true;
    draft.global.snmp.rfc_v3 = true;
    Ok(())
}

fn socket(draft: &mut GlobalDraft, arguments: Args<'_, '_>, context: &mut Context<'_>) -> Outcome {
    let word = arguments.word("the socket of an SNMP master")?;
    draft.global.snmp.socket = match AgentSocket::parse(&word.value) {
        Ok(socket) => Some(socket),
        Err(why) => {
            context.advise(Diagnostic::warning(word.span, format!("{why}: there will be no SNMP")));
            None
        }
    };
    Ok(())
}

fn of_virtual_servers(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.snmp.virtual_server_interval = arguments.seconds(Duration::ZERO, INTERVAL_MAX)?;
    Ok(())
}

fn of_real_servers(draft: &mut GlobalDraft, arguments: Args<'_, '_>, _: &mut Context<'_>) -> Outcome {
    draft.global.snmp.real_server_interval = arguments.seconds(Duration::ZERO, INTERVAL_MAX)?;
    Ok(())
}
