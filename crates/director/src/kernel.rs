//! The kernel's IP virtual server, asked and answered over one socket. Owns the conversation, never the decision what to
//! ask for.

use crate::control::{SOCKET, SOCKET_VARIABLE};
use netlink::ipvs::server::FAMILY;
use netlink::ipvs::{self, Reply, Request};
use netlink::wire::{Control, HEADER_LENGTH, Malformed, Messages};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use sys::raw::{NETLINK_GENERIC, NetlinkSocket};

/// The kernel writes dumps in parts of at most 32 KiB.
const BUFFER_LENGTH: usize = 64 * 1024;
/// The kernel answers within the call; a module to load takes a moment.
const ANSWER_SECONDS_MAX: i64 = 10;
/// Entries of one dump: services, or real servers of a service.
const REPLIES_MAX: usize = 1 << 20;
const NO_SUCH_FAMILY: i32 = 2;
/// `ENOPROTOOPT`, which ipvsadm reports for it.
const PROTOCOL_NOT_AVAILABLE: i32 = 92;

/// Why a request failed.
#[derive(Debug)]
pub enum Refusal {
    /// The kernel said no, by `errno`.
    Kernel(i32),
    /// The socket failed.
    Socket(io::Error),
    /// The kernel's answer could not be read.
    Malformed(Malformed),
    /// The plane does not do this.
    Unsupported(&'static str),
}

impl Refusal {
    /// The number of the error, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel(errno) => Some(*errno),
            Self::Socket(error) => error.raw_os_error(),
            Self::Malformed(_) | Self::Unsupported(_) => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(errno) => formatter.write_str(&system_text(*errno)),
            Self::Socket(error) => error.fmt(formatter),
            Self::Malformed(error) => error.fmt(formatter),
            Self::Unsupported(what) => write!(formatter, "this data plane does not do {what} yet"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Malformed> for Refusal {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// The system's text of an error number, without the number.
pub fn system_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Who answers.
#[derive(Debug)]
enum Socket {
    Kernel(NetlinkSocket),
    /// Our own plane, at its socket.
    Plane(UnixStream),
}

impl Socket {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Kernel(socket) => socket.send(bytes),
            Self::Plane(stream) => stream.write_all(bytes),
        }
    }

    /// Whole messages into the buffer; `None`: nothing is there yet.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let stream = match self {
            Self::Kernel(socket) => return socket.receive(buffer),
            Self::Plane(stream) => stream,
        };
        stream.read_exact(&mut buffer[..HEADER_LENGTH])?;
        let length = u32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX).next_multiple_of(4);
        let rest = buffer.get_mut(HEADER_LENGTH..length).ok_or(io::ErrorKind::InvalidData)?;
        stream.read_exact(rest)?;
        Ok(Some(length))
    }
}

/// A conversation with the kernel of the network namespace that this thread is in, or with our own plane.
#[derive(Debug)]
pub struct Kernel {
    socket: Socket,
    family: u16,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Kernel {
    /// Finds the kernel's IP virtual server, which loads its module where it is one.
    ///
    /// # Errors
    /// `ENOPROTOOPT` where the kernel has none.
    pub fn open() -> Result<Self, Refusal> {
        let socket = Socket::Kernel(NetlinkSocket::open(NETLINK_GENERIC, 0)?);
        let mut kernel = Self { socket, family: 0, sequence: 0, buffer: vec![0; BUFFER_LENGTH] };
        kernel.sequence += 1;
        kernel.socket.send(&ipvs::resolve(kernel.sequence))?;
        let mut family = None;
        kernel.answers(false, |received| {
            if let Some(number) = ipvs::family_number(received)? {
                family = Some(number);
            }
            Ok(())
        })?;
        kernel.family = family.ok_or(Refusal::Kernel(PROTOCOL_NOT_AVAILABLE))?;
        Ok(kernel)
    }

    /// Whichever plane is there: the kernel's, unless a socket of ours is named by [`SOCKET_VARIABLE`] or the kernel has
    /// none.
    ///
    /// # Errors
    /// What the kernel says, where neither is there.
    pub fn any() -> Result<Self, Refusal> {
        if let Some(path) = std::env::var_os(SOCKET_VARIABLE) {
            return Ok(Self::plane(Path::new(&path))?);
        }
        match Self::open() {
            Err(refusal) if refusal.errno() == Some(PROTOCOL_NOT_AVAILABLE) => {
                Self::plane(Path::new(SOCKET)).map_err(|_| refusal)
            }
            kernel => kernel,
        }
    }

    /// Whether a plane of our own answers.
    pub fn is_ours(&self) -> bool {
        matches!(self.socket, Socket::Plane(_))
    }

    fn plane(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        let timeout = Duration::from_secs(ANSWER_SECONDS_MAX.unsigned_abs());
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self {
            socket: Socket::Plane(stream),
            family: FAMILY,
            sequence: 0,
            buffer: vec![0; BUFFER_LENGTH],
        })
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// What the kernel refuses, by its error number.
    pub fn ask(&mut self, request: &Request<'_>) -> Result<Vec<Reply>, Refusal> {
        let is_ipv6 = match request {
            Request::Destinations(key) => key.is_ipv6(),
            _ => false,
        };
        self.sequence += 1;
        self.socket.send(&request.write(self.family, self.sequence))?;
        let mut replies = Vec::new();
        self.answers(request.is_dump(), |received| {
            if let Some(reply) = Reply::read(received, is_ipv6)?
                && replies.len() < REPLIES_MAX
            {
                replies.push(reply);
            }
            Ok(())
        })?;
        Ok(replies)
    }

    /// Takes what comes for the last request, until its end.
    fn answers(
        &mut self,
        is_dump: bool,
        mut take: impl FnMut(netlink::wire::Received<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Refusal> {
        loop {
            let Some(length) = self.socket.receive(&mut self.buffer)? else {
                self.wait()?;
                continue;
            };
            for message in Messages::new(&self.buffer[..length]) {
                match message? {
                    Control::Answer { sequence, errno } if sequence == self.sequence => {
                        return match errno {
                            0 if is_dump => continue,
                            0 => Ok(()),
                            NO_SUCH_FAMILY if self.family == 0 => {
                                Err(Refusal::Kernel(PROTOCOL_NOT_AVAILABLE))
                            }
                            errno => Err(Refusal::Kernel(errno)),
                        };
                    }
                    Control::Done { sequence } if sequence == self.sequence => return Ok(()),
                    Control::Data(received) if received.sequence == self.sequence => take(received)?,
                    // Left over from a request that was given up.
                    Control::Answer { .. } | Control::Done { .. } | Control::Data(_) => {}
                    Control::Overrun => return Err(io::Error::from_raw_os_error(OVERRUN).into()),
                }
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let timeout = Timespec { tv_sec: ANSWER_SECONDS_MAX, tv_nsec: 0 };
        let descriptor = match &self.socket {
            Socket::Kernel(socket) => socket.as_fd(),
            Socket::Plane(stream) => stream.as_fd(),
        };
        let mut watched = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        match poll(&mut watched, Some(&timeout)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// `ENOBUFS`.
const OVERRUN: i32 = 105;
