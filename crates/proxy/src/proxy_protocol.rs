//! The PROXY protocol, versions 1 and 2, both ways, and the NetScaler "client IP" header inwards.
//!
//! Pure: bytes in, a borrowed header out; facts in, bytes out. It owns the wire format and HAProxy's verdicts on
//! it. It never reads a socket, and it never decides what an announced address means to a connection.
//!
//! Where it differs from HAProxy 2.6, on purpose (`tests/vectors/proxy-protocol.tsv` lists each case):
//! - a header that arrives in several segments is [`Parsed::Partial`]; HAProxy closes the connection;
//! - octets above 255, ports above 65535 and empty numbers are invalid; HAProxy reads another address from them;
//! - a version 1 line is limited to the 107 bytes of the specification.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest version 1 line, CR LF included (PROXY protocol specification §2.1).
pub const V1_LENGTH_MAX: usize = 107;
/// The longest version 2 header taken or written: HAProxy's default buffer, which bounds it there.
pub const V2_LENGTH_MAX: usize = 16_384;
/// The longest `AUTHORITY` value, a TLS server name.
pub const AUTHORITY_LENGTH_MAX: usize = 255;
/// The longest `UNIQUE_ID` value (specification §2.2.5).
pub const UNIQUE_ID_LENGTH_MAX: usize = 128;
/// The longest NetScaler header: two 40-byte headers with options would fit several times.
pub const NETSCALER_LENGTH_MAX: usize = 512;

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_PREFIX_LENGTH: usize = 16;
const TLV_PREFIX_LENGTH: usize = 3;
const IPV4_BLOCK_LENGTH: usize = 12;
const IPV6_BLOCK_LENGTH: usize = 36;

const COMMAND_LOCAL: u8 = 0x20;
const COMMAND_PROXY: u8 = 0x21;
const FAMILY_UNSPECIFIED: u8 = 0x00;
const FAMILY_TCP4: u8 = 0x11;
const FAMILY_TCP6: u8 = 0x21;

/// TLV types (specification §2.2).
pub mod tlv {
    pub const ALPN: u8 = 0x01;
    pub const AUTHORITY: u8 = 0x02;
    pub const CRC32C: u8 = 0x03;
    pub const NOOP: u8 = 0x04;
    pub const UNIQUE_ID: u8 = 0x05;
    pub const SSL: u8 = 0x20;
    pub const SSL_VERSION: u8 = 0x21;
    pub const SSL_CN: u8 = 0x22;
    pub const SSL_CIPHER: u8 = 0x23;
    pub const SSL_SIG_ALG: u8 = 0x24;
    pub const SSL_KEY_ALG: u8 = 0x25;
    pub const NETNS: u8 = 0x30;
}

const SSL_CLIENT_TLS: u8 = 0x01;
const SSL_CLIENT_CERT_CONNECTION: u8 = 0x02;
const SSL_CLIENT_CERT_SESSION: u8 = 0x04;

/// Source and destination of the client's connection, as a proxy before us saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// A header that was received. TLVs borrow from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// `None`: keep the addresses of the connection itself (`UNKNOWN`, `LOCAL`).
    pub endpoints: Option<Endpoints>,
    tlvs: &'a [u8],
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A valid beginning: read more, then parse again from the first byte.
    Partial,
    /// `consumed` bytes are the header; what follows belongs to the application.
    Complete { consumed: usize, header: Header<'a> },
}

/// Why bytes are not a header. The peer's fault in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    NotProxyHeader,
    InvalidProxyHeader,
    UnhandledProxyProtocol,
    ProxyHeaderTooLong,
    NetscalerMagic,
    UnhandledNetscalerProtocol,
    InvalidNetscalerHeader,
}

impl ParseError {
    /// The reason as HAProxy's logs word it.
    pub const fn log_text(self) -> &'static str {
        match self {
            ParseError::NotProxyHeader => {
                "Received something which does not look like a PROXY protocol header"
            }
            ParseError::InvalidProxyHeader => "Received an invalid PROXY protocol header",
            ParseError::UnhandledProxyProtocol => {
                "Received an unhandled protocol in the PROXY protocol header"
            }
            ParseError::ProxyHeaderTooLong => "Truncated PROXY protocol header received",
            ParseError::NetscalerMagic => "Received an invalid NetScaler Client IP magic number",
            ParseError::UnhandledNetscalerProtocol => {
                "Received an unhandled protocol in the NetScaler Client IP header"
            }
            ParseError::InvalidNetscalerHeader => "Truncated NetScaler Client IP header received",
        }
    }
}

