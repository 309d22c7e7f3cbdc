//! The programs under test: owns configuration text, start, readiness, runtime API and end of one process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::port::ReservedPort;
use crate::sink::Sink;
use crate::wire::Response;
use crate::{PATIENCE, wait_until};

/// Which program a scenario runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Haproxy,
    Hawser,
}

/// How a process ended and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, or 128 + signal as a shell tells it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A configuration and the way to start it.
///
/// The text may use `$(name)`: `$(dir)` is the folder of this run, `$(log)` the port of a UDP sink of this run,
/// names given by [`Launch::with`] their values, every other name a free port, the same one each time.
#[derive(Debug)]
pub struct Launch {
    program: Program,
    text: String,
    values: BTreeMap<String, String>,
    files: Vec<(String, String)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    has_cli: bool,
    foreground: bool,
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Instance {
    program: Program,
    child: Child,
    folder: Folder,
    ports: BTreeMap<String, ReservedPort>,
    config: String,
    sink: Option<Sink>,
}

/// What every scenario gets before its own text. The second program of a pair must not differ by threads.
const GLOBAL: &str = "global
    nbthread 1
    maxconn 2000
    stats socket $(dir)/cli.sock mode 600 level admin
";

/// The longest until everything listens: supervisors give up after three seconds, this machine may be busy.
const START_PATIENCE: Duration = Duration::from_secs(8);

/// Defaults of scenarios about HTTP: timeouts longer than any scenario.
const HTTP: &str = "defaults
    mode http
    timeout connect 8s
    timeout client 8s
    timeout server 8s
";

const TCP: &str = "defaults
    mode tcp
    timeout connect 8s
    timeout client 8s
    timeout server 8s
";

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Hawser => "hawser",
        }
    }

    /// The command without its own arguments.
    pub fn command(self) -> Command {
        match self {
            Self::Haproxy => {
                Command::new(std::env::var("HAPROXY_BIN").unwrap_or("/usr/sbin/haproxy".to_owned()))
            }
            Self::Hawser => {
                let mut command = Command::new(hawser_binary());
                command.arg("haproxy");
                command
            }
        }
    }

    /// A configuration of proxies in HTTP mode, with an admin socket and defaults before it.
    pub fn http(self, text: &str) -> Launch {
        self.launch(format!("{GLOBAL}{HTTP}{text}"), true)
    }

    /// A configuration of proxies in TCP mode, with an admin socket and defaults before it.
    pub fn tcp(self, text: &str) -> Launch {
        self.launch(format!("{GLOBAL}{TCP}{text}"), true)
    }

    /// The text and an admin socket.
    pub fn config(self, text: &str) -> Launch {
        self.launch(format!("{GLOBAL}{text}"), true)
    }

    /// The text alone.
    pub fn bare(self, text: &str) -> Launch {
        self.launch(text.to_owned(), false)
    }

    fn launch(self, text: String, has_cli: bool) -> Launch {
        Launch {
            program: self,
            text,
            values: BTreeMap::new(),
            files: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            has_cli,
            foreground: true,
        }
    }

    /// Runs with the arguments to its end.
    #[track_caller]
    pub fn run(self, arguments: &[&str]) -> Exit {
        let mut command = self.command();
        run_to_end(command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }
}

/// Ours, as it was built for tests.
pub fn hawser_binary() -> PathBuf {
    if let Ok(path) = std::env::var("HAWSER_BIN") {
        return PathBuf::from(path);
    }
    // This test runs as target/PROFILE/deps/scenarios-HASH: the binary is two folders up.
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.parent()?.join("hawser")));
    beside.filter(|path| path.exists()).expect(
        "no hawser binary: build it with `cargo build -p hawser`, name it by HAWSER_BIN, or set \
         HAWSER_DIFF=haproxy-only",
    )
}

fn run_to_end(command: &mut Command) -> Exit {
    let folder = Folder::new();
    let mut child = spawn(command, &folder);
    let status = wait_or_kill(&mut child, PATIENCE).expect("the command ends by itself");
    folder.exit(status)
}

fn spawn(command: &mut Command, folder: &Folder) -> Child {
    let file =
        |name: &str| fs::File::create(folder.path.join(name)).expect("a file in the folder of the run");
    command.current_dir(&folder.path).stdin(Stdio::null());
    command.stdout(file("stdout")).stderr(file("stderr"));
    command.spawn().unwrap_or_else(|error| panic!("start {:?}: {error}", command.get_program()))
}

