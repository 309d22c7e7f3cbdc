//! Messages that made other programs loop.

use super::program::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A server that answers every connection with this.
fn server(answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_response_with_many_cookies_of_the_old_kind_ends() {
    let folder = Folder::new();
    for name in ["Set-Cookie2", "Set-Cookie"] {
        let mut answer = String::from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n");
        for number in 0..60 {
            answer.push_str(&format!("{name}: SRV=a{number}; a=\"b\\\"\r\n{name}: SRV\r\n{name}: =\r\n"));
        }
        answer.truncate(12_000);
        let end = answer.rfind("\r\n").expect("lines");
        answer.truncate(end);
        answer.push_str("\r\n\r\nok");
        // `tune.http.maxhdr` would refuse so many lines by itself.
        let back = server(answer);
        let port = free_port();
        let text = format!(
            "global\n    tune.http.maxhdr 1000\ndefaults\n    mode http\n    timeout connect 2s\n    timeout client 5s\n    timeout server 5s\n\
             listen web\n    bind 127.0.0.1:{port}\n    cookie SRV rewrite indirect nocache\n    option checkcache\n    \
             capture cookie SRV len 20\n    server a 127.0.0.1:{back} cookie a\n"
        );
        folder.file("web.cfg", &text);
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_hawser"))
            .args(["haproxy", "-db", "-f", "web.cfg"])
            .current_dir(folder.path())
            .spawn()
            .expect("it starts");
        let end = Instant::now() + Duration::from_secs(5);
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(_) => assert!(Instant::now() < end, "it listens"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: SRV=a\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let began = Instant::now();
        let mut said = String::new();
        let read = stream.read_to_string(&mut said);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert!(read.is_ok() && began.elapsed() < Duration::from_secs(2), "{name}: {read:?}");
        assert!(said.starts_with("HTTP/1.1 200") || said.starts_with("HTTP/1.1 502"), "{name}: {said:.60}");
    }
}
