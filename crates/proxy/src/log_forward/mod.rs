//! `log-forward` sections: syslog messages received in datagrams and streams, and sent on to log targets. A thread of its own
//! beside the workers, so that a flood of messages delays no request.
//!
//! ```text
//!  dgram-bind ─► task ─────────────┐
//!  bind ─► task ─► client's task ──┴► Endpoint ─► Section ─► Received::parse ─► Targets::forward
//! ```
//! A reload leaves sockets that the new configuration has as well, and gives them its sections; clients that are connected go
//! on with them. A client of a line that is gone goes on as it began.

mod frame;
mod socket;
mod stream;

pub use socket::DATAGRAM_PREFIX;

use crate::handover::{Handover, Place};
use crate::listen::{self, ListenOptions};
use crate::net::Namespaces;
use crate::run::Stage;
use crate::state::is_same_socket;
use crate::syslog::{Received, Scratch};
use crate::worker::{Listener, OpenListener, Shared};
use haproxy_config::Model;
use haproxy_config::model::{Bind, LogForward};
use socket::{Datagrams, OpenDatagrams};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};

/// Connections that wait for the kernel's queue, where a section says nothing.
const BACKLOG_DEFAULT: u32 = 1024;
/// Rest after an accept or a read that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// Reloads that the thread has not followed yet; the next one waits.
const SUCCESSIONS_MAX: usize = 4;
/// How often the end of the last clients is looked for while the process stops.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A socket of one line, open.
pub enum OpenSocket {
    Stream(OpenListener),
    Datagrams(OpenDatagrams),
}

/// Sockets with their lines.
pub type Opened = Vec<(Place, OpenSocket)>;

/// Opens the sockets of all lines but those that `is_kept` says are open already.
pub fn open(
    model: &Model,
    namespaces: &Namespaces,
    inherited: &mut Vec<(String, OwnedFd)>,
    handover: &Handover,
    is_kept: impl Fn(Place) -> bool,
    errors: &mut Vec<String>,
) -> Opened {
    let mut opened = Vec::new();
    for (section, forward) in model.log_forwards.iter().enumerate() {
        for (is_datagram, index, bind) in forward.lines() {
            let place = Place::LogForward(section, is_datagram, index);
            if is_kept(place) {
                continue;
            }
            match open_line(is_datagram, bind, forward, namespaces, inherited) {
                Ok(socket) => {
                    match &socket {
                        OpenSocket::Stream(socket) => handover.keep(place, bind, socket),
                        OpenSocket::Datagrams(socket) => handover.keep(place, bind, socket),
                    }
                    opened.push((place, socket));
                }
                Err(error) => errors.push(format!("log-forward section `{}`: {error}", forward.name)),
            }
        }
    }
    opened
}

fn open_line(
    is_datagram: bool,
    bind: &Bind,
    forward: &LogForward,
    namespaces: &Namespaces,
    inherited: &mut Vec<(String, OwnedFd)>,
) -> Result<OpenSocket, String> {
    let name = listen::display(&bind.address);
    if is_datagram {
        let name = format!("{DATAGRAM_PREFIX}{name}");
        let adopted = inherited.iter().position(|(address, _)| *address == name);
        let adopted = adopted.map(|at| inherited.swap_remove(at).1);
        return socket::open(bind, adopted, namespaces).map(OpenSocket::Datagrams);
    }
    let adopted =
        inherited.extract_if(.., |(address, _)| *address == name).map(|(_, socket)| socket).take(1).collect();
    let backlog = forward.backlog.unwrap_or(BACKLOG_DEFAULT);
    let options = ListenOptions { workers: 1, backlog, ..ListenOptions::default() };
    let sockets = listen::open(bind, adopted, options, namespaces)?;
    let first = sockets.into_iter().next().ok_or("no socket was opened")?;
    Ok(OpenSocket::Stream(first))
}

/// Where each line of the new configuration was whose socket goes on: new place by old.
pub fn kept(old: &Model, new: &Model) -> HashMap<Place, Place> {
    let lines = |model: &Model| -> Vec<(Place, Bind)> {
        let of = |(section, forward): (usize, &LogForward)| -> Vec<(Place, Bind)> {
            let place = |(is_datagram, index, bind): (bool, u32, &Bind)| {
                (Place::LogForward(section, is_datagram, index), bind.clone())
            };
            forward.lines().map(place).collect()
        };
        model.log_forwards.iter().enumerate().flat_map(of).collect()
    };
    let is_datagram = |place: Place| matches!(place, Place::LogForward(_, true, _));
    let mut free = lines(old);
    let mut kept = HashMap::new();
    for (place, bind) in lines(new) {
        let fits = |(before, other): &(Place, Bind)| {
            is_datagram(*before) == is_datagram(place) && is_same_socket(other, &bind)
        };
        if let Some(at) = free.iter().position(fits) {
            kept.insert(free.swap_remove(at).0, place);
        }
    }
    kept
}

