//! Sends packets on: looks up the way in the kernel's routing and neighbour tables, writes the link header.

use crate::maps::count;
use crate::packet::{ETHERNET_LENGTH, Ethernet, IP_LENGTH, IPV4, Ip, PLAIN_HEADER, fold, header};
use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::bindings::{bpf_fib_lookup, xdp_md};
use aya_ebpf::helpers::{bpf_fib_lookup as look_up, bpf_redirect, bpf_xdp_adjust_head};
use aya_ebpf::programs::XdpContext;
use core::mem;
use xdp_abi::{Real, counter};

const FAMILY_IPV4: u8 = 2;
/// `BPF_FIB_LKUP_RET_NO_NEIGH`.
const NO_NEIGHBOUR: i64 = 7;
const PROTOCOL_IP_IN_IP: u8 = 4;
const HOPS: u8 = 64;
const DO_NOT_FRAGMENT: [u8; 2] = [0x40, 0x00];

/// Sends the packet to `destination`. `kernel_may`: where the way is not known, the kernel can carry the packet as it is
/// now, and finds out meanwhile; else it is dropped, for the kernel would take it for its own.
#[inline(always)]
pub fn routed(context: &XdpContext, source: [u8; 4], destination: [u8; 4], kernel_may: bool) -> Option<u32> {
    // SAFETY: `ctx` is the program's context, live for its run.
    let ingress = unsafe { (*context.ctx).ingress_ifindex };
    // SAFETY: all zero bytes are a valid request.
    let mut way: bpf_fib_lookup = unsafe { mem::zeroed() };
    way.family = FAMILY_IPV4;
    way.ifindex = ingress;
    way.__bindgen_anon_3.ipv4_src = u32::from_ne_bytes(source);
    way.__bindgen_anon_4.ipv4_dst = u32::from_ne_bytes(destination);
    let length = size_of::<bpf_fib_lookup>() as i32;
    // SAFETY: context and request are live, and the length is the request's.
    let found = unsafe { look_up(context.as_ptr(), (&raw mut way).cast(), length, 0) };
    if found != 0 {
        if found == NO_NEIGHBOUR {
            count(counter::NO_NEIGHBOUR);
        }
        return Some(if kernel_may { XDP_PASS } else { XDP_DROP });
    }
    let ethernet: *mut Ethernet = header(context, 0)?;
    // SAFETY: `header` checked that the packet holds it.
    unsafe {
        (*ethernet).destination = way.dmac;
        (*ethernet).source = way.smac;
    }
    if way.ifindex == ingress {
        return Some(XDP_TX);
    }
    // SAFETY: takes integers only.
    Some(unsafe { bpf_redirect(way.ifindex, 0) } as u32)
}

/// Wraps the packet into another from the director to the real server (RFC 2003).
#[inline(always)]
pub fn tunnelled(context: &XdpContext, head: &Ip, real: &Real) -> Option<u32> {
    let ctx: *mut xdp_md = context.ctx;
    // SAFETY: the context is live; pointers into the packet are taken anew below.
    if unsafe { bpf_xdp_adjust_head(ctx, -(IP_LENGTH as i32)) } != 0 {
        return Some(XDP_DROP);
    }
    let moved = XdpContext::new(ctx);
    let ethernet: *mut Ethernet = header(&moved, 0)?;
    let outer: *mut Ip = header(&moved, ETHERNET_LENGTH)?;
    let length = u16::from_be_bytes(head.length).wrapping_add(IP_LENGTH as u16);
    // SAFETY: `header` checked that the packet holds them.
    unsafe {
        (*ethernet).kind = IPV4;
        *outer = Ip {
            version: PLAIN_HEADER,
            service: head.service,
            length: length.to_be_bytes(),
            identifier: [0, 0],
            fragment: DO_NOT_FRAGMENT,
            hops: HOPS,
            protocol: PROTOCOL_IP_IN_IP,
            checksum: [0, 0],
            source: real.source,
            destination: real.address,
        };
        (*outer).checksum = checksum(&*outer);
    }
    routed(&moved, real.source, real.address, true)
}

#[inline(always)]
fn checksum(ip: &Ip) -> [u8; 2] {
    let word = |pair: [u8; 2]| u32::from(u16::from_ne_bytes(pair));
    let ends = [ip.source, ip.destination];
    let mut sum = word([ip.version, ip.service]) + word(ip.length) + word(ip.identifier) + word(ip.fragment);
    sum += word([ip.hops, ip.protocol]);
    for end in ends {
        sum += word([end[0], end[1]]) + word([end[2], end[3]]);
    }
    fold(sum)
}
