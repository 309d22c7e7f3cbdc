//! Mistakes in the shell scripts of a load balancer: firewall rules, real servers' addresses, loops over sockets, calls of
//! ipvsadm. Reads lines, not the shell's language.

use diag::{Diagnostic, FileId, Report, Sources, Span};

/// Reports every mistake of one script that is in `sources`.
pub fn judge(file: FileId, sources: &Sources, report: &mut Report) {
    let text = String::from_utf8_lossy(sources.text(file)).into_owned();
    let mut start = 0;
    let mut counts_cpus = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let indent = bare.len() - bare.trim_start().len();
        let at = |offset: usize| u32::try_from(start + offset).unwrap_or(u32::MAX);
        let span = Span { file, start: at(indent), end: at(bare.len()) };
        start += line.len();
        let command = bare.trim_start();
        if command.is_empty() {
            continue;
        }
        if command.starts_with('#') {
            ipvsadm_comment(command, span, report);
            continue;
        }
        if command.contains("/proc/cpuinfo") || command.contains("nproc") {
            counts_cpus = Some(span);
        }
        firewall(command, span, report);
        route(command, span, report);
        translation(command, span, report);
        alias(command, span, report);
        ipvsadm_comment(command, span, report);
        ipvsadm(command, span, report);
        if let Some(count) = counts_cpus
            && command.contains("admin.sock$")
        {
            report.push(
                Diagnostic::warning(
                    span,
                    "the loop asks one socket for each CPU; sockets exist for each `stats socket` line",
                )
                .with_note(count, "the CPUs are counted here")
                .with_help(
                    "one socket controls the whole program: \
                     echo \"disable server $1/$2\" | socat stdio /run/haproxy/admin.sock1",
                ),
            );
        }
    }
}

/// row 44: adverts go to 224.0.0.18.
fn firewall(command: &str, span: Span, report: &mut Report) {
    let speaks_vrrp =
        command.contains("--protocol vrrp") || command.contains("-p vrrp") || command.contains("-p 112");
    if !speaks_vrrp {
        return;
    }
    let mut words = command.split_whitespace();
    let target = words.find(|word| matches!(*word, "--destination" | "-d")).and(words.next());
    if let Some(target) = target
        && target.split('/').next() != Some("224.0.0.18")
    {
        report.push(
            Diagnostic::warning(span, format!("adverts do not go to {target} unless it is a unicast_peer"))
                .with_note(
                    None,
                    "without unicast peers VRRP is sent to the group 224.0.0.18 (IPv6: ff02::12)",
                )
                .with_help(
                    "write `--destination 224.0.0.18`; nft: `ip daddr 224.0.0.18 ip protocol vrrp accept`",
                ),
        );
    }
}

/// row 314: `route add -host VIP lo:0` takes `lo:0` for an option.
fn route(command: &str, span: Span, report: &mut Report) {
    let words: Vec<&str> = command.split_whitespace().collect();
    if let ["route", "add", "-host", address, rest @ ..] = words.as_slice()
        && !rest.is_empty()
        && !rest.contains(&"dev")
        && !rest.contains(&"gw")
    {
        report.push(
            Diagnostic::warning(span, format!("`route add` needs `dev` before `{}`", rest[0])).with_help(
                format!(
                    "write `route add -host {address} dev {}`, or: ip addr add {address}/32 dev lo",
                    rest[0]
                ),
            ),
        );
    }
}

/// row 310, 311: tables that belong to everybody, and rules that pile up.
fn translation(command: &str, span: Span, report: &mut Report) {
    let words: Vec<&str> = command.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    let program = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or_default());
    if program == "nft" && words.get(1..3) == Some(&["flush", "ruleset"]) {
        report.push(
            Diagnostic::warning(span, "this removes the rules of every program on the machine")
                .with_help("keep rules in a table of your own and flush that: `nft flush table ip NAME`"),
        );
    }
    let is_of_nat = words.windows(2).any(|pair| matches!(pair[0], "-t" | "--table") && pair[1] == "nat");
    if !matches!(program, "iptables" | "ip6tables" | "iptables-nft" | "iptables-legacy") || !is_of_nat {
        return;
    }
    let clears = |word: &&&str| matches!(**word, "-F" | "--flush" | "-X" | "--delete-chain");
    if words.iter().find(clears).is_some_and(|word| words.last() == Some(word)) {
        report.push(
            Diagnostic::warning(span, "this removes the address translation of every program on the machine")
                .with_note(
                    None,
                    "port forwards, containers and virtual machines lose theirs; nothing puts it back",
                )
                .with_help(
                    "remove your own rule alone (-D in place of -A), or keep rules in a table of your own: \
                 `nft flush table ip NAME`; hawser never touches another program's table",
                ),
        );
    }
    let adds = words.iter().any(|word| matches!(*word, "-A" | "--append"));
    if adds && words.contains(&"MASQUERADE") {
        let rest = words[1..].join(" ");
        let asked = rest.replacen("-A", "-C", 1).replacen("--append", "--check", 1);
        report.push(
            Diagnostic::notice(span, "run twice, the rule is there twice")
                .with_note(
                    None,
                    "packets of IPVS are translated by it only with `sysctl -w net.ipv4.vs.conntrack=1`",
                )
                .with_help(format!("write `{program} {asked} || {program} {rest}`")),
        );
    }
}

