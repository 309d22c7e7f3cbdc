//! `cargo xtask test`: owns the order of every check before a change counts as good, never the checks themselves.

use std::process::Command;
use std::time::Instant;

use crate::command::{cargo, is_installed, is_root, must};

/// A program that tests start, and Debian's package of it.
const NEEDED: &[(&str, &str)] = &[
    ("haproxy", "haproxy"),
    ("nginx", "nginx-light"),
    ("varnishtest", "varnish"),
    ("socat", "socat"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("h2load", "nghttp2-client"),
    ("tcpdump", "tcpdump"),
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("ping", "iputils-ping"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("vtysh", "frr"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("promtool", "prometheus"),
    ("wrk", "wrk"),
    ("snmpd", "snmpd"),
    ("snmpbulkwalk", "snmp"),
    ("snmptrapd", "snmptrapd"),
];

pub fn run(arguments: &[String]) -> Result<(), String> {
    if !arguments.is_empty() {
        return Err("takes no arguments".to_owned());
    }
    let start = Instant::now();
    packages()?;
    must(&mut cargo(&["fmt", "--all", "--check"]))?;
    must(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // The scenarios start this binary; building tests alone would not make it.
    must(&mut cargo(&["build", "--package", "hawser"]))?;
    crate::fuzz::check()?;
    crate::xdp::check()?;
    crate::acceptance::run(&[])?;
    crate::parity::run(&["--dry-run".to_owned()])?;
    println!("prepared in {} s", start.elapsed().as_secs());
    // Last, so that the runner's own summary is the last line.
    if is_installed("cargo-nextest") {
        let rest = must(&mut cargo(&["nextest", "run", "--workspace", "-E", "not package(vm)"]));
        // Alone: an emulated machine takes a whole core, and labs beside it miss their moments.
        let guests = must(&mut cargo(&["nextest", "run", "--workspace", "-E", "package(vm)"]));
        rest.and(guests)
    } else {
        must(&mut cargo(&["test", "--workspace", "--no-fail-fast"]))
    }
}

/// Installs what is missing, or says exactly what is.
fn packages() -> Result<(), String> {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !is_installed(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        return Err(format!("missing packages, install them: apt-get install {}", missing.join(" ")));
    }
    must(Command::new("apt-get").arg("update"))?;
    must(
        Command::new("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}
