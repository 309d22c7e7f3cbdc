//! The log targets of every proxy and of the process, open.

use crate::syslog::{Identity, OpenError, Outlets, OutletsBuilder, Scratch, Targets};
use haproxy_config::Model;
use haproxy_config::model::Global;
use parking_lot::Mutex;
use rules::log_format::Zone;
use rules::{ProxyId, WallTime};
use std::sync::Arc;

pub struct Logs {
    /// By `ProxyId`; `None` logs nowhere.
    proxies: Box<[Option<Targets>]>,
    /// By the position of the `log-forward` section.
    forwards: Box<[Targets]>,
    global: Targets,
    pub outlets: Arc<Outlets>,
    /// Where the dates of log lines are.
    pub zone: Zone,
    /// For messages from outside the workers: state changes, notices of the process.
    control: Mutex<Option<Scratch>>,
}

impl Logs {
    /// Opens all targets. Call while privileged and before a chroot.
    ///
    /// # Errors
    /// The first target that cannot be opened.
    pub fn open(model: &Model) -> Result<Logs, OpenError> {
        let mut builder = OutletsBuilder::new(&model.rings);
        let global = &model.global;
        let system = rustix::system::uname();
        let node = system.nodename().to_str().unwrap_or_default();
        let process = Targets::open(&global.log_targets, &identity(global, None, node), &mut builder)?;
        let proxies = model
            .proxies
            .iter()
            .map(|proxy| {
                if proxy.log_targets.is_empty() {
                    return Ok(None);
                }
                let identity = identity(global, proxy.log_tag.as_deref(), node);
                Targets::open(&proxy.log_targets, &identity, &mut builder).map(Some)
            })
            .collect::<Result<_, _>>()?;
        let forwards = (model.log_forwards.iter())
            .map(|forward| Targets::open(&forward.log_targets, &identity(global, None, node), &mut builder))
            .collect::<Result<_, _>>()?;
        let outlets = builder
            .finish(global.chroot.is_some())
            .map_err(|source| OpenError::Socket { target: "syslog".to_owned(), source })?;
        let control = Mutex::new(outlets.scratch().ok());
        Ok(Logs { proxies, forwards, global: process, outlets, zone: local_zone(), control })
    }

    pub fn of(&self, proxy: ProxyId) -> Option<&Targets> {
        self.proxies[proxy.index()].as_ref()
    }

    /// Where messages of a `log-forward` section go.
    pub fn forward(&self, section: usize) -> &Targets {
        &self.forwards[section]
    }

    /// Sends an event of `proxy` (or of the process) that no worker's request caused.
    pub fn event(&self, proxy: Option<ProxyId>, level: u8, message: &str, wall: WallTime) {
        let targets = match proxy {
            Some(proxy) => match self.of(proxy) {
                Some(targets) => targets,
                None => return,
            },
            None => &self.global,
        };
        if let Some(scratch) = self.control.lock().as_mut() {
            targets.send(level, message.as_bytes(), wall, scratch);
        }
    }
}

fn identity<'a>(global: &'a Global, tag: Option<&'a str>, node: &'a str) -> Identity<'a> {
    Identity {
        tag: tag.or(global.log_tag.as_deref()).unwrap_or("haproxy"),
        // Without a name it is the system's.
        hostname: global.log_send_hostname.as_deref().map(|name| if name.is_empty() { node } else { name }),
        pid: std::process::id(),
    }
}

/// The local time zone: `TZ` as a rule or a file's name, else `/etc/localtime`; GMT without either.
fn local_zone() -> Zone {
    let file = |path: &str| std::fs::read(path).ok().and_then(|bytes| Zone::from_tzif(&bytes));
    match std::env::var("TZ") {
        Ok(name) if !name.is_empty() => {
            let name = name.trim_start_matches(':');
            Zone::from_posix(name)
                .or_else(|| file(&format!("/usr/share/zoneinfo/{name}")))
                .unwrap_or_else(Zone::utc)
        }
        Ok(_) => Zone::utc(),
        Err(_) => file("/etc/localtime").unwrap_or_else(Zone::utc),
    }
}
