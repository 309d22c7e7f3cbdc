//! The address forms of configuration manual §11: `ipv4@`, `ipv6@`, `unix@`, `abns@`, `fd@N`, `stream+`, port ranges,
//! several addresses with commas.

use crate::language::{Environment, Word};
use crate::model::{Address, Network};
use crate::parse::{Outcome, fail};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// Addresses one line may expand to: a port range covers at most all ports.
pub const EXPANSION_MAX: usize = 65_536;

/// Which kinds of ports a place takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A port must be given.
    pub port_required: bool,
    /// `80-90`.
    pub port_range: bool,
    /// `+10`, `-10`.
    pub port_offset: bool,
    /// `dgram+`, `udp@`: where datagrams are sent or received.
    pub datagram: bool,
    /// `stream+`, `tcp@`.
    pub stream: bool,
}

/// What stands behind the last colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    None,
    Fixed(u16),
    Range(u16, u16),
    Offset(i32),
}

/// One address after reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// With the first port, if any.
    pub address: Address,
    pub port: Port,
    /// `udp@`, `dgram+`, `uxdg@` said so.
    pub is_datagram: bool,
    /// `tcp@`, `stream+`, `uxst@` said so.
    pub is_stream: bool,
}

impl Endpoint {
    /// One address for each port of the range.
    pub fn expand(self) -> Vec<Address> {
        match (self.port, self.address) {
            (Port::Range(low, high), Address::Inet { ip, .. }) => {
                (low..=high).map(|port| Address::Inet { ip, port }).collect()
            }
            (Port::Range(low, high), Address::Host { name, .. }) => {
                (low..=high).map(|port| Address::Host { name: name.clone(), port }).collect()
            }
            (_, address) => vec![address],
        }
    }
}

/// `$NAME` and `${NAME}` in an address stand for variables even outside of double quotes.
pub(crate) fn expand_variables(text: &str, environment: &Environment) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, after) = match braced {
            Some((name, after)) => (name, after),
            None => {
                let length =
                    rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
                rest.split_at(length)
            }
        };
        let (name, default) = name.split_once('-').unwrap_or((name, ""));
        out.push_str(environment.get(name).unwrap_or(default));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Reads several addresses separated by commas.
pub(crate) fn endpoints(word: &Word, environment: &Environment, wanted: Wanted) -> Outcome<Vec<Endpoint>> {
    let text = expand_variables(&word.value, environment);
    let mut endpoints = Vec::new();
    for part in text.split(',') {
        match endpoint_text(part, wanted) {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(message) => return fail(word.span, message),
        }
    }
    Ok(endpoints)
}

/// Reads one address.
pub(crate) fn endpoint(word: &Word, environment: &Environment, wanted: Wanted) -> Outcome<Endpoint> {
    let text = expand_variables(&word.value, environment);
    endpoint_text(&text, wanted).or_else(|message| fail(word.span, message))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Any,
    Ip4,
    Ip6,
}

/// A prefix of an address: the word before `@` and what it says.
struct Prefix {
    name: &'static str,
    family: Family,
    is_stream: bool,
    is_datagram: bool,
}

const INET_PREFIXES: [Prefix; 8] = [
    Prefix { name: "ipv4@", family: Family::Ip4, is_stream: false, is_datagram: false },
    Prefix { name: "ipv6@", family: Family::Ip6, is_stream: false, is_datagram: false },
    Prefix { name: "tcp4@", family: Family::Ip4, is_stream: true, is_datagram: false },
    Prefix { name: "tcp6@", family: Family::Ip6, is_stream: true, is_datagram: false },
    Prefix { name: "tcp@", family: Family::Any, is_stream: true, is_datagram: false },
    Prefix { name: "udp4@", family: Family::Ip4, is_stream: false, is_datagram: true },
    Prefix { name: "udp6@", family: Family::Ip6, is_stream: false, is_datagram: true },
    Prefix { name: "udp@", family: Family::Any, is_stream: false, is_datagram: true },
];

