//! The director's data plane: packets of a service go to a real server, answers of translated ones come back.
//!
//! What is not a service's, or what these programs do not handle, goes on to the kernel as it came, and is counted.

#![no_std]
#![no_main]
// This target's library has no atomic additions, though the machine has: see `maps::add`.
#![feature(core_intrinsics)]
#![allow(internal_features)]

mod choose;
mod family;
mod flow;
mod icmp;
mod maps;
mod narrow;
mod packet;
mod translate;
mod transmit;
mod tunnel;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use family::{End, Family, Head, V4, V6, segment};
use flow::{VERDICT, account, advance, first_4, first_6, hash, key_of, known};
use maps::{REALS, count, now};
use narrow::{narrow_4, narrow_6};
use packet::{ETHERNET_LENGTH, Ethernet, Ports, header, tcp_flags};
use translate::translate;
use transmit::{NARROW, Otherwise, routed};
use tunnel::{inner, tunnelled};
use xdp_abi::state::{Sender, next};
use xdp_abi::{Address, Flow, FlowKey, Real, TCP, UDP, counter, direction, forward};

#[xdp]
pub fn director(context: XdpContext) -> u32 {
    handle(&context).unwrap_or_else(malformed)
}

#[inline(always)]
fn malformed() -> u32 {
    count(counter::MALFORMED);
    XDP_PASS
}

/// `None`: the packet ends too early.
#[inline(always)]
fn handle(context: &XdpContext) -> Option<u32> {
    let ethernet: *mut Ethernet = header(context, 0)?;
    // SAFETY: `header` checked that the packet holds it; so below.
    match unsafe { (*ethernet).kind } {
        // What does not fit its tunnel is told here: deeper down there is no room for it on the stack.
        V4::KIND => handle_4(context).map(|done| match done {
            NARROW.. => narrow_4(context.ctx, done - NARROW),
            _ => done,
        }),
        V6::KIND => handle_6(context).map(|done| match done {
            NARROW.. => narrow_6(context.ctx, done - NARROW),
            _ => done,
        }),
        _ => {
            count(counter::FOREIGN);
            Some(XDP_PASS)
        }
    }
}

#[inline(always)]
fn handle_4(context: &XdpContext) -> Option<u32> {
    let head = match V4::read(context, ETHERNET_LENGTH)? {
        Ok(head) => head,
        Err(reason) => return Some(passed(reason)),
    };
    if head.protocol == V4::ICMP {
        let found = error_4(context.ctx);
        if found >= VERDICT {
            return Some(found - VERDICT);
        }
        return deliver::<V4>(context, &head, REALS.get(found)?);
    }
    match decide::<V4>(context, &head)? {
        Decision::Real(_, real) => deliver::<V4>(context, &head, real),
        Decision::Answer(flow) => answer::<V4>(context, &head, flow),
        Decision::Verdict(verdict) => Some(verdict),
        Decision::Miss(is_stray) => {
            let found = first_4(context.ctx, is_stray);
            if found >= VERDICT {
                return Some(found - VERDICT);
            }
            deliver::<V4>(context, &head, REALS.get(found)?)
        }
    }
}

/// Of IPv6: where the protocol is.
const NEXT_HEADER: usize = 6;
/// What [`decide_6`] says of answers.
const ANSWER: u32 = VERDICT - 1;
/// What [`decide_6`] says where no flow is; one less: one whose real server has gone.
const MISS: u32 = VERDICT - 2;

/// In steps of their own: the addresses are too long for one stack.
#[inline(always)]
fn handle_6(context: &XdpContext) -> Option<u32> {
    let protocol: *mut u8 = header(context, ETHERNET_LENGTH + NEXT_HEADER)?;
    // SAFETY: `header` checked that the packet holds it.
    let is_icmp = u32::from(unsafe { *protocol }) == V6::ICMP;
    let mut found = if is_icmp { error_6(context.ctx) } else { decide_6(context.ctx) };
    if found == MISS || found == MISS - 1 {
        found = first_6(context.ctx, MISS - found);
    }
    if found >= VERDICT {
        return Some(found - VERDICT);
    }
    Some(if found == ANSWER { answer_6(context.ctx) } else { deliver_6(context.ctx, found) })
}

#[inline(always)]
fn passed(reason: u32) -> u32 {
    count(reason);
    XDP_PASS
}

