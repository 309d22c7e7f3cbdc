//! The tutorial's deployment on one host: its whole configuration, its scripts, two real nginx.

use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use differential::{Client, Program, pause, wait_until};
use netns::{Nginx, lab, run};

/// As people copied it: processes and threads, two sockets, error files, statistics, checked servers.
const CONFIGURATION: &str = "global
    log /dev/log local0
    log /dev/log local1 notice
    chroot /var/lib/haproxy
    nbproc 2
    maxconn 6553
    stats timeout 30s
    cpu-map 1 0
    cpu-map 2 1
    stats socket /run/haproxy/admin.sock1 mode 660 level admin process 1
    stats socket /run/haproxy/admin.sock2 mode 660 level admin process 2
    nbthread 12
    user haproxy
    group haproxy
    daemon

defaults
    log global
    mode http
    option httplog
    option dontlognull
    timeout connect 5000
    timeout client 50000
    timeout server 50000
    errorfile 400 /etc/haproxy/errors/400.http
    errorfile 403 /etc/haproxy/errors/403.http
    errorfile 408 /etc/haproxy/errors/408.http
    errorfile 500 /etc/haproxy/errors/500.http
    errorfile 502 /etc/haproxy/errors/502.http
    errorfile 503 /etc/haproxy/errors/503.http
    errorfile 504 /etc/haproxy/errors/504.http

listen stats
    mode http
    bind 192.168.1.113:9999
    stats enable
    log global
    stats uri /haproxy-status
    stats auth haadmin:123123

listen nginx
    bind 192.168.1.200:80
    mode http
    server 192.168.1.111 192.168.1.111:80 check inter 2s fall 3 rise 5
    server 192.168.1.112 192.168.1.112:80 check inter 2s fall 3 rise 5
";

/// The tutorial's scripts: every admin socket in turn, backend and server as arguments.
const SCRIPT: &str = "#!/bin/sh
for socket in /run/haproxy/admin.sock1 /run/haproxy/admin.sock2; do
    echo \"$1 server $2/$3\" | socat stdio $socket
done
";

struct Proxy {
    child: Child,
}

impl Proxy {
    /// Starts the program in the foreground on the text.
    fn start(program: Program, text: &str) -> Self {
        std::fs::write("/run/haproxy/haproxy.cfg", text).expect("the configuration");
        let child = program.command().args(["-f", "/run/haproxy/haproxy.cfg", "-db"]).spawn();
        let proxy = Self { child: child.expect("it starts") };
        wait_until("the proxy", || std::net::TcpStream::connect("192.168.1.200:80").is_ok());
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The hosts' addresses, a clean /run/haproxy, both real servers.
fn hosts() -> [Nginx; 2] {
    for address in ["111", "112", "113", "200"] {
        run(&format!("ip addr add 192.168.1.{address}/32 dev lo"));
    }
    run("mkdir -p /run/haproxy && mount -t tmpfs tmpfs /run/haproxy");
    std::fs::write("/run/haproxy/toggle.sh", SCRIPT).expect("the script");
    let folder = Path::new("/run/haproxy/nginx");
    ["111", "112"].map(|host| Nginx::start(folder, &format!("192.168.1.{host}:80"), host))
}

fn ask(path: &str) -> Result<String, String> {
    let mut client = Client::connect_to("192.168.1.200:80");
    client.send(format!("GET {path} HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n"));
    client.try_response().and_then(|response| match response.status {
        200 => Ok(response.body),
        status => Err(status.to_string()),
    })
}

fn served(count: usize) -> Vec<String> {
    (0..count).map(|_| ask("/").unwrap_or_else(|error| error)).collect()
}

/// What a client sees while servers are taken out and put back through both sockets.
fn deployment() -> (Vec<String>, Vec<String>, usize) {
    let alternating = served(4);
    let (stop, failures) = (AtomicBool::new(false), AtomicUsize::new(0));
    let during = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    failures.fetch_add(usize::from(ask("/").is_err()), Ordering::Relaxed);
                }
            });
        }
        let mut during = Vec::new();
        for server in ["192.168.1.111", "192.168.1.112"] {
            run(&format!("sh /run/haproxy/toggle.sh disable nginx {server}"));
            during.extend(served(2));
            run(&format!("sh /run/haproxy/toggle.sh enable nginx {server}"));
            pause(200);
        }
        stop.store(true, Ordering::Relaxed);
        during
    });
    (alternating, during, failures.into_inner())
}

