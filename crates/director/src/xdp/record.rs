//! Services and real servers as they lie in the maps, and back. Pure.

use super::slots;
use crate::kernel::Refusal;
use netlink::ipvs::{ChecksumMode, Destination, Flags, Forward, Key, Netmask, Service, TCP, Tunnel, UDP};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use xdp_abi::{IPV4, IPV6, Real, ServiceKey, bytes_of, choice, forward, service_flag, words_of};

/// Schedulers by their place in a record.
const SCHEDULERS: [(&str, u8); 13] = [
    ("rr", choice::TURNS),
    ("wrr", choice::TURNS),
    ("lc", choice::LEAST),
    ("wlc", choice::LEAST_WEIGHTED),
    ("lblc", choice::LOCALITY),
    ("lblcr", choice::LOCALITY_REPLICATED),
    ("dh", choice::DESTINATION),
    ("sh", choice::SOURCE),
    ("mh", choice::SOURCE),
    ("sed", choice::SHORTEST_DELAY),
    ("nq", choice::NEVER_QUEUE),
    ("fo", choice::FAILOVER),
    ("ovf", choice::OVERFLOW),
];

const TCP_NUMBER: u8 = 6;
const UDP_NUMBER: u8 = 17;

/// `ENOENT`, which IPVS says of a scheduler that it has not.
const NO_SUCH_ENTRY: i32 = 2;

/// The key of a service in the maps.
///
/// # Errors
/// Names what the plane does not do.
pub fn service_key(key: &Key) -> Result<ServiceKey, Refusal> {
    match *key {
        Key::Address { protocol, address, port } => {
            let protocol = match protocol {
                TCP => TCP_NUMBER,
                UDP => UDP_NUMBER,
                _ => return Err(Refusal::Unsupported("SCTP")),
            };
            let (address, family) = wide(address);
            Ok(ServiceKey { address, port: port.to_be(), protocol, family })
        }
        Key::Mark { .. } => Err(Refusal::Unsupported("a service by firewall mark")),
    }
}

/// An address in four words, and its family.
pub fn wide(address: IpAddr) -> ([u32; 4], u8) {
    match address {
        IpAddr::V4(address) => ([u32::from_ne_bytes(address.octets()), 0, 0, 0], IPV4),
        IpAddr::V6(address) => (words_of(address.octets()), IPV6),
    }
}

fn narrow(address: [u32; 4], family: u8) -> IpAddr {
    if family == IPV4 {
        Ipv4Addr::from(address[0].to_ne_bytes()).into()
    } else {
        Ipv6Addr::from(bytes_of(address)).into()
    }
}

fn netmask(service: &Service) -> [u32; 4] {
    match service.netmask {
        Netmask::Ipv4(mask) => wide(mask.into()).0,
        Netmask::Ipv6(length) => {
            let bits = u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0);
            words_of(bits.to_be_bytes())
        }
    }
}

fn scheduler(service: &Service) -> Result<(u8, u8), Refusal> {
    let found = (0_u8..).zip(SCHEDULERS).find(|(_, (name, _))| *name == service.scheduler);
    let (place, (_, choice)) = found.ok_or(Refusal::Kernel(NO_SUCH_ENTRY))?;
    let by_port = choice == choice::SOURCE && service.flags.has(Flags::SCHEDULER[1]);
    Ok((place, if by_port { choice::SOURCE_PORT } else { choice }))
}

/// A service's record, but for where its slots are.
///
/// # Errors
/// Names what the plane does not do.
pub fn service(service: &Service, number: u32) -> Result<xdp_abi::Service, Refusal> {
    let key = service_key(&service.key)?;
    let (scheduler, choice) = scheduler(service)?;
    if !service.engine.is_empty() {
        return Err(Refusal::Unsupported("a persistence engine"));
    }
    let is_persistent = service.flags.has(Flags::PERSISTENT);
    let mut flags = 0;
    if service.flags.has(Flags::ONE_PACKET) && key.protocol == UDP_NUMBER {
        flags |= service_flag::ONE_PACKET;
    }
    if matches!(service.scheduler.as_str(), "sh" | "mh") && service.flags.has(Flags::SCHEDULER[0]) {
        flags |= service_flag::FALLBACK;
    }
    Ok(xdp_abi::Service {
        address: key.address,
        port: key.port,
        protocol: key.protocol,
        family: key.family,
        number,
        first_slot: 0,
        slots: 0,
        choice,
        flags,
        scheduler,
        nothing: 0,
        persistence: if is_persistent { service.timeout.max(1) } else { 0 },
        netmask: netmask(service),
        ipvs_flags: service.flags.0 & !Flags::HASHED,
    })
}

/// A record as the service that it was made of; `None` where it is none.
pub fn read_service(record: &xdp_abi::Service) -> Option<Service> {
    let address = narrow(record.address, record.family);
    let protocol = if record.protocol == TCP_NUMBER { TCP } else { UDP };
    let name = SCHEDULERS.get(usize::from(record.scheduler))?.0;
    let port = u16::from_be(record.port);
    let mut service = Service::new(Key::Address { protocol, address, port }, name);
    service.flags = Flags(record.ipvs_flags);
    service.timeout = record.persistence;
    service.netmask = match narrow(record.netmask, record.family) {
        IpAddr::V4(mask) => Netmask::Ipv4(mask),
        IpAddr::V6(mask) => Netmask::Ipv6(mask.to_bits().leading_ones()),
    };
    Some(service)
}

