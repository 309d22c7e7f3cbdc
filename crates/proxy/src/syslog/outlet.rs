//! Where messages go: UDP addresses, UNIX datagram sockets, descriptors. Each different one exists once in the
//! process, however many `log` lines name it.
//!
//! A UNIX socket is connected, and connected again in place when syslog restarts. The path is then looked up as it was
//! before a chroot: a thread that keeps the old root does it.

use super::OpenError;
use super::frame::{DateCache, Segments};
use super::ring::Ring;
use haproxy_config::model::{self, Address, LogTargetAddress};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Different log destinations in one process.
pub const OUTLETS_MAX: usize = 4096;
/// Reconnection requests that may wait; more are dropped, as the next message asks again.
const RECONNECT_QUEUE_LENGTH: usize = 16;
/// A restarting syslog is tried at most this often per socket.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(200);

/// Index of an outlet within its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutletId {
    Udp(usize),
    Unix(usize),
    Descriptor(usize),
    Ring(usize),
}

#[derive(Debug)]
struct UnixOutlet {
    address: UnixAddress,
    /// Shared by all threads; connecting it anew changes the peer for all of them.
    socket: UnixDatagram,
    reconnecting: AtomicBool,
}

/// An inherited descriptor. The standard streams are named, not duplicated: a daemon that leaves its terminal leaves it
/// with its logs too, and whoever waits for the end of a pipe sees it.
#[derive(Debug)]
enum Descriptor {
    Stdout,
    Stderr,
    Own(OwnedFd),
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Descriptor::Stdout => rustix::stdio::stdout(),
            Descriptor::Stderr => rustix::stdio::stderr(),
            Descriptor::Own(descriptor) => descriptor.as_fd(),
        }
    }
}

/// All outlets of the process, after the sockets were opened. Shared by all threads.
#[derive(Debug)]
pub struct Outlets {
    udp: Vec<SocketAddr>,
    unix: Vec<Arc<UnixOutlet>>,
    descriptors: Vec<Descriptor>,
    rings: Vec<Arc<Ring>>,
    dropped: AtomicU64,
    reconnect: Option<SyncSender<Arc<UnixOutlet>>>,
}

/// Collects outlets while the process is still privileged and outside its chroot.
#[derive(Debug, Default)]
pub struct OutletsBuilder {
    udp: Vec<SocketAddr>,
    unix: Vec<(UnixKey, Arc<UnixOutlet>)>,
    descriptors: Vec<(i32, Descriptor)>,
    rings: Vec<Arc<Ring>>,
}

type UnixKey = Address;

impl OutletsBuilder {
    /// `rings`: what `log ring@NAME` may name.
    pub fn new(rings: &[model::Ring]) -> OutletsBuilder {
        let rings = rings.iter().map(|ring| Arc::new(Ring::new(ring))).collect();
        OutletsBuilder { rings, ..OutletsBuilder::default() }
    }

    /// The ring that an outlet is: it has a format and a length of its own.
    pub(super) fn ring(&self, outlet: OutletId) -> Option<&Ring> {
        match outlet {
            OutletId::Ring(index) => self.rings.get(index).map(Arc::as_ref),
            OutletId::Udp(_) | OutletId::Unix(_) | OutletId::Descriptor(_) => None,
        }
    }

    /// Opens what `target` names, or finds it among those already open.
    pub(super) fn open(&mut self, target: &LogTargetAddress) -> Result<OutletId, OpenError> {
        if self.udp.len() + self.unix.len() + self.descriptors.len() >= OUTLETS_MAX {
            return Err(OpenError::TooManyOutlets);
        }
        match target {
            LogTargetAddress::Datagram(address) => self.open_datagram(address),
            LogTargetAddress::Stdout => self.open_descriptor(1, "stdout"),
            LogTargetAddress::Stderr => self.open_descriptor(2, "stderr"),
            LogTargetAddress::Fd(number) => self.open_descriptor(*number, &format!("fd@{number}")),
            LogTargetAddress::Ring(name) => {
                let place = self.rings.iter().position(|ring| ring.name == *name);
                place.map(OutletId::Ring).ok_or_else(|| OpenError::NoSuchRing { name: name.clone() })
            }
        }
    }

    fn open_datagram(&mut self, address: &Address) -> Result<OutletId, OpenError> {
        match address {
            Address::Inet { ip, port } => Ok(self.udp_outlet(SocketAddr::new(*ip, default_port(*port)))),
            Address::Host { name, port } => {
                let failed = |source| OpenError::Resolve { name: name.clone(), source };
                let mut found = (name.as_str(), default_port(*port)).to_socket_addrs().map_err(failed)?;
                let address = found.next().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
                Ok(self.udp_outlet(address))
            }
            Address::Unix(path) => self.unix_outlet(address, UnixAddress::from_pathname(path)),
            Address::Abstract(name) => self.unix_outlet(address, UnixAddress::from_abstract_name(name)),
            Address::Fd(number) => self.open_descriptor(*number, &format!("fd@{number}")),
        }
    }

