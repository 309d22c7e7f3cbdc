//! One connection, whatever carries it. Closed enum: the data path never calls through a vtable.

use super::pipe::Pipe;
use super::system;
use super::tls::TlsStream;
use crate::http2::Http2Stream;
use rules::{ClientSocket, Peer, TcpNumber};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected byte stream, registered with the runtime of the worker that owns it.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
    /// One of the streams of an HTTP/2 connection: its bytes are those of a body.
    Http2(Box<Http2Stream>),
}

impl Stream {
    /// Reads once into `buffer`. `Ok(0)` is the end of the stream.
    ///
    /// After a short read tokio forgets the readiness, so the next call costs no syscall until epoll speaks again.
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(tcp) => system::receive(tcp, context, buffer),
            Stream::Unix(unix) => {
                let mut read = ReadBuf::new(buffer);
                Pin::new(unix).poll_read(context, &mut read).map_ok(|()| read.filled().len())
            }
            Stream::Tls(tls) => tls.poll_read(context, buffer),
            Stream::Http2(stream) => stream.poll_read(context, buffer),
        }
    }

    /// Writes once. After `Pending` the next call must begin with the same bytes: TLS may have encrypted them already.
    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(tcp) => system::send(tcp, context, bytes),
            Stream::Unix(unix) => Pin::new(unix).poll_write(context, bytes),
            Stream::Tls(tls) => tls.poll_write(context, bytes),
            Stream::Http2(stream) => stream.poll_write(context, bytes, false),
        }
    }

    /// Moves at most `count` bytes into an empty pipe without copying them. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    /// As reading. `None`: what carries this stream cannot do it.
    pub fn poll_fill(
        &self,
        context: &mut Context<'_>,
        pipe: &mut Pipe,
        count: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        let Stream::Tcp(tcp) = self else { return None };
        Some(loop {
            match tcp.poll_read_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            match tcp.try_io(Interest::READABLE, || pipe.fill(tcp, count)) {
                // The readiness was stale and is forgotten now: the next look waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break Poll::Ready(result),
            }
        })
    }

    /// Moves what waits in a pipe into the stream.
    ///
    /// # Errors
    /// As writing.
    pub fn poll_drain(&self, context: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        let Stream::Tcp(tcp) = self else { return Poll::Ready(Err(io::ErrorKind::Unsupported.into())) };
        loop {
            match tcp.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            match tcp.try_io(Interest::WRITABLE, || pipe.drain(tcp)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Whether bytes can go past the program on their way to this stream.
    pub fn takes_pipes(&self) -> bool {
        match self {
            Stream::Tcp(_) => true,
            Stream::Unix(_) | Stream::Http2(_) | Stream::Tls(_) => false,
        }
    }

    /// The same for bytes of a body, of which nothing follows when these are the `last`: what carries bodies in frames
    /// says the end along with them.
    pub fn poll_write_body(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Http2(stream) => stream.poll_write(context, bytes, last),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Tls(_) => self.poll_write(context, bytes),
        }
    }

    /// Writes pieces that lie apart, as far as the kernel takes them.
    pub fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Stream::Unix(unix) => Pin::new(unix).poll_write_vectored(context, slices),
            Stream::Http2(_) | Stream::Tls(_) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                self.poll_write(context, first.map_or(&[], |slice| slice))
            }
        }
    }

    /// Whether writing pieces that lie apart costs no more than writing one.
    pub fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => true,
            Stream::Http2(_) | Stream::Tls(_) => false,
        }
    }

    /// Writes what the kernel takes at once; never waits.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => tcp.try_write(bytes),
            Stream::Unix(unix) => unix.try_write(bytes),
            Stream::Tls(_) | Stream::Http2(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The TLS of this connection.
    pub fn tls(&self) -> Option<&TlsStream> {
        match self {
            Stream::Tls(tls) => Some(tls),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Http2(_) => None,
        }
    }

    /// A stream of an HTTP/2 connection.
    pub fn as_http2(&mut self) -> Option<&mut Http2Stream> {
        match self {
            Stream::Http2(stream) => Some(stream),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Tls(_) => None,
        }
    }

    pub fn is_http2(&self) -> bool {
        matches!(self, Stream::Http2(_))
    }

    pub fn tls_mut(&mut self) -> Option<&mut TlsStream> {
        match self {
            Stream::Tls(tls) => Some(tls),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Http2(_) => None,
        }
    }

    /// The protocol that both ends agreed on (ALPN), such as `h2`.
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Stream::Tls(tls) => tls.alpn(),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Http2(_) => None,
        }
    }

    /// Ready when a read would not block: bytes, end of stream or an error wait. Costs no syscall.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(tcp) => tcp.poll_read_ready(context),
            Stream::Unix(unix) => unix.poll_read_ready(context),
            Stream::Tls(tls) => tls.poll_read_ready(context),
            Stream::Http2(stream) => match stream.is_read() {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            },
        }
    }

    /// Whether nothing waits to be read: no bytes, no end, no error. What waits is lost, so ask only where anything
    /// makes the connection useless.
    pub fn is_quiet(&mut self, context: &mut Context<'_>) -> bool {
        // Readiness may be left over from a read that filled its buffer: only the kernel knows then.
        self.poll_read_ready(context).is_pending() || self.poll_read(context, &mut [0]).is_pending()
    }

    /// Sends FIN (TLS says so first; of a stream: its end); the other direction stays open.
    pub fn shutdown_write(&mut self) {
        match self {
            // An error means that the peer is gone already: the read side tells the same.
            Stream::Tcp(tcp) => _ = rustix::net::shutdown(tcp, rustix::net::Shutdown::Write),
            Stream::Unix(unix) => _ = rustix::net::shutdown(unix, rustix::net::Shutdown::Write),
            Stream::Tls(tls) => {
                tls.close();
                tls.transport_mut().shutdown_write();
            }
            Stream::Http2(stream) => stream.finish(None),
        }
    }

    pub fn peer(&self) -> Option<Peer> {
        match self {
            Stream::Tcp(tcp) => tcp.peer_addr().ok().map(Peer::Inet),
            Stream::Unix(_) => Some(Peer::Unix),
            Stream::Tls(tls) => tls.transport().peer(),
            Stream::Http2(stream) => stream.link.with(Stream::peer),
        }
    }

    pub fn local(&self) -> Option<Peer> {
        match self {
            Stream::Tcp(tcp) => tcp.local_addr().ok().map(Peer::Inet),
            Stream::Unix(_) => Some(Peer::Unix),
            Stream::Http2(stream) => stream.link.with(Stream::local),
            Stream::Tls(tls) => tls.transport().local(),
        }
    }

    /// Whether the bytes are encrypted on their way.
    pub fn is_secure(&self) -> bool {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => false,
            Stream::Tls(_) => true,
            Stream::Http2(stream) => stream.link.with(Stream::is_secure),
        }
    }

    /// Runs `with` on the socket below.
    pub fn with_socket<R>(&self, with: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
        match self {
            Stream::Tcp(tcp) => with(tcp.as_fd()),
            Stream::Unix(unix) => with(unix.as_fd()),
            Stream::Tls(tls) => tls.transport().with_socket(with),
            Stream::Http2(stream) => stream.link.with(|link| match link {
                Stream::Tcp(tcp) => with(tcp.as_fd()),
                Stream::Unix(unix) => with(unix.as_fd()),
                Stream::Tls(tls) => tls.transport().with_socket(with),
                Stream::Http2(_) => unreachable!("a stream runs over a connection"),
            }),
        }
    }

    /// Makes the close that follows send RST and forget what is unsent (`option nolinger`, `silent-drop`'s cousin). Of a
    /// stream: ends it with an error.
    pub fn reset_on_close(&mut self) {
        match self {
            Stream::Tcp(tcp) => _ = socket2::SockRef::from(&*tcp).set_linger(Some(Duration::ZERO)),
            Stream::Unix(_) => {}
            Stream::Tls(tls) => tls.transport_mut().reset_on_close(),
            Stream::Http2(stream) => stream.reset(::http2::Reason::CANCEL),
        }
    }

    /// Closes without a packet: TCP_REPAIR lets the kernel forget the connection. Needs `CAP_NET_ADMIN`; without it the
    /// packets that the close sends get a TTL of 1, so that no client further than the next router sees them.
    pub fn forget(&mut self) {
        match self {
            Stream::Tcp(tcp) if sys::socket_options::set_repair(&*tcp).is_err() => {
                let _ = socket2::SockRef::from(&*tcp).set_ttl_v4(1);
                self.reset_on_close();
            }
            Stream::Tcp(_) | Stream::Unix(_) => {}
            Stream::Http2(stream) => stream.link.forget(),
            Stream::Tls(tls) => tls.forget(),
        }
    }
}

