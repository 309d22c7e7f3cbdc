//! Headers within a packet: where they are, and how they change. Every access is checked against the packet's end.

use aya_ebpf::programs::XdpContext;

pub const ETHERNET_LENGTH: usize = 14;
pub const IP_LENGTH: usize = 20;
pub const IPV4: [u8; 2] = [0x08, 0x00];
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
/// Version 4, header of five words.
pub const PLAIN_HEADER: u8 = 0x45;

#[repr(C)]
pub struct Ethernet {
    pub destination: [u8; 6],
    pub source: [u8; 6],
    pub kind: [u8; 2],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ip {
    pub version: u8,
    pub service: u8,
    pub length: [u8; 2],
    pub identifier: [u8; 2],
    pub fragment: [u8; 2],
    pub hops: u8,
    pub protocol: u8,
    pub checksum: [u8; 2],
    pub source: [u8; 4],
    pub destination: [u8; 4],
}

#[repr(C)]
pub struct Ports {
    pub source: [u8; 2],
    pub destination: [u8; 2],
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

/// The one's complement sum of a change from `old` to `new` (RFC 1624, equation 3), not folded.
#[inline(always)]
pub fn change(old: [u8; 2], new: [u8; 2]) -> u32 {
    u32::from(!u16::from_ne_bytes(old)) + u32::from(u16::from_ne_bytes(new))
}

#[inline(always)]
pub fn address_change(old: [u8; 4], new: [u8; 4]) -> u32 {
    change([old[0], old[1]], [new[0], new[1]]) + change([old[2], old[3]], [new[2], new[3]])
}

/// A checksum after changes.
#[inline(always)]
pub fn updated(checksum: [u8; 2], changes: u32) -> [u8; 2] {
    fold(u32::from(!u16::from_ne_bytes(checksum)) + changes)
}

/// The complement of a folded sum.
#[inline(always)]
pub fn fold(sum: u32) -> [u8; 2] {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (!(sum as u16)).to_ne_bytes()
}

/// Where the checksum of the segment is, from its start.
#[inline(always)]
pub fn checksum_at(protocol: u8) -> usize {
    if protocol == TCP { 16 } else { 6 }
}
