//! Addresses, ports and numbers as ipvsadm reads them.

use super::names;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

/// Reads `HOST[:PORT]`: an address or a name, the port a number or a name. IPv6 with a port stands in brackets.
pub fn host_and_port(text: &str, protocol: u16) -> Option<(IpAddr, Option<u16>)> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (host, bracketed_port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, Some(rest.strip_prefix(':')?))
        }
        None => (text, None),
    };
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return match bracketed_port {
            Some(port) => Some((address.into(), Some(port_number(port, protocol)?))),
            None => Some((address.into(), None)),
        };
    }
    // ipvsadm looks for the port within the brackets here: `[10.0.0.1]:80` has none.
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, Some(port_number(port, protocol)?)),
        None => (host, None),
    };
    let address = ipv4(host).or_else(|| resolve(host))?;
    Some((address.into(), port))
}

fn port_number(text: &str, protocol: u16) -> Option<u16> {
    match number(text, 0, 65_535) {
        Some(port) => u16::try_from(port).ok(),
        None => names::port_of(text, protocol),
    }
}

/// The first IPv4 address of a name.
fn resolve(host: &str) -> Option<Ipv4Addr> {
    let found = (host, 0).to_socket_addrs().ok()?;
    found.into_iter().find_map(|address| match address.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}

/// Reads an IPv4 address as `inet_aton(3)` does: one to four parts, each decimal, octal or hexadecimal.
pub fn ipv4(text: &str) -> Option<Ipv4Addr> {
    // What follows white space is not looked at.
    let text = text.split([' ', '\t', '\n', '\r', '\x0b', '\x0c']).next()?;
    let parts: Vec<u64> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, before) = parts.split_last()?;
    if before.len() > 3 || before.iter().any(|part| *part > 255) {
        return None;
    }
    let bits = 32 - 8 * before.len() as u32;
    if *last >= 1 << bits {
        return None;
    }
    let high = before.iter().enumerate().map(|(at, part)| part << (24 - 8 * at)).sum::<u64>();
    u32::try_from(high | last).ok().map(Ipv4Addr::from)
}

fn part(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().filter(|number| *number <= u64::from(u32::MAX))
}

/// Reads a decimal number within bounds; white space before it and a sign are taken.
pub fn number(text: &str, min: i64, max: i64) -> Option<i64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let number: i64 = text.parse().ok()?;
    (min..=max).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: u16 = netlink::ipvs::TCP;

    #[test]
    fn hosts_and_ports_are_split() {
        let read = |text| host_and_port(text, TCP).map(|(address, port)| (address.to_string(), port));
        let found = |address: &str, port| Some((address.to_owned(), port));
        assert_eq!(read("10.9.9.9:80"), found("10.9.9.9", Some(80)));
        assert_eq!(read("10.9.9.9"), found("10.9.9.9", None));
        assert_eq!(read("[fd00::9]:443"), found("fd00::9", Some(443)));
        assert_eq!(read("fd00::9"), found("fd00::9", None));
        assert_eq!(read("[10.0.0.1]:80"), found("10.0.0.1", None));
        assert_eq!(read("10.9:80"), found("10.0.0.9", Some(80)));
        assert_eq!(read("010.9.9.9:+80"), found("8.9.9.9", Some(80)));
        for refused in
            ["80", "", ":80", "10.9.9.9:", "[fd00::9]", "[fd00::9]:80x", "[fd00::9:80", "256.1.1.1:1"]
        {
            assert_eq!(read(refused), None, "{refused}");
        }
    }

    #[test]
    fn numbers_keep_to_their_bounds() {
        assert_eq!(number(" +5", 1, 10), Some(5));
        for refused in ["", "0", "11", "5x", "0x5", "-1", "+", "99999999999999999999"] {
            assert_eq!(number(refused, 1, 10), None, "{refused}");
        }
    }
}
