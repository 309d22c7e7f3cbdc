//! Whatever a server does, a conversation ends, on time, with a report that fits.

use checks::{
    Action, Conversation, Expect, HttpSend, LiteralOnly, Match, Outcome, Pattern, Recipe, RecipeKind,
    Ruleset, Send, Settings, StatusSet, Step, Text,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
enum Event {
    Accept,
    Fail,
    Bytes(Vec<u8>),
    End,
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Accept),
        1 => Just(Event::Fail),
        4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Event::Bytes),
        3 => prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.1 404 Not Found\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n", "\r\n", "3\r\nabc\r\n", "0\r\n\r\n", "+OK\r\n", "up 50%\n", "down # x\n",
        ])
        .prop_map(|text| Event::Bytes(text.as_bytes().to_vec())),
        1 => Just(Event::End),
        2 => (0u64..500).prop_map(Event::Wait),
    ]
}

fn recipe(kind: usize) -> Recipe {
    let expect = |test| Step::Expect(Box::new(Expect::new(test)));
    let send = |text: &str| Step::Send(Send { data: Text::literal(text), comment: None });
    match kind {
        0 => Recipe::connect_only(),
        1 => Recipe::agent(Some(b"hello\n")),
        2 => {
            let mut ruleset = Ruleset::new(RecipeKind::Http);
            ruleset.set_http_request(HttpSend::default());
            ruleset.push(expect(Match::Status(StatusSet::parse("200-299").unwrap()))).unwrap();
            ruleset.push(expect(Match::Regex(Pattern::new("a.c").unwrap()))).unwrap();
            ruleset.finish()
        }
        _ => {
            let mut ruleset = Ruleset::new(RecipeKind::Tcp);
            for step in [
                Step::Connect(Box::default()),
                expect(Match::String(b"+OK".to_vec())),
                send("PING"),
                expect(Match::BinaryRegex(Pattern::new("^2B").unwrap())),
                Step::Connect(Box::default()),
                send("QUIT"),
                expect(Match::Binary(b"OK".to_vec())),
            ] {
                ruleset.push(step).unwrap();
            }
            ruleset.finish()
        }
    }
}

fn play(recipe: Recipe, events: &[Event]) -> (Outcome, Duration) {
    let start = Instant::now();
    let mut now = start;
    let settings = Settings {
        interval: Duration::from_secs(2),
        connect_timeout: Some(Duration::from_millis(300)),
        check_timeout: Some(Duration::from_millis(400)),
        disable_on_404: true,
        receive_max: 64,
    };
    let mut conversation = Conversation::new(Arc::new(recipe), settings, now);
    let mut events = events.iter();
    for _ in 0..10_000 {
        match conversation.poll_action(now, &mut LiteralOnly) {
            Some(Action::Finish(outcome)) => {
                assert!(conversation.poll_action(now, &mut LiteralOnly).is_none());
                assert!(conversation.poll_timeout().is_none());
                return (outcome, now - start);
            }
            Some(Action::Send(_)) => conversation.handle_sent(now),
            Some(Action::Connect(_) | Action::Close { .. }) => {}
            None => match events.next() {
                Some(Event::Accept) => conversation.handle_connected(now),
                Some(Event::Fail) => conversation.handle_error(now, "Connection reset by peer"),
                Some(Event::Bytes(bytes)) => conversation.handle_bytes(bytes),
                Some(Event::End) => conversation.handle_eof(),
                Some(Event::Wait(millis)) => {
                    let deadline = conversation.poll_timeout().expect("what runs has a deadline");
                    now = (now + Duration::from_millis(*millis)).min(deadline);
                    conversation.handle_timeout(now);
                }
                None => {
                    now = now.max(conversation.poll_timeout().expect("what runs has a deadline"));
                    conversation.handle_timeout(now);
                }
            },
        }
    }
    panic!("the conversation does not end");
}

proptest! {
    #[test]
    fn every_conversation_ends_in_time(kind in 0usize..4, events in prop::collection::vec(event(), 0..60)) {
        let connections = 2;
        let (outcome, took) = play(recipe(kind), &events);
        prop_assert!(outcome.description.len() <= 127);
        prop_assert!(took <= Duration::from_millis(700) * connections, "{took:?}");
        prop_assert_eq!(outcome.duration, took);
    }
}
