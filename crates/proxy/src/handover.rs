//! Listeners kept at hand for the process that replaces this one: duplicates of what the workers accept from, given out in
//! HAProxy's exchange (`-x`, `_getsocks`, and a master's reload).
//!
//! A duplicate keeps a socket listening, so whoever stops accepting must [`release`](Handover::release) it here too, or
//! clients would wait in a queue that nobody empties.

use haproxy_config::model::Bind;
use parking_lot::Mutex;
use rules::ProxyId;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use sys::transfer::{self, Listener};

/// What the other side may take for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Handover {
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    /// `None`: a socket of the runtime API.
    frontend: Option<ProxyId>,
    listener: Listener<OwnedFd>,
}

impl Handover {
    /// Keeps a duplicate of an open listener. Without a descriptor to spare it is not handed over: its successor binds
    /// for itself then.
    pub fn keep(&self, frontend: Option<ProxyId>, bind: &Bind, socket: impl AsFd) {
        let Ok(descriptor) = socket.as_fd().try_clone_to_owned() else { return };
        let name = |name: &Option<String>| name.clone().unwrap_or_default().into_bytes();
        let listener =
            Listener { descriptor, namespace: name(&bind.namespace), interface: name(&bind.interface) };
        self.kept.lock().push(Kept { frontend, listener });
    }

    /// Everything stops accepting.
    pub fn release(&self) {
        self.kept.lock().clear();
    }

    /// One frontend stops accepting for good.
    pub fn release_frontend(&self, frontend: ProxyId) {
        self.kept.lock().retain(|kept| kept.frontend != Some(frontend));
    }

    /// Sends all listeners; the request itself was read already. Blocks for at most a second per step: not for a
    /// worker thread.
    ///
    /// # Errors
    /// What the socket says.
    pub fn send(&self, successor: &UnixStream) -> io::Result<()> {
        successor.set_write_timeout(Some(STEP_TIMEOUT))?;
        let kept = self.kept.lock();
        let listeners: Vec<_> = kept
            .iter()
            .map(|kept| Listener {
                descriptor: kept.listener.descriptor.as_fd(),
                namespace: kept.listener.namespace.clone(),
                interface: kept.listener.interface.clone(),
            })
            .collect();
        transfer::send_listeners(successor, &listeners)
    }

    /// The same, after reading the request.
    ///
    /// # Errors
    /// What the socket says; `InvalidData` when something else was asked.
    pub fn serve(&self, mut successor: &UnixStream) -> io::Result<()> {
        successor.set_read_timeout(Some(STEP_TIMEOUT))?;
        let mut request = [0; transfer::REQUEST.len()];
        successor.read_exact(&mut request)?;
        if request != transfer::REQUEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a request for listeners"));
        }
        self.send(successor)
    }
}
