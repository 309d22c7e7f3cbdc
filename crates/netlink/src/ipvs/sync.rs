//! The datagrams by which directors tell each other of connections: version 1 of the protocol of the kernel's
//! synchronisation daemons. What a kernel 6.1 sends and takes is tried in the guest. Pure.
//!
//! ```text
//!  header   0, id of the daemons, length (2), connections, version 1, 0 (2)
//!  each     kind, protocol, length (2), flags (4), state (2), ports of client, service, server (2 each),
//!           mark (4), seconds (4), addresses of client, service, server (4 or 16 each); more that is optional
//! ```
//! Numbers are in network order; each connection begins at a multiple of four bytes.

use crate::wire::Malformed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the kernel's daemons send and listen unless told otherwise.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 81);
pub const PORT: u16 = 8848;
/// Of a datagram, over Ethernet without options.
pub const LENGTH_MAX: u16 = 1472;

const HEADER_LENGTH: usize = 8;
const VERSION: u8 = 1;
const FIXED_LENGTH: usize = 24;
const KIND_IPV6: u8 = 1;
/// The upper bits of a connection's length are a version of its own, 0.
const LENGTH_MASK: u16 = 0x0fff;
/// The number of connections is one byte.
const CONNECTIONS_MAX: usize = 255;

/// Bits of a connection's flags.
pub mod flag {
    pub const FORWARD_MASK: u32 = 7;
    pub const MASQUERADE: u32 = 0;
    pub const TUNNEL: u32 = 2;
    pub const ROUTE: u32 = 3;
    /// Not counted as active.
    pub const INACTIVE: u32 = 0x0100;
    /// A client that a persistent service remembers.
    pub const TEMPLATE: u32 = 0x1000;
}

/// States of a TCP connection by the kernel's numbers; of UDP there is one, 0.
pub mod state {
    pub const NONE: u16 = 0;
    pub const ESTABLISHED: u16 = 1;
    pub const SYN_SENT: u16 = 2;
    pub const SYN_RECEIVED: u16 = 3;
    pub const FIN_WAIT: u16 = 4;
    pub const TIME_WAIT: u16 = 5;
    pub const CLOSE: u16 = 6;
    pub const CLOSE_WAIT: u16 = 7;
    pub const LAST_ACK: u16 = 8;
}

/// One connection, or one client of a persistent service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// 6 or 17.
    pub protocol: u8,
    pub flags: u32,
    pub state: u16,
    pub client: SocketAddr,
    pub service: SocketAddr,
    pub server: SocketAddr,
    pub mark: u32,
    /// Until it is forgotten without another packet.
    pub seconds: u32,
}

impl Connection {
    /// Bytes in a datagram; `None`: the three addresses are of two families, which the protocol cannot say.
    fn length(&self) -> Option<usize> {
        let is_ipv6 = self.client.is_ipv6();
        let is_one = self.service.is_ipv6() == is_ipv6 && self.server.is_ipv6() == is_ipv6;
        is_one.then_some(FIXED_LENGTH + 3 * if is_ipv6 { 16 } else { 4 })
    }

