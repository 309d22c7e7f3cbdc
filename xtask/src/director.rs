//! `cargo xtask bench-director` and `fuzz-director`: longer runs of the director's XDP programs. Owns how they are built
//! and in which namespaces they run; the work is in `tests/netns`.

use std::process::Command;

use crate::command::{is_installed, must, root};

const PLAIN: &str = "tests/netns/examples/direct_routing.c";
const FUZZ_SECONDS: &str = "600";

/// Needs root, clang and nft.
pub fn bench(arguments: &[String]) -> Result<(), String> {
    if !arguments.is_empty() {
        return Err("bench-director takes no arguments".to_owned());
    }
    if !is_installed("clang") {
        return Err("clang is missing: apt-get install -y --no-install-recommends clang".to_owned());
    }
    if !is_installed("nft") {
        return Err("nft is missing: apt-get install -y --no-install-recommends nftables".to_owned());
    }
    let object = root().join("target/direct_routing.o");
    let headers = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    must(
        Command::new("clang")
            .args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", &headers, "-c"])
            .arg(root().join(PLAIN))
            .arg("-o")
            .arg(&object),
    )?;
    must(
        Command::new("cargo")
            .args(["build", "--release", "-p", "netns", "--example", "bench_director"])
            .args(["--example", "bench_director_path"])
            .current_dir(root()),
    )?;
    let inside = |example: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(root().join("target/release/examples").join(example));
        command
    };
    must(inside("bench_director").arg(object))?;
    must(&mut inside("bench_director_path"))
}

/// Needs root.
pub fn fuzz(arguments: &[String]) -> Result<(), String> {
    let seconds = match arguments {
        [] => FUZZ_SECONDS,
        [seconds] if seconds.parse::<u64>().is_ok() => seconds,
        _ => return Err("fuzz-director takes a number of seconds".to_owned()),
    };
    must(
        Command::new("cargo")
            .args(["test", "-p", "netns", "--test", "labs", "director_fuzz::", "--", "--nocapture"])
            .env("HAWSER_FUZZ_SECONDS", seconds)
            .current_dir(root()),
    )
}
