//! Frames that tell a network where an address lives now: gratuitous ARP and unsolicited neighbour advertisements, as
//! keepalived sends them. Owns their bytes, never when they are sent.

use crate::packet::internet_checksum;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A hardware address.
pub type Mac = [u8; 6];

/// The hardware address of everyone.
pub const MAC_BROADCAST: Mac = [0xff; 6];

/// Where unsolicited neighbour advertisements go: all nodes of the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Bytes of a gratuitous ARP with its Ethernet header.
pub const ARP_FRAME_LEN: usize = 42;

/// Bytes of an unsolicited neighbour advertisement with its Ethernet header.
pub const NA_FRAME_LEN: usize = 86;

/// Bytes of a neighbour advertisement with the option that names the hardware address.
const NA_MESSAGE_LEN: usize = 32;

/// Bytes of an Ethernet header and an IPv6 header.
const NA_MESSAGE_AT: usize = 14 + 40;

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const PROTOCOL_ICMPV6: u8 = 58;
const ICMPV6_NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// The virtual hardware address of a virtual router (RFC 9568 §7.3).
pub fn virtual_mac(family: crate::Family, vrid: crate::Vrid) -> Mac {
    let fifth = match family {
        crate::Family::V4 => 1,
        crate::Family::V6 => 2,
    };
    [0, 0, 0x5e, 0, fifth, vrid.get()]
}

/// Whether a gratuitous ARP asks or answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArpKind {
    /// "Who has it?": what keepalived and RFC 5227 use, and every switch understands.
    #[default]
    Request,
    /// "It is here": for the hosts that take nothing else.
    Reply,
}

/// A gratuitous ARP: `address` asks everyone for itself.
pub fn gratuitous_arp(kind: ArpKind, mac: Mac, address: Ipv4Addr) -> [u8; ARP_FRAME_LEN] {
    let mut frame = [0; ARP_FRAME_LEN];
    frame[..6].copy_from_slice(&MAC_BROADCAST);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHERTYPE_ARP);
    // Ethernet, IPv4, lengths of their addresses, operation.
    let operation = match kind {
        ArpKind::Request => 1,
        ArpKind::Reply => 2,
    };
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, operation]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&address.octets());
    // RFC 5227 has zeros here; keepalived has ones.
    frame[32..38].copy_from_slice(&MAC_BROADCAST);
    frame[38..42].copy_from_slice(&address.octets());
    frame
}

/// An unsolicited neighbour advertisement of `address` to all nodes (RFC 9568 §8.2.3, RFC 4861 §4.4), with the flag that
/// overrides what neighbours know. `is_router`: the flag that says so, to be set when this host forwards IPv6.
pub fn neighbour_advertisement(mac: Mac, address: Ipv6Addr, is_router: bool) -> [u8; NA_FRAME_LEN] {
    let mut frame = [0; NA_FRAME_LEN];
    let group = ALL_NODES.octets();
    frame[..6].copy_from_slice(&[0x33, 0x33, group[12], group[13], group[14], group[15]]);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHERTYPE_IPV6);
    frame[14] = 0x60;
    frame[18..20].copy_from_slice(&(NA_MESSAGE_LEN as u16).to_be_bytes());
    frame[20..22].copy_from_slice(&[PROTOCOL_ICMPV6, 255]);
    frame[22..38].copy_from_slice(&address.octets());
    frame[38..54].copy_from_slice(&group);
    let message = &mut frame[NA_MESSAGE_AT..];
    message[0] = ICMPV6_NEIGHBOUR_ADVERTISEMENT;
    message[4] = 0x20 | if is_router { 0x80 } else { 0 };
    message[8..24].copy_from_slice(&address.octets());
    // Option 2, target link-layer address, of one unit of 8 bytes.
    message[24..26].copy_from_slice(&[2, 1]);
    message[26..32].copy_from_slice(&mac);
    let pseudo = icmpv6_pseudo_header(address);
    let checksum = internet_checksum(&[&pseudo, &frame[NA_MESSAGE_AT..]]);
    frame[NA_MESSAGE_AT + 2..NA_MESSAGE_AT + 4].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn icmpv6_pseudo_header(source: Ipv6Addr) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..16].copy_from_slice(&source.octets());
    bytes[16..32].copy_from_slice(&ALL_NODES.octets());
    bytes[35] = NA_MESSAGE_LEN as u8;
    bytes[39] = PROTOCOL_ICMPV6;
    bytes
}
