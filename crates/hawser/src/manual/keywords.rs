//! The keyword tables as pages.

use super::escaped;

/// Every keyword of haproxy.cfg, by its class.
pub fn haproxy() -> String {
    use haproxy_config::Status;
    let rows = haproxy_config::listing::all().into_iter().map(|row| {
        let note = match row.status {
            Status::Works => String::new(),
            Status::ParsedOnly(lack) => format!(" (read, without effect: {lack})"),
            Status::NoEffect => " (needs no effect here)".to_owned(),
            Status::Idle => " (accepted)".to_owned(),
            Status::Old(modern) => format!(" (old: write {modern})"),
            Status::Refused(reason) => format!(" (not supported: {reason})"),
        };
        (row.class, row.name, format!("{}{note}", row.summary))
    });
    sections(rows)
}

/// Every keyword of keepalived.conf, by its block.
pub fn keepalived() -> String {
    use keepalived_config::Status;
    let rows = keepalived_config::listing::all().into_iter().map(|row| {
        let note = match row.status {
            Status::Works => String::new(),
            Status::ParsedOnly(lack) => format!(" (read, without effect: {lack})"),
            Status::NoEffect => " (needs no effect here)".to_owned(),
            Status::Instead(other) => format!(" (accepted; use {other})"),
            Status::Old(modern) => format!(" (old: write {modern})"),
            Status::Refused(reason) => format!(" (not supported: {reason})"),
        };
        (row.block, row.name, format!("{}{note}", row.summary))
    });
    sections(rows)
}

fn sections(rows: impl Iterator<Item = (&'static str, &'static str, String)>) -> String {
    let mut out = String::new();
    let mut last = "";
    for (class, name, text) in rows {
        if class != last {
            last = class;
            out.push_str(&format!(".SH \"{}\"\n", class.to_uppercase()));
        }
        out.push_str(&format!(".TP\n.B {}\n{}\n", escaped(name), escaped(&text)));
    }
    out
}
