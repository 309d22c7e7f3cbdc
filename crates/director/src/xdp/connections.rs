//! The connections in the maps, told as the kernel tells its own in `/proc/net/ip_vs_conn`.

use super::object::Maps;
use super::walk::Rules;
use netlink::ipvs::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use sys::bpf::Cursor;
use xdp_abi::state::{self, SYN_RECEIVED};
use xdp_abi::{
    Address, Flow, FlowKey, TICK_SHIFT, Template, TemplateKey, bytes_of, direction, elapsed, maps, ticks,
};

/// Entries of one look; a bucket of the kernel's tables must fit.
const ENTRIES_MAX: u32 = 4096;
/// Lines of one answer; what lies beyond is not told.
const LINES_MAX: usize = 1 << 20;
const TCP: u32 = 6;

/// A real server, by its number.
pub struct Target {
    pub key: Key,
    pub address: IpAddr,
    pub port: u16,
}

/// A list that is told piece by piece, so that nobody waits for a million flows. What changes meanwhile may be in it or not.
pub struct Listing {
    rules: Rules,
    targets: BTreeMap<u32, Target>,
    now: u32,
    /// The pieces of this one.
    lines: Vec<String>,
    told: usize,
    /// Clients, as far as their service tells them apart, and real servers of connections that came to be.
    assured: BTreeSet<(IpAddr, u32)>,
    stage: Stage,
    cursor: Cursor,
    rounds: u32,
}

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Flows4,
    Flows6,
    Templates,
    End,
}

impl Stage {
    fn map(self) -> Option<&'static str> {
        match self {
            Stage::Flows4 => Some(maps::FLOWS_4),
            Stage::Flows6 => Some(maps::FLOWS_6),
            Stage::Templates => Some(maps::TEMPLATES),
            Stage::End => None,
        }
    }

    fn next(self) -> Self {
        match self {
            Stage::Flows4 => Stage::Flows6,
            Stage::Flows6 => Stage::Templates,
            Stage::Templates | Stage::End => Stage::End,
        }
    }
}

impl Listing {
    pub(super) fn new(rules: Rules, targets: BTreeMap<u32, Target>, now: u32) -> Self {
        Self {
            rules,
            targets,
            now,
            lines: Vec::new(),
            told: 0,
            assured: BTreeSet::new(),
            stage: Stage::Flows4,
            cursor: Cursor::default(),
            rounds: 0,
        }
    }

    /// The next piece, which may be empty; `None` at the end.
    ///
    /// # Errors
    /// A map cannot be read.
    pub(super) fn next(&mut self, maps: &Maps) -> io::Result<Option<Vec<String>>> {
        let Some(name) = self.stage.map() else { return Ok(None) };
        let map = maps.get(name);
        let mut cursor = std::mem::take(&mut self.cursor);
        let stage = self.stage;
        let is_more = map.walk(&mut cursor, ENTRIES_MAX, |key, value| match stage {
            Stage::Flows4 => self.flow::<u32>(key, value),
            Stage::Flows6 => self.flow::<[u32; 4]>(key, value),
            Stage::Templates | Stage::End => self.template(key, value),
        })?;
        self.cursor = cursor;
        self.rounds += 1;
        // Each round takes some; a table that grows meanwhile must not keep us here.
        if !is_more || self.rounds > 2 * map.entries_max() / ENTRIES_MAX + 2 {
            (self.stage, self.cursor, self.rounds) = (stage.next(), Cursor::default(), 0);
        }
        Ok(Some(std::mem::take(&mut self.lines)))
    }

    fn push(&mut self, line: String) {
        if self.told < LINES_MAX {
            self.told += 1;
            self.lines.push(line);
        }
    }