/// HAProxy's log texts for a connection that ends before its header is whole.
#[derive(Debug, Clone, Copy)]
pub struct LogTexts {
    pub closed: &'static str,
    pub timeout: &'static str,
    pub truncated: &'static str,
}

pub const PROXY_TEXTS: LogTexts = LogTexts {
    closed: "Connection closed while waiting for PROXY protocol header",
    timeout: "Timeout while waiting for PROXY protocol header",
    truncated: "Truncated PROXY protocol header received",
};
pub const NETSCALER_TEXTS: LogTexts = LogTexts {
    closed: "Connection closed while waiting for NetScaler Client IP header",
    timeout: "Timeout while waiting for a NetScaler Client IP header",
    truncated: "Truncated NetScaler Client IP header received",
};

impl<'a> Header<'a> {
    const LOCAL: Header<'static> = Header { endpoints: None, tlvs: &[] };

    /// Every TLV in order, as (type, value). Empty for version 1.
    pub fn tlvs(&self) -> Tlvs<'a> {
        Tlvs { rest: self.tlvs }
    }

    /// The last TLV of a type: as HAProxy, a later one replaces an earlier.
    fn last(&self, kind: u8) -> Option<&'a [u8]> {
        self.tlvs().filter(|(found, _)| *found == kind).last().map(|(_, value)| value)
    }

    pub fn alpn(&self) -> Option<&'a [u8]> {
        self.last(tlv::ALPN)
    }

    /// `fc_pp_authority`; at most [`AUTHORITY_LENGTH_MAX`] bytes.
    pub fn authority(&self) -> Option<&'a [u8]> {
        self.last(tlv::AUTHORITY)
    }

    /// `fc_pp_unique_id`; at most [`UNIQUE_ID_LENGTH_MAX`] bytes.
    pub fn unique_id(&self) -> Option<&'a [u8]> {
        self.last(tlv::UNIQUE_ID)
    }

    pub fn network_namespace(&self) -> Option<&'a [u8]> {
        self.last(tlv::NETNS)
    }

    /// The `SSL` TLV, if one is there and is well formed (HAProxy ignores its content inwards).
    pub fn tls(&self) -> Option<ReceivedTls<'a>> {
        let value = self.last(tlv::SSL)?;
        let (&client, rest) = value.split_first()?;
        let (verify, subtypes) = rest.split_first_chunk::<4>()?;
        Some(ReceivedTls { client, verify: u32::from_be_bytes(*verify), subtypes })
    }
}

/// An `SSL` TLV received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedTls<'a> {
    client: u8,
    /// 0: the client's certificate was verified.
    pub verify: u32,
    subtypes: &'a [u8],
}

impl<'a> ReceivedTls<'a> {
    pub const fn over_tls(&self) -> bool {
        self.client & SSL_CLIENT_TLS != 0
    }

    pub const fn has_certificate(&self) -> bool {
        self.client & (SSL_CLIENT_CERT_CONNECTION | SSL_CLIENT_CERT_SESSION) != 0
    }

    /// Version, common name, cipher, algorithms, by [`tlv`] type. Ends at the first malformed one.
    pub fn subtypes(&self) -> Tlvs<'a> {
        Tlvs { rest: self.subtypes }
    }
}

/// Iterates over (type, value). Ends early at a malformed TLV; [`parse`] has refused those at the outer level.
#[derive(Debug, Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, value, rest) = split_tlv(self.rest)?;
        self.rest = rest;
        Some((kind, value))
    }
}

fn split_tlv(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (prefix, rest) = bytes.split_first_chunk::<TLV_PREFIX_LENGTH>()?;
    let length = usize::from(u16::from_be_bytes([prefix[1], prefix[2]]));
    let (value, rest) = rest.split_at_checked(length)?;
    Some((prefix[0], value, rest))
}

/// Reads a version 1 or 2 header from the start of `input`.
///
/// # Errors
/// [`ParseError`] as soon as the bytes cannot become a header; the connection is to be closed.
pub fn parse(input: &[u8]) -> Result<Parsed<'_>, ParseError> {
    if begins_alike(input, V2_SIGNATURE) {
        parse_v2(input)
    } else if begins_alike(input, V1_SIGNATURE) {
        parse_v1(input)
    } else {
        Err(ParseError::NotProxyHeader)
    }
}

