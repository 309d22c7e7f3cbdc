//! `peers` sections: stick tables exchanged with other instances. A thread of their own, so that a full lesson of a large
//! table delays nobody; the protocol itself is crate `peers`.
//!
//! ```text
//!  workers ─ change ─► StickTable::on_change ─► dispatch ─► every link of the section
//!  listener ─► handshake ─┐
//!  connector ─► handshake ┴► link: Session ⇄ socket        one at most for each instance, the latest wins
//! ```

mod handshake;
mod link;
mod report;
mod section;

use crate::handover::{Handover, Place};
use crate::listen::{self, ListenOptions};
use crate::net::Namespaces;
use crate::run::Stage;
use crate::state::{Clock, Target};
use crate::worker::{Listener, OpenListener, Shared};
use haproxy_config::Model;
use haproxy_config::model::{Address, Bind};
use parking_lot::Mutex;
use rules::log_format::Zone;
use section::Section;
use std::net::ToSocketAddrs;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tls::Tls;
use tokio::sync::{mpsc, oneshot, watch};

/// Questions of the runtime API that wait at most.
const QUESTIONS_MAX: usize = 16;
/// Rest after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What teaching the successor may take in all.
const LAST_LESSON_MAX: Duration = Duration::from_secs(30);

/// What `show peers` asks for.
pub struct Question {
    /// One section; `None`: all.
    pub section: Option<String>,
    pub with_dictionaries: bool,
    pub answer: oneshot::Sender<String>,
}

/// How other threads reach the peers.
pub struct Access {
    questions: mpsc::Sender<Question>,
    asked: Mutex<Option<mpsc::Receiver<Question>>>,
}

impl Default for Access {
    fn default() -> Access {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        Access { questions, asked: Mutex::new(Some(asked)) }
    }
}

impl Access {
    /// Asks; `None`: there is nobody to ask.
    pub async fn ask(&self, section: Option<String>, with_dictionaries: bool) -> Option<String> {
        let (answer, told) = oneshot::channel();
        self.questions.try_send(Question { section, with_dictionaries, answer }).ok()?;
        told.await.ok()
    }
}

/// What of the configuration they need. A reload inside the process leaves all of it as it is ([`differ`]), and no more
/// than this of the old configuration stays for them.
struct Surroundings {
    model: Arc<Model>,
    tables: Box<[Arc<rules::StickTable>]>,
    tls: Arc<Tls>,
    clock: Arc<Clock>,
    zone: Zone,
}

impl Surroundings {
    fn of(shared: &Shared) -> Surroundings {
        let state = &shared.state;
        Surroundings {
            model: Arc::clone(&state.model),
            tables: state.tables.clone(),
            tls: Arc::clone(&shared.tls),
            clock: Arc::clone(&state.clock),
            zone: shared.logs.zone.clone(),
        }
    }
}

/// Whether two configurations exchange different tables, or with others: the thread of the peers goes on as it began.
pub fn differ(one: &Model, other: &Model) -> bool {
    let sections = |model: &Model| -> Vec<String> {
        let bind = |bind: &Bind| format!("{} {:?}", listen::display(&bind.address), bind.tls);
        let section = |section: &haproxy_config::model::Peers| {
            let binds: Vec<_> = section.binds.iter().map(bind).collect();
            let (peers, tls) = (&section.peers, &section.default_tls);
            format!("{} {} {peers:?} {tls:?} {binds:?}", section.name, section.disabled)
        };
        model.peers.iter().map(section).collect()
    };
    let shared = |model: &Model| -> Vec<String> {
        let tables = model.tables.iter().filter(|table| table.config.peers.is_some());
        tables.map(|table| format!("{} {:?}", table.name, table.config)).collect()
    };
    local_name(one) != local_name(other) || sections(one) != sections(other) || shared(one) != shared(other)
}

/// One section with its sockets open.
pub struct OpenSection {
    /// Its position in the model.
    index: usize,
    local: String,
    /// With the place of its TLS: a `bind` line, or what is said for all.
    listeners: Vec<(OpenListener, Option<usize>)>,
    /// By the position in the section; `None`: has no address.
    targets: Vec<Option<Target>>,
}

/// This instance's name among peers.
pub fn local_name(model: &Model) -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    model.global.localpeer.clone().unwrap_or_else(host)
}