    fn udp_outlet(&mut self, address: SocketAddr) -> OutletId {
        let known = self.udp.iter().position(|other| *other == address);
        OutletId::Udp(known.unwrap_or_else(|| {
            self.udp.push(address);
            self.udp.len() - 1
        }))
    }

    fn unix_outlet(
        &mut self,
        key: &Address,
        address: io::Result<UnixAddress>,
    ) -> Result<OutletId, OpenError> {
        if let Some(known) = self.unix.iter().position(|(other, _)| other == key) {
            return Ok(OutletId::Unix(known));
        }
        let failed = |source| OpenError::Socket { target: format!("{key:?}"), source };
        let address = address.map_err(failed)?;
        let socket = UnixDatagram::unbound().map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        // HAProxy starts without a syslog daemon, so do we: the first message connects.
        let _ = socket.connect_addr(&address);
        let outlet = UnixOutlet { address, socket, reconnecting: AtomicBool::new(false) };
        self.unix.push((key.clone(), Arc::new(outlet)));
        Ok(OutletId::Unix(self.unix.len() - 1))
    }

    /// The descriptor is made non-blocking, as HAProxy does: whoever shares the terminal or pipe sees that too, but a
    /// stuck reader never stops the proxy.
    fn open_descriptor(&mut self, number: i32, name: &str) -> Result<OutletId, OpenError> {
        if let Some(known) = self.descriptors.iter().position(|(other, _)| *other == number) {
            return Ok(OutletId::Descriptor(known));
        }
        let failed = |source: io::Error| OpenError::Socket { target: name.to_owned(), source };
        let descriptor = match number {
            1 => Descriptor::Stdout,
            2 => Descriptor::Stderr,
            other => Descriptor::Own(sys::descriptor::duplicate(other).map_err(failed)?),
        };
        let flags = rustix::fs::fcntl_getfl(&descriptor).map_err(|errno| failed(errno.into()))?;
        rustix::fs::fcntl_setfl(&descriptor, flags | rustix::fs::OFlags::NONBLOCK)
            .map_err(|errno| failed(errno.into()))?;
        self.descriptors.push((number, descriptor));
        Ok(OutletId::Descriptor(self.descriptors.len() - 1))
    }

    /// Freezes the outlets. Call before the chroot: with `chroot`, a thread that keeps the present root starts here.
    ///
    /// # Errors
    /// When that thread cannot start.
    pub fn finish(self, chroot: bool) -> io::Result<Arc<Outlets>> {
        // Loads the time zone while its file can be found.
        let _ = sys::clock::local_time(0);
        let reconnect = if chroot && !self.unix.is_empty() { Some(spawn_reconnector()?) } else { None };
        Ok(Arc::new(Outlets {
            udp: self.udp,
            unix: self.unix.into_iter().map(|(_, outlet)| outlet).collect(),
            descriptors: self.descriptors.into_iter().map(|(_, descriptor)| descriptor).collect(),
            rings: self.rings,
            dropped: AtomicU64::new(0),
            reconnect,
        }))
    }
}

/// syslog's UDP port, where none is given.
fn default_port(port: u16) -> u16 {
    if port == 0 { 514 } else { port }
}

/// Starts the thread that connects UNIX sockets by paths outside the chroot, and waits until it has its own root.
fn spawn_reconnector() -> io::Result<SyncSender<Arc<UnixOutlet>>> {
    let (sender, receiver) = sync_channel(RECONNECT_QUEUE_LENGTH);
    let (ready_sender, ready) = sync_channel(1);
    std::thread::Builder::new().name("log-reconnect".to_owned()).stack_size(64 * 1024).spawn(move || {
        let outcome = sys::filesystem::keep_own_root();
        let usable = outcome.is_ok();
        // The starter waits for this one message, so the channel is open.
        let _ = ready_sender.send(outcome);
        if usable {
            reconnect_forever(&receiver);
        }
    })?;
    ready.recv().map_err(|_| io::Error::other("the log reconnection thread ended"))??;
    Ok(sender)
}

/// Ends when the last [`Outlets`] is gone.
fn reconnect_forever(requests: &Receiver<Arc<UnixOutlet>>) {
    while let Ok(outlet) = requests.recv() {
        outlet.connect_again();
        std::thread::sleep(RECONNECT_INTERVAL);
        outlet.reconnecting.store(false, Ordering::Release);
    }
}

