//! `hawser demo`: three small backends inside this process, the proxy before them, the statistics page. For seeing it
//! work within a minute; nothing is written anywhere.

use haproxy_config::{LoadOptions, load_text};
use proxy::{BindOptions, Command};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use sys::signals::Signal;

const BACKENDS: usize = 3;
/// Connections that one backend serves at a time; more are closed.
const CONNECTIONS_MAX: usize = 256;
/// The longest request line or header that a backend reads.
const LINE_LENGTH_MAX: u64 = 16 * 1024;
const HEADERS_MAX: usize = 100;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Tried first, so that the address is easy to remember.
const USUAL_PORT: u16 = 8080;

/// Runs the demonstration until Ctrl-C.
pub fn run() -> ExitCode {
    match serve() {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("hawser demo: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<ExitCode, String> {
    let signals = sys::signals::read_instead_of_handling(&[Signal::INT, Signal::TERM, Signal::HUP])
        .map_err(|error| format!("cannot watch signals: {error}"))?;
    let ports = (1..=BACKENDS).map(start_backend).collect::<io::Result<Vec<u16>>>();
    let ports = ports.map_err(|error| format!("cannot start a backend: {error}"))?;
    let port = free_port().map_err(|error| format!("no port is free: {error}"))?;
    let text = configuration(port, &ports);
    let loaded = load_text(&LoadOptions::new(Vec::new()), "demo.cfg", &text);
    let Some(model) = loaded.model else {
        return Err(diag::render(&loaded.report, &loaded.sources, diag::Severity::Notice));
    };
    let bound = proxy::bind(Arc::new(model), BindOptions::default()).map_err(|reasons| reasons.join("\n"))?;
    let (sender, commands) = channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let waits = rustix::event::PollFlags::IN;
            loop {
                let _ = rustix::event::poll(&mut [rustix::event::PollFd::new(&signals, waits)], None);
                if matches!(signals.next(), Ok(Some(_)) | Err(_)) {
                    // The engine may have ended by itself.
                    let _ = sender.send(Command::HardStop);
                    return;
                }
            }
        })
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    println!("{}", greeting(port, &text));
    let code = bound.run(commands);
    println!("\nhawser demo has ended.");
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn free_port() -> io::Result<u16> {
    let listener =
        TcpListener::bind(("127.0.0.1", USUAL_PORT)).or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    Ok(listener.local_addr()?.port())
}

fn configuration(port: u16, backends: &[u16]) -> String {
    let mut text = format!(
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n\n\
         frontend www\n    bind 127.0.0.1:{port}\n    stats enable\n    stats uri /stats\n    stats refresh 5s\n    default_backend app\n\n\
         backend app\n    balance roundrobin\n    option httpchk GET /\n"
    );
    for (index, backend) in backends.iter().enumerate() {
        text.push_str(&format!("    server app{} 127.0.0.1:{backend} check inter 2s\n", index + 1));
    }
    text
}

fn greeting(port: u16, configuration: &str) -> String {
    format!(
        "hawser demo: {BACKENDS} backends, one proxy. This is its configuration:\n\n{configuration}\n\
         Site        http://127.0.0.1:{port}/\nStatistics  http://127.0.0.1:{port}/stats\n\n\
         Try:  for i in 1 2 3 4 5 6; do curl -s http://127.0.0.1:{port}/; done\n\nCtrl-C ends it."
    )
}

/// Starts one backend; gives its port.
fn start_backend(number: usize) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let connections = Arc::new(AtomicUsize::new(0));
    std::thread::Builder::new().name(format!("backend-{number}")).spawn(move || {
        for stream in listener.incoming().flatten() {
            if connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                connections.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let count = Arc::clone(&connections);
            let spawned = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
                // A client that breaks off is no news.
                let _ = answer(&stream, number);
                count.fetch_sub(1, Ordering::Relaxed);
            });
            if spawned.is_err() {
                connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    })?;
    Ok(port)
}

/// Answers requests without bodies until the client leaves.
fn answer(stream: &TcpStream, number: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_line(&mut reader)? {
        for _ in 0..HEADERS_MAX {
            if read_line(&mut reader)?.is_none_or(|line| line.is_empty()) {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap_or("/");
        let body = format!("Hello from backend {number}, you asked for {path}\n");
        let sent_body = if request.starts_with("HEAD ") { "" } else { &body };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut writer = stream;
        writer.write_all((head + sent_body).as_bytes())?;
    }
    Ok(())
}

/// A line without its end; `None` at the end of the stream.
fn read_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    use std::io::Read;
    let mut line = Vec::new();
    if reader.take(LINE_LENGTH_MAX).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_configuration_is_valid() {
        let loaded = load_text(&LoadOptions::new(Vec::new()), "demo.cfg", &configuration(8080, &[1, 2, 3]));
        assert_eq!(loaded.report.diagnostics(), &[]);
        assert_eq!(loaded.model.expect("valid").proxies.len(), 2);
    }

    #[test]
    fn a_backend_says_which_one_it_is() {
        use std::io::Read;
        let port = start_backend(2).expect("starts");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
        stream.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").expect("writes");
        stream.shutdown(std::net::Shutdown::Write).expect("half-closes");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        assert!(text.ends_with("\r\n\r\nHello from backend 2, you asked for /x\n"), "{text}");
    }
}