/// row 313: an address as an alias, by a command that cannot be repeated.
fn alias(command: &str, span: Span, report: &mut Report) {
    let words: Vec<&str> = command.split_whitespace().collect();
    if let ["ifconfig", label, address, rest @ ..] = words.as_slice()
        && let Some((interface, _)) = label.split_once(':')
        && interface != "lo"
        && rest.contains(&"255.255.255.255")
    {
        report.push(
            Diagnostic::notice(span, "the route behind this line fails when the script runs again")
                .with_note(None, "`route add -host` prints `SIOCADDRT: File exists` the second time")
                .with_help(format!(
                    "write `ip address replace {address}/32 dev {interface} label {label}`: it can be repeated, and \
                     needs no route"
                )),
        );
    }
}

/// row 303: `-m` is NAT, `-w` is the weight.
fn ipvsadm_comment(line: &str, span: Span, report: &mut Report) {
    let Some((_, comment)) = line.split_once('#') else { return };
    let lower = comment.to_ascii_lowercase();
    if lower.contains("-w") && lower.contains("nat") && !lower.contains("-m") {
        report.push(
            Diagnostic::notice(span, "`-w` is the weight of a real server; NAT is `-m`")
                .with_note(None, "`-g` is direct routing, `-i` a tunnel"),
        );
    }
}

fn ipvsadm(command: &str, span: Span, report: &mut Report) {
    let words: Vec<&str> = command.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    let calls = words.first().is_some_and(|word| {
        let name = word.trim_matches(['"', '\'']).rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        name.contains("ipvs") || name == "$ipv"
    });
    if !calls || !words.contains(&"-a") {
        return;
    }
    if !words
        .iter()
        .any(|word| matches!(*word, "-m" | "-g" | "-i" | "--masquerading" | "--gatewaying" | "--ipip"))
    {
        report.push(
            Diagnostic::notice(
                span,
                "without -m, -g or -i the real server is reached by direct routing (-g)",
            )
            .with_note(None, "`-w` is its weight and says nothing of that"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diag::Severity;

    fn judged(text: &str) -> String {
        let mut sources = Sources::default();
        let file = sources.add("x.sh", text.as_bytes().to_vec());
        let mut report = Report::default();
        judge(file, &sources, &mut report);
        diag::render(&report, &sources, Severity::Notice)
    }

    // row: 44, 196, 303, 310, 314
    #[test]
    fn the_mistakes_of_copied_scripts_are_named_with_their_line() {
        for (script, expected) in [
            (
                "firewall-cmd --direct --permanent --add-rule ipv4 filter INPUT 0 --in-interface ens33 --destination 192.168.1.114 --protocol vrrp -j ACCEPT\n",
                "224.0.0.18",
            ),
            (
                "#!/bin/sh\nroute add -host $vip lo:0\n",
                "x.sh:2:1: warning: `route add` needs `dev` before `lo:0`",
            ),
            ("$IPVSADM -a -t $vip:80 -r $rs1:80 -m -w 1 # -w: NAT\n", "NAT is `-m`"),
            ("ipvsadm -a -t 1.2.3.4:80 -r 10.0.0.1:80 -w 1\n", "by direct routing"),
            (
                "iptables -t nat -F\n",
                "x.sh:1:1: warning: this removes the address translation of every program",
            ),
            ("iptables -t nat -X # all\n", "`nft flush table ip NAME`"),
            ("nft flush ruleset\n", "the rules of every program"),
            (
                "iptables -t nat -A POSTROUTING -s 192.168.1.0/24 -j MASQUERADE\n",
                "`iptables -t nat -C POSTROUTING -s 192.168.1.0/24 -j MASQUERADE || iptables -t nat -A ",
            ),
            (
                "ifconfig ens33:2 $vip broadcast $vip netmask 255.255.255.255 up\n",
                "`ip address replace $vip/32 dev ens33 label ens33:2`",
            ),
            (
                "cpus=`cat /proc/cpuinfo |grep processor |wc -l`\nfor ((i=1; i<=$cpus; i++)); do\n    echo \"enable server $1/$2\" | socat stdio /run/haproxy/admin.sock$i\ndone\n",
                "one socket for each CPU",
            ),
        ] {
            let text = judged(script);
            assert!(text.contains(expected), "{script}: {text}");
        }
    }

    #[test]
    fn scripts_without_mistakes_are_left_alone() {
        for script in [
            "route add -host $vip dev ens33:2\n",
            "firewall-cmd --add-rule ipv4 filter INPUT 0 --destination 224.0.0.18 --protocol vrrp -j ACCEPT\n",
            "$ipv -a -t $vip:80 -r $rs1:80 -g -w 1\n",
            "iptables -t nat -F MINE\niptables -t filter -F\nnft flush table ip mine\n",
            "ifconfig lo:0 $vip broadcast $vip netmask 255.255.255.255 up\n",
        ] {
            assert_eq!(judged(script), "", "{script}");
        }
    }
}
