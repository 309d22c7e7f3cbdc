//! The thread's client connections, so that the runtime API can list and end them and a soft stop can close the idle.

use rules::{Peer, ProxyId, ServerId};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

/// What a connection does, as `show sess` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between requests, nothing received.
    Idle,
    /// Receiving a request.
    Request,
    Queued,
    Connecting,
    /// Waiting for the response.
    Waiting,
    /// Forwarding the response or a tunnel.
    Data,
}

/// The handle of one connection: its task writes what it does, others may ask it to end.
#[derive(Debug)]
pub struct Control {
    pub id: u64,
    pub frontend: ProxyId,
    pub src: Option<Peer>,
    pub accept: Instant,
    pub backend: Cell<Option<ProxyId>>,
    pub server: Cell<Option<ServerId>>,
    pub phase: Cell<Phase>,
    pub requests: Cell<u32>,
    killed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    slot: Cell<usize>,
}

impl Control {
    pub fn new(id: u64, frontend: ProxyId, src: Option<Peer>, accept: Instant) -> Rc<Control> {
        Rc::new(Control {
            id,
            frontend,
            src,
            accept,
            backend: Cell::new(None),
            server: Cell::new(None),
            // Not idle: its first request, or its first bytes, may be on their way, and nothing else would answer them.
            phase: Cell::new(Phase::Request),
            requests: Cell::new(0),
            killed: Cell::new(false),
            waker: RefCell::new(None),
            slot: Cell::new(usize::MAX),
        })
    }

    /// The handle of the same connection under another configuration, where `frontend` is its frontend.
    pub fn moved(&self, frontend: ProxyId) -> Rc<Control> {
        let control = Control::new(self.id, frontend, self.src, self.accept);
        control.phase.set(self.phase.get());
        control.requests.set(self.requests.get());
        control.killed.set(self.killed.get());
        control
    }

    /// A request begins.
    pub fn begin_request(&self) {
        self.phase.set(Phase::Request);
        self.requests.set(self.requests.get().wrapping_add(1));
        self.backend.set(None);
        self.server.set(None);
    }

    /// The request goes to this server.
    pub fn assign(&self, server: ServerId) {
        self.phase.set(Phase::Connecting);
        self.backend.set(Some(server.proxy));
        self.server.set(Some(server));
    }

    /// Ends the connection: whatever it waits for times out now.
    pub fn kill(&self) {
        self.killed.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Lets the connection look whether it should go on under another configuration.
    pub fn recall(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub fn is_killed(&self) -> bool {
        self.killed.get()
    }

    /// Remembers how to wake the connection's task.
    pub fn attach(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if known.is_none() {
            *known = Some(waker.clone());
        }
    }
}

/// All connections of a thread.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Vec<Option<Rc<Control>>>,
    free: Vec<usize>,
}

impl Registry {
    pub fn insert(&mut self, control: &Rc<Control>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        control.slot.set(slot);
        self.entries[slot] = Some(Rc::clone(control));
    }

    pub fn remove(&mut self, control: &Control) {
        let slot = control.slot.replace(usize::MAX);
        if let Some(entry) = self.entries.get_mut(slot)
            && entry.take().is_some()
        {
            self.free.push(slot);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rc<Control>> {
        self.entries.iter().flatten()
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}
