//! `cargo xtask xdp`: builds the eBPF object and compares it with the one that is checked in. Owns the recipe; ordinary
//! builds embed the object and need none of this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::command::{is_installed, must, root};

const OBJECT: &str = "xdp/director.bpf.o";
/// What the object is made of and made by; a stale object does not match it.
const RECORD: &str = "xdp/director.bpf.txt";
/// The compiler that has this target's library as source: Debian's `rustc-web` and `rust-web-src`.
const COMPILER: &str = "/usr/bin/rustc";
const LINKER_VERSION: &str = "0.10.2";

const USAGE: &str = "cargo xtask xdp [--write]: builds the eBPF object and compares it; --write replaces it";

pub fn run(arguments: &[String]) -> Result<(), String> {
    let write = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--write"] => true,
        _ => return Err(USAGE.to_owned()),
    };
    tools()?;
    must(
        Command::new("cargo")
            .args(["build", "--release", "--locked"])
            .current_dir(root().join("xdp"))
            // Options that the stable compilers keep to themselves: building `core` for this target.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", COMPILER)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    let built = stripped(&root().join("xdp/target/bpfel-unknown-none/release/director"))?;
    let there = fs::read(root().join(OBJECT)).unwrap_or_default();
    if built == there {
        println!("{OBJECT} is what its sources make");
        return if write { record(&built) } else { check() };
    }
    if !write {
        return Err(format!(
            "{OBJECT} differs from what its sources make; `cargo xtask xdp --write` replaces it"
        ));
    }
    fs::write(root().join(OBJECT), &built).map_err(|error| format!("{OBJECT}: {error}"))?;
    record(&built)
}

/// What was built without its debugging information, which names folders of this machine. The types (BTF) stay.
fn stripped(built: &Path) -> Result<Vec<u8>, String> {
    let small = built.with_extension("stripped");
    must(Command::new("llvm-strip").arg("-g").arg(built).arg("-o").arg(&small))?;
    read(&small)
}

/// Whether the object that is checked in is of the sources that are: without building.
pub fn check() -> Result<(), String> {
    let record = fs::read_to_string(root().join(RECORD)).map_err(|error| format!("{RECORD}: {error}"))?;
    let object = hash(&read(&root().join(OBJECT))?);
    for (name, hash) in [("object", object), ("sources", sources()?)] {
        if !record.contains(&format!("{name} {hash}\n")) {
            return Err(format!("{RECORD}: the {name} have changed; run `cargo xtask xdp --write`"));
        }
    }
    Ok(())
}

fn record(object: &[u8]) -> Result<(), String> {
    let version =
        Command::new(COMPILER).arg("-V").output().map_err(|error| format!("{COMPILER}: {error}"))?;
    let text = format!(
        "object {}\nsources {}\n{}bpf-linker {LINKER_VERSION}\n",
        hash(object),
        sources()?,
        String::from_utf8_lossy(&version.stdout)
    );
    fs::write(root().join(RECORD), text).map_err(|error| format!("{RECORD}: {error}"))
}

/// One hash over everything that decides what the object is.
fn sources() -> Result<String, String> {
    let mut files: Vec<PathBuf> =
        ["xdp/Cargo.toml", "xdp/Cargo.lock", "xdp/.cargo/config.toml", "crates/xdp-abi/Cargo.toml"]
            .map(|name| root().join(name))
            .to_vec();
    for folder in ["xdp/src", "crates/xdp-abi/src"] {
        let entries = fs::read_dir(root().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = read(&file)?;
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    }
    Ok(hexadecimal(&hasher.finalize()))
}

fn hash(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn tools() -> Result<(), String> {
    if !Path::new("/usr/lib/rustlib/src/rust/library/core").exists() || !Path::new(COMPILER).exists() {
        let install = "apt-get install -y --no-install-recommends rustc-web rust-web-src";
        return Err(format!("{COMPILER} or its library's source is missing: {install}"));
    }
    if !is_installed("llvm-strip") {
        return Err("llvm-strip is missing: apt-get install -y --no-install-recommends llvm".to_owned());
    }
    if !is_installed("bpf-linker") {
        let install = format!("cargo install bpf-linker --version {LINKER_VERSION} --locked");
        return Err(format!("bpf-linker is missing: {install}"));
    }
    Ok(())
}
