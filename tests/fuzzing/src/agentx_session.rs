//! AgentX: packets, and a session whose master sends whatever it likes.

use agentx::{
    Binding, Message, OUTPUT_LENGTH_MAX, Oid, Order, PING_INTERVAL, Session, Settings, Tree, Value,
};
use std::time::Instant;

/// Rounds of a session: an input that goes on says nothing new.
const ROUNDS_MAX: usize = 64;

/// The bytes are one packet, and what a master writes after it took the session. A packet that is read can be written and
/// read again alike; the session answers, or ends, and keeps within its bounds.
pub fn agentx(bytes: &[u8]) {
    if let Ok(message) = Message::decode(bytes) {
        for order in [Order::Big, Order::Little] {
            assert_eq!(Message::decode(&message.encode(order)).as_ref(), Ok(&message));
        }
    }
    let mut now = Instant::now();
    let base = Oid::new(&[1, 3, 6, 1, 4, 1, 9586, 100, 5]);
    let instance = |last| Binding::new(base.with(&[1, last]), Value::Octets(vec![7; 300]));
    let tree = Tree::new(vec![base.with(&[1])], (0..40).map(instance).collect());
    let subtrees = vec![(base.clone(), "what it shows".to_owned())];
    let mut session = Session::new(Settings { description: "fuzz".to_owned(), subtrees }, now);
    assert!(session.wants_connection(now));
    session.handle_connected(now);
    let opened = [1, 18, 0x10, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    session.handle_input(now, &opened);
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    for piece in [first, rest].into_iter().cycle().take(ROUNDS_MAX) {
        session.handle_input(now, piece);
        if session.has_requests() {
            session.answer(now, &tree);
        }
        session.notify(now, vec![instance(1)]);
        assert!(session.output().len() <= OUTPUT_LENGTH_MAX);
        session.wrote(session.output().len() / 2);
        while session.poll_event().is_some() {}
        now += PING_INTERVAL / 16;
        session.handle_timeout(now);
        if session.wants_connection(now) {
            session.handle_connected(now);
        }
    }
}
