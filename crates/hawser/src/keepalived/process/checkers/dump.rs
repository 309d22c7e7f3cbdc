//! `keepalived_check.data`: virtual servers, real servers and what is tracked, line by line as keepalived writes them.
//! The checkers themselves are `checks`'.

mod checks;

use director::pool::Pool;
use director::runner::State;
use failover::office::dumps;
use keepalived_config::Model;
use keepalived_config::model::{
    CheckKind, Command, Family, Forwarding, RealServer, Scheduler, SslMaterial, TransportProtocol,
    TunnelChecksum, TunnelKind, VirtualAddress, VirtualServer, VirtualServerGroup,
};
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What keepalived was built with.
const LVS_VERSION: &str = "1.2.1";
const NAME: &str = "keepalived_check.data";

/// Writes the file into that folder.
///
/// # Errors
/// The file, and what the file system says of it.
pub(super) fn write(
    model: &Model,
    state: &State<'_>,
    host_name: &str,
    directory: &Path,
) -> Result<(), (PathBuf, io::Error)> {
    let path = directory.join(NAME);
    dumps::replace(&path, &text(model, state, host_name)).map_err(|error| (path, error))
}

fn text(model: &Model, state: &State<'_>, host_name: &str) -> String {
    let mut text = dumps::global_definitions(model, host_name, false);
    if let Some(ssl) = &model.ssl {
        material(&mut text, ssl);
    }
    if model.virtual_servers.is_empty() {
        return text;
    }
    let _ = writeln!(text, "------< LVS Topology >------\n System is compiled with LVS v{LVS_VERSION}");
    for (place, group) in model.virtual_server_groups.iter().enumerate() {
        virtual_server_group(&mut text, place, group, state.pools);
    }
    for (place, pool) in state.pools.iter().enumerate() {
        virtual_server(&mut text, model, state, place, pool);
    }
    checks::checkers(&mut text, model, state);
    checks::track_files(&mut text, model, state);
    checks::track_bfd(&mut text, model, state);
    text
}

fn material(text: &mut String, ssl: &SslMaterial) {
    text.push_str("------< SSL definitions >------\n");
    if let Some(password) = &ssl.password {
        let _ = writeln!(text, " Password : {password}");
    }
    let files = [("CA-file", &ssl.ca), ("Certificate file", &ssl.certificate), ("Key file", &ssl.key)];
    for (what, path) in files {
        if let Some(path) = path {
            let _ = writeln!(text, " {what} : {}", path.display());
        }
    }
}

fn virtual_server_group(text: &mut String, place: usize, group: &VirtualServerGroup, pools: &[Pool]) {
    let is_of_it = |pool: &&Pool| matches!(pool.virtual_server().address, VirtualAddress::Group(id) if id.index() == place);
    let pools: Vec<&Pool> = pools.iter().filter(is_of_it).collect();
    // Real servers in the plane: for each of them the service of each address was counted once.
    let count = |is_counted: &dyn Fn(&Pool, usize) -> bool| {
        let of_pool = |pool: &&Pool| {
            let servers = 0..pool.virtual_server().real_servers.len();
            servers.filter(|server| pool.is_set(*server) && is_counted(pool, *server)).count()
        };
        pools.iter().map(of_pool).sum::<usize>()
    };
    let is_ipv6 = |pool: &Pool, server: usize| pool.virtual_server().real_servers[server].address.is_ipv6();
    let has_family = |ipv6: bool| {
        let mut servers = pools.iter().flat_map(|pool| &pool.virtual_server().real_servers);
        group.addresses.iter().any(|range| range.first.is_ipv6() == ipv6)
            || (!group.marks.is_empty() && servers.any(|real| real.address.is_ipv6() == ipv6))
    };
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let _ = writeln!(text, " ------< Virtual server group >------");
    let _ = writeln!(
        text,
        " Virtual Server Group = {}, IPv4 = {}, IPv6 = {}",
        group.name,
        yes(has_family(false)),
        yes(has_family(true))
    );
    let of = |wanted: TransportProtocol| count(&|pool: &Pool, _| pool.virtual_server().protocol == wanted);
    for range in &group.addresses {
        if range.first == range.last {
            let _ = writeln!(text, "   VIP = {}, VPORT = {}", range.first, range.port);
        } else {
            let _ = writeln!(text, "   VIP Range = {}-{}, VPORT = {}", range.first, range.last, range.port);
        }
        let [tcp, udp, sctp] =
            [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp].map(of);
        let _ = writeln!(text, "     Alive: {tcp} tcp, {udp} udp, {sctp} sctp\n     reloaded = False");
    }
    for (mark, _) in &group.marks {
        let _ = writeln!(text, "   FWMARK = {mark}");
        let [four, six] = [false, true].map(|ipv6| count(&|pool, server| is_ipv6(pool, server) == ipv6));
        let _ = writeln!(text, "     Alive: {four} IPv4, {six} IPv6\n     reloaded = False");
    }
}

