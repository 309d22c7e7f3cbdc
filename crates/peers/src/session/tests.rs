use super::*;
use crate::definition::SharedTable;
use rules::StickTable;
use rules::stick_table::{StickTableConfig, TableAction};
use std::time::Duration;

const ALL: Limit = Limit { bytes: 1 << 20, updates: usize::MAX };

fn tables(now: Instant) -> Arc<[SharedTable]> {
    let words: Vec<&str> = "type integer size 10k expire 1h peers p store gpc0".split(' ').collect();
    let config = StickTableConfig::parse(&words, &mut Vec::new()).expect("a valid line");
    let table = Arc::new(StickTable::new(config, now));
    Arc::new([SharedTable { name: "t".into(), table }])
}

fn session(tables: &Arc<[SharedTable]>, now: Instant) -> Session {
    Session::new(Arc::clone(tables), Vec::new(), now)
}

fn set(tables: &[SharedTable], key: u32, count: u32, now: Instant) {
    let (key, count) = (key.to_string(), count.to_string());
    let words = ["key", &key, "data.gpc0", &count];
    tables[0].table.run_command(TableAction::Set, "t", &words, now, &mut Vec::new()).expect("an entry");
}

/// Key to count.
fn shown(tables: &[SharedTable], now: Instant) -> Vec<(u32, u32)> {
    let mut out = Vec::new();
    tables[0].table.run_command(TableAction::Show, "t", &[], now, &mut out).expect("a table is shown");
    let text = String::from_utf8(out).expect("ASCII");
    let number = |line: &str, name: &str| -> u32 {
        let rest = line.split(name).nth(1).expect("the field");
        rest.split(' ').next().and_then(|digits| digits.trim().parse().ok()).expect("a number")
    };
    let lines = text.lines().filter(|line| line.contains("key="));
    let mut entries: Vec<_> = lines.map(|line| (number(line, "key="), number(line, "gpc0="))).collect();
    entries.sort_unstable();
    entries
}

/// Takes what one has to say to the other; the bytes that went over.
fn tell(from: &mut Session, to: &mut Session, limit: Limit, now: Instant) -> usize {
    let mut bytes = Vec::new();
    from.produce(&mut bytes, limit, true, now);
    assert_eq!(to.receive(&bytes, now).expect("our own words"), bytes.len());
    bytes.len()
}

fn numbers(session: &Session) -> (u32, u32) {
    let view = session.views().next().expect("one table");
    (view.last_acknowledged, view.last_pushed)
}

#[test]
fn a_change_is_told_once_and_acknowledged() {
    let now = Instant::now();
    let (ours, theirs) = (tables(now), tables(now));
    let (mut one, mut other) = (session(&ours, now), session(&theirs, now));
    set(&ours, 7, 3, now);
    assert!(tell(&mut one, &mut other, ALL, now) > 0);
    assert_eq!(shown(&theirs, now), [(7, 3)]);
    assert_eq!(numbers(&one), (0, 1));
    tell(&mut other, &mut one, ALL, now);
    assert_eq!(numbers(&one), (1, 1));
    assert_eq!(tell(&mut one, &mut other, ALL, now), 0, "nothing is told twice");
    // What was learned is no change of the learner's own, to be told back.
    assert_eq!(tell(&mut other, &mut one, ALL, now), 0);
}

#[test]
fn what_was_not_acknowledged_is_told_again_in_the_next_session() {
    let now = Instant::now();
    let (ours, theirs) = (tables(now), tables(now));
    let (mut one, mut other) = (session(&ours, now), session(&theirs, now));
    set(&ours, 1, 1, now);
    tell(&mut one, &mut other, ALL, now);
    tell(&mut other, &mut one, ALL, now);
    set(&ours, 2, 2, now);
    // Sent, and lost with the connection.
    one.produce(&mut Vec::new(), ALL, true, now);
    let lessons = one.lessons();
    let mut next = Session::new(Arc::clone(&ours), lessons, now);
    let mut again = session(&theirs, now);
    tell(&mut next, &mut again, ALL, now);
    assert_eq!(shown(&theirs, now), [(1, 1), (2, 2)]);
    assert_eq!(numbers(&next).1, 1, "only the second one is told again");
}

