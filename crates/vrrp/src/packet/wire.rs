//! Both directions of the adverts of one virtual router: they share the sequence number of AH.

use super::checksum::{internet_checksum, pseudo_header};
use super::datagram::{AH_LEN, Datagram};
use super::hmac_trailer::{HMAC_TRAILER_LEN, Signed, Signer, Verifier};
use super::{
    AUTH_DATA_LEN, AddressCheck, Advert, Audience, AuthKind, Authentication, Discard, HEADER_LEN, HmacFault,
    PROTOCOL_AH, PROTOCOL_VRRP, TTL, TYPE_ADVERTISEMENT, V3Checksum, WireConfig, ah,
};
use crate::types::{Family, Interval, PRIORITY_OWNER, Version, WallTime};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Class of the traffic: network control.
const TOS: u8 = 0xc0;

/// Bytes of the IPv4 headers that we write.
const IPV4_HEADER_LEN: usize = 20;

/// Senders whose last AH sequence number is remembered. The oldest is forgotten.
const AH_SENDERS_MAX: usize = 16;

/// A valid advert, and what should be said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The advert.
    pub advert: Advert,
    /// Something odd that is no reason to drop it.
    pub remark: Option<Remark>,
}

/// Something odd about an advert that was taken; its text is what the same reason for dropping says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Its addresses are not ours.
    Addresses(Discard),
    /// It carries no `auth_hmac` trailer, which is allowed for now.
    NotSigned,
}

/// Why an advert cannot be written: the configuration and the call do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The version has no number for that interval.
    Interval(Interval),
    /// More addresses than the count in the packet can say, or one of the other family.
    Addresses,
    /// Source and destination are not of the configured family, or IPv6 meets version 2 or AH.
    Family,
    /// `active_key` names no key.
    NoActiveKey,
}

impl fmt::Display for SendError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Interval(interval) => {
                write!(out, "an interval of {:?} cannot be said in this version", interval.duration())
            }
            SendError::Addresses => write!(out, "these addresses do not fit into an advert"),
            SendError::Family => write!(out, "the address family does not fit"),
            SendError::NoActiveKey => write!(out, "the active key is not among the keys"),
        }
    }
}

impl std::error::Error for SendError {}

/// Reads and writes the adverts of one virtual router.
#[derive(Debug)]
pub struct Wire {
    config: WireConfig,
    /// Of the last IPv4 packet sent: counts 1, 2, 3 as keepalived's.
    packet_id: u16,
    /// The greatest AH sequence number sent or seen: whoever is master next goes on from it.
    ah_sequence: u32,
    ah_seen: Vec<(IpAddr, u32)>,
    signer: Signer,
    verifier: Verifier,
    /// The last sender whose addresses were compared.
    compared: Option<IpAddr>,
}

impl Wire {
    /// A virtual router that sent nothing yet.
    pub fn new(config: WireConfig) -> Wire {
        Wire {
            config,
            packet_id: 0,
            ah_sequence: 0,
            ah_seen: Vec::with_capacity(AH_SENDERS_MAX),
            signer: Signer::default(),
            verifier: Verifier::default(),
            compared: None,
        }
    }

    /// What it was made with.
    pub fn config(&self) -> &WireConfig {
        &self.config
    }

    /// Another configuration of the same virtual router: counters go on.
    pub fn reconfigure(&mut self, config: WireConfig) {
        self.config = config;
        self.compared = None;
    }

    /// The greatest AH sequence number sent or seen: to be kept over a restart that goes on as master.
    pub fn ah_sequence(&self) -> u32 {
        self.ah_sequence
    }

    /// Goes on behind that AH sequence number.
    pub fn set_ah_sequence(&mut self, sequence: u32) {
        self.ah_sequence = self.ah_sequence.max(sequence);
    }

