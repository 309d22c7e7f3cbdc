//! The thread that keeps sessions of BFD: datagrams in and out, timers; each change becomes an order to the engine and lines
//! for the log. What a session does is the `bfd` crate's. Sessions go on over a reload.

mod session;

use crate::channel::{self, Notice, Order, Receiving, Sending};
use crate::engine::confine;
use crate::log::Level;
use crate::plan::{BfdPlan, Plan};
use bfd::{PORT, PORT_MULTIHOP, Packet, State};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use session::Live;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use sys::datagram::DatagramSocket;
use vrrp::tracking::Status;

/// Datagrams taken from one socket before timers have their turn.
const DATAGRAMS_AT_ONCE: usize = 256;
/// Longer ones are none of BFD.
const DATAGRAM_LENGTH_MAX: usize = 256;
/// A socket that could not be opened, or an engine that had no room, is tried again after this.
const AGAIN: Duration = Duration::from_millis(200);
const ORDERS_MAX: usize = 64;

/// From the office.
#[derive(Debug)]
pub enum Wish {
    /// Another configuration.
    Configure { generation: u64, sessions: Vec<BfdPlan> },
    /// Asks for the text of the dump.
    Dump(std::sync::mpsc::SyncSender<String>),
    /// Without a word, as keepalived: who depends on us is to miss us, which he would not if he were told that an operator
    /// wants it so (RFC 5882, section 3.2).
    Stop,
}

/// What the office holds.
#[derive(Debug)]
pub struct Handle {
    wishes: Sending<Wish>,
    thread: Option<JoinHandle<()>>,
}

/// The office waits so long for a dump: the thread answers within one wake-up.
const DUMP_PATIENCE: Duration = Duration::from_secs(1);

impl Handle {
    /// Starts the thread; `prepare` runs on it first. It waits for a configuration.
    ///
    /// # Errors
    /// What `eventfd(2)` or the start of the thread say.
    pub fn start(
        engine: Sending<Order>,
        notices: Sending<Notice>,
        prepare: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (wishes, received) = channel::queue(ORDERS_MAX)?;
        let speaker = Speaker {
            wishes: received,
            engine,
            notices,
            generation: 0,
            sessions: Vec::new(),
            ears: BTreeMap::new(),
            random: RandomState::new(),
            drawn: 0,
        };
        let run = move || {
            prepare();
            if let Err(error) = confine::confine() {
                speaker.log(Level::Warning, format!("BFD thread is not confined: {error}"));
            }
            speaker.run();
        };
        let thread = std::thread::Builder::new().name("bfd".to_owned()).spawn(run)?;
        Ok(Self { wishes, thread: Some(thread) })
    }

    pub fn configure(&self, plan: &Plan) {
        self.wishes.send(Wish::Configure { generation: plan.generation, sessions: plan.bfd.clone() });
    }

    /// How all sessions are, for a dump.
    pub fn dump(&self) -> Option<String> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.wishes.send(Wish::Dump(answer));
        answered.recv_timeout(DUMP_PATIENCE).ok()
    }

    /// Waits until its thread has ended.
    pub fn stop(&mut self) {
        self.wishes.send(Wish::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of it was told by itself.
            let _ = thread.join();
        }
    }
}

/// Which datagrams a socket hears.
type Place = (bool, u16);

struct Speaker {
    wishes: Receiving<Wish>,
    engine: Sending<Order>,
    notices: Sending<Notice>,
    generation: u64,
    sessions: Vec<Live>,
    ears: BTreeMap<Place, Option<DatagramSocket>>,
    random: RandomState,
    drawn: u64,
}

impl Speaker {
    fn run(mut self) {
        let mut buffer = [0; DATAGRAM_LENGTH_MAX];
        loop {
            self.wait();
            self.wishes.quieten();
            while let Some(wish) = self.wishes.next() {
                match wish {
                    Wish::Configure { generation, sessions } => self.configure(generation, sessions),
                    Wish::Dump(answer) => {
                        let text: String = self.sessions.iter().map(Live::text).collect();
                        // Who asked may have lost patience.
                        let _ = answer.try_send(text);
                    }
                    Wish::Stop => return,
                }
            }
            self.open_ears();
            // Before timers: what waits in a buffer is no silence.
            self.read(&mut buffer);
            let now = Instant::now();
            for live in &mut self.sessions {
                live.session.handle_timeout(now);
            }
            self.carry_out(now);
        }
    }

