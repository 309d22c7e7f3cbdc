//! The kernel's settings: what each should be on a machine of a given role, and why. One row, one setting.

use super::finding::{Finding, Verdict};
use super::machine::Machine;
use super::role::Role;

/// What a value should be like. Values are integers, one or several of them.
#[derive(Debug, Clone, Copy)]
enum Wish {
    /// Every number at least this.
    AtLeast(u64),
    AtMost(u64),
    OneOf(&'static [u64]),
    /// Nothing is wanted; the reason says why it is on the list at all.
    Any,
    /// `net.ipv4.tcp_mem`: pages that must fit into the memory of the machine.
    PagesInMemory,
    /// A port range that leaves enough ports for connections to servers.
    PortRange,
}

struct Setting {
    name: &'static str,
    roles: &'static [Role],
    wish: Wish,
    /// How bad it is when the wish is not met.
    otherwise: Verdict,
    /// What `--emit-sysctl` writes; empty leaves it out.
    emitted: &'static str,
    reason: &'static str,
}

use Role::{DirectorDr, DirectorNat, DirectorTunnel, Proxy, RealServer};
const ALL: &[Role] = &[Proxy, DirectorNat, DirectorDr, DirectorTunnel, RealServer];
const CONNECTS: &[Role] = &[Proxy];
const SERVES: &[Role] = &[Proxy, RealServer];
const FLOATS: &[Role] = &[Proxy, DirectorNat, DirectorDr, DirectorTunnel];

/// Numbers of ports below which a busy proxy runs out of them, to one server and port.
const LOCAL_PORTS_MIN: u64 = 20_000;

const SETTINGS: &[Setting] = &[
    Setting {
        name: "net.ipv4.conf.default.rp_filter",
        roles: ALL,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "a template for interfaces made later; the larger of `all` and the interface's own counts. 1 drops what \
                 arrives on another interface than the answer would leave by",
    },
    Setting {
        name: "net.ipv4.conf.all.rp_filter",
        roles: &[DirectorTunnel, RealServer],
        wish: Wish::OneOf(&[0, 2]),
        otherwise: Verdict::Bad,
        emitted: "2",
        reason: "with direct routing and tunnels requests and answers take different ways: strict filtering (1) drops them",
    },
    Setting {
        name: "net.ipv4.ip_nonlocal_bind",
        roles: FLOATS,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "1",
        reason: "other programs need 1 to bind a virtual address on the standby node; hawser binds it without (IP_FREEBIND)",
    },
    Setting {
        name: "net.ipv4.ip_forward",
        roles: &[DirectorNat, DirectorTunnel],
        wish: Wish::OneOf(&[1]),
        otherwise: Verdict::Bad,
        emitted: "1",
        reason: "a director that translates addresses forwards packets between real servers and clients",
    },
    Setting {
        name: "net.ipv4.conf.all.send_redirects",
        roles: &[DirectorNat, DirectorDr],
        wish: Wish::OneOf(&[0]),
        otherwise: Verdict::Warning,
        emitted: "0",
        reason: "with clients and real servers on one network, redirects would tell them to talk past the director",
    },
    Setting {
        name: "net.ipv4.conf.default.send_redirects",
        roles: &[DirectorNat, DirectorDr],
        wish: Wish::OneOf(&[0]),
        otherwise: Verdict::Warning,
        emitted: "0",
        reason: "as for `all`, for interfaces that appear later",
    },
    Setting {
        name: "net.ipv4.conf.default.accept_source_route",
        roles: ALL,
        wish: Wish::OneOf(&[0]),
        otherwise: Verdict::Warning,
        emitted: "0",
        reason: "source routes let a sender choose the way around a firewall",
    },
    Setting {
        name: "net.ipv4.conf.all.arp_ignore",
        roles: &[RealServer],
        wish: Wish::AtLeast(1),
        otherwise: Verdict::Bad,
        emitted: "1",
        reason: "a real server that answers ARP for the virtual address takes the traffic from the director",
    },
    Setting {
        name: "net.ipv4.conf.all.arp_announce",
        roles: &[RealServer],
        wish: Wish::OneOf(&[2]),
        otherwise: Verdict::Bad,
        emitted: "2",
        reason: "else ARP requests of the real server name the virtual address as their sender, and neighbours learn it",
    },
    Setting {
        name: "net.ipv4.conf.lo.arp_ignore",
        roles: &[RealServer],
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "1",
        reason: "the setting of the interface that a request arrives on counts, and `all`; `lo` alone changes nothing",
    },
    Setting {
        name: "net.ipv4.conf.lo.arp_announce",
        roles: &[RealServer],
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "2",
        reason: "as arp_ignore: `all` is what counts",
    },
    Setting {
        name: "kernel.sysrq",
        roles: ALL,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "keys of the console; does not concern a load balancer",
    },
    Setting {
        name: "kernel.msgmnb",
        roles: ALL,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "System V message queues: no part of a load balancer uses them",
    },
    Setting {
        name: "kernel.msgmax",
        roles: ALL,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "System V message queues: no part of a load balancer uses them",
    },
    Setting {
        name: "kernel.shmmax",
        roles: ALL,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "System V shared memory, in bytes: no part of a load balancer uses it",
    },
    Setting {
        name: "kernel.shmall",
        roles: ALL,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "",
        reason: "System V shared memory, in pages: no part of a load balancer uses it",
    },
    Setting {
        name: "net.ipv4.tcp_mem",
        roles: CONNECTS,
        wish: Wish::PagesInMemory,
        otherwise: Verdict::Warning,
        emitted: "",
        reason: "pages (not bytes) that all TCP buffers together may hold; the kernel sizes it by the memory at boot",
    },
    Setting {
        name: "net.ipv4.tcp_rmem",
        roles: CONNECTS,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "4096 87380 4194304",
        reason: "least, first and largest receive buffer of a connection in bytes; the kernel moves between them",
    },
    Setting {
        name: "net.ipv4.tcp_wmem",
        roles: CONNECTS,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "4096 16384 4194304",
        reason: "least, first and largest send buffer of a connection in bytes; the kernel moves between them",
    },
    Setting {
        name: "net.ipv4.tcp_window_scaling",
        roles: CONNECTS,
        wish: Wish::OneOf(&[1]),
        otherwise: Verdict::Bad,
        emitted: "1",
        reason: "without it a connection never has more than 64 KB on the way",
    },
    Setting {
        name: "net.ipv4.tcp_sack",
        roles: CONNECTS,
        wish: Wish::OneOf(&[1]),
        otherwise: Verdict::Warning,
        emitted: "1",
        reason: "without it one lost packet makes the sender repeat everything after it",
    },
    Setting {
        name: "net.core.wmem_default",
        roles: CONNECTS,
        wish: Wish::AtMost(1 << 20),
        otherwise: Verdict::Warning,
        emitted: "",
        reason: "the first buffer of every UDP and raw socket (TCP has its own): megabytes here are held per socket",
    },
    Setting {
        name: "net.core.rmem_default",
        roles: CONNECTS,
        wish: Wish::AtMost(1 << 20),
        otherwise: Verdict::Warning,
        emitted: "",
        reason: "the first buffer of every UDP and raw socket (TCP has its own): megabytes here are held per socket",
    },
    Setting {
        name: "net.core.rmem_max",
        roles: CONNECTS,
        wish: Wish::AtLeast(4 << 20),
        otherwise: Verdict::Info,
        emitted: "16777216",
        reason: "the largest buffer a program may ask for: UDP services (DNS, QUIC, logs) lose packets in bursts without it",
    },
    Setting {
        name: "net.core.wmem_max",
        roles: CONNECTS,
        wish: Wish::AtLeast(4 << 20),
        otherwise: Verdict::Info,
        emitted: "16777216",
        reason: "the largest buffer a program may ask for",
    },
    Setting {
        name: "net.core.netdev_max_backlog",
        roles: FLOATS,
        wish: Wish::AtLeast(1000),
        otherwise: Verdict::Warning,
        emitted: "262144",
        reason: "packets that wait for a CPU; more are dropped (second column of /proc/net/softnet_stat)",
    },
    Setting {
        name: "net.core.somaxconn",
        roles: SERVES,
        wish: Wish::AtLeast(4096),
        otherwise: Verdict::Warning,
        emitted: "20480",
        reason: "caps every listen backlog: `bind … backlog` and `maxconn` above it have no effect",
    },
    Setting {
        name: "net.core.optmem_max",
        roles: ALL,
        wish: Wish::AtLeast(20_480),
        otherwise: Verdict::Info,
        emitted: "81920",
        reason: "memory of a socket for options and control messages",
    },
    Setting {
        name: "net.ipv4.tcp_max_syn_backlog",
        roles: SERVES,
        wish: Wish::AtLeast(4096),
        otherwise: Verdict::Info,
        emitted: "262144",
        reason: "half-open connections of a listener, when SYN cookies are off or not yet sent",
    },
    Setting {
        name: "net.ipv4.tcp_syn_retries",
        roles: CONNECTS,
        wish: Wish::OneOf(&[2, 3, 4, 5, 6]),
        otherwise: Verdict::Info,
        emitted: "3",
        reason: "3 gives up after 15 s; `timeout connect` ends the attempt before that, so keep that one shorter",
    },
    Setting {
        name: "net.ipv4.tcp_retries1",
        roles: CONNECTS,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "3",
        reason: "after so many repeats the kernel looks for another route",
    },
    Setting {
        name: "net.ipv4.tcp_retries2",
        roles: CONNECTS,
        wish: Wish::AtLeast(5),
        otherwise: Verdict::Warning,
        emitted: "15",
        reason: "15 is about 15 minutes until a dead peer is given up; the proxy's own timeouts act long before",
    },
    Setting {
        name: "net.ipv4.tcp_timestamps",
        roles: SERVES,
        wish: Wish::OneOf(&[1, 2]),
        otherwise: Verdict::Bad,
        emitted: "1",
        reason: "advice to turn it off is outdated: without timestamps sequence numbers are not protected against wrapping \
                 (PAWS) and ports in TIME_WAIT cannot be used again for new connections to servers (tcp_tw_reuse)",
    },
    Setting {
        name: "net.ipv4.tcp_fin_timeout",
        roles: SERVES,
        wish: Wish::AtLeast(5),
        otherwise: Verdict::Warning,
        emitted: "30",
        reason: "seconds to wait for a peer's FIN: with 1, a FIN that was lost once becomes a reset for the client",
    },
    Setting {
        name: "net.ipv4.tcp_max_tw_buckets",
        roles: CONNECTS,
        wish: Wish::AtLeast(60_000),
        otherwise: Verdict::Warning,
        emitted: "262144",
        reason: "a closed connection waits 60 s: more than a sixtieth of this per second and the wait is skipped, which \
                 lets late packets reach new connections",
    },
    Setting {
        name: "net.ipv4.tcp_max_orphans",
        roles: CONNECTS,
        wish: Wish::AtMost(1 << 20),
        otherwise: Verdict::Warning,
        emitted: "",
        reason: "each connection without a process can hold up to 64 KB: millions of them are more than the machine has",
    },
    Setting {
        name: "net.ipv4.tcp_synack_retries",
        roles: SERVES,
        wish: Wish::AtLeast(1),
        otherwise: Verdict::Warning,
        emitted: "2",
        reason: "1 gives clients on lossy links 3 s to finish the handshake",
    },
    Setting {
        name: "net.ipv4.tcp_syncookies",
        roles: SERVES,
        wish: Wish::OneOf(&[1]),
        otherwise: Verdict::Bad,
        emitted: "1",
        reason: "without it a flood of SYN packets with false senders closes the service for everybody",
    },
    Setting {
        name: "net.ipv4.tcp_keepalive_time",
        roles: CONNECTS,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "300",
        reason: "seconds of silence before the first probe, for `option clitcpka` and `srvtcpka`",
    },
    Setting {
        name: "net.ipv4.tcp_keepalive_intvl",
        roles: CONNECTS,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "30",
        reason: "seconds between probes",
    },
    Setting {
        name: "net.ipv4.tcp_keepalive_probes",
        roles: CONNECTS,
        wish: Wish::Any,
        otherwise: Verdict::Info,
        emitted: "3",
        reason: "probes without an answer until the connection is given up",
    },
    Setting {
        name: "net.ipv4.ip_local_port_range",
        roles: CONNECTS,
        wish: Wish::PortRange,
        otherwise: Verdict::Warning,
        emitted: "10001 65000",
        reason: "one port per connection to each server: the range is how many one server can have at a time, TIME_WAIT \
                 included",
    },
    Setting {
        name: "vm.overcommit_memory",
        roles: ALL,
        wish: Wish::OneOf(&[0, 1]),
        otherwise: Verdict::Warning,
        emitted: "0",
        reason: "2 refuses memory that would never be used, and programs fail that would have run",
    },
    Setting {
        name: "vm.swappiness",
        roles: ALL,
        wish: Wish::AtMost(10),
        otherwise: Verdict::Warning,
        emitted: "10",
        reason: "a load balancer that was swapped out answers, and advertises, too late",
    },
];

/// Looks at every setting of a role.
pub fn findings(machine: &Machine, role: Role) -> Vec<Finding> {
    let rows = SETTINGS.iter().filter(|setting| setting.roles.contains(&role));
    rows.map(|setting| {
        judge(setting, machine.sysctl(setting.name).as_deref(), machine).because(setting.reason)
    })
    .collect()
}

/// The lines that `--emit-sysctl` prints and `--apply` sets: only what the machine has and should have otherwise or at
/// least explicitly.
pub fn wanted(machine: &Machine, role: Role) -> Vec<(&'static str, &'static str)> {
    let rows = SETTINGS.iter().filter(|setting| setting.roles.contains(&role) && !setting.emitted.is_empty());
    rows.filter(|setting| machine.sysctl(setting.name).is_some())
        .map(|setting| (setting.name, setting.emitted))
        .collect()
}

/// What is wrong with a value that a file sets, whatever the role; for files that are read, not for this machine.
pub fn complaint(name: &str, value: &str, machine: &Machine) -> Option<Complaint> {
    let setting = SETTINGS.iter().find(|setting| setting.name == name)?;
    let finding = judge(setting, Some(value), machine);
    (finding.verdict > Verdict::Info).then_some(Complaint { wanted: finding.wanted, reason: setting.reason })
}

/// What a setting is about, where it is a known one.
pub fn meaning(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|setting| setting.name == name.replace('/', ".")).map(|setting| setting.reason)
}

