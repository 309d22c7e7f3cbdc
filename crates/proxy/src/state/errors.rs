//! The last invalid request and response of every proxy, for `show errors`.

use http::ParseError;
use parking_lot::Mutex;
use rules::{Peer, ProxyId, ServerId, WallTime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes kept of one message at most.
pub const CAPTURE_MAX: usize = 16_384;

/// Which way the message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Request,
    Response,
}

/// A message that could not be understood.
#[derive(Debug)]
pub struct Capture {
    pub way: Way,
    pub when: WallTime,
    pub frontend: ProxyId,
    pub server: Option<ServerId>,
    pub src: Option<Peer>,
    /// Events of the process before this one.
    pub number: u64,
    /// What was received, up to [`CAPTURE_MAX`].
    pub bytes: Box<[u8]>,
    /// Why, and where it went wrong.
    pub error: ParseError,
}

/// The last request and the last response of one proxy.
type Places = [Option<Arc<Capture>>; 2];

/// One place for a request and one for a response of each proxy: a new capture takes the old one's.
#[derive(Debug)]
pub struct Captures {
    proxies: Box<[Mutex<Places>]>,
    total: AtomicU64,
}

impl Captures {
    pub fn new(proxies: usize) -> Captures {
        Captures { proxies: (0..proxies).map(|_| Mutex::default()).collect(), total: AtomicU64::new(0) }
    }

    /// Keeps a message: a request with its frontend, a response with its backend. `number` is filled in, and `bytes` cut.
    pub fn keep(&self, mut capture: Capture) {
        capture.number = self.total.fetch_add(1, Relaxed);
        if capture.bytes.len() > CAPTURE_MAX {
            capture.bytes = capture.bytes[..CAPTURE_MAX].into();
        }
        let owner = match (capture.way, capture.server) {
            (Way::Response, Some(server)) => server.proxy,
            (Way::Request, _) | (Way::Response, None) => capture.frontend,
        };
        let place = capture.way as usize;
        self.proxies[owner.index()].lock()[place] = Some(Arc::new(capture));
    }

    /// The last one of a proxy.
    pub fn last(&self, proxy: ProxyId, way: Way) -> Option<Arc<Capture>> {
        self.proxies[proxy.index()].lock()[way as usize].clone()
    }

    /// How many there were, kept or not.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }
}
