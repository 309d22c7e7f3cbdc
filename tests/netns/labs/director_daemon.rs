//! One daemon on a kernel without IPVS: `hawser keepalived` with a virtual router and a virtual server, which starts the
//! XDP programs itself; commanded, measured and reloaded while clients are served.

use crate::switch::{VIP, around_a_director};
use netns::hosts::hawser;
use netns::{lab, run, run_quietly, wait_until};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon whose log is a file; it and its children end with it.
struct Daemon(Child);

impl Daemon {
    fn start(words: &[&str], log: &str) -> Self {
        let log = std::fs::File::create(log).expect("its log");
        let mut command = Command::new(hawser());
        command
            .args(words)
            .env("HAWSER_DIRECTOR_OPTIONS", "--interface own --flows 4096 --pin /run/bpf/hawser");
        let errors = log.try_clone().expect("a handle");
        Self(command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("the binary is built"))
    }

    fn signal(&self, name: &str) {
        run(&format!("kill -{name} {}", self.0.id()));
    }

    fn stop(mut self) {
        self.signal("TERM");
        assert!(self.0.wait().expect("it is ours").success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string("/tmp/log").unwrap_or_default());
        }
        run_quietly(&format!("kill -KILL $(pgrep -P {}) {}", self.0.id(), self.0.id()));
        let _ = self.0.wait();
    }
}

fn configure(weight: u32) {
    let text = format!(
        "global_defs {{\n  router_id one\n}}\n\
         vrrp_instance VI_1 {{\n  state MASTER\n  interface own\n  virtual_router_id 7\n  priority 100\n  advert_int 0.2\n  \
         version 3\n  virtual_ipaddress {{\n    {VIP}/32 dev own label own:2\n  }}\n}}\n\
         virtual_server {VIP} 80 {{\n  delay_loop 1\n  lb_algo wrr\n  lb_kind DR\n  protocol TCP\n  \
         real_server 10.1.0.11 80 {{\n    weight 1\n    TCP_CHECK {{\n      connect_timeout 5\n      retry 0\n    }}\n  }}\n  \
         real_server 10.1.0.12 80 {{\n    weight {weight}\n    TCP_CHECK {{\n      connect_timeout 5\n      retry 0\n    }}\n  }}\n}}\n"
    );
    std::fs::write("/tmp/keepalived.conf", text).expect("written");
}

fn daemon() -> Daemon {
    let words = [
        "keepalived",
        "-n",
        "-l",
        "-D",
        "-f",
        "/tmp/keepalived.conf",
        "-p",
        "/tmp/p",
        "-r",
        "/tmp/v",
        "-c",
        "/tmp/c",
    ];
    let daemon = Daemon::start(&words, "/tmp/log");
    wait_until(PATIENCE, "the address", || addresses() == 1);
    wait_until(PATIENCE, "the real servers", || list().matches("Route").count() == 2);
    wait_until(PATIENCE, "service", || one_answer().starts_with("rs"));
    daemon
}

/// How often the director has the virtual address.
fn addresses() -> usize {
    run("ip -o addr show dev own").matches(&format!(" {VIP}/32 ")).count()
}

fn list() -> String {
    // Not there yet, at the start.
    run(&format!("{} ipvsadm -Ln 2>&1 || true", hawser().display()))
}

fn one_answer() -> String {
    run(&format!("ip netns exec client curl -sS -m 5 http://{VIP}/ 2>&1 || true")).trim().to_owned()
}

fn answers(count: usize) -> Vec<String> {
    (0..count).map(|_| one_answer()).collect()
}

/// `hawser director …`, whatever comes of it.
fn ask(words: &str) -> String {
    run(&format!("{} director {words} 2>&1 || true", hawser().display()))
}

/// A client whose request is not finished before `/tmp/go` is there; what it was answered is in `/tmp/slow`.
fn slow_client() -> Child {
    let line = format!(
        "ip netns exec client bash -c 'exec 3<>/dev/tcp/{VIP}/80; printf \"GET / HTTP/1.1\\r\\nHost: a\\r\\n\" >&3; touch /tmp/open; \
         while [ ! -e /tmp/go ]; do sleep 0.05; done; printf \"Connection: close\\r\\n\\r\\n\" >&3; cat <&3' > /tmp/slow 2>&1"
    );
    for file in ["/tmp/go", "/tmp/open"] {
        let _ = std::fs::remove_file(file);
    }
    let client = Command::new("sh").args(["-c", &line]).spawn().expect("sh is there");
    wait_until(PATIENCE, "an open connection", || Path::new("/tmp/open").exists());
    client
}

