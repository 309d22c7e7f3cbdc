//! `vrrpRouteTable` and its next hops: static routes as those of instance 0, then each instance's.

use super::addresses::scope;
use super::build::{Build, Row, address_type, number};
use super::keepalived;
use crate::interfaces::Interfaces;
use crate::office::dumps::View;
use agentx::{Oid, Value};
use keepalived_config::model::{Destination, Family, Metric, NextHop, Route, RouteKind, RouteMetrics};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Eighths and quarters of a millisecond, as the kernel counts round trips and their variance.
const RTT_PER_MILLISECOND: u32 = 8;
const VARIANCE_PER_MILLISECOND: u32 = 4;

pub(super) fn routes(build: &mut Build, view: &View<'_>) {
    let (entry, hops) = (keepalived(&[2, 7, 1]), keepalived(&[2, 11, 1]));
    build.columns(&entry, 2..=55);
    build.columns(&hops, 2..=18);
    let interfaces = &view.snapshot.interfaces;
    for (place, route) in view.model.static_routes.iter().enumerate() {
        let is_set = view.statics.has_route(interfaces, route);
        put(build, (&entry, &hops), interfaces, route, [0, number(place)], is_set);
    }
    for (instance, (wanted, one)) in view.model.instances.iter().zip(&view.snapshot.instances).enumerate() {
        for (place, route) in wanted.routes.iter().enumerate() {
            let index = [number(instance), number(place)];
            put(build, (&entry, &hops), interfaces, route, index, one.addresses_set);
        }
    }
}

fn kind(route: &Route) -> i64 {
    match route.kind {
        _ if !route.next_hops.is_empty() => 2,
        RouteKind::Unicast | RouteKind::Local => 1,
        RouteKind::Blackhole => 3,
        RouteKind::Anycast => 4,
        RouteKind::Multicast => 5,
        RouteKind::Broadcast => 6,
        RouteKind::Unreachable => 7,
        RouteKind::Prohibit => 8,
        RouteKind::Throw => 9,
        RouteKind::Nat => 10,
    }
}

fn put(
    build: &mut Build,
    (entry, hops): (&Oid, &Oid),
    interfaces: &Interfaces,
    route: &Route,
    index: [u32; 2],
    is_set: bool,
) {
    let mut row = build.row(entry, &index);
    let (destination, length) = match (route.destination, route.family) {
        (Destination::Prefix(prefix), _) => (prefix.address, prefix.length),
        (Destination::Default, Family::Ipv4) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        (Destination::Default, Family::Ipv6) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    };
    row.put(2, address_type(destination.is_ipv4()));
    row.address(3, destination);
    row.gauge(4, length);
    for (column, address) in [(5, route.via), (7, route.preferred_source)] {
        if let Some(address) = address {
            row.address(column, address);
        }
    }
    row.gauge(8, route.metric.unwrap_or(0));
    row.integer(9, route.scope.map_or(14, scope));
    row.integer(10, kind(route));
    if let Some(name) = &route.interface {
        row.integer(11, interfaces.index_of(name).map_or(0, i64::from));
        row.text(12, name);
    }
    row.gauge(13, route.table);
    row.truth(14, is_set);
    if let Some(from) = route.from {
        row.address(15, from.address);
        row.gauge(16, from.length);
    }
    if route.tos != 0 {
        row.gauge(17, route.tos);
    }
    // Its enumeration begins at 1, the kernel's at 0.
    row.integer(18, i64::from(route.protocol) + 1);
    metrics(&mut row, &route.metrics);
    if let Some(seconds) = route.expires {
        row.integer(21, i64::from(seconds));
    }
    if let Some(preference) = route.preference {
        // 1 low, 2 medium, 3 high
        let shown = match preference {
            3 => 1,
            1 => 3,
            _ => 2,
        };
        row.integer(43, shown);
    }
    realms(&mut row, route.realms, (44, 45));
    for (place, hop) in route.next_hops.iter().enumerate() {
        let index = [index[0], index[1], number(place)];
        next_hop(&mut build.row(hops, &index), interfaces, hop, route.family);
    }
}

fn metrics(row: &mut Row<'_>, metrics: &RouteMetrics) {
    row.truth(19, metrics.ecn);
    row.truth(20, metrics.quick_ack == Some(true));
    let mut locked = |value: u32, lock: u32, metric: Option<Metric>, unit: u32| {
        if let Some(metric) = metric {
            row.gauge(value, metric.value / unit);
            row.truth(lock, metric.lock);
        }
    };
    locked(22, 23, metrics.mtu, 1);
    locked(25, 26, metrics.advertised_mss, 1);
    locked(27, 28, metrics.rtt, RTT_PER_MILLISECOND);
    locked(29, 30, metrics.rtt_variance, VARIANCE_PER_MILLISECOND);
    locked(31, 32, metrics.reordering, 1);
    locked(34, 35, metrics.congestion_window, 1);
    locked(36, 37, metrics.slow_start_threshold, 1);
    locked(38, 39, metrics.rto_min, 1);
    let plain = [
        (24, metrics.hop_limit),
        (33, metrics.window),
        (40, metrics.initial_congestion_window),
        (41, metrics.initial_receive_window),
    ];
    for (column, value) in plain {
        row.maybe(column, value.map(Value::Gauge32));
    }
    if let Some((name, _)) = &metrics.congestion_control {
        row.text(42, name);
    }
    if metrics.fastopen_no_cookie == Some(true) {
        row.truth(55, true);
    }
}

/// Destination and source of a pair of realms; 0 is none.
pub(super) fn realms(row: &mut Row<'_>, realms: Option<u32>, (to, from): (u32, u32)) {
    let pair = realms.unwrap_or(0);
    for (column, realm) in [(to, pair & 0xffff), (from, pair >> 16)] {
        if realm != 0 {
            row.gauge(column, realm);
        }
    }
}

fn next_hop(row: &mut Row<'_>, interfaces: &Interfaces, hop: &NextHop, family: Family) {
    row.put(2, address_type(hop.via.map_or(family == Family::Ipv4, |via| via.is_ipv4())));
    if let Some(via) = hop.via {
        row.address(3, via);
    }
    if let Some(name) = &hop.interface {
        row.integer(4, interfaces.index_of(name).map_or(0, i64::from));
        row.text(5, name);
    }
    if hop.weight > 1 {
        row.gauge(6, hop.weight);
    }
    row.truth(7, hop.onlink);
    realms(row, hop.realms, (8, 9));
}