impl ClientSocket for Stream {
    fn address(&self, ours: bool) -> Option<std::net::SocketAddr> {
        match self {
            Stream::Tcp(tcp) if ours => tcp.local_addr().ok(),
            Stream::Tcp(tcp) => tcp.peer_addr().ok(),
            Stream::Http2(stream) => stream.link.with(|below| below.address(ours)),
            Stream::Tls(tls) => tls.transport().address(ours),
            Stream::Unix(_) => None,
        }
    }

    fn tcp(&self, which: TcpNumber) -> Option<i64> {
        let tcp = match self {
            Stream::Tcp(tcp) => tcp,
            Stream::Http2(stream) => return stream.link.with(|below| below.tcp(which)),
            Stream::Tls(tls) => return tls.transport().tcp(which),
            Stream::Unix(_) => return None,
        };
        let known = sys::socket_options::tcp_information(tcp).ok()?;
        let micros = |time: Duration| time.as_micros() as i64;
        Some(match which {
            TcpNumber::RoundTrip => micros(known.round_trip_time),
            TcpNumber::RoundTripVariance => micros(known.round_trip_variance),
            TcpNumber::Unacknowledged => known.unacked.into(),
            TcpNumber::Sacked => known.sacked.into(),
            TcpNumber::Lost => known.lost.into(),
            TcpNumber::Retransmitted => known.retransmits.into(),
            TcpNumber::ForwardAcknowledged => known.fackets.into(),
            TcpNumber::Reordering => known.reordering.into(),
        })
    }
}
