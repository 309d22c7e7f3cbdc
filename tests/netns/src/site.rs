//! The tutorial's deployment, as `hawser lab up` builds it: two directors, two real servers with nginx, a client. Owns its
//! start, its mishaps and what the client sees; what must hold is the lab's.

use crate::hosts::{hawser, thread_on};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const VIRTUAL: &str = "192.168.1.200";
pub const MASTERS: [&str; 2] = ["hk-master1", "hk-master2"];
const DIRECTORY: &str = "/run/hawser-lab";

/// The deployment; taken down when dropped.
#[derive(Debug)]
pub struct Site;

impl Site {
    /// Builds it; call it inside a lab. /run and /tmp of the lab are its own from here on.
    #[track_caller]
    pub fn up(arguments: &str) -> Self {
        crate::run("mount -t tmpfs tmpfs /run && mkdir -p /run/netns && mount -t tmpfs tmpfs /tmp");
        Self::again(arguments)
    }

    /// Builds it once more, after it was taken down.
    #[track_caller]
    pub fn again(arguments: &str) -> Self {
        crate::run(&format!("{} lab up {arguments}", hawser().display()));
        Site
    }

    /// Takes it down.
    #[track_caller]
    pub fn down(self) {
        crate::run(&format!("{} lab down", hawser().display()));
        std::mem::forget(self);
    }

    pub fn directory(&self, host: &str) -> PathBuf {
        Path::new(DIRECTORY).join(host)
    }

    /// Runs a shell line on a host.
    #[track_caller]
    pub fn on(&self, host: &str, line: &str) -> String {
        let quoted = line.replace('\'', "'\\''");
        crate::run(&format!("ip netns exec {host} sh -c '{quoted}'"))
    }

    /// Whether the host has the virtual address.
    #[track_caller]
    pub fn owns(&self, host: &str) -> bool {
        crate::run(&format!("ip -n {host} -o addr")).contains(&format!(" {VIRTUAL}/"))
    }

    /// Waits until that host alone has the virtual address.
    #[track_caller]
    pub fn wait_for_owner(&self, host: &str) {
        let other = MASTERS.into_iter().find(|name| *name != host).expect("there are two");
        crate::wait_until(Duration::from_secs(20), "the address to move", || {
            self.owns(host) && !self.owns(other)
        });
    }

    pub fn pid(&self, host: &str) -> String {
        let text = std::fs::read_to_string(self.directory(host).join("pid")).expect("it was started");
        text.trim().to_owned()
    }

    pub fn log(&self, host: &str) -> String {
        std::fs::read_to_string(self.directory(host).join("log")).unwrap_or_default()
    }

    fn process(&self, host: &str) -> Pid {
        self.pid(host).parse().ok().and_then(Pid::from_raw).expect("a pid")
    }

    /// SIGTERM to what runs on the host, as systemd stops it.
    #[track_caller]
    pub fn stop(&self, host: &str) {
        // No program is started for it: on a busy machine it would take longer than what is measured.
        kill_process(self.process(host), Signal::TERM).expect("it runs");
    }

    /// SIGKILL to all that runs on the host, at once.
    #[track_caller]
    pub fn kill(&self, host: &str) {
        kill_process_group(self.process(host), Signal::KILL).expect("it runs");
    }

    /// Starts the host's `hawser run` again.
    #[track_caller]
    pub fn start(&self, host: &str) {
        let directory = self.directory(host);
        let line = format!(
            "ip netns exec {host} setsid {} run -f {d}/haproxy.cfg -k {d}/keepalived.conf --run-directory {d} \
             >>{d}/log 2>&1 </dev/null & echo $! >{d}/pid",
            hawser().display(),
            d = directory.display()
        );
        crate::run(&line);
    }

    /// The wire between the host and the switch.
    #[track_caller]
    pub fn link(&self, host: &str, state: &str) {
        let port = if host == "hk-master1" { "p113" } else { "p114" };
        crate::run(&format!("ip -n hk-switch link set {port} {state}"));
    }

    /// One request of curl from the client.
    pub fn curl(&self) -> String {
        let line = format!("curl -s -m 2 http://{VIRTUAL}/");
        let output = std::process::Command::new("ip")
            .args(["netns", "exec", "hk-client", "sh", "-c", &line])
            .output()
            .expect("ip is there");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for host in MASTERS {
                eprintln!("--- log of {host}\n{}", self.log(host));
            }
        }
        let down = format!("{} lab down", hawser().display());
        crate::run_quietly(&down);
    }
}

/// One answer. A gap is a time in which nobody who asks gets one: so it is told by when they asked, and how long an answer
/// took beside it. A machine that is busy answers late and loses nobody.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When it was asked for.
    pub at: Instant,
    pub took: Duration,
    pub body: String,
}

/// What clients saw.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// In the order of their time.
    pub answers: Vec<Answer>,
    /// Requests without a good answer.
    pub failed: usize,
    /// When each of them began, how long it lasted, and what it ended with.
    pub failures: Vec<(Instant, Duration, String)>,
    /// When the last client stopped asking.
    pub end: Option<Instant>,
}

