//! Where a server stands: what checks found (operational) and what people and tracked servers want (administrative).
//! One function per kind of event changes it, and says which notices are due. Never counts checks; that is
//! [`crate::RiseFall`]'s.

use crate::notice::{LEVEL_ALERT, LEVEL_NOTICE, state_notice};
use crate::{Cause, Counts, Notice, Subject};

/// Operational state, numbered as in `show servers state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operational {
    Stopped = 0,
    /// In slow start.
    Starting = 1,
    Running = 2,
    /// Takes no new sessions, but persistent ones (404, agent).
    Stopping = 3,
}

/// Administrative flags, with the bits of `show servers state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdminFlags(pub u32);

impl AdminFlags {
    pub const FORCED_MAINT: AdminFlags = AdminFlags(0x01);
    /// From the tracked server.
    pub const INHERITED_MAINT: AdminFlags = AdminFlags(0x02);
    /// `disabled` in the configuration; beside `FORCED_MAINT`.
    pub const CONFIG_MAINT: AdminFlags = AdminFlags(0x04);
    pub const FORCED_DRAIN: AdminFlags = AdminFlags(0x08);
    pub const INHERITED_DRAIN: AdminFlags = AdminFlags(0x10);
    /// The name does not resolve.
    pub const RESOLUTION_MAINT: AdminFlags = AdminFlags(0x20);
    /// The name was set at run time (runtime API, SRV records); no maintenance by itself.
    pub const HOST_MAINT: AdminFlags = AdminFlags(0x40);

    const MAINT: u32 = 0x01 | 0x02 | 0x20;
    const DRAIN: u32 = 0x08 | 0x10;

    pub fn is_maintenance(self) -> bool {
        self.0 & AdminFlags::MAINT != 0
    }

    pub fn is_drain(self) -> bool {
        self.0 & AdminFlags::DRAIN != 0
    }

    pub fn contains(self, flag: AdminFlags) -> bool {
        self.0 & flag.0 != 0
    }

    pub fn with(self, flag: AdminFlags) -> AdminFlags {
        AdminFlags(self.0 | flag.0)
    }

    pub fn without(self, flag: AdminFlags) -> AdminFlags {
        AdminFlags(self.0 & !flag.0)
    }

    /// What an operator's or agent's command makes of the flags.
    pub fn commanded(self, command: AdminCommand) -> AdminFlags {
        let maint = AdminFlags::FORCED_MAINT.with(AdminFlags::CONFIG_MAINT);
        match command {
            AdminCommand::Ready => self.without(maint).without(AdminFlags::FORCED_DRAIN),
            AdminCommand::Drain => self.without(maint).with(AdminFlags::FORCED_DRAIN),
            AdminCommand::Maintenance => {
                self.with(AdminFlags::FORCED_MAINT).without(AdminFlags::FORCED_DRAIN)
            }
        }
    }

    /// What a server that tracks one with these flags inherits.
    pub fn inherited(self) -> AdminFlags {
        let mut flags = AdminFlags::default();
        if self.is_maintenance() {
            flags = flags.with(AdminFlags::INHERITED_MAINT);
        }
        if self.is_drain() {
            flags = flags.with(AdminFlags::INHERITED_DRAIN);
        }
        flags
    }

    /// These flags with the inherited ones replaced by what `tracked` passes on.
    pub fn inheriting(self, tracked: AdminFlags) -> AdminFlags {
        // Maintenance hides drain: a server never inherits both.
        let inherited = tracked.inherited();
        let inherited = if inherited.is_maintenance() {
            inherited.without(AdminFlags::INHERITED_DRAIN)
        } else {
            inherited
        };
        self.without(AdminFlags::INHERITED_MAINT).without(AdminFlags::INHERITED_DRAIN).with(inherited)
    }
}

/// `set server … state`, `enable server`, `disable server`, an agent's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminCommand {
    Ready,
    Drain,
    Maintenance,
}

/// Where a server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub operational: Operational,
    pub admin: AdminFlags,
}

