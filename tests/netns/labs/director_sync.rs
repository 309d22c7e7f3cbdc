//! Two directors on kernels without IPVS, with a scheduler that does not hash: one tells the other of its flows, and its
//! failure breaks none of them.

use crate::switch::{VIP, join, real_servers};
use netns::{Nginx, lab, run, run_quietly, wait_until};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CLIENTS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(30);

/// `hawser keepalived` on a host, with sockets and files of its own.
struct Daemon {
    child: Child,
    host: &'static str,
}

impl Daemon {
    fn start(host: &'static str, priority: u8, is_synchronised: bool) -> Self {
        let daemon = if is_synchronised { "lvs_sync_daemon lan VI_1 id 5" } else { "" };
        let check = "TCP_CHECK {\n      connect_timeout 5\n      retry 0\n    }";
        let real = |last: u8| format!("  real_server 10.1.0.{last} 80 {{\n    weight 1\n    {check}\n  }}\n");
        let text = format!(
            "global_defs {{\n  router_id {host}\n  {daemon}\n}}\n\
             vrrp_instance VI_1 {{\n  state BACKUP\n  interface lan\n  virtual_router_id 7\n  priority {priority}\n  advert_int 0.2\n  \
             version 3\n  virtual_ipaddress {{\n    {VIP}/32 dev lan\n  }}\n}}\n\
             virtual_server {VIP} 80 {{\n  delay_loop 1\n  lb_algo rr\n  lb_kind DR\n  protocol TCP\n{}{}}}\n",
            real(11),
            real(12)
        );
        std::fs::write(format!("/tmp/{host}.conf"), text).expect("written");
        let log = std::fs::File::create(format!("/tmp/{host}.log")).expect("its log");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", host]).arg(netns::hosts::hawser());
        command.args(["keepalived", "-n", "-l", "-D", "-f"]).arg(format!("/tmp/{host}.conf"));
        for file in ["p", "r", "c"] {
            command.arg(format!("-{file}")).arg(format!("/tmp/{host}.{file}"));
        }
        command.env("HAWSER_DIRECTOR_OPTIONS", "--interface lan --flows 4096 --no-pin");
        command.env("HAWSER_DIRECTOR", format!("/run/{host}.sock"));
        command.env("HAWSER_DIRECTOR_STATUS", format!("/run/{host}-status.sock"));
        command.env("HAWSER_VRRP_SOCKET", format!("/run/{host}-vrrp.sock"));
        let errors = log.try_clone().expect("a handle");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("it starts");
        let daemon = Self { child, host };
        wait_until(PATIENCE, "the real servers", || daemon.list("-Ln").matches("Route").count() == 2);
        daemon
    }

    fn list(&self, words: &str) -> String {
        let (socket, hawser) = (format!("/run/{}.sock", self.host), netns::hosts::hawser());
        run(&format!("HAWSER_DIRECTOR={socket} {} ipvsadm {words} 2>&1 || true", hawser.display()))
    }

    fn has_address(&self) -> bool {
        run(&format!("ip -n {} -o addr show dev lan", self.host)).contains(&format!(" {VIP}/"))
    }

    /// As if its power had failed.
    fn fail(mut self) {
        run(&format!("ip -n {} link set lan down", self.host));
        let pid = self.child.id();
        run_quietly(&format!("kill -KILL {pid} $(pgrep -P {pid})"));
        self.child.wait().expect("it is ours");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(format!("/tmp/{}.log", self.host)).unwrap_or_default();
            eprintln!("--- {}\n{log}{}{}", self.host, self.list("-Lnc"), self.list("-L --daemon"));
        }
        let pid = self.child.id();
        run_quietly(&format!("kill -KILL $(pgrep -P {pid}) {pid}"));
        let _ = self.child.wait();
    }
}

