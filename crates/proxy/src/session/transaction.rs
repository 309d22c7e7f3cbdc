//! One request and its response: the heads, and the facts that rules and logs read. Boxed, and reused by the thread,
//! so that an idle connection holds none and a busy one allocates nothing.

use super::activity::Counted;
use super::bandwidth::Bandwidth;
use super::persist::Presented;
use super::trace::Tracer;
use super::tracking::{self, TRACKERS, Trackers};
use crate::cache::{CacheRequest, Fill};
use crate::worker::Worker;
use haproxy_config::model::CompressionAlgorithm;
use http::Head;
use rules::tls::TlsFacts;
use rules::{
    ConnectionError, Peer, ProxyHeader, ProxyId, StreamFacts, StreamVariables, Times, Value, VariableLimits,
    VariableSet, WallTime,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Transactions kept per thread for reuse.
const POOLED_MAX: usize = 256;

/// A head that grew beyond this many bytes is not kept.
const HEAD_CAPACITY_MAX: usize = 64 * 1024;

thread_local! {
    // Boxed on purpose: they move between connections as they are.
    #[allow(clippy::vec_box)]
    static POOL: RefCell<Vec<Box<Transaction>>> = const { RefCell::new(Vec::new()) };
}

/// Timeouts that `set-timeout` changed; `None`: as configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChangedTimeouts {
    pub client: Option<Duration>,
    pub server: Option<Duration>,
    pub tunnel: Option<Duration>,
}

impl ChangedTimeouts {
    /// Those that rules can ask for.
    pub fn of_server(self) -> rules::SetTimeouts {
        rules::SetTimeouts { server: self.server, tunnel: self.tunnel }
    }
}

/// Where the body of the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// At the front of the client's bytes, as far as it has come.
    Here,
    /// What came of it was taken for a server; more may come.
    Taken,
    /// A server has all of it.
    Sent,
}

pub struct Transaction {
    pub facts: StreamFacts,
    pub request: Head,
    pub response: Head,
    /// The body that was sent with the head, kept while the request may have to be sent again.
    pub retained_body: Vec<u8>,
    /// It is framed in chunks.
    pub retained_chunked: bool,
    /// What the persistence cookie said.
    pub presented: Presented,
    /// `force-persist` and `ignore-persist` matched.
    pub force_persist: bool,
    pub ignore_persist: bool,
    /// How the response may be compressed.
    pub compression: Option<CompressionAlgorithm>,
    /// How the request is compressed.
    pub request_compression: Option<CompressionAlgorithm>,
    /// What the request asks of caches, once a rule looked into one.
    pub cache_request: Option<Box<CacheRequest>>,
    /// `set-bandwidth-limit`, until the flows take them.
    pub upload_limits: Vec<Bandwidth>,
    pub download_limits: Vec<Bandwidth>,
    /// The response is being kept.
    pub cache_fill: Option<Fill>,
    /// `filter trace` tells of this stream.
    pub tracer: Option<Rc<Tracer>>,
    /// The client's connection may live on after the response.
    pub client_keeps_alive: bool,
    pub variables: StreamVariables,
    /// Entries of stick tables that this stream tracks.
    pub trackers: Trackers,
    /// Keys of the request that wait for a server to be stored with: position of the rule, sample.
    pub stick_stores: Vec<(usize, Value<'static>)>,
    /// `set-log-level`: `Some(None)` is "no line".
    pub log_level: Option<Option<u8>>,
    pub timeouts: ChangedTimeouts,
    /// Bytes of the head of the answer that is going out, as they are counted.
    pub counted_head: u64,
    pub body: RequestBody,
    /// What has come of a chunked body, without its framing.
    pub decoded: Vec<u8>,
    /// Bytes that the counters have already (`option contstats`).
    pub counted: Counted,
    /// The line is out already (`option logasap`).
    pub logged: bool,
    /// `disable-l7-retry`.
    pub no_l7_retry: bool,
    /// What the server sent in TCP mode, while rules look at it.
    pub inspected: Vec<u8>,
    /// Rules need not wait for more of the client's bytes.
    pub payload_final: bool,
    /// For text that is evaluated and used at once.
    pub scratch: Vec<u8>,
}

/// What is known when a transaction begins.
#[derive(Debug, Clone)]
pub struct Origin {
    pub frontend: ProxyId,
    pub listener: u32,
    pub src: Option<Peer>,
    pub dst: Option<Peer>,
    pub accept: Instant,
    pub accept_wall: WallTime,
    pub handshake_done: Option<Instant>,
    pub request_index: u32,
    pub proxy_header: Option<Arc<ProxyHeader>>,
    pub tls: Option<Arc<TlsFacts>>,
    pub error: ConnectionError,
}

impl Transaction {
    /// A fresh transaction, from the pool where it has one.
    pub fn take(worker: &Worker, origin: Origin, session: &Rc<VariableSet>) -> Box<Transaction> {
        match POOL.with(|pool| pool.borrow_mut().pop()) {
            Some(mut transaction) => {
                transaction.restart(origin);
                transaction.variables.attach(Rc::clone(session));
                transaction
            }
            None => Box::new(Transaction {
                facts: facts(origin),
                request: Head::new(),
                response: Head::new(),
                retained_body: Vec::new(),
                retained_chunked: false,
                presented: Presented::default(),
                force_persist: false,
                ignore_persist: false,
                compression: None,
                request_compression: None,
                cache_request: None,
                cache_fill: None,
                tracer: None,
                upload_limits: Vec::new(),
                download_limits: Vec::new(),
                client_keeps_alive: false,
                variables: StreamVariables::new(
                    Arc::clone(&worker.state().process.variables),
                    Rc::clone(session),
                    VariableLimits::default(),
                ),
                trackers: [const { None }; TRACKERS],
                stick_stores: Vec::new(),
                log_level: None,
                timeouts: ChangedTimeouts::default(),
                counted_head: 0,
                body: RequestBody::Here,
                decoded: Vec::new(),
                logged: false,
                counted: Counted::default(),
                no_l7_retry: false,
                inspected: Vec::new(),
                payload_final: true,
                scratch: Vec::new(),
            }),
        }
    }