/// `3.000000`
fn seconds(time: Duration) -> String {
    format!("{:.6}", time.as_secs_f64())
}

fn is_on(flag: bool) -> &'static str {
    if flag { "ON" } else { "OFF" }
}

fn is_enabled(flag: bool) -> &'static str {
    if flag { "enabled" } else { "disabled" }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

/// `'/usr/bin/true' 'up', uid:gid 0:0`
fn script(command: &Command) -> String {
    let words: Vec<String> = command.words.iter().map(|word| format!("'{word}'")).collect();
    format!("{}, uid:gid {}:{}", words.join(" "), command.run_as.user, command.run_as.group)
}

/// `TUN, type = GUE, port = 6080, no checksum`
fn method(forwarding: Forwarding) -> String {
    let sum = |checksum| match checksum {
        TunnelChecksum::None => "no checksum",
        TunnelChecksum::Checksum => "checksum",
        TunnelChecksum::Remote => "remote checksum",
    };
    match forwarding {
        Forwarding::Nat => "NAT".to_owned(),
        Forwarding::DirectRouting => "DR".to_owned(),
        Forwarding::Tunnel(TunnelKind::IpIp) => "TUN, type = IPIP".to_owned(),
        Forwarding::Tunnel(TunnelKind::Gue { port, checksum }) => {
            format!("TUN, type = GUE, port = {port}, {}", sum(checksum))
        }
        Forwarding::Tunnel(TunnelKind::Gre { checksum }) => format!("TUN, type = GRE, {}", sum(checksum)),
    }
}

