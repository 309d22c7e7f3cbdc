//! The addresses that a haproxy.cfg binds, beside this machine: outgoing ports, addresses that are elsewhere now, backlogs.

use super::finding::{Finding, Verdict};
use super::machine::Machine;
use std::net::{IpAddr, SocketAddr};

pub fn findings(machine: &Machine, binds: &[SocketAddr]) -> Vec<Finding> {
    let own = own_addresses(machine);
    let range = local_ports(machine);
    let mut found = Vec::new();
    for bind in binds {
        if let Some((first, last)) = range
            && (first..=last).contains(&bind.port())
        {
            found.push(
                Finding::new("listeners", format!("bind {bind}"), Verdict::Warning)
                    .measured(format!("inside net.ipv4.ip_local_port_range {first} {last}"))
                    .because("an outgoing connection may have taken the port when the proxy starts")
                    .mend(format!("sysctl -w net.ipv4.ip_local_reserved_ports={}", bind.port())),
            );
        }
        if let Some(own) = &own
            && !bind.ip().is_unspecified()
            && !bind.ip().is_loopback()
            && !own.contains(&bind.ip())
        {
            found.push(elsewhere(machine, bind));
        }
    }
    found
}

fn elsewhere(machine: &Machine, bind: &SocketAddr) -> Finding {
    let name = if bind.is_ipv4() { "net.ipv4.ip_nonlocal_bind" } else { "net.ipv6.ip_nonlocal_bind" };
    let is_allowed = machine.sysctl(name).as_deref() == Some("1");
    let reason = if is_allowed {
        "the address is not on this machine now; it can be bound all the same"
    } else {
        "the address is not on this machine now: hawser binds it by itself (IP_FREEBIND), other programs fail"
    };
    let finding = Finding::new("listeners", format!("bind {bind}"), Verdict::Info).because(reason);
    finding.measured("not an address of this machine").mend(format!("sysctl -w {name}=1"))
}

fn local_ports(machine: &Machine) -> Option<(u16, u16)> {
    let text = machine.sysctl("net.ipv4.ip_local_port_range")?;
    let (first, last) = text.split_once(' ')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn own_addresses(machine: &Machine) -> Option<Vec<IpAddr>> {
    let text = machine.ask("ip", &["-j", "address", "show"])?;
    let links: serde_json::Value = serde_json::from_str(&text).ok()?;
    let infos = links.as_array()?.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
    Some(infos.filter_map(|info| info["local"].as_str()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    const OWN: &str = r#"[{"ifname": "eth0", "addr_info": [{"local": "192.168.1.113", "prefixlen": 24}]}]"#;

    fn found(bind: &str) -> Vec<Finding> {
        let laboratory = Laboratory::new();
        laboratory.sysctl("net.ipv4.ip_local_port_range", "10001\t65000");
        findings(&laboratory.machine(&[("ip -j address show", OWN)]), &[bind.parse().expect("an address")])
    }

    // row: 38
    #[test]
    fn a_port_that_outgoing_connections_use_is_a_warning() {
        assert_eq!(found("192.168.1.113:20000")[0].verdict, Verdict::Warning);
        assert!(found("192.168.1.113:80").is_empty());
    }

    // row: 10
    #[test]
    fn an_address_that_is_elsewhere_now_is_told() {
        assert_eq!(found("192.168.1.200:80")[0].measured, "not an address of this machine");
        assert!(found("0.0.0.0:80").is_empty() && found("127.0.0.1:80").is_empty());
    }
}
