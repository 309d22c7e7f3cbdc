//! Wraps packets into others from the director to the real server: IP in IP (RFC 2003, RFC 2473), generic UDP
//! encapsulation, GRE (RFC 2784). The families of both may differ.

use crate::family::{Family, Head, Ipv4, Ipv6, PLAIN_HEADER, V4, V6};
use crate::packet::{ETHERNET_LENGTH, Ethernet, fold, header, pair};
use crate::transmit::{NARROW, Otherwise, routed};
use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::bpf_xdp_adjust_head;
use aya_ebpf::programs::XdpContext;
use xdp_abi::{Address, IPV4, Real, forward};

const HOPS: u8 = 64;
const DO_NOT_FRAGMENT: u16 = 0x4000;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_GRE: u8 = 47;
const UDP_LENGTH: u16 = 8;
const SHIM_LENGTH: u16 = 4;
/// The outer source port of GUE: 49152 and above.
const PORTS_DYNAMIC: u32 = 0xc000;

/// What goes inside.
#[repr(C)]
pub struct Inner {
    /// The packet's sum, where it can be told from its headers; its own checksums are relied upon.
    pub sum: u64,
    /// For the outer port.
    pub hash: u32,
    pub length: u16,
    pub kind: u16,
    pub class: u8,
    pub protocol: u8,
    pub has_sum: u16,
    pub nothing: u32,
}

/// What the outer packet says of the inner one. `segment_has_checksum`: not a datagram without.
#[inline(always)]
pub fn inner<F: Family>(head: &Head<F::Address>, segment_has_checksum: bool, hash: u32) -> Inner {
    let length = head.length.wrapping_sub(F::LENGTH as u16);
    // A segment and what its checksum covers besides come to all ones: the segment is the complement of the rest.
    let ends = F::sum(head.source) + F::sum(head.destination);
    let rest = ends + u64::from(length.to_be()) + pair(0, head.protocol as u8);
    Inner {
        sum: F::header_sum(head) + u64::from(fold(rest)),
        hash,
        length: head.length,
        kind: F::KIND,
        protocol: F::INNER_PROTOCOL,
        class: head.class,
        has_sum: u16::from(segment_has_checksum),
        nothing: 0,
    }
}

/// Wraps the packet and sends it; [`NARROW`] with the size that would fit, where it does not. A function that is verified by itself; pointers come checked.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn tunnelled(ctx: *mut xdp_md, inner: *const Inner, real: *const Real) -> u32 {
    if inner.is_null() || real.is_null() {
        return XDP_DROP;
    }
    // SAFETY: callers pass references.
    let (inner, real) = unsafe { (&*inner, &*real) };
    let is_ipv4 = real.family == IPV4;
    let sent = match (is_ipv4, real.forward) {
        (true, forward::GUE) => wrap::<V4, Gue>(ctx, inner, real),
        (true, forward::GRE) => wrap::<V4, Gre>(ctx, inner, real),
        (true, _) => wrap::<V4, Plain>(ctx, inner, real),
        (false, forward::GUE) => wrap::<V6, Gue>(ctx, inner, real),
        (false, forward::GRE) => wrap::<V6, Gre>(ctx, inner, real),
        (false, _) => wrap::<V6, Plain>(ctx, inner, real),
    };
    sent.unwrap_or(XDP_DROP)
}

/// What is between the outer IP header and the packet.
trait Between {
    const LENGTH: u16;
    fn protocol(inner: &Inner) -> u8;
    /// Writes it at `at`; `pseudo`: the sum of the outer addresses.
    fn write(context: &XdpContext, at: usize, inner: &Inner, real: &Real, pseudo: u64) -> Option<()>;
}

struct Plain;
struct Gue;
struct Gre;

impl Between for Plain {
    const LENGTH: u16 = 0;

    #[inline(always)]
    fn protocol(inner: &Inner) -> u8 {
        inner.protocol
    }

    #[inline(always)]
    fn write(_: &XdpContext, _: usize, _: &Inner, _: &Real, _: u64) -> Option<()> {
        Some(())
    }
}

impl Between for Gre {
    const LENGTH: u16 = SHIM_LENGTH;

    #[inline(always)]
    fn protocol(_: &Inner) -> u8 {
        PROTOCOL_GRE
    }

    #[inline(always)]
    fn write(context: &XdpContext, at: usize, inner: &Inner, _: &Real, _: u64) -> Option<()> {
        let gre: *mut [u16; 2] = header(context, at)?;
        // SAFETY: `header` checked that the packet holds it.
        unsafe { *gre = [0, inner.kind] };
        Some(())
    }
}

