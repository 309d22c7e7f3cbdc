//! `vrrpSyncGroupTable` and its members.

use super::build::{Build, number};
use super::{instances, keepalived};
use crate::office::dumps::View;

pub(super) fn groups(build: &mut Build, view: &View<'_>) {
    let (entry, members) = (keepalived(&[2, 1, 1]), keepalived(&[2, 2, 1]));
    build.columns(&entry, 2..=11);
    build.columns(&members, [2]);
    for (place, (group, (name, state))) in
        view.model.sync_groups.iter().zip(&view.snapshot.groups).enumerate()
    {
        let index = [number(place)];
        let mut row = build.row(&entry, &index);
        row.text(2, name);
        row.integer(3, instances::state(*state));
        let notify = &group.notify;
        row.truth(4, notify.smtp_alert);
        row.truth(5, instances::has_programs(notify));
        instances::command(&mut row, 6, notify.master.as_ref());
        instances::command(&mut row, 7, notify.backup.as_ref());
        instances::command(&mut row, 8, notify.fault.as_ref());
        instances::command(&mut row, 9, notify.any.as_ref());
        row.truth(10, group.tracking_weight);
        instances::command(&mut row, 11, notify.stop.as_ref());
        for (member, id) in group.members.iter().enumerate() {
            let index = [number(place), number(member)];
            build.row(&members, &index).text(2, &view.model.instances[id.index()].name);
        }
    }
}