/// A firewall mark's packets may be of any.
fn protocol(server: &VirtualServer, by_mark: &'static str, upper: bool) -> &'static str {
    match (server.address, server.protocol, upper) {
        (VirtualAddress::Mark { .. }, _, _) => by_mark,
        (_, TransportProtocol::Tcp, true) => "TCP",
        (_, TransportProtocol::Udp, true) => "UDP",
        (_, TransportProtocol::Sctp, true) => "SCTP",
        (_, TransportProtocol::Tcp, false) => "tcp",
        (_, TransportProtocol::Udp, false) => "udp",
        (_, TransportProtocol::Sctp, false) => "sctp",
    }
}

fn is_ipv6(server: &VirtualServer) -> bool {
    match server.address {
        VirtualAddress::Socket(address) => address.is_ipv6(),
        VirtualAddress::Mark { family, .. } => family == Family::Ipv6,
        VirtualAddress::Group(_) => server.real_servers.first().is_some_and(|real| real.address.is_ipv6()),
    }
}

/// How the scheduler's flags are called: the second, the first, the third.
fn flags(server: &VirtualServer) -> Vec<(&'static str, bool)> {
    let set = server.flags;
    match server.scheduler {
        Scheduler::SourceHash => vec![("sh-port", set.flag2), ("sh-fallback", set.flag1)],
        Scheduler::Maglev => vec![("mh-port", set.flag2), ("mh-fallback", set.flag1)],
        Scheduler::RoundRobin
        | Scheduler::WeightedRoundRobin
        | Scheduler::LeastConnections
        | Scheduler::WeightedLeastConnections
        | Scheduler::LocalityLeastConnections
        | Scheduler::LocalityReplicated
        | Scheduler::DestinationHash
        | Scheduler::Failover
        | Scheduler::Overflow
        | Scheduler::ShortestDelay
        | Scheduler::NeverQueue
        | Scheduler::TwoChoices => {
            vec![("flag-1", set.flag1), ("flag-2", set.flag2), ("flag-3", set.flag3)]
        }
    }
}

fn virtual_server(text: &mut String, model: &Model, state: &State<'_>, place: usize, pool: &Pool) {
    let server = pool.virtual_server();
    let defaults = &server.check_defaults;
    text.push_str(" ------< Virtual server >------\n");
    let _ = match server.address {
        VirtualAddress::Socket(address) => {
            writeln!(text, " VS VIP = {}, VPORT = {}", address.ip(), address.port())
        }
        VirtualAddress::Mark { mark, .. } => writeln!(text, " VS FWMARK = {mark}"),
        VirtualAddress::Group(_) => writeln!(text, " VS GROUP = {}", pool.name()),
    };
    let mut put = |line: String| {
        let _ = writeln!(text, "   {line}");
    };
    if let Some(host) = &defaults.virtual_host {
        put(format!("VirtualHost = {host}"));
    }
    if let Some(name) = &server.snmp_name {
        put(format!("SNMP name = '{name}'"));
    }
    put(format!("Address family = {}", if is_ipv6(server) { "inet6" } else { "inet" }));
    put(format!("connection timeout = {}", seconds(defaults.connect_timeout)));
    put(format!("delay_loop = {}", seconds(defaults.delay_loop)));
    put(format!("lvs_sched = {}", server.scheduler.name()));
    put(format!("Hashed = {}", is_enabled(server.flags.hashed)));
    for (name, is_set) in flags(server) {
        put(format!("{name} = {}", is_enabled(is_set)));
    }
    put(format!("One packet scheduling = {}", is_enabled(server.flags.one_packet)));
    if let Some(timeout) = server.persistence_timeout {
        put(format!("persistence timeout = {timeout}"));
    }
    match server.persistence_granularity {
        Some(length) if is_ipv6(server) => put(format!("persistence granularity = {length}")),
        Some(length) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            put(format!("persistence granularity = {}", Ipv4Addr::from_bits(mask)));
        }
        None => {}
    }
    put(format!("protocol = {}", protocol(server, "none", true)));
    put(format!("alpha is {}", is_on(server.alpha)));
    put(format!("omega is {}", is_on(server.omega)));
    if let Some(retry) = defaults.retry {
        put(format!("Retry count = {retry}"));
    }
    if let Some(delay) = defaults.delay_before_retry {
        put(format!("Retry delay = {}", seconds(delay)));
    }
    if let Some(warmup) = defaults.warmup {
        put(format!("Warmup = {}", seconds(warmup)));
    }
    put(format!("Inhibit on failure is {}", is_on(defaults.inhibit_on_failure)));
    put(format!("quorum = {}, hysteresis = {}", server.quorum, server.hysteresis));
    for (word, command) in [("up", &server.quorum_up), ("down", &server.quorum_down)] {
        if let Some(command) = command {
            put(format!("Quorum {word} notify script = {}", script(command)));
        }
    }
    if server.ha_suspend {
        put("Using HA suspend".to_owned());
    }
    put(format!("Using smtp notification = {}", yes(server.smtp_alert)));
    put(format!("default forwarding method = {}", method(server.forwarding)));
    if let Some(sorry) = server.sorry_server {
        let (address, word) = (sorry.address, protocol(server, "none", false));
        put(format!("sorry server = [{}]:{word}:{}", address.ip(), address.port()));
        put(format!("  forwarding method = {}", method(sorry.forwarding)));
        put(format!("  Inhibit on failure is {}", is_on(sorry.inhibit)));
    }
    put("alive = 1".to_owned());
    put(format!("quorum_state_up = {}", u8::from(pool.has_quorum())));
    put("reloaded = 0".to_owned());
    for (at, real) in server.real_servers.iter().enumerate() {
        real_server(text, model, state, (place, at), (pool, real));
    }
}

