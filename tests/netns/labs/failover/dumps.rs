//! `keepalived.data` and its neighbours: the same file under keepalived 2.2.7 and hawser, line by line.

use super::same;
use netns::hosts::Net;
use netns::{lab, run, wait_until};
use std::time::Duration;

const CONFIGURATION: &str = "global_defs {
 router_id LVS_1
 script_user root
 smtp_server 10.9.0.9
 notification_email_from a@b
 notification_email {
  x@y
  z@y
 }
 max_auto_priority 5
 vrrp_garp_master_delay 3
}
vrrp_script chk {
 script \"/usr/bin/true\"
 interval 2
 weight 10
}
vrrp_track_process pr {
 process no_such_program
 weight 3
}
track_file tf {
 file /tmp/tf
 init_file 7
}
garp_group {
 garp_interval 0.01
 interfaces {
  eth0
 }
}
bfd_instance peer {
 neighbor_ip 10.9.0.2
 source_ip 10.9.0.1
}
static_ipaddress {
 10.7.0.1/24 dev eth0
}
static_routes {
 10.1.0.0/16 via 10.7.0.9 dev eth0
}
static_rules {
 from 10.7.0.1 table 100 preference 900
}
vrrp_sync_group G {
 group {
  VI_2
  VI_3
 }
 notify_master \"/usr/bin/true\"
}
vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 51
 priority 100
 version 3
 advert_int 0.5
 preempt_delay 3
 track_script {
  chk
 }
 track_file {
  tf weight 1
 }
 track_process {
  pr
 }
 track_bfd {
  peer weight 2
 }
 track_interface {
  eth1 weight 5
 }
 virtual_ipaddress {
  10.9.0.101/24 dev eth0 label eth0:1
 }
 virtual_ipaddress_excluded {
  fd09::101
 }
 virtual_routes {
  10.2.0.0/16 via 10.9.0.9
  blackhole 10.3.0.0/16
 }
 virtual_rules {
  from 10.9.0.101 table 100 preference 1000
 }
 notify_backup \"/usr/bin/true\"
}
vrrp_instance VI_2 {
 interface eth0
 virtual_router_id 52
 priority 120
 authentication {
  auth_type PASS
  auth_pass abcd
 }
 unicast_src_ip 10.9.0.1
 unicast_peer {
  10.9.0.2
 }
 virtual_ipaddress {
  10.9.0.102
 }
}
vrrp_instance VI_3 {
 interface eth0
 virtual_router_id 53
 priority 90
 virtual_ipaddress {
  10.9.0.103
 }
}
";

/// Lines of keepalived's inner life: descriptors, threads, saved settings, the library it was built with. And what is the
/// time's or chance's.
const LEFT_OUT: &[&str] = &[
    "fd_in",
    "fd_out",
    "thread_",
    "sands_",
    "Sockpool",
    "libnftnl version",
    "SNMP socket",
    "DBus service name",
    "Reset ARP config counter",
    "Reset promote_secondaries counter",
    "Original ",
    "GARP next time",
    "Last transition",
    "Read timeout",
    "MAC = ",
    "IPv6 address",
    "discriminator",
    "last seen",
    "last_seen",
    "Not IPv6 forwarding",
    "demand",
    "poll,",
    // It says BACKUP of a master of a group, and the other way round: what it will change to.
    "Wantstate",
];

/// The lines that are compared. A section of sockets is left out to its end.
fn compared(text: &str) -> Vec<String> {
    let mut of_sockets = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("------<") {
            of_sockets = line.contains("Sockpool");
        }
        if !of_sockets && !LEFT_OUT.iter().any(|what| line.contains(what)) {
            // The index of an interface that it was installed for, or not: of the real one alone.
            lines.push(line.split(" [installed").next().unwrap_or(line).trim_end().to_owned());
        }
    }
    lines
}

#[test]
fn what_sigusr1_and_sigusr2_write_is_what_keepalived_writes() {
    lab("failover::dumps::what_sigusr1_and_sigusr2_write_is_what_keepalived_writes", || {
        let seen = same(|program| {
            let net = Net::new(&["a"]);
            net.on(
                "a",
                "ip link add eth1 type veth peer name eth2; ip link set eth1 up; ip link set eth2 up",
            );
            let mut a = net.start(program, "a", CONFIGURATION);
            for name in ["VI_1", "VI_2", "VI_3"] {
                a.wait_for(&format!("({name}) Entering MASTER STATE"));
            }
            a.wait_for("VRRP_Script(chk) succeeded");
            let names =
                ["keepalived.data", "keepalived_bfd.data", "keepalived_parent.data", "keepalived.stats"];
            a.signal("USR1");
            a.signal("USR2");
            let text = |name: &str| std::fs::read_to_string(format!("/tmp/{name}")).unwrap_or_default();
            wait_until(Duration::from_secs(10), "dumps", || {
                names.iter().all(|name| text(name).lines().count() > 30)
            });
            std::thread::sleep(Duration::from_millis(500));
            let [data, bfd, parent, statistics] = names.map(text);
            a.stop();
            run("rm -f /tmp/keepalived*");
            let names: Vec<String> = statistics
                .lines()
                .map(|line| line.split(':').next().unwrap_or_default().trim_end().to_owned())
                .collect();
            // The processes beside that of VRRP never work these out.
            let others = |text: &str| {
                let mut lines = compared(text);
                lines.retain(|line| {
                    !line.contains("lower priority delay") && !line.contains("lower priority repeat")
                });
                lines
            };
            (compared(&data), others(&bfd), others(&parent), names)
        });
        // Each part is there.
        for part in [
            "Static Routes",
            "GARP delay group 1",
            "Track processes",
            "Track BFDs",
            "Sync groups",
            "Interfaces",
        ] {
            assert!(seen.0.iter().any(|line| line.contains(part)), "{part}: {:#?}", seen.0);
        }
        assert!(seen.1.iter().any(|line| line.contains("BFD Topology")), "{:#?}", seen.1);
    });
}
