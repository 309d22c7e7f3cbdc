//! The director's data plane: packets of a service go to a real server, answers of translated ones come back.
//!
//! What is not a service's, or what these programs do not handle, goes on to the kernel as it came, and is counted.

#![no_std]
#![no_main]
// This target's library has no atomic additions, though the machine has: see `turn`.
#![feature(core_intrinsics)]
#![allow(internal_features)]

mod maps;
mod packet;
mod transmit;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use maps::{FLOWS, REALS, REPLIES, SERVICES, SLOTS, TURNS, count};
use packet::{
    ETHERNET_LENGTH, Ethernet, IP_LENGTH, IPV4, Ip, PLAIN_HEADER, Ports, TCP, UDP, address_change, change,
    checksum_at, header, updated,
};
use xdp_abi::{Flow, FlowKey, NO_REAL, Real, Reply, Service, ServiceKey, choice, counter, forward};

/// The offset of a fragment and the flag that more follow.
const FRAGMENT_BITS: u16 = 0x3fff;

#[xdp]
pub fn director(context: XdpContext) -> u32 {
    handle(&context).unwrap_or_else(|| {
        count(counter::MALFORMED);
        XDP_PASS
    })
}

/// `None`: the packet ends too early.
#[inline(always)]
fn handle(context: &XdpContext) -> Option<u32> {
    let ethernet: *mut Ethernet = header(context, 0)?;
    // SAFETY: `header` checked that the packet holds it; so below.
    if unsafe { (*ethernet).kind } != IPV4 {
        count(counter::FOREIGN);
        return Some(XDP_PASS);
    }
    let ip: *mut Ip = header(context, ETHERNET_LENGTH)?;
    // SAFETY: as above.
    let head = unsafe { *ip };
    if head.version != PLAIN_HEADER {
        count(if head.version >> 4 == 4 { counter::OPTIONS } else { counter::MALFORMED });
        return Some(XDP_PASS);
    }
    if head.protocol != TCP && head.protocol != UDP {
        count(counter::FOREIGN);
        return Some(XDP_PASS);
    }
    if u16::from_be_bytes(head.fragment) & FRAGMENT_BITS != 0 {
        count(counter::FRAGMENT);
        return Some(XDP_PASS);
    }
    let ports: *mut Ports = header(context, ETHERNET_LENGTH + IP_LENGTH)?;
    // SAFETY: as above.
    let (source_port, destination_port) = unsafe { ((*ports).source, (*ports).destination) };
    let key = FlowKey {
        source: head.source,
        destination: head.destination,
        source_port,
        destination_port,
        protocol: head.protocol,
        nothing: [0; 3],
    };
    let service = ServiceKey {
        address: head.destination,
        port: destination_port,
        protocol: head.protocol,
        nothing: 0,
    };
    // SAFETY: values are only replaced as a whole; a torn read is of two valid services with one table of slots each.
    match unsafe { SERVICES.get(&service) } {
        Some(found) => to_real(context, &head, &key, found),
        None => to_client(context, &head, &key),
    }
}

/// A packet of a client.
#[inline(always)]
fn to_real(context: &XdpContext, head: &Ip, key: &FlowKey, service: &Service) -> Option<u32> {
    if head.hops <= 1 {
        count(counter::EXPIRED);
        return Some(XDP_PASS);
    }
    let real = match known(key).or_else(|| chosen(key, service)) {
        Some(real) => real,
        None => {
            count(counter::NO_REAL);
            return Some(XDP_DROP);
        }
    };
    match real.forward {
        forward::NAT => {
            translate(context, head, Direction::ToReal, real.address, real.port)?;
            transmit::routed(context, head.source, real.address, true)
        }
        forward::ROUTE => transmit::routed(context, head.source, real.address, false),
        forward::IP_IN_IP => transmit::tunnelled(context, head, &real),
        _ => Some(XDP_DROP),
    }
}

/// The real server of a flow that is under way.
#[inline(always)]
fn known(key: &FlowKey) -> Option<Real> {
    let flow = FLOWS.get_ptr_mut(key)?;
    // SAFETY: the entry stays readable during the program's run; the count may lose a packet to another processor.
    let number = unsafe {
        (*flow).packets = (*flow).packets.wrapping_add(1);
        (*flow).real
    };
    let real = *REALS.get(number)?;
    if real.forward == forward::NONE {
        return None;
    }
    count(counter::FLOW_HIT);
    Some(real)
}

