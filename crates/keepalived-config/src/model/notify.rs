//! Programs that are run, and who is told of what.

/// The user and group a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunAs {
    pub user: u32,
    pub group: u32,
}

/// A program with its arguments, split as keepalived splits them (blanks, single quotes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Program first; never empty. No shell is involved.
    pub words: Vec<String>,
    pub run_as: RunAs,
}

/// Who is told of the changes of an instance or a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceNotify {
    pub master: Option<Command>,
    pub backup: Option<Command>,
    pub fault: Option<Command>,
    pub stop: Option<Command>,
    /// Instances only. With `deleted_event` alone, DELETED is told to `any` and the pipes, but no program is run.
    pub deleted: Option<Command>,
    /// An instance removed by a reload tells DELETED rather than FAULT.
    pub deleted_event: bool,
    /// Run at each change with `INSTANCE|GROUP NAME STATE PRIORITY` appended.
    pub any: Option<Command>,
    /// Instances only: a master heard a lower priority.
    pub master_hears_lower: Option<Command>,
    /// Changes of priority go to the pipes.
    pub priority_changes: bool,
    /// A mail at each change; defaults are applied.
    pub smtp_alert: bool,
}