/// An operational change that checks, operators or tracked servers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Down,
    Up,
    Stopping,
}

/// What a change did, beside the notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub before: Standing,
    pub after: Standing,
}

impl Change {
    pub fn is_any(&self) -> bool {
        self.before != self.after
    }

    /// It was serving and no longer is: count a DOWN transition, kill sessions with `on-marked-down`.
    pub fn went_down(&self) -> bool {
        self.before.operational != Operational::Stopped && self.after.operational == Operational::Stopped
    }

    /// It serves again: slow start, `on-marked-up`.
    pub fn went_up(&self) -> bool {
        self.before.operational == Operational::Stopped && self.after.operational != Operational::Stopped
    }

    pub fn entered_maintenance(&self) -> bool {
        !self.before.admin.is_maintenance() && self.after.admin.is_maintenance()
    }

    pub fn left_maintenance(&self) -> bool {
        self.before.admin.is_maintenance() && !self.after.admin.is_maintenance()
    }
}

impl Standing {
    /// Not stopped and not in maintenance: serves what persistence sends.
    pub fn is_usable(self) -> bool {
        self.operational != Operational::Stopped && !self.admin.is_maintenance()
    }

    /// Takes an operational turn. In maintenance nothing happens.
    pub fn turn(&mut self, turn: Turn, has_slow_start: bool) -> Change {
        let before = *self;
        if !self.admin.is_maintenance() {
            self.operational = match (turn, self.operational) {
                (Turn::Down, _) => Operational::Stopped,
                (Turn::Up, Operational::Stopped | Operational::Starting) if has_slow_start => {
                    Operational::Starting
                }
                (Turn::Up, _) => Operational::Running,
                (Turn::Stopping, Operational::Stopped) => Operational::Stopped,
                (Turn::Stopping, _) => Operational::Stopping,
            };
        }
        Change { before, after: *self }
    }

    /// Sets the administrative flags. `healthy`: what checks (and the tracked server) would let it be, once it leaves
    /// maintenance.
    pub fn administer(&mut self, admin: AdminFlags, healthy: bool, has_slow_start: bool) -> Change {
        let before = *self;
        self.admin = admin;
        if admin.is_maintenance() {
            self.operational = Operational::Stopped;
        } else if before.admin.is_maintenance() {
            self.operational = match (healthy, has_slow_start) {
                (false, _) => Operational::Stopped,
                (true, true) => Operational::Starting,
                (true, false) => Operational::Running,
            };
        }
        Change { before, after: *self }
    }
}

impl Change {
    /// The notices of this change, in order. `host` is the name that resolves again, when that ended the maintenance.
    pub fn notices(
        &self,
        subject: Subject<'_>,
        cause: Cause<'_>,
        counts: Counts,
        host: Option<&str>,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        let (before, after) = (self.before, self.after);
        if before.admin == after.admin {
            self.push_operational(subject, cause, counts, &mut notices);
        } else {
            self.push_maintenance(subject, cause, counts, host, &mut notices);
            if !before.admin.is_maintenance() && !after.admin.is_maintenance() {
                self.push_drain(subject, cause, counts, &mut notices);
            }
        }
        let stays_drained = after.admin.contains(AdminFlags::FORCED_DRAIN)
            && !after.admin.is_maintenance()
            && self.is_any()
            && (before.admin.contains(AdminFlags::FORCED_DRAIN) || before.admin.is_maintenance());
        if stays_drained {
            notices.push(state_notice(
                subject,
                LEVEL_NOTICE,
                "remains in forced drain mode",
                Cause::Plain,
                None,
            ));
        }
        notices
    }

