//! The peers protocol: a greeting or a session of its bytes, in pieces as a socket gives them.

use peers::{Greeting, GreetingError, Limit, Resync, Session, SharedTable, Source, Status};
use rules::stick_table::TableAction;
use rules::{StickTable, StickTableConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes made ready at once.
const OUTPUT_LEN_MAX: usize = 4096;
/// Few at once, so that turns end in the middle too.
const LIMIT: Limit = Limit { bytes: OUTPUT_LEN_MAX, updates: 50 };
/// How much more than that a message in its last place may be.
const MESSAGE_SLACK: usize = 4096;

const TABLES: [(&str, &str); 5] = [
    (
        "t_ip",
        "type ip size 10 expire 1m peers p store server_id,gpc0,conn_cur,http_req_rate(10s),bytes_in_cnt,server_key",
    ),
    ("t_str", "type string len 20 size 10 peers p store gpt(3),gpc(4),gpc_rate(2,5s)"),
    ("t_int", "type integer size 10 expire 1m peers p store gpc0,server_key"),
    ("t_bin", "type binary len 5 size 10 nopurge peers p store gpc0"),
    ("/own", "type ipv6 size 10 expire 1s peers p store gpt0,gpc1_rate(1s)"),
];

fn tables(epoch: Instant) -> Arc<[SharedTable]> {
    TABLES
        .iter()
        .map(|(name, line)| {
            let words: Vec<&str> = line.split(' ').collect();
            let config = StickTableConfig::parse(&words, &mut Vec::new()).expect("a valid line");
            SharedTable { name: (*name).to_owned(), table: Arc::new(StickTable::new(config, epoch)) }
        })
        .collect()
}

/// The first byte says how the rest is cut.
pub fn peers(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else { return };
    greeting(stream);
    let mut now = Instant::now();
    let tables = tables(now);
    let mut session = Session::new(Arc::clone(&tables), Vec::new(), now);
    let mut resync = Resync::new(false, now);
    assert!(resync.assign(Source::Remote));
    session.request_resync();
    let (mut received, mut told) = (Vec::new(), Vec::new());
    for piece in stream.chunks(usize::from(cut % 64) + 1) {
        received.extend_from_slice(piece);
        now += Duration::from_millis(u64::from(cut));
        let Ok(understood) = session.receive(&received, now) else { return };
        assert!(understood <= received.len());
        received.drain(..understood);
        if let Some(full) = session.take_taught() {
            resync.taught(full, now);
        }
        if session.handle_timeout(now).is_err() {
            return;
        }
        session.produce(&mut told, LIMIT, resync.is_done(), now);
        assert!(told.len() <= OUTPUT_LEN_MAX + MESSAGE_SLACK, "bounded output");
        told.clear();
    }
    for (shared, (name, _)) in tables.iter().zip(TABLES) {
        assert!(shared.table.used() <= 10, "a table never holds more than its size");
        let mut out = Vec::new();
        shared.table.run_command(TableAction::Show, name, &[], now, &mut out).expect("a table is shown");
    }
    teach_another(&tables, now);
}

/// What was learned can be taught: another instance ends with the same entries.
fn teach_another(learned: &Arc<[SharedTable]>, now: Instant) {
    let others = tables(now);
    let (mut teacher, mut pupil) = (
        Session::new(Arc::clone(learned), Vec::new(), now),
        Session::new(Arc::clone(&others), Vec::new(), now),
    );
    pupil.request_resync();
    let (mut to_teacher, mut to_pupil) = (Vec::new(), Vec::new());
    pupil.produce(&mut to_teacher, LIMIT, false, now);
    teacher.receive(&to_teacher, now).expect("our own request");
    for _ in 0..100 {
        to_pupil.clear();
        teacher.produce(&mut to_pupil, LIMIT, true, now);
        let understood = pupil.receive(&to_pupil, now).expect("our own lesson");
        assert_eq!(understood, to_pupil.len());
        if pupil.take_taught() == Some(true) {
            break;
        }
    }
    for (one, other) in learned.iter().zip(others.iter()) {
        // Entries without time left may go at once on the other side.
        if one.table.config().expire.is_none() {
            assert_eq!(one.table.used(), other.table.used(), "{}", one.name);
        }
    }
}

fn greeting(stream: &[u8]) {
    match Greeting::parse(stream) {
        Ok((greeting, len)) => {
            assert!(len <= stream.len());
            let text = greeting.to_string();
            let again = Greeting::parse(text.as_bytes());
            assert_eq!(again, Ok((greeting, text.len())));
        }
        Err(GreetingError::Incomplete | GreetingError::Refused(_)) => {}
    }
    if let Ok(Some((status, len))) = Status::parse(stream) {
        assert!(len <= stream.len());
        let _line = status.line();
    }
}
