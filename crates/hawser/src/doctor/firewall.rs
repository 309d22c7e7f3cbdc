//! Whether the machine's packet filter lets VRRP (protocol 112) in and out, by reading nftables' rules as JSON. A rule that
//! cannot be judged from outside counts as not matching, and the finding says that this is a reading, not a trial.

use super::finding::{Finding, Verdict};
use super::machine::Machine;
use super::role::Role;
use serde_json::Value;

const LIST: (&str, &[&str]) = ("nft", &["-j", "list", "ruleset"]);
const VRRP_NAME: &str = "vrrp";
const VRRP_NUMBER: u64 = 112;

/// What the filter does with adverts on one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Passage {
    Passes,
    /// Dropped by a rule or by a chain's policy: its family, table and name.
    Dropped {
        chain: String,
    },
}

pub fn findings(machine: &Machine, role: Role) -> Vec<Finding> {
    if !role.holds_virtual_addresses() {
        return Vec::new();
    }
    let Some(text) = machine.ask(LIST.0, LIST.1) else {
        let finding = Finding::new("firewall", "VRRP (protocol 112)", Verdict::Info);
        let reason = "nft is not installed or may not be asked (root): no statement about the packet filter";
        return vec![finding.measured("unknown").because(reason)];
    };
    let rules: Value = serde_json::from_str(&text).unwrap_or_default();
    let entries = rules["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    ["input", "output"].iter().map(|hook| one(entries, hook)).collect()
}

fn one(entries: &[Value], hook: &str) -> Finding {
    let finding = |verdict| Finding::new("firewall", format!("VRRP (protocol 112) at {hook}"), verdict);
    match passage(entries, hook) {
        Passage::Passes => {
            finding(Verdict::Good).measured("passes").because("read from the rules, not tried")
        }
        Passage::Dropped { chain } => finding(Verdict::Bad)
            .measured(format!("dropped by the chain `{chain}`"))
            .wanted("accepted")
            .because("a node that does not hear the other's adverts becomes master beside it")
            .mend(mend(hook, &chain)),
    }
}

/// The same in the words of both tools; 224.0.0.18 is where multicast adverts go, unicast ones to the peer.
fn mend(hook: &str, chain: &str) -> String {
    let (flag, upper) =
        if hook == "input" { ("--in-interface", "INPUT") } else { ("--out-interface", "OUTPUT") };
    format!(
        "nft insert rule {chain} meta l4proto 112 accept; or firewall-cmd --direct --permanent --add-rule ipv4 \
         filter {upper} 0 {flag} IF --destination 224.0.0.18 --protocol vrrp -j ACCEPT, then firewall-cmd --reload (for \
         unicast_peer the peer's address in place of 224.0.0.18)"
    )
}

/// A packet passes when every base chain of the hook lets it.
fn passage(entries: &[Value], hook: &str) -> Passage {
    let chains = entries.iter().filter_map(|entry| entry.get("chain"));
    let of_hook = chains.filter(|chain| chain["hook"] == hook && chain["type"] == "filter");
    for chain in of_hook.filter(|chain| matches!(chain["family"].as_str(), Some("ip" | "inet"))) {
        let verdict = verdict_of_chain(entries, chain);
        let is_dropped = match verdict {
            Some("accept") => false,
            Some("drop" | "reject") => true,
            Some(_) | None => chain["policy"] == "drop",
        };
        if is_dropped {
            let names = ["family", "table", "name"].map(|key| chain[key].as_str().unwrap_or_default());
            return Passage::Dropped { chain: names.join(" ") };
        }
    }
    Passage::Passes
}

/// The verdict of the first rule of a base chain that takes every VRRP packet.
fn verdict_of_chain<'e>(entries: &'e [Value], chain: &Value) -> Option<&'e str> {
    let is_of_chain = |rule: &&Value| {
        rule["family"] == chain["family"] && rule["table"] == chain["table"] && rule["chain"] == chain["name"]
    };
    let rules = entries.iter().filter_map(|entry| entry.get("rule")).filter(is_of_chain);
    rules.filter_map(|rule| verdict_of_rule(rule["expr"].as_array()?)).next()
}

