//! Master and workers.

use super::program::*;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};

struct Master {
    running: Running,
    folder: Folder,
    port: u16,
}

impl Master {
    fn start(program: Program, mode: &str) -> Master {
        let folder = Folder::new();
        let port = free_port();
        folder.file("l.cfg", &configuration("", &format!("127.0.0.1:{port}"), greeter("hello")));
        let mut command = program.command();
        command
            .args([mode, "-p", "pid", "-f", "l.cfg"])
            .arg("-S")
            .arg(folder.path().join("master.sock"))
            .current_dir(folder.path())
            .env("NOTIFY_SOCKET", folder.path().join("notify.sock"));
        let running = Running::start(command);
        let master = Master { running, folder, port };
        eventually("it serves", || ask(port).as_deref() == Some("hello"));
        eventually("the pid file is there", || {
            master.folder.read("pid").is_some_and(|text| text.ends_with('\n'))
        });
        master
    }

    /// One connection, as test tools do: commands, then the end; everything is answered. HAProxy's master resets
    /// connections while it re-executes itself: then it is asked again.
    fn say(&self, commands: &str) -> String {
        let ask = || {
            let mut stream = UnixStream::connect(self.folder.path().join("master.sock")).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            stream.write_all(commands.as_bytes()).ok()?;
            stream.shutdown(std::net::Shutdown::Write).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok().map(|_| answer)
        };
        let mut answer = None;
        eventually("the master answers", || {
            answer = ask();
            answer.is_some()
        });
        answer.expect("just seen")
    }

    /// Pids of workers, the current one first.
    fn workers(&self) -> Vec<i32> {
        let worker = |line: &str| {
            let mut words = line.split_whitespace();
            let pid = words.next()?.parse().ok()?;
            (words.next()? == "worker").then_some(pid)
        };
        self.say("show proc\n").lines().filter_map(worker).collect()
    }

    fn reload_with(&mut self, reload: impl FnOnce(&Master)) {
        let before = self.workers();
        reload(self);
        eventually("a new worker serves alone", || {
            let now = self.workers();
            now.len() == 1 && now != before
        });
    }
}

// row: 63
#[test]
fn the_pid_file_names_the_process_that_was_started() {
    for program in BOTH {
        let master = Master::start(program, "-W");
        assert_eq!(master.folder.read("pid"), Some(format!("{}\n", master.running.pid())), "{program:?}");
    }
}

#[test]
fn it_stops_with_haproxys_exit_codes_and_nobody_keeps_its_output_open() {
    for program in BOTH {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 0), (Signal::USR1, 0)] {
            let mut master = Master::start(program, "-W");
            // HAProxy's handlers come after its pid file.
            master.say("show version\n");
            std::thread::sleep(std::time::Duration::from_millis(200));
            master.running.signal(signal);
            assert_eq!(master.running.wait().code(), Some(code), "{program:?} {signal:?}");
            let output = master.running.output();
            assert!(output.contains("Exiting Master process..."), "{output}");
            assert!(output.contains(&format!("All workers exited. Exiting... ({code})")), "{output}");
        }
    }
}

#[test]
fn a_worker_that_dies_takes_the_master_with_it() {
    for program in BOTH {
        let mut master = Master::start(program, "-W");
        signal_pid(master.workers()[0], Signal::KILL);
        assert_eq!(master.running.wait().code(), Some(137), "{program:?}");
        let output = master.running.output();
        assert!(output.contains("exited with code 137 (Killed)"), "{output}");
        assert!(output.contains("exit-on-failure: killing every processes with SIGTERM"), "{output}");
    }
}

#[test]
fn workers_do_not_outlive_a_killed_master() {
    let mut master = Master::start(Program::Hawser, "-W");
    let worker = Background(master.workers()[0]);
    master.running.signal(Signal::KILL);
    master.running.wait();
    eventually("the worker ends", || !is_alive(worker.0));
}

// row: 329
#[test]
fn a_reload_by_signal_or_command_replaces_the_worker() {
    for program in BOTH {
        let mut master = Master::start(program, "-W");
        master.reload_with(|master| master.running.signal(Signal::USR2));
        master.reload_with(|master| master.running.signal(Signal::HUP));
        master.reload_with(|master| assert_eq!(master.say("reload\n"), ""));
        assert_eq!(ask(master.port).as_deref(), Some("hello"));
        let listed = master.say("show proc\n");
        assert!(listed.contains("master          3 [failed: 0]"), "{program:?}: {listed}");
    }
}

#[test]
fn a_reload_that_fails_leaves_the_worker_serving() {
    for program in BOTH {
        let master = Master::start(program, "-W");
        let before = master.workers();
        master.folder.file("l.cfg", "listen l\n  bogus\n");
        master.running.signal(Signal::USR2);
        eventually("the failure is counted", || master.say("show proc\n").contains("1 [failed: 1]"));
        assert_eq!(master.workers(), before, "{program:?}");
        assert_eq!(ask(master.port).as_deref(), Some("hello"), "{program:?}");
    }
}

