//! VRRPV3-MIB (RFC 6527): virtual routers of either version, as keepalived shows them.

use super::build::{Build, octets};
use super::rfc_6527;
use super::rfc2787::{SUMS, hardware_address, master, routers, state};
use crate::office::dumps::View;
use crate::snapshot::InstanceSnapshot;
use agentx::Value;
use keepalived_config::model::{Accept, Family, Instance};
use std::time::Duration;
use vrrp::Counter;

/// Hundredths of a second; they go round after 497 days.
pub(super) fn ticks(time: Duration) -> u32 {
    (time.as_millis() / 10) as u32
}

pub(super) fn rfc6527(build: &mut Build, view: &View<'_>) {
    let entry = rfc_6527(&[1, 1, 1, 1]);
    let (told, counted) = (rfc_6527(&[1, 1, 2, 1]), rfc_6527(&[1, 2, 5, 1]));
    build.columns(&entry, 3..=13);
    build.columns(&told, [2]);
    build.columns(&counted, 1..=13);
    let mut sums = [0_u64; 3];
    for (interface, wanted, one) in routers(view) {
        let family = match wanted.family {
            Family::Ipv4 => 1,
            Family::Ipv6 => 2,
        };
        let index = [interface, u32::from(wanted.virtual_router_id), family];
        let mut row = build.row(&entry, &index);
        row.maybe(3, master(one).map(|master| Value::Octets(octets(master))));
        row.maybe(4, one.source.map(|source| Value::Octets(octets(source))));
        row.put(5, Value::Octets(hardware_address(view, one)));
        row.integer(6, state(one.state));
        row.gauge(7, wanted.priority);
        row.integer(8, i64::try_from(wanted.addresses.len()).unwrap_or(i64::MAX));
        row.integer(9, i64::try_from(wanted.advert_interval.as_millis() / 10).unwrap_or(i64::MAX));
        row.truth(10, wanted.preempt);
        row.truth(11, wanted.accept == Accept::Yes);
        row.put(12, Value::TimeTicks(ticks(one.up_for)));
        row.integer(13, 1);
        for told_one in &wanted.addresses {
            let mut index = index.to_vec();
            index.extend(octets(told_one.prefix.address).into_iter().map(u32::from));
            build.row(&told, &index).integer(2, 1);
        }
        statistics(build, &index, wanted, one);
        for (sum, counter) in sums.iter_mut().zip(SUMS) {
            *sum += one.statistics.get(counter);
        }
    }
    for (place, sum) in (1..).zip(sums) {
        build.scalar(rfc_6527(&[1, 2, place]), Some(Value::Counter64(sum)));
    }
    build.scalar(rfc_6527(&[1, 2, 4]), Some(Value::TimeTicks(0)));
}

fn statistics(build: &mut Build, index: &[u32], wanted: &Instance, one: &InstanceSnapshot) {
    let counted = rfc_6527(&[1, 2, 5, 1]);
    let mut row = build.row(&counted, index);
    let count = |counter| one.statistics.get(counter);
    row.put(1, Value::Counter32(count(Counter::BecameMaster) as u32));
    row.integer(2, one.master_reason.number());
    let counters = [
        (3, Counter::AdvertsReceived),
        (4, Counter::IntervalErrors),
        (5, Counter::TtlErrors),
        (7, Counter::PriorityZeroReceived),
        (8, Counter::PriorityZeroSent),
        (9, Counter::TypeErrors),
        (10, Counter::AddressListErrors),
        (11, Counter::LengthErrors),
    ];
    for (column, counter) in counters {
        row.put(column, Value::Counter64(count(counter)));
    }
    row.integer(6, one.protocol_error.number());
    row.put(12, Value::TimeTicks(0));
    row.gauge(13, wanted.advert_interval.as_millis());
}
