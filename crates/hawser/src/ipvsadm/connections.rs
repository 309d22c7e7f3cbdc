//! The list of connections, from the kernel's own text, or from a plane of ours in the same form.

use super::names;
use netlink::ipvs::{SCTP, TCP, UDP};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};

const SOURCE: &str = "/proc/net/ip_vs_conn";

/// Prints the connections that the kernel has. `with_engine` adds what the persistence engine knows.
///
/// # Errors
/// The kernel's text cannot be read, or the output cannot be written.
pub fn print_of_kernel(output: &mut dyn Write, is_numeric: bool, with_engine: bool) -> std::io::Result<()> {
    let file = std::fs::File::open(SOURCE)?;
    print(output, BufReader::new(file).lines().skip(1), is_numeric, with_engine)
}

/// Prints connections from lines as the kernel has them.
///
/// # Errors
/// A line cannot be read, or the output cannot be written.
pub fn print(
    output: &mut dyn Write,
    lines: impl Iterator<Item = std::io::Result<String>>,
    is_numeric: bool,
    with_engine: bool,
) -> std::io::Result<()> {
    writeln!(output, "IPVS connection entries")?;
    let columns = format!("pro expire {:<11} {:<18} {:<18}", "state", "source", "virtual");
    if with_engine {
        writeln!(output, "{columns} {:<18} {:<16} pe_data", "destination", "pe name")?;
    } else {
        writeln!(output, "{columns} destination")?;
    }
    for line in lines {
        if let Some(text) = entry(&line?, is_numeric, with_engine) {
            writeln!(output, "{text}")?;
        }
    }
    Ok(())
}

/// One line of the kernel's as one of ours; `None` for what is no connection.
fn entry(line: &str, is_numeric: bool, with_engine: bool) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?;
    let protocol = match name {
        "TCP" => TCP,
        "UDP" => UDP,
        "SCTP" => SCTP,
        // `IP` is a template of a service by mark.
        _ => 0,
    };
    let mut end = || {
        let address = address(words.next()?)?;
        let port = u16::from_str_radix(words.next()?, 16).ok()?;
        Some(names::host_and_port(address, port, protocol, is_numeric))
    };
    let (source, service, server) = (end()?, end()?, end()?);
    let state = words.next()?;
    let seconds: u64 = words.next()?.parse().ok()?;
    let expires = format!("{:02}:{:02}", seconds / 60, seconds % 60);
    let text = format!("{name:<3} {expires:<6} {state:<11} {source:<18} {service:<18}");
    Some(match (words.next(), with_engine) {
        (Some(engine), true) => {
            let data = words.next().unwrap_or_default();
            format!("{text} {server:<16} {engine:<18} {data}")
        }
        _ => format!("{text} {server}"),
    })
}

/// `0A000002`, or the long form of IPv6.
fn address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.trim_matches(['[', ']']).parse().ok().map(IpAddr::V6);
    }
    u32::from_str_radix(text, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_shown_in_columns() {
        let line = "TCP 0A000002 9DB0 0A000064 0051 0A00010B 0051 CLOSE             9";
        let shown = "TCP 00:09  CLOSE       10.0.0.2:40368     10.0.0.100:81      10.0.1.11:81";
        assert_eq!(entry(line, true, false).as_deref(), Some(shown));
        let line = "IP  0A000002 0000 00000009 0000 0A00010B 0000 NONE            129";
        let shown = "IP  02:09  NONE        10.0.0.2:0         0.0.0.9:0          10.0.1.11:0";
        assert_eq!(entry(line, true, true).as_deref(), Some(shown));
        assert_eq!(entry("TCP 0A000002 9DB0", true, true), None);
    }
}