/// The verdict of a rule for VRRP, where all its conditions are ones we know to hold: protocol 112, or the multicast
/// address of adverts.
fn verdict_of_rule(expressions: &[Value]) -> Option<&'static str> {
    let mut verdict = None;
    for expression in expressions {
        let object = expression.as_object()?;
        let (kind, body) = object.iter().next()?;
        match kind.as_str() {
            "match" if holds(body) => {}
            "counter" | "log" | "comment" => {}
            "accept" => verdict = Some("accept"),
            "drop" => verdict = Some("drop"),
            "reject" => verdict = Some("reject"),
            // A condition or a jump that cannot be judged.
            _ => return None,
        }
    }
    verdict
}

fn holds(condition: &Value) -> bool {
    if condition["op"] != "==" {
        return false;
    }
    let (left, right) = (&condition["left"], &condition["right"]);
    let is_protocol = left["meta"]["key"] == "l4proto"
        || (left["payload"]["protocol"] == "ip" && left["payload"]["field"] == "protocol");
    let is_destination = left["payload"]["protocol"] == "ip" && left["payload"]["field"] == "daddr";
    // A condition on an interface may or may not be the right one; adverts use one interface, and its rule names it.
    let is_interface = left["meta"]["key"] == "iifname" || left["meta"]["key"] == "oifname";
    let says = |value: &Value| {
        (is_protocol && (value == VRRP_NAME || value == VRRP_NUMBER))
            || (is_destination && value == "224.0.0.18")
    };
    match right["set"].as_array() {
        Some(members) => members.iter().any(says),
        None => says(right) || (is_interface && right != "lo"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    fn verdicts(rules: &str) -> Vec<Verdict> {
        let laboratory = Laboratory::new();
        let machine = laboratory.machine(&[("nft -j list ruleset", rules)]);
        findings(&machine, Role::Proxy).into_iter().map(|finding| finding.verdict).collect()
    }

    const CHAINS: &str = r#"
        {"chain": {"family": "inet", "table": "filter", "name": "in", "type": "filter", "hook": "input", "policy": "drop"}},
        {"chain": {"family": "inet", "table": "filter", "name": "out", "type": "filter", "hook": "output", "policy": "accept"}}"#;

    // row: 44
    #[test]
    fn a_closed_input_chain_stops_adverts() {
        assert_eq!(verdicts(&format!("{{\"nftables\": [{CHAINS}]}}")), [Verdict::Bad, Verdict::Good]);
    }

    // row: 44
    #[test]
    fn a_rule_for_protocol_112_lets_them_through() {
        let rule = r#"{"rule": {"family": "inet", "table": "filter", "chain": "in", "expr": [
            {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "ens0"}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "224.0.0.18"}},
            {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "vrrp"}}, {"accept": null}]}}"#;
        assert_eq!(
            verdicts(&format!("{{\"nftables\": [{CHAINS}, {rule}]}}")),
            [Verdict::Good, Verdict::Good]
        );
        let other = rule.replace("\"vrrp\"", "\"tcp\"");
        assert_eq!(
            verdicts(&format!("{{\"nftables\": [{CHAINS}, {other}]}}")),
            [Verdict::Bad, Verdict::Good]
        );
    }

    // row: 44, 45
    #[test]
    fn the_mend_is_given_for_both_tools_and_says_to_reload() {
        let laboratory = Laboratory::new();
        let rules = format!("{{\"nftables\": [{CHAINS}]}}");
        let found = findings(&laboratory.machine(&[("nft -j list ruleset", &rules)]), Role::Proxy);
        assert!(found[0].mend.starts_with("nft insert rule inet filter in meta l4proto 112 accept; or "));
        assert!(found[0].mend.contains("224.0.0.18"));
        assert!(found[0].mend.contains("firewall-cmd --reload"));
    }

    #[test]
    fn without_nft_nothing_is_claimed() {
        let laboratory = Laboratory::new();
        let found = findings(&laboratory.machine(&[]), Role::Proxy);
        assert_eq!((found.len(), found[0].verdict), (1, Verdict::Info));
    }
}