/// The status of a child that ends within the time; kills it and returns `None` otherwise.
fn wait_or_kill(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

impl Launch {
    /// Gives a placeholder its value.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// Puts a file into the folder of the run (placeholders apply).
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// Adds a command line argument after `-f FILE` (placeholders apply).
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable of the program.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Leaves out `-db`, for scenarios about `-D`, `-W` and `-Ws`.
    pub fn no_foreground(mut self) -> Self {
        self.foreground = false;
        self
    }

    /// Validates with `-c` and returns the verdict.
    #[track_caller]
    pub fn check(self) -> Exit {
        let (_, mut command, folder, _ports, _sink) = self.argument("-c").prepare();
        let mut child = spawn(&mut command, &folder);
        let status = wait_or_kill(&mut child, PATIENCE).expect("-c ends by itself");
        folder.exit(status)
    }

    /// Starts and expects the program to refuse: returns how it ended.
    #[track_caller]
    pub fn start_failing(self) -> Exit {
        // Not by readiness: some sockets may stand for a moment before another one fails.
        let (config, mut command, folder, _ports, _sink) = self.prepare();
        let mut child = spawn(&mut command, &folder);
        let status = wait_or_kill(&mut child, PATIENCE);
        let exit = |status| folder.exit(status);
        status.map(exit).unwrap_or_else(|| panic!("runs, though it should not start:\n{config}"))
    }

    /// Starts and waits until every port of the text listens and the admin socket answers.
    #[track_caller]
    pub fn start(self) -> Instance {
        let program = self.program;
        let text = self.text.clone();
        self.try_start().unwrap_or_else(|exit| {
            panic!("{} did not start, code {}\n{}\n{text}", program.name(), exit.code, exit.stderr)
        })
    }

    /// Starts; the exit if the program ended before it was ready.
    #[track_caller]
    pub fn try_start(self) -> Result<Instance, Exit> {
        let (program, has_cli, foreground) = (self.program, self.has_cli, self.foreground);
        let (config, mut command, folder, ports, sink) = self.prepare();
        let child = spawn(&mut command, &folder);
        let mut instance = Instance { program, child, folder, ports, config, sink };
        let start = Instant::now();
        while instance.unready(has_cli).is_some() {
            let ended = instance.child.try_wait().expect("a child of ours");
            // A daemon's first process ends before the daemon is ready.
            if let Some(status) = ended.filter(|status| foreground || !status.success()) {
                return Err(instance.folder.exit(status));
            }
            assert!(
                start.elapsed() < START_PATIENCE,
                "{} is not ready after {START_PATIENCE:?}: {}\n{}",
                program.name(),
                instance.unready(has_cli).unwrap_or_default(),
                instance.stderr()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(instance)
    }

    fn prepare(self) -> (String, Command, Folder, BTreeMap<String, ReservedPort>, Option<Sink>) {
        let folder = Folder::new();
        let mut ports = BTreeMap::new();
        let mut sink = None;
        let directory = folder.path.display().to_string();
        let mut fill = |text: &str| {
            substitute(text, |name| match name {
                "dir" => directory.clone(),
                "log" => sink.get_or_insert_with(Sink::udp).port().to_string(),
                name => self.values.get(name).cloned().unwrap_or_else(|| {
                    ports.entry(name.to_owned()).or_insert_with(ReservedPort::new).number().to_string()
                }),
            })
        };
        let config = fill(&self.text);
        for (name, content) in &self.files {
            fs::write(folder.path.join(name), fill(content)).expect("a file in the folder of the run");
        }
        fs::write(folder.path.join("test.cfg"), &config).expect("the configuration");
        let mut command = self.program.command();
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("-f").arg(folder.path.join("test.cfg"));
        if self.foreground {
            command.arg("-db");
        }
        command.args(self.arguments.iter().map(|argument| fill(argument)));
        command.envs(self.environment);
        (config, command, folder, ports, sink)
    }
}

/// Replaces every `$(name)`.
fn substitute(text: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        let (name, remainder) = after.split_once(')').expect("a placeholder ends");
        result.push_str(before);
        result.push_str(&value(name));
        rest = remainder;
    }
    result + rest
}

impl Instance {
    /// What does not listen yet.
    fn unready(&self, has_cli: bool) -> Option<String> {
        // The cheap question first: /proc/net/tcp takes the kernel milliseconds.
        if has_cli && UnixStream::connect(self.cli_path()).is_err() {
            return Some("no admin socket".to_owned());
        }
        // /proc tells who listens without a connection that would show in logs and counters.
        let listeners = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let listens =
            |port: &ReservedPort| listeners.contains(&format!(":{:04X} 00000000:0000 0A", port.number()));
        let silent = self.ports.iter().find(|(_, port)| !listens(port));
        silent.map(|(name, _)| format!("nobody listens at $({name})"))
    }

    pub fn program(&self) -> Program {
        self.program
    }

    /// The process started (a master's pid under `-W`).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port that a placeholder of the configuration got.
    #[track_caller]
    pub fn port(&self, name: &str) -> u16 {
        self.ports.get(name).unwrap_or_else(|| panic!("no placeholder $({name})")).number()
    }

    /// The folder of this run, the program's working directory.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// A new connection to the named port.
    #[track_caller]
    pub fn client(&self, port: &str) -> Client {
        Client::connect(self.port(port))
    }

    /// One GET on a connection of its own, closed by request.
    #[track_caller]
    pub fn get(&self, port: &str, target: &str) -> Response {
        self.client(port)
            .ask(format!("GET {target} HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n"))
    }

    /// Bodies of so many GETs in turn: who served them.
    #[track_caller]
    pub fn served_by(&self, port: &str, count: usize) -> Vec<String> {
        (0..count).map(|_| self.get(port, "/").body).collect()
    }

    /// The UDP sink behind `$(log)`.
    #[track_caller]
    pub fn log(&self) -> &Sink {
        self.sink.as_ref().expect("the configuration logs to $(log)")
    }

    fn cli_path(&self) -> PathBuf {
        self.folder.path.join("cli.sock")
    }

    /// Sends the command line to the admin socket, half-closes, returns the whole reply.
    #[track_caller]
    pub fn cli(&self, command: &str) -> String {
        self.cli_at(&self.cli_path(), &format!("{command}\n"))
    }

    /// The same at another UNIX socket, with the bytes as they are.
    #[track_caller]
    pub fn cli_at(&self, path: &Path, bytes: &str) -> String {
        let mut stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.write_all(bytes.as_bytes()).expect("the program takes the command");
        stream.shutdown(Shutdown::Write).expect("a half-close");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("the reply up to the close");
        String::from_utf8_lossy(&reply).into_owned()
    }

    /// A field of `show stat`: `stat("app", "s1", "status")`.
    #[track_caller]
    pub fn stat(&self, proxy: &str, server: &str, field: &str) -> String {
        let table = self.cli("show stat");
        let mut lines = table.lines();
        let head = lines.next().unwrap_or_default().trim_start_matches("# ");
        let column = head.split(',').position(|name| name == field);
        let column = column.unwrap_or_else(|| panic!("no column {field} in {head}"));
        let row = lines.find(|line| line.starts_with(&format!("{proxy},{server},")));
        let row = row.unwrap_or_else(|| panic!("no row {proxy}/{server} in\n{table}"));
        // A star marks a check in progress: chance.
        row.split(',').nth(column).unwrap_or_default().trim_start_matches("* ").to_owned()
    }

    /// Waits until a field of `show stat` starts with the value.
    #[track_caller]
    pub fn wait_for_stat(&self, proxy: &str, server: &str, field: &str, value: &str) {
        wait_until(&format!("{proxy}/{server} {field}={value}"), || {
            self.stat(proxy, server, field).starts_with(value)
        });
    }

    /// What the program wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.folder.read("stderr")
    }

    /// What the program wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.folder.read("stdout")
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the process is ours and there");
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }

    /// Waits for the end that something else caused.
    #[track_caller]
    pub fn wait(&mut self) -> Exit {
        let status = wait_or_kill(&mut self.child, PATIENCE);
        self.folder.exit(status.unwrap_or_else(|| panic!("{} did not end", self.program.name())))
    }

    /// Sends the signal and waits for the end.
    #[track_caller]
    pub fn stop(mut self, signal: Signal) -> Exit {
        self.signal(signal);
        self.wait()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SIGTERM first: a master must take its workers along, which SIGKILL would leave behind.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = wait_or_kill(&mut self.child, Duration::from_secs(2));
        }
        if std::thread::panicking() {
            eprintln!(
                "--- {} ran:\n{}\n--- stdout\n{}\n--- stderr\n{}",
                self.program.name(),
                self.config,
                self.stdout(),
                self.stderr()
            );
            if let Some(sink) = &self.sink {
                eprintln!("--- log\n{}", sink.lines().join("\n"));
            }
        }
    }
}

/// A folder under the system's temporary one, removed when dropped.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short: a UNIX socket's path has 107 bytes, and haproxy appends its pid while binding.
        let path = std::env::temp_dir().join(format!("hawser-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self { path }
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn exit(&self, status: ExitStatus) -> Exit {
        use std::os::unix::process::ExitStatusExt;
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        Exit { code, stdout: self.read("stdout"), stderr: self.read("stderr") }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Exit {
    /// Line numbers of `test.cfg` that the messages name.
    pub fn lines_named(&self) -> std::collections::BTreeSet<u32> {
        let mut lines = std::collections::BTreeSet::new();
        for part in self.stderr.split("test.cfg:").skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            lines.extend(digits.parse::<u32>());
        }
        lines
    }
}
