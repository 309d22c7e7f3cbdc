//! Why a packet is dropped: one variant for each reason, with the words of keepalived's log where it has some.

use crate::statistics::Counter;
use crate::types::Version;
use std::fmt;
use std::net::IpAddr;

/// Kind of authentication in an advert of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// 0.
    None,
    /// 1.
    Password,
    /// 2.
    Ah,
}

impl AuthKind {
    /// The number on the wire.
    pub fn number(self) -> u8 {
        match self {
            AuthKind::None => 0,
            AuthKind::Password => 1,
            AuthKind::Ah => 2,
        }
    }
}

/// What is wrong with the trailer of `auth_hmac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacFault {
    /// There is none.
    Missing,
    /// There is one, and no key is configured.
    Unexpected,
    /// Its first bytes are not those of a trailer.
    Malformed,
    /// No key of that id is configured.
    UnknownKey {
        /// The id in the trailer.
        id: u8,
    },
    /// The signature is not that of the packet.
    Signature,
    /// It was signed too long ago, or too far in the future.
    Stale {
        /// Seconds between its clock and ours; positive when it is behind.
        age_seconds: i64,
    },
    /// The same or a later one of that sender came before.
    Replay,
}

/// Why a packet is dropped. Its text is what keepalived writes after the instance's name, where it writes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// No IPv4 header.
    IpHeader,
    /// The length in the IPv4 header is not that of the packet.
    TotalLength {
        /// Bytes by the header.
        header: usize,
        /// Bytes that came.
        received: usize,
    },
    /// Too short, or too long.
    Length {
        /// Bytes that came.
        length: usize,
        /// Bytes that its own header asks for.
        expected: usize,
    },
    /// Neither VRRP nor VRRP in AH.
    Protocol {
        /// Protocol by the header.
        received: u8,
    },
    /// The packet came through a router.
    Ttl {
        /// TTL or hop limit.
        received: u8,
    },
    /// The packet came from nearer or farther than that peer may be.
    TtlRange {
        /// TTL or hop limit.
        received: u8,
        /// Least allowed.
        min: u8,
        /// Greatest allowed.
        max: u8,
    },
    /// Another version.
    Version {
        /// Version in the packet.
        received: u8,
        /// Our own.
        expected: Version,
    },
    /// No advert.
    Type {
        /// Type in the packet.
        received: u8,
    },
    /// Of another virtual router.
    Vrid {
        /// Number in the packet.
        received: u8,
        /// Our own.
        expected: u8,
    },
    /// An advert without an address.
    NoAddresses,
    /// The checksum is wrong.
    Checksum {
        /// Our own version.
        version: Version,
    },
    /// A kind of authentication that does not exist.
    AuthUnknown {
        /// Number in the packet.
        received: u8,
        /// Our own kind.
        expected: AuthKind,
    },
    /// Another kind of authentication.
    AuthMismatch {
        /// Kind in the packet.
        received: AuthKind,
        /// Our own kind.
        expected: AuthKind,
    },
    /// An Authentication Header, which we do not use.
    AhUnexpected,
    /// No Authentication Header, although we use it.
    AhMissing,
    /// Another password.
    Password,
    /// The signature in the Authentication Header is not that of the packet.
    AhSignature,
    /// The number in the Authentication Header is not the sender's address.
    AhSpi {
        /// Number in the packet.
        received: u32,
        /// The sender's address as a number.
        expected: u32,
    },
    /// That sequence number came before.
    AhReplay {
        /// Number in the packet.
        received: u32,
        /// The greatest seen.
        seen: u32,
    },
    /// Version 2: another interval.
    Interval {
        /// Seconds in the packet.
        received: u16,
        /// Our own seconds.
        expected: u16,
    },
    /// An interval of 0, which would make a master that is down at once (RFC 9568 erratum 8301).
    IntervalZero,
    /// Other addresses, many more or less.
    AddressCount {
        /// In the packet.
        received: usize,
        /// Our own.
        expected: usize,
    },
    /// One of our addresses is not among those of the advert.
    AddressMissing {
        /// The address.
        address: IpAddr,
        /// The virtual router.
        vrid: u8,
    },
    /// Unicast came where multicast is used, or the reverse.
    Cast {
        /// Whether it came to a group.
        multicast: bool,
    },
    /// The sender is no peer of ours.
    NotAPeer {
        /// The sender.
        source: IpAddr,
    },
    /// The trailer of `auth_hmac`.
    Hmac(HmacFault),
}