    fn write(&self, length: usize, bytes: &mut Vec<u8>) {
        bytes.extend([if self.client.is_ipv6() { KIND_IPV6 } else { 0 }, self.protocol]);
        bytes.extend((u16::try_from(length).unwrap_or(0) & LENGTH_MASK).to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.state.to_be_bytes());
        for end in [self.client, self.service, self.server] {
            bytes.extend(end.port().to_be_bytes());
        }
        bytes.extend(self.mark.to_be_bytes());
        bytes.extend(self.seconds.to_be_bytes());
        for end in [self.client, self.service, self.server] {
            match end.ip() {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let fixed = bytes.get(..FIXED_LENGTH).ok_or(Malformed)?;
        let short = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let long = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let width = if fixed[0] & KIND_IPV6 == 0 { 4 } else { 16 };
        let end = |place: usize| {
            let start = FIXED_LENGTH + place * width;
            let part = bytes.get(start..start + width).ok_or(Malformed)?;
            let address: IpAddr = match (<[u8; 4]>::try_from(part), <[u8; 16]>::try_from(part)) {
                (Ok(octets), _) => Ipv4Addr::from(octets).into(),
                (_, Ok(octets)) => Ipv6Addr::from(octets).into(),
                _ => return Err(Malformed),
            };
            Ok(SocketAddr::new(address, short(10 + 2 * place)))
        };
        Ok(Self {
            protocol: fixed[1],
            flags: long(4),
            state: short(8),
            client: end(0)?,
            service: end(1)?,
            server: end(2)?,
            mark: long(16),
            seconds: long(20),
        })
    }
}

/// Datagrams of at most `length_max` bytes that tell of the connections; those of two families are left out.
pub fn write(id: u8, connections: &[Connection], length_max: u16) -> Vec<Vec<u8>> {
    let most = usize::from(length_max).max(HEADER_LENGTH + FIXED_LENGTH + 48);
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    let mut count = 0;
    for connection in connections {
        let Some(length) = connection.length() else { continue };
        let is_full = datagrams.last().is_none_or(|last| last.len() + length > most);
        if is_full || count == CONNECTIONS_MAX {
            datagrams.push(vec![0, id, 0, 0, 0, VERSION, 0, 0]);
            count = 0;
        }
        let Some(last) = datagrams.last_mut() else { continue };
        connection.write(length, last);
        count += 1;
        let whole = u16::try_from(last.len()).unwrap_or(0).to_be_bytes();
        last[2..4].copy_from_slice(&whole);
        last[4] = u8::try_from(count).unwrap_or(0);
    }
    datagrams
}

/// The connections of a datagram; none where it is of daemons with another id. `id` 0 takes every one.
///
/// # Errors
/// Another version, or lengths that do not fit.
pub fn read(id: u8, bytes: &[u8]) -> Result<Vec<Connection>, Malformed> {
    let header = bytes.get(..HEADER_LENGTH).ok_or(Malformed)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if length != bytes.len() || header[0] != 0 || header[5] != VERSION {
        return Err(Malformed);
    }
    if id != 0 && header[1] != id {
        return Ok(Vec::new());
    }
    let mut connections = Vec::new();
    let mut at = HEADER_LENGTH;
    for _ in 0..header[4] {
        let start = bytes.get(at..at + 4).ok_or(Malformed)?;
        let sized = u16::from_be_bytes([start[2], start[3]]);
        let length = usize::from(sized & LENGTH_MASK);
        if sized & !LENGTH_MASK != 0 {
            return Err(Malformed);
        }
        connections.push(Connection::read(bytes.get(at..at + length).ok_or(Malformed)?)?);
        at += length.next_multiple_of(4);
    }
    Ok(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(family: &str) -> Connection {
        let end = |last: u8, port| {
            let text = if family == "4" { format!("10.0.0.{last}") } else { format!("fd00::{last}") };
            SocketAddr::new(text.parse().expect("an address"), port)
        };
        Connection {
            protocol: 6,
            flags: flag::ROUTE,
            state: state::ESTABLISHED,
            client: end(2, 40_000),
            service: end(100, 80),
            server: end(11, 80),
            mark: 0,
            seconds: 900,
        }
    }

    #[test]
    fn what_is_written_is_read_in_as_many_datagrams_as_it_takes() {
        let mut all = vec![connection("4"); 50];
        all.push(connection("6"));
        let datagrams = write(5, &all, LENGTH_MAX);
        assert_eq!(datagrams.iter().map(|one| one[4]).collect::<Vec<_>>(), [40, 11]);
        assert!(datagrams.iter().all(|one| one.len() <= usize::from(LENGTH_MAX)));
        let read_back = |id| -> Vec<Connection> {
            datagrams.iter().flat_map(|one| read(id, one).expect("whole")).collect()
        };
        assert_eq!(read_back(5), all);
        assert_eq!(read_back(0), all);
        assert_eq!(read_back(6), []);
        let mixed = Connection { server: connection("6").server, ..connection("4") };
        assert!(write(5, &[mixed], LENGTH_MAX).is_empty());
    }

    #[test]
    fn datagrams_that_lie_are_refused() {
        let whole = write(5, &[connection("4")], LENGTH_MAX).remove(0);
        for at in 0..whole.len() {
            assert!(read(5, &whole[..at]).is_err(), "{at}");
        }
        for (at, value) in [(0, 1), (4, 2), (5, 0), (10, 0x10), (11, 20)] {
            let mut changed = whole.clone();
            changed[at] = value;
            assert!(read(5, &changed).is_err(), "{at}");
        }
    }
}
