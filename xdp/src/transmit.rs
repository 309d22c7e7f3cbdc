//! Sends packets on: looks up the way in the kernel's routing and neighbour tables, writes the link header.

use crate::family::Family;
use crate::maps::{SCRATCH, count};
use crate::packet::{Ethernet, header};
use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX};
use aya_ebpf::helpers::{bpf_fib_lookup as look_up, bpf_redirect};
use aya_ebpf::programs::XdpContext;
use core::mem::MaybeUninit;
use xdp_abi::counter;

/// A request in words.
pub type Words = [u64; size_of::<bpf_fib_lookup>() / 8];
const _: () = assert!(size_of::<Words>() == 64);

/// `BPF_FIB_LKUP_RET_NO_NEIGH` and `BPF_FIB_LKUP_RET_FRAG_NEEDED`.
const NO_NEIGHBOUR: i64 = 7;
const TOO_BIG: i64 = 8;

/// Clears a request. Volatile: else it becomes a call of a function that goes byte by byte.
#[inline(always)]
fn clear(words: *mut Words) {
    let word: *mut u64 = words.cast();
    // SAFETY: the caller's words are eight, and its own.
    unsafe {
        word.write_volatile(0);
        word.add(1).write_volatile(0);
        word.add(2).write_volatile(0);
        word.add(3).write_volatile(0);
        word.add(4).write_volatile(0);
        word.add(5).write_volatile(0);
        word.add(6).write_volatile(0);
        word.add(7).write_volatile(0);
    }
}

/// Copies a link address; volatile as above.
///
/// # Safety
/// Both are six bytes at even places.
#[inline(always)]
unsafe fn copy(from: *const u16, to: *mut u16) {
    // SAFETY: the caller's promise.
    unsafe {
        to.write_volatile(from.read_volatile());
        to.add(1).write_volatile(from.add(1).read_volatile());
        to.add(2).write_volatile(from.add(2).read_volatile());
    }
}

/// In place of a verdict: the way takes no packet longer than what the low half says.
pub const NARROW: u32 = 1 << 16;

/// What the kernel can do with a packet whose way we do not find.
#[derive(Clone, Copy, PartialEq)]
pub enum Otherwise {
    /// Carry it as it is now, and find out meanwhile.
    Kernel,
    /// Nothing: it would take it for its own.
    Drop,
}

/// Sends the packet to `destination`. `GREW`: in a tunnel, where `length`, of the whole IP packet, must fit
/// ([`NARROW`] says what would); 0 else.
#[inline(always)]
pub fn routed<F: Family, const GREW: bool>(
    context: &XdpContext,
    source: F::Address,
    destination: F::Address,
    length: u16,
    otherwise: Otherwise,
) -> Option<u32> {
    // SAFETY: `ctx` is the program's context, live for its run.
    let ingress = unsafe { (*context.ctx).ingress_ifindex };
    let size = size_of::<bpf_fib_lookup>() as i32;
    let mut near = MaybeUninit::<Words>::uninit();
    // Of a packet as it came; others have less room on the stack.
    let words = if F::NUMBER == xdp_abi::IPV4 && !GREW {
        near.as_mut_ptr()
    } else {
        // SAFETY: the value is this processor's, and one packet at a time uses it.
        unsafe { &raw mut (*SCRATCH.get_ptr_mut(0)?).way }
    };
    clear(words);
    // SAFETY: the words are live, as long as a request and aligned like one, and all zero is a valid one.
    let way = unsafe { &mut *words.cast::<bpf_fib_lookup>() };
    way.ifindex = ingress;
    way.__bindgen_anon_1.tot_len = length;
    F::ask(way, source, destination);
    // SAFETY: context and request are live, and the size is the request's.
    let found = unsafe { look_up(context.as_ptr(), core::ptr::from_mut(way).cast(), size, 0) };
    if GREW && found == TOO_BIG {
        // SAFETY: the kernel has written the size in the place of the length.
        return Some(NARROW | u32::from(unsafe { way.__bindgen_anon_1.mtu_result }));
    }
    if found != 0 {
        count(match found {
            NO_NEIGHBOUR => counter::NO_NEIGHBOUR,
            _ => counter::NO_ROUTE,
        });
        return Some(if otherwise == Otherwise::Kernel { XDP_PASS } else { XDP_DROP });
    }
    let ethernet: *mut Ethernet = header(context, 0)?;
    // SAFETY: `header` checked that the packet holds it; addresses are at even places of the request.
    unsafe {
        copy((&raw const way.dmac).cast(), (&raw mut (*ethernet).destination).cast());
        copy((&raw const way.smac).cast(), (&raw mut (*ethernet).source).cast());
    }
    if way.ifindex == ingress {
        return Some(XDP_TX);
    }
    // SAFETY: takes integers only.
    Some(unsafe { bpf_redirect(way.ifindex, 0) } as u32)
}