/// Two directors, a client and two real servers with nginx, all on one switch.
fn hosts() -> Vec<Nginx> {
    run("mount -t tmpfs tmp /run && mkdir /run/netns && mount -t tmpfs tmp /tmp");
    run("ip link add sw type bridge && ip link set sw up");
    for (name, last) in [("client", 2), ("one", 3), ("two", 4), ("rs1", 11), ("rs2", 12)] {
        join("sw", name, last);
    }
    for name in ["one", "two"] {
        run(&format!("ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1"));
    }
    real_servers()
}

/// Clients whose requests end when `/tmp/go` is there.
fn clients() -> Vec<Child> {
    let one = |number: usize| {
        let line = format!(
            "ip netns exec client bash -c 'exec 3<>/dev/tcp/{VIP}/80; printf \"GET / HTTP/1.1\\r\\nHost: a\\r\\n\" >&3; \
             while [ ! -e /tmp/go ]; do sleep 0.1; done; printf \"Connection: close\\r\\n\\r\\n\" >&3; timeout 20 cat <&3' \
             > /tmp/answer-{number} 2>&1"
        );
        Command::new("sh").args(["-c", &line]).spawn().expect("sh is there")
    };
    (0..CLIENTS).map(one).collect()
}

/// Established connections that a list tells of, without times.
fn established(list: &str) -> Vec<String> {
    let lines = list.lines().filter(|line| line.contains("ESTABLISHED"));
    let mut all: Vec<String> =
        lines.map(|line| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" ")).collect();
    all.sort();
    all
}

/// How many of the clients' requests were answered after the first director's failure, and by whom.
fn answered_after_failure(is_synchronised: bool) -> Vec<String> {
    let _servers = hosts();
    let one = Daemon::start("one", 200, is_synchronised);
    wait_until(PATIENCE, "the first director", || one.has_address());
    let two = Daemon::start("two", 100, is_synchronised);
    if is_synchronised {
        wait_until(PATIENCE, "who tells", || {
            one.list("-L --daemon").contains("master sync daemon (mcast=lan, syncid=5")
        });
        wait_until(PATIENCE, "who hears", || {
            two.list("-L --daemon").contains("backup sync daemon (mcast=lan, syncid=5")
        });
    }
    let clients = clients();
    let told = || established(&one.list("-Lnc"));
    wait_until(PATIENCE, "the connections", || told().len() == CLIENTS);
    if is_synchronised {
        wait_until(PATIENCE, "the other to hear of them", || established(&two.list("-Lnc")) == told());
        let counted = two.list("-Ln");
        assert_eq!(counted.matches(" 1      6          0").count(), 2, "counted as they are: {counted}");
    }
    one.fail();
    wait_until(PATIENCE, "the other director", || two.has_address());
    // Its address is known to the client's host when a new connection is answered.
    let get = format!("ip netns exec client curl -sS -m 2 http://{VIP}/ 2>&1 || true");
    wait_until(PATIENCE, "service", || run(&get).starts_with("rs"));
    std::fs::write("/tmp/go", "").expect("written");
    for mut client in clients {
        client.wait().expect("it is ours");
    }
    let answer = |number: usize| {
        let text = std::fs::read_to_string(format!("/tmp/answer-{number}")).expect("written");
        text.contains("200 OK").then(|| text.trim_end().lines().last().unwrap_or_default().to_owned())
    };
    (0..CLIENTS).filter_map(answer).collect()
}

// row: 324
#[test]
fn a_failing_director_breaks_no_flow_that_it_told_of() {
    lab("director_sync::a_failing_director_breaks_no_flow_that_it_told_of", || {
        let mut answers = answered_after_failure(true);
        answers.sort();
        let expected: Vec<&str> = [["rs1"; CLIENTS / 2], ["rs2"; CLIENTS / 2]].concat();
        assert_eq!(answers, expected, "each by the real server that it began with");
    });
}

#[test]
fn without_being_told_the_other_director_knows_none() {
    lab("director_sync::without_being_told_the_other_director_knows_none", || {
        assert!(answered_after_failure(false).len() < CLIENTS, "or the other test shows nothing");
    });
}
