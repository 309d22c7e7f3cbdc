//! `hawser demo`, as somebody new runs it.

use super::program::*;
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

#[test]
fn the_demo_prints_where_to_look_serves_in_turn_and_ends_with_control_c() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hawser"))
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut running = Running(child);
    let mut site = None;
    let mut line = String::new();
    while site.is_none() && output.read_line(&mut line).expect("reads") > 0 {
        site = line.strip_prefix("Site").map(|rest| rest.trim().to_owned());
        line.clear();
    }
    let address = site.expect("an address").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let ask = || {
        let mut stream = std::net::TcpStream::connect(&address).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.split("Hello from backend ").nth(1)?.split(',').next()?.parse::<u32>().ok()
    };
    let mut seen = std::collections::BTreeSet::new();
    eventually("all backends have answered", || {
        seen.extend(ask());
        seen.len() == 3
    });
    running.signal(Signal::INT);
    assert_eq!(running.wait().code(), Some(0));
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("reads");
    assert!(rest.contains("curl") && rest.ends_with("hawser demo has ended.\n"), "{rest}");
}
