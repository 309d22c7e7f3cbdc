//! The session, with a master played by the test under a time of its own.

use agentx::{
    ANSWER_TIMEOUT, Binding, Event, Message, NOTIFICATION_AGE_MAX, NOTIFICATIONS_MAX, Oid, Order,
    PING_INTERVAL, Pdu, REQUESTS_MAX, RETRY_MAX, RETRY_MIN, SearchRange, Session, Settings, Tree, Value,
    error,
};
use std::time::{Duration, Instant};

fn base() -> Oid {
    Oid::new(&[1, 3, 6, 1, 4, 1, 9586, 100, 5])
}

fn tree() -> Tree {
    let object = |sub_id| base().with(&[sub_id]);
    let mut instances = Vec::new();
    for column in 1..=2 {
        for row in [3, 1, 2] {
            let number = i32::try_from(column * 10 + row).expect("small");
            instances.push(Binding::new(object(column).with(&[row]), Value::Integer(number)));
        }
    }
    Tree::new(vec![object(1), object(2), object(3)], instances)
}

struct Lab {
    now: Instant,
    session: Session,
}

impl Lab {
    fn new() -> Self {
        let now = Instant::now();
        let settings = Settings {
            description: "a program".to_owned(),
            subtrees: vec![(base(), "what it shows".to_owned())],
        };
        Self { now, session: Session::new(settings, now) }
    }

    /// Connected, and taken by the master.
    fn open() -> Self {
        let mut lab = Self::new();
        assert!(lab.session.wants_connection(lab.now));
        assert!(!lab.session.wants_connection(lab.now));
        lab.session.handle_connected(lab.now);
        lab.answer_all(error::NONE);
        lab.answer_all(error::NONE);
        assert_eq!(lab.session.poll_event(), Some(Event::Connected));
        lab
    }

    fn sent(&mut self) -> Vec<Message> {
        let bytes = self.session.output().to_vec();
        self.session.wrote(bytes.len());
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let length = 20 + u32::from_be_bytes(rest[16..20].try_into().expect("four")) as usize;
            messages.push(Message::decode(&rest[..length]).expect("ours"));
            rest = &rest[length..];
        }
        messages
    }

    fn hear(&mut self, packet: u32, pdu: Pdu) {
        let message = Message { session: 9, transaction: 1, packet, context: Vec::new(), pdu };
        self.session.handle_input(self.now, &message.encode(Order::Little));
    }

    /// Answers what was sent, and returns it.
    fn answer_all(&mut self, error: u16) -> Vec<Pdu> {
        let sent = self.sent();
        for message in &sent {
            self.hear(message.packet, Pdu::Response { up_time: 0, error, index: 0, bindings: Vec::new() });
        }
        sent.into_iter().map(|message| message.pdu).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
    }

    fn asked(&mut self, pdu: Pdu) -> (u16, Vec<(String, Value)>) {
        self.hear(77, pdu);
        self.session.answer(self.now, &tree());
        let mut sent = self.sent();
        let Some(Message { packet: 77, pdu: Pdu::Response { error, bindings, .. }, .. }) = sent.pop() else {
            panic!("an answer to it");
        };
        let length = base().to_string().len() + 1;
        let short = |one: Binding| (one.name.to_string().split_off(length), one.value);
        (error, bindings.into_iter().map(short).collect())
    }
}

fn range(start: &[u32], include: bool, end: &[u32]) -> SearchRange {
    let end = if end.is_empty() { Oid::default() } else { base().with(end) };
    SearchRange { start: base().with(start), include, end }
}

