//! The process: command line, exit codes, signals, pid files, inherited sockets, supervision.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use differential::{Backend, Client, Program, Reply, ReservedPort, pause, same, wait_until};
use rustix::process::Signal;

use crate::support::get;

const WEB: &str = "listen web\n bind 127.0.0.1:$(web)\n server s1 127.0.0.1:1\n";

#[test]
fn a_check_ends_with_0_for_valid_1_for_fatal_2_for_no_listener() {
    let cases = [
        ("valid", WEB.to_owned()),
        ("unknown keyword", format!("{WEB} bogus keyword\n")),
        ("unknown section", format!("{WEB}lsiten x\n")),
        ("unknown backend", format!("{WEB} use_backend nobody if TRUE\n")),
        (
            "a warning alone",
            "listen a\n bind 127.0.0.1:$(a)\n mode tcp\n option forwardfor\n server s 127.0.0.1:1\n"
                .to_owned(),
        ),
        ("empty", String::new()),
        ("backend alone", "backend b\n server s 127.0.0.1:1\n".to_owned()),
        ("no final line end", WEB.trim_end().to_owned()),
    ];
    let codes = same(|program| {
        cases.each_ref().map(|(name, text)| {
            // "no final line end" is accepted by policy; compared in its own test.
            let code = if *name == "no final line end" { 0 } else { program.http(text).check().code };
            (*name, code)
        })
    });
    assert_eq!(codes[0].1, 0);
    assert_eq!(codes[1].1, 1);
}

// row: 72
#[test]
fn a_missing_final_line_end_is_fatal_for_haproxy_and_a_warning_for_hawser() {
    let result = differential::both(|program| program.http(WEB.trim_end()).check());
    if let Some(exit) = result.haproxy {
        assert_eq!(exit.code, 1);
    }
    if let Some(exit) = result.hawser {
        assert_eq!(exit.code, 0);
        assert!(!exit.stderr.is_empty(), "it warns");
    }
}

#[test]
fn a_check_of_nothing_but_dev_null_ends_alike() {
    let codes = same(|program| {
        [
            &["-c", "-f", "/dev/null"][..],
            &["-c", "-q", "-f", "/dev/null"],
            &["-c", "-f", "/nonexistent"],
            &["-c"],
            &["-f"],
            &["--bogus"],
            &["-c", "-V", "-f", "/dev/null"],
        ]
        .map(|arguments| (arguments, program.run(arguments).code))
    });
    assert_eq!(codes[2].1, 1);
}

#[test]
fn a_verbose_check_says_valid_and_a_quiet_one_nothing() {
    let said = same(|program| {
        ["-V", "-q", ""].map(|flag| {
            let launch = program.http(WEB);
            let launch = if flag.is_empty() { launch } else { launch.argument(flag) };
            let exit = launch.check();
            (exit.code, exit.stdout)
        })
    });
    assert_eq!(said[0], (0, "Configuration file is valid\n".to_owned()));
    assert_eq!(said[1], (0, String::new()));
}

#[test]
fn a_start_with_errors_ends_with_1() {
    let codes = same(|program| {
        let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = occupied.local_addr().expect("its address").port();
        let taken = format!("listen web\n bind 127.0.0.1:{port}\n server s1 127.0.0.1:1\n");
        [
            program.http("listen web\n bogus\n").start_failing().code,
            program.http(&taken).start_failing().code,
            program.run(&["-db", "-f", "/dev/null"]).code,
            program.http(WEB).argument("-dW").argument("-f").argument("/nonexistent").start_failing().code,
        ]
    });
    assert_eq!(codes, [1; 4]);
}

#[test]
fn warnings_are_fatal_when_asked() {
    let codes = same(|program| {
        let warns = "listen a\n bind 127.0.0.1:$(a)\n mode tcp\n option forwardfor\n server s 127.0.0.1:1\n";
        [program.http(warns).check().code, program.http(warns).argument("-dW").check().code]
    });
    assert_eq!(codes, [0, 1]);
}

