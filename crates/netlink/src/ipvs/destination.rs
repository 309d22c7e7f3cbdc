//! A real server of a virtual service.

use super::statistics::{STATISTICS_32, Statistics};
use super::{address_bytes, be16_at, read_address};
use crate::wire::{Attributes, Malformed, Message, NESTED, u16_at, u32_at};
use crate::{FAMILY_IPV4, family};
use std::net::{IpAddr, Ipv4Addr};

const ADDRESS: u16 = 1;
const PORT: u16 = 2;
const FORWARD: u16 = 3;
const WEIGHT: u16 = 4;
const UPPER_THRESHOLD: u16 = 5;
const LOWER_THRESHOLD: u16 = 6;
const ACTIVE: u16 = 7;
const INACTIVE: u16 = 8;
const PERSISTENT: u16 = 9;
const STATISTICS: u16 = 10;
const FAMILY: u16 = 11;
const STATISTICS_64: u16 = 12;
const TUNNEL_KIND: u16 = 13;
const TUNNEL_PORT: u16 = 14;
const TUNNEL_FLAGS: u16 = 15;

/// The bits of the connection flags that say how packets are forwarded.
const FORWARD_MASK: u32 = 7;

/// How packets reach the real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forward {
    /// Addresses are rewritten, both ways (NAT).
    Masquerade,
    /// The real server is this host: the kernel's doing, never asked for.
    Local,
    Tunnel(Tunnel),
    /// Only the link address is rewritten (DR).
    Route,
    /// Sent on unbalanced: the kernel's doing, never asked for.
    Bypass,
}

impl Forward {
    fn number(self) -> u32 {
        match self {
            Self::Masquerade => 0,
            Self::Local => 1,
            Self::Tunnel(_) => 2,
            Self::Route => 3,
            Self::Bypass => 4,
        }
    }
}

/// Encapsulation towards the real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tunnel {
    #[default]
    IpInIp,
    Gue {
        port: u16,
        checksum: ChecksumMode,
    },
    Gre {
        checksum: ChecksumMode,
    },
}

impl Tunnel {
    /// Kind, port and flags as in the attributes.
    fn parts(self) -> (u8, u16, u16) {
        match self {
            Self::IpInIp => (0, 0, 0),
            Self::Gue { port, checksum } => (1, port, checksum.number()),
            Self::Gre { checksum } => (2, 0, checksum.number()),
        }
    }
}

/// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChecksumMode {
    #[default]
    None,
    Checksum,
    Remote,
}

impl ChecksumMode {
    fn number(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Checksum => 1,
            Self::Remote => 2,
        }
    }

    fn of(number: u16) -> Self {
        match number & 3 {
            0 => Self::None,
            1 => Self::Checksum,
            // Both bits never occur together.
            _ => Self::Remote,
        }
    }
}

/// A real server with what the kernel counted for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub address: IpAddr,
    pub port: u16,
    pub forward: Forward,
    /// 0 takes no new connections.
    pub weight: u32,
    /// Connections at which new ones stop; 0 for no limit.
    pub upper_threshold: u32,
    /// Connections below which they start again.
    pub lower_threshold: u32,
    pub active: u32,
    pub inactive: u32,
    pub persistent: u32,
    pub statistics: Statistics,
}

impl Destination {
    pub fn new(address: IpAddr, port: u16, forward: Forward, weight: u32) -> Self {
        Self {
            address,
            port,
            forward,
            weight,
            upper_threshold: 0,
            lower_threshold: 0,
            active: 0,
            inactive: 0,
            persistent: 0,
            statistics: Statistics::default(),
        }
    }

    pub(super) fn write_nested(&self, message: &mut Message) {
        message.nest(NESTED | super::request::DESTINATION, |inside| self.write(inside));
    }

