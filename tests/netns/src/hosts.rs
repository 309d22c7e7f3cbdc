//! Several hosts on one switch, daemons that run on them, and a client that probes an address each millisecond. Owns the
//! wiring; what must hold is the lab's.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::cell::Cell;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Hosts, each with `eth0` on one bridge: the first has 10.9.0.1/24, fd09::1/64 and 02:00:00:00:00:01.
#[derive(Debug)]
pub struct Net {
    started: Cell<usize>,
}

impl Net {
    /// Wires the hosts; call it inside a lab. /run and /tmp of the lab are its own from here on.
    #[track_caller]
    pub fn new(hosts: &[&str]) -> Self {
        crate::run("mount -t tmpfs tmpfs /run && mkdir -p /run/netns && mount -t tmpfs tmpfs /tmp");
        crate::run("ip netns add sw && ip -n sw link add br0 type bridge && ip -n sw link set br0 up");
        for (index, host) in hosts.iter().enumerate() {
            let number = index + 1;
            crate::run(&format!(
                "ip netns add {host} && ip -n {host} link set lo up && \
                 ip -n {host} link add eth0 address 02:00:00:00:00:0{number} type veth peer name p{host} netns sw && \
                 ip -n sw link set p{host} master br0 up && ip -n {host} link set eth0 up && \
                 ip -n {host} addr add 10.9.0.{number}/24 dev eth0 && \
                 ip -n {host} addr add fd09::{number}/64 dev eth0 nodad"
            ));
        }
        for host in hosts {
            // Duplicate address detection of the link-local address: adverts over IPv6 come from it.
            crate::wait_until(Duration::from_secs(10), "a link-local address", || {
                let addresses = crate::run(&format!("ip -n {host} -6 addr show dev eth0 scope link"));
                addresses.contains("fe80::") && !addresses.contains("tentative")
            });
        }
        Self { started: Cell::new(0) }
    }

    /// Runs a shell line on a host.
    #[track_caller]
    pub fn on(&self, host: &str, line: &str) -> String {
        let quoted = line.replace('\'', "'\\''");
        crate::run(&format!("ip netns exec {host} sh -c '{quoted}'"))
    }

    /// Whether an interface of the host has the address.
    #[track_caller]
    pub fn has(&self, host: &str, address: &str) -> bool {
        crate::run(&format!("ip -n {host} -o addr")).contains(&format!(" {address}/"))
    }

    /// Starts a daemon on a host with that keepalived.conf.
    #[track_caller]
    pub fn start(&self, program: Vrrp, host: &str, configuration: &str) -> Daemon {
        let number = self.started.get();
        self.started.set(number + 1);
        let directory = PathBuf::from(format!("/tmp/{host}-{number}"));
        std::fs::create_dir_all(&directory).expect("a folder");
        let daemon = Daemon { child: None, program, host: host.to_owned(), directory };
        daemon.configure(configuration);
        let mut daemon = daemon;
        daemon.start();
        daemon
    }
}

/// Which daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vrrp {
    Hawser,
    Keepalived,
}

/// A daemon in the foreground, with its log in a file; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Option<Child>,
    program: Vrrp,
    host: String,
    pub directory: PathBuf,
}

impl Daemon {
    /// Writes the configuration, for a start or a reload.
    #[track_caller]
    pub fn configure(&self, text: &str) {
        std::fs::write(self.directory.join("conf"), text).expect("its configuration");
    }

    /// Starts it (again); the log goes on.
    #[track_caller]
    pub fn start(&mut self) {
        let log = File::options().append(true).create(true).open(self.log_path()).expect("its log");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.host]);
        match self.program {
            Vrrp::Hawser => command.arg(hawser()).arg("keepalived"),
            Vrrp::Keepalived => command.arg("/usr/sbin/keepalived"),
        };
        command.args(["-n", "-l", "-D", "-P", "-f"]).arg(self.directory.join("conf"));
        command.arg("-p").arg(self.directory.join("pid")).arg("-r").arg(self.directory.join("vrrp.pid"));
        let errors = log.try_clone().expect("a handle");
        command.stdin(Stdio::null()).stdout(log).stderr(errors).current_dir(&self.directory);
        self.child = Some(command.spawn().expect("it starts"));
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it was started").id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Lines of the log about the instance, without dates and the lines of detail.
    pub fn lines_of(&self, instance: &str) -> Vec<String> {
        let mark = format!("({instance}) ");
        let log = self.log();
        let lines = log.lines().filter_map(|line| line.split_once(&mark).map(|(_, text)| text.to_owned()));
        lines.filter(|line| !line.starts_with("Sending/")).collect()
    }

    /// Waits until the log has the text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_for_times(text, 1);
    }

    /// Waits until the log has the text so many times.
    #[track_caller]
    pub fn wait_for_times(&self, text: &str, times: usize) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.log().matches(text).count() < times {
            assert!(Instant::now() < end, "'{text}' is not in the log of {}:\n{}", self.host, self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by name or number.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        crate::run(&format!("kill -{signal} {}", self.pid()));
    }

    /// SIGTERM, and waits for its end. Its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    /// SIGKILL to it and all that it started.
    #[track_caller]
    pub fn kill(&mut self) {
        let pid = self.pid();
        crate::run_quietly(&format!("kill -KILL {pid} $(pgrep -P {pid})"));
        self.wait();
    }

    fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        child.wait().expect("it is ours").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            crate::run_quietly(&format!("kill -KILL $(pgrep -P {})", child.id()));
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of {} ({:?})\n{}", self.host, self.program, self.log());
        }
    }
}

