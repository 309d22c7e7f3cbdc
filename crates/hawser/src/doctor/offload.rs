//! What a director without IPVS needs of the host, whose packets XDP programs carry: forwarding, whatever the way to the real
//! servers, and for tunnels packets as they came.

use super::finding::{Finding, Verdict};
use super::kernel;
use super::machine::Machine;
use super::role::Role;
use serde_json::Value;

const FORWARD: &str = "net.ipv4.ip_forward";

/// Nothing where the kernel has IPVS, or this is no director.
pub fn findings(machine: &Machine, role: Role) -> Vec<Finding> {
    if kernel::has_ipvs(machine) {
        return Vec::new();
    }
    match role {
        // The other directors need forwarding on every plane: that is said among the sysctls.
        Role::DirectorDr => forwarding(machine).into_iter().collect(),
        Role::DirectorTunnel => {
            interfaces(machine).iter().filter_map(|name| offload(machine, name)).collect()
        }
        Role::DirectorNat | Role::Proxy | Role::RealServer => Vec::new(),
    }
}

fn forwarding(machine: &Machine) -> Option<Finding> {
    let value = machine.sysctl(FORWARD)?;
    let verdict = if value == "0" { Verdict::Bad } else { Verdict::Good };
    let finding = Finding::new("sysctl", FORWARD, verdict).measured(value).wanted("1");
    let reason = "the XDP programs find no way to a real server where the kernel does not forward";
    Some(finding.because(reason).mend("sysctl -w net.ipv4.ip_forward=1"))
}

fn interfaces(machine: &Machine) -> Vec<String> {
    let text = machine.ask("ip", &["-j", "link", "show", "up"]).unwrap_or_default();
    let links: Value = serde_json::from_str(&text).unwrap_or_default();
    let links = links.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ethernet = |link: &&Value| link["link_type"] == "ether";
    links.iter().filter(is_ethernet).filter_map(|link| link["ifname"].as_str().map(str::to_owned)).collect()
}

fn offload(machine: &Machine, name: &str) -> Option<Finding> {
    let text = machine.ask("ethtool", &["-k", name])?;
    let value = text.lines().find_map(|line| line.trim().strip_prefix("generic-receive-offload: "))?;
    let is_on = value.starts_with("on");
    let verdict = if is_on { Verdict::Warning } else { Verdict::Good };
    let finding = Finding::new("interface", format!("generic receive offload of {name}"), verdict);
    let reason = "programs that do not run in the driver see what the kernel has put together, and tunnels have no room for it";
    Some(
        finding
            .measured(value)
            .wanted("off")
            .because(reason)
            .mend(format!("ethtool -K {name} gro off, or hawser director --native")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    const LINKS: (&str, &str) = (
        "ip -j link show up",
        r#"[{"ifname": "lo", "link_type": "loopback"}, {"ifname": "eth0", "link_type": "ether"}]"#,
    );
    const OFFLOADS: (&str, &str) = (
        "ethtool -k eth0",
        "Features for eth0:\ntcp-segmentation-offload: on\ngeneric-receive-offload: on\n",
    );

    fn found(role: Role, ipvs: bool) -> Vec<(String, Verdict)> {
        let laboratory = Laboratory::new();
        laboratory.sysctl(FORWARD, "0");
        if ipvs {
            laboratory.write("/proc/net/ip_vs", "");
        }
        let found = findings(&laboratory.machine(&[LINKS, OFFLOADS]), role);
        found.into_iter().map(|one| (one.subject, one.verdict)).collect()
    }

    #[test]
    fn programs_need_forwarding_and_tunnels_packets_as_they_came() {
        let offload = ("generic receive offload of eth0".to_owned(), Verdict::Warning);
        let forward = (FORWARD.to_owned(), Verdict::Bad);
        assert_eq!(found(Role::DirectorTunnel, false), [offload]);
        assert_eq!(found(Role::DirectorDr, false), [forward]);
        assert_eq!(found(Role::DirectorTunnel, true), []);
        assert_eq!(found(Role::RealServer, false), []);
    }
}
