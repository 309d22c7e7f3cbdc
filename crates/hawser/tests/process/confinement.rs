//! What the strands of `hawser run` may still do: their rights as the kernel shows them.

use super::program::*;
use super::supervisor::{Run, ask, next_strand, wait_for, web};
use std::path::Path;
use std::time::{Duration, Instant};

/// `CAP_NET_ADMIN` and `CAP_NET_RAW`.
const NETWORK: u64 = 1 << 12 | 1 << 13;
const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_RAW: u64 = 1 << 13;
const SETUID_SETGID_KILL: u64 = 1 << 7 | 1 << 6 | 1 << 5;

/// What the kernel says of one thread.
#[derive(Debug, PartialEq, Eq)]
struct Rights {
    permitted: u64,
    effective: u64,
    may_gain_by_exec: bool,
    is_filtered: bool,
}

/// Of every thread of a process.
fn rights_of(pid: &str) -> Vec<Rights> {
    let tasks = std::fs::read_dir(Path::new("/proc").join(pid).join("task")).expect("it runs");
    let read = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).expect("it runs");
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_else(|| panic!("{name} in {status}")).trim().to_owned()
        };
        let set = |name| u64::from_str_radix(&field(name), 16).expect("hexadecimal");
        Rights {
            permitted: set("CapPrm"),
            effective: set("CapEff"),
            may_gain_by_exec: field("NoNewPrivs") == "0",
            is_filtered: field("Seccomp") == "2",
        }
    };
    tasks.map(|task| read(task.expect("an entry"))).collect()
}

fn uid_of(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a line");
    line.split_whitespace().next().expect("a number").to_owned()
}

/// A proxy whose answer is the process number of its worker; with these lines in `global` and in the section.
fn telling(port: u16, global: &str, more: &str) -> String {
    let section = web(port, "%pid").replace(" string ", " lf-string ");
    format!("global\n{global}{section}{more}")
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("it is ours");
}

fn worker(run: &Run, port: u16) -> String {
    next_strand(run, port, None);
    ask(port).expect("it serves").trim().to_owned()
}

