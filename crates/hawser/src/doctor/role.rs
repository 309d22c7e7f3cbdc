//! What a machine is for: settings are right or wrong only for a role.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Proxy,
    DirectorNat,
    DirectorDr,
    DirectorTunnel,
    RealServer,
}

impl Role {
    pub const NAMES: &'static [(&'static str, Role)] = &[
        ("proxy", Role::Proxy),
        ("director-nat", Role::DirectorNat),
        ("director-dr", Role::DirectorDr),
        ("director-tun", Role::DirectorTunnel),
        ("real-server", Role::RealServer),
    ];

    pub fn named(name: &str) -> Option<Role> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }

    /// Whether a virtual address may move to this machine.
    pub fn holds_virtual_addresses(self) -> bool {
        match self {
            Role::Proxy | Role::DirectorNat | Role::DirectorDr | Role::DirectorTunnel => true,
            Role::RealServer => false,
        }
    }
}