/// Whether the shorter of the two is the beginning of the longer.
fn begins_alike(input: &[u8], signature: &[u8]) -> bool {
    input.iter().zip(signature).all(|(left, right)| left == right)
}

fn parse_v1(input: &[u8]) -> Result<Parsed<'_>, ParseError> {
    let window = &input[..input.len().min(V1_LENGTH_MAX)];
    let Some(line_feed) = window.iter().position(|&byte| byte == b'\n') else {
        return if input.len() < V1_LENGTH_MAX {
            Ok(Parsed::Partial)
        } else {
            Err(ParseError::ProxyHeaderTooLong)
        };
    };
    let consumed = line_feed + 1;
    if consumed <= V1_SIGNATURE.len() {
        return Err(ParseError::NotProxyHeader);
    }
    let fields = &input[V1_SIGNATURE.len()..line_feed];
    // Without its CR, a line that HAProxy cannot name a protocol for stays "unhandled".
    let (fields, terminated) = match fields.strip_suffix(b"\r") {
        Some(fields) => (fields, true),
        None => (fields, false),
    };
    if fields == b"UNKNOWN" && terminated {
        return Ok(Parsed::Complete { consumed, header: Header::LOCAL });
    }
    let endpoints = if let Some(rest) = fields.strip_prefix(b"TCP4 ") {
        v1_endpoints(rest, |text| v1_ipv4(text).map(IpAddr::V4))
    } else if let Some(rest) = fields.strip_prefix(b"TCP6 ") {
        v1_endpoints(rest, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6))
    } else {
        return Err(ParseError::UnhandledProxyProtocol);
    };
    match endpoints {
        Some(endpoints) if terminated => {
            Ok(Parsed::Complete { consumed, header: Header { endpoints: Some(endpoints), tlvs: &[] } })
        }
        Some(_) | None => Err(ParseError::InvalidProxyHeader),
    }
}

/// `SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT`, one space between each.
fn v1_endpoints(fields: &[u8], address: impl Fn(&str) -> Option<IpAddr>) -> Option<Endpoints> {
    let mut words = std::str::from_utf8(fields).ok()?.split(' ');
    let source = address(words.next()?)?;
    let destination = address(words.next()?)?;
    let source_port = v1_number::<u16>(words.next()?)?;
    let destination_port = v1_number::<u16>(words.next()?)?;
    if words.next().is_some() {
        return None;
    }
    Some(Endpoints {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// Decimal digits only, leading zeros allowed as in HAProxy (`FromStr` alone would take a `+`).
fn v1_number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Like `Ipv4Addr`'s parser, but takes leading zeros, which HAProxy reads as decimal.
fn v1_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut words = text.split('.');
    let mut octets = [0_u8; 4];
    for octet in &mut octets {
        *octet = v1_number(words.next()?)?;
    }
    words.next().is_none().then(|| Ipv4Addr::from(octets))
}

fn parse_v2(input: &[u8]) -> Result<Parsed<'_>, ParseError> {
    // HAProxy takes the version nibble as part of the signature.
    if input.get(V2_SIGNATURE.len()).is_some_and(|byte| byte & 0xf0 != 0x20) {
        return Err(ParseError::NotProxyHeader);
    }
    let Some((prefix, rest)) = input.split_first_chunk::<V2_PREFIX_LENGTH>() else {
        return Ok(Parsed::Partial);
    };
    let (command, family) = (prefix[12], prefix[13]);
    let length = usize::from(u16::from_be_bytes([prefix[14], prefix[15]]));
    let consumed = V2_PREFIX_LENGTH + length;
    if consumed > V2_LENGTH_MAX {
        return Err(ParseError::ProxyHeaderTooLong);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Parsed::Partial);
    };
    match command {
        // What follows a LOCAL command is skipped unread, whatever it is.
        COMMAND_LOCAL => return Ok(Parsed::Complete { consumed, header: Header::LOCAL }),
        COMMAND_PROXY => {}
        0x00..=0x1f | 0x22..=0xff => return Err(ParseError::InvalidProxyHeader),
    }
    let (endpoints, tlvs) = v2_endpoints(family, body).ok_or(ParseError::InvalidProxyHeader)?;
    check_tlvs(&input[..consumed], consumed - tlvs.len())?;
    Ok(Parsed::Complete { consumed, header: Header { endpoints: Some(endpoints), tlvs } })
}

