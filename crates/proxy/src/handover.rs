//! Listeners kept at hand for the process that replaces this one: duplicates of what the workers accept from, given out in
//! HAProxy's exchange (`-x`, `_getsocks`, and a master's reload).
//!
//! A duplicate keeps a socket listening, so whoever stops accepting must [`release`](Handover::release) it here too, or
//! clients would wait in a queue that nobody empties.

use haproxy_config::model::Bind;
use parking_lot::Mutex;
use rules::ProxyId;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
    place: Place,
    listener: Listener<OwnedFd>,
}

/// Whose line a socket belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A frontend's, by the position of the line.
    Frontend(ProxyId, u32),
    /// The runtime API's, by the position of the line.
    RuntimeApi(usize),
    /// A `peers` section's, by its position.
    Peers(usize),
    /// A `log-forward` section's, by its position; whether the line is for datagrams, and its position among those.
    LogForward(usize, bool, u32),
}

impl Handover {
    /// Keeps a duplicate of an open listener. Without a descriptor to spare it is not handed over: its successor binds
    /// for itself then.
    pub fn keep(&self, place: Place, bind: &Bind, socket: impl AsFd) {
        let Ok(descriptor) = socket.as_fd().try_clone_to_owned() else { return };
        let name = |name: &Option<String>| name.clone().unwrap_or_default().into_bytes();
        let listener =
            Listener { descriptor, namespace: name(&bind.namespace), interface: name(&bind.interface) };
        self.kept.lock().push(Kept { place, listener });
    }

    /// Keeps what `old` keeps of the lines that go on. `to`: the place of each old line in this configuration.
    pub fn carry(&self, old: &Handover, to: impl Fn(Place) -> Option<Place>) {
        let mut kept = self.kept.lock();
        for before in old.kept.lock().iter() {
            let Some(place) = to(before.place) else { continue };
            let Ok(descriptor) = before.listener.descriptor.try_clone() else { continue };
            let (namespace, interface) =
                (before.listener.namespace.clone(), before.listener.interface.clone());
            kept.push(Kept { place, listener: Listener { descriptor, namespace, interface } });
        }
    }

    /// Calls `act` with the sockets of one line.
    pub fn with(&self, place: Place, mut act: impl FnMut(BorrowedFd<'_>)) {
        let kept = self.kept.lock();
        kept.iter().filter(|kept| kept.place == place).for_each(|kept| act(kept.listener.descriptor.as_fd()));
    }

    /// Everything stops accepting.
    pub fn release(&self) {
        self.kept.lock().clear();
    }

    /// One frontend stops accepting for good.
    pub fn release_frontend(&self, frontend: ProxyId) {
        let is_its = |place: Place| matches!(place, Place::Frontend(owner, _) if owner == frontend);
        self.kept.lock().retain(|kept| !is_its(kept.place));
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
