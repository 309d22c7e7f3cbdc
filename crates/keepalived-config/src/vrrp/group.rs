//! `vrrp_sync_group`: its keywords, and what makes of a draft a group.

use super::TrackingDraft;
use super::finish::{Names, notify, tracking};
use super::notify::{NotifyDraft, advise_groups, set, set_deleted};
use crate::arguments::Arguments;
use crate::context::{Context, Outcome};
use crate::keywords::Status::Works;
use crate::keywords::{Keyword, assign, block, line, read, read_block};
use crate::language::Word;
use crate::model::{InstanceId, Model, SyncGroup, SyncGroupId, Tracking};
use crate::track::{WEIGHT, WIDE_WEIGHT, read_list, read_proxies};
use diag::{Diagnostic, Span};
use std::collections::{HashMap, HashSet};

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
        Works,
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

/// Puts a group into the model and tells its members whose they are.
pub(super) fn finish_group(
    draft: GroupDraft,
    ids: &HashMap<String, (InstanceId, Span)>,
    broken: &HashSet<String>,
    names: &Names,
    model: &mut Model,
    context: &mut Context<'_>,
) {
    let name = draft.name.value;
    let at = draft.name.span;
    if let Some(first) = model.sync_groups.iter().find(|group| group.name == name) {
        context.push_alert(
            Diagnostic::alert(at, format!("vrrp_sync_group `{name}` is defined twice"))
                .with_note(first.span, "first here"),
        );
        return;
    }
    let id = SyncGroupId(model.sync_groups.len() as u32);
    let mut members = Vec::new();
    for member in draft.members.iter().filter(|member| !broken.contains(&member.value)) {
        let Some((instance, _)) = ids.get(&member.value) else {
            context.push_alert(*crate::keywords::unknown(
                "instance",
                member,
                "this group",
                ids.keys().map(String::as_str),
            ));
            continue;
        };
        let instance = *instance;
        let owner = model.instances.get(instance.index()).and_then(|instance| instance.sync_group);
        match owner {
            Some(other) => {
                let in_other = model.sync_groups.get(other.index()).map_or(at, |group| group.span);
                context.push_alert(
                    Diagnostic::alert(member.span, format!("`{}` is in a sync group already", member.value))
                        .with_note(in_other, "this one"),
                );
            }
            None => {
                if let Some(target) = model.instances.get_mut(instance.index()) {
                    target.sync_group = Some(id);
                    members.push(instance);
                }
            }
        }
    }
    match members.len() {
        0 if context.report.alerts() == 0 => {
            context.adjust(at, format!("sync group `{name}` has no instances: it does nothing"));
        }
        1 => {
            context.adjust(at, format!("sync group `{name}` has one instance only: nothing is synchronised"))
        }
        _ => {}
    }
    let tracking = tracking(draft.tracking, None, names, context);
    if !draft.tracking_weight {
        drop_weights(&members, model, at, context);
    }
    check_double(&members, &tracking, model, at, context);
    let notify = notify(draft.notify, &model.global, true);
    model.sync_groups.push(SyncGroup {
        name,
        span: at,
        members,
        tracking,
        notify,
        tracking_weight: draft.tracking_weight,
    });
}

/// What members watch with a weight would pull the group apart.
fn drop_weights(members: &[InstanceId], model: &mut Model, at: Span, context: &mut Context<'_>) {
    for member in members {
        let Some(instance) = model.instances.get_mut(member.index()) else {
            continue;
        };
        let tracking = &mut instance.tracking;
        let before =
            tracking.scripts.len() + tracking.files.len() + tracking.processes.len() + tracking.bfd.len();
        tracking.scripts.retain(|tracked| tracked.weight == 0);
        tracking.files.retain(|tracked| tracked.weight == 0);
        tracking.processes.retain(|tracked| tracked.weight == 0);
        tracking.bfd.retain(|tracked| tracked.weight == 0);
        let after =
            tracking.scripts.len() + tracking.files.len() + tracking.processes.len() + tracking.bfd.len();
        if after < before {
            context.problem(
                Diagnostic::warning(
                    instance.span,
                    format!(
                        "`{}` is in a sync group: what it watches with a weight is ignored",
                        instance.name
                    ),
                )
                .with_note(at, "the group")
                .with_help("let the group watch it, or write `sync_group_tracking_weight` into the group"),
            );
        }
    }
}

/// The same interface watched by an instance and its group.
fn check_double(
    members: &[InstanceId],
    tracking: &Tracking,
    model: &Model,
    at: Span,
    context: &mut Context<'_>,
) {
    for instance in members.iter().filter_map(|member| model.instances.get(member.index())) {
        for tracked in &tracking.interfaces {
            let own = instance.interface.as_ref() == Some(&tracked.what);
            if own || instance.tracking.interfaces.iter().any(|other| other.what == tracked.what) {
                context.problem(
                    Diagnostic::warning(
                        instance.span,
                        format!("`{}` is watched by `{}` and by its group", tracked.what, instance.name),
                    )
                    .with_note(at, "the group"),
                );
            }
        }
    }
}