#[test]
fn conditions_on_the_command_line_end_with_0_or_1() {
    let conditions = [
        "1",
        "0",
        "true",
        "false",
        "streq(a,a)",
        "streq(a,b)",
        "strneq(a,b)",
        "!streq(a,b)",
        "streq(a,a) && streq(b,b)",
        "streq(a,b) || streq(b,b)",
        "(streq(a,b) || 1) && 0",
        "defined(HOME_NOT_SET)",
        "defined(PATH)",
        "feature(THREAD)",
        "feature(NOTHING)",
        "version_atleast(2.4)",
        "version_atleast(2.6-dev0)",
        "version_atleast(9.0)",
        "version_before(9.0)",
        "version_before(2.4)",
        "bogus(",
        "bogus()",
        "",
        "streq(\"a b\",\"a b\")",
    ];
    let codes =
        same(|program| conditions.map(|condition| (condition, program.run(&["-cc", condition]).code)));
    assert_eq!(codes[0].1, 0);
    assert_eq!(codes[1].1, 1);
}

#[test]
fn version_flags_end_with_0_and_name_the_program() {
    let codes = same(|program| {
        ["-v", "-vv"].map(|flag| {
            let exit = program.run(&[flag]);
            (exit.code, exit.stdout.starts_with("HAProxy version "))
        })
    });
    assert_eq!(codes, [(0, true), (0, true)]);
}

#[test]
fn several_files_and_directories_are_read_in_order() {
    let (served, codes) = same(|program| {
        let backend = Backend::named("s1");
        let proxy = program
            .http("frontend web\n bind 127.0.0.1:$(web)\n default_backend app\n")
            .with("s1", backend.port())
            .file("second.cfg", "backend app\n server s1 127.0.0.1:$(s1)\n")
            .argument("-f")
            .argument("$(dir)/second.cfg")
            .start();
        let served = proxy.get("web", "/").body;
        let missing = program.http(WEB).argument("-f").argument("$(dir)/missing.cfg").check().code;
        (served, missing)
    });
    assert_eq!((served.as_str(), codes), ("s1", 1));
}

#[test]
fn signals_end_the_process_as_supervisors_expect() {
    let codes = same(|program| {
        [Signal::INT, Signal::TERM, Signal::USR1].map(|signal| program.http(WEB).start().stop(signal).code)
    });
    assert!(codes.iter().all(|code| [0, 128 + 2, 128 + 15].contains(code)), "{codes:?}");
}

#[test]
fn sigusr1_lets_requests_finish_and_refuses_new_connections() {
    let (body, refused, code) = same(|program| {
        let backend = Backend::http(|_| Reply::ok("finished").after(700));
        let mut proxy = crate::support::web(program, "", &backend);
        let port = proxy.port("web");
        let mut client = proxy.client("web");
        client.send(get("/", &[]));
        backend.wait_for_requests(1);
        proxy.signal(Signal::USR1);
        pause(200);
        let refused = std::net::TcpStream::connect(("127.0.0.1", port)).is_err();
        let response = client.response();
        drop(client);
        (response.body, refused, proxy.wait().code)
    });
    assert_eq!((body.as_str(), refused, code), ("finished", true, 0));
}

#[test]
fn sigusr1_closes_idle_keep_alive_connections() {
    let (end, code) = same(|program| {
        let backend = Backend::named("s1");
        let mut proxy = crate::support::web(program, "", &backend);
        let mut client = proxy.client("web");
        client.ask(get("/", &[]));
        let start = Instant::now();
        proxy.signal(Signal::USR1);
        let end = client.read_for(Duration::from_secs(3)).1;
        drop(client);
        let code = proxy.wait().code;
        assert!(start.elapsed() < Duration::from_secs(5));
        (end, code)
    });
    assert_eq!(code, 0, "after the idle connection ended as {end}");
}

// row: 63
#[test]
fn a_master_writes_its_pid_keeps_running_and_ends_on_sigint() {
    let codes = same(|program| {
        let mut proxy =
            program.http(WEB).no_foreground().argument("-W").argument("-p").argument("$(dir)/pid").start();
        let path = proxy.folder().join("pid");
        wait_until("the pid file", || path.exists());
        let pid: u32 = std::fs::read_to_string(&path).expect("the pid file").trim().parse().expect("one pid");
        assert_eq!(pid, proxy.pid(), "the master's");
        assert!(proxy.is_running());
        proxy.stop(Signal::INT).code
    });
    assert_eq!(codes, 130);
}

