//! What a real server behind a director needs: the virtual address on `lo` and silence about it (direct routing, tunnels), or
//! the director as its gateway (translation).

use super::finding::{Finding, Verdict};
use super::machine::Machine;
use serde_json::Value;
use std::net::Ipv4Addr;

/// How packets reach the real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// The virtual address arrives as it is: direct routing, or out of a tunnel.
    Direct,
    /// The director rewrote the address; answers must go back through it.
    Translated { director: Ipv4Addr },
}

/// Looks at addresses and routes by ip(8).
pub fn findings(
    machine: &Machine,
    virtual_address: Option<Ipv4Addr>,
    forwarding: Forwarding,
) -> Vec<Finding> {
    match forwarding {
        Forwarding::Direct => {
            virtual_address.map(|address| on_loopback(machine, address)).into_iter().collect()
        }
        Forwarding::Translated { director } => vec![gateway(machine, director)],
    }
}

fn on_loopback(machine: &Machine, address: Ipv4Addr) -> Finding {
    let finding = |verdict| {
        Finding::new("real server", format!("{address} on lo"), verdict)
            .wanted(format!("{address}/32 on lo"))
            .because("packets arrive addressed to the virtual address: the kernel must know it as its own, on no network")
            .mend(format!("ip address replace {address}/32 dev lo label lo:0 (can be repeated; no route is needed)"))
    };
    let Some(links) = asked(machine, &["-j", "address", "show"]) else {
        return finding(Verdict::Info).measured("unknown: ip(8) gives no answer");
    };
    let Some((name, length)) = holder(&links, address) else {
        return finding(Verdict::Bad).measured("not on this machine");
    };
    let found = |verdict| finding(verdict).measured(format!("{address}/{length} on {name}"));
    match (name, length) {
        ("lo", 32) => found(Verdict::Good),
        ("lo", _) => found(Verdict::Bad).because(
            "a shorter prefix on lo makes the whole network local: nothing of it can be reached any more",
        ),
        _ => found(Verdict::Bad).because(
            "on a network interface the real server answers ARP for it and takes the director's traffic",
        ),
    }
}

/// The interface that has an address, and the length of its prefix.
fn holder(links: &Value, address: Ipv4Addr) -> Option<(&str, u64)> {
    let text = address.to_string();
    links.as_array()?.iter().find_map(|link| {
        let info = link["addr_info"].as_array()?.iter().find(|info| info["local"] == text.as_str())?;
        Some((link["ifname"].as_str()?, info["prefixlen"].as_u64()?))
    })
}

fn gateway(machine: &Machine, director: Ipv4Addr) -> Finding {
    let finding = |verdict| {
        Finding::new("real server", "default gateway", verdict)
            .wanted(director.to_string())
            .because("answers must pass the director, which puts the virtual address back into them")
            .mend(format!("ip route replace default via {director}"))
    };
    let Some(routes) = asked(machine, &["-j", "route", "show", "default"]) else {
        return finding(Verdict::Info).measured("unknown: ip(8) gives no answer");
    };
    let list: Vec<&Value> = routes.as_array().into_iter().flatten().collect();
    // The lowest metric wins; a route without one has 0.
    let first = list.iter().min_by_key(|route| route["metric"].as_u64().unwrap_or(0));
    let Some(first) = first else { return finding(Verdict::Bad).measured("no default route") };
    let via = first["gateway"].as_str().unwrap_or("none");
    let measured = match list.len() {
        1 => via.to_owned(),
        count => format!("{via} (the first of {count} default routes)"),
    };
    let verdict = match (via == director.to_string(), list.len()) {
        (true, 1) => Verdict::Good,
        (true, _) => Verdict::Warning,
        (false, _) => Verdict::Bad,
    };
    finding(verdict).measured(measured)
}

fn asked(machine: &Machine, words: &[&str]) -> Option<Value> {
    serde_json::from_str(&machine.ask("ip", words)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 200);
    const DIRECTOR: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 113);

    fn with_address(interface: &str, length: u8) -> Finding {
        let text = format!(
            r#"[{{"ifname": "{interface}", "addr_info": [{{"local": "192.168.1.200", "prefixlen": {length}, "label": "lo:0"}}]}}]"#
        );
        let machine = Laboratory::new().machine(&[("ip -j address show", &text)]);
        findings(&machine, Some(ADDRESS), Forwarding::Direct).remove(0)
    }

    // row: 314
    #[test]
    fn the_virtual_address_belongs_on_lo_alone_with_all_its_bits() {
        assert_eq!(with_address("lo", 32).verdict, Verdict::Good);
        assert_eq!(with_address("lo", 24).verdict, Verdict::Bad);
        assert_eq!(with_address("eth0", 32).verdict, Verdict::Bad);
        assert!(
            with_address("eth0", 32).mend.contains("ip address replace 192.168.1.200/32 dev lo label lo:0")
        );
    }

    // row: 312
    #[test]
    fn with_translation_the_director_is_the_only_gateway() {
        let found = |routes: &str| {
            let machine = Laboratory::new().machine(&[("ip -j route show default", routes)]);
            findings(&machine, None, Forwarding::Translated { director: DIRECTOR }).remove(0).verdict
        };
        assert_eq!(found(r#"[{"gateway": "192.168.1.113"}]"#), Verdict::Good);
        assert_eq!(
            found(r#"[{"gateway": "192.168.1.113"}, {"gateway": "192.168.1.1", "metric": 100}]"#),
            Verdict::Warning
        );
        assert_eq!(found(r#"[{"gateway": "192.168.1.1"}]"#), Verdict::Bad);
        assert_eq!(found("[]"), Verdict::Bad);
    }
}
