//! What a raw socket gives: an IP packet, or its payload and who sent it.

use super::{Discard, PROTOCOL_AH, PROTOCOL_VRRP};
use crate::types::Vrid;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an IPv4 header without options.
const IPV4_HEADER_LEN: usize = 20;

/// Bytes of the Authentication Header that VRRP uses: 12, and 12 of the signature.
pub(super) const AH_LEN: usize = 24;

/// Bytes of the payload of the shortest Ethernet frame: what is shorter may be padded up to here.
const ETHERNET_PAYLOAD_MIN: usize = 46;

/// A packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it was sent to.
    pub destination: IpAddr,
    /// TTL or hop limit as it arrived.
    pub ttl: u8,
    /// The IPv4 header: the signature of AH covers it. Empty over IPv6.
    pub(super) ip_header: &'a [u8],
    /// The Authentication Header.
    pub(super) ah: Option<&'a [u8]>,
    /// What follows them.
    pub(super) message: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// A whole IPv4 packet, as a raw IPv4 socket gives it: protocol 112, or 51 with 112 inside.
    ///
    /// # Errors
    /// It is no such packet, or not whole.
    pub fn ipv4(packet: &'a [u8]) -> Result<Datagram<'a>, Discard> {
        let short = Discard::Length { length: packet.len(), expected: IPV4_HEADER_LEN };
        let first = *packet.first().ok_or(short)?;
        let header_len = usize::from(first & 0x0f) * 4;
        if first >> 4 != 4 || header_len < IPV4_HEADER_LEN {
            return Err(Discard::IpHeader);
        }
        let ip_header = packet.get(..header_len).ok_or(short)?;
        let total = usize::from(u16::from_be_bytes([ip_header[2], ip_header[3]]));
        if total < header_len || total > packet.len() {
            return Err(Discard::TotalLength { header: total, received: packet.len() });
        }
        // Behind the packet may be what fills up the frame, and nothing else.
        if packet.len() > total && packet.len() > ETHERNET_PAYLOAD_MIN {
            return Err(Discard::TotalLength { header: total, received: packet.len() });
        }
        let payload = &packet[header_len..total];
        let (ah, message) = match ip_header[9] {
            PROTOCOL_VRRP => (None, payload),
            PROTOCOL_AH => {
                let Some((ah, message)) = payload.split_at_checked(AH_LEN) else {
                    return Err(Discard::Length { length: payload.len(), expected: AH_LEN });
                };
                if ah[0] != PROTOCOL_VRRP {
                    return Err(Discard::Protocol { received: ah[0] });
                }
                (Some(ah), message)
            }
            received => return Err(Discard::Protocol { received }),
        };
        let address = |at: usize| {
            IpAddr::V4(Ipv4Addr::new(ip_header[at], ip_header[at + 1], ip_header[at + 2], ip_header[at + 3]))
        };
        Ok(Datagram {
            source: address(12),
            destination: address(16),
            ttl: ip_header[8],
            ip_header,
            ah,
            message,
        })
    }

    /// The payload of an IPv6 packet of protocol 112, as a raw IPv6 socket gives it, and what it told beside it.
    pub fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, payload: &'a [u8]) -> Datagram<'a> {
        Datagram {
            source: source.into(),
            destination: destination.into(),
            ttl: hop_limit,
            ip_header: &[],
            ah: None,
            message: payload,
        }
    }

    /// The virtual router it speaks of: what a shell finds the receiver by, before anything else is looked at.
    pub fn vrid(&self) -> Option<Vrid> {
        Vrid::new(*self.message.get(1)?)
    }

    /// Whether it was sent to a group.
    pub fn is_multicast(&self) -> bool {
        self.destination.is_multicast()
    }
}
