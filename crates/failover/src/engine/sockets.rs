//! The sockets of adverts. Receiving ones are shared by all instances of one interface, family and protocol; each instance
//! sends through one of its own. Owns their options; the bytes are the `vrrp` crate's.

use crate::kernel::Kernel;
use rustix::io::Errno;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use sys::raw::{Family, PROTOCOL_SEND_ONLY, Packet, RawSocket};

/// What a receiving socket hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ear {
    /// `None`: any interface (unicast).
    pub interface: Option<u32>,
    pub family: Family,
    /// 112, or 51 for AH.
    pub protocol: u8,
}

/// A receiving socket and the groups it joined.
#[derive(Debug)]
pub struct Listener {
    pub ear: Ear,
    socket: RawSocket,
    groups: Vec<(IpAddr, u32)>,
}

/// Room for adverts that wait: 255 instances at 10 ms while the thread is held up for a second fill a part of it.
const RECEIVE_BUFFER: i32 = 1024 * 1024;
/// `TC_PRIO_CONTROL`.
const PRIORITY_CONTROL: i32 = 7;

impl Listener {
    /// # Errors
    /// What the socket says.
    pub fn open(ear: Ear) -> io::Result<Self> {
        let socket = RawSocket::open(ear.family, ear.protocol)?;
        socket.set_receive_buffer(RECEIVE_BUFFER)?;
        socket.report_path()?;
        socket.only_own_groups()?;
        if let Some(interface) = ear.interface {
            socket.bind_to_interface(interface)?;
        }
        Ok(Self { ear, socket, groups: Vec::new() })
    }

    /// Joins a group; again joining is nothing.
    ///
    /// # Errors
    /// What the socket says.
    pub fn join(&mut self, group: IpAddr, interface: u32) -> io::Result<()> {
        if self.groups.contains(&(group, interface)) {
            return Ok(());
        }
        match self.socket.join(group, interface) {
            Err(error) if error.raw_os_error() != Some(Errno::ADDRINUSE.raw_os_error()) => Err(error),
            Ok(()) | Err(_) => {
                self.groups.push((group, interface));
                Ok(())
            }
        }
    }

    /// Leaves a group that no instance listens to any more.
    pub fn leave(&mut self, group: IpAddr, interface: u32) {
        let before = self.groups.len();
        self.groups.retain(|joined| *joined != (group, interface));
        if self.groups.len() < before {
            // The interface may be gone, and the membership with it.
            let _ = self.socket.leave(group, interface);
        }
    }

    /// The next packet that waits.
    ///
    /// # Errors
    /// What the socket says; a pending error of the network is taken and forgotten.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
        self.socket.receive(buffer)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where an instance's adverts leave.
#[derive(Debug)]
pub struct Mouth {
    socket: RawSocket,
    interface: u32,
    /// An IPv6 packet is made here: the `vrrp` crate writes its payload alone.
    packet: Vec<u8>,
}

/// Bytes of an IPv6 header.
const IPV6_HEADER_LENGTH: usize = 40;
/// The longest advert: 255 IPv6 addresses, header and trailer.
const PACKET_LENGTH_MAX: usize = IPV6_HEADER_LENGTH + 8 + 255 * 16 + 28;
const PROTOCOL_VRRP: u8 = 112;

impl Mouth {
    /// `interface`: what multicast leaves through; unicast (`None` bound) goes by the routing table, 0 without one.
    ///
    /// # Errors
    /// What the socket says.
    pub fn open(family: Family, interface: u32, multicast: bool) -> io::Result<Self> {
        let socket = RawSocket::open(family, PROTOCOL_SEND_ONLY)?;
        socket.set_priority(PRIORITY_CONTROL)?;
        if family == Family::Ipv4 {
            socket.send_with_header()?;
        }
        if multicast {
            socket.bind_to_interface(interface)?;
            socket.send_multicast_through(interface)?;
        }
        Ok(Self { socket, interface, packet: Vec::with_capacity(PACKET_LENGTH_MAX) })
    }

    /// Sends what the core wrote: a whole IPv4 packet, or the payload of an IPv6 one.
    ///
    /// # Errors
    /// What `sendto(2)` says.
    pub fn send(&mut self, bytes: &[u8], source: IpAddr, to: IpAddr, hop_limit: u8) -> io::Result<()> {
        match (source, to) {
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                self.packet.clear();
                // Version 6, traffic class 0xc0, no flow label.
                self.packet.extend_from_slice(&[0x6c, 0, 0, 0]);
                let length = u16::try_from(bytes.len()).map_err(|_| Errno::MSGSIZE)?;
                self.packet.extend_from_slice(&length.to_be_bytes());
                self.packet.extend_from_slice(&[PROTOCOL_VRRP, hop_limit]);
                self.packet.extend_from_slice(&source.octets());
                self.packet.extend_from_slice(&target.octets());
                self.packet.extend_from_slice(bytes);
                self.socket.send(&self.packet, to, self.interface)
            }
            (IpAddr::V4(_), IpAddr::V4(_)) => self.socket.send(bytes, to, self.interface),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Err(Errno::AFNOSUPPORT.into()),
        }
    }
}

/// All receiving sockets.
#[derive(Debug, Default)]
pub struct Listeners {
    pub list: Vec<Listener>,
}

impl Listeners {
    /// The socket for `ear`, opened when it is not there. True: it is new and is to be watched.
    ///
    /// # Errors
    /// What the socket says.
    pub fn get(&mut self, ear: Ear) -> io::Result<(&mut Listener, bool)> {
        let found = self.list.iter().position(|listener| listener.ear == ear);
        let is_new = found.is_none();
        let index = match found {
            Some(index) => index,
            None => {
                self.list.push(Listener::open(ear)?);
                self.list.len() - 1
            }
        };
        Ok((&mut self.list[index], is_new))
    }

    /// Closes the sockets that no instance needs.
    pub fn keep(&mut self, needed: &[Ear]) {
        self.list.retain(|listener| needed.contains(&listener.ear));
    }
}

/// Closes sockets of interfaces that are gone: an index is never used again, a socket bound to one hears nothing.
pub fn is_there(kernel: &Kernel, ear: Ear) -> bool {
    ear.interface.is_none_or(|index| kernel.interfaces.by_index(index).is_some())
}
