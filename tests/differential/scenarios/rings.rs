//! `ring` sections: messages in memory, and on their way to syslog servers over TCP.

use crate::support::get;
use differential::{Backend, Instance, Program, ReservedPort, same, wait_until};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A syslog server over TCP: what came, byte by byte.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn listen_on(&self, port: ReservedPort) -> Backend {
        let heard = self.clone();
        Backend::raw_on(port, move |connection, _| {
            loop {
                match connection.exact(1) {
                    Ok(byte) => heard.0.lock().expect("no script panics").extend(byte),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        })
    }

    fn listen(&self) -> Backend {
        self.listen_on(ReservedPort::new())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no script panics")).into_owned()
    }

    fn wait_for(&self, end: &str) -> String {
        wait_until(&format!("a message with {end}"), || self.text().contains(end));
        self.text()
    }
}

fn launch(program: Program, format: &str, ports: [u16; 2]) -> Instance {
    let text = format!(
        "ring r1\n description \"My buffer\"\n format {format}\n maxlen 60\n size 32764\n timeout connect 5s\n \
         timeout server 10s\n server a 127.0.0.1:$(legacy) log-proto legacy\n \
         server b 127.0.0.1:$(octets) log-proto octet-count\n\
         ring r2\n format raw\n\
         listen web\n bind 127.0.0.1:$(web)\n log ring@r1 local0\n log ring@r2 format rfc5424 local3\n \
         capture request header X len 100\n log-format 'line %ST %HU %hr'\n http-request return status 200\n"
    );
    program.http(&text).with("legacy", ports[0]).with("octets", ports[1]).start()
}

/// Dates, process ids.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

#[test]
fn messages_go_to_a_ring_and_from_there_to_its_servers() {
    let seen = same(|program| {
        ["raw", "short", "priority"].map(|format| {
            let heard = [Heard::default(), Heard::default()];
            let servers = heard.each_ref().map(Heard::listen);
            let proxy = launch(program, format, [servers[0].port(), servers[1].port()]);
            for number in 0..3 {
                let value = format!("X: {}", "y".repeat(30 * number));
                proxy.client("web").ask(get(&format!("/{number}"), &[&value]));
            }
            let texts = heard.each_ref().map(|heard| heard.wait_for("/2 {yyyyyyyyyy"));
            // The last message is whole once the one after it has begun; this one ends with the cut.
            let full = |text: &str| text.trim_end_matches('\n').ends_with('y') || text.ends_with('y');
            wait_until("all of it", || {
                heard.iter().all(|heard| full(&heard.text()) && heard.text().len() >= 100)
            });
            let dumps = ["r1", "r2", "nope"].map(|ring| proxy.cli(&format!("show events {ring}")));
            (texts.map(|text| text.split('\n').take(2).map(str::to_owned).collect::<Vec<_>>()), dumps)
        })
    });
    let (texts, dumps) = &seen[0];
    assert_eq!(texts[0][..2], ["line 200 /0 {}", "line 200 /1 {yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy}"]);
    assert!(texts[1][0].starts_with("14 line 200 /0 {}44 line 200 /1 {"), "{:?}", texts[1]);
    assert!(dumps[1].contains("line 200 /2 {yyy"), "{}", dumps[1]);
}

#[test]
fn dated_formats_are_those_of_the_ring() {
    let seen = same(|program| {
        ["rfc3164", "rfc5424", "timed", "iso"].map(|format| {
            let heard = [Heard::default(), Heard::default()];
            let servers = heard.each_ref().map(Heard::listen);
            let proxy = launch(program, format, [servers[0].port(), servers[1].port()]);
            proxy.client("web").ask(get("/", &[]));
            wait_until("a line", || heard[0].text().ends_with('\n'));
            without_numbers(&heard[0].text())
        })
    });
    assert!(seen[1].starts_with("<> --T::.+: - haproxy  - - "), "{}", seen[1]);
}

/// What was said while a server was away comes when it is back.
#[test]
fn a_server_that_comes_late_gets_what_the_ring_kept() {
    let program = Program::Hawser;
    let (late, port) = (Heard::default(), ReservedPort::new());
    let here = Heard::default();
    let server = here.listen();
    let proxy = launch(program, "raw", [port.number(), server.port()]);
    for number in 0..3 {
        proxy.client("web").ask(get(&format!("/{number}"), &[]));
    }
    here.wait_for("/2");
    assert_eq!(late.text(), "");
    let back = late.listen_on(port);
    assert!(late.wait_for("/2").starts_with("line 200 /0 {}\nline 200 /1 {}\n"));
    // It goes and comes again: nothing twice, nothing lost that was said meanwhile.
    let port = back.kill();
    std::thread::sleep(Duration::from_millis(100));
    proxy.client("web").ask(get("/3", &[]));
    here.wait_for("/3");
    let _back = late.listen_on(port);
    let text = late.wait_for("/3");
    assert_eq!(text.matches("line 200").count(), 4, "{text}");
}

/// The real one finds out only when it starts.
#[test]
fn with_a_ring_that_nobody_declared_nothing_starts() {
    let code = same(|program| {
        let text =
            "listen web\n bind 127.0.0.1:$(web)\n log ring@nowhere local0\n http-request return status 200\n";
        program.http(text).start_failing().code
    });
    assert_eq!(code, 1);
}