/// The process of failover that has this name, once it is there.
#[track_caller]
fn child_of(run: &Run, role: &str) -> String {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
            let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            let field = |status: &str, name: &str| {
                status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
            };
            let grandparent = field(&read("status"), "PPid:")
                .and_then(|parent| std::fs::read_to_string(format!("/proc/{parent}/status")).ok())
                .and_then(|status| field(&status, "PPid:"));
            if grandparent == Some(run.id().to_string()) && read("cmdline").contains(role) {
                return entry.file_name().to_string_lossy().into_owned();
            }
        }
        assert!(Instant::now() < end, "no {role}:\n{}", run.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_without_a_user_has_no_rights_and_can_start_and_change_nothing() {
    let folder = Folder::new();
    let port = free_port();
    let socket = folder.path().join("run.sock");
    let global = format!("    stats socket {} level admin\n    log stdout local0\n", socket.display());
    folder.file("web.cfg", &telling(port, &global, ""));
    let run = Run::start(&folder, &[]);
    let pid = worker(&run, port);
    assert_eq!(uid_of(&pid), "0", "the tests run as root");
    let bare = Rights { permitted: 0, effective: 0, may_gain_by_exec: false, is_filtered: true };
    let threads = rights_of(&pid);
    assert!(threads.len() >= 2, "{threads:?}");
    threads.iter().for_each(|thread| assert_eq!(thread, &bare));
    // It works all the same: a reload brings another worker, as bare as the first.
    folder.file("web.cfg", &telling(port, "", "    http-request set-header x y\n"));
    run.signal("HUP");
    let end = Instant::now() + Duration::from_secs(10);
    let second = loop {
        match ask(port) {
            Some(answer) if answer.trim() != pid => break answer.trim().to_owned(),
            _ => assert!(Instant::now() < end, "no other worker:\n{}", run.log()),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    rights_of(&second).iter().for_each(|thread| assert_eq!(thread, &bare));
    assert!(!run.log().contains("not confined"), "{}", run.log());
}

#[test]
fn a_worker_keeps_what_its_configuration_uses() {
    let folder = Folder::new();
    let port = free_port();
    let server = "    server a 127.0.0.1:9 source 0.0.0.0 usesrc clientip\n    server b 127.0.0.1:9 source 0.0.0.0:800-900\n";
    folder.file("web.cfg", &telling(port, "", server));
    let run = Run::start(&folder, &[]);
    for thread in rights_of(&worker(&run, port)) {
        assert_eq!(thread.permitted, NET_BIND_SERVICE | NET_RAW);
        assert!(thread.is_filtered);
    }
}

#[test]
fn a_check_by_program_still_runs_it() {
    let folder = Folder::new();
    let port = free_port();
    let witness = folder.path().join("ran");
    let text =
        format!("#!/bin/sh\ngrep -E '^(CapEff|NoNewPrivs)' /proc/self/status > {}\n", witness.display());
    let check = folder.file("check.sh", &text);
    set_mode(&check, 0o755);
    let check = check.display();
    let more = format!(
        "    option external-check\n    external-check command {check}\n    server a 127.0.0.1:9 check inter 100ms\n"
    );
    folder.file("web.cfg", &telling(port, "    external-check\n    insecure-fork-wanted\n", &more));
    let run = Run::start(&folder, &[]);
    let pid = worker(&run, port);
    rights_of(&pid)
        .iter()
        .for_each(|thread| assert!(thread.is_filtered && thread.permitted == 0, "{thread:?}"));
    let end = Instant::now() + Duration::from_secs(10);
    while !std::fs::read_to_string(&witness).is_ok_and(|text| text.contains("NoNewPrivs")) {
        assert!(Instant::now() < end, "the check does not run:\n{}", run.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = std::fs::read_to_string(&witness).expect("it was read");
    // The program has no more rights than the worker.
    assert!(text.contains("CapEff:\t0000000000000000") && text.contains("NoNewPrivs:\t1"), "{text}");
}

#[test]
fn failover_keeps_the_network_and_what_its_scripts_take() {
    let folder = Folder::new();
    let port = free_port();
    folder.file("web.cfg", &telling(port, "", ""));
    folder.file("vrrp.conf", "global_defs {\n    router_id a\n}\n");
    let run = Run::start(&folder, &["-k", "vrrp.conf"]);
    // The child is ready when its threads have the rights that they keep.
    let wait = |pid: &str, permitted: u64| {
        let end = Instant::now() + Duration::from_secs(10);
        while !rights_of(pid).iter().all(|thread| thread.permitted & !NETWORK == permitted) {
            assert!(Instant::now() < end, "{:?}\n{}", rights_of(pid), run.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let child = child_of(&run, "keepalived");
    wait(&child, 0);
    for thread in rights_of(&child) {
        assert!(matches!(thread.permitted, 0 | NETWORK), "{thread:?}");
        assert!(!thread.may_gain_by_exec, "nothing is run, so nothing may be gained");
    }
    drop(run);
    // A script of another user.
    let witness = folder.file("ran", "");
    set_mode(&witness, 0o666);
    let text = format!("#!/bin/sh\nid -u >{0}\ngrep CapEff /proc/self/status >>{0}\n", witness.display());
    let script = folder.file("start.sh", &text);
    set_mode(&script, 0o755);
    folder.file(
        "vrrp.conf",
        &format!(
            "global_defs {{\n    script_user nobody nogroup\n    startup_script {}\n}}\n",
            script.display()
        ),
    );
    let run = Run::start(&folder, &["-k", "vrrp.conf"]);
    let child = child_of(&run, "keepalived");
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let rights = rights_of(&child);
        let count = |is_so: &dyn Fn(&Rights) -> bool| rights.iter().filter(|rights| is_so(rights)).count();
        // The thread that reads packets keeps the network alone, the one that mails nothing.
        let punctual = count(&|thread| thread.is_filtered && thread.permitted == NETWORK);
        let office = count(&|thread| thread.permitted == NETWORK | SETUID_SETGID_KILL);
        let mail = count(&|thread| thread.permitted == 0);
        if [punctual, office, mail] == [1, 1, 1] && rights.len() == 3 {
            break;
        }
        assert!(Instant::now() < end, "{rights:?}\n{}", run.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let starters = rights_of(&child).into_iter().filter(|thread| !thread.is_filtered);
    assert!(starters.into_iter().all(|thread| thread.may_gain_by_exec), "scripts may use sudo");
    let text = std::fs::read_to_string(&witness).expect("it ran");
    assert_eq!(text, "65534\nCapEff:\t0000000000000000\n");
}

#[track_caller]
fn wait_for_log(run: &Run, text: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while !run.log().contains(text) {
        assert!(Instant::now() < end, "no '{text}':\n{}", run.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_dashboard_has_no_rights() {
    let folder = Folder::new();
    let (port, page) = (free_port(), free_port());
    folder.file("web.cfg", &web(port, "one"));
    folder.file("token", "sixteen-bytes-or-more\n");
    let token = folder.path().join("token").display().to_string();
    let address = format!("127.0.0.1:{page}");
    let run = Run::start(
        &folder,
        &["--dashboard", &address, "--dashboard-option", "--token-file", "--dashboard-option", &token],
    );
    wait_for(port, "one", &run);
    wait_for_log(&run, &format!("http://{address}/"));
    let end = Instant::now() + Duration::from_secs(10);
    let is_bare = |pid: &String| {
        let threads = rights_of(pid);
        threads.iter().all(|thread| thread.permitted == 0 && thread.is_filtered && !thread.may_gain_by_exec)
    };
    while !run.children().iter().any(is_bare) {
        assert!(Instant::now() < end, "{:?}\n{}", run.children(), run.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
