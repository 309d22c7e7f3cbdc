//! The load generator: a closed loop over many connections in one thread, with the distribution of latencies. Owns
//! its sockets; never paces and never retries.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustls::ClientConfig;

use super::proxies::{Proxy, other_cpu, pin};
use super::wire::{Security, Wire};

/// What to send and how.
pub struct Load<'a> {
    pub path: &'a str,
    pub connections: usize,
    /// A new connection for each request.
    pub close: bool,
    /// HTTP/2 without TLS, by h2load, with so many streams on each connection.
    pub streams: Option<usize>,
    pub security: Security,
    pub time: Duration,
}

/// One measurement of one proxy.
#[derive(Clone, Debug)]
pub struct Measured {
    pub errors: u64,
    pub requests_per_second: f64,
    /// User and system time of the proxy per request, in microseconds.
    pub cpu_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Bytes of a response as it came, head and framing included.
    pub bytes: f64,
}

/// Before each measurement: pools fill, buffers are faulted in.
const WARM_UP: Duration = Duration::from_millis(300);

/// Sets cubic on the socket, whatever the machine's default.
pub fn use_cubic(socket: impl AsFd) {
    // Where the kernel has no cubic the default stays: `print_conditions` tells which that is.
    let _ = rustix::net::sockopt::set_tcp_congestion(socket, "cubic");
}

/// Runs the load in a process of its own and reads the proxy's CPU time around it.
pub fn run(proxy: &Proxy, load: &Load<'_>) -> Result<Measured, String> {
    generate(proxy.port, load, WARM_UP)?;
    let before = proxy.cpu_time();
    let counted = generate(proxy.port, load, load.time)?;
    let cpu = proxy.cpu_time().saturating_sub(before);
    if counted.requests == 0 {
        return Err("no request was answered".to_owned());
    }
    Ok(Measured {
        errors: counted.errors,
        requests_per_second: counted.requests as f64 / counted.seconds,
        cpu_us: cpu.as_secs_f64() * 1e6 / counted.requests as f64,
        p50_us: counted.p50_us,
        p99_us: counted.p99_us,
        bytes: counted.bytes as f64 / counted.requests as f64,
    })
}

struct Counted {
    requests: u64,
    errors: u64,
    seconds: f64,
    p50_us: f64,
    p99_us: f64,
    bytes: u64,
}