/// What a reload brings.
struct Succession {
    shared: Arc<Shared>,
    /// The place of each old line that goes on.
    places: Arc<HashMap<Place, Place>>,
    opened: Opened,
}

/// The thread, once there is something to forward.
pub struct Forwarding {
    stage: watch::Sender<Stage>,
    thread: Option<(JoinHandle<()>, mpsc::Sender<Succession>)>,
}

impl Forwarding {
    pub fn start(shared: &Arc<Shared>, opened: Opened, stage: &watch::Sender<Stage>) -> Forwarding {
        let mut forwarding = Forwarding { stage: stage.clone(), thread: None };
        forwarding.succeed(shared, Arc::default(), opened);
        forwarding
    }

    /// Puts another configuration in force.
    pub fn succeed(&mut self, shared: &Arc<Shared>, places: Arc<HashMap<Place, Place>>, opened: Opened) {
        if self.thread.is_none() && !opened.is_empty() {
            let (successor, successions) = mpsc::channel(SUCCESSIONS_MAX);
            let stage = self.stage.subscribe();
            match std::thread::Builder::new()
                .name("log-forward".to_owned())
                .spawn(move || run(successions, stage))
            {
                Ok(thread) => self.thread = Some((thread, successor)),
                Err(error) => eprintln!("[ALERT] cannot start the thread that forwards logs: {error}"),
            }
        }
        if let Some((_, successor)) = &self.thread {
            let succession = Succession { shared: Arc::clone(shared), places, opened };
            // A thread that takes no more has ended.
            let _ = successor.blocking_send(succession);
        }
    }

    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(|(thread, _)| thread.is_finished())
    }

    /// Waits for its end; false: it panicked.
    pub fn join(self) -> bool {
        self.thread.is_none_or(|(thread, _)| thread.join().is_ok())
    }
}

fn run(successions: mpsc::Receiver<Succession>, stage: watch::Receiver<Stage>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a thread can have an epoll descriptor");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(successions, stage));
}

/// A section of one configuration.
struct Section {
    shared: Arc<Shared>,
    index: usize,
    /// Of the thread and the configuration; `None`: there are no sockets to send by.
    scratch: Rc<RefCell<Option<Scratch>>>,
    clients: Rc<Clients>,
}

/// The clients of a section, whatever the configuration.
#[derive(Default)]
struct Clients {
    count: Cell<u32>,
    room: Notify,
}

impl Section {
    fn settings(&self) -> &LogForward {
        &self.shared.plan.model.log_forwards[self.index]
    }

    /// Bytes of a message: those of a buffer, as in HAProxy.
    fn message_length_max(&self) -> usize {
        self.shared.plan.model.global.tune.bufsize
    }

    /// Sends one message on.
    fn forward(&self, message: &[u8]) {
        let state = &self.shared.state;
        state.process.received_logs.fetch_add(1, Relaxed);
        if let Some(scratch) = self.scratch.borrow_mut().as_mut() {
            let wall = state.clock.wall(Instant::now());
            self.shared.logs.forward(self.index).forward(&Received::parse(message), wall, scratch);
        }
    }

    fn is_full(&self) -> bool {
        let maxconn = self.settings().maxconn;
        maxconn > 0 && self.clients.count.get() >= maxconn
    }
}

/// A socket and the line it has now.
struct Endpoint {
    section: RefCell<Rc<Section>>,
    line: Cell<u32>,
    count: Cell<u32>,
}

impl Endpoint {
    fn section(&self) -> Rc<Section> {
        Rc::clone(&self.section.borrow())
    }

    fn bind<R>(&self, of: impl FnOnce(&Bind) -> R) -> Option<R> {
        self.section().settings().binds.get(self.line.get() as usize).map(of)
    }

    /// Whether a PROXY header comes first, and the magic of NetScaler's.
    fn expects(&self) -> (bool, Option<u32>) {
        self.bind(|bind| (bind.accept_proxy, bind.netscaler_cip)).unwrap_or_default()
    }

    fn is_full(&self) -> bool {
        let maxconn = self.bind(|bind| bind.maxconn).flatten();
        self.section().is_full() || maxconn.is_some_and(|maxconn| maxconn > 0 && self.count.get() >= maxconn)
    }
}

/// A connected client; counted until this is dropped.
struct Seat {
    endpoint: Rc<Endpoint>,
    clients: Rc<Clients>,
    shared: Arc<Shared>,
}

