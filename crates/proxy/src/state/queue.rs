//! Requests that wait for a server with a free slot (`maxconn`): one queue per server, for those that must go there,
//! and one per backend, for those that may go anywhere.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Order in a queue: priority class first, then arrival shifted by the priority offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueKey {
    pub class: i16,
    /// Milliseconds: arrival plus `set-priority-offset`.
    pub due_ms: i64,
    /// Breaks ties in arrival order.
    pub sequence: u64,
}

/// What a waiter was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// A slot of this server was taken for the waiter, who must release it.
    Server(u32),
    /// The server it waited for is gone: choose again.
    Retry,
}

/// One waiting request.
#[derive(Debug, Default)]
pub struct Waiter {
    inner: Mutex<WaiterState>,
}

#[derive(Debug, Default)]
struct WaiterState {
    grant: Option<Grant>,
    waker: Option<Waker>,
}

impl Waiter {
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Grant> {
        let mut state = self.inner.lock();
        match state.grant {
            Some(grant) => Poll::Ready(grant),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn grant(&self, grant: Grant) {
        let mut state = self.inner.lock();
        state.grant = Some(grant);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn granted(&self) -> Option<Grant> {
        self.inner.lock().grant
    }
}

/// All queues of one backend.
#[derive(Debug, Default)]
pub struct Queues {
    inner: Mutex<QueuesState>,
}

#[derive(Debug, Default)]
struct QueuesState {
    sequence: u64,
    backend: BTreeMap<QueueKey, Arc<Waiter>>,
    /// By server index; grows on demand.
    servers: Vec<BTreeMap<QueueKey, Arc<Waiter>>>,
}

/// A place in a queue. Must end in [`Queues::leave`] unless it was granted.
#[derive(Debug)]
pub struct Ticket {
    pub waiter: Arc<Waiter>,
    key: QueueKey,
    server: Option<u32>,
    /// Requests that were ahead on entry: `%bq` and `%sq`.
    pub position: u32,
}

impl Queues {
    /// Waits for `server`, or for any server of the backend.
    pub fn enter(&self, server: Option<u32>, class: i16, due_ms: i64) -> Ticket {
        let waiter = Arc::new(Waiter::default());
        let mut state = self.inner.lock();
        state.sequence += 1;
        let key = QueueKey { class, due_ms, sequence: state.sequence };
        let queue = match server {
            Some(index) => state.server(index),
            None => &mut state.backend,
        };
        let position = queue.range(..key).count() as u32;
        queue.insert(key, Arc::clone(&waiter));
        Ticket { waiter, key, server, position }
    }

    /// Gives up waiting. A grant that came in the meantime is returned: its slot must be released.
    pub fn leave(&self, ticket: &Ticket) -> Option<Grant> {
        let mut state = self.inner.lock();
        match ticket.server {
            Some(index) => state.server(index).remove(&ticket.key),
            None => state.backend.remove(&ticket.key),
        };
        ticket.waiter.granted()
    }

    /// Hands free slots of `server` to waiters, in order, as long as `take_slot` finds one. A request for this very
    /// server wins over one for any server when it is not behind it.
    pub fn serve(&self, server: u32, any_allowed: bool, mut take_slot: impl FnMut() -> bool) -> u32 {
        let mut state = self.inner.lock();
        let mut served = 0;
        loop {
            let own = state.server(server).first_key_value().map(|(key, _)| *key);
            let any = if any_allowed { state.backend.first_key_value().map(|(key, _)| *key) } else { None };
            let from_own = match (own, any) {
                (None, None) => return served,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(own), Some(any)) => own <= any,
            };
            if !take_slot() {
                return served;
            }
            let queue = if from_own { state.server(server) } else { &mut state.backend };
            let (_, waiter) = queue.pop_first().expect("looked at above");
            waiter.grant(Grant::Server(server));
            served += 1;
        }
    }

    /// Sends everybody who waits for `server` to choose again: it went down or away.
    pub fn flush(&self, server: u32) -> u32 {
        let waiters = std::mem::take(self.inner.lock().server(server));
        let count = waiters.len() as u32;
        for waiter in waiters.into_values() {
            waiter.grant(Grant::Retry);
        }
        count
    }

    /// Sends everybody who waits for any server to choose again.
    pub fn flush_backend(&self) -> u32 {
        let waiters = std::mem::take(&mut self.inner.lock().backend);
        let count = waiters.len() as u32;
        for waiter in waiters.into_values() {
            waiter.grant(Grant::Retry);
        }
        count
    }
}

impl QueuesState {
    fn server(&mut self, index: u32) -> &mut BTreeMap<QueueKey, Arc<Waiter>> {
        let index = index as usize;
        if self.servers.len() <= index {
            self.servers.resize_with(index + 1, BTreeMap::new);
        }
        &mut self.servers[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(count: u32) -> impl FnMut() -> bool {
        let mut left = count;
        move || {
            let free = left > 0;
            left = left.saturating_sub(1);
            free
        }
    }

    #[test]
    fn waiters_are_served_in_order_of_class_then_arrival() {
        let queues = Queues::default();
        let late = queues.enter(None, 0, 20);
        let early = queues.enter(None, 0, 10);
        let urgent = queues.enter(None, -1, 30);
        assert_eq!(early.position, 0);
        assert_eq!(queues.serve(3, true, slots(2)), 2);
        assert_eq!(urgent.waiter.granted(), Some(Grant::Server(3)));
        assert_eq!(early.waiter.granted(), Some(Grant::Server(3)));
        assert_eq!(late.waiter.granted(), None);
        assert_eq!(queues.leave(&late), None);
        assert_eq!(queues.serve(3, true, slots(1)), 0, "nobody is left");
    }

    #[test]
    fn a_server_that_goes_down_sends_its_waiters_back() {
        let queues = Queues::default();
        let own = queues.enter(Some(1), 0, 0);
        let any = queues.enter(None, 0, 0);
        assert_eq!(queues.flush(1), 1);
        assert_eq!(own.waiter.granted(), Some(Grant::Retry));
        assert_eq!(any.waiter.granted(), None);
    }
}
