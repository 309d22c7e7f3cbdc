//! The kernel threads that tell other directors of connections.

use super::read_address;
use crate::wire::{Attributes, Malformed, Message, NESTED, text, u16_at, u32_at};
use crate::{FAMILY_IPV4, FAMILY_IPV6};
use std::net::IpAddr;

const ROLE: u16 = 1;
const INTERFACE: u16 = 2;
const SYNC_ID: u16 = 3;
const LENGTH_MAX: u16 = 4;
const GROUP: u16 = 5;
const GROUP6: u16 = 6;
const PORT: u16 = 7;
const HOPS: u16 = 8;

/// Which of the two threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Tells of connections.
    Master,
    /// Hears of them.
    Backup,
}

impl Role {
    fn number(self) -> u32 {
        match self {
            Self::Master => 1,
            Self::Backup => 2,
        }
    }
}

/// One thread's settings; 0 and `None` leave the kernel's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    pub role: Role,
    pub interface: String,
    pub sync_id: u32,
    /// Bytes in a message, UDP payload.
    pub length_max: u16,
    pub group: Option<IpAddr>,
    pub port: u16,
    /// TTL or hop limit.
    pub hops: u8,
}

impl Daemon {
    pub fn new(role: Role) -> Self {
        Self { role, interface: String::new(), sync_id: 0, length_max: 0, group: None, port: 0, hops: 0 }
    }

    pub(super) fn write_nested(&self, message: &mut Message) {
        message.nest(NESTED | super::request::DAEMON, |inside| {
            inside
                .attribute_u32(ROLE, self.role.number())
                .attribute_text(INTERFACE, &self.interface)
                .attribute_u32(SYNC_ID, self.sync_id);
            if self.length_max != 0 {
                inside.attribute(LENGTH_MAX, &self.length_max.to_ne_bytes());
            }
            if self.port != 0 {
                inside.attribute(PORT, &self.port.to_ne_bytes());
            }
            if self.hops != 0 {
                inside.attribute_u8(HOPS, self.hops);
            }
            match self.group {
                Some(IpAddr::V4(group)) => {
                    inside.attribute(GROUP, &group.octets());
                }
                Some(IpAddr::V6(group)) => {
                    inside.attribute(GROUP6, &group.octets());
                }
                None => {}
            }
        });
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut daemon = Self::new(Role::Master);
        for attribute in Attributes::new(bytes) {
            let (kind, value) = attribute?;
            match kind {
                ROLE => {
                    daemon.role = match u32_at(value, 0)? {
                        1 => Role::Master,
                        2 => Role::Backup,
                        _ => return Err(Malformed),
                    };
                }
                INTERFACE => daemon.interface = text(value),
                SYNC_ID => daemon.sync_id = u32_at(value, 0)?,
                LENGTH_MAX => daemon.length_max = u16_at(value, 0)?,
                GROUP => daemon.group = Some(read_address(FAMILY_IPV4.into(), value)?),
                GROUP6 => daemon.group = Some(read_address(FAMILY_IPV6.into(), value)?),
                // The one port that is in the host's order.
                PORT => daemon.port = u16_at(value, 0)?,
                HOPS => daemon.hops = *value.first().ok_or(Malformed)?,
                // What newer kernels add.
                _ => {}
            }
        }
        Ok(daemon)
    }
}
