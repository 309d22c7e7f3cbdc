//! `hawser lab up|down|status`: the tutorial's deployment on one machine. Hosts are network namespaces on one bridge: two
//! directors that run `hawser run`, two real servers with nginx, a client. Touches nothing outside of its own namespaces and
//! its directory, and takes both away again.
//!
//! ```text
//!   hk-client .10 ──┐                        ┌── hk-slave1 .111   nginx "111"
//!                   ├── hk-switch (bridge) ──┤
//!   hk-master1 .113 ┤        VIP .200        └── hk-slave2 .112   nginx "112"
//!   hk-master2 .114 ┘
//! ```

mod configuration;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

pub const HELP: &str = "Usage: hawser lab up [--bare] [--timers tutorial|fast] | down | status

Builds the tutorial's deployment from network namespaces on this machine (as root): hk-master1 and hk-master2 run `hawser run`
with the virtual address 192.168.1.200 between them, hk-slave1 and hk-slave2 run nginx, hk-client is for curl.

  up                      builds it and starts everything
    --bare                hosts and real servers only
    --timers tutorial     advert_int 1, VRRP version 2
    --timers fast         advert_int 0.01, version 3: a lost node is missed within 40 ms (default)
  down                    stops what it started, and removes the hosts
  status                  which node has the address

Then:  ip netns exec hk-client curl http://192.168.1.200/
       ip netns exec hk-master1 hawser vrrp -S /run/hawser-lab/hk-master1/vrrp.sock status";

/// Everything that the lab writes.
const DIRECTORY: &str = "/run/hawser-lab";
const SWITCH: &str = "hk-switch";
pub const VIRTUAL: &str = "192.168.1.200";

/// A host: its name, the last number of its address.
struct Host {
    name: &'static str,
    number: u8,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Director { priority: u8 },
    RealServer,
    Client,
}

const HOSTS: &[Host] = &[
    Host { name: "hk-master1", number: 113, role: Role::Director { priority: 150 } },
    Host { name: "hk-master2", number: 114, role: Role::Director { priority: 100 } },
    Host { name: "hk-slave1", number: 111, role: Role::RealServer },
    Host { name: "hk-slave2", number: 112, role: Role::RealServer },
    Host { name: "hk-client", number: 10, role: Role::Client },
];

/// The longest that one command, or the start of a daemon, may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How fast a lost node is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timers {
    Tutorial,
    Fast,
}

/// Runs one command line, without the program's name.
pub fn run(words: &[OsString]) -> ExitCode {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["-h" | "--help"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["up"] => up(false, Timers::Fast),
        ["up", "--bare"] => up(true, Timers::Fast),
        ["up", "--timers", "fast"] => up(false, Timers::Fast),
        ["up", "--timers", "tutorial"] => up(false, Timers::Tutorial),
        ["down"] => down(),
        ["status"] => status(),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("hawser lab: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn up(is_bare: bool, timers: Timers) -> Result<(), String> {
    if Path::new(DIRECTORY).exists() {
        return Err(format!("{DIRECTORY} is there: `hawser lab down` first"));
    }
    let built = build().and_then(|()| start(is_bare, timers));
    if built.is_err() {
        // Half a lab is in the way of the next one.
        let _ = down();
    }
    built
}

/// The hosts and their wires.
fn build() -> Result<(), String> {
    fs::create_dir_all(DIRECTORY).map_err(|error| format!("{DIRECTORY}: {error}"))?;
    ip(&["netns", "add", SWITCH])?;
    ip(&["-n", SWITCH, "link", "add", "br0", "type", "bridge", "forward_delay", "0"])?;
    ip(&["-n", SWITCH, "link", "set", "br0", "up"])?;
    for host in HOSTS {
        let Host { name, number, .. } = host;
        let (port, mac, address) =
            (format!("p{number}"), format!("02:00:00:00:01:{number:02x}"), format!("192.168.1.{number}/24"));
        ip(&["netns", "add", name])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        let own = ["-n", name, "link", "add", "ens33", "address", &mac, "type", "veth"];
        ip(&[&own[..], &["peer", "name", &port, "netns", SWITCH]].concat())?;
        ip(&["-n", SWITCH, "link", "set", &port, "master", "br0", "up"])?;
        ip(&["-n", name, "link", "set", "ens33", "up"])?;
        ip(&["-n", name, "addr", "add", &address, "dev", "ens33"])?;
    }
    Ok(())
}

fn start(is_bare: bool, timers: Timers) -> Result<(), String> {
    for host in HOSTS {
        let directory = directory_of(host);
        fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        if host.role == Role::RealServer {
            start_nginx(host, &directory)?;
        }
    }
    for host in HOSTS {
        if let Role::Director { priority } = host.role {
            let directory = directory_of(host);
            let write = |name: &str, text: String| {
                let path = directory.join(name);
                fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
            };
            write("haproxy.cfg", configuration::proxy(host.number))?;
            write("keepalived.conf", configuration::failover(host.number, priority, timers))?;
            if !is_bare {
                start_director(host, &directory)?;
            }
        }
    }
    println!("the lab is up; try:\n  ip netns exec hk-client curl http://{VIRTUAL}/");
    Ok(())
}

fn directory_of(host: &Host) -> PathBuf {
    Path::new(DIRECTORY).join(host.name)
}

fn start_nginx(host: &Host, directory: &Path) -> Result<(), String> {
    let path = directory.join("nginx.conf");
    fs::write(&path, configuration::nginx(host.number, directory)).map_err(|error| error.to_string())?;
    let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).exists());
    let nginx = nginx.ok_or("nginx is not installed: apt install nginx-light")?;
    let mut command = on(host.name, nginx);
    command.arg("-c").arg(&path);
    let mut child = spawn(command, directory)?;
    let port = format!("192.168.1.{}:80", host.number);
    wait_for(&mut child, "nginx", || listens(host.name, &port))
}