/// The binary to test.
pub fn hawser() -> PathBuf {
    if let Some(path) = std::env::var_os("HAWSER_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test's binary");
    test.parent().and_then(Path::parent).expect("target/PROFILE/deps").join("hawser")
}

/// Runs `inside` on a thread that is on that host.
pub fn thread_on<T: Send + 'static>(
    host: &str,
    inside: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let path = format!("/run/netns/{host}");
    std::thread::spawn(move || {
        let namespace = File::open(path).expect("the host is there");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("we may");
        // What measures must not wait behind what it measures, nor behind other work of the machine.
        let _ = sys::realtime::schedule_round_robin(1);
        inside()
    })
}

/// Where probes are answered.
const PORT: u16 = 7777;

/// Answers probes on a host, whatever address they are sent to, until the lab ends.
pub fn answer_probes(host: &str, name: u8) {
    // The thread lives as long as the lab's process.
    drop(thread_on(host, move || {
        // `::` takes IPv4 too.
        let socket = UdpSocket::bind(("::", PORT)).expect("the port is free");
        let mut buffer = [0; 64];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            buffer[8] = name;
            // A client that went away is no matter.
            let _ = socket.send_to(&buffer[..length.max(9)], from);
        }
    }));
}

/// What a client saw.
#[derive(Debug, Clone)]
pub struct Probes {
    /// When each answer came, and who gave it.
    pub answers: Vec<(Instant, u8)>,
    pub sent: usize,
}

impl Probes {
    /// The longest time without an answer.
    pub fn outage(&self) -> Duration {
        let gaps = self.answers.windows(2).map(|pair| pair[1].0 - pair[0].0);
        gaps.max().unwrap_or(Duration::MAX)
    }

    /// Probes that nobody answered.
    pub fn lost(&self) -> usize {
        self.sent.saturating_sub(self.answers.len())
    }

    /// The longest time between the last answer of one host and the first of another: what a change of masters cost, without
    /// what a busy machine adds elsewhere.
    pub fn change(&self) -> Option<Duration> {
        let pairs = self.answers.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        pairs.map(|pair| pair[1].0 - pair[0].0).max()
    }

    /// Who answered last.
    pub fn last(&self) -> Option<u8> {
        self.answers.last().map(|(_, name)| *name)
    }
}

/// A client on a host that probes an address each millisecond.
#[derive(Debug)]
pub struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Probes>,
}

impl Prober {
    pub fn start(host: &str, address: &str) -> Self {
        let target = SocketAddr::new(address.parse().expect("an address"), PORT);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread_on(host, move || probe(target, &stopped));
        Self { stop, thread }
    }

    /// Ends it; what it saw.
    pub fn finish(self) -> Probes {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

fn probe(target: SocketAddr, stopped: &AtomicBool) -> Probes {
    let any: IpAddr = if target.is_ipv4() { "0.0.0.0" } else { "::" }.parse().expect("an address");
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).expect("binds");
    socket.set_nonblocking(true).expect("it can");
    let mut probes = Probes { answers: Vec::new(), sent: 0 };
    let mut next = Instant::now();
    let mut buffer = [0; 64];
    while !stopped.load(Ordering::Relaxed) {
        // Nobody may have the address now: that is what is measured.
        let _ = socket.send_to(&(probes.sent as u64).to_be_bytes(), target);
        probes.sent += 1;
        next += Duration::from_millis(1);
        loop {
            while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                if length > 8 {
                    probes.answers.push((Instant::now(), buffer[8]));
                }
            }
            let now = Instant::now();
            if now >= next {
                break;
            }
            std::thread::sleep((next - now).min(Duration::from_micros(200)));
        }
    }
    // What is on its way still.
    std::thread::sleep(Duration::from_millis(100));
    while let Ok((length, _)) = socket.recv_from(&mut buffer) {
        if length > 8 {
            probes.answers.push((Instant::now(), buffer[8]));
        }
    }
    probes
}