impl Between for Gue {
    const LENGTH: u16 = UDP_LENGTH + SHIM_LENGTH;

    #[inline(always)]
    fn protocol(_: &Inner) -> u8 {
        PROTOCOL_UDP
    }

    #[inline(always)]
    fn write(context: &XdpContext, at: usize, inner: &Inner, real: &Real, pseudo: u64) -> Option<()> {
        let start: *mut [u16; 6] = header(context, at)?;
        let source = ((inner.hash | PORTS_DYNAMIC) as u16).to_be();
        let length = inner.length.wrapping_add(Self::LENGTH).to_be();
        let shim = u16::from_ne_bytes([0, inner.protocol]);
        let mut checksum = 0;
        if real.tunnel_checksum != 0 && inner.has_sum != 0 {
            // The length is in the header and in what the checksum covers besides.
            let udp = u64::from(source) + u64::from(real.tunnel_port) + 2 * u64::from(length);
            checksum = fold(pseudo + pair(0, PROTOCOL_UDP) + udp + u64::from(shim) + inner.sum);
            if checksum == 0 {
                checksum = u16::MAX;
            }
        }
        // SAFETY: `header` checked that the packet holds it.
        unsafe { *start = [source, real.tunnel_port, length, checksum, shim, 0] };
        Some(())
    }
}

#[inline(always)]
fn wrap<F: Outer, B: Between>(ctx: *mut xdp_md, inner: &Inner, real: &Real) -> Option<u32> {
    let added = F::LENGTH as u16 + B::LENGTH;
    let length = inner.length.checked_add(added)?;
    // SAFETY: the context is live; pointers into the packet are taken anew below.
    if unsafe { bpf_xdp_adjust_head(ctx, -i32::from(added)) } != 0 {
        return Some(XDP_DROP);
    }
    let context = XdpContext::new(ctx);
    let ethernet: *mut Ethernet = header(&context, 0)?;
    // SAFETY: `header` checked that the packet holds it.
    unsafe { (*ethernet).kind = F::KIND };
    let (source, destination) = (F::Address::narrow(real.source), F::Address::narrow(real.address));
    F::write(&context, length, inner.class, B::protocol(inner), source, destination)?;
    let pseudo = F::sum(source) + F::sum(destination);
    B::write(&context, ETHERNET_LENGTH + F::LENGTH, inner, real, pseudo)?;
    let sent = routed::<F, true>(&context, source, destination, length, Otherwise::Drop)?;
    if sent < NARROW {
        return Some(sent);
    }
    // The packet is as it came again, but for its link header, of which only the type is needed.
    // SAFETY: as above.
    if unsafe { bpf_xdp_adjust_head(ctx, i32::from(added)) } != 0 {
        return Some(XDP_DROP);
    }
    Some(NARROW | u32::from((sent as u16).saturating_sub(added)))
}

/// A family that can be outside.
trait Outer: Family {
    fn write(
        context: &XdpContext,
        length: u16,
        class: u8,
        protocol: u8,
        source: Self::Address,
        destination: Self::Address,
    ) -> Option<()>;
}

impl Outer for V4 {
    #[inline(always)]
    fn write(
        context: &XdpContext,
        length: u16,
        class: u8,
        protocol: u8,
        source: u32,
        destination: u32,
    ) -> Option<()> {
        let outer: *mut Ipv4 = header(context, ETHERNET_LENGTH)?;
        let (length, fragment) = (length.to_be(), DO_NOT_FRAGMENT.to_be());
        let words =
            pair(PLAIN_HEADER, class) + u64::from(length) + u64::from(fragment) + pair(HOPS, protocol);
        let ip = Ipv4 {
            version: PLAIN_HEADER,
            class,
            length,
            identifier: 0,
            fragment,
            hops: HOPS,
            protocol,
            checksum: fold(words + u64::from(source) + u64::from(destination)),
            source,
            destination,
        };
        // SAFETY: `header` checked that the packet holds it.
        unsafe { *outer = ip };
        Some(())
    }
}

impl Outer for V6 {
    #[inline(always)]
    fn write(
        context: &XdpContext,
        length: u16,
        class: u8,
        protocol: u8,
        source: [u32; 4],
        destination: [u32; 4],
    ) -> Option<()> {
        let outer: *mut Ipv6 = header(context, ETHERNET_LENGTH)?;
        let ip = Ipv6 {
            version: [0x60 | class >> 4, class << 4, 0, 0],
            length: (length.wrapping_sub(V6::LENGTH as u16)).to_be(),
            protocol,
            hops: HOPS,
            source,
            destination,
        };
        // SAFETY: `header` checked that the packet holds it.
        unsafe { *outer = ip };
        Some(())
    }
}
