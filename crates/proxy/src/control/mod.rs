//! The control thread: everything that is not traffic. Clocks, the runtime API, health checks, name resolution.

pub mod actions;
pub mod cli;

pub use cli::{commands, info_values, mapped_code};

use crate::handover::Place;
use crate::listen::{self, ListenOptions};
use crate::net::Namespaces;
use crate::run::{Command, Order, Stage};
use crate::worker::{OpenListener, Shared};
use haproxy_config::Model;
use haproxy_config::model::Bind;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the wall clock is compared with the monotonic one.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Clients that the master passed on and the control thread has not met yet.
pub const CLIENTS_WAITING_MAX: usize = 16;

/// A socket of the runtime API, open.
pub struct CliListener {
    pub socket: OpenListener,
    /// Position of its line.
    pub index: usize,
    pub bind: Bind,
}

/// What the control thread's tasks share.
pub struct Control {
    pub shared: Arc<Shared>,
    /// One sender per worker.
    pub orders: Arc<[mpsc::Sender<Order>]>,
    pub stage: watch::Sender<Stage>,
    /// Takes commands of the process; `None` where nobody can reload.
    pub commands: Option<std::sync::mpsc::Sender<Command>>,
}

/// What the control thread is told.
pub enum News {
    /// A client that the master passes on.
    Client(UnixStream),
    Reign(Reign),
}

/// Another configuration is in force.
pub struct Reign {
    pub shared: Arc<Shared>,
    /// New sockets of the runtime API.
    pub cli: Vec<CliListener>,
    /// The new place of each old line that goes on.
    pub places: Arc<HashMap<Place, Place>>,
}

/// Opens the sockets of the runtime API.
pub fn open_cli(model: &Model, namespaces: &Namespaces, errors: &mut Vec<String>) -> Vec<CliListener> {
    let sockets = model.global.stats_sockets.iter().enumerate();
    sockets.flat_map(|(index, socket)| open_cli_socket(index, &socket.bind, namespaces, errors)).collect()
}

/// Opens the socket of one line.
pub fn open_cli_socket(
    index: usize,
    bind: &Bind,
    namespaces: &Namespaces,
    errors: &mut Vec<String>,
) -> Vec<CliListener> {
    let options = ListenOptions { workers: 1, noreuseport: true, backlog: 10, ..ListenOptions::default() };
    match listen::open(bind, Vec::new(), options, namespaces) {
        Ok(sockets) => {
            sockets.into_iter().map(|socket| CliListener { socket, index, bind: bind.clone() }).collect()
        }
        Err(error) => {
            errors.push(format!("stats socket: {error}"));
            Vec::new()
        }
    }
}

/// Starts the control thread; it ends when its stage says so.
pub fn spawn(control: Control, cli: Vec<CliListener>, news: mpsc::Receiver<News>) -> Option<JoinHandle<()>> {
    // Before the thread starts: it must hear of an end that comes sooner than it does.
    let stage = control.stage.subscribe();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a thread can have an epoll descriptor");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, serve(Rc::new(control), stage, cli, news));
    };
    match std::thread::Builder::new().name("control".to_owned()).spawn(run) {
        Ok(thread) => Some(thread),
        Err(error) => {
            eprintln!("[ALERT] cannot start the control thread: {error}");
            None
        }
    }
}

/// Starts what belongs to one configuration; it ends when the stage that is returned says so.
fn begin(control: &Control) -> watch::Sender<Stage> {
    let (stage, _) = watch::channel(*control.stage.borrow());
    tokio::task::spawn_local(crate::health::run(Arc::clone(&control.shared), stage.subscribe()));
    tokio::task::spawn_local(crate::resolve::run(Arc::clone(&control.shared), stage.subscribe()));
    tokio::task::spawn_local(crate::rings::run(Arc::clone(&control.shared), stage.subscribe()));
    stage
}

async fn serve(
    control: Rc<Control>,
    mut stage: watch::Receiver<Stage>,
    cli: Vec<CliListener>,
    mut news: mpsc::Receiver<News>,
) {
    let mut tasks = begin(&control);
    let api = cli::Api::new(control);
    api.listen(cli);
    let mut clock = tokio::time::interval(CLOCK_INTERVAL);
    loop {
        tokio::select! {
            changed = stage.changed() => {
                let now = *stage.borrow_and_update();
                // Tasks that ended do not listen any more.
                let _ = tasks.send(now);
                if changed.is_err() || now == Stage::Stopped {
                    return;
                }
            }
            Some(news) = news.recv() => match news {
                News::Client(client) => api.converse_with_master(client),
                News::Reign(reign) => {
                    let _ = tasks.send(Stage::Stopped);
                    tasks = api.succeed(reign);
                }
            },
            _ = clock.tick() => api.control().shared.state.clock.follow(),
        }
    }
}

/// SIGHUP: one notice per proxy.
pub fn log_status(shared: &Shared) {
    let state = &shared.state;
    let wall = state.clock.wall(std::time::Instant::now());
    for proxy in &state.model.proxies {
        for server in state.backend(proxy.id).servers() {
            let totals = state.server_totals(server.slot);
            let text = format!(
                "SIGHUP: Server {}/{} is {}. Conn: {} act, {} pend, {} tot.",
                proxy.name,
                server.name(),
                if server.is_usable() { "UP" } else { "DOWN" },
                server.served.get(),
                server.queued.get(),
                totals.sessions,
            );
            shared.logs.event(Some(proxy.id), 5, &text, wall);
        }
    }
}
