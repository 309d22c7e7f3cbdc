//! Packets: adverts as keepalived puts them on the wire, read and written. Owns every check of a single packet, never
//! what a virtual router makes of it.
//!
//! ```text
//!  IPv4 │ [AH 24] │ 21 VRID PRIO COUNT AUTH INTERVAL CHECKSUM16 │ COUNT × 4 │ auth 8 │ [hmac 28]   version 2
//!  IPv4 │           31 VRID PRIO COUNT INTERVAL12    CHECKSUM16 │ COUNT × 4 │          [hmac 28]   version 3
//!  IPv6 │           31 VRID PRIO COUNT INTERVAL12    CHECKSUM16 │ COUNT × 16│          [hmac 28]   version 3
//! ```

mod ah;
mod checksum;
mod datagram;
mod discard;
mod hmac_trailer;
mod wire;

pub use checksum::internet_checksum;
pub use datagram::Datagram;
pub use discard::{AuthKind, Discard, HmacFault};
pub use hmac_trailer::{AntiReplay, HMAC_TRAILER_LEN, HmacConfig, HmacKey, HmacMode};
pub use wire::{Received, Remark, SendError, Wire};

use crate::types::{Family, Interval, Version, Vrid};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Number of VRRP among the protocols over IP.
pub const PROTOCOL_VRRP: u8 = 112;

/// Number of the Authentication Header among the protocols over IP.
pub const PROTOCOL_AH: u8 = 51;

/// Where adverts over IPv4 go by default (RFC 9568 §5.1.1.2).
pub const MULTICAST_GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Where adverts over IPv6 go by default (RFC 9568 §5.1.2.2).
pub const MULTICAST_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// TTL or hop limit of an advert that no router forwarded.
pub const TTL: u8 = 255;

/// Hop limit of adverts that keepalived sends to IPv6 peers: the kernel's default. It does not set one.
pub const HOP_LIMIT_UNICAST_V6: u8 = 64;

/// Bytes before the addresses.
const HEADER_LEN: usize = 8;

/// Bytes of authentication data behind the addresses of version 2, whatever the kind.
const AUTH_DATA_LEN: usize = 8;

/// The type of the only message there is.
const TYPE_ADVERTISEMENT: u8 = 1;

/// A valid advert, as the state machine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Who sent it: the source address of the packet.
    pub source: IpAddr,
    /// 0 when the sender leaves, 255 when it owns the addresses.
    pub priority: u8,
    /// Time between the sender's adverts.
    pub interval: Interval,
}

/// How the adverts of version 2 are authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    None,
    /// `auth_type PASS`: these bytes are in the packet for all to read.
    Password([u8; 8]),
    /// `auth_type AH`: these bytes are the key of an Authentication Header.
    Ah([u8; 8]),
}

impl Authentication {
    /// `auth_type PASS`: the first 8 bytes of the password, or all of it and zeros.
    pub fn password(password: &[u8]) -> Authentication {
        Authentication::Password(padded(password))
    }

    /// `auth_type AH`, cut and padded alike.
    pub fn ah(password: &[u8]) -> Authentication {
        Authentication::Ah(padded(password))
    }

    fn kind(&self) -> AuthKind {
        match self {
            Authentication::None => AuthKind::None,
            Authentication::Password(_) => AuthKind::Password,
            Authentication::Ah(_) => AuthKind::Ah,
        }
    }

    fn data(&self) -> [u8; AUTH_DATA_LEN] {
        match self {
            Authentication::Password(password) => *password,
            Authentication::None | Authentication::Ah(_) => [0; AUTH_DATA_LEN],
        }
    }
}

fn padded(password: &[u8]) -> [u8; 8] {
    let mut bytes = [0; 8];
    let len = password.len().min(8);
    bytes[..len].copy_from_slice(&password[..len]);
    bytes
}

/// What goes into the checksum of version 3 over IPv4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum V3Checksum {
    /// The pseudo header too, as keepalived does by default.
    #[default]
    PseudoHeader,
    /// The message alone: RFC 9568 §5.2.8, keepalived's `v3_checksum_as_v2`.
    MessageOnly,
}

