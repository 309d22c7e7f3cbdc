//! Policy rules: `fib_rule_hdr`.

use crate::wire::{
    ACKNOWLEDGE, Attributes, CREATE, EXCLUSIVE, Malformed, Message, REQUEST, text, u16_at, u32_at,
};
use crate::{PROTOCOL_KEEPALIVED, address_from};
use std::net::IpAddr;

pub(crate) const NEW: u16 = 32;
pub(crate) const REMOVE: u16 = 33;

const DESTINATION: u16 = 1;
const SOURCE: u16 = 2;
const INPUT: u16 = 3;
const GOTO: u16 = 4;
const PRIORITY: u16 = 6;
const MARK: u16 = 10;
const REALMS: u16 = 11;
const TUNNEL: u16 = 12;
const SUPPRESS_GROUP: u16 = 13;
const SUPPRESS_PREFIX: u16 = 14;
const TABLE: u16 = 15;
const MARK_MASK: u16 = 16;
const OUTPUT: u16 = 17;
const L3MDEV: u16 = 19;
const USERS: u16 = 20;
const PROTOCOL: u16 = 21;
const IP_PROTOCOL: u16 = 22;
const SOURCE_PORTS: u16 = 23;
const DESTINATION_PORTS: u16 = 24;

/// `FR_ACT_*`.
pub mod action {
    pub const TO_TABLE: u8 = 1;
    pub const GOTO: u8 = 2;
    pub const NOTHING: u8 = 3;
    pub const BLACKHOLE: u8 = 6;
    pub const UNREACHABLE: u8 = 7;
    pub const PROHIBIT: u8 = 8;
}

/// `FIB_RULE_INVERT`.
const INVERT: u32 = 2;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub family: u8,
    pub source: Option<(IpAddr, u8)>,
    pub destination: Option<(IpAddr, u8)>,
    pub table: u32,
    /// The preference: lower is looked at earlier.
    pub priority: Option<u32>,
    pub mark: Option<u32>,
    pub mark_mask: Option<u32>,
    pub input: Option<String>,
    pub output: Option<String>,
    pub type_of_service: u8,
    /// One of [`action`].
    pub action: u8,
    pub goto: Option<u32>,
    pub suppress_prefix_length: Option<u32>,
    pub suppress_group: Option<u32>,
    pub realms: Option<u32>,
    /// To the table of the VRF that the packet belongs to; `table` is 0.
    pub l3mdev: bool,
    pub tunnel: Option<u64>,
    /// First and last.
    pub users: Option<(u32, u32)>,
    pub ip_protocol: Option<u8>,
    /// First and last.
    pub source_ports: Option<(u16, u16)>,
    pub destination_ports: Option<(u16, u16)>,
    pub inverted: bool,
}

impl Rule {
    /// A rule that leads everything to `table`.
    pub fn new(family: u8, table: u32) -> Self {
        Self {
            family,
            source: None,
            destination: None,
            table,
            priority: None,
            mark: None,
            mark_mask: None,
            input: None,
            output: None,
            type_of_service: 0,
            action: action::TO_TABLE,
            goto: None,
            suppress_prefix_length: None,
            suppress_group: None,
            realms: None,
            l3mdev: false,
            tunnel: None,
            users: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            inverted: false,
        }
    }

    pub fn add(&self, sequence: u32) -> Vec<u8> {
        self.request(NEW, REQUEST | ACKNOWLEDGE | CREATE | EXCLUSIVE, sequence)
    }

    pub fn remove(&self, sequence: u32) -> Vec<u8> {
        self.request(REMOVE, REQUEST | ACKNOWLEDGE, sequence)
    }

    /// Whether a notification speaks of this rule.
    pub fn is_same(&self, other: &Self) -> bool {
        self.family == other.family
            && self.source == other.source
            && self.destination == other.destination
            && self.table == other.table
            && self.mark == other.mark
            && self.input == other.input
            && self.output == other.output
            && self.tunnel == other.tunnel
            && self.users == other.users
            && self.ip_protocol == other.ip_protocol
            && self.source_ports == other.source_ports
            && self.destination_ports == other.destination_ports
            && (self.priority.is_none() || self.priority == other.priority)
    }