    /// With what was counted.
    pub(super) fn write_answer(&self, message: &mut Message) {
        message.nest(NESTED | super::request::DESTINATION, |inside| {
            self.write(inside);
            inside
                .attribute_u32(ACTIVE, self.active)
                .attribute_u32(INACTIVE, self.inactive)
                .attribute_u32(PERSISTENT, self.persistent);
            self.statistics.write_nested(STATISTICS_64, inside);
        });
    }

    fn write(&self, inside: &mut Message) {
        let tunnel = match self.forward {
            Forward::Tunnel(tunnel) => tunnel,
            Forward::Masquerade | Forward::Local | Forward::Route | Forward::Bypass => Tunnel::IpInIp,
        };
        let (kind, port, flags) = tunnel.parts();
        inside
            .attribute(FAMILY, &u16::from(family(self.address)).to_ne_bytes())
            .attribute(ADDRESS, &address_bytes(self.address))
            .attribute(PORT, &self.port.to_be_bytes())
            .attribute_u32(FORWARD, self.forward.number())
            .attribute_u32(WEIGHT, self.weight)
            .attribute_u8(TUNNEL_KIND, kind)
            .attribute(TUNNEL_PORT, &port.to_be_bytes())
            .attribute(TUNNEL_FLAGS, &flags.to_ne_bytes())
            .attribute_u32(UPPER_THRESHOLD, self.upper_threshold)
            .attribute_u32(LOWER_THRESHOLD, self.lower_threshold);
    }

    /// `service_family`: kernels before 3.18 name no family; it is then the service's.
    pub(super) fn read(bytes: &[u8], service_family: u8) -> Result<Self, Malformed> {
        let mut family = u16::from(service_family);
        let mut address: &[u8] = &[];
        let (mut forward, mut kind, mut port, mut flags) = (0, 0, 0, 0);
        let mut destination = Self::new(Ipv4Addr::UNSPECIFIED.into(), 0, Forward::Masquerade, 0);
        let mut has_wide_statistics = false;
        for attribute in Attributes::new(bytes) {
            let (number, value) = attribute?;
            match number {
                ADDRESS => address = value,
                PORT => destination.port = be16_at(value)?,
                FORWARD => forward = u32_at(value, 0)? & FORWARD_MASK,
                WEIGHT => destination.weight = u32_at(value, 0)?,
                UPPER_THRESHOLD => destination.upper_threshold = u32_at(value, 0)?,
                LOWER_THRESHOLD => destination.lower_threshold = u32_at(value, 0)?,
                ACTIVE => destination.active = u32_at(value, 0)?,
                INACTIVE => destination.inactive = u32_at(value, 0)?,
                PERSISTENT => destination.persistent = u32_at(value, 0)?,
                STATISTICS if !has_wide_statistics => {
                    destination.statistics = Statistics::read(value, STATISTICS_32)?;
                }
                FAMILY => family = u16_at(value, 0)?,
                STATISTICS_64 => {
                    destination.statistics = Statistics::read(value, !STATISTICS_32)?;
                    has_wide_statistics = true;
                }
                TUNNEL_KIND => kind = *value.first().ok_or(Malformed)?,
                TUNNEL_PORT => port = be16_at(value)?,
                TUNNEL_FLAGS => flags = u16_at(value, 0)?,
                // What newer kernels add.
                _ => {}
            }
        }
        if family == 0 {
            family = u16::from(FAMILY_IPV4);
        }
        destination.address = read_address(family, address)?;
        let checksum = ChecksumMode::of(flags);
        destination.forward = match (forward, kind) {
            (0, _) => Forward::Masquerade,
            (1, _) => Forward::Local,
            (2, 0) => Forward::Tunnel(Tunnel::IpInIp),
            (2, 1) => Forward::Tunnel(Tunnel::Gue { port, checksum }),
            (2, 2) => Forward::Tunnel(Tunnel::Gre { checksum }),
            (3, _) => Forward::Route,
            (4, _) => Forward::Bypass,
            _ => return Err(Malformed),
        };
        Ok(destination)
    }
}