/// See [`complaint`].
pub struct Complaint {
    pub wanted: String,
    pub reason: &'static str,
}

fn judge(setting: &Setting, value: Option<&str>, machine: &Machine) -> Finding {
    let finding = |verdict| Finding::new("sysctl", setting.name, verdict);
    let Some(value) = value else {
        return finding(Verdict::Info).measured("not on this kernel");
    };
    let mend = match setting.emitted {
        "" => String::new(),
        emitted => format!("sysctl -w {}=\"{emitted}\"", setting.name),
    };
    let numbers: Option<Vec<u64>> = value.split_whitespace().map(|word| word.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        return finding(Verdict::Warning).measured(value).wanted("whole numbers").mend(mend);
    };
    let (is_met, wanted) = match setting.wish {
        Wish::Any => return finding(Verdict::Info).measured(value),
        Wish::AtLeast(least) => (numbers.iter().all(|number| *number >= least), format!("at least {least}")),
        Wish::AtMost(most) => (numbers.iter().all(|number| *number <= most), format!("at most {most}")),
        Wish::OneOf(values) => {
            let names: Vec<String> = values.iter().map(u64::to_string).collect();
            (numbers.iter().all(|number| values.contains(number)), names.join(" or "))
        }
        Wish::PagesInMemory => {
            let pages = memory_pages(machine);
            let most = numbers.last().copied().unwrap_or(0);
            (
                pages.is_none_or(|pages| most <= pages),
                format!("at most {} pages, the memory", pages.unwrap_or(0)),
            )
        }
        Wish::PortRange => {
            let count = match numbers[..] {
                [first, last] if last >= first => last - first + 1,
                _ => 0,
            };
            (count >= LOCAL_PORTS_MIN, format!("{LOCAL_PORTS_MIN} ports or more, this has {count}"))
        }
    };
    let verdict = if is_met { Verdict::Good } else { setting.otherwise };
    finding(verdict).measured(value).wanted(wanted).mend(mend)
}

