//! `lvs_sync_daemon`: the threads of the kernel, or of a plane of ours, that tell other directors of connections. The
//! master's runs while the instance is master, the backup's while it is not; without an instance both run always.

use director::kernel::Kernel;
use failover::log::{Level, Log};
use keepalived_config::Model;
use netlink::ipvs::{Daemon, Request, Role};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often, and how many times, a plane that is not there yet is looked for: ten seconds.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: usize = 100;
const ROLES: [Role; 2] = [Role::Master, Role::Backup];

/// What the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    daemon: Daemon,
    instance: Option<String>,
}

pub(super) struct SyncDaemons {
    log: Log,
    wanted: Option<Wanted>,
    /// Of a reload that is not confirmed yet.
    prepared: Option<Option<Wanted>>,
    is_master: bool,
    /// What we started.
    running: Vec<Daemon>,
    /// Counts wishes: a thread that waits for the plane gives up when there is another.
    turn: Arc<AtomicU64>,
}

impl SyncDaemons {
    pub fn new(log: Log) -> Self {
        Self {
            log,
            wanted: None,
            prepared: None,
            is_master: false,
            running: Vec::new(),
            turn: Arc::default(),
        }
    }

    /// At the start.
    pub fn configure(&mut self, model: &Model) {
        self.wanted = wanted(model);
        self.settle();
    }

    /// A reload is tried with this.
    pub fn prepare(&mut self, model: &Model) {
        self.prepared = Some(wanted(model));
    }

    /// The reload was carried out.
    pub fn take_prepared(&mut self) {
        if let Some(wanted) = self.prepared.take() {
            let of = |wanted: &Option<Wanted>| wanted.as_ref().and_then(|one| one.instance.clone());
            if of(&self.wanted) != of(&wanted) {
                // The other instance's state is told when it changes.
                self.is_master = false;
            }
            self.wanted = wanted;
            self.settle();
        }
    }

    /// An instance has changed state.
    pub fn follow(&mut self, instance: &str, is_master: bool) {
        if self.wanted.as_ref().is_some_and(|wanted| wanted.instance.as_deref() == Some(instance)) {
            self.is_master = is_master;
            self.settle();
        }
    }

    pub fn stop(&mut self) {
        self.wanted = None;
        self.settle();
    }

    /// Stops what is not wanted any more, then starts what is.
    fn settle(&mut self) {
        let daemons: Vec<Daemon> = match &self.wanted {
            None => Vec::new(),
            Some(wanted) => ROLES
                .into_iter()
                .filter(|role| wanted.instance.is_none() || (*role == Role::Master) == self.is_master)
                .map(|role| Daemon { role, ..wanted.daemon.clone() })
                .collect(),
        };
        if daemons == self.running {
            return;
        }
        // What an earlier wish left to be done is over.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) + 1;
        let mut kernel = match Kernel::any() {
            Ok(kernel) => kernel,
            Err(refusal) => {
                // A plane of ours comes with the checkers' process.
                let is_waiting = starts_later(&self.turn, turn, &daemons);
                let then = if is_waiting { ": a plane of ours is waited for" } else { "" };
                self.log.line(Level::Error, &format!("lvs_sync_daemon: IPVS: {refusal}{then}"));
                self.running = daemons;
                return;
            }
        };
        let gone: Vec<Daemon> = self.running.iter().filter(|one| !daemons.contains(one)).cloned().collect();
        for daemon in gone {
            if let Err(refusal) = kernel.ask(&Request::StopDaemon(daemon.role)) {
                self.log.line(Level::Error, &format!("lvs_sync_daemon: cannot stop it: {refusal}"));
            }
            self.running.retain(|one| *one != daemon);
        }
        for daemon in daemons {
            if self.running.contains(&daemon) {
                continue;
            }
            // A predecessor that died has left one running, perhaps with other settings.
            let _ = kernel.ask(&Request::StopDaemon(daemon.role));
            match kernel.ask(&Request::StartDaemon(&daemon)) {
                Ok(_) => self.running.push(daemon),
                Err(refusal) => {
                    self.log.line(Level::Error, &format!("lvs_sync_daemon: cannot start it: {refusal}"));
                }
            }
        }
    }
}

/// Waits for a plane beside us, and starts them there; whether somebody waits.
fn starts_later(turns: &Arc<AtomicU64>, turn: u64, daemons: &[Daemon]) -> bool {
    let (turns, daemons) = (Arc::clone(turns), daemons.to_vec());
    let wait = move || {
        for _ in 0..TRIES {
            std::thread::sleep(PAUSE);
            if turns.load(Ordering::Relaxed) != turn {
                return;
            }
            let Ok(mut kernel) = Kernel::any() else { continue };
            for role in ROLES {
                let _ = kernel.ask(&Request::StopDaemon(role));
            }
            for daemon in &daemons {
                // Told by `ipvsadm -L --daemon`; nobody is left to hear of it here.
                let _ = kernel.ask(&Request::StartDaemon(daemon));
            }
            return;
        }
    };
    std::thread::Builder::new().name("sync daemons".to_owned()).spawn(wait).is_ok()
}

/// Also from the old `lvs_sync_daemon_interface` of an instance.
fn wanted(model: &Model) -> Option<Wanted> {
    let vrid = |name: &str| {
        let instance = model.instances.iter().find(|instance| instance.name == name);
        instance.map_or(0, |instance| u32::from(instance.virtual_router_id))
    };
    if let Some(asked) = &model.global.sync_daemon {
        let sync_id = asked.sync_id.map(u32::from);
        return Some(Wanted {
            daemon: Daemon {
                role: Role::Backup,
                interface: asked.interface.clone(),
                sync_id: sync_id.or_else(|| asked.instance.as_deref().map(vrid)).unwrap_or(0),
                length_max: asked.length_max.unwrap_or(0),
                group: asked.group,
                port: asked.port.unwrap_or(0),
                hops: asked.ttl.unwrap_or(0),
            },
            instance: asked.instance.clone(),
        });
    }
    model.instances.iter().find_map(|instance| {
        let interface = instance.sync_daemon_interface.clone()?;
        let daemon =
            Daemon { interface, sync_id: u32::from(instance.virtual_router_id), ..Daemon::new(Role::Backup) };
        Some(Wanted { daemon, instance: Some(instance.name.clone()) })
    })
}