    /// Reads a packet. Every check of RFC 3768 §7.1 and RFC 9568 §7.1 that needs no state of the virtual router is made
    /// here; `clock` is looked at by `auth_hmac` only.
    ///
    /// # Errors
    /// Why it must be dropped.
    pub fn receive(&mut self, clock: WallTime, datagram: &Datagram<'_>) -> Result<Received, Discard> {
        self.check_sender(datagram)?;
        let message = self.check_form(datagram)?;
        self.check_checksum(datagram, message)?;
        let priority = message[2];
        let interval = self.check_interval(message)?;
        self.check_authentication(datagram, message)?;
        let is_signed = self.check_trailer(clock, datagram, message.len())?;
        let remark = self.check_addresses(datagram.source, priority, message)?;
        let unsigned = (!is_signed && self.config.hmac.is_some()).then_some(Remark::NotSigned);
        let advert = Advert { source: datagram.source, priority, interval };
        Ok(Received { advert, remark: remark.or(unsigned) })
    }

    fn check_sender(&self, datagram: &Datagram<'_>) -> Result<(), Discard> {
        let multicast = datagram.is_multicast();
        match &self.config.audience {
            Audience::Multicast(_) if !multicast => Err(Discard::Cast { multicast }),
            Audience::Multicast(_) if datagram.ttl != TTL => Err(Discard::Ttl { received: datagram.ttl }),
            Audience::Multicast(_) => Ok(()),
            Audience::Unicast { .. } if multicast => Err(Discard::Cast { multicast }),
            Audience::Unicast { peers, check_source, .. } => {
                let has_limits = peers.iter().any(|peer| peer.min_ttl.is_some() || peer.max_ttl.is_some());
                if !check_source && !has_limits {
                    return Ok(());
                }
                let source = datagram.source;
                let peer =
                    peers.iter().find(|peer| peer.address == source).ok_or(Discard::NotAPeer { source })?;
                let (min, max) = (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(u8::MAX));
                if (min..=max).contains(&datagram.ttl) {
                    Ok(())
                } else {
                    Err(Discard::TtlRange { received: datagram.ttl, min, max })
                }
            }
        }
    }