// row: 48, 63
#[test]
fn a_daemon_detaches_and_writes_its_pid() {
    let ended = same(|program| {
        let launch = program.http(WEB).no_foreground().argument("-D").argument("-p").argument("$(dir)/pid");
        let mut proxy = launch.start();
        let parent = proxy.wait().code;
        let path = proxy.folder().join("pid");
        wait_until("the pid file", || path.exists());
        let pid: i32 = std::fs::read_to_string(&path).expect("the pid file").trim().parse().expect("one pid");
        let daemon = rustix::process::Pid::from_raw(pid).expect("a pid");
        let answered = proxy.cli("show info").contains(&format!("Pid: {pid}\n"));
        rustix::process::kill_process(daemon, Signal::TERM).expect("the daemon runs");
        wait_until("the daemon's end", || {
            // A zombie of the init process may stay for a moment; its command line is empty.
            std::fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |line| line.is_empty())
        });
        (parent, answered)
    });
    assert_eq!(ended, (0, true));
}

#[test]
fn a_supervised_master_announces_itself() {
    let (first, code) = same(|program| {
        let socket =
            std::env::temp_dir().join(format!("hawser-notify-{}-{}", std::process::id(), program.name()));
        let _ = std::fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).expect("a datagram socket");
        notify.set_read_timeout(Some(differential::PATIENCE)).expect("a read timeout");
        let proxy =
            program.http(WEB).no_foreground().argument("-Ws").env("NOTIFY_SOCKET", socket.display()).start();
        let mut datagrams = Vec::new();
        // haproxy 2.6 speaks of a reload before it is ready; hawser must be ready at its first word.
        while datagrams.is_empty() || (program == Program::Haproxy && datagrams.len() < 3) {
            let mut buffer = [0; 1_024];
            let length = notify.recv(&mut buffer).expect("a notification");
            datagrams.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            if datagrams.iter().any(|text| text.contains("READY=1")) {
                break;
            }
        }
        let text = datagrams.join("\n");
        let _ = std::fs::remove_file(&socket);
        (text.lines().any(|line| line == "READY=1"), proxy.stop(Signal::INT).code)
    });
    assert_eq!((first, code), (true, 130));
}

// row: 329
#[test]
fn sigusr2_reloads_the_configuration_without_losing_the_listener() {
    let (before, after, failures) = same(|program| {
        let [first, second] = ["one", "two"].map(Backend::named);
        let text = "listen web\n bind 127.0.0.1:$(web)\n server s 127.0.0.1:$(s)\n";
        let proxy = program.http(text).with("s", first.port()).no_foreground().argument("-W").start();
        let before = proxy.get("web", "/").body;
        let path = proxy.folder().join("test.cfg");
        let config = std::fs::read_to_string(&path).expect("the configuration");
        std::fs::write(&path, config.replace(&first.port().to_string(), &second.port().to_string()))
            .expect("rewritten");
        proxy.signal(Signal::USR2);
        let mut failures = 0;
        let mut after = String::new();
        let start = Instant::now();
        while after != "two" && start.elapsed() < Duration::from_secs(5) {
            match Client::connect(proxy.port("web")).ask(get("/", &["Connection: close"])) {
                response if response.status == 200 => after = response.body,
                _ => failures += 1,
            }
            pause(20);
        }
        (before, after, failures)
    });
    assert_eq!((before.as_str(), after.as_str(), failures), ("one", "two", 0));
}

#[test]
fn inherited_listening_sockets_are_used_by_their_number() {
    let bodies = same(|program| {
        let backend = Backend::named("s1");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let cli = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        for socket in [&listener, &cli] {
            rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty()).expect("inheritable");
        }
        let address = listener.local_addr().expect("its address");
        // A client may be there before the program accepts.
        let mut early = Client::connect(address.port());
        early.send(get("/early", &[]));
        let text = "global\n stats socket \"fd@${cli}\" level admin\n\
                    listen web\n bind \"fd@${fe}\"\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program
            .http(text)
            .with("s1", backend.port())
            .env("fe", listener.as_raw_fd())
            .env("cli", cli.as_raw_fd())
            .start();
        let early = early.response().body;
        let late = Client::connect(address.port()).ask(get("/", &[])).body;
        let mut admin = Client::connect(cli.local_addr().expect("its address").port());
        let weight = admin.send("get weight web/s1\n").finish_sending().read_to_close();
        drop(proxy);
        [early, late, weight]
    });
    assert_eq!(bodies, ["s1", "s1", "1 (initial 1)\n\n"]);
}

