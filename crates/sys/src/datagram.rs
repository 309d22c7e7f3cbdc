//! UDP sockets that tell with which hop limit and for which address a datagram came: BFD.

use crate::raw::{Family, Packet, RawSocket};
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// A non-blocking UDP socket.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: RawSocket,
}

impl DatagramSocket {
    /// Bound to that address and port; one of IPv6 takes no IPv4.
    ///
    /// # Errors
    /// What `socket(2)` or `bind(2)` say.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let (domain, family) = match address {
            SocketAddr::V4(_) => (AddressFamily::INET, Family::Ipv4),
            SocketAddr::V6(_) => (AddressFamily::INET6, Family::Ipv6),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor = rustix::net::socket_with(domain, SocketType::DGRAM, flags, None)?;
        if family == Family::Ipv6 {
            sockopt::set_ipv6_v6only(&descriptor, true)?;
        }
        rustix::net::bind(&descriptor, &address)?;
        Ok(Self { socket: RawSocket::of(descriptor, family) })
    }

    /// Hop limit (TTL) and traffic class (TOS) of what is sent.
    ///
    /// # Errors
    /// What `setsockopt(2)` says.
    pub fn set_hops_and_class(&self, hops: u8, class: u8) -> io::Result<()> {
        self.socket.set_hops_and_class(hops, class)
    }

    /// `SO_PRIORITY`: 7 is TC_PRIO_CONTROL, which queues let by first.
    ///
    /// # Errors
    /// What `setsockopt(2)` says: `EPERM` without CAP_NET_ADMIN.
    pub fn set_priority(&self, priority: i32) -> io::Result<()> {
        self.socket.set_priority(priority)
    }

    /// Asks for destination, interface and hop limit of each datagram: the fields of [`Packet`].
    ///
    /// # Errors
    /// What `setsockopt(2)` says.
    pub fn report_path(&self) -> io::Result<()> {
        self.socket.report_path()
    }

    /// Takes one datagram; `None` when none waits. What does not fit into `buffer` is cut off.
    ///
    /// # Errors
    /// What `recvmsg(2)` says.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
        self.socket.receive(buffer)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// What `sendto(2)` says.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        rustix::net::sendto(self, bytes, SendFlags::empty(), &to)?;
        Ok(())
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_tells_its_hop_limit_and_where_it_was_sent() {
        for (here, family) in [("127.0.0.1", Family::Ipv4), ("::1", Family::Ipv6)] {
            let address = here.parse().expect("an address");
            let bind = || {
                (50_000..50_100).find_map(|port| {
                    let place = SocketAddr::new(address, port);
                    DatagramSocket::bind(place).ok().map(|socket| (socket, place))
                })
            };
            let ((ear, place), (mouth, _)) = (bind().expect("a port"), bind().expect("a port"));
            ear.report_path().expect("it can");
            mouth.set_hops_and_class(77, 0xc0).expect("it can");
            mouth.send(b"three", place).expect("sent");
            let mut buffer = [0; 16];
            let packet = ear.receive(&mut buffer).expect("it is there").expect("it is there");
            assert_eq!((&buffer[..packet.length], packet.hop_limit), (&b"three"[..], Some(77)));
            assert_eq!((packet.from, packet.to, Family::of(packet.from)), (address, Some(address), family));
            assert_eq!(ear.receive(&mut buffer).expect("nothing"), None);
        }
    }
}