#[test]
fn a_turn_tells_no_more_updates_than_it_may() {
    let now = Instant::now();
    let (ours, theirs) = (tables(now), tables(now));
    let (mut one, mut other) = (session(&ours, now), session(&theirs, now));
    for key in 0..25 {
        set(&ours, key, 1, now);
    }
    let limit = Limit { updates: 10, ..ALL };
    for expected in [10, 20, 25] {
        tell(&mut one, &mut other, limit, now);
        assert_eq!(shown(&theirs, now).len(), expected);
    }
    assert_eq!(tell(&mut one, &mut other, limit, now), 0);
}

#[test]
fn a_full_lesson_is_bounded_too_and_says_whether_it_was_full() {
    let now = Instant::now();
    for up_to_date in [true, false] {
        let (ours, theirs) = (tables(now), tables(now));
        for key in 0..30 {
            set(&ours, key, 5, now);
        }
        let (mut teacher, mut pupil) = (session(&ours, now), session(&theirs, now));
        pupil.request_resync();
        assert!(pupil.is_learning());
        tell(&mut pupil, &mut teacher, ALL, now);
        let limit = Limit { updates: 10, ..ALL };
        let mut turns = 0;
        let taught = loop {
            let mut bytes = Vec::new();
            teacher.produce(&mut bytes, limit, up_to_date, now);
            pupil.receive(&bytes, now).expect("our own lesson");
            turns += 1;
            if let Some(taught) = pupil.take_taught() {
                break taught;
            }
            assert!(turns < 10, "a lesson ends");
        };
        assert_eq!((taught, shown(&theirs, now).len()), (up_to_date, 30));
        assert!(turns >= 3, "{turns} turns");
        assert!(!pupil.is_learning());
        // The pupil says that it has learned: the teacher may go.
        tell(&mut pupil, &mut teacher, ALL, now);
        assert!(teacher.was_confirmed());
    }
}

#[test]
fn silence_is_filled_with_heartbeats_and_ends_the_session() {
    let now = Instant::now();
    let ours = tables(now);
    let mut one = session(&ours, now);
    let due = one.poll_timeout();
    assert_eq!(due, now + HEARTBEAT_INTERVAL);
    assert_eq!(one.handle_timeout(due - Duration::from_millis(1)), Ok(()));
    assert_eq!(one.counters.heartbeats_sent, 0);
    one.handle_timeout(due).expect("it may still speak");
    let mut bytes = Vec::new();
    one.produce(&mut bytes, ALL, true, due);
    assert_eq!((one.counters.heartbeats_sent, bytes.is_empty()), (1, false));
    assert_eq!(one.handle_timeout(now + DEAD_AFTER), Err(SessionError::Dead));
    // A word in time keeps it alive.
    let mut other = session(&tables(now), now);
    other.receive(&bytes, due).expect("a heartbeat");
    assert_eq!(other.counters.heartbeats_received, 1);
    assert_eq!(other.handle_timeout(now + DEAD_AFTER), Ok(()));
}

#[test]
fn updates_of_nothing_and_endless_messages_end_the_session() {
    let now = Instant::now();
    let ours = tables(now);
    let (mut one, mut other) = (session(&ours, now), session(&tables(now), now));
    set(&ours, 1, 1, now);
    let mut bytes = Vec::new();
    one.produce(&mut bytes, ALL, true, now);
    let mut definition = None;
    // The definition is the first message: without it nobody knows what the update is about.
    if let Front::Message { len, .. } = front(&bytes) {
        definition = Some(len);
    }
    let after = definition.expect("a whole message");
    assert_eq!(other.receive(&bytes[after..], now), Err(SessionError::Protocol));
    let mut other = session(&tables(now), now);
    let endless = [10, 128, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(other.receive(&endless, now), Err(SessionError::TooLong));
}

/// A change that only a lesson told of was taken for one that waits: the next change of the same entry was lost.
#[test]
fn what_changes_again_after_a_lesson_is_told() {
    let now = Instant::now();
    let (ours, theirs) = (tables(now), tables(now));
    let (mut teacher, mut pupil) = (session(&ours, now), session(&theirs, now));
    pupil.request_resync();
    tell(&mut pupil, &mut teacher, ALL, now);
    for key in 0..20 {
        set(&ours, key, 1, now);
    }
    let limit = Limit { updates: 7, ..ALL };
    tell(&mut teacher, &mut pupil, limit, now);
    for key in 0..20 {
        set(&ours, key, 2, now);
    }
    while tell(&mut teacher, &mut pupil, limit, now) > 0 {}
    assert_eq!(shown(&theirs, now), (0..20).map(|key| (key, 2)).collect::<Vec<_>>());
}
