//! The conversation with the kernel: requests that are answered at once, and notifications. Owns the two netlink
//! sockets and the table of interfaces that they keep true.

use crate::interfaces::Interfaces;
use netlink::event::groups;
use netlink::wire::{Control, Messages};
use netlink::{Address, Event};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use sys::raw::{NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket};

/// A datagram of the kernel: dumps fill up to 32 KiB.
const BUFFER_LENGTH: usize = 64 * 1024;
/// Room for notifications while the thread is busy; thousands of addresses may change at once.
const NOTIFICATIONS_LENGTH: i32 = 4 * 1024 * 1024;
/// Datagrams of one dump, or that wait for one answer: far beyond any host.
const DATAGRAMS_MAX: usize = 100_000;
/// The kernel answers while it is asked; this is for a machine that swaps or a kernel that defers.
const ANSWER_TRIES: usize = 200;

#[derive(Debug)]
pub struct Kernel {
    requests: NetlinkSocket,
    notifications: NetlinkSocket,
    filters: Option<NetlinkSocket>,
    sequence: u32,
    buffer: Vec<u8>,
    pub interfaces: Interfaces,
}

impl Kernel {
    /// Opens the sockets and reads all interfaces and addresses. Notifications start before the reading, so that
    /// nothing falls between.
    ///
    /// # Errors
    /// What the sockets say.
    pub fn open() -> io::Result<Self> {
        let heard = groups::LINK
            | groups::IPV4_ADDRESS
            | groups::IPV6_ADDRESS
            | groups::IPV4_ROUTE
            | groups::IPV6_ROUTE
            | groups::IPV4_RULE
            | groups::IPV6_RULE;
        let notifications = NetlinkSocket::open(NETLINK_ROUTE, heard)?;
        notifications.set_receive_buffer(NOTIFICATIONS_LENGTH)?;
        let mut kernel = Self {
            requests: NetlinkSocket::open(NETLINK_ROUTE, 0)?,
            notifications,
            filters: NetlinkSocket::open(NETLINK_NETFILTER, 0).ok(),
            sequence: 0,
            buffer: vec![0; BUFFER_LENGTH],
            interfaces: Interfaces::default(),
        };
        kernel.read_all()?;
        Ok(kernel)
    }

    /// Reads interfaces and addresses anew: at the start, and when notifications were lost.
    ///
    /// # Errors
    /// What the socket says.
    pub fn read_all(&mut self) -> io::Result<()> {
        let mut fresh = Interfaces::default();
        for dump in [netlink::link::dump, netlink::address::dump] {
            let sequence = self.next_sequence();
            self.requests.send(&dump(sequence))?;
            'dump: for _ in 0..DATAGRAMS_MAX {
                let length = wait_receive(&self.requests, &mut self.buffer)?;
                for message in Messages::new(&self.buffer[..length]) {
                    match message.map_err(io::Error::other)? {
                        Control::Data(data) => {
                            if let Some(event) = Event::read(data).map_err(io::Error::other)? {
                                fresh.apply(&event);
                            }
                        }
                        Control::Done { sequence: done } if done == sequence => break 'dump,
                        Control::Answer { errno: 0, .. } | Control::Done { .. } | Control::Overrun => {}
                        Control::Answer { errno, .. } => return Err(io::Error::from_raw_os_error(errno)),
                    }
                }
            }
        }
        self.interfaces = fresh;
        Ok(())
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends one request and takes its answer.
    ///
    /// # Errors
    /// What the kernel says: `EEXIST` for what is there, `EADDRNOTAVAIL`/`ESRCH` for what is not.
    pub fn request(&mut self, write: impl FnOnce(u32) -> Vec<u8>) -> io::Result<()> {
        let sequence = self.next_sequence();
        self.requests.send(&write(sequence))?;
        answer(&self.requests, &mut self.buffer, sequence)
    }

