//! A filter for the whole process: a test of its own, as nothing else could run beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc::channel;
use sys::confine::{Beside, refuse};

#[test]
fn a_confined_process_reads_and_neither_writes_nor_starts_programs_in_any_thread() {
    let folder = std::env::temp_dir().join(format!("hawser-refusal-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("file");
    let mut open = File::create(&path).expect("a file");
    let (go, wait) = channel::<()>();
    // One that runs already.
    let (other_folder, other_path) = (folder.clone(), path.clone());
    let other = std::thread::spawn(move || {
        wait.recv().expect("told to");
        attempts(&other_folder, &other_path)
    });
    refuse(&[libc::SYS_ptrace], Beside::ProgramsAndFiles).expect("filters");
    go.send(()).expect("it waits");
    for refused in [attempts(&folder, &path), other.join().expect("no panic")] {
        for (what, number) in refused {
            assert_eq!(number, Some(libc::EPERM), "{what}");
        }
    }
    // What is open stays so, and reading is free.
    open.write_all(b"text").expect("writes");
    let mut text = String::new();
    File::open(&path).expect("opens").read_to_string(&mut text).expect("reads");
    assert_eq!(text, "text");
}

/// Each attempt with the number of its error.
fn attempts(folder: &std::path::Path, path: &std::path::Path) -> Vec<(&'static str, Option<i32>)> {
    let number = |outcome: std::io::Result<()>| outcome.err().and_then(|error| error.raw_os_error());
    vec![
        ("write", number(OpenOptions::new().write(true).open(path).map(drop))),
        ("read and write", number(OpenOptions::new().read(true).write(true).open(path).map(drop))),
        ("append", number(OpenOptions::new().append(true).open(path).map(drop))),
        ("create", number(File::create(folder.join("new")).map(drop))),
        ("remove", number(fs::remove_file(path))),
        ("rename", number(fs::rename(path, folder.join("other")))),
        ("link", number(fs::hard_link(path, folder.join("other")))),
        ("symbolic link", number(std::os::unix::fs::symlink(path, folder.join("other")))),
        ("folder", number(fs::create_dir(folder.join("inner")))),
        ("mode", number(fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)))),
        ("program", number(Command::new("/bin/true").status().map(drop))),
    ]
}