    fn flow<A: Address>(&mut self, key: &[u8], value: &[u8]) {
        let (Some(key), Some(flow)) = (FlowKey::<A>::read(key), Flow::<A>::read(value)) else { return };
        let Some(target) = self.targets.get(&flow.real) else { return };
        if flow.direction != direction::REQUEST {
            return;
        }
        let (client, service) = (address::<A>(key.source), address::<A>(key.destination));
        if flow.state != SYN_RECEIVED
            && let Some((_, 1.., netmask)) = self.rules.reals.get(&flow.real)
        {
            self.assured.insert((masked(client, netmask), flow.real));
        }
        let port = u16::from_be(key.destination_port);
        let limit = self.rules.timeouts.get(usize::from(flow.state)).copied().unwrap_or(0);
        let state = state::NAMES.get(usize::from(flow.state)).copied().unwrap_or("NONE");
        self.push(line(
            if key.protocol == TCP { "TCP" } else { "UDP" },
            (client, u16::from_be(key.source_port)),
            (service, port),
            (target.address, if target.port == 0 { port } else { target.port }),
            state,
            seconds(limit.saturating_sub(elapsed(self.now, flow.seen))),
        ));
    }

    /// The kernel has an entry of its own for each client that it remembers, without the client's port.
    fn template(&mut self, key: &[u8], value: &[u8]) {
        let (Some(key), Some(template)) = (TemplateKey::read(key), Template::read(value)) else { return };
        let Some(target) = self.targets.get(&template.real) else { return };
        let Some((_, persistence, _)) = self.rules.reals.get(&template.real) else { return };
        let Key::Address { protocol, address: service, port } = target.key else { return };
        let client = match service {
            IpAddr::V4(_) => address::<u32>(key.address[0]),
            IpAddr::V6(_) => address::<[u32; 4]>(key.address),
        };
        let state = if self.assured.contains(&(client, template.real)) { "ASSURED" } else { "NONE" };
        let left = ticks(*persistence).saturating_sub(elapsed(self.now, template.seen));
        self.push(line(
            if u32::from(protocol) == TCP { "TCP" } else { "UDP" },
            (client, 0),
            (service, port),
            (target.address, target.port),
            state,
            seconds(left),
        ));
    }
}

pub(super) fn address<A: Address>(words: A) -> IpAddr {
    let bytes = bytes_of(words.wide());
    if A::LENGTH == 4 {
        return Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into();
    }
    Ipv6Addr::from(bytes).into()
}

fn masked(client: IpAddr, netmask: &[u32; 4]) -> IpAddr {
    let (mut words, _) = super::record::wide(client);
    words.iter_mut().zip(netmask).for_each(|(word, mask)| *word &= mask);
    match client {
        IpAddr::V4(_) => address::<u32>(words[0]),
        IpAddr::V6(_) => address::<[u32; 4]>(words),
    }
}

fn seconds(ticks: u32) -> u64 {
    (u64::from(ticks) << TICK_SHIFT) / 1_000_000_000
}

fn line(
    protocol: &str,
    client: (IpAddr, u16),
    service: (IpAddr, u16),
    server: (IpAddr, u16),
    state: &str,
    seconds: u64,
) -> String {
    let mut out = protocol.to_owned();
    for (address, port) in [client, service, server] {
        let _ = match address {
            IpAddr::V4(address) => write!(out, " {:08X} {port:04X}", address.to_bits()),
            IpAddr::V6(address) => write!(out, " {address} {port:04X}"),
        };
    }
    let _ = write!(out, " {state} {seconds}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_as_the_kernel_does() {
        let end = |text: &str, port| (text.parse::<IpAddr>().expect("an address"), port);
        let told =
            line("TCP", end("10.0.0.2", 40368), end("10.0.0.100", 80), end("fd00::b", 80), "FIN_WAIT", 119);
        assert_eq!(told, "TCP 0A000002 9DB0 0A000064 0050 fd00::b 0050 FIN_WAIT 119");
        let mask = [u32::from_ne_bytes([255, 255, 255, 0]), 0, 0, 0];
        assert_eq!(masked(end("10.0.0.2", 0).0, &mask), end("10.0.0.0", 0).0);
    }
}
