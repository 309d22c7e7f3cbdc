//! What the doctor found, and how it is printed: for people and as JSON. Judges nothing.

use serde_json::{Value, json};

/// How much a finding matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Good,
    /// Worth knowing; nothing to do.
    Info,
    /// Works, and will hurt some day.
    Warning,
    /// Something asked for cannot work like this.
    Bad,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Info => "info",
            Verdict::Warning => "warning",
            Verdict::Bad => "bad",
        }
    }
}

/// One thing that was measured on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which group it is printed under: `sysctl`, `limits`, …
    pub area: &'static str,
    /// What was looked at: a sysctl, a limit, a path.
    pub subject: String,
    pub verdict: Verdict,
    pub measured: String,
    /// Empty where nothing is wanted.
    pub wanted: String,
    pub reason: String,
    /// A command or a line of configuration that mends it; empty where there is none.
    pub mend: String,
}

impl Finding {
    pub fn new(area: &'static str, subject: impl Into<String>, verdict: Verdict) -> Self {
        Finding {
            area,
            subject: subject.into(),
            verdict,
            measured: String::new(),
            wanted: String::new(),
            reason: String::new(),
            mend: String::new(),
        }
    }

    pub fn measured(mut self, text: impl Into<String>) -> Self {
        self.measured = text.into();
        self
    }

    pub fn wanted(mut self, text: impl Into<String>) -> Self {
        self.wanted = text.into();
        self
    }

    pub fn because(mut self, text: impl Into<String>) -> Self {
        self.reason = text.into();
        self
    }

    pub fn mend(mut self, text: impl Into<String>) -> Self {
        self.mend = text.into();
        self
    }
}

/// The report for people: what should be mended; with `all` everything that was looked at.
pub fn plain(findings: &[Finding], all: bool) -> String {
    let mut text = String::new();
    let mut area = "";
    for finding in findings.iter().filter(|finding| all || finding.verdict > Verdict::Info) {
        if finding.area != area {
            area = finding.area;
            text.push_str(&format!("{}{area}\n", if text.is_empty() { "" } else { "\n" }));
        }
        text.push_str(&format!("  {:8}{}", finding.verdict.name(), finding.subject));
        if !finding.measured.is_empty() {
            text.push_str(&format!(" = {}", finding.measured));
        }
        if !finding.wanted.is_empty() && finding.verdict != Verdict::Good {
            text.push_str(&format!(" (wanted: {})", finding.wanted));
        }
        text.push('\n');
        if !finding.reason.is_empty() {
            text.push_str(&format!("          {}\n", finding.reason));
        }
        if !finding.mend.is_empty() && finding.verdict > Verdict::Info {
            text.push_str(&format!("          mend: {}\n", finding.mend));
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    text.push_str(&format!(
        "{}{} bad, {} warnings, {} to know, {} good{}\n",
        if text.is_empty() { "" } else { "\n" },
        count(Verdict::Bad),
        count(Verdict::Warning),
        count(Verdict::Info),
        count(Verdict::Good),
        if all { "" } else { " (--all shows them)" }
    ));
    text
}

/// The whole report for programs: an object with `findings` and the count of each verdict.
pub fn json(findings: &[Finding]) -> String {
    let list: Vec<Value> = findings.iter().map(one).collect();
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let whole = json!({
        "findings": list,
        "bad": count(Verdict::Bad),
        "warnings": count(Verdict::Warning),
        "info": count(Verdict::Info),
        "good": count(Verdict::Good),
    });
    format!("{whole:#}\n")
}

fn one(finding: &Finding) -> Value {
    json!({
        "area": finding.area,
        "subject": finding.subject,
        "verdict": finding.verdict.name(),
        "measured": finding.measured,
        "wanted": finding.wanted,
        "reason": finding.reason,
        "mend": finding.mend,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::new("sysctl", "net.ipv4.tcp_sack", Verdict::Good).measured("1"),
            Finding::new("sysctl", "net.ipv4.ip_forward", Verdict::Bad)
                .measured("0")
                .wanted("1")
                .because("NAT forwards packets")
                .mend("sysctl -w net.ipv4.ip_forward=1"),
        ]
    }

    #[test]
    fn people_see_measured_wanted_reason_and_mend_of_what_is_not_good() {
        let text = plain(&findings(), false);
        assert!(
            text.contains("bad     net.ipv4.ip_forward = 0 (wanted: 1)\n          NAT forwards packets\n"),
            "{text}"
        );
        assert!(text.contains("mend: sysctl -w net.ipv4.ip_forward=1"), "{text}");
        assert!(!text.contains("tcp_sack"), "{text}");
        assert!(plain(&findings(), true).contains("good    net.ipv4.tcp_sack = 1"));
    }

    #[test]
    fn programs_get_every_finding_and_the_counts() {
        let value: Value = serde_json::from_str(&json(&findings())).expect("JSON");
        assert_eq!(value["bad"], 1);
        assert_eq!(value["findings"][1]["wanted"], "1");
    }
}
