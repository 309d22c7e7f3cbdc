//! The programs compared: owns their configuration, start, CPU accounting and end.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::load::use_cubic;
use super::rules::Rules;
use super::wire::Security;

/// The proxy under load has this CPU to itself, where there are two.
pub const PROXY_CPU: usize = 0;

/// Client connections of the test of idle memory, and with the connections to the backend less than 20,000
/// descriptors, a common limit.
pub const CLIENTS_MAX: usize = 9_600;

/// Where load generator and backend run.
pub fn other_cpu() -> usize {
    usize::from(std::thread::available_parallelism().map_or(1, usize::from) > 1)
}

/// Binds the calling thread, and with it the children it starts from now on.
pub fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    // Where affinity is forbidden all sides suffer alike.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Http,
    Tcp,
}

/// What the proxy's configuration says beyond the bare minimum.
pub struct Setup {
    pub mode: Mode,
    pub log: bool,
    pub servers: usize,
    pub balance: &'static str,
    pub compress: bool,
    pub security: Security,
    pub rules: Rules,
}

/// A program to compare.
#[derive(Clone)]
pub struct Program {
    pub name: &'static str,
    pub path: PathBuf,
}

impl Program {
    /// Debian's nginx-light has neither TCP proxying nor a reason to balance over one address 500 times.
    pub fn can(&self, setup: &Setup) -> bool {
        self.name != "nginx"
            || (setup.mode == Mode::Http
                && setup.servers == 1
                && setup.security == Security::Plain
                && setup.rules == Rules::None)
    }

    fn command(&self, config: &Path) -> Command {
        let mut command = Command::new(&self.path);
        match self.name {
            "nginx" => command.arg("-c").arg(config),
            "hawser" => command.args(["haproxy", "-db", "-f"]).arg(config),
            _ => command.args(["-db", "-f"]).arg(config),
        };
        command
    }
}

/// The backend's process.
pub struct Backend {
    child: Child,
    pub port: u16,
}

