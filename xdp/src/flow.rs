//! Flows: which real server a packet of a client goes to, and what is remembered of it.

use crate::choose::{choose, serves};
use crate::family::{Family, Head, V4, V6, segment};
use crate::maps::{LOADS, REALS, RECORDS, SCRATCH, SERVICES, SETTINGS, STATISTICS, TEMPLATES, add, count, now};
use crate::packet::{ETHERNET_LENGTH, Ports, header, tcp_flags};
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::programs::XdpContext;
use xdp_abi::state::{self, ACK, ESTABLISHED, FIN, RST, SYN, Sender, is_over, next};
use xdp_abi::{
    Address, Flow, FlowKey, NO_REAL, Real, Service, ServiceKey, TCP, Template, TemplateKey, choice, counter, direction, elapsed,
    forward, service_flag, ticks,
};

/// A number from here on is what becomes of the packet, below the number of a real server.
pub const VERDICT: u32 = 1 << 31;

/// The real server of a flow that is under way; `None`: it finds one anew.
#[inline(always)]
pub fn known<F: Family>(
    context: &XdpContext,
    protocol: u32,
    flow: &mut Flow<F::Address>,
) -> Option<Option<&'static Real>> {
    let number = flow.real;
    let Some(real) = REALS.get(number) else { return Some(None) };
    if real.forward == forward::NONE {
        return Some(None);
    }
    if protocol == TCP {
        let flags = tcp_flags(context, segment::<F>())?;
        let before = flow.state;
        if before != ESTABLISHED || flags & (FIN | SYN | RST) != 0 {
            if flags & (SYN | ACK | RST) == SYN && is_over(before) {
                leave(number, before);
                return Some(None);
            }
            let sender = if real.forward == forward::NAT { Sender::Client } else { Sender::ClientAlone };
            advance(number, &mut flow.state, next(before, flags, sender));
        }
    }
    flow.seen = now();
    Some(Some(real))
}

/// Changes the state, and the counts with it.
#[inline(always)]
pub fn advance(number: u32, state: &mut u8, after: u8) {
    let before = *state;
    *state = after;
    let step = i32::from(after == ESTABLISHED) - i32::from(before == ESTABLISHED);
    if step != 0
        && let Some(load) = LOADS.get_ptr_mut(number)
    {
        // SAFETY: within the value.
        unsafe {
            add(&raw mut (*load).active, step);
            add(&raw mut (*load).inactive, -step);
        }
    }
}

/// A flow ends before its time.
#[inline(always)]
fn leave(number: u32, state: u8) {
    count_flow(number, state, -1);
}

#[inline(always)]
fn count_flow(number: u32, state: u8, step: i32) {
    if let Some(load) = LOADS.get_ptr_mut(number) {
        // SAFETY: within the value.
        unsafe {
            if state == ESTABLISHED {
                add(&raw mut (*load).active, step);
            } else {
                add(&raw mut (*load).inactive, step);
            }
        }
    }
}

/// Counts a packet of a real server.
#[inline(always)]
pub fn account(number: u32, length: u16, is_answer: bool) {
    if let Some(counted) = STATISTICS.get_ptr_mut(number) {
        // SAFETY: the value is this processor's.
        unsafe {
            if is_answer {
                (*counted).packets_out += 1;
                (*counted).bytes_out += u64::from(length);
            } else {
                (*counted).packets_in += 1;
                (*counted).bytes_in += u64::from(length);
            }
        }
    }
}

/// The service that takes the packet.
#[inline(always)]
fn service_of<F: Family>(key: &FlowKey<F::Address>) -> Option<&'static Service> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: the value is this processor's, and one packet at a time uses it.
    let wanted = unsafe { &mut (*scratch).service };
    *wanted = ServiceKey {
        address: key.destination.wide(),
        port: key.destination_port,
        protocol: key.protocol as u8,
        family: F::NUMBER,
    };
    // SAFETY: a value is one word; whose it is, the record says.
    let number = match unsafe { SERVICES.get(&*wanted) } {
        Some(number) => *number,
        None => {
            if SETTINGS.get(0)?.has_every_port == 0 {
                return None;
            }
            wanted.port = 0;
            // SAFETY: as above.
            *unsafe { SERVICES.get(&*wanted) }?
        }
    };
    let record = RECORDS.get(number)?;
    let is_same = record.address == wanted.address && record.port == wanted.port;
    if is_same && record.protocol == wanted.protocol { Some(record) } else { None }
}

/// A packet that belongs to no flow: the number of its real server, remembered; or a verdict.
#[inline(always)]
fn find<F: Family>(ctx: *mut xdp_md, is_stray: u32) -> Option<u32> {
    let context = XdpContext::new(ctx);
    let head = F::read(&context, ETHERNET_LENGTH)?.ok()?;
    let key = &key_of::<F>(&context, &head)?;
    Some(choose_for::<F>(&context, &head, key, is_stray))
}

