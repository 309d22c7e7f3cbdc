//! A virtual service.

use super::statistics::{STATISTICS_32, Statistics};
use super::{address_bytes, be16_at, read_address};
use crate::wire::{Attributes, Malformed, Message, NESTED, text, u16_at, u32_at};
use crate::{FAMILY_IPV4, FAMILY_IPV6, family};
use std::net::{IpAddr, Ipv4Addr};

const FAMILY: u16 = 1;
const PROTOCOL: u16 = 2;
const ADDRESS: u16 = 3;
const PORT: u16 = 4;
const MARK: u16 = 5;
const SCHEDULER: u16 = 6;
const FLAGS: u16 = 7;
const TIMEOUT: u16 = 8;
const NETMASK: u16 = 9;
const STATISTICS: u16 = 10;
const ENGINE: u16 = 11;
const STATISTICS_64: u16 = 12;

/// What makes a service unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Address {
        /// [`super::TCP`], [`super::UDP`] or [`super::SCTP`].
        protocol: u16,
        address: IpAddr,
        /// 0 is every port.
        port: u16,
    },
    Mark {
        mark: u32,
        is_ipv6: bool,
    },
}

impl Key {
    pub fn is_ipv6(&self) -> bool {
        match self {
            Self::Address { address, .. } => address.is_ipv6(),
            Self::Mark { is_ipv6, .. } => *is_ipv6,
        }
    }

    pub(super) fn write(&self, message: &mut Message) {
        match *self {
            Self::Address { protocol, address, port } => {
                message
                    .attribute(FAMILY, &u16::from(family(address)).to_ne_bytes())
                    .attribute(PROTOCOL, &protocol.to_ne_bytes())
                    .attribute(ADDRESS, &address_bytes(address))
                    .attribute(PORT, &port.to_be_bytes());
            }
            Self::Mark { mark, is_ipv6 } => {
                let family = if is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 };
                message.attribute(FAMILY, &u16::from(family).to_ne_bytes()).attribute_u32(MARK, mark);
            }
        }
    }

    pub(super) fn write_nested(&self, message: &mut Message) {
        message.nest(NESTED | super::request::SERVICE, |inside| self.write(inside));
    }
}

/// `IP_VS_SVC_F_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(pub u32);

impl Flags {
    pub const PERSISTENT: u32 = 1;
    /// Set by the kernel alone.
    pub const HASHED: u32 = 2;
    pub const ONE_PACKET: u32 = 4;
    /// The three flags of the scheduler; of `sh` and `mh` the first is fallback, the second port.
    pub const SCHEDULER: [u32; 3] = [8, 16, 32];

    pub fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// How clients are grouped by persistence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Netmask {
    Ipv4(Ipv4Addr),
    /// The length of the prefix.
    Ipv6(u32),
}

impl Netmask {
    /// Each client for itself.
    pub fn host(is_ipv6: bool) -> Self {
        if is_ipv6 { Self::Ipv6(128) } else { Self::Ipv4(Ipv4Addr::BROADCAST) }
    }

    fn bytes(self) -> [u8; 4] {
        match self {
            Self::Ipv4(mask) => mask.octets(),
            Self::Ipv6(length) => length.to_ne_bytes(),
        }
    }
}

/// A service with what the kernel counted for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub key: Key,
    /// `rr`, `wlc` …
    pub scheduler: String,
    pub flags: Flags,
    /// Of persistence, in seconds.
    pub timeout: u32,
    pub netmask: Netmask,
    /// The persistence engine, `sip`; empty for none.
    pub engine: String,
    pub statistics: Statistics,
}

impl Service {
    /// A service that is not persistent and has no flags.
    pub fn new(key: Key, scheduler: &str) -> Self {
        Self {
            key,
            scheduler: scheduler.to_owned(),
            flags: Flags::default(),
            timeout: 0,
            netmask: Netmask::host(key.is_ipv6()),
            engine: String::new(),
            statistics: Statistics::default(),
        }
    }

    pub(super) fn write_nested(&self, message: &mut Message) {
        message.nest(NESTED | super::request::SERVICE, |inside| self.write(inside));
    }

    /// With what was counted.
    pub(super) fn write_answer(&self, message: &mut Message) {
        message.nest(NESTED | super::request::SERVICE, |inside| {
            self.write(inside);
            self.statistics.write_nested(STATISTICS_64, inside);
        });
    }

    fn write(&self, inside: &mut Message) {
        self.key.write(inside);
        inside.attribute_text(SCHEDULER, &self.scheduler);
        if !self.engine.is_empty() {
            inside.attribute_text(ENGINE, &self.engine);
        }
        // The value, and a mask of the bits that are meant.
        let mut flags = [0xff; 8];
        flags[..4].copy_from_slice(&self.flags.0.to_ne_bytes());
        inside
            .attribute(FLAGS, &flags)
            .attribute_u32(TIMEOUT, self.timeout)
            .attribute(NETMASK, &self.netmask.bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut is_ipv6 = false;
        let (mut protocol, mut address, mut port, mut mark) = (0, None, 0, None);
        let mut netmask = [0xff; 4];
        let mut service = Self::new(Key::Mark { mark: 0, is_ipv6: false }, "");
        let mut has_wide_statistics = false;
        for attribute in Attributes::new(bytes) {
            let (kind, value) = attribute?;
            match kind {
                FAMILY => is_ipv6 = u16_at(value, 0)? == u16::from(FAMILY_IPV6),
                PROTOCOL => protocol = u16_at(value, 0)?,
                ADDRESS => address = Some(value),
                PORT => port = be16_at(value)?,
                MARK => mark = Some(u32_at(value, 0)?),
                SCHEDULER => service.scheduler = text(value),
                FLAGS => service.flags = Flags(u32_at(value, 0)?),
                TIMEOUT => service.timeout = u32_at(value, 0)?,
                NETMASK => netmask = value.get(..4).and_then(|part| part.try_into().ok()).ok_or(Malformed)?,
                ENGINE => service.engine = text(value),
                STATISTICS if !has_wide_statistics => {
                    service.statistics = Statistics::read(value, STATISTICS_32)?;
                }
                STATISTICS_64 => {
                    service.statistics = Statistics::read(value, !STATISTICS_32)?;
                    has_wide_statistics = true;
                }
                // What newer kernels add.
                _ => {}
            }
        }
        let family = u16::from(if is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 });
        service.key = match (mark, address) {
            (Some(mark), _) => Key::Mark { mark, is_ipv6 },
            (None, Some(bytes)) => Key::Address { protocol, address: read_address(family, bytes)?, port },
            (None, None) => return Err(Malformed),
        };
        service.netmask = if is_ipv6 {
            Netmask::Ipv6(u32::from_ne_bytes(netmask))
        } else {
            Netmask::Ipv4(Ipv4Addr::from(netmask))
        };
        Ok(service)
    }
}
