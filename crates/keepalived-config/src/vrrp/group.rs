//! `vrrp_sync_group`

use super::TrackingDraft;
use super::notify::{NotifyDraft, advise_groups, set, set_deleted};
use crate::arguments::Arguments;
use crate::context::{Context, Outcome};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, assign, block, line, read, read_block};
use crate::language::Word;
use crate::track::{WEIGHT, WIDE_WEIGHT, read_list, read_proxies};
use diag::Diagnostic;

/// The block before names are known.
#[derive(Debug)]
pub(crate) struct GroupDraft {
    pub name: Word,
    pub members: Vec<Word>,
    pub tracking: TrackingDraft,
    pub notify: NotifyDraft,
    pub tracking_weight: bool,
}

pub(crate) static SYNC_GROUP: &[Keyword<GroupDraft>] = &[
    block("group", Works, members, "the instances"),
    block(
        "track_interface",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.interfaces, arguments, WEIGHT, context),
        "interfaces all members watch",
    ),
    block(
        "track_script",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.scripts, arguments, WEIGHT, context),
        "scripts all members watch",
    ),
    block(
        "track_file",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.files, arguments, WIDE_WEIGHT, context),
        "files all members watch",
    ),
    block(
        "track_process",
        Works,
        |draft, arguments, context| read_list(&mut draft.tracking.processes, arguments, WIDE_WEIGHT, context),
        "processes all members watch",
    ),
    block(
        "track_bfd",
        crate::track::BFD_STATUS,
        |draft, arguments, context| read_list(&mut draft.tracking.bfd, arguments, WEIGHT, context),
        "BFD sessions all members watch",
    ),
    block(
        "track_proxy",
        Works,
        |draft, arguments, context| read_proxies(&mut draft.tracking.proxies, arguments, context),
        "proxies of this program all members watch",
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
        |draft, arguments, context| {
            advise_groups(arguments, context);
            context.problems += 1;
            set_deleted(&mut draft.notify, arguments, context)
        },
        "script when a reload removes the group",
    ),
    line(
        "notify",
        Works,
        |draft, arguments, context| set(&mut draft.notify.notify.any, arguments, context),
        "script on any change",
    ),
    line(
        "notify_priority_changes",
        Works,
        read!(notify.priority_changes = Some(switch())),
        "changes of priority go to the pipes",
    ),
    line("smtp_alert", Works, read!(notify.smtp_alert = Some(switch())), "mail on change"),
    line(
        "global_tracking",
        Works,
        |_, arguments, context| {
            context.problem(
                Diagnostic::warning(arguments.node.span(), "`global_tracking` has no effect any more")
                    .with_help("write track_interface, track_script or track_file into the group"),
            );
            Ok(())
        },
        "old: what members watch counts for all",
    ),
    line(
        "sync_group_tracking_weight",
        Works,
        assign!(tracking_weight = true),
        "weights of members' trackers count",
    ),
];

fn members(draft: &mut GroupDraft, arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome {
    let words = arguments.block_words(context);
    if words.is_empty() {
        context.adjust(
            arguments.node.span(),
            format!("sync group `{}` names no instance here", draft.name.value),
        );
    }
    draft.members.extend(words);
    Ok(())
}

pub(crate) fn read_group(arguments: &mut Arguments<'_>, context: &mut Context<'_>) -> Outcome<GroupDraft> {
    let name = arguments.block_name("vrrp_sync_group")?;
    let mut draft = GroupDraft {
        name,
        members: Vec::new(),
        tracking: TrackingDraft::default(),
        notify: NotifyDraft::default(),
        tracking_weight: false,
    };
    read_block(arguments.block(), || SYNC_GROUP.iter(), "vrrp_sync_group", &mut draft, context);
    Ok(draft)
}
