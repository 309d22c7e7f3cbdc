//! Names instead of numbers: services of `/etc/services`, hosts of the resolver.

use netlink::ipvs::{SCTP, TCP, UDP};
use std::net::IpAddr;
use std::sync::OnceLock;

const SERVICES: &str = "/etc/services";
/// Lines of the file that are read.
const SERVICES_MAX: usize = 100_000;

struct Entry {
    port: u16,
    protocol: u16,
    /// The name, then its aliases.
    names: Vec<String>,
}

fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let text = std::fs::read(SERVICES).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().take(SERVICES_MAX).filter_map(entry).collect()
    })
}

/// `http 80/tcp www # comment`.
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split('#').next()?.split_ascii_whitespace();
    let name = words.next()?;
    let (port, protocol) = words.next()?.split_once('/')?;
    let protocol = match protocol {
        "tcp" => TCP,
        "udp" => UDP,
        "sctp" => SCTP,
        _ => return None,
    };
    let names = std::iter::once(name).chain(words).map(str::to_owned).collect();
    Some(Entry { port: port.parse().ok()?, protocol, names })
}

/// The port of a service's name.
pub fn port_of(name: &str, protocol: u16) -> Option<u16> {
    let of_protocol = || entries().iter().filter(|entry| entry.protocol == protocol);
    of_protocol().find(|entry| entry.names.iter().any(|known| known == name)).map(|entry| entry.port)
}

fn name_of(port: u16, protocol: u16) -> Option<&'static str> {
    let entry = entries().iter().find(|entry| entry.port == port && entry.protocol == protocol)?;
    entry.names.first().map(String::as_str)
}

/// `host:port`, IPv6 in brackets; by name unless `is_numeric`.
pub fn host_and_port(address: IpAddr, port: u16, protocol: u16, is_numeric: bool) -> String {
    let host = if is_numeric { None } else { sys::names::host_of(address) };
    let port = match name_of(port, protocol) {
        Some(name) if !is_numeric => name.to_owned(),
        _ => port.to_string(),
    };
    match (host, address) {
        (Some(host), IpAddr::V4(_)) => format!("{host}:{port}"),
        (Some(host), IpAddr::V6(_)) => format!("[{host}]:{port}"),
        (None, IpAddr::V4(address)) => format!("{address}:{port}"),
        (None, IpAddr::V6(address)) => format!("[{address}]:{port}"),
    }
}
