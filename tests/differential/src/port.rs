//! Ports that nobody else takes: owns their choice and reservation, and the one kind of listener that never accepts.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Below Linux's ephemeral range, so that no outgoing connection takes a port before the program binds it.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// A TCP port of 127.0.0.1 reserved for one test, over all test processes of the machine.
///
/// The reservation is the UDP port of the same number, held open: TCP stays free for the program under test.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _reservation: UdpSocket,
}

impl ReservedPort {
    /// Finds and reserves one; nothing listens there until the test makes it so.
    pub fn new() -> Self {
        static STEP: AtomicU32 = AtomicU32::new(0);
        let span = u32::from(LAST - FIRST);
        for _ in 0..span {
            let step = STEP.fetch_add(1, Ordering::Relaxed);
            // A walk with a stride prime to the span, from a place of this process: few tries, no clock, no crate.
            let offset = std::process::id().wrapping_mul(7_919).wrapping_add(step.wrapping_mul(1_009)) % span;
            let number = FIRST + u16::try_from(offset).expect("the span fits a port");
            if let Ok(reservation) = UdpSocket::bind(("127.0.0.1", number))
                && !is_in_use(number)
            {
                return Self { number, _reservation: reservation };
            }
        }
        panic!("no free port between {FIRST} and {LAST}");
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    /// Listens there.
    pub(crate) fn listen(&self) -> TcpListener {
        let mut listener = TcpListener::bind(("127.0.0.1", self.number));
        // The listener of a backend stopped just now may live on for a moment in a child being started.
        for _ in 0..100 {
            if listener.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            listener = TcpListener::bind(("127.0.0.1", self.number));
        }
        listener.expect("the reserved port")
    }
}

/// Whether somebody listens there.
///
/// A connect, not a bind: a descriptor bound to probe would live on for a moment in every child that another thread is
/// starting just now, and make the real bind fail.
fn is_in_use(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

/// A port where connects neither succeed nor fail: a listener whose queue is full drops further SYNs.
#[derive(Debug)]
pub struct SaturatedPort {
    port: ReservedPort,
    _listener: TcpListener,
    _fillers: Vec<TcpStream>,
}

impl SaturatedPort {
    /// Listens with the shortest queue and fills it.
    pub fn new() -> Self {
        let port = ReservedPort::new();
        let listener = port.listen();
        // listen(2) again on a listening socket only changes the length of its queue.
        rustix::net::listen(&listener, 0).expect("a queue of no length");
        let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let mut fillers = Vec::new();
        while let Ok(filler) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            fillers.push(filler);
            assert!(fillers.len() < 100, "the queue never fills");
        }
        Self { port, _listener: listener, _fillers: fillers }
    }

    pub fn number(&self) -> u16 {
        self.port.number()
    }
}

impl Default for SaturatedPort {
    fn default() -> Self {
        Self::new()
    }
}
