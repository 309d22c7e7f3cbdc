//! `keepalived.check`: groups, virtual servers, real servers, the synchronisation daemon and timeouts. Numbers and types are
//! those that keepalived 2.2.7 shows; where it contradicts its own MIB, the MIB holds (docs/decisions/0021-snmp.md).

use agentx::{Tree, Value};
use director::pool::Pool;
use director::table::{ServerKey, Table};
use failover::snmp::mib::{Build, Row, address_type, global, keepalived, number, octets, shown};
use keepalived_config::Model;
use keepalived_config::model::{
    CheckDefaults, Command, Family, Forwarding, Scheduler, TransportProtocol, TunnelChecksum, TunnelKind,
    VirtualAddress, VirtualServer, VirtualServerGroup,
};
use netlink::ipvs::{Destination, Key, Statistics};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Entries of tables, below keepalived's subtree.
const GROUPS: [u32; 3] = [3, 1, 1];
const MEMBERS: [u32; 3] = [3, 2, 1];
pub(super) const VIRTUAL_SERVERS: [u32; 3] = [3, 3, 1];
pub(super) const REAL_SERVERS: [u32; 3] = [3, 4, 1];
/// Lengths of masks that take in one address.
const IPV4_BITS: u8 = 32;
const IPV6_BITS: u8 = 128;

/// What is shown.
pub(super) struct View<'a> {
    pub model: &'a Model,
    pub host_name: &'a str,
    pub pools: &'a [Pool],
    /// The plane, as virtual servers' counters may show it.
    pub of_services: &'a Table,
    /// The same for real servers.
    pub of_servers: &'a Table,
}

/// Everything of the checkers' process.
pub(super) fn tree(view: &View<'_>) -> Tree {
    let mut build = Build::default();
    global(&mut build, view.model, view.host_name);
    groups(&mut build, &view.model.virtual_server_groups);
    build.columns(&keepalived(&VIRTUAL_SERVERS), 2..=71);
    build.columns(&keepalived(&REAL_SERVERS), 2..=55);
    for (place, pool) in view.pools.iter().enumerate() {
        virtual_server(&mut build, view, place, pool);
        real_servers(&mut build, view, place, pool);
    }
    sync_daemon(&mut build, view.model);
    let timeouts = &view.model.global.lvs_timeouts;
    for (place, timeout) in (1..).zip([timeouts.tcp, timeouts.tcp_fin, timeouts.udp]) {
        build.scalar(keepalived(&[3, 7, place]), timeout.map(|timeout| integer(timeout.as_secs())));
    }
    build.finish()
}

fn integer(number: impl TryInto<i32>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i32::MAX))
}

/// `'/usr/bin/true' 'up'`
fn script(command: &Command) -> Value {
    let words: Vec<String> = command.words.iter().map(|word| format!("'{word}'")).collect();
    shown(&words.join(" "))
}

fn micros(time: Duration) -> u128 {
    time.as_micros()
}

fn groups(build: &mut Build, groups: &[VirtualServerGroup]) {
    let (names, members) = (keepalived(&GROUPS), keepalived(&MEMBERS));
    build.columns(&names, [2]);
    build.columns(&members, 2..=8);
    for (place, group) in groups.iter().enumerate() {
        let index = [number(place)];
        build.row(&names, &index).text(2, &group.name);
        for (at, (mark, _)) in group.marks.iter().enumerate() {
            let index = [index[0], number(at)];
            let mut row = build.row(&members, &index);
            row.integer(2, 1);
            row.gauge(3, *mark);
        }
        for (at, range) in group.addresses.iter().enumerate() {
            let index = [index[0], number(group.marks.len() + at)];
            let mut row = build.row(&members, &index);
            row.put(4, address_type(range.first.is_ipv4()));
            if range.first == range.last {
                row.integer(2, 2);
                row.address(5, range.first);
            } else {
                row.integer(2, 3);
                row.address(6, range.first);
                row.address(7, range.last);
            }
            row.gauge(8, range.port);
        }
    }
}

fn is_ipv4(model: &Model, server: &VirtualServer) -> bool {
    match server.address {
        VirtualAddress::Socket(address) => address.is_ipv4(),
        VirtualAddress::Mark { family, .. } => family == Family::Ipv4,
        VirtualAddress::Group(id) => {
            let range = model.virtual_server_groups[id.index()].addresses.first().map(|range| range.first);
            let first = range.or(server.real_servers.first().map(|real| real.address.ip()));
            first.is_none_or(|address| address.is_ipv4())
        }
    }
}

