//! Descriptors sent over UNIX sockets, and the exchange that moves listeners from an old process to a new one.
//!
//! HAProxy's exchange, recorded from 2.6 (`-x`, `_getsocks`), all numbers in native byte order:
//! ```text
//!   new → old   "_getsocks\n"
//!   old → new   count(4)
//!   old → new   per message up to 253 descriptors, and for each:  namespace length(1) namespace  interface length(1)
//!               interface  options(4)
//!   old         half-closes
//! ```

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What the kernel passes in one message (SCM_MAX_FD).
const DESCRIPTORS_PER_MESSAGE: usize = 253;
/// Listeners of one process; more is a broken peer.
pub const LISTENERS_MAX: usize = 65_536;
/// The request for listeners.
pub const REQUEST: &[u8] = b"_getsocks\n";
/// Two names of at most 255 bytes, their lengths, the options.
const DESCRIPTION_LENGTH_MAX: usize = 2 * 256 + 4;

/// A listener on its way.
#[derive(Debug)]
pub struct Listener<Descriptor> {
    pub descriptor: Descriptor,
    /// Network namespace (`namespace` of a bind line), empty for our own.
    pub namespace: Vec<u8>,
    /// `interface` of a bind line, or empty.
    pub interface: Vec<u8>,
}

/// Sends one message with descriptors. `data` must not be empty: without a byte nothing goes out.
///
/// # Errors
/// What `sendmsg(2)` says; `InvalidInput` for more descriptors than one message takes.
pub fn send_descriptors(socket: impl AsFd, data: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_MESSAGE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let too_many = || io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for a message");
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(too_many());
    }
    let sent = rustix::net::sendmsg(socket, &[IoSlice::new(data)], &mut control, SendFlags::NOSIGNAL)?;
    if sent == data.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives one message: its length in `buffer`, and the descriptors that came along (close-on-exec).
///
/// # Errors
/// What `recvmsg(2)` says.
pub fn receive_descriptors(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_MESSAGE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut data = [IoSliceMut::new(buffer)];
    let received = rustix::net::recvmsg(socket, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((received.bytes, descriptors))
}

/// Answers `_getsocks` (the request itself is already read) and half-closes.
///
/// # Errors
/// What the socket says; give it a write timeout.
pub fn send_listeners(socket: &UnixStream, listeners: &[Listener<BorrowedFd<'_>>]) -> io::Result<()> {
    let count = i32::try_from(listeners.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    (&*socket).write_all(&count.to_ne_bytes())?;
    for chunk in listeners.chunks(DESCRIPTORS_PER_MESSAGE) {
        let mut description = Vec::with_capacity(chunk.len() * 8);
        for listener in chunk {
            for name in [&listener.namespace, &listener.interface] {
                description.push(u8::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidInput)?);
                description.extend_from_slice(name);
            }
            description.extend_from_slice(&0_i32.to_ne_bytes());
        }
        let descriptors: Vec<_> = chunk.iter().map(|listener| listener.descriptor).collect();
        send_descriptors(socket, &description, &descriptors)?;
    }
    socket.shutdown(std::net::Shutdown::Write)
}

/// Asks the process at the other end for its listeners, and takes them.
///
/// # Errors
/// What the socket says (give it a read timeout), or `InvalidData` when the answer is not the exchange above.
pub fn request_listeners(mut socket: &UnixStream) -> io::Result<Vec<Listener<OwnedFd>>> {
    socket.write_all(REQUEST)?;
    let mut count = [0; 4];
    socket.read_exact(&mut count)?;
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let count = usize::try_from(i32::from_ne_bytes(count)).map_err(|_| invalid("a negative number"))?;
    if count > LISTENERS_MAX {
        return Err(invalid("too many listeners"));
    }
    let mut descriptors = Vec::new();
    let mut description = Vec::new();
    let mut buffer = vec![0; DESCRIPTORS_PER_MESSAGE * DESCRIPTION_LENGTH_MAX];
    // One message at least brings something, so this ends after `LISTENERS_MAX` rounds.
    while descriptors.len() < count {
        let (length, more) = receive_descriptors(socket, &mut buffer)?;
        if length == 0 && more.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if description.len() + length > LISTENERS_MAX * DESCRIPTION_LENGTH_MAX {
            return Err(invalid("an endless description"));
        }
        description.extend_from_slice(&buffer[..length]);
        descriptors.extend(more);
    }
    let mut rest = &description[..];
    descriptors
        .into_iter()
        .map(|descriptor| {
            let namespace = take_name(&mut rest).ok_or_else(|| invalid("a short description"))?;
            let interface = take_name(&mut rest).ok_or_else(|| invalid("a short description"))?;
            rest = rest.get(4..).ok_or_else(|| invalid("a short description"))?;
            Ok(Listener { descriptor, namespace, interface })
        })
        .collect()
}

fn take_name(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (&length, after) = rest.split_first()?;
    let (name, after) = after.split_at_checked(length.into())?;
    *rest = after;
    Some(name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn listeners_arrive_with_their_interfaces_in_several_messages() {
        let (old, new) = UnixStream::pair().expect("pair");
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("bound");
        let server = std::thread::spawn(move || {
            let mut request = [0; REQUEST.len()];
            (&old).read_exact(&mut request).expect("reads");
            assert_eq!(&request, REQUEST);
            let one = || Listener {
                descriptor: listener.as_fd(),
                namespace: b"".to_vec(),
                interface: b"lo".to_vec(),
            };
            let many: Vec<_> = (0..300).map(|_| one()).collect();
            send_listeners(&old, &many).expect("sends");
        });
        let received = request_listeners(&new).expect("receives");
        server.join().expect("no panic");
        assert_eq!(received.len(), 300);
        assert!(received.iter().all(|listener| listener.interface == b"lo"));
        let last = received.into_iter().last().expect("300 of them");
        assert_eq!(TcpListener::from(last.descriptor).local_addr().expect("bound"), address);
    }

    #[test]
    fn a_peer_that_talks_of_too_many_is_refused() {
        let (old, new) = UnixStream::pair().expect("pair");
        (&old).write_all(&i32::MAX.to_ne_bytes()).expect("writes");
        assert_eq!(request_listeners(&new).expect_err("refused").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_peer_that_closes_early_is_an_error() {
        let (old, new) = UnixStream::pair().expect("pair");
        (&old).write_all(&3_i32.to_ne_bytes()).expect("writes");
        old.shutdown(std::net::Shutdown::Both).expect("closes");
        drop(old);
        assert!(request_listeners(&new).is_err());
    }
}
