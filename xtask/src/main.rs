//! The workspace's own commands, `cargo xtask NAME`: owns their dispatch, never the work.

#![forbid(unsafe_code)]

mod acceptance;
mod bench;
mod bench_failover;
mod command;
mod deb;
mod director;
mod fuzz;
mod parity;
mod soak;
mod test;
mod testssl;
mod xdp;

use std::process::ExitCode;

type Run = fn(&[String]) -> Result<(), String>;

/// Name, what it does, function.
const COMMANDS: &[(&str, &str, Run)] = &[
    ("test", "format, lints, builds and every test; installs missing packages when root", test::run),
    ("acceptance", "the rows of docs/acceptance.md that no test proves yet", acceptance::run),
    ("parity", "our keywords against haproxy's and keepalived's; writes docs/compat", parity::run),
    ("bench", "hawser beside haproxy and nginx; `bench --help` tells its options", bench::run),
    (
        "bench-failover",
        "how long clients miss an address: keepalived beside hawser; `--help` tells its options",
        bench_failover::run,
    ),
    ("deb", "the Debian package, into target/deb", deb::run),
    ("fuzz", "runs the fuzz targets, 200 s each; `fuzz --help` tells its options", fuzz::run),
    ("soak-reload", "1,000 reloads under load: no request fails, memory stays", soak::reload),
    ("testssl", "testssl.sh against a listener with defaults and a hardened one: no weakness", testssl::run),
    (
        "bench-director",
        "the director: ns per packet beside plain C, packets/s beside nftables, loading 1,000 services",
        director::bench,
    ),
    ("fuzz-director", "any bytes through the director's XDP programs, SECONDS long (600)", director::fuzz),
    ("xdp", "builds the director's eBPF object and compares it with the one checked in", xdp::run),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some((_, _, run)) = COMMANDS.iter().find(|(known, _, _)| *known == name) else {
        eprintln!("usage: cargo xtask COMMAND");
        for (name, meaning, _) in COMMANDS {
            eprintln!("  {name:12}{meaning}");
        }
        return ExitCode::from(2);
    };
    match run(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}
