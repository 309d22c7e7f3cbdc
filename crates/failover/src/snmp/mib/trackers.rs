//! What is tracked: scripts, files, processes and BFD sessions, and who tracks what with which weight.

use super::build::{Build, Row, number};
use super::keepalived;
use crate::office::dumps::{View, command_line};
use crate::office::scripts::{Course, Standing};
use agentx::Oid;
use keepalived_config::model::{ParameterMatch, Tracked, Tracking};

pub(super) fn trackers(build: &mut Build, view: &View<'_>) {
    scripts(build, view);
    files(build, view);
    sessions(build, view);
    processes(build, view);
    let instances = view.model.instances.iter().map(|one| &one.tracking);
    by_whom(build, view, instances, [4, 5, 12, 17, 20]);
    let groups = view.model.sync_groups.iter().map(|one| &one.tracking);
    by_whom(build, view, groups, [14, 15, 16, 19, 22]);
}

/// The tables of instances, or those of groups: interfaces, scripts, files, sessions, processes.
fn by_whom<'a>(
    build: &mut Build,
    view: &View<'_>,
    all: impl Iterator<Item = &'a Tracking>,
    tables: [u32; 5],
) {
    let entries = tables.map(|table| keepalived(&[2, table, 1]));
    let [interfaces, scripts, files, sessions, processes] = &entries;
    build.columns(interfaces, 1..=3);
    [scripts, files, sessions, processes].into_iter().for_each(|entry| build.columns(entry, 2..=4));
    let model = view.model;
    for (who, tracking) in all.enumerate() {
        let who = number(who);
        for (place, tracked) in tracking.interfaces.iter().enumerate() {
            // The MIB says the interface's index; keepalived counts, and dashboards know its names.
            put(&mut build.row(interfaces, &[who, number(place)]), 1, &tracked.what, tracked);
        }
        rows(build, scripts, who, &tracking.scripts, |id| &model.scripts[id.index()].name);
        rows(build, files, who, &tracking.files, |id| &model.track_files[id.index()].name);
        rows(build, sessions, who, &tracking.bfd, |id| &model.bfd_sessions[id.index()].name);
        rows(build, processes, who, &tracking.processes, |id| &model.track_processes[id.index()].name);
    }
}

fn rows<'a, T>(build: &mut Build, entry: &Oid, who: u32, all: &[Tracked<T>], name: impl Fn(&T) -> &'a str) {
    for (place, tracked) in all.iter().enumerate() {
        put(&mut build.row(entry, &[who, number(place)]), 2, name(&tracked.what), tracked);
    }
}

fn put<T>(row: &mut Row<'_>, first: u32, name: &str, tracked: &Tracked<T>) {
    row.text(first, name);
    row.integer(first + 1, i64::from(tracked.weight));
    row.truth(first + 2, tracked.reverse);
}

/// 1 not known yet, 2 bad, 3 good, 5 to be taken as bad until it has run.
fn result(course: &Course) -> i64 {
    match course.standing {
        Standing::Unknown => 1,
        Standing::Bad if course.script.init_fail && course.last.is_none() => 5,
        Standing::Bad => 2,
        Standing::Good => 3,
    }
}

fn scripts(build: &mut Build, view: &View<'_>) {
    let entry = keepalived(&[2, 9, 1]);
    build.columns(&entry, 2..=9);
    for (place, course) in view.courses.iter().enumerate() {
        let script = &course.script;
        let index = [number(place)];
        let mut row = build.row(&entry, &index);
        row.text(2, &script.name);
        row.text(3, &command_line(&script.command));
        row.integer(4, i64::try_from(script.interval.as_secs()).unwrap_or(i64::MAX));
        row.integer(5, i64::from(script.weight));
        row.integer(6, result(course));
        row.gauge(7, script.rise);
        row.gauge(8, script.fall);
        row.truth(9, script.reverse);
    }
}

fn files(build: &mut Build, view: &View<'_>) {
    let entry = keepalived(&[2, 13, 1]);
    build.columns(&entry, 2..=6);
    for (place, file) in view.model.track_files.iter().enumerate() {
        let index = [number(place)];
        let mut row = build.row(&entry, &index);
        row.text(2, &file.name);
        row.text(3, &file.path.to_string_lossy());
        row.integer(4, view.files.value(place));
        row.integer(5, i64::from(file.weight));
        row.truth(6, file.reverse);
    }
}

fn sessions(build: &mut Build, view: &View<'_>) {
    let entry = keepalived(&[2, 18, 1]);
    build.columns(&entry, 2..=5);
    for (place, session) in view.model.bfd_sessions.iter().enumerate() {
        let index = [number(place)];
        let mut row = build.row(&entry, &index);
        row.text(2, &session.name);
        row.integer(3, i64::from(view.snapshot.bfd.get(place) == Some(&true)));
        row.integer(4, i64::from(session.weight));
        row.truth(5, session.reverse);
    }
}

fn processes(build: &mut Build, view: &View<'_>) {
    let entry = keepalived(&[2, 21, 1]);
    build.columns(&entry, 2..=14);
    for (place, tracked) in view.processes.iter().enumerate() {
        let wanted = &tracked.wanted;
        let index = [number(place)];
        let mut row = build.row(&entry, &index);
        row.text(2, &wanted.name);
        let (program, parameters) =
            wanted.process.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        row.text(3, program);
        row.text(4, &parameters.join(" "));
        row.integer(
            5,
            match wanted.parameters {
                ParameterMatch::Ignored => 0,
                ParameterMatch::Exact => 1,
                ParameterMatch::Partial => 2,
                ParameterMatch::Initial => 3,
            },
        );
        row.integer(6, i64::from(wanted.weight));
        row.truth(7, wanted.reverse);
        row.gauge(8, wanted.quorum);
        row.integer(9, wanted.quorum_max.map_or(-1, i64::from));
        // Microseconds.
        row.gauge(10, wanted.fork_delay.as_micros());
        row.gauge(11, wanted.terminate_delay.as_micros());
        row.truth(12, wanted.full_command || wanted.parameters != ParameterMatch::Ignored);
        row.integer(13, i64::from(tracked.count));
        row.truth(14, tracked.is_good == Some(true));
    }
}
