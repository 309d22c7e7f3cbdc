//! Gratuitous ARP and unsolicited neighbour advertisements on their way out: at once, or spaced as the configuration
//! wants. Owns the queue; how often and when a burst begins is the core's.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use sys::raw::FrameSocket;
use vrrp::frames::{ArpKind, NA_FRAME_LEN, gratuitous_arp, neighbour_advertisement};

/// Frames that wait for their turn; a burst of 5 for 1,000 addresses fits twice.
const QUEUE_LENGTH_MAX: usize = 10_000;

/// One address to announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub interface: u32,
    pub mac: [u8; 6],
    pub address: IpAddr,
    /// Whether the host forwards IPv6 there.
    pub is_router: bool,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    instance: usize,
    place: Place,
}

/// Least time between frames on an interface.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    pub arp: Duration,
    pub advertisement: Duration,
}

#[derive(Debug)]
pub struct Announcer {
    socket: FrameSocket,
    queue: VecDeque<Waiting>,
    pace: Pace,
    /// Per interface, where the configuration has groups of their own.
    paces: BTreeMap<u32, Pace>,
    /// Per interface and family: not before.
    ready: BTreeMap<(u32, bool), Instant>,
}

impl Announcer {
    /// # Errors
    /// What the socket says.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            socket: FrameSocket::open()?,
            queue: VecDeque::with_capacity(QUEUE_LENGTH_MAX),
            pace: Pace::default(),
            paces: BTreeMap::new(),
            ready: BTreeMap::new(),
        })
    }

    pub fn set_pace(&mut self, pace: Pace, paces: BTreeMap<u32, Pace>) {
        self.pace = pace;
        self.paces = paces;
    }

    /// Announces every place, `rounds` times over, in order.
    ///
    /// # Errors
    /// The first thing the socket said; the others were tried all the same.
    pub fn announce(
        &mut self,
        now: Instant,
        instance: usize,
        places: &[Place],
        rounds: u32,
    ) -> io::Result<()> {
        let mut first = Ok(());
        for _ in 0..rounds {
            for place in places {
                let pace = self.pace_of(place);
                if pace.is_zero() {
                    first = first.and(send(&self.socket, place));
                } else if self.queue.len() < QUEUE_LENGTH_MAX {
                    self.queue.push_back(Waiting { instance, place: *place });
                }
            }
        }
        first.and(self.handle_timeout(now))
    }

    fn pace_of(&self, place: &Place) -> Duration {
        let pace = self.paces.get(&place.interface).copied().unwrap_or(self.pace);
        if place.address.is_ipv4() { pace.arp } else { pace.advertisement }
    }

    /// Forgets what waits for an instance that is master no more.
    pub fn cancel(&mut self, instance: usize) {
        self.queue.retain(|waiting| waiting.instance != instance);
    }

    /// Sends what is due. One pass over the queue; each interface keeps its own pace.
    ///
    /// # Errors
    /// The first thing the socket said.
    pub fn handle_timeout(&mut self, now: Instant) -> io::Result<()> {
        let mut first = Ok(());
        for _ in 0..self.queue.len() {
            let Some(waiting) = self.queue.pop_front() else { break };
            let key = (waiting.place.interface, waiting.place.address.is_ipv4());
            if self.ready.get(&key).is_some_and(|ready| *ready > now) {
                self.queue.push_back(waiting);
                continue;
            }
            let pace = self.pace_of(&waiting.place);
            self.ready.insert(key, now + pace);
            first = first.and(send(&self.socket, &waiting.place));
        }
        first
    }

    /// When the next frame is due.
    pub fn deadline(&self) -> Option<Instant> {
        let due = |waiting: &Waiting| {
            self.ready.get(&(waiting.place.interface, waiting.place.address.is_ipv4())).copied()
        };
        self.queue.iter().filter_map(due).min()
    }
}

fn send(socket: &FrameSocket, place: &Place) -> io::Result<()> {
    match place.address {
        IpAddr::V4(address) => {
            socket.send(place.interface, &gratuitous_arp(ArpKind::Request, place.mac, address))
        }
        IpAddr::V6(address) => {
            let frame: [u8; NA_FRAME_LEN] = neighbour_advertisement(place.mac, address, place.is_router);
            socket.send(place.interface, &frame)
        }
    }
}
