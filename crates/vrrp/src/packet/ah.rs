//! The Authentication Header as keepalived computes it: not quite as RFC 2402 says, and so it must stay.

use super::datagram::AH_LEN;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

/// Bytes of the signature.
pub(super) const ICV_LEN: usize = 12;

/// Where the signature stands in the header.
const ICV_AT: usize = AH_LEN - ICV_LEN;

/// Length of the header in words of 32 bits, minus 2: what its second byte says.
const LENGTH_FIELD: u8 = 4;

/// A header without its signature.
pub(super) fn header(spi: u32, sequence: u32) -> [u8; AH_LEN] {
    let mut bytes = [0; AH_LEN];
    bytes[0] = super::PROTOCOL_VRRP;
    bytes[1] = LENGTH_FIELD;
    bytes[4..8].copy_from_slice(&spi.to_be_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_be_bytes());
    bytes
}

pub(super) fn spi(header: &[u8]) -> u32 {
    u32::from_be_bytes([header[4], header[5], header[6], header[7]])
}

pub(super) fn sequence(header: &[u8]) -> u32 {
    u32::from_be_bytes([header[8], header[9], header[10], header[11]])
}

pub(super) fn set_signature(header: &mut [u8], icv: [u8; ICV_LEN]) {
    header[ICV_AT..].copy_from_slice(&icv);
}

fn mac(key: &[u8; 8], ip_header: &[u8], ah: &[u8], message: &[u8], is_multicast: bool) -> Hmac<Md5> {
    // IPv4 headers are 60 bytes at most.
    let mut covered = [0; 60];
    let covered = &mut covered[..ip_header.len()];
    covered.copy_from_slice(ip_header);
    // RFC 2402 zeroes what changes on the way: the class, the TTL and the checksum. keepalived leaves the TTL as it is
    // when it sends to a group, and signs 0 when it sends to a peer.
    covered[1] = 0;
    if !is_multicast {
        covered[8] = 0;
    }
    covered[10..12].fill(0);
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(covered);
    mac.update(&ah[..ICV_AT]);
    mac.update(&[0; ICV_LEN]);
    mac.update(message);
    mac
}

/// The signature: HMAC-MD5 cut to 96 bits.
pub(super) fn signature(
    key: &[u8; 8],
    ip_header: &[u8],
    ah: &[u8],
    message: &[u8],
    is_multicast: bool,
) -> [u8; ICV_LEN] {
    let digest = mac(key, ip_header, ah, message, is_multicast).finalize().into_bytes();
    let mut icv = [0; ICV_LEN];
    icv.copy_from_slice(&digest[..ICV_LEN]);
    icv
}

/// Whether the signature in the header is the right one, in a time that tells nothing.
pub(super) fn is_signed(
    key: &[u8; 8],
    ip_header: &[u8],
    ah: &[u8],
    message: &[u8],
    is_multicast: bool,
) -> bool {
    mac(key, ip_header, ah, message, is_multicast).verify_truncated_left(&ah[ICV_AT..]).is_ok()
}