fn target(address: &Address) -> Result<Target, String> {
    match address {
        Address::Inet { ip, port } => Ok(Target::Inet((*ip, *port).into())),
        Address::Host { name, port } => (name.as_str(), *port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .map(Target::Inet)
            .ok_or_else(|| format!("could not resolve address '{name}'")),
        Address::Unix(path) => Ok(Target::Unix(path.clone())),
        Address::Abstract(name) => Ok(Target::Abstract(name.clone())),
        Address::Fd(_) => Err("a descriptor is no address of a peer".to_owned()),
    }
}

/// Opens the listeners of all sections in use, and looks up names, while that is permitted.
pub fn open(
    model: &Model,
    namespaces: &Namespaces,
    inherited: &mut Vec<(String, OwnedFd)>,
    handover: &Handover,
    errors: &mut Vec<String>,
) -> Vec<OpenSection> {
    let local = local_name(model);
    let mut open = Vec::new();
    for (index, section) in model.peers.iter().enumerate() {
        let Some(own) = section.peers.iter().find(|peer| peer.name == local) else { continue };
        if section.disabled {
            continue;
        }
        let mut complain = |error: String| errors.push(format!("peers section '{}': {error}", section.name));
        let mut binds = section.binds.clone();
        if let Some(address) = &own.address {
            binds.push(Bind::new(address.clone(), section.span));
        }
        let mut listeners = Vec::new();
        for (place, bind) in binds.iter().enumerate() {
            let place = (place < section.binds.len()).then_some(place);
            let name = listen::display(&bind.address);
            let adopted =
                inherited.extract_if(.., |(address, _)| *address == name).map(|(_, socket)| socket).collect();
            let options = ListenOptions { workers: 1, backlog: 64, ..ListenOptions::default() };
            match listen::open(bind, adopted, options, namespaces) {
                Ok(sockets) => {
                    sockets.iter().for_each(|socket| handover.keep(Place::Peers(index), bind, socket));
                    listeners.extend(sockets.into_iter().map(|socket| (socket, place)));
                }
                Err(error) => complain(error),
            }
        }
        let mut targets = Vec::new();
        for peer in &section.peers {
            targets.push(peer.address.as_ref().map(target).transpose().unwrap_or_else(|error| {
                complain(error);
                None
            }));
        }
        open.push(OpenSection { index, local: local.clone(), listeners, targets });
    }
    open
}

/// Starts the thread of the peers, if there are any; it ends when `stage` says so and the successor has been taught.
/// `replaces`: whether there may be a process that this one replaces.
pub fn spawn(
    shared: &Shared,
    sections: Vec<OpenSection>,
    replaces: bool,
    stage: watch::Receiver<Stage>,
) -> Option<JoinHandle<()>> {
    if sections.is_empty() {
        return None;
    }
    let asked = shared.peers.asked.lock().take()?;
    let around = Surroundings::of(shared);
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a thread can have an epoll descriptor");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, serve(around, sections, replaces, asked, stage));
    };
    match std::thread::Builder::new().name("peers".to_owned()).spawn(run) {
        Ok(thread) => Some(thread),
        Err(error) => {
            eprintln!("[ALERT] cannot start the thread of the peers: {error}");
            None
        }
    }
}

async fn serve(
    around: Surroundings,
    open: Vec<OpenSection>,
    replaces: bool,
    mut asked: mpsc::Receiver<Question>,
    mut stage: watch::Receiver<Stage>,
) {
    let mut sections = Vec::new();
    let mut accepting = Vec::new();
    for open in open {
        let section = Rc::new(Section::new(&around, &open, replaces));
        section::start(&section, stage.clone());
        for (listener, place) in open.listeners {
            let tls = around.tls.peer_listener(open.index, place);
            match listener.register() {
                Ok(listener) => {
                    let task = accept(Rc::clone(&section), listener, tls, stage.clone());
                    accepting.push(tokio::task::spawn_local(task));
                }
                Err(error) => eprintln!("[ALERT] cannot watch the listener of peers: {error}"),
            }
        }
        sections.push(section);
    }
    loop {
        tokio::select! {
            question = asked.recv() => if let Some(question) = question {
                let text = report::report(&around, &sections, &question);
                // Who asked may have left.
                let _ = question.answer.send(text);
            },
            changed = stage.changed() => {
                if changed.is_err() || *stage.borrow_and_update() != Stage::Running {
                    break;
                }
            }
        }
    }
    // From here on whoever connects to our address reaches the successor.
    for task in accepting {
        task.abort();
        // Its listener is closed once the task is gone.
        let _cancelled = task.await;
    }
    if *stage.borrow() == Stage::Stopped {
        return;
    }
    let lessons = async {
        for section in &sections {
            section::teach_successor(section).await;
        }
    };
    tokio::select! {
        () = lessons => {}
        () = tokio::time::sleep(LAST_LESSON_MAX) => {}
        () = stopped(&mut stage) => {}
    }
}

async fn stopped(stage: &mut watch::Receiver<Stage>) {
    let _ = stage.wait_for(|stage| *stage == Stage::Stopped).await;
}

async fn accept(
    section: Rc<Section>,
    listener: Listener,
    tls: Option<Arc<tls::Listener>>,
    stage: watch::Receiver<Stage>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let (section, tls) = (Rc::clone(&section), tls.clone());
                tokio::task::spawn_local(section::welcome(section, stream, tls, from, stage.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// The tables that a section shares, with their names among peers: those of proxies by the proxy's, its own after a slash.
fn tables(around: &Surroundings, section: &str) -> Vec<peers::SharedTable> {
    let own = |name: &str| name.strip_prefix(section).filter(|rest| rest.starts_with('/')).map(str::to_owned);
    let tables = around.model.tables.iter().zip(&around.tables);
    tables
        .filter(|(settings, _)| settings.config.peers.as_deref() == Some(section))
        .map(|(settings, table)| {
            let name = match settings.proxy {
                None => own(&settings.name),
                Some(_) => None,
            };
            peers::SharedTable {
                name: name.unwrap_or_else(|| settings.name.clone()),
                table: Arc::clone(table),
            }
        })
        .collect()
}
