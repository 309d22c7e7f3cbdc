//! What IPv4 and IPv6 do differently: headers, their checksums, and the kernel's routing table.

use crate::maps::{FLOWS_4, FLOWS_6, Scratch};
use crate::packet::{ETHERNET_LENGTH, change, change_half, header, pair, updated};
use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::XdpContext;
use xdp_abi::{Address, Flow, FlowKey, counter};

/// The offset of a fragment and the flag that more follow.
const FRAGMENT_BITS: u16 = 0x3fff;
/// Version 4, header of five words.
pub const PLAIN_HEADER: u8 = 0x45;
const MINIMAL_FRAGMENT: u8 = 44;

/// What is asked of an IP header.
#[derive(Clone, Copy)]
pub struct Head<A> {
    pub source: A,
    pub destination: A,
    pub protocol: u32,
    pub hops: u8,
    /// Type of service or traffic class.
    pub class: u8,
    /// Bytes of the whole packet, this header included.
    pub length: u16,
}

/// Which end of a packet is rewritten.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Source,
    Destination,
}

pub trait Family {
    type Address: Address + 'static;
    /// The type in the Ethernet header.
    const KIND: u16;
    /// 4 or 6.
    const NUMBER: u8;
    /// Of its plain header.
    const LENGTH: usize;
    const ICMP: u32;
    /// Of a packet of this family within another.
    const INNER_PROTOCOL: u8;

    fn flows() -> &'static LruHashMap<FlowKey<Self::Address>, Flow<Self::Address>>;
    /// Where a new flow and its answers are put together.
    fn scratch(scratch: &mut Scratch) -> (&mut Flow<Self::Address>, &mut FlowKey<Self::Address>);
    /// Reads the header at `at`. `Err`: why the packet is not handled.
    fn read(context: &XdpContext, at: usize) -> Option<Result<Head<Self::Address>, u32>>;
    /// The sum of an address's change.
    fn change(old: Self::Address, new: Self::Address) -> u64;
    fn sum(address: Self::Address) -> u64;
    /// An address in one word, for hashes.
    fn word(address: Self::Address) -> u32;
    /// Rewrites one end in the header at `at`; `hops`: what is left of them, where they change.
    fn rewrite(context: &XdpContext, at: usize, end: End, new: Self::Address, hops: Option<u8>) -> Option<()>;
    /// The sum over a plain header that is as it should be.
    fn header_sum(head: &Head<Self::Address>) -> u64;
    /// Asks for the way between two addresses.
    fn ask(way: &mut bpf_fib_lookup, source: Self::Address, destination: Self::Address);
}

pub struct V4;
pub struct V6;

#[repr(C, packed(2))]
#[derive(Clone, Copy)]
pub struct Ipv4 {
    pub version: u8,
    pub class: u8,
    pub length: u16,
    pub identifier: u16,
    pub fragment: u16,
    pub hops: u8,
    pub protocol: u8,
    pub checksum: u16,
    pub source: u32,
    pub destination: u32,
}

#[repr(C, packed(2))]
#[derive(Clone, Copy)]
pub struct Ipv6 {
    /// Version, traffic class, flow label.
    pub version: [u8; 4],
    /// Without this header.
    pub length: u16,
    pub protocol: u8,
    pub hops: u8,
    pub source: [u32; 4],
    pub destination: [u32; 4],
}

impl Family for V4 {
    type Address = u32;
    const KIND: u16 = 0x0800_u16.to_be();
    const NUMBER: u8 = xdp_abi::IPV4;
    const LENGTH: usize = size_of::<Ipv4>();
    const ICMP: u32 = 1;
    const INNER_PROTOCOL: u8 = 4;

    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<u32>, Flow<u32>> {
        &FLOWS_4
    }

    #[inline(always)]
    fn scratch(scratch: &mut Scratch) -> (&mut Flow<u32>, &mut FlowKey<u32>) {
        (&mut scratch.flow_4, &mut scratch.answer_4)
    }

    #[inline(always)]
    fn read(context: &XdpContext, at: usize) -> Option<Result<Head<u32>, u32>> {
        let ip: *mut Ipv4 = header(context, at)?;
        // SAFETY: `header` checked that the packet holds it.
        let ip = unsafe { &*ip };
        if ip.version != PLAIN_HEADER {
            return Some(Err(if ip.version >> 4 == 4 { counter::OPTIONS } else { counter::MALFORMED }));
        }
        if ip.fragment & FRAGMENT_BITS.to_be() != 0 {
            return Some(Err(counter::FRAGMENT));
        }
        Some(Ok(Head {
            source: ip.source,
            destination: ip.destination,
            protocol: u32::from(ip.protocol),
            hops: ip.hops,
            class: ip.class,
            length: u16::from_be(ip.length),
        }))
    }

    #[inline(always)]
    fn change(old: u32, new: u32) -> u64 {
        change(old, new)
    }

    #[inline(always)]
    fn sum(address: u32) -> u64 {
        u64::from(address)
    }

    #[inline(always)]
    fn word(address: u32) -> u32 {
        address
    }