/// Which packets a virtual server takes: of the columns 2 to 8 those that traps have too.
pub(super) fn identity(model: &Model, server: &VirtualServer) -> Vec<(u32, Value)> {
    let mut columns = match server.address {
        VirtualAddress::Mark { mark, .. } => {
            vec![(2, Value::Integer(1)), (4, Value::Gauge32(mark))]
        }
        VirtualAddress::Socket(address) => vec![
            (2, Value::Integer(2)),
            (5, address_type(address.is_ipv4())),
            (6, Value::Octets(octets(address.ip()))),
            (7, Value::Gauge32(address.port().into())),
        ],
        VirtualAddress::Group(id) => {
            let name = shown(&model.virtual_server_groups[id.index()].name);
            vec![(2, Value::Integer(3)), (3, name)]
        }
    };
    let protocol = match (server.address, server.protocol) {
        // A mark has none.
        (VirtualAddress::Mark { .. }, _) => 4,
        (_, TransportProtocol::Tcp) => 1,
        (_, TransportProtocol::Udp) => 2,
        (_, TransportProtocol::Sctp) => 3,
    };
    columns.push((8, Value::Integer(protocol)));
    columns
}

fn scheduler(scheduler: Scheduler) -> i64 {
    match scheduler {
        Scheduler::RoundRobin => 1,
        Scheduler::WeightedRoundRobin => 2,
        Scheduler::LeastConnections => 3,
        Scheduler::WeightedLeastConnections => 4,
        Scheduler::LocalityLeastConnections => 5,
        Scheduler::LocalityReplicated => 6,
        Scheduler::DestinationHash => 7,
        Scheduler::SourceHash => 8,
        Scheduler::ShortestDelay => 9,
        Scheduler::NeverQueue => 10,
        Scheduler::Failover => 11,
        Scheduler::Overflow => 12,
        Scheduler::Maglev => 13,
        Scheduler::TwoChoices => 14,
    }
}

/// Method, kind of tunnel, its port, its checksums: those that there are, in four columns.
fn forwarding(row: &mut Row<'_>, forwarding: Forwarding, [method, kind, port_column, checksums]: [u32; 4]) {
    let sums = |checksum| match checksum {
        TunnelChecksum::None => 1,
        TunnelChecksum::Checksum => 2,
        TunnelChecksum::Remote => 3,
    };
    row.integer(
        method,
        match forwarding {
            Forwarding::Nat => 1,
            Forwarding::DirectRouting => 2,
            Forwarding::Tunnel(_) => 3,
        },
    );
    match forwarding {
        Forwarding::Nat | Forwarding::DirectRouting => {}
        Forwarding::Tunnel(TunnelKind::IpIp) => row.integer(kind, 1),
        Forwarding::Tunnel(TunnelKind::Gue { port, checksum }) => {
            row.integer(kind, 2);
            row.gauge(port_column, port);
            row.integer(checksums, sums(checksum));
        }
        Forwarding::Tunnel(TunnelKind::Gre { checksum }) => {
            row.integer(kind, 3);
            row.integer(checksums, sums(checksum));
        }
    }
}

/// Columns of counters: connections, packets and bytes (32 bits but for bytes), rates, the first three and the rates in 64.
struct Counters {
    connections: u32,
    packets: u32,
    wide: u32,
}

const OF_SERVICES: Counters = Counters { connections: 27, packets: 28, wide: 38 };
const OF_SERVERS: Counters = Counters { connections: 14, packets: 18, wide: 27 };

fn statistics(row: &mut Row<'_>, columns: &Counters, sum: &Statistics) {
    // As the MIB has it: the lower half.
    row.put(columns.connections, Value::Gauge32(sum.connections as u32));
    row.put(columns.packets, Value::Counter32(sum.packets_in as u32));
    row.put(columns.packets + 1, Value::Counter32(sum.packets_out as u32));
    row.put(columns.packets + 2, Value::Counter64(sum.bytes_in));
    row.put(columns.packets + 3, Value::Counter64(sum.bytes_out));
    let rates =
        [sum.connection_rate, sum.packet_rate_in, sum.packet_rate_out, sum.byte_rate_in, sum.byte_rate_out];
    for (place, rate) in (0..).zip(rates) {
        row.gauge(columns.packets + 4 + place, rate);
        row.put(columns.wide + 3 + 2 * place, Value::Gauge32(rate as u32));
        row.put(columns.wide + 4 + 2 * place, Value::Gauge32((rate >> 32) as u32));
    }
    for (place, count) in (0..).zip([sum.connections, sum.packets_in, sum.packets_out]) {
        row.put(columns.wide + place, Value::Counter64(count));
    }
}

