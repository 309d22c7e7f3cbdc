//! `cargo xtask deb`: the Debian package. Owns what goes where; the files themselves are in packaging/, manual pages and
//! completions come from the program that is packed.

use crate::command::{cargo, is_installed, must, root};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const HELP: &str = "cargo xtask deb [--profile NAME] [--try]
  --profile NAME   release (default); quick or dev while one works
  --try            installs it on a fresh Debian 12 in namespaces (as root; debootstrap): its units run alone and beside
                   Debian's HAProxy and keepalived, take their place, survive an upgrade, and leave nothing";

/// Where each file of packaging/ goes, and its mode.
const FILES: &[(&str, &str, u32)] = &[
    ("packaging/systemd/hawser.service", "lib/systemd/system/hawser.service", 0o644),
    ("packaging/systemd/hawser-proxy.service", "lib/systemd/system/hawser-proxy.service", 0o644),
    ("packaging/systemd/hawser-failover.service", "lib/systemd/system/hawser-failover.service", 0o644),
    ("packaging/debian/haproxy.cfg", "etc/hawser/haproxy.cfg", 0o644),
    ("packaging/debian/default", "etc/default/hawser", 0o644),
    ("README.md", "usr/share/doc/hawser/README.md", 0o644),
    ("CHANGELOG.md", "usr/share/doc/hawser/CHANGELOG.md", 0o644),
    ("docs/migration-haproxy.md", "usr/share/doc/hawser/migration-haproxy.md", 0o644),
    ("docs/migration-keepalived.md", "usr/share/doc/hawser/migration-keepalived.md", 0o644),
    ("docs/migration-lvs.md", "usr/share/doc/hawser/migration-lvs.md", 0o644),
    ("docs/walk-through.md", "usr/share/doc/hawser/walk-through.md", 0o644),
    ("packaging/debian/postinst", "DEBIAN/postinst", 0o755),
    ("packaging/debian/triggers", "DEBIAN/triggers", 0o644),
    ("packaging/debian/prerm", "DEBIAN/prerm", 0o755),
    ("packaging/debian/postrm", "DEBIAN/postrm", 0o755),
];

/// Configuration that an upgrade must not overwrite.
const CONFIGURATION: &[&str] = &["/etc/hawser/haproxy.cfg", "/etc/default/hawser"];

/// Builds target/deb/hawser_VERSION_ARCHITECTURE.deb.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (profile, tries) = match words[..] {
        [] => ("release", false),
        ["--try"] => ("release", true),
        ["--profile", name] => (name, false),
        ["--profile", name, "--try"] => (name, true),
        _ => return Err(HELP.to_owned()),
    };
    if !is_installed("dpkg-deb") {
        return Err("dpkg-deb is not installed (apt install dpkg)".to_owned());
    }
    must(&mut cargo(&["build", "--package", "hawser", "--profile", profile]))?;
    // Cargo's own name of that folder.
    let folder = if profile == "dev" { "debug" } else { profile };
    let binary = root().join("target").join(folder).join("hawser");
    let version = version(&binary)?;
    let stage = root().join("target/deb/stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(|error| told(&stage, &error))?;
    }
    place(&stage, &binary, &version)?;
    let package = root().join(format!("target/deb/hawser_{version}_{}.deb", architecture()?));
    let mut build = Command::new("dpkg-deb");
    must(build.args(["--root-owner-group", "-Zxz", "--build"]).arg(&stage).arg(&package))?;
    println!("{}", package.display());
    if tries {
        let script = root().join("packaging/try.sh");
        must(Command::new(script).arg(&package).arg(root().join("target/deb/debian")))?;
    }
    Ok(())
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// `hawser --version` is `hawser 0.1.0`.
fn version(binary: &Path) -> Result<String, String> {
    let text = output(Command::new(binary).arg("--version"))?;
    text.split_whitespace().nth(1).map(str::to_owned).ok_or_else(|| "hawser tells no version".to_owned())
}

