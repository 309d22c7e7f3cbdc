//! Interfaces: `ifinfomsg`, and the macvlan that carries a virtual MAC.

use crate::wire::{
    ACKNOWLEDGE, Attributes, CREATE, DUMP, EXCLUSIVE, Malformed, Message, REQUEST, text, u16_at, u32_at,
};

pub(crate) const NEW: u16 = 16;
pub(crate) const REMOVE: u16 = 17;
const GET: u16 = 18;

const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const BASE: u16 = 5;
const MASTER: u16 = 10;
const GROUP: u16 = 27;
const OPERATIONAL_STATE: u16 = 16;
const INFORMATION: u16 = 18;
const INFORMATION_KIND: u16 = 1;
const INFORMATION_DATA: u16 = 2;
const MACVLAN_MODE: u16 = 1;
const PRIVATE_MODE: u32 = 1;
const SPECIFIC: u16 = 26;
const ADDRESS_GENERATION_MODE: u16 = 8;
const NO_LINK_LOCAL: u8 = 1;

/// `IFF_*`.
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const RUNNING: u32 = 0x40;
const MULTICAST: u32 = 0x1000;
const NO_ARP: u32 = 0x80;

/// `ARPHRD_ETHER`.
const HARDWARE_ETHERNET: u16 = 1;

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// `IFF_*`.
    pub flags: u32,
    /// `ARPHRD_*`.
    pub hardware_kind: u16,
    /// The hardware address; empty when it has none.
    pub address: Vec<u8>,
    /// The interface below a macvlan or VLAN.
    pub base: Option<u32>,
    /// The bridge or bond that it is a port of.
    pub master: Option<u32>,
    pub mtu: u32,
    /// `macvlan`, `veth`, `bridge` …
    pub kind: Option<String>,
}

impl Link {
    /// Up, and with a carrier.
    pub fn is_running(&self) -> bool {
        self.flags & UP != 0 && self.flags & RUNNING != 0
    }

    pub fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    pub fn is_loopback(&self) -> bool {
        self.flags & LOOPBACK != 0
    }

    pub fn has_multicast(&self) -> bool {
        self.flags & MULTICAST != 0
    }

    /// Whether neighbours are found by ARP.
    pub fn has_arp(&self) -> bool {
        self.flags & NO_ARP == 0 && self.hardware_kind == HARDWARE_ETHERNET
    }

    /// The hardware address of Ethernet.
    pub fn ethernet_address(&self) -> Option<[u8; 6]> {
        if self.hardware_kind == HARDWARE_ETHERNET { self.address.as_slice().try_into().ok() } else { None }
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut link = Self {
            index: u32_at(payload, 4)?,
            name: String::new(),
            flags: u32_at(payload, 8)?,
            hardware_kind: u16_at(payload, 2)?,
            address: Vec::new(),
            base: None,
            master: None,
            mtu: 0,
            kind: None,
        };
        for attribute in Attributes::new(payload.get(16..).ok_or(Malformed)?) {
            match attribute? {
                (ADDRESS, value) => link.address = value.to_vec(),
                (NAME, value) => link.name = text(value),
                (MTU, value) => link.mtu = u32_at(value, 0)?,
                (BASE, value) => link.base = Some(u32_at(value, 0)?),
                (MASTER, value) => link.master = Some(u32_at(value, 0)?).filter(|index| *index != 0),
                // An interface that is up, with a carrier, and in state "down" or "lower layer down" does not run.
                (OPERATIONAL_STATE, [2 | 3, ..]) => link.flags &= !RUNNING,
                (INFORMATION, value) => {
                    for inner in Attributes::new(value) {
                        if let (INFORMATION_KIND, kind) = inner? {
                            link.kind = Some(text(kind));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(link)
    }
}

/// Asks for all interfaces.
pub fn dump(sequence: u32) -> Vec<u8> {
    Message::new(GET, REQUEST | DUMP, sequence, &[0; 16]).finish()
}

fn fixed(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

/// Makes a private macvlan `name` above interface `base`, with the hardware address of a virtual router. It gets no
/// link-local address of its own (keepalived's way: the base interface's is added by hand).
pub fn add_macvlan(sequence: u32, name: &str, base: u32, address: [u8; 6]) -> Vec<u8> {
    let flags = REQUEST | ACKNOWLEDGE | CREATE | EXCLUSIVE;
    let mut message = Message::new(NEW, flags, sequence, &fixed(0, 0, 0));
    message.attribute_text(NAME, name).attribute_u32(BASE, base).attribute(ADDRESS, &address);
    message.nest(INFORMATION, |information| {
        information.attribute(INFORMATION_KIND, b"macvlan");
        information.nest(INFORMATION_DATA, |data| {
            data.attribute_u32(MACVLAN_MODE, PRIVATE_MODE);
        });
    });
    message.finish()
}

/// Takes the automatic link-local address away from an interface.
pub fn without_link_local(sequence: u32, index: u32) -> Vec<u8> {
    let mut message = Message::new(NEW, REQUEST | ACKNOWLEDGE, sequence, &fixed(index, 0, 0));
    message.nest(SPECIFIC, |specific| {
        specific.nest(u16::from(crate::FAMILY_IPV6), |inet6| {
            inet6.attribute_u8(ADDRESS_GENERATION_MODE, NO_LINK_LOCAL);
        });
    });
    message.finish()
}

/// Puts an interface into a group (`ip link … group N`).
pub fn set_group(sequence: u32, index: u32, group: u32) -> Vec<u8> {
    let mut message = Message::new(NEW, REQUEST | ACKNOWLEDGE, sequence, &fixed(index, 0, 0));
    message.attribute_u32(GROUP, group);
    message.finish()
}

/// Sets an interface up or down.
pub fn set_up(sequence: u32, index: u32, up: bool) -> Vec<u8> {
    Message::new(NEW, REQUEST | ACKNOWLEDGE, sequence, &fixed(index, u32::from(up), UP)).finish()
}

/// Removes an interface.
pub fn remove(sequence: u32, index: u32) -> Vec<u8> {
    Message::new(REMOVE, REQUEST | ACKNOWLEDGE, sequence, &fixed(index, 0, 0)).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::wire::{Control, Messages};

    #[test]
    fn a_macvlan_request_reads_as_the_link_it_asks_for() {
        let bytes = add_macvlan(1, "vrrp.51", 7, [0, 0, 0x5e, 0, 1, 51]);
        let Some(Ok(Control::Data(received))) = Messages::new(&bytes).next() else { panic!("data") };
        let Ok(Some(Event::LinkThere(link))) = Event::read(received) else { panic!("a link") };
        assert_eq!(
            (link.name.as_str(), link.base, link.kind.as_deref()),
            ("vrrp.51", Some(7), Some("macvlan"))
        );
        assert_eq!(link.address, [0, 0, 0x5e, 0, 1, 51]);
        assert!(!link.is_running());
    }
}
