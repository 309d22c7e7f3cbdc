//! `cargo xtask bench`: hawser beside haproxy and nginx. Owns the workloads, the rounds and the report; the
//! programs, the backend and the load generator are its modules.
//!
//! ```text
//!  CPU 1: load generator ──►  CPU 0: one proxy, one thread  ──► CPU 1: backend
//!         (a process)         (haproxy, hawser, nginx in turn)         (a process)
//! ```
//! Everything runs in a network namespace of its own where the kernel allows one (no root needed), with cubic as
//! congestion control: a default of bbr would pace loopback traffic. Programs take turns within each round; the
//! median over the rounds is reported.

mod backend;
mod load;
mod memory;
mod proxies;
mod report;
mod rules;
mod sessions;
mod wire;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::command::{cargo, is_installed, must, root};
use load::{Load, Measured};
use proxies::{Mode, Program, Proxy, Setup};
use rules::Rules;
use wire::Security;

/// One comparison.
pub struct Workload {
    pub name: &'static str,
    pub meaning: &'static str,
    kind: Kind,
    /// The ratio of CPU time to haproxy's that hawser must reach, where the project set one.
    pub target: Option<f64>,
}

/// How a workload is measured.
enum Kind {
    /// Closed loop of requests: what the backend answers, connections, and the proxy before it.
    Traffic { path: &'static str, connections: usize, close: bool, setup: Setup },
    /// The same over HTTP/2 without TLS: so many streams on each connection.
    Streams { path: &'static str, connections: usize, streams: usize, setup: Setup },
    /// User memory of idle connections.
    Memory { setup: Setup },
    /// Time of `-c` on a configuration, which may need files in the folder.
    LoadTime { file: fn(&Path) -> Result<String, String> },
}

const HTTP: Setup = Setup {
    mode: Mode::Http,
    log: false,
    servers: 1,
    balance: "roundrobin",
    compress: false,
    security: Security::Plain,
    rules: Rules::None,
};
const TLS: Setup = Setup { security: Security::Full, ..HTTP };
const TCP: Setup = Setup { mode: Mode::Tcp, ..HTTP };

const fn traffic(
    name: &'static str,
    meaning: &'static str,
    path: &'static str,
    connections: usize,
    setup: Setup,
    target: Option<f64>,
) -> Workload {
    Workload { name, meaning, kind: Kind::Traffic { path, connections, close: false, setup }, target }
}

const WORKLOADS: &[Workload] = &[
    traffic("keep-alive-128", "HTTP keep-alive, 128 B", "/128", 64, HTTP, Some(0.90)),
    traffic("keep-alive-10k", "HTTP keep-alive, 10 KB", "/10240", 64, HTTP, Some(0.90)),
    Workload {
        name: "connection-per-request",
        meaning: "a client connection per request, 128 B",
        kind: Kind::Traffic { path: "/128", connections: 64, close: true, setup: HTTP },
        target: Some(1.0),
    },
    traffic("tcp-128", "TCP mode, 128 B each way", "/exact", 64, TCP, Some(1.05)),
    traffic("http-1m", "HTTP keep-alive, 1 MB", "/1048576", 16, HTTP, Some(0.65)),
    traffic("tcp-1m", "TCP mode, 1 MB", "/1048576", 16, TCP, Some(0.45)),
    traffic(
        "keep-alive-128-log",
        "HTTP keep-alive, 128 B, option httplog to a UDP sink",
        "/128",
        64,
        Setup { log: true, ..HTTP },
        Some(0.90),
    ),
    traffic(
        "gzip-100k",
        "HTTP keep-alive, 100 KB of HTML, compression algo gzip",
        "/html",
        16,
        Setup { compress: true, ..HTTP },
        Some(1.0),
    ),
    traffic(
        "roundrobin-500",
        "HTTP keep-alive, 128 B, roundrobin over 500 servers",
        "/128",
        64,
        Setup { servers: 500, ..HTTP },
        None,
    ),
    traffic(
        "leastconn-500",
        "HTTP keep-alive, 128 B, leastconn over 500 servers",
        "/128",
        64,
        Setup { servers: 500, balance: "leastconn", ..HTTP },
        None,
    ),
    traffic(
        "rules-100",
        "HTTP keep-alive, 128 B, 100 typical rules of which 10 match",
        rules::PATH,
        64,
        Setup { rules: Rules::Hundred, ..HTTP },
        Some(0.8),
    ),
    traffic(
        "table-updates",
        "20 updates of a stick table of 100,000 entries, and an answer of our own",
        "/",
        64,
        Setup { rules: Rules::Table, ..HTTP },
        Some(1.0),
    ),
    traffic(
        "map-1m",
        "20 look-ups in a map of 1,000,000 IP addresses, and an answer of our own",
        "/",
        64,
        Setup { rules: Rules::Map, ..HTTP },
        Some(1.0),
    ),
    Workload {
        name: "http2-16x8",
        meaning: "HTTP/2 to clients, 16 connections of 8 streams, 128 B",
        kind: Kind::Streams { path: "/128", connections: 16, streams: 8, setup: HTTP },
        target: Some(0.95),
    },
    Workload {
        name: "http2-10k",
        meaning: "HTTP/2 to clients, 16 connections of 8 streams, 10 KB",
        kind: Kind::Streams { path: "/10240", connections: 16, streams: 8, setup: HTTP },
        target: None,
    },
    Workload {
        name: "idle-memory",
        meaning: "user memory per idle keep-alive client connection",
        kind: Kind::Memory { setup: HTTP },
        target: Some(2.5),
    },
    traffic("tls-128", "TLS 1.3 keep-alive, 128 B", "/128", 64, TLS, Some(0.85)),
    traffic("tls-1m", "TLS 1.3 keep-alive, 1 MB", "/1048576", 16, TLS, Some(0.60)),
    Workload {
        name: "tls-handshake",
        meaning: "a full TLS 1.3 handshake (X25519, ECDSA P-256) and one request of 128 B",
        kind: Kind::Traffic { path: "/128", connections: 32, close: true, setup: TLS },
        target: Some(0.50),
    },
    Workload {
        name: "tls-resumed",
        meaning: "a resumed TLS 1.3 handshake and one request of 128 B",
        kind: Kind::Traffic {
            path: "/128",
            connections: 32,
            close: true,
            setup: Setup { security: Security::Resumed, ..HTTP },
        },
        target: None,
    },
    Workload {
        name: "tls-idle-memory",
        meaning: "user memory per idle TLS client connection",
        kind: Kind::Memory { setup: TLS },
        target: Some(0.45),
    },
    Workload {
        name: "load-10k-rules",
        meaning: "check of a configuration of 10,000 rules and a map of 100,000 entries",
        kind: Kind::LoadTime { file: rules::large },
        target: Some(2.0),
    },
    Workload {
        name: "load-10k-backends",
        meaning: "check of a configuration of 10,000 backends",
        kind: Kind::LoadTime { file: rules::many_backends },
        target: Some(2.0),
    },
];

const HELP: &str = "cargo xtask bench [OPTIONS]
  --only NAME     this workload alone (may be repeated; a part of the name is enough)
  --rounds N      rounds per workload, the median counts (3)
  --seconds S     seconds per program and round (3)
  --quick         one round of one second: does it run at all
  --without NAME  leave out haproxy, hawser or nginx
  --profile NAME  cargo profile of hawser (release)
  --check         fail where hawser misses a target
  --list          the workloads";

struct Options {
    only: Vec<String>,
    rounds: usize,
    time: Duration,
    without: Vec<String>,
    profile: String,
    check: bool,
}

/// This binary, even when a build has replaced its file since it started.
const OWN: &str = "/proc/self/exe";

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "HAWSER_BENCH_INSIDE";

pub fn run(arguments: &[String]) -> Result<(), String> {
    // The other roles of this binary; see `backend` and `load`.
    match arguments.first().map(String::as_str) {
        Some("__backend") => return backend::serve(),
        Some("__load") => return load::serve(&arguments[1..]),
        Some("__idle") => return memory::hold(&arguments[1..]),
        _ => {}
    }
    let Some(options) = options(arguments)? else { return Ok(()) };
    if std::env::var_os(INSIDE).is_none() {
        build(&options)?;
        if let Some(result) = reenter(arguments) {
            return result;
        }
        println!("no network namespace of our own: using the machine's settings");
    } else {
        prepare_namespace();
    }
    print_conditions();
    let programs = programs(&options);
    let mut missed = Vec::new();
    for workload in WORKLOADS {
        let wanted =
            options.only.is_empty() || options.only.iter().any(|part| workload.name.contains(&**part));
        if wanted {
            missed.extend(measure(workload, &programs, &options)?);
        }
    }
    match missed.as_slice() {
        [] => Ok(()),
        missed if options.check => Err(format!("targets missed: {}", missed.join(", "))),
        missed => {
            println!("\ntargets missed: {}", missed.join(", "));
            Ok(())
        }
    }
}

fn options(arguments: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options {
        only: Vec::new(),
        rounds: 3,
        time: Duration::from_secs(3),
        without: Vec::new(),
        profile: "release".to_owned(),
        check: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--only" => options.only.push(value()?),
            "--rounds" => options.rounds = number(&value()?)?,
            "--seconds" => options.time = Duration::from_secs(number(&value()?)? as u64),
            "--without" => options.without.push(value()?),
            "--profile" => options.profile = value()?,
            "--quick" => (options.rounds, options.time) = (1, Duration::from_secs(1)),
            "--check" => options.check = true,
            "--list" => {
                for workload in WORKLOADS {
                    println!("{:24}{}", workload.name, workload.meaning);
                }
                return Ok(None);
            }
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(None);
            }
            _ => return Err(format!("{word}?\n{HELP}")),
        }
    }
    Ok(Some(options))
}

fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1_000).contains(number))
        .ok_or(format!("{text} is not in 1..=1000"))
}

fn build(options: &Options) -> Result<(), String> {
    if options.without.iter().any(|name| name == "hawser") {
        return Ok(());
    }
    must(&mut cargo(&["build", "--quiet", "--package", "hawser", "--profile", &options.profile]))
}

/// Runs the rest in a fresh network namespace; `None` where the kernel refuses one.
fn reenter(arguments: &[String]) -> Option<Result<(), String>> {
    let flags: &[&str] =
        if crate::command::is_root() { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
    let works = Command::new("unshare").args(flags).arg("true").status().is_ok_and(|status| status.success());
    if !works || !is_installed("ip") {
        return None;
    }
    let mut command = Command::new("unshare");
    let own = fs::read_link(OWN).ok()?;
    command.args(flags).arg(own).arg("bench").args(arguments).env(INSIDE, "1");
    let status = command.status().map_err(|error| error.to_string());
    Some(status.and_then(|status| if status.success() { Ok(()) } else { Err(format!("{status}")) }))
}

/// Inside the namespace nothing we set outlives us.
fn prepare_namespace() {
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    for (name, value) in [
        ("tcp_congestion_control", "cubic"),
        ("ip_local_port_range", "10000 65000"),
        // Connections per request leave many ports in TIME_WAIT.
        ("tcp_tw_reuse", "1"),
    ] {
        if let Err(error) = fs::write(format!("/proc/sys/net/ipv4/{name}"), value) {
            println!("cannot set {name}: {error}");
        }
    }
}

fn print_conditions() {
    let congestion = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "kernel {}, congestion control {} (backend and load always cubic), {processors} CPUs: proxy on {}, load and \
         backend on {}",
        kernel.trim(),
        congestion.trim(),
        proxies::PROXY_CPU,
        proxies::other_cpu(),
    );
}

