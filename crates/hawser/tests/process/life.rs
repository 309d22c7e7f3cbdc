//! Starting, staying, stopping: in the foreground and in the background.

use super::program::*;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

fn serving(program: Program, folder: &Folder, arguments: &[&str]) -> (Running, u16) {
    let port = free_port();
    folder.file("l.cfg", &configuration("", &format!("127.0.0.1:{port}"), greeter("hello")));
    let mut command = program.command();
    command.args(arguments).args(["-f", "l.cfg"]).current_dir(folder.path());
    let mut running = Running::start(command);
    // Its end must not matter.
    drop(running.0.stdin.take());
    eventually("it serves", || ask(port).as_deref() == Some("hello"));
    (running, port)
}

#[test]
fn a_foreground_process_ends_as_the_signal_says() {
    for program in BOTH {
        for mode in ["-d", "-db"] {
            for (signal, code, by) in [
                (Signal::INT, None, Some(Signal::INT.as_raw())),
                (Signal::TERM, None, Some(Signal::TERM.as_raw())),
                (Signal::USR1, Some(0), None),
            ] {
                let folder = Folder::new();
                let (mut running, _) = serving(program, &folder, &[mode]);
                running.signal(signal);
                let status = running.wait();
                assert_eq!((status.code(), status.signal()), (code, by), "{program:?} {mode} {signal:?}");
                let _ = running.output();
            }
        }
    }
}

