//! `show resolvers`: what every name server was asked and answered.

use super::session::{Outcome, Reply, Session, word};
use crate::resolve::{Counters, SectionView};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub fn show(session: &mut Session, words: &[&str]) -> Outcome {
    let name = word(words, 2);
    let sections = &session.shared().resolve.sections;
    let wanted: Vec<&SectionView> =
        sections.iter().filter(|section| name.is_empty() || section.name == name).collect();
    if wanted.is_empty() && !name.is_empty() {
        return Err(Reply::error("Can't find that resolvers section\n"));
    }
    let mut out = String::new();
    for section in wanted {
        let _ = writeln!(out, "Resolvers section {}", section.name);
        for nameserver in &section.nameservers {
            let _ = writeln!(out, " nameserver {}:", nameserver.name);
            for (label, counter) in labelled(&nameserver.counters) {
                let count = counter.map_or(0, |counter| counter.load(Relaxed));
                let _ = writeln!(out, "  {:<13}{count}", format!("{label}:"));
            }
        }
    }
    Ok(Reply::Dump(out))
}

// `None`: nothing of the kind happens here. Aliases are followed, and answers of any size are read.
fn labelled(counters: &Counters) -> [(&'static str, Option<&AtomicU64>); 15] {
    [
        ("sent", Some(&counters.sent)),
        ("snd_error", Some(&counters.send_errors)),
        ("valid", Some(&counters.valid)),
        ("update", Some(&counters.updates)),
        ("cname", None),
        ("cname_error", None),
        ("any_err", Some(&counters.empty)),
        ("nx", Some(&counters.no_such_name)),
        ("timeout", Some(&counters.timeouts)),
        ("refused", Some(&counters.refused)),
        ("other", Some(&counters.other)),
        ("invalid", Some(&counters.invalid)),
        ("too_big", None),
        ("truncated", Some(&counters.truncated)),
        ("outdated", Some(&counters.outdated)),
    ]
}
