//! `vrrpInstanceTable`.

use super::build::{Build, Row, address_type, number};
use super::keepalived;
use crate::office::dumps::{View, command_line, wanted_state};
use crate::snapshot::InstanceSnapshot;
use keepalived_config::model::{
    Accept, Authentication, Command, Instance, InstanceNotify, Transport, Version, WantedState,
};
use vrrp::{PRIORITY_OWNER, State};

/// `VrrpState`; 5 is shutdown, 6 deleted: those are told, and never shown.
pub fn state(state: State) -> i64 {
    match state {
        State::Initialize => 0,
        State::Backup => 1,
        State::Master => 2,
        State::Fault => 3,
    }
}

/// The state that the file asks for.
pub fn initial_state(instance: &Instance) -> i64 {
    state(match instance.state {
        // An owner is master whatever the file says.
        _ if instance.priority == PRIORITY_OWNER => State::Master,
        WantedState::Master => State::Master,
        WantedState::Backup => State::Backup,
    })
}

pub(super) fn command(row: &mut Row<'_>, column: u32, command: Option<&Command>) {
    if let Some(command) = command {
        row.text(column, &command_line(command));
    }
}

pub(super) fn has_programs(notify: &InstanceNotify) -> bool {
    let all = [
        &notify.master,
        &notify.backup,
        &notify.fault,
        &notify.stop,
        &notify.any,
        &notify.deleted,
        &notify.master_hears_lower,
    ];
    all.into_iter().any(Option::is_some)
}

pub(super) fn instances(build: &mut Build, view: &View<'_>) {
    let entry = keepalived(&[2, 3, 1]);
    build.columns(&entry, 2..=35);
    for (place, (wanted, one)) in view.model.instances.iter().zip(&view.snapshot.instances).enumerate() {
        let index = [number(place)];
        let mut row = build.row(&entry, &index);
        of_state(&mut row, wanted, one);
        of_configuration(&mut row, view, wanted);
        of_programs(&mut row, &wanted.notify);
    }
}

fn of_state(row: &mut Row<'_>, wanted: &Instance, one: &InstanceSnapshot) {
    row.text(2, &wanted.name);
    row.gauge(3, wanted.virtual_router_id);
    row.integer(4, state(one.state));
    row.integer(5, initial_state(wanted));
    row.integer(6, state(wanted_state(wanted, one)));
    row.integer(7, i64::from(wanted.priority));
    row.integer(8, i64::from(one.priority));
    row.truth(9, one.addresses_set);
    // Where it sends from: its own interface, if it has one.
    if let Some(interface) = one.own_interface.as_ref().or(wanted.interface.as_ref()) {
        row.text(10, interface);
    }
}

fn of_configuration(row: &mut Row<'_>, view: &View<'_>, wanted: &Instance) {
    row.truth(11, wanted.track_primary);
    match wanted.version {
        Version::V2 => row.gauge(12, wanted.advert_interval.as_secs()),
        // Hundredths of a second.
        Version::V3 => row.gauge(12, wanted.advert_interval.as_millis() / 10),
    }
    row.truth(13, wanted.preempt);
    row.gauge(14, wanted.preempt_delay.as_secs());
    row.integer(
        15,
        match &wanted.authentication {
            Authentication::None | Authentication::Hmac { .. } => 0,
            Authentication::Password(_) => 1,
            Authentication::Header(_) => 2,
        },
    );
    let daemon = view.model.global.sync_daemon.as_ref();
    let daemon = daemon.filter(|daemon| daemon.instance.as_ref() == Some(&wanted.name));
    let interface = daemon.map(|daemon| &daemon.interface).or(wanted.sync_daemon_interface.as_ref());
    row.truth(16, interface.is_some());
    if let Some(interface) = interface {
        row.text(17, interface);
    }
    if let Some(group) = wanted.sync_group {
        row.text(18, &view.model.sync_groups[group.index()].name);
    }
    row.gauge(19, wanted.garp.master_delay.as_secs());
    row.integer(
        27,
        match (wanted.version, wanted.accept) {
            // Version 2 has no such mode.
            (Version::V2, _) => 0,
            (Version::V3, Accept::Yes) => 1,
            (Version::V3, Accept::No) => 2,
        },
    );
    row.truth(28, wanted.promote_secondaries);
    let polled = &view.model.polled_interfaces;
    let is_polled = wanted.interface.as_ref().is_some_and(|name| polled.contains(name));
    row.truth(29, is_polled || view.model.global.poll_links);
    row.integer(
        30,
        match wanted.version {
            Version::V2 => 2,
            Version::V3 => 3,
        },
    );
    if let Transport::Multicast { group } = &wanted.transport {
        row.put(34, address_type(group.is_ipv4()));
        row.address(35, *group);
    }
}

fn of_programs(row: &mut Row<'_>, notify: &InstanceNotify) {
    row.truth(20, notify.smtp_alert);
    row.truth(21, has_programs(notify));
    command(row, 22, notify.master.as_ref());
    command(row, 23, notify.backup.as_ref());
    command(row, 24, notify.fault.as_ref());
    command(row, 25, notify.stop.as_ref());
    command(row, 26, notify.any.as_ref());
    command(row, 31, notify.master_hears_lower.as_ref());
    command(row, 32, notify.deleted.as_ref());
    row.truth(33, notify.deleted_event);
}