fn real_server(
    text: &mut String,
    model: &Model,
    state: &State<'_>,
    (place, at): (usize, usize),
    (pool, real): (&Pool, &RealServer),
) {
    let defaults = &real.check_defaults;
    let (weight, sum) = (pool.weight(at), pool.unbounded_weight(at));
    let failed = (0..real.checks.len()).filter(|check| !pool.is_passing(at, *check)).count();
    let mut put = |line: String| {
        let _ = writeln!(text, "   {line}");
    };
    put("------< Real server >------".to_owned());
    let (ip, port): (IpAddr, u16) = (real.address.ip(), pool.port_of(at));
    put(format!("RIP = {ip}, RPORT = {port}, WEIGHT = {weight} EFF WEIGHT = {sum}"));
    put(format!("forwarding method = {}", method(real.forwarding)));
    put(format!("Alpha is {}", is_on(real.alpha)));
    put(format!("connection timeout = {}", seconds(defaults.connect_timeout)));
    put(format!("connection limit range = {} -> {}", real.lower_threshold, real.upper_threshold));
    put(format!("Delay loop = {}", seconds(defaults.delay_loop)));
    if let Some(retry) = defaults.retry {
        put(format!("Retry count = {retry}"));
    }
    if let Some(delay) = defaults.delay_before_retry {
        put(format!("Retry delay = {}", seconds(delay)));
    }
    if let Some(warmup) = defaults.warmup {
        put(format!("Warmup = {}", seconds(warmup)));
    }
    put(format!("Inhibit on failure is {}", is_on(real.inhibit_on_failure)));
    for (word, command) in [("up", &real.notify_up), ("down", &real.notify_down)] {
        if let Some(command) = command {
            put(format!("  RS {word} notify script = {}", script(command)));
        }
    }
    if let Some(host) = &defaults.virtual_host {
        put(format!(" VirtualHost = '{host}'"));
    }
    if let Some(name) = &real.snmp_name {
        put(format!("SNMP name = {name}"));
    }
    put(format!("Using smtp notification = {}", yes(real.smtp_alert)));
    put(format!("initial weight = {}", real.weight));
    put(format!("effective weight = {sum}"));
    // Only a reload has one to compare with, and ours compares before it forgets.
    put("previous effective_weight = 0".to_owned());
    put(format!("alive = {}", u8::from(pool.is_alive(at))));
    put(format!("num failed checkers = {failed}"));
    put(format!("RS set = {}", u8::from(pool.is_set(at))));
    put("reloaded = 0".to_owned());
    let files: Vec<String> = checks::of_server(state, (place, at))
        .filter_map(|(_, check)| match check.kind {
            CheckKind::File { file, weight } => Some(checks::file_line(model, file, weight)),
            _ => None,
        })
        .collect();
    if !files.is_empty() {
        put("Tracked Files".to_owned());
        files.iter().for_each(|line| put(format!("  {line}")));
    }
    let sessions: Vec<&str> = checks::of_server(state, (place, at))
        .filter_map(|(_, check)| match check.kind {
            CheckKind::Bfd { session } => Some(model.bfd_sessions[session.index()].name.as_str()),
            _ => None,
        })
        .collect();
    if !sessions.is_empty() {
        put("Tracked BFDs".to_owned());
        sessions.iter().for_each(|name| put(format!("  {name}")));
    }
}
