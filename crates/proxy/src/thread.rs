//! A worker thread over all the configurations it has connections of.
//!
//! ```text
//!  Thread ─ current ──► Worker ─► Shared (Plan, State …) ◄─ new connections, next requests
//!         ├ former ···► Worker ─► Shared                ◄─ connections that began before a reload, until they end
//!         └ endpoints ─► listening sockets, each with its place in the current configuration
//! ```

use crate::handover::Place;
use crate::registry::Phase;
use crate::worker::{self, OpenListener, Shared, Worker};
use rules::ProxyId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

/// A worker thread.
pub struct Thread {
    index: usize,
    current: RefCell<Option<Rc<Worker>>>,
    /// Oldest first.
    former: RefCell<Vec<Weak<Worker>>>,
    endpoints: RefCell<Vec<Rc<Endpoint>>>,
}

/// A listening socket of one thread: whose connections it accepts.
pub struct Endpoint {
    seat: RefCell<Option<Seat>>,
}

/// A line of the current configuration.
#[derive(Clone)]
pub struct Seat {
    pub worker: Rc<Worker>,
    pub frontend: ProxyId,
    pub index: u32,
}

/// A socket and the line it is for.
pub struct PlacedListener {
    pub socket: OpenListener,
    pub frontend: ProxyId,
    pub index: u32,
}

/// What a reload brings to a thread.
pub struct Succession {
    pub shared: Arc<Shared>,
    /// The new place of each old line that goes on.
    pub places: Arc<HashMap<Place, Place>>,
    pub opened: Vec<PlacedListener>,
}

impl Endpoint {
    /// Whose connections these are now; `None` once the line is gone.
    pub fn seat(&self) -> Option<Seat> {
        self.seat.borrow().clone()
    }
}

impl Thread {
    pub fn new(index: usize) -> Rc<Thread> {
        let (former, endpoints) = (RefCell::default(), RefCell::default());
        Rc::new(Thread { index, current: RefCell::default(), former, endpoints })
    }

    /// Begins with a configuration.
    pub fn begin(self: &Rc<Thread>, shared: Arc<Shared>, listeners: Vec<PlacedListener>) {
        *self.current.borrow_mut() = Some(Rc::new(Worker::new(self.index, shared, self)));
        self.listen(listeners);
    }

    /// Position among the worker threads.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The configuration in force; `None` once the thread ends.
    pub fn current(&self) -> Option<Rc<Worker>> {
        self.current.borrow().clone()
    }

    /// Everything that still has connections, the current one first.
    pub fn workers(&self) -> Vec<Rc<Worker>> {
        let former = self.former.borrow();
        self.current().into_iter().chain(former.iter().rev().filter_map(Weak::upgrade)).collect()
    }

    fn listen(self: &Rc<Thread>, listeners: Vec<PlacedListener>) {
        let Some(worker) = self.current() else { return };
        for PlacedListener { socket, frontend, index } in listeners {
            match socket.register() {
                Ok(listener) => {
                    let seat = Seat { worker: Rc::clone(&worker), frontend, index };
                    let endpoint = Rc::new(Endpoint { seat: RefCell::new(Some(seat)) });
                    self.endpoints.borrow_mut().push(Rc::clone(&endpoint));
                    tokio::task::spawn_local(worker::accept_loop(endpoint, listener));
                }
                Err(error) => {
                    eprintln!("[ALERT] worker {}: cannot watch a listener: {error}", self.index + 1);
                }
            }
        }
    }

    /// Goes over to another configuration. Connections that are in the middle of something end under the former one; those
    /// that wait for a request follow at once.
    pub fn succeed(self: &Rc<Thread>, succession: Succession) {
        let Succession { shared, places, opened } = succession;
        let worker = Rc::new(Worker::new(self.index, shared, self));
        let Some(before) = self.current.borrow_mut().replace(Rc::clone(&worker)) else { return };
        before.retire(&worker);
        self.endpoints.borrow_mut().retain(|endpoint| {
            let Some(seat) = endpoint.seat() else { return false };
            let next = match places.get(&Place::Frontend(seat.frontend, seat.index)) {
                Some(Place::Frontend(frontend, index)) => {
                    Some(Seat { worker: Rc::clone(&worker), frontend: *frontend, index: *index })
                }
                Some(Place::RuntimeApi(_) | Place::Peers(_) | Place::LogForward(..)) | None => None,
            };
            let stays = next.is_some();
            endpoint.seat.replace(next);
            // Whoever waits to accept looks at its seat again.
            seat.worker.state().proxy(seat.frontend).frontend.room.notify_waiters();
            stays
        });
        self.listen(opened);
        let global = &before.plan().model.global;
        let (patience, former_max) = (global.hard_stop_after, worker.plan().model.global.mworker_max_reloads);
        let mut former = self.former.borrow_mut();
        former.retain(|former| former.strong_count() > 0);
        former.push(Rc::downgrade(&before));
        if let Some(max) = former_max {
            let outlived = former.len().saturating_sub(max as usize);
            former.iter().take(outlived).filter_map(Weak::upgrade).for_each(|worker| worker.end_all());
        }
        if let Some(patience) = patience {
            tokio::task::spawn_local(end_after(Rc::downgrade(&before), patience));
        }
        for control in before.sessions.borrow().iter() {
            control.recall();
        }
    }

    /// Ends the connections that wait for a next request: nothing is lost with them. With `option idle-close-on-response`
    /// a client may be sending one right now: it gets its response, and then the end.
    pub fn close_idle(&self) {
        for worker in self.workers() {
            for control in worker.sessions.borrow().iter() {
                let waits = worker.plan().settings(control.frontend).options.idle_close_on_response;
                if control.phase.get() == Phase::Idle && !waits {
                    control.kill();
                }
            }
        }
    }

    /// Connections of all configurations.
    pub fn connections(&self) -> usize {
        self.workers().iter().map(|worker| worker.sessions.borrow().len()).sum()
    }

    /// The thread ends.
    pub fn end(&self) {
        self.endpoints.borrow_mut().clear();
        self.current.borrow_mut().take();
    }
}

/// `hard-stop-after`: what a reload left behind has so much time.
async fn end_after(former: Weak<Worker>, patience: Duration) {
    tokio::time::sleep(patience).await;
    if let Some(worker) = former.upgrade() {
        worker.end_all();
    }
}