fn endpoint_text(text: &str, wanted: Wanted) -> Result<Endpoint, String> {
    let (mut is_stream, mut is_datagram) = (false, false);
    let mut rest = text;
    if let Some(after) = rest.strip_prefix("stream+") {
        (is_stream, rest) = (true, after);
    } else if let Some(after) = rest.strip_prefix("dgram+") {
        (is_datagram, rest) = (true, after);
    }
    for (prefix, stream, datagram) in
        [("unix@", false, false), ("uxst@", true, false), ("uxdg@", false, true)]
    {
        if let Some(path) = rest.strip_prefix(prefix) {
            return local(
                text,
                Address::Unix(PathBuf::from(path)),
                is_stream | stream,
                is_datagram | datagram,
                wanted,
            );
        }
    }
    if rest.starts_with('/') {
        return local(text, Address::Unix(PathBuf::from(rest)), is_stream, is_datagram, wanted);
    }
    if let Some(name) = rest.strip_prefix("abns@") {
        return local(text, Address::Abstract(name.as_bytes().to_vec()), is_stream, is_datagram, wanted);
    }
    if let Some(number) = rest.strip_prefix("fd@") {
        let number = number
            .parse()
            .map_err(|_| format!("`fd@` takes the number of an open descriptor, found `{number}`"))?;
        return local(text, Address::Fd(number), is_stream, is_datagram, wanted);
    }
    for unsupported in ["sockpair@", "quic4@", "quic6@", "rhttp@", "rev@", "mptcp@", "mptcp4@", "mptcp6@"] {
        if rest.starts_with(unsupported) {
            return Err(format!("`{unsupported}` addresses are not supported"));
        }
    }
    let mut family = Family::Any;
    for prefix in &INET_PREFIXES {
        if let Some(after) = rest.strip_prefix(prefix.name) {
            rest = after;
            family = prefix.family;
            is_stream |= prefix.is_stream;
            is_datagram |= prefix.is_datagram;
            break;
        }
    }
    check_type(text, is_stream, is_datagram, wanted)?;
    let (host, port) = split_port(rest);
    let port = parse_port(port, text, wanted)?;
    let number = match port {
        Port::Fixed(port) | Port::Range(port, _) => port,
        Port::None | Port::Offset(_) => 0,
    };
    let address = match ip_of(host, family)? {
        Some(ip) => Address::Inet { ip, port: number },
        None => Address::Host { name: host_name(host)?, port: number },
    };
    Ok(Endpoint { address, port, is_datagram, is_stream })
}

fn local(
    text: &str,
    address: Address,
    is_stream: bool,
    is_datagram: bool,
    wanted: Wanted,
) -> Result<Endpoint, String> {
    check_type(text, is_stream, is_datagram, wanted)?;
    if matches!(&address, Address::Unix(path) if path.as_os_str().is_empty()) {
        return Err(format!("a path is missing in `{text}`"));
    }
    Ok(Endpoint { address, port: Port::None, is_datagram, is_stream })
}

fn check_type(text: &str, is_stream: bool, is_datagram: bool, wanted: Wanted) -> Result<(), String> {
    if is_datagram && !wanted.datagram {
        return Err(format!("a datagram address is not possible here: `{text}`"));
    }
    if is_stream && !wanted.stream {
        return Err(format!("a stream address is not possible here: `{text}`"));
    }
    Ok(())
}

/// Host and port around the last colon that is not inside brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rfind([':', ']']) {
        Some(at) if text.as_bytes()[at] == b':' => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    }
}

fn parse_port(port: Option<&str>, text: &str, wanted: Wanted) -> Result<Port, String> {
    let port = match port {
        None | Some("") if wanted.port_required => {
            return Err(format!("a port is missing in `{text}`: write `{}:80`", text.trim_end_matches(':')));
        }
        None | Some("") => return Ok(Port::None),
        Some(port) => port,
    };
    let number = |digits: &str| -> Result<u16, String> {
        digits.parse::<u16>().map_err(|_| format!("invalid port `{digits}` in `{text}`: expected 1..=65535"))
    };
    if let Some(offset) = port.strip_prefix(['+', '-']) {
        if !wanted.port_offset {
            return Err(format!("a port offset is not possible here: `{text}`"));
        }
        let offset = i32::from(number(offset)?);
        return Ok(Port::Offset(if port.starts_with('-') { -offset } else { offset }));
    }
    if let Some((low, high)) = port.split_once('-') {
        if !wanted.port_range {
            return Err(format!("a port range is not possible here: `{text}`"));
        }
        let (low, high) = (number(low)?, number(high)?);
        if low > high || low == 0 {
            return Err(format!("invalid port range `{port}` in `{text}`"));
        }
        return Ok(if low == high { Port::Fixed(low) } else { Port::Range(low, high) });
    }
    match number(port)? {
        0 if wanted.port_required => Err(format!("invalid port `0` in `{text}`: expected 1..=65535")),
        0 => Ok(Port::None),
        port => Ok(Port::Fixed(port)),
    }
}

/// A literal address; `None` when the text may be a host name.
fn ip_of(host: &str, family: Family) -> Result<Option<IpAddr>, String> {
    if host.is_empty() || host == "*" {
        return Ok(Some(match family {
            Family::Any | Family::Ip4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ip6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }));
    }
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    match (bare.parse::<IpAddr>(), family) {
        (Ok(IpAddr::V4(_)), Family::Ip6) => Err(format!("`{host}` is not an IPv6 address")),
        (Ok(IpAddr::V6(_)), Family::Ip4) => Err(format!("`{host}` is not an IPv4 address")),
        (Ok(ip), _) => Ok(Some(ip)),
        (Err(_), _) => Ok(None),
    }
}

fn host_name(host: &str) -> Result<String, String> {
    let valid = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    // Four numbers that are no address are a typing error, not a name.
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if valid && !numeric { Ok(host.to_owned()) } else { Err(format!("invalid address `{host}`")) }
}

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `::1`, `fe80::/10`.
pub(crate) fn network(word: &Word) -> Outcome<Network> {
    network_text(&word.value).or(None).map_or_else(
        || fail(word.span, format!("`{}` is not a network: expected ADDRESS[/LENGTH]", word.value)),
        Ok,
    )
}