impl Discard {
    /// What counts it.
    pub fn counter(&self) -> Counter {
        match self {
            Discard::IpHeader | Discard::TotalLength { .. } | Discard::Length { .. } => Counter::LengthErrors,
            Discard::Ttl { .. } | Discard::TtlRange { .. } => Counter::TtlErrors,
            Discard::Version { .. } => Counter::VersionErrors,
            Discard::Type { .. } | Discard::Protocol { .. } => Counter::TypeErrors,
            Discard::Vrid { .. } => Counter::VridErrors,
            Discard::Checksum { .. } => Counter::ChecksumErrors,
            Discard::AuthUnknown { .. } => Counter::AuthTypeErrors,
            Discard::AuthMismatch { .. } | Discard::AhUnexpected | Discard::AhMissing => {
                Counter::AuthTypeMismatches
            }
            Discard::Password
            | Discard::AhSignature
            | Discard::AhSpi { .. }
            | Discard::AhReplay { .. }
            | Discard::Hmac(_) => Counter::AuthFailures,
            Discard::Interval { .. } | Discard::IntervalZero => Counter::IntervalErrors,
            Discard::NoAddresses | Discard::AddressCount { .. } | Discard::AddressMissing { .. } => {
                Counter::AddressListErrors
            }
            Discard::Cast { .. } | Discard::NotAPeer { .. } => Counter::SourceErrors,
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Discard::IpHeader => write!(out, "vrrp packet without an IPv4 header"),
            Discard::TotalLength { header, received } => {
                write!(out, "ip_tot_len mismatch against received length. {header} and received {received}")
            }
            Discard::Length { length, expected } => {
                let much = if length < expected { "short" } else { "long" };
                write!(out, "vrrp packet too {much}, length {length} and expect {expected}")
            }
            Discard::Protocol { received } => write!(out, "packet of protocol {received} is no VRRP"),
            Discard::Ttl { received } => {
                write!(out, "invalid TTL/HL. Received {received} and expect {}", super::TTL)
            }
            Discard::TtlRange { received, min, max } => {
                write!(out, "TTL/HL {received} not in range {min} - {max}")
            }
            Discard::Version { received, expected } => {
                write!(out, "wrong version. Received {received} and expect {}", expected.number())
            }
            Discard::Type { received } => write!(out, "Invalid packet type. {received} and expect 1"),
            Discard::Vrid { received, expected } => {
                write!(out, "received VRID {received}, expecting {expected}")
            }
            Discard::NoAddresses => write!(out, "advert without addresses"),
            Discard::Checksum { version } => write!(out, "Invalid VRRPv{} checksum", version.number()),
            Discard::AuthUnknown { received, expected } => {
                write!(out, "received a {received} auth, expecting {}!", expected.number())
            }
            Discard::AuthMismatch { received, expected } => {
                write!(out, "received a {} auth, expecting {}!", received.number(), expected.number())
            }
            Discard::AhUnexpected => write!(out, "Received AH header but auth type not AH"),
            Discard::AhMissing => write!(out, "No AH header but auth type is AH"),
            Discard::Password => write!(out, "received an invalid passwd!"),
            Discard::AhSignature => write!(
                out,
                "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !"
            ),
            Discard::AhSpi { received, expected } => {
                write!(out, "IPSEC AH : invalid IPSEC SPI value. {received} and expect {expected}")
            }
            Discard::AhReplay { received, seen } => write!(
                out,
                "IPSEC-AH : sequence number {received} already processed. Packet dropped. Local({seen})"
            ),
            Discard::Interval { received, expected } => {
                write!(out, "advertisement interval mismatch mine={expected} sec rcv'd={received} sec")
            }
            Discard::IntervalZero => write!(out, "advertisement interval 0 received"),
            Discard::AddressCount { received, expected } => {
                write!(out, "expected {expected} VIPs but received {received}")
            }
            Discard::AddressMissing { address, vrid } => {
                write!(out, "ip address associated with VRID {vrid} not present in MASTER advert: {address}")
            }
            Discard::Cast { multicast } => {
                let (received, ours) = if multicast { ("mult", "un") } else { ("un", "mult") };
                write!(out, "discarding {received}icast packet on {ours}icast instance")
            }
            Discard::NotAPeer { source } => {
                write!(out, "unicast source address {source} not a unicast peer")
            }
            Discard::Hmac(fault) => fault.fmt(out),
        }
    }
}

impl fmt::Display for HmacFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HmacFault::Missing => write!(out, "advert is not signed"),
            HmacFault::Unexpected => write!(out, "advert is signed, but no auth_hmac is configured"),
            HmacFault::Malformed => write!(out, "signature of an unknown form"),
            HmacFault::UnknownKey { id } => write!(out, "advert signed with unknown key {id}"),
            HmacFault::Signature => write!(out, "invalid signature"),
            HmacFault::Stale { age_seconds } => write!(out, "signature is {age_seconds} s old"),
            HmacFault::Replay => write!(out, "signed advert was already processed"),
        }
    }
}
