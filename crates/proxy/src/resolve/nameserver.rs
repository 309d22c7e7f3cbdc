//! One name server: its socket, and what was counted of it. Never interprets an answer.

use haproxy_config::model::{Address, Resolvers};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

const DNS_PORT: u16 = 53;
/// Name servers taken from one `/etc/resolv.conf`.
const SYSTEM_SERVERS_MAX: usize = 16;
/// TCP queries that wait for an answer, for each name server; more fail.
const TCP_PENDING_MAX: usize = 64;

/// Where a name server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    pub address: SocketAddr,
    pub over_tcp: bool,
}

/// Counters of `show resolvers`.
#[derive(Debug, Default)]
pub struct Counters {
    pub sent: AtomicU64,
    pub send_errors: AtomicU64,
    pub valid: AtomicU64,
    pub updates: AtomicU64,
    pub no_such_name: AtomicU64,
    pub timeouts: AtomicU64,
    pub refused: AtomicU64,
    pub other: AtomicU64,
    pub empty: AtomicU64,
    pub invalid: AtomicU64,
    pub truncated: AtomicU64,
    pub outdated: AtomicU64,
}

/// Bytes from a name server, by section and position there.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) section: usize,
    pub(super) nameserver: usize,
    pub(super) bytes: Vec<u8>,
}

/// The sending side of a name server.
pub(super) enum Link {
    Udp(Arc<UdpSocket>),
    Tcp { address: SocketAddr, pending: Arc<tokio::sync::Semaphore> },
}

/// The name servers of a section, those of the system included.
pub(super) fn list(section: &Resolvers) -> Vec<(String, Server)> {
    let mut servers: Vec<(String, Server)> = section
        .nameservers
        .iter()
        .filter_map(|nameserver| match nameserver.address {
            Address::Inet { ip, port } => {
                let port = if port == 0 { DNS_PORT } else { port };
                let server = Server { address: SocketAddr::new(ip, port), over_tcp: nameserver.over_tcp };
                Some((nameserver.name.clone(), server))
            }
            // A name server with a name would need a name server.
            Address::Host { .. } | Address::Unix(_) | Address::Abstract(_) | Address::Fd(_) => None,
        })
        .collect();
    if section.system_nameservers {
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        servers.extend(system_servers(&text));
    }
    servers
}

fn system_servers(text: &str) -> Vec<(String, Server)> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse().ok())
        .take(SYSTEM_SERVERS_MAX)
        .map(|ip: std::net::IpAddr| {
            (ip.to_string(), Server { address: SocketAddr::new(ip, DNS_PORT), over_tcp: false })
        })
        .collect()
}

impl Link {
    /// Opens the way to `server`; answers go to `received`.
    pub(super) fn open(
        server: Server,
        place: (usize, usize),
        size: usize,
        received: mpsc::Sender<Received>,
    ) -> io::Result<Link> {
        if server.over_tcp {
            let pending = Arc::new(tokio::sync::Semaphore::new(TCP_PENDING_MAX));
            return Ok(Link::Tcp { address: server.address, pending });
        }
        let any: SocketAddr = if server.address.is_ipv4() {
            (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(server.address)?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let reader = Arc::clone(&socket);
        tokio::task::spawn_local(async move {
            let mut buffer = vec![0; size];
            loop {
                match reader.recv(&mut buffer).await {
                    Ok(count) => {
                        let bytes = buffer[..count].to_vec();
                        let (section, nameserver) = place;
                        if received.send(Received { section, nameserver, bytes }).await.is_err() {
                            return;
                        }
                    }
                    // "Connection refused" from an earlier packet: the query times out by itself.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Link::Udp(socket))
    }

    /// Sends one query.
    pub(super) fn send(
        &self,
        query: &[u8],
        place: (usize, usize),
        timeout: Duration,
        received: &mpsc::Sender<Received>,
    ) -> io::Result<()> {
        match self {
            // Past tokio, which would want to be polled first: a full send buffer is a lost packet like any other.
            Link::Udp(socket) => {
                rustix::net::send(socket.as_ref(), query, rustix::net::SendFlags::DONTWAIT)?;
                Ok(())
            }
            Link::Tcp { address, pending } => {
                let permit = Arc::clone(pending)
                    .try_acquire_owned()
                    .map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
                let (address, query, received) = (*address, query.to_vec(), received.clone());
                tokio::task::spawn_local(async move {
                    let asked = tokio::time::timeout(timeout, ask_over_tcp(address, &query)).await;
                    if let Ok(Ok(bytes)) = asked {
                        let (section, nameserver) = place;
                        let _ = received.send(Received { section, nameserver, bytes }).await;
                    }
                    drop(permit);
                });
                Ok(())
            }
        }
    }
}

/// One query on a connection of its own (RFC 7766): length, message, both ways.
pub(super) async fn ask_over_tcp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(query);
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_name_servers_are_read() {
        let text =
            "# comment\nsearch x\nnameserver 127.0.0.53\noptions edns0\n nameserver ::1\nnameserver bad\n";
        let names: Vec<String> = system_servers(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["127.0.0.53", "::1"]);
    }
}