    #[inline(always)]
    fn rewrite(context: &XdpContext, at: usize, end: End, new: u32, hops: Option<u8>) -> Option<()> {
        let ip: *mut Ipv4 = header(context, at)?;
        // SAFETY: `header` checked that the packet holds it.
        let ip = unsafe { &mut *ip };
        let mut changes = match end {
            End::Source => change(ip.source, new),
            End::Destination => change(ip.destination, new),
        };
        match end {
            End::Source => ip.source = new,
            End::Destination => ip.destination = new,
        }
        if let Some(hops) = hops {
            let word = |hops: u8| u16::from_ne_bytes([hops, ip.protocol]);
            changes += change_half(word(ip.hops), word(hops));
            ip.hops = hops;
        }
        ip.checksum = updated(ip.checksum, changes);
        Some(())
    }

    #[inline(always)]
    fn header_sum(_head: &Head<u32>) -> u64 {
        // Its own checksum makes it zero.
        0
    }

    #[inline(always)]
    fn ask(way: &mut bpf_fib_lookup, source: u32, destination: u32) {
        way.family = 2;
        way.__bindgen_anon_3.ipv4_src = source;
        way.__bindgen_anon_4.ipv4_dst = destination;
    }
}

impl Family for V6 {
    type Address = [u32; 4];
    const KIND: u16 = 0x86dd_u16.to_be();
    const NUMBER: u8 = xdp_abi::IPV6;
    const LENGTH: usize = size_of::<Ipv6>();
    const ICMP: u32 = 58;
    const INNER_PROTOCOL: u8 = 41;

    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<[u32; 4]>, Flow<[u32; 4]>> {
        &FLOWS_6
    }

    #[inline(always)]
    fn scratch(scratch: &mut Scratch) -> (&mut Flow<[u32; 4]>, &mut FlowKey<[u32; 4]>) {
        (&mut scratch.flow_6, &mut scratch.answer_6)
    }

    #[inline(always)]
    fn read(context: &XdpContext, at: usize) -> Option<Result<Head<[u32; 4]>, u32>> {
        let ip: *mut Ipv6 = header(context, at)?;
        // SAFETY: `header` checked that the packet holds it.
        let ip = unsafe { &*ip };
        if ip.version[0] >> 4 != 6 {
            return Some(Err(counter::MALFORMED));
        }
        match ip.protocol {
            MINIMAL_FRAGMENT => return Some(Err(counter::FRAGMENT)),
            // Hop-by-hop, routing, ESP, AH, destination options, mobility.
            0 | 43 | 50 | 51 | 60 | 135 => return Some(Err(counter::OPTIONS)),
            _ => {}
        }
        let length = u16::from_be(ip.length);
        if length > u16::MAX - 40 {
            return Some(Err(counter::MALFORMED));
        }
        Some(Ok(Head {
            source: ip.source,
            destination: ip.destination,
            protocol: u32::from(ip.protocol),
            hops: ip.hops,
            class: ip.version[0] << 4 | ip.version[1] >> 4,
            length: length + 40,
        }))
    }

    #[inline(always)]
    fn change(old: [u32; 4], new: [u32; 4]) -> u64 {
        change(old[0], new[0]) + change(old[1], new[1]) + change(old[2], new[2]) + change(old[3], new[3])
    }

    #[inline(always)]
    fn sum(address: [u32; 4]) -> u64 {
        u64::from(address[0]) + u64::from(address[1]) + u64::from(address[2]) + u64::from(address[3])
    }

    #[inline(always)]
    fn word(address: [u32; 4]) -> u32 {
        let [one, two, three, four] = address;
        (one ^ two.rotate_left(9)).wrapping_mul(0x9e37_79b1) ^ three ^ four.rotate_left(17)
    }

    #[inline(always)]
    fn rewrite(context: &XdpContext, at: usize, end: End, new: [u32; 4], hops: Option<u8>) -> Option<()> {
        let ip: *mut Ipv6 = header(context, at)?;
        // SAFETY: `header` checked that the packet holds it.
        let ip = unsafe { &mut *ip };
        match end {
            End::Source => ip.source = new,
            End::Destination => ip.destination = new,
        }
        if let Some(hops) = hops {
            ip.hops = hops;
        }
        Some(())
    }

    #[inline(always)]
    fn header_sum(head: &Head<[u32; 4]>) -> u64 {
        let length = u64::from((head.length - 40).to_be());
        pair(0x60 | head.class >> 4, head.class << 4)
            + length
            + pair(head.protocol as u8, head.hops)
            + Self::sum(head.source)
            + Self::sum(head.destination)
    }

    #[inline(always)]
    fn ask(way: &mut bpf_fib_lookup, source: [u32; 4], destination: [u32; 4]) {
        way.family = 10;
        way.__bindgen_anon_3.ipv6_src = source;
        way.__bindgen_anon_4.ipv6_dst = destination;
    }
}

/// Where the segment of a packet of this family begins.
#[inline(always)]
pub const fn segment<F: Family>() -> usize {
    ETHERNET_LENGTH + F::LENGTH
}
