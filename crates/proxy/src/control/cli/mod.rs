//! The runtime API: sockets, clients, commands. Commands change the state through `control::actions` and
//! `crate::state`; they never touch a connection of a worker except by an order to it.
//!
//! ```text
//!  socket ─► client task ─► Input: commands ─► TABLE: one row, one function ─► Reply ─► socket
//!                                                        └─ orders ─► workers
//! ```

mod caches;
mod debugging;
mod dynamic_cookies;
mod errors;
mod frontends;
mod help;
mod http_client;
mod info;
mod input;
mod list_servers;
mod modes;
mod patterns;
mod peers;
mod process;
mod reload;
mod resolvers;
mod runtime_servers;
mod server;
mod server_address;
mod session;
mod sessions;
mod stat;
mod system;
mod table;
mod tables;
mod tls;
mod tracing;
mod variables;
mod workers;

#[cfg(test)]
mod tests;

use super::{CliListener, Control, Reign};
use crate::handover::Place;
use crate::run::Stage;
use crate::worker::Listener;
use haproxy_config::model::{Level, SeverityOutput};
#[cfg(test)]
use input::Line;
use input::{Input, Next};
use session::{Reply, Session};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore, watch};

pub use info::values as info_values;
pub use system::mapped_code;
pub use table::commands;

/// Idle time of a client without `stats timeout`.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Clients at once without `stats maxconn`; more wait in the backlog.
const CLIENTS_MAX_DEFAULT: u32 = 10;

/// Bytes read from a client at once.
const READ_SIZE: usize = 4096;

/// Rest after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The runtime API of the process, whichever configuration is in force.
pub struct Api {
    control: RefCell<Rc<Control>>,
    room: RefCell<Arc<Semaphore>>,
    sockets: RefCell<Vec<Rc<Socket>>>,
    /// Told when another configuration is in force.
    changed: Notify,
}

/// A socket and its line in the current configuration.
struct Socket {
    index: Cell<usize>,
    bind: RefCell<haproxy_config::model::Bind>,
    closed: Notify,
}

impl Api {
    pub fn new(control: Rc<Control>) -> Rc<Api> {
        let room = RefCell::new(room(&control));
        Rc::new(Api {
            control: RefCell::new(control),
            room,
            sockets: RefCell::default(),
            changed: Notify::new(),
        })
    }

    /// What commands are about now.
    pub fn control(&self) -> Rc<Control> {
        Rc::clone(&self.control.borrow())
    }

    /// Serves these sockets until their lines are gone or the control thread ends.
    pub fn listen(self: &Rc<Api>, listeners: Vec<CliListener>) {
        for CliListener { socket, index, bind } in listeners {
            match socket.register() {
                Ok(listener) => {
                    let (index, bind) = (Cell::new(index), RefCell::new(bind));
                    let socket = Rc::new(Socket { index, bind, closed: Notify::new() });
                    self.sockets.borrow_mut().push(Rc::clone(&socket));
                    tokio::task::spawn_local(accept(Rc::clone(self), listener, socket));
                }
                Err(error) => eprintln!("[ALERT] cannot watch a stats socket: {error}"),
            }
        }
    }

    /// Goes over to another configuration; returns the stage of its tasks.
    pub fn succeed(self: &Rc<Api>, reign: Reign) -> watch::Sender<Stage> {
        let Reign { shared, cli, places } = reign;
        let old = self.control();
        let (orders, stage) = (Arc::clone(&old.orders), old.stage.clone());
        let control = Rc::new(Control { shared, orders, stage, commands: old.commands.clone() });
        let global = &control.shared.plan.model.global;
        if global.stats_maxconn != old.shared.plan.model.global.stats_maxconn {
            *self.room.borrow_mut() = room(&control);
        }
        self.sockets.borrow_mut().retain(|socket| match places.get(&Place::RuntimeApi(socket.index.get())) {
            Some(Place::RuntimeApi(index)) => {
                socket.index.set(*index);
                socket.bind.borrow_mut().clone_from(&global.stats_sockets[*index].bind);
                true
            }
            Some(Place::Frontend(..) | Place::Peers(_) | Place::LogForward(..)) | None => {
                socket.closed.notify_one();
                false
            }
        });
        let tasks = super::begin(&control);
        *self.control.borrow_mut() = control;
        self.changed.notify_waiters();
        self.listen(cli);
        tasks
    }

    /// A client that the master relays: it has all rights, the master lowers them with commands of its own.
    pub fn converse_with_master(self: &Rc<Api>, client: std::os::unix::net::UnixStream) {
        let control = self.control();
        let timeout = control.shared.plan.model.global.stats_timeout.unwrap_or(TIMEOUT_DEFAULT);
        let mut session = Session::new(control, Level::Admin, SeverityOutput::None, timeout);
        session.api = Some(Rc::clone(self));
        session.may_take_listeners = true;
        let stream = client.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(client));
        // A client that cannot be watched sees the end of its stream.
        if let Ok(stream) = stream {
            tokio::task::spawn_local(converse_and_hand_over(session, stream));
        }
    }
}