/// Starts this binary as the generator and reads its one line.
fn generate(port: u16, load: &Load<'_>, time: Duration) -> Result<Counted, String> {
    if let Some(streams) = load.streams {
        return generate_streams(port, load, streams, time);
    }
    let output = Command::new(super::OWN)
        .args(["bench", "__load", &port.to_string(), load.path, &load.connections.to_string()])
        .args([&load.close.to_string(), &time.as_millis().to_string(), load.security.name()])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [requests, errors, seconds, p50_us, p99_us, bytes] => Ok(Counted {
            requests: *requests as u64,
            errors: *errors as u64,
            seconds: *seconds,
            p50_us: *p50_us,
            p99_us: *p99_us,
            bytes: *bytes as u64,
        }),
        _ => Err(format!("the load generator said {text:?} {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Lets nghttp2's h2load do it.
fn generate_streams(port: u16, load: &Load<'_>, streams: usize, time: Duration) -> Result<Counted, String> {
    let log = std::env::temp_dir().join(format!("hawser-bench-h2load-{}", std::process::id()));
    let _ = std::fs::remove_file(&log);
    pin(other_cpu());
    // It times itself in whole seconds.
    let seconds = time.as_secs().max(1);
    let output = Command::new("h2load")
        .args(["-t1", &format!("-c{}", load.connections), &format!("-m{streams}")])
        .args(["-D", &seconds.to_string(), &format!("--log-file={}", log.display())])
        .arg(format!("http://127.0.0.1:{port}{}", load.path))
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let requests = text.lines().find_map(|line| line.strip_prefix("requests: "));
    let count = |what: &str| -> Option<u64> {
        requests?.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    let (Some(done), Some(succeeded)) = (count("done"), count("succeeded")) else {
        return Err(format!("h2load said {text:?} {}", String::from_utf8_lossy(&output.stderr)));
    };
    // Each line: when, status, microseconds.
    let lines = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let mut times: Vec<f64> =
        lines.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    let quantile = |part: f64| {
        times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1))).copied()
    };
    // `traffic: 1.23MB (1290000) total, … , 1.17MB (1228800) data`
    let data = text.lines().find_map(|line| line.strip_suffix(") data")?.rsplit_once('(')?.1.parse().ok());
    Ok(Counted {
        bytes: data.unwrap_or_default(),
        requests: succeeded,
        errors: done - succeeded,
        seconds: seconds as f64,
        p50_us: quantile(0.50).unwrap_or_default(),
        p99_us: quantile(0.99).unwrap_or_default(),
    })
}

/// The generator's own process: `PORT PATH CONNECTIONS CLOSE MILLISECONDS SECURITY`.
pub fn serve(arguments: &[String]) -> Result<(), String> {
    let [port, path, connections, close, milliseconds, security] = arguments else {
        return Err("the generator takes six arguments".to_owned());
    };
    let parse = |text: &String| text.parse::<u64>().map_err(|error| error.to_string());
    pin(other_cpu());
    let port = u16::try_from(parse(port)?).map_err(|error| error.to_string())?;
    let mut generator = Generator::new(port, path, close == "true", Security::parse(security)?)?;
    for _ in 0..parse(connections)? {
        generator.open()?;
    }
    generator.run(Duration::from_millis(parse(milliseconds)?))
}

struct Connection {
    stream: Wire,
    sent: Instant,
    head: Vec<u8>,
    /// Bytes of the body still to come, once the head is known.
    remaining: Option<usize>,
    /// The end of the response, when the body comes in chunks.
    tail: Option<Vec<u8>>,
}

struct Generator {
    address: (&'static str, u16),
    request: Vec<u8>,
    close: bool,
    tls: Option<Arc<ClientConfig>>,
    poll: std::os::fd::OwnedFd,
    connections: HashMap<u64, Connection>,
    next_key: u64,
    latencies: Latencies,
    errors: u64,
    bytes: u64,
    /// Answers over connections whose handshake was short.
    resumed: u64,
    security: Security,
}

enum Step {
    Waits,
    Answered,
    Over,
}

impl Generator {
    fn new(port: u16, path: &str, close: bool, security: Security) -> Result<Self, String> {
        let connection = if close { "Connection: close\r\n" } else { "" };
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: bench.example\r\n{connection}Accept-Encoding: gzip\r\nX-Pad: "
        );
        // Requests have 128 bytes, so that TCP mode carries 128 each way.
        while request.len() < 128 - 4 {
            request.push('x');
        }
        request.push_str("\r\n\r\n");
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
        let (connections, latencies) = (HashMap::new(), Latencies::new());
        let address = ("127.0.0.1", port);
        Ok(Self {
            address,
            request: request.into(),
            close,
            tls: security.client(),
            poll,
            connections,
            next_key: 0,
            latencies,
            errors: 0,
            bytes: 0,
            resumed: 0,
            security,
        })
    }

    /// Opens a connection and sends its first request.
    fn open(&mut self) -> Result<(), String> {
        let sent = Instant::now();
        let stream = TcpStream::connect(self.address).map_err(|error| format!("connect: {error}"))?;
        use_cubic(&stream);
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut stream = Wire::new(stream, self.tls.as_ref())?;
        stream.write_all(&self.request).map_err(|error| error.to_string())?;
        stream.socket().set_nonblocking(true).map_err(|error| error.to_string())?;
        let key = self.next_key;
        self.next_key += 1;
        epoll::add(&self.poll, &stream, epoll::EventData::new_u64(key), epoll::EventFlags::IN)
            .map_err(|error| error.to_string())?;
        self.connections
            .insert(key, Connection { stream, sent, head: Vec::new(), remaining: None, tail: None });
        Ok(())
    }

    fn run(mut self, time: Duration) -> Result<(), String> {
        let start = Instant::now();
        let mut events = Vec::with_capacity(1_024);
        let mut buffer = vec![0; 256 << 10];
        let timeout = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        while start.elapsed() < time {
            events.clear();
            match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.to_string()),
            }
            for event in &events {
                let key = event.data.u64();
                let Some(connection) = self.connections.get_mut(&key) else { continue };
                match connection.advance(&mut buffer, &mut self.bytes) {
                    Step::Waits => {}
                    Step::Answered if self.close => {
                        self.resumed += u64::from(connection.stream.is_resumed());
                        self.latencies.add(connection.sent.elapsed());
                        // The proxy was asked to close: the end of the stream follows.
                    }
                    Step::Answered => {
                        self.latencies.add(connection.sent.elapsed());
                        connection.sent = Instant::now();
                        if connection.stream.write_all(&self.request).is_err() {
                            self.replace(key, true)?;
                        }
                    }
                    Step::Over => {
                        let whole = connection.remaining == Some(0);
                        self.replace(key, !(self.close && whole))?;
                    }
                }
            }
        }
        let answered = self.latencies.count;
        if self.security == Security::Resumed && self.resumed * 10 < answered * 9 {
            return Err(format!("{} of {answered} handshakes were resumed", self.resumed));
        }
        let seconds = start.elapsed().as_secs_f64();
        let (p50, p99) = (self.latencies.quantile(0.50), self.latencies.quantile(0.99));
        println!("{} {} {seconds} {p50} {p99} {}", self.latencies.count, self.errors, self.bytes);
        Ok(())
    }

    fn replace(&mut self, key: u64, is_error: bool) -> Result<(), String> {
        self.errors += u64::from(is_error);
        self.connections.remove(&key);
        self.open()
    }
}

