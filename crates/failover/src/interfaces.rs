//! The host's interfaces and their addresses, as the kernel last told. Pure: events in, answers out.

use netlink::address::{DETECTION_FAILED, TENTATIVE};
use netlink::{Address, Event, Link};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All interfaces, by index.
#[derive(Debug, Default, Clone)]
pub struct Interfaces {
    table: BTreeMap<u32, Interface>,
}

/// One interface with its addresses in the kernel's order: primary ones first.
#[derive(Debug, Clone)]
pub struct Interface {
    pub link: Link,
    pub addresses: Vec<Address>,
}

/// `IFA_F_SECONDARY`, of IPv4.
const SECONDARY: u32 = 1;

impl Interfaces {
    /// Takes in what the kernel told.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::LinkThere(link) => {
                let entry = self.table.entry(link.index);
                let interface =
                    entry.or_insert_with(|| Interface { link: link.clone(), addresses: Vec::new() });
                interface.link = link.clone();
            }
            Event::LinkGone(link) => {
                self.table.remove(&link.index);
            }
            Event::AddressThere(address) => {
                if let Some(interface) = self.table.get_mut(&address.interface) {
                    match interface.addresses.iter_mut().find(|there| is_same(there, address)) {
                        Some(there) => *there = address.clone(),
                        None => interface.addresses.push(address.clone()),
                    }
                }
            }
            Event::AddressGone(address) => {
                if let Some(interface) = self.table.get_mut(&address.interface) {
                    interface.addresses.retain(|there| !is_same(there, address));
                }
            }
            Event::RouteThere(_) | Event::RouteGone(_) | Event::RuleThere(_) | Event::RuleGone(_) => {}
        }
    }

    pub fn by_index(&self, index: u32) -> Option<&Interface> {
        self.table.get(&index)
    }

    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.table.values().find(|interface| interface.link.name == name)
    }

    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.by_name(name).map(|interface| interface.link.index)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.table.values()
    }

    /// Whether any interface has the address.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.table.values().any(|interface| interface.addresses.iter().any(|one| one.local == address))
    }
}

/// Whether two notifications speak of the same address of an interface.
fn is_same(one: &Address, other: &Address) -> bool {
    one.local == other.local && one.prefix_length == other.prefix_length
}

impl Interface {
    pub fn find(&self, local: IpAddr) -> Option<&Address> {
        self.addresses.iter().find(|address| address.local == local)
    }

    /// The first address of its own: the source of adverts. Not one of `except` (virtual ones). IPv6: link-local.
    pub fn primary(&self, ipv6: bool, except: &[IpAddr]) -> Option<IpAddr> {
        let usable = |address: &&Address| {
            let tentative = address.flags & (TENTATIVE | DETECTION_FAILED) != 0;
            address.local.is_ipv6() == ipv6 && !except.contains(&address.local) && !(ipv6 && tentative)
        };
        let mut own = self.addresses.iter().filter(usable).filter(|address| match address.local {
            IpAddr::V4(_) => true,
            IpAddr::V6(local) => local.is_unicast_link_local(),
        });
        let primary = own.clone().find(|address| ipv6 || address.flags & SECONDARY == 0);
        primary.or_else(|| own.next()).map(|address| address.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link {
            index,
            name: name.to_owned(),
            flags: 0x41,
            hardware_kind: 1,
            address: vec![2, 0, 0, 0, 0, 1],
            base: None,
            master: None,
            mtu: 1500,
            kind: None,
        }
    }

    fn told(events: &[Event]) -> Interfaces {
        let mut interfaces = Interfaces::default();
        for event in events {
            interfaces.apply(event);
        }
        interfaces
    }

    #[test]
    fn the_source_is_the_first_address_that_is_no_virtual_one() {
        let (own, virtual_one) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 100]));
        let interfaces = told(&[
            Event::LinkThere(link(2, "eth0")),
            Event::AddressThere(Address::new(2, virtual_one, 32)),
            Event::AddressThere(Address::new(2, own, 24)),
        ]);
        let interface = interfaces.by_name("eth0").expect("there");
        assert_eq!(interface.primary(false, &[virtual_one]), Some(own));
        assert_eq!(interface.primary(true, &[]), None);
    }

    #[test]
    fn what_went_is_gone() {
        let address = Address::new(2, IpAddr::from([10, 0, 0, 1]), 24);
        let there = [Event::LinkThere(link(2, "eth0")), Event::AddressThere(address.clone())];
        let mut interfaces = told(&there);
        assert!(interfaces.has_address(address.local));
        interfaces.apply(&Event::AddressGone(address.clone()));
        assert!(!interfaces.has_address(address.local));
        interfaces.apply(&Event::LinkGone(link(2, "eth0")));
        assert!(interfaces.by_index(2).is_none());
    }
}
