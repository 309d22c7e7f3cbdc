//! Load that notices every request that fails: clients that keep their connection, clients that open one for each request,
//! clients that sit idle for long, tunnels, long downloads in the clear and over TLS with HTTP/2.

use super::program::*;
use super::reload::{Flag, Proxy, answering, echo_through, path_of};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of `/slow`, which takes some seconds.
pub const SLOW_LENGTH: usize = 400_000;

/// A server: `ok`, at once; `/wait` after half a second; `/slow` in pieces.
pub fn origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(stream: TcpStream) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut out = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let path = line.split(' ').nth(1)?.to_owned();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).ok()?;
        }
        if path == "/slow" {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {SLOW_LENGTH}\r\n\r\n").ok()?;
            for _ in 0..100 {
                out.write_all(&[b'x'; SLOW_LENGTH / 100]).ok()?;
                std::thread::sleep(Duration::from_millis(30));
            }
            continue;
        }
        if path == "/wait" {
            std::thread::sleep(Duration::from_millis(500));
        }
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
    }
}

/// A server that sends back what it gets.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone()?, &mut stream));
        }
    });
    port
}

/// One request and its response.
pub fn exchange(stream: &mut TcpStream, path: &str) -> std::io::Result<(u16, String)> {
    let bad = |what: &str| std::io::Error::other(what.to_owned());
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
            let status =
                head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| bad("no status"))?;
            let length: usize = (head.lines())
                .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok())
                .ok_or_else(|| bad("no length"))?;
            if received.len() >= end + 4 + length {
                return Ok((status, String::from_utf8_lossy(&received[end + 4..]).into_owned()));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(bad(&format!("closed after {} bytes", received.len()))),
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
}

#[derive(Default)]
struct Score {
    requests: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Score {
    fn note(&self, who: &str, outcome: std::io::Result<(u16, String)>) -> bool {
        match outcome {
            Ok((200, body)) if body == "ok" => {
                self.requests.fetch_add(1, Relaxed);
                return true;
            }
            Ok((status, body)) => {
                self.failures.lock().expect("whole").push(format!("{who}: {status} {body}"))
            }
            Err(error) => self.failures.lock().expect("whole").push(format!("{who}: {error}")),
        }
        false
    }
}

/// Clients at work.
pub struct Storm {
    stop: Flag,
    score: Arc<Score>,
    clients: Vec<JoinHandle<()>>,
    tunnels: Vec<JoinHandle<Result<u64, String>>>,
}

/// What came of it.
pub struct Toll {
    pub requests: u64,
    pub failures: Vec<String>,
}

impl Storm {
    /// Clients of the HTTP ports, and one tunnel through each of the others.
    pub fn begin(http: &[u16], tunnels: &[u16]) -> Storm {
        let stop = Flag::default();
        let score = Arc::new(Score::default());
        let mut clients = Vec::new();
        let mut start = |who: &'static str, port: u16, pause: Duration, keeps: bool| {
            let (stop, score) = (Arc::clone(&stop), Arc::clone(&score));
            clients.push(std::thread::spawn(move || run(who, port, pause, keeps, &stop, &score)));
        };
        for &port in http {
            for _ in 0..2 {
                start("keeps its connection", port, Duration::ZERO, true);
            }
            start("opens a connection each time", port, Duration::ZERO, false);
            start("is idle for a while", port, Duration::from_millis(15), true);
            start("is idle for long", port, Duration::from_millis(700), true);
        }
        let tunnels = tunnels.iter().map(|port| echo_through(*port, Arc::clone(&stop))).collect();
        Storm { stop, score, clients, tunnels }
    }

    pub fn end(self) -> Toll {
        self.stop.store(true, Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("ends"));
        let mut failures = std::mem::take(&mut *self.score.failures.lock().expect("whole"));
        for tunnel in self.tunnels {
            match tunnel.join().expect("ends") {
                Ok(turns) if turns > 0 => {}
                Ok(_) => failures.push("a tunnel did nothing".to_owned()),
                Err(reason) => failures.push(reason),
            }
        }
        Toll { requests: self.score.requests.load(Relaxed), failures }
    }
}

