//! ICMP errors about packets of a flow: those about answers go to the real server, those about requests to the client.
//! Owns the packet within the packet; echoes and the rest are the kernel's.

use crate::family::{End, Family, Head};
use crate::flow::VERDICT;
use crate::maps::{REALS, count};
use crate::packet::{ETHERNET_LENGTH, Ports, change_half, header, updated};
use crate::transmit::{Otherwise, routed};
use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use xdp_abi::{Address, Flow, FlowKey, Real, TCP, UDP, counter, direction, forward};

const HEADER_LENGTH: usize = 8;

#[repr(C)]
struct Icmp {
    kind: u8,
    code: u8,
    checksum: u16,
}

/// Destination unreachable, time exceeded, parameter problem; of ICMPv6 also packet too big.
#[inline(always)]
fn is_error<F: Family>(kind: u8) -> bool {
    if F::NUMBER == xdp_abi::IPV4 { kind == 3 || kind == 11 || kind == 12 } else { kind >= 1 && kind <= 4 }
}

/// Sends an error to the end of the flow that it is about, where addresses are translated: `VERDICT` and what became of
/// it. Else the number of the real server that it is for, as it is.
#[inline(always)]
pub fn handle<F: Family>(ctx: *mut xdp_md) -> Option<u32> {
    let context = XdpContext::new(ctx);
    let Ok(head) = F::read(&context, ETHERNET_LENGTH)? else { return Some(VERDICT | XDP_PASS) };
    let head = &head;
    let at = ETHERNET_LENGTH + F::LENGTH;
    let icmp: *mut Icmp = header(&context, at)?;
    // SAFETY: `header` checked that the packet holds it; so below.
    let foreign = || {
        count(counter::FOREIGN);
        Some(VERDICT | XDP_PASS)
    };
    if !is_error::<F>(unsafe { (*icmp).kind }) {
        return foreign();
    }
    let within = at + HEADER_LENGTH;
    let Ok(about) = F::read(&context, within)? else { return foreign() };
    if about.protocol != TCP && about.protocol != UDP {
        return foreign();
    }
    let ports: *mut Ports = header(&context, within + F::LENGTH)?;
    // The other direction of the packet that it is about.
    // SAFETY: as above.
    let key = unsafe {
        FlowKey {
            source: about.destination,
            destination: about.source,
            source_port: (*ports).destination,
            destination_port: (*ports).source,
            protocol: about.protocol,
        }
    };
    // SAFETY: entries stay readable during the program's run.
    let Some(flow) = (unsafe { F::flows().get(&key) }) else { return foreign() };
    if head.hops <= 1 {
        count(counter::EXPIRED);
        return Some(VERDICT | XDP_PASS);
    }
    if flow.direction == direction::ANSWER {
        return to_client::<F>(&context, head, flow, within).map(|done| VERDICT | done);
    }
    let number = flow.real;
    let real = REALS.get(number)?;
    match real.forward {
        forward::NONE => Some(VERDICT | XDP_PASS),
        forward::NAT => {
            to_real::<F>(&context, head, real, within, key.destination_port).map(|done| VERDICT | done)
        }
        _ => {
            count(counter::ICMP);
            Some(number)
        }
    }
}

/// The packet that it is about is an answer, which the real server knows as its own.
#[inline(always)]
fn to_real<F: Family>(
    context: &XdpContext,
    head: &Head<F::Address>,
    real: &Real,
    within: usize,
    port: u16,
) -> Option<u32> {
    let address = F::Address::narrow(real.address);
    let port = if real.port == 0 { port } else { real.port };
    rewrite::<F>(context, head, End::Destination, address, within, port)?;
    count(counter::ICMP);
    routed::<F, false>(context, head.source, address, 0, Otherwise::Kernel)
}

/// The packet that it is about is a request, which the client sent to the service.
#[inline(always)]
fn to_client<F: Family>(
    context: &XdpContext,
    head: &Head<F::Address>,
    flow: &Flow<F::Address>,
    within: usize,
) -> Option<u32> {
    let (address, port) = (flow.address, flow.port);
    rewrite::<F>(context, head, End::Source, address, within, port)?;
    count(counter::ICMP);
    routed::<F, false>(context, address, head.destination, 0, Otherwise::Kernel)
}

/// Rewrites an end of the error, and the opposite one of the packet within.
#[inline(always)]
fn rewrite<F: Family>(
    context: &XdpContext,
    head: &Head<F::Address>,
    end: End,
    address: F::Address,
    within: usize,
    port: u16,
) -> Option<()> {
    let opposite = if end == End::Source { End::Destination } else { End::Source };
    let about = F::read(context, within)?.ok()?;
    let ports: *mut Ports = header(context, within + F::LENGTH)?;
    let icmp: *mut Icmp = header(context, ETHERNET_LENGTH + F::LENGTH)?;
    // SAFETY: `header` checked that the packet holds them.
    unsafe {
        let old_port = match opposite {
            End::Source => &mut (*ports).source,
            End::Destination => &mut (*ports).destination,
        };
        let mut changes = change_half(*old_port, port);
        if F::NUMBER == xdp_abi::IPV6 {
            // ICMPv6 covers the outer addresses, and IPv6 within has no checksum that would even its change out.
            let (outer, old) = match end {
                End::Source => (head.source, about.destination),
                End::Destination => (head.destination, about.source),
            };
            changes += F::change(outer, address) + F::change(old, address);
        }
        *old_port = port;
        (*icmp).checksum = updated((*icmp).checksum, changes);
    }
    F::rewrite(context, within, opposite, address, None)?;
    F::rewrite(context, ETHERNET_LENGTH, end, address, Some(head.hops.wrapping_sub(1)))
}
