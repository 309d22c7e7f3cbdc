//! Which language a file is in: by its name where that tells, else by its first lines.

use std::io::{self, Read};
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Proxy,
    Keepalived,
    Sysctl,
    Limits,
    /// A shell script, or a list of commands.
    Script,
}

/// The most that is read of a file to judge it, in bytes.
const LENGTH_MAX: u64 = 4 << 20;

/// Words that open a section of haproxy.cfg.
const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "resolvers",
    "mailers",
    "ring",
    "cache",
    "http-errors",
    "program",
    "log-forward",
    "fcgi-app",
    "crt-store",
];

/// Programs that the scripts of a load balancer call.
const PROGRAMS: &[&str] =
    &["ipvsadm", "firewall-cmd", "iptables", "ifconfig", "route", "ip", "nft", "systemctl", "echo", "sysctl"];

/// The beginning of a file.
///
/// # Errors
/// What opening or reading it says.
pub fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(LENGTH_MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// `None`: nothing that is known.
pub fn of(path: &Path, text: &[u8]) -> Option<Kind> {
    let name = path.to_string_lossy();
    match crate::doctor::files::kind(&name) {
        Some(crate::doctor::files::Kind::Sysctl) => return Some(Kind::Sysctl),
        Some(crate::doctor::files::Kind::Limits) => return Some(Kind::Limits),
        None => {}
    }
    if text.starts_with(b"#!") || name.ends_with(".sh") {
        return Some(Kind::Script);
    }
    let text = String::from_utf8_lossy(text);
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    lines.find_map(of_line)
}

fn of_line(line: &str) -> Option<Kind> {
    let first = line.split_whitespace().next()?;
    let is_block = line.ends_with('{') || line.contains(" {");
    if SECTIONS.contains(&first) && !is_block {
        return Some(Kind::Proxy);
    }
    if is_block || first.starts_with(['@', '$']) || first == "include" {
        return Some(Kind::Keepalived);
    }
    // `/sbin/ipvsadm -C` on a line of its own.
    let program = first.rsplit('/').next().unwrap_or(first);
    PROGRAMS.contains(&program).then_some(Kind::Script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_what_is_in_them() {
        for (name, text, kind) in [
            ("a", "# x\n\nglobal\n daemon\n", Some(Kind::Proxy)),
            ("a", "! x\nvrrp_instance VI_1 {\n", Some(Kind::Keepalived)),
            ("a", "include /etc/keepalived/*.conf\n", Some(Kind::Keepalived)),
            ("a", "$ADDRESS=10.0.0.1\n", Some(Kind::Keepalived)),
            ("a", "#!/bin/bash\nvip=1\n", Some(Kind::Script)),
            ("a", "/sbin/ipvsadm -C\n", Some(Kind::Script)),
            ("/etc/sysctl.conf", "net.ipv4.ip_forward = 1\n", Some(Kind::Sysctl)),
            ("limits.conf", "* soft nofile 1\n", Some(Kind::Limits)),
            ("a", "hello\n", None),
        ] {
            assert_eq!(of(Path::new(name), text.as_bytes()), kind, "{name}: {text}");
        }
    }
}
