//! One connection, whatever carries it. Closed enum: the data path never calls through a vtable.

use super::tls::TlsStream;
use rules::Peer;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected byte stream, registered with the runtime of the worker that owns it.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Reads once into `buffer`. `Ok(0)` is the end of the stream.
    ///
    /// After a short read tokio forgets the readiness, so the next call costs no syscall until epoll speaks again.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(buffer);
        let polled = match self {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_read(context, &mut read),
            Stream::Unix(unix) => Pin::new(unix).poll_read(context, &mut read),
            Stream::Tls(tls) => return tls.poll_read(context, buffer),
        };
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(read.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes once. After `Pending` the next call must begin with the same bytes: TLS may have encrypted them already.
    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Stream::Unix(unix) => Pin::new(unix).poll_write(context, bytes),
            Stream::Tls(tls) => tls.poll_write(context, bytes),
        }
    }

    /// Writes what the kernel takes at once; never waits.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => tcp.try_write(bytes),
            Stream::Unix(unix) => unix.try_write(bytes),
            Stream::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The TLS of this connection.
    pub fn tls(&self) -> Option<&TlsStream> {
        match self {
            Stream::Tls(tls) => Some(tls),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }

    pub fn tls_mut(&mut self) -> Option<&mut TlsStream> {
        match self {
            Stream::Tls(tls) => Some(tls),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }

    /// The protocol that both ends agreed on (ALPN), such as `h2`.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls()?.alpn()
    }

    /// Ready when a read would not block: bytes, end of stream or an error wait. Costs no syscall.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(tcp) => tcp.poll_read_ready(context),
            Stream::Unix(unix) => unix.poll_read_ready(context),
            Stream::Tls(tls) => tls.poll_read_ready(context),
        }
    }

    /// Whether nothing waits to be read: no bytes, no end, no error. What waits is lost, so ask only where anything
    /// makes the connection useless.
    pub fn is_quiet(&mut self, context: &mut Context<'_>) -> bool {
        // Readiness may be left over from a read that filled its buffer: only the kernel knows then.
        self.poll_read_ready(context).is_pending() || self.poll_read(context, &mut [0]).is_pending()
    }

    /// Sends FIN (after TLS has said so too); the other direction stays open.
    pub fn shutdown_write(&mut self) {
        if let Stream::Tls(tls) = self {
            tls.close();
        }
        // An error means that the peer is gone already: the read side tells the same.
        let _ = rustix::net::shutdown(self.as_fd(), rustix::net::Shutdown::Write);
    }

    pub fn peer(&self) -> Option<Peer> {
        match self {
            Stream::Tcp(tcp) => tcp.peer_addr().ok().map(Peer::Inet),
            Stream::Unix(_) => Some(Peer::Unix),
            Stream::Tls(tls) => tls.transport().peer(),
        }
    }

    pub fn local(&self) -> Option<Peer> {
        match self {
            Stream::Tcp(tcp) => tcp.local_addr().ok().map(Peer::Inet),
            Stream::Unix(_) => Some(Peer::Unix),
            Stream::Tls(tls) => tls.transport().local(),
        }
    }

    /// Makes the close that follows send RST and forget what is unsent (`option nolinger`, `silent-drop`'s cousin).
    pub fn reset_on_close(&self) {
        match self {
            Stream::Tcp(tcp) => drop(socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO))),
            Stream::Unix(_) => {}
            Stream::Tls(tls) => tls.transport().reset_on_close(),
        }
    }

    /// Closes without a packet: TCP_REPAIR lets the kernel forget the connection. Needs `CAP_NET_ADMIN`; without it the
    /// packets that the close sends get a TTL of 1, so that no client further than the next router sees them.
    pub fn forget(&mut self) {
        match self {
            Stream::Tcp(tcp) => {
                if sys::socket_options::set_repair(&*tcp).is_err() {
                    let _ = socket2::SockRef::from(&*tcp).set_ttl_v4(1);
                    self.reset_on_close();
                }
            }
            Stream::Unix(_) => {}
            Stream::Tls(tls) => tls.forget(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(tcp) => tcp.as_fd(),
            Stream::Unix(unix) => unix.as_fd(),
            Stream::Tls(tls) => tls.transport().as_fd(),
        }
    }
}
