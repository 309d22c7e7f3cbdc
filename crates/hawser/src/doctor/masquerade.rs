//! Masquerading on a director by translation: the packets of IPVS pass the kernel's source translation only where IPVS
//! keeps connection tracking. Reads rules, tries nothing.

use super::finding::{Finding, Verdict};
use super::machine::Machine;
use super::role::Role;
use serde_json::Value;

const CONNTRACK: &str = "net.ipv4.vs.conntrack";
const MEND: &str = "sysctl -w net.ipv4.vs.conntrack=1";

/// Nothing where nobody masquerades, or the kernel has no IPVS in use.
pub fn findings(machine: &Machine, role: Role) -> Vec<Finding> {
    let is_translating = match role {
        Role::DirectorNat => true,
        Role::Proxy | Role::DirectorDr | Role::DirectorTunnel | Role::RealServer => false,
    };
    if !is_translating || !masquerades(machine) {
        return Vec::new();
    }
    let Some(value) = machine.sysctl(CONNTRACK) else { return Vec::new() };
    let verdict = if value == "0" { Verdict::Warning } else { Verdict::Good };
    let finding = Finding::new("sysctl", CONNTRACK, verdict).measured(value).wanted("1");
    let reason = "a rule masquerades here, and packets that IPVS forwards pass by it while this is 0";
    vec![finding.because(reason).mend(MEND)]
}

fn masquerades(machine: &Machine) -> bool {
    let of_iptables = machine.ask("iptables", &["-t", "nat", "-S", "POSTROUTING"]).unwrap_or_default();
    let is_one = |line: &str| line.contains("-j MASQUERADE") || line.contains("-j SNAT");
    of_iptables.lines().any(is_one) || masquerades_by_nft(machine)
}

fn masquerades_by_nft(machine: &Machine) -> bool {
    let text = machine.ask("nft", &["-j", "list", "ruleset"]).unwrap_or_default();
    let rules: Value = serde_json::from_str(&text).unwrap_or_default();
    let entries = rules["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let expressions = entries.iter().filter_map(|entry| entry["rule"]["expr"].as_array()).flatten();
    let names = expressions.filter_map(Value::as_object).flat_map(|expression| expression.keys());
    names.into_iter().any(|name| name == "masquerade" || name == "snat")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    const IPTABLES: (&str, &str) = (
        "iptables -t nat -S POSTROUTING",
        "-P POSTROUTING ACCEPT\n-A POSTROUTING -s 192.168.1.0/24 -j MASQUERADE\n",
    );
    const NFT: (&str, &str) =
        ("nft -j list ruleset", r#"{"nftables": [{"rule": {"expr": [{"masquerade": null}]}}]}"#);

    fn found(tracks: &str, answers: &[(&str, &str)], role: Role) -> Vec<(Verdict, String)> {
        let laboratory = Laboratory::new();
        laboratory.sysctl(CONNTRACK, tracks);
        let found = findings(&laboratory.machine(answers), role);
        found.into_iter().map(|one| (one.verdict, one.mend)).collect()
    }

    // row: 311
    #[test]
    fn who_masquerades_needs_connection_tracking_in_ipvs() {
        for rules in [IPTABLES, NFT] {
            assert_eq!(found("0", &[rules], Role::DirectorNat), [(Verdict::Warning, MEND.to_owned())]);
            assert_eq!(found("1", &[rules], Role::DirectorNat)[0].0, Verdict::Good);
            assert_eq!(found("0", &[rules], Role::DirectorDr), []);
        }
        assert_eq!(found("0", &[("nft -j list ruleset", "{}")], Role::DirectorNat), []);
    }
}