    pub fn give(mut transaction: Box<Transaction>) {
        tracking::release(&mut transaction.trackers);
        transaction.cache_fill = None;
        transaction.tracer = None;
        transaction.upload_limits.clear();
        transaction.download_limits.clear();
        let capacity = transaction.request.capacity() + transaction.response.capacity();
        if capacity > HEAD_CAPACITY_MAX {
            return;
        }
        POOL.with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED_MAX {
                pool.push(transaction);
            }
        });
    }

    fn restart(&mut self, origin: Origin) {
        self.request.clear();
        self.response.clear();
        self.retained_body.clear();
        self.presented = Presented::default();
        self.force_persist = false;
        self.ignore_persist = false;
        self.compression = None;
        self.request_compression = None;
        self.cache_request = None;
        self.stick_stores.clear();
        self.log_level = None;
        self.timeouts = ChangedTimeouts::default();
        self.body = RequestBody::Here;
        self.decoded.clear();
        self.logged = false;
        self.counted = Counted::default();
        self.no_l7_retry = false;
        self.inspected.clear();
        self.payload_final = true;
        let mut captured_uri = std::mem::take(&mut self.facts.captured_uri);
        captured_uri.clear();
        self.facts = StreamFacts { captured_uri, ..facts(origin) };
    }
}

fn facts(origin: Origin) -> StreamFacts {
    StreamFacts {
        src: origin.src,
        dst: origin.dst,
        listener: origin.listener,
        request_index: origin.request_index,
        proxy_header: origin.proxy_header,
        client_tls: origin.tls,
        client_error: origin.error,
        task_before: crate::profile::before_this_call(),
        ..StreamFacts::new(
            origin.frontend,
            Times {
                accept: origin.accept,
                accept_wall: origin.accept_wall,
                handshake_done: origin.handshake_done,
                request_start: None,
                request_start_wall: WallTime::default(),
                request_done: None,
                queue_done: None,
                connected: None,
                response_done: None,
                end: None,
            },
        )
    }
}