/// The address block and what follows it. TCP over IPv4 and IPv6 only, as in HAProxy 2.6: it refuses UNIX, datagram
/// and unspecified families.
fn v2_endpoints(family: u8, body: &[u8]) -> Option<(Endpoints, &[u8])> {
    match family {
        FAMILY_TCP4 => {
            let (block, tlvs) = body.split_first_chunk::<IPV4_BLOCK_LENGTH>()?;
            let ip = |at: usize| Ipv4Addr::new(block[at], block[at + 1], block[at + 2], block[at + 3]);
            Some((endpoints_of(ip(0).into(), ip(4).into(), &block[8..]), tlvs))
        }
        FAMILY_TCP6 => {
            let (block, tlvs) = body.split_first_chunk::<IPV6_BLOCK_LENGTH>()?;
            let (source, rest) = block.split_first_chunk::<16>()?;
            let (destination, ports) = rest.split_first_chunk::<16>()?;
            Some((
                endpoints_of(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), ports),
                tlvs,
            ))
        }
        0x00..=0x10 | 0x12..=0x20 | 0x22..=0xff => None,
    }
}

fn endpoints_of(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Endpoints {
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Endpoints { source: SocketAddr::new(source, port(0)), destination: SocketAddr::new(destination, port(2)) }
}

/// Refuses TLVs that overrun, that are longer than their type allows, and a wrong checksum.
fn check_tlvs(message: &[u8], first: usize) -> Result<(), ParseError> {
    let mut rest = &message[first..];
    while !rest.is_empty() {
        let (kind, value, next) = split_tlv(rest).ok_or(ParseError::InvalidProxyHeader)?;
        let acceptable = match kind {
            tlv::CRC32C => match value.first_chunk::<4>() {
                Some(sum) if value.len() == 4 => {
                    let at = message.len() - next.len() - 4;
                    checksum_with_hole(message, at) == u32::from_be_bytes(*sum)
                }
                Some(_) | None => false,
            },
            tlv::AUTHORITY => value.len() <= AUTHORITY_LENGTH_MAX,
            tlv::UNIQUE_ID => value.len() <= UNIQUE_ID_LENGTH_MAX,
            // Types that nobody knows are to be skipped (specification §2.2).
            _ => true,
        };
        if !acceptable {
            return Err(ParseError::InvalidProxyHeader);
        }
        rest = next;
    }
    Ok(())
}

/// Reads a NetScaler client IP header (`accept-netscaler-cip`), legacy or standard form, from the start of `input`.
///
/// ```text
/// legacy    magic(4) length(4)                     IP header, TCP header: `length` bytes
/// standard  magic(4) total(4)  type(2) length(2)   IP header, TCP header: `length` bytes
/// ```
///
/// # Errors
/// [`ParseError`] as soon as the bytes cannot become one.
pub fn parse_netscaler(input: &[u8], magic: u32) -> Result<Parsed<'_>, ParseError> {
    if !begins_alike(input, &magic.to_be_bytes()) {
        return Err(ParseError::NetscalerMagic);
    }
    let Some(prefix) = input.first_chunk::<12>() else {
        return Ok(Parsed::Partial);
    };
    let (start, length) = match prefix[8] {
        0x40..=0x4f | 0x60..=0x6f => {
            let length = u32::from_be_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
            (8, usize::try_from(length).unwrap_or(usize::MAX))
        }
        0x00 => (12, usize::from(u16::from_be_bytes([prefix[10], prefix[11]]))),
        0x01..=0x3f | 0x50..=0x5f | 0x70..=0xff => return Err(ParseError::UnhandledNetscalerProtocol),
    };
    if length == 0 || length > NETSCALER_LENGTH_MAX {
        return Err(ParseError::InvalidNetscalerHeader);
    }
    let consumed = start + length;
    let Some(packet) = input.get(start..consumed) else {
        return Ok(Parsed::Partial);
    };
    let endpoints = packet_endpoints(packet)?;
    Ok(Parsed::Complete { consumed, header: Header { endpoints: Some(endpoints), tlvs: &[] } })
}

