//! SNMP at the checkers' child: one sub-agent, which shows virtual servers as the director has them and is told of changes.
//! Owns when the plane's counters are read; what is shown is `tables`', what managers are told `traps`'.

mod tables;
mod traps;

use agentx::Oid;
use director::pool::{Changed, Pool};
use director::runner::Control;
use director::table::Table;
use failover::log::{Level, Log};
use failover::snmp::{Agent, mib};
use keepalived_config::Model;
use keepalived_config::model::Snmp;
use rustix::event::PollFlags;
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};

/// Rest where the socket cannot be waited for: there is no descriptor to be had.
const PAUSE: Duration = Duration::from_secs(1);

/// The plane's counters, and when they were read.
#[derive(Debug, Clone)]
struct Counted {
    since: Instant,
    table: Rc<Table>,
}

/// The sub-agent, where one is wanted.
pub(super) struct Managers {
    agent: Option<Agent>,
    model: Rc<Model>,
    host_name: String,
    log: Rc<RefCell<Log>>,
    /// The director was asked for its pools.
    is_asked: bool,
    of_services: Option<Counted>,
    of_servers: Option<Counted>,
    /// There is something to write, or to begin.
    woken: Rc<Notify>,
}

/// What the checkers' process answers for, each with a line on it.
fn subtrees() -> Vec<(Oid, String)> {
    let parts = [(1, "KEEPALIVED-MIB: the daemon"), (3, "KEEPALIVED-MIB: virtual servers")];
    parts.into_iter().map(|(part, line)| (mib::keepalived(&[part]), line.to_owned())).collect()
}

/// Whether these counters may still be shown.
fn is_fresh(counted: Option<&Counted>, age_max: Duration, now: Instant) -> bool {
    counted.is_some_and(|counted| now.saturating_duration_since(counted.since) < age_max)
}

impl Managers {
    pub fn start(model: Rc<Model>, log: Rc<RefCell<Log>>) -> Self {
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut managers = Self {
            agent: None,
            model: Rc::clone(&model),
            host_name,
            log,
            is_asked: false,
            of_services: None,
            of_servers: None,
            woken: Rc::new(Notify::new()),
        };
        managers.configure(model);
        managers
    }

    /// As the configuration has it: a sub-agent that is still right goes on.
    pub fn configure(&mut self, model: Rc<Model>) {
        self.model = model;
        (self.of_services, self.of_servers) = (None, None);
        let snmp = &self.model.global.snmp;
        let socket = snmp.socket.clone().filter(|_| snmp.checker);
        match (&mut self.agent, socket) {
            (Some(agent), Some(socket)) if *agent.socket() == socket => agent.changed(),
            (_, socket) => {
                self.close();
                self.agent = socket.map(|socket| {
                    self.log.borrow_mut().line(Level::Info, "Starting SNMP subagent");
                    Agent::new(socket, subtrees(), Instant::now())
                });
                self.is_asked = false;
            }
        }
        self.woken.notify_one();
    }

    /// Traps on a change, where they are wanted.
    pub fn tell(&mut self, pool: &Pool, changed: Changed) {
        let Some(agent) = &mut self.agent else { return };
        agent.changed();
        if self.model.global.snmp.traps {
            let bindings = traps::of(&self.model, &self.host_name, pool, changed);
            agent.notify(Instant::now(), bindings);
            self.woken.notify_one();
        }
    }

    /// What the director was asked for.
    pub fn answer(&mut self, pools: &[Pool], table: Option<&Table>) {
        self.is_asked = false;
        let now = Instant::now();
        let Some(agent) = &mut self.agent else { return };
        let snmp = &self.model.global.snmp;
        if let Some(table) = table {
            let counted = Counted { since: now, table: Rc::new(table.clone()) };
            if !is_fresh(self.of_services.as_ref(), snmp.virtual_server_interval, now) {
                self.of_services = Some(counted.clone());
            }
            if !is_fresh(self.of_servers.as_ref(), snmp.real_server_interval, now) {
                self.of_servers = Some(counted);
            }
        }
        let none = Rc::new(Table::default());
        let table =
            |counted: &Option<Counted>| Rc::clone(counted.as_ref().map_or(&none, |counted| &counted.table));
        let view = tables::View {
            model: &self.model,
            host_name: &self.host_name,
            pools,
            of_services: &table(&self.of_services),
            of_servers: &table(&self.of_servers),
        };
        agent.answer(now, tables::tree(&view));
        self.woken.notify_one();
    }

    /// Says good-bye, as far as the socket takes it.
    pub fn close(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.close();
        }
    }

    /// Reads and writes what can be. What the director is to be asked comes out.
    fn run(&mut self, now: Instant) -> Option<Control> {
        let agent = self.agent.as_mut()?;
        for line in agent.run(now) {
            self.log.borrow_mut().line(Level::Info, &line);
        }
        if !agent.wants_tree() || self.is_asked {
            return None;
        }
        self.is_asked = true;
        Some(Control::Count { reads_table: !self.is_counted(&self.model.global.snmp, now) })
    }

    fn is_counted(&self, snmp: &Snmp, now: Instant) -> bool {
        is_fresh(self.of_services.as_ref(), snmp.virtual_server_interval, now)
            && is_fresh(self.of_servers.as_ref(), snmp.real_server_interval, now)
    }

    /// What to wait for, and until when.
    fn waits(&self) -> (Option<(OwnedFd, PollFlags)>, Option<Instant>) {
        let Some(agent) = &self.agent else { return (None, None) };
        let watched = agent.watched().and_then(|(stream, flags)| {
            // A copy of its own: the agent may leave its socket while somebody waits.
            stream.try_clone_to_owned().ok().map(|stream| (stream, flags))
        });
        (watched, agent.deadline())
    }
}

/// Keeps the sub-agent going, until the director has ended.
pub(super) async fn serve(managers: Rc<RefCell<Managers>>, director: mpsc::Sender<Control>) {
    let woken = Rc::clone(&managers.borrow().woken);
    loop {
        let wish = managers.borrow_mut().run(Instant::now());
        if let Some(control) = wish
            && director.send(control).await.is_err()
        {
            return;
        }
        let (watched, deadline) = managers.borrow().waits();
        tokio::select! {
            () = ready(watched) => {}
            () = until(deadline) => {}
            () = woken.notified() => {}
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Registered anew each time: what is ready already is told at once.
async fn ready(watched: Option<(OwnedFd, PollFlags)>) {
    let Some((stream, flags)) = watched else { return std::future::pending().await };
    let writes = flags.contains(PollFlags::OUT);
    let interest = if writes { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
    // Of whatever kind the socket is: only its descriptor is waited for.
    match UnixStream::from_std(stream.into()) {
        // Whatever it says, the agent finds out itself.
        Ok(stream) => drop(stream.ready(interest).await),
        Err(_) => tokio::time::sleep(PAUSE).await,
    }
}