/// A real server's record. `source` is the outer source of a tunnel to it.
///
/// # Errors
/// Names what the plane does not do.
pub fn real(
    key: &Key,
    server: &Destination,
    source: Option<IpAddr>,
    service: u32,
    order: u32,
) -> Result<Real, Refusal> {
    let (forward, tunnel_port, tunnel_checksum) = forward_of(server.forward)?;
    let is_tunnel = matches!(server.forward, Forward::Tunnel(_));
    if !is_tunnel && server.address.is_ipv6() != key.is_ipv6() {
        return Err(Refusal::Unsupported("a real server of the other family without a tunnel"));
    }
    let (address, family) = wide(server.address);
    Ok(Real {
        address,
        source: source.map_or([0; 4], |source| wide(source).0),
        port: server.port.to_be(),
        forward,
        family,
        service,
        weight: server.weight,
        upper: server.upper_threshold,
        lower: server.lower_threshold,
        tunnel_port: tunnel_port.to_be(),
        tunnel_checksum,
        nothing: 0,
        order,
    })
}

/// A record as the real server that it was made of; `None`: not in use.
pub fn read_real(record: &Real) -> Option<Destination> {
    let checksum = if record.tunnel_checksum == 0 { ChecksumMode::None } else { ChecksumMode::Checksum };
    let port = u16::from_be(record.tunnel_port);
    let forward = match record.forward {
        forward::NAT => Forward::Masquerade,
        forward::ROUTE => Forward::Route,
        forward::IP_IN_IP => Forward::Tunnel(Tunnel::IpInIp),
        forward::GUE => Forward::Tunnel(Tunnel::Gue { port, checksum }),
        forward::GRE => Forward::Tunnel(Tunnel::Gre { checksum }),
        _ => return None,
    };
    let address = narrow(record.address, record.family);
    let mut server = Destination::new(address, u16::from_be(record.port), forward, record.weight);
    server.upper_threshold = record.upper;
    server.lower_threshold = record.lower;
    Some(server)
}

/// One of [`forward`], the port of a tunnel, and whether it has a checksum.
fn forward_of(method: Forward) -> Result<(u8, u16, u8), Refusal> {
    match method {
        Forward::Masquerade => Ok((forward::NAT, 0, 0)),
        Forward::Route => Ok((forward::ROUTE, 0, 0)),
        Forward::Tunnel(Tunnel::IpInIp) => Ok((forward::IP_IN_IP, 0, 0)),
        Forward::Tunnel(Tunnel::Gue { port, checksum: ChecksumMode::None }) => Ok((forward::GUE, port, 0)),
        Forward::Tunnel(Tunnel::Gue { port, checksum: ChecksumMode::Checksum }) => {
            Ok((forward::GUE, port, 1))
        }
        Forward::Tunnel(Tunnel::Gue { checksum: ChecksumMode::Remote, .. }) => {
            Err(Refusal::Unsupported("a GUE tunnel with remote checksums"))
        }
        Forward::Tunnel(Tunnel::Gre { checksum: ChecksumMode::None }) => Ok((forward::GRE, 0, 0)),
        Forward::Tunnel(Tunnel::Gre { .. }) => Err(Refusal::Unsupported("a GRE tunnel with checksums")),
        Forward::Local | Forward::Bypass => Err(Refusal::Unsupported("a real server on the director")),
    }
}

/// What a real server's place among the slots is computed from: the same on every director.
fn name_of(server: &Destination) -> u64 {
    match server.address {
        IpAddr::V4(address) => u64::from(address.to_bits()) << 16 | u64::from(server.port),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let (high, low) = ((bits >> 64) as u64, bits as u64);
            high.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ low.rotate_left(16) ^ u64::from(server.port)
        }
    }
}

/// The slots of a service: numbers of its real servers, which come with them, the newest first.
pub fn slots_of(choice: u8, scheduler: &str, servers: &[(u32, Destination)]) -> Vec<u32> {
    let numbers = |slots: Vec<usize>, servers: &[(u32, Destination)]| -> Vec<u32> {
        slots.into_iter().map(|slot| servers[slot].0).collect()
    };
    match choice {
        choice::TURNS => {
            let weight = |server: &Destination| {
                if scheduler == "rr" { u32::from(server.weight > 0) } else { server.weight }
            };
            let weights: Vec<u32> = servers.iter().map(|(_, server)| weight(server)).collect();
            numbers(slots::turns(&weights), servers)
        }
        choice::SOURCE | choice::SOURCE_PORT | choice::DESTINATION => {
            // In an order that every director has, whatever the order they came in.
            let mut sorted = servers.to_vec();
            sorted.sort_by_key(|(_, server)| (server.address, server.port));
            let names: Vec<u64> = sorted.iter().map(|(_, server)| name_of(server)).collect();
            let weights: Vec<u32> = sorted.iter().map(|(_, server)| server.weight).collect();
            numbers(slots::maglev(&names, &weights), &sorted)
        }
        // Those that look at every real server skip the ones without weight themselves.
        _ => servers.iter().map(|(number, _)| *number).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_tell_what_they_were_made_of() {
        let key = Key::Address { protocol: UDP, address: "fd00::1".parse().expect("an address"), port: 53 };
        let mut wanted = Service::new(key, "mh");
        wanted.flags = Flags(Flags::PERSISTENT | Flags::ONE_PACKET | Flags::SCHEDULER[1]);
        wanted.timeout = 360;
        wanted.netmask = Netmask::Ipv6(64);
        let record = service(&wanted, 7).expect("done");
        assert_eq!((record.number, record.choice), (7, choice::SOURCE_PORT));
        assert_eq!(read_service(&record), Some(wanted));

        let forward = Forward::Tunnel(Tunnel::Gue { port: 6080, checksum: ChecksumMode::Checksum });
        let mut server = Destination::new([10, 0, 0, 1].into(), 53, forward, 5);
        server.upper_threshold = 9;
        let record = real(&key, &server, Some([10, 0, 0, 9].into()), 7, 1).expect("done");
        assert_eq!(read_real(&record), Some(server));
    }
}
