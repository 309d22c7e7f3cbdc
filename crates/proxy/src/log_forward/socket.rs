//! Sockets that datagrams arrive at.

use crate::listen;
use crate::net::Namespaces;
use haproxy_config::model::{Address, Bind};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Before the address of a socket for datagrams, where sockets of both kinds are named.
pub const DATAGRAM_PREFIX: &str = "dgram+";

/// Open, and not yet tied to a thread.
#[derive(Debug)]
pub enum OpenDatagrams {
    Udp(std::net::UdpSocket),
    Unix(std::os::unix::net::UnixDatagram),
}

impl AsFd for OpenDatagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            OpenDatagrams::Udp(socket) => socket.as_fd(),
            OpenDatagrams::Unix(socket) => socket.as_fd(),
        }
    }
}

/// Tied to the runtime of a thread.
pub enum Datagrams {
    Udp(tokio::net::UdpSocket),
    Unix(tokio::net::UnixDatagram),
}

impl OpenDatagrams {
    /// # Errors
    /// The descriptor cannot be watched.
    pub fn register(self) -> io::Result<Datagrams> {
        Ok(match self {
            OpenDatagrams::Udp(socket) => Datagrams::Udp(tokio::net::UdpSocket::from_std(socket)?),
            OpenDatagrams::Unix(socket) => Datagrams::Unix(tokio::net::UnixDatagram::from_std(socket)?),
        })
    }
}

impl Datagrams {
    /// The next datagram; what does not fit into the buffer is lost.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Datagrams::Udp(socket) => socket.recv(buffer).await,
            Datagrams::Unix(socket) => socket.recv(buffer).await,
        }
    }
}

/// Opens the socket of one `dgram-bind` line, or takes the one that a process before this one had.
///
/// # Errors
/// What the kernel says, with the address.
pub fn open(
    bind: &Bind,
    inherited: Option<OwnedFd>,
    namespaces: &Namespaces,
) -> Result<OpenDatagrams, String> {
    let opened = match (inherited, &bind.address) {
        (Some(descriptor), _) => adopt(descriptor),
        (None, Address::Fd(number)) => sys::descriptor::duplicate(*number).and_then(adopt),
        (None, Address::Inet { ip, port }) => namespaces
            .within(bind.namespace.as_deref(), || open_udp(SocketAddr::new(*ip, *port), bind))
            .and_then(|socket| adopt(socket.into())),
        (None, Address::Unix(path)) => {
            listen::bind_beside(path, bind, |place| std::os::unix::net::UnixDatagram::bind(place))
                .and_then(|socket| adopt(socket.into()))
        }
        (None, Address::Abstract(name)) => {
            use std::os::linux::net::SocketAddrExt;
            std::os::unix::net::SocketAddr::from_abstract_name(name)
                .and_then(|address| std::os::unix::net::UnixDatagram::bind_addr(&address))
                .and_then(|socket| adopt(socket.into()))
        }
        (None, Address::Host { name, .. }) => {
            Err(io::Error::new(io::ErrorKind::NotFound, format!("`{name}` is not resolved")))
        }
    };
    opened.map_err(|error| format!("cannot bind {}: {error}", listen::display(&bind.address)))
}

fn adopt(descriptor: OwnedFd) -> io::Result<OpenDatagrams> {
    let socket = Socket::from(descriptor);
    if socket.r#type()? != Type::DGRAM {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a socket for datagrams"));
    }
    socket.set_nonblocking(true)?;
    let is_unix = socket.local_addr()?.is_unix();
    let descriptor = OwnedFd::from(socket);
    Ok(if is_unix { OpenDatagrams::Unix(descriptor.into()) } else { OpenDatagrams::Udp(descriptor.into()) })
}

fn open_udp(address: SocketAddr, bind: &Bind) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    // A process that takes over binds before the old one has gone.
    socket.set_reuse_port(true)?;
    listen::bind_inet(&socket, address, bind)?;
    Ok(socket)
}