impl Seat {
    fn take(endpoint: &Rc<Endpoint>) -> Seat {
        let section = endpoint.section();
        section.clients.count.update(|count| count + 1);
        endpoint.count.update(|count| count + 1);
        section.shared.state.process.connections.increment();
        Seat {
            endpoint: Rc::clone(endpoint),
            clients: Rc::clone(&section.clients),
            shared: Arc::clone(&section.shared),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.clients.count.update(|count| count - 1);
        self.endpoint.count.update(|count| count - 1);
        self.clients.room.notify_waiters();
        let process = &self.shared.state.process;
        process.connections.decrement();
        process.room.notify_waiters();
    }
}

/// A socket that is received from.
struct Receiving {
    place: Place,
    endpoint: Rc<Endpoint>,
    task: tokio::task::JoinHandle<()>,
}

/// Everything that the thread has.
#[derive(Default)]
struct Forwarder {
    receiving: Vec<Receiving>,
    /// By the section's name.
    clients: HashMap<String, Rc<Clients>>,
}

async fn serve(mut successions: mpsc::Receiver<Succession>, mut stage: watch::Receiver<Stage>) {
    let mut forwarder = Forwarder::default();
    while *stage.borrow() == Stage::Running {
        tokio::select! {
            succession = successions.recv() => match succession {
                Some(succession) => forwarder.succeed(succession),
                None => break,
            },
            changed = stage.changed() => if changed.is_err() {
                return;
            },
        }
    }
    forwarder.receiving.iter().for_each(|receiving| receiving.task.abort());
    for receiving in forwarder.receiving.drain(..) {
        // The socket is closed once the task is gone.
        let _cancelled = receiving.task.await;
    }
    let clients = || forwarder.clients.values().map(|clients| clients.count.get()).sum::<u32>();
    while *stage.borrow() != Stage::Stopped && clients() > 0 {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

impl Forwarder {
    fn succeed(&mut self, succession: Succession) {
        let Succession { shared, places, opened } = succession;
        let scratch = Rc::new(RefCell::new(shared.logs.outlets.scratch().ok()));
        let sections: Vec<Rc<Section>> = (shared.plan.model.log_forwards.iter().enumerate())
            .map(|(index, forward)| {
                let clients = Rc::clone(self.clients.entry(forward.name.clone()).or_default());
                Rc::new(Section { shared: Arc::clone(&shared), index, scratch: Rc::clone(&scratch), clients })
            })
            .collect();
        self.receiving.retain_mut(|receiving| match places.get(&receiving.place) {
            Some(&place @ Place::LogForward(section, _, line)) => {
                receiving.place = place;
                receiving.endpoint.line.set(line);
                *receiving.endpoint.section.borrow_mut() = Rc::clone(&sections[section]);
                true
            }
            Some(_) | None => {
                receiving.task.abort();
                false
            }
        });
        for (place, socket) in opened {
            let Place::LogForward(section, _, line) = place else { continue };
            let endpoint = Rc::new(Endpoint {
                section: RefCell::new(Rc::clone(&sections[section])),
                line: Cell::new(line),
                count: Cell::new(0),
            });
            let registered = match socket {
                OpenSocket::Stream(listener) => listener
                    .register()
                    .map(|listener| tokio::task::spawn_local(accept(Rc::clone(&endpoint), listener))),
                OpenSocket::Datagrams(socket) => socket
                    .register()
                    .map(|socket| tokio::task::spawn_local(receive(Rc::clone(&endpoint), socket))),
            };
            match registered {
                Ok(task) => self.receiving.push(Receiving { place, endpoint, task }),
                Err(error) => eprintln!("[ALERT] cannot watch a socket for logs: {error}"),
            }
        }
        // Whoever waits for room looks what the new configuration allows.
        self.clients.values().for_each(|clients| clients.room.notify_waiters());
        self.clients.retain(|name, clients| {
            clients.count.get() > 0
                || shared.plan.model.log_forwards.iter().any(|forward| forward.name == *name)
        });
    }
}

/// Takes datagrams, each one message.
async fn receive(endpoint: Rc<Endpoint>, socket: Datagrams) {
    let mut buffer = vec![0; endpoint.section().message_length_max()];
    loop {
        // Another configuration may have other buffers.
        buffer.resize(endpoint.section().message_length_max(), 0);
        match socket.receive(&mut buffer).await {
            Ok(length) => endpoint.section().forward(&buffer[..length]),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Takes clients while there is room.
async fn accept(endpoint: Rc<Endpoint>, listener: Listener) {
    loop {
        let clients = Rc::clone(&endpoint.section().clients);
        let room = clients.room.notified();
        if endpoint.is_full() {
            room.await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let seat = Seat::take(&endpoint);
                let tls = {
                    let section = endpoint.section();
                    section.shared.tls.log_listener(section.index, endpoint.line.get() as usize)
                };
                tokio::task::spawn_local(async move {
                    stream::serve(Rc::clone(&seat.endpoint), stream, tls).await;
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