fn pair(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

#[test]
fn it_opens_registers_and_pings() {
    let mut lab = Lab::new();
    assert!(lab.session.wants_connection(lab.now));
    lab.session.handle_connected(lab.now);
    let opened = lab.answer_all(error::NONE);
    assert!(matches!(&opened[..], [Pdu::Open { description, .. }] if description == b"a program"));
    let registered = lab.sent();
    assert!(registered.iter().all(|message| message.session == 9));
    assert!(matches!(&registered[0].pdu, Pdu::Register { subtree, priority: 127, .. } if *subtree == base()));
    assert!(matches!(&registered[1].pdu, Pdu::AddAgentCaps { id, .. } if *id == base()));
    lab = Lab::open();
    assert_eq!(lab.session.poll_timeout(), Some(lab.now + PING_INTERVAL));
    lab.pass(PING_INTERVAL);
    assert_eq!(lab.answer_all(error::NONE), [Pdu::Ping]);
    assert!(lab.session.holds_connection());
}

#[test]
fn names_are_answered_with_values_or_why_there_is_none() {
    let mut lab = Lab::open();
    let name = |name: &[u32]| range(name, true, &[]);
    let (error, answers) =
        lab.asked(Pdu::Get(vec![name(&[1, 2]), name(&[1, 9]), name(&[3, 1]), name(&[4, 1])]));
    assert_eq!(error, error::NONE);
    let expected = [
        pair("1.2", Value::Integer(12)),
        pair("1.9", Value::NoSuchInstance),
        pair("3.1", Value::NoSuchInstance),
        pair("4.1", Value::NoSuchObject),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn the_next_one_is_found_within_its_range() {
    let mut lab = Lab::open();
    let ranges = vec![
        range(&[1], false, &[]),
        range(&[1, 2], false, &[]),
        range(&[1, 2], true, &[]),
        range(&[1, 3], false, &[]),
        range(&[1, 3], false, &[2]),
        range(&[2, 3], false, &[]),
    ];
    let (_, answers) = lab.asked(Pdu::GetNext(ranges));
    let expected = [
        pair("1.1", Value::Integer(11)),
        pair("1.3", Value::Integer(13)),
        pair("1.2", Value::Integer(12)),
        pair("2.1", Value::Integer(21)),
        pair("1.3", Value::EndOfMibView),
        pair("2.3", Value::EndOfMibView),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn many_at_once_go_on_to_the_end_and_stay_within_bounds() {
    let mut lab = Lab::open();
    let ranges = vec![range(&[1], false, &[]), range(&[1], false, &[2]), range(&[2, 2], false, &[])];
    let bulk = |repetitions_max| Pdu::GetBulk { non_repeaters: 1, repetitions_max, ranges: ranges.clone() };
    let (_, answers) = lab.asked(bulk(2));
    let names: Vec<&str> = answers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["1.1", "1.1", "2.3", "1.2", "2.3"]);
    assert_eq!(answers[4].1, Value::EndOfMibView);
    // Five rounds, and the one in which everything is at its end.
    let (error, answers) = lab.asked(bulk(u16::MAX));
    assert_eq!((error, answers.len()), (error::NONE, 1 + 2 * 4));
    // More names than fit an answer.
    let (error, answers) = lab.asked(Pdu::Get(vec![range(&[1, 1], true, &[]); 5000]));
    assert_eq!((error, answers.len()), (error::TOO_BIG, 0));
}

#[test]
fn writes_are_refused_and_cleaning_up_has_no_answer() {
    let mut lab = Lab::open();
    let wanted = vec![Binding::new(base().with(&[1, 1]), Value::Integer(1))];
    for (pdu, expected) in [
        (Pdu::TestSet(wanted), error::NOT_WRITABLE),
        (Pdu::CommitSet, error::COMMIT_FAILED),
        (Pdu::UndoSet, error::UNDO_FAILED),
    ] {
        assert_eq!(lab.asked(pdu).0, expected);
    }
    lab.hear(78, Pdu::CleanupSet);
    assert!(lab.sent().is_empty());
}

#[test]
fn a_silent_master_is_left_and_tried_again_ever_later() {
    let mut lab = Lab::open();
    lab.pass(PING_INTERVAL);
    lab.pass(ANSWER_TIMEOUT);
    assert_eq!(lab.session.poll_event(), Some(Event::Lost("the master does not answer".to_owned())));
    assert!(!lab.session.holds_connection() && lab.session.output().is_empty());
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let next = lab.session.poll_timeout().expect("it comes back");
        pauses.push(next - lab.now);
        lab.now = next;
        assert!(lab.session.wants_connection(lab.now));
        lab.session.handle_lost(lab.now, "refused");
    }
    let seconds = [1, 2, 4, 8, 15, 15].map(Duration::from_secs);
    assert_eq!((pauses, RETRY_MIN, RETRY_MAX), (seconds.to_vec(), seconds[0], seconds[5]));
}

#[test]
fn a_connection_that_hangs_is_given_up() {
    let mut lab = Lab::new();
    assert!(lab.session.wants_connection(lab.now));
    lab.pass(ANSWER_TIMEOUT);
    assert!(!lab.session.holds_connection());
}

#[test]
fn a_master_that_does_not_read_is_left() {
    let mut lab = Lab::open();
    for _ in 0..200 {
        let names = vec![range(&[1, 1], true, &[]); 1500];
        lab.hear(5, Pdu::Get(names));
        lab.session.answer(lab.now, &tree());
    }
    assert_eq!(lab.session.poll_event(), Some(Event::Lost("the master does not read".to_owned())));
    assert!(lab.session.output().is_empty());
}

#[test]
fn more_requests_than_wait_are_answered_with_an_error() {
    let mut lab = Lab::open();
    for _ in 0..=REQUESTS_MAX {
        lab.hear(5, Pdu::GetNext(vec![range(&[1], false, &[])]));
    }
    let errors = |lab: &mut Lab| -> Vec<u16> {
        let sent = lab.sent().into_iter();
        sent.map(|message| match message.pdu {
            Pdu::Response { error, .. } => error,
            other => panic!("{other:?}"),
        })
        .collect()
    };
    assert_eq!(errors(&mut lab), [error::GENERAL]);
    lab.session.answer(lab.now, &tree());
    assert_eq!(errors(&mut lab), [error::NONE; REQUESTS_MAX]);
}

#[test]
fn news_wait_for_a_session_but_not_for_long() {
    let mut lab = Lab::new();
    let news = |number| vec![Binding::new(base(), Value::Integer(number))];
    lab.session.notify(lab.now, news(0));
    lab.now += NOTIFICATION_AGE_MAX + Duration::from_millis(1);
    lab.session.notify(lab.now, news(1));
    assert!(lab.session.wants_connection(lab.now));
    lab.session.handle_connected(lab.now);
    lab.answer_all(error::NONE);
    let told: Vec<Pdu> = lab.sent().into_iter().map(|message| message.pdu).skip(2).collect();
    assert_eq!(told, [Pdu::Notify(news(1))]);
    assert_eq!(lab.session.poll_event(), Some(Event::Connected));
    assert_eq!(lab.session.poll_event(), Some(Event::NotificationsLost(1)));
    let mut lab = Lab::new();
    for _ in 0..NOTIFICATIONS_MAX + 3 {
        lab.session.notify(lab.now, news(2));
    }
    assert!(lab.session.wants_connection(lab.now));
    lab.session.handle_connected(lab.now);
    lab.answer_all(error::NONE);
    assert_eq!(lab.sent().len(), 2 + NOTIFICATIONS_MAX);
    assert_eq!(lab.session.poll_event(), Some(Event::Connected));
    assert_eq!(lab.session.poll_event(), Some(Event::NotificationsLost(3)));
}

#[test]
fn a_subtree_that_another_holds_is_asked_for_again() {
    let mut lab = Lab::new();
    assert!(lab.session.wants_connection(lab.now));
    lab.session.handle_connected(lab.now);
    lab.answer_all(error::NONE);
    lab.answer_all(error::DUPLICATE_REGISTRATION);
    assert_eq!(lab.session.poll_event(), Some(Event::Connected));
    let refused = Event::Refused { subtree: base(), error: error::DUPLICATE_REGISTRATION };
    assert_eq!(lab.session.poll_event(), Some(refused));
    lab.pass(PING_INTERVAL);
    assert!(matches!(
        lab.answer_all(error::NONE)[..],
        [Pdu::Register { .. }, Pdu::AddAgentCaps { .. }, Pdu::Ping]
    ));
    lab.pass(PING_INTERVAL);
    assert_eq!(lab.answer_all(error::NONE), [Pdu::Ping]);
}

#[test]
fn a_master_that_forgot_us_or_says_good_bye_or_nonsense_is_left() {
    let lost = |lab: &mut Lab| !lab.session.holds_connection();
    let mut lab = Lab::open();
    lab.pass(PING_INTERVAL);
    lab.answer_all(error::NOT_OPEN);
    assert!(lost(&mut lab));
    let mut lab = Lab::open();
    lab.hear(3, Pdu::Close { reason: 5 });
    assert!(lost(&mut lab));
    let mut lab = Lab::open();
    lab.session.handle_input(lab.now, &[7; 20]);
    assert!(lost(&mut lab));
    let mut lab = Lab::open();
    lab.hear(3, Pdu::Ping);
    assert!(lost(&mut lab));
}

#[test]
fn packets_may_come_in_any_pieces() {
    let mut lab = Lab::open();
    let get = Pdu::Get(vec![range(&[1, 1], true, &[])]);
    let message = Message { session: 9, transaction: 1, packet: 5, context: Vec::new(), pdu: get };
    let bytes = [message.encode(Order::Big), message.encode(Order::Little)].concat();
    for byte in bytes {
        lab.session.handle_input(lab.now, &[byte]);
    }
    lab.session.answer(lab.now, &tree());
    assert_eq!(lab.sent().len(), 2);
    lab.session.close(lab.now);
    assert_eq!(lab.sent().pop().expect("a packet").pdu, Pdu::Close { reason: 5 });
}
