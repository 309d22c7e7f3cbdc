//! Routes: `rtmsg`.

use crate::wire::{ACKNOWLEDGE, Attributes, CREATE, EXCLUSIVE, Malformed, Message, REQUEST, u32_at};
use crate::{FAMILY_IPV6, address_from};
use std::net::IpAddr;

pub(crate) const NEW: u16 = 24;
pub(crate) const REMOVE: u16 = 25;

const DESTINATION: u16 = 1;
const OUTPUT: u16 = 4;
const GATEWAY: u16 = 5;
const PRIORITY: u16 = 6;
const PREFERRED_SOURCE: u16 = 7;
const METRICS: u16 = 8;
const MULTIPATH: u16 = 9;
const TABLE: u16 = 15;
const VIA: u16 = 18;

const ON_LINK: u32 = 4;
/// `RTAX_*` within [`METRICS`].
const METRIC_MTU: u16 = 2;
/// `RT_TABLE_MAIN`.
pub const TABLE_MAIN: u32 = 254;

/// `RTN_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unicast,
    Local,
    Broadcast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
    Other(u8),
}

impl Kind {
    const ALL: [(Self, u8); 7] = [
        (Self::Unicast, 1),
        (Self::Local, 2),
        (Self::Broadcast, 3),
        (Self::Blackhole, 6),
        (Self::Unreachable, 7),
        (Self::Prohibit, 8),
        (Self::Throw, 9),
    ];

    fn number(self) -> u8 {
        match self {
            Self::Other(number) => number,
            Self::Unicast
            | Self::Local
            | Self::Broadcast
            | Self::Blackhole
            | Self::Unreachable
            | Self::Prohibit
            | Self::Throw => Self::ALL.iter().find(|row| row.0 == self).map_or(1, |row| row.1),
        }
    }

    fn from_number(number: u8) -> Self {
        Self::ALL.iter().find(|row| row.1 == number).map_or(Self::Other(number), |row| row.0)
    }
}

/// One way of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    pub gateway: Option<IpAddr>,
    pub interface: u32,
    /// 1..=256.
    pub weight: u16,
    pub on_link: bool,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `AF_INET` or `AF_INET6`.
    pub family: u8,
    pub kind: Kind,
    /// `None` is the default route.
    pub destination: Option<(IpAddr, u8)>,
    pub gateway: Option<IpAddr>,
    pub preferred_source: Option<IpAddr>,
    pub interface: Option<u32>,
    pub table: u32,
    pub metric: Option<u32>,
    pub scope: u8,
    pub type_of_service: u8,
    pub on_link: bool,
    pub mtu: Option<u32>,
    pub next_hops: Vec<NextHop>,
    /// `RTPROT_*`.
    pub protocol: u8,
}

impl Route {
    /// A unicast route of the main table.
    pub fn new(family: u8, destination: Option<(IpAddr, u8)>) -> Self {
        Self {
            family,
            kind: Kind::Unicast,
            destination,
            gateway: None,
            preferred_source: None,
            interface: None,
            table: TABLE_MAIN,
            metric: None,
            scope: 0,
            type_of_service: 0,
            on_link: false,
            mtu: None,
            next_hops: Vec::new(),
            protocol: crate::PROTOCOL_KEEPALIVED,
        }
    }

    pub fn add(&self, sequence: u32) -> Vec<u8> {
        self.request(NEW, REQUEST | ACKNOWLEDGE | CREATE | EXCLUSIVE, sequence)
    }

    pub fn remove(&self, sequence: u32) -> Vec<u8> {
        self.request(REMOVE, REQUEST | ACKNOWLEDGE, sequence)
    }

    /// Whether a notification speaks of this route: what identifies one to the kernel is equal.
    pub fn is_same(&self, other: &Self) -> bool {
        let gateway = self.gateway.is_none() || self.gateway == other.gateway;
        let interface = self.interface.is_none() || self.interface == other.interface;
        let metric = self.metric.is_none_or(|metric| other.metric.unwrap_or(0) == metric);
        self.family == other.family
            && self.destination == other.destination
            && self.table == other.table
            && self.type_of_service == other.type_of_service
            && gateway
            && interface
            && metric
    }