    /// The message without the trailer, when its form is that of an advert of our virtual router.
    fn check_form<'a>(&self, datagram: &Datagram<'a>) -> Result<&'a [u8], Discard> {
        let bytes = datagram.message;
        let minimum = self.config.message_len(0);
        if bytes.len() < minimum {
            return Err(Discard::Length { length: bytes.len(), expected: minimum });
        }
        let expected = self.config.version;
        if bytes[0] >> 4 != expected.number() {
            return Err(Discard::Version { received: bytes[0] >> 4, expected });
        }
        if bytes[0] & 0x0f != TYPE_ADVERTISEMENT {
            return Err(Discard::Type { received: bytes[0] & 0x0f });
        }
        let vrid = self.config.vrid.get();
        if bytes[1] != vrid {
            return Err(Discard::Vrid { received: bytes[1], expected: vrid });
        }
        if bytes[3] == 0 && !self.config.addresses.is_empty() {
            return Err(Discard::NoAddresses);
        }
        let len = self.config.message_len(usize::from(bytes[3]));
        if bytes.len() == len || bytes.len() == len + HMAC_TRAILER_LEN {
            Ok(&bytes[..len])
        } else {
            Err(Discard::Length { length: bytes.len(), expected: len })
        }
    }

    fn check_checksum(&self, datagram: &Datagram<'_>, message: &[u8]) -> Result<(), Discard> {
        // A sum over a message that holds its own checksum is 0.
        let is_right_alone = internet_checksum(&[message]) == 0;
        let is_right_with_pseudo = || {
            let (pseudo, len) = pseudo_header(datagram.source, datagram.destination, message.len());
            // Over IPv6 the kernel, which checks too, counts the trailer as part of the packet.
            let whole = datagram.message.len();
            let (pseudo_whole, _) = pseudo_header(datagram.source, datagram.destination, whole);
            internet_checksum(&[&pseudo[..len], message]) == 0
                || (whole != message.len()
                    && internet_checksum(&[&pseudo_whole[..len], datagram.message]) == 0)
        };
        let is_right = match (self.config.version, self.config.family) {
            (Version::V2, _) => is_right_alone,
            // RFC 5798 could be read both ways and keepalived reads it unlike RFC 9568: both are right.
            (Version::V3, Family::V4) => is_right_alone || is_right_with_pseudo(),
            (Version::V3, Family::V6) => is_right_with_pseudo(),
        };
        if is_right { Ok(()) } else { Err(Discard::Checksum { version: self.config.version }) }
    }

    fn check_interval(&self, message: &[u8]) -> Result<Interval, Discard> {
        match self.config.version {
            Version::V2 => {
                let received = Interval::seconds(message[5]).ok_or(Discard::IntervalZero)?;
                if received == self.config.interval {
                    return Ok(received);
                }
                let expected = self.config.interval.duration().as_secs() as u16;
                Err(Discard::Interval { received: u16::from(message[5]), expected })
            }
            // The upper four bits are reserved: ignored when received (RFC 9568 §5.2.6).
            Version::V3 => Interval::centiseconds(u16::from_be_bytes([message[4] & 0x0f, message[5]]))
                .ok_or(Discard::IntervalZero),
        }
    }

    fn check_authentication(&mut self, datagram: &Datagram<'_>, message: &[u8]) -> Result<(), Discard> {
        let expected = self.config.authentication.kind();
        match self.config.version {
            Version::V2 => {
                let received = match message[4] {
                    0 => AuthKind::None,
                    1 => AuthKind::Password,
                    2 => AuthKind::Ah,
                    received => return Err(Discard::AuthUnknown { received, expected }),
                };
                if received != expected {
                    return Err(Discard::AuthMismatch { received, expected });
                }
            }
            Version::V3 => {}
        }
        match (&self.config.authentication, datagram.ah) {
            (Authentication::Ah(key), Some(header)) => {
                let key = *key;
                self.check_ah(&key, header, datagram)
            }
            (Authentication::Ah(_), None) => Err(Discard::AhMissing),
            (Authentication::None | Authentication::Password(_), Some(_)) => Err(Discard::AhUnexpected),
            (Authentication::Password(password), None) => {
                let data = &message[message.len() - AUTH_DATA_LEN..];
                if data == password { Ok(()) } else { Err(Discard::Password) }
            }
            (Authentication::None, None) => Ok(()),
        }
    }

    fn check_ah(&mut self, key: &[u8; 8], header: &[u8], datagram: &Datagram<'_>) -> Result<(), Discard> {
        let source = datagram.source;
        let expected = spi_of(source);
        let received = ah::spi(header);
        if received != expected {
            return Err(Discard::AhSpi { received, expected });
        }
        if !ah::is_signed(key, datagram.ip_header, header, datagram.message, datagram.is_multicast()) {
            return Err(Discard::AhSignature);
        }
        let received = ah::sequence(header);
        if let Some(position) = self.ah_seen.iter().position(|(known, _)| *known == source) {
            let seen = self.ah_seen[position].1;
            if received <= seen {
                return Err(Discard::AhReplay { received, seen });
            }
            self.ah_seen.remove(position);
        } else if self.ah_seen.len() == AH_SENDERS_MAX {
            self.ah_seen.remove(0);
        }
        self.ah_seen.push((source, received));
        self.ah_sequence = self.ah_sequence.max(received);
        Ok(())
    }

    /// Whether there is a right trailer.
    fn check_trailer(
        &mut self,
        clock: WallTime,
        datagram: &Datagram<'_>,
        message_len: usize,
    ) -> Result<bool, Discard> {
        let (message, trailer) = datagram.message.split_at(message_len);
        match (&self.config.hmac, trailer.is_empty()) {
            (None, true) => Ok(false),
            (None, false) => Err(Discard::Hmac(HmacFault::Unexpected)),
            (Some(config), true) if config.is_required() => Err(Discard::Hmac(HmacFault::Missing)),
            (Some(_), true) => Ok(false),
            (Some(config), false) => {
                let (version, vrid) = (self.config.version, self.config.vrid);
                let signed = Signed { version, vrid, source: datagram.source, message };
                self.verifier.verify(config, clock, signed, trailer).map_err(Discard::Hmac)?;
                Ok(true)
            }
        }
    }

    fn check_addresses(
        &mut self,
        source: IpAddr,
        priority: u8,
        message: &[u8],
    ) -> Result<Option<Remark>, Discard> {
        if self.config.skip_same_sender && self.compared == Some(source) {
            return Ok(None);
        }
        let difference = self.difference(message);
        self.compared = difference.is_none().then_some(source);
        let Some(difference) = difference else { return Ok(None) };
        match self.config.address_check {
            AddressCheck::Drop if priority != PRIORITY_OWNER => Err(difference),
            AddressCheck::Drop | AddressCheck::Report => Ok(Some(Remark::Addresses(difference))),
        }
    }

    /// How the addresses of the message are not ours, in any order.
    fn difference(&self, message: &[u8]) -> Option<Discard> {
        let (received, expected) = (usize::from(message[3]), self.config.addresses.len());
        if received != expected {
            return Some(Discard::AddressCount { received, expected });
        }
        let len = self.config.family.address_len();
        let list = &message[HEADER_LEN..HEADER_LEN + received * len];
        let is_there = |address: &IpAddr| match address {
            IpAddr::V4(address) => list.chunks_exact(len).any(|bytes| bytes == address.octets()),
            IpAddr::V6(address) => list.chunks_exact(len).any(|bytes| bytes == address.octets()),
        };
        let missing = self.config.addresses.iter().find(|address| !is_there(address))?;
        Some(Discard::AddressMissing { address: *missing, vrid: self.config.vrid.get() })
    }

    /// Writes an advert to one destination over what `packet` held: a whole IPv4 packet, or the payload of an IPv6
    /// packet with its checksum. The memory of `packet` is used again, so that sending does not allocate.
    ///
    /// # Errors
    /// The configuration does not fit the version or the addresses.
    pub fn write_advert(
        &mut self,
        packet: &mut Vec<u8>,
        clock: WallTime,
        advert: Advert,
        destination: IpAddr,
    ) -> Result<(), SendError> {
        packet.clear();
        let signs = self.config.hmac.as_ref().is_some_and(super::HmacConfig::signs);
        match (advert.source, destination) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                self.write_ipv4_header(packet, source, target, signs)?;
                let ah_at = packet.len();
                self.write_ah_header(packet, source);
                self.write_message(packet, clock, advert, destination, signs)?;
                self.sign_ah(packet, ah_at, target.is_multicast());
                Ok(())
            }
            (IpAddr::V6(_), IpAddr::V6(_)) if self.config.version == Version::V3 => {
                self.write_message(packet, clock, advert, destination, signs)
            }
            (IpAddr::V6(_), IpAddr::V6(_))
            | (IpAddr::V4(_), IpAddr::V6(_))
            | (IpAddr::V6(_), IpAddr::V4(_)) => Err(SendError::Family),
        }
    }

    fn write_ipv4_header(
        &mut self,
        packet: &mut Vec<u8>,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        signs: bool,
    ) -> Result<(), SendError> {
        let (protocol, ah_len) = match self.config.authentication {
            Authentication::Ah(_) => (PROTOCOL_AH, AH_LEN),
            Authentication::None | Authentication::Password(_) => (PROTOCOL_VRRP, 0),
        };
        let trailer = if signs { HMAC_TRAILER_LEN } else { 0 };
        let total = IPV4_HEADER_LEN + ah_len + self.config.message_len(self.config.addresses.len()) + trailer;
        let total = u16::try_from(total).map_err(|_| SendError::Addresses)?;
        // 0 would make the kernel choose one, and AH signs it.
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        packet.extend([0x45, TOS]);
        packet.extend(total.to_be_bytes());
        packet.extend(self.packet_id.to_be_bytes());
        packet.extend([0, 0, self.config.ttl(), protocol, 0, 0]);
        packet.extend(source.octets());
        packet.extend(destination.octets());
        let checksum = internet_checksum(&[packet]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        Ok(())
    }

    fn write_ah_header(&mut self, packet: &mut Vec<u8>, source: Ipv4Addr) {
        match self.config.authentication {
            Authentication::Ah(_) => {
                self.ah_sequence = self.ah_sequence.wrapping_add(1);
                packet.extend(ah::header(source.to_bits(), self.ah_sequence));
            }
            Authentication::None | Authentication::Password(_) => {}
        }
    }

    fn sign_ah(&self, packet: &mut [u8], ah_at: usize, is_multicast: bool) {
        match &self.config.authentication {
            Authentication::Ah(key) => {
                let (ip_header, rest) = packet.split_at_mut(ah_at);
                let (header, message) = rest.split_at_mut(AH_LEN);
                let icv = ah::signature(key, ip_header, header, message, is_multicast);
                ah::set_signature(header, icv);
            }
            Authentication::None | Authentication::Password(_) => {}
        }
    }

    fn write_message(
        &mut self,
        packet: &mut Vec<u8>,
        clock: WallTime,
        advert: Advert,
        destination: IpAddr,
        signs: bool,
    ) -> Result<(), SendError> {
        let config = &self.config;
        let start = packet.len();
        let count = u8::try_from(config.addresses.len()).map_err(|_| SendError::Addresses)?;
        let interval = advert
            .interval
            .on_wire(config.version)
            .ok_or(SendError::Interval(advert.interval))?
            .to_be_bytes();
        packet.extend([config.version.number() << 4 | TYPE_ADVERTISEMENT, config.vrid.get()]);
        packet.extend([advert.priority, count]);
        match config.version {
            Version::V2 => packet.extend([config.authentication.kind().number(), interval[1]]),
            Version::V3 => packet.extend(interval),
        }
        packet.extend([0, 0]);
        for address in &config.addresses {
            match (config.family, address) {
                (Family::V4, IpAddr::V4(address)) => packet.extend(address.octets()),
                (Family::V6, IpAddr::V6(address)) => packet.extend(address.octets()),
                (Family::V4, IpAddr::V6(_)) | (Family::V6, IpAddr::V4(_)) => {
                    return Err(SendError::Addresses);
                }
            }
        }
        match config.version {
            Version::V2 => packet.extend(config.authentication.data()),
            Version::V3 => {}
        }
        let message = &packet[start..];
        let with_pseudo = match (config.version, config.family, config.v3_checksum) {
            (Version::V2, _, _) | (Version::V3, Family::V4, V3Checksum::MessageOnly) => false,
            (Version::V3, Family::V4, V3Checksum::PseudoHeader) | (Version::V3, Family::V6, _) => true,
        };
        let (pseudo, pseudo_len) = pseudo_header(advert.source, destination, message.len());
        let pseudo_len = if with_pseudo { pseudo_len } else { 0 };
        let checksum = internet_checksum(&[&pseudo[..pseudo_len], message]);
        packet[start + 6..start + 8].copy_from_slice(&checksum.to_be_bytes());
        if let (true, Some(hmac)) = (signs, &config.hmac) {
            let message = &packet[start..];
            let signed =
                Signed { version: config.version, vrid: config.vrid, source: advert.source, message };
            let trailer = self.signer.trailer(hmac, clock, signed).ok_or(SendError::NoActiveKey)?;
            packet.extend(trailer);
        }
        Ok(())
    }
}

/// The number that AH names the sender by: its address.
fn spi_of(source: IpAddr) -> u32 {
    match source {
        IpAddr::V4(source) => source.to_bits(),
        // AH is not used over IPv6; the last bytes keep the comparison meaningful all the same.
        IpAddr::V6(source) => last_word(source),
    }
}

fn last_word(address: Ipv6Addr) -> u32 {
    let bytes = address.octets();
    u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}
