//! One section: its instances, who teaches this one, and the tasks that keep it connected.

use super::link::{self, Ended};
use super::{OpenSection, Surroundings, handshake};
use crate::net::{ConnectOptions, Stream, connect};
use crate::run::Stage;
use crate::state::Target;
use peers::{Greeting, Lesson, RECONNECT_AFTER, Resync, Session, SharedTable, Source, Status};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::Connector;
use tokio::sync::{Notify, watch};

/// What a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Rest after the other side took a session's place: both might do the same again and again otherwise.
const COLLISION_PAUSE_MS: (u64, u64) = (50, 2050);
/// Rest between two tables' changes and their way out: what comes together goes together.
const DISPATCH_PAUSE: Duration = Duration::from_millis(1);

/// One instance.
pub struct Peer {
    pub name: String,
    pub is_local: bool,
    pub target: Option<Target>,
    /// What connections to it speak.
    pub tls: Option<Arc<Connector>>,
    pub session: RefCell<Option<Active>>,
    pub lessons: RefCell<Vec<Lesson>>,
    pub last_status: Cell<&'static str>,
    pub last_handshake: Cell<Option<Instant>>,
    pub next_try: Cell<Option<Instant>>,
    pub counters: Counters,
    /// It could not teach all when it was asked: not again in this session.
    pub knows_not_all: Cell<bool>,
    /// Told when its session ends.
    pub idle: Notify,
}

/// What happened with one instance.
#[derive(Default)]
pub struct Counters {
    pub connections: Cell<u32>,
    pub silences: Cell<u32>,
    pub protocol_errors: Cell<u32>,
    pub collisions: Cell<u32>,
    pub heartbeats_sent: Cell<u32>,
    pub heartbeats_received: Cell<u32>,
}

pub fn bump(counter: &Cell<u32>) {
    counter.set(counter.get().wrapping_add(1));
}

/// A session in use.
pub struct Active {
    pub number: u64,
    pub session: Rc<RefCell<Session>>,
    /// Ends it.
    pub replaced: Rc<Notify>,
    /// Source and destination, when the other side connected.
    pub accepted_from: Option<String>,
}

pub struct Section {
    pub name: String,
    pub local: String,
    pub tables: Arc<[SharedTable]>,
    pub table_names: Vec<String>,
    pub resync: RefCell<Resync>,
    pub peers: Vec<Rc<Peer>>,
    /// `tune.peers.max-updates-at-once`.
    pub updates_max: usize,
    /// Told of changes in tables.
    changed: watch::Sender<()>,
    next_session: Cell<u64>,
    noticed: Arc<Notify>,
}