pub(crate) fn network_text(text: &str) -> Option<Network> {
    let (ip, length) = text.split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
    let ip: IpAddr = ip.parse().ok()?;
    let width = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = match length {
        None => width,
        Some(length) => match (length.parse::<u8>(), length.parse::<Ipv4Addr>(), ip) {
            (Ok(length), _, _) => length,
            (Err(_), Ok(mask), IpAddr::V4(_)) => {
                let bits = u32::from(mask);
                if bits.leading_ones() + bits.trailing_zeros() < 32 {
                    return None;
                }
                bits.leading_ones() as u8
            }
            (Err(_), _, _) => return None,
        },
    };
    (prefix <= width).then_some(Network { ip, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND: Wanted =
        Wanted { port_required: true, port_range: true, port_offset: false, datagram: false, stream: true };
    const SERVER: Wanted =
        Wanted { port_required: false, port_range: false, port_offset: true, datagram: false, stream: true };

    fn inet(ip: &str, port: u16) -> Address {
        Address::Inet { ip: ip.parse().unwrap(), port }
    }

    #[test]
    fn bind_addresses_take_every_form() {
        let one = |text| endpoint_text(text, BIND).map(|endpoint| endpoint.address);
        assert_eq!(one("*:80"), Ok(inet("0.0.0.0", 80)));
        assert_eq!(one(":80"), Ok(inet("0.0.0.0", 80)));
        assert_eq!(one(":::80"), Ok(inet("::", 80)));
        assert_eq!(one("[::1]:80"), Ok(inet("::1", 80)));
        assert_eq!(one("ipv6@:80"), Ok(inet("::", 80)));
        assert_eq!(one("ipv4@10.0.0.1:80"), Ok(inet("10.0.0.1", 80)));
        assert_eq!(one("stream+ipv4@:80"), Ok(inet("0.0.0.0", 80)));
        assert_eq!(one("unix@/run/x"), Ok(Address::Unix("/run/x".into())));
        assert_eq!(one("/run/x"), Ok(Address::Unix("/run/x".into())));
        assert_eq!(one("abns@x"), Ok(Address::Abstract(b"x".to_vec())));
        assert_eq!(one("fd@7"), Ok(Address::Fd(7)));
        assert_eq!(one("localhost:80"), Ok(Address::Host { name: "localhost".into(), port: 80 }));
    }

    #[test]
    fn bind_addresses_need_a_port() {
        for text in
            ["1.2.3.4", ":0", "::1", ":70000", "*:80-70", "foo", "udp@:80", "dgram+ipv4@:80", ":+80", "fd@x"]
        {
            assert!(endpoint_text(text, BIND).is_err(), "{text}");
        }
    }

    #[test]
    fn port_ranges_become_one_address_each() {
        let addresses = endpoint_text("127.0.0.1:8000-8002", BIND).unwrap().expand();
        assert_eq!(addresses, [inet("127.0.0.1", 8000), inet("127.0.0.1", 8001), inet("127.0.0.1", 8002)]);
    }

    #[test]
    fn server_addresses_may_go_without_port_or_shift_it() {
        assert_eq!(endpoint_text("1.2.3.4", SERVER).unwrap().port, Port::None);
        assert_eq!(endpoint_text("1.2.3.4:+10", SERVER).unwrap().port, Port::Offset(10));
        assert_eq!(endpoint_text("1.2.3.4:-10", SERVER).unwrap().port, Port::Offset(-10));
        assert_eq!(endpoint_text("1.2.3.4:8", SERVER).unwrap().port, Port::Fixed(8));
        assert!(endpoint_text("1.2.3.4:80-90", SERVER).is_err());
        assert!(endpoint_text("1.2.3.400:80", SERVER).is_err());
    }

    #[test]
    fn variables_in_addresses_need_no_quotes() {
        let environment: Environment = [("FD".to_owned(), "5".to_owned())].into_iter().collect();
        assert_eq!(expand_variables("fd@${FD}", &environment), "fd@5");
        assert_eq!(expand_variables("$FD:80${NO}", &environment), "5:80");
        assert_eq!(expand_variables("${NO-1.2.3.4}:80", &environment), "1.2.3.4:80");
    }

    #[test]
    fn networks_take_a_length_or_a_mask() {
        let net = |ip: &str, prefix| Some(Network { ip: ip.parse().unwrap(), prefix });
        assert_eq!(network_text("10.0.0.0/8"), net("10.0.0.0", 8));
        assert_eq!(network_text("10.0.0.0/255.255.0.0"), net("10.0.0.0", 16));
        assert_eq!(network_text("::1"), net("::1", 128));
        assert_eq!(network_text("10.0.0.0/33"), None);
        assert_eq!(network_text("10.0.0.0/255.0.255.0"), None);
    }
}