    /// Adds an address that may be there already, from a predecessor; then it is changed into this one.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add_address(&mut self, address: &Address) -> io::Result<()> {
        self.request(|sequence| address.add(sequence, true))
    }

    /// Removes an address that may be gone already.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_address(&mut self, address: &Address) -> io::Result<()> {
        gone_is_fine(self.request(|sequence| address.remove(sequence)))
    }

    /// Runs an nftables transaction of one family.
    ///
    /// # Errors
    /// What the kernel says of its first message that fails; nothing of it has happened then.
    pub fn filter(&mut self, write: impl FnOnce(u32) -> netlink::nftables::Batch) -> io::Result<()> {
        let sequence = self.next_sequence();
        let Some(filters) = &self.filters else { return Err(Errno::PROTONOSUPPORT.into()) };
        let (bytes, last) = write(sequence).finish();
        self.sequence = last.wrapping_add(1);
        filters.send(&bytes)?;
        // Each message of the batch is answered, in order; a failed one ends it all, and is told by its number.
        for _ in 0..DATAGRAMS_MAX {
            let length = wait_receive(filters, &mut self.buffer)?;
            for message in Messages::new(&self.buffer[..length]) {
                match message.map_err(io::Error::other)? {
                    Control::Answer { errno: 0, sequence } if sequence == last => return Ok(()),
                    Control::Answer { errno: 0, .. } | Control::Done { .. } | Control::Overrun => {}
                    Control::Answer { errno, .. } => {
                        // What else waits belongs to this batch.
                        while let Ok(Some(_)) = filters.receive(&mut self.buffer) {}
                        return Err(io::Error::from_raw_os_error(errno));
                    }
                    Control::Data(_) => {}
                }
            }
        }
        Err(Errno::TIMEDOUT.into())
    }

    /// Takes all notifications that wait, keeps the table true, and shows each to `see`. `Ok(false)`: some were lost
    /// and everything was read anew.
    ///
    /// # Errors
    /// What the socket says.
    pub fn notifications(&mut self, mut see: impl FnMut(&Event)) -> io::Result<bool> {
        for _ in 0..DATAGRAMS_MAX {
            let length = match self.notifications.receive(&mut self.buffer) {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(true),
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    self.read_all()?;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            for message in Messages::new(&self.buffer[..length]) {
                let Ok(Control::Data(data)) = message else { continue };
                if let Ok(Some(event)) = Event::read(data) {
                    self.interfaces.apply(&event);
                    see(&event);
                }
            }
        }
        Ok(true)
    }
}

impl AsFd for Kernel {
    /// Readable: notifications wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifications.as_fd()
    }
}

/// What is to be gone and is gone already.
pub fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    let gone = [Errno::ADDRNOTAVAIL, Errno::SRCH, Errno::NOENT, Errno::NODEV];
    match result {
        Err(error) if gone.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) => Ok(()),
        other => other,
    }
}

fn answer(socket: &NetlinkSocket, buffer: &mut [u8], wanted: u32) -> io::Result<()> {
    for _ in 0..DATAGRAMS_MAX {
        let length = wait_receive(socket, buffer)?;
        for message in Messages::new(&buffer[..length]) {
            match message.map_err(io::Error::other)? {
                Control::Answer { sequence, errno: 0 } if sequence == wanted => return Ok(()),
                Control::Answer { sequence, errno } if sequence == wanted => {
                    return Err(io::Error::from_raw_os_error(errno));
                }
                Control::Answer { .. } | Control::Done { .. } | Control::Overrun | Control::Data(_) => {}
            }
        }
    }
    Err(Errno::TIMEDOUT.into())
}

/// The next datagram; netlink answers within the request, so that waiting is the exception.
fn wait_receive(socket: &NetlinkSocket, buffer: &mut [u8]) -> io::Result<usize> {
    for _ in 0..ANSWER_TRIES {
        if let Some(length) = socket.receive(buffer)? {
            return Ok(length);
        }
        let mut waited = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::IN)];
        let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        let _ = rustix::event::poll(&mut waited, Some(&pause));
    }
    Err(Errno::TIMEDOUT.into())
}
