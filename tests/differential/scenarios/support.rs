//! Shapes of configuration that many scenarios share.

use differential::{Backend, Instance, Program};

/// One frontend `web` with the given lines, before one server `s1`.
pub fn web(program: Program, lines: &str, backend: &Backend) -> Instance {
    let text = format!("listen web\n bind 127.0.0.1:$(web)\n{lines}\n server s1 127.0.0.1:$(s1)\n");
    program.http(&text).with("s1", backend.port()).start()
}

/// The same that logs to the run's UDP sink.
pub fn logging_web(program: Program, lines: &str, backend: &Backend) -> Instance {
    web(program, &format!(" log 127.0.0.1:$(log) local0\n option httplog\n{lines}"), backend)
}

/// `GET target` with the headers given, keep-alive.
pub fn get(target: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("GET {target} HTTP/1.1\r\nHost: test.example\r\n{headers}\r\n")
}

/// The message of the first log line that contains the text, without what changes from run to run.
pub fn traffic_line(proxy: &Instance, text: &str) -> String {
    let line = proxy.log().expect(text);
    let line = differential::normalise::rfc3164(&line).expect("an RFC 3164 line");
    differential::normalise::traffic(&line.message)
}