    fn request(&self, kind: u16, flags: u16, sequence: u32) -> Vec<u8> {
        let length = self.destination.map_or(0, |(_, length)| length);
        let table = u8::try_from(self.table).unwrap_or(0);
        let flag_bits = if self.on_link { ON_LINK } else { 0 };
        let mut fixed = [
            self.family,
            length,
            0,
            self.type_of_service,
            table,
            self.protocol,
            self.scope,
            self.kind.number(),
            0,
            0,
            0,
            0,
        ];
        fixed[8..].copy_from_slice(&flag_bits.to_ne_bytes());
        let mut message = Message::new(kind, flags, sequence, &fixed);
        message.attribute_u32(TABLE, self.table);
        if let Some((destination, _)) = self.destination {
            message.attribute_address(DESTINATION, destination);
        }
        if let Some(gateway) = self.gateway {
            add_gateway(&mut message, self.family, gateway);
        }
        if let Some(source) = self.preferred_source {
            message.attribute_address(PREFERRED_SOURCE, source);
        }
        if let Some(interface) = self.interface {
            message.attribute_u32(OUTPUT, interface);
        }
        if let Some(metric) = self.metric {
            message.attribute_u32(PRIORITY, metric);
        }
        if let Some(mtu) = self.mtu {
            message.nest(METRICS, |metrics| {
                metrics.attribute_u32(METRIC_MTU, mtu);
            });
        }
        if !self.next_hops.is_empty() {
            let bytes = self.multipath();
            message.attribute(MULTIPATH, &bytes);
        }
        message.finish()
    }

    /// `rtnexthop`s, each with its attributes behind it.
    fn multipath(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for hop in &self.next_hops {
            // A message's header is as long as two `rtnexthop`s: written as one, its attributes are cut out.
            let mut attributes = Message::new(0, 0, 0, &[]);
            if let Some(gateway) = hop.gateway {
                add_gateway(&mut attributes, self.family, gateway);
            }
            let attributes = attributes.finish().split_off(crate::wire::HEADER_LENGTH);
            let length = u16::try_from(8 + attributes.len()).expect("one or two attributes");
            bytes.extend_from_slice(&length.to_ne_bytes());
            bytes.push(if hop.on_link { 4 } else { 0 });
            bytes.push(u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX));
            bytes.extend_from_slice(&hop.interface.to_ne_bytes());
            bytes.extend_from_slice(&attributes);
        }
        bytes
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let fixed: [u8; 8] = payload.get(..8).and_then(|eight| eight.try_into().ok()).ok_or(Malformed)?;
        let mut route = Self::new(fixed[0], None);
        route.type_of_service = fixed[3];
        route.table = u32::from(fixed[4]);
        route.protocol = fixed[5];
        route.scope = fixed[6];
        route.kind = Kind::from_number(fixed[7]);
        route.on_link = u32_at(payload, 8)? & ON_LINK != 0;
        for attribute in Attributes::new(&payload[12..]) {
            match attribute? {
                (DESTINATION, value) => {
                    route.destination = address_from(value).map(|address| (address, fixed[1]));
                }
                (OUTPUT, value) => route.interface = Some(u32_at(value, 0)?),
                (GATEWAY, value) => route.gateway = address_from(value),
                (VIA, value) => route.gateway = value.get(2..).and_then(address_from),
                (PRIORITY, value) => route.metric = Some(u32_at(value, 0)?),
                (PREFERRED_SOURCE, value) => route.preferred_source = address_from(value),
                (TABLE, value) => route.table = u32_at(value, 0)?,
                _ => {}
            }
        }
        Ok(route)
    }
}

/// A gateway of the other family goes into `RTA_VIA`.
fn add_gateway(message: &mut Message, family: u8, gateway: IpAddr) {
    if crate::family(gateway) == family {
        message.attribute_address(GATEWAY, gateway);
        return;
    }
    let mut buffer = [0; 16];
    let octets = crate::octets(gateway, &mut buffer);
    let mut value = u16::from(FAMILY_IPV6.min(crate::family(gateway))).to_ne_bytes().to_vec();
    value.extend_from_slice(octets);
    message.attribute(VIA, &value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_survives_the_wire() {
        let mut route = Route::new(2, Some((IpAddr::from([10, 1, 0, 0]), 16)));
        route.gateway = Some(IpAddr::from([10, 0, 0, 1]));
        route.interface = Some(4);
        route.table = 1000;
        route.metric = Some(50);
        route.on_link = true;
        let read = Route::read(&route.add(1)[16..]).expect("whole");
        assert_eq!(read, route);
        assert!(route.is_same(&read));
    }

    #[test]
    fn a_route_cut_short_is_an_error() {
        let bytes = Route::new(2, None).add(1);
        for cut in 16..bytes.len() - 1 {
            assert!(Route::read(&bytes[16..cut]).is_err() || cut >= 28, "{cut}");
        }
    }
}
