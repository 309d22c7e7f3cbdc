//! One ICMP echo request and its reply: RFC 792, and RFC 4443 §4 for IPv6.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const ECHO_V4: u8 = 8;
const REPLY_V4: u8 = 0;
const ECHO_V6: u8 = 128;
const REPLY_V6: u8 = 129;
const PACKET_MAX: usize = 1500;

/// Sends an echo request to an address and waits for its reply: whether one came in time. `tag` is its identifier and
/// sequence, which tell replies apart. Needs CAP_NET_RAW.
///
/// # Errors
/// There is no socket to be had, or no way there.
pub fn echo(address: IpAddr, tag: [u8; 4], timeout: Duration) -> io::Result<bool> {
    let (domain, protocol, kind) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, ECHO_V4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, ECHO_V6),
    };
    let mut socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.connect(&SockAddr::from(SocketAddr::new(address, 0)))?;
    socket.send(&request(kind, tag))?;
    let deadline = Instant::now() + timeout;
    let mut packet = [0; PACKET_MAX];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        match socket.read(&mut packet) {
            Ok(length) if is_reply(&packet[..length], address.is_ipv4(), tag) => return Ok(true),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Type, code, checksum, identifier and sequence. The kernel fills in ICMPv6's checksum.
fn request(kind: u8, tag: [u8; 4]) -> [u8; 8] {
    let mut packet = [kind, 0, 0, 0, tag[0], tag[1], tag[2], tag[3]];
    if kind == ECHO_V4 {
        let words = packet.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let mut sum: u32 = words.sum();
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        let checksum = !(sum as u16);
        packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

/// Raw sockets of IPv4 receive the IP header too.
fn is_reply(packet: &[u8], is_ipv4: bool, tag: [u8; 4]) -> bool {
    let (skipped, kind) = if is_ipv4 {
        let words = packet.first().map_or(0, |byte| byte & 0x0f);
        (usize::from(words) * 4, REPLY_V4)
    } else {
        (0, REPLY_V6)
    };
    let Some(message) = packet.get(skipped..) else { return false };
    message.first() == Some(&kind) && message.get(4..8) == Some(&tag[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_sums_to_ones_and_its_reply_is_known() {
        let packet = request(ECHO_V4, [1, 2, 3, 4]);
        let words = packet.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        assert_eq!(words.sum::<u32>() % 0xffff, 0);
        let mut reply = vec![0x45; 20];
        reply.extend_from_slice(&[REPLY_V4, 0, 0, 0, 1, 2, 3, 4]);
        assert!(is_reply(&reply, true, [1, 2, 3, 4]));
        assert!(!is_reply(&reply, true, [1, 2, 3, 5]));
        assert!(!is_reply(&[0x4f], true, [1, 2, 3, 4]));
    }
}