fn run(who: &str, port: u16, pause: Duration, keeps: bool, stop: &Flag, score: &Score) {
    let mut kept: Option<TcpStream> = None;
    while !stop.load(Relaxed) {
        let opened = match kept.take() {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(("127.0.0.1", port)),
        };
        match opened {
            Ok(mut stream) => {
                let went_well = score.note(who, exchange(&mut stream, "/"));
                kept = Some(stream).filter(|_| keeps && went_well);
            }
            Err(error) => drop(score.note(who, Err(error))),
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

/// A program under way; killed when a failure drops it.
struct Load(Option<Child>);

impl Load {
    fn start(command: &mut Command) -> Load {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Load(Some(child.expect("curl and wrk are installed")))
    }

    /// What it told until its end.
    fn output(mut self) -> Output {
        self.0.take().expect("it is ended once").wait_with_output().expect("ends")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn curl(arguments: &[&str], url: &str) -> Load {
    let mut command = Command::new("curl");
    command.args(["-sS", "-k", "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{http_version}"]);
    Load::start(command.args(arguments).arg(url))
}

/// wrk, until it is interrupted.
fn wrk(fields: &[&str], port: u16) -> Load {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c8", "-d3600s", "--timeout", "10s"]).args(fields);
    Load::start(command.arg(format!("http://127.0.0.1:{port}/")))
}

/// What it counted: requests, and its line about errors if there is one.
fn counted(load: Load) -> (u64, Option<String>) {
    let pid = load.0.as_ref().map(Child::id).expect("it runs");
    signal_pid(i32::try_from(pid).expect("a pid"), rustix::process::Signal::INT);
    let output = load.output();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    let errors = text.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
    (requests.unwrap_or(0), errors.map(str::to_owned))
}

fn downloaded(load: Load) -> String {
    let output = load.output();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn certificate(proxy: &Proxy) {
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
        .args(["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(proxy.folder.path())
        .output()
        .expect("openssl is installed");
    assert!(made.status.success());
    let both = [proxy.folder.read("cert.pem"), proxy.folder.read("key.pem")].map(Option::unwrap).concat();
    proxy.folder.file("tls.pem", &both);
}

/// Reloads before memory counts: threads, pools of connections and the allocator have what they want by then.
const WARM_UP: usize = 30;
/// How long memory is looked at, and how often: a configuration that was just left, or an answer in flight, is no growth.
const LOOK: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// So many reloads while everything is in use: no request fails, no connection is lost, memory stays, and no configuration
/// outlives its connections.
pub fn reloads(count: usize, pause: Duration) {
    let ports = Ports {
        plain: free_port(),
        secure: free_port(),
        tunnel: free_port(),
        server: origin(),
        echo: echo(),
    };
    let proxy = Proxy::start("", &answering(free_port(), "nothing"));
    certificate(&proxy);
    proxy.write("", &ports.configuration(&proxy, 0));
    proxy.reload();
    let storm = Storm::begin(&[ports.plain], &[ports.tunnel]);
    let wrks = [wrk(&[], ports.plain), wrk(&["-H", "Connection: close"], ports.plain)];
    std::thread::sleep(Duration::from_secs(1));
    reload_while_downloading(&proxy, &ports, 1..=WARM_UP, pause);
    let before = resident_between_reloads(&proxy);
    reload_while_downloading(&proxy, &ports, WARM_UP + 1..=WARM_UP + count, pause);
    let after = resident_between_reloads(&proxy);
    let toll = storm.end();
    let mut requests = toll.requests;
    for wrk in wrks {
        let (count, errors) = counted(wrk);
        assert_eq!(errors, None, "wrk, of {count} requests");
        assert!(count > 0, "wrk did something");
        requests += count;
    }
    assert!(
        toll.failures.is_empty(),
        "{} of {requests} requests failed: {:?}",
        toll.failures.len(),
        &toll.failures[..toll.failures.len().min(10)]
    );
    eventually("nothing holds a former configuration", || proxy.generations() == 1);
    println!(
        "{count} reloads, {requests} requests, 0 failed; resident {before} kB before, {after} kB after: {:.3}",
        after as f64 / before as f64
    );
    assert!(requests > count as u64, "there was load: {requests}");
    assert!(after * 10 <= before * 11, "memory: {before} kB before, {after} kB after");
}

struct Ports {
    plain: u16,
    secure: u16,
    tunnel: u16,
    server: u16,
    echo: u16,
}

impl Ports {
    fn configuration(&self, proxy: &Proxy, number: usize) -> String {
        let Ports { plain, secure, tunnel, server, echo } = self;
        let pem = path_of(proxy, "tls.pem").display().to_string();
        format!(
            "frontend web\n  bind 127.0.0.1:{plain}\n  bind 127.0.0.1:{secure} ssl crt {pem} alpn h2,http/1.1\n  \
             http-response set-header x-generation {number}\n  default_backend app\n\
             backend app\n  balance leastconn\n  server a 127.0.0.1:{server} check inter 300ms weight {}\n  \
             server b 127.0.0.1:{server} maxconn 50\n\
             listen tunnel\n  mode tcp\n  bind 127.0.0.1:{tunnel}\n  server e 127.0.0.1:{echo}\n",
            1 + number % 200
        )
    }

    /// Over HTTP, TLS and HTTP/2, each longer than many reloads.
    fn downloads(&self) -> [Load; 3] {
        let slow = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}/slow");
        [
            curl(&["--http1.1"], &slow("http", self.plain)),
            curl(&["--http1.1"], &slow("https", self.secure)),
            curl(&["--http2"], &slow("https", self.secure)),
        ]
    }
}

/// One reload for each number, some after one that is refused; what is downloaded meanwhile comes whole.
fn reload_while_downloading(
    proxy: &Proxy,
    ports: &Ports,
    numbers: std::ops::RangeInclusive<usize>,
    pause: Duration,
) {
    let mut last = Instant::now();
    let mut downloads: Vec<Load> = ports.downloads().into();
    for number in numbers {
        if last.elapsed() > Duration::from_secs(4) {
            last = Instant::now();
            downloads.extend(ports.downloads());
        }
        let text = ports.configuration(proxy, number);
        if number % 10 == 5 {
            proxy.write("", &format!("{text}  nonsense\n"));
            let answer = proxy.say("reload");
            assert!(answer.starts_with("Success=0"), "{answer}");
        }
        proxy.write("", &text);
        proxy.reload();
        std::thread::sleep(pause);
    }
    for (place, load) in downloads.into_iter().enumerate() {
        let version = if place % 3 == 2 { "2" } else { "1.1" };
        assert_eq!(downloaded(load), format!("200 {SLOW_LENGTH} {version}"), "download {place}");
    }
}

/// Kilobytes of memory under the same load while the configuration in force and that of the tunnel are in it: the least
/// that was seen.
fn resident_between_reloads(proxy: &Proxy) -> u64 {
    eventually("only the tunnel holds a former configuration", || proxy.generations() == 2);
    let end = Instant::now() + LOOK;
    let mut least = u64::MAX;
    while Instant::now() < end {
        least = least.min(proxy.resident());
        std::thread::sleep(LOOK_AGAIN);
    }
    least
}
