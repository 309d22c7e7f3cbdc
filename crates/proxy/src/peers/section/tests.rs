//! Two instances on sockets of this machine, in one runtime.

use super::*;
use crate::state::State;
use rules::log_format::Zone;
use rules::stick_table::TableAction;
use std::net::SocketAddr;
use tls::Tls;
use tokio::net::TcpListener;

/// The longest that anything single takes.
const PATIENCE: Duration = Duration::from_secs(10);

struct Node {
    section: Rc<Section>,
    /// Ends it.
    stage: watch::Sender<Stage>,
}

impl Node {
    /// The instance of that name, with the addresses of `a` and of `b`. `replaces`: another process was it before.
    fn new(name: &str, addresses: [SocketAddr; 2], replaces: bool) -> Node {
        let text = format!(
            "peers p\n peer a {}\n peer b {}\n table t type integer size 1k store gpc0\n",
            addresses[0], addresses[1]
        );
        let mut options = haproxy_config::LoadOptions::new(Vec::new());
        options.local_peer = Some(name.to_owned());
        let loaded = haproxy_config::load_text(&options, "test.cfg", &text);
        let model = Arc::new(loaded.model.expect("a valid configuration"));
        let state = State::new(Arc::clone(&model), 1, 10, 0);
        let around = Surroundings {
            tls: Arc::new(Tls::load(&model).0),
            model,
            tables: state.tables.clone(),
            clock: Arc::clone(&state.clock),
            zone: Zone::utc(),
        };
        let targets = addresses.map(|address| Some(Target::Inet(address))).into();
        let open = OpenSection { index: 0, local: name.to_owned(), listeners: Vec::new(), targets };
        Node {
            section: Rc::new(Section::new(&around, &open, replaces)),
            stage: watch::channel(Stage::Running).0,
        }
    }

    /// Takes whoever connects.
    fn listen(&self, listener: TcpListener) {
        let (section, stage) = (Rc::clone(&self.section), self.stage.subscribe());
        tokio::task::spawn_local(async move {
            loop {
                let (stream, from) = listener.accept().await.expect("a connection");
                let from = rules::Peer::Inet(from);
                let (section, stage) = (Rc::clone(&section), stage.clone());
                tokio::task::spawn_local(welcome(section, Stream::Tcp(stream), None, from, stage));
            }
        });
    }

    fn start(&self) {
        start(&self.section, self.stage.subscribe());
    }

    fn set(&self, key: u32, count: u32) {
        let (key, count) = (key.to_string(), count.to_string());
        let words = ["key", &key, "data.gpc0", &count];
        let table = &self.section.tables[0].table;
        table.run_command(TableAction::Set, "t", &words, Instant::now(), &mut Vec::new()).expect("an entry");
    }

    fn knows(&self, key: u32, count: u32) -> bool {
        let mut out = Vec::new();
        let table = &self.section.tables[0].table;
        table.run_command(TableAction::Show, "t", &[], Instant::now(), &mut out).expect("a table is shown");
        let text = String::from_utf8(out).expect("ASCII");
        let (key, count) = (format!("key={key} "), format!("gpc0={count}"));
        text.lines().any(|line| line.contains(&key) && line.split(' ').any(|word| word == count))
    }

    /// What it has of the other instance.
    fn peer(&self, name: &str) -> &Rc<Peer> {
        self.section.peers.iter().find(|peer| peer.name == name).expect("an instance of the section")
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Two instances, `a` and `b`, and what they listen on.
async fn pair() -> ([Node; 2], [TcpListener; 2]) {
    let listeners = [listener().await, listener().await];
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().expect("bound"));
    (["a", "b"].map(|name| Node::new(name, addresses, false)), listeners)
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

async fn in_tasks(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn both_connect_and_one_session_remains_that_loses_nothing() {
    in_tasks(async {
        let ([one, other], [first, second]) = pair().await;
        one.set(1, 7);
        one.listen(first);
        other.listen(second);
        // Both at once: each may take the place of the other's session.
        one.start();
        other.start();
        until("what was known before is told", || other.knows(1, 7)).await;
        for key in 10..60 {
            one.set(key, key);
            other.set(100 + key, key);
        }
        until("all is told one way", || (10..60).all(|key| other.knows(key, key))).await;
        until("all is told the other way", || (10..60).all(|key| one.knows(100 + key, key))).await;
        assert_eq!((one.peer("b").last_status.get(), other.peer("a").last_status.get()), ("ESTA", "ESTA"));
    })
    .await;
}

#[tokio::test]
async fn what_changes_while_the_other_one_is_away_is_told_when_it_is_back() {
    in_tasks(async {
        let ([one, other], [first, second]) = pair().await;
        one.listen(first);
        other.listen(second);
        one.start();
        until("a session", || one.peer("b").session.borrow().is_some()).await;
        one.set(1, 1);
        until("a change is told", || other.knows(1, 1)).await;
        // The other end lets its session go.
        let active = other.peer("a").session.borrow().as_ref().map(|active| Rc::clone(&active.replaced));
        active.expect("a session").notify_one();
        until("the session is over", || one.peer("b").session.borrow().is_none()).await;
        one.set(1, 2);
        one.set(2, 1);
        // Whoever connects next finds out.
        one.peer("b").next_try.set(None);
        one.peer("b").idle.notify_one();
        until("the change meanwhile is told", || other.knows(1, 2) && other.knows(2, 1)).await;
        assert!(one.peer("b").counters.connections.get() >= 2);
    })
    .await;
}

#[tokio::test]
async fn strangers_and_wrong_names_are_told_why() {
    in_tasks(async {
        let ([one, _other], [first, _second]) = pair().await;
        let address = first.local_addr().expect("bound");
        one.listen(first);
        for (to, from, expected) in [("a", "nobody", "504"), ("wrong", "b", "503"), ("a", "b", "200")] {
            let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
            let mut stream = Stream::Tcp(stream);
            let greeting = Greeting { to: to.to_owned(), from: from.to_owned(), process: 1 };
            handshake::write(&mut stream, greeting.to_string().as_bytes()).await.expect("it reads");
            let mut received = Vec::new();
            while received.len() < 3 {
                handshake::read(&mut stream, &mut received).await.expect("an answer");
            }
            assert_eq!(String::from_utf8_lossy(&received[..3]), expected, "{from} to {to}");
        }
    })
    .await;
}

/// The end of a process: whoever took its place learns all it knew.
#[tokio::test]
async fn the_successor_is_taught() {
    in_tasks(async {
        let listener = listener().await;
        let address = listener.local_addr().expect("bound");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let [before, after] = [false, true].map(|replaces| Node::new("a", [address, nowhere], replaces));
        for key in 0..500 {
            before.set(key, 3);
        }
        after.listen(listener);
        tokio::time::timeout(PATIENCE, teach_successor(&before.section)).await.expect("it ends by itself");
        assert!((0..500).all(|key| after.knows(key, 3)));
    })
    .await;
}
