//! The checksum of the internet, and the pseudo headers before it.

use super::PROTOCOL_VRRP;
use std::net::IpAddr;

/// The ones' complement of the ones' complement sum (RFC 1071) of all bytes of all parts; each part but the last has an
/// even length.
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for part in parts {
        let mut pairs = part.chunks_exact(2);
        for pair in &mut pairs {
            sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
        }
        if let [last] = pairs.remainder() {
            sum += u32::from(*last) << 8;
        }
        // Packets are at most 64 KB: the sum of one part cannot overflow once the carries are folded in.
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) as u16 + (sum >> 16) as u16)
}

/// The pseudo header of VRRP over that family (RFC 9568 §5.2.8; RFC 8200 §8.1): the bytes, and how many count.
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, len: usize) -> ([u8; 40], usize) {
    let mut bytes = [0; 40];
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes[..4].copy_from_slice(&source.octets());
            bytes[4..8].copy_from_slice(&destination.octets());
            bytes[9] = PROTOCOL_VRRP;
            bytes[10..12].copy_from_slice(&(len as u16).to_be_bytes());
            (bytes, 12)
        }
        (source, destination) => {
            bytes[..16].copy_from_slice(&as_ipv6(source));
            bytes[16..32].copy_from_slice(&as_ipv6(destination));
            bytes[32..36].copy_from_slice(&(len as u32).to_be_bytes());
            bytes[39] = PROTOCOL_VRRP;
            (bytes, 40)
        }
    }
}

fn as_ipv6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_rfc_1071() {
        assert_eq!(internet_checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(internet_checksum(&[&[0xff; 65_534], &[0xff, 0xff, 0xff]]), 0x00ff);
        assert_eq!(internet_checksum(&[]), 0xffff);
    }
}
