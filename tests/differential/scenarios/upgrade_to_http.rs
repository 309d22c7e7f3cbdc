//! TCP frontends whose connections turn out to carry HTTP: by the mode of the backend, or by `switch-mode http`.

use std::time::Duration;

use differential::{Backend, Reply, same};

use crate::support::get;

#[test]
fn a_backend_in_http_mode_makes_the_connection_http() {
    let (answers, junk) = same(|program| {
        let backend = Backend::http(|request| Reply::ok(request.header("x-up").unwrap_or("none")));
        let text = "frontend tcp\n mode tcp\n bind 127.0.0.1:$(tcp)\n default_backend web\n\
                    backend web\n http-request set-header X-Up %[path]\n server s1 127.0.0.1:$(s1)\n";
        let proxy = program.http(text).with("s1", backend.port()).start();
        let mut client = proxy.client("tcp");
        let answers = ["/a", "/b"].map(|target| client.ask(get(target, &[])).body);
        let mut client = proxy.client("tcp");
        client.send("junk\r\n\r\n");
        let (junk, end) = client.read_for(Duration::from_secs(1));
        (answers, (junk.lines().next().unwrap_or_default().to_owned(), end))
    });
    assert_eq!(answers, ["/a", "/b"]);
    assert!(junk.0.contains("400"), "{junk:?}");
}

#[test]
fn a_rule_switches_what_looks_like_http_and_nothing_else() {
    let (own, served, other) = same(|program| {
        let http = Backend::named("web");
        let tcp = Backend::tcp_echo();
        let text = "frontend both\n mode tcp\n bind 127.0.0.1:$(both)\n tcp-request inspect-delay 2s\n \
                    tcp-request content switch-mode http if { req.payload(0,3) -m str GET }\n \
                    http-request return status 200 content-type text/plain string own if { path /own }\n \
                    use_backend web if { req.payload(0,3) -m str GET } or { path_beg / }\n default_backend echo\n\
                    backend web\n server s1 127.0.0.1:$(s1)\n\
                    backend echo\n mode tcp\n server s2 127.0.0.1:$(s2)\n";
        let launch = program.http(text).with("s1", http.port()).with("s2", tcp.port());
        let proxy = launch.start();
        let mut client = proxy.client("both");
        let own = client.ask(get("/own", &[]));
        let served = client.ask(get("/other", &[])).body;
        let mut client = proxy.client("both");
        client.send("hello");
        (own.body, served, client.exact(5))
    });
    assert_eq!([own, served, other], ["own", "web", "hello"]);
}
