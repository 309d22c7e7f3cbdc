//! Tells the sender of a packet that does not fit its tunnel what would (RFC 1191, RFC 8201): what remains of the packet
//! becomes the error about itself, in the service's name. Owns these errors alone; others that a router sends are the kernel's.
//!
//! ```text
//!  Ethernet  packet ...            ─►  Ethernet  IP  ICMP  the packet's first 64 bytes
//! ```

use crate::family::{Family, Ipv4, Ipv6, PLAIN_HEADER, V4, V6};
use crate::maps::count;
use crate::packet::{ETHERNET_LENGTH, Ethernet, fold, header, pair};
use crate::transmit::{Otherwise, routed};
use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail};
use aya_ebpf::programs::XdpContext;
use xdp_abi::counter;

/// Bytes of the packet that are told: its IP header and what says whose it is. Whatever does not fit is longer.
const QUOTED: usize = 64;
const HOPS: u8 = 64;
const DO_NOT_FRAGMENT: u16 = 0x4000;
/// No way is narrower (RFC 791, RFC 8200).
const LEAST_4: u32 = 68;
const LEAST_6: u32 = 1280;

/// ICMP's header, and what it says of.
#[repr(C, packed(2))]
struct Error {
    kind: u8,
    code: u8,
    checksum: u16,
    /// Of IPv4 the second half is the size.
    size: [u16; 2],
    quoted: [u16; QUOTED / 2],
}

const ERROR_LENGTH: u16 = size_of::<Error>() as u16;
const _: () = assert!(ERROR_LENGTH as usize == 8 + QUOTED);

// Both are verified by themselves. Neither knows more than the context: the packet is as it came, but for its link header.

#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn narrow_4(ctx: *mut xdp_md, size: u32) -> u32 {
    tell_4(ctx, size).unwrap_or_else(shorter_than_it_says)
}

#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn narrow_6(ctx: *mut xdp_md, size: u32) -> u32 {
    tell_6(ctx, size).unwrap_or_else(shorter_than_it_says)
}

#[inline(always)]
fn shorter_than_it_says() -> u32 {
    count(counter::MALFORMED);
    XDP_DROP
}

/// Cuts the packet behind what is told, and makes room before it.
#[inline(always)]
fn reshape(ctx: *mut xdp_md, before: usize) -> Option<XdpContext> {
    let context = XdpContext::new(ctx);
    let length = context.data_end() - context.data();
    let excess = (length as i32) - (ETHERNET_LENGTH + QUOTED) as i32;
    if excess < 0 {
        return None;
    }
    // SAFETY: the context is live; pointers into the packet are taken anew behind these.
    let shaped = unsafe {
        bpf_xdp_adjust_tail(ctx, -excess) == 0 && bpf_xdp_adjust_head(ctx, -(before as i32)) == 0
    };
    shaped.then(|| XdpContext::new(ctx))
}

/// The checksum of an error that lies in the packet, with what it covers besides.
#[inline(always)]
fn checksum(error: &Error, besides: u64) -> u16 {
    let mut sum = besides + pair(error.kind, error.code);
    sum += u64::from(error.size[0]) + u64::from(error.size[1]);
    let quoted = &error.quoted;
    let mut at = 0;
    while at < QUOTED / 2 {
        sum += u64::from(quoted[at]);
        at += 1;
    }
    fold(sum)
}

#[inline(always)]
fn tell_4(ctx: *mut xdp_md, size: u32) -> Option<u32> {
    let context = XdpContext::new(ctx);
    let ip: *mut Ipv4 = header(&context, ETHERNET_LENGTH)?;
    // SAFETY: `header` checked that the packet holds it; so below.
    let fragment = unsafe { (*ip).fragment };
    if fragment & DO_NOT_FRAGMENT.to_be() == 0 || size < LEAST_4 {
        // Its sender leaves it to routers to cut it.
        count(counter::TOO_BIG);
        return Some(XDP_DROP);
    }
    let context = reshape(ctx, V4::LENGTH + 8)?;
    let ethernet: *mut Ethernet = header(&context, 0)?;
    let ip: *mut Ipv4 = header(&context, ETHERNET_LENGTH)?;
    let error: *mut Error = header(&context, ETHERNET_LENGTH + V4::LENGTH)?;
    let about: *mut Ipv4 = header(&context, ETHERNET_LENGTH + V4::LENGTH + 8)?;
    // SAFETY: as above.
    unsafe {
        (*ethernet).kind = V4::KIND;
        (*error).kind = 3;
        (*error).code = 4;
        (*error).size = [0, (size as u16).to_be()];
        (*error).checksum = checksum(&*error, 0);
        let (source, destination) = ((*about).destination, (*about).source);
        let length = (ERROR_LENGTH + V4::LENGTH as u16).to_be();
        let words = pair(PLAIN_HEADER, 0) + u64::from(length) + pair(HOPS, V4::ICMP as u8);
        *ip = Ipv4 {
            version: PLAIN_HEADER,
            class: 0,
            length,
            identifier: 0,
            fragment: 0,
            hops: HOPS,
            protocol: V4::ICMP as u8,
            checksum: fold(words + u64::from(source) + u64::from(destination)),
            source,
            destination,
        };
        count(counter::TOO_BIG_TOLD);
        routed::<V4, false>(&context, source, destination, 0, Otherwise::Drop)
    }
}

#[inline(always)]
fn tell_6(ctx: *mut xdp_md, size: u32) -> Option<u32> {
    if size < LEAST_6 {
        count(counter::TOO_BIG);
        return Some(XDP_DROP);
    }
    let context = reshape(ctx, V6::LENGTH + 8)?;
    let ethernet: *mut Ethernet = header(&context, 0)?;
    let ip: *mut Ipv6 = header(&context, ETHERNET_LENGTH)?;
    let error: *mut Error = header(&context, ETHERNET_LENGTH + V6::LENGTH)?;
    let about: *mut Ipv6 = header(&context, ETHERNET_LENGTH + V6::LENGTH + 8)?;
    // SAFETY: `header` checked that the packet holds them.
    unsafe {
        (*ethernet).kind = V6::KIND;
        (*error).kind = 2;
        (*error).code = 0;
        (*error).size = [0, (size as u16).to_be()];
        let (source, destination) = ((*about).destination, (*about).source);
        let length = ERROR_LENGTH.to_be();
        let besides =
            V6::sum(source) + V6::sum(destination) + u64::from(length) + pair(0, V6::ICMP as u8);
        (*error).checksum = checksum(&*error, besides);
        *ip = Ipv6 {
            version: [0x60, 0, 0, 0],
            length,
            protocol: V6::ICMP as u8,
            hops: HOPS,
            source,
            destination,
        };
        count(counter::TOO_BIG_TOLD);
        routed::<V6, false>(&context, source, destination, 0, Otherwise::Drop)
    }
}