/// The ends of a TCP packet, from the headers that the NetScaler copied. Only the ports of the TCP header are needed.
fn packet_endpoints(packet: &[u8]) -> Result<Endpoints, ParseError> {
    const TCP: u8 = 6;
    let short = ParseError::InvalidNetscalerHeader;
    let (&first, _) = packet.split_first().ok_or(short)?;
    match first >> 4 {
        4 => {
            let header = packet.first_chunk::<20>().ok_or(short)?;
            if header[9] != TCP {
                return Err(ParseError::UnhandledNetscalerProtocol);
            }
            let header_length = usize::from(first & 0x0f) * 4;
            if header_length < 20 {
                return Err(short);
            }
            let ports = packet.get(header_length..header_length + 4).ok_or(short)?;
            let ip = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
            Ok(endpoints_of(ip(12).into(), ip(16).into(), ports))
        }
        6 => {
            let header = packet.first_chunk::<40>().ok_or(short)?;
            if header[6] != TCP {
                return Err(ParseError::UnhandledNetscalerProtocol);
            }
            let ports = packet.get(40..44).ok_or(short)?;
            let ip = |at: usize| {
                let mut octets = [0_u8; 16];
                octets.copy_from_slice(&header[at..at + 16]);
                Ipv6Addr::from(octets)
            };
            Ok(endpoints_of(ip(8).into(), ip(24).into(), ports))
        }
        0..=3 | 5 | 7..=u8::MAX => Err(ParseError::UnhandledNetscalerProtocol),
    }
}

/// Facts about the client's TLS session, for the `SSL` TLV. Fields that are `None` were not asked for or not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TlsFacts<'a> {
    /// The client's connection is TLS at all: without it, the rest is not sent.
    pub over_tls: bool,
    pub certificate_on_connection: bool,
    pub certificate_in_session: bool,
    /// What verification said; 0 is success.
    pub verify: u32,
    pub version: &'a [u8],
    pub common_name: Option<&'a [u8]>,
    pub cipher: Option<&'a [u8]>,
    pub signature_algorithm: Option<&'a [u8]>,
    pub key_algorithm: Option<&'a [u8]>,
}

/// What to tell a server, version 2. TLVs that are `None` are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// `None` writes `LOCAL`: health checks, and clients without an IP address.
    pub endpoints: Option<Endpoints>,
    pub crc32c: bool,
    pub alpn: Option<&'a [u8]>,
    pub authority: Option<&'a [u8]>,
    pub unique_id: Option<&'a [u8]>,
    pub tls: Option<TlsFacts<'a>>,
    pub network_namespace: Option<&'a [u8]>,
}

/// Appends a version 1 line; `UNKNOWN` without addresses.
pub fn write_v1(out: &mut Vec<u8>, endpoints: Option<Endpoints>) {
    let Some(endpoints) = endpoints else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let (ports, family) =
        ((endpoints.source.port(), endpoints.destination.port()), common_family(&endpoints));
    // Writing to a Vec cannot fail.
    let _ = match family {
        Family::Ipv4(source, destination) => {
            write!(out, "PROXY TCP4 {source} {destination} {} {}\r\n", ports.0, ports.1)
        }
        Family::Ipv6(source, destination) => {
            write!(out, "PROXY TCP6 {source} {destination} {} {}\r\n", ports.0, ports.1)
        }
    };
}

