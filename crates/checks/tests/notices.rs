//! Log lines of state changes, against those recorded from haproxy 2.6.12.

use checks::{
    AdminCommand, AdminFlags, Cause, CheckStatus, Counts, Notice, Operational, Report, RiseFall, Standing,
    Subject, Turn, check_notice, no_server_notice,
};
use std::time::Duration;

const A: Subject<'_> = Subject { backend: "web", server: "a", is_backup: false };
const Z: Subject<'_> = Subject { backend: "web", server: "z", is_backup: true };
const T: Subject<'_> = Subject { backend: "t", server: "t", is_backup: false };

fn standing(operational: Operational) -> Standing {
    Standing { operational, admin: AdminFlags::default() }
}

fn counts(active: usize, backup: usize) -> Counts {
    Counts { active, backup, ..Counts::default() }
}

fn wrong_status() -> Cause<'static> {
    Cause::Check(Report {
        status: CheckStatus::L7Status,
        code: 500,
        description: "Oops",
        duration: Some(Duration::ZERO),
    })
}

fn lines(notices: Vec<Notice>) -> Vec<String> {
    // Facility local0 is 16, as in the recordings.
    notices.into_iter().map(|notice| format!("<{}>{}", 128 + notice.level, notice.text)).collect()
}

// row: 108
#[test]
fn a_server_that_fails_is_an_alert_with_its_reason() {
    let change = standing(Operational::Running).turn(Turn::Down, false);
    assert_eq!(
        lines(change.notices(A, wrong_status(), counts(1, 1), None)),
        [
            "<129>Server web/a is DOWN, reason: Layer7 wrong status, code: 500, info: \"Oops\", check duration: 0ms. \
          1 active and 1 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
        ]
    );
    let refused = Cause::Check(Report {
        status: CheckStatus::L4Connection,
        code: 0,
        description: "Connection refused",
        duration: Some(Duration::ZERO),
    });
    assert_eq!(
        lines(change.notices(A, refused, counts(0, 1), None)),
        ["<129>Server web/a is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", \
          check duration: 0ms. 0 active and 1 backup servers left. Running on backup. 0 sessions active, 0 requeued, \
          0 remaining in queue."]
    );
    let notice = no_server_notice("proxy", "web");
    assert_eq!(lines(vec![notice]), ["<128>proxy web has no server available!"]);
}

// row: 110
#[test]
fn a_backup_that_comes_back_says_that_it_carries_the_load() {
    let change = standing(Operational::Stopped).turn(Turn::Up, false);
    let passed = Cause::Check(Report {
        status: CheckStatus::L7Ok,
        code: 200,
        description: "",
        duration: Some(Duration::ZERO),
    });
    assert_eq!(
        lines(change.notices(Z, passed, counts(0, 1), None)),
        ["<133>Backup Server web/z is UP, reason: Layer7 check passed, code: 200, check duration: 0ms. \
          0 active and 1 backup servers online. Running on backup. 0 sessions requeued, 0 total in queue."]
    );
}

#[test]
fn a_stopping_server_that_fails_is_only_a_notice() {
    let mut server = standing(Operational::Running);
    let change = server.turn(Turn::Stopping, false);
    assert_eq!(
        lines(change.notices(A, Cause::Told, counts(1, 1), None)),
        ["<133>Server web/a is stopping. 1 active and 1 backup servers online. 0 sessions requeued, \
          0 total in queue."]
    );
    let change = server.turn(Turn::Down, false);
    assert!(
        lines(change.notices(A, Cause::Told, counts(1, 1), None))[0]
            .starts_with("<133>Server web/a is DOWN. 1 a")
    );
}

// row: 202
#[test]
fn maintenance_and_drain_are_told_as_recorded() {
    let mut server = standing(Operational::Running);
    let mut said = Vec::new();
    for (command, healthy) in [
        (AdminCommand::Maintenance, true),
        (AdminCommand::Ready, true),
        (AdminCommand::Drain, true),
        (AdminCommand::Drain, true),
        (AdminCommand::Ready, true),
        (AdminCommand::Maintenance, true),
        (AdminCommand::Drain, true),
        (AdminCommand::Ready, true),
    ] {
        let flags = server.admin.commanded(command);
        let change = server.administer(flags, healthy, false);
        said.extend(lines(change.notices(A, Cause::Plain, counts(1, 1), None)));
    }
    assert_eq!(
        said,
        [
            "<129>Server web/a is going DOWN for maintenance. 1 active and 1 backup servers left. \
             0 sessions active, 0 requeued, 0 remaining in queue.",
            "<133>Server web/a is UP/READY (leaving forced maintenance).",
            "<133>Server web/a enters drain state. 1 active and 1 backup servers online. 0 sessions requeued, \
             0 total in queue.",
            "<133>Server web/a is UP (leaving forced drain).",
            "<129>Server web/a is going DOWN for maintenance. 1 active and 1 backup servers left. \
             0 sessions active, 0 requeued, 0 remaining in queue.",
            "<133>Server web/a is UP/DRAIN (leaving forced maintenance).",
            "<133>Server web/a remains in forced drain mode.",
            "<133>Server web/a is UP (leaving forced drain).",
        ]
    );
}

#[test]
fn what_is_down_enters_maintenance_quietly() {
    let mut server = standing(Operational::Stopped);
    let flags = server.admin.commanded(AdminCommand::Maintenance);
    let change = server.administer(flags, false, false);
    assert_eq!(
        lines(change.notices(A, Cause::Plain, counts(1, 1), None)),
        ["<133>Server web/a was DOWN and now enters maintenance."]
    );
    let mut server = standing(Operational::Stopped);
    let change = server.administer(AdminFlags::FORCED_DRAIN, false, false);
    assert_eq!(
        lines(change.notices(A, Cause::Plain, counts(1, 1), None)),
        ["<133>Server web/a enters drain state. 1 active and 1 backup servers left. 0 sessions active, \
          0 requeued, 0 remaining in queue."]
    );
}

#[test]
fn a_tracking_server_follows_and_says_whom() {
    let mut server = standing(Operational::Running);
    let via = Cause::Via("web/a");
    let mut said = Vec::new();
    let mut apply = |flags: AdminFlags| {
        let change = server.administer(flags, true, false);
        said.extend(lines(change.notices(T, via, counts(2, 0), None)));
    };
    apply(AdminFlags::INHERITED_MAINT);
    apply(AdminFlags::INHERITED_MAINT.with(AdminFlags::FORCED_MAINT));
    apply(AdminFlags::INHERITED_MAINT);
    apply(AdminFlags::default());
    apply(AdminFlags::FORCED_DRAIN);
    apply(AdminFlags::FORCED_DRAIN.with(AdminFlags::INHERITED_DRAIN));
    apply(AdminFlags::INHERITED_DRAIN);
    apply(AdminFlags::default());
    assert_eq!(
        said,
        [
            "<129>Server t/t is going DOWN for maintenance via web/a. 2 active and 0 backup servers left. \
             0 sessions active, 0 requeued, 0 remaining in queue.",
            "<133>Server t/t is leaving forced maintenance but remains in maintenance via web/a.",
            "<133>Server t/t is UP/READY (leaving maintenance).",
            "<133>Server t/t enters drain state via web/a. 2 active and 0 backup servers online. \
             0 sessions requeued, 0 total in queue.",
            "<133>Server t/t remains in forced drain mode.",
            "<133>Server t/t is leaving forced drain but remains in drain mode via web/a.",
            "<133>Server t/t is UP (leaving forced drain).",
        ]
    );
}

#[test]
fn health_check_lines_carry_the_counter() {
    let mut counter = RiseFall::with_health(2, 3, 4);
    counter.fail();
    let report = Report {
        status: CheckStatus::L7Status,
        code: 500,
        description: "Oops",
        duration: Some(Duration::ZERO),
    };
    assert_eq!(
        check_notice(A, false, report, counter).text,
        "Health check for server web/a failed, reason: Layer7 wrong status, code: 500, info: \"Oops\", \
         check duration: 0ms, status: 2/3 UP."
    );
    let observed = Report {
        status: CheckStatus::Analyzed,
        code: 0,
        description: "Detected 3 consecutive errors, last one was: Wrong http response",
        duration: None,
    };
    assert_eq!(
        check_notice(Z, false, observed, counter).text,
        "Health check for backup server web/z failed, reason: Health analyze, info: \
         \"Detected 3 consecutive errors, last one was: Wrong http response\", status: 2/3 UP."
    );
}