#[test]
fn the_runtime_api_over_tcp_answers_everything_after_a_half_close() {
    let reply = same(|program| {
        let text = format!("global\n stats socket ipv4@127.0.0.1:$(admin) level admin\n{WEB}");
        let proxy = program.http(&text).start();
        let mut client = proxy.client("admin");
        client.send("get weight web/s1;get weight web/s1\nget weight web/nobody\n").finish_sending();
        client.read_to_close()
    });
    assert_eq!(reply, "1 (initial 1)\n\n1 (initial 1)\n\nNo such server.\n\n");
}

#[test]
fn the_end_of_standard_input_does_not_matter_and_standard_output_ends_with_the_process() {
    let ended = same(|program: Program| {
        let port = ReservedPort::new();
        let folder =
            std::env::temp_dir().join(format!("hawser-stdio-{}-{}.cfg", std::process::id(), program.name()));
        let text = format!(
            "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
             listen web\n bind 127.0.0.1:{}\n server s1 127.0.0.1:1\n",
            port.number()
        );
        std::fs::write(&folder, text).expect("the configuration");
        let mut command = program.command();
        command.arg("-d").arg("-f").arg(&folder);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        drop(child.stdin.take());
        wait_until("the listener", || std::net::TcpStream::connect(("127.0.0.1", port.number())).is_ok());
        pause(200);
        let alive = child.try_wait().expect("a child of ours").is_none();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT)
            .expect("it runs");
        let mut output = Vec::new();
        child.stdout.take().expect("a pipe").read_to_end(&mut output).expect("the end of its output");
        let status = child.wait().expect("it ended");
        let _ = std::fs::remove_file(&folder);
        use std::os::unix::process::ExitStatusExt;
        (alive, status.code() == Some(0) || status.signal() == Some(2))
    });
    assert_eq!(ended, (true, true));
}

#[test]
fn environment_variables_stand_in_double_quotes_and_addresses() {
    let bodies = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n http-request return status 200 content-type \"text/plain\" \
                    string \"${GREETING} ${ABSENT-default} $GREETING\" if { path /double }\n \
                    http-request return status 200 content-type text/plain string '${GREETING}' if { path /single }\n \
                    http-request return status 200 content-type text/plain string \"a\\\"b\\ c\" if { path /escapes }\n \
                    http-request return status 200 content-type text/plain string a\\ b\\#c if { path /bare }\n \
                    http-request return status 200 content-type text/plain string \"${LIST[*]}\" if { path /list }\n \
                    server s1 \"${HOST}\":1\n";
        let proxy = program
            .http(text)
            .env("GREETING", "hello")
            .env("HOST", "127.0.0.1")
            .env("LIST", "one two")
            .try_start();
        match proxy {
            Ok(proxy) => ["/double", "/single", "/escapes", "/bare", "/list"]
                .map(|path| proxy.get("web", path).body)
                .to_vec(),
            Err(exit) => vec![exit.code.to_string()],
        }
    });
    assert!(bodies[0] == "hello default hello" || bodies[0] == "1", "{bodies:?}");
}

#[test]
fn conditional_blocks_choose_lines() {
    let statuses = same(|program| {
        let text = "listen web\n bind 127.0.0.1:$(web)\n\
                    .if defined(CHOICE) && streq(\"${CHOICE}\",a)\n http-request return status 200\n\
                    .elif version_atleast(99)\n http-request return status 401\n\
                    .else\n http-request return status 404\n .if 0\n bogus line\n .endif\n.endif\n";
        ["a", "b"].map(|choice| program.http(text).env("CHOICE", choice).start().get("web", "/").status)
    });
    assert_eq!(statuses, [200, 404]);
}

// row: 57
#[test]
fn global_maxconn_bounds_clients_and_the_rest_wait() {
    let (served, waiting) = same(|program| {
        let text = "global\n maxconn 3\n nbthread 1\ndefaults\n mode http\n timeout client 5s\n timeout connect 1s\n timeout server 1s\n\
                    listen web\n bind 127.0.0.1:$(web)\n http-request return status 200\n";
        let proxy = program.bare(text).start();
        let mut clients: Vec<_> = (0..4).map(|_| proxy.client("web")).collect();
        let mut served = Vec::new();
        for client in clients.iter_mut().take(3) {
            served.push(client.ask(get("/", &[])).status);
        }
        let mut fourth = clients.pop().expect("four clients");
        fourth.send(get("/", &[]));
        let waiting = fourth.read_for(Duration::from_millis(300)).1;
        drop(clients);
        (served, (waiting, fourth.response().status))
    });
    assert_eq!((served, waiting), (vec![200; 3], ("open".to_owned(), 200)));
}
