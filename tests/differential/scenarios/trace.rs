//! `filter trace`: what both programs say of the same streams, but for HAProxy's analysers and what its lines have of them.

use std::time::Duration;

use differential::{Backend, Reply, same, wait_until};

use crate::support::get;

/// A line without what chance decides: the time, the stream and its analysers; `None`: a moment that we have not.
fn told(line: &str) -> Option<String> {
    let moment = |name: &str| line.contains(name);
    if moment("filter initialized")
        || moment("_analyze ")
        || moment(" len=0 ")
        // Ours are of HTTP/1; the offset is where a piece lies in HAProxy's buffer.
        || moment("\tconnection: ")
    {
        return None;
    }
    let Some((before, after)) = line.split_once(" [strm ") else { return Some(line.to_owned()) };
    let (_, place) = before.split_once(' ')?;
    let (_, rest) = after.split_once("] ")?;
    let rest = match rest.split_once(" - offset=") {
        Some((channel, numbers)) => {
            let (_, length) = numbers.split_once(" - ")?;
            format!("{channel} - {length}")
        }
        None => rest.to_owned(),
    };
    Some(format!("{place} {rest}"))
}

#[test]
fn streams_are_told_as_by_haproxy() {
    let text = "defaults\n timeout client 8s\n timeout connect 8s\n timeout server 8s\n\
                frontend web\n mode http\n bind 127.0.0.1:$(web)\n filter trace name FRONT hexdump\n default_backend app\n\
                backend app\n mode http\n filter trace\n filter trace quiet name SILENT\n server s1 127.0.0.1:$(s1)\n\
                listen bytes\n mode tcp\n bind 127.0.0.1:$(bytes)\n filter trace name BYTES hexdump\n \
                server s1 127.0.0.1:$(s1)\n";
    let seen = same(|program| {
        let backend = Backend::http(|request| match request.target.as_str() {
            "/long" => Reply::ok("a body that is longer than a line of a dump\u{7f}\n"),
            _ => Reply::status("201 Created", &["X-Upper: Case"], "y"),
        });
        let proxy = program.config(text).with("s1", backend.port()).start();
        let mut client = proxy.client("web");
        client.ask(get("/long", &[]));
        client.ask("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        drop(client);
        let ends = |count: usize| {
            wait_until("the end of the streams", || {
                proxy.stderr().matches("trace_detach             : filter-type=frontend").count() == count
            });
        };
        ends(2);
        let mut client = proxy.client("bytes");
        client.ask(get("/long", &["Connection: close"]));
        drop(client);
        ends(3);
        std::thread::sleep(Duration::from_millis(50));
        proxy.stderr().lines().filter_map(told).collect::<Vec<_>>()
    });
    let count = |what: &str| seen.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count("trace_http_headers"), count("trace_tcp_payload"), count("SILENT")), (8, 2, 0));
}