/// A peer of adverts by unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Least TTL or hop limit of its packets.
    pub min_ttl: Option<u8>,
    /// Greatest TTL or hop limit of its packets.
    pub max_ttl: Option<u8>,
}

impl Peer {
    /// A peer of any distance.
    pub fn new(address: IpAddr) -> Peer {
        Peer { address, min_ttl: None, max_ttl: None }
    }
}

/// Whom adverts go to and come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All that listen to this group.
    Multicast(IpAddr),
    /// These peers. TTLs of peers are looked at, and other sources refused, only with `check_source`, or when a peer has a
    /// limit.
    Unicast {
        /// Whom adverts go to.
        peers: Vec<Peer>,
        /// keepalived's `check_unicast_src`.
        check_source: bool,
        /// keepalived's `unicast_ttl`; `None`: 255 over IPv4, 64 over IPv6.
        ttl: Option<u8>,
    },
}

impl Audience {
    /// The group of the RFC.
    pub fn multicast(family: Family) -> Audience {
        Audience::Multicast(match family {
            Family::V4 => MULTICAST_GROUP_V4.into(),
            Family::V6 => MULTICAST_GROUP_V6.into(),
        })
    }
}

/// What becomes of an advert whose addresses are not ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressCheck {
    /// It is taken, and reported: dropping it makes two masters out of one mistake in a file (keepalived since 2.3.3).
    #[default]
    Report,
    /// It is dropped, unless its sender owns the addresses (RFC 3768 §7.1, keepalived until 2.3.2).
    Drop,
}

/// What the two sides of the wire must agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireConfig {
    /// Version of the protocol. IPv6 needs version 3.
    pub version: Version,
    /// Family of the packets and of the addresses in them.
    pub family: Family,
    /// Number of the virtual router.
    pub vrid: Vrid,
    /// Our own interval: version 2 takes adverts with the same only.
    pub interval: Interval,
    /// Authentication of version 2; `None` in version 3.
    pub authentication: Authentication,
    /// keepalived's private trailer.
    pub hmac: Option<HmacConfig>,
    /// The addresses in the adverts, in order; all of `family`, at most 255.
    pub addresses: Vec<IpAddr>,
    /// What becomes of adverts with others.
    pub address_check: AddressCheck,
    /// keepalived's `skip_check_adv_addr`: the addresses are compared only when the sender is another than last time.
    pub skip_same_sender: bool,
    /// Whom adverts go to and come from.
    pub audience: Audience,
    /// Which checksum we send in version 3 over IPv4. Both are taken.
    pub v3_checksum: V3Checksum,
}

impl WireConfig {
    /// Multicast, no authentication, keepalived's defaults.
    pub fn new(version: Version, vrid: Vrid, interval: Interval, addresses: Vec<IpAddr>) -> WireConfig {
        let family = addresses.first().map_or(Family::V4, |address| Family::of(*address));
        WireConfig {
            version,
            family,
            vrid,
            interval,
            authentication: Authentication::None,
            hmac: None,
            addresses,
            address_check: AddressCheck::default(),
            skip_same_sender: false,
            audience: Audience::multicast(family),
            v3_checksum: V3Checksum::default(),
        }
    }

    /// Length of an advert with so many addresses, without the trailer.
    fn message_len(&self, addresses: usize) -> usize {
        let auth = match self.version {
            Version::V2 => AUTH_DATA_LEN,
            Version::V3 => 0,
        };
        HEADER_LEN + addresses * self.family.address_len() + auth
    }

    /// Where adverts go: the group, or each peer.
    pub fn destinations(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let (group, peers) = match &self.audience {
            Audience::Multicast(group) => (Some(*group), [].as_slice()),
            Audience::Unicast { peers, .. } => (None, peers.as_slice()),
        };
        group.into_iter().chain(peers.iter().map(|peer| peer.address))
    }

    /// TTL or hop limit that our adverts leave with.
    pub fn ttl(&self) -> u8 {
        match (&self.audience, self.family) {
            (Audience::Unicast { ttl: Some(ttl), .. }, _) => *ttl,
            (Audience::Unicast { ttl: None, .. }, Family::V6) => HOP_LIMIT_UNICAST_V6,
            (Audience::Unicast { ttl: None, .. }, Family::V4) | (Audience::Multicast(_), _) => TTL,
        }
    }
}