impl Backend {
    pub fn start() -> Result<Self, String> {
        pin(other_cpu());
        let mut child = Command::new(super::OWN)
            .args(["bench", "__backend"])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no pipe from the backend")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        let port = line.trim().parse().map_err(|_| format!("the backend said {line:?}"))?;
        Ok(Self { child, port })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running proxy.
pub struct Proxy {
    child: Child,
    folder: PathBuf,
    pub port: u16,
}

impl Proxy {
    pub fn start(program: &Program, setup: &Setup, backend: &Backend) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("hawser-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let port = free_port()?;
        let sink = if setup.log { sink()? } else { 0 };
        let text = match program.name {
            "nginx" => nginx_configuration(&folder, port, backend.port, sink),
            _ => haproxy_configuration(
                setup,
                port,
                backend.port,
                sink,
                certificate(setup, &folder)?.as_deref(),
                &setup.rules.lines(&folder)?,
            ),
        };
        let config = folder.join("bench.cfg");
        fs::write(&config, text).map_err(|error| error.to_string())?;
        let errors = fs::File::create(folder.join("stderr")).map_err(|error| error.to_string())?;
        pin(PROXY_CPU);
        let child = program.command(&config).stdout(Stdio::null()).stderr(errors).spawn();
        pin(other_cpu());
        let child = child.map_err(|error| error.to_string())?;
        let mut proxy = Self { child, folder, port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = proxy.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || start.elapsed() > Duration::from_secs(10) {
                let said = fs::read_to_string(proxy.folder.join("stderr")).unwrap_or_default();
                let first = said.lines().find(|line| !line.contains("NOTICE")).unwrap_or("no word about why");
                return Err(first.to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(proxy)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// User and system time of all threads so far.
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten().flatten();
        // The first number is the time on a CPU in nanoseconds: finer than the ticks of `stat`, the same sum.
        let nanoseconds = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    use_cubic(&listener);
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// A UDP socket that a thread of ours reads for ever.
fn sink() -> Result<u16, String> {
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = socket.local_addr().map_err(|error| error.to_string())?.port();
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while socket.recv(&mut buffer).is_ok() {}
    });
    Ok(port)
}

/// A certificate of its own with its key, ECDSA on P-256, where the setup speaks TLS.
fn certificate(setup: &Setup, folder: &Path) -> Result<Option<PathBuf>, String> {
    if setup.security == Security::Plain {
        return Ok(None);
    }
    let path = folder.join("bench.pem");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example", "-keyout"])
        .arg(&path)
        .arg("-out")
        .arg(folder.join("certificate"))
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("openssl: {error}"))?;
    if !made.success() {
        return Err("openssl made no certificate".to_owned());
    }
    let part = |name: &str| fs::read(folder.join(name)).map_err(|error| error.to_string());
    let whole = [part("bench.pem")?, part("certificate")?].concat();
    fs::write(&path, whole).map_err(|error| error.to_string())?;
    Ok(Some(path))
}

/// The same file for haproxy and hawser.
fn haproxy_configuration(
    setup: &Setup,
    port: u16,
    backend: u16,
    sink: u16,
    certificate: Option<&Path>,
    rules: &str,
) -> String {
    let tls = certificate.map_or_else(String::new, |path| format!(" ssl crt {}", path.display()));
    let mode = if setup.mode == Mode::Http { "http" } else { "tcp" };
    // Few enough clients in TCP mode that the pipes of splicing fit the same limit of descriptors.
    let clients = if setup.mode == Mode::Http { CLIENTS_MAX } else { 2_000 };
    let mut text = format!(
        "global\n nbthread 1\n maxconn {clients}\n\
         defaults\n mode {mode}\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
         listen bench\n bind 127.0.0.1:{port}{tls}\n balance {}\n",
        setup.balance
    );
    if setup.mode == Mode::Http {
        text.push_str(" http-reuse always\n");
    }
    text.push_str(rules);
    if setup.compress {
        text.push_str(" compression algo gzip\n compression type text/html\n");
    }
    if setup.log {
        let _ = writeln!(text, " log 127.0.0.1:{sink} local0\n option httplog");
    }
    for number in 0..setup.servers {
        let _ = writeln!(text, " server s{number} 127.0.0.1:{backend}");
    }
    text
}

fn nginx_configuration(folder: &Path, port: u16, backend: u16, sink: u16) -> String {
    let folder = folder.display();
    let log = if sink == 0 { "off".to_owned() } else { format!("syslog:server=127.0.0.1:{sink}") };
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error crit;\n\
         worker_rlimit_nofile 20000;\n\
         events {{ worker_connections 19000; }}\n\
         http {{ access_log {log}; keepalive_requests 1000000000; keepalive_timeout 600s; tcp_nodelay on;\n\
         client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;\n\
         uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
         upstream b {{ server 127.0.0.1:{backend}; keepalive 512; keepalive_requests 1000000000; }}\n\
         gzip on; gzip_comp_level 1; gzip_proxied any; gzip_http_version 1.1;\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://b; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_max_temp_file_size 0; }} }} }}\n"
    )
}

/// Seconds of `-c` on a configuration, by program, the median of the rounds.
pub fn load_times(
    programs: &[Program],
    file: fn(&Path) -> Result<String, String>,
    rounds: usize,
) -> Result<Vec<(&'static str, f64)>, String> {
    let folder = std::env::temp_dir().join(format!("hawser-bench-{}-load", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let config = folder.join("bench.cfg");
    fs::write(&config, file(&folder)?).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for program in programs.iter().filter(|program| program.name != "nginx") {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let start = Instant::now();
            let output = program.command(&config).arg("-c").output().map_err(|error| error.to_string())?;
            if output.status.success() {
                times.push(start.elapsed().as_secs_f64());
            }
        }
        if times.is_empty() {
            println!("  {} refuses the configuration", program.name);
        } else {
            rows.push((program.name, super::report::median(&mut times)));
        }
    }
    let _ = fs::remove_dir_all(&folder);
    Ok(rows)
}
