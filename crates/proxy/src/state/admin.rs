//! Administrative and operational states of a server, with HAProxy's bit values: `show servers state` prints them.

/// Administrative state: why an operator, the configuration or a tracked server wants no traffic here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin(pub u32);

impl Admin {
    /// `disable server`, `set server … state maint`, or `disabled` in the configuration.
    pub const FORCED_MAINT: Admin = Admin(0x01);
    /// Inherited from a tracked server.
    pub const INHERITED_MAINT: Admin = Admin(0x02);
    /// Says that the forced maintenance came from the configuration.
    pub const CONFIG_MAINT: Admin = Admin(0x04);
    /// `set server … state drain`.
    pub const FORCED_DRAIN: Admin = Admin(0x08);
    pub const INHERITED_DRAIN: Admin = Admin(0x10);
    /// Name resolution lost the address.
    pub const RESOLUTION_MAINT: Admin = Admin(0x20);
    /// The host name was set at run time (`set server … fqdn`, SRV records); no maintenance by itself.
    pub const HOST_MAINT: Admin = Admin(0x40);

    const MAINT: u32 = 0x01 | 0x02 | 0x20;
    const DRAIN: u32 = 0x08 | 0x10;

    pub fn empty() -> Admin {
        Admin(0)
    }

    pub fn contains(self, other: Admin) -> bool {
        self.0 & other.0 != 0
    }

    pub fn with(self, other: Admin) -> Admin {
        Admin(self.0 | other.0)
    }

    pub fn without(self, other: Admin) -> Admin {
        Admin(self.0 & !other.0)
    }

    pub fn is_maintenance(self) -> bool {
        self.0 & Admin::MAINT != 0
    }

    pub fn is_drain(self) -> bool {
        self.0 & Admin::DRAIN != 0
    }
}

/// Operational state: what checks found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Running {
    Stopped = 0,
    /// Slow start.
    Starting = 1,
    /// In full service.
    Up = 2,
    /// `disable-on-404`, agent "stopped…": finishes what it has.
    Stopping = 3,
}

impl Running {
    pub(super) fn from_u8(value: u8) -> Running {
        match value {
            0 => Running::Stopped,
            1 => Running::Starting,
            3 => Running::Stopping,
            _ => Running::Up,
        }
    }
}