    fn request(&self, kind: u16, flags: u16, sequence: u32) -> Vec<u8> {
        let length = |prefix: Option<(IpAddr, u8)>| prefix.map_or(0, |(_, length)| length);
        let mut fixed = [
            self.family,
            length(self.destination),
            length(self.source),
            self.type_of_service,
            u8::try_from(self.table).unwrap_or(0),
            0,
            0,
            self.action,
            0,
            0,
            0,
            0,
        ];
        let bits = if self.inverted { INVERT } else { 0 };
        fixed[8..].copy_from_slice(&bits.to_ne_bytes());
        let mut message = Message::new(kind, flags, sequence, &fixed);
        message.attribute_u32(TABLE, self.table).attribute_u8(PROTOCOL, PROTOCOL_KEEPALIVED);
        for (kind, prefix) in [(SOURCE, self.source), (DESTINATION, self.destination)] {
            if let Some((address, _)) = prefix {
                message.attribute_address(kind, address);
            }
        }
        let numbers = [
            (PRIORITY, self.priority),
            (MARK, self.mark),
            (MARK_MASK, self.mark_mask),
            (GOTO, self.goto),
            (SUPPRESS_PREFIX, self.suppress_prefix_length),
            (SUPPRESS_GROUP, self.suppress_group),
            (REALMS, self.realms),
        ];
        for (kind, number) in numbers {
            if let Some(number) = number {
                message.attribute_u32(kind, number);
            }
        }
        for (kind, name) in [(INPUT, &self.input), (OUTPUT, &self.output)] {
            if let Some(name) = name {
                message.attribute_text(kind, name);
            }
        }
        if self.l3mdev {
            message.attribute_u8(L3MDEV, 1);
        }
        if let Some(tunnel) = self.tunnel {
            message.attribute(TUNNEL, &tunnel.to_be_bytes());
        }
        if let Some((first, last)) = self.users {
            message.attribute(USERS, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
        if let Some(protocol) = self.ip_protocol {
            message.attribute_u8(IP_PROTOCOL, protocol);
        }
        for (kind, ports) in [(SOURCE_PORTS, self.source_ports), (DESTINATION_PORTS, self.destination_ports)]
        {
            if let Some((first, last)) = ports {
                message.attribute(kind, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
            }
        }
        message.finish()
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let fixed: [u8; 8] = payload.get(..8).and_then(|eight| eight.try_into().ok()).ok_or(Malformed)?;
        let mut rule = Self::new(fixed[0], u32::from(fixed[4]));
        rule.type_of_service = fixed[3];
        rule.action = fixed[7];
        rule.inverted = u32_at(payload, 8)? & INVERT != 0;
        for attribute in Attributes::new(&payload[12..]) {
            match attribute? {
                (SOURCE, value) => rule.source = address_from(value).map(|address| (address, fixed[2])),
                (DESTINATION, value) => {
                    rule.destination = address_from(value).map(|address| (address, fixed[1]));
                }
                (TABLE, value) => rule.table = u32_at(value, 0)?,
                (PRIORITY, value) => rule.priority = Some(u32_at(value, 0)?),
                (MARK, value) => rule.mark = Some(u32_at(value, 0)?),
                (MARK_MASK, value) => rule.mark_mask = Some(u32_at(value, 0)?),
                (GOTO, value) => rule.goto = Some(u32_at(value, 0)?),
                (INPUT, value) => rule.input = Some(text(value)),
                (OUTPUT, value) => rule.output = Some(text(value)),
                (SUPPRESS_PREFIX, value) => rule.suppress_prefix_length = Some(u32_at(value, 0)?),
                (SUPPRESS_GROUP, value) => rule.suppress_group = Some(u32_at(value, 0)?),
                (REALMS, value) => rule.realms = Some(u32_at(value, 0)?),
                (TUNNEL, value) => {
                    rule.tunnel = Some(u64::from_be_bytes(value.try_into().map_err(|_| Malformed)?));
                }
                (L3MDEV, value) => rule.l3mdev = value.first() == Some(&1),
                (USERS, value) => rule.users = Some((u32_at(value, 0)?, u32_at(value, 4)?)),
                (IP_PROTOCOL, value) => rule.ip_protocol = Some(*value.first().ok_or(Malformed)?),
                (SOURCE_PORTS, value) => rule.source_ports = Some((u16_at(value, 0)?, u16_at(value, 2)?)),
                (DESTINATION_PORTS, value) => {
                    rule.destination_ports = Some((u16_at(value, 0)?, u16_at(value, 2)?));
                }
                _ => {}
            }
        }
        Ok(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_survives_the_wire() {
        let mut rule = Rule::new(2, 100);
        rule.source = Some((IpAddr::from([10, 0, 0, 9]), 32));
        rule.priority = Some(200);
        rule.mark = Some(7);
        rule.input = Some("eth0".to_owned());
        rule.suppress_prefix_length = Some(8);
        rule.suppress_group = Some(3);
        rule.realms = Some(0x0001_0002);
        rule.tunnel = Some(77);
        rule.users = Some((1000, 1999));
        rule.ip_protocol = Some(6);
        rule.source_ports = Some((1024, 65_535));
        rule.destination_ports = Some((80, 80));
        let read = Rule::read(&rule.add(1)[16..]).expect("whole");
        assert_eq!(read, rule);
        assert!(rule.is_same(&read));
    }
}