#[inline(always)]
fn choose_for<F: Family>(
    context: &XdpContext,
    head: &Head<F::Address>,
    key: &FlowKey<F::Address>,
    is_stray: u32,
) -> u32 {
    let Some(service) = service_of::<F>(key) else {
        count(counter::FOREIGN);
        return VERDICT | XDP_PASS;
    };
    if head.hops <= 1 {
        count(counter::EXPIRED);
        return VERDICT | XDP_PASS;
    }
    let mut state = state::UDP;
    if key.protocol == TCP {
        let Some(flags) = tcp_flags(context, segment::<F>()) else {
            count(counter::MALFORMED);
            return VERDICT | XDP_PASS;
        };
        state = next(state::NONE, flags, Sender::ClientAlone);
        // In the middle of a connection: another director may have begun it, and a hash finds the same real server.
        let is_hashed = service.choice > choice::TURNS && service.choice < choice::LEAST;
        if flags & (SYN | ACK) != SYN && !is_hashed && is_stray == 0 {
            count(counter::NO_FLOW);
            return VERDICT | XDP_PASS;
        }
    }
    let number =
        if service.persistence == 0 { fresh::<F>(service, key) } else { persistent::<F>(service, key) };
    let Some(real) = REALS.get(number) else {
        count(counter::NO_REAL);
        return VERDICT | XDP_DROP;
    };
    count(counter::FLOW_NEW);
    if let Some(counted) = STATISTICS.get_ptr_mut(number) {
        // SAFETY: the value is this processor's.
        unsafe { (*counted).connections += 1 };
    }
    account(number, head.length, false);
    remember::<F>(service, key, number, real, state);
    number
}

/// [`find`] for IPv4: a function that is verified by itself.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn first_4(ctx: *mut xdp_md, is_stray: u32) -> u32 {
    find::<V4>(ctx, is_stray).unwrap_or(VERDICT | XDP_PASS)
}

#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn first_6(ctx: *mut xdp_md, is_stray: u32) -> u32 {
    find::<V6>(ctx, is_stray).unwrap_or(VERDICT | XDP_PASS)
}

/// The ends of a packet with a segment.
#[inline(always)]
pub fn key_of<F: Family>(context: &XdpContext, head: &Head<F::Address>) -> Option<FlowKey<F::Address>> {
    let ports: *mut Ports = header(context, segment::<F>())?;
    // SAFETY: `header` checked that the packet holds it.
    let (source_port, destination_port) = unsafe { ((*ports).source, (*ports).destination) };
    Some(FlowKey {
        source: head.source,
        destination: head.destination,
        source_port,
        destination_port,
        protocol: head.protocol,
    })
}

#[inline(always)]
fn remember<F: Family>(
    service: &Service,
    key: &FlowKey<F::Address>,
    number: u32,
    real: &Real,
    state: u8,
) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the value is this processor's, and one packet at a time uses it.
    let (flow, other) = F::scratch(unsafe { &mut *scratch });
    *flow = Flow {
        seen: now(),
        real: number,
        state,
        direction: direction::REQUEST,
        port: key.destination_port,
        address: key.destination,
    };
    // A full table forgets the flow that was silent longest; a failure leaves this one to the next packet.
    if service.flags & service_flag::ONE_PACKET == 0 && F::flows().insert(key, &*flow, 0).is_ok() {
        count_flow(number, state, 1);
    }
    if real.forward == forward::NAT {
        *other = FlowKey {
            source: F::Address::narrow(real.address),
            destination: key.source,
            source_port: if real.port == 0 { key.destination_port } else { real.port },
            destination_port: key.source_port,
            protocol: key.protocol,
        };
        flow.direction = direction::ANSWER;
        let _ = F::flows().insert(&*other, &*flow, 0);
    }
}

#[inline(always)]
fn fresh<F: Family>(service: &Service, key: &FlowKey<F::Address>) -> u32 {
    let hash = match service.choice {
        choice::SOURCE => hash(F::word(key.source), 0),
        choice::SOURCE_PORT => hash(F::word(key.source), u32::from(u16::from_be(key.source_port))),
        choice::DESTINATION => hash(F::word(key.destination), 0),
        _ => 0,
    };
    choose(service, hash)
}

/// The real server that the client is with, or a new one to stay with.
#[inline(always)]
fn persistent<F: Family>(service: &Service, key: &FlowKey<F::Address>) -> u32 {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return NO_REAL };
    // SAFETY: the value is this processor's, and one packet at a time uses it.
    let client = unsafe { &mut (*scratch).client };
    *client = TemplateKey { address: key.source.wide(), service: service.number };
    client.address[0] &= service.netmask[0];
    client.address[1] &= service.netmask[1];
    client.address[2] &= service.netmask[2];
    client.address[3] &= service.netmask[3];
    let now = now();
    if let Some(template) = TEMPLATES.get_ptr_mut(&*client) {
        // SAFETY: the entry stays readable during the program's run.
        let template = unsafe { &mut *template };
        if let Some(real) = REALS.get(template.real)
            && serves(real, service)
            && elapsed(now, template.seen) < ticks(service.persistence)
        {
            template.seen = now;
            return template.real;
        }
    }
    let number = fresh::<F>(service, key);
    if number != NO_REAL {
        let _ = TEMPLATES.insert(&*client, &Template { real: number, seen: now }, 0);
    }
    number
}

/// The same on every director, so that a failover finds the same real server.
#[inline(always)]
pub fn hash(one: u32, other: u32) -> u32 {
    // The finaliser of MurmurHash3, over both words.
    let mut mixed = one.wrapping_mul(0xcc9e_2d51).rotate_left(15) ^ other.wrapping_mul(0x1b87_3593);
    mixed ^= mixed >> 16;
    mixed = mixed.wrapping_mul(0x85eb_ca6b);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}
