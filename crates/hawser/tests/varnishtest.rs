//! varnishtest starts, watches and stops a program called `haproxy`: hawser passes for one. The same files pass with HAProxy.

use std::path::{Path, PathBuf};
use std::process::Command;

fn run(file: &Path, program: &Path) {
    let output = Command::new("varnishtest")
        .args(["-t", "30"])
        .arg(file)
        .env("HAPROXY_PROGRAM", program)
        .output()
        .expect("varnishtest is installed (package varnish)");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{} with {}:\n{text}", file.display(), program.display());
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/varnishtest");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 3);
    files
}

// row: 329
#[test]
fn varnishtest_takes_hawser_for_haproxy() {
    let folder = std::env::temp_dir().join(format!("hawser-varnishtest-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("haproxy");
    let _ = std::fs::remove_file(&program);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hawser"), &program).expect("a link");
    for file in files() {
        run(&file, &program);
    }
    std::fs::remove_dir_all(&folder).expect("removes");
}

#[test]
fn the_same_files_pass_with_haproxy() {
    for file in files() {
        run(&file, Path::new("/usr/sbin/haproxy"));
    }
}