fn add(sum: &mut Statistics, more: &Statistics) {
    sum.connections += more.connections;
    sum.packets_in += more.packets_in;
    sum.packets_out += more.packets_out;
    sum.bytes_in += more.bytes_in;
    sum.bytes_out += more.bytes_out;
    sum.connection_rate += more.connection_rate;
    sum.packet_rate_in += more.packet_rate_in;
    sum.packet_rate_out += more.packet_rate_out;
    sum.byte_rate_in += more.byte_rate_in;
    sum.byte_rate_out += more.byte_rate_out;
}

fn virtual_server(build: &mut Build, view: &View<'_>, place: usize, pool: &Pool) {
    let (entry, index) = (keepalived(&VIRTUAL_SERVERS), [number(place)]);
    let mut row = build.row(&entry, &index);
    let server = pool.virtual_server();
    let defaults = &server.check_defaults;
    for (column, value) in identity(view.model, server) {
        row.put(column, value);
    }
    if !matches!(server.address, VirtualAddress::Socket(_)) {
        row.put(5, address_type(is_ipv4(view.model, server)));
    }
    row.integer(9, scheduler(server.scheduler));
    forwarding(&mut row, server.forwarding, [10, 68, 69, 70]);
    // It is there; whether it serves, its quorum says.
    row.integer(11, 1);
    row.maybe(12, defaults.virtual_host.as_deref().map(shown));
    row.truth(13, server.persistence_timeout.is_some());
    row.maybe(14, server.persistence_timeout.map(Value::Gauge32));
    if is_ipv4(view.model, server) {
        let length = server.persistence_granularity.unwrap_or(IPV4_BITS).min(IPV4_BITS);
        let mask = u32::MAX.checked_shl(u32::from(IPV4_BITS - length)).unwrap_or(0);
        row.address(15, Ipv4Addr::from_bits(mask).into());
    } else {
        row.gauge(51, server.persistence_granularity.unwrap_or(IPV6_BITS));
    }
    row.truth(17, server.ha_suspend);
    row.truth(18, server.alpha);
    row.truth(19, server.omega);
    row.gauge(20, server.real_servers.len());
    row.gauge(21, pool.count_alive());
    row.gauge(22, server.quorum);
    row.truth(23, pool.has_quorum());
    row.maybe(24, server.quorum_up.as_ref().map(script));
    row.maybe(25, server.quorum_down.as_ref().map(script));
    row.gauge(26, server.hysteresis);
    let mut sum = Statistics::default();
    let entries = pool.keys().iter().filter_map(|key| view.of_services.0.get(key));
    entries.for_each(|entry| add(&mut sum, &entry.service.statistics));
    statistics(&mut row, &OF_SERVICES, &sum);
    let flags = server.flags;
    row.truth(37, flags.one_packet);
    row.truth(52, flags.hashed);
    for (column, is_set) in
        [(53, flags.flag1), (54, flags.flag2), (55, flags.flag3), (62, flags.flag1), (63, flags.flag2)]
    {
        row.truth(column, is_set);
    }
    row.integer(56, if defaults.inhibit_on_failure { 2 } else { 1 });
    row.integer(60, server.weight.into());
    row.truth(61, server.smtp_alert);
    row.gauge(16, defaults.delay_loop.as_secs());
    retries(&mut row, defaults, [57, 58, 59]);
    row.gauge(64, micros(defaults.delay_loop));
    row.gauge(65, micros(defaults.delay_before_retry.unwrap_or_default()));
    row.gauge(66, micros(defaults.warmup.unwrap_or_default()));
    row.gauge(67, micros(defaults.connect_timeout));
    row.maybe(71, server.snmp_name.as_deref().map(shown));
}

/// Retries, seconds before them, seconds of the warm-up; what is not given is nought.
fn retries(row: &mut Row<'_>, defaults: &CheckDefaults, [retry, delay, warmup]: [u32; 3]) {
    row.gauge(retry, defaults.retry.unwrap_or(0));
    row.gauge(delay, defaults.delay_before_retry.unwrap_or_default().as_secs());
    row.gauge(warmup, defaults.warmup.unwrap_or_default().as_secs());
}

/// The sorry server first.
fn real_servers(build: &mut Build, view: &View<'_>, place: usize, pool: &Pool) {
    let entry = keepalived(&REAL_SERVERS);
    let server = pool.virtual_server();
    let mut places = (0..).map(|at| [number(place), number(at)]);
    if let Some(sorry) = server.sorry_server
        && let Some(index) = places.next()
    {
        let mut row = build.row(&entry, &index);
        let port = match (sorry.address.port(), server.address, sorry.forwarding) {
            // Only address translation changes it.
            (0, VirtualAddress::Socket(address), _)
            | (_, VirtualAddress::Socket(address), Forwarding::DirectRouting | Forwarding::Tunnel(_)) => {
                address.port()
            }
            (port, _, _) => port,
        };
        row.integer(2, 2);
        row.put(3, address_type(sorry.address.is_ipv4()));
        row.address(4, sorry.address.ip());
        row.gauge(5, port);
        forwarding(&mut row, sorry.forwarding, [40, 52, 53, 54]);
        counted(&mut row, view.of_servers, pool, |key| pool.sorry_key(key));
        // It has no checks.
        row.truth(42, false);
        row.truth(47, false);
        for column in (43..=46).chain(48..=51) {
            row.gauge(column, 0_u32);
        }
    }
    for (at, index) in (0..server.real_servers.len()).zip(places) {
        real_server(&mut build.row(&entry, &index), view, pool, at);
    }
}

