//! With frr's vrrpd beside us, in both roles: VRRPv3 over IPv4.

use super::configuration;
use netns::hosts::{Net, Vrrp};
use netns::{lab, run, run_quietly, wait_until};
use std::time::Duration;

const VIP: &str = "10.9.0.100";
/// frr 8.4 takes adverts with a checksum over the pseudo header alone (RFC 5798), which is our default and keepalived's:
/// with `v3_checksum_as_v2` (RFC 9568) it stays master.
const FAST: &str = " version 3\n advert_int 0.1";
const PATIENCE: Duration = Duration::from_secs(15);

/// zebra and vrrpd on a host, by their pid files; they end with the lab.
struct Frr<'n> {
    net: &'n Net,
    host: &'static str,
}

impl<'n> Frr<'n> {
    /// vrrpd wants the virtual router as a macvlan with the virtual MAC and address; it takes it up and down.
    fn start(net: &'n Net, host: &'static str, priority: u8) -> Self {
        run("mkdir -p /run/frr");
        net.on(
            host,
            &format!(
                "ip link add vrrp4 link eth0 type macvlan mode bridge && \
                 ip link set vrrp4 address 00:00:5e:00:01:33 && ip addr add {VIP}/32 dev vrrp4 && \
                 ip link set vrrp4 up"
            ),
        );
        let text = format!(
            "log file /run/frr/vrrpd.log\ninterface eth0\n vrrp 51 version 3\n vrrp 51 priority {priority}\n \
             vrrp 51 advertisement-interval 100\n vrrp 51 ip {VIP}\n"
        );
        std::fs::write("/run/frr/vrrpd.conf", text).expect("written");
        std::fs::write("/run/frr/zebra.conf", "").expect("written");
        run("chown -R frr:frr /run/frr");
        let frr = Self { net, host };
        frr.launch("zebra");
        wait_until(PATIENCE, "zebra", || std::path::Path::new("/run/frr/zserv.api").exists());
        frr.launch("vrrpd");
        frr
    }

    fn launch(&self, daemon: &str) {
        let place = "--vty_socket /run/frr -z /run/frr/zserv.api";
        let line = format!(
            "/usr/lib/frr/{daemon} -d -f /run/frr/{daemon}.conf -i /run/frr/{daemon}.pid {place} \
             > /run/frr/{daemon}.out 2>&1"
        );
        self.net.on(self.host, &line);
    }

    fn log(&self) -> String {
        std::fs::read_to_string("/run/frr/vrrpd.log").unwrap_or_default()
    }

    /// Waits until vrrpd has told of that change so many times.
    #[track_caller]
    fn wait_for(&self, change: &str, times: usize) {
        let mark = format!("[VRID 51] [IPv4] {change}");
        wait_until(PATIENCE, change, || self.log().matches(&mark).count() >= times);
    }

    fn stop(&self) {
        run("kill -TERM $(cat /run/frr/vrrpd.pid)");
    }
}

impl Drop for Frr<'_> {
    fn drop(&mut self) {
        run_quietly("kill -KILL $(cat /run/frr/vrrpd.pid) $(cat /run/frr/zebra.pid)");
        if std::thread::panicking() {
            let told = self.log();
            let told = told.lines().filter(|line| !line.contains("Refusing to start"));
            eprintln!("--- log of vrrpd\n{}", told.collect::<Vec<_>>().join("\n"));
        }
    }
}

// row: 235, 236, 239
#[test]
fn hawser_takes_over_from_frr_and_gives_back() {
    lab("failover::frr::hawser_takes_over_from_frr_and_gives_back", || {
        let net = Net::new(&["a", "b"]);
        let frr = Frr::start(&net, "b", 100);
        frr.wait_for("Backup -> Master", 1);
        let mut a = net.start(Vrrp::Hawser, "a", &configuration(200, VIP, FAST));
        a.wait_for("(VI_1) Entering MASTER STATE");
        frr.wait_for("Master -> Backup", 1);
        wait_until(PATIENCE, "the address", || net.has("a", VIP));
        assert_eq!(a.stop(), Some(0));
        frr.wait_for("Backup -> Master", 2);
        assert!(!net.has("a", VIP));
    });
}

// row: 235, 236, 238, 239
#[test]
fn frr_takes_over_from_hawser_and_gives_back() {
    lab("failover::frr::frr_takes_over_from_hawser_and_gives_back", || {
        let net = Net::new(&["a", "b"]);
        let a = net.start(Vrrp::Hawser, "a", &configuration(100, VIP, FAST));
        a.wait_for("(VI_1) Entering MASTER STATE");
        let frr = Frr::start(&net, "b", 200);
        a.wait_for("(VI_1) Master received advert from 10.9.0.2 with higher priority 200, ours 100");
        frr.wait_for("Backup -> Master", 1);
        wait_until(PATIENCE, "the address to go", || !net.has("a", VIP));
        frr.stop();
        a.wait_for_times("(VI_1) Entering MASTER STATE", 2);
        wait_until(PATIENCE, "the address to come back", || net.has("a", VIP));
    });
}