impl Section {
    pub fn new(around: &Surroundings, open: &OpenSection, replaces: bool) -> Section {
        let settings = &around.model.peers[open.index];
        let tables: Arc<[SharedTable]> = super::tables(around, &settings.name).into();
        let noticed = Arc::new(Notify::new());
        for shared in tables.iter() {
            let noticed = Arc::clone(&noticed);
            shared.table.on_change(move || noticed.notify_one());
        }
        let peers = settings.peers.iter().zip(&open.targets).enumerate().map(|(place, (peer, target))| {
            Rc::new(Peer {
                name: peer.name.clone(),
                is_local: peer.name == open.local,
                target: target.clone(),
                tls: around.tls.peer_connector(open.index, place),
                session: RefCell::default(),
                lessons: RefCell::default(),
                last_status: Cell::new("NONE"),
                last_handshake: Cell::default(),
                next_try: Cell::default(),
                counters: Counters::default(),
                knows_not_all: Cell::default(),
                idle: Notify::new(),
            })
        });
        Section {
            name: settings.name.clone(),
            local: open.local.clone(),
            table_names: around
                .model
                .tables
                .iter()
                .filter(|table| table.config.peers.as_deref() == Some(&*settings.name))
                .map(|table| table.name.clone())
                .collect(),
            tables,
            resync: RefCell::new(Resync::new(replaces, Instant::now())),
            peers: peers.collect(),
            updates_max: around.model.global.tune.peers_updates_max as usize,
            changed: watch::channel(()).0,
            next_session: Cell::new(1),
            noticed,
        }
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn own(&self) -> Option<&Rc<Peer>> {
        self.peers.iter().find(|peer| peer.is_local)
    }

    /// Makes a session with that instance, in the place of one that there may be.
    fn open_session(
        &self,
        peer: &Rc<Peer>,
        accepted_from: Option<String>,
    ) -> (u64, Rc<RefCell<Session>>, Rc<Notify>) {
        let now = Instant::now();
        if let Some(before) = peer.session.borrow_mut().take() {
            peer.counters.collisions.set(peer.counters.collisions.get().wrapping_add(1));
            before.replaced.notify_one();
            // Its lessons are on their way back only when its task has noticed; these are what it knew until now.
            *peer.lessons.borrow_mut() = before.session.borrow().lessons();
            self.forget_teacher(&before.session.borrow(), now);
        }
        let session = Session::new(Arc::clone(&self.tables), peer.lessons.borrow().clone(), now);
        let number = self.next_session.get();
        self.next_session.set(number + 1);
        let session = Rc::new(RefCell::new(session));
        let replaced = Rc::new(Notify::new());
        *peer.session.borrow_mut() = Some(Active {
            number,
            session: Rc::clone(&session),
            replaced: Rc::clone(&replaced),
            accepted_from,
        });
        peer.knows_not_all.set(false);
        peer.last_status.set("ESTA");
        peer.last_handshake.set(Some(now));
        (number, session, replaced)
    }

    fn forget_teacher(&self, session: &Session, now: Instant) {
        if session.is_learning() {
            self.resync.borrow_mut().lost(now);
        }
    }

    /// The session of that number is over, unless another took its place before.
    fn close_session(&self, peer: &Peer, number: u64) {
        let mut active = peer.session.borrow_mut();
        if active.as_ref().is_some_and(|active| active.number == number)
            && let Some(closed) = active.take()
        {
            let session = closed.session.borrow();
            self.forget_teacher(&session, Instant::now());
            *peer.lessons.borrow_mut() = session.lessons();
        }
    }

    /// Asks that instance for all it knows if that is due.
    pub fn ask_if_due(&self, peer: &Peer, session: &mut Session) {
        let source = if peer.is_local { Source::Local } else { Source::Remote };
        if !peer.knows_not_all.get() && self.resync.borrow_mut().assign(source) {
            session.request_resync();
        }
    }
}

/// Starts what keeps a section alive.
pub fn start(section: &Rc<Section>, stage: watch::Receiver<Stage>) {
    let dispatcher = Rc::clone(section);
    tokio::task::spawn_local(async move {
        loop {
            dispatcher.noticed.notified().await;
            // Taken before anybody looks: what changes from here on calls again.
            for shared in dispatcher.tables.iter() {
                shared.table.take_changed();
            }
            dispatcher.changed.send_replace(());
            tokio::time::sleep(DISPATCH_PAUSE).await;
        }
    });
    let learner = Rc::clone(section);
    tokio::task::spawn_local(async move {
        loop {
            let due = learner.resync.borrow().poll_timeout();
            match due {
                None if learner.resync.borrow().is_done() => return,
                None => tokio::time::sleep(HANDSHAKE_TIMEOUT).await,
                Some(due) => tokio::time::sleep_until(due.into()).await,
            }
            learner.resync.borrow_mut().handle_timeout(Instant::now());
            // Whoever is connected may be asked now.
            learner.changed.send_replace(());
        }
    });
    for peer in section.peers.iter().filter(|peer| !peer.is_local && peer.target.is_some()) {
        tokio::task::spawn_local(keep_connected(Rc::clone(section), Rc::clone(peer), stage.clone()));
    }
}

/// Connects to one instance whenever there is no session with it.
async fn keep_connected(section: Rc<Section>, peer: Rc<Peer>, mut stage: watch::Receiver<Stage>) {
    loop {
        while peer.session.borrow().is_some() {
            peer.idle.notified().await;
        }
        if let Some(wait) = peer.next_try.get().and_then(|at| at.checked_duration_since(Instant::now())) {
            tokio::time::sleep(wait).await;
            continue;
        }
        peer.next_try.set(Some(Instant::now() + RECONNECT_AFTER));
        peer.last_status.set("CONN");
        bump(&peer.counters.connections);
        let connected = tokio::time::timeout(HANDSHAKE_TIMEOUT, reach(&section, &peer, &peer.name)).await;
        if let Ok(Some((stream, received))) = connected {
            converse(&section, &peer, stream, received, None, &mut stage).await;
        }
        if *stage.borrow() != Stage::Running {
            return;
        }
    }
}

/// Connects and greets; `None`: it cannot be had now.
async fn reach(section: &Section, peer: &Peer, name: &str) -> Option<(Stream, Vec<u8>)> {
    let mut stream = connect(peer.target.as_ref()?, ConnectOptions::default()).await.ok()?;
    if let Some(connector) = &peer.tls {
        // Nobody agrees on a protocol here.
        let session = connector.connect(None, Some(&[])).ok()?;
        stream = handshake::encrypt(stream, session).await.ok()?;
    }
    peer.last_status.set("HSHK");
    let greeting = Greeting { to: name.to_owned(), from: section.local.clone(), process: std::process::id() };
    let (status, received) = handshake::greet(&mut stream, &greeting).await.ok()?;
    peer.last_status.set(match status {
        Status::Succeeded => return Some((stream, received)),
        Status::TryAgain => "RETR",
        Status::ProtocolError | Status::Other(_) => "PROT",
        Status::BadVersion => "VERS",
        Status::LocalMismatch => "NAME",
        Status::RemoteMismatch => "UNKN",
    });
    None
}

/// Somebody connected.
pub async fn welcome(
    section: Rc<Section>,
    stream: Stream,
    tls: Option<Arc<tls::Listener>>,
    from: rules::Peer,
    mut stage: watch::Receiver<Stage>,
) {
    let greeted = async {
        let mut stream = match tls {
            Some(listener) => {
                let config = listener.any().ok_or(io::ErrorKind::NotConnected)?;
                let session = tls::Session::server(config).map_err(io::Error::other)?;
                handshake::encrypt(stream, session).await?
            }
            None => stream,
        };
        let (greeting, received) = handshake::be_greeted(&mut stream).await?;
        io::Result::Ok((stream, greeting, received))
    };
    let greeted = tokio::time::timeout(HANDSHAKE_TIMEOUT, greeted).await;
    let Ok(Ok((mut stream, greeting, received))) = greeted else { return };
    let known = section.peers.iter().find(|peer| peer.name == greeting.from);
    let status = match known {
        _ if greeting.to != section.local => Status::LocalMismatch,
        None => Status::RemoteMismatch,
        Some(_) => Status::Succeeded,
    };
    if handshake::write(&mut stream, status.line().as_bytes()).await.is_err() {
        return;
    }
    let (Some(peer), Status::Succeeded) = (known, status) else { return };
    let collided = peer.session.borrow().is_some();
    if collided {
        peer.next_try.set(Some(Instant::now() + collision_pause()));
    }
    let from = match from {
        rules::Peer::Inet(address) => address.to_string(),
        rules::Peer::Unix => "unix".to_owned(),
    };
    converse(&section, peer, stream, received, Some(from), &mut stage).await;
}

fn collision_pause() -> Duration {
    use std::hash::{BuildHasher, Hasher};
    let (least, most) = COLLISION_PAUSE_MS;
    let draw = std::collections::hash_map::RandomState::new().build_hasher().finish();
    Duration::from_millis(least + draw % (most - least))
}

async fn converse(
    section: &Rc<Section>,
    peer: &Rc<Peer>,
    stream: Stream,
    received: Vec<u8>,
    accepted_from: Option<String>,
    stage: &mut watch::Receiver<Stage>,
) {
    let (number, session, replaced) = section.open_session(peer, accepted_from);
    section.ask_if_due(peer, &mut session.borrow_mut());
    let ended = tokio::select! {
        ended = link::run(section, peer, &session, stream, received) => ended,
        () = replaced.notified() => Ended::Replaced,
        _ = stage.wait_for(|stage| *stage != Stage::Running) => Ended::Stopped,
    };
    match ended {
        Ended::Silent => bump(&peer.counters.silences),
        Ended::Protocol => bump(&peer.counters.protocol_errors),
        Ended::Closed | Ended::Replaced | Ended::Stopped => {}
    }
    section.close_session(peer, number);
    peer.idle.notify_one();
}

/// Tells the process that took our place all we know. It listens where we did; when nobody does there is none.
pub async fn teach_successor(section: &Rc<Section>) {
    let Some(peer) = section.own().filter(|peer| peer.target.is_some()) else { return };
    if section.tables.is_empty() {
        return;
    }
    let reached = tokio::time::timeout(HANDSHAKE_TIMEOUT, reach(section, peer, &section.local)).await;
    let Ok(Some((stream, received))) = reached else { return };
    let session = Session::new(Arc::clone(&section.tables), Vec::new(), Instant::now());
    let session = Rc::new(RefCell::new(session));
    // It says itself when it has learned enough.
    link::teach(section, peer, &session, stream, received).await;
}