    fn push_operational(
        &self,
        subject: Subject<'_>,
        cause: Cause<'_>,
        counts: Counts,
        notices: &mut Vec<Notice>,
    ) {
        let (before, after) = (self.before.operational, self.after.operational);
        if before == after {
            return;
        }
        let notice = match after {
            Operational::Stopped => {
                state_notice(subject, self.loss_level(), "is DOWN", cause, Some((counts, true)))
            }
            Operational::Stopping => {
                state_notice(subject, LEVEL_NOTICE, "is stopping", cause, Some((counts, false)))
            }
            // The end of a slow start is no news.
            Operational::Running if before == Operational::Starting => return,
            Operational::Starting | Operational::Running => {
                state_notice(subject, LEVEL_NOTICE, "is UP", cause, Some((counts, false)))
            }
        };
        notices.push(notice.mailed());
    }

    // A server that was already leaving is no alert.
    fn loss_level(&self) -> u8 {
        if self.before.operational == Operational::Stopping || self.before.admin.is_drain() {
            LEVEL_NOTICE
        } else {
            LEVEL_ALERT
        }
    }

    fn push_maintenance(
        &self,
        subject: Subject<'_>,
        cause: Cause<'_>,
        counts: Counts,
        host: Option<&str>,
        notices: &mut Vec<Notice>,
    ) {
        let (before, after) = (self.before.admin, self.after.admin);
        let forced = |flags: AdminFlags| flags.contains(AdminFlags::FORCED_MAINT);
        match (before.is_maintenance(), after.is_maintenance()) {
            (false, true) if self.before.operational == Operational::Stopped => {
                let text = "was DOWN and now enters maintenance";
                notices.push(state_notice(subject, LEVEL_NOTICE, text, cause, None));
            }
            (false, true) => {
                let text = "is going DOWN for maintenance";
                notices.push(state_notice(subject, self.loss_level(), text, cause, Some((counts, true))));
            }
            (true, true) if forced(before) && !forced(after) => {
                let text = "is leaving forced maintenance but remains in maintenance";
                notices.push(state_notice(subject, LEVEL_NOTICE, text, cause, None));
            }
            (true, true) => {
                if let (Some(host), true) = (host, lost_resolution(before, after)) {
                    let text = format!("('{host}') resolves again but remains in maintenance");
                    notices.push(state_notice(subject, LEVEL_NOTICE, &text, Cause::Plain, None));
                }
            }
            (true, false) => {
                let up = if self.after.operational == Operational::Stopped { "DOWN" } else { "UP" };
                let mode = if after.is_drain() { "DRAIN" } else { "READY" };
                let text = match host {
                    Some(host) if lost_resolution(before, after) => {
                        format!("('{host}') is {up}/{mode} (resolves again)")
                    }
                    _ if forced(before) => format!("is {up}/{mode} (leaving forced maintenance)"),
                    _ => format!("is {up}/{mode} (leaving maintenance)"),
                };
                notices.push(state_notice(subject, LEVEL_NOTICE, &text, Cause::Plain, None));
            }
            (false, false) => {}
        }
    }

    fn push_drain(&self, subject: Subject<'_>, cause: Cause<'_>, counts: Counts, notices: &mut Vec<Notice>) {
        let (before, after) = (self.before.admin, self.after.admin);
        let forced = |flags: AdminFlags| flags.contains(AdminFlags::FORCED_DRAIN);
        let is_down = self.after.operational == Operational::Stopped;
        match (before.is_drain(), after.is_drain()) {
            (false, true) => {
                let counts = Some((counts, is_down));
                notices
                    .push(state_notice(subject, LEVEL_NOTICE, "enters drain state", cause, counts).mailed());
            }
            (true, true) if forced(before) && !forced(after) => {
                let text = "is leaving forced drain but remains in drain mode";
                notices.push(state_notice(subject, LEVEL_NOTICE, text, cause, None));
            }
            (true, false) => {
                let up = if is_down { "DOWN" } else { "UP" };
                let text = format!("is {up} (leaving forced drain)");
                notices.push(state_notice(subject, LEVEL_NOTICE, &text, Cause::Plain, None));
            }
            (true, true) | (false, false) => {}
        }
    }
}

fn lost_resolution(before: AdminFlags, after: AdminFlags) -> bool {
    before.contains(AdminFlags::RESOLUTION_MAINT) && !after.contains(AdminFlags::RESOLUTION_MAINT)
}
