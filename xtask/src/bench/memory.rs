//! User memory of idle client connections: owns a process that holds them and the reading of the proxy's memory.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::load::use_cubic;
use super::proxies::{Backend, Program, Proxy, Setup};
use super::wire::{Security, Wire};

/// As many as a descriptor limit of 20,000 allows haproxy, which reserves two per connection.
const CONNECTIONS: usize = 9_500;

/// KB per connection, by program.
pub fn measure(programs: &[Program], setup: &Setup) -> Result<Vec<(&'static str, f64)>, String> {
    let backend = Backend::start()?;
    let mut rows = Vec::new();
    for program in programs {
        if !program.can(setup) {
            continue;
        }
        let result = Proxy::start(program, setup, &backend).and_then(|proxy| of(&proxy, setup.security));
        match result {
            Ok(kilobytes) => rows.push((program.name, kilobytes)),
            Err(reason) => println!("  {} failed: {reason}", program.name),
        }
    }
    Ok(rows)
}

fn of(proxy: &Proxy, security: Security) -> Result<f64, String> {
    // A few connections first: what the program allocates once is not the connections'.
    let hold = |count: usize| -> Result<f64, String> {
        let mut child = Command::new(super::OWN)
            .args(["bench", "__idle", &proxy.port.to_string(), &count.to_string(), security.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no pipe from the holder")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        // Buffers go back to their pools once requests are answered.
        std::thread::sleep(Duration::from_millis(500));
        let memory = memory(proxy.pid());
        // The end of its input ends it.
        drop(child.stdin.take());
        let _ = child.wait();
        if line.trim() == "ready" { memory } else { Err(format!("the holder said {line:?}")) }
    };
    let few = 100;
    let before = hold(few)?;
    let after = hold(CONNECTIONS)?;
    Ok((after - before) / (CONNECTIONS - few) as f64)
}

/// Proportional set size in KB: what the process itself takes of the machine.
fn memory(pid: u32) -> Result<f64, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss in smaps_rollup")?;
    line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("not a size: {line}"))
}

/// The holder's own process: opens, asks once on each, says `ready`, and waits for the end of its input.
pub fn hold(arguments: &[String]) -> Result<(), String> {
    let [port, count, security] = arguments else {
        return Err("the holder takes three arguments".to_owned());
    };
    let port: u16 = port.parse().map_err(|_| "not a port")?;
    let count: usize = count.parse().map_err(|_| "not a number")?;
    let tls = Security::parse(security)?.client();
    let mut connections = Vec::with_capacity(count);
    let mut buffer = [0; 4_096];
    for number in 0..count {
        let reason = |error: std::io::Error| format!("connection {number}: {error}");
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(reason)?;
        use_cubic(&stream);
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(reason)?;
        let mut stream = Wire::new(stream, tls.as_ref())?;
        stream.write_all(b"GET /128 HTTP/1.1\r\nHost: bench.example\r\n\r\n").map_err(reason)?;
        let mut length = 0;
        // The body is 128 bytes of x: the last of them ends the response.
        while length < 128 || !buffer[..length].ends_with(b"xxxxxxxx") {
            let received = stream.read(&mut buffer[length..]).map_err(reason)?;
            if received == 0 {
                return Err(format!("connection {number} closed"));
            }
            length += received;
        }
        connections.push(stream);
    }
    println!("ready");
    let _ = std::io::stdin().read(&mut buffer);
    Ok(())
}