#[test]
fn the_masters_socket_answers_in_haproxys_words() {
    let masters = BOTH.map(|program| Master::start(program, "-W"));
    for commands in [
        "help\n",
        "foo\n",
        "show cli level\n",
        "operator\nshow cli level\n",
        "user;show cli level\n",
        "user;help\n",
        "operator;help\n",
        "user;rel\n",
        "show cli sockets\n",
        "@2 show version\n",
        "@!1 show version\n",
        "@x show version\n",
        "@1 add acl #9 <<\nfirst\nsecond; third\n\n",
        "show loadstatus\n",
        "prompt\nshow cli level\n@\nquit\n",
        "",
        "\n",
    ] {
        let [recorded, ours] = [0, 1].map(|index| masters[index].say(commands));
        assert_eq!(ours, recorded, "{commands:?}");
    }
    let [recorded, ours] = [0, 1].map(|index| masters[index].say("show proc\n"));
    let shape = |text: &str| {
        text.lines()
            .map(|line| line.split("  ").next().map(|word| word.parse::<u32>().is_ok()))
            .collect::<Vec<_>>()
    };
    assert_eq!(shape(&ours), shape(&recorded));
    assert_eq!(ours.lines().next(), recorded.lines().next());
    assert_eq!(masters[1].say("show version\n"), masters[1].say("@master show version\n"));
}

/// What one connection got before it ended, in whichever way it ended, and the line of the master when all is quiet again.
fn after(master: &Master, commands: &str) -> (String, String) {
    let mut stream = None;
    // HAProxy is not at its socket while it starts itself again.
    eventually("the master takes a client", || {
        stream = UnixStream::connect(master.folder.path().join("master.sock")).ok();
        stream.is_some()
    });
    let mut stream = stream.expect("just seen");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(commands.as_bytes()).expect("sends");
    let mut answer = Vec::new();
    // HAProxy's master goes with its connections when it executes itself again: an end or a reset.
    let _ = stream.read_to_end(&mut answer);
    let mut last = String::new();
    eventually("all is quiet", || {
        let listed = master.say("show proc\n");
        let workers = listed.lines().filter(|line| line.contains("worker  ")).count();
        let is_same = listed == last;
        last = listed;
        std::thread::sleep(std::time::Duration::from_millis(100));
        is_same && workers == 1
    });
    let line = last.lines().find(|line| line.contains("master  ")).expect("the master's line");
    let counts = line.split_once("master").expect("just seen").1.split(']').next().unwrap_or_default();
    (String::from_utf8_lossy(&answer).into_owned(), counts.trim().to_owned())
}

// row: 329
#[test]
fn what_reload_answers_and_does_is_haproxys() {
    let masters = BOTH.map(|program| Master::start(program, "-W"));
    let mut reloads = 0;
    for (commands, does_reload) in [
        ("reload\n", true),
        ("@master reload\n", true),
        ("reload now\n", true),
        ("show version;reload\nshow cli level\n", true),
        ("prompt\nreload\n", true),
        ("operator;reload\n", true),
        ("user;reload\n", false),
    ] {
        reloads += u32::from(does_reload);
        let [mut recorded, mut ours] = [0, 1].map(|index| after(&masters[index], commands));
        for (answer, _) in [&mut recorded, &mut ours] {
            // The versions of both programs.
            *answer =
                answer.replace("-1+deb12u4", "").lines().filter(|line| !line.starts_with("2.6.12")).collect();
        }
        assert_eq!(ours, recorded, "{commands:?}");
        assert!(ours.1.starts_with(&format!("{reloads} ")), "{commands:?}: {ours:?}");
    }
    // A broken file is told in the log alone.
    for master in &masters {
        master.folder.file("l.cfg", "listen l\n  bogus\n");
    }
    let [recorded, ours] = [0, 1].map(|index| after(&masters[index], "reload\n"));
    assert_eq!(ours, recorded);
    assert_eq!(ours, (String::new(), format!("{} [failed: 1", reloads + 1)));
}

#[test]
fn the_first_datagram_to_the_supervisor_says_ready() {
    let folder = Folder::new();
    let port = free_port();
    folder.file("l.cfg", &configuration("", &format!("127.0.0.1:{port}"), greeter("hello")));
    let supervisor = UnixDatagram::bind(folder.path().join("notify.sock")).expect("binds");
    supervisor.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let next = || {
        let mut buffer = [0; 1000];
        let length = supervisor.recv(&mut buffer).expect("a datagram");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut command = Program::Hawser.command();
    command.args(["-Ws", "-f", "l.cfg"]).current_dir(folder.path());
    command.env("NOTIFY_SOCKET", folder.path().join("notify.sock"));
    let mut running = Running::start(command);
    assert_eq!(next(), format!("READY=1\nMAINPID={}", running.pid()));
    running.signal(Signal::USR2);
    assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(next().starts_with("READY=1\n"));
    running.signal(Signal::TERM);
    assert_eq!(next(), "STOPPING=1");
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn no_client_is_lost_over_reloads() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    let mut master = Master::start(Program::Hawser, "-W");
    let (served, lost, done) =
        (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (served, lost, done) = (Arc::clone(&served), Arc::clone(&lost), Arc::clone(&done));
            let port = master.port;
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let counter = if ask(port).as_deref() == Some("hello") { &served } else { &lost };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        master.reload_with(|master| master.running.signal(Signal::USR2));
    }
    done.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("no panic"));
    assert_eq!(lost.load(Ordering::Relaxed), 0, "of {}", served.load(Ordering::Relaxed));
    assert!(served.load(Ordering::Relaxed) > 100);
    master.running.signal(Signal::TERM);
    master.running.wait();
    let output = master.running.output();
    assert!(!output.contains("Failed to get the sockets"), "{output}");
}