fn real_server(row: &mut Row<'_>, view: &View<'_>, pool: &Pool, at: usize) {
    let real = &pool.virtual_server().real_servers[at];
    let defaults = &real.check_defaults;
    row.integer(2, 1);
    row.put(3, address_type(real.address.is_ipv4()));
    row.address(4, real.address.ip());
    row.gauge(5, pool.port_of(at));
    row.truth(6, pool.is_alive(at));
    row.integer(7, pool.weight(at).into());
    for (column, limit) in [(8, real.upper_threshold), (9, real.lower_threshold)] {
        row.maybe(column, (limit != 0).then_some(Value::Gauge32(limit)));
    }
    row.integer(10, if real.inhibit_on_failure { 2 } else { 1 });
    row.maybe(11, real.notify_up.as_ref().map(script));
    row.maybe(12, real.notify_down.as_ref().map(script));
    row.gauge(13, (0..real.checks.len()).filter(|check| !pool.is_passing(at, *check)).count());
    counted(row, view.of_servers, pool, |key| Some(pool.server_key(key, at)));
    forwarding(row, real.forwarding, [40, 52, 53, 54]);
    row.maybe(41, defaults.virtual_host.as_deref().map(shown));
    row.truth(42, real.alpha);
    retries(row, defaults, [43, 44, 45]);
    row.gauge(46, defaults.delay_loop.as_secs());
    row.truth(47, real.smtp_alert);
    row.gauge(48, micros(defaults.delay_before_retry.unwrap_or_default()));
    row.gauge(49, micros(defaults.warmup.unwrap_or_default()));
    row.gauge(50, micros(defaults.delay_loop));
    row.gauge(51, micros(defaults.connect_timeout));
    row.maybe(55, real.snmp_name.as_deref().map(shown));
}

/// Sums over all services of the virtual server: a group has several.
fn counted(row: &mut Row<'_>, table: &Table, pool: &Pool, at: impl Fn(&Key) -> Option<ServerKey>) {
    let find = |key: &Key| table.0.get(key)?.servers.get(&at(key)?);
    let rows: Vec<&Destination> = pool.keys().iter().filter_map(find).collect();
    let mut sum = Statistics::default();
    rows.iter().for_each(|one| add(&mut sum, &one.statistics));
    statistics(row, &OF_SERVERS, &sum);
    let total = |of: fn(&Destination) -> u32| rows.iter().map(|one| u64::from(of(one))).sum::<u64>();
    row.gauge(15, total(|one| one.active));
    row.gauge(16, total(|one| one.inactive));
    row.gauge(17, total(|one| one.persistent));
}

/// `lvs_sync_daemon`, which the process of VRRP runs.
fn sync_daemon(build: &mut Build, model: &Model) {
    let daemon = model.global.sync_daemon.as_ref();
    let mut put = |place, value: Option<Value>| build.scalar(keepalived(&[3, 6, place]), value);
    put(1, Some(Value::Integer(if daemon.is_some() { 1 } else { 2 })));
    put(2, daemon.map(|daemon| shown(&daemon.interface)));
    put(3, daemon.and_then(|daemon| daemon.instance.as_deref()).map(shown));
    // As the daemon itself takes it: that of its instance, where none is given.
    let id = daemon.and_then(|daemon| {
        let is_it = |name: &str| Some(name) == daemon.instance.as_deref();
        let instance = model.instances.iter().find(|instance| is_it(&instance.name));
        daemon.sync_id.or(instance.map(|instance| instance.virtual_router_id))
    });
    put(4, id.map(integer));
    put(5, daemon.map(|daemon| integer(daemon.length_max.unwrap_or(0))));
    put(6, daemon.map(|daemon| integer(daemon.port.unwrap_or(0))));
    put(7, daemon.map(|daemon| integer(daemon.ttl.unwrap_or(0))));
    let group = daemon.and_then(|daemon| daemon.group);
    put(8, group.map(|group| address_type(group.is_ipv4())));
    put(9, group.map(|group| Value::Octets(octets(group))));
}