fn start_director(host: &Host, directory: &Path) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = on(host.name, &program.to_string_lossy());
    command.arg("run").arg("-f").arg(directory.join("haproxy.cfg"));
    command.arg("-k").arg(directory.join("keepalived.conf")).arg("--run-directory").arg(directory);
    let mut child = spawn(command, directory)?;
    let socket = directory.join("vrrp.sock");
    wait_for(&mut child, "hawser run", || socket.exists())
}

fn on(host: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, program]);
    command
}

/// Starts a daemon in a session of its own, and notes its process for `down`.
fn spawn(mut command: Command, directory: &Path) -> Result<Child, String> {
    let log = File::create(directory.join("log")).map_err(|error| error.to_string())?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    let child = command.spawn().map_err(|error| format!("ip: {error}"))?;
    fs::write(directory.join("pid"), format!("{}\n", child.id())).map_err(|error| error.to_string())?;
    Ok(child)
}

fn wait_for(child: &mut Child, what: &str, ready: impl Fn() -> bool) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while !ready() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("{what} ended ({status}); its log is below {DIRECTORY}"));
        }
        if Instant::now() > end {
            return Err(format!("{what} does not get ready; its log is below {DIRECTORY}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn listens(host: &str, address: &str) -> bool {
    let output = on(host, "ss").args(["-Hltn"]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&format!("{address} ")))
}

/// Stops what was started and removes the hosts; what is gone already is no matter.
fn down() -> Result<(), String> {
    let pids: Vec<u32> = HOSTS.iter().filter_map(|host| pid_of(&directory_of(host))).collect();
    for pid in &pids {
        signal(*pid, rustix::process::Signal::TERM);
    }
    let end = Instant::now() + PATIENCE;
    while pids.iter().any(|pid| is_ours(*pid)) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    pids.iter().filter(|pid| is_ours(**pid)).for_each(|pid| signal(*pid, rustix::process::Signal::KILL));
    let mut failures = Vec::new();
    for name in HOSTS.iter().map(|host| host.name).chain([SWITCH]) {
        if Path::new("/run/netns").join(name).exists()
            && let Err(error) = ip(&["netns", "delete", name])
        {
            failures.push(error);
        }
    }
    match fs::remove_dir_all(DIRECTORY) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            failures.push(format!("{DIRECTORY}: {error}"))
        }
        Ok(()) | Err(_) => {}
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn pid_of(directory: &Path) -> Option<u32> {
    let pid = fs::read_to_string(directory.join("pid")).ok()?.trim().parse().ok()?;
    is_ours(pid).then_some(pid)
}

/// A number may belong to somebody else by now: ours names the lab on its command line.
fn is_ours(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(DIRECTORY)
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
        // It may have ended this moment.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn status() -> Result<(), String> {
    if !Path::new(DIRECTORY).exists() {
        return Err("the lab is down".to_owned());
    }
    for host in HOSTS {
        let addresses = ip(&["-n", host.name, "-o", "-4", "addr", "show", "dev", "ens33"])?;
        let owns = addresses.contains(&format!(" {VIRTUAL}/"));
        let is_running = pid_of(&directory_of(host)).is_some();
        let state = match host.role {
            Role::Client => "client",
            Role::RealServer | Role::Director { .. } if is_running => "running",
            Role::RealServer | Role::Director { .. } => "not running",
        };
        println!(
            "{:12}192.168.1.{:<4}{state}{}",
            host.name,
            host.number,
            if owns { ", has the address" } else { "" }
        );
    }
    Ok(())
}

/// Runs `ip`; its output.
fn ip(words: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(words).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("ip {}: {reason}", words.join(" ")))
}