/// Which real server answered it.
fn end_of(mut client: Child) -> String {
    std::fs::write("/tmp/go", "").expect("written");
    client.wait().expect("it is ours");
    let answer = std::fs::read_to_string("/tmp/slow").expect("written");
    assert!(answer.contains("200 OK"), "{answer}");
    answer.trim_end().lines().last().expect("a body").to_owned()
}

// row: 288, 313, 318
#[test]
fn reloads_lose_nothing_and_an_address_set_by_hand_does_no_harm() {
    lab("director_daemon::reloads_lose_nothing_and_an_address_set_by_hand_does_no_harm", || {
        let _servers = around_a_director();
        // As a script sets it, and again: what `hawser check` advises can be repeated.
        for _ in 0..2 {
            run(&format!("ip address replace {VIP}/32 dev own label own:2"));
        }
        assert_eq!(addresses(), 1);
        configure(1);
        let daemon = daemon();
        let log = || std::fs::read_to_string("/tmp/log").expect("its log");
        assert!(log().contains("packets are carried by XDP programs"), "{}", log());
        run(&format!("ip address replace {VIP}/32 dev own label own:2"));
        assert_eq!(addresses(), 1, "set once more beside the daemon");

        let client = slow_client();
        let mut monitor = Command::new("sh")
            .args(["-c", "exec ip monitor address > /tmp/addresses"])
            .spawn()
            .expect("ip is there");
        // A lost SYN costs a second, and a refused one is told.
        let get = format!(
            "ip netns exec client sh -c 'while [ ! -e /tmp/enough ]; do curl -sS -m 0.9 -o /dev/null http://{VIP}/ 2>&1 || echo lost; \
             echo done; done' > /tmp/served 2>&1"
        );
        let mut serving = Command::new("sh").args(["-c", &get]).spawn().expect("sh is there");
        for round in 0..6 {
            configure(2 + round % 2);
            daemon.signal("HUP");
            let weight = format!("10.1.0.12:80                 Route   {} ", 2 + round % 2);
            wait_until(PATIENCE, "the new weight", || list().contains(&weight));
            let served = || std::fs::read_to_string("/tmp/served").map_or(0, |text| text.lines().count());
            let before = served();
            wait_until(PATIENCE, "more answers", || served() >= before + 5);
        }
        std::fs::write("/tmp/enough", "").expect("written");
        serving.wait().expect("it is ours");
        monitor.kill().expect("it is ours");
        monitor.wait().expect("it is ours");
        let served = std::fs::read_to_string("/tmp/served").expect("written");
        assert!(served.lines().count() > 30 && served.lines().all(|line| line == "done"), "{served}");
        let moved = std::fs::read_to_string("/tmp/addresses").expect("written");
        assert!(!moved.contains("Deleted"), "the address never left: {moved}");
        assert!(end_of(client).starts_with("rs"));

        // A checkers' process that is killed finds its programs, and goes on with them.
        run("kill -KILL $(cat /tmp/c)");
        wait_until(PATIENCE, "another process", || log().contains("died: Respawning"));
        assert!(answers(4).iter().all(|one| one.starts_with("rs")), "the programs go on");
        wait_until(PATIENCE, "it is asked again", || list().matches("Route").count() == 2);
        daemon.stop();
        assert_eq!(addresses(), 0);
        assert!(!run("ip link show own").contains("xdp"), "the programs have left");
    });
}

