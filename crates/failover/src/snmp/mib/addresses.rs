//! `vrrpAddressTable`: static addresses as those of instance 0, then each instance's.

use super::build::{Build, Row, address_type, number};
use super::keepalived;
use crate::interfaces::Interfaces;
use crate::office::dumps::View;
use keepalived_config::model::Address;
use std::net::{IpAddr, Ipv4Addr};

/// `InetScopeType` of an `rt_scope`.
pub(super) fn scope(scope: u8) -> i64 {
    match scope {
        0 => 14,
        200 => 5,
        253 => 2,
        254 => 1,
        _ => 0,
    }
}

pub(super) fn addresses(build: &mut Build, view: &View<'_>) {
    let entry = keepalived(&[2, 6, 1]);
    build.columns(&entry, 2..=12);
    let interfaces = &view.snapshot.interfaces;
    for (place, address) in view.model.static_addresses.iter().enumerate() {
        let name = address.interface.as_deref();
        let there = name.and_then(|name| interfaces.by_name(name));
        let is_set = there.is_some_and(|there| there.find(address.prefix.address).is_some());
        let index = [0, number(place)];
        put(&mut build.row(&entry, &index), interfaces, address, name, is_set, false);
    }
    for (instance, (wanted, one)) in view.model.instances.iter().zip(&view.snapshot.instances).enumerate() {
        let own = one.own_interface.as_deref().or(one.interface.as_deref());
        let told = wanted.addresses.iter().map(|address| (address, true));
        let all = told.chain(wanted.excluded_addresses.iter().map(|address| (address, false)));
        for (place, (address, is_told)) in all.enumerate() {
            let name = address.interface.as_deref().or(own);
            let index = [number(instance), number(place)];
            put(&mut build.row(&entry, &index), interfaces, address, name, one.addresses_set, is_told);
        }
    }
}

fn put(
    row: &mut Row<'_>,
    interfaces: &Interfaces,
    address: &Address,
    interface: Option<&str>,
    is_set: bool,
    is_told: bool,
) {
    let own = address.prefix.address;
    row.put(2, address_type(own.is_ipv4()));
    row.address(3, own);
    if own.is_ipv4() {
        row.address(4, IpAddr::V4(address.broadcast.unwrap_or(Ipv4Addr::UNSPECIFIED)));
    }
    row.gauge(5, address.peer.map_or(address.prefix.length, |peer| peer.length));
    row.integer(6, scope(address.scope));
    if let Some(name) = interface {
        row.integer(7, interfaces.index_of(name).map_or(0, i64::from));
        row.text(8, name);
    }
    if let Some(label) = &address.label {
        row.text(9, label);
    }
    row.truth(10, is_set);
    row.truth(11, is_told);
    if let Some(peer) = address.peer {
        row.address(12, peer.address);
    }
}
