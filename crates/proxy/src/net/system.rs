//! Receiving and sending on a TCP socket straight from the kernel: the C library's functions may be cancelled, and in a
//! process of several threads they pay for that with two locked instructions a call.

use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Receives once. `Ok(0)` is the end of the stream.
///
/// After a short read the readiness is forgotten: the next call costs no system call until the kernel speaks again.
///
/// # Errors
/// Those of `recv(2)`, without `EAGAIN`.
pub fn receive(tcp: &TcpStream, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    let room = buffer.len();
    loop {
        ready!(tcp.poll_read_ready(context))?;
        let received = once(tcp, Interest::READABLE, room, || {
            rustix::net::recv(tcp, &mut *buffer, RecvFlags::empty()).map(|(count, _)| count)
        });
        if let Some(received) = received {
            return Poll::Ready(received);
        }
    }
}

/// Sends once, as much as the kernel takes.
///
/// # Errors
/// Those of `send(2)`, without `EAGAIN`.
pub fn send(tcp: &TcpStream, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_write_ready(context))?;
        let sent =
            once(tcp, Interest::WRITABLE, bytes.len(), || rustix::net::send(tcp, bytes, SendFlags::NOSIGNAL));
        if let Some(sent) = sent {
            return Poll::Ready(sent);
        }
    }
}

/// One system call that moves at most `most` bytes. `None`: the readiness was stale.
fn once(
    tcp: &TcpStream,
    interest: Interest,
    most: usize,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> Option<io::Result<usize>> {
    let mut short = None;
    let moved = tcp.try_io(interest, || match call() {
        // The kernel has no more now; saying so makes tokio forget the readiness.
        Ok(count) if 0 < count && count < most => {
            short = Some(count);
            Err(io::ErrorKind::WouldBlock.into())
        }
        moved => Ok(moved?),
    });
    match (short, moved) {
        (Some(count), _) => Some(Ok(count)),
        (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
        (None, moved) => Some(moved),
    }
}