    fn wait(&self) {
        let mut deadline = self.sessions.iter().filter_map(|live| live.session.poll_timeout()).min();
        let untold = self.sessions.iter().any(|live| live.untold.is_some() || live.unheard.is_some());
        if untold || self.ears.values().any(Option::is_none) {
            let again = Instant::now() + AGAIN;
            deadline = Some(deadline.map_or(again, |deadline| deadline.min(again)));
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let descriptors = self.ears.values().flatten().map(AsFd::as_fd);
        let mut waited: Vec<PollFd<'_>> = std::iter::once(self.wishes.as_fd())
            .chain(descriptors)
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
            .collect();
        // Interrupted or not: everything is looked at.
        let _ = poll(&mut waited, timeout.as_ref());
    }

    fn configure(&mut self, generation: u64, plans: Vec<BfdPlan>) {
        let now = Instant::now();
        self.generation = generation;
        let mut old = std::mem::take(&mut self.sessions);
        for plan in plans {
            let known = old.iter().position(|live| live.is_same(&plan.model));
            let live = match known {
                Some(place) => {
                    let mut live = old.swap_remove(place);
                    live.reconfigure(now, plan);
                    live
                }
                None => {
                    let discriminator = self.discriminator(&old);
                    let seed = self.draw();
                    Live::new(now, plan, discriminator, seed)
                }
            };
            self.sessions.push(live);
        }
        for mut gone in old {
            // No failure: the configuration wants it so, and the neighbour is told.
            gone.stop(now);
        }
        let needed: Vec<Place> = self.sessions.iter().map(Live::place).collect();
        self.ears.retain(|place, _| needed.contains(place));
        for place in needed {
            self.ears.entry(place).or_default();
        }
        self.open_ears();
        self.carry_out(now);
    }

    /// One that no other session has (RFC 5880, section 6.3); random, so that a neighbour tells us from our predecessor.
    fn discriminator(&mut self, old: &[Live]) -> u32 {
        loop {
            let drawn = (self.draw() >> 32) as u32;
            let taken = |live: &Live| live.session.discriminator() == drawn;
            if drawn != 0 && !self.sessions.iter().chain(old).any(taken) {
                return drawn;
            }
        }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.drawn);
        hasher.finish()
    }

    fn open_ears(&mut self) {
        for (place, ear) in self.ears.iter_mut().filter(|(_, ear)| ear.is_none()) {
            let any = if place.0 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
            let opened = DatagramSocket::bind(SocketAddr::new(any, place.1)).and_then(|socket| {
                socket.report_path()?;
                Ok(socket)
            });
            let mut of_place = self.sessions.iter_mut().filter(|live| live.place() == *place);
            match opened {
                Ok(socket) => {
                    of_place.for_each(|live| live.ear_failed = false);
                    *ear = Some(socket);
                }
                // Once: another daemon has the port, and may end.
                Err(error) => {
                    if let Some(live) = of_place.find(|live| !live.ear_failed) {
                        live.ear_failed = true;
                        let line = format!("({}) cannot listen on port {}: {error}", live.name(), place.1);
                        self.notices.send(Notice::Log(Level::Error, line));
                    }
                }
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) {
        let now = Instant::now();
        for (place, ear) in &self.ears {
            let Some(ear) = ear else { continue };
            for _ in 0..DATAGRAMS_AT_ONCE {
                // An error of the network that was waiting is taken, and says nothing that silence does not.
                let Ok(Some(datagram)) = ear.receive(buffer) else { break };
                let bytes = &buffer[..datagram.length.min(buffer.len())];
                let Ok(packet) = Packet::read(bytes) else { continue };
                let mut of_place = self.sessions.iter_mut().filter(|live| live.place() == *place);
                let found = of_place.find(|live| live.is_for(&datagram, &packet));
                if let Some(live) = found {
                    live.session.handle_packet(now, &packet);
                }
            }
        }
    }

    fn carry_out(&mut self, now: Instant) {
        for live in &mut self.sessions {
            for line in live.carry_out(now) {
                self.notices.send(Notice::Log(Level::Info, line));
            }
            if let Some(is_up) = live.untold {
                let status = if is_up { Status::Up } else { Status::Down };
                let order = Order::Track { generation: self.generation, tracker: live.plan.tracker, status };
                if !live.plan.model.for_vrrp || self.engine.send(order) {
                    live.untold = None;
                }
            }
            if let Some(is_up) = live.unheard {
                let notice = Notice::Session { name: live.name().to_owned(), is_up };
                if !live.plan.model.for_checkers || self.notices.send(notice) {
                    live.unheard = None;
                }
            }
        }
    }

    fn log(&self, level: Level, line: String) {
        self.notices.send(Notice::Log(level, line));
    }
}

/// Where packets of such a session go.
fn port(multihop: bool) -> u16 {
    if multihop { PORT_MULTIHOP } else { PORT }
}

/// Whether it counts as there.
fn is_up(state: State) -> bool {
    match state {
        State::Up => true,
        State::AdminDown | State::Down | State::Init => false,
    }
}
