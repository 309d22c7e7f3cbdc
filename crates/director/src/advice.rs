//! What of the host stands in the way of the XDP programs, each in one line with what to do about it. Reads, changes nothing.

use crate::xdp::Xdp;
use netlink::ipvs::Forward;
use std::collections::BTreeSet;

/// Interfaces whose packets the programs take, and what was said of them.
#[derive(Debug)]
pub struct Advice {
    interfaces: Vec<String>,
    is_native: bool,
    /// What the last look was at.
    looked: Option<Needs>,
    said: BTreeSet<String>,
}

/// What the table needs of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    ipv6: bool,
    tunnels: bool,
}

impl Advice {
    pub fn new(interfaces: Vec<String>, is_native: bool) -> Self {
        Self { interfaces, is_native, looked: None, said: BTreeSet::new() }
    }

    /// New lines: at the first call, and when the table needs more of the host than before.
    pub fn lines(&mut self, plane: &Xdp) -> Vec<String> {
        let mut servers = plane.servers();
        let needs = Needs {
            ipv6: servers.clone().any(|server| server.address.is_ipv6()),
            tunnels: servers.any(|server| matches!(server.forward, Forward::Tunnel(_))),
        };
        if self.looked == Some(needs) {
            return Vec::new();
        }
        self.looked = Some(needs);
        let lines: Vec<String> = self.interfaces.iter().flat_map(|name| self.of(name, needs)).collect();
        lines.into_iter().filter(|line| self.said.insert(line.clone())).collect()
    }

    fn of(&self, name: &str, needs: Needs) -> Vec<String> {
        let mut lines = Vec::new();
        let forwards = |family: &str| {
            let path = format!("/proc/sys/net/{family}/conf/{name}/forwarding");
            std::fs::read_to_string(path).map_or(true, |text| text.trim() != "0")
        };
        if !forwards("ipv4") {
            lines.push(format!(
                "{name}: the kernel does not forward its packets, so that the programs find no way: sysctl -w net.ipv4.ip_forward=1"
            ));
        }
        if needs.ipv6 && !forwards("ipv6") {
            lines.push(format!(
                "{name}: the kernel does not forward its IPv6 packets, so that the programs find no way: \
                 sysctl -w net.ipv6.conf.all.forwarding=1"
            ));
        }
        // Who cannot be asked has none.
        if needs.tunnels && !self.is_native && sys::interface::receive_offload(name).unwrap_or(false) {
            lines.push(format!(
                "{name}: the kernel puts packets together before the programs see them, and tunnels have no room for those: \
                 ethtool -K {name} gro off, or --native"
            ));
        }
        lines
    }
}
