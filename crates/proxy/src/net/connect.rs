//! Outgoing connections.

use super::{Namespaces, SocketTuning, Stream};
use crate::state::Target;
use haproxy_config::model;
use rules::Peer;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpSocket, UnixStream};

/// Options of one outgoing connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectOptions<'a> {
    pub source: Option<&'a model::Source>,
    /// The client, for `usesrc`.
    pub client: Option<Peer>,
    pub tuning: SocketTuning,
    /// Send the first bytes with the SYN.
    pub fast_open: bool,
    /// `option nolinger`: a close sends RST and forgets what is unsent.
    pub no_linger: bool,
    /// Connect to this SOCKS4 proxy, and have it connect to the target.
    pub socks4: Option<SocketAddr>,
    /// Where the socket is made; `None`: here.
    pub namespace: Option<(&'a Namespaces, &'a str)>,
}

/// Connects to `target`. The caller bounds the time.
///
/// # Errors
/// What the kernel says; `AddrNotAvailable` when no source port is left.
pub async fn connect(target: &Target, options: ConnectOptions<'_>) -> io::Result<Stream> {
    match target {
        Target::Inet(address) => match options.socks4 {
            None => connect_tcp(*address, options).await,
            Some(proxy) => {
                let mut stream = connect_tcp(proxy, options).await?;
                super::socks4::ask(&mut stream, *address).await?;
                Ok(stream)
            }
        },
        Target::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        Target::Abstract(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            // A UNIX connect never waits for the network; it fails at once when the backlog is full.
            let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            Ok(Stream::Unix(UnixStream::from_std(stream)?))
        }
    }
}

async fn connect_tcp(address: SocketAddr, options: ConnectOptions<'_>) -> io::Result<Stream> {
    let make = || if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = match options.namespace {
        Some((namespaces, name)) => namespaces.within(Some(name), make)?,
        None => make()?,
    };
    // A head and the body behind it are two writes at times; neither may wait for an ACK.
    socket.set_nodelay(true)?;
    options.tuning.apply(&socket2::SockRef::from(&socket))?;
    if options.fast_open {
        sys::socket_options::set_tcp_fast_open_connect(&socket)?;
    }
    if options.no_linger {
        socket2::SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO))?;
    }
    if let Some(source) = options.source {
        bind_source(&socket, source, address, options.client)?;
    }
    Ok(Stream::Tcp(socket.connect(address).await?))
}

fn bind_source(
    socket: &TcpSocket,
    source: &model::Source,
    target: SocketAddr,
    client: Option<Peer>,
) -> io::Result<()> {
    let reference = socket2::SockRef::from(socket);
    if let Some(interface) = &source.interface {
        reference.bind_device(Some(interface.as_bytes()))?;
    }
    let mut ip = source.address;
    let mut port = 0;
    if let (true, Some(Peer::Inet(client))) = (source.use_client_ip, client)
        && client.is_ipv4() == target.is_ipv4()
    {
        reference.set_ip_transparent_v4(true)?;
        ip = Some(client.ip());
        if source.use_client_port {
            port = client.port();
        }
    }
    let unspecified: IpAddr = if target.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let ip = match ip {
        Some(ip) if ip.is_ipv4() == target.is_ipv4() => ip,
        Some(_) | None => unspecified,
    };
    match source.ports {
        Some((first, last)) if port == 0 => {
            let mut error = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for port in first..=last {
                match socket.bind(SocketAddr::new(ip, port)) {
                    Ok(()) => return Ok(()),
                    Err(refused) => error = refused,
                }
            }
            Err(error)
        }
        Some(_) | None if ip.is_unspecified() && port == 0 => Ok(()),
        Some(_) | None => socket.bind(SocketAddr::new(ip, port)),
    }
}
