//! The queues between engine and office. Bounded; neither side ever waits for the other. Each has a descriptor that
//! becomes readable when the other has put something in.

use crate::log::Level;
use crate::office::notify::{Refused, Told};
use crate::plan::Plan;
use crate::snapshot::Snapshot;
use rustix::event::EventfdFlags;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use vrrp::tracking::Status;
use vrrp::{TrackerId, Witness};

/// Notices that wait for the office: a flap of all of 255 instances with their log lines.
const NOTICES_MAX: usize = 16 * 1024;
/// Orders that wait for the engine.
const ORDERS_MAX: usize = 1024;

/// From the engine to the office.
#[derive(Debug)]
pub enum Notice {
    Log(Level, String),
    /// A line that only `-D` wants.
    Detail(String),
    Told(Told),
    Refused(Refused),
    /// A session of BFD, for whom else it concerns.
    Session {
        name: String,
        is_up: bool,
    },
    /// Asked for by [`Order::Snapshot`].
    Snapshot(Box<Snapshot>),
    /// The engine runs as this thread of the system.
    Runs(rustix::thread::Pid),
    /// A timer was served so late.
    Late(std::time::Duration),
    /// All priority 0 are sent and all addresses gone.
    Stopped,
    /// A reload was carried out, or refused.
    Reloaded(Result<(), String>),
}

/// From the office to the engine.
#[derive(Debug)]
pub enum Order {
    /// News of a tracked thing, for the plan of that generation.
    Track {
        generation: u64,
        tracker: TrackerId,
        status: Status,
    },
    Reload(Box<Plan>),
    /// Asks for a [`Notice::Snapshot`].
    Snapshot,
    ClearStatistics,
    /// A master leaves.
    HandOver {
        instance: String,
    },
    Maintenance {
        instance: String,
        on: bool,
    },
    Priority {
        instance: String,
        priority: Option<u8>,
    },
    /// What the witness of these says.
    Witness {
        instances: Vec<String>,
        witness: Witness,
    },
    /// Stops everything; without `release`, addresses stay (`-V`).
    Stop {
        release: bool,
    },
}

/// Wakes the other side.
#[derive(Debug, Clone)]
struct Bell(Arc<OwnedFd>);

impl Bell {
    fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(rustix::event::eventfd(0, flags)?)))
    }

    fn ring(&self) {
        // Full means that it rings already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    fn quieten(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.0, &mut count);
    }
}

/// The end that puts in.
#[derive(Debug)]
pub struct Sending<T> {
    queue: SyncSender<T>,
    bell: Bell,
    lost: Arc<AtomicU64>,
}

/// Of anything, whether that can be copied or not.
impl<T> Clone for Sending<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: self.bell.clone(), lost: Arc::clone(&self.lost) }
    }
}

/// The end that takes out.
#[derive(Debug)]
pub struct Receiving<T> {
    queue: Receiver<T>,
    bell: Bell,
    lost: Arc<AtomicU64>,
}

impl<T> Sending<T> {
    /// Never waits. What finds no room is thrown away and counted; false says so.
    pub fn send(&self, what: T) -> bool {
        match self.queue.try_send(what) {
            Ok(()) => {
                self.bell.ring();
                true
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}

impl<T> Receiving<T> {
    /// The next that waits.
    pub fn next(&self) -> Option<T> {
        self.queue.try_recv().ok()
    }

    /// Before taking all that waits.
    pub fn quieten(&self) {
        self.bell.quieten();
    }

    /// How many were thrown away since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl<T> AsFd for Receiving<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.0.as_fd()
    }
}

/// # Errors
/// What `eventfd(2)` says.
pub fn queue<T>(length_max: usize) -> io::Result<(Sending<T>, Receiving<T>)> {
    let (sender, receiver) = sync_channel(length_max);
    let bell = Bell::new()?;
    let lost = Arc::new(AtomicU64::new(0));
    let sending = Sending { queue: sender, bell: bell.clone(), lost: Arc::clone(&lost) };
    Ok((sending, Receiving { queue: receiver, bell, lost }))
}

/// # Errors
/// What `eventfd(2)` says.
pub fn notices() -> io::Result<(Sending<Notice>, Receiving<Notice>)> {
    queue(NOTICES_MAX)
}

/// # Errors
/// What `eventfd(2)` says.
pub fn orders() -> io::Result<(Sending<Order>, Receiving<Order>)> {
    queue(ORDERS_MAX)
}