/// Appends a version 2 header.
///
/// # Errors
/// [`ParseError::ProxyHeaderTooLong`] when the TLVs do not fit in [`V2_LENGTH_MAX`], or one is longer than its type
/// allows; `out` is then as it was.
pub fn write_v2(out: &mut Vec<u8>, announcement: &Announcement<'_>) -> Result<(), ParseError> {
    let start = out.len();
    let result = append_v2(out, start, announcement);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn append_v2(out: &mut Vec<u8>, start: usize, announcement: &Announcement<'_>) -> Result<(), ParseError> {
    out.extend_from_slice(V2_SIGNATURE);
    let family = announcement.endpoints.as_ref().map(common_family);
    out.extend_from_slice(&match family {
        None => [COMMAND_LOCAL, FAMILY_UNSPECIFIED, 0, 0],
        Some(Family::Ipv4(..)) => [COMMAND_PROXY, FAMILY_TCP4, 0, 0],
        Some(Family::Ipv6(..)) => [COMMAND_PROXY, FAMILY_TCP6, 0, 0],
    });
    match family {
        None => {}
        Some(Family::Ipv4(source, destination)) => {
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        Some(Family::Ipv6(source, destination)) => {
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
    }
    if let Some(endpoints) = announcement.endpoints {
        out.extend_from_slice(&endpoints.source.port().to_be_bytes());
        out.extend_from_slice(&endpoints.destination.port().to_be_bytes());
    }
    // The order of HAProxy: the checksum first, then by type, the namespace last.
    let checksum_at = announcement.crc32c.then(|| out.len() + TLV_PREFIX_LENGTH);
    if announcement.crc32c {
        push_tlv(out, tlv::CRC32C, &[0; 4], 4)?;
    }
    if let Some(alpn) = announcement.alpn {
        push_tlv(out, tlv::ALPN, alpn, V2_LENGTH_MAX)?;
    }
    if let Some(authority) = announcement.authority {
        push_tlv(out, tlv::AUTHORITY, authority, AUTHORITY_LENGTH_MAX)?;
    }
    if let Some(unique_id) = announcement.unique_id {
        push_tlv(out, tlv::UNIQUE_ID, unique_id, UNIQUE_ID_LENGTH_MAX)?;
    }
    if let Some(tls) = &announcement.tls {
        push_tls(out, tls)?;
    }
    if let Some(namespace) = announcement.network_namespace {
        push_tlv(out, tlv::NETNS, namespace, V2_LENGTH_MAX)?;
    }
    let total = out.len() - start;
    if total > V2_LENGTH_MAX {
        return Err(ParseError::ProxyHeaderTooLong);
    }
    put_length(out, start + V2_PREFIX_LENGTH - 2, total - V2_PREFIX_LENGTH)?;
    if let Some(at) = checksum_at {
        let sum = checksum_with_hole(&out[start..], at - start);
        out[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    }
    Ok(())
}

fn push_tls(out: &mut Vec<u8>, tls: &TlsFacts<'_>) -> Result<(), ParseError> {
    push_tlv(out, tlv::SSL, &[], 0)?;
    let value_at = out.len();
    if tls.over_tls {
        let flags = SSL_CLIENT_TLS
            | if tls.certificate_on_connection { SSL_CLIENT_CERT_CONNECTION } else { 0 }
            | if tls.certificate_in_session { SSL_CLIENT_CERT_SESSION } else { 0 };
        out.push(flags);
        out.extend_from_slice(&tls.verify.to_be_bytes());
        push_tlv(out, tlv::SSL_VERSION, tls.version, V2_LENGTH_MAX)?;
        let optional = [
            (tlv::SSL_CN, tls.common_name),
            (tlv::SSL_KEY_ALG, tls.key_algorithm),
            (tlv::SSL_SIG_ALG, tls.signature_algorithm),
            (tlv::SSL_CIPHER, tls.cipher),
        ];
        for (kind, value) in optional {
            if let Some(value) = value {
                push_tlv(out, kind, value, V2_LENGTH_MAX)?;
            }
        }
    } else {
        out.extend_from_slice(&[0; 5]);
    }
    let length = out.len() - value_at;
    put_length(out, value_at - 2, length)
}

fn push_tlv(out: &mut Vec<u8>, kind: u8, value: &[u8], length_max: usize) -> Result<(), ParseError> {
    if value.len() > length_max {
        return Err(ParseError::ProxyHeaderTooLong);
    }
    out.extend_from_slice(&[kind, 0, 0]);
    let length_at = out.len() - 2;
    out.extend_from_slice(value);
    put_length(out, length_at, value.len())
}

fn put_length(out: &mut [u8], at: usize, length: usize) -> Result<(), ParseError> {
    let length = u16::try_from(length).map_err(|_| ParseError::ProxyHeaderTooLong)?;
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

enum Family {
    Ipv4(Ipv4Addr, Ipv4Addr),
    Ipv6(Ipv6Addr, Ipv6Addr),
}

/// Both ends in one family: when they differ, the IPv4 one is mapped into IPv6.
fn common_family(endpoints: &Endpoints) -> Family {
    let widened = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    match (endpoints.source.ip(), endpoints.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Family::Ipv4(source, destination),
        (source, destination) => Family::Ipv6(widened(source), widened(destination)),
    }
}

const CRC32C_TABLE: [u32; 256] = crc32c_table();

const fn crc32c_table() -> [u32; 256] {
    const CASTAGNOLI_REFLECTED: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut sum = index as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ CASTAGNOLI_REFLECTED } else { sum >> 1 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
}

/// CRC-32C (RFC 4960 appendix B) of `message` with the four bytes at `hole` taken as zero.
fn checksum_with_hole(message: &[u8], hole: usize) -> u32 {
    let step = |sum: u32, byte: u8| (sum >> 8) ^ CRC32C_TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)];
    let before = message[..hole].iter().copied();
    let after = message[hole + 4..].iter().copied();
    !before.chain([0; 4]).chain(after).fold(u32::MAX, step)
}

#[cfg(test)]
#[path = "proxy_protocol_tests.rs"]
mod tests;