#[test]
fn signals_that_ask_for_something_else_do_not_end_it() {
    for program in BOTH {
        let folder = Folder::new();
        let (mut running, port) = serving(program, &folder, &["-db"]);
        for signal in [Signal::HUP, Signal::QUIT, Signal::TTOU, Signal::TTIN] {
            running.signal(signal);
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        eventually("it serves again", || ask(port).as_deref() == Some("hello"));
        running.signal(Signal::TERM);
        assert_eq!(running.wait().signal(), Some(Signal::TERM.as_raw()));
    }
}

// row: 48, 63
#[test]
fn a_background_process_writes_its_pid_and_is_replaced_by_the_next() {
    for program in BOTH {
        let folder = Folder::new();
        let port = free_port();
        folder.file("l.cfg", &configuration("", &format!("127.0.0.1:{port}"), greeter("hello")));
        let start = |more: &[&str]| {
            let arguments = [&["-D", "-p", "pid", "-f", "l.cfg"], more].concat();
            // Returns only when the background process has let go of the streams.
            let output = run(program, &folder, &arguments);
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            let text = folder.read("pid").expect("a pid file");
            let pid = text.strip_suffix('\n').expect("one newline").parse().expect("one number");
            assert!(is_alive(pid));
            Background(pid)
        };
        let first = start(&[]);
        assert_eq!(ask(port).as_deref(), Some("hello"));
        let second = start(&["-sf", &first.0.to_string()]);
        assert_ne!(first.0, second.0);
        eventually("the first one finishes", || !is_alive(first.0));
        assert_eq!(ask(port).as_deref(), Some("hello"), "{program:?}");
        let third = start(&["-st", &second.0.to_string()]);
        eventually("the second one ends", || !is_alive(second.0));
        signal_pid(third.0, Signal::TERM);
        eventually("the third one ends", || !is_alive(third.0));
        assert!(folder.read("pid").is_some(), "it stays, as HAProxy's does");
    }
}

// row: 48
#[test]
fn the_word_daemon_in_the_file_is_the_same_and_db_wins_over_it() {
    for program in BOTH {
        let folder = Folder::new();
        let port = free_port();
        folder.file(
            "l.cfg",
            &configuration("  daemon\n  pidfile pid", &format!("127.0.0.1:{port}"), greeter("hello")),
        );
        let output = run(program, &folder, &["-f", "l.cfg"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let background =
            Background(folder.read("pid").expect("a pid file").trim().parse().expect("a number"));
        assert!(is_alive(background.0));
        drop(background);
        std::fs::remove_file(folder.path().join("pid")).expect("removes");
        let mut command = program.command();
        command.args(["-db", "-f", "l.cfg"]).current_dir(folder.path());
        let mut running = Running::start(command);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(
            folder.read("pid"),
            None,
            "{program:?}: a start by hand leaves the service's pid file alone"
        );
        assert!(running.0.try_wait().expect("waits").is_none(), "{program:?} stays in the foreground");
    }
}

// row: 2, 4, 67
#[test]
fn limits_are_raised_kept_and_set_as_by_haproxy() {
    // Soft and hard limit of descriptors, soft and hard limit of cores, what the file says.
    let cases = [
        ("200:5000", "0:unlimited", ""),
        ("200:5000", "4096:8192", "  maxconn 1000"),
        ("200:20000", "0:0", ""),
        ("200:5000", "unlimited:unlimited", "  ulimit-n 4999"),
        ("200:5000", "0:4096", "  ulimit-n 3000\n  maxconn 700"),
        ("200:5000", "0:4096", "  fd-hard-limit 3500"),
    ];
    let seen = BOTH.map(|program| {
        cases.map(|(files, cores, lines)| {
            let folder = Folder::new();
            let port = free_port();
            let global = format!("  nbthread 2\n  nosplice\n{lines}");
            folder.file("l.cfg", &configuration(&global, &format!("127.0.0.1:{port}"), greeter("hello")));
            let inner = program.command();
            let mut command = Command::new("prlimit");
            command.arg(format!("--nofile={files}")).arg(format!("--core={cores}")).arg(inner.get_program());
            command.args(inner.get_args()).args(["-db", "-f", "l.cfg"]).current_dir(folder.path());
            let running = Running::start(command);
            eventually("it serves", || ask(port).as_deref() == Some("hello"));
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.pid())).expect("limits");
            let of = |name: &str| {
                let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
                line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
            };
            (lines, of("Max open files"), of("Max core file size"))
        })
    });
    assert_eq!(seen[1], seen[0], "hawser on the left, haproxy on the right");
    assert_eq!((seen[0][0].1.as_str(), seen[0][1].2.as_str()), ("4999 5000", "4096 8192"));
}

// row: 57
#[test]
fn automatic_maxconn_is_told_alike() {
    let folder = Folder::new();
    folder.file(
        "l.cfg",
        &configuration("  nbthread 2\n  nosplice", "127.0.0.1:0", 1).replace("127.0.0.1:0", "unix@l.sock"),
    );
    let said = BOTH.map(|program| {
        let mut command = program.command();
        command.args(["-db", "-V", "-f", "l.cfg"]).current_dir(folder.path());
        let mut running = Running::start(command);
        std::thread::sleep(std::time::Duration::from_millis(400));
        running.signal(Signal::TERM);
        running.wait();
        let output = running.output();
        output.lines().find(|line| line.contains("maxconn")).map(str::to_owned)
    });
    assert!(said[0].is_some());
    assert_eq!(said[0], said[1]);
}

// row: 47, 50, 51
#[test]
fn as_root_it_leaves_its_rights_behind() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root");
    for program in BOTH {
        let folder = Folder::new();
        let port = free_port();
        let global = "  uid 65534\n  gid 65534\n  chroot /var/empty-hawser-test";
        std::fs::create_dir_all("/var/empty-hawser-test").expect("a root");
        folder.file("l.cfg", &configuration(global, &format!("127.0.0.1:{port}"), greeter("hello")));
        let mut command = program.command();
        command.args(["-db", "-f", "l.cfg"]).current_dir(folder.path());
        let running = Running::start(command);
        eventually("it serves", || ask(port).as_deref() == Some("hello"));
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("status");
        let field = |name: &str| status.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        assert_eq!(field("Uid:").as_deref(), Some("Uid:\t65534\t65534\t65534\t65534"), "{program:?}");
        assert_eq!(field("Gid:").as_deref(), Some("Gid:\t65534\t65534\t65534\t65534"), "{program:?}");
        assert_eq!(field("Groups:").as_deref().map(str::trim_end), Some("Groups:"), "{program:?}");
        let root = std::fs::read_link(format!("/proc/{}/root", running.pid())).expect("root");
        assert_eq!(root, std::path::Path::new("/var/empty-hawser-test"), "{program:?}");
    }
}