impl UnixOutlet {
    fn connect_again(&self) -> bool {
        self.socket.connect_addr(&self.address).is_ok()
    }
}

impl Outlets {
    pub fn rings(&self) -> &[Arc<Ring>] {
        &self.rings
    }

    /// Messages that were not sent, since start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A thread's own part: one connected UDP socket per address.
    ///
    /// # Errors
    /// When no socket can be made. An address that cannot be reached now is tried again by each message.
    pub fn scratch(self: &Arc<Self>) -> io::Result<Scratch> {
        let udp = self.udp.iter().map(connected_udp).collect::<io::Result<Vec<_>>>()?;
        Ok(Scratch {
            outlets: Arc::clone(self),
            udp,
            date: DateCache::default(),
            header: Vec::new(),
            reconnected: None,
        })
    }
}

fn connected_udp(address: &SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    // Fails without a route; then every send fails too, and is counted, until `send_udp` connects it.
    let _ = socket.connect(address);
    Ok(socket)
}

/// What one thread needs to send.
#[derive(Debug)]
pub struct Scratch {
    outlets: Arc<Outlets>,
    udp: Vec<UdpSocket>,
    pub(super) date: DateCache,
    /// Headers of messages that are sent on, one after the other.
    pub(super) header: Vec<u8>,
    /// When this thread last connected a UNIX socket anew itself.
    reconnected: Option<Instant>,
}

impl Scratch {
    pub fn outlets(&self) -> &Arc<Outlets> {
        &self.outlets
    }
}

/// Sends one message to one outlet, at once or not at all.
pub(super) fn send(
    outlets: &Outlets,
    udp: &[UdpSocket],
    reconnected: &mut Option<Instant>,
    id: OutletId,
    message: &Segments<'_>,
) {
    let sent = match id {
        OutletId::Udp(index) => send_udp(&udp[index], &outlets.udp[index], message),
        OutletId::Unix(index) => send_unix(outlets, reconnected, &outlets.unix[index], message),
        OutletId::Descriptor(index) => write(&outlets.descriptors[index], message),
        OutletId::Ring(index) => outlets.rings[index].push(message),
    };
    if !sent {
        outlets.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Scratch {
    /// The parts that [`send`] needs, beside the date that the message borrows.
    pub(super) fn parts(&mut self) -> (&Outlets, &[UdpSocket], &mut Option<Instant>, &DateCache) {
        (&self.outlets, &self.udp, &mut self.reconnected, &self.date)
    }
}

fn send_message(socket: impl AsFd, message: &Segments<'_>) -> Result<(), rustix::io::Errno> {
    use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, message.as_slices(), &mut SendAncillaryBuffer::default(), flags).map(|_| ())
}

fn send_udp(socket: &UdpSocket, address: &SocketAddr, message: &Segments<'_>) -> bool {
    use rustix::io::Errno;
    match send_message(socket, message) {
        Ok(()) => true,
        // The answer to an earlier message ("port unreachable") is reported on this one, which was not sent.
        Err(Errno::CONNREFUSED) => send_message(socket, message).is_ok(),
        // No route when the socket was connected.
        Err(Errno::DESTADDRREQ | Errno::NOTCONN) => {
            socket.connect(address).is_ok() && send_message(socket, message).is_ok()
        }
        Err(_) => false,
    }
}

fn send_unix(
    outlets: &Outlets,
    reconnected: &mut Option<Instant>,
    outlet: &Arc<UnixOutlet>,
    message: &Segments<'_>,
) -> bool {
    use rustix::io::Errno;
    match send_message(&outlet.socket, message) {
        Ok(()) => true,
        // The peer is gone, or was not there yet.
        Err(Errno::CONNREFUSED | Errno::CONNRESET | Errno::NOTCONN | Errno::DESTADDRREQ | Errno::PIPE) => {
            match &outlets.reconnect {
                Some(requests) => {
                    if !outlet.reconnecting.swap(true, Ordering::AcqRel)
                        && requests.try_send(Arc::clone(outlet)).is_err()
                    {
                        outlet.reconnecting.store(false, Ordering::Release);
                    }
                    false
                }
                None => {
                    let due = reconnected.is_none_or(|last| last.elapsed() >= RECONNECT_INTERVAL);
                    if due {
                        *reconnected = Some(Instant::now());
                    }
                    due && outlet.connect_again() && send_message(&outlet.socket, message).is_ok()
                }
            }
        }
        Err(_) => false,
    }
}

/// Writers of one process take turns: a pipe keeps only messages below PIPE_BUF whole by itself.
static WRITING: Mutex<()> = Mutex::new(());

fn write(descriptor: &Descriptor, message: &Segments<'_>) -> bool {
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    matches!(rustix::io::writev(descriptor, message.as_slices()), Ok(written) if written == message.len())
}