// The functions with names of their own are verified by themselves.

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn error_4(ctx: *mut xdp_md) -> u32 {
    icmp::handle::<V4>(ctx).unwrap_or_else(|| VERDICT | malformed())
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn error_6(ctx: *mut xdp_md) -> u32 {
    icmp::handle::<V6>(ctx).unwrap_or_else(|| VERDICT | malformed())
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn decide_6(ctx: *mut xdp_md) -> u32 {
    let context = XdpContext::new(ctx);
    let head = match V6::read(&context, ETHERNET_LENGTH) {
        Some(Ok(head)) => head,
        Some(Err(reason)) => return VERDICT | passed(reason),
        None => return VERDICT | malformed(),
    };
    match decide::<V6>(&context, &head) {
        Some(Decision::Real(number, _)) => number,
        Some(Decision::Answer(_)) => ANSWER,
        Some(Decision::Verdict(verdict)) => VERDICT | verdict,
        Some(Decision::Miss(is_stray)) => MISS - is_stray,
        None => VERDICT | malformed(),
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn deliver_6(ctx: *mut xdp_md, number: u32) -> u32 {
    let context = XdpContext::new(ctx);
    let Some(Ok(head)) = V6::read(&context, ETHERNET_LENGTH) else { return XDP_DROP };
    let Some(real) = REALS.get(number) else { return XDP_DROP };
    deliver::<V6>(&context, &head, real).unwrap_or_else(malformed)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn answer_6(ctx: *mut xdp_md) -> u32 {
    let context = XdpContext::new(ctx);
    let Some(Ok(head)) = V6::read(&context, ETHERNET_LENGTH) else { return XDP_DROP };
    let Some(key) = key_of::<V6>(&context, &head) else { return XDP_DROP };
    let Some(flow) = V6::flows().get_ptr_mut(&key) else { return XDP_DROP };
    // SAFETY: as in `decide`.
    answer::<V6>(&context, &head, unsafe { &mut *flow }).unwrap_or_else(malformed)
}

/// What becomes of a packet.
enum Decision<A: 'static> {
    Real(u32, &'static Real),
    Answer(&'static mut Flow<A>),
    Verdict(u32),
    /// No flow; 1: one whose real server has gone.
    Miss(u32),
}

#[inline(always)]
fn decide<F: Family>(context: &XdpContext, head: &Head<F::Address>) -> Option<Decision<F::Address>> {
    if head.protocol != TCP && head.protocol != UDP {
        return Some(Decision::Verdict(passed(counter::FOREIGN)));
    }
    let key = key_of::<F>(context, head)?;
    if let Some(flow) = F::flows().get_ptr_mut(&key) {
        // SAFETY: the entry stays during the program's run; two processors with one flow may lose each other a change.
        let flow = unsafe { &mut *flow };
        if head.hops <= 1 {
            return Some(Decision::Verdict(passed(counter::EXPIRED)));
        }
        if flow.direction == direction::ANSWER {
            return Some(Decision::Answer(flow));
        }
        let number = flow.real;
        if let Some(real) = known::<F>(context, head.protocol, flow)? {
            account(number, head.length, false);
            return Some(Decision::Real(number, real));
        }
        return Some(Decision::Miss(1));
    }
    Some(Decision::Miss(0))
}

/// Sends a client's packet to the real server; [`NARROW`] and what would fit its tunnel.
#[inline(always)]
fn deliver<F: Family>(context: &XdpContext, head: &Head<F::Address>, real: &Real) -> Option<u32> {
    match real.forward {
        forward::ROUTE => {
            routed::<F, false>(context, head.source, F::Address::narrow(real.address), 0, Otherwise::Drop)
        }
        forward::NAT => {
            let address = F::Address::narrow(real.address);
            let ports: *mut Ports = header(context, segment::<F>())?;
            // SAFETY: `header` checked that the packet holds it.
            let port = if real.port == 0 { unsafe { (*ports).destination } } else { real.port };
            let to = (address, port);
            translate::<F>(context, head.protocol, head.hops, End::Destination, to, head.destination)?;
            routed::<F, false>(context, head.source, address, 0, Otherwise::Kernel)
        }
        forward::NONE => Some(XDP_DROP),
        _ => {
            let mut has_checksum = false;
            let mut ports = 0;
            if head.protocol == TCP || head.protocol == UDP {
                let both: *mut Ports = header(context, segment::<F>())?;
                let checksum: *mut u16 =
                    header(context, segment::<F>() + packet::checksum_at(head.protocol))?;
                // SAFETY: `header` checked that the packet holds them.
                unsafe {
                    has_checksum = head.protocol == TCP || *checksum != 0;
                    ports = u32::from((*both).source) << 16 | u32::from((*both).destination);
                }
            }
            let hash = hash(F::word(head.source), ports);
            Some(tunnelled(context.ctx, &inner::<F>(head, has_checksum, hash), real))
        }
    }
}

/// The answer of a real server.
#[inline(always)]
fn answer<F: Family>(
    context: &XdpContext,
    head: &Head<F::Address>,
    flow: &mut Flow<F::Address>,
) -> Option<u32> {
    let (address, port, number, now) = (flow.address, flow.port, flow.real, now());
    flow.seen = now;
    let ports: *mut Ports = header(context, segment::<F>())?;
    let request = FlowKey {
        source: head.destination,
        destination: address,
        // SAFETY: `header` checked that the packet holds it.
        source_port: unsafe { (*ports).destination },
        destination_port: port,
        protocol: head.protocol,
    };
    if let Some(flow) = F::flows().get_ptr_mut(&request) {
        // SAFETY: as in `inbound`.
        let flow = unsafe { &mut *flow };
        if flow.real == number && flow.direction == direction::REQUEST {
            flow.seen = now;
            if head.protocol == TCP {
                let flags = tcp_flags(context, segment::<F>())?;
                let after = next(flow.state, flags, Sender::Server);
                if after != flow.state {
                    advance(number, &mut flow.state, after);
                }
            }
        }
    }
    account(number, head.length, true);
    count(counter::REPLY);
    translate::<F>(context, head.protocol, head.hops, End::Source, (address, port), head.source)?;
    routed::<F, false>(context, address, head.destination, 0, Otherwise::Kernel)
}

#[panic_handler]
fn panic(_information: &core::panic::PanicInfo<'_>) -> ! {
    // No path leads here: the verifier would refuse a loop without end.
    loop {}
}