/// The control of the next configuration; never ends for a client without a socket.
async fn changed(api: Option<Rc<Api>>) -> Rc<Control> {
    let Some(api) = api else { return std::future::pending().await };
    api.changed.notified().await;
    api.control()
}

fn room(control: &Control) -> Arc<Semaphore> {
    let clients = control.shared.plan.model.global.stats_maxconn.unwrap_or(CLIENTS_MAX_DEFAULT).max(1);
    Arc::new(Semaphore::new(clients as usize))
}

async fn accept(api: Rc<Api>, listener: Listener, socket: Rc<Socket>) {
    loop {
        let accepted = tokio::select! {
            () = socket.closed.notified() => return,
            accepted = accept_one(&listener) => accepted,
        };
        let client = match accepted {
            Ok(client) => client,
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Behind the accept: a listener that nobody calls must not keep a place.
        let room = Arc::clone(&api.room.borrow());
        let Ok(place) = room.acquire_owned().await else { return };
        let control = api.control();
        let timeout = control.shared.plan.model.global.stats_timeout.unwrap_or(TIMEOUT_DEFAULT);
        let mut session = {
            let bind = socket.bind.borrow();
            let severity = bind.severity_output.unwrap_or(SeverityOutput::None);
            let mut session = Session::new(control, bind.level, severity, timeout);
            session.may_take_listeners = bind.expose_fd_listeners;
            session
        };
        session.api = Some(Rc::clone(&api));
        tokio::task::spawn_local(async move {
            match client {
                // How a client leaves is its own business.
                Client::Tcp(stream) => drop(converse(&mut session, stream).await),
                Client::Unix(stream) => converse_and_hand_over(session, stream).await,
            }
            drop(place);
        });
    }
}

/// A conversation on a socket that descriptors can be sent over.
async fn converse_and_hand_over(mut session: Session, mut stream: tokio::net::UnixStream) {
    let _ended = converse(&mut session, &mut stream).await;
    if !session.takes_listeners {
        return;
    }
    let shared = Arc::clone(&session.control.shared);
    // The exchange waits for the other side, and the control thread never waits.
    let send = move || {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        shared.handover.send(&stream)
    };
    if let Ok(Err(error)) = tokio::task::spawn_blocking(send).await {
        eprintln!("[WARNING] listeners were not handed over: {error}");
    }
}

enum Client {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn accept_one(listener: &Listener) -> io::Result<Client> {
    match listener {
        Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| Client::Tcp(stream)),
        Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Client::Unix(stream)),
    }
}

/// Answers one client until it leaves, quits, or is idle for too long; without a prompt, until it has sent nothing more
/// by the time its commands are answered.
async fn converse(session: &mut Session, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let bufsize = session.control.shared.plan.model.global.tune.bufsize;
    let mut input = Input::new(bufsize);
    let mut buffer = vec![0; READ_SIZE];
    loop {
        match input.next() {
            Next::Command(line) => {
                session.payload = line.payload;
                if let Some(api) = &session.api {
                    session.control = api.control();
                }
                let reply = run(session, &line.words).await;
                session.payload = None;
                if session.takes_listeners {
                    return Ok(());
                }
                if session.quits {
                    return stream.shutdown().await;
                }
                let answer = session.render(reply);
                send(&mut stream, session, answer.as_bytes()).await?;
                // Without a prompt nobody is at the other end who thinks of a next command.
                if !session.prompt && input.is_empty() {
                    return stream.shutdown().await;
                }
            }
            Next::PayloadLine if session.prompt => send(&mut stream, session, b"+ ").await?,
            Next::PayloadLine => {}
            Next::TooLong => return stream.shutdown().await,
            Next::Incomplete => {
                let received = tokio::select! {
                    received = tokio::time::timeout(session.timeout, stream.read(&mut buffer)) => received??,
                    // Who only waits keeps no former configuration in memory.
                    control = changed(session.api.clone()) => {
                        session.control = control;
                        continue;
                    }
                };
                if received == 0 {
                    return stream.shutdown().await;
                }
                input.receive(&buffer[..received]);
            }
        }
    }
}

/// What a client with all rights is sent for these bytes before it leaves: the runtime API without a socket.
pub async fn answer(control: Rc<Control>, bytes: &[u8]) -> Vec<u8> {
    let mut session = Session::new(control, Level::Admin, SeverityOutput::None, TIMEOUT_DEFAULT);
    let mut sent = Vec::new();
    // Neither side can fail; that the client quit or sent too much is no error either.
    let _ended = converse(&mut session, tokio::io::join(bytes, &mut sent)).await;
    sent
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), session: &Session, bytes: &[u8]) -> io::Result<()> {
    tokio::time::timeout(session.timeout, stream.write_all(bytes)).await?
}

/// Runs one command to its final reply.
async fn run(session: &mut Session, words: &[String]) -> Reply {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut reply = table::run(session, &words);
    while let Reply::Later(later) = reply {
        reply = later.await;
    }
    reply
}
