//! VRRP-MIB (RFC 2787): the virtual routers of version 2.

use super::build::{Build, octets, truth};
use super::rfc_2787;
use crate::office::dumps::View;
use crate::snapshot::InstanceSnapshot;
use agentx::Value;
use keepalived_config::model::{Authentication, Instance, Version};
use std::net::{IpAddr, Ipv4Addr};
use vrrp::{Counter, State};

/// `vrrpOperState`, and that of RFC 6527: initialize, backup, master.
pub(super) fn state(state: State) -> i64 {
    match state {
        State::Initialize | State::Fault => 1,
        State::Backup => 2,
        State::Master => 3,
    }
}

/// Where addresses are answered from: the macvlan's, or the interface's.
pub(super) fn hardware_address(view: &View<'_>, one: &InstanceSnapshot) -> Vec<u8> {
    let name = one.own_interface.as_deref().or(one.interface.as_deref());
    let interface = name.and_then(|name| view.snapshot.interfaces.by_name(name));
    interface.map(|interface| interface.link.address.clone()).unwrap_or_default()
}

/// Interface, wanted and found; one whose interface is not there has no row.
pub(super) fn routers<'a>(
    view: &'a View<'_>,
) -> impl Iterator<Item = (u32, &'a Instance, &'a InstanceSnapshot)> {
    view.model.instances.iter().zip(&view.snapshot.instances).filter_map(|(wanted, one)| {
        let name = one.interface.as_deref()?;
        Some((view.snapshot.interfaces.index_of(name)?, wanted, one))
    })
}

/// Who is master: itself, whom it heard, or nobody known.
pub(super) fn master(one: &InstanceSnapshot) -> Option<IpAddr> {
    if one.state == State::Master { one.source } else { one.master_address }
}

fn address(address: Option<IpAddr>) -> Value {
    match address {
        Some(IpAddr::V4(address)) => Value::IpAddress(address.octets()),
        Some(IpAddr::V6(_)) | None => Value::IpAddress(Ipv4Addr::UNSPECIFIED.octets()),
    }
}

pub(super) fn rfc2787(build: &mut Build, view: &View<'_>) {
    let snmp = &view.model.global.snmp;
    build.scalar(rfc_2787(&[1, 1]), Some(Value::Integer(2)));
    build.scalar(rfc_2787(&[1, 2]), Some(truth(snmp.traps)));
    let (entry, told, counted) = (rfc_2787(&[1, 3, 1]), rfc_2787(&[1, 4, 1]), rfc_2787(&[2, 4, 1]));
    build.columns(&entry, 2..=15);
    build.columns(&told, [2]);
    build.columns(&counted, 1..=12);
    let mut sums = [0_u64; 3];
    for (interface, wanted, one) in routers(view).filter(|(_, wanted, _)| wanted.version == Version::V2) {
        let index = [interface, u32::from(wanted.virtual_router_id)];
        let mut row = build.row(&entry, &index);
        row.put(2, Value::Octets(hardware_address(view, one)));
        row.integer(3, state(one.state));
        row.truth(4, true);
        row.integer(5, i64::from(wanted.priority));
        row.integer(6, i64::try_from(wanted.addresses.len()).unwrap_or(i64::MAX));
        row.put(7, address(master(one)));
        row.put(8, address(one.source));
        row.integer(
            9,
            match &wanted.authentication {
                Authentication::None | Authentication::Hmac { .. } => 1,
                Authentication::Password(_) => 2,
                Authentication::Header(_) => 3,
            },
        );
        row.integer(11, i64::try_from(wanted.advert_interval.as_secs()).unwrap_or(i64::MAX));
        row.truth(12, wanted.preempt);
        row.put(13, Value::TimeTicks(super::rfc6527::ticks(one.up_since)));
        row.integer(14, 1);
        row.integer(15, 1);
        for told_one in &wanted.addresses {
            let mut index = index.to_vec();
            index.extend(octets(told_one.prefix.address).into_iter().map(u32::from));
            build.row(&told, &index).integer(2, 1);
        }
        let mut row = build.row(&counted, &index);
        for (column, counter) in (1..).zip(COUNTERS) {
            // Counters go round.
            row.put(column, Value::Counter32(one.statistics.get(counter) as u32));
        }
        for (sum, counter) in sums.iter_mut().zip(SUMS) {
            *sum += one.statistics.get(counter);
        }
    }
    for (place, sum) in (1..).zip(sums) {
        build.scalar(rfc_2787(&[2, place]), Some(Value::Counter32(sum as u32)));
    }
}

/// Of all routers together.
pub(super) const SUMS: [Counter; 3] = [Counter::ChecksumErrors, Counter::VersionErrors, Counter::VridErrors];

const COUNTERS: [Counter; 12] = [
    Counter::BecameMaster,
    Counter::AdvertsReceived,
    Counter::IntervalErrors,
    Counter::AuthFailures,
    Counter::TtlErrors,
    Counter::PriorityZeroReceived,
    Counter::PriorityZeroSent,
    Counter::TypeErrors,
    Counter::AddressListErrors,
    Counter::AuthTypeErrors,
    Counter::AuthTypeMismatches,
    Counter::LengthErrors,
];
