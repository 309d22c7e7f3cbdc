//! Addresses of interfaces: `ifaddrmsg`.

use crate::wire::{
    ACKNOWLEDGE, Attributes, CREATE, DUMP, EXCLUSIVE, Malformed, Message, REPLACE, REQUEST, text, u32_at,
};
use crate::{address_from, family};
use std::net::IpAddr;

pub(crate) const NEW: u16 = 20;
pub(crate) const REMOVE: u16 = 21;
const GET: u16 = 22;

const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const LABEL: u16 = 3;
const BROADCAST: u16 = 4;
const CACHE_INFORMATION: u16 = 6;
const FLAGS: u16 = 8;
const PROTOCOL: u16 = 11;

/// `IFA_F_*`: no duplicate address detection; used at once.
pub const NO_DETECTION: u32 = 0x02;
pub const HOME: u32 = 0x10;
/// Duplicate address detection failed.
pub const DETECTION_FAILED: u32 = 0x08;
/// Duplicate address detection still runs.
pub const TENTATIVE: u32 = 0x40;
pub const MANAGE_TEMPORARY: u32 = 0x100;
pub const NO_PREFIX_ROUTE: u32 = 0x200;

/// "For ever", in the kernel's lifetimes.
pub const FOREVER: u32 = u32::MAX;

/// One address on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub interface: u32,
    /// The interface's own side.
    pub local: IpAddr,
    /// The other side of a point-to-point link.
    pub peer: Option<IpAddr>,
    pub prefix_length: u8,
    /// `RT_SCOPE_*`: 0 is global, 253 link, 254 host.
    pub scope: u8,
    /// `IFA_F_*`.
    pub flags: u32,
    pub broadcast: Option<IpAddr>,
    /// IPv4 only; must begin with the interface's name.
    pub label: Option<String>,
    /// Seconds; [`FOREVER`] is not told to the kernel.
    pub preferred_lifetime: u32,
    /// Who added it, `RTPROT_*` (`IFA_PROTO`, Linux 5.18).
    pub protocol: u8,
}

impl Address {
    /// A global address for ever, for the interface.
    pub fn new(interface: u32, local: IpAddr, prefix_length: u8) -> Self {
        Self {
            interface,
            local,
            peer: None,
            prefix_length,
            scope: 0,
            flags: 0,
            broadcast: None,
            label: None,
            preferred_lifetime: FOREVER,
            protocol: 0,
        }
    }

    /// The request that adds it; `replace` changes one that is there, else that is `EEXIST`.
    pub fn add(&self, sequence: u32, replace: bool) -> Vec<u8> {
        let how = if replace { REPLACE } else { EXCLUSIVE };
        self.request(NEW, REQUEST | ACKNOWLEDGE | CREATE | how, sequence)
    }

    /// The request that removes it.
    pub fn remove(&self, sequence: u32) -> Vec<u8> {
        self.request(REMOVE, REQUEST | ACKNOWLEDGE, sequence)
    }

    fn request(&self, kind: u16, flags: u16, sequence: u32) -> Vec<u8> {
        let mut fixed = [family(self.local), self.prefix_length, 0, self.scope, 0, 0, 0, 0];
        fixed[4..].copy_from_slice(&self.interface.to_ne_bytes());
        let mut message = Message::new(kind, flags, sequence, &fixed);
        message.attribute_address(LOCAL, self.local);
        message.attribute_address(ADDRESS, self.peer.unwrap_or(self.local));
        if let Some(label) = &self.label {
            message.attribute_text(LABEL, label);
        }
        if kind == NEW {
            if let Some(broadcast) = self.broadcast {
                message.attribute_address(BROADCAST, broadcast);
            }
            if self.flags != 0 {
                message.attribute_u32(FLAGS, self.flags);
            }
            if self.preferred_lifetime != FOREVER {
                let mut information = [0; 16];
                information[..4].copy_from_slice(&self.preferred_lifetime.to_ne_bytes());
                information[4..8].copy_from_slice(&FOREVER.to_ne_bytes());
                message.attribute(CACHE_INFORMATION, &information);
            }
            if self.protocol != 0 {
                message.attribute_u8(PROTOCOL, self.protocol);
            }
        }
        message.finish()
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let fixed: [u8; 4] = payload.get(..4).and_then(|four| four.try_into().ok()).ok_or(Malformed)?;
        let interface = u32_at(payload, 4)?;
        let mut local = None;
        let mut other = None;
        let mut address = Self::new(interface, IpAddr::from([0; 4]), fixed[1]);
        address.flags = u32::from(fixed[2]);
        address.scope = fixed[3];
        for attribute in Attributes::new(&payload[8..]) {
            match attribute? {
                (LOCAL, value) => local = address_from(value),
                (ADDRESS, value) => other = address_from(value),
                (BROADCAST, value) => address.broadcast = address_from(value),
                (LABEL, value) => address.label = Some(text(value)),
                (FLAGS, value) => address.flags = u32_at(value, 0)?,
                (CACHE_INFORMATION, value) => address.preferred_lifetime = u32_at(value, 0)?,
                (PROTOCOL, value) => address.protocol = *value.first().ok_or(Malformed)?,
                _ => {}
            }
        }
        // IPv6 says only ADDRESS, unless it is point to point.
        address.local = local.or(other).ok_or(Malformed)?;
        address.peer = other.filter(|other| *other != address.local);
        Ok(address)
    }
}

/// Asks for all addresses.
pub fn dump(sequence: u32) -> Vec<u8> {
    Message::new(GET, REQUEST | DUMP, sequence, &[0; 8]).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::wire::{Control, Messages};

    #[test]
    fn an_address_with_everything_survives_the_wire() {
        let mut address = Address::new(3, IpAddr::from([10, 0, 0, 9]), 24);
        address.broadcast = Some(IpAddr::from([10, 0, 0, 255]));
        address.label = Some("eth0:1".to_owned());
        address.scope = 253;
        address.preferred_lifetime = 0;
        address.protocol = crate::PROTOCOL_KEEPALIVED;
        address.flags = NO_PREFIX_ROUTE;
        let bytes = address.add(1, false);
        let Some(Ok(Control::Data(received))) = Messages::new(&bytes).next() else { panic!("data") };
        assert_eq!(Event::read(received), Ok(Some(Event::AddressThere(address))));
    }

    #[test]
    fn ipv6_and_peers_are_told_apart() {
        let mut address = Address::new(3, "fd00::1".parse().expect("address"), 128);
        let read = |bytes: &[u8]| Address::read(&bytes[16..]);
        assert_eq!(read(&address.add(1, false)), Ok(address.clone()));
        address.peer = Some("fd00::2".parse().expect("address"));
        assert_eq!(read(&address.add(1, false)), Ok(address));
    }
}
