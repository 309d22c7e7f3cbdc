//! Rewrites addresses and ports, and the checksums that cover them.

use crate::family::{End, Family};
use crate::packet::{ETHERNET_LENGTH, Ports, change_half, checksum_at, header, updated};
use aya_ebpf::programs::XdpContext;
use xdp_abi::{TCP, UDP};

/// Rewrites one end of a packet, one hop further on.
#[inline(always)]
pub fn translate<F: Family>(
    context: &XdpContext,
    protocol: u32,
    hops: u8,
    end: End,
    to: (F::Address, u16),
    from: F::Address,
) -> Option<()> {
    let segment = ETHERNET_LENGTH + F::LENGTH;
    let (address, port) = to;
    let ports: *mut Ports = header(context, segment)?;
    let checksum: *mut u16 = header(context, segment + checksum_at(protocol))?;
    // SAFETY: `header` checked that the packet holds them.
    unsafe {
        let old = match end {
            End::Source => &mut (*ports).source,
            End::Destination => &mut (*ports).destination,
        };
        // A UDP checksum of zero is none, and one that comes out as zero is written as ones (RFC 768).
        if protocol == TCP || *checksum != 0 {
            *checksum = updated(*checksum, F::change(from, address) + change_half(*old, port));
            if protocol == UDP && *checksum == 0 {
                *checksum = u16::MAX;
            }
        }
        *old = port;
    }
    F::rewrite(context, ETHERNET_LENGTH, end, address, Some(hops.wrapping_sub(1)))
}
