//! `notify*` and `smtp_alert`, which instances and groups share.

use crate::arguments::Arguments;
use crate::command::command_and_user;
use crate::context::{Context, Outcome};
use crate::model::{Command, InstanceNotify};
use diag::Diagnostic;

/// What the keywords say before defaults are applied.
#[derive(Debug, Default)]
pub(crate) struct NotifyDraft {
    pub notify: InstanceNotify,
    pub priority_changes: Option<bool>,
    pub smtp_alert: Option<bool>,
}

/// Reads a program into its place; a second one replaces the first.
pub(crate) fn set(
    target: &mut Option<Command>,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    let span = arguments.node.span();
    let command = command_and_user(arguments, context)?;
    if target.is_some() {
        context.adjust(span, format!("`{}` is given twice: the first one stays", context.keyword));
        return Ok(());
    }
    *target = command;
    Ok(())
}

/// `notify_deleted [PROGRAM …]`
pub(crate) fn set_deleted(
    draft: &mut NotifyDraft,
    arguments: &mut Arguments<'_>,
    context: &mut Context<'_>,
) -> Outcome {
    draft.notify.deleted_event = true;
    if arguments.peek().is_some() { set(&mut draft.notify.deleted, arguments, context) } else { Ok(()) }
}

/// The notice of a name that groups do not have in keepalived.
pub(crate) fn advise_groups(arguments: &Arguments<'_>, context: &mut Context<'_>) {
    context.advise(Diagnostic::notice(
        arguments.node.span(),
        "keepalived documents this for groups and does not read it there",
    ));
}