/// CPUs of each thread, as the kernel lists them.
fn cpus_of_threads(pid: i32) -> Vec<String> {
    let field = |entry: std::fs::DirEntry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some(line.trim().to_owned())
    };
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads").flatten().filter_map(field).collect()
}

// row: 53, 56
#[test]
fn each_thread_runs_on_the_cpu_of_its_map() {
    for program in BOTH {
        let folder = Folder::new();
        let port = free_port();
        let global = "  nbthread 2\n  cpu-map auto:1/1-2 0-1";
        folder.file("l.cfg", &configuration(global, &format!("127.0.0.1:{port}"), greeter("hello")));
        let mut command = program.command();
        command.args(["-db", "-f", "l.cfg"]).current_dir(folder.path());
        let running = Running::start(command);
        eventually("it serves", || ask(port).as_deref() == Some("hello"));
        let cpus = cpus_of_threads(running.pid());
        for cpu in ["0", "1"] {
            assert_eq!(cpus.iter().filter(|list| *list == cpu).count(), 1, "{program:?}: {cpus:?}");
        }
    }
}

// row: 52, 54, 55
#[test]
fn processes_of_old_configurations_become_threads() {
    let folder = Folder::new();
    let port = free_port();
    let global = "  nbproc 2\n  cpu-map 1 0\n  cpu-map 2 1";
    folder.file("l.cfg", &configuration(global, &format!("127.0.0.1:{port}"), greeter("hello")));
    let mut command = Program::Hawser.command();
    command.args(["-db", "-f", "l.cfg"]).current_dir(folder.path());
    let mut running = Running::start(command);
    eventually("it serves", || ask(port).as_deref() == Some("hello"));
    let cpus = cpus_of_threads(running.pid());
    for cpu in ["0", "1"] {
        assert_eq!(cpus.iter().filter(|list| *list == cpu).count(), 1, "{cpus:?}");
    }
    running.signal(Signal::TERM);
    running.wait();
    assert!(running.output().contains("[WARNING]"), "it says that nbproc is a thing of the past");
}

// row: 66
#[test]
fn under_a_chroot_logs_find_a_restarted_syslog_again() {
    use std::os::unix::net::UnixDatagram;
    assert!(rustix::process::geteuid().is_root(), "this test needs root");
    let folder = Folder::new();
    let port = free_port();
    let socket = folder.path().join("log.sock");
    let global = format!(
        "  log {} local0\n  chroot /var/empty-hawser-test\n  uid 65534\n  gid 65534",
        socket.display()
    );
    std::fs::create_dir_all("/var/empty-hawser-test").expect("a root");
    let text = configuration(&global, &format!("127.0.0.1:{port}"), greeter("hello"))
        .replace("  mode tcp\n", "  mode tcp\n  log global\n  option tcplog\n");
    folder.file("l.cfg", &text);
    let bind = || {
        let sink = UnixDatagram::bind(&socket).expect("binds");
        sink.set_nonblocking(true).expect("non-blocking");
        // Syslog's socket is everybody's to write.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&socket, everybody).expect("mode");
        sink
    };
    let mut sink = bind();
    let mut command = Program::Hawser.command();
    command.args(["-db", "-f", "l.cfg"]).current_dir(folder.path());
    let running = Running::start(command);
    let tag = format!("haproxy[{}]: 127.0.0.1:", running.pid());
    for round in 0..3 {
        eventually("a connection is logged", || {
            let _ = ask(port);
            let mut buffer = [0; 2000];
            sink.recv(&mut buffer).is_ok_and(|length| {
                let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
                line.starts_with("<134>") && line.contains(&tag)
            })
        });
        if round < 2 {
            drop(sink);
            std::fs::remove_file(&socket).expect("removes");
            sink = bind();
        }
    }
}