fn check_deployment() {
    let (alternating, during, failures) = deployment();
    assert!(
        alternating == ["111", "112", "111", "112"] || alternating == ["112", "111", "112", "111"],
        "{alternating:?}"
    );
    assert_eq!(during, ["112", "112", "111", "111"]);
    assert_eq!(failures, 0);
    let mut client = Client::connect_to("192.168.1.113:9999");
    let page =
        client.ask("GET /haproxy-status HTTP/1.0\r\nAuthorization: Basic aGFhZG1pbjoxMjMxMjM=\r\n\r\n");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("192.168.1.111"));
}

// row: 46, 52, 54, 55, 60, 191, 192, 196, 197, 207, 209, 321, 329
#[test]
fn the_literal_configuration_serves_and_deploys_without_a_failed_request() {
    lab("tutorial::the_literal_configuration_serves_and_deploys_without_a_failed_request", || {
        let _servers = hosts();
        let _proxy = Proxy::start(Program::Hawser, CONFIGURATION);
        check_deployment();
    });
}

// row: 208, 209
#[test]
fn haproxy_does_the_same_on_the_modernised_configuration() {
    lab("tutorial::haproxy_does_the_same_on_the_modernised_configuration", || {
        let _servers = hosts();
        let removed = |line: &&str| !["nbproc", "cpu-map"].iter().any(|word| line.trim().starts_with(word));
        let text: String = CONFIGURATION.lines().filter(removed).map(|line| format!("{line}\n")).collect();
        let text =
            text.replace(" process 1", "").replace(" process 2", "").replace("nbthread 12", "nbthread 2");
        for program in [Program::Haproxy, Program::Hawser] {
            let _proxy = Proxy::start(program, &text);
            check_deployment();
        }
    });
}

// row: 93, 98, 99, 322
#[test]
fn a_stopped_nginx_is_removed_and_restored_in_its_time() {
    lab("tutorial::a_stopped_nginx_is_removed_and_restored_in_its_time", || {
        let [first, _second] = hosts();
        let text = CONFIGURATION.replace("inter 2s fall 3 rise 5", "inter 300 fall 3 rise 2");
        let _proxy = Proxy::start(Program::Hawser, &text);
        pause(700);
        first.kill();
        // Three failed checks at 300 ms, and the one under way.
        pause(1_500);
        assert_eq!(served(6), ["112"; 6]);
        let _back = Nginx::start(Path::new("/run/haproxy/nginx"), "192.168.1.111:80", "111");
        pause(1_500);
        let served = served(4);
        assert!(served.contains(&"111".to_owned()), "{served:?}");
    });
}

#[test]
fn an_nginx_killed_under_load_fails_no_request_with_retries_and_redispatch() {
    lab("tutorial::an_nginx_killed_under_load_fails_no_request_with_retries_and_redispatch", || {
        let [first, _second] = hosts();
        let options = "    retries 3\n    option redispatch\n    retry-on all-retryable-errors\n    timeout connect 5000\n";
        let text = CONFIGURATION.replace("    timeout connect 5000\n", options);
        let _proxy = Proxy::start(Program::Hawser, &text);
        let stop = AtomicBool::new(false);
        let counts = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut good, mut bad) = (0, 0);
                        let mut client =
                            Client::connect_to("192.168.1.200:80").patience(Duration::from_secs(10));
                        while !stop.load(Ordering::Relaxed) {
                            client.send("GET / HTTP/1.1\r\nHost: www.example\r\n\r\n");
                            match client.try_response() {
                                Ok(response) if response.status == 200 => good += 1,
                                _ => {
                                    bad += 1;
                                    client = Client::connect_to("192.168.1.200:80");
                                }
                            }
                        }
                        (good, bad)
                    })
                })
                .collect();
            pause(500);
            first.kill();
            pause(2_000);
            stop.store(true, Ordering::Relaxed);
            let counts = clients.into_iter().map(|client| client.join().expect("no client panics"));
            counts.fold((0, 0), |(good, bad), (more, worse)| (good + more, bad + worse))
        });
        assert!(counts.0 > 100, "{counts:?}");
        assert_eq!(counts.1, 0, "{counts:?}");
    });
}