/// The programs there are, in the order of the report.
fn programs(options: &Options) -> Vec<Program> {
    let folder = if options.profile == "dev" { "debug" } else { &options.profile };
    let hawser = root().join("target").join(folder).join("hawser");
    let all = [
        Program { name: "haproxy", path: "/usr/sbin/haproxy".into() },
        Program { name: "hawser", path: hawser },
        Program { name: "nginx", path: "/usr/sbin/nginx".into() },
    ];
    let wanted = |program: &Program| !options.without.iter().any(|name| name == program.name);
    let there = |program: &Program| {
        let there = program.path.exists();
        if !there {
            println!("{} is not there: {}", program.name, program.path.display());
        }
        there
    };
    all.into_iter().filter(wanted).filter(there).collect()
}

/// Measures one workload over all programs; names the target if hawser missed it.
fn measure(workload: &Workload, programs: &[Program], options: &Options) -> Result<Option<String>, String> {
    println!("\n{}: {}", workload.name, workload.meaning);
    match &workload.kind {
        Kind::Traffic { path, connections, close, setup } => {
            let security = setup.security;
            let (connections, close) = (*connections, *close);
            let load = Load { path, connections, close, streams: None, security, time: options.time };
            let rows = rounds(programs, setup, &load, options.rounds)?;
            Ok(report::traffic(workload, &rows))
        }
        Kind::Streams { path, connections, streams, setup } => {
            if !is_installed("h2load") {
                println!("  no h2load: apt-get install nghttp2-client");
                return Ok(None);
            }
            let streams = Some(*streams);
            let security = setup.security;
            let connections = *connections;
            let load = Load { path, connections, close: false, streams, security, time: options.time };
            // nginx wants a listener of its own for HTTP/2.
            let able: Vec<Program> =
                programs.iter().filter(|program| program.name != "nginx").cloned().collect();
            let rows = rounds(&able, setup, &load, options.rounds)?;
            Ok(report::traffic(workload, &rows))
        }
        Kind::Memory { setup } => {
            let rows = memory::measure(programs, setup)?;
            // What a connection costs with TLS is compared; without, it is bounded.
            let is_relative = setup.security != Security::Plain;
            Ok(report::scalar(workload, &rows, "KB per connection", is_relative))
        }
        Kind::LoadTime { file } => {
            let rows = proxies::load_times(programs, *file, options.rounds)?;
            Ok(report::scalar(workload, &rows, "s", false))
        }
    }
}

/// Starts every program that can, lets them take turns, and returns all measurements of each.
fn rounds(
    programs: &[Program],
    setup: &Setup,
    load: &Load<'_>,
    rounds: usize,
) -> Result<Vec<(&'static str, Vec<Measured>)>, String> {
    let backend = proxies::Backend::start()?;
    let mut proxies = Vec::new();
    for program in programs.iter().filter(|program| program.can(setup)) {
        match Proxy::start(program, setup, &backend) {
            Ok(proxy) => proxies.push((program.name, proxy, Vec::new())),
            Err(reason) => println!("  {} does not run: {reason}", program.name),
        }
    }
    let count = proxies.len();
    for round in 0..rounds {
        for turn in 0..count {
            // Another one starts each round, so that none is always first after the pause.
            let (name, proxy, measured) = &mut proxies[(round + turn) % count];
            match load::run(proxy, load) {
                Ok(result) => measured.push(result),
                Err(reason) => println!("  {name} failed: {reason}"),
            }
        }
    }
    Ok(proxies.into_iter().map(|(name, _, measured)| (name, measured)).collect())
}
