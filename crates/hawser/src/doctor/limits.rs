//! Limits of the process and what it needs; the lines that give it more under PAM and under systemd.

use super::finding::{Finding, Verdict};
use super::machine::Machine;

struct Limit {
    /// The line of /proc/self/limits.
    kernel_name: &'static str,
    /// The word of limits.conf(5).
    pam_name: &'static str,
    /// The word of systemd.exec(5).
    unit_name: &'static str,
    /// The least that is comfortable; `None`: only told.
    least: Option<u64>,
    otherwise: Verdict,
    /// What `--emit-limits` writes; empty leaves it out.
    emitted: &'static str,
    reason: &'static str,
}

const LIMITS: &[Limit] = &[
    Limit {
        kernel_name: "Max core file size",
        pam_name: "core",
        unit_name: "LimitCORE",
        least: None,
        otherwise: Verdict::Info,
        emitted: "unlimited",
        reason: "a crash leaves a core file only up to this size",
    },
    Limit {
        kernel_name: "Max processes",
        pam_name: "nproc",
        unit_name: "LimitNPROC",
        least: Some(1024),
        otherwise: Verdict::Warning,
        emitted: "",
        reason: "threads count too: check scripts and workers need a few dozen, not hundreds of thousands",
    },
    Limit {
        kernel_name: "Max open files",
        pam_name: "nofile",
        unit_name: "LimitNOFILE",
        least: Some(65_536),
        otherwise: Verdict::Warning,
        emitted: "600000",
        reason: "a proxied connection is two files: `maxconn` is sized by the hard limit, and the soft one is raised to it \
                 at start",
    },
    Limit {
        kernel_name: "Max locked memory",
        pam_name: "memlock",
        unit_name: "LimitMEMLOCK",
        least: Some(32 << 20),
        otherwise: Verdict::Warning,
        emitted: "65536",
        reason: "failover locks its memory so that it never waits for the disk, and XDP programs map tables: both need some \
                 tens of megabytes",
    },
    Limit {
        kernel_name: "Max msgqueue size",
        pam_name: "msgqueue",
        unit_name: "LimitMSGQUEUE",
        least: None,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "POSIX message queues: no part of a load balancer uses them",
    },
    Limit {
        kernel_name: "Max stack size",
        pam_name: "stack",
        unit_name: "LimitSTACK",
        least: Some(1 << 20),
        otherwise: Verdict::Warning,
        emitted: "",
        reason: "the stack of the first thread",
    },
    Limit {
        kernel_name: "Max file locks",
        pam_name: "locks",
        unit_name: "LimitLOCKS",
        least: None,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "pid files are locked, nothing else",
    },
];

/// Every limit of the process that the doctor runs in. Services started by systemd have those of their unit.
pub fn findings(machine: &Machine) -> Vec<Finding> {
    let text = machine.text("/proc/self/limits").unwrap_or_default();
    LIMITS.iter().map(|limit| one(limit, &text)).collect()
}

fn one(limit: &Limit, text: &str) -> Finding {
    let finding = |verdict| Finding::new("limits", limit.pam_name, verdict).because(limit.reason);
    let Some((soft, hard)) = values(text, limit.kernel_name) else {
        return finding(Verdict::Info).measured("not in /proc/self/limits");
    };
    let measured = format!("{} soft, {} hard", shown(soft), shown(hard));
    let Some(least) = limit.least else { return finding(Verdict::Info).measured(measured) };
    // The soft limit is ours to raise; the hard one is the administrator's.
    let is_enough = hard.is_none_or(|hard| hard >= least);
    let verdict = if is_enough { Verdict::Good } else { limit.otherwise };
    finding(verdict).measured(measured).wanted(format!("{least} or more")).mend(format!(
        "`{}=` in the unit (systemd does not read limits.conf), or limits.conf for logins",
        limit.unit_name
    ))
}

/// Soft and hard value of one line; `None` inside is "unlimited".
fn values(text: &str, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
    Some((words.next()?, words.next()?))
}

fn shown(value: Option<u64>) -> String {
    value.map_or_else(|| "unlimited".to_owned(), |value| value.to_string())
}

/// What `--emit-limits` prints: lines for limits.conf(5), then for a unit.
pub fn emitted() -> String {
    let mut text = String::from("# /etc/security/limits.d/hawser.conf: logins (PAM)\n");
    let rows = || LIMITS.iter().filter(|limit| !limit.emitted.is_empty());
    for limit in rows() {
        for user in ["root", "*"] {
            for kind in ["soft", "hard"] {
                text.push_str(&format!("{user} {kind} {} {}\n", limit.pam_name, limit.emitted));
            }
        }
    }
    text.push_str(
        "\n# /etc/systemd/system/hawser.service.d/limits.conf: services (systemd ignores limits.conf)\n",
    );
    text.push_str("#[Service]\n");
    for limit in rows() {
        let value = if limit.pam_name == "memlock" {
            // limits.conf counts kilobytes here, systemd bytes.
            format!("{}K", limit.emitted)
        } else if limit.emitted == "unlimited" {
            "infinity".to_owned()
        } else {
            limit.emitted.to_owned()
        };
        text.push_str(&format!("#{}={value}\n", limit.unit_name));
    }
    text
}

/// Whether limits.conf(5) knows the item.
pub fn is_item(name: &str) -> bool {
    const OTHERS: &[&str] = &[
        "data",
        "fsize",
        "rss",
        "cpu",
        "as",
        "maxlogins",
        "maxsyslogins",
        "nonewprivs",
        "priority",
        "sigpending",
        "nice",
        "rtprio",
        "chroot",
    ];
    LIMITS.iter().any(|limit| limit.pam_name == name) || OTHERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    const LIMITS_TEXT: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    unlimited            bytes     
Max processes             127000               127000               processes 
Max open files            1024                 4096                 files     
Max locked memory         32768000             32768000             bytes     
Max file locks            unlimited            unlimited            locks     
Max msgqueue size         819200               819200               bytes     
";

    fn found(name: &str) -> Finding {
        let laboratory = Laboratory::new();
        laboratory.write("/proc/self/limits", LIMITS_TEXT);
        let all = findings(&laboratory.machine(&[]));
        all.into_iter().find(|finding| finding.subject == name).expect("a finding for every limit")
    }

    // row: 2, 3, 4, 6, 7, 8
    #[test]
    fn every_limit_is_shown_with_what_is_needed() {
        assert_eq!(found("core").measured, "0 soft, unlimited hard");
        assert_eq!(found("nproc").verdict, Verdict::Good);
        assert_eq!(
            (found("nofile").verdict, found("nofile").measured.as_str()),
            (Verdict::Warning, "1024 soft, 4096 hard")
        );
        assert_eq!(found("memlock").verdict, Verdict::Warning, "32000 KB are less than 32 MB");
        assert_eq!(found("msgqueue").verdict, Verdict::Info);
        assert_eq!(found("stack").verdict, Verdict::Good);
        assert_eq!(found("locks").measured, "unlimited soft, unlimited hard");
    }

    // row: 2, 3, 4
    #[test]
    fn the_emitted_lines_serve_pam_and_systemd() {
        let text = emitted();
        assert!(text.contains("root hard nofile 600000\n* soft nofile 600000\n"), "{text}");
        assert!(text.contains("#LimitCORE=infinity\n#LimitNOFILE=600000\n#LimitMEMLOCK=65536K\n"), "{text}");
    }
}
