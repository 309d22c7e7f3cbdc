//! The control thread: everything that is not traffic. Clocks, the runtime API, health checks, name resolution.

pub mod actions;
pub mod cli;

pub use cli::{commands, info_values, mapped_code};

use crate::listen::{self, ListenOptions};
use crate::net::Namespaces;
use crate::run::{Order, Stage};
use crate::worker::{OpenListener, Shared};
use haproxy_config::Model;
use haproxy_config::model::Bind;
use std::os::unix::net::UnixStream;
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
    pub bind: Bind,
}

/// What the control thread's tasks share.
pub struct Control {
    pub shared: Arc<Shared>,
    /// One sender per worker.
    pub orders: Arc<[mpsc::Sender<Order>]>,
    pub stage: watch::Sender<Stage>,
}

/// Opens the sockets of the runtime API.
pub fn open_cli(model: &Model, namespaces: &Namespaces, errors: &mut Vec<String>) -> Vec<CliListener> {
    let mut open = Vec::new();
    for socket in &model.global.stats_sockets {
        let options =
            ListenOptions { workers: 1, noreuseport: true, backlog: 10, ..ListenOptions::default() };
        match listen::open(&socket.bind, Vec::new(), options, namespaces) {
            Ok(sockets) => {
                open.extend(
                    sockets
                        .into_iter()
                        .map(|listener| CliListener { socket: listener, bind: socket.bind.clone() }),
                );
            }
            Err(error) => errors.push(format!("stats socket: {error}")),
        }
    }
    open
}

/// Starts the control thread; it ends when `stage` says so.
pub fn spawn(
    shared: Arc<Shared>,
    cli: Vec<CliListener>,
    clients: mpsc::Receiver<UnixStream>,
    orders: Arc<[mpsc::Sender<Order>]>,
    stage: watch::Sender<Stage>,
) -> Option<JoinHandle<()>> {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a thread can have an epoll descriptor");
        let local = tokio::task::LocalSet::new();
        let control = std::rc::Rc::new(Control { shared, orders, stage });
        local.block_on(&runtime, serve(control, cli, clients));
    };
    match std::thread::Builder::new().name("control".to_owned()).spawn(run) {
        Ok(thread) => Some(thread),
        Err(error) => {
            eprintln!("[ALERT] cannot start the control thread: {error}");
            None
        }
    }
}

async fn serve(
    control: std::rc::Rc<Control>,
    cli: Vec<CliListener>,
    mut clients: mpsc::Receiver<UnixStream>,
) {
    let mut stage = control.stage.subscribe();
    tokio::task::spawn_local(crate::health::run(Arc::clone(&control.shared), control.stage.subscribe()));
    tokio::task::spawn_local(crate::resolve::run(Arc::clone(&control.shared), control.stage.subscribe()));
    cli::serve(&control, cli);
    let mut clock = tokio::time::interval(CLOCK_INTERVAL);
    loop {
        tokio::select! {
            changed = stage.changed() => {
                if changed.is_err() || *stage.borrow_and_update() == Stage::Stopped {
                    return;
                }
            }
            Some(client) = clients.recv() => cli::converse_with_master(&control, client),
            _ = clock.tick() => control.shared.state.clock.follow(),
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