/// The machine's memory in pages of 4 KB; `None` when /proc does not say.
fn memory_pages(machine: &Machine) -> Option<u64> {
    let text = machine.text("/proc/meminfo")?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::laboratory::Laboratory;

    fn verdict(name: &str, value: &str, role: Role) -> Verdict {
        let laboratory = Laboratory::new();
        laboratory.sysctl(name, value);
        laboratory.write("/proc/meminfo", "MemTotal:       4194304 kB\n");
        let found = findings(&laboratory.machine(&[]), role);
        found.iter().find(|finding| finding.subject == name).expect("on the list").verdict
    }

    // row: 9-40
    #[test]
    fn every_setting_of_the_tutorial_is_judged_and_says_why() {
        use Verdict::{Bad, Good, Info, Warning};
        // Its name, a value that is well and one that is not with its verdict, and a word of the reason.
        for (name, well, ill, verdict, word) in [
            ("net.ipv4.conf.default.rp_filter", "1", "2", Info, "arrives on another interface"),
            ("net.ipv4.ip_nonlocal_bind", "1", "0", Info, "virtual address on the standby node"),
            ("net.ipv4.conf.default.accept_source_route", "0", "1", Warning, "around a firewall"),
            ("kernel.sysrq", "0", "1", Info, "does not concern a load balancer"),
            ("kernel.msgmnb", "65536", "1", Info, "no part of a load balancer uses them"),
            ("kernel.msgmax", "65536", "1", Info, "no part of a load balancer uses them"),
            ("kernel.shmmax", "68719476736", "1", Info, "in bytes: no part of a load balancer uses it"),
            ("kernel.shmall", "4294967296", "1", Info, "in pages: no part of a load balancer uses it"),
            ("net.ipv4.tcp_mem", "1 2 1048576", "1 2 1048577", Warning, "pages (not bytes)"),
            ("net.ipv4.tcp_rmem", "4096 87380 4194304", "many", Warning, "receive buffer"),
            ("net.ipv4.tcp_wmem", "4096 16384 4194304", "many", Warning, "send buffer"),
            ("net.ipv4.tcp_window_scaling", "1", "0", Bad, "64 KB"),
            ("net.ipv4.tcp_sack", "1", "0", Warning, "repeat everything after it"),
            ("net.core.wmem_default", "212992", "8388608", Warning, "held per socket"),
            ("net.core.rmem_default", "212992", "8388608", Warning, "held per socket"),
            ("net.core.rmem_max", "16777216", "212992", Info, "QUIC"),
            ("net.core.wmem_max", "16777216", "212992", Info, "largest buffer"),
            ("net.core.netdev_max_backlog", "262144", "100", Warning, "wait for a CPU"),
            ("net.core.somaxconn", "20480", "128", Warning, "caps every listen backlog"),
            ("net.core.optmem_max", "81920", "1024", Info, "control messages"),
            ("net.ipv4.tcp_max_syn_backlog", "262144", "128", Info, "half-open"),
            ("net.ipv4.tcp_syn_retries", "3", "1", Info, "`timeout connect` ends the attempt before that"),
            ("net.ipv4.tcp_retries1", "3", "x", Warning, "another route"),
            ("net.ipv4.tcp_retries2", "15", "3", Warning, "15 minutes"),
            ("net.ipv4.tcp_timestamps", "1", "0", Bad, "outdated"),
            ("net.ipv4.tcp_fin_timeout", "60", "1", Warning, "a FIN that was lost"),
            ("net.ipv4.tcp_max_tw_buckets", "262144", "20000", Warning, "a sixtieth of this per second"),
            ("net.ipv4.tcp_max_orphans", "65536", "3276800", Warning, "up to 64 KB"),
            ("net.ipv4.tcp_synack_retries", "1", "0", Warning, "handshake"),
            ("net.ipv4.tcp_syncookies", "1", "0", Bad, "flood of SYN"),
            ("net.ipv4.tcp_keepalive_time", "300", "x", Warning, "`option clitcpka` and `srvtcpka`"),
            ("net.ipv4.tcp_keepalive_intvl", "30", "x", Warning, "between probes"),
            ("net.ipv4.tcp_keepalive_probes", "3", "x", Warning, "given up"),
            ("net.ipv4.ip_local_port_range", "10001 65000", "60000 65000", Warning, "to each server"),
            ("vm.overcommit_memory", "0", "2", Warning, "would never be used"),
            ("vm.swappiness", "10", "60", Warning, "swapped out"),
        ] {
            let found = |value: &str| {
                let laboratory = Laboratory::new();
                laboratory.sysctl(name, value);
                laboratory.write("/proc/meminfo", "MemTotal:       4194304 kB\n");
                let all = findings(&laboratory.machine(&[]), Role::Proxy);
                all.into_iter().find(|finding| finding.subject == name).expect("on the list")
            };
            let (good, bad) = (found(well), found(ill));
            assert!(matches!(good.verdict, Good | Info), "{name} = {well}: {:?}", good.verdict);
            assert_eq!((bad.verdict, bad.measured.as_str()), (verdict, ill), "{name} = {ill}");
            assert!(bad.reason.contains(word), "{name}: {}", bad.reason);
            let is_wanted = verdict > Info && ill.starts_with(|first: char| first.is_ascii_digit());
            assert!(!is_wanted || !bad.wanted.is_empty(), "{name}: what it should be");
        }
        // How many connections to one server its ports are enough for.
        let laboratory = Laboratory::new();
        laboratory.sysctl("net.ipv4.ip_local_port_range", "60000 65000");
        let all = findings(&laboratory.machine(&[]), Role::Proxy);
        let ports = all.iter().find(|finding| finding.subject.ends_with("port_range")).expect("listed");
        assert_eq!(ports.wanted, "20000 ports or more, this has 5001");
    }

    // row: 9, 10, 11, 12
    #[test]
    fn routing_settings_matter_by_role() {
        assert_eq!(verdict("net.ipv4.conf.all.rp_filter", "1", Role::DirectorTunnel), Verdict::Bad);
        assert_eq!(verdict("net.ipv4.conf.all.rp_filter", "2", Role::DirectorTunnel), Verdict::Good);
        assert_eq!(verdict("net.ipv4.conf.default.rp_filter", "1", Role::Proxy), Verdict::Info);
        assert_eq!(verdict("net.ipv4.ip_nonlocal_bind", "0", Role::Proxy), Verdict::Info);
        assert_eq!(verdict("net.ipv4.ip_forward", "0", Role::DirectorNat), Verdict::Bad);
        assert_eq!(verdict("net.ipv4.ip_forward", "1", Role::DirectorNat), Verdict::Good);
        assert_eq!(verdict("net.ipv4.conf.default.accept_source_route", "1", Role::Proxy), Verdict::Warning);
    }

    // row: 13, 14, 15, 16, 17, 30, 37, 39, 40
    #[test]
    fn what_does_not_concern_a_proxy_is_told_and_not_judged() {
        for name in ["kernel.sysrq", "kernel.msgmnb", "kernel.msgmax", "kernel.shmmax", "kernel.shmall"] {
            assert_eq!(verdict(name, "0", Role::Proxy), Verdict::Info, "{name}");
        }
        assert_eq!(verdict("net.ipv4.tcp_retries1", "3", Role::Proxy), Verdict::Info);
        assert_eq!(verdict("net.ipv4.tcp_retries2", "15", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.ipv4.tcp_keepalive_time", "300", Role::Proxy), Verdict::Info);
        assert_eq!(verdict("vm.overcommit_memory", "2", Role::Proxy), Verdict::Warning);
        assert_eq!(verdict("vm.swappiness", "60", Role::Proxy), Verdict::Warning);
    }

    // row: 18, 19, 20, 23, 24, 25, 26, 27, 28, 34
    #[test]
    fn buffers_and_queues_are_compared_with_the_machine() {
        // 4 GB are 1,048,576 pages: the tutorial's 6 GB do not fit.
        assert_eq!(verdict("net.ipv4.tcp_mem", "786432 1048576 1572864", Role::Proxy), Verdict::Warning);
        assert_eq!(verdict("net.ipv4.tcp_mem", "190000 250000 380000", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.ipv4.tcp_rmem", "4096 87380 4194304", Role::Proxy), Verdict::Info);
        assert_eq!(verdict("net.ipv4.tcp_wmem", "4096 16384 4194304", Role::Proxy), Verdict::Info);
        assert_eq!(verdict("net.core.rmem_default", "8388608", Role::Proxy), Verdict::Warning);
        assert_eq!(verdict("net.core.rmem_max", "16777216", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.core.netdev_max_backlog", "262144", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.core.somaxconn", "128", Role::Proxy), Verdict::Warning);
        assert_eq!(verdict("net.core.optmem_max", "81920", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.ipv4.tcp_max_syn_backlog", "262144", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.ipv4.tcp_max_orphans", "3276800", Role::Proxy), Verdict::Warning);
    }

    // row: 21, 22, 29, 31, 32, 33, 35, 36, 38
    #[test]
    fn outdated_and_hurried_tcp_advice_is_named() {
        assert_eq!(verdict("net.ipv4.tcp_window_scaling", "0", Role::Proxy), Verdict::Bad);
        assert_eq!(verdict("net.ipv4.tcp_sack", "0", Role::Proxy), Verdict::Warning);
        assert_eq!(verdict("net.ipv4.tcp_syn_retries", "3", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.ipv4.tcp_timestamps", "0", Role::Proxy), Verdict::Bad);
        assert_eq!(verdict("net.ipv4.tcp_fin_timeout", "1", Role::Proxy), Verdict::Warning);
        assert_eq!(verdict("net.ipv4.tcp_max_tw_buckets", "20000", Role::Proxy), Verdict::Warning);
        assert_eq!(verdict("net.ipv4.tcp_synack_retries", "1", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.ipv4.tcp_syncookies", "0", Role::Proxy), Verdict::Bad);
        assert_eq!(verdict("net.ipv4.ip_local_port_range", "10001 65000", Role::Proxy), Verdict::Good);
        assert_eq!(verdict("net.ipv4.ip_local_port_range", "60000 65000", Role::Proxy), Verdict::Warning);
    }

    // row: 308, 309
    #[test]
    fn a_director_with_translation_forwards_and_sends_no_redirects() {
        assert_eq!(verdict("net.ipv4.conf.all.send_redirects", "1", Role::DirectorNat), Verdict::Warning);
        assert_eq!(verdict("net.ipv4.conf.default.send_redirects", "0", Role::DirectorNat), Verdict::Good);
    }

    #[test]
    fn no_setting_is_listed_twice_and_what_is_emitted_is_judged_good() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..index].iter().all(|other| other.name != setting.name), "{}", setting.name);
            if !setting.emitted.is_empty() {
                let found = judge(setting, Some(setting.emitted), &Laboratory::new().machine(&[]));
                assert!(found.verdict <= Verdict::Info, "{}", setting.name);
            }
        }
    }

    #[test]
    fn a_value_that_is_no_number_is_said_so() {
        assert_eq!(verdict("net.core.somaxconn", "many", Role::Proxy), Verdict::Warning);
    }
}