fn architecture() -> Result<String, String> {
    Ok(output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned())
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Everything in its place below `stage`.
fn place(stage: &Path, binary: &Path, version: &str) -> Result<(), String> {
    let installed = stage.join("usr/bin/hawser");
    copy(binary, &installed, 0o755)?;
    // Symbols are for profiles, not for production.
    must(Command::new("strip").arg("--strip-unneeded").arg(&installed))?;
    for (from, to, mode) in FILES {
        copy(&root().join(from), &stage.join(to), *mode)?;
    }
    let pages = output(Command::new(binary).args(["manual", "--list"]))?;
    for page in pages.lines() {
        let section = page.rsplit('.').next().unwrap_or("1");
        let text = output(Command::new(binary).args(["manual", page]))?;
        let path = stage.join(format!("usr/share/man/man{section}/{page}"));
        write(&path, &text, 0o644)?;
        must(Command::new("gzip").args(["-9", "-n"]).arg(&path))?;
    }
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/hawser"),
        ("zsh", "usr/share/zsh/vendor-completions/_hawser"),
        ("fish", "usr/share/fish/vendor_completions.d/hawser.fish"),
    ] {
        let text = output(Command::new(binary).args(["completions", shell]))?;
        write(&stage.join(path), &text, 0o644)?;
    }
    let licence = fs::read_to_string(root().join("LICENSE-MIT")).map_err(|error| error.to_string())?;
    let copyright = format!(
        "Hawser may be used under the Apache License 2.0 (/usr/share/common-licenses/Apache-2.0) or the MIT licence:\n\n{licence}"
    );
    write(&stage.join("usr/share/doc/hawser/copyright"), &copyright, 0o644)?;
    write(&stage.join("DEBIAN/conffiles"), &(CONFIGURATION.join("\n") + "\n"), 0o644)?;
    write(&stage.join("DEBIAN/control"), &control(stage, version)?, 0o644)
}

fn control(stage: &Path, version: &str) -> Result<String, String> {
    Ok(format!(
        "Package: hawser\nVersion: {version}\nArchitecture: {}\nMaintainer: Hawser <hawser@localhost>\n\
         Installed-Size: {}\nDepends: libc6 (>= 2.34), libgcc-s1, adduser, init-system-helpers\n\
         Recommends: iproute2, socat\nSection: net\nPriority: optional\n\
         Description: high-availability load balancer in place of HAProxy, keepalived and ipvsadm\n \
         Reads their configuration files, answers on their sockets and prints what they print. One program is the\n \
         proxy, the virtual addresses (VRRP) and the packet director, under one supervisor or each alone.\n",
        architecture()?,
        kilobytes(stage)
    ))
}

fn kilobytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                kilobytes(&path)
            } else {
                entry.metadata().map_or(0, |found| found.len() / 1024 + 1)
            }
        })
        .sum()
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), String> {
    let folder = to.parent().ok_or("a path without a folder")?;
    fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
    fs::copy(from, to).map_err(|error| told(from, &error))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(|error| told(to, &error))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let folder = path.parent().ok_or("a path without a folder")?;
    fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
    fs::write(path, text).map_err(|error| told(path, &error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| told(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_is_packed_is_there() {
        for (from, to, _) in FILES {
            assert!(root().join(from).is_file(), "{from}");
            assert!(!to.starts_with('/'), "{to}");
        }
        for path in CONFIGURATION {
            assert!(FILES.iter().any(|(_, to, _)| format!("/{to}") == **path), "{path}");
        }
    }

    #[test]
    fn the_shipped_configuration_names_the_user_that_is_made() {
        let text = fs::read_to_string(root().join("packaging/debian/haproxy.cfg")).expect("it is there");
        let script = fs::read_to_string(root().join("packaging/debian/postinst")).expect("it is there");
        assert!(text.contains("user hawser") && script.contains("--home /var/lib/hawser hawser"));
    }
}
