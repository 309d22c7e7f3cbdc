//! `global_defs`: its keyword tables, and the draft they fill.

mod daemon;
mod mail;
mod snmp;
mod vrrp;

pub(crate) use vrrp::{read_extra, read_version};

use crate::context::Context;
use crate::keywords::{Keyword, Listed, list, read_block};
use crate::language::Node;
use crate::model::{ExtraInterface, Fifo, Global};
use diag::Span;
use std::time::Duration;

/// What `global_defs` says before defaults depend on each other.
#[derive(Debug, Default)]
pub(crate) struct GlobalDraft {
    pub global: Global,
    pub min_garp: bool,
    pub garp_master_delay: Option<Duration>,
    pub garp_master_repeat: Option<u32>,
    pub garp_refresh: Option<Duration>,
    pub garp_refresh_repeat: Option<u32>,
    pub garp_lower_delay: Option<Duration>,
    pub garp_lower_repeat: Option<u32>,
    pub garp_extra: Option<ExtraInterface>,
    pub fifo: FifoDraft,
    pub vrrp_fifo: FifoDraft,
    pub lvs_fifo: FifoDraft,
    pub nftables_priority: Option<i32>,
    pub nftables_counters: bool,
    pub nftables_by_index: bool,
    pub nftables_ipvs_priority: Option<i32>,
    pub strict_span: Option<Span>,
    pub script_user_span: Option<Span>,
    pub scripts: Vec<Span>,
}

/// A pipe and its reader, given by two keywords in any order.
#[derive(Debug, Default)]
pub(crate) struct FifoDraft {
    pub fifo: Option<(Fifo, Span)>,
    pub script: Option<crate::model::Command>,
}

impl FifoDraft {
    fn finish(self) -> Option<Fifo> {
        self.fifo.map(|(fifo, _)| Fifo { script: self.script, ..fifo })
    }
}

/// Every table of the block.
pub(crate) fn rows() -> impl Iterator<Item = &'static Keyword<GlobalDraft>> {
    daemon::DAEMON.iter().chain(mail::MAIL).chain(snmp::SNMP).chain(vrrp::VRRP)
}

pub(crate) fn listed() -> impl Iterator<Item = Listed> {
    [daemon::DAEMON, mail::MAIL, snmp::SNMP, vrrp::VRRP]
        .into_iter()
        .flat_map(|table| list("global_defs", table))
}

/// Reads one `global_defs` block.
pub(crate) fn read(nodes: &[Node], draft: &mut GlobalDraft, context: &mut Context<'_>) {
    read_block(nodes, rows, "global_defs", draft, context);
}

/// Applies the defaults that depend on other values.
pub(crate) fn finish(draft: GlobalDraft, context: &mut Context<'_>) -> Global {
    let mut global = draft.global;
    let garp = &mut global.garp;
    if draft.min_garp {
        garp.master_delay = Duration::ZERO;
        garp.master_repeat = 1;
        garp.refresh_repeat = 0;
    }
    garp.master_delay = draft.garp_master_delay.unwrap_or(garp.master_delay);
    garp.master_repeat = draft.garp_master_repeat.unwrap_or(garp.master_repeat);
    garp.refresh = draft.garp_refresh.unwrap_or(garp.refresh);
    garp.refresh_repeat = draft.garp_refresh_repeat.unwrap_or(garp.refresh_repeat);
    garp.lower_priority_delay = draft.garp_lower_delay.unwrap_or(garp.master_delay);
    garp.lower_priority_repeat = draft.garp_lower_repeat.unwrap_or(garp.master_repeat);
    garp.extra_interface = draft.garp_extra;
    if let Some(tables) = &mut global.nftables {
        tables.priority = draft.nftables_priority.unwrap_or(tables.priority);
        tables.counters = draft.nftables_counters;
        tables.by_index = draft.nftables_by_index;
    }
    if let Some(tables) = &mut global.nftables_ipvs {
        tables.priority = draft.nftables_ipvs_priority.unwrap_or(tables.priority);
    }
    check_fifos(&draft.fifo, &draft.vrrp_fifo, &draft.lvs_fifo, context);
    global.notify_fifo = draft.fifo.finish();
    global.vrrp_notify_fifo = draft.vrrp_fifo.finish();
    global.lvs_notify_fifo = draft.lvs_fifo.finish();
    if global.reload_repeat && global.reload_time_file.is_none() {
        context.advise(diag::Diagnostic::notice(
            None,
            "`reload_repeat` means nothing without `reload_time_file`",
        ));
    }
    global
}

fn check_fifos(all: &FifoDraft, vrrp: &FifoDraft, lvs: &FifoDraft, context: &mut Context<'_>) {
    let given: Vec<_> = [all, vrrp, lvs].iter().filter_map(|draft| draft.fifo.as_ref()).collect();
    for (index, (fifo, span)) in given.iter().enumerate() {
        if let Some((_, first)) = given[..index].iter().find(|(other, _)| other.path == fifo.path) {
            context.advise(
                diag::Diagnostic::warning(
                    *span,
                    format!("two pipes share the name `{}`", fifo.path.display()),
                )
                .with_note(*first, "the other one"),
            );
        }
    }
}