// row: 282
#[test]
fn real_servers_are_drained_weighted_and_measured() {
    lab("director_daemon::real_servers_are_drained_weighted_and_measured", || {
        let mut servers = around_a_director();
        configure(1);
        let daemon = daemon();
        let shown = ask("show");
        assert!(shown.starts_with(&format!("[{VIP}]:tcp:80 wrr DR: quorum\n")), "{shown}");
        assert!(shown.contains("[10.1.0.12]:tcp:80             up             1 "), "{shown}");

        // Weights, and back.
        assert_eq!(
            ask("weight 10.1.0.12:80 3 --of 10.1.0.100:80"),
            "[10.1.0.12]:tcp:80 of [10.1.0.100]:tcp:80: up, weight 3\n"
        );
        let weighted = answers(8);
        assert_eq!(weighted.iter().filter(|one| *one == "rs2").count(), 6, "{weighted:?}");
        ask("weight 10.1.0.12 default");
        assert!(list().contains("10.1.0.12:80                 Route   1 "), "{}", list());

        // One with an open connection is drained: others get the new ones, and it leaves at the deadline.
        let mut client = slow_client();
        let holder =
            if list().contains("10.1.0.11:80                 Route   1      1 ") { "rs1" } else { "rs2" };
        let (address, other) = if holder == "rs1" { ("10.1.0.11", "rs2") } else { ("10.1.0.12", "rs1") };
        let drained = ask(&format!("drain {address} --within 4s --json"));
        assert!(drained.contains("\"state\":\"draining\"") && drained.contains("\"weight\":0"), "{drained}");
        assert_eq!(answers(3), [other; 3]);
        assert!(ask("show").contains(" s left"), "{}", ask("show"));
        // Its connection stays open over the deadline.
        wait_until(PATIENCE, "its end", || !list().contains(&format!("{address}:80")));
        std::fs::write("/tmp/go", "").expect("written");
        client.wait().expect("it is ours");
        assert!(ask("show").contains("drained"), "{}", ask("show"));
        assert_eq!(
            ask(&format!("ready {address}")),
            format!("[{address}]:tcp:80 of [{VIP}]:tcp:80: up, weight 1\n")
        );
        assert!(list().contains(&format!("{address}:80 ")));
        let both = answers(4);
        assert_eq!(both.iter().filter(|one| *one == "rs1").count(), 2, "{both:?}");
        for (words, refusal) in [
            ("drain 10.1.0.13", "hawser director: there is no real server 10.1.0.13\n"),
            ("show 10.1.0.1:80", "hawser director: there is no virtual server 10.1.0.1:80\n"),
            (
                "weight 10.1.0.11 many",
                "hawser director: a weight is default or a number up to 65535, not many\n",
            ),
        ] {
            assert_eq!(ask(words), refusal);
        }

        // The same numbers for Prometheus; then one real server stops.
        std::fs::write("/tmp/token", "0123456789abcdef0123456789abcdef").expect("written");
        let dashboard = Daemon::start(
            &["dashboard", "--listen", "127.0.0.1:9101", "--token-file", "/tmp/token"],
            "/tmp/dashboard",
        );
        let metrics =
            || run("curl -sS -m 5 -u x:$(cat /tmp/token) http://127.0.0.1:9101/metrics 2>/dev/null || true");
        wait_until(PATIENCE, "metrics", || metrics().contains("hawser_director_services 1\n"));
        let value = |name: &str, labels: &str| -> u64 {
            let text = metrics();
            let start = format!("hawser_director_{name}{{service=\"[{VIP}]:tcp:80\"{labels}}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_else(|| panic!("no {start} in {text}")).parse().expect("a number")
        };
        let first = ",server=\"[10.1.0.11]:tcp:80\"";
        let second = ",server=\"[10.1.0.12]:tcp:80\"";
        assert_eq!((value("service_servers", ""), value("service_quorum", "")), (2, 1));
        for server in [first, second] {
            assert_eq!((value("server_weight", server), value("server_up", server)), (1, 1));
            let connections = value("server_connections_total", server);
            assert!(connections > 0);
            assert!(value("server_received_packets_total", server) > 3 * connections);
            assert!(value("server_received_bytes_total", server) > 100 * connections);
        }
        let check = format!("{second},check=\"0\",kind=\"TCP_CHECK\"");
        assert_eq!(value("check_passing", &check), 1);
        servers.pop().expect("two").kill();
        wait_until(PATIENCE, "the check to fail", || value("check_passing", &check) == 0);
        assert_eq!((value("server_up", second), value("server_up", first)), (0, 1));
        assert_eq!(answers(3), ["rs1"; 3]);
        drop(dashboard);
        daemon.stop();
    });
}
