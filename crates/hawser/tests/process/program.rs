//! Starting one of the two programs, in a folder of its own, and stopping it whatever happens.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Haproxy,
    Hawser,
}

pub const BOTH: [Program; 2] = [Program::Haproxy, Program::Hawser];

impl Program {
    pub fn command(self) -> Command {
        match self {
            Program::Haproxy => Command::new("/usr/sbin/haproxy"),
            Program::Hawser => {
                // A soak may name the program that will be shipped.
                let given = std::env::var_os("HAWSER_UNDER_TEST");
                let mut command = Command::new(given.unwrap_or(env!("CARGO_BIN_EXE_hawser").into()));
                command.arg("haproxy");
                command
            }
        }
    }
}

/// A folder that goes away with its value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hawser-process-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("writes");
        path
    }

    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.0.join(name)).ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

/// A TCP proxy on `port`, to a server that greets.
pub fn configuration(global: &str, bind: &str, server_port: u16) -> String {
    format!(
        "global\n{global}\ndefaults\n  mode tcp\n  timeout client 5s\n  timeout server 5s\n  timeout connect 1s\n\
         listen l\n  bind {bind}\n  server s 127.0.0.1:{server_port}\n"
    )
}

/// A server on loopback that answers each connection with its name and closes.
pub fn greeter(name: &'static str) -> u16 {
    use std::io::Write;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(name.as_bytes());
        }
    });
    port
}

/// A running program; killed when dropped.
pub struct Running(pub Child);

impl Running {
    pub fn start(mut command: Command) -> Running {
        Running(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("starts"),
        )
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        signal_pid(self.pid(), signal);
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the program ends", || {
            status = self.0.try_wait().expect("waits");
            status.is_some()
        });
        status.expect("just seen")
    }

    /// What it wrote to both streams, after it ended: returns only when nobody holds them open.
    pub fn output(&mut self) -> String {
        use std::io::Read;
        let mut text = String::new();
        self.0.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
        self.0.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A background process known by number; killed when dropped.
pub struct Background(pub i32);

impl Drop for Background {
    fn drop(&mut self) {
        signal_pid(self.0, rustix::process::Signal::KILL);
    }
}

pub fn signal_pid(pid: i32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// A process that runs; a dead one that nobody has waited for does not.
pub fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

pub fn run(program: Program, folder: &Folder, arguments: &[&str]) -> Output {
    program.command().args(arguments).current_dir(folder.path()).stdin(Stdio::null()).output().expect("runs")
}

pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a client of `port` is told before the end.
pub fn ask(port: u16) -> Option<String> {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}