/// The real server for a new flow, which is remembered.
#[inline(always)]
fn chosen(key: &FlowKey, service: &Service) -> Option<Real> {
    if service.slots == 0 {
        return None;
    }
    let number = match service.choice {
        choice::SOURCE => hash(u32::from_ne_bytes(key.source), 0),
        choice::SOURCE_PORT => {
            hash(u32::from_ne_bytes(key.source), u32::from(u16::from_ne_bytes(key.source_port)))
        }
        choice::DESTINATION => hash(u32::from_ne_bytes(key.destination), 0),
        _ => turn(service.number)?,
    };
    let number = *SLOTS.get(service.first_slot + number % service.slots)?;
    if number == NO_REAL {
        return None;
    }
    let real = *REALS.get(number)?;
    if real.forward == forward::NONE {
        return None;
    }
    count(counter::FLOW_NEW);
    // A full table forgets the flow that was silent longest; a failure leaves this one to the next packet.
    let _ = FLOWS.insert(key, &Flow { real: number, packets: 1 }, 0);
    if real.forward == forward::NAT {
        let answer = FlowKey {
            source: real.address,
            destination: key.source,
            source_port: real.port,
            destination_port: key.source_port,
            protocol: key.protocol,
            nothing: [0; 3],
        };
        let reply = Reply { address: key.destination, port: key.destination_port, nothing: [0; 2] };
        let _ = REPLIES.insert(&answer, &reply, 0);
    }
    Some(real)
}

#[inline(always)]
fn turn(service: u32) -> Option<u32> {
    let turn = TURNS.get_ptr_mut(service)?;
    // Not relaxed: that becomes an addition that does not fetch, and each turn would be the first.
    // SAFETY: the value is aligned, and every processor changes it this way alone.
    Some(unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::AcqRel }>(turn, 1) } as u32)
}

/// The same on every director, so that a failover finds the same real server.
#[inline(always)]
fn hash(one: u32, other: u32) -> u32 {
    // The finaliser of MurmurHash3, over both words.
    let mut mixed = one.wrapping_mul(0xcc9e_2d51).rotate_left(15) ^ other.wrapping_mul(0x1b87_3593);
    mixed ^= mixed >> 16;
    mixed = mixed.wrapping_mul(0x85eb_ca6b);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

/// A packet that is no service's: the answer of a real server, or somebody else's.
#[inline(always)]
fn to_client(context: &XdpContext, head: &Ip, key: &FlowKey) -> Option<u32> {
    // SAFETY: a reply's entry is written once.
    let Some(reply) = (unsafe { REPLIES.get(key) }) else {
        count(counter::FOREIGN);
        return Some(XDP_PASS);
    };
    if head.hops <= 1 {
        count(counter::EXPIRED);
        return Some(XDP_PASS);
    }
    let (address, port) = (reply.address, reply.port);
    count(counter::REPLY);
    translate(context, head, Direction::ToClient, address, port)?;
    transmit::routed(context, address, head.destination, true)
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    /// The destination is rewritten.
    ToReal,
    /// The source is.
    ToClient,
}

/// Rewrites one end, one hop further on.
#[inline(always)]
fn translate(
    context: &XdpContext,
    head: &Ip,
    direction: Direction,
    address: [u8; 4],
    port: [u8; 2],
) -> Option<()> {
    let segment = ETHERNET_LENGTH + IP_LENGTH;
    let ip: *mut Ip = header(context, ETHERNET_LENGTH)?;
    let ports: *mut Ports = header(context, segment)?;
    let checksum: *mut [u8; 2] = header(context, segment + checksum_at(head.protocol))?;
    // SAFETY: `header` checked that the packet holds them.
    unsafe {
        let (old_address, old_port) = match direction {
            Direction::ToReal => (head.destination, (*ports).destination),
            Direction::ToClient => (head.source, (*ports).source),
        };
        let addresses = address_change(old_address, address);
        // A UDP checksum of zero is none, and one that comes out as zero is written as ones (RFC 768).
        if head.protocol == TCP || *checksum != [0, 0] {
            *checksum = updated(*checksum, addresses + change(old_port, port));
            if head.protocol == UDP && *checksum == [0, 0] {
                *checksum = [0xff, 0xff];
            }
        }
        let hops = head.hops - 1;
        let hop = change([head.hops, head.protocol], [hops, head.protocol]);
        (*ip).checksum = updated(head.checksum, addresses + hop);
        (*ip).hops = hops;
        match direction {
            Direction::ToReal => {
                (*ip).destination = address;
                (*ports).destination = port;
            }
            Direction::ToClient => {
                (*ip).source = address;
                (*ports).source = port;
            }
        }
    }
    Some(())
}

#[panic_handler]
fn panic(_information: &core::panic::PanicInfo<'_>) -> ! {
    // No path leads here: the verifier would refuse a loop without end.
    loop {}
}
