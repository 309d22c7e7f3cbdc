//! A virtual server's services and real servers, as a plane has them.

use keepalived_config::model::{
    Family, Forwarding, TransportProtocol, TunnelChecksum, TunnelKind, VirtualAddress, VirtualServer,
    VirtualServerGroup,
};
use netlink::ipvs::{ChecksumMode, Forward, Key, Netmask, SCTP, TCP, Tunnel, UDP};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that a group's ranges may have together.
const ADDRESSES_MAX: usize = 65_536;

/// Only address translation changes the port; a mark keeps the packet's unless one is given.
pub(super) fn server_port(key: &Key, port: u16, forwarding: Forwarding) -> u16 {
    match (key, forwarding) {
        (Key::Mark { .. }, Forwarding::Nat) => port,
        (Key::Mark { .. }, Forwarding::DirectRouting | Forwarding::Tunnel(_)) => 0,
        (Key::Address { port: service, .. }, Forwarding::Nat) if port == 0 => *service,
        (Key::Address { .. }, Forwarding::Nat) => port,
        (Key::Address { port: service, .. }, Forwarding::DirectRouting | Forwarding::Tunnel(_)) => *service,
    }
}

pub(super) fn forward(forwarding: Forwarding) -> Forward {
    let mode = |checksum| match checksum {
        TunnelChecksum::None => ChecksumMode::None,
        TunnelChecksum::Checksum => ChecksumMode::Checksum,
        TunnelChecksum::Remote => ChecksumMode::Remote,
    };
    match forwarding {
        Forwarding::Nat => Forward::Masquerade,
        Forwarding::DirectRouting => Forward::Route,
        Forwarding::Tunnel(TunnelKind::IpIp) => Forward::Tunnel(Tunnel::IpInIp),
        Forwarding::Tunnel(TunnelKind::Gue { port, checksum }) => {
            Forward::Tunnel(Tunnel::Gue { port, checksum: mode(checksum) })
        }
        Forwarding::Tunnel(TunnelKind::Gre { checksum }) => {
            Forward::Tunnel(Tunnel::Gre { checksum: mode(checksum) })
        }
    }
}

pub(super) fn netmask(is_ipv6: bool, length: u8) -> Netmask {
    if is_ipv6 {
        return Netmask::Ipv6(length.into());
    }
    let bits = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
    Netmask::Ipv4(Ipv4Addr::from_bits(bits))
}

fn protocol_number(protocol: TransportProtocol) -> u16 {
    match protocol {
        TransportProtocol::Tcp => TCP,
        TransportProtocol::Udp => UDP,
        TransportProtocol::Sctp => SCTP,
    }
}

/// The services of a virtual server, and what messages call it.
pub(super) fn keys(server: &VirtualServer, groups: &[VirtualServerGroup]) -> (Vec<Key>, String) {
    let protocol = protocol_number(server.protocol);
    match server.address {
        VirtualAddress::Socket(address) => {
            let key = Key::Address { protocol, address: address.ip(), port: address.port() };
            (vec![key], crate::table::Name(&key).to_string())
        }
        VirtualAddress::Mark { mark, family } => {
            let key = Key::Mark { mark, is_ipv6: family == Family::Ipv6 };
            (vec![key], format!("FWM {mark}"))
        }
        VirtualAddress::Group(id) => {
            let group = &groups[id.index()];
            let is_ipv6 = server.real_servers.first().is_some_and(|real| real.address.is_ipv6());
            let ranges = group.addresses.iter();
            let mut keys: Vec<Key> = ranges
                .flat_map(|range| {
                    let port = range.port;
                    addresses(range.first, range.last).map(move |address| (address, port))
                })
                .map(|(address, port)| Key::Address { protocol, address, port })
                .take(ADDRESSES_MAX)
                .collect();
            keys.extend(group.marks.iter().map(|(mark, family)| Key::Mark {
                mark: *mark,
                is_ipv6: family.map_or(is_ipv6, |family| family == Family::Ipv6),
            }));
            (keys, format!("[{}]:0", group.name))
        }
    }
}

fn addresses(first: IpAddr, last: IpAddr) -> Box<dyn Iterator<Item = IpAddr>> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Box::new((first.to_bits()..=last.to_bits()).map(|bits| Ipv4Addr::from_bits(bits).into()))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            Box::new((first.to_bits()..=last.to_bits()).map(|bits| Ipv6Addr::from_bits(bits).into()))
        }
        // The configuration refuses ranges of two families.
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Box::new(std::iter::empty()),
    }
}