impl Seen {
    /// The longest time without an answer to anybody, of which some lies between these moments; what of it came before
    /// `from` does not count, for nothing had happened yet.
    pub fn gap_between(&self, from: Instant, to: Instant) -> Duration {
        let times = self.answers.iter().map(|answer| answer.at).chain(self.end);
        let mut last = None;
        let mut longest = Duration::ZERO;
        for at in times {
            if let Some(last) = last.replace(at)
                && at > from
                && last < to
            {
                longest = longest.max(at - last.max(from));
            }
        }
        if self.answers.is_empty() { Duration::MAX } else { longest }
    }

    /// The longest time without an answer that ended after `from`.
    pub fn gap_after(&self, from: Instant) -> Duration {
        self.gap_between(from, self.end.unwrap_or(from))
    }

    /// The longest time without an answer while nothing happened, which is before `from` and after `to`: what a busy machine
    /// adds by itself.
    pub fn noise_outside(&self, from: Instant, to: Instant) -> Duration {
        let longest = |is_in: &dyn Fn(Instant) -> bool| {
            let times: Vec<Instant> =
                self.answers.iter().map(|answer| answer.at).filter(|at| is_in(*at)).collect();
            times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
        };
        longest(&|at| at < from).max(longest(&|at| at > to))
    }

    /// The longest that an answer took which was asked for in that time.
    pub fn slowest(&self, from: Instant, to: Instant) -> Duration {
        let of_then = self.answers.iter().filter(|answer| answer.at > from && answer.at < to);
        of_then.map(|answer| answer.took).max().unwrap_or_default()
    }

    /// What happened around the longest gap, in milliseconds after `from`: for a reader of a test that failed.
    pub fn story(&self, from: Instant, to: Instant) -> String {
        let good = self.answers.iter().map(|answer| (answer.at, answer.took, answer.body.clone()));
        let mut all: Vec<_> = good.chain(self.failures.iter().cloned()).collect();
        all.sort_by_key(|(at, ..)| *at);
        let told = all.into_iter().filter(|(at, ..)| *at > from && *at < to);
        let lines = told.map(|(at, took, what)| {
            format!("{:>5} ms, for {:>4} ms: {what}\n", (at - from).as_millis(), took.as_millis())
        });
        lines.collect()
    }

    /// Who answered after that time.
    pub fn bodies_after(&self, from: Instant) -> Vec<&str> {
        self.answers.iter().filter(|answer| answer.at > from).map(|answer| answer.body.as_str()).collect()
    }
}

/// Clients that ask in turn by one clock, each on a connection of its own: somebody asks every four milliseconds, and those
/// who wait in vain for what is lost with a node do not keep the others from asking. There are as many as can wait at a time:
/// with fewer, a node that is starved for a moment and then killed has them all, and nobody is left who could see that the
/// other one answers. The finest gap that is seen is `STEP` and the time of an answer.
const CLIENTS: usize = 140;
const STEP: Duration = Duration::from_millis(4);
const CONNECT: Duration = Duration::from_millis(25);
const ANSWER: Duration = Duration::from_millis(500);
const _: () = assert!(CLIENTS as u128 * STEP.as_millis() > CONNECT.as_millis() + ANSWER.as_millis());
/// Until every client has its thread.
const START: Duration = Duration::from_millis(150);

/// Clients that ask until told to stop.
#[derive(Debug)]
pub struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Seen>>,
}

impl Clients {
    /// On the client's host, to port 80 of the virtual address.
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = Instant::now() + START;
        let threads = (0..CLIENTS)
            .map(|number| {
                let stopped = Arc::clone(&stop);
                thread_on("hk-client", move || ask_in_turn(begin + STEP * number as u32, &stopped))
            })
            .collect();
        Self { stop, threads }
    }

    /// Ends them; what they saw.
    pub fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        for thread in self.threads {
            let one = thread.join().expect("it does not panic");
            seen.answers.extend(one.answers);
            seen.failed += one.failed;
            seen.failures.extend(one.failures);
        }
        seen.end = Some(Instant::now());
        seen.answers.sort_by_key(|answer| answer.at);
        seen
    }
}

/// Asks at `first` and once a round from then on; a turn that was missed while an answer was waited for is left out, so
/// that turns stay apart.
fn ask_in_turn(first: Instant, stopped: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut turn = first;
    while !stopped.load(Ordering::Relaxed) {
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
        let at = Instant::now();
        match ask() {
            Ok(body) => seen.answers.push(Answer { at, took: at.elapsed(), body }),
            Err(error) => {
                seen.failed += 1;
                seen.failures.push((at, at.elapsed(), error.to_string()));
            }
        }
        let now = Instant::now();
        while turn <= now {
            turn += STEP * CLIENTS as u32;
        }
    }
    seen
}

/// One request on a connection of its own; the body of a 200.
fn ask() -> std::io::Result<String> {
    let address: SocketAddr = format!("{VIRTUAL}:80").parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.trim().to_owned()),
        Some((head, _)) => Err(std::io::Error::other(head.lines().next().unwrap_or_default().to_owned())),
        None => Err(std::io::Error::other(format!("an answer of {} bytes", text.len()))),
    }
}
