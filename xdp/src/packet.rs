//! Headers within a packet: where they are, and how they change. Every access is checked against the packet's end.
//!
//! Words are as they lie in the packet, in network order. Behind an Ethernet header words are aligned to two bytes.

use aya_ebpf::programs::XdpContext;
use xdp_abi::TCP;

pub const ETHERNET_LENGTH: usize = 14;

#[repr(C)]
pub struct Ethernet {
    pub destination: [u16; 3],
    pub source: [u16; 3],
    pub kind: u16,
}

#[repr(C)]
pub struct Ports {
    pub source: u16,
    pub destination: u16,
}

/// The header at `at`; `None` when the packet ends before its end.
#[inline(always)]
pub fn header<T>(context: &XdpContext, at: usize) -> Option<*mut T> {
    let start = context.data();
    if start + at + size_of::<T>() > context.data_end() {
        return None;
    }
    Some((start + at) as *mut T)
}

/// Byte 13 of the TCP header at `at`.
#[inline(always)]
pub fn tcp_flags(context: &XdpContext, at: usize) -> Option<u8> {
    let flags: *mut u8 = header(context, at + 13)?;
    // SAFETY: `header` checked that the packet holds it.
    Some(unsafe { *flags })
}

/// The one's complement sum of a change from `old` to `new` (RFC 1624, equation 3), not folded. Of words or halves of
/// them: sums of both fold to the same.
#[inline(always)]
pub fn change(old: u32, new: u32) -> u64 {
    u64::from(!old) + u64::from(new)
}

#[inline(always)]
pub fn change_half(old: u16, new: u16) -> u64 {
    u64::from(!old) + u64::from(new)
}

/// A checksum after changes.
#[inline(always)]
pub fn updated(checksum: u16, changes: u64) -> u16 {
    fold(u64::from(!checksum) + changes)
}

/// The complement of a folded sum.
#[inline(always)]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

/// Two bytes as a word that lies in memory so.
#[inline(always)]
pub fn pair(first: u8, second: u8) -> u64 {
    u64::from(u16::from_ne_bytes([first, second]))
}

/// Where the checksum of the segment is, from its start.
#[inline(always)]
pub fn checksum_at(protocol: u32) -> usize {
    if protocol == TCP { 16 } else { 6 }
}
