//! Sends packets on: looks up the way in the kernel's routing and neighbour tables, writes the link header.

use crate::family::Family;
use crate::maps::{SCRATCH, count};
use crate::packet::{Ethernet, header};
use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::helpers::{bpf_fib_lookup as look_up, bpf_redirect};
use aya_ebpf::programs::XdpContext;
use core::mem;
use xdp_abi::counter;

/// `BPF_FIB_LKUP_RET_NO_NEIGH` and `BPF_FIB_LKUP_RET_FRAG_NEEDED`.
const NO_NEIGHBOUR: i64 = 7;
const TOO_BIG: i64 = 8;

/// What the kernel can do with a packet whose way we do not find.
#[derive(Clone, Copy, PartialEq)]
pub enum Otherwise {
    /// Carry it as it is now, and find out meanwhile.
    Kernel,
    /// Nothing: it would take it for its own.
    Drop,
}

/// Sends the packet to `destination`. `length`: of the whole IP packet, where it must fit; 0 where it came as it is.
#[inline(always)]
pub fn routed<F: Family>(
    context: &XdpContext,
    source: F::Address,
    destination: F::Address,
    length: u16,
    otherwise: Otherwise,
) -> Option<u32> {
    // SAFETY: `ctx` is the program's context, live for its run.
    let ingress = unsafe { (*context.ctx).ingress_ifindex };
    let size = size_of::<bpf_fib_lookup>() as i32;
    // SAFETY: all zero bytes are a valid request.
    let mut near: bpf_fib_lookup = unsafe { mem::zeroed() };
    let way = if F::NUMBER == xdp_abi::IPV4 {
        &mut near
    } else {
        // SAFETY: the value is this processor's, and one packet at a time uses it.
        let scratch = unsafe { &mut (*SCRATCH.get_ptr_mut(0)?).way };
        // SAFETY: as above.
        *scratch = unsafe { mem::zeroed() };
        scratch
    };
    way.ifindex = ingress;
    way.__bindgen_anon_1.tot_len = length;
    F::ask(way, source, destination);
    // SAFETY: context and request are live, and the size is the request's.
    let found = unsafe { look_up(context.as_ptr(), core::ptr::from_mut(way).cast(), size, 0) };
    if found != 0 {
        count(match found {
            NO_NEIGHBOUR => counter::NO_NEIGHBOUR,
            TOO_BIG => counter::TOO_BIG,
            _ => counter::NO_ROUTE,
        });
        let passes = otherwise == Otherwise::Kernel && found != TOO_BIG;
        return Some(if passes { XDP_PASS } else { XDP_DROP });
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