impl Connection {
    fn advance(&mut self, buffer: &mut [u8], total: &mut u64) -> Step {
        let length = match self.stream.read(buffer) {
            Ok(0) => return Step::Over,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Waits,
            Err(_) => return Step::Over,
        };
        *total += length as u64;
        let mut bytes = &buffer[..length];
        if let Some(tail) = &mut self.tail {
            return if ends(tail, bytes) {
                self.tail = None;
                self.remaining = Some(0);
                Step::Answered
            } else {
                Step::Waits
            };
        }
        if self.remaining.is_none_or(|remaining| remaining == 0) {
            self.remaining = None;
            self.head.extend_from_slice(bytes);
            let Some(end) = self.head.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Step::Waits;
            };
            if is_chunked(&self.head[..end]) {
                let body = self.head.split_off(end);
                self.head.clear();
                let mut tail = Vec::new();
                if ends(&mut tail, &body) {
                    self.remaining = Some(0);
                    return Step::Answered;
                }
                self.tail = Some(tail);
                return Step::Waits;
            }
            let Some(body) = content_length(&self.head[..end]) else { return Step::Over };
            let surplus = self.head.len() - (end + 4);
            bytes = &bytes[length - surplus..];
            self.head.clear();
            self.remaining = Some(body);
        }
        let remaining = self.remaining.unwrap_or_default().saturating_sub(bytes.len());
        self.remaining = Some(remaining);
        if remaining == 0 { Step::Answered } else { Step::Waits }
    }
}

/// Whether the response has come to the end of its last chunk; `tail` keeps what may be the beginning of that.
fn ends(tail: &mut Vec<u8>, bytes: &[u8]) -> bool {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(END.len())..]);
    let surplus = tail.len().saturating_sub(END.len());
    tail.drain(..surplus);
    tail == END
}

fn is_chunked(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    text.starts_with("http/1.1 200 ") && text.contains("\r\ntransfer-encoding: chunked")
}

/// The length of the body of a 200 response.
fn content_length(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?;
    if !text.starts_with("HTTP/1.1 200 ") {
        return None;
    }
    let value = text.lines().filter_map(|line| line.split_once(':'));
    let value = value
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value)
        .next()?;
    value.trim().parse().ok()
}

/// A histogram with buckets of about 3 %: 32 to each power of two of nanoseconds.
struct Latencies {
    buckets: Vec<u64>,
    count: u64,
}

impl Latencies {
    const PER_OCTAVE: usize = 32;

    fn new() -> Self {
        Self { buckets: vec![0; 64 * Self::PER_OCTAVE], count: 0 }
    }

    fn add(&mut self, latency: Duration) {
        let nanoseconds = (latency.as_nanos() as u64).max(1);
        let octave = nanoseconds.ilog2() as usize;
        // The five bits below the leading one.
        let part = if octave >= 5 { (nanoseconds >> (octave - 5)) as usize & 31 } else { 0 };
        self.buckets[octave * Self::PER_OCTAVE + part] += 1;
        self.count += 1;
    }

    /// In microseconds, the lower edge of the bucket.
    fn quantile(&self, quantile: f64) -> f64 {
        let wanted = (self.count as f64 * quantile) as u64;
        let mut seen = 0;
        for (position, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen > wanted {
                let (octave, part) = (position / Self::PER_OCTAVE, position % Self::PER_OCTAVE);
                let base = (1_u64 << octave) as f64;
                return base * (1.0 + part as f64 / Self::PER_OCTAVE as f64) / 1e3;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut latencies = Latencies::new();
        for microseconds in 1..=1_000 {
            latencies.add(Duration::from_micros(microseconds));
        }
        assert!((480.0..=520.0).contains(&latencies.quantile(0.50)), "{}", latencies.quantile(0.50));
        assert!((950.0..=1_010.0).contains(&latencies.quantile(0.99)), "{}", latencies.quantile(0.99));
    }

    #[test]
    fn only_a_200_with_its_length_counts() {
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\ncontent-length: 128"), Some(128));
        assert_eq!(content_length(b"HTTP/1.1 503 No\r\nContent-Length: 128"), None);
    }
}
