//! A virtual machine whose kernel has IPVS, beside the real ipvsadm and keepalived. Owns building and booting it; what
//! runs inside is the scenario's.
//!
//! The guest is made of the host's packages once (see `guest/build.sh`) and kept below the target folder. It runs without
//! KVM too, some ten times slower.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Of a whole run, with the slowest host in mind.
const SECONDS_MAX: &str = "420";
const MEMORY_MIB: &str = "768";
/// Room for what a job leaves behind.
const OUTPUT_BYTES: u64 = 64 * 1024 * 1024;

/// What a job printed and left behind.
#[derive(Debug)]
pub struct Outcome {
    pub printed: String,
    pub status: i32,
    folder: PathBuf,
}

impl Outcome {
    /// A file that the job left in `/job/out`.
    #[track_caller]
    pub fn file(&self, name: &str) -> String {
        let path = self.folder.join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}; {}", self.printed));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Boots the guest and runs `script` in it, with `files` (name and content) and the hawser binary beside it in `/job`.
/// `name` names the scenario's folder.
#[track_caller]
pub fn run(name: &str, script: &str, files: &[(&str, String)]) -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vm").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    let job = folder.join("job");
    std::fs::create_dir_all(&job).expect("a folder below target");
    let guest = guest();
    std::fs::write(job.join("script"), script).expect("written");
    for (file, content) in files {
        std::fs::write(job.join(file), content).expect("written");
    }
    std::fs::copy(hawser(), job.join("hawser")).expect("the binary is built");
    let itself = std::env::current_exe().expect("the test's binary");
    std::fs::copy(itself, job.join("test")).expect("it is there");
    let input = folder.join("input");
    must(
        Command::new("tar").arg("-C").arg(&job).args(["--owner=0", "--group=0", "-cf"]).arg(&input).arg("."),
    );
    grow(&input, std::fs::metadata(&input).expect("made").len().next_multiple_of(512));
    let output = folder.join("output");
    grow(&output, OUTPUT_BYTES);

    let printed = boot(&guest, &folder, &input, &output);
    let left = folder.join("left");
    std::fs::create_dir_all(&left).expect("a folder below target");
    must(Command::new("tar").arg("-xf").arg(&output).arg("-C").arg(&left));
    let status = std::fs::read_to_string(left.join("status")).unwrap_or_default();
    let status = status.trim().parse().unwrap_or_else(|_| panic!("the guest died: {printed}"));
    Outcome { printed, status, folder: left }
}

/// Set in the process that runs in the guest.
const INSIDE: &str = "HAWSER_GUEST";

/// Whether this is the test's process in the guest.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this very test in the guest; `name` is its full name.
#[track_caller]
pub fn run_itself(name: &str) -> Outcome {
    let script = format!("export {INSIDE}=1\n/job/test --exact {name} --nocapture\n");
    run(&name.replace("::", "-"), &script, &[])
}

fn boot(guest: &Path, folder: &Path, input: &Path, output: &Path) -> String {
    let drive = |path: &Path, more: &str| format!("file={},if=virtio,format=raw{more}", path.display());
    let (accelerator, processor) = if has_kvm() { ("kvm", "host") } else { ("tcg", "max") };
    let qemu = Command::new("timeout")
        .args(["--kill-after=5", SECONDS_MAX, "qemu-system-x86_64"])
        .args(["-accel", accelerator, "-cpu", processor, "-m", MEMORY_MIB])
        .args(["-nodefaults", "-no-reboot", "-display", "none"])
        .arg("-kernel")
        .arg(guest.join("kernel"))
        .arg("-initrd")
        .arg(guest.join("initrd"))
        .args([
            "-append",
            "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable rdinit=/init",
        ])
        .args(["-drive", &drive(input, ",readonly=on"), "-drive", &drive(output, ",cache=unsafe")])
        .args(["-serial", &format!("file:{}", folder.join("console").display()), "-serial", "stdio"])
        .stdin(Stdio::null())
        .output()
        .expect("timeout is there");
    let printed = String::from_utf8_lossy(&qemu.stdout).into_owned();
    assert!(
        qemu.status.success(),
        "qemu-system-x86_64 ended with {}: {printed}{}{}",
        qemu.status,
        String::from_utf8_lossy(&qemu.stderr),
        std::fs::read_to_string(folder.join("console")).unwrap_or_default()
    );
    printed
}

/// A processor that can, and a device that we may use.
fn has_kvm() -> bool {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let can = flags.split_ascii_whitespace().any(|word| matches!(word, "vmx" | "svm"));
    can && std::fs::OpenOptions::new().write(true).open("/dev/kvm").is_ok()
}

/// The folder with kernel and root file system, made when they are not there.
fn guest() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vm-guest");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/build.sh");
    must(Command::new("bash").arg(script).arg(&folder));
    folder
}

fn hawser() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's binary");
    let folder = tests.ancestors().nth(2).expect("tests are built in a folder of the target folder");
    folder.join("hawser")
}

#[track_caller]
fn must(command: &mut Command) {
    let output = command.output().expect("the program is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn grow(path: &Path, length: u64) {
    let file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).expect("opened");
    file.set_len(length).expect("grown");
}
